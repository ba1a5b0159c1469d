# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness finds faults, reduces them, and prints how to repeat them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.transportkey import TransportKey

from ..builders import raw_message, raw_set, raw_template
from . import harness, invariants
from .__main__ import main
from .invariants import Broken, check_octets
from .mutation import Mutant, mutant
from .seeds import SHORT, stories
from .shape import Shape

FLOW = raw_set(2, raw_template(256, (8, 4)))
DATA = raw_set(256, bytes(8))
EVIL = raw_set(300, b"evil")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with harness.quiet():
        yield


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package raise when it reads "evil"."""
    read = Collector.read

    def broken(self: Collector, transport: object, octets: bytes, *others: object) -> object:
        if b"evil" in octets:
            raise IndexError("evil")
        return read(self, transport, octets, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(Collector, "read", broken)


def test_shapes() -> None:
    octets = raw_message(FLOW, DATA, EVIL) + b"rest"
    shape = Shape.of(octets)
    assert [bytes(each) for each in shape.sets] == [FLOW, DATA, EVIL]
    assert (shape.version, shape.rest, bytes(shape)) == (10, b"rest", octets)
    del shape.sets[1]
    shape.rest = b""
    shape.mend()
    assert bytes(shape) == raw_message(FLOW, EVIL)


def test_mutants_are_the_same_for_the_same_number() -> None:
    assert [mutant(each, SHORT) for each in range(50)] == [
        mutant(each, SHORT) for each in range(50)
    ]
    assert len({mutant(each, SHORT).messages for each in range(500)}) > 450
    assert {mutant(each, SHORT).carrier for each in range(200)} == invariants.CARRIERS.keys()


@pytest.mark.parametrize("carrier", invariants.CARRIERS)
def test_stories_hold_as_they_are(carrier: str) -> None:
    """Check the invariants on the stories themselves."""
    found = [
        harness.run(Mutant(number, carrier, story), thorough=False)
        for number, story in enumerate(stories(SHORT)[::4])
    ]
    assert [str(each) for each in found if each is not None] == []


def test_a_failure_is_made_small(fault: None) -> None:
    messages = raw_message(FLOW, DATA), raw_message(FLOW, DATA, EVIL, DATA), raw_message(DATA)
    failure = harness.run(Mutant(7, "udp", messages))
    assert failure is not None
    assert failure.kind == "IndexError in test_harness.py, broken"
    small = harness.minimised(failure)
    assert small.mutant.messages == (raw_message(EVIL),)
    assert small.mutant.hex in str(small)


def test_the_command(
    fault: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = Mutant(7, "udp", (raw_message(FLOW), raw_message(EVIL)))
    monkeypatch.setattr("tests.fuzz.__main__.mutant", lambda number, octets: evil)
    assert main(["--replay", "7", "--out", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert raw_message(EVIL).hex() in out
    assert raw_message(EVIL).hex() in (tmp_path / "7.txt").read_text()
    assert main(["--minutes", "0.01", "--seed", "7", "--out", str(tmp_path)]) == 1
    assert "times: IndexError in test_harness.py, broken" in capsys.readouterr().out


def test_the_command_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--minutes", "0.02", "--seed", "1", "--jobs", "2", "--short"]) == 0
    assert "0 failures of 0 kinds" in capsys.readouterr().out
    assert main(["--replay", "1", "--short"]) == 0


def test_octets_that_nobody_read_are_noticed() -> None:
    read = Collector().read(TransportKey("message"), raw_message(FLOW, raw_set(9, b"x")))
    assert read is not None
    check_octets(read, noted=True)
    with pytest.raises(Broken):
        check_octets(read, noted=False)

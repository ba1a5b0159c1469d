# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of state in a file: another session continues with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scapy_ipfix import (
    IPFIX,
    DataSet,
    IPFIXSession,
    OptionsTemplateSet,
    Template,
    TemplateSet,
    iter_records,
)
from scapy_ipfix.cli.main import main
from scapy_ipfix.collector.persistence import StateError

PCAPS = Path(__file__).parents[2] / "pcaps"
FLOW = Template(301, "foo(4242/7)<unsigned32>", "octetDeltaCount[3]", "interfaceName")
TYPES = Template(
    300,
    *("privateEnterpriseNumber", "informationElementId", "informationElementName"),
    "informationElementDataType",
    scope=2,
)


def messages(*sets: object) -> list[bytes]:
    return [bytes(IPFIX(sets=list(sets)))]


def split(name: str, tmp_path: Path) -> tuple[Path, Path]:
    """Split a capture as ``tcpdump -G`` does: the first packets, then the others."""
    octets = (PCAPS / name).read_bytes()
    end = 24
    for _ in range(3):
        end += 16 + int.from_bytes(octets[end + 8 : end + 12], "little")
    first, second = tmp_path / "first.pcap", tmp_path / "second.pcap"
    first.write_bytes(octets[:end])
    second.write_bytes(octets[:24] + octets[end:])
    return first, second


@pytest.mark.parametrize(
    "name", ["softflowd_ipfix.pcap", "softflowd_v9.pcap", "pmacctd_v9.pcap", "ovs_ipfix.pcap"]
)
def test_a_split_capture_has_the_records_of_the_whole(name: str, tmp_path: Path) -> None:
    first, second = split(name, tmp_path)
    before = IPFIXSession()
    records = list(iter_records(first, session=before))
    before.save(tmp_path / "state.json")
    after = IPFIXSession.load(tmp_path / "state.json")
    assert [row[:5] for row in after.templates] == [row[:5] for row in before.templates]
    records += iter_records(second, session=after)
    assert records == list(iter_records(PCAPS / name))
    assert not after.collector.diagnostics.counts["missing-template"]


def test_learned_elements_and_metadata(tmp_path: Path) -> None:
    session = IPFIXSession()
    teaching = messages(
        OptionsTemplateSet(templates=[TYPES]),
        DataSet(template=TYPES, records=[(4242, 7, "fooBarCount", 3)]),
        TemplateSet(templates=[FLOW]),
    )
    assert len(list(iter_records(teaching, session=session))) == 1
    list(iter_records(PCAPS / "softflowd_v9.pcap", session=session))
    session.save(tmp_path / "state.json")
    loaded = IPFIXSession.load(tmp_path / "state.json")
    assert list(loaded.metadata) == list(session.metadata)
    assert len(loaded.metadata) >= 2
    data = messages(DataSet(template=FLOW, records=[(5, 6, "eth0")]))
    assert list(iter_records(data, session=loaded)) == [
        {"fooBarCount": 5, "octetDeltaCount": 6, "interfaceName": "eth0"}
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "not a scapy-ipfix state file: Expecting value"),
        ("[]", "not a scapy-ipfix state file$"),
        ("{}", "not a scapy-ipfix state file$"),
        ('{"format": "scapy-ipfix state"}', "of version None; this scapy-ipfix reads version 1$"),
        ('{"format": "scapy-ipfix state", "version": 1}', "a damaged state file: KeyError"),
        ('{"format": "scapy-ipfix state", "ver', "not a scapy-ipfix state file: Unterminated"),
    ],
)
def test_other_files_are_an_error(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"state\.json is a?.*{error}"):
        IPFIXSession.load(path)


def test_a_damaged_state_is_an_error(tmp_path: Path) -> None:
    session = IPFIXSession()
    list(iter_records(PCAPS / "softflowd_v9.pcap", session=session))
    session.save(tmp_path / "state.json")
    whole = json.loads((tmp_path / "state.json").read_text())
    for key in whole:
        damaged = {**whole, key: {"x": [None]}}
        (tmp_path / "damaged.json").write_text(json.dumps(damaged))
        if key == "scope":
            continue  # an argument of the session, not restored from the file
        with pytest.raises(ValueError, match=r"damaged\.json"):
            IPFIXSession.load(tmp_path / "damaged.json")


def test_the_command_continues_with_a_state_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = split("softflowd_ipfix.pcap", tmp_path)
    state = str(tmp_path / "state.json")
    assert main([str(first), "--json", "--state", state]) == 0
    assert main([str(second), "--json", "--state", state]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 523
    (tmp_path / "state.json").write_text("no")
    assert main([str(second), "--state", state]) == 2
    assert "state.json" in capsys.readouterr().err


HERE = ["udp", "192.0.2.1", 1, "192.0.2.2", 2]


def state_of(**parts: object) -> dict[str, object]:
    empty = {"format": "scapy-ipfix state", "version": 1, "scope": "session"}
    return {**empty, "elements": [], "domains": [], "metadata": [], **parts}


def domain_with(template: dict[str, object] | None = None, **parts: object) -> dict[str, object]:
    whole = {"id": 256, "scope": 0, "options": False, "refreshes": 0, "seen": 0.0}
    templates = [{**whole, "fields": [[0, 4, 1]], **template}] if template else []
    domain = {"transport": HERE, "version": 10, "id": 1, "templates": templates, **parts}
    return state_of(domains=[domain])


def fact(kind: object, key: object, value: object, since: object = 0.0) -> dict[str, object]:
    return state_of(metadata=[[[HERE, 10, 1], kind, key, value, since]])


INFINITE = float("inf")
DEEP = "deep"


@pytest.mark.parametrize(
    "state",
    [
        domain_with(version=INFINITE),
        domain_with(id=INFINITE),
        domain_with({"refreshes": INFINITE}),
        domain_with({"seen": 10**400}),
        domain_with({"seen": float("nan")}),
        domain_with({"fields": [[True, True, True]]}),
        domain_with({"id": True}),
        fact("interface", 1, {"Interface": ["a", "b"]}, 10**400),
        fact("interface", 1, {"Interface": ["a", "b"]}, INFINITE),
        fact("interface", 1, 5),
        fact("interface", 1, {"Interface": [5, 6]}),
        fact("interface", "1", {"Interface": ["a", "b"]}),
        fact("interface", True, {"Interface": ["a", "b"]}),
        fact("sampling", {"tuple": ["system", 0]}, {"Sampling": ["x", None, None]}),
        fact("sampling", {"tuple": ["system", 0]}, {"Sampling": [INFINITE, None, None]}),
        fact("sampling", {"tuple": ["system"]}, {"Sampling": [1, None, None]}),
        fact("selection sequence", 1, {"tuple": ["a"]}),
        fact("VRF", 1, 5),
        fact("application", {"octets": ""}, {"Application": ["a", "b", "c"]}),
        fact("application", 1, {"Application": ["a", "b", "c"]}),
        fact("domain", 1, "name"),
        fact("counters", {"tuple": []}, {"dict": [["a", "b"]]}),
        fact("counters", {"tuple": [1]}, {"dict": [["a", 1]]}),
        fact("weather", None, "fine"),
        fact(None, None, "fine"),
        fact("VRF", 1, DEEP),
    ],
)
def test_invalid_values_are_an_error(tmp_path: Path, state: dict[str, object]) -> None:
    path = tmp_path / "state.json"
    deep = '{"tuple": [' * 2000 + "0" + "]}" * 2000
    path.write_text(json.dumps(state).replace(f'"{DEEP}"', deep))
    with pytest.raises(StateError):
        IPFIXSession.load(path)


def test_deeply_nested_json_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("[" * 200_000)
    with pytest.raises(StateError):
        IPFIXSession.load(path)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("interface", None, {"Interface": ["a", None]}),
        ("interface", 1, {"Interface": ["a", "b"]}),
        ("sampling", {"tuple": ["system", 0]}, {"Sampling": [0.5, None, "x"]}),
        ("selection sequence", 1, {"tuple": [1, 2]}),
        ("VRF", 1, "red"),
        ("application", {"octets": "0300"}, {"Application": ["a", None, None]}),
        ("domain", None, "name"),
        ("time of initialization", None, 1_699_999_900_000),
        ("counters", {"tuple": [{"tuple": ["exportingProcessId", 1]}]}, {"dict": [["a", 1]]}),
    ],
)
def test_saved_facts(tmp_path: Path, kind: str, key: object, value: object) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(fact(kind, key, value)))
    session = IPFIXSession.load(path)
    assert len(session.collector.metadata) == 1
    assert str(session.metadata)
    session.save(path)
    assert json.loads(path.read_text())["metadata"][0][1:4] == [kind, key, value]

# SPDX-License-Identifier: GPL-2.0-or-later
"""State of a session stays within its limits under floods; ``attacks`` measures memory."""

import gc
import types
from collections.abc import Iterator
from typing import Any

import pytest

from scapy_ipfix import IPFIXSession
from scapy_ipfix.collector.collector import Limits
from scapy_ipfix.model.model import InformationModel
from scapy_ipfix.wire.resolver import _NUMBERS

from .attacks import ATTACKS, Attack, kept, main, registries
from .harness import quiet

LIMITS = Limits(
    transports=8,
    domains=8,
    templates=16,
    template_fields=200,
    pending_octets=8_000,
    fragment_octets=20_000,
    elements=32,
    metadata=32,
    diagnostics=50,
    streams=60,
)
#: Maxima of :func:`kept`.
MOST = {
    "domains": LIMITS.domains,
    "templates": LIMITS.templates,
    "counted templates": LIMITS.templates,
    "states": LIMITS.templates,
    "pending octets": LIMITS.pending_octets,
    "shared": LIMITS.transports,
    "keys": LIMITS.transports,
    "fragments": LIMITS.fragment_octets,
    "tcp": LIMITS.transports,
    "tcp closed": LIMITS.transports,
    "sctp": LIMITS.transports,
    "facts": LIMITS.metadata,
    "diagnostics": LIMITS.diagnostics,
    "answers": _NUMBERS + 600,  # one Set may exceed the limit
    "sctp sequences": LIMITS.streams,
}
#: Elements that one exporter may describe, instead of the default.
_LEARNED = 200
#: Messages, enough to reach every limit before the first half ends.
MESSAGES = 2400
_SAMPLES = 12
#: Attacks on state that is bounded by the protocol: 65,536 streams of an association.
_GROWING = {"sctp-streams"}
_FEW = {"wide-templates": 40, "names-of-many": 600, "wide-records": 36, "wide-unknown": 36}
#: Attacks that take seconds.
_LONG = {"wide-records", "wide-unknown", "wide-templates", "layouts-shown"}
#: Types of objects that all sessions share.
_SHARED = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet():
        yield


@pytest.fixture(
    params=[
        pytest.param(each, id=name, marks=[pytest.mark.slow] * (name in _LONG))
        for name, each in ATTACKS.items()
    ]
)
def attack(request: pytest.FixtureRequest) -> Attack:
    chosen: Attack = request.param
    return chosen


def reachable(session: IPFIXSession) -> int:
    """Return the number of objects that a session holds, without the information model."""
    model = session.collector.model
    seen: set[int] = {id(model), id(model._registry)}
    waiting: list[Any] = [session]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, _SHARED):
            seen.add(id(each))
            waiting += gc.get_referents(each)
    return len(seen)


def test_what_is_kept_stays_at_its_limits(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(InformationModel.learn.__globals__, "LEARNED", _LEARNED)
    session = IPFIXSession(limits=LIMITS)
    messages = _FEW.get(attack.name, MESSAGES)
    sizes, known = [], []
    for number in range(messages):
        attack.feed(session, number)
        if (number + 1) % (messages // _SAMPLES) == 0:
            gc.collect()
            sizes.append(reachable(session))
            known.append(registries())
    found = kept(session)
    assert {what: found[what] for what in MOST if found[what] > MOST[what]} == {}
    # The number of objects varies where the limit is in octets.
    half = _SAMPLES // 2
    if attack.name not in _GROWING:
        assert max(sizes[half:]) <= 1.1 * max(sizes[:half]) + 300
    assert known[half] == known[-1]


@pytest.mark.slow
def test_every_attack_does_something() -> None:
    """Every attack leaves some state, so none is discarded as invalid."""
    idle = []
    for each in ATTACKS.values():
        session = IPFIXSession(limits=LIMITS)
        for number in range(40):
            each.feed(session, number)
        if not any(kept(session).values()):
            idle.append(each.name)
    assert idle == []


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    main(["domains", "--messages", "300", "--markdown", "--kept"])
    heading, line, row, keeps = capsys.readouterr().out.splitlines()
    assert heading.count("|") == line.count("|") == row.count("|")
    assert row.startswith("| a new observation domain in every message | 300 |")
    assert keeps.startswith("300 domains, 300 templates")
    with pytest.raises(SystemExit):
        main(["no-such-attack"])

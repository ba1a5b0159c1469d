# SPDX-License-Identifier: GPL-2.0-or-later
"""What is kept stays at its limits, whatever a peer sends; ``attacks`` measures memory."""

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
#: What :func:`kept` says, at most.
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
    "answers": _NUMBERS + 600,  # of a Set that comes when there is room for one more
    "sctp sequences": LIMITS.streams,
}
#: What one exporter may describe, instead of ``elements.LEARNED``.
_LEARNED = 200
#: Enough for every limit to be met long before half of them.
MESSAGES = 2400
_SAMPLES = 12
#: An association may have 65,536 streams, each with a number that is next.
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
    """How many objects a session holds, those of the information model left out."""
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
    # Some of it comes and goes, and what is counted in octets is more objects or fewer.
    half = _SAMPLES // 2
    if attack.name not in _GROWING:
        assert max(sizes[half:]) <= 1.1 * max(sizes[:half]) + 300
    assert known[half] == known[-1]


@pytest.mark.slow
def test_every_attack_does_something() -> None:
    """None is read as something else, and thrown away."""
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

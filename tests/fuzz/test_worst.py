# SPDX-License-Identifier: GPL-2.0-or-later
"""The worst messages there are: time that goes with their octets, depth and memory that end."""

import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from scapy.config import conf

from scapy_ipfix import IPFIX, BasicList, IPFIXSession, Record, SubTemplateList, iter_records
from scapy_ipfix.wire.structured import DEPTH_LIMIT

from ..builders import raw_message, raw_set, raw_template
from . import worst_messages
from .harness import quiet
from .worst import WORST
from .worst_messages import nested, nested_records
from .worstcase import Worst, prefixed, seconds

#: How often it is measured before it is too slow: others use the machine as well.
_MEASURED = 5
#: Reading 64 KiB takes at most so many times what a bare loop over them takes.
_TIMES = 60
#: Octets of memory that an octet of a message may take while it is read. A record is a dict.
_MEMORY = 1000


@pytest.fixture(autouse=True)
def _quiet(debug_dissector: None) -> Iterator[None]:
    with quiet():
        yield


@pytest.fixture(params=WORST, ids=[each.name for each in WORST])
def worst(request: pytest.FixtureRequest) -> Worst:
    case: Worst = request.param
    return case


#: Those that ask most of a message by itself: what others left would be built anew for each.
ALONE = [each for each in WORST if each.make.__module__ == worst_messages.__name__]


@pytest.fixture(params=ALONE, ids=[each.name for each in ALONE])
def alone(request: pytest.FixtureRequest) -> Worst:
    case: Worst = request.param
    return case


def _bare_loop() -> Callable[[], object]:
    """What Python takes to make a dict of each of 65,000 octets: this machine, now."""
    octets = bytes(65_000)
    return lambda: [{"value": each} for each in octets]


def test_time_goes_with_the_octets(worst: Worst) -> None:
    """Anything that is not linear takes minutes here, and not tenths of a second.

    What is wrong with a message is said.
    """
    allowed = _TIMES * min(seconds(_bare_loop()) for _ in range(_MEASURED))
    taken = []
    while len(taken) < _MEASURED:
        collector, read = worst.reader()
        taken.append(seconds(read))
        if taken[-1] < allowed:
            break
    else:
        pytest.fail(f"{min(taken):.3f} s of CPU, {allowed:.3f} s would do")
    assert worst.codes <= collector.diagnostics.counts.keys()


def test_memory_goes_with_the_octets(alone: Worst) -> None:
    _, read = alone.reader()
    octets = sum(map(len, alone.make()))
    tracemalloc.start()
    try:
        read()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < _MEMORY * octets


def test_layers_and_reader_agree(alone: Worst) -> None:
    messages = alone.make()
    session = IPFIXSession(check_values=alone.check_values)
    packets = [IPFIX(each) for each in messages]
    for packet in packets:
        session.process(packet)
    records = [record for packet in packets for record in packet.records]
    fast = iter_records([IPFIX(each) for each in messages])
    assert sum(1 for _ in fast) == sum(isinstance(each, Record) for each in records)
    assert [bytes(each) for each in packets] == list(messages)
    for packet in packets:
        packet.summary()


@pytest.mark.parametrize("depth", [0, 1, DEPTH_LIMIT - 1, DEPTH_LIMIT, DEPTH_LIMIT + 1, 2000])
@pytest.mark.parametrize("kind", ["basicList", "subTemplateList"])
def test_lists_down_to_the_limit_and_beyond(kind: str, depth: int) -> None:
    """Lists within ``DEPTH_LIMIT`` are packets; the first one beyond is octets, and is said."""
    session = IPFIXSession(check_values=True)
    element, octets = (291, nested(depth)) if kind == "basicList" else (292, nested_records(depth))
    sets = raw_set(2, raw_template(260, (element, 65535))), raw_set(260, prefixed(octets))
    packet = session.process(IPFIX(raw_message(*sets)))
    assert packet is not None
    (record,) = packet.records
    levels, inner = 0, record.getfieldval(kind)
    while isinstance(inner, (BasicList, SubTemplateList)):
        levels += 1
        if isinstance(inner, BasicList):
            inner = inner.lists[0] if inner.holds_lists and inner.lists else None
        else:
            inner = inner.records[0].getfieldval(kind) if inner.records else None
    assert levels == min(depth + 1, DEPTH_LIMIT)
    assert ("list-too-deep" in session.diagnostics.counts) is (depth >= DEPTH_LIMIT)
    assert bytes(packet) == raw_message(*sets)
    assert packet.show(dump=True)
    assert bytes(packet.copy()) == raw_message(*sets)
    assert packet.copy().command() == packet.command()
    (values,) = iter_records(raw_message(*sets))
    assert _levels(values[kind]) == min(depth + 1, DEPTH_LIMIT)


def _levels(values: object) -> int:
    """How many lists there are in each other."""
    if not isinstance(values, list):
        return 0
    (inner,) = values[:1] or [None]
    return 1 + _levels(inner.get("subTemplateList") if isinstance(inner, dict) else inner)


def test_a_message_of_sixteen_thousand_sets_can_be_shown() -> None:
    """Scapy's payload chain would end in RecursionError at a hundred."""
    octets = raw_message(b"\1\0\0\4" * 2000)
    packet = IPFIX(octets)
    assert packet.show(dump=True).count("Data Set") == 2000
    assert bytes(packet.copy()) == octets
    assert conf.debug_dissector

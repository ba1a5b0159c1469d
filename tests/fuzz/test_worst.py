# SPDX-License-Identifier: GPL-2.0-or-later
"""Time, memory and depth of the worst messages are bounded."""

import tracemalloc
from collections.abc import Iterator

import pytest
from scapy.config import conf

from scapy_ipfix import IPFIX, BasicList, IPFIXSession, Record, SubTemplateList, iter_records
from scapy_ipfix.wire.structured import DEPTH_LIMIT

from ..builders import raw_message, raw_set, raw_template
from . import worst_messages
from .harness import quiet
from .worst import WORST
from .worst_messages import nested, nested_records
from .worstcase import ROOM, Worst, calls, prefixed, seconds, yardstick

#: Calls for each octet of a message of 64 KiB; the worst message takes two thirds of that.
_CALLS = 16
#: Measurements until one is within the limit: other programs use the machine as well.
_MEASURED = 5
#: CPU time for a message of 64 KiB, in times of the yardstick.
_TIMES = 60
#: Octets of memory for each octet of a message while it is read; a record is a dict.
_MEMORY = 1000


@pytest.fixture(autouse=True)
def _quiet(debug_dissector: None) -> Iterator[None]:
    with quiet():
        yield


@pytest.fixture(params=WORST, ids=[each.name for each in WORST])
def worst(request: pytest.FixtureRequest) -> Worst:
    case: Worst = request.param
    return case


#: Messages that are worst by themselves, without state of earlier messages to build.
ALONE = [each for each in WORST if each.make.__module__ == worst_messages.__name__]


@pytest.fixture(params=ALONE, ids=[each.name for each in ALONE])
def alone(request: pytest.FixtureRequest) -> Worst:
    case: Worst = request.param
    return case


def test_calls_go_with_the_octets(worst: Worst) -> None:
    """Count function calls, which are the same on every machine; a quadratic count is millions."""
    collector, read = worst.reader()
    assert calls(read) < _CALLS * ROOM
    assert worst.codes <= collector.diagnostics.counts.keys()


@pytest.mark.slow
def test_time_goes_with_the_octets(worst: Worst) -> None:
    """Compare with a plain loop, measured next to it: this finds work that makes no calls."""
    ratios = []
    for _ in range(_MEASURED):
        _, read = worst.reader()
        ratios.append(seconds(read) / seconds(yardstick))
        if ratios[-1] < _TIMES:
            return
    pytest.fail(f"{min(ratios):.1f} times the time of a plain loop, {_TIMES} are allowed")


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
    """Lists within ``DEPTH_LIMIT`` are packets; the first beyond is octets and has a diagnostic."""
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
    """Return the depth of nested lists."""
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

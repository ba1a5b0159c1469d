# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of absolute flow times: uptimes that begin anew, offsets, durations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.times import Time, microseconds_to_datetime, microseconds_to_text
from scapy_ipfix.wire.flowtimes import (
    NO_FLOW_TIMES,
    FlowTimes,
    MessageHeader,
    flow_time_fields,
    signed_difference,
    time_before_export,
    time_of_uptime,
    time_since_init,
)
from scapy_ipfix.wire.template import Template

EXPORTED = 1_700_000_000
#: Milliseconds between two times that uptimes of 32 bits can tell apart.
APART = st.integers(-(1 << 31), (1 << 31) - 1)
U32 = st.integers(0, (1 << 32) - 1)


@given(U32, APART)
def test_difference_of_counters_that_began_anew(earlier: int, difference: int) -> None:
    later = (earlier + difference) % (1 << 32)
    assert signed_difference(later, earlier) == difference


@given(U32, APART, st.integers(0, (1 << 32) - 1))
def test_uptime_of_netflow_v9(uptime: int, before: int, exported: int) -> None:
    """A time before or after the export is right, whatever the uptime was then."""
    header = MessageHeader(exported, uptime)
    then = (uptime - before) % (1 << 32)
    assert time_of_uptime(then, header) == exported * 1_000_000 - before * 1000


@given(st.integers(0, 400 * 86_400_000), st.integers(-1_000_000, (1 << 31) - 1000))
def test_uptime_of_ipfix(age: int, before: int) -> None:
    """The device started ``age`` ms before the export, up to eight rollovers ago."""
    export = EXPORTED * 1000
    init, flow = export - age, export - before
    if flow < init:
        return
    uptime = (flow - init) % (1 << 32)
    assert time_since_init(uptime, init, EXPORTED) == flow * 1000


def test_uptime_without_a_useful_export_time() -> None:
    init = EXPORTED * 1000
    expected = init * 1000 + 5_000_000
    for exported in (None, 0, EXPORTED - 40 * 86400):
        assert time_since_init(5000, init, exported) == expected
    assert time_since_init(5000, (1 << 64) - 1, EXPORTED) is None


def test_offset_from_the_export_time() -> None:
    assert time_before_export(250_000, EXPORTED) == EXPORTED * 1_000_000 - 250_000


def test_uptime_without_a_header_of_netflow_v9() -> None:
    assert time_of_uptime(5, MessageHeader(EXPORTED)) is None


@pytest.mark.parametrize(
    "name", ["dateTimeSeconds", "dateTimeMilliseconds", "dateTimeMicroseconds"]
)
@given(value=st.integers(0, (1 << 32) - 1))
def test_microseconds_are_those_of_the_datetime(name: str, value: int) -> None:
    kind = data_type(name)
    assert isinstance(kind, Time)
    value <<= 32 if name == "dateTimeMicroseconds" else 0
    microseconds = kind.to_microseconds(value)
    time = None if microseconds is None else microseconds_to_datetime(microseconds)
    assert time == kind.to_python(value)
    if microseconds is not None:
        assert microseconds_to_text(microseconds) == f"{time:%Y-%m-%dT%H:%M:%S.%fZ}"


def found(
    fields: list[str], *rows: tuple[Any, ...], header: Any = None, init: int | None = None
) -> list[tuple[Any, ...]]:
    """Return start, end and duration of each record, in seconds."""
    template = Template(256, *fields)
    columns = dict(zip(template.names, zip(*rows)))
    selected = flow_time_fields(template)
    times = FlowTimes(selected, columns.__getitem__, len(rows), header, init)
    values = zip(times.starts(), times.ends(), times.durations())
    return [tuple(value if value is None else value / 1e6 for value in row) for row in values]


V9 = MessageHeader(1000, 100_000)
START, END = "flowStartSysUpTime", "flowEndSysUpTime"


@pytest.mark.parametrize(
    ("fields", "row", "header", "init", "expected"),
    [
        ([START, END], (90_000, 95_000), V9, None, (990, 995, 5)),
        ([START, END], (90_000, 100_001), V9, None, (990, 1000.001, 10.001)),
        ([START, END], (90_000, None), V9, None, (990, None, None)),
        ([START, END], (b"\1", 95_000), V9, None, (None, 995, None)),
        ([START, END], (90_000, 95_000), None, None, (None, None, None)),
        ([START, END], (90_000, 95_000), MessageHeader(1000), None, (None, None, None)),
        ([START, END], (90_000, 95_000), MessageHeader(1000), 900_000, (990, 995, 5)),
        ([START, END], (90_000, 95_000), None, 900_000, (990, 995, 5)),
        (
            [START, END, "systemInitTimeMilliseconds"],
            (90_000, 95_000, 800_000),
            MessageHeader(1000),
            900_000,
            (890, 895, 5),
        ),
        (
            [START, END, "systemInitTimeMilliseconds"],
            (90_000, 95_000, 0),
            MessageHeader(1000),
            900_000,
            (990, 995, 5),
        ),
        (["flowStartSeconds", "flowEndSeconds"], (7, 9), None, None, (7, 9, 2)),
        (
            ["flowStartMilliseconds", "flowEndMilliseconds"],
            (7, 9500),
            V9,
            None,
            (0.007, 9.5, 9.493),
        ),
        (["flowStartSeconds", "flowEndMilliseconds"], (7, 9500), None, None, (7, 9.5, 2.5)),
        (["flowStartSeconds", "flowStartMilliseconds"], (7, 7250), None, None, (7.25, None, None)),
        (["flowStartSeconds", "flowStartMilliseconds[0]"], (7, None), V9, None, (7, None, None)),
        (
            ["flowStartDeltaMicroseconds", "flowEndDeltaMicroseconds"],
            (5_000_000, 250_000),
            MessageHeader(1000),
            None,
            (995, 999.75, 4.75),
        ),
        (["flowStartDeltaMicroseconds"], (5_000_000,), None, None, (None, None, None)),
        (["flowStartSeconds", "flowDurationMilliseconds"], (7, 1500), None, None, (7, 8.5, 1.5)),
        (
            ["flowDurationMicroseconds", "flowEndSeconds"],
            (1500, 7),
            None,
            None,
            (6.9985, 7, 0.0015),
        ),
        (["flowDurationMilliseconds"], (1500,), V9, None, (None, None, 1.5)),
        (
            ["flowStartSeconds", "flowEndSeconds", "flowDurationMilliseconds"],
            (7, 9, 1500),
            None,
            None,
            (7, 9, 1.5),
        ),
        (["flowStartMicroseconds", "flowEndMicroseconds"], (0, 0), V9, None, (None, None, None)),
        (["flowStartMilliseconds"], ((1 << 64) - 1,), None, None, (None, None, None)),
    ],
)
def test_times_of_a_record(
    fields: list[str], row: tuple[Any, ...], header: Any, init: Any, expected: tuple[Any, ...]
) -> None:
    rows = found(fields, row, row, header=header, init=init)
    assert rows == [pytest.approx(expected)] * 2


def test_layouts_without_times() -> None:
    fields = flow_time_fields(Template(256, "octetDeltaCount", "reverseFlowStartSeconds"))
    assert fields is NO_FLOW_TIMES
    assert (fields.has_start, fields.has_end, fields.has_duration) == (False, False, False)
    assert fields.names == ()


def test_values_that_a_layout_has() -> None:
    for names, expected in (
        (["flowStartSeconds"], (True, False, False)),
        (["flowEndSeconds"], (False, True, False)),
        (["flowDurationMilliseconds"], (False, False, True)),
        (["flowStartSeconds", "flowDurationMilliseconds"], (True, True, True)),
        (["flowEndSysUpTime", "flowDurationMilliseconds"], (True, True, True)),
        (["flowStartSeconds", "flowEndSysUpTime"], (True, True, True)),
    ):
        fields = flow_time_fields(Template(256, *names))
        assert (fields.has_start, fields.has_end, fields.has_duration) == expected
        assert set(fields.names) == set(names)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Absolute times of flows, from the time elements of a record and the header of its message.

Exporters state when a flow began and ended in one of four ways: as Unix or NTP time (elements
150 to 157), as microseconds before the export time (158, 159), as system uptime (22, 21), or as
one time and a duration (161, 162). All times here are integers, microseconds since 1970 UTC.

System uptime counts milliseconds in 32 bits and begins anew every 49.7 days. NetFlow v9 has it
in its header beside the export time (RFC 3954 5.1); IPFIX has the time of the latest start,
systemInitTimeMilliseconds (160), in the record itself or in options data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from scapy_ipfix.model.times import Time, is_calendar_time
from scapy_ipfix.wire.template import Template, cached_per_template


class MessageHeader(NamedTuple):
    """Times in the header of a message, and the number of the packet that held the message.

    ``export_time`` is in seconds since 1970. ``uptime`` is NetFlow v9's sysUptime in
    milliseconds, None in IPFIX. ``packet`` counts from 1; 0: unknown.
    """

    export_time: int
    uptime: int | None = None
    packet: int = 0


#: The values of a field in many records; times in microseconds, None for unknown ones.
Column: TypeAlias = Sequence[Any]
Times: TypeAlias = "list[int | None]"

_WRAP, _HALF = 1 << 32, 1 << 31
_MILLISECOND, _SECOND = 1000, 1_000_000

# -- arithmetic


def signed_difference(later: int, earlier: int) -> int:
    """Return the difference of two 32-bit counters, from -2^31 to 2^31 - 1.

    Counters that began anew between the two readings, in either direction, do not matter.
    """
    return (later - earlier + _HALF) % _WRAP - _HALF


def time_of_uptime(milliseconds: int, header: MessageHeader) -> int | None:
    """Return the time at which NetFlow v9's sysUptime was ``milliseconds`` (RFC 3954 5.1)."""
    if header.uptime is None:
        return None
    elapsed = signed_difference(header.uptime, milliseconds)
    return header.export_time * _SECOND - elapsed * _MILLISECOND


def time_since_init(milliseconds: int, init: int, export_time: int | None) -> int | None:
    """Return the time at which the uptime of a device was ``milliseconds``.

    ``init`` is systemInitTimeMilliseconds. An uptime beyond 32 bits began anew: the time is
    then the one nearest to the ``export_time`` (seconds since 1970), which None leaves out.
    """
    time = init + milliseconds
    if export_time is not None:
        wraps = (export_time * 1000 - time + _HALF) // _WRAP
        time += max(0, wraps) * _WRAP
    time *= _MILLISECOND
    return time if is_calendar_time(time) else None


def time_before_export(microseconds: int, export_time: int) -> int:
    """Return the time of a negative offset from the export time (elements 158 and 159)."""
    return export_time * _SECOND - microseconds


# -- layouts


class TimeField(NamedTuple):
    """Field of a record that states a time: its name, and the function for its values.

    ``convert`` returns the time of values that are absolute; None: ``is_uptime`` says whether
    they are system uptime or microseconds before the export time.
    """

    name: str
    convert: Callable[[Any], int | None] | None
    is_uptime: bool = False


@dataclass(frozen=True, slots=True)
class FlowTimeFields:
    """Fields of a layout that state times of a flow, in precedence: the finest unit first.

    ``durations`` are names of fields with the microseconds of their unit. ``init`` is the
    field systemInitTimeMilliseconds.
    """

    starts: tuple[TimeField, ...]
    ends: tuple[TimeField, ...]
    durations: tuple[tuple[str, int], ...]
    init: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields that :func:`flow_starts` and :func:`flow_ends` need."""
        names = [each.name for each in (*self.starts, *self.ends)]
        names += [name for name, _ in self.durations]
        return (*names, self.init) if self.init is not None else tuple(names)

    @property
    def has_start(self) -> bool:
        """True where records state a start, or an end and a duration."""
        return bool(self.starts or (self.ends and self.durations))

    @property
    def has_end(self) -> bool:
        """True where records state an end, or a start and a duration."""
        return bool(self.ends or (self.starts and self.durations))

    @property
    def has_duration(self) -> bool:
        """True where records state a duration, or a start and an end."""
        return bool(self.durations or (self.starts and self.ends))


_UNITS = (
    "Nanoseconds",
    "Microseconds",
    "Milliseconds",
    "Seconds",
    "DeltaMicroseconds",
    "SysUpTime",
)
_DURATIONS = {"flowDurationMicroseconds": 1, "flowDurationMilliseconds": 1000}
_INIT = "systemInitTimeMilliseconds"
_ELEMENTS = frozenset(
    (*(f"flow{side}{unit}" for side in ("Start", "End") for unit in _UNITS), *_DURATIONS, _INIT)
)


@cached_per_template
def flow_time_fields(template: Template) -> FlowTimeFields:
    """Return the fields of a layout that state times, NO_FLOW_TIMES where it has none."""
    # Index access, which is faster than by name: a message may define 3,000 layouts.
    fields = [each for each in template.fields if each[0].name in _ELEMENTS and not each[0].pen]
    if not fields:
        return NO_FLOW_TIMES
    own = {each.element.name: each for each in reversed(fields)}

    def times(side: str) -> tuple[TimeField, ...]:
        found = []
        for unit in _UNITS:
            field = own.get(f"flow{side}{unit}")
            if field is None:
                continue
            if unit in ("DeltaMicroseconds", "SysUpTime"):
                found.append(TimeField(field.name, None, unit == "SysUpTime"))
            elif isinstance(field.data_type, Time):
                found.append(TimeField(field.name, field.data_type.to_microseconds))
        return tuple(found)

    return FlowTimeFields(
        times("Start"),
        times("End"),
        tuple((own[name].name, unit) for name, unit in _DURATIONS.items() if name in own),
        own[_INIT].name if _INIT in own else None,
    )


NO_FLOW_TIMES = FlowTimeFields((), (), (), None)

# -- records


class FlowTimes:
    """Times of the flows of many records of one layout.

    ``column`` returns the values of a field in these ``count`` records, in the Scapy domain.
    ``header`` is that of their message, None for an unknown one; ``init`` is the time of the
    latest start in options data, in milliseconds since 1970.
    """

    def __init__(
        self,
        fields: FlowTimeFields,
        column: Callable[[str], Column],
        count: int,
        header: MessageHeader | None,
        init: int | None,
    ) -> None:
        self._fields = fields
        self._column = column
        self._count = count
        self._header = header
        self._init = init
        self._stated_times: dict[tuple[TimeField, ...], Times] = {}

    def starts(self) -> Times:
        """Return when each flow began."""
        starts, durations = self._stated(self._fields.starts), self._fields.durations
        if None in starts and self._fields.ends and durations:
            ends = self._stated(self._fields.ends)
            found = [_sum(end, length, -1) for end, length in zip(ends, self._durations())]
            starts = _completed(starts, found)
        return starts

    def ends(self) -> Times:
        """Return when each flow ended."""
        ends, durations = self._stated(self._fields.ends), self._fields.durations
        if None in ends and self._fields.starts and durations:
            starts = self._stated(self._fields.starts)
            found = [_sum(start, length, 1) for start, length in zip(starts, self._durations())]
            ends = _completed(ends, found)
        return ends

    def durations(self) -> Times:
        """Return how long each flow took: as the record states it, else from start to end."""
        durations = self._durations()
        if None in durations and self._fields.starts and self._fields.ends:
            starts, ends = self._stated(self._fields.starts), self._stated(self._fields.ends)
            found = [
                None if start is None or end is None else end - start
                for start, end in zip(starts, ends)
            ]
            durations = _completed(durations, found)
        return durations

    def _durations(self) -> Times:
        found: Times = [None] * self._count
        for name, unit in self._fields.durations:
            column = self._column(name)
            here = [value * unit if type(value) is int else None for value in column]
            found = _completed(found, here)
        return found

    def _stated(self, fields: tuple[TimeField, ...]) -> Times:
        """Return the first time that the records state in these fields."""
        known = self._stated_times.get(fields)
        if known is not None:
            return known
        found: Times = [None] * self._count
        for field in fields:
            here = self._times(field)
            found = _completed(found, here) if found.count(None) < self._count else here
            if None not in found:
                break
        self._stated_times[fields] = found
        return found

    def _times(self, field: TimeField) -> Times:
        column = self._column(field.name)
        if field.convert is not None:
            return [*map(field.convert, column)]
        if field.is_uptime:
            return self._uptimes(column)
        if self._header is None:
            return [None] * self._count
        time = self._header.export_time
        return [time_before_export(value, time) if type(value) is int else None for value in column]

    def _uptimes(self, column: Column) -> Times:
        header = self._header
        if header is not None and header.uptime is not None:
            return [
                time_of_uptime(value, header) if type(value) is int else None for value in column
            ]
        inits: Column = [self._init] * self._count
        if self._fields.init is not None:
            own = self._column(self._fields.init)
            inits = [init or default for init, default in zip(own, inits)]
        export_time = None if header is None else header.export_time
        return [
            time_since_init(value, init, export_time)
            if type(value) is int and type(init) is int
            else None
            for value, init in zip(column, inits)
        ]


def _sum(time: int | None, duration: int | None, sign: int) -> int | None:
    if time is None or duration is None:
        return None
    time += sign * duration
    return time if is_calendar_time(time) else None


def _completed(times: Times, others: Times) -> Times:
    """Return the times with the others in place of unknown ones."""
    return [other if time is None else time for time, other in zip(times, others)]

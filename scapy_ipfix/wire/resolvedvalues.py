# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolved values of Data Records by name: computed from several fields, the header or facts.

======================================== ==================================================
``sampling_rate``                        packets observed for each one that is counted
``ingress_interface_name``, ``egress_``  name of an interface, else its description
``ingress_vrf_name``, ``egress_``        name of a VRF
``application_name``                     name of an application (RFC 6759)
``flow_start``, ``flow_end``             times in UTC: ``datetime`` in the domain "python",
                                         else ISO text
``flow_duration``                        seconds; a ``timedelta`` in the domain "python"
``source_address``, ``destination_``     IPv4 or IPv6 address
``source_port``, ``destination_port``    port of any transport protocol
``protocol``, ``octets``, ``packets``    number of the protocol, counts of the flow
======================================== ==================================================

A value is None where it is unknown. Options Data Records have none of them.
:data:`RESOLVED_VALUES` is the table; :class:`ResolvedColumns` computes the values for many
records of one layout, a value at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, NamedTuple

from scapy_ipfix.model.datatype import VALUE_DOMAINS, Cache
from scapy_ipfix.model.times import microseconds_to_datetime, microseconds_to_text
from scapy_ipfix.wire.alternatives import ALTERNATIVES, alternatives
from scapy_ipfix.wire.contextfields import NO_CONTEXT_FIELDS, context_fields
from scapy_ipfix.wire.flowtimes import FlowTimeFields, FlowTimes, MessageHeader, flow_time_fields
from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.resolver import KEYED_VALUES, KeyedValue
from scapy_ipfix.wire.template import Template, cached_per_template


class ResolvedColumns:
    """Resolved values of many records of one layout.

    ``column`` returns the values of a field in these ``count`` records, in the Scapy domain.
    Times and durations are in microseconds. ``header`` is that of the records' message.
    """

    def __init__(
        self,
        context: RecordContext,
        template: Template,
        count: int,
        column: Callable[[str], Sequence[Any]],
        header: MessageHeader | None,
    ) -> None:
        self.context = context
        self.template = template
        self.count = count
        self.column = column
        self.header = header
        self._keyed: Mapping[str, Iterable[Any]] | None = None
        self._times: FlowTimes | None = None

    def get(self, name: str) -> Sequence[Any]:
        """Return a resolved value of each record; None: unknown, or not in this layout."""
        value = RESOLVED_VALUES[name]
        if self.template.is_options or value.fields(self.template) is None:
            return [None] * self.count
        return value.compute(self)

    def keyed(self, name: str) -> Sequence[Any]:
        """Return a value that facts are looked up for, see :mod:`~scapy_ipfix.wire.resolver`."""
        if self._keyed is None:
            fields = context_fields(self.template)
            if fields is NO_CONTEXT_FIELDS:
                # A resolver is not worth it: a message may hold 500 layouts.
                rate = self.context.default_rate(self.template)
                self._keyed = {"sampling_rate": [rate] * self.count}
            else:
                columns = [self.column(each) for each in fields.names[:-1]]
                columns.append([None] * self.count)  # for absent fields
                self._keyed = self.context.resolver(self.template).resolve_columns(columns)
        return [*self._keyed[name]]

    @property
    def times(self) -> FlowTimes:
        """The times of the flows."""
        if self._times is None:
            fields = flow_time_fields(self.template)
            init = self.context.init_time
            self._times = FlowTimes(fields, self.column, self.count, self.header, init)
        return self._times


class ResolvedValue(NamedTuple):
    """Value computed for a record: its name, its kind, its fields, its computation.

    ``kind`` is "time", "duration", "address", "protocol", "port", "count", "rate" or "text".
    ``fields`` returns the fields of a layout that the value is computed from, None for a
    layout without it.
    """

    name: str
    kind: str
    fields: Callable[[Template], tuple[str, ...] | None]
    compute: Callable[[ResolvedColumns], Sequence[Any]]


def _keyed_value(value: KeyedValue) -> ResolvedValue:
    def fields(template: Template) -> tuple[str, ...] | None:
        found = context_fields(template)
        return found.names[:-1] if value.is_in(found) else None

    kind = "rate" if value.name == "sampling_rate" else "text"
    return ResolvedValue(value.name, kind, fields, lambda columns: columns.keyed(value.name))


def _time_value(
    name: str,
    kind: str,
    is_in: Callable[[FlowTimeFields], bool],
    compute: Callable[[FlowTimes], Sequence[Any]],
) -> ResolvedValue:
    def fields(template: Template) -> tuple[str, ...] | None:
        found = flow_time_fields(template)
        return found.names if is_in(found) else None

    return ResolvedValue(name, kind, fields, lambda columns: compute(columns.times))


def _alternative_value(name: str) -> ResolvedValue:
    def fields(template: Template) -> tuple[str, ...] | None:
        found = alternatives(template).get(name)
        if found is None or found.version is None:
            return None if found is None else found.names
        return (*found.names, found.version)

    kind = _KINDS.get(name) or name.partition("_")[2]
    return ResolvedValue(
        name,
        kind,
        fields,
        lambda columns: alternatives(columns.template)[name].values(columns.column),
    )


_KINDS = {"protocol": "protocol", "octets": "count", "packets": "count"}
#: All resolved values by name, in the order in which they are added to records.
RESOLVED_VALUES: dict[str, ResolvedValue] = {
    value.name: value
    for value in (
        *map(_keyed_value, KEYED_VALUES),
        _time_value("flow_start", "time", lambda fields: fields.has_start, FlowTimes.starts),
        _time_value("flow_end", "time", lambda fields: fields.has_end, FlowTimes.ends),
        _time_value(
            "flow_duration", "duration", lambda fields: fields.has_duration, FlowTimes.durations
        ),
        *map(_alternative_value, ALTERNATIVES),
    )
}


@cached_per_template
def resolved_names(template: Template) -> tuple[str, ...]:
    """Return the names of the resolved values that records of a layout have."""
    if template.is_options:
        return ()
    return tuple(
        [name for name, value in RESOLVED_VALUES.items() if value.fields(template) is not None]
    )


def needed_fields(template: Template, names: Iterable[str]) -> tuple[str, ...]:
    """Return the fields of a layout that some resolved values are computed from."""
    needed: dict[str, None] = {}
    for name in names:
        needed.update(dict.fromkeys(RESOLVED_VALUES[name].fields(template) or ()))
    return tuple(needed)


# -- domains of values


def _or_none(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _to_seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1_000_000


_to_text = Cache(_or_none(microseconds_to_text)).__getitem__
_CONVERTERS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("time", "python"): _or_none(microseconds_to_datetime),
    ("time", "json"): _to_text,
    ("time", "scapy"): _to_text,
    ("duration", "python"): _or_none(lambda value: timedelta(microseconds=value)),
    ("duration", "json"): _to_seconds,
    ("duration", "scapy"): _to_seconds,
    ("address", "python"): Cache(_or_none(ip_address)).__getitem__,
}


def converter(kind: str, values: str) -> Callable[[Any], Any] | None:
    """Return the function from ResolvedColumns to a domain of values; None: it needs none.

    Times become datetime in "python", else ISO text with six decimals; durations timedelta in
    "python", else seconds; addresses are text except in "python". Raises ValueError for an
    unknown domain.
    """
    if values not in VALUE_DOMAINS:
        raise ValueError(f"values is one of {', '.join(VALUE_DOMAINS)}, not {values!r}")
    return _CONVERTERS.get((kind, values))


def resolve_one(
    context: RecordContext,
    template: Template,
    record: Mapping[str, Any],
    name: str,
    header: MessageHeader | None,
) -> Any:
    """Return a resolved value of one record in the domain "python"; None: unknown.

    ``record`` has values of the Scapy domain, keyed by field name.
    """
    if template.is_options:
        return None
    columns = ResolvedColumns(context, template, 1, lambda field: (record.get(field),), header)
    (value,) = columns.get(name)
    convert = converter(RESOLVED_VALUES[name].kind, "python")
    return value if convert is None else convert(value)


def add_resolved(columns: ResolvedColumns, records: Sequence[dict[str, Any]], values: str) -> None:
    """Add to each record of a layout its resolved values, in a domain of values."""
    for name in resolved_names(columns.template):
        column = columns.get(name)
        convert = converter(RESOLVED_VALUES[name].kind, values)
        for record, value in zip(records, column if convert is None else map(convert, column)):
            record[name] = value

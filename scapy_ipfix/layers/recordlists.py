# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of Data Records that a Data Set has, and a list of records within a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scapy.fields import RawVal
from scapy.packet import Packet

from scapy_ipfix.layers.fields import LazyListField
from scapy_ipfix.layers.lazy import LazyPacketList
from scapy_ipfix.layers.records import Record, read_records, record_class
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template


def bind_records(
    fields: dict[str, Any], template: Template, body: bytes, lists: ListContext | None
) -> bytes:
    """Puts the records that ``body`` holds into a packet's fields; gives what follows them."""
    spans, stop = template.codec.spans(body)
    fields["template"] = template
    fields["records"] = LazyPacketList(
        lambda owner: read_records(template, body, spans, owner, lists), body[:stop], len(spans)
    )
    return body[stop:]


class RecordsField(LazyListField):
    """Data Records, from whatever a person gives for one.

    Whole rows are encoded at once, without a Packet each; that is also when a value that
    does not fit is refused.
    """

    def make(self, pkt: Packet | None, items: list[Any]) -> Any:
        template = pkt.fields.get("template") if pkt is not None else None
        if template is None:
            if any(isinstance(item, (Mapping, tuple)) for item in items):
                raise ValueError(f"{self.name}: dicts and tuples need a template= to go by")
            return super().make(pkt, items)
        if items and not template.codec.structured and all(_is_whole(i, template) for i in items):
            try:
                return _encoded(template, items)
            except ValueError:
                if not any(map(_has_octets, items)):
                    raise
        return [make_record(template, item) for item in items]


def make_record(template: Template, record: Any) -> Packet:
    """A Record from what a person gives for one: a Record, a dict, a tuple, or octets.

    Raises ValueError that names template, field, value and limit.
    """
    if isinstance(record, Packet):
        return record
    if isinstance(record, (bytes, bytearray)):
        return Record(template, bytes(record))
    if isinstance(record, Mapping):
        made = record_class(template)
        values = {}
        for name, value in record.items():
            position = (
                template.names.index(name) if name in template.names else template._position(name)
            )
            values[made._attributes[position]] = value
        return made(template, **values)
    if isinstance(record, str) or not isinstance(record, Sequence):
        raise ValueError(
            f"template {template.id}: {record!r} is no record: give a dict, a tuple, or octets"
        )
    if len(record) != len(template.fields):
        raise ValueError(
            f"template {template.id}: {len(record)} values for {len(template.fields)} fields"
        )
    made = record_class(template)
    return made(template, **dict(zip(made._attributes, record)))


def _is_whole(item: Any, template: Template) -> bool:
    return (isinstance(item, Mapping) and len(item) >= len(template.fields)) or (
        isinstance(item, (tuple, list))
    )


def _has_octets(item: Any) -> bool:
    """Whether a row says outright what is to be on the wire, as only a Record packet can."""
    return any(
        isinstance(value, RawVal)
        for value in (item.values() if isinstance(item, Mapping) else item)
    )


def _encoded(template: Template, rows: Sequence[Any]) -> LazyPacketList:
    octets = template.encode_rows(rows)
    return LazyPacketList(
        lambda owner: _read_back(template, octets, owner), b"".join(octets), len(octets)
    )


def _read_back(template: Template, octets: list[bytes], owner: Packet | None) -> list[Packet]:
    spans = []
    position = 0
    for each in octets:
        spans.append((position, position + len(each)))
        position += len(each)
    return read_records(template, b"".join(octets), spans, owner)

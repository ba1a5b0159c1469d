# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists of Data Records, in Data Sets and in structured data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scapy.fields import RawVal
from scapy.packet import Packet

from scapy_ipfix.layers.fields import LazyListField
from scapy_ipfix.layers.lazy import LazyPacketList, PacketTable
from scapy_ipfix.layers.records import Record, read_records, record_class
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template


def bind_records(
    fields: dict[str, Any], template: Template, body: bytes, lists: ListContext | None
) -> bytes:
    """Set ``template`` and ``records`` of a packet's fields; return the octets after the records.

    ``lists`` is the context for decoding lists in the records.
    """
    codec = template.codec
    count, stop = codec.count_records(body)

    def load(owner: Packet | None) -> list[Packet]:
        return read_records(template, body, codec.record_spans(body)[0], owner, lists)

    fields["template"] = template
    fields["records"] = LazyPacketList(load, body[:stop], count)
    return body[stop:]


class RecordsField(LazyListField):
    """Data Records; takes packets, dicts, tuples and octets.

    Complete rows are encoded without a Packet for each. Raises ValueError for a value that does
    not fit its field.
    """

    def to_packets(self, pkt: Packet | None, items: list[Any]) -> Any:
        template = pkt.fields.get("template") if pkt is not None else None
        if template is None:
            if any(isinstance(item, (Mapping, tuple)) for item in items):
                raise ValueError(f"{self.name}: dicts and tuples need template=")
            return super().to_packets(pkt, items)
        if (
            items
            and not template.codec.structured
            and all(_is_complete(i, template) for i in items)
        ):
            try:
                return _encode_rows(template, items)
            except ValueError:
                if not any(map(_has_raw_values, items)):
                    raise
        return PacketTable(make_record(template, item) for item in items)


def make_record(template: Template, record: Any) -> Packet:
    """Return a Record from a packet, a dict, a tuple or octets.

    Raises ValueError for a value that does not fit its field.
    """
    if isinstance(record, Packet):
        return record
    if isinstance(record, (bytes, bytearray)):
        return Record(template, bytes(record))
    if isinstance(record, Mapping):
        record = template.row(record)
    if isinstance(record, str) or not isinstance(record, Sequence):
        raise ValueError(
            f"template {template.id}: {record!r} is not a record; give a dict, a tuple or bytes"
        )
    if len(record) != len(template.fields):
        raise ValueError(
            f"template {template.id}: {len(record)} values for {len(template.fields)} fields"
        )
    cls = record_class(template)
    return cls(template, **dict(zip(cls._attributes, record)))


def _is_complete(item: Any, template: Template) -> bool:
    return (isinstance(item, Mapping) and len(item) >= len(template.fields)) or (
        isinstance(item, (tuple, list))
    )


def _has_raw_values(item: Any) -> bool:
    """Return whether a row has RawVal values, which only a Record packet can encode."""
    return any(
        isinstance(value, RawVal)
        for value in (item.values() if isinstance(item, Mapping) else item)
    )


def _encode_rows(template: Template, rows: Sequence[Any]) -> LazyPacketList:
    octets = template.encode_rows(rows)
    return LazyPacketList(
        lambda owner: _decode_rows(template, octets, owner), b"".join(octets), len(octets)
    )


def _decode_rows(template: Template, octets: list[bytes], owner: Packet | None) -> list[Packet]:
    spans = []
    position = 0
    for each in octets:
        spans.append((position, position + len(each)))
        position += len(each)
    return read_records(template, b"".join(octets), spans, owner)

# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of Data Records that a Data Set has, and a list of records within a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scapy.fields import RawVal
from scapy.packet import Packet

from scapy_ipfix.fields import LazyListField
from scapy_ipfix.lazy import LazyPacketList
from scapy_ipfix.records import make_record, read_records
from scapy_ipfix.structured import ListContext
from scapy_ipfix.templates import Template


def bind_records(
    fields: dict[str, Any], template: Template, body: bytes, context: ListContext
) -> bytes:
    """Puts the records that ``body`` holds into a packet's fields; gives what follows them."""
    spans, stop = template.codec.spans(body)
    fields["template"] = template
    fields["records"] = LazyPacketList(
        lambda owner: read_records(template, body, spans, owner, context), body[:stop], len(spans)
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

# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages and Data Sets as a collector read them, without packets.

A :class:`CollectedMessage` has a :class:`CollectedSet` for each Data Set: its offsets, and its
template as soon as that is known.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter
from typing import Any, Protocol, TypeAlias
from weakref import ReferenceType, ref

from scapy_ipfix.collector.contextview import ContextView
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.sequence import Counts
from scapy_ipfix.wire.flowtimes import MessageHeader
from scapy_ipfix.wire.framing import V9_VERSION
from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.resolvedvalues import (
    ResolvedColumns,
    add_resolved,
    needed_fields,
    resolved_names,
)
from scapy_ipfix.wire.structured import ListContext, with_decoded_lists
from scapy_ipfix.wire.template import Template

#: Items of a MessageHeader: to make one of them takes as long as a CollectedSet.
HeaderItems: TypeAlias = "tuple[int, int | None, int]"


class UnboundSet(Protocol):
    """Data Set packet that is bound to its template once this is known."""

    def bind(
        self,
        template: Template,
        lists: ListContext | None = None,
        context: RecordContext | None = None,
    ) -> Any: ...


class CollectedSet:
    """Data Set of a message: its octets, and its template as soon as that is known."""

    __slots__ = (
        *("_decoded", "_header", "_unbound", "domain", "index", "list_context"),
        *("metadata_number", "octets", "padding", "set_id", "start", "stop", "template"),
    )

    def __init__(
        self,
        domain: Domain,
        index: int,
        set_id: int,
        octets: bytes,
        start: int,
        stop: int,
        template: Template | None,
        header: HeaderItems,
    ) -> None:
        self.domain = domain
        self._header = header
        #: Position of the Set in its message, from 0.
        self.index = index
        self.set_id = set_id
        #: Octets that hold the Set from ``start`` to ``stop``, its header included.
        self.octets = octets
        self.start = start
        self.stop = stop
        #: Octets of padding after ``stop``, where there is room for a record or more in it.
        self.padding = 0
        self.template = template
        #: The number of the latest change of :class:`Metadata` when the Set arrived.
        self.metadata_number = domain.metadata.now
        #: Context for decoding lists in the records, with the templates of that time.
        self.list_context: ListContext | None = None
        #: Packets to be bound when the template arrives, unless they are dropped before.
        self._unbound: list[ReferenceType[UnboundSet]] | None = None
        self._decoded: list[dict[str, Any]] | None = None

    @property
    def header(self) -> MessageHeader:
        """The times in the header of the message, and the number of its packet."""
        return MessageHeader(*self._header)

    @property
    def is_truncated(self) -> bool:
        """True if the Set ends before the length in its header."""
        start = self.start
        length = int.from_bytes(self.octets[start + 2 : start + 4], "big")
        return length > self.stop + self.padding - start

    @property
    def body(self) -> bytes:
        """The octets of the records and of the padding."""
        return self.octets[self.start + 4 : self.stop]

    def with_body(self, body: bytes) -> CollectedSet:
        """Return the Set with some of its records alone, whose octets are ``body``."""
        octets = self.octets[self.start : self.start + 4] + body
        stop, template = len(octets), self.template
        part = CollectedSet(
            self.domain, self.index, self.set_id, octets, 0, stop, template, self._header
        )
        part.metadata_number = self.metadata_number
        part.list_context = self.list_context
        return part

    def detach(self) -> None:
        """Keep the octets of the Set alone, so that its message need not be kept."""
        self.octets = self.octets[self.start : self.stop]
        self.start, self.stop = 0, len(self.octets)

    def attach(self, packet: UnboundSet) -> None:
        """Register a packet of the Set, to be bound when the template arrives."""
        self._unbound = [each for each in self._unbound or () if each() is not None]
        self._unbound.append(ref(packet))

    def bind_packets(self) -> None:
        """Bind the registered packets to the template, which has arrived."""
        for reference in self._unbound or ():
            packet = reference()
            if packet is not None and self.template is not None:
                packet.bind(self.template, self.lists, self.view)
        self._unbound = None

    @property
    def lists(self) -> ListContext:
        """The context for decoding lists in the records, for packets."""
        return (self.list_context or ListContext()).without_parts()

    @property
    def view(self) -> ContextView:
        """The facts of options data in force when the Set arrived."""
        domain = self.domain
        return ContextView(domain.metadata, domain.key, self.metadata_number, self.header)

    def decode_options(self) -> list[dict[str, Any]]:
        """Return the records as dicts with lists as octets, for the collector to learn from.

        They are kept for the next call of :meth:`records` until :meth:`clear`.
        """
        self._decoded = self.records(lists=False)
        return self._decoded

    def clear(self) -> None:
        """Drop the records that :meth:`decode_options` kept."""
        self._decoded = None

    def records(
        self,
        names: tuple[str, ...] | None = None,
        values: str = "scapy",
        resolve: bool = False,
        lists: bool = True,
    ) -> list[Any]:
        """Return the records as dicts, or as tuples in the order of ``names``.

        ``values`` is the domain of values, "scapy", "python" or "json". ``resolve`` adds
        resolved values to dicts. Without ``lists``, structured data stays octets. The list is
        empty while the template is unknown, or if it lacks one of ``names``.
        """
        template = self.template
        codec = template.projection(names, values) if template is not None else None
        if codec is None:
            return []
        decoded = None
        if self._decoded is not None and names is None and values == "scapy":
            decoded, self._decoded = self._decoded, None
        read = codec.dicts if names is None else codec.rows
        records: list[Any] = decoded or read(self.octets[self.start + 4 : self.stop])
        if codec.structured and (lists or values == "json"):
            context = self.list_context if lists and self.list_context else _NO_LISTS
            records = with_decoded_lists(records, codec, context, values)
        if resolve and names is None and records and template is not None:
            if values == "scapy":
                columns = self._resolved_columns(template, records)
            else:
                columns = self.resolved_columns(template, resolved_names(template), len(records))
            add_resolved(columns, records, values)
        return records

    def _resolved_columns(
        self, template: Template, records: list[dict[str, Any]]
    ) -> ResolvedColumns:
        """Return the resolved values of records that are decoded in the Scapy domain."""

        def column(name: str) -> list[Any]:
            return [record[name] for record in records]

        return ResolvedColumns(self.view, template, len(records), column, self.header)

    def resolved_columns(
        self, template: Template, names: Iterable[str], count: int
    ) -> ResolvedColumns:
        """Return some resolved values of the records, of which there are ``count``."""
        needed = needed_fields(template, names)
        codec = template.projection(needed) if needed else None
        rows = codec.rows(self.body) if codec is not None else ()
        columns = dict(zip(needed, zip(*rows)))
        return ResolvedColumns(self.view, template, count, columns.__getitem__, self.header)


_index = attrgetter("index")
#: Context that decodes no list: the first one exceeds its depth.
_NO_LISTS = ListContext(limit=0)


class CollectedMessage:
    """Message as a collector read it; the context of its packet.

    ``sets`` are its Data Sets in order. ``ready`` are those that can be decoded, with those of
    earlier messages whose template arrived in this one.
    """

    __slots__ = (
        *("data_records", "domain", "export_time", "is_truncated", "missing", "octets", "packet"),
        *("pending", "ready", "records", "restarted", "sequence", "sets", "templates", "time"),
    )

    def __init__(
        self,
        domain: Domain,
        export_time: int,
        sequence: int,
        octets: bytes,
        time: float,
        packet: int,
        missing: int = 0,
    ) -> None:
        self.domain = domain
        #: Export time, in seconds since 1970.
        self.export_time = export_time
        #: Sequence number.
        self.sequence = sequence
        self.octets = octets
        #: Capture time in seconds since 1970, 0 where there is none.
        self.time = time
        #: Number of the packet in diagnostics, from 1.
        self.packet = packet
        #: Octets at the end of the message that the capture does not have.
        self.missing = missing
        #: True where a Set is longer than the rest of the message.
        self.is_truncated = False
        self.sets: list[CollectedSet] = []
        self.ready: list[CollectedSet] = []
        #: Data Records of the message.
        self.records = 0
        #: Data Records without Options Data Records.
        self.data_records = 0
        #: Template Records without withdrawals.
        self.templates = 0
        #: True where the exporter restarted before it.
        self.restarted = False
        #: The identities of its Data Sets whose template is unknown.
        self.pending: set[int] = set()

    @property
    def version(self) -> int:
        """The version in the message header: 10, or 9 for NetFlow v9."""
        return self.domain.version

    @property
    def header(self) -> HeaderItems:
        """The times in the header, and the number of the packet."""
        uptime = None
        if self.domain.version == V9_VERSION:
            uptime = int.from_bytes(self.octets[4:8], "big")
        return self.export_time, uptime, self.packet

    @property
    def counts(self) -> Counts:
        """The numbers that sequence numbers are compared with."""
        records: int | None = self.records
        data_records: int | None = self.data_records
        if self.pending or self.missing:
            records = data_records = None
        return Counts(
            *(self.sequence, records, data_records, self.export_time),
            *(self.templates, self.restarted),
        )

    def template(self, index: int) -> Template | None:
        """Return the template of the Set at a position in the message, None if unknown."""
        read = self._at(index)
        return read.template if read is not None else None

    def lists(self, index: int) -> ListContext:
        """Return the context for decoding lists in the records of a Data Set."""
        read = self._at(index)
        return read.lists if read is not None else ListContext()

    def padding(self, index: int) -> int:
        """Return the octets at the end of a Data Set that are padding as long as records."""
        read = self._at(index)
        return read.padding if read is not None else 0

    def record_context(self, index: int) -> RecordContext:
        """Return the facts of options data in force for the records of a Data Set."""
        read = self._at(index)
        return read.view if read is not None else RecordContext()

    def attach(self, index: int, data_set: UnboundSet) -> None:
        """Register the packet of a Data Set, to be bound when its template arrives."""
        read = self._at(index)
        if read is not None and read.template is None:
            read.attach(data_set)

    def _at(self, index: int) -> CollectedSet | None:
        position = bisect_left(self.sets, index, key=_index)
        if position < len(self.sets) and self.sets[position].index == index:
            return self.sets[position]
        return None

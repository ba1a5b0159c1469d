# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages: :class:`IPFIX` (RFC 7011 3.1) and :class:`NetFlowV9` (RFC 3954 5.1).

A message has its Sets in a list, ``sets``, to which ``IPFIX() / TemplateSet() / DataSet()``
appends. Any other packet becomes its payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scapy.fields import IntField, ShortField
from scapy.layers.inet import UDP
from scapy.packet import Packet

from scapy_ipfix.layers.context import NO_CONTEXT, MessageContext, UnboundSet
from scapy_ipfix.layers.fields import LazyListField, LengthField, UTCField
from scapy_ipfix.layers.lazy import LazyPacket, LazyPacketList, PacketTable, raw
from scapy_ipfix.layers.sets import DataSet, Set, TemplateSet, set_class
from scapy_ipfix.text import counted
from scapy_ipfix.wire.diagnostics import Defect, cite_version
from scapy_ipfix.wire.flowtimes import MessageHeader
from scapy_ipfix.wire.framing import (
    IPFIX_HEADER,
    IPFIX_VERSION,
    MINIMUM_DATA_SET,
    TEMPLATE_SETS,
    V9_HEADER,
    V9_VERSION,
    SetSpan,
    find_message_end,
    walk_sets,
    walk_templates,
    without_cut,
)
from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template

_UDP_HEADER = 8


class _PickledContext:
    """Context of an unpickled message: the templates that its Data Sets were bound to."""

    def __init__(self, templates: dict[int, Template]) -> None:
        self.templates = templates
        # One for all Sets, of which a message may hold 16,000.
        self._lists = ListContext({each.id: each for each in templates.values()}.get)

    def template(self, index: int) -> Template | None:
        return self.templates.get(index)

    def lists(self, index: int) -> ListContext:
        return self._lists

    def padding(self, index: int) -> int:
        return 0

    def record_context(self, index: int) -> RecordContext:
        return NO_CONTEXT

    def attach(self, index: int, data_set: UnboundSet) -> None:
        """Ignore the packet: no template arrives any more."""


class _SetsField(LazyListField):
    """Sets of a message; a Template becomes a Set that announces it."""

    def to_packets(self, pkt: Packet | None, items: list[Any]) -> Any:
        version = pkt.version_number if pkt is not None else IPFIX_VERSION
        return super().to_packets(
            pkt,
            [
                _announcement(item, version) if isinstance(item, Template) else item
                for item in items
            ],
        )


def _announcement(template: Template, version: int) -> Set:
    """Return the Set that announces one template."""
    set_id = TEMPLATE_SETS[version][template.is_options]
    return set_class(version, set_id)(templates=[template])


class Message(LazyPacket):
    """Export message of either protocol, a header and Sets; base of IPFIX and NetFlowV9."""

    __slots__ = ["context", "missing"]
    name = "Message"
    version_number = 0
    header_length = 0
    _export_time_field = "exportTime"

    def __init__(self, _pkt: Any = b"", *arguments: Any, missing: int = 0, **fields: Any) -> None:
        #: Octets at the end of the message that its capture does not have.
        self.missing = missing
        #: State of the session that read the message.
        self.context: MessageContext | None = None
        super().__init__(_pkt, *arguments, **fields)

    # -- dissecting

    def do_dissect(self, s: bytes) -> bytes:
        udp = self.underlayer
        if udp.__class__ is UDP and udp.fields.get("len"):
            self.missing = max(0, udp.fields["len"] - _UDP_HEADER - len(s))
        if self.missing:
            self._noted.append(Defect.make("packet-cut", octets=self.missing))
        if len(s) < self.header_length:
            return self._dissect_header_only(s)
        self.fields = self._header(s)
        stop, defect = self._stop(s)
        if defect is not None:
            self._noted += without_cut((defect,), self.missing)
        if stop < len(s):
            self._noted.append(Defect.make("message-trailing", octets=len(s) - stop))
        octets = s[:stop]
        self.fields["sets"] = LazyPacketList(
            # The Sets of a copy have its context, which may differ by then.
            lambda owner: (owner if isinstance(owner, Message) else self)._load(octets),
            octets[self.header_length :],
        )
        self.raw_packet_cache = octets
        self.explicit = 1
        return s[stop:]

    def _header(self, s: bytes) -> dict[str, Any]:
        raise TypeError("a Message cannot be dissected; use IPFIX or NetFlowV9")

    def _stop(self, s: bytes) -> tuple[int, Defect | None]:
        return len(s), None

    def _dissect_header_only(self, s: bytes) -> bytes:
        """Dissect the whole fields of a truncated header; the rest becomes Raw."""
        if not self.missing:
            self._noted.append(Defect.make("header-truncated", available=len(s)))
        position = 0
        for field in self.fields_desc[:-1]:
            if position + field.sz > len(s):
                self.fields[field.name] = None
                continue
            _, self.fields[field.name] = field.getfield(self, s[position:])
            position += field.sz
        self.fields["sets"] = []
        self.raw_packet_cache, self.explicit = s[:position], 1
        return s[position:]

    def self_build(self) -> bytes:
        if self.raw_packet_cache is not None and len(self.raw_packet_cache) < self.header_length:
            return self.raw_packet_cache
        return super().self_build()

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return (s, b"") if self.fields.get(self.fields_desc[-2].name, 0) is None else (b"", s)

    def _load(self, octets: bytes) -> list[Packet]:
        """Return the packets of the Sets, Data Sets bound to their templates where known."""
        spans, defects, stop = walk_sets(octets, self.header_length, len(octets))
        self._noted += without_cut(defects, self.missing)
        context = self.context
        local: dict[int, Template] = {}
        lists = ListContext(local.get)
        version = self.version_number
        packets: list[Packet] = []
        unbound: list[DataSet] = []
        for index, span in enumerate(spans):
            packet = set_class(version, span.set_id)(octets[span.start : span.stop])
            packet.add_parent(self)
            packets.append(packet)
            if isinstance(packet, DataSet):
                template = context.template(index) if context else local.get(span.set_id)
                if template is None:
                    unbound.append(packet)
                elif context is None:
                    packet.bind(template, lists)
                else:
                    packet.bind(
                        template,
                        context.lists(index),
                        context.record_context(index),
                        context.padding(index),
                    )
                if context is not None:
                    context.attach(index, packet)
            elif context is None and isinstance(packet, TemplateSet):
                _define(local, octets, span, version)
        if self.missing and packets and stop == len(octets):
            packets[-1]._noted = []  # those of octets that are not in the capture
        for data_set in unbound:
            if data_set.setId in local:
                data_set.bind(local[data_set.setId], lists)
        rest = octets[stop:]
        if rest:
            packets.append(raw(rest, self))
        return packets

    # -- building

    def add_payload(self, payload: Any) -> None:
        """Append a Set to the message's Sets; make any other packet the payload."""
        while isinstance(payload, Set):
            following = payload.payload
            payload.remove_payload()
            payload.underlayer = None
            payload.add_parent(self)
            self._adopt(payload)
            payload = following
        if payload:
            super().add_payload(payload)

    def _adopt(self, item: Set) -> None:
        sets = self.getfieldval("sets")
        if "sets" not in self.fields:
            sets = []
        sets.append(item)
        self.fields["sets"] = sets
        self.explicit = 0
        self.raw_packet_cache = None
        self.wirelen = None

    # -- contents

    @property
    def message_header(self) -> MessageHeader | None:
        """The export time and the uptime in the header; None where it has no export time."""
        exported = self.getfieldval(self._export_time_field)
        if not isinstance(exported, int):
            return None
        uptime = self.getfieldval("sysUptime") if self.version_number == V9_VERSION else None
        return MessageHeader(exported, uptime)

    @property
    def records(self) -> list[Packet]:
        """The Data Records of all Sets in order, Options Data Records included."""
        return PacketTable(
            record for each in self.sets if isinstance(each, DataSet) for record in each.records
        )

    @property
    def defects(self) -> list[Defect]:
        """The defects of the message itself, without those of its Sets."""
        self.getfieldval("sets")
        return cite_version(self._noted, self.version_number)

    @property
    def all_defects(self) -> list[Defect]:
        """The defects of the message and of its Sets."""
        found = list(self.defects)
        for each in self.sets:
            if isinstance(each, Set):
                found += each.defects
        return found

    def _counts(self) -> str:
        sets, context = self.fields.get("sets"), self.context
        octets = sets.octets if isinstance(sets, LazyPacketList) else None
        if octets is not None and context is not None:
            templates, records, unknown = self._count_octets(octets, context)
        else:
            templates, records, unknown = self._count_packets()
        parts = [counted(templates, "template"), counted(records, "record")]
        if unknown:
            parts.append(f"{counted(unknown, 'set')} of unknown template")
        return ", ".join(parts)

    def _count_packets(self) -> tuple[int, int, int]:
        """Return the numbers of templates, of records, and of Data Sets of unknown template."""
        templates = records = unknown = 0
        for each in self.sets:
            if isinstance(each, TemplateSet):
                templates += len(each.fields.get("templates", ()))
            elif isinstance(each, DataSet):
                if each.template is None and each.fields.get("undecoded"):
                    unknown += 1
                else:
                    records += len(each.fields.get("records", ()))
        return templates, records, unknown

    def _count_octets(self, octets: bytes, context: MessageContext) -> tuple[int, int, int]:
        """Return the same without making packets, which takes a second for 14,000 Sets."""
        spans, _, _ = walk_sets(octets, 0, len(octets))
        version = self.version_number
        templates = records = unknown = 0
        for index, (set_id, start, stop) in enumerate(spans):
            body = octets[start + 4 : stop]
            if set_id >= MINIMUM_DATA_SET:
                template = context.template(index)
                if template is None:
                    unknown += body != b""
                elif 0 < template.length <= len(body):
                    body = body[: len(body) - context.padding(index)]
                    records += template.codec.count_records(body)[0]
            elif set_id in TEMPLATE_SETS[version]:
                options = set_id == TEMPLATE_SETS[version][1]
                templates += len(walk_templates(body, options=options, version=version)[0])
        return templates, records, unknown

    def copy(self) -> Any:
        clone = super().copy()
        clone.context, clone.missing = self.context, self.missing
        return clone

    def clone_with(self, payload: Any = None, **fields: Any) -> Any:
        clone = super().clone_with(payload, **fields)
        clone.context, clone.missing = self.context, self.missing
        return clone

    def _decoding_state(self) -> dict[int, Template]:
        return {
            index: each.template
            for index, each in enumerate(self.sets)
            if isinstance(each, DataSet) and each.template is not None
        }

    def _restore_decoding(self, known: dict[int, Template]) -> None:
        self.context = _PickledContext(known)

    def command(self) -> str:
        """Return Python source that creates the message, from octets if its header is cut off."""
        cached = self.raw_packet_cache
        if cached is not None and len(cached) < self.header_length:
            return f"{self.__class__.__name__}({bytes(self)!r})"
        command: str = super().command()
        return command


def _define(local: dict[int, Template], octets: bytes, span: SetSpan, version: int) -> None:
    """Add the templates that a Set of the message defines, for a message without a session."""
    options = span.set_id == TEMPLATE_SETS[version][1]
    spans, _, _ = walk_templates(
        octets[span.start + 4 : span.stop], options=options, version=version
    )
    for each in spans:
        if each.specifiers:
            local[each.template_id] = Template.from_wire(each, version, options=options)


class IPFIX(Message):
    """IPFIX Message (RFC 7011 3.1): a header and Sets.

    Craft one, or dissect octets; Data Sets are bound to the templates in the message, and by
    ``IPFIXSession`` to those of earlier messages::

        t = Template(256, "sourceIPv4Address", "octetDeltaCount[4]")
        m = IPFIX(observationDomainId=7) / TemplateSet(templates=[t]) / DataSet(
            template=t, records=[{"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 1500}])
        m = IPFIX(bytes(m))
        m.sets, m[DataSet], m.records, m.all_defects

    ``version``
        10.
    ``length``
        octets of the message; computed when None.
    ``exportTime``
        seconds since 1970, ISO text or a ``datetime``; the time of building when None.
    ``sequenceNumber``
        the number of Data Records sent before in the transport session and domain, modulo 2**32.
    ``observationDomainId``
        the Observation Domain of the records.
    ``sets``
        Sets, octets, or Templates, each of which becomes a Set of its own.

    Octets after ``length`` become Padding. A malformed message is dissected as far as possible,
    and :attr:`all_defects` lists what is wrong with it.
    """

    name = "IPFIX"
    fields_desc = [
        ShortField("version", IPFIX_VERSION),
        LengthField("length", None),
        UTCField("exportTime", None),
        IntField("sequenceNumber", 0),
        IntField("observationDomainId", 0),
        _SetsField("sets"),
    ]
    version_number = IPFIX_VERSION
    header_length = IPFIX_HEADER.size

    def _header(self, s: bytes) -> dict[str, Any]:
        version, length, exported, sequence, domain = IPFIX_HEADER.unpack_from(s)
        return {
            "version": version,
            "length": length,
            "exportTime": exported,
            "sequenceNumber": sequence,
            "observationDomainId": domain,
        }

    def _stop(self, s: bytes) -> tuple[int, Defect | None]:
        return find_message_end(s)

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.length is None:
            if len(pkt) > 65535:
                raise ValueError(f"IPFIX: {len(pkt)} octets; a Message has at most 65535")
            pkt = pkt[:2] + len(pkt).to_bytes(2, "big") + pkt[4:]
        return pkt + pay

    def mysummary(self) -> str:
        return f"IPFIX domain={self.observationDomainId} seq={self.sequenceNumber} {self._counts()}"

    @classmethod
    def tcp_reassemble(cls, data: bytes, metadata: Mapping[str, Any], session: Any) -> Any:
        """Return the next whole message of a stream, for Scapy's TCPSession (RFC 7011 10.4)."""
        if len(data) < 4:
            return None
        length = int.from_bytes(data[2:4], "big")
        if length < IPFIX_HEADER.size or len(data) >= length:
            return cls(data)
        return None


class NetFlowV9(Message):
    """NetFlow v9 Export Packet (RFC 3954 5.1): a header and FlowSets.

    Craft one as ``NetFlowV9(sourceId=7) / TemplateFlowSet(templates=[t]) / DataFlowSet(
    template=t, records=[...])``, or dissect octets; see :class:`IPFIX`.

    ``version``
        9.
    ``count``
        number of records, Template Records included; computed when None.
    ``sysUptime``
        milliseconds since the exporter started.
    ``unixSecs``
        seconds since 1970, ISO text or a ``datetime``; the time of building when None.
    ``sequenceNumber``
        the number of Export Packets sent before.
    ``sourceId``
        the Observation Domain of the records.
    ``sets``
        FlowSets, octets, or Templates, each of which becomes a FlowSet of its own.
    """

    name = "NetFlow v9"
    fields_desc = [
        ShortField("version", V9_VERSION),
        LengthField("count", None),
        IntField("sysUptime", 0),
        UTCField("unixSecs", None),
        IntField("sequenceNumber", 0),
        IntField("sourceId", 0),
        _SetsField("sets"),
    ]
    version_number = V9_VERSION
    header_length = V9_HEADER.size
    _export_time_field = "unixSecs"

    def _header(self, s: bytes) -> dict[str, Any]:
        version, count, uptime, seconds, sequence, source = V9_HEADER.unpack_from(s)
        return {
            "version": version,
            "count": count,
            "sysUptime": uptime,
            "unixSecs": seconds,
            "sequenceNumber": sequence,
            "sourceId": source,
        }

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.count is None:
            pkt = pkt[:2] + (self.record_count() & 0xFFFF).to_bytes(2, "big") + pkt[4:]
        return pkt + pay

    def record_count(self) -> int:
        """Return the number of records in the FlowSets, Template Records included."""
        total = 0
        for each in self.sets:
            if isinstance(each, TemplateSet):
                total += len(each.fields.get("templates", ()))
            elif isinstance(each, DataSet):
                total += len(each.fields.get("records", ()))
        return total

    def mysummary(self) -> str:
        return f"NetFlow v9 source={self.sourceId} seq={self.sequenceNumber} {self._counts()}"


MESSAGE_CLASSES: dict[int, type[Message]] = {IPFIX_VERSION: IPFIX, V9_VERSION: NetFlowV9}


def make_message(octets: bytes, missing: int = 0) -> Message | None:
    """Return the message in octets by their version, None for neither IPFIX nor NetFlow v9.

    ``missing`` octets at its end are not in the capture.
    """
    cls = MESSAGE_CLASSES.get(int.from_bytes(octets[:2], "big"))
    return cls(octets, missing=missing) if cls is not None and len(octets) > 1 else None

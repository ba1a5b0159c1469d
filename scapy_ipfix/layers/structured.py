# SPDX-License-Identifier: GPL-2.0-or-later
"""Structured data (RFC 6313): the packets in a record's list fields.

A list from the wire whose template is unknown keeps its octets in ``undecoded`` until the
template arrives.
"""

from __future__ import annotations

from typing import Any

from scapy.fields import ByteEnumField, ConditionalField, Field, ShortField
from scapy.packet import Packet

from scapy_ipfix.layers.fields import (
    LIST_PACKETS,
    LazyListField,
    LengthField,
    OctetsField,
    TemplateReferenceField,
)
from scapy_ipfix.layers.lazy import LazyPacket, LazyPacketList, raw
from scapy_ipfix.layers.recordlists import RecordsField, bind_records
from scapy_ipfix.layers.templates import FieldSpecifier
from scapy_ipfix.model.model import elements
from scapy_ipfix.wire.codec import RecordCodec, record_codec
from scapy_ipfix.wire.diagnostics import Defect
from scapy_ipfix.wire.layout import STRUCTURED
from scapy_ipfix.wire.structured import (
    SEMANTICS,
    UNDEFINED,
    BasicListHeader,
    ListContext,
    basic_list_header,
    encode_values,
    multi_list_blocks,
    semantic_number,
)
from scapy_ipfix.wire.template import Template

_undecoded = ConditionalField(
    OctetsField("undecoded"), lambda pkt: bool(pkt.fields.get("undecoded"))
)


class _SemanticField(ByteEnumField):
    """Semantic of a list, the relation of its elements (RFC 6313 4.4); 255 is undefined."""

    def __init__(self) -> None:
        super().__init__("semantic", UNDEFINED, SEMANTICS)

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        return semantic_number(x) if isinstance(x, str) else super().any2i(pkt, x)


class _ValuesField(Field[Any, Any]):
    """Values of a basicList, each as in a record's field of its element."""

    islist = 1

    def __init__(self, name: str) -> None:
        super().__init__(name, [], "B")
        self.sz = 0

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        return list(x) if isinstance(x, (list, tuple)) else [x]

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        field = pkt.codec.fields[0] if pkt is not None else None
        texts = []
        for value in x:
            names = field.element.values if field is not None else None
            name = names.text(value) if names is not None and isinstance(value, int) else None
            texts.append(name or (field.data_type.to_text(value) if field else repr(value)))
        return f"[{', '.join(texts)}]"


class StructuredList(LazyPacket):
    """Base of the three lists: a semantic, and the context for decoding what is in the list."""

    __slots__ = ["context"]
    name = "Structured Data"

    def __init__(
        self, _pkt: Any = b"", *arguments: Any, context: ListContext | None = None, **fields: Any
    ) -> None:
        self.context = context or ListContext(depth=1)
        super().__init__(_pkt, *arguments, **fields)

    def do_dissect(self, s: bytes) -> bytes:
        self.raw_packet_cache, self.explicit = s, 1
        self.raw_packet_cache_fields = None
        if not self._read(s):
            # The header is cut off.
            self.fields = {"undecoded": s, "semantic": None}
            self._noted.append(Defect.make("list-malformed", name=self.name, flaw="truncated"))
        return b""

    def _read(self, s: bytes) -> bool:
        raise TypeError("a StructuredList cannot be dissected; use one of its subclasses")

    def self_build(self) -> bytes:
        if self.fields.get("semantic", 0) is None:
            return self.fields["undecoded"]
        return super().self_build()

    def copy(self) -> Any:
        return self._with_state(super().copy())

    def clone_with(self, payload: Any = None, **fields: Any) -> Any:
        return self._with_state(super().clone_with(payload, **fields))

    def _with_state(self, clone: Any) -> Any:
        """Return a copy, given the context and the octets by which changes are detected."""
        clone.context, clone.original = self.context, self.original
        return clone


def list_packet(kind: str, octets: bytes, context: ListContext, parent: Packet | None) -> Packet:
    """Return the packet of a list in a list: Raw if it has no octets or is nested too deep."""
    inner = context.nested() if octets else None
    packet = raw(octets) if inner is None else LIST_PACKETS[kind](octets, context=inner)
    packet.add_parent(parent)
    return packet


class BasicList(StructuredList):
    """basicList (RFC 6313 4.5.1): values of one Information Element.

    ``BasicList(element="octetDeltaCount[4]", values=[1, 2], semantic="allOf")``; ``element``, a
    name or an IESpec, sets the element id, the length and the enterprise number. Values are as
    in a record. A list of lists has packets in ``lists`` instead.
    """

    name = "basicList"
    fields_desc = [
        _SemanticField(),
        FieldSpecifier,
        ConditionalField(_ValuesField("values"), lambda pkt: not pkt.holds_lists),
        ConditionalField(LazyListField("lists"), lambda pkt: pkt.holds_lists),
        _undecoded,
    ]
    __slots__ = ["_decoded"]

    def __init__(
        self, _pkt: Any = b"", *arguments: Any, element: str | None = None, **fields: Any
    ) -> None:
        self._decoded: list[Any] | None = None
        if element is not None:
            found, length = elements.spec(element, define=False)
            fields.setdefault("informationElementId", found.id)
            fields.setdefault("fieldLength", length)
            if found.pen:
                fields.setdefault("enterpriseNumber", found.pen)
        super().__init__(_pkt, *arguments, **fields)

    is_enterprise = FieldSpecifier.is_enterprise
    element = FieldSpecifier.element

    @property
    def header(self) -> BasicListHeader:
        """The semantic and the Field Specifier of the list."""
        pen = self.fields.get("enterpriseNumber", 0)
        get = self.getfieldval
        enterprise, id, length = self.is_enterprise, get("informationElementId"), get("fieldLength")
        return BasicListHeader(get("semantic"), enterprise, pen, id, length, 9 if enterprise else 5)

    @property
    def codec(self) -> RecordCodec:
        """The codec of a value, as a record of one field."""
        return record_codec(self.header.layout(self.context))

    @property
    def holds_lists(self) -> bool:
        return bool(self.codec.structured)

    def _read(self, s: bytes) -> bool:
        header = basic_list_header(s)
        if header is None:
            return False
        self.fields = {
            "semantic": header.semantic,
            "enterpriseBit": int(header.enterprise),
            "informationElementId": header.id,
            "fieldLength": header.length,
        }
        if header.enterprise:
            self.fields["enterpriseNumber"] = header.pen
        codec = self.codec
        body = s[header.size :]
        spans, stop = codec.record_spans(body)
        if codec.structured:
            kind = codec.structured[0][2]
            rows, context = codec.rows(body[:stop]), self.context
            self.fields["lists"] = LazyPacketList(
                lambda owner: [list_packet(kind, octets, context, owner) for (octets,) in rows],
                body[:stop],
                len(spans),
            )
        else:
            self._decoded = [value for (value,) in codec.rows(body[:stop])]
            self.fields["values"] = list(self._decoded)
        if stop < len(body):
            self.fields["undecoded"] = body[stop:]
            flaw = f"{len(body) - stop} octets after the last value"
            self._noted.append(Defect.make("list-malformed", name=self.name, flaw=flaw))
        return True

    def self_build(self) -> bytes:
        get = self.fields.get
        if get("semantic", 0) is None:
            return self.fields["undecoded"]
        if self.raw_packet_cache is not None and self._unchanged():
            return self.raw_packet_cache
        self.raw_packet_cache = None
        header, model = self.header, self.context.model
        (field,) = header.layout(self.context)
        items = get("lists", ()) if self.holds_lists else self.values
        return header.octets + encode_values(field, items, model) + get("undecoded", b"")

    def _unchanged(self) -> bool:
        if "lists" in self.fields:
            lists = self.fields["lists"]
            return getattr(lists, "octets", None) is not None or all(
                bytes(each) == each.original for each in lists
            )
        return self.fields.get("values") == self._decoded

    def _with_state(self, clone: Any) -> Any:
        clone._decoded = self._decoded
        lists = self.fields.get("lists", ())
        if getattr(lists, "octets", None) is None:
            # Lists nested too deep are Scapy's Raw, whose copies lack ``original``.
            for mine, copied in zip(lists, clone.fields.get("lists", ())):
                copied.original = mine.original
        return super()._with_state(clone)

    def mysummary(self) -> str:
        return f"basicList of {self.element.name}"


class _RecordList(StructuredList):
    """List of the records of one template."""

    def getfieldval(self, attr: str) -> Any:
        self._bind_late()
        return super().getfieldval(attr)

    def getfield_and_val(self, attr: str) -> tuple[Any, Any]:
        self._bind_late()
        return super().getfield_and_val(attr)

    def _bind_late(self) -> None:
        """Decode the records if their template has arrived since."""
        fields = self.fields
        if fields.get("undecoded") and fields.get("template") is None and "templateId" in fields:
            template = self.context.template(fields["templateId"])
            if template is not None:
                self._bind(template, fields.pop("undecoded"))

    def _bind(self, template: Template, body: bytes) -> None:
        rest = bind_records(self.fields, template, body, self.context)
        if rest:
            self.fields["undecoded"] = rest
            flaw = f"{len(rest)} octets after the last record"
            self._noted.append(Defect.make("list-malformed", name=self.name, flaw=flaw))

    def _read_records(self, template_id: int, body: bytes) -> None:
        template = self.context.template(template_id)
        if template is not None:
            self._bind(template, body)
            return
        self.fields["records"] = []
        if body:
            self.fields["undecoded"] = body


class SubTemplateList(_RecordList):
    """subTemplateList (RFC 6313 4.5.2): records of one template.

    ``SubTemplateList(template=t, records=[{...}, ...], semantic="allOf")``; ``records`` are as
    in a DataSet.
    """

    name = "subTemplateList"
    fields_desc = [
        _SemanticField(),
        LengthField("templateId", None),
        TemplateReferenceField("template"),
        RecordsField("records"),
        _undecoded,
    ]

    def _read(self, s: bytes) -> bool:
        if len(s) < 3:
            return False
        template_id = int.from_bytes(s[1:3], "big")
        self.fields = {"semantic": s[0], "templateId": template_id}
        self._read_records(template_id, s[3:])
        return True

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.fields.get("templateId") is None and self.template is not None:
            pkt = pkt[:1] + self.template.id.to_bytes(2, "big") + pkt[3:]
        return pkt + pay

    def mysummary(self) -> str:
        template_id = self.templateId
        if template_id is None and self.template is not None:
            template_id = self.template.id
        return f"subTemplateList of template {template_id}"


class SubTemplateBlock(_RecordList):
    """Records of one template in a subTemplateMultiList; ``length`` includes the header."""

    name = "subTemplateMultiList block"
    fields_desc = [
        ShortField("templateId", None),
        LengthField("length", None),
        TemplateReferenceField("template"),
        RecordsField("records"),
        _undecoded,
    ]

    def _read(self, s: bytes) -> bool:
        if len(s) < 4:
            return False
        template_id = int.from_bytes(s[:2], "big")
        self.fields = {"templateId": template_id, "length": int.from_bytes(s[2:4], "big")}
        self._read_records(template_id, s[4:])
        return True

    def self_build(self) -> bytes:
        if self.fields.get("templateId") is None and "semantic" not in self.fields:
            self.templateId = self.template.id if self.template is not None else 0
        return super().self_build()

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.fields.get("length") is None:
            pkt = pkt[:2] + len(pkt).to_bytes(2, "big") + pkt[4:]
        return pkt + pay


class SubTemplateMultiList(StructuredList):
    """subTemplateMultiList (RFC 6313 4.5.3): blocks of records of different templates.

    ``SubTemplateMultiList(blocks=[SubTemplateBlock(template=t, records=[...]), ...])``.
    """

    name = "subTemplateMultiList"
    fields_desc = [_SemanticField(), LazyListField("blocks"), _undecoded]

    def _read(self, s: bytes) -> bool:
        if not s:
            return False
        blocks, stop = multi_list_blocks(s)
        context = self.context

        def load(owner: Packet | None) -> list[Packet]:
            packets = []
            for _, start, end in blocks:
                packet = SubTemplateBlock(s[start - 4 : end], context=context)
                packet.add_parent(owner)
                packets.append(packet)
            return packets

        self.fields = {"semantic": s[0], "blocks": LazyPacketList(load, s[1:stop], len(blocks))}
        if stop < len(s):
            self.fields["undecoded"] = s[stop:]
            flaw = f"{len(s) - stop} octets after the last block"
            self._noted.append(Defect.make("list-malformed", name=self.name, flaw=flaw))
        return True


LIST_PACKETS.update(
    basicList=BasicList, subTemplateList=SubTemplateList, subTemplateMultiList=SubTemplateMultiList
)
assert LIST_PACKETS.keys() == STRUCTURED

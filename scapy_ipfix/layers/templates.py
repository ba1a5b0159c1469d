# SPDX-License-Identifier: GPL-2.0-or-later
"""Template Records and their Field Specifiers.

Those of IPFIX are in RFC 7011 3.2, 3.4.1 and 3.4.2. NetFlow v9 has no enterprise bit, and its
scope fields have types of their own (RFC 3954 5.2, 6.1).
"""

from __future__ import annotations

from typing import Any

from scapy.fields import BitField, ConditionalField, IntField, ShortField
from scapy.packet import Packet

from scapy_ipfix.layers.fields import LazyListField, LengthField
from scapy_ipfix.layers.lazy import DirectPacket, LazyPacket, LazyPacketList, raw
from scapy_ipfix.model.datatypes import VARIABLE
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.model import elements
from scapy_ipfix.wire.framing import IPFIX_VERSION, V9_VERSION, TemplateSpan, walk_templates
from scapy_ipfix.wire.template import Template
from scapy_ipfix.wire.v9scopes import V9_SCOPES, v9_scope


class _ElementIdField(BitField):
    """Element id, shown with its name in the default model."""

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        if x and isinstance(x, int) and x >> self.size:
            raise ValueError(f"{self.name}: {x} is not in 0..{(1 << self.size) - 1}")
        return super().any2i(pkt, x)

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        if pkt is None or x is None:
            return str(x)
        element = pkt.element
        return f"{x} ({element.name})" if not element.name.startswith("_") else str(x)


class _FieldLengthField(ShortField):
    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        return "65535 (variable)" if x == VARIABLE else str(x)


class FieldSpecifier(DirectPacket):
    """Field Specifier (RFC 7011 3.2): an Information Element and its length in octets."""

    name = "Field Specifier"
    match_subclass = True
    fields_desc = [
        BitField("enterpriseBit", None, 1),
        _ElementIdField("informationElementId", 0, 15),
        _FieldLengthField("fieldLength", 0),
        ConditionalField(IntField("enterpriseNumber", 0), lambda pkt: pkt.is_enterprise),
    ]

    @property
    def is_enterprise(self) -> bool:
        """True if an enterprise number follows: by the bit, or if that is None by the number."""
        bit = self.fields.get("enterpriseBit")
        return bool(self.fields.get("enterpriseNumber")) if bit is None else bool(bit)

    @property
    def element(self) -> InformationElement:
        """The element in the default model."""
        return elements.element(self.fields.get("enterpriseNumber", 0), self.informationElementId)

    def self_build(self) -> bytes:
        if self.raw_packet_cache is None and self.fields.get("enterpriseBit") is None:
            octets = (self.is_enterprise << 15 | self.informationElementId).to_bytes(2, "big")
            octets += self.fieldLength.to_bytes(2, "big")
            return octets + (
                self.enterpriseNumber.to_bytes(4, "big") if self.is_enterprise else b""
            )
        built: bytes = super().self_build()
        return built

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s

    def mysummary(self) -> str:
        size = "variable" if self.fieldLength == VARIABLE else f"{self.fieldLength} octets"
        return f"{self.element.name} {size}"

    def _show_or_dump(self, dump: bool = False, *arguments: Any, **keywords: Any) -> Any:
        """Show the specifier in one line, so that a template's fields are one below another."""
        label = keywords.get("label_lvl", "")
        length = self.fieldLength
        size = "variable length" if length == VARIABLE else f"{length} octets"
        number = f"{self.informationElementId}"
        if self.is_enterprise:
            number = f"{self.enterpriseNumber}/{number}"
        text = f"{label}  {self.element.name} ({number}) {size}\n"
        if keywords.get("first_call", True) and not dump:
            print(text, end="")
            return None
        return text


class FlowSetFieldSpecifier(FieldSpecifier):
    """Field of a NetFlow v9 template (RFC 3954 5.2): a type and a length in octets."""

    name = "FlowSet Field Specifier"
    fields_desc = [
        _ElementIdField("informationElementId", 0, 16),
        _FieldLengthField("fieldLength", 0),
    ]

    @property
    def is_enterprise(self) -> bool:
        return False

    @property
    def element(self) -> InformationElement:
        return elements.v9_element(self.informationElementId)

    def self_build(self) -> bytes:
        built: bytes = Packet.self_build(self)
        return built


class ScopeFieldSpecifier(FlowSetFieldSpecifier):
    """Scope field of a NetFlow v9 Options Template (RFC 3954 6.1): a scope type and a length."""

    name = "Scope Field Specifier"

    @property
    def element(self) -> InformationElement:
        return v9_scope(self.informationElementId)


class TemplateRecord(LazyPacket):
    """Template Record (RFC 7011 3.4.1).

    One without fields withdraws the template (RFC 7011 8.1).
    """

    name = "Template Record"
    fields_desc = [
        ShortField("templateId", 256),
        LengthField("fieldCount", None),
        LazyListField("fieldSpecifiers"),
    ]
    version = IPFIX_VERSION
    options = False

    @classmethod
    def from_template(cls, template: Template) -> TemplateRecord:
        """Return the record that announces a template.

        Raises ValueError for a template that the protocol version cannot express.
        """
        record = cls(templateId=template.id)
        record.fieldSpecifiers = [cls._specifier(i, template) for i in range(len(template.fields))]
        return record

    @classmethod
    def _specifier(cls, position: int, template: Template) -> FieldSpecifier:
        field = template.fields[position]
        element = field.element
        if cls.version == IPFIX_VERSION:
            if element.id > 0x7FFF:
                raise ValueError(
                    f"template {template.id}: {element.name} ({element.id}) is a NetFlow v9 field "
                    "type, IPFIX element ids end at 32767"
                )
            return FieldSpecifier(
                informationElementId=element.id,
                fieldLength=field.length,
                enterpriseNumber=element.pen,
            )
        try:
            kind = elements.v9_type(element)
        except ValueError as problem:
            raise ValueError(f"template {template.id}: {problem}") from None
        return FlowSetFieldSpecifier(informationElementId=kind, fieldLength=field.length)

    @property
    def template(self) -> Template:
        """The template that the record defines, with names of the default model."""
        spans, _, _ = walk_templates(bytes(self), options=self.options, version=self.version)
        if not spans:
            return Template.from_fields(self.templateId, ())
        return Template.from_wire(spans[0], self.version, options=self.options)

    @property
    def is_withdrawal(self) -> bool:
        return self.version == IPFIX_VERSION and not self.fieldSpecifiers

    def do_dissect(self, s: bytes) -> bytes:
        spans, defects, _ = walk_templates(s, options=self.options, version=self.version)
        if not spans:
            self._noted += defects
            self.raw_packet_cache, self.explicit = b"", 1
            return s
        self._read(s[: spans[0].stop], spans[0])
        return s[spans[0].stop :]

    def _read(self, octets: bytes, span: TemplateSpan) -> None:
        header = self._header_length(span)
        self.fields = self._header(octets)
        self.fields["fieldSpecifiers"] = LazyPacketList(
            lambda owner: self._specifiers(octets[header:], span.scope_count, owner),
            octets[header:],
            len(span.specifiers),
        )
        self.raw_packet_cache = octets
        self.explicit = 1

    def _header_length(self, span: TemplateSpan) -> int:
        return 4

    def _header(self, octets: bytes) -> dict[str, Any]:
        return {
            "templateId": int.from_bytes(octets[:2], "big"),
            "fieldCount": int.from_bytes(octets[2:4], "big"),
        }

    def _specifiers(self, octets: bytes, scopes: int, owner: Packet | None) -> list[Packet]:
        specifiers: list[Packet] = []
        position = 0
        while position + 4 <= len(octets):
            cls = self._specifier_class(len(specifiers) < scopes)
            enterprise = cls is FieldSpecifier and octets[position] & 0x80
            stop = position + (8 if enterprise else 4)
            specifier = cls(octets[position:stop])
            specifier.add_parent(owner)
            specifiers.append(specifier)
            position = stop
        return specifiers

    def _specifier_class(self, is_scope: bool) -> type[FieldSpecifier]:
        if self.version == IPFIX_VERSION:
            return FieldSpecifier
        return ScopeFieldSpecifier if is_scope else FlowSetFieldSpecifier

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.fieldCount is None:
            pkt = pkt[:2] + len(self.fieldSpecifiers).to_bytes(2, "big") + pkt[4:]
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s

    def mysummary(self) -> str:
        if self.is_withdrawal:
            return f"withdrawal of template {self.templateId}"
        return f"template {self.templateId} ({len(self.fieldSpecifiers)} fields)"


class OptionsTemplateRecord(TemplateRecord):
    """Options Template Record (RFC 7011 3.4.2.2): its first fields are the scope.

    One without fields, which withdraws the template, has no scope field count on the wire.
    """

    name = "Options Template Record"
    fields_desc = [
        ShortField("templateId", 256),
        LengthField("fieldCount", None),
        ConditionalField(LengthField("scopeFieldCount", None), lambda pkt: not pkt.is_withdrawal),
        LazyListField("fieldSpecifiers"),
    ]
    options = True

    @classmethod
    def from_template(cls, template: Template) -> TemplateRecord:
        record = super().from_template(template)
        if template.fields:
            record.scopeFieldCount = template.scope_count
        return record

    def _header_length(self, span: TemplateSpan) -> int:
        return 6 if span.specifiers else 4

    def _header(self, octets: bytes) -> dict[str, Any]:
        header = super()._header(octets)
        if header["fieldCount"]:
            header["scopeFieldCount"] = int.from_bytes(octets[4:6], "big")
        return header

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if not self.is_withdrawal and self.scopeFieldCount is None:
            pkt = pkt[:4] + (1).to_bytes(2, "big") + pkt[6:]
        return super().post_build(pkt, pay)


class FlowSetTemplateRecord(TemplateRecord):
    """Template Record of NetFlow v9 (RFC 3954 5.2)."""

    name = "FlowSet Template Record"
    version = V9_VERSION


class FlowSetOptionsTemplateRecord(TemplateRecord):
    """Options Template Record of NetFlow v9 (RFC 3954 6.1), with lengths in octets."""

    name = "FlowSet Options Template Record"
    fields_desc = [
        ShortField("templateId", 256),
        LengthField("optionScopeLength", None),
        LengthField("optionLength", None),
        LazyListField("fieldSpecifiers"),
    ]
    version = V9_VERSION
    options = True

    @classmethod
    def _specifier(cls, position: int, template: Template) -> FieldSpecifier:
        field = template.fields[position]
        if not field.is_scope:
            return super()._specifier(position, template)
        kind = _v9_scope_type(field.element)
        if kind is None:
            raise ValueError(
                f"template {template.id}: {field.name} is not a scope of NetFlow v9; use one of "
                f"{', '.join(each.name for each in V9_SCOPES.values())}"
            )
        return ScopeFieldSpecifier(informationElementId=kind, fieldLength=field.length)

    def _header_length(self, span: TemplateSpan) -> int:
        return 6

    def _header(self, octets: bytes) -> dict[str, Any]:
        return {
            "templateId": int.from_bytes(octets[:2], "big"),
            "optionScopeLength": int.from_bytes(octets[2:4], "big"),
            "optionLength": int.from_bytes(octets[4:6], "big"),
        }

    def _read(self, octets: bytes, span: TemplateSpan) -> None:
        super()._read(octets, span)
        # Lengths that are not multiples of 4 leave octets between the specifiers.
        if self.fields["optionScopeLength"] % 4 or self.fields["optionLength"] % 4:
            self.fields["fieldSpecifiers"] = LazyPacketList(
                lambda owner: [raw(octets[6:], owner)], octets[6:], 1
            )

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        scope = 4 * sum(isinstance(each, ScopeFieldSpecifier) for each in self.fieldSpecifiers)
        if self.optionScopeLength is None:
            pkt = pkt[:2] + scope.to_bytes(2, "big") + pkt[4:]
        if self.optionLength is None:
            pkt = pkt[:4] + (len(pkt) - 6 - scope).to_bytes(2, "big") + pkt[6:]
        return pkt + pay


#: IPFIX elements (enterprise number, id) with the meaning of a NetFlow v9 scope type.
_SCOPE_EQUIVALENTS = {(0, 10): 2, (0, 141): 3, (0, 145): 5, (0, 144): 1, (0, 130): 1}


def _v9_scope_type(element: InformationElement) -> int | None:
    if V9_SCOPES.get(element.id) == element:
        return element.id
    if element.name.startswith("_scope_"):
        return element.id
    return _SCOPE_EQUIVALENTS.get((element.pen, element.id))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets of IPFIX (RFC 7011 3.3, 3.4) and FlowSets of NetFlow v9 (RFC 3954 5, 6).

    Set                      a Set of a reserved id, as octets
    +- TemplateSet           (id 2)   TemplateFlowSet (id 0)
    +- OptionsTemplateSet    (id 3)   OptionsTemplateFlowSet (id 1)
    +- DataSet               (256 up) DataFlowSet

Each FlowSet class is a subclass of the Set class beside it.
"""

from __future__ import annotations

from typing import Any

from scapy.fields import ConditionalField, ShortField
from scapy.packet import Packet

from scapy_ipfix.layers.context import NO_CONTEXT
from scapy_ipfix.layers.fields import (
    LazyListField,
    LengthField,
    OctetsField,
    TemplateReferenceField,
)
from scapy_ipfix.layers.lazy import LazyPacket, LazyPacketList, build_packets
from scapy_ipfix.layers.recordlists import RecordsField, bind_records
from scapy_ipfix.layers.templates import (
    FlowSetOptionsTemplateRecord,
    FlowSetTemplateRecord,
    OptionsTemplateRecord,
    TemplateRecord,
)
from scapy_ipfix.text import counted
from scapy_ipfix.wire.diagnostics import Defect, cite_version, shown_octets
from scapy_ipfix.wire.framing import (
    IPFIX_VERSION,
    OPTIONS_TEMPLATE_FLOWSET,
    OPTIONS_TEMPLATE_SET,
    TEMPLATE_FLOWSET,
    TEMPLATE_SET,
    V9_VERSION,
    walk_templates,
)
from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.rows import arrange_rows
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template
from scapy_ipfix.wire.validation import value_defects


class Set(LazyPacket):
    """Set of a reserved id (RFC 7011 3.3.2): a set header and octets, ``data``."""

    name = "Set"
    fields_desc = [
        ShortField("setId", None),
        LengthField("length", None),
        OctetsField("data"),
    ]
    version = IPFIX_VERSION

    def __init__(self, _pkt: Any = b"", *arguments: Any, **fields: Any) -> None:
        if isinstance(_pkt, Template):
            name = type(self).__name__
            example = (
                f"{name}(template=template, records=[...])"
                if issubclass(type(self), DataSet)
                else f"{name}(templates=[template])"
            )
            raise TypeError(f"a template is not octets of a Set; write {example}")
        super().__init__(_pkt, *arguments, **fields)

    def do_dissect(self, s: bytes) -> bytes:
        """Dissect a set header and the octets that follow, which belong to this Set."""
        if len(s) < 4:
            self.raw_packet_cache, self.explicit = b"", 1
            self._noted.append(Defect.make("set-length", set_id=0, length=len(s)))
            return s
        set_id, length = int.from_bytes(s[:2], "big"), int.from_bytes(s[2:4], "big")
        stop = length if 4 <= length <= len(s) else len(s)
        self.fields = {"setId": set_id, "length": length}
        self.raw_packet_cache = s[:stop]
        self.explicit = 1
        self._read_body(s[4:stop])
        return s[stop:]

    @property
    def defects(self) -> list[Defect]:
        """The defects of the Set that show without the rest of the message."""
        # A Set of a reserved id is the same in both protocols.
        return cite_version(self._noted, getattr(self.parent, "version_number", self.version))

    def _read_body(self, body: bytes) -> None:
        self.fields["data"] = body
        self._noted.append(Defect.make("set-reserved", set_id=self.setId))

    def _set_id(self) -> int:
        """Return the set id to build when the field is None."""
        return 0

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.setId is None:
            pkt = self._set_id().to_bytes(2, "big") + pkt[2:]
        if self.length is None:
            if len(pkt) > 65535:
                raise ValueError(f"{self.name}: {len(pkt)} octets; a Set has at most 65535")
            pkt = pkt[:2] + len(pkt).to_bytes(2, "big") + pkt[4:]
        return pkt + pay

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s

    def mysummary(self) -> str:
        return f"{self.name} {self.setId}"


class _SetIdField(ShortField):
    def i2m(self, pkt: Packet | None, x: Any) -> int:
        return 0 if x is None else x


class _TemplatesField(LazyListField):
    """Template Records; a Template becomes the record that announces it."""

    def to_packets(self, pkt: Packet | None, items: list[Any]) -> Any:
        record = pkt.record_class if pkt is not None else TemplateRecord
        return super().to_packets(
            pkt,
            [record.from_template(item) if isinstance(item, Template) else item for item in items],
        )


class TemplateSet(Set):
    """Template Set (RFC 7011 3.4.1): ``TemplateSet(templates=[template, ...])``.

    ``templates`` takes Templates and TemplateRecords; a TemplateRecord without fields withdraws
    a template (RFC 7011 8.1). Raises ValueError for a template that the protocol version cannot
    express.
    """

    name = "Template Set"
    fields_desc = [
        _SetIdField("setId", TEMPLATE_SET),
        LengthField("length", None),
        _TemplatesField("templates"),
        OctetsField("padding"),
    ]
    record_class: type[TemplateRecord] = TemplateRecord

    def _set_id(self) -> int:
        default: int = self.default_fields["setId"]
        return default

    def _read_body(self, body: bytes) -> None:
        record = self.record_class
        spans, defects, stop = walk_templates(body, options=record.options, version=record.version)
        self._noted += defects
        rest = body[stop:]
        if not defects and rest.count(0) != len(rest):
            octets = shown_octets(rest)
            self._noted.append(Defect.make("padding-nonzero", set_id=self.setId, octets=octets))

        def load(owner: Packet | None) -> list[Packet]:
            records: list[Packet] = []
            for span in spans:
                each = record()
                each._read(body[span.start : span.stop], span)
                each.add_parent(owner)
                records.append(each)
            return records

        self.fields["templates"] = LazyPacketList(load, body[:stop], len(spans))
        self.fields["padding"] = rest

    def mysummary(self) -> str:
        return f"{self.name}: {counted(len(self.fields.get('templates', ())), 'template')}"


class OptionsTemplateSet(TemplateSet):
    """Options Template Set (RFC 7011 3.4.2): templates with scope fields."""

    name = "Options Template Set"
    fields_desc = [
        _SetIdField("setId", OPTIONS_TEMPLATE_SET),
        LengthField("length", None),
        _TemplatesField("templates"),
        OctetsField("padding"),
    ]
    record_class = OptionsTemplateRecord


class TemplateFlowSet(TemplateSet):
    """Template FlowSet of NetFlow v9 (RFC 3954 5.2)."""

    name = "Template FlowSet"
    fields_desc = [
        _SetIdField("setId", TEMPLATE_FLOWSET),
        LengthField("length", None),
        _TemplatesField("templates"),
        OctetsField("padding"),
    ]
    record_class = FlowSetTemplateRecord
    version = V9_VERSION


class OptionsTemplateFlowSet(OptionsTemplateSet):
    """Options Template FlowSet of NetFlow v9 (RFC 3954 6.1); padded to 32 bits."""

    name = "Options Template FlowSet"
    fields_desc = [
        _SetIdField("setId", OPTIONS_TEMPLATE_FLOWSET),
        LengthField("length", None),
        _TemplatesField("templates"),
        OctetsField("padding", None),
    ]
    record_class = FlowSetOptionsTemplateRecord
    version = V9_VERSION

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        return super().post_build(_pad(self, pkt), pay)


def _pad(flowset: Set, octets: bytes) -> bytes:
    """Pad a FlowSet to 32 bits unless its padding is given (RFC 3954 5.3)."""
    if flowset.padding is None and flowset.length is None:
        octets += bytes(-len(octets) % 4)
    return octets


class DataSet(Set):
    """Data Set (RFC 7011 3.4.3): Data Records of one template.

    A Data Set from the wire is bound to its template by its message or by ``IPFIXSession``, and
    by hand with :meth:`bind`. Craft one with the template::

        t = Template(256, "sourceIPv4Address", "octetDeltaCount[4]")
        d = DataSet(template=t, records=[
            {"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 1500},  # by element name
            ("192.0.2.2", 40),                                  # in the template's order
            Record(t, octetDeltaCount=9), bytes(8)])            # packets, octets
        d.records[0].sourceIPv4Address
        DataSet(bytes(d)).bind(t).records

    ``setId``
        the template's id when None.
    ``length``
        octets of the Set, its header included; computed when None.
    ``template``
        the Template, not on the wire; None while it is unknown.
    ``records``
        Record packets, made on first access.
    ``undecoded``
        octets without a template, or that do not fit it.
    ``padding``
        octets after the records.

    A dict must have each field of the template and no other: ``defaults=True`` gives missing
    ones the zero of their type, ``ignore_extra=True`` leaves others out. ``fields=[...]`` names
    the values of tuples in another order. Raises ValueError for a record that does not fit the
    template.
    """

    __slots__ = ["_lists", "record_context"]
    name = "Data Set"
    fields_desc = [
        _SetIdField("setId", None),
        LengthField("length", None),
        TemplateReferenceField("template"),
        RecordsField("records"),
        ConditionalField(OctetsField("undecoded"), lambda pkt: bool(pkt.fields.get("undecoded"))),
        OctetsField("padding"),
    ]

    def __init__(
        self,
        *arguments: Any,
        defaults: bool = False,
        ignore_extra: bool = False,
        **fields: Any,
    ) -> None:
        self._lists: ListContext | None = None
        #: The facts of options data in force for the records.
        self.record_context: RecordContext = NO_CONTEXT
        names, template = fields.pop("fields", None), fields.get("template")
        if (defaults or ignore_extra or names is not None) and isinstance(template, Template):
            rows = arrange_rows(
                template,
                fields.get("records", ()),
                names,
                defaults=defaults,
                ignore_extra=ignore_extra,
            )
            fields["records"] = list(rows)
        super().__init__(*arguments, **fields)

    def _set_id(self) -> int:
        return self.template.id if self.template is not None else 256

    def _read_body(self, body: bytes) -> None:
        self.fields["records"] = []
        self.fields["undecoded"] = body
        self.fields["padding"] = b""

    def bind(
        self,
        template: Template,
        lists: ListContext | None = None,
        context: RecordContext | None = None,
        padding: int = 0,
    ) -> DataSet:
        """Decode the Data Set's octets with a template, also those decoded with another one.

        ``lists`` is the context for decoding lists in the records (RFC 6313), ``context`` the
        facts of options data in force for them. The last ``padding`` octets are no records,
        even if there is room for some. Returns the Data Set.
        """
        fields = self.fields
        body = build_packets(fields.get("records", ())) + fields.get("undecoded", b"")
        body += fields.get("padding") or b""
        self._lists = lists
        self.record_context = context or NO_CONTEXT
        records_end = len(body) - padding
        rest = bind_records(fields, template, body[:records_end], self._lists)
        cut = len(rest) >= max(template.length, 1)
        fields.pop("undecoded", None)
        if cut:
            fields["undecoded"] = rest
        fields["padding"] = body[records_end:] if cut else rest + body[records_end:]
        # The message reports a Set that is longer than the rest of it.
        is_truncated = (fields.get("length") or 0) > 4 + len(body)
        trailing = [] if is_truncated else template.trailing_defects(rest, len(fields["records"]))
        self._noted = trailing
        return self

    @property
    def defects(self) -> list[Defect]:
        """The defects of the Set and of the values of its records."""
        template, records = self.fields.get("template"), self.fields.get("records", ())
        if template is None:
            return super().defects
        found = value_defects(template, build_packets(records), self._lists)
        return super().defects + cite_version(found, self.version)

    def copy(self) -> Any:
        clone = super().copy()
        clone._lists, clone.record_context = self._lists, self.record_context
        return clone

    def _decoding_state(self) -> Template | None:
        template: Template | None = self.template
        return template

    def _restore_decoding(self, known: Template | None) -> None:
        if known is not None:
            self.bind(known)

    def mysummary(self) -> str:
        if self.template is None and not self.fields.get("records"):
            octets = len(self.fields.get("undecoded", b""))
            return f"{self.name} {self.setId}: template unknown, {counted(octets, 'octet')}"
        return f"{self.name} {self.setId}: {counted(len(self.fields['records']), 'record')}"

    def _command(self, json: bool = False) -> list[tuple[str, Any]]:
        items: list[tuple[str, Any]] = super()._command(json=json)
        if json:
            return items
        shown = []
        for name, value in items:
            if name == "records" and self.template is not None:
                literals = [
                    each.literal() if hasattr(each, "literal") else repr(bytes(each))
                    for each in self.records
                ]
                value = f"[{', '.join(literals)}]"
            shown.append((name, value))
        return shown


class DataFlowSet(DataSet):
    """Data FlowSet of NetFlow v9 (RFC 3954 5.3), see DataSet; padded to 32 bits unless given."""

    name = "Data FlowSet"
    fields_desc = [
        _SetIdField("setId", None),
        LengthField("length", None),
        TemplateReferenceField("template"),
        RecordsField("records"),
        ConditionalField(OctetsField("undecoded"), lambda pkt: bool(pkt.fields.get("undecoded"))),
        OctetsField("padding", None),
    ]
    version = V9_VERSION

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        return super().post_build(_pad(self, pkt), pay)


SET_CLASSES: dict[tuple[int, int], type[Set]] = {
    (IPFIX_VERSION, TEMPLATE_SET): TemplateSet,
    (IPFIX_VERSION, OPTIONS_TEMPLATE_SET): OptionsTemplateSet,
    (V9_VERSION, TEMPLATE_FLOWSET): TemplateFlowSet,
    (V9_VERSION, OPTIONS_TEMPLATE_FLOWSET): OptionsTemplateFlowSet,
}


def set_class(version: int, set_id: int) -> type[Set]:
    """Return the packet class for a set id, Set for reserved ids."""
    if set_id >= 256:
        return DataSet if version == IPFIX_VERSION else DataFlowSet
    return SET_CLASSES.get((version, set_id), Set)

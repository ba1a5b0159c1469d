# SPDX-License-Identifier: GPL-2.0-or-later
"""Data Records as Scapy Packets: one subclass of :class:`Record` for each record layout."""

from __future__ import annotations

import math
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any, Literal

from scapy.fields import RawVal
from scapy.packet import Packet
from scapy.volatile import VolatileValue

from scapy_ipfix.layers.fields import ElementField
from scapy_ipfix.layers.flowsummary import FLOW_ELEMENTS, flow_summary
from scapy_ipfix.layers.lazy import DirectPacket
from scapy_ipfix.layers.recordclasses import PACKET_ARGUMENTS, RecordClasses
from scapy_ipfix.layers.resolvedproperties import ResolvedProperties
from scapy_ipfix.layers.sections import has_section, section_packet, show_section
from scapy_ipfix.text import counted, cut
from scapy_ipfix.wire.codec import RecordCodec
from scapy_ipfix.wire.display import field_texts
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.framing import V9_VERSION
from scapy_ipfix.wire.structured import ListContext, decode_list
from scapy_ipfix.wire.template import Template


class Record(ResolvedProperties, DirectPacket):
    """Data Record (RFC 7011 3.4.3) with one field for each Information Element.

    Craft one with values by element name, or dissect octets::

        t = Template(256, "sourceIPv4Address", "octetDeltaCount[4]")
        r = Record(t, sourceIPv4Address="192.0.2.1", octetDeltaCount=1500)
        r = Record(t, bytes.fromhex("c0000201000005dc"))
        r.octetDeltaCount, r["octetDeltaCount"], r.values(), r.template

    NetFlow v9 names (``IN_BYTES``) are accepted wherever a name is. Addresses are text, times
    the integer on the wire (in the unit of their type), lists packets (RFC 6313); a field also
    takes ``ipaddress`` objects, ``datetime`` and ISO text. A field without a value has the zero
    of its type. Values from the wire are lossless: an unchanged record builds the same octets.

    Raises ValueError for a value that does not fit its field, AttributeError for a field that
    the template does not have.
    """

    #: ``_touched`` is unset while a record is in the state in which :func:`read_records` made it.
    __slots__ = ["_touched", "template"]
    name = "Data Record"
    fields_desc: list[Any] = []
    match_subclass = True
    template: Template
    raw_packet_cache: bytes | None
    _layout: tuple[TemplateField, ...] = ()
    _defaults: dict[str, Any] = {}
    _fieldtype: dict[str, ElementField] = {}
    _blanks: dict[str, Any] | None = None
    _packetfields: list[Any] = []
    _codec: RecordCodec
    _attributes: tuple[str, ...] = ()

    @classmethod
    def dispatch_hook(
        cls, _pkt: Any = b"", *arguments: Any, template: Template | None = None, **fields: Any
    ) -> type[Record]:
        chosen = _pkt if isinstance(_pkt, Template) else template
        return record_class(chosen) if chosen is not None else cls

    def __init__(
        self, _pkt: Any = b"", *arguments: Any, template: Template | None = None, **fields: Any
    ) -> None:
        if isinstance(_pkt, Template):
            template, _pkt = _pkt, (arguments[0] if arguments else b"")
            arguments = arguments[1:]
        if template is None:
            template = Template.from_fields(256, self._layout)
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "_touched", True)
        aliased = {self._field_name(name): value for name, value in fields.items()}
        super().__init__(_pkt, *arguments, **aliased)

    def _field_name(self, name: str) -> str:
        """Return the attribute for a field's name, an element's name or a NetFlow v9 name.

        Raises AttributeError for an unknown name.
        """
        if name in self._fieldtype or name.startswith("_") or name in PACKET_ARGUMENTS:
            return name
        try:
            return self._attributes[self.template._position(name)]
        except ValueError as problem:
            raise AttributeError(str(problem)) from None

    def _is_volatile(self) -> bool:
        return False  # self_build() fixes random values one by one

    def init_fields(self, for_dissect_only: bool = False) -> None:
        """Use the field tables of the class instead of Scapy's, which last for ever."""
        self.default_fields = self._defaults.copy()
        self.fieldtype = self._fieldtype
        self.packetfields = self._packetfields

    def do_dissect(self, s: bytes) -> bytes:
        codec = self._codec
        spans, _ = codec.record_spans(s)
        if not spans:
            self.raw_packet_cache, self.explicit = b"", 1
            return s
        _, stop = spans[0]
        octets = s[:stop]
        self.fields = dict(zip(self._attributes, codec.rows(octets)[0]))
        for field in self._packetfields:
            self.fields[field.name] = field.list_packet(
                self.fields[field.name], ListContext(), self
            )
        self.raw_packet_cache = octets
        self.raw_packet_cache_fields = None
        self.explicit = 1
        return s[stop:]

    def build(self) -> bytes:
        """Build like Packet, but an untouched record without a look at its payload."""
        cached = self.raw_packet_cache
        if cached is not None and self._is_untouched() and not self._lists_changed():
            return cached
        return super().build()

    def _is_untouched(self) -> bool:
        """Return whether nothing but ``fields`` can have changed since :func:`read_records`."""
        try:
            _get_touched(self)
        except AttributeError:
            return True
        return False

    def self_build(self) -> bytes:
        if self.raw_packet_cache is not None and not self._lists_changed():
            return self.raw_packet_cache
        row = [self.getfieldval(name) for name in self._attributes]
        if any(value is None or isinstance(value, (RawVal, VolatileValue)) for value in row):
            octets = b""
            for field, value in zip(self.fields_desc, row):
                if isinstance(value, VolatileValue):
                    value = value._fix()
                octets = field.addfield(self, octets, value)
            return octets
        return self.template.encode(row)

    def _lists_changed(self) -> bool:
        """Return whether a list in the record was changed (RFC 6313)."""
        for field in self._packetfields:
            value = self.fields.get(field.name)
            if isinstance(value, Packet) and bytes(value) != value.original:
                return True
        return False

    def values(self, values: Literal["scapy", "python", "json"] = "scapy") -> dict[str, Any]:
        """Return the record as a dict keyed by element name.

        ``values`` is the type of the values: "scapy" as in the fields, "python" for
        ``ipaddress`` objects, ``datetime`` (aware, UTC), ``str``, ``bool`` and ``bytes``, "json"
        for what JSON can express. Raises ValueError for another one.
        """
        names = self.template.names
        row = [self.getfieldval(name) for name in self._attributes]
        for position, field in enumerate(self.template.fields):
            convert = field.data_type.converter(values)
            if convert is not None and not isinstance(row[position], Packet):
                row[position] = convert(row[position])
        for position, _, kind in self._codec.structured:
            value = row[position]
            if isinstance(value, Packet):
                context = replace(value.context, depth=value.context.depth - 1)
                row[position] = decode_list(kind, bytes(value), context, values)
        return dict(zip(names, row))

    @property
    def section(self) -> Packet | None:
        """The packet in the record's packet section (RFC 5477 8.5), cut as it came; None: none.

        Made anew at each access; the field keeps the octets.
        """
        if not has_section(self.template.names):
            return None
        return section_packet({name: self[name] for name in self.template.names})

    @property
    def scope(self) -> dict[str, Any]:
        """The scope of an Options Data Record (RFC 7011 3.4.2.1), keyed by element name."""
        count = self.template.scope_count
        return {name: self.getfieldval(name) for name in self._attributes[:count]}

    def __getitem__(self, key: Any) -> Any:
        """Return the value of a field by element name, or a layer by class as in Scapy."""
        if isinstance(key, str):
            names = self.template.names
            if key in names:
                return self.getfieldval(self._attributes[names.index(key)])
            try:
                return self.getfieldval(self._field_name(key))
            except AttributeError:
                pass  # a layer's name
        return super().__getitem__(key)

    def _command(self, json: bool = False) -> list[tuple[str, Any]]:
        items: list[tuple[str, Any]] = []
        for name in self._attributes:
            if name not in self.fields and not json:
                continue
            value = self.getfieldval(name)
            if json:
                if isinstance(value, bytes):
                    value = value.hex()
                elif isinstance(value, Packet):
                    value = dict(value._command(json=True))
            else:
                value = self._source(name, value)
            items.append((name, value))
        if not json:
            items.insert(0, ("template", repr(self.template)))
        return items

    def command(self) -> str:
        """Return Python source that creates the record."""
        if self._is_exact():
            command: str = super().command()
            return command
        return f"Record({self.template!r}, {bytes(self)!r})"

    def literal(self) -> str:
        """Return Python source for a DataSet's records: a dict, octets if a dict is not exact."""
        if not self._is_exact():
            return repr(bytes(self))
        pairs = []
        for name, attribute in zip(self.template.names, self._attributes):
            value = self.getfieldval(attribute)
            pairs.append(f"{name!r}: {self._source(attribute, value)}")
        return "{" + ", ".join(pairs) + "}"

    def _is_exact(self) -> bool:
        """Return whether the values encode to the octets from the wire.

        They do not tell the form of a variable length (RFC 7011 7), or the bits of a NaN.
        """
        cached = self.raw_packet_cache
        if cached is None:
            return True
        self.raw_packet_cache = None
        try:
            return self.self_build() == cached
        finally:
            self.raw_packet_cache = cached

    def _source(self, name: str, value: Any) -> str:
        """Return Python source of the value of a field."""
        if isinstance(value, Packet):
            value = bytes(value)
        elif isinstance(value, float) and not math.isfinite(value):
            return f"RawVal({self._fieldtype[name].addfield(self, b'', value)!r})"
        return repr(value)

    # -- display

    def mysummary(self) -> str:
        """Return protocol, template and flow of the record in one line."""
        version = getattr(self.parent, "version", None)
        protocol = "NetFlow v9" if version == V9_VERSION else "IPFIX"
        template = self.template
        kind = "options" if template.is_options else "data"
        shown = template.names[: template.scope_count] if template.is_options else FLOW_ELEMENTS
        texts = {name: self._text(at) for at, name in enumerate(template.names) if name in shown}
        if template.is_options:
            detail = " ".join(f"{name}={cut(text)}" for name, text in texts.items())
        else:
            detail = flow_summary(texts)
        return f"{protocol} {kind} {template.id} {detail or counted(len(template.names), 'field')}"

    def table_line(self) -> tuple[list[str], list[str]]:
        names = list(self.template.names)
        return names, [self._text(position) for position in range(len(names))]

    def _text(self, position: int) -> str:
        """Return the value of a field as text fit for a terminal."""
        value = self.getfieldval(self._attributes[position])
        if isinstance(value, (VolatileValue, RawVal)):
            return repr(value)
        if isinstance(value, Packet):
            summary: str = value.summary()
            return summary
        return field_texts(self.template)[position](value)

    def _show_or_dump(
        self,
        dump: bool = False,
        indent: int = 3,
        lvl: str = "",
        label_lvl: str = "",
        first_call: bool = True,
    ) -> str | None:
        """Show the fields as in Scapy, and below them the packet in a packet section."""
        text: str = super()._show_or_dump(True, indent, lvl, label_lvl, first_call)
        section = self.section
        if section is not None:
            text += f"{label_lvl}{lvl}  \\section   \\\n"
            text += show_section(section, indent, f"{label_lvl}{lvl}   |")
        if first_call and not dump:
            print(text)
            return None
        return text

    def copy(self) -> Any:
        if self._is_untouched():
            return self._untouched_copy()
        clone = super().copy()
        clone.template = self.template
        return clone

    def _untouched_copy(self) -> Record:
        """Return a copy like Packet's, in which the slots unset here are unset."""
        kinds = self._fieldtype
        clone = _new(self.__class__)
        _put_fields(
            clone,
            {
                name: value if type(value) in _IMMUTABLE else kinds[name].do_copy(value)
                for name, value in self.fields.items()
            },
        )
        _put_cache(clone, self.raw_packet_cache)
        _put_explicit(clone, 1)
        _put_parent(clone, self.parent)
        _put_template(clone, self.template)
        return clone

    def clone_with(self, payload: Any = None, **fields: Any) -> Any:
        clone = super().clone_with(payload, **fields)
        clone.template = self.template
        return clone

    def __getattr__(self, attr: str) -> Any:
        """Return a field by another of its names, or set a slot that read_records() left unset."""
        if attr not in _SLOTS:
            try:
                return super().__getattr__(attr)
            except AttributeError:
                if attr in self.__all_slots__ or attr in PACKET_ARGUMENTS or attr[:1] == "_":
                    raise
                return getattr(self, self._field_name(attr))
        value = self._blank_slots()[attr]
        if isinstance(value, (dict, list)):
            value = value.copy()
            if attr in _CHANGEABLE:
                _put_touched(self, True)
        object.__setattr__(self, attr, value)
        return value

    @classmethod
    def _blank_slots(cls) -> dict[str, Any]:
        """Return the slots as Packet.__init__ sets them, None for those that it does not set."""
        if cls._blanks is None:
            blank = cls(Template.from_fields(256, cls._layout), _internal=1)
            slots = {}
            for slot in _SLOTS:
                try:
                    slots[slot] = object.__getattribute__(blank, slot)
                except AttributeError:
                    slots[slot] = None
            cls._blanks = slots
        return cls._blanks

    def __setattr__(self, attr: str, value: Any) -> None:
        if attr != "parent":  # _untouched_copy() copies it
            _put_touched(self, True)
        if not (attr in self.__all_slots__ or attr in self._fieldtype or hasattr(Packet, attr)):
            attr = self._field_name(attr)
        super().__setattr__(attr, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.template, bytes(self))


_SLOTS = frozenset(Packet.__slots__)
#: Mutable slots that a copy shares or that change the octets.
_CHANGEABLE = frozenset({"default_fields", "overloaded_fields", "post_transforms"})
_IMMUTABLE = frozenset({int, str, bytes, float, bool, type(None)})


#: Scapy derives a signature from ``fields_desc``, which only the subclasses have.
Record.__signature__ = Signature(
    [
        Parameter("template", Parameter.POSITIONAL_ONLY, default=None),
        Parameter("octets", Parameter.POSITIONAL_ONLY, default=b""),
        Parameter("fields", Parameter.VAR_KEYWORD),
    ]
)


def _unpickle(template: Template, octets: bytes) -> Packet:
    return Record(template, octets)


_classes = RecordClasses(Record)


def record_class(template: Template) -> type[Record]:
    """Return the Packet class for records of a template; equal layouts share one."""
    return _classes.get(template)


_new = object.__new__
_put_fields = Packet.fields.__set__
_put_original = Packet.original.__set__
_put_cache = Packet.raw_packet_cache.__set__
_put_explicit = Packet.explicit.__set__
_put_parent = Packet.parent.__set__
_put_template = Record.template.__set__  # type: ignore[attr-defined]
_put_touched = Record._touched.__set__  # type: ignore[attr-defined]
_get_touched = Record._touched.__get__  # type: ignore[attr-defined]


def read_records(
    template: Template,
    body: bytes,
    spans: list[tuple[int, int]],
    parent: Packet | None,
    lists: ListContext | None = None,
) -> list[Packet]:
    """Return the records at these offsets of a Set's body as packets.

    ``lists`` is the context for decoding lists in them.

    For speed, only the slots that differ between records are set, and past Packet's
    ``__setattr__``; :meth:`Record.__getattr__` fills the others on first access.
    """
    if not spans:
        return []
    cls = record_class(template)
    attributes = cls._attributes
    records: list[Packet] = []
    rows = template.codec.rows(body[spans[0][0] : spans[-1][1]])
    if not rows:  # records of no octets, which only a crafted Data Set has
        rows = [tuple(field.zero for field in template.fields)] * len(spans)
    for (start, stop), row in zip(spans, rows):
        record = _new(cls)
        octets = body[start:stop]
        _put_fields(record, dict(zip(attributes, row)))
        _put_original(record, octets)
        _put_cache(record, octets)
        _put_explicit(record, 1)
        _put_parent(record, parent)
        _put_template(record, template)
        records.append(record)
    lists = lists or ListContext()
    for at, _, _ in template.codec.structured:
        field = cls.fields_desc[at]
        for record in records:
            octets = record.fields[field.name]
            record.fields[field.name] = field.list_packet(octets, lists, record)
    return records

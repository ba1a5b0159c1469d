# SPDX-License-Identifier: GPL-2.0-or-later
"""Data Records as Scapy Packets: a subclass of :class:`Record` for every template layout.

Making a Packet class costs more than reading thousands of records, so it is made when a
record is looked at, shared between templates of equal layout and kept while it is among the
most recent ones. Scapy remembers every Packet class it sees; these keep their own field
tables, so that a peer that invents layouts does not make Scapy grow.
"""

from __future__ import annotations

import gc
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from keyword import kwlist
from typing import Any

from scapy.fields import RawVal
from scapy.packet import Packet
from scapy.volatile import VolatileValue

from scapy_ipfix.layers.context import NO_CONTEXT
from scapy_ipfix.layers.fields import ElementField, element_field
from scapy_ipfix.layers.lazy import DirectPacket
from scapy_ipfix.wire.codec import WIDE, RecordCodec
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.resolver import RecordContext
from scapy_ipfix.wire.structured import ListContext, read_list
from scapy_ipfix.wire.template import Template

#: Record classes kept. The class of a layout beyond that is made anew when looked at.
CLASS_CACHE = 512
#: The same of layouts with more than WIDE fields: one of 16,000 takes 13 MB.
WIDE_CLASSES = 8
#: A class holds itself, so one that nobody uses goes when Python collects garbage, which it
#: does by how much there is of everything. To be bounded, it does so after so many of them,
#: one counting more for every so many fields.
_COLLECTED, _FIELDS = 4 * CLASS_CACHE, 64


class Record(DirectPacket):
    """A Data Record (RFC 7011 3.4.3), one field per Information Element.

    ``Record(template, sourceIPv4Address="192.0.2.1", ...)`` crafts one, ``Record(template,
    octets)`` dissects one. Fields that are not given have their type's zero value; those of
    a record from the wire are lossless. :attr:`template` is the template it goes by.

    Raises ValueError for a value that a field cannot hold, AttributeError for a field that
    the template does not have.
    """

    #: ``_touched`` is empty as long as a record from the wire is as :func:`read_records` made it.
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
            template = Template.of(256, self._layout)
        object.__setattr__(self, "template", template)
        object.__setattr__(self, "_touched", True)
        aliased = {self._field_name(name): value for name, value in fields.items()}
        super().__init__(_pkt, *arguments, **aliased)

    def _field_name(self, name: str) -> str:
        """The field that a person means by a NetFlow v9 name or by the element's own."""
        if name in self._fieldtype or name.startswith("_") or name in _PACKET_ARGUMENTS:
            return name
        try:
            return self._attributes[self.template._position(name)]
        except ValueError as problem:
            raise AttributeError(str(problem)) from None

    def _is_volatile(self) -> bool:
        return False  # self_build() sees to random values one by one

    def init_fields(self, for_dissect_only: bool = False) -> None:
        """Field tables of the class's own, instead of Scapy's, which last for ever."""
        self.default_fields = self._defaults.copy()
        self.fieldtype = self._fieldtype
        self.packetfields = self._packetfields

    def do_dissect(self, s: bytes) -> bytes:
        codec = self._codec
        spans, _ = codec.spans(s)
        if not spans:
            self.raw_packet_cache, self.explicit = b"", 1
            return s
        _, stop = spans[0]
        octets = s[:stop]
        self.fields = dict(zip(self._attributes, codec.rows(octets)[0]))
        for field in self._packetfields:
            self.fields[field.name] = field.read(self.fields[field.name], ListContext(), self)
        self.raw_packet_cache = octets
        self.raw_packet_cache_fields = None
        self.explicit = 1
        return s[stop:]

    def build(self) -> bytes:
        """As Packet's; of a record that nobody has touched, without asking its payload."""
        cached = self.raw_packet_cache
        if cached is not None and self._is_untouched() and not self._lists_changed():
            return cached
        return super().build()

    def _is_untouched(self) -> bool:
        """Whether nothing but ``fields`` can be other than :func:`read_records` made it."""
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
        """Whether someone changed what is in a list of the record."""
        for field in self._packetfields:
            value = self.fields.get(field.name)
            if isinstance(value, Packet) and bytes(value) != value.original:
                return True
        return False

    def values(self, values: str = "scapy") -> dict[str, Any]:
        """The record as a dict keyed by element name.

        ``values`` "scapy" gives what the fields hold, "python" native Python (``ipaddress``,
        aware ``datetime`` in UTC), "json" what JSON can have.
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
                row[position] = read_list(kind, bytes(value), context, values)
        return dict(zip(names, row))

    # -- resolved values: from the record's own fields, else from facts of options data

    @property
    def sampling_rate(self) -> float | None:
        """The packets observed for each one that the record counts; None: unknown."""
        return self._context.sampling_rate(self.template, self.values())

    @property
    def application_name(self) -> str | None:
        """The name of the record's application (RFC 6759); None: unknown."""
        return self._context.application_name(self.template, self.values())

    def interface_name(self, direction: str = "ingress") -> str | None:
        """Return the name of the record's "ingress" or "egress" interface; None: unknown.

        Raises ValueError for another direction.
        """
        return self._context.interface_name(self.template, self.values(), direction)

    def interface_description(self, direction: str = "ingress") -> str | None:
        """Return the description of an interface, see :meth:`interface_name`."""
        return self._context.interface_description(self.template, self.values(), direction)

    def vrf_name(self, direction: str = "ingress") -> str | None:
        """Return the name of the record's "ingress" or "egress" VRF; None: unknown."""
        return self._context.vrf_name(self.template, self.values(), direction)

    @property
    def _context(self) -> RecordContext:
        """The context of the Data Set that holds the record."""
        context: RecordContext = getattr(self.parent, "record_context", NO_CONTEXT)
        return context

    @property
    def scope(self) -> dict[str, Any]:
        """The scope fields of an Options Data Record (RFC 7011 3.4.2.1) and their values."""
        count = self.template.scope_count
        return {name: self.getfieldval(name) for name in self._attributes[:count]}

    def __getitem__(self, key: Any) -> Any:
        """A field by element name, a layer by class, as everywhere in Scapy."""
        if isinstance(key, str):
            names = self.template.names
            if key in names:
                return self.getfieldval(self._attributes[names.index(key)])
            try:
                return self.getfieldval(self._field_name(key))
            except AttributeError:
                pass  # no field: a layer
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
                value = self._typed(name, value)
            items.append((name, value))
        if not json:
            items.insert(0, ("template", repr(self.template)))
        return items

    def command(self) -> str:
        """What to type to get the same record."""
        if self._says_all():
            command: str = super().command()
            return command
        return f"Record({self.template!r}, {bytes(self)!r})"

    def literal(self) -> str:
        """The record as the dict that a DataSet takes for it; octets where that is not all."""
        if not self._says_all():
            return repr(bytes(self))
        pairs = []
        for name, attribute in zip(self.template.names, self._attributes):
            value = self.getfieldval(attribute)
            pairs.append(f"{name!r}: {self._typed(attribute, value)}")
        return "{" + ", ".join(pairs) + "}"

    def _says_all(self) -> bool:
        """Whether the values give the octets that the wire had.

        They do not say in which form it had a variable length, or which of many a NaN was.
        """
        cached = self.raw_packet_cache
        if cached is None:
            return True
        self.raw_packet_cache = None
        try:
            return self.self_build() == cached
        finally:
            self.raw_packet_cache = cached

    def _typed(self, name: str, value: Any) -> str:
        """What to type for the value of a field."""
        if isinstance(value, Packet):
            value = bytes(value)
        elif isinstance(value, float) and not math.isfinite(value):
            return f"RawVal({self._fieldtype[name].addfield(self, b'', value)!r})"
        return repr(value)

    def mysummary(self) -> str:
        return f"{self.name} of template {self.template.id}"

    def copy(self) -> Any:
        if self._is_untouched():
            return self._untouched_copy()
        clone = super().copy()
        clone.template = self.template
        return clone

    def _untouched_copy(self) -> Record:
        """What Packet's copy gives, with those slots empty that are empty here."""
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
        """What is no field: slots that :func:`read_records` left empty fill when asked for."""
        if attr not in _SLOTS:
            try:
                return super().__getattr__(attr)
            except AttributeError:
                if attr in self.__all_slots__ or attr in _PACKET_ARGUMENTS or attr[:1] == "_":
                    raise
                return getattr(self, self._field_name(attr))
        value = self._blank()[attr]
        if isinstance(value, (dict, list)):
            value = value.copy()
            if attr in _CHANGEABLE:
                _put_touched(self, True)
        object.__setattr__(self, attr, value)
        return value

    @classmethod
    def _blank(cls) -> dict[str, Any]:
        """The slots as Packet.__init__ leaves them, None where it leaves them empty."""
        if cls._blanks is None:
            made = cls(Template.of(256, cls._layout), _internal=1)
            found = {}
            for slot in _SLOTS:
                try:
                    found[slot] = object.__getattribute__(made, slot)
                except AttributeError:
                    found[slot] = None
            cls._blanks = found
        return cls._blanks

    def __setattr__(self, attr: str, value: Any) -> None:
        if attr != "parent":  # which a copy has as well
            _put_touched(self, True)
        if not (attr in self.__all_slots__ or attr in self._fieldtype or hasattr(Packet, attr)):
            attr = self._field_name(attr)
        super().__setattr__(attr, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.template, bytes(self))


_SLOTS = frozenset(Packet.__slots__)
#: Slots in which something can be changed that a copy has as well, or the octets.
_CHANGEABLE = frozenset({"default_fields", "overloaded_fields", "post_transforms"})
_IMMUTABLE = frozenset({int, str, bytes, float, bool, type(None)})
_PACKET_ARGUMENTS = frozenset({"post_transform", "stop_dissection_after"})
#: What no field can be called, beside what Packet has for itself.
_RESERVED = _PACKET_ARGUMENTS | Record.__all_slots__ | {*kwlist, "_internal", "_underlayer"}
_NO_IDENTIFIER = re.compile(r"\W", re.ASCII)


def _unpickle(template: Template, octets: bytes) -> Packet:
    return Record(template, octets)


def _attribute_names(layout: Iterable[TemplateField]) -> tuple[str, ...]:
    """The fields' names as Python can say them, each another.

    A name that Packet itself uses, or that another field's has become, gets a _ behind it,
    the third of the same name two; the fourth is name_4, since thousands may be the same.
    """
    names: dict[str, None] = {}
    tried: dict[str, int] = {}
    for field in layout:
        base = _NO_IDENTIFIER.sub("_", field.name)
        number = tried.get(base, 0)
        while True:
            name = base + ("_" * number if number < 3 else f"_{number + 1}")
            number += 1
            if not (name in names or name in _RESERVED or hasattr(Record, name)):
                break
        tried[base] = number
        names[name] = None
    return tuple(names)


_uncollected = 0.0


def _made(fields: int) -> None:
    """Counts a class of so many fields; those that nobody uses go when there are too many."""
    global _uncollected
    _uncollected += 1 + fields / _FIELDS
    if _uncollected >= _COLLECTED and gc.isenabled():
        _uncollected = 0.0
        gc.collect()


@lru_cache(CLASS_CACHE)
def _record_class(layout: tuple[TemplateField, ...], scope_count: int) -> type[Record]:
    _made(len(layout))
    attributes = _attribute_names(layout)
    fields = [element_field(name, field) for name, field in zip(attributes, layout)]
    title = "Data Record"
    if scope_count:
        scope = ", ".join(field.name for field in layout[:scope_count])
        title = f"Options Data Record, scope {scope}"
    # Scapy keeps every class whose name has no underscore before it in conf.layers for ever,
    # and compares each field in a new class with all the others: it gets them afterwards.
    made = type(Record)(
        "_Record",
        (Record,),
        {
            "name": title,
            "_layout": layout,
            "_defaults": {field.name: field.default for field in fields},
            "_fieldtype": {field.name: field for field in fields},
            "_codec": Template.of(256, layout).codec,
            "_blanks": None,
            "_packetfields": [field for field in fields if field.holds_packets],
            "_attributes": attributes,
        },
    )
    made.__name__ = made.__qualname__ = "Record"
    made.fields_desc = fields
    # As descriptors, fields are read without the detour over Packet.__getattr__.
    for field in fields:
        setattr(made, field.name, field)
    return made  # type: ignore[no-any-return]


def record_class(template: Template) -> type[Record]:
    """The Packet class for records of a template; equal layouts share one."""
    if len(template.fields) > WIDE:
        return _wide_record_class(template)
    return _record_class(template.fields, template.scope_count)


@lru_cache(WIDE_CLASSES)
def _wide_record_class(template: Template) -> type[Record]:
    return _record_class.__wrapped__(template.fields, template.scope_count)


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
    made = record_class(template)
    attributes = made._attributes
    records: list[Packet] = []
    rows = template.codec.rows(body[spans[0][0] : spans[-1][1]])
    if not rows:  # records of no octets, which only a person puts into a set
        rows = [tuple(field.zero for field in template.fields)] * len(spans)
    for (start, stop), row in zip(spans, rows):
        record = _new(made)
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
        field = made.fields_desc[at]
        for record in records:
            octets = record.fields[field.name]
            record.fields[field.name] = field.read(octets, lists, record)
    return records

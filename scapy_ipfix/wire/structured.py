# SPDX-License-Identifier: GPL-2.0-or-later
"""Structured data (RFC 6313): the octets of basicList, subTemplateList, subTemplateMultiList.

A list of values names the element that they are of; a list of records names its template,
which only a :class:`ListContext` knows. Lists nest: the context counts how deep.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from scapy_ipfix.model.datatypes import DataType
from scapy_ipfix.model.element import MAX_ID, InformationElement
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.wire.codec import RecordCodec, record_codec
from scapy_ipfix.wire.diagnostics import Defect
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.framing import IPFIX_VERSION, MINIMUM_DATA_SET
from scapy_ipfix.wire.layout import CODEC_CACHE, STRUCTURED

#: How lists relate their elements (RFC 6313 4.4); 255 is undefined.
SEMANTICS = {
    0: "noneOf",
    1: "exactlyOneOf",
    2: "oneOrMoreOf",
    3: "allOf",
    4: "ordered",
    255: "undefined",
}
UNDEFINED = 255
_SEMANTICS_BY_NAME = {name.lower(): number for number, name in SEMANTICS.items()}
#: Lists in lists in lists: no honest exporter goes beyond three.
DEPTH_LIMIT = 8
#: Elements of basicLists in one set for which the codec is at hand.
_CODECS = 256
_list_header = struct.Struct("!BHH").unpack_from
_block_header = struct.Struct("!HH").unpack_from


class RecordTemplate(Protocol):
    """What a list of records needs of a template."""

    id: int

    @property
    def length(self) -> int: ...
    def projection(
        self, names: tuple[str, ...] | None, values: str = "scapy"
    ) -> RecordCodec | None: ...
    def encode_rows(self, records: Iterable[Any]) -> list[bytes]: ...


@dataclass(slots=True, eq=False)
class ListContext:
    """What lists are read with: templates by id, the elements, and how deep we are."""

    template: Callable[[int], Any | None] = lambda template_id: None
    model: InformationModel = elements
    version: int = IPFIX_VERSION
    depth: int = 0
    limit: int = DEPTH_LIMIT
    #: How many elements the model had learned when the lists came; None: as many as it has.
    learned: int | None = None
    #: As ``template``, by whatever names its fields have: for lists without a record.
    layout: Callable[[int], Any | None] | None = None
    #: What lists hold, by kind and octets, as whoever checked them found; None: nobody does.
    parts: dict[tuple[str, bytes], list[Part]] | None = None
    # A set may hold 65,000 lists: what they have in common is found once.
    _deeper: ListContext | None = field(default=None, init=False, repr=False)
    _codecs: dict[tuple[bytes, str], tuple[RecordCodec, int]] | None = field(
        default=None, init=False, repr=False
    )

    def without_parts(self) -> ListContext:
        """Return the context without :attr:`parts`, which the check of values keeps."""
        if self.parts is None:
            return self
        copy = self._at_depth(self.depth)
        copy.parts = None
        return copy

    def deeper(self) -> ListContext | None:
        """The context of the lists within; None when that would be too deep."""
        if self._deeper is None and self.depth < self.limit:
            self._deeper = self._at_depth(self.depth + 1)
        return self._deeper

    def _at_depth(self, depth: int) -> ListContext:
        return ListContext(
            *(self.template, self.model, self.version, depth, self.limit, self.learned),
            *(self.layout, self.parts),
        )

    def element(self, pen: int, id: int) -> InformationElement:
        """The element of a basicList, as the model had it when the list came."""
        if self.learned is None:
            return self.model.element(pen, id)
        return self.model.element_at(pen, id, self.learned)

    def basic_codec(self, octets: bytes, values: str) -> tuple[RecordCodec, int] | None:
        """What reads the values of a basicList, and where they begin; None if it is cut off."""
        key = octets[1 : 9 if octets[1:2] >= b"\x80" else 5], values
        codecs = self._codecs
        if codecs is None:
            codecs = self._codecs = {}
        known = codecs.get(key)
        if known is None:
            specifier = _specifier(octets)
            if specifier is None:
                return None
            pen, id, length, size = specifier
            type = self.model.type_at(pen, id, self.learned)
            known = _value_codec(type, length, values), size
            if len(codecs) < _CODECS:
                codecs[key] = known
        return known


class BasicListHeader(NamedTuple):
    """What stands before the values of a basicList (RFC 6313 4.5.1)."""

    semantic: int
    enterprise: bool
    pen: int
    id: int
    length: int
    #: Octets that the header takes.
    size: int

    @property
    def octets(self) -> bytes:
        """The header as it stands on the wire."""
        octets = bytes((self.semantic,)) + (self.id | self.enterprise << 15).to_bytes(2, "big")
        octets += self.length.to_bytes(2, "big")
        return octets + (self.pen.to_bytes(4, "big") if self.enterprise else b"")

    def layout(self, context: ListContext) -> tuple[TemplateField]:
        """The values read like records of this one field."""
        element = context.element(self.pen, self.id)
        return (TemplateField(element, self.length, element.name),)


@lru_cache(CODEC_CACHE)
def _value_codec(kind: DataType, length: int, values: str) -> RecordCodec:
    """What reads values of a type: the elements that have it are all alike."""
    element = InformationElement(kind.name, 0, 0, kind)
    return RecordCodec((TemplateField(element, length, kind.name),), None, values)


def basic_list_header(octets: bytes) -> BasicListHeader | None:
    """The header that a basicList begins with; None if it is cut off."""
    specifier = _specifier(octets)
    if specifier is None:
        return None
    pen, id, length, size = specifier
    return BasicListHeader(octets[0], size == 9, pen, id, length, size)


def _specifier(octets: bytes) -> tuple[int, int, int, int] | None:
    """What a basicList is of, enterprise, number and length, and where its values begin."""
    if len(octets) < 5:
        return None
    _, id, length = _list_header(octets)
    if id < 0x8000:
        return 0, id, length, 5
    if len(octets) < 9:
        return None
    return int.from_bytes(octets[5:9], "big"), id & 0x7FFF, length, 9


def multi_list_blocks(octets: bytes) -> tuple[list[tuple[int, int, int]], int]:
    """The blocks of a subTemplateMultiList (RFC 6313 4.5.3), and where the last one ends.

    Of each block the template's id, and the offsets between which its records are.
    """
    blocks: list[tuple[int, int, int]] = []
    position, end = 1, len(octets)
    while end - position >= 4:
        template_id, length = _block_header(octets, position)
        if length < 4 or position + length > end:
            break
        blocks.append((template_id, position + 4, position + length))
        position += length
    return blocks, position


# -- reading, without a packet


def with_lists(
    records: list[dict[str, Any]], codec: RecordCodec, context: ListContext, values: str
) -> list[dict[str, Any]]:
    """Records whose list fields are octets, with what the lists hold instead."""
    for _, name, kind in codec.structured:
        lists = read_lists(kind, [record[name] for record in records], context, values)
        for record, found in zip(records, lists):
            record[name] = found
    return records


def rows_with_lists(
    rows: list[tuple[Any, ...]], codec: RecordCodec, context: ListContext, values: str
) -> list[tuple[Any, ...]]:
    """As :func:`with_lists`, of rows in the order that the codec gives them."""
    if not codec.structured or not rows:
        return rows
    columns: list[Iterable[Any]] = list(zip(*rows))
    for position, _, kind in codec.structured:
        columns[position] = read_lists(kind, columns[position], context, values)
    return list(zip(*columns))


def lists_read(records: list[Any], codec: RecordCodec, context: ListContext, values: str) -> Any:
    """Records as the codec gives them, dicts or tuples, with their lists read."""
    if records and isinstance(records[0], dict):
        return with_lists(records, codec, context, values)
    return rows_with_lists(records, codec, context, values)


def read_list(kind: str, octets: Any, context: ListContext, values: str = "scapy") -> Any:
    """A basicList as a list of values, the others as a list of dicts.

    ``values`` is the domain of the values. Octets that cannot be read, of a list that is cut
    off, nested too deep or of unknown template, stay octets (in hexadecimal for "json").
    """
    return read_lists(kind, (octets,), context, values)[0]


def read_lists(
    kind: str, lists: Iterable[Any], context: ListContext, values: str = "scapy"
) -> list[Any]:
    """Many lists of a kind, each as :func:`read_list` gives it: a Set may hold 65,000."""
    inner = context.deeper()
    checked = inner.parts if inner is not None and values == "scapy" else None
    read: list[Any] = []
    for octets in lists:
        parts = None
        if octets and inner is not None and isinstance(octets, bytes):
            parts = checked.get((kind, octets)) if checked else None
            if parts is None:
                parts, defect = list_parts(kind, octets, inner, values)
                if defect is not None:
                    parts = None
        if parts is None or inner is None:
            read.append(octets.hex() if values == "json" and isinstance(octets, bytes) else octets)
            continue
        found: list[Any] = []
        for codec, body in parts:
            if kind == "basicList":
                found += codec.values(body)
                for _, _, within in codec.structured:
                    found = read_lists(within, found, inner, values)
            else:
                records = codec.dicts(body)
                found += with_lists(records, codec, inner, values) if codec.structured else records
        read.append(found)
    return read


#: Records within a list: what reads them, and their octets.
Part = tuple[RecordCodec, bytes]
_OF_NOTHING = RecordCodec(())


def list_parts(
    kind: str, octets: bytes, context: ListContext, values: str = "scapy", name: str = ""
) -> tuple[list[Part], Defect | None]:
    """What a list holds, a part for each block, and what keeps it from being read.

    That is ``list-malformed``, or ``missing-template``. The values of a basicList are records
    of one field; ``name`` is that of the field which the list is in.
    """
    if kind == "basicList":
        if len(octets) == (9 if octets[1:2] >= b"\x80" else 5):
            return [], None  # nothing in it: of what does not matter
        known = context.basic_codec(octets, values)
        if known is None:
            return [], _malformed(name or kind, "cut off")
        codec, start = known
        body = octets[start:]
        rest = codec.rest(body) if body else 0
        if rest:
            return [], _malformed(name or kind, f"{rest} octets after the last value")
        return [(codec, body)], None
    parts: list[Part] = []
    rest, stop = 0, len(octets)
    if kind == "subTemplateList":
        if stop < 3:
            return [], _malformed(name or kind, "cut off")
        blocks = [(int.from_bytes(octets[1:3], "big"), 3, stop)]
    else:
        blocks, stop = multi_list_blocks(octets)
    for template_id, start, end in blocks:
        template = (context.layout or context.template)(template_id)
        if template is None:
            if template_id < MINIMUM_DATA_SET:
                flaw = f"no template can have id {template_id}"
                return [], _malformed(name or kind, flaw)
            return [], Defect.of("missing-template", template_id=template_id, octets=end - start)
        if not 0 < template.length <= end - start:
            # No record: not worth a codec of its own, or a look for names.
            parts.append((_OF_NOTHING, octets[start:end]))
            rest = rest or end - start
            continue
        if context.layout is not None:
            template = context.template(template_id)
            assert template is not None
        codec, body = template.projection(None, values), octets[start:end]
        parts.append((codec, body))
        rest = rest or codec.rest(body)
    if rest:
        return [], _malformed(name or kind, f"{rest} octets after the last record")
    if stop != len(octets):
        return [], _malformed(name or kind, f"{len(octets) - stop} octets after the last block")
    return parts, None


def _malformed(name: str, flaw: str) -> Defect:
    return Defect.of("list-malformed", name=name, flaw=flaw)


# -- writing


def encode_list(kind: str, value: Any, model: InformationModel = elements) -> bytes:
    """The octets of a list from what a person gives for one.

    basicList: ``(element, values)`` or ``{"element": ..., "values": [...]}``, the element a
    name or IESpec. subTemplateList: ``(template, records)`` or ``{"template": ...,
    "records": [...]}``; subTemplateMultiList: a list of these. A dict may hold ``semantic``,
    by name or number (undefined when left out). Packets and octets are taken as they are.

    Raises ValueError for anything else, and for values that do not fit.
    """
    if value is None:
        return b""
    if isinstance(value, (bytes, bytearray)):
        return bytes(value)
    if hasattr(value, "__bytes__"):
        return bytes(value)
    if kind == "basicList":
        semantic, element, items = _parts(value, "element", "values", kind)
        return encode_basic_list(element, items, semantic, model)
    if kind == "subTemplateList":
        semantic, template, records = _parts(value, "template", "records", kind)
        octets: bytes = _template(template, kind).id.to_bytes(2, "big")
        return bytes((semantic,)) + octets + b"".join(template.encode_rows(records))
    if isinstance(value, Mapping) and "blocks" in value:
        semantic, blocks = semantic_number(value.get("semantic")), value["blocks"]
    else:
        semantic, blocks = UNDEFINED, value
    if not isinstance(blocks, (list, tuple)):
        raise ValueError(f"{value!r} is no {kind}: give [(template, [records]), ...] or octets")
    return bytes((semantic,)) + b"".join([_encode_block(block, kind) for block in blocks])


def _encode_block(block: Any, kind: str) -> bytes:
    _, template, records = _parts(block, "template", "records", kind)
    body = b"".join(_template(template, kind).encode_rows(records))
    length = len(body) + 4
    if length > 65535:
        raise ValueError(f"{length} octets of template {template.id}, a block holds 65535")
    octets: bytes = template.id.to_bytes(2, "big")
    return octets + length.to_bytes(2, "big") + body


def encode_basic_list(
    element: Any, items: Iterable[Any], semantic: int, model: InformationModel = elements
) -> bytes:
    """A basicList of values of one element, a name, an IESpec or an element.

    Raises ValueError for an element that there is not, and for a value that does not fit.
    """
    if isinstance(element, str):
        found, length = model.spec(element, define=False)
    elif isinstance(element, InformationElement):
        found, length = element, element.length
    else:
        raise ValueError(f"{element!r} is no element: give a name, an IESpec or an element")
    if found.id > MAX_ID:
        raise ValueError(f"{found.name} ({found.id}) is a NetFlow v9 field type, no list's element")
    header = BasicListHeader(semantic, bool(found.pen), found.pen, found.id, length, 0)
    field = TemplateField(found, length, found.name)
    return header.octets + encode_values(field, items, model)


def encode_values(
    field: TemplateField, items: Iterable[Any], model: InformationModel = elements
) -> bytes:
    """The values of a basicList, each as a record of that one field.

    Raises ValueError for one that does not fit.
    """
    kind = field.data_type.name
    if kind in STRUCTURED:
        items = [encode_list(kind, item, model) for item in items]
    codec = record_codec((field,))
    return b"".join([codec.encode((item,)) for item in items])


def _parts(value: Any, what: str, contents: str, kind: str) -> tuple[int, Any, Sequence[Any]]:
    semantic, found = UNDEFINED, value
    if isinstance(value, Mapping) and what in value:
        semantic = semantic_number(value.get("semantic"))
        found = value[what], value.get(contents, ())
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], (list, tuple)):
        raise ValueError(f"{value!r} is no {kind}: give ({what}, [{contents}]) or octets")
    return semantic, found[0], found[1]


def _template(value: Any, kind: str) -> RecordTemplate:
    if not hasattr(value, "encode_rows"):
        raise ValueError(f"{value!r} is no template for a {kind}")
    template: RecordTemplate = value
    return template


def semantic_number(semantic: str | int | None) -> int:
    """The number of a list's semantic, by name or number; None is undefined.

    Raises ValueError for another name, or a number that is no octet.
    """
    if semantic is None:
        return UNDEFINED
    if isinstance(semantic, int) and 0 <= semantic <= 255:
        return semantic
    number = _SEMANTICS_BY_NAME.get(str(semantic).lower())
    if number is None:
        raise ValueError(f"semantic {semantic!r} is none of {', '.join(SEMANTICS.values())}")
    return number


def templates_of(value: Any) -> Iterable[Any]:
    """The templates that a person's value of a list field names, to read it back with."""
    if hasattr(value, "encode_rows"):
        yield value
    elif isinstance(value, (tuple, list, Mapping)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from templates_of(each)

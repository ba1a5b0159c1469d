# SPDX-License-Identifier: GPL-2.0-or-later
"""Structured data (RFC 6313): basicList, subTemplateList and subTemplateMultiList.

A basicList has the number of its element; the other lists have the ids of templates, which a
:class:`ListContext` looks up. Lists nest: the context counts the depth.
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

#: Semantics of lists (RFC 6313 4.4).
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
#: The limit of nested lists; known exporters nest up to three.
DEPTH_LIMIT = 8
#: Entries of the cache of codecs by the element of a basicList, for one Set.
_CODECS = 256
_list_header = struct.Struct("!BHH").unpack_from
_block_header = struct.Struct("!HH").unpack_from


class RecordTemplate(Protocol):
    """Template as lists of records use it."""

    id: int

    @property
    def length(self) -> int: ...
    def projection(
        self, names: tuple[str, ...] | None, values: str = "scapy"
    ) -> RecordCodec | None: ...
    def encode_rows(self, records: Iterable[Any]) -> list[bytes]: ...


@dataclass(slots=True, eq=False)
class ListContext:
    """Context for decoding lists: templates by id, the elements, and the depth."""

    template: Callable[[int], Any | None] = lambda template_id: None
    model: InformationModel = elements
    version: int = IPFIX_VERSION
    depth: int = 0
    limit: int = DEPTH_LIMIT
    #: Value of the model's ``learned`` at the time of the lists; None: the current one.
    learned: int | None = None
    #: Lookup as ``template``, but names of fields may be outdated: for lists without records.
    layout: Callable[[int], Any | None] | None = None
    #: Parts of lists by kind and octets, which validation stores; None without validation.
    parts: dict[tuple[str, bytes], list[Part]] | None = None
    # Shared by the lists of a Set, of which there may be 65,000.
    _nested: ListContext | None = field(default=None, init=False, repr=False)
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

    def nested(self) -> ListContext | None:
        """Return the context of nested lists, None if they are too deep."""
        if self._nested is None and self.depth < self.limit:
            self._nested = self._at_depth(self.depth + 1)
        return self._nested

    def _at_depth(self, depth: int) -> ListContext:
        return ListContext(
            *(self.template, self.model, self.version, depth, self.limit, self.learned),
            *(self.layout, self.parts),
        )

    def element(self, pen: int, id: int) -> InformationElement:
        """Return the element of a basicList as of the time of the list."""
        if self.learned is None:
            return self.model.element(pen, id)
        return self.model.element_at(pen, id, self.learned)

    def basic_codec(self, octets: bytes, values: str) -> tuple[RecordCodec, int] | None:
        """Return the codec of a basicList's values and their offset, None if truncated."""
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
    """Header of a basicList (RFC 6313 4.5.1)."""

    semantic: int
    enterprise: bool
    pen: int
    id: int
    length: int
    #: Length of the header in octets.
    size: int

    @property
    def octets(self) -> bytes:
        """Header on the wire."""
        octets = bytes((self.semantic,)) + (self.id | self.enterprise << 15).to_bytes(2, "big")
        octets += self.length.to_bytes(2, "big")
        return octets + (self.pen.to_bytes(4, "big") if self.enterprise else b"")

    def layout(self, context: ListContext) -> tuple[TemplateField]:
        """Return the layout of the values, which are records of one field."""
        element = context.element(self.pen, self.id)
        return (TemplateField(element, self.length, element.name),)


@lru_cache(CODEC_CACHE)
def _value_codec(kind: DataType, length: int, values: str) -> RecordCodec:
    """Return the codec of values of a type, the same for all its elements."""
    element = InformationElement(kind.name, 0, 0, kind)
    return RecordCodec((TemplateField(element, length, kind.name),), None, values)


def basic_list_header(octets: bytes) -> BasicListHeader | None:
    """Parse the header of a basicList; return None if it is truncated."""
    specifier = _specifier(octets)
    if specifier is None:
        return None
    pen, id, length, size = specifier
    return BasicListHeader(octets[0], size == 9, pen, id, length, size)


def _specifier(octets: bytes) -> tuple[int, int, int, int] | None:
    """Parse pen, id and length of a basicList's element, and the offset of the values."""
    if len(octets) < 5:
        return None
    _, id, length = _list_header(octets)
    if id < 0x8000:
        return 0, id, length, 5
    if len(octets) < 9:
        return None
    return int.from_bytes(octets[5:9], "big"), id & 0x7FFF, length, 9


def multi_list_blocks(octets: bytes) -> tuple[list[tuple[int, int, int]], int]:
    """Parse the blocks of a subTemplateMultiList (RFC 6313 4.5.3); return also their end.

    A block is a template id and the offsets of the start and the end of its records.
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


# -- decoding


def with_lists(
    records: list[dict[str, Any]], codec: RecordCodec, context: ListContext, values: str
) -> list[dict[str, Any]]:
    """Decode the lists in records, in place of their octets."""
    for _, name, kind in codec.structured:
        lists = decode_lists(kind, [record[name] for record in records], context, values)
        for record, found in zip(records, lists):
            record[name] = found
    return records


def rows_with_lists(
    rows: list[tuple[Any, ...]], codec: RecordCodec, context: ListContext, values: str
) -> list[tuple[Any, ...]]:
    """Decode the lists in rows of the codec, as :func:`with_lists` does in dicts."""
    if not codec.structured or not rows:
        return rows
    columns: list[Iterable[Any]] = list(zip(*rows))
    for position, _, kind in codec.structured:
        columns[position] = decode_lists(kind, columns[position], context, values)
    return list(zip(*columns))


def with_decoded_lists(
    records: list[Any], codec: RecordCodec, context: ListContext, values: str
) -> Any:
    """Decode the lists in records of the codec, dicts or tuples."""
    if records and isinstance(records[0], dict):
        return with_lists(records, codec, context, values)
    return rows_with_lists(records, codec, context, values)


def decode_list(kind: str, octets: Any, context: ListContext, values: str = "scapy") -> Any:
    """Decode a basicList to a list of values, the other lists to lists of dicts.

    ``values`` is the domain of the values. A list that is truncated, too deep or of an
    unknown template stays octets (hexadecimal text for "json").
    """
    return decode_lists(kind, (octets,), context, values)[0]


def decode_lists(
    kind: str, lists: Iterable[Any], context: ListContext, values: str = "scapy"
) -> list[Any]:
    """Decode many lists of a kind as :func:`decode_list`; a Set may have 65,000."""
    inner = context.nested()
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
        for codec, body, _ in parts:
            if kind == "basicList":
                found += codec.values(body)
                for _, _, within in codec.structured:
                    found = decode_lists(within, found, inner, values)
            else:
                records = codec.dicts(body)
                found += with_lists(records, codec, inner, values) if codec.structured else records
        read.append(found)
    return read


#: Records of a list: their codec, their octets, the offset of these in the list.
Part = tuple[RecordCodec, bytes, int]
_EMPTY = RecordCodec(())


def list_parts(
    kind: str, octets: bytes, context: ListContext, values: str = "scapy", name: str = ""
) -> tuple[list[Part], Defect | None]:
    """Return the parts of a list, one for each block, and the defect that prevents decoding.

    The defect is ``list-malformed`` or ``missing-template``. The values of a basicList are
    records of one field; ``name`` is that of the list's field, for the defect.
    """
    if kind == "basicList":
        if len(octets) == (9 if octets[1:2] >= b"\x80" else 5):
            return [], None  # empty, so that the element does not matter
        known = context.basic_codec(octets, values)
        if known is None:
            return [], _malformed(name or kind, "truncated")
        codec, start = known
        body = octets[start:]
        rest = codec.trailing_length(body) if body else 0
        if rest:
            return [], _malformed(name or kind, f"{rest} octets after the last value")
        return [(codec, body, start)], None
    return _block_parts(kind, octets, context, values, name or kind)


def _block_parts(
    kind: str, octets: bytes, context: ListContext, values: str, name: str
) -> tuple[list[Part], Defect | None]:
    """Return :func:`list_parts` of a list of records."""
    parts: list[Part] = []
    rest, stop = 0, len(octets)
    if kind == "subTemplateList":
        if stop < 3:
            return [], _malformed(name, "truncated")
        blocks = [(int.from_bytes(octets[1:3], "big"), 3, stop)]
    else:
        blocks, stop = multi_list_blocks(octets)
    for template_id, start, end in blocks:
        template = (context.layout or context.template)(template_id)
        if template is None:
            if template_id < MINIMUM_DATA_SET:
                flaw = f"template id {template_id} is below 256"
                return [], _malformed(name, flaw)
            return [], Defect.make("missing-template", template_id=template_id, octets=end - start)
        if not 0 < template.length <= end - start:
            # Without records, neither a codec nor the names are needed.
            parts.append((_EMPTY, octets[start:end], start))
            rest = rest or end - start
            continue
        if context.layout is not None:
            template = context.template(template_id)
            assert template is not None
        codec, body = template.projection(None, values), octets[start:end]
        parts.append((codec, body, start))
        rest = rest or codec.trailing_length(body)
    if rest:
        return [], _malformed(name, f"{rest} octets after the last record")
    if stop != len(octets):
        return [], _malformed(name, f"{len(octets) - stop} octets after the last block")
    return parts, None


def _malformed(name: str, flaw: str) -> Defect:
    return Defect.make("list-malformed", name=name, flaw=flaw)


# -- encoding


def encode_list(kind: str, value: Any, model: InformationModel = elements) -> bytes:
    """Encode a list from a user's value.

    basicList: ``(element, values)`` or ``{"element": ..., "values": [...]}``, the element a
    name or IESpec. subTemplateList: ``(template, records)`` or ``{"template": ...,
    "records": [...]}``; subTemplateMultiList: a list of these. A dict may hold ``semantic``,
    by name or number (by default undefined). Packets and octets are used as they are.

    Raises ValueError for any other value, and for values that do not fit.
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
        raise ValueError(f"{value!r} is no {kind}; give [(template, [records]), ...] or octets")
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
    """Encode a basicList of values of one element, given as name, IESpec or element.

    Raises ValueError for an unknown element, and for a value that does not fit.
    """
    if isinstance(element, str):
        found, length = model.spec(element, define=False)
    elif isinstance(element, InformationElement):
        found, length = element, element.length
    else:
        raise ValueError(f"{element!r} is no element; give a name, an IESpec or an element")
    if found.id > MAX_ID:
        raise ValueError(
            f"{found.name} ({found.id}) is a NetFlow v9 field type; lists exist in IPFIX alone"
        )
    header = BasicListHeader(semantic, bool(found.pen), found.pen, found.id, length, 0)
    field = TemplateField(found, length, found.name)
    return header.octets + encode_values(field, items, model)


def encode_values(
    field: TemplateField, items: Iterable[Any], model: InformationModel = elements
) -> bytes:
    """Encode the values of a basicList, each as a record of one field.

    Raises ValueError for a value that does not fit.
    """
    kind = field.data_type.name
    if kind in STRUCTURED:
        items = [encode_list(kind, item, model) for item in items]
    codec = record_codec((field,))
    return b"".join([codec.encode((item,)) for item in items])


def _parts(value: Any, key: str, contents: str, kind: str) -> tuple[int, Any, Sequence[Any]]:
    semantic, found = UNDEFINED, value
    if isinstance(value, Mapping) and key in value:
        semantic = semantic_number(value.get("semantic"))
        found = value[key], value.get(contents, ())
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], (list, tuple)):
        raise ValueError(f"{value!r} is no {kind}; give ({key}, [{contents}]) or octets")
    return semantic, found[0], found[1]


def _template(value: Any, kind: str) -> RecordTemplate:
    if not hasattr(value, "encode_rows"):
        raise ValueError(f"{value!r} is no template for a {kind}; give a Template")
    template: RecordTemplate = value
    return template


def semantic_number(semantic: str | int | None) -> int:
    """Return the number of a list's semantic, from a name or number; None is undefined.

    Raises ValueError for an unknown name, or a number above 255.
    """
    if semantic is None:
        return UNDEFINED
    if isinstance(semantic, int) and 0 <= semantic <= 255:
        return semantic
    number = _SEMANTICS_BY_NAME.get(str(semantic).lower())
    if number is None:
        raise ValueError(f"semantic {semantic!r}: give one of {', '.join(SEMANTICS.values())}")
    return number


def referenced_templates(value: Any) -> Iterable[Any]:
    """Yield the templates in a user's value of a list field, for decoding it again."""
    if hasattr(value, "encode_rows"):
        yield value
    elif isinstance(value, (tuple, list, Mapping)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from referenced_templates(each)

# SPDX-License-Identifier: GPL-2.0-or-later
"""How the Data Records of one layout are read and written, without any Packet.

A :class:`RecordCodec` compiles the fields of a template once: fixed-length layouts into one
:class:`struct.Struct`, others run by run, with a converter only for the fields that need one.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any

from scapy_ipfix.model.datatype import Cache
from scapy_ipfix.model.datatypes import VARIABLE, DataType
from scapy_ipfix.wire.field import TemplateField, prefixed, shortest

#: The types whose octets are lists (RFC 6313); the codec leaves them to who knows templates.
STRUCTURED = frozenset({"basicList", "subTemplateList", "subTemplateMultiList"})
#: Layouts whose codec is kept. A peer that invents layouts only makes us compile again.
CODEC_CACHE = 1024
#: Layouts of more fields are not kept for others: a thousand of 16,000 fields are gigabytes.
WIDE = 250


class RecordCodec:
    """Reads and writes the records of one layout, or only some of their fields.

    ``wanted`` are indices of fields, in the order in which rows shall have them; None means
    all, in the template's order. Writing needs all. ``values`` is the domain
    they are read in (:data:`~scapy_ipfix.model.datatypes.VALUE_DOMAINS`).
    """

    def __init__(
        self,
        fields: tuple[TemplateField, ...],
        wanted: tuple[int, ...] | None = None,
        values: str = "scapy",
    ) -> None:
        self.fields = fields
        keep = None if wanted is None else frozenset(wanted)
        names: list[str] = []
        decoders: dict[int, Callable[[Any], Any]] = {}
        runs: list[tuple[struct.Struct | None, int, bool]] = []
        formats: list[str] = []
        has_lists = False
        # In one pass, and once for each type and length: a message may define 5,000 layouts.
        for position, (element, length, name, _) in enumerate(fields):
            is_kept = keep is None or position in keep
            if is_kept:
                format, decode, is_list = _way(element.type, length, values)
                if decode is not None:
                    decoders[len(names)] = decode
                has_lists = has_lists or is_list
                names.append(name)
            else:
                format = f"{length}x"
            if length != VARIABLE:
                formats.append(format)
                continue
            if formats:
                runs.append(_run(formats))
                formats = []
            runs.append((None, 0, is_kept))
        if formats:
            runs.append(_run(formats))
        self.names = tuple(names)
        #: Octets of a record where all have as many, else of the shortest one; 0: none is read.
        self.minimum = shortest(fields)
        self.is_fixed = not runs or (len(runs) == 1 and runs[0][0] is not None)
        #: Where the asked-for order differs from the wire's: positions in the kept fields.
        self._order = None if wanted is None else _order(wanted)
        #: Fields whose octets are lists: position in a row, name, data type.
        self.structured: tuple[tuple[int, str, str], ...] = ()
        if has_lists:
            self.structured = tuple(
                (at, fields[i].name, fields[i].element.type.name)
                for at, i in enumerate(range(len(fields)) if wanted is None else wanted)
                if fields[i].element.type.name in STRUCTURED
            )
        #: Fixed stretches as (Struct, octets, True), variable fields as (None, 0, kept).
        self._runs = tuple(runs)
        #: Whether records end in their only field of variable length, as names in options; and
        #: whether that is all there is to them, as in many basicLists.
        self._has_tail = runs[-1:] == _TAIL and (
            len(runs) == 1 or (len(runs) == 2 and runs[0][0] is not None)
        )
        self._is_lone = runs == _TAIL
        #: What reads the octets before that field.
        self._head = runs[0][0] or _NOTHING if runs else _NOTHING
        self._decoders = decoders
        self._named_decoders: Sequence[tuple[str, Callable[[Any], Any]]] = ()
        if decoders:
            self._named_decoders = [(names[at], decode) for at, decode in decoders.items()]
        if self.is_fixed:
            self._struct = (runs[0][0] if runs else None) or _NOTHING

    # -- reading

    def ends(self, body: bytes) -> Sequence[int]:
        """Where each record in the body of a Set ends.

        Octets beyond the last one are padding if they are fewer than :attr:`minimum`, a
        record that the Set cuts off otherwise. Records of no octets are never counted.
        """
        size, end, runs = self.minimum, len(body), self._runs
        if size == 0:
            return ()
        if self.is_fixed:
            return range(size, end + 1, size)
        ends: list[int] = []
        position = 0
        if self._has_tail:
            head = self._head.size
            while end - position >= size:
                position += head
                length = body[position]
                position += 1
                if length == 255:
                    length = int.from_bytes(body[position : position + 2], "big")
                    position += 2
                position += length
                if position > end:
                    break
                ends.append(position)
            return ends
        while end - position >= size:
            for run, octets, _ in runs:
                if run is not None:
                    position += octets
                    continue
                if position >= end:
                    return ends
                length = body[position]
                position += 1
                if length == 255:
                    length = int.from_bytes(body[position : position + 2], "big")
                    position += 2
                position += length
            if position > end:
                return ends
            ends.append(position)
        return ends

    def spans(self, body: bytes) -> tuple[list[tuple[int, int]], int]:
        """Offsets of each record in the body of a Set, and where the last one ends."""
        ends = self.ends(body)
        return list(zip((0, *ends), ends)), ends[-1] if ends else 0

    def count(self, body: bytes) -> tuple[int, int]:
        """How many records the body of a Set holds, and where the last one ends."""
        ends = self.ends(body)
        return len(ends), ends[-1] if ends else 0

    def rest(self, body: bytes) -> int:
        """How many octets follow the last record in the body of a Set."""
        if self.is_fixed and self.minimum:
            return len(body) % self.minimum
        return len(body) - self.count(body)[1]

    def rows(self, body: bytes) -> list[tuple[Any, ...]]:
        """The records in the body of a Set, each a tuple of values in the asked order."""
        items = self.items(body)
        if not self._decoders and self._order is None:
            return items
        columns: list[Iterable[Any]] = list(zip(*items))
        if not columns:
            return items
        for position, decode in self._decoders.items():
            columns[position] = map(decode, columns[position])
        if self._order is not None:
            if len(set(self._order)) < len(self._order):
                columns = [tuple(column) for column in columns]
            columns = [columns[position] for position in self._order]
        return list(zip(*columns))

    def values(self, body: bytes) -> list[Any]:
        """The values in the body of a Set whose records have one field, or only one is wanted."""
        if not body:
            return []
        decode = self._decoders.get(0)
        if self.is_fixed and len(body) == self.minimum != 0:
            (value,) = self._struct.unpack(body)  # many a list holds one
            return [value if decode is None else decode(value)]
        if decode is None:
            return [item for (item,) in self.items(body)]
        return [decode(item) for (item,) in self.items(body)]

    def dicts(self, body: bytes) -> list[dict[str, Any]]:
        """The records in the body of a Set, each a dict keyed by field name."""
        names, size = self.names, self.minimum
        if self.is_fixed and len(body) == size:
            # Many a Set holds one record.
            records = [dict(zip(names, self._struct.unpack(body)))] if size else []
        elif len(names) == 1:
            (name,) = names
            return [{name: value} for value in self.values(body)]
        elif self.is_fixed:
            if not size:
                return []
            excess = len(body) % size
            rows = self._struct.iter_unpack(body[:-excess] if excess else body)
            records = [dict(zip(names, row)) for row in rows]
        else:
            records = [dict(zip(names, row)) for row in self.items(body)]
        for name, decode in self._named_decoders:
            for record in records:
                record[name] = decode(record[name])
        return records

    def decoder(self, position: int) -> Callable[[Any], Any] | None:
        """What makes a value of what :meth:`items` has in a position; None: it is one."""
        return self._decoders.get(position)

    def items(self, body: bytes) -> list[tuple[Any, ...]]:
        """Rows as they are unpacked, in the wire's order."""
        if not self.minimum:
            return []
        if self.is_fixed:
            size = self.minimum
            excess = len(body) % size
            return list(self._struct.iter_unpack(body[:-excess] if excess else body))
        rows: list[tuple[Any, ...]] = []
        position, end, size, runs = 0, len(body), self.minimum, self._runs
        if self._is_lone:
            while position < end:
                # An octet says how long it is; 255 says that two more do.
                start = position + 1
                length = body[position]
                if length == 255:
                    start += 2
                    length = int.from_bytes(body[position + 1 : start], "big")
                position = start + length
                if position > end:
                    break
                rows.append((body[start:position],))
            return rows
        if self._has_tail:
            head, unpack = self._head.size, self._head.unpack_from
            while end - position >= size:
                at = position + head
                length = body[at]
                at += 1
                if length == 255:
                    length = int.from_bytes(body[at : at + 2], "big")
                    at += 2
                stop = at + length
                if stop > end:
                    break
                rows.append((*unpack(body, position), body[at:stop]))
                position = stop
            return rows
        while end - position >= size:
            row: list[Any] = []
            for run, octets, keep in runs:
                if run is not None:
                    if position + octets > end:
                        return rows
                    row += run.unpack_from(body, position)
                    position += octets
                    continue
                if position >= end:
                    return rows
                length = body[position]
                position += 1
                if length == 255:
                    length = int.from_bytes(body[position : position + 2], "big")
                    position += 2
                stop = position + length
                if stop > end:
                    return rows
                if keep:
                    row.append(body[position:stop])
                position = stop
            rows.append(tuple(row))
        return rows

    # -- writing

    def encode(self, row: Sequence[Any]) -> bytes:
        """One record from values in the template's order.

        Raises ValueError that names the field, the value and its limit.
        """
        if len(row) != len(self.fields):
            raise ValueError(f"{len(row)} values for {len(self.fields)} fields")
        items = list(row)
        try:
            for position, encode in self._encoders:
                items[position] = encode(items[position])
            return self._pack(items)
        except (struct.error, ValueError, TypeError, OverflowError):
            # The slow way knows enum names and text, and says what is wrong with which.
            return self._pack(self._checked(row))

    def _pack(self, items: list[Any]) -> bytes:
        if self.is_fixed:
            return self._struct.pack(*items)
        return b"".join(
            [
                prefixed(items[start]) if pack is None else pack(*items[start:stop])
                for pack, start, stop in self._packers
            ]
        )

    def encode_rows(self, rows: Sequence[Sequence[Any]]) -> list[bytes]:
        """Many records from rows of values in the template's order.

        Raises as :meth:`encode` does for the first row that does not fit.
        """
        # Column by column, which takes half the time of row by row.
        for careful in (False, True):
            try:
                return self._encode_columns(rows, careful)
            except (struct.error, ValueError, TypeError, OverflowError):
                continue
        return [self.encode(row) for row in rows]

    def _encode_columns(self, rows: Sequence[Sequence[Any]], careful: bool) -> list[bytes]:
        """``careful`` knows enum names and text also for what is a plain number as a rule."""
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        if len(columns) != len(self.fields) or not columns:
            raise ValueError("no column for every field")  # the caller finds out which row
        for position, encode in self._encoders:
            columns[position] = map(encode, columns[position])
        if careful:
            for position in self._plain:
                if set(map(type, columns[position])) != {int}:
                    columns[position] = map(_encoder(self.fields[position]), columns[position])
        parts = [
            map(prefixed, columns[start]) if pack is None else map(pack, *columns[start:stop])
            for pack, start, stop in self._packers
        ]
        return list(parts[0]) if len(parts) == 1 else list(map(b"".join, zip(*parts)))

    @cached_property
    def _packers(self) -> tuple[tuple[Callable[..., bytes] | None, int, int], ...]:
        """What packs the items from where to where; None for one of variable length."""
        packers: list[tuple[Callable[..., bytes] | None, int, int]] = []
        start = 0
        for run, _, _ in self._runs:
            stop = start + (1 if run is None else _item_count(run))
            packers.append((None if run is None else run.pack, start, stop))
            start = stop
        return tuple(packers)

    @cached_property
    def _plain(self) -> tuple[int, ...]:
        """Fields whose values struct packs, and checks, as they are: numbers of native width."""
        return tuple(
            position
            for position, field in enumerate(self.fields)
            if (field.data_type.is_integer or field.data_type.name.startswith("float"))
            and not field.data_type.codec(field.length).format.endswith("s")
        )

    @cached_property
    def _encoders(self) -> tuple[tuple[int, Callable[[Any], Any]], ...]:
        """What makes items of the values of the other fields."""
        plain = frozenset(self._plain)
        return tuple(
            (position, _encoder(field))
            for position, field in enumerate(self.fields)
            if position not in plain
        )

    def _checked(self, row: Sequence[Any]) -> list[Any]:
        items = []
        for field, value in zip(self.fields, row):
            try:
                items.append(field.encode(value))
            except ValueError as problem:
                raise ValueError(f"field {field.name}: {problem}") from None
        return items


_NOTHING = struct.Struct("!")
_TAIL = [(None, 0, True)]


def _run(formats: list[str]) -> tuple[struct.Struct, int, bool]:
    run = struct.Struct("!" + "".join(formats))
    return run, run.size, True


def _order(wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """Where in the wire's order each wanted field is; None if that is the order they have."""
    kept = {each: position for position, each in enumerate(sorted(set(wanted)))}
    order = tuple(kept[each] for each in wanted)
    return None if order == tuple(range(len(kept))) else order


def _encoder(field: TemplateField) -> Callable[[Any], Any]:
    """What makes an item of a value: the type's own encoder where that is all there is to it."""
    if field.is_variable or field.element.values is not None:
        return field.encode
    return field.data_type.codec(field.length).encode


@lru_cache(CODEC_CACHE)
def _item_count(run: struct.Struct) -> int:
    return len(run.unpack(bytes(run.size)))


@lru_cache(CODEC_CACHE)
def _way(kind: DataType, length: int, values: str) -> tuple[str, Callable[[Any], Any] | None, bool]:
    """How a field of that type and length is read: format, decoder, whether it is a list."""
    format = "" if length == VARIABLE else kind.codec(length).format
    return format, _decoder(kind, length, values), kind.name in STRUCTURED


def _decoder(kind: DataType, length: int, values: str) -> Callable[[Any], Any] | None:
    decode: Callable[[Any], Any] | None
    if kind.name in STRUCTURED:
        return None
    if length == VARIABLE:
        decode = None if kind.name == "octetArray" else kind.decode
        octets = True
    else:
        codec = kind.codec(length)
        decode = codec.decode
        octets = decode is None and codec.format.endswith("s")
    convert = DataType.to_json.__get__(kind) if octets and values == "json" else None
    convert = kind.converter(values) or convert
    if convert is None:
        return decode
    if length == VARIABLE:
        return _variable_decoder(decode, convert)
    # Flows repeat their hosts, in every layout; of an octet there are 256.
    if length <= 1 or (kind.is_address and decode is not None):
        return Cache(_both(decode, convert)).__getitem__
    return _both(decode, convert)


def _both(
    decode: Callable[[Any], Any] | None, convert: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    return convert if decode is None else lambda item: convert(decode(item))


def _variable_decoder(
    decode: Callable[[Any], Any] | None, convert: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """What reads and converts values of variable length; of no octets, a Set may hold 65,000."""
    if decode is None:
        nothing = convert(b"")
        return lambda octets: convert(octets) if octets else nothing
    nothing = convert(decode(b""))
    return lambda octets: convert(decode(octets)) if octets else nothing


def field_offsets(fields: Iterable[TemplateField]) -> tuple[int, ...]:
    """Return the offset of each of several fixed-length fields, and where the last one ends."""
    return (0, *accumulate(each.length for each in fields))


def record_codec(
    fields: tuple[TemplateField, ...],
    wanted: tuple[int, ...] | None = None,
    values: str = "scapy",
) -> RecordCodec:
    """The codec of a layout, or of some of its fields; equal layouts share one."""
    make = _shared_codec if len(fields) <= WIDE else RecordCodec
    return make(fields, wanted, values)


_shared_codec = lru_cache(CODEC_CACHE)(RecordCodec)

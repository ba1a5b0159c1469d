# SPDX-License-Identifier: GPL-2.0-or-later
"""Codec of Data Records (RFC 7011 3.4.3): octets to values of one layout, and back.

A :class:`RecordCodec` compiles the fields of a template once: fixed-length layouts into one
:class:`struct.Struct`, others run by run, with a decoder only for the fields that need one.
It is the one place that decodes Data Records and knows the offsets of their fields.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any

from scapy_ipfix.model.datatypes import VARIABLE
from scapy_ipfix.wire.field import TemplateField, minimum_length, prefixed
from scapy_ipfix.wire.layout import (
    CODEC_CACHE,
    NO_FIELDS,
    VARIABLE_RUN,
    compile_layout,
    list_fields,
    positions_on_wire,
)

#: Layouts of more fields share no codec: a thousand of 16,000 fields would be gigabytes.
WIDE = 250


class RecordCodec:
    """Codec of the records of one layout, or of some of their fields.

    ``wanted`` are indices of fields in the order of the rows; None means all, in the order of
    the template. Encoding needs all. ``values`` is the domain of the values, one of
    :data:`~scapy_ipfix.model.datatype.VALUE_DOMAINS`.
    """

    def __init__(
        self,
        fields: tuple[TemplateField, ...],
        wanted: tuple[int, ...] | None = None,
        values: str = "scapy",
    ) -> None:
        self.fields = fields
        names, decoders, runs, has_lists = compile_layout(fields, wanted, values)
        self.names = tuple(names)
        #: Octets of a record where all have as many, else of the shortest one; 0: none is read.
        self.minimum = minimum_length(fields)
        self.is_fixed = not runs or (len(runs) == 1 and runs[0][0] is not None)
        #: Positions in the kept fields, in the wanted order, where that is not the wire's order.
        self._order = None if wanted is None else positions_on_wire(wanted)
        #: List fields (RFC 6313): position in a row, name, data type.
        self.structured = list_fields(fields, wanted) if has_lists else ()
        #: Fixed stretches as (Struct, octets, True), variable fields as (None, 0, kept).
        self._runs = tuple(runs)
        self._decoders = decoders
        self._named_decoders: Sequence[tuple[str, Callable[[Any], Any]]] = ()
        if decoders:
            self._named_decoders = [(names[at], decode) for at, decode in decoders.items()]
        #: True where the only field has variable length, as in many basicLists.
        self._single_variable = False
        #: True where the last field is the only one of variable length, as names in options.
        self._ends_variable = False
        #: Struct of the whole record if :attr:`is_fixed`, else of the fields before the first
        #: one of variable length.
        self._struct = (runs[0][0] if runs else None) or NO_FIELDS
        if not self.is_fixed:
            self._single_variable = runs == VARIABLE_RUN
            self._ends_variable = self._single_variable or (
                len(runs) == 2 and runs[0][0] is not None and runs[1:] == VARIABLE_RUN
            )

    # -- reading

    def record_ends(self, body: bytes) -> Sequence[int]:
        """Return the offset at which each record in the body of a Set ends.

        Octets after the last one are padding if they are fewer than :attr:`minimum`, else a
        record that is cut off. Records of no octets are never counted.
        """
        size, end = self.minimum, len(body)
        if size == 0:
            return ()
        if self.is_fixed:
            return range(size, end + 1, size)
        if self._ends_variable:
            return self._ends_after_head(body)
        ends: list[int] = []
        position, runs = 0, self._runs
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

    def _ends_after_head(self, body: bytes) -> list[int]:
        """Return the ends of records whose last field alone has variable length."""
        ends: list[int] = []
        position, end, size, head = 0, len(body), self.minimum, self._struct.size
        while end - position >= size:
            position += head
            length = body[position]
            if length == 255:
                length = int.from_bytes(body[position + 1 : position + 3], "big") + 2
            position += length + 1
            if position > end:
                break
            ends.append(position)
        return ends

    def record_spans(self, body: bytes) -> tuple[list[tuple[int, int]], int]:
        """Return the offsets of each record in the body of a Set, and the end of the last one."""
        ends = self.record_ends(body)
        return list(zip((0, *ends), ends)), ends[-1] if ends else 0

    def field_spans(self, body: bytes) -> Iterator[list[tuple[int, int]]]:
        """Yield for each record in the body of a Set the offsets of its fields' values.

        Each is a pair of start and stop, in the order of the template; the length octets of a
        field of variable length (RFC 7011 7) stand before its start.
        """
        for position, _ in self.record_spans(body)[0]:
            spans = []
            for _, length, _, _ in self.fields:
                if length == VARIABLE:
                    length = body[position]
                    position += 1
                    if length == 255:
                        length = int.from_bytes(body[position : position + 2], "big")
                        position += 2
                spans.append((position, position + length))
                position += length
            yield spans

    def count_records(self, body: bytes) -> tuple[int, int]:
        """Return the number of records in the body of a Set, and the end of the last one."""
        ends = self.record_ends(body)
        return len(ends), ends[-1] if ends else 0

    def trailing_length(self, body: bytes) -> int:
        """Return the number of octets after the last record in the body of a Set."""
        if self.is_fixed and self.minimum:
            return len(body) % self.minimum
        return len(body) - self.count_records(body)[1]

    def rows(self, body: bytes) -> list[tuple[Any, ...]]:
        """Decode the records in the body of a Set as tuples, in the wanted order."""
        items = self.raw_rows(body)
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
        """Decode the values of a Set whose records have one field, or one wanted field."""
        if not body:
            return []
        decode = self._decoders.get(0)
        if self.is_fixed and len(body) == self.minimum != 0:
            (value,) = self._struct.unpack(body)  # many lists hold one value
            return [value if decode is None else decode(value)]
        if decode is None:
            return [item for (item,) in self.raw_rows(body)]
        return [decode(item) for (item,) in self.raw_rows(body)]

    def dicts(self, body: bytes) -> list[dict[str, Any]]:
        """Decode the records in the body of a Set as dicts keyed by field name."""
        names, size = self.names, self.minimum
        if self.is_fixed and len(body) == size:
            # Many Sets hold one record.
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
            records = [dict(zip(names, row)) for row in self.raw_rows(body)]
        for name, decode in self._named_decoders:
            for record in records:
                record[name] = decode(record[name])
        return records

    def decoder(self, position: int) -> Callable[[Any], Any] | None:
        """Return the decoder of a position in the rows of :meth:`raw_rows`; None: it needs none."""
        return self._decoders.get(position)

    def raw_rows(self, body: bytes) -> list[tuple[Any, ...]]:
        """Return rows as struct unpacks them, in the order of the wire."""
        if not self.minimum:
            return []
        if self.is_fixed:
            size = self.minimum
            excess = len(body) % size
            return list(self._struct.iter_unpack(body[:-excess] if excess else body))
        if self._single_variable:
            return _variable_rows(body)
        if self._ends_variable:
            return self._raw_rows_after_head(body)
        rows: list[tuple[Any, ...]] = []
        position, end, size, runs = 0, len(body), self.minimum, self._runs
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

    def _raw_rows_after_head(self, body: bytes) -> list[tuple[Any, ...]]:
        """Return rows of records whose last field alone has variable length."""
        rows: list[tuple[Any, ...]] = []
        position, end, size = 0, len(body), self.minimum
        head, unpack = self._struct.size, self._struct.unpack_from
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

    # -- writing

    def encode(self, row: Sequence[Any]) -> bytes:
        """Encode one record from values in the order of the template.

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
            # The slow path accepts names and text, and names the field that does not fit.
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
        """Encode records from rows of values in the order of the template.

        Raises ValueError as :meth:`encode` for the first row that does not fit.
        """
        # Column by column takes half the time of row by row.
        for careful in (False, True):
            try:
                return self._encode_columns(rows, careful)
            except (struct.error, ValueError, TypeError, OverflowError):
                continue
        return [self.encode(row) for row in rows]

    def _encode_columns(self, rows: Sequence[Sequence[Any]], careful: bool) -> list[bytes]:
        """Encode column by column; ``careful`` accepts names and text for plain numbers too."""
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        if len(columns) != len(self.fields) or not columns:
            raise ValueError("no column for every field")  # encode() names the row
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
        """Return for each run its pack function and slice of items; None: variable length."""
        packers: list[tuple[Callable[..., bytes] | None, int, int]] = []
        start = 0
        for run, _, _ in self._runs:
            stop = start + (1 if run is None else _item_count(run))
            packers.append((None if run is None else run.pack, start, stop))
            start = stop
        return tuple(packers)

    @cached_property
    def _plain(self) -> tuple[int, ...]:
        """Return the fields that struct packs and checks itself: numbers of native width."""
        return tuple(
            position
            for position, field in enumerate(self.fields)
            if (field.data_type.is_integer or field.data_type.name.startswith("float"))
            and not field.data_type.codec(field.length).format.endswith("s")
        )

    @cached_property
    def _encoders(self) -> tuple[tuple[int, Callable[[Any], Any]], ...]:
        """Return the encoders of the other fields."""
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


def _variable_rows(body: bytes) -> list[tuple[Any, ...]]:
    """Return rows of one field of variable length (RFC 7011 7)."""
    rows: list[tuple[Any, ...]] = []
    position, end = 0, len(body)
    while position < end:
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


def _encoder(field: TemplateField) -> Callable[[Any], Any]:
    """Return the encoder of a field: that of its type where the field needs no other."""
    if field.is_variable or field.element.values is not None:
        return field.encode
    return field.data_type.codec(field.length).encode


@lru_cache(CODEC_CACHE)
def _item_count(run: struct.Struct) -> int:
    return len(run.unpack(bytes(run.size)))


def field_offsets(fields: Iterable[TemplateField]) -> tuple[int, ...]:
    """Return the offset of each of several fixed-length fields, and where the last one ends."""
    return (0, *accumulate(each.length for each in fields))


def record_codec(
    fields: tuple[TemplateField, ...],
    wanted: tuple[int, ...] | None = None,
    values: str = "scapy",
) -> RecordCodec:
    """Return the codec of a layout, or of some of its fields; equal layouts share one."""
    make = _shared_codec if len(fields) <= WIDE else RecordCodec
    return make(fields, wanted, values)


_shared_codec = lru_cache(CODEC_CACHE)(RecordCodec)

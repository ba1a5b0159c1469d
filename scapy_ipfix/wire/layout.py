# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiled record layouts: struct formats and value decoders of the fields of a template.

:class:`~scapy_ipfix.wire.codec.RecordCodec` reads and writes records with them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from scapy_ipfix.model.datatype import Cache
from scapy_ipfix.model.datatypes import VARIABLE, DataType
from scapy_ipfix.wire.field import TemplateField

#: Types that hold lists (RFC 6313); the codec leaves their octets to wire.structured.
STRUCTURED = frozenset({"basicList", "subTemplateList", "subTemplateMultiList"})
#: Layouts with a cached codec.
CODEC_CACHE = 1024

NO_FIELDS = struct.Struct("!")
#: Fixed stretch as (Struct, octets, True), or variable field as (None, 0, kept).
Run = tuple["struct.Struct | None", int, bool]
VARIABLE_RUN: list[Run] = [(None, 0, True)]


#: Kept fields of a layout: names, decoders by position in a row, runs, True if some are lists.
CompiledLayout = tuple[list[str], dict[int, Callable[[Any], Any]], list[Run], bool]


def compile_layout(
    fields: tuple[TemplateField, ...], wanted: tuple[int, ...] | None, values: str
) -> CompiledLayout:
    """Compile a layout in one pass: a message may define 5,000 layouts."""
    keep = None if wanted is None else frozenset(wanted)
    names: list[str] = []
    decoders: dict[int, Callable[[Any], Any]] = {}
    runs: list[Run] = []
    formats: list[str] = []
    has_lists = False
    for position, (element, length, name, _) in enumerate(fields):
        is_kept = keep is None or position in keep
        if is_kept:
            format, decode, is_list = _field_reader(element.type, length, values)
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
    return names, decoders, runs, has_lists


def list_fields(
    fields: tuple[TemplateField, ...], wanted: tuple[int, ...] | None
) -> tuple[tuple[int, str, str], ...]:
    """Return the wanted list fields (RFC 6313): position in a row, name, data type."""
    return tuple(
        (at, fields[i].name, fields[i].element.type.name)
        for at, i in enumerate(range(len(fields)) if wanted is None else wanted)
        if fields[i].element.type.name in STRUCTURED
    )


def _run(formats: list[str]) -> Run:
    run = struct.Struct("!" + "".join(formats))
    return run, run.size, True


def positions_on_wire(wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the wanted fields as positions in the order of the wire; None: the same order."""
    kept = {each: position for position, each in enumerate(sorted(set(wanted)))}
    order = tuple(kept[each] for each in wanted)
    return None if order == tuple(range(len(kept))) else order


@lru_cache(CODEC_CACHE)
def _field_reader(
    kind: DataType, length: int, values: str
) -> tuple[str, Callable[[Any], Any] | None, bool]:
    """Return format and decoder of fields of a type and length, and True for lists."""
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
    # Flows repeat their hosts; an octet has 256 values.
    if length <= 1 or (kind.is_address and decode is not None):
        return Cache(_compose(decode, convert)).__getitem__
    return _compose(decode, convert)


def _compose(
    decode: Callable[[Any], Any] | None, convert: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    return convert if decode is None else lambda item: convert(decode(item))


def _variable_decoder(
    decode: Callable[[Any], Any] | None, convert: Callable[[Any], Any]
) -> Callable[[Any], Any]:
    """Return a decoder of variable-length values; a Set may hold 65,000 empty ones."""
    if decode is None:
        nothing = convert(b"")
        return lambda octets: convert(octets) if octets else nothing
    nothing = convert(decode(b""))
    return lambda octets: convert(decode(octets)) if octets else nothing

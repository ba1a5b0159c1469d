# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with the values of records: what only shows when they are decoded.

Reading does not look for it, since most readers want speed; ``scapy-ipfix check`` and
``IPFIXSession(check_values=True)`` do, and a Data Set packet when asked for its defects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from scapy_ipfix.diagnostics import Defect
from scapy_ipfix.structured import ListContext, list_parts
from scapy_ipfix.templates import Template, kept_by_template

#: Findings of one field in one Set; a broken field is broken in every record.
_PER_FIELD = 1
#: The least octets that a record of padding is taken for one by mistake.
_PADDING = 4
#: Types whose octets may be no value.
_FLAWED = frozenset({"boolean", "string", "float32", "float64"})


@kept_by_template
def _checked(template: Template) -> tuple[tuple[int, str, Any, tuple[int, int] | None], ...]:
    """The fields that can hold what they should not: position, name, type, range."""
    found: list[tuple[int, str, Any, tuple[int, int] | None]] = []
    for position, field in enumerate(template.fields):
        kind, limits = field.data_type, field.element.range
        if kind.is_integer and limits is not None and not kind.is_time:
            natural = (0, (1 << 8 * field.length) - 1) if not field.is_variable else None
            if limits != natural:
                found.append((position, field.name, kind, limits))
        elif kind.name in _FLAWED:
            found.append((position, field.name, kind, None))
    return tuple(found)


def has_checks(template: Template) -> bool:
    """Whether there is anything to be wrong with a single record of a template."""
    return bool(_checked(template) or template.codec.structured)


def value_defects(
    template: Template,
    body: bytes,
    context: ListContext | None = None,
    ends: Sequence[int] | None = None,
) -> Iterator[Defect]:
    """What is wrong with the values in the body of a Set, one finding a field.

    ``context`` is what lists are read with, ``ends`` where the records end, for who knows
    that. Never raises.
    """
    codec = template.codec
    checked = _checked(template)
    ends = codec.ends(body) if ends is None else ends
    if checked or codec.structured:
        items = codec.items(body)
        for position, name, kind, limits in checked:
            values = codec.values(items, position)
            yield from _field_defects(template, name, kind, limits, values)
        for position, name, list_kind in codec.structured:
            values = codec.values(items, position)
            yield from _list_defects(name, list_kind, values, context or ListContext())
    if len(ends) > 1:
        start, stop = ends[-2:]
        if stop - start >= _PADDING and body.count(0, start, stop) == stop - start:
            yield Defect.of(
                "padding-long", set_id=template.id, padding=stop - start, record=stop - start
            )


def _field_defects(
    template: Template, name: str, kind: Any, limits: tuple[int, int] | None, values: Iterator[Any]
) -> Iterator[Defect]:
    found = 0
    for value in values:
        flaw = kind.flaw(value)
        if flaw is None and limits is not None and isinstance(value, int):
            low, high = limits
            if not low <= value <= high:
                flaw = f"{value} is not in {low}..{high}"
        if flaw is not None:
            yield Defect.of("value", set_id=template.id, name=name, flaw=flaw)
            found += 1
            if found >= _PER_FIELD:
                return


def _list_defects(
    name: str, kind: str, values: Iterator[Any], context: ListContext
) -> Iterator[Defect]:
    for octets in values:
        defect = _list_defect(name, kind, octets, context)
        if defect is not None:
            yield defect
            return


def _list_defect(name: str, kind: str, octets: bytes, context: ListContext) -> Defect | None:
    """The first thing that is wrong with a list or with a list within it."""
    if not octets:
        return Defect.of("list-malformed", name=name, flaw="no octets")
    inner = context.deeper()
    if inner is None:
        return Defect.of("list-too-deep", name=name, limit=context.limit)
    parts, defect = list_parts(kind, octets, inner, name=name)
    if defect is not None:
        return defect
    for codec, body in parts:
        rows = codec.rows(body) if codec.structured else ()
        for position, below, below_kind in codec.structured:
            for row in rows:
                defect = _list_defect(below, below_kind, row[position], inner)
                if defect is not None:
                    return defect
    return None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Validation of the values in Data Records (RFC 7011 6.1, RFC 6313).

Reading skips it for speed; ``scapy-ipfix check``, ``IPFIXSession(check_values=True)`` and the
defects of a Data Set packet include it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from scapy_ipfix.model.datatypes import VARIABLE
from scapy_ipfix.wire.diagnostics import Defect
from scapy_ipfix.wire.framing import IPFIX_VERSION
from scapy_ipfix.wire.structured import ListContext, list_parts
from scapy_ipfix.wire.template import Template, cached_per_template

#: The limit of findings in a Set: a message may have 10,000 invalid fields.
_PER_SET = 100
_new = tuple.__new__
#: The shortest record that may be padding.
_PADDING = 4
#: Types with invalid values.
_FALLIBLE = frozenset({"boolean", "string", "float32", "float64"})


#: Field with invalid values: its position in a record, its name for a defect, its decoder, the
#: function that describes a violation, the limits of a number.
_Checked = tuple[
    int,
    tuple[str, str],
    Callable[[Any], Any] | None,
    Callable[[Any], str | None] | None,
    tuple[int, int],
]


@cached_per_template
def _checked(template: Template) -> tuple[_Checked, ...]:
    """Return the fields that may hold invalid values."""
    found: list[_Checked] = []
    for position, (element, length, name, _) in enumerate(template.fields):
        kind, limits, named = element.type, element.range, ("name", name)
        if kind.name in _FALLIBLE:
            found.append(
                (position, named, template.codec.decoder(position), kind.violation, (0, 0))
            )
        elif limits is not None and kind.is_integer and not kind.is_time:
            natural = (0, (1 << 8 * length) - 1) if length != VARIABLE else None
            if limits != natural:
                found.append((position, named, template.codec.decoder(position), None, limits))
    return tuple(found)


def needs_validation(template: Template) -> bool:
    """Return True if records of a template have values to validate."""
    return bool(template.codec.structured or _checked(template))


def value_defects(
    template: Template,
    body: bytes,
    context: ListContext | None = None,
    ends: Sequence[int] | None = None,
) -> list[Defect]:
    """Return the defects of values in the body of a Set: one for each field, 100 at most.

    ``context`` has the templates of lists; ``ends`` are the ends of the records, if known.
    Never raises.
    """
    codec = template.codec
    checked = _checked(template)
    ends = codec.record_ends(body) if ends is None else ends
    found: list[Defect] = []
    if checked or codec.structured:
        rows = codec.raw_rows(body)
        set_id = "set_id", template.id
        for position, named, decode, flaw_of, (low, high) in checked:
            for row in rows:
                value = row[position] if decode is None else decode(row[position])
                if flaw_of is not None:
                    flaw = flaw_of(value)
                    if flaw is None:
                        continue
                elif not isinstance(value, int) or low <= value <= high:
                    continue
                else:
                    flaw = f"{value} is not in {low}..{high}"
                # Defect(...) with one call less: a message may have 60,000.
                found.append(
                    _new(Defect, ("value", (set_id, named, ("flaw", flaw)), IPFIX_VERSION))
                )
                break  # a field is usually invalid in every record
            if len(found) >= _PER_SET:
                break
        for position, name, kind in codec.structured:
            lists = map(itemgetter(position), rows)
            defect = _list_defect(kind, name, lists, context or ListContext())
            found += [] if defect is None else [defect]
    if len(ends) > 1:
        start, stop = ends[-2:]
        if stop - start >= _PADDING and body.count(0, start, stop) == stop - start:
            size = stop - start
            found.append(Defect.make("padding-long", set_id=template.id, padding=size, record=size))
    return found


def _list_defect(
    kind: str, name: str, lists: Iterable[bytes], context: ListContext
) -> Defect | None:
    """Return the first defect of lists or of lists within them."""
    inner = context.nested()
    for octets in lists:
        if not octets:
            return Defect.make("list-malformed", name=name, flaw="no octets")
        if inner is None:
            return Defect.make("list-too-deep", name=name, limit=context.limit)
        parts, defect = list_parts(kind, octets, inner, name=name)
        if defect is not None:
            return defect
        if inner.parts is not None:
            inner.parts[kind, octets] = parts
        for codec, body, _ in parts:
            rows = codec.rows(body) if codec.structured else ()
            for position, below, below_kind in codec.structured:
                within = map(itemgetter(position), rows)
                defect = _list_defect(below_kind, below, within, inner)
                if defect is not None:
                    return defect
    return None

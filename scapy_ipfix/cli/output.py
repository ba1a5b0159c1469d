# SPDX-License-Identifier: GPL-2.0-or-later
"""Writers of Data Sets as text: tables, JSON lines, CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TextIO

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.model.times import NTPTime
from scapy_ipfix.reading.selection import ORIGIN, exporter_text
from scapy_ipfix.text import counted, cut, printable
from scapy_ipfix.wire.codec import WIDE
from scapy_ipfix.wire.display import field_texts
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template

#: Records, and cells, that a table aligns with each other: a template may have 16,000 fields.
_TABLE_BLOCK, _TABLE_CELLS = 1000, 50_000
#: Layouts whose JSON form is kept.
_CACHED_LAYOUTS = 1024

_encode_json = json.JSONEncoder(separators=(", ", ": "), allow_nan=False, default=str).encode


class Output(Protocol):
    """Writer of Data Sets; ``records`` counts the records so far."""

    records: int

    def write(self, read: CollectedSet, template: Template) -> None:
        """Write the records of a Data Set, or keep them until more have come."""

    def finish(self) -> None:
        """Write the records that are kept."""


class _Line(NamedTuple):
    """JSON form of the records of one layout, for the ``%`` operator.

    ``form`` has the names, and a place for each value. Values at the positions ``encoded``
    have to be encoded first; all others are numbers, or text that needs no escape.
    """

    template: Template
    names: tuple[str, ...]
    form: str
    encoded: tuple[int, ...]

    @classmethod
    def for_layout(cls, template: Template, names: tuple[str, ...]) -> _Line:
        """Return the form of the fields ``names`` of a template."""
        fields = dict(zip(template.names, template.fields))
        places = [_place(fields[name]) for name in names]
        pairs = [_escape(_encode_json(name)) + ": " + place for name, place in zip(names, places)]
        encoded = tuple(at for at, place in enumerate(places) if place == "%s")
        return cls(template, names, ", ".join(pairs) + "}\n", encoded)

    def write(self, rows: list[tuple[Any, ...]], before: str) -> str:
        """Return the lines of these rows, each with ``before`` at its beginning."""
        if self.encoded:
            columns: list[Iterable[Any]] = list(zip(*rows))
            for at in self.encoded:
                columns[at] = map(_encode_json, columns[at])
            rows = list(zip(*columns))
        form = _escape(before) + self.form
        return "".join([form % row for row in rows])


def _place(field: TemplateField) -> str:
    """Return the ``%`` place of a field for values of the domain "json"."""
    kind = field.data_type
    if isinstance(kind, NTPTime):
        return "%s"  # an unknown time is null
    # The text of a time or an address has no character that JSON escapes.
    if kind.is_time or kind.is_address:
        return '"%s"' if field.length == kind.length else "%s"
    is_number = kind.is_integer and kind.name != "boolean" and 0 < field.length <= kind.length
    return "%d" if is_number else "%s"


def _escape(text: str) -> str:
    return text.replace("%", "%%")


class JSONLines:
    """Writer of one JSON object per line: exporter, domain, template, then the fields."""

    def __init__(self, out: TextIO, fields: tuple[str, ...] | None = None) -> None:
        self.records = 0
        self._out = out
        self._fields = fields
        #: Forms by identity of their template, which each form keeps alive.
        self._lines: dict[int, _Line] = {}

    def write(self, read: CollectedSet, template: Template) -> None:
        names = template.names if self._fields is None else self._fields
        rows = read.records(names, "json")
        if not rows:
            return
        self.records += len(rows)
        before = _encode_json(dict(zip(ORIGIN, _context(read))))[:-1] + ", "
        self._out.write(self._line(template, names).write(rows, before))

    def _line(self, template: Template, names: tuple[str, ...]) -> _Line:
        line = self._lines.get(id(template))
        if line is None:
            line = _Line.for_layout(template, names)
            if len(template.fields) <= WIDE:
                if len(self._lines) >= _CACHED_LAYOUTS:
                    self._lines.clear()
                self._lines[id(template)] = line
        return line

    def finish(self) -> None:
        """Do nothing: no record is kept."""


class CSV:
    """Writer of one CSV table with the given columns, for records of all templates."""

    def __init__(self, out: TextIO, columns: Sequence[str]) -> None:
        self.records = 0
        self._writer = csv.writer(out, lineterminator="\n")
        self._columns = tuple(columns)
        self._writer.writerow((*ORIGIN, *columns))

    def write(self, read: CollectedSet, template: Template) -> None:
        names = set(template.names)
        context = _context(read)
        texts = dict(zip(template.names, field_texts(template)))
        chosen = [texts.get(name) for name in self._columns]
        if not names.intersection(self._columns):
            return
        for record in read.records():
            self.records += 1
            self._writer.writerow(
                (
                    *context,
                    *(
                        text(record[name]) if text is not None else ""
                        for name, text in zip(self._columns, chosen)
                    ),
                )
            )

    def finish(self) -> None:
        """Do nothing: no record is kept."""


class TextTable:
    """Writer of aligned tables, one for records in succession of one domain and template.

    With ``fields`` records of all templates of a domain share a table. A table that is wider
    than ``width`` characters is broken into blocks of columns; None is no limit.
    """

    def __init__(
        self, out: TextIO, fields: tuple[str, ...] | None = None, width: int | None = None
    ) -> None:
        self.records = 0
        self._out = out
        self._fields = fields
        self._width = width
        self._kept: list[tuple[str, ...]] = []
        #: Domain of the kept records, and their template without ``fields``.
        self._group: tuple[Domain, Template | None] | None = None
        self._tables = 0

    def write(self, read: CollectedSet, template: Template) -> None:
        group = read.domain, template if self._fields is None else None
        names = template.names if self._fields is None else self._fields
        kept = len(self._kept)
        if self._group != group or kept >= _TABLE_BLOCK or kept * len(names) >= _TABLE_CELLS:
            self.finish()
            self._group = group
        rows = read.records(names)
        if not rows:
            return
        by_name = dict(zip(template.names, field_texts(template)))
        texts = [by_name[name] for name in names]
        self._kept += [tuple(cut(text(value)) for text, value in zip(texts, row)) for row in rows]

    def finish(self) -> None:
        """Write the kept records as a table whose columns are wide enough for all of them."""
        rows, self._kept = self._kept, []
        if not rows or self._group is None:
            return
        domain, template = self._group
        version = "NetFlow v9" if domain.version == 9 else "IPFIX"
        if self._tables:
            self._out.write("\n")
        self._tables += 1
        heading = [printable(str(domain.transport)), version, f"domain {domain.id}"]
        if template is not None:
            heading.append(f"{'options ' if template.is_options else ''}template {template.id}")
        heading.append(counted(len(rows), "record"))
        self._out.write("  ".join(heading) + "\n")
        names = template.names if template is not None else self._fields or ()
        first = self.records + 1
        self.records += len(rows)
        numbers = tuple(str(first + i) for i in range(len(rows)))
        for block in _blocks(names, rows, len(numbers[-1]) + 2, self._width):
            header = [printable(names[i]) for i in block]
            columns = [[header[n], *(row[i] for row in rows)] for n, i in enumerate(block)]
            self._out.write(_aligned([["#", *numbers], *columns]))


def _context(read: CollectedSet) -> tuple[Any, ...]:
    # For an IPFIX File the transport is the file name, which may hold any character.
    return printable(exporter_text(read.domain)), read.domain.id, read.set_id


def _blocks(
    names: Sequence[str], rows: list[tuple[str, ...]], margin: int, width: int | None
) -> Iterable[list[int]]:
    """Yield the indices of columns that fit side by side."""
    block: list[int] = []
    used = margin
    for i, name in enumerate(names):
        size = max(len(name), max(len(row[i]) for row in rows)) + 2
        if block and width is not None and used + size > width:
            yield block
            block, used = [], margin
        block.append(i)
        used += size
    if block:
        yield block


def _aligned(columns: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in columns]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in zip(*columns)
    )
    return "\n".join(lines) + "\n"

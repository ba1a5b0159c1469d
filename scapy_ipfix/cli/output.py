# SPDX-License-Identifier: GPL-2.0-or-later
"""Data Sets written as text: a table, JSON lines, CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TextIO

from scapy_ipfix.collector.collected import DataRead, Origin
from scapy_ipfix.reading.columns import CONTEXT
from scapy_ipfix.text import cut, printable
from scapy_ipfix.wire.codec import WIDE
from scapy_ipfix.wire.display import field_texts
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template

#: Records that a table lines up with each other.
_TABLE_BLOCK = 1000
#: And cells: a template may have 16,000 fields.
_TABLE_CELLS = 50_000
#: Layouts of which it is remembered how they are written.
_REMEMBERED = 1024

_encode_json = json.JSONEncoder(separators=(", ", ": "), allow_nan=False, default=str).encode


class Output(Protocol):
    """Takes Data Sets one by one; ``finish`` writes what was held back."""

    records: int

    def write(self, read: DataRead, template: Template) -> None: ...
    def finish(self) -> None: ...


class _Line(NamedTuple):
    """How the records of one layout are written as JSON, for the ``%`` operator.

    ``form`` has the names, and a place for each value. Values at ``encoded`` are to be
    encoded for it, all others are numbers, or text that needs no escape.
    """

    template: Template
    names: tuple[str, ...]
    form: str
    encoded: tuple[int, ...]

    @classmethod
    def of(cls, template: Template, names: tuple[str, ...]) -> _Line:
        fields = dict(zip(template.names, template.fields))
        places = [_place(fields[name]) for name in names]
        pairs = [_escape(_encode_json(name)) + ": " + place for name, place in zip(names, places)]
        encoded = tuple(at for at, place in enumerate(places) if place == "%s")
        return cls(template, names, ", ".join(pairs) + "}\n", encoded)

    def write(self, rows: list[tuple[Any, ...]], before: str) -> str:
        """The lines of these rows, each with ``before`` at its beginning."""
        if self.encoded:
            columns: list[Iterable[Any]] = list(zip(*rows))
            for at in self.encoded:
                columns[at] = map(_encode_json, columns[at])
            rows = list(zip(*columns))
        form = _escape(before) + self.form
        return "".join([form % row for row in rows])


def _place(field: TemplateField) -> str:
    """Where a value of the field goes, in the domain of JSON."""
    kind = field.data_type
    # Neither has anything in its text that JSON would escape.
    if kind.is_time or kind.is_address:
        return '"%s"' if field.length == kind.length else "%s"
    is_number = kind.is_integer and kind.name != "boolean" and 0 < field.length <= kind.length
    return "%d" if is_number else "%s"


def _escape(text: str) -> str:
    return text.replace("%", "%%")


class JSONLines:
    """A JSON object a line: exporter, domain, template, then the fields."""

    def __init__(self, out: TextIO, fields: tuple[str, ...] | None = None) -> None:
        self.records = 0
        self._out = out
        self._fields = fields
        #: How to write what was met, by identity of the template, which is kept for that.
        self._lines: dict[int, _Line] = {}

    def write(self, read: DataRead, template: Template) -> None:
        names = template.names if self._fields is None else self._fields
        rows = read.records(names, "json")
        if not rows:
            return
        self.records += len(rows)
        before = _encode_json(dict(zip(CONTEXT, _context(read))))[:-1] + ", "
        self._out.write(self._line(template, names).write(rows, before))

    def _line(self, template: Template, names: tuple[str, ...]) -> _Line:
        line = self._lines.get(id(template))
        if line is None:
            line = _Line.of(template, names)
            if len(template.fields) <= WIDE:
                if len(self._lines) >= _REMEMBERED:
                    self._lines.clear()
                self._lines[id(template)] = line
        return line

    def finish(self) -> None:
        """Nothing is held back."""


class CSV:
    """One CSV table of all templates: a column for every field that any of them has."""

    def __init__(self, out: TextIO, columns: Sequence[str]) -> None:
        self.records = 0
        self._writer = csv.writer(out, lineterminator="\n")
        self._columns = tuple(columns)
        self._writer.writerow((*CONTEXT, *columns))

    def write(self, read: DataRead, template: Template) -> None:
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
        """Nothing is held back."""


class TextTable:
    """Tables for a person: records of one exporter and template below each other.

    With ``fields`` all records look alike: templates do not part them. ``width``
    (characters) breaks a table into blocks of columns; None leaves lines as long as they are.
    """

    def __init__(
        self, out: TextIO, fields: tuple[str, ...] | None = None, width: int | None = None
    ) -> None:
        self.records = 0
        self._out = out
        self._fields = fields
        self._width = width
        self._kept: list[tuple[str, ...]] = []
        #: Whose records are held back, and of which template if that matters.
        self._of: tuple[Origin, Template | None] | None = None
        self._blocks = 0

    def write(self, read: DataRead, template: Template) -> None:
        of = read.domain, template if self._fields is None else None
        names = template.names if self._fields is None else self._fields
        kept = len(self._kept)
        if self._of != of or kept >= _TABLE_BLOCK or kept * len(names) >= _TABLE_CELLS:
            self.finish()
            self._of = of
        rows = read.records(names)
        if not rows:
            return
        by_name = dict(zip(template.names, field_texts(template)))
        texts = [by_name[name] for name in names]
        self._kept += [tuple(cut(text(value)) for text, value in zip(texts, row)) for row in rows]

    def finish(self) -> None:
        """Writes the table that is held back until its columns are known to be wide enough."""
        rows, self._kept = self._kept, []
        if not rows or self._of is None:
            return
        domain, template = self._of
        version = "NetFlow v9" if domain.version == 9 else "IPFIX"
        if self._blocks:
            self._out.write("\n")
        self._blocks += 1
        heading = [printable(str(domain.transport)), version, f"domain {domain.id}"]
        if template is not None:
            heading.append(f"{'options ' if template.is_options else ''}template {template.id}")
        heading.append(f"{len(rows)} record{'s' if len(rows) > 1 else ''}")
        self._out.write("  ".join(heading) + "\n")
        names = template.names if template is not None else self._fields or ()
        first = self.records + 1
        self.records += len(rows)
        numbers = tuple(str(first + i) for i in range(len(rows)))
        for block in _blocks(names, rows, len(numbers[-1]) + 2, self._width):
            header = [printable(names[i]) for i in block]
            columns = [[header[n], *(row[i] for row in rows)] for n, i in enumerate(block)]
            self._out.write(_lined_up([["#", *numbers], *columns]))


def _context(read: DataRead) -> tuple[Any, ...]:
    # Of an IPFIX File it is the name, which may be anything.
    return printable(str(read.domain.transport)), read.domain.id, read.set_id


def _blocks(
    names: Sequence[str], rows: list[tuple[str, ...]], margin: int, width: int | None
) -> Iterable[list[int]]:
    """Columns that fit beside each other, as indices."""
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


def _lined_up(columns: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in columns]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in zip(*columns)
    )
    return "\n".join(lines) + "\n"

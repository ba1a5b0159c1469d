# SPDX-License-Identifier: GPL-2.0-or-later
"""Writers of Data Sets as text: tables, JSON lines, CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TextIO

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.model.model import elements
from scapy_ipfix.model.times import NTPTime
from scapy_ipfix.reading.selection import (
    CONTEXT,
    MESSAGE_CONTEXT,
    ORIGIN,
    ReadRecords,
    exporter_text,
    kind_of,
    tuple_reader,
)
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.text import counted, cut, printable
from scapy_ipfix.wire.codec import WIDE
from scapy_ipfix.wire.display import field_texts
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.resolvedvalues import resolved_names
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


@dataclass(frozen=True, slots=True)
class Additions:
    """Values beside the fields of records, for which ``files`` has the packets.

    ``resolve`` adds the resolved values that a layout has, ``context`` the header of the
    message, the packet and the file.
    """

    files: SourceFiles = field(default_factory=SourceFiles)
    resolve: bool = False
    context: bool = False

    def names(self, template: Template, fields: tuple[str, ...] | None) -> tuple[str, ...]:
        """Return the names of a layout's values: ``fields``, or all, and the additions."""
        names = template.names if fields is None else fields
        if not (self.resolve or self.context):
            return names
        if fields is None:
            # A learned element may have the name of an addition.
            names = tuple(name for name in names if kind_of(name) is None)
        before = MESSAGE_CONTEXT if self.context else ()
        after = resolved_names(template) if self.resolve else ()
        return tuple(dict.fromkeys((*before, *names, *after)))

    def columns(
        self, templates: Iterable[Template], fields: tuple[str, ...] | None
    ) -> tuple[str, ...]:
        """Return the names of the values of several layouts, the resolved ones at the end."""
        context = MESSAGE_CONTEXT if self.context else ()
        found = dict.fromkeys((*context, *(fields or ())))
        resolved: dict[str, None] = {}
        for template in templates:
            for name in self.names(template, fields):
                if kind_of(name) is None:
                    found[name] = None
                elif name not in found:
                    resolved[name] = None
        return (*found, *resolved)

    def reader(
        self,
        template: Template,
        fields: tuple[str, ...] | None,
        names: tuple[str, ...],
        values: str,
    ) -> ReadRecords:
        """Return the function that reads the values of ``names`` as tuples."""
        if fields is None and not (self.resolve or self.context):
            return lambda read: read.records(names, values)
        if not names:
            return lambda read: [()] * template.codec.count_records(read.body)[0]
        return tuple_reader(names, values, True, self.files)


class _Line(NamedTuple):
    """JSON form of the records of one layout, for the ``%`` operator.

    ``form`` has the names, and a place for each value. Values at the positions ``encoded``
    have to be encoded first; all others are numbers, or text that needs no escape. ``named``
    are functions for positions with numbers that have names.
    """

    template: Template
    read: ReadRecords
    form: str
    encoded: tuple[int, ...]
    named: tuple[tuple[int, Callable[[Any], Any]], ...]

    @classmethod
    def for_layout(
        cls, template: Template, names: tuple[str, ...], read: ReadRecords, with_names: bool
    ) -> _Line:
        """Return the form of the values ``names`` of records that ``read`` reads."""
        fields = dict(zip(template.names, template.fields))
        functions = [_number_name(name, fields.get(name)) if with_names else None for name in names]
        places = [
            "%s" if function or kind_of(name) or name not in fields else _place(fields[name])
            for name, function in zip(names, functions)
        ]
        pairs = [_escape(_encode_json(name)) + ": " + place for name, place in zip(names, places)]
        encoded = tuple(at for at, place in enumerate(places) if place == "%s")
        named = tuple((at, function) for at, function in enumerate(functions) if function)
        return cls(template, read, ", ".join(pairs) + "}\n", encoded, named)

    def write(self, rows: list[tuple[Any, ...]], before: str) -> str:
        """Return the lines of these rows, each with ``before`` at its beginning."""
        if self.encoded:
            columns: list[Iterable[Any]] = list(zip(*rows))
            for at, function in self.named:
                columns[at] = map(function, columns[at])
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


def _number_name(name: str, field: TemplateField | None) -> Callable[[Any], Any] | None:
    """Return the function that names the numbers of an enumeration or of flags, None: neither."""
    values = elements["protocolIdentifier"].values if name == "protocol" else None
    if kind_of(name) is None and field is not None:
        values = field.element.values
    if values is None:
        return None
    text = values.text
    return lambda value: (text(value) or value) if isinstance(value, int) else value


def _escape(text: str) -> str:
    return text.replace("%", "%%")


class JSONLines:
    """Writer of one JSON object per line: exporter, domain, template, then the values.

    ``with_names`` writes the names of enumerations and flags in place of their numbers.
    """

    def __init__(
        self,
        out: TextIO,
        fields: tuple[str, ...] | None = None,
        additions: Additions | None = None,
        *,
        with_names: bool = False,
    ) -> None:
        self.records = 0
        self._out = out
        # An object has each name once.
        self._fields = None if fields is None else _without_origin(dict.fromkeys(fields))
        self._additions = additions or Additions()
        self._with_names = with_names
        #: Forms by identity of their template, which each form keeps alive.
        self._lines: dict[int, _Line] = {}

    def write(self, read: CollectedSet, template: Template) -> None:
        line = self._line(template)
        rows = line.read(read)
        if not rows:
            return
        self.records += len(rows)
        before = _encode_json(dict(zip(ORIGIN, _origin(read))))[:-1]
        self._out.write(line.write(rows, before + ", " if rows[0] else before))

    def _line(self, template: Template) -> _Line:
        line = self._lines.get(id(template))
        if line is None:
            names = self._additions.names(template, self._fields)
            read = self._additions.reader(template, self._fields, names, "json")
            line = _Line.for_layout(template, names, read, self._with_names)
            if len(template.fields) <= WIDE:
                if len(self._lines) >= _CACHED_LAYOUTS:
                    self._lines.clear()
                self._lines[id(template)] = line
        return line

    def finish(self) -> None:
        """Do nothing: no record is kept."""


class CSV:
    """Writer of one CSV table with the given columns, for records of all templates.

    ``columns`` are fields, resolved values and context; a record has any of them.
    """

    def __init__(
        self, out: TextIO, columns: Sequence[str], additions: Additions | None = None
    ) -> None:
        self.records = 0
        self._writer = csv.writer(out, lineterminator="\n")
        self._columns = _without_origin(columns)
        self._additions = additions or Additions()
        self._writer.writerow((*ORIGIN, *self._columns))

    def write(self, read: CollectedSet, template: Template) -> None:
        known = frozenset((*template.names, *resolved_names(template), *CONTEXT))
        names = tuple(name for name in self._columns if name in known)
        if CONTEXT.keys() >= set(names) and not CONTEXT.keys() >= set(self._columns):
            return
        texts = _texts(template, names)
        positions = {name: at for at, name in enumerate(names)}
        places = [positions.get(name) for name in self._columns]
        is_complete = names == self._columns
        origin = _origin(read)
        for row in self._additions.reader(template, names, names, "scapy")(read):
            self.records += 1
            cells = [text(value) for text, value in zip(texts, row)]
            if not is_complete:
                cells = ["" if at is None else cells[at] for at in places]
            self._writer.writerow((*origin, *cells))

    def finish(self) -> None:
        """Do nothing: no record is kept."""


class TextTable:
    """Writer of aligned tables, one for records in succession of one domain and template.

    With ``fields`` records of all templates of a domain share a table if they have the same
    values. A table that is wider than ``width`` characters is broken into blocks of columns;
    None is no limit.
    """

    def __init__(
        self,
        out: TextIO,
        fields: tuple[str, ...] | None = None,
        width: int | None = None,
        additions: Additions | None = None,
    ) -> None:
        self.records = 0
        self._additions = additions or Additions()
        self._out = out
        self._fields = fields
        self._width = width
        self._kept: list[tuple[str, ...]] = []
        #: Domain of the kept records, their values, and their template without ``fields``.
        self._group: tuple[Domain, tuple[str, ...], Template | None] | None = None
        self._tables = 0

    def write(self, read: CollectedSet, template: Template) -> None:
        names = self._additions.names(template, self._fields)
        group = read.domain, names, template if self._fields is None else None
        kept = len(self._kept)
        if self._group != group or kept >= _TABLE_BLOCK or kept * len(names) >= _TABLE_CELLS:
            self.finish()
            self._group = group
        rows = self._additions.reader(template, self._fields, names, "scapy")(read)
        if not rows:
            return
        texts = _texts(template, names)
        self._kept += [tuple(cut(text(value)) for text, value in zip(texts, row)) for row in rows]

    def finish(self) -> None:
        """Write the kept records as a table whose columns are wide enough for all of them."""
        rows, self._kept = self._kept, []
        if not rows or self._group is None:
            return
        domain, names, template = self._group
        version = "NetFlow v9" if domain.version == 9 else "IPFIX"
        if self._tables:
            self._out.write("\n")
        self._tables += 1
        heading = [printable(str(domain.transport)), version, f"domain {domain.id}"]
        if template is not None:
            heading.append(f"{'options ' if template.is_options else ''}template {template.id}")
        heading.append(counted(len(rows), "record"))
        self._out.write("  ".join(heading) + "\n")
        first = self.records + 1
        self.records += len(rows)
        numbers = tuple(str(first + i) for i in range(len(rows)))
        for block in _blocks(names, rows, len(numbers[-1]) + 2, self._width):
            header = [printable(names[i]) for i in block]
            columns = [[header[n], *(row[i] for row in rows)] for n, i in enumerate(block)]
            self._out.write(_aligned([["#", *numbers], *columns]))


def _without_origin(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of columns besides those that each record has."""
    return tuple([name for name in names if name not in ORIGIN])


def _texts(template: Template, names: Iterable[str]) -> list[Callable[[Any], str]]:
    """Return for each of the values of a layout the function that formats it."""
    by_name = dict(zip(template.names, field_texts(template)))
    return [by_name[name] if kind_of(name) is None else _derived_text(name) for name in names]


def _derived_text(name: str) -> Callable[[Any], str]:
    """Return the function that formats a resolved or context value."""
    named = _number_name(name, None)

    def text(value: Any) -> str:
        if value is None:
            return ""
        return printable(str(value if named is None else named(value)))

    return text


def _origin(read: CollectedSet) -> tuple[Any, ...]:
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

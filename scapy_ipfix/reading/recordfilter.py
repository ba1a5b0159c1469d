# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters applied to records: bound to each template, tested a Data Set at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.model.times import microseconds_to_datetime
from scapy_ipfix.reading.filters import Filter, RowTest
from scapy_ipfix.reading.selection import (
    CONTEXT,
    FieldSelection,
    ReadRecords,
    selectable_names,
)
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.wire.resolvedvalues import converter
from scapy_ipfix.wire.template import Template

#: Templates whose bound filter is kept.
_BOUND = 1024


class _Bound(NamedTuple):
    """Filter of the records of a template, which this keeps alive.

    ``test`` takes a row of the values that ``selection`` names; it is True or False where no
    value of the records matters.
    """

    template: Template
    selection: FieldSelection
    test: RowTest | bool


class RecordFilter:
    """Filter of records by an expression, see :mod:`~scapy_ipfix.reading.filters`.

    ``files`` locate packets in their files, for context values. Raises FilterError.
    """

    def __init__(
        self, where: str | Filter, files: SourceFiles, model: InformationModel = elements
    ) -> None:
        self.filter = where if isinstance(where, Filter) else Filter(where, model)
        self._files = files
        #: Bound filters by identity of their template.
        self._bound: dict[int, _Bound] = {}

    def apply(self, read: CollectedSet) -> CollectedSet | None:
        """Return a Data Set with the selected records alone, None if there are none."""
        template = read.template
        if template is None:
            return None
        _, selection, test = self._bind(template)
        if isinstance(test, bool):
            return read if test else None
        rows = selection.rows(read, "scapy", False, self._files, _converter)
        selected = [*map(test, rows)]
        if True not in selected:
            return None
        if False not in selected:
            return read
        body = read.body
        spans, _ = template.codec.record_spans(body)
        return read.with_body(
            b"".join([body[start:stop] for (start, stop), keep in zip(spans, selected) if keep])
        )

    def reader(self, read_records: ReadRecords) -> ReadRecords:
        """Return the function that reads the selected records alone."""

        def read_selected(read: CollectedSet) -> list[Any]:
            part = self.apply(read)
            return [] if part is None else read_records(part)

        return read_selected

    def _bind(self, template: Template) -> _Bound:
        bound = self._bound.get(id(template))
        if bound is None:
            if len(self._bound) >= _BOUND:
                self._bound.clear()
            found = self.filter.bind((*selectable_names(template), *CONTEXT))
            names, test = ((), found) if isinstance(found, bool) else (found.names, found.test)
            bound = _Bound(template, FieldSelection.make(names), test)
            self._bound[id(template)] = bound
        return bound


def _to_datetime(microseconds: int | None) -> Any:
    return None if microseconds is None else microseconds_to_datetime(microseconds)


def _converter(kind: str, values: str) -> Callable[[Any], Any] | None:
    """Return the function for derived values, which filters compare as datetime and seconds."""
    return _to_datetime if kind == "time" else converter(kind, values)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Records with resolved values and context: what a caller selects, a Data Set at a time.

A resolved value (:mod:`~scapy_ipfix.wire.resolvedvalues`) or a context value can be selected
wherever a field can. The context of a record:

================= ==========================================================================
``_exporter``     address of the exporter; the file of an IPFIX File
``_domain``       Observation Domain; sourceId in NetFlow v9
``_template``     id of the template
``_version``      10, or 9 for NetFlow v9
``_export_time``  time in the message header
``_packet``       number of the packet in its file, or of the message in an IPFIX File, from 1
``_file``         name of the file; None for packets
================= ==========================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.wire.resolvedvalues import (
    RESOLVED_VALUES,
    converter,
    resolved_names,
)
from scapy_ipfix.wire.template import Template

#: Context values and their kinds; no Information Element in the registries has such a name.
CONTEXT: dict[str, str] = {
    "_exporter": "text",
    "_domain": "count",
    "_template": "count",
    "_version": "count",
    "_export_time": "time",
    "_packet": "count",
    "_file": "text",
}
#: The origin of a record: the context that columns, JSON and CSV always have.
ORIGIN = ("_exporter", "_domain", "_template")


def kind_of(name: str) -> str | None:
    """Return the kind of a resolved or context value, None for the name of a field."""
    value = RESOLVED_VALUES.get(name)
    return CONTEXT.get(name) if value is None else value.kind


#: Kinds of integers.
NUMBERS = frozenset(("count", "port", "protocol"))
#: The context besides the origin.
MESSAGE_CONTEXT = tuple(name for name in CONTEXT if name not in ORIGIN)


def exporter_text(domain: Domain) -> str:
    """Return the address of the exporter, or the name of the file of its messages."""
    return domain.transport.source or domain.transport.protocol


def context_values(read: CollectedSet, files: SourceFiles) -> dict[str, Any]:
    """Return the context of the records of a Data Set; the export time in microseconds."""
    header = read.header
    file, packet = files.locate(header.packet)
    return {
        "_exporter": exporter_text(read.domain),
        "_domain": read.domain.id,
        "_template": read.set_id,
        "_version": read.domain.version,
        "_export_time": header.export_time * 1_000_000,
        "_packet": packet,
        "_file": file,
    }


def convert_context(context: Mapping[str, Any], values: str) -> dict[str, Any]:
    """Return context values in a domain of values."""
    convert = converter("time", values)
    assert convert is not None
    return {**context, "_export_time": convert(context["_export_time"])}


@dataclass(frozen=True, slots=True)
class FieldSelection:
    """Names of fields, of resolved values and of context values, in any order.

    ``fields`` are those of the fields alone, ``resolved`` those of resolved values.
    """

    names: tuple[str, ...]
    fields: tuple[str, ...]
    resolved: tuple[str, ...]

    @classmethod
    def make(cls, names: Iterable[str]) -> FieldSelection:
        """Return a selection of these names."""
        names = tuple(names)
        resolved = tuple([name for name in names if name in RESOLVED_VALUES])
        return cls(names, tuple([name for name in names if kind_of(name) is None]), resolved)

    @property
    def has_fields_alone(self) -> bool:
        """True where all names are those of fields."""
        return len(self.fields) == len(self.names)

    def permits(self, template: Template) -> bool:
        """Return True if records of a layout have all selected values.

        They have resolved values, which may be None, unless they are Options Data Records.
        """
        if self.resolved and template.is_options:
            return False
        return not self.fields or frozenset(self.fields).issubset(template.names)

    def columns(
        self, read: CollectedSet, template: Template, count: int, files: SourceFiles
    ) -> dict[str, Sequence[Any]]:
        """Return the resolved and context values of a Set of ``count`` records, by name.

        Times and durations are in microseconds.
        """
        found: dict[str, Sequence[Any]] = {}
        if self.resolved:
            resolved = read.resolved_columns(template, self.resolved, count)
            found = {name: resolved.get(name) for name in self.resolved}
        if len(self.fields) + len(self.resolved) < len(self.names):
            context = context_values(read, files)
            found.update({name: [context[name]] * count for name in self.names if name in context})
        return found

    def rows(
        self,
        read: CollectedSet,
        values: str,
        lists: bool,
        files: SourceFiles,
        converter: Callable[[str, str], Callable[[Any], Any] | None] = converter,
    ) -> list[tuple[Any, ...]]:
        """Return the records of a Data Set as tuples in the order of the names.

        ``converter`` returns the function for resolved and context values of a kind.
        """
        template = read.template
        if template is None or not self.permits(template):
            return []
        if self.fields:
            rows = read.records(self.fields, values, lists=lists)
            count = len(rows)
        else:
            rows = []
            count = template.codec.count_records(read.body)[0]
        if not count:
            return []
        derived = self.columns(read, template, count, files)
        for name, column in derived.items():
            convert = converter(kind_of(name) or "", values)
            if convert is not None:
                derived[name] = [*map(convert, column)]
        fields = iter(zip(*rows))
        return [*zip(*[derived[name] if name in derived else next(fields) for name in self.names])]


#: Reads the records of a Data Set.
ReadRecords = Callable[[CollectedSet], "list[Any]"]


def tuple_reader(
    names: tuple[str, ...], values: str, lists: bool, files: SourceFiles
) -> ReadRecords:
    """Return the function that reads records as tuples of named values."""
    selection = FieldSelection.make(names)
    if selection.has_fields_alone:
        return lambda read: read.records(names, values, lists=lists)
    return lambda read: selection.rows(read, values, lists, files)


def dict_reader(
    values: str, resolve: bool, context: bool, lists: bool, files: SourceFiles
) -> ReadRecords:
    """Return the function that reads records as dicts, the context first."""

    def with_context(read: CollectedSet) -> list[dict[str, Any]]:
        records = read.records(None, values, resolve, lists)
        origin = convert_context(context_values(read, files), values)
        template = read.template
        if template is not None and not origin.keys().isdisjoint(template.names):
            # An exporter may define an element of such a name.
            return [{**origin, **record, **origin} for record in records]
        return [{**origin, **record} for record in records]

    if context:
        return with_context
    return lambda read: read.records(None, values, resolve, lists)


def selectable_names(template: Template) -> tuple[str, ...]:
    """Return the names of the fields and resolved values of a layout's records."""
    return (*template.names, *resolved_names(template))

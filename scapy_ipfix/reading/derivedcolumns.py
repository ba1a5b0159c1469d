# SPDX-License-Identifier: GPL-2.0-or-later
"""Columns of resolved values and context, gathered a Data Set at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.reading.arrays import objects
from scapy_ipfix.reading.selection import FieldSelection, kind_of
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.wire.template import Template

#: NaT of datetime64 as an integer.
_NOT_A_TIME = -(1 << 63)
#: Types of integers by name, unless a value does not fit or is unknown.
INTEGERS = {
    "_domain": "u4",
    "_template": "u2",
    "_version": "u1",
    "_packet": "u8",
    "source_port": "u2",
    "destination_port": "u2",
    "protocol": "u1",
    "octets": "u8",
    "packets": "u8",
}


class DerivedColumns:
    """Values of the records of one layout that are no fields: resolved values and context."""

    def __init__(self, selection: FieldSelection, files: SourceFiles) -> None:
        self._selection = selection
        self._files = files
        self._values: dict[str, list[Any]] = {
            name: [] for name in selection.names if kind_of(name) is not None
        }

    def add(self, read: CollectedSet, template: Template, count: int) -> None:
        """Add the values of a Data Set of ``count`` records."""
        if not self._values or not count:
            return
        columns = self._selection.columns(read, template, count, self._files)
        for name, values in self._values.items():
            values.extend(columns[name])

    def arrays(self, np: Any) -> dict[str, Any]:
        """Return each value as an array."""
        return {name: derived_array(np, name, values) for name, values in self._values.items()}


def derived_array(np: Any, name: str, values: Sequence[Any]) -> Any:
    """Return the values of a resolved or context value as an array.

    Times are ``datetime64[us]``, durations and rates ``float64`` (seconds; NaN: unknown). A port,
    a protocol or a count is an integer, or an object where one is unknown. Others are objects.
    """
    kind = kind_of(name)
    if kind == "time":
        ticks = [_NOT_A_TIME if value is None else value for value in values]
        return np.array(ticks, "i8").view("M8[us]")
    if kind in ("duration", "rate"):
        array = np.array([np.nan if value is None else value for value in values], "f8")
        return array / 1_000_000 if kind == "duration" else array
    integer = INTEGERS.get(name)
    if integer is not None and None not in values:
        limit = np.iinfo(integer).max
        if all(0 <= value <= limit for value in values):
            return np.array(values, integer)
    return objects(np, values, len(values))

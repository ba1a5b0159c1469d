# SPDX-License-Identifier: GPL-2.0-or-later
"""Writer of flows as lines to be read: one line a flow, with services, units and colours."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any, NamedTuple, TextIO

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.model.model import elements
from scapy_ipfix.reading.selection import FieldSelection, exporter_text
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.text import cut, printable
from scapy_ipfix.wire.display import field_texts
from scapy_ipfix.wire.template import Template

#: Values of a flow, in the order in which a line needs them.
_VALUES = (
    *("flow_end", "flow_start", "protocol", "source_address", "source_port"),
    *("destination_address", "destination_port", "packets", "octets", "flow_duration"),
)
_SOURCE, _DESTINATION = _VALUES.index("source_address"), _VALUES.index("destination_address")
_FLAGS = "tcpControlBits"
#: Templates whose selection is kept, and services and exporters whose names are.
_KEPT = 1024
#: Characters of a column, 0 for the rest of the line.
_TIME, _EXPORTER, _PROTOCOL, _PACKETS, _OCTETS, _DURATION, _FLAG = 12, 15, 6, 7, 8, 8, 6
#: Widths of a line from which on it has a column: flags, duration, exporter.
_WITH_FLAGS, _WITH_DURATION, _WITH_EXPORTER = 88, 96, 118
#: Characters of an endpoint where the line has no width.
_ENDPOINT = 25
_ARROW = " → "

_DURATION_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))
_UNITS = ("", "k", "M", "G", "T", "P", "E")
_RESET = "\x1b[0m"
_DIM, _RED = "\x1b[2m", "\x1b[31m"
_COLOURS = {6: "\x1b[32m", 17: "\x1b[36m", 1: "\x1b[33m", 58: "\x1b[33m"}
_OTHER_COLOUR = "\x1b[35m"
_RST = 4
_ICMPV6 = 58


def wants_colour(out: TextIO) -> bool:
    """Return True for a terminal, unless the environment has NO_COLOR (no-color.org)."""
    return out.isatty() and not os.environ.get("NO_COLOR")


class _Layout(NamedTuple):
    """Selection of the values of a template, which this keeps alive.

    ``flags`` formats tcpControlBits, None for a layout without it.
    """

    template: Template
    selection: FieldSelection
    flags: Callable[[Any], str] | None


class FlowLines:
    """Writer of one line for each record.

    ``width`` is that of the terminal in characters; None does not cut lines. A narrow line has
    no exporter, duration or flags. ``is_numeric`` writes ports as numbers. Records without
    addresses are written as names and values.
    """

    def __init__(
        self,
        out: TextIO,
        width: int | None = None,
        *,
        has_colour: bool = False,
        is_numeric: bool = False,
        files: SourceFiles | None = None,
    ) -> None:
        self.records = 0
        self._out = out
        self._width = width
        self._has_colour = has_colour
        self._is_numeric = is_numeric
        self._files = files or SourceFiles()
        self._layouts: dict[int, _Layout] = {}
        self._columns = _columns(width)
        self._has_header = False

    def write(self, read: CollectedSet, template: Template) -> None:
        """Write the records of a Data Set."""
        layout = self._layout(template)
        exporter = printable(exporter_text(read.domain))
        rows = layout.selection.rows(read, "scapy", False, self._files)
        lines = [
            self._line(layout, row, exporter) if row[_SOURCE] or row[_DESTINATION] else ""
            for row in rows
        ]
        if "" in lines or not rows:
            others = self._other_lines(read, template, exporter)
            lines = [line or other for line, other in zip_longest(lines, others)]
        if not self._has_header and lines:
            self._has_header = True
            self._out.write(self._paint(_join(self._columns, _HEADER, False), _DIM) + "\n")
        self._out.write("".join([f"{line}\n" for line in lines]))
        self.records += len(lines)

    def finish(self) -> None:
        """Do nothing: no record is kept."""

    def _layout(self, template: Template) -> _Layout:
        layout = self._layouts.get(id(template))
        if layout is None:
            if len(self._layouts) >= _KEPT:
                self._layouts.clear()
            layout = self._layouts[id(template)] = _make_layout(template)
        return layout

    def _line(self, layout: _Layout, row: Sequence[Any], exporter: str) -> str:
        end, start, protocol, source, sport, destination, dport, packets, octets, duration = row[
            : len(_VALUES)
        ]
        flags = layout.flags(row[-1]) if layout.flags is not None and row[-1] else ""
        cells = {
            "time": (end or start or "")[11:23],
            "exporter": exporter,
            "protocol": protocol_name(protocol),
            "source": self._endpoint(source, sport, protocol),
            "destination": self._endpoint(destination, dport, protocol),
            "packets": "" if packets is None else scaled(packets),
            "octets": "" if octets is None else f"{scaled(octets)}B",
            "duration": "" if duration is None else seconds_text(duration),
            "flags": flags,
        }
        line = _join(self._columns, cells, self._width is not None)
        if not self._has_colour:
            return line
        is_reset = layout.flags is not None and isinstance(row[-1], int) and row[-1] & _RST
        return self._paint(line, _RED if is_reset else _COLOURS.get(protocol, _OTHER_COLOUR))

    def _endpoint(self, address: str | None, port: int | None, protocol: int | None) -> str:
        address = address or "?"
        if not port:
            return address
        service = str(port) if self._is_numeric else service_name(port, protocol)
        return f"[{address}]:{service}" if ":" in address else f"{address}:{service}"

    def _other_lines(self, read: CollectedSet, template: Template, exporter: str) -> list[str]:
        """Return lines of names and values, for records that are no flows between addresses."""
        kind = "options" if template.is_options else "record"
        texts = list(zip(template.names, field_texts(template)))
        lines = []
        for row in read.records(template.names):
            pairs = [f"{name}={cut(text(value))}" for (name, text), value in zip(texts, row)]
            line = printable(f"{exporter} {kind} {template.id}: {' '.join(pairs)}")
            line = line if self._width is None else cut(line, self._width)
            lines.append(self._paint(line, _DIM))
        return lines

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{_RESET}" if self._has_colour else text


_HEADER = {
    "time": "time (UTC)",
    **{name: name for name in ("exporter", "protocol", "source", "destination")},
    **{name: name for name in ("packets", "octets", "duration", "flags")},
    "protocol": "proto",
}
_RIGHT = frozenset(("packets", "octets", "duration"))


def _columns(width: int | None) -> dict[str, int]:
    """Return the columns of a line with their widths in characters."""
    is_wide = width is None
    columns = {"time": _TIME}
    if is_wide or (width or 0) >= _WITH_EXPORTER:
        columns["exporter"] = _EXPORTER
    columns.update(protocol=_PROTOCOL, source=0, destination=0, packets=_PACKETS, octets=_OCTETS)
    if is_wide or (width or 0) >= _WITH_DURATION:
        columns["duration"] = _DURATION
    if is_wide or (width or 0) >= _WITH_FLAGS:
        columns["flags"] = _FLAG
    # One space between two columns, an arrow between the endpoints.
    used = sum(columns.values()) + len(columns) - 2 + len(_ARROW)
    columns["source"] = columns["destination"] = (
        _ENDPOINT if width is None else max(8, (width - used) // 2)
    )
    return columns


def _join(columns: dict[str, int], cells: dict[str, str], is_cut: bool) -> str:
    """Return the cells of a line, cut to the widths of their columns if desired."""
    parts: list[str] = []
    for name, width in columns.items():
        text = cells[name]
        if is_cut and len(text) > width:
            text = _shortened(text, width)
        parts.append(text.rjust(width) if name in _RIGHT else text.ljust(width))
        parts.append(_ARROW if name == "source" else " ")
    return "".join(parts).rstrip()


def _shortened(text: str, width: int) -> str:
    """Return an endpoint without its middle: the ends say most of an address with a port."""
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"


def _make_layout(template: Template) -> _Layout:
    names = (*_VALUES, _FLAGS) if _FLAGS in template.names else _VALUES
    flags = None
    if _FLAGS in template.names:
        flags = field_texts(template)[template.names.index(_FLAGS)]
    return _Layout(template, FieldSelection.make(names), flags)


@lru_cache(_KEPT)
def protocol_name(number: int | None) -> str:
    """Return the name of an IP protocol in lower case, its number for an unknown one."""
    if number is None:
        return ""
    if number == _ICMPV6:
        return "icmp6"
    values = elements["protocolIdentifier"].values
    return (values.text(number) if values is not None else None) or str(number)


@lru_cache(_KEPT)
def service_name(port: int, protocol: int | None) -> str:
    """Return the name of the service at a port, the number for an unknown one."""
    try:
        return socket.getservbyport(port, "tcp" if protocol == 6 else "udp")
    except OSError:
        return str(port)


def scaled(number: float) -> str:
    """Return a number in at most five characters: ``999``, ``1.2k``, ``345M``, and a space.

    The space, or the unit, is for a unit symbol behind: ``1.2kB`` and ``999 B``.
    """
    value = float(number)
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            break
        value /= 1000
    if not unit:
        return f"{value:.0f} "
    return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"


def seconds_text(seconds: float) -> str:
    """Return a duration: ``816us``, ``22ms``, ``1.5s``, ``5m12s``, ``3h07m``, ``2d03h``."""
    if not seconds:
        return "0s"
    if seconds < 0.0009995:
        return f"{seconds * 1_000_000:.0f}us"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    size, unit, part, part_unit = next(each for each in _DURATION_UNITS if whole >= each[0])
    return f"{whole // size}{unit}{whole % size // part:02d}{part_unit}"

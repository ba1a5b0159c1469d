# SPDX-License-Identifier: GPL-2.0-or-later
"""Values as text for a terminal, a table or a CSV file, whatever came off the wire.

A string from the wire may hold control characters, terminal escapes or 64 KiB. None of that
may reach the terminal or break a line.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Longest cell of a table.
CELL = 48


def printable(text: str) -> str:
    """``text`` with everything that is not printable escaped as Python would write it."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def counted(number: int, what: str) -> str:
    """``1 record``, ``2 records``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def cut(text: str, width: int = CELL) -> str:
    """``text`` in at most ``width`` characters."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Text in aligned columns below a header."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = 0  # the last one needs none, and may be that of a template of 16,000 fields
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


class Table(list[tuple[object, ...]]):
    """Rows below a header that print as a table; ``rows[0]`` is a tuple like any."""

    def __init__(self, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
        super().__init__(rows)
        self.header = header

    def __repr__(self) -> str:
        return table(self.header, [tuple(map(str, row)) for row in self])

    __str__ = __repr__

# SPDX-License-Identifier: GPL-2.0-or-later
"""Text and tables for a terminal or a notebook, safe for any string from the wire.

Such a string may hold control characters, terminal escapes, markup or 64 KiB. None of these
may reach the terminal or the page, or break a line.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeVar

#: The width of the widest cell of a table, in characters.
CELL = 48

RowT = TypeVar("RowT")


def printable(text: str) -> str:
    """Return ``text`` with the escapes of a Python literal for all that is not printable."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 record``, ``2 records``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def cut(text: str, width: int = CELL) -> str:
    """Return ``text`` in at most ``width`` characters."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


class Table(list[RowT]):
    """List of rows that prints as a table, in a notebook as HTML.

    A row is an object whose attributes are the ``columns``, as a rule a named tuple; an
    underscore in the name of a column is a space in its header. Numbers stay numbers:
    ``session.stats[0].records``.
    """

    def __init__(self, columns: tuple[str, ...], rows: Iterable[RowT] = ()) -> None:
        super().__init__(rows)
        self.columns = columns

    def __repr__(self) -> str:
        """Return the rows in aligned columns below a header."""
        lines = [self._header(), *self._cells()]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        widths[-1] = 0  # not padded: the last cell may list a template's 16,000 fields
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """Return the table as HTML for a notebook, each cell escaped."""
        return html_table(self._header(), self._cells())

    def _header(self) -> list[str]:
        return [column.replace("_", " ") for column in self.columns]

    def _cells(self) -> Iterable[list[str]]:
        for row in self:
            yield [_cell(getattr(row, column)) for column in self.columns]


def _cell(value: object) -> str:
    return "" if value is None else printable(str(value))


def html_table(header: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """Return lines of cells below a header as an HTML table, each cell escaped."""
    head = _html_row("th", header)
    body = "".join(_html_row("td", cells) for cells in lines)
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"


def _html_row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of text, for what prints as one at a prompt."""

from __future__ import annotations

from collections.abc import Iterable

from scapy_ipfix.iespec import InformationElement


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Text in aligned columns below a header."""
    lines = [header, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = 0  # the last one needs none, and may be that of a template of 16,000 fields
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


class ElementTable(list[InformationElement]):
    """A list of elements that prints as a table."""

    def __repr__(self) -> str:
        rows = [
            (each.name, str(each.id), str(each.pen), each.type.name, each.semantics, each.units)
            for each in self
        ]
        return table(("name", "id", "pen", "type", "semantics", "units"), rows)

    __str__ = __repr__


class Table(list[tuple[object, ...]]):
    """Rows below a header that print as a table; ``rows[0]`` is a tuple like any."""

    def __init__(self, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
        super().__init__(rows)
        self.header = header

    def __repr__(self) -> str:
        return table(self.header, [tuple(map(str, row)) for row in self])

    __str__ = __repr__

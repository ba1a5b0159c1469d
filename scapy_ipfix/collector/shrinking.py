# SPDX-License-Identifier: GPL-2.0-or-later
"""Release of the memory of removed dict entries.

A dict keeps its hash table when entries are removed, until others are added. Thousands of
observation domains with an emptied dict each would fill memory with empty tables.
"""

from __future__ import annotations

from typing import Any

#: Removed entries beyond the present ones that do not yet cause a rebuild.
SLACK = 64


def shrink(table: dict[Any, Any], removed: int) -> int:
    """Rebuild a dict in place where that is worth it, ``removed`` entries after the last time.

    Return the number of removed entries to continue counting from.
    """
    if removed <= SLACK + len(table):
        return removed
    remake(table)
    return 0


def remake(table: dict[Any, Any]) -> None:
    """Rebuild a dict in place, with a hash table as large as its entries need."""
    entries = table.copy()
    table.clear()
    table.update(entries)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Dicts that give back the memory of what was in them.

A dict keeps its table when entries are removed, until others are added. Who fills one for each
of thousands of observation domains, and lets it be emptied, would fill memory with empty tables.
"""

from __future__ import annotations

from typing import Any

#: Entries that may be missing before the table is made anew.
SLACK = 64


def shrink(table: dict[Any, Any], removed: int) -> int:
    """Makes the table anew if that is worth it, ``removed`` entries after the last time.

    Gives the number of removed entries to go on from. It is the same dict afterwards.
    """
    if removed <= SLACK + len(table):
        return removed
    remake(table)
    return 0


def remake(table: dict[Any, Any]) -> None:
    """Makes the table anew, as large as what is in it asks for."""
    kept = table.copy()
    table.clear()
    table.update(kept)

# SPDX-License-Identifier: GPL-2.0-or-later
"""What something was, change by change: found by number, bounded by dropping the oldest."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Generic, TypeVar

_T = TypeVar("_T", bound=tuple[Any, ...])
_number: Callable[[tuple[Any, ...]], int] = itemgetter(0)


class History(Generic[_T]):
    """Tuples that begin with the number of a change, which grows.

    A list, and how much of its beginning is gone: it may hold a hundred thousand, and moves up
    when half of it went, not for each.
    """

    __slots__ = ("_entries", "_gone")

    def __init__(self) -> None:
        self._entries: list[_T] = []
        self._gone = 0

    def append(self, entry: _T) -> None:
        self._entries.append(entry)

    def until(self, number: int) -> _T | None:
        """The last entry whose number is not above that one."""
        entries = self._entries
        if entries and entries[-1][0] <= number:
            return entries[-1]  # what it is now is what most ask for
        at = bisect_right(entries, number, lo=self._gone, key=_number)
        return entries[at - 1] if at > self._gone else None

    def since(self, number: int) -> _T | None:
        """The first entry whose number is not below that one."""
        at = bisect_left(self._entries, number, lo=self._gone, key=_number)
        return self._entries[at] if at < len(self._entries) else None

    def drop_oldest(self) -> _T:
        """Lets go of the first entry, and gives it."""
        oldest = self._entries[self._gone]
        self._entries[self._gone] = (oldest[0],)  # type: ignore[assignment]
        self._gone += 1
        if 2 * self._gone > len(self._entries):
            del self._entries[: self._gone]
            self._gone = 0
        return oldest

    def __len__(self) -> int:
        return len(self._entries) - self._gone

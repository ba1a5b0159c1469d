# SPDX-License-Identifier: GPL-2.0-or-later
"""What something was, change by change: found by number, bounded by dropping the oldest."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from operator import itemgetter
from typing import Generic, TypeVar

_T = TypeVar("_T")
_number: Callable[[tuple[int, object]], int] = itemgetter(0)
#: Stands where something was that is no longer kept.
_GONE = (0, None)


class History(Generic[_T]):
    """Things with the numbers of changes, which grow.

    A list, and how much of its beginning is gone: it may hold a hundred thousand, and moves up
    when half of it went, not for each.
    """

    __slots__ = ("_entries", "_gone")

    def __init__(self) -> None:
        self._entries: list[tuple[int, _T]] = []
        self._gone = 0

    def append(self, number: int, thing: _T) -> None:
        self._entries.append((number, thing))

    def until(self, number: int) -> _T | None:
        """The last thing whose number is not above that one."""
        at = bisect_right(self._entries, number, lo=self._gone, key=_number)
        return self._entries[at - 1][1] if at > self._gone else None

    def since(self, number: int) -> _T | None:
        """The first thing whose number is not below that one."""
        at = bisect_left(self._entries, number, lo=self._gone, key=_number)
        return self._entries[at][1] if at < len(self._entries) else None

    def drop_oldest(self) -> _T:
        oldest = self._entries[self._gone][1]
        self._entries[self._gone] = _GONE  # type: ignore[assignment]
        self._gone += 1
        if 2 * self._gone > len(self._entries):
            del self._entries[: self._gone]
            self._gone = 0
        return oldest

    def __len__(self) -> int:
        return len(self._entries) - self._gone

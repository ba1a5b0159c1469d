# SPDX-License-Identifier: GPL-2.0-or-later
"""Bounded version history of a value, searched by the number of a change."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Generic, TypeVar

_T = TypeVar("_T", bound=tuple[Any, ...])
_number: Callable[[tuple[Any, ...]], int] = itemgetter(0)


class History(Generic[_T]):
    """Versions of a value: tuples that begin with the number of a change, in ascending order.

    Dropping the oldest one leaves the list in place until half of its entries are dropped: it
    may hold a hundred thousand.
    """

    __slots__ = ("_dropped", "_entries")

    def __init__(self) -> None:
        self._entries: list[_T] = []
        self._dropped = 0

    def append(self, entry: _T) -> None:
        """Add a version with a higher number than all others."""
        """Append the latest version."""
        self._entries.append(entry)

    def until(self, number: int) -> _T | None:
        """Return the version in force at a number: the last one whose number is not above it."""
        entries = self._entries
        if entries and entries[-1][0] <= number:
            return entries[-1]  # most callers look up the present version
        at = bisect_right(entries, number, lo=self._dropped, key=_number)
        return entries[at - 1] if at > self._dropped else None

    def since(self, number: int) -> _T | None:
        """Return the first version whose number is not below ``number``."""
        at = bisect_left(self._entries, number, lo=self._dropped, key=_number)
        return self._entries[at] if at < len(self._entries) else None

    def drop_oldest(self) -> _T:
        """Drop the oldest version and return it."""
        oldest = self._entries[self._dropped]
        self._entries[self._dropped] = (oldest[0],)  # type: ignore[assignment]
        self._dropped += 1
        if 2 * self._dropped > len(self._entries):
            del self._entries[: self._dropped]
            self._dropped = 0
        return oldest

    def __len__(self) -> int:
        return len(self._entries) - self._dropped

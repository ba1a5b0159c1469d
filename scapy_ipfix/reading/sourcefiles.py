# SPDX-License-Identifier: GPL-2.0-or-later
"""Positions of packets in the files that a session read one after the other."""

from __future__ import annotations

from bisect import bisect_left

#: Files whose positions are kept; those of older ones are dropped.
MAX_FILES = 65_536


class SourceFiles:
    """Files in order of reading, by the number of packets that the session counted before."""

    def __init__(self) -> None:
        self._before: list[int] = []
        self._names: list[str | None] = []

    def begin(self, name: str | None, count: int) -> None:
        """Begin a file, or with None another source, after ``count`` packets."""
        if self._before and self._before[-1] == count:  # a source without packets
            del self._before[-1], self._names[-1]
        if len(self._names) >= MAX_FILES:
            del self._before[: MAX_FILES // 2], self._names[: MAX_FILES // 2]
        self._before.append(count)
        self._names.append(name)

    def locate(self, packet: int) -> tuple[str | None, int]:
        """Return the file of a packet, and its number there from 1.

        ``packet`` is its number in the session, from 1.
        """
        at = bisect_left(self._before, packet) - 1
        if at < 0:
            return None, packet
        return self._names[at], packet - self._before[at]

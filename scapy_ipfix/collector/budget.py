# SPDX-License-Identifier: GPL-2.0-or-later
"""Limits of what one message may cost, beyond which it is read but not fully evaluated.

A message of 64 KiB may hold 16,000 Sets, 65,000 records or 8,000 templates. Each limit is far
above what exporters send, and is noted once for each message that exceeds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from scapy_ipfix.wire.diagnostics import Defect


@dataclass(frozen=True, eq=False, slots=True)
class MessageLimit:
    """Limit for one message: at most ``most``, and the diagnostic ``code`` when exceeded.

    ``what`` completes the sentence of a code that several limits share.
    """

    most: int
    code: str
    what: str = ""

    def defect(self) -> Defect:
        """Return the diagnostic of a message that exceeds the limit."""
        if self.what:
            return Defect.make(self.code, what=self.what, limit=self.most)
        return Defect.make(self.code, limit=self.most)


#: Template Records, without withdrawals.
TEMPLATES = MessageLimit(512, "templates-many")
#: Sets of options data that facts and types are learned from.
LEARNED_SETS = MessageLimit(512, "sets-many", "options are learned from")
#: Sets whose values are checked.
CHECKED_SETS = MessageLimit(512, "sets-many", "values are checked in")
#: Wrong values that are noted.
FINDINGS = MessageLimit(1000, "values-many")
#: Information Elements described by options data (RFC 5610); a description takes some 60 octets.
DESCRIPTIONS = MessageLimit(1024, "elements-many")
#: Facts stated by options data: interfaces and applications have long records.
STATED_FACTS = MessageLimit(2048, "facts-many")
#: Template fields that get learned names. With types learned between every two Sets, a message
#: could otherwise have a hundred thousand fields named.
NAMED_FIELDS = MessageLimit(8192, "names-many")


class MessageBudget:
    """Amounts of each limit that are left to one message.

    ``defects`` are the diagnostics of limits that were exceeded, for the reader to note.
    """

    __slots__ = ("_exceeded", "_left", "defects")

    def __init__(self) -> None:
        self._left: dict[MessageLimit, int] = {}
        self._exceeded: tuple[MessageLimit, ...] = ()
        self.defects: tuple[Defect, ...] = ()

    def left(self, limit: MessageLimit) -> int:
        """Return the amount that is left of a limit, 0 or more."""
        return max(0, self._left.get(limit, limit.most))

    def is_exceeded(self, limit: MessageLimit) -> bool:
        """Return True if more was requested than the limit has."""
        return limit in self._exceeded

    def allows(self, limit: MessageLimit) -> bool:
        """Return True if something is left of a limit; otherwise it is exceeded."""
        if self._left.get(limit, limit.most) > 0:
            return True
        self.exceed(limit)
        return False

    def spend(self, limit: MessageLimit, amount: int) -> None:
        """Use an amount that was allowed, even where less is left."""
        self._left[limit] = self._left.get(limit, limit.most) - amount

    def take(self, limit: MessageLimit, amount: int = 1) -> int:
        """Use an amount, and return as much of it as was left; the rest exceeds the limit."""
        left = self._left.get(limit, limit.most)
        if amount <= left:
            self._left[limit] = left - amount
            return amount
        self._left[limit] = 0
        self.exceed(limit)
        return max(0, left)

    def exceed(self, limit: MessageLimit) -> None:
        """Record that the message has more than a limit allows."""
        if limit not in self._exceeded:
            self._exceeded += (limit,)
            self.defects += (limit.defect(),)

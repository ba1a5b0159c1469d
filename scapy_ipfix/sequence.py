# SPDX-License-Identifier: GPL-2.0-or-later
"""Sequence numbers: what was lost, came late, came twice, or began anew.

IPFIX counts the Data Records sent before a message (RFC 7011 3.1), NetFlow v9 counts export
packets (RFC 3954 5.1), both modulo 2^32. Exporters read that in other ways too: softflowd
counts the message's own records in, Open vSwitch counts over all of its domains. Such a
convention is recognised by its arithmetic, said once, and gone by from then on, for a false
gap in every message would hide the true ones.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from scapy_ipfix.wire import V9_VERSION

_MODULO = 1 << 32
_HALF = 1 << 31
#: Messages remembered to tell one that comes twice from one that comes late.
_REMEMBERED = 128
#: A number that falls back to fewer than this counts as a restart, not as a late message.
_FIRST_NUMBERS = 1000

#: In the order in which they are tried.
CONVENTIONS = {
    "records": "records sent before the message",
    "own": "records up to the end of the message",
    "own-data": "records up to the end of the message, without options",
    "data": "records sent before the message, without options",
    "shared": "records of all observation domains",
    "messages": "messages",
}


class Counts(NamedTuple):
    """A message as sequence numbers count it; ``records`` None: some set has no template."""

    number: int
    records: int | None
    data_records: int | None


class Verdict(NamedTuple):
    """What a sequence number says: a code of the catalogue, and its numbers."""

    code: str
    got: int
    expected: int
    lost: int = 0
    convention: str = ""


@dataclass(slots=True)
class Stream:
    """The sequence of one observation domain; of a transport session for what is shared."""

    version: int
    convention: str = ""
    last: Counts | None = None
    lost: int = 0
    reordered: int = 0
    duplicates: int = 0
    restarts: int = 0
    #: Whether some message could not be counted, so that ``lost`` is a lower bound.
    unknown: bool = False
    _seen: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def __post_init__(self) -> None:
        self.convention = "messages" if self.version == V9_VERSION else "records"

    def take(self, message: Counts, shared: Counts | None = None) -> Verdict | None:
        """Takes the next message; None when its number is as expected.

        ``shared`` is the last message of the same transport session, whatever its domain.
        """
        last, number = self.last, message.number
        if last is None:
            self._advance(message)
            return None
        expected = self._expected(self.convention, last, message, shared)
        if expected is None:
            self.unknown = True
            self._advance(message)
            return None
        if number == expected:
            self._advance(message)
            return None
        for convention in self._others():
            if self._expected(convention, last, message, shared) == number:
                self.convention = convention
                self._advance(message)
                return Verdict("sequence-convention", number, expected, 0, CONVENTIONS[convention])
        return self._irregular(message, expected)

    def _others(self) -> tuple[str, ...]:
        # From RFC 7011's way only while nothing was lost: a gap may look like any arithmetic.
        if self.version == V9_VERSION or (self.convention == "records" and self.lost):
            return ()
        return tuple(each for each in CONVENTIONS if each != self.convention)

    @staticmethod
    def _expected(
        convention: str, last: Counts, message: Counts, shared: Counts | None
    ) -> int | None:
        if convention == "messages":
            return (last.number + 1) % _MODULO
        base, records = last.number, last.records
        if convention == "shared":
            if shared is None:
                return None
            base, records = shared.number, shared.records
        elif convention == "data":
            records = last.data_records
        elif convention == "own":
            records = message.records
        elif convention == "own-data":
            records = message.data_records
        return None if records is None else (base + records) % _MODULO

    def _irregular(self, message: Counts, expected: int) -> Verdict:
        number = message.number
        ahead = (number - expected) % _MODULO
        if ahead < _HALF:
            self.lost += ahead
            self._advance(message)
            return Verdict("sequence-gap", number, expected, ahead)
        if number in self._seen:
            self.duplicates += 1
            return Verdict("sequence-duplicate", number, expected)
        if number == 0 or number < _FIRST_NUMBERS <= expected:
            self.restarts += 1
            self._seen.clear()
            self._advance(message)
            return Verdict("sequence-restart", number, expected)
        self.reordered += 1
        one = 1 if self.convention == "messages" else message.records or 0
        self.lost = max(0, self.lost - one)
        self._seen.append(number)
        return Verdict("sequence-reordered", number, expected)

    def _advance(self, message: Counts) -> None:
        self.last = message
        self._seen.append(message.number)

    @property
    def lost_text(self) -> str:
        """How many are lost, as far as that can be known."""
        if not self.unknown:
            return str(self.lost)
        return f"{self.lost} or more" if self.lost else "unknown"

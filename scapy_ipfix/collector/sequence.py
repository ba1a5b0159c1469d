# SPDX-License-Identifier: GPL-2.0-or-later
"""Sequence numbers: lost, late, duplicate messages, and restarts of the exporter.

IPFIX counts the Data Records sent before a message (RFC 7011 3.1), NetFlow v9 counts export
packets (RFC 3954 5.1), both modulo 2^32. Some exporters use other conventions: softflowd
includes the message's own records, Open vSwitch counts over all of its domains. A convention is
recognised by its arithmetic, noted once and used from then on, because a false gap in every
message would hide the true ones.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from scapy_ipfix.collector.shrinking import shrink
from scapy_ipfix.wire.framing import V9_VERSION

_MODULO = 1 << 32
_HALF = 1 << 31
#: Messages kept to recognise duplicates, and gaps kept to recognise late messages.
_REMEMBERED = 64
_GAPS = 32
#: A number that falls back below this is a restart, not a late message.
_FIRST_NUMBERS = 1000
#: Messages that are compared with all conventions, at the beginning and after a misfit, and the
#: highest score of a convention. One message may fit by chance: a gap can look like any.
_WEIGHED = 64
_MOST = 8

#: Conventions of counting, in the order in which they are tried.
CONVENTIONS = {
    "records": "records sent before the message",
    "own": "records up to the end of the message",
    "own-data": "records up to the end of the message, without options",
    "data": "records sent before the message, without options",
    "shared": "records of all observation domains",
    "templates": "records and templates sent before the message",
    "messages": "messages",
}
#: Conventions of NetFlow v9 exporters: messages (RFC 3954 5.1), or flows.
_V9_CONVENTIONS = ("messages", "records", "data")


class Counts(NamedTuple):
    """Sequence number of a message, and its numbers of records.

    ``records`` and ``data_records`` (without options) are None while a Set has no template.
    ``export_time`` (seconds since 1970) differs between a duplicate and a number that an
    exporter uses again after a restart. ``templates`` are Template Records. ``restarted`` is
    True where the exporter's uptime shows that it restarted before the message.
    """

    number: int
    records: int | None
    data_records: int | None
    export_time: int = 0
    templates: int = 0
    restarted: bool = False


@dataclass(slots=True)
class SharedSequence:
    """Last message of a Transport Session, of any Observation Domain, and their number."""

    last: Counts | None = None
    domains: int = 0


class Verdict(NamedTuple):
    """Diagnostic of a sequence number: its code in the catalogue, and its numbers."""

    code: str
    got: int
    expected: int
    lost: int = 0
    convention: str = ""


@dataclass(slots=True)
class SequenceTracker:
    """Tracker of the sequence numbers of one Observation Domain.

    ``version`` is 10, or 9 for NetFlow v9. ``lost`` counts records, in NetFlow v9 messages.
    """

    version: int
    convention: str = ""
    last: Counts | None = None
    lost: int = 0
    reordered: int = 0
    duplicates: int = 0
    restarts: int = 0
    #: True once a message could not be counted, so that ``lost`` is a lower bound.
    unknown: bool = False
    _first: Counts | None = None
    _weighed: int = 0
    #: The score of each convention: messages that fit it, minus those that do not.
    _scores: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CONVENTIONS, 0))
    #: The convention before the present one, and the gap that it would have meant.
    _doubt: tuple[str, Verdict] | None = None
    #: A message that was behind for an unknown reason; one that continues it means a restart.
    _stray: Counts | None = None
    _seen: deque[Counts] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    #: The first and last position of what is missing, as :meth:`_place` counts.
    _gaps: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.convention = "messages" if self.version == V9_VERSION else "records"

    def track(self, message: Counts, shared: Counts | None = None) -> Verdict | None:
        """Follow the next message; return None if its number is as expected.

        ``shared`` is the last message of the same Transport Session, of any domain.
        """
        last, number = self.last, message.number
        if last is None:
            self._begin(message)
            return None
        expected = self._expected(self.convention, last, message, shared)
        if message.restarted and (number != expected or number == 0):
            return self._restart(message, last.number if expected is None else expected)
        if number == expected:
            self._doubt = None
            if self._weighed < _WEIGHED:
                self._weigh(self._fitting(last, message, shared))
            self._advance(message)
            return None
        if expected is None:
            self.unknown = True
            if _ahead(number, last.number) >= _HALF or self._is_copy(message):
                return self._behind(message, last.number)
            self._advance(message)
            return None
        return self._misfit(message, expected, shared)

    def _misfit(self, message: Counts, expected: int, shared: Counts | None) -> Verdict:
        """Return the verdict on a number that is not the expected one."""
        last, number = self.last, message.number
        assert last is not None
        if _ahead(number, expected) >= _HALF and self._is_copy(message):
            return self._behind(message, expected)
        fitting = self._fitting(last, message, shared)
        if fitting:
            self._weighed = 0
            self._weigh(fitting)
            best = max(fitting, key=self._scores.__getitem__)
            better = self._scores[best] - self._scores[self.convention]
            if better > 0 or (better == 0 and self._doubt and self._doubt[0] == best):
                return self._change(best, message, expected)
        lost = _ahead(number, expected)
        if lost >= _HALF:
            return self._behind(message, expected)
        stray = self._stray
        if stray is not None and number == self._expected(self.convention, stray, message, stray):
            return self._restart(message, expected)
        self._miss(self._place(message), lost)
        self._advance(message)
        return Verdict("sequence-gap", number, expected, lost)

    def _fitting(self, last: Counts, message: Counts, shared: Counts | None) -> list[str]:
        """Return the conventions that a message's number fits."""
        conventions: Iterable[str] = CONVENTIONS
        if self.version == V9_VERSION:
            if message.number == last.number:
                return []  # a number that stays is no count of anything
            conventions = _V9_CONVENTIONS
        return [
            each
            for each in conventions
            if self._expected(each, last, message, shared) == message.number
        ]

    def _weigh(self, fitting: list[str]) -> None:
        self._weighed += 1
        for each, score in self._scores.items():
            self._scores[each] = max(-_MOST, min(_MOST, score + (1 if each in fitting else -1)))

    def _change(self, convention: str, message: Counts, expected: int) -> Verdict:
        """Change to a convention that a message fits, which the present one does not.

        If the present one replaced it just before, there was a gap after all.
        """
        before, doubt, last = self.convention, self._doubt, self.last
        self.convention, self._doubt = convention, None
        if doubt is not None and doubt[0] == convention and last is not None:
            self._miss(self._place(last), doubt[1].lost)
            self._advance(message)
            return doubt[1]
        lost = _ahead(message.number, expected)
        if lost < _HALF:
            self._doubt = before, Verdict("sequence-gap", message.number, expected, lost)
        self._advance(message)
        what = CONVENTIONS[convention]
        return Verdict("sequence-convention", message.number, expected, 0, what)

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
        elif convention == "templates":
            records = None if records is None else records + last.templates
        elif convention == "own":
            records = message.records
        elif convention == "own-data":
            records = message.data_records
        return None if records is None else (base + records) % _MODULO

    def _behind(self, message: Counts, expected: int) -> Verdict:
        """Return the verdict on a duplicate, a late message or a restart."""
        number, last = message.number, self.last
        if self._is_copy(message):
            return self._duplicate(message, expected)
        # A late message was exported before the last one.
        late = last is None or message.export_time <= last.export_time
        if not (late and self._fills_gap(message)):
            if late and self._is_copy(message, cut=True):
                self._stray = message
                return self._duplicate(message, expected)
            if not late or self._is_restart(message, expected):
                return self._restart(message, expected)
        self.reordered += 1
        self._seen.append(message)
        return Verdict("sequence-reordered", number, expected)

    def _restart(self, message: Counts, expected: int) -> Verdict:
        self.restarts += 1
        self._begin(message)
        return Verdict("sequence-restart", message.number, expected)

    def _duplicate(self, message: Counts, expected: int) -> Verdict:
        self.duplicates += 1
        return Verdict("sequence-duplicate", message.number, expected)

    def _is_copy(self, message: Counts, cut: bool = False) -> bool:
        """Return True if the message was seen before, even if it could not be counted then.

        With ``cut`` the number of records may differ, unless one of the two is 0: a message
        without records has the number of the next one.
        """
        size = self._size(message)
        return any(
            each.number == message.number
            and each.export_time == message.export_time
            and (
                each.records == message.records
                or None in (each.records, message.records)
                or (cut and bool(self._size(each)) == bool(size))
            )
            for each in self._seen
        )

    def _fills_gap(self, message: Counts) -> bool:
        """Return True if a message was missing, or precedes the first one seen."""
        place, size = self._place(message), self._size(message)
        after = (place + size) % _MODULO
        if self._first is not None and after == self._place(self._first):
            self._first = message
            return True
        for index, (start, stop) in enumerate(self._gaps):
            if _ahead(place, start) < _ahead(stop, start):
                left = [(start, place)] if place != start else []
                if _ahead(after, start) < _ahead(stop, start):
                    left.append((after, stop))
                self._gaps[index : index + 1] = left
                self.lost = max(0, self.lost - size)
                return True
        return False

    def _is_restart(self, message: Counts, expected: int) -> bool:
        number, stray = message.number, self._stray
        self._stray = message
        if number == 0 or number < _FIRST_NUMBERS <= expected:
            return True
        # A restarted exporter may begin with any number: two consecutive messages show it.
        return stray is not None and number == self._expected(
            self.convention, stray, message, stray
        )

    def _place(self, message: Counts) -> int:
        """Return the position where a message begins, even if its number is that of its end."""
        own = self.convention in ("own", "own-data")
        return (message.number - (self._size(message) if own else 0)) % _MODULO

    def _size(self, message: Counts) -> int:
        """Return the amount that a message adds to the sequence number, 0 if unknown."""
        if self.convention == "messages":
            return 1
        data = self.convention in ("data", "own-data")
        size = (message.data_records if data else message.records) or 0
        return size + message.templates if self.convention == "templates" else size

    def _miss(self, place: int, lost: int) -> None:
        """Count ``lost`` as missing before a position."""
        self.lost += lost
        self._gaps.append(((place - lost) % _MODULO, place))
        del self._gaps[:-_GAPS]

    def _begin(self, message: Counts) -> None:
        self._first = message
        self._seen.clear()
        self._gaps.clear()
        self._advance(message)

    def _advance(self, message: Counts) -> None:
        self.last, self._stray = message, None
        self._seen.append(message)

    @property
    def lost_text(self) -> str:
        """The number of lost records or messages, as far as it is known."""
        if not self.unknown:
            return str(self.lost)
        return f"{self.lost} or more" if self.lost else "unknown"


def _ahead(number: int, other: int) -> int:
    """Return the distance of a number from another, modulo 2^32; half or more is behind."""
    return (number - other) % _MODULO


class StreamLimit:
    """Limit of the SCTP streams of all Observation Domains that have a tracker of their own.

    Beyond it the least recently used are dropped. A stream that is used again begins anew,
    which loses a gap and invents none.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: OrderedDict[tuple[StreamTrackers, int], None] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of streams that have a tracker."""
        return len(self._used)

    def use(self, owner: StreamTrackers, stream: int) -> None:
        """Mark a stream as the most recently used, and drop another beyond the limit."""
        key = owner, stream
        self._used[key] = None
        self._used.move_to_end(key)
        if len(self._used) > self._most:
            (oldest, number), _ = self._used.popitem(last=False)
            oldest.drop(number)

    def remove(self, owner: StreamTrackers, stream: int) -> None:
        """Count a stream no longer."""
        del self._used[owner, stream]


class StreamTrackers:
    """Trackers of an Observation Domain's SCTP streams beside stream 0 (RFC 7011 3.1)."""

    __slots__ = ("_dropped", "_limit", "_version", "trackers")

    def __init__(self, version: int, limit: StreamLimit) -> None:
        self.trackers: dict[int, SequenceTracker] = {}
        self._version = version
        self._limit = limit
        self._dropped = 0

    def get(self, stream: int) -> SequenceTracker:
        """Return the tracker of a stream, a new one for an unknown stream."""
        tracker = self.trackers.get(stream)
        if tracker is None:
            tracker = self.trackers[stream] = SequenceTracker(self._version)
        self._limit.use(self, stream)
        return tracker

    def drop(self, stream: int) -> None:
        """Forget a stream that the limit has dropped."""
        del self.trackers[stream]
        self._dropped = shrink(self.trackers, self._dropped + 1)

    def end(self) -> None:
        """Expect any sequence number next: the Transport Session ended."""
        for tracker in self.trackers.values():
            tracker.last = None

    def clear(self) -> None:
        """Forget all streams: the Observation Domain is dropped."""
        for stream in self.trackers:
            self._limit.remove(self, stream)
        self.trackers.clear()

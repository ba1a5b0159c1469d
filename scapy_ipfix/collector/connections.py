# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages out of TCP connections and SCTP associations (RFC 7011 10.2, 10.4), bounded.

Segments and chunks come late, twice, cut up or never. One direction of a connection is a
:class:`TCPStream`, of an association an :class:`SCTPStreams`; both put in order what came,
give up on what never will, and hold a bounded number of octets meanwhile.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Generic, NamedTuple, TypeVar

from scapy_ipfix.collector.shrinking import shrink
from scapy_ipfix.wire.stream import MessageStream

_MODULO = 1 << 32
_HALF = 1 << 31
#: What may wait behind a gap before it is given up: about as much as receive windows hold.
_GAP_OCTETS = 1 << 20
#: What a segment or a chunk costs to keep beside its octets, about.
_OVERHEAD = 300
#: Messages of an SCTP stream that wait for an earlier one.
_GAP_MESSAGES = 256
#: Transmission sequence numbers remembered, to know a chunk that comes twice.
_REMEMBERED = 4096


class TCPStream:
    """One direction of a TCP connection, from whatever segment is seen first.

    ``lost`` counts octets that were given up, ``skipped`` those that were no message;
    ``held`` is what it costs to keep segments that wait for an earlier one.
    """

    def __init__(self) -> None:
        # Positions are sequence numbers that go on beyond 2^32.
        self._begin: int | None = None
        self._next = 0
        self._end: int | None = None
        self._acknowledged: int | None = None
        #: Segments that wait, by position, and their positions as a heap.
        self._ahead: dict[int, bytes] = {}
        self._positions: list[int] = []
        #: Segments that were taken since the table of those that wait was made.
        self._taken = 0
        self._cutter = MessageStream()
        self.lost = 0
        self.held = 0

    @property
    def cost(self) -> int:
        """Octets that it takes to keep the stream, about."""
        return 500 + self.held + self._cutter.waiting

    @property
    def waiting(self) -> int:
        """Octets that wait for others: segments, and the beginning of a message."""
        return sum(map(len, self._ahead.values())) + self._cutter.waiting

    @property
    def skipped(self) -> int:
        return self._cutter.skipped

    @property
    def ended(self) -> bool:
        """Whether the sender closed the stream, and all of it was taken."""
        return self._end is not None and self._end == self._next

    def begins(self, sequence: int) -> bool:
        """Whether a SYN with that sequence number is this connection's, come late or twice."""
        return self._begin == (sequence + 1) % _MODULO

    def has(self, sequence: int, octets: int) -> bool:
        """Whether all of a segment came before."""
        position = self._position(sequence)
        return self._begin is not None and self._begin <= position <= self._next - octets

    def add_segment(
        self, sequence: int, data: bytes, syn: bool = False, fin: bool = False
    ) -> list[bytes]:
        """Takes a segment; gives the messages that are whole now."""
        if syn:
            sequence = (sequence + 1) % _MODULO
        if self._begin is None:
            self._begin = self._next = sequence
        position = self._position(sequence)
        if fin:
            self._end = position + len(data)
        messages = self._feed(position, data) if data else []
        while self._positions and self._is_hopeless():
            messages += self._give_up()
        return messages

    def acknowledge(self, sequence: int) -> None:
        """The other end has all octets before that number: those that we lack will not come."""
        self._acknowledged = self._position(sequence)

    def finish(self) -> list[bytes]:
        """The connection is over: gives what waited, gaps or not, and what is cut off."""
        messages = []
        while self._positions:
            messages += self._give_up()
        rest = self._cutter.finish()
        return [*messages, rest] if rest else messages

    def _position(self, sequence: int) -> int:
        """Where a sequence number is, as the one nearest to what is expected."""
        ahead = (sequence - self._next) % _MODULO
        return self._next + (ahead if ahead < _HALF else ahead - _MODULO)

    def _feed(self, position: int, data: bytes) -> list[bytes]:
        if position <= self._next:
            return self._cut(position, data) + self._follow()
        known = self._ahead.get(position)
        if known is None:
            heappush(self._positions, position)
            self.held += _OVERHEAD
            known = b""
        if len(known) < len(data):
            self._ahead[position] = data
            self.held += len(data) - len(known)
        return []

    def _cut(self, position: int, data: bytes) -> list[bytes]:
        """The messages that are whole with a segment, of which some or all may be known."""
        known = self._next - position
        if known >= len(data):
            return []
        self._next = position + len(data)
        return self._cutter.feed(data[known:])

    def _follow(self) -> list[bytes]:
        """The messages of what waited for the segment that came just now."""
        messages: list[bytes] = []
        while self._positions and self._positions[0] <= self._next:
            position = heappop(self._positions)
            data = self._ahead.pop(position)
            self.held -= len(data) + _OVERHEAD
            self._taken = shrink(self._ahead, self._taken + 1)
            messages += self._cut(position, data)
        return messages

    def _is_hopeless(self) -> bool:
        """Whether the gap will not be filled any more."""
        known_to_have = self._acknowledged is not None and self._acknowledged >= self._positions[0]
        return known_to_have or self.held > _GAP_OCTETS

    def _give_up(self) -> list[bytes]:
        """Goes on behind the gap, at the next message header."""
        nearest = self._positions[0]
        self.lost += nearest - self._next + self._cutter.waiting
        self._cutter.resynchronize()
        self._next = nearest
        return self._follow()


class Chunk(NamedTuple):
    """An SCTP data chunk (RFC 9260 3.3.1), or several that were put together."""

    tsn: int
    stream: int
    sequence: int
    beginning: bool
    ending: bool
    unordered: bool
    data: bytes


class _Early(NamedTuple):
    """A user message that waits for an earlier one of its stream, and its last chunk's TSN."""

    tsn: int
    data: bytes


class SCTPStreams:
    """The data chunks of one direction of an SCTP association, put together and in order.

    ``lost`` counts octets of messages that will never be whole; ``held`` is what it costs to
    keep what waits.
    """

    def __init__(self) -> None:
        self._pieces: OrderedDict[int, Chunk] = OrderedDict()
        #: Runs of pieces of one message: the TSN of the last by that of the first, and back.
        self._ends: dict[int, int] = {}
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._next: dict[int, int] = {}
        self._early: dict[int, dict[int, _Early]] = {}
        self._acknowledged: int | None = None
        self._from_start = False
        self.lost = 0
        self.held = 0

    def begin(self) -> None:
        """The association begins here: its streams count from 0 (RFC 9260 6.5)."""
        self._from_start = True

    @property
    def cost(self) -> int:
        """Octets that it takes to keep the association, about."""
        return 500 + self.held + _OVERHEAD * (len(self._seen) + len(self._next))

    @property
    def waiting(self) -> int:
        """Octets that wait for others: pieces of messages, and messages before their turn."""
        pieces = sum(len(piece.data) for piece in self._pieces.values())
        return pieces + sum(
            len(early.data) for stream in self._early.values() for early in stream.values()
        )

    def add_chunk(self, chunk: Chunk) -> list[tuple[int, bytes]]:
        """Takes a chunk; gives the user messages that are due now, each with its stream."""
        if chunk.tsn in self._seen or chunk.tsn in self._pieces:
            return []
        self._seen[chunk.tsn] = None
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        if not chunk.unordered:
            self._next.setdefault(chunk.stream, 0 if self._from_start else chunk.sequence)
        whole = chunk if chunk.beginning and chunk.ending else self._put_together(chunk)
        if whole is None:
            return []
        if whole.unordered:
            return [(whole.stream, whole.data)]
        return self._in_order(whole)

    def acknowledge(self, tsn: int) -> None:
        """The other end has every chunk up to that TSN: those that we lack will not come."""
        self._acknowledged = tsn

    def finish(self) -> list[tuple[int, bytes]]:
        """The association is over: gives what waited for earlier messages, pieces never."""
        due = []
        for stream, early in self._early.items():
            start = self._next[stream]
            for sequence in sorted(early, key=lambda at, start=start: (at - start) % 65536):  # type: ignore[misc]
                due.append((stream, early[sequence].data))
        self._early.clear()
        self.lost += sum(len(piece.data) for piece in self._pieces.values())
        self._pieces.clear()
        self._ends.clear()
        self.held = 0
        return due

    def _put_together(self, chunk: Chunk) -> Chunk | None:
        """The message that a piece completes. Pieces are chunks with TSNs in a row."""
        pieces = self._pieces
        pieces[chunk.tsn] = chunk
        self.held += len(chunk.data) + _OVERHEAD
        first, last = self._join(chunk)
        if not (pieces[first].beginning and pieces[last].ending):
            self._bound()
            return None
        del self._ends[first], self._ends[last]  # never the same: one piece is no message
        parts = []
        for at in range(first, first + (last - first) % _MODULO + 1):
            part = pieces.pop(at % _MODULO)
            self.held -= len(part.data) + _OVERHEAD
            parts.append(part)
        data = b"".join(part.data for part in parts)
        return parts[0]._replace(tsn=last, data=data, ending=True)

    def _join(self, chunk: Chunk) -> tuple[int, int]:
        """The first and the last TSN of the run that a piece makes with those beside it."""
        pieces, ends = self._pieces, self._ends
        first = last = chunk.tsn
        before = pieces.get((first - 1) % _MODULO)
        if before is not None and not before.ending and not chunk.beginning:
            first = ends.pop(before.tsn)
        after = pieces.get((last + 1) % _MODULO)
        if after is not None and not after.beginning and not chunk.ending:
            last = ends.pop(after.tsn)
        ends[first], ends[last] = last, first
        return first, last

    def _part(self, tsn: int) -> None:
        """Makes two runs of the one that a piece was in.

        Its ends are not known to the pieces within, but the nearer one is soon found.
        """
        ends = self._ends
        left = right = tsn
        while left not in ends and right not in ends:
            left, right = (left - 1) % _MODULO, (right + 1) % _MODULO
        end = left if left in ends else right
        first, last = end, ends.pop(end)
        if (last - first) % _MODULO >= _HALF:
            first, last = last, first
        ends.pop(first, None)
        ends.pop(last, None)
        if first != tsn:
            stop = (tsn - 1) % _MODULO
            ends[first], ends[stop] = stop, first
        if last != tsn:
            start = (tsn + 1) % _MODULO
            ends[start], ends[last] = last, start

    def _bound(self) -> None:
        """Forgets the oldest pieces beyond the bound: their message will never be whole."""
        while self.held > _GAP_OCTETS and self._pieces:
            tsn, oldest = self._pieces.popitem(last=False)
            self._part(tsn)
            self.held -= len(oldest.data) + _OVERHEAD
            self.lost += len(oldest.data)

    def _in_order(self, chunk: Chunk) -> list[tuple[int, bytes]]:
        stream = chunk.stream
        expected = self._next[stream]
        ahead = (chunk.sequence - expected) % 65536
        if ahead >= 32768:
            return [(stream, chunk.data)]  # its turn was given up, or capture began behind it
        early = self._early.setdefault(stream, {})
        if chunk.sequence in early:
            return []  # another TSN, the same place: no honest sender
        early[chunk.sequence] = _Early(chunk.tsn, chunk.data)
        self.held += len(chunk.data) + _OVERHEAD
        if ahead and self._is_hopeless(early):
            self._next[stream] = min(early, key=lambda at: (at - expected) % 65536)
        due = []
        while (sequence := self._next[stream]) in early:
            data = early.pop(sequence).data
            self.held -= len(data) + _OVERHEAD
            due.append((stream, data))
            self._next[stream] = (sequence + 1) % 65536
        if not early:
            del self._early[stream]
        return due

    def _is_hopeless(self, early: dict[int, _Early]) -> bool:
        """Whether the message that the others wait for will not come any more."""
        acknowledged = self._acknowledged
        if acknowledged is not None and any(
            (acknowledged - each.tsn) % _MODULO < _HALF for each in early.values()
        ):
            return True
        return len(early) > _GAP_MESSAGES or self.held > _GAP_OCTETS


_T = TypeVar("_T", TCPStream, SCTPStreams)


class Connections(Generic[_T]):
    """The streams of many connections; beyond the limits the least recently used go."""

    def __init__(self, kind: type[_T], count: int, octets: int) -> None:
        self._kind: type[_T] = kind
        self._count = count
        self._octets = octets
        self._streams: OrderedDict[object, _T] = OrderedDict()
        self._costs: dict[object, int] = {}
        self._total = 0
        #: Connections that were dropped while something in them waited.
        self.dropped = 0

    def get(self, key: object) -> _T:
        """The stream of a connection, new if it was not heard of."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = self._kind()
        else:
            self._streams.move_to_end(key)
        return stream

    def __contains__(self, key: object) -> bool:
        return key in self._streams

    def waiting(self) -> Iterator[tuple[object, int]]:
        """The connections that have octets which wait for others, and how many."""
        return ((key, each.waiting) for key, each in self._streams.items() if each.waiting)

    def settle(self, key: object) -> None:
        """Counts what a connection costs now that it took something; drops others if need be."""
        cost = self._streams[key].cost
        self._total += cost - self._costs.get(key, 0)
        self._costs[key] = cost
        while len(self._streams) > 1 and (
            len(self._streams) > self._count or self._total > self._octets
        ):
            oldest = next(iter(self._streams))
            if self._streams[oldest].held:
                self.dropped += 1
            self.end(oldest)

    def end(self, key: object) -> None:
        """Forgets a connection."""
        self._streams.pop(key, None)
        self._total -= self._costs.pop(key, 0)

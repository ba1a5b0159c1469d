# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of TCP connections and SCTP associations (RFC 7011 10.2, 10.4), bounded.

Segments and chunks may be late, repeated, divided or missing. :class:`TCPStream` is one
direction of a connection, :class:`SCTPStreams` of an association; both restore the order, skip
gaps that cannot be filled, and buffer a bounded number of octets.
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
#: The limit of octets buffered behind a gap, about that of receive windows.
_GAP_OCTETS = 1 << 20
#: Memory of a buffered segment or chunk beside its octets, about.
_OVERHEAD = 300
#: The limit of messages of an SCTP stream that are buffered for an earlier one.
_GAP_MESSAGES = 256
#: Transmission sequence numbers kept, to recognise repeated chunks.
_TSNS = 4096


class TCPStream:
    """One direction of a TCP connection, from the first captured segment on.

    ``lost`` counts octets of gaps, ``skipped`` octets outside of messages; ``held`` is the
    memory of segments that are buffered for an earlier one.
    """

    def __init__(self) -> None:
        # Positions are sequence numbers that continue beyond 2^32.
        self._begin: int | None = None
        self._next = 0
        self._end: int | None = None
        self._acknowledged: int | None = None
        #: Buffered segments by position, and their positions as a heap.
        self._ahead: dict[int, bytes] = {}
        self._positions: list[int] = []
        #: Segments removed since the last resize of that table.
        self._removed = 0
        self._splitter = MessageStream()
        self.lost = 0
        self.held = 0

    @property
    def cost(self) -> int:
        """Memory of the stream in octets, about."""
        return 500 + self.held + self._splitter.waiting

    @property
    def waiting(self) -> int:
        """Buffered octets: segments, and the beginning of a message."""
        return sum(map(len, self._ahead.values())) + self._splitter.waiting

    @property
    def skipped(self) -> int:
        return self._splitter.skipped

    @property
    def ended(self) -> bool:
        """True if the sender closed the stream and all octets were processed."""
        return self._end is not None and self._end == self._next

    def begins(self, sequence: int) -> bool:
        """Return True if a SYN with a sequence number began this connection."""
        return self._begin == (sequence + 1) % _MODULO

    def has(self, sequence: int, octets: int) -> bool:
        """Return True if all octets of a segment were processed before."""
        position = self._position(sequence)
        return self._begin is not None and self._begin <= position <= self._next - octets

    def add_segment(
        self, sequence: int, data: bytes, syn: bool = False, fin: bool = False
    ) -> list[bytes]:
        """Add a segment; return the messages that are complete."""
        if syn:
            sequence = (sequence + 1) % _MODULO
        if self._begin is None:
            self._begin = self._next = sequence
        position = self._position(sequence)
        if fin:
            self._end = position + len(data)
        messages = self._feed(position, data) if data else []
        while self._positions and self._is_unfillable():
            messages += self._skip_gap()
        return messages

    def acknowledge(self, sequence: int) -> None:
        """Note an acknowledgement: earlier octets that are missing will not arrive."""
        self._acknowledged = self._position(sequence)

    def finish(self) -> list[bytes]:
        """End the connection; return the buffered messages and a truncated one."""
        messages = []
        while self._positions:
            messages += self._skip_gap()
        rest = self._splitter.finish()
        return [*messages, rest] if rest else messages

    def _position(self, sequence: int) -> int:
        """Return the position of a sequence number, the nearest to the expected one."""
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
        """Process the new octets of a segment; return the messages that are complete."""
        known = self._next - position
        if known >= len(data):
            return []
        self._next = position + len(data)
        return self._splitter.feed(data[known:])

    def _follow(self) -> list[bytes]:
        """Process buffered segments that follow; return the messages that are complete."""
        messages: list[bytes] = []
        while self._positions and self._positions[0] <= self._next:
            position = heappop(self._positions)
            data = self._ahead.pop(position)
            self.held -= len(data) + _OVERHEAD
            self._removed = shrink(self._ahead, self._removed + 1)
            messages += self._cut(position, data)
        return messages

    def _is_unfillable(self) -> bool:
        """Return True if the gap cannot be filled."""
        is_acknowledged = (
            self._acknowledged is not None and self._acknowledged >= self._positions[0]
        )
        return is_acknowledged or self.held > _GAP_OCTETS

    def _skip_gap(self) -> list[bytes]:
        """Skip the gap, and resume at the next message header."""
        nearest = self._positions[0]
        self.lost += nearest - self._next + self._splitter.waiting
        self._splitter.resynchronize()
        self._next = nearest
        return self._follow()


class Chunk(NamedTuple):
    """SCTP data chunk (RFC 9260 3.3.1), or the message of several."""

    tsn: int
    stream: int
    sequence: int
    beginning: bool
    ending: bool
    unordered: bool
    data: bytes


class _Early(NamedTuple):
    """User message buffered for an earlier one of its stream, with its last chunk's TSN."""

    tsn: int
    data: bytes


class SCTPStreams:
    """Data chunks of one direction of an SCTP association, reassembled and in order.

    ``lost`` counts octets of incomplete messages; ``held`` is the memory of buffered chunks.
    """

    def __init__(self) -> None:
        self._pieces: OrderedDict[int, Chunk] = OrderedDict()
        #: Runs of pieces of one message: the TSN of the last by that of the first, and vice versa.
        self._ends: dict[int, int] = {}
        self._seen: OrderedDict[int, None] = OrderedDict()
        self._next: dict[int, int] = {}
        self._early: dict[int, dict[int, _Early]] = {}
        self._acknowledged: int | None = None
        self._from_start = False
        self.lost = 0
        self.held = 0

    def begin(self) -> None:
        """Begin the association, so that its streams count from 0 (RFC 9260 6.5)."""
        self._from_start = True

    @property
    def cost(self) -> int:
        """Memory of the association in octets, about."""
        return 500 + self.held + _OVERHEAD * (len(self._seen) + len(self._next))

    @property
    def waiting(self) -> int:
        """Buffered octets: pieces of messages, and messages out of order."""
        pieces = sum(len(piece.data) for piece in self._pieces.values())
        return pieces + sum(
            len(early.data) for stream in self._early.values() for early in stream.values()
        )

    def add_chunk(self, chunk: Chunk) -> list[tuple[int, bytes]]:
        """Add a chunk; return the user messages that are next, each with its stream."""
        if chunk.tsn in self._seen or chunk.tsn in self._pieces:
            return []
        self._seen[chunk.tsn] = None
        if len(self._seen) > _TSNS:
            self._seen.popitem(last=False)
        if not chunk.unordered:
            self._next.setdefault(chunk.stream, 0 if self._from_start else chunk.sequence)
        whole = chunk if chunk.beginning and chunk.ending else self._reassemble(chunk)
        if whole is None:
            return []
        if whole.unordered:
            return [(whole.stream, whole.data)]
        return self._in_order(whole)

    def acknowledge(self, tsn: int) -> None:
        """Note an acknowledgement: earlier chunks that are missing will not arrive."""
        self._acknowledged = tsn

    def finish(self) -> list[tuple[int, bytes]]:
        """End the association; return the buffered messages, without incomplete ones."""
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

    def _reassemble(self, chunk: Chunk) -> Chunk | None:
        """Return the message that a piece completes, or None. TSNs of pieces are consecutive."""
        pieces = self._pieces
        pieces[chunk.tsn] = chunk
        self.held += len(chunk.data) + _OVERHEAD
        first, last = self._join(chunk)
        if not (pieces[first].beginning and pieces[last].ending):
            self._drop_oldest()
            return None
        del self._ends[first], self._ends[last]  # distinct: a message in one piece is not stored
        parts = []
        for tsn in range(first, first + (last - first) % _MODULO + 1):
            part = pieces.pop(tsn % _MODULO)
            self.held -= len(part.data) + _OVERHEAD
            parts.append(part)
        data = b"".join(part.data for part in parts)
        return parts[0]._replace(tsn=last, data=data, ending=True)

    def _join(self, chunk: Chunk) -> tuple[int, int]:
        """Join a piece with its neighbours; return the first and last TSN of the run."""
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

    def _divide(self, tsn: int) -> None:
        """Divide a run at a piece that was removed.

        A piece does not have the ends of its run; the search goes to the nearer one.
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

    def _drop_oldest(self) -> None:
        """Drop the oldest pieces beyond the limit; their message stays incomplete."""
        while self.held > _GAP_OCTETS and self._pieces:
            tsn, oldest = self._pieces.popitem(last=False)
            self._divide(tsn)
            self.held -= len(oldest.data) + _OVERHEAD
            self.lost += len(oldest.data)

    def _in_order(self, chunk: Chunk) -> list[tuple[int, bytes]]:
        stream = chunk.stream
        expected = self._next[stream]
        ahead = (chunk.sequence - expected) % 65536
        if ahead >= 32768:
            return [(stream, chunk.data)]  # behind a skipped gap, or before the capture
        early = self._early.setdefault(stream, {})
        if chunk.sequence in early:
            return []  # another TSN with the same stream sequence number
        early[chunk.sequence] = _Early(chunk.tsn, chunk.data)
        self.held += len(chunk.data) + _OVERHEAD
        if ahead and self._is_unfillable(early):
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

    def _is_unfillable(self, early: dict[int, _Early]) -> bool:
        """Return True if the message that the others are buffered for cannot arrive."""
        acknowledged = self._acknowledged
        if acknowledged is not None and any(
            (acknowledged - each.tsn) % _MODULO < _HALF for each in early.values()
        ):
            return True
        return len(early) > _GAP_MESSAGES or self.held > _GAP_OCTETS


_T = TypeVar("_T", TCPStream, SCTPStreams)


class Connections(Generic[_T]):
    """Streams of many connections; the least recently used are dropped at the limits."""

    def __init__(self, kind: type[_T], count: int, octets: int) -> None:
        self._kind: type[_T] = kind
        self._count = count
        self._octets = octets
        self._streams: OrderedDict[object, _T] = OrderedDict()
        self._costs: dict[object, int] = {}
        self._total = 0
        #: Connections that were dropped with buffered octets.
        self.dropped = 0

    def get(self, key: object) -> _T:
        """Return the stream of a connection, a new one if it is unknown."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = self._kind()
        else:
            self._streams.move_to_end(key)
        return stream

    def __contains__(self, key: object) -> bool:
        return key in self._streams

    def waiting(self) -> Iterator[tuple[object, int]]:
        """Yield connections with buffered octets, and the number of these."""
        return ((key, each.waiting) for key, each in self._streams.items() if each.waiting)

    def settle(self, key: object) -> None:
        """Update the memory of a connection after a change; drop others at the limits."""
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
        """Drop a connection."""
        self._streams.pop(key, None)
        self._total -= self._costs.pop(key, 0)

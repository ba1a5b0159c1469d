# SPDX-License-Identifier: GPL-2.0-or-later
"""Division of a stream into messages: IPFIX Files (RFC 5655), connections (RFC 7011 10.4).

NetFlow v9 packets end to end, as some collectors store them, have no length in the header.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from scapy_ipfix.wire.framing import (
    IPFIX_HEADER,
    MINIMUM_DATA_SET,
    OPTIONS_TEMPLATE_FLOWSET,
    SET_HEADER,
    TEMPLATE_FLOWSET,
    V9_HEADER,
    V9_VERSION,
)

_VERSION = b"\x00\x0a"
_V9_VERSION = b"\x00\x09"
_CHUNK = 1 << 16
#: The limit of octets in a NetFlow v9 packet, more than UDP carries.
_LONGEST = 65535
#: Octets needed to recognise a message: its header and that of its first Set.
_RECOGNISABLE = IPFIX_HEADER.size + SET_HEADER.size


class StreamSplitter(Protocol):
    """Divider of a stream into messages; ``skipped`` counts octets outside of messages."""

    skipped: int

    def feed(self, octets: bytes) -> list[bytes]: ...
    def finish(self) -> bytes: ...


class MessageStream:
    """Divider of a stream into IPFIX Messages; ``skipped`` counts octets outside of them.

    Where no message begins, it resumes at the next octets that are plausible: a version, a
    length, and a first Set within that length.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        #: Octets of the pending message, 0 if unknown.
        self._whole = 0
        self._lost = False
        self.skipped = 0

    @property
    def waiting(self) -> int:
        """Octets of a message that is incomplete."""
        return len(self._buffer)

    def feed(self, octets: bytes) -> list[bytes]:
        """Add octets; return the messages that are complete."""
        waiting = self._buffer
        if len(waiting) + len(octets) < self._whole:
            waiting += octets  # in place: a message may arrive octet by octet
            return []
        buffer = b"".join((waiting, octets)) if waiting else octets
        self._whole = 0
        messages = []
        start, end = 0, len(buffer)
        while end - start >= IPFIX_HEADER.size:
            if self._lost:
                found = _find(buffer, start)
                self.skipped += found - start
                start = found
                if end - start < _RECOGNISABLE:
                    break
                self._lost = False
            length = int.from_bytes(buffer[start + 2 : start + 4], "big")
            if buffer[start : start + 2] != _VERSION or length < IPFIX_HEADER.size:
                self._lost = True
                self.skipped += 1
                start += 1
            elif end - start < length:
                self._whole = length
                break
            else:
                messages.append(buffer[start : start + length])
                start += length
        self._buffer = bytearray(buffer[start:])
        return messages

    def resynchronize(self) -> None:
        """Note missing octets: resume where a message plausibly begins."""
        self._buffer, self._whole, self._lost = bytearray(), 0, True

    def finish(self) -> bytes:
        """End the stream; return the octets of a truncated message."""
        rest, self._buffer, self._whole = bytes(self._buffer), bytearray(), 0
        if self._lost:
            self.skipped += len(rest)
            return b""
        return rest


def _find(buffer: bytes, start: int) -> int:
    """Return the offset where a message begins, or may begin once more octets arrive."""
    while True:
        at = buffer.find(_VERSION, start)
        if at < 0:
            return max(start, len(buffer) - 1)  # the last octet may begin a version
        if len(buffer) - at < _RECOGNISABLE or is_plausible_message(buffer, at):
            return at
        start = at + 1


def is_plausible_message(buffer: bytes, at: int) -> bool:
    """Return True if an offset has the length and the first Set of a message."""
    length = int.from_bytes(buffer[at + 2 : at + 4], "big")
    if length < _RECOGNISABLE:
        return False
    set_id, set_length = SET_HEADER.unpack_from(buffer, at + IPFIX_HEADER.size)
    return bool(set_id in (2, 3) or set_id >= 256) and 4 <= set_length <= length - IPFIX_HEADER.size


class FlowStream:
    """Divider of a stream into NetFlow v9 packets (RFC 3954 5), with ``skipped`` as above.

    A header has the number of records, not of octets. FlowSet ids 2 to 255 are reserved, so
    an id of 9 is the version of the next header. A packet is complete once that header
    arrives or the stream ends.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        #: Offset of the next FlowSet, 0 before the header.
        self._at = 0
        self.skipped = 0

    def feed(self, octets: bytes) -> list[bytes]:
        """Add octets; return the packets that are complete."""
        buffer, at = self._buffer, self._at
        buffer += octets  # in place: a packet may arrive octet by octet
        messages = []
        start, end = 0, len(buffer)
        while True:
            if not at:
                found = _find_v9(buffer, start)
                self.skipped += found - start
                start = found
                if end - start < V9_HEADER.size + SET_HEADER.size:
                    break
                at = start + V9_HEADER.size
            if end - at < SET_HEADER.size:
                break
            set_id, length = SET_HEADER.unpack_from(buffer, at)
            if _is_flowset(set_id, length) and at + length - start <= _LONGEST:
                at += length
                continue
            messages.append(bytes(buffer[start:at]))
            # Next is a header, or octets to skip.
            start, at = at, (at + V9_HEADER.size if set_id == V9_VERSION else 0)
            if at and end - start < V9_HEADER.size:
                at = 0
                break
        del buffer[:start]
        self._at = at and at - start
        return messages

    def finish(self) -> bytes:
        """End the stream; return the last packet, complete or truncated."""
        rest, self._buffer, self._at = bytes(self._buffer), bytearray(), 0
        if rest[:2] == _V9_VERSION:
            return rest
        self.skipped += len(rest)
        return b""


def _is_flowset(set_id: int, length: int) -> bool:
    known = set_id in (TEMPLATE_FLOWSET, OPTIONS_TEMPLATE_FLOWSET) or set_id >= MINIMUM_DATA_SET
    return known and length >= SET_HEADER.size


def _find_v9(buffer: bytearray, start: int) -> int:
    """Return the offset of a NetFlow v9 header with a FlowSet or a header after it."""
    while True:
        at = buffer.find(_V9_VERSION, start)
        if at < 0:
            return max(start, len(buffer) - 1)
        if len(buffer) - at < V9_HEADER.size + SET_HEADER.size:
            return at
        set_id, length = SET_HEADER.unpack_from(buffer, at + V9_HEADER.size)
        if set_id == V9_VERSION or _is_flowset(set_id, length):
            return at
        start = at + 1


def read_messages(stream: BinaryIO, splitter: StreamSplitter) -> Iterator[bytes]:
    """Yield the messages of a binary stream in order; the last may be truncated."""
    # read1 returns the octets available, without waiting for a whole chunk.
    read = getattr(stream, "read1", stream.read)
    while octets := read(_CHUNK):
        yield from splitter.feed(octets)
    if rest := splitter.finish():
        yield rest

# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages out of a stream of octets: an IPFIX File (RFC 5655), a connection (RFC 7011 10.4).

And NetFlow v9 packets end to end, as collectors keep them, whose header has no length.
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
#: Octets that a packet of NetFlow v9 can have: more than UDP carries.
_LONGEST = 65535
#: Octets that it takes to say whether a message begins: its header and that of its first Set.
_RECOGNISABLE = IPFIX_HEADER.size + SET_HEADER.size


class Cutter(Protocol):
    """What cuts a stream into messages; ``skipped`` counts the octets that were none."""

    skipped: int

    def feed(self, octets: bytes) -> list[bytes]: ...
    def finish(self) -> bytes: ...


class MessageStream:
    """Cuts a stream into IPFIX Messages; :attr:`skipped` octets were none.

    Where no message can begin, the stream goes on at the next octets that look like one: a
    version, a length, and a first Set that fits into it.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        #: Octets of the message that waits, 0 as long as that is not known.
        self._whole = 0
        self._lost = False
        self.skipped = 0

    @property
    def waiting(self) -> int:
        """Octets of a message that is not whole yet."""
        return len(self._buffer)

    def feed(self, octets: bytes) -> list[bytes]:
        """Takes octets; gives the messages that are whole now."""
        waiting = self._buffer
        if len(waiting) + len(octets) < self._whole:
            waiting += octets  # in place: a message may come octet by octet
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

    def lose(self) -> None:
        """Octets are missing from here on: goes on where a message seems to begin."""
        self._buffer, self._whole, self._lost = bytearray(), 0, True

    def finish(self) -> bytes:
        """What is left when the stream has ended: octets of a message that was cut off."""
        rest, self._buffer, self._whole = bytes(self._buffer), bytearray(), 0
        if self._lost:
            self.skipped += len(rest)
            return b""
        return rest


def _find(buffer: bytes, start: int) -> int:
    """Where a message seems to begin, or may when more octets are there to see it by."""
    while True:
        at = buffer.find(_VERSION, start)
        if at < 0:
            return max(start, len(buffer) - 1)  # the last octet may be half a version
        if len(buffer) - at < _RECOGNISABLE or plausible(buffer, at):
            return at
        start = at + 1


def plausible(buffer: bytes, at: int) -> bool:
    """Whether a message seems to begin there: a length, and a first Set that it holds."""
    length = int.from_bytes(buffer[at + 2 : at + 4], "big")
    if length < _RECOGNISABLE:
        return False
    set_id, set_length = SET_HEADER.unpack_from(buffer, at + IPFIX_HEADER.size)
    return bool(set_id in (2, 3) or set_id >= 256) and 4 <= set_length <= length - IPFIX_HEADER.size


class FlowStream:
    """Cuts a stream into NetFlow v9 packets (RFC 3954 5); :attr:`skipped` octets were none.

    A header says how many records follow, which only templates make octets of. But FlowSet
    ids 2 to 255 are reserved: where the next FlowSet would have id 9, it is the version of the
    next header. So a packet is known to be whole when that has come, or the stream has ended.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        #: Where the next FlowSet begins; 0 before the header.
        self._at = 0
        self.skipped = 0

    def feed(self, octets: bytes) -> list[bytes]:
        """Takes octets; gives the packets that are whole now."""
        buffer, at = self._buffer, self._at
        buffer += octets  # in place: a packet may come octet by octet
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
            # What follows is a header, or nothing that can be read.
            start, at = at, (at + V9_HEADER.size if set_id == V9_VERSION else 0)
            if at and end - start < V9_HEADER.size:
                at = 0
                break
        del buffer[:start]
        self._at = at and at - start
        return messages

    def finish(self) -> bytes:
        """What is left when the stream has ended: the last packet, whole or cut off."""
        rest, self._buffer, self._at = bytes(self._buffer), bytearray(), 0
        if rest[:2] == _V9_VERSION:
            return rest
        self.skipped += len(rest)
        return b""


def _is_flowset(set_id: int, length: int) -> bool:
    known = set_id in (TEMPLATE_FLOWSET, OPTIONS_TEMPLATE_FLOWSET) or set_id >= MINIMUM_DATA_SET
    return known and length >= SET_HEADER.size


def _find_v9(buffer: bytearray, start: int) -> int:
    """As :func:`_find`, of a header of NetFlow v9 and a FlowSet, or another header, behind it."""
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


def read_messages(stream: BinaryIO, cutter: Cutter) -> Iterator[bytes]:
    """The messages of a binary stream, one after the other; what is cut off comes last."""
    # As much as there is: a connection may be quiet for long before it has so many octets.
    read = getattr(stream, "read1", stream.read)
    while octets := read(_CHUNK):
        yield from cutter.feed(octets)
    if rest := cutter.finish():
        yield rest

# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages out of a stream of octets: an IPFIX File (RFC 5655) or a connection (RFC 7011 10.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from scapy_ipfix.wire import IPFIX_HEADER, SET_HEADER

_VERSION = b"\x00\x0a"
_CHUNK = 1 << 16
#: Octets that it takes to say whether a message begins: its header and that of its first Set.
_RECOGNISABLE = IPFIX_HEADER.size + SET_HEADER.size


class MessageStream:
    """Cuts a stream into IPFIX Messages; :attr:`skipped` octets were none.

    Where no message can begin, the stream goes on at the next octets that look like one: a
    version, a length, and a first Set that fits into it.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._lost = False
        self.skipped = 0

    @property
    def waiting(self) -> int:
        """Octets of a message that is not whole yet."""
        return len(self._buffer)

    def feed(self, octets: bytes) -> list[bytes]:
        """Takes octets; gives the messages that are whole now."""
        buffer = self._buffer + octets if self._buffer else octets
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
                break
            else:
                messages.append(buffer[start : start + length])
                start += length
        self._buffer = buffer[start:]
        return messages

    def lose(self) -> None:
        """Octets are missing from here on: goes on where a message seems to begin."""
        self._buffer, self._lost = b"", True

    def finish(self) -> bytes:
        """What is left when the stream has ended: octets of a message that was cut off."""
        rest, self._buffer = self._buffer, b""
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


def read_messages(stream: BinaryIO, cutter: MessageStream) -> Iterator[bytes]:
    """The messages of a binary stream, one after the other; what is cut off comes last."""
    # As much as there is: a connection may be quiet for long before it has so many octets.
    read = getattr(stream, "read1", stream.read)
    while octets := read(_CHUNK):
        yield from cutter.feed(octets)
    if rest := cutter.finish():
        yield rest

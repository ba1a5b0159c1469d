# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages out of a stream of octets: an IPFIX File (RFC 5655) or a connection (RFC 7011 10.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from scapy_ipfix.wire import IPFIX_HEADER, SET_HEADER

_VERSION = b"\x00\x0a"
_CHUNK = 1 << 16


class MessageStream:
    """Cuts a stream into IPFIX Messages; :attr:`skipped` octets were none.

    Where no message can begin, the stream goes on at the next octets that look like one: a
    version, a length, and a first Set that fits into it.
    """

    def __init__(self) -> None:
        self._buffer = b""
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
            length = int.from_bytes(buffer[start + 2 : start + 4], "big")
            if buffer[start : start + 2] != _VERSION or length < IPFIX_HEADER.size:
                start = self._next(buffer, start + 1)
                continue
            if end - start < length:
                break
            messages.append(buffer[start : start + length])
            start += length
        self._buffer = buffer[start:]
        return messages

    def finish(self) -> bytes:
        """What is left when the stream has ended: octets of a message that was cut off."""
        rest, self._buffer = self._buffer, b""
        return rest

    def _next(self, buffer: bytes, start: int) -> int:
        begin = start - 1
        while True:
            at = buffer.find(_VERSION, start)
            if at < 0 or len(buffer) - at < IPFIX_HEADER.size + SET_HEADER.size:
                # Keep what may be the beginning of a header.
                at = at if at >= 0 else max(len(buffer) - 1, start)
                break
            if plausible(buffer, at):
                break
            start = at + 1
        self.skipped += at - begin
        return at


def plausible(buffer: bytes, at: int) -> bool:
    """Whether a message seems to begin there: a length, and a first Set that it holds."""
    length = int.from_bytes(buffer[at + 2 : at + 4], "big")
    if length < IPFIX_HEADER.size + SET_HEADER.size:
        return False
    set_id, set_length = SET_HEADER.unpack_from(buffer, at + IPFIX_HEADER.size)
    return bool(set_id in (2, 3) or set_id >= 256) and 4 <= set_length <= length - IPFIX_HEADER.size


def read_messages(stream: BinaryIO, cutter: MessageStream) -> Iterator[bytes]:
    """The messages of a binary stream, one after the other; what is cut off comes last."""
    while octets := stream.read(_CHUNK):
        yield from cutter.feed(octets)
    rest = cutter.finish()
    if len(rest) >= IPFIX_HEADER.size:
        yield rest

# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture files: frames of a pcap or pcapng, messages of an IPFIX File.

pcap and pcapng are parsed here, compressed with gzip or not: Scapy's readers cut frames of more
than 65535 octets and do not report a file that ends too early. :func:`plain_udp` finds the
datagram in the frames that nearly all exporters send; Scapy's layers dissect all others.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple, TypeGuard

from scapy_ipfix.wire.otherprotocols import identify_protocol

#: Upper limit for the octets of a captured packet; a longer one means a damaged file.
_LONGEST_FRAME = 1 << 18
#: Upper limit for a pcapng block: blocks without packets may be longer than a frame.
_LONGEST_BLOCK = 1 << 24
#: Upper limit for the interfaces in a pcapng section.
_INTERFACES = 65_536
#: Octets that identify the kind of a file.
_MAGIC = 4
_BUFFER = 1 << 18
#: Octets that are read at a time to find packets in.
_CHUNK = 1 << 16
#: Link type of Ethernet.
ETHERNET = 1

#: A capture to open: a path, or a file open in binary mode.
FileSource = str | os.PathLike[str] | BinaryIO

_PCAP_MAGIC = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
}
_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_PCAPNG_ORDER = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
#: Types of pcapng blocks, and options of an interface, that are needed to read packets.
_INTERFACE, _OBSOLETE_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 2, 3, 6
_RESOLUTION, _TIME_OFFSET = 9, 14
_GZIP_MAGIC = b"\x1f\x8b"


class CaptureError(ValueError):
    """A file that is not a capture; the text names its first octets."""


class Frame(NamedTuple):
    """A captured packet: capture time (seconds since 1970), link type, octets."""

    time: float
    link_type: int
    octets: bytes


#: A packet in a buffer of several: capture time, link type, the buffer, start and stop offset.
FrameSpan = tuple[float, int, bytes, int, int]


class _RawInput(io.RawIOBase):
    """Raw stream below a buffer; its first read returns at least the magic number.

    ``read_some`` reads at most a number of octets. A pipe, or a gzip file in pieces, may
    return a single octet. Closing the buffer leaves the file below open.
    """

    def __init__(self, read_some: Callable[[int], bytes | None]) -> None:
        self._read_some = read_some
        self._begun = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        octets = self._read_some(len(buffer))
        if octets is None:
            return None
        while not self._begun and 0 < len(octets) < _MAGIC:
            more = self._read_some(_MAGIC - len(octets))
            if not more:
                break
            octets += more
        self._begun = True
        buffer[: len(octets)] = octets
        return len(octets)


class _GzipInput(_RawInput):
    """Decompressed content of a gzip file, up to its end or its first defect.

    ``problem`` describes that defect; None if there is none.
    """

    def __init__(self, compressed: BinaryIO) -> None:
        super().__init__(self._decompress)
        self._file = gzip.GzipFile(fileobj=compressed)
        self.problem: str | None = None

    def _decompress(self, most: int) -> bytes:
        if self.problem is not None:
            return b""
        try:
            return self._file.read1(most)
        except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
            self.problem = f"broken gzip file: {problem}"
            return b""


class _Interface(NamedTuple):
    """A pcapng interface: link type, snapshot length, ticks per second, seconds to add."""

    link_type: int
    longest: int
    resolution: int
    offset: int


class CaptureFile:
    """An open capture: ``kind`` is "pcap" or "pcapng", "ipfix" or "v9" for messages end to end.

    ``source`` is a path, or a file open in binary mode, which stays open. Raises OSError, and
    CaptureError for a file of any other kind.
    """

    def __init__(self, source: FileSource) -> None:
        if isinstance(source, (str, os.PathLike)):
            self.name = os.fspath(source)
            raw: BinaryIO = open(source, "rb", buffering=_BUFFER)  # noqa: SIM115
            self._own = True
        else:
            self.name = str(getattr(source, "name", "stream"))
            raw, self._own = source, False
            if isinstance(source, io.TextIOBase):
                raise CaptureError(
                    f"{self.name}: opened as text; open it in binary mode: open(path, 'rb')"
                )
        self._raw = raw
        try:
            self._open(raw)
        except BaseException:
            self.close()
            raise

    def _open(self, raw: BinaryIO) -> None:
        # read() on a pipe blocks until the requested number of octets is there, read1() does not
        self.stream = _buffered(_RawInput(getattr(raw, "read1", raw.read)))
        self._gzip: _GzipInput | None = None
        if self.stream.peek(2)[:2] == _GZIP_MAGIC:
            self._gzip = _GzipInput(self.stream)
            self.stream = _buffered(self._gzip)
        magic = self.stream.peek(_MAGIC)[:_MAGIC]
        if magic in _PCAP_MAGIC:
            self.kind = "pcap"
        elif magic == _PCAPNG_MAGIC:
            self.kind = "pcapng"
        elif magic[:2] == b"\x00\x0a":
            self.kind = "ipfix"
        elif magic[:2] == b"\x00\x09":
            self.kind = "v9"
        elif not magic:
            why = self._gzip.problem if self._gzip else None
            raise CaptureError(f"{self.name}: {why or 'empty file'}")
        elif (protocol := identify_protocol(self.stream.peek(_MAGIC))) is not None:
            raise CaptureError(
                f"{self.name}: neither a capture nor messages of IPFIX or NetFlow v9: {protocol}"
            )
        else:
            raise CaptureError(
                f"{self.name}: not a capture (pcap, pcapng, IPFIX or NetFlow v9 messages): "
                f"begins with {magic.hex(' ')}"
            )

    @property
    def position(self) -> int:
        """Octets of the file that were read, to show progress."""
        try:
            return self._raw.tell()
        except (OSError, ValueError, AttributeError):
            return 0

    @property
    def size(self) -> int:
        """Octets of the file, 0 if unknown."""
        try:
            return os.fstat(self._raw.fileno()).st_size
        except (OSError, ValueError, AttributeError):
            return 0

    @property
    def cut(self) -> str | None:
        """The reason why reading ended early; None if it reached the end of the file."""
        return (self._gzip.problem if self._gzip else None) or self._cut

    _cut: str | None = None

    def frames(self) -> Iterator[Frame]:
        """Yield the packets of a pcap or pcapng.

        A truncated file ends the iteration; :attr:`cut` holds the reason afterwards.
        """
        for time, link_type, octets, start, stop in self.spans():
            yield Frame(time, link_type, octets[start:stop])

    def spans(self) -> Iterator[FrameSpan]:
        """Yield the packets as :meth:`frames` does, without copying them out of the buffer."""
        return self._pcap() if self.kind == "pcap" else self._pcapng()

    def _pcap(self) -> Iterator[FrameSpan]:
        octets = self._at_least(24, b"")
        endian, resolution = _PCAP_MAGIC[octets[:4]]
        if len(octets) < 24:
            self._cut = "file header cut off"
            return
        link_type = struct.unpack_from(endian + "I", octets, 20)[0] & 0x0FFFFFFF
        unpack = struct.Struct(endian + "IIII").unpack_from
        available, stop = len(octets), 24
        while True:
            if available - stop < 16:
                octets, stop = self._at_least(16, octets[stop:]), 0
                available = len(octets)
                if available < 16:
                    if octets:
                        self._cut = "packet header cut off"
                    return
            seconds, fraction, captured, _ = unpack(octets, stop)
            if captured > _LONGEST_FRAME:
                self._cut = f"packet length {captured} is more than {_LONGEST_FRAME}"
                return
            start = stop + 16
            stop = start + captured
            if stop > available:
                octets, start = self._at_least(captured, octets[start:]), 0
                available = len(octets)
                if available < captured:
                    self._cut = "packet cut off"
                stop = min(captured, available)
            yield seconds + fraction / resolution, link_type, octets, start, stop

    def _at_least(self, size: int, octets: bytes) -> bytes:
        """Append to ``octets`` from the file until there are ``size``, or the file ends."""
        while len(octets) < size:
            more = self.stream.read1(_CHUNK)
            if not more:
                break
            octets += more
        return octets

    def _pcapng(self) -> Iterator[FrameSpan]:
        """Yield the packets of a pcapng (draft-ietf-opsawg-pcapng 4)."""
        read, order = self.stream.read, ">"
        interfaces: list[_Interface] = []
        while header := read(8):
            body = b""
            if header[:4] == _PCAPNG_MAGIC:
                body = read(4)
                if body not in _PCAPNG_ORDER:
                    self._cut = "section header without byte-order magic"
                    return
                order, interfaces = _PCAPNG_ORDER[body], []
            if len(header) < 8:
                self._cut = "block header cut off"
                return
            kind, length = struct.unpack(order + "II", header)
            if not 12 <= length <= _LONGEST_BLOCK:
                self._cut = f"block length {length} is not valid"
                return
            missing = length + -length % 4 - 8 - len(body)
            body += read(missing)
            if kind == _INTERFACE:
                if len(interfaces) >= _INTERFACES:
                    self._cut = f"more than {_INTERFACES} interfaces"
                    return
                interfaces.append(_interface(body[: length - 12], order))
            elif kind in (_ENHANCED_PACKET, _OBSOLETE_PACKET, _SIMPLE_PACKET):
                frame = _packet_block(kind, body[: length - 12], order, interfaces)
                if frame is not None:
                    yield frame.time, frame.link_type, frame.octets, 0, len(frame.octets)
            if len(body) < length - 8:
                self._cut = "block cut off"
                return

    def close(self) -> None:
        """Close the file if it was opened here."""
        if self._own:
            self.stream.close()
            self._raw.close()

    def __enter__(self) -> CaptureFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _buffered(raw: io.RawIOBase) -> io.BufferedReader:
    return io.BufferedReader(raw, _BUFFER)


def _interface(body: bytes, order: str) -> _Interface:
    """Parse an Interface Description Block; times default to microseconds."""
    link_type, longest = struct.unpack_from(order + "HxxI", body.ljust(8, b"\0"))
    resolution, offset = 1_000_000, 0
    at = 8
    while len(body) - at >= 4:
        code, length = struct.unpack_from(order + "HH", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == _RESOLUTION and len(value) == 1:
            resolution = (2 if value[0] & 128 else 10) ** (value[0] & 127)
        elif code == _TIME_OFFSET and len(value) == 8:
            offset = int.from_bytes(value, "little" if order == "<" else "big", signed=True)
        at += 4 + length + -length % 4
    return _Interface(link_type, longest or _LONGEST_FRAME, resolution, offset)


def _packet_block(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> Frame | None:
    """Parse the packet in a block of one of three types; None if its interface is unknown."""
    start = 4 if kind == _SIMPLE_PACKET else 20
    if len(body) < start:
        return None
    number = ticks = 0
    if kind == _SIMPLE_PACKET:
        (captured,) = struct.unpack_from(order + "I", body)
    else:
        header = "IIII" if kind == _ENHANCED_PACKET else "HxxIII"
        number, high, low, captured = struct.unpack_from(order + header, body)
        ticks = high << 32 | low
    if number >= len(interfaces):
        return None
    interface = interfaces[number]
    if kind == _SIMPLE_PACKET:
        captured = min(captured, interface.longest)
    time = ticks / interface.resolution + interface.offset if ticks else 0.0
    return Frame(time, interface.link_type, body[start : start + captured])


def is_file_source(source: object) -> TypeGuard[FileSource]:
    """Return True for a path or an open file, as :class:`CaptureFile` accepts."""
    return isinstance(source, (str, Path, os.PathLike)) or hasattr(source, "read")


_IPV4 = struct.Struct("!12xHBxH2xHxB2x12sH")
_IPV6 = struct.Struct("!12xHB3xHBx36sH")


def plain_udp(frame: Frame) -> tuple[bytes, bytes] | None:
    """Return endpoints and payload of a UDP datagram in plain Ethernet, None otherwise.

    The endpoints are the octets of both addresses and both ports as in the packet. Fragments,
    truncated packets, header options, VLAN tags and tunnels give None.
    """
    _, link_type, octets = frame
    if link_type != ETHERNET or len(octets) < _IPV6.size:
        return None  # rare enough to leave to Scapy
    kind, first, total, fragment, protocol, ends, length = _IPV4.unpack_from(octets)
    if kind == 0x0800:
        if (
            first == 0x45
            and protocol == 17
            and not fragment & 0x3FFF
            and total == length + 20
            and length >= 8
            and len(octets) >= 34 + length
        ):
            return ends, octets[42 : 34 + length]
        return None
    if kind == 0x86DD:
        _, first, total, protocol, ends, length = _IPV6.unpack_from(octets)
        if (
            first >> 4 == 6
            and protocol == 17
            and total == length
            and length >= 8
            and len(octets) >= 54 + length
        ):
            return ends, octets[62 : 54 + length]
    return None

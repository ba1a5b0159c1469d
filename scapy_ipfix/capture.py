# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture files, read fast: frames of a pcap or pcapng, messages of an IPFIX File.

A plain pcap is read here, since it is most of what there is; pcapng is left to Scapy. Either
may be compressed with gzip. :func:`plain_udp` finds the datagram in the frames that nearly
all exporters send, and leaves all others to Scapy's layers.
"""

from __future__ import annotations

import gzip
import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, cast

from scapy.error import Scapy_Exception
from scapy.utils import RawPcapNgReader

#: A captured packet is at most so long; a longer one is a file gone wrong.
_LONGEST_FRAME = 1 << 18
_BUFFER = 1 << 18
_ETHERNET = 1

_PCAP_MAGIC = {
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
}
_PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"
_GZIP_MAGIC = b"\x1f\x8b"


class CaptureError(ValueError):
    """A file that is no capture; the text says what it was taken for."""


class Frame(NamedTuple):
    """A captured packet: capture time (seconds since 1970), link type, octets."""

    time: float
    link_type: int
    octets: bytes


class CaptureFile:
    """An open capture: ``kind`` is "pcap", "pcapng" or "ipfix".

    Raises OSError, and CaptureError for what is neither.
    """

    def __init__(self, source: str | os.PathLike[str] | BinaryIO) -> None:
        if isinstance(source, (str, os.PathLike)):
            self.name = os.fspath(source)
            raw: BinaryIO = open(source, "rb", buffering=_BUFFER)  # noqa: SIM115
            self._own = True
        else:
            self.name = str(getattr(source, "name", "stream"))
            raw, self._own = source, False
        self._raw = raw
        try:
            self._open(raw)
        except BaseException:
            self.close()
            raise

    def _open(self, raw: BinaryIO) -> None:
        stream = _peekable(raw)
        if stream.peek(2)[:2] == _GZIP_MAGIC:
            unpacked = gzip.GzipFile(fileobj=cast(BinaryIO, stream))
            stream = io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER)
        self.stream = stream
        try:
            magic = stream.peek(4)[:4]
        except (OSError, EOFError, zlib.error) as problem:
            raise CaptureError(f"{self.name}: broken gzip file: {problem}") from None
        if magic in _PCAP_MAGIC:
            self.kind = "pcap"
        elif magic == _PCAPNG_MAGIC:
            self.kind = "pcapng"
        elif magic[:2] == b"\x00\x0a":
            self.kind = "ipfix"
        elif not magic:
            raise CaptureError(f"{self.name}: empty file")
        else:
            raise CaptureError(
                f"{self.name}: not a capture (pcap, pcapng, IPFIX file): begins with "
                f"{magic.hex(' ')}"
            )

    @property
    def position(self) -> int:
        """How many octets of the file were read, for showing progress."""
        try:
            return self._raw.tell()
        except (OSError, ValueError):
            return 0

    @property
    def size(self) -> int:
        """Octets of the file, 0 if nobody knows."""
        try:
            return os.fstat(self._raw.fileno()).st_size
        except (OSError, ValueError, AttributeError):
            return 0

    def frames(self) -> Iterator[Frame]:
        """The packets of a pcap or pcapng; ends quietly where a file is cut off.

        :attr:`cut` says so afterwards.
        """
        frames = self._pcap() if self.kind == "pcap" else self._pcapng()
        try:
            yield from frames
        except (OSError, EOFError, zlib.error, struct.error, Scapy_Exception) as problem:
            self.cut = str(problem) or "cut off"

    #: Why reading ended before the end of the file, None if it did not.
    cut: str | None = None

    def _pcap(self) -> Iterator[Frame]:
        read = self.stream.read
        endian, resolution = _PCAP_MAGIC[read(4)]
        header = read(20)
        if len(header) < 20:
            self.cut = "file header cut off"
            return
        link_type = struct.unpack(endian + "16xI", header)[0] & 0x0FFFFFFF
        unpack = struct.Struct(endian + "IIII").unpack
        make = Frame
        while True:
            header = read(16)
            if len(header) < 16:
                if header:
                    self.cut = "packet header cut off"
                return
            seconds, fraction, captured, _ = unpack(header)
            if captured > _LONGEST_FRAME:
                self.cut = f"a packet of {captured} octets"
                return
            octets = read(captured)
            if len(octets) < captured:
                self.cut = "packet cut off"
            yield make(seconds + fraction / resolution, link_type, octets)

    def _pcapng(self) -> Iterator[Frame]:
        for octets, metadata in RawPcapNgReader(self.stream):
            ticks = ((metadata.tshigh or 0) << 32) | (metadata.tslow or 0)
            yield Frame(ticks / (metadata.tsresol or 1_000_000), metadata.linktype, octets)

    def close(self) -> None:
        """Closes the file if it was opened here."""
        if self._own:
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


def _peekable(raw: BinaryIO) -> io.BufferedReader:
    if isinstance(raw, io.BufferedReader):
        return raw
    return io.BufferedReader(cast(io.RawIOBase, raw), _BUFFER)


def is_capture_path(source: object) -> bool:
    """Whether a source is a file to open: a path, or something to read octets from."""
    return isinstance(source, (str, Path, os.PathLike)) or hasattr(source, "read")


_IPV4 = struct.Struct("!12xHBxH2xHxB2x12sH")
_IPV6 = struct.Struct("!12xHB3xHBx36sH")


def plain_udp(frame: Frame) -> tuple[bytes, bytes] | None:
    """Endpoints and payload of a UDP datagram in plain Ethernet, None for anything else.

    Endpoints are the octets of both addresses and both ports as they stand in the packet.
    What is fragmented, cut off, padded in its headers or wrapped in anything gives None.
    """
    _, link_type, octets = frame
    if link_type != _ETHERNET or len(octets) < _IPV6.size:
        return None  # too short for both headers: rare enough for Scapy
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

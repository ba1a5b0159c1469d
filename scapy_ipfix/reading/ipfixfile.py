# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX Files (RFC 5655): messages end to end, read from and written to any binary stream.

A file equals the octets of a TCP connection, so it is read with the same template state as
one, and messages are written unchanged.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import BinaryIO, cast

from scapy.packet import NoPayload, Packet
from scapy.plist import PacketList

from scapy_ipfix.layers.messages import IPFIX, Message
from scapy_ipfix.reading.capture import CaptureError, CaptureFile, FileSource
from scapy_ipfix.reading.reader import read_capture
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.framing import IPFIX_HEADER, IPFIX_VERSION, V9_VERSION

_GZIP_MAGIC = b"\x1f\x8b"


def read_ipfix(source: FileSource, *, session: IPFIXSession | None = None) -> PacketList:
    """Read the messages of an IPFIX File (RFC 5655) as packets with decoded Data Sets.

    ``source`` is a path or a binary stream, compressed with gzip or not. ``session`` keeps
    templates and ``diagnostics`` of the file. The ``time`` of a packet is its export time, in
    seconds since 1970.

    Raises OSError, and CaptureError (a ValueError) for a file that does not begin with an
    IPFIX Message; damage after that is skipped, with a diagnostic.
    """
    name = os.path.basename(str(getattr(source, "name", source)))
    return PacketList(list(iter_ipfix(source, session=session)), name=name)


def iter_ipfix(source: FileSource, *, session: IPFIXSession | None = None) -> Iterator[IPFIX]:
    """Yield the messages of an IPFIX File in constant memory; arguments as :func:`read_ipfix`.

    The file is opened by the call itself. A stream yields each message once it is complete.
    """
    capture = CaptureFile(source)
    if capture.kind != "ipfix":
        capture.close()
        raise CaptureError(
            f"{capture.name}: a {capture.kind} file, not an IPFIX File: "
            "read it with iter_records() or sniff(offline=..., session=IPFIXSession())"
        )
    return _messages(capture, session or IPFIXSession())


def _messages(capture: CaptureFile, session: IPFIXSession) -> Iterator[IPFIX]:
    for read in read_capture(capture, session):
        message = IPFIX(read.octets)
        message.context = read
        message.time = read.export_time
        yield message


_NO_MESSAGES = (
    "{number}write_ipfix takes messages, not {kind}; make them of rows with "
    "Exporter(mtu=None).export(template, rows)"
)


def write_ipfix(
    target: FileSource,
    messages: Iterable[Packet | bytes] | Packet | bytes,
    *,
    append: bool = False,
    gz: bool | None = None,
) -> int:
    """Write messages to an IPFIX File (RFC 5655) and return their number.

    ``target`` is a path or a binary stream, which stays open. ``messages`` are IPFIX packets,
    captured packets (those without IPFIX are left out), or octets of one message each; any
    iterable of these, of any length. ``append`` continues a file that ends with a complete
    message. ``gz`` selects compression with gzip; None compresses if the path ends in .gz, or
    if the file to append to is compressed.

    Raises OSError, and ValueError with the number (from 0) of a message that an IPFIX File
    cannot hold: NetFlow v9, or a length in the header that is not that of the message;
    TypeError for what is no message.
    """
    if isinstance(messages, (Packet, bytes)):
        messages = [messages]
    if isinstance(messages, (str, Mapping)):
        raise TypeError(_NO_MESSAGES.format(number="", kind=type(messages).__name__))
    written = 0
    with ExitStack() as stack:
        stream = _open(target, append, gz, stack)
        for octets in _all_octets(messages):
            stream.write(octets)
            written += 1
        stream.flush()
    return written


def _open(target: FileSource, append: bool, gz: bool | None, stack: ExitStack) -> BinaryIO:
    if not isinstance(target, (str, os.PathLike)):
        if not gz:
            return target
        return cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=target, mode="wb")))
    if gz is None:
        gz = os.fspath(target).endswith(".gz")
        if append and os.path.exists(target) and os.path.getsize(target):
            with open(target, "rb") as existing:
                gz = existing.read(2) == _GZIP_MAGIC
    mode = "ab" if append else "wb"
    opened = gzip.open(target, mode) if gz else open(target, mode)  # noqa: SIM115
    return cast(BinaryIO, stack.enter_context(opened))


def _all_octets(messages: Iterable[Packet | bytes]) -> Iterator[bytes]:
    for number, each in enumerate(messages):
        if not isinstance(each, (bytes, bytearray, Packet)):
            kind = type(each).__name__
            raise TypeError(_NO_MESSAGES.format(number=f"message {number}: ", kind=kind))
        found = [bytes(each)] if isinstance(each, (bytes, bytearray)) else _octets_in(each)
        for octets in found:
            _check(octets, number)
            yield octets


def _octets_in(packet: Packet) -> Iterator[bytes]:
    """Yield the octets of each message in a packet, without the layers above it."""
    layer = packet
    while not isinstance(layer, NoPayload):
        following = layer.payload
        if isinstance(layer, Message):
            if following:
                layer = layer.copy()
                layer.remove_payload()
            yield bytes(layer)
        layer = following


def _check(octets: bytes, number: int) -> None:
    version = int.from_bytes(octets[:2], "big")
    if version != IPFIX_VERSION:
        found = "NetFlow v9" if version == V9_VERSION else f"version {version}"
        raise ValueError(f"message {number}: {found}, an IPFIX File holds IPFIX Messages only")
    length = int.from_bytes(octets[2:4], "big")
    if len(octets) < IPFIX_HEADER.size or length != len(octets):
        raise ValueError(
            f"message {number}: {len(octets)} octets, its header says {length}: "
            "correct the length, or set it to None in the packet"
        )

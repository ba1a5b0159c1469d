# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX Files (RFC 5655): messages, one after the other, to and from any binary stream.

A file is what a Collecting Process could have been sent over a connection, so it is read with
the same template state, and written without a change to what it is given.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import BinaryIO, cast

from scapy.packet import NoPayload, Packet
from scapy.plist import PacketList

from scapy_ipfix.layers.messages import IPFIX, Message
from scapy_ipfix.reading.capture import CaptureError, CaptureFile
from scapy_ipfix.reading.reader import read_capture
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.framing import IPFIX_HEADER, IPFIX_VERSION, V9_VERSION

#: Where a file is: a path, or a binary stream that is open.
Place = str | os.PathLike[str] | BinaryIO
_GZIP_MAGIC = b"\x1f\x8b"


def read_ipfix(source: Place, *, session: IPFIXSession | None = None) -> PacketList:
    """The messages of an IPFIX File, as packets whose Data Sets have their templates.

    ``source`` is a path or a binary stream, compressed with gzip or not. ``session`` keeps
    what is learned: its ``diagnostics`` say what was wrong in the file. A packet's ``time``
    is its export time.

    Raises OSError, and CaptureError (a ValueError) for what is no IPFIX File; damage further
    on is skipped.
    """
    name = os.path.basename(str(getattr(source, "name", source)))
    return PacketList(list(iter_ipfix(source, session=session)), name=name)


def iter_ipfix(source: Place, *, session: IPFIXSession | None = None) -> Iterator[IPFIX]:
    """The messages of an IPFIX File one by one, in constant memory; as :func:`read_ipfix`.

    The file is opened at once. From a stream, messages come as soon as they are whole.
    """
    capture = CaptureFile(source)
    if capture.kind != "ipfix":
        capture.close()
        raise CaptureError(f"{capture.name}: a {capture.kind} file, not an IPFIX File")
    return _messages(capture, session or IPFIXSession())


def _messages(capture: CaptureFile, session: IPFIXSession) -> Iterator[IPFIX]:
    for read in read_capture(capture, session):
        message = IPFIX(read.octets)
        message.context = read
        message.time = read.exported
        yield message


def write_ipfix(
    place: Place,
    messages: Iterable[Packet | bytes] | Packet | bytes,
    *,
    append: bool = False,
    gz: bool | None = None,
) -> int:
    """Writes messages to an IPFIX File; gives their number.

    ``place`` is a path or a binary stream, which stays open. ``messages`` are IPFIX packets,
    packets that have such in them (of a capture: the others are left out), or the octets of
    one message each; an iterator of any length will do. ``append`` goes on at the end of a
    file, which must end with a whole message. ``gz`` compresses; None does when the path
    ends in .gz, or when what is appended to is compressed.

    Raises ValueError with the number of a message (from 0) that an IPFIX File cannot hold:
    of NetFlow v9, or with a wrong length in its header. Raises OSError.
    """
    if isinstance(messages, (Packet, bytes)):
        messages = [messages]
    written = 0
    with ExitStack() as stack:
        stream = _opened(place, append, gz, stack)
        for octets in _all_octets(messages):
            stream.write(octets)
            written += 1
        stream.flush()
    return written


def _opened(place: Place, append: bool, gz: bool | None, stack: ExitStack) -> BinaryIO:
    if not isinstance(place, (str, os.PathLike)):
        if not gz:
            return place
        return cast(BinaryIO, stack.enter_context(gzip.GzipFile(fileobj=place, mode="wb")))
    if gz is None:
        gz = os.fspath(place).endswith(".gz")
        if append and os.path.exists(place) and os.path.getsize(place):
            with open(place, "rb") as existing:
                gz = existing.read(2) == _GZIP_MAGIC
    mode = "ab" if append else "wb"
    opened = gzip.open(place, mode) if gz else open(place, mode)  # noqa: SIM115
    return cast(BinaryIO, stack.enter_context(opened))


def _all_octets(messages: Iterable[Packet | bytes]) -> Iterator[bytes]:
    for number, each in enumerate(messages):
        found = [bytes(each)] if isinstance(each, (bytes, bytearray)) else _octets_in(each)
        for octets in found:
            _check(octets, number)
            yield octets


def _octets_in(packet: Packet) -> Iterator[bytes]:
    """The octets of each message in a packet, without what follows it."""
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
        what = "NetFlow v9" if version == V9_VERSION else f"version {version}"
        raise ValueError(f"message {number}: {what}, an IPFIX File holds IPFIX Messages")
    length = int.from_bytes(octets[2:4], "big")
    if len(octets) < IPFIX_HEADER.size or length != len(octets):
        raise ValueError(
            f"message {number}: {len(octets)} octets, its header says {length}: "
            "nobody could read what comes after it"
        )

# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames of messages: UDP datagrams, TCP segments, SCTP chunks; and captures of them.

The octets are made without Scapy, which is too slow for mutants.
"""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterable, Sequence

from scapy.layers.l2 import Ether
from scapy.packet import Packet

_ETHERNET = bytes.fromhex("020000000002020000000001")
IPFIX_PORT, OTHER_PORT = 4739, 9555
TIME = 1_700_000_000.0
_PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)
#: Octets of the longest message in a datagram.
DATAGRAM = 65535 - 28
_CHUNK = 16


def ipv4(protocol: int, payload: bytes, source: int = 0xC0000201) -> bytes:
    """Return an Ethernet frame with IPv4 from 192.0.2.1 (or ``source``) to 192.0.2.2."""
    length = 20 + len(payload)
    header = struct.pack("!BBHHHBBHII", 0x45, 0, length, 0, 0, 64, protocol, 0, source, 0xC0000202)
    return _ETHERNET + b"\x08\x00" + header + payload


def ipv6(protocol: int, payload: bytes) -> bytes:
    """Return an Ethernet frame with IPv6 from 2001:db8::1 to 2001:db8::2."""
    ends = bytes.fromhex("20010db8" + "00" * 11 + "01" + "20010db8" + "00" * 11 + "02")
    header = struct.pack("!IHBB", 6 << 28, len(payload), protocol, 64)
    return _ETHERNET + b"\x86\xdd" + header + ends + payload


def udp(
    message: bytes, port: int = IPFIX_PORT, source_port: int = 40000, *, six: bool = False
) -> bytes:
    """Return a frame with a message in a UDP datagram."""
    payload = struct.pack("!HHHH", source_port, port, 8 + len(message), 0) + message
    return ipv6(17, payload) if six else ipv4(17, payload)


def tcp(
    sequence: int,
    data: bytes,
    flags: int = 0x18,
    *,
    source_port: int = 40000,
    acknowledged: int = 0,
) -> bytes:
    """Return a frame with a TCP segment; ``flags`` are PSH and ACK by default."""
    header = struct.pack(
        "!HHIIBBHHH",
        *(source_port, IPFIX_PORT, sequence & 0xFFFFFFFF, acknowledged),
        *(5 << 4, flags, 65535, 0, 0),
    )
    return ipv4(6, header + data)


def segments(messages: Iterable[bytes], rng: random.Random) -> list[bytes]:
    """Return messages as a TCP stream cut at random, with late and repeated segments."""
    stream = b"".join(messages)
    start = rng.choice((0, 1, 0xFFFFFF00))
    cuts = sorted(rng.randrange(len(stream) + 1) for _ in range(rng.randint(0, 5)))
    frames = [
        tcp(start + begin, stream[begin:end])
        for begin, end in zip([0, *cuts], [*cuts, len(stream)])
        if end > begin
    ]
    if len(frames) > 2 and rng.random() < 0.3:
        at = rng.randrange(1, len(frames) - 1)
        frames[at], frames[at + 1] = frames[at + 1], frames[at]
    if frames and rng.random() < 0.3:
        at = rng.randrange(len(frames))
        frames.insert(at + 1, frames[at])
    return frames


def chunks(messages: Iterable[bytes], rng: random.Random) -> list[bytes]:
    """Return messages as SCTP user messages, some of them fragmented (RFC 9260 3.3.1)."""
    frames = []
    number = rng.choice((0, 0xFFFFFFFE))
    for order, message in enumerate(messages):
        cuts = [0, len(message)]
        if len(message) > 4 and rng.random() < 0.4:
            cuts[1:1] = sorted(rng.sample(range(1, len(message)), 2))
        for at, (begin, end) in enumerate(zip(cuts, cuts[1:])):
            flags = (2 if at == 0 else 0) | (1 if end == len(message) else 0)
            data = message[begin:end]
            chunk = struct.pack(
                "!BBHIHHI", 0, flags, _CHUNK + len(data), number & 0xFFFFFFFF, 0, order, 0
            )
            number += 1
            packet = struct.pack("!HHII", 40000, IPFIX_PORT, 1, 0) + chunk + data
            frames.append(ipv4(132, packet + bytes(-len(data) % 4)))
    return frames


def packets(frames: Sequence[bytes]) -> list[Packet]:
    """Return the frames as Scapy packets, a second apart."""
    made = []
    for second, frame in enumerate(frames):
        packet = Ether(frame)
        packet.time = TIME + second
        made.append(packet)
    return made


def pcap(frames: Sequence[bytes]) -> io.BytesIO:
    """Return a capture of the frames, a second apart."""
    parts = [_PCAP_HEADER]
    for second, frame in enumerate(frames):
        parts.append(struct.pack("<IIII", int(TIME) + second, 0, len(frame), len(frame)))
        parts.append(frame)
    return io.BytesIO(b"".join(parts))

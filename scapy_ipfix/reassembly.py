# SPDX-License-Identifier: GPL-2.0-or-later
"""IP datagrams out of their fragments (RFC 791 3.2), bounded in memory.

Scapy's own IPSession does this too, keeps every fragment for ever, and drops a datagram that
it cannot put together; exporters that fill their datagrams make fragments all day.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from scapy.layers.inet import IP
from scapy.packet import NoPayload, Packet


class Pieces:
    """The fragments of one datagram so far."""

    __slots__ = ("octets", "pieces", "size")

    def __init__(self) -> None:
        self.pieces: dict[int, bytes] = {}
        self.octets = 0
        self.size: int | None = None

    def add(self, offset: int, data: bytes, more: bool) -> int:
        """Takes a fragment; the octets that it added are what it costs to keep it."""
        if not more:
            self.size = offset + len(data)
        known = self.pieces.get(offset)
        if known is not None and len(known) >= len(data):
            return 0
        self.pieces[offset] = data
        added = len(data) - (len(known) if known else 0)
        self.octets += added
        return added

    def whole(self) -> bytes | None:
        """The datagram's payload when nothing of it is missing; of overlaps the first stays."""
        if self.size is None or self.octets < self.size:
            return None
        octets = b""
        for offset in sorted(self.pieces):
            data = self.pieces[offset]
            if offset > len(octets):
                return None
            octets += data[len(octets) - offset :]
        return octets[: self.size] if len(octets) >= self.size else None


class Fragments:
    """Datagrams that are not whole yet; beyond ``limit`` octets the oldest are dropped."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.octets = 0
        self.dropped = 0
        self._datagrams: OrderedDict[Hashable, Pieces] = OrderedDict()

    def add(self, key: Hashable, offset: int, data: bytes, more: bool) -> bytes | None:
        """Takes a fragment; gives the payload of the datagram that it completes."""
        pieces = self._datagrams.setdefault(key, Pieces())
        self.octets += pieces.add(offset, data, more)
        whole = pieces.whole()
        if whole is not None:
            self.octets -= pieces.octets
            del self._datagrams[key]
            return whole
        while self.octets > self.limit and self._datagrams:
            _, oldest = self._datagrams.popitem(last=False)
            self.octets -= oldest.octets
            self.dropped += oldest.octets
        return None

    def take(self, pkt: Packet, ip: Packet) -> Packet | None:
        """Takes a packet with an IPv4 fragment; gives the packet with the whole datagram.

        The whole stands under the lower layers, and at the time, of the last fragment.
        """
        header = 4 * (ip.ihl or 5)
        octets = ip.original[header : ip.len] if ip.original else bytes(ip.payload)
        key = ip.src, ip.dst, ip.id, ip.proto
        whole = self.add(key, 8 * ip.frag, octets, bool(ip.flags.MF))
        if whole is None:
            return None
        datagram = ip.copy()
        datagram.remove_payload()
        datagram.flags.MF = 0
        datagram.frag, datagram.len, datagram.chksum = 0, None, None
        datagram = IP(bytes(datagram / whole))
        datagram.time = pkt.time
        if ip.underlayer is None:
            return datagram
        top = pkt.copy()
        lower = top
        while not isinstance(lower.payload, (IP, NoPayload)):
            lower = lower.payload
        lower.remove_payload()
        lower.add_payload(datagram)
        return top

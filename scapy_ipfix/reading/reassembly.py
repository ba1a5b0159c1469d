# SPDX-License-Identifier: GPL-2.0-or-later
"""IP datagrams out of their fragments (RFC 791 3.2, RFC 8200 4.5), bounded in memory.

Scapy's own IPSession does this too, keeps every fragment for ever, and drops a datagram that
it cannot put together; exporters that fill their datagrams make fragments all day.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from heapq import heappop, heappush

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import NoPayload, Packet
from scapy.utils import checksum

#: What a fragment costs to keep beside its octets, about.
_OVERHEAD = 300
#: Octets of the longest IP datagram, its header included, and of the shortest IPv4 header.
_LONGEST = 65535
_SHORTEST_HEADER = 20
#: What an octet of flags keeps that is neither "more fragments" nor offset.
_NOT_FRAGMENT = 0xC0


class Pieces:
    """The fragments of one datagram so far."""

    __slots__ = ("_ahead", "_front", "octets", "pieces", "size")

    def __init__(self) -> None:
        self.pieces: dict[int, bytes] = {}
        self.octets = 0
        self.size: int | None = None
        #: Octets that are there without a gap, and a heap of the offsets of pieces behind it.
        self._front = 0
        self._ahead: list[int] = []

    @property
    def cost(self) -> int:
        """Octets of memory that the fragments take, about."""
        return self.octets + _OVERHEAD * len(self.pieces)

    def add(self, offset: int, data: bytes, more: bool) -> None:
        """Takes a fragment; of two at the same offset the longer one stays."""
        if not more:
            self.size = offset + len(data)
        known = self.pieces.get(offset)
        if known is not None:
            if len(known) >= len(data):
                return
            self.octets -= len(known)
        elif offset > self._front:
            heappush(self._ahead, offset)
        self.pieces[offset] = data
        self.octets += len(data)
        if offset <= self._front:
            self._advance(offset + len(data))

    def _advance(self, stop: int) -> None:
        """A piece at the front, or before it, reaches up to there."""
        self._front = max(self._front, stop)
        while self._ahead and self._ahead[0] <= self._front:
            offset = heappop(self._ahead)
            self._front = max(self._front, offset + len(self.pieces[offset]))

    def whole(self) -> bytes | None:
        """The datagram's payload when nothing of it is missing; of overlaps the first stays."""
        if self.size is None or self._front < self.size:
            return None
        octets = bytearray()
        for offset in sorted(self.pieces):
            if offset > len(octets):
                break
            octets += self.pieces[offset][len(octets) - offset :]
        del octets[self.size :]
        return bytes(octets)


class Fragments:
    """Datagrams that are not whole yet; beyond ``limit`` octets the oldest are dropped.

    ``octets`` is what they cost to keep, ``dropped`` counts octets that were in fragments
    and went nowhere.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.octets = 0
        self.dropped = 0
        self._datagrams: OrderedDict[Hashable, Pieces] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Octets of fragments that wait for others."""
        return sum(each.octets for each in self._datagrams.values())

    def add(self, key: Hashable, offset: int, data: bytes, more: bool) -> bytes | None:
        """Takes a fragment; gives the payload of the datagram that it completes."""
        pieces = self._datagrams.setdefault(key, Pieces())
        before = pieces.cost
        pieces.add(offset, data, more)
        self.octets += pieces.cost - before
        whole = pieces.whole()
        if whole is not None:
            self.octets -= pieces.cost
            del self._datagrams[key]
            return whole
        while self.octets > self.limit and self._datagrams:
            _, oldest = self._datagrams.popitem(last=False)
            self.octets -= oldest.cost
            self.dropped += oldest.octets
        return None

    def take(self, pkt: Packet, ip: Packet) -> Packet | None:
        """Takes a packet with an IPv4 fragment; gives the packet with the whole datagram.

        The whole stands under the lower layers, and at the time, of the last fragment.
        """
        octets = ip.original or bytes(ip)
        header = max(4 * (octets[0] & 15), _SHORTEST_HEADER)
        data = octets[header : ip.len or None]
        if header + 8 * ip.frag + len(data) > _LONGEST:
            self.dropped += len(data)  # no datagram is so long: an attack, or a broken packet
            return None
        key = ip.src, ip.dst, ip.id, ip.proto
        whole = self.add(key, 8 * ip.frag, data, bool(ip.flags.MF))
        if whole is None:
            return None
        if header + len(whole) > _LONGEST:  # this fragment has more options than the others
            self.dropped += len(whole)
            return None
        return _placed(pkt, ip, IP(_unfragmented(octets[:header], len(whole)) + whole))

    def take_ipv6(self, pkt: Packet, fragment: Packet) -> Packet | None:
        """Takes a packet with an IPv6 fragment (RFC 8200 4.5), as :meth:`take` does."""
        ip = fragment.underlayer
        while ip is not None and ip.__class__ is not IPv6:
            ip = ip.underlayer
        if ip is None:
            return pkt
        octets = fragment.original[8:] if fragment.original else bytes(fragment.payload)
        if 8 * fragment.offset + len(octets) > _LONGEST:
            self.dropped += len(octets)
            return None
        key = ip.src, ip.dst, fragment.id
        whole = self.add(key, 8 * fragment.offset, octets, bool(fragment.m))
        if whole is None:
            return None
        datagram = ip.copy()
        datagram.remove_payload()
        datagram.plen, datagram.nh = None, fragment.nh
        return _placed(pkt, ip, IPv6(bytes(datagram / whole)))


def _unfragmented(header: bytes, size: int) -> bytes:
    """An IPv4 header for a whole datagram with a payload of ``size`` octets."""
    made = bytearray(header)
    made[2:4] = (len(header) + size).to_bytes(2, "big")
    made[6:8] = bytes((made[6] & _NOT_FRAGMENT, 0))
    made[10:12] = bytes(2)
    made[10:12] = checksum(bytes(made)).to_bytes(2, "big")
    return bytes(made)


def _placed(pkt: Packet, ip: Packet, datagram: Packet) -> Packet:
    """A whole datagram under the lower layers of the packet that brought its last piece."""
    datagram.time = pkt.time
    if ip.underlayer is None:
        return datagram
    top = pkt.copy()
    lower = top
    while not isinstance(lower.payload, (ip.__class__, NoPayload)):
        lower = lower.payload
    lower.remove_payload()
    lower.add_payload(datagram)
    return top

# SPDX-License-Identifier: GPL-2.0-or-later
"""Reassembly of IP fragments (RFC 791 3.2, RFC 8200 4.5), bounded in memory.

Scapy's IPSession keeps every fragment of IPv4 for ever and drops a datagram that it cannot
reassemble. Exporters whose messages exceed the MTU send fragments all the time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.packet import NoPayload, Packet
from scapy.utils import checksum

#: Approximate memory of a kept fragment beside its octets.
_OVERHEAD = 300
#: Octets of the longest IP datagram, header included, and of the shortest IPv4 header.
_LONGEST = 65535
_SHORTEST_HEADER = 20
#: Seconds without a fragment, after which one is missing (RFC 1122 3.3.2, RFC 8200 4.5).
_TIMEOUT = 60.0
#: Mask of the flags octet without "more fragments" and the fragment offset.
_NOT_FRAGMENT = 0xC0


class DatagramKey(NamedTuple):
    """Identity of an IP datagram; ``protocol`` is that of its payload, 0 in IPv6."""

    source: str
    destination: str
    id: int
    protocol: int = 0


class PartialDatagram:
    """The fragments of one datagram that have arrived so far.

    ``time`` is the capture time of the last one to arrive. ``is_noted`` is True once the
    others were reported missing.
    """

    __slots__ = (
        *("_beyond_gap", "_contiguous", "fragments", "is_noted", "key", "octets", "protocol"),
        *("size", "time"),
    )

    def __init__(self, key: DatagramKey, protocol: int) -> None:
        self.key = key
        #: Protocol of the payload, as the first fragment to arrive says.
        self.protocol = protocol
        self.time = 0.0
        self.is_noted = False
        self.fragments: dict[int, bytes] = {}
        self.octets = 0
        self.size: int | None = None
        #: Octets from the start without a gap, and a heap of the fragment offsets after the gap.
        self._contiguous = 0
        self._beyond_gap: list[int] = []

    @property
    def cost(self) -> int:
        """Approximate octets of memory that the fragments occupy."""
        return self.octets + _OVERHEAD * len(self.fragments)

    def add(self, offset: int, data: bytes, more: bool) -> None:
        """Add a fragment; of two at the same offset the longer one is kept."""
        if not more:
            self.size = offset + len(data)
        known = self.fragments.get(offset)
        if known is not None:
            if len(known) >= len(data):
                return
            self.octets -= len(known)
        elif offset > self._contiguous:
            heappush(self._beyond_gap, offset)
        self.fragments[offset] = data
        self.octets += len(data)
        if offset <= self._contiguous:
            self._advance(offset + len(data))

    def _advance(self, stop: int) -> None:
        """Extend the contiguous octets to ``stop``, and over fragments that then adjoin."""
        self._contiguous = max(self._contiguous, stop)
        while self._beyond_gap and self._beyond_gap[0] <= self._contiguous:
            offset = heappop(self._beyond_gap)
            self._contiguous = max(self._contiguous, offset + len(self.fragments[offset]))

    def whole(self) -> bytes | None:
        """Return the payload, None while octets are missing; of overlaps the first is kept."""
        if self.size is None or self._contiguous < self.size:
            return None
        octets = bytearray()
        for offset in sorted(self.fragments):
            if offset > len(octets):
                break
            octets += self.fragments[offset][len(octets) - offset :]
        del octets[self.size :]
        return bytes(octets)


class Fragments:
    """Datagrams that are incomplete; beyond ``limit`` octets of memory the oldest are dropped.

    ``octets`` is the memory that they occupy, ``dropped`` counts octets of fragments that
    were discarded. Datagrams whose fragments do not arrive in time go to ``expired``.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.octets = 0
        self.dropped = 0
        self.expired: list[PartialDatagram] = []
        self._datagrams: OrderedDict[DatagramKey, PartialDatagram] = OrderedDict()

    def __iter__(self) -> Iterator[PartialDatagram]:
        return iter(self._datagrams.values())

    def add(
        self,
        key: DatagramKey,
        offset: int,
        data: bytes,
        more: bool,
        protocol: int = 0,
        time: float = 0.0,
    ) -> bytes | None:
        """Add a fragment; return the payload of the datagram if this completes it.

        ``protocol`` is that of the payload, ``time`` the capture time in seconds.
        """
        self._expire(time - _TIMEOUT)
        partial = self._datagrams.get(key)
        if partial is None:
            partial = self._datagrams[key] = PartialDatagram(key, protocol)
        partial.time = time
        self._datagrams.move_to_end(key)
        before = partial.cost
        partial.add(offset, data, more)
        self.octets += partial.cost - before
        whole = partial.whole()
        if whole is not None:
            self.octets -= partial.cost
            del self._datagrams[key]
            return whole
        while self.octets > self.limit and self._datagrams:
            _, oldest = self._datagrams.popitem(last=False)
            self.octets -= oldest.cost
            self.dropped += oldest.octets
        return None

    def _expire(self, before: float) -> None:
        """Remove datagrams of which no fragment arrived since a time."""
        while self._datagrams:
            oldest = next(iter(self._datagrams.values()))
            if oldest.time >= before:
                break
            del self._datagrams[oldest.key]
            self.octets -= oldest.cost
            self.expired.append(oldest)

    def add_ipv4(self, pkt: Packet, ip: Packet) -> Packet | None:
        """Add a packet with an IPv4 fragment; return the packet with the whole datagram.

        That packet has the lower layers, and the time, of the last fragment.
        """
        octets = ip.original or bytes(ip)
        header = max(4 * (octets[0] & 15), _SHORTEST_HEADER)
        data = octets[header : ip.len or None]
        if header + 8 * ip.frag + len(data) > _LONGEST:
            self.dropped += len(data)  # longer than any datagram: an attack, or a damaged packet
            return None
        key = DatagramKey(ip.src, ip.dst, ip.id, ip.proto)
        time = float(pkt.time)
        whole = self.add(key, 8 * ip.frag, data, bool(ip.flags.MF), ip.proto, time)
        if whole is None:
            return None
        if header + len(whole) > _LONGEST:  # this fragment has more options than the others
            self.dropped += len(whole)
            return None
        return _replace_ip(pkt, ip, IP(_unfragmented(octets[:header], len(whole)) + whole))

    def add_ipv6(self, pkt: Packet, fragment: Packet) -> Packet | None:
        """Add a packet with an IPv6 fragment (RFC 8200 4.5), as :meth:`add_ipv4` does."""
        ip = fragment.underlayer
        while ip is not None and ip.__class__ is not IPv6:
            ip = ip.underlayer
        if ip is None:
            return pkt
        octets = fragment.original[8:] if fragment.original else bytes(fragment.payload)
        if 8 * fragment.offset + len(octets) > _LONGEST:
            self.dropped += len(octets)
            return None
        key = DatagramKey(ip.src, ip.dst, fragment.id)
        more, time = bool(fragment.m), float(pkt.time)
        whole = self.add(key, 8 * fragment.offset, octets, more, fragment.nh, time)
        if whole is None:
            return None
        datagram = ip.copy()
        datagram.remove_payload()
        datagram.plen, datagram.nh = None, fragment.nh
        return _replace_ip(pkt, ip, IPv6(bytes(datagram / whole)))


def _unfragmented(header: bytes, size: int) -> bytes:
    """Return the IPv4 header of a whole datagram with a payload of ``size`` octets."""
    whole = bytearray(header)
    whole[2:4] = (len(header) + size).to_bytes(2, "big")
    whole[6:8] = bytes((whole[6] & _NOT_FRAGMENT, 0))
    whole[10:12] = bytes(2)
    whole[10:12] = checksum(bytes(whole)).to_bytes(2, "big")
    return bytes(whole)


def _replace_ip(pkt: Packet, ip: Packet, datagram: Packet) -> Packet:
    """Return the packet with a whole datagram instead of its last fragment ``ip``."""
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

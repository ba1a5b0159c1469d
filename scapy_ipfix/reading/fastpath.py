# SPDX-License-Identifier: GPL-2.0-or-later
"""Fast path for plain datagrams: Ethernet, IPv4, UDP and one IPFIX Message with one Data Set.

Busy exporters send little else. The template is known and gives all records the same length, so
all headers are read at once and the message is counted by the routine of
:meth:`~scapy_ipfix.collector.collector.Collector.read`, in a third of the time. All other
packets are left to that.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.sequence import Counts
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.wire.framing import IPFIX_HEADER, IPFIX_VERSION, MINIMUM_DATA_SET, SET_HEADER

#: Headers of Ethernet, IPv4, UDP, the IPFIX Message and the Set, unused octets skipped.
_HEADERS = struct.Struct("!12x3sxH2xHxB2x12sH2x HHIII HH")
#: EtherType of IPv4, and the first octet of an IPv4 header without options.
_IPV4 = b"\x08\x00\x45"
_unpack = _HEADERS.unpack_from
_SHORTEST = _HEADERS.size
_PAYLOAD = 42
_BEFORE_SET = IPFIX_HEADER.size
_BEFORE_RECORDS = SET_HEADER.size


class FastPathReader:
    """Reader of plain messages into a collector.

    ``transports`` are the Transport Sessions by endpoints: the octets of both addresses and
    both ports as in a packet. The caller may add to them.
    """

    def __init__(self, collector: Collector, transports: Mapping[bytes, TransportKey]) -> None:
        self._find_domain = collector.domains.find
        self._transports = transports
        # These settings need more of a Data Set than its offsets.
        self._is_off = collector.template_timeout is not None or collector.check_values

    def read(self, octets: bytes, start: int, stop: int, packet: int) -> CollectedSet | None:
        """Read the Ethernet frame between two offsets; None, without effect, if it is not plain.

        ``packet`` is its number in diagnostics, from 1.
        """
        if self._is_off or stop - start < _SHORTEST:
            return None
        network, total, fragment, protocol, endpoints, datagram, *message = _unpack(octets, start)
        version, length, exported, number, domain_id, set_id, set_length = message
        if (
            network != _IPV4
            or protocol != 17
            or fragment & 0x3FFF
            or total != datagram + 20
            or datagram != length + 8
            or start + _PAYLOAD + length > stop
            or version != IPFIX_VERSION
            or set_length != length - _BEFORE_SET
            or set_id < MINIMUM_DATA_SET
        ):
            return None
        transport = self._transports.get(endpoints)
        if transport is None:
            return None
        domain = self._find_domain(transport, version, domain_id)
        if domain is None:
            return None
        template = domain.templates.find_current(set_id)
        if template is None or not template.plain_length or domain.stats.first_export is None:
            return None
        records, rest = divmod(set_length - _BEFORE_RECORDS, template.plain_length)
        at = start + _PAYLOAD + _BEFORE_SET
        end = at + set_length
        if not records or (rest and octets.count(0, end - rest, end) != rest):
            return None
        domain.count_message(Counts(number, records, records, exported), length, records, packet)
        header = exported, None, packet
        return CollectedSet(domain, 0, set_id, octets, at, end, template, header)

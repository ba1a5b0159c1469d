# SPDX-License-Identifier: GPL-2.0-or-later
"""The plain case, read where it lies: a datagram with nothing but records of one length.

A busy exporter sends little else: Ethernet, IPv4 and UDP around one IPFIX Message with one
Data Set, of a template that is known and gives all records the same length. Its headers are
read at once, and the collector remembers of it what :meth:`Collector.read` remembers, in a
third of the time. Any other packet is left to that.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.sequence import Counts
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.wire.framing import IPFIX_HEADER, IPFIX_VERSION, MINIMUM_DATA_SET, SET_HEADER

#: Ethernet, IPv4 and UDP; an IPFIX Message; a Set. What is not looked at is skipped.
_HEADERS = struct.Struct("!12x3sxH2xHxB2x12sH2x HHIII HH")
#: IPv4, by its type in Ethernet, and a header of its own that has no options.
_IPV4 = b"\x08\x00\x45"
_unpack = _HEADERS.unpack_from
_SHORTEST = _HEADERS.size
_PAYLOAD = 42
_BEFORE_SET = IPFIX_HEADER.size
_BEFORE_RECORDS = SET_HEADER.size


class FastPathReader:
    """Reads plain messages into a collector.

    ``transports`` are the transport sessions by endpoints: the octets of both addresses and
    both ports as they stand in a packet. Whoever has them may add to them.
    """

    def __init__(self, collector: Collector, transports: Mapping[bytes, TransportKey]) -> None:
        self._find_domain = collector.domains.find
        self._transports = transports
        # These want to see more of a Data Set than where it is.
        self._is_off = collector.template_timeout is not None or collector.check_values

    def read(
        self, octets: bytes, start: int, stop: int, time: float, packet: int
    ) -> CollectedSet | None:
        """Reads the Ethernet frame between two offsets; None, and nothing done, if it is not plain.

        ``time`` and ``packet`` are as in :meth:`Collector.read`.
        """
        if self._is_off or stop - start < _SHORTEST:
            return None
        (
            network,
            total,
            fragment,
            protocol,
            ends,
            datagram,
            version,
            length,
            exported,
            number,
            domain_id,
            set_id,
            set_length,
        ) = _unpack(octets, start)
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
        transport = self._transports.get(ends)
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
        return CollectedSet(domain, 0, set_id, octets, at, end, template)

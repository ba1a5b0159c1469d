# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages in packets of TCP connections and SCTP associations.

Which octets are whole messages is for :mod:`scapy_ipfix.transports` to say; here they come
out of Scapy's layers, and the messages go back into the packet that completes them: as the
payload of TCP, one behind the other, as the data of an SCTP chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scapy.layers.sctp import SCTPChunkAbort, SCTPChunkData, SCTPChunkInit
from scapy.packet import Packet

from scapy_ipfix.collector import Collector
from scapy_ipfix.domain import TransportKey
from scapy_ipfix.lazy import raw
from scapy_ipfix.messages import IPFIX, Message
from scapy_ipfix.ports import PORTS
from scapy_ipfix.stream import plausible
from scapy_ipfix.transports import Chunk, Connections, SCTPStreams, TCPStream

#: Messages that one packet shows; more may complete at once, and are read all the same.
_SHOWN = 50
_SHORTEST = 20

Found = tuple[TransportKey, Message, int]


class StreamReader:
    """Keeps what is under way in connections, and finds the messages in their packets."""

    def __init__(self, collector: Collector, note: Callable[..., None], any_port: bool) -> None:
        limits = collector.limits
        self._collector = collector
        self._note = note
        self._any_port = any_port
        self._tcp = Connections(TCPStream, limits.transports, limits.fragment_octets)
        self._sctp = Connections(SCTPStreams, limits.transports, limits.fragment_octets)

    def tcp(self, key: TransportKey, segment: Packet) -> Iterator[Found]:
        """The messages that a TCP segment completes, each in the packet as well."""
        flags = int(segment.flags)
        syn, ends, reset = flags & 2, flags & 1, flags & 4
        if syn and key in self._tcp:
            self._end(key)
        data = _octets(segment)
        if self._is_ours(key, data) and (data or syn):
            stream = self._tcp.get(key)
            lost, skipped = stream.lost, stream.skipped
            messages = stream.take(segment.seq, data, bool(syn))
            self._tcp.settle(key)
            if stream.lost > lost:
                self._note("stream-gap", str(key), octets=stream.lost - lost)
            if stream.skipped > skipped:
                self._note("stream-resync", str(key), octets=stream.skipped - skipped)
            packets = [IPFIX(octets) for octets in messages]
            if data:
                _put_payload(segment, data, packets)
            for packet in packets:
                yield key, packet, 0
        if ends or reset:
            self._end(key)
        if reset:
            self._end(_back(key))

    def _is_ours(self, key: TransportKey, data: bytes) -> bool:
        ports = PORTS["tcp"]
        if key.source_port in ports or key.destination_port in ports or key in self._tcp:
            return True
        return (
            self._any_port
            and data[:2] == b"\x00\x0a"
            and len(data) >= _SHORTEST
            and plausible(data, 0)
        )

    def _end(self, key: TransportKey) -> None:
        """The connection ended, and its templates with it (RFC 7011 8.1)."""
        if key in self._tcp:
            self._tcp.end(key)
            self._collector.end(key)

    def sctp(self, key: TransportKey, packet: Packet) -> Iterator[Found]:
        """The messages that an SCTP packet's data chunks complete, each in its chunk as well."""
        ports = PORTS["sctp"]
        bound = key.source_port in ports or key.destination_port in ports
        chunk = packet.payload
        while chunk:
            if isinstance(chunk, (SCTPChunkInit, SCTPChunkAbort)) and key in self._sctp:
                self._sctp.end(key)
                self._collector.end(key)
            elif isinstance(chunk, SCTPChunkData):
                data = bytes(chunk.data or b"")
                if bound or key in self._sctp or (self._any_port and _is_message(data)):
                    yield from self._chunk(key, chunk, data)
            chunk = chunk.payload

    def _chunk(self, key: TransportKey, chunk: Packet, data: bytes) -> Iterator[Found]:
        association = self._sctp.get(key)
        lost = association.lost
        messages = association.take(
            Chunk(
                chunk.tsn or 0,
                chunk.stream_id or 0,
                chunk.stream_seq or 0,
                bool(chunk.beginning),
                bool(chunk.ending),
                bool(chunk.unordered),
                data,
            )
        )
        self._sctp.settle(key)
        if association.lost > lost:
            self._note("stream-gap", str(key), octets=association.lost - lost)
        for stream, octets in messages:
            message = IPFIX(octets)
            _put_data(chunk, message)
            yield key, message, stream


def _back(key: TransportKey) -> TransportKey:
    """The other direction of a connection."""
    return TransportKey(
        key.protocol, key.destination, key.destination_port, key.source, key.source_port
    )


def _octets(segment: Packet) -> bytes:
    payload = segment.payload
    original: bytes = payload.original or b""
    return original or bytes(payload)


def _is_message(data: bytes) -> bool:
    return len(data) >= _SHORTEST and data[:2] == b"\x00\x0a" and plausible(data, 0)


def _put_payload(segment: Packet, data: bytes, messages: list[IPFIX]) -> None:
    """The messages that a segment completes become its payload; the octets, if none does."""
    chain: Packet = raw(data)
    if messages:
        chain = messages[min(len(messages), _SHOWN) - 1]
        for message in reversed(messages[: _SHOWN - 1][: len(messages) - 1]):
            message.add_payload(chain)
            chain = message
    segment.remove_payload()
    segment.add_payload(chain)


def _put_data(chunk: Packet, message: IPFIX) -> None:
    """The message stands in the chunk that completes it, whose octets stay what they were."""
    chunk.fields["data"] = message
    chunk.raw_packet_cache_fields = {}
    chunk.packetfields = [chunk.get_field("data")]
    message.add_parent(chunk)

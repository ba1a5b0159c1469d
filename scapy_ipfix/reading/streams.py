# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages in packets of TCP connections and SCTP associations (RFC 7011 10.2, 10.4).

:mod:`scapy_ipfix.collector.connections` cuts the octets of a stream into messages. This module
takes those octets out of Scapy's layers and puts each message into the packet that completes
it: chained as the payload of TCP, or as the data of an SCTP chunk.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from scapy.config import conf
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.sctp import (
    SCTPChunkAbort,
    SCTPChunkData,
    SCTPChunkInit,
    SCTPChunkSACK,
    SCTPChunkShutdownComplete,
)
from scapy.packet import Packet

from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.connections import Chunk, Connections, SCTPStreams, TCPStream
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.layers.bindings import PORTS
from scapy_ipfix.layers.lazy import raw
from scapy_ipfix.layers.messages import IPFIX, Message, make_message
from scapy_ipfix.wire.stream import is_plausible_message

#: Messages that are chained in one packet; others that it completes are read, not shown.
_CHAINED = 50
#: Octets of a message header and a Set header.
_SHORTEST = 20
#: Octets before the data of an SCTP data chunk (RFC 9260 3.3.1).
_CHUNK_HEADER = 16
_IPV6_HEADER = 40

_T = TypeVar("_T", TCPStream, SCTPStreams)
#: A message in a packet: its transport session, its packet layer, its SCTP stream or 0.
FoundMessage = tuple[TransportKey, Message, int]


class StreamReader:
    """State of TCP connections and SCTP associations; finds the messages in their packets.

    ``note`` records a diagnostic: its code, the exporter, the numbers of its text.
    """

    def __init__(self, collector: Collector, note: Callable[..., None], any_port: bool) -> None:
        limits = collector.limits
        self._collector = collector
        self._note = note
        self._any_port = any_port
        self._tcp = Connections(TCPStream, limits.transports, limits.fragment_octets)
        self._sctp = Connections(SCTPStreams, limits.transports, limits.fragment_octets)
        #: Closed TCP connections by sender, to recognise retransmissions.
        self._closed: OrderedDict[TransportKey, TCPStream] = OrderedDict()

    # -- TCP

    def read_tcp(self, key: TransportKey, segment: Packet) -> Iterator[FoundMessage]:
        """Yield the messages that a TCP segment completes, and put them into its payload."""
        flags = int(segment.flags)
        fin, syn, reset, acknowledges = (bool(flags & bit) for bit in (1, 2, 4, 16))
        data = _segment_data(segment)
        reverse = _reverse(key)
        if acknowledges and reverse in self._tcp:
            self._tcp.get(reverse).acknowledge(segment.ack)
        if syn and key in self._tcp and not self._tcp.get(key).begins(segment.seq):
            # A new connection on the same ports: the rest of the old one will not arrive.
            yield from self._end_connection(key)
        if self._is_retransmission(key, segment.seq, data, syn):
            _put_payload(segment, data, [])
        elif key in self._tcp or ((data or syn) and self._is_export(key, data)):
            self._note_cut(key, segment)
            stream = self._tcp.get(key)
            lost, skipped = stream.lost, stream.skipped
            messages = stream.add_segment(segment.seq, data, syn, fin)
            if reset or stream.ended:
                messages += stream.finish()
            self._settle(self._tcp, key)
            self._note_losses(key, stream.lost - lost, stream.skipped - skipped)
            packets = [IPFIX(octets) for octets in messages]
            for packet in packets:
                yield key, packet, 0
            _put_payload(segment, data, packets)
            if reset or stream.ended:
                yield from self._end_connection(key)
        if reset:
            yield from self._end_connection(reverse)

    def _is_retransmission(self, key: TransportKey, sequence: int, data: bytes, syn: bool) -> bool:
        """Return True for a segment of a closed connection, retransmitted or captured twice.

        The last segment is retransmitted without an acknowledgement, and captured twice on a
        loopback interface.
        """
        closed = self._closed.get(key)
        if closed is not None and not syn and key not in self._tcp:
            return closed.has(sequence, len(data))
        self._closed.pop(key, None)
        return False

    def _is_export(self, key: TransportKey, data: bytes) -> bool:
        """Return True if a connection carries messages, judged by its ports or first octets."""
        ports = PORTS["tcp"]
        if key.source_port in ports or key.destination_port in ports or key in self._tcp:
            return True
        return self._any_port and _is_message(data)

    def _end_connection(self, key: TransportKey) -> Iterator[FoundMessage]:
        """End a connection and its templates (RFC 7011 8.1); yield its pending messages."""
        if key in self._tcp:
            stream = self._tcp.get(key)
            lost, skipped = stream.lost, stream.skipped
            for octets in stream.finish():
                yield key, IPFIX(octets), 0
            self._note_losses(key, stream.lost - lost, stream.skipped - skipped)
            self._tcp.end(key)
            self._closed[key] = stream
            if len(self._closed) > self._collector.limits.transports:
                self._closed.popitem(last=False)
            self._collector.end(key)

    # -- SCTP

    def read_sctp(self, key: TransportKey, packet: Packet) -> Iterator[FoundMessage]:
        """Yield the messages that the data chunks of a packet complete, and put them there."""
        ports = PORTS["sctp"]
        bound = key.source_port in ports or key.destination_port in ports
        reverse = _reverse(key)
        chunk = packet.payload
        while chunk:
            if isinstance(chunk, SCTPChunkInit):
                yield from self._end_association(key)
                if bound:
                    self._sctp.get(key).begin()
                    self._settle(self._sctp, key)
            elif isinstance(chunk, (SCTPChunkAbort, SCTPChunkShutdownComplete)):
                yield from self._end_association(key)
                yield from self._end_association(reverse)
            elif isinstance(chunk, SCTPChunkSACK) and reverse in self._sctp:
                self._sctp.get(reverse).acknowledge(chunk.cumul_tsn_ack or 0)
            elif isinstance(chunk, SCTPChunkData):
                data = _chunk_data(chunk)
                if bound or key in self._sctp or (self._any_port and _is_message(data)):
                    yield from self._read_chunk(key, chunk, data)
            chunk = chunk.payload

    def _end_association(self, key: TransportKey) -> Iterator[FoundMessage]:
        """End an association as :meth:`_end_connection` does a connection."""
        if key in self._sctp:
            association = self._sctp.get(key)
            lost = association.lost
            for stream, octets in association.finish():
                message = make_message(octets)
                if message is not None:
                    yield key, message, stream
            self._note_losses(key, association.lost - lost)
            self._sctp.end(key)
            self._collector.end(key)

    def _read_chunk(self, key: TransportKey, chunk: Packet, data: bytes) -> Iterator[FoundMessage]:
        """Yield the messages that a data chunk completes, and put them into it."""
        association = self._sctp.get(key)
        lost = association.lost
        found = association.add_chunk(
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
        self._settle(self._sctp, key)
        missing = max(0, (chunk.len or 0) - len(chunk.original)) if chunk.original else 0
        if missing and not any(octets is data for _, octets in found):
            self._note("packet-cut", str(key), octets=missing)
        # NetFlow v9 runs over SCTP as well (RFC 3954 3.1).
        messages = [
            (stream, make_message(octets, missing if octets is data else 0))
            for stream, octets in found
        ]
        skipped = sum(
            len(octets) for (_, octets), (_, made) in zip(found, messages) if made is None
        )
        self._note_losses(key, association.lost - lost, skipped)
        whole = [(stream, message) for stream, message in messages if message is not None]
        for stream, message in whole:
            yield key, message, stream
        if whole:
            _put_data(chunk, _chain([message for _, message in whole]))

    # -- both

    def pending(self) -> Iterator[tuple[str, int]]:
        """Yield the connections with incomplete messages: exporter, octets of these."""
        for connections in (self._tcp, self._sctp):
            yield from ((str(key), octets) for key, octets in connections.waiting())

    def _note_cut(self, key: TransportKey, segment: Packet) -> None:
        """Note a segment that the capture has a part of."""
        network = segment.underlayer
        if network is None or not network.original:
            return
        if network.__class__ is IP:
            missing = (network.len or 0) - len(network.original)
        elif network.__class__ is IPv6:
            missing = (network.plen or 0) + _IPV6_HEADER - len(network.original)
        else:
            return
        if missing > 0:
            self._note("packet-cut", str(key), octets=missing)

    def _note_losses(self, key: TransportKey, lost: int, skipped: int = 0) -> None:
        if lost:
            self._note("stream-gap", str(key), octets=lost)
        if skipped:
            self._note("stream-resync", str(key), octets=skipped)

    def _settle(self, connections: Connections[_T], key: TransportKey) -> None:
        """Account for the memory of a connection after a change, within the limits."""
        dropped = connections.dropped
        connections.settle(key)
        if connections.dropped > dropped:
            limit = self._collector.limits.transports
            self._note("limit", what="connections with incomplete messages", limit=limit)


def _reverse(key: TransportKey) -> TransportKey:
    """Return the other direction of a connection."""
    return TransportKey(
        key.protocol, key.destination, key.destination_port, key.source, key.source_port
    )


def _segment_data(segment: Packet) -> bytes:
    """Return the data of a segment as captured, even if its payload was replaced by messages."""
    if segment.original:
        octets: bytes = segment.original[4 * (segment.dataofs or 5) :]
        return octets
    return bytes(segment.payload)


def _chunk_data(chunk: Packet) -> bytes:
    """Return the data of a chunk as captured, as :func:`_segment_data`."""
    if chunk.original:
        octets: bytes = chunk.original[_CHUNK_HEADER : chunk.len]
        return octets
    return bytes(chunk.data or b"")


def _is_message(data: bytes) -> bool:
    """Return True if data begins like an IPFIX Message with a Set."""
    return len(data) >= _SHORTEST and data[:2] == b"\x00\x0a" and is_plausible_message(data, 0)


def _put_payload(segment: Packet, data: bytes, messages: list[IPFIX]) -> None:
    """Set the payload of a segment to the messages that it completes, or to its data."""
    if data or messages:
        trailer = b""
        if isinstance(segment.lastlayer(), conf.padding_layer):
            trailer = bytes(segment.payload)[len(data) :]  # padding of the frame
        segment.remove_payload()
        segment.add_payload(_chain(messages) if messages else raw(data))
        if trailer:
            segment.add_payload(conf.padding_layer(trailer))


def _chain(messages: Sequence[Message]) -> Packet:
    """Chain messages as payloads; beyond the limit only the first ones and the last."""
    chain = messages[-1]
    for message in reversed(messages[: _CHAINED - 1][: len(messages) - 1]):
        message.add_payload(chain)
        chain = message
    return chain


def _put_data(chunk: Packet, message: Packet) -> None:
    """Set the data of a chunk to the message that it completes; its octets do not change."""
    chunk.fields["data"] = message
    chunk.raw_packet_cache_fields = {}
    chunk.packetfields = [chunk.get_field("data")]
    message.add_parent(chunk)

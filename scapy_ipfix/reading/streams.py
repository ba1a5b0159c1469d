# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages in packets of TCP connections and SCTP associations.

Which octets are whole messages is for :mod:`scapy_ipfix.collector.transport` to say; here they come
out of Scapy's layers, and the messages go back into the packet that completes them: as the
payload of TCP, one behind the other, as the data of an SCTP chunk.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from scapy.config import conf
from scapy.layers.sctp import (
    SCTPChunkAbort,
    SCTPChunkData,
    SCTPChunkInit,
    SCTPChunkSACK,
    SCTPChunkShutdownComplete,
)
from scapy.packet import Packet

from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.transport import Chunk, Connections, SCTPStreams, TCPStream
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.layers.lazy import raw
from scapy_ipfix.layers.messages import IPFIX, Message, make_message
from scapy_ipfix.layers.ports import PORTS
from scapy_ipfix.wire.stream import plausible

#: Messages that one packet shows; more may complete at once, and are read all the same.
_SHOWN = 50
_SHORTEST = 20
#: Octets before the data of an SCTP data chunk (RFC 9260 3.3.1).
_CHUNK_HEADER = 16

_T = TypeVar("_T", TCPStream, SCTPStreams)
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
        #: TCP connections that are over, by who sent.
        self._over: OrderedDict[TransportKey, TCPStream] = OrderedDict()

    def tcp(self, key: TransportKey, segment: Packet) -> Iterator[Found]:
        """The messages that a TCP segment completes, each in the packet as well."""
        flags = int(segment.flags)
        fin, syn, reset, acknowledges = (bool(flags & bit) for bit in (1, 2, 4, 16))
        data = _octets(segment)
        back = _back(key)
        if acknowledges and back in self._tcp:
            self._tcp.get(back).acknowledge(segment.ack)
        if syn and key in self._tcp and not self._tcp.get(key).begins(segment.seq):
            # The same ports anew: what waits of the old connection waits in vain.
            yield from self._end(key)
        if self._is_over(key, segment.seq, data, syn):
            _put_payload(segment, data, [])
        elif key in self._tcp or ((data or syn) and self._is_ours(key, data)):
            stream = self._tcp.get(key)
            lost, skipped = stream.lost, stream.skipped
            messages = stream.take(segment.seq, data, syn, fin)
            if reset or stream.ended:
                messages += stream.finish()
            self._settle(self._tcp, key)
            self._say(key, stream.lost - lost, stream.skipped - skipped)
            packets = [IPFIX(octets) for octets in messages]
            for packet in packets:
                yield key, packet, 0
            _put_payload(segment, data, packets)
            if reset or stream.ended:
                yield from self._end(key)
        if reset:
            yield from self._end(back)

    def waiting(self) -> Iterator[tuple[str, int]]:
        """The connections that have octets which wait for others, and how many."""
        for connections in (self._tcp, self._sctp):
            yield from ((str(key), octets) for key, octets in connections.waiting())

    def _say(self, key: TransportKey, lost: int, skipped: int = 0) -> None:
        if lost:
            self._note("stream-gap", str(key), octets=lost)
        if skipped:
            self._note("stream-resync", str(key), octets=skipped)

    def _settle(self, connections: Connections[_T], key: TransportKey) -> None:
        dropped = connections.dropped
        connections.settle(key)
        if connections.dropped > dropped:
            limit = self._collector.limits.transports
            self._note("limit", what="connections with something that waits", limit=limit)

    def _is_over(self, key: TransportKey, sequence: int, data: bytes, syn: bool) -> bool:
        """Whether a segment is one of a connection that is over, sent or captured once more.

        The last one comes again if its sender hears nothing of it, and on a loopback anyway.
        """
        over = self._over.get(key)
        if over is not None and not syn and key not in self._tcp:
            return over.has(sequence, len(data))
        self._over.pop(key, None)
        return False

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

    def _end(self, key: TransportKey) -> Iterator[Found]:
        """The connection ended, and its templates with it (RFC 7011 8.1); what waited comes."""
        if key in self._tcp:
            stream = self._tcp.get(key)
            lost, skipped = stream.lost, stream.skipped
            for octets in stream.finish():
                yield key, IPFIX(octets), 0
            self._say(key, stream.lost - lost, stream.skipped - skipped)
            self._tcp.end(key)
            self._over[key] = stream
            if len(self._over) > self._collector.limits.transports:
                self._over.popitem(last=False)
            self._collector.end(key)

    def sctp(self, key: TransportKey, packet: Packet) -> Iterator[Found]:
        """The messages that an SCTP packet's data chunks complete, each in its chunk as well."""
        ports = PORTS["sctp"]
        bound = key.source_port in ports or key.destination_port in ports
        back = _back(key)
        chunk = packet.payload
        while chunk:
            if isinstance(chunk, SCTPChunkInit):
                yield from self._end_association(key)
                if bound:
                    self._sctp.get(key).begin()
                    self._settle(self._sctp, key)
            elif isinstance(chunk, (SCTPChunkAbort, SCTPChunkShutdownComplete)):
                yield from self._end_association(key)
                yield from self._end_association(back)
            elif isinstance(chunk, SCTPChunkSACK) and back in self._sctp:
                self._sctp.get(back).acknowledge(chunk.cumul_tsn_ack or 0)
            elif isinstance(chunk, SCTPChunkData):
                data = _data(chunk)
                if bound or key in self._sctp or (self._any_port and _is_message(data)):
                    yield from self._chunk(key, chunk, data)
            chunk = chunk.payload

    def _end_association(self, key: TransportKey) -> Iterator[Found]:
        """As :meth:`_end`."""
        if key in self._sctp:
            association = self._sctp.get(key)
            lost = association.lost
            for stream, octets in association.finish():
                message = make_message(octets)
                if message is not None:
                    yield key, message, stream
            self._say(key, association.lost - lost)
            self._sctp.end(key)
            self._collector.end(key)

    def _chunk(self, key: TransportKey, chunk: Packet, data: bytes) -> Iterator[Found]:
        association = self._sctp.get(key)
        lost = association.lost
        found = association.take(
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
        # NetFlow v9 goes over SCTP as well (RFC 3954 3.1); what else comes is no message.
        messages = [(stream, make_message(octets)) for stream, octets in found]
        skipped = sum(
            len(octets) for (_, octets), (_, made) in zip(found, messages) if made is None
        )
        self._say(key, association.lost - lost, skipped)
        whole = [(stream, message) for stream, message in messages if message is not None]
        for stream, message in whole:
            yield key, message, stream
        if whole:
            _put_data(chunk, _chain([message for _, message in whole]))


def _back(key: TransportKey) -> TransportKey:
    """The other direction of a connection."""
    return TransportKey(
        key.protocol, key.destination, key.destination_port, key.source, key.source_port
    )


def _octets(segment: Packet) -> bytes:
    """What a segment carries; not what is in the packet, if a session put messages there."""
    if segment.original:
        octets: bytes = segment.original[4 * (segment.dataofs or 5) :]
        return octets
    return bytes(segment.payload)


def _data(chunk: Packet) -> bytes:
    """What a data chunk carries, as :func:`_octets`."""
    if chunk.original:
        octets: bytes = chunk.original[_CHUNK_HEADER : chunk.len]
        return octets
    return bytes(chunk.data or b"")


def _is_message(data: bytes) -> bool:
    return len(data) >= _SHORTEST and data[:2] == b"\x00\x0a" and plausible(data, 0)


def _put_payload(segment: Packet, data: bytes, messages: list[IPFIX]) -> None:
    """The messages that a segment completes become its payload; the octets, if none does."""
    if data or messages:
        trailer = b""
        if isinstance(segment.lastlayer(), conf.padding_layer):
            trailer = bytes(segment.payload)[len(data) :]  # of the frame, not of the segment
        segment.remove_payload()
        segment.add_payload(_chain(messages) if messages else raw(data))
        if trailer:
            segment.add_payload(conf.padding_layer(trailer))


def _chain(messages: Sequence[Message]) -> Packet:
    """Messages one behind the other; of very many the last one stands behind the first ones."""
    chain = messages[-1]
    for message in reversed(messages[: _SHOWN - 1][: len(messages) - 1]):
        message.add_payload(chain)
        chain = message
    return chain


def _put_data(chunk: Packet, message: Packet) -> None:
    """The message stands in the chunk that completes it, whose octets stay what they were."""
    chunk.fields["data"] = message
    chunk.raw_packet_cache_fields = {}
    chunk.packetfields = [chunk.get_field("data")]
    message.add_parent(chunk)

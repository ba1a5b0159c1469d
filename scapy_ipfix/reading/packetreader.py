# SPDX-License-Identifier: GPL-2.0-or-later
"""Export messages in Scapy packets.

:class:`PacketReader` finds the messages in a packet and their transport session, reassembles
IP fragments and streams, and hands each message to the
:class:`~scapy_ipfix.collector.collector.Collector`. The result becomes the context of the
message's layer, which makes records from it when they are first read.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import Any

from scapy.config import conf
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import NoPayload, Packet

from scapy_ipfix.collector.collected import CollectedMessage
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.layers.bindings import PORTS
from scapy_ipfix.layers.lazy import LazyPacketList
from scapy_ipfix.layers.messages import MESSAGE_CLASSES, Message
from scapy_ipfix.layers.sets import DataSet
from scapy_ipfix.reading.duplicates import DuplicateFilter, is_loopback
from scapy_ipfix.reading.reassembly import Fragments, PartialDatagram
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.reading.streams import FoundMessage, StreamReader
from scapy_ipfix.wire.diagnostics import Defect, Diagnostic
from scapy_ipfix.wire.framing import PROTOCOLS, find_flaw
from scapy_ipfix.wire.otherprotocols import FIRST_OCTETS, unread_defect

#: First octets of a message.
VERSIONS = frozenset((b"\x00\x09", b"\x00\x0a"))
_UDP_HEADER = 8
#: Link types of the layers that may show the loopback interface.
_LINK_TYPES = {Ether: 1, CookedLinux: 113, CookedLinuxV2: 276}
_PORTS = struct.Struct("!HH")
#: Transport protocols by number.
_TRANSPORTS = {6: "tcp", 17: "udp", 132: "sctp"}


class PacketReader:
    """Reader of the messages in packets, with the state of fragments and streams.

    ``any_port`` recognises messages on ports that are not bound. ``with_tcp`` is False where
    another session reassembles TCP before this reader. ``deduplicate`` leaves out the second
    copies of packets on the loopback interface, which ``duplicates`` counts. ``count`` is the
    number of packets so far: the number of the present packet in diagnostics, from 1.
    """

    def __init__(
        self,
        collector: Collector,
        *,
        any_port: bool,
        with_tcp: bool = True,
        deduplicate: bool = True,
    ) -> None:
        self.collector = collector
        self.deduplicate = deduplicate
        self.duplicates = 0
        self._copies = DuplicateFilter()
        self.any_port = any_port
        self.count = 0
        #: The files of the packets counted so far.
        self.files = SourceFiles()
        self.fragments = Fragments(collector.limits.fragment_octets)
        self.streams = StreamReader(collector, self.note, any_port)
        self._with_tcp = with_tcp
        self._most_transports = collector.limits.transports
        self._dropped = 0
        #: Transport sessions on ports without a binding that sent a message.
        self._recognised: set[TransportKey] = set()
        #: Datagrams of other flow protocols by name.
        self.other_protocols: Counter[str] = Counter()
        self._noted_others: set[tuple[TransportKey, str]] = set()
        self._keys: dict[tuple[Any, ...], TransportKey] = {}

    # -- diagnostics

    def note(self, code: str, exporter: str = "", **numbers: Any) -> None:
        """Record a diagnostic at the present packet."""
        defect = Defect.make(code, **numbers)
        self.collector.diagnostics.note(Diagnostic(defect, self.count, exporter))

    def note_missing(self) -> None:
        """Record the datagrams of which fragments are missing, each once."""
        for each in self.fragments:
            self._note_missing(each)

    def _note_missing(self, datagram: PartialDatagram) -> None:
        transport = _transport_of(datagram)
        if datagram.is_noted or transport is None or not self._may_be_export(datagram, transport):
            return
        datagram.is_noted = True
        self.note(
            "fragment-missing",
            str(transport),
            id=datagram.key.id,
            destination=transport.destination,
            octets=datagram.octets,
        )

    def _may_be_export(self, datagram: PartialDatagram, transport: TransportKey) -> bool:
        """Return False if the first fragment of a datagram shows that it is no message."""
        if transport.source_port is None:
            return True
        ports = PORTS[transport.protocol]
        if transport.source_port in ports or transport.destination_port in ports:
            return True
        payload = datagram.fragments[0][_UDP_HEADER:]
        return self.any_port and transport.protocol == "udp" and payload[:2] in VERSIONS

    def note_incomplete(self, name: str) -> None:
        """Record what a capture, at its end, leaves of incomplete datagrams and messages."""
        self.note_missing()
        for exporter, octets in self.streams.pending():
            self.note("stream-waiting", exporter, name=name, octets=octets)

    # -- recognition

    def recognises(self, transport: TransportKey, octets: bytes, size: int = 0) -> bool:
        """Return True if a UDP payload on a port without a binding is an export message.

        Any later payload of version 9 or 10 in its transport session is one, too. A payload
        that is none is recorded, with the reason. ``size`` is that of the datagram's payload,
        of which a capture may have a part.
        """
        if transport in self._recognised:
            return True
        flaw = find_flaw(octets, size)
        if flaw:
            version = octets[1]
            numbers = {
                "octets": len(octets),
                "port": transport.destination_port,
                "protocol": PROTOCOLS[version],
                "flaw": flaw,
            }
            self.collector.diagnostics.add(
                "not-recognised", numbers, self.count, str(transport), version=version
            )
            return False
        if len(self._recognised) >= self._most_transports:
            self._recognised.clear()
        self._recognised.add(transport)
        return True

    def note_unread(
        self, transport: TransportKey, octets: bytes, is_bound: bool, size: int = 0
    ) -> None:
        """Record a UDP payload of another version than 9 or 10, by its protocol if that is known.

        A protocol is recorded once for each transport session; :attr:`other_protocols` counts
        all. Unknown octets are of interest only on a port that ``is_bound``. ``size`` is as
        for :meth:`recognises`.
        """
        if not (is_bound or self.any_port):
            return
        defect = unread_defect(octets, size)
        if defect.code == "other-protocol":
            protocol = dict(defect.numbers)["protocol"]
            self.other_protocols[protocol] += 1
            sender = transport, protocol
            if sender in self._noted_others or len(self._noted_others) >= self._most_transports:
                return
            self._noted_others.add(sender)
        elif not is_bound:
            return
        self.collector.diagnostics.note(Diagnostic(defect, self.count, str(transport)))

    # -- packets

    def note_duplicate(self) -> None:
        """Count the second copy of a packet; record the first one."""
        self.duplicates += 1
        if self.duplicates == 1:
            self.note("packet-duplicate")

    def leaves_out(self, pkt: Packet) -> bool:
        """Return True, and count the packet, if it is a second copy on the loopback interface."""
        link_type = _LINK_TYPES.get(pkt.__class__)
        if not self.deduplicate or link_type is None or not is_loopback(link_type, pkt.original):
            return False
        if not self._copies.is_copy(link_type, pkt.original, float(pkt.time)):
            return False
        self.count += 1
        self.note_duplicate()
        return True

    def read(self, pkt: Packet) -> list[CollectedMessage]:
        """Count a packet and return its messages, none for a fragment that completes nothing."""
        self.count += 1
        whole = self.reassemble(pkt)
        return [] if whole is None else self.read_messages(whole)

    def reassemble(self, pkt: Packet) -> Packet | None:
        """Return the packet, or for an IP fragment the packet with the whole datagram.

        None while fragments of the datagram are missing.
        """
        layer = pkt
        while layer.__class__ is not IP:
            layer = layer.payload
            if layer.__class__ is IPv6ExtHdrFragment:
                return self._note_dropped(self.fragments.add_ipv6(pkt, layer))
            if isinstance(layer, (NoPayload, UDP, TCP)):
                return pkt
        if layer.getfieldval("frag") or int(layer.getfieldval("flags")) & 1:
            return self._note_dropped(self.fragments.add_ipv4(pkt, layer))
        return pkt

    def _note_dropped(self, pkt: Packet | None) -> Packet | None:
        """Record fragments that were dropped since the last call; return the packet."""
        for datagram in self.fragments.expired:
            self._note_missing(datagram)
        self.fragments.expired.clear()
        dropped = self.fragments.dropped
        if dropped > self._dropped:
            self.note("fragments-dropped", octets=dropped - self._dropped)
            self._dropped = dropped
        return pkt

    def read_messages(self, pkt: Packet) -> list[CollectedMessage]:
        """Read the messages in a packet without fragments; their layers learn the result."""
        found = []
        for transport, message, stream in self._messages(pkt):
            octets = _octets(message)
            read = self.collector.read(
                transport, octets, float(pkt.time), self.count, stream, message.missing
            )
            if read is not None:
                found.append(read)
                bind_context(message, read)
                trailing = _trailing(message, len(octets))
                if trailing:
                    read.domain.note("message-trailing", self.count, octets=trailing)
        return found

    def _messages(self, pkt: Packet) -> Iterator[FoundMessage]:
        """Yield each message of a packet with its transport session and SCTP stream."""
        layer = pkt
        network: Packet | None = None
        transport: Packet | None = None
        while not isinstance(layer, NoPayload):
            kind = layer.__class__
            if kind is UDP:
                transport = layer
                self._dissect_message(network, layer)
            elif kind is TCP and network is not None and self._with_tcp:
                yield from self.streams.read_tcp(self._key(network, layer), layer)
                return
            elif kind is SCTP and network is not None:
                yield from self.streams.read_sctp(self._key(network, layer), layer)
                return
            elif kind is TCP:
                transport = layer
            elif kind is IP or kind is IPv6:
                network, transport = layer, None
            elif isinstance(layer, Message):
                yield self._key(network, transport), layer, 0
            layer = layer.payload

    def _dissect_message(self, network: Packet | None, udp: Packet) -> None:
        """Replace a UDP payload on a port without a binding by the message that it is."""
        payload = udp.payload
        if isinstance(payload, (Message, NoPayload)):
            return
        # Not bytes(payload), which includes the padding of the frame.
        octets = payload.original or payload.fields.get("load", b"")
        is_bound = udp.sport in PORTS["udp"] or udp.dport in PORTS["udp"]
        size = (udp.fields.get("len") or 0) - _UDP_HEADER
        if octets[:2] not in VERSIONS:
            if is_bound or octets[:2] in FIRST_OCTETS:
                self.note_unread(self._key(network, udp), octets, is_bound, size)
        elif self.any_port and self.recognises(self._key(network, udp), octets, size):
            trailer = _frame_trailer(udp, octets)
            udp.payload = MESSAGE_CLASSES[octets[1]](octets, _internal=1, _underlayer=udp)
            if trailer:
                udp.add_payload(conf.padding_layer(trailer))

    def _key(self, network: Packet | None, transport: Packet | None) -> TransportKey:
        """Return the transport session of a packet; a bare message has one of its own."""
        if network is None or transport is None:
            return TransportKey("message")
        endpoints = (
            transport.__class__,
            network.getfieldval("src"),
            transport.getfieldval("sport"),
            network.getfieldval("dst"),
            transport.getfieldval("dport"),
        )
        key = self._keys.get(endpoints)
        if key is None:
            if len(self._keys) >= self._most_transports:
                self._keys.clear()
            protocol, source, sport, destination, dport = endpoints
            key = TransportKey(
                protocol.__name__.lower(), str(source), sport, str(destination), dport
            )
            self._keys[endpoints] = key
        return key


def _transport_of(datagram: PartialDatagram) -> TransportKey | None:
    """Return the transport session of a datagram, without ports if they did not arrive.

    None for a protocol other than UDP, TCP and SCTP.
    """
    protocol = _TRANSPORTS.get(datagram.protocol)
    if protocol is None:
        return None
    source, destination = datagram.key.source, datagram.key.destination
    first = datagram.fragments.get(0, b"")
    if len(first) < _PORTS.size:
        return TransportKey(protocol, source, None, destination, None)
    source_port, destination_port = _PORTS.unpack_from(first)
    return TransportKey(protocol, source, source_port, destination, destination_port)


def _frame_trailer(udp: Packet, octets: bytes) -> bytes:
    """Return the octets of the frame after the payload of a datagram: padding of Ethernet.

    The payload was dissected as another protocol, which may have found padding inside of it.
    """
    padding = udp.lastlayer()
    if not isinstance(padding, conf.padding_layer):
        return b""
    # The payload follows the headers, or precedes the padding. Searching for it would take
    # quadratic time.
    layer, headers = udp, len(udp.raw_packet_cache or b"")
    while layer.underlayer is not None:
        layer = layer.underlayer
        headers += len(layer.raw_packet_cache or b"")
    frame = layer.original or b""
    for start in (headers, len(frame) - len(bytes(padding.load)) - len(octets)):
        stop = start + len(octets)
        if start >= 0 and frame[start:stop] == octets:
            return frame[stop:]
    return b""


def _octets(message: Message) -> bytes:
    """Return the octets of a message without its payload: as captured, or as changed since."""
    sets = message.fields.get("sets")
    untouched = getattr(sets, "octets", None) is not None or not sets
    if message.raw_packet_cache is not None and untouched:
        return message.raw_packet_cache
    alone = message.copy()
    alone.remove_payload()
    return bytes(alone)


def _trailing(message: Message, length: int) -> int:
    """Return the number of octets in the datagram after the message, without frame padding."""
    if not message.payload:
        return 0
    udp = message.underlayer
    if udp.__class__ is UDP and udp.fields.get("len"):
        return max(0, min(udp.len - _UDP_HEADER - length, len(message.payload)))
    return len(message.payload)


def bind_context(message: Message, read: CollectedMessage) -> None:
    """Make the collected message the context of its layer, and bind Data Sets that exist."""
    message.context = read
    sets = message.fields.get("sets")
    if type(sets) is LazyPacketList and sets.octets is not None:
        return  # its Data Sets do not exist yet, and will ask the context
    for index, each in enumerate(sets or ()):
        if isinstance(each, DataSet):
            template = read.template(index)
            if template is not None and each.template is None:
                each.bind(template, read.lists(index), read.record_context(index))
            read.attach(index, each)

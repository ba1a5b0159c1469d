# SPDX-License-Identifier: GPL-2.0-or-later
"""`IPFIXSession`: template state for packets, sniffed, read or at hand.

The session finds the message in a packet and who sent it, lets its
:class:`~scapy_ipfix.collector.collector.Collector` read it, and leaves on the message what
templates its Data Sets go by. Records come to be when someone looks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from scapy.config import conf
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.sctp import SCTP
from scapy.packet import NoPayload, Packet
from scapy.sessions import DefaultSession, TCPSession

from scapy_ipfix.collector.collected import MessageRead
from scapy_ipfix.collector.collector import Collector, Limits
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.domainstate import DomainStats
from scapy_ipfix.collector.metadata import MetadataRow, metadata_table
from scapy_ipfix.collector.persistence import load_state, save_state
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.layers.lazy import LazyPacketList
from scapy_ipfix.layers.messages import MESSAGE_CLASSES, Message
from scapy_ipfix.layers.sets import DataSet
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.reading.reassembly import Fragments
from scapy_ipfix.reading.streams import StreamReader
from scapy_ipfix.text import Table
from scapy_ipfix.wire.diagnostics import Defect, Diagnostic, Diagnostics
from scapy_ipfix.wire.framing import is_export
from scapy_ipfix.wire.template import Template

_seconds = data_type("dateTimeSeconds")
_UDP_HEADER = 8


class TemplateRow(NamedTuple):
    """Template in force: one row of :attr:`IPFIXSession.templates`."""

    exporter: str
    domain: int
    id: int
    version: str
    kind: str
    refreshes: int
    template: Template

    @property
    def fields(self) -> str:
        """The fields of the template as IESpecs."""
        return ", ".join(map(str, self.template.fields))


class StatsRow(NamedTuple):
    """Counters of an Observation Domain: one row of :attr:`IPFIXSession.stats`."""

    exporter: str
    domain: int
    version: str
    messages: int
    octets: int
    templates: int
    records: int
    undecoded_sets: int
    lost: str
    reordered: int
    first_export: str
    last_export: str


class IPFIXSession(DefaultSession):
    """Keeps Template state, so that Data Sets become Data Records.

    Use it as ``sniff(session=IPFIXSession)``, or make one and look at it afterwards::

        s = IPFIXSession()
        sniff(offline="x.pcap", session=s)
        s.templates, s.stats, s.diagnostics

    Templates belong to a transport session and observation domain (RFC 7011 8), in NetFlow
    v9 to a sourceId; ``scope="exporter"`` leaves the ports out. Data that came before its
    template is resolved in place when the template comes. ``any_port=False`` leaves alone
    what is not on a bound port. ``model`` names the elements. ``limits`` bounds what is kept.
    ``template_timeout`` (seconds of capture time) forgets templates not refreshed over UDP.
    ``check_values`` decodes every record to see what is wrong with its values.
    ``learn_elements=False`` ignores elements that exporters define (RFC 5610).
    Nothing that came off the wire raises.
    """

    def __init__(
        self,
        supersession: Any = None,
        *,
        scope: str = "session",
        any_port: bool = True,
        model: InformationModel = elements,
        limits: Limits | None = None,
        template_timeout: float | None = None,
        check_values: bool = False,
        learn_elements: bool = True,
    ) -> None:
        super().__init__(supersession)
        self.any_port = any_port
        self.collector = Collector(
            scope=scope,
            model=model,
            limits=limits,
            template_timeout=template_timeout,
            check_values=check_values,
            learn_elements=learn_elements,
        )
        self._fragments = Fragments(self.collector.limits.fragment_octets)
        # A TCPSession before us gives whole messages; their segments are gone by then.
        self._reads_tcp = not isinstance(self.supersession, TCPSession)
        self._streams = StreamReader(self.collector, self._note, any_port)
        self._dropped = 0
        self._keys: dict[tuple[Any, ...], TransportKey] = {}
        #: Packets seen so far; diagnostics count from 1.
        self.packets = 0

    # -- what Scapy calls

    def process(self, pkt: Packet) -> Packet | None:
        """Takes a packet in and gives it back, its messages resolved as far as possible.

        An IP fragment gives None until the datagram is whole, then the whole packet.
        """
        if self.supersession:
            pkt = self.supersession.process(pkt)
            if not pkt:
                return None
        self.packets += 1
        whole = self._defragmented(pkt)
        if whole is not None:
            self._read(whole)
        return whole

    def take(self, pkt: Packet) -> list[MessageRead]:
        """Takes a packet in, as :meth:`process`; gives what its messages were read as."""
        self.packets += 1
        whole = self._defragmented(pkt)
        return [] if whole is None else self._read(whole)

    # -- what a person looks at

    @property
    def templates(self) -> Table[TemplateRow]:
        """The templates in force, as a table: exporter, domain, id, fields, refreshes."""
        rows = (
            TemplateRow(
                str(domain.transport),
                domain.id,
                template.id,
                "v9" if domain.version == 9 else "IPFIX",
                "options" if template.is_options else "data",
                domain.states[template.id].refreshes,
                template,
            )
            for domain in self.collector.domains
            for _, template in sorted(domain.templates.items())
        )
        return Table((*TemplateRow._fields[:-1], "fields"), rows)

    @property
    def stats(self) -> Table[StatsRow]:
        """Messages, octets, records and so on, by exporter and domain."""
        return stats_table(self.collector.domains)

    @property
    def metadata(self) -> Table[MetadataRow]:
        """What exporters said in options: sampling, interfaces, applications, counters."""
        return metadata_table(self.collector.metadata)

    @property
    def diagnostics(self) -> Diagnostics:
        """What was wrong on the wire, each with its RFC section."""
        return self.collector.diagnostics

    def domain_stats(self, transport: TransportKey, domain: int) -> DomainStats | None:
        """The counters of one observation domain, None for one never heard of."""
        for each in self.collector.domains:
            if each.transport == transport and each.id == domain:
                return each.stats
        return None

    # -- state that can be kept

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes templates, learned elements and metadata to a file (JSON). OSError."""
        save_state(self.collector, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **arguments: Any) -> IPFIXSession:
        """A session that knows what :meth:`save` wrote; ``arguments`` as for making one.

        Raises OSError, and ValueError for a file that is none of ours.
        """
        session = cls(**arguments)
        load_state(session.collector, path)
        return session

    # -- packets

    def note_cut(self, name: str, why: str) -> None:
        """A capture ended before it should have."""
        self._note("capture-cut", name=name, why=why)

    def note_waiting(self, name: str) -> None:
        """A capture ended: says what of it still waits for the rest of a datagram or message."""
        octets = self._fragments.waiting
        if octets:
            self._note("fragments-waiting", name=name, octets=octets)
        for exporter, octets in self._streams.waiting():
            self._note("stream-waiting", exporter, name=name, octets=octets)

    def note_skipped(self, key: TransportKey, octets: int) -> None:
        """Octets of a stream were no message."""
        self._note("stream-resync", str(key), octets=octets)

    def _note(self, code: str, exporter: str = "", **numbers: Any) -> None:
        self.diagnostics.note(Diagnostic(Defect.of(code, **numbers), self.packets, exporter))

    def _read(self, pkt: Packet) -> list[MessageRead]:
        """Reads the export messages in a whole packet; what is not one gives nothing."""
        found = []
        for transport, message, stream in self._messages(pkt):
            octets = _octets(message)
            read = self.collector.read(transport, octets, float(pkt.time), self.packets, stream)
            if read is not None:
                found.append(read)
                _bind(message, read)
                trailing = _trailing(message, len(octets))
                if trailing:
                    read.domain.note("message-trailing", octets=trailing)
        return found

    def _messages(self, pkt: Packet) -> Iterator[tuple[TransportKey, Message, int]]:
        """Each message of a packet with who sent it, and in SCTP on which stream."""
        layer = pkt
        network: Packet | None = None
        transport: Packet | None = None
        while not isinstance(layer, NoPayload):
            kind = layer.__class__
            if kind is UDP:
                transport = layer
                if self.any_port:
                    _recognise(layer)
            elif kind is TCP and network is not None and self._reads_tcp:
                yield from self._streams.tcp(self._key(network, layer), layer)
                return
            elif kind is SCTP and network is not None:
                yield from self._streams.sctp(self._key(network, layer), layer)
                return
            elif kind is TCP:
                transport = layer
            elif kind is IP or kind is IPv6:
                network, transport = layer, None
            elif isinstance(layer, Message):
                yield self._key(network, transport), layer, 0
            layer = layer.payload

    def _key(self, network: Packet | None, transport: Packet | None) -> TransportKey:
        if network is None or transport is None:
            return TransportKey("message")
        known = (
            transport.__class__,
            network.getfieldval("src"),
            transport.getfieldval("sport"),
            network.getfieldval("dst"),
            transport.getfieldval("dport"),
        )
        key = self._keys.get(known)
        if key is None:
            if len(self._keys) >= self.collector.limits.transports:
                self._keys.clear()
            protocol, source, sport, destination, dport = known
            key = TransportKey(
                protocol.__name__.lower(), str(source), sport, str(destination), dport
            )
            self._keys[known] = key
        return key

    def _defragmented(self, pkt: Packet) -> Packet | None:
        layer = pkt
        while layer.__class__ is not IP:
            layer = layer.payload
            if layer.__class__ is IPv6ExtHdrFragment:
                return self._whole(self._fragments.take_ipv6(pkt, layer))
            if isinstance(layer, (NoPayload, UDP, TCP)):
                return pkt
        if layer.getfieldval("frag") or int(layer.getfieldval("flags")) & 1:
            return self._whole(self._fragments.take(pkt, layer))
        return pkt

    def _whole(self, pkt: Packet | None) -> Packet | None:
        """What a fragment made whole, if anything; says what had to be dropped for it."""
        dropped = self._fragments.dropped
        if dropped > self._dropped:
            self._note("fragments-dropped", octets=dropped - self._dropped)
            self._dropped = dropped
        return pkt

    def __repr__(self) -> str:
        collector = self.collector
        domains = list(collector.domains)
        return (
            f"<{type(self).__name__}: {self.packets} packets, "
            f"{sum(each.stats.messages for each in domains)} messages, "
            f"{sum(each.stats.records for each in domains)} records, "
            f"{sum(len(each.templates) for each in domains)} templates, "
            f"{len(domains)} domains, {sum(self.diagnostics.counts.values())} diagnostics>"
        )


def _recognise(udp: Packet) -> None:
    """Makes a message of a UDP payload that is unmistakably one, on a port nobody bound."""
    payload = udp.payload
    if isinstance(payload, (Message, NoPayload)):
        return
    # Not bytes(payload): what trails in Ethernet hangs on behind it.
    octets = payload.original or payload.fields.get("load", b"")
    if octets[:2] not in (b"\x00\x0a", b"\x00\x09"):
        return
    if is_export(octets):
        trailer = _trailer(udp, octets)
        udp.payload = MESSAGE_CLASSES[octets[1]](octets, _internal=1, _underlayer=udp)
        if trailer:
            udp.add_payload(conf.padding_layer(trailer))


def _trailer(udp: Packet, octets: bytes) -> bytes:
    """What the frame has behind the payload of a datagram, such as the padding of Ethernet.

    The payload was taken for something else, that may have found padding inside of it.
    """
    padding = udp.lastlayer()
    if not isinstance(padding, conf.padding_layer):
        return b""
    # Behind the headers, or before the padding: to search would take as long as both together,
    # many times over.
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
    """The message as it came, or as somebody has changed it since; without what follows it."""
    sets = message.fields.get("sets")
    untouched = getattr(sets, "octets", None) is not None or not sets
    if message.raw_packet_cache is not None and untouched:
        return message.raw_packet_cache
    alone = message.copy()
    alone.remove_payload()
    return bytes(alone)


def _trailing(message: Message, length: int) -> int:
    """Octets of the datagram behind the message; what trails in Ethernet is none of them."""
    if not message.payload:
        return 0
    udp = message.underlayer
    if udp.__class__ is UDP and udp.fields.get("len"):
        return max(0, min(udp.len - _UDP_HEADER - length, len(message.payload)))
    return len(message.payload)


def _bind(message: Message, read: MessageRead) -> None:
    message.context = read
    sets = message.fields.get("sets")
    if type(sets) is LazyPacketList and sets.octets is not None:
        return  # nobody has looked: they will ask the context
    for index, each in enumerate(sets or ()):
        if isinstance(each, DataSet):
            template = read.template(index)
            if template is not None and each.template is None:
                each.bind(template, read.lists(index))
            read.made(index, each)


def _utc(seconds: int | None) -> str:
    return "" if seconds is None else _seconds.to_text(seconds)


def stats_table(domains: Iterable[Domain]) -> Table[StatsRow]:
    """Return the counters of observation domains as a table."""
    rows = []
    for domain in domains:
        stats = domain.stats
        rows.append(
            StatsRow(
                str(domain.transport),
                domain.id,
                "v9" if domain.version == 9 else "IPFIX",
                stats.messages,
                stats.octets,
                stats.templates,
                stats.records,
                stats.undecoded_sets,
                domain.sequence.lost_text,
                domain.sequence.reordered,
                _utc(stats.first_export),
                _utc(stats.last_export),
            )
        )
    return Table(StatsRow._fields, rows)

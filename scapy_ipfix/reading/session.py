# SPDX-License-Identifier: GPL-2.0-or-later
"""`IPFIXSession`: template state for packets that are sniffed, read or at hand.

A session owns a :class:`~scapy_ipfix.collector.collector.Collector`, which keeps the state,
and a :class:`~scapy_ipfix.reading.packetreader.PacketReader`, which finds messages in packets.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any, Literal

from scapy.packet import Packet
from scapy.sessions import DefaultSession, TCPSession

from scapy_ipfix.collector.collector import Collector, Limits
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.metadata import MetadataRow, metadata_table
from scapy_ipfix.collector.persistence import load_state, save_state
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.reading.packetreader import PacketReader
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.reading.tables import (
    StatsRow,
    TemplateRow,
    find_template,
    stats_table,
    template_table,
)
from scapy_ipfix.text import Table
from scapy_ipfix.wire.diagnostics import Diagnostics
from scapy_ipfix.wire.template import Template


class IPFIXSession(DefaultSession):
    """Template state of exporters, by which Data Sets become Data Records.

    Use it as ``sniff(session=IPFIXSession)``, or make one and look at it afterwards::

        s = IPFIXSession()
        sniff(offline="x.pcap", session=s)
        s.templates, s.stats, s.metadata, s.diagnostics
        s.template(256)

    ``supersession``
        another Scapy session that packets pass first, such as ``TCPSession``.
    ``scope``
        "session": a template belongs to a transport session (addresses and ports) and
        Observation Domain (RFC 7011 8), in NetFlow v9 to a sourceId (RFC 3954 5.1).
        "exporter": to the addresses alone, for exporters that send from several ports.
    ``any_port``
        False reads only messages on ports that are bound, see ``bind_port``.
    ``model``
        names and types of Information Elements.
    ``limits``
        upper limits of what is kept.
    ``template_timeout``
        seconds, in capture time, after which a template that was not refreshed over UDP
        expires (RFC 7011 8.4); None keeps it.
    ``check_values``
        True decodes every record, for diagnostics of its values.
    ``learn_elements``
        False ignores the elements that exporters describe (RFC 5610).
    ``lenient``
        True reads Template FlowSets of NetFlow v9 in IPFIX messages, and Template Sets of
        IPFIX in NetFlow v9, which some exporters send.
    ``deduplicate``
        False reads the second copies of packets, too. Linux shows each packet of its loopback
        interface twice; :attr:`duplicates` counts the copies.
    ``ntp_epoch``
        1970 reads dateTimeMicroseconds and dateTimeNanoseconds of exporters that count their
        seconds from 1970 instead of 1900 (RFC 7011 6.1.9).

    Data Sets that arrive before their template are kept, and resolved in place when it
    arrives. Nothing that a capture holds raises an error; :attr:`diagnostics` lists what is
    wrong. While one thread feeds the session, as an AsyncSniffer does, others may read its
    tables and diagnostics and save it.

    Raises ValueError for an unknown ``scope``.
    """

    def __init__(
        self,
        supersession: Any = None,
        *,
        scope: Literal["session", "exporter"] = "session",
        any_port: bool = True,
        model: InformationModel = elements,
        limits: Limits | None = None,
        template_timeout: float | None = None,
        check_values: bool = False,
        learn_elements: bool = True,
        ntp_epoch: int = 1900,
        lenient: bool = False,
        deduplicate: bool = True,
    ) -> None:
        super().__init__(supersession)
        #: The Collecting Process itself: state by Observation Domain.
        self.collector = Collector(
            scope=scope,
            model=model.with_ntp_epoch(ntp_epoch),
            limits=limits,
            template_timeout=template_timeout,
            check_values=check_values,
            learn_elements=learn_elements,
            lenient=lenient,
        )
        #: Held while a packet or a message changes the state, and while tables are made of it.
        self._lock = threading.RLock()
        # After a TCPSession, a packet has whole messages in place of its segment.
        with_tcp = not isinstance(self.supersession, TCPSession)
        self._reader = PacketReader(
            self.collector, any_port=any_port, with_tcp=with_tcp, deduplicate=deduplicate
        )

    def process(self, pkt: Packet) -> Packet | None:
        """Read the messages in a packet and return the packet, with Data Sets resolved.

        An IP fragment returns None until the datagram is complete, then the whole packet. The
        second copy of a packet on the loopback interface returns None, see ``deduplicate``.
        """
        with self._lock:
            if self._reader.leaves_out(pkt):
                return None
        if self.supersession:
            pkt = self.supersession.process(pkt)
            if not pkt:
                return None
        reader = self._reader
        with self._lock:
            reader.count += 1
            whole = reader.reassemble(pkt)
            if whole is not None:
                reader.read_messages(whole)
        return whole

    def recv(self, sock: Any) -> Iterator[Packet]:
        """Yield the packet that ``sniff()`` receives next; at the end, note what is incomplete."""
        try:
            yield from super().recv(sock)
        except EOFError:
            with self._lock:
                self._reader.note_incomplete(getattr(sock, "filename", "the capture"))
            raise

    # -- tables

    @property
    def packets(self) -> int:
        """Number of packets so far; diagnostics count them from 1."""
        return self._reader.count

    @property
    def duplicates(self) -> int:
        """Number of packets that were second copies on the loopback interface."""
        return self._reader.duplicates

    @property
    def other_protocols(self) -> dict[str, int]:
        """Number of UDP datagrams of other flow protocols so far, by name.

        For example ``{"NetFlow v5, read by scapy.layers.netflow": 3}``.
        """
        return dict(self._reader.other_protocols)

    @property
    def source_files(self) -> SourceFiles:
        """The files of the packets so far."""
        return self._reader.files

    @property
    def templates(self) -> Table[TemplateRow]:
        """The templates in force, a table of named tuples."""
        with self._lock:
            return template_table(self.collector.domains)

    def template(
        self, template_id: int, *, domain: int | None = None, exporter: str | None = None
    ) -> Template:
        """Return a template in force: ``template(256, domain=7, exporter="192.0.2.1")``.

        ``domain`` is an Observation Domain id (RFC 7011 3.1), in NetFlow v9 a sourceId.
        ``exporter`` is an address, with ``:port`` or without. Raises LookupError if there is
        no such template, ValueError if several match that are not equal.
        """
        with self._lock:
            return find_template(self.collector.domains, template_id, domain, exporter)

    @property
    def stats(self) -> Table[StatsRow]:
        """Counters by exporter and Observation Domain, a table of named tuples."""
        with self._lock:
            return stats_table(self.collector.domains)

    @property
    def metadata(self) -> Table[MetadataRow]:
        """Facts from options data: sampling, interfaces, applications, counters; a table."""
        with self._lock:
            return metadata_table(self.collector.metadata)

    @property
    def diagnostics(self) -> Diagnostics:
        """The defects found so far, each with the section of its RFC."""
        return self.collector.diagnostics

    # -- persistence

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write templates, learned elements and metadata to a file (JSON). Raises OSError."""
        with self._lock:
            save_state(self.collector, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **arguments: Any) -> IPFIXSession:
        """Return a session with the state that :meth:`save` wrote.

        ``arguments`` are those of the class. Raises OSError, and ValueError for a file that
        :meth:`save` did not write.
        """
        session = cls(**arguments)
        load_state(session.collector, path)
        return session

    def __repr__(self) -> str:
        with self._lock:
            return self._summary(list(self.collector.domains))

    def _summary(self, domains: list[Domain]) -> str:
        return (
            f"<{type(self).__name__}: {self.packets} packets, "
            f"{sum(each.stats.messages for each in domains)} messages, "
            f"{sum(each.stats.records for each in domains)} records, "
            f"{sum(len(each.templates) for each in domains)} templates, "
            f"{len(domains)} domains, {sum(self.diagnostics.counts.values())} diagnostics>"
        )

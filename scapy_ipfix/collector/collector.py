# SPDX-License-Identifier: GPL-2.0-or-later
"""Collecting Process of RFC 7011: messages and their state, without packets.

A :class:`Collector` reads messages of any number of exporters, each into a
:class:`~scapy_ipfix.collector.collected.CollectedMessage`. Its parts:

- :class:`~scapy_ipfix.collector.domaintable.DomainTable` has a
  :class:`~scapy_ipfix.collector.domain.Domain` for each Observation Domain, with a
  :class:`~scapy_ipfix.collector.templatestore.TemplateStore` and sequence numbers;
- :class:`~scapy_ipfix.collector.messagereader.MessageReader`, one for each message, reads Sets;
- :class:`~scapy_ipfix.collector.pending.PendingSets` has the Data Sets without a template;
- :class:`~scapy_ipfix.collector.learnedtypes.LearnedTypes` and
  :class:`~scapy_ipfix.collector.metadata.Metadata` have what options data say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scapy_ipfix.collector.collected import CollectedMessage
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.domaintable import DomainTable
from scapy_ipfix.collector.learnedtypes import LEARNED_IN_ALL, LearnedTypes
from scapy_ipfix.collector.messagereader import Clearable, CollectorParts, MessageReader
from scapy_ipfix.collector.metadata import FACTS, Metadata
from scapy_ipfix.collector.pending import PendingSets
from scapy_ipfix.collector.sequence import SharedSequence, StreamLimit, StreamTrackers
from scapy_ipfix.collector.supersededtemplates import FIELDS, SupersededTemplates
from scapy_ipfix.collector.templateparser import TemplateParser
from scapy_ipfix.collector.templatestore import TemplateQuota, TemplateStore
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.wire.diagnostics import Defect, Diagnostic, Diagnostics, cite_version
from scapy_ipfix.wire.framing import (
    IPFIX_HEADER,
    IPFIX_VERSION,
    PROTOCOLS,
    V9_HEADER,
    V9_VERSION,
    find_message_end,
    without_cut,
)
from scapy_ipfix.wire.otherprotocols import unread_defect

_seconds = data_type("dateTimeSeconds")
#: Seconds between export time and capture time that are worth a diagnostic.
_FAR = 3600
#: Milliseconds that a late message may be behind; and the least that sysUptime falls by when
#: its 32 bits overflow.
_UPTIME_SLACK = 60_000
_UPTIME_WRAP = (1 << 32) - 3_600_000
#: Milliseconds by which the time of boot may vary: the export time has whole seconds.
_CLOCK_SLACK = 1_500


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what a session keeps in memory (RFC 7011 11.4).

    Exporters in regular operation do not reach the defaults. At a bound the least recently
    used entry is dropped, with the diagnostic ``limit``.

    ================== ======== ====================================================
    attribute          default  limits
    ================== ======== ====================================================
    transports         4,096    Transport Sessions; TCP connections and SCTP
                                associations that are followed
    domains            4,096    Observation Domains
    templates          65,536   templates of all exporters
    template_fields    524,288  fields of all templates together
    pending_octets     16 MiB   Data Sets that are kept until their template arrives
    fragment_octets    16 MiB   incomplete IP fragments; as much again of TCP
                                segments and of SCTP chunks
    elements           65,536   Information Elements described by exporters
                                (RFC 5610); those of one exporter go together
    metadata           131,072  facts from options records and their former values;
                                a long value counts as several
    diagnostics        10,000   diagnostics; later ones are counted, not kept
    streams            4,096    SCTP streams whose sequence numbers are followed,
                                besides the first of each domain
    ================== ======== ====================================================
    """

    transports: int = 4096
    domains: int = 4096
    templates: int = 65536
    template_fields: int = 1 << 19
    pending_octets: int = 16 * 1024 * 1024
    fragment_octets: int = 16 * 1024 * 1024
    elements: int = LEARNED_IN_ALL
    metadata: int = FACTS
    diagnostics: int = 10_000
    streams: int = 4096


def _read_header(octets: bytes) -> tuple[int, int, int, int, int, int, Defect | None] | None:
    """Return version, export time, sequence number, domain id of a message, and its Sets' bounds.

    These are the offsets of its first Set and of its end, followed by a defect for a wrong
    length (RFC 7011 3.1, RFC 3954 5.1). None for an incomplete header, or another version.
    """
    version, size = int.from_bytes(octets[:2], "big"), len(octets)
    if version == IPFIX_VERSION and size >= IPFIX_HEADER.size:
        _, stop, exported, sequence, domain_id = IPFIX_HEADER.unpack_from(octets)
        defect = None
        if stop != size:
            stop, defect = find_message_end(octets)
        return version, exported, sequence, domain_id, IPFIX_HEADER.size, stop, defect
    if version == V9_VERSION and size >= V9_HEADER.size:
        _, _, _, exported, sequence, domain_id = V9_HEADER.unpack_from(octets)
        return version, exported, sequence, domain_id, V9_HEADER.size, size, None
    return None


def _find_header_defect(octets: bytes, missing: int) -> Defect:
    """Return the defect of octets without a whole header of version 9 or 10."""
    version = int.from_bytes(octets[:2], "big")
    if version not in PROTOCOLS and len(octets) > 1:
        return unread_defect(octets)
    defect = Defect.make("header-truncated", available=len(octets))
    if missing:
        defect = Defect.make("packet-cut", octets=missing)
    return cite_version([defect], version)[0] if version == V9_VERSION else defect


class Collector:
    """Reader of messages, which keeps the state of each exporter apart.

    ``scope`` "session" keeps templates by Transport Session (RFC 7011 8), "exporter" leaves
    the ports out, for exporters that send templates from another port than data. ``model``
    names the elements. ``template_timeout`` (seconds of capture time) expires templates that
    are not refreshed over UDP (RFC 7011 8.4); None keeps them. ``check_values`` decodes every
    record to find wrong values. ``learn_elements`` learns the elements that an exporter
    describes (RFC 5610), for its own Transport Session. ``lenient`` reads Template FlowSets of
    NetFlow v9 in IPFIX messages, and Template Sets of IPFIX in NetFlow v9. Raises ValueError
    for another scope.
    """

    def __init__(
        self,
        *,
        scope: str = "session",
        model: InformationModel = elements,
        limits: Limits | None = None,
        template_timeout: float | None = None,
        check_values: bool = False,
        learn_elements: bool = True,
        lenient: bool = False,
    ) -> None:
        if scope not in ("session", "exporter"):
            raise ValueError(f"scope is 'session' or 'exporter', not {scope!r}")
        limits = limits or Limits()
        self.scope = scope
        self.limits = limits
        self.model = model
        self.template_timeout = template_timeout
        self.check_values = check_values
        self.learned_types = LearnedTypes(model, limits.elements)
        self.metadata = Metadata(limits.metadata)
        self.diagnostics = Diagnostics(limits.diagnostics)
        self.quota = TemplateQuota(limits.templates, limits.template_fields)
        self.superseded = SupersededTemplates(min(FIELDS, limits.template_fields))
        self.streams = StreamLimit(limits.streams)
        self.pending = PendingSets(limits.pending_octets)
        self.parser = TemplateParser()
        self.domains = DomainTable(
            self._make_domain,
            self.pending,
            domains=limits.domains,
            sessions=limits.transports,
            by_exporter=scope == "exporter",
        )
        self._parts = CollectorParts(
            self.learned_types,
            self.metadata,
            self.pending,
            self.parser,
            self.diagnostics,
            template_timeout,
            check_values,
            learn_elements,
            lenient,
            self.domains,
        )
        #: Records of the last message that were decoded already, kept until the next one.
        self._caches: Sequence[Clearable] = ()

    def _make_domain(
        self, transport: TransportKey, version: int, domain_id: int, shared: SharedSequence
    ) -> Domain:
        learned_types, quota, superseded = self.learned_types, self.quota, self.superseded
        return Domain(
            transport,
            version,
            domain_id,
            TemplateStore(transport, version, learned_types, quota, superseded),
            StreamTrackers(version, self.streams),
            shared,
            self.metadata,
            self.diagnostics,
        )

    def read(
        self,
        transport: TransportKey,
        octets: bytes,
        time: float = 0.0,
        packet: int = 0,
        stream: int = 0,
        missing: int = 0,
    ) -> CollectedMessage | None:
        """Read one message; None for octets without a whole header of version 9 or 10.

        ``time`` is the capture time (seconds since 1970), ``packet`` the number of the packet
        in diagnostics, from 1. ``stream`` is that of SCTP, each with its own sequence numbers.
        ``missing`` octets at the end of the message are not in the capture.
        """
        for cache in self._caches:
            cache.clear()
        header = _read_header(octets)
        if header is None:
            defect = _find_header_defect(octets, missing)
            self.diagnostics.note(Diagnostic(defect, packet, str(transport)))
            return None
        version, exported, sequence, domain_id, start, stop, wrong = header
        domain = self.domains.find(transport, version, domain_id)
        if domain is None:
            domain = self.domain(transport, version, domain_id, packet)
        if domain.ended:
            self.domains.reopen(domain)
        if missing:
            domain.note("packet-cut", packet, octets=missing)
        if wrong is not None:
            domain.note_defects(without_cut((wrong,), missing), packet)
        if stop < len(octets):
            domain.note("message-trailing", packet, octets=len(octets) - stop)
        if domain.stats.first_export is None:
            _begin_export(domain, exported, time, packet)
        message = CollectedMessage(domain, exported, sequence, octets, time, packet, missing)
        if version == V9_VERSION:
            _check_uptime(message)
        self._caches = MessageReader(self._parts, message).read_sets(start, stop)
        if version == V9_VERSION:
            _check_count(message)
        domain.count_message(message.counts, stop, message.records, packet, stream)
        return message

    def domain(
        self, transport: TransportKey, version: int, domain_id: int, packet: int = 0
    ) -> Domain:
        """Return an Observation Domain, a new one for an unknown one."""
        domain = self.domains.find(transport, version, domain_id)
        if domain is None:
            domain, defects = self.domains.add(transport, version, domain_id)
            self.diagnostics.add_all(defects, packet, version=version)
        return domain

    def end(self, transport: TransportKey) -> None:
        """End a Transport Session: its templates go, its counters stay (RFC 7011 8.1)."""
        self.domains.end(transport)


def _begin_export(domain: Domain, exported: int, time: float, packet: int) -> None:
    """Record the first export time of a domain; note one far from the capture time."""
    domain.stats.first_export = exported
    if time and abs(time - exported) > _FAR:
        seconds = round(abs(time - exported))
        domain.note("export-time", packet, exported=_seconds.to_text(exported), seconds=seconds)


def _check_count(message: CollectedMessage) -> None:
    """Note a NetFlow v9 header whose count of records disagrees with them (RFC 3954 5.1)."""
    count = int.from_bytes(message.octets[2:4], "big")
    records = message.records + message.templates
    is_known = not (message.pending or message.missing or message.is_truncated)
    if is_known and count != records & 0xFFFF:
        message.domain.note("count-disagrees", message.packet, count=count, records=records)


def _check_uptime(message: CollectedMessage) -> None:
    """Recognise the restart of a NetFlow v9 exporter by its sysUptime (RFC 3954 5.1).

    The uptime of a late message falls as well, but not the time since which it counts. After a
    restart that began to count messages anew, template ids may be used for other templates:
    Data Sets wait until theirs arrives (RFC 3954 9).
    """
    domain, octets = message.domain, message.octets
    stats = domain.stats
    before = stats.uptime
    uptime = int.from_bytes(octets[4:8], "big")
    booted = message.export_time * 1000 - uptime
    previous, stats.booted = stats.booted, booted
    stats.uptime = uptime
    last = domain.sequence.last
    least, stats.least_uptime = stats.least_uptime, min(stats.least_uptime, uptime)
    if before is None or previous is None or not 0 < before - uptime < _UPTIME_WRAP:
        return
    fell = before - uptime > _UPTIME_SLACK and booted - previous > _CLOCK_SLACK
    is_reset = last is not None and message.sequence < last.number
    # A number seen before would be a duplicate; an uptime below all others tells them apart.
    first = is_reset and uptime < least and booted - previous > _CLOCK_SLACK
    if fell or first:
        message.restarted = True
        domain.note("exporter-restart", message.packet, before=before, uptime=uptime)
        stats.least_uptime = uptime
        if is_reset:
            domain.templates.clear()

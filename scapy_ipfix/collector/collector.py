# SPDX-License-Identifier: GPL-2.0-or-later
"""Template state without packets: what RFC 7011 calls the Collecting Process.

    Collector -- by transport session --> Transport -- by observation domain --> Domain

A :class:`Domain` owns its templates. :meth:`Collector.read` takes the octets of one message
and gives a :class:`CollectedMessage`, which says for each Data Set where it is and what template
it goes by. :mod:`scapy_ipfix.reading.session` puts that to packets,
:mod:`scapy_ipfix.reading.reader` to records; neither reads a set of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scapy_ipfix.collector.collected import CollectedMessage, CollectedSet
from scapy_ipfix.collector.domain import Domain, ForNow, Parsed
from scapy_ipfix.collector.learnedtypes import (
    IN_A_MESSAGE,
    LEARNED_IN_ALL,
    Allowance,
    LearnedTypes,
    is_type_information,
)
from scapy_ipfix.collector.metadata import FACTS, Metadata, is_metadata
from scapy_ipfix.collector.sequence import SharedSequence
from scapy_ipfix.collector.shrinking import remake
from scapy_ipfix.collector.supersededtemplates import FIELDS, SupersededTemplates
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.wire.diagnostics import Defect, Diagnostic, Diagnostics, shown_octets
from scapy_ipfix.wire.framing import (
    IPFIX_HEADER,
    IPFIX_VERSION,
    SHORTEST_TEMPLATE,
    TEMPLATE_SETS,
    V9_HEADER,
    V9_VERSION,
    TemplateSpan,
    find_message_end,
    walk_templates,
)
from scapy_ipfix.wire.template import Template

#: How many templates are taken from one message; withdrawals beside. Who exports has some dozens.
TEMPLATES_IN_A_MESSAGE = 512
#: Template Sets of up to so many octets are remembered with what they parse to.
_REMEMBERED_SET = 4096
_REMEMBERED_SETS = 1024
#: Octets of all of them: templates of unknown elements take a hundred times as many.
_REMEMBERED_OCTETS = 1 << 18
#: What Sets of options are looked into for.
_LEARNING = "options are learned from"
_seconds = data_type("dateTimeSeconds")
#: An export time so many seconds away from the capture's is worth a word.
_FAR = 3600
#: Milliseconds that a late message may be behind; and that uptime falls by when it wraps.
_UPTIME_SLACK = 60_000
_UPTIME_WRAP = (1 << 32) - 3_600_000
#: What a waiting Data Set costs beside its octets, about.
_PENDING_OVERHEAD = 300


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


class Collector:
    """Reads messages of any number of exporters and keeps their templates apart.

    ``scope`` "session" keeps templates by transport session (RFC 7011 8), "exporter" leaves
    the ports out, for exporters that send templates from another port than data. ``model``
    names the elements. ``template_timeout`` (seconds of capture time) forgets templates that
    are not refreshed over UDP (RFC 7011 8.4); None keeps them. ``check_values`` decodes every
    record to see what is wrong with its values. ``learn_elements`` takes elements that an
    exporter defines for itself (RFC 5610), in its own transport session.
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
    ) -> None:
        if scope not in ("session", "exporter"):
            raise ValueError(f"scope is 'session' or 'exporter', not {scope!r}")
        self.scope = scope
        self.limits = limits or Limits()
        self.learn_elements = learn_elements
        self.model = model
        self.learned_types = LearnedTypes(model, self.limits.elements)
        self.allowance = Allowance()
        self.metadata = Metadata(self.limits.metadata)
        self.superseded = SupersededTemplates(min(FIELDS, self.limits.template_fields))
        self.template_timeout = template_timeout
        self.check_values = check_values
        self.diagnostics = Diagnostics(self.limits.diagnostics)
        #: Where and when the message is that is being read, for diagnostics.
        self.packet = 0
        self.time = 0.0
        self._domains: OrderedDict[tuple[TransportKey, int, int], Domain] = OrderedDict()
        #: By transport session, those that something came for since its connection last ended.
        self._open: dict[TransportKey, dict[tuple[int, int], Domain]] = {}
        #: How many fields each template has.
        self._templates: OrderedDict[tuple[Domain, int], int] = OrderedDict()
        self._fields = 0
        #: The SCTP streams of domains, as they were used.
        self._streams: OrderedDict[tuple[Domain, int], None] = OrderedDict()
        self._pending: OrderedDict[int, tuple[Domain, CollectedSet]] = OrderedDict()
        self._pending_octets = 0
        self._parsed: dict[tuple[Any, ...], Parsed] = {}
        self._parsed_octets = 0
        self._shared: dict[TransportKey, SharedSequence] = {}
        self._recent: Domain | None = None
        self.looked_into: dict[str, int] = {}
        self.findings = 0
        #: What is remembered of the last message, for who asks for its records next.
        self.for_now: list[ForNow] = []
        #: Records of type information in the message that is being read.
        self._described = 0

    @property
    def domains(self) -> Iterator[Domain]:
        """Every observation domain heard of, in no particular order."""
        return iter(self._domains.values())

    def read(
        self,
        transport: TransportKey,
        octets: bytes,
        time: float = 0.0,
        packet: int = 0,
        stream: int = 0,
    ) -> CollectedMessage | None:
        """Reads one message; None for octets that are no whole header of version 9 or 10.

        ``time`` is the capture's (seconds since 1970), ``packet`` its number there from 1:
        diagnostics say it. ``stream`` is SCTP's, each of which has its own sequence.
        """
        self.time, self.packet = time, packet
        self._described = self.findings = 0
        self.looked_into.clear()
        for each in self.for_now:
            each.clear()
        self.for_now.clear()
        self.metadata.begin()
        self.allowance = Allowance()  # that of an earlier message is for its lists, whenever read
        version = int.from_bytes(octets[:2], "big")
        uptime = None
        if version == IPFIX_VERSION and len(octets) >= IPFIX_HEADER.size:
            _, stop, exported, sequence, domain_id = IPFIX_HEADER.unpack_from(octets)
            defect = None
            if stop != len(octets):
                stop, defect = find_message_end(octets)
            start = IPFIX_HEADER.size
        elif version == V9_VERSION and len(octets) >= V9_HEADER.size:
            _, _, uptime, exported, sequence, domain_id = V9_HEADER.unpack_from(octets)
            stop, defect = len(octets), None
            start = V9_HEADER.size
        else:
            defect = Defect.make("header-truncated", available=len(octets))
            self.diagnostics.note(Diagnostic(defect, packet, str(transport)))
            return None
        domain = self.domain(transport, version, domain_id)
        if domain.ended:
            self._opened(domain)
        if defect is not None:
            domain.note_defects((defect,))
        if stop < len(octets):
            domain.note("message-trailing", octets=len(octets) - stop)
        stats = domain.stats
        if stats.first_export is None:
            stats.first_export = exported
            if time and abs(time - exported) > _FAR:
                seconds = round(abs(time - exported))
                domain.note("export-time", exported=_seconds.to_text(exported), seconds=seconds)
        stats.messages += 1
        stats.octets += stop
        stats.last_export = exported
        message = CollectedMessage(version, domain, exported, sequence, octets)
        domain.read_sets(message, octets, start, stop)
        if uptime is None:
            counts, shared = message.counts, domain.shared
            domain.follow(counts, shared.last, stream)
            shared.last = counts
        else:
            self._check_v9(domain, message, uptime)
        return message

    def _check_v9(self, domain: Domain, message: CollectedMessage, uptime: int) -> None:
        """What only NetFlow v9 has: a count of records, and the time since boot."""
        stats = domain.stats
        count = int.from_bytes(message.octets[2:4], "big")
        records = message.records + message.templates
        if count != records & 0xFFFF and not message.waiting:
            domain.note("count-disagrees", count=count, records=records)
        domain.follow(message.counts, None)
        before, stats.uptime = stats.uptime, uptime
        if before is not None and _UPTIME_SLACK < before - uptime < _UPTIME_WRAP:
            domain.note("exporter-restart", before=before, uptime=uptime)

    def end(self, transport: TransportKey) -> None:
        """A connection ended: its templates go along (RFC 7011 8.1), its counters stay."""
        for domain in self._open.pop(transport, {}).values():
            domain.end()
        self._shared_sequence(transport).last = None

    def domain(self, transport: TransportKey, version: int, domain_id: int) -> Domain:
        """The state of an observation domain, new if it was not heard of."""
        if self.scope == "exporter":
            transport = TransportKey(
                transport.protocol, transport.source, None, transport.destination, None
            )
        recent = self._recent
        if (
            recent is not None
            and recent.transport is transport
            and recent.id == domain_id
            and recent.version == version
        ):
            return recent  # most messages follow one of the same domain
        key = transport, version, domain_id
        domain = self._domains.get(key)
        if domain is None:
            domain = Domain(self, transport, version, domain_id)
            self._domains[key] = domain
            self._opened(domain)
            domain.shared = self._shared_sequence(transport)
            if len(self._domains) > self.limits.domains:
                self._drop_domain()
        else:
            self._domains.move_to_end(key)
        self._recent = domain
        return domain

    def _opened(self, domain: Domain) -> None:
        """There is something in a domain that goes when its connection ends."""
        domain.ended = False
        self._open.setdefault(domain.transport, {})[domain.version, domain.id] = domain

    def _shared_sequence(self, transport: TransportKey) -> SharedSequence:
        shared = self._shared.get(transport)
        if shared is None:
            if len(self._shared) >= self.limits.transports:
                self._shared.clear()
            shared = self._shared[transport] = SharedSequence()
        return shared

    def _drop_domain(self) -> None:
        _, oldest = self._domains.popitem(last=False)
        siblings = self._open.get(oldest.transport, {})
        siblings.pop((oldest.version, oldest.id), None)
        if not siblings:
            self._open.pop(oldest.transport, None)
        elif len(siblings).bit_count() == 1:
            remake(siblings)  # each time that half of them are gone
        self._recent = None
        oldest.end()
        for stream in oldest.streams:
            del self._streams[oldest, stream]
        oldest.streams.clear()
        self._limit("observation domains", self.limits.domains)

    def parse(self, domain: Domain, body: bytes, options: bool, index: int, taken: int) -> Parsed:
        """The templates in the body of a Set, with what is wrong with each.

        ``taken`` is how many the message had before: there is none for those beyond
        :data:`TEMPLATES_IN_A_MESSAGE`. Exporters repeat their templates: equal octets give the
        same Template objects again.
        """
        key = domain.version, options, self.learned_types.version(domain.transport), body
        parsed = self._parsed.get(key)
        if parsed is not None and taken + len(parsed) <= TEMPLATES_IN_A_MESSAGE:
            return parsed
        spans, defects, stop = walk_templates(body, options=options, version=domain.version)
        version, model = domain.version, domain.model
        parsed = []
        for span in spans:
            is_withdrawal = not span.specifiers and version == IPFIX_VERSION
            if is_withdrawal or taken < TEMPLATES_IN_A_MESSAGE:
                parsed.append(_parse(span, version, model, options))
            else:
                if taken == TEMPLATES_IN_A_MESSAGE:
                    domain.note("templates-many", index, limit=TEMPLATES_IN_A_MESSAGE)
                parsed.append((span, None, []))
            taken += not is_withdrawal
        domain.note_defects(defects, index)
        rest = body[stop:]
        kind = TEMPLATE_SETS[domain.version][options]
        if rest and not defects and rest.count(0) != len(rest):
            domain.note("padding-nonzero", index, set_id=kind, octets=shown_octets(rest))
        elif len(rest) >= SHORTEST_TEMPLATE and not defects:
            size = len(rest)
            domain.note("padding-long", index, set_id=kind, padding=size, record=SHORTEST_TEMPLATE)
        elif not defects and taken <= TEMPLATES_IN_A_MESSAGE and len(body) <= _REMEMBERED_SET:
            self._parsed_octets += len(body)
            if len(self._parsed) >= _REMEMBERED_SETS or self._parsed_octets > _REMEMBERED_OCTETS:
                self._parsed.clear()
                self._parsed_octets = len(body)
            self._parsed[key] = parsed
        return parsed

    def learn(self, domain: Domain, template: Template, read: CollectedSet, late: bool) -> None:
        """Learns from Options Data Records: elements (RFC 5610) and metadata.

        Those that came ``late`` are of another message, whose Sets are not counted.
        """
        if not late and domain.is_done_with(_LEARNING):
            return
        describes = self.learn_elements and is_type_information(template)
        describes = describes and self._described <= IN_A_MESSAGE
        states = not self.metadata.is_full and is_metadata(template)
        if not (describes or states):
            return
        if not late and not domain.looks_into(read, _LEARNING):
            return
        records = read.options()
        self.for_now.append(read)
        if states:
            defects = self.metadata.learn(domain.key, template, records, self.time)
            if defects:
                domain.note_defects(defects)
        if describes:
            self._learn_elements(domain, records)

    def _learn_elements(self, domain: Domain, records: list[dict[str, Any]]) -> None:
        room = IN_A_MESSAGE - self._described
        self._described += len(records)
        if self._described > IN_A_MESSAGE:
            domain.note("elements-many", limit=IN_A_MESSAGE)
            records = records[:room]
        lesson = self.learned_types.learn(domain.transport, records)
        domain.note_defects(lesson.defects)

    # -- bounds

    def template_defined(self, domain: Domain, template: Template) -> None:
        """Counts a template; those not defined for longest go when there are too many."""
        key = domain, template.id
        fields = len(template.fields)
        self._fields += fields - self._templates.pop(key, 0)
        self._templates[key] = fields
        limits = self.limits
        while len(self._templates) > limits.templates:
            self._drop_template("templates", limits.templates)
        while self._fields > limits.template_fields and len(self._templates) > 1:
            self._drop_template("fields of templates", limits.template_fields)

    def _drop_template(self, what: str, limit: int) -> None:
        domain, oldest = next(iter(self._templates))
        domain.forget(oldest)
        self._limit(what, limit)

    def template_forgotten(self, domain: Domain, template_id: int) -> None:
        self._fields -= self._templates.pop((domain, template_id), 0)

    def stream_used(self, domain: Domain, number: int) -> None:
        """Counts an SCTP stream; the least recently used goes when there are too many.

        It begins anew when it is heard of again: that loses a gap, and invents none.
        """
        key = domain, number
        self._streams[key] = None
        self._streams.move_to_end(key)
        if len(self._streams) > self.limits.streams:
            (oldest, stream), _ = self._streams.popitem(last=False)
            oldest.drop_stream(stream)

    def now_pending(self, domain: Domain, read: CollectedSet) -> None:
        """Counts the octets of a Data Set that waits; the oldest go when there are too many."""
        self._pending[id(read)] = domain, read
        self._pending_octets += read.stop + _PENDING_OVERHEAD
        while self._pending_octets > self.limits.pending_octets:
            domain, oldest = next(iter(self._pending.values()))
            self.no_longer_pending(oldest)
            waiting = domain.pending[oldest.set_id]
            waiting.popleft()
            if not waiting:
                domain.waited_for(oldest.set_id)
            self._limit("octets waiting for templates", self.limits.pending_octets)

    def no_longer_pending(self, read: CollectedSet) -> None:
        del self._pending[id(read)]
        self._pending_octets -= read.stop + _PENDING_OVERHEAD

    def _limit(self, what: str, limit: int) -> None:
        self.diagnostics.add("limit", {"what": what, "limit": limit}, self.packet)


def _parse(
    span: TemplateSpan, version: int, model: InformationModel, options: bool
) -> tuple[TemplateSpan, Template | None, list[Defect]]:
    if not span.specifiers:
        if version == IPFIX_VERSION:
            return span, None, []
        return span, None, Template.from_fields(span.template_id, ()).defects()
    template = Template.from_wire(span, version, model, options)
    defects = template.defects(version)
    if options and version == IPFIX_VERSION:
        scope, fields = span.scope_count, len(span.specifiers)
        if not 0 < scope <= fields:
            defects.append(
                Defect.make(
                    "template-scope", template_id=span.template_id, scope=scope, fields=fields
                )
            )
    if span.enterprise_zero is not None:
        defects.append(
            Defect.make("enterprise-zero", template_id=span.template_id, id=span.enterprise_zero)
        )
    return span, template, defects

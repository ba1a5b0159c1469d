# SPDX-License-Identifier: GPL-2.0-or-later
"""Template state without packets: what RFC 7011 calls the Collecting Process.

    Collector -- by transport session --> Transport -- by observation domain --> Domain

A :class:`Domain` owns its templates. :meth:`Collector.read` takes the octets of one message
and gives a :class:`MessageRead`, which says for each Data Set where it is and what template
it goes by. :mod:`scapy_ipfix.session` puts that to packets, :mod:`scapy_ipfix.reader` to
records; neither reads a set of its own.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from scapy_ipfix.diagnostics import Defect, Diagnostic, Diagnostics
from scapy_ipfix.elements import InformationModel, elements
from scapy_ipfix.structured import ListContext, lists_read
from scapy_ipfix.templates import Template
from scapy_ipfix.wire import (
    IPFIX_HEADER,
    IPFIX_VERSION,
    MINIMUM_DATA_SET,
    TEMPLATE_SETS,
    V9_HEADER,
    V9_VERSION,
    TemplateSpan,
    message_stop,
    walk_sets,
    walk_templates,
)

#: Template Sets of up to so many octets are remembered with what they parse to.
_REMEMBERED_SET = 4096
_REMEMBERED_SETS = 1024
#: What a waiting Data Set costs beside its octets, about.
_PENDING_OVERHEAD = 300


class TransportKey(NamedTuple):
    """A transport session (RFC 7011 2): protocol, source and destination with their ports."""

    protocol: str
    source: str = ""
    source_port: int | None = None
    destination: str = ""
    destination_port: int | None = None

    def __str__(self) -> str:
        if not self.source:
            return self.protocol
        return f"{_endpoint(self.source, self.source_port)}"


def _endpoint(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that a collector keeps; least recently used goes first. See the README."""

    transports: int = 4096
    domains: int = 4096
    templates: int = 65536
    pending_octets: int = 16 * 1024 * 1024
    fragment_octets: int = 16 * 1024 * 1024
    diagnostics: int = 10_000


class Waiting(Protocol):
    """A Data Set packet that wants its template as soon as it is known."""

    def bind(self, template: Template, context: ListContext | None = None) -> Any: ...


class DataRead:
    """A Data Set of a message: where it is, and its template as soon as that is known."""

    __slots__ = (
        *("_lists", "domain", "index", "octets", "packet", "set_id", "start", "stop"),
        "template",
    )

    def __init__(
        self,
        domain: Domain,
        index: int,
        set_id: int,
        octets: bytes,
        start: int,
        stop: int,
        template: Template | None,
    ) -> None:
        self.domain = domain
        self.index = index
        self.set_id = set_id
        self.octets = octets
        self.start = start
        self.stop = stop
        self.template = template
        self.packet: Waiting | None = None
        self._lists: ListContext | None = None

    @property
    def body(self) -> bytes:
        """The octets of the records, and of what follows them."""
        return self.octets[self.start + 4 : self.stop]

    def resolve(self, template: Template) -> None:
        """The template came: for who asks from now on, and for the packet that asked before."""
        self.template = template
        if self.packet is not None:
            self.packet.bind(template, self.lists)
            self.packet = None

    @property
    def lists(self) -> ListContext:
        """What lists in the records are read with: templates as the domain had them then."""
        context = self._lists
        return context if context is not None else self.domain.list_context()

    def keep_lists(self) -> None:
        """Lists are to be read with the templates of now, whenever someone looks."""
        self._lists = self.domain.list_context()

    def records(self, names: tuple[str, ...] | None = None, values: str = "scapy") -> list[Any]:
        """The records as dicts; as tuples in the order of ``names`` where these are given.

        ``values`` is the domain of values. None at all while the template is unknown, or if
        it lacks one of ``names``.
        """
        codec = self.template.projection(names, values) if self.template is not None else None
        if codec is None:
            return []
        body = self.body
        records: list[Any] = codec.dicts(body) if names is None else codec.rows(body)
        return lists_read(records, codec, self.lists, values) if codec.structured else records


class MessageRead:
    """What a collector made of a message.

    ``sets`` are its Data Sets in order. ``ready`` are those that can be decoded now, ones of
    earlier messages included whose template came with this one.
    """

    __slots__ = ("domain", "exported", "octets", "ready", "sequence", "sets", "version")

    def __init__(
        self, version: int, domain: Domain, exported: int, sequence: int, octets: bytes
    ) -> None:
        self.version = version
        self.domain = domain
        self.exported = exported
        self.sequence = sequence
        #: The whole message, as it came.
        self.octets = octets
        self.sets: list[DataRead] = []
        self.ready: list[DataRead] = []

    def _at(self, index: int) -> DataRead | None:
        for each in self.sets:
            if each.index == index:
                return each
        return None

    def template(self, index: int) -> Template | None:
        """The template of the set at that index of the message, None while unknown."""
        read = self._at(index)
        return read.template if read is not None else None

    def lists(self, index: int) -> ListContext:
        """What lists in the records of the set at that index are read with."""
        read = self._at(index)
        return read.lists if read is not None else ListContext()

    def made(self, index: int, data_set: Waiting) -> None:
        """Remembers the packet of a Data Set that waits for its template."""
        read = self._at(index)
        if read is not None and read.template is None:
            read.packet = data_set


@dataclass(slots=True)
class TemplateState:
    """A template as one domain has it: how often it came, and when last (capture time)."""

    template: Template
    refreshes: int = 0
    seen: float = 0.0


@dataclass(slots=True)
class DomainStats:
    """What one observation domain has sent. Times are export times, seconds since 1970."""

    messages: int = 0
    octets: int = 0
    records: int = 0
    templates: int = 0
    undecoded_sets: int = 0
    first_export: int | None = None
    last_export: int | None = None


@dataclass(slots=True, eq=False)
class Domain:
    """An observation domain of one transport session: its templates and what waits for one."""

    collector: Collector
    transport: TransportKey
    version: int
    id: int
    model: InformationModel
    templates: dict[int, Template] = field(default_factory=dict)
    states: dict[int, TemplateState] = field(default_factory=dict)
    pending: dict[int, deque[DataRead]] = field(default_factory=dict)
    #: Made when a record has lists, and anew when templates have changed since.
    _lists: ListContext | None = None
    stats: DomainStats = field(default_factory=DomainStats)

    @property
    def key(self) -> tuple[TransportKey, int, int]:
        return self.transport, self.version, self.id

    def note(self, code: str, set_index: int | None = None, **numbers: Any) -> None:
        """Notes a defect with where it was."""
        self.note_defect(Defect.of(code, **numbers), set_index)

    def note_defect(self, defect: Defect, set_index: int | None = None) -> None:
        collector = self.collector
        collector.diagnostics.note(
            Diagnostic(defect, collector.packet, str(self.transport), self.id, set_index)
        )

    def read_sets(self, message: MessageRead, octets: bytes, start: int, stop: int) -> None:
        """Walks the sets of a message: templates are learned, data finds its template."""
        spans, defects, end = walk_sets(octets, start, stop)
        for defect in defects:
            self.note_defect(defect)
        if end < stop and not defects and octets.count(0, end, stop) != stop - end:
            self.note("padding-nonzero", set_id=0, octets=octets[end:stop].hex(" "))
        template_ids = TEMPLATE_SETS[self.version]
        templates, ready = self.templates, message.ready
        records = 0
        for index, (set_id, at, until) in enumerate(spans):
            if set_id >= MINIMUM_DATA_SET:
                template = templates.get(set_id)
                read = DataRead(self, index, set_id, octets, at, until, template)
                message.sets.append(read)
                if template is None:
                    self._wait(read)
                else:
                    ready.append(read)
                    records += self._count(read, template)
                    if template.codec.structured:
                        read.keep_lists()
            elif set_id in template_ids:
                options = set_id == template_ids[1]
                self._read_templates(octets[at + 4 : until], options, index, message)
            else:
                self.note("set-reserved", index, set_id=set_id)
        self.stats.records += records

    def _count(self, read: DataRead, template: Template) -> int:
        codec = template.codec
        length = read.stop - read.start - 4
        size = codec.minimum
        if codec.is_fixed and size:
            records, rest = divmod(length, size)
            if not rest and records:
                return records
        return self._count_slowly(read, template)

    def _count_slowly(self, read: DataRead, template: Template) -> int:
        body = read.body
        records, stop = template.codec.count(body)
        for defect in template.rest_defects(body[stop:], records):
            self.note_defect(defect, read.index)
        return records

    def list_context(self) -> ListContext:
        """What lists are read with: the templates of now, and later ones where there is none."""
        if self._lists is None:
            then, live = self.templates.copy(), self.templates
            self._lists = ListContext(
                lambda template_id: then.get(template_id) or live.get(template_id),
                self.model,
                self.version,
            )
        return self._lists

    # -- templates

    def _read_templates(self, body: bytes, options: bool, index: int, message: MessageRead) -> None:
        for span, template, defects in self.collector.parse(self, body, options, index):
            if template is None:
                self._withdraw(span.template_id, options, index)
                continue
            if self.templates.get(template.id) is not template:
                for defect in defects:
                    self.note_defect(defect, index)
            self._define(template, index, message)

    def _define(self, template: Template, index: int, message: MessageRead) -> None:
        self.stats.templates += 1
        state = self.states.get(template.id)
        if state is not None and (state.template is template or state.template == template):
            state.refreshes += 1
            state.seen = self.collector.time
            return
        if state is not None:
            self.note(
                "template-redefined",
                index,
                template_id=template.id,
                old=len(state.template.fields),
                new=len(template.fields),
            )
        self.states[template.id] = TemplateState(template, 0, self.collector.time)
        self.templates[template.id] = template
        self._lists = None
        self.collector.template_defined(self, template.id)
        for read in self.pending.pop(template.id, ()):
            self.collector.no_longer_pending(read)
            read.resolve(template)
            message.ready.append(read)
            self.stats.undecoded_sets -= 1
            self.stats.records += self._count(read, template)

    def _withdraw(self, template_id: int, options: bool, index: int) -> None:
        if template_id in TEMPLATE_SETS[self.version]:
            gone = [each.id for each in self.templates.values() if each.is_options is options]
            for each in gone:
                self.forget(each)
        elif template_id in self.templates:
            self.forget(template_id)
        else:
            self.note("withdrawal-unknown", index, template_id=template_id)
            return
        self.note("template-withdrawn", index, template_id=template_id)

    def forget(self, template_id: int) -> None:
        """Drops a template: withdrawn, expired, or one too many."""
        self.templates.pop(template_id, None)
        self._lists = None
        self.states.pop(template_id, None)
        self.collector.template_forgotten(self, template_id)

    def _wait(self, read: DataRead) -> None:
        # A copy of the set: waiting for one, the rest of its message need not stay as well.
        read.octets = read.octets[read.start : read.stop]
        read.start, read.stop = 0, len(read.octets)
        self.stats.undecoded_sets += 1
        self.pending.setdefault(read.set_id, deque()).append(read)
        self.note(
            "missing-template",
            read.index,
            template_id=read.set_id,
            octets=read.stop - 4,
        )
        self.collector.now_pending(read)


Parsed = list[tuple[TemplateSpan, "Template | None", list[Defect]]]


class Collector:
    """Reads messages of any number of exporters and keeps their templates apart.

    ``scope`` "session" keeps templates by transport session (RFC 7011 8), "exporter" leaves
    the ports out, for exporters that send templates from another port than data. ``model``
    names the elements.
    """

    def __init__(
        self,
        *,
        scope: str = "session",
        model: InformationModel = elements,
        limits: Limits | None = None,
    ) -> None:
        if scope not in ("session", "exporter"):
            raise ValueError(f"scope is 'session' or 'exporter', not {scope!r}")
        self.scope = scope
        self.model = model
        self.limits = limits or Limits()
        self.diagnostics = Diagnostics(self.limits.diagnostics)
        #: Where and when the message is that is being read, for diagnostics.
        self.packet = 0
        self.time = 0.0
        self._domains: OrderedDict[tuple[TransportKey, int, int], Domain] = OrderedDict()
        self._templates: OrderedDict[tuple[TransportKey, int, int, int], None] = OrderedDict()
        self._pending: OrderedDict[int, DataRead] = OrderedDict()
        self._pending_octets = 0
        self._parsed: dict[tuple[Any, ...], Parsed] = {}

    @property
    def domains(self) -> Iterator[Domain]:
        """Every observation domain heard of, in no particular order."""
        return iter(self._domains.values())

    def read(
        self, transport: TransportKey, octets: bytes, time: float = 0.0, packet: int = 0
    ) -> MessageRead | None:
        """Reads one message; None for octets that are no whole header of version 9 or 10.

        ``time`` is the capture's (seconds since 1970), ``packet`` its number there from 1:
        diagnostics say it.
        """
        self.time, self.packet = time, packet
        version = int.from_bytes(octets[:2], "big")
        if version == IPFIX_VERSION and len(octets) >= IPFIX_HEADER.size:
            _, _, exported, sequence, domain_id = IPFIX_HEADER.unpack_from(octets)
            stop, defect = message_stop(octets)
            start = IPFIX_HEADER.size
        elif version == V9_VERSION and len(octets) >= V9_HEADER.size:
            _, _, _, exported, sequence, domain_id = V9_HEADER.unpack_from(octets)
            stop, defect = len(octets), None
            start = V9_HEADER.size
        else:
            defect = Defect.of("header-truncated", available=len(octets))
            self.diagnostics.note(Diagnostic(defect, packet, str(transport)))
            return None
        domain = self.domain(transport, version, domain_id)
        if defect is not None:
            domain.note_defect(defect)
        stats = domain.stats
        stats.messages += 1
        stats.octets += stop
        if stats.first_export is None:
            stats.first_export = exported
        stats.last_export = exported
        message = MessageRead(version, domain, exported, sequence, octets)
        domain.read_sets(message, octets, start, stop)
        return message

    def domain(self, transport: TransportKey, version: int, domain_id: int) -> Domain:
        """The state of an observation domain, new if it was not heard of."""
        if self.scope == "exporter":
            transport = TransportKey(
                transport.protocol, transport.source, None, transport.destination, None
            )
        key = transport, version, domain_id
        domain = self._domains.get(key)
        if domain is None:
            domain = Domain(self, transport, version, domain_id, self.model)
            self._domains[key] = domain
            if len(self._domains) > self.limits.domains:
                self._drop_domain()
        elif len(self._domains) > 1:
            self._domains.move_to_end(key)
        return domain

    def _drop_domain(self) -> None:
        _, oldest = self._domains.popitem(last=False)
        for template_id in oldest.templates:
            self._templates.pop((*oldest.key, template_id), None)
        for waiting in oldest.pending.values():
            for read in waiting:
                self.no_longer_pending(read)
        oldest.pending.clear()
        self._limit("observation domains", self.limits.domains)

    def parse(self, domain: Domain, body: bytes, options: bool, index: int) -> Parsed:
        """The templates in the body of a Set, with what is wrong with each.

        Exporters repeat their templates: equal octets give the same Template objects again.
        """
        key = domain.version, options, domain.model, body
        parsed = self._parsed.get(key)
        if parsed is not None:
            return parsed
        spans, defects, stop = walk_templates(body, options=options, version=domain.version)
        parsed = [_parse(span, domain, options) for span in spans]
        for defect in defects:
            domain.note_defect(defect, index)
        rest = body[stop:]
        if rest and not defects and rest.count(0) != len(rest):
            kind = TEMPLATE_SETS[domain.version][options]
            domain.note("padding-nonzero", index, set_id=kind, octets=rest.hex(" "))
        elif not defects and len(body) <= _REMEMBERED_SET:
            if len(self._parsed) >= _REMEMBERED_SETS:
                self._parsed.clear()
            self._parsed[key] = parsed
        return parsed

    # -- bounds

    def template_defined(self, domain: Domain, template_id: int) -> None:
        """Counts a template; the one not defined for longest goes when there are too many."""
        key = (*domain.key, template_id)
        self._templates[key] = None
        self._templates.move_to_end(key)
        if len(self._templates) > self.limits.templates:
            (transport, version, id, oldest), _ = self._templates.popitem(last=False)
            self._domains[transport, version, id].forget(oldest)
            self._limit("templates", self.limits.templates)

    def template_forgotten(self, domain: Domain, template_id: int) -> None:
        self._templates.pop((*domain.key, template_id), None)

    def now_pending(self, read: DataRead) -> None:
        """Counts the octets of a Data Set that waits; the oldest go when there are too many."""
        self._pending[id(read)] = read
        self._pending_octets += read.stop + _PENDING_OVERHEAD
        while self._pending_octets > self.limits.pending_octets:
            oldest = next(iter(self._pending.values()))
            self.no_longer_pending(oldest)
            waiting = oldest.domain.pending[oldest.set_id]
            waiting.popleft()
            if not waiting:
                del oldest.domain.pending[oldest.set_id]
            self._limit("octets waiting for templates", self.limits.pending_octets)

    def no_longer_pending(self, read: DataRead) -> None:
        del self._pending[id(read)]
        self._pending_octets -= read.stop + _PENDING_OVERHEAD

    def _limit(self, what: str, limit: int) -> None:
        defect = Defect.of("limit", what=what, limit=limit)
        self.diagnostics.note(Diagnostic(defect, self.packet))


def _parse(
    span: TemplateSpan, domain: Domain, options: bool
) -> tuple[TemplateSpan, Template | None, list[Defect]]:
    if not span.specifiers and domain.version == IPFIX_VERSION:
        return span, None, []
    template = Template.from_wire(span, domain.version, domain.model, options)
    defects = template.defects()
    scope, fields = span.scope_count, len(span.specifiers)
    if options and domain.version == IPFIX_VERSION and not 0 < scope <= fields:
        defects.append(
            Defect.of("template-scope", template_id=span.template_id, scope=scope, fields=fields)
        )
    if span.enterprise_zero is not None:
        defects.append(
            Defect.of("enterprise-zero", template_id=span.template_id, id=span.enterprise_zero)
        )
    return span, template, defects

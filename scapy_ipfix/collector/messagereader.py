# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets of one message: templates are put in force, Data Sets find their template.

A :class:`MessageReader` is made for each message, and holds what belongs to that alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from scapy_ipfix.collector.budget import (
    CHECKED_SETS,
    DESCRIPTIONS,
    FINDINGS,
    LEARNED_SETS,
    STATED_FACTS,
    TEMPLATES,
    MessageBudget,
)
from scapy_ipfix.collector.collected import CollectedMessage, CollectedSet
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.learnedtypes import (
    LearnedTypes,
    is_type_information,
    with_learned_names,
)
from scapy_ipfix.collector.metadata import Metadata, is_metadata
from scapy_ipfix.collector.pending import PendingSets
from scapy_ipfix.collector.templateparser import TemplateParser
from scapy_ipfix.collector.templatestore import TemplateState
from scapy_ipfix.wire.diagnostics import Defect, Diagnostics
from scapy_ipfix.wire.framing import (
    IPFIX_VERSION,
    MINIMUM_DATA_SET,
    TEMPLATE_SETS,
    V9_VERSION,
    walk_sets,
    without_cut,
)
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template
from scapy_ipfix.wire.validation import needs_validation, value_defects


@dataclass(frozen=True, slots=True, eq=False)
class CollectorParts:
    """Parts of a collector that its messages are read with, and its settings."""

    learned_types: LearnedTypes
    metadata: Metadata
    pending: PendingSets
    parser: TemplateParser
    diagnostics: Diagnostics
    template_timeout: float | None
    check_values: bool
    learn_elements: bool
    lenient: bool
    domains: TemplateLocator


class TemplateLocator(Protocol):
    """Table of the domains of all exporters."""

    def find_port(self, domain: Domain, template_id: int) -> int | None:
        """Return another port from which an exporter defined a template, None if unknown."""


class Clearable(Protocol):
    """Cache of what was decoded while a message was read."""

    def clear(self) -> None: ...


class MessageReader:
    """Reader of the Sets of one message into a :class:`CollectedMessage`."""

    __slots__ = ("_budget", "_caches", "_domain", "_lists", "_message", "_parts", "_revision")

    def __init__(self, parts: CollectorParts, message: CollectedMessage) -> None:
        self._parts = parts
        self._message = message
        self._domain = message.domain
        self._budget: MessageBudget | None = None
        #: Context for lists, and the revision of the template store for which it holds.
        self._lists: ListContext | None = None
        self._revision = 0
        self._caches: list[Clearable] = []

    @property
    def budget(self) -> MessageBudget:
        """The limits of the message; most messages are nowhere near one."""
        if self._budget is None:
            self._budget = MessageBudget()
        return self._budget

    def note(self, code: str, set_index: int | None = None, **numbers: Any) -> None:
        """Record a diagnostic of the message."""
        self._domain.note(code, self._message.packet, set_index, **numbers)

    def note_defects(self, defects: Sequence[Defect], set_index: int | None = None) -> None:
        """Record what is wrong with the message."""
        if defects:
            self._domain.note_defects(defects, self._message.packet, set_index)

    def _note_limits(self, defects: list[Defect]) -> None:
        """Record limits of the collector, which concern all exporters."""
        if defects:
            packet, version = self._message.packet, self._domain.version
            self._parts.diagnostics.add_all(defects, packet, version=version)

    def _note_exceeded(self, budget: MessageBudget, set_index: int | None = None) -> None:
        """Record the limits of the message that were exceeded."""
        if budget.defects:
            self.note_defects(budget.defects, set_index)
            budget.defects = ()

    def read_sets(self, start: int, stop: int) -> Sequence[Clearable]:
        """Read the Sets between two offsets of the message.

        Return the caches of what was decoded already: they serve a caller who decodes the
        records next, and should be cleared after that.
        """
        message, domain, octets = self._message, self._domain, self._message.octets
        spans, defects, _ = walk_sets(octets, start, stop)
        if defects:
            message.is_truncated = any(each.code == "set-truncated" for each in defects)
            self.note_defects(without_cut(defects, message.missing))
        template_ids = TEMPLATE_SETS[domain.version]
        store, sets, header = domain.templates, message.sets, message.header
        named, expires = store.named, self._parts.template_timeout is not None
        for index, (set_id, at, until) in enumerate(spans):
            if set_id >= MINIMUM_DATA_SET:
                template = named.get(set_id)
                if template is None:
                    template = store.find_for_set(set_id, until - at - 4, self.budget)
                if expires and template is not None:
                    template = self._unexpired(template, index)
                read = CollectedSet(domain, index, set_id, octets, at, until, template, header)
                sets.append(read)
                if template is None:
                    self._wait(read)
                    continue
                records = self._read_data(read, template)
                message.records += records
                if not template.is_options:
                    message.data_records += records
            elif set_id in template_ids:
                options = set_id == template_ids[1]
                is_cut = message.missing > 0 and until == stop
                self._read_templates(octets[at + 4 : until], options, index, is_cut=is_cut)
            else:
                self._read_other_set(set_id, octets[at + 4 : until], index)
        if self._budget is not None:
            self._note_exceeded(self._budget)
        return self._caches

    def _read_other_set(self, set_id: int, body: bytes, index: int) -> None:
        """Note a reserved Set id, and one of templates in the other protocol."""
        version = V9_VERSION if self._domain.version == IPFIX_VERSION else IPFIX_VERSION
        other_ids = TEMPLATE_SETS[version]
        if set_id not in other_ids:
            self.note("set-reserved", index, set_id=set_id)
            return
        protocol = {V9_VERSION: "NetFlow v9", IPFIX_VERSION: "IPFIX"}[version]
        kind = "options templates" if set_id == other_ids[1] else "templates"
        self.note("set-other-protocol", index, set_id=set_id, kind=kind, protocol=protocol)
        if self._parts.lenient:
            self._read_templates(body, set_id == other_ids[1], index, version)

    # -- Data Sets

    def _unexpired(self, template: Template, index: int) -> Template | None:
        """Return a template, None if it was not refreshed in time over UDP (RFC 7011 8.4)."""
        timeout = self._parts.template_timeout
        assert timeout is not None
        age = self._domain.templates.expire(template.id, self._message.time, timeout)
        if age is None:
            return template
        self.note("template-expired", index, template_id=template.id, seconds=round(age))
        return None

    def _wait(self, read: CollectedSet) -> None:
        """Keep a Data Set until its template arrives."""
        read.detach()
        self._message.pending.add(id(read))
        self._domain.stats.undecoded_sets += 1
        self.note("missing-template", read.index, template_id=read.set_id, octets=read.stop - 4)
        if not self._parts.pending.has(read.domain, read.set_id):
            port = self._parts.domains.find_port(read.domain, read.set_id)
            if port is not None:
                source = self._domain.transport.source
                numbers = {"source": source, "template_id": read.set_id, "port": port}
                self.note("template-other-port", read.index, **numbers)
        self._note_limits(self._parts.pending.add(read))

    def _read_pending(self, template: Template) -> None:
        """Read the Data Sets, of this message or earlier ones, that waited for a template."""
        message, domain = self._message, self._domain
        for read in self._parts.pending.take(domain, template.id):
            domain.stats.undecoded_sets -= 1
            read.template = template
            is_late = id(read) not in message.pending
            records = self._read_data(read, template, is_late)
            read.bind_packets()
            if is_late:
                domain.stats.records += records
                continue
            message.pending.discard(id(read))
            message.records += records
            if not template.is_options:
                message.data_records += records

    def _read_data(self, read: CollectedSet, template: Template, is_late: bool = False) -> int:
        """Read a Data Set whose template is known; return the number of its records.

        One that ``is_late`` is of an earlier message, and does not count for this one's limits.
        """
        if not 0 < template.length <= read.stop - read.start - 4:
            # There is no record: do not make a codec, which takes time for each field.
            self._note_rest(read, template, read.body, 0)
            return 0
        if template.codec.structured:
            read.list_context = self._list_context()
        if self._domain.version == V9_VERSION and template.codec.is_fixed and not is_late:
            self._cut_padding(read, template)
        records = self._count_records(read, template, is_late)
        if records:
            self._message.ready.append(read)
            if template.is_options:
                self._learn(read, template, is_late)
        return records

    def _cut_padding(self, read: CollectedSet, template: Template) -> None:
        """Cut off padding that is long enough for records, by the count in the header.

        RFC 3954 5.1 counts templates and records, 5.3 pads with zeros.
        """
        message, length = self._message, template.length
        count = int.from_bytes(message.octets[2:4], "big")
        expected = count - message.templates - message.records
        stop = read.start + 4 + expected * length
        if expected > 0 and stop + length <= read.stop:
            padding = read.stop - stop
            if read.octets.count(0, stop, read.stop) == padding:
                read.padding, read.stop = padding, stop

    def _count_records(self, read: CollectedSet, template: Template, is_late: bool) -> int:
        """Return the number of records in a Data Set; note what is wrong with it."""
        codec = template.codec
        checks = self._parts.check_values and self._is_checked(read, template, is_late)
        if codec.is_fixed and not checks:
            records, rest = divmod(read.stop - read.start - 4, template.length)
            if not rest:
                return records
        body = read.body
        ends = codec.record_ends(body)
        if checks:
            defects = value_defects(template, body, read.list_context, ends)
            if defects:
                self.note_defects(defects, read.index)
                self.budget.spend(FINDINGS, len(defects))
        if not ends or ends[-1] < len(body):
            self._note_rest(read, template, body[ends[-1] :] if ends else body, len(ends))
        return len(ends)

    def _note_rest(self, read: CollectedSet, template: Template, rest: bytes, records: int) -> None:
        """Note what is wrong with the octets after the records, unless their Set is truncated."""
        if not read.is_truncated:
            self.note_defects(template.trailing_defects(rest, records), read.index)

    def _is_checked(self, read: CollectedSet, template: Template, is_late: bool) -> bool:
        """Return True if the values of a Set are to be checked."""
        if read.stop - read.start - 4 < 2 * template.length and not needs_validation(template):
            return False  # nothing can be wrong with one record
        budget = self.budget
        checks = budget.allows(FINDINGS) and (is_late or budget.take(CHECKED_SETS) > 0)
        if not checks:
            self._note_exceeded(budget, read.index)
        return checks

    def _list_context(self) -> ListContext:
        """Return the context for lists that arrive now: the templates and elements of now."""
        domain, lists = self._domain, self._lists
        store, model = domain.templates, domain.templates.model
        if (
            lists is None
            or self._revision != store.revision
            or lists.model is not model
            or lists.learned != model.learned
        ):
            then = store.snapshot(self.budget)
            lists = self._lists = ListContext(
                then.template, model, domain.version, learned=model.learned, layout=then.layout
            )
            self._revision = store.revision
            if self._parts.check_values:
                # The parts of the lists that were checked serve the caller, who decodes them next.
                lists.parts = {}
                self._caches.append(lists.parts)
        return lists

    # -- options data

    def _learn(self, read: CollectedSet, template: Template, is_late: bool) -> None:
        """Learn facts and types (RFC 5610) from the Options Data Records of a Set."""
        parts, budget = self._parts, self.budget
        if not is_late and budget.is_exceeded(LEARNED_SETS):
            return
        has_facts = not budget.is_exceeded(STATED_FACTS) and is_metadata(template)
        has_types = parts.learn_elements and is_type_information(template)
        has_types = has_types and not budget.is_exceeded(DESCRIPTIONS)
        if not (has_facts or has_types):
            return
        if is_late or budget.take(LEARNED_SETS):
            records = read.decode_options()
            self._caches.append(read)
            if has_facts:
                time, key = self._message.time, self._domain.key
                self.note_defects(parts.metadata.learn(key, template, records, time, budget))
            if has_types:
                described = records[: budget.take(DESCRIPTIONS, len(records))]
                learned = parts.learned_types.learn(self._domain.transport, described)
                self.note_defects(learned.defects)
        self._note_exceeded(budget, read.index)

    # -- Template Sets

    def _read_templates(
        self,
        body: bytes,
        options: bool,
        index: int,
        format_version: int = 0,
        is_cut: bool = False,
    ) -> None:
        """Put the templates of a Set in force, and withdraw those that it withdraws.

        ``format_version`` is the protocol of the Template Records, 0 that of the message.
        ``is_cut`` is True where the capture has only a part of the Set.
        """
        message, domain, transport = self._message, self._domain, self._domain.transport
        learned_types, store = self._parts.learned_types, domain.templates
        version = learned_types.version(transport) if options else 0
        before, time = message.templates, message.time
        format_version = format_version or domain.version
        parsed, set_defects = self._parts.parser.parse(
            body, options, format_version, learned_types, transport, TEMPLATES.most - before
        )
        if set_defects and not is_cut:
            self.note_defects(set_defects, index)
        states, withdraws = store.states, format_version == IPFIX_VERSION
        for span, template, defects in parsed:
            if withdraws and not span.specifiers:
                self._withdraw(span.template_id, options, index)
                continue
            message.templates += 1
            if template is None:
                self.note_defects(defects, index)
                if span.template_id in states and span.specifiers:
                    # Beyond the limit: it may have changed, and data must not use the old one.
                    store.remove(span.template_id)
                continue
            if options and learned_types.version(transport) != version:
                # Pending type information that used one of these templates gave names to others.
                template = with_learned_names(template, store.model)
            state = states.get(template.id)
            if state is not None and state.template is template and not state.is_inherited:
                state.refreshes += 1  # inline refresh(): a message may have 8,000 templates
                state.seen = time
            else:
                self._add_template(template, state, defects, index)
        if message.templates > TEMPLATES.most:
            self.budget.exceed(TEMPLATES)
            self._note_exceeded(self.budget, index)
        domain.stats.templates += message.templates - before

    def _add_template(
        self, template: Template, state: TemplateState | None, defects: list[Defect], index: int
    ) -> None:
        """Put a template in force and read the Data Sets that waited for it.

        One that equals the present one, of ``state``, is a refresh.
        """
        store, time = self._domain.templates, self._message.time
        if state is not None and len(state.template.fields) == len(template.fields):
            store.find(template.id)  # with old names it would not equal its refresh
        if defects:
            self.note_defects(defects, index)
        if state is not None and state.template == template:
            state.refresh(time)
            return
        if state is not None and not state.is_inherited:
            self._note_redefined(state, template, index)
        self._note_limits(store.add(template, time))
        if self._parts.pending.octets:
            self._read_pending(template)

    def _note_redefined(self, old: TemplateState, template: Template, index: int) -> None:
        domain, packet = self._domain, self._message.packet
        is_reliable = domain.transport.protocol in ("tcp", "sctp")
        code = "template-redefined-reliable" if is_reliable else "template-redefined"
        fields, now = len(old.template.fields), len(template.fields)
        domain.note(code, packet, index, template_id=template.id, old=fields, new=now)

    def _withdraw(self, template_id: int, options: bool, index: int) -> None:
        if self._domain.transport.protocol == "udp":
            code = "withdrawal-udp"  # to be ignored (RFC 7011 8.4)
        elif self._domain.templates.withdraw(template_id, options):
            code = "template-withdrawn"
        else:
            code = "withdrawal-unknown"
        self.note(code, index, template_id=template_id)

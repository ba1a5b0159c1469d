# SPDX-License-Identifier: GPL-2.0-or-later
"""An observation domain of one exporter: its templates, and what waits for one.

A :class:`Domain` reads the Sets of a message into a
:class:`~scapy_ipfix.collector.collected.CollectedMessage`.
Who keeps the domains, and bounds them, is its :class:`Keeper`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from scapy_ipfix.collector.collected import CollectedMessage, CollectedSet
from scapy_ipfix.collector.domainstate import DomainStats, TemplateState
from scapy_ipfix.collector.learnedtypes import Allowance, LearnedTypes, is_named, with_learned_names
from scapy_ipfix.collector.metadata import Metadata
from scapy_ipfix.collector.sequence import Counts, SequenceTracker, SharedSequence
from scapy_ipfix.collector.shrinking import remake, shrink
from scapy_ipfix.collector.supersededtemplates import SupersededTemplates, TemplateSnapshot
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.model.model import InformationModel
from scapy_ipfix.wire.diagnostics import Defect, Diagnostics, shown_octets
from scapy_ipfix.wire.framing import (
    IPFIX_VERSION,
    MINIMUM_DATA_SET,
    TEMPLATE_SETS,
    TemplateSpan,
    walk_sets,
)
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template
from scapy_ipfix.wire.validation import FINDINGS_IN_A_MESSAGE, needs_validation, value_defects

#: In so many Sets of a message values are checked, and options are learned from so many. Who
#: exports puts records together: a message of 64 KiB has some hundred Sets at most.
SETS_LOOKED_INTO = 512

Parsed = list[tuple[TemplateSpan, "Template | None", list[Defect]]]


class ForNow(Protocol):
    """What is not to be remembered for longer than until the next message comes."""

    def clear(self) -> None: ...


class Keeper(Protocol):
    """Who keeps domains: what a domain asks of its collector."""

    #: Which packet is being read, counted from 1, and its capture time.
    packet: int
    time: float
    diagnostics: Diagnostics
    template_timeout: float | None
    check_values: bool
    #: Of the message that is being read: its Sets that were looked into, by what for, and
    #: what was found wrong with values.
    looked_into: dict[str, int]
    findings: int
    #: What is remembered of the message, until the next one comes.
    for_now: list[ForNow]
    learned_types: LearnedTypes
    #: For the names that templates get in the message that is being read.
    allowance: Allowance
    metadata: Metadata
    superseded: SupersededTemplates

    def learn(self, domain: Domain, template: Template, read: CollectedSet, late: bool) -> None: ...
    def parse(
        self, domain: Domain, body: bytes, options: bool, index: int, taken: int
    ) -> Parsed: ...
    def template_defined(self, domain: Domain, template: Template) -> None: ...
    def template_forgotten(self, domain: Domain, template_id: int) -> None: ...
    def stream_used(self, domain: Domain, number: int) -> None: ...
    def now_pending(self, domain: Domain, read: CollectedSet) -> None: ...
    def no_longer_pending(self, read: CollectedSet) -> None: ...


@dataclass(slots=True, eq=False)
class Domain:
    """An observation domain of one transport session: its templates and what waits for one."""

    keeper: Keeper
    transport: TransportKey
    version: int
    id: int
    states: dict[int, TemplateState] = field(default_factory=dict)
    #: Those templates of ``states`` whose elements all have names. The others may get some
    #: (RFC 5610) until somebody wants them: :meth:`template`.
    ready: dict[int, Template] = field(default_factory=dict)
    #: The ids of ``states``: of templates, and of options templates.
    ids: tuple[dict[int, None], dict[int, None]] = field(default_factory=lambda: ({}, {}))
    pending: dict[int, deque[CollectedSet]] = field(default_factory=dict)
    #: Made when a record has lists, and anew when templates have changed since.
    _lists: ListContext | None = None
    #: Whether records with lists were read, which may be looked at later.
    has_lists: bool = False
    #: Whether its connection ended, and nothing came since.
    ended: bool = False
    #: Who it is to what outlives it: templates of the past.
    token: object = field(default_factory=object)
    #: Templates that went since their tables were made.
    _forgotten: int = 0
    #: SCTP streams, and ids that were waited for, that went since their tables were made.
    _dropped: int = 0
    _come: int = 0
    #: How often a template was done away with since there were lists.
    _changes: int = 0
    stats: DomainStats = field(default_factory=DomainStats)
    #: Who sends, as diagnostics say it.
    exporter: str = field(init=False)
    sequence: SequenceTracker = field(init=False)
    shared: SharedSequence = field(default_factory=SharedSequence)
    #: The other streams of an SCTP association have sequences of their own.
    streams: dict[int, SequenceTracker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sequence = SequenceTracker(self.version)
        self.exporter = str(self.transport)

    @property
    def model(self) -> InformationModel:
        """What names the elements, those that this exporter defined included."""
        return self.keeper.learned_types.model(self.transport)

    @property
    def key(self) -> tuple[TransportKey, int, int]:
        return self.transport, self.version, self.id

    def note(self, code: str, set_index: int | None = None, **numbers: Any) -> None:
        """Notes a defect with where it was."""
        self.note_defects(((code, numbers),), set_index)

    def note_defects(self, defects: Iterable[Any], set_index: int | None = None) -> None:
        """Note the findings of a layer with their place."""
        keeper = self.keeper
        keeper.diagnostics.add_all(
            defects, keeper.packet, self.exporter, self.id, set_index, self.version
        )

    def read_sets(self, message: CollectedMessage, octets: bytes, start: int, stop: int) -> None:
        """Walks the sets of a message: templates are learned, data finds its template."""
        spans, defects, end = walk_sets(octets, start, stop)
        self.note_defects(defects)
        if end < stop and not defects and octets.count(0, end, stop) != stop - end:
            self.note("padding-nonzero", set_id=0, octets=shown_octets(octets[end:stop]))
        template_ids = TEMPLATE_SETS[self.version]
        known, sets = self.ready, message.sets
        timeout = self.keeper.template_timeout
        for index, (set_id, at, until) in enumerate(spans):
            if set_id >= MINIMUM_DATA_SET:
                template = known.get(set_id) or self.template_for(set_id, until - at - 4)
                if timeout is not None and template is not None:
                    template = self._unexpired(template, timeout, index)
                read = CollectedSet(self, index, set_id, octets, at, until, template)
                sets.append(read)
                if template is None:
                    message.waiting.add(id(read))
                    self._wait(read)
                    continue
                records = self._read_data(read, template, message)
                message.records += records
                if not template.is_options:
                    message.data_records += records
            elif set_id in template_ids:
                options = set_id == template_ids[1]
                self._read_templates(octets[at + 4 : until], options, index, message)
            else:
                self.note("set-reserved", index, set_id=set_id)
        self.stats.records += message.records
        self._lists = None  # reads keep it that have lists; it knows the elements of now, and more

    def follow(self, counts: Counts, shared: Counts | None, stream: int = 0) -> None:
        """Puts the sequence number of a message, whose sets are read, beside the last one."""
        sequence = self.sequence
        if stream:
            if stream not in self.streams:
                self.streams[stream] = SequenceTracker(self.version)
            sequence = self.streams[stream]
            self.keeper.stream_used(self, stream)
        verdict = sequence.track(counts, shared)
        if verdict is not None:
            self.note(
                verdict.code,
                got=verdict.got,
                expected=verdict.expected,
                lost=verdict.lost,
                convention=verdict.convention,
            )

    def drop_stream(self, number: int) -> None:
        """An SCTP stream was not heard of for longest, of all that there are."""
        del self.streams[number]
        self._dropped = shrink(self.streams, self._dropped + 1)

    def _unexpired(self, template: Template, timeout: float, index: int) -> Template | None:
        """The template, unless it was not refreshed for too long over UDP (RFC 7011 8.4)."""
        age = self.keeper.time - self.states[template.id].seen
        if self.transport.protocol != "udp" or age <= timeout:
            return template
        self.note("template-expired", index, template_id=template.id, seconds=round(age))
        self.forget(template.id)
        return None

    def _read_data(
        self, read: CollectedSet, template: Template, message: CollectedMessage, late: bool = False
    ) -> int:
        """A Data Set has its template: gives how many records it holds, which are ready then.

        One that is ``late`` is of another message, whose Sets this one's are not.
        """
        if not 0 < template.length <= read.stop - read.start - 4:
            # No record: not worth a codec, which takes as long as there are fields.
            self.note_defects(template.trailing_defects(read.body, 0), read.index)
            return 0
        if template.codec.structured:
            read.keep_lists()
        records = self._count(read, template, late)
        if records:
            message.ready.append(read)
            if template.is_options:
                self.keeper.learn(self, template, read, late)
        return records

    def _count(self, read: CollectedSet, template: Template, late: bool) -> int:
        """How many records a Data Set holds; what is wrong with it is noted."""
        codec = template.codec
        keeper = self.keeper
        checks = keeper.check_values and self._is_checked(template, read, late)
        if codec.is_fixed and not checks:
            records, rest = divmod(read.stop - read.start - 4, template.length)
            if not rest:
                return records
        body = read.body
        ends = codec.record_ends(body)
        if checks:
            defects = value_defects(template, body, read.kept_lists, ends)
            self.note_defects(defects, read.index)
            keeper.findings += len(defects)
            if keeper.findings >= FINDINGS_IN_A_MESSAGE:
                self.note("values-many", read.index, limit=FINDINGS_IN_A_MESSAGE)
        if not ends or ends[-1] < len(body):
            rest_octets = body[ends[-1] :] if ends else body
            self.note_defects(template.trailing_defects(rest_octets, len(ends)), read.index)
        return len(ends)

    def _is_checked(self, template: Template, read: CollectedSet, late: bool) -> bool:
        """Whether to look for what is wrong with the values of a Set: not of all in a message."""
        keeper = self.keeper
        if keeper.findings >= FINDINGS_IN_A_MESSAGE:
            return False
        if read.stop - read.start - 4 < 2 * template.length and not needs_validation(template):
            return False  # nothing can be wrong with one record
        return late or self.looks_into(read, "values are checked in")

    def looks_into(self, read: CollectedSet, what: str) -> bool:
        """Counts a Set that is looked into for something; False, and that is said, when too many.

        ``what`` is what for, as ``sets-many`` says it.
        """
        looked = self.keeper.looked_into
        count = looked[what] = looked.get(what, 0) + 1
        if count == SETS_LOOKED_INTO + 1:
            self.note("sets-many", read.index, what=what, limit=SETS_LOOKED_INTO)
        return count <= SETS_LOOKED_INTO

    def is_done_with(self, what: str) -> bool:
        """Whether :meth:`looks_into` said already that there were too many Sets for that."""
        return self.keeper.looked_into.get(what, 0) > SETS_LOOKED_INTO

    def list_context(self) -> ListContext:
        """What lists are read with: the templates of now, and later ones where there is none."""
        lists, model = self._lists, self.model
        if lists is None or lists.model is not model or lists.learned != model.learned:
            then = TemplateSnapshot(self, self._changes, model, self.keeper.allowance)
            lists = self._lists = ListContext(
                then.template, model, self.version, learned=model.learned, layout=then.layout
            )
            if self.keeper.check_values:
                # Who reads the lists after they were checked need not find out all again.
                lists.parts = {}
                self.keeper.for_now.append(lists.parts)
            self.has_lists = True
        return lists

    def layout_then(self, changes: int, template_id: int) -> Template | None:
        """The template of when there had been so many changes, by whatever names it has.

        Where there was none, it is the one that came next.
        """
        past = None
        if self._changes > changes:
            past = self.keeper.superseded.find(self.token, template_id, changes)
        if past is None and template_id in self.states:
            past = self.states[template_id].template
        return past

    # -- templates

    @property
    def templates(self) -> dict[int, Template]:
        """The templates in force by id, with the names that their elements have by now."""
        return {id: each for id in self.states if (each := self.template(id)) is not None}

    def template(self, template_id: int, allowance: Allowance | None = None) -> Template | None:
        """The template of that id, with the names that its elements have by now.

        To find them takes as long as it has fields, and an ``allowance`` may be used up: then it
        comes by whatever names it has.
        """
        template = self.named_template(template_id)
        if template is not None or template_id not in self.states:
            return template
        state = self.states[template_id]
        if allowance is None or allowance.take(state.template):
            state.template = with_learned_names(state.template, self.model)
            state.version = self.keeper.learned_types.version(self.transport)
            if is_named(state.template):
                self.ready[template_id] = state.template
        return state.template

    def named_template(self, template_id: int) -> Template | None:
        """The template of that id if it has the names of by now already."""
        template = self.ready.get(template_id)
        if template is None and template_id in self.states:
            state = self.states[template_id]
            if state.version == self.keeper.learned_types.version(self.transport):
                template = state.template
        return template

    def template_for(self, template_id: int, octets: int) -> Template | None:
        """As :meth:`template`, for a Set of so many octets: for no record, no names are found."""
        state = self.states.get(template_id)
        if state is None or not 0 < state.template.length <= octets:
            return None if state is None else state.template
        return self.template(template_id, self.keeper.allowance)

    def _read_templates(
        self, body: bytes, options: bool, index: int, message: CollectedMessage
    ) -> None:
        before, time, learning = message.templates, self.keeper.time, self.keeper.learned_types
        version = learning.version(self.transport)
        for span, template, defects in self.keeper.parse(self, body, options, index, before):
            if not span.specifiers and self.version == IPFIX_VERSION:
                self._withdraw(span.template_id, options, index)
                continue
            message.templates += 1
            if template is None:
                self.note_defects(defects, index)
                if span.template_id in self.states and span.specifiers:
                    # One too many: it may be another now, and data is not to go by the old one.
                    self.forget(span.template_id)
                continue
            if options and learning.version(self.transport) != version:
                # What waited for one of these taught names to those behind it.
                template = with_learned_names(template, self.model)
            state = self.states.get(template.id)
            if state is not None and state.template is not template:
                self._name_like(state, template)
            if defects and (state is None or state.template is not template):
                self.note_defects(defects, index)
            if state is not None and state.template == template:
                state.refreshes += 1
                state.seen = time
            else:
                self._define(template, state, index, message)
        self.stats.templates += message.templates - before

    def _name_like(self, state: TemplateState, template: Template) -> None:
        """Gives a template the names it has by now, if it may be the same: a refresh is none."""
        if len(state.template.fields) == len(template.fields):
            self.template(template.id)

    def _define(
        self, template: Template, old: TemplateState | None, index: int, message: CollectedMessage
    ) -> None:
        """Puts a template in force, in place of an old one; what waited for it is read now."""
        id = template.id
        if old is not None:
            reliable = self.transport.protocol in ("tcp", "sctp")
            self.note(
                "template-redefined-reliable" if reliable else "template-redefined",
                index,
                template_id=id,
                old=len(old.template.fields),
                new=len(template.fields),
            )
            self._put_away(old.template)
        self._put(TemplateState(template, 0, self.keeper.time))
        for read in self.waited_for(id):
            self._no_longer_waits(read, template, message)

    def waited_for(self, template_id: int) -> Iterable[CollectedSet]:
        """The Data Sets that wait for a template, which do so no longer."""
        waiting = self.pending.pop(template_id, None)
        if waiting is None:
            return ()
        self._come = shrink(self.pending, self._come + 1)
        return waiting

    def _no_longer_waits(
        self, read: CollectedSet, template: Template, message: CollectedMessage
    ) -> None:
        """A Data Set has its template now: of this message, or of an earlier one."""
        self.keeper.no_longer_pending(read)
        self.stats.undecoded_sets -= 1
        read.template = template
        late = id(read) not in message.waiting
        records = self._read_data(read, template, message, late)
        read.answer()
        if late:
            self.stats.records += records
            return
        message.waiting.discard(id(read))
        message.records += records
        if not template.is_options:
            message.data_records += records

    def restore(self, state: TemplateState) -> None:
        """Puts a template in force that was saved; one that came since stays."""
        template = state.template
        if template.id not in self.states:
            self._put(state)

    def _put(self, state: TemplateState) -> None:
        template = state.template
        self.states[template.id] = state
        state.version = self.keeper.learned_types.version(self.transport)
        if is_named(template):
            self.ready[template.id] = template
        self.ids[template.is_options][template.id] = None
        self._lists = None
        self.keeper.template_defined(self, template)

    def _put_away(self, template: Template) -> None:
        """A template is no longer in force; lists that were read before go by it still."""
        self.ready.pop(template.id, None)
        del self.ids[template.is_options][template.id]
        if self.has_lists:
            self.keeper.superseded.remember(self.token, self._changes, template)
            self._changes += 1
        self._lists = None

    def _withdraw(self, template_id: int, options: bool, index: int) -> None:
        if self.transport.protocol == "udp":
            # a collector ignores those (RFC 7011 8.4)
            self.note("withdrawal-udp", index, template_id=template_id)
            return
        if template_id in TEMPLATE_SETS[self.version]:
            for each in list(self.ids[options]):
                self.forget(each)
        elif template_id in self.states:
            self.forget(template_id)
        else:
            self.note("withdrawal-unknown", index, template_id=template_id)
            return
        self.note("template-withdrawn", index, template_id=template_id)

    def forget(self, template_id: int) -> None:
        """Drops a template: withdrawn, expired, or one too many."""
        state = self.states.pop(template_id, None)
        if state is not None:
            self._put_away(state.template)
        self._forgotten = shrink(self.states, self._forgotten + 1)
        if not self._forgotten:
            for table in (self.ready, *self.ids):
                remake(table)
        self.keeper.template_forgotten(self, template_id)

    def end(self) -> None:
        """The connection ended, or there are too many domains: templates go, counters stay."""
        self.ended = True
        for template_id in list(self.states):
            self.forget(template_id)
        for waiting in self.pending.values():
            for read in waiting:
                self.keeper.no_longer_pending(read)
        self.pending.clear()
        for sequence in (self.sequence, *self.streams.values()):
            sequence.last = None

    def _wait(self, read: CollectedSet) -> None:
        # A copy of the set: waiting for one, the rest of its message need not stay as well.
        read.octets = read.octets[read.start : read.stop]
        read.start, read.stop = 0, len(read.octets)
        self.stats.undecoded_sets += 1
        waiting = self.pending.get(read.set_id)
        if waiting is None:
            waiting = self.pending[read.set_id] = deque()
        waiting.append(read)
        self.note(
            "missing-template",
            read.index,
            template_id=read.set_id,
            octets=read.stop - 4,
        )
        self.keeper.now_pending(self, read)

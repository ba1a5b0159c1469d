# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates in force: stored, refreshed, withdrawn, expired and evicted here (RFC 7011 8).

Each Observation Domain has a :class:`TemplateStore`. All stores of a collector share one
:class:`TemplateQuota`, which limits their templates and evicts the oldest, and one
:class:`~scapy_ipfix.collector.supersededtemplates.SupersededTemplates`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scapy_ipfix.collector.budget import NAMED_FIELDS, MessageBudget
from scapy_ipfix.collector.learnedtypes import LearnedTypes, is_named, with_learned_names
from scapy_ipfix.collector.shrinking import remake, shrink
from scapy_ipfix.collector.supersededtemplates import SupersededTemplates
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.model.model import InformationModel
from scapy_ipfix.wire.diagnostics import Defect
from scapy_ipfix.wire.framing import TEMPLATE_SETS
from scapy_ipfix.wire.template import Template


@dataclass(slots=True)
class TemplateState:
    """Template in a store: number of refreshes, and capture time when last received."""

    template: Template
    refreshes: int = 0
    seen: float = 0.0
    #: The :meth:`LearnedTypes.version` of the names that the template has.
    version: int = 0
    #: True for a template of an earlier file, which its own file may define otherwise.
    is_inherited: bool = False

    def refresh(self, seen: float) -> None:
        """Count the same template again, at a capture time in seconds since 1970."""
        self.refreshes += not self.is_inherited
        self.is_inherited = False
        self.seen = seen


class TemplateQuota:
    """Limits of the templates of all Observation Domains: their number, and their fields.

    Beyond a limit the templates that were defined the longest time ago are evicted.
    """

    def __init__(self, templates: int, fields: int) -> None:
        self._most_templates = templates
        self._most_fields = fields
        #: The store and the number of fields of each template, in the order of definition.
        self._counted: OrderedDict[tuple[object, int], tuple[TemplateStore, int]] = OrderedDict()
        self._fields = 0

    def __len__(self) -> int:
        """Return the number of templates in all stores."""
        return len(self._counted)

    def add(self, store: TemplateStore, template: Template) -> list[Defect]:
        """Count a template; evict others until all are within the limits, and note that."""
        fields = len(template.fields)
        key = store.token, template.id
        counted = self._counted.pop(key, None)
        self._fields += fields if counted is None else fields - counted[1]
        self._counted[key] = store, fields
        defects = []
        while len(self._counted) > self._most_templates:
            defects.append(self._evict("templates", self._most_templates))
        while self._fields > self._most_fields and len(self._counted) > 1:
            defects.append(self._evict("fields of templates", self._most_fields))
        return defects

    def remove(self, store: TemplateStore, template_id: int) -> None:
        """Count a template no longer."""
        counted = self._counted.pop((store.token, template_id), None)
        if counted is not None:
            self._fields -= counted[1]

    def _evict(self, what: str, limit: int) -> Defect:
        (_, oldest), (store, _) = next(iter(self._counted.items()))
        store.remove(oldest)
        return Defect.make("limit", what=what, limit=limit)


class TemplateStore(Mapping[int, Template]):
    """Templates in force in one Observation Domain of a Transport Session, by template id.

    As a mapping it has each template with the names that its elements have at present: an
    exporter may describe elements (RFC 5610) after the template that uses them.
    """

    def __init__(
        self,
        transport: TransportKey,
        version: int,
        learned_types: LearnedTypes,
        quota: TemplateQuota,
        superseded: SupersededTemplates,
    ) -> None:
        self._transport = transport
        self._version = version
        self._learned_types = learned_types
        self._quota = quota
        self._superseded = superseded
        self.states: dict[int, TemplateState] = {}
        #: The templates whose elements all have names, which will not change any more.
        self.named: dict[int, Template] = {}
        #: The ids of templates, and of options templates.
        self.ids: tuple[dict[int, None], dict[int, None]] = ({}, {})
        #: The key of the store where the domain itself is not to be kept alive.
        self.token = object()
        #: The number of changes so far: :class:`ListContext` objects are valid for one.
        self.revision = 0
        #: The number of templates superseded since the first snapshot.
        self._changes = 0
        self._has_snapshots = False
        self._removed = 0

    # -- get

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"

    def __len__(self) -> int:
        return len(self.states)

    def __iter__(self) -> Iterator[int]:
        return iter(self.states)

    def __getitem__(self, template_id: int) -> Template:
        template = self.find(template_id)
        if template is None:
            raise KeyError(template_id)
        return template

    @property
    def model(self) -> InformationModel:
        """The model that names the elements, with those that this exporter described."""
        return self._learned_types.model(self._transport)

    def find(self, template_id: int, budget: MessageBudget | None = None) -> Template | None:
        """Return a template with the names that its elements have at present, None if unknown.

        Naming takes time for each field: once ``budget`` is used up, the names are old ones.
        """
        template = self.find_current(template_id)
        if template is not None or template_id not in self.states:
            return template
        state = self.states[template_id]
        if budget is None or budget.allows(NAMED_FIELDS):
            if budget is not None:
                budget.spend(NAMED_FIELDS, len(state.template.fields))
            state.template = with_learned_names(state.template, self.model)
            self._set_version(state)
        return state.template

    def find_current(self, template_id: int) -> Template | None:
        """Return a template if its elements have their present names already."""
        template = self.named.get(template_id)
        if template is None and template_id in self.states:
            state = self.states[template_id]
            if state.version == self._learned_types.version(self._transport):
                template = state.template
        return template

    def find_for_set(self, template_id: int, octets: int, budget: MessageBudget) -> Template | None:
        """Return the template for a Set with ``octets`` of records.

        It is named as by :meth:`find` if the Set is long enough for a record.
        """
        state = self.states.get(template_id)
        if state is None or not 0 < state.template.length <= octets:
            return None if state is None else state.template
        return self.find(template_id, budget)

    def find_at(self, change: int, template_id: int) -> Template | None:
        """Return the template in force after ``change`` changes, or else the next one.

        Its elements may have old names.
        """
        found = None
        if self._changes > change:
            found = self._superseded.find(self.token, template_id, change)
        if found is None and template_id in self.states:
            found = self.states[template_id].template
        return found

    def snapshot(self, budget: MessageBudget) -> TemplateSnapshot:
        """Return the templates in force now, for lists that are decoded at any later time."""
        self._has_snapshots = True
        return TemplateSnapshot(self, self._changes, budget)

    # -- add

    def add(self, template: Template, seen: float) -> list[Defect]:
        """Put a template in force, in place of one with the same id.

        ``seen`` is the capture time in seconds since 1970. Return the limits exceeded.
        """
        old = self.states.get(template.id)
        if old is not None:
            self._supersede(old.template)
        return self._put(TemplateState(template, 0, seen))

    def restore(self, state: TemplateState) -> list[Defect]:
        """Put a saved template in force, unless there is one with that id already."""
        present = self.states.get(state.template.id)
        if present is None:
            return self._put(state)
        if not present.is_inherited or state.is_inherited:
            return []
        self.remove(state.template.id)
        return self._put(state)

    def inherit(self, other: TemplateStore) -> list[Defect]:
        """Put the templates of another domain in force, with the elements that it learned."""
        self._learned_types.copy(self._transport, other._transport)
        defects = []
        for state in list(other.states.values()):
            inherited = TemplateState(state.template, 0, state.seen, is_inherited=True)
            defects += self.restore(inherited)
        return defects

    def _put(self, state: TemplateState) -> list[Defect]:
        template = state.template
        self.states[template.id] = state
        self.ids[template.is_options][template.id] = None
        self._set_version(state)
        self.revision += 1
        return self._quota.add(self, template)

    def _set_version(self, state: TemplateState) -> None:
        """Record that a template has the names of now."""
        state.version = self._learned_types.version(self._transport)
        if is_named(state.template):
            self.named[state.template.id] = state.template

    # -- remove

    def withdraw(self, template_id: int, is_options: bool) -> bool:
        """Remove a template that the exporter withdrew (RFC 7011 8.1); False if unknown.

        The id of a Template Set withdraws all templates, that of an Options Template Set all
        options templates.
        """
        if template_id in TEMPLATE_SETS[self._version]:
            for each in list(self.ids[is_options]):
                self.remove(each)
        elif template_id in self.states:
            self.remove(template_id)
        else:
            return False
        return True

    def expire(self, template_id: int, now: float, timeout: float) -> float | None:
        """Remove a template that was not refreshed over UDP for ``timeout`` seconds.

        Return its age in seconds, None for a template that stays (RFC 7011 8.4). ``now`` is
        the capture time.
        """
        age = now - self.states[template_id].seen
        if self._transport.protocol != "udp" or age <= timeout:
            return None
        self.remove(template_id)
        return age

    def remove(self, template_id: int) -> None:
        """Remove a template: withdrawn, expired, evicted, or of a session that ended."""
        state = self.states.pop(template_id, None)
        if state is not None:
            self._supersede(state.template)
        self._removed = shrink(self.states, self._removed + 1)
        if not self._removed:
            for table in (self.named, *self.ids):
                remake(table)
        self._quota.remove(self, template_id)

    def clear(self) -> None:
        """Remove all templates: the Transport Session ended (RFC 7011 8.1)."""
        for template_id in list(self.states):
            self.remove(template_id)

    def _supersede(self, template: Template) -> None:
        """Take a template out of force; snapshots still have it."""
        self.named.pop(template.id, None)
        del self.ids[template.is_options][template.id]
        if self._has_snapshots:
            self._superseded.add(self.token, self._changes, template)
            self._changes += 1
        self.revision += 1


class TemplateSnapshot:
    """Templates of a store as they were after ``changes`` changes, with the names of that time.

    ``budget`` is that of the message whose lists are decoded.
    """

    __slots__ = ("_budget", "_changes", "_known", "_learned", "_model", "_store")

    def __init__(self, store: TemplateStore, changes: int, budget: MessageBudget) -> None:
        self._store = store
        self._changes = changes
        self._budget = budget
        self._model = store.model
        self._learned = self._model.learned
        self._known: dict[int, Template] = {}

    def template(self, template_id: int) -> Template | None:
        """Return the template that had an id, or the first that got it later."""
        known = self._known.get(template_id)
        if known is None:
            layout = self.layout(template_id)
            if layout is None:
                return None
            store, model, budget = self._store, self._model, self._budget
            state = store.states.get(template_id)
            is_present = store.model is model and model.learned == self._learned
            if is_present and state is not None and state.template is layout:
                known = store.find(template_id, budget)
            elif budget.allows(NAMED_FIELDS):
                budget.spend(NAMED_FIELDS, len(layout.fields))
                known = with_learned_names(layout, model, self._learned)
            known = self._known[template_id] = known or layout
        return known

    def layout(self, template_id: int) -> Template | None:
        """Return the same template with any names, which takes less time."""
        known = self._known.get(template_id)
        return known or self._store.find_at(self._changes, template_id)

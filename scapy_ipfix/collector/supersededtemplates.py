# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates as they were before they changed, for lists in records of that time (RFC 6313).

A list names its template by id, and is read when someone looks: by then another template may
have that id. To keep all templates of every moment would take a copy with each change. What is
kept instead is what each change did away with, and its number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Protocol

from scapy_ipfix.collector.domainstate import TemplateState
from scapy_ipfix.collector.history import History
from scapy_ipfix.collector.learnedtypes import Allowance, with_learned_names
from scapy_ipfix.model.model import InformationModel
from scapy_ipfix.wire.template import Template

#: Fields of all templates that are kept.
FIELDS = 1 << 16


class SupersededTemplates:
    """The templates of all observation domains that are no longer in force, bounded.

    Beyond ``limit`` fields, the ones that were done away with first are forgotten.
    """

    def __init__(self, limit: int = FIELDS) -> None:
        self.limit = limit
        self._fields = 0
        self._order: deque[tuple[Hashable, int]] = deque()
        self._until: dict[tuple[Hashable, int], History[tuple[int, Template]]] = {}

    def __len__(self) -> int:
        return len(self._order)

    def remember(self, domain: Hashable, number: int, template: Template) -> None:
        """Keeps a template that was in force until the domain's change of that number."""
        key = domain, template.id
        known = self._until.get(key)
        if known is None:
            known = self._until[key] = History()
        known.append((number, template))
        self._order.append(key)
        self._fields += 1 + len(template.fields)
        while self._fields > self.limit:
            oldest = self._order.popleft()
            known = self._until[oldest]
            self._fields -= 1 + len(known.drop_oldest()[1].fields)
            if not known:
                del self._until[oldest]

    def find(self, domain: Hashable, template_id: int, number: int) -> Template | None:
        """What was in force, or came next, before the change of that number; None if it is yet."""
        known = self._until.get((domain, template_id))
        found = None if known is None else known.since(number)
        return None if found is None else found[1]


class Changing(Protocol):
    """An observation domain, whose templates change."""

    states: dict[int, TemplateState]

    @property
    def model(self) -> InformationModel: ...
    def template(self, template_id: int, allowance: Allowance | None = None) -> Template | None: ...
    def layout_then(self, changes: int, template_id: int) -> Template | None: ...


class TemplateSnapshot:
    """The templates of a domain as they were when lists came, for whenever someone looks.

    ``changes`` is how many there had been. Templates have the names of then, those that the
    model had learned; ``allowance`` is how many fields may still get some.
    """

    __slots__ = ("_allowance", "_changes", "_domain", "_known", "_learned", "_model")

    def __init__(
        self, domain: Changing, changes: int, model: InformationModel, allowance: Allowance
    ) -> None:
        self._domain = domain
        self._allowance = allowance
        self._changes = changes
        self._model = model
        self._learned = model.learned
        self._known: dict[int, Template] = {}

    def template(self, template_id: int) -> Template | None:
        """The template that had that id, or the first that got it later."""
        known = self._known.get(template_id)
        if known is None:
            layout = self.layout(template_id)
            if layout is None:
                return None
            domain, model = self._domain, self._model
            state = domain.states.get(template_id)
            is_now = domain.model is model and model.learned == self._learned
            if is_now and state is not None and state.template is layout:
                known = domain.template(template_id, self._allowance)
            elif self._allowance.take(layout):
                known = with_learned_names(layout, model, self._learned)
            known = self._known[template_id] = known or layout
        return known

    def layout(self, template_id: int) -> Template | None:
        """The same, by whatever names: finding these takes as long as there are fields."""
        known = self._known.get(template_id)
        return known or self._domain.layout_then(self._changes, template_id)

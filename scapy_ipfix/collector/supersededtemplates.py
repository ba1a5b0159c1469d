# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates that are no longer in force, for lists that arrived while they were (RFC 6313).

A list names its template by id and is decoded when its record is first looked at, when another
template may have that id. A copy of all templates at each moment would take too much memory, so
each change of a domain's templates is numbered, and only the template it superseded is kept.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from scapy_ipfix.collector.history import History
from scapy_ipfix.wire.template import Template

#: Fields of all superseded templates.
FIELDS = 1 << 16


class SupersededTemplates:
    """Templates of all Observation Domains that are no longer in force.

    Beyond ``limit`` fields, those superseded first are dropped.
    """

    def __init__(self, limit: int = FIELDS) -> None:
        self.limit = limit
        self._fields = 0
        self._order: deque[tuple[Hashable, int]] = deque()
        self._histories: dict[tuple[Hashable, int], History[tuple[int, Template]]] = {}

    def __len__(self) -> int:
        return len(self._order)

    def add(self, domain: Hashable, change: int, template: Template) -> None:
        """Keep a template that was in force until the change of that number in its domain."""
        key = domain, template.id
        history = self._histories.get(key)
        if history is None:
            history = self._histories[key] = History()
        history.append((change, template))
        self._order.append(key)
        self._fields += 1 + len(template.fields)
        while self._fields > self.limit:
            oldest = self._order.popleft()
            history = self._histories[oldest]
            self._fields -= 1 + len(history.drop_oldest()[1].fields)
            if not history:
                del self._histories[oldest]

    def find(self, domain: Hashable, template_id: int, change: int) -> Template | None:
        """Return the template in force, or the next one, when there had been ``change`` changes.

        None if that template was not superseded since, or was dropped.
        """
        history = self._histories.get((domain, template_id))
        found = None if history is None else history.since(change)
        return None if found is None else found[1]

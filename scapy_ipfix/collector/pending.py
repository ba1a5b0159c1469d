# SPDX-License-Identifier: GPL-2.0-or-later
"""Data Sets that arrived before their template, kept until it arrives (RFC 7011 8)."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.shrinking import shrink
from scapy_ipfix.wire.diagnostics import Defect

#: Octets that a pending Data Set takes beside its own, about.
_OVERHEAD = 300


class PendingSets:
    """Data Sets of all Observation Domains that wait for their template.

    Beyond ``limit`` octets the oldest are dropped. Each Set is one of :meth:`CollectedSet.detach`.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.octets = 0
        #: The Sets of each domain that has any, by template id.
        self.domains: dict[Domain, dict[int, deque[CollectedSet]]] = {}
        #: Template ids that were removed from a domain's table since the table was made.
        self._removed: dict[Domain, int] = {}
        self._order: OrderedDict[int, CollectedSet] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def add(self, read: CollectedSet) -> list[Defect]:
        """Keep a Set; return a defect for each that is dropped for it."""
        table = self.domains.get(read.domain)
        if table is None:
            table = self.domains[read.domain] = {}
            self._removed[read.domain] = 0
        queue = table.get(read.set_id)
        if queue is None:
            queue = table[read.set_id] = deque()
        queue.append(read)
        self._order[id(read)] = read
        self.octets += read.stop + _OVERHEAD
        defects = []
        while self.octets > self.limit:
            self._drop_oldest()
            what = "octets waiting for templates"
            defects.append(Defect.make("limit", what=what, limit=self.limit))
        return defects

    def has(self, domain: Domain, template_id: int) -> bool:
        """Return True if a Set waits for a template."""
        table = self.domains.get(domain)
        return table is not None and template_id in table

    def take(self, domain: Domain, template_id: int) -> Iterable[CollectedSet]:
        """Return the Sets that wait for a template, the oldest first, and keep them no longer."""
        table = self.domains.get(domain)
        if table is None or template_id not in table:
            return ()
        queue = table[template_id]
        self._remove_id(domain, template_id)
        for read in queue:
            self._remove(read)
        return queue

    def drop(self, domain: Domain) -> None:
        """Drop the Sets of a domain whose Transport Session ended."""
        self._removed.pop(domain, None)
        for queue in self.domains.pop(domain, {}).values():
            for read in queue:
                self._remove(read)

    def _drop_oldest(self) -> None:
        oldest = next(iter(self._order.values()))
        self._remove(oldest)
        queue = self.domains[oldest.domain][oldest.set_id]
        queue.popleft()
        if not queue:
            self._remove_id(oldest.domain, oldest.set_id)

    def _remove(self, read: CollectedSet) -> None:
        del self._order[id(read)]
        self.octets -= read.stop + _OVERHEAD

    def _remove_id(self, domain: Domain, template_id: int) -> None:
        table = self.domains[domain]
        del table[template_id]
        if table:
            self._removed[domain] = shrink(table, self._removed[domain] + 1)
        else:
            del self.domains[domain], self._removed[domain]

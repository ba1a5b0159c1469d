# SPDX-License-Identifier: GPL-2.0-or-later
"""Observation Domains of a collector, found by Transport Session, version and id."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator

from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.pending import PendingSets
from scapy_ipfix.collector.sequence import SharedSequence
from scapy_ipfix.collector.shrinking import remake
from scapy_ipfix.collector.transportkey import FILE, TransportKey
from scapy_ipfix.wire.diagnostics import Defect
from scapy_ipfix.wire.framing import IPFIX_VERSION

#: Domains that are searched for a template which another one lacks.
_SEARCHED = 64


class DomainTable:
    """Observation Domains, at most ``domains`` of them: the least recently used is dropped.

    ``make`` returns a new one for a Transport Session, version, id and the session's
    :class:`SharedSequence`, of which ``sessions`` are kept. ``by_exporter`` leaves the ports of
    Transport Sessions out.
    """

    def __init__(
        self,
        make: Callable[[TransportKey, int, int, SharedSequence], Domain],
        pending: PendingSets,
        *,
        domains: int,
        sessions: int,
        by_exporter: bool,
    ) -> None:
        self._make = make
        self._pending = pending
        self._most_domains = domains
        self._most_sessions = sessions
        self._by_exporter = by_exporter
        self._domains: OrderedDict[tuple[TransportKey, int, int], Domain] = OrderedDict()
        #: The domains of each Transport Session that sent a message since it last ended.
        self.open: dict[TransportKey, dict[tuple[int, int], Domain]] = {}
        #: The last message of each Transport Session, of any domain.
        self.shared: dict[TransportKey, SharedSequence] = {}
        #: The latest domain of IPFIX Files, by version and id.
        self._in_files: dict[tuple[int, int], Domain] = {}
        #: The domain found last: most messages follow one of the same domain.
        self._last: Domain | None = None

    def __iter__(self) -> Iterator[Domain]:
        return iter(self._domains.values())

    def __len__(self) -> int:
        return len(self._domains)

    def find(self, transport: TransportKey, version: int, domain_id: int) -> Domain | None:
        """Return a domain, None for an unknown one."""
        last = self._last
        if (
            last is not None
            and last.transport is transport
            and last.id == domain_id
            and last.version == version
        ):
            return last
        key = self._session(transport), version, domain_id
        domain = self._domains.get(key)
        if domain is not None:
            self._domains.move_to_end(key)
            self._last = domain
        return domain

    def find_port(self, domain: Domain, template_id: int) -> int | None:
        """Return another port from which an exporter defined a template, None if unknown.

        Only the domains that were used last are searched.
        """
        transport = domain.transport
        exporter = transport._replace(source_port=None, destination_port=None)
        for other in itertools.islice(reversed(self._domains.values()), _SEARCHED):
            if (
                (other.version, other.id) == (domain.version, domain.id)
                and other.transport != transport
                and other.transport._replace(source_port=None, destination_port=None) == exporter
                and template_id in other.templates.states
            ):
                return other.transport.source_port
        return None

    def add(
        self, transport: TransportKey, version: int, domain_id: int
    ) -> tuple[Domain, list[Defect]]:
        """Return a new domain, and a defect if another one is dropped for it."""
        transport = self._session(transport)
        # Only IPFIX has sequence numbers that exporters count over all domains.
        shared = self._shared(transport) if version == IPFIX_VERSION else SharedSequence()
        shared.domains += 1
        domain = self._make(transport, version, domain_id, shared)
        self._domains[transport, version, domain_id] = domain
        self.reopen(domain)
        defects = []
        if len(self._domains) > self._most_domains:
            self._drop_oldest()
            limit = self._most_domains
            defects.append(Defect.make("limit", what="observation domains", limit=limit))
        self._last = domain
        if transport.protocol == FILE:
            defects += self._inherit(domain)
        return domain, defects

    def _inherit(self, domain: Domain) -> list[Defect]:
        """Give a domain in an IPFIX File the templates that it had in an earlier one.

        An exporter may continue a file in the next one; a file has no Transport Session
        (RFC 5655), so that only the domain identifies it.
        """
        key = domain.version, domain.id
        earlier = self._in_files.pop(key, None)
        self._in_files[key] = domain
        return [] if earlier is None else domain.templates.inherit(earlier.templates)

    def reopen(self, domain: Domain) -> None:
        """Record that a domain has state that goes when its Transport Session ends."""
        domain.ended = False
        self.open.setdefault(domain.transport, {})[domain.version, domain.id] = domain

    def end(self, transport: TransportKey) -> None:
        """End a Transport Session: templates and pending Sets go, counters stay (RFC 7011 8.1)."""
        for domain in self.open.pop(transport, {}).values():
            self._end_domain(domain)
        if transport in self.shared:
            self.shared[transport].last = None

    def _session(self, transport: TransportKey) -> TransportKey:
        """Return the key under which a Transport Session's domains are kept."""
        if not self._by_exporter:
            return transport
        return transport._replace(source_port=None, destination_port=None)

    def _shared(self, transport: TransportKey) -> SharedSequence:
        shared = self.shared.get(transport)
        if shared is None:
            if len(self.shared) >= self._most_sessions:
                self.shared.clear()
            shared = self.shared[transport] = SharedSequence()
        return shared

    def _end_domain(self, domain: Domain) -> None:
        domain.end()
        self._pending.drop(domain)

    def _drop_oldest(self) -> None:
        _, oldest = self._domains.popitem(last=False)
        siblings = self.open.get(oldest.transport, {})
        siblings.pop((oldest.version, oldest.id), None)
        if not siblings:
            self.open.pop(oldest.transport, None)
        elif len(siblings).bit_count() == 1:
            remake(siblings)  # each time that half of them are gone
        if self._in_files.get((oldest.version, oldest.id)) is oldest:
            del self._in_files[oldest.version, oldest.id]
        self._end_domain(oldest)
        oldest.streams.clear()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Views of the facts that an exporter stated, as they were when a record arrived."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scapy_ipfix.collector.metadata import DomainKey, Metadata
from scapy_ipfix.wire.contextfields import context_fields
from scapy_ipfix.wire.facts import (
    APPLICATION,
    COUNTERS,
    DOMAIN,
    INIT_TIME,
    INTERFACE,
    SAMPLING,
    SYSTEM,
    VRF,
    Application,
    Interface,
    Sampling,
    application_octets,
    default_rate,
)
from scapy_ipfix.wire.flowtimes import MessageHeader
from scapy_ipfix.wire.framing import IPFIX_VERSION
from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.resolver import RecordResolver
from scapy_ipfix.wire.template import Template


@dataclass(frozen=True, slots=True)
class ContextView(RecordContext):
    """Facts of an observation domain in force after the change ``number`` of ``metadata``.

    ``header`` is that of the message that held the records.

    Facts about domain 0 of IPFIX hold for the whole exporter (RFC 7011 3.1), and apply where
    a domain has none of its own.
    """

    metadata: Metadata
    domain: DomainKey
    number: int
    header: MessageHeader | None = field(default=None, compare=False)

    def find(self, kind: str, key: Any) -> Any:
        """Return the value of a fact, None for an unknown one."""
        for domain in self.domains:
            found = self.metadata.find(domain, kind, key, self.number)
            if found is not None:
                return found
        return None

    @property
    def domains(self) -> tuple[DomainKey, ...]:
        """The domains searched for facts: the record's own, then that of the whole exporter."""
        transport, version, id = self.domain
        if id and version == IPFIX_VERSION:
            return self.domain, (transport, version, 0)
        return (self.domain,)

    # Lookup by number

    def sampling(self, scope: str = SYSTEM[0], number: int = 0) -> Sampling | None:
        """Return the sampling of a ``samplerId``, ``selectorId``, ``interface`` and so on.

        Without a scope, that of everything that has no narrower one.
        """
        return self.find(SAMPLING, (scope, number))  # type: ignore[no-any-return]

    def interface(self, index: int) -> Interface | None:
        """Return the names of the interface with an ifIndex."""
        return self.find(INTERFACE, index)  # type: ignore[no-any-return]

    def vrf(self, id: int) -> str | None:
        """Return the name of a VRF."""
        return self.find(VRF, id)  # type: ignore[no-any-return]

    def application(self, id: bytes | int | str) -> Application | None:
        """Return the names of an application (RFC 6759).

        ``id`` is an applicationId as octets, number or hexadecimal text.
        """
        octets = application_octets(id)
        return None if octets is None else self.find(APPLICATION, octets)

    @property
    def domain_name(self) -> str | None:
        """The name of the observation domain."""
        return self.metadata.find(self.domain, DOMAIN, None, self.number) or None

    @property
    def counters(self) -> dict[tuple[tuple[str, int], ...], dict[str, int]]:
        """The latest counters of each process, keyed by its scope: ``(name, number)`` pairs."""
        return {
            key: version.value
            for kind, key, version in self.metadata.facts(self.domain)
            if kind == COUNTERS
        }

    # Lookup by record

    def resolver(self, template: Template) -> RecordResolver:
        """Return the resolver of records of a template; the last one used stays for reuse."""
        last = self.metadata.last_resolver
        # The template by identity: comparing two takes longer.
        if last and last[0] is template and last[1:3] == (self.domain, self.number):
            return last[3]
        resolver = RecordResolver(template, self.metadata.finder(self.domains, self.number))
        self.metadata.last_resolver = template, self.domain, self.number, resolver
        return resolver

    def default_rate(self, template: Template) -> float | None:
        find = self.metadata.finder(self.domains, self.number)
        return default_rate(find, template.id, context_fields(template).has_sampler)

    @property
    def init_time(self) -> int | None:
        return self.find(INIT_TIME, None)  # type: ignore[no-any-return]

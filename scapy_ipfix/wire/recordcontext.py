# SPDX-License-Identifier: GPL-2.0-or-later
"""Context of a Data Record: the facts of options data in force for it.

The base class has no facts; the Collecting Process has a subclass with those of a session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scapy_ipfix.wire.contextfields import DIRECTIONS
from scapy_ipfix.wire.flowtimes import MessageHeader
from scapy_ipfix.wire.resolver import RecordResolver
from scapy_ipfix.wire.template import Template


class _NoFacts:
    """Lookup that finds no fact."""

    def __call__(self, kind: str, key: Any, /) -> None:
        return None

    def find_many(self, kind: str, keys: Sequence[Any], /) -> dict[Any, Any]:
        return {}

    def only_sampler_rate(self) -> None:
        return None


_NO_FACTS = _NoFacts()


class RecordContext:
    """Facts of options data in force for a record; without a session, none.

    ``values`` of a record are keyed by field name, in any domain of values. The record's own
    fields take precedence over facts.
    """

    __slots__ = ()
    #: The header of the message that held the records; None: unknown.
    header: MessageHeader | None = None

    def resolver(self, template: Template) -> RecordResolver:
        """Return the resolver of records of a template."""
        return RecordResolver(template, _NO_FACTS)

    def default_rate(self, template: Template) -> float | None:
        """Return the sampling rate of records that have no narrower one."""
        return None

    @property
    def init_time(self) -> int | None:
        """The exporter's systemInitTimeMilliseconds in milliseconds since 1970; None: unknown."""
        return None

    def sampling_rate(self, template: Template, values: Mapping[str, Any]) -> float | None:
        """Return the packets observed for each one that the record counts; None: unknown.

        The first known of: the record's own rate, that of its sampler or selectors, of its
        interface (the one it was metered at first), of its observation point or line card, of
        its template, of its observation domain.
        """
        resolver = self.resolver(template)
        return resolver.sampling_rate(resolver.key(values))

    def interface_name(
        self, template: Template, values: Mapping[str, Any], direction: str = "ingress"
    ) -> str | None:
        """Return the name of the record's ``ingress`` or ``egress`` interface; None: unknown.

        Returns the description where the exporter sends no name, as IOS XR does. Raises
        ValueError for another direction.
        """
        side, resolver = _side(direction), self.resolver(template)
        name, description = resolver.interface(resolver.key(values), side)
        return name or description

    def interface_description(
        self, template: Template, values: Mapping[str, Any], direction: str = "ingress"
    ) -> str | None:
        """Return the description of an interface, see :meth:`interface_name`."""
        side, resolver = _side(direction), self.resolver(template)
        return resolver.interface(resolver.key(values), side)[1]

    def vrf_name(
        self, template: Template, values: Mapping[str, Any], direction: str = "ingress"
    ) -> str | None:
        """Return the name of the record's ``ingress`` or ``egress`` VRF; None: unknown.

        Raises ValueError for another direction.
        """
        side, resolver = _side(direction), self.resolver(template)
        return resolver.vrf_name(resolver.key(values), side)

    def application_name(self, template: Template, values: Mapping[str, Any]) -> str | None:
        """Return the name of the record's application; None: unknown."""
        resolver = self.resolver(template)
        return resolver.application_name(resolver.key(values))


def _side(direction: str) -> int:
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is 'ingress' or 'egress', not {direction!r}")
    return DIRECTIONS.index(direction)

# SPDX-License-Identifier: GPL-2.0-or-later
"""What exporters say of themselves in Options Data Records, and what that says of a record.

:class:`Metadata` keeps the facts of all observation domains of a collector: sampling, names
of interfaces, VRFs, applications and domains, counters of the metering and exporting
processes. What that says of a record is for :mod:`scapy_ipfix.answers`.

Facts change, and a record is to be answered from what held when it came. So every change gets
the next number and a fact keeps what it was before: all that has to be remembered with a
record is the number that was the latest when it came.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, NamedTuple

from scapy_ipfix.datatypes import data_type
from scapy_ipfix.diagnostics import Defect
from scapy_ipfix.shrinking import shrink
from scapy_ipfix.statements import (
    APPLICATION,
    COUNTERS,
    INTERFACE,
    SAMPLING,
    SEQUENCE,
    SYSTEM,
    Application,
    Interface,
    Sampling,
    application_text,
    statements_of,
)
from scapy_ipfix.tables import Table
from scapy_ipfix.templates import Template

#: Whom facts are about: a transport session, the version of the protocol, an observation
#: domain (a sourceId in NetFlow v9).
DomainKey = tuple[Any, int, int]

#: How many facts are kept, what they were before included.
FACTS = 131_072
#: Counters of one process that are kept.
_COUNTERS = 256
#: Values whose parts come apart, in records of their own.
_PARTED = frozenset({Sampling, Interface, Application})


class Version(NamedTuple):
    """What a fact was from a change on: the change's number, the value, capture time."""

    number: int
    value: Any
    since: float


_TIME = data_type("dateTimeSeconds")
_number = attrgetter("number")
_new = tuple.__new__


#: Stands where a version was that is no longer kept.
_GONE = Version(0, None, 0.0)


@dataclass(slots=True, eq=False)
class _Fact:
    """What a fact is, and what it was before, oldest first."""

    versions: list[Version] = field(default_factory=list)
    #: How many are no longer kept.
    gone: int = 0

    def at(self, number: int) -> Version | None:
        """The version that held at that number of a change."""
        position = bisect_right(self.versions, number, lo=self.gone, key=_number)
        return self.versions[position - 1] if position > self.gone else None

    def drop_oldest(self) -> None:
        # The list moves up now and then: it may have a hundred thousand versions.
        self.versions[self.gone] = _GONE
        self.gone += 1
        if 2 * self.gone > len(self.versions):
            del self.versions[: self.gone]
            self.gone = 0

    def __len__(self) -> int:
        return len(self.versions) - self.gone


@dataclass(slots=True, eq=False)
class _Domain:
    """The facts of one observation domain."""

    key: DomainKey
    facts: dict[tuple[str, Any], _Fact] = field(default_factory=dict)
    #: Facts that went since the table was made.
    removed: int = 0


class Metadata:
    """The facts that exporters stated, by observation domain.

    ``limit`` is how many are kept: what facts were before goes first, the oldest of it, then
    facts, those not stated for longest.
    """

    def __init__(self, limit: int = FACTS) -> None:
        self.limit = limit
        #: The number of the latest change: by it, records that come now are answered.
        self.now = 0
        self._domains: dict[DomainKey, _Domain] = {}
        self._stated: OrderedDict[tuple[_Domain, str, Any], None] = OrderedDict()
        self._superseded: deque[_Fact] = deque()
        self._count = 0

    def __len__(self) -> int:
        """How many are kept, what facts were before included."""
        return self._count

    def learn(
        self,
        domain: DomainKey,
        template: Template,
        records: Iterable[Mapping[str, Any]],
        time: float = 0.0,
    ) -> list[Defect]:
        """Learns what Options Data Records state; gives what is to be noted.

        ``records`` are in the Scapy domain, keyed by field name; ``time`` is when they came,
        in seconds since 1970. Templates that state nothing (:func:`is_metadata`) cost nothing.
        """
        statements = statements_of(template)
        if statements is None:
            return []
        dropped = False
        for values in records:
            for what, key, value, about in statements.read(values):
                target = domain if about is None else (*domain[:2], about)
                dropped |= self._state(target, what, key, value, time)
        return [Defect.of("limit", what="facts of metadata", limit=self.limit)] if dropped else []

    def restore(self, domain: DomainKey, what: str, which: Any, value: Any, since: float) -> None:
        """Keeps a fact that was saved, as :meth:`facts` gave it."""
        self._state(domain, what, which, value, since)

    def _state(self, key: DomainKey, what: str, which: Any, value: Any, time: float) -> bool:
        """Keeps a fact, and says whether another had to go."""
        domain = self._domains.get(key)
        if domain is None:
            domain = self._domains[key] = _Domain(key)
        fact = domain.facts.get((what, which))
        stated = domain, what, which
        is_new = fact is None
        if fact is None:
            fact = domain.facts[what, which] = _Fact()
            self._stated[stated] = None
        else:
            self._stated.move_to_end(stated)
            before = fact.versions[-1].value
            if value == before or (value := _merged(before, value)) == before:
                return False
        self.now += 1
        version = _new(Version, (self.now, value, time))
        if what == COUNTERS and not is_new:
            fact.versions[-1] = version  # they change all the time, nobody asks what they were
            return False
        if not is_new:
            self._superseded.append(fact)
        fact.versions.append(version)
        self._count += 1
        return self._bound()

    def _bound(self) -> bool:
        if self._count <= self.limit:
            return False
        if self._superseded:
            self._superseded.popleft().drop_oldest()
            self._count -= 1
            return True
        (domain, what, which), _ = self._stated.popitem(last=False)
        self._count -= len(domain.facts.pop((what, which)))
        domain.removed = shrink(domain.facts, domain.removed + 1)
        if not domain.facts:
            del self._domains[domain.key]
        return True

    def find(self, domain: DomainKey, what: str, which: Any, number: int) -> Any:
        """What a fact was at that number, None where it was not stated."""
        known = self._domains.get(domain)
        fact = known.facts.get((what, which)) if known is not None else None
        version = fact.at(number) if fact is not None else None
        return version.value if version is not None else None

    @property
    def domains(self) -> Iterator[DomainKey]:
        """Whom there are facts about."""
        return iter(self._domains)

    def facts(self, domain: DomainKey) -> Iterator[tuple[str, Any, Version]]:
        """The facts about a domain as they are now: of what, of which one, and what."""
        known = self._domains.get(domain)
        if known is not None:
            for (what, which), fact in known.facts.items():
                yield what, which, fact.versions[-1]


def is_metadata(template: Template) -> bool:
    """Whether records of a template state something that :class:`Metadata` keeps."""
    return template.is_options and statements_of(template) is not None


def _merged(old: Any, new: Any) -> Any:
    """What is stated now, and from before what is not: names and rates come apart."""
    if type(new) in _PARTED:
        return type(new)(*(before if now is None else now for before, now in zip(old, new)))
    if isinstance(new, dict):
        both = old | new
        return both if len(both) <= _COUNTERS else new
    return new


# -- what a person looks at


def metadata_table(metadata: Metadata) -> Table:
    """The facts as they are now: exporter, domain, what, key, value, since when (UTC)."""
    rows: list[tuple[object, ...]] = []
    for domain in metadata.domains:
        transport, _, id = domain
        for what, which, version in metadata.facts(domain):
            since = _TIME.to_text(int(version.since)) if version.since else ""
            for key, value in _shown(what, which, version.value):
                rows.append((str(transport), id, what, key, value, since))
    rows.sort(key=lambda row: (row[:3], len(str(row[3])), str(row[3])))
    return Table(("exporter", "domain", "what", "key", "value", "since"), rows)


def _shown(what: str, which: Any, value: Any) -> Iterator[tuple[str, object]]:
    if what == COUNTERS:
        owner = ", ".join(f"{name} {number}" for name, number in which)
        for name, count in value.items():
            yield f"{name} of {owner}" if owner else name, count
    elif what == SAMPLING:
        scope, number = which
        rate = f"1 of {value.rate:.10g}" if value.rate is not None else None
        parts = (rate, value.algorithm, value.name)
        yield scope if which == SYSTEM else f"{scope} {number}", _joined(parts)
    elif what == SEQUENCE:
        yield str(which), "selectors " + ", ".join(map(str, value))
    elif what == APPLICATION:
        yield application_text(which), _joined(value)
    elif what == INTERFACE:
        yield "the one watched" if which is None else str(which), _joined(value)
    else:
        yield "" if which is None else str(which), _joined((value,))


def _joined(parts: Iterable[str | None]) -> str:
    # Text from the wire: what a terminal would obey is shown as in a literal.
    said = filter(None, parts)
    return ", ".join(each if each.isprintable() else repr(each) for each in said)

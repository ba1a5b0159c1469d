# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts that exporters state of themselves in Options Data Records, by observation domain.

:class:`Metadata` keeps sampling, names of interfaces, VRFs, applications and domains, and
counters of the metering and exporting processes. :mod:`scapy_ipfix.wire.resolver` computes
from them the resolved values of a record.

Facts change, and a record resolves to those in force when it arrived. So every change gets the
next number and a fact keeps its former values: a record needs no more than the number of the
latest change at its arrival.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scapy_ipfix.collector.budget import STATED_FACTS, MessageBudget
from scapy_ipfix.collector.history import History
from scapy_ipfix.collector.options import options_reader
from scapy_ipfix.collector.shrinking import shrink
from scapy_ipfix.model.applicationid import application_text
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.text import Table
from scapy_ipfix.wire.diagnostics import Defect
from scapy_ipfix.wire.facts import (
    APPLICATION,
    COUNTERS,
    INIT_TIME,
    INTERFACE,
    SAMPLERS,
    SAMPLING,
    SEQUENCE,
    SYSTEM,
    Application,
    Interface,
    Sampling,
)
from scapy_ipfix.wire.resolver import RecordResolver
from scapy_ipfix.wire.template import Template

#: An exporter's observation domain: a transport session, the version of the protocol, the
#: domain (a sourceId in NetFlow v9).
DomainKey = tuple[Any, int, int]

#: Facts kept, their former values included.
FACTS = 131_072
#: Counters kept of one process, and their weight in facts.
_COUNTERS, _COUNTERS_WEIGHT = 256, 48
#: Characters, and selectors of a sequence, that weigh as much as one more fact.
_CHARACTERS, _SELECTORS = 64, 8
#: Samplers that may all have the same rate.
_SAMPLERS = 16
#: Values whose parts may arrive in records of their own.
_PARTED = frozenset({Sampling, Interface, Application})


class Version(NamedTuple):
    """Value of a fact from a change on: the change's number, the value, capture time."""

    number: int
    value: Any
    since: float


_TIME = data_type("dateTimeSeconds")
_MILLISECONDS = data_type("dateTimeMilliseconds")
_new = tuple.__new__


class _Fact:
    """Fact with its present version and its former ones.

    There may be 131,072, most of which never change.
    """

    __slots__ = ("former", "key", "number", "since", "table", "value")

    def __init__(self, table: _FactTable, key: Any, number: int, value: Any, since: float) -> None:
        self.table = table
        self.key = key
        self.number = number
        self.value = value
        self.since = since
        self.former: History[Version] | None = None

    def at(self, number: int) -> Any:
        """Return the value after a change, None where the fact was not stated yet."""
        if self.number <= number:
            return self.value
        version = self.former.until(number) if self.former is not None else None
        return None if version is None else version.value


@dataclass(slots=True, eq=False)
class _FactTable:
    """Facts of one kind about an observation domain: its interfaces, its VRFs."""

    domain: DomainKey
    kind: str
    facts: dict[Any, _Fact] = field(default_factory=dict)
    #: The number of the latest change of one of them.
    changed: int = 0
    #: Facts removed since the dict was rebuilt.
    removed: int = 0
    #: Keys of the sampling of samplers and selectors; None once there were too many.
    samplers: list[Any] | None = field(default_factory=list)

    def added(self, key: Any) -> None:
        """Register the key of a new fact."""
        if self.kind == SAMPLING and key[0] in SAMPLERS and self.samplers is not None:
            self.samplers.append(key)
            if len(self.samplers) > _SAMPLERS:
                self.samplers = None


class Finder:
    """Lookup of the facts of some domains in force after a change; see :meth:`Metadata.finder`."""

    __slots__ = ("_domains", "_number")

    def __init__(self, domains: list[list[_FactTable]], number: int) -> None:
        self._domains = domains
        self._number = number

    def __call__(self, kind: str, key: Any) -> Any:
        """Return the value of a fact, None where it was not stated."""
        for tables in self._domains:
            for table in tables:
                if table.kind == kind:
                    fact = table.facts.get(key)
                    if fact is not None and (value := fact.at(self._number)) is not None:
                        return value
        return None

    def find_many(self, kind: str, keys: Sequence[Any]) -> dict[Any, Any]:
        """Return the values of the stated facts among ``keys``: a Set may have 30,000."""
        found: dict[Any, Any] = {}
        # The first domain takes precedence, so it comes last.
        for table in [each for tables in self._domains[::-1] for each in tables]:
            if table.kind != kind:
                continue
            stated = zip(keys, map(table.facts.get, keys))
            if table.changed <= self._number:  # no later change, as is the rule
                found |= {key: fact.value for key, fact in stated if fact is not None}
                continue
            for key, fact in stated:
                if fact is not None and (value := fact.at(self._number)) is not None:
                    found[key] = value
        return found

    def only_sampler_rate(self) -> float | None:
        """Return the rate of the samplers and selectors; None if they have several."""
        for table in [each for tables in self._domains for each in tables]:
            if table.kind != SAMPLING:
                continue
            if table.samplers is None:
                return None
            stated = [table.facts[key].at(self._number) for key in table.samplers]
            rates = {sampling.rate for sampling in stated if sampling is not None}
            if rates:
                return rates.pop() if len(rates) == 1 else None
        return None


class Metadata:
    """Facts that exporters stated, by observation domain.

    ``limit`` is the number of facts kept, with long ones counting for several. Beyond it former
    values are dropped, the oldest first, then the facts not stated for the longest time.
    """

    def __init__(self, limit: int = FACTS) -> None:
        self.limit = limit
        #: The number of the latest change, which is in force for records that arrive now.
        self.now = 0
        self._domains: dict[DomainKey, list[_FactTable]] = {}
        #: All facts, the latest stated at the end.
        self._stated: OrderedDict[_Fact, None] = OrderedDict()
        #: The facts of former values, in the order in which these were superseded.
        self._superseded: deque[_Fact] = deque()
        self._count = 0
        #: The weight of all values, see :func:`_weight`.
        self._weight = 0
        #: The resolver of the latest Set, after the template, the domain and the number that
        #: it is for; kept by :mod:`~scapy_ipfix.collector.contextview`.
        self.last_resolver: tuple[Template, DomainKey, int, RecordResolver] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state of a copy, which makes its own resolver."""
        return self.__dict__ | {"last_resolver": None}

    def __len__(self) -> int:
        """Return the number of facts and former values kept."""
        return self._count

    def learn(
        self,
        domain: DomainKey,
        template: Template,
        records: Sequence[Mapping[str, Any]],
        time: float = 0.0,
        budget: MessageBudget | None = None,
    ) -> list[Defect]:
        """Learn the facts that Options Data Records state; return the defects to be noted.

        ``records`` are those of a Set in the Scapy domain, keyed by field name, with lists as
        octets; ``time`` is their capture time in seconds since 1970. ``budget`` is that of
        the message. Templates that state nothing (:func:`is_metadata`) cost nothing. A fact
        that a later record of the Set contradicts is not kept: no other record arrived between
        them.
        """
        reader = options_reader(template)
        if reader is None:
            return []
        budget = budget or MessageBudget()
        if len(records) > 1:
            # Records that state the same are read once, at the position of the last of them.
            backwards = records[::-1]
            distinct = dict(zip(map(reader.significant, backwards), backwards))
            records = [*reversed(distinct.values())]
        defects = []
        dropped = False
        before = self.now
        own: dict[str, _FactTable] = {}
        for values in records:
            if not budget.allows(STATED_FACTS):
                break
            found = reader.read(values)
            budget.spend(STATED_FACTS, len(found))
            for kind, key, value, about in found:
                if about is not None:
                    table = self._table((*domain[:2], about), kind)
                elif (known := own.get(kind)) is not None and known.facts:
                    table = known
                else:
                    table = own[kind] = self._table(domain, kind)
                dropped |= self._put(table, key, value, time, before)
        if dropped:
            defects.append(Defect.make("limit", what="facts of metadata", limit=self.limit))
        return defects

    def restore(self, domain: DomainKey, kind: str, key: Any, value: Any, since: float) -> None:
        """Keep a saved fact, as :meth:`facts` returned it."""
        if kind == COUNTERS:
            value = dict(value)
        self._put(self._table(domain, kind), key, value, since, self.now)

    def _table(self, domain: DomainKey, kind: str) -> _FactTable:
        """Return the table of a kind of facts about a domain, to add a fact to."""
        tables = self._domains.setdefault(domain, [])
        for table in tables:
            if table.kind == kind:
                return table
        tables.append(_FactTable(domain, kind))
        return tables[-1]

    def _put(self, table: _FactTable, key: Any, value: Any, time: float, before: int) -> bool:
        """Put a fact in its table; return whether others were dropped for it.

        A value from a later change than ``before`` is replaced, as no record resolves to it.
        """
        kind = table.kind
        fact = table.facts.get(key)
        if fact is not None:
            self._stated.move_to_end(fact)
            old = fact.value
            if kind == COUNTERS:
                if not _update_counters(old, value):
                    return False
                value = old
            elif value == old or (value := _merged(old, value)) == old:
                return False
            # Counters change all the time, and no record resolves to them.
            if fact.number > before or kind == COUNTERS:
                self._weight -= _weight(kind, old)
            else:
                if fact.former is None:
                    fact.former = History()
                fact.former.append(_new(Version, (fact.number, old, fact.since)))
                self._superseded.append(fact)
                self._count += 1
            fact.number, fact.value, fact.since = self.now + 1, value, time
        else:
            fact = table.facts[key] = _Fact(table, key, self.now + 1, value, time)
            table.added(key)
            self._stated[fact] = None
            self._count += 1
        table.changed = self.now = self.now + 1
        self._weight += _weight(kind, value)
        dropped = False
        while self._weight > self.limit and self._count > 1:
            self._drop_one()
            dropped = True
        return dropped

    def _drop_one(self) -> None:
        """Drop the oldest former value, else the fact not stated for the longest time."""
        if self._superseded:
            fact = self._superseded.popleft()
            assert fact.former is not None  # the fact is queued once for each former value
            self._count -= 1
            self._weight -= _weight(fact.table.kind, fact.former.drop_oldest().value)
            if not fact.former:
                fact.former = None
            return
        fact, _ = self._stated.popitem(last=False)
        self._count -= 1
        table = fact.table
        self._weight -= _weight(table.kind, fact.value)
        del table.facts[fact.key]
        if table.samplers and fact.key in table.samplers:
            table.samplers.remove(fact.key)
        table.removed = shrink(table.facts, table.removed + 1)
        if not table.facts:
            tables = self._domains[table.domain]
            tables.remove(table)
            if not tables:
                del self._domains[table.domain]

    def find(self, domain: DomainKey, kind: str, key: Any, number: int) -> Any:
        """Return the value of a fact after a change, None where it was not stated."""
        value = self.finder((domain,), number)(kind, key)
        return value.copy() if kind == COUNTERS and value is not None else value

    def finder(self, domains: Iterable[DomainKey], number: int) -> Finder:
        """Return a lookup of facts other than counters, in the first domain that has each.

        It is limited to the present domains: a later one had no facts at that number.
        """
        known = [self._domains[each] for each in domains if each in self._domains]
        return Finder(known, number)

    @property
    def domains(self) -> Iterator[DomainKey]:
        """The domains with facts."""
        return iter(self._domains)

    def facts(self, domain: DomainKey) -> Iterator[tuple[str, Any, Version]]:
        """Return the kind, the key and the present version of each fact about a domain."""
        for table in self._domains.get(domain, ()):
            for key, fact in table.facts.items():
                value = fact.value.copy() if table.kind == COUNTERS else fact.value
                yield table.kind, key, Version(fact.number, value, fact.since)


def is_metadata(template: Template) -> bool:
    """Return whether records of a template state facts that :class:`Metadata` keeps."""
    return template.is_options and options_reader(template) is not None


def _weight(kind: str, value: Any) -> int:
    """Return the weight of a value in facts: most are a number or a name, and weigh one."""
    if type(value) is str:
        return 1 + len(value) // _CHARACTERS
    if kind == COUNTERS:
        return _COUNTERS_WEIGHT
    if kind == SEQUENCE:
        return 1 + len(value) // _SELECTORS
    texts = value if isinstance(value, tuple) else ()
    return 1 + sum([len(each) for each in texts if type(each) is str]) // _CHARACTERS


def _merged(old: Any, new: Any) -> Any:
    """Return the new value, completed from the old one: names and rates may come apart."""
    if type(new) in _PARTED and None in new:
        parts = [before if now is None else now for before, now in zip(old, new)]
        return _new(type(new), parts)
    return new


def _update_counters(counters: dict[str, int], counted: Mapping[str, int]) -> bool:
    """Update the counters of a process in place; return whether any changed.

    Former ones are dropped where there would be too many. The dict never leaves this module,
    and is not copied: a message may state one of its counters 65,000 times.
    """
    if counted.items() <= counters.items():
        return False
    if len(counters) + sum([name not in counters for name in counted]) > _COUNTERS:
        counters.clear()
    counters.update(counted)
    return True


# -- the table of metadata


class MetadataRow(NamedTuple):
    """Fact from options data: one row of the table of metadata; ``since`` is UTC."""

    exporter: str
    domain: int
    what: str
    key: str
    value: object
    since: str


def metadata_table(metadata: Metadata) -> Table[MetadataRow]:
    """Return the facts in force as a table."""
    rows: list[MetadataRow] = []
    for domain in metadata.domains:
        transport, _, id = domain
        for kind, key, version in metadata.facts(domain):
            since = _TIME.to_text(int(version.since)) if version.since else ""
            for shown_key, value in _shown(kind, key, version.value):
                rows.append(MetadataRow(str(transport), id, kind, shown_key, value, since))
    rows.sort(key=lambda row: (row[:3], len(row.key), row.key))
    return Table(MetadataRow._fields, rows)


def _shown(kind: str, key: Any, value: Any) -> Iterator[tuple[str, object]]:
    """Return keys and values of rows of the table: one row for each counter, one for a fact."""
    if kind == COUNTERS:
        owner = ", ".join(f"{name} {number}" for name, number in key)
        for name, count in value.items():
            yield f"{name} of {owner}" if owner else name, count
    elif kind == SAMPLING:
        scope, number = key
        rate = f"1 of {value.rate:.10g}" if value.rate is not None else None
        parts = (rate, value.algorithm, value.name)
        yield scope if key == SYSTEM else f"{scope} {number}", _joined(parts)
    elif kind == SEQUENCE:
        yield str(key), "selectors " + ", ".join(map(str, value))
    elif kind == APPLICATION:
        yield application_text(key), _joined(value)
    elif kind == INTERFACE:
        yield "metered" if key is None else str(key), _joined(value)
    elif kind == INIT_TIME:
        yield "", _MILLISECONDS.to_text(value)
    else:
        yield "" if key is None else str(key), _joined((value,))


def _joined(parts: Iterable[str | None]) -> str:
    """Join texts; one from the wire that a terminal would interpret becomes a literal."""
    return ", ".join(each if each.isprintable() else repr(each) for each in parts if each)

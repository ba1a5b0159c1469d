# SPDX-License-Identifier: GPL-2.0-or-later
"""What exporters say of themselves in Options Data Records, and what that says of a record.

:class:`Metadata` keeps the facts of all observation domains of a collector: sampling, names
of interfaces, VRFs, applications and domains, counters of the metering and exporting
processes. What that says of a record is for :mod:`scapy_ipfix.wire.resolver`.

Facts change, and a record is to be answered from what held when it came. So every change gets
the next number and a fact keeps what it was before: all that has to be remembered with a
record is the number that was the latest when it came.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scapy_ipfix.collector.history import History
from scapy_ipfix.collector.options import statements_of
from scapy_ipfix.collector.shrinking import shrink
from scapy_ipfix.model.applicationid import application_text
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.text import Table
from scapy_ipfix.wire.diagnostics import Defect
from scapy_ipfix.wire.facts import (
    APPLICATION,
    COUNTERS,
    INTERFACE,
    SAMPLING,
    SEQUENCE,
    SYSTEM,
    Application,
    Interface,
    Sampling,
)
from scapy_ipfix.wire.template import Template

#: Whom facts are about: a transport session, the version of the protocol, an observation
#: domain (a sourceId in NetFlow v9).
DomainKey = tuple[Any, int, int]

#: How many facts are kept, what they were before included.
FACTS = 131_072
#: How many facts are taken from one message: rows of interfaces and applications are longer.
FACTS_IN_A_MESSAGE = 2048
#: Counters of one process that are kept, and for how many facts these count.
_COUNTERS, _COUNTERS_WEIGHT = 256, 48
#: Characters, and selectors of a sequence, that count for a fact more.
_CHARACTERS, _SELECTORS = 64, 8
#: Values whose parts come apart, in records of their own.
_PARTED = frozenset({Sampling, Interface, Application})


class Version(NamedTuple):
    """What a fact was from a change on: the change's number, the value, capture time."""

    number: int
    value: Any
    since: float


_TIME = data_type("dateTimeSeconds")
_new = tuple.__new__


class _Fact:
    """What a fact is, as a :class:`Version` has it; ``which`` one it is of its kind.

    There may be 131,072, most of which never change.
    """

    __slots__ = ("before", "kind", "number", "since", "value", "which")

    def __init__(self, kind: _Kind, which: Any, number: int, value: Any, since: float) -> None:
        self.kind = kind
        self.which = which
        self.number = number
        self.value = value
        self.since = since
        #: What it was.
        self.before: History[Version] | None = None

    def until(self, number: int) -> Any:
        """Its value at a number, None where it was not stated."""
        if self.number <= number:
            return self.value
        version = self.before.until(number) if self.before is not None else None
        return None if version is None else version.value


@dataclass(slots=True, eq=False)
class _Kind:
    """The facts of an observation domain that are of the same: its interfaces, its VRFs."""

    domain: DomainKey
    what: str
    facts: dict[Any, _Fact] = field(default_factory=dict)
    #: The number of the latest change of one of them.
    changed: int = 0
    #: Facts that went since the table was made.
    removed: int = 0


class Finder:
    """What facts of some domains were at a number; see :meth:`Metadata.finder`."""

    __slots__ = ("_known", "_number")

    def __init__(self, known: list[list[_Kind]], number: int) -> None:
        self._known = known
        self._number = number

    def __call__(self, what: str, which: Any) -> Any:
        """A fact, None where it was not stated."""
        for kinds in self._known:
            for kind in kinds:
                if kind.what == what:
                    fact = kind.facts.get(which)
                    if fact is not None and (value := fact.until(self._number)) is not None:
                        return value
        return None

    def find_many(self, what: str, which: Sequence[Any]) -> dict[Any, Any]:
        """Those of many facts that were stated: a Set may ask for 30,000."""
        found: dict[Any, Any] = {}
        # The first that has one answers, so it is asked last.
        for kind in [each for kinds in self._known[::-1] for each in kinds if each.what == what]:
            stated = zip(which, map(kind.facts.get, which))
            if kind.changed <= self._number:  # nobody stated anything since, mostly
                found |= {each: fact.value for each, fact in stated if fact is not None}
                continue
            for each, fact in stated:
                if fact is not None and (value := fact.until(self._number)) is not None:
                    found[each] = value
        return found


class Metadata:
    """The facts that exporters stated, by observation domain.

    ``limit`` is how many are kept, long ones counting for several: what facts were before goes
    first, the oldest of it, then facts, those not stated for longest.
    """

    def __init__(self, limit: int = FACTS) -> None:
        self.limit = limit
        #: The number of the latest change: by it, records that come now are answered.
        self.now = 0
        self._domains: dict[DomainKey, list[_Kind]] = {}
        self._stated: OrderedDict[_Fact, None] = OrderedDict()
        self._superseded: deque[_Fact] = deque()
        self._count = 0
        #: What they count for: long ones for several.
        self._weight = 0
        #: How many facts the present message may state still; negative: it was said that it
        #: may state no more.
        self._room = FACTS_IN_A_MESSAGE
        #: The resolver of the latest Set, kept by :mod:`~scapy_ipfix.collector.contextview`.
        self.last_resolver: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or what is pickled, finds its own answers."""
        return self.__dict__ | {"last_resolver": None}

    def __len__(self) -> int:
        """How many are kept, what facts were before included."""
        return self._count

    def begin(self) -> None:
        """Another message begins, and may state as much as the one before."""
        self._room = FACTS_IN_A_MESSAGE

    @property
    def is_full(self) -> bool:
        """Whether the message may state no more, and that was said."""
        return self._room < 0

    def learn(
        self,
        domain: DomainKey,
        template: Template,
        records: Sequence[Mapping[str, Any]],
        time: float = 0.0,
    ) -> list[Defect]:
        """Learns what Options Data Records state; gives what is to be noted.

        ``records`` are those of a Set in the Scapy domain, keyed by field name, lists left
        octets; ``time`` is when they came, in seconds since 1970. Templates that state nothing
        (:func:`is_metadata`) cost nothing. What records of the Set said that others behind them
        say otherwise is not kept: nothing came between them.
        """
        statements = statements_of(template)
        if statements is None or self.is_full:
            return []
        if len(records) > 1:
            # Records that say the same are read once, in the place of the last of them.
            backwards = records[::-1]
            told = dict(zip(map(statements.heed, backwards), backwards))
            records = [*reversed(told.values())]
        defects = []
        dropped = False
        seen = self.now
        own: dict[str, _Kind] = {}
        for values in records:
            if not self._room:
                defects.append(Defect.of("facts-many", limit=FACTS_IN_A_MESSAGE))
                self._room = -1
                break
            found = statements.read(values)
            self._room = max(0, self._room - len(found))
            for what, which, value, about in found:
                if about is not None:
                    kind = self._kind((*domain[:2], about), what)
                elif (known := own.get(what)) is not None and known.facts:
                    kind = known
                else:
                    kind = own[what] = self._kind(domain, what)
                dropped |= self._state(kind, which, value, time, seen)
        if dropped:
            defects.append(Defect.of("limit", what="facts of metadata", limit=self.limit))
        return defects

    def restore(self, domain: DomainKey, what: str, which: Any, value: Any, since: float) -> None:
        """Keeps a fact that was saved, as :meth:`facts` gave it."""
        if what == COUNTERS:
            value = dict(value)
        self._state(self._kind(domain, what), which, value, since, self.now)

    def _kind(self, domain: DomainKey, what: str) -> _Kind:
        """The facts of a kind about a domain, to which another is to be added."""
        kinds = self._domains.setdefault(domain, [])
        for kind in kinds:
            if kind.what == what:
                return kind
        kinds.append(_Kind(domain, what))
        return kinds[-1]

    def _state(self, kind: _Kind, which: Any, value: Any, time: float, seen: int) -> bool:
        """Keeps a fact, and says whether another had to go.

        What it was since a later change than ``seen`` is kept no longer, as nobody can ask.
        """
        what = kind.what
        fact = kind.facts.get(which)
        if fact is not None:
            self._stated.move_to_end(fact)
            before = fact.value
            if what == COUNTERS:
                if not _count(before, value):
                    return False
                value = before
            elif value == before or (value := _merged(before, value)) == before:
                return False
            # Counters change all the time, nobody asks what they were.
            if fact.number > seen or what == COUNTERS:
                self._weight -= _weight(what, before)
            else:
                if fact.before is None:
                    fact.before = History()
                fact.before.append(_new(Version, (fact.number, before, fact.since)))
                self._superseded.append(fact)
                self._count += 1
            fact.number, fact.value, fact.since = self.now + 1, value, time
        else:
            fact = kind.facts[which] = _Fact(kind, which, self.now + 1, value, time)
            self._stated[fact] = None
            self._count += 1
        kind.changed = self.now = self.now + 1
        self._weight += _weight(what, value)
        bounded = False
        while self._weight > self.limit and self._count > 1:
            self._bound()
            bounded = True
        return bounded

    def _bound(self) -> None:
        """Lets go of one fact, or of what one was before."""
        if self._superseded:
            fact = self._superseded.popleft()
            assert fact.before is not None  # it is there once for each of them
            self._count -= 1
            self._weight -= _weight(fact.kind.what, fact.before.drop_oldest().value)
            if not fact.before:
                fact.before = None
            return
        fact, _ = self._stated.popitem(last=False)
        self._count -= 1
        kind = fact.kind
        self._weight -= _weight(kind.what, fact.value)
        del kind.facts[fact.which]
        kind.removed = shrink(kind.facts, kind.removed + 1)
        if not kind.facts:
            kinds = self._domains[kind.domain]
            kinds.remove(kind)
            if not kinds:
                del self._domains[kind.domain]

    def find(self, domain: DomainKey, what: str, which: Any, number: int) -> Any:
        """What a fact was at that number, None where it was not stated."""
        value = self.finder((domain,), number)(what, which)
        return value.copy() if what == COUNTERS and value is not None else value

    def finder(self, domains: Iterable[DomainKey], number: int) -> Finder:
        """What finds many facts, but counters, as :meth:`find` does: in the first that has one.

        It goes by the domains that there are now: the others had nothing at that number.
        """
        known = [self._domains[each] for each in domains if each in self._domains]
        return Finder(known, number)

    @property
    def domains(self) -> Iterator[DomainKey]:
        """Whom there are facts about."""
        return iter(self._domains)

    def facts(self, domain: DomainKey) -> Iterator[tuple[str, Any, Version]]:
        """The facts about a domain as they are now: of what, of which one, and what."""
        for kind in self._domains.get(domain, ()):
            for which, fact in kind.facts.items():
                value = fact.value.copy() if kind.what == COUNTERS else fact.value
                yield kind.what, which, Version(fact.number, value, fact.since)


def is_metadata(template: Template) -> bool:
    """Whether records of a template state something that :class:`Metadata` keeps."""
    return template.is_options and statements_of(template) is not None


def _weight(what: str, value: Any) -> int:
    """For how many facts one counts: most say a number or a name."""
    if type(value) is str:
        return 1 + len(value) // _CHARACTERS
    if what == COUNTERS:
        return _COUNTERS_WEIGHT
    if what == SEQUENCE:
        return 1 + len(value) // _SELECTORS
    texts = value if isinstance(value, tuple) else ()
    return 1 + sum([len(each) for each in texts if type(each) is str]) // _CHARACTERS


def _merged(old: Any, new: Any) -> Any:
    """What is stated now, and from before what is not: names and rates come apart."""
    if type(new) in _PARTED and None in new:
        parts = [before if now is None else now for before, now in zip(old, new)]
        return _new(type(new), parts)
    return new


def _count(counters: dict[str, int], counted: Mapping[str, int]) -> bool:
    """Puts what was counted with the counters of a process, and says whether that is a change.

    Those of before go where there would be too many. There is one such dict for a process, and
    it never leaves this module: a message may state one of its counters 65,000 times.
    """
    if counted.items() <= counters.items():
        return False
    if len(counters) + sum([name not in counters for name in counted]) > _COUNTERS:
        counters.clear()
    counters.update(counted)
    return True


# -- what a person looks at


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
        for what, which, version in metadata.facts(domain):
            since = _TIME.to_text(int(version.since)) if version.since else ""
            for key, value in _shown(what, which, version.value):
                rows.append(MetadataRow(str(transport), id, what, key, value, since))
    rows.sort(key=lambda row: (row[:3], len(str(row[3])), str(row[3])))
    return Table(MetadataRow._fields, rows)


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

# SPDX-License-Identifier: GPL-2.0-or-later
"""What the facts that an exporter stated say of a record: its sampling rate, names for numbers.

A :class:`View` sees the facts of an observation domain as they were when a record came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any

from scapy_ipfix.collector.lookups import (
    DIRECTIONS,
    NO_NAMES,
    NOTHING_ASKED,
    Find,
    asked_fields,
    name_of,
)
from scapy_ipfix.collector.metadata import DomainKey, Metadata
from scapy_ipfix.collector.options import (
    APPLICATION,
    COUNTERS,
    DOMAIN,
    INTERFACE,
    MAX_OCTETS,
    MAX_TEXT,
    SAMPLING,
    SEQUENCE,
    SYSTEM,
    VRF,
    Application,
    Interface,
    Sampling,
    application_octets,
    text,
)
from scapy_ipfix.collector.sampling import rate_by, unsampled
from scapy_ipfix.model.datatype import Cache
from scapy_ipfix.wire.framing import IPFIX_VERSION
from scapy_ipfix.wire.template import Template

#: Answers remembered for the records of a template, and of each kind what facts say of numbers:
#: as many as a message can name.
_REMEMBERED, _FACTS = 4096, 32_768
#: From so many records of a Set on, what they ask for is looked up all at once.
_MANY = 256
#: What counts of long values: what is behind is cut off of text, and makes a number none.
_COUNTS: dict[type, int] = {str: 2 * MAX_OCTETS + 2, bytes: 4 * MAX_TEXT}
#: A rate beyond that is none: there cannot be so many packets as that would be of.
_MOST = 1 << 64


@dataclass(frozen=True, slots=True)
class View:
    """What was known of an exporter when a record came.

    ``values`` of a record are keyed by field name, in any domain of values. What the record
    says itself counts for more than what options said. What holds for domain 0 of IPFIX holds
    for the whole exporter (RFC 7011 3.1), and answers where a domain has nothing of its own.
    """

    metadata: Metadata
    domain: DomainKey
    number: int

    def find(self, what: str, which: Any) -> Any:
        """A fact as it was when the record came, None where it was not stated."""
        for domain in self.domains:
            found = self.metadata.find(domain, what, which, self.number)
            if found is not None:
                return found
        return None

    @property
    def domains(self) -> tuple[DomainKey, ...]:
        """Where facts are looked for: in the record's domain, in what is for the exporter."""
        transport, version, id = self.domain
        if id and version == IPFIX_VERSION:
            return self.domain, (transport, version, 0)
        return (self.domain,)

    # By number

    def sampling(self, scope: str = SYSTEM[0], number: int = 0) -> Sampling | None:
        """How packets are sampled by ``samplerId``, ``selectorId``, ``interface`` and so on.

        Without a scope, what holds for all that has no other.
        """
        return self.find(SAMPLING, (scope, number))  # type: ignore[no-any-return]

    def interface(self, index: int) -> Interface | None:
        """What the interface of an ifIndex is called."""
        return self.find(INTERFACE, index)  # type: ignore[no-any-return]

    def vrf(self, id: int) -> str | None:
        """The name of a VRF."""
        return self.find(VRF, id)  # type: ignore[no-any-return]

    def application(self, id: bytes | int | str) -> Application | None:
        """What an application is called (RFC 6759); ``id`` as in ``application_octets``."""
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
            which: version.value
            for what, which, version in self.metadata.facts(self.domain)
            if what == COUNTERS
        }

    # By record

    def sampling_rate(self, template: Template, values: Mapping[str, Any]) -> float | None:
        """How many packets there were for each that the record counts; None: not known.

        As the record says itself, else by its sampler or selectors, its interface (the one it
        was metered at first), observation point or line card, its template, its domain.
        """
        answers = self._answers(template)
        return answers.rate(answers.asked(values))

    def interface_name(
        self, template: Template, values: Mapping[str, Any], direction: str = "ingress"
    ) -> str | None:
        """The name of the record's ``ingress`` or ``egress`` interface; None: not known.

        Its description where the exporter gives no name, as IOS XR does. Raises ValueError
        for another direction.
        """
        side, answers = _side(direction), self._answers(template)
        name, description = answers.interface(answers.asked(values), side)
        return name or description

    def interface_description(
        self, template: Template, values: Mapping[str, Any], direction: str = "ingress"
    ) -> str | None:
        """The description of an interface, as :meth:`interface_name`."""
        side, answers = _side(direction), self._answers(template)
        return answers.interface(answers.asked(values), side)[1]

    def vrf_name(
        self, template: Template, values: Mapping[str, Any], direction: str = "ingress"
    ) -> str | None:
        """The name of the record's ``ingress`` or ``egress`` VRF; None: not known.

        Raises ValueError for another direction.
        """
        side, answers = _side(direction), self._answers(template)
        return answers.vrf(answers.asked(values), side)

    def application_name(self, template: Template, values: Mapping[str, Any]) -> str | None:
        """The name of the record's application; None: not known."""
        answers = self._answers(template)
        return answers.application(answers.asked(values))

    def resolver(self, template: Template) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """What answers for records of a template: from the values of one, a dict to add.

        ``sampling_rate`` is in it for every layout, ``ingress_interface_name``,
        ``egress_interface_name``, ``application_name``, ``ingress_vrf_name`` and
        ``egress_vrf_name`` for those that have such a field; None where not known. Records of
        options are given nothing.
        """
        if template.is_options:
            return lambda values: {}
        if asked_fields(template) is NOTHING_ASKED:
            told = {"sampling_rate": self._rate_of_all(template)}
            return lambda values: told
        return self._answers(template).of

    def resolve(self, template: Template, records: Sequence[dict[str, Any]]) -> None:
        """Adds to records of a template what :meth:`resolver` answers for each."""
        if template.is_options:
            return
        if asked_fields(template) is NOTHING_ASKED:
            rate = self._rate_of_all(template)
            for record in records:
                record["sampling_rate"] = rate
        elif len(records) < _MANY:
            answer = self._answers(template).of
            for record in records:
                record.update(answer(record))
        else:
            self._answers(template).tell(records)

    def _rate_of_all(self, template: Template) -> float | None:
        """The rate of records that ask for nothing: not worth more, there may be 500 layouts."""
        return _other_rate(self.metadata.finder(self.domains, self.number), template.id)

    def _answers(self, template: Template) -> _Answers:
        """What answers for the records of a template, as it was left if it answered last."""
        kept: _Answers | None = self.metadata.answered
        if kept is None or kept.template is not template or kept.view != self:
            kept = self.metadata.answered = _Answers(self, template)
        return kept


class _Answers:
    """What a view says of the records of one template.

    What facts say, and so what a record is told that asks as one before it did, is found once:
    a message may hold 13,000 Sets, or 60,000 records that all ask for something else.
    """

    def __init__(self, view: View, template: Template) -> None:
        self.view = view
        self.template = template
        self._fields = fields = asked_fields(template)
        self._asked = fields.names
        self._known: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._known_rates: dict[tuple[Any, ...], float | None] = {}
        # Of functions that do not hold this object, which else would wait for Python to
        # collect garbage: there may be one for every Set.
        find = view.metadata.finder(view.domains, view.number)
        self._finder = find
        # Texts of records that are remembered may be 512 characters.
        most = _REMEMBERED if fields.long else _FACTS
        vrfs = Cache(partial(_vrf, find), most)
        applications = Cache(partial(_application, find), most)
        self._vrfs = [(vrfs, pick) for pick in fields.vrfs]
        self._application = applications, fields.application
        self._others = [
            (key, *(self._vrfs[side] if what == VRF else self._application))
            for key, what, side in fields.wanted
        ]
        # Either interface is looked up in the same place: most are both, in other records.
        self._by_kind = rates = {
            kind: _memo(partial(_rate, find, kind))
            for kind in dict.fromkeys(["selectorId", *(kind for kind, _ in fields.sampled[0])])
        }
        rates[SEQUENCE] = _memo(partial(_product, find, rates["selectorId"]))
        self._rates = [
            [(position, rates[kind]) for kind, position in sampled] for sampled in fields.sampled
        ]
        self._by_namer = {
            names: Cache(partial(names, find), most) for names, _ in fields.interfaces
        }
        self._names = [(self._by_namer[names], pick) for names, pick in fields.interfaces]
        self._wanted = [(key, *self._names[side]) for key, side in fields.wanted_interfaces]
        self._both = fields.both
        #: What holds where nothing narrower does: a rate, the interface that a probe is on.
        self._other = _other_rate(find, template.id)
        self._watched: Interface | None = find(INTERFACE, None)

    def asked(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """What a record asks for: its values that say which facts it is about."""
        asked = tuple(map(values.get, self._asked))
        if self._fields.long:  # they are remembered, and may be 65,000 octets
            asked = tuple(map(_what_counts, asked))
        return asked

    def of(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """All answers for a record, as :meth:`View.resolver` has them."""
        # Most records of a Set came through the same few interfaces.
        asked = self.asked(values) if self._fields.long else tuple(map(values.get, self._asked))
        answers = self._known.get(asked)
        if answers is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            answers = self._known[asked] = {"sampling_rate": self.rate(asked)}
            for key, names, pick in self._wanted:
                name, description = names[pick(asked)]
                if self._watched is not None and not name:
                    name, description = self._watching(asked, (name, description))
                answers[key] = name or description or None
            for key, known, pick in self._others:
                answers[key] = known[pick(asked)]
        return answers

    def tell(self, records: Sequence[dict[str, Any]]) -> None:
        """Adds to each of many records what :meth:`of` answers.

        Of interfaces there may be 32,000: what they are called, and how they are sampled, is
        looked up for all records at once, in half the time.
        """
        fields = self._fields
        columns = [[record.get(name) for record in records] for name in self._asked]
        if fields.long:
            columns = [[*map(_what_counts, column)] for column in columns]
        asked = [*zip(*columns)]
        by_record = bool(fields.rates) or fields.direction >= 0
        rates = self._rates_by_record(asked, columns) if by_record else self._rate_column(columns)
        for record, rate in zip(records, rates):
            record["sampling_rate"] = rate
        for key, names, pick in self._wanted:
            if names is self._by_namer.get(name_of):
                self._expect_names(names, pick(columns))
            found: Iterable[tuple[str | None, str | None]]
            found = map(names.__getitem__, map(pick, asked))
            if self._watched is not None:
                found = [self._watching(*each) for each in zip(asked, found)]
            for record, (name, description) in zip(records, found):
                record[key] = name or description or None
        for key, known, pick in self._others:
            for record, answer in zip(records, map(known.__getitem__, map(pick, asked))):
                record[key] = answer

    def _rates_by_record(
        self, asked: Sequence[tuple[Any, ...]], columns: Sequence[Sequence[Any]]
    ) -> list[float | None]:
        """As :meth:`rate`, found once for records that ask the same, in other Sets too."""
        for position, rates in self._rates[0]:
            if rates is self._by_kind.get("interface"):
                self._expect_rates(rates, columns[position])
        known = self._known_rates
        if len(known) >= _REMEMBERED:
            known.clear()
        known.update({each: self.rate(each) for each in set(asked) if each not in known})
        return [*map(known.__getitem__, asked)]

    def _rate_column(self, columns: Sequence[Sequence[Any]]) -> list[float | None]:
        """As :meth:`rate`, where records say neither a rate of their own nor a direction."""
        column: list[float | None] = [None] * len(columns[0])
        for position, rates in self._rates[0]:
            if rates is self._by_kind.get("interface"):
                self._expect_rates(rates, columns[position])
            here = map(rates.__getitem__, columns[position])
            column = [each if rate is None else rate for rate, each in zip(column, here)]
            if None not in column:
                return column
        return [self._other if each is None else each for each in column]

    def _expect_names(self, names: Cache, column: Sequence[Any]) -> None:
        """Looks up at once what the interfaces of a column are called."""
        if numbers := _numbers(column, names):
            names.preload(numbers, NO_NAMES)
            names.update(self._finder.all(INTERFACE, numbers))

    def _expect_rates(self, rates: Cache, column: Sequence[Any]) -> None:
        """Looks up at once how the interfaces of a column are sampled."""
        if numbers := _numbers(column, rates):
            found = self._finder.all(SAMPLING, [*zip(repeat("interface"), numbers)])
            rates.preload(numbers, None)
            rates.update({number: sampling.rate for (_, number), sampling in found.items()})

    def rate(self, asked: tuple[Any, ...]) -> float | None:
        """As :meth:`View.sampling_rate`."""
        fields = self._fields
        own: dict[str, Any] | None = None
        rate: float | None
        if fields.rates:
            own = {element: asked[position] for element, position in fields.rates}
            rate = rate_by(fields.rules, own)
            if rate is not None:
                return rate
        for position, rates in self._rates[asked[fields.direction] in (1, "egress")]:
            rate = rates[asked[position]]
            if rate is not None:
                return rate
        rate = self._other
        return 1 if rate is None and own and unsampled(own) else rate

    def interface(self, asked: tuple[Any, ...], side: int) -> tuple[str | None, str | None]:
        """The name and the description of the interface on a side."""
        names, pick = self._names[side]
        name, description = self._watching(asked, names[pick(asked)])
        return name or None, description or None

    def _watching(
        self, asked: tuple[Any, ...], names: tuple[str | None, str | None]
    ) -> tuple[str | None, str | None]:
        """What is not known of an interface, of a probe that is on this one only.

        Its options may name it without a number.
        """
        name, description = names
        watched = self._watched
        one, other = self._both(asked)
        if watched is None or one is None or one != other:
            return name, description
        return name or watched.name, description or watched.description

    def vrf(self, asked: tuple[Any, ...], side: int) -> str | None:
        """As :meth:`View.vrf_name`."""
        known, pick = self._vrfs[side]
        return known[pick(asked)]  # type: ignore[no-any-return]

    def application(self, asked: tuple[Any, ...]) -> str | None:
        """As :meth:`View.application_name`."""
        known, pick = self._application
        return known[pick(asked)]  # type: ignore[no-any-return]


def _what_counts(value: Any) -> Any:
    """A value that says which fact it is about, as long as it can be for that."""
    most = _COUNTS.get(type(value))
    return value if most is None else value[:most]


def _numbers(column: Sequence[Any], known: Mapping[Any, Any]) -> list[int]:
    """Which numbers are in a column that are not known: those of the Sets before mostly are."""
    # Not difference(), which goes through all that is known.
    return [each for each in set(column) if each not in known and type(each) is int]


def _memo(function: Callable[[Any], Any]) -> Cache:
    return Cache(function, _FACTS)


def _rate(find: Find, scope: str, number: object) -> float | None:
    """The rate of a scope and a number."""
    found: Sampling | None = None
    if isinstance(number, int):
        found = find(SAMPLING, (scope, number))
    return None if found is None else found.rate


def _other_rate(find: Find, template_id: int) -> float | None:
    """The rate of what has no other: that of its template, or of all."""
    rate = _rate(find, "templateId", template_id)
    return _rate(find, *SYSTEM) if rate is None else rate


def _product(find: Find, steps: Cache, sequence: object) -> float | None:
    """The rate of selectors in a row (RFC 5476 6.5.1): they multiply."""
    selectors = find(SEQUENCE, sequence) if isinstance(sequence, int) else None
    rates = [*map(steps.__getitem__, selectors or ())]
    if not rates or not all(rates):
        return None
    try:
        product = math.prod(rates)
    except OverflowError:  # integers beyond what a float can be, and a float
        return None
    return product if product <= _MOST else None


def _vrf(find: Find, asked: tuple[Any, Any]) -> str | None:
    """The name of a VRF: the one in the record, or of the number in it."""
    own, id = asked
    return text(own) or (find(VRF, id) or None if isinstance(id, int) else None)


def _application(find: Find, asked: tuple[Any, Any]) -> str | None:
    """The name of an application, as :func:`_vrf`."""
    own, id = asked
    if said := text(own):
        return said
    octets = application_octets(id) if id else None
    found: Application | None = find(APPLICATION, octets) if octets else None
    return found.name or None if found is not None else None


def _side(direction: str) -> int:
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is 'ingress' or 'egress', not {direction!r}")
    return DIRECTIONS.index(direction)

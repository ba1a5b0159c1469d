# SPDX-License-Identifier: GPL-2.0-or-later
"""What the facts that an exporter stated say of a record: its sampling rate, names for numbers.

A :class:`View` sees the facts of an observation domain as they were when a record came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scapy_ipfix.metadata import DomainKey, Metadata
from scapy_ipfix.statements import (
    APPLICATION,
    COUNTERS,
    DOMAIN,
    INTERFACE,
    RATE_ELEMENTS,
    SAMPLING,
    SEQUENCE,
    SYSTEM,
    VRF,
    Application,
    Interface,
    Sampling,
    application_octets,
    sampling_rate,
    text,
    unsampled,
)
from scapy_ipfix.templates import Template, kept_by_template
from scapy_ipfix.wire import IPFIX_VERSION

DIRECTIONS = ("ingress", "egress")


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

    def _find(self, what: str, which: Any) -> Any:
        found = self.metadata.find(self.domain, what, which, self.number)
        transport, version, id = self.domain
        if found is None and id and version == IPFIX_VERSION:
            found = self.metadata.find((transport, version, 0), what, which, self.number)
        return found

    # By number

    def sampling(self, scope: str = SYSTEM[0], number: int = 0) -> Sampling | None:
        """How packets are sampled by ``samplerId``, ``selectorId``, ``interface`` and so on.

        Without a scope, what holds for all that has no other.
        """
        return self._find(SAMPLING, (scope, number))  # type: ignore[no-any-return]

    def interface(self, index: int) -> Interface | None:
        """What the interface of an ifIndex is called."""
        return self._find(INTERFACE, index)  # type: ignore[no-any-return]

    def vrf(self, id: int) -> str | None:
        """The name of a VRF."""
        return self._find(VRF, id)  # type: ignore[no-any-return]

    def application(self, id: bytes | int | str) -> Application | None:
        """What an application is called (RFC 6759); ``id`` as in ``application_octets``."""
        octets = application_octets(id)
        return None if octets is None else self._find(APPLICATION, octets)

    @property
    def domain_name(self) -> str | None:
        """The name of the observation domain."""
        return self.metadata.find(self.domain, DOMAIN, None, self.number) or None

    @property
    def counters(self) -> dict[tuple[tuple[str, int], ...], dict[str, int]]:
        """The latest counters of each process, keyed by its scope: ``(name, number)`` pairs."""
        return {
            which: dict(version.value)
            for what, which, version in self.metadata.facts(self.domain)
            if what == COUNTERS
        }

    # By record

    def sampling_rate(self, template: Template, values: Mapping[str, Any]) -> float | None:
        """How many packets there were for each that the record counts; None: not known.

        As the record says itself, else by its sampler or selectors, its interface (the one it
        was metered at first), observation point or line card, its template, its domain.
        """
        fields = _record_fields(template)
        own = {element: values.get(name) for element, name in fields.rates}
        rate = sampling_rate(own)
        if rate is not None:
            return rate
        for kind, name in fields.samplers:
            number = values.get(name)
            if isinstance(number, int):
                rate = self._sequence_rate(number) if kind == SEQUENCE else self._rate(kind, number)
                if rate is not None:
                    return rate
        indices = [values.get(each) for each in (*fields.indices[0], *fields.indices[1])]
        if values.get(fields.direction or "") in (1, "egress"):
            indices.reverse()
        for index in indices:
            if isinstance(index, int):
                rate = self._rate("interface", index)
                if rate is not None:
                    return rate
        for kind, name in fields.points:
            number = values.get(name)
            if isinstance(number, int):
                rate = self._rate(kind, number)
                if rate is not None:
                    return rate
        rate = self._rate("templateId", template.id)
        if rate is None:
            rate = self._rate(*SYSTEM)
        return 1 if rate is None and own and unsampled(own) else rate

    def _rate(self, scope: str, number: int) -> float | None:
        found = self.sampling(scope, number)
        return None if found is None else found.rate

    def _sequence_rate(self, number: int) -> float | None:
        """The rate of selectors in a row (RFC 5476 6.5.1): they multiply."""
        steps = [self._rate("selectorId", each) for each in self._find(SEQUENCE, number) or ()]
        known = [each for each in steps if each is not None]
        return math.prod(known) if steps and len(known) == len(steps) else None

    def interface_name(
        self, template: Template, values: Mapping[str, Any], direction: str = "ingress"
    ) -> str | None:
        """The name of the record's ``ingress`` or ``egress`` interface; None: not known.

        Its description where the exporter gives no name, as IOS XR does. Raises ValueError
        for another direction.
        """
        return self._interface(template, values, direction, 0) or self._interface(
            template, values, direction, 1
        )

    def interface_description(
        self, template: Template, values: Mapping[str, Any], direction: str = "ingress"
    ) -> str | None:
        """The description of an interface, as :meth:`interface_name`."""
        return self._interface(template, values, direction, 1)

    def _interface(
        self, template: Template, values: Mapping[str, Any], direction: str, part: int
    ) -> str | None:
        side = _side(direction)
        fields = _record_fields(template)
        own = fields.interfaces[part][side]
        if own is not None and (said := text(values.get(own))):
            return said
        indices = [values.get(each) for each in fields.indices[side]]
        for index in indices:
            found = self.interface(index) if isinstance(index, int) else None
            if found is not None and found[part]:
                return found[part]
        others = [values.get(each) for each in fields.indices[1 - side]]
        if indices and indices[0] is not None and indices[:1] == others[:1]:
            # A probe on one interface, which its options may name without a number.
            found = self._find(INTERFACE, None)
            return (found[part] or None) if found is not None else None
        return None

    def vrf_name(
        self, template: Template, values: Mapping[str, Any], direction: str = "ingress"
    ) -> str | None:
        """The name of the record's ``ingress`` or ``egress`` VRF; None: not known.

        Raises ValueError for another direction.
        """
        side = _side(direction)
        fields = _record_fields(template)
        own = fields.vrf_names[side]
        if own is not None and (said := text(values.get(own))):
            return said
        for each in fields.vrfs[side]:
            if isinstance(id := values.get(each), int):
                return self.vrf(id) or None
        return None

    def application_name(self, template: Template, values: Mapping[str, Any]) -> str | None:
        """The name of the record's application; None: not known."""
        fields = _record_fields(template)
        if fields.application_name and (said := text(values.get(fields.application_name))):
            return said
        id = values.get(fields.application) if fields.application else None
        found = self.application(id) if id else None
        return found.name or None if found is not None else None

    def resolver(self, template: Template) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """What answers for many records of a template: from their values, a dict to add.

        ``sampling_rate`` is in it for every layout, ``ingress_interface_name``,
        ``egress_interface_name``, ``application_name``, ``ingress_vrf_name`` and
        ``egress_vrf_name`` for those that have such a field; None where not known. Records of
        options are given nothing.
        """
        if template.is_options:
            return lambda values: {}
        fields = _record_fields(template)
        known: dict[tuple[Any, ...], dict[str, Any]] = {}

        def resolve(values: Mapping[str, Any]) -> dict[str, Any]:
            # Most records of a Set came through the same few interfaces.
            asked = tuple(map(values.get, fields.asked))
            answers = known.get(asked)
            if answers is None:
                answers = known[asked] = self._answers(template, fields, values)
            return answers

        return resolve

    def _answers(
        self, template: Template, fields: _RecordFields, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        answers: dict[str, Any] = {"sampling_rate": self.sampling_rate(template, values)}
        for side, direction in enumerate(DIRECTIONS):
            if fields.indices[side] or fields.interfaces[0][side]:
                name = self.interface_name(template, values, direction)
                answers[f"{direction}_interface_name"] = name
            if fields.vrfs[side] or fields.vrf_names[side]:
                answers[f"{direction}_vrf_name"] = self.vrf_name(template, values, direction)
        if fields.application or fields.application_name:
            answers["application_name"] = self.application_name(template, values)
        return answers


def _side(direction: str) -> int:
    if direction not in DIRECTIONS:
        raise ValueError(f"direction is 'ingress' or 'egress', not {direction!r}")
    return DIRECTIONS.index(direction)


#: For (ingress, egress).
_Sides = tuple[Any, Any]


@dataclass(frozen=True, slots=True)
class _RecordFields:
    """The fields of a record layout that say which facts it is about, by what they say."""

    rates: tuple[tuple[str, str], ...]
    samplers: tuple[tuple[str, str], ...]
    points: tuple[tuple[str, str], ...]
    direction: str | None
    indices: _Sides
    #: Names and descriptions, each by side.
    interfaces: tuple[_Sides, _Sides]
    vrfs: _Sides
    vrf_names: _Sides
    application: str | None
    application_name: str | None
    #: All of the above.
    asked: tuple[str, ...]


_INDICES = (
    ("ingressInterface", "ingressPhysicalInterface"),
    ("egressInterface", "egressPhysicalInterface"),
)
_VRF_IDS = (("ingressVRFID",), ("egressVRFID",))
_SAMPLERS = {
    "samplerId": "samplerId",
    "selectorId": "selectorId",
    "selectionSequenceId": SEQUENCE,
}
_POINTS = ("observationPointId", "lineCardId")


@kept_by_template
def _record_fields(template: Template) -> _RecordFields:
    named: dict[str, str] = {}
    for each in template.fields:
        if not each.element.pen:
            named.setdefault(each.element.name, each.name)
    parts: dict[str, Any] = {
        "rates": tuple((name, named[name]) for name in named if name in RATE_ELEMENTS),
        "samplers": tuple((kind, named[name]) for name, kind in _SAMPLERS.items() if name in named),
        "points": tuple((name, named[name]) for name in _POINTS if name in named),
        "direction": named.get("flowDirection"),
        "indices": _present(named, _INDICES),
        "interfaces": (
            _by_side(template, "interfaceName", _INDICES),
            _by_side(template, "interfaceDescription", _INDICES),
        ),
        "vrfs": _present(named, _VRF_IDS),
        "vrf_names": _by_side(template, "VRFname", _VRF_IDS),
        "application": named.get("applicationId"),
        "application_name": named.get("applicationName"),
    }
    leaves = dict.fromkeys(_leaves(parts))
    own = set(template.names)
    return _RecordFields(**parts, asked=tuple(each for each in leaves if each in own))


def _leaves(parts: Any) -> Iterator[str]:
    if isinstance(parts, str):
        yield parts
    elif isinstance(parts, (dict, tuple)):
        for each in parts.values() if isinstance(parts, dict) else parts:
            yield from _leaves(each)


def _present(named: Mapping[str, str], sides: tuple[tuple[str, ...], tuple[str, ...]]) -> _Sides:
    ingress, egress = (tuple(named[name] for name in names if name in named) for names in sides)
    return ingress, egress


def _by_side(
    template: Template, name: str, sides: tuple[tuple[str, ...], tuple[str, ...]]
) -> _Sides:
    """The fields of an element that names the interface (or VRF) of either side.

    Two such fields are in the order of the numbers they go with; a single one goes with the
    number before it, as Open vSwitch has it.
    """
    order: list[int] = []
    found: list[tuple[str, int]] = []
    for each in template.fields:
        if each.element.pen:
            continue
        for side, numbers in enumerate(sides):
            if each.element.name in numbers and side not in order:
                order.append(side)
        if each.element.name == name:
            found.append((each.name, order[-1] if order else 0))
    by_side: list[str | None] = [None, None]
    if len(found) == 1 and len(order) == 1:
        by_side[order[0]] = found[0][0]
    elif len(found) == 1:
        by_side[found[0][1]] = found[0][0]
    else:
        for (each_name, _), side in zip(found, order or (0, 1)):
            by_side[side] = each_name
    return by_side[0], by_side[1]

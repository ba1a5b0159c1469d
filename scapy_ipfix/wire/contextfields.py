# SPDX-License-Identifier: GPL-2.0-or-later
"""Fields of Data Records that lead to facts of options data: interfaces, samplers, VRFs.

:func:`context_fields` selects them once for a layout. The values of a record's context fields
are its key: records of equal keys resolve to the same values (:mod:`scapy_ipfix.wire.resolver`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

from scapy_ipfix.model.sampling import RATE_ELEMENTS, RateRule, rate_rules
from scapy_ipfix.wire.facts import INTERFACE, SEQUENCE, FindFact, fact_text
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template, cached_per_template

DIRECTIONS = ("ingress", "egress")

#: Selects from a key (or from columns of keys) the part at one position, or a tuple of several.
Pick = Callable[[Any], Any]
#: Looks up the name and the description of an interface, from the part of a key for it.
InterfaceNamer = Callable[[FindFact, Any], "tuple[str | None, str | None]"]
_Interface: TypeAlias = "tuple[InterfaceNamer, Pick] | None"


@dataclass(frozen=True, slots=True)
class ContextFields:
    """Context fields of a record layout, in positions of its records' keys.

    ``names`` are the fields whose values form a key, followed by an empty name, so that
    position -1 stands for an absent field. Pairs are of the ingress and the egress side; None
    where the layout has no such field.
    """

    names: tuple[str, ...]
    #: IANA names and positions of the elements that a rate is computed from.
    rates: tuple[tuple[str, int], ...]
    rate_rules: tuple[RateRule, ...]
    #: Scopes of sampling facts with the positions of their numbers, in precedence; for records
    #: metered at ingress, and for those metered at egress.
    sampled: tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]
    #: Records have a sampler, a selector or a selection sequence.
    has_sampler: bool
    #: The position of flowDirection.
    direction: int
    #: The function that names an interface, and its part of a key.
    interfaces: tuple[_Interface, _Interface]
    #: Sides with the number or the name of an interface, not merely its description.
    identified: tuple[bool, bool]
    #: The first interface number of either side.
    both_interfaces: Pick
    #: The name of the VRF and its number.
    vrfs: tuple[Pick | None, Pick | None]
    #: The name of the application and its applicationId.
    application: Pick | None
    #: Values may be long, as text is.
    has_long_values: bool


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

#: Octets of the longest field whose values are not long; numbers have eight at most.
_LONG = 64
#: IANA names of all context fields.
_CONTEXT_ELEMENTS = frozenset(
    (
        *("interfaceName", "interfaceDescription", "VRFname", "flowDirection"),
        *("applicationId", "applicationName", *RATE_ELEMENTS, *_SAMPLERS, *_POINTS),
        *(name for names in (*_INDICES, *_VRF_IDS) for name in names),
    )
)


@cached_per_template
def context_fields(template: Template) -> ContextFields:
    """Return the context fields of a layout, :data:`NO_CONTEXT_FIELDS` where it has none."""
    # Index access, which is faster than by name: a message may define 3,000 layouts.
    fields = [
        each for each in template.fields if each[0].name in _CONTEXT_ELEMENTS and not each[0].pen
    ]
    return _Layout(fields).context_fields() if fields else NO_CONTEXT_FIELDS


class _Layout:
    """Selection of the context fields of one layout, which assigns positions in the key."""

    def __init__(self, fields: Sequence[TemplateField]) -> None:
        self._fields = fields
        #: The first field of each of IANA's elements.
        self._own: dict[str, str] = {}
        for element, _, name, _ in fields:
            self._own.setdefault(element.name, name)
        self._positions: dict[str, int] = {}
        self._indices = [
            [self._at(name) for name in names if name in self._own] for names in _INDICES
        ]
        self._names = self._by_side("interfaceName", _INDICES)
        self._descriptions = self._by_side("interfaceDescription", _INDICES)
        self._vrf_names = self._by_side("VRFname", _VRF_IDS)

    def context_fields(self) -> ContextFields:
        """Return the context fields."""
        own, indices = self._own, self._indices
        samplers = [(kind, self._at(name)) for name, kind in _SAMPLERS.items() if name in own]
        metered = [("interface", position) for side in indices for position in side]
        points = [(name, self._at(name)) for name in _POINTS if name in own]
        both = [side[0] for side in indices] if all(indices) else (-1, -1)
        return ContextFields(
            rates=tuple((name, self._at(name)) for name in own if name in RATE_ELEMENTS),
            rate_rules=rate_rules(own),
            sampled=((*samplers, *metered, *points), (*samplers, *reversed(metered), *points)),
            has_sampler=bool(samplers),
            direction=self._at("flowDirection"),
            interfaces=(self._interface(0), self._interface(1)),
            identified=(self._is_identified(0), self._is_identified(1)),
            both_interfaces=itemgetter(*both),
            vrfs=(self._vrf(0), self._vrf(1)),
            application=self._application(),
            has_long_values=any(field.length > _LONG for field in self._fields),
            names=(*self._positions, ""),
        )

    def _position(self, name: str | None) -> int:
        """Return the position of a field of the record in keys; -1 for an absent field."""
        return -1 if name is None else self._positions.setdefault(name, len(self._positions))

    def _at(self, element: str) -> int:
        """Return the position of the first field of one of IANA's elements."""
        return self._position(self._own.get(element))

    def _interface(self, side: int) -> _Interface:
        name, description = self._names[side], self._descriptions[side]
        numbers = self._indices[side]
        if name is description is None:
            if not numbers:
                return None
            if len(numbers) == 1:
                return name_of_number, itemgetter(*numbers)
        texts = self._position(name), self._position(description)
        return _name_of_record, itemgetter(*texts, *numbers)

    def _is_identified(self, side: int) -> bool:
        return bool(self._indices[side]) or self._names[side] is not None

    def _vrf(self, side: int) -> Pick | None:
        name, (number,) = self._vrf_names[side], _VRF_IDS[side]
        if name is None and number not in self._own:
            return None
        return itemgetter(self._position(name), self._at(number))

    def _application(self) -> Pick | None:
        elements = ("applicationName", "applicationId")
        if self._own.keys().isdisjoint(elements):
            return None
        return itemgetter(*map(self._at, elements))

    def _by_side(
        self, element: str, numbers: tuple[tuple[str, ...], tuple[str, ...]]
    ) -> tuple[str | None, str | None]:
        """Return the fields of an element that names the interface (or VRF) of either side.

        Two such fields are in the order of the numbers they go with; a single one goes with the
        number before it, as Open vSwitch has it.
        """
        order: list[int] = []
        found: list[tuple[str, int]] = []
        for field in self._fields:
            for side, elements in enumerate(numbers):
                if field.element.name in elements and side not in order:
                    order.append(side)
            if field.element.name == element:
                found.append((field.name, order[-1] if order else 0))
        by_side: list[str | None] = [None, None]
        if len(found) == 1:
            ((name, side),) = found
            by_side[order[0] if len(order) == 1 else side] = name
        else:
            for (name, _), side in zip(found, order or (0, 1)):
                by_side[side] = name
        return by_side[0], by_side[1]


# -- names of interfaces


def _name_of_record(find: FindFact, part: tuple[Any, ...]) -> tuple[str | None, str | None]:
    """Return an interface's name and description, from the record itself or by its number.

    That is the first of ``ingressInterface`` and ``ingressPhysicalInterface`` that is not 0: a
    logical interface without a name has not that of the physical one.
    """
    name, description, *_ = part
    if name is not None or description is not None:
        name, description = fact_text(name), fact_text(description)
    index = next((number for number in part[2:] if isinstance(number, int) and number), None)
    if index is not None and not (name and description):
        found = find(INTERFACE, index)
        if found is not None:
            name, description = name or found.name, description or found.description
    return name or None, description or None


def name_of_number(find: FindFact, index: object) -> tuple[str | None, str | None]:
    """Return an interface's name and description by its number, the record's only field of it."""
    found = find(INTERFACE, index) if isinstance(index, int) else None
    return NO_NAMES if found is None else (found.name or None, found.description or None)


#: The name and the description of an unknown interface.
NO_NAMES = None, None

#: The context fields of a layout that has none.
NO_CONTEXT_FIELDS = _Layout(()).context_fields()

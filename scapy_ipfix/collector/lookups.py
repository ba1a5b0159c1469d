# SPDX-License-Identifier: GPL-2.0-or-later
"""The fields of records that say which facts they are about: interfaces, samplers, VRFs.

What the facts say of a record is for :mod:`scapy_ipfix.collector.resolver`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from scapy_ipfix.collector.options import APPLICATION, INTERFACE, SEQUENCE, VRF, text
from scapy_ipfix.collector.sampling import RATE_ELEMENTS, RateRule, rate_rules
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template, kept_by_template

DIRECTIONS = ("ingress", "egress")
#: Finds a fact: of what, of which one.
Find = Callable[[str, Any], Any]
#: Picks of what a record asks for: the value at a position, or a tuple of several.
_Pick = Callable[[Any], Any]
#: Finds a name and a description.
_Namer = Callable[[Find, Any], "tuple[str | None, str | None]"]


@dataclass(frozen=True, slots=True)
class AskedFields:
    """The fields of a record layout that say which facts it is about.

    ``names`` has them all, the others where in it they are: at its end those that the layout
    does not have.
    """

    names: tuple[str, ...]
    #: IANA's names of those that say the rate.
    rates: tuple[tuple[str, int], ...]
    #: How these do so.
    rules: tuple[RateRule, ...]
    #: What sampling may be limited to, of records metered at ingress, and at egress.
    sampled: tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]
    direction: int
    #: By side: how to name the interface, and of what: see :func:`_names`, :func:`name_of`.
    interfaces: tuple[tuple[_Namer, _Pick], tuple[_Namer, _Pick]]
    #: The first number of an interface of either side.
    both: _Pick
    #: By side: what the VRF is called, its number.
    vrfs: tuple[_Pick, _Pick]
    #: What the application is called, its number.
    application: _Pick
    #: Whether some of their values may be long, as text is.
    long: bool
    #: The interfaces that a resolver names: what the answer is called, on which side it is.
    wanted_interfaces: tuple[tuple[str, int], ...]
    #: What it answers beside these and the rate: what that is called, what it is, on which side.
    wanted: tuple[tuple[str, str, int], ...]


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


#: Octets beyond which a value is long; of numbers there are eight.
_LONG = 64
#: IANA's names of all these elements.
_ASKED = frozenset(
    (
        *("interfaceName", "interfaceDescription", "VRFname", "flowDirection"),
        *("applicationId", "applicationName", *RATE_ELEMENTS, *_SAMPLERS, *_POINTS),
        *(name for names in (*_INDICES, *_VRF_IDS) for name in names),
    )
)


@kept_by_template
def asked_fields(template: Template) -> AskedFields:
    """The fields of a layout that say which facts its records are about."""
    fields = tuple([each for each in template.fields if each[0].name in _ASKED and not each[0].pen])
    return _of_fields(fields) if fields else NOTHING_ASKED


def _of_fields(fields: Sequence[TemplateField]) -> AskedFields:
    named: dict[str, str] = {}
    for element, _, own, _ in fields:
        named.setdefault(element.name, own)
    indices = [[name for name in names if name in named] for names in _INDICES]
    names, descriptions, vrf_names = (
        _by_side(fields, name, numbers)
        for name, numbers in (
            *(("interfaceName", _INDICES), ("interfaceDescription", _INDICES)),
            ("VRFname", _VRF_IDS),
        )
    )
    asked: dict[str, int] = {}

    def at(name: str | None) -> int:
        """Where the value of a field will be, -1 for one that there is not."""
        return -1 if name is None else asked.setdefault(name, len(asked))

    before = [(kind, at(named[name])) for name, kind in _SAMPLERS.items() if name in named]
    metered = [("interface", at(named[name])) for side in indices for name in side]
    points = [(name, at(named[name])) for name in _POINTS if name in named]
    wanted_interfaces, wanted = [], []
    for side, direction in enumerate(DIRECTIONS):
        if indices[side] or names[side]:
            wanted_interfaces.append((f"{direction}_interface_name", side))
        if vrf_names[side] or _VRF_IDS[side][0] in named:
            wanted.append((f"{direction}_vrf_name", VRF, side))
    if "applicationId" in named or "applicationName" in named:
        wanted.append(("application_name", APPLICATION, 0))

    def namer(side: int) -> tuple[_Namer, _Pick]:
        numbers = [at(named[name]) for name in indices[side]]
        if names[side] is descriptions[side] is None and len(numbers) == 1:
            return name_of, itemgetter(*numbers)
        return _names, itemgetter(at(names[side]), at(descriptions[side]), *numbers)

    def vrf(side: int) -> _Pick:
        return itemgetter(at(vrf_names[side]), at(named.get(_VRF_IDS[side][0])))

    firsts = [at(named[side[0]]) for side in indices if side]
    return AskedFields(
        rates=tuple((name, at(named[name])) for name in named if name in RATE_ELEMENTS),
        rules=rate_rules(named),
        sampled=((*before, *metered, *points), (*before, *reversed(metered), *points)),
        direction=at(named.get("flowDirection")),
        interfaces=(namer(0), namer(1)),
        both=itemgetter(*(firsts if len(firsts) == 2 else (-1, -1))),
        vrfs=(vrf(0), vrf(1)),
        application=itemgetter(at(named.get("applicationName")), at(named.get("applicationId"))),
        long=any(field.length > _LONG for field in fields),
        wanted_interfaces=tuple(wanted_interfaces),
        wanted=tuple(wanted),
        names=(*asked, ""),
    )


def _by_side(
    fields: Sequence[TemplateField], name: str, sides: tuple[tuple[str, ...], tuple[str, ...]]
) -> tuple[str | None, str | None]:
    """The fields of an element that names the interface (or VRF) of either side.

    Two such fields are in the order of the numbers they go with; a single one goes with the
    number before it, as Open vSwitch has it.
    """
    order: list[int] = []
    found: list[tuple[str, int]] = []
    for element, _, own, _ in fields:
        for side, numbers in enumerate(sides):
            if element.name in numbers and side not in order:
                order.append(side)
        if element.name == name:
            found.append((own, order[-1] if order else 0))
    by_side: list[str | None] = [None, None]
    if len(found) == 1 and len(order) == 1:
        by_side[order[0]] = found[0][0]
    elif len(found) == 1:
        by_side[found[0][1]] = found[0][0]
    else:
        for (each_name, _), side in zip(found, order or (0, 1)):
            by_side[side] = each_name
    return by_side[0], by_side[1]


# -- names of interfaces


def _names(find: Find, asked: tuple[Any, ...]) -> tuple[str | None, str | None]:
    """An interface's name and description: those in the record, or of the numbers in it."""
    name, description, *_ = asked
    if name is not None or description is not None:
        name, description = text(name), text(description)
    for index in asked[2:]:
        if name and description:
            break
        found = find(INTERFACE, index) if isinstance(index, int) else None
        if found is not None:
            name, description = name or found.name, description or found.description
    return name or None, description or None


def name_of(find: Find, index: object) -> tuple[str | None, str | None]:
    """As :func:`_names`, where there is nothing in the record but one number."""
    found = find(INTERFACE, index) if isinstance(index, int) else None
    return NO_NAMES if found is None else (found.name or None, found.description or None)


#: What :func:`name_of` says of an interface of which nothing was stated.
NO_NAMES = None, None


#: What a layout has that has none of them.
NOTHING_ASKED = _of_fields(())

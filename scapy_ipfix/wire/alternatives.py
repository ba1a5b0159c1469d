# SPDX-License-Identifier: GPL-2.0-or-later
"""Values that records have in one of several elements: addresses, ports, protocol, counters.

An address is an IPv4 or an IPv6 element, or one after translation; a counter is a delta or a
total. :data:`ALTERNATIVES` lists the elements of each value in precedence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from scapy_ipfix.model.reverse import REVERSE_PEN
from scapy_ipfix.wire.template import Template, cached_per_template


def _reverse(*names: str) -> tuple[str, ...]:
    return tuple(f"reverse{name[0].upper()}{name[1:]}" for name in names)


def _addresses(side: str) -> tuple[tuple[str, ...], ...]:
    own = f"{side}IPv4Address", f"{side}IPv6Address"
    translated = tuple(f"postNAT{name[0].upper()}{name[1:]}" for name in own)
    return own, translated, _reverse(*own), _reverse(*translated)


def _ports(side: str) -> tuple[tuple[str, ...], ...]:
    name = f"{side}TransportPort"
    own = name, *(f"{protocol}{side.capitalize()}Port" for protocol in ("tcp", "udp"))
    translated = (f"postNAPT{name[0].upper()}{name[1:]}",)
    return own, translated, _reverse(*own), _reverse(*translated)


def _counters(unit: str, initiator: str, responder: str) -> tuple[tuple[str, ...], ...]:
    deltas = f"{unit}DeltaCount", f"post{unit.capitalize()}DeltaCount", initiator
    totals = f"{unit}TotalCount", f"post{unit.capitalize()}TotalCount"
    layer2 = ("layer2OctetDeltaCount", "layer2OctetTotalCount") if unit == "octet" else ()
    forward = (*deltas, *totals, *layer2)
    return *((name,) for name in forward), (responder,), *((each,) for each in _reverse(*forward))


#: The elements of each value. The first group that a layout has an element of is used: the
#: first of its values that is not zero, as exporters set the family that a flow does not have
#: to zeros.
ALTERNATIVES: dict[str, tuple[tuple[str, ...], ...]] = {
    "source_address": _addresses("source"),
    "destination_address": _addresses("destination"),
    "source_port": _ports("source"),
    "destination_port": _ports("destination"),
    "protocol": (("protocolIdentifier",), ("nextHeaderIPv6",), _reverse("protocolIdentifier")),
    "octets": _counters("octet", "initiatorOctets", "responderOctets"),
    "packets": _counters("packet", "initiatorPackets", "responderPackets"),
}
_VERSION = "ipVersion"
_ELEMENTS = {_VERSION, *(name for groups in ALTERNATIVES.values() for g in groups for name in g)}
_PENS = (0, REVERSE_PEN)
#: Values of the family or the protocol that a record does not have.
_ZEROS = frozenset((None, 0, "0.0.0.0", "::"))


class Alternative(NamedTuple):
    """Fields of a layout that one value is in, in precedence, and the type of that value.

    ``version`` is the field ipVersion of a layout with addresses of both families.
    """

    names: tuple[str, ...]
    type: type
    version: str | None = None

    def values(self, column: Callable[[str], Sequence[Any]]) -> list[Any]:
        """Return the value of each record; ``column`` returns the values of a field."""
        type = self.type
        columns = [
            [value if isinstance(value, type) else None for value in column(name)]
            for name in self.names
        ]
        if len(columns) == 1:
            return columns[0]
        if self.version is not None:
            return [
                _first(row[::-1] if version == 6 else row)
                for version, row in zip(column(self.version), zip(*columns))
            ]
        return [*map(_first, zip(*columns))]


def _first(row: tuple[Any, ...]) -> Any:
    """Return the first value that is not zero, else the first one that there is."""
    for value in row:
        if value not in _ZEROS:
            return value
    return next((value for value in row if value is not None), None)


@cached_per_template
def alternatives(template: Template) -> dict[str, Alternative]:
    """Return the values that records of a layout have, with their fields."""
    # Index access, which is faster than by name: a message may define 3,000 layouts.
    own = {
        each[0].name: each.name
        for each in reversed(template.fields)
        if each[0].name in _ELEMENTS and each[0].pen in _PENS
    }
    found: dict[str, Alternative] = {}
    if not own:
        return found
    for value, groups in ALTERNATIVES.items():
        for group in groups:
            names = tuple([own[name] for name in group if name in own])
            if names:
                is_address = value.endswith("address")
                version = own.get(_VERSION) if is_address and len(names) > 1 else None
                found[value] = Alternative(names, str if is_address else int, version)
                break
    return found

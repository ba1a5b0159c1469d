# SPDX-License-Identifier: GPL-2.0-or-later
"""Reverse Information Elements: the other direction of a Biflow (RFC 5103).

The reverse of an IANA element has its number under the Reverse PEN 29305 (section 6.1); an
enterprise may define a bit that marks reverse elements in its own numbers (section 6.2).
"""

from __future__ import annotations

import dataclasses

from scapy_ipfix.model.element import MAX_ID, InformationElement, placeholder_name

#: The Reverse PEN, the enterprise number of the reverses of IANA's elements.
REVERSE_PEN = 29305
#: IANA's elements without a reverse (RFC 5103 section 6.1): they describe a process or the
#: whole Flow, not one of its directions.
NOT_REVERSIBLE = frozenset(
    {
        # identifiers: commonPropertiesId, templateId, flowId, observationDomainId
        *(137, 145, 148, 149),
        # configuration of metering and exporting (RFC 5102 section 5.2)
        *(130, 131, 173, 211, 212, 213, 214, 215, 216, 217),
        # statistics of metering and exporting (RFC 5102 section 5.3)
        *(40, 41, 42, 163, 164, 165, 166, 167, 168),
        # paddingOctets, biflowDirection
        *(210, 239),
    }
)

_PREFIX = "reverse"


def reverse_number(pen: int, id: int, bit: int = 0) -> tuple[int, int] | None:
    """Return the (pen, id) of an element's reverse, or None if it has none.

    ``bit`` is the enterprise's reverse bit, 0 for an enterprise without one.
    """
    if not pen:
        return (REVERSE_PEN, id) if id <= MAX_ID and id not in NOT_REVERSIBLE else None
    return (pen, id | bit) if bit & ~id else None


def forward_number(pen: int, id: int, bit: int = 0) -> tuple[int, int] | None:
    """Return the (pen, id) that this number reverses, or None if it reverses none."""
    if pen == REVERSE_PEN:
        return (0, id) if id not in NOT_REVERSIBLE else None
    return (pen, id & ~bit) if pen and id & bit else None


def reversed_element(forward: InformationElement, pen: int, id: int) -> InformationElement:
    """Return the reverse of ``forward``: only name and number differ."""
    name = f"{_PREFIX}{forward.name[0].upper()}{forward.name[1:]}"
    if not forward.is_known:
        name = placeholder_name(pen, id)
    return dataclasses.replace(forward, name=name, pen=pen, id=id)


def forward_names(name: str) -> tuple[str, ...]:
    """Return the names that the element reversed by ``name`` may have; often none."""
    rest = name.removeprefix(_PREFIX)
    return (rest[0].lower() + rest[1:], rest) if rest and rest != name else ()

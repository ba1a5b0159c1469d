# SPDX-License-Identifier: GPL-2.0-or-later
"""Reverse Information Elements: the other direction of a biflow (RFC 5103).

IANA's elements are reversed under an enterprise number of their own, with the number they
have (section 6.1); an enterprise may set a bit in the numbers of its own (section 6.2).
"""

from __future__ import annotations

import dataclasses

from scapy_ipfix.model.iespec import MAX_ID, InformationElement, placeholder_name

#: The enterprise number of the reverses of IANA's elements.
REVERSE_PEN = 29305
#: IANA's elements that have no reverse (RFC 5103 section 6.1): they are about a process or
#: the whole flow, not about one of its directions.
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
    """The (pen, id) of an element's reverse, None when it can have none.

    ``bit`` is the one that the enterprise sets for it, 0 when it has none.
    """
    if not pen:
        return (REVERSE_PEN, id) if id <= MAX_ID and id not in NOT_REVERSIBLE else None
    return (pen, id | bit) if bit & ~id else None


def forward_number(pen: int, id: int, bit: int = 0) -> tuple[int, int] | None:
    """The (pen, id) of which this is the reverse, None when it is not one."""
    if pen == REVERSE_PEN:
        return (0, id) if id not in NOT_REVERSIBLE else None
    return (pen, id & ~bit) if pen and id & bit else None


def reversed_element(forward: InformationElement, pen: int, id: int) -> InformationElement:
    """``forward`` for the other direction: ``reverseOctetDeltaCount``, all else the same."""
    name = f"{_PREFIX}{forward.name[0].upper()}{forward.name[1:]}"
    if not forward.is_known:
        name = placeholder_name(pen, id)
    return dataclasses.replace(forward, name=name, pen=pen, id=id)


def forward_names(name: str) -> tuple[str, ...]:
    """What the element may be called of which ``name`` is the reverse; often nothing."""
    rest = name.removeprefix(_PREFIX)
    return (rest[0].lower() + rest[1:], rest) if rest and rest != name else ()

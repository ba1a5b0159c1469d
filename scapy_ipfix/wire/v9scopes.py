# SPDX-License-Identifier: GPL-2.0-or-later
"""Scope field types of NetFlow v9 (RFC 3954 6.1), as Information Elements by name and number."""

from __future__ import annotations

from scapy_ipfix.model.datatypes import VARIABLE, data_type
from scapy_ipfix.model.element import InformationElement

#: pseudo-elements they are fields like any other.
V9_SCOPES: dict[int, InformationElement] = {
    number: InformationElement(name, number, 0, data_type(kind))
    for number, name, kind in (
        (1, "scopeSystem", "unsigned64"),
        (2, "scopeInterface", "unsigned32"),
        (3, "scopeLineCard", "unsigned32"),
        (4, "scopeCache", "unsigned32"),
        (5, "scopeTemplate", "unsigned16"),
    )
}
_V9_SCOPES_BY_NAME = {each.name.lower(): each for each in V9_SCOPES.values()}
_V9_SCOPES_BY_NAME.update(
    {name.removeprefix("scope"): each for name, each in list(_V9_SCOPES_BY_NAME.items())}
)


def v9_scope(kind: int) -> InformationElement:
    """Return the pseudo-element of a NetFlow v9 scope field type; unknown ones are octets."""
    return V9_SCOPES.get(kind) or InformationElement.v9_scope(kind)


def v9_scope_named(name: str) -> InformationElement | None:
    """Return the NetFlow v9 scope of a name, None if there is none; ``_scope_9`` is type 9."""
    kind = name.removeprefix("_scope_")
    if kind != name and kind.isdecimal() and int(kind) <= 65535:
        return v9_scope(int(kind))
    return _V9_SCOPES_BY_NAME.get(name.lower())


def scope_length(size: str) -> int:
    """Parse the length in ``scopeSystem[4]``, given without the opening bracket."""
    digits = size.removesuffix("]")
    if digits == "v":
        return VARIABLE
    if not digits.isdecimal():
        raise ValueError(f"length {digits!r} is not a number; give octets, or v")
    return int(digits)

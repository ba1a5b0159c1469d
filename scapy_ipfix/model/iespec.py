# SPDX-License-Identifier: GPL-2.0-or-later
"""IESpec, the text form of an Information Element (RFC 7013 section 10.1).

An IESpec is ``name(enterprise/number)<type>[size]``: ``octetDeltaCount(1)<unsigned64>[8]``.
:func:`parse_iespec` and :meth:`IESpec.__str__` parse and format it;
:mod:`~scapy_ipfix.model.model` finds the element that a name or number stands for.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from scapy_ipfix.model.datatypes import VARIABLE

_IESPEC = re.compile(
    r"(?P<name>[^\s()<>\[\]{}]*)"
    r"(?:\((?:(?P<pen>[0-9]{1,10})/)?(?P<id>[0-9]{1,5})\))?"
    r"(?:<(?P<type>\w+)>)?"
    r"(?:\[(?P<size>v|[0-9]{1,5})\])?"
)


class IESpec(NamedTuple):
    """Parts of an IESpec (RFC 7013); a part that the text leaves out is empty or None.

    ``size`` is in octets, :data:`VARIABLE` for ``[v]``.
    """

    name: str = ""
    pen: int | None = None
    id: int | None = None
    type: str = ""
    size: int | None = None

    def __str__(self) -> str:
        number = "" if self.id is None else f"({f'{self.pen}/' if self.pen else ''}{self.id})"
        type_name = f"<{self.type}>" if self.type else ""
        size = "" if self.size is None else f"[{'v' if self.size == VARIABLE else self.size}]"
        return self.name + number + type_name + size


def is_iespec(text: str) -> bool:
    """Return True if ``text`` has a number, a type or a size, not only a name."""
    return "(" in text or "<" in text or "[" in text


def parse_iespec(text: str) -> IESpec:
    """Parse a complete or partial IESpec.

    ``octetDeltaCount``, ``(2)``, ``(9/12235)``, ``octetDeltaCount[4]``, ``wlanSSID[v]`` and
    ``foo(99999/1)<unsigned32>`` are valid; a size of 65535 is ``v``. Raises ValueError with
    the position of the error, or for text with neither a name nor a number.
    """
    stripped = text.strip()
    match = _IESPEC.match(stripped)
    assert match is not None  # every part is optional
    if match.end() < len(stripped):
        raise ValueError(
            f"IESpec {stripped!r}: unexpected {stripped[match.end() :]!r} "
            f"at position {match.end()}, the form is name(pen/number)<type>[size]"
        )
    if not match["name"] and not match["id"]:
        raise ValueError(f"IESpec {stripped!r}: neither a name nor a number")
    size = match["size"]
    if size is not None and size != "v" and int(size) > VARIABLE:
        raise ValueError(f"IESpec {stripped!r}: size {size} is above {VARIABLE}")
    return IESpec(
        match["name"],
        int(match["pen"]) if match["pen"] else None,
        int(match["id"]) if match["id"] else None,
        match["type"] or "",
        None if size is None else VARIABLE if size == "v" else int(size),
    )

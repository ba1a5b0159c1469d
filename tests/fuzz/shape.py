# SPDX-License-Identifier: GPL-2.0-or-later
"""Framing of a message into a header, Sets and a rest, independent of the package's own.

The invariants compare the package with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Octets of a message header by version.
HEADER = {9: 20, 10: 16}
#: Set ids of templates and of options templates, by version.
TEMPLATE_IDS = {9: (0, 1), 10: (2, 3)}
LONGEST = 65000


def number(octets: bytes, at: int = 0, size: int = 2) -> int:
    return int.from_bytes(octets[at : at + size], "big")


@dataclass(slots=True)
class Shape:
    """Message in parts: ``header``, ``sets`` (each with its header), ``rest``."""

    header: bytearray
    sets: list[bytearray] = field(default_factory=list)
    rest: bytes = b""

    @classmethod
    def of(cls, octets: bytes) -> Shape:
        """Return the parts of a message; octets that are no message are all ``rest``."""
        size = HEADER.get(number(octets), 0)
        if not size or len(octets) < size:
            return cls(bytearray(), [], octets)
        stop = len(octets)
        if octets[1] == 10 and size <= number(octets, 2) < stop:
            stop = number(octets, 2)
        sets, at = [], size
        while stop - at >= 4 and 4 <= number(octets, at + 2) <= stop - at:
            length = number(octets, at + 2)
            sets.append(bytearray(octets[at : at + length]))
            at += length
        return cls(bytearray(octets[:size]), sets, octets[at:])

    @property
    def version(self) -> int:
        return self.header[1] if self.header else 0

    def mend(self) -> None:
        """Correct the lengths of every Set, and of an IPFIX Message."""
        for each in self.sets:
            if len(each) >= 4:
                each[2:4] = (len(each) & 0xFFFF).to_bytes(2, "big")
        if self.version == 10 and len(self.header) == 16:
            self.header[2:4] = (len(bytes(self)) & 0xFFFF).to_bytes(2, "big")

    def __bytes__(self) -> bytes:
        return bytes(self.header) + b"".join(self.sets) + self.rest

# SPDX-License-Identifier: GPL-2.0-or-later
"""One field of a template: an element and the octets it takes (RFC 7011 3.2, 6.2, 7)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from scapy_ipfix.model.datatypes import VARIABLE, DataType
from scapy_ipfix.model.element import InformationElement, ValueNames, close_matches

#: Types and lengths that are remembered: a peer may use any length there is.
_REMEMBERED = 4096
#: Fields without octets that a record may have, beyond one for each octet.
EMPTY_FIELDS = 1


class TemplateField(NamedTuple):
    """One field of a template: its element, its length on the wire, its name in records.

    ``length`` is in octets, 65535 for variable length (RFC 7011 section 7). ``name`` is the
    element's, with ``_2`` and so on behind it from the second time on.
    """

    element: InformationElement
    length: int
    name: str
    is_scope: bool = False

    @property
    def is_variable(self) -> bool:
        return self.length == VARIABLE

    @property
    def data_type(self) -> DataType:
        return self.element.type

    @property
    def is_forbidden(self) -> bool:
        """Whether the data type may not travel in this length (RFC 7011 6.2, 7)."""
        return is_forbidden(self.element.type, self.length)

    def __str__(self) -> str:
        if self.is_variable:
            return f"{self.name}[v]"
        natural = self.length and self.length == self.data_type.length
        return self.name if natural else f"{self.name}[{self.length}]"

    def encode(self, value: Any) -> Any:
        """``value`` as the item that the codec packs. Raises ValueError."""
        if isinstance(value, str) and self.element.values is not None:
            value = self._named_value(value, self.element.values)
        if self.is_variable:
            # Octets go as they are: of no natural length the wire had it, or a person wants it.
            octets = value if type(value) is bytes else self.data_type.encode(value)
            if len(octets) > 65535:
                raise ValueError(f"{len(octets)} octets, a variable-length field holds 65535")
            return octets
        return self.data_type.codec(self.length).encode(value)

    def _named_value(self, text: str, values: ValueNames) -> Any:
        value = values.parse(text)
        if value is not None:
            return value
        if self.data_type.is_integer and not text[:1].isdigit():
            close = close_matches(text, values.names.values())
            hint = f"; close are {', '.join(close)}" if close else ""
            raise ValueError(f"{text!r} is no value of {self.element.name}{hint}")
        return text

    def normalise(self, value: Any) -> Any:
        """``value`` as a record holds it: what decoding its octets would give."""
        item = self.encode(value)
        if self.is_variable:
            return self.data_type.decode(item)
        decode = self.data_type.codec(self.length).decode
        return item if decode is None else decode(item)

    @property
    def zero(self) -> Any:
        """The value of a field that nobody gave one (None: a field of no octets)."""
        return self.normalise(self.data_type.zero)


@lru_cache(_REMEMBERED)
def is_forbidden(kind: DataType, length: int) -> bool:
    """Whether a data type may not travel in a length (RFC 7011 6.2, 7)."""
    if length in (kind.length, 0):
        return False
    return kind.length > 0 if length == VARIABLE else not kind.permits(length)


def prefixed(octets: bytes) -> bytes:
    """Octets of a variable-length field with their length before them (RFC 7011 7)."""
    length = len(octets)
    if length < 255:
        return bytes((length,)) + octets
    return b"\xff" + length.to_bytes(2, "big") + octets


def shortest(fields: Sequence[TemplateField]) -> int:
    """Octets of the shortest record of a layout; 0 for one whose records are not read.

    Fields may have no octets. With ten of these beside one octet, a message would hold 600,000
    values, with thousands a thousand million. Exporters are known to have three in 46 octets.
    """
    octets = empty = 0
    for _, length, _, _ in fields:
        octets += 1 if length == VARIABLE else length
        empty += not length
    return octets if empty <= octets + EMPTY_FIELDS else 0

# SPDX-License-Identifier: GPL-2.0-or-later
"""Field of a template: an element and its length on the wire (RFC 7011 3.2, 6.2, 7)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from scapy_ipfix.model.datatypes import VARIABLE, DataType
from scapy_ipfix.model.element import InformationElement, ValueNames, close_matches

#: Entries of the cache by type and length: an exporter may use any length.
_CACHE_SIZE = 4096
#: Fields of 0 octets that a record may have, beyond one for each octet.
EMPTY_FIELDS = 1


class TemplateField(NamedTuple):
    """Field of a template: its element, its length on the wire, its name in records.

    ``length`` is in octets, 65535 for variable length (RFC 7011 section 7). ``name`` is the
    element's, with ``_2`` and so on appended for repetitions.
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

    def __str__(self) -> str:
        if self.is_variable:
            return f"{self.name}[v]"
        natural = self.length and self.length == self.data_type.length
        return self.name if natural else f"{self.name}[{self.length}]"

    def encode(self, value: Any) -> Any:
        """Convert ``value`` to the item that the codec packs. Raises ValueError."""
        if isinstance(value, str) and self.element.values is not None:
            value = self._named_value(value, self.element.values)
        if self.is_variable:
            # Octets stay as they are, also in a length that the type does not permit.
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
            hint = f"; similar names: {', '.join(close)}" if close else ""
            raise ValueError(f"{text!r} is no value of {self.element.name}{hint}")
        return text

    def normalise(self, value: Any) -> Any:
        """Return the value that decoding the octets of ``value`` gives."""
        item = self.encode(value)
        if self.is_variable:
            return self.data_type.decode(item)
        decode = self.data_type.codec(self.length).decode
        return item if decode is None else decode(item)

    @property
    def zero(self) -> Any:
        """Default value of the field, None for a field of 0 octets."""
        return self.normalise(self.data_type.zero)


@lru_cache(_CACHE_SIZE)
def is_invalid_length(kind: DataType, length: int) -> bool:
    """Return True if a data type does not permit a length (RFC 7011 6.2, 7)."""
    if length == kind.length:
        return False
    return kind.length > 0 if length == VARIABLE else not kind.permits(length)


def allowed_lengths(kind: DataType) -> str:
    """Return the lengths that a data type may have, as a finding states them."""
    lengths = [length for length in range(1, kind.length + 1) if kind.permits(length)]
    if len(lengths) == 1:
        return f"only {lengths[0]}"
    if lengths == list(range(1, kind.length + 1)):
        return f"1 to {kind.length}"
    return " or ".join(map(str, lengths))


def prefixed(octets: bytes) -> bytes:
    """Return the octets of a variable-length field after their length (RFC 7011 7)."""
    length = len(octets)
    if length < 255:
        return bytes((length,)) + octets
    return b"\xff" + length.to_bytes(2, "big") + octets


def minimum_length(fields: Sequence[TemplateField]) -> int:
    """Return the length of the shortest record of a layout, 0 if records are not decoded.

    Fields may have 0 octets. With ten of these beside one octet, a message would hold 600,000
    values, with thousands 10^9. A known exporter has three in a record of 46 octets.
    """
    octets = empty = 0
    for _, length, _, _ in fields:
        octets += 1 if length == VARIABLE else length
        empty += not length
    return octets if empty <= octets + EMPTY_FIELDS else 0

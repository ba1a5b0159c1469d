# SPDX-License-Identifier: GPL-2.0-or-later
"""Abstract data types of IPFIX, by name and number: octets to Python values and back.

RFC 7011 section 6.1 defines the encoding of each type, 6.2 the reduced-size encoding, RFC
6313 the three list types; ``unsigned256`` is in IANA's registry alone.

Values belong to one of two domains:

* the *Scapy* domain, lossless and plain: addresses are ``str``, integers ``int``, times the
  integer on the wire, octets ``bytes``, strings ``str`` (``bytes`` if they are not UTF-8),
  booleans ``bool`` (``int`` if the octet is neither 1 nor 2);
* the *Python* domain of :meth:`DataType.to_python`: ``ipaddress`` and aware ``datetime``.

Decoding never raises: octets of a length that the type does not permit stay ``bytes``, and
:meth:`DataType.violation` describes the error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scapy_ipfix.model.addresses import IPv4Address, IPv6Address, MACAddress
from scapy_ipfix.model.datatype import (
    VALUE_DOMAINS,
    VARIABLE,
    Cache,
    Codec,
    DataType,
    octets_codec,
)
from scapy_ipfix.model.numbers import Boolean, Float, Integer
from scapy_ipfix.model.times import NTPTime, Time

__all__ = ["DATA_TYPES", "VALUE_DOMAINS", "VARIABLE", "DataType", "data_type", "octetArray"]


@dataclass(frozen=True, eq=False, repr=False)
class _String(DataType):
    """The string type: UTF-8 (RFC 7011 6.1.6)."""

    zero: Any = ""

    def _make_codec(self, length: int) -> Codec | None:
        def decode(octets: bytes) -> str | bytes:
            # Exporters pad a string in a fixed-length field with NULs.
            stripped = octets.rstrip(b"\0")
            try:
                return stripped.decode()
            except UnicodeDecodeError:
                return stripped

        # Half of the 256 single octets are not UTF-8; the cache saves the exceptions.
        cached = Cache(decode).__getitem__ if length == 1 else decode
        return Codec(f"{length}s", cached, octets_codec(self, length).encode)

    def decode(self, octets: bytes) -> str | bytes:
        """Decode a string of variable length; NULs are part of it."""
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return octets

    def _to_octets(self, value: Any) -> bytes:
        if isinstance(value, (str, bytes, bytearray, memoryview)):
            return super()._to_octets(value)
        raise self._misfit(value, "give str, or bytes for text that is not UTF-8")

    def to_json(self, value: Any) -> Any:
        return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value

    def to_text(self, value: Any) -> str:
        # A literal: a string from the wire may hold control characters.
        return repr(value)

    def violation(self, value: Any) -> str | None:
        return "string is not UTF-8" if isinstance(value, bytes) else None


@dataclass(frozen=True, eq=False, repr=False)
class _OctetArray(DataType):
    """The octetArray type: ``bytes``."""

    def _make_codec(self, length: int) -> Codec | None:
        return Codec(f"{length}s", None, octets_codec(self, length).encode)

    def to_json(self, value: Any) -> Any:
        # Overridden so that converter() does not skip it: every value of this type is bytes.
        return super().to_json(value)


@dataclass(frozen=True, eq=False, repr=False)
class _StructuredList(_OctetArray):
    """List type (RFC 6313); ``wire.structured`` decodes the contents."""


octetArray = _OctetArray("octetArray", 0)
_TYPES: tuple[DataType, ...] = (
    octetArray,
    Integer("unsigned8", 1, 1),
    Integer("unsigned16", 2, 2),
    Integer("unsigned32", 3, 4),
    Integer("unsigned64", 4, 8),
    Integer("signed8", 5, 1, signed=True),
    Integer("signed16", 6, 2, signed=True),
    Integer("signed32", 7, 4, signed=True),
    Integer("signed64", 8, 8, signed=True),
    Float("float32", 9, 4),
    Float("float64", 10, 8),
    Boolean("boolean", 11, 1),
    MACAddress("macAddress", 12, 6),
    _String("string", 13),
    Time("dateTimeSeconds", 14, 4),
    Time("dateTimeMilliseconds", 15, 8, ticks=1000),
    NTPTime("dateTimeMicroseconds", 16, 8),
    NTPTime("dateTimeNanoseconds", 17, 8, decimals=9, unused=0),
    IPv4Address("ipv4Address", 18, 4),
    IPv6Address("ipv6Address", 19, 16),
    _StructuredList("basicList", 20),
    _StructuredList("subTemplateList", 21),
    _StructuredList("subTemplateMultiList", 22),
    Integer("unsigned256", 23, 32),
)
#: Every data type by its IANA name.
DATA_TYPES: dict[str, DataType] = {each.name: each for each in _TYPES}
_BY_NUMBER = {each.number: each for each in _TYPES}


def data_type(key: str | int) -> DataType:
    """Return the data type with an IANA name, or a number of the RFC 5610 registry.

    Raises ValueError for an unknown one.
    """
    try:
        return DATA_TYPES[key] if isinstance(key, str) else _BY_NUMBER[key]
    except KeyError:
        raise ValueError(f"no data type {key!r}; give one of {', '.join(DATA_TYPES)}") from None

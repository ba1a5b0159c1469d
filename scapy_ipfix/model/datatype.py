# SPDX-License-Identifier: GPL-2.0-or-later
"""Base class of the abstract data types: octets to Python values and back (RFC 7011 6.1).

:mod:`~scapy_ipfix.model.numbers`, :mod:`~scapy_ipfix.model.addresses`,
:mod:`~scapy_ipfix.model.times` and :mod:`~scapy_ipfix.model.datatypes` define the types; the
last also looks them up by name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

#: The Field Length that announces a variable-length field (RFC 7011 section 7).
VARIABLE = 65535
#: Entries of each cache of decoded or encoded values. Flows repeat their hosts.
CACHE_SIZE = 65536
#: Codecs kept, by type and length: an exporter may use any length.
CODEC_CACHE = 4096

#: The domains of values: Scapy's, native Python, JSON.
VALUE_DOMAINS = ("scapy", "python", "json")
#: Every data type by name.
_TYPES: dict[str, DataType] = {}


class Codec(NamedTuple):
    """Encoding of one data type in one number of octets.

    ``format`` is the :mod:`struct` format of the item; ``decode`` turns the unpacked item
    into the value, or is None if the item is the value; ``encode`` turns any value that the
    type accepts into the item to pack, and raises ValueError for one that does not fit.
    """

    format: str
    decode: Callable[[Any], Any] | None
    encode: Callable[[Any], Any]


class Cache(dict[Any, Any]):
    """Bounded cache of a function of one argument; ``cache.__getitem__`` calls it."""

    def __init__(self, function: Callable[[Any], Any], size: int = CACHE_SIZE) -> None:
        self._function = function
        self._size = size

    def preload(self, keys: Iterable[Any], value: Any) -> None:
        """Store one value for many keys."""
        if len(self) >= self._size:
            self.clear()
        self.update(dict.fromkeys(keys, value))

    def __missing__(self, key: Any) -> Any:
        value = self._function(key)
        if len(self) >= self._size:
            self.clear()
        self[key] = value
        return value


@dataclass(frozen=True, eq=False)
class DataType:
    """Abstract data type: its IANA name and number and its natural length in octets.

    ``length`` is 0 for types without one: octetArray, string and the lists.
    """

    name: str
    number: int
    length: int = 0

    #: The default value of a field of this type.
    zero: Any = b""
    is_integer = False
    is_time = False
    is_address = False

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<DataType {self.name}>"

    def __post_init__(self) -> None:
        _TYPES[self.name] = self

    def __reduce__(self) -> tuple[Any, ...]:
        # Types are singletons, when copied or unpickled too.
        return type_named, (self.name,)

    def permits(self, length: int) -> bool:
        """Return True if RFC 7011 section 6 permits ``length`` octets for this type."""
        return length == self.length or not self.length

    def codec(self, length: int) -> Codec:
        """Return the codec for fields of ``length`` octets, permitted or not."""
        return _codec(self, length)

    def decode(self, octets: bytes) -> Any:
        """Decode a variable-length field to the Scapy domain. Never raises.

        Octets of a length that the type does not permit stay octets, so that encoding them
        gives the same length: unlike a fixed length, no template states it.
        """
        if not self.permits(len(octets)):
            return octets
        codec = _codec(self, len(octets))
        (item,) = struct.unpack("!" + codec.format, octets)
        return item if codec.decode is None else codec.decode(item)

    def encode(self, value: Any, length: int | None = None) -> bytes:
        """Encode ``value`` in ``length`` octets (None: the natural or the least number).

        Raises ValueError that states the limit for a value that does not fit the type or
        the length.
        """
        if length is None or length == VARIABLE:
            length = self.length or len(self._to_octets(value))
        codec = _codec(self, length)
        return struct.pack("!" + codec.format, codec.encode(value))

    def to_python(self, value: Any) -> Any:
        """Convert a value of the Scapy domain to native Python (see ``datatypes``)."""
        return value

    def to_json(self, value: Any) -> Any:
        """Convert a value of the Scapy domain to JSON: octets are hexadecimal text."""
        return value.hex() if isinstance(value, bytes) else value

    def to_text(self, value: Any) -> str:
        """Format a value of the Scapy domain for a person."""
        if isinstance(value, bytes):
            return value.hex() if value else "''"
        return str(value)

    def converter(self, values: str) -> Callable[[Any], Any] | None:
        """Return the function from the Scapy domain to another, or None if both are equal.

        ``values`` is one of :data:`VALUE_DOMAINS`. Raises ValueError for any other.
        """
        if values not in VALUE_DOMAINS:
            raise ValueError(f"values is one of {', '.join(VALUE_DOMAINS)}, not {values!r}")
        kind = type(self)
        if values == "python" and kind.to_python is not DataType.to_python:
            return self.to_python
        if values == "json" and kind.to_json is not DataType.to_json:
            return self.to_json
        return None

    def violation(self, value: Any) -> str | None:
        """Return how a decoded value violates RFC 7011, or None if it does not."""
        return None

    # Types override these: the codec of one length, and the octets of a value whose type has
    # no natural length.

    def _make_codec(self, length: int) -> Codec | None:
        return None

    def _to_octets(self, value: Any) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        if hasattr(type(value), "__bytes__"):  # a Scapy packet
            return bytes(value)
        raise ValueError(f"{value!r} does not fit {self.name}: give bytes")

    def _misfit(self, value: Any, reason: str) -> ValueError:
        return ValueError(f"{value!r} does not fit {self.name}: {reason}")


def type_named(name: str) -> DataType:
    """Return the data type of an IANA name. Raises KeyError."""
    return _TYPES[name]


@lru_cache(CODEC_CACHE)
def octets_codec(data_type: DataType, length: int) -> Codec:
    """Return the codec of raw octets, for a length that the type does not permit."""

    def encode(value: Any) -> bytes:
        if value is None:
            value = b""
        octets = data_type._to_octets(value)
        if len(octets) > length:
            raise data_type._misfit(value, f"it has {len(octets)} octets, the field {length}")
        return octets

    return Codec(f"{length}s", None, encode)


def _empty_codec(data_type: DataType) -> Codec:
    """Return the codec of 0 octets; the value is None, or empty if the type can be empty."""
    empty = data_type.zero if data_type.length == 0 else None

    def encode(value: Any) -> bytes:
        if value is None or value == data_type.zero or value in (b"", ""):
            return b""
        raise data_type._misfit(value, "the field has 0 octets")

    return Codec("0s", lambda item: empty, encode)


@lru_cache(CODEC_CACHE)
def _codec(data_type: DataType, length: int) -> Codec:
    if length == 0:
        return _empty_codec(data_type)
    return data_type._make_codec(length) or octets_codec(data_type, length)

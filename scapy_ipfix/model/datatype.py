# SPDX-License-Identifier: GPL-2.0-or-later
"""What an abstract data type is: octets to Python values and back (RFC 7011 6.1).

:mod:`~scapy_ipfix.model.numbers`, :mod:`~scapy_ipfix.model.addresses`,
:mod:`~scapy_ipfix.model.times` and :mod:`~scapy_ipfix.model.datatypes` define the types; the
last also finds them by name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

#: The Field Length that announces a variable-length field (RFC 7011 section 7).
VARIABLE = 65535
#: Decoded addresses remembered, in each of the caches below. Flows repeat their hosts.
CACHE_SIZE = 65536
#: Codecs remembered, by type and length: a peer may use any length there is.
CODEC_CACHE = 4096

#: What values can be read as: Scapy's, native Python, or what JSON has.
VALUE_DOMAINS = ("scapy", "python", "json")


#: Every data type there is, by name.
_TYPES: dict[str, DataType] = {}


class Codec(NamedTuple):
    """How one data type travels in one number of octets.

    ``format`` is what :mod:`struct` packs and unpacks; ``decode`` turns the unpacked item
    into the value, None where it already is the value; ``encode`` turns any value that the
    type accepts into the item to pack, and raises ValueError for one that does not fit.
    """

    format: str
    decode: Callable[[Any], Any] | None
    encode: Callable[[Any], Any]


class Cache(dict[Any, Any]):
    """A bounded memo of a function of one argument; ``cache.__getitem__`` calls it."""

    def __init__(self, function: Callable[[Any], Any], size: int = CACHE_SIZE) -> None:
        self._function = function
        self._size = size

    def expect(self, keys: Iterable[Any], value: Any) -> None:
        """Remembers a value for many keys at once."""
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
    """An abstract data type: its IANA name and number and its natural length in octets.

    ``length`` is 0 for the types that have none: octetArray, string and the lists.
    """

    name: str
    number: int
    length: int = 0

    #: What a field of this type holds when nobody gave it a value.
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
        # There is one of each type; a copy, or what is unpickled, is that one.
        return _type_named, (self.name,)

    def permits(self, length: int) -> bool:
        """Whether RFC 7011 lets this type travel in ``length`` octets (section 6)."""
        return length == self.length or not self.length

    def codec(self, length: int) -> Codec:
        """The codec for fields of exactly ``length`` octets, forbidden lengths included."""
        return _codec(self, length)

    def decode(self, octets: bytes) -> Any:
        """The value of a variable-length field, in the Scapy domain. Never raises.

        Unlike a fixed length, this one is the record's own: octets of which the type permits
        no such number stay octets, so that the value can be written as it came.
        """
        if not self.permits(len(octets)):
            return octets
        codec = _codec(self, len(octets))
        (item,) = struct.unpack("!" + codec.format, octets)
        return item if codec.decode is None else codec.decode(item)

    def encode(self, value: Any, length: int | None = None) -> bytes:
        """``value`` in ``length`` octets (None: the natural or the least number of them).

        Raises ValueError, with the limit in it, for a value that the type or the length
        cannot hold.
        """
        if length is None or length == VARIABLE:
            length = self.length or len(self._octets(value))
        codec = _codec(self, length)
        return struct.pack("!" + codec.format, codec.encode(value))

    def to_python(self, value: Any) -> Any:
        """A value of the Scapy domain as native Python (see the module's page)."""
        return value

    def to_json(self, value: Any) -> Any:
        """A value of the Scapy domain as JSON can have it: octets in hexadecimal."""
        return value.hex() if isinstance(value, bytes) else value

    def to_text(self, value: Any) -> str:
        """A value of the Scapy domain as a person reads it."""
        if isinstance(value, bytes):
            return value.hex() if value else "''"
        return str(value)

    def converter(self, values: str) -> Callable[[Any], Any] | None:
        """What turns the Scapy domain into another: "python" or "json"; None: nothing has to.

        Raises ValueError for another domain.
        """
        if values not in VALUE_DOMAINS:
            raise ValueError(f"values is one of {', '.join(VALUE_DOMAINS)}, not {values!r}")
        kind = type(self)
        if values == "python" and kind.to_python is not DataType.to_python:
            return self.to_python
        if values == "json" and kind.to_json is not DataType.to_json:
            return self.to_json
        return None

    def flaw(self, value: Any) -> str | None:
        """What RFC 7011 holds against a decoded value, None when nothing."""
        return None

    # What the types below define: the codec of one length, and the octets of a value that
    # has no natural length.

    def _codec(self, length: int) -> Codec | None:
        return None

    def _octets(self, value: Any) -> bytes:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        if isinstance(value, str):
            return value.encode("utf-8", "surrogateescape")
        raise ValueError(f"{value!r} is not octets ({self.name} takes bytes)")

    def _refuse(self, value: Any, why: str) -> ValueError:
        return ValueError(f"{value!r} does not fit {self.name}: {why}")


def _type_named(name: str) -> DataType:
    return _TYPES[name]


@lru_cache(CODEC_CACHE)
def octets_codec(data_type: DataType, length: int) -> Codec:
    """Raw octets: what is left where the type forbids the length on the wire."""

    def encode(value: Any) -> bytes:
        if value is None:
            value = b""
        octets = data_type._octets(value)
        if len(octets) > length:
            raise data_type._refuse(value, f"{len(octets)} octets, the field has {length}")
        return octets

    return Codec(f"{length}s", None, encode)


def _nothing_codec(data_type: DataType) -> Codec:
    """For fields of no octets: their value is None, empty where the type can be empty."""
    nothing = data_type.zero if data_type.length == 0 else None

    def encode(value: Any) -> bytes:
        if value is None or value == data_type.zero or value in (b"", ""):
            return b""
        raise data_type._refuse(value, "the field has 0 octets")

    return Codec("0s", lambda item: nothing, encode)


@lru_cache(CODEC_CACHE)
def _codec(data_type: DataType, length: int) -> Codec:
    if length == 0:
        return _nothing_codec(data_type)
    return data_type._codec(length) or octets_codec(data_type, length)

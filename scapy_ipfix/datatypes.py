# SPDX-License-Identifier: GPL-2.0-or-later
"""The abstract data types of IPFIX: octets to Python values and back.

RFC 7011 section 6.1 says how each type is encoded, 6.2 which of them may be sent in fewer
octets, RFC 6313 adds the three list types and IANA's registry ``unsigned256``. A
:class:`DataType` knows nothing of Scapy, of elements or of templates.

Values live in two domains:

* the *Scapy* domain, lossless and plain: addresses are ``str``, integers ``int``, times the
  integer that is on the wire, octets ``bytes``, strings ``str`` (``bytes`` where the wire is
  not UTF-8), booleans ``bool`` (``int`` where the wire is neither 1 nor 2);
* the *Python* domain of :meth:`DataType.to_python`: ``ipaddress`` and aware ``datetime``.

Decoding never raises: octets that a type cannot read in that length come out as ``bytes``,
and :meth:`DataType.flaw` says what is wrong with them.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache, partial
from typing import Any, NamedTuple

#: The Field Length that announces a variable-length field (RFC 7011 section 7).
VARIABLE = 65535
#: Decoded addresses remembered, in each of the caches below. Flows repeat their hosts.
CACHE_SIZE = 65536
#: Codecs remembered, by type and length: a peer may use any length there is.
CODEC_CACHE = 4096

#: What values can be read as: Scapy's, native Python, or what JSON has.
VALUE_DOMAINS = ("scapy", "python", "json")

_INTEGER_FORMATS = {
    (1, False): "B",
    (2, False): "H",
    (4, False): "I",
    (8, False): "Q",
    (1, True): "b",
    (2, True): "h",
    (4, True): "i",
    (8, True): "q",
}
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: Seconds from the NTP epoch (1900) to the Unix epoch.
_NTP_OFFSET = 2208988800


class Codec(NamedTuple):
    """How one data type travels in one number of octets.

    ``format`` is what :mod:`struct` packs and unpacks; ``decode`` turns the unpacked item
    into the value, None where it already is the value; ``encode`` turns any value that the
    type accepts into the item to pack, and raises ValueError for one that does not fit.
    """

    format: str
    decode: Callable[[Any], Any] | None
    encode: Callable[[Any], Any]


class _Cache(dict[Any, Any]):
    """A bounded memo of a function of one argument; ``cache.__getitem__`` calls it."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __missing__(self, key: Any) -> Any:
        value = self._function(key)
        if len(self) >= CACHE_SIZE:
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

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<DataType {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return data_type, (self.name,)

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


@lru_cache(CODEC_CACHE)
def _octets_codec(data_type: DataType, length: int) -> Codec:
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
    return data_type._codec(length) or _octets_codec(data_type, length)


@dataclass(frozen=True, eq=False, repr=False)
class _Integer(DataType):
    signed: bool = False
    zero: Any = 0
    is_integer = True

    def permits(self, length: int) -> bool:
        """Integers may shed leading octets (RFC 7011 section 6.2)."""
        return 1 <= length <= self.length

    def _codec(self, length: int) -> Codec | None:
        if length > max(8, self.length):
            return None
        low, high = _limits(length, self.signed)

        def integer(value: Any) -> int:
            if not isinstance(value, int):
                value = self._integer(value)
            if not low <= value <= high:
                raise self._refuse(value, f"{length} octets hold {low} to {high}")
            return int(value)

        native = _INTEGER_FORMATS.get((length, self.signed))
        if native:
            return Codec(native, None, integer)
        signed = self.signed
        return Codec(
            f"{length}s",
            lambda octets: int.from_bytes(octets, "big", signed=signed),
            lambda value: integer(value).to_bytes(length, "big", signed=signed),
        )

    def _integer(self, value: Any) -> int:
        """The integer a person means by text or by anything that counts as an index."""
        if isinstance(value, str):
            try:
                return int(value, 0)
            except ValueError:
                raise self._refuse(value, "not a number") from None
        try:
            return int(value.__index__())
        except AttributeError:
            raise self._refuse(value, "not an integer") from None

    def _octets(self, value: Any) -> bytes:
        # Only for lengths that the type forbids: octets stay octets, numbers are refused.
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        if value == 0:
            return b""
        raise self._refuse(value, f"this length is not one for {self.name}, give octets")


def _limits(length: int, signed: bool) -> tuple[int, int]:
    bits = 8 * length
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


@dataclass(frozen=True, eq=False, repr=False)
class _Float(DataType):
    zero: Any = 0.0

    def permits(self, length: int) -> bool:
        """A float64 may travel as a float32 (RFC 7011 section 6.2)."""
        return length in (4, self.length)

    def _codec(self, length: int) -> Codec | None:
        if length not in (4, 8):
            return None

        def number(value: Any) -> float:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise self._refuse(value, "not a number")
            try:
                value = float(value)
                if length == 4 and math.isfinite(value):
                    struct.pack("!f", value)
            except (ValueError, OverflowError):
                raise self._refuse(value, f"not a number of {length} octets") from None
            return float(value)

        return Codec("f" if length == 4 else "d", None, number)

    def to_json(self, value: Any) -> Any:
        """JSON has neither NaN nor infinity: those are text."""
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return super().to_json(value)

    def _octets(self, value: Any) -> bytes:
        return b"" if value == 0.0 and not isinstance(value, bytes) else super()._octets(value)


@dataclass(frozen=True, eq=False, repr=False)
class _Boolean(DataType):
    zero: Any = False

    def _codec(self, length: int) -> Codec | None:
        if length != 1:
            return None

        def encode(value: Any) -> int:
            if value is True:
                return 1
            if value is False:
                return 2
            if isinstance(value, int) and 0 <= value <= 255:
                return value  # the octet itself, as decoding gives it for neither 1 nor 2
            if isinstance(value, str) and value.lower() in ("true", "false"):
                return 1 if value.lower() == "true" else 2
            raise self._refuse(value, "True, False, or the octet itself, 0 to 255")

        truth = {1: True, 2: False}
        return Codec("B", lambda octet: truth.get(octet, octet), encode)

    def _octets(self, value: Any) -> bytes:
        return b"" if value is False else super()._octets(value)

    def to_text(self, value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else super().to_text(value)

    def flaw(self, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return f"boolean is {value}, neither 1 nor 2"


@dataclass(frozen=True, eq=False, repr=False)
class _Mac(DataType):
    zero: Any = "00:00:00:00:00:00"

    def _codec(self, length: int) -> Codec | None:
        if length != 6:
            return None

        def encode(value: Any) -> bytes:
            if isinstance(value, bytes) and len(value) == 6:
                return value
            if isinstance(value, str):
                digits = value.replace("-", ":").split(":")
                if len(digits) == 6 and all(1 <= len(pair) <= 2 for pair in digits):
                    try:
                        return bytes(int(pair, 16) for pair in digits)
                    except ValueError:
                        pass
            raise self._refuse(value, "six octets, as in 02:00:5e:10:00:01")

        return Codec("6s", _Cache(lambda octets: octets.hex(":")).__getitem__, encode)

    def _octets(self, value: Any) -> bytes:
        return b"" if value == self.zero else super()._octets(value)


@dataclass(frozen=True, eq=False, repr=False)
class _IPv4(DataType):
    zero: Any = "0.0.0.0"

    def _codec(self, length: int) -> Codec | None:
        if length != 4:
            return None

        def encode(value: Any) -> bytes:
            if isinstance(value, bytes) and len(value) == 4:
                return value
            if isinstance(value, ipaddress.IPv4Address):
                return value.packed
            if isinstance(value, int) and 0 <= value < 1 << 32:
                return value.to_bytes(4, "big")
            try:
                return socket.inet_pton(socket.AF_INET, value)
            except (OSError, TypeError, ValueError):
                raise self._refuse(value, "an address as 192.0.2.1") from None

        return Codec("4s", _Cache(socket.inet_ntoa).__getitem__, _memoised(encode))

    def to_python(self, value: Any) -> Any:
        return ipaddress.IPv4Address(value) if isinstance(value, str) else value

    def _octets(self, value: Any) -> bytes:
        return b"" if value == self.zero else super()._octets(value)


@dataclass(frozen=True, eq=False, repr=False)
class _IPv6(DataType):
    zero: Any = "::"

    def _codec(self, length: int) -> Codec | None:
        if length != 16:
            return None

        def encode(value: Any) -> bytes:
            if isinstance(value, bytes) and len(value) == 16:
                return value
            if isinstance(value, ipaddress.IPv6Address):
                return value.packed
            if isinstance(value, int) and 0 <= value < 1 << 128:
                return value.to_bytes(16, "big")
            try:
                return socket.inet_pton(socket.AF_INET6, value)
            except (OSError, TypeError, ValueError):
                raise self._refuse(value, "an address as 2001:db8::1") from None

        decode = partial(socket.inet_ntop, socket.AF_INET6)
        return Codec("16s", _Cache(decode).__getitem__, _memoised(encode))

    def to_python(self, value: Any) -> Any:
        return ipaddress.IPv6Address(value) if isinstance(value, str) else value

    def _octets(self, value: Any) -> bytes:
        return b"" if value == self.zero else super()._octets(value)


def _memoised(encode: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
    """``encode`` with text remembered: rows of flows name the same hosts over and over."""
    known = _Cache(encode)

    def encode_memoised(value: Any) -> bytes:
        return known[value] if type(value) is str else encode(value)

    return encode_memoised


@dataclass(frozen=True, eq=False, repr=False)
class _String(DataType):
    zero: Any = ""

    def _codec(self, length: int) -> Codec | None:
        def decode(octets: bytes) -> str | bytes:
            # A string in a fixed-length field is filled up with NULs, here and everywhere.
            stripped = octets.rstrip(b"\0")
            try:
                return stripped.decode()
            except UnicodeDecodeError:
                return stripped

        return Codec(f"{length}s", decode, _octets_codec(self, length).encode)

    def decode(self, octets: bytes) -> str | bytes:
        """A string of variable length: what is in it stays, NULs as well."""
        try:
            return octets.decode()
        except UnicodeDecodeError:
            return octets

    def _octets(self, value: Any) -> bytes:
        if isinstance(value, (str, bytes, bytearray, memoryview)):
            return super()._octets(value)
        raise self._refuse(value, "give str, or bytes for what is not UTF-8")

    def to_json(self, value: Any) -> Any:
        return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value

    def to_text(self, value: Any) -> str:
        # repr, since a string from the wire may hold control characters
        return repr(value)

    def flaw(self, value: Any) -> str | None:
        return "string is not UTF-8" if isinstance(value, bytes) else None


@dataclass(frozen=True, eq=False, repr=False)
class _Time(_Integer):
    """Seconds (32 bits) and milliseconds (64 bits) since 1970 (RFC 7011 6.1.7, 6.1.8)."""

    ticks: int = 1
    is_time = True

    def permits(self, length: int) -> bool:
        return length == self.length

    def _integer(self, value: Any) -> int:
        if isinstance(value, str):
            try:
                return int(value, 0)
            except ValueError:
                return self._from_text(value)
        if isinstance(value, float):
            # A float can only be Unix time, as time.time() gives it; an int is the wire's.
            try:
                value = _UNIX_EPOCH + timedelta(seconds=value)
            except (OverflowError, ValueError):
                raise self._refuse(value, "not a time") from None
        if isinstance(value, datetime):
            return self._from_datetime(value)
        return super()._integer(value)

    def _from_text(self, text: str) -> int:
        # Python 3.10 reads neither a trailing Z nor fewer than three or six decimals, and
        # none reads nanoseconds: decimals are read here.
        iso = text.strip().removesuffix("UTC").rstrip().replace("Z", "+00:00")
        head, dot, tail = iso.partition(".")
        rest = tail.lstrip("0123456789")
        digits = tail.removesuffix(rest)
        try:
            if dot and not digits:
                raise ValueError
            when = datetime.fromisoformat(head + rest)
        except ValueError:
            raise self._refuse(text, "not a time (ISO 8601) and not a number") from None
        return self._from_datetime(when, int(f"{digits[:9]:0<9}"))

    def _from_datetime(self, when: datetime, nanoseconds: int = 0) -> int:
        if when.tzinfo is None:
            when = when.replace(tzinfo=timezone.utc)
        delta = when - _UNIX_EPOCH
        return self._ticks(
            delta.days * 86400 + delta.seconds, delta.microseconds * 1000 + nanoseconds
        )

    def _ticks(self, seconds: int, nanoseconds: int) -> int:
        """Time since 1970 as it is on the wire."""
        return seconds * self.ticks + nanoseconds * self.ticks // 1_000_000_000

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, int):
            return value
        try:
            return _UNIX_EPOCH + timedelta(microseconds=value * (1_000_000 // self.ticks))
        except OverflowError:
            return value

    def to_text(self, value: Any) -> str:
        """UTC as ISO 8601, with as many decimals as the type has."""
        if not isinstance(value, int):
            return super().to_text(value)
        seconds, rest = divmod(value, self.ticks)
        text = _second_text[seconds]
        if text is None:
            return str(value)
        return f"{text}.{rest:03d}Z" if self.ticks == 1000 else f"{text}Z"

    def to_json(self, value: Any) -> Any:
        return value if value is None else self.to_text(value)


def _utc(seconds: int) -> str | None:
    """Seconds since 1970 as far as the calendar goes, None beyond."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


_second_text = _Cache(_utc)


@dataclass(frozen=True, eq=False, repr=False)
class _NTPTime(_Time):
    """NTP timestamps: 32 bits of seconds since 1900, 32 of fraction (RFC 7011 6.1.9, 6.1.10).

    Seconds with the top bit clear belong to the era that begins in 2036, as in RFC 4330
    section 3. Python's datetime ends at microseconds; the integer keeps everything.
    ``unused`` low bits of the fraction are to be zero: 11 for microseconds.
    """

    decimals: int = 6
    unused: int = 11

    def _ticks(self, seconds: int, nanoseconds: int) -> int:
        seconds += _NTP_OFFSET
        if not 1 << 31 <= seconds < 3 << 31:
            raise self._refuse(
                _UNIX_EPOCH + timedelta(seconds=seconds - _NTP_OFFSET),
                "NTP time goes from 1968-01-20T03:14:08Z to 2104-02-26T09:42:23Z",
            )
        # Rounded up, so that reading the fraction back (rounded down) gives the same.
        fraction = -(-(nanoseconds << 32 - self.unused) // 1_000_000_000) << self.unused
        return (seconds & 0xFFFFFFFF) << 32 | fraction

    def _split(self, value: int) -> tuple[int, int]:
        seconds = value >> 32
        if seconds < 1 << 31:
            seconds += 1 << 32
        return seconds - _NTP_OFFSET, value & 0xFFFFFFFF

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, int) or not 0 <= value < 1 << 64:
            return value
        seconds, fraction = self._split(value)
        return _UNIX_EPOCH + timedelta(seconds=seconds, microseconds=fraction * 1_000_000 >> 32)

    def to_text(self, value: Any) -> str:
        if not isinstance(value, int) or not 0 <= value < 1 << 64:
            return DataType.to_text(self, value)
        seconds, fraction = self._split(value)
        decimals = fraction * 10**self.decimals >> 32
        return f"{_second_text[seconds]}.{decimals:0{self.decimals}d}Z"


@dataclass(frozen=True, eq=False, repr=False)
class _OctetArray(DataType):
    def _codec(self, length: int) -> Codec | None:
        return Codec(f"{length}s", None, _octets_codec(self, length).encode)

    def to_json(self, value: Any) -> Any:
        return super().to_json(value)


@dataclass(frozen=True, eq=False, repr=False)
class _StructuredList(_OctetArray):
    """basicList and the sub-template lists: octets here, contents elsewhere (RFC 6313)."""


octetArray = _OctetArray("octetArray", 0)
_TYPES: tuple[DataType, ...] = (
    octetArray,
    _Integer("unsigned8", 1, 1),
    _Integer("unsigned16", 2, 2),
    _Integer("unsigned32", 3, 4),
    _Integer("unsigned64", 4, 8),
    _Integer("signed8", 5, 1, signed=True),
    _Integer("signed16", 6, 2, signed=True),
    _Integer("signed32", 7, 4, signed=True),
    _Integer("signed64", 8, 8, signed=True),
    _Float("float32", 9, 4),
    _Float("float64", 10, 8),
    _Boolean("boolean", 11, 1),
    _Mac("macAddress", 12, 6),
    _String("string", 13),
    _Time("dateTimeSeconds", 14, 4),
    _Time("dateTimeMilliseconds", 15, 8, ticks=1000),
    _NTPTime("dateTimeMicroseconds", 16, 8),
    _NTPTime("dateTimeNanoseconds", 17, 8, decimals=9, unused=0),
    _IPv4("ipv4Address", 18, 4),
    _IPv6("ipv6Address", 19, 16),
    _StructuredList("basicList", 20),
    _StructuredList("subTemplateList", 21),
    _StructuredList("subTemplateMultiList", 22),
    _Integer("unsigned256", 23, 32),
)
#: Every data type by its IANA name.
DATA_TYPES: dict[str, DataType] = {each.name: each for each in _TYPES}
_BY_NUMBER = {each.number: each for each in _TYPES}


def data_type(key: str | int) -> DataType:
    """The data type of that IANA name, or number in the RFC 5610 registry.

    Raises ValueError for one that does not exist.
    """
    try:
        return DATA_TYPES[key] if isinstance(key, str) else _BY_NUMBER[key]
    except KeyError:
        raise ValueError(f"no data type {key!r}; there are {', '.join(DATA_TYPES)}") from None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Data types of numbers and booleans (RFC 7011 6.1.1 to 6.1.5), and unsigned256."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

from scapy_ipfix.model.datatype import Codec, DataType

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


@dataclass(frozen=True, eq=False, repr=False)
class Integer(DataType):
    """Signed or unsigned integer type; reduced-size encoding is permitted."""

    signed: bool = False
    zero: Any = 0
    is_integer = True

    def permits(self, length: int) -> bool:
        """Permit fewer octets: reduced-size encoding (RFC 7011 section 6.2)."""
        return 1 <= length <= self.length

    def _make_codec(self, length: int) -> Codec | None:
        if length > max(8, self.length):
            return None
        low, high = _limits(length, self.signed)

        def integer(value: Any) -> int:
            if not isinstance(value, int):
                value = self._integer(value)
            if not low <= value <= high:
                raise self._misfit(value, f"{length} octets hold {low} to {high}")
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
        """Convert text, or an object with ``__index__``, to an integer."""
        if isinstance(value, str):
            try:
                return int(value, 0)
            except ValueError:
                raise self._misfit(value, "give a number") from None
        try:
            return int(value.__index__())
        except AttributeError:
            raise self._misfit(value, "give an integer") from None

    def _to_octets(self, value: Any) -> bytes:
        # For lengths that the type does not permit: octets stay octets, numbers do not fit.
        if isinstance(value, (bytes, bytearray)):
            return bytes(value)
        if value == 0:
            return b""
        raise self._misfit(value, f"give bytes, {self.name} does not permit this length")


def _limits(length: int, signed: bool) -> tuple[int, int]:
    bits = 8 * length
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)


@dataclass(frozen=True, eq=False, repr=False)
class Float(DataType):
    """The types float32 and float64."""

    zero: Any = 0.0

    def permits(self, length: int) -> bool:
        """Permit float32 for float64: reduced-size encoding (RFC 7011 section 6.2)."""
        return length in (4, self.length)

    def _make_codec(self, length: int) -> Codec | None:
        if length not in (4, 8):
            return None

        def number(value: Any) -> float:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise self._misfit(value, "give a number")
            try:
                value = float(value)
                if length == 4 and math.isfinite(value):
                    struct.pack("!f", value)
            except (ValueError, OverflowError):
                raise self._misfit(value, f"not a float of {length} octets") from None
            return float(value)

        return Codec("f" if length == 4 else "d", None, number)

    def violation(self, value: Any) -> str | None:
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value} is not a finite number"
        return None

    def to_json(self, value: Any) -> Any:
        """Convert NaN and infinity to text, since JSON has neither."""
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return super().to_json(value)

    def _to_octets(self, value: Any) -> bytes:
        return b"" if value == 0.0 and not isinstance(value, bytes) else super()._to_octets(value)


#: The value of each octet; an octet that is neither 1 nor 2 is its own value.
_BOOLEANS = [{1: True, 2: False}.get(octet, octet) for octet in range(256)]

_WRONG_BOOLEANS = {
    octet: f"boolean is {octet}, neither 1 nor 2" for octet in range(256) if octet not in (1, 2)
}


@dataclass(frozen=True, eq=False, repr=False)
class Boolean(DataType):
    """The boolean type: 1 is True, 2 is False, any other octet stays ``int``."""

    zero: Any = False

    def _make_codec(self, length: int) -> Codec | None:
        if length != 1:
            return None

        def encode(value: Any) -> int:
            if value is True:
                return 1
            if value is False:
                return 2
            if isinstance(value, int) and 0 <= value <= 255:
                return value  # decoding an octet that is neither 1 nor 2 gives this
            if isinstance(value, str) and value.lower() in ("true", "false"):
                return 1 if value.lower() == "true" else 2
            raise self._misfit(value, "give True, False, or the octet, 0 to 255")

        return Codec("B", _BOOLEANS.__getitem__, encode)

    def _to_octets(self, value: Any) -> bytes:
        return b"" if value is False else super()._to_octets(value)

    def to_text(self, value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else super().to_text(value)

    def violation(self, value: Any) -> str | None:
        return _WRONG_BOOLEANS.get(value) if type(value) is int else None

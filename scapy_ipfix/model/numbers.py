# SPDX-License-Identifier: GPL-2.0-or-later
"""The integers, floats and booleans of RFC 7011 6.1.1 to 6.1.5, and unsigned256."""

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
class Float(DataType):
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

    def flaw(self, value: Any) -> str | None:
        if isinstance(value, float) and not math.isfinite(value):
            return f"{value} is no number"
        return None

    def to_json(self, value: Any) -> Any:
        """JSON has neither NaN nor infinity: those are text."""
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        return super().to_json(value)

    def _octets(self, value: Any) -> bytes:
        return b"" if value == 0.0 and not isinstance(value, bytes) else super()._octets(value)


#: What an octet says; one that says neither is itself.
_BOOLEANS = [{1: True, 2: False}.get(octet, octet) for octet in range(256)]

_WRONG_BOOLEANS = {
    octet: f"boolean is {octet}, neither 1 nor 2" for octet in range(256) if octet not in (1, 2)
}


@dataclass(frozen=True, eq=False, repr=False)
class Boolean(DataType):
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

        return Codec("B", _BOOLEANS.__getitem__, encode)

    def _octets(self, value: Any) -> bytes:
        return b"" if value is False else super()._octets(value)

    def to_text(self, value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else super().to_text(value)

    def flaw(self, value: Any) -> str | None:
        return _WRONG_BOOLEANS.get(value) if type(value) is int else None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Data types of addresses: macAddress, ipv4Address, ipv6Address (RFC 7011 6.1.3)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from scapy_ipfix.model.datatype import Cache, Codec, DataType


@dataclass(frozen=True, eq=False, repr=False)
class MACAddress(DataType):
    """The macAddress type: six octets, ``str`` as in 02:00:5e:10:00:01."""

    zero: Any = "00:00:00:00:00:00"
    is_address = True

    def _make_codec(self, length: int) -> Codec | None:
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
            raise self._misfit(value, "give six octets, as in 02:00:5e:10:00:01")

        return Codec("6s", Cache(lambda octets: octets.hex(":")).__getitem__, encode)

    def _to_octets(self, value: Any) -> bytes:
        return b"" if value == self.zero else super()._to_octets(value)


@dataclass(frozen=True, eq=False, repr=False)
class IPv4Address(DataType):
    """The ipv4Address type: four octets, ``str`` as in 192.0.2.1."""

    zero: Any = "0.0.0.0"
    is_address = True

    def _make_codec(self, length: int) -> Codec | None:
        if length != 4:
            return None

        # The item is a number, not four octets: as the key of the cache it is cheaper.
        def decode(item: int) -> str:
            return socket.inet_ntoa(item.to_bytes(4, "big"))

        def encode(value: Any) -> int:
            if isinstance(value, int) and 0 <= value < 1 << 32:
                return int(value)
            if isinstance(value, ipaddress.IPv4Address):
                return int(value)
            if isinstance(value, bytes) and len(value) == 4:
                return int.from_bytes(value, "big")
            try:
                return int.from_bytes(socket.inet_pton(socket.AF_INET, value), "big")
            except (OSError, TypeError, ValueError):
                raise self._misfit(value, "give an address, as in 192.0.2.1") from None

        return Codec("I", Cache(decode).__getitem__, _memoised(encode))

    def to_python(self, value: Any) -> Any:
        return ipaddress.IPv4Address(value) if isinstance(value, str) else value

    def _to_octets(self, value: Any) -> bytes:
        return b"" if value == self.zero else super()._to_octets(value)


@dataclass(frozen=True, eq=False, repr=False)
class IPv6Address(DataType):
    """The ipv6Address type: 16 octets, ``str`` as in 2001:db8::1."""

    zero: Any = "::"
    is_address = True

    def _make_codec(self, length: int) -> Codec | None:
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
                raise self._misfit(value, "give an address, as in 2001:db8::1") from None

        decode = partial(socket.inet_ntop, socket.AF_INET6)
        return Codec("16s", Cache(decode).__getitem__, _memoised(encode))

    def to_python(self, value: Any) -> Any:
        return ipaddress.IPv6Address(value) if isinstance(value, str) else value

    def _to_octets(self, value: Any) -> bytes:
        return b"" if value == self.zero else super()._to_octets(value)


def _memoised(encode: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return ``encode`` with a cache for text: flows repeat their hosts."""
    cache = Cache(encode)

    def encode_memoised(value: Any) -> Any:
        return cache[value] if type(value) is str else encode(value)

    return encode_memoised

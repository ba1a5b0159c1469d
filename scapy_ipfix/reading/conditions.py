# SPDX-License-Identifier: GPL-2.0-or-later
"""Conditions on one value: of a record, or of a whole column with numpy.

Each condition has ``test()``, a function of a value that is not None, and ``mask(np, array)``,
the same for an array as :func:`~scapy_ipfix.reading.columns.read_columns` makes it. A value of
another type than the condition is about does not fulfil it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Protocol

#: Function of a value that is not None.
Test = Callable[[Any], bool]

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "=": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


class Condition(Protocol):
    """Condition on one value."""

    def test(self) -> Test:
        """Return the condition as a function of a value."""

    def mask(self, np: Any, array: Any) -> Any:
        """Return a boolean array: the values of an array that fulfil the condition."""


def _by_value(np: Any, test: Test, array: Any) -> Any:
    """Test an array of Python objects, or of octets, value by value."""
    values = array.tolist()
    return np.fromiter((v is not None and test(v) for v in values), bool, len(values))


def _types(value: Any) -> tuple[type, ...]:
    return (int, float) if isinstance(value, (int, float)) else (type(value),)


@dataclass(frozen=True, slots=True)
class Ordered:
    """Comparison with a bound: ``operator`` is one of :data:`OPERATORS`."""

    operator: str
    bound: Any

    def test(self) -> Test:
        compare, bound, types = OPERATORS[self.operator], self.bound, _types(self.bound)

        def test(value: Any) -> bool:
            return isinstance(value, types) and compare(value, bound)

        return test

    def mask(self, np: Any, array: Any) -> Any:
        bound = self.bound
        if array.dtype.kind == "M" and isinstance(bound, datetime):
            bound = np.datetime64(bound.replace(tzinfo=None), "us")
        elif array.dtype.kind not in "iufb" or not isinstance(bound, (int, float)):
            return _by_value(np, self.test(), array)
        elif array.dtype.kind in "iu" and isinstance(bound, int):
            limits = np.iinfo(array.dtype)
            if not limits.min <= bound <= limits.max:  # a bound that the type cannot hold
                return np.full(len(array), OPERATORS[self.operator](0, bound))
        return OPERATORS[self.operator](array, bound)


@dataclass(frozen=True, slots=True)
class Between:
    """Range of values, both ends included."""

    first: Any
    last: Any

    def test(self) -> Test:
        first, last, types = self.first, self.last, _types(self.first)
        return lambda value: isinstance(value, types) and first <= value <= last

    def mask(self, np: Any, array: Any) -> Any:
        low = Ordered(">=", self.first).mask(np, array)
        return low & Ordered("<=", self.last).mask(np, array)


@dataclass(frozen=True, slots=True)
class Within:
    """Addresses in a prefix; a single address is the longest prefix."""

    network: IPv4Network | IPv6Network

    def test(self) -> Test:
        network = self.network
        is_ipv6 = network.version == 6
        family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
        shift = network.max_prefixlen - network.prefixlen
        prefix = int(network.network_address) >> shift

        def test(value: Any) -> bool:
            if not isinstance(value, str) or (":" in value) is not is_ipv6:
                return False
            return int.from_bytes(socket.inet_pton(family, value), "big") >> shift == prefix

        return test

    def mask(self, np: Any, array: Any) -> Any:
        network = self.network
        shift = network.max_prefixlen - network.prefixlen
        prefix = int(network.network_address) >> shift
        if array.dtype.kind == "O":
            return _by_value(np, self.test(), array)
        if network.version == 4 and array.dtype == np.uint32:
            return array.astype(np.uint64) >> np.uint64(shift) == prefix
        if network.version == 6 and array.dtype == np.dtype("V16"):
            halves = np.frombuffer(array.tobytes(), ">u8").reshape(-1, 2)
            return self._halves(np, halves, int(network.netmask))
        return np.zeros(len(array), bool)

    def _halves(self, np: Any, halves: Any, netmask: int) -> Any:
        """Compare both halves of IPv6 addresses under a netmask."""
        address, low = int(self.network.network_address), (1 << 64) - 1
        first = halves[:, 0] & np.uint64(netmask >> 64) == np.uint64(address >> 64)
        return first & (halves[:, 1] & np.uint64(netmask & low) == np.uint64(address & low))


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Any of some conditions."""

    conditions: tuple[Condition, ...]

    def test(self) -> Test:
        tests = [condition.test() for condition in self.conditions]
        if len(tests) == 1:
            return tests[0]
        return lambda value: any(test(value) for test in tests)

    def mask(self, np: Any, array: Any) -> Any:
        masks = [condition.mask(np, array) for condition in self.conditions]
        return np.logical_or.reduce(masks)


@dataclass(frozen=True, slots=True)
class Among:
    """Any of some values, which are of one kind."""

    values: frozenset[Any]

    def test(self) -> Test:
        if len(self.values) == 1:
            (value,) = self.values
            return Ordered("=", value).test()
        return self.values.__contains__

    def mask(self, np: Any, array: Any) -> Any:
        if array.dtype.kind in "O" or not all(isinstance(v, int) for v in self.values):
            masks = [Ordered("=", value).mask(np, array) for value in self.values]
            return np.logical_or.reduce(masks)
        if array.dtype.kind not in "iub":
            return _by_value(np, self.test(), array)
        limits = np.iinfo(array.dtype) if array.dtype.kind != "b" else np.iinfo(np.uint8)
        values = [value for value in self.values if limits.min <= value <= limits.max]
        return np.isin(array, np.array(values, array.dtype))


@dataclass(frozen=True, slots=True)
class HasBits:
    """Flags that are all set."""

    bits: int

    def test(self) -> Test:
        bits = self.bits
        return lambda value: isinstance(value, int) and value & bits == bits

    def mask(self, np: Any, array: Any) -> Any:
        if array.dtype.kind not in "iu" or self.bits > np.iinfo(array.dtype).max:
            return _by_value(np, self.test(), array)
        bits = array.dtype.type(self.bits)
        return array & bits == bits


@dataclass(frozen=True, slots=True)
class Contains:
    """Text that holds a part."""

    part: str

    def test(self) -> Test:
        part = self.part
        return lambda value: isinstance(value, str) and part in value

    def mask(self, np: Any, array: Any) -> Any:
        return _by_value(np, self.test(), array)


@dataclass(frozen=True, slots=True)
class Not:
    """Values that do not fulfil a condition."""

    condition: Condition

    def test(self) -> Test:
        test = self.condition.test()
        return lambda value: not test(value)

    def mask(self, np: Any, array: Any) -> Any:
        return ~self.condition.mask(np, array)


@dataclass(frozen=True, slots=True)
class OfFamily:
    """Addresses of an IP version."""

    version: int

    def test(self) -> Test:
        is_ipv6 = self.version == 6
        return lambda value: isinstance(value, str) and (":" in value) is is_ipv6

    def mask(self, np: Any, array: Any) -> Any:
        if array.dtype.kind == "O":
            return _by_value(np, self.test(), array)
        size = 16 if self.version == 6 else 4
        return np.full(len(array), array.dtype.itemsize == size)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Filter expressions: selection of Data Records by the values of their fields.

    dst port 443 and octets > 1e6 and src in 10.0.0.0/8

An expression is parsed once (:mod:`~scapy_ipfix.reading.filterparser`), then bound to each
template: fields that the template lacks decide their comparison there, the others become one
function of a row of values. Nothing of an expression is evaluated as Python.

==========================  =================================================================
``src``, ``dst``            before ``ip`` (``host``, ``net``), ``port``, ``as``, ``mac``,
                            ``if``, ``mask``, ``vlan``; alone they are the addresses
``ip``, ``port``, ...       without ``src`` or ``dst``: of either side
``proto``, ``octets``       also ``protocol``; ``bytes``; ``packets``; ``flags``; ``tos``
``start end duration``      time of the first and last packet, seconds between them
``ipv4``, ``ipv6``          address family
any other word              an element by any of its names, or a resolved value
==========================  =================================================================

A comparison with a field that a record does not have is false, ``!=`` too; a field alone
selects the records that have it. ``=`` may be left out. Values: integers (``0x1f``, ``1e6``,
``10k``, ``5M``, ``2G``), ranges (``1024..65535``), names of enumerations and flags, addresses
and prefixes, ISO times, durations (``250ms``, ``5s``, ``2m``, ``1h``), quoted text.
``flags SA`` and ``has`` select records that have all these flags set, ``contains`` a part of
a text.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.reading.conditions import (
    Among,
    AnyOf,
    Between,
    Condition,
    Contains,
    HasBits,
    Not,
    OfFamily,
    Ordered,
    Test,
    Within,
)
from scapy_ipfix.reading.filterparser import (
    Combination,
    Comparison,
    FilterError,
    Negation,
    Node,
    Token,
    parse,
)

#: Condition on a row of values.
RowTest = Callable[[Sequence[Any]], bool]

#: Fields of the words of the grammar: of the source, the destination, of either or none.
_SIDES: dict[str, tuple[str, str]] = {
    "ip": ("source_address", "destination_address"),
    "port": ("source_port", "destination_port"),
    "as": ("bgpSourceAsNumber", "bgpDestinationAsNumber"),
    "mac": ("sourceMacAddress", "destinationMacAddress"),
    "if": ("ingressInterface", "egressInterface"),
    "vlan": ("vlanId", "postVlanId"),
    "mask": ("sourceIPv4PrefixLength", "destinationIPv4PrefixLength"),
}
_SYNONYMS = {
    **dict.fromkeys(("host", "net", "addr", "address"), "ip"),
    "interface": "if",
    "proto": "protocol",
    "bytes": "octets",
    "start": "flow_start",
    "end": "flow_end",
    "duration": "flow_duration",
    "application": "application_name",
    "app": "application_name",
}
_NAMED = {
    "protocol": "protocolIdentifier",
    "flags": "tcpControlBits",
    "tos": "ipClassOfService",
}
_FAMILIES = {"ipv4": 4, "inet": 4, "ipv6": 6, "inet6": 6}
#: Types of resolved values and of the record's context.
_RESOLVED: dict[str, str] = {
    **dict.fromkeys(("source_address", "destination_address"), "address"),
    **dict.fromkeys(("source_port", "destination_port"), "port"),
    **dict.fromkeys(("octets", "packets", "sampling_rate"), "number"),
    **dict.fromkeys(("flow_start", "flow_end", "_export_time"), "time"),
    "flow_duration": "duration",
    **dict.fromkeys(("_domain", "_template", "_version", "_packet"), "number"),
    **dict.fromkeys(("_exporter", "_file"), "text"),
    **dict.fromkeys(("application_name", "ingress_vrf_name", "egress_vrf_name"), "text"),
    **dict.fromkeys(("ingress_interface_name", "egress_interface_name"), "text"),
}
_CONTEXT = {name[1:]: name for name in _RESOLVED if name[0] == "_"}
_NUMBER = re.compile(r"([-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)([kmgt]?)", re.I)
_SCALES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_DURATION = re.compile(r"(\d+(?:\.\d*)?)(us|ms|s|m|min|h|d)?", re.I)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
#: TCP flags by name, beside the letters that the registry has (RFC 9293 3.1).
_TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ece": 64, "cwr": 128}


@dataclass(frozen=True, slots=True)
class _Leaf:
    """Condition on any of some fields; None: one of them is there."""

    names: tuple[str, ...]
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class BoundFilter:
    """Filter of the records of one template: ``test`` takes the values of ``names`` as a row."""

    names: tuple[str, ...]
    test: RowTest


class Filter:
    """Compiled filter expression.

    ``model`` finds elements by name. Raises FilterError (a ValueError that points at the
    column) for text that is no expression, an unknown field, or a value that does not fit.
    """

    def __init__(self, text: str, model: InformationModel = elements) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a filter is text such as 'dst port 443', not {text!r:.60}")
        self.text = text
        words = frozenset((*_SIDES, *_SYNONYMS))
        self._root = _Builder(text, model).build(parse(text, words))

    def __repr__(self) -> str:
        return f"<Filter {self.text!r}>"

    @property
    def names(self) -> tuple[str, ...]:
        """Fields and resolved values that the expression names, in order."""
        return tuple(_names(self._root))

    def bind(self, available: Collection[str]) -> BoundFilter | bool:
        """Compile for records that have these fields and resolved values.

        Return True or False where no value of theirs matters.
        """
        names = tuple(name for name in self.names if name in available)
        test = _compile(self._root, {name: at for at, name in enumerate(names)})
        return BoundFilter(names, test) if callable(test) else test

    def mask(self, np: Any, columns: Mapping[str, Any], count: int) -> Any:
        """Return a boolean array: which of ``count`` records the filter selects.

        ``columns`` are numpy arrays by name, as read_columns makes them.
        """
        return _mask(np, self._root, columns, count)


def _mask(np: Any, node: Any, columns: Mapping[str, Any], count: int) -> Any:
    if isinstance(node, Negation):
        return ~_mask(np, node.item, columns, count)
    if isinstance(node, Combination):
        masks = [_mask(np, item, columns, count) for item in node.items]
        combine = np.logical_or if node.operator == "or" else np.logical_and
        return combine.reduce(masks)
    selected = np.zeros(count, bool)
    for array in [columns[name] for name in node.names if name in columns]:
        if node.condition is not None:
            selected |= node.condition.mask(np, array)
        elif array.dtype.kind == "O":
            selected |= np.fromiter((v is not None for v in array.tolist()), bool, count)
        else:
            selected |= ~np.isnat(array) if array.dtype.kind == "M" else True
    return selected


def _names(node: Any) -> dict[str, None]:
    if isinstance(node, _Leaf):
        return dict.fromkeys(node.names)
    items = (node.item,) if isinstance(node, Negation) else node.items
    return {name: None for item in items for name in _names(item)}


def _compile(node: Any, positions: dict[str, int]) -> RowTest | bool:
    if isinstance(node, _Leaf):
        test = None if node.condition is None else node.condition.test()
        return _any_of([_row_test(positions[n], test) for n in node.names if n in positions])
    if isinstance(node, Negation):
        inner = _compile(node.item, positions)
        return not inner if isinstance(inner, bool) else _negated(inner)
    tests = [_compile(item, positions) for item in node.items]
    absorbing: bool = node.operator == "or"
    if absorbing in [test for test in tests if isinstance(test, bool)]:
        return absorbing
    rest = [test for test in tests if not isinstance(test, bool)]
    return _any_of(rest) if absorbing else _all_of(rest)


def _negated(test: RowTest) -> RowTest:
    return lambda row: not test(row)


def _row_test(at: int, test: Test | None) -> RowTest:
    if test is None:
        return lambda row: row[at] is not None

    def check(row: Sequence[Any]) -> bool:
        value = row[at]
        return value is not None and test(value)

    return check


def _any_of(tests: list[RowTest]) -> RowTest | bool:
    if len(tests) <= 1:
        return tests[0] if tests else False
    if len(tests) == 2:
        first, second = tests
        return lambda row: first(row) or second(row)
    return lambda row: any(test(row) for test in tests)


def _all_of(tests: list[RowTest]) -> RowTest | bool:
    if len(tests) <= 1:
        return tests[0] if tests else True
    if len(tests) == 2:
        first, second = tests
        return lambda row: first(row) and second(row)
    return lambda row: all(test(row) for test in tests)


class _Builder:
    """Resolves the fields and values of a parsed expression."""

    def __init__(self, text: str, model: InformationModel) -> None:
        self._text = text
        self._model = model

    def build(self, node: Node) -> Any:
        if isinstance(node, Negation):
            return Negation(self.build(node.item))
        if isinstance(node, Combination):
            return Combination(node.operator, tuple(map(self.build, node.items)))
        family = _FAMILIES.get(node.field.text.lower())
        if family and node.operator == "present":
            return _Leaf(_SIDES["ip"], OfFamily(family))
        names = self._fields(node)
        if node.operator == "present":
            return _Leaf(names, None)
        kind = _RESOLVED.get(names[0]) or self._model[names[0]]
        return _Leaf(names, self._condition(node, kind))

    def _fail(self, problem: str, token: Token) -> NoReturn:
        raise FilterError(problem, self._text, token.column)

    def _fields(self, node: Comparison) -> tuple[str, ...]:
        """Return the fields that a comparison is about, any of which may fulfil it."""
        word = node.field.text
        lower = word.lower()
        if node.direction and lower == node.direction:
            lower = "ip"
        lower = _SYNONYMS.get(lower, lower)
        if lower in _SIDES:
            sides = _SIDES[lower]
            return (sides[node.direction == "dst"],) if node.direction else sides
        if lower in _RESOLVED or lower in _CONTEXT:
            return (_CONTEXT.get(lower, lower),)
        element = self._model.get(_NAMED.get(lower, word))
        if element is None:
            try:
                element = self._model[word]
            except ValueError as problem:
                self._fail(str(problem), node.field)
        return (element.name,)

    def _condition(self, node: Comparison, kind: str | InformationElement) -> Condition:
        operator, values = node.operator, node.values
        if operator == "contains":
            if kind != "text" and (isinstance(kind, str) or kind.type.name != "string"):
                self._fail("'contains' takes a field of type string", node.field)
            return Contains(values[0].text)
        if operator == "has" or (operator == "" and node.field.text.lower() == "flags"):
            bits = self._value(values[0], kind)
            if not isinstance(bits, int):
                self._fail("'has' takes flags, for example: tcpControlBits has SYN", values[0])
            return HasBits(bits)
        if operator in ("", "=", "in"):
            return self._among(values, kind)
        if operator == "!=":
            return Not(self._among(values, kind))
        if _is_address(kind):
            self._fail(f"addresses have no order: {operator!r} takes numbers and times", node.field)
        return Ordered(operator, self._value(values[0], kind))

    def _among(self, tokens: Sequence[Token], kind: str | InformationElement) -> Condition:
        """Return the condition of a value being one of some values, prefixes or ranges."""
        values = set()
        conditions: list[Condition] = []
        for token in tokens:
            low, dots, high = token.text.partition("..")
            if _is_address(kind):
                conditions.append(Within(self._network(token)))
            elif dots and token.kind == "word":
                first = self._value(token._replace(text=low), kind)
                last = self._value(token._replace(text=high), kind)
                conditions.append(Between(first, last))
            else:
                values.add(self._value(token, kind))
        if values:
            conditions.insert(0, Among(frozenset(values)))
        return conditions[0] if len(conditions) == 1 else AnyOf(tuple(conditions))

    def _network(self, token: Token) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        try:
            return ipaddress.ip_network(token.text, strict=False)
        except ValueError:
            self._fail(f"{token.text!r} is not an address or a prefix such as 10.0.0.0/8", token)

    def _value(self, token: Token, kind: str | InformationElement) -> Any:
        """Return the value that a token stands for, as records have it."""
        try:
            if isinstance(kind, str):
                return _READERS[kind](token.text)
            return _element_value(kind, token.text)
        except (ValueError, OverflowError) as problem:
            self._fail(str(problem), token)


def _is_address(kind: str | InformationElement) -> bool:
    if isinstance(kind, str):
        return kind == "address"
    return kind.type.name in ("ipv4Address", "ipv6Address")


def _number(text: str) -> int | float:
    """Read an integer or a decimal fraction: 0x1f, 1e6, 10k, 1_000."""
    try:
        return int(text, 0)
    except ValueError:
        match = _NUMBER.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a number such as 443, 0x1bb, 1e6 or 10k")
    number = float(match[1]) * _SCALES[match[2].lower()]
    return int(number) if number.is_integer() else number


def _port(text: str) -> int | float:
    """Read a port: a number or the name of a service."""
    if text[:1].isdigit():
        return _number(text)
    try:
        return socket.getservbyname(text)
    except OSError:
        raise ValueError(f"{text!r} is neither a port number nor a service name") from None


def _time(text: str) -> datetime:
    """Read an ISO 8601 time; without a zone it is UTC."""
    kind = data_type("dateTimeMicroseconds")
    time = kind.to_python(kind.codec(kind.length).encode(text))
    if not isinstance(time, datetime):
        raise ValueError(f"{text!r} is not a time such as 2023-11-14T22:13:20Z")
    return time


def _duration(text: str) -> float:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 250ms, 5s, 2m or 1h")
    return float(match[1]) * _UNITS[(match[2] or "s").lower()]


_READERS: dict[str, Callable[[str], Any]] = {
    "duration": _duration,
    "number": _number,
    "port": _port,
    "text": str,
    "time": _time,
}


def _element_value(element: InformationElement, text: str) -> Any:
    """Return a value of an element as records have it, from what a person writes."""
    kind = element.type
    if element.name == "tcpControlBits" and text.lower() in _TCP_FLAGS:
        return _TCP_FLAGS[text.lower()]
    if element.values is not None and (number := element.values.parse(text)) is not None:
        return number
    if kind.is_time:
        return kind.codec(kind.length).encode(text)
    if element.name in ("sourceTransportPort", "destinationTransportPort"):
        return _port(text)
    if kind.is_integer or kind.name.startswith("float"):
        return _number(text)
    if kind.name == "boolean":
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() in ("true", "1")
    if kind.name == "macAddress":
        return kind.decode(kind.encode(text))
    if kind.name == "string":
        return text
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise ValueError(f"{text!r} is not octets in hexadecimal such as 0x0a0b") from None

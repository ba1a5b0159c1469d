# SPDX-License-Identifier: GPL-2.0-or-later
"""Hypothesis strategies for templates, the values of their records, and broken messages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import scapy.all
from hypothesis import strategies as st
from scapy.packet import Packet

import scapy_ipfix
from scapy_ipfix.model.datatypes import DATA_TYPES, VARIABLE, DataType
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.model import elements
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template
from scapy_ipfix.wire.v9scopes import V9_SCOPES

#: Types whose values are octets of a form of their own (RFC 6313).
LISTS = ("basicList", "subTemplateList", "subTemplateMultiList")
PLAIN_TYPES = tuple(kind for name, kind in DATA_TYPES.items() if name not in LISTS)

_BY_TYPE: dict[str, list[InformationElement]] = {}
for _element in elements:
    if _element.id < 0x8000:
        _BY_TYPE.setdefault(_element.type.name, []).append(_element)
_V9_BY_TYPE: dict[str, list[InformationElement]] = {}
for _kind in (*range(1, 500), *range(32768, 65536)):
    _element = elements.v9_element(_kind)
    if elements.v9_type(_element) == _kind:
        _V9_BY_TYPE.setdefault(_element.type.name, []).append(_element)


#: The names at a prompt after both star imports.
PROMPT = {name: getattr(scapy.all, name) for name in dir(scapy.all)} | {
    name: getattr(scapy_ipfix, name) for name in scapy_ipfix.__all__
}


def retyped(packet: Packet) -> Packet:
    """Evaluate the command() of a packet at the prompt."""
    return eval(packet.command(), dict(PROMPT))


def values(kind: DataType, length: int) -> st.SearchStrategy[Any]:
    """Return a strategy for the decoded values that a field of a type and length can hold."""
    natural = kind.length if length == VARIABLE else length
    if length == 0:
        return st.just(kind.zero if not kind.length else None)
    if kind.is_integer and natural <= max(8, kind.length):
        bits = 8 * natural
        if kind.name.startswith("signed"):
            return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
        return st.integers(0, (1 << bits) - 1)
    if kind.name in ("float32", "float64") and natural in (4, 8):
        return st.floats(width=8 * natural, allow_nan=False)
    if kind.name == "boolean" and natural == 1:
        return st.one_of(st.booleans(), st.integers(3, 255), st.just(0))
    if kind.name == "macAddress" and natural == 6:
        return st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":"))
    if kind.name == "ipv4Address" and natural == 4:
        return st.ip_addresses(v=4).map(str)
    if kind.name == "ipv6Address" and natural == 16:
        return st.binary(min_size=16, max_size=16).map(kind.decode)
    if kind.name == "string":
        text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
        octets = st.binary(max_size=300).filter(_is_not_text)
        if length == VARIABLE:
            return text | octets
        return (text | octets).map(_fitted(length))
    if length == VARIABLE:
        return st.binary(max_size=300)
    return st.binary(min_size=length, max_size=length)


def _is_not_text(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return True
    return False


def _fitted(length: int) -> Callable[[str | bytes], str | bytes]:
    """Return the function that cuts a string to a fixed length, as decoding does."""

    def fit(value: str | bytes) -> str | bytes:
        octets = value.encode() if isinstance(value, str) else value
        octets = octets[:length].rstrip(b"\0")
        return octets if _is_not_text(octets) else octets.decode()

    return fit


def lengths(kind: DataType) -> st.SearchStrategy[int]:
    """Return a strategy for lengths on the wire, permitted by the type or not."""
    usual = [VARIABLE, kind.length or 7]
    if kind.is_integer and not kind.is_time:
        usual += range(1, kind.length + 1)
    if kind.name == "float64":
        usual.append(4)
    return st.sampled_from(usual) | st.integers(0, 40)


@st.composite
def elements_of(draw: Callable[..., Any], version: int = 10) -> InformationElement:
    """Draw an element of any type, known or unknown, of the protocol version."""
    kind = draw(st.sampled_from(PLAIN_TYPES))
    known = (_BY_TYPE if version == 10 else _V9_BY_TYPE).get(kind.name)
    if known and draw(st.booleans()):
        return draw(st.sampled_from(known))
    if version == 9:
        return elements.v9_element(draw(st.integers(1, 65535)))
    return elements.element(draw(st.integers(0, 0xFFFFFFFF)), draw(st.integers(1, 0x7FFF)))


@st.composite
def templates(draw: Callable[..., Any], version: int = 10, options: bool | None = None) -> Template:
    """Draw a template with records of at least one octet."""
    chosen = draw(st.lists(elements_of(version), min_size=1, max_size=8))
    if options is None:
        options = draw(st.booleans())
    scope = draw(st.integers(1, len(chosen))) if options else 0
    if version == 9:
        scopes = st.sampled_from(sorted(V9_SCOPES)).map(V9_SCOPES.__getitem__)
        chosen = [draw(scopes) if i < scope else each for i, each in enumerate(chosen)]
    fields = [
        TemplateField(each, draw(lengths(each.type)), each.name)
        for each in chosen
        if each.type.name not in LISTS
    ] or [TemplateField(elements["octetDeltaCount"], 8, "")]
    if not any(field.length for field in fields):
        fields[0] = TemplateField(fields[0].element, VARIABLE, "")
    if version == 9 and scope and fields[0].element not in V9_SCOPES.values():
        scope = 0
    return Template(draw(st.integers(256, 65535)), *fields, scope=min(scope, len(fields)))


def rows(template: Template) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return a strategy for the decoded records of a template."""
    return st.tuples(*(values(field.data_type, field.length) for field in template.fields))


@dataclass(frozen=True)
class Filled:
    """Template and records of it."""

    template: Template
    rows: list[tuple[Any, ...]]


@st.composite
def filled(draw: Callable[..., Any], version: int = 10, min_size: int = 0) -> Filled:
    """Draw a template and records of it."""
    template = draw(templates(version))
    return Filled(template, draw(st.lists(rows(template), min_size=min_size, max_size=4)))


@st.composite
def broken(draw: Callable[..., Any], whole: bytes, keep: int = 0) -> bytes:
    """Draw damaged octets: some changed, the end cut or extended; the first ``keep`` stay."""
    octets = bytearray(whole)
    edge = st.sampled_from([0, 1, 2, 3, 4, 5, 0x7F, 0x80, 0xFE, 0xFF]) | st.integers(0, 255)
    if len(octets) > keep:
        for _ in range(draw(st.integers(0, 6))):
            octets[draw(st.integers(keep, len(octets) - 1))] = draw(edge)
        if draw(st.booleans()):
            del octets[draw(st.integers(max(keep, 1), len(octets))) :]
    return bytes(octets) + draw(st.binary(max_size=5) if draw(st.booleans()) else st.just(b""))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases of the torture catalogue, and the parts of their messages.

A case is written as a function that returns its packets. Its name is that of the case, its
docstring describes the case, and the decorator :func:`legal` or :func:`illegal` has the rest::

    @illegal("RFC 7011 3.1", "discard the message", "message-length")
    def message_length_zero() -> Packets:
        "The message header has length 0."
        return [IPFIX(length=0) / FLOWS]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scapy.config import conf
from scapy.packet import Packet

from scapy_ipfix.layers.messages import IPFIX, NetFlowV9
from scapy_ipfix.wire.catalogue import CATALOGUE
from scapy_ipfix.wire.framing import IPFIX_HEADER, IPFIX_VERSION, V9_HEADER, V9_VERSION
from scapy_ipfix.wire.template import Template

#: Packets of a case: messages, or octets that are no message.
Packets = Iterable[Packet | bytes]

#: The template of most cases: records of 12 octets.
FLOW = Template(256, "sourceIPv4Address", "destinationIPv4Address", "octetDeltaCount[4]")
ROW = ("192.0.2.1", "192.0.2.2", 1500)
#: A template with a field of variable length.
NAMED = Template(257, "wlanSSID", "octetDeltaCount[4]")
#: An Options Template of two scope fields.
OPTIONS = Template(258, "exportingProcessId", "ingressInterface", "interfaceName", scope=2)


@dataclass(frozen=True, slots=True)
class Case:
    """Case of the catalogue.

    ``section`` is the RFC section that it tests, ``description`` describes its messages,
    ``expected`` the behaviour of a collector. ``packets`` are its messages in order, as
    packets; octets that are no message are Raw. ``diagnostics`` are the codes of
    :data:`scapy_ipfix.wire.catalogue.CATALOGUE` that a session notes, each at least once
    and no others. ``transport`` is "udp" or "tcp" for a case of that transport alone, else
    "any".
    """

    name: str
    section: str
    legal: bool
    description: str
    expected: str
    packets: tuple[Packet, ...]
    diagnostics: tuple[str, ...] = ()
    transport: str = "any"

    @property
    def messages(self) -> tuple[bytes, ...]:
        """Octets of each message; over UDP, each is one datagram."""
        return tuple(bytes(packet) for packet in self.packets)

    def __str__(self) -> str:
        kind = "legal" if self.legal else "illegal"
        return f"{self.name} ({kind}, {self.section}): {self.description}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Case without its packets; ``make`` returns new ones."""

    name: str
    section: str
    legal: bool
    description: str
    expected: str
    diagnostics: tuple[str, ...]
    transport: str
    make: Callable[[], Packets]

    def case(self, domain: int, export_time: int) -> Case:
        """Return the case with its messages in Observation Domains from ``domain`` on.

        ``export_time``, in seconds since 1970, is for messages without their own.
        """
        return Case(
            self.name,
            self.section,
            self.legal,
            self.description,
            self.expected,
            tuple(_placed(each, domain, export_time) for each in self.make()),
            self.diagnostics,
            self.transport,
        )


RECIPES: list[Recipe] = []


def legal(
    section: str, expected: str, *diagnostics: str, transport: str = "any"
) -> Callable[[Callable[[], Packets]], Callable[[], Packets]]:
    """Return a decorator that adds a function to the catalogue as a legal case.

    ``section`` is the RFC section, ``expected`` the behaviour of a collector.
    """
    return _decorator(section, True, expected, diagnostics, transport)


def illegal(
    section: str, expected: str, *diagnostics: str, transport: str = "any"
) -> Callable[[Callable[[], Packets]], Callable[[], Packets]]:
    """Return a decorator that adds a function to the catalogue as an illegal case."""
    return _decorator(section, False, expected, diagnostics, transport)


def _decorator(
    section: str, is_legal: bool, expected: str, diagnostics: tuple[str, ...], transport: str
) -> Callable[[Callable[[], Packets]], Callable[[], Packets]]:
    unknown = [code for code in diagnostics if code not in CATALOGUE]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no code of diagnostics.CATALOGUE")

    def register(make: Callable[[], Packets]) -> Callable[[], Packets]:
        name = make.__name__.replace("_", "-")
        description = " ".join((make.__doc__ or "").split())
        RECIPES.append(
            Recipe(name, section, is_legal, description, expected, diagnostics, transport, make)
        )
        return make

    return register


def _placed(item: Packet | bytes, domain: int, export_time: int) -> Packet:
    """Return a message as a packet, its domain moved by ``domain``, with an export time."""
    if isinstance(item, bytes):
        return conf.raw_layer(_placed_octets(item, domain, export_time))
    if isinstance(item, IPFIX):
        item.observationDomainId = item.observationDomainId + domain & 0xFFFFFFFF
        if item.fields.get("exportTime") is None:
            item.exportTime = export_time
    elif isinstance(item, NetFlowV9):
        item.sourceId = item.sourceId + domain & 0xFFFFFFFF
        if item.fields.get("unixSecs") is None:
            item.unixSecs = export_time
    return item


def _placed_octets(octets: bytes, domain: int, export_time: int) -> bytes:
    version = int.from_bytes(octets[:2], "big")
    for number, header, at in ((IPFIX_VERSION, IPFIX_HEADER, 4), (V9_VERSION, V9_HEADER, 8)):
        if version == number and len(octets) >= header.size:
            seconds, source = export_time.to_bytes(4, "big"), domain.to_bytes(4, "big")
            octets = octets[:at] + seconds + octets[at + 4 : at + 8] + source + octets[at + 12 :]
    return octets


def basic_list(element: int, length: int, *values: bytes, semantic: int = 3, pen: int = 0) -> bytes:
    """Return a basicList (RFC 6313 4.5.1) of values given as octets; semantic 3 is allOf."""
    number = element | 0x8000 if pen else element
    head = bytes((semantic,)) + number.to_bytes(2, "big") + length.to_bytes(2, "big")
    return head + (pen.to_bytes(4, "big") if pen else b"") + b"".join(values)


def sub_template_list(template: int, *records: bytes, semantic: int = 3) -> bytes:
    """Return a subTemplateList (RFC 6313 4.5.2) of records given as octets."""
    return bytes((semantic,)) + template.to_bytes(2, "big") + b"".join(records)


def sub_template_multi_list(*parts: tuple[int, bytes], semantic: int = 3) -> bytes:
    """Return a subTemplateMultiList (RFC 6313 4.5.3) of (template id, octets of records)."""
    return bytes((semantic,)) + b"".join(
        template.to_bytes(2, "big") + (4 + len(octets)).to_bytes(2, "big") + octets
        for template, octets in parts
    )

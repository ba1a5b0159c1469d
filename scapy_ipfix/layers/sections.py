# SPDX-License-Identifier: GPL-2.0-or-later
"""Packet sections in Data Records (RFC 5477 8.5): the packet that a section is the start of.

A section may end anywhere in a header. The layers that it holds in full are dissected as
everywhere in Scapy; of the header in which it ends, the fields that are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from scapy.config import conf
from scapy.contrib.mpls import MPLS
from scapy.fields import FlagValue
from scapy.layers.dot11 import Dot11
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import NoPayload, Packet

#: Chooses the first layer of a section from its octets and the other values of its record.
_Chooser = Callable[[bytes, Mapping[str, Any]], "type[Packet] | None"]

#: dataLinkFrameType (RFC 7133 4.2): 1 is IEEE 802.3, 2 is IEEE 802.11.
_FRAME_LAYERS: dict[object, type[Packet]] = {None: Ether, 1: Ether, 2: Dot11}
#: Most layers that a section is taken apart into.
_MAX_LAYERS = 64


def section_packet(values: Mapping[str, Any]) -> Packet | None:
    """Dissect the packet section of a record.

    ``values`` are the record's values by element name. Return None where the record has no
    packet section. Octets behind ``sectionExportedOctets`` are padding of the field and left
    out; a section that begins behind the start of its header (``sectionOffset``) is Raw. The
    octets of the packet returned are those of the section. Raise nothing.
    """
    for name, choose in _SECTIONS.items():
        octets = values.get(name)
        if isinstance(octets, bytes) and octets:
            return _dissect(name, octets, values, choose)
    return None


def show_section(packet: Packet, indent: int, margin: str) -> str:
    """Return what show() prints of a section's packet, each line behind a margin.

    ``indent`` is the number of columns that a layer stands behind the one before it.
    """
    try:
        text: str = packet._show_or_dump(True, indent, "", margin, False)
    except Exception:  # a layer of Scapy may not show what it dissected
        text = f"{margin}{packet.summary()}\n"
    return text


def section_fields(packet: Packet) -> dict[str, dict[str, Any]]:
    """Return the main fields of a section's layers, keyed by layer, as JSON can have them.

    These are numbers and text; octets are in hexadecimal. The second layer of a name is
    ``IP_2``.
    """
    layers: dict[str, dict[str, Any]] = {}
    layer = packet
    while not isinstance(layer, NoPayload) and len(layers) < _MAX_LAYERS:
        name = type(layer).__name__
        number = 1 + sum(key.partition("_")[0] == name for key in layers)
        fields = {
            key: value.hex() if isinstance(value, bytes) else value
            for key, value in layer.fields.items()
            if isinstance(value, (int, str, bytes)) and type(value) in (int, str, bytes)
        }
        flags = {key: str(v) for key, v in layer.fields.items() if isinstance(v, FlagValue)}
        layers[name if number == 1 else f"{name}_{number}"] = {**fields, **flags}
        layer = layer.payload
    return layers


def has_section(names: tuple[str, ...]) -> bool:
    """Return True where records of these fields have a packet section."""
    return not _SECTIONS.keys().isdisjoint(names)


def _dissect(name: str, octets: bytes, values: Mapping[str, Any], choose: _Chooser) -> Packet:
    is_v9 = name == "layer2packetSectionData"
    exported = values.get("layer2packetSectionSize" if is_v9 else "sectionExportedOctets")
    if isinstance(exported, int) and 0 < exported < len(octets):
        octets = octets[:exported]
    offset = values.get("layer2packetSectionOffset" if is_v9 else "sectionOffset")
    layer = None if offset else choose(octets, values)
    if layer is None:
        return conf.raw_layer(octets)  # type: ignore[no-any-return]
    return _packet(layer, octets)


def _packet(layer: type[Packet], octets: bytes) -> Packet:
    """Dissect octets by a first layer, down to the header in which they end."""
    try:
        packet = layer(octets)
    except Exception:  # layers of Scapy raise various errors on octets that are cut
        return _partial(layer, octets)
    last = packet
    for _ in range(_MAX_LAYERS):
        if isinstance(last.payload, NoPayload):
            break
        last = last.payload
    before = last.underlayer
    if type(last) is conf.raw_layer and before is not None:
        expected = _expected(before, last.load)
        if expected not in (None, conf.raw_layer, conf.padding_layer):
            before.remove_payload()
            before.add_payload(_partial(expected, last.load))
    return _faithful(packet, octets)


def _faithful(packet: Packet, octets: bytes) -> Packet:
    """Make Raw of the last layers as long as the packet builds to other octets.

    A few layers of Scapy correct what they dissect, for example the type in IGMP.
    """
    last = packet.lastlayer()
    while last.underlayer is not None and bytes(packet) != octets:
        last = last.underlayer
        start, layer = 0, packet
        while layer is not last:
            start += len(layer.raw_packet_cache or b"")
            layer = layer.payload
        start += len(last.raw_packet_cache or b"")
        last.remove_payload()
        last.add_payload(conf.raw_layer(octets[start:]))
    return packet


def _expected(layer: Packet, octets: bytes) -> Any:
    """Return the class of a layer's payload; None where it does not say."""
    try:
        return layer.guess_payload_class(octets)
    except Exception:  # the guess may read octets that are not there
        return None


def _partial(layer: type[Packet], octets: bytes) -> Packet:
    """Make a layer of the fields that are whole in octets, which it builds to."""
    packet = layer(_internal=1)
    rest: Any = octets
    fields = {}
    for field in packet.fields_desc:
        if not rest or (isinstance(rest, tuple) and not rest[0]):
            break
        try:
            rest, value = field.getfield(packet, rest)
        except Exception:  # the field is cut
            break
        fields[field.name] = packet.fields[field.name] = value
    packet.fields = fields
    packet.original = packet.raw_packet_cache = octets
    packet.raw_packet_cache_fields = {}
    packet.explicit = 1
    return packet


def _frame(octets: bytes, values: Mapping[str, Any]) -> type[Packet] | None:
    return _FRAME_LAYERS.get(values.get("dataLinkFrameType"))


def _network(octets: bytes, values: Mapping[str, Any]) -> type[Packet] | None:
    """Return IP or IPv6 by the version in the first octet."""
    version = octets[0] >> 4 if octets else 0
    return IP if version == 4 else IPv6 if version == 6 else None


def _transport(octets: bytes, values: Mapping[str, Any]) -> type[Packet] | None:
    """Return the layer of the record's protocolIdentifier or nextHeaderIPv6."""
    for name, header in (("protocolIdentifier", IP()), ("nextHeaderIPv6", IPv6())):
        protocol = values.get(name)
        if isinstance(protocol, int):
            header.fields["proto" if header.name == "IP" else "nh"] = protocol
            expected: type[Packet] = header.guess_payload_class(octets)
            return None if expected is conf.raw_layer else expected
    return None


def _labels(octets: bytes, values: Mapping[str, Any]) -> type[Packet] | None:
    return MPLS


#: Elements that hold a section, the one with the most layers first, and their first layers.
_SECTIONS: dict[str, _Chooser] = {
    "dataLinkFrameSection": _frame,
    "layer2packetSectionData": _frame,
    "ipHeaderPacketSection": _network,
    "mplsLabelStackSection": _labels,
    "mplsPayloadPacketSection": _network,
    "ipPayloadPacketSection": _transport,
}

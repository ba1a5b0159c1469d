# SPDX-License-Identifier: GPL-2.0-or-later
"""One-line summaries of the flow that a Data Record describes."""

from __future__ import annotations

from collections.abc import Mapping

from scapy_ipfix.text import counted

#: Source and destination, by the elements that hold them, and an address of no host.
_ADDRESSES = (
    ("sourceIPv4Address", "destinationIPv4Address", "0.0.0.0"),
    ("sourceIPv6Address", "destinationIPv6Address", "::"),
    ("sourceIPv4Prefix", "destinationIPv4Prefix", "0.0.0.0"),
    ("sourceIPv6Prefix", "destinationIPv6Prefix", "::"),
    ("sourceMacAddress", "destinationMacAddress", "00:00:00:00:00:00"),
)
_PORTS = (
    ("sourceTransportPort", "destinationTransportPort"),
    ("udpSourcePort", "udpDestinationPort"),
    ("tcpSourcePort", "tcpDestinationPort"),
)
_PROTOCOL = "protocolIdentifier"
_OCTETS = (
    *("octetDeltaCount", "octetTotalCount", "initiatorOctets"),
    *("layer2OctetDeltaCount", "postOctetDeltaCount"),
)
#: The elements of which a summary is made.
FLOW_ELEMENTS = frozenset(
    (
        *(name for *names, _ in _ADDRESSES for name in names),
        *(name for names in _PORTS for name in names),
        *(_PROTOCOL, *_OCTETS),
    )
)


def flow_summary(texts: Mapping[str, str]) -> str:
    """Return addresses, ports, protocol and octets of a flow, as far as it has them.

    ``texts`` are the values of FLOW_ELEMENTS, keyed by name::

        192.0.2.1:1234 > 192.0.2.2:53 udp 1500 octets
    """
    parts = []
    source, destination = _endpoints(texts)
    if source or destination:
        parts.append(f"{source or '?'} > {destination or '?'}")
    protocol = texts.get(_PROTOCOL)
    if protocol:
        parts.append(f"protocol {protocol}" if protocol.isdecimal() else protocol)
    octets = next((texts[name] for name in _OCTETS if texts.get(name)), None)
    if octets is not None:
        parts.append(counted(int(octets), "octet") if octets.isdecimal() else octets)
    return " ".join(parts)


def _endpoints(texts: Mapping[str, str]) -> tuple[str, str]:
    """Return source and destination with their ports, empty text for an unknown one."""
    found = [(texts.get(one, ""), texts.get(other, ""), none) for one, other, none in _ADDRESSES]
    # A layout for both IP versions holds zeros in the fields of the other one.
    chosen = next((each for each in found if {*each[:2]} - {"", each[2]}), None)
    chosen = chosen or next((each for each in found if any(each[:2])), ("", "", ""))
    ports = next(
        (
            (texts.get(one, ""), texts.get(other, ""))
            for one, other in _PORTS
            if one in texts or other in texts
        ),
        ("", ""),
    )
    source, destination = map(_with_port, chosen[:2], ports)
    return source, destination


def _with_port(address: str, port: str) -> str:
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

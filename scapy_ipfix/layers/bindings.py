# SPDX-License-Identifier: GPL-2.0-or-later
"""Bindings of transport ports to the messages' layers.

The netflow layer that ships with Scapy binds the classic NetFlow ports. A dispatcher takes them
over and leaves versions other than 9 and 10 to that layer. sFlow's port, 6343, is not changed.
"""

from __future__ import annotations

from typing import Any

from scapy.config import conf
from scapy.layers.inet import TCP, UDP
from scapy.layers.netflow import NetflowHeader
from scapy.packet import Packet, bind_bottom_up, bind_top_down, split_bottom_up

from scapy_ipfix.layers.messages import IPFIX, MESSAGE_CLASSES, NetFlowV9

#: IANA's port for IPFIX over UDP, TCP and SCTP (RFC 7011 10).
IPFIX_PORT = 4739
#: The customary port of NetFlow, which IANA never assigned to it.
NETFLOW_PORT = 2055
#: Bound ports by transport protocol; :func:`bind_port` adds to them.
PORTS: dict[str, set[int]] = {
    "udp": {IPFIX_PORT, NETFLOW_PORT, 2056, 9995, 9996, 9025, 9026},
    "tcp": {IPFIX_PORT},
    "sctp": {IPFIX_PORT},
}
#: Versions of which Scapy's own layers dissect the header at least.
_OTHER_VERSIONS = frozenset({1, 5, 6, 7, 8})


class _FlowExport(Packet):
    """Dispatcher to a packet class by the version in the first two octets."""

    @classmethod
    def dispatch_hook(cls, _pkt: bytes = b"", *arguments: Any, **fields: Any) -> type[Packet]:
        version = int.from_bytes(_pkt[:2], "big") if len(_pkt) > 1 else 0
        message = MESSAGE_CLASSES.get(version)
        if message is not None:
            return message
        return NetflowHeader if version in _OTHER_VERSIONS else conf.raw_layer


def bind_port(port: int, proto: str = "udp") -> None:
    """Dissect messages on one more port, as source or destination.

    ``proto`` is "udp", "tcp" or "sctp". Raises ValueError for another one, or for a port
    outside 1..65535.
    """
    if proto not in PORTS:
        raise ValueError(f"proto is {', '.join(map(repr, PORTS))}, not {proto!r}")
    if not isinstance(port, int) or not 1 <= port <= 65535:
        raise ValueError(f"port {port!r} is not in 1..65535")
    PORTS[proto].add(port)
    # Scapy cannot bind SCTP data chunks to a port; a session dissects those.
    if proto == "udp":
        for direction in ("dport", "sport"):
            split_bottom_up(UDP, NetflowHeader, **{direction: port})
            split_bottom_up(UDP, _FlowExport, **{direction: port})
            bind_bottom_up(UDP, _FlowExport, **{direction: port})
    elif proto == "tcp":
        for direction in ("dport", "sport"):
            split_bottom_up(TCP, IPFIX, **{direction: port})
            bind_bottom_up(TCP, IPFIX, **{direction: port})


def bind_layers() -> None:
    """Bind the ports in :data:`PORTS`; called when the module is imported."""
    split_bottom_up(UDP, NetflowHeader, dport=NETFLOW_PORT, sport=NETFLOW_PORT)
    for proto, ports in PORTS.items():
        for port in sorted(ports):
            bind_port(port, proto)
    bind_top_down(UDP, IPFIX, sport=IPFIX_PORT, dport=IPFIX_PORT)
    bind_top_down(TCP, IPFIX, sport=IPFIX_PORT, dport=IPFIX_PORT)
    bind_top_down(UDP, NetFlowV9, sport=NETFLOW_PORT, dport=NETFLOW_PORT)


bind_layers()

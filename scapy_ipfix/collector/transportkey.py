# SPDX-License-Identifier: GPL-2.0-or-later
"""Key of a Transport Session: protocol, addresses and ports (RFC 7011 2)."""

from __future__ import annotations

from typing import NamedTuple

#: Protocol in the key of an IPFIX File, whose source is its name.
FILE = "file"


class TransportKey(NamedTuple):
    """Key of a Transport Session: protocol, source and destination address, and their ports.

    ``protocol`` is "udp", "tcp" or "sctp", or else the kind of source, such as "file".
    """

    protocol: str
    source: str = ""
    source_port: int | None = None
    destination: str = ""
    destination_port: int | None = None

    def __str__(self) -> str:
        if not self.source:
            return self.protocol
        return f"{_endpoint(self.source, self.source_port)}"


def _endpoint(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

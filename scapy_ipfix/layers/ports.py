# SPDX-License-Identifier: GPL-2.0-or-later
"""The ports on which export messages are expected, by transport protocol."""

from __future__ import annotations

#: IANA's port for IPFIX over UDP, TCP and SCTP (RFC 7011 10).
IPFIX_PORT = 4739
#: The classic port of NetFlow; it never had one assigned.
NETFLOW_PORT = 2055
#: Ports in force: ``bind_port`` adds to these.
PORTS: dict[str, set[int]] = {
    "udp": {IPFIX_PORT, NETFLOW_PORT, 2056, 9995, 9996, 9025, 9026},
    "tcp": {IPFIX_PORT},
    "sctp": {IPFIX_PORT},
}

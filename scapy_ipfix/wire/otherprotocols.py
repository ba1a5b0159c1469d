# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of protocols that export flows, or carry IPFIX, and are not read here."""

from __future__ import annotations

import struct
from typing import NamedTuple

from scapy_ipfix.wire.diagnostics import Defect

_HEADER = struct.Struct("!HH")
_WORDS = struct.Struct("!II")
_SCAPY = ", read by scapy.layers.netflow"
_NO_LAYER = ", which no layer of Scapy reads"


class _NetFlow(NamedTuple):
    """Layout of a NetFlow version: octets of header and record, the limit of records."""

    header: int
    record: int
    most: int
    reader: str


#: The versions of NetFlow before 9. Records of version 8 have several lengths; the shortest.
_NETFLOW = {
    1: _NetFlow(16, 52, 24, _SCAPY),
    5: _NetFlow(24, 48, 30, _SCAPY),
    6: _NetFlow(24, 52, 30, _NO_LAYER),
    7: _NetFlow(24, 52, 28, _NO_LAYER),
    8: _NetFlow(28, 20, 51, _NO_LAYER),
}
_SFLOW_VERSIONS = (2, 4, 5)
#: Octets of the shortest sFlow datagram, whose agent has an IPv4 address.
_SFLOW_HEADER = 28
#: Types of a DTLS record: change_cipher_spec to application_data (RFC 6347 4.1).
_DTLS_TYPES = range(20, 24)
_DTLS_HEADER = 13

#: The first two octets of everything that :func:`identify_protocol` may name.
FIRST_OCTETS = frozenset(
    [
        *(version.to_bytes(2, "big") for version in _NETFLOW),
        b"\0\0",
        *(bytes((kind, 0xFE)) for kind in _DTLS_TYPES),
    ]
)


def identify_protocol(octets: bytes, size: int = 0) -> str | None:
    """Return the name of another protocol and the layer that reads it, None if it is unknown.

    ``octets`` are a datagram, of which a capture may have a part; ``size`` is its length. Such
    a name is "NetFlow v5, read by scapy.layers.netflow".
    """
    size = max(size, len(octets))
    if len(octets) < _WORDS.size:
        return None
    version, count = _HEADER.unpack_from(octets)
    layout = _NETFLOW.get(version)
    if layout is not None:
        needed = layout.header + count * layout.record
        if 1 <= count <= layout.most and needed <= size:
            return f"NetFlow v{version}{layout.reader}"
        return None
    version, address_type = _WORDS.unpack_from(octets)
    if version in _SFLOW_VERSIONS and address_type in (1, 2) and size >= _SFLOW_HEADER:
        return f"sFlow v{version}{_NO_LAYER}"
    if octets[0] in _DTLS_TYPES and octets[1:3] in (b"\xfe\xff", b"\xfe\xfd"):
        length = int.from_bytes(octets[_DTLS_HEADER - 2 : _DTLS_HEADER], "big")
        if size >= _DTLS_HEADER + length:
            return "DTLS, which is encrypted"
    return None


def unread_defect(octets: bytes, size: int = 0) -> Defect:
    """Return the defect of octets that begin with another version than 9 or 10."""
    size = max(size, len(octets))
    protocol = identify_protocol(octets, size)
    if protocol is not None:
        return Defect.make("other-protocol", octets=size, protocol=protocol)
    version = int.from_bytes(octets[:2], "big")
    return Defect.make("version-unknown", octets=size, version=version)

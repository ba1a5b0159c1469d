# SPDX-License-Identifier: GPL-2.0-or-later
"""Names of protocols that are not read here."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.wire.otherprotocols import FIRST_OCTETS, identify_protocol, unread_defect

#: Octets of header and record, by version of NetFlow.
SIZES = {1: (16, 52), 5: (24, 48), 6: (24, 52), 7: (24, 52)}


def netflow(version: int, count: int) -> bytes:
    header, record = SIZES[version]
    return struct.pack("!HH", version, count) + bytes(header - 4 + count * record)


def sflow(version: int = 5, address_type: int = 1) -> bytes:
    return struct.pack("!II", version, address_type) + bytes(20 if address_type == 1 else 32)


@pytest.mark.parametrize("version", SIZES)
def test_netflow(version: int) -> None:
    reader = (
        "read by scapy.layers.netflow" if version in (1, 5) else "which no layer of Scapy reads"
    )
    for count in (1, 24):
        octets = netflow(version, count)
        assert identify_protocol(octets) == f"NetFlow v{version}, {reader}"
        assert identify_protocol(octets + b"rest") == f"NetFlow v{version}, {reader}"
        assert identify_protocol(octets[:-1]) is None
        assert identify_protocol(octets[:30], len(octets)) is not None
    assert identify_protocol(netflow(version, 0)) is None
    assert identify_protocol(netflow(version, 31)) is None


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (struct.pack("!HH18xBB", 8, 1, 1, 2) + bytes(4 + 28), "NetFlow v8, which no layer"),
        (sflow(), "sFlow v5, which no layer of Scapy reads"),
        (sflow(4, 2), "sFlow v4"),
        (b"\x16\xfe\xfd" + bytes(9) + b"\x05" + bytes(5), "DTLS, which is encrypted"),
        (b"\x17\xfe\xff" + bytes(8) + b"\1\0" + bytes(256), "DTLS, which is encrypted"),
    ],
)
def test_others(octets: bytes, name: str) -> None:
    found = identify_protocol(octets)
    assert found is not None
    assert found.startswith(name)
    assert octets[:2] in FIRST_OCTETS


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0\5",
        b"\0\0\0\5\0\0\0\3" + bytes(40),
        b"\0\0\0\5\0\0\0\1" + bytes(4),
        b"\x16\xfe\xfd" + bytes(9) + b"\xff" + bytes(5),
        b"\0\5\1\0\0\1" + bytes(40),  # a query of DNS
    ],
)
def test_unknown(octets: bytes) -> None:
    assert identify_protocol(octets) is None


@given(st.binary(max_size=80))
def test_any_octets(octets: bytes) -> None:
    if identify_protocol(octets) is not None:
        assert octets[:2] in FIRST_OCTETS
        assert unread_defect(octets).code == "other-protocol"
    else:
        assert unread_defect(octets).code == "version-unknown"

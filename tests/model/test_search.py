# SPDX-License-Identifier: GPL-2.0-or-later
"""Search by the words of other tools, and the names of other sources."""

import pytest

from scapy_ipfix import elements
from scapy_ipfix.model.search import COMMON, split_words


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("octets", "octetDeltaCount"),
        ("bytes", "octetDeltaCount"),
        ("packets", "packetDeltaCount"),
        ("src_ip", "sourceIPv4Address"),
        ("srcaddr", "sourceIPv4Address"),
        ("dst port", "destinationTransportPort"),
        ("dstport", "destinationTransportPort"),
        ("proto", "protocolIdentifier"),
        ("flags", "tcpControlBits"),
        ("src_as", "bgpSourceAsNumber"),
        ("application name", "applicationName"),
        ("connectionCountNew", "newConnectionDeltaCount"),
        ("REPLICATION_FACTOR", "multicastReplicationFactor"),
    ],
)
def test_the_first_result(text, first):
    assert elements.search(text)[0].name == first


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("octets", "octetDeltaCount"),
        ("src_ip", "sourceIPv4Address"),
        ("srcaddr", "sourceIPv4Address"),
        ("packets", "packetDeltaCount"),
        ("octetDeltaCont", "octetDeltaCount"),
        ("sourceIPv4Addres", "sourceIPv4Address"),
    ],
)
def test_similar_names(name, similar):
    with pytest.raises(ValueError, match=f"similar names: {similar}"):
        elements[name]


def test_common_elements_exist():
    assert all(elements[name].pen == 0 for name in COMMON)
    assert len(set(COMMON)) == len(COMMON)


def test_words():
    assert split_words("srcaddr") == ["src", "addr"]
    assert split_words("src_ip") == ["src", "ip"]
    assert split_words("Source IPv4") == ["source", "ipv", "4"]
    assert split_words("") == split_words("__") == []


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ((35632, 78), "clientTcpFlags"),
        ((35632, 495), "sslVersion"),
        ((35632, 1028), "protocolNtop"),
        ((35632, 1037), "l4SrvPortName"),
        ((56506, 100), "sourcePodNamespace"),
        ((12326, 12), "auditCounter"),
        ((9, 9265), "artClientpackets"),
        ((9, 32733), "timestampAbsoluteMonitoringInterval"),
        ("LAYER2_PACKET_SECTION_DATA", "layer2packetSectionData"),
        ("replication_factor", "multicastReplicationFactor"),
        ("connectionCountNew", "newConnectionDeltaCount"),
    ],
)
def test_names_of_other_sources(key, name):
    assert elements[key].name == name


@pytest.mark.parametrize(("number", "name"), [(33003, "fwEventLevel"), (35012, "fwHalfOpenCount")])
def test_field_types_of_netflow_v9(number, name):
    assert elements.v9_element(number).name == name

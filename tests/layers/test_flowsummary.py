# SPDX-License-Identifier: GPL-2.0-or-later
"""Summaries of flows: addresses, ports, protocol and octets."""

import pytest

from scapy_ipfix import DataFlowSet, DataSet, Record, Template
from scapy_ipfix.layers.flowsummary import FLOW_ELEMENTS, flow_summary

V4 = {"sourceIPv4Address": "192.0.2.1", "destinationIPv4Address": "192.0.2.2"}
V6 = {"sourceIPv6Address": "2001:db8::1", "destinationIPv6Address": "2001:db8::2"}
MAC = {
    "sourceMacAddress": "02:00:5e:10:00:01",
    "destinationMacAddress": "02:00:5e:10:00:02",
}
NO_V4 = dict.fromkeys(V4, "0.0.0.0")
NO_V6 = dict.fromkeys(V6, "::")
PORTS = {"sourceTransportPort": "1234", "destinationTransportPort": "53"}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({}, ""),
        (V4, "192.0.2.1 > 192.0.2.2"),
        (
            {**V4, **PORTS, "protocolIdentifier": "udp", "octetDeltaCount": "1500"},
            "192.0.2.1:1234 > 192.0.2.2:53 udp 1500 octets",
        ),
        ({**V6, **PORTS}, "[2001:db8::1]:1234 > [2001:db8::2]:53"),
        ({**V6, "octetTotalCount": "1"}, "2001:db8::1 > 2001:db8::2 1 octet"),
        ({**V4, "tcpSourcePort": "80", "tcpDestinationPort": "81"}, "192.0.2.1:80 > 192.0.2.2:81"),
        ({**V4, "udpSourcePort": "80"}, "192.0.2.1:80 > 192.0.2.2"),
        ({"destinationIPv4Address": "192.0.2.2"}, "? > 192.0.2.2"),
        ({**V4, "protocolIdentifier": "253"}, "192.0.2.1 > 192.0.2.2 protocol 253"),
        # The fields of the other IP version hold zeros.
        ({**NO_V4, **V6}, "2001:db8::1 > 2001:db8::2"),
        ({**V4, **NO_V6}, "192.0.2.1 > 192.0.2.2"),
        ({**NO_V4, **NO_V6}, "0.0.0.0 > 0.0.0.0"),
        # An address of the IP header is preferred to one of Ethernet.
        ({**V4, **MAC}, "192.0.2.1 > 192.0.2.2"),
        (MAC, "02:00:5e:10:00:01 > 02:00:5e:10:00:02"),
        ({"octetDeltaCount": "ffff"}, "ffff"),
    ],
)
def test_summaries(texts, expected):
    assert set(texts) <= FLOW_ELEMENTS
    assert flow_summary(texts) == expected


FLOW = Template(
    256,
    *("sourceIPv4Address", "destinationIPv4Address", "sourceTransportPort"),
    *("destinationTransportPort", "protocolIdentifier", "octetDeltaCount[4]", "interfaceName"),
)
ROW = ("192.0.2.1", "192.0.2.2", 1234, 53, 17, 1500, "eth0")


@pytest.mark.parametrize(("cls", "name"), [(DataSet, "IPFIX"), (DataFlowSet, "NetFlow v9")])
def test_summaries_of_data_records(cls, name):
    data = cls(bytes(cls(template=FLOW, records=[ROW]))).bind(FLOW)
    expected = f"{name} data 256 192.0.2.1:1234 > 192.0.2.2:53 udp 1500 octets"
    assert data.records[0].summary() == expected
    assert data.records[0].copy().summary() == expected
    crafted = cls(template=FLOW, records=[Record(FLOW, **dict(zip(FLOW.names, ROW)))])
    assert crafted.records[0].summary() == expected


def test_summaries_of_records_without_a_flow():
    assert Record(Template(300, "interfaceName", "ipTTL")).summary() == "IPFIX data 300 2 fields"
    assert Record().summary() == "IPFIX data 256 0 fields"
    options = Template(301, "meteringProcessId", "interfaceName", "ipTTL", scope=2)
    record = Record(options, meteringProcessId=7, interfaceName="\x1b[2J\n" + "x" * 500)
    assert record.summary().startswith(
        "IPFIX options 301 meteringProcessId=7 interfaceName=\\x1b[2J\\nxxx"
    )
    assert record.summary().isprintable()
    assert len(record.summary()) < 120

# SPDX-License-Identifier: GPL-2.0-or-later
"""Packet sections (RFC 5477 8.5): dissected, shown, crafted, and never an error."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS
from scapy.layers.dns import DNS
from scapy.layers.dot11 import Dot11
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw
from scapy.sendrecv import sniff

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    IPFIXSession,
    NetFlowV9,
    Record,
    Template,
    TemplateFlowSet,
    TemplateSet,
    dissect,
)
from scapy_ipfix.layers.sections import section_fields, section_packet

ROOT = Path(__file__).parents[2]
FRAME = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FRAME /= IP(src="198.51.100.1", dst="198.51.100.2") / UDP(sport=1111, dport=9999) / b"hi"
TAGGED = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / Dot1Q(vlan=5)
TAGGED /= IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(options=[("MSS", 1460)]) / b"hello"
LABELS = MPLS(label=16, s=0, ttl=3) / MPLS(label=17, s=1, ttl=4) / IP(dst="192.0.2.1")


def dissected(template: Template, record: dict[str, Any]) -> Record:
    """Return a record that went over the wire."""
    message = IPFIX() / TemplateSet(templates=[template])
    message /= DataSet(template=template, records=[record])
    (read,) = dissect([IPFIX(bytes(message))])
    found: Record = read[DataSet].records[0]
    return found


@pytest.mark.parametrize(
    ("element", "packet", "others", "layers"),
    [
        ("dataLinkFrameSection", FRAME, {}, [Ether, IP, UDP, Raw]),
        ("dataLinkFrameSection", FRAME, {"dataLinkFrameType": 1}, [Ether, IP, UDP, Raw]),
        ("dataLinkFrameSection", TAGGED, {}, [Ether, Dot1Q, IPv6, TCP, Raw]),
        ("dataLinkFrameSection", Dot11(), {"dataLinkFrameType": 2}, [Dot11]),
        ("dataLinkFrameSection", FRAME, {"dataLinkFrameType": 77}, [Raw]),
        ("layer2packetSectionData", FRAME, {}, [Ether, IP, UDP, Raw]),
        ("ipHeaderPacketSection", FRAME[IP], {}, [IP, UDP, Raw]),
        ("ipHeaderPacketSection", TAGGED[IPv6], {}, [IPv6, TCP, Raw]),
        ("ipHeaderPacketSection", Raw(b"\x00"), {}, [Raw]),
        ("ipHeaderPacketSection", FRAME[IP], {"sectionOffset": 2}, [Raw]),
        ("ipPayloadPacketSection", FRAME[UDP], {"protocolIdentifier": 17}, [UDP, Raw]),
        ("ipPayloadPacketSection", TAGGED[TCP], {"nextHeaderIPv6": 6}, [TCP, Raw]),
        ("ipPayloadPacketSection", FRAME[UDP], {}, [Raw]),
        ("ipPayloadPacketSection", FRAME[UDP], {"protocolIdentifier": 253}, [Raw]),
        ("mplsLabelStackSection", LABELS, {}, [MPLS, MPLS, IP]),
        ("mplsPayloadPacketSection", FRAME[IP], {}, [IP, UDP, Raw]),
    ],
)
def test_layers(
    element: str, packet: Packet, others: dict[str, Any], layers: list[type[Packet]]
) -> None:
    octets = bytes(packet)
    section = dissected(
        Template(256, f"{element}[v]", *others), {element: octets, **others}
    ).section
    assert section is not None
    assert section.layers() == layers
    assert bytes(section) == octets


def test_fields_of_a_section() -> None:
    record = dissected(Template(256, "dataLinkFrameSection"), {"dataLinkFrameSection": FRAME})
    assert record.section[IP].src == "198.51.100.1"
    assert record.section[UDP].dport == 9999
    assert record.section[Raw].load == b"hi"
    assert record.dataLinkFrameSection == bytes(FRAME)
    assert section_fields(record.section)["UDP"]["dport"] == 9999
    assert section_fields(record.section)["Raw"] == {"load": b"hi".hex()}
    assert list(section_fields(MPLS(bytes(LABELS)))) == ["MPLS", "MPLS_2", "IP"]


def test_records_without_a_section() -> None:
    assert dissected(Template(256, "octetDeltaCount"), {"octetDeltaCount": 5}).section is None
    assert (
        dissected(Template(256, "dataLinkFrameSection"), {"dataLinkFrameSection": b""}).section
        is None
    )


def test_octets_behind_the_exported_ones_are_padding() -> None:
    template = Template(256, "ipHeaderPacketSection[40]", "sectionExportedOctets")
    octets = bytes(FRAME[IP])[:24]
    record = dissected(template, {"ipHeaderPacketSection": octets, "sectionExportedOctets": 24})
    assert bytes(record.section) == octets
    assert record.section[UDP].dport == 9999
    assert record.section[UDP].fields.keys() == {"sport", "dport"}
    assert len(record.ipHeaderPacketSection) == 40


def test_netflow_v9() -> None:
    template = Template(256, "layer2packetSectionData[60]", "layer2packetSectionSize")
    message = NetFlowV9() / TemplateFlowSet(templates=[template])
    record = {"layer2packetSectionData": FRAME, "layer2packetSectionSize": len(FRAME)}
    message /= DataFlowSet(template=template, records=[record])
    (read,) = dissect([NetFlowV9(bytes(message))])
    section = read[DataFlowSet].records[0].section
    assert section[UDP].sport == 1111
    assert bytes(section) == bytes(FRAME)


@pytest.mark.parametrize("packet", [FRAME, TAGGED])
def test_a_section_cut_at_every_octet(packet: Packet) -> None:
    octets = bytes(packet)
    for length in range(1, len(octets)):
        section = section_packet({"dataLinkFrameSection": octets[:length]})
        assert section is not None
        assert bytes(section) == octets[:length]
        assert not section.haslayer(Raw) or length > len(octets) - len(packet[Raw].load)
        assert section.show(dump=True)
        assert bytes(section.copy()) == octets[:length]


@given(
    st.sampled_from(["dataLinkFrameSection", "ipHeaderPacketSection", "mplsLabelStackSection"]),
    st.binary(min_size=1, max_size=80) | st.binary(max_size=80).map(lambda rest: b"\x45" + rest),
)
def test_any_octets(element: str, octets: bytes) -> None:
    record = dissected(Template(256, f"{element}[v]"), {element: octets})
    assert bytes(record.section) == octets
    assert "section" in record.show(dump=True)
    assert section_fields(record.section)


def test_show() -> None:
    session = IPFIXSession()
    packets = sniff(
        offline=str(ROOT / "pcaps" / "softflowd_psamp.pcap"), session=session, quiet=True
    )
    shown = next(each for each in packets if each.haslayer(Record)).show(dump=True)
    lines = [line.strip(" |") for line in shown.splitlines()]
    assert "\\section   \\" in lines
    assert lines.count("###[ Ethernet ]###") > 1


@pytest.mark.parametrize("length", ["[v]", "[100]"])
def test_a_packet_is_a_value(length: str) -> None:
    template = Template(256, f"dataLinkFrameSection{length}")
    octets = bytes(FRAME)
    from_dict = DataSet(template=template, records=[{"dataLinkFrameSection": FRAME}])
    from_tuple = DataSet(template=template, records=[(FRAME,)])
    record = Record(template)
    record.dataLinkFrameSection = FRAME
    assert octets in bytes(from_dict)
    assert bytes(from_tuple) == bytes(from_dict)
    assert octets in bytes(record)


def test_a_packet_that_is_too_long_for_its_field() -> None:
    template = Template(256, "dataLinkFrameSection[10]")
    with pytest.raises(ValueError, match="dataLinkFrameSection"):
        bytes(DataSet(template=template, records=[{"dataLinkFrameSection": FRAME}]))


@pytest.mark.parametrize(
    ("case", "layers"),
    [
        ("c-frame-section.pcap", [Ether, IP, UDP, DNS]),
        ("c2-ip-header-section-cut.pcap", [IP, UDP]),
    ],
)
def test_cases(case: str, layers: list[type[Packet]]) -> None:
    path = ROOT.parent / "shared" / "cases" / case
    if not path.is_file():
        pytest.skip("no ../shared/cases beside the repository")
    (packet,) = sniff(offline=str(path), session=IPFIXSession(), quiet=True)
    section = packet[Record].section
    assert section.layers() == layers
    assert (section[IP].src, section[UDP].dport) == ("198.51.100.1", 9999)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of incomplete datagrams, connections and associations at the end of a capture."""

from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, SCTP, TCP, UDP, Ether, IPv6, Packet, Raw, fragment, fragment6, wrpcap
from scapy.layers.inet6 import IPv6ExtHdrFragment
from scapy.layers.sctp import SCTPChunkData

from scapy_ipfix import IPFIX, DataSet, IPFIXSession, Template, TemplateSet, iter_records
from scapy_ipfix.reading.reader import iter_messages

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
FLOW = Template(256, "octetDeltaCount")
MESSAGE = bytes(
    IPFIX(
        exportTime=0,
        sets=[
            TemplateSet(templates=[FLOW]),
            DataSet(template=FLOW, records=[(n,) for n in range(9)]),
        ],
    )
)
NETWORK = IP(src="192.0.2.1", dst="192.0.2.2")


def segment(sequence: int, data: bytes) -> Packet:
    return ETHER / NETWORK / TCP(sport=9, dport=4739, seq=sequence, flags="PA") / Raw(data)


def chunk(tsn: int, data: bytes, **fields: Any) -> Packet:
    around = ETHER / NETWORK / SCTP(sport=9, dport=4739)
    return around / SCTPChunkData(tsn=tsn, stream_id=0, stream_seq=0, data=data, **fields)


V4 = fragment(NETWORK / UDP(sport=9, dport=4739) / Raw(MESSAGE), fragsize=40)
V6 = fragment6(
    IPv6(src="2001:db8::1", dst="2001:db8::2")
    / IPv6ExtHdrFragment(id=7)
    / UDP(sport=9, dport=4739)
    / Raw(MESSAGE * 16),
    1280,
)
TCP_NAME = "192.0.2.1:9 tcp"


def findings(tmp_path: Path, packets: list[Packet], session: IPFIXSession) -> list[tuple[str, str]]:
    """Return the codes and texts of a session's diagnostics after reading packets."""
    path = str(tmp_path / "x.pcap")
    packets = [Ether(bytes(each)) for each in packets]
    for each in packets:
        each.time = 0
    wrpcap(path, packets)
    for _ in iter_records(path, session=session):
        pass
    return [(each.code, each.text) for each in session.diagnostics]


@pytest.mark.parametrize("one", range(len(V4)))
def test_ipv4_fragments(one: int, tmp_path: Path) -> None:
    there = [ETHER / each for each in V4[:one] + V4[one + 1 :]]
    octets = sum(len(each[IP].payload) for each in there)
    text = f"a fragment of IP datagram 1 to 192.0.2.2 is missing: {octets} octets arrived"
    assert findings(tmp_path, there, IPFIXSession()) == [("fragment-missing", text)]


def test_ipv6_fragments(tmp_path: Path) -> None:
    there = [ETHER / each for each in V6[1:]]
    ((code, text),) = findings(tmp_path, there, IPFIXSession())
    octets = sum(len(each[IPv6ExtHdrFragment].payload) for each in there)
    assert code == "fragment-missing"
    assert text == f"a fragment of IP datagram 7 to 2001:db8::2 is missing: {octets} octets arrived"


def test_first_octets_of_a_message(tmp_path: Path) -> None:
    session = IPFIXSession()
    packets = [segment(100, MESSAGE + MESSAGE[:50])]
    ((code, text),) = findings(tmp_path, packets, session)
    assert code == "stream-waiting"
    assert (
        text == f"50 octets of the stream are an incomplete message at the end of {tmp_path}/x.pcap"
    )
    (found,) = session.diagnostics
    assert found.exporter.startswith("192.0.2.1:9")


def test_segments_behind_a_gap(tmp_path: Path) -> None:
    packets = [segment(100, MESSAGE), segment(101 + len(MESSAGE), b"beyond")]
    ((code, text),) = findings(tmp_path, packets, IPFIXSession())
    assert (code, text[:8]) == ("stream-waiting", "6 octets")


def test_pieces_of_an_sctp_message(tmp_path: Path) -> None:
    packets = [chunk(5, MESSAGE[:40], beginning=1, ending=0)]
    ((code, text),) = findings(tmp_path, packets, IPFIXSession())
    assert (code, text[:9]) == ("stream-waiting", "40 octets")


def test_an_sctp_message_out_of_order(tmp_path: Path) -> None:
    packets = [chunk(5, MESSAGE, beginning=1, ending=1), chunk(9, b"x" * 33, beginning=1, ending=1)]
    packets[1][SCTPChunkData].stream_seq = 2
    ((code, text),) = findings(tmp_path, packets, IPFIXSession())
    assert (code, text[:9]) == ("stream-waiting", "33 octets")


def test_iter_messages_notes_the_same(tmp_path: Path) -> None:
    path = str(tmp_path / "x.pcap")
    wrpcap(path, [Ether(bytes(ETHER / V4[0]))])
    session = IPFIXSession()
    assert list(iter_messages(path, session)) == []
    assert session.diagnostics.counts == {"fragment-missing": 1}


def test_complete_packets(tmp_path: Path) -> None:
    packets = [ETHER / each for each in V4]
    packets += [segment(100, MESSAGE), chunk(5, MESSAGE, beginning=1, ending=1)]
    assert findings(tmp_path, packets, IPFIXSession()) == []


def test_the_rest_in_the_next_capture(tmp_path: Path) -> None:
    session = IPFIXSession()
    findings(tmp_path, [ETHER / each for each in V4[:2]], session)
    findings(tmp_path, [ETHER / each for each in V4[2:]], session)
    assert [domain.stats.records for domain in session.collector.domains] == [9]
    assert session.diagnostics.counts == {"fragment-missing": 1}

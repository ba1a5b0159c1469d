# SPDX-License-Identifier: GPL-2.0-or-later
"""Records of every kind of source, with every option."""

from __future__ import annotations

import gzip
import io
import ipaddress
import itertools
import os
import tracemalloc
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.all import (
    GRE,
    IP,
    LLC,
    PPP,
    SNAP,
    UDP,
    VXLAN,
    CookedLinux,
    CookedLinuxV2,
    Dot1AD,
    Dot1Q,
    Dot3,
    Ether,
    IPOption_RR,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    Packet,
    PacketList,
    Padding,
    PcapReader,
    PPPoE,
    Raw,
    fragment,
    fragment6,
    rdpcap,
    wrpcap,
    wrpcapng,
)

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    InformationElement,
    IPFIXSession,
    NetFlowV9,
    OptionsTemplateFlowSet,
    Record,
    Template,
    TemplateFlowSet,
    TemplateSet,
    dissect,
    elements,
    iter_records,
)
from scapy_ipfix.collector.collector import Limits
from scapy_ipfix.layers.bindings import PORTS
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.reading.capture import CaptureError
from scapy_ipfix.reading.reader import iter_messages, iter_sets
from scapy_ipfix.wire.stream import MessageStream
from tests import builders
from tests.builders import EXPORTED, data_set, raw_pcap, template_sets

FLOW = Template(
    256,
    *("sourceIPv4Address", "destinationIPv4Address", "flowStartMilliseconds"),
    *("octetDeltaCount", "tcpControlBits", "tcpControlBits", "interfaceName"),
)
OPTIONS = Template(300, "exportingProcessId", "samplingInterval", scope=1)
NAMES = (
    *("sourceIPv4Address", "destinationIPv4Address", "flowStartMilliseconds", "octetDeltaCount"),
    *("tcpControlBits", "tcpControlBits_2", "interfaceName"),
)
ROWS = [
    (f"192.0.2.{i}", "198.51.100.1", 1_700_000_000_000 + i, 100 * i, 2, 16, f"eth{i}")
    for i in range(1, 6)
]
FLOWS = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
OPTION = {"exportingProcessId": 7, "samplingInterval": 100}
ALL = [*FLOWS[:3], OPTION, *FLOWS[3:]]


def message(*sets: Any, sequence: int = 0) -> bytes:
    return bytes(builders.message(*sets, sequence=sequence, exportTime=EXPORTED))


def flows(rows: list[tuple[Any, ...]] = ROWS) -> DataSet:
    return data_set(FLOW, rows)


#: Three messages: templates with three records, an option, two records.
MESSAGES = [
    message(*template_sets(FLOW, OPTIONS), flows(ROWS[:3])),
    message(DataSet(template=OPTIONS, records=[OPTION]), sequence=3),
    message(flows(ROWS[3:]), sequence=4),
]

# addresses given, or Scapy asks the network for them
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = IP(src="192.0.2.9", dst="198.51.100.9")
V6 = IPv6(src="2001:db8::9", dst="2001:db8::10")
PORT = UDP(sport=50000, dport=4739)
PACKETS = [ETHER / V4 / PORT / Raw(octets) for octets in MESSAGES]


def capture(frames: list[Any], link_type: int = 1) -> bytes:
    return raw_pcap(map(bytes, frames), link_type)


def read(source: Any, **options: Any) -> list[Any]:
    if isinstance(source, bytes):
        source = io.BytesIO(source)
    return list(iter_records(source, **options))


# -- sources


def test_paths(tmp_path: Path) -> None:
    pcap, ng, raw = tmp_path / "x.pcap", tmp_path / "x.pcapng", tmp_path / "x.ipfix"
    wrpcap(str(pcap), PACKETS)
    wrpcapng(str(ng), PacketList(PACKETS))
    raw.write_bytes(b"".join(MESSAGES))
    for path in (pcap, ng, raw):
        assert list(iter_records(path)) == ALL
        assert list(iter_records(str(path))) == ALL
        packed = path.with_suffix(path.suffix + ".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        assert list(iter_records(packed)) == ALL


@pytest.mark.parametrize("octets", [capture(PACKETS), b"".join(MESSAGES)], ids=["pcap", "ipfix"])
def test_open_files(octets: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(octets)
    packed = tmp_path / "file.gz"
    packed.write_bytes(gzip.compress(octets))
    files: list[Any] = [path.open("rb"), path.open("rb", 0), io.BytesIO(octets)]
    files.append(gzip.GzipFile(packed))
    for file in files:
        with file:
            assert list(iter_records(file)) == ALL
            assert not file.closed
            file.seek(0)
            assert list(iter_records(file)) == ALL


def test_pipe() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as source, os.fdopen(writing, "wb") as sink:
        sink.write(capture(PACKETS))
        sink.close()
        assert list(iter_records(source)) == ALL


def test_packets_and_messages(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    wrpcap(str(path), PACKETS)
    assert read(PACKETS) == ALL  # crafted packets
    assert read(rdpcap(str(path))) == ALL
    assert read(PcapReader(str(path))) == ALL
    assert read(dissect(rdpcap(str(path)))) == ALL
    assert read(iter(PACKETS)) == ALL
    assert read(MESSAGES) == ALL
    assert read([bytearray(each) for each in MESSAGES]) == ALL
    assert read([IPFIX(each) for each in MESSAGES]) == ALL
    assert read([MESSAGES[0], IPFIX(MESSAGES[1]), MESSAGES[2]]) == ALL


def test_a_single_packet_or_message() -> None:
    assert list(iter_records(MESSAGES[0])) == FLOWS[:3]
    assert list(iter_records(IPFIX(MESSAGES[0]))) == FLOWS[:3]
    assert list(iter_records(PACKETS[0])) == FLOWS[:3]
    made = IPFIX() / TemplateSet(templates=[FLOW]) / flows()
    assert list(iter_records(made)) == FLOWS


def test_nothing() -> None:
    assert list(iter_records([])) == []
    assert list(iter_records(capture([]) and io.BytesIO(capture([])))) == []
    assert list(iter_records([ETHER / V4 / UDP(sport=1, dport=2) / Raw(b"no message")])) == []


def test_netflow_v9() -> None:
    flow = Template(256, "IPV4_SRC_ADDR", "IN_BYTES")
    option = Template(257, "Interface", "SAMPLING_INTERVAL", scope=1)
    made = NetFlowV9(
        sets=[
            TemplateFlowSet(templates=[flow]),
            OptionsTemplateFlowSet(templates=[option]),
            DataFlowSet(template=flow, records=[("192.0.2.1", 5)]),
            DataFlowSet(template=option, records=[(3, 100)]),
        ]
    )
    records = [
        {"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 5},
        {"scopeInterface": 3, "samplingInterval": 100},
    ]
    octets = bytes(made)
    assert list(iter_records(octets)) == records
    assert read([ETHER / V4 / UDP(sport=2055, dport=2055) / Raw(octets)]) == records
    assert read(octets and [octets], fields=["scopeInterface"]) == [(3,)]
    assert list(iter_records(io.BytesIO(octets))) == records


def test_lists_that_are_left_as_octets() -> None:
    lists = Template(300, "octetDeltaCount", "basicList", "subTemplateList[9]")
    sub = bytes.fromhex("03 0100 0000000000ff")
    rows = [(5, ("vlanId", [7]), sub), (6, b"\xff", bytes(9))]
    octets = message(*template_sets(lists), DataSet(template=lists, records=rows))
    basic = bytes.fromhex("ff 003a 0002 0007")
    left = list(iter_records(octets, lists=False))
    assert [tuple(each.values()) for each in left] == [(5, basic, sub), (6, b"\xff", bytes(9))]
    asked = list(iter_records(octets, ["basicList", "octetDeltaCount"], lists=False))
    assert asked == [(basic, 5), (b"\xff", 6)]
    text = list(iter_records(octets, ["basicList", "subTemplateList"], values="json", lists=False))
    assert text == [(basic.hex(), sub.hex()), ("ff", "00" * 9)]
    assert next(iter_records(octets))["basicList"] == [7]


# -- arguments of readers


def test_kinds() -> None:
    assert read(MESSAGES, kind="data") == FLOWS
    assert read(MESSAGES, kind="options") == [OPTION]
    assert read(MESSAGES, kind="all") == ALL


def test_fields_in_the_given_order() -> None:
    wanted = ["octetDeltaCount", "sourceIPv4Address", "interfaceName"]
    assert read(MESSAGES, fields=wanted) == [
        tuple(record[name] for name in wanted) for record in FLOWS
    ]
    assert read(MESSAGES, fields=("samplingInterval",)) == [(100,)]
    assert read(MESSAGES, fields=["samplingInterval", "octetDeltaCount"]) == []
    assert read(MESSAGES, fields=["sourceIPv6Address"]) == []
    assert read(MESSAGES, fields=["octetDeltaCount", "octetDeltaCount"])[:1] == [(100, 100)]
    assert read(MESSAGES, fields=["octetDeltaCount"], kind="options") == []


def test_fields_by_other_names() -> None:
    assert read(MESSAGES, fields=["IN_BYTES", "IPV4_SRC_ADDR"])[0] == (100, "192.0.2.1")
    assert read(MESSAGES, fields=["tcpControlBits", "tcpControlBits_2"])[0] == (2, 16)
    assert read(MESSAGES, fields=["TCP_FLAGS_2", "TCP_FLAGS"])[0] == (16, 2)
    assert read(MESSAGES, fields=["tcpControlBits_3"]) == []


def test_fields_that_no_model_knows() -> None:
    template = Template(256, (64_000, 5), "octetDeltaCount")
    octets = message(*template_sets(template), DataSet(template=template, records=[(b"xy", 1)]))
    (record,) = iter_records(octets)
    assert record == {"_ipfix_64000_5": b"xy", "octetDeltaCount": 1}
    assert list(iter_records(octets, fields=["_ipfix_64000_5"])) == [(b"xy",)]


def test_fields_of_a_model_of_ones_own() -> None:
    model = elements.copy()
    model.add(InformationElement("myCount", 5, 64_000, data_type("unsigned32")))
    template = Template(256, "myCount", "myCount", model=model)
    octets = message(*template_sets(template), DataSet(template=template, records=[(1, 2)]))
    session = IPFIXSession(model=model)
    assert list(iter_records(octets, session=session)) == [{"myCount": 1, "myCount_2": 2}]
    session = IPFIXSession(model=model)
    assert list(iter_records(octets, ["myCount_2", "myCount"], session=session)) == [(2, 1)]
    with pytest.raises(ValueError, match="myCount"):
        iter_records(octets, ["myCount"])


def test_python_values() -> None:
    record = read(MESSAGES, values="python")[0]
    assert record["sourceIPv4Address"] == ipaddress.IPv4Address("192.0.2.1")
    when = datetime(2023, 11, 14, 22, 13, 20, 1000, timezone.utc)
    assert record["flowStartMilliseconds"] == when
    assert record["flowStartMilliseconds"].tzinfo is timezone.utc
    wanted = ["flowStartMilliseconds", "octetDeltaCount"]
    assert next(iter_records(MESSAGES, wanted, "data", "python")) == (when, 100)


def test_json_values() -> None:
    template = Template(256, "flowStartMilliseconds", "paddingOctets[3]", "sourceIPv4Address")
    rows = [(1_700_000_000_001, b"\1\2\3", "192.0.2.1")]
    octets = message(*template_sets(template), DataSet(template=template, records=rows))
    assert list(iter_records(octets, values="json")) == [
        {
            "flowStartMilliseconds": "2023-11-14T22:13:20.001Z",
            "paddingOctets": "010203",
            "sourceIPv4Address": "192.0.2.1",
        }
    ]


def test_records_are_their_own() -> None:
    """A change to one record does not change another."""
    first, second, *_ = iter_records(MESSAGES[0])
    first["octetDeltaCount"] = first["more"] = 0
    assert second == FLOWS[1]
    assert list(iter_records(MESSAGES[0])) == FLOWS[:3]


# -- errors


def test_unknown_names_at_once() -> None:
    with pytest.raises(ValueError, match=r"sourceIPv4Adress.*sourceIPv4Address"):
        iter_records(MESSAGES, fields=["octetDeltaCount", "sourceIPv4Adress"])
    with pytest.raises(ValueError, match="octetDeltaCuont_2"):
        iter_records(MESSAGES, fields=["octetDeltaCuont_2"])
    with pytest.raises(ValueError, match="list of names"):
        iter_records(MESSAGES, fields="octetDeltaCount")


def test_unknown_options_at_once() -> None:
    with pytest.raises(ValueError, match="'all', 'data' or 'options', not 'flows'"):
        iter_records(MESSAGES, kind="flows")
    with pytest.raises(ValueError, match="not 'native'"):
        iter_records(MESSAGES, values="native")
    with pytest.raises(ValueError, match="resolve adds to dicts"):
        iter_records([], ["octetDeltaCount"], resolve=True)


def test_files_that_are_not_captures_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        iter_records(tmp_path / "none.pcap")
    with pytest.raises(IsADirectoryError):
        iter_records(tmp_path)
    path = tmp_path / "x.txt"
    path.write_text("Dear diary\n")
    with pytest.raises(CaptureError) as caught:
        iter_records(path)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1
    for lazy in (iter_sets, iter_messages):
        with pytest.raises(CaptureError):
            lazy(path, IPFIXSession())


def test_sources_that_are_none() -> None:
    for source in (None, 7):
        with pytest.raises(TypeError):
            iter_records(source)
    with pytest.raises(ValueError, match=r"str is not a packet and not octets: 'a\.pcap'"):
        list(iter_records(["a.pcap", "b.pcap"]))


@given(st.binary(max_size=200))
def test_octets_that_are_no_message(octets: bytes) -> None:
    session = IPFIXSession()
    for prefix in (b"", b"\0\x09", b"\0\x0a"):
        list(iter_records(prefix + octets, session=session))
        frame = ETHER / V4 / PORT / Raw(prefix + octets)
        fast, slow = IPFIXSession(), IPFIXSession()
        assert read(capture([frame]), session=fast) == read([Ether(bytes(frame))], session=slow)
        assert fast.diagnostics.counts == slow.diagnostics.counts


# -- sessions


def test_session_keeps_templates() -> None:
    session = IPFIXSession()
    assert read(PACKETS[:2], session=session) == ALL[:4]
    assert session.packets == 2
    assert read(capture(PACKETS[2:]), session=session) == ALL[4:]
    assert session.packets == 3
    assert [row[2] for row in session.templates] == [256, 300]
    assert read(PACKETS[2:]) == []


def test_exporters_are_kept_apart() -> None:
    other = Template(256, "octetTotalCount")
    packets = [
        PACKETS[0],
        ETHER / V4 / UDP(sport=50001, dport=4739) / Raw(message(*template_sets(other))),
        PACKETS[2],
        ETHER / IP(src="192.0.2.8", dst="198.51.100.9") / PORT / Raw(MESSAGES[2]),
        ETHER / V4 / UDP(sport=50001, dport=4739) / Raw(MESSAGES[2]),
    ]
    session = IPFIXSession()
    records = read(capture(packets), session=session)
    assert records[:5] == FLOWS
    assert all(list(record) == ["octetTotalCount"] for record in records[5:])
    assert session.diagnostics.counts["missing-template"] == 1
    assert read(packets) == records


def test_ports_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [bytes(ETHER / V4 / UDP(sport=1111, dport=2222) / Raw(each)) for each in MESSAGES]

    def sources() -> list[Any]:
        return [io.BytesIO(capture(frames)), [Ether(each) for each in frames]]

    for source in sources():
        assert read(source) == ALL
    for source in sources():
        assert read(source, session=IPFIXSession(any_port=False)) == []
    monkeypatch.setitem(PORTS, "udp", {*PORTS["udp"], 2222})
    for source in sources()[:1]:
        assert read(source, session=IPFIXSession(any_port=False)) == ALL


# -- late templates


def test_records_wait_for_their_template() -> None:
    late = [message(flows(ROWS[:1])), message(flows(ROWS[1:2])), message(*template_sets(FLOW))]
    for source in (late, capture([ETHER / V4 / PORT / Raw(each) for each in late])):
        session = IPFIXSession()
        records = iter_records(
            io.BytesIO(source) if isinstance(source, bytes) else source, session=session
        )
        assert next(records) == FLOWS[0]
        assert session.packets == 3
        assert list(records) == FLOWS[1:2]


def test_template_later_in_the_same_message() -> None:
    octets = message(flows(ROWS[:2]), *template_sets(FLOW), flows(ROWS[2:]))
    assert sorted(read([octets], fields=["octetDeltaCount"])) == [(100 * i,) for i in range(1, 6)]
    packets = dissect([ETHER / V4 / PORT / Raw(octets)])
    assert [record.values() for record in packets[0][IPFIX].records] == FLOWS


def test_template_that_never_arrives() -> None:
    session = IPFIXSession()
    assert read([message(flows())], session=session) == []
    assert session.diagnostics.counts["missing-template"] == 1


# -- dissect


def test_dissect() -> None:
    session = IPFIXSession()
    packets = dissect([Ether(bytes(each)) for each in PACKETS], session)
    assert isinstance(packets, PacketList)
    assert [bytes(each) for each in packets] == [bytes(each) for each in PACKETS]
    records = [record for packet in packets for record in packet[IPFIX].records]
    assert all(isinstance(record, Record) for record in records)
    assert [record.values() for record in records] == ALL
    assert len(session.templates) == 2
    # the next call continues with the templates of the session
    (again,) = dissect([Ether(bytes(PACKETS[2]))], session)
    assert [record.values() for record in again[IPFIX].records] == FLOWS[3:]
    (fresh,) = dissect([Ether(bytes(PACKETS[2]))])
    assert fresh[IPFIX].records == []


def test_dissect_resolves_in_place() -> None:
    late = [message(flows()), message(*template_sets(FLOW))]
    packets = [Ether(bytes(ETHER / V4 / PORT / Raw(each))) for each in late]
    session = IPFIXSession()
    (first,) = dissect(packets[:1], session)
    assert first[IPFIX].records == []  # read before the template arrives
    dissect(packets[1:], session)
    assert [record.values() for record in first[IPFIX].records] == FLOWS


def test_dissect_reassembles_fragments() -> None:
    whole = ETHER / V4 / PORT / Raw(message(*template_sets(FLOW), flows(ROWS * 20)))
    packets = dissect([Ether(bytes(each)) for each in fragment(whole, fragsize=200)])
    (packet,) = packets
    assert [record.values() for record in packet[IPFIX].records] == FLOWS * 20
    assert packet[IP].src == "192.0.2.9"
    assert packet[Ether].src == ETHER.src


# -- link types and what else is around a datagram


LONG = [message(*template_sets(FLOW, OPTIONS), flows(ROWS[:3] * 12)), *MESSAGES[1:]]
LONG_RECORDS = [*FLOWS[:3] * 12, *ALL[3:]]
DATAGRAMS = [V4 / PORT / Raw(octets) for octets in LONG]
DATAGRAMS_V6 = [V6 / PORT / Raw(octets) for octets in LONG]
#: BSD's loopback header: the address family, in the byte order of the host or of the network.
LITTLE, BIG = (2).to_bytes(4, "little"), (2).to_bytes(4, "big")


def under(*lower: Packet) -> list[Packet]:
    """Return the datagrams below other layers."""
    packets = []
    for datagram in DATAGRAMS:
        packet = datagram
        for layer in reversed(lower):
            packet = layer.copy() / packet
        packets.append(packet)
    return packets


def numbered(fragments: int = 24) -> Iterator[Packet]:
    for number, octets in enumerate(LONG):
        whole = IP(src="192.0.2.9", dst="198.51.100.9", id=number) / PORT / Raw(octets)
        yield from fragment(whole, fragsize=fragments)


def numbered_v6() -> Iterator[Packet]:
    for number, octets in enumerate(LONG):
        whole = V6.copy() / IPv6ExtHdrFragment(id=number) / PORT.copy() / Raw(octets)
        yield from fragment6(whole, 500)


WRAPPED = {
    "Ethernet": (1, under(ETHER)),
    "Ethernet, IPv6": (1, [ETHER / each for each in DATAGRAMS_V6]),
    "Ethernet, trailer": (1, [ETHER / each / Padding(b"\0" * 6) for each in DATAGRAMS]),
    "802.3 with SNAP": (
        1,
        under(
            Dot3(src=ETHER.src, dst=ETHER.dst), LLC(dsap=0xAA, ssap=0xAA, ctrl=3), SNAP(code=0x800)
        ),
    ),
    "VLAN": (1, under(ETHER, Dot1Q(vlan=5))),
    "VLAN, IPv6": (1, [ETHER / Dot1Q(vlan=5) / each for each in DATAGRAMS_V6]),
    "QinQ": (1, under(ETHER, Dot1AD(vlan=5), Dot1Q(vlan=6))),
    "PPPoE": (1, under(ETHER, PPPoE(sessionid=1), PPP())),
    "Linux cooked": (113, under(CookedLinux(proto=0x800))),
    "Linux cooked v2": (276, under(CookedLinuxV2(proto=0x800))),
    "null, little endian": (0, [LITTLE + bytes(each) for each in DATAGRAMS]),
    "null, big endian": (0, [BIG + bytes(each) for each in DATAGRAMS]),
    "OpenBSD loopback": (108, [BIG + bytes(each) for each in DATAGRAMS]),
    "raw IP": (101, DATAGRAMS),
    "raw IP, IPv6": (101, DATAGRAMS_V6),
    "raw IP by its old number": (12, DATAGRAMS),
    "IPv4": (228, DATAGRAMS),
    "IPv6": (229, DATAGRAMS_V6),
    "PPP": (9, under(PPP())),
    "IPv4 options": (
        1,
        [
            ETHER / IP(src="192.0.2.9", dst="198.51.100.9", options=[IPOption_RR()]) / PORT / octets
            for octets in map(Raw, LONG)
        ],
    ),
    "IPv6 hop by hop": (
        1,
        [ETHER / V6 / IPv6ExtHdrHopByHop() / PORT / octets for octets in map(Raw, LONG)],
    ),
    "IPv6 destination options": (
        1,
        [ETHER / V6 / IPv6ExtHdrDestOpt() / PORT / octets for octets in map(Raw, LONG)],
    ),
    "wrong checksum": (
        1,
        [
            ETHER / V4 / UDP(sport=50000, dport=4739, chksum=0xDEAD) / octets
            for octets in map(Raw, LONG)
        ],
    ),
    "fragments": (1, [ETHER / each for each in numbered()]),
    "fragments, last first": (1, [ETHER / each for each in list(numbered())[::-1]]),
    "fragments in a VLAN": (1, [ETHER / Dot1Q(vlan=5) / each for each in numbered()]),
    "fragments, cooked": (113, [CookedLinux(proto=0x800) / each for each in numbered()]),
    "fragments, raw IP": (101, list(numbered())),
    "fragments twice": (1, [ETHER / each for each in numbered() for _ in range(2)]),
    "IPv6 fragments": (1, [ETHER / each for each in numbered_v6()]),
    "GRE": (1, under(ETHER, IP(src="10.0.0.1", dst="10.0.0.2"), GRE())),
    "IP in IP": (1, under(ETHER, IP(src="10.0.0.1", dst="10.0.0.2"))),
    "VXLAN": (
        1,
        under(
            ETHER,
            IP(src="10.0.0.1", dst="10.0.0.2"),
            UDP(sport=40000, dport=4789),
            VXLAN(vni=7),
            ETHER,
        ),
    ),
    "any port": (1, [ETHER / V4 / UDP(sport=7, dport=8) / octets for octets in map(Raw, LONG)]),
    "port of DNS": (
        1,
        [ETHER / V4 / UDP(sport=53, dport=53) / octets for octets in map(Raw, LONG)],
    ),
}


@pytest.mark.parametrize(("link_type", "frames"), WRAPPED.values(), ids=WRAPPED)
def test_link_types(link_type: int, frames: list[Any], tmp_path: Path) -> None:
    octets = capture(frames, link_type)
    session = IPFIXSession()
    records = read(octets, session=session)
    if frames is WRAPPED["fragments, last first"][1]:
        # messages arrive in reverse too, before their templates
        assert sorted(map(repr, records)) == sorted(map(repr, LONG_RECORDS))
    else:
        assert records == LONG_RECORDS
        assert not session.diagnostics.counts["missing-template"]
    path = tmp_path / "x.pcap"
    path.write_bytes(octets)
    assert read(rdpcap(str(path))) == records


def test_unknown_link_type() -> None:
    assert read(capture(PACKETS, 147)) == []


def test_frames_that_scapy_cannot_read() -> None:
    broken = [
        b"",
        b"\0",
        bytes(PACKETS[0])[:40],
        b"\xff" * 80,
        bytes(PACKETS[0])[:12] + b"\x88\x64",
    ]
    assert read(capture([*broken, *PACKETS])) == ALL


def test_message_that_fills_a_datagram() -> None:
    """65507 octets, on the loopback interface, where nothing is fragmented."""
    rows = [("192.0.2.1", "198.51.100.1", 0, 1, 2, 16, "x" * 250)] * 230
    missing = 65507 - len(message(*template_sets(FLOW), flows(rows)))
    last = (*rows[0][:-1], "y" * (missing - 28 - 3))
    octets = message(*template_sets(FLOW), flows([*rows, last]))
    assert len(octets) == 65507
    frame = ETHER / V4 / PORT / Raw(octets)
    assert read(capture([frame]), fields=["interfaceName"])[230:] == [(last[-1],)]


# -- IPFIX Files


def test_ipfix_file_with_other_octets_between_messages() -> None:
    octets = MESSAGES[0] + b"\0\x0a\0\x07junk\0\x0a" + MESSAGES[1] + b"\0\0\0" + MESSAGES[2]
    session = IPFIXSession()
    assert read(octets, session=session) == ALL
    (found,) = session.diagnostics
    assert found.code == "stream-resync"
    assert found.text.startswith("13 octets")


def test_ipfix_file_truncated() -> None:
    octets = b"".join(MESSAGES)
    for size in range(2, len(octets)):
        session = IPFIXSession()
        records = read(octets[:size], session=session)
        assert records == ALL[: len(records)]
        whole = size in itertools.accumulate(map(len, MESSAGES))
        assert whole is not bool(session.diagnostics.counts)


def test_stream_in_pieces() -> None:
    octets = b"noise\0\x0a" + b"".join(MESSAGES) + b"\0\x0anoise"
    for size in (1, 2, 3, 7, 16, 20, 100):
        splitter = MessageStream()
        found = []
        for at in range(0, len(octets), size):
            found += splitter.feed(octets[at : at + size])
        assert found == MESSAGES
        assert splitter.finish() == b"\0\x0anoise"
        assert splitter.skipped == 7
        assert splitter.waiting == 0


def test_stream_that_ends_out_of_sync() -> None:
    splitter = MessageStream()
    assert splitter.feed(MESSAGES[0] + b"\xff" * 40) == MESSAGES[:1]
    assert splitter.finish() == b""
    assert splitter.skipped == 40


def test_stream_does_not_read_half_a_header() -> None:
    """Octets like a version number at the end of a part are checked with the next part."""
    noise = b"\xff" * 30 + b"\0\x0a\xff\xf0"
    splitter = MessageStream()
    assert splitter.feed(noise) == []
    assert splitter.feed(b"\xff" * 20 + MESSAGES[0]) == MESSAGES[:1]
    assert splitter.skipped == len(noise) + 20


# -- in constant memory


def test_nothing_is_read_ahead() -> None:
    seen = []

    def endless() -> Iterator[bytes]:
        yield MESSAGES[0]
        for number in itertools.count():
            seen.append(number)
            yield MESSAGES[2]

    records = iter_records(endless())
    assert seen == []
    assert list(itertools.islice(records, 3)) == FLOWS[:3]
    assert seen == []
    assert list(itertools.islice(records, 5)) == [FLOWS[3], FLOWS[4]] * 2 + [FLOWS[3]]
    assert seen == [0, 1, 2]


class Endless(io.RawIOBase):
    """Capture without an end, generated while it is read."""

    def __init__(self, first: bytes, again: bytes) -> None:
        self._octets = first
        self._again = again

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while len(self._octets) < len(buffer):
            self._octets += self._again * 1000
        buffer[:] = self._octets[: len(buffer)]
        self._octets = self._octets[len(buffer) :]
        return len(buffer)


def test_memory_does_not_grow_with_the_file() -> None:
    again = capture(PACKETS[2:])[24:]
    session = IPFIXSession(limits=Limits(diagnostics=10))  # a diagnostic for each repeated message
    records = iter_records(Endless(capture(PACKETS), again), session=session)
    assert len(list(itertools.islice(records, 2000))) == 2000
    tracemalloc.start()
    try:
        for _ in itertools.islice(records, 1000):
            pass
        before, _ = tracemalloc.get_traced_memory()
        for _ in itertools.islice(records, 8000):
            pass
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 200_000  # half a million octets were read, eight times that as dicts

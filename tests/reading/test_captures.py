# SPDX-License-Identifier: GPL-2.0-or-later
"""Every capture, read by every reader: equal records, in the expected number.

The captures of other devices in ``../shared/captures`` come with their counts. Those in
``pcaps/`` were taken from exporters run for this project; their content was compared with the
output of tshark 4.0.17 and with the octets.
"""

from __future__ import annotations

import csv
import gzip
import io
import random
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from scapy.all import PacketList, PcapReader, rdpcap, sniff, wrpcapng
from scapy.layers.sctp import SCTPChunkData

from scapy_ipfix import IPFIXSession, Record, iter_records
from scapy_ipfix.layers.messages import Message
from scapy_ipfix.reading.capture import CaptureError, CaptureFile

ROOT = Path(__file__).resolve().parents[2]
PCAPS = ROOT / "pcaps"
SHARED = ROOT.parent / "shared" / "captures"


class Facts(NamedTuple):
    """Content of a capture: messages, records, options among them, templates, some values."""

    messages: int
    records: int
    options: int
    templates: int
    values: dict[int, dict[str, Any]]


# fmt: off
FACTS: dict[str, Facts] = {
    "nfreplay_v9.pcap": Facts(5, 87, 0, 2, {
        0: {"engineType": 17, "engineId": 1, "flowStartMilliseconds": 1795309172073,
            "flowEndMilliseconds": 1795309172073, "packetDeltaCount": 1, "octetDeltaCount": 84,
            "sourceTransportPort": 0, "destinationTransportPort": 0, "icmpTypeCodeIPv4": 2048,
            "protocolIdentifier": 1, "tcpControlBits": 0, "forwardingStatus": 0,
            "ipClassOfService": 0, "sourceIPv4Address": "198.51.100.1",
            "destinationIPv4Address": "198.51.100.2"},
        86: {"engineType": 17, "octetDeltaCount": 60, "sourceTransportPort": 81,
            "protocolIdentifier": 6, "sourceIPv6Address": "2001:db8::2"},
    }),
    "ovs_ipfix.pcap": Facts(122, 103, 1, 89, {
        0: {"exportingProcessId": 1, "notSentPacketTotalCount": 0},
        1: {"observationPointId": 456, "flowDirection": 0,
            "sourceMacAddress": "02:00:00:00:00:0a", "destinationMacAddress": "ff:ff:ff:ff:ff:ff",
            "ethernetType": 2054, "ingressInterface": 4, "interfaceName": "br0",
            "packetDeltaCount": 1, "flowEndReason": 4},
        102: {"observationPointId": 456, "protocolIdentifier": 17,
            "sourceIPv6Address": "2001:db8::2", "sourceTransportPort": 53,
            "octetDeltaCount": 100},
    }),
    "ovs_ipfix_tunnel.pcap": Facts(108, 89, 1, 89, {
        0: {"exportingProcessId": 2, "notSentPacketTotalCount": 0},
        1: {"observationPointId": 8, "flowDirection": 1, "sourceMacAddress": "02:00:00:00:01:0a",
            "destinationMacAddress": "ff:ff:ff:ff:ff:ff", "ethernetType": 2054,
            "ingressInterface": 5, "interfaceName": "br1", "egressInterface": 0,
            "virtualObsID": "tenant-7/web", "packetDeltaCount": 1, "flowEndReason": 2},
        88: {"observationPointId": 7, "protocolIdentifier": 17,
            "sourceIPv6Address": "2001:db8:1::2", "sourceTransportPort": 53,
            "octetDeltaCount": 99},
    }),
    "pmacctd_ipfix.pcap": Facts(27, 143, 4, 6, {
        1: {"exportingProcessId": 2130706433, "exporterIPv4Address": "127.0.0.1",
            "exporterIPv6Address": "::"},
        2: {"flowEndMilliseconds": 1795309144681, "flowStartMilliseconds": 1795309144681,
            "octetDeltaCount": 40, "packetDeltaCount": 1, "ipVersion": 4, "ingressInterface": 7,
            "egressInterface": 0, "flowDirection": 0, "sourceIPv4Address": "198.51.100.2",
            "destinationIPv4Address": "198.51.100.1", "sourceTransportPort": 81,
            "destinationTransportPort": 41003, "ipClassOfService": 0, "tcpControlBits": 20,
            "protocolIdentifier": 6, "sourceMacAddress": "02:00:00:00:00:0b",
            "destinationMacAddress": "02:00:00:00:00:0a", "vlanId": 0, "samplerId": 1,
            "ipTTL": 64},
        142: {"flowEndMilliseconds": 1795309144721, "octetDeltaCount": 80,
            "sourceIPv6Address": "2001:db8::1", "sourceTransportPort": 41003,
            "protocolIdentifier": 6},
    }),
    "pmacctd_ipfix_label.pcap": Facts(11, 44, 1, 5, {
        0: {"exportingProcessId": 2130706433, "exporterIPv4Address": "127.0.0.1",
            "exporterIPv6Address": "::"},
        1: {"flowEndMilliseconds": 1795309151789, "flowStartMilliseconds": 1795309151789,
            "octetDeltaCount": 60, "ingressInterface": 0, "egressInterface": 0,
            "flowDirection": 0, "sourceIPv4Address": "198.51.100.1",
            "destinationIPv4Address": "198.51.100.2", "sourceTransportPort": 41003,
            "destinationTransportPort": 81},
        43: {"flowEndMilliseconds": 1795309151855, "octetDeltaCount": 100,
            "sourceIPv6Address": "2001:db8::2", "sourceTransportPort": 53},
    }),
    "pmacctd_ipfix_usec.pcap": Facts(8, 36, 1, 5, {
        0: {"exportingProcessId": 2130706433, "exporterIPv4Address": "127.0.0.1",
            "exporterIPv6Address": "::"},
        1: {"flowEndMicroseconds": b'\x00\x00\x00\x00k\x02>f\x00\x00\x00\x00\x00\rd\xc6',
            "flowStartMicroseconds": b'\x00\x00\x00\x00k\x02>f\x00\x00\x00\x00\x00\rd\xb9',
            "octetDeltaCount": 60, "flowDirection": 0, "sourceIPv4Address": "198.51.100.1",
            "destinationIPv4Address": "198.51.100.2"},
        35: {"flowEndMicroseconds": b'\x00\x00\x00\x00k\x02>f\x00\x00\x00\x00\x00\x0em\x06',
            "octetDeltaCount": 99, "sourceIPv6Address": "2001:db8::2"},
    }),
    "pmacctd_v9.pcap": Facts(22, 143, 4, 6, {
        1: {"scopeSystem": 2130706433, "exporterIPv4Address": "127.0.0.1",
            "exporterIPv6Address": "::"},
        2: {"flowEndMilliseconds": 1795309137567, "flowStartMilliseconds": 1795309137567,
            "octetDeltaCount": 40, "flowDirection": 0, "sourceIPv4Address": "198.51.100.2",
            "destinationIPv4Address": "198.51.100.1", "sourceTransportPort": 81,
            "destinationTransportPort": 41003, "samplerId": 1},
        142: {"flowEndMilliseconds": 1795309137600, "octetDeltaCount": 80,
            "sourceIPv6Address": "2001:db8::1", "sourceTransportPort": 41003},
    }),
    "softflowd_ipfix.pcap": Facts(20, 523, 2, 5, {
        0: {"meteringProcessId": 19363, "systemInitTimeMilliseconds": 1795309113585,
            "samplingPacketInterval": 1, "samplingPacketSpace": 0, "selectorAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.1", "destinationIPv4Address": "198.51.100.2",
            "flowStartSysUpTime": 218, "flowEndSysUpTime": 218, "octetDeltaCount": 60,
            "packetDeltaCount": 1, "ingressInterface": 7, "egressInterface": 7,
            "flowDirection": 0, "flowEndReason": 3, "sourceTransportPort": 41003,
            "destinationTransportPort": 81, "protocolIdentifier": 6, "tcpControlBits": 2,
            "ipVersion": 4, "ipClassOfService": 0},
        522: {"sourceIPv4Address": "198.51.100.2", "octetDeltaCount": 583832,
            "sourceTransportPort": 80, "protocolIdentifier": 6},
    }),
    "softflowd_ipfix_bidirectional.pcap": Facts(3, 45, 1, 5, {
        0: {"meteringProcessId": 19430, "systemInitTimeMilliseconds": 1795309115932,
            "samplingPacketInterval": 1, "samplingPacketSpace": 0, "selectorAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.1", "octetDeltaCount": 60, "packetDeltaCount": 1,
            "reverseOctetDeltaCount": 40, "reversePacketDeltaCount": 1,
            "reverseIpClassOfService": 0, "reverseTcpControlBits": 20},
        44: {"sourceIPv4Address": "198.51.100.1", "octetDeltaCount": 17510,
            "reverseOctetDeltaCount": 651332},
    }),
    "softflowd_ipfix_ether.pcap": Facts(3, 39, 1, 5, {
        0: {"meteringProcessId": 19501, "systemInitTimeMilliseconds": 1795309118513,
            "samplingPacketInterval": 1, "samplingPacketSpace": 0, "selectorAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.1", "destinationIPv4Address": "198.51.100.2",
            "vlanId": 0, "postVlanId": 0, "sourceMacAddress": "02:00:00:00:00:0a",
            "postDestinationMacAddress": "02:00:00:00:00:0b"},
        38: {"sourceIPv4Address": "198.51.100.2"},
    }),
    "softflowd_ipfix_fragmented.pcap": Facts(4, 82, 1, 5, {
        0: {"meteringProcessId": 19948, "systemInitTimeMilliseconds": 1795309131491,
            "samplingPacketInterval": 1, "samplingPacketSpace": 0, "selectorAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.1", "destinationIPv4Address": "198.51.100.2",
            "octetDeltaCount": 60, "sourceTransportPort": 41003, "destinationTransportPort": 81},
        81: {"sourceIPv4Address": "198.51.100.2", "octetDeltaCount": 651332,
            "sourceTransportPort": 80},
    }),
    "softflowd_ipfix_ipv6.pcap": Facts(2, 37, 1, 5, {
        0: {"meteringProcessId": 19858, "systemInitTimeMilliseconds": 1795309128849,
            "samplingPacketInterval": 1, "samplingPacketSpace": 0, "selectorAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.1", "destinationIPv4Address": "198.51.100.2",
            "flowStartSysUpTime": 220, "flowEndSysUpTime": 220, "octetDeltaCount": 60,
            "flowDirection": 0, "flowEndReason": 3, "ipVersion": 4},
        36: {"sourceIPv4Address": "198.51.100.2", "octetDeltaCount": 678332},
    }),
    "softflowd_ipfix_micro.pcap": Facts(2, 25, 1, 5, {
        0: {"meteringProcessId": 19645, "systemInitTimeMilliseconds": 1795309121209,
            "samplingPacketInterval": 1, "samplingPacketSpace": 1, "selectorAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.2", "destinationIPv4Address": "198.51.100.1",
            "flowStartMicroseconds": 17198328615757786015,
            "flowEndMicroseconds": 17198328615757786015, "octetDeltaCount": 40,
            "flowEndReason": 3, "tcpControlBits": 20},
        24: {"sourceIPv4Address": "198.51.100.2", "flowEndMicroseconds": 17198328616049504489,
            "octetDeltaCount": 107332},
    }),
    "softflowd_ipfix_nano.pcap": Facts(2, 37, 1, 5, {
        0: {"meteringProcessId": 19714, "systemInitTimeMilliseconds": 1795309123689,
            "samplingPacketInterval": 1, "samplingPacketSpace": 0, "selectorAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.1", "destinationIPv4Address": "198.51.100.2",
            "flowStartNanoseconds": 17198328626608612866,
            "flowEndNanoseconds": 17198328626608664406, "octetDeltaCount": 60, "flowEndReason": 3,
            "tcpControlBits": 2},
        36: {"sourceIPv4Address": "198.51.100.2", "flowEndNanoseconds": 17198328626901864643,
            "octetDeltaCount": 667832},
    }),
    "softflowd_ipfix_sctp.pcap": Facts(4, 81, 1, 5, {
        0: {"meteringProcessId": 206, "systemInitTimeMilliseconds": 1795334522744,
            "samplingPacketInterval": 1, "samplingPacketSpace": 0, "selectorAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.1", "destinationIPv4Address": "198.51.100.2",
            "flowStartSeconds": 1795334525, "octetDeltaCount": 60, "sourceTransportPort": 41003,
            "destinationTransportPort": 81},
        80: {"sourceIPv4Address": "198.51.100.2", "octetDeltaCount": 690280,
            "packetDeltaCount": 463, "sourceTransportPort": 80},
    }),
    "softflowd_ipfix_tcp.pcap": Facts(6, 142, 1, 5, {
        0: {"meteringProcessId": 19784, "systemInitTimeMilliseconds": 1795309126193,
            "samplingPacketInterval": 1, "samplingPacketSpace": 0, "selectorAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.1", "destinationIPv4Address": "198.51.100.2",
            "octetDeltaCount": 60, "sourceTransportPort": 41003, "destinationTransportPort": 81},
        141: {"sourceIPv4Address": "198.51.100.2", "octetDeltaCount": 662664,
            "sourceTransportPort": 80},
    }),
    "softflowd_psamp.pcap": Facts(24, 23, 0, 1, {
        0: {"selectionSequenceId": 1, "observationTimeMicroseconds": 17198328669855209800,
            "sectionExportedOctets": 74},
        22: {"selectionSequenceId": 23},
    }),
    "softflowd_v9.pcap": Facts(4, 81, 1, 5, {
        0: {"scopeInterface": 7, "samplingInterval": 1, "samplingAlgorithm": 1,
            "interfaceName": "veth-a"},
        1: {"sourceIPv4Address": "198.51.100.1", "destinationIPv4Address": "198.51.100.2",
            "flowStartSysUpTime": 216, "flowEndSysUpTime": 216, "octetDeltaCount": 60,
            "packetDeltaCount": 1, "ingressInterface": 7, "egressInterface": 7,
            "flowDirection": 0, "flowEndReason": 3, "sourceTransportPort": 41003,
            "destinationTransportPort": 81, "protocolIdentifier": 6, "tcpControlBits": 2,
            "ipVersion": 4, "ipClassOfService": 0},
        80: {"sourceIPv4Address": "198.51.100.2", "octetDeltaCount": 658832,
            "sourceTransportPort": 80, "protocolIdentifier": 6},
    }),
}
# fmt: on

#: The same packets in another container.
TWINS = {
    "softflowd_v9.pcapng": "softflowd_v9.pcap",
    "softflowd_ipfix.pcap.gz": "softflowd_ipfix.pcap",
}
#: Sets that have no template in the capture, and the captures with something wrong in them.
DEFECTS = {
    "ipfix_netscaler.pcap": {"missing-template": 1},
    "netflow9_h3c.pcap": {"field-length": 1},
    "netflow9_h3c_netstream_varstring.pcap": {"field-length": 1},
    "netflow9_invalid01.pcap": {"count-disagrees": 1},
    "netflow9_iptnetflow_reduced_size_encoding.pcap": {"missing-template": 6},
    "pmacctd_ipfix_usec.pcap": {"field-length": 8},
}
#: Captures with variable-length values whose length is in three octets where one would do;
#: building a record writes one (RFC 7011 7 allows both).
LONG_LENGTHS = {"ipfix_yaf.pcap", "netflow9_h3c_netstream_varstring.pcap"}


def expected() -> dict[str, dict[str, str]]:
    """Return the lines of expected.tsv by capture, none if the folder is absent."""
    path = SHARED / "expected.tsv"
    if not path.is_file():
        return {}
    with path.open(newline="") as lines:
        return {line["capture"]: line for line in csv.DictReader(lines, delimiter="\t")}


EXPECTED = expected()
OWN = [PCAPS / name for name in (*FACTS, *TWINS)]
ALL = OWN + [SHARED / name for name in EXPECTED]
needs_shared = pytest.mark.skipif(not EXPECTED, reason="no ../shared/captures")
every_capture = pytest.mark.parametrize("path", ALL, ids=lambda path: path.name)


def read(source: Any, **options: Any) -> list[dict[str, Any]]:
    return list(iter_records(source, **options))


def messages(packets: PacketList) -> Iterator[Message]:
    """Yield the messages in packets, those chained in a TCP segment or in SCTP as well."""
    for packet in packets:
        layer = packet
        while layer:
            found = layer.data if isinstance(layer, SCTPChunkData) else layer
            if isinstance(found, Message):
                yield found
            layer = layer.payload


def message_count(session: IPFIXSession) -> int:
    """Return the number of messages that a session has read."""
    return sum(domain.stats.messages for domain in session.collector.domains)


# -- counts


def test_every_own_capture_has_its_facts() -> None:
    assert {path.name for path in PCAPS.glob("*.pcap*")} == {path.name for path in OWN}


@needs_shared
def test_every_shared_capture_is_expected() -> None:
    assert {path.name for path in SHARED.glob("*.pcap")} == EXPECTED.keys()
    assert len(EXPECTED) > 40


@pytest.mark.parametrize("line", EXPECTED.values(), ids=EXPECTED)
def test_shared_counts(line: dict[str, str]) -> None:
    path = SHARED / line["capture"]
    session = IPFIXSession()
    records = read(path, session=session)
    again = IPFIXSession()
    packets = sniff(offline=str(path), session=again)
    sniffed = [record for message in messages(packets) for record in message.records]
    if line["records"] == "-":  # NetFlow v5
        assert records == sniffed == []
        assert message_count(session) == message_count(again) == 0
        assert packets[0].lastlayer().__class__.__name__.startswith("NetflowRecordV5") or (
            packets[0].haslayer("NetflowHeaderV5")
        )
        return
    assert (
        message_count(session)
        == message_count(again)
        == len(list(messages(packets)))
        == int(line["messages"])
    )
    if line["capture"] == "netflow9_invalid01.pcap":  # its note allows 0 to 3
        assert len(records) == len(sniffed) <= 3
    else:
        assert len(records) == len(sniffed) == int(line["records"])


@pytest.mark.parametrize("name", [*FACTS, *TWINS])
def test_own_counts(name: str) -> None:
    facts = FACTS[TWINS.get(name, name)]
    session = IPFIXSession()
    records = read(PCAPS / name, session=session)
    assert len(records) == facts.records
    assert message_count(session) == facts.messages
    assert len(read(PCAPS / name, kind="options")) == facts.options
    assert len(read(PCAPS / name, kind="data")) == facts.records - facts.options
    announced = {
        (message.fields_desc[-2].name, record.templateId, bytes(record))
        for message in messages(sniff(offline=str(PCAPS / name), session=IPFIXSession))
        for each in message.sets
        if each.setId < 4
        for record in each.templates
    }
    assert len(announced) == facts.templates


@pytest.mark.parametrize("name", FACTS)
def test_own_values(name: str) -> None:
    records = read(PCAPS / name)
    for position, values in FACTS[name].values.items():
        record = records[position]
        assert {key: record.get(key, "absent") for key in values} == values, position


def test_sampled_frame_is_whole() -> None:
    """PSAMP records of softflowd hold frames, padded to a fixed length: the first is a SYN."""
    record = read(PCAPS / "softflowd_psamp.pcap")[0]
    frame = record["dataLinkFrameSection"]
    assert len(frame) == 1390
    section = frame[: record["sectionExportedOctets"]]
    assert section[:14].hex() == "02000000000b02000000000a0800"
    assert section[26:34] == bytes([198, 51, 100, 1, 198, 51, 100, 2])
    assert struct.unpack("!HH", section[34:38]) == (41001, 80)
    assert frame[len(section) :].count(0) == 1390 - 74


@every_capture
def test_defects(path: Path) -> None:
    """The defects of a capture are found by every reader, and no others."""
    session, again = IPFIXSession(), IPFIXSession()
    read(path, session=session)
    read(rdpcap(str(path)), session=again)
    assert sorted(map(str, session.diagnostics)) == sorted(map(str, again.diagnostics))
    assert session.stats == again.stats
    assert session.templates == again.templates
    assert session.packets == again.packets
    severe = {"missing-template", "field-length", "value"}
    found = {
        code: times
        for code, times in session.diagnostics.counts.items()
        if code in severe or code.endswith(("-truncated", "-malformed"))
    }
    wanted = dict(DEFECTS.get(path.name, {}))
    assert session.diagnostics.counts["count-disagrees"] >= wanted.pop("count-disagrees", 0)
    assert found == wanted


# -- readers


@every_capture
def test_same_records_by_every_reader(path: Path) -> None:
    fast = read(path)
    assert read(rdpcap(str(path))) == fast
    with PcapReader(str(path)) as packets:
        assert read(packets) == fast
    with path.open("rb") as file:
        assert read(file) == fast
    sniffed = sniff(offline=str(path), session=IPFIXSession)
    records = [record for message in messages(sniffed) for record in message.records]
    assert all(isinstance(record, Record) for record in records)
    assert [record.values() for record in records] == fast


@every_capture
def test_showing_changes_nothing(path: Path) -> None:
    plain = rdpcap(str(path))
    packets = sniff(offline=str(path), session=IPFIXSession)
    before = [bytes(packet) for packet in packets]
    if "_tcp" not in path.name and "_fragmented" not in path.name:
        assert before == [packet.original for packet in plain]
    said = [packet.summary() for packet in packets]
    shown = [packet.show(dump=True) for packet in packets]
    assert [bytes(packet) for packet in packets] == before
    assert [bytes(packet.copy()) for packet in packets] == before
    assert [packet.show(dump=True) for packet in packets] == shown
    assert [packet.summary() for packet in packets] == said


@every_capture
def test_rebuilt_octets_are_equal(path: Path) -> None:
    """Built from the fields of every record, without the cached octets."""
    for message in messages(sniff(offline=str(path), session=IPFIXSession)):
        octets = bytes(message)[: len(message.raw_packet_cache)]
        for each in message.sets:
            for packet in (*getattr(each, "templates", ()), *getattr(each, "records", ())):
                packet.raw_packet_cache = None
            each.raw_packet_cache = None
        message.raw_packet_cache = None
        message.remove_payload()
        if path.name in LONG_LENGTHS and len(bytes(message)) < len(octets):
            continue
        assert bytes(message) == octets


@every_capture
def test_other_containers(path: Path, tmp_path: Path) -> None:
    records = read(path)
    ng = tmp_path / "x.pcapng"
    wrpcapng(str(ng), rdpcap(str(path)))
    assert CaptureFile(ng).kind == "pcapng"
    assert read(ng) == records
    for octets in (path.read_bytes(), ng.read_bytes()):
        if octets[:2] != b"\x1f\x8b":
            assert read(io.BytesIO(gzip.compress(octets, 1))) == records


@every_capture
def test_cut_anywhere(path: Path, tmp_path: Path) -> None:
    """A truncated capture yields the records before the cut, and a diagnostic."""
    records = read(path)
    ng = tmp_path / "x.pcapng"
    wrpcapng(str(ng), rdpcap(str(path)))
    rng = random.Random(path.name)
    plain = path.read_bytes()
    if plain[:2] == b"\x1f\x8b":
        plain = gzip.decompress(plain)
    for octets in (plain, ng.read_bytes(), gzip.compress(plain)):
        sizes = {4, 23, 24, 40, len(octets) - 1, *(rng.randrange(4, len(octets)) for _ in range(4))}
        for size in sorted(sizes):
            session = IPFIXSession()
            try:
                found = read(io.BytesIO(octets[:size]), session=session)
            except CaptureError:
                assert octets[:2] == b"\x1f\x8b"  # not even a file header was decompressed
                continue
            assert found == records[: len(found)]
            if octets[:2] == b"\x1f\x8b" or (octets is plain and size in (23, len(octets) - 1)):
                assert session.diagnostics.counts["capture-cut"] == 1


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_cut_packets_in_scapy(path: Path) -> None:
    """Packets truncated by a snapshot length: no exception, and no extra record."""
    wanted = {repr(record) for record in read(path)}
    packets = rdpcap(str(path))
    for longest in (20, 60, 70, 300):
        cut = [packet.__class__(packet.original[:longest]) for packet in packets]
        for record in read(cut):
            assert repr(record) in wanted
        session = IPFIXSession()
        for packet in cut:
            seen = session.process(packet)
            if seen is not None:
                seen.show(dump=True)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Recognition of messages, and diagnostics of those that are not read, in every route."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import CookedLinux, Ether
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import Packet, Raw
from scapy.sendrecv import sniff
from scapy.utils import rdpcap

from scapy_ipfix import (
    IPFIXSession,
    Record,
    Template,
    dissect,
    iter_records,
    read_columns,
)
from scapy_ipfix.layers.messages import Message
from scapy_ipfix.reading.capture import CaptureError
from scapy_ipfix.reading.reader import iter_messages
from tests.builders import EXPORTED, data_set, message_octets, raw_pcap, template_sets

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount[4]")
ROWS = [("192.0.2.1", 1500), ("192.0.2.2", 2)]
FIELDS = ["sourceIPv4Address", "octetDeltaCount"]

Route = Callable[[str, IPFIXSession], int]


def _records(packets: Sequence[Packet]) -> int:
    return sum(
        len(layer.records)
        for packet in packets
        for layer in iter_layers(packet)
        if isinstance(layer, Message)
    )


def iter_layers(packet: Packet) -> Iterator[Packet]:
    layer = packet
    while layer:
        yield layer
        if isinstance(layer, SCTPChunkData) and isinstance(layer.data, Packet):
            yield layer.data
        layer = layer.payload


def _columns(path: str, session: IPFIXSession) -> int:
    pytest.importorskip("numpy")
    return sum(
        len(next(iter(each.values()))) for each in read_columns(path, session=session).values()
    )


#: Each way to read a capture: a function of path and session that returns the number of records.
ROUTES: dict[str, Route] = {
    "sniff": lambda path, session: _records(sniff(offline=path, session=session, quiet=True)),
    "sniff packets": lambda path, session: _records(
        sniff(offline=rdpcap(path), session=session, quiet=True)
    ),
    "dissect": lambda path, session: _records(dissect(rdpcap(path), session)),
    "packets": lambda path, session: len(list(iter_records(rdpcap(path), session=session))),
    "scapy": lambda path, session: len(list(iter_records(path, session=session))),
    "python": lambda path, session: len(list(iter_records(path, values="python", session=session))),
    "json": lambda path, session: len(list(iter_records(path, values="json", session=session))),
    "tuples": lambda path, session: len(list(iter_records(path, FIELDS, session=session))),
    "messages": lambda path, session: sum(
        len(each.records()) for read in iter_messages(path, session) for each in read.ready
    ),
    "columns": _columns,
}

pytestmark = pytest.mark.usefixtures("debug_dissector")


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest) -> Route:
    return ROUTES[request.param]


def datagram(payload: bytes, dport: int = 9991, sport: int = 40000) -> bytes:
    """Return a frame with a UDP datagram from the exporter."""
    return bytes(
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / IP(src="192.0.2.9", dst="192.0.2.8")
        / UDP(sport=sport, dport=dport)
        / Raw(payload)
    )


def fragments(payload: bytes, dport: int, id: int = 7) -> list[bytes]:
    """Return the frames of a UDP datagram in two fragments."""
    packet = Ether(datagram(payload, dport))
    packet[IP].id, packet[IP].chksum = id, None
    size = len(packet[IP].payload) // 2 + 7 & ~7
    return [bytes(each) for each in fragment(packet, fragsize=size)]


def announcement(version: int) -> bytes:
    return message_octets(
        *template_sets(FLOW, version=version),
        *(data_set(FLOW, ROWS[:1], version),),
        version=version,
        **{"unixSecs" if version == 9 else "exportTime": EXPORTED},
    )


def data(version: int, sequence: int = 1) -> bytes:
    return message_octets(
        data_set(FLOW, ROWS[1:], version),
        version=version,
        sequence=sequence,
        **{"unixSecs" if version == 9 else "exportTime": EXPORTED},
    )


def found(session: IPFIXSession) -> list[tuple[str, str]]:
    """Return code and text of the findings; sniffed lists of packets have the present time."""
    return [(each.code, each.text) for each in session.diagnostics if each.code != "export-time"]


@pytest.fixture
def read(route: Route, tmp_path: Path) -> Callable[..., tuple[int, list[tuple[str, str]]]]:
    """Return a function that reads frames in one route, and returns records and findings."""

    def read(*frames: bytes, **arguments: Any) -> tuple[int, list[tuple[str, str]]]:
        path = tmp_path / "x.pcap"
        path.write_bytes(raw_pcap(frames))
        session = IPFIXSession(**arguments)
        return route(str(path), session), found(session)

    return read


Read = Callable[..., tuple[int, list[tuple[str, str]]]]


# Octets after a message


@pytest.mark.parametrize("zeros", [1, 3, 4, 9])
@pytest.mark.parametrize("version", [9, 10])
def test_zeros_after_a_first_message(read: Read, version: int, zeros: int) -> None:
    records, ((_, text),) = read(datagram(announcement(version) + bytes(zeros)))
    assert records == 1
    assert f"{zeros} octets" in text
    assert "follow" in text


@pytest.mark.parametrize("version", [9, 10])
def test_octets_after_a_message_of_a_known_session(read: Read, version: int) -> None:
    records, ((_, text),) = read(
        datagram(announcement(version)), datagram(data(version) + b"\xde\xad")
    )
    assert records == 2
    assert text.startswith("2 octets follow")


def test_octets_after_a_first_message_are_not_read(read: Read) -> None:
    octets = announcement(9) + b"\xde\xad"
    expected = (
        f"{len(octets)} octets to port 9991 begin like NetFlow v9 and are not read: 2 octets that "
        "are not zero follow its last Set; bind_port(9991) reads them"
    )
    assert read(datagram(octets)) == (0, [("not-recognised", expected)])
    # Another port of the same exporter is another session.
    records, findings = read(datagram(announcement(9)), datagram(octets, sport=40001))
    assert (records, findings) == (1, [("not-recognised", expected)])


def test_bound_ports_alone(read: Read) -> None:
    assert read(datagram(announcement(9) + b"\xde\xad"), any_port=False) == (0, [])
    assert read(datagram(announcement(9)), any_port=False) == (0, [])


def test_payload_of_another_protocol(read: Read) -> None:
    query = b"\0\x0a\1\0\0\1\0\0\0\0\0\0\0\0\1\0\1"
    records, ((code, text),) = read(datagram(query, dport=53))
    assert (records, code) == (0, "not-recognised")
    assert "its header says 256 octets, the datagram has 17" in text


def test_the_session_is_known_in_the_next_capture(tmp_path: Path) -> None:
    session = IPFIXSession()
    for name, octets in ("a", announcement(9)), ("b", data(9) + b"\xde\xad"):
        (tmp_path / name).write_bytes(raw_pcap([datagram(octets)]))
        assert len(list(iter_records(str(tmp_path / name), session=session))) == 1
    (packet,) = dissect([Ether(datagram(data(9, 2) + b"\xbe\xef"))], session)
    assert packet[Record].octetDeltaCount == 2
    assert [code for code, _ in found(session)] == ["sets-trailing"] * 2


@pytest.mark.parametrize("version", [9, 10])
def test_flowset_of_length_zero(read: Read, version: int) -> None:
    octets = announcement(version) + bytes(4)
    if version == 10:
        octets = octets[:2] + len(octets).to_bytes(2, "big") + octets[4:]
    text = "a Set of id 0 has length 0: 4 octets of zeros follow the last Set"
    assert read(datagram(octets, dport=2055)) == (1, [("set-zero", text)])


@pytest.mark.parametrize("name", ["flowStartSeconds", "observationTimeNanoseconds"])
def test_time_of_length_zero(read: Read, name: str) -> None:
    template = Template(256, "protocolIdentifier", f"{name}[0]")
    octets = message_octets(
        *template_sets(template), data_set(template, [(6, None)]), exportTime=EXPORTED
    )
    kind, length = template.fields[1].data_type.name, template.fields[1].data_type.length
    text = f"template 256: {name} has length 0; {kind} allows only {length}"
    _, findings = read(datagram(octets, dport=2055))
    assert findings == [("field-length", text)]


# Packets and records that are cut


def many(version: int, sequence: int = 1) -> bytes:
    """Return a message with a Template Set and 10 records."""
    return message_octets(
        *template_sets(FLOW, version=version),
        data_set(FLOW, [("192.0.2.1", number) for number in range(10)], version),
        version=version,
        sequence=sequence,
        **{"unixSecs" if version == 9 else "exportTime": EXPORTED},
    )


@pytest.mark.parametrize("port", [2055, 9991])
@pytest.mark.parametrize("version", [9, 10])
def test_packet_cut_by_the_snapshot_length(read: Read, version: int, port: int) -> None:
    octets = many(version)
    first, last = datagram(announcement(version), port), datagram(data(version, 2), port)
    records_start = len(octets) - 80
    for missing in (1, 7, 8, 50, 80, 81, 83, 84, 85, 90, len(octets) - 20):
        records, findings = read(first, datagram(octets, port)[:-missing], last)
        text = f"the capture has only a part of the packet: {missing} octets are missing"
        assert findings == [("packet-cut", text)], missing
        assert records == 2 + max(0, len(octets) - missing - records_start) // 8


@pytest.mark.parametrize("version", [9, 10])
def test_cut_packet_is_not_an_error_of_the_layer(version: int) -> None:
    (packet,) = dissect([Ether(datagram(many(version), 2055)[:-13])])
    message = packet.lastlayer()
    assert [each.code for each in message.all_defects] == ["packet-cut"]
    assert [each.code for each in message.copy().all_defects] == ["packet-cut"]
    assert len(message.records) == 8
    assert bytes(packet) == datagram(many(version), 2055)[:-13]


def test_length_in_a_cut_packet_that_is_wrong_all_the_same(read: Read) -> None:
    octets = bytearray(many(10))
    octets[2:4] = (len(octets) + 1).to_bytes(2, "big")
    _, findings = read(datagram(bytes(octets), 2055)[:-1])
    assert [code for code, _ in findings] == ["packet-cut", "message-truncated"]


def test_cut_segment(read: Read) -> None:
    segment = (
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / IP(src="192.0.2.9", dst="192.0.2.8")
        / TCP(sport=40000, dport=4739, flags="PA", seq=1)
        / Raw(announcement(10) + announcement(10))
    )
    records, findings = read(bytes(segment)[:-10])
    assert records == 1
    assert findings[0] == (
        "packet-cut",
        "the capture has only a part of the packet: 10 octets are missing",
    )


def test_cut_chunk(read: Read) -> None:
    chunk = (
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / IP(src="192.0.2.9", dst="192.0.2.8")
        / SCTP(sport=40000, dport=4739)
        / SCTPChunkData(tsn=1, beginning=1, ending=1, data=many(10))
    )
    records, findings = read(bytes(chunk)[:-10])
    assert (records, [code for code, _ in findings]) == (8, ["packet-cut"])


@pytest.mark.parametrize("version", [9, 10])
def test_cut_record_is_not_padding(read: Read, version: int) -> None:
    octets = many(version)[:-3]
    if version == 10:
        octets = octets[:2] + len(octets).to_bytes(2, "big") + octets[4:]
    text = "Set 256 has length 84, 81 octets are there"
    assert read(datagram(octets, 2055)) == (9, [("set-truncated", text)])


def test_cut_record_of_a_layer() -> None:
    (packet,) = dissect([Ether(datagram(many(9)[:-3], 2055))])
    assert [each.code for each in packet.lastlayer().all_defects] == ["set-truncated"]


# Fragments that are missing


@pytest.mark.parametrize("missing", [0, 1])
def test_fragment_missing(read: Read, missing: int) -> None:
    frames = fragments(many(9), 2055)
    octets = len(frames[1 - missing]) - 34
    records, findings = read(frames[1 - missing])
    text = f"a fragment of IP datagram 7 to 192.0.2.8 is missing: {octets} octets arrived"
    assert (records, findings) == (0, [("fragment-missing", text)])


def test_fragment_of_another_protocol_missing(read: Read) -> None:
    """The first fragment shows the port, and that no message begins there."""
    assert read(fragments(b"x" * 200, 9991)[0]) == (0, [])
    assert read(fragments(many(9), 9991)[0], any_port=False) == (0, [])
    assert read(fragments(many(9), 9991)[0])[1][0][0] == "fragment-missing"


def test_fragment_that_expired(tmp_path: Path) -> None:
    """A source that does not end reports it as well, and names the exporter."""
    session = IPFIXSession()
    for time, octets in (0, fragments(many(9), 2055)[0]), (61, fragments(many(9), 2055, 8)[0]):
        packet = Ether(octets)
        packet.time = time
        assert session.process(packet) is None
    (diagnostic,) = session.diagnostics
    assert (diagnostic.code, diagnostic.exporter) == ("fragment-missing", "192.0.2.9:40000")


def test_fragment_in_the_next_list() -> None:
    session = IPFIXSession()
    first, second = (Ether(each) for each in fragments(many(9), 2055))
    assert not dissect([first], session)
    (packet,) = dissect([second], session)
    assert len(packet.lastlayer().records) == 10
    dissect([first], session)
    dissect([], session)
    assert [code for code, _ in found(session)] == ["fragment-missing"] * 2


# Other protocols


NETFLOW5 = b"\0\5\0\1" + bytes(68)
SFLOW = b"\0\0\0\5\0\0\0\1" + bytes(32)


@pytest.mark.parametrize(
    ("payload", "port", "protocol"),
    [
        (NETFLOW5, 2055, "NetFlow v5, read by scapy.layers.netflow"),
        (NETFLOW5, 9991, "NetFlow v5, read by scapy.layers.netflow"),
        (SFLOW, 6343, "sFlow v5, which no layer of Scapy reads"),
        (SFLOW, 9991, "sFlow v5, which no layer of Scapy reads"),
    ],
)
def test_another_protocol_is_named(read: Read, payload: bytes, port: int, protocol: str) -> None:
    records, findings = read(*[datagram(payload, port)] * 3)
    text = f"{len(payload)} octets are {protocol}; only IPFIX and NetFlow v9 are read here"
    assert (records, findings) == (0, [("other-protocol", text)])
    assert read(datagram(payload, 9991), any_port=False) == (0, [])


def test_datagrams_of_another_protocol_are_counted(route: Route, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(raw_pcap([datagram(NETFLOW5, port) for port in (2055, 2055, 9991)]))
    session = IPFIXSession()
    route(str(path), session)
    assert session.other_protocols == {"NetFlow v5, read by scapy.layers.netflow": 3}


def test_unknown_version_on_a_bound_port(read: Read) -> None:
    text = "32 octets have version 11, neither that of IPFIX, 10, nor of NetFlow v9"
    payload = b"\0\x0b" + bytes(30)
    assert read(datagram(payload, 2055)) == (0, [("version-unknown", text)])
    assert read(datagram(payload, 9991)) == (0, [])


def test_octets_of_another_protocol() -> None:
    session = IPFIXSession()
    assert list(iter_records(NETFLOW5, session=session)) == []
    text = (
        "72 octets are NetFlow v5, read by scapy.layers.netflow; only IPFIX and NetFlow v9 are "
        "read here"
    )
    assert found(session) == [("other-protocol", text)]


def test_file_of_another_protocol(tmp_path: Path) -> None:
    path = tmp_path / "x.nf5"
    path.write_bytes(NETFLOW5 * 2)
    with pytest.raises(CaptureError, match=r"x.nf5: neither a capture .*: NetFlow v5, read by"):
        iter_records(str(path))


# Packets that the loopback interface shows twice


def loopback(payload: bytes, identification: int, cooked: bool = False) -> list[bytes]:
    """Return both copies of a datagram on the loopback interface."""
    network = IP(src="192.0.2.9", dst="192.0.2.8", id=identification)
    whole = network / UDP(sport=40000, dport=2055) / Raw(payload)
    if not cooked:
        nobody = "00:00:00:00:00:00"
        return [bytes(Ether(src=nobody, dst=nobody) / whole)] * 2
    return [
        bytes(CookedLinux(pkttype=kind, lladdrtype=772, proto=0x800) / whole) for kind in (4, 0)
    ]


def doubled(count: int, version: int = 9, cooked: bool = False) -> list[bytes]:
    """Return both copies of messages with a record each."""
    payloads = [announcement(version), *(data(version, number) for number in range(1, count))]
    return [
        frame
        for number, octets in enumerate(payloads)
        for frame in loopback(octets, number, cooked)
    ]


@pytest.mark.parametrize("cooked", [False, True])
@pytest.mark.parametrize("version", [9, 10])
def test_loopback_shows_packets_twice(
    route: Route, tmp_path: Path, version: int, cooked: bool
) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(raw_pcap(doubled(30, version, cooked), 113 if cooked else 1))
    session = IPFIXSession()
    assert route(str(path), session) == 30
    assert (session.packets, session.duplicates) == (60, 30)
    assert [(row.messages, row.records) for row in session.stats] == [(30, 30)]
    assert [code for code, _ in found(session)] == ["packet-duplicate"]


def test_duplicates_on_request(route: Route, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(raw_pcap(doubled(5)))
    session = IPFIXSession(deduplicate=False)
    assert route(str(path), session) == 10
    assert session.duplicates == 0
    assert "sequence-duplicate" in session.diagnostics.counts


def test_loopback_that_shows_packets_once(route: Route, tmp_path: Path) -> None:
    """libpcap leaves out a copy. The fast path reads the packets after those that are tried."""
    path = tmp_path / "x.pcap"
    path.write_bytes(raw_pcap(doubled(200, 10)[::2]))
    session = IPFIXSession()
    assert route(str(path), session) == 200
    assert (session.packets, session.duplicates, found(session)) == (200, 0, [])


def test_duplicates_on_another_interface(read: Read) -> None:
    """These the exporter may have sent."""
    frame = datagram(data(9), 2055)
    records, findings = read(datagram(announcement(9), 2055), frame, frame)
    assert (records, [code for code, _ in findings]) == (3, ["sequence-duplicate"])


# Captures of other parties


#: Records, and for each finding in order a part of its text.
CASES = {
    "d-trailing-zeros-port-9991": (1, ["4 octets of zeros follow the last Set"]),
    "d2-known-session-trailing-rubbish": (2, ["2 octets follow the last Set: de ad"]),
    "e-netflow5": (0, ["NetFlow v5, read by scapy.layers.netflow"]),
    "f-snaplen-96": (4, ["only a part of the packet: 50 octets are missing"]),
    "g-cut-record": (0, ["Set 256 has length 12, 7 octets are there"]),
    "h-lost-fragment": (0, ["a fragment of IP datagram 7 to 192.0.2.8 is missing"]),
    "i-v9-flowset-of-length-zero": (1, ["a Set of id 0 has length 0"]),
}


@pytest.fixture
def cases(root: Path) -> Path:
    """Return a directory of captures that is not part of the project."""
    path = root.parent / "shared" / "cases"
    if not path.is_dir():
        pytest.skip("no ../shared/cases beside the repository")
    return path


@pytest.mark.parametrize("name", CASES)
def test_cases(route: Route, cases: Path, name: str) -> None:
    records, parts = CASES[name]
    session = IPFIXSession()
    assert route(str(cases / f"{name}.pcap"), session) == records
    texts = [text for _, text in found(session)]
    assert len(texts) == len(parts), texts
    assert all(part in text for part, text in zip(parts, texts))


def test_case_of_a_time_of_length_zero(cases: Path) -> None:
    """A field of it has another name than those of the other cases."""
    session = IPFIXSession()
    path = str(cases / "i2-seconds-of-length-zero.pcap")
    assert [len(each) for each in iter_records(path, session=session)] == [2]
    assert [text for _, text in found(session)] == [
        "template 256: flowStartSeconds has length 0; dateTimeSeconds allows only 4"
    ]

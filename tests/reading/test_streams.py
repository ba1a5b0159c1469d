# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages in packets of TCP and SCTP, and the end of connections."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6, fragment6
from scapy.layers.l2 import Ether
from scapy.layers.sctp import (
    SCTP,
    SCTPChunkAbort,
    SCTPChunkData,
    SCTPChunkInit,
    SCTPChunkSACK,
    SCTPChunkShutdownComplete,
)
from scapy.packet import Packet, Padding, Raw
from scapy.utils import rdpcap

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    IPFIXSession,
    NetFlowV9,
    Template,
    dissect,
    iter_records,
)
from scapy_ipfix.collector.collector import Limits
from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.layers.messages import Message

PCAPS = Path(__file__).parents[2] / "pcaps"
FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount")
TIME = 1_700_000_000
_ROWS = [("192.0.2.1", n) for n in range(16)]
MESSAGES = [
    bytes(each) for each in Exporter(domain=7, mtu=110).export(FLOW, _ROWS, export_time=TIME)
]
#: The counters in each message: the first one has the template.
COUNTS = [[0, 1], [2, 3, 4], [5, 6, 7], [8, 9, 10], [11, 12, 13], [14, 15]]
STREAM = b"".join(MESSAGES)
EDGES = [0, *itertools.accumulate(map(len, MESSAGES))]
ALL = list(range(16))


def but(*lost):
    """Return the counters of all messages except these."""
    return [count for i, each in enumerate(COUNTS) if i not in lost for count in each]


def wire(packet):
    """Return the packet as captured."""
    sniffed = again(packet)
    sniffed.time = TIME
    return sniffed


def again(packet):
    """Return a copy without state of the first one, as read from a file."""
    copy = packet.__class__(bytes(packet))
    copy.time = packet.time
    return copy


def segment(sequence=1, data=b"", flags="A", sport=40000, dport=4739, back=False, **more):
    """Return a TCP segment of the exporter, of the collector with ``back``."""
    source, destination = ("192.0.2.10", "192.0.2.9") if back else ("192.0.2.9", "192.0.2.10")
    sport, dport = (dport, sport) if back else (sport, dport)
    tcp = TCP(sport=sport, dport=dport, seq=sequence % (1 << 32), flags=flags, **more)
    return wire(IP(src=source, dst=destination) / tcp / Raw(data))


def counts(packets):
    """Return the counters of all records in the packets."""
    found = []
    for packet in packets:
        layer = packet
        while layer:
            found += getattr(layer, "records", [])
            layer = layer.payload
    return [record.octetDeltaCount for record in found]


def process(session, *packets):
    """Return the packets as the session returns them."""
    return [session.process(each) for each in packets]


# -- TCP


def test_several_messages_in_a_segment():
    session = IPFIXSession()
    packets = process(session, segment(0, flags="S"), segment(1, STREAM))
    layers = [each.__class__.__name__ for each in packets[1].iterpayloads()]
    assert layers == ["IP", "TCP"] + ["IPFIX"] * 6
    assert counts(packets) == ALL
    assert packets[1].getlayer(IPFIX, 6).sequenceNumber == 14
    assert bytes(packets[1]) == bytes(segment(1, STREAM))
    assert session.diagnostics.counts == {}


def test_a_message_over_many_segments():
    session = IPFIXSession()
    pieces = [segment(1 + at, STREAM[at : at + 10]) for at in range(0, len(STREAM), 10)]
    originals = [bytes(each) for each in pieces]
    packets = process(session, segment(0, flags="S"), *pieces)[1:]
    assert counts(packets) == ALL
    incomplete = [i for i, each in enumerate(packets) if IPFIX not in each]
    assert len(incomplete) == len(pieces) - len(MESSAGES)
    for i in incomplete:
        assert bytes(packets[i]) == originals[i]
        assert packets[i][Raw].load == STREAM[10 * i : 10 * i + 10]
    assert session.diagnostics.counts == {}


@given(st.data(), st.sampled_from([0, (1 << 32) - 1, (1 << 32) - 200]))
def test_any_cut_order_and_repetition(data, first):
    edges = sorted({0, len(STREAM), *data.draw(st.sets(st.integers(0, len(STREAM)), max_size=12))})
    spans = list(itertools.pairwise(edges))
    spans += data.draw(st.lists(st.sampled_from(spans), max_size=4))
    segments = [
        segment(first + 1 + start, STREAM[start:stop])
        for start, stop in data.draw(st.permutations(spans))
    ]
    session = IPFIXSession()
    packets = process(session, segment(first, flags="S"), *segments)
    assert counts(packets) == ALL
    assert session.diagnostics.counts == {}
    records = iter_records([segment(first, flags="S"), *segments])
    assert [each["octetDeltaCount"] for each in records] == ALL


def test_the_same_packets_twice():
    packets = [segment(0, flags="S")]
    packets += [segment(1 + at, STREAM[at : at + 33]) for at in range(0, len(STREAM), 33)]
    assert counts(dissect(packets)) == ALL
    session = IPFIXSession()
    assert counts(dissect(packets, session)) == ALL
    assert session.diagnostics.counts == {}


def test_crafted_packets():
    packets = [
        IP(src="192.0.2.9", dst="192.0.2.10")
        / TCP(sport=40000, dport=4739, seq=EDGES[i], flags="A")
        / IPFIX(octets)
        for i, octets in enumerate(MESSAGES)
    ]
    assert counts(dissect(packets)) == ALL


def test_very_many_messages_in_a_segment_are_read():
    header = IPFIX(exportTime=TIME, observationDomainId=7)
    octets = MESSAGES[0]
    for n in range(2, 300):
        header.sequenceNumber = n
        octets += bytes(header / DataSet(template=FLOW, records=[("192.0.2.1", n)]))
    session = IPFIXSession()
    packet = segment(1, octets)
    found = [r["octetDeltaCount"] for r in iter_records([packet], session=session)]
    assert found == list(range(300))
    shown = counts([packet])
    assert len(shown) < 300
    assert shown[-1] == 299
    assert packet.show(dump=True)


def test_a_frame_keeps_its_trailer():
    trailer = b"\xde\xad\xbe\xef"
    session = IPFIXSession()
    for at, data in ((1, MESSAGES[0][:3]), (4, MESSAGES[0][3:])):
        ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        frame = Ether(bytes(ether / segment(at, data)) + trailer)
        frame.time = TIME
        assert frame[Padding].load == trailer
        original = bytes(frame)
        (packet,) = process(session, frame)
        assert bytes(packet).endswith(data + trailer)
        assert packet.lastlayer().load == trailer
    assert packet[IPFIX].records[0].octetDeltaCount == 0
    assert len(bytes(packet)) == len(original) + 3
    assert session.diagnostics.counts == {}


@pytest.mark.parametrize("start", [1, 17, EDGES[1] - 1, EDGES[1], EDGES[2] + 30])
def test_a_capture_that_begins_in_the_middle(start):
    session = IPFIXSession()
    found = list(iter_records([segment(start, STREAM[start:])], session=session))
    # The template was in the first message.
    assert found == []
    whole = sum(edge >= start for edge in EDGES[:-1])
    assert sum(each.stats.messages for each in session.collector.domains) == whole
    skipped = next(edge for edge in EDGES if edge >= start) - start
    assert session.diagnostics.counts.get("stream-resync", 0) == (1 if skipped else 0)
    if skipped:
        (said,) = (each for each in session.diagnostics if each.code == "stream-resync")
        assert f"{skipped} octets" in said.text


@pytest.mark.parametrize("flags", ["FA", "RA", "R"])
def test_templates_end_with_the_connection(flags):
    session = IPFIXSession()
    process(session, segment(0, flags="S"), segment(1, MESSAGES[0]))
    assert len(session.templates) == 1
    process(session, segment(1 + EDGES[1], flags=flags))
    assert len(session.templates) == 0
    process(session, segment(5000, flags="S"), segment(5001, MESSAGES[1]))
    assert "missing-template" in session.diagnostics.counts
    assert "sequence-gap" not in session.diagnostics.counts


def test_reset_of_the_collector_ends_the_connection():
    session = IPFIXSession()
    process(session, segment(0, flags="S"), segment(1, MESSAGES[0]))
    process(session, segment(7, flags="F", back=True))
    assert len(session.templates) == 1
    process(session, segment(7, flags="R", back=True))
    assert len(session.templates) == 0


def test_last_segment_with_fin():
    session = IPFIXSession()
    packets = process(session, segment(0, flags="S"), segment(1, STREAM, "FPA"))
    assert counts(packets) == ALL
    assert len(session.templates) == 0


@pytest.mark.parametrize("flags", ["FA", "RA"])
def test_retransmission_after_the_end_is_not_read_again(flags):
    """A segment is retransmitted without an acknowledgement, and captured twice on loopback."""
    session = IPFIXSession()
    half = EDGES[3]
    last = segment(1 + half, STREAM[half:], flags=flags)
    packets = process(session, segment(0, flags="S"), segment(1, STREAM[:half]), last)
    packets += process(session, again(last), segment(1, STREAM[: EDGES[1]]), again(last))
    assert counts(packets) == ALL
    assert [bytes(each[TCP].payload) for each in packets[-2:]] == [
        *(STREAM[: EDGES[1]], STREAM[half:])
    ]
    assert session.diagnostics.counts == {}
    # Octets that the closed connection did not have, or after a SYN, are of another connection.
    assert counts(process(session, segment(1 + len(STREAM), STREAM))) == ALL
    packets = process(session, segment(0, flags="S"), segment(1, STREAM, flags=flags))
    assert counts(packets) == ALL


def test_closed_connections_are_bounded():
    session = IPFIXSession(limits=Limits(transports=3))
    for sport in range(40_000, 40_010):
        process(session, segment(1, STREAM, sport=sport, flags="FA"))
    assert len(session._reader.streams._closed) == 3


def test_a_fin_that_overtakes_data():
    session = IPFIXSession()
    packets = process(
        session,
        segment(0, flags="S"),
        segment(1, MESSAGES[0]),
        segment(1 + EDGES[2], STREAM[EDGES[2] :], "FA"),
        segment(1 + EDGES[1], MESSAGES[1]),
    )
    assert counts(packets) == ALL
    assert len(session.templates) == 0
    assert session.diagnostics.counts == {}


def test_the_same_ports_again():
    session = IPFIXSession()
    process(session, segment(0, flags="S"), segment(1, MESSAGES[0]))
    packets = process(session, segment(900, flags="S"), segment(901, STREAM))
    assert counts(packets) == ALL
    assert session.diagnostics.counts == {}


def test_repeated_or_late_syn_ends_nothing():
    session = IPFIXSession()
    packets = [
        *process(session, segment(0, flags="S"), segment(0, flags="S"), segment(1, MESSAGES[0])),
        *process(session, segment(0, flags="S"), segment(1 + EDGES[1], STREAM[EDGES[1] :])),
    ]
    assert counts(packets) == ALL
    late = process(session, segment(1, STREAM, sport=1234), segment(0, flags="S", sport=1234))
    assert counts(late) == ALL
    assert len(session.templates) == 2


def test_a_segment_that_was_not_captured():
    session = IPFIXSession()
    packets = process(
        session,
        segment(0, flags="S"),
        segment(1, MESSAGES[0]),
        segment(1 + EDGES[2], MESSAGES[2]),
        segment(1, ack=1 + EDGES[3], back=True),
        segment(1 + EDGES[3], MESSAGES[3]),
    )
    assert counts(packets) == but(1, 4, 5)
    assert [counts([each]) for each in packets][2:4] == [[], []]
    assert session.diagnostics.counts == {"stream-gap": 1, "sequence-gap": 1}
    (lost,) = (each.text for each in session.diagnostics if each.code == "sequence-gap")
    assert "3 lost" in lost
    (gap,) = (each.text for each in session.diagnostics if each.code == "stream-gap")
    assert f"{len(MESSAGES[1])} octets" in gap


@pytest.mark.parametrize("flags", ["R", "RA"])
def test_pending_messages_are_read_at_a_reset(flags):
    session = IPFIXSession()
    packets = process(
        session,
        segment(0, flags="S"),
        segment(1, MESSAGES[0]),
        segment(1 + EDGES[2], STREAM[EDGES[2] : -5]),
        segment(1 + len(STREAM), flags=flags),
    )
    assert counts(packets) == but(1)[:-1]
    assert session.diagnostics.counts["stream-gap"] == 1
    assert session.diagnostics.counts["message-truncated"] == 1
    assert len(session.templates) == 0


def test_pending_messages_are_read_when_the_ports_are_reused():
    session = IPFIXSession()
    packets = [
        segment(0, flags="S"),
        segment(1, MESSAGES[0]),
        segment(1 + EDGES[2], MESSAGES[2]),
        segment(9999, flags="S"),
    ]
    found = [each["octetDeltaCount"] for each in iter_records(packets, session=session)]
    assert found == COUNTS[0] + COUNTS[2]


def test_a_connection_that_was_closed_with_a_gap():
    """The collector has acknowledged the FIN: the missing octets were not captured."""
    session = IPFIXSession()
    packets = process(
        session,
        segment(0, flags="S"),
        segment(1, MESSAGES[0]),
        segment(1 + EDGES[2], STREAM[EDGES[2] :], "FA"),
        segment(1, flags="FA", ack=2 + len(STREAM), back=True),
        segment(2 + len(STREAM), flags="A"),
    )
    assert counts(packets) == but(1)
    assert len(session.templates) == 0
    assert session.diagnostics.counts == {"stream-gap": 1, "sequence-gap": 1}


def test_any_port_needs_a_whole_header():
    session = IPFIXSession()
    assert counts(process(session, segment(1, STREAM, dport=12345))) == ALL
    strict = IPFIXSession(any_port=False)
    assert counts(process(strict, segment(1, STREAM, dport=12345))) == []
    web = process(session, segment(1, b"\x00\x0aHTTP/1.1 200 OK and more of that", dport=80))
    assert IPFIX not in web[0]
    assert web[0][Raw].load.endswith(b"that")


def test_connections_are_bounded():
    session = IPFIXSession(limits=Limits(transports=4))
    for port in range(1000, 1040):
        process(session, segment(0, flags="S", sport=port), segment(9, b"waits", sport=port))
    assert session.diagnostics.counts == {"limit": 36}
    assert len(session._reader.streams._tcp._streams) == 4


def test_pending_octets_are_bounded():
    session = IPFIXSession(limits=Limits(fragment_octets=50_000))
    for port in range(1000, 1100):
        process(session, segment(0, flags="S", sport=port))
        process(session, segment(9, bytes(5000), sport=port))
        assert session._reader.streams._tcp._total <= 50_000 + 6000


SOFTFLOWD = rdpcap(str(PCAPS / "softflowd_ipfix_tcp.pcap"))


@given(st.data())
def test_softflowds_connection_in_any_order(data):
    packets = [again(each) for each in SOFTFLOWD]
    syn = next(i for i, each in enumerate(packets) if each[TCP].flags == "S")
    sport = packets[syn][TCP].sport
    segments = [each for each in packets if each[TCP].sport == sport and each[TCP].payload]
    others = [each for each in packets if each not in segments]
    assert len(segments) > 10
    plain = list(iter_records(PCAPS / "softflowd_ipfix_tcp.pcap"))
    assert len(plain) == 142
    # Without acknowledgements, which tell that missing octets will not arrive.
    session = IPFIXSession(deduplicate=False)
    twice = st.lists(st.sampled_from(segments).map(again), max_size=3)
    order = [others[0], *data.draw(st.permutations(segments + data.draw(twice)))]
    shown = dissect(order, session)
    assert list(iter_records(order)) == plain
    messages = [each for packet in shown for each in packet.iterpayloads() if type(each) is IPFIX]
    assert [r.values() for each in messages for r in each.records] == plain
    assert sum(each.stats.messages for each in session.collector.domains) == 6
    assert set(session.diagnostics.counts) == {"sequence-convention"}


# -- SCTP


def data_chunk(tsn, data, stream=0, sequence=0, begin=1, end=1, unordered=0):
    return SCTPChunkData(
        tsn=tsn,
        stream_id=stream,
        stream_seq=sequence,
        beginning=begin,
        ending=end,
        unordered=unordered,
        proto_id=0,
        data=data,
    )


def sctp(*chunks, back=False, sport=40000, dport=4739, ip=IP):
    """Return an SCTP packet of the exporter, of the collector with ``back``."""
    hosts = ("192.0.2.9", "192.0.2.10") if ip is IP else ("2001:db8::9", "2001:db8::10")
    source, destination = hosts[::-1] if back else hosts
    sport, dport = (dport, sport) if back else (sport, dport)
    packet = ip(src=source, dst=destination) / SCTP(sport=sport, dport=dport, tag=1)
    for chunk in chunks:
        packet /= chunk
    return wire(packet)


def sctp_counts(packets):
    found = []
    for packet in packets:
        for layer in packet.iterpayloads():
            if isinstance(layer, SCTPChunkData):
                message = layer.data
                # Other data is bytes in Scapy 2.7, a packet in 2.8.
                while isinstance(message, Packet) and message:
                    found += getattr(message, "records", [])
                    message = message.payload
    return [record.octetDeltaCount for record in found]


@pytest.mark.parametrize("ip", [IP, IPv6])
def test_several_chunks_in_a_packet(ip):
    chunks = [data_chunk(n, octets, sequence=n) for n, octets in enumerate(MESSAGES)]
    packet = sctp(*chunks, ip=ip)
    octets = bytes(packet)
    session = IPFIXSession()
    assert sctp_counts(process(session, packet)) == ALL
    assert bytes(packet) == octets
    assert packet[SCTPChunkData].data.sequenceNumber == 0
    assert packet[IPFIX].records
    assert packet.show(dump=True)
    assert session.diagnostics.counts == {}
    assert [r["octetDeltaCount"] for r in iter_records([packet])] == ALL


def test_a_message_in_pieces():
    packets = []
    tsn = 77
    for sequence, octets in enumerate(MESSAGES):
        for at in range(0, len(octets), 20):
            piece = octets[at : at + 20]
            ends = at + 20 >= len(octets)
            packets.append(sctp(data_chunk(tsn, piece, 0, sequence, at == 0, ends)))
            tsn += 1
    originals = [bytes(each) for each in packets]
    assert sctp_counts(dissect(packets)) == ALL
    assert [bytes(each) for each in packets] == originals
    session = IPFIXSession()
    assert sctp_counts(dissect(packets, session)) == ALL
    assert session.diagnostics.counts == {}


def test_templates_on_one_stream_and_data_on_another():
    template = IPFIX(MESSAGES[0])
    only = IPFIX(observationDomainId=7, exportTime=TIME, sets=[template.sets[0]])
    assert len(only.sets) == 1
    rows = [("192.0.2.1", n) for n in range(3)]
    data = [
        IPFIX(observationDomainId=7, exportTime=TIME, sequenceNumber=n)
        / DataSet(template=FLOW, records=[row])
        for n, row in enumerate(rows)
    ]
    session = IPFIXSession()
    packets = process(
        session,
        sctp(data_chunk(1, bytes(only), 0)),
        *(sctp(data_chunk(2 + n, bytes(each), 3, n)) for n, each in enumerate(data)),
    )
    assert sctp_counts(packets) == [0, 1, 2]
    assert session.diagnostics.counts == {}


def test_each_stream_has_a_sequence_of_its_own():
    session = IPFIXSession()
    packets = [sctp(data_chunk(1, MESSAGES[0]))]
    numbers = {1: 0, 2: 0}
    for n, records in enumerate((5, 3, 3, 2, 4, 7)):
        stream = 1 + n % 2
        message = IPFIX(observationDomainId=7, exportTime=TIME, sequenceNumber=numbers[stream])
        message /= DataSet(template=FLOW, records=[("192.0.2.1", n)] * records)
        packets.append(sctp(data_chunk(2 + n, bytes(message), stream, n // 2)))
        numbers[stream] += records
    assert len(sctp_counts(process(session, *packets))) == 2 + 24
    assert session.diagnostics.counts == {}
    lossy = IPFIXSession()
    process(lossy, *packets[:3], *packets[5:])
    assert lossy.diagnostics.counts == {}  # messages 3 and 4 may still arrive
    process(lossy, sctp(SCTPChunkAbort()))
    assert lossy.diagnostics.counts == {"sequence-gap": 2}


@given(st.data())
def test_chunks_in_any_order_and_twice(data):
    chunks = [(n, n % 2, n // 2, octets) for n, octets in enumerate(MESSAGES)]
    order = data.draw(st.permutations(chunks[1:] + data.draw(st.lists(st.sampled_from(chunks)))))
    packets = [sctp(SCTPChunkInit(init_tsn=0))]
    packets += [sctp(data_chunk(n, o, s, q)) for n, s, q, o in [chunks[0], *order]]
    shown = sctp_counts(dissect(packets))
    assert sorted(shown) == ALL
    for stream in (0, 1):
        own = [n for i in range(stream, 6, 2) for n in counts(dissect([MESSAGES_OF[i]]))]
        assert [n for n in shown if n in own] == own


#: Each message beside the template, to tell what is in it.
MESSAGES_OF = [
    IPFIX(
        observationDomainId=7,
        sets=[FLOW, DataSet(bytes(IPFIX(octets).sets[-1]))],
    )
    for octets in MESSAGES
]


def test_unordered_chunks_do_not_wait():
    session = IPFIXSession()
    packets = process(
        session,
        sctp(data_chunk(1, MESSAGES[0])),
        sctp(data_chunk(9, MESSAGES[2], sequence=5)),
        sctp(data_chunk(8, MESSAGES[1], unordered=1)),
    )
    assert [len(sctp_counts([each])) for each in packets] == [2, 0, 3]


def test_a_message_that_was_not_captured():
    session = IPFIXSession()
    packets = process(
        session,
        sctp(data_chunk(1, MESSAGES[0])),
        sctp(data_chunk(3, MESSAGES[2], sequence=2)),
        sctp(SCTPChunkSACK(cumul_tsn_ack=3), back=True),
        sctp(data_chunk(4, MESSAGES[3], sequence=3)),
    )
    assert sctp_counts(packets) == but(1, 4, 5)
    assert session.diagnostics.counts == {"sequence-gap": 1}


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("last", [SCTPChunkAbort, SCTPChunkShutdownComplete])
def test_templates_end_with_the_association(last, back):
    session = IPFIXSession()
    process(session, sctp(data_chunk(1, MESSAGES[0])))
    assert len(session.templates) == 1
    process(session, sctp(last(), back=back))
    assert len(session.templates) == 0
    process(session, sctp(data_chunk(1, MESSAGES[1])))
    assert "missing-template" in session.diagnostics.counts


def test_association_restarts():
    session = IPFIXSession()
    packets = [sctp(SCTPChunkInit(init_tsn=1)), sctp(data_chunk(1, MESSAGES[0]))]
    for _ in range(2):
        assert sctp_counts(process(session, *map(wire, packets))) == COUNTS[0]
    assert session.diagnostics.counts == {}


def test_netflow_v9_over_sctp():
    """RFC 3954 3.1 allows SCTP; the layer has the version of the message."""
    message = NetFlowV9(unixSecs=TIME, sourceId=7, sets=[FLOW])
    message /= DataFlowSet(template=FLOW, records=_ROWS[:2])
    packet = sctp(data_chunk(1, bytes(message)))
    session = IPFIXSession()
    session.process(packet)
    data = packet[SCTPChunkData].data
    assert isinstance(data, NetFlowV9)
    assert [each.octetDeltaCount for each in data.records] == [0, 1]
    assert len(list(iter_records(packet))) == 2
    assert not session.diagnostics.counts


@pytest.mark.parametrize("octets", [b"", b"\0", b"\0\x0b" + bytes(30)])
def test_chunks_without_messages(octets):
    """They give no packets, and a diagnostic with their octets."""
    packet = sctp(data_chunk(1, octets))
    session = IPFIXSession()
    session.process(packet)
    assert not isinstance(packet[SCTPChunkData].data, Message)
    assert not list(session.collector.domains)
    assert [each.text for each in session.diagnostics] == (
        [f"{len(octets)} octets of the stream were skipped to the next message header"]
        * bool(octets)
    )


def test_sctp_on_any_port():
    packets = [sctp(data_chunk(n, o, sequence=n), dport=999) for n, o in enumerate(MESSAGES)]
    assert sctp_counts(dissect(packets)) == ALL
    strict = IPFIXSession(any_port=False)
    packets = [sctp(data_chunk(n, o, sequence=n), dport=999) for n, o in enumerate(MESSAGES)]
    assert sctp_counts(dissect(packets, strict)) == []


@given(st.lists(st.binary(max_size=80), max_size=5), st.booleans())
def test_any_octets_in_chunks_and_segments(payloads, begins):
    session = IPFIXSession()
    for n, octets in enumerate(payloads):
        octets = b"\x00\x0a" + octets if n % 2 else octets
        chunk = sctp(data_chunk(n, octets, 0, n, begins, 1))
        before = bytes(chunk)
        assert bytes(process(session, chunk)[0]) == before
        packet = segment(1 + n * 50, octets, "FA" if n == 3 else "A")
        assert process(session, packet)[0].show(dump=True)


# -- IPv6


@given(st.permutations(range(3)))
def test_ipv6_fragments(order):
    rows = [("192.0.2.1", n) for n in range(200)]
    message = IPFIX(sets=[FLOW]) / DataSet(template=FLOW, records=rows)
    whole = IPv6(src="2001:db8::1", dst="2001:db8::2") / UDP(sport=9, dport=4739) / bytes(message)
    fragments = [wire(each) for each in fragment6(wire(whole), 1000)]
    assert len(fragments) == 3
    session = IPFIXSession()
    found = process(session, *(fragments[i] for i in order))
    assert found[:2] == [None, None]
    assert counts(found[2:]) == list(range(200))
    assert [r["octetDeltaCount"] for r in iter_records(fragments)] == list(range(200))


# -- SCTP of a kernel


KERNEL = PCAPS / "softflowd_ipfix_sctp.pcap"


def test_chunks_that_a_kernel_cut() -> None:
    """Each message is in the chunk that completes it, and the octets do not change."""
    packets = rdpcap(str(KERNEL))
    before = [bytes(each) for each in packets]
    session = IPFIXSession()
    shown = dissect(packets, session)
    messages = shown_messages(shown)
    assert len(messages) == 4
    assert sum(len(each.records) for each in messages) == 81
    assert [n for n, each in enumerate(shown, 1) if IPFIX in each] == [9, 13, 16, 18]
    assert [bytes(each) for each in shown] == before
    assert set(session.diagnostics.counts) == {"sequence-convention"}
    assert len(session.collector.quota) == 0, "they end with the association"


def shown_messages(packets):
    found = []
    for packet in packets:
        for layer in packet.iterpayloads():
            message = layer.data if isinstance(layer, SCTPChunkData) else None
            while isinstance(message, IPFIX):
                found.append(message)
                message = message.payload
    return found


@given(st.randoms(use_true_random=False), st.integers(0, 3))
def test_softflowds_association_in_any_order(rng, again_and_again):
    packets = [again(each) for each in rdpcap(str(KERNEL))]
    plain = [
        record.values() for each in shown_messages(dissect(packets)) for record in each.records
    ]
    assert len(plain) == 81
    packets = [again(each) for each in rdpcap(str(KERNEL))]
    data = [each for each in packets if SCTPChunkData in each]
    # Without acknowledgements, which tell that missing octets will not arrive.
    first = [each for each in packets if SCTPChunkInit in each]
    later = data + [again(rng.choice(data)) for _ in range(again_and_again)]
    rng.shuffle(later)
    session = IPFIXSession(deduplicate=False)
    shown = dissect([*first, *later], session)
    assert [r.values() for each in shown_messages(shown) for r in each.records] == plain
    assert set(session.diagnostics.counts) == {"sequence-convention"}

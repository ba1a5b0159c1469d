# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIXSession: packets with resolved Data Sets, tables, templates by id."""

import inspect
import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.config import conf
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw
from scapy.sendrecv import sniff
from scapy.sessions import DefaultSession, IPSession
from scapy.utils import wrpcap

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    IPFIXSession,
    Limits,
    NetFlowV9,
    Record,
    Set,
    Template,
    TemplateSet,
    dissect,
)
from tests.builders import codes_without_sequence, data_set, message_octets, template_sets
from tests.strategies import broken, filled

pytestmark = pytest.mark.usefixtures("debug_dissector")

T = Template(300, "sourceIPv4Address", "octetDeltaCount[4]")
OTHER = Template(300, "destinationIPv4Address[4]", "packetDeltaCount[4]")
ROWS = [("192.0.2.1", 5), ("192.0.2.2", 6)]
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


ANNOUNCED = message_octets(*template_sets(T))
DATA = message_octets(data_set(T, ROWS))
V9_ANNOUNCED = message_octets(*template_sets(T, version=9), version=9)
V9_DATA = message_octets(data_set(T, ROWS, version=9), version=9)


def wire(packet, time=0.0, trailer=b""):
    """Return the packet as captured."""
    packet = Ether(bytes(packet) + trailer)
    packet.time = time
    return packet


def udp(octets, src="192.0.2.1", sport=1000, dport=4739, time=0.0):
    packet = ETHER / IP(src=src, dst="192.0.2.9") / UDP(sport=sport, dport=dport) / Raw(octets)
    return wire(packet, time)


def values(packet):
    return [tuple(record.values().values()) for record in packet.getlayer(IPFIX).records]


# Called by Scapy


@pytest.mark.parametrize("announced", [ANNOUNCED, V9_ANNOUNCED], ids=["IPFIX", "v9"])
def test_sniff(announced):
    data = DATA if announced is ANNOUNCED else V9_DATA
    for session in (IPFIXSession, IPFIXSession()):
        packets = sniff(offline=[udp(announced), udp(data)], session=session, quiet=True)
        assert [record.octetDeltaCount for record in packets[1][Record].parent.records] == [5, 6]


def test_sniff_a_file(tmp_path):
    path = str(tmp_path / "x.pcap")
    wrpcap(path, [udp(ANNOUNCED), udp(DATA), ETHER / ARP()])
    session = IPFIXSession()
    packets = sniff(offline=path, session=session)
    assert len(packets) == 3
    assert values(packets[1]) == ROWS
    assert repr(session).startswith("<IPFIXSession: 3 packets, 2 messages, 2 records, 1 templates")
    seen = []
    sniff(offline=path, session=IPFIXSession, prn=lambda p: seen.append(p.summary()), store=False)
    assert "0 templates, 2 records" in seen[1]


def test_dissect():
    packets = [udp(ANNOUNCED), udp(DATA)]
    assert values(dissect(packets)[1]) == ROWS
    session = IPFIXSession()
    dissect(packets[:1], session)
    assert values(dissect([udp(DATA)], session)[0]) == ROWS
    assert packets[0] is dissect(packets)[0]


def test_bare_messages():
    packets = dissect([IPFIX(ANNOUNCED), IPFIX(DATA)])
    assert values(packets[1]) == ROWS
    packets = dissect([UDP(sport=1, dport=4739) / IPFIX(ANNOUNCED), IPFIX(DATA)])
    assert values(packets[1]) == ROWS


def test_crafted_packets():
    announcement = ETHER / IP(src="192.0.2.1") / UDP() / IPFIX(sets=[T])
    packets = dissect([announcement, ETHER / IP(src="192.0.2.1") / UDP() / IPFIX(DATA)])
    assert values(packets[1]) == ROWS


@pytest.mark.parametrize(
    "packet",
    [
        ETHER / ARP(),
        ETHER / IP() / ICMP(),
        ETHER / IP() / UDP(),
        ETHER / IPv6() / UDP(sport=1, dport=1) / Raw(b"abc"),
        Raw(b"abc"),
        Raw(),
        IP(),
    ],
    ids=lambda packet: packet.summary(),
)
def test_other_packets_pass(packet):
    session = IPFIXSession()
    read = packet.__class__(bytes(packet)) if bytes(packet) else packet
    assert session.process(read) is read
    assert not session.diagnostics
    assert session.packets == 1


def test_layers_around_the_message():
    for around in (
        ETHER / Dot1Q(vlan=5) / IP(src="192.0.2.1"),
        ETHER / IPv6(src="2001:db8::1"),
        ETHER / IP(src="198.51.100.1", dst="198.51.100.2", proto=4) / IP(src="192.0.2.1"),
    ):
        packets = [
            Ether(bytes(around / UDP(sport=1, dport=4739) / Raw(each)))
            for each in (ANNOUNCED, DATA)
        ]
        session = IPFIXSession()
        assert values(dissect(packets, session)[1]) == ROWS
        exporter = session.templates[0][0]
        assert exporter in ("192.0.2.1:1", "[2001:db8::1]:1")


def test_a_session_on_top_of_another():
    class Numbering(DefaultSession):
        def process(self, pkt):
            return None if ARP in pkt else pkt

    session = IPFIXSession(Numbering())
    assert session.process(ETHER / ARP()) is None
    packet = session.process(udp(DATA))
    assert packet is not None
    session.process(udp(ANNOUNCED))
    assert values(packet) == ROWS
    pieces = [wire(each) for each in fragment(udp(ANNOUNCED + bytes(2000)), 800)]
    session = IPFIXSession(IPSession())
    whole = [session.process(each) for each in pieces]
    assert [each is not None and IPFIX in each for each in whole][-1]


# Template scope


def test_exporters_with_the_same_template_id_do_not_mix():
    packets = dissect(
        [
            udp(ANNOUNCED),
            udp(message_octets(TemplateSet(templates=[OTHER])), src="192.0.2.2"),
            udp(message_octets(TemplateSet(templates=[OTHER])), sport=1001),
            udp(message_octets(TemplateSet(templates=[OTHER]), observationDomainId=7)),
            udp(DATA),
            udp(DATA, src="192.0.2.2"),
            udp(DATA, sport=1001),
            udp(message_octets(DataSet(template=OTHER, records=ROWS), observationDomainId=7)),
            udp(DATA, src="192.0.2.3"),
        ]
    )
    assert [each[DataSet].template for each in packets[4:]] == [T, OTHER, OTHER, OTHER, None]


def test_scope_exporter():
    packets = [udp(ANNOUNCED, sport=1), udp(DATA, sport=2), udp(DATA, src="192.0.2.2")]
    found = dissect(packets, IPFIXSession(scope="exporter"))
    assert [len(each[IPFIX].records) for each in found] == [0, 2, 0]


# Late templates, in place


READS = {
    "not at all": lambda packet: None,
    "sets": lambda packet: packet[IPFIX].sets,
    "records": lambda packet: packet[IPFIX].records,
    "show": lambda packet: packet.show(dump=True),
    "all": lambda packet: (packet.show2(dump=True), packet.command(), packet.summary()),
}


def test_a_summary_makes_no_packets_of_sets():
    """A message may hold 16,000 Sets, and summaries are printed for all packets."""
    session = IPFIXSession()
    for octets, said in ((DATA, "1 set of unknown template"), (ANNOUNCED, "1 template")):
        packet = session.process(udp(octets))
        assert said in packet.summary()
        assert packet[IPFIX].fields["sets"].octets == octets[16:]
    later = session.process(udp(DATA))
    later[IPFIX].sequenceNumber = 9  # its cached octets are discarded
    assert "seq=9 0 templates, 2 records" in later.summary()
    assert later[IPFIX].fields["sets"].octets == DATA[16:]


@pytest.mark.parametrize("look", READS.values(), ids=READS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_packet_is_resolved_when_its_template_arrives(look, when):
    session = IPFIXSession()
    packet = udp(DATA)
    if when == "before":
        look(packet)
    assert session.process(packet) is packet
    if when == "after":
        look(packet)
    data = packet[DataSet] if look is not READS["not at all"] else None
    assert "1 set of unknown template" in packet.summary()
    session.process(udp(ANNOUNCED))
    assert values(packet) == ROWS
    assert "2 records" in packet.summary()
    assert bytes(packet[IPFIX]) == DATA
    if data is not None:
        assert data is packet[DataSet]
        assert len(data.records) == 2


@pytest.mark.parametrize("look", READS.values(), ids=READS)
def test_data_before_its_template_in_the_same_message(look):
    octets = message_octets(
        DataSet(template=T, records=ROWS),
        DataSet(template=OTHER.with_id(301), records=ROWS),
        TemplateSet(templates=[T]),
    )
    packet = udp(octets)
    look(packet)
    session = IPFIXSession()
    session.process(packet)
    assert values(packet) == ROWS
    session.process(udp(message_octets(TemplateSet(templates=[OTHER.with_id(301)]))))
    assert values(packet) == ROWS * 2
    assert bytes(packet[IPFIX]) == octets


def test_copies_made_before_the_template_arrives():
    session = IPFIXSession()
    looked, unlooked = session.process(udp(DATA)), session.process(udp(DATA))
    looked.show(dump=True)
    copies = [looked.copy(), unlooked.copy()]
    unlooked.copy().show(dump=True)
    unlooked.show(dump=True)
    session.process(udp(ANNOUNCED))
    assert values(looked) == values(unlooked) == ROWS
    assert values(copies[1]) == ROWS
    assert bytes(copies[0]) == bytes(copies[1]) == bytes(looked)


def test_copy_shown_first():
    session = IPFIXSession()
    packet = session.process(udp(DATA))
    packet.show(dump=True)
    copy = session.process(udp(DATA)).copy()
    for each in (packet, copy, packet.copy(), copy.copy()):
        each.show(dump=True)
    session.process(udp(ANNOUNCED))
    assert values(packet) == values(copy) == ROWS


def test_packet_read_late_has_the_template_of_its_arrival():
    session = IPFIXSession()
    session.process(udp(ANNOUNCED))
    first = session.process(udp(DATA))
    session.process(udp(message_octets(TemplateSet(templates=[OTHER]))))
    second = session.process(udp(DATA))
    assert first[DataSet].template == T
    assert second[DataSet].template == OTHER


def test_the_same_packet_twice():
    session = IPFIXSession()
    session.process(udp(ANNOUNCED))
    packet = udp(DATA)
    session.process(packet)
    packet.show(dump=True)
    session.process(packet)
    assert values(packet) == ROWS
    assert bytes(packet[IPFIX]) == DATA


# Ports


@pytest.mark.parametrize(
    ("announced", "data"), [(ANNOUNCED, DATA), (V9_ANNOUNCED, V9_DATA)], ids=["IPFIX", "v9"]
)
def test_any_port(announced, data):
    for ports in ({"sport": 1, "dport": 2}, {"sport": 40000, "dport": 50000}):
        packets = [udp(announced, **ports), udp(data, **ports)]
        assert not any(isinstance(each[UDP].payload, (IPFIX, NetFlowV9)) for each in packets)
        found = dissect(packets)
        assert len(found[1][UDP].payload.records) == 2
        assert bytes(found[1][UDP].payload) == data
        packets = [udp(announced, **ports), udp(data, **ports)]
        found = dissect(packets, IPFIXSession(any_port=False))
        assert all(type(each[UDP].payload) is Raw for each in found)
        assert bytes(found[1][UDP].payload) == data


def test_any_port_with_an_ethernet_trailer():
    packets = [wire(udp(each, dport=2), trailer=b"\xde\xad\xbe\xef") for each in (ANNOUNCED, DATA)]
    session = IPFIXSession()
    found = dissect(packets, session)
    assert values(found[1]) == ROWS
    assert codes_without_sequence(session) == []
    packets = [wire(udp(each, dport=2), trailer=b"\xde\xad") for each in (V9_ANNOUNCED, V9_DATA)]
    found = dissect(packets, session)
    assert len(found[1][NetFlowV9].records) == 2


def test_ethernet_trailer_is_not_part_of_the_message():
    session = IPFIXSession()
    packet = wire(udp(ANNOUNCED), trailer=b"\xde\xad\xbe\xef")
    dissect([packet], session)
    assert codes_without_sequence(session) == []
    dissect([udp(ANNOUNCED + b"more")], session)
    assert codes_without_sequence(session) == ["message-trailing"]


@pytest.mark.parametrize(
    "octets",
    [
        b"\0\x0a" + bytes(20),
        ANNOUNCED[:-1],
        ANNOUNCED + b"x",
        b"\0\x09" + bytes(60),
        V9_DATA[:-1],
        b"\0\5" + bytes(70),
    ],
)
def test_payload_that_may_be_another_protocol_is_unchanged(octets):
    (packet,) = dissect([udp(octets, dport=53000)])
    assert type(packet[UDP].payload) is Raw


def test_layer_of_scapy_stays_unless_the_payload_is_a_message():
    (packet,) = dissect([udp(b"\0\x0a\1\0\0\1\0\0\0\0\0\0\0\0\1\0\1", dport=53)])
    assert packet[UDP].payload.name == "DNS"


# Fragments


def test_a_packet_changed_before_the_session_sees_it():
    packet = IPFIX(ANNOUNCED)
    packet[TemplateSet].templates[0].templateId = 400
    data = IPFIX(message_octets(DataSet(template=T.with_id(400), records=ROWS)))
    dissect([packet, data])
    assert values(data) == ROWS


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_ip_fragments(order):
    octets = message_octets(
        TemplateSet(templates=[T]), DataSet(template=T, records=ROWS * 200), exportTime=None
    )
    whole = udp(octets)
    pieces = [wire(each) for each in fragment(whole, 800)]
    assert len(pieces) > 2
    session = IPFIXSession()
    found = sniff(offline=pieces[order], session=session, quiet=True)
    assert len(found) == 1
    assert len(found[0][IPFIX].records) == 400
    assert bytes(found[0][IPFIX]) == octets
    assert found[0][Ether].src == ETHER.src
    assert session.packets == len(pieces)
    assert not session.diagnostics


def test_fragments_that_are_dropped_are_not_dropped_silently():
    session = IPFIXSession(limits=Limits(fragment_octets=5000))
    for id in range(50):
        whole = udp(ANNOUNCED + bytes(2000))
        whole[IP].id = id
        del whole[IP].chksum
        assert session.process(wire(fragment(whole, 800)[0])) is None
    assert "fragments-dropped" in codes_without_sequence(session)


# Any octets


@given(st.lists(st.sampled_from([9, 10]).flatmap(filled), min_size=1, max_size=3), st.data())
def test_any_octets_on_a_port(cases, data):
    packets, octets = [], []
    for case in cases:
        template = case.template
        known = 9 if any(each.element.id > 0x7FFF for each in template.fields) else 10
        if any(each.element.name.startswith("scope") for each in template.fields):
            known = 9
        if any(each.element.pen for each in template.fields):
            known = 10
        message = NetFlowV9 if known == 9 else IPFIX
        cls = DataFlowSet if known == 9 else DataSet
        try:
            whole = bytes(message(sets=[template, cls(template=template, records=case.rows)]))
        except ValueError:
            continue  # IPFIX and NetFlow v9 elements in one template
        octets.append(data.draw(broken(whole, keep=2)))
        packets.append(udp(octets[-1]))
    for packet in packets:
        if data.draw(st.booleans()):
            packet.show(dump=True)
    session = IPFIXSession(check_values=True)
    found = dissect(packets, session)
    for packet, each in zip(found, octets):
        payload = packet[UDP].payload
        assert bytes(payload) == each
        if not isinstance(payload, (IPFIX, NetFlowV9)):
            continue
        packet.show(dump=True)
        packet.summary()
        packet.command()
        assert bytes(payload) == each
        assert bytes(pickle.loads(pickle.dumps(payload))) == each
        for one in payload.sets:
            unread = isinstance(one, Raw) and any(one.load)
            unread |= isinstance(one, Set) and bool(one.fields.get("undecoded"))
            unread |= type(one) is Set
            if unread:
                assert session.diagnostics.counts
    repr(session)
    str(session.templates)
    str(session.stats)
    repr(session.diagnostics)


def _is_for_scapy(octets):
    """Return True if octets have a version whose layer is part of Scapy."""
    return octets[:1] == b"\0" and octets[1:2] in (b"\1", b"\5", b"\6", b"\7", b"\x08")


_not_scapys = st.binary(min_size=1, max_size=60).filter(lambda x: not _is_for_scapy(x))


@given(st.lists(_not_scapys, max_size=3))
def test_any_octets_that_are_not_messages(payloads):
    session = IPFIXSession()
    for octets in (*payloads, *(b"\0\x0a" + each for each in payloads)):
        for port in (4739, 2055, 9):
            packet = session.process(udp(octets, dport=port))
            assert bytes(packet[UDP].payload) == octets
            packet.show(dump=True)
            assert bytes(packet[UDP].payload) == octets


def test_a_message_of_16000_empty_sets():
    body = struct.pack("!HH", 300, 4) * 16000
    packet = IPFIX(struct.pack("!HH12x", 10, 16 + len(body)) + body)
    session = IPFIXSession()
    session.process(packet)
    assert len(packet.sets) == 16000
    session.process(IPFIX(ANNOUNCED))
    assert packet.sets[15999].template == T


# State


def test_only_public_names_are_completed():
    names = {name for name in dir(IPFIXSession()) if not name.startswith("_")}
    assert names - set(dir(DefaultSession())) == {
        *("collector", "diagnostics", "load", "metadata", "packets", "save", "stats"),
        *("duplicates", "other_protocols", "source_files", "template", "templates"),
    }


def test_help_is_readable():
    text = inspect.getdoc(IPFIXSession) + str(inspect.signature(IPFIXSession))
    assert max(map(len, text.splitlines())) < 500
    assert "'exporter'" in text


def test_diagnostics_name_the_packet():
    session = IPFIXSession()
    session.process(ETHER / ARP())
    session.process(udp(DATA))
    (each,) = session.diagnostics
    assert (each.packet, each.exporter, each.code) == (2, "192.0.2.1:1000", "missing-template")


def test_pickled_message_does_not_include_the_session():
    session = IPFIXSession()
    session.process(udp(ANNOUNCED))
    packet = session.process(udp(DATA))
    for id in range(256, 600):
        session.process(udp(message_octets(TemplateSet(templates=[T.with_id(id)]))))
    octets = pickle.dumps(packet[IPFIX])
    assert len(octets) < 5000
    assert values(pickle.loads(octets)) == ROWS
    assert len(pickle.dumps(packet[IPFIX].copy())) < 5000


def test_unknown_scope():
    for options in ({"scope": "port"}, {"scope": None}):
        with pytest.raises(ValueError, match="scope is"):
            IPFIXSession(**options)


@pytest.mark.parametrize("sport", [53, 88, 123, 161, 520, 1812, 1985, 4789, 5353, 6343])
@pytest.mark.parametrize("trailer", [b"", b"in Ethernet"])
def test_source_port_of_another_protocol(sport, trailer):
    conf.debug_dissector = False  # the other protocol's layer may fail
    packet = udp(ANNOUNCED, sport=sport)
    packet = Ether(bytes(packet) + trailer)
    read = IPFIXSession().process(packet)
    assert bytes(read) == bytes(packet.original)
    assert bytes(read[UDP].payload) == ANNOUNCED + trailer
    layers = [type(layer).__name__ for layer in read.iterpayloads()]
    padding = ["Padding"] if trailer else []
    assert layers == ["Ether", "IP", "UDP", "IPFIX", *padding]


def test_long_session_registers_no_layers():
    layers = len(conf.layers)
    session = IPFIXSession(limits=Limits(templates=20, domains=20, transports=20))
    for number in range(300):
        template = Template(256, (66666, number + 1), "octetDeltaCount")
        octets = message_octets(
            TemplateSet(templates=[template]),
            DataSet(template=template, records=[(b"x", number)]),
            observationDomainId=number,
        )
        packet = session.process(udp(octets, sport=number + 50000))
        assert packet[Record].octetDeltaCount == number
    assert len(conf.layers) == layers
    assert len(session._reader._keys) <= 20
    assert len(session.templates) <= 20


def test_tcp():
    session = IPFIXSession()
    around = IP(src="192.0.2.1", dst="192.0.2.9") / TCP(sport=1, dport=4739, seq=100)
    octets = ANNOUNCED + DATA
    packet = session.process(wire(ETHER / around / Raw(octets)))
    assert packet[Record].octetDeltaCount == 5
    assert bytes(packet[TCP].payload) == octets


@pytest.mark.parametrize("tags", [0, 1, 2])
def test_the_padding_of_a_frame_of_zeros(tags):
    """Searching for the message from the end would take quadratic time."""
    octets = bytes(ANNOUNCED) + bytes(DataSet(setId=300, records=[bytes(500)]))
    octets = octets[:2] + len(octets).to_bytes(2, "big") + octets[4:]
    datagram = IP(src="192.0.2.1", dst="192.0.2.9") / UDP(sport=9, dport=2) / Raw(octets)
    frame = Ether()
    for tag in range(tags):
        frame /= Dot1Q(vlan=1 + tag)
    frame = Ether(bytes(frame / datagram) + bytes(700))
    read = IPFIXSession(any_port=True).process(frame)
    assert bytes(read[IPFIX])[: len(octets)] == octets
    assert read.lastlayer().load == bytes(700)
    assert bytes(read) == bytes(frame)

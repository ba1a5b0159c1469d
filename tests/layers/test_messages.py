# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX and NetFlow v9 messages: building, dissecting, and Scapy's conventions."""

import copy
import pickle
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.config import conf
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Padding, Raw, fuzz, ls
from scapy.utils import hexdump

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    NetFlowV9,
    OptionsTemplateFlowSet,
    OptionsTemplateSet,
    Record,
    Set,
    Template,
    TemplateFlowSet,
    TemplateRecord,
    TemplateSet,
)
from scapy_ipfix.layers.messages import make_message
from tests.strategies import broken, filled, retyped

pytestmark = pytest.mark.usefixtures("debug_dissector")

T = Template(300, "sourceIPv4Address", "octetDeltaCount[4]")
ROWS = [("192.0.2.1", 5), ("192.0.2.2", 6)]
#: Complete addresses, for which Scapy does not query the network.
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
OPTIONS = Template(301, "meteringProcessId", "interfaceName", scope=1)
SCOPED = Template(301, "scopeInterface[2]", "interfaceName[4]", scope=1)


def message(version, *cases):
    """Return a message with templates and their records."""
    if version == 10:
        cls, data, templates, options = IPFIX, DataSet, TemplateSet, OptionsTemplateSet
        header = {"exportTime": 1}
    else:
        cls, data = NetFlowV9, DataFlowSet
        templates, options = TemplateFlowSet, OptionsTemplateFlowSet
        header = {"unixSecs": 1}
    sets = []
    for template, rows in cases:
        sets.append((options if template.is_options else templates)(templates=[template]))
        sets.append(data(template=template, records=rows))
    return cls(sets=sets, **header)


IPFIX_OCTETS = bytes(message(10, (T, ROWS), (OPTIONS, [(1, "eth0"), (2, "")])))
V9_OCTETS = bytes(message(9, (T, ROWS), (SCOPED, [(1, "eth0"), (2, "lo")])))


def access_everything(packet):
    """Access a packet in every way that must not change it."""
    packet.show(dump=True)
    packet.show2(dump=True)
    packet.summary()
    packet.command()
    packet.json()
    repr(packet)
    packet.all_defects
    for each in packet.sets:
        each.summary()
        repr(each)
    for record in packet.records:
        record.values()
        record.values("python")
        record.values("json")
        record.scope
        record.literal()


# Property: build and dissect are inverse


@given(st.sampled_from([9, 10]), st.data())
def test_dissected_messages_equal_built_ones(version, data):
    cases = data.draw(st.lists(filled(version), max_size=3, unique_by=lambda c: c.template.id))
    whole = bytes(message(version, *((case.template, case.rows) for case in cases)))
    read = make_message(whole)
    assert bytes(read) == whole
    assert [each.template for each in read.sets[::2] for each in each.templates] == [
        case.template for case in cases
    ]
    for case, each in zip(cases, read.sets[1::2]):
        if version == 10 or case.template.length > 3:  # else padding reads as records
            assert [tuple(one.values().values()) for one in each.records] == case.rows
    access_everything(read)
    assert bytes(read) == whole
    rebuilt = retyped(read)
    assert bytes(rebuilt) == whole
    # Build from the fields alone, without cached octets.
    for each in read.sets:
        each.raw_packet_cache = None
        for record in (*each.fields.get("records", ()), *each.fields.get("templates", ())):
            record.raw_packet_cache = None
    read.raw_packet_cache = None
    assert bytes(read) == whole


@given(st.sampled_from([IPFIX_OCTETS, V9_OCTETS]).flatmap(lambda whole: broken(whole, keep=2)))
def test_any_octets_are_a_message(octets):
    read = make_message(octets)
    if read is None:
        return
    assert bytes(read) == octets
    access_everything(read)
    assert bytes(read) == octets
    assert bytes(read.copy()) == octets
    assert bytes(copy.deepcopy(read)) == octets
    assert bytes(pickle.loads(pickle.dumps(read))) == octets
    assert bytes(retyped(read)) == octets
    again = make_message(octets)
    assert again == read
    assert [str(each) for each in again.all_defects] == [str(each) for each in read.all_defects]


@given(st.sampled_from([b"\0\x09", b"\0\x0a"]), st.binary(max_size=120))
def test_random_octets_after_a_version_are_a_message(version, rest):
    octets = version + rest
    for read in (make_message(octets), IPFIX(octets), NetFlowV9(octets)):
        assert bytes(read) == octets
        access_everything(read)
        assert bytes(read) == octets


@pytest.mark.parametrize("whole", [IPFIX_OCTETS, V9_OCTETS], ids=["IPFIX", "v9"])
def test_a_message_cut_anywhere(whole):
    for cut in range(1, len(whole)):
        read = make_message(whole[:cut]) or IPFIX(whole[:cut])
        assert bytes(read) == whole[:cut]
        access_everything(read)
        assert bytes(read) == whole[:cut]
        assert bytes(retyped(read)) == whole[:cut]
        if whole is IPFIX_OCTETS:
            assert read.all_defects  # its length says more


# Building


def test_an_ipfix_message():
    built = IPFIX(
        exportTime=0x01020304,
        sequenceNumber=5,
        observationDomainId=6,
        sets=[TemplateSet(templates=[T]), DataSet(template=T, records=ROWS)],
    )
    assert bytes(built).hex() == (
        "000a 0034 01020304 00000005 00000006"
        "0002 0010 012c 0002 0008 0004 0001 0004"
        "012c 0014 c0000201 00000005 c0000202 00000006"
    ).replace(" ", "")


def test_a_netflow_v9_message():
    built = NetFlowV9(
        sysUptime=7,
        unixSecs=0x01020304,
        sequenceNumber=5,
        sourceId=6,
        sets=[TemplateFlowSet(templates=[T]), DataFlowSet(template=T, records=ROWS)],
    )
    assert bytes(built).hex() == (
        "0009 0003 00000007 01020304 00000005 00000006"
        "0000 0010 012c 0002 0008 0004 0001 0004"
        "012c 0014 c0000201 00000005 c0000202 00000006"
    ).replace(" ", "")


def test_sets_by_division_and_in_a_list_are_the_same():
    first, second = TemplateSet(templates=[T]), DataSet(template=T, records=ROWS)
    whole = bytes(IPFIX(exportTime=1, sets=[first, second]))
    assert bytes(IPFIX(exportTime=1) / first / second) == whole
    assert bytes(IPFIX(exportTime=1) / (first / second)) == whole
    assert bytes(IPFIX(exportTime=1, sets=[first]) / second) == whole
    assert bytes(ETHER / IP() / UDP() / IPFIX(exportTime=1) / first / second)[42:] == whole
    assert bytes(ETHER / IP() / UDP() / (IPFIX(exportTime=1) / first / second))[42:] == whole
    assert not (IPFIX() / first / second).payload
    assert len((IPFIX() / first / second).sets) == 2
    empty = IPFIX()
    empty / first
    assert empty.sets == []
    assert IPFIX().sets == []


def test_other_packets_follow_the_message():
    built = IPFIX(exportTime=1) / TemplateSet() / Raw(b"abc")
    assert bytes(built) == bytes(IPFIX(exportTime=1, sets=[TemplateSet()])) + b"abc"
    assert bytes(built)[2:4] == b"\0\x14"
    assert built.payload == Raw(b"abc")


def test_counts_of_netflow_v9():
    template = TemplateFlowSet(templates=[T, T.with_id(302)])
    options = OptionsTemplateFlowSet(templates=[SCOPED])
    data = DataFlowSet(template=T, records=ROWS)
    for sets, count in (
        ([], 0),
        ([template], 2),
        ([options], 1),
        ([data], 2),
        ([template, options, data, data], 7),
        ([DataFlowSet(template=T)], 0),
        ([DataFlowSet(setId=999, records=[b"abc"])], 1),
        ([Set(setId=77), b"octets"], 0),
    ):
        built = NetFlowV9(sets=sets)
        assert built.record_count() == count
        assert bytes(built)[2:4] == count.to_bytes(2, "big")
    assert bytes(NetFlowV9(count=99, sets=[data]))[2:4] == b"\0\x63"
    by_division = NetFlowV9() / template / data
    assert bytes(by_division)[2:4] == b"\0\4"


def test_given_lengths_are_kept():
    assert bytes(IPFIX(length=3, sets=[DataSet()]))[2:4] == b"\0\3"
    assert bytes(IPFIX(version=77))[:2] == b"\0\x4d"


def test_a_message_too_long_for_its_length_field():
    built = IPFIX(sets=[DataSet(setId=300, records=[bytes(60000)])] * 2)
    with pytest.raises(ValueError, match="120024 octets; a Message has at most 65535"):
        bytes(built)
    built.length = 0
    assert len(bytes(built)) == 120024


# Dissecting


def test_octets_past_the_length_become_padding():
    read = IPFIX(IPFIX_OCTETS + b"more")
    assert read.payload == Padding(b"more")
    assert [each.code for each in read.all_defects] == ["message-trailing"]
    assert bytes(read) == IPFIX_OCTETS + b"more"
    assert len(read.records) == 4


@pytest.mark.parametrize(
    ("length", "codes"),
    [
        (len(IPFIX_OCTETS), []),
        (len(IPFIX_OCTETS) + 1, ["message-truncated"]),
        (65535, ["message-truncated"]),
        (15, ["message-length"]),
        (0, ["message-length"]),
    ],
)
def test_wrong_lengths(length, codes):
    octets = IPFIX_OCTETS[:2] + struct.pack("!H", length) + IPFIX_OCTETS[4:]
    read = IPFIX(octets)
    assert [each.code for each in read.defects] == codes
    assert bytes(read) == octets
    assert len(read.records) == 4


@pytest.mark.parametrize("octets", [IPFIX_OCTETS, V9_OCTETS], ids=["IPFIX", "v9"])
def test_a_message_is_bound_to_its_own_templates(octets):
    read = make_message(octets)
    assert [len(each.records) for each in read.sets[1::2]] == [2, 2]
    assert read.sets[1].template == T
    assert read.records[2].scope
    assert not read.all_defects


def test_data_before_its_template_in_the_same_message():
    whole = bytes(
        IPFIX(
            exportTime=1,
            sets=[
                DataSet(template=T, records=ROWS),
                TemplateSet(templates=[T]),
                DataSet(template=T, records=ROWS[:1]),
            ],
        )
    )
    read = IPFIX(whole)
    assert [len(each.records) for each in read.sets[::2]] == [2, 1]
    assert bytes(read) == whole


def test_a_template_that_changes_within_a_message():
    other = Template(300, "destinationIPv4Address")
    read = IPFIX(
        bytes(
            IPFIX(
                sets=[
                    TemplateSet(templates=[T]),
                    DataSet(template=T, records=ROWS),
                    TemplateSet(templates=[other]),
                    DataSet(template=other, records=[("192.0.2.9",)]),
                ]
            )
        )
    )
    assert read.sets[1].template == T
    assert read.sets[3].records[0].destinationIPv4Address == "192.0.2.9"


def test_octets_after_the_last_set():
    octets = bytearray(IPFIX_OCTETS + b"\0\0\0")
    octets[2:4] = len(octets).to_bytes(2, "big")
    read = IPFIX(bytes(octets))
    assert read.sets[-1] == Raw(b"\0\0\0")
    assert [each.code for each in read.all_defects] == ["sets-trailing"]
    octets[-1] = 7
    read = IPFIX(bytes(octets))
    assert [each.text for each in read.all_defects] == ["3 octets follow the last Set: 00 00 07"]
    assert bytes(read) == bytes(octets)


def test_sets_by_layer():
    read = Ether(bytes(ETHER / IP() / UDP(sport=4739, dport=4739) / Raw(IPFIX_OCTETS)))
    first, second = read[DataSet], read.getlayer(DataSet, 2)
    assert (first.setId, second.setId) == (300, 301)
    assert read.getlayer(DataSet, 3) is None
    assert read[TemplateSet].templates[0].templateId == 300
    assert type(read[OptionsTemplateSet]) is OptionsTemplateSet
    assert read.getlayer(TemplateSet, 2) is read[OptionsTemplateSet]
    assert read[TemplateRecord].templateId == 300
    assert read[Record].octetDeltaCount == 5
    assert read.getlayer(Record, 4).interfaceName == ""
    assert read.getlayer(Record, 5) is None
    assert read.haslayer(DataSet)
    assert DataSet in read
    assert NetFlowV9 not in read
    assert read.getlayer(DataSet, setId=301) is second
    v9 = UDP(bytes(UDP(sport=2055, dport=2055) / Raw(V9_OCTETS)))
    assert v9[DataSet] is v9[DataFlowSet]
    assert v9.getlayer(DataSet, 2).setId == 301
    assert v9[TemplateSet] is v9[TemplateFlowSet]
    assert v9[NetFlowV9].records == [v9.getlayer(Record, i) for i in range(1, 5)]


def test_records_of_all_sets():
    assert len(IPFIX(IPFIX_OCTETS).records) == 4
    assert IPFIX(bytes(IPFIX())).records == []


def test_a_message_of_16000_empty_sets():
    octets = struct.pack("!HH12x", 10, 64016) + struct.pack("!HH", 300, 4) * 16000
    read = IPFIX(octets)
    assert len(read.sets) == 16000
    assert bytes(read) == octets
    assert read.getlayer(DataSet, 16000) is read.sets[-1]
    assert "0 records" in read.summary()


# Headers cut off


@pytest.mark.parametrize(("cls", "whole"), [(IPFIX, IPFIX_OCTETS), (NetFlowV9, V9_OCTETS)])
def test_a_header_cut_off(cls, whole):
    for cut in range(1, cls.header_length):
        read = cls(whole[:cut])
        assert bytes(read) == whole[:cut]
        assert [each.code for each in read.defects] == ["header-truncated"]
        assert read.sets == []
        assert read.records == []
        if cut >= 2:
            assert read.version == cls.version_number
        assert bytes(read.copy()) == whole[:cut]
        access_everything(read)


def test_make_message():
    assert type(make_message(IPFIX_OCTETS)) is IPFIX
    assert type(make_message(V9_OCTETS)) is NetFlowV9
    for octets in (b"", b"\0", b"\x0a", b"\x09", b"\0\5", b"\0\x0b" + bytes(50)):
        assert make_message(octets) is None


# Scapy's conventions


@pytest.mark.parametrize("cls", [IPFIX, NetFlowV9])
def test_conventions(cls, capsys):
    ls(cls)
    assert "sequenceNumber" in capsys.readouterr().out
    assert cls in conf.layers
    assert cls().name in cls().summary() or cls.__name__ in cls().summary()
    assert hexdump(cls(), dump=True)
    built = cls(sets=[Template(300, "octetDeltaCount")])
    assert bytes(retyped(built))[16:] == bytes(built)[16:]
    for _ in range(10):
        assert len(bytes(fuzz(cls()))) == cls.header_length
    assert len({bytes(fuzz(built)) for _ in range(10)}) == 10


def test_fuzzing_a_message_fuzzes_its_sets():
    built = message(10, (T, []))
    built.sets[1].records = [Record(T)]
    bodies = {bytes(fuzz(built))[-8:] for _ in range(10)}
    assert len(bodies) > 1


def test_summary():
    assert IPFIX(IPFIX_OCTETS).summary() == "IPFIX domain=0 seq=0 2 templates, 4 records"
    assert NetFlowV9(V9_OCTETS).summary() == "NetFlow v9 source=0 seq=0 2 templates, 4 records"
    unknown = IPFIX(bytes(IPFIX(sets=[DataSet(setId=999, records=[b"abc"])])))
    assert unknown.summary().endswith("0 templates, 0 records, 1 set of unknown template")


def test_show_names_and_types_every_field():
    text = IPFIX(IPFIX_OCTETS).show(dump=True)
    for part in (
        "###[ IPFIX ]###",
        "exportTime= 1970-01-01T00:00:01Z",
        "###[ Template Set ]###",
        "sourceIPv4Address (8) 4 octets",
        "###[ Data Set ]###",
        "sourceIPv4Address= 192.0.2.1",
        "scope meteringProcessId",
        "interfaceName= 'eth0'",
    ):
        assert part in text
    assert NetFlowV9(V9_OCTETS).sprintf("%NetFlowV9.sourceId%") == "0"


@pytest.mark.parametrize("octets", [IPFIX_OCTETS, V9_OCTETS], ids=["IPFIX", "v9"])
def test_pickling(octets):
    read = make_message(octets)
    for packet in (read, read.copy()):
        again = pickle.loads(pickle.dumps(packet))
        assert type(again) is type(read)
        assert bytes(again) == octets
        assert again.records == read.records
        assert again.records[0].template == T
        access_everything(again)
    read.time = 5.5
    assert pickle.loads(pickle.dumps(read)).time == 5.5


def test_pickling_keeps_templates_that_the_message_does_not_define():
    read = IPFIX(bytes(IPFIX(sets=[DataSet(template=T, records=ROWS)])))
    read.sets[0].bind(T)
    again = pickle.loads(pickle.dumps(read))
    assert again.records[1].octetDeltaCount == 6
    assert again.sets[0].template == T


def test_unpickled_sets_share_the_context_of_lists():
    sets = [TemplateSet(templates=[T]), *(DataSet(template=T, records=ROWS) for _ in range(3))]
    again = pickle.loads(pickle.dumps(IPFIX(bytes(IPFIX(sets=sets)))))
    contexts = [again.context.lists(index) for index in (1, 2, 3)]
    assert contexts == contexts[:1] * 3
    assert contexts[0].template(T.id) == T
    assert contexts[0].template(T.id + 1) is None


def test_copies():
    read = IPFIX(IPFIX_OCTETS)
    for each in (read.copy(), copy.copy(read), copy.deepcopy(read)):
        assert each == read
        assert bytes(each) == IPFIX_OCTETS
        each.sets[1].records[0].octetDeltaCount = 99
        each.observationDomainId = 99
    assert bytes(read) == IPFIX_OCTETS
    (each,) = read
    assert bytes(each) == IPFIX_OCTETS


def test_layers_that_carry_a_message_can_be_rebuilt():
    frame = bytes(ETHER / IP() / UDP(sport=4739, dport=4739) / Raw(IPFIX_OCTETS))
    read = Ether(frame)
    assert bytes(read) == frame
    access_everything(read[IPFIX])
    assert bytes(read) == frame
    read[Record].octetDeltaCount = 77
    del read[IP].len, read[IP].chksum, read[UDP].len, read[UDP].chksum
    again = Ether(bytes(read))
    assert again[Record].octetDeltaCount == 77
    assert again[UDP].chksum != read.__class__(frame)[UDP].chksum
    assert bytes(retyped(Ether(frame))) == frame


def test_several_values_give_several_packets():
    assert [each.observationDomainId for each in IPFIX(observationDomainId=[1, 2])] == [1, 2]
    packets = list(IP(dst=["192.0.2.1", "192.0.2.2"]) / UDP() / message(10, (T, ROWS)))
    assert [bytes(each[IPFIX]) for each in packets] == [bytes(message(10, (T, ROWS)))] * 2


def test_a_star_import():
    program = (
        "from scapy.all import *\n"
        "from scapy_ipfix import *\n"
        "t = Template(256, 'octetDeltaCount')\n"
        "s = DataSet(template=t, records=[(1,)])\n"
        "m = IPFIX(exportTime=1) / TemplateSet(templates=[t]) / s\n"
        "assert IPFIX(raw(m)).records[0].octetDeltaCount == 1\n"
        "assert bytes(eval(m.command())) == raw(m)\n"
        "ls(IPFIX)\n"
        "assert IP and UDP and sniff and IPFIXSession and NetFlowV9 and bind_port and elements\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "observationDomainId" in done.stdout

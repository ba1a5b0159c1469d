# SPDX-License-Identifier: GPL-2.0-or-later
"""Sets and FlowSets: headers, padding, records, and undecoded octets."""

import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.packet import Raw, fuzz, ls

from scapy_ipfix import (
    DataFlowSet,
    DataSet,
    OptionsTemplateFlowSet,
    OptionsTemplateSet,
    Record,
    Set,
    Template,
    TemplateFlowSet,
    TemplateRecord,
    TemplateSet,
)
from scapy_ipfix.layers.sets import set_class
from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.structured import ListContext
from tests.builders import codes
from tests.strategies import filled, retyped

T = Template(300, "sourceIPv4Address", "octetDeltaCount[4]")
V = Template(301, "interfaceName", "protocolIdentifier")
ROWS = [("192.0.2.1", 5), ("192.0.2.2", 6)]
BODY = bytes.fromhex("c0000201 00000005 c0000202 00000006")


def octets(set_id, body, length=None):
    return struct.pack("!HH", set_id, len(body) + 4 if length is None else length) + body


# Set headers


@pytest.mark.parametrize(
    ("packet", "header"),
    [
        (TemplateSet(), "00020004"),
        (OptionsTemplateSet(), "00030004"),
        (TemplateFlowSet(), "00000004"),
        (OptionsTemplateFlowSet(), "00010004"),
        (DataSet(), "01000004"),
        (DataSet(template=T), "012c0004"),
        (DataSet(template=T, setId=999), "03e70004"),
        (DataSet(setId=999, length=77), "03e7004d"),
        (Set(setId=4), "00040004"),
        (Set(setId=4, length=0), "00040000"),
        (Set(), "00000004"),
    ],
)
def test_headers_are_computed(packet, header):
    assert bytes(packet).hex() == header


@pytest.mark.parametrize(
    ("version", "set_id", "cls"),
    [
        *[(10, 0, Set), (10, 1, Set), (10, 2, TemplateSet), (10, 3, OptionsTemplateSet)],
        *[(10, 4, Set), (10, 255, Set), (10, 256, DataSet), (10, 65535, DataSet)],
        *[(9, 0, TemplateFlowSet), (9, 1, OptionsTemplateFlowSet), (9, 2, Set), (9, 255, Set)],
        *[(9, 256, DataFlowSet), (9, 65535, DataFlowSet)],
    ],
)
def test_the_class_of_an_id(version, set_id, cls):
    assert set_class(version, set_id) is cls


def test_flowsets_are_sets():
    assert issubclass(DataFlowSet, DataSet)
    assert issubclass(TemplateFlowSet, TemplateSet)
    assert issubclass(OptionsTemplateFlowSet, OptionsTemplateSet)
    assert issubclass(OptionsTemplateSet, TemplateSet)
    assert all(issubclass(each, Set) for each in (DataSet, TemplateSet))


def test_a_set_too_long_for_its_length_field():
    with pytest.raises(ValueError, match="65540 octets; a Set has at most 65535"):
        bytes(DataSet(records=[bytes(65536)]))
    assert len(bytes(DataSet(records=[bytes(65536)], length=4))) == 65540


@given(st.sampled_from([9, 10]), st.binary(min_size=1, max_size=100))
def test_any_octets_are_a_set(version, whole):
    packet = set_class(version, int.from_bytes(whole[:2], "big"))(whole)
    assert bytes(packet) == whole
    packet.show(dump=True)
    packet.command()
    packet.summary()
    assert bytes(packet) == whole
    assert bytes(packet.copy()) == whole
    if len(whole) >= 4:
        packet.length = packet.length
        assert bytes(packet) == whole
    if isinstance(packet, DataSet) and len(whole) >= 4:
        for template in (T, V, Template(300, "octetDeltaCount[0]"), Template(300)):
            assert bytes(packet.bind(template)) == whole
            packet.show(dump=True)
            assert bytes(packet) == whole
            assert bytes(retyped(packet)) == bytes(packet)


# Data Sets


@given(st.sampled_from([9, 10]).flatmap(filled), st.integers(0, 9))
def test_dissected_data_sets_equal_built_ones(case, padding):
    template = case.template
    for cls in (DataSet, DataFlowSet):
        data = cls(template=template, records=case.rows, padding=bytes(padding))
        whole = bytes(data)
        assert len(data.records) == len(case.rows)
        read = cls(whole)
        assert read.records == []
        assert (read.undecoded or b"") == whole[4:]
        read.bind(template)
        assert bytes(read) == whole
        if padding < template.length:
            assert [tuple(each.values().values()) for each in read.records] == case.rows
            assert read.padding == bytes(padding)
            # Values may violate their type, such as a boolean of 3.
            assert set(codes(read.defects)) <= {"set-empty", "value", "padding-long"}
        assert bytes(read) == whole
        assert bytes(retyped(read)) == whole
        assert pickle.loads(pickle.dumps(read)).records == read.records
        again = read.copy()
        again.records
        assert bytes(again) == whole
        again.template = template
        assert bytes(again) == whole


def test_records_in_every_form_are_the_same_octets():
    forms = [
        ROWS,
        [list(row) for row in ROWS],
        [dict(zip(T.names, row)) for row in ROWS],
        [Record(T, sourceIPv4Address=row[0], octetDeltaCount=row[1]) for row in ROWS],
        [BODY[:8], BODY[8:]],
        [ROWS[0], dict(zip(T.names, ROWS[1]))],
        [ROWS[0], BODY[8:]],
        tuple(ROWS),
    ]
    for records in forms:
        data = DataSet(template=T, records=records)
        assert bytes(data) == octets(300, BODY)
        assert len(data.records) == 2
        assert data.records[0].octetDeltaCount == 5
        data = DataSet(template=T)
        data.records = records
        assert bytes(data) == octets(300, BODY)


def test_padding():
    assert bytes(DataSet(template=T, records=ROWS, padding=b"\0\0")) == octets(300, BODY + b"\0\0")
    read = DataSet(octets(300, BODY + b"\0\0")).bind(T)
    assert read.padding == b"\0\0"
    assert not read.undecoded
    assert codes(read.defects) == []
    read = DataSet(octets(300, BODY + b"\0\1")).bind(T)
    assert read.padding == b"\0\1"
    assert codes(read.defects) == ["padding-nonzero"]
    assert "zero octets" in DataSet(octets(300, BODY + b"\0\0")).bind(T).show(dump=True)


def test_a_record_cut_off():
    template = Template(301, "interfaceName", "protocolIdentifier")
    whole = octets(301, b"\4eth0\6" + b"\4et")
    read = DataSet(whole).bind(template)
    assert len(read.records) == 1
    assert read.undecoded == b"\4et"
    assert read.padding == b""
    assert codes(read.defects) == ["record-truncated"]
    assert "record 2" in read.defects[0].text
    assert bytes(read) == whole
    read.records[0].protocolIdentifier = 7
    assert bytes(read) == whole.replace(b"\6", b"\7")


def test_flowsets_end_on_32_bits():
    template = Template(300, "protocolIdentifier")
    for count in range(1, 9):
        data = DataFlowSet(template=template, records=[(6,)] * count)
        assert len(bytes(data)) % 4 == 0
        assert bytes(data)[2:4] == len(bytes(data)).to_bytes(2, "big")
        assert len(bytes(DataSet(template=template, records=[(6,)] * count))) == 4 + count
        tight = DataFlowSet(template=template, records=[(6,)] * count, padding=b"")
        assert bytes(tight) == octets(300, b"\6" * count)
    scoped = Template(300, "scopeSystem", "octetDeltaCount", scope=1)
    assert len(bytes(OptionsTemplateFlowSet(templates=[scoped]))) % 4 == 0
    assert bytes(OptionsTemplateFlowSet(templates=[scoped]))[-2:] == b"\0\0"


def test_binding_again():
    read = DataSet(octets(300, BODY)).bind(T)
    assert len(read.records) == 2
    read.bind(Template(300, "octetDeltaCount[1]"))
    assert len(read.records) == 16
    assert bytes(read) == octets(300, BODY)
    read.bind(Template(300, "octetDeltaCount[5]"))
    assert (len(read.records), read.padding) == (3, BODY[15:])
    assert bytes(read) == octets(300, BODY)


def test_zero_length_templates_do_not_loop():
    read = DataSet(octets(300, BODY)).bind(Template(300, "octetDeltaCount[0]"))
    assert read.records == []
    assert read.undecoded == BODY
    assert bytes(read) == octets(300, BODY)


def test_a_data_set_of_unknown_template():
    read = DataSet(octets(300, BODY))
    assert read.template is None
    assert "undecoded" in read.show(dump=True)
    assert read.summary() == "Data Set 300: template unknown, 16 octets"
    assert DataSet(octets(300, b"")).bind(T).summary() == "Data Set 300: 0 records"
    assert [each.code for each in DataSet(octets(300, b"")).bind(T).defects] == ["set-empty"]


def test_other_templates_are_rejected():
    with pytest.raises(ValueError, match="'T' is not a Template"):
        DataSet(template="T")


def test_changed_records_change_the_set():
    read = DataSet(octets(300, BODY)).bind(T)
    read.records[1].octetDeltaCount = 7
    assert bytes(read) == octets(300, BODY[:-1] + b"\7")
    del read.records[0]
    assert bytes(read) == octets(300, BODY[8:-1] + b"\7", length=20)
    del read.length
    assert bytes(read) == octets(300, BODY[8:-1] + b"\7")


# Template Sets


def test_template_sets():
    whole = bytes.fromhex("00020018012c0002 00080004 00010004012d0001 00040001")
    second = Template(301, "protocolIdentifier")
    assert bytes(TemplateSet(templates=[T, second])) == whole
    assert bytes(TemplateSet(templates=[T, TemplateRecord.from_template(second)])) == whole
    read = TemplateSet(whole)
    assert [each.template for each in read.templates] == [T, second]
    assert read.summary() == "Template Set: 2 templates"
    assert bytes(read) == whole
    assert codes(read.defects) == []


def test_template_sets_take_one_template():
    assert bytes(TemplateSet(templates=T)) == bytes(TemplateSet(templates=[T]))
    with pytest.raises(ValueError, match="templates: 5 is neither"):
        TemplateSet(templates=[5])


def test_withdrawals():
    template, options = Template(300), Template(300, "octetDeltaCount", scope=1)
    assert bytes(TemplateSet(templates=[template])).hex() == "00020008012c0000"
    assert bytes(OptionsTemplateSet(templates=[template])).hex() == "00030008012c0000"
    whole = bytes(OptionsTemplateSet(templates=[template, options, template]))
    read = OptionsTemplateSet(whole)
    assert [each.is_withdrawal for each in read.templates] == [True, False, True]
    assert bytes(read) == whole
    assert "withdrawal of template 300" in read.templates[0].summary()


@pytest.mark.parametrize("zeros", range(9))
def test_padding_of_template_sets(zeros):
    for cls in (TemplateSet, TemplateFlowSet):
        whole = bytes(cls(templates=[T], padding=bytes(zeros)))
        read = cls(whole)
        assert read.padding == bytes(zeros)
        assert len(read.templates) == 1
        assert codes(read.defects) == []
        read.show(dump=True)
        assert bytes(read) == whole


def test_octets_after_templates_that_are_not_padding():
    whole = bytes(TemplateSet(templates=[T], padding=b"\0\1\2"))
    read = TemplateSet(whole)
    assert read.padding == b"\0\1\2"
    assert codes(read.defects) == ["padding-nonzero"]
    whole = bytes(TemplateSet(templates=[T], padding=b"\1\2\0\1\0"))
    read = TemplateSet(whole)
    assert read.padding == b"\1\2\0\1\0"
    assert codes(read.defects) == ["template-truncated"]
    assert bytes(read) == whole


def test_sets_of_reserved_ids_keep_their_octets():
    read = Set(octets(77, b"abc"))
    assert read.data == b"abc"
    assert codes(read.defects) == ["set-reserved"]
    assert bytes(read) == octets(77, b"abc")
    read.data = b"xyz"
    assert bytes(read) == octets(77, b"xyz")


def test_octets_after_a_set_become_its_payload():
    read = Set(octets(77, b"abc") + b"more")
    assert bytes(read) == octets(77, b"abc") + b"more"
    assert Set(b"\1\2").payload == Raw(b"\1\2") or bytes(Set(b"\1\2")) == b"\1\2"
    assert codes(Set(b"\1\2").defects) == ["set-length"]


# Scapy's conventions


@pytest.mark.parametrize(
    "cls",
    [
        *[Set, TemplateSet, OptionsTemplateSet, DataSet],
        *[TemplateFlowSet, OptionsTemplateFlowSet, DataFlowSet],
    ],
)
def test_conventions(cls, capsys):
    ls(cls)
    assert "setId" in capsys.readouterr().out
    packet = cls()
    assert bytes(retyped(packet)) == bytes(packet) == bytes(packet.copy())
    assert packet.summary()
    assert packet.show(dump=True)
    assert bytes(pickle.loads(pickle.dumps(packet))) == bytes(packet)
    for _ in range(5):
        assert len(bytes(fuzz(cls()))) >= 4


def test_fuzzed_records():
    data = fuzz(DataSet(template=T, records=[Record(T)]))
    assert len({bytes(data) for _ in range(20)}) > 1
    assert all(len(bytes(data)) == 12 for _ in range(5))


def test_sets_chain():
    chain = TemplateSet(templates=[T]) / DataSet(template=T, records=ROWS)
    assert bytes(chain) == bytes(TemplateSet(templates=[T])) + octets(300, BODY)


def test_pickling_keeps_the_template():
    data = pickle.loads(pickle.dumps(DataSet(octets(300, BODY)).bind(T)))
    assert data.template == T
    assert data.records[1].octetDeltaCount == 6
    assert pickle.loads(pickle.dumps(DataSet(octets(300, BODY)))).undecoded == BODY


def test_copies_of_data_sets_keep_the_context():
    class Context(RecordContext):
        def sampling_rate(self, template, values):
            return 10 * values["octetDeltaCount"]

    inner = Template(300, "ipTTL")
    outer = Template(256, "octetDeltaCount[4]", "subTemplateList")
    rows = [(5, (inner, [(64,)]))]
    data = DataSet(bytes(DataSet(template=outer, records=rows)))
    data.bind(outer, ListContext({300: inner}.get), Context())
    for each in (data, data.copy(), data.copy().copy()):
        assert each.records[0].sampling_rate == 50
        assert each.records[0].subTemplateList.records[0].ipTTL == 64
        assert each.defects == []
    assert DataSet(bytes(data)).bind(outer).copy().records[0].sampling_rate is None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Data Records as packets: fields, scope, names, copies, and Scapy's conventions."""

import copy
import ipaddress
import math
import pickle
from datetime import datetime, timezone
from inspect import signature

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.packet import Packet, Raw, fuzz, ls

from scapy_ipfix import DataFlowSet, DataSet, Record, Template
from scapy_ipfix.layers.recordlists import make_record
from scapy_ipfix.layers.records import read_records
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.model import elements
from tests.strategies import PROMPT, filled, retyped

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount[4]", "interfaceName")
OCTETS = bytes.fromhex("c0000201 00000005 04") + b"eth0"


def flow():
    return Record(FLOW, OCTETS)


def read(template, rows):
    """Return the records of a dissected Data Set."""
    return DataSet(bytes(DataSet(template=template, records=rows))).bind(template).records


# Properties


@given(st.sampled_from([9, 10]).flatmap(lambda version: filled(version, 1)), st.data())
def test_records_from_the_wire_rebuild(case, data):
    template = case.template
    for row, record in zip(case.rows, read(template, case.rows)):
        octets = template.encode(row)
        assert bytes(record) == octets
        assert tuple(record.values().values()) == row
        # Assign a field its own value, so that the record builds from fields.
        name = data.draw(st.sampled_from(record._attributes))
        value = record.fields[name]
        record.setfieldval(name, value)
        assert record.raw_packet_cache is None
        assert bytes(record) == octets
        crafted = Record(template, **dict(zip(record._attributes, row)))
        assert bytes(crafted) == octets
        assert bytes(Record(template, octets)) == octets
        assert bytes(retyped(record)) == octets
        assert bytes(pickle.loads(pickle.dumps(record))) == octets
        assert bytes(copy.deepcopy(record)) == octets
        assert record.literal().startswith("{")
        typed = eval(record.literal(), dict(PROMPT))
        assert bytes(make_record(template, typed)) == octets


@given(filled(), st.binary(max_size=60), st.data())
def test_any_octets_are_a_record_that_rebuilds(case, octets, data):
    record = Record(case.template, octets)
    assert bytes(record) == (octets or bytes(Record(case.template)))
    record.show(dump=True)
    record.values("python")
    record.values("json")
    if not record.fields:
        return
    name = data.draw(st.sampled_from(record._attributes))
    record.setfieldval(name, record.fields[name])
    again = Record(case.template, bytes(record))
    assert repr(again.fields) == repr(record.fields)  # repr, since nan is not nan


# Crafting


def test_crafting():
    record = Record(FLOW, sourceIPv4Address="192.0.2.1", octetDeltaCount=5, interfaceName="eth0")
    assert bytes(record) == OCTETS
    assert record == flow()
    assert Record(template=FLOW, octetDeltaCount=5).octetDeltaCount == 5
    assert bytes(Record(FLOW)) == bytes(9)


def test_netflow_names():
    record = Record(FLOW, IPV4_SRC_ADDR="192.0.2.1")
    assert record.sourceIPv4Address == record.IPV4_SRC_ADDR == record["IPV4_SRC_ADDR"]
    record.IN_BYTES = 9
    assert record.octetDeltaCount == record.IN_BYTES == 9


def test_names_that_the_template_does_not_have():
    for name in ("nosuch", "destinationIPv4Address", "DST_MASK"):
        with pytest.raises(AttributeError, match=f"template 256 has no field '{name}'"):
            Record(FLOW, **{name: 1})
        with pytest.raises(AttributeError, match=name):
            setattr(flow(), name, 1)
        with pytest.raises(AttributeError, match=name):
            getattr(flow(), name)
        assert not hasattr(flow(), name)
        with pytest.raises(IndexError):
            flow()[name]


def test_forms_of_a_record():
    for item in (
        flow(),
        OCTETS,
        bytearray(OCTETS),
        ("192.0.2.1", 5, "eth0"),
        ["192.0.2.1", 5, "eth0"],
        {"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 5, "interfaceName": "eth0"},
        {"IPV4_SRC_ADDR": "192.0.2.1", "IN_BYTES": 5, "IF_NAME": "eth0"},
    ):
        assert bytes(make_record(FLOW, item)) == OCTETS
        assert bytes(DataSet(template=FLOW, records=[item]))[4:] == OCTETS
    with pytest.raises(ValueError, match="the row has no sourceIPv4Address, octetDeltaCount"):
        make_record(FLOW, {"interfaceName": "eth0"})
    filled = DataSet(template=FLOW, records=[{"interfaceName": "eth0"}], defaults=True)
    assert bytes(filled)[4:] == bytes(8) + b"\4eth0"


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (("192.0.2.1",), "template 256.*1 values for 3 fields"),
        (("192.0.2.1", 1, "", 1), "template 256.*4 values for 3 fields"),
        ({"nosuch": 1}, "template 256 has no field 'nosuch'; it has source"),
        (
            {"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 1 << 32, "interfaceName": ""},
            "template 256, field octetDeltaCount: 4294967296.*4294967295",
        ),
        (("192.0.2.1", -1, ""), "template 256, field octetDeltaCount: -1 .*0 to 4294967295"),
        (("192.0.2.1", 1, "x" * 65536), "template 256, field interfaceName: 65536 octets"),
        (("1.2.3", 1, ""), "template 256, field sourceIPv4Address: '1.2.3'"),
        (5, "template 256: 5 is not a record"),
        ("192.0.2.1", "template 256: '192.0.2.1' is not a record"),
        (None, "template 256: None is not a record"),
    ],
)
def test_a_set_rejects_other_records(item, message):
    with pytest.raises(ValueError, match=message):
        DataSet(template=FLOW, records=[("192.0.2.1", 5, "eth0"), item])
    with pytest.raises(ValueError, match=message):
        make_record(FLOW, item)


def test_a_set_without_a_template_takes_packets_and_octets_only():
    assert bytes(DataSet(setId=300, records=[b"abc", flow()]))[4:] == b"abc" + OCTETS
    for item in ({"a": 1}, ("a",)):
        with pytest.raises(ValueError, match="template="):
            DataSet(records=[item])


# Access


def test_values():
    template = Template(256, "sourceIPv4Address", "flowStartSeconds", "dataRecordsReliability")
    record = Record(template, sourceIPv4Address="192.0.2.1", flowStartSeconds=0)
    assert record.values() == {
        "sourceIPv4Address": "192.0.2.1",
        "flowStartSeconds": 0,
        "dataRecordsReliability": False,
    }
    assert record.values("python") == {
        "sourceIPv4Address": ipaddress.ip_address("192.0.2.1"),
        "flowStartSeconds": datetime(1970, 1, 1, tzinfo=timezone.utc),
        "dataRecordsReliability": False,
    }
    with pytest.raises(ValueError, match="'numpy'"):
        record.values("numpy")


def test_options_records_show_their_scope():
    template = Template(256, "ingressInterface", "interfaceName", scope=1)
    records = read(template, [(1, "eth0"), (2, "eth1")])
    assert [record.scope for record in records] == [
        {"ingressInterface": 1},
        {"ingressInterface": 2},
    ]
    assert "scope ingressInterface" in records[0].name
    assert records[0].template.fields[0].is_scope
    assert "scope" in records[0].show(dump=True)
    assert flow().scope == {}
    assert "scope" not in flow().name


def test_the_same_element_more_than_once():
    template = Template(256, "tcpControlBits[1]", "protocolIdentifier", "tcpControlBits[1]")
    (record,) = read(template, [(1, 6, 2)])
    assert (record.tcpControlBits, record.tcpControlBits_2) == (1, 2)
    assert record.values() == {"tcpControlBits": 1, "protocolIdentifier": 6, "tcpControlBits_2": 2}
    record.tcpControlBits_2 = 3
    assert bytes(record) == b"\1\6\3"


def test_elements_with_the_name_of_a_packet_attribute():
    names = ("payload", "fields", "show", "template", "values", "time", "name", "scope", "copy")
    chosen = [InformationElement(name, i, 99999) for i, name in enumerate(names, 1)]
    template = Template(256, *chosen)
    record = Record(template, bytes(range(1, 1)) + b"\1x" * len(names))
    assert [record[name] for name in names] == [b"x"] * len(names)
    assert record.values() == dict.fromkeys(names, b"x")
    assert record.payload_ == record.time_ == b"x"
    record.show_ = b"yy"
    assert record["show"] == b"yy"
    assert "show_" in record.show(dump=True)
    row = template.row({"copy": b"z"}, defaults=True)
    assert bytes(make_record(template, row)).endswith(b"\1z")
    record = retyped(record)
    assert record["show"] == b"yy"
    known = elements[6871, 18]
    assert known.name == "payload"
    assert Record(Template(256, known), payload_=b"x").values() == {"payload": b"x"}


def test_elements_whose_name_is_no_identifier():
    names = ("a.b", "a-b", "a_b", "class", "None", "post_transform", "_internal", "_underlayer")
    chosen = [InformationElement(name, i, 99999) for i, name in enumerate(names, 1)]
    template = Template(256, *chosen)
    (record,) = read(template, [tuple(name.encode() for name in names)])
    assert record.values() == {name: name.encode() for name in names}
    assert [record[name] for name in names] == [name.encode() for name in names]
    assert (record.a_b, record.a_b_, record.a_b__) == (b"a.b", b"a-b", b"a_b")
    assert record.class_ == b"class"
    assert bytes(retyped(record)) == bytes(record)
    assert bytes(make_record(template, record.values())) == bytes(record)


@given(st.lists(st.text("a_4.-", min_size=1, max_size=4), unique=True, min_size=1, max_size=30))
def test_names_of_any_kind_are_attributes(names):
    names = [f"x{name}" for name in names]
    template = Template(256, *(InformationElement(n, i, 99999) for i, n in enumerate(names, 1)))
    (record,) = read(template, [tuple(name.encode() for name in names)])
    assert all(each.isidentifier() for each in record._attributes)
    assert [getattr(record, each) for each in record._attributes] == [n.encode() for n in names]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("field", ["absoluteError", "absoluteError[4]", "absoluteError[v]"])
def test_floats_without_a_literal(field, value):
    template = Template(256, field)
    data = DataSet(template=template, records=[(value,)])
    assert bytes(retyped(data)) == bytes(data)
    assert bytes(retyped(data.records[0])) == bytes(data)[4:]


def test_unknown_elements():
    template = Template(256, (4242, 7), (0, 30000))
    (record,) = read(template, [(b"ab", b"")])
    assert record._ipfix_4242_7 == b"ab"
    assert record.values() == {"_ipfix_4242_7": b"ab", "_ipfix_0_30000": b""}
    record._ipfix_4242_7 = b"xyz"
    assert bytes(record) == b"\3xyz\0"


def test_octets_after_the_record_follow_it():
    record = Record(FLOW, OCTETS + b"more")
    assert bytes(record) == OCTETS + b"more"
    assert record.payload == Raw(b"more")
    cut = Record(FLOW, OCTETS[:5])
    assert bytes(cut) == OCTETS[:5]
    assert cut.payload == Raw(OCTETS[:5])


def test_the_form_of_a_variable_length_is_kept_until_a_change():
    octets = bytes.fromhex("c0000201 00000005 ff0004") + b"eth0"
    record = Record(FLOW, octets)
    assert bytes(record) == octets
    assert record.interfaceName == "eth0"
    record.octetDeltaCount = 6
    assert bytes(record) == bytes.fromhex("c0000201 00000006 04") + b"eth0"


@pytest.mark.parametrize(
    ("field", "octets"),
    [
        ("interfaceName", "ff0003616263"),  # the long form
        ("octetDeltaCount[v]", "0105"),  # fewer octets than it is written in
        ("absoluteError[4]", "7f800001"),  # not the NaN that Python makes
        ("interfaceName[4]", "61006200"),
    ],
)
def test_commands_have_octets_where_values_are_not_exact(field, octets):
    template, octets = Template(256, field), bytes.fromhex(octets)
    record = Record(template, octets)
    assert bytes(retyped(record)) == octets
    data = DataSet(bytes(DataSet(setId=256, records=[octets]))).bind(template)
    assert bytes(retyped(data)) == bytes(data)
    assert data.records[0].raw_packet_cache == octets


# Scapy's conventions


def test_conventions(capsys):
    record = flow()
    ls(record)
    ls(type(record))
    assert "sourceIPv4Address" in capsys.readouterr().out
    assert "192.0.2.1" in record.show(dump=True)
    assert record.summary() == "IPFIX data 256 192.0.2.1 > ? 5 octets"
    assert record.sprintf("%Record.sourceIPv4Address%") == "192.0.2.1"
    assert "octetDeltaCount=5" in repr(record)
    assert "octetDeltaCount" in dir(record)
    assert '"octetDeltaCount": 5' in record.json()
    clone = record.copy()
    clone.octetDeltaCount = 9
    assert record.octetDeltaCount == 5
    assert clone.template is record.template
    assert bytes(record) == OCTETS
    assert record.time
    assert record.original == OCTETS
    assert record.haslayer(Record)
    assert record[Record] is record
    assert len(record) == len(OCTETS)
    del clone.octetDeltaCount
    assert clone.octetDeltaCount == 0


def test_help_shows_the_arguments():
    assert str(signature(Record)) == "(template=None, octets=b'', /, **fields)"
    assert signature(type(flow())) == signature(Record)
    assert type(flow()).__module__ == Record.__module__


def test_slots_of_records_from_the_wire():
    (record,) = read(FLOW, [("192.0.2.1", 5, "eth0")])
    other = flow()
    for slot in Packet.__slots__:
        if slot in ("time", "_pkt", "parent"):
            continue
        left, right = (getattr(each, slot, "none") for each in (record, other))
        assert type(left) is type(right), slot
    record.comment = b"x"
    record.time = 5.0
    assert read(FLOW, [("192.0.2.1", 5, "eth0")])[0].comment is None
    assert record.copy().time == 5.0


@given(filled())
def test_fuzz(case):
    for _ in range(3):
        octets = bytes(fuzz(Record(case.template)))
        codec = case.template.codec
        assert codec.record_spans(octets) == ([(0, len(octets))], len(octets))


def test_fuzz_keeps_given_values():
    record = fuzz(Record(FLOW, sourceIPv4Address="192.0.2.1"))
    assert {bytes(record)[:4] for _ in range(5)} == {OCTETS[:4]}
    assert len({bytes(record) for _ in range(20)}) > 1


def test_several_values_give_several_packets():
    record = Record(FLOW)
    record.octetDeltaCount = 5
    assert [each.octetDeltaCount for each in record] == [5]
    assert next(iter(record)).template is FLOW


# No octets


def test_no_records():
    assert read_records(FLOW, b"", [], None) == []
    assert Record().template.fields == ()
    assert bytes(Record()) == b""


def test_crafted_records_of_no_octets():
    template = Template(256, "octetDeltaCount[0]")
    for cls in (DataSet, DataFlowSet):
        data = cls(template=template, records=[(None,), (None,)])
        assert bytes(data)[4:] == b""
        assert len(data.records) == len(list(data.records)) == 2
        assert data.records[1].octetDeltaCount is None


# Untouched records


def both(touch):
    """Return a changed record, its copy, and Scapy's copy of an equal record."""
    template = Template(256, "interfaceName", "basicList", "octetDeltaCount[4]")
    one, other = read(template, [("eth0", b"\3\0\4\0\1\6\x11", 5)] * 2)
    touch(one)
    touch(other)
    return one, one.copy(), Packet.copy(other)


def append(record):
    record.post_transforms.append(lambda octets: octets + b"!")


TOUCHES = {
    "not": lambda record: None,
    "fields": lambda record: record.fields.update(octetDeltaCount=[7]),
    "a field": lambda record: setattr(record, "octetDeltaCount", 7),
    "a default": lambda record: record.default_fields.update(interfaceName="eth9"),
    "a field less": lambda record: delattr(record, "interfaceName"),
    "overloaded": lambda record: record.overloaded_fields.update(interfaceName="eth9"),
    "a list": lambda record: record.basicList.values.append(1),
    "time": lambda record: setattr(record, "time", 7.0),
    "comments": lambda record: setattr(record, "comments", [b"x"]),
    "payload": lambda record: record.add_payload(b"behind"),
    "parent": lambda record: record.add_parent(None),
    "octets": lambda record: setattr(record, "raw_packet_cache", b"octets"),
    "explicit": lambda record: setattr(record, "explicit", 0),
    "a transform": append,
    "a transform of a copy": lambda record: append(record.copy()),
    "built": bytes,
    "shown": lambda record: record.show(dump=True),
}


@pytest.mark.parametrize("touch", TOUCHES.values(), ids=TOUCHES)
def test_copies_equal_those_of_scapy(touch):
    one, copied, expected = both(touch)
    expected.template = one.template
    assert bytes(copied) == bytes(expected) == bytes(one)
    assert type(copied) is type(one)
    for slot in {*Packet.__slots__, "template"} - {"payload", "post_transforms"}:
        assert getattr(copied, slot) == getattr(expected, slot), slot
    assert bytes(copied.payload) == bytes(expected.payload)
    assert len(copied.post_transforms) == len(expected.post_transforms)
    # They are independent.
    copied.octetDeltaCount = 99
    copied.basicList.values.append(8)
    copied.post_transforms.append(bytes)
    copied.overloaded_fields["interfaceName"] = copied.default_fields["interfaceName"] = "lo"
    assert bytes(one) == bytes(expected)
    assert one.values() == expected.values()


def test_untouched_records_are_copied_and_built_from_octets(monkeypatch):
    data = DataSet(bytes(DataSet(template=FLOW, records=[OCTETS] * 50))).bind(FLOW)
    octets = bytes(data)
    assert len(list(data.records)) == 50
    # Showing a record does not touch it.
    assert not data.haslayer(Raw)
    assert data.show(dump=True).count("eth0") == repr(data).count("eth0") == 50
    calls = []

    def counted(name):
        function = getattr(Packet, name)

        def call(self, *arguments, **keywords):
            if isinstance(self, Record):
                calls.append(name)
            return function(self, *arguments, **keywords)

        monkeypatch.setattr(Packet, name, call)

    for name in ("__init__", "copy", "do_build"):
        counted(name)
    for packet in (data, data.copy(), data.copy().copy()):
        assert bytes(packet) == octets
        assert len(packet.records) == 50
    assert calls == []
    data.records[7].octetDeltaCount = 9
    calls.clear()
    copied = data.copy()
    assert calls == ["copy", "__init__"]
    assert bytes(copied) == bytes(data) != octets
    assert calls[2:] == ["do_build"] * 2

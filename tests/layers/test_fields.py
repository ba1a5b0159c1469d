# SPDX-License-Identifier: GPL-2.0-or-later
"""Scapy Fields: one for each abstract data type, lists of packets, header times."""

import ipaddress
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.fields import FlagValue, RawVal
from scapy.packet import Raw

from scapy_ipfix import IPFIX, DataSet, NetFlowV9, Record, Template, TemplateSet
from scapy_ipfix.layers.fields import (
    BooleanField,
    DateTimeField,
    ElementField,
    FlagsElementField,
    FloatField,
    IntegerField,
    IPv4AddressField,
    IPv6AddressField,
    MACAddressField,
    OctetArrayField,
    StringField,
    element_field,
)
from tests.strategies import filled, templates


def field_of(spec):
    return element_field("x", Template(256, spec).fields[0])


@pytest.mark.parametrize(
    ("spec", "cls"),
    [
        ("mplsTopLabelStackSection", OctetArrayField),
        ("_ipfix_4242_1[3]", OctetArrayField),
        ("octetDeltaCount", IntegerField),
        ("octetDeltaCount[3]", IntegerField),
        ("mibObjectValueInteger", IntegerField),
        ("tcpControlBits", FlagsElementField),
        ("absoluteError", FloatField),
        ("dataRecordsReliability", BooleanField),
        ("sourceMacAddress", MACAddressField),
        ("interfaceName", StringField),
        ("flowStartSeconds", DateTimeField),
        ("flowStartNanoseconds", DateTimeField),
        ("sourceIPv4Address", IPv4AddressField),
        ("sourceIPv6Address", IPv6AddressField),
    ],
)
def test_a_field_for_every_type(spec, cls):
    assert type(field_of(spec)) is cls


@given(filled(min_size=1))
def test_addfield_and_getfield_are_inverse(case):
    for position, field in enumerate(case.template.fields):
        scapy_field = element_field(field.name, field)
        for row in case.rows:
            octets = scapy_field.addfield(None, b"before", row[position])
            assert octets.startswith(b"before")
            rest, value = scapy_field.getfield(None, octets[6:] + b"after")
            assert rest == b"after"
            assert value == row[position]
            assert scapy_field.any2i(None, value) == value
            assert isinstance(scapy_field.i2repr(None, value), str)


@given(templates(), st.data())
def test_getfield_of_any_octets(template, data):
    for field in template.fields:
        length = 40 if field.is_variable else field.length
        octets = data.draw(st.binary(min_size=length, max_size=length))
        scapy_field = element_field(field.name, field)
        rest, value = scapy_field.getfield(None, octets)
        assert isinstance(scapy_field.i2repr(None, value), str)
        assert octets.endswith(rest)


@given(templates())
def test_random_values_fit(template):
    for field in template.fields:
        scapy_field = element_field(field.name, field)
        value = scapy_field.randval()
        octets = scapy_field.addfield(None, b"", value._fix())
        assert scapy_field.getfield(None, octets)[0] == b""


def test_values_are_converted_on_assignment():
    record = Record(
        Template(
            256,
            *("sourceIPv4Address", "sourceIPv6Address", "sourceMacAddress", "octetDeltaCount"),
            *("flowStartMilliseconds", "dataRecordsReliability", "interfaceName"),
            *("protocolIdentifier", "tcpControlBits"),
        )
    )
    record.sourceIPv4Address = ipaddress.ip_address("192.0.2.1")
    record.sourceIPv6Address = ipaddress.ip_address("2001:db8::1")
    record.sourceMacAddress = "02-00-5E-10-00-01"
    record.octetDeltaCount = "0x10"
    record.flowStartMilliseconds = datetime(2024, 1, 1, tzinfo=timezone.utc)
    record.dataRecordsReliability = "true"
    record.interfaceName = b"eth0"
    record.protocolIdentifier = "TCP"
    record.tcpControlBits = "SA"
    assert record.fields == {
        "sourceIPv4Address": "192.0.2.1",
        "sourceIPv6Address": "2001:db8::1",
        "sourceMacAddress": "02:00:5e:10:00:01",
        "octetDeltaCount": 16,
        "flowStartMilliseconds": 1704067200000,
        "dataRecordsReliability": True,
        "interfaceName": "eth0",
        "protocolIdentifier": 6,
        "tcpControlBits": 0x12,
    }
    record.flowStartMilliseconds = "2024-01-01T00:00:00.5Z"
    assert record.flowStartMilliseconds == 1704067200500


@pytest.mark.parametrize(
    ("spec", "value", "message"),
    [
        ("protocolIdentifier", 256, "256 .*0 to 255"),
        ("protocolIdentifier", -1, "-1 .*0 to 255"),
        ("octetDeltaCount[3]", 1 << 24, "16777216 .*0 to 16777215"),
        ("sourceIPv4Address", "192.0.2", "'192.0.2' does not fit ipv4Address"),
        ("interfaceName[3]", "eth0", ".*4 octets, the field 3"),
        ("flowStartSeconds", "soon", "'soon' does not fit dateTimeSeconds"),
        ("protocolIdentifier", "tpc", "'tpc' is no value of protocolIdentifier"),
    ],
)
def test_errors_name_template_field_value_and_limit(spec, value, message):
    record = Record(Template(300, spec))
    name = spec.partition("[")[0]
    with pytest.raises(ValueError, match=f"template 300, field {name}: {message}"):
        setattr(record, name, value)
    with pytest.raises(ValueError, match=f"template 300, field {name}: {message}"):
        Record(Template(300, spec), **{name: value})


def test_flags():
    record = Record(Template(256, "tcpControlBits"), tcpControlBits="SA")
    assert isinstance(record.tcpControlBits, FlagValue)
    assert record.tcpControlBits == 0x12
    assert record.tcpControlBits.S
    assert not record.tcpControlBits.F
    assert str(record.tcpControlBits) == "SA"
    other = Record(Template(256, "tcpControlBits"), tcpControlBits=record.tcpControlBits)
    assert bytes(other) == b"\0\x12"


def test_flags_of_many_bits():
    record = Record(Template(256, "tcpOptionsFull"), tcpOptionsFull=5)
    assert record.tcpOptionsFull == 5
    assert '"tcpOptionsFull": 5' in record.json()
    varying = Record(Template(256, "tcpOptionsFull[v]"), tcpOptionsFull=1 << 255)
    assert len(varying.tcpOptionsFull.names) == 256
    assert str(varying.tcpOptionsFull)
    assert str(Record(Template(256, "tcpControlBits[v]"), tcpControlBits=2).tcpControlBits) == "S"


def test_shown_values():
    assert field_of("protocolIdentifier").i2repr(None, 6).lower() == "tcp"
    assert field_of("protocolIdentifier").i2repr(None, 255) != ""
    assert field_of("tcpControlBits").i2repr(None, 0x12) == "SA"
    assert field_of("flowStartSeconds").i2repr(None, 0) == "1970-01-01T00:00:00Z"
    assert field_of("interfaceName").i2repr(None, "\x1b[2J") == "'\\x1b[2J'"
    assert field_of("octetDeltaCount[0]").i2repr(None, None) == "None"
    long = field_of("interfaceDescription").i2repr(None, b"\xff" * 5000)
    assert len(long) < 1000
    assert "5000 octets" in long


def test_raw_values():
    record = Record(Template(256, "protocolIdentifier", "octetDeltaCount[2]"))
    record.protocolIdentifier = RawVal(b"abc")
    assert bytes(record) == b"abc\0\0"


def test_an_element_field_without_a_record():
    field = field_of("octetDeltaCount[2]")
    assert isinstance(field, ElementField)
    assert (field.default, field.sz) == (0, 2)


# Lists of packets


def test_a_list_beside_a_field_of_no_octets():
    """Build such a record field by field, its list being a packet by then."""
    template = Template(256, "templateId[0]", "basicList[9]")
    octets = b"\x03\x00\x08\x00\x04\xc0\x00\x02\x01"
    record = Record(template, octets)
    record.raw_packet_cache = None
    assert bytes(record) == octets
    assert bytes(eval(record.command())) == octets


def test_lists_take_one_or_many():
    template = Template(256, "octetDeltaCount[1]")
    one = bytes(IPFIX(exportTime=0, sets=DataSet(template=template, records=[(1,)])))
    assert one == bytes(IPFIX(exportTime=0, sets=(DataSet(template=template, records=[b"\1"]),)))
    assert IPFIX(sets=b"octets").sets == [Raw(b"octets")]
    assert IPFIX(sets=[]).sets == []


@pytest.mark.parametrize("item", [5, "text", None, {"a": 1}, [1]])
def test_lists_reject_other_items(item):
    with pytest.raises(ValueError, match=r"sets: .*neither a packet nor bytes"):
        IPFIX(sets=[item])


def test_a_message_takes_templates_as_sets():
    template = Template(256, "octetDeltaCount")
    options = Template(257, "meteringProcessId", "octetDeltaCount", scope=1)
    message = IPFIX(exportTime=0, sets=[template, options])
    assert [each.setId for each in IPFIX(bytes(message)).sets] == [2, 3]
    scoped = Template(257, "scopeSystem", "octetDeltaCount", scope=1)
    message = NetFlowV9(unixSecs=0, sets=[template, scoped])
    assert [each.setId for each in NetFlowV9(bytes(message)).sets] == [0, 1]


def test_appended_items_become_packets():
    template = Template(256, "octetDeltaCount[1]", "protocolIdentifier")
    data = DataSet(template=template, records=[(1, 2)])
    data.records.append((3, 4))
    data.records.append({"octetDeltaCount": 0, "protocolIdentifier": "tcp"})
    data.records.append(b"\x09\x09")
    data.records.append(Record(template, octetDeltaCount=7))
    assert bytes(data)[4:].hex() == "01020304000609090700"
    announced = TemplateSet()
    announced.templates.append(template)
    assert bytes(announced) == bytes(TemplateSet(templates=[template]))
    data.records.append((1, 2, 3))
    with pytest.raises(ValueError, match="template 256.* 3 values for 2 fields"):
        bytes(data)


# Header times


def test_header_times():
    for value in (0, "1970-01-01T00:00:00Z", datetime(1970, 1, 1), 0.5):
        assert bytes(IPFIX(exportTime=value))[4:8] == bytes(4)
    now = bytes(IPFIX())[4:8]
    assert int.from_bytes(now, "big") > 1_700_000_000
    assert bytes(NetFlowV9())[8:12] >= now
    assert "exportTime= 1970-01-01T00:00:00Z" in IPFIX(exportTime=0).show(dump=True)
    with pytest.raises(ValueError, match="dateTimeSeconds"):
        IPFIX(exportTime="never")

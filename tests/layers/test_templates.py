# SPDX-License-Identifier: GPL-2.0-or-later
"""Template Records and Field Specifiers, of IPFIX and of NetFlow v9."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.packet import Raw, fuzz

from scapy_ipfix import (
    FieldSpecifier,
    FlowSetFieldSpecifier,
    FlowSetOptionsTemplateRecord,
    FlowSetTemplateRecord,
    OptionsTemplateRecord,
    ScopeFieldSpecifier,
    Template,
    TemplateRecord,
)
from scapy_ipfix.model.model import elements
from tests.builders import codes
from tests.strategies import retyped, templates

RECORDS = {
    (10, False): TemplateRecord,
    (10, True): OptionsTemplateRecord,
    (9, False): FlowSetTemplateRecord,
    (9, True): FlowSetOptionsTemplateRecord,
}


# Field Specifiers


@pytest.mark.parametrize(
    ("fields", "octets"),
    [
        ({"informationElementId": 8, "fieldLength": 4}, "00080004"),
        ({"informationElementId": 8, "fieldLength": 4, "enterpriseNumber": 0}, "00080004"),
        ({"informationElementId": 82, "fieldLength": 65535}, "0052ffff"),
        ({"informationElementId": 5, "fieldLength": 1, "enterpriseNumber": 9}, "8005000100000009"),
        ({"informationElementId": 5, "fieldLength": 1, "enterpriseBit": 1}, "8005000100000000"),
        ({"informationElementId": 0x7FFF, "enterpriseNumber": 0xFFFFFFFF}, "ffff0000ffffffff"),
        ({}, "00000000"),
    ],
)
def test_field_specifiers(fields, octets):
    octets = bytes.fromhex(octets)
    assert bytes(FieldSpecifier(**fields)) == octets
    read = FieldSpecifier(octets)
    assert bytes(read) == octets
    assert read.is_enterprise == (len(octets) == 8)
    assert bytes(retyped(read)) == octets
    for name, value in fields.items():
        if name != "enterpriseNumber" or value:
            assert getattr(read, name) == value


@given(st.binary(min_size=4, max_size=12))
def test_any_octets_are_a_field_specifier(octets):
    for cls in (FieldSpecifier, FlowSetFieldSpecifier, ScopeFieldSpecifier):
        if cls is FieldSpecifier and octets[0] & 0x80 and len(octets) < 8:
            continue  # templates never cut one apart
        read = cls(octets)
        assert bytes(read) == octets
        read.show(dump=True)
        if cls is FlowSetFieldSpecifier:
            assert elements.v9_type(read.element) == read.informationElementId
        else:
            assert read.element.id == read.informationElementId
        read.fieldLength = read.fieldLength
        assert bytes(read) == octets


def test_field_types_above_32767_are_plain_in_netflow_v9():
    read = FlowSetFieldSpecifier(bytes.fromhex("9c410004") + b"more")
    assert read.informationElementId == 0x9C41
    assert not read.is_enterprise
    assert len(read) == 4 + len(b"more")
    assert bytes(FlowSetFieldSpecifier(informationElementId=0xFFFF))[:2] == b"\xff\xff"


@pytest.mark.parametrize(
    ("cls", "limit"), [(FieldSpecifier, 32767), (FlowSetFieldSpecifier, 65535)]
)
def test_ids_too_large(cls, limit):
    assert cls(informationElementId=limit).informationElementId == limit
    for id in (limit + 1, -1):
        with pytest.raises(ValueError, match=f"informationElementId: {id} is not in 0..{limit}"):
            cls(informationElementId=id)


def test_elements_of_field_specifiers():
    assert FieldSpecifier(informationElementId=8).element is elements["sourceIPv4Address"]
    assert FieldSpecifier(informationElementId=1, enterpriseNumber=9).element == elements.element(
        9, 1
    )
    assert FlowSetFieldSpecifier(informationElementId=40000).element == elements.v9_element(40000)
    assert ScopeFieldSpecifier(informationElementId=1).element.name == "scopeSystem"
    assert ScopeFieldSpecifier(informationElementId=99).element.name == "_scope_99"


def test_field_specifiers_are_shown_in_one_line():
    line = FieldSpecifier(informationElementId=8, fieldLength=4).show(dump=True)
    assert line.strip() == "sourceIPv4Address (8) 4 octets"
    line = FieldSpecifier(informationElementId=7, fieldLength=65535, enterpriseNumber=4242)
    assert line.show(dump=True).strip() == "_ipfix_4242_7 (4242/7) variable length"
    assert line.summary() == "_ipfix_4242_7 variable"


# Template Records


@given(st.sampled_from([9, 10]), st.booleans(), st.data())
def test_dissected_templates_equal_crafted_ones(version, options, data):
    template = data.draw(templates(version, options))
    if template.is_options is not options:
        return  # v9 names no scope where only elements are left
    cls = RECORDS[version, options]
    record = cls.from_template(template)
    octets = bytes(record)
    read = cls(octets)
    assert read.template == record.template == template
    assert bytes(read) == octets
    assert len(read.fieldSpecifiers) == len(template.fields)
    read.show(dump=True)
    assert bytes(read) == octets
    assert bytes(retyped(read)) == octets
    assert bytes(read.copy()) == octets
    read.templateId = read.templateId ^ 1
    assert bytes(read) == bytes((octets[0], octets[1] ^ 1)) + octets[2:]
    assert read.template == template.with_id(template.id ^ 1)


@given(st.sampled_from(sorted(RECORDS)), st.binary(min_size=1, max_size=80))
def test_any_octets_are_a_template_record(kind, octets):
    read = RECORDS[kind](octets)
    assert bytes(read) == octets
    read.show(dump=True)
    read.template
    assert bytes(read) == octets
    if read.payload:
        assert isinstance(read.payload, Raw)


def test_octets_of_a_template_record():
    record = TemplateRecord(
        templateId=300, fieldSpecifiers=[FieldSpecifier(informationElementId=8, fieldLength=4)]
    )
    assert bytes(record).hex() == "012c000100080004"
    record.fieldCount = 7
    assert bytes(record).hex() == "012c000700080004"
    assert TemplateRecord(
        bytes(TemplateRecord.from_template(Template(300, "IN_BYTES[4]")))
    ).template == (Template(300, "octetDeltaCount[4]"))


def test_octets_of_an_options_template_record():
    template = Template(300, "meteringProcessId", "octetDeltaCount", scope=1)
    assert bytes(OptionsTemplateRecord.from_template(template)).hex() == (
        "012c00020001008f000400010008"
    )
    record = OptionsTemplateRecord(templateId=300, fieldSpecifiers=[FieldSpecifier()] * 3)
    assert bytes(record)[4:6] == b"\0\1"  # at least one field is scope
    assert (
        bytes(OptionsTemplateRecord.from_template(Template(300, "octetDeltaCount")))[4:6] == b"\0\0"
    )


def test_octets_of_a_v9_options_template_record():
    template = Template(300, "scopeInterface[2]", "scopeCache", "octetDeltaCount[4]", scope=2)
    record = FlowSetOptionsTemplateRecord.from_template(template)
    assert bytes(record).hex() == "012c00080004000200020004000400010004"
    read = FlowSetOptionsTemplateRecord(bytes(record))
    assert (read.optionScopeLength, read.optionLength) == (8, 4)
    assert [type(each) for each in read.fieldSpecifiers] == [
        *[ScopeFieldSpecifier] * 2,
        FlowSetFieldSpecifier,
    ]
    assert [each.element.name for each in read.fieldSpecifiers] == list(template.names)


def test_v9_options_lengths_that_are_no_multiples_of_4_keep_their_octets():
    octets = struct.pack("!HHH", 300, 6, 5) + bytes(range(11))
    read = FlowSetOptionsTemplateRecord(octets)
    assert read.fieldSpecifiers == [Raw(octets[6:])]
    assert bytes(read) == octets


@pytest.mark.parametrize("cls", [TemplateRecord, OptionsTemplateRecord])
def test_withdrawals(cls):
    octets = bytes.fromhex("012c0000")
    for record in (cls(octets), cls(templateId=300), cls.from_template(Template(300))):
        assert record.is_withdrawal
        assert bytes(record) == octets
        assert (record.template.id, record.template.fields) == (300, ())
        assert record.summary() == "withdrawal of template 300"
        assert bytes(record.copy()) == octets
        assert bytes(retyped(record)) == octets


def test_v9_has_no_withdrawals():
    assert not FlowSetTemplateRecord(bytes.fromhex("012c0000")).is_withdrawal


def test_a_truncated_record():
    octets = bytes.fromhex("012c0002 00080004 0001")
    read = TemplateRecord(octets)
    assert codes(read.defects) == ["template-truncated"]
    assert read.payload.load == octets
    assert bytes(read) == octets


def test_what_a_protocol_version_cannot_express():
    with pytest.raises(ValueError, match=r"template 300: .*40000.* NetFlow v9"):
        TemplateRecord.from_template(Template(300, elements.v9_element(40000)))
    with pytest.raises(ValueError, match="template 300: .*no NetFlow v9 field type"):
        FlowSetTemplateRecord.from_template(Template(300, (4242, 1)))
    with pytest.raises(
        ValueError, match="template 300: octetDeltaCount is not a scope.*scopeSystem"
    ):
        FlowSetOptionsTemplateRecord.from_template(
            Template(300, "octetDeltaCount", "packetDeltaCount", scope=1)
        )


def test_a_template_of_16000_fields():
    template = Template(300, *["octetDeltaCount[1]"] * 16000)
    octets = bytes(TemplateRecord.from_template(template))
    assert len(octets) == 4 + 4 * 16000
    for cls in (TemplateRecord, FlowSetTemplateRecord):
        assert cls(octets).template == template
    read = TemplateRecord(octets)
    assert len(read.fieldSpecifiers) == 16000
    assert bytes(read) == octets


def test_fuzz():
    template = Template(300, "octetDeltaCount", (4242, 1))
    record = TemplateRecord(fieldSpecifiers=TemplateRecord.from_template(template).fieldSpecifiers)
    assert len({bytes(fuzz(record))[:2] for _ in range(20)}) > 1
    specifier = fuzz(FieldSpecifier())
    assert {len(bytes(specifier)) for _ in range(50)} <= {4, 8}
    for _ in range(20):
        bytes(fuzz(FlowSetOptionsTemplateRecord()))
        bytes(fuzz(OptionsTemplateRecord()))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Validation of the values in records."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import IPFIX, DataSet, IPFIXSession, Template, dissect
from scapy_ipfix.wire.field import prefixed
from scapy_ipfix.wire.structured import ListContext, encode_list
from scapy_ipfix.wire.validation import value_defects
from tests.strategies import Filled, broken, filled

FLOW = Template(257, "octetDeltaCount[4]", "interfaceName")


def found(template: Template, body: bytes, context: ListContext | None = None) -> list[str]:
    return [each.text for each in value_defects(template, body, context)]


@pytest.mark.parametrize(
    ("field", "good", "bad", "flaw"),
    [
        ("dataRecordsReliability", b"\1", b"\3", "boolean is 3, neither 1 nor 2"),
        ("interfaceName[4]", b"eth0", b"e\xff\xff0", "string is not UTF-8"),
        ("ipDiffServCodePoint", b"\x3f", b"\x40", "64 is not in 0..63"),
        ("sourceIPv4PrefixLength", b"\x20", b"\x21", "33 is not in 0..32"),
        ("httpStatusCode", b"\x03\xe7", b"\x03\xe8", "1000 is not in 0..999"),
        ("flowLabelIPv6", b"\0\x0f\xff\xff", b"\0\x10\0\0", "1048576 is not in 0..1048575"),
        ("sourceTransportPortsLimit", b"\0\1", b"\0\0", "0 is not in 1..65535"),
    ],
)
def test_values_that_an_element_cannot_have(field, good, bad, flaw):
    template = Template(300, field, "protocolIdentifier")
    assert found(template, good + b"\6") == []
    name = field.partition("[")[0]
    assert found(template, bad + b"\6") == [f"Set 300: {name}: {flaw}"]
    # An invalid field is so in every record, and is reported once.
    assert found(template, (good + b"\6") + (bad + b"\6") * 9) == [f"Set 300: {name}: {flaw}"]


def test_each_field_is_named():
    template = Template(300, "dataRecordsReliability", "interfaceName", "dataRecordsReliability")
    body = b"\7" + prefixed(b"\xff\xfe") + b"\0"
    assert found(template, body) == [
        "Set 300: dataRecordsReliability: boolean is 7, neither 1 nor 2",
        "Set 300: interfaceName: string is not UTF-8",
        "Set 300: dataRecordsReliability_2: boolean is 0, neither 1 nor 2",
    ]


def test_ranges_of_fewer_octets():
    """A reduced length narrows a range, it does not make a value wrong."""
    template = Template(300, "flowLabelIPv6[2]", "interfaceName")
    assert found(template, b"\xff\xff\x01x") == []
    variable = Template(300, "ipDiffServCodePoint[v]")
    assert found(variable, b"\x01\x3f\x01\x40") == [
        "Set 300: ipDiffServCodePoint: 64 is not in 0..63"
    ]


def test_templates_without_checks():
    template = Template(300, "octetDeltaCount", "sourceIPv4Address", "_ipfix_9_9[4]")
    assert found(template, bytes(range(16))) == []
    assert found(template, b"") == []
    assert found(Template(300, "octetDeltaCount[0]"), b"abc") == []
    assert found(Template(300), b"abc") == []


def test_padding_as_long_as_a_record():
    template = Template(300, "octetDeltaCount[4]")
    (defect,) = value_defects(template, b"\0\0\0\5" + bytes(4))
    assert (defect.code, defect.severity) == ("padding-long", "warning")
    # One record alone, or one of fewer octets than padding is aligned to, is a record.
    assert found(template, bytes(4)) == []
    assert found(Template(300, "octetDeltaCount[3]"), bytes(6)) == []


@pytest.mark.parametrize(
    ("kind", "octets", "text"),
    [
        ("basicList", b"", "no octets"),
        ("basicList", b"\3\0\1", "truncated"),
        ("basicList", b"\3\0\x08\0\4abc", "3 octets after the last value"),
        ("basicList", b"\3\0\x08\0\0abc", "3 octets after the last value"),
        ("basicList", b"\3\0\x52\xff\xff\x09abc", "4 octets after the last value"),
        ("subTemplateList", b"\3\1", "truncated"),
        ("subTemplateList", b"\3\0\xff", "template id 255 is below 256"),
        ("subTemplateList", b"\3\1\1\0\0\0\1\7eth0", "9 octets after the last record"),
        ("subTemplateMultiList", b"\3\1\1\0\x09\0\0\0\1\0\1", "1 octets after the last block"),
        ("subTemplateMultiList", b"\3\1\1\0\3", "4 octets after the last block"),
    ],
)
def test_malformed_lists(kind, octets, text):
    (defect,) = value_defects(Template(300, kind), prefixed(octets), ListContext({257: FLOW}.get))
    assert defect.text == f"{kind}: {text}"
    assert (defect.code, defect.severity) == ("list-malformed", "error")
    assert defect.section == "RFC 6313 4.5"


def test_well_formed_lists():
    holder = Template(300, "basicList", "subTemplateList", "subTemplateMultiList")
    rows = [(1, "a"), (2, "b")]
    body = holder.encode((("interfaceName", ["x"]), (FLOW, rows), [(FLOW, rows), (FLOW, [])]))
    context = ListContext({257: FLOW}.get)
    assert found(holder, body * 3, context) == []
    assert found(holder, body) == [
        "template 257 is not defined yet; 12 octets are kept until it arrives",
        "template 257 is not defined yet; 12 octets are kept until it arrives",
    ]


def test_one_finding_a_field():
    body = b"".join(prefixed(b"\3") for _ in range(10))
    assert len(found(Template(300, "basicList"), body)) == 1


@given(st.data())
def test_any_octets(data):
    case: Filled = data.draw(filled(min_size=1))
    body = b"".join(case.template.encode_rows(case.rows))
    assert not {"list-malformed", "list-too-deep"} & {
        each.code for each in value_defects(case.template, body)
    }
    for defect in value_defects(case.template, data.draw(broken(body))):
        assert defect.text


def test_where_findings_go():
    template = Template(300, "dataRecordsReliability", "basicList")
    octets = encode_list("basicList", ("octetDeltaCount", [1]))[:-1]
    message = IPFIX(sets=[template])
    message /= DataSet(template=template, records=[(7, octets)])
    octets = bytes(message)
    session = IPFIXSession(check_values=True)
    packet = session.process(IPFIX(octets))
    expected = ["value", "list-malformed"]
    assert [each.code for each in session.diagnostics] == expected
    assert [each.set_index for each in session.diagnostics] == [1, 1]
    assert [each.code for each in packet.sets[1].defects] == expected
    # Without check_values, records are not decoded.
    fast = IPFIXSession()
    (plain,) = dissect([IPFIX(octets)], fast)
    assert len(fast.diagnostics) == 0
    assert [each.code for each in plain.sets[1].defects] == expected
    assert [each.code for each in plain.all_defects] == expected


def test_pending_data_sets_are_checked():
    template = Template(300, "dataRecordsReliability")
    session = IPFIXSession(check_values=True)
    data = IPFIX() / DataSet(template=template, records=[(7,)])
    session.process(IPFIX(bytes(data)))
    assert dict(session.diagnostics.counts) == {"missing-template": 1}
    session.process(IPFIX(bytes(IPFIX(sets=[template]))))
    assert session.diagnostics.counts["value"] == 1

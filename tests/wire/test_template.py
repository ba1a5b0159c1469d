# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of templates: construction, parsing, defects."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.model.datatypes import VARIABLE, data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.model import elements
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.framing import Specifier, TemplateSpan
from scapy_ipfix.wire.template import Template, cached_per_template
from scapy_ipfix.wire.v9scopes import V9_SCOPES, v9_scope
from tests.builders import codes
from tests.strategies import templates


def test_fields_in_every_form():
    octets = elements["octetDeltaCount"]
    template = Template(
        256,
        "sourceIPv4Address",
        "octetDeltaCount[4]",
        "interfaceName",
        "interfaceName[16]",
        "L4_DST_PORT",
        "mine(99999/7)<unsigned32>[2]",
        octets,
        (9, 12235),
        (4242, 1),
        TemplateField(octets, 5, "ignored"),
    )
    assert [(field.name, field.length) for field in template.fields] == [
        ("sourceIPv4Address", 4),
        ("octetDeltaCount", 4),
        ("interfaceName", VARIABLE),
        ("interfaceName_2", 16),
        ("destinationTransportPort", 2),
        ("mine", 2),
        ("octetDeltaCount_2", 8),
        (elements[9, 12235].name, elements[9, 12235].length),
        ("_ipfix_4242_1", VARIABLE),
        ("octetDeltaCount_3", 5),
    ]
    assert template.is_variable
    assert not template.is_options


def test_the_same_element_again_is_numbered():
    names = Template(256, *["tcpControlBits"] * 12).names
    assert names == ("tcpControlBits", *(f"tcpControlBits_{i}" for i in range(2, 13)))


def test_number_in_the_name_of_another_element():
    first = InformationElement("a_2", 1, 99999, data_type("unsigned8"))
    second = InformationElement("a", 2, 99999, data_type("unsigned8"))
    for order in ((first, second, second), (second, first, second), (second, second, first)):
        names = Template(256, *order).names
        assert len(set(names)) == 3
        assert Template(256, *order).encode({names[0]: 1, names[1]: 2, names[2]: 3}) == b"\1\2\3"


def test_scope():
    template = Template(256, "observationDomainId", "exportedMessageTotalCount", scope=1)
    assert template.is_options
    assert [field.is_scope for field in template.fields] == [True, False]
    assert template != Template(256, "observationDomainId", "exportedMessageTotalCount")


@pytest.mark.parametrize("kind", sorted(V9_SCOPES))
def test_scopes_of_netflow_v9(kind):
    name = V9_SCOPES[kind].name
    for text in (name, name.lower(), name.removeprefix("scope"), f"{name}[4]"):
        template = Template(256, text, "octetDeltaCount", scope=1)
        assert template.fields[0].element is V9_SCOPES[kind]
    assert template.fields[0].length == 4
    with pytest.raises(ValueError, match="field 1"):
        Template(256, name)  # not a scope field


def test_unknown_scope_types():
    template = Template(256, "_scope_77[3]", "octetDeltaCount", scope=1)
    assert template.fields[0].element == v9_scope(77)
    assert template.names == ("_scope_77", "octetDeltaCount")
    assert eval(repr(template)) == template


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((-1,), {}, "template id -1 is not in 0..65535"),
        ((65536,), {}, "template id 65536"),
        ((256, "nosuch"), {}, "template 256, field 1: .*nosuch"),
        ((256, "octetDeltaCount", "octetDeltaCout"), {}, "field 2: .*octetDeltaCount"),
        ((256, "octetDeltaCount[70000]"), {}, "template 256, field 1: .*70000"),
        ((256, "octetDeltaCount[x]"), {}, "template 256, field 1"),
        ((256, "scopeSystem[x]"), {"scope": 1}, "template 256, field 1: length 'x'"),
        ((256, "octetDeltaCount"), {"scope": 2}, "template 256: scope 2 of 1 fields"),
        ((256, "octetDeltaCount"), {"scope": -1}, "template 256: scope -1"),
        ((256,), {"scope": 1}, "template 256: scope 1 of 0 fields"),
    ],
)
def test_invalid_templates(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Template(*arguments, **options)


def test_a_template_does_not_change():
    template = Template(256, "octetDeltaCount")
    with pytest.raises(AttributeError, match="is immutable"):
        template.id = 257


@given(st.sampled_from([9, 10]).flatmap(templates))
def test_templates_are_values(template):
    assert eval(repr(template)) == template
    assert pickle.loads(pickle.dumps(template)) == template
    assert hash(eval(repr(template))) == hash(template)
    other = template.with_id(template.id ^ 1)
    assert other != template
    assert other.fields == template.fields
    assert len(set(template.names)) == len(template.fields)
    assert str(template.id) in str(template)
    assert template.command() == repr(template)


@pytest.mark.parametrize(
    ("field", "text", "typed"),
    [
        ("octetDeltaCount", "octetDeltaCount", "octetDeltaCount"),
        ("octetDeltaCount[0]", "octetDeltaCount[0]", "octetDeltaCount[0]"),
        ("octetDeltaCount[v]", "octetDeltaCount[v]", "octetDeltaCount[v]"),
        ("interfaceName", "interfaceName[v]", "interfaceName"),
        ("interfaceName[0]", "interfaceName[0]", "interfaceName[0]"),
        ("_ipfix_0_0[0]", "_ipfix_0_0[0]", "_ipfix_0_0[0]"),
        ("IN_BYTES[4]", "octetDeltaCount[4]", "octetDeltaCount[4]"),
    ],
)
def test_lengths_are_shown(field, text, typed):
    template = Template(256, field)
    assert str(template.fields[0]) == text
    assert repr(template) == f"Template(256, '{typed}')"
    assert eval(repr(template)) == template


def test_elements_of_a_model_of_ones_own():
    model = elements.copy()
    model.add(InformationElement("mine", 1, 99999, data_type("unsigned16")))
    template = Template(256, "mine", model=model)
    assert template.length == 2
    assert eval(repr(template)) == template
    assert "mine" not in elements
    with pytest.raises(ValueError, match="mine"):
        Template(256, "mine")


# From the wire


def span(*specifiers, scope=0, id=256):
    return TemplateSpan(id, scope, tuple(Specifier(*each) for each in specifiers), 0, 0)


def test_from_the_wire():
    template = Template.from_wire(span((0, 8, 4), (9, 12235, 3), (77777, 5, 65535)), 10)
    assert template.names == ("sourceIPv4Address", elements[9, 12235].name, "_ipfix_77777_5")
    assert [field.length for field in template.fields] == [4, 3, VARIABLE]
    assert template.fields[2].data_type is data_type("octetArray")


def test_from_the_wire_of_netflow_v9():
    template = Template.from_wire(
        span((0, 1, 4), (0, 9, 2), (0, 8, 4), (0, 60000, 2), (0, 82, 65535), scope=2), 9
    )
    assert template.names == (
        "scopeSystem",
        "_scope_9",
        "sourceIPv4Address",
        "_ipfix_0_60000",
        "interfaceName",
    )
    assert template.is_variable  # 65535 means that in v9 as well
    assert template.codec.rows(bytes.fromhex("00000001 0002 c0000201 abcd 02") + b"e0") == [
        (1, b"\0\2", "192.0.2.1", b"\xab\xcd", "e0")
    ]


def test_more_scope_than_fields_on_the_wire():
    template = Template.from_wire(span((0, 8, 4), scope=9), 10, options=True)
    assert template.scope_count == 1


@given(
    st.lists(
        st.tuples(st.integers(0, 1 << 32 - 1), st.integers(0, 0x7FFF), st.integers(0, 65535)),
        max_size=10,
    ),
    st.integers(0, 65535),
    st.integers(0, 12),
    st.sampled_from([9, 10]),
)
def test_anything_from_the_wire_is_a_template(fields, id, scope, version):
    template = Template.from_wire(span(*fields, scope=scope, id=id), version, options=bool(scope))
    assert len(template.fields) == len(fields)
    assert len(set(template.names)) == len(fields)
    template.defects()
    template.codec.rows(bytes(100))
    assert template.fields == eval(repr(template)).fields


# Defects


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (Template(256, "octetDeltaCount"), []),
        (Template(256, "octetDeltaCount[3]", "absoluteError[4]", "interfaceName[9]"), []),
        (Template(255, "octetDeltaCount"), ["template-id"]),
        (Template(256), ["template-empty"]),
        (Template(256, "octetDeltaCount[0]"), ["template-zero-length"]),
        (Template(256, "octetDeltaCount[9]"), ["field-length"]),
        (Template(256, "sourceIPv4Address[3]", "flowStartSeconds[3]"), ["field-length"] * 2),
        (Template(256, "octetDeltaCount[v]", "octetDeltaCount[0]"), ["field-length"] * 2),
        (Template(256, "octetDeltaCount", "flowStartSeconds[0]"), ["field-length"]),
        (Template(256, "octetDeltaCount", "interfaceName[0]"), []),
    ],
    ids=str,
)
def test_defects(template, expected):
    assert codes(template.defects()) == expected


@pytest.mark.parametrize(
    ("rest", "records", "expected"),
    [
        (b"", 1, []),
        (b"", 0, ["set-empty"]),
        (b"\0\0\0", 1, []),
        (b"\0\0\1", 1, ["padding-nonzero"]),
        (b"\0\0\0\0", 1, ["record-truncated"]),
        (b"\0\0\0\0", 0, ["record-truncated"]),
    ],
)
def test_defects_of_trailing_octets(rest, records, expected):
    template = Template(256, "sourceIPv4Address")
    assert [defect.code for defect in template.trailing_defects(rest, records)] == expected


def test_projection():
    template = Template(256, "sourceIPv4Address", "octetDeltaCount[1]")
    codec = template.projection(("octetDeltaCount",))
    assert codec.rows(bytes((1, 2, 3, 4, 5))) == [(5,)]
    assert template.projection(("octetDeltaCount",)) is codec
    assert template.projection(("packetDeltaCount",)) is None
    assert template.projection(None).names == template.names


def test_cached_values_live_as_long_as_their_template():
    computed = []

    @cached_per_template
    def length(template):
        computed.append(template.id)
        return template.length

    template = Template(256, "octetDeltaCount")
    assert [length(template), length(template), length(template.with_id(257))] == [8, 8, 8]
    assert computed == [256, 257]
    assert pickle.loads(pickle.dumps(template)) == template


def test_findings_of_a_template_end():
    found = Template(256, *["octetDeltaCount[33]", "packetDeltaCount[33]"] * 2500).defects()
    assert [each.code for each in found] == ["field-length"] * 100


def test_lengths_in_netflow_v9():
    """RFC 3954 gives scopes no length, and its table of lengths is not a limit."""
    scopes = Template(256, "scopeInterface[7]", "scopeTemplate[9]", scope=2)
    assert scopes.defects(9) == []
    longer = Template(256, "samplerId[2]", "ipVersion[1]")
    (found,) = longer.defects(9)
    assert (found.code, found.severity) == ("field-longer", "note")
    (found,) = longer.defects()
    assert found.text == "template 256: samplerId has length 2; unsigned8 allows only 1"
    (found,) = Template(256, "sourceIPv4Address[3]").defects(9)
    assert found.code == "field-length"

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of structured data (RFC 6313) without packets: round trips and malformed octets."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.model.datatypes import VARIABLE
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.testing.torturecases.case import (
    basic_list,
    sub_template_list,
    sub_template_multi_list,
)
from scapy_ipfix.wire.catalogue import ERROR, WARNING
from scapy_ipfix.wire.field import TemplateField, prefixed
from scapy_ipfix.wire.layout import STRUCTURED
from scapy_ipfix.wire.structured import (
    SEMANTICS,
    ListContext,
    basic_list_header,
    decode_list,
    encode_list,
    list_parts,
    multi_list_blocks,
    referenced_templates,
    semantic_number,
)
from scapy_ipfix.wire.template import Template
from scapy_ipfix.wire.validation import value_defects
from tests.strategies import broken, values

FLOW = Template(257, "octetDeltaCount[4]", "interfaceName")
ROW = {"octetDeltaCount": 1500, "interfaceName": "eth0"}
#: Elements of every kind in lists: of fixed and of variable length, of reduced length, of an
#: enterprise, unknown, and of a length that the type does not allow.
ELEMENTS = (
    *("octetDeltaCount", "octetDeltaCount[3]", "protocolIdentifier", "sourceIPv4Address"),
    *("sourceIPv6Address", "sourceMacAddress", "interfaceName", "interfaceName[5]"),
    *("flowStartNanoseconds", "dataRecordsReliability", "samplingProbability[4]"),
    *("mplsTopLabelStackSection[v]", "reverseOctetDeltaCount[2]", "virtualObsID"),
    *("_ipfix_99999_7[4]", "_ipfix_99999_7[v]", "sourceIPv4Address[v]", "octetDeltaCount[11]"),
)


# -- nested lists and their decoded values


@dataclass
class Made:
    """List in the form that users give, and its decoded values."""

    kind: str
    given: Any
    read: list[Any]
    templates: dict[int, Template] = field(default_factory=dict)


@st.composite
def lists(draw: Callable[..., Any], depth: int = 3) -> Made:
    """Draw a list of any kind, empty or with lists up to a depth."""
    return _made(draw, depth, {})


def _made(draw: Callable[..., Any], depth: int, templates: dict[int, Template]) -> Made:
    kind = draw(st.sampled_from(sorted(STRUCTURED)))
    semantic = draw(st.sampled_from([None, *SEMANTICS, *SEMANTICS.values(), 77]))
    if kind == "basicList":
        element, items, read = _values(draw, depth, templates)
        if semantic is None:
            given: Any = element, items
        else:
            given = {"element": element, "values": items, "semantic": semantic}
        return Made(kind, given, read, templates)
    blocks, read = [], []
    for _ in range(1 if kind == "subTemplateList" else draw(st.integers(0, 3))):
        template, rows, found = _records(draw, depth, templates)
        read += found
        block = {"template": template, "records": rows}
        blocks.append(block if draw(st.booleans()) else (template, rows))
    if kind == "subTemplateMultiList":
        given = blocks if semantic is None else {"blocks": blocks, "semantic": semantic}
    else:
        (given,) = blocks
        if isinstance(given, dict):
            given["semantic"] = semantic
    return Made(kind, given, read, templates)


def _values(draw, depth, templates):
    if depth and draw(st.booleans()):
        inner = [_made(draw, depth - 1, templates) for _ in range(draw(st.integers(0, 3)))]
        kind = inner[0].kind if inner else "basicList"
        inner = [each for each in inner if each.kind == kind]
        return kind, [each.given for each in inner], [each.read for each in inner]
    element = draw(st.sampled_from(ELEMENTS))
    found, length = elements.spec(element)
    items = draw(st.lists(values(found.type, length), max_size=4))
    return element, items, items


def _records(draw, depth, templates):
    specs = draw(st.lists(st.sampled_from(ELEMENTS), min_size=1, max_size=3))
    nested = draw(st.integers(0, 2)) if depth else 0
    inner = [_made(draw, depth - 1, templates) for _ in range(nested)]
    template = Template(256 + len(templates), *specs, *(each.kind for each in inner))
    templates[template.id] = template
    rows, read = [], []
    for _ in range(draw(st.integers(0, 3))):
        plain = [
            draw(values(each.data_type, each.length)) for each in template.fields[: len(specs)]
        ]
        row = (*plain, *(each.given for each in inner))
        rows.append(row if draw(st.booleans()) else dict(zip(template.names, row)))
        read.append(dict(zip(template.names, (*plain, *(each.read for each in inner)))))
    return template, rows, read


@given(lists())
def test_encoded_lists_decode_to_the_same(made):
    octets = encode_list(made.kind, made.given)
    context = ListContext(made.templates.get)
    assert decode_list(made.kind, octets, context) == made.read
    assert decode_list(made.kind, octets, context, "python") is not octets
    assert json.dumps(decode_list(made.kind, octets, context, "json"), allow_nan=False)
    assert set(referenced_templates(made.given)) <= set(made.templates.values())
    known = {each.id: each for each in referenced_templates(made.given)}
    assert decode_list(made.kind, octets, ListContext(known.get)) == made.read
    # Octets of a list are a value of a list field too.
    assert encode_list(made.kind, octets) == octets


@given(st.data())
def test_broken_lists_are_read_or_stay_octets(data):
    made = data.draw(lists())
    octets = data.draw(broken(encode_list(made.kind, made.given)))
    context = ListContext(made.templates.get)
    for domain in ("scapy", "python", "json"):
        found = decode_list(made.kind, octets, context, domain)
        unread = octets.hex() if domain == "json" else octets
        assert isinstance(found, list) or found == unread
    holder = Template(300, made.kind)
    for defect in value_defects(holder, prefixed(octets), context):
        assert defect.text
        assert defect.severity in (ERROR, WARNING)


@given(st.sampled_from(sorted(STRUCTURED)), st.binary(max_size=60))
def test_any_octets_are_a_list_or_stay_octets(kind, octets):
    context = ListContext({0: FLOW, 256: FLOW}.get)
    found = decode_list(kind, octets, context)
    assert isinstance(found, list) or found == octets
    if octets:
        parts, defect = list_parts(kind, octets, context)
        assert (defect is None) == isinstance(found, list)
        assert not parts or defect is None
        assert all(octets[start : start + len(body)] == body for _, body, start in parts)


def test_offsets_of_the_parts_of_a_list():
    context = ListContext({257: FLOW}.get)
    record = FLOW.encode(ROW)
    size = len(record)
    lists = {
        "basicList": (basic_list(8, 4, bytes(8)), [5]),
        "subTemplateList": (sub_template_list(257, record + record), [3]),
        "subTemplateMultiList": (
            sub_template_multi_list((257, record), (257, record + record)),
            [5, 5 + size + 4],
        ),
    }
    for kind, (octets, offsets) in lists.items():
        parts, defect = list_parts(kind, octets, context)
        assert defect is None
        assert [start for _, _, start in parts] == offsets
        assert [octets[start : start + len(body)] for _, body, start in parts] == [
            body for _, body, _ in parts
        ]


@pytest.mark.parametrize("element", ["protocolIdentifier", "_ipfix_7_7[1]", "basicList"])
@pytest.mark.parametrize("domain", ["scapy", "python", "json"])
def test_empty_basic_list_of_any_element(element, domain):
    octets = encode_list("basicList", (element, []))
    assert decode_list("basicList", octets, ListContext(), domain) == []
    cut = octets[:-1]
    unread = cut.hex() if domain == "json" else cut
    assert decode_list("basicList", cut, ListContext(), domain) == unread
    holder = Template(300, "basicList")
    assert value_defects(holder, prefixed(octets), ListContext()) == []
    (defect,) = value_defects(holder, prefixed(cut), ListContext())
    assert defect.code == "list-malformed"


def test_python_and_json_values_reach_into_lists():
    holder = Template(258, "basicList", "sourceIPv4Address")
    given_ = (holder, [(("sourceIPv4Address", ["192.0.2.1"]), "192.0.2.2")])
    octets = encode_list("subTemplateList", given_)
    context = ListContext({258: holder}.get)
    (record,) = decode_list("subTemplateList", octets, context, "python")
    assert record["basicList"] == [IPv4Address("192.0.2.1")]
    assert record["sourceIPv4Address"] == IPv4Address("192.0.2.2")
    floats = encode_list("basicList", ("samplingProbability", [float("nan"), 0.5]))
    assert decode_list("basicList", floats, context, "json") == ["nan", 0.5]
    octet_arrays = encode_list("basicList", ("_ipfix_7_7[v]", [b"\xff\x00"]))
    assert decode_list("basicList", octet_arrays, context, "json") == ["ff00"]


# -- octets


def test_the_octets_of_rfc_6313():
    """Lists like those in the examples of RFC 6313 9.2 and 9.3."""
    ports = encode_list(
        "basicList",
        {"element": "ingressInterface", "values": [1, 4, 8], "semantic": "exactlyOneOf"},
    )
    assert ports.hex() == "01000a0004" + "00000001" + "00000004" + "00000008"
    record = Template(257, "sourceIPv4Address", "destinationIPv4Address")
    rows = [("192.0.2.1", "192.0.2.105"), ("192.0.2.3", "192.0.2.104")]
    octets = encode_list(
        "subTemplateList", {"template": record, "records": rows, "semantic": "allOf"}
    )
    assert octets.hex() == "030101" + "c0000201c0000269" + "c0000203c0000268"
    multi = {"blocks": [(record, rows[:1])], "semantic": 4}
    octets = encode_list("subTemplateMultiList", multi)
    assert octets.hex() == "040101000c" + "c0000201c0000269"


def test_an_enterprise_in_a_list():
    octets = encode_list("basicList", ("reverseOctetDeltaCount[2]", [5, 6]))
    assert octets.hex() == "ff" + "8001" + "0002" + "00007279" + "0005" + "0006"
    header = basic_list_header(octets)
    assert (header.enterprise, header.pen, header.id, header.length) == (True, 29305, 1, 2)
    assert header.octets == octets[: header.size]
    assert decode_list("basicList", octets, ListContext()) == [5, 6]


def test_the_enterprise_bit_with_number_zero():
    octets = basic_list(1, 1, b"\x05")
    octets = octets[:1] + b"\x80" + octets[2:5] + bytes(4) + octets[5:]
    header = basic_list_header(octets)
    assert header.octets == octets[:9]
    assert decode_list("basicList", octets, ListContext()) == [5]


def test_lists_of_nothing():
    context = ListContext({257: FLOW}.get)
    for kind, given_, octets in (
        ("basicList", ("octetDeltaCount", []), "ff00010008"),
        ("subTemplateList", (FLOW, []), "ff0101"),
        ("subTemplateMultiList", [], "ff"),
        ("subTemplateMultiList", [(FLOW, [])], "ff01010004"),
    ):
        assert encode_list(kind, given_).hex() == octets
        assert decode_list(kind, bytes.fromhex(octets), context) == []
    for kind in STRUCTURED:
        assert encode_list(kind, None) == b""
        assert decode_list(kind, b"", context) == b""
        assert decode_list(kind, b"", context, "json") == ""


def test_65000_empty_elements():
    strings = basic_list(82, VARIABLE, bytes(65_000))
    assert decode_list("basicList", strings, ListContext()) == [""] * 65_000
    nested = basic_list(291, VARIABLE, bytes(65_000))
    assert decode_list("basicList", nested, ListContext()) == [b""] * 65_000
    one = Template(258, "interfaceName")
    found = decode_list(
        "subTemplateList", sub_template_list(258, bytes(65_000)), ListContext({258: one}.get)
    )
    assert found == [{"interfaceName": ""}] * 65_000


def test_elements_of_no_octets_are_none():
    context = ListContext({258: Template(258, "octetDeltaCount[0]")}.get)
    for octets in (basic_list(1, 0), sub_template_list(258), sub_template_multi_list((258, b""))):
        kind = {5: "basicList", 3: "subTemplateList"}.get(len(octets), "subTemplateMultiList")
        assert decode_list(kind, octets, context) == []
        assert decode_list(kind, octets + b"\0", context) == octets + b"\0"


def test_long_lists_do_not_take_long():
    """A record may hold thousands of malformed lists of one octet."""
    octets = basic_list(291, 1, bytes(65_000))
    assert decode_list("basicList", octets, ListContext()) == [b"\0"] * 65_000


# -- depth


def nest(depth: int) -> bytes:
    """Return a basicList of strings within ``depth`` lists."""
    octets = basic_list(82, VARIABLE, b"\x04eth0")
    for _ in range(depth):
        octets = basic_list(291, VARIABLE, prefixed(octets))
    return octets


def deepest(value: Any) -> int:
    depth = 0
    while isinstance(value, list):
        value = value[0] if value else None
        depth += 1
    return depth


@pytest.mark.parametrize("depth", [0, 1, 6, 7, 8, 9, 30, 3000])
def test_lists_are_read_to_a_depth(depth):
    found = decode_list("basicList", nest(depth), ListContext())
    assert deepest(found) == min(depth + 1, 8)
    assert deepest(decode_list("basicList", nest(depth), ListContext(limit=2))) == min(depth + 1, 2)
    too_deep = [
        each.code for each in value_defects(Template(300, "basicList"), prefixed(nest(depth)))
    ]
    assert too_deep == (["list-too-deep"] if depth > 7 else [])


def test_a_template_that_refers_to_itself():
    tree = Template(258, "octetDeltaCount", "subTemplateList")
    given_: Any = (tree, [])
    for n in range(20):
        given_ = (tree, [(n, given_), (n, (tree, []))])
    octets = encode_list("subTemplateList", given_)
    context = ListContext({258: tree}.get)
    found = decode_list("subTemplateList", octets, context)
    for n in range(7):
        assert found[1] == {"octetDeltaCount": 19 - n, "subTemplateList": []}
        found = found[0]["subTemplateList"]
    assert isinstance(found[0]["subTemplateList"], bytes)
    (defect,) = value_defects(Template(300, "subTemplateList"), prefixed(octets), context)
    assert (defect.code, "deeper than 8" in defect.text) == ("list-too-deep", True)


# -- templates


def test_a_list_of_an_unknown_template_stays_octets():
    octets = encode_list("subTemplateList", (FLOW, [ROW]))
    multi = encode_list("subTemplateMultiList", [(FLOW, [ROW]), (FLOW.with_id(999), [ROW])])
    empty_context, known_context = ListContext(), ListContext({257: FLOW}.get)
    assert decode_list("subTemplateList", octets, empty_context) == octets
    assert decode_list("subTemplateList", octets, empty_context, "json") == octets.hex()
    assert decode_list("subTemplateMultiList", multi, known_context) == multi
    outer = encode_list("basicList", ("subTemplateList", [octets]))
    assert decode_list("basicList", outer, empty_context) == [octets]
    assert decode_list("basicList", outer, known_context) == [[ROW]]
    holder = Template(300, "subTemplateList")
    (defect,) = value_defects(holder, prefixed(octets), empty_context)
    assert (defect.code, defect.severity) == ("missing-template", WARNING)
    assert "257" in defect.text
    assert list(value_defects(holder, prefixed(octets), known_context)) == []


def test_defects_name_the_field_of_the_list():
    holder = Template(300, "octetDeltaCount[1]", "subTemplateList", "basicList")
    body = b"\x07" + prefixed(sub_template_list(2, b"x")) + prefixed(basic_list(8, 4, b"abc"))
    texts = [each.text for each in value_defects(holder, body)]
    assert texts == [
        "subTemplateList: template id 2 is below 256",
        "basicList: 3 octets after the last value",
    ]
    twice = Template(301, "basicList", "basicList")
    body = prefixed(basic_list(8, 4)) + prefixed(b"\x03\0")
    assert [each.text for each in value_defects(twice, body)] == ["basicList_2: truncated"]


def test_defects_of_nested_lists():
    inner = Template(258, "basicList")
    record = prefixed(basic_list(8, 4, b"abc"))
    context = ListContext({258: inner}.get)
    holder = Template(300, "subTemplateMultiList")
    body = prefixed(sub_template_multi_list((258, record)))
    (defect,) = value_defects(holder, body, context)
    assert (defect.code, defect.severity) == ("list-malformed", ERROR)
    assert "3 octets" in defect.text


# -- headers and blocks


@pytest.mark.parametrize("size", range(9))
def test_truncated_headers(size):
    octets = basic_list(1, 2, pen=29305)
    assert len(octets) == 9
    assert basic_list_header(octets[:size]) is None
    for kind in STRUCTURED:
        cut = octets[:size]
        found = decode_list(kind, cut, ListContext())
        assert found == ([] if kind == "subTemplateMultiList" and size == 1 else cut)


@pytest.mark.parametrize(
    ("octets", "blocks", "stop"),
    [
        (b"\xff", [], 1),
        (sub_template_multi_list((257, b"abcd")), [(257, 5, 9)], 9),
        (sub_template_multi_list((257, b""), (258, b"x")), [(257, 5, 5), (258, 9, 10)], 10),
        (b"\xff\x01\x01\x00\x03abc", [], 1),
        (b"\xff\x01\x01\x00\x00abc", [], 1),
        (b"\xff\x01\x01\xff\xffabc", [], 1),
        (sub_template_multi_list((257, b"ab")) + b"\x01\x01", [(257, 5, 7)], 7),
    ],
)
def test_blocks(octets, blocks, stop):
    found, end = multi_list_blocks(octets)
    assert [tuple(each) for each in found] == blocks
    assert end == stop
    whole = decode_list("subTemplateMultiList", octets, ListContext({257: FLOW, 258: FLOW}.get))
    if stop < len(octets):
        assert whole == octets


# -- values of users


def test_semantics():
    for number, name in SEMANTICS.items():
        assert semantic_number(name) == semantic_number(name.upper()) == number
        assert semantic_number(number) == number
    assert semantic_number(None) == 255
    assert semantic_number(99) == 99
    for wrong in ("", "some", -1, 256, 1.5):
        with pytest.raises(ValueError, match="give one of noneOf, exactlyOneOf, oneOrMoreOf"):
            semantic_number(wrong)


def test_names_of_values_go_into_lists():
    octets = encode_list("basicList", ("protocolIdentifier", ["tcp", 17]))
    assert decode_list("basicList", octets, ListContext()) == [6, 17]


def test_elements_and_models():
    element = elements["octetDeltaCount"]
    assert encode_list("basicList", (element, [1])) == encode_list(
        "basicList", ("octetDeltaCount", [1])
    )
    model = InformationModel.default()
    model.spec("myOwn(424242/7)<unsigned16>[2]")
    octets = encode_list("basicList", ("myOwn", [5]), model)
    assert octets.hex() == "ff8007" + "0002" + "00067932" + "0005"
    assert decode_list("basicList", octets, ListContext(model=model)) == [5]
    assert decode_list("basicList", octets, ListContext()) == [b"\x00\x05"]
    with pytest.raises(ValueError, match="myOwn"):
        encode_list("basicList", ("myOwn", [5]))


MISTAKES = [
    ("basicList", 5, "5 is no basicList; give"),
    ("basicList", "text", "is no basicList"),
    ("basicList", [1, 2], "is no basicList"),
    ("basicList", ("octetDeltaCount", 5), "is no basicList"),
    ("basicList", ("interfaceName", "abc"), "is no basicList"),
    ("basicList", ("octetDeltaCount", None), "is no basicList"),
    ("basicList", ("noSuchElement", [1]), "noSuchElement"),
    ("basicList", (5, [1]), "5 is no element"),
    ("basicList", (None, [1]), "None is no element"),
    ("basicList", ("octetDeltaCount[1]", [256]), "256 does not fit unsigned64"),
    ("basicList", ("octetDeltaCount", ["many"]), "'many' does not fit unsigned64"),
    ("basicList", ("ingressAclId", [b"x"]), "NetFlow v9"),
    ("basicList", ("basicList", [5]), "5 is no basicList"),
    ("basicList", {"element": "octetDeltaCount", "semantic": "some"}, "'some': give one of"),
    ("basicList", {"elements": "octetDeltaCount"}, "is no basicList"),
    ("subTemplateList", (FLOW, 5), "is no subTemplateList"),
    ("subTemplateList", (257, []), "257 is no template"),
    ("subTemplateList", ("x", []), "'x' is no template"),
    ("subTemplateList", [(FLOW, [])], "is no subTemplateList"),
    ("subTemplateList", (FLOW, [(1,)]), "template 257, 1 values for 2 fields"),
    ("subTemplateList", (FLOW, [{"nope": 1}]), "template 257 has no field 'nope'"),
    ("subTemplateList", (FLOW, [(-1, "")]), "template 257, field octetDeltaCount: -1"),
    ("subTemplateMultiList", 5, "is no subTemplateMultiList"),
    ("subTemplateMultiList", "text", "is no subTemplateMultiList"),
    ("subTemplateMultiList", {"template": FLOW, "records": []}, "is no subTemplateMultiList"),
    ("subTemplateMultiList", {"blocks": 5}, "is no subTemplateMultiList"),
    ("subTemplateMultiList", [5], "5 is no subTemplateMultiList"),
    ("subTemplateMultiList", [(FLOW, [(1, "x" * 40_000)] * 2)], "a block holds 65535"),
    ("subTemplateMultiList", [("x", [])], "'x' is no template"),
]


@pytest.mark.parametrize(("kind", "wrong", "message"), MISTAKES)
def test_errors_name_the_mistake(kind, wrong, message):
    with pytest.raises(ValueError, match=message):
        encode_list(kind, wrong)
    holder = Template(300, kind)
    with pytest.raises(ValueError, match="field"):
        holder.encode({kind: wrong})


def test_list_too_long_for_a_field():
    rows = [(1, "x" * 60_000), (2, "y" * 60_000)]
    with pytest.raises(ValueError, match="65535"):
        Template(300, "subTemplateList").encode({"subTemplateList": (FLOW, rows)})


def test_fields_of_fixed_length_hold_lists_too():
    octets = encode_list("basicList", ("octetDeltaCount[1]", [1, 2, 3]))
    holder = Template(300, f"basicList[{len(octets)}]", "octetDeltaCount[1]")
    body = holder.encode((octets, 9))
    assert body == octets + b"\x09"
    (row,) = holder.codec.rows(body)
    assert decode_list("basicList", row[0], ListContext()) == [1, 2, 3]
    field_ = TemplateField(elements["basicList"], 4, "basicList")
    with pytest.raises(ValueError, match="field basicList"):
        Template(300, field_).encode((octets,))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of Information Elements that exporters describe (RFC 5610)."""

import shutil
import struct
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector.learnedtypes import (
    LearnedTypes,
    element_from_options,
    is_named,
    is_type_information,
    with_learned_names,
)
from scapy_ipfix.model.datatypes import DATA_TYPES, data_type
from scapy_ipfix.model.element import MAX_ID, MAX_PEN, InformationElement
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.reading.reader import iter_sets
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.framing import (
    IPFIX_HEADER,
    Specifier,
    TemplateSpan,
    find_message_end,
    walk_sets,
    walk_templates,
)
from scapy_ipfix.wire.template import Template
from tests.builders import codes

#: Messages of libfixbuf 2.4.1 (fbSessionSetMetadataExportElements) with three elements of
#: enterprise 99999 and two of its own, then a template and a record that use the three.
LIBFIXBUF = bytes.fromhex(
    """
    000a003e6553f10000000000000000070003002e030000090002015a0004012f0002015300010158
    00010159000201560008015700080155ffff0154ffff000a00e26553f10000000000000000070300
    00d200001ad703e80d000000000000000000000000000000000000000c74656d706c6174654e616d
    650000001ad703e90d000000000000000000000000000000000000001374656d706c617465446573
    6372697074696f6e000001869f000103030003000000000000000100000000000003e80c6578616d
    706c65436f756e74000001869f00020d000000000000000000000000000000000000000c6578616d
    706c654c6162656c000001869f00030f000006000000000000000000000000000000000b6578616d
    706c655768656e00000a00346553f100000000050000000700020024010100040008000480010004
    0001869f800300080001869f8002ffff0001869f000a002a6553f10000000005000000070101001a
    c00002010000002a0000018bcfe5687b0568656c6c6f
    """
)


def described(**values: Any) -> dict[str, Any]:
    """Return a record of type information, by default of unsigned32 99999/1 named mine."""
    return {
        "privateEnterpriseNumber": values.get("pen", 99999),
        "informationElementId": values.get("id", 1),
        "informationElementDataType": values.get("type", 3),
        "informationElementSemantics": values.get("semantics", 0),
        "informationElementUnits": values.get("units", 0),
        "informationElementRangeBegin": values.get("low", 0),
        "informationElementRangeEnd": values.get("high", 0),
        "informationElementName": values.get("name", "mine"),
        "informationElementDescription": "",
    }


def libfixbuf() -> tuple[Template, list[dict[str, Any]], Template, bytes]:
    """Return the type information, the template and the data that libfixbuf wrote."""
    templates, bodies, start = {}, {}, 0
    while start < len(LIBFIXBUF):
        stop, _ = find_message_end(LIBFIXBUF, start)
        for span in walk_sets(LIBFIXBUF, start + IPFIX_HEADER.size, stop)[0]:
            body = LIBFIXBUF[span.start + 4 : span.stop]
            if span.set_id >= 256:
                bodies[span.set_id] = body
                continue
            options = span.set_id == 3
            for found in walk_templates(body, options=options, version=10)[0]:
                template = Template.from_wire(found, 10, elements, options)
                templates[template.id] = template
        start = stop
    types = templates[0x300]
    return types, types.codec.dicts(bodies[0x300]), templates[0x101], bodies[0x101]


# Templates of type information


@pytest.mark.parametrize(
    ("fields", "scope"),
    [
        (("privateEnterpriseNumber", "informationElementId", "informationElementName[v]"), 2),
        (("informationElementId", "informationElementDataType"), 1),  # IANA's own
        # Ixia: the element's number is not scope
        (("privateEnterpriseNumber", "informationElementId", "informationElementDataType"), 1),
    ],
)
def test_type_information(fields: tuple[str, ...], scope: int) -> None:
    assert is_type_information(Template(256, *fields, scope=scope))
    assert not is_type_information(Template(256, *fields))


@pytest.mark.parametrize(
    "fields",
    [
        # RFC 6235: anonymisation; RFC 7011 4.4: flow keys
        ("templateId", "informationElementId", "anonymizationTechnique"),
        ("templateId", "flowKeyIndicator"),
        ("privateEnterpriseNumber", "informationElementName"),
        ("scopeSystem", "interfaceName"),
    ],
)
def test_other_options(fields: tuple[str, ...]) -> None:
    assert not is_type_information(Template(256, *fields, scope=1))


def test_enterprise_elements_of_these_names() -> None:
    fake = InformationElement("informationElementId", 1, 99999, data_type("unsigned16"))
    template = Template(256, fake, "informationElementName", scope=1)
    assert not is_type_information(template)


def test_template_of_ixia(captures: Any) -> None:
    session = IPFIXSession()
    list(iter_sets(captures / "ipfix_ixia.pcap", session))
    kinds = {
        template.id: is_type_information(template)
        for domain in session.collector.domains
        for template in domain.templates.values()
    }
    assert {id for id, kind in kinds.items() if kind} == {258, 273}
    assert len(kinds) > 2


# Elements


def test_an_element() -> None:
    element, defects = element_from_options(
        described(type=4, semantics=3, units=2, low=1, high=1000, name="myOctets")
    )
    assert element == InformationElement(
        "myOctets", 1, 99999, data_type("unsigned64"), "deltaCounter", "octets", (1, 1000)
    )
    assert defects == []


def test_numbers_of_all_types() -> None:
    for name, kind in DATA_TYPES.items():
        element, _ = element_from_options(described(type=kind.number))
        assert element is not None
        assert element.type.name == name


def test_the_enterprise_bit_is_ignored() -> None:
    element, _ = element_from_options(described(id=0x8001))
    assert element is not None
    assert (element.pen, element.id) == (99999, 1)


def test_elements_without_an_enterprise_number_are_ianas() -> None:
    values = described(id=32000)
    del values["privateEnterpriseNumber"]
    element, _ = element_from_options(values)
    assert element is not None
    assert (element.pen, element.id) == (0, 32000)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (None, 9), (1, b"x")])
def test_no_range(low: Any, high: Any) -> None:
    element, defects = element_from_options(described(low=low, high=high))
    assert element is not None
    assert (element.range, defects) == (None, [])


def test_ranges_of_signed_numbers_are_twos_complement() -> None:
    element, _ = element_from_options(described(type=7, low=(1 << 64) - 5, high=5))
    assert element is not None
    assert element.range == (-5, 5)


@pytest.mark.parametrize("type", [13, 14, 10, 18])
def test_ranges_of_other_types_are_ignored(type: int) -> None:
    element, defects = element_from_options(described(type=type, low=1, high=2))
    assert element is not None
    assert (element.range, defects) == (None, [])


@pytest.mark.parametrize(
    ("values", "learned", "flaw"),
    [
        ({"name": "two words"}, "_ipfix_99999_1 unsigned32", "'two words'"),
        ({"name": b"\xff"}, "_ipfix_99999_1 unsigned32", "'\\\\xff'"),
        ({"name": "a\x1b[31m"}, "_ipfix_99999_1 unsigned32", "'a\\x1b[31m'"),
        ({"name": "_ipfix_8_1"}, "_ipfix_99999_1 unsigned32", "prefix _ipfix_ is reserved"),
        ({"name": "x" * 256}, "_ipfix_99999_1 unsigned32", "256 characters"),
        ({"type": 24}, "mine octetArray", "no data type 24"),
        ({"low": 9, "high": 5}, "mine unsigned32", "range is 9 to 5"),
    ],
)
def test_invalid_values_are_ignored(values: dict[str, Any], learned: str, flaw: str) -> None:
    element, defects = element_from_options(described(**values))
    assert element is not None
    assert f"{element.name} {element.type}" == learned
    assert codes(defects) == ["element-information"]
    assert flaw in defects[0].text
    assert defects[0].text.isprintable()


@pytest.mark.parametrize(
    "values",
    [
        {"id": None},
        {"id": b"\1\2\3\4\5\6\7\x08\x09"},
        {"id": 65536},
        {"pen": None},
        {"pen": 1 << 32},
        {"pen": 29305},  # reverses follow from the elements that they reverse
        {"name": "", "type": 0},
    ],
)
def test_nothing_to_learn(values: dict[str, Any]) -> None:
    element, defects = element_from_options(described(**values))
    assert element is None
    assert codes(defects) == ([] if "name" in values else ["element-information"])


GARBAGE = st.one_of(
    st.none(),
    st.integers(0, 30),
    st.integers(0, 1 << 64),
    st.booleans(),
    st.binary(max_size=20),
    st.text(max_size=300),
    st.floats(),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(described(), GARBAGE)))
def test_any_values(values: dict[str, Any]) -> None:
    element, defects = element_from_options(values)
    assert all(defect.text for defect in defects)
    if element is not None:
        assert 0 <= element.pen <= MAX_PEN
        assert 0 <= element.id <= MAX_ID
    learning = LearnedTypes(InformationModel())
    lesson = learning.learn("a", [values, values])
    assert [each.name for each in lesson.learned] == ([element.name] if element else [])


# Transport Sessions


def test_sessions_are_kept_apart() -> None:
    learning = LearnedTypes(elements)
    lesson = learning.learn("a", [described()])
    assert [each.name for each in lesson.learned] == ["mine"]
    assert lesson.defects == ()
    assert learning.model("a").element(99999, 1).name == "mine"
    assert learning.model("b") is learning.base is elements
    assert elements.get((99999, 1)) is None
    assert learning.version("a")
    assert not learning.version("b")
    learning.learn("b", [described(name="yours", type=13)])
    assert learning.model("a").element(99999, 1).name == "mine"
    assert learning.model("b").element(99999, 1).name == "yours"
    assert learning.version("a") != learning.version("b")


def test_repeated_descriptions() -> None:
    learning = LearnedTypes(elements)
    learning.learn("a", [described()])
    version = learning.version("a")
    assert learning.learn("a", [described(), described(name="MINE")]) == ((), ())
    assert learning.version("a") == version


@pytest.mark.parametrize(
    "values",
    [
        {"pen": 0, "id": 8, "name": "evil", "type": 13},
        {"pen": 0, "id": 8, "name": "sourceIPv4Address", "type": 13},
        {"pen": 9, "id": 12235, "name": "evil", "type": 13},
        {"pen": 0, "id": 0x8008, "name": "evil", "type": 13},
    ],
)
def test_registered_elements_stay(values: dict[str, Any]) -> None:
    number = values["pen"], values["id"] & MAX_ID
    before = elements.element(*number)
    learning = LearnedTypes(elements)
    lesson = learning.learn("a", [described(**values)])
    assert lesson.learned == ()
    assert codes(lesson.defects) == ["element-conflict"]
    assert before.name in lesson.defects[0].text
    assert learning.model("a").element(*number) == before
    assert learning.learn("a", [described(**values)]).defects == ()  # once is enough


def test_correct_descriptions_of_registered_elements() -> None:
    learning = LearnedTypes(elements)
    described_right = described(pen=0, id=8, name="sourceIPv4Address", type=18)
    assert learning.learn("a", [described_right]) == ((), ())
    assert learning.model("a") is elements


def test_learned_elements_stay() -> None:
    learning = LearnedTypes(elements)
    lesson = learning.learn("a", [described(), described(name="other"), described(type=13)])
    assert [each.name for each in lesson.learned] == ["mine"]
    assert codes(lesson.defects) == ["element-conflict"] * 2
    assert learning.model("a").element(99999, 1).type.name == "unsigned32"


@pytest.mark.parametrize("name", ["sourceIPv4Address", "IN_BYTES", "reverseOctetDeltaCount"])
def test_a_name_of_another_element(name: str) -> None:
    learning = LearnedTypes(elements)
    lesson = learning.learn("a", [described(name=name)])
    assert [f"{each.name} {each.type}" for each in lesson.learned] == ["_ipfix_99999_1 unsigned32"]
    assert codes(lesson.defects) == ["element-conflict"]
    assert "taken" in lesson.defects[0].text
    model = learning.model("a")
    assert model[name] == elements[name]
    assert model.element(99999, 1).type.name == "unsigned32"
    assert learning.learn("a", [described(name=name)]) == ((), ())


def test_the_limit_of_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(InformationModel.learn.__globals__, "LEARNED", 3)
    learning = LearnedTypes(elements)
    lesson = learning.learn("a", [described(id=id, name=f"e{id}") for id in range(10)])
    assert [each.name for each in lesson.learned] == ["e0", "e1", "e2"]
    assert codes(lesson.defects) == ["elements-limit"]


def test_the_limit_of_all_sessions() -> None:
    learning = LearnedTypes(InformationModel(), limit=4)
    for session in range(10):
        lesson = learning.learn(session, [described(id=id, name=f"e{id}") for id in (1, 2)])
        assert codes(lesson.defects) == (["limit"] if session > 1 else [])
    taught = [session for session in range(10) if learning.version(session)]
    assert taught == [8, 9]
    assert learning.model(7) is learning.base


def test_a_session_with_new_descriptions_stays() -> None:
    learning = LearnedTypes(InformationModel(), limit=6)
    for number in range(4):
        learning.learn("a", [described(id=10 + number, name=f"a{number}")])
        learning.learn(number, [described(id=1, name="e1")])
    assert learning.model("a").element(99999, 10).name == "a0"


# Templates


def test_a_template_gets_learned_names() -> None:
    old = Template(256, "sourceIPv4Address", (99999, 1), (99999, 1), "octetDeltaCount[4]")
    options = Template(257, "scopeSystem", (99999, 1), scope=1)
    learning = LearnedTypes(elements)
    assert with_learned_names(old, learning.model("a")) is old
    learning.learn("a", [described()])
    new = with_learned_names(old, learning.model("a"))
    assert new.names == ("sourceIPv4Address", "mine", "mine_2", "octetDeltaCount")
    assert [each.length for each in new.fields] == [4, 65535, 65535, 4]
    assert (new.id, new.scope_count, new.is_options) == (256, 0, False)
    assert with_learned_names(new, learning.model("a")) is new
    assert with_learned_names(options, learning.model("a")).names == ("scopeSystem", "mine")
    assert with_learned_names(options, learning.model("a")).is_options


def test_unknown_field_types_of_netflow_v9_scopes_stay() -> None:
    body = struct.pack("!HHHHHHH", 256, 4, 4, 9, 2, 10, 4)
    (span,), _, _ = walk_templates(body, options=True, version=9)
    template = Template.from_wire(span, 9, elements, True)
    assert template.names == ("_scope_9", "ingressInterface")
    assert with_learned_names(template, elements) is template


def test_names_of_an_earlier_time() -> None:
    """Names are those after a number of learned elements, whatever names the template has."""
    model = elements.copy()
    bare = Template(256, "sourceIPv4Address", (99999, 1), (99999, 2), (99999, 1), (29305, 30001))
    for element in (
        InformationElement("one", 1, 99999),
        InformationElement("two", 2, 99999),
        InformationElement("mine", 30001, 0),
    ):
        assert model.learn(element)
    nameless = "_ipfix_99999_1", "_ipfix_99999_2", "_ipfix_99999_1_2", "_ipfix_29305_30001"
    expected = [
        nameless,
        ("one", "_ipfix_99999_2", "one_2", "_ipfix_29305_30001"),
        ("one", "two", "one_2", "_ipfix_29305_30001"),
        ("one", "two", "one_2", "reverseMine"),
    ]
    full = with_learned_names(bare, model)
    assert is_named(full)
    assert not is_named(bare)
    for template in (bare, full):
        for learned, names in enumerate(expected):
            then = with_learned_names(template, model, learned)
            assert then.names == ("sourceIPv4Address", *names)
            assert then.id == 256
            assert with_learned_names(then, model, learned) is then


def test_names_of_an_earlier_time_in_netflow_v9() -> None:
    """Scopes are no elements, and some field types differ from IANA's elements."""
    model = elements.copy()
    v9 = TemplateSpan(
        256, 1, (Specifier(0, 1, 4), Specifier(0, 40001, 4), Specifier(0, 8, 4)), 0, 0
    )
    template = Template.from_wire(v9, 9, model, True)
    assert model.learn(InformationElement("one", 1, 99999))
    assert with_learned_names(template, model, 0) is template


# libfixbuf


def test_descriptions_that_libfixbuf_writes() -> None:
    types, records, template, body = libfixbuf()
    assert is_type_information(types)
    assert len(records) == 5
    assert template.names == (
        *("sourceIPv4Address", "_ipfix_99999_1", "_ipfix_99999_3", "_ipfix_99999_2"),
    )
    learning = LearnedTypes(elements)
    lesson = learning.learn("libfixbuf", records)
    learned = {(each.pen, each.id): each for each in lesson.learned}
    assert {number: each.name for number, each in learned.items() if number[0] == 99999} == {
        (99999, 1): "exampleCount",
        (99999, 2): "exampleLabel",
        (99999, 3): "exampleWhen",
    }
    count = learned[99999, 1]
    assert (count.type.name, count.semantics, count.units) == (
        *("unsigned32", "deltaCounter", "packets"),
    )
    assert count.range == (1, 1000)
    assert learned[99999, 3].units == "milliseconds"
    assert lesson.defects == ()
    named = with_learned_names(template, learning.model("libfixbuf"))
    assert named.codec.dicts(body) == [
        {
            "sourceIPv4Address": "192.0.2.1",
            "exampleCount": 42,
            "exampleWhen": 1700000000123,
            "exampleLabel": "hello",
        }
    ]


@pytest.mark.skipif(shutil.which("ipfixDump") is None, reason="ipfixDump is not installed")
def test_descriptions_that_libfixbuf_reads(tmp_path: Any) -> None:
    """The same octets give the same elements in libfixbuf."""
    types = Template(300, *described(), scope=2)
    record = described(type=4, semantics=3, units=2, name="exampleOctets")
    mine = Template(301, "sourceIPv4Address", "(99999/1)[8]")
    sets = b""
    for set_id, body in (
        (3, struct.pack("!HHH", 300, len(types.fields), 2) + specifiers(types)),
        (300, types.encode(record)),
        (2, struct.pack("!HH", 301, len(mine.fields)) + specifiers(mine)),
        (301, b"\xc0\0\2\1" + (77).to_bytes(8, "big")),
    ):
        sets += struct.pack("!HH", set_id, len(body) + 4) + body
    path = tmp_path / "types.ipfix"
    path.write_bytes(IPFIX_HEADER.pack(10, IPFIX_HEADER.size + len(sets), 1700000000, 0, 1) + sets)
    run = subprocess.run(
        ["ipfixDump", "--in", path, "--rfc5610"], capture_output=True, text=True, timeout=60
    )
    assert "(99999/1)" in run.stdout
    (line,) = [line for line in run.stdout.splitlines() if line.strip().startswith("(99999/1)")]
    assert line.split() == ["(99999/1)", "exampleOctets", ":", "77"]
    learning = LearnedTypes(elements)
    learning.learn("a", types.codec.dicts(types.encode(record)))
    assert with_learned_names(mine, learning.model("a")).names == (
        "sourceIPv4Address",
        "exampleOctets",
    )


def specifiers(template: Template) -> bytes:
    octets = b""
    for field in template.fields:
        pen, id = field.element.pen, field.element.id
        octets += struct.pack("!HH", id | (0x8000 if pen else 0), field.length)
        octets += struct.pack("!I", pen) if pen else b""
    return octets

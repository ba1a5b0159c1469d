# SPDX-License-Identifier: GPL-2.0-or-later
"""An element by itself, the names of its values, and the text of an IESpec."""

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.model.datatypes import DATA_TYPES, VARIABLE, data_type, octetArray
from scapy_ipfix.model.iespec import (
    MAX_ID,
    MAX_PEN,
    FieldSpec,
    IESpec,
    InformationElement,
    ValueNames,
    close_matches,
    is_iespec,
    parse_iespec,
    parse_placeholder,
    placeholder_name,
)

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}", fullmatch=True)
sizes = st.none() | st.integers(0, VARIABLE)
types = st.sampled_from(["", *DATA_TYPES])


@st.composite
def iespecs(draw: st.DrawFn) -> IESpec:
    name = draw(st.just("") | names)
    id = draw(st.integers(0, 0xFFFF) if not name else st.none() | st.integers(0, 0xFFFF))
    pen = draw(st.none() | st.integers(1, 0xFFFFFFFF)) if id is not None else None
    return IESpec(name, pen, id, draw(types), draw(sizes))


class TestIESpec:
    @given(iespecs())
    def test_what_is_written_is_read(self, spec: IESpec) -> None:
        assert parse_iespec(str(spec)) == spec

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("octetDeltaCount", IESpec("octetDeltaCount")),
            ("(2)", IESpec(id=2)),
            ("(9/12235)", IESpec(pen=9, id=12235)),
            ("(0/1)", IESpec(pen=0, id=1)),
            ("octetDeltaCount[4]", IESpec("octetDeltaCount", size=4)),
            ("wlanSSID[v]", IESpec("wlanSSID", size=VARIABLE)),
            ("wlanSSID[65535]", IESpec("wlanSSID", size=VARIABLE)),
            ("  foo(99999/1)<unsigned32>\n", IESpec("foo", 99999, 1, "unsigned32")),
            ("a(1)<string>[0]", IESpec("a", None, 1, "string", 0)),
        ],
    )
    def test_partial(self, text: str, parts: IESpec) -> None:
        assert parse_iespec(text) == parts

    @pytest.mark.parametrize(
        ("text", "where"),
        [
            ("octetDeltaCount[x]", r"unexpected '\[x\]' at position 15"),
            ("octetDeltaCount(1", r"unexpected '\(1' at position 15"),
            ("octetDeltaCount(-1)", "position 15"),
            ("octetDeltaCount[4]<unsigned64>", "unexpected '<unsigned64>' at position 18"),
            ("octet DeltaCount", "unexpected ' DeltaCount' at position 5"),
            ("foo(1/2/3)", "position 3"),
            ("foo(\u0661)", "position 3"),
            ("foo[65536]", "size 65536 is above 65535"),
            ("foo(123456)", "position 3"),
            ("", "neither a name nor a number"),
            ("[4]", "neither a name nor a number"),
            ("<string>", "neither a name nor a number"),
        ],
    )
    def test_malformed_says_where(self, text: str, where: str) -> None:
        with pytest.raises(ValueError, match=where):
            parse_iespec(text)

    @given(st.text(max_size=40))
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        try:
            spec = parse_iespec(text)
        except ValueError:
            return
        assert parse_iespec(str(spec)) == spec._replace(pen=spec.pen or None)

    def test_variable_is_v(self) -> None:
        assert str(IESpec("a", 9, 1, "string", VARIABLE)) == "a(9/1)<string>[v]"

    def test_is_iespec(self) -> None:
        assert not is_iespec("octetDeltaCount")
        assert all(is_iespec(text) for text in ("(1)", "a[4]", "a<string>"))


class TestInformationElement:
    def test_text(self) -> None:
        element = InformationElement(
            "octetDeltaCount", 1, 0, data_type("unsigned64"), "deltaCounter", "octets"
        )
        assert str(element) == "octetDeltaCount(1)<unsigned64>[8]"
        assert repr(element) == (
            "<InformationElement octetDeltaCount(1)<unsigned64>[8] deltaCounter octets>"
        )
        assert (element.length, element.is_known) == (8, True)

    def test_defaults(self) -> None:
        element = InformationElement("foo", 7, 9)
        assert element.type is octetArray
        assert element.length == VARIABLE
        assert str(element) == "foo(9/7)<octetArray>[v]"
        assert element.status == "current"

    def test_placeholder(self) -> None:
        element = InformationElement("_ipfix_9_7", 7, 9)
        assert not element.is_known
        assert placeholder_name(9, 7) == "_ipfix_9_7"

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            (("", 1), "name ''"),
            (("two words", 1), "name 'two words' of element 0/1"),
            (("a(b", 1), "name"),
            (("\u00e9t\u00e9", 1), "name"),
            (("foo\n", 1), "name"),
            (("_ipfix_9_8", 7, 9), "would be _ipfix_9_7"),
            (("foo", -1), "id -1 of element foo: not 0 to 65535"),
            (("foo", 65536), "id 65536 of element foo: not 0 to 65535"),
            (("foo", 32768, 9), "id 32768 of element foo: not 0 to 32767"),
            (("foo", 1, 1 << 32), "pen 4294967296 of element foo: not 0 to 4294967295"),
            (("foo", "1"), "id '1' of element foo"),
            (("foo", 1, 0, "string"), "type 'string' of foo: not a DataType"),
            (("foo", 1, 0, octetArray, "", "", (5, 4)), "range 5-4 of foo"),
            (("foo", 1, 0, octetArray, "", "", None, "old"), "status 'old' of foo"),
        ],
    )
    def test_checks_its_values(self, arguments: tuple[object, ...], complaint: str) -> None:
        with pytest.raises(ValueError, match=complaint):
            InformationElement(*arguments)  # type: ignore[arg-type]

    def test_equal_when_all_is(self) -> None:
        a = InformationElement("foo", 1, 9, data_type("unsigned8"))
        assert a == InformationElement("foo", 1, 9, data_type("unsigned8"))
        assert hash(a) == hash(InformationElement("foo", 1, 9, data_type("unsigned8")))
        assert a != InformationElement("foo", 1, 9, data_type("unsigned16"))
        assert a != InformationElement("foo", 1, 9, data_type("unsigned8"), units="octets")
        assert a != "foo"

    def test_frozen(self) -> None:
        with pytest.raises(AttributeError):
            InformationElement("foo", 1).name = "bar"  # type: ignore[misc]

    @pytest.mark.parametrize("names", [None, {1: "one"}])
    def test_copies_and_pickles(self, names: dict[int, str] | None) -> None:
        values = ValueNames("enum", names) if names else None
        element = InformationElement("foo", 1, 9, data_type("unsigned8"), values=values)
        assert copy.deepcopy(element) == element
        assert pickle.loads(pickle.dumps(element)) == element

    def test_field_spec(self) -> None:
        element = InformationElement("foo", 1, 9, data_type("unsigned32"))
        assert str(FieldSpec(element, 2)) == "foo(9/1)<unsigned32>[2]"
        assert str(FieldSpec(element, VARIABLE)) == "foo(9/1)<unsigned32>[v]"


@pytest.mark.parametrize("number", [(9, 7), (0, 0), (MAX_PEN, MAX_ID), (0, MAX_ID), (0, 65535)])
def test_nameless(number: tuple[int, int]) -> None:
    pen, id = number
    element = InformationElement.nameless(pen, id)
    made = InformationElement(placeholder_name(pen, id), id, pen)
    assert element == made
    assert repr(element) == repr(made)
    assert not element.is_known
    for copied in (pickle.loads(pickle.dumps(element)), copy.copy(element)):
        assert copied == made
        assert copied.is_known is False


@pytest.mark.parametrize(
    "number", [(9, 32768), (-1, 1), (1 << 32, 1), (0, 65536), (9, -1), ("9", 1), (9, None)]
)
def test_nameless_out_of_range(number: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="not 0 to"):
        InformationElement.nameless(*number)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("_ipfix_9_12235", (9, 12235)),
        ("_ipfix_0_65535", (0, 65535)),
        ("_ipfix_0_65536", None),
        ("_ipfix_9_32768", None),
        ("_ipfix_4294967296_1", None),
        ("_ipfix_09_1", None),
        ("_ipfix_9", None),
        ("_ipfix_9_1_2", None),
        ("octetDeltaCount", None),
    ],
)
def test_parse_placeholder(name: str, number: tuple[int, int] | None) -> None:
    assert parse_placeholder(name) == number


class TestValueNames:
    def test_enum(self) -> None:
        values = ValueNames("enum", {6: "tcp", 17: "udp"})
        assert values.text(6) == "tcp"
        assert values.text(7) is None
        assert values.parse("UDP") == 17
        assert values.parse("icmp") is None
        assert values.parse("6") is None

    def test_letters(self) -> None:
        values = ValueNames("flags", {0: "F", 1: "S", 2: "R", 3: "P", 4: "A"})
        assert values.text(0x12) == "SA"
        assert values.text(0) == ""
        assert values.text(0x112) == "SA+0x100"
        assert values.parse("as") == 0x12
        assert values.parse("SA+0x100") == 0x112
        assert values.parse("") == 0
        assert values.parse("SX") is None

    def test_words(self) -> None:
        values = ValueNames("flags", {5: "MF", 6: "DF"})
        assert values.text(0x60) == "MF+DF"
        assert values.text(0x80) == "0x80"
        assert values.parse("df+mf") == 0x60
        assert values.parse("128") == 0x80
        assert values.parse("df+") == 0x40
        assert values.parse("dfmf") is None

    @given(
        st.dictionaries(st.integers(0, 63), st.sampled_from("FSRPAUECN"), max_size=9).filter(
            lambda names: len(set(names.values())) == len(names)
        ),
        st.integers(0, (1 << 64) - 1),
    )
    def test_flags_come_back(self, names: dict[int, str], value: int) -> None:
        values = ValueNames("flags", names)
        text = values.text(value)
        assert text is not None
        assert values.parse(text) == value

    def test_a_shared_name_is_the_least_value(self) -> None:
        assert ValueNames("enum", {3: "x", 2: "X", 9: "y"}).parse("x") == 2

    def test_read_when_asked_for(self, tmp_path) -> None:
        path = tmp_path / "colour.csv"
        values = ValueNames("enum", path)
        path.write_text('value,name\n1,red\n2,"a, b"\n')
        assert dict(values.names) == {1: "red", 2: "a, b"}
        path.unlink()
        assert values.text(1) == "red"
        assert values.reference == "enum:colour"

    def test_a_missing_file_has_no_names(self, tmp_path) -> None:
        assert dict(ValueNames("enum", tmp_path / "none.csv").names) == {}

    @pytest.mark.parametrize("row", ["one,1", "1", "1,2,3"])
    def test_a_bad_file_says_where(self, tmp_path, row: str) -> None:
        path = tmp_path / "colour.csv"
        path.write_text(f"value,name\n0,black\n{row}\n")
        with pytest.raises(ValueError, match=r"colour\.csv:3: "):
            ValueNames("enum", path).text(0)

    def test_kind(self) -> None:
        with pytest.raises(ValueError, match="'bits'"):
            ValueNames("bits", {})

    def test_equal(self, tmp_path) -> None:
        path = tmp_path / "a.csv"
        assert ValueNames("enum", path) == ValueNames("enum", path)
        assert hash(ValueNames("enum", path)) == hash(ValueNames("enum", path))
        assert ValueNames("enum", path) != ValueNames("flags", path)
        assert ValueNames("enum", {1: "a"}) == ValueNames("enum", {1: "a"})
        assert ValueNames("enum", {1: "a"}) != ValueNames("enum", {1: "b"})
        assert pickle.loads(pickle.dumps(ValueNames("enum", path))) == ValueNames("enum", path)

    def test_names_cannot_be_changed(self) -> None:
        with pytest.raises(TypeError):
            ValueNames("enum", {1: "a"}).names[2] = "b"  # type: ignore[index]


def test_close_matches() -> None:
    assert close_matches("sourceipv4adress", ["sourceIPv4Address", "x"]) == ["sourceIPv4Address"]

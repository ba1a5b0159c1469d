# SPDX-License-Identifier: GPL-2.0-or-later
"""Information Elements and the names of their values."""

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.model.datatypes import VARIABLE, data_type, octetArray
from scapy_ipfix.model.element import (
    MAX_ID,
    MAX_PEN,
    FieldSpec,
    InformationElement,
    ValueNames,
    close_matches,
    parse_placeholder,
    placeholder_name,
)


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

    def test_named_as_a_placeholder(self) -> None:
        element = InformationElement("_ipfix_9_7", 7, 9)
        assert not element.is_known
        assert placeholder_name(9, 7) == "_ipfix_9_7"

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("", 1), "name ''"),
            (("two words", 1), "name 'two words' of element 0/1"),
            (("a(b", 1), "name"),
            (("\u00e9t\u00e9", 1), "name"),
            (("foo\n", 1), "name"),
            (("_ipfix_9_8", 7, 9), "placeholders, this element's is _ipfix_9_7"),
            (("foo", -1), "id -1 of element foo: give 0 to 65535"),
            (("foo", 65536), "id 65536 of element foo: give 0 to 65535"),
            (("foo", 32768, 9), "id 32768 of element foo: give 0 to 32767"),
            (("foo", 1, 1 << 32), "pen 4294967296 of element foo: give 0 to 4294967295"),
            (("foo", "1"), "id '1' of element foo"),
            (("foo", 1, 0, "string"), "type 'string' of foo: give a DataType"),
            (("foo", 1, 0, octetArray, "", "", (5, 4)), "range 5-4 of foo"),
            (("foo", 1, 0, octetArray, "", "", None, "old"), "status 'old' of foo"),
        ],
    )
    def test_invalid_arguments(self, arguments: tuple[object, ...], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            InformationElement(*arguments)  # type: ignore[arg-type]

    def test_equality(self) -> None:
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
def test_placeholder(number: tuple[int, int]) -> None:
    pen, id = number
    element = InformationElement.placeholder(pen, id)
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
def test_placeholder_out_of_range(number: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="give 0 to"):
        InformationElement.placeholder(*number)


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
    def test_round_trip_of_flags(self, names: dict[int, str], value: int) -> None:
        values = ValueNames("flags", names)
        text = values.text(value)
        assert text is not None
        assert values.parse(text) == value

    def test_a_shared_name_stands_for_the_least_value(self) -> None:
        assert ValueNames("enum", {3: "x", 2: "X", 9: "y"}).parse("x") == 2

    def test_file_is_read_on_first_use(self, tmp_path) -> None:
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
    def test_error_names_the_line(self, tmp_path, row: str) -> None:
        path = tmp_path / "colour.csv"
        path.write_text(f"value,name\n0,black\n{row}\n")
        with pytest.raises(ValueError, match=r"colour\.csv:3: "):
            ValueNames("enum", path).text(0)

    def test_kind(self) -> None:
        with pytest.raises(ValueError, match="'bits'"):
            ValueNames("bits", {})

    def test_equality(self, tmp_path) -> None:
        path = tmp_path / "a.csv"
        assert ValueNames("enum", path) == ValueNames("enum", path)
        assert hash(ValueNames("enum", path)) == hash(ValueNames("enum", path))
        assert ValueNames("enum", path) != ValueNames("flags", path)
        assert ValueNames("enum", {1: "a"}) == ValueNames("enum", {1: "a"})
        assert ValueNames("enum", {1: "a"}) != ValueNames("enum", {1: "b"})
        assert pickle.loads(pickle.dumps(ValueNames("enum", path))) == ValueNames("enum", path)

    def test_names_are_immutable(self) -> None:
        with pytest.raises(TypeError):
            ValueNames("enum", {1: "a"}).names[2] = "b"  # type: ignore[index]


def test_close_matches() -> None:
    assert close_matches("sourceipv4adress", ["sourceIPv4Address", "x"]) == ["sourceIPv4Address"]

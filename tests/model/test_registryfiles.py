# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of elements: the formats that are read, errors, and the writer."""

import re
from pathlib import Path

import pytest

from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.registryfiles import COLUMNS, Row, read_elements, write_csv

HEADER = ",".join(COLUMNS)
IANA_HEADER = (
    "ElementID,Name,Abstract Data Type,Data Type Semantics,Status,Description,Units,Range,"
    "Additional Information,Reference,Revision,Date"
)
XML = """<?xml version='1.0' encoding='UTF-8'?>
<registry xmlns="http://www.iana.org/assignments" xmlns:cert="http://www.cert.org/ipfix" id="x">
  <registry id="elements">
    <record><name>Reserved</name><elementId>0</elementId></record>
    <record>
      <name>fooCount</name>
      <dataType>unsigned64</dataType>
      <dataTypeSemantics>deltaCounter</dataTypeSemantics>
      <elementId>1</elementId>
      <status>deprecated</status>
      <units>octets</units>
      <range>0-0xFF</range>
    </record>
    <record>
      <name>bar</name>
      <dataType>string</dataType>
      <cert:enterpriseId>6871</cert:enterpriseId>
      <elementId>2</elementId>
    </record>
    <record><name>Unassigned</name><elementId>3-32767</elementId></record>
  </registry>
</registry>
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


class TestReaders:
    def test_own_csv(self, tmp_path: Path) -> None:
        path = written(
            tmp_path / "99999_test.csv",
            f"{HEADER}\n1,foo,unsigned8,flags,octets,0-7,deprecated,\n\n2,bar,string,,,,,\n",
        )
        assert list(read_elements(path)) == [
            (
                2,
                InformationElement(
                    "foo", 1, 99999, data_type("unsigned8"), "flags", "octets", (0, 7), "deprecated"
                ),
            ),
            (4, InformationElement("bar", 2, 99999, data_type("string"))),
        ]
        assert [each.pen for _, each in read_elements(path, 5)] == [5, 5]  # type: ignore[union-attr]

    def test_columns_in_another_order(self, tmp_path: Path) -> None:
        header = "id,name,type,values,status,range,units,semantics,comment"
        path = written(tmp_path / "x.csv", f"{header}\n1,foo,string,,current,,octets,flags,hello\n")
        ((_, element),) = read_elements(path)
        assert element == InformationElement("foo", 1, 0, data_type("string"), "flags", "octets")

    def test_value_names(self, tmp_path: Path) -> None:
        (tmp_path / "enums").mkdir()
        written(tmp_path / "enums" / "colour.csv", "value,name\n1,red\n")
        path = written(tmp_path / "9_x.csv", f"{HEADER}\n1,foo,unsigned8,,,,,enum:colour\n")
        ((_, element),) = read_elements(path)
        assert isinstance(element, InformationElement)
        assert element.values is not None
        assert element.values.text(1) == "red"

    def test_iana_csv(self, tmp_path: Path) -> None:
        text = (
            f"{IANA_HEADER}\n0,Reserved,,,,,,,,,,\n"
            '1,fooCount,unsigned64,deltaCounter,current,"Two\nlines, ""quoted""",octets,,,,0,\n'
            "2,bar,ipv4Address,default,deprecated,x,,,,,0,\n3-9,Unassigned,,,,,,,,,,\n"
        )
        assert list(read_elements(written(tmp_path / "iana.csv", text))) == [
            (
                3,
                InformationElement(
                    "fooCount", 1, 0, data_type("unsigned64"), "deltaCounter", "octets"
                ),
            ),
            (
                5,
                InformationElement(
                    "bar", 2, 0, data_type("ipv4Address"), "default", status="deprecated"
                ),
            ),
        ]

    def test_xml(self, tmp_path: Path) -> None:
        assert list(read_elements(written(tmp_path / "x.xml", XML), 5)) == [
            (
                9,
                InformationElement(
                    *("fooCount", 1, 5, data_type("unsigned64"), "deltaCounter", "octets"),
                    *((0, 255), "deprecated"),
                ),
            ),
            (18, InformationElement("bar", 2, 6871, data_type("string"))),
        ]

    def test_iespecs(self, tmp_path: Path) -> None:
        text = "# mine\n\nfoo(99999/1)<string>  # a comment\noctetDeltaCount\n"
        path = written(tmp_path / "x.iespec", text)
        assert list(read_elements(path)) == [(3, "foo(99999/1)<string>"), (4, "octetDeltaCount")]

    def test_byte_order_mark_is_skipped(self, tmp_path: Path) -> None:
        path = written(tmp_path / "9_x.csv", f"\ufeff{HEADER}\n1,foo,string,,,,,\n")
        assert [each.name for _, each in read_elements(path)] == ["foo"]  # type: ignore[union-attr]

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("9_x.csv", f"{HEADER}\n1,foo,string,,,,,\nx,bar,string,,,,,\n", ":3: id 'x'"),
            ("9_x.csv", f"{HEADER}\n1,foo,text,,,,,\n", ":2: no data type 'text'"),
            ("9_x.csv", f"{HEADER}\n40000,foo,string,,,,,\n", ":2: id 40000 of element foo"),
            ("9_x.csv", f"{HEADER}\n1,a b,string,,,,,\n", ":2: name 'a b'"),
            ("9_x.csv", f"{HEADER}\n1,foo,string,,,7,,\n", ":2: range '7'"),
            ("9_x.csv", f"{HEADER}\n1,foo,string,,,a-b,,\n", ":2: range 'a-b'"),
            ("9_x.csv", f"{HEADER}\n1,foo,string,,,,,colour\n", ":2: values 'colour'"),
            ("9_x.csv", f"{HEADER}\n1,foo,string\n", ":2: 3 cells below 8 columns"),
            ("9_x.csv", f'{HEADER}\n1,"foo"x,string,,,,,\n', ":2: not CSV"),
            ("9_x.csv", "id,name,type\n", ":1: no column semantics, units"),
            ("9_x.csv", f"{IANA_HEADER}\n1,foo,text,,,,,,,,,\n", ":2: no data type 'text'"),
            ("x.xml", XML.replace(">string<", ">text<"), ":18: no data type 'text'"),
            ("x.xml", XML.replace("</registry>", "", 1), ":23: not well-formed XML"),
        ],
    )
    def test_errors_name_the_line(self, tmp_path: Path, name: str, text: str, message: str) -> None:
        path = written(tmp_path / name, text)
        with pytest.raises(ValueError, match=re.escape(f"{path}{message}")):
            list(read_elements(path))

    def test_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "x.csv"
        path.write_bytes(b"id,name,type\n\xff\n")
        with pytest.raises(ValueError, match=r"x\.csv:2: not UTF-8"):
            read_elements(path)

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            read_elements(tmp_path / "none.csv")

    def test_round_trip(self, tmp_path: Path) -> None:
        rows = [
            Row("1", "foo", "unsigned8", "flags", "octets", "0-7", "current", "enum:x"),
            Row("2", "bar", "string", status="deprecated"),
        ]
        path = written(tmp_path / "9_x.csv", write_csv(rows))
        found = [element for _, element in read_elements(path)]
        assert [Row.from_element(each) for each in found] == rows  # type: ignore[arg-type]

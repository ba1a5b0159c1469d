# SPDX-License-Identifier: GPL-2.0-or-later
"""Text and tables: no control characters, no line breaks, no markup."""

import copy
import unicodedata
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.model.datatypes import DATA_TYPES, VARIABLE
from scapy_ipfix.model.model import elements
from scapy_ipfix.text import CELL, Table, counted, cut, printable
from scapy_ipfix.wire.display import field_texts
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template

from .strategies import Filled, filled

HOSTILE = "a\x1b[31m\x00\x07\x08\x7f\x85\x9b2J\u2028\u202e\u200b\ufeff\r\n\t\ud800z"


def is_harmless(text: str) -> bool:
    """Return True if no character is a control, a format or a line separator."""
    return not any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in text)


@given(st.text() | st.text(st.sampled_from(HOSTILE)))
def test_printable(text):
    found = printable(text)
    assert is_harmless(found)
    assert found.isprintable()
    assert (found == text) == text.isprintable()
    assert len(found) >= len(text)


def test_escapes():
    assert printable(HOSTILE).startswith("a\\x1b[31m\\x00\\x07\\x08\\x7f\\x85\\x9b2J\\u2028\\u202e")
    assert printable("Zürich, 東京 €") == "Zürich, 東京 €"


@pytest.mark.parametrize("length", [0, 1, CELL - 1, CELL, CELL + 1, 70_000])
def test_cut(length):
    text = "x" * length
    found = cut(text)
    assert len(found) == min(length, CELL)
    assert found.endswith("…") == (length > CELL)
    assert cut(text, 5) == (text if length <= 5 else "xxxx…")


def test_counted():
    assert [counted(number, "record") for number in (0, 1, 2)] == [
        "0 records",
        "1 record",
        "2 records",
    ]


class Counted(NamedTuple):
    exporter: object
    lost_records: int | None

    @property
    def twice(self) -> int:
        return 2 * (self.lost_records or 0)


class TestTable:
    table = Table(("exporter", "lost_records"), [Counted("a", 1), Counted("router", None)])

    def test_rows_are_named_tuples(self):
        assert self.table[0].lost_records == 1
        assert self.table == [("a", 1), ("router", None)]

    def test_prints_as_a_table(self):
        assert repr(self.table) == "exporter  lost records\na         1\nrouter"
        assert str(self.table) == repr(self.table)

    def test_columns_may_be_properties(self):
        assert repr(Table(("twice",), self.table)) == "twice\n2\n0"

    def test_without_rows(self):
        assert repr(Table(("exporter", "lost_records"))) == "exporter  lost records"

    def test_copy(self):
        assert repr(copy.deepcopy(self.table)) == repr(self.table)

    @given(st.text() | st.text(st.sampled_from(HOSTILE)))
    def test_of_any_text(self, text):
        table = Table(("exporter",), [Counted(text, 0)])
        header, *lines = repr(table).split("\n")
        assert header == "exporter"
        assert lines == [printable(text).rstrip()]
        assert is_harmless(lines[0])

    @given(st.text(st.sampled_from(HOSTILE + "<>&'\"")))
    def test_html_of_any_text(self, text):
        html = Table(("exporter",), [Counted(text, 0)])._repr_html_()
        cells = [each.text or "" for each in ElementTree.fromstring(html).iter("td")]
        assert cells == [printable(text)]

    def test_html(self):
        assert Table(("lost_records",), [Counted("a", 1)])._repr_html_() == (
            "<table><thead><tr><th>lost records</th></tr></thead>"
            "<tbody><tr><td>1</td></tr></tbody></table>"
        )


@given(filled(min_size=1))
def test_values_of_any_type(case: Filled):
    texts = field_texts(case.template)
    assert len(texts) == len(case.template.fields)
    for row in case.rows:
        for text, value in zip(texts, row):
            assert is_harmless(text(value))


@pytest.mark.parametrize("kind", DATA_TYPES)
@pytest.mark.parametrize("value", [None, b"", b"\x1b\xff", HOSTILE, [], [HOSTILE, b"\x1b\xff"]])
def test_values_that_are_not_of_the_type(kind, value):
    element = next(each for each in elements if each.type.name == kind)
    (text,) = field_texts(Template(256, TemplateField(element, VARIABLE, "")))
    assert is_harmless(text(value))


def shown(field: str, value: object) -> str:
    (text,) = field_texts(Template(256, field))
    return text(value)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("octetDeltaCount", 5, "5"),
        ("octetDeltaCount", None, ""),
        ("protocolIdentifier", 6, "tcp"),
        ("tcpControlBits", 0x12, "SA"),
        ("sourceIPv4Address", "192.0.2.1", "192.0.2.1"),
        ("interfaceName", "eth0", "eth0"),
        ("interfaceName", "it's", "it's"),
        ("interfaceName", b"\x1b[2J\xff", "\\x1b[2J\ufffd"),
        ("flowStartMilliseconds", 0, "1970-01-01T00:00:00.000Z"),
        ("dataRecordsReliability", True, "true"),
        ("_ipfix_9999_1[v]", b"\x00\xff", "00ff"),
        ("octetDeltaCount[11]", b"\x00\xff", "00ff"),
        ("basicList", [1, "a\x1b", b"\x01"], '[1, "a\\u001b", "01"]'),
        ("subTemplateList", [{"octetDeltaCount": 1}], '[{"octetDeltaCount": 1}]'),
        ("basicList", b"\x03\x00", "0300"),
    ],
)
def test_field_texts(field, value, text):
    assert shown(field, value) == text

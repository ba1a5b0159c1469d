# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as tables, JSON lines and CSV: complete, aligned and safe for a terminal."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import IPFIX, DataSet, IPFIXSession, NetFlowV9, Template, iter_records
from scapy_ipfix.cli.output import CSV, JSONLines, TextTable
from scapy_ipfix.reading.reader import iter_sets
from scapy_ipfix.text import CELL
from tests.strategies import filled
from tests.test_text import HOSTILE, is_harmless

PCAPS = Path(__file__).parents[2] / "pcaps"
NAMED = Template(256, "interfaceName", "octetDeltaCount[4]")
OPTIONS = Template(257, "ingressInterface", "interfaceName", scope=1)
CONTEXT = ["_exporter", "_domain", "_template"]
#: Strings that JSON and CSV keep complete.
STRINGS = [HOSTILE.replace("\ud800", ""), 'say "hi", you;\\', "", "=cmd()", "x" * 60_000, "東京"]


def messages(*names: Any) -> list[bytes]:
    rows = [(name, 5) for name in names]
    return [bytes(IPFIX(sets=[NAMED]) / DataSet(template=NAMED, records=rows))]


def write(source: Any, make: Any) -> tuple[str, Any]:
    """Return the text that an output writes for a source, and the output."""
    out = io.StringIO()
    output = make(out)
    for read in iter_sets(source, IPFIXSession()):
        assert read.template is not None
        output.write(read, read.template)
    output.finish()
    return out.getvalue(), output


# -- JSON


def test_json_lines_equal_iter_records():
    text, output = write(str(PCAPS / "softflowd_ipfix.pcap"), JSONLines)
    found = [json.loads(line) for line in text.splitlines()]
    assert output.records == len(found) == 523
    assert list(found[0])[:3] == CONTEXT
    plain = list(iter_records(PCAPS / "softflowd_ipfix.pcap", values="json"))
    assert [{k: v for k, v in each.items() if k[0] != "_"} for each in found] == plain


def test_strings_are_complete_in_json():
    text, _ = write(messages(*STRINGS), JSONLines)
    assert text.isascii()
    assert is_harmless(text.replace("\n", ""))
    assert text.count("\n") == len(STRINGS)
    assert [json.loads(line)["interfaceName"] for line in text.splitlines()] == STRINGS


def test_fields_in_json():
    text, output = write(
        messages("a", "b"), lambda out: JSONLines(out, ("octetDeltaCount", "interfaceName"))
    )
    assert [list(json.loads(line).items())[3:] for line in text.splitlines()] == [
        [("octetDeltaCount", 5), ("interfaceName", "a")],
        [("octetDeltaCount", 5), ("interfaceName", "b")],
    ]
    text, output = write(messages("a"), lambda out: JSONLines(out, ("sourceIPv4Address",)))
    assert (text, output.records) == ("", 0)


@given(st.lists(filled(min_size=1), min_size=1, max_size=3))
def test_any_records_can_be_written(cases):
    source = [
        bytes(IPFIX(sets=[each.template]) / DataSet(template=each.template, records=each.rows))
        for each in cases
    ]
    count = sum(len(each.rows) for each in cases)
    text, output = write(source, JSONLines)
    assert output.records == count == len([json.loads(line) for line in text.splitlines()])
    columns = list(dict.fromkeys(name for each in cases for name in each.template.names))
    text, output = write(source, lambda out: CSV(out, columns))
    assert output.records == count == text.count("\n") - 1
    rows = list(csv.reader(io.StringIO(text)))
    assert {len(row) for row in rows} == {3 + len(columns)}
    for width in (None, 1, 80):
        text, output = write(source, lambda out, width=width: TextTable(out, None, width))
        assert output.records == count
        assert is_harmless(text.replace("\n", ""))


# -- CSV


def test_csv_has_a_line_for_each_record():
    text, output = write(messages(*STRINGS), lambda out: CSV(out, NAMED.names))
    assert output.records == len(STRINGS)
    assert text.count("\n") == len(STRINGS) + 1
    assert is_harmless(text.replace("\n", ""))
    header, *rows = csv.reader(io.StringIO(text))
    assert header == [*CONTEXT, "interfaceName", "octetDeltaCount"]
    assert [row[3] for row in rows][1:] == STRINGS[1:]
    assert rows[0][3].startswith("a\\x1b[31m")


def test_csv_of_several_templates():
    rows = DataSet(template=OPTIONS, records=[(1, "a")])
    source = [*messages("x"), bytes(IPFIX(sets=[OPTIONS]) / rows)]
    columns = ["interfaceName", "octetDeltaCount", "ingressInterface"]
    text, _ = write(source, lambda out: CSV(out, columns))
    _, first, second = csv.reader(io.StringIO(text))
    assert first[2:] == ["256", "x", "5", ""]
    assert second[2:] == ["257", "a", "", "1"]
    text, output = write(source, lambda out: CSV(out, ["sourceIPv4Address"]))
    assert (text.count("\n"), output.records) == (1, 0)


# -- tables


def test_a_table():
    text, output = write(messages("eth0", "lo"), TextTable)
    assert text.splitlines() == [
        "message  IPFIX  domain 0  template 256  2 records",
        "#  interfaceName  octetDeltaCount",
        "1  eth0           5",
        "2  lo             5",
    ]
    assert output.records == 2


def test_strings_are_cut_in_tables():
    text, _ = write(messages("x" * 60_000, "y"), TextTable)
    first, second = text.splitlines()[2:]
    assert first.split() == ["1", "x" * (CELL - 1) + "…", "5"]
    assert second.split() == ["2", "y", "5"]
    assert first.index("5") == second.index("5", 3)


def test_record_numbers_continue_over_tables():
    rows = DataSet(template=OPTIONS, records=[(1, "a")])
    flow = NetFlowV9(sets=[Template(300, "octetDeltaCount")])
    flow /= DataSet(template=Template(300, "octetDeltaCount"), records=[(7,)])
    source = [*messages("x", "y"), bytes(IPFIX(sets=[OPTIONS]) / rows), *messages("z"), bytes(flow)]
    text, output = write(source, TextTable)
    blocks = text.split("\n\n")
    assert [block.splitlines()[0].split("  ")[1:] for block in blocks] == [
        ["IPFIX", "domain 0", "template 256", "2 records"],
        ["IPFIX", "domain 0", "options template 257", "1 record"],
        ["IPFIX", "domain 0", "template 256", "1 record"],
        ["NetFlow v9", "domain 0", "template 300", "1 record"],
    ]
    assert [line.split()[0] for block in blocks for line in block.splitlines()[2:]] == list("12345")
    assert output.records == 5


def test_many_records_are_written_in_blocks():
    names = [f"eth{n}" for n in range(2500)]
    source = [*messages(*names[:1500]), *messages(*names[1500:])]
    text, output = write(source, TextTable)
    assert output.records == 2500
    lines = [line for line in text.splitlines() if line[:1].isdigit()]
    assert [line.split()[1] for line in lines] == names


@pytest.mark.parametrize("width", [1, 20, 40, 60, 100])
def test_wide_table_is_broken_into_blocks(width):
    path = str(PCAPS / "softflowd_ipfix_ether.pcap")
    text, output = write(path, lambda out: TextTable(out, None, width))
    whole, _ = write(path, TextTable)
    assert output.records == 39
    assert max(map(len, whole.splitlines())) > 100
    lines = [line for line in text.splitlines() if not line.startswith("127.0.0.1:")]
    # A column that is wider than the line is alone beside the number.
    assert all(len(line) <= width or len(line.split("  ")) <= 30 for line in lines)
    if width >= 60:
        assert max(map(len, lines)) <= width
    for name in ("sourceIPv4Address", "sourceMacAddress", "flowEndReason"):
        assert name in text


def test_fields_in_a_table():
    fields = ("octetDeltaCount", "interfaceName", "octetDeltaCount")
    text, _ = write(messages("eth0"), lambda out: TextTable(out, fields))
    assert text.splitlines()[1:] == [
        "#  octetDeltaCount  interfaceName  octetDeltaCount",
        "1  5                eth0           5",
    ]


def wide(fields: int, rows: int) -> list[bytes]:
    template = Template(256, *["octetDeltaCount[1]"] * fields)
    data = DataSet(template=template, records=[bytes(fields)] * rows)
    return [bytes(IPFIX(sets=[template])), bytes(IPFIX(sets=[data]))]


def test_wide_layouts_are_not_cached():
    text, output = write(wide(400, 3), JSONLines)
    assert len([json.loads(line) for line in text.splitlines()]) == 3
    assert output._lines == {}
    _, output = write(wide(4, 3), JSONLines)
    assert len(output._lines) == 1


def test_table_is_written_after_a_number_of_cells():
    announced, data = wide(5000, 4)
    text, output = write([announced, *[data] * 6], TextTable)
    assert output.records == 24
    assert [line.split("  ")[-1] for line in text.splitlines() if "domain" in line] == [
        *("12 records", "12 records"),
    ]

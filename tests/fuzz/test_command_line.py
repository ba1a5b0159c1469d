# SPDX-License-Identifier: GPL-2.0-or-later
"""Characters that a terminal or a spreadsheet may interpret, in the output of the command.

``tests/cli`` prints one such text in every place; the tests here print all of them in one.
"""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scapy_ipfix import IPFIX, DataSet, Template, TemplateSet
from scapy_ipfix.cli.main import main

from ..test_text import is_harmless
from .seeds import LONG, stories

ROOT = Path(__file__).parents[2]
NAMES = Template(256, "interfaceName", "octetDeltaCount[4]")
#: C0, DEL and C1; line separators; bidirectional controls; characters without width; BOM.
CHARACTERS = [
    *map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0)]),
    *"\u2028\u2029\x85\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    *"\u200b\u200c\u200d\ufeff\ufffe\U000e0001",
]
SEQUENCES = [
    "\x1b[2J\x1b[H",
    "\x1b]0;title\x07",
    "\x1b]8;;http://192.0.2.1/\x1b\\link\x1b]8;;\x1b\\",
    "\x1bPq#0\x1b\\",
    "\x9b31m",
    "\r\nforged: line\r\n",
    '","forged","',
    '"',
    "'",
    "|",
    "\\x1b",
]
#: Formulas of spreadsheets, which CSV output leaves as they are.
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(0)", "=cmd|' /C calc'!A0", "\t=1"]
TEXTS = [f"a{each}b" for each in CHARACTERS] + SEQUENCES + FORMULAS


def a_file(path: Path, *names: str | bytes) -> str:
    records = [(each, number) for number, each in enumerate(names)]
    sets = [TemplateSet(templates=[NAMES]), DataSet(template=NAMES, records=records)]
    path.write_bytes(bytes(IPFIX(sets=sets)))
    return str(path)


@pytest.fixture
def evil(tmp_path: Path) -> str:
    return a_file(tmp_path / "evil.ipfix", *TEXTS)


def test_json_is_a_line_a_record_and_the_text_that_came(
    evil: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([evil, "--json"]) == 0
    out = capsys.readouterr().out
    assert is_harmless(out.replace("\n", ""))
    assert [json.loads(line)["interfaceName"] for line in out.split("\n")[:-1]] == TEXTS


def test_csv_is_a_line_a_record(evil: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([evil, "--csv"]) == 0
    out = capsys.readouterr().out
    assert is_harmless(out.replace("\n", ""))
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == out.count("\n") - 1 == len(TEXTS)
    assert [int(row["octetDeltaCount"]) for row in rows] == list(range(len(TEXTS)))
    for row, text in zip(rows, TEXTS):
        if text.isprintable():  # quotes, commas and formulas among them
            assert row["interfaceName"] == text
        assert None not in row


@pytest.mark.parametrize("arguments", [[], ["--width", "40"], ["--diagnostics"], ["--stats"]])
def test_tables(evil: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([evil, *arguments]) == 0
    out, err = capsys.readouterr()
    assert is_harmless((out + err).replace("\n", ""))


def test_sixty_thousand_characters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A long text is cut in a table, and whole but escaped in JSON and CSV."""
    long = "x" * 60_000 + "\x1b\n"
    path = a_file(tmp_path / "long.ipfix", long)
    assert main([path]) == 0
    out = capsys.readouterr().out
    assert len(out) < 2000
    assert main([path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["interfaceName"] == long
    assert main([path, "--csv"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["interfaceName"].count("x") >= 60_000


@pytest.mark.parametrize("name", [b"\xff\xfe.ipfix", b"\x1b[31m\n.ipfix", b"\xc2\x9b31m.ipfix"])
@pytest.mark.parametrize("arguments", [["--diagnostics"], ["check"]])
@pytest.mark.parametrize("there", [True, False])
def test_names_of_files(name: bytes, arguments: list[str], there: bool, tmp_path: Path) -> None:
    """Print names that are no text; a new process gets them as the system has them."""
    path = os.path.join(os.fsencode(tmp_path), name)
    if there:
        try:
            with open(path, "wb") as file:
                file.write(bytes(IPFIX(sets=[DataSet(setId=300, records=[b"abc"])])) + b"\0")
        except OSError:
            pytest.skip("this file system has no such names")
    command, options = (arguments, []) if arguments == ["check"] else ([], arguments)
    result = subprocess.run(
        [sys.executable, "-m", "scapy_ipfix", *command, path, *options],  # type: ignore[list-item]
        cwd=ROOT,
        capture_output=True,
        timeout=60,
    )
    assert b"Traceback" not in result.stderr
    assert result.returncode in ((0, 1) if there else (2, 1))
    shown = (result.stdout + result.stderr).decode().replace("\n", "")
    assert is_harmless(shown), ascii(shown)


@pytest.mark.parametrize("form", ["--json", "--csv", "--diagnostics"])
def test_the_torture_catalogue(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Print one line for each record."""
    messages = [each for story in stories(LONG) for each in story if each[:2] == b"\0\x0a"]
    path = tmp_path / "torture.ipfix"
    path.write_bytes(b"".join(messages))
    assert main([str(path), form]) == 0
    out, err = capsys.readouterr()
    assert is_harmless((out + err).replace("\n", ""))
    if form == "--json":
        assert all(isinstance(json.loads(line), dict) for line in out.splitlines())
    if form == "--csv":
        rows = list(csv.reader(io.StringIO(out)))
        assert len(rows) == out.count("\n")
        assert {len(row) for row in rows} == {len(rows[0])}

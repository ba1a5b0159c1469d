# SPDX-License-Identifier: GPL-2.0-or-later
"""The README is true: its commands, Python, tables and figures, run and counted again.

A plain block right behind a ``sh`` or ``python`` block is what that prints. A line of it that is
``...`` stands for any lines, ``...`` at the end of a line for any rest of it. A comment before a
block, ``<!-- not run: why -->``, leaves it out; ``<!-- needs: module -->`` does where that is not
installed. Python is typed in, statement by statement, in one namespace a section (``##``), and all
of it in one process, which is this file run as a program.
"""

from __future__ import annotations

import ast
import contextlib
import csv
import importlib
import importlib.util
import io
import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pytest
import scapy

from scapy_ipfix import IPFIXSession, Limits, elements, torture
from scapy_ipfix.model.iespec import MAX_ID
from scapy_ipfix.model.registry import SHIPPED
from scapy_ipfix.reading.reader import iter_sets

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
_COMMENT = re.compile(r"<!-- (not run|needs): (.+) -->")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the section it is in, its line, its output."""

    language: str
    text: str
    section: str
    line: int
    not_run: str = ""
    needs: str = ""
    output: str | None = None

    @property
    def is_run(self) -> bool:
        lacks = self.needs and importlib.util.find_spec(self.needs) is None
        return not (self.not_run or lacks)


def blocks() -> list[Block]:
    """The blocks of the README that are run or that need not be, in order."""
    found: list[Block] = []
    section, comment, open_at = "", ("", ""), 0
    language: str | None = None
    text: list[str] = []
    output_of: int | None = None
    for number, line in enumerate(README.splitlines(), 1):
        if language is None and line.startswith("```"):
            language, text, open_at = line[3:], [], number
        elif language is not None and line != "```":
            text.append(line)
        elif language is not None:
            body = "\n".join(text) + "\n"
            if language:
                kind, why = comment
                not_run, needs = why * (kind == "not run"), why * (kind == "needs")
                found.append(Block(language, body, section, open_at, not_run, needs))
                output_of = len(found) - 1
            elif output_of is not None:
                found[output_of] = Block(**(asdict(found[output_of]) | {"output": body}))
                output_of = None
            language, comment = None, ("", "")
        elif line.startswith("## "):
            section = line[3:]
        elif match := _COMMENT.fullmatch(line):
            comment = match[1], match[2]
        elif line:
            output_of, comment = None, ("", "")
    return found


def tables(heading: str) -> list[list[list[str]]]:
    """The tables whose first column is called ``heading``: rows of cells, the header first."""
    found: list[list[list[str]]] = []
    inside = False
    for line in README.splitlines():
        if line.startswith(f"| {heading} |"):
            found.append([])
            inside = True
        inside = inside and line.startswith("|")
        if inside and not line.startswith("| ---"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def pattern(shown: str) -> re.Pattern[str]:
    """What prints as ``shown``, a line or the end of one that is ``...`` standing for any."""
    parts = []
    for line in shown.splitlines():
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        elif line.endswith("..."):
            parts.append(re.escape(line[:-3]) + r".*\n")
        else:
            parts.append(re.escape(line) + r" *\n")
    return re.compile("".join(parts))


def compare(shown: str, printed: str, block: Block) -> None:
    printed = "".join(f"{line}\n" for line in printed.rstrip().splitlines())
    assert pattern(shown).fullmatch(printed), (
        f"README.md, line {block.line}: prints\n{printed}\nwhere it shows\n{shown}"
    )


# -- run as a program: Python in a process of its own


def run_python(text: str, names: dict[str, Any]) -> str:
    """Types the statements in; gives what they print, the values of expressions included."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for statement in ast.parse(text).body:
            exec(compile(ast.Interactive([statement]), "README.md", "single"), names)
    return out.getvalue()


def main() -> None:
    """Runs all Python blocks; prints the output of each, by line, as JSON."""
    names: dict[str, dict[str, Any]] = {}
    printed = {
        str(block.line): run_python(block.text, names.setdefault(block.section, {}))
        for block in blocks()
        if block.language == "python" and block.is_run
    }
    json.dump(printed, sys.stdout)


# -- the blocks

BLOCKS = blocks()
SHELL = [block for block in BLOCKS if block.language == "sh"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the captures, for blocks to write files to, and the command in ``bin``."""
    path = tmp_path_factory.mktemp("readme")
    (path / "pcaps").symlink_to(ROOT / "pcaps")
    commands = path / "bin"
    commands.mkdir()
    for name, arguments in (("scapy-ipfix", "-m scapy_ipfix "), ("python", "")):
        command = commands / name
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        command.chmod(0o755)
    return path


def environment(place: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
    }


def test_the_first_two_shell_blocks_are_what_ci_runs() -> None:
    first, second = SHELL[0].text, SHELL[1].text
    assert first.startswith("python3 -m venv .venv\n. .venv/bin/activate\npip install")
    assert "\nscapy-ipfix pcaps/" in first
    assert second.startswith("pip install")
    assert second.endswith("\npython -m pytest\n")
    assert SHELL[0].output is not None


def test_what_is_not_run_says_why() -> None:
    left_out = [block for block in BLOCKS if block.not_run]
    assert all(re.search("needs|writes", block.not_run) for block in left_out)
    assert all(block.language in ("sh", "python") for block in BLOCKS)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: f"line{block.line}")
def test_commands(block: Block, place: Path) -> None:
    if not block.is_run:
        pytest.skip(block.not_run)
    lines = block.text.splitlines()
    if block in SHELL[:2]:  # installing and testing are for .ci/run
        lines = [line for line in lines if line.startswith("scapy-ipfix ")]
    if not lines:
        pytest.skip(".ci/run runs it")
    assert block.output is not None
    result = subprocess.run(
        ["bash", "-c", "\n".join(lines)],
        cwd=place,
        env=environment(place),
        stdout=subprocess.PIPE,
        timeout=60,
        encoding="utf-8",
    )
    compare(block.output, result.stdout, block)


@pytest.fixture(scope="module")
def printed(place: Path) -> dict[str, str]:
    """What each Python block prints, by its line."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.test_readme"],
        cwd=place,
        env=environment(place),
        capture_output=True,
        timeout=120,
        encoding="utf-8",
    )
    assert not result.returncode, result.stderr
    found: dict[str, str] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(
    "block",
    [block for block in BLOCKS if block.language == "python"],
    ids=lambda block: f"line{block.line}",
)
def test_python(block: Block, printed: dict[str, str]) -> None:
    if not block.is_run:
        pytest.skip(block.not_run or f"no {block.needs}")
    compare(block.output or "", printed[str(block.line)], block)


# -- tables


def defaults() -> list[tuple[str, str]]:
    return [(_CODE.findall(what)[0], default) for what, default, _ in tables("bound")[0][1:]]


def number(text: str) -> int:
    """``16 MiB`` and ``4,096`` as numbers."""
    digits, _, unit = text.replace(",", "").partition(" ")
    return int(digits) * {"": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit]


@pytest.mark.parametrize(("name", "default"), defaults())
def test_the_bounds_are_the_defaults(name: str, default: str) -> None:
    module, *attributes = name.split(".")
    value: Any = importlib.import_module(f"scapy_ipfix.{module}")
    for attribute in attributes:
        value = getattr(value() if isinstance(value, type) else value, attribute)
    assert value == number(default)


def test_all_limits_are_in_the_table() -> None:
    named = {name for name, _ in defaults()}
    assert named >= {f"collector.Limits.{each.name}" for each in fields(Limits)}


def test_the_layout_names_each_module_in_the_order_of_imports() -> None:
    rows = tables("module")[0][1:]
    named = [name for row in rows for name in _CODE.findall(row[0]) if not name.endswith("/")]
    package = ROOT / "scapy_ipfix"
    there = {path.stem: path for path in package.glob("[!_]*.py")}
    there |= {path.parent.name: path for path in package.glob("*/__init__.py")}
    there.pop("data", None)
    assert sorted(named) == sorted(there)
    for position, name in enumerate(named):
        above = set(named[:position])
        for node in ast.walk(ast.parse(there[name].read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                root, _, module = node.module.partition(".")
                if root == "scapy_ipfix":
                    wanted = {module} if module else {each.name for each in node.names} & set(there)
                    assert wanted <= above, f"{name} imports {wanted - above} from below"


# -- beside other libraries

#: Runs steps, each a task and the code in a cell; prints what gives a list, its length and first.
PARITY = """
import ast, io, ipaddress, json, sys, warnings
warnings.simplefilter("ignore")
from scapy.all import UDP, rdpcap

datagrams = [bytes(each[UDP].payload) for each in rdpcap("pcaps/pmacctd_v9.pcap")]
names = {"ipaddress": ipaddress, "datagrams": datagrams, "out": io.BytesIO()}
found = {}
for task, codes in json.load(sys.stdin):
    of_v9 = "NetFlow v9" in task
    names["stream"] = io.BytesIO(b"".join(datagrams) if of_v9 else names["out"].getvalue())
    for code in codes:
        if not isinstance(ast.parse(code).body[0], ast.Expr):
            exec(code, names)
            continue
        value = eval(code, names)
        if isinstance(value, list):
            found[task] = len(value), repr(value[0])
json.dump(found, sys.stdout)
"""


def run_column(column: dict[str, str], place: Path) -> dict[str, tuple[int, str]]:
    """What the cells of a column, by task, give where they give a list: its length, its first."""
    steps = [(task, _CODE.findall(cell)) for task, cell in column.items() if cell[0] == "`"]
    result = subprocess.run(
        [sys.executable, "-c", PARITY],
        input=json.dumps(steps),
        cwd=place,
        env=environment(place),
        capture_output=True,
        timeout=60,
        encoding="utf-8",
    )
    assert not result.returncode, result.stderr
    found: dict[str, tuple[int, str]] = json.loads(result.stdout)
    return found


def columns(rival: str) -> tuple[dict[str, str], dict[str, str]]:
    """The cells of the table beside ``rival``, ours and theirs, by task."""
    for header, *rows in tables("task"):
        if rival in header:
            at = header.index(rival)
            return {row[0]: row[1] for row in rows}, {row[0]: row[at] for row in rows}
    raise AssertionError(f"no table beside {rival}")


@pytest.fixture
def collector_port() -> Iterator[None]:
    """Something that listens where an example sends to; what listens there already will do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        with contextlib.suppress(OSError):
            receiver.bind(("127.0.0.1", 4739))
        yield


@pytest.mark.usefixtures("collector_port")
@pytest.mark.parametrize(
    ("rival", "module"),
    [("python-ipfix", "ipfix"), ("netflow", "netflow"), ("netflume", "netflume")],
)
def test_both_columns_do_the_same(rival: str, module: str, place: Path) -> None:
    ours, theirs = columns(rival)
    got = run_column(ours, place)
    assert got
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"no {module}: our column ran")
    other = run_column(theirs, place)
    assert len(other) > 1
    for task in got.keys() & other.keys():
        if task == "read NetFlow v9, packets end to end":
            assert claim("python-ipfix reads # of the # records") == [other[task][0], got[task][0]]
        elif rival == "python-ipfix":
            assert got[task] == other[task], task
        else:  # fields are called otherwise there
            assert got[task][0] == other[task][0], task


# -- figures


def claim(text: str) -> list[int]:
    """The numbers that stand in the README where ``text`` has ``#``."""
    wanted = re.escape(text).replace(r"\ ", r"\s+").replace(r"\#", r"([\d,]*\d)")
    match = re.search(wanted, README)
    assert match, f"the README does not say {text!r}"
    return [int(each.replace(",", "")) for each in match.groups()]


def test_how_many_elements_have_a_name() -> None:
    registered = Counter(each.pen for each in elements if each.id <= MAX_ID)
    iana, other, enterprises = claim("# of IANA's registry of 2026-07-22, # of # enterprises")
    assert iana == registered.pop(0)
    assert (other, enterprises) == (registered.total(), len(registered))
    assert claim("# NetFlow v9 field types beside") == [len(SHIPPED.v9_elements)]
    with_names = sum(1 for each in elements if each.values is not None)
    assert claim("the values of # elements") == [with_names]


def test_how_many_cases_there_are() -> None:
    assert claim("a catalogue of # messages") == [len(list(torture()))]


def our_captures() -> list[Path]:
    return sorted((ROOT / "pcaps").glob("*.pcap"))


@pytest.fixture(scope="module")
def exporters() -> dict[Path, int]:
    """The captures of real exporters beside the repository, and how many records each has."""
    place = ROOT.parent / "shared" / "captures"
    if not place.is_dir():
        pytest.skip("no ../shared/captures beside the repository")
    with (place / "expected.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    # NetFlow v5, of which no records are counted, is not ours.
    return {place / row["capture"]: int(row["records"]) for row in rows if row["records"] != "-"}


def named_fields(paths: Iterable[Path]) -> list[int]:
    """How many fields the templates in captures have, and how many of these have a name."""
    every = []
    for path in paths:
        session = IPFIXSession()
        for _ in iter_sets(path, session):
            pass
        for domain in session.collector.domains:
            every += [each for state in domain.states.values() for each in state.template.fields]
    return [len(every), sum(1 for each in every if each.element.is_known)]


def test_how_many_fields_of_ours_have_a_name() -> None:
    said = claim("Of the # fields of the templates in `pcaps/`, # have a name")
    assert said == named_fields(our_captures())


def test_how_many_fields_of_exporters_have_a_name(exporters: dict[Path, int]) -> None:
    assert claim("Captures of # real exporters") == [len(exporters)]
    assert claim("Of the # fields of their templates, # have a name") == named_fields(exporters)


def our_records(path: Path) -> Iterator[tuple[str, ...]]:
    """The records of a capture, each as the octets of its fields in hexadecimal."""
    for read in iter_sets(path, IPFIXSession()):
        body = read.body
        assert read.template is not None
        for position, stop in read.template.codec.spans(body)[0]:
            octets = []
            for each in read.template.fields:
                length = each.length
                if each.is_variable:
                    length, position = body[position], position + 1
                    if length == 255:
                        length = int.from_bytes(body[position : position + 2], "big")
                        position += 2
                octets.append(body[position : position + length].hex())
                position += length
            assert position == stop
            # of a field of no octets nobody can say whether it was read
            yield tuple(filter(None, octets))


def beside_shipped(paths: list[Path], place: Path) -> list[int]:
    """How often the layer that ships with Scapy raises and reads all; its records, and ours."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.interop.shipped", *map(str, paths)],
        env=environment(place),
        cwd=place,
        capture_output=True,
        timeout=60,
        encoding="utf-8",
    )
    theirs = json.loads(result.stdout)
    raised = whole = right = records = 0
    for path in paths:
        found = theirs[str(path)]
        ours = Counter(our_records(path))
        same = ours & Counter(tuple(filter(None, each)) for each in found["records"])
        raised += bool(found["raised"])
        whole += same == ours and not found["raised"]
        right += same.total()
        records += ours.total()
    return [raised, whole, right, records]


def said_beside_shipped(captures: str) -> list[list[int]]:
    """The figures in the table for some captures: theirs, ours."""
    rows = tables("captures")[0][1:]
    at = next(i for i, row in enumerate(rows) if captures in row[0])
    columns = (" ".join(row[column] for row in rows[at : at + 3]) for column in (2, 3))
    return [[int(each.replace(",", "")) for each in re.findall(r"[\d,]+", c)] for c in columns]


needs_scapy_2_8 = pytest.mark.skipif(
    not scapy.__version__.startswith("2.8"), reason="the figures are of Scapy 2.8"
)


@needs_scapy_2_8
def test_beside_the_layer_that_ships_on_our_captures(place: Path) -> None:
    theirs, ours = said_beside_shipped("`pcaps/`")
    assert beside_shipped(our_captures(), place) == theirs
    assert ours == [0, len(our_captures()), theirs[-1]]


@needs_scapy_2_8
def test_beside_the_layer_that_ships_on_those_of_exporters(
    exporters: dict[Path, int], place: Path
) -> None:
    theirs, ours = said_beside_shipped("beside the project")
    assert beside_shipped(list(exporters), place) == theirs
    assert ours == [0, len(exporters), theirs[-1]]


def test_all_records_of_exporters_are_read(exporters: dict[Path, int]) -> None:
    """As many as expected.tsv says; of the one that is cut it accepts up to three."""
    for path, records in exporters.items():
        found = sum(1 for _ in our_records(path))
        assert found == records or (path.name == "netflow9_invalid01.pcap" and found <= 3), path


if __name__ == "__main__":
    main()

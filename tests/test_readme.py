# SPDX-License-Identifier: GPL-2.0-or-later
"""README.md and tests/*/README.md are true: commands, Python, tables and figures are run again.

A plain block directly after a ``sh`` or ``python`` block is the output of that block. In it, a
line ``...`` stands for any number of lines, and ``...`` at the end of a line for any rest of it.
The comment ``<!-- not run: reason -->`` before a block excludes it, and ``<!-- needs: module -->``
excludes it where the module is not installed. Python blocks run statement by statement, with one
namespace for each section (``##``), all in one process: this file, run as a program.
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
import pkgutil
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
from scapy_ipfix.model.element import MAX_ID
from scapy_ipfix.model.registry import SHIPPED
from scapy_ipfix.reading.reader import iter_sets
from tests.benchmarks.rows import ROWS

ROOT = Path(__file__).parents[1]
#: Text of each page by its path.
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted((ROOT / "tests").glob("*/README.md")))
}
#: Lines that README.md may have.
LONGEST = 300
_COMMENT = re.compile(r"<!-- (not run|needs): (.+) -->")
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """Fenced block of a page, with its section, its first line and its output."""

    page: str
    language: str
    text: str
    section: str
    line: int
    not_run: str = ""
    needs: str = ""
    output: str | None = None

    @property
    def place(self) -> str:
        """Page and line, such as ``README.md:17``."""
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        lacks = self.needs and importlib.util.find_spec(self.needs) is None
        return not (self.not_run or lacks)


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page that have a language, in order."""
    found: list[Block] = []
    section, comment, open_at = "", ("", ""), 0
    language: str | None = None
    text: list[str] = []
    output_of: int | None = None
    for number, line in enumerate(PAGES[page].splitlines(), 1):
        if language is None and line.startswith("```"):
            language, text, open_at = line[3:], [], number
        elif language is not None and line != "```":
            text.append(line)
        elif language is not None:
            body = "\n".join(text) + "\n"
            if language:
                kind, why = comment
                not_run, needs = why * (kind == "not run"), why * (kind == "needs")
                found.append(Block(page, language, body, section, open_at, not_run, needs))
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
    """Return the tables whose first column is ``heading``: rows of cells, the header first."""
    found: list[list[list[str]]] = []
    inside = False
    for line in "\n\n".join(PAGES.values()).splitlines():
        if line.startswith(f"| {heading} |"):
            found.append([])
            inside = True
        inside = inside and line.startswith("|")
        if inside and not line.startswith("| ---"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def pattern(shown: str) -> re.Pattern[str]:
    """Return the pattern of an output, in which ``...`` stands for any lines or rest of a line."""
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
    assert pattern(shown).fullmatch(printed), f"{block.place} prints\n{printed}\nbut shows\n{shown}"


# -- run as a program: Python in a process of its own


def run_python(text: str, names: dict[str, Any]) -> str:
    """Run statements; return what they print, with the values of expressions."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        for statement in ast.parse(text).body:
            exec(compile(ast.Interactive([statement]), "<README>", "single"), names)
    return out.getvalue()


BLOCKS = [block for page in PAGES for block in blocks(page)]


def main() -> None:
    """Run all Python blocks; print the output of each, by place, as JSON."""
    names: dict[tuple[str, str], dict[str, Any]] = {}
    printed = {
        block.place: run_python(block.text, names.setdefault((block.page, block.section), {}))
        for block in BLOCKS
        if block.language == "python" and block.is_run
    }
    json.dump(printed, sys.stdout)


# -- the blocks

SHELL = [block for block in BLOCKS if block.language == "sh"]
#: Blocks of README.md that .ci/run runs: install and first result, then the tests.
FIRST, SECOND = SHELL[:2]


def test_the_readme_is_short() -> None:
    assert PAGES["README.md"].count("\n") <= LONGEST


def test_links_of_the_readme_resolve_anywhere() -> None:
    """A package index shows README.md without the files beside it."""
    assert not re.findall(r"\]\((?!https?://)", PAGES["README.md"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory to run blocks in, with the captures, and with the commands in ``bin``."""
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
    assert FIRST.page == SECOND.page == "README.md"
    assert FIRST.text.startswith("python3 -m venv .venv\n. .venv/bin/activate\npip install")
    assert "\nscapy-ipfix pcaps/" in FIRST.text
    assert FIRST.output is not None
    assert SECOND.text.startswith("pip install")
    assert SECOND.text.endswith("\npython -m pytest -n auto\n")


def test_what_is_not_run_says_why() -> None:
    left_out = [block for block in BLOCKS if block.not_run]
    assert all(re.search("needs|writes", block.not_run) for block in left_out)
    assert all(block.language in ("sh", "python") for block in BLOCKS)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: block.place)
def test_commands(block: Block, place: Path) -> None:
    if not block.is_run:
        pytest.skip(block.not_run)
    lines = block.text.splitlines()
    if block in (FIRST, SECOND):  # .ci/run installs and tests
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
    """Return the output of each Python block by its place."""
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
    ids=lambda block: block.place,
)
def test_python(block: Block, printed: dict[str, str]) -> None:
    if not block.is_run:
        pytest.skip(block.not_run or f"no {block.needs}")
    compare(block.output or "", printed[block.place], block)


# -- tables


def defaults() -> list[tuple[str, str]]:
    return [(_CODE.findall(name)[0], default) for name, default, _ in tables("bound")[0][1:]]


def number(text: str) -> int:
    """Return the number of ``16 MiB`` or ``4,096``."""
    digits, _, unit = text.replace(",", "").partition(" ")
    return int(digits) * {"": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit]


def value_of(path: str) -> Any:
    """Return the value at a dotted path below ``scapy_ipfix``, of an instance for a class."""
    owner, _, name = path.rpartition(".")
    found = pkgutil.resolve_name(f"scapy_ipfix.{owner}")
    return getattr(found() if isinstance(found, type) else found, name)


@pytest.mark.parametrize(("name", "default"), defaults())
def test_the_bounds_are_the_defaults(name: str, default: str) -> None:
    assert value_of(name) == number(default)


def test_the_docstring_of_limits_has_the_defaults() -> None:
    rows = re.findall(r"^ +(\w+) +([\d,]+(?: MiB)?) +\S", Limits.__doc__ or "", re.MULTILINE)
    assert {name: number(default) for name, default in rows} == asdict(Limits())


def test_all_limits_are_in_the_table() -> None:
    named = {name for name, _ in defaults()}
    assert named >= {f"Limits.{each.name}" for each in fields(Limits)}


# -- beside other libraries

#: Run steps, each a task and the code of a cell; print the length and first item of each list.
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
    """Run the cells of a column; return the length and first item of each list, by task."""
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
    """Return the cells of the table with ``rival`` by task: ours, and the rival's."""
    for header, *rows in tables("task"):
        if rival in header:
            at = header.index(rival)
            return {row[0]: row[1] for row in rows}, {row[0]: row[at] for row in rows}
    raise AssertionError(f"no table with {rival}")


@pytest.fixture
def collector_port() -> Iterator[None]:
    """Listen at the port to which an example sends, unless another program does."""
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
    """Return the numbers that the pages have where ``text`` has ``#``."""
    wanted = re.escape(text).replace(r"\ ", r"\s+").replace(r"\#", r"([\d,]*\d)")
    match = re.search(wanted, "\n".join(PAGES.values()))
    assert match, f"no page states {text!r}"
    return [int(each.replace(",", "")) for each in match.groups()]


def test_how_many_elements_have_a_name() -> None:
    registered = Counter(each.pen for each in elements if each.id <= MAX_ID)
    iana, other, enterprises = claim("# of IANA's registry of 2026-07-22, # of # enterprises")
    assert iana == registered.pop(0)
    assert (other, enterprises) == (registered.total(), len(registered))
    assert claim("# NetFlow v9 field types beside") == [len(SHIPPED.v9_elements)]
    with_names = sum(1 for each in elements if each.values is not None)
    assert claim("the values of # elements") == [with_names]


def test_the_benchmark_has_every_row() -> None:
    stated = {row[0] for row in tables("what")[0]}
    assert {each.what for each in ROWS} <= stated


def test_how_many_cases_there_are() -> None:
    assert claim("a catalogue of # messages") == [len(list(torture()))]


def our_captures() -> list[Path]:
    return sorted((ROOT / "pcaps").glob("*.pcap"))


@pytest.fixture(scope="module")
def exporters() -> dict[Path, int]:
    """Return the captures of exporters beside the repository, with the number of their records."""
    place = ROOT.parent / "shared" / "captures"
    if not place.is_dir():
        pytest.skip("no ../shared/captures beside the repository")
    with (place / "expected.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    # Records of NetFlow v5, which this package does not read, are not counted.
    return {place / row["capture"]: int(row["records"]) for row in rows if row["records"] != "-"}


def named_fields(paths: Iterable[Path]) -> list[int]:
    """Return the number of fields of the templates in captures, and of those with a name."""
    every = []
    for path in paths:
        session = IPFIXSession()
        for _ in iter_sets(path, session):
            pass
        for domain in session.collector.domains:
            every += [
                each for state in domain.templates.states.values() for each in state.template.fields
            ]
    return [len(every), sum(1 for each in every if each.element.is_known)]


def test_how_many_fields_of_ours_have_a_name() -> None:
    stated = claim("Of the # fields of the templates in `pcaps/`, # have a name")
    assert stated == named_fields(our_captures())


def test_how_many_fields_of_exporters_have_a_name(exporters: dict[Path, int]) -> None:
    assert claim("Captures of # real exporters") == [len(exporters)]
    assert claim("Of the # fields of their templates, # have a name") == named_fields(exporters)


def our_records(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the records of a capture, each as the octets of its fields in hexadecimal."""
    for read in iter_sets(path, IPFIXSession()):
        body = read.body
        assert read.template is not None
        for position, stop in read.template.codec.record_spans(body)[0]:
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
            # A field of length 0 leaves no trace, so it is not compared.
            yield tuple(filter(None, octets))


def beside_shipped(paths: list[Path], place: Path) -> list[int]:
    """Return counts for the layer that ships with Scapy: raised, read all, records, our records."""
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


def stated_beside_shipped(captures: str) -> list[list[int]]:
    """Return the figures in the table for some captures: theirs, ours."""
    rows = tables("captures")[0][1:]
    at = next(i for i, row in enumerate(rows) if captures in row[0])
    columns = (" ".join(row[column] for row in rows[at : at + 3]) for column in (2, 3))
    return [[int(each.replace(",", "")) for each in re.findall(r"[\d,]+", c)] for c in columns]


needs_scapy_2_8 = pytest.mark.skipif(
    not scapy.__version__.startswith("2.8"), reason="the figures are of Scapy 2.8"
)


@needs_scapy_2_8
def test_beside_the_layer_that_ships_on_our_captures(place: Path) -> None:
    theirs, ours = stated_beside_shipped("`pcaps/`")
    assert beside_shipped(our_captures(), place) == theirs
    assert ours == [0, len(our_captures()), theirs[-1]]


@needs_scapy_2_8
def test_beside_the_layer_that_ships_on_those_of_exporters(
    exporters: dict[Path, int], place: Path
) -> None:
    theirs, ours = stated_beside_shipped("beside the project")
    assert beside_shipped(list(exporters), place) == theirs
    assert ours == [0, len(exporters), theirs[-1]]


def test_all_records_of_exporters_are_read(exporters: dict[Path, int]) -> None:
    """Compare with expected.tsv, which allows up to three records for the capture that is cut."""
    for path, records in exporters.items():
        found = sum(1 for _ in our_records(path))
        assert found == records or (path.name == "netflow9_invalid01.pcap" and found <= 3), path


if __name__ == "__main__":
    main()

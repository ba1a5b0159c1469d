# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix``: the records of captures, at a shell prompt.

scapy-ipfix FILE...            the records, as tables
scapy-ipfix COMMAND --help     send, generate, torture, check
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import select
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, TextIO, cast

from scapy_ipfix.cli.output import CSV, JSONLines, Output, TextTable
from scapy_ipfix.cli.sessionoptions import add_session_options, make_model, make_session
from scapy_ipfix.collector.collected import DataRead
from scapy_ipfix.collector.persistence import StateError
from scapy_ipfix.reading.capture import CaptureError, CaptureFile
from scapy_ipfix.reading.extras import MissingPackage
from scapy_ipfix.reading.parquet import ParquetWriter, require_pyarrow
from scapy_ipfix.reading.reader import field_names, read_sets
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.text import counted, printable
from scapy_ipfix.version import __version__
from scapy_ipfix.wire.template import Template

#: Commands of their own, by module: loaded when called, for most calls print a file.
COMMANDS = {
    "check": "scapy_ipfix.cli.check",
    "elements": "scapy_ipfix.cli.elementsearch",
    "generate": "scapy_ipfix.cli.generate",
    "send": "scapy_ipfix.cli.send",
    "torture": "scapy_ipfix.cli.torturerun",
}

#: Files of fewer octets are read before progress would be worth a line.
_LONG_FILE = 4 << 20
_PROGRESS_EVERY = 0.5
_SPOOL = 64 << 20
#: Columns of one table, and fields of all templates that it is of: a peer may define any number.
_COLUMNS, _FIELDS = 1024, 1 << 18


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; gives the exit status: 0, or 2 for input that cannot be read."""
    arguments = sys.argv[1:] if arguments is None else arguments
    # Findings are printed when asked for; the log would say them a second time.
    logging.getLogger("scapy.ipfix").setLevel(logging.CRITICAL)
    try:
        if arguments and arguments[0] in COMMANDS:
            command: Callable[[Sequence[str]], int]
            command = importlib.import_module(COMMANDS[arguments[0]]).main
            return command(arguments[1:])
        return _print(arguments)
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except (CaptureError, MissingPackage, StateError, OSError) as problem:
        print(f"scapy-ipfix: {printable(_reason(problem))}", file=sys.stderr)
        return 2


def _reason(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    return str(problem)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scapy-ipfix",
        description="Print the Data Records of IPFIX and NetFlow v9 captures.",
        epilog=(
            "FILE is a pcap or pcapng, either with gzip, or a file of IPFIX Messages; "
            "- or none is standard input. Commands of their own: "
            + ", ".join(sorted(COMMANDS))
            + "."
        ),
    )
    parser.add_argument("files", nargs="*", metavar="FILE")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="one CSV table, all fields as columns")
    form.add_argument("--parquet", metavar="OUT", help="into a Parquet file, which is overwritten")
    form.add_argument("--templates", action="store_true", help="the templates, not the records")
    form.add_argument("--stats", action="store_true", help="counters by exporter and domain")
    parser.add_argument(
        "--fields",
        metavar="NAME,...",
        help="only these fields, of records that have them all (with --csv: any)",
    )
    parser.add_argument(
        "--kind", choices=("all", "data", "options"), default="all", help="which records"
    )
    parser.add_argument(
        "--diagnostics", action="store_true", help="what was wrong on the wire, on stderr"
    )
    parser.add_argument("--width", type=int, help="characters of a line (default: the terminal)")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_session_options(parser)
    return parser


def _print(arguments: Sequence[str]) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.files:
        if sys.stdin.isatty():
            parser.print_usage(sys.stderr)
            return 2
        options.files = ["-"]
    try:
        model = make_model(options)
        fields = field_names(options.fields.split(","), model) if options.fields else None
    except ValueError as problem:
        parser.error(str(problem))
    if options.parquet and any(_same_file(options.parquet, name) for name in options.files):
        parser.error(f"--parquet would overwrite {options.parquet}, which is to be read")
    session = make_session(options, model)
    with contextlib.ExitStack() as stack:
        again = options.csv or options.parquet is not None
        sources = [_source(name, stack, again=again) for name in options.files]
        progress = stack.enter_context(contextlib.closing(Progress(sys.stderr)))
        if options.templates or options.stats:
            for _ in _sets(sources, session, progress):
                pass
            print(session.templates if options.templates else session.stats)
        else:
            output = _output(options, sources, fields, stack)
            wanted = {"all": None, "data": False, "options": True}[options.kind]
            for read in _sets(sources, session, progress):
                template = read.template
                if template is not None and wanted in (None, template.is_options):
                    output.write(read, template)
                    progress.records = output.records
                    if options.parquet is None and any(map(_is_quiet, sources)):
                        output.finish()  # somebody watches
                        sys.stdout.flush()
            output.finish()
            _say_if_nothing(output.records, options, session)
    sys.stdout.flush()
    if options.state:
        session.save(options.state)
    if options.diagnostics:
        for each in session.diagnostics:
            print(printable(str(each)), file=sys.stderr)
    elif session.diagnostics.counts:
        total = sum(session.diagnostics.counts.values())
        found = f"{total} finding{'s' if total > 1 else ''} on the wire"
        print(f"scapy-ipfix: {found}, scapy-ipfix check says what", file=sys.stderr)
    return 0


def _is_quiet(source: str | BinaryIO) -> bool:
    """Whether a pipe has nothing to read for now: what tcpdump writes comes bit by bit."""
    if source is not sys.stdin.buffer:
        return False
    try:
        return not select.select([source], [], [], 0)[0]
    except (OSError, ValueError):  # no file that can be asked
        return False


def _say_if_nothing(records: int, options: argparse.Namespace, session: IPFIXSession) -> None:
    """Why there are no records: nothing printed may mean many things."""
    if records:
        return
    stats = [domain.stats for domain in session.collector.domains]
    messages, there = sum(each.messages for each in stats), sum(each.records for each in stats)
    if not messages:
        why = "no message of IPFIX or NetFlow v9"
        if options.bound_ports:
            why += " on a bound port"
    elif not there:
        heard = counted(messages, "message")
        why = f"{heard}, no record that can be read: --templates, check say more"
    elif options.fields:
        why = (
            f"none of {there} records has all of {options.fields}: --templates says what they have"
        )
    else:
        why = f"none of {there} records is of kind {options.kind}"
    print(f"scapy-ipfix: {printable(why)}", file=sys.stderr)


def _output(
    options: argparse.Namespace,
    sources: list[str | BinaryIO],
    fields: tuple[str, ...] | None,
    stack: contextlib.ExitStack,
) -> Output:
    if options.json:
        return JSONLines(sys.stdout, fields)
    if options.csv:
        return CSV(sys.stdout, fields or _columns(sources, options))
    if options.parquet is not None:
        require_pyarrow()  # better said before the sources are read than after
        templates = _templates(sources, options)
        return stack.enter_context(ParquetWriter(options.parquet, templates, fields))
    width = options.width
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    return TextTable(sys.stdout, fields, width)


def _columns(sources: list[str | BinaryIO], options: argparse.Namespace) -> list[str]:
    """Every field that any record of the sources has, in order of appearance."""
    names = (name for each in _templates(sources, options) for name in each.names)
    return list(dict.fromkeys(names))


def _templates(sources: list[str | BinaryIO], options: argparse.Namespace) -> list[Template]:
    """The template of every record of the sources, in order of appearance."""
    session = make_session(options, make_model(options))
    found: dict[Template, None] = {}
    names: set[str] = set()
    fields = 0
    for read in _sets(sources, session, None):
        if read.template is not None and read.template not in found:
            found[read.template] = None
            names.update(read.template.names)
            fields += len(read.template.fields)
            if len(names) > _COLUMNS or fields > _FIELDS:
                raise CaptureError(
                    f"too many fields for one table, more than {_COLUMNS} columns or of more "
                    f"than {_FIELDS} in all templates: --fields says which"
                )
    wanted = options.kind == "options"
    return [each for each in found if options.kind == "all" or each.is_options is wanted]


def _same_file(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def _source(name: str, stack: contextlib.ExitStack, *, again: bool) -> str | BinaryIO:
    """A file to read, standard input for -; kept where it has to be read twice."""
    if name != "-":
        return name
    stdin = sys.stdin.buffer
    if not again:
        return cast(BinaryIO, stdin)
    spool = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL))  # noqa: SIM115
    shutil.copyfileobj(stdin, spool)
    return cast(BinaryIO, spool)


def _sets(
    sources: list[str | BinaryIO], session: IPFIXSession, progress: Progress | None
) -> Iterator[DataRead]:
    for source in sources:
        if not isinstance(source, str):
            with contextlib.suppress(OSError):  # a pipe: it is read once
                source.seek(0)
        capture = CaptureFile(source)
        for read in read_sets(capture, session):
            if progress is not None:
                progress.show(capture)
            yield read


class Progress:
    """A line on a terminal that says how far a long file is read; nothing elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self.records = 0
        self._out = out
        self._next = time.monotonic() + _PROGRESS_EVERY if out.isatty() else float("inf")
        self._shown = False

    def show(self, capture: CaptureFile) -> None:
        """Shows the state every half second."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _PROGRESS_EVERY
        size = capture.size
        if 0 < size < _LONG_FILE:
            return
        share = f"{100 * capture.position // size} %, " if size else ""
        self._out.write(f"\r{printable(capture.name)}: {share}{self.records} records\x1b[K")
        self._out.flush()
        self._shown = True

    def close(self) -> None:
        """Takes the line away again."""
        if self._shown:
            self._out.write("\r\x1b[K")
            self._out.flush()

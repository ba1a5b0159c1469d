# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix FILE...``: print the Data Records of captures."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from scapy_ipfix.cli.arguments import Parser
from scapy_ipfix.cli.output import CSV, Additions, JSONLines, Output, TextTable
from scapy_ipfix.cli.sessionoptions import (
    add_session_options,
    make_model,
    make_session,
    reason_for_no_message,
)
from scapy_ipfix.cli.terminal import PROGRESS_SECONDS, ProgressLine, print_error, reason
from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.reading.capture import CaptureError, CaptureFile
from scapy_ipfix.reading.parquet import ParquetWriter, require_pyarrow
from scapy_ipfix.reading.reader import field_names, read_sets
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.text import counted, printable
from scapy_ipfix.version import __version__
from scapy_ipfix.wire.template import Template

#: Octets of a file that takes long enough to read for a progress line.
_LONG_FILE = 4 << 20
#: Octets of standard input that are kept in memory; more go to a temporary file.
_SPOOL = 64 << 20
#: Columns of one table, and fields of all its templates: a peer may define any number.
_COLUMNS, _FIELDS = 1024, 1 << 18


def main(arguments: Sequence[str], commands: Sequence[str] = ()) -> int:
    """Run the command and return its exit status; ``commands`` are other commands' names.

    Raises OSError, CaptureError, StateError and MissingPackage.
    """
    parser = _parser(commands)
    options = parser.parse_args(arguments)
    if not options.files:
        if sys.stdin.isatty():
            parser.print_usage(sys.stderr)
            return 2
        options.files = ["-"]
    try:
        model = make_model(options)
        fields = field_names(options.fields.split(","), model) if options.fields else None
    except (OSError, ValueError) as problem:
        parser.fail(reason(problem))
    if options.names and not options.json:
        parser.fail("--names is for --json; CSV and tables have names without it")
    if options.parquet and any(_same_file(options.parquet, name) for name in options.files):
        parser.fail(f"--parquet would overwrite the input {options.parquet}; name another file")
    session = make_session(options, model)
    with contextlib.ExitStack() as stack:
        is_read_twice = options.csv or options.parquet is not None
        sources = [_source(name, stack, is_read_twice) for name in options.files]
        progress = stack.enter_context(contextlib.closing(_Progress()))
        if options.templates or options.stats:
            for _ in _sets(sources, session, progress):
                pass
            print(session.templates if options.templates else session.stats)
            if not any(session.collector.domains):
                print_error("scapy-ipfix", _reason_for_no_records(options, session))
        else:
            additions = Additions(session.source_files, options.resolve, options.context)
            output = _output(options, sources, fields, additions, stack)
            _print_records(options, sources, session, output, progress)
    sys.stdout.flush()
    if options.state:
        session.save(options.state)
    _print_problems(options, session)
    return 0


def _parser(commands: Sequence[str]) -> Parser:
    parser = Parser(
        prog="scapy-ipfix",
        description="Print the Data Records of IPFIX and NetFlow v9 captures.",
        epilog=(
            "FILE is a pcap or pcapng capture, or IPFIX or NetFlow v9 messages one after the "
            "other, as in an IPFIX File (RFC 5655); each may be compressed with gzip. Without "
            "FILE, or with -, standard input is read."
            + (f" Other commands: {', '.join(commands)}; each has --help." if commands else "")
        ),
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="capture or IPFIX File")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object per line")
    form.add_argument("--csv", action="store_true", help="print CSV with the fields of all records")
    form.add_argument(
        "--parquet", metavar="OUT", help="write a Parquet file, and replace one of that name"
    )
    form.add_argument(
        "--templates", action="store_true", help="print the templates, not the records"
    )
    form.add_argument(
        "--stats", action="store_true", help="print counters by exporter and Observation Domain"
    )
    _add_value_options(parser)
    parser.add_argument(
        "--kind",
        choices=("all", "data", "options"),
        default="all",
        help="data: only flow records; options: only records of Options Templates (default: all)",
    )
    parser.add_argument(
        "--diagnostics", action="store_true", help="print problems on the wire to standard error"
    )
    parser.add_argument(
        "--width",
        type=int,
        metavar="N",
        help="line width of tables in characters (default: that of the terminal, else no limit)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    add_session_options(parser)
    return parser


def _add_value_options(parser: Parser) -> None:
    """Add the options that select the values of records."""
    parser.add_argument(
        "--fields",
        metavar="NAME,...",
        help="print only these fields, of the records that have all of them (--csv: any of them)",
    )
    parser.add_argument(
        "--resolve",
        action="store_true",
        help="add flow times, addresses of either family, sampling rates, names of interfaces "
        "and so on, as far as the records or options data determine them",
    )
    parser.add_argument(
        "--context",
        action="store_true",
        help="add version and export time of the message, packet number and file",
    )
    parser.add_argument(
        "--names",
        action="store_true",
        help="with --json: write enumerations and flags by name, as CSV and tables do",
    )


def _print_records(
    options: argparse.Namespace,
    sources: list[str | BinaryIO],
    session: IPFIXSession,
    output: Output,
    progress: _Progress,
) -> None:
    is_options = {"all": None, "data": False, "options": True}[options.kind]
    for read in _sets(sources, session, progress):
        template = read.template
        if template is None or is_options not in (None, template.is_options):
            continue
        output.write(read, template)
        progress.records = output.records
        if options.parquet is None and any(map(_is_idle, sources)):
            # Show the records at once: the next ones may take hours to arrive.
            output.finish()
            sys.stdout.flush()
    output.finish()
    if not output.records:
        print_error("scapy-ipfix", _reason_for_no_records(options, session))


def _print_problems(options: argparse.Namespace, session: IPFIXSession) -> None:
    if options.diagnostics:
        for each in session.diagnostics:
            print(printable(str(each)), file=sys.stderr)
    elif session.diagnostics.counts:
        found = counted(sum(session.diagnostics.counts.values()), "problem")
        print_error("scapy-ipfix", f"{found} found; run 'scapy-ipfix check FILE' for details")


def _reason_for_no_records(options: argparse.Namespace, session: IPFIXSession) -> str:
    stats = [domain.stats for domain in session.collector.domains]
    messages, records = sum(each.messages for each in stats), sum(each.records for each in stats)
    if not messages:
        others = session.other_protocols
        return reason_for_no_message(session.packets, others, options.bound_ports)
    if not records:
        return (
            f"{counted(messages, 'message')}, no record that can be decoded; "
            "run with --templates, or 'scapy-ipfix check FILE', for details"
        )
    if options.fields:
        return (
            f"no record of {records} has all of {options.fields}; "
            "run with --templates for the fields"
        )
    return f"no record of kind {options.kind}; leave out --kind to print all {records}"


def _is_idle(source: str | BinaryIO) -> bool:
    """Return whether standard input is a pipe with nothing to read at the moment."""
    if source is not sys.stdin.buffer:
        return False
    try:
        return not select.select([source], [], [], 0)[0]
    except (OSError, ValueError):  # not a file descriptor that select() supports
        return False


def _output(
    options: argparse.Namespace,
    sources: list[str | BinaryIO],
    fields: tuple[str, ...] | None,
    additions: Additions,
    stack: contextlib.ExitStack,
) -> Output:
    if options.json:
        return JSONLines(sys.stdout, fields, additions, with_names=options.names)
    if options.csv:
        is_known = fields is not None and not options.resolve
        templates = () if is_known else _templates(sources, options)
        return CSV(sys.stdout, additions.columns(templates, fields), additions)
    if options.parquet is not None:
        require_pyarrow()  # fail before the sources are read
        templates = _templates(sources, options)
        columns = additions.columns(templates, ())
        writer = ParquetWriter(
            options.parquet, templates, fields, added=columns, files=additions.files
        )
        return stack.enter_context(writer)
    width = options.width
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    return TextTable(sys.stdout, fields, width, additions)


def _templates(sources: list[str | BinaryIO], options: argparse.Namespace) -> list[Template]:
    """Return the template of every record of the sources, in order of appearance."""
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
                    f"too many fields for one table: more than {_COLUMNS} columns, or more than "
                    f"{_FIELDS} fields in all templates; choose some with --fields"
                )
    wanted = options.kind == "options"
    return [each for each in found if options.kind == "all" or each.is_options is wanted]


def _same_file(one: str, other: str) -> bool:
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def _source(name: str, stack: contextlib.ExitStack, is_read_twice: bool) -> str | BinaryIO:
    """Return the file to read; for - standard input, or a copy of it to read twice."""
    if name != "-":
        return name
    stdin = sys.stdin.buffer
    if not is_read_twice:
        return cast(BinaryIO, stdin)
    spool = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL))  # noqa: SIM115
    shutil.copyfileobj(stdin, spool)
    return cast(BinaryIO, spool)


def _sets(
    sources: list[str | BinaryIO], session: IPFIXSession, progress: _Progress | None
) -> Iterator[CollectedSet]:
    for source in sources:
        if not isinstance(source, str):
            with contextlib.suppress(OSError):  # a pipe: it is read once
                source.seek(0)
        capture = CaptureFile(source)
        for read in read_sets(capture, session):
            if progress is not None:
                progress.update(capture)
            yield read


class _Progress:
    """Progress line of a long file: its name, the share that is read, the records printed."""

    def __init__(self) -> None:
        self.records = 0
        self._line = ProgressLine(sys.stderr, PROGRESS_SECONDS)
        self.close = self._line.close

    def update(self, capture: CaptureFile) -> None:
        """Show the state of ``capture`` if that is due."""
        if not self._line.is_due() or 0 < capture.size < _LONG_FILE:
            return
        share = f"{100 * capture.position // capture.size} %, " if capture.size else ""
        self._line.show(f"{capture.name}: {share}{counted(self.records, 'record')}")

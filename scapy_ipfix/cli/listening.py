# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix listen``: print flows as exporters send them, without root."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import ssl
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from scapy_ipfix.cli.arguments import Parser, natural, positive
from scapy_ipfix.cli.flowlines import FlowLines, wants_colour
from scapy_ipfix.cli.livesources import LiveSource, SniffSource, SocketSource, ports_filter
from scapy_ipfix.cli.output import CSV, Additions, JSONLines, Output
from scapy_ipfix.cli.pcapfiles import PcapFiles
from scapy_ipfix.cli.sessionoptions import add_session_options, make_model, make_session
from scapy_ipfix.cli.terminal import has_reader, print_error, reason
from scapy_ipfix.collector.collected import CollectedMessage
from scapy_ipfix.layers.bindings import IPFIX_PORT, PORTS
from scapy_ipfix.model.model import InformationModel
from scapy_ipfix.reading.inbox import Arrival
from scapy_ipfix.reading.listener import listen
from scapy_ipfix.reading.listeningsockets import PROTOCOLS, RECEIVE_BUFFER
from scapy_ipfix.reading.reader import field_names, parse_kind
from scapy_ipfix.reading.recordfilter import RecordFilter
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.text import counted, printable
from scapy_ipfix.wire.diagnostics import Diagnostic

#: Columns of CSV without --fields: the records to come may have any.
_COLUMNS = (
    *("flow_start", "flow_end", "flow_duration", "protocol", "source_address", "source_port"),
    *("destination_address", "destination_port", "packets", "octets", "tcpControlBits"),
)
_SIZES = {"k": 1000, "m": 1000**2, "g": 1000**3}
_PROGRAM = "scapy-ipfix listen"


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status, 0 after SIGINT and SIGTERM too.

    Raises OSError and StateError.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    try:
        model = make_model(options)
        fields = field_names(options.fields.split(","), model) if options.fields else None
    except (OSError, ValueError) as problem:
        parser.fail(reason(problem))
    session = make_session(options, model)
    try:
        where = _record_filter(options, session, model)
        source = _source(options, session)
    except (OSError, ValueError) as problem:
        parser.fail(reason(problem))
    with contextlib.closing(source), _stopped_by_signals(source.stop):
        with contextlib.closing(_Writer(options, session, fields, where)) as writer:
            print_error(_PROGRAM, f"listening {source.description}")
            _run(options, source, writer)
        source.close()
        print_error(_PROGRAM, source.summary)
    if options.state:
        session.save(options.state)
    _print_problems(options, session)
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog=_PROGRAM,
        description=(
            "Receive IPFIX and NetFlow v9 and print one line for each flow. Needs no root, "
            "but for -i. Ctrl-C and SIGTERM end it after what has arrived."
        ),
        epilog=(
            "A narrow terminal leaves out the exporter, duration and flags; NO_COLOR in the "
            "environment, or a pipe, leaves out colours."
        ),
    )
    _add_source_options(parser)
    _add_output_options(parser)
    add_session_options(parser)
    return parser


def _add_source_options(parser: Parser) -> None:
    group = parser.add_argument_group("source")
    group.add_argument(
        "--port",
        type=_port,
        action="append",
        metavar="N",
        help=f"port to listen at, repeatable (default: {IPFIX_PORT})",
    )
    group.add_argument(
        "--host", default="::", help="address of this machine (default: all, IPv4 and IPv6)"
    )
    group.add_argument(
        "--proto", choices=PROTOCOLS, default="udp", help="transport protocol (default: udp)"
    )
    group.add_argument("--tls-cert", metavar="PEM", help="certificate of a TLS server over TCP")
    group.add_argument("--tls-key", metavar="PEM", help="its key (default: in the same file)")
    group.add_argument(
        "--tls-ca", metavar="PEM", help="require exporters' certificates, signed by one of these"
    )
    group.add_argument(
        "-i",
        "--interface",
        metavar="IF",
        help="sniff on an interface instead, as root; without --port, the bound ports",
    )
    group.add_argument(
        "--receive-buffer",
        type=_size,
        default=RECEIVE_BUFFER,
        metavar="OCTETS",
        help="receive buffer to request from the system, such as 8M (default: 32 MiB)",
    )
    group.add_argument(
        "--timeout", type=positive, metavar="SECONDS", help="end after so many seconds"
    )


def _add_output_options(parser: Parser) -> None:
    group = parser.add_argument_group("output")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object per line")
    form.add_argument(
        "--csv", action="store_true", help="print CSV: times, addresses, counts, or --fields"
    )
    group.add_argument(
        "--pcap", metavar="OUT", help="write the messages to a pcap; print flows with a form alone"
    )
    group.add_argument(
        "--rotate-size", type=_size, metavar="OCTETS", help="begin another pcap above this size"
    )
    group.add_argument(
        "--rotate-time", type=positive, metavar="SECONDS", help="begin another pcap after this time"
    )
    _add_record_options(group)
    group.add_argument(
        "--width", type=natural, metavar="N", help="width of lines (default: that of the terminal)"
    )
    group.add_argument(
        "--diagnostics",
        action="store_true",
        help="print problems on the wire to standard error as they come",
    )
    group.add_argument(
        "--stats",
        type=positive,
        metavar="EVERY",
        help="print counters and losses to standard error, every so many seconds",
    )


def _add_record_options(group: argparse._ArgumentGroup) -> None:
    """Add the options that select records and their values."""
    group.add_argument(
        "--where", metavar="FILTER", help="print the records that fit, such as 'dst port 443'"
    )
    group.add_argument(
        "--fields",
        metavar="NAME,...",
        help="only these fields, of the records that have all of them (--csv: any of them)",
    )
    group.add_argument(
        "--kind",
        choices=("all", "data", "options"),
        default="all",
        help="data: only flow records; options: only records of Options Templates (default: all)",
    )
    group.add_argument("--resolve", action="store_true", help="add resolved values to --json")
    group.add_argument(
        "--context", action="store_true", help="add the message's header to --json and --csv"
    )
    group.add_argument(
        "-n", "--numeric", action="store_true", help="print ports as numbers, not as services"
    )


def _check(parser: Parser, options: argparse.Namespace) -> None:
    """End with an error for options that do not go together."""
    if options.fields and not (options.json or options.csv):
        parser.error("--fields goes with --json or --csv")
    if (options.rotate_size or options.rotate_time) and not options.pcap:
        parser.error("--rotate-size and --rotate-time go with --pcap")
    if (options.tls_key or options.tls_ca) and not options.tls_cert:
        parser.error("--tls-key and --tls-ca go with --tls-cert")
    if options.tls_cert and (options.proto != "tcp" or options.interface):
        parser.error("--tls-cert goes with --proto tcp; DTLS is not supported")


def _record_filter(
    options: argparse.Namespace, session: IPFIXSession, model: InformationModel
) -> RecordFilter | None:
    if options.where is None:
        return None
    return RecordFilter(options.where, session.source_files, model)


def _source(options: argparse.Namespace, session: IPFIXSession) -> LiveSource:
    if options.interface:
        ports = options.port or sorted({port for each in PORTS.values() for port in each})
        return SniffSource(options.interface, ports_filter(ports), session, options.timeout)
    listener = listen(
        options.port or [IPFIX_PORT],
        options.host,
        options.proto,
        tls=_tls_context(options),
        session=session,
        timeout=options.timeout,
        receive_buffer=options.receive_buffer,
    )
    return SocketSource(listener)


def _tls_context(options: argparse.Namespace) -> ssl.SSLContext | None:
    if not options.tls_cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
        if options.tls_ca:
            context.load_verify_locations(options.tls_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as problem:  # ssl.SSLError is one, and has no file name
        names = ", ".join(filter(None, (options.tls_cert, options.tls_key, options.tls_ca)))
        raise ValueError(f"{names}: {problem.strerror or problem}") from None
    return context


def _run(options: argparse.Namespace, source: LiveSource, writer: _Writer) -> None:
    """Write what arrives until the source ends; keep the time for --stats."""
    due = time.monotonic() + (options.stats or 0.0)
    while (found := source.poll()) is not None:
        for arrival, message in found:
            writer.write(arrival, message)
        writer.flush()
        if options.stats and time.monotonic() >= due:
            due += options.stats
            print_error(_PROGRAM, source.summary)


class _Writer:
    """Outputs of the command: flows on standard output, messages to pcap files."""

    def __init__(
        self,
        options: argparse.Namespace,
        session: IPFIXSession,
        fields: tuple[str, ...] | None,
        where: RecordFilter | None,
    ) -> None:
        self._is_options = parse_kind(options.kind)
        self._where = where
        self._output = _output(options, session, fields)
        self._pcap: PcapFiles | None = None
        if options.pcap:
            self._pcap = PcapFiles(options.pcap, options.rotate_size, options.rotate_time)
        if options.diagnostics:
            session.diagnostics.observers.append(_print_diagnostic)

    def write(self, arrival: Arrival, message: CollectedMessage) -> None:
        """Write a message and the records that are ready with it."""
        if self._pcap is not None:
            self._pcap.write(arrival.transport, arrival.time, arrival.octets)
        if self._output is None:
            return
        for read in message.ready:
            template = read.template
            if template is None or self._is_options not in (None, template.is_options):
                continue
            part = read if self._where is None else self._where.apply(read)
            if part is not None:
                self._output.write(part, template)

    def flush(self) -> None:
        """Write what is buffered. Raises BrokenPipeError where no one reads any longer."""
        if self._output is not None:
            sys.stdout.flush()
            if not has_reader(sys.stdout):
                raise BrokenPipeError
        if self._pcap is not None:
            self._pcap.flush()

    def close(self) -> None:
        """Close the files; state what they could not hold."""
        if self._pcap is not None:
            self._pcap.close()
            if self._pcap.skipped:
                skipped = counted(self._pcap.skipped, "message")
                print_error(_PROGRAM, f"{skipped} too long for a datagram not in the pcap")


def _output(
    options: argparse.Namespace, session: IPFIXSession, fields: tuple[str, ...] | None
) -> Output | None:
    additions = Additions(session.source_files, options.resolve, options.context)
    if options.json:
        return JSONLines(sys.stdout, fields, additions)
    if options.csv:
        return CSV(sys.stdout, additions.columns((), fields or _COLUMNS), additions)
    if options.pcap:
        return None
    width = options.width
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    return FlowLines(
        sys.stdout,
        width,
        has_colour=wants_colour(sys.stdout),
        is_numeric=options.numeric,
        files=session.source_files,
    )


def _print_diagnostic(diagnostic: Diagnostic) -> None:
    print(printable(str(diagnostic)), file=sys.stderr)


def _print_problems(options: argparse.Namespace, session: IPFIXSession) -> None:
    if session.diagnostics.counts and not options.diagnostics:
        found = counted(sum(session.diagnostics.counts.values()), "problem")
        print_error(_PROGRAM, f"{found} found; run with --diagnostics to see them")


@contextlib.contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` at the first SIGINT or SIGTERM; a second one ends the process as usual."""
    before: dict[int, Any] = {}

    def handle(number: int, _: object) -> None:
        signal.signal(number, before[number])
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _port(text: str) -> int:
    if not text.isdecimal() or not int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"port {text!r} is not in 0..65535")
    return int(text)


def _size(text: str) -> int:
    """Return the number of ``100000``, ``500k``, ``8M`` or ``1G``."""
    digits, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "")
    if not digits.isdecimal() or not int(digits) or unit not in ("", *_SIZES):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500k, 8M or 1G")
    return int(digits) * _SIZES.get(unit, 1)

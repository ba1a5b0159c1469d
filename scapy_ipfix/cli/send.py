# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix send``: send the messages of a capture or an IPFIX File to a collector."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from typing import BinaryIO, cast

from scapy_ipfix.cli.arguments import Parser, endpoint, natural
from scapy_ipfix.cli.terminal import PROGRESS_SECONDS, ProgressLine, print_error, reason
from scapy_ipfix.reading.capture import CaptureFile
from scapy_ipfix.testing.replay import DOMAINS, ReplayTotals, replay
from scapy_ipfix.text import counted


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status.

    0: all is sent; 2: a wrong argument or an error; 130: interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    source = options.file if options.file != "-" else cast(BinaryIO, sys.stdin.buffer)
    totals = ReplayTotals()
    status, error = 0, ""
    with contextlib.closing(ProgressLine(sys.stderr, PROGRESS_SECONDS)) as line:

        def show(totals: ReplayTotals, capture: CaptureFile) -> None:
            if line.is_due():
                line.show(progress_text(totals, capture))

        try:
            replay(
                source,
                options.to,
                options.proto,
                rate=options.rate,
                jitter=options.jitter,
                loop=options.loop,
                retime=options.retime,
                renumber=options.renumber,
                domain=options.domain,
                progress=None if options.quiet else show,
                totals=totals,
            )
            if not totals.messages:
                status, error = 2, f"{options.file}: no IPFIX or NetFlow v9 message in it"
        except KeyboardInterrupt:
            status = 130
        except (OSError, ValueError) as problem:
            status, error = 2, reason(problem)
    if error:
        print_error(parser.prog, error)
    if totals.messages or not error:
        _print_summary(totals, options)
    return status


def _parser() -> Parser:
    parser = Parser(
        prog="scapy-ipfix send",
        description="Send the messages of a capture or an IPFIX File to a collector.",
        epilog=(
            "FILE is a pcap or pcapng capture or an IPFIX File (RFC 5655), each may be "
            "compressed with gzip; - is standard input. Each Transport Session of the capture "
            "gets one of its own, from its own source port."
        ),
    )
    parser.add_argument("file", metavar="FILE", help="capture or IPFIX File")
    parser.add_argument(
        "--to", type=endpoint, required=True, metavar="HOST[:PORT]", help="address of the collector"
    )
    parser.add_argument(
        "--proto",
        choices=("udp", "tcp", "sctp"),
        default="udp",
        help="transport protocol (default: udp)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    _add_pace_options(parser)
    change = parser.add_argument_group("changes to the messages")
    change.add_argument(
        "--retime", action="store_true", help="move export times, and times in records, to now"
    )
    change.add_argument(
        "--renumber", action="store_true", help="count sequence numbers from 0 without gaps"
    )
    change.add_argument(
        "--domain", type=int, metavar="ID", help="set observation domain id or source id to ID"
    )
    return parser


def _add_pace_options(parser: Parser) -> None:
    pace = parser.add_argument_group("pace")
    pace.add_argument(
        "--rate",
        type=_rate,
        metavar="N",
        help="messages per second, 0 for no limit (default: the pace of the capture)",
    )
    pace.add_argument(
        "--jitter",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share by which each gap is longer or shorter by chance, 0 to 1 (default: 0)",
    )
    pace.add_argument(
        "--loop",
        type=natural,
        nargs="?",
        const=None,
        default=1,
        metavar="N",
        help="send the file N times; without N until interrupted (default: once)",
    )


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of messages per second, or 0")
    return value


def _exporters_text(totals: ReplayTotals) -> str:
    more = "at least " if len(totals.exporters) == DOMAINS else ""
    return more + counted(len(totals.exporters), "exporter")


def _print_summary(totals: ReplayTotals, options: argparse.Namespace) -> None:
    host, port = options.to
    print(
        f"{counted(totals.messages, 'message')}, {counted(totals.octets, 'octet')} of "
        f"{_exporters_text(totals)} sent to {options.proto} "
        f"{f'[{host}]' if ':' in host else host}:{port} in {totals.seconds:.1f} s, "
        f"{totals.rate:.0f} per second",
        flush=True,
    )
    if totals.refused:
        print_error(
            "scapy-ipfix send",
            f"at least {counted(totals.refused, 'message')} refused: nothing listens on port "
            f"{port}; start the collector first",
        )
    if totals.undecoded:
        print_error(
            "scapy-ipfix send",
            f"{counted(totals.undecoded, 'Data Set')} came before the template; times in there are "
            "not changed, and sequence numbers do not count those records",
        )


def progress_text(totals: ReplayTotals, capture: CaptureFile) -> str:
    """Return the state of a replay as one line."""
    share = f"{100 * capture.position // capture.size} %, " if capture.size else ""
    if totals.loops:
        share = f"round {totals.loops + 1}, {share}"
    messages = counted(totals.messages, "message")
    return f"{capture.name}: {share}{messages}, {totals.rate:.0f} per second"

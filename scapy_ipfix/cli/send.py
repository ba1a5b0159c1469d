# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix send``: the messages of a capture or an IPFIX File, to a collector."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Sequence
from typing import BinaryIO, TextIO, cast

from scapy_ipfix.cli.arguments import endpoint, natural
from scapy_ipfix.reading.capture import CaptureFile
from scapy_ipfix.testing.replay import DOMAINS, Replayed, replay
from scapy_ipfix.text import counted

_PROGRESS_EVERY = 0.5


def main(arguments: Sequence[str]) -> int:
    """Runs the command; gives the exit status: 0, 2 for what cannot be, 130 when interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    source = options.file if options.file != "-" else cast(BinaryIO, sys.stdin.buffer)
    totals = Replayed()
    status, problem = 0, ""
    with contextlib.closing(Progress(sys.stderr, options.quiet)) as progress:
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
                progress=progress.show,
                totals=totals,
            )
            if not totals.messages:
                status, problem = 2, f"{options.file}: no IPFIX or NetFlow v9 message in it"
        except KeyboardInterrupt:
            status = 130
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            status, problem = 2, f"{where}{error.strerror or error}"
        except ValueError as error:
            status, problem = 2, str(error)
    if problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
    if totals.messages or not problem:
        _summary(totals, options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scapy-ipfix send",
        description="Send the messages of a capture or an IPFIX File to a collector.",
        epilog=(
            "FILE is a pcap or pcapng, either with gzip, or a file of IPFIX Messages; - is "
            "standard input. Each transport session in it gets one of its own. Without --rate "
            "messages go at the pace of the capture."
        ),
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument(
        "--to", type=endpoint, required=True, metavar="HOST[:PORT]", help="the collector"
    )
    parser.add_argument("--proto", choices=("udp", "tcp", "sctp"), default="udp")
    pace = parser.add_argument_group("pace")
    pace.add_argument(
        "--rate", type=_rate, metavar="N", help="messages a second, 0 for as fast as they go"
    )
    pace.add_argument(
        "--jitter", type=float, default=0.0, metavar="PART", help="gaps vary by that part (0 to 1)"
    )
    pace.add_argument(
        "--loop",
        type=natural,
        nargs="?",
        const=None,
        default=1,
        metavar="N",
        help="N times, without a number until interrupted",
    )
    change = parser.add_argument_group("what changes")
    change.add_argument(
        "--retime", action="store_true", help="move export times, and times in records, to now"
    )
    change.add_argument(
        "--renumber", action="store_true", help="sequence numbers from 0, without gaps"
    )
    change.add_argument(
        "--domain", type=int, metavar="ID", help="observation domain, or source id, of all"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of messages a second, or 0")
    return value


def _exporters(totals: Replayed) -> str:
    more = "at least " if len(totals.exporters) == DOMAINS else ""
    return more + counted(len(totals.exporters), "exporter")


def _summary(totals: Replayed, options: argparse.Namespace) -> None:
    host, port = options.to
    print(
        f"{counted(totals.messages, 'message')}, {counted(totals.octets, 'octet')} of "
        f"{_exporters(totals)} sent to {options.proto} "
        f"{f'[{host}]' if ':' in host else host}:{port} in {totals.seconds:.1f} s, "
        f"{totals.rate:.0f} a second",
        flush=True,
    )
    if totals.refused:
        refused = counted(totals.refused, "message")
        print(f"{refused} or more refused: nothing listens there", file=sys.stderr)
    if totals.unread:
        print(
            f"{counted(totals.unread, 'Data Set')} came before the template: times in there are "
            "the old ones, and sequence numbers do not count those records",
            file=sys.stderr,
        )


class Progress:
    """A line on a terminal that says how far it got; nothing elsewhere."""

    def __init__(self, out: TextIO, quiet: bool) -> None:
        self._out = out
        shown = out.isatty() and not quiet
        self._next = time.monotonic() + _PROGRESS_EVERY if shown else float("inf")
        self._is_shown = False

    def show(self, totals: Replayed, capture: CaptureFile) -> None:
        """Shows the state every half second."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _PROGRESS_EVERY
        size = capture.size
        share = f"{100 * capture.position // size} %, " if size else ""
        if totals.loops:
            share = f"time {totals.loops + 1}, {share}"
        self._out.write(
            f"\r{capture.name}: {share}{totals.messages} messages, {totals.rate:.0f} a second\x1b[K"
        )
        self._out.flush()
        self._is_shown = True

    def close(self) -> None:
        """Takes the line away again."""
        if self._is_shown:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._is_shown = False

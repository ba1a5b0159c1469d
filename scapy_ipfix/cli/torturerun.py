# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix torture``: send the torture catalogue to a collector, between canaries."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from scapy_ipfix.cli.arguments import Parser, endpoint, natural, positive
from scapy_ipfix.cli.terminal import print_error, reason
from scapy_ipfix.exporting.pcap import MAX_MESSAGE, write_pcap
from scapy_ipfix.exporting.sending import Address, Pace, Sender
from scapy_ipfix.testing.torturecases.catalogue import (
    MAX_CANARIES,
    Case,
    canary,
    canary_address,
    torture,
)
from scapy_ipfix.text import counted
from scapy_ipfix.wire.framing import IPFIX_VERSION, V9_VERSION

#: Messages per second: slow enough for a collector to lose no canary to a full buffer.
_RATE = 200.0
#: Seconds to wait for the last canaries, and between two looks at the output.
_WAIT, _POLL = 5.0, 0.1
#: An IPv4 address that is no part of a longer number or name.
_ADDRESS = re.compile(rb"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
#: Capture time between two messages in a pcap, in seconds.
_PCAP_GAP = 0.01


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status.

    0: all is sent, and every canary came back if there is a ``--canary-file``; 1: a canary is
    lost; 2: a wrong argument or an error; 130: interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        cases = _selected_cases(options)
        if options.list:
            return _list(cases)
        if options.pcap:
            return _write(cases, options)
        return _torture(cases, options)
    except BrokenPipeError:
        raise  # the entry point ends quietly when the reader of the output has closed it
    except (OSError, ValueError) as problem:
        print_error(parser.prog, reason(problem))
    return 2


def _parser() -> Parser:
    parser = Parser(
        prog="scapy-ipfix torture",
        description="Send unusual and malformed messages to a collector, plain flows between them.",
        epilog=(
            "The plain flows are canaries: each has its own source address, from 198.19.0.1 on. "
            "--canary-file is the collector's output, in any text format. The addresses that "
            "are missing there show after which case the collector failed. Exit status: 0 all "
            "canaries came back, 1 one is lost, 2 an error."
        ),
    )
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--to", type=endpoint, metavar="HOST[:PORT]", help="send to a collector")
    output.add_argument("--pcap", metavar="FILE", help="write a pcap, canaries included")
    output.add_argument("--list", action="store_true", help="print the cases")
    cases = parser.add_argument_group("cases")
    cases.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="only this case, * and ? match any characters; repeatable (default: all)",
    )
    kind = cases.add_mutually_exclusive_group()
    kind.add_argument("--legal", action="store_true", help="only cases that the RFCs allow")
    kind.add_argument("--illegal", action="store_true", help="only cases that violate an RFC")
    _add_sending_options(parser)
    _add_canary_options(parser)
    return parser


def _add_sending_options(parser: Parser) -> None:
    sending = parser.add_argument_group("sending")
    sending.add_argument(
        "--proto",
        choices=("udp", "tcp"),
        default="udp",
        help="transport protocol; over tcp each case has its own connection (default: udp)",
    )
    sending.add_argument(
        "--rate",
        type=positive,
        default=_RATE,
        metavar="N",
        help=f"messages per second (default: {_RATE:.0f})",
    )
    sending.add_argument(
        "--count",
        type=natural,
        default=1,
        metavar="N",
        help="send the cases N times (default: once)",
    )
    sending.add_argument(
        "--duration", type=positive, metavar="SECONDS", help="longest time (default: no limit)"
    )


def _add_canary_options(parser: Parser) -> None:
    canaries = parser.add_argument_group("canaries")
    canaries.add_argument(
        "--v9", action="store_true", help="send canaries in NetFlow v9 (default: IPFIX)"
    )
    canaries.add_argument(
        "--canary-file", type=Path, metavar="FILE", help="output of the collector to search"
    )
    canaries.add_argument(
        "--wait",
        type=positive,
        default=_WAIT,
        metavar="SECONDS",
        help=f"longest time to wait for the last canaries (default: {_WAIT:.0f})",
    )


def _selected_cases(options: argparse.Namespace) -> list[Case]:
    """Return the selected cases; raise ValueError for a name without any."""
    legal = True if options.legal else False if options.illegal else None
    found: list[Case] = []
    for name in options.only or ["*"]:
        matching = list(torture(name, legal))
        if not matching:
            kind = "" if legal is None else "legal " if legal else "illegal "
            raise ValueError(f"no {kind}case is called {name!r}; --list prints the names")
        found += matching
    return found


def _list(cases: Iterable[Case]) -> int:
    for case in cases:
        kind = "legal" if case.legal else "illegal"
        over = "" if case.transport == "any" else f", over {case.transport}"
        print(f"{case.name} ({kind}, {case.section}{over})")
        print(f"    {case.description}\n    -> {case.expected}")
    return 0


def _write(cases: Iterable[Case], options: argparse.Namespace) -> int:
    version = V9_VERSION if options.v9 else IPFIX_VERSION

    def messages() -> Iterator[bytes]:
        for number, case in enumerate(cases):
            yield bytes(canary(number, version=version))
            # The longest message over TCP does not fit a datagram.
            yield from (each for each in case.messages if len(each) <= MAX_MESSAGE)
        yield bytes(canary(number + 1, version=version))

    now = time.time()
    timed = ((now + i * _PCAP_GAP, octets) for i, octets in enumerate(messages()))
    count, octets = write_pcap(options.pcap, timed)
    sizes = f"{counted(count, 'message')}, {counted(octets, 'octet')}"
    print(f"{sizes} to {options.pcap}", file=sys.stderr)
    return 0


class Torturer:
    """Sender of cases and canaries that remembers the case before each canary.

    Over UDP there is one transport session. Over TCP each case has a connection of its own:
    a collector may close one after a malformed message.
    """

    def __init__(self, to: Address, proto: str, rate: float, version: int) -> None:
        self.proto = proto
        self.cases = self.messages = self.refused = 0
        #: Name of the case before each canary; empty for the first canary.
        self.after: list[str] = []
        #: Cases and canaries that could not be sent, each with the reason.
        self.failed: list[str] = []
        self._to = to
        self._pace = Pace(rate)
        self._version = version
        # Connect at once: an unreachable host is an error, not a lost canary.
        self._sender: Sender | None = Sender(to, proto)
        if proto == "tcp":
            self.close()

    def run(self, case: Case) -> None:
        """Send the messages of a case."""
        self.cases += 1
        try:
            self._send(case.messages)
        except (OSError, ValueError) as problem:
            self.failed.append(f"{case.name}: {problem}")

    def canary(self, after: str = "") -> None:
        """Send the next canary. Raises ValueError after the last address."""
        number = len(self.after)
        try:
            self._send([bytes(canary(number, version=self._version))])
        except OSError as problem:
            self.failed.append(f"canary {number}: {problem}")
        self.after.append(after)

    def _send(self, messages: Iterable[bytes]) -> None:
        sender = self._sender or Sender(self._to, self.proto)
        refused = sender.refused
        try:
            for octets in messages:
                self._pace.wait()
                sender.send(octets)
                self.messages += 1
        finally:
            self.refused += sender.refused - refused
            if sender is not self._sender:
                sender.close()

    def close(self) -> None:
        """End the transport session."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None


def _torture(cases: Sequence[Case], options: argparse.Namespace) -> int:
    usable = [case for case in cases if case.transport in ("any", options.proto)]
    if (len(usable) + 1) * options.count > MAX_CANARIES:
        raise ValueError(
            f"--count {options.count} needs more canaries than the {MAX_CANARIES} addresses; "
            "give a lower number"
        )
    version = V9_VERSION if options.v9 else IPFIX_VERSION
    torturer = Torturer(options.to, options.proto, options.rate, version)
    output = CollectorOutput(options.canary_file) if options.canary_file else None
    status = 0
    started = time.monotonic()
    try:
        torturer.canary()
        for case in usable * options.count:
            if options.duration and time.monotonic() - started > options.duration:
                break
            torturer.run(case)
            torturer.canary(case.name)
    except KeyboardInterrupt:
        status = 130
    finally:
        torturer.close()
    _print_totals(torturer, time.monotonic() - started)
    if output is not None and not status and _report_lost(torturer, output, options.wait):
        status = 1
    return status


def _print_totals(torturer: Torturer, seconds: float) -> None:
    for line in torturer.failed:
        print_error("scapy-ipfix torture", f"not sent: {line}")
    refused = f", {torturer.refused} refused" if torturer.refused else ""
    print(
        f"{torturer.cases} cases, {len(torturer.after)} canaries, "
        f"{torturer.messages} messages{refused} in {seconds:.1f} s"
    )


class CollectorOutput:
    """Text that a collector appends to a file after this object is made."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = self._size()

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def addresses(self) -> set[str]:
        """Return all IPv4 addresses in the text. Raises OSError."""
        if not self.path.exists():
            return set()
        with self.path.open("rb") as file:
            # A file that is shorter than before has been written again.
            file.seek(self._start if self._size() >= self._start else 0)
            return {found.decode() for found in _ADDRESS.findall(file.read())}


def _report_lost(torturer: Torturer, output: CollectorOutput, wait: float) -> bool:
    """Print the canaries that are lost; return True if one is missing after ``wait`` seconds."""
    number = len(torturer.after)
    wanted = {canary_address(each) for each in range(number)}
    deadline = time.monotonic() + wait
    while not wanted <= (found := output.addresses()) and time.monotonic() < deadline:
        time.sleep(_POLL)
    print(f"{len(wanted & found)} of {number} canaries came back")
    lost = [each for each in range(number) if canary_address(each) not in found]
    for first, last in _runs(lost):
        after = torturer.after[first]
        canaries = f"canary {first} ({canary_address(first)})"
        if last > first:
            canaries = f"canaries {first} to {last} ({canary_address(first)} and following)"
        print(f"lost: {canaries}, {f'after {after}' if after else 'before the first case'}")
    return bool(lost)


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and last number of each run of consecutive numbers."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs

# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix torture``: the torture catalogue to a collector, between canaries."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from scapy_ipfix.cli.arguments import Parser, endpoint, natural, positive
from scapy_ipfix.exporting.pcap import MAX_MESSAGE, write_pcap
from scapy_ipfix.exporting.sending import Address, Pace, Sender
from scapy_ipfix.testing.torturecases.catalogue import (
    MAX_CANARIES,
    Case,
    canary,
    canary_address,
    torture,
)

#: Messages a second: collectors that keep up have no reason to lose a canary.
_RATE = 200.0
_WAIT = 5.0
_POLL = 0.1
#: An IPv4 address that is no part of a longer number or name.
_ADDRESS = re.compile(rb"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
#: Capture time between two messages in a pcap, in seconds.
_PCAP_GAP = 0.01


def main(arguments: Sequence[str]) -> int:
    """Runs the command; gives the exit status.

    0: all is sent, and all canaries that could be looked for came back; 1: some did not;
    2: it could not be done; 130: interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        cases = _cases(options)
        if options.list:
            return _list(cases)
        if options.pcap:
            return _write(cases, options)
        return _torture(cases, options)
    except BrokenPipeError:
        raise  # scapy-ipfix ends quietly when its reader has seen enough
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        print(f"{parser.prog}: {where}{problem.strerror or problem}", file=sys.stderr)
    except ValueError as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="scapy-ipfix torture",
        description="Send rare and illegal messages to a collector, plain flows between them.",
        epilog=(
            "The plain flows are canaries: each has a source address of its own, from "
            "198.19.0.1 on. --canary-file is the collector's output, any text with addresses; "
            "what is missing there says which case the collector did not survive."
        ),
    )
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--to", type=endpoint, metavar="HOST[:PORT]", help="to a collector")
    output.add_argument("--pcap", metavar="FILE", help="to a pcap, with the canaries")
    output.add_argument("--list", action="store_true", help="say what cases there are")
    cases = parser.add_argument_group("cases")
    cases.add_argument(
        "--only", action="append", metavar="NAME", help="these only; * and ? stand for anything"
    )
    kind = cases.add_mutually_exclusive_group()
    kind.add_argument("--legal", action="store_true", help="only what is rare and legal")
    kind.add_argument("--illegal", action="store_true", help="only what is not")
    sending = parser.add_argument_group("sending")
    sending.add_argument("--proto", choices=("udp", "tcp"), default="udp")
    sending.add_argument(
        "--rate", type=positive, default=_RATE, help=f"messages a second (default: {_RATE:.0f})"
    )
    sending.add_argument("--count", type=natural, default=1, help="how many times all of it")
    sending.add_argument("--duration", type=positive, metavar="SECONDS", help="at the most")
    canaries = parser.add_argument_group("canaries")
    canaries.add_argument("--v9", action="store_true", help="canaries in NetFlow v9")
    canaries.add_argument("--canary-file", type=Path, metavar="FILE", help="where they come out")
    canaries.add_argument(
        "--wait",
        type=positive,
        default=_WAIT,
        metavar="SECONDS",
        help=f"for the last canaries to come out, at the most (default: {_WAIT:.0f})",
    )
    return parser


def _cases(options: argparse.Namespace) -> list[Case]:
    """The cases that are asked for; raises ValueError for a name that is none."""
    legal = True if options.legal else False if options.illegal else None
    found: list[Case] = []
    for name in options.only or ["*"]:
        matching = list(torture(name, legal))
        if not matching:
            kind = "" if legal is None else "legal " if legal else "illegal "
            raise ValueError(f"no {kind}case is called {name!r}; --list says what there is")
        found += matching
    return found


def _list(cases: Iterable[Case]) -> int:
    for case in cases:
        kind = "legal" if case.legal else "illegal"
        over = "" if case.transport == "any" else f", over {case.transport}"
        print(f"{case.name} ({kind}, {case.section}{over})\n    {case.what}\n    -> {case.must}")
    return 0


def _write(cases: Iterable[Case], options: argparse.Namespace) -> int:
    version = 9 if options.v9 else 10

    def messages() -> Iterator[bytes]:
        for number, case in enumerate(cases):
            yield bytes(canary(number, version=version))
            # a connection's messages cannot be in datagrams
            yield from (each for each in case.messages if len(each) <= MAX_MESSAGE)
        yield bytes(canary(number + 1, version=version))

    now = time.time()
    timed = ((now + i * _PCAP_GAP, octets) for i, octets in enumerate(messages()))
    count, octets = write_pcap(options.pcap, timed)
    print(f"{count} messages, {octets} octets to {options.pcap}", file=sys.stderr)
    return 0


class Torturer:
    """Sends cases and canaries, and remembers after which case it sent which canary.

    Over UDP all of it is one transport session; over TCP each case has a connection of its
    own, since a collector may end one that makes no sense.
    """

    def __init__(self, to: Address, proto: str, rate: float, version: int) -> None:
        self.proto = proto
        self.cases = self.messages = self.refused = 0
        #: For each canary, in order, the case before it; empty for the first.
        self.after: list[str] = []
        #: What could not be sent, and why.
        self.failed: list[str] = []
        self._to = to
        self._pace = Pace(rate)
        self._version = version
        # Now, so that a host that cannot be reached is an error and no lost canary.
        self._sender: Sender | None = Sender(to, proto)
        if proto == "tcp":
            self.close()

    def run(self, case: Case) -> None:
        """Sends the messages of a case."""
        self.cases += 1
        try:
            self._send(case.messages)
        except (OSError, ValueError) as problem:
            self.failed.append(f"{case.name}: {problem}")

    def canary(self, after: str = "") -> None:
        """Sends the next canary. Raises ValueError when there are no more."""
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
        """Ends the transport session."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None


def _torture(cases: Sequence[Case], options: argparse.Namespace) -> int:
    usable = [case for case in cases if case.transport in ("any", options.proto)]
    if (len(usable) + 1) * options.count > MAX_CANARIES:
        raise ValueError(f"--count {options.count}: there are {MAX_CANARIES} canaries")
    torturer = Torturer(options.to, options.proto, options.rate, 9 if options.v9 else 10)
    output = Output(options.canary_file) if options.canary_file else None
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
    _say(torturer, time.monotonic() - started)
    if output is not None and not status and _lost(torturer, output, options.wait):
        status = 1
    return status


def _say(torturer: Torturer, seconds: float) -> None:
    for line in torturer.failed:
        print(f"not sent: {line}", file=sys.stderr)
    refused = f", {torturer.refused} refused" if torturer.refused else ""
    print(
        f"{torturer.cases} cases, {len(torturer.after)} canaries, "
        f"{torturer.messages} messages{refused} in {seconds:.1f} s"
    )


class Output:
    """What a collector writes to a file from now on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._start = self._size()

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def addresses(self) -> set[str]:
        """All IPv4 addresses in it. Raises OSError."""
        if not self.path.exists():
            return set()
        with self.path.open("rb") as file:
            # shorter than it was: written anew
            file.seek(self._start if self._size() >= self._start else 0)
            return {found.decode() for found in _ADDRESS.findall(file.read())}


def _lost(torturer: Torturer, output: Output, wait: float) -> bool:
    """Says which canaries came back; whether one is missing after ``wait`` seconds."""
    number = len(torturer.after)
    wanted = {canary_address(each) for each in range(number)}
    deadline = time.monotonic() + wait
    while not wanted <= (found := output.addresses()) and time.monotonic() < deadline:
        time.sleep(_POLL)
    print(f"{len(wanted & found)} of {number} canaries came back")
    lost = [each for each in range(number) if canary_address(each) not in found]
    for first, last in _runs(lost):
        after = torturer.after[first]
        what = f"canary {first} ({canary_address(first)})"
        if last > first:
            what = f"canaries {first} to {last} ({canary_address(first)} and following)"
        print(f"lost: {what}, {f'after {after}' if after else 'before the first case'}")
    return bool(lost)


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of the numbers that follow each other."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs

# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix generate``: plausible flows to a collector, a pcap or an IPFIX File."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from scapy_ipfix.cli.arguments import Parser, endpoint, natural, positive
from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.exporting.pcap import write_pcap
from scapy_ipfix.exporting.sending import Pace, Sender
from scapy_ipfix.reading.ipfixfile import write_ipfix
from scapy_ipfix.testing.generator import (
    DEFAULT_START,
    RATES,
    Flow,
    departures,
    traffic,
    traffic_messages,
    traffic_templates,
)
from scapy_ipfix.text import counted
from scapy_ipfix.wire.framing import IPFIX_VERSION, V9_VERSION

_FLOWS, _RATE = 10_000, 1000.0
#: Octets of a datagram, headers included.
_MTU = 1400
#: Exporter and collector in a pcap: addresses for documentation (RFC 5737, RFC 3849).
_IPV4_ENDS = ("192.0.2.1", "192.0.2.2")
_IPV6_ENDS = ("2001:db8::1", "2001:db8::2")
_PORT = 4739


def main(arguments: Sequence[str]) -> int:
    """Runs the command; gives the exit status: 0, 2 for what cannot be, 130 when interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    tally = Tally()
    started = time.monotonic()
    status = 0
    try:
        _run(options, tally)
    except KeyboardInterrupt:
        status = 130
    except OSError as problem:
        where = f"{problem.filename}: " if problem.filename else ""
        print(f"{parser.prog}: {where}{problem.strerror or problem}", file=sys.stderr)
        return 2
    except ValueError as problem:
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        return 2
    print(f"{tally} in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="scapy-ipfix generate",
        description="Make up plausible flows, the same ones for the same arguments.",
        epilog=(
            "Of --flows, --rate and --duration two say it all. To a collector, flows go when "
            "they end if --rate or --duration is given, else as fast as they are made."
        ),
    )
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--to", type=endpoint, metavar="HOST[:PORT]", help="to a collector")
    output.add_argument("--pcap", metavar="FILE", help="to a pcap, as datagrams")
    output.add_argument("--ipfix", metavar="FILE", help="to an IPFIX File (RFC 5655)")
    flows = parser.add_argument_group("flows")
    flows.add_argument("--seed", type=int, default=1, help="of all chance (default: 1)")
    flows.add_argument("--hosts", type=natural, default=1000, help="default: 1000")
    flows.add_argument("--flows", type=natural, help=f"how many (default: {_FLOWS})")
    flows.add_argument(
        "--rate", type=positive, help=f"flows a second, on average (default: {_RATE:.0f})"
    )
    flows.add_argument("--duration", type=positive, metavar="SECONDS", help="in which they end")
    flows.add_argument(
        "--start", metavar="TIME", help="when flows begin to end, ISO 8601 (default: 2026, or now)"
    )
    flows.add_argument(
        "--shape", choices=RATES, default=RATES[0], help="of the rate over the day, in UTC"
    )
    flows.add_argument(
        "--ipv6", type=float, default=0.2, metavar="PART", help="of conversations (default: 0.2)"
    )
    flows.add_argument(
        "--mix", type=_mix, metavar="tcp=62,udp=34,icmp=4", help="protocols, in any unit"
    )
    flows.add_argument("--biflow", action="store_true", help="one record for both directions")
    export = parser.add_argument_group("export")
    export.add_argument("--v9", action="store_true", help="NetFlow v9")
    export.add_argument("--domain", type=int, default=1, help="observation domain (default: 1)")
    export.add_argument(
        "--mtu", type=natural, help=f"octets of a datagram (default: {_MTU}, none in a file)"
    )
    export.add_argument("--proto", choices=("udp", "tcp", "sctp"), default="udp")
    export.add_argument(
        "--source", type=endpoint, metavar="HOST[:PORT]", help="what the exporter sends from"
    )
    return parser


class Tally:
    """Counts what goes by, so that there is a summary even of what was interrupted."""

    def __init__(self) -> None:
        self.flows = self.messages = self.octets = self.refused = 0

    def count_flows(self, flows: Iterable[Flow]) -> Iterator[Flow]:
        """The same flows."""
        for flow in flows:
            self.flows += 1
            yield flow

    def count_messages(
        self, messages: Iterable[tuple[float, bytes]]
    ) -> Iterator[tuple[float, bytes]]:
        """The same messages, each counted when the next one is asked for."""
        for message in messages:
            yield message
            self.messages += 1
            self.octets += len(message[1])

    def __str__(self) -> str:
        amounts = (self.flows, "flow"), (self.messages, "message"), (self.octets, "octet")
        text = ", ".join(counted(*each) for each in amounts)
        return f"{text}, {counted(self.refused, 'message')} refused" if self.refused else text


def _run(options: argparse.Namespace, tally: Tally) -> None:
    count, duration = _amount(options)
    live = options.to is not None
    paced = live and (options.rate or options.duration)
    start = options.start
    if start is None:
        # what is sent at once has ended by now; what is sent in its time ends from now on
        start = time.time() - (0 if paced else duration) if live else DEFAULT_START
    flows = traffic(
        options.seed,
        options.hosts,
        count,
        start=start,
        duration=duration,
        rate=options.shape,
        ipv6=options.ipv6,
        biflow=options.biflow,
        mix=options.mix,
    )
    flows = tally.count_flows(flows)
    mtu = options.mtu or (None if options.ipfix else _MTU)
    version = V9_VERSION if options.v9 else IPFIX_VERSION
    exporter = Exporter(options.domain, version=version, mtu=mtu)
    if paced:
        now = None if options.start else start
        messages = _in_time(flows, exporter, options.biflow, now)
    else:
        messages = traffic_messages(flows, exporter, live=live)
    messages = tally.count_messages(messages)
    if live:
        _send(messages, options, tally)
    elif options.pcap:
        ends = _IPV6_ENDS if options.source and ":" in options.source[0] else _IPV4_ENDS
        source = options.source or (ends[0], _PORT)
        write_pcap(options.pcap, messages, source, (ends[1], _PORT))
    else:
        if options.v9:
            raise ValueError("an IPFIX File has no NetFlow v9 in it")
        write_ipfix(options.ipfix, (octets for _, octets in messages))


def _amount(options: argparse.Namespace) -> tuple[int, float]:
    """How many flows, in how many seconds."""
    flows, rate, duration = options.flows, options.rate, options.duration
    if flows and rate and duration:
        raise ValueError("--flows, --rate and --duration: give two of them")
    if rate and duration:
        return max(1, round(rate * duration)), duration
    flows = flows or _FLOWS
    return flows, duration or flows / (rate or _RATE)


def _in_time(
    flows: Iterable[Flow], exporter: Exporter, biflow: bool, start: float | None
) -> Iterator[tuple[float, bytes]]:
    """Messages, each made, and dated, when it goes, with that time; templates go first.

    ``start`` is when flows begin to end, now; None where that is another time.
    """
    pace = Pace()
    pace.wait(0.0)
    for message in exporter.announce(*traffic_templates(biflow)):
        yield time.time(), bytes(message)
    last = start
    for when, template, rows in departures(flows, exporter.room):
        pace.wait(0.0 if last is None else when - last)
        last = when
        for octets in exporter.export_bytes(template, rows):
            yield when, octets


def _send(
    messages: Iterable[tuple[float, bytes]], options: argparse.Namespace, tally: Tally
) -> None:
    with Sender(options.to, options.proto, source=options.source) as sender:
        try:
            for _, octets in messages:
                sender.send(octets)
        finally:
            tally.refused = sender.refused


def _mix(text: str) -> dict[str, float]:
    """``tcp=60,udp=35`` as a dict; which protocols there are, traffic() knows."""
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            mix[name.strip()] = float(number)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is not PROTOCOL=NUMBER") from None
    return mix

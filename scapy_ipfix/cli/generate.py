# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix generate``: made-up flows to a collector, a pcap or an IPFIX File."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence

from scapy_ipfix.cli.arguments import Parser, endpoint, natural, positive
from scapy_ipfix.cli.terminal import print_error, reason
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
#: Octets of an IP datagram, headers included.
_MTU = 1400
#: Exporter and collector in a pcap: addresses for documentation (RFC 5737, RFC 3849).
_IPV4_ENDS = ("192.0.2.1", "192.0.2.2")
_IPV6_ENDS = ("2001:db8::1", "2001:db8::2")
_PORT = 4739


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status.

    0: all is sent or written; 2: a wrong argument or an error; 130: interrupted.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    tally = Tally()
    started = time.monotonic()
    status = 0
    try:
        _run(options, tally)
    except KeyboardInterrupt:
        status = 130
    except (OSError, ValueError) as problem:
        print_error(parser.prog, reason(problem))
        return 2
    print(f"{tally} in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return status


def _parser() -> Parser:
    parser = Parser(
        prog="scapy-ipfix generate",
        description="Make up plausible flows. Equal arguments give equal flows.",
        epilog=(
            "Give any two of --flows, --rate, --duration. With --to and --rate or --duration, "
            "each flow is sent when it ends; with --to alone, all are sent as fast as possible."
        ),
    )
    output = parser.add_mutually_exclusive_group(required=True)
    output.add_argument("--to", type=endpoint, metavar="HOST[:PORT]", help="send to a collector")
    output.add_argument("--pcap", metavar="FILE", help="write a pcap of UDP datagrams")
    output.add_argument("--ipfix", metavar="FILE", help="write an IPFIX File (RFC 5655)")
    _add_flow_options(parser)
    export = parser.add_argument_group("export")
    export.add_argument("--v9", action="store_true", help="NetFlow v9 instead of IPFIX")
    export.add_argument(
        "--domain", type=int, default=1, metavar="ID", help="observation domain id (default: 1)"
    )
    export.add_argument(
        "--mtu",
        type=natural,
        help=f"octets of the longest IP datagram (default: {_MTU}; no limit in an IPFIX File)",
    )
    export.add_argument(
        "--proto",
        choices=("udp", "tcp", "sctp"),
        default="udp",
        help="transport protocol to the collector (default: udp)",
    )
    export.add_argument(
        "--source",
        type=endpoint,
        metavar="HOST[:PORT]",
        help=f"address to send from; in a pcap, the exporter's (default there: {_IPV4_ENDS[0]})",
    )
    return parser


def _add_flow_options(parser: Parser) -> None:
    flows = parser.add_argument_group("flows")
    flows.add_argument("--seed", type=int, default=1, help="seed of the generator (default: 1)")
    flows.add_argument(
        "--hosts", type=natural, default=1000, help="number of hosts, 2 or more (default: 1000)"
    )
    flows.add_argument("--flows", type=natural, help=f"number of flows (default: {_FLOWS})")
    flows.add_argument(
        "--rate", type=positive, help=f"average flows per second (default: {_RATE:.0f})"
    )
    flows.add_argument(
        "--duration",
        type=positive,
        metavar="SECONDS",
        help="time in which all flows end (default: --flows divided by --rate)",
    )
    flows.add_argument(
        "--start",
        metavar="TIME",
        help="time from which flows end, ISO 8601 (default: 2026-01-01, with --to now)",
    )
    flows.add_argument(
        "--shape",
        choices=RATES,
        default=RATES[0],
        help=f"rate over the day: even, or that of an access network in UTC (default: {RATES[0]})",
    )
    flows.add_argument(
        "--ipv6",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of IPv6 conversations, 0 to 1 (default: 0.2)",
    )
    flows.add_argument(
        "--mix",
        type=_mix,
        metavar="tcp=62,udp=34,icmp=4",
        help="proportions of protocols (default: tcp=62,udp=34,icmp=4)",
    )
    flows.add_argument(
        "--biflow", action="store_true", help="one record for both directions (RFC 5103)"
    )


class Tally:
    """Counts of flows, messages and octets so far, for a summary even after an interruption."""

    def __init__(self) -> None:
        self.flows = self.messages = self.octets = self.refused = 0

    def count_flows(self, flows: Iterable[Flow]) -> Iterator[Flow]:
        """Yield the flows, and count each."""
        for flow in flows:
            self.flows += 1
            yield flow

    def count_messages(
        self, messages: Iterable[tuple[float, bytes]]
    ) -> Iterator[tuple[float, bytes]]:
        """Yield the messages, and count each once the consumer comes back for the next."""
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
    paced = live and bool(options.rate or options.duration)
    start = options.start
    if start is None:
        # Flows that are sent all at once have ended by now; paced ones end from now on.
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
        messages = _paced(flows, exporter, options.biflow, now)
    else:
        messages = traffic_messages(flows, exporter, live=live)
    _deliver(tally.count_messages(messages), options, tally)


def _amount(options: argparse.Namespace) -> tuple[int, float]:
    """Return the number of flows, and the seconds in which they end."""
    flows, rate, duration = options.flows, options.rate, options.duration
    if flows and rate and duration:
        raise ValueError("give any two of --flows, --rate, --duration")
    if rate and duration:
        return max(1, round(rate * duration)), duration
    flows = flows or _FLOWS
    return flows, duration or flows / (rate or _RATE)


def _paced(
    flows: Iterable[Flow], exporter: Exporter, biflow: bool, start: float | None
) -> Iterator[tuple[float, bytes]]:
    """Yield each message, with its time, when it is due; templates come first.

    ``start`` is the time from which flows end if that is now, else None.
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


def _deliver(
    messages: Iterable[tuple[float, bytes]], options: argparse.Namespace, tally: Tally
) -> None:
    if options.to is not None:
        _send(messages, options, tally)
    elif options.pcap:
        ends = _IPV6_ENDS if options.source and ":" in options.source[0] else _IPV4_ENDS
        source = options.source or (ends[0], _PORT)
        write_pcap(options.pcap, messages, source, (ends[1], _PORT))
    elif options.v9:
        raise ValueError("an IPFIX File has no NetFlow v9; leave out --v9, or write a --pcap")
    else:
        write_ipfix(options.ipfix, (octets for _, octets in messages))


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
    """Return ``tcp=60,udp=35`` as a dict; traffic() checks the protocols."""
    mix: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        try:
            mix[name.strip()] = float(number)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r} is not PROTOCOL=NUMBER") from None
    return mix

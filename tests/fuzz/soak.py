# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m tests.fuzz.soak --minutes 30``: sniffing of live export on the loopback.

``scapy-ipfix generate`` exports to a port of the loopback, and ``sniff`` with an
``IPFIXSession`` reads it, in a process of its own. The highest rate without loss is found,
held for two thirds of the time, and doubled for the rest. The flows that were sent have to
equal those read and those counted as lost; the resident memory of the sniffer is recorded.
Needs Linux and the right to sniff.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scapy.config import conf
from scapy.sendrecv import AsyncSniffer

from scapy_ipfix import IPFIXSession

#: First rate in flows a second, and the factor to the next one.
FIRST_RATE = 2_000
STEP = 1.25
#: Seconds of a trial of a rate, and between reports while a rate is held.
TRIAL = 12
REPORT = 60
#: Part of the flows that may be missing after the last message read.
TAIL = 0.01
#: Seconds that an exporter may end late; one of them is to start.
LATE = 2.5
#: Seconds that a sniffer may lag at a rate that it holds.
BEHIND = 0.5
#: Octets that the kernel buffers for the sniffer, about two seconds of traffic.
BUFFER = 32 << 20


@dataclass(frozen=True)
class Outcome:
    """Result at one rate: flows sent, read, lost by sequence numbers; resident MiB."""

    rate: int
    seconds: float
    sent: int
    read: int
    lost: int
    #: Flows in the kernel's buffer when the exporter ended.
    behind: int
    memory: tuple[float, ...]
    diagnostics: dict[str, int]

    @property
    def unaccounted(self) -> int:
        """Return the flows neither read nor counted as lost."""
        return self.sent - self.read - self.lost

    def row(self, what: str) -> str:
        half, last = self.memory[len(self.memory) // 2], self.memory[-1]
        kinds = ", ".join(f"{code} {count}" for code, count in sorted(self.diagnostics.items()))
        return (
            f"| {what} | {self.rate:,} | {self.sent / self.seconds:,.0f} | {self.seconds:.0f} s "
            f"| {self.sent:,} | {self.read:,} | {self.lost:,} | {self.unaccounted:,} "
            f"| {self.memory[0]:.1f} | {half:.1f} | {last:.1f} | {kinds or '-'} |"
        )


HEADER = """\
| what | flows/s asked | sent | time | flows sent | read | lost, says the session | unaccounted \
| MiB at first | half way | at the end | diagnostics |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|"""


# -- process of the sniffer


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096 / (1 << 20)


def sniff_port(port: int) -> None:
    """Sniff until standard input ends; print the state at each line of it."""
    conf.bufsize = BUFFER
    session = IPFIXSession()
    sniffer = AsyncSniffer(
        iface="lo", filter=f"inbound and udp dst port {port}", session=session, store=False
    )
    sniffer.start()
    while not sniffer.running or not hasattr(sniffer, "stop_cb"):
        time.sleep(0.01)
    print("ready", flush=True)
    for _ in sys.stdin:
        domains = list(session.collector.domains)
        state = {
            "read": sum(each.stats.records for each in domains),
            "lost": sum(each.sequence.lost for each in domains),
            "memory": resident(),
            "diagnostics": dict(session.diagnostics.counts),
        }
        print(json.dumps(state), flush=True)
    sniffer.stop()


# -- measuring process


class Sniffer:
    """Process that sniffs a port."""

    def __init__(self, port: int) -> None:
        command = [sys.executable, "-m", "tests.fuzz.soak", "--sniff", str(port)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the sniffer ended")
        return line

    def state(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("state\n")
        self._process.stdin.flush()
        state: dict[str, Any] = json.loads(self._line())
        return state

    def settled(self) -> dict[str, Any]:
        """Return the state when no more records arrive."""
        state = self.state()
        while True:
            time.sleep(0.5)
            later = self.state()
            if later["read"] == state["read"]:
                return later
            state = later

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


def run(rate: int, seconds: float, say: bool = False) -> Outcome:
    """Export at a rate to a new sniffer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        port = sink.getsockname()[1]
        sniffer = Sniffer(port)
        command = [sys.executable, "-m", "scapy_ipfix", "generate", "--to", f"127.0.0.1:{port}"]
        command += ["--rate", str(rate), "--duration", str(seconds)]
        began = time.monotonic()
        exporter = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        memory = [sniffer.state()["memory"]]
        for _ in _ticks(exporter, TRIAL / 4):
            state = sniffer.state()
            memory.append(state["memory"])
            if say and len(memory) % (REPORT * 4 // TRIAL) == 0:
                gone = time.monotonic() - began
                print(
                    f"{gone:7.0f} s: {state['read']:,} read, {state['lost']:,} lost, "
                    f"{state['memory']:.1f} MiB",
                    flush=True,
                )
        took = time.monotonic() - began
        assert exporter.stderr is not None
        sent = _sent(exporter.stderr.read())
        behind = sent - sniffer.state()["read"]
        state = sniffer.settled()
        sniffer.close()
    return Outcome(
        *(rate, took, sent, state["read"], state["lost"], behind),
        *(tuple(memory), state["diagnostics"]),
    )


def _ticks(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    """Yield at intervals until the process ends."""
    while True:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            yield
        else:
            return


def _sent(summary: str) -> int:
    """Return the number of flows that the exporter reports as sent."""
    found = re.search(r"([\d,]+) flows", summary)
    if found is None:
        raise SystemExit(f"generate says: {summary!r}")
    return int(found[1].replace(",", ""))


def highest() -> int:
    """Return the highest rate without loss, in flows a second."""
    held, rate = 0, FIRST_RATE
    while True:
        outcome = run(rate, TRIAL)
        print(outcome.row("trial"), flush=True)
        late = outcome.seconds > TRIAL + LATE or outcome.behind > BEHIND * rate
        if outcome.lost or outcome.unaccounted or late:
            return held
        held, rate = rate, int(rate * STEP)


def main() -> int:
    """Run the command; return 1 if flows are missing that were not counted as lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=int, help="flows a second; default: the highest held")
    parser.add_argument("--sniff", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sniff:
        sniff_port(options.sniff)
        return 0
    print(HEADER, flush=True)
    rate = options.rate or highest()
    if not rate:
        raise SystemExit(f"{FIRST_RATE} flows a second are too many here")
    seconds = 60 * options.minutes
    held = run(rate, seconds * 2 / 3, say=True)
    doubled = run(2 * rate, seconds / 3, say=True)
    print(HEADER)
    print(held.row("held"))
    print(doubled.row("twice that"))
    missing = held.unaccounted, doubled.unaccounted
    return int(missing[0] != 0 or not 0 <= missing[1] <= doubled.sent * TAIL)


if __name__ == "__main__":
    sys.exit(main())

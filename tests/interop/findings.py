# SPDX-License-Identifier: GPL-2.0-or-later
"""Effects of the torture catalogue on nfcapd and nfacctd, with a new collector for each case.

    python -m tests.interop.findings [--collector nfcapd] [--case NAME] [--wrong]

prints a Markdown table. For each case it starts a collector on the loopback, sends a plain
flow (a canary), the case and another canary, and checks that the collector is alive, has read
all messages and has both canaries; for a legal case also that the flows have as many octets
as in this package. A failure is repeated twice, and is a finding if it is the same each
time. The command takes some minutes.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scapy_ipfix.exporting.sending import Pace, Sender
from scapy_ipfix.reading.reader import iter_records
from scapy_ipfix.testing.torturecases.catalogue import Case, canary, canary_address, torture

from .collectors import (
    DEADLINE,
    FILE_LIMIT,
    Collector,
    Nfacctd,
    Nfcapd,
    missing,
    version,
    within_deadline,
)

NOTHING = "nothing wrong"
#: Repetitions of a failure.
REPEATS = 2
#: Messages a second: as the torture command sends them.
_RATE = 200.0
#: Seconds in which a collector reads all messages, and in which it reports a canary.
_PATIENCE = DEADLINE
#: Octets of flows in the output: as nfdump calls them, and as nfacctd does.
_OCTETS = re.compile(r'"(?:in_bytes|bytes)" ?: (\d+)')
_CANARY_OCTETS = sum(each["octetDeltaCount"] for each in iter_records([bytes(canary(0))]))
#: Seconds of CPU time that a stuck collector has to use to count as busy.
_BUSY = 0.15
#: Seconds of CPU time for one case that are reported.
_MUCH = 1.5


@dataclass(frozen=True)
class Finding:
    """Reaction of a collector to a case: a row of the table."""

    collector: str
    case: Case
    what: str

    @property
    def is_wrong(self) -> bool:
        return self.what != NOTHING

    @property
    def row(self) -> str:
        kind = "legal" if self.case.legal else "illegal"
        return (
            f"| {self.collector} | {self.case.name} | {kind} | {self.case.section} | {self.what} |"
        )


HEADER = "| collector | case | legal | section | what happened |\n|---|---|---|---|---|"


def cases(name: str = "*") -> list[Case]:
    """Return the cases for UDP, the transport of these collectors."""
    return [case for case in torture(name) if case.transport != "tcp"]


# -- one case, one collector


def observe_nfcapd(case: Case) -> str:
    """Describe the reaction of a new nfcapd; :data:`NOTHING` if it is correct."""
    with tempfile.TemporaryDirectory() as name, Nfcapd(Path(name)) as collector:
        _send(case, collector)
        stuck = _stuck(collector)
        if stuck:
            return stuck
        spent = _spent(collector)
        if not collector.terminate():
            return _busy(collector)
        if collector.process.returncode:
            return _ended(collector.process.returncode, "when told to end ")
        done = collector.dump()
        if done.returncode < 0:
            return f"nfdump {_ended(done.returncode)} on the file that it wrote"
        return _lost(done.stdout) or spent or _differs(case, done.stdout)


def observe_nfacctd(case: Case) -> str:
    """Describe the reaction of a new nfacctd, as :func:`observe_nfcapd` does."""
    with tempfile.TemporaryDirectory() as name, Nfacctd(Path(name), primitives="src_host") as it:
        _send(case, it)
        stuck = _stuck(it)
        if stuck:
            return stuck
        within_deadline(lambda: not _lost(it.text) or not it.is_alive, _PATIENCE)
        if not it.is_alive:
            return _ended(it.process.returncode)
        if _lost(it.text) and _spins(it):
            return _busy(it)
        return _lost(it.text) or _spent(it) or _differs(case, it.text)


OBSERVERS: dict[str, Callable[[Case], str]] = {
    "nfcapd": observe_nfcapd,
    "nfacctd": observe_nfacctd,
}
#: The programs of each collector.
PROGRAMS = {"nfcapd": ("nfcapd", "nfdump"), "nfacctd": ("nfacctd",)}


def _send(case: Case, collector: Collector) -> None:
    """Canary, case, canary, in one transport session."""
    pace = Pace(_RATE)
    with Sender(collector.to) as sender:
        for octets in (bytes(canary(0)), *case.messages, bytes(canary(1))):
            pace.wait()
            sender.send(octets)


def _stuck(collector: Collector) -> str:
    """Describe how the collector ended or stopped to read; empty if it has read all."""
    within_deadline(collector.is_drained, _PATIENCE)
    if not collector.is_alive:
        return _ended(collector.process.returncode)
    return "" if collector.is_drained() else _busy(collector)


def _busy(collector: Collector) -> str:
    return "hangs at 100 % CPU" if _spins(collector) else "hangs, idle"


def _spins(collector: Collector) -> bool:
    """Return True once one of its processes has used CPU time, however small its share is."""
    before = collector.cpu_seconds()

    def has_worked() -> bool:
        after = collector.cpu_seconds()
        return any(after[each] - before[each] > _BUSY for each in before.keys() & after.keys())

    return within_deadline(has_worked)


def _ended(status: int, when: str = "") -> str:
    if status == -signal.SIGXFSZ:
        return f"writes to disk without end (stopped at {FILE_LIMIT >> 20} MiB)"
    if status >= 0:
        return f"ended {when}with status {status}"
    return f"crashed {when}with {signal.Signals(-status).name}"


def _lost(text: str) -> str:
    """Name the canaries that are not in the output; empty if both are."""
    lost = [
        which
        for number, which in enumerate(("before", "after"))
        if f'"{canary_address(number)}"' not in text
    ]
    return f"loses the flow {' and the flow '.join(lost)}" if lost else ""


def _spent(collector: Collector) -> str:
    seconds = sum(collector.cpu_seconds().values())
    return f"needs {seconds:.0f} s of CPU time" if seconds > _MUCH else ""


def _differs(case: Case, text: str) -> str:
    """Describe the missing flows of a legal case; other cases have no correct result.

    Records without an address, and records in lists, may count as flows or not.
    """
    if not case.legal or "or drop" in case.expected:
        return NOTHING
    wanted = sum(
        each.get("octetDeltaCount", 0)
        for each in iter_records(case.messages)
        if "sourceIPv4Address" in each or "sourceIPv6Address" in each
    )
    found = sum(map(int, _OCTETS.findall(text))) - 2 * _CANARY_OCTETS
    return f"reports {found} octets of {wanted}" if found < wanted else NOTHING


# -- all of them


def find(name: str, case: Case) -> Finding:
    """Observe a case; repeat a failure, since a finding is the same each time."""
    observe = OBSERVERS[name]
    seen = [observe(case)]
    while seen[-1] != NOTHING and len(seen) <= REPEATS:
        seen.append(observe(case))
    what = seen[0]
    if len(set(seen)) > 1:
        # each once, in order
        what = f"not the same each time: {', '.join(dict.fromkeys(seen))}"
    return Finding(version(name), case, what)


def findings(name: str, wanted: Sequence[Case], jobs: int = 2) -> Iterator[Finding]:
    """Yield a finding for each case, in order."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(partial(find, name), wanted)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.interop.findings", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--collector", choices=OBSERVERS, help="this one only")
    parser.add_argument("--case", default="*", metavar="NAME", help="* and ? stand for anything")
    parser.add_argument("--wrong", action="store_true", help="only what is not right")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="at a time")
    options = parser.parse_args(arguments)
    # Ended by another program, it ends its collectors first too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = cases(options.case)
    if not wanted:
        parser.error(f"no case over UDP is called {options.case!r}")
    print(HEADER)
    for name in [options.collector] if options.collector else OBSERVERS:
        why = missing(*PROGRAMS[name])
        if why:
            print(why, file=sys.stderr)
            continue
        right = 0
        for each in findings(name, wanted, options.jobs):
            right += not each.is_wrong
            if each.is_wrong or not options.wrong:
                print(each.row, flush=True)
        print(f"{version(name)}: {NOTHING} in {right} of {len(wanted)} cases", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

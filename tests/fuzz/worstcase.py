# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of the messages that take the most time to read, and the measurement of that time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.transportkey import TransportKey

#: Octets that a message has for its Sets, and a Set for its records.
ROOM = 65535 - 16
BODY = ROOM - 4
#: The same in NetFlow v9, whose header has four octets more.
V9_BODY = BODY - 4


@dataclass(frozen=True, slots=True)
class Worst:
    """Messages, the last of which is measured; ``codes`` are those of diagnostics they cause."""

    name: str
    make: Callable[[], tuple[bytes, ...]]
    codes: frozenset[str] = field(default_factory=frozenset)
    check_values: bool = False
    protocol: str = "udp"
    #: Arguments for reading the records: names and rates resolved, and the kind of values.
    resolve: bool = False
    values: str = "scapy"

    def reader(self) -> tuple[Collector, Callable[[], None]]:
        """Return a collector that has read the other messages, and a function to read the last."""
        *others, last = self.make()
        key = TransportKey(self.protocol, "192.0.2.1", 1, "192.0.2.2", 2)
        collector = Collector(check_values=self.check_values)
        for octets in others:
            collector.read(key, octets)

        def read() -> None:
            found = collector.read(key, last)
            assert found is not None
            for each in found.ready:
                each.records(values=self.values, resolve=self.resolve)

        return collector, read


def seconds(run: Callable[[], object]) -> float:
    """Return the CPU time of a call."""
    started = time.process_time()
    run()
    return time.process_time() - started


def yardstick() -> list[dict[str, int]]:
    """Make 65,000 dicts; the CPU time of this is the unit in which other times are judged."""
    return [{"value": each} for each in bytes(65_000)]


def calls(run: Callable[[], object]) -> int:
    """Return the number of function calls and returns while ``run`` runs."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count


WORST: list[Worst] = []


def worst_case(
    *codes: str, **how: Any
) -> Callable[[Callable[[], tuple[bytes, ...]]], Callable[[], tuple[bytes, ...]]]:
    """Add the decorated function to :data:`WORST`; ``how`` are fields of :class:`Worst`."""

    def take(make: Callable[[], tuple[bytes, ...]]) -> Callable[[], tuple[bytes, ...]]:
        WORST.append(Worst(make.__name__, make, frozenset(codes), **how))
        return make

    return take


def prefixed(octets: bytes) -> bytes:
    return b"\xff" + len(octets).to_bytes(2, "big") + octets


def numbered(count: int, octets: Callable[[int], bytes]) -> bytes:
    return b"".join(map(octets, range(count)))

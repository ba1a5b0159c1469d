# SPDX-License-Identifier: GPL-2.0-or-later
"""What the messages that ask most of a reader are made with, and how their time is taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
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
    """Messages, the last of which is the worst; ``codes`` are of diagnostics that they get."""

    name: str
    make: Callable[[], tuple[bytes, ...]]
    codes: frozenset[str] = field(default_factory=frozenset)
    check_values: bool = False
    protocol: str = "udp"
    #: What records are asked for with: whether metadata is looked up, and how values are read.
    resolve: bool = False
    values: str = "scapy"

    def reader(self) -> tuple[Collector, Callable[[], None]]:
        """A collector that read the other messages, and what has it read the worst, and records."""
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
    """Of CPU, for one call."""
    started = time.process_time()
    run()
    return time.process_time() - started


WORST: list[Worst] = []


def worst_case(
    *codes: str, **how: Any
) -> Callable[[Callable[[], tuple[bytes, ...]]], Callable[[], tuple[bytes, ...]]]:
    """Adds to :data:`WORST`; ``how`` are fields of it."""

    def take(make: Callable[[], tuple[bytes, ...]]) -> Callable[[], tuple[bytes, ...]]:
        WORST.append(Worst(make.__name__, make, frozenset(codes), **how))
        return make

    return take


def prefixed(octets: bytes) -> bytes:
    return b"\xff" + len(octets).to_bytes(2, "big") + octets


def numbered(count: int, octets: Callable[[int], bytes]) -> bytes:
    return b"".join(map(octets, range(count)))

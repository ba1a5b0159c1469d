# SPDX-License-Identifier: GPL-2.0-or-later
"""Bounded queue of messages between the threads that receive and the one that decodes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple, TypeAlias

from scapy_ipfix.collector.transportkey import TransportKey

#: Octets of messages that may wait in the process to be decoded.
QUEUED_OCTETS = 64 << 20
#: Seconds after which a receiving thread that waits checks whether it has to stop.
WAKE = 0.1
#: Octets that a message takes beside its own.
_OVERHEAD = 200


class Arrival(NamedTuple):
    """Message that arrived: its Transport Session, octets, seconds since 1970, SCTP stream."""

    transport: TransportKey
    octets: bytes
    time: float
    stream: int = 0


class ConnectionEvent(NamedTuple):
    """Event of a connection, in order with its messages.

    ``skipped`` is the number of octets that were no message, ``is_end`` is True where the
    connection has ended, and ``problem`` says why, unless it ended in order.
    """

    transport: TransportKey
    skipped: int = 0
    is_end: bool = False
    problem: str = ""


Item: TypeAlias = "Arrival | ConnectionEvent"


def _size(items: Sequence[Item]) -> int:
    return sum([len(item.octets) + _OVERHEAD for item in items if isinstance(item, Arrival)])


class Inbox:
    """Queue of batches of messages, limited to a number of octets.

    The limit holds for receivers that wait for room before they receive. ``notify`` is called,
    in the receiving thread, after each batch.
    """

    def __init__(self, limit: int = QUEUED_OCTETS) -> None:
        self.notify: Callable[[], None] | None = None
        self._limit = limit
        self._waiting = 0
        self._batches: SimpleQueue[tuple[Sequence[Item], int]] = SimpleQueue()
        self._lock = threading.Lock()
        self._has_room = threading.Event()
        self._has_room.set()

    @property
    def waiting(self) -> int:
        """Octets of messages in the queue, overhead included."""
        return self._waiting

    @property
    def is_empty(self) -> bool:
        """True if no batch is in the queue."""
        return self._batches.empty()

    def put(self, batch: Sequence[Item]) -> None:
        """Add a batch; never waits."""
        size = _size(batch)
        with self._lock:
            self._waiting += size
            if self._waiting > self._limit:
                self._has_room.clear()
        self._batches.put((batch, size))
        if self.notify is not None:
            self.notify()

    def get(self, timeout: float | None = 0.0) -> Sequence[Item]:
        """Return the next batch; an empty one after ``timeout`` seconds without any."""
        try:
            batch, size = self._batches.get(timeout != 0.0, timeout)
        except Empty:
            return ()
        with self._lock:
            self._waiting -= size
            if self._waiting <= self._limit:
                self._has_room.set()
        return batch

    def wait_for_room(self, timeout: float = WAKE) -> bool:
        """Wait until the queue is below its limit; return False after ``timeout`` seconds."""
        return self._has_room.is_set() or self._has_room.wait(timeout)

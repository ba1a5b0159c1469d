# SPDX-License-Identifier: GPL-2.0-or-later
"""Live sources of messages for commands: sockets, and sniffed packets."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Sequence
from queue import Empty, Full, Queue
from typing import Any, Protocol

from scapy.config import conf
from scapy.error import Scapy_Exception
from scapy.packet import Packet
from scapy.sendrecv import AsyncSniffer

from scapy_ipfix.collector.collected import CollectedMessage
from scapy_ipfix.reading.inbox import WAKE, Arrival
from scapy_ipfix.reading.listener import Listener
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.text import counted

#: Sniffed packets that wait to be read; further ones wait in the system.
_PACKETS = 10_000
#: Most packets that are read at a time.
_BATCH = 256


class LiveSource(Protocol):
    """Source of messages that ends with :meth:`stop`."""

    def poll(self) -> Iterable[tuple[Arrival, CollectedMessage]] | None:
        """Return the messages that have arrived after 0.1 s at most; None after the end."""

    def stop(self) -> None:
        """End the source soon; for signal handlers."""

    def close(self) -> None:
        """Close the source."""

    @property
    def description(self) -> str:
        """Places that the source receives at, as a phrase after "listening"."""

    @property
    def summary(self) -> str:
        """Counters, losses included."""


class SocketSource:
    """Messages that a listener receives, by protocols of one or several listeners."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.poll = listener.poll
        self.stop = listener.stop
        self.close = listener.close

    @property
    def description(self) -> str:
        listener = self._listener
        text = f"at {', '.join(listener.places)}"
        stats = listener.stats
        if stats.buffer_granted < stats.buffer_requested:
            text += (
                f"; receive buffer of {stats.buffer_granted} octets, {stats.buffer_requested} "
                "requested: raise net.core.rmem_max"
            )
        return text

    @property
    def summary(self) -> str:
        return str(self._listener.stats)


class SniffSource:
    """Messages in packets that Scapy sniffs at an interface, which takes root.

    ``capture_filter`` is a filter of libpcap, ``timeout`` is in seconds. Raises OSError that
    states what is missing.
    """

    def __init__(
        self,
        interface: str,
        capture_filter: str,
        session: IPFIXSession,
        timeout: float | None = None,
    ) -> None:
        self._interface = interface
        self._filter = capture_filter
        self._session = session
        self._packets: Queue[Packet] = Queue(_PACKETS)
        self._end = math.inf if timeout is None else time.monotonic() + timeout
        self._is_closed = False
        self._socket = _sniffing_socket(interface, capture_filter)
        self._sniffer = AsyncSniffer(opened_socket=self._socket, store=False, prn=self._put)
        self._sniffer.start()

    @property
    def description(self) -> str:
        return f"on interface {self._interface} to packets of '{self._filter}'"

    def poll(self) -> Iterable[tuple[Arrival, CollectedMessage]] | None:
        if time.monotonic() >= self._end:
            self.close()
            if self._packets.empty():
                return None
        return self._read()

    def _read(self) -> Iterable[tuple[Arrival, CollectedMessage]]:
        timeout = WAKE
        for _ in range(_BATCH):
            try:
                packet = self._packets.get(timeout=timeout)
            except Empty:
                return
            timeout = 0.0
            with self._session._lock:
                messages = self._session._reader.read(packet)
            for message in messages:
                transport = message.domain.transport
                yield Arrival(transport, message.octets, float(packet.time)), message

    def _put(self, packet: Packet) -> None:
        """Queue a packet; while there is no room, further ones wait in the system."""
        while not self._is_closed:
            with contextlib.suppress(Full):
                self._packets.put(packet, timeout=WAKE)
                return

    def stop(self) -> None:
        self._end = 0.0

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._sniffer.stop()
            self._socket.close()

    @property
    def summary(self) -> str:
        rows = self._session.stats
        parts = [
            counted(self._session.packets, "packet"),
            counted(sum(row.messages for row in rows), "message"),
            counted(sum(row.records for row in rows), "record"),
            f"lost by sequence numbers: {sum(row.lost for row in rows)}",
        ]
        return ", ".join(parts)


def _sniffing_socket(interface: str, capture_filter: str) -> Any:
    """Return Scapy's socket for sniffing."""
    try:
        return conf.L2listen(iface=interface, filter=capture_filter)
    except PermissionError:
        raise PermissionError(
            f"sniffing on {interface} needs root (CAP_NET_RAW); "
            "without -i, sockets receive what is sent to this machine"
        ) from None
    except (OSError, Scapy_Exception, ValueError) as problem:
        raise OSError(f"cannot sniff on {interface}: {problem}") from None


def ports_filter(ports: Sequence[int]) -> str:
    """Return the filter of libpcap for packets from or to any of some ports."""
    return " or ".join(f"port {port}" for port in sorted(ports))

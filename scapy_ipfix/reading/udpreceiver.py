# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams of a UDP socket, received in a thread, and the number of those that were lost.

The thread moves datagrams from the system to an :class:`~scapy_ipfix.reading.inbox.Inbox` and
does nothing else. While that is full they stay in the system, which drops and counts those that
do not fit: there is one place where datagrams are lost.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.reading.inbox import WAKE, Arrival, Inbox
from scapy_ipfix.reading.listeningsockets import (
    RECEIVE_BUFFER,
    dropped_datagrams,
    plain_address,
    set_receive_buffer,
)

#: Most datagrams in one batch.
BATCH = 256
#: Peers whose Transport Session is cached.
_PEERS = 65536

# Numbers of Linux, which the socket module does not name (asm-generic/socket.h, linux/in.h).
_SO_TIMESTAMPNS = 35
_SO_RXQ_OVFL = 40
_IP_PKTINFO = 8
_IPV6_PKTINFO = getattr(socket, "IPV6_PKTINFO", 50)
_IPV6_RECVPKTINFO = getattr(socket, "IPV6_RECVPKTINFO", 49)
_TIMESPEC = struct.Struct("@ll")
_TIMEVAL = struct.Struct("@ll")
_COUNT = struct.Struct("@I")
_IPV4_INFO, _IPV6_INFO = 12, 20
_ANCILLARY = sum(map(socket.CMSG_SPACE, (_TIMESPEC.size, _COUNT.size, _IPV6_INFO)))
_MAX_DATAGRAM = 65535


class UDPReceiver:
    """Thread that receives the datagrams of a bound socket into an inbox.

    ``buffer`` is the size of the system's receive buffer to request, in octets. The counters
    may be read in any thread.
    """

    def __init__(self, opened: socket.socket, inbox: Inbox, buffer: int = RECEIVE_BUFFER) -> None:
        self.protocol = "udp"
        self.port: int = opened.getsockname()[1]
        #: Datagrams received, and their octets.
        self.messages = self.octets = 0
        self.buffer_requested = buffer
        self.buffer_granted = set_receive_buffer(opened, buffer)
        self._socket = opened
        self._host = plain_address(opened.getsockname()[0])
        self._inbox = inbox
        self._overflow = 0
        self._dropped = 0
        self._peers: dict[tuple[Any, bytes], TransportKey] = {}
        self._is_stopping = threading.Event()
        _request_ancillary(opened)
        # The thread waits in the system, and wakes to see whether it has to stop.
        opened.setblocking(True)
        opened.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(0, round(WAKE * 1_000_000))
        )
        self._thread = threading.Thread(
            target=self._run, name=f"ipfix-udp-{self.port}", daemon=True
        )
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """False once the thread has ended."""
        return self._thread.is_alive()

    @property
    def dropped(self) -> int:
        """Datagrams that the system dropped since the socket was bound."""
        with contextlib.suppress(OSError):  # the socket is closed
            self._dropped = max(self._dropped, self._overflow, dropped_datagrams(self._socket))
        return self._dropped

    def stop(self) -> None:
        """Make the thread end soon; :meth:`close` waits for it."""
        self._is_stopping.set()

    def close(self) -> None:
        """Stop receiving and close the socket; datagrams that have arrived are in the inbox."""
        self.stop()
        self._thread.join()
        _ = self.dropped  # the system forgets the count with the socket
        self._socket.close()

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            if self._inbox.wait_for_room():
                self._put(self._receive())
        end = self.octets + self.buffer_granted  # a busy exporter does not stop sending
        while self.octets < end and self._put(self._receive(socket.MSG_DONTWAIT)):
            pass

    def _put(self, batch: list[Arrival]) -> bool:
        if batch:
            self.messages += len(batch)
            self.octets += sum([len(each.octets) for each in batch])
            self._inbox.put(batch)
        return bool(batch)

    def _receive(self, flags: int = 0) -> list[Arrival]:
        """Return the datagrams in the system, at most a batch; wait for the first one."""
        receive, transport = self._socket.recvmsg, self._transport
        batch: list[Arrival] = []
        try:
            while len(batch) < BATCH:
                octets, ancillary, _, sender = receive(_MAX_DATAGRAM, _ANCILLARY, flags)
                received, local = self._read_ancillary(ancillary)
                batch.append(Arrival(transport(sender, local), octets, received))
                flags = socket.MSG_DONTWAIT
        except BlockingIOError:
            pass  # no further datagram
        except OSError:
            # Such as a lack of memory in the system, which may pass.
            self._is_stopping.wait(WAKE)
        return batch

    def _read_ancillary(self, ancillary: Sequence[tuple[int, int, bytes]]) -> tuple[float, bytes]:
        """Return the system's time of reception and the local address; keep its count of drops."""
        received, local = 0.0, b""
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET:
                if kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = _TIMESPEC.unpack(data)
                    received = seconds + nanoseconds * 1e-9
                elif kind == _SO_RXQ_OVFL:
                    (self._overflow,) = _COUNT.unpack(data)
            elif kind in (_IPV6_PKTINFO, _IP_PKTINFO):
                local = data
        return received or time.time(), local

    def _transport(self, sender: tuple[Any, ...], local: bytes) -> TransportKey:
        """Return the Transport Session of a sender."""
        key = self._peers.get((sender, local))
        if key is None:
            if len(self._peers) >= _PEERS:
                self._peers.clear()
            host = _local_address(local) or self._host
            key = TransportKey("udp", plain_address(sender[0]), sender[1], host, self.port)
            self._peers[sender, local] = key
        return key


def _request_ancillary(opened: socket.socket) -> None:
    """Request time of reception, count of drops and local address with each datagram."""
    options = [(socket.SOL_SOCKET, _SO_TIMESTAMPNS), (socket.SOL_SOCKET, _SO_RXQ_OVFL)]
    if opened.family == socket.AF_INET6:
        options.append((socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO))
    else:
        options.append((socket.IPPROTO_IP, _IP_PKTINFO))
    for level, option in options:
        with contextlib.suppress(OSError):  # another system than Linux
            opened.setsockopt(level, option, 1)


def _local_address(info: bytes) -> str:
    """Return the address that a datagram was sent to, from in_pktinfo or in6_pktinfo."""
    if len(info) == _IPV4_INFO:  # interface, local address, address in the header
        return socket.inet_ntop(socket.AF_INET, info[8:12])
    if len(info) == _IPV6_INFO:
        return plain_address(socket.inet_ntop(socket.AF_INET6, info[:16]))
    return ""

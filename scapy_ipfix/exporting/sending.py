# SPDX-License-Identifier: GPL-2.0-or-later
"""Senders of messages: over a socket, which needs no root, or under forged headers.

A :class:`Sender` is a Transport Session over UDP, TCP or SCTP; a :class:`ForgedSender` sends
messages under the caller's IP and UDP headers. A :class:`Pace` waits for the time of the next
message. Of a message they read only the version.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Any, Protocol

from scapy.config import conf
from scapy.interfaces import resolve_iface
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet
from scapy.sendrecv import send as scapy_send

from scapy_ipfix.layers.messages import make_message
from scapy_ipfix.text import counted
from scapy_ipfix.wire.framing import V9_VERSION

#: A host (name or address) and a port.
Address = tuple[str, int]

#: Seconds to wait for a connection, and for a collector that does not read.
TIMEOUT = 30.0
_SCTP = getattr(socket, "IPPROTO_SCTP", 132)
_SCTP_NODELAY = 3
_KINDS = {
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "sctp": (socket.SOCK_STREAM, _SCTP),
}
#: Errors for a protocol that the system does not support.
_UNSUPPORTED = {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EINVAL}
#: The socket reports the refusal of an earlier message instead of sending; try this often.
_ATTEMPTS = 3
#: Seconds of delay that a pace makes up for; a longer delay causes no burst.
_LAG = 1.0
#: Shorter waits, in seconds, are left to the next message: sleep() is not that exact.
_SHORTEST_SLEEP = 0.001


@dataclass(frozen=True, slots=True)
class Sent:
    """Totals of sending: messages, octets, and seconds.

    ``refused`` counts the messages that the collector's host has refused over UDP, because
    nothing listens on the port.
    """

    messages: int = 0
    octets: int = 0
    refused: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Messages per second; 0.0 if no time has passed."""
        return self.messages / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        sent = f"{counted(self.messages, 'message')}, {counted(self.octets, 'octet')}"
        text = f"{sent} in {self.seconds:.1f} s"
        return f"{text}, {self.refused} refused" if self.refused else text


class MessageSender(Protocol):
    """Interface of :class:`Sender` and :class:`ForgedSender`."""

    refused: int

    def send(self, octets: bytes) -> None:
        """Send one message. Raises OSError, and ValueError for one the protocol cannot carry."""

    def close(self) -> None:
        """End the Transport Session."""


def check_address(address: Any, name: str, lowest: int = 1) -> Address:
    """Return a (host, port) pair, checked. Raises ValueError that names the argument."""
    if not (isinstance(address, tuple) and len(address) == 2 and isinstance(address[0], str)):
        raise ValueError(f"{name} is (host, port), not {address!r}")
    host, port = address
    if not isinstance(port, int) or not lowest <= port <= 65535:
        raise ValueError(f"{name}: port {port!r} is not in {lowest}..65535")
    return host, port


class _SourceError(Exception):
    """Source address that cannot be used; ``error`` is the OSError for the caller."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Sender:
    """Transport Session (RFC 7011 10) to the collector at ``to``, a (host, port).

    ``proto`` is "udp", "tcp" or "sctp" (one stream, 0). ``source`` is the local (address,
    port) to send from, port 0 for any. ``timeout`` is in seconds. Raises ValueError for
    arguments out of range, and OSError that names the collector if it cannot be reached or
    the system has no SCTP.
    """

    def __init__(
        self,
        to: Address,
        proto: str = "udp",
        *,
        source: Address | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        if proto not in _KINDS:
            raise ValueError(f"proto is {', '.join(map(repr, _KINDS))}, not {proto!r}")
        host, port = check_address(to, "to")
        if source is not None:
            check_address(source, "source", 0)
        self.proto = proto
        self.name = f"{proto} {f'[{host}]' if ':' in host else host}:{port}"
        #: Messages refused over UDP, as far as their host has reported it.
        self.refused = 0
        self._socket = self._opened(host, port, source, timeout)

    def _opened(
        self, host: str, port: int, source: Address | None, timeout: float
    ) -> socket.socket:
        kind, number = _KINDS[self.proto]
        failed: OSError = OSError(errno.EADDRNOTAVAIL, "no address")
        try:
            # Resolvers do not know SCTP; its socket type is that of TCP.
            found = socket.getaddrinfo(host, port, type=kind)
        except OSError as problem:
            raise self._named(problem) from None
        for family, _, _, _, address in found:
            try:
                opened = socket.socket(family, kind, number)
            except OSError as problem:
                if self.proto == "sctp" and problem.errno in _UNSUPPORTED:
                    problem = OSError(
                        problem.errno, "this system has no SCTP (Linux: modprobe sctp)"
                    )
                failed = problem
                continue
            try:
                opened.settimeout(timeout)
                if self.proto == "sctp":
                    # Else a message waits up to 0.2 s for the acknowledgement of earlier ones.
                    opened.setsockopt(_SCTP, _SCTP_NODELAY, 1)
                if source is not None:
                    self._bind(opened, source)
                # A connected UDP socket reports that nothing listens on the port.
                opened.connect(address)
                return opened
            except _SourceError as problem:
                opened.close()
                raise problem.error from None
            except OSError as problem:
                opened.close()
                failed = problem
        raise self._named(failed) from None

    @staticmethod
    def _bind(opened: socket.socket, source: Address) -> None:
        try:
            opened.bind(source)
        except OSError as problem:
            text = problem.strerror or str(problem)
            host, port = source[:2]
            named = OSError(problem.errno, f"cannot send from {host} port {port}: {text}")
            raise _SourceError(named) from None

    def _named(self, problem: OSError) -> OSError:
        """Return an error of the same class with the collector in its text."""
        text = problem.strerror or str(problem)
        if problem.errno is None or isinstance(problem, socket.gaierror):
            return OSError(f"{self.name}: {text}")
        return OSError(problem.errno, f"{self.name}: {text}")

    def send(self, octets: bytes) -> None:
        """Send one message.

        Raises OSError that names the collector; ValueError for a message that is too long
        for a datagram, and for NetFlow v9 over TCP, as its messages have no length.
        """
        if self.proto != "udp":
            if self.proto == "tcp" and octets[:2] == V9_VERSION.to_bytes(2, "big"):
                raise ValueError(
                    "NetFlow v9 does not go over TCP, as its messages have no length; use udp"
                )
            try:
                self._socket.sendall(octets)
            except OSError as problem:
                raise self._named(problem) from None
            return
        for _ in range(_ATTEMPTS):
            try:
                self._socket.send(octets)
                return
            except ConnectionRefusedError:
                self.refused += 1  # an earlier message; this one has not been sent yet
            except OSError as problem:
                if problem.errno == errno.EMSGSIZE:
                    raise ValueError(
                        f"{self.name}: a message of {len(octets)} octets is too long for a datagram"
                    ) from None
                raise self._named(problem) from None
        self.refused += 1

    def close(self) -> None:
        """End the Transport Session. Messages sent over TCP and SCTP still arrive."""
        self._socket.close()

    def __enter__(self) -> Sender:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sender {self.name}>"


class ForgedSender:
    """Sender under the caller's headers: ``IP(src="198.51.100.7", dst=...) / UDP(...)``.

    Uses Scapy's ``send``, which allows any source address and needs root. Raises ValueError
    if ``headers`` is no packet, and PermissionError without root.
    """

    refused = 0

    def __init__(self, headers: Packet) -> None:
        if not isinstance(headers, Packet):
            raise ValueError(f"headers are packets, such as IP()/UDP(), not {headers!r}")
        self._headers = headers
        # Scapy would open this socket for each message; its class depends on the interface.
        interface = resolve_iface(headers.route()[0] or conf.iface)
        try:
            self._socket = interface.l3socket(IPv6 in headers)(iface=interface)
        except PermissionError as problem:
            text = "raw sockets, to send under given headers, are for root; give (host, port)"
            raise PermissionError(problem.errno, text) from None

    def send(self, octets: bytes) -> None:
        """Send one message. Raises OSError."""
        # A packet, so that UDP gets the protocol's port unless the headers have one.
        payload = make_message(octets) or octets
        scapy_send(self._headers / payload, socket=self._socket, verbose=False)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Pace:
    """Pace of messages: ``rate`` per second, None for no limit.

    ``jitter`` (0.0 to 1.0) is the share by which each gap is longer or shorter by chance; the
    average stays. Raises ValueError for a rate that is not above 0, or a jitter out of range.
    """

    def __init__(
        self,
        rate: float | None = None,
        jitter: float = 0.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        random: Random | None = None,
    ) -> None:
        if rate is not None and not 0 < rate < float("inf"):
            raise ValueError(f"rate {rate!r} is not a number of messages per second above 0")
        if not 0.0 <= jitter <= 1.0:
            raise ValueError(f"jitter {jitter!r} is not in 0.0..1.0")
        self.rate = rate
        self.jitter = jitter
        self._clock = clock
        self._sleep = sleep
        self._random = random or Random()
        self._due: float | None = None

    def wait(self, gap: float | None = None) -> None:
        """Wait for the time of the next message; the first one is due at once.

        ``gap`` is the time since the message before in seconds, None for the rate's.
        """
        if gap is None:
            gap = 1.0 / self.rate if self.rate else 0.0
        if self.jitter:
            gap *= 1.0 + self.jitter * (2.0 * self._random.random() - 1.0)
        now = self._clock()
        # Count from the due time, not from the actual one: delays must not slow the rate.
        due = now if self._due is None else self._due + max(gap, 0.0)
        if now - due > _LAG:
            due = now
        if due - now >= _SHORTEST_SLEEP:
            self._sleep(due - now)
        self._due = due


def deliver(messages: Iterable[bytes | Packet], sender: MessageSender, pace: Pace) -> Sent:
    """Send messages (octets or packets) at a pace, and return the totals.

    Raises the errors of the sender and of the iterator of messages.
    """
    sent = octets_sent = 0
    refused = sender.refused
    started = time.monotonic()
    source = iter(messages)
    while True:
        pace.wait()  # first: a message is made, with its export time, when it is due
        message = next(source, None)
        if message is None:
            break
        octets = bytes(message)
        sender.send(octets)
        sent += 1
        octets_sent += len(octets)
    return Sent(sent, octets_sent, sender.refused - refused, time.monotonic() - started)

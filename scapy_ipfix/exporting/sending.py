# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages to a collector: over a socket, which needs no root, or under forged headers.

A :class:`Sender` is a transport session over UDP, TCP or SCTP; a :class:`ForgedSender` puts
messages under IP and UDP headers that the caller wrote. A :class:`Pace` says when the next
message may go. None of them looks into a message, beyond its version.
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

#: Seconds that opening a connection, or a collector that does not read, may take.
TIMEOUT = 30.0
_SCTP = getattr(socket, "IPPROTO_SCTP", 132)
_SCTP_NODELAY = 3
_KINDS = {
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "sctp": (socket.SOCK_STREAM, _SCTP),
}
#: What asking for a protocol gives that the system does not have.
_UNSUPPORTED = {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EINVAL}
#: An old refusal is reported instead of sending; more often than that, nobody listens.
_ATTEMPTS = 3
#: A pace that falls so many seconds behind does not make up for it with a burst.
_LAG = 1.0
#: Waits shorter than that (seconds) are left to the next message: sleeping is not that exact.
_SHORTEST_SLEEP = 0.001


@dataclass(frozen=True, slots=True)
class Sent:
    """What sending came to: messages and their octets, how long it took.

    ``refused`` counts messages that are known to have gone nowhere: over UDP, where the host
    said that nothing listens on the port.
    """

    messages: int = 0
    octets: int = 0
    refused: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Messages a second; 0.0 where no time passed."""
        return self.messages / self.seconds if self.seconds > 0 else 0.0

    def __str__(self) -> str:
        sent = f"{counted(self.messages, 'message')}, {counted(self.octets, 'octet')}"
        text = f"{sent} in {self.seconds:.1f} s"
        return f"{text}, {self.refused} refused" if self.refused else text


class MessageSender(Protocol):
    """What messages are given to: a :class:`Sender` or a :class:`ForgedSender`."""

    refused: int

    def send(self, octets: bytes) -> None:
        """Sends one message; raises OSError, and ValueError for one that cannot go this way."""

    def close(self) -> None:
        """Ends the transport session."""


def check_address(address: Any, what: str, lowest: int = 1) -> Address:
    """A (host, port) pair, checked. Raises ValueError that names ``what`` it was for."""
    if not (isinstance(address, tuple) and len(address) == 2 and isinstance(address[0], str)):
        raise ValueError(f"{what} is (host, port), not {address!r}")
    host, port = address
    if not isinstance(port, int) or not lowest <= port <= 65535:
        raise ValueError(f"{what}: port {port!r} is not in {lowest}..65535")
    return host, port


class Sender:
    """A transport session (RFC 7011 10) to the collector at ``to``, a host and a port.

    ``proto`` is "udp", "tcp" or "sctp" (one stream, 0). ``source`` is the local address to
    send from, port 0 for any. Raises ValueError for arguments that cannot be; OSError, which
    names the collector, when it is not reached, and where the system has no SCTP.
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
        #: Messages that are known to have been refused, over UDP.
        self.refused = 0
        self._socket = self._opened(host, port, source, timeout)

    def _opened(
        self, host: str, port: int, source: Address | None, timeout: float
    ) -> socket.socket:
        kind, number = _KINDS[self.proto]
        failed: OSError = OSError(errno.EADDRNOTAVAIL, "no address")
        try:
            # SCTP is asked for as TCP: resolvers do not know it.
            asked = socket.SOCK_STREAM if self.proto == "sctp" else kind
            found = socket.getaddrinfo(host, port, type=asked)
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
                    # Or else a message waits, up to 0.2 s, until those before are acknowledged.
                    opened.setsockopt(_SCTP, _SCTP_NODELAY, 1)
                if source is not None:
                    opened.bind(source)
                # A connected UDP socket hears that nothing listens on the port.
                opened.connect(address)
                return opened
            except OSError as problem:
                opened.close()
                failed = problem
        raise self._named(failed) from None

    def _named(self, problem: OSError) -> OSError:
        """The same error, of the same class, with the collector in its text."""
        text = problem.strerror or str(problem)
        if problem.errno is None or isinstance(problem, socket.gaierror):
            return OSError(f"{self.name}: {text}")
        return OSError(problem.errno, f"{self.name}: {text}")

    def send(self, octets: bytes) -> None:
        """Sends one message.

        Raises OSError that names the collector; ValueError for a message that is too long
        for a datagram, and for NetFlow v9 over TCP, where nothing says how long it is.
        """
        if self.proto != "udp":
            if self.proto == "tcp" and octets[:2] == V9_VERSION.to_bytes(2, "big"):
                raise ValueError(
                    "NetFlow v9 does not go over TCP: its messages do not say their length"
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
                self.refused += 1  # an earlier one; this one has not been sent yet
            except OSError as problem:
                if problem.errno == errno.EMSGSIZE:
                    raise ValueError(
                        f"{self.name}: a message of {len(octets)} octets is too long for a datagram"
                    ) from None
                raise self._named(problem) from None
        self.refused += 1

    def close(self) -> None:
        """Ends the transport session. What was sent over TCP and SCTP still arrives."""
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
    """Messages under headers of the caller's: ``IP(src="198.51.100.7", dst=...) / UDP(...)``.

    Goes through Scapy's own ``send``, so any source address will do, and root is needed.
    Raises ValueError for what are no headers, OSError (PermissionError) without root.
    """

    refused = 0

    def __init__(self, headers: Packet) -> None:
        if not isinstance(headers, Packet):
            raise ValueError(f"headers are packets, as IP()/UDP(), not {headers!r}")
        self._headers = headers
        # The socket that Scapy would open for each message: what it is depends on the interface.
        interface = resolve_iface(headers.route()[0] or conf.iface)
        try:
            self._socket = interface.l3socket(IPv6 in headers)(iface=interface)
        except PermissionError as problem:
            text = "raw sockets, to send under headers of one's own, are for root"
            raise PermissionError(problem.errno, text) from None

    def send(self, octets: bytes) -> None:
        """Sends one message; raises OSError."""
        # As a packet, so that a port that was not given is the protocol's.
        payload = make_message(octets) or octets
        scapy_send(self._headers / payload, socket=self._socket, verbose=False)

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


class Pace:
    """When messages go: ``rate`` a second, None for as fast as they come.

    ``jitter``, 0.0 to 1.0, makes each gap longer or shorter by up to that share of it; the
    average stays. Raises ValueError for a rate that is not above 0, or another jitter.
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
            raise ValueError(f"rate {rate!r} is not a number of messages a second above 0")
        if not 0.0 <= jitter <= 1.0:
            raise ValueError(f"jitter {jitter!r} is not in 0.0..1.0")
        self.rate = rate
        self.jitter = jitter
        self._clock = clock
        self._sleep = sleep
        self._random = random or Random()
        self._due: float | None = None

    def wait(self, gap: float | None = None) -> None:
        """Waits for the next message's time; the first one goes at once.

        ``gap`` is the time from the message before, in seconds; None: as the rate says.
        """
        if gap is None:
            gap = 1.0 / self.rate if self.rate else 0.0
        if self.jitter:
            gap *= 1.0 + self.jitter * (2.0 * self._random.random() - 1.0)
        now = self._clock()
        # From when it was due, not from when it went, or every delay would slow the rate.
        due = now if self._due is None else self._due + max(gap, 0.0)
        if now - due > _LAG:
            due = now
        if due - now >= _SHORTEST_SLEEP:
            self._sleep(due - now)
        self._due = due


def deliver(messages: Iterable[bytes | Packet], sender: MessageSender, pace: Pace) -> Sent:
    """Sends messages (octets or packets), each when its time has come; gives the totals.

    Raises what the sender raises, and what making the messages raises.
    """
    sent = octets_sent = 0
    refused = sender.refused
    started = time.monotonic()
    source = iter(messages)
    while True:
        pace.wait()  # first, so that a message is made, and dated, when it goes
        message = next(source, None)
        if message is None:
            break
        octets = bytes(message)
        sender.send(octets)
        sent += 1
        octets_sent += len(octets)
    return Sent(sent, octets_sent, sender.refused - refused, time.monotonic() - started)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of TCP, TLS and SCTP connections, received in a thread.

Each connection is a Transport Session (RFC 7011 10.2, 10.4), with TLS as RFC 7011 11.1 asks. A
peer that sends slowly, breaks off inside a message or sends no IPFIX affects its own connection
and no other.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field

from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.reading.inbox import WAKE, Arrival, ConnectionEvent, Inbox, Item
from scapy_ipfix.reading.listeningsockets import SCTP, plain_address
from scapy_ipfix.wire.stream import MessageStream

#: Connections at a time; further ones are refused until another one ends.
MAX_CONNECTIONS = 1024
#: Seconds that a TLS handshake may take.
HANDSHAKE_TIMEOUT = 10.0
_BACKLOG = 128
_READ = 1 << 16
#: Reads of a connection that is open when the receiver closes: its octets in the system.
_LAST_READS = 256
_ANCILLARY = socket.CMSG_SPACE(64)

# Numbers of Linux (linux/sctp.h): options, the type of ancillary data, and its beginning.
_SCTP_INITMSG = 2
_SCTP_RECVRCVINFO = 32
_SCTP_RCVINFO = 3
_STREAM = struct.Struct("@H")
#: Streams that an SCTP association may have in this direction: outgoing, incoming, defaults.
_INITMSG = struct.pack("@HHHH", 1, 64, 0, 0)


@dataclass(slots=True, eq=False)
class _Connection:
    """Accepted connection, with the octets of its incomplete message."""

    socket: socket.socket
    transport: TransportKey
    opened: float
    is_shaking_hands: bool
    messages: MessageStream = field(default_factory=MessageStream)
    skipped: int = 0


class StreamReceiver:
    """Thread that receives the messages of all connections to a bound socket into an inbox.

    ``tls`` is the context of a TLS server; with ``verify_mode=ssl.CERT_REQUIRED`` it requires
    certificates of exporters. The counters may be read in any thread.
    """

    #: Counters as of :class:`~scapy_ipfix.reading.udpreceiver.UDPReceiver`; a stream drops nothing.
    dropped = buffer_requested = buffer_granted = 0

    def __init__(
        self,
        opened: socket.socket,
        inbox: Inbox,
        protocol: str = "tcp",
        tls: ssl.SSLContext | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.protocol = protocol
        self.port: int = opened.getsockname()[1]
        #: Messages received, their octets, and connections refused above the limit.
        self.messages = self.octets = self.refused = 0
        self._socket = opened
        self._inbox = inbox
        self._tls = tls
        self._max_connections = max_connections
        self._connections: set[_Connection] = set()
        self._is_stopping = threading.Event()
        self._selector = selectors.DefaultSelector()
        if tls is not None:
            # An exporter that never reads would reset the connection at its end, and lose what
            # it sent last, for a session ticket that it has not read.
            tls.num_tickets = 0
        if protocol == "sctp":
            opened.setsockopt(SCTP, _SCTP_INITMSG, _INITMSG)
            opened.setsockopt(SCTP, _SCTP_RECVRCVINFO, 1)
        opened.setblocking(False)
        opened.listen(_BACKLOG)
        self._selector.register(opened, selectors.EVENT_READ, None)
        self._thread = threading.Thread(
            target=self._run, name=f"ipfix-{protocol}-{self.port}", daemon=True
        )
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """False once the thread has ended."""
        return self._thread.is_alive()

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._connections)

    def stop(self) -> None:
        """Make the thread end soon; :meth:`close` waits for it."""
        self._is_stopping.set()

    def close(self) -> None:
        """Close all connections and the socket; messages that have arrived are in the inbox."""
        self.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_stopping.is_set():
                if not self._inbox.wait_for_room():
                    continue  # flow control of the transport makes the peers wait
                for key, _ in self._selector.select(WAKE):
                    if key.data is None:
                        self._accept()
                    else:
                        self._receive(key.data)
                self._expire_handshakes()
        finally:
            for connection in list(self._connections):
                for _ in range(_LAST_READS):
                    if not self._receive(connection):
                        break
                if connection in self._connections:
                    self._end(connection)
            self._selector.close()
            self._socket.close()

    def _accept(self) -> None:
        try:
            accepted, sender = self._socket.accept()
        except OSError:
            return  # the peer has gone, or no file descriptor is left
        if len(self._connections) >= self._max_connections:
            self.refused += 1
            accepted.close()
            return
        try:
            accepted.setblocking(False)
            # A peer that went away without a word ends some day.
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            host = plain_address(accepted.getsockname()[0])
            if self._tls is not None:
                accepted = self._tls.wrap_socket(
                    accepted, server_side=True, do_handshake_on_connect=False
                )
        except (OSError, ValueError):
            accepted.close()
            return
        transport = TransportKey(
            self.protocol, plain_address(sender[0]), sender[1], host, self.port
        )
        connection = _Connection(
            accepted, transport, time.monotonic(), is_shaking_hands=self._tls is not None
        )
        self._connections.add(connection)
        self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _receive(self, connection: _Connection) -> bool:
        """Receive octets of a connection and return True; end it with its peer, and on errors."""
        try:
            if connection.is_shaking_hands:
                self._shake_hands(connection)
            octets, stream = self._read(connection.socket)
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError as problem:  # ssl.SSLError is one of these
            self._end(connection, problem.strerror or str(problem))
            return False
        if octets:
            self._put(connection, connection.messages.feed(octets), stream)
        else:
            self._end(connection)
        return bool(octets)

    def _shake_hands(self, connection: _Connection) -> None:
        assert isinstance(connection.socket, ssl.SSLSocket)
        connection.socket.do_handshake()
        connection.is_shaking_hands = False

    def _read(self, opened: socket.socket) -> tuple[bytes, int]:
        """Return octets of a connection and their SCTP stream; no octets at its end."""
        if self.protocol == "sctp":
            octets, ancillary, _, _ = opened.recvmsg(_READ, _ANCILLARY)
            return octets, _stream(ancillary)
        octets = opened.recv(_READ)
        if isinstance(opened, ssl.SSLSocket):
            # The rest of a TLS record is no longer in the system, and would not be reported.
            while octets and (pending := opened.pending()):
                octets += opened.recv(pending)
        return octets, 0

    def _expire_handshakes(self) -> None:
        if self._tls is None:
            return
        oldest = time.monotonic() - HANDSHAKE_TIMEOUT
        for connection in list(self._connections):
            if connection.is_shaking_hands and connection.opened < oldest:
                self._end(connection, f"no TLS handshake within {HANDSHAKE_TIMEOUT:.0f} s")

    def _put(self, connection: _Connection, messages: list[bytes], stream: int) -> None:
        now, transport = time.time(), connection.transport
        items: list[Item] = [Arrival(transport, octets, now, stream) for octets in messages]
        self.messages += len(messages)
        self.octets += sum(map(len, messages))
        skipped = connection.messages.skipped - connection.skipped
        if skipped:
            connection.skipped += skipped
            items.append(ConnectionEvent(transport, skipped))
        if items:
            self._inbox.put(items)

    def _end(self, connection: _Connection, problem: str = "") -> None:
        self._connections.discard(connection)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.socket)
        connection.socket.close()
        rest = len(connection.messages.finish())
        skipped = connection.messages.skipped - connection.skipped
        if rest and not problem:
            problem = f"{rest} octets of an incomplete message"
        self._inbox.put([ConnectionEvent(connection.transport, skipped, True, problem)])


def _stream(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the SCTP stream of a message (RFC 6458 5.3.5)."""
    for level, kind, data in ancillary:
        if level == SCTP and kind == _SCTP_RCVINFO:
            return int(_STREAM.unpack_from(data)[0])
    return 0

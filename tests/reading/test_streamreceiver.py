# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of TCP and TLS connections: several, slow, broken and foreign ones, and limits."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.reading import streamreceiver
from scapy_ipfix.reading.inbox import Arrival, ConnectionEvent, Inbox, Item
from scapy_ipfix.reading.listeningsockets import SCTP, bind_socket
from scapy_ipfix.reading.streamreceiver import StreamReceiver
from tests.builders import raw_message, raw_set
from tests.certificates import client_context, make_certificate, server_context

DEADLINE = 30.0
MESSAGES = [raw_message(raw_set(256, bytes(8)), sequence=number) for number in range(200)]

Opened = Callable[..., StreamReceiver]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def opened(inbox: Inbox) -> Iterator[Opened]:
    """Return a function that opens a receiver, which is closed after the test."""
    receivers = []

    def open_receiver(
        tls: ssl.SSLContext | None = None, max_connections: int = 8
    ) -> StreamReceiver:
        receiver = StreamReceiver(
            bind_socket("127.0.0.1", 0, "tcp"), inbox, "tcp", tls, max_connections
        )
        receivers.append(receiver)
        return receiver

    yield open_receiver
    for receiver in receivers:
        receiver.close()
        assert not receiver.is_open


def connect(receiver: StreamReceiver) -> socket.socket:
    return socket.create_connection(("127.0.0.1", receiver.port), DEADLINE)


def items_until(inbox: Inbox, done: Callable[[list[Item]], bool]) -> list[Item]:
    """Return the items of an inbox once they are what is expected, or those at the deadline."""
    found: list[Item] = []
    end = time.monotonic() + DEADLINE
    while not done(found) and time.monotonic() < end:
        found += inbox.get(0.1)
    return found


def ends(items: list[Item]) -> list[ConnectionEvent]:
    return [item for item in items if isinstance(item, ConnectionEvent) and item.is_end]


def messages(items: list[Item]) -> list[bytes]:
    return [item.octets for item in items if isinstance(item, Arrival)]


@pytest.mark.parametrize("piece", [1, 7, 33, 100_000])
def test_messages_in_pieces(piece: int, inbox: Inbox, opened: Opened) -> None:
    receiver = opened()
    stream = b"".join(MESSAGES)
    with connect(receiver) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(stream), piece):
            peer.sendall(stream[start : start + piece])
        port = peer.getsockname()[1]
    items = items_until(inbox, ends)
    assert messages(items) == MESSAGES
    assert ends(items) == [
        ConnectionEvent(TransportKey("tcp", "127.0.0.1", port, "127.0.0.1", receiver.port), 0, True)
    ]
    assert (receiver.messages, receiver.octets) == (200, len(stream))
    assert receiver.connections == 0


def test_connections_at_the_same_time(inbox: Inbox, opened: Opened) -> None:
    receiver = opened()
    peers = [connect(receiver) for _ in range(5)]
    for message in MESSAGES:
        for peer in peers:
            peer.sendall(message)
    for peer in peers:
        peer.close()
    items = items_until(inbox, lambda found: len(ends(found)) == 5)
    by_transport: dict[TransportKey, list[bytes]] = {}
    for item in items:
        if isinstance(item, Arrival):
            by_transport.setdefault(item.transport, []).append(item.octets)
    assert list(by_transport.values()) == [MESSAGES] * 5


def test_a_connection_that_breaks_off(inbox: Inbox, opened: Opened) -> None:
    receiver = opened()
    with connect(receiver) as peer:
        peer.sendall(MESSAGES[0] + MESSAGES[1][:20])
    items = items_until(inbox, ends)
    assert messages(items) == [MESSAGES[0]]
    assert ends(items)[0].problem == "20 octets of an incomplete message"


def test_a_connection_that_is_reset(inbox: Inbox, opened: Opened) -> None:
    receiver = opened()
    peer = connect(receiver)
    peer.sendall(MESSAGES[0])
    items_until(inbox, messages)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert "reset" in ends(items_until(inbox, ends))[0].problem


def test_other_protocols_are_skipped(inbox: Inbox, opened: Opened) -> None:
    receiver = opened()
    request = b"GET / HTTP/1.1\r\nHost: collector\r\n\r\n"
    with connect(receiver) as peer:
        peer.sendall(request + MESSAGES[0])
    items = items_until(inbox, ends)
    assert messages(items) == [MESSAGES[0]]
    assert sum(item.skipped for item in items if isinstance(item, ConnectionEvent)) == len(request)


def test_a_silent_connection_holds_up_no_other(inbox: Inbox, opened: Opened) -> None:
    receiver = opened()
    with connect(receiver) as silent, connect(receiver) as slow, connect(receiver) as peer:
        slow.sendall(MESSAGES[0][:10])
        peer.sendall(MESSAGES[1])
        assert messages(items_until(inbox, messages)) == [MESSAGES[1]]
        slow.sendall(MESSAGES[0][10:])
        assert messages(items_until(inbox, messages)) == [MESSAGES[0]]
        silent.sendall(MESSAGES[2])
        assert messages(items_until(inbox, messages)) == [MESSAGES[2]]


def test_the_limit_of_connections(inbox: Inbox, opened: Opened) -> None:
    receiver = opened(max_connections=2)
    with connect(receiver) as one, connect(receiver) as two:
        for peer in (one, two):
            peer.sendall(MESSAGES[0])
        items_until(inbox, lambda found: len(messages(found)) == 2)
        with connect(receiver) as third:
            third.settimeout(DEADLINE)
            assert third.recv(1) == b""
        assert receiver.refused == 1
        assert receiver.connections == 2
    items_until(inbox, lambda found: len(ends(found)) == 2)
    with connect(receiver) as peer:
        peer.sendall(MESSAGES[3])
        assert messages(items_until(inbox, messages)) == [MESSAGES[3]]


def test_close_ends_open_connections(inbox: Inbox, opened: Opened) -> None:
    receiver = opened()
    with connect(receiver) as peer:
        peer.sendall(MESSAGES[0])
        items = items_until(inbox, messages)
        peer.sendall(b"".join(MESSAGES[1:]))
        receiver.close()
        items += items_until(inbox, ends)
    assert messages(items) == MESSAGES
    assert len(ends(items)) == 1


def test_peers_wait_while_the_inbox_is_full() -> None:
    inbox = Inbox(1000)
    receiver = StreamReceiver(bind_socket("127.0.0.1", 0, "tcp"), inbox)
    large = raw_message(raw_set(256, bytes(60_000)))
    try:
        with connect(receiver) as peer:
            peer.settimeout(0.5)
            with pytest.raises(TimeoutError):
                peer.sendall(large * 1000)
            assert receiver.octets < 10 * len(large)
    finally:
        receiver.close()


def test_tls(inbox: Inbox, opened: Opened, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "collector")
    receiver = opened(server_context(certificate, key))
    context = client_context(certificate)
    # Records of the longest size, which hold parts of several messages.
    stream = b"".join(MESSAGES) * 20
    with context.wrap_socket(connect(receiver), server_hostname="collector") as peer:
        peer.sendall(stream)
    items = items_until(inbox, ends)
    assert messages(items) == MESSAGES * 20
    assert ends(items)[0].problem == ""


def test_an_exporter_without_a_certificate(inbox: Inbox, opened: Opened, tmp_path: Path) -> None:
    """RFC 7011 11.1 asks for both sides to be authenticated."""
    certificate, key = make_certificate(tmp_path, "collector")
    exporter = make_certificate(tmp_path, "exporter")
    receiver = opened(server_context(certificate, key, exporter[0]))
    with connect(receiver) as raw:
        peer = client_context(certificate).wrap_socket(raw, server_hostname="collector")
        # In TLS 1.3 the exporter hears of the refusal only after its handshake.
        with pytest.raises(OSError, match="."):
            peer.sendall(MESSAGES[0] * 1_000_000)
        peer.close()
    items = items_until(inbox, ends)
    assert messages(items) == []
    assert "certificate" in ends(items)[0].problem.lower()
    context = client_context(certificate, *exporter)
    with context.wrap_socket(connect(receiver), server_hostname="collector") as peer:
        peer.sendall(MESSAGES[0])
    assert messages(items_until(inbox, ends)) == [MESSAGES[0]]


def test_plain_tcp_to_a_tls_port(inbox: Inbox, opened: Opened, tmp_path: Path) -> None:
    receiver = opened(server_context(*make_certificate(tmp_path, "collector")))
    with connect(receiver) as peer:
        peer.sendall(MESSAGES[0])
        items = items_until(inbox, ends)
    assert messages(items) == []
    assert "SSL" in ends(items)[0].problem


def test_a_handshake_that_takes_too_long(
    inbox: Inbox, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streamreceiver, "HANDSHAKE_TIMEOUT", 0.0)
    receiver = opened(server_context(*make_certificate(tmp_path, "collector")))
    with connect(receiver):
        assert ends(items_until(inbox, ends))[0].problem == "no TLS handshake within 0 s"


def test_the_stream_of_an_sctp_message() -> None:
    # struct sctp_rcvinfo begins with the number of the stream.
    info = struct.pack("@HHHHIIIII", 7, 1, 0, 0, 0, 0, 0, 0, 0)
    assert streamreceiver._stream([(SCTP, 3, info)]) == 7
    assert streamreceiver._stream([]) == 0

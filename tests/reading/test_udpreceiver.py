# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams received in a thread: order, addresses, times, drops, a full inbox."""

import socket
import time
from collections.abc import Iterator

import pytest

from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.reading.inbox import Arrival, Inbox
from scapy_ipfix.reading.listeningsockets import bind_socket
from scapy_ipfix.reading.udpreceiver import UDPReceiver

DEADLINE = 30.0


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def receiver(inbox: Inbox) -> Iterator[UDPReceiver]:
    opened = UDPReceiver(bind_socket("::", 0), inbox)
    yield opened
    opened.close()


def arrivals(inbox: Inbox, count: int) -> list[Arrival]:
    """Return as many messages of an inbox as arrive before the deadline, ``count`` at least."""
    found: list[Arrival] = []
    end = time.monotonic() + DEADLINE
    while len(found) < count and time.monotonic() < end:
        found += [item for item in inbox.get(0.1) if isinstance(item, Arrival)]
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "127.0.0.2"])
def test_datagrams(host: str, inbox: Inbox, receiver: UDPReceiver) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    before = time.time()
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        try:
            sender.connect((host, receiver.port))
        except OSError:
            pytest.skip(f"no {host} here")
        source, port = sender.getsockname()[:2]
        for number in range(300):
            sender.send(b"%d" % number)
        found = arrivals(inbox, 300)
    assert [each.octets for each in found] == [b"%d" % number for number in range(300)]
    key = TransportKey("udp", source, port, host, receiver.port)
    assert {each.transport for each in found} == {key}
    assert found[0].transport is found[-1].transport
    assert all(before - 1 <= each.time <= time.time() for each in found)
    assert (receiver.messages, receiver.octets) == (300, sum(len(each.octets) for each in found))


def test_two_senders_are_two_transport_sessions(inbox: Inbox, receiver: UDPReceiver) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        for sender in (one, two, one):
            sender.sendto(b"x", ("127.0.0.1", receiver.port))
        ports = [int(sender.getsockname()[1]) for sender in (one, two, one)]
    assert [each.transport.source_port for each in arrivals(inbox, 3)] == ports


def test_what_has_arrived_at_close_is_not_lost() -> None:
    inbox = Inbox(1)
    receiver = UDPReceiver(bind_socket("127.0.0.1", 0), inbox)
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        for _ in range(50):
            sender.sendto(bytes(100), ("127.0.0.1", receiver.port))
    receiver.close()
    assert not receiver.is_open
    assert len(arrivals(inbox, 50)) == 50
    assert receiver.dropped == 0


def test_datagrams_stay_in_the_system_while_the_inbox_is_full() -> None:
    inbox = Inbox(1)
    receiver = UDPReceiver(bind_socket("127.0.0.1", 0), inbox, 4096)
    try:
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", receiver.port))
            sender.send(b"first")
            while inbox.is_empty:
                time.sleep(0.001)
            while not receiver.dropped:
                sender.send(bytes(1000))
    finally:
        receiver.close()
    drops = receiver.dropped
    assert drops > 0
    assert receiver.dropped == drops  # known after the socket is gone
    assert receiver.buffer_requested == 4096


def test_an_empty_datagram(inbox: Inbox, receiver: UDPReceiver) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.sendto(b"", ("127.0.0.1", receiver.port))
        sender.sendto(b"x", ("127.0.0.1", receiver.port))
    assert [each.octets for each in arrivals(inbox, 2)] == [b"", b"x"]

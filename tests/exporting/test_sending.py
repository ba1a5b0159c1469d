# SPDX-License-Identifier: GPL-2.0-or-later
"""Senders of messages to collectors on loopback, and the pace of messages."""

import itertools
import os
import socket
import threading
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from scapy.interfaces import NetworkInterface
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.exporting.sending import ForgedSender, Pace, Sender, Sent, deliver
from scapy_ipfix.layers.messages import IPFIX
from scapy_ipfix.reading.reader import iter_records
from scapy_ipfix.wire.stream import MessageStream
from scapy_ipfix.wire.template import Template

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount")
ROWS = [("192.0.2.1", number) for number in range(200)]
LOCAL = "127.0.0.1"


class UDPCollector:
    """UDP socket on loopback."""

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind((LOCAL if family == socket.AF_INET else "::1", 0))
        self.socket.settimeout(10)
        self.to: tuple[str, int] = self.socket.getsockname()[:2]

    def take(self, count: int) -> tuple[list[bytes], list[Any]]:
        """Return the next ``count`` messages and their source addresses."""
        got = [self.socket.recvfrom(65536) for _ in range(count)]
        return [octets for octets, _ in got], [source for _, source in got]


class StreamCollector:
    """Listening socket that reads one connection after the other to its end."""

    def __init__(self, kind: int = socket.IPPROTO_TCP) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, kind)
        self.socket.bind((LOCAL, 0))
        self.socket.listen()
        self.socket.settimeout(10)
        self.to: tuple[str, int] = self.socket.getsockname()
        self.connections: list[list[bytes]] = []

    def serve(self, connections: int) -> threading.Thread:
        thread = threading.Thread(target=self._serve, args=(connections,), daemon=True)
        thread.start()
        return thread

    def _serve(self, connections: int) -> None:
        for _ in range(connections):
            connection, _ = self.socket.accept()
            connection.settimeout(10)
            splitter = MessageStream()
            messages: list[bytes] = []
            with connection:
                while octets := connection.recv(65536):
                    messages += splitter.feed(octets)
            self.connections.append(messages)


@pytest.fixture
def udp() -> Iterator[UDPCollector]:
    collector = UDPCollector()
    with collector.socket:
        yield collector


@pytest.fixture
def tcp() -> Iterator[StreamCollector]:
    collector = StreamCollector()
    with collector.socket:
        yield collector


def closed_port(kind: int) -> int:
    """Return a port on which nothing listens."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((LOCAL, 0))
        port: int = probe.getsockname()[1]
    return port


# -- UDP


def test_udp(udp: UDPCollector) -> None:
    with Exporter(mtu=576) as exporter:
        sent = exporter.send(FLOW, ROWS, to=udp.to)
    octets, sources = udp.take(sent.messages)
    assert sent.octets == sum(map(len, octets))
    assert sent.refused == 0
    assert len(set(sources)) == 1
    assert [each["octetDeltaCount"] for each in iter_records(octets)] == list(range(200))


def test_udp_over_ipv6() -> None:
    try:
        collector = UDPCollector(socket.AF_INET6)
    except OSError as problem:
        pytest.skip(f"no IPv6 on loopback: {problem}")
    with collector.socket, Exporter() as exporter:
        sent = exporter.send(FLOW, ROWS[:3], to=collector.to)
        octets, _ = collector.take(sent.messages)
    assert len(list(iter_records(octets))) == 3


def test_second_call_continues_the_transport_session(udp: UDPCollector) -> None:
    with Exporter() as exporter:
        first = exporter.send(FLOW, ROWS[:2], to=udp.to)
        second = exporter.send(FLOW, ROWS[:2], to=udp.to)
        octets, sources = udp.take(first.messages + second.messages)
        assert len(set(sources)) == 1
        assert [IPFIX(each).sequenceNumber for each in octets] == [0, 2]
        assert [len(IPFIX(each).sets) for each in octets] == [2, 1]


def test_other_collector_is_another_transport_session(udp: UDPCollector) -> None:
    other = UDPCollector()
    with other.socket, Exporter() as exporter:
        for collector in (udp, other, udp):
            exporter.send(FLOW, ROWS[:2], to=collector.to)
            octets, _ = collector.take(1)
            message = IPFIX(octets[0])
            assert message.sequenceNumber == 0
            assert [each.setId for each in message.sets] == [2, 256]


def test_source_address(udp: UDPCollector) -> None:
    with Exporter() as exporter:
        exporter.send(FLOW, ROWS[:2], to=udp.to, source=("127.0.0.9", 0))
        _, sources = udp.take(1)
    assert sources[0][0] == "127.0.0.9"


def test_messages_of_other_methods(udp: UDPCollector) -> None:
    other = Template(300, "octetDeltaCount")
    with Exporter() as exporter:
        announced = exporter.announce(FLOW, other)
        exporter.send_messages(announced, to=udp.to)
        exporter.send_messages(exporter.export_mixed([(FLOW, ROWS[0]), (other, (1,))]), to=udp.to)
        exporter.send_messages(exporter.withdraw(FLOW), to=udp.to)
        octets, sources = udp.take(3)
    assert octets[0] == bytes(announced[0])
    assert len(set(sources)) == 1
    assert len(list(iter_records(octets[:2]))) == 2
    assert octets[2].endswith(bytes.fromhex("0002 0008 0100 0000"))


def test_messages_made_before_the_first_connection_keep_their_numbers(udp: UDPCollector) -> None:
    with Exporter() as exporter:
        exporter.send_messages(list(exporter.export(FLOW, ROWS[:2])), to=udp.to)
        exporter.send_messages(exporter.export(FLOW, ROWS[:2]), to=udp.to)
        octets, _ = udp.take(2)
    assert [IPFIX(each).sequenceNumber for each in octets] == [0, 2]


def test_refused_messages() -> None:
    to = (LOCAL, closed_port(socket.SOCK_DGRAM))
    with Sender(to) as sender:
        sent = deliver([b"\0\x0a"] * 50, sender, Pace(2000))
    assert sent.messages == 50
    assert 0 < sent.refused <= 50


def test_network_is_down(udp: UDPCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    class Down:
        def send(self, octets: bytes) -> None:
            raise OSError(100, "Network is down")

        def close(self) -> None: ...

    with Sender(udp.to) as sender:
        sender.close()
        monkeypatch.setattr(sender, "_socket", Down())
        with pytest.raises(OSError, match=rf"udp 127.0.0.1:{udp.to[1]}: Network is down"):
            sender.send(b"\0\x0a")


def test_message_too_long_for_a_datagram(udp: UDPCollector) -> None:
    rows = [("192.0.2.1", 1)] * 6000
    with Exporter(mtu=None) as exporter, pytest.raises(ValueError, match=r"65\d\d\d octets is too"):
        exporter.send(FLOW, rows, to=udp.to)


# -- TCP


def test_tcp(tcp: StreamCollector) -> None:
    thread = tcp.serve(2)
    exporter = Exporter(mtu=None)
    sent = exporter.send(FLOW, ROWS, to=tcp.to, proto="tcp")
    exporter.send(FLOW, ROWS[:2], to=tcp.to, proto="tcp")
    exporter.close()
    # the next call begins a new Transport Session with templates and sequence numbers
    exporter.send(FLOW, ROWS[:2], to=tcp.to, proto="tcp")
    exporter.close()
    exporter.close()
    thread.join(10)
    assert [len(each) for each in tcp.connections] == [sent.messages + 1, 1]
    counts = [each["octetDeltaCount"] for each in iter_records(tcp.connections[0])]
    assert counts == [*range(200), 0, 1]
    assert IPFIX(tcp.connections[1][0]).sequenceNumber == 0
    assert len(list(iter_records(tcp.connections[1]))) == 2


def test_connection_refused() -> None:
    to = (LOCAL, closed_port(socket.SOCK_STREAM))
    with pytest.raises(ConnectionRefusedError, match=rf"tcp 127.0.0.1:{to[1]}: Connection refused"):
        Exporter().send(FLOW, ROWS, to=to, proto="tcp")


def test_connection_reset(tcp: StreamCollector) -> None:
    gone = threading.Event()

    def hang_up() -> None:
        connection, _ = tcp.socket.accept()
        with connection:
            connection.settimeout(10)
            connection.recv(65536)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.set()

    thread = threading.Thread(target=hang_up, daemon=True)
    thread.start()

    def rows() -> Iterator[tuple[str, int]]:
        yield from ROWS[:9]
        assert gone.wait(10)
        yield from ROWS * 1000

    with Exporter(mtu=120) as exporter:
        with pytest.raises(OSError, match=rf"^\[Errno \d+\] tcp 127.0.0.1:{tcp.to[1]}: "):
            exporter.send(FLOW, rows(), to=tcp.to, proto="tcp")
        thread.join(10)
        # the next call connects again and announces the templates again
        again = tcp.serve(1)
        exporter.send(FLOW, ROWS[:3], to=tcp.to, proto="tcp")
    again.join(10)
    assert len(list(iter_records(tcp.connections[0]))) == 3


def test_v9_over_tcp(tcp: StreamCollector) -> None:
    thread = tcp.serve(1)
    with Exporter(version=9) as exporter, pytest.raises(ValueError, match="v9 does not go over"):
        exporter.send(FLOW, ROWS, to=tcp.to, proto="tcp")
    thread.join(10)
    assert tcp.connections == [[]]


# -- SCTP


def sctp_collector() -> StreamCollector | None:
    try:
        return StreamCollector(socket.IPPROTO_SCTP)
    except OSError:
        return None


def test_sctp() -> None:
    collector = sctp_collector()
    if collector is None:
        pytest.skip("this kernel has no SCTP")
    with collector.socket:
        thread = collector.serve(1)
        with Exporter() as exporter:
            exporter.send(FLOW, ROWS, to=collector.to, proto="sctp")
        thread.join(10)
    counts = [each["octetDeltaCount"] for each in iter_records(collector.connections[0])]
    assert counts == list(range(200))


def test_no_sctp(monkeypatch: pytest.MonkeyPatch) -> None:
    made = socket.socket

    def without_sctp(family: int, kind: int, number: int) -> socket.socket:
        if number == socket.IPPROTO_SCTP:
            raise OSError(93, "Protocol not supported")
        return made(family, kind, number)

    monkeypatch.setattr(socket, "socket", without_sctp)
    with pytest.raises(OSError, match=r"sctp 127.0.0.1:4739: this system has no SCTP"):
        Exporter().send(FLOW, ROWS, to=(LOCAL, 4739), proto="sctp")


# -- forged


@pytest.mark.skipif(os.geteuid() != 0, reason="forged sources need root")
@pytest.mark.parametrize("source", ["198.51.100.7", "2001:db8::7"])
def test_forged_sources(source: str) -> None:
    is_ipv6 = ":" in source
    try:
        collector = UDPCollector(socket.AF_INET6 if is_ipv6 else socket.AF_INET)
    except OSError as problem:
        pytest.skip(f"no such loopback: {problem}")
    host, port = collector.to
    headers = (IPv6 if is_ipv6 else IP)(src=source, dst=host) / UDP(sport=4000, dport=port)
    with collector.socket, Exporter(mtu=200) as exporter:
        try:
            sent = exporter.send(FLOW, ROWS[:20], to=headers)
        except PermissionError as problem:
            pytest.skip(f"no raw sockets here: {problem}")
        octets, sources = collector.take(sent.messages)
    assert {each[:2] for each in sources} == {(source, 4000)}
    assert [each["octetDeltaCount"] for each in iter_records(octets)] == list(range(20))


def test_forging_without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(NetworkInterface, "l3socket", lambda interface, ipv6: refuse)
    with pytest.raises(PermissionError, match="are for root"):
        Exporter().send(FLOW, ROWS, to=IP(dst=LOCAL) / UDP())


def test_headers_are_packets() -> None:
    with pytest.raises(ValueError, match="headers are packets"):
        ForgedSender("198.51.100.7")


# -- arguments


@pytest.mark.parametrize(
    ("to", "options", "why"),
    [
        ("127.0.0.1:4739", {}, "to is .host, port., not '127.0.0.1:4739'"),
        (("127.0.0.1", 0), {}, "to: port 0 is not in 1..65535"),
        (("127.0.0.1", "4739"), {}, "to: port '4739'"),
        ((1, 2), {}, "to is .host, port."),
        (("127.0.0.1", 4739), {"proto": "dccp"}, "proto is 'udp', 'tcp', 'sctp', not 'dccp'"),
        (("127.0.0.1", 4739), {"source": ("127.0.0.1", 65536)}, "source: port 65536"),
        (("127.0.0.1", 4739), {"rate": 0}, "rate 0 is not"),
        (("127.0.0.1", 4739), {"jitter": 1.5}, "jitter 1.5 is not in 0.0..1.0"),
    ],
)
def test_invalid_arguments(to: Any, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Exporter().send(FLOW, ROWS, to=to, **options)


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*arguments: Any, **options: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    with pytest.raises(OSError, match=r"^udp collector.invalid:4739: Name or service not known$"):
        Sender(("collector.invalid", 4739))


def test_repr() -> None:
    with Sender(("127.0.0.1", 4739)) as sender:
        assert repr(sender) == "<Sender udp 127.0.0.1:4739>"
    assert str(Sent(5, 600, 0, 2.0)) == "5 messages, 600 octets in 2.0 s"
    assert str(Sent(5, 600, 1, 2.0)).endswith(", 1 refused")
    assert Sent(5, 600, 0, 2.0).rate == 2.5
    assert Sent().rate == 0.0


# -- pace


class Clock:
    """Clock that advances only by sleep()."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def pace(self, *arguments: Any, **options: Any) -> Pace:
        return Pace(*arguments, clock=lambda: self.now, sleep=self.sleep, **options)


def times(clock: Clock, pace: Pace, count: int, work: Callable[[int], float]) -> list[float]:
    """Return the times of messages, each of which takes ``work`` seconds to make."""
    went = []
    for number in range(count):
        pace.wait()
        went.append(clock.now - 1000.0)
        clock.now += work(number)
    return went


def test_rate() -> None:
    clock = Clock()
    went = times(clock, clock.pace(10), 5, lambda number: 0.03)
    assert went == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_only_short_delays_are_made_up_for() -> None:
    clock = Clock()
    went = times(clock, clock.pace(10), 6, lambda number: {0: 0.25, 3: 60.0}.get(number, 0.0))
    assert went == pytest.approx([0.0, 0.25, 0.25, 0.3, 60.3, 60.4])


def test_high_rates_need_no_sleep_for_each_message() -> None:
    clock = Clock()
    went = times(clock, clock.pace(10_000), 1001, lambda number: 0.00002)
    assert went[-1] == pytest.approx(0.1, abs=0.002)
    assert 0 < len(clock.slept) < 200


def test_no_rate() -> None:
    clock = Clock()
    assert times(clock, clock.pace(), 5, lambda number: 0.0) == [0.0] * 5
    assert clock.slept == []


def test_jitter_keeps_the_average() -> None:
    clock = Clock()
    went = times(clock, clock.pace(10, 1.0, random=Random(1)), 2001, lambda number: 0.0)
    gaps = [later - earlier for earlier, later in itertools.pairwise(went)]
    assert min(gaps) < 0.02
    assert max(gaps) > 0.18
    assert went[-1] == pytest.approx(200, rel=0.05)
    assert all(-0.0001 <= gap <= 0.2021 for gap in gaps)


def test_gaps_given() -> None:
    clock = Clock()
    pace = clock.pace()
    went = []
    for gap in (5.0, 0.5, 0.0, -3.0, 2.0):
        pace.wait(gap)
        went.append(clock.now - 1000.0)
    # the first is due at once, and a negative gap is none
    assert went == pytest.approx([0.0, 0.5, 0.5, 0.5, 2.5])


def test_messages_are_made_when_they_are_due() -> None:
    clock = Clock()
    sent: list[bytes] = []

    class Nowhere:
        refused = 0

        def send(self, octets: bytes) -> None:
            sent.append(octets)

        def close(self) -> None: ...

    exporter = Exporter(mtu=120, clock=lambda: clock.now)
    deliver(exporter.export(FLOW, ROWS[:20]), Nowhere(), clock.pace(0.1))
    assert [IPFIX(each).exportTime for each in sent] == [1000 + 10 * n for n in range(len(sent))]
    assert len(sent) > 3

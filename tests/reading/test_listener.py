# SPDX-License-Identifier: GPL-2.0-or-later
"""Records, messages and packets from sockets, end to end on the loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.sctp import SCTP, SCTPChunkData

from scapy_ipfix import IPFIX, Exporter, IPFIXSession, NetFlowV9, Template, listen
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.reading.filters import FilterError
from scapy_ipfix.reading.inbox import Arrival
from scapy_ipfix.reading.listener import Listener, _read_packet
from scapy_ipfix.reading.listeningsockets import SCTP as SCTP_NUMBER
from tests.builders import raw_message, raw_set
from tests.certificates import client_context, make_certificate, server_context

DEADLINE = 60.0
FLOW = Template(256, "sourceIPv4Address", "destinationTransportPort", "octetDeltaCount[4]")
ROWS = [("192.0.2.1", 443 if number % 2 else 53, number) for number in range(500)]
RECORDS = [dict(zip(FLOW.names, row)) for row in ROWS]


def messages(rows: Iterable[Any] = ROWS, domain: int = 1, **arguments: Any) -> list[bytes]:
    exporter = Exporter(domain=domain, mtu=1400, **arguments)
    return [bytes(each) for each in exporter.export(FLOW, rows)]


def within_deadline(done: Callable[[], bool]) -> bool:
    end = time.monotonic() + DEADLINE
    while not done() and time.monotonic() < end:
        time.sleep(0.01)
    return done()


def send(listener: Listener, octets: Iterable[bytes], host: str = "127.0.0.1") -> int:
    """Send datagrams from a socket of their own; return its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.connect((host, listener.ports[0]))
        for each in octets:
            sender.send(each)
        return int(sender.getsockname()[1])


@pytest.fixture
def opened() -> Iterator[Callable[..., Listener]]:
    """Return ``listen`` on a port that the system chooses, closed after the test or a deadline."""
    listeners = []

    def open_listener(*arguments: Any, **options: Any) -> Listener:
        options.setdefault("timeout", DEADLINE)
        listeners.append(listen(*(arguments or (0,)), **options))
        return listeners[-1]

    yield open_listener
    for listener in listeners:
        listener.close()


Opened = Callable[..., Listener]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", [9, 10])
def test_udp(host: str, version: int, opened: Opened) -> None:
    listener = opened(count=500)
    send(listener, messages(version=version), host)
    assert list(listener) == RECORDS
    assert not listener.is_open
    stats = listener.stats
    assert (stats.records, stats.dropped, stats.lost_records, stats.lost_messages) == (500, 0, 0, 0)
    assert stats.octets == sum(map(len, messages(version=version)))
    assert listener.session.diagnostics.counts.total() == 0


def test_tcp(opened: Opened) -> None:
    listener = opened(proto="tcp", count=1000)
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", listener.ports[0])) as peer:
            peer.sendall(b"".join(messages()))
    assert sorted(map(str, listener)) == sorted(map(str, RECORDS * 2))
    # Templates of a connection end with it.
    assert listener.session.collector.diagnostics.counts.total() == 0
    assert len(listener.session.stats) == 2


def test_tls_with_certificates_on_both_sides(opened: Opened, tmp_path: Path) -> None:
    collector = make_certificate(tmp_path, "collector")
    exporter = make_certificate(tmp_path, "exporter")
    listener = opened(proto="tcp", tls=server_context(*collector, exporter[0]), count=500)
    context = client_context(collector[0], *exporter)
    raw = socket.create_connection(("127.0.0.1", listener.ports[0]))
    with context.wrap_socket(raw, server_hostname="collector") as peer:
        peer.sendall(b"".join(messages()))
    assert list(listener) == RECORDS


def test_templates_of_a_connection_end_with_it(opened: Opened) -> None:
    listener = opened(proto="tcp")
    first = messages()[0]
    with socket.create_connection(("127.0.0.1", listener.ports[0])) as peer:
        peer.sendall(first)
    next(listener)
    while listener.session.templates:
        assert listener._next_batch()
        list(listener._collect())


def test_several_ports_and_exporters(opened: Opened) -> None:
    listener = opened([0, 0], count=1000, fields=["octetDeltaCount"])
    assert len(set(listener.ports)) == 2
    for port, domain in zip(listener.ports, (1, 2)):
        with socket.socket(type=socket.SOCK_DGRAM) as sender:
            for octets in messages(domain=domain):
                sender.sendto(octets, ("127.0.0.1", port))
    assert sorted(listener) == sorted([(row[2],) for row in ROWS] * 2)
    ports = {each.transport.destination_port for each in listener.session.collector.domains}
    assert ports == set(listener.ports)


def test_data_before_its_template(opened: Opened) -> None:
    first, *rest = messages()
    listener = opened(count=500)
    send(listener, [*rest, first])
    assert len(list(listener)) == 500


def test_arguments_of_iter_records(opened: Opened) -> None:
    listener = opened(
        fields=["octetDeltaCount", "sourceIPv4Address"],
        values="python",
        where="destinationTransportPort = 443 and octetDeltaCount < 10",
        kind="data",
        count=5,
    )
    send(listener, messages())
    assert list(listener) == [(number, IPv4Address("192.0.2.1")) for number in (1, 3, 5, 7, 9)]


def test_a_filter_that_no_record_fits(opened: Opened) -> None:
    listener = opened(where="applicationName = 'x' or octetDeltaCount > 1000", timeout=0.5)
    send(listener, messages())
    assert list(listener) == []
    assert listener.stats.records == 500


def test_messages(opened: Opened) -> None:
    listener = opened(count=len(messages()))
    send(listener, messages())
    layers = list(listener.messages())
    assert all(type(layer) is IPFIX for layer in layers)
    assert [bytes(layer) for layer in layers] == messages()
    assert [record.octetDeltaCount for layer in layers for record in layer.records] == [
        row[2] for row in ROWS
    ]


@pytest.mark.parametrize(("host", "network"), [("127.0.0.1", IP), ("::1", IPv6)])
@pytest.mark.parametrize("version", [9, 10])
def test_packets(host: str, network: Any, version: int, opened: Opened) -> None:
    octets = messages(version=version)
    listener = opened(count=len(octets))
    port = send(listener, octets, host)
    packets = list(listener.packets())
    assert [bytes(packet.lastlayer()) for packet in packets] == octets
    for packet in packets:
        assert (packet[network].src, packet[network].dst) == (host, host)
        assert (packet[UDP].sport, packet[UDP].dport) == (port, listener.ports[0])
        assert abs(packet.time - time.time()) < DEADLINE
    layer = NetFlowV9 if version == 9 else IPFIX
    assert packets[-1][layer].records[-1].octetDeltaCount == 499
    again = network(bytes(packets[0]))
    assert again[UDP].len == 8 + len(octets[0])
    assert IPFIXSession().process(packets[0])[layer].records[0].octetDeltaCount == 0


def test_packets_of_connections(opened: Opened) -> None:
    listener = opened(proto="tcp", count=1)
    with socket.create_connection(("127.0.0.1", listener.ports[0])) as peer:
        port = peer.getsockname()[1]
        peer.sendall(messages()[0])
    (packet,) = listener.packets()
    assert (packet[TCP].sport, packet[TCP].dport) == (port, listener.ports[0])
    assert packet[IPFIX].records[0].octetDeltaCount == 0


def test_packets_of_associations() -> None:
    octets = messages()[0]
    key = TransportKey("sctp", "192.0.2.1", 5, "192.0.2.2", 4739)
    collected = IPFIXSession().collector.read(key, octets, 1.0, 1, 3)
    assert collected is not None
    (packet,) = _read_packet(Arrival(key, octets, 1.0, 3), collected)
    assert (packet[SCTP].sport, packet[SCTPChunkData].stream_id) == (5, 3)
    assert bytes(packet[SCTPChunkData].data) == octets


def test_an_iterator_continues_where_another_ended(opened: Opened) -> None:
    listener = opened()
    octets = messages()
    send(listener, octets)
    for packet in listener.packets():
        assert bytes(packet[IPFIX]) == octets[0]
        break
    for message in listener.messages():
        assert bytes(message) == octets[1]
        break
    record = next(listener)
    sequence = IPFIX(octets[2]).sequenceNumber
    assert record["octetDeltaCount"] == sequence
    for other in listener:
        assert other["octetDeltaCount"] == record["octetDeltaCount"] + 1
        break
    assert next(listener)["octetDeltaCount"] == record["octetDeltaCount"] + 2


def test_timeout(opened: Opened) -> None:
    listener = opened(timeout=0.2)
    assert list(listener) == []
    assert not listener.is_open
    assert list(listener) == []


def test_count_zero(opened: Opened) -> None:
    assert list(opened(count=0)) == []


def test_what_arrived_before_the_end_is_read(opened: Opened) -> None:
    listener = opened()
    send(listener, messages())
    listener.close()
    assert list(listener) == RECORDS


def test_close_in_another_thread(opened: Opened) -> None:
    listener = opened()
    threading.Timer(0.2, listener.close).start()
    assert list(listener) == []


def test_context_manager() -> None:
    with listen(0) as listener:
        assert listener.is_open
    assert not listener.is_open
    with pytest.raises(StopIteration):
        next(listener)


def test_interrupt_while_waiting(opened: Opened) -> None:
    listener = opened()
    send(listener, messages())
    for record in listener:
        if record == RECORDS[-1]:
            timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
    assert not listener.is_open
    assert listener.stats.records == 500


def test_async_for(opened: Opened) -> None:
    listener = opened(count=500)

    async def collect() -> tuple[list[Any], int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        other = asyncio.create_task(tick())
        asyncio.get_running_loop().call_later(0.2, send, listener, messages())
        found = [record async for record in listener]
        other.cancel()
        return found, ticks

    found, ticks = asyncio.run(collect())
    assert found == RECORDS
    assert ticks > 1
    assert not listener.is_open


def test_async_for_ends_with_close_and_timeout(opened: Opened) -> None:
    listener = opened(timeout=0.2)
    send(listener, messages())

    async def collect() -> list[Any]:
        return [record async for record in listener]

    assert asyncio.run(collect()) == RECORDS


def test_async_cancellation_loses_nothing(opened: Opened) -> None:
    listener = opened()

    async def wait() -> None:
        async for _ in listener:
            pass

    async def cancelled() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wait(), 0.2)

    asyncio.run(cancelled())
    send(listener, messages())
    listener.close()
    assert list(listener) == RECORDS


# -- losses


def test_everything_is_read_or_stated_as_lost(opened: Opened) -> None:
    """Overrun a small receive buffer; sequence numbers count each missing record."""
    rows = [("192.0.2.1", 80, number) for number in range(100_000)]
    exporter = Exporter(domain=1, mtu=1400)
    octets = [bytes(each) for each in exporter.export(FLOW, rows)]
    last = [bytes(each) for each in exporter.export(FLOW, rows[:1])]
    listener = opened(receive_buffer=4096)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(listener))
    thread.start()

    def has_all(count: int) -> bool:
        return listener.stats.messages + listener.stats.dropped == count

    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", listener.ports[0]))
        for each in octets:
            sender.send(each)
        assert within_deadline(lambda: has_all(len(octets)))
        # It shows what is missing before it.
        sender.send(*last)
        assert within_deadline(lambda: has_all(len(octets) + 1))
    listener.close()
    thread.join()
    stats = listener.stats
    assert stats.dropped > 0
    assert stats.records == len(found)
    assert stats.records + stats.lost_records == len(rows) + 1
    assert listener.session.diagnostics.counts["datagrams-dropped"] >= 1
    assert f"{stats.dropped} datagrams dropped by the system" in str(stats)


def test_the_text_of_stats(opened: Opened) -> None:
    octets = messages()
    listener = opened(timeout=0.3, receive_buffer=1 << 20)
    send(listener, [octets[0], *octets[2:], b"GET /", bytes(48)])
    list(listener)
    stats = listener.stats
    assert stats.ignored == 2
    assert stats.lost_records == 500 - stats.records > 0
    assert f"lost by sequence numbers: {stats.lost_records} records" in str(stats)
    assert "2 messages of another protocol" in str(stats)
    assert stats.buffer_requested == 1 << 20
    assert 0 < stats.buffer_granted <= 1 << 20
    assert repr(listener).startswith(f"<Listener at udp port {listener.ports[0]}, closed: ")


def test_broken_connections_are_diagnostics(opened: Opened) -> None:
    listener = opened(proto="tcp")
    with socket.create_connection(("127.0.0.1", listener.ports[0])) as peer:
        peer.sendall(b"HTTP" + messages()[0] + messages()[1][:30])
    while "connection-broken" not in listener.session.diagnostics.counts:
        assert listener._next_batch()
        list(listener._collect())
    assert listener.session.diagnostics.counts == {"stream-resync": 1, "connection-broken": 1}


def test_tables_while_it_listens(opened: Opened) -> None:
    listener = opened(count=500)
    thread = threading.Thread(target=lambda: list(listener))
    thread.start()
    send(listener, messages())
    while thread.is_alive():
        str(listener.stats), str(listener.session.stats), str(listener.session.templates)
    thread.join()
    assert listener.stats.records == 500


# -- wrong arguments


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"port": -1}, ValueError, "port -1 is not in 0..65535"),
        ({"port": ()}, ValueError, "not an empty list"),
        ({"port": [0, "x"]}, ValueError, "port 'x' is not in"),
        ({"proto": "dccp"}, ValueError, "proto is 'udp', 'tcp', 'sctp', not 'dccp'"),
        ({"tls": True}, TypeError, "tls is an ssl.SSLContext, not bool"),
        (
            {"tls": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)},
            ValueError,
            "DTLS over udp is not supported",
        ),
        (
            {"tls": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "proto": "tcp"},
            ValueError,
            "a client's context",
        ),
        ({"kind": "flows"}, ValueError, "kind is 'all', 'data' or 'options'"),
        ({"values": "x"}, ValueError, "values is one of"),
        ({"fields": ["x"]}, ValueError, "'x'"),
        ({"where": "dst prot 443"}, FilterError, "column"),
        ({"count": -1}, ValueError, "count -1 is negative"),
        ({"host": "192.0.2.77"}, OSError, "cannot listen at udp port 0 of 192.0.2.77"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        listen(**{"port": 0, **arguments})


def test_no_thread_is_left_when_a_port_is_in_use() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        before = threading.active_count()
        with pytest.raises(OSError, match="cannot listen"):
            listen([0, taken.getsockname()[1]], "127.0.0.1")
        assert threading.active_count() == before


def test_sctp_is_supported_or_stated_as_missing() -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP_NUMBER).close()
    except OSError:
        with pytest.raises(OSError, match="this system has no SCTP"):
            listen(0, "127.0.0.1", "sctp")
    else:
        assert list(listen(0, "127.0.0.1", "sctp", timeout=0.1)) == []


def test_records_of_an_unknown_template(opened: Opened) -> None:
    listener = opened(timeout=0.2)
    send(listener, [raw_message(raw_set(256, bytes(8)), exported=int(time.time()))])
    assert list(listener) == []
    assert listener.stats.messages == 1
    assert listener.session.diagnostics.counts == {"missing-template": 1}

# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets to receive at: families, errors, buffers, drops."""

import socket
from pathlib import Path

import pytest

from scapy_ipfix.reading.listeningsockets import (
    bind_socket,
    dropped_datagrams,
    drops_in_proc,
    plain_address,
    set_receive_buffer,
)


def port_of(opened: socket.socket) -> int:
    return int(opened.getsockname()[1])


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_both_families(protocol: str) -> None:
    with bind_socket("::", 0, protocol) as opened:
        if protocol == "tcp":
            opened.listen()
        elif opened.family != socket.AF_INET6:
            pytest.skip("no IPv6 here")
        for host in ("127.0.0.1", "::1"):
            kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.socket(family, kind) as peer:
                peer.connect((host, port_of(opened)))


def test_an_address_of_ipv6_leaves_the_port_of_ipv4() -> None:
    try:
        opened = bind_socket("::1", 0)
    except OSError:
        pytest.skip("no ::1 here")
    with opened, bind_socket("127.0.0.1", port_of(opened)) as other:
        assert port_of(other) == port_of(opened)


def test_a_port_in_use() -> None:
    with bind_socket("127.0.0.1", 0) as opened:
        port = port_of(opened)
        with pytest.raises(OSError, match=f"cannot listen at udp port {port} of 127.0.0.1: "):
            bind_socket("127.0.0.1", port)


def test_a_shared_port() -> None:
    with bind_socket("127.0.0.1", 0, reuse_port=True) as opened:
        bind_socket("127.0.0.1", port_of(opened), reuse_port=True).close()


def test_an_unknown_host() -> None:
    with pytest.raises(OSError, match="cannot listen at udp port 4739 of no host"):
        bind_socket("no host", 4739)


def test_the_buffer_granted_is_what_the_system_has() -> None:
    with bind_socket("127.0.0.1", 0) as opened:
        granted = set_receive_buffer(opened, 100_000)
        assert granted * 2 == opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


@pytest.mark.skipif(not Path("/proc/net/udp").exists(), reason="not Linux")
def test_drops() -> None:
    with bind_socket("127.0.0.1", 0) as opened, socket.socket(type=socket.SOCK_DGRAM) as sender:
        set_receive_buffer(opened, 4096)
        assert dropped_datagrams(opened) == 0
        sender.connect(opened.getsockname())
        for _ in range(100):
            sender.send(bytes(1000))
        dropped = dropped_datagrams(opened)
        opened.setblocking(False)
        received = 0
        while received < 100:
            try:
                opened.recv(2000)
            except BlockingIOError:
                break
            received += 1
        assert received < 100
        assert dropped == drops_in_proc(port_of(opened)) == 100 - received


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:db8::ffff:1", "2001:db8::ffff:1"),
        ("::ffff:1:2", "::ffff:1:2"),
    ],
)
def test_plain_addresses(address: str, plain: str) -> None:
    assert plain_address(address) == plain

#!/usr/bin/env python3
"""Traffic for the captures in this directory, and listeners for the exporters.

capture.sh runs this inside the network namespaces that it makes; nothing here
is meant to be run anywhere else. Only the standard library is used.

    traffic.py serve ADDR4 ADDR6          HTTP (80), DNS-like (53), syslog (514)
    traffic.py feed ADDR4 ADDR6 N [BULK]  talk to that server: N queries, and
                                          a last download of BULK octets
    traffic.py vlan IFACE VID COUNT       802.1Q-tagged UDP frames, both ways
    traffic.py sink udp|tcp|sctp ADDR PORT  take and drop what an exporter sends
    traffic.py offload-off IFACE          let the kernel compute all checksums

Every command ends by itself after at most a minute.
"""

import array
import contextlib
import fcntl
import http.server
import select
import signal
import socket
import struct
import sys
import threading
import time

LIMIT = 60  # seconds


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def ready():
    print("ready", flush=True)


# -- server ------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    """GET /bytes/N answers with N octets."""

    def do_GET(self):
        body = b"x" * int(self.path.rsplit("/", 1)[-1])
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def serve(addrs):
    queries, silent = [], []
    for addr in addrs:
        cls = type("Server", (http.server.ThreadingHTTPServer,), {"address_family": family(addr)})
        httpd = cls((addr, 80), Handler)
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        for port, socks in ((53, queries), (514, silent)):
            sock = socket.socket(family(addr), socket.SOCK_DGRAM)
            sock.bind((addr, port))
            socks.append(sock)
    ready()
    while True:
        for sock in select.select(queries + silent, [], [])[0]:
            data, peer = sock.recvfrom(2048)
            if sock in queries:
                # the query again, with QR set, one A record added
                answer = (
                    data[:2]
                    + b"\x81\x80\x00\x01\x00\x01"
                    + data[8:]
                    + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04"
                    + bytes([203, 0, 113, data[1]])
                )
                sock.sendto(answer, peer)


# -- client ------------------------------------------------------------------


def tcp_get(addr, size, port):
    """One HTTP GET from a fixed source port."""
    with socket.socket(family(addr), socket.SOCK_STREAM) as sock:
        sock.bind(("", port))
        sock.settimeout(5)
        sock.connect((addr, 80))
        sock.sendall(b"GET /bytes/%d HTTP/1.0\r\n\r\n" % size)
        while sock.recv(65536):
            pass


def tcp_refused(addr, port):
    """A SYN that a closed port answers with RST."""
    with socket.socket(family(addr), socket.SOCK_STREAM) as sock:
        sock.bind(("", port))
        sock.settimeout(5)
        with contextlib.suppress(ConnectionRefusedError):
            sock.connect((addr, 81))


def query(addr, port, number):
    with socket.socket(family(addr), socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        sock.settimeout(5)
        name = b"".join(bytes([len(p)]) + p for p in (b"host%d" % number, b"example", b"com"))
        sock.sendto(
            struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + name + b"\0\x00\x01\x00\x01",
            (addr, 53),
        )
        sock.recv(2048)


def syslog(addr, port, count):
    """Datagrams that nobody answers, with DSCP CS1."""
    with socket.socket(family(addr), socket.SOCK_DGRAM) as sock:
        sock.bind(("", port))
        if family(addr) == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0x20)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x20)
        for i in range(count):
            sock.sendto(b"<14>feed: line %d" % i, (addr, 514))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo(addr, count):
    """ICMP or ICMPv6 echo requests."""
    six = family(addr) == socket.AF_INET6
    proto = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    with socket.socket(family(addr), socket.SOCK_RAW, proto) as sock:
        sock.settimeout(5)
        for seq in range(count):
            msg = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 77, seq) + b"p" * 56
            if not six:
                msg = msg[:2] + struct.pack("!H", checksum(msg)) + msg[4:]
            sock.sendto(msg, (addr, 0))
            time.sleep(0.01)


def feed(addr4, addr6, queries, bulk):
    for addr in (addr4, addr6):
        tcp_get(addr, 400, 41001)
        tcp_get(addr, 5000, 41002)
        tcp_refused(addr, 41003)
        echo(addr, 3)
        syslog(addr, 41004, 4)
    for number in range(1, queries + 1):
        # three of four over IPv4
        query(addr6 if number % 4 == 0 else addr4, 42000 + number, number & 0xFF)
    if bulk:
        tcp_get(addr4, bulk, 41005)


# -- 802.1Q ------------------------------------------------------------------

MAC = {0: bytes.fromhex("02000000000a"), 1: bytes.fromhex("02000000000b")}
IP4 = {0: bytes([203, 0, 113, 1]), 1: bytes([203, 0, 113, 2])}


def tagged(side, vid, sport, dport, data):
    """An Ethernet frame with an 802.1Q tag (priority 3), IPv4 and UDP in it."""
    udp = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    ip = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, IP4[side], IP4[1 - side]
    )
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return MAC[1 - side] + MAC[side] + struct.pack("!HHH", 0x8100, 3 << 13 | vid, 0x0800) + ip + udp


def vlan(iface, vid, count):
    side = 0 if iface.endswith("a") else 1
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((iface, 0))
        for i in range(count):
            ports = (43001, 5000) if side == 0 else (5000, 43001)
            sock.send(tagged(side, vid, *ports, b"tagged %d" % i))


# -- sink, offload -----------------------------------------------------------


def sink(kind, addr, port):
    stream = kind != "udp"
    protocol = 132 if kind == "sctp" else 0
    sort = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    sock = socket.socket(family(addr), sort, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((addr, port))
    if stream:
        sock.listen(1)
    ready()
    while True:
        if stream:
            conn = sock.accept()[0]
            while conn.recv(65536):
                pass
            conn.close()
        else:
            sock.recv(65536)


def offload_off(iface):
    """What `ethtool -K IFACE tx off tso off gso off gro off` does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command in (0x1F, 0x24, 0x2C, 0x17):
            value = array.array("B", struct.pack("II", command, 0))
            ifreq = struct.pack("16sP", iface.encode(), value.buffer_info()[0])
            fcntl.ioctl(sock, 0x8946, ifreq)


def main(argv):
    signal.alarm(LIMIT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    command, args = argv[0], argv[1:]
    if command == "serve":
        serve(args)
    elif command == "feed":
        feed(args[0], args[1], int(args[2]), int(args[3]) if len(args) > 3 else 0)
    elif command == "vlan":
        vlan(args[0], int(args[1]), int(args[2]))
    elif command == "sink":
        sink(args[0], args[1], int(args[2]))
    elif command == "offload-off":
        offload_off(args[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])

# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets to receive at: bound to IPv4 and IPv6 at once, with a large receive buffer."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import Any

#: Octets of the receive buffer to request from the system.
RECEIVE_BUFFER = 32 << 20
#: Protocol number of SCTP.
SCTP = getattr(socket, "IPPROTO_SCTP", 132)
_KINDS = {
    "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "sctp": (socket.SOCK_STREAM, SCTP),
}
#: Transport protocols of RFC 7011 10.
PROTOCOLS = tuple(_KINDS)
_ANY = ("", "::")
_UNSUPPORTED = {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EINVAL}
_NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}

# Numbers of Linux, which the socket module does not name (asm-generic/socket.h).
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO = struct.Struct("9I")
#: Linux counts its bookkeeping in the size of a buffer, and doubles the requested size for it.
_DOUBLED = 2


def bind_socket(
    host: str, port: int, protocol: str = "udp", *, reuse_port: bool = False
) -> socket.socket:
    """Return a socket bound to an address of either family, not listening yet.

    Host "::" is IPv4 and IPv6 at once, where the system has both. ``reuse_port`` lets several
    sockets share the port. Raises OSError that names the address.
    """
    kind, number = _KINDS[protocol]
    problem = OSError(errno.EADDRNOTAVAIL, "no address")
    try:
        found = socket.getaddrinfo(host or "::", port, type=kind, flags=socket.AI_PASSIVE)
    except OSError as error:
        found, problem = [], error
    for family, _, _, _, address in found:
        try:
            return _bound(socket.socket(family, kind, number), host, address, reuse_port)
        except OSError as error:
            problem = error
    if host in _ANY and problem.errno in _NO_IPV6:
        return bind_socket("0.0.0.0", port, protocol, reuse_port=reuse_port)
    reason = problem.strerror or str(problem)
    if protocol == "sctp" and problem.errno in _UNSUPPORTED:
        reason = "this system has no SCTP (Linux: modprobe sctp)"
    place = f"{protocol} port {port} of {host or '::'}"
    raise OSError(problem.errno, f"cannot listen at {place}: {reason}")


def _bound(opened: socket.socket, host: str, address: Any, reuse_port: bool) -> socket.socket:
    try:
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host not in _ANY)
        if opened.type == socket.SOCK_STREAM:
            # Connections of an earlier process may still be in state TIME_WAIT.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(address)
    except OSError:
        opened.close()
        raise
    return opened


def plain_address(address: str) -> str:
    """Return an address as its own family writes it, without the zone of a link-local one.

    A socket for both families has IPv4 addresses as ``::ffff:192.0.2.1``.
    """
    address = address.partition("%")[0]
    return address.removeprefix("::ffff:") if "." in address else address


def set_receive_buffer(opened: socket.socket, octets: int) -> int:
    """Request a receive buffer; return the octets granted, without the system's bookkeeping."""
    for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):  # the first needs CAP_NET_ADMIN
        with contextlib.suppress(OSError):
            opened.setsockopt(socket.SOL_SOCKET, option, octets)
            break
    return opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // _DOUBLED


def dropped_datagrams(opened: socket.socket) -> int:
    """Return the number of datagrams that the system dropped at a socket; 0: it does not say."""
    try:
        memory = opened.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        return int(_MEMINFO.unpack(memory)[8])
    except (OSError, struct.error):
        return drops_in_proc(opened.getsockname()[1])


def drops_in_proc(port: int) -> int:
    """Return the drops in /proc/net/udp of all sockets bound to a port."""
    ending = f":{port:04X}"
    drops = 0
    for path in ("/proc/net/udp", "/proc/net/udp6"):
        with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as lines:
            next(lines, None)
            for line in lines:
                columns = line.split()
                if columns[1].endswith(ending):
                    drops += int(columns[-1])
    return drops

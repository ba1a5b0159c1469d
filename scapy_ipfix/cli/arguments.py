# SPDX-License-Identifier: GPL-2.0-or-later
"""What the commands read from a command line, each as argparse wants it: a function of text."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

from scapy_ipfix.layers.bindings import IPFIX_PORT


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line; --help says how it is right."""

    def error(self, message: str) -> NoReturn:
        """Exits with status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def endpoint(text: str) -> tuple[str, int]:
    """``HOST:PORT``, ``HOST`` (port 4739) or ``[2001:db8::1]:PORT`` as (host, port)."""
    host, colon, port = text.rpartition(":")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise argparse.ArgumentTypeError(f"{text!r} is not [HOST]:PORT")
        port = rest[1:] if rest else str(IPFIX_PORT)
    elif not colon or host.count(":"):
        host, port = text, str(IPFIX_PORT)  # no port, or an IPv6 address without brackets
    if not host:
        raise argparse.ArgumentTypeError(f"{text!r} names no host")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"port {port!r} is not in 1..65535")
    return host, int(port)


def positive(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def natural(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)

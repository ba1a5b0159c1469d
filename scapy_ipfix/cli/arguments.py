# SPDX-License-Identifier: GPL-2.0-or-later
"""Argument parser of all commands, and the types of their arguments."""

from __future__ import annotations

import argparse
import math
from typing import NoReturn

from scapy_ipfix.layers.bindings import IPFIX_PORT
from scapy_ipfix.text import printable


class Parser(argparse.ArgumentParser):
    """Argument parser that reports an error in one line and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        """Report a wrong command line, with a hint to the help, and exit."""
        self.fail(f"{message}; see '{self.prog} --help'")

    def fail(self, message: str) -> NoReturn:
        """Report an error and exit."""
        self.exit(2, f"{self.prog}: {printable(message)}\n")


def endpoint(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT``, ``HOST`` (port 4739) or ``[2001:db8::1]:PORT``."""
    host, colon, port = text.rpartition(":")
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise argparse.ArgumentTypeError(f"{text!r} is not [HOST]:PORT")
        port = rest[1:] if rest else str(IPFIX_PORT)
    elif not colon or host.count(":"):
        host, port = text, str(IPFIX_PORT)  # no port, or an IPv6 address without brackets
    if not host:
        raise argparse.ArgumentTypeError(f"{text!r} has no host; write HOST:PORT")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"port {port!r} is not in 1..65535")
    return host, int(port)


def positive(text: str) -> float:
    """Return a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def natural(text: str) -> int:
    """Return a whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)

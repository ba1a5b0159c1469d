# SPDX-License-Identifier: GPL-2.0-or-later
"""Options for the session that decodes the files of a command, shared by dump and check."""

from __future__ import annotations

import argparse
import os
from typing import Any

from scapy_ipfix.collector.persistence import load_state
from scapy_ipfix.layers.bindings import PORTS
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.text import counted


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command's own."""
    group = parser.add_argument_group("decoding")
    group.add_argument(
        "--bound-ports",
        action="store_true",
        help=f"read only UDP ports {', '.join(map(str, sorted(PORTS['udp'])))}, not any port",
    )
    group.add_argument(
        "--scope",
        choices=("session", "exporter"),
        default="session",
        help="session: templates are valid in one Transport Session (RFC 7011 8); exporter: "
        "share templates across an exporter's source ports (default: session)",
    )
    group.add_argument(
        "--lenient",
        action="store_true",
        help="read the template Sets of NetFlow v9 in IPFIX, and of IPFIX in NetFlow v9",
    )
    group.add_argument(
        "--ntp-epoch",
        type=int,
        choices=(1900, 1970),
        default=1900,
        help="first second of dateTimeMicroseconds and dateTimeNanoseconds; 1970 for exporters "
        "that do not follow RFC 7011 6.1.9 (default: 1900)",
    )
    group.add_argument(
        "--state",
        metavar="JSON",
        help="load templates and options data from this file if it exists, and save them there",
    )
    group.add_argument(
        "--elements",
        metavar="FILE",
        action="append",
        default=[],
        help="define Information Elements: IESpecs (RFC 7013), one per line, or CSV; repeatable",
    )


def reason_for_no_message(packets: int, others: dict[str, int], is_bound: bool) -> str:
    """Return a sentence for a capture without a message, with the protocols that it has.

    ``others`` are the numbers of datagrams by protocol, ``is_bound`` is ``--bound-ports``.
    """
    text = f"no message of IPFIX or NetFlow v9 in {counted(packets, 'packet')}"
    if is_bound:
        text += " on a bound port; leave out --bound-ports to read all ports"
    for name, count in others.items():
        text += f"; {counted(count, 'datagram')} of {name}"
    return text


def make_model(options: argparse.Namespace) -> InformationModel:
    """Return the information model with the elements of ``--elements``.

    Raises OSError, and ValueError (``file:line: reason``).
    """
    if not options.elements:
        return elements
    model = elements.copy()
    for path in options.elements:
        model.load(path)
    return model


def make_session(
    options: argparse.Namespace, model: InformationModel, **arguments: Any
) -> IPFIXSession:
    """Return a session for these options; ``arguments`` are those of IPFIXSession.

    Raises OSError, and StateError for a ``--state`` file that holds no state.
    """
    session = IPFIXSession(
        any_port=not options.bound_ports,
        scope=options.scope,
        model=model,
        ntp_epoch=options.ntp_epoch,
        lenient=options.lenient,
        **arguments,
    )
    if options.state and os.path.exists(options.state):
        load_state(session.collector, options.state)
    return session

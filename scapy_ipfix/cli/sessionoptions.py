# SPDX-License-Identifier: GPL-2.0-or-later
"""The options that say what session reads a command's files: shared by what prints and checks."""

from __future__ import annotations

import argparse
import os
from typing import Any

from scapy_ipfix.collector.persistence import load_state
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.reading.session import IPFIXSession


def add_session_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options to a command's own."""
    group = parser.add_argument_group("how messages are read")
    group.add_argument(
        "--bound-ports", action="store_true", help="leave alone what comes on other ports"
    )
    group.add_argument(
        "--scope",
        choices=("session", "exporter"),
        default="session",
        help="exporter: templates hold whatever port they came from",
    )
    group.add_argument(
        "--state", metavar="JSON", help="go on with what this file knows, and keep it there"
    )
    group.add_argument(
        "--elements",
        metavar="FILE",
        action="append",
        default=[],
        help="elements of your own: IESpecs, one a line, or CSV; may be given again",
    )


def make_model(options: argparse.Namespace) -> InformationModel:
    """The elements that go by these options. Raises OSError, and ValueError (file:line)."""
    if not options.elements:
        return elements
    model = elements.copy()
    for path in options.elements:
        model.load(path)
    return model


def make_session(
    options: argparse.Namespace, model: InformationModel, **arguments: Any
) -> IPFIXSession:
    """A session by these options, ``arguments`` as for making one. Raises OSError, StateError."""
    session = IPFIXSession(
        any_port=not options.bound_ports, scope=options.scope, model=model, **arguments
    )
    if options.state and os.path.exists(options.state):
        load_state(session.collector, options.state)
    return session

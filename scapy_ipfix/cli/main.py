# SPDX-License-Identifier: GPL-2.0-or-later
"""Entry point of the command ``scapy-ipfix``: starts one of the other modules.

scapy-ipfix FILE...            print the records of captures
scapy-ipfix COMMAND ...        check, elements, generate, listen, send, torture
"""

from __future__ import annotations

import difflib
import logging
import sys
from collections.abc import Callable, Sequence

from scapy_ipfix.cli import check, dump, elementsearch, generate, listening, send, torturerun
from scapy_ipfix.cli.terminal import discard_output, print_error, reason
from scapy_ipfix.collector.persistence import StateError
from scapy_ipfix.reading.capture import CaptureError
from scapy_ipfix.reading.extras import MissingPackage

COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "check": check.main,
    "elements": elementsearch.main,
    "generate": generate.main,
    "listen": listening.main,
    "send": send.main,
    "torture": torturerun.main,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    0 is success, 2 an input that cannot be read or a wrong argument, 130 an interruption.
    Commands document further values.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    # Commands print diagnostics themselves; the log would repeat them.
    logging.getLogger("scapy.ipfix").setLevel(logging.CRITICAL)
    try:
        if arguments and arguments[0] in COMMANDS:
            return COMMANDS[arguments[0]](arguments[1:])
        return dump.main(arguments, sorted(COMMANDS))
    except BrokenPipeError:
        discard_output()
        return 0
    except KeyboardInterrupt:
        return 130
    except (CaptureError, MissingPackage, StateError, OSError) as problem:
        print_error("scapy-ipfix", reason(problem) + _suggestion(problem, arguments))
        return 2


def _suggestion(problem: Exception, arguments: Sequence[str]) -> str:
    """Return a suggestion where a missing file has almost the name of a command."""
    first = arguments[0] if arguments else ""
    close = difflib.get_close_matches(first, COMMANDS, 1)
    if isinstance(problem, FileNotFoundError) and problem.filename == first and close:
        return f"; did you mean 'scapy-ipfix {close[0]}'?"
    return ""

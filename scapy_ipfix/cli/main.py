# SPDX-License-Identifier: GPL-2.0-or-later
"""Entry point of the command ``scapy-ipfix``: starts one of the other modules.

scapy-ipfix FILE...            print the records of captures
scapy-ipfix COMMAND ...        check, elements, generate, send, torture
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence

from scapy_ipfix.cli import check, dump, elementsearch, generate, send, torturerun
from scapy_ipfix.cli.terminal import discard_output, print_error, reason
from scapy_ipfix.collector.persistence import StateError
from scapy_ipfix.reading.capture import CaptureError
from scapy_ipfix.reading.extras import MissingPackage

COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "check": check.main,
    "elements": elementsearch.main,
    "generate": generate.main,
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
        print_error("scapy-ipfix", reason(problem))
        return 2

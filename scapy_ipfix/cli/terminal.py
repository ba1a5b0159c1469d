# SPDX-License-Identifier: GPL-2.0-or-later
"""Error lines and the progress line that all commands share."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable
from typing import TextIO

from scapy_ipfix.text import printable

#: Seconds between two updates of a progress line.
PROGRESS_SECONDS = 0.5


def reason(problem: Exception) -> str:
    """Return the text of an error for the user: the file if there is one, and the cause."""
    if isinstance(problem, OSError) and problem.strerror:
        return f"{problem.filename}: {problem.strerror}" if problem.filename else problem.strerror
    return str(problem)


def print_error(command: str, text: str) -> None:
    """Print ``command: text`` as one line on standard error."""
    print(f"{command}: {printable(text)}", file=sys.stderr)


def discard_output() -> None:
    """Send standard output nowhere, after its reader has closed the pipe.

    Python would report the broken pipe a second time when it flushes the output at exit.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def has_reader(out: TextIO) -> bool:
    """Return False if output is a pipe that its reader has closed, as ``head`` does."""
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    try:
        poll.register(out, 0)
        return not any(events & select.POLLERR for _, events in poll.poll(0))
    except (OSError, ValueError):  # not a file descriptor
        return True


class ProgressLine:
    """Line on a terminal that shows how far a command has got; nothing elsewhere.

    ``interval`` is the time between two updates in seconds, ``clock`` a monotonic clock.
    """

    def __init__(
        self,
        out: TextIO,
        interval: float = PROGRESS_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out
        self._interval = interval
        self._clock = clock
        self._next = clock() + interval if out.isatty() else float("inf")
        self._is_shown = False

    def is_due(self) -> bool:
        """Return True once per interval."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + self._interval
        return True

    def show(self, text: str) -> None:
        """Replace the line by ``text``."""
        self._out.write(f"\r{printable(text)}\x1b[K")
        self._out.flush()
        self._is_shown = True

    def close(self) -> None:
        """Remove the line."""
        if self._is_shown:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._is_shown = False

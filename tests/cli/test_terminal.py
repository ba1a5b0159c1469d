# SPDX-License-Identifier: GPL-2.0-or-later
"""Error lines and the progress line."""

import io

import pytest

from scapy_ipfix.cli.terminal import ProgressLine, print_error, reason
from scapy_ipfix.reading.capture import CaptureError


class Terminal(io.StringIO):
    """Text buffer that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (FileNotFoundError(2, "No such file or directory", "x"), "x: No such file or directory"),
        (ConnectionRefusedError(111, "udp 192.0.2.1:1: refused"), "udp 192.0.2.1:1: refused"),
        (OSError("udp collector:4739: unknown"), "udp collector:4739: unknown"),
        (CaptureError("x.pcap: not a capture"), "x.pcap: not a capture"),
    ],
)
def test_reason(problem: Exception, text: str) -> None:
    assert reason(problem) == text


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_error("scapy-ipfix x", "a\x1b[31m\nb")
    assert capsys.readouterr().err == "scapy-ipfix x: a\\x1b[31m\\nb\n"


def test_progress_is_due_once_per_interval() -> None:
    now = 0.0
    line = ProgressLine(Terminal(), interval=0.5, clock=lambda: now)
    due = []
    for now in (0.1, 0.4, 0.5, 0.6, 0.9, 1.0, 5.0, 5.4, 5.5):
        if line.is_due():
            due.append(now)
    assert due == [0.5, 1.0, 5.0, 5.5]


def test_progress_is_never_due_elsewhere() -> None:
    now = 0.0
    line = ProgressLine(io.StringIO(), interval=0.5, clock=lambda: now)
    now = 1e9
    assert not line.is_due()


def test_progress_is_replaced_and_removed() -> None:
    out = Terminal()
    line = ProgressLine(out)
    line.close()
    assert out.getvalue() == ""
    line.show("25 %")
    line.show("50 % of \x1b")
    line.close()
    line.close()
    assert out.getvalue() == "\r25 %\x1b[K\r50 % of \\x1b\x1b[K\r\x1b[K"

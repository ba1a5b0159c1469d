# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix send``: messages, changes to them, totals and errors."""

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scapy_ipfix.cli import send as cli_send
from scapy_ipfix.cli.send import main, progress_text
from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.layers.messages import IPFIX
from scapy_ipfix.reading.ipfixfile import write_ipfix
from scapy_ipfix.reading.reader import iter_messages, iter_records
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.testing.replay import ReplayTotals
from scapy_ipfix.wire.template import Template
from tests.cli.test_terminal import Terminal
from tests.exporting.test_sending import UDPCollector, closed_port

FLOW = Template(256, "sourceIPv4Address", "flowEndMilliseconds", "octetDeltaCount")
THEN = 1_700_000_000
ROWS = [("192.0.2.1", THEN * 1000, number) for number in range(20)]


@pytest.fixture
def udp() -> Iterator[UDPCollector]:
    collector = UDPCollector()
    with collector.socket:
        yield collector


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flows.ipfix"
    write_ipfix(path, Exporter(7, mtu=200).export(FLOW, ROWS, export_time=THEN))
    return path


def to(collector: UDPCollector) -> str:
    return f"{collector.to[0]}:{collector.to[1]}"


def test_a_capture(root: Path, udp: UDPCollector, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "pcaps" / "softflowd_v9.pcap"
    expected = [each.octets for each in iter_messages(path, IPFIXSession())]
    assert main([str(path), "--to", to(udp), "--rate", "1000"]) == 0
    assert udp.take(len(expected))[0] == expected
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith(
        f"{len(expected)} messages, {sum(map(len, expected))} octets of 1 exporter sent to udp "
        f"{to(udp)} in "
    )


def test_an_ipfix_file_with_all_changes(file: Path, udp: UDPCollector) -> None:
    arguments = [str(file), "--to", to(udp), "--rate", "0", "--loop", "2"]
    before = int(time.time())
    assert main([*arguments, "--retime", "--renumber", "--domain", "99"]) == 0
    count = len(list(iter_messages(file, IPFIXSession())))
    octets, _ = udp.take(2 * count)
    messages = [IPFIX(each) for each in octets]
    assert {each.observationDomainId for each in messages} == {99}
    assert all(before <= each.exportTime <= time.time() for each in messages)
    assert messages[count].sequenceNumber == 20
    for record in iter_records(octets):
        assert before <= record["flowEndMilliseconds"] / 1000 <= time.time()


def test_standard_input(file: Path, udp: UDPCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(file.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert main(["-", "--to", to(udp), "--rate", "0"]) == 0
    assert len(list(iter_records(udp.take(3)[0]))) > 3


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["none.pcap", "--to", "127.0.0.1:1"], "none.pcap: No such file or directory"),
        (["-", "--to", "127.0.0.1:1", "--loop", "2"], "a stream can be read once"),
        (["{file}", "--to", "127.0.0.1:1", "--jitter", "2"], "jitter 2.0 is not in 0.0..1.0"),
        (["{file}", "--to", "127.0.0.1:1", "--domain", "-1"], "domain -1 is not in"),
        (["{text}", "--to", "127.0.0.1:1"], "not a capture"),
        (["{root}/pcaps/capture.sh", "--to", "127.0.0.1:1"], "not a capture"),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str],
    why: str,
    file: Path,
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "text").write_text("hello")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    places = {"file": file, "root": root, "text": tmp_path / "text"}
    assert main([each.format(**places) for each in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("scapy-ipfix send: ")
    assert why in shown.err
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["x.pcap"],
        ["x.pcap", "--to", "host:0"],
        ["x.pcap", "--to", "host:1", "--rate", "-1"],
        ["x.pcap", "--to", "host:1", "--rate", "fast"],
        ["x.pcap", "--to", "host:1", "--loop", "0"],
        ["x.pcap", "--to", "host:1", "--proto", "dccp"],
    ],
)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("scapy-ipfix send: ")
    assert line.endswith("; see 'scapy-ipfix send --help'")


def test_nothing_to_send(
    tmp_path: Path, udp: UDPCollector, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "empty.pcap"
    path.write_bytes(bytes.fromhex("d4c3b2a1 02000400 00000000 00000000 ffff0000 01000000"))
    assert main([str(path), "--to", to(udp), "--loop"]) == 2
    assert capsys.readouterr().err == (
        f"scapy-ipfix send: {path}: no IPFIX or NetFlow v9 message in it\n"
    )


def test_refused_messages(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    udp_port, tcp_port = closed_port(socket.SOCK_DGRAM), closed_port(socket.SOCK_STREAM)
    arguments = [str(file), "--rate", "0", "--loop", "20", "--to"]
    assert main([*arguments, f"127.0.0.1:{udp_port}"]) == 0
    shown = capsys.readouterr()
    assert " sent to udp " in shown.out
    assert f"refused: nothing listens on port {udp_port}" in shown.err
    assert main([*arguments, f"127.0.0.1:{tcp_port}", "--proto", "tcp"]) == 2
    assert capsys.readouterr().err == (
        f"scapy-ipfix send: tcp 127.0.0.1:{tcp_port}: Connection refused\n"
    )


def test_data_before_its_template_is_reported(
    tmp_path: Path, udp: UDPCollector, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = Exporter(mtu=120).export(FLOW, ROWS[:4])
    write_ipfix(tmp_path / "x.ipfix", [*others, first])
    assert main([str(tmp_path / "x.ipfix"), "--to", to(udp), "--rate", "0", "--retime"]) == 0
    count = len(others)
    assert f"{count} Data Set{'s' if count > 1 else ''} came before" in capsys.readouterr().err


def test_interrupted(file: Path, udp: UDPCollector) -> None:
    command = [sys.executable, "-c", _COMMAND, str(file), "--to", to(udp), "--loop"]
    environment = os.environ | {"PYTHONPATH": str(Path(cli_send.__file__).parents[2])}
    with subprocess.Popen(
        [*command, "--rate", "200"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # A process that a shell started in the background ignores SIGINT, and its children do.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        try:
            udp.socket.settimeout(60)
            udp.take(10)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 130
    assert err == ""
    assert " octets of 1 exporter sent to udp " in out


_COMMAND = "import sys; from scapy_ipfix.cli.send import main; sys.exit(main(sys.argv[1:]))"


def test_progress_text() -> None:
    capture: Any = SimpleNamespace(name="x.pcap", size=200, position=50)
    totals = ReplayTotals(messages=30, seconds=2.0)
    assert progress_text(totals, capture) == "x.pcap: 25 %, 30 messages, 15 per second"
    totals.loops, capture.size = 1, 0
    assert progress_text(totals, capture) == "x.pcap: round 2, 30 messages, 15 per second"


@pytest.mark.parametrize("quiet", [False, True])
def test_progress_is_for_terminals(
    quiet: bool, file: Path, udp: UDPCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_send, "PROGRESS_SECONDS", 0.0)
    arguments = [str(file), "--to", to(udp), "--rate", "0", *["--quiet"] * quiet]
    count = len(list(iter_messages(file, IPFIXSession())))
    for shown in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", shown)
        assert main(arguments) == 0
        udp.take(count)
        updates = 0 if quiet or not shown.isatty() else count
        assert shown.getvalue().count(f"\r{file}: ") == updates
        assert shown.getvalue().endswith("\r\x1b[K" if updates else "")

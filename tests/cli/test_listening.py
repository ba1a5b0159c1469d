# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix listen``, end to end on the loopback, as a process of its own."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from scapy_ipfix import Exporter, IPFIXSession, Template, iter_records
from scapy_ipfix.cli.generate import main as generate
from scapy_ipfix.cli.listening import main
from scapy_ipfix.exporting.sending import Sender
from tests.builders import raw_message, raw_set
from tests.certificates import client_context, make_certificate

ROOT = Path(__file__).parents[2]
DEADLINE = 60.0
FLOW = Template(256, "sourceIPv4Address", "destinationTransportPort", "octetDeltaCount[4]")
ROWS = [("192.0.2.1", 443 if number % 2 else 53, number) for number in range(100)]


def free_port() -> int:
    with socket.socket(type=socket.SOCK_DGRAM) as probe, socket.socket() as stream:
        probe.bind(("127.0.0.1", 0))
        stream.bind(("127.0.0.1", probe.getsockname()[1]))
        return int(probe.getsockname()[1])


class Command:
    """Running command; its standard error is read up to the line that it listens."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        assert process.stdout is not None
        assert process.stderr is not None
        self.out: IO[str] = process.stdout
        self.err: IO[str] = process.stderr

    def stop(self, number: int = signal.SIGTERM) -> tuple[str, str]:
        """Send a signal; return the rest of both outputs. The status must be 0."""
        self.process.send_signal(number)
        return self.finish()

    def finish(self) -> tuple[str, str]:
        """Return the rest of both outputs. The status must be 0."""
        out, err = self.out.read(), self.err.read()
        assert self.process.wait(DEADLINE) == 0, err
        return out, err


@contextmanager
def listening(*options: str) -> Iterator[Command]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "scapy_ipfix", "listen", "--port", str(port), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    command = Command(process, port)
    try:
        line = command.err.readline()
        assert "listening" in line, line + command.err.read()
        yield command
    finally:
        if process.poll() is None:
            process.kill()
        for pipe in (command.out, command.err):
            pipe.close()
        process.wait()


def messages() -> list[bytes]:
    return [bytes(each) for each in Exporter(domain=1, mtu=500).export(FLOW, ROWS)]


def send(port: int, host: str = "127.0.0.1", proto: str = "udp") -> None:
    with Sender((host, port), proto) as sender:
        for octets in messages():
            sender.send(octets)


@pytest.mark.parametrize(
    ("host", "proto"), [("127.0.0.1", "udp"), ("::1", "udp"), ("127.0.0.1", "tcp")]
)
def test_json(host: str, proto: str) -> None:
    with listening("--json", "--proto", proto) as command:
        send(command.port, host, proto)
        records = [json.loads(command.out.readline()) for _ in ROWS]
        out, err = command.stop()
    assert out == ""
    assert [record["octetDeltaCount"] for record in records] == [row[2] for row in ROWS]
    assert {record["_exporter"] for record in records} == {host}
    assert f"{len(messages())} messages, 100 records, 0 datagrams dropped" in err
    assert "Traceback" not in err


def test_lines_to_be_read() -> None:
    with listening("-n") as command:
        send(command.port)
        header, first = command.out.readline(), command.out.readline()
        rest, _ = command.stop(signal.SIGINT)
    assert header.split()[:3] == ["time", "(UTC)", "exporter"]
    assert first.split() == ["127.0.0.1", "192.0.2.1", "→", "?:53", "0", "B"]
    assert len(rest.splitlines()) == 99
    assert "\x1b" not in first


def test_csv_of_resolved_values_and_a_filter() -> None:
    with listening("--csv", "--where", "dst port 443 and octets > 50") as command:
        send(command.port)
        rows = [command.out.readline() for _ in range(26)]
        out, _ = command.stop()
    table = list(csv.DictReader([*rows, *out.splitlines()]))
    assert [int(row["octets"]) for row in table] == list(range(51, 100, 2))
    assert {row["destination_port"] for row in table} == {"443"}


def test_fields_and_kind() -> None:
    with listening("--json", "--fields", "octets,_version", "--kind", "data") as command:
        send(command.port)
        record = json.loads(command.out.readline())
        command.stop()
    assert record == {**record, "octets": 0, "_version": 10}
    assert "destinationTransportPort" not in record


def test_sigterm_writes_what_has_arrived(tmp_path: Path) -> None:
    """Stop the process while messages arrive, and let it find the signal and them."""
    with listening("--json", "--pcap", str(tmp_path / "x.pcap")) as command:
        send(command.port)
        assert command.out.readline()
        command.process.send_signal(signal.SIGSTOP)
        send(command.port)
        command.process.send_signal(signal.SIGTERM)
        command.process.send_signal(signal.SIGCONT)
        out, _ = command.finish()
    assert len(out.splitlines()) == 199
    assert len(list(iter_records(tmp_path / "x.pcap"))) == 200


def test_pcap_alone_prints_nothing(tmp_path: Path) -> None:
    with listening("--pcap", str(tmp_path / "x.pcap"), "--rotate-size", "1k") as command:
        send(command.port)
        wait_until(lambda: sum(path.stat().st_size for path in tmp_path.iterdir()) > 1000)
        out, _ = command.stop()
    assert out == ""
    paths = sorted(tmp_path.iterdir())
    assert len(paths) > 1
    session = IPFIXSession()
    found = [r for path in paths for r in iter_records(path, session=session)]
    assert [record["octetDeltaCount"] for record in found] == [row[2] for row in ROWS]
    assert session.stats[0].exporter.startswith("127.0.0.1:")


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_reader_of_a_pipe_ends() -> None:
    with listening("--json") as command:
        send(command.port)
        command.out.readline()
        command.out.close()
        # Nothing more is sent: the command sees that no one reads.
        assert command.process.wait(DEADLINE) == 0
        assert "Traceback" not in command.err.read()


def test_diagnostics_as_they_come_and_stats() -> None:
    with listening("--diagnostics", "--stats", "0.2") as command:
        with Sender(("127.0.0.1", command.port)) as sender:
            sender.send(raw_message(raw_set(256, bytes(8)), exported=int(time.time())))
        found = [command.err.readline() for _ in range(3)]
        command.stop()
    assert any("template 256 is not defined yet" in line for line in found)
    assert any(" 0 records, 0 datagrams dropped" in line for line in found)


def test_tls(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "collector")
    exporter = make_certificate(tmp_path, "exporter")
    options = ["--tls-cert", certificate, "--tls-key", key, "--tls-ca", exporter[0]]
    with listening("--json", "--proto", "tcp", *options) as command:
        context = client_context(certificate, *exporter)
        raw = socket.create_connection(("127.0.0.1", command.port), DEADLINE)
        with context.wrap_socket(raw, server_hostname="collector") as peer:
            peer.sendall(b"".join(messages()))
        records = [json.loads(command.out.readline()) for _ in ROWS]
        command.stop()
    assert len(records) == 100


def test_state_keeps_templates(tmp_path: Path) -> None:
    state = str(tmp_path / "state.json")
    with (
        listening("--json", "--state", state) as command,
        socket.socket(type=socket.SOCK_DGRAM) as sender,
    ):
        sender.sendto(messages()[0], ("127.0.0.1", command.port))
        command.out.readline()
        command.stop()
        exporter = f"127.0.0.1:{sender.getsockname()[1]}"
    assert IPFIXSession.load(state).template(256, exporter=exporter).names == FLOW.names


def test_generated_flows_are_all_read(capsys: pytest.CaptureFixture[str]) -> None:
    with listening("--json", "--kind", "data") as command:
        target = f"[::1]:{command.port}"
        assert generate(["--to", target, "--flows", "2000", "--v9"]) == 0
        records = [json.loads(command.out.readline()) for _ in range(2000)]
        _, err = command.stop()
    assert "2000 flows" in capsys.readouterr().err
    assert {record["_exporter"] for record in records} == {"::1"}
    assert "0 datagrams dropped by the system, lost by sequence numbers: 0 records" in err


def test_sniffing() -> None:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except (AttributeError, PermissionError):
        pytest.skip("no right to sniff")
    with listening("-i", "lo", "--json") as command, socket.socket(type=socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", command.port))
        send(command.port)
        # The loopback shows each packet twice, going out and coming in.
        records = [json.loads(command.out.readline()) for _ in range(200)]
        _, err = command.stop()
    assert sorted(record["octetDeltaCount"] for record in records) == sorted(
        row[2] for row in ROWS * 2
    )
    assert f"{2 * len(messages())} messages, 200 records" in err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--port", "70000"], "port '70000' is not in 0..65535"),
        (["--fields", "octets"], "--fields goes with --json or --csv"),
        (["--json", "--fields", "nothing"], "nothing"),
        (["--rotate-size", "1M"], "go with --pcap"),
        (["--pcap", "x", "--rotate-size", "1X"], "'1X' is not a size such as 500k, 8M or 1G"),
        (["--tls-cert", "x"], "--tls-cert goes with --proto tcp; DTLS is not supported"),
        (["--tls-ca", "x", "--proto", "tcp"], "go with --tls-cert"),
        (["--tls-cert", "no-file", "--proto", "tcp"], "no-file: No such file or directory"),
        (["--where", "dst prot 443"], "column"),
        (["--host", "192.0.2.77"], "cannot listen at udp port 4739 of 192.0.2.77"),
        (["-i", "nothing0"], "nothing0"),
        (["--elements", "no-file"], "no-file: No such file or directory"),
    ],
)
def test_wrong_arguments(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("scapy-ipfix listen: ")
    assert text in printed.err
    assert printed.out == ""


def test_timeout_and_a_pcap_that_cannot_be_made(tmp_path: Path) -> None:
    port = str(free_port())
    assert main(["--port", port, "--timeout", "0.1"]) == 0
    with pytest.raises(OSError, match="No such file"):
        main(["--port", port, "--pcap", str(tmp_path / "none" / "x.pcap")])

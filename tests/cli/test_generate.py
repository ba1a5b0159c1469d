# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix generate``: files, collectors, pace and errors."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scapy_ipfix import iter_records
from scapy_ipfix.cli.generate import main
from scapy_ipfix.exporting.sending import Sender


@pytest.fixture
def collector() -> Iterator[socket.socket]:
    """UDP socket with a buffer for all messages of a test."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        opened.bind(("127.0.0.1", 0))
        opened.settimeout(10)
        yield opened


def port(opened: socket.socket) -> int:
    return int(opened.getsockname()[1])


def received(opened: socket.socket) -> list[bytes]:
    """Return all datagrams in the buffer of a socket."""
    opened.setblocking(False)
    datagrams = []
    while True:
        try:
            datagrams.append(opened.recv(65535))
        except BlockingIOError:
            return datagrams


@pytest.mark.parametrize("kind", ["pcap", "ipfix"])
def test_equal_arguments_give_equal_files(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    for path, seed in zip(paths, "112"):
        arguments = [f"--{kind}", str(path), "--flows", "2000", "--seed", seed]
        assert main([*arguments, "--shape", "diurnal", "--duration", "86400"]) == 0
        assert capsys.readouterr().err.startswith("2000 flows, ")
    first, again, other = (path.read_bytes() for path in paths)
    assert first == again != other
    records = list(iter_records(paths[0]))
    assert len(records) == 2000
    assert records[0]["flowEndMilliseconds"] >= 1_767_225_600_000


def test_v9_over_ipv6(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    arguments = ["--pcap", str(path), "--flows", "500", "--v9", "--source", "[2001:db8::9]:2055"]
    assert main([*arguments, "--mix", "tcp=1,udp=1", "--ipv6", "0.5"]) == 0
    records = list(iter_records(path))
    assert len(records) == 500
    assert {record["protocolIdentifier"] for record in records} == {6, 17}


def test_biflows(tmp_path: Path) -> None:
    path = tmp_path / "x.ipfix"
    assert main(["--ipfix", str(path), "--flows", "100", "--biflow", "--domain", "9"]) == 0
    assert all("reversePacketDeltaCount" in record for record in iter_records(path))
    assert path.read_bytes()[12:16] == b"\0\0\0\x09"


def test_rate_and_duration_give_the_number_of_flows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.ipfix"
    arguments = ["--ipfix", str(path), "--rate", "50", "--duration", "4"]
    assert main([*arguments, "--start", "2025-01-01"]) == 0
    assert capsys.readouterr().err.startswith("200 flows, ")
    ends = [record["flowEndMilliseconds"] for record in iter_records(path)]
    assert 3900 < max(ends) - min(ends) < 4000
    assert min(ends) >= 1_735_689_600_000


def test_to_a_collector_as_fast_as_possible(
    collector: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--to", f"127.0.0.1:{port(collector)}", "--flows", "1000"]) == 0
    datagrams = received(collector)
    assert len(list(iter_records(datagrams))) == 1000
    assert max(map(len, datagrams)) <= 1400
    assert f"1000 flows, {len(datagrams)} messages" in capsys.readouterr().err


def test_to_a_collector_at_a_pace(
    collector: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def wait(self: Any, gap: float) -> None:
        waited.append(gap)

    monkeypatch.setattr("scapy_ipfix.cli.generate.Pace.wait", wait)
    arguments = ["--to", f"127.0.0.1:{port(collector)}", "--rate", "100", "--duration", "5"]
    assert main(arguments) == 0
    datagrams = received(collector)
    assert len(list(iter_records(datagrams))) == 500
    assert len(waited) == len(datagrams)
    assert 3 < sum(waited) < 5  # until the last flows end
    assert max(waited) < 0.9  # messages are spread, not sent once a second


def test_over_tcp() -> None:
    octets = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def collect() -> None:
            connection, _ = server.accept()
            with connection:
                while data := connection.recv(65536):
                    octets.append(data)

        thread = threading.Thread(target=collect)
        thread.start()
        arguments = ["--to", f"127.0.0.1:{port(server)}", "--proto", "tcp", "--flows", "300"]
        assert main(arguments) == 0
        thread.join(10)
    whole = b"".join(octets)
    messages = []
    while whole:
        length = int.from_bytes(whole[2:4], "big")
        messages.append(whole[:length])
        whole = whole[length:]
    assert len(list(iter_records(messages))) == 300


def test_interrupted(
    collector: socket.socket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    send = Sender.send
    sent: list[bytes] = []

    def interrupted(self: Sender, octets: bytes) -> None:
        if len(sent) == 3:
            raise KeyboardInterrupt
        sent.append(octets)
        send(self, octets)

    monkeypatch.setattr(Sender, "send", interrupted)
    assert main(["--to", f"127.0.0.1:{port(collector)}", "--flows", "5000"]) == 130
    assert "flows, 3 messages, " in capsys.readouterr().err
    assert len(received(collector)) == 3


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "one of the arguments --to --pcap --ipfix is required"),
        (["--pcap", "x", "--ipfix", "y"], "not allowed with argument"),
        (["--pcap", "x", "--flows", "0"], "'0' is not a whole number above 0"),
        (["--pcap", "x", "--mix", "tcp"], "'tcp' is not PROTOCOL=NUMBER"),
        (["--pcap", "x", "--mix", "sctp=1"], "'sctp' is none of"),
        (["--pcap", "x", "--ipv6", "2"], "ipv6 2.0 is not in 0..1"),
        (["--pcap", "x", "--start", "soon"], "start 'soon' is not a time"),
        (["--pcap", "x", "--shape", "weekly"], "invalid choice: 'weekly'"),
        (["--pcap", "x", "--v9", "--biflow"], "has no NetFlow v9 field type"),
        (["--pcap", "x", "--domain", "-1"], "domain -1"),
        (["--pcap", "x", "--mtu", "10"], "mtu 10"),
        (["--pcap", "x", "--source", "nowhere"], "'nowhere' does not appear to be"),
        (
            ["--pcap", "x", "--flows", "1", "--rate", "1", "--duration", "1"],
            "give any two of --flows, ",
        ),
        (["--ipfix", "x", "--v9"], "an IPFIX File has no NetFlow v9"),
        (["--pcap", "no/such/directory"], "no/such/directory: No such file or directory"),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str],
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status: object
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    assert status == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert text in printed.err
    assert printed.err.startswith("scapy-ipfix generate: ")
    assert printed.err.count("\n") == 1


def test_connection_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))  # bound and not listening: always refused
        assert main(["--to", f"127.0.0.1:{port(opened)}", "--proto", "tcp"]) == 2
    assert "Connection refused" in capsys.readouterr().err

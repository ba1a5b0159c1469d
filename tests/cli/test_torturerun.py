# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix torture``: cases, canaries, files and errors."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scapy_ipfix import IPFIXSession, iter_records
from scapy_ipfix.cli.torturerun import CollectorOutput, main
from scapy_ipfix.exporting.sending import Sender
from scapy_ipfix.layers.messages import make_message
from scapy_ipfix.testing.torturecases.catalogue import canary_address, torture

FAST = ["--rate", "100000"]


class Collector:
    """Collector of datagrams that writes the source addresses of flows to a file.

    It stops to decode after a message that has ``deaf_after`` in it.
    """

    def __init__(self, path: Path, deaf_after: bytes = b"no such octets") -> None:
        self.path = path
        self.messages: list[bytes] = []
        #: Counts the messages that have been read and written.
        self.done = threading.Semaphore(0)
        self._deaf_after = deaf_after
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        session = IPFIXSession()
        deaf = False
        while octets := self._socket.recv(65535):
            self.messages.append(octets)
            deaf = deaf or self._deaf_after in octets
            if not deaf and make_message(octets) is not None:
                with self.path.open("a") as file:
                    for record in iter_records(octets, session=session):
                        print(f'{{"src": "{record.get("sourceIPv4Address")}"}}', file=file)
            self.done.release()

    def stop(self) -> None:
        self._socket.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(20)
        self._socket.close()


def wait_for(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each sender wait until the collector has read its message: no speed loses one."""
    send = Sender.send

    def send_and_wait(self: Sender, octets: bytes) -> None:
        send(self, octets)
        assert collector.done.acquire(timeout=60)

    monkeypatch.setattr(Sender, "send", send_and_wait)


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    running = Collector(tmp_path / "flows.json")
    wait_for(running, monkeypatch)
    yield running
    running.stop()


def test_all_cases_and_every_canary_comes_back(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--to", f"127.0.0.1:{collector.port}", "--canary-file", str(collector.path)]
    assert main([*arguments, *FAST, "--wait", "30"]) == 0
    printed = capsys.readouterr()
    usable = [case for case in torture() if case.transport != "tcp"]
    first, second = printed.out.splitlines()
    assert first.startswith(f"{len(usable)} cases, {len(usable) + 1} canaries, ")
    assert second == f"{len(usable) + 1} of {len(usable) + 1} canaries came back"
    assert printed.err == ""


def test_report_of_the_case_that_a_collector_did_not_survive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Collector(tmp_path / "flows.json", deaf_after=b"\x01\x00\x00\x03")
    wait_for(broken, monkeypatch)
    try:
        arguments = ["--to", f"127.0.0.1:{broken.port}", "--only", "set-length-*", *FAST]
        arguments += ["--canary-file", str(broken.path), "--wait", "0.001"]
        assert main(arguments) == 1
    finally:
        broken.stop()
    names = [case.name for case in torture("set-length-*")]
    at = names.index("set-length-three")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{at + 1} of {len(names) + 1} canaries came back"
    assert lines[2:] == [
        f"lost: canaries {at + 1} to {len(names)} ({canary_address(at + 1)} and following), "
        "after set-length-three"
    ]


def test_report_of_one_lost_canary(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    send = Sender.send

    def lossy(self: Sender, octets: bytes) -> None:
        if socket.inet_aton(canary_address(0)) not in octets:
            send(self, octets)

    monkeypatch.setattr(Sender, "send", lossy)
    arguments = ["--to", f"127.0.0.1:{collector.port}", "--only", "boolean-three", *FAST]
    arguments += ["--canary-file", str(collector.path), "--wait", "0.001"]
    assert main(arguments) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "1 of 2 canaries came back",
        "lost: canary 0 (198.19.0.1), before the first case",
    ]


def test_canaries_of_v9_and_several_rounds(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--to", f"127.0.0.1:{collector.port}", "--only", "padding-*", "--legal", "--v9"]
    arguments += ["--count", "3", "--canary-file", str(collector.path), *FAST]
    assert main(arguments) == 0
    cases = len(list(torture("padding-*", legal=True)))
    assert f"{3 * cases} cases, {3 * cases + 1} canaries" in capsys.readouterr().out
    assert sum(octets[:2] == b"\0\x09" for octets in collector.messages) == 3 * cases + 1


def test_no_canary_file(collector: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--to", f"127.0.0.1:{collector.port}", "--only", "boolean-three", *FAST]
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("1 cases, 2 canaries, 3 messages in ")


def test_duration(collector: Collector, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--to", f"127.0.0.1:{collector.port}", "--duration", "0.000001"]
    assert main([*arguments, "--count", "400", *FAST]) == 0
    assert capsys.readouterr().out.startswith("0 cases, 1 canaries, ")


def test_over_tcp_each_case_has_a_connection(capsys: pytest.CaptureFixture[str]) -> None:
    connections = []
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:

        def collect() -> None:
            while True:
                connection, _ = server.accept()
                with connection:
                    octets = b""
                    while data := connection.recv(65536):
                        octets += data
                connections.append(octets)
                if octets == b"end":
                    return

        thread = threading.Thread(target=collect)
        thread.start()
        to = server.getsockname()[:2]
        arguments = ["--to", f"127.0.0.1:{to[1]}", "--proto", "tcp", "--only", "withdrawal-*"]
        assert main([*arguments, "--only", "v9-*", *FAST]) == 0
        with Sender(to, "tcp") as last:
            last.send(b"end")
        thread.join(20)
    names = [case.name for case in torture("withdrawal-*") if case.transport != "udp"]
    # the first connection only finds out whether the collector is there
    assert connections[0] == b""
    sent = connections[1:-1]
    assert len(sent) == 2 * len(names) + 1
    assert [len(list(iter_records(octets))) for octets in sent[::2]] == [1] * (len(names) + 1)
    assert capsys.readouterr().out.startswith(f"{len(names)} cases, {len(names) + 1} canaries")


def test_interrupted(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    send = Sender.send
    sent: list[bytes] = []

    def interrupted(self: Sender, octets: bytes) -> None:
        if len(sent) == 4:
            raise KeyboardInterrupt
        sent.append(octets)
        send(self, octets)

    monkeypatch.setattr(Sender, "send", interrupted)
    arguments = ["--to", f"127.0.0.1:{collector.port}", "--canary-file", str(collector.path)]
    assert main([*arguments, *FAST]) == 130
    printed = capsys.readouterr()
    assert printed.out.startswith("2 cases, 2 canaries, 4 messages in ")
    assert printed.out.count("\n") == 1
    assert printed.err == ""


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--illegal"]) == 0
    text = capsys.readouterr().out
    names = [case.name for case in torture(legal=False)]
    assert text.count("\n") == 3 * len(names)
    assert [line.split(" ")[0] for line in text.splitlines()[::3]] == names
    assert "message-length-zero (illegal, RFC 7011 3.1)\n    The message header has " in text


@pytest.mark.parametrize("version", [[], ["--v9"]])
def test_pcap(tmp_path: Path, version: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.pcap"
    assert main(["--pcap", str(path), *version]) == 0
    addresses = {record.get("sourceIPv4Address") for record in iter_records(path)}
    number = len(list(torture()))
    assert {canary_address(each) for each in range(number + 1)} <= addresses
    assert capsys.readouterr().err.endswith(f"octets to {path}\n")


def test_collector_output_begins_at_the_end_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "flows.txt"
    path.write_bytes(b"198.19.0.1 is old\n")
    output = CollectorOutput(path)
    assert output.addresses() == set()
    with path.open("ab") as file:
        file.write(
            b'{"src":"198.19.0.2"},198.19.0.3,x198.19.0.4 198.19.0.5:80 '
            b"1.198.19.0.6 \xff 198.19.0.71."
        )
    assert output.addresses() == {"198.19.0.2", "198.19.0.3", "198.19.0.5", "198.19.0.71"}
    path.write_bytes(b"198.19.0.8")  # written again, and shorter
    assert output.addresses() == {"198.19.0.8"}
    assert CollectorOutput(tmp_path / "not yet").addresses() == set()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "one of the arguments --to --pcap --list is required"),
        (["--list", "--only", "nonsense"], "no case is called 'nonsense'"),
        (["--list", "--only", "boolean-*", "--legal"], "no legal case is called 'boolean-*'"),
        (["--list", "--legal", "--illegal"], "not allowed with argument"),
        (["--to", "127.0.0.1", "--rate", "0"], "'0' is not a number above 0"),
        (["--to", "127.0.0.1", "--count", "10000"], "more canaries than the 65534 addresses"),
        (["--to", "[127.0.0.1"], "is not [HOST]:PORT"),
        (["--pcap", "no/such/directory"], "no/such/directory: No such file"),
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
    assert printed.err.startswith("scapy-ipfix torture: ")
    assert printed.err.count("\n") == 1

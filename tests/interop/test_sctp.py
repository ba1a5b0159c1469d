# SPDX-License-Identifier: GPL-2.0-or-later
"""SCTP as a kernel speaks it: what we send, what softflowd sends, and both of them sniffed.

Many a kernel has none (Linux: ``modprobe sctp``), and then this is skipped. Without root,
or in a container, ``python -m tests.interop.guest`` boots one that has, and runs it there.
"""

import shutil
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from scapy.all import IP, UDP, AsyncSniffer, Ether, Raw, wrpcap
from scapy.config import conf
from scapy.layers.sctp import SCTPChunkData

from scapy_ipfix import (
    IPFIX,
    Exporter,
    IPFIXSession,
    NetFlowV9,
    Template,
    dissect,
    iter_records,
)
from scapy_ipfix.exporting.sending import Sender

from .collectors import running, within_deadline

pytestmark = pytest.mark.slow

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount", "interfaceName")
ROWS = [("192.0.2.1", number, f"eth{number}") for number in range(200)]
#: Seconds that anything may take: the kernel that has SCTP may be an emulated one.
PATIENCE = 45.0
_SCTP = 132
#: A message that is not all of what its sender gave the kernel at once lacks this flag.
_WHOLE = getattr(socket, "MSG_EOR", 0x80)
_LINGER = struct.pack("ii", 1, 0)


def patient(done: Callable[[], bool]) -> bool:
    return within_deadline(done, PATIENCE)


class Listener:
    """A socket that takes one association after the other, and keeps their user messages."""

    def __init__(self, host: str) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM, _SCTP)
        self.socket.settimeout(0.2)
        self.socket.bind((host, 0))
        self.socket.listen()
        self.to: tuple[str, int] = (host, self.socket.getsockname()[1])
        self.associations: list[list[bytes]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed:
            try:
                association, _ = self.socket.accept()
            except TimeoutError:
                continue
            messages: list[bytes] = []
            self.associations.append(messages)
            with association:
                association.settimeout(PATIENCE)
                pieces = b""
                while True:
                    octets, _, flags, _ = association.recvmsg(1 << 17)
                    if not octets:
                        break
                    pieces += octets
                    if flags & _WHOLE:
                        messages.append(pieces)
                        pieces = b""

    def close(self) -> None:
        self._closed = True
        self._thread.join(PATIENCE)
        self.socket.close()

    def has(self, count: int) -> bool:
        return sum(map(len, self.associations)) >= count

    def take(self, count: int) -> list[bytes]:
        """Receive ``count`` messages of all associations."""
        assert patient(lambda: self.has(count))
        messages = [each for association in self.associations for each in association]
        assert len(messages) == count
        return messages


@pytest.fixture(params=["127.0.0.1", "::1"])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    try:
        listening = Listener(request.param)
    except OSError as problem:
        pytest.skip(f"no SCTP here over {request.param}: {problem}")
    yield listening
    listening.close()


@pytest.fixture
def sniffed(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[IPFIXSession, AsyncSniffer]]:
    """A session that watches what comes to the listener."""
    monkeypatch.setattr(conf, "bufsize", 1 << 24)
    session, begun = IPFIXSession(), threading.Event()
    try:
        sniffer = AsyncSniffer(
            iface="lo",
            filter=f"inbound and sctp and port {listener.to[1]}",
            session=session,
            started_callback=begun.set,
        )
        sniffer.start()
    except PermissionError:
        pytest.skip("no right to sniff (CAP_NET_RAW)")
    assert begun.wait(PATIENCE)
    yield session, sniffer
    if sniffer.running:
        sniffer.stop()


def records_read(session: IPFIXSession) -> int:
    return sum(each.stats.records for each in list(session.collector.domains))


def counts(messages: list[bytes]) -> list[int]:
    return [each["octetDeltaCount"] for each in iter_records(messages)]


# -- sending


@pytest.mark.parametrize("mtu", [576, 1400, None])
def test_a_user_message_is_an_ipfix_message(listener: Listener, mtu: int | None) -> None:
    with Exporter(mtu=mtu, domain=7) as exporter:
        sent = exporter.send(FLOW, ROWS, to=listener.to, proto="sctp")
    messages = listener.take(sent.messages)
    assert all(len(each) == int.from_bytes(each[2:4], "big") for each in messages)
    assert counts(messages) == list(range(200))
    assert len(listener.associations) == 1


def test_a_message_of_64_kib(listener: Listener) -> None:
    rows = [("192.0.2.1", number, "e" * 250) for number in range(1000)]
    with Exporter(mtu=None) as exporter:
        sent = exporter.send(FLOW, rows, to=listener.to, proto="sctp")
    messages = listener.take(sent.messages)
    assert max(map(len, messages)) > 65_000
    assert counts(messages) == list(range(1000))


def test_netflow_v9(listener: Listener) -> None:
    """RFC 3954 5 has it over SCTP as well, and a user message says how long it is."""
    template = Template(256, "IPV4_SRC_ADDR", "IN_BYTES")
    with Exporter(version=9) as exporter:
        sent = exporter.send(template, [row[:2] for row in ROWS], to=listener.to, proto="sctp")
    messages = listener.take(sent.messages)
    assert all(NetFlowV9(each).version == 9 for each in messages)
    assert counts(messages) == list(range(200))


def test_the_end_of_an_association_is_the_end_of_its_templates(listener: Listener) -> None:
    exporter = Exporter()
    for _ in range(2):
        exporter.send(FLOW, ROWS[:3], to=listener.to, proto="sctp")
        exporter.send(FLOW, ROWS[3:5], to=listener.to, proto="sctp")
        exporter.close()
    assert patient(lambda: listener.has(4))
    assert [len(each) for each in listener.associations] == [2, 2]
    for association in listener.associations:
        assert IPFIX(association[0]).sequenceNumber == 0
        assert counts(association) == list(range(5))


def test_nobody_listens(listener: Listener) -> None:
    host = listener.to[0]
    with socket.socket(listener.socket.family, socket.SOCK_STREAM, _SCTP) as idle:
        idle.bind((host, 0))
        to = host, idle.getsockname()[1]
        with pytest.raises(ConnectionRefusedError, match=rf"sctp \S*{host}\S*:{to[1]}: Connection"):
            Sender(to, "sctp")


def test_a_collector_that_goes_away(listener: Listener) -> None:
    with socket.socket(listener.socket.family, socket.SOCK_STREAM, _SCTP) as rude:
        rude.settimeout(PATIENCE)
        rude.bind((listener.to[0], 0))
        rude.listen()
        to = listener.to[0], rude.getsockname()[1]
        with Sender(to, "sctp") as sender:
            association, _ = rude.accept()
            association.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            association.close()

            def sent_in_vain() -> bool:
                sender.send(bytes(IPFIX()))
                return False

            with pytest.raises(OSError, match=rf"sctp \S*{to[0]}\S*:{to[1]}: "):
                patient(sent_in_vain)


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "--flows", "300", "--seed", "1"],
        ["send", str(Path(__file__).parents[2] / "pcaps" / "softflowd_ipfix.pcap"), "--rate", "50"],
    ],
    ids=["generate", "send"],
)
def test_the_command(listener: Listener, arguments: list[str]) -> None:
    host, port = listener.to
    to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [sys.executable, "-m", "scapy_ipfix", *arguments, "--to", to, "--proto", "sctp"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert patient(lambda: listener.has(1))
    messages = [each for association in listener.associations for each in association]
    records = list(iter_records(messages))
    if arguments[0] == "generate":
        assert len(records) == 300
    else:
        assert records == list(iter_records(arguments[1]))


# -- sniffing


@pytest.mark.parametrize("mtu", [576, None])
def test_our_own(
    listener: Listener, sniffed: tuple[IPFIXSession, AsyncSniffer], mtu: int | None
) -> None:
    """The kernel cuts a message of 64 KiB into chunks."""
    session, sniffer = sniffed
    rows = [("192.0.2.1", number, "e" * 250) for number in range(300)]
    with Exporter(mtu=mtu, domain=7) as exporter:
        exporter.send(FLOW, rows, to=listener.to, proto="sctp")
    assert patient(lambda: records_read(session) == len(rows)), f"{session}"
    packets = sniffer.stop()
    found = [
        record["octetDeltaCount"]
        for packet in packets
        for layer in packet.iterpayloads()
        if isinstance(layer, SCTPChunkData) and isinstance(layer.data, IPFIX)
        for record in layer.data.records
    ]
    assert found == list(range(len(rows)))
    (domain,) = session.collector.domains
    assert (domain.transport.protocol, domain.id) == ("sctp", 7)
    assert domain.transport.destination_port == listener.to[1]
    assert not session.diagnostics.counts
    again = [bytes(packet) for packet in dissect(packets)]
    assert again == [bytes(packet) for packet in packets]


def test_softflowd(
    listener: Listener, sniffed: tuple[IPFIXSession, AsyncSniffer], tmp_path: Path
) -> None:
    program = shutil.which("softflowd")
    if program is None:
        pytest.skip("softflowd is not installed")
    session, sniffer = sniffed
    fed = str(tmp_path / "fed.pcap")
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(
        src="192.0.2.1", dst="192.0.2.2"
    )
    wrpcap(fed, [frame / UDP(sport=1000 + each, dport=53) / Raw(b"x" * each) for each in range(50)])
    host, port = listener.to
    to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [program, "-d", "-r", fed, "-n", to, "-v", "10", "-P", "sctp"]
    command += ["-c", str(tmp_path / "control"), "-p", str(tmp_path / "pid")]

    def flows(records: object) -> list[int]:
        assert isinstance(records, list)
        ports = [each.get("sourceTransportPort") for each in records]
        return sorted(port for port in ports if port)

    def received() -> list[dict[str, object]]:
        return list(iter_records([m for each in listener.associations for m in each]))

    with running(*command):
        control = ["softflowctl", "-c", str(tmp_path / "control")]
        told = [*control, "statistics"]
        assert patient(
            lambda: b"processed: 50\n" in subprocess.run(told, capture_output=True).stdout
        )
        subprocess.run([*control, "shutdown"], capture_output=True)
        assert patient(lambda: flows(received()) == list(range(1000, 1050)))
    assert patient(lambda: records_read(session) == len(received())), f"{session}"
    packets = sniffer.stop()
    assert flows(list(iter_records(packets))) == list(range(1000, 1050))
    (domain,) = session.collector.domains
    assert domain.transport.protocol == "sctp"

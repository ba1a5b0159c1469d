# SPDX-License-Identifier: GPL-2.0-or-later
"""Sniffing on the loopback while softflowd and pmacctd export what they were fed."""

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, TCP, UDP, AsyncSniffer, Ether, IPv6, Packet, Raw, wrpcap
from scapy.arch.common import compile_filter
from scapy.error import Scapy_Exception

from scapy_ipfix import IPFIX, IPFIXSession, NetFlowV9

from .collectors import DEADLINE, running, within_deadline

pytestmark = pytest.mark.slow

_PROTOCOLS = {"UDP": 17, "TCP": 6}


@dataclass(frozen=True)
class Flow:
    """Packets of one flow that the exporter is fed with."""

    source: str
    destination: str
    transport: Any
    packets: int
    octets: int

    @property
    def frames(self) -> list[Packet]:
        network = IPv6 if ":" in self.source else IP
        frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        frame /= network(src=self.source, dst=self.destination) / self.transport
        frame /= Raw(b"x" * self.octets)
        return [Ether(bytes(frame)) for _ in range(self.packets)]

    @property
    def exported(self) -> dict[str, Any]:
        """Return the values in the record of the flow; counters are of IP packets."""
        version = 6 if ":" in self.source else 4
        (frame, *_) = self.frames
        return {
            f"sourceIPv{version}Address": self.source,
            f"destinationIPv{version}Address": self.destination,
            "sourceTransportPort": self.transport.sport,
            "destinationTransportPort": self.transport.dport,
            "protocolIdentifier": _PROTOCOLS[self.transport.name],
            "packetDeltaCount": self.packets,
            "octetDeltaCount": self.packets * len(frame.payload),
        }


FLOWS = (
    Flow("192.0.2.1", "192.0.2.2", UDP(sport=1111, dport=53), 3, 10),
    Flow("192.0.2.3", "192.0.2.2", TCP(sport=2222, dport=80, flags="PA"), 2, 100),
    Flow("192.0.2.4", "192.0.2.5", UDP(sport=4444, dport=514), 1, 1000),
    Flow("2001:db8::1", "2001:db8::2", UDP(sport=3333, dport=514), 4, 50),
)


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture of the flows, a tenth of a second between packets."""
    path = tmp_path_factory.mktemp("fed") / "flows.pcap"
    frames = [frame for flow in FLOWS for frame in flow.frames]
    for number, frame in enumerate(frames):
        frame.time = time.time() - 60 + number / 10
    wrpcap(str(path), frames)
    return path


@pytest.fixture(scope="module", autouse=True)
def allowed() -> None:
    """Sniffing takes Linux, a right, and libpcap to compile a filter."""
    if not hasattr(socket, "AF_PACKET"):
        pytest.skip("no packet sockets here: not Linux")
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except PermissionError:
        pytest.skip("no right to sniff (CAP_NET_RAW)")
    try:
        compile_filter("udp port 4739", iface="lo")
    except (Scapy_Exception, OSError, ImportError) as problem:
        pytest.skip(f"no filter can be compiled: {problem}")


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


# -- the collector's end


@dataclass
class Collector:
    """A socket that takes what exporters send, and a sniffer that watches."""

    host: str
    port: int
    session: IPFIXSession
    sniffer: AsyncSniffer
    #: Packets that prn got, each once (the loopback shows it going out and coming in), and what
    #: the records in them said then.
    seen: list[Packet] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0

    @property
    def target(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def take(self, packet: Packet) -> None:
        self.calls += 1
        if any(bytes(packet) == bytes(each) for each in self.seen):
            return
        self.seen.append(packet)
        for layer in packet.iterpayloads():
            if isinstance(layer, (IPFIX, NetFlowV9)):
                self.records += [record.values() for record in layer.records]

    @property
    def flows(self) -> list[dict[str, Any]]:
        """Return from each flow record the fields of :attr:`Flow.exported`."""
        return [
            {key: value for key, value in record.items() if key in flow.exported}
            for record in self.records
            if "octetDeltaCount" in record
            for flow in FLOWS
            if flow.source in record.values()
        ]

    def has_all(self) -> bool:
        return len(self.flows) >= len(FLOWS)


@contextmanager
def collecting(host: str, protocol: str = "udp") -> Iterator[Collector]:
    """Run a collector on a free port of the loopback, with a sniffer that has started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as sink:
        try:
            sink.bind((host, 0))
        except OSError:
            pytest.skip(f"no {host} on the loopback")
        if protocol == "tcp":
            sink.listen()
        port = sink.getsockname()[1]
        session, begun = IPFIXSession(), threading.Event()
        sniffer = AsyncSniffer(
            iface="lo",
            filter=f"{protocol} port {port}",
            session=session,
            prn=lambda packet: collector.take(packet),
            started_callback=begun.set,
            store=True,
        )
        collector = Collector(host, port, session, sniffer)
        sniffer.start()
        assert begun.wait(DEADLINE)
        try:
            yield collector
        finally:
            sniffer.stop()


# -- the exporters


def softflowd(collector: Collector, fed: Path, directory: Path, *options: str) -> None:
    """Export the flows of a capture with softflowd, which ends after a command."""
    control = str(directory / "softflowd.ctl")
    command = [program("softflowd"), "-d", "-a", "-r", str(fed), "-n", collector.target]
    command += ["-c", control, "-p", str(directory / "softflowd.pid"), *options]
    packets = sum(flow.packets for flow in FLOWS)

    def tell(what: str) -> str:
        told = [program("softflowctl"), "-c", control, what]
        return subprocess.run(told, capture_output=True, text=True, timeout=DEADLINE).stdout

    with running(*command) as process:

        def is_read() -> bool:
            return process.poll() is not None or f"processed: {packets}\n" in tell("statistics")

        assert within_deadline(is_read), "softflowd does not read"
        tell("shutdown")
        assert within_deadline(collector.has_all), f"{collector.session}"


def expected() -> list[dict[str, Any]]:
    return [flow.exported for flow in FLOWS]


def by_source(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(records, key=lambda each: each["sourceTransportPort"])


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", [IPFIX, NetFlowV9])
def test_softflowd(version, host, fed, tmp_path):
    number = "10" if version is IPFIX else "9"
    with collecting(host) as collector:
        softflowd(collector, fed, tmp_path, "-v", number)
    assert by_source(collector.flows) == by_source(expected())
    assert all(version in packet for packet in collector.seen)
    session = collector.session
    assert len(session.templates) == 5
    (domain,) = session.collector.domains
    assert domain.transport.source == host
    assert domain.transport.destination_port == collector.port
    # Linux shows each packet of the loopback interface twice; the second copy is left out.
    assert set(session.diagnostics.counts) <= {
        *("packet-duplicate", "sequence-convention", "count-disagrees"),
    }


@pytest.mark.parametrize("clock", ["sec", "milli", "micro", "nano"])
def test_times(clock, fed, tmp_path):
    with collecting("127.0.0.1") as collector:
        softflowd(collector, fed, tmp_path, "-v", "10", "-A", clock)
    name = {"sec": "Seconds", "milli": "Milliseconds"}.get(clock, f"{clock.title()}seconds")
    flows = [
        record.values("python")
        for packet in collector.seen
        for record in packet[IPFIX].records
        if "octetDeltaCount" in record.values()
    ]
    assert len(flows) == len(FLOWS)
    for each in flows:
        start, end = each[f"flowStart{name}"], each[f"flowEnd{name}"]
        assert abs(start.timestamp() - time.time()) < 600
        assert (end - start).total_seconds() <= 2


def test_a_packet_is_seen_once_with_its_records(fed, tmp_path):
    with collecting("127.0.0.1") as collector:
        softflowd(collector, fed, tmp_path, "-v", "10")
    results = list(collector.sniffer.results)
    assert collector.calls == len(results)
    assert len({id(each) for each in results}) == len(results)
    assert [each for each in results if any(each is seen for seen in collector.seen)] == (
        collector.seen
    )
    payloads = [bytes(packet[IPFIX]) for packet in collector.seen]
    assert len(set(payloads)) == len(payloads)
    # Records read in prn are equal to records read afterwards.
    later = [r.values() for packet in collector.seen for r in packet[IPFIX].records]
    assert later == collector.records


def test_softflowd_over_tcp(fed, tmp_path):
    with collecting("127.0.0.1", "tcp") as collector:
        softflowd(collector, fed, tmp_path, "-v", "10", "-P", "tcp")
    assert by_source(collector.flows) == by_source(expected())
    assert all(domain.transport.protocol == "tcp" for domain in collector.session.collector.domains)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", [IPFIX, NetFlowV9])
def test_pmacctd(version, host, fed, tmp_path):
    command = program("pmacctd")
    with collecting(host) as collector:
        configuration = tmp_path / "pmacctd.conf"
        configuration.write_text(
            "daemonize: false\n"
            f"pcap_savefile: {fed}\n"
            "plugins: nfprobe[probe]\n"
            f"nfprobe_receiver: {collector.target}\n"
            f"nfprobe_version: {10 if version is IPFIX else 9}\n"
            "aggregate: src_host, dst_host, src_port, dst_port, proto, tos\n"
        )
        with running(command, "-f", str(configuration)):
            assert within_deadline(collector.has_all), f"{collector.session}"
    assert by_source(collector.flows) == by_source(expected())
    assert all(version in packet for packet in collector.seen)
    assert set(collector.session.diagnostics.counts) <= {"packet-duplicate"}

# SPDX-License-Identifier: GPL-2.0-or-later
"""Listening while softflowd and pmacctd export: every flow is read, over UDP, TCP and IPv6."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from scapy_ipfix import listen
from scapy_ipfix.reading.listener import Listener

from .collectors import DEADLINE, missing, running, within_deadline

pytestmark = pytest.mark.slow

FLOWS = 40
FIELDS = ["source_address", "source_port", "destination_port", "octets", "packets"]


def frames(number: int) -> list[Packet]:
    """Return the packets of a flow, IPv6 for every second one."""
    if number % 2:
        network = IPv6(src=f"2001:db8::{number:x}", dst="2001:db8::ffff")
    else:
        network = IP(src=f"192.0.2.{number}", dst="192.0.2.255")
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / network
    frame /= UDP(sport=10_000 + number, dport=53) / Raw(bytes(100 + number))
    return [Ether(bytes(frame)) for _ in range(1 + number % 3)]


def expected() -> list[tuple[Any, ...]]:
    rows = []
    for number in range(1, FLOWS + 1):
        packets = frames(number)
        octets = sum(len(each.payload) for each in packets)
        source = packets[0].payload.src
        rows.append((source, 10_000 + number, 53, octets, len(packets)))
    return sorted(rows)


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("listen") / "flows.pcap"
    packets = [frame for number in range(1, FLOWS + 1) for frame in frames(number)]
    for number, frame in enumerate(packets):
        frame.time = time.time() - 60 + number / 100
    wrpcap(str(path), packets)
    return path


def collect(listener: Listener, rows: list[tuple[Any, ...]]) -> Callable[[], bool]:
    """Return a function that reads what has arrived, and is True once all flows have."""

    def has_all() -> bool:
        found = listener.poll()
        for _, message in found or ():
            for read in message.ready:
                rows.extend(listener._read(read))
        return len(rows) >= FLOWS

    return has_all


def check(listener: Listener, rows: list[tuple[Any, ...]], host: str) -> None:
    assert sorted(rows) == expected()
    stats = listener.stats
    assert (stats.dropped, stats.ignored) == (0, 0)
    (domain,) = listener.session.collector.domains
    assert domain.transport.source == host
    assert domain.transport.destination == host


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(("version", "proto"), [("9", "udp"), ("10", "udp"), ("10", "tcp")])
def test_softflowd(version: str, proto: Any, host: str, capture: Path, tmp_path: Path) -> None:
    if reason := missing("softflowd", "softflowctl"):
        pytest.skip(reason)
    rows: list[tuple[Any, ...]] = []
    control = str(tmp_path / "softflowd.ctl")
    with listen(0, proto=proto, fields=FIELDS, kind="data") as listener:
        target = f"{f'[{host}]' if ':' in host else host}:{listener.ports[0]}"
        command = ["softflowd", "-d", "-a", "-r", str(capture), "-n", target, "-v", version]
        command += ["-P", proto, "-c", control, "-p", str(tmp_path / "softflowd.pid")]
        packets = sum(len(frames(number)) for number in range(1, FLOWS + 1))

        def ask(request: str) -> str:
            done = subprocess.run(
                ["softflowctl", "-c", control, request],
                capture_output=True,
                text=True,
                timeout=DEADLINE,
            )
            return done.stdout

        with running(*command) as process:
            assert within_deadline(
                lambda: process.poll() is not None or f"processed: {packets}\n" in ask("statistics")
            )
            ask("shutdown")
            assert within_deadline(collect(listener, rows)), str(listener.stats)
        check(listener, rows, host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", ["9", "10"])
def test_pmacctd(version: str, host: str, capture: Path, tmp_path: Path) -> None:
    if reason := missing("pmacctd"):
        pytest.skip(reason)
    rows: list[tuple[Any, ...]] = []
    with listen(0, fields=FIELDS, kind="data") as listener:
        target = f"{f'[{host}]' if ':' in host else host}:{listener.ports[0]}"
        configuration = tmp_path / "pmacctd.conf"
        configuration.write_text(
            "daemonize: false\n"
            f"pcap_savefile: {capture}\n"
            "plugins: nfprobe[probe]\n"
            f"nfprobe_receiver: {target}\n"
            f"nfprobe_version: {version}\n"
            "aggregate: src_host, dst_host, src_port, dst_port, proto, tos\n"
        )
        with running("pmacctd", "-f", str(configuration)):
            assert within_deadline(collect(listener, rows)), str(listener.stats)
        check(listener, rows, host)

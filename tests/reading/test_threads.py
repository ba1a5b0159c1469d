# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads with a session each, and threads that read the tables of a session in use."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Packet
from scapy.utils import rdpcap

from scapy_ipfix import IPFIX, Exporter, IPFIXSession, Template, dissect, iter_records
from tests.builders import message_octets, raw_message, raw_set, template_sets

NAMES = ("softflowd_ipfix.pcap", "pmacctd_v9.pcap", "ovs_ipfix.pcap", "softflowd_v9.pcap")


@pytest.fixture
def _switching() -> Iterator[None]:
    """Let Python switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def results(path: Path) -> tuple[Any, ...]:
    """Return what one thread reads from a capture and writes."""
    session = IPFIXSession()
    records = list(iter_records(path, values="python", resolve=True, session=session))
    packets = dissect(rdpcap(str(path)), IPFIXSession())
    shown = [packet.show(dump=True) for packet in packets[:5]]
    flow = Template(256, "sourceIPv4Address", "octetDeltaCount[4]")
    rows = [("192.0.2.1", number) for number in range(300)]
    written = [bytes(each) for each in Exporter(domain=7).export(flow, rows, export_time=0)]
    return records, shown, written, str(session.stats), list(map(str, session.diagnostics))


@pytest.mark.usefixtures("_switching")
def test_sessions_in_threads_read_the_same_as_one_by_one(root: Path) -> None:
    paths = [root / "pcaps" / name for name in NAMES]
    alone = [results(path) for path in paths]
    with ThreadPoolExecutor(len(paths)) as pool:
        assert list(pool.map(results, paths)) == alone


def exporters(count: int) -> Iterator[Packet]:
    """Yield packets of many exporters, each with templates, options data and gaps."""
    flow = Template(256, "sourceIPv4Address", "octetDeltaCount[4]")
    names = Template(257, "ingressInterface", "interfaceName[8]", scope=1)
    for number in range(count):
        headers = IP(src=f"192.0.2.{number % 250}", dst="192.0.2.255")
        headers /= UDP(sport=10_000 + number, dport=4739)
        octets = message_octets(*template_sets(flow, names), domain=number)
        yield headers / IPFIX(octets)
        body = number.to_bytes(4, "big") + b"eth%05d" % number
        yield headers / IPFIX(raw_message(raw_set(257, body), domain=number, sequence=7))


@pytest.mark.usefixtures("_switching")
def test_tables_are_read_while_another_thread_feeds_the_session(tmp_path: Path) -> None:
    session = IPFIXSession()
    packets = [IP(bytes(each)) for each in exporters(300)]
    is_fed = threading.Event()
    problems: list[Exception] = []

    def look() -> None:
        try:
            while not is_fed.is_set():
                str(session.templates), str(session.metadata), repr(session)
                str(session.diagnostics), list(session.diagnostics)
                session.save(tmp_path / f"{threading.get_ident()}.json")
                if session.stats:
                    session.template(256, domain=0)
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for packet in packets:
        session.process(packet)
    is_fed.set()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(session.stats) == 300
    assert len(session.templates) == 600

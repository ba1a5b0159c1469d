# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads that each have a session of their own, as README.md permits."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from scapy.utils import rdpcap

from scapy_ipfix import Exporter, IPFIXSession, Template, dissect, iter_records

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

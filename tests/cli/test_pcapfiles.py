# SPDX-License-Identifier: GPL-2.0-or-later
"""Rotation of pcap files of received messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from scapy_ipfix import IPFIXSession, iter_records
from scapy_ipfix.cli.pcapfiles import PcapFiles
from scapy_ipfix.collector.transportkey import TransportKey
from tests.builders import raw_message, raw_set, raw_template

IPV4 = TransportKey("udp", "192.0.2.1", 5000, "192.0.2.9", 4739)
IPV6 = TransportKey("tcp", "2001:db8::1", 5000, "2001:db8::9", 4739)
MESSAGE = raw_message(
    raw_set(2, raw_template(256, (1, 8))), raw_set(256, bytes(8)), exported=1_700_000_000
)
TIME = 1_700_000_000.25


def test_one_file_for_all(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    files = PcapFiles(str(path))
    for key in (IPV4, IPV6, IPV4):
        files.write(key, TIME, MESSAGE)
    files.flush()
    session = IPFIXSession()
    assert len(list(iter_records(path, session=session))) == 3
    files.close()
    assert {row.exporter for row in session.stats} == {"192.0.2.1:5000", "[2001:db8::1]:5000"}


def test_rotation_by_size(tmp_path: Path) -> None:
    files = PcapFiles(str(tmp_path / "x.pcap"), max_size=1000)
    for number in range(50):
        files.write(IPV4, TIME + number / 1000, MESSAGE)
    files.close()
    paths = sorted(tmp_path.iterdir())
    assert len(paths) > 3
    assert all(path.stat().st_size <= 1000 for path in paths)
    assert paths[0].name == "x-20231114T221320.250000Z.pcap"
    assert sum(len(list(iter_records(path))) for path in paths) == 50


def test_rotation_by_time(tmp_path: Path) -> None:
    files = PcapFiles(str(tmp_path / "x.pcap"), max_seconds=10)
    for number in range(30):
        files.write(IPV4, TIME + number, MESSAGE)
    files.close()
    assert [len(list(iter_records(path))) for path in sorted(tmp_path.iterdir())] == [10, 10, 10]


def test_no_file_is_replaced(tmp_path: Path) -> None:
    for _ in range(2):
        files = PcapFiles(str(tmp_path / "x.pcap"), max_size=1 << 20)
        files.write(IPV4, TIME, MESSAGE)
        files.close()
    assert len(list(tmp_path.iterdir())) == 2


def test_what_a_datagram_cannot_hold(tmp_path: Path) -> None:
    files = PcapFiles(str(tmp_path / "x.pcap"))
    files.write(IPV6, TIME, bytes(65535))
    files.close()
    assert files.skipped == 1
    assert list(iter_records(tmp_path / "x.pcap")) == []


@pytest.mark.parametrize("rotation", [{}, {"max_size": 1000}])
def test_a_directory_that_is_missing(rotation: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"\S"):
        PcapFiles(str(tmp_path / "none" / "x.pcap"), **rotation)

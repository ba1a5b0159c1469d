# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIXSession after another session of Scapy, which reassembles for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.sendrecv import sniff
from scapy.sessions import IPSession, TCPSession

from scapy_ipfix import IPFIXSession

PCAPS = Path(__file__).parents[2] / "pcaps"


@pytest.mark.parametrize("supersession", [None, TCPSession, IPSession])
@pytest.mark.parametrize(
    ("name", "messages", "records"),
    [
        ("softflowd_ipfix_tcp.pcap", 6, 142),
        ("softflowd_ipfix_sctp.pcap", 4, 81),
        ("softflowd_ipfix_fragmented.pcap", 4, 82),
        ("softflowd_v9.pcap", 4, 81),
    ],
)
def test_the_same_records(name: str, messages: int, records: int, supersession: type) -> None:
    session = IPFIXSession(supersession() if supersession else None)
    sniff(offline=str(PCAPS / name), session=session)
    domains = list(session.collector.domains)
    assert sum(each.stats.messages for each in domains) == messages
    assert sum(each.stats.records for each in domains) == records

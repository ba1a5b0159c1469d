# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of resolved values in every route: packets, dicts, tuples, columns."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from scapy.sendrecv import sniff
from scapy.utils import rdpcap

from scapy_ipfix import DataSet, IPFIXSession, NetFlowV9, Template, dissect, iter_records
from scapy_ipfix.layers.messages import Message
from tests.builders import EXPORTED, data_set, message, raw_pcap, template_sets
from tests.flowcases import CASES, EXPORT_TIME, FlowCase, times

by_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture
def capture(case: FlowCase, tmp_path: Path) -> Path:
    """Return a capture of the messages of a case."""
    path = tmp_path / "case.pcap"
    path.write_bytes(raw_pcap(case.frames()))
    return path


def text(value: Any) -> Any:
    """Return a resolved value as in the domains "scapy" and "json"."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.total_seconds() if isinstance(value, timedelta) else value


@by_case
def test_properties_of_packets(case: FlowCase, capture: Path) -> None:
    sniffed = sniff(offline=str(capture), session=IPFIXSession(), quiet=True)
    dissected = dissect(rdpcap(str(capture)))
    for packets in (sniffed, dissected):
        records = [record for pkt in packets for record in pkt.getlayer(Message).records]
        data = [each for each in records if not each.template.is_options]
        for record, expected in zip(data, case.expected, strict=True):
            assert {name: getattr(record, name) for name in expected} == expected
            assert {name: getattr(record.copy(), name) for name in expected} == expected


@by_case
def test_dicts(case: FlowCase, capture: Path) -> None:
    for source in (capture, [bytes(each) for each in case.messages], case.packets()):
        found = list(iter_records(source, kind="data", values="python", resolve=True))
        for record, expected in zip(found, case.expected, strict=True):
            assert record.items() >= expected.items()
        for values in ("scapy", "json"):
            found = list(iter_records(source, kind="data", values=values, resolve=True))
            for record, expected in zip(found, case.expected, strict=True):
                assert {name: record[name] for name in expected} == {
                    name: text(value) for name, value in expected.items()
                }


def test_options_have_no_resolved_values() -> None:
    case = CASES["uptime_of_ipfix"]
    (record,) = iter_records(case.packets(), kind="options", resolve=True)
    assert set(record) == {"meteringProcessId", "systemInitTimeMilliseconds"}
    session = IPFIXSession()
    (packet,) = dissect(case.packets(), session)
    options = packet.getlayer(DataSet).records[0]
    assert options.flow_start is options.source_address is None


def test_packets_without_a_session_have_the_times_of_their_header() -> None:
    case = CASES["uptime_of_v9"]
    (record,) = NetFlowV9(bytes(case.messages[0])).records
    assert record.flow_start == EXPORT_TIME - timedelta(seconds=10)
    record.parent.parent.unixSecs = EXPORTED + 1
    assert record.flow_start == EXPORT_TIME - timedelta(seconds=9)
    alone = type(record)(record.template, flowStartSysUpTime=5)
    assert alone.flow_start is alone.flow_end is alone.flow_duration is None


def test_a_record_that_waits_for_its_template_has_the_header_of_its_own_message() -> None:
    template = Template(256, "flowStartSysUpTime", "flowEndSysUpTime")
    first = message(
        data_set(template, [(90_000, 95_000)], 9), version=9, unixSecs=EXPORTED, sysUptime=100_000
    )
    later = message(
        *template_sets(template, version=9),
        version=9,
        unixSecs=EXPORTED + 60,
        sysUptime=160_000,
        sequence=1,
    )
    (record,) = iter_records([first, later], values="python", resolve=True)
    assert record.items() >= times(10, 5).items()


def test_addresses_of_both_families() -> None:
    four = Template(256, "sourceIPv4Address", "sourceTransportPort", "octetDeltaCount")
    six = Template(257, "sourceIPv6Address", "sourceTransportPort", "octetTotalCount")
    octets = message(
        *template_sets(four, six),
        data_set(four, [("192.0.2.1", 53, 10)]),
        data_set(six, [("2001:db8::1", 53, 20)]),
    )
    names = "source_address", "source_port", "octets"
    found = [tuple(each[name] for name in names) for each in iter_records(octets, resolve=True)]
    assert found == [("192.0.2.1", 53, 10), ("2001:db8::1", 53, 20)]

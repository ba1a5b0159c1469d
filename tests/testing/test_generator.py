# SPDX-License-Identifier: GPL-2.0-or-later
"""Generator of flows: determinism, plausibility, rates, messages and departures."""

import hashlib
import ipaddress
import os
import statistics
import subprocess
import sys
from collections import Counter
from datetime import datetime, timezone
from itertools import islice, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scapy_ipfix import Template, iter_records
from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.testing.generator import (
    DEFAULT_START,
    SERVICES,
    Flow,
    departures,
    traffic,
    traffic_messages,
    traffic_templates,
)

START_MS = DEFAULT_START * 1000
HOUR = 3_600_000


def records(**arguments: Any) -> list[dict[str, Any]]:
    return [flow.record for flow in traffic(**arguments)]


def test_same_arguments_same_flows() -> None:
    assert list(traffic(seed=7, flows=500)) == list(traffic(seed=7, flows=500))
    assert list(traffic(seed=7, flows=500)) != list(traffic(seed=8, flows=500))


def test_flows_of_a_seed_never_change() -> None:
    # On every machine and Python: users keep test data that was made with a seed.
    digest = hashlib.sha256()
    for flow in islice(traffic(seed=1, rate="diurnal", duration=86400.0), 3000):
        digest.update(repr(flow.row).encode())
    assert digest.hexdigest() == "59e63393bebd3a8053b02a81474f5218618483f6f2bce01960b79e7bcc680033"


def test_flows_do_not_depend_on_the_process() -> None:
    code = (
        "import hashlib; from scapy_ipfix.testing.generator import traffic; "
        "print(hashlib.sha256(repr([f.row for f in traffic(flows=300)]).encode()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(printed) == 1


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**64),
    hosts=st.sampled_from((2, 3, 17, 1000, 2_000_000)),
    flows=st.integers(0, 60),
    duration=st.sampled_from((0.001, 1.0, 3600.0, 1e6)),
    rate=st.sampled_from(("constant", "diurnal")),
    ipv6=st.floats(0, 1),
    biflow=st.booleans(),
)
def test_any_flow_is_plausible(
    seed: int, hosts: int, flows: int, duration: float, rate: str, ipv6: float, biflow: bool
) -> None:
    # 60 flows in 1e6 s leave whole slots of the day empty
    made = list(traffic(seed, hosts, flows, duration=duration, rate=rate, ipv6=ipv6, biflow=biflow))
    assert len(made) == flows
    ends = [flow.end for flow in made]
    assert ends == sorted(ends)
    assert all(START_MS <= end < START_MS + duration * 1000 for end in ends)
    for flow in made:
        assert flow.template in traffic_templates(biflow)
        assert flow.template.encode(flow.row)
        check(flow)


def check(flow: Flow) -> None:
    """Assert properties that every flow record has."""
    record = flow.record
    lasted = flow.end - record["flowStartMilliseconds"]
    packets, octets = record["packetDeltaCount"], record["octetDeltaCount"]
    assert 0 <= lasted <= 1_800_000
    assert record["flowEndReason"] in (1, 2, 3)
    assert lasted < 1_800_000 or record["flowEndReason"] == 2
    assert packets >= 1
    assert 20 * packets <= octets <= 1500 * packets
    assert 1 in (record["ingressInterface"], record["egressInterface"])
    family = "IPv6" if "sourceIPv6Address" in record else "IPv4"
    for end in ("source", "destination"):
        text = record[f"{end}{family}Address"]
        assert text == str(ipaddress.ip_address(text))
    protocol = record["protocolIdentifier"]
    if protocol == 6:
        assert record["tcpControlBits"] & 2
    elif protocol == 17:
        assert record["tcpControlBits"] == 0
    else:
        assert protocol == (58 if family == "IPv6" else 1)
        assert record[f"icmpTypeCode{family}"] in (0x8000, 0x8100, 0x0800, 0)
    if "reversePacketDeltaCount" in record:
        assert record["biflowDirection"] == 1
        back = record["reversePacketDeltaCount"]
        assert 20 * back <= record["reverseOctetDeltaCount"] <= 1500 * back


def test_responses_have_the_opposite_direction() -> None:
    flows = records(flows=400, ipv6=0.0, mix={"tcp": 1})
    answered = 0
    for one, other in pairwise(flows):
        if not one["sourceIPv4Address"].startswith("10."):
            continue
        assert one["destinationIPv4Address"].startswith("198.")
        assert 32768 <= one["sourceTransportPort"] < 61000
        assert one["egressInterface"] == 1
        if other["sourceIPv4Address"].startswith("198."):
            answered += 1
            assert other["destinationIPv4Address"] == one["sourceIPv4Address"]
            assert other["sourceIPv4Address"] == one["destinationIPv4Address"]
            assert other["sourceTransportPort"] == one["destinationTransportPort"]
            assert other["destinationTransportPort"] == one["sourceTransportPort"]
            assert other["ingressInterface"] == one["egressInterface"]
            assert other["flowEndMilliseconds"] == one["flowEndMilliseconds"]
            assert other["flowStartMilliseconds"] >= one["flowStartMilliseconds"]
    assert 180 < answered < 200  # nearly every second record is the response to the one before


def test_biflows_hold_both_directions() -> None:
    flows = records(flows=2000, biflow=True)
    unanswered = [flow for flow in flows if not flow["reversePacketDeltaCount"]]
    assert 40 < len(unanswered) < 200
    assert all(flow["reverseOctetDeltaCount"] == 0 for flow in unanswered)
    tcp = [flow for flow in unanswered if flow["protocolIdentifier"] == 6]
    assert tcp
    assert {flow["tcpControlBits"] for flow in tcp} == {2}
    assert {flow["reverseTcpControlBits"] for flow in tcp} == {0}


def test_sizes_have_a_heavy_tail() -> None:
    octets = sorted(flow["octetDeltaCount"] for flow in records(flows=20_000))
    total = sum(octets)
    assert sum(octets[-2000:]) > 0.75 * total  # a tenth of the flows
    assert sum(octets[:10_000]) < 0.02 * total  # one half
    assert octets[-1] > 1000 * statistics.median(octets)


def test_some_hosts_are_popular() -> None:
    flows = records(flows=10_000, hosts=1000, ipv6=0.0)
    clients = Counter(
        flow["sourceIPv4Address"] for flow in flows if flow["sourceIPv4Address"][:3] == "10."
    )
    servers = Counter(
        flow["destinationIPv4Address"] for flow in flows if flow["egressInterface"] == 1
    )
    assert 800 < len(clients) <= 938
    assert len(servers) <= 62
    assert clients.most_common(1)[0][1] > 10 * statistics.median(clients.values())


@pytest.mark.parametrize("hosts", [2, 3, 20])
def test_number_of_hosts(hosts: int) -> None:
    flows = records(flows=2000, hosts=hosts, ipv6=0.0, biflow=True)
    assert (
        len({flow[f"{end}IPv4Address"] for flow in flows for end in ("source", "destination")})
        == hosts
    )


@pytest.mark.parametrize(
    ("mix", "protocols"),
    [
        ({"tcp": 1}, {6}),
        ({"udp": 0.2, "tcp": 0}, {17}),
        ({"icmp": 70}, {1, 58}),
        ({"udp": 1, "icmp": 1}, {1, 17, 58}),
        (None, {1, 6, 17, 58}),
    ],
)
def test_mix(mix: dict[str, float] | None, protocols: set[int]) -> None:
    flows = records(flows=3000, mix=mix)
    assert {flow["protocolIdentifier"] for flow in flows} == protocols


def test_mix_has_the_given_proportions() -> None:
    flows = records(flows=8000, mix={"tcp": 3, "udp": 1}, biflow=True)
    tcp = sum(flow["protocolIdentifier"] == 6 for flow in flows)
    assert 0.72 < tcp / 8000 < 0.78


def test_ports_are_those_of_services() -> None:
    flows = records(flows=5000, biflow=True, mix={"tcp": 1, "udp": 1})
    ports = {(f["protocolIdentifier"], f["destinationTransportPort"]) for f in flows}
    numbers = {"tcp": 6, "udp": 17}
    assert ports == {(numbers[s.protocol], s.port) for s in SERVICES if s.protocol != "icmp"}


@pytest.mark.parametrize(("part", "expected"), [(0.0, 0), (1.0, 1000), (0.25, 250)])
def test_ipv6(part: float, expected: int) -> None:
    flows = records(flows=1000, ipv6=part, biflow=True)
    assert abs(sum("sourceIPv6Address" in flow for flow in flows) - expected) < 60


def test_constant_rate() -> None:
    hours = Counter((f.end - START_MS) // HOUR for f in traffic(flows=2400, duration=86400.0))
    assert set(hours) == set(range(24))
    assert all(98 <= number <= 102 for number in hours.values())


def test_diurnal_rate() -> None:
    flows = list(traffic(flows=48_000, duration=2 * 86400.0, rate="diurnal"))
    hours = Counter((flow.end - START_MS) // HOUR for flow in flows)
    assert len(flows) == 48_000
    assert hours[20] > 5 * hours[4] > 0
    assert max(range(24), key=lambda hour: hours[hour]) in (19, 20, 21)
    # the second day equals the first
    assert all(abs(hours[hour] - hours[hour + 24]) < 5 for hour in range(24))


def test_diurnal_rate_depends_on_the_time_of_day() -> None:
    night = datetime(2026, 3, 1, 3, tzinfo=timezone.utc)
    hours = Counter(
        datetime.fromtimestamp(flow.end / 1000, timezone.utc).hour
        for flow in traffic(flows=2000, start=night, duration=6 * 3600.0, rate="diurnal")
    )
    assert hours[8] > 2 * hours[3]


@pytest.mark.parametrize(
    "start",
    [1_700_000_000, 1_700_000_000.5, "2023-11-14T22:13:20Z", datetime(2023, 11, 14, 22, 13, 20)],
)
def test_start(start: Any) -> None:
    first = next(traffic(start=start, duration=1.0)).end
    assert 1_700_000_000_000 <= first < 1_700_000_002_000


def test_endless_traffic_begins_at_once() -> None:
    flows = traffic(flows=10**15, hosts=2_000_000, rate="diurnal", duration=1e9)
    assert len(list(islice(flows, 1000))) == 1000


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"seed": -1}, "seed -1 is negative"),
        ({"hosts": 1}, "hosts 1 is not in 2..2000000"),
        ({"hosts": 2_000_001}, "hosts 2000001"),
        ({"flows": -1}, "flows -1 is negative"),
        ({"duration": 0}, "duration 0 is not"),
        ({"duration": float("nan")}, "duration nan is not"),
        ({"rate": "weekly"}, "rate is 'constant' or 'diurnal', not 'weekly'"),
        ({"ipv6": 1.5}, "ipv6 1.5 is not in 0..1"),
        ({"ipv6": float("nan")}, "ipv6 nan"),
        ({"mix": {"sctp": 1}}, "'sctp' is none of tcp, udp, icmp"),
        ({"mix": {"tcp": -1}}, "tcp is -1"),
        ({"mix": {"tcp": 0}}, "all of it is zero"),
        ({"mix": {}}, "all of it is zero"),
        ({"start": "tomorrow"}, "start 'tomorrow' is not a time"),
        ({"start": 0}, "start 0 is not a time from 1970-01-02"),
        ({"start": float("inf")}, "start inf is not a time"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as raised:
        traffic(**arguments)
    assert text in str(raised.value)


def test_templates() -> None:
    uniflow, biflow = traffic_templates(), traffic_templates(biflow=True)
    assert [each.id for each in (*uniflow, *biflow)] == list(range(256, 264))
    assert all(isinstance(each, Template) and not each.defects() for each in (*uniflow, *biflow))
    assert traffic_templates(False) is traffic_templates()


# -- messages


@pytest.mark.parametrize("version", [9, 10])
def test_messages_hold_all_flows(version: int) -> None:
    flows = list(traffic(flows=3000, duration=20.0))
    messages = list(traffic_messages(flows, Exporter(5, version=version)))
    read = list(iter_records([octets for _, octets in messages]))
    assert len(read) == 3000
    # within a second flows are grouped by template
    for template in traffic_templates():
        sent = [flow.record for flow in flows if flow.template == template]
        assert [each for each in read if tuple(each) == template.names] == sent


def test_messages_are_in_order_and_after_their_flows() -> None:
    messages = list(traffic_messages(traffic(flows=3000, duration=10.0), Exporter()))
    times = [when for when, _ in messages]
    assert times == sorted(times)
    assert len(set(times)) == len(times)
    for when, octets in messages:
        exported = int.from_bytes(octets[4:8], "big")
        assert exported == int(when)
        for record in iter_records(octets):
            assert record["flowEndMilliseconds"] <= when * 1000 + 1


def test_equal_flows_give_equal_messages() -> None:
    def made() -> list[tuple[float, bytes]]:
        return list(traffic_messages(traffic(flows=2000, biflow=True), Exporter(5)))

    assert made() == made()


def test_live_messages_have_the_time_of_the_clock() -> None:
    exporter = Exporter(clock=lambda: 1_800_000_000.0)
    (_, octets), *_ = traffic_messages(traffic(flows=5), exporter, live=True)
    assert int.from_bytes(octets[4:8], "big") == 1_800_000_000


def test_no_flows_no_messages() -> None:
    assert list(traffic_messages(traffic(flows=0), Exporter())) == []


def test_v9_has_no_biflows() -> None:
    with pytest.raises(ValueError, match="has no NetFlow v9 field type"):
        list(traffic_messages(traffic(flows=5, biflow=True), Exporter(version=9)))


# -- departures


def test_departures_fill_a_message_or_are_a_second_old() -> None:
    flows = list(traffic(flows=3000, duration=10.0))
    groups = list(departures(flows, 1000))
    times = [when for when, _, _ in groups]
    assert times == sorted(times)
    ends = {
        template: template.names.index("flowEndMilliseconds") for template in traffic_templates()
    }
    late = 0
    for when, template, rows in groups:
        first, last = rows[0][ends[template]], rows[-1][ends[template]]
        assert last <= when * 1000
        assert len(rows) * template.length <= 1000
        is_full = (len(rows) + 1) * template.length > 1000
        late += not is_full and when * 1000 != first + 1000
    # groups that are left after the last flow
    assert late <= len(traffic_templates())
    for template in traffic_templates():
        left = [row for _, each, rows in groups for row in rows if each == template]
        assert left == [flow.row for flow in flows if flow.template == template]


def test_departures_of_no_flows() -> None:
    assert list(departures([], 1000)) == []

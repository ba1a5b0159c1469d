# SPDX-License-Identifier: GPL-2.0-or-later
"""nfcapd, on the loopback, reports what is crafted here: every record, with its values.

nfcapd (of nfdump) takes IPFIX and NetFlow v9 over UDP only. nfdump reads its files.
"""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from scapy_ipfix import IPFIX, DataSet, Template, TemplateSet, traffic
from scapy_ipfix.cli.generate import main as generate
from scapy_ipfix.cli.send import main as send
from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.exporting.pcap import write_pcap
from scapy_ipfix.testing.generator import traffic_messages

from . import collectors, findings
from .collectors import Nfcapd, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing("nfcapd", "nfdump")), reason=missing("nfcapd", "nfdump")),
]

NOW = int(time.time())
START = NOW * 1000 - 60_000 + 123
#: Names in nfdump of the elements of these flows, except addresses.
NAMES = {
    "sourceTransportPort": "src_port",
    "destinationTransportPort": "dst_port",
    "protocolIdentifier": "proto",
    "ipClassOfService": "src_tos",
    "ingressInterface": "input_snmp",
    "egressInterface": "output_snmp",
    "packetDeltaCount": "in_packets",
    "octetDeltaCount": "in_bytes",
    "bgpSourceAsNumber": "src_as",
    "bgpDestinationAsNumber": "dst_as",
    "reversePacketDeltaCount": "out_packets",
    "reverseOctetDeltaCount": "out_bytes",
}
COMMON = (
    *("sourceTransportPort", "destinationTransportPort", "protocolIdentifier"),
    *("ipClassOfService", "ingressInterface", "egressInterface"),
    *("packetDeltaCount", "octetDeltaCount", "bgpSourceAsNumber", "bgpDestinationAsNumber"),
)
#: Times of both: IPFIX has them since 1970, NetFlow v9 since the exporter began.
TIMES = {
    10: ("flowStartMilliseconds", "flowEndMilliseconds"),
    9: ("flowStartSysUpTime", "flowEndSysUpTime"),
}
BOOT = NOW - 100


@pytest.fixture
def collector(tmp_path: Path) -> Iterable[Nfcapd]:
    with Nfcapd(tmp_path) as started:
        yield started


def text(milliseconds: int) -> str:
    """Format a time as nfdump does."""
    when = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}"


def template(id: int, family: int, version: int = 10) -> Template:
    addresses = f"sourceIPv{family}Address", f"destinationIPv{family}Address"
    return Template(id, *addresses, *COMMON, *TIMES[version])


def row(number: int, family: int, version: int = 10) -> dict[str, Any]:
    """Return the values of a flow, by element; octetDeltaCount takes more than 32 bits."""
    source, destination = ("2001:db8::", "2001:db8:1::") if family == 6 else ("192.0.2.", "10.0.0.")
    start, end = START + number, START + 2 * number + 1000
    if version == 9:
        start, end = start - BOOT * 1000, end - BOOT * 1000
    values = (
        *(f"{source}{number + 1}", f"{destination}{number + 1}"),
        *(1024 + number, 443, (6, 17)[number % 2], number, 70_000 + number, 80_000 + number),
        *(10 + number, (1 << 33) + number, 4_200_000_000 + number, 64_500 + number),
        *(start, end),
    )
    return dict(zip(template(256, family, version).names, values, strict=True))


def expected(number: int, family: int) -> dict[str, Any]:
    """Return the values that nfdump has for such a flow."""
    values = row(number, family)
    said = {NAMES[name]: value for name, value in values.items() if name in NAMES}
    said[f"src{family}_addr"] = values[f"sourceIPv{family}Address"]
    said[f"dst{family}_addr"] = values[f"destinationIPv{family}Address"]
    said["first"], said["last"] = text(START + number), text(START + 2 * number + 1000)
    return said


def only(flows: Iterable[dict[str, Any]], wanted: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each flow with the wanted keys alone."""
    return [
        {name: flow.get(name) for name in each} for flow, each in zip(flows, wanted, strict=True)
    ]


# -- flows


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", [9, 10])
def test_every_flow_with_its_values(tmp_path: Path, version: int, host: str) -> None:
    """Two templates in turns, messages of 600 octets, templates sent again and again."""
    v4, v6 = template(256, 4, version), template(257, 6, version)
    pairs = [
        (v6 if number % 3 else v4, row(number, 6 if number % 3 else 4, version))
        for number in range(90)
    ]
    exporter = Exporter(7, version=version, mtu=600, template_refresh_messages=4, boot_time=BOOT)
    try:
        collector = Nfcapd(tmp_path, host)
    except OSError:
        pytest.skip(f"no {host} here")
    with collector, exporter:
        # NetFlow v9 has the time of a message in whole seconds, and its flows count from there
        messages = exporter.export_mixed(pairs, export_time=NOW)
        sent = exporter.send_messages(messages, to=collector.to)
        flows = collector.flows()
    assert sent.messages > 10
    wanted = [expected(number, 6 if number % 3 else 4) for number in range(90)]
    assert only(flows, wanted) == wanted
    assert {flow["ip6_router" if ":" in host else "ip4_router"] for flow in flows} == {host}
    assert "Sequence Errors: 0, Bad Packets: 0" in collector.log


def test_domains_have_templates_of_their_own(collector: Nfcapd) -> None:
    """The same id stands for IPv4 in one observation domain and for IPv6 in another."""
    exporters = {4: Exporter(1), 6: Exporter(2)}
    for number in range(20):
        family = (4, 6)[number % 2]
        exporter = exporters[family]
        exporter.send(template(300, family), [row(number, family)], to=collector.to)
    for exporter in exporters.values():
        exporter.close()
    wanted = [expected(number, (4, 6)[number % 2]) for number in range(20)]
    assert only(collector.flows(), wanted) == wanted


def test_reduced_sizes(collector: Nfcapd) -> None:
    """Counters of one octet to eight (RFC 7011 6.2), interfaces of one to four."""
    for size in range(1, 9):
        counters = f"packetDeltaCount[{size}]", f"octetDeltaCount[{size}]"
        ports = f"ingressInterface[{min(size, 4)}]", "sourceTransportPort"
        one = Template(256 + size, "sourceIPv4Address", *ports, *counters, *TIMES[10])
        value = (1 << 8 * size) - 1 if size < 8 else 1 << 62
        with Exporter(size) as exporter:
            flow = ("192.0.2.1", 1, size, value, value - 1, START, START + 1)
            exporter.send(one, [flow], to=collector.to)
    flows = collector.flows()
    values = [(1 << 8 * size) - 1 for size in range(1, 8)] + [1 << 62]
    assert [flow["in_packets"] for flow in flows] == values
    assert [flow["in_bytes"] for flow in flows] == [value - 1 for value in values]
    assert [flow["src_port"] for flow in flows] == list(range(1, 9))
    assert {flow["input_snmp"] for flow in flows} == {1}


def test_what_nfcapd_does_not_know_is_skipped(collector: Nfcapd) -> None:
    """Strings of all lengths, enterprise elements and lists between fields that it knows."""
    strange = Template(
        *(256, "interfaceName", "sourceIPv4Address", "wlanSSID", "sourceTransportPort"),
        *("(35632/57)[4]", "packetDeltaCount", "(4294967294/7)[v]", "octetDeltaCount"),
        *("basicList", *TIMES[10], "applicationName[20]"),
    )
    names = ["", "x", "x" * 254, "x" * 255, "x" * 900]
    rows = [
        (
            *(name, f"192.0.2.{number}", name[::-1], 1000 + number, b"npmd", 10 + number),
            *(b"y" * number, 1000 + number, ("octetDeltaCount", [1, 2, number])),
            *(START, START + 5, "http"),
        )
        for number, name in enumerate(names)
    ]
    with Exporter(7, mtu=None) as exporter:
        exporter.send(strange, rows, to=collector.to)
    wanted = [
        {
            "src4_addr": f"192.0.2.{number}",
            "src_port": 1000 + number,
            "in_packets": 10 + number,
            "in_bytes": 1000 + number,
            "first": text(START),
            "last": text(START + 5),
        }
        for number in range(len(names))
    ]
    assert only(collector.flows(), wanted) == wanted


def test_biflows(collector: Nfcapd) -> None:
    """Reverse elements (RFC 5103): both directions in one record."""
    both = ("reversePacketDeltaCount", "reverseOctetDeltaCount[4]")
    biflow = Template(256, *template(256, 6).names, *both)
    rows = [
        {**row(number, 6), both[0]: 5 + number, both[1][:-3]: 9000 + number} for number in (0, 1)
    ]
    with Exporter(7) as exporter:
        exporter.send(biflow, rows, to=collector.to)
    wanted = [
        {**expected(number, 6), "out_packets": 5 + number, "out_bytes": 9000 + number}
        for number in (0, 1)
    ]
    assert only(collector.flows(), wanted) == wanted


def test_layer_2_and_the_path(collector: Nfcapd) -> None:
    """MAC addresses, VLANs, prefixes, next hops, flags and direction."""
    fields = {
        "sourceMacAddress": ("02:00:00:00:00:01", "in_src_mac", "02:00:00:00:00:01"),
        "postDestinationMacAddress": ("02:00:00:00:00:02", "out_dst_mac", "02:00:00:00:00:02"),
        "vlanId": (10, "src_vlan", 10),
        "postVlanId": (20, "dst_vlan", 20),
        "sourceIPv4PrefixLength": (24, "src_mask", 24),
        "destinationIPv4PrefixLength": (16, "dst_mask", 16),
        "ipNextHopIPv4Address": ("203.0.113.1", "ip4_next_hop", "203.0.113.1"),
        "bgpNextHopIPv4Address": ("203.0.113.2", "bgp4_next_hop", "203.0.113.2"),
        "tcpControlBits": ("SA", "tcp_flags", "...A..S."),
        "flowDirection": ("egress", "direction", 1),
    }
    full = Template(256, *template(256, 4).names, *fields)
    values = [value for value, _, _ in fields.values()]
    with Exporter(7) as exporter:
        exporter.send(full, [(*row(0, 4).values(), *values)], to=collector.to)
    wanted = [{**expected(0, 4), **{name: said for _, name, said in fields.values()}}]
    assert only(collector.flows(), wanted) == wanted


def test_times_since_the_exporter_began(collector: Nfcapd) -> None:
    """In IPFIX, from systemInitTimeMilliseconds; which is which nfcapd 1.7.1 confuses."""
    names = ("systemInitTimeMilliseconds", "flowStartSysUpTime", "flowEndSysUpTime")
    timed = Template(256, "sourceIPv4Address", "octetDeltaCount", *names)
    with Exporter(7) as exporter:
        exporter.send(timed, [("192.0.2.1", 1, BOOT * 1000, 1000, 2500)], to=collector.to)
    (flow,) = collector.flows()
    times = sorted([flow["first"], flow["last"]])
    assert times == [text(BOOT * 1000 + 1000), text(BOOT * 1000 + 2500)]


# -- options


@pytest.mark.parametrize(
    ("fields", "values", "rate"),
    [
        (("samplingInterval",), (100,), 100),
        (("samplingPacketInterval", "samplingPacketSpace"), (1, 999), 1000),
    ],
)
def test_sampling(
    collector: Nfcapd, fields: tuple[str, ...], values: tuple[int, ...], rate: int
) -> None:
    """nfcapd multiplies what a sampling exporter counted."""
    options = Template(300, "observationDomainId", *fields, scope=1)
    with Exporter(7) as exporter:
        exporter.send_messages(exporter.export_options(options, [(7, *values)]), to=collector.to)
        exporter.send(template(256, 4), [row(0, 4)], to=collector.to)
    said = expected(0, 4)
    said |= {name: rate * said[name] for name in ("in_packets", "in_bytes")}
    assert only(collector.flows(), [said]) == [said]


# -- templates come and go


def test_a_template_that_changes(collector: Nfcapd) -> None:
    """The newest template of an id holds (RFC 7011 8.4), data before any is left out."""
    with Exporter(7) as exporter:
        (late,) = exporter.export(template(256, 4), [row(0, 4)])
        late.sets = [each for each in late.sets if each.setId == 256]
        exporter.send_messages([late], to=collector.to)
        for number, family in enumerate((4, 6, 4), 1):
            exporter.forget(template(256, 10 - family))
            exporter.send(template(256, family), [row(number, family)], to=collector.to)
    wanted = [expected(number, family) for number, family in enumerate((4, 6, 4), 1)]
    assert only(collector.flows(), wanted) == wanted


def test_a_message_by_hand(collector: Nfcapd) -> None:
    """Layers put together, with several Sets of one template, as the README does."""
    v4 = template(256, 4)
    message = IPFIX(observationDomainId=3, exportTime=NOW) / TemplateSet(templates=[v4])
    for number in range(10):
        message /= DataSet(template=v4, records=[row(number, 4)])
    with Exporter(3) as exporter:
        exporter.send_messages([message], to=collector.to)
    wanted = [expected(number, 4) for number in range(10)]
    assert only(collector.flows(), wanted) == wanted


# -- the commands


def summed(flows: Iterable[Any]) -> Counter[str]:
    """Count flows, packets and octets, and packets by source address."""
    sums: Counter[str] = Counter()
    for flow in flows:
        sums["flows"] += 1
        sums["packets"] += flow["in_packets"]
        sums["octets"] += flow["in_bytes"]
        sums[flow.get("src4_addr") or flow["src6_addr"]] += flow["in_packets"]
    return sums


def made(count: int, **arguments: Any) -> Counter[str]:
    """Count the flows of traffic() in the same way."""
    return summed(
        {
            "in_packets": each["packetDeltaCount"],
            "in_bytes": each["octetDeltaCount"],
            "src4_addr": each.get("sourceIPv4Address") or each["sourceIPv6Address"],
        }
        for each in (flow.record for flow in traffic(flows=count, **arguments))
    )


@pytest.mark.parametrize("options", [[], ["--v9"], ["--rate", "4000"]])
def test_generate(
    collector: Nfcapd, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--to", collector.target, "--flows", "2000", "--seed", "11"]
    assert generate([*arguments, *options]) == 0
    assert capsys.readouterr().err.startswith("2000 flows, ")
    wanted = made(2000, seed=11, duration=0.5 if "--rate" in options else 2.0)
    assert summed(collector.flows()) == wanted


def test_send_a_capture(
    collector: Nfcapd, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "flows.pcap"
    count, _ = write_pcap(path, traffic_messages(traffic(flows=2000, seed=12), Exporter()))
    arguments = [str(path), "--to", collector.target, "--rate", "2000", "--retime", "--renumber"]
    assert send([*arguments, "--domain", "77", "--quiet"]) == 0
    assert capsys.readouterr().out.startswith(f"{count} messages")
    flows = collector.flows()
    assert summed(flows) == made(2000, seed=12)
    assert "Observation domain 77" in collector.log
    # an hour of flows, up to now
    last = datetime.fromisoformat(max(flow["last"] for flow in flows) + "+00:00").timestamp()
    assert abs(last - time.time()) < 600


# -- torture


def test_findings_of_a_case_that_is_no_problem(capsys: pytest.CaptureFixture[str]) -> None:
    assert findings.main(["--collector", "nfcapd", "--case", "biflow"]) == 0
    _, _, row = capsys.readouterr().out.splitlines()
    name = collectors.version("nfcapd")
    assert row == f"| {name} | biflow | legal | RFC 5103 5.1 | {findings.NOTHING} |"
    with pytest.raises(SystemExit):
        findings.main(["--case", "no-such-case"])
    assert "no case over UDP is called 'no-such-case'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("records-of-no-octets", "writes to disk without end (stopped at 64 MiB)"),
        ("sub-template-multi-list-of-length-zero", "hangs at 100 % CPU"),
    ],
)
def test_cases_that_end_nfcapd(name: str, what: str) -> None:
    """Known defects of this version; the findings command tests other versions."""
    if collectors.version("nfcapd") != "nfcapd 1.7.1":
        pytest.skip(f"this is {collectors.version('nfcapd')}")
    (case,) = findings.cases(name)
    assert findings.observe_nfcapd(case) == what

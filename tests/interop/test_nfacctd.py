# SPDX-License-Identifier: GPL-2.0-or-later
"""nfacctd, on the loopback, reports what is crafted here: every record, with its values.

nfacctd (of pmacct) takes IPFIX and NetFlow v9 over UDP only, and DTLS where it was built with
it (Debian's was not). It takes seconds to begin and to write, so each test sends under domains
of its own to one that all share, and one each for IPv4 and IPv6 as the transport.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from scapy_ipfix import IPFIX, DataSet, Template, TemplateSet
from scapy_ipfix.cli.torturerun import main as torture
from scapy_ipfix.exporting.exporter import Exporter

from . import collectors, findings
from .collectors import Nfacctd, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing("nfacctd")), reason=missing("nfacctd")),
]

NOW = int(time.time())
START = NOW * 1000 - 60_000 + 123
BOOT = NOW - 100
#: Fields of a flow, and what nfacctd calls them; times are apart.
NAMES = {
    "sourceTransportPort": "port_src",
    "destinationTransportPort": "port_dst",
    "protocolIdentifier": "ip_proto",
    "ipClassOfService": "tos",
    "tcpControlBits[1]": "tcp_flags",
    "ingressInterface": "iface_in",
    "egressInterface": "iface_out",
    "packetDeltaCount": "packets",
    "octetDeltaCount": "bytes",
    "bgpSourceAsNumber": "as_src",
    "bgpDestinationAsNumber": "as_dst",
    "sourceMacAddress": "mac_src",
    "destinationMacAddress": "mac_dst",
    "vlanId": "vlan",
}
#: All that the tests look at, in pmacct's words; the last two are of PRIMITIVES.
AGGREGATE = (
    "src_host, dst_host, src_port, dst_port, proto, tos, tcpflags, in_iface, out_iface, src_as, "
    "dst_as, src_mac, dst_mac, vlan, src_mask, dst_mask, peer_dst_ip, sampling_rate, "
    "timestamp_start, timestamp_end, export_proto_version, export_proto_sysid, "
    "description, application"
)
PRIMITIVES = (
    "name=description field_type=83 len=12 semantics=str\n"
    "name=application field_type=35632:57 len=4 semantics=u_int\n"
)
TIMES = {
    10: ("flowStartMilliseconds", "flowEndMilliseconds"),
    9: ("flowStartSysUpTime", "flowEndSysUpTime"),
}


def text(milliseconds: int) -> str:
    """Format a time as nfacctd does."""
    when = datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}000Z"


def template(id: int, family: int, version: int = 10) -> Template:
    addresses = f"sourceIPv{family}Address", f"destinationIPv{family}Address"
    return Template(id, *addresses, *NAMES, *TIMES[version])


def row(number: int, family: int, version: int = 10) -> tuple[Any, ...]:
    """Return the values of a flow; octetDeltaCount takes more than 32 bits."""
    source, destination = ("2001:db8::", "2001:db8:1::") if family == 6 else ("192.0.2.", "10.0.0.")
    start, end = START + number, START + 2 * number + 1000
    if version == 9:
        start, end = start - BOOT * 1000, end - BOOT * 1000
    return (
        *(f"{source}{number + 1}", f"{destination}{number + 1}"),
        *(1024 + number, 443, (6, 17)[number % 2], number, 0x1B, 70_000 + number, 80_000 + number),
        *(10 + number, (1 << 33) + number, 4_200_000_000 + number, 64_500 + number),
        *(f"02:00:00:00:00:{number:02x}", f"02:00:00:00:01:{number:02x}", 100 + number),
        *(start, end),
    )


def expected(number: int, family: int, version: int = 10) -> dict[str, Any]:
    """Return the values that nfacctd has for such a flow."""
    source, destination, *values, _, _ = row(number, family, version)
    said = dict(zip(NAMES.values(), values, strict=True))
    said["ip_src"], said["ip_dst"] = source, destination
    said["ip_proto"] = {6: "tcp", 17: "udp"}[said["ip_proto"]]
    said["tcp_flags"] = str(said["tcp_flags"])
    # In NetFlow v9, from the time of the message it goes back by whole seconds.
    unit = 1000 if version == 9 else 1
    said["timestamp_start"] = text(-(-(START + number) // unit) * unit)
    said["timestamp_end"] = text(-(-(START + 2 * number + 1000) // unit) * unit)
    said["export_proto_version"] = version
    return said


def family_of(number: int) -> int:
    return 6 if number % 3 else 4


def sent_pairs(version: int) -> list[tuple[Template, tuple[Any, ...]]]:
    """Ninety flows of two templates in turns."""
    pairs = []
    for number in range(90):
        family = family_of(number)
        pairs.append((template(260 + family, family, version), row(number, family, version)))
    return pairs


@dataclass(frozen=True)
class Sampling:
    """A way to say how many packets were sampled, in options, and what nfacctd is to say.

    ``reference`` is the field of a flow that refers to such options, if one does.
    """

    rate: int
    fields: tuple[str, ...]
    values: tuple[int, ...]
    scope: str = "observationDomainId"
    reference: tuple[str, ...] = ()
    version: int = 10


SAMPLING = (
    Sampling(100, ("samplingInterval", "samplingAlgorithm"), (100, 2)),
    Sampling(150, ("samplingPacketInterval", "samplingPacketSpace"), (1, 149)),
    Sampling(
        *(200, ("samplingPacketInterval", "samplingPacketSpace"), (1, 199)),
        *("selectorId[4]", ("selectorId[4]",)),
    ),
    Sampling(
        *(300, ("samplerMode", "samplerRandomInterval"), (2, 300)),
        *("samplerId[2]", ("samplerId[2]",)),
    ),
    Sampling(
        *(400, ("SAMPLING_INTERVAL", "SAMPLING_ALGORITHM"), (400, 2)),
        *("scopeSystem[4]", (), 9),
    ),
)


@dataclass(frozen=True)
class Timed:
    """Fields that say when a flow was: their values, and the same in milliseconds."""

    fields: tuple[str, ...]
    values: tuple[int, ...]
    start: int
    end: int


_AGES = ("flowStartDeltaMicroseconds", "flowEndDeltaMicroseconds")
_UPTIMES = ("flowStartSysUpTime", "flowEndSysUpTime", "systemInitTimeMilliseconds")
TIMED = (
    Timed(
        *(("flowStartSeconds", "flowEndSeconds"), (NOW - 30, NOW - 10)),
        *((NOW - 30) * 1000, (NOW - 10) * 1000),
    ),
    Timed(_AGES, (30_500_000, 10_250_000), NOW * 1000 - 30_500, NOW * 1000 - 10_250),
    Timed(_UPTIMES, (1000, 3000, BOOT * 1000), BOOT * 1000 + 1000, BOOT * 1000 + 3000),
)
#: Octets of counters that nfacctd 1.7.7 reads; it writes them as signed numbers.
SIZES = (4, 8)
NARROW = ("sourceIPv4Address", "destinationIPv4Address", "sourceTransportPort")
COUNTERS = ("packetDeltaCount", "octetDeltaCount")
#: Domains.
_MIXED, _HAND, _SIZED, _STRANGE, _LENGTHS, _CHANGED, _SAMPLED, _TIMED = range(100, 900, 100)


class Sending:
    """Sends to a collector, and counts the flows."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self.flows = 0

    def send(self, domain: int, template: Template, rows: Sequence[Any], **options: Any) -> None:
        with Exporter(domain, **options) as exporter:
            messages = exporter.export(template, rows, export_time=NOW)
            exporter.send_messages(messages, to=self._to)
        self.flows += len(rows)

    def mixed(self, domain: int, version: int) -> None:
        with Exporter(
            *(domain,), version=version, mtu=600, template_refresh_messages=4, boot_time=BOOT
        ) as exporter:
            messages = list(exporter.export_mixed(sent_pairs(version), export_time=NOW))
            assert len(messages) > 10
            exporter.send_messages(messages, to=self._to)
        self.flows += len(sent_pairs(version))

    def by_hand(self) -> None:
        message = IPFIX(observationDomainId=_HAND, exportTime=NOW)
        message /= TemplateSet(templates=[template(256, 4)])
        for number in range(5):
            message /= DataSet(template=template(256, 4), records=[row(number, 4)])
        with Exporter(_HAND) as exporter:
            exporter.send_messages([message], to=self._to)
        self.flows += 5

    def changed(self) -> None:
        with Exporter(_CHANGED) as exporter:
            for number, family in enumerate((4, 6, 4)):
                exporter.forget(template(256, 10 - family))
                messages = exporter.export(template(256, family), [row(number, family)])
                exporter.send_messages(messages, to=self._to)
                self.flows += 1

    def sampled(self) -> None:
        for number, each in enumerate(SAMPLING):
            domain = _SAMPLED + number
            identity = 7 if each.reference else domain
            options = Template(300, each.scope, *each.fields, scope=1)
            flow = Template(256, *NARROW, *COUNTERS, *each.reference)
            narrow = ("192.0.2.1", "192.0.2.2", number, 10, 1000, *(7 for _ in each.reference))
            with Exporter(domain, version=each.version) as exporter:
                told = exporter.export_options(options, [(identity, *each.values)])
                exporter.send_messages(told, to=self._to)
                exporter.send_messages(exporter.export(flow, [narrow]), to=self._to)
            self.flows += 1


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, list[dict[str, Any]]]]:
    """Flows in a collector on 127.0.0.1 after all messages of this module, by domain."""
    directory = tmp_path_factory.mktemp("nfacctd")
    primitives = directory / "primitives.lst"
    primitives.write_text(PRIMITIVES)
    with Nfacctd(
        *(directory, "127.0.0.1", AGGREGATE, f"aggregate_primitives: {primitives}\n")
    ) as collector:
        sending = Sending(collector.to)
        for version in (9, 10):
            sending.mixed(_MIXED + version, version)
        sending.by_hand()
        for size in SIZES:
            counters = f"packetDeltaCount[{size}]", f"octetDeltaCount[{size}]"
            value = (1 << 8 * size - 2) + 5
            narrow = [("192.0.2.1", "192.0.2.2", size, value, value + 1)]
            sending.send(_SIZED, Template(256 + size, *NARROW, *counters), narrow)
        strange = Template(
            *(256, "interfaceName", *NARROW, "(35632/57)[4]", "interfaceDescription[12]"),
            *("packetDeltaCount", "(4294967294/7)[v]", "octetDeltaCount", "basicList"),
        )
        lists = [
            (
                *("x" * size, "192.0.2.1", "192.0.2.2", size, (70 + size).to_bytes(4, "big")),
                *(f"port {size}", 1, b"y" * size, 2, ("octetDeltaCount", [1, size])),
            )
            for size in (0, 1, 254, 255, 400)
        ]
        sending.send(_STRANGE, strange, lists)
        sending.changed()
        sending.sampled()
        for number, each in enumerate(TIMED):
            timed = Template(256, *NARROW, *COUNTERS, *each.fields)
            narrow = [("192.0.2.1", "192.0.2.2", number, 10, 1000, *each.values)]
            sending.send(_TIMED + number, timed, narrow)
        found: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for flow in collector.flows(sending.flows):
            found[flow["export_proto_sysid"]].append(flow)
        for several in found.values():
            several.sort(key=lambda flow: flow["port_src"])
        yield found


def only(flows: Sequence[dict[str, Any]], wanted: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each flow with the wanted keys alone."""
    return [
        {name: flow.get(name) for name in each} for flow, each in zip(flows, wanted, strict=True)
    ]


@pytest.mark.parametrize("version", [9, 10])
def test_every_flow_with_its_values(flows: dict[int, list[dict[str, Any]]], version: int) -> None:
    """Two templates in turns, messages of 600 octets, templates sent again and again."""
    wanted = [expected(number, family_of(number), version) for number in range(90)]
    assert only(flows[_MIXED + version], wanted) == wanted


@pytest.mark.parametrize("version", [9, 10])
def test_over_ipv6(tmp_path: Path, version: int) -> None:
    try:
        collector = Nfacctd(tmp_path, "::1", AGGREGATE.partition(", description")[0])
    except OSError:
        pytest.skip("no ::1 here")
    with collector:
        Sending(collector.to).mixed(7, version)
        found = sorted(collector.flows(90), key=lambda flow: flow["port_src"])
    wanted = [expected(number, family_of(number), version) for number in range(90)]
    assert only(found, wanted) == wanted


def test_a_message_by_hand(flows: dict[int, list[dict[str, Any]]]) -> None:
    wanted = [expected(number, 4) for number in range(5)]
    assert only(flows[_HAND], wanted) == wanted


def test_reduced_sizes(flows: dict[int, list[dict[str, Any]]]) -> None:
    """Counters of four octets and of eight; nfacctd reads no others."""
    found = [(flow["port_src"], flow["packets"], flow["bytes"]) for flow in flows[_SIZED]]
    values = {size: (1 << 8 * size - 2) + 5 for size in SIZES}
    assert found == [(size, value, value + 1) for size, value in values.items()]


def test_enterprise_elements_and_strings(flows: dict[int, list[dict[str, Any]]]) -> None:
    """Strings of all lengths, enterprise elements and lists between fields that it knows."""
    wanted = [
        {
            "ip_src": "192.0.2.1",
            "ip_dst": "192.0.2.2",
            "port_src": size,
            "packets": 1,
            "bytes": 2,
            "description": f"port {size}",
            "application": str(70 + size),
        }
        for size in (0, 1, 254, 255, 400)
    ]
    assert only(flows[_STRANGE], wanted) == wanted


def test_a_template_that_changes(flows: dict[int, list[dict[str, Any]]]) -> None:
    """The newest template of an id holds (RFC 7011 8.4)."""
    wanted = [expected(number, family) for number, family in enumerate((4, 6, 4))]
    assert only(flows[_CHANGED], wanted) == wanted


@pytest.mark.parametrize("number", range(len(SAMPLING)))
def test_sampling(flows: dict[int, list[dict[str, Any]]], number: int) -> None:
    """nfacctd shows the rate that the options say."""
    (flow,) = flows[_SAMPLED + number]
    assert (flow["packets"], flow["sampling_rate"]) == (10, SAMPLING[number].rate)


@pytest.mark.parametrize("number", range(len(TIMED)))
def test_times(flows: dict[int, list[dict[str, Any]]], number: int) -> None:
    (flow,) = flows[_TIMED + number]
    wanted = text(TIMED[number].start), text(TIMED[number].end)
    assert (flow["timestamp_start"], flow["timestamp_end"]) == wanted


@pytest.mark.parametrize("name", ["records-of-no-octets", "withdrawal-over-udp"])
def test_cases_that_end_nfacctd(name: str) -> None:
    """Known defects of this version; the findings command tests other versions."""
    if collectors.version("nfacctd") != "nfacctd 1.7.7-git":
        pytest.skip(f"this is {collectors.version('nfacctd')}")
    (case,) = findings.cases(name)
    assert findings.observe_nfacctd(case) == "hangs at 100 % CPU"


def test_the_torture_command_sees_who_survives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All legal cases are survived, and the command finds its canaries in the output."""
    with Nfacctd(tmp_path, primitives="src_host") as collector:
        arguments = ["--to", collector.target, "--canary-file", str(collector.output)]
        assert torture([*arguments, "--legal", "--wait", "10"]) == 0
        count = sum(case.legal for case in findings.cases()) + 1
        assert f"{count} of {count} canaries came back" in capsys.readouterr().out
        if collectors.version("nfacctd") == "nfacctd 1.7.7-git":
            assert torture([*arguments, "--only", "withdrawal-over-udp", "--wait", "3"]) == 1
            lost = "lost: canary 1 (198.19.0.2), after withdrawal-over-udp"
            assert lost in capsys.readouterr().out

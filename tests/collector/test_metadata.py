# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the facts that exporters state: by domain, with former values, and bounded."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector.contextview import ContextView
from scapy_ipfix.collector.metadata import Metadata, is_metadata, metadata_table
from scapy_ipfix.collector.options import OptionsReader
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.reading.reader import iter_sets
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.facts import COUNTERS, INTERFACE, SAMPLING, Interface
from scapy_ipfix.wire.template import Template
from tests.collector.resolving import resolve_one

HERE = ("exporter", 10, 7)
SAMPLERS = Template(256, "samplerId", "samplingInterval", scope=1)
INTERFACES = Template(257, "ingressInterface", "interfaceName", "interfaceDescription", scope=1)
NAMES = Template(258, "ingressInterface", "interfaceName", scope=1)
COUNTS = data_type("unsigned32")
EXPORTED = Template(259, "exportingProcessId", "exportedOctetTotalCount", scope=1)


def state(metadata: Metadata, template: Template, *rows: Any, domain: Any = HERE) -> list[str]:
    """Learn from rows of options; return the codes of the defects."""
    records = [dict(zip(template.names, row)) for row in rows]
    return [defect.code for defect in metadata.learn(domain, template, records, 1.0)]


def rate(metadata: Metadata, sampler: int, number: int | None = None, domain: Any = HERE) -> Any:
    number = metadata.now if number is None else number
    found = metadata.find(domain, SAMPLING, ("samplerId", sampler), number)
    return None if found is None else found.rate


def test_templates_that_state_facts() -> None:
    assert is_metadata(SAMPLERS)
    assert not is_metadata(Template(256, "samplerId", "samplingInterval"))
    assert not is_metadata(Template(256, "templateId", "flowKeyIndicator", scope=1))


def test_a_fact_has_the_value_in_force_at_a_number() -> None:
    metadata = Metadata()
    before = metadata.now
    state(metadata, SAMPLERS, (1, 10))
    first = metadata.now
    state(metadata, SAMPLERS, (1, 10), (2, 5))
    second = metadata.now
    state(metadata, SAMPLERS, (1, 100))
    assert [rate(metadata, 1, number) for number in (before, first, second, metadata.now)] == [
        *(None, 10, 10, 100),
    ]
    assert [rate(metadata, 2, number) for number in (before, first, second)] == [None, None, 5]
    assert rate(metadata, 3) is None


def test_a_repeated_fact_is_no_change() -> None:
    metadata = Metadata()
    state(metadata, SAMPLERS, (1, 10), (2, 20))
    now = metadata.now
    for _ in range(100):
        state(metadata, SAMPLERS, (1, 10), (2, 20))
    assert metadata.now == now
    assert len(metadata) == 2


def test_since_is_the_time_of_the_change() -> None:
    metadata = Metadata()
    for time, interval in ((1.0, 10), (2.0, 10), (3.0, 20), (4.0, 20)):
        values = {"samplerId": 1, "samplingInterval": interval}
        metadata.learn(HERE, SAMPLERS, [values], time)
    ((_, _, version),) = metadata.facts(HERE)
    assert (version.value.rate, version.since) == (20, 3.0)


def test_parts_of_a_fact_may_arrive_apart() -> None:
    metadata = Metadata()
    state(metadata, INTERFACES, (1, "Gi1", "lake"))
    state(metadata, NAMES, (1, "Gi0/1"))

    def find() -> Any:
        return metadata.find(HERE, INTERFACE, 1, metadata.now)

    assert find() == Interface("Gi0/1", "lake")
    state(metadata, INTERFACES, (1, "Gi0/1", ""))  # an empty text, not an absent one
    assert find() == Interface("Gi0/1", "")


def test_domains_and_exporters_have_facts_of_their_own() -> None:
    metadata = Metadata()
    others = [("exporter", 10, 8), ("exporter", 9, 7), ("another", 10, 7)]
    state(metadata, SAMPLERS, (1, 10))
    for domain in others:
        assert rate(metadata, 1, domain=domain) is None
        state(metadata, SAMPLERS, (1, 99), domain=domain)
    assert rate(metadata, 1) == 10
    assert sorted(metadata.domains, key=str) == sorted([HERE, *others], key=str)


def test_a_record_may_be_about_another_domain() -> None:
    template = Template(256, "observationDomainId", "observationDomainName", scope=1)
    metadata = Metadata()
    state(metadata, template, (7, "north"), (8, "south"), domain=("exporter", 10, 0))
    assert ContextView(metadata, HERE, metadata.now).domain_name == "north"
    assert ContextView(metadata, ("exporter", 10, 8), metadata.now).domain_name == "south"
    assert ContextView(metadata, ("exporter", 10, 0), metadata.now).domain_name is None


def test_counters_have_the_latest_values() -> None:
    metadata = Metadata()
    for count in range(100):
        state(metadata, EXPORTED, (1, count), (2, count))
    assert len(metadata) == 2
    assert metadata.find(HERE, COUNTERS, (("exportingProcessId", 1),), metadata.now) == {
        "exportedOctetTotalCount": 99
    }
    more = Template(260, "exportingProcessId", "notSentFlowTotalCount", scope=1)
    state(metadata, more, (1, 5))
    assert ContextView(metadata, HERE, metadata.now).counters == {
        (("exportingProcessId", 1),): {"exportedOctetTotalCount": 99, "notSentFlowTotalCount": 5},
        (("exportingProcessId", 2),): {"exportedOctetTotalCount": 99},
    }


def test_counters_change_in_place_unnoticed() -> None:
    """No copy for each: a message may state one of 256 counters 65,000 times."""
    metadata = Metadata()
    key = (("exportingProcessId", 1),)
    state(metadata, EXPORTED, (1, 1))
    (fact,) = metadata._stated
    kept = fact.value
    found = metadata.find(HERE, COUNTERS, key, metadata.now)
    ((_, _, version),) = metadata.facts(HERE)
    viewed = ContextView(metadata, HERE, metadata.now).counters
    now = metadata.now
    state(metadata, EXPORTED, (1, 2))
    assert fact.value is kept
    assert metadata.now == now + 1
    assert found == version.value == viewed[key] == {"exportedOctetTotalCount": 1}
    found["exportedOctetTotalCount"] = 99
    assert metadata.find(HERE, COUNTERS, key, metadata.now) == {"exportedOctetTotalCount": 2}
    state(metadata, EXPORTED, (1, 2))
    assert metadata.now == now + 1


def test_former_counters_are_dropped_where_there_are_too_many() -> None:
    metadata = Metadata()
    for base in range(5):
        names = [f"_{base}_{number}" for number in range(60)]
        elements = [
            InformationElement(name, number + 60 * base, 99999, COUNTS, "totalCounter")
            for number, name in enumerate(names)
        ]
        template = Template(256, "exportingProcessId", "notSentFlowTotalCount", *elements, scope=1)
        state(metadata, template, (1, base, *range(60)))
        ((_, _, version),) = metadata.facts(HERE)
        assert version.value["notSentFlowTotalCount"] == base
        assert version.value.keys() >= set(names)
        assert len(version.value) == (61 + 60 * base if base < 4 else 61)


def test_invalid_saved_counters() -> None:
    metadata = Metadata()
    with pytest.raises(TypeError):
        metadata.restore(HERE, COUNTERS, (("exportingProcessId", 1),), 7, 0.0)
    state(metadata, EXPORTED, (1, 2))
    assert len(metadata) == 1


def test_records_of_the_same_facts_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, times = OptionsReader.read, []

    def counted(reader: OptionsReader, values: Any) -> Any:
        times.append(values)
        return read(reader, values)

    monkeypatch.setattr(OptionsReader, "read", counted)
    metadata = Metadata()
    state(metadata, SAMPLERS, *[(1, 10), (2, 20), (1, 30)] * 100)
    assert len(times) == 3
    assert (rate(metadata, 1), rate(metadata, 2)) == (30, 20)
    state(metadata, SAMPLERS, *[(1, 10), (2, 20), (1, 30)] * 100, (1, 10))
    assert (rate(metadata, 1), rate(metadata, 2)) == (10, 20)


def test_a_set_states_its_last_values() -> None:
    """No other record arrives between its records, which could resolve to the others."""
    metadata = Metadata()
    state(metadata, SAMPLERS, *((1, interval) for interval in range(1, 100)))
    first = metadata.now
    assert len(metadata) == 1
    state(metadata, SAMPLERS, *((1, interval) for interval in range(100, 200)))
    assert len(metadata) == 2
    assert (rate(metadata, 1, first), rate(metadata, 1)) == (99, 199)


# Bounds


def test_the_fact_not_stated_for_longest_is_dropped() -> None:
    metadata = Metadata(limit=3)
    assert state(metadata, SAMPLERS, (1, 10), (2, 20), (3, 30)) == []
    state(metadata, SAMPLERS, (1, 10))
    assert state(metadata, SAMPLERS, (4, 40)) == ["limit"]
    assert [rate(metadata, sampler) for sampler in (1, 2, 3, 4)] == [10, None, 30, 40]
    assert len(metadata) == 3


def test_former_values_are_dropped_first() -> None:
    metadata = Metadata(limit=4)
    state(metadata, SAMPLERS, (1, 10), (2, 20))
    first = metadata.now
    state(metadata, SAMPLERS, (1, 11))
    second = metadata.now
    state(metadata, SAMPLERS, (1, 12))
    assert rate(metadata, 1, first) == 10
    assert state(metadata, SAMPLERS, (1, 13)) == ["limit"]
    assert [rate(metadata, 1, number) for number in (first, second)] == [None, 11]
    assert (rate(metadata, 1), rate(metadata, 2)) == (13, 20)


def test_memory_of_ever_new_facts_is_bounded() -> None:
    metadata = Metadata(limit=50)
    for number in range(2000):
        domain = ("attacker", 10, number % 300)
        state(metadata, NAMES, (number, "x" * 60_000), domain=domain)
        state(metadata, SAMPLERS, (number % 7, number), domain=domain)
        assert len(metadata) <= 50
    # a domain without facts is removed
    assert len(metadata._domains) <= 50
    assert len(metadata._stated) + len(metadata._superseded) == len(metadata)
    assert all(table.facts for tables in metadata._domains.values() for table in tables)
    assert all(metadata._domains.values())
    name = metadata.find(("attacker", 10, 1999 % 300), INTERFACE, 1999, metadata.now).name
    assert len(name) < 300


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(1, 3), st.booleans()),
        max_size=60,
    )
)
def test_facts_in_force_at_each_number(steps: list[tuple[int, int, int, bool]]) -> None:
    metadata = Metadata()
    model: dict[tuple[int, int], int] = {}
    held = [(0, dict(model))]
    for domain, sampler, interval, ask in steps:
        state(metadata, SAMPLERS, (sampler, interval), domain=("x", 10, domain))
        model[domain, sampler] = interval
        if ask:
            held.append((metadata.now, dict(model)))
    for number, then in held:
        for domain in range(3):
            for sampler in range(4):
                found = rate(metadata, sampler, number, ("x", 10, domain))
                assert found == then.get((domain, sampler))


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 3)), max_size=60),
)
def test_the_latest_facts_are_within_the_limit(
    limit: int, steps: list[tuple[int, int, int]]
) -> None:
    metadata = Metadata(limit)
    for domain, sampler, interval in steps:
        state(metadata, SAMPLERS, (sampler, interval), domain=("x", 10, domain))
        assert len(metadata) <= limit
        assert rate(metadata, sampler, domain=("x", 10, domain)) == interval
    kept = [version.value for key in metadata.domains for _, _, version in metadata.facts(key)]
    assert len(kept) + len(metadata._superseded) == len(metadata)


# The table


def test_table() -> None:
    metadata = Metadata()
    state(metadata, INTERFACES, (10, "Gi0/1", "to the lake"), (9, "Gi0/0", ""))
    state(metadata, SAMPLERS, (1, 10))
    state(metadata, Template(256, "scopeSystem", "samplingInterval", scope=1), (0, 1 << 31))
    state(metadata, EXPORTED, (2, 17))
    applications = Template(256, "applicationId", "applicationName", scope=1)
    state(metadata, applications, (b"\x03\0\0\x35", "dns\x1b[2J"))
    state(metadata, Template(256, "selectionSequenceId", *["selectorId"] * 2, scope=1), (4, 1, 2))
    state(metadata, Template(256, "meteringProcessId", "interfaceName", scope=1), (4, "veth-a"))
    state(metadata, Template(256, "ingressVRFID", "VRFname", scope=1), (4, "red"))
    table = metadata_table(metadata)
    assert table.columns == ("exporter", "domain", "what", "key", "value", "since")
    assert {row[:2] for row in table} == {("exporter", 7)}
    assert {row[5] for row in table} == {"1970-01-01T00:00:01Z"}
    assert [row[2:5] for row in table] == [
        ("VRF", "4", "red"),
        ("application", "3:53", "'dns\\x1b[2J'"),
        ("counters", "exportedOctetTotalCount of exportingProcessId 2", 17),
        ("interface", "9", "Gi0/0"),
        ("interface", "10", "Gi0/1, to the lake"),
        ("interface", "metered", "veth-a"),
        ("sampling", "system", "1 of 2147483648"),
        ("sampling", "samplerId 1", "1 of 10"),
        ("selection sequence", "4", "selectors 1, 2"),
    ]
    assert "samplerId 1" in str(table)


def test_an_unknown_time_is_an_empty_cell() -> None:
    metadata = Metadata()
    metadata.learn(HERE, SAMPLERS, [{"samplerId": 1, "samplingInterval": 10}])
    assert metadata_table(metadata)[0][5] == ""


# Exporters


def learned(path: Path) -> tuple[Metadata, list[dict[str, Any]]]:
    """Return the facts of a capture, and the resolved values of each of its data records."""
    session, metadata, resolved = IPFIXSession(), Metadata(), []
    for read in iter_sets(path, session):
        template = read.template
        assert template is not None
        records = template.codec.dicts(read.body)
        if template.is_options:
            assert metadata.learn(read.domain.key, template, records) == []
        else:
            view = ContextView(metadata, read.domain.key, metadata.now)
            resolved += [resolve_one(view, template, values) for values in records]
    return metadata, resolved


def shown(metadata: Metadata) -> list[tuple[object, ...]]:
    return [row[1:5] for row in metadata_table(metadata)]


@pytest.mark.parametrize(
    ("name", "facts", "records", "expected"),
    [
        (
            "softflowd_v9",
            [
                (0, "interface", "7", "veth-a"),
                (0, "sampling", "interface 7", "1 of 1, deterministic"),
            ],
            80,
            {"sampling_rate": 1, "ingress_interface_name": "veth-a"},
        ),
        (
            "softflowd_ipfix_tcp",
            [
                (0, "interface", "metered", "veth-a"),
                (0, "sampling", "system", "1 of 1, Systematic count-based Sampling"),
                (0, "time of initialization", "", "2026-11-22T00:58:46.193Z"),
            ],
            141,
            {"sampling_rate": 1, "egress_interface_name": "veth-a"},
        ),
        (
            # softflowd -s 2
            "softflowd_ipfix_micro",
            [
                (0, "interface", "metered", "veth-a"),
                (0, "sampling", "system", "1 of 2, Systematic count-based Sampling"),
                (0, "time of initialization", "", "2026-11-22T00:58:41.209Z"),
            ],
            24,
            {"sampling_rate": 2, "ingress_interface_name": "veth-a"},
        ),
        (
            "pmacctd_v9",
            [(9, "sampling", "samplerId 1", "1 of 10, random")],
            139,
            {"sampling_rate": 10, "ingress_interface_name": None},
        ),
        (
            "pmacctd_ipfix",
            [(10, "sampling", "samplerId 1", "1 of 10, random")],
            139,
            {"sampling_rate": 10, "egress_interface_name": None},
        ),
        (
            "pmacctd_ipfix_usec",
            [],
            35,
            {"sampling_rate": None},
        ),
    ],
)
def test_captures(
    root: Path, name: str, facts: list[Any], records: int, expected: dict[str, Any]
) -> None:
    metadata, resolved = learned(root / "pcaps" / f"{name}.pcap")
    assert shown(metadata) == facts
    assert len(resolved) == records
    for each in resolved:
        assert each.items() >= expected.items()


def test_open_vswitch(root: Path) -> None:
    """The data has the names in it; the options are of domain 0, the data of 123."""
    metadata, resolved = learned(root / "pcaps" / "ovs_ipfix.pcap")
    assert shown(metadata) == [
        (0, "counters", "notSentPacketTotalCount of exportingProcessId 1", 0)
    ]
    assert {
        (each["ingress_interface_name"], each.get("egress_interface_name")) for each in resolved
    } == {("br0", None), ("veth-a", None), ("br0", "veth-a"), ("veth-a", "br0")}


def test_iosxr_sends_descriptions_for_names(captures: Path) -> None:
    metadata, resolved = learned(captures / "netflow9_cisco_asr9k.pcap")
    facts = shown(metadata)
    assert len(facts) == 19
    assert (2177, "interface", "74", "TenGigE0_0_1_0") in facts
    assert (2177, "interface", "162", "Bundle-Ether2") in facts
    names = [(each["ingress_interface_name"], each["egress_interface_name"]) for each in resolved]
    assert names.count(("TenGigE0_6_0_0", "Bundle-Ether2")) == 2
    # the sampler's template is there, its records are not
    assert {each["sampling_rate"] for each in resolved} == {None}


def test_nbar_names_applications(captures: Path) -> None:
    metadata, resolved = learned(captures / "netflow9_cisco_nbar.pcap")
    facts = shown(metadata)
    assert len(facts) == 15
    assert (0, "application", "1:47", "gre, General Routing Encapsulation") in facts
    assert sorted(str(each["application_name"]) for each in resolved) == [
        *("None", "None", "None", "icmp", "icmp"),
    ]


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "ipfix_juniper_mx240_junos151r6s3",
            [
                (524288, "counters", "exportedMessageTotalCount of exportingProcessId 2", 76),
                (524288, "counters", "exportedFlowRecordTotalCount of exportingProcessId 2", 76),
                (524288, "sampling", "system", "1 of 1000"),
                (524288, "time of initialization", "", "2010-01-06T07:06:38.000Z"),
            ],
        ),
        ("netflow9_juniper_srx", [(142, "sampling", "system", "1 of 1, random")]),
        (
            "ipfix",
            [
                (0, "sampling", "system", "1 of 1, Systematic count-based Sampling"),
                (0, "time of initialization", "", "2015-05-13T11:20:13.506Z"),
            ],
        ),
        (
            "netflow9_fortigate_fortios_521",
            [
                (1, "counters", "exportedOctetTotalCount of scopeSystem 1", 6871319015),
                (1, "counters", "exportedMessageTotalCount of scopeSystem 1", 11920854),
                (1, "counters", "exportedFlowRecordTotalCount of scopeSystem 1", 107864),
                (1, "sampling", "system", "1 of 1, deterministic"),
            ],
        ),
        (
            "netflow9_nprobe",
            [
                (147, "counters", "exportedMessageTotalCount of scopeSystem 0", 0),
                (147, "counters", "exportedFlowRecordTotalCount of scopeSystem 0", 1),
            ],
        ),
        ("netflow9_invalid01", [(0, "sampling", "interface 0", "1 of 100, deterministic")]),
    ],
)
def test_shared_captures(captures: Path, name: str, facts: list[Any]) -> None:
    metadata, _ = learned(captures / f"{name}.pcap")
    assert shown(metadata) == facts


def test_yaf_statistics_are_its_scope(captures: Path) -> None:
    metadata, _ = learned(captures / "ipfix_yaf.pcap")
    (domain,) = metadata.domains
    assert ContextView(metadata, domain, metadata.now).counters == {
        (("exportingProcessId", 0),): {
            "exportedFlowRecordTotalCount": 31,
            "packetTotalCount": 1960,
            "droppedPacketTotalCount": 0,
            "ignoredPacketTotalCount": 58,
            "notSentPacketTotalCount": 0,
            "expiredFragmentCount": 0,
            "assembledFragmentCount": 0,
            "flowTableFlushEventCount": 39,
        }
    }


def templates_of(path: Path) -> dict[int, Template]:
    session = IPFIXSession()
    list(iter_sets(path, session))
    return {
        template.id: template
        for domain in session.collector.domains
        for template in domain.templates.values()
    }


def test_templates_without_records_in_the_captures(captures: Path) -> None:
    """Records made up, layouts as the exporters have them."""
    metadata = Metadata()
    asr9k = templates_of(captures / "netflow9_cisco_asr9k.pcap")
    state(metadata, asr9k[257], (1, 1, 2000, 2, "one-in-2000"))
    state(metadata, asr9k[334], (1, 0x60000000, "default"))
    wlc = templates_of(captures / "netflow9_cisco_wlc_8510.pcap")
    state(metadata, wlc[256], (1, b"\x0d\0\x01\xdf", "youtube"))
    state(metadata, wlc[259], (1, 12, "vlan12"))
    fortigate = templates_of(captures / "netflow9_fortigate_fortios_542_appid.pcap")
    application = bytes.fromhex("140000304400008f34")
    state(metadata, fortigate[257], (1, application, "HTTPS", "web", "Network.Service"))
    assert shown(metadata) == [
        (7, "VRF", "1610612736", "default"),
        (7, "application", "13:479", "youtube"),
        (7, "application", "20:12356:36660", "HTTPS, web, Network.Service"),
        (7, "sampling", "samplerId 1", "1 of 2000, random, one-in-2000"),
    ]
    flow = asr9k[260]
    values = dict.fromkeys(flow.names, 0) | {"samplerId": 1, "ingressVRFID": 0x60000000}
    view = ContextView(metadata, HERE, metadata.now)
    assert view.sampling_rate(flow, values) == 2000
    assert view.vrf_name(flow, values) == "default"
    assert view.vrf_name(flow, values, "egress") is None


def test_long_facts_weigh_several() -> None:
    """Counters, names and sequences of selectors take kilobytes, a rate a few hundred octets."""
    many = Template(256, "exportingProcessId", *["exportedOctetTotalCount"] * 60, scope=1)
    applications = Template(257, "applicationId[4]", "applicationName", scope=1)
    sequences = Template(258, "selectionSequenceId", *["selectorId"] * 64, scope=1)
    for template, values, most in (
        (many, range(60), 1000 // 48),
        (applications, ["a" * 255], 1000 // 4),
        (sequences, range(64), 1000 // 9),
        (SAMPLERS, [5], 1000),
    ):
        metadata = Metadata(limit=1000)
        for number in range(1200):
            own = number.to_bytes(4, "big") if template is applications else number
            state(metadata, template, (own, *values))
        assert len(metadata) == len(metadata._stated) == most
    while len(metadata) > 1:
        metadata._drop_one()
    assert metadata._weight == 1

# SPDX-License-Identifier: GPL-2.0-or-later
"""What one Options Data Record says: sampling, names and counters, by scope."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector.options import MAX_ITEMS, Statement, statements_of
from scapy_ipfix.model.applicationid import application_text
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.sampling import is_unsampled, sampling_rate
from scapy_ipfix.wire.facts import (
    MAX_TEXT,
    SYSTEM,
    Application,
    Interface,
    Sampling,
    application_octets,
    fact_text,
)
from scapy_ipfix.wire.template import Template


def said(fields: list[str], row: tuple[Any, ...], scope: int = 1) -> list[Statement]:
    """What a record says that went over the wire."""
    template = Template(256, *fields, scope=scope)
    layout = statements_of(template)
    assert layout is not None
    (values,) = template.codec.dicts(template.encode(row))
    return list(layout.read(values))


# Sampling


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        ({"samplingInterval": 100}, 100),
        ({"samplingInterval": 100, "samplingAlgorithm": 2}, 100),
        ({"samplingInterval": 0}, None),
        ({"samplingAlgorithm": 2}, None),
        ({"samplerRandomInterval": 10}, 10),
        # PSAMP: 1 packet, then 99 are skipped; 10, then 15
        ({"samplingPacketInterval": 1, "samplingPacketSpace": 99}, 100),
        ({"samplingPacketInterval": 1, "samplingPacketSpace": 0}, 1),
        ({"samplingPacketInterval": 10, "samplingPacketSpace": 15}, 2.5),
        ({"samplingPacketInterval": 0, "samplingPacketSpace": 15}, None),
        ({"samplingPacketSpace": 15}, None),
        # IANA has this replace samplingInterval, 1 in N
        ({"samplingPacketInterval": 1000}, 1000),
        ({"samplingTimeInterval": 1000, "samplingTimeSpace": 9000}, 10),
        ({"samplingSize": 2, "samplingPopulation": 64}, 32),
        ({"samplingSize": 3, "samplingPopulation": 10}, 10 / 3),
        ({"samplingSize": 64, "samplingPopulation": 2}, None),
        ({"samplingProbability": 0.1}, 10),
        ({"samplingProbability": 0.10000000149011612}, 10),  # a float32's tenth
        ({"samplingProbability": 0.3}, 1 / 0.3),
        ({"samplingProbability": 0.0}, None),
        ({"samplingProbability": 1.5}, None),
        ({"samplingProbability": math.nan}, None),
        ({"samplingProbability": 5e-324}, None),
        ({"samplingInterval": b"\0" * 9}, None),
        ({"samplingPacketInterval": 1, "samplingPacketSpace": b"\0" * 9}, None),
        ({}, None),
    ],
)
def test_rate(values: dict[str, Any], rate: float | None) -> None:
    found = sampling_rate(values)
    assert found == rate
    assert isinstance(found, int) is isinstance(rate, int)


def test_unsampled() -> None:
    assert is_unsampled({"samplingAlgorithm": 0, "samplingInterval": 0})
    assert is_unsampled({"samplingAlgorithm": 0})
    assert not is_unsampled({"samplingAlgorithm": 0, "samplingInterval": 10})
    assert not is_unsampled({"samplingAlgorithm": 1, "samplingInterval": 0})
    assert not is_unsampled({"samplingInterval": 0})


@pytest.mark.parametrize(
    ("fields", "row", "key"),
    [
        (["scopeSystem[4]", "samplingInterval"], (1, 10), SYSTEM),
        (["scopeSystem[0]", "samplingInterval"], (None, 10), SYSTEM),
        (["exportingProcessId", "samplingInterval"], (2, 10), SYSTEM),
        (["meteringProcessId", "samplingInterval"], (2, 10), SYSTEM),
        (["exporterIPv4Address", "samplingInterval"], ("192.0.2.1", 10), SYSTEM),
        (["scopeInterface[2]", "samplingInterval"], (7, 10), ("interface", 7)),
        (["ingressInterface", "samplingInterval"], (7, 10), ("interface", 7)),
        (["selectorId", "samplingPacketInterval"], (5, 10), ("selectorId", 5)),
        (["scopeLineCard", "samplingInterval"], (3, 10), ("lineCardId", 3)),
        (["lineCardId", "samplingInterval"], (3, 10), ("lineCardId", 3)),
        (["observationPointId", "samplingInterval"], (4, 10), ("observationPointId", 4)),
        (["templateId", "samplingInterval"], (300, 10), ("templateId", 300)),
        (["scopeTemplate", "samplingInterval"], (300, 10), ("templateId", 300)),
        # Cisco: the sampler is no scope
        (["scopeSystem[4]", "samplerId[2]", "samplingInterval"], (1, 9, 10), ("samplerId", 9)),
        # what nothing can be found to be of is not all of the system
        (["scopeCache", "samplingInterval"], (1, 10), ("scopeCache", 1)),
        (["vlanId", "samplingInterval"], (12, 10), ("vlanId", 12)),
    ],
)
def test_scope_of_sampling(fields: list[str], row: tuple[Any, ...], key: tuple[str, int]) -> None:
    (statement,) = said(fields, row)
    assert (statement.what, statement.key) == ("sampling", key)
    assert statement.value.rate == 10
    assert statement.domain is None


def test_sampler() -> None:
    fields = ["scopeSystem[4]", "samplerId", "samplerMode", "samplerRandomInterval", "samplerName"]
    assert said(fields, (1, 2, 1, 400, "one-in-400")) == [
        Statement("sampling", ("samplerId", 2), Sampling(400, "deterministic", "one-in-400"))
    ]


def test_selector() -> None:
    fields = ["selectorId", "selectorAlgorithm", "samplingSize", "samplingPopulation"]
    assert said([*fields, "selectorName"], (3, 3, 1, 128, "n of N")) == [
        Statement(
            "sampling", ("selectorId", 3), Sampling(128, "Random n-out-of-N Sampling", "n of N")
        )
    ]


def test_an_algorithm_without_a_name_is_a_number() -> None:
    (statement,) = said(["selectorId", "selectorAlgorithm", "samplingInterval"], (3, 99, 5))
    assert statement.value == Sampling(5, "99", None)


def test_no_sampling_at_all() -> None:
    fields = ["scopeSystem", "samplingInterval", "samplingAlgorithm"]
    assert said(fields, (0, 0, 0))[0].value == Sampling(1, "none")
    assert said(fields, (0, 0, 1)) == []


def test_a_scope_that_cannot_be_read_is_not_all() -> None:
    assert said(["samplerId[9]", "samplingInterval"], (b"123456789", 10)) == []
    assert said(["scopeCache[9]", "samplingInterval"], (b"123456789", 10)) == []


def test_selection_sequence() -> None:
    fields = ["selectionSequenceId", "observationPointId", "selectorId", "selectorId"]
    assert said(fields, (9, 1, 5, 6)) == [Statement("selection sequence", 9, (5, 6))]


def test_the_domain_that_it_is_about() -> None:
    fields = ["observationDomainId", "meteringProcessId", "samplingInterval"]
    assert said(fields, (7, 1, 10), scope=2) == [
        Statement("sampling", SYSTEM, Sampling(10, None, None), domain=7)
    ]
    assert said(fields, (0, 1, 10), scope=2)[0].domain is None


# Names


@pytest.mark.parametrize(
    "index",
    ["ingressInterface", "egressInterface", "scopeInterface", "ingressPhysicalInterface"],
)
def test_interface(index: str) -> None:
    fields = [index, "interfaceName[8]", "interfaceDescription[v]"]
    assert said(fields, (3, "Gi0/1", "to the lake")) == [
        Statement("interface", 3, Interface("Gi0/1", "to the lake"))
    ]
    assert said(fields[:2], (3, "Gi0/1")) == [Statement("interface", 3, Interface("Gi0/1"))]
    assert said(fields[::2], (3, "")) == [Statement("interface", 3, Interface(None, ""))]


def test_the_interface_that_a_metering_process_watches() -> None:
    fields = ["meteringProcessId", "interfaceName[16]"]
    assert said(fields, (1, "veth-a")) == [Statement("interface", None, Interface("veth-a"))]


def test_names_of_other_things_are_not_interfaces() -> None:
    # a wireless controller's VLANs
    assert statements_of(Template(259, "scopeSystem", "vlanId", "interfaceName", scope=1)) is None
    fields = ["scopeSystem", "meteringProcessId", "interfaceName"]
    assert said(fields, (1, 2, "x")) == []


def test_vrf() -> None:
    for id in ("ingressVRFID", "egressVRFID"):
        assert said(["scopeSystem", id, "VRFname[32]"], (1, 6, "red")) == [
            Statement("VRF", 6, "red")
        ]


def test_application() -> None:
    fields = ["scopeSystem", "applicationId[4]", "applicationName[24]", "applicationDescription"]
    assert said(fields, (1, b"\x03\0\0\x35", "dns", "Domain Name System")) == [
        Statement("application", b"\x03\0\0\x35", Application("dns", "Domain Name System"))
    ]
    # octets are octets: of variable length, as long as they came
    (statement,) = said(["applicationId", "applicationName"], (b"\x03\x35", "dns"))
    assert statement.key == b"\x03\x35"
    assert said(["applicationId", "applicationName"], (b"", "dns")) == []
    assert said(["applicationId", "applicationName"], (b"x" * 256, "dns")) == []


def test_attributes_of_applications_alone_say_nothing() -> None:
    assert statements_of(Template(256, "applicationId", "p2pTechnology", scope=1)) is None


def test_domain_name() -> None:
    assert said(["observationDomainId", "observationDomainName"], (7, "north")) == [
        Statement("domain", None, "north", domain=7)
    ]


def test_text() -> None:
    assert fact_text("Gi0/1\0\0") == "Gi0/1"
    assert fact_text("Gi0/1\0rest of the last name") == "Gi0/1"
    assert fact_text(b"caf\xe9") == "caf\\xe9"
    assert fact_text("x" * 1000) == "x" * MAX_TEXT
    assert len(fact_text(b"\xff" * 100_000) or "") == MAX_TEXT
    assert fact_text("") == ""
    assert fact_text(None) is None
    assert fact_text(7) is None


# Counters


def test_counters_of_a_process() -> None:
    fields = ["exportingProcessId", "notSentPacketTotalCount", "systemInitTimeMilliseconds"]
    assert said(fields, (2, 17, 1)) == [
        Statement("counters", (("exportingProcessId", 2),), {"notSentPacketTotalCount": 17})
    ]
    fields = ["observationDomainId", "meteringProcessId", "exportedFlowRecordTotalCount[4]"]
    (statement,) = said(fields, (7, 3, 12), scope=2)
    assert statement.key == (("meteringProcessId", 3), ("observationDomainId", 7))
    assert statement.domain == 7


def test_counters_of_flows_are_no_statistics() -> None:
    assert statements_of(Template(256, "flowId", "octetDeltaCount", scope=1)) is None


def test_many_counters_are_not_all_kept() -> None:
    fields = ["exportingProcessId", *["exportedOctetTotalCount"] * 100]
    (statement,) = said(fields, (1, *range(100)))
    assert len(statement.value) == MAX_ITEMS


# Layouts


def test_data_says_nothing() -> None:
    assert statements_of(Template(256, "ingressInterface", "interfaceName")) is None


def test_other_options_say_nothing() -> None:
    assert statements_of(Template(256, "scopeSystem", "wlanId[2]", "wlanSSID", scope=1)) is None
    assert statements_of(Template(256, "templateId", "flowKeyIndicator", scope=1)) is None


def test_one_record_may_say_several_things() -> None:
    # softflowd's NetFlow v9
    fields = ["scopeInterface", "samplingInterval", "samplingAlgorithm", "interfaceName[16]"]
    assert said(fields, (7, 1, 1, "veth-a")) == [
        Statement("sampling", ("interface", 7), Sampling(1, "deterministic", None)),
        Statement("interface", 7, Interface("veth-a", None)),
    ]


FIELDS = st.lists(
    st.sampled_from(
        (
            *("scopeSystem", "scopeInterface", "scopeCache", "samplerId", "selectorId"),
            *("selectionSequenceId", "observationDomainId", "exportingProcessId"),
            *("meteringProcessId", "ingressInterface", "interfaceName", "interfaceDescription"),
            *("samplingInterval", "samplingAlgorithm", "samplingPacketInterval", "vlanId"),
            *("samplingPacketSpace", "samplingProbability", "samplerName", "VRFname"),
            *("ingressVRFID", "applicationId", "applicationName", "observationDomainName"),
            *("exportedOctetTotalCount", "notSentFlowTotalCount", "_ipfix_99999_1"),
        )
    ),
    min_size=1,
    max_size=8,
)
GARBAGE = st.one_of(
    st.none(),
    st.integers(0, 1 << 64),
    st.binary(max_size=300),
    st.text(max_size=20),
    st.floats(),
    st.booleans(),
)


@given(FIELDS, st.data())
def test_garbage_raises_nothing(fields: list[str], data: st.DataObject) -> None:
    scope = data.draw(st.integers(1, len(fields)))
    fields = [
        "exportingProcessId" if name.startswith("scope") and position >= scope else name
        for position, name in enumerate(fields)
    ]
    template = Template(256, *fields, scope=scope)
    layout = statements_of(template)
    if layout is None:
        return
    values = {name: data.draw(GARBAGE) for name in template.names}
    for statement in layout.read(values):
        hash(statement.key)
        assert statement.value is not None


class Watched(dict[str, Any]):
    """A dict that knows what it was asked for."""

    def __init__(self, *items: Any) -> None:
        super().__init__(*items)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)


@given(FIELDS, st.data())
def test_records_say_the_same_that_have_what_is_heeded(
    fields: list[str], data: st.DataObject
) -> None:
    fields = [name for name in fields if not name.startswith("scope")] + ["exportingProcessId"]
    template = Template(256, *fields, scope=data.draw(st.integers(1, len(fields))))
    layout = statements_of(template)
    if layout is None:
        return
    values = Watched({name: data.draw(GARBAGE) for name in template.names})
    layout.heed(values)
    others = {name: value if name in values.asked else 7 for name, value in values.items()}
    assert repr(layout.read(others)) == repr(layout.read(dict(values)))


def test_a_name_in_no_octets_is_none() -> None:
    template = Template(256, "ingressInterface", "interfaceName[0]", "VRFname[0]", scope=1)
    assert statements_of(template) is None
    fields = ["ingressInterface", "interfaceName[0]", "interfaceDescription[4]"]
    assert said(fields, (3, "", "lake")) == [Statement("interface", 3, Interface(None, "lake"))]
    # what is limited to a number that there is not is still not all
    assert said(["samplerId[0]", "samplingInterval"], (None, 10)) == []


def test_what_an_enterprise_calls_the_same() -> None:
    fake = InformationElement("samplingInterval", 1, 99999, data_type("unsigned32"))
    layout = statements_of(Template(256, "scopeSystem", "samplerName", fake, scope=1))
    assert layout is not None
    values = {"scopeSystem": 1, "samplerName": "x", "samplingInterval": 10}
    assert layout.read(values) == [Statement("sampling", SYSTEM, Sampling(None, None, "x"))]


def test_a_counter_that_an_exporter_defines_as_something_else() -> None:
    odd = InformationElement("exportedOctetTotalCount", 40, 0, data_type("string"))
    assert statements_of(Template(256, odd, scope=1)) is None


# Applications


@pytest.mark.parametrize(
    ("given", "octets"),
    [
        (b"\x0d\0\x01\xdf", b"\x0d\0\x01\xdf"),
        (0x0D0001DF, b"\x0d\0\x01\xdf"),
        (53, b"\0\0\0\x35"),
        (0x1400003044000000008F34, bytes.fromhex("1400003044000000008f34")),
        ("0d0001df", b"\x0d\0\x01\xdf"),
        ("13:479", None),
        (b"", None),
        (-1, None),
        (None, None),
    ],
)
def test_application_octets(given: object, octets: bytes | None) -> None:
    assert application_octets(given) == octets


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        ("03000035", "3:53"),
        ("0335", "3:53"),
        ("0d0001df", "13:479"),
        ("140000304400008f34", "20:12356:36660"),  # FortiGate
        ("14", "20:0"),
        ("01", "1:0"),
    ],
)
def test_application_text(octets: str, shown: str) -> None:
    assert application_text(bytes.fromhex(octets)) == shown

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the facts of one Options Data Record: sampling, names and counters, by scope."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector.options import MAX_ITEMS, OptionsFact, options_reader
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.wire.facts import (
    SYSTEM,
    Application,
    Interface,
    Sampling,
)
from scapy_ipfix.wire.template import Template


def facts_of(fields: list[str], row: tuple[Any, ...], scope: int = 1) -> list[OptionsFact]:
    """Return the facts of a record after it was encoded and decoded."""
    template = Template(256, *fields, scope=scope)
    reader = options_reader(template)
    assert reader is not None
    (values,) = template.codec.dicts(template.encode(row))
    return list(reader.read(values))


# Sampling


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
        # Cisco: the sampler is not in the scope
        (["scopeSystem[4]", "samplerId[2]", "samplingInterval"], (1, 9, 10), ("samplerId", 9)),
        # a scope that no record refers to is not the whole system
        (["scopeCache", "samplingInterval"], (1, 10), ("scopeCache", 1)),
        (["vlanId", "samplingInterval"], (12, 10), ("vlanId", 12)),
    ],
)
def test_scope_of_sampling(fields: list[str], row: tuple[Any, ...], key: tuple[str, int]) -> None:
    (fact,) = facts_of(fields, row)
    assert (fact.kind, fact.key) == ("sampling", key)
    assert fact.value.rate == 10
    assert fact.domain is None


def test_sampler() -> None:
    fields = ["scopeSystem[4]", "samplerId", "samplerMode", "samplerRandomInterval", "samplerName"]
    assert facts_of(fields, (1, 2, 1, 400, "one-in-400")) == [
        OptionsFact("sampling", ("samplerId", 2), Sampling(400, "deterministic", "one-in-400"))
    ]


def test_selector() -> None:
    fields = ["selectorId", "selectorAlgorithm", "samplingSize", "samplingPopulation"]
    assert facts_of([*fields, "selectorName"], (3, 3, 1, 128, "n of N")) == [
        OptionsFact(
            "sampling", ("selectorId", 3), Sampling(128, "Random n-out-of-N Sampling", "n of N")
        )
    ]


def test_an_algorithm_without_a_name_is_a_number() -> None:
    (fact,) = facts_of(["selectorId", "selectorAlgorithm", "samplingInterval"], (3, 99, 5))
    assert fact.value == Sampling(5, "99", None)


def test_sampling_ruled_out() -> None:
    fields = ["scopeSystem", "samplingInterval", "samplingAlgorithm"]
    assert facts_of(fields, (0, 0, 0))[0].value == Sampling(1, "none")
    assert facts_of(fields, (0, 0, 1)) == []


def test_an_unreadable_scope_is_not_the_whole_system() -> None:
    assert facts_of(["samplerId[9]", "samplingInterval"], (b"123456789", 10)) == []
    assert facts_of(["scopeCache[9]", "samplingInterval"], (b"123456789", 10)) == []


def test_selection_sequence() -> None:
    fields = ["selectionSequenceId", "observationPointId", "selectorId", "selectorId"]
    assert facts_of(fields, (9, 1, 5, 6)) == [OptionsFact("selection sequence", 9, (5, 6))]


def test_domain_of_a_fact() -> None:
    fields = ["observationDomainId", "meteringProcessId", "samplingInterval"]
    assert facts_of(fields, (7, 1, 10), scope=2) == [
        OptionsFact("sampling", SYSTEM, Sampling(10, None, None), domain=7)
    ]
    assert facts_of(fields, (0, 1, 10), scope=2)[0].domain is None


# Names


@pytest.mark.parametrize(
    "index",
    ["ingressInterface", "egressInterface", "scopeInterface", "ingressPhysicalInterface"],
)
def test_interface(index: str) -> None:
    fields = [index, "interfaceName[8]", "interfaceDescription[v]"]
    assert facts_of(fields, (3, "Gi0/1", "to the lake")) == [
        OptionsFact("interface", 3, Interface("Gi0/1", "to the lake"))
    ]
    assert facts_of(fields[:2], (3, "Gi0/1")) == [OptionsFact("interface", 3, Interface("Gi0/1"))]
    assert facts_of(fields[::2], (3, "")) == [OptionsFact("interface", 3, Interface(None, ""))]


def test_the_interface_that_a_metering_process_observes() -> None:
    fields = ["meteringProcessId", "interfaceName[16]"]
    assert facts_of(fields, (1, "veth-a")) == [OptionsFact("interface", None, Interface("veth-a"))]


def test_names_of_other_things_are_not_interfaces() -> None:
    # a wireless controller's VLANs
    assert options_reader(Template(259, "scopeSystem", "vlanId", "interfaceName", scope=1)) is None
    fields = ["scopeSystem", "meteringProcessId", "interfaceName"]
    assert facts_of(fields, (1, 2, "x")) == []


def test_vrf() -> None:
    for id in ("ingressVRFID", "egressVRFID"):
        assert facts_of(["scopeSystem", id, "VRFname[32]"], (1, 6, "red")) == [
            OptionsFact("VRF", 6, "red")
        ]


def test_application() -> None:
    fields = ["scopeSystem", "applicationId[4]", "applicationName[24]", "applicationDescription"]
    assert facts_of(fields, (1, b"\x03\0\0\x35", "dns", "Domain Name System")) == [
        OptionsFact("application", b"\x03\0\0\x35", Application("dns", "Domain Name System"))
    ]
    # octets are octets: of variable length, as long as they came
    (fact,) = facts_of(["applicationId", "applicationName"], (b"\x03\x35", "dns"))
    assert fact.key == b"\x03\x35"
    assert facts_of(["applicationId", "applicationName"], (b"", "dns")) == []
    assert facts_of(["applicationId", "applicationName"], (b"x" * 256, "dns")) == []


def test_attributes_of_applications_alone_are_no_facts() -> None:
    assert options_reader(Template(256, "applicationId", "p2pTechnology", scope=1)) is None


def test_domain_name() -> None:
    assert facts_of(["observationDomainId", "observationDomainName"], (7, "north")) == [
        OptionsFact("domain", None, "north", domain=7)
    ]


# Counters


def test_counters_of_a_process() -> None:
    fields = ["exportingProcessId", "notSentPacketTotalCount", "systemInitTimeMilliseconds"]
    assert facts_of(fields, (2, 17, 1)) == [
        OptionsFact("time of initialization", None, 1),
        OptionsFact("counters", (("exportingProcessId", 2),), {"notSentPacketTotalCount": 17}),
    ]
    fields = ["observationDomainId", "meteringProcessId", "exportedFlowRecordTotalCount[4]"]
    (fact,) = facts_of(fields, (7, 3, 12), scope=2)
    assert fact.key == (("meteringProcessId", 3), ("observationDomainId", 7))
    assert fact.domain == 7


def test_time_of_initialization() -> None:
    fields = ["meteringProcessId", "systemInitTimeMilliseconds"]
    assert facts_of(fields, (1, 1_699_999_900_000)) == [
        OptionsFact("time of initialization", None, 1_699_999_900_000)
    ]
    assert facts_of(fields, (1, 0)) == []
    # A line card may have started later than the exporter.
    assert facts_of(["lineCardId", "systemInitTimeMilliseconds"], (1, 1_699_999_900_000)) == []


def test_counters_of_flows_are_no_facts() -> None:
    assert options_reader(Template(256, "flowId", "octetDeltaCount", scope=1)) is None


def test_the_number_of_counters_is_bounded() -> None:
    fields = ["exportingProcessId", *["exportedOctetTotalCount"] * 100]
    (fact,) = facts_of(fields, (1, *range(100)))
    assert len(fact.value) == MAX_ITEMS


# Layouts


def test_data_records_state_no_facts() -> None:
    assert options_reader(Template(256, "ingressInterface", "interfaceName")) is None


def test_other_options_state_no_facts() -> None:
    assert options_reader(Template(256, "scopeSystem", "wlanId[2]", "wlanSSID", scope=1)) is None
    assert options_reader(Template(256, "templateId", "flowKeyIndicator", scope=1)) is None


def test_a_record_of_several_facts() -> None:
    # softflowd's NetFlow v9
    fields = ["scopeInterface", "samplingInterval", "samplingAlgorithm", "interfaceName[16]"]
    assert facts_of(fields, (7, 1, 1, "veth-a")) == [
        OptionsFact("sampling", ("interface", 7), Sampling(1, "deterministic", None)),
        OptionsFact("interface", 7, Interface("veth-a", None)),
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
def test_garbage_raises_no_error(fields: list[str], data: st.DataObject) -> None:
    scope = data.draw(st.integers(1, len(fields)))
    fields = [
        "exportingProcessId" if name.startswith("scope") and position >= scope else name
        for position, name in enumerate(fields)
    ]
    template = Template(256, *fields, scope=scope)
    reader = options_reader(template)
    if reader is None:
        return
    values = {name: data.draw(GARBAGE) for name in template.names}
    for fact in reader.read(values):
        hash(fact.key)
        assert fact.value is not None


class AccessLog(dict[str, Any]):
    """Dict that keeps the keys of its lookups."""

    def __init__(self, *items: Any) -> None:
        super().__init__(*items)
        self.keys_read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.keys_read.add(name)
        return super().__getitem__(name)


@given(FIELDS, st.data())
def test_facts_depend_on_the_significant_values_alone(
    fields: list[str], data: st.DataObject
) -> None:
    fields = [name for name in fields if not name.startswith("scope")] + ["exportingProcessId"]
    template = Template(256, *fields, scope=data.draw(st.integers(1, len(fields))))
    reader = options_reader(template)
    if reader is None:
        return
    values = AccessLog({name: data.draw(GARBAGE) for name in template.names})
    reader.significant(values)
    others = {name: value if name in values.keys_read else 7 for name, value in values.items()}
    assert repr(reader.read(others)) == repr(reader.read(dict(values)))


def test_fields_of_no_octets_state_nothing() -> None:
    template = Template(256, "ingressInterface", "interfaceName[0]", "VRFname[0]", scope=1)
    assert options_reader(template) is None
    fields = ["ingressInterface", "interfaceName[0]", "interfaceDescription[4]"]
    assert facts_of(fields, (3, "", "lake")) == [
        OptionsFact("interface", 3, Interface(None, "lake"))
    ]
    # a scope without a number is not the whole system
    assert facts_of(["samplerId[0]", "samplingInterval"], (None, 10)) == []


def test_elements_of_an_enterprise_do_not_count() -> None:
    fake = InformationElement("samplingInterval", 1, 99999, data_type("unsigned32"))
    reader = options_reader(Template(256, "scopeSystem", "samplerName", fake, scope=1))
    assert reader is not None
    values = {"scopeSystem": 1, "samplerName": "x", "samplingInterval": 10}
    assert reader.read(values) == [OptionsFact("sampling", SYSTEM, Sampling(None, None, "x"))]


def test_a_counter_that_an_exporter_defines_as_something_else() -> None:
    odd = InformationElement("exportedOctetTotalCount", 40, 0, data_type("string"))
    assert options_reader(Template(256, odd, scope=1)) is None

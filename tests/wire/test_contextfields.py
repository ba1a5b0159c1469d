# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the fields of a layout that lead to facts."""

from typing import Any

import pytest

from scapy_ipfix.wire.contextfields import NO_CONTEXT_FIELDS, context_fields
from scapy_ipfix.wire.facts import Interface
from scapy_ipfix.wire.resolver import KEYED_VALUES
from scapy_ipfix.wire.template import Template


def resolved(*fields: str) -> list[str]:
    """Return the names of the values that records of a layout resolve to, beside the rate."""
    found = context_fields(Template(256, *fields))
    return [each.name for each in KEYED_VALUES[1:] if each.is_in(found)]


def test_a_layout_without_context_fields() -> None:
    plain = context_fields(Template(256, "sourceIPv4Address", "octetDeltaCount"))
    assert plain is context_fields(Template(257, "packetDeltaCount"))
    assert plain.names == ("",)
    assert plain is NO_CONTEXT_FIELDS
    assert plain.interfaces == plain.vrfs == (None, None)
    assert plain.application is None
    assert plain.rates == ()
    assert plain.sampled == ((), ())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["ingressInterface"], ["ingress_interface_name"]),
        (["egressPhysicalInterface"], ["egress_interface_name"]),
        (["interfaceName"], ["ingress_interface_name"]),
        (["ingressVRFID", "applicationId[4]"], ["ingress_vrf_name", "application_name"]),
        (["egressVRFID", "samplerId"], ["egress_vrf_name"]),
        (["ingressVRFID", "egressInterface"], ["egress_interface_name", "ingress_vrf_name"]),
    ],
)
def test_resolved_values_of_a_layout(fields: list[str], expected: list[str]) -> None:
    assert resolved("octetDeltaCount", *fields) == expected


def test_elements_of_enterprises_do_not_count() -> None:
    reverse = Template(256, "reverseIngressInterface", "octetDeltaCount")
    assert context_fields(reverse) is context_fields(Template(257, "octetDeltaCount"))


@pytest.mark.parametrize(
    ("fields", "values", "expected"),
    [
        (["ingressInterface"], (7,), ("found 7", None)),
        (["ingressInterface"], (b"\7",), (None, None)),
        (["ingressInterface", "interfaceName"], (7, "eth7"), ("eth7", "about 7")),
        (["interfaceDescription", "ingressInterface"], ("its own", 7), ("found 7", "its own")),
        (["ingressInterface", "ingressPhysicalInterface"], (0, 7), ("found 7", "about 7")),
    ],
)
def test_the_name_of_an_interface(
    fields: list[str], values: tuple[Any, ...], expected: tuple[Any, Any]
) -> None:
    """An interface has a number alone, texts in the record, or another number."""
    known = {7: Interface("found 7", "about 7")}
    if fields == ["ingressInterface"]:
        known = {7: Interface("found 7")}

    def find(kind: str, key: Any) -> Any:
        assert kind == "interface"
        return known.get(key)

    template = Template(256, *fields)
    context = context_fields(template)
    assert context.interfaces[0] is not None
    name, pick = context.interfaces[0]
    record = dict(zip(template.names, values))
    assert name(find, pick(tuple(map(record.get, context.names)))) == expected


def test_names_go_with_the_numbers_before_them() -> None:
    """Open vSwitch sends ingress, name, egress, name."""
    template = Template(
        256, "egressInterface", "interfaceName", "ingressInterface", "interfaceName"
    )
    context = context_fields(template)
    row = tuple(map(dict(zip(template.names, (2, "two", 1, "one"))).get, context.names))
    assert [pick(row)[0] for _, pick in filter(None, context.interfaces)] == ["one", "two"]

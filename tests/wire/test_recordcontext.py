# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the values that records resolve to without facts of options data."""

from __future__ import annotations

from typing import Any

import pytest

from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.resolver import KEYED_VALUES
from scapy_ipfix.wire.template import Template


@pytest.mark.parametrize(
    ("fields", "row", "expected"),
    [
        (["octetDeltaCount"], (1,), {"sampling_rate": None}),
        (["samplingInterval"], (100,), {"sampling_rate": 100}),
        (["samplerId", "samplingInterval"], (1, 0), {"sampling_rate": None}),
        (
            ["egressInterface", "interfaceName[4]"],
            (7, "eth7"),
            {"sampling_rate": None, "egress_interface_name": "eth7"},
        ),
        (
            ["ingressInterface", "ingressVRFID", "VRFname[3]"],
            (7, 1, "red"),
            {"sampling_rate": None, "ingress_interface_name": None, "ingress_vrf_name": "red"},
        ),
        (
            ["applicationId[4]", "applicationName[3]"],
            (b"\3\0\0\x35", "dns"),
            {"sampling_rate": None, "application_name": "dns"},
        ),
    ],
)
def test_values_of_the_records_own_fields(
    fields: list[str], row: tuple[Any, ...], expected: dict[str, Any]
) -> None:
    template = Template(256, *fields)
    resolver = RecordContext().resolver(template)
    values = dict(zip(template.names, row))
    for count in (1, 1000):
        columns = [[values.get(name)] * count for name in resolver.fields.names]
        found = resolver.resolve_columns(columns)
        assert {name: [*column] for name, column in found.items()} == {
            name: [value] * count for name, value in expected.items()
        }


def test_methods_of_a_context_without_facts() -> None:
    template = Template(256, "samplingInterval", "interfaceDescription[4]", "egressVRFID")
    values = dict(zip(template.names, (10, "lake", 5)))
    context = RecordContext()
    assert context.sampling_rate(template, values) == 10
    assert context.interface_name(template, values) == "lake"
    assert context.interface_description(template, values) == "lake"
    assert context.interface_name(template, values, "egress") is None
    assert context.vrf_name(template, values, "egress") is None
    assert context.vrf_name(template, values) is None
    assert context.application_name(template, values) is None


def test_names_of_resolved_values_are_unique() -> None:
    names = [value.name for value in KEYED_VALUES]
    assert len(set(names)) == len(names) == 6

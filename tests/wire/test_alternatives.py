# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of values that records have in one of several elements."""

from __future__ import annotations

from typing import Any

import pytest

from scapy_ipfix.model.model import elements
from scapy_ipfix.wire.alternatives import ALTERNATIVES, alternatives
from scapy_ipfix.wire.template import Template

V4, V6 = "sourceIPv4Address", "sourceIPv6Address"


def test_every_element_has_a_name_of_the_registries() -> None:
    for groups in ALTERNATIVES.values():
        for name in [name for group in groups for name in group]:
            assert elements[name].name == name


@pytest.mark.parametrize(
    ("fields", "row", "expected"),
    [
        ([V4], ("192.0.2.1",), {"source_address": "192.0.2.1"}),
        ([V6], ("2001:db8::1",), {"source_address": "2001:db8::1"}),
        ([V4, V6], ("192.0.2.1", "::"), {"source_address": "192.0.2.1"}),
        ([V4, V6], ("0.0.0.0", "2001:db8::1"), {"source_address": "2001:db8::1"}),
        ([V6, V4], ("::", "0.0.0.0"), {"source_address": "0.0.0.0"}),
        ([V6, V4, "ipVersion"], ("::", "0.0.0.0", 6), {"source_address": "::"}),
        ([V6, V4, "ipVersion"], ("::", "0.0.0.0", 4), {"source_address": "0.0.0.0"}),
        ([V6, V4, "ipVersion"], ("::", "192.0.2.1", 6), {"source_address": "192.0.2.1"}),
        (["postNATSourceIPv4Address"], ("192.0.2.1",), {"source_address": "192.0.2.1"}),
        (
            ["postNATSourceIPv4Address", V4],
            ("192.0.2.1", "10.0.0.1"),
            {"source_address": "10.0.0.1"},
        ),
        (["reverseSourceIPv6Address"], ("2001:db8::1",), {"source_address": "2001:db8::1"}),
        ([V4], (b"\1",), {"source_address": None}),
        (["destinationIPv6Address"], ("::1",), {"destination_address": "::1"}),
        (["sourceTransportPort"], (0,), {"source_port": 0}),
        (["udpSourcePort", "tcpSourcePort"], (53, 0), {"source_port": 53}),
        (["postNAPTDestinationTransportPort"], (53,), {"destination_port": 53}),
        (["protocolIdentifier"], (6,), {"protocol": 6}),
        (["octetTotalCount", "octetDeltaCount"], (9, 0), {"octets": 0}),
        (["reverseOctetDeltaCount", "octetTotalCount"], (9, 5), {"octets": 5}),
        (["reverseOctetTotalCount", "reverseOctetDeltaCount"], (9, 5), {"octets": 5}),
        (["responderOctets", "initiatorOctets"], (9, 5), {"octets": 5}),
        (["packetDeltaCount", "postPacketTotalCount"], (9, 5), {"packets": 9}),
        (["ipVersion", "flowId"], (6, 1), {}),
    ],
)
def test_value_of_a_record(
    fields: list[str], row: tuple[Any, ...], expected: dict[str, Any]
) -> None:
    template = Template(256, *fields)
    columns = {name: (value, value) for name, value in zip(template.names, row)}
    found = {
        name: each.values(columns.__getitem__) for name, each in alternatives(template).items()
    }
    assert found == {name: [value, value] for name, value in expected.items()}

# SPDX-License-Identifier: GPL-2.0-or-later
"""Reverse elements: which exist, their numbers and names (RFC 5103 section 6)."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.reverse import (
    NOT_REVERSIBLE,
    REVERSE_PEN,
    forward_names,
    forward_number,
    reverse_number,
    reversed_element,
)

IANA_XML = Path(__file__).parents[3] / "shared" / "registry" / "iana" / "ipfix.xml"
CERT_BIT = 0x4000


@pytest.mark.parametrize("number", [(0, 1), (0, 8), (0, 136), (0, 152), (0, 32767)])
def test_iana(number: tuple[int, int]) -> None:
    assert reverse_number(*number) == (REVERSE_PEN, number[1])
    assert forward_number(REVERSE_PEN, number[1]) == number


@pytest.mark.parametrize("id", sorted(NOT_REVERSIBLE))
def test_not_reversible(id: int) -> None:
    assert reverse_number(0, id) is None
    assert forward_number(REVERSE_PEN, id) is None


def test_bit_of_an_enterprise() -> None:
    assert reverse_number(6871, 14, CERT_BIT) == (6871, 0x400E)
    assert forward_number(6871, 0x400E, CERT_BIT) == (6871, 14)
    assert reverse_number(6871, 0x400E, CERT_BIT) is None
    assert forward_number(6871, 14, CERT_BIT) is None
    assert reverse_number(9, 14) is None
    assert forward_number(9, 0x400E) is None


def test_a_reverse_has_none() -> None:
    assert reverse_number(REVERSE_PEN, 1) is None
    assert forward_number(0, 1) is None


def test_a_field_type_above_15_bits_has_none() -> None:
    assert reverse_number(0, 32768) is None


def test_names() -> None:
    forward = InformationElement("octetDeltaCount", 1, units="octets")
    reverse = reversed_element(forward, REVERSE_PEN, 1)
    assert reverse == InformationElement("reverseOctetDeltaCount", 1, REVERSE_PEN, units="octets")
    assert forward_names("reverseOctetDeltaCount") == ("octetDeltaCount", "OctetDeltaCount")
    assert forward_names("reverse") == ()
    assert forward_names("octetDeltaCount") == ()


def test_reverse_of_a_placeholder_is_one() -> None:
    reverse = reversed_element(InformationElement("_ipfix_0_600", 600), REVERSE_PEN, 600)
    assert reverse.name == "_ipfix_29305_600"


@pytest.mark.skipif(not IANA_XML.exists(), reason="no copy of IANA's registry")
def test_iana_groups() -> None:
    """RFC 5103 excludes sections 5.2 and 5.3 of RFC 5102, which are groups of the registry."""
    groups: dict[str, set[int]] = {}
    for record in ElementTree.parse(IANA_XML).iterfind(".//{*}record[{*}group]"):
        id = int(record.findtext("{*}elementId", ""))
        groups.setdefault(record.findtext("{*}group", ""), set()).add(id)
    whole = groups["config"] | groups["processCounter"] | groups["padding"]
    assert whole | {137, 145, 148, 149, 239} == NOT_REVERSIBLE

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of application ids as text."""

import pytest

from scapy_ipfix.model.applicationid import application_text


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

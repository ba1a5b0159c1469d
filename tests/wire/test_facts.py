# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the values of facts."""

import pytest

from scapy_ipfix.wire.facts import MAX_TEXT, application_octets, fact_text


def test_fact_text() -> None:
    assert fact_text("Gi0/1\0\0") == "Gi0/1"
    assert fact_text("Gi0/1\0rest of the last name") == "Gi0/1"
    assert fact_text(b"caf\xe9") == "caf\\xe9"
    assert fact_text("x" * 1000) == "x" * MAX_TEXT
    assert len(fact_text(b"\xff" * 100_000) or "") == MAX_TEXT
    assert fact_text("") == ""
    assert fact_text(None) is None
    assert fact_text(7) is None


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

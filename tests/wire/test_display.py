# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of values as text: names, and elements that pack several values into octets."""

from __future__ import annotations

from typing import Any

import pytest

from scapy_ipfix import Record, Template
from scapy_ipfix.wire.display import field_texts, value_text


@pytest.mark.parametrize(
    ("spec", "value", "shown"),
    [
        ("protocolIdentifier", 6, "tcp"),
        ("protocolIdentifier", 200, None),
        ("tcpControlBits", 0x12, "SA"),
        ("flowEndReason", 1, "idle timeout"),
        ("flowDirection", 0, "ingress"),
        ("ipVersion", 4, "IPv4"),
        ("ipClassOfService", 0xB8, "EF"),
        ("ethernetType", 0x0800, "IPv4"),
        ("ethernetType", 0x1234, "0x1234"),
        ("icmpTypeCodeIPv4", 0x0800, "echo-request"),
        ("icmpTypeCodeIPv4", 0xF001, "type 240 code 1"),
        ("applicationId[4]", bytes((3, 0, 0, 53)), "IANA-L4:53"),
        ("applicationId[4]", bytes((20, 0, 0, 53)), "PANA-L7-PEN:53"),
        ("applicationId[4]", bytes((99, 0, 0, 1)), "99:1"),
        ("applicationId[4]", b"\x01", None),
        ("mplsTopLabelStackSection[3]", bytes.fromhex("00064b"), "label=100 exp=5 bottom=1"),
        ("mplsLabelStackSection2[3]", bytes.fromhex("fffff0"), "label=1048575 exp=0 bottom=0"),
        ("mplsLabelStackSection3[3]", b"\x00", None),
        ("octetDeltaCount", 5, None),
    ],
)
def test_value(spec: str, value: Any, shown: str | None) -> None:
    (field,) = Template(256, spec).fields
    assert value_text(field, value) == shown


def test_show_and_tables_say_the_same() -> None:
    template = Template(
        256, "mplsTopLabelStackSection[3]", "applicationId[4]", "protocolIdentifier"
    )
    record = Record(template, bytes.fromhex("00064b 03000050 11"))
    shown = record.show(dump=True)
    texts = [text(value) for text, value in zip(field_texts(template), record.values().values())]
    assert texts == ["label=100 exp=5 bottom=1", "IANA-L4:80", "udp"]
    assert all(text in shown for text in texts)


def test_a_string_that_is_not_utf8_reaches_no_terminal() -> None:
    template = Template(256, "interfaceName")
    (text,) = field_texts(template)
    assert "\x1b" not in text(b"\x1b[31m\xff")
    assert "\x1b" not in text("\x1b[31m")

# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of flows: columns, widths, colours, units, records that are no flows."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest

from scapy_ipfix import IPFIXSession, Template
from scapy_ipfix.cli.flowlines import (
    FlowLines,
    protocol_name,
    scaled,
    seconds_text,
    service_name,
    wants_colour,
)
from scapy_ipfix.reading.reader import iter_sets
from tests.builders import data_set, message_octets, template_sets

PCAPS = Path(__file__).parents[2] / "pcaps"
FLOW = Template(
    256,
    *("sourceIPv6Address", "destinationIPv6Address", "sourceTransportPort"),
    *("destinationTransportPort", "protocolIdentifier", "tcpControlBits", "octetDeltaCount"),
    *("packetDeltaCount", "flowStartMilliseconds", "flowEndMilliseconds"),
)
ROW: dict[str, Any] = {
    "sourceIPv6Address": "2001:db8:1:2:3:4:5:6",
    "destinationIPv6Address": "2001:db8::2",
    "sourceTransportPort": 60000,
    "destinationTransportPort": 443,
    "protocolIdentifier": 6,
    "tcpControlBits": 0x12,
    "octetDeltaCount": 123456,
    "packetDeltaCount": 7,
    "flowStartMilliseconds": "2026-11-22T00:58:41.373Z",
    "flowEndMilliseconds": "2026-11-22T00:58:43.873Z",
}


def lines(source: Any, width: int | None = None, **options: Any) -> list[str]:
    out = io.StringIO()
    writer = FlowLines(out, width, **options)
    for read in iter_sets(source, IPFIXSession()):
        assert read.template is not None
        writer.write(read, read.template)
    writer.finish()
    found = out.getvalue().splitlines()
    assert writer.records == len(found) - bool(found)
    return found


def octets(*rows: dict[str, Any], template: Template = FLOW) -> bytes:
    return message_octets(*template_sets(template), data_set(template, rows))


def test_a_line_without_width_is_whole() -> None:
    header, line = lines(octets(ROW))
    assert " ".join(header.split()) == (
        "time (UTC) exporter proto source → destination packets octets duration flags"
    )
    assert " ".join(line.split()) == (
        "00:58:43.873 message tcp [2001:db8:1:2:3:4:5:6]:60000 → [2001:db8::2]:https "
        "7 123kB 2.5s SA"
    )


@pytest.mark.parametrize("width", [80, 88, 96, 118, 200])
def test_a_line_fits_the_width(width: int) -> None:
    header, line = lines(octets(ROW), width)
    assert len(line) <= width
    assert len(header) <= width
    assert ("SA" in line) == (width >= 88)
    assert ("2.5s" in line) == (width >= 96)
    assert ("message" in line) == (width >= 118)
    assert "→ [2001:db8::2]:https" in line
    assert ("…" in line) == (width < 200)


def test_columns_are_aligned() -> None:
    found = lines(PCAPS / "softflowd_ipfix.pcap", 120)
    flows = [line for line in found if "→" in line]
    assert len(flows) == 522
    assert len({line.index("→") for line in flows}) == 1
    assert max(map(len, found)) <= 120


def test_numeric_ports() -> None:
    assert "[2001:db8::2]:443" in lines(octets(ROW), is_numeric=True)[1]


def test_colours_by_protocol_and_reset() -> None:
    rows = [ROW, {**ROW, "protocolIdentifier": 17}, {**ROW, "tcpControlBits": 0x14}]
    found = lines(octets(*rows), has_colour=True)
    colours = [re.match(r"\x1b\[(\d+)m", line) for line in found]
    assert [each and each[1] for each in colours] == ["2", "32", "36", "31"]
    assert all(line.endswith("\x1b[0m") for line in found)


def test_records_without_addresses_are_names_and_values() -> None:
    template = Template(300, "interfaceName", "octetDeltaCount", scope=1)
    _, line = lines(octets({"interfaceName": "eth\x1b0", "octetDeltaCount": 5}, template=template))
    assert line == "message options 300: interfaceName=eth\\x1b0 octetDeltaCount=5"
    (_, *found) = lines(PCAPS / "ovs_ipfix.pcap", 100)
    assert sum("→" in line for line in found) > 0
    assert sum(" record 25" in line for line in found) > 0
    assert max(map(len, found)) <= 100


def test_fields_that_are_missing() -> None:
    template = Template(300, "sourceIPv4Address", "packetDeltaCount")
    (_, line) = lines(
        octets({"sourceIPv4Address": "192.0.2.1", "packetDeltaCount": 3}, template=template)
    )
    assert line.split() == ["message", "192.0.2.1", "→", "?", "3"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 "), (999, "999 "), (1000, "1.0k"), (9949, "9.9k"), (9960, "10k"), (999_499, "999k"),
     (999_500, "1.0M"), (5e9, "5.0G"), (1 << 64, "18E"), (1e24, "1000000E")],
)  # fmt: skip
def test_scaled(number: float, text: str) -> None:
    assert scaled(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.000816, "816us"), (0.0009996, "1ms"), (0.022, "22ms"), (0.9996, "1.0s"),
     (1.54, "1.5s"), (59.94, "59.9s"), (59.96, "1m00s"), (312, "5m12s"), (3599.6, "1h00m"),
     (11230, "3h07m"), (183600, "2d03h")],
)  # fmt: skip
def test_seconds(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_names() -> None:
    assert [protocol_name(number) for number in (6, 58, 1, 253, None)] == [
        "tcp", "icmp6", "icmp", protocol_name(253), "",
    ]  # fmt: skip
    assert service_name(443, 6) == "https"
    assert service_name(60001, 17) == "60001"


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal())
    assert not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())

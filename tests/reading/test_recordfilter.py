# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters applied to records: elements, resolved values, times, context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scapy_ipfix import IPFIXSession, iter_records
from scapy_ipfix.reading.reader import iter_sets, record_reader

PCAPS = Path(__file__).parents[2] / "pcaps"
CAPTURE = PCAPS / "softflowd_ipfix.pcap"
FIELDS = ["source_address", "destination_port", "octets", "flow_start", "flow_duration", "_packet"]


def selected(where: str, path: Path = CAPTURE, **arguments: Any) -> list[Any]:
    session = IPFIXSession()
    read = record_reader(session, where=where, **arguments)
    return [record for each in iter_sets(path, session) for record in read(each)]


ROWS = list(iter_records(CAPTURE, FIELDS, kind="data"))
MIDDLE = sorted({row[3] for row in ROWS})[8]


@pytest.mark.parametrize(
    ("where", "test"),
    [
        ("octets > 100", lambda row: row[2] > 100),
        (
            "src in 198.51.100.0/24 and not bytes < 1000",
            lambda row: row[0].startswith("198.51.100.") and row[2] >= 1000,
        ),
        ("dst port 80 or packet = 2", lambda row: row[1] == 80 or row[5] == 2),
        ("duration >= 10ms", lambda row: row[4] >= 0.01),
        (f"start > {MIDDLE}", lambda row: row[3] > MIDDLE),
        ("octetDeltaCount > 100", lambda row: row[2] > 100),
    ],
)
def test_records_are_those_that_the_expression_selects(where: str, test: Any) -> None:
    expected = [row for row in ROWS if test(row)]
    assert 0 < len(expected) < len(ROWS)
    assert selected(where, fields=FIELDS, kind="data") == expected


def test_a_filter_on_fields_that_are_not_in_the_result() -> None:
    rows = selected("octets > 100", fields=["destination_port"], kind="data")
    assert rows == [(row[1],) for row in ROWS if row[2] > 100]


def test_dicts_and_layouts_without_the_field() -> None:
    records = list(iter_records(CAPTURE))
    assert selected("octetDeltaCount >= 0") == [r for r in records if "octetDeltaCount" in r]
    assert selected("not octetDeltaCount") == [r for r in records if "octetDeltaCount" not in r]
    assert selected("applicationName") == []


def test_options_records_have_no_resolved_values() -> None:
    assert selected("octets >= 0 or sampling_rate > 0", kind="options") == []
    assert selected("_domain = 0", kind="options") == list(iter_records(CAPTURE, kind="options"))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters of iter_records: the same records as a condition in Python selects."""

from pathlib import Path
from typing import Any

import pytest

from scapy_ipfix import iter_records
from scapy_ipfix.reading.filters import Filter, FilterError

ROOT = Path(__file__).parents[2]
CAPTURES = [
    ROOT / "pcaps" / name
    for name in ("softflowd_ipfix.pcap", "softflowd_v9.pcap", "ovs_ipfix.pcap", "pmacctd_v9.pcap")
]
CONDITIONS = {
    "dst port 443 or octets > 1000": lambda record: (
        record.get("destination_port") == 443 or (record.get("octets") or 0) > 1000
    ),
    "not proto tcp": lambda record: record.get("protocolIdentifier") != 6,
    "src in 198.51.100.0/24 and packets >= 2": lambda record: (
        str(record.get("source_address")).startswith("198.51.100.")
        and (record.get("packets") or 0) >= 2
    ),
    "_domain 0": lambda record: record["_domain"] == 0,
    "flow_duration > 1s": lambda record: (record.get("flow_duration") or 0) > 1,
    "vlanId = 5": lambda record: record.get("vlanId") == 5,
    "octets": lambda record: record.get("octets") is not None,
}


@pytest.mark.parametrize("where", CONDITIONS)
@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_the_same_as_a_condition(path: Path, where: str) -> None:
    everything = list(iter_records(path, resolve=True, context=True))
    expected = [record for record in everything if CONDITIONS[where](record)]
    assert list(iter_records(path, resolve=True, context=True, where=where)) == expected
    assert list(iter_records(path, resolve=True, context=True, where=Filter(where))) == expected


@pytest.mark.parametrize("values", ["scapy", "python", "json"])
@pytest.mark.parametrize("kind", ["all", "data", "options"])
def test_values_and_kinds(values: Any, kind: Any) -> None:
    path = CAPTURES[0]
    some = list(iter_records(path, kind=kind, values=values, where="proto tcp"))
    everything = list(iter_records(path, kind=kind, values=values))
    assert some == [each for each in everything if each.get("protocolIdentifier") == 6]
    assert bool(some) is (kind != "options")


def test_tuples_of_other_fields_than_the_filter_names() -> None:
    path, fields = CAPTURES[0], ["sourceIPv4Address", "octetDeltaCount"]
    expected = [
        (each["sourceIPv4Address"], each["octetDeltaCount"])
        for each in iter_records(path)
        if each.get("protocolIdentifier") == 17 and "sourceIPv4Address" in each
    ]
    assert expected
    assert list(iter_records(path, fields, where="proto udp")) == expected


def test_a_mistake_is_an_error_at_the_call() -> None:
    with pytest.raises(FilterError, match="column 10"):
        iter_records(CAPTURES[0], where="dst port nosuchservice")

# SPDX-License-Identifier: GPL-2.0-or-later
"""Filter expressions: grammar, values, rows and columns."""

import socket
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.reading.filterparser import MAX_DEPTH, MAX_LENGTH, FilterError
from scapy_ipfix.reading.filters import Filter

RECORD: dict[str, Any] = {
    "source_address": "10.1.2.3",
    "destination_address": "2001:db8::1",
    "source_port": 51234,
    "destination_port": 443,
    "octets": 2_000_000,
    "packets": 12,
    "protocolIdentifier": 6,
    "tcpControlBits": 0x12,
    "flow_start": datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc),
    "flow_duration": 5.5,
    "flowStartMilliseconds": 1_700_000_000_000,
    "sourceMacAddress": "02:00:00:00:00:01",
    "interfaceName": "GigabitEthernet0/1",
    "application_name": None,
    "sourceIPv4Address": "10.1.2.3",
    "samplingProbability": 0.25,
    "_domain": 7,
}


def select(text: str, record: dict[str, Any]) -> bool:
    bound = Filter(text).bind(record)
    if isinstance(bound, bool):
        return bound
    return bound.test([record[name] for name in bound.names])


@pytest.mark.parametrize(
    "text",
    [
        "dst port 443 and octets > 1e6 and src in 10.0.0.0/8",
        "src 10.1.2.3",
        "src ip = 10.1.2.3",
        "SRC IP 10.1.2.3 AND NOT DST PORT 80",
        "host 2001:db8::1",
        "net 2001:db8::/32",
        "dst in {10.0.0.0/8, 2001:db8::/32}",
        "dst port https",
        "dst port != 80",
        "port 443",
        "port in {80 443}",
        "port in (80, 400..500)",
        "src port not in [1..1023]",
        "proto tcp",
        "protocol 6",
        "protocolIdentifier = TCP",
        "proto in {udp, tcp}",
        "PROTOCOL = tcp",
        "bytes >= 2M",
        "octets = 2_000_000",
        "packets 12 && octets > 0x10",
        "flags SA",
        "flags S and not flags F",
        "tcpControlBits has SYN",
        "tcpControlBits = 0x12",
        "start >= 2023-11-14T22:13:20Z",
        "start < 2023-11-15",
        "flowStartMilliseconds = 2023-11-14T22:13:20Z",
        "flowStartMilliseconds >= '2023-11-14 22:13:20'",
        "duration > 5s",
        "duration 5500ms",
        "duration <= 1m",
        "mac 02:00:00:00:00:01",
        "interfaceName contains Gigabit",
        'interfaceName = "GigabitEthernet0/1"',
        "domain 7",
        "_domain in {6, 7}",
        "samplingProbability = 0.25",
        "ipv6 and ipv4",
        "not application_name",
        "not (octets < 5 or packets > 100)",
        "src port 1 or dst port 443",
        "! vlanId",
        "vlanId = 5 or packets",
    ],
)
def test_selects(text: str) -> None:
    assert select(text, RECORD) is True
    assert select(f"not ({text})", RECORD) is False


@pytest.mark.parametrize(
    "text",
    [
        "application_name = x",
        "application_name != x",
        "vlanId != 5",
        "src in 10.2.0.0/16",
        "src in 2001:db8::/32",
        "src port 443",
        "proto udp",
        "octets < 2M",
        "flags F",
        "flags = S",
        "start > 2023-11-14T22:13:20Z",
        "interfaceName contains gigabit",
    ],
)
def test_does_not_select(text: str) -> None:
    assert select(text, RECORD) is False


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "empty"),
        ("   ", 4, "empty"),
        ("dst port =", 11, "expected a value after '='"),
        ("octets > ", 10, "expected a value after '>'"),
        ("(port 53", 1, "not closed"),
        ("port in {53, 54", 9, "not closed"),
        ("port in {}", 9, "no values"),
        ("port 53 port 54", 9, "'and' or 'or' is missing"),
        ("and port 53", 1, "expected a field name"),
        ("port 53 and", 12, "a field is missing"),
        ("octetDeltaCont > 5", 1, "octetDeltaCount"),
        ("src port nosuchservice", 10, "neither a port number nor a service name"),
        ("octets > many", 10, "not a number"),
        ("src 10.0.0.300", 5, "not an address or a prefix"),
        ("src > 10.0.0.1", 1, "no order"),
        ("octets contains 5", 1, "type string"),
        ("interfaceName has x", 19, "flags"),
        ("start > yesterday", 9, "time"),
        ("duration > soon", 12, "not a duration"),
        ("'port", 1, "quote"),
        ("not " * (MAX_DEPTH + 1) + "port 53", 4 * MAX_DEPTH + 1, "levels"),
        ("x" * (MAX_LENGTH + 1), 1, "characters"),
    ],
)
def test_mistakes_point_at_the_column(text: str, column: int, problem: str) -> None:
    with pytest.raises(FilterError, match=problem) as caught:
        Filter(text)
    assert caught.value.column == column
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"filter, column {column}: ")
    shown, mark = lines[1], lines[2]
    if column <= len(text):
        assert shown[mark.index("^")] == text[column - 1]


def test_an_expression_that_is_not_text() -> None:
    with pytest.raises(TypeError, match="dst port 443"):
        Filter(443)  # type: ignore[arg-type]


def test_names_are_those_that_the_expression_uses() -> None:
    assert Filter("src port 53 or octets > 5 and port 53").names == (
        "source_port",
        "octets",
        "destination_port",
    )


def test_fields_that_a_layout_lacks_decide_at_once() -> None:
    chosen = Filter("vlanId = 5 or octets > 5")
    assert Filter("vlanId = 5 and octets > 5").bind({"octets"}) is False
    assert Filter("not vlanId = 5 or octets > 5").bind({"octets"}) is True
    bound = chosen.bind({"octets"})
    assert not isinstance(bound, bool)
    assert bound.names == ("octets",)


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_a_mistake(text: str) -> None:
    column = 1
    try:
        Filter(text)
    except FilterError as problem:
        column = problem.column
    assert 1 <= column <= len(text) + 1


WORDS = ["src", "port", "(", ")", "and", "or", "not", "in", "{", "}", "53", "octets", "=", ">", ","]


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_words_are_an_expression_or_a_mistake(words: list[str]) -> None:
    try:
        chosen = Filter(" ".join(words))
    except FilterError:
        return
    record = {"source_port": 53, "destination_port": 80, "octets": 53}
    assert select(chosen.text, record) in (True, False)


# -- columns


def columns() -> tuple[Any, dict[str, Any], list[dict[str, Any]]]:
    """Return numpy, some columns and the same records as dicts."""
    np = pytest.importorskip("numpy")
    v4 = ["10.0.0.1", "10.255.0.1", "192.0.2.1", "10.1.2.3"]
    v6 = ["2001:db8::1", "2001:db9::1", "::1", "fe80::1"]
    packed = [int.from_bytes(bytes(map(int, each.split("."))), "big") for each in v4]
    rows = [
        {
            "octets": number,
            "sourceIPv4Address": four,
            "sourceIPv6Address": six,
            "source_address": six if number % 2 else four,
            "protocolIdentifier": number % 20,
            "tcpControlBits": number % 256,
            "flow_start": datetime(2023, 1, 1 + number % 20, tzinfo=timezone.utc),
            "interfaceName": f"eth{number}" if number % 3 else None,
            "samplingProbability": number / 10,
        }
        for number, (four, six) in enumerate(zip(v4, v6))
    ]
    from_rows = {name: [row[name] for row in rows] for name in rows[0]}
    times = [each.replace(tzinfo=None) for each in from_rows["flow_start"]]
    arrays = {
        "octets": np.array(from_rows["octets"], "u8"),
        "sourceIPv4Address": np.array(packed, "u4"),
        "sourceIPv6Address": np.frombuffer(
            b"".join(socket.inet_pton(socket.AF_INET6, each) for each in v6), "V16"
        ),
        "source_address": np.array(from_rows["source_address"], object),
        "protocolIdentifier": np.array(from_rows["protocolIdentifier"], "u1"),
        "tcpControlBits": np.array(from_rows["tcpControlBits"], "u2"),
        "flow_start": np.array(times, "datetime64[us]"),
        "interfaceName": np.array(from_rows["interfaceName"], object),
        "samplingProbability": np.array(from_rows["samplingProbability"], "f8"),
    }
    return np, arrays, rows


@pytest.mark.parametrize(
    "text",
    [
        "octets > 1",
        "octets < 1000000000000000000000",
        "octets >= -1",
        "octets = 1.5",
        "octets in {1, 3, 99999999999999999999}",
        "octets in {1..2, 9}",
        "octets != 2",
        "sourceIPv4Address in 10.0.0.0/8",
        "sourceIPv4Address = 10.1.2.3",
        "sourceIPv4Address in 2001:db8::/32",
        "sourceIPv4Address in 0.0.0.0/0",
        "sourceIPv6Address in 2001:db8::/32",
        "sourceIPv6Address in {::1, fe80::/10, 10.0.0.1}",
        "src in 10.0.0.0/8",
        "ipv6",
        "proto 1",
        "protocolIdentifier in {icmp, tcp, 300}",
        "flags S",
        "tcpControlBits has 0x10000",
        "start > 2023-01-02",
        "start = 2023-01-03",
        "interfaceName contains th1",
        "interfaceName",
        "not interfaceName",
        "interfaceName in {eth1, eth2}",
        "samplingProbability < 0.15",
        "octets > 0 and (src in 10.0.0.0/8 or proto 1) and not interfaceName = eth2",
        "vlanId = 5 or octets = 2",
    ],
)
def test_columns_give_what_rows_give(text: str) -> None:
    np, arrays, rows = columns()
    mask = Filter(text).mask(np, arrays, len(rows))
    assert mask.dtype == bool
    assert mask.tolist() == [select(text, row) for row in rows]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Filter of packets that a loopback interface shows twice."""

import pytest

from scapy_ipfix.reading.duplicates import DuplicateFilter, is_loopback

FRAME = bytes(12) + b"\x08\0" + b"an IP packet"


@pytest.mark.parametrize(
    ("link_type", "octets", "expected"),
    [
        (1, FRAME, True),
        (1, b"\2" + FRAME[1:], False),
        (1, bytes(11), False),
        (1, b"", False),
        (113, b"\0\4\3\4" + bytes(20), True),
        (113, b"\0\4\0\1" + bytes(20), False),
        (276, b"\x08\0" + bytes(6) + b"\3\4" + bytes(20), True),
        (0, FRAME, False),
        (101, FRAME, False),
    ],
)
def test_loopback(link_type: int, octets: bytes, expected: bool) -> None:
    assert is_loopback(link_type, octets) is expected


def test_copies_come_in_pairs() -> None:
    copies = DuplicateFilter()
    assert [copies.is_copy(1, FRAME, 0.0) for _ in range(5)] == [False, True, False, True, False]
    assert copies.count == 2
    assert not copies.shows_once


def test_copies_that_are_interleaved() -> None:
    copies = DuplicateFilter()
    frames = [FRAME + bytes((number,)) for number in range(100)]
    assert [copies.is_copy(1, each, 0.0) for each in frames + frames] == [False] * 100 + [
        True
    ] * 100


def test_equal_packets_at_other_times_are_no_copies() -> None:
    copies = DuplicateFilter()
    assert not any(copies.is_copy(1, FRAME, float(time)) for time in (0, 2, 4, 6))


def test_the_header_of_cooked_capture_may_differ() -> None:
    copies = DuplicateFilter()
    assert not copies.is_copy(113, b"\0\4" + bytes(14) + b"IP", 0.0)
    assert copies.is_copy(113, bytes(16) + b"IP", 0.0)


def test_memory_is_bounded() -> None:
    copies = DuplicateFilter()
    for number in range(10_000):
        copies.is_copy(1, number.to_bytes(20, "big"), 0.0)
    assert len(copies._single) == 256
    assert copies.shows_once

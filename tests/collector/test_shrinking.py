# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the release of memory of removed dict entries."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector.shrinking import SLACK, shrink


@given(st.integers(0, 2000), st.integers(0, 3))
def test_a_shrunk_dict_is_the_same_and_small(count: int, left: int) -> None:
    table = {number: str(number) for number in range(count)}
    same, removed = table, 0
    while len(table) > left:
        del table[min(table)]
        removed = shrink(table, removed + 1)
    assert same is table
    assert table == {number: str(number) for number in range(max(0, count - left), count)}
    assert removed <= SLACK + len(table)
    assert sys.getsizeof(table) <= sys.getsizeof(dict.fromkeys(range(2 * SLACK + 8)))

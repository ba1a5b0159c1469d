# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of version histories."""

from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector.history import History


def test_by_number() -> None:
    history: History[tuple[int, str]] = History()
    assert history.until(1) is history.since(1) is None
    for number, value in ((2, "a"), (2, "b"), (5, "c")):
        history.append((number, value))
    until = [history.until(number) for number in range(1, 7)]
    assert [each and each[1] for each in until] == [None, "b", "b", "b", "c", "c"]
    since = [history.since(number) for number in range(1, 7)]
    assert [each and each[1] for each in since] == ["a", "a", "c", "c", "c", None]


@given(
    st.lists(st.integers(0, 3), max_size=60).map(sorted),
    st.lists(st.booleans(), max_size=60),
    st.integers(-1, 4),
)
def test_a_history_equals_a_list_without_its_dropped_entries(
    numbers: list[int], drops: list[bool], sought: int
) -> None:
    history: History[tuple[int, int]] = History()
    expected: list[tuple[int, int]] = []
    waiting = list(enumerate(numbers))
    for drop in drops:
        if drop and expected:
            assert history.drop_oldest() == expected.pop(0)
        elif waiting:
            value, number = waiting.pop(0)
            history.append((number, value))
            expected.append((number, value))
        assert len(history) == len(expected)
        until = [entry for entry in expected if entry[0] <= sought]
        since = [entry for entry in expected if entry[0] >= sought]
        assert history.until(sought) == (until[-1] if until else None)
        assert history.since(sought) == (since[0] if since else None)


def test_dropped_entries_are_released() -> None:
    history: History[tuple[int, object]] = History()
    for number in range(1000):
        history.append((number, object()))
    for _ in range(900):
        history.drop_oldest()
    assert len(history._entries) < 2 * len(history) + 2

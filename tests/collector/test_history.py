# SPDX-License-Identifier: GPL-2.0-or-later
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector.history import History


def test_by_number() -> None:
    history: History[tuple[int, str]] = History()
    assert history.until(1) is history.since(1) is None
    for number, thing in ((2, "a"), (2, "b"), (5, "c")):
        history.append((number, thing))
    until = [history.until(number) for number in range(1, 7)]
    assert [each and each[1] for each in until] == [None, "b", "b", "b", "c", "c"]
    since = [history.since(number) for number in range(1, 7)]
    assert [each and each[1] for each in since] == ["a", "a", "c", "c", "c", None]


@given(
    st.lists(st.integers(0, 3), max_size=60).map(sorted),
    st.lists(st.booleans(), max_size=60),
    st.integers(-1, 4),
)
def test_as_a_list_from_which_the_first_is_taken(
    numbers: list[int], drops: list[bool], asked: int
) -> None:
    history: History[tuple[int, int]] = History()
    plain: list[tuple[int, int]] = []
    waiting = list(enumerate(numbers))
    for drop in drops:
        if drop and plain:
            assert history.drop_oldest() == plain.pop(0)
        elif waiting:
            thing, number = waiting.pop(0)
            history.append((number, thing))
            plain.append((number, thing))
        assert len(history) == len(plain)
        until = [entry for entry in plain if entry[0] <= asked]
        since = [entry for entry in plain if entry[0] >= asked]
        assert history.until(asked) == (until[-1] if until else None)
        assert history.since(asked) == (since[0] if since else None)


def test_what_is_gone_is_not_kept() -> None:
    history: History[tuple[int, object]] = History()
    for number in range(1000):
        history.append((number, object()))
    for _ in range(900):
        history.drop_oldest()
    assert len(history._entries) < 2 * len(history) + 2

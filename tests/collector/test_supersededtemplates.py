# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates as they were: what lists of that time are read with."""

from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import Template
from scapy_ipfix.collector.supersededtemplates import SupersededTemplates

ONE, TWO = Template(256, "octetDeltaCount"), Template(256, "packetDeltaCount")
OTHER = Template(257, "protocolIdentifier")


def test_what_was_in_force_before_a_change() -> None:
    past = SupersededTemplates()
    past.add("a", 0, ONE)
    past.add("a", 3, OTHER)
    past.add("a", 5, TWO)
    assert [past.find("a", 256, number) for number in range(7)] == [ONE] + [TWO] * 5 + [None]
    assert [past.find("a", 257, number) for number in (0, 3, 4)] == [OTHER, OTHER, None]
    assert past.find("b", 256, 0) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([ONE, TWO, OTHER])), max_size=40))
def test_the_oldest_go_beyond_the_limit(changes: list[tuple[str, Template]]) -> None:
    past = SupersededTemplates(limit=10)
    for number, (domain, template) in enumerate(changes):
        past.add(domain, number, template)
    assert len(past) == min(len(changes), 5)
    for number, (domain, template) in list(enumerate(changes))[-5:]:
        assert past.find(domain, template.id, number) is template


def test_one_that_is_too_large_is_not_kept() -> None:
    past = SupersededTemplates(limit=10)
    past.add("a", 0, ONE)
    past.add("a", 1, Template(258, *["octetDeltaCount"] * 10))
    assert len(past) == 0
    assert past.find("a", 258, 0) is None

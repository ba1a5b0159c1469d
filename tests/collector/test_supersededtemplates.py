# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of templates that are no longer in force, for lists that arrived while they were."""

from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import Template
from scapy_ipfix.collector.supersededtemplates import SupersededTemplates

ONE, TWO = Template(256, "octetDeltaCount"), Template(256, "packetDeltaCount")
OTHER = Template(257, "protocolIdentifier")


def test_the_template_before_a_change() -> None:
    superseded = SupersededTemplates()
    superseded.add("a", 0, ONE)
    superseded.add("a", 3, OTHER)
    superseded.add("a", 5, TWO)
    assert [superseded.find("a", 256, number) for number in range(7)] == [ONE] + [TWO] * 5 + [None]
    assert [superseded.find("a", 257, number) for number in (0, 3, 4)] == [OTHER, OTHER, None]
    assert superseded.find("b", 256, 0) is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([ONE, TWO, OTHER])), max_size=40))
def test_the_oldest_are_dropped_beyond_the_limit(changes: list[tuple[str, Template]]) -> None:
    superseded = SupersededTemplates(limit=10)
    for number, (domain, template) in enumerate(changes):
        superseded.add(domain, number, template)
    assert len(superseded) == min(len(changes), 5)
    for number, (domain, template) in list(enumerate(changes))[-5:]:
        assert superseded.find(domain, template.id, number) is template


def test_a_template_beyond_the_limit_is_not_kept() -> None:
    superseded = SupersededTemplates(limit=10)
    superseded.add("a", 0, ONE)
    superseded.add("a", 1, Template(258, *["octetDeltaCount"] * 10))
    assert len(superseded) == 0
    assert superseded.find("a", 258, 0) is None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the limits of one message."""

import pytest

from scapy_ipfix import (
    OptionsTemplateSet,
    Template,
    TemplateFlowSet,
)
from scapy_ipfix.collector import budget as budget_module
from scapy_ipfix.collector.budget import (
    CHECKED_SETS,
    FINDINGS,
    LEARNED_SETS,
    STATED_FACTS,
    TEMPLATES,
    MessageBudget,
    MessageLimit,
)
from scapy_ipfix.collector.collector import Collector
from tests.builders import codes, codes_without_sequence, message_octets
from tests.collector.helpers import (
    TCP_A,
    UDP_A,
    announce,
    data,
    many,
    records,
    templates,
    v9,
    withdraw,
)

# The budget itself

FEW = MessageLimit(3, "sets-many", "values are checked in")


def test_taking_single_amounts() -> None:
    budget = MessageBudget()
    assert [budget.take(FEW) for _ in range(5)] == [1, 1, 1, 0, 0]
    assert budget.left(FEW) == 0
    assert budget.is_exceeded(FEW)
    assert codes(budget.defects) == ["sets-many"], "noted once"
    assert budget.defects[0].text.startswith("values are checked in at most 3 Sets")


def test_taking_more_than_is_left() -> None:
    budget = MessageBudget()
    assert budget.take(FEW, 2) == 2
    assert not budget.is_exceeded(FEW)
    assert budget.take(FEW, 2) == 1
    assert budget.is_exceeded(FEW)
    assert budget.take(FEW, 0) == 0


def test_spending_more_than_is_left() -> None:
    budget = MessageBudget()
    assert budget.allows(FEW)
    budget.spend(FEW, 7)
    assert not budget.is_exceeded(FEW), "nothing was refused"
    assert budget.left(FEW) == 0
    assert not budget.allows(FEW)
    assert budget.is_exceeded(FEW)
    assert budget.take(FEW) == 0


def test_limits_are_independent() -> None:
    budget = MessageBudget()
    other = MessageLimit(3, "facts-many")
    budget.take(FEW, 9)
    assert budget.left(other) == 3
    assert not budget.is_exceeded(other)
    budget.exceed(other)
    assert codes(budget.defects) == ["sets-many", "facts-many"]


@pytest.mark.parametrize(
    "limit",
    [each for each in vars(budget_module).values() if isinstance(each, MessageLimit)],
    ids=lambda limit: limit.code,
)
def test_each_limit_has_a_diagnostic(limit: MessageLimit) -> None:
    assert str(limit.most) in limit.defect().text


# Limits in messages


@pytest.mark.parametrize("sets", [1, 7])
def test_templates_of_a_message(sets):
    """Data of templates beyond the limit waits for another message that defines them."""
    each = -(-(TEMPLATES.most + 6) // sets)
    collector = Collector()
    known = [announce(*many(each, 256 + at * each)) for at in range(sets)]
    first, last = 256, 255 + sets * each
    rows = [data(Template(id, "sourceIPv4Address"), [("192.0.2.1",)]) for id in (first, last)]
    for _ in range(2):
        message = collector.read(UDP_A, message_octets(*known, *rows))
        (domain,) = collector.domains
        assert [*domain.templates] == [*range(256, 256 + TEMPLATES.most)]
        assert message.templates == sets * each
        assert [read.set_id for read in message.ready] == [first]
    assert codes_without_sequence(collector) == ["templates-many", "missing-template"] * 2
    message = collector.read(UDP_A, message_octets(announce(*many(1, last))))
    assert [read.set_id for read in message.ready] == [last, last]


def test_templates_of_a_netflow_v9_packet():
    collector = Collector()
    known = announce(*many(TEMPLATES.most + 6), cls=TemplateFlowSet)
    collector.read(UDP_A, v9(known))
    assert codes_without_sequence(collector) == ["templates-many"]
    assert len(templates(collector)) == TEMPLATES.most


def test_a_template_beyond_the_limit_removes_the_old_one():
    """The old template might decode data of the new one."""
    collector = Collector()
    last = 256 + TEMPLATES.most
    collector.read(UDP_A, message_octets(announce(*many(1, last))))
    assert len(templates(collector)) == 1
    full = announce(*many(TEMPLATES.most), *many(1, last, "destinationIPv4Address"))
    row = data(Template(last, "destinationIPv4Address"), [("192.0.2.1",)])
    message = collector.read(UDP_A, message_octets(full, row))
    assert message.ready == []
    message = collector.read(
        UDP_A, message_octets(announce(*many(1, last, "destinationIPv4Address")))
    )
    assert records(message) == [{"destinationIPv4Address": "192.0.2.1"}]


def test_withdrawals_have_no_limit():
    collector = Collector()
    known = announce(*many(TEMPLATES.most + 6), Template(256), Template(257))
    collector.read(TCP_A, message_octets(known, withdraw(258)))
    assert len(templates(collector)) == TEMPLATES.most - 3


def test_incomplete_template_sets_are_not_cached():
    collector = Collector()
    half, more = many(TEMPLATES.most // 2 + 3), many(TEMPLATES.most // 2, 40_000)
    collector.read(UDP_A, message_octets(announce(*more), announce(*half)))
    assert len(templates(collector)) == TEMPLATES.most
    collector.read(UDP_A, message_octets(announce(*half)))
    assert len(templates(collector)) == TEMPLATES.most + 3
    collector.read(UDP_A, message_octets(announce(*more), announce(*half)))
    assert len(templates(collector)) == TEMPLATES.most


def test_facts_of_a_message():
    """Records beyond the limit are decoded all the same."""
    names = Template(301, "ingressInterface", "interfaceName", scope=1)
    rows = [(at, "eth") for at in range(STATED_FACTS.most + 10)]
    sets = [announce(names, cls=OptionsTemplateSet), data(names, rows[:2000])]
    collector = Collector()
    message = collector.read(
        UDP_A, message_octets(*sets, data(names, rows[2000:]), data(names, rows[:9]))
    )
    assert len(records(message)) == len(rows) + 9
    assert codes_without_sequence(collector) == ["facts-many"]
    assert len(collector.metadata) == STATED_FACTS.most
    collector.read(UDP_A, message_octets(data(names, rows[2000:])))
    assert len(collector.metadata) == len(rows)
    assert codes_without_sequence(collector) == ["facts-many"]


def test_options_sets_of_a_message():
    """Records of Sets beyond the limit are decoded all the same."""
    names = Template(301, "ingressInterface", "interfaceName", scope=1)
    collector = Collector()
    collector.read(UDP_A, message_octets(announce(names, cls=OptionsTemplateSet)))
    for first in (0, 2 * LEARNED_SETS.most):
        rows = [(first + at, "eth") for at in range(LEARNED_SETS.most + 3)]
        message = collector.read(UDP_A, message_octets(*(data(names, [row]) for row in rows)))
        assert len(records(message)) == len(rows)
    assert codes_without_sequence(collector) == ["sets-many"] * 2
    (text,) = {each.text for each in collector.diagnostics if each.code == "sets-many"}
    assert text == "options are learned from at most 512 Sets of a message; this message has more"
    assert len(collector.metadata) == 2 * LEARNED_SETS.most


def test_pending_sets_have_no_limit():
    """Pending Sets belong to other messages: a capture that begins late loses nothing."""
    names = Template(301, "ingressInterface", "interfaceName", scope=1)
    collector = Collector(check_values=True)
    count = LEARNED_SETS.most + 50
    for at in range(count):
        collector.read(UDP_A, message_octets(data(names, [(at, b"\xff")]), sequence=at))
    message = collector.read(
        UDP_A, message_octets(announce(names, cls=OptionsTemplateSet), sequence=count)
    )
    assert len(records(message)) == count
    assert len(collector.metadata) == count
    assert collector.diagnostics.counts["value"] == count
    assert "sets-many" not in collector.diagnostics.counts


def test_checked_sets_of_a_message():
    collector = Collector(check_values=True)
    flag, count = Template(300, "dataRecordsReliability"), Template(302, "octetDeltaCount[4]")
    collector.read(UDP_A, message_octets(announce(flag, count)))
    right, wrong = data(flag, [b"\1"]), data(flag, [b"\7"])
    plain = data(count, [(1,)])  # no value of which can be wrong
    before = [right, plain] * (CHECKED_SETS.most - 1)
    for _ in range(2):
        message = collector.read(UDP_A, message_octets(*before, wrong, wrong, wrong))
        assert len(records(message)) == len(before) + 3
    assert codes_without_sequence(collector) == ["value", "sets-many"] * 2
    noted = [each.set_index for each in collector.diagnostics if each.set_index is not None]
    assert noted == [len(before), len(before) + 1] * 2


def test_wrong_values_of_a_message():
    collector = Collector(check_values=True)
    wrong = Template(300, *["dataRecordsReliability"] * 100)
    enough = FINDINGS.most // 100
    collector.read(UDP_A, message_octets(announce(wrong)))
    for _ in range(2):
        message = collector.read(UDP_A, message_octets(*[data(wrong, [bytes(100)])] * (enough + 3)))
        assert len(records(message)) == enough + 3
    assert codes_without_sequence(collector) == [*["value"] * FINDINGS.most, "values-many"] * 2
    collector.read(UDP_A, message_octets(data(wrong, [bytes(100)])))
    assert codes_without_sequence(collector)[-1] == "value"

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of templates in force: refreshed, redefined, withdrawn, expired, evicted."""

import pytest

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    Limits,
    OptionsTemplateFlowSet,
    OptionsTemplateSet,
    Template,
    TemplateFlowSet,
)
from scapy_ipfix.collector.budget import MessageBudget
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.learnedtypes import LearnedTypes
from scapy_ipfix.collector.supersededtemplates import SupersededTemplates
from scapy_ipfix.collector.templatestore import TemplateQuota, TemplateState, TemplateStore
from scapy_ipfix.model.model import elements
from scapy_ipfix.wire.framing import IPFIX_VERSION
from tests.builders import codes_without_sequence, message_octets
from tests.collector.helpers import (
    OPTIONS,
    OTHER,
    TCP_A,
    UDP_A,
    UDP_B,
    UDP_C,
    T,
    announce,
    data,
    records,
    templates,
    v9,
    withdraw,
)


def test_refresh():
    collector = Collector()
    for time in (10.0, 20.0, 30.0):
        collector.read(UDP_A, message_octets(announce(T)), time=time)
    (domain,) = collector.domains
    state = domain.templates.states[300]
    assert (state.refreshes, state.seen) == (2, 30.0)
    assert state.template == T
    assert not [code for code in codes_without_sequence(collector) if code.startswith("template")]


def test_equal_octets_give_the_same_template():
    collector = Collector()
    for key in (UDP_A, UDP_B, UDP_C):
        collector.read(key, message_octets(announce(T)))
    assert len({id(each) for each in templates(collector).values()}) == 1


@pytest.mark.parametrize(
    ("key", "code"), [(UDP_A, "template-redefined"), (TCP_A, "template-redefined-reliable")]
)
def test_redefinition(key, code):
    collector = Collector()
    collector.read(key, message_octets(announce(T)))
    collector.read(key, message_octets(announce(OTHER)))
    assert codes_without_sequence(collector) == [code]
    assert "from 2 to 1 fields" in collector.diagnostics[0].text
    assert list(templates(collector).values()) == [OTHER]


@pytest.mark.parametrize("cls", [TemplateFlowSet, OptionsTemplateFlowSet])
def test_netflow_v9_templates_without_fields_are_refused(cls):
    """NetFlow v9 has no withdrawals: the template stays, and the record is counted."""
    collector = Collector()
    collector.read(UDP_A, v9(announce(T, cls=TemplateFlowSet)))
    empty = collector.read(UDP_A, v9(announce(Template(300), Template(302), cls=cls), count=2))
    assert empty.templates == 2
    assert codes_without_sequence(collector) == ["template-empty"] * 2
    assert list(templates(collector).values()) == [T]
    assert len(records(collector.read(UDP_A, v9(data(cls=DataFlowSet))))) == 2


def test_withdrawal():
    collector = Collector()
    collector.read(
        TCP_A,
        message_octets(announce(T, T.with_id(302)), announce(OPTIONS, cls=OptionsTemplateSet)),
    )
    collector.read(TCP_A, message_octets(withdraw(300)))
    assert {each.id for each in templates(collector).values()} == {301, 302}
    assert codes_without_sequence(collector) == ["template-withdrawn"]
    assert collector.read(TCP_A, message_octets(data())).ready == []
    collector.read(TCP_A, message_octets(announce(T)))
    collector.read(TCP_A, message_octets(withdraw(2)))  # all that are no options
    assert {each.id for each in templates(collector).values()} == {301}
    collector.read(TCP_A, message_octets(withdraw(3, OptionsTemplateSet)))
    assert templates(collector) == {}
    collector.read(TCP_A, message_octets(withdraw(300)))
    assert codes_without_sequence(collector)[-1] == "withdrawal-unknown"


def test_definition_after_a_withdrawal():
    collector = Collector()
    collector.read(TCP_A, message_octets(announce(T)))
    message = collector.read(
        TCP_A, message_octets(data(), withdraw(300), announce(OTHER), data(OTHER, [("192.0.2.7",)]))
    )
    assert [read.template for read in message.sets] == [T, OTHER]
    assert "template-redefined-reliable" not in codes_without_sequence(collector)


def test_withdrawals_over_udp_are_ignored():
    collector = Collector()
    collector.read(UDP_A, message_octets(announce(T)))
    collector.read(UDP_A, message_octets(withdraw(300)))
    assert codes_without_sequence(collector) == ["withdrawal-udp"]
    assert len(records(collector.read(UDP_A, message_octets(data())))) == 2


def test_templates_end_with_the_connection():
    collector = Collector()
    collector.read(TCP_A, message_octets(announce(T), data(T.with_id(999))))
    collector.read(UDP_A, message_octets(announce(T)))
    collector.end(TCP_A)
    assert len(templates(collector)) == 1
    assert collector.read(TCP_A, message_octets(data())).ready == []
    assert len(records(collector.read(UDP_A, message_octets(data())))) == 2


def test_expiry():
    collector = Collector(template_timeout=60)
    collector.read(UDP_A, message_octets(announce(T)), time=0)
    assert collector.read(UDP_A, message_octets(data()), time=60).ready
    assert collector.read(UDP_A, message_octets(data()), time=61).ready == []
    assert "template-expired" in codes_without_sequence(collector)
    collector.read(TCP_A, message_octets(announce(T)), time=0)
    assert collector.read(TCP_A, message_octets(data()), time=1000).ready


def test_the_oldest_template_is_evicted():
    collector = Collector(limits=Limits(templates=10))
    for id in range(256, 1256):
        collector.read(UDP_A, message_octets(announce(T.with_id(id)), domain=id % 7))
    assert len(templates(collector)) == 10
    assert {key[3] for key in templates(collector)} == set(range(1246, 1256))
    assert "limit" in codes_without_sequence(collector)
    assert collector.diagnostics.counts["limit"] == 990


def test_new_templates_in_every_message():
    collector = Collector(limits=Limits(templates=50))
    for number in range(1, 1000):
        template = Template(256 + number % 1000, (77777, number), "octetDeltaCount")
        rows = [(b"x", number)]
        message = collector.read(UDP_A, message_octets(announce(template), data(template, rows)))
        assert len(records(message)) == 1
    assert len(templates(collector)) == 50


def test_the_fields_of_all_templates_are_limited():
    """A template of thousands of fields takes as much memory as thousands of templates."""
    collector = Collector(limits=Limits(template_fields=100))
    for id in range(300, 310):
        wide = Template(id, *["octetDeltaCount[1]"] * 30)
        collector.read(UDP_A, bytes(IPFIX(sets=[announce(wide)])))
    assert [each for domain in collector.domains for each in domain.templates] == [307, 308, 309]
    assert collector.diagnostics.counts["limit"] == 7
    assert "more than 100 fields of templates" in collector.diagnostics[-1].text
    collector.read(UDP_A, bytes(IPFIX(sets=[announce(Template(307, "octetDeltaCount"))])))
    collector.read(UDP_A, bytes(IPFIX(sets=[announce(Template(310, *["vlanId"] * 39))])))
    assert sorted(next(iter(collector.domains)).templates) == [307, 308, 309, 310]
    huge = Template(311, *["octetDeltaCount[1]"] * 200)
    collector.read(UDP_A, bytes(IPFIX(sets=[announce(huge)])))
    assert list(next(iter(collector.domains)).templates) == [311]


@pytest.mark.parametrize("changes", [1, 3])
def test_lists_are_decoded_with_the_templates_of_their_time(changes):
    """The number of changes before the records are read makes no difference."""
    lists = Template(400, "subTemplateList")
    row = b"\x03" + (300).to_bytes(2, "big") + b"\7"
    collector = Collector()
    first = Template(300, "protocolIdentifier")
    old = collector.read(
        UDP_A,
        bytes(IPFIX(sets=[announce(first, lists), data(lists, [(row,)])])),
    )
    for each in range(changes):
        name = ("ipClassOfService", "icmpTypeIPv4")[each % 2]
        collector.read(UDP_A, bytes(IPFIX(sets=[announce(Template(300, name))])))
        new = collector.read(UDP_A, bytes(IPFIX(sets=[data(lists, [(row,)])])))
        assert new.ready[0].records() == [{"subTemplateList": [{name: 7}]}]
    assert old.ready[0].records() == [{"subTemplateList": [{"protocolIdentifier": 7}]}]


# The store itself


def make_store(quota=None, transport=UDP_A, superseded=None):
    """Return an empty store of IPFIX templates."""
    quota = TemplateQuota(10, 100) if quota is None else quota
    superseded = SupersededTemplates() if superseded is None else superseded
    return TemplateStore(transport, IPFIX_VERSION, LearnedTypes(elements), quota, superseded)


def test_a_store_is_a_mapping():
    store = make_store()
    assert store.add(T, 1.0) == store.add(OPTIONS, 2.0) == []
    assert dict(store) == {300: T, 301: OPTIONS}
    assert (len(store), 300 in store, 999 in store, store.get(999)) == (2, True, False, None)
    assert repr(store) == f"TemplateStore({{300: {T!r}, 301: {OPTIONS!r}}})"
    with pytest.raises(KeyError):
        store[999]


def test_expiry_in_a_store():
    store = make_store()
    store.add(T, 10.0)
    assert store.expire(300, 15.0, 5.0) is None
    assert store.expire(300, 15.5, 5.0) == 5.5
    assert dict(store) == {}
    reliable = make_store(transport=TCP_A)
    reliable.add(T, 10.0)
    assert reliable.expire(300, 1000.0, 5.0) is None, "only UDP has template lifetimes"


@pytest.mark.parametrize(
    ("template_id", "is_options", "left"),
    [(300, False, {301}), (2, False, {301}), (3, True, {300}), (999, False, None)],
)
def test_withdrawal_from_a_store(template_id, is_options, left):
    store = make_store()
    store.add(T, 0.0)
    store.add(OPTIONS, 0.0)
    assert store.withdraw(template_id, is_options) is (left is not None)
    assert set(store) == ({300, 301} if left is None else left)


def test_stores_share_a_quota():
    quota = TemplateQuota(3, 100)
    first, second = make_store(quota), make_store(quota)
    for id in (256, 257):
        first.add(T.with_id(id), 0.0)
    second.add(T.with_id(256), 0.0)
    first.add(OTHER.with_id(256), 0.0)
    assert len(quota) == 3, "a redefinition is no new template"
    (defect,) = second.add(T.with_id(257), 0.0)
    assert (defect.code, len(quota)) == ("limit", 3)
    assert (set(first), set(second)) == ({256}, {256, 257}), "257 was defined first"
    second.clear()
    assert len(quota) == 1


def test_a_saved_template_does_not_replace_one_in_force():
    store = make_store()
    store.add(T, 5.0)
    store.restore(TemplateState(OTHER, 7, 1.0))
    store.restore(TemplateState(OPTIONS, 7, 1.0))
    assert dict(store) == {300: T, 301: OPTIONS}
    assert store.states[301].refreshes == 7


def test_snapshots_have_earlier_templates():
    superseded = SupersededTemplates()
    store = make_store(superseded=superseded)
    store.add(T, 0.0)
    store.add(OTHER, 0.0)
    assert len(superseded) == 0, "nobody can need the first template"
    before = store.snapshot(MessageBudget())
    store.remove(300)
    store.add(T, 0.0)
    assert before.template(300) == OTHER
    assert store.snapshot(MessageBudget()).template(300) == T
    assert before.template(301) is None
    store.add(OPTIONS, 0.0)
    assert before.template(301) == OPTIONS, "the first that got the id later"

# SPDX-License-Identifier: GPL-2.0-or-later
"""Template state without packets: whose a template is, what waits for one, what is kept."""

import gc
import struct
import sys
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    Limits,
    NetFlowV9,
    OptionsTemplateFlowSet,
    OptionsTemplateSet,
    Set,
    Template,
    TemplateFlowSet,
    TemplateSet,
)
from scapy_ipfix.collector.budget import (
    CHECKED_SETS,
    FINDINGS,
    LEARNED_SETS,
    STATED_FACTS,
    TEMPLATES,
)
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.model import elements
from scapy_ipfix.wire import structured
from scapy_ipfix.wire import validation as checks
from scapy_ipfix.wire.codec import RecordCodec
from tests.builders import codes_without_sequence, message_octets
from tests.strategies import broken, filled

T = Template(300, "sourceIPv4Address", "octetDeltaCount[4]")
OTHER = Template(300, "destinationIPv4Address")
OPTIONS = Template(301, "meteringProcessId", "exportedMessageTotalCount", scope=1)
ROWS = [("192.0.2.1", 5), ("192.0.2.2", 6)]
UDP_A = TransportKey("udp", "192.0.2.1", 1000, "192.0.2.9", 4739)
UDP_B = TransportKey("udp", "192.0.2.1", 1001, "192.0.2.9", 4739)
UDP_C = TransportKey("udp", "192.0.2.2", 1000, "192.0.2.9", 4739)
TCP_A = UDP_A._replace(protocol="tcp")


def v9(*sets, source=0, **header):
    return message_octets(*sets, version=9, domain=source, **header)


def announce(*templates, cls=TemplateSet):
    return cls(templates=list(templates))


def data(template=T, rows=ROWS, cls=DataSet):
    return cls(template=template, records=rows)


def withdraw(id, cls=TemplateSet):
    return cls(templates=[Template(id)])


def records(message):
    return [record for read in message.ready for record in read.records()]


def templates(collector):
    return {
        (domain.transport, domain.version, domain.id, id): template
        for domain in collector.domains
        for id, template in domain.templates.items()
    }


def waiting(collector):
    """Return the number of Data Sets that are pending."""
    return len(collector.pending)


# Scope of templates


def test_templates_and_data():
    collector = Collector()
    message = collector.read(UDP_A, message_octets(announce(T), data()))
    assert records(message) == [dict(zip(T.names, row)) for row in ROWS]
    assert message.ready == message.sets
    assert message.template(1) == T
    assert message.template(0) is message.template(7) is None
    assert not collector.diagnostics
    (domain,) = collector.domains
    assert (domain.stats.messages, domain.stats.records, domain.stats.templates) == (1, 2, 1)


def test_templates_stay_for_the_next_message():
    collector = Collector()
    collector.read(UDP_A, message_octets(announce(T)))
    assert len(records(collector.read(UDP_A, message_octets(data())))) == 2
    assert codes_without_sequence(collector) == []


@pytest.mark.parametrize(
    ("key", "domain"), [(UDP_B, 0), (UDP_C, 0), (TCP_A, 0), (UDP_A, 1), (UDP_B, 1)]
)
def test_another_session_or_domain_has_templates_of_its_own(key, domain):
    collector = Collector()
    collector.read(UDP_A, message_octets(announce(T)))
    collector.read(key, message_octets(announce(OTHER), domain=domain))
    (read,) = collector.read(UDP_A, message_octets(data())).sets
    assert read.template == T
    rows = [("192.0.2.7",)]
    (read,) = collector.read(key, message_octets(data(OTHER, rows), domain=domain)).sets
    assert read.records(("destinationIPv4Address",)) == rows
    assert len(templates(collector)) == 2
    collector.read(key, message_octets(announce(T.with_id(999)), domain=domain))
    assert collector.read(UDP_A, message_octets(data(T.with_id(999)))).ready == []


def test_netflow_v9_goes_by_source_id():
    collector = Collector()
    collector.read(UDP_A, v9(announce(T, cls=TemplateFlowSet), source=1))
    collector.read(UDP_A, v9(announce(OTHER, cls=TemplateFlowSet), source=2))
    assert len(records(collector.read(UDP_A, v9(data(cls=DataFlowSet), source=1)))) == 2
    message = collector.read(UDP_A, v9(data(OTHER, [("192.0.2.7",)], DataFlowSet), source=2))
    assert records(message) == [{"destinationIPv4Address": "192.0.2.7"}]
    assert collector.read(UDP_A, v9(data(cls=DataFlowSet), source=3)).ready == []


def test_versions_do_not_mix():
    collector = Collector()
    collector.read(UDP_A, message_octets(announce(T)))
    assert collector.read(UDP_A, v9(data(cls=DataFlowSet))).ready == []


def test_scope_exporter_leaves_ports_out():
    collector = Collector(scope="exporter")
    collector.read(UDP_A, message_octets(announce(T)))
    assert len(records(collector.read(UDP_B, message_octets(data())))) == 2
    assert collector.read(UDP_C, message_octets(data())).ready == []
    assert str(next(iter(collector.domains)).transport) == "192.0.2.1"
    with pytest.raises(ValueError, match="'port'"):
        Collector(scope="port")


def test_a_model_of_ones_own():
    model = elements.copy()
    model.add(InformationElement("mine", 1, 99999))
    for each, name in ((model, "mine"), (elements, "_ipfix_99999_1")):
        collector = Collector(model=each)
        collector.read(UDP_A, message_octets(announce(Template(300, (99999, 1)))))
        (template,) = templates(collector).values()
        assert template.names == (name,)


# Late templates


def test_data_before_its_template():
    collector = Collector()
    first = collector.read(UDP_A, message_octets(data(rows=ROWS[:1]), data(OPTIONS, [(1, 2)])))
    second = collector.read(UDP_A, message_octets(data(rows=ROWS[1:])))
    assert first.ready == second.ready == []
    assert codes_without_sequence(collector) == ["missing-template"] * 3
    (domain,) = collector.domains
    assert domain.stats.undecoded_sets == 3
    third = collector.read(UDP_A, message_octets(announce(T), data()))
    assert [record["octetDeltaCount"] for record in records(third)] == [5, 6, 5, 6]
    assert first.template(0) == T
    assert first.template(1) is None
    assert domain.stats.undecoded_sets == 1
    assert domain.stats.records == 4
    assert waiting(collector) == 1
    collector.read(UDP_A, message_octets(announce(OPTIONS, cls=OptionsTemplateSet)))
    assert first.template(1) == OPTIONS
    assert waiting(collector) == 0


def test_data_before_its_template_in_the_same_message():
    collector = Collector()
    message = collector.read(UDP_A, message_octets(data(), announce(T), data()))
    assert len(records(message)) == 4
    assert message.template(0) == message.template(2) == T


def test_data_waits_for_its_own_domain_only():
    collector = Collector()
    message = collector.read(UDP_A, message_octets(data()))
    for key, domain in ((UDP_B, 0), (UDP_A, 1), (UDP_C, 0)):
        assert collector.read(key, message_octets(announce(T), domain=domain)).ready == []
    collector.read(UDP_A, v9(announce(T, cls=TemplateFlowSet)))
    assert message.template(0) is None


def test_what_is_read_keeps_the_template_that_it_was_read_with():
    collector = Collector()
    message = collector.read(UDP_A, message_octets(announce(T), data(), announce(OTHER), data()))
    assert message.template(1) == T
    assert message.template(3) == OTHER
    assert codes_without_sequence(collector) == ["template-redefined"]
    assert message.sets[0].records()[0]["octetDeltaCount"] == 5


# Refreshing, changing and withdrawing templates


def test_refreshing():
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
def test_changing(key, code):
    collector = Collector()
    collector.read(key, message_octets(announce(T)))
    collector.read(key, message_octets(announce(OTHER)))
    assert codes_without_sequence(collector) == [code]
    assert "from 2 to 1 fields" in collector.diagnostics[0].text
    assert list(templates(collector).values()) == [OTHER]


@pytest.mark.parametrize("cls", [TemplateFlowSet, OptionsTemplateFlowSet])
def test_netflow_v9_templates_without_fields_are_refused(cls):
    """It has no withdrawals: what was there stays, and the record counts as one."""
    collector = Collector()
    collector.read(UDP_A, v9(announce(T, cls=TemplateFlowSet)))
    empty = collector.read(UDP_A, v9(announce(Template(300), Template(302), cls=cls), count=2))
    assert empty.templates == 2
    assert codes_without_sequence(collector) == ["template-empty"] * 2
    assert list(templates(collector).values()) == [T]
    assert len(records(collector.read(UDP_A, v9(data(cls=DataFlowSet))))) == 2


def test_withdrawing():
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


def test_withdrawn_and_defined_anew():
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


def test_the_end_of_a_connection():
    collector = Collector()
    collector.read(TCP_A, message_octets(announce(T), data(T.with_id(999))))
    collector.read(UDP_A, message_octets(announce(T)))
    collector.end(TCP_A)
    assert len(templates(collector)) == 1
    assert collector.read(TCP_A, message_octets(data())).ready == []
    assert len(records(collector.read(UDP_A, message_octets(data())))) == 2


def test_templates_that_nobody_refreshes():
    collector = Collector(template_timeout=60)
    collector.read(UDP_A, message_octets(announce(T)), time=0)
    assert collector.read(UDP_A, message_octets(data()), time=60).ready
    assert collector.read(UDP_A, message_octets(data()), time=61).ready == []
    assert "template-expired" in codes_without_sequence(collector)
    collector.read(TCP_A, message_octets(announce(T)), time=0)
    assert collector.read(TCP_A, message_octets(data()), time=1000).ready


# Defects on the wire


def spec(*fields, scope=None, id=300):
    """Return the octets of a Template Set, or with a scope of an Options Template Set."""
    body = struct.pack("!HH", id, len(fields))
    if scope is not None:
        body += struct.pack("!H", scope)
    body += b"".join(struct.pack("!HH", *field[:2]) + field[2] for field in fields)
    return Set(setId=2 if scope is None else 3, data=body)


IN_BYTES = (1, 4, b"")


@pytest.mark.parametrize(
    ("sets", "code"),
    [
        ([announce(T.with_id(255))], "template-id"),
        ([spec((1, 0, b""))], "template-zero-length"),
        ([spec((1, 9, b""))], "field-length"),
        ([spec((0x8001, 4, bytes(4)))], "enterprise-zero"),
        ([spec(IN_BYTES, scope=0)], "template-scope"),
        ([spec(IN_BYTES, scope=2)], "template-scope"),
        ([Set(setId=2, data=struct.pack("!HHHH", 300, 2, 1, 4))], "template-truncated"),
        (
            [announce(T), Set(setId=2, data=struct.pack("!HHHHH", 300, 1, 1, 4, 7))],
            "padding-nonzero",
        ),
        ([announce(T), DataSet(setId=300, records=[bytes(15)], padding=b"\1")], None),
        ([announce(T), DataSet(setId=300, records=[bytes(8)], padding=b"\1")], "padding-nonzero"),
        ([announce(T), DataSet(setId=300)], "set-empty"),
        ([Set(setId=0)], "set-reserved"),
        ([Set(setId=255, data=b"abc")], "set-reserved"),
        ([Set(setId=300, length=3)], "set-length"),
        ([Set(setId=300, length=100)], "set-truncated"),
        ([DataSet(setId=300)], "missing-template"),
        ([b"\1\2\3"], "padding-nonzero"),
    ],
)
def test_defects(sets, code):
    collector = Collector()
    collector.read(UDP_A, message_octets(*sets))
    found = codes_without_sequence(collector)
    assert found[:1] == ([code] if code else [])


def test_defects_of_messages():
    collector = Collector()
    for octets in (b"", b"\0", b"\0\x0a", b"\0\x09" + bytes(17), b"\0\5" + bytes(50)):
        assert collector.read(UDP_A, octets) is None
    assert codes_without_sequence(collector) == ["header-truncated"] * 5
    octets = message_octets(announce(T), data())
    for length, code in ((len(octets) + 1, "message-truncated"), (15, "message-length")):
        collector = Collector()
        broken_length = octets[:2] + struct.pack("!H", length) + octets[4:]
        assert len(records(collector.read(UDP_A, broken_length))) == 2
        assert codes_without_sequence(collector) == [code]
    collector = Collector()
    assert len(records(collector.read(UDP_A, octets + b"more"))) == 2
    assert codes_without_sequence(collector) == ["message-trailing"]


def test_where_it_was():
    collector = Collector()
    collector.read(UDP_A, message_octets(domain=7))
    collector.read(UDP_A, message_octets(data(), Set(setId=9), domain=7), packet=5)
    first, second = collector.diagnostics
    assert (first.packet, first.exporter, first.domain, first.set_index) == (
        *(5, "192.0.2.1:1000", 7),
        0,
    )
    assert second.set_index == 1
    assert "300" in first.text


def test_defects_of_a_template_are_told_once():
    collector = Collector()
    for _ in range(3):
        collector.read(UDP_A, message_octets(spec((1, 9, b""))))
    assert codes_without_sequence(collector) == ["field-length"]


def test_endpoints():
    assert str(UDP_A) == "192.0.2.1:1000"
    assert str(TransportKey("udp", "2001:db8::1", 5)) == "[2001:db8::1]:5"
    assert str(TransportKey("udp", "2001:db8::1")) == "2001:db8::1"
    assert str(TransportKey("message")) == "message"


# Any octets


def wholes():
    cases = st.sampled_from([9, 10]).flatmap(
        lambda version: st.tuples(st.just(version), filled(version))
    )
    return cases.map(lambda case: _message(*case))


def _message(version, case):
    template = case.template
    message = NetFlowV9 if version == 9 else IPFIX
    cls = DataFlowSet if version == 9 else DataSet
    return bytes(message(sets=[template, cls(template=template, records=case.rows)]))


@given(st.lists(wholes().flatmap(broken), min_size=1, max_size=5))
def test_any_octets_are_read(messages):
    collector = Collector(check_values=True)
    for octets in messages:
        before = sum(collector.diagnostics.counts.values())
        message = collector.read(UDP_A, octets)
        noted = sum(collector.diagnostics.counts.values()) - before
        if message is None:
            assert noted == 1
            continue
        for read in message.ready:
            assert len(read.records()) == read.template.codec.count_records(read.body)[0]
            body = read.body
            rest = body[read.template.codec.count_records(body)[1] :]
            if any(rest) or len(rest) >= max(read.template.length, 1):
                assert collector.diagnostics.counts  # nothing is dropped silently
        for read in message.sets:
            if read.template is None:
                assert noted
        str(collector.diagnostics)


@given(st.lists(wholes(), min_size=1, max_size=4))
def test_whole_messages_are_read_without_a_word(messages):
    collector = Collector()
    for octets in messages:
        collector.read(UDP_A, octets)
    lengths = {"field-length", "field-longer"}
    harmless = {"set-empty", "template-redefined", "count-disagrees", *lengths}
    assert {
        each.code for each in collector.diagnostics if not each.code.startswith("sequence")
    } <= harmless


# Bounds


def test_the_least_recently_used_domain_goes():
    collector = Collector(limits=Limits(domains=3))
    for id in range(3):
        collector.read(UDP_A, message_octets(announce(T), domain=id))
    collector.read(UDP_A, message_octets(data(T.with_id(999)), domain=0))
    collector.read(UDP_A, message_octets(announce(T), domain=3))
    assert {domain.id for domain in collector.domains} == {0, 2, 3}
    assert codes_without_sequence(collector).count("limit") == 1
    for id in range(4, 100):
        collector.read(UDP_A, message_octets(announce(T), data(T.with_id(999)), domain=id))
    assert len(list(collector.domains)) == 3
    assert len(templates(collector)) == waiting(collector) == 3


def test_the_stream_not_used_for_longest_goes():
    """The next message on that stream is no gap, since its sequence number is unknown."""
    collector = Collector(limits=Limits(streams=3, domains=2))
    key = UDP_A._replace(protocol="sctp")

    def take(domain, stream, sequence):
        octets = message_octets(announce(T), data(), domain=domain, sequence=sequence)
        collector.read(key, octets, stream=stream)

    for stream in (1, 2, 3, 1, 4):
        take(7, stream, 100 + stream)
    assert {number: stream.last.number for number, stream in domain_of(collector, 7).items()} == {
        1: 101,
        3: 103,
        4: 104,
    }
    before = collector.diagnostics.counts["sequence-gap"]
    take(7, 2, 5000)
    assert collector.diagnostics.counts["sequence-gap"] == before
    take(7, 2, 9000)
    assert collector.diagnostics.counts["sequence-gap"] == before + 1
    take(8, 1, 100)
    assert [*domain_of(collector, 7)] == [4, 2]
    assert len(collector.streams) == 3
    take(9, 0, 100)
    assert len(collector.streams) == len(domain_of(collector, 8)) == 1


def domain_of(collector, id):
    """Return the SCTP streams of an observation domain."""
    return next(each.streams.trackers for each in collector.domains if each.id == id)


def test_the_template_not_defined_for_longest_goes():
    collector = Collector(limits=Limits(templates=10))
    for id in range(256, 1256):
        collector.read(UDP_A, message_octets(announce(T.with_id(id)), domain=id % 7))
    assert len(templates(collector)) == 10
    assert {key[3] for key in templates(collector)} == set(range(1246, 1256))
    assert "limit" in codes_without_sequence(collector)
    assert collector.diagnostics.counts["limit"] == 990


def many(count, first=256, field="sourceIPv4Address"):
    return [Template(id, field) for id in range(first, first + count)]


@pytest.mark.parametrize("sets", [1, 7])
def test_a_message_defines_so_many_templates(sets):
    """Templates beyond the limit are taken from a later message."""
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


def test_templates_of_netflow_v9_are_counted_all_the_same():
    collector = Collector()
    known = announce(*many(TEMPLATES.most + 6), cls=TemplateFlowSet)
    collector.read(UDP_A, v9(known))
    assert codes_without_sequence(collector) == ["templates-many"]
    assert len(templates(collector)) == TEMPLATES.most


def test_a_template_too_many_leaves_no_old_one_in_force():
    """Data would be read by what it is no longer."""
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


def test_withdrawals_are_heeded_however_many_templates_there_are():
    collector = Collector()
    known = announce(*many(TEMPLATES.most + 6), Template(256), Template(257))
    collector.read(TCP_A, message_octets(known, withdraw(258)))
    assert len(templates(collector)) == TEMPLATES.most - 3


def test_equal_octets_are_looked_at_again_where_not_all_were_taken():
    collector = Collector()
    half, more = many(TEMPLATES.most // 2 + 3), many(TEMPLATES.most // 2, 40_000)
    collector.read(UDP_A, message_octets(announce(*more), announce(*half)))
    assert len(templates(collector)) == TEMPLATES.most
    collector.read(UDP_A, message_octets(announce(*half)))
    assert len(templates(collector)) == TEMPLATES.most + 3
    collector.read(UDP_A, message_octets(announce(*more), announce(*half)))
    assert len(templates(collector)) == TEMPLATES.most


def test_a_message_states_so_many_facts():
    """They are records, whatever is made of them."""
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


def test_so_many_sets_of_a_message_are_learned_from():
    """Records in the others are records."""
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


def test_sets_that_waited_are_learned_from_and_checked_however_many_they_are():
    """They are of other messages: who is heard in the middle loses nothing."""
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


def test_values_are_checked_in_so_many_sets_of_a_message():
    collector = Collector(check_values=True)
    flag, count = Template(300, "dataRecordsReliability"), Template(302, "octetDeltaCount[4]")
    collector.read(UDP_A, message_octets(announce(flag, count)))
    right, wrong = data(flag, [b"\1"]), data(flag, [b"\7"])
    plain = data(count, [(1,)])  # in which nothing can be wrong
    before = [right, plain] * (CHECKED_SETS.most - 1)
    for _ in range(2):
        message = collector.read(UDP_A, message_octets(*before, wrong, wrong, wrong))
        assert len(records(message)) == len(before) + 3
    assert codes_without_sequence(collector) == ["value", "sets-many"] * 2
    noted = [each.set_index for each in collector.diagnostics if each.set_index is not None]
    assert noted == [len(before), len(before) + 1] * 2


def test_lists_that_were_checked_are_not_looked_into_again(monkeypatch):
    """While the message is at hand: nobody keeps what was found for longer."""
    asked = []
    parts = structured.list_parts

    def list_parts(kind, octets, *more, **others):
        asked.append(octets)
        return parts(kind, octets, *more, **others)

    for module in (structured, checks):
        monkeypatch.setattr(module, "list_parts", list_parts)
    holder = Template(300, "basicList", "octetDeltaCount[1]")
    rows = [(("octetDeltaCount", [at]), at) for at in range(3)]
    rows.append((("basicList", [("octetDeltaCount", [5])]), 9))
    message = message_octets(announce(holder), data(holder, rows))
    (expected,) = (records(Collector().read(UDP_A, message)),)
    assert [row["basicList"] for row in expected] == [[0], [1], [2], [[5]]]
    assert len(asked) == 5
    collector = Collector(check_values=True)
    first = collector.read(UDP_A, message)
    assert len(asked) == 10
    assert records(first) == expected
    assert len(asked) == 10
    collector.read(UDP_A, message_octets())
    assert records(first) == expected
    assert len(asked) == 15


def test_a_message_has_so_many_wrong_values():
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


def test_the_oldest_of_what_waits_goes():
    collector = Collector(limits=Limits(pending_octets=2000))
    messages = [
        collector.read(UDP_A, message_octets(data(T.with_id(id)), domain=id % 3))
        for id in range(256, 300)
    ]
    kept = waiting(collector)
    assert 0 < kept < 10
    assert collector.diagnostics.counts["limit"] == len(messages) - kept
    ready = 0
    for id in range(256, 300):
        ready += len(
            collector.read(UDP_A, message_octets(announce(T.with_id(id)), domain=id % 3)).ready
        )
    assert ready == kept
    assert waiting(collector) == 0


def test_packets_that_nobody_holds_do_not_wait():
    class Packet:
        bound = 0

        def bind(self, template, lists=None, context=None):
            Packet.bound += 1

    collector = Collector()
    message = collector.read(UDP_A, message_octets(data()))
    kept = [Packet(), Packet()]
    dropped = Packet()
    alive = ref(dropped)
    for packet in (*kept, dropped):
        message.attach(0, packet)
    del packet, dropped
    assert alive() is None
    collector.read(UDP_A, message_octets(announce(T)))
    assert Packet.bound == 2


def test_a_set_too_large_to_wait():
    collector = Collector(limits=Limits(pending_octets=100))
    collector.read(UDP_A, message_octets(data()))
    assert "limit" in codes_without_sequence(collector)
    assert collector.read(UDP_A, message_octets(announce(T))).ready == []


def test_transports_are_bounded():
    collector = Collector(limits=Limits(transports=10, domains=10))
    for port in range(1000):
        collector.read(UDP_A._replace(source_port=port), message_octets(announce(T)))
    assert len(list(collector.domains)) == 10


def test_long_padding_is_said_in_a_line():
    """10,000 diagnostics of 60,000 octets each would be gigabytes."""
    wide = Template(256, "paddingOctets[65000]")
    collector = Collector()
    collector.read(
        UDP_A, message_octets(announce(wide), DataSet(setId=256, padding=b"\7" * 60_000))
    )
    (text,) = [str(each) for each in collector.diagnostics if each.code == "padding-nonzero"]
    assert "07 07 ... (60000 octets) [RFC 7011 3.3.1]" in text
    assert len(text) < 400


def test_diagnostics_are_bounded():
    collector = Collector(limits=Limits(diagnostics=5))
    for _ in range(100):
        collector.read(UDP_A, message_octets(Set(setId=9)))
    assert len(collector.diagnostics) == 5
    assert collector.diagnostics.counts["set-reserved"] == 100


def test_a_peer_that_invents_a_template_in_every_message():
    collector = Collector(limits=Limits(templates=50))
    for number in range(1, 1000):
        template = Template(256 + number % 1000, (77777, number), "octetDeltaCount")
        rows = [(b"x", number)]
        message = collector.read(UDP_A, message_octets(announce(template), data(template, rows)))
        assert len(records(message)) == 1
    assert len(templates(collector)) == 50


def test_a_message_of_16000_empty_sets():
    body = struct.pack("!HH", 300, 4) * 16000
    octets = struct.pack("!HH12x", 10, 16 + len(body)) + body
    collector = Collector()
    message = collector.read(UDP_A, octets)
    assert len(message.sets) == 16000
    collector.read(UDP_A, message_octets(announce(T)))
    assert all(read.template == T for read in message.sets)


def test_a_template_of_16000_fields():
    template = Template(300, *["octetDeltaCount[1]"] * 16000)
    collector = Collector()
    collector.read(UDP_A, message_octets(spec(*[(1, 1, b"")] * 16000)))
    message = collector.read(UDP_A, message_octets(data(template, [(1,) * 16000] * 2)))
    assert sum(sum(record.values()) for record in records(message)) == 32000


def test_the_fields_of_all_templates_are_bounded():
    """Templates of thousands of fields count for as much as thousands of templates."""
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
def test_lists_are_read_with_the_templates_of_their_time(changes):
    """However often these change before someone looks."""
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


def test_options_are_read_once_for_the_collector_and_whoever_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each who asks has dicts of their own, and nothing waits for who never does."""
    asked = []
    dicts = RecordCodec.dicts
    monkeypatch.setattr(
        RecordCodec, "dicts", lambda codec, body: asked.append(body) or dicts(codec, body)
    )
    names = Template(300, "ingressInterface", "interfaceName", scope=1)
    row = {"ingressInterface": 1, "interfaceName": "eth1"}
    collector = Collector()
    message = message_octets(announce(names, cls=OptionsTemplateSet), data(names, [row]))
    first = collector.read(UDP_A, message)
    assert first.ready[0].records() == [row]
    assert len(asked) == 1
    first.ready[0].records()[0].clear()
    assert first.ready[0].records() == [row]
    assert len(asked) == 3
    second = collector.read(UDP_A, message)
    collector.read(UDP_A, message_octets())
    assert second.ready[0]._decoded is None
    assert second.ready[0].records() == [row]
    tuples = collector.read(UDP_A, message).ready[0].records(("interfaceName",))
    assert tuples == [("eth1",)]


@pytest.mark.parametrize("waits", [False, True])
def test_a_set_without_a_record_makes_no_codec(waits: bool) -> None:
    """Compiling a codec takes time for each field of the template, for a Set of four octets."""
    collector = Collector()
    definition, empty = (
        message_octets(announce(T)),
        message_octets(DataSet(setId=T.id, undecoded=b"\0")),
    )
    for each in (empty, definition) if waits else (definition, empty):
        message = collector.read(UDP_A, each)
        assert message.ready == []
    (domain,) = collector.domains
    assert "codec" not in vars(domain.templates.states[T.id].template)
    assert collector.pending.domains == {}
    assert domain.stats.undecoded_sets == 0
    assert collector.read(UDP_A, message_octets(data())).ready != []
    assert "codec" in vars(domain.templates.states[T.id].template)


def test_a_domain_that_goes_leaves_nothing_behind():
    """Neither its streams nor, in what lists of before go by, itself."""
    lists = Template(301, "basicList")
    collector = Collector(limits=Limits(domains=2))
    key = UDP_A._replace(protocol="sctp")
    for stream in range(50):
        collector.read(
            key, message_octets(announce(lists), data(lists, [(b"\0",)]), domain=1), stream=stream
        )
    first = domain_of(collector, 1)
    assert len(first) == 49
    for domain in (2, 3):
        collector.read(key, message_octets(announce(lists), domain=domain))
    assert (len(first), len(collector.streams), len(collector.superseded)) == (0, 0, 1)
    held, seen = [collector.superseded], set()
    while held:
        each = held.pop()
        assert not isinstance(each, Domain)
        if id(each) not in seen and not isinstance(each, type):
            seen.add(id(each))
            held += gc.get_referents(each) if not isinstance(each, Template) else []


def test_tables_of_what_waited_go():
    collector = Collector()
    ids = range(300, 1300)
    collector.read(UDP_A, message_octets(*(DataSet(setId=id, records=[bytes(4)]) for id in ids)))
    (table,) = collector.pending.domains.values()
    assert sys.getsizeof(table) > 30_000
    for half in (ids[:500], ids[500:-1]):
        collector.read(UDP_A, message_octets(announce(*(OTHER.with_id(id) for id in half))))
    assert [*table] == [ids[-1]]
    assert sys.getsizeof(table) < 5_000
    collector.read(UDP_A, message_octets(announce(OTHER.with_id(ids[-1]))))
    assert collector.pending.domains == {}
    assert collector.pending.octets == 0


def test_a_connection_ends_once(monkeypatch):
    """Domains that ended, of a thousand, are not searched again."""
    ended = []
    end = Domain.end
    monkeypatch.setattr(Domain, "end", lambda self: (ended.append(self.id), end(self))[1])
    collector = Collector()
    for domain in range(5):
        collector.read(TCP_A, message_octets(announce(T), domain=domain))
    for _ in range(3):
        collector.end(TCP_A)
    assert ended == [0, 1, 2, 3, 4]
    assert templates(collector) == {}
    collector.read(TCP_A, message_octets(announce(T), domain=2))
    collector.read(TCP_A, message_octets(data(), domain=2))
    collector.end(UDP_A)
    assert len(templates(collector)) == 1
    collector.end(TCP_A)
    assert ended[5:] == [2]
    assert templates(collector) == {}


def test_tables_of_connections_go_with_their_domains():
    collector = Collector(limits=Limits(domains=2000))
    for domain in range(2000):
        collector.read(UDP_A, message_octets(announce(T), domain=domain))
    for domain in range(1999):
        collector.read(UDP_B, message_octets(announce(T), domain=domain))
    assert len(collector.domains.open[UDP_A]) == 1
    assert sys.getsizeof(collector.domains.open[UDP_A]) < 1000

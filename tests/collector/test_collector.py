# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of whole messages: what is wrong on the wire, invalid octets, decoded records."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    Limits,
    NetFlowV9,
    OptionsTemplateSet,
    Set,
    Template,
)
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.model import elements
from scapy_ipfix.wire import structured
from scapy_ipfix.wire import validation as checks
from scapy_ipfix.wire.codec import RecordCodec
from tests.builders import codes_without_sequence, message_octets
from tests.collector.helpers import ROWS, UDP_A, T, announce, data, records, spec, templates
from tests.strategies import broken, filled


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


def test_own_model():
    model = elements.copy()
    model.add(InformationElement("mine", 1, 99999))
    for each, name in ((model, "mine"), (elements, "_ipfix_99999_1")):
        collector = Collector(model=each)
        collector.read(UDP_A, message_octets(announce(Template(300, (99999, 1)))))
        (template,) = templates(collector).values()
        assert template.names == (name,)


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
        ([Set(setId=0)], "set-other-protocol"),
        ([Set(setId=4)], "set-reserved"),
        ([Set(setId=255, data=b"abc")], "set-reserved"),
        ([Set(setId=300, length=3)], "set-length"),
        ([Set(setId=300, length=100)], "set-truncated"),
        ([DataSet(setId=300)], "missing-template"),
        ([b"\1\2\3"], "sets-trailing"),
        ([announce(T), DataSet(template=T, records=[bytes(15)]), bytes(4)], "set-zero"),
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
    assert codes_without_sequence(collector) == ["header-truncated"] * 4 + ["version-unknown"]
    sections = [each.section for each in collector.diagnostics]
    assert sections == [*["RFC 7011 3.1"] * 3, "RFC 3954 5.1", "RFC 7011 3.1"]
    octets = message_octets(announce(T), data())
    for length, code in ((len(octets) + 1, "message-truncated"), (15, "message-length")):
        collector = Collector()
        broken_length = octets[:2] + struct.pack("!H", length) + octets[4:]
        assert len(records(collector.read(UDP_A, broken_length))) == 2
        assert codes_without_sequence(collector) == [code]
    collector = Collector()
    assert len(records(collector.read(UDP_A, octets + b"more"))) == 2
    assert codes_without_sequence(collector) == ["message-trailing"]


def test_the_place_of_a_diagnostic():
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


def test_defects_of_a_template_are_noted_once():
    collector = Collector()
    for _ in range(3):
        collector.read(UDP_A, message_octets(spec((1, 9, b""))))
    assert codes_without_sequence(collector) == ["field-length"]


def test_endpoints():
    assert str(UDP_A) == "192.0.2.1:1000"
    assert str(TransportKey("udp", "2001:db8::1", 5)) == "[2001:db8::1]:5"
    assert str(TransportKey("udp", "2001:db8::1")) == "2001:db8::1"
    assert str(TransportKey("message")) == "message"


def valid_messages():
    cases = st.sampled_from([9, 10]).flatmap(
        lambda version: st.tuples(st.just(version), filled(version))
    )
    return cases.map(lambda case: _message(*case))


def _message(version, case):
    template = case.template
    message = NetFlowV9 if version == 9 else IPFIX
    cls = DataFlowSet if version == 9 else DataSet
    return bytes(message(sets=[template, cls(template=template, records=case.rows)]))


@given(st.lists(valid_messages().flatmap(broken), min_size=1, max_size=5))
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


@given(st.lists(valid_messages(), min_size=1, max_size=4))
def test_valid_messages_have_no_defects(messages):
    collector = Collector()
    for octets in messages:
        collector.read(UDP_A, octets)
    lengths = {"field-length", "field-longer"}
    harmless = {"set-empty", "template-redefined", "count-disagrees", *lengths}
    assert {
        each.code for each in collector.diagnostics if not each.code.startswith("sequence")
    } <= harmless


def test_checked_lists_are_not_decoded_again(monkeypatch):
    """The parts of checked lists are kept until the next message, not longer."""
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


def test_long_padding_is_shortened():
    """10,000 diagnostics of 60,000 octets each would take gigabytes."""
    wide = Template(256, "paddingOctets[65000]")
    collector = Collector()
    collector.read(
        UDP_A, message_octets(announce(wide), DataSet(setId=256, padding=b"\7" * 60_000))
    )
    (text,) = [str(each) for each in collector.diagnostics if each.code == "padding-nonzero"]
    assert "07 07 ... (60000 octets) [RFC 7011 3.3.1]" in text
    assert len(text) < 400


def test_diagnostics_are_limited():
    collector = Collector(limits=Limits(diagnostics=5))
    for _ in range(100):
        collector.read(UDP_A, message_octets(Set(setId=9)))
    assert len(collector.diagnostics) == 5
    assert collector.diagnostics.counts["set-reserved"] == 100


def test_a_template_of_16000_fields():
    template = Template(300, *["octetDeltaCount[1]"] * 16000)
    collector = Collector()
    collector.read(UDP_A, message_octets(spec(*[(1, 1, b"")] * 16000)))
    message = collector.read(UDP_A, message_octets(data(template, [(1,) * 16000] * 2)))
    assert sum(sum(record.values()) for record in records(message)) == 32000


def test_options_are_decoded_once_for_collector_and_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each call returns new dicts, and none are kept beyond the next message."""
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
    """A codec takes time for each field, and the Set has four octets."""
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

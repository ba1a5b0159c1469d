# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of Data Sets that arrive before their template."""

import struct
import sys
from weakref import ref

from scapy_ipfix import (
    DataSet,
    Limits,
    OptionsTemplateSet,
    TemplateFlowSet,
)
from scapy_ipfix.collector.collector import Collector
from tests.builders import codes_without_sequence, message_octets
from tests.collector.helpers import (
    OPTIONS,
    OTHER,
    ROWS,
    UDP_A,
    UDP_B,
    UDP_C,
    T,
    announce,
    data,
    records,
    v9,
)


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
    assert len(collector.pending) == 1
    collector.read(UDP_A, message_octets(announce(OPTIONS, cls=OptionsTemplateSet)))
    assert first.template(1) == OPTIONS
    assert len(collector.pending) == 0


def test_data_before_its_template_in_the_same_message():
    collector = Collector()
    message = collector.read(UDP_A, message_octets(data(), announce(T), data()))
    assert len(records(message)) == 4
    assert message.template(0) == message.template(2) == T


def test_templates_of_other_domains_do_not_resolve_a_set():
    collector = Collector()
    message = collector.read(UDP_A, message_octets(data()))
    for key, domain in ((UDP_B, 0), (UDP_A, 1), (UDP_C, 0)):
        assert collector.read(key, message_octets(announce(T), domain=domain)).ready == []
    collector.read(UDP_A, v9(announce(T, cls=TemplateFlowSet)))
    assert message.template(0) is None


def test_a_set_keeps_its_template_after_a_redefinition():
    collector = Collector()
    message = collector.read(UDP_A, message_octets(announce(T), data(), announce(OTHER), data()))
    assert message.template(1) == T
    assert message.template(3) == OTHER
    assert codes_without_sequence(collector) == ["template-redefined"]
    assert message.sets[0].records()[0]["octetDeltaCount"] == 5


def test_the_oldest_set_is_dropped():
    collector = Collector(limits=Limits(pending_octets=2000))
    messages = [
        collector.read(UDP_A, message_octets(data(T.with_id(id)), domain=id % 3))
        for id in range(256, 300)
    ]
    kept = len(collector.pending)
    assert 0 < kept < 10
    assert collector.diagnostics.counts["limit"] == len(messages) - kept
    ready = 0
    for id in range(256, 300):
        ready += len(
            collector.read(UDP_A, message_octets(announce(T.with_id(id)), domain=id % 3)).ready
        )
    assert ready == kept
    assert len(collector.pending) == 0


def test_packets_that_are_dropped_are_not_bound():
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


def test_a_set_beyond_the_limit():
    collector = Collector(limits=Limits(pending_octets=100))
    collector.read(UDP_A, message_octets(data()))
    assert "limit" in codes_without_sequence(collector)
    assert collector.read(UDP_A, message_octets(announce(T))).ready == []


def test_a_message_of_16000_empty_sets():
    body = struct.pack("!HH", 300, 4) * 16000
    octets = struct.pack("!HH12x", 10, 16 + len(body)) + body
    collector = Collector()
    message = collector.read(UDP_A, octets)
    assert len(message.sets) == 16000
    collector.read(UDP_A, message_octets(announce(T)))
    assert all(read.template == T for read in message.sets)


def test_tables_of_pending_sets_shrink():
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

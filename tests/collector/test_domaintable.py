# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of Observation Domains: kept apart, limited, ended with their Transport Session."""

import gc
import sys

import pytest

from scapy_ipfix import (
    DataFlowSet,
    Limits,
    Template,
    TemplateFlowSet,
)
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.domain import Domain
from tests.builders import codes_without_sequence, message_octets
from tests.collector.helpers import (
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
)


@pytest.mark.parametrize(
    ("key", "domain"), [(UDP_B, 0), (UDP_C, 0), (TCP_A, 0), (UDP_A, 1), (UDP_B, 1)]
)
def test_sessions_and_domains_have_their_own_templates(key, domain):
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


def test_netflow_v9_source_ids():
    collector = Collector()
    collector.read(UDP_A, v9(announce(T, cls=TemplateFlowSet), source=1))
    collector.read(UDP_A, v9(announce(OTHER, cls=TemplateFlowSet), source=2))
    assert len(records(collector.read(UDP_A, v9(data(cls=DataFlowSet), source=1)))) == 2
    message = collector.read(UDP_A, v9(data(OTHER, [("192.0.2.7",)], DataFlowSet), source=2))
    assert records(message) == [{"destinationIPv4Address": "192.0.2.7"}]
    assert collector.read(UDP_A, v9(data(cls=DataFlowSet), source=3)).ready == []


def test_versions_are_kept_apart():
    collector = Collector()
    collector.read(UDP_A, message_octets(announce(T)))
    assert collector.read(UDP_A, v9(data(cls=DataFlowSet))).ready == []


def test_scope_exporter_ignores_ports():
    collector = Collector(scope="exporter")
    collector.read(UDP_A, message_octets(announce(T)))
    assert len(records(collector.read(UDP_B, message_octets(data())))) == 2
    assert collector.read(UDP_C, message_octets(data())).ready == []
    assert str(next(iter(collector.domains)).transport) == "192.0.2.1"
    with pytest.raises(ValueError, match="'port'"):
        Collector(scope="port")


def test_the_least_recently_used_domain_is_dropped():
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
    assert len(templates(collector)) == len(collector.pending) == 3


def test_the_least_recently_used_stream_is_dropped():
    """The next message of the stream is no gap: the sequence number before it is unknown."""
    collector = Collector(limits=Limits(streams=3, domains=2))
    key = UDP_A._replace(protocol="sctp")

    def take(domain, stream, sequence):
        octets = message_octets(announce(T), data(), domain=domain, sequence=sequence)
        collector.read(key, octets, stream=stream)

    for stream in (1, 2, 3, 1, 4):
        take(7, stream, 100 + stream)
    assert {number: stream.last.number for number, stream in streams_of(collector, 7).items()} == {
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
    assert [*streams_of(collector, 7)] == [4, 2]
    assert len(collector.streams) == 3
    take(9, 0, 100)
    assert len(collector.streams) == len(streams_of(collector, 8)) == 1


def streams_of(collector, id):
    """Return the trackers of an Observation Domain's SCTP streams."""
    return next(each.streams.trackers for each in collector.domains if each.id == id)


def test_transport_sessions_are_limited():
    collector = Collector(limits=Limits(transports=10, domains=10))
    for port in range(1000):
        collector.read(UDP_A._replace(source_port=port), message_octets(announce(T)))
    assert len(list(collector.domains)) == 10


def test_nothing_keeps_a_dropped_domain():
    """Its streams are dropped, and superseded templates do not refer to it."""
    lists = Template(301, "basicList")
    collector = Collector(limits=Limits(domains=2))
    key = UDP_A._replace(protocol="sctp")
    for stream in range(50):
        collector.read(
            key, message_octets(announce(lists), data(lists, [(b"\0",)]), domain=1), stream=stream
        )
    first = streams_of(collector, 1)
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


def test_a_transport_session_ends_once(monkeypatch):
    """Domains that ended before are not visited again."""
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


def test_tables_of_sessions_shrink():
    collector = Collector(limits=Limits(domains=2000))
    for domain in range(2000):
        collector.read(UDP_A, message_octets(announce(T), domain=domain))
    for domain in range(1999):
        collector.read(UDP_B, message_octets(announce(T), domain=domain))
    assert len(collector.domains.open[UDP_A]) == 1
    assert sys.getsizeof(collector.domains.open[UDP_A]) < 1000

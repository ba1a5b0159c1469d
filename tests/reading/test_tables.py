# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of a session, and templates by id."""

import pytest
from scapy.layers.inet import IP, UDP

from scapy_ipfix import IPFIXSession, Set, Template
from tests.builders import data_set, message_octets, template_sets

T = Template(300, "sourceIPv4Address", "octetDeltaCount[4]")
OTHER = Template(300, "destinationIPv4Address[4]", "packetDeltaCount[4]")
ROWS = [("192.0.2.1", 5), ("192.0.2.2", 6)]


ANNOUNCED = message_octets(*template_sets(T))
DATA = message_octets(data_set(T, ROWS))


def udp(octets, src="192.0.2.1", sport=1000, time=0.0):
    """Return the packet of a message."""
    packet = IP(bytes(IP(src=src, dst="192.0.2.9") / UDP(sport=sport, dport=4739) / octets))
    packet.time = time
    return packet


def test_tables():
    session = IPFIXSession()
    session.process(udp(ANNOUNCED, time=1.0))
    session.process(udp(ANNOUNCED))
    session.process(udp(DATA))
    assert [(*row[:-1], row.fields) for row in session.templates] == [
        (
            *("192.0.2.1:1000", 0, 300, "IPFIX", "data", 1),
            "sourceIPv4Address, octetDeltaCount[4]",
        )
    ]
    assert session.templates[0].template.id == 300
    assert "sourceIPv4Address" in str(session.templates)
    (row,) = session.stats
    assert row[:7] == ("192.0.2.1:1000", 0, "IPFIX", 3, len(ANNOUNCED) * 2 + len(DATA), 2, 2)
    assert (row.domain, row.records, row.lost, type(row.lost)) == (0, 2, 0, int)
    for table in (session.templates, session.stats):
        assert table._repr_html_().count("<tr>") == 2
    assert "<td>192.0.2.1:1000</td>" in session.stats._repr_html_()


def test_lost_records_that_cannot_be_counted():
    session = IPFIXSession()
    for sequence in (0, 2):
        session.process(udp(message_octets(Set(setId=300, data=bytes(8)), sequence=sequence)))
    (row,) = session.stats
    assert (row.lost, str(row.lost), row.lost + 1) == (0, "unknown", 1)
    assert repr(row.lost) == "LowerBound(0)"
    assert "unknown" in str(session.stats)


# Templates by id


def test_template_by_id():
    session = IPFIXSession()
    with pytest.raises(LookupError, match="no template 300; there are: no templates"):
        session.template(300)
    session.process(udp(ANNOUNCED))
    assert session.template(300) == session.template(300, domain=0) == T
    for wrong in ({"domain": 7}, {"exporter": "192.0.2.2"}, {"exporter": "192.0.2.1:1"}):
        with pytest.raises(LookupError, match=r"there are: 300 \(exporter 192.0.2.1:1000"):
            session.template(300, **wrong)
    with pytest.raises(LookupError, match="no template 301;"):
        session.template(301)


def test_template_by_id_domain_and_exporter():
    session = IPFIXSession()
    session.process(udp(ANNOUNCED))
    session.process(udp(ANNOUNCED, sport=1001))
    assert session.template(300) == T, "equal templates of two exporters"
    other = message_octets(*template_sets(OTHER), domain=7)
    session.process(udp(other, src="192.0.2.2"))
    with pytest.raises(ValueError, match="2 templates have id 300, give domain= or exporter=") as e:
        session.template(300)
    assert "exporter 192.0.2.2:1000, domain 7" in str(e.value)
    assert session.template(300, domain=0) == session.template(300, exporter="192.0.2.1") == T
    assert session.template(300, domain=7) == session.template(300, exporter="192.0.2.2") == OTHER
    assert session.template(300, exporter="192.0.2.2:1000") == OTHER


def test_template_error_lists_a_few():
    session = IPFIXSession()
    templates = [T.with_id(id) for id in range(400, 500)]
    session.process(udp(message_octets(*template_sets(*templates))))
    with pytest.raises(LookupError, match="407 .*; and 92 more$") as e:
        session.template(300)
    assert "408" not in str(e.value)

# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX Files (RFC 5655): reading, writing, appending, compression, any stream."""

import gzip
import io
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw

from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.layers.messages import IPFIX, NetFlowV9
from scapy_ipfix.layers.sets import DataSet, TemplateSet
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.reading.capture import CaptureError
from scapy_ipfix.reading.ipfixfile import iter_ipfix, read_ipfix, write_ipfix
from scapy_ipfix.reading.reader import dissect, iter_records
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.template import Template
from tests.strategies import Filled, broken, filled

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount")
ROWS = [("192.0.2.1", number) for number in range(9)]


def messages(count: int = 9) -> list[Any]:
    """Return messages of which only the first has the template."""
    return list(Exporter(domain=7, mtu=100).export(FLOW, ROWS[:count], export_time=1_700_000_000))


def counts(found: Any) -> list[int]:
    return [record.octetDeltaCount for each in found for record in each.records]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flows.ipfix"


def test_a_file_is_the_messages(path: Path) -> None:
    made = messages()
    assert write_ipfix(path, made) == len(made) > 2
    assert path.read_bytes() == b"".join(map(bytes, made))
    found = read_ipfix(path)
    assert [bytes(each) for each in found] == [bytes(each) for each in made]
    assert counts(found) == list(range(9))
    assert {float(each.time) for each in found} == {1_700_000_000.0}
    assert "flows.ipfix" in repr(found)
    assert len(list(iter_records(path))) == 9


@given(st.lists(filled(), max_size=5))
def test_written_messages_are_read(cases: list[Filled]) -> None:
    stream = io.BytesIO()
    exporter = Exporter(mtu=None)
    made = []
    for number, case in enumerate(cases):
        template = case.template.with_id(256 + number)
        made += list(exporter.export(template, case.rows))
    assert write_ipfix(stream, made) == len(made)
    if made:
        found = read_ipfix(io.BytesIO(stream.getvalue()))
        assert [bytes(each) for each in found] == [bytes(each) for each in made]
        assert sum(len(each.records) for each in found) == sum(len(case.rows) for case in cases)


@given(st.data())
def test_broken_files_are_read_as_far_as_they_go(data: st.DataObject) -> None:
    octets = data.draw(broken(b"".join(map(bytes, messages())), keep=2))
    session = IPFIXSession()
    found = read_ipfix(io.BytesIO(octets), session=session)
    for each in found:
        each.show2(dump=True)
        assert bytes(each) in octets


def test_templates_that_come_late(path: Path) -> None:
    first, *others = messages()
    write_ipfix(path, [*others, first])
    found = iter_ipfix(path)
    early = next(found)
    assert early.records == []
    assert early.sets[0].template is None
    rest = list(found)
    assert len(early.records) > 0
    assert counts([rest[-1], early, *rest[:-1]]) == list(range(9))


def test_gzip(path: Path) -> None:
    packed = path.with_suffix(".ipfix.gz")
    write_ipfix(packed, messages())
    assert gzip.decompress(packed.read_bytes()) == b"".join(map(bytes, messages()))
    assert counts(read_ipfix(packed)) == list(range(9))
    write_ipfix(path, messages(), gz=True)
    assert path.read_bytes()[:2] == b"\x1f\x8b"
    assert counts(read_ipfix(path)) == list(range(9))
    write_ipfix(packed, messages(), gz=False)
    assert packed.read_bytes()[:2] == b"\x00\x0a"


@pytest.mark.parametrize("gz", [False, True])
def test_append(path: Path, gz: bool) -> None:
    exporter = Exporter()
    write_ipfix(path, exporter.export(FLOW, ROWS[:3]), append=True, gz=gz)
    write_ipfix(path, exporter.export(FLOW, ROWS[3:5]), append=True)
    write_ipfix(path, exporter.export(FLOW, ROWS[5:]), append=True)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") is gz
    session = IPFIXSession()
    found = read_ipfix(path, session=session)
    assert [each.sequenceNumber for each in found] == [0, 3, 5]
    assert counts(found) == list(range(9))
    assert not session.diagnostics.counts
    write_ipfix(path, exporter.export(FLOW, ROWS[:1]))
    assert len(read_ipfix(path)) == 1


def test_streams_stay_open() -> None:
    plain, packed = io.BytesIO(), io.BytesIO()
    write_ipfix(plain, messages())
    write_ipfix(packed, messages(), gz=True)
    assert gzip.decompress(packed.getvalue()) == plain.getvalue()
    assert not plain.closed
    assert not packed.closed
    plain.seek(0)
    packed.seek(0)
    assert counts(read_ipfix(plain)) == counts(read_ipfix(packed)) == list(range(9))


def test_connection_yields_messages_once_complete() -> None:
    ours, theirs = socket.socketpair()
    made = messages()
    with ours, theirs, ours.makefile("rb") as reading, theirs.makefile("wb") as writing:
        ours.settimeout(10)
        write_ipfix(writing, made[:1])
        found = iter_ipfix(reading)
        # the first message is complete while the connection continues
        assert bytes(next(found)) == bytes(made[0])
        writer = threading.Thread(target=write_ipfix, args=(writing, made[1:]), daemon=True)
        writer.start()
        assert bytes(next(found)) == bytes(made[1])
        writer.join(10)
        theirs.shutdown(socket.SHUT_WR)
        assert [bytes(each) for each in found] == [bytes(each) for each in made[2:]]


def test_packets_of_a_capture_are_written_without_other_layers(path: Path) -> None:
    made = messages()
    packets = [
        IP() / UDP(dport=4739) / made[0],
        IP() / UDP(dport=53) / Raw(b"something else"),
        IP() / TCP(dport=4739) / made[1] / made[2],
    ]
    assert write_ipfix(path, dissect(packets)) == 3
    assert path.read_bytes() == b"".join(map(bytes, made[:3]))
    assert write_ipfix(path, made[0]) == 1
    assert write_ipfix(path, bytes(made[0])) == 1
    crafted = IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=ROWS)
    assert write_ipfix(path, [crafted]) == 1
    assert counts(read_ipfix(path)) == list(range(9))


def test_iterator_is_written_in_constant_memory(path: Path) -> None:
    exporter = Exporter(mtu=100)
    rows = (("192.0.2.1", number) for number in range(3000))
    assert write_ipfix(path, exporter.export_bytes(FLOW, rows)) > 900
    assert sum(len(each.records) for each in iter_ipfix(path)) == 3000


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (NetFlowV9(), "message 1: NetFlow v9, an IPFIX File holds IPFIX"),
        (b"\0\5" + bytes(30), "message 1: version 5"),
        (b"", "message 1: version 0"),
        (b"\0\x0a\0\x10" + bytes(8), "message 1: 12 octets, its header says 16"),
        (IPFIX(length=20), "message 1: 16 octets, its header says 20"),
    ],
)
def test_messages_that_no_file_can_hold(path: Path, message: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        write_ipfix(path, [messages()[0], message])


def test_files_of_other_kinds(path: Path, root: Path) -> None:
    with pytest.raises(CaptureError, match=r"softflowd_v9.pcap: a pcap file, not an IPFIX File"):
        iter_ipfix(root / "pcaps" / "softflowd_v9.pcap")
    path.write_bytes(b"hello")
    with pytest.raises(CaptureError, match="not a capture"):
        read_ipfix(path)
    with pytest.raises(FileNotFoundError):
        iter_ipfix(path.with_name("none"))
    write_ipfix(path, [])
    with pytest.raises(CaptureError, match="empty file"):
        read_ipfix(path)


def test_a_file_that_is_cut_off_or_damaged(path: Path) -> None:
    octets = b"".join(map(bytes, messages()))
    first = len(bytes(messages()[0]))
    path.write_bytes(octets[:first] + b"damage" + octets[first:-5])
    session = IPFIXSession()
    found = read_ipfix(path, session=session)
    assert len(found) == len(messages())
    assert session.diagnostics.counts["stream-resync"] == 1
    assert session.diagnostics.counts["message-truncated"] == 1
    packed = gzip.compress(octets)
    session = IPFIXSession()
    assert read_ipfix(io.BytesIO(packed[:-12]), session=session)
    assert session.diagnostics.counts["capture-cut"] == 1


# Files that continue others


def split(path: Path, whole: list[Any], at: int) -> tuple[Path, Path]:
    """Write messages to two files, the first with ``at`` of them."""
    first, second = path.with_name("1.ipfix"), path.with_name("2.ipfix")
    for file, part in (first, whole[:at]), (second, whole[at:]):
        file.write_bytes(b"".join(map(bytes, part)))
    return first, second


def test_templates_of_an_earlier_file(path: Path) -> None:
    session = IPFIXSession()
    first, second = split(path, messages(), 1)
    found = [list(iter_records(each, session=session)) for each in (first, second)]
    assert [record["octetDeltaCount"] for each in found for record in each] == list(range(9))
    assert not session.diagnostics.counts
    assert [row.exporter for row in session.stats] == [str(first), str(second)]
    packets = read_ipfix(second, session=session)
    assert sum(len(each.records) for each in packets) == len(found[1])


def test_templates_of_another_domain_of_an_earlier_file(path: Path) -> None:
    session = IPFIXSession()
    first, second = split(path, messages(), 1)
    octets = bytearray(second.read_bytes())
    position = 0
    while position < len(octets):
        octets[position + 15] = 8
        position += int.from_bytes(octets[position + 2 : position + 4], "big")
    second.write_bytes(octets)
    list(iter_records(first, session=session))
    assert list(iter_records(second, session=session)) == []
    assert set(session.diagnostics.counts) == {"missing-template"}


def test_own_templates_have_precedence_over_those_of_an_earlier_file(path: Path) -> None:
    """Two files of unrelated exporters are read without a word about the other one."""
    session = IPFIXSession()
    other = Template(256, "packetDeltaCount")
    unrelated = Exporter(domain=7, mtu=None).export(other, [(5,)], export_time=1_700_000_000)
    first, second = split(path, [*messages(), *unrelated], len(messages()))
    list(iter_records(first, session=session))
    assert list(iter_records(second, session=session)) == [{"packetDeltaCount": 5}]
    assert not session.diagnostics.counts
    session = IPFIXSession()
    again = [IPFIX(exportTime=1, observationDomainId=7, sets=[FLOW]) for _ in range(2)]
    first, second = split(path, again, 1)
    for each in first, second:
        list(iter_records(each, session=session))
    assert [row.refreshes for row in session.templates] == [0, 0]


def test_saved_templates_of_files(path: Path) -> None:
    session = IPFIXSession()
    other = Template(256, "packetDeltaCount")
    unrelated = Exporter(domain=7, mtu=None).export(other, [(5,)], export_time=1_700_000_000)
    first, second = split(path, [messages()[0], *unrelated], 1)
    for each in first, second:
        list(iter_records(each, session=session))
    session.save(path)
    restored = IPFIXSession.load(path)
    assert [row.fields for row in restored.templates] == [row.fields for row in session.templates]


def test_learned_elements_of_an_earlier_file(path: Path) -> None:
    types = Template(
        300,
        *("privateEnterpriseNumber", "informationElementId", "informationElementDataType"),
        *("informationElementSemantics", "informationElementName"),
        scope=2,
    )
    own = InformationElement("temperature", 1, 32473, data_type("unsigned32"))
    flow = Template(301, own)
    whole = [
        IPFIX(exportTime=1, sets=[types, DataSet(template=types, records=[_DESCRIPTION])]),
        IPFIX(exportTime=1, sets=[flow]),
        IPFIX(exportTime=1, sequenceNumber=1, sets=[DataSet(template=flow, records=[(21,)])]),
    ]
    session = IPFIXSession()
    first, second = split(path, whole, 2)
    list(iter_records(first, session=session))
    assert list(iter_records(second, session=session)) == [{"temperature": 21}]
    first, second = split(path, whole, 1)
    session = IPFIXSession()
    list(iter_records(first, session=session))
    assert list(iter_records(second, session=session)) == [{"temperature": 21}]


#: Values of element 32473/1: unsigned32, quantity.
_DESCRIPTION = (32473, 1, 3, 1, "temperature")

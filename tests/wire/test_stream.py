# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the division of a stream into messages, in pieces of any size and with gaps."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    NetFlowV9,
    Template,
    TemplateFlowSet,
    TemplateSet,
    iter_records,
)
from scapy_ipfix.wire.stream import FlowStream, MessageStream, read_messages

T = Template(300, "sourceIPv4Address", "interfaceName")


def message(number):
    return bytes(
        IPFIX(
            sequenceNumber=number,
            exportTime=number,
            sets=[
                TemplateSet(templates=[T]),
                DataSet(template=T, records=[("192.0.2.1", "x" * number)]),
            ],
        )
    )


MESSAGES = [message(i) for i in range(5)]
WHOLE = b"".join(MESSAGES)


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_a_stream_cut_up_anyhow(cuts):
    edges = [0, *sorted(cuts), len(WHOLE)]
    stream = MessageStream()
    found = []
    for start, stop in zip(edges, edges[1:]):
        found += stream.feed(WHOLE[start:stop])
    assert found == MESSAGES
    assert stream.skipped == stream.waiting == 0
    assert stream.finish() == b""


def test_octet_by_octet():
    stream = MessageStream()
    found = [one for octet in WHOLE for one in stream.feed(bytes((octet,)))]
    assert found == MESSAGES


def test_buffer_of_a_message_is_extended_in_place():
    stream = MessageStream()
    stream.feed(MESSAGES[0] + WHOLE[:30])
    waiting = stream._buffer
    for octet in WHOLE[30 : len(MESSAGES[0]) - 1]:
        assert stream.feed(bytes((octet,))) == []
        assert stream._buffer is waiting
    assert stream.feed(WHOLE[len(MESSAGES[0]) - 1 :]) == MESSAGES
    assert {type(each) for each in stream.feed(WHOLE[:30]) + stream.feed(WHOLE[30:])} == {bytes}


@given(st.binary(max_size=80), st.integers(0, 4), st.integers(1, 40))
def test_rubbish_between_messages(rubbish, position, step):
    octets = b"".join(MESSAGES[:position]) + rubbish + b"".join(MESSAGES[position:])
    stream = MessageStream()
    found = []
    for start in range(0, len(octets), step):
        found += stream.feed(octets[start : start + step])
    rest = stream.finish()
    # lengths in invalid octets may include messages, but no octet is lost
    assert sum(map(len, found)) + stream.skipped + len(rest) == len(octets)
    assert found[:position] == MESSAGES[:position]
    if b"\0\x0a" not in rubbish + b"\0":
        assert found == MESSAGES
        assert stream.skipped == len(rubbish)


@given(st.binary(max_size=300), st.integers(1, 50))
def test_any_octets_are_accounted_for(octets, step):
    stream = MessageStream()
    found = []
    for start in range(0, len(octets), step):
        found += stream.feed(octets[start : start + step])
    assert sum(map(len, found)) + stream.skipped + stream.waiting == len(octets)
    rest = stream.finish()
    assert sum(map(len, found)) + stream.skipped + len(rest) == len(octets)


@pytest.mark.parametrize("length", [0, 1, 15])
def test_a_length_less_than_a_header(length):
    broken = struct.pack("!HH12x", 10, length)
    stream = MessageStream()
    assert stream.feed(broken + WHOLE) == MESSAGES
    assert stream.skipped == 16


def test_a_version_alone_is_no_message():
    rubbish = b"\0\x0a\0\x30" + b"\xff" * 12 + b"\0\7\0\x10"
    stream = MessageStream()
    assert stream.feed(b"x" + rubbish + WHOLE) == MESSAGES
    assert stream.skipped == 1 + len(rubbish)


def test_lost_octets():
    stream = MessageStream()
    assert stream.feed(WHOLE[:30]) == []
    stream.resynchronize()
    assert stream.feed(MESSAGES[1][20:] + MESSAGES[2] + MESSAGES[3]) == MESSAGES[2:4]
    assert stream.skipped == len(MESSAGES[1]) - 20


def test_the_end_of_a_file():
    class Trickle(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(7)

    for cls in (io.BytesIO, Trickle):
        splitter = MessageStream()
        assert list(read_messages(cls(WHOLE), splitter)) == MESSAGES
        assert list(read_messages(cls(WHOLE + MESSAGES[0][:30]), MessageStream())) == [
            *MESSAGES,
            MESSAGES[0][:30],
        ]
        assert list(read_messages(cls(b""), MessageStream())) == []


# -- NetFlow v9


def v9(number):
    sets = [TemplateFlowSet(templates=[FLOW])] if number == 0 else []
    sets += [DataFlowSet(template=FLOW, records=[(9, n) for n in range(number)])]
    return bytes(NetFlowV9(sequenceNumber=number, unixSecs=9, sets=sets))


#: Values with many octets that look like a header's version.
FLOW = Template(300, "octetDeltaCount[4]", "packetDeltaCount[4]")
PACKETS = [v9(i) for i in range(5)] + [bytes(NetFlowV9(sequenceNumber=7))]
ALL = b"".join(PACKETS)


def cut(octets, edges=()):
    """Return the packets of a stream in pieces, and the stream."""
    stream = FlowStream()
    found = []
    edges = [0, *edges, len(octets)]
    for start, stop in zip(edges, edges[1:]):
        found += stream.feed(octets[start:stop])
    rest = stream.finish()
    return found + [rest] * bool(rest), stream


@given(st.lists(st.integers(0, len(ALL)), max_size=12))
def test_v9_cut_up_anyhow(cuts):
    found, stream = cut(ALL, sorted(cuts))
    assert found == PACKETS
    assert stream.skipped == 0


def test_v9_octet_by_octet():
    found, stream = cut(ALL, range(len(ALL)))
    assert found == PACKETS
    assert stream.skipped == 0


def test_buffer_of_a_v9_packet_is_extended_in_place():
    stream = FlowStream()
    stream.feed(PACKETS[0][:30])
    waiting = stream._buffer
    assert stream.feed(PACKETS[0][30:]) == []
    for _ in range(100):
        assert stream.feed(b"\1\0\0\4") == []
        assert stream._buffer is waiting
    assert stream.feed(PACKETS[1]) == [PACKETS[0] + b"\1\0\0\4" * 100]
    rest = stream.finish()
    assert rest == PACKETS[1]
    assert type(rest) is bytes


@given(st.binary(max_size=80), st.integers(0, 5), st.integers(1, 40))
def test_rubbish_between_v9_packets(rubbish, position, step):
    octets = b"".join(PACKETS[:position]) + rubbish + b"".join(PACKETS[position:])
    found, stream = cut(octets, range(0, len(octets), step))
    assert sum(map(len, found)) + stream.skipped == len(octets)
    assert found[: max(position - 1, 0)] == PACKETS[: max(position - 1, 0)]


def test_octets_of_no_header_are_skipped():
    found, stream = cut(ALL + b"\0\2\0\4rubbish" + ALL)
    assert found == PACKETS * 2
    assert stream.skipped == 11


def test_v9_packet_without_end():
    """The buffer has a limit, so that a stream without headers does not fill it."""
    flowset = struct.pack("!HH", 300, 60_000) + bytes(59_996)
    stream = FlowStream()
    found = stream.feed(PACKETS[0])
    for _ in range(20):
        found += stream.feed(flowset)
        assert len(stream._buffer) <= 2 * 65535
    assert len(found) == 1
    found += stream.feed(ALL)
    rest = stream.finish()
    assert [*found[1:], rest] == PACKETS


def test_v9_records_of_a_file(tmp_path):
    path = tmp_path / "flows.v9"
    path.write_bytes(ALL)
    rows = list(iter_records(str(path), ["octetDeltaCount", "packetDeltaCount"]))
    assert rows == [(9, n) for number in range(5) for n in range(number)]
    assert list(iter_records(io.BytesIO(ALL), ["octetDeltaCount", "packetDeltaCount"])) == rows

# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages cut out of a stream of octets, however it is cut up, and where it is broken."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import IPFIX, DataSet, Template, TemplateSet
from scapy_ipfix.stream import MessageStream, read_messages

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


@given(st.binary(max_size=80), st.integers(0, 4), st.integers(1, 40))
def test_rubbish_between_messages(rubbish, position, step):
    octets = b"".join(MESSAGES[:position]) + rubbish + b"".join(MESSAGES[position:])
    stream = MessageStream()
    found = []
    for start in range(0, len(octets), step):
        found += stream.feed(octets[start : start + step])
    rest = stream.finish()
    # what the rubbish says it is may swallow messages, but no octet goes missing
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
    stream.lose()
    assert stream.feed(MESSAGES[1][20:] + MESSAGES[2] + MESSAGES[3]) == MESSAGES[2:4]
    assert stream.skipped == len(MESSAGES[1]) - 20


def test_the_end_of_a_file():
    class Trickle(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(7)

    for cls in (io.BytesIO, Trickle):
        cutter = MessageStream()
        assert list(read_messages(cls(WHOLE), cutter)) == MESSAGES
        assert list(read_messages(cls(WHOLE + MESSAGES[0][:30]), MessageStream())) == [
            *MESSAGES,
            MESSAGES[0][:30],
        ]
        assert list(read_messages(cls(b""), MessageStream())) == []

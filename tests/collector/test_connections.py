# SPDX-License-Identifier: GPL-2.0-or-later
"""TCP streams and SCTP associations: any order, any cut, gaps, ends, and bounds on memory."""

import itertools
import random
import sys
import tracemalloc
from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector import connections as module
from scapy_ipfix.collector.connections import Chunk, Connections, SCTPStreams, TCPStream
from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.wire.template import Template

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount")
MODULO = 1 << 32
_EXPORTER = Exporter(domain=7, mtu=110)


def exported():
    """Return messages; only the first has the template."""
    rows = [("192.0.2.1", number) for number in range(16)]
    return [bytes(each) for each in _EXPORTER.export(FLOW, rows, export_time=1_700_000_000)]


MESSAGES = exported()
assert len(MESSAGES) == 6
STREAM = b"".join(MESSAGES)


def taken(stream, segments):
    return [message for segment in segments for message in stream.add_segment(*segment)]


@st.composite
def cut_up(draw, octets, start):
    """Draw the segments of a stream: of any size, repeated, overlapping, in any order."""
    edges = sorted({0, len(octets), *draw(st.lists(st.integers(0, len(octets)), max_size=20))})
    spans = list(itertools.pairwise(edges))
    for _ in range(draw(st.integers(0, 6))):
        one, other = draw(st.integers(0, len(octets))), draw(st.integers(0, len(octets)))
        spans.append((min(one, other), max(one, other)))
    order = draw(st.permutations(spans))
    return [((start + at) % MODULO, octets[at:stop]) for at, stop in order]


@given(st.integers(0, MODULO - 1) | st.sampled_from([MODULO - 1, MODULO - 100]), st.data())
def test_any_segments_in_any_order_give_the_messages(first, data):
    stream = TCPStream()
    assert stream.add_segment(first, b"", syn=True) == []
    segments = data.draw(cut_up(STREAM, (first + 1) % MODULO))
    assert taken(stream, segments) == MESSAGES
    assert stream.lost == stream.skipped == stream.held == 0
    assert taken(stream, segments) == []
    assert stream.held == 0
    assert not stream.ended


@given(st.permutations(range(5)))
def test_the_end_waits_for_what_is_before_it(order):
    edges = [0, 60, 61, 150, 300, len(STREAM)]
    stream = TCPStream()
    stream.add_segment(6, b"", syn=True)
    found = []
    for n, i in enumerate(order):
        assert not stream.ended
        found += stream.add_segment(7 + edges[i], STREAM[edges[i] : edges[i + 1]], fin=i == 4)
        assert stream.ended is (n == 4)
    assert found == MESSAGES


def test_a_syn_with_data_and_one_that_comes_late():
    stream = TCPStream()
    assert stream.add_segment(99, STREAM[:150], syn=True) == MESSAGES[:2]
    assert stream.begins(99)
    assert not stream.begins(100)
    late = TCPStream()
    assert late.add_segment(100, MESSAGES[0]) == MESSAGES[:1]
    assert late.begins(99)


def test_keepalives_and_window_probes():
    stream = TCPStream()
    stream.add_segment(0, b"", syn=True)
    assert stream.add_segment(1, STREAM[:20]) == []
    assert stream.add_segment(20, b"") == stream.add_segment(20, b"\0") == []
    assert stream.add_segment(21, STREAM[20:21]) == []
    assert taken(stream, [(22, STREAM[21:])]) == MESSAGES


@given(st.integers(1, len(STREAM) - 1), st.integers(1, 50))
def test_a_stream_from_its_middle_goes_on_at_the_next_message(start, size):
    stream = TCPStream()
    segments = [(at, STREAM[at : at + size]) for at in range(start, len(STREAM), size)]
    found = taken(stream, segments)
    edges = [0, *itertools.accumulate(map(len, MESSAGES))]
    whole = [each for each, edge in zip(MESSAGES, edges) if edge >= start]
    assert found == whole
    rest = sum(map(len, whole))
    assert stream.skipped == len(STREAM) - start - rest - stream._splitter.waiting


def test_a_gap_is_given_up_when_the_other_end_has_it():
    stream = TCPStream()
    stream.add_segment(0, b"", syn=True)
    edges = [1, *itertools.accumulate(map(len, MESSAGES), initial=1)][1:]
    assert stream.add_segment(edges[0], MESSAGES[0]) == MESSAGES[:1]
    # Message 1 was not captured.
    assert stream.add_segment(edges[2], MESSAGES[2]) == []
    stream.acknowledge(edges[1])
    assert stream.add_segment(edges[3], MESSAGES[3]) == []
    stream.acknowledge(edges[4])
    assert stream.add_segment(edges[4], b"") == MESSAGES[2:4]
    assert stream.lost == len(MESSAGES[1])
    assert stream.held == 0
    assert stream.add_segment(edges[4], MESSAGES[4], fin=True) == MESSAGES[4:5]
    assert stream.ended


def test_what_waits_comes_at_the_end():
    stream = TCPStream()
    stream.add_segment(0, b"", syn=True)
    edges = [0, *itertools.accumulate(map(len, MESSAGES))]
    for i in (0, 2, 4):
        stream.add_segment(1 + edges[i], MESSAGES[i])
    stream.add_segment(1 + edges[5], MESSAGES[5][:30])
    assert stream.finish() == [MESSAGES[2], MESSAGES[4], MESSAGES[5][:30]]
    assert stream.lost == len(MESSAGES[1]) + len(MESSAGES[3])
    assert stream.finish() == []


def test_a_gap_within_a_message_takes_that_message_only():
    stream = TCPStream()
    stream.add_segment(0, b"", syn=True)
    first, second = len(MESSAGES[0]), len(MESSAGES[1])
    assert stream.add_segment(1, STREAM[: first + 10]) == MESSAGES[:1]
    stream.add_segment(1 + first + 30, STREAM[first + 30 :])
    stream.acknowledge(1 + len(STREAM))
    found = stream.add_segment(1 + len(STREAM), b"")
    assert found == MESSAGES[2:]
    assert stream.lost == 30
    assert stream.lost + stream.skipped == second


def test_a_gap_is_given_up_when_too_much_waits():
    stream = TCPStream()
    stream.add_segment(0, b"", syn=True)
    size = 1460
    at, found = 1 + size, []
    octets = itertools.islice(itertools.cycle(STREAM), 2 << 20)
    rest = bytes(octets)
    for start in range(0, len(rest), size):
        found += stream.add_segment(at, rest[start : start + size])
        at += size
        assert stream.held < (1 << 20) + 2 * size
    assert len(found) > 1000
    assert set(found) == set(MESSAGES)
    assert stream.lost >= size
    assert stream.held == 0


def test_segments_of_one_octet_behind_a_gap_are_bounded():
    stream = TCPStream()
    stream.add_segment(0, b"", syn=True)
    tracemalloc.start()
    for at in range(10, 60_010, 2):
        stream.add_segment(at, b"x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert stream.cost < 2 << 20
    assert stream.lost > 0


def test_a_segment_longer_than_one_that_waits_at_the_same_place():
    stream = TCPStream()
    stream.add_segment(0, b"", syn=True)
    stream.add_segment(101, STREAM[100:110])
    stream.add_segment(101, STREAM[100:105])
    stream.add_segment(101, STREAM[100:])
    assert stream.add_segment(1, STREAM[:100]) == MESSAGES
    assert stream.held == 0


@given(st.lists(st.tuples(st.integers(0, 300), st.binary(max_size=60), st.booleans()), max_size=30))
def test_any_segments_at_all(segments):
    stream = TCPStream()
    for sequence, octets, flag in segments:
        if flag:
            stream.acknowledge(sequence)
        for message in stream.add_segment(sequence, octets, fin=flag):
            assert message[:2] == b"\x00\x0a"
        assert stream.held >= 0
    stream.finish()
    assert stream.held == 0
    assert stream.cost == 500


# -- SCTP


def whole(tsn, data, stream=0, sequence=0, unordered=False):
    return Chunk(tsn, stream, sequence, True, True, unordered, data)


def chunks_of(messages, tsn=100, pieces=1, stream=0, sequence=0):
    """Return the chunks of user messages, each in several pieces."""
    found = []
    for data in messages:
        size = -(-len(data) // pieces)
        parts = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        for i, part in enumerate(parts):
            last = i == len(parts) - 1
            chunk = Chunk(tsn % MODULO, stream, sequence % 65536, i == 0, last, False, part)
            found.append(chunk)
            tsn += 1
        sequence += 1
    return found


def messages_of(association, chunks):
    return [each for chunk in chunks for each in association.add_chunk(chunk)]


@given(st.integers(1, 5), st.sampled_from([0, 1, MODULO - 3]), st.sampled_from([0, 65533]))
def test_chunks_in_order(pieces, tsn, sequence):
    association = SCTPStreams()
    chunks = chunks_of(MESSAGES, tsn, pieces, sequence=sequence)
    assert messages_of(association, chunks) == [(0, each) for each in MESSAGES]
    assert association.held == association.lost == 0


@given(st.data(), st.sampled_from([7, MODULO - 5]), st.sampled_from([3, 65534]))
def test_chunks_in_any_order_and_twice(data, tsn, sequence):
    first, *rest = chunks_of(MESSAGES, tsn, 3, sequence=sequence)
    more = data.draw(st.lists(st.sampled_from([first, *rest])))
    association = SCTPStreams()
    # The first chunk says where the stream begins; there is no other way to know.
    order = [first, *data.draw(st.permutations(rest + more))]
    assert messages_of(association, order) == [(0, each) for each in MESSAGES]
    assert association.held == association.lost == 0
    assert messages_of(association, order) == []


@given(st.data())
def test_streams_do_not_wait_for_each_other(data):
    one, other = MESSAGES[::2], MESSAGES[1::2]
    chunks = [*chunks_of(one, 0, stream=1), *chunks_of(other, 50, 2, stream=2)]
    association = SCTPStreams()
    association.begin()
    found = messages_of(association, data.draw(st.permutations(chunks)))
    assert [octets for stream, octets in found if stream == 1] == one
    assert [octets for stream, octets in found if stream == 2] == other


def test_unordered_messages_come_at_once():
    association = SCTPStreams()
    assert association.add_chunk(whole(1, b"a")) == [(0, b"a")]
    assert association.add_chunk(whole(3, b"c", sequence=2)) == []
    assert association.add_chunk(whole(4, b"u", unordered=True)) == [(0, b"u")]
    assert association.add_chunk(Chunk(5, 0, 0, True, False, True, b"v")) == []
    assert association.add_chunk(Chunk(6, 0, 0, False, True, True, b"w")) == [(0, b"vw")]
    assert association.add_chunk(whole(2, b"b", sequence=1)) == [(0, b"b"), (0, b"c")]


def test_a_message_that_was_not_captured_is_waited_for_no_longer():
    association = SCTPStreams()
    association.add_chunk(whole(1, b"a"))
    for i in range(2, 5):
        assert association.add_chunk(whole(1 + i, bytes((i,)), sequence=i)) == []
    association.acknowledge(2)
    assert association.add_chunk(whole(6, b"\5", sequence=5)) == []
    association.acknowledge(6)
    due = association.add_chunk(whole(7, b"\6", sequence=6))
    assert due == [(0, bytes((i,))) for i in range(2, 7)]
    assert association.held == 0
    # A message that arrives after all is out of order.
    assert association.add_chunk(whole(2, b"\1", sequence=1)) == [(0, b"\1")]


def test_messages_that_wait_are_bounded():
    association = SCTPStreams()
    association.add_chunk(whole(0, b"first"))
    found = [
        each
        for i in range(2, 1000)
        for each in association.add_chunk(whole(i, i.to_bytes(2, "big"), sequence=i))
    ]
    assert [int.from_bytes(data, "big") for _, data in found] == list(range(2, 1000))
    assert association.held == 0


def test_what_waits_comes_at_the_end_of_an_association():
    association = SCTPStreams()
    association.add_chunk(whole(0, b"a", sequence=65534))
    association.add_chunk(whole(3, b"d", sequence=1))
    association.add_chunk(whole(2, b"c", sequence=0))
    association.add_chunk(whole(9, b"x", stream=4))
    association.add_chunk(whole(11, b"z", stream=4, sequence=2))
    association.add_chunk(Chunk(20, 5, 0, True, False, False, b"half"))
    assert association.finish() == [(0, b"c"), (0, b"d"), (4, b"z")]
    assert association.lost == 4
    assert association.held == 0
    assert association.finish() == []


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_pieces_that_never_make_a_message_are_bounded(size):
    association = SCTPStreams()
    tracemalloc.start()
    for tsn in range(0, 20_000, 2):
        assert association.add_chunk(Chunk(tsn, 0, 0, False, False, False, bytes(size))) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
    assert association.held <= 1 << 20
    assert association.cost < 3 << 20


@pytest.mark.parametrize("streams", [1, 300])
def test_messages_of_no_octets_are_bounded(streams):
    association = SCTPStreams()
    for stream in range(streams):
        association.add_chunk(whole(stream, b"", stream))
    for tsn in range(300, 20_000):
        association.add_chunk(whole(tsn, b"", tsn % streams, 2 + 2 * (tsn // streams) % 30_000))
    assert association.held <= 1 << 20


def test_two_messages_in_the_same_place():
    association = SCTPStreams()
    association.add_chunk(whole(0, b"a"))
    association.add_chunk(whole(2, b"c", sequence=2))
    assert association.add_chunk(whole(3, b"C", sequence=2)) == []
    assert association.add_chunk(whole(1, b"b", sequence=1)) == [(0, b"b"), (0, b"c")]
    assert association.held == 0


chunk_fields = st.tuples(
    st.integers(0, 40),
    st.integers(0, 3),
    st.integers(0, 20) | st.integers(65530, 65535),
    *(st.booleans(),) * 3,
    st.binary(max_size=10),
)


@given(st.lists(chunk_fields, max_size=60))
def test_any_chunks_at_all(fields):
    association = SCTPStreams()
    given_out = sum(len(data) for each in fields for _, data in association.add_chunk(Chunk(*each)))
    given_out += sum(len(data) for _, data in association.finish())
    octets = sum(len(each[-1]) for each in fields)
    assert given_out + association.lost <= octets
    assert association.held == 0


class Counted(OrderedDict):
    """Pieces, and how often someone asked for one."""

    asked = 0

    def get(self, *arguments):
        self.asked += 1
        return super().get(*arguments)

    def __getitem__(self, tsn):
        self.asked += 1
        return super().__getitem__(tsn)

    def __contains__(self, tsn):
        self.asked += 1
        return super().__contains__(tsn)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_message_of_many_pieces(backwards):
    """Each piece is compared with its neighbours alone, in a run of any length."""
    association = SCTPStreams()
    pieces = association._pieces = Counted()
    message = chunks_of([bytes(2500)], MODULO - 1000, 2500)
    order = message[1:-1][:: -1 if backwards else 1] + message[:1]
    assert messages_of(association, order) == []
    assert pieces.asked <= 6 * len(order)
    assert messages_of(association, message[-1:]) == [(0, bytes(2500))]
    assert association.held == association.lost == 0
    assert not association._ends


@pytest.mark.parametrize("backwards", [False, True])
def test_pieces_in_a_row_that_are_forgotten(backwards):
    association = SCTPStreams()
    pieces = association._pieces = Counted()
    tsns = range(20_000)[:: -1 if backwards else 1]
    for tsn in tsns:
        association.add_chunk(Chunk(tsn, 0, 0, False, False, False, b"x"))
    assert pieces.asked <= 6 * len(tsns)
    kept = len(pieces)
    assert association.lost == len(tsns) - kept
    first, last = sorted((tsns[-kept], tsns[-1]))
    assert association._ends == {first: last, last: first}


def test_a_piece_that_comes_again_much_later():
    """Its number is no longer among those remembered, but the piece is still there."""
    association = SCTPStreams()
    association.add_chunk(Chunk(1, 7, 0, True, False, False, b"a"))
    for tsn in range(10, 5010):
        association.add_chunk(whole(tsn, b"", unordered=True))
    association.add_chunk(Chunk(1, 7, 0, True, False, False, b"a"))
    assert association.add_chunk(Chunk(2, 7, 0, False, True, False, b"b")) == [(7, b"ab")]
    assert association.held == 0


class Walked:
    """Reference for :class:`SCTPStreams` with unordered pieces, which compares all of them."""

    def __init__(self, bound):
        self.bound, self.pieces, self.held, self.lost = bound, {}, 0, 0

    def add_chunk(self, chunk):
        pieces = self.pieces
        if chunk.tsn in pieces:
            return []
        pieces[chunk.tsn] = chunk
        self.held += len(chunk.data) + 300
        first = last = chunk.tsn
        while first in pieces and not pieces[first].beginning:
            first = (first - 1) % MODULO
        while last in pieces and not pieces[last].ending:
            last = (last + 1) % MODULO
        if first in pieces and last in pieces:
            tsns = [tsn % MODULO for tsn in range(first, first + (last - first) % MODULO + 1)]
            parts = [pieces.pop(tsn).data for tsn in tsns]
            self.held -= sum(map(len, parts)) + 300 * len(parts)
            return [(chunk.stream, b"".join(parts))]
        while self.held > self.bound and pieces:
            oldest = pieces.pop(next(iter(pieces)))
            self.held -= len(oldest.data) + 300
            self.lost += len(oldest.data)
        return []


ends = st.sampled_from([(False, False)] * 4 + [(True, False), (False, True)])


@given(
    st.lists(st.tuples(st.integers(-12, 12), ends, st.binary(max_size=3)), max_size=80),
    st.sampled_from([1000, 2500, 1 << 20]),
)
def test_any_pieces_at_all(chunks, bound):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_GAP_OCTETS", bound)
        patch.setattr(module, "_TSNS", 3)
        association, walked = SCTPStreams(), Walked(bound)
        for tsn, (beginning, ending), data in chunks:
            chunk = Chunk(tsn % MODULO, 0, 0, beginning, ending, True, data)
            if chunk.tsn not in association._seen:
                assert association.add_chunk(chunk) == walked.add_chunk(chunk)
            assert association._pieces == walked.pieces
            assert (association.held, association.lost) == (walked.held, walked.lost)
            assert set(association._ends) <= set(walked.pieces)


# -- connections


def test_connections_beyond_the_count_go():
    connections = Connections(TCPStream, 3, 1 << 30)
    for key in range(5):
        connections.get(key).add_segment(0, b"", syn=True)
        connections.settle(key)
        if key == 3:
            connections.get(1)
    assert [key in connections for key in range(5)] == [False, True, False, True, True]
    assert connections.dropped == 0


def test_connections_beyond_the_octets_go():
    connections = Connections(TCPStream, 100, 100_000)
    for key in range(20):
        stream = connections.get(key)
        stream.add_segment(0, b"", syn=True)
        stream.add_segment(1000, bytes(10_000))
        connections.settle(key)
        assert connections._total <= 100_000
    assert 19 in connections
    assert 0 not in connections
    assert connections.dropped > 5
    for key in range(20):
        connections.end(key)
    assert connections._total == 0


@given(st.randoms(use_true_random=False))
def test_costs_add_up(rng: random.Random):
    connections = Connections(SCTPStreams, 5, 5_000)
    for step in range(30):
        key = rng.randrange(9)
        association = connections.get(key)
        data = bytes(rng.randrange(300))
        association.add_chunk(
            Chunk(step, 0, rng.randrange(9), rng.random() < 0.5, True, False, data)
        )
        connections.settle(key)
        kept = sum(each.cost for each in connections._streams.values())
        assert connections._total == kept


def test_the_table_of_what_waited_goes():
    stream = TCPStream()
    stream.add_segment(0, b"", syn=True)
    for at in range(2, 3000):
        stream.add_segment(at, b"x")
    assert sys.getsizeof(stream._ahead) > 50_000
    stream.add_segment(1, b"x")
    assert stream._ahead == {}
    assert sys.getsizeof(stream._ahead) < 5_000

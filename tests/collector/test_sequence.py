# SPDX-License-Identifier: GPL-2.0-or-later
"""Sequence numbers: gaps, copies, late messages and restarts told apart, conventions known."""

import itertools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import IPFIX, DataSet, IPFIXSession, NetFlowV9, Template, iter_records
from scapy_ipfix.collector.sequence import CONVENTIONS, Counts, SequenceTracker
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.wire.framing import IPFIX_VERSION, V9_VERSION

PCAPS = Path(__file__).parents[2] / "pcaps"
MODULO = 1 << 32
FLOW = Template(256, "octetDeltaCount")
KEY = TransportKey("udp", "192.0.2.1", 1, "192.0.2.2", 4739)


def counted(sizes, first=0, convention="records", seconds=10):
    """Return counts of messages, numbered by a convention; ten messages per second."""
    found, position = [], first
    for n, size in enumerate(sizes):
        records, data = size if isinstance(size, tuple) else (size, size)
        step = {"data": data, "own-data": data, "messages": 1}.get(convention, records)
        number = position + (step if convention.startswith("own") else 0)
        found.append(Counts(number % MODULO, records, data, 1000 + n // seconds))
        position += step
    return found


def verdicts(stream, messages):
    return [verdict for each in messages if (verdict := stream.track(each)) is not None]


def verdict_codes(stream, messages):
    return [each.code.removeprefix("sequence-") for each in verdicts(stream, messages)]


SIZES = [20, 20, 7, 20, 20, 20, 3, 20, 20, 12, 20, 20] * 3


@pytest.mark.parametrize("first", [0, 1, 995, MODULO - 50, MODULO - 1])
@pytest.mark.parametrize("version", [IPFIX_VERSION, V9_VERSION])
def test_nothing_to_say(version, first):
    convention = "messages" if version == V9_VERSION else "records"
    stream = SequenceTracker(version)
    assert verdicts(stream, counted(SIZES, first, convention)) == []
    assert (stream.lost, stream.reordered, stream.duplicates, stream.restarts) == (0, 0, 0, 0)
    assert stream.lost_text == "0"


@pytest.mark.parametrize("first", [0, 900, MODULO - 100])
def test_a_gap(first):
    stream = SequenceTracker(IPFIX_VERSION)
    messages = counted(SIZES, first)
    (gap,) = verdicts(stream, messages[:5] + messages[7:])
    assert (gap.code, gap.lost) == ("sequence-gap", 23)
    assert gap.expected == messages[5].number
    assert gap.got == messages[7].number
    assert stream.lost == 23


def test_a_gap_of_export_packets():
    stream = SequenceTracker(V9_VERSION)
    messages = counted(SIZES, 5, "messages")
    (gap,) = verdicts(stream, messages[:5] + messages[7:])
    assert (gap.lost, stream.lost, stream.lost_text) == (2, 2, "2")


@pytest.mark.parametrize("version", [IPFIX_VERSION, V9_VERSION])
@pytest.mark.parametrize("first", [0, 1, 900, 940, 990, MODULO - 60])
@pytest.mark.parametrize("at", range(8))
def test_two_messages_that_change_places(version, first, at):
    """Near 0, 1000 and 2^32 as well as anywhere else."""
    messages = counted(SIZES, first, "messages" if version == V9_VERSION else "records")
    messages[at], messages[at + 1] = messages[at + 1], messages[at]
    stream = SequenceTracker(version)
    expected = ["reordered"] if at == 0 else ["gap", "reordered"]
    assert verdict_codes(stream, messages) == expected
    assert (stream.lost, stream.reordered, stream.restarts) == (0, 1, 0)


@pytest.mark.parametrize("late", [1, 2, 5, 20])
def test_a_message_that_comes_much_later(late):
    messages = counted(SIZES, 990)
    messages.insert(3 + late, messages.pop(3))
    stream = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(stream, messages) == ["gap", "reordered"]
    assert stream.lost == 0


def test_some_of_what_is_missed_comes_later():
    messages = counted(SIZES)
    stream = SequenceTracker(IPFIX_VERSION)
    order = [*messages[:3], messages[7], messages[5], messages[4], *messages[8:]]
    assert verdict_codes(stream, order) == ["gap", "reordered", "reordered"]
    assert stream.lost == messages[3].records + messages[6].records == 23
    # And once more: now they are copies.
    assert verdict_codes(stream, [messages[5], messages[4]]) == ["duplicate"] * 2
    assert stream.lost == 23


@pytest.mark.parametrize("version", [IPFIX_VERSION, V9_VERSION])
@pytest.mark.parametrize("behind", [0, 1, 5])
@pytest.mark.parametrize("first", [0, 985, MODULO - 60])
def test_a_message_that_comes_twice(version, behind, first):
    messages = counted(SIZES, first, "messages" if version == V9_VERSION else "records")
    messages.insert(4 + behind, messages[3])
    stream = SequenceTracker(version)
    assert verdict_codes(stream, messages) == ["duplicate"]
    assert (stream.lost, stream.duplicates) == (0, 1)


def test_every_message_comes_twice():
    messages = [each for each in counted(SIZES) for _ in range(2)]
    stream = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(stream, messages) == ["duplicate"] * len(SIZES)
    assert stream.convention == "records"


def test_messages_of_templates_share_the_number_of_the_next_one():
    sizes = [0, 20, 20, 0, 20, 20, 0, 20]
    assert verdict_codes(SequenceTracker(IPFIX_VERSION), counted(sizes)) == []
    swapped = counted(sizes)
    swapped[3], swapped[4] = swapped[4], swapped[3]
    assert verdict_codes(SequenceTracker(IPFIX_VERSION), swapped) == ["reordered"]


@pytest.mark.parametrize("version", [IPFIX_VERSION, V9_VERSION])
@pytest.mark.parametrize("first", [1, 700, 5000])
@pytest.mark.parametrize("again", [0, 1])
@pytest.mark.parametrize("after", [5, 30])
def test_a_restart(version, first, again, after):
    """From 0, from a little more, and with the same numbers within the memory of messages."""
    convention = "messages" if version == V9_VERSION else "records"
    before = counted(SIZES, first, convention)[:after]
    then = [
        each._replace(exported=each.exported + 60) for each in counted(SIZES, again, convention)
    ]
    stream = SequenceTracker(version)
    assert verdict_codes(stream, before + then) == ["restart"]
    assert (stream.restarts, stream.lost) == (1, 0)


def test_a_restart_without_an_export_time():
    stream = SequenceTracker(IPFIX_VERSION)
    bare = [each._replace(exported=0) for each in counted(SIZES, 100_000)]
    assert verdict_codes(stream, bare + [each._replace(exported=0) for each in counted(SIZES)]) == [
        "restart"
    ]


def test_a_restart_with_any_number_within_a_second():
    """Behind, within the second, and nothing missing there: the second such message tells."""
    stream = SequenceTracker(IPFIX_VERSION)
    before = counted(SIZES, 3_000_000_000, seconds=1000)
    then = counted(SIZES, 2_000_000_000, seconds=1000)
    assert verdict_codes(stream, before + then) == ["reordered", "restart"]


# -- unknown counts


def test_a_message_that_cannot_be_counted_is_no_gap():
    messages = counted(SIZES)
    messages[4] = messages[4]._replace(records=None, data_records=None)
    stream = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(stream, messages) == []
    assert stream.unknown
    assert stream.lost_text == "unknown"
    del messages[20]
    stream = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(stream, messages) == ["gap"]
    assert stream.lost_text == "20 or more"


def test_copies_and_late_messages_among_those_that_cannot_be_counted():
    blind = [each._replace(records=None, data_records=None) for each in counted(SIZES)]
    stream = SequenceTracker(IPFIX_VERSION)
    order = [*blind[:5], blind[4], blind[6], blind[5], *blind[7:]]
    assert verdict_codes(stream, order) == ["duplicate", "reordered"]
    assert stream.lost_text == "unknown"
    # Its template came between the message and its copy.
    messages = counted(SIZES)
    stream = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(stream, [*messages[:3], blind[3], messages[3], *messages[4:]]) == [
        "duplicate"
    ]


def test_netflow_v9_counts_what_it_cannot_read():
    blind = [
        each._replace(records=None, data_records=None) for each in counted(SIZES, 0, "messages")
    ]
    stream = SequenceTracker(V9_VERSION)
    assert verdict_codes(stream, blind[:3] + blind[5:]) == ["gap"]
    assert stream.lost_text == "2"


# -- conventions


@pytest.mark.parametrize("convention", ["own", "messages", "data", "own-data"])
@pytest.mark.parametrize("first", [0, 777, MODULO - 30])
def test_a_convention_is_said_once(convention, first):
    sizes = [(9, 8), *[(each, each) for each in SIZES[1:]]]
    sizes[12] = (5, 0)
    stream = SequenceTracker(IPFIX_VERSION)
    found = verdicts(stream, counted(sizes, first, convention))
    assert {each.code for each in found} == {"sequence-convention"}
    # "own" is tried first, and stands until the first message with options.
    assert len(found) <= (2 if "data" in convention else 1)
    assert found[-1].convention == CONVENTIONS[convention]
    assert stream.lost == 0


@pytest.mark.parametrize("convention", ["own", "messages"])
def test_gaps_in_a_convention(convention):
    messages = counted(SIZES, 0, convention)
    stream = SequenceTracker(IPFIX_VERSION)
    found = verdicts(stream, messages[:10] + messages[12:20] + [messages[21], messages[20]])
    assert [each.code for each in found] == [
        "sequence-convention",
        *["sequence-gap"] * 2,
        "sequence-reordered",
    ]
    lost = 2 if convention == "messages" else messages[10].records + messages[11].records
    assert stream.lost == lost


def test_domains_that_share_a_number():
    """Open vSwitch counts the messages of all domains in one sequence number."""
    streams = [SequenceTracker(IPFIX_VERSION), SequenceTracker(IPFIX_VERSION)]
    number, shared, found = 0, None, []
    for n, size in enumerate([3, 5, 2, 2, 7, 1, 4, 4, 2, 9, 9, 1]):
        message = Counts(number, size, size, 1000)
        verdict = streams[n % 3 % 2].track(message, shared)
        found += [verdict] if verdict else []
        shared, number = message, number + size
    assert {each.code for each in found} == {"sequence-convention"}
    assert len(found) <= 2
    assert all(each.lost == 0 for each in streams)


def test_a_gap_that_looks_like_a_convention_by_chance_is_told_with_the_next_message():
    # 20 + 10 lost: as if the message's own 30 were counted in.
    messages = counted([20, 20, 20, 10, 30, 20, 15, 20, 30, 20])
    del messages[3]
    stream = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(stream, messages)[-1] == "gap"
    assert stream.lost == 10
    assert stream.convention == "records"
    # Later on, chance is not enough.
    messages = counted([*SIZES, 20, 10, 30, 20])
    del messages[len(SIZES) + 1]
    assert verdict_codes(SequenceTracker(IPFIX_VERSION), messages) == ["gap"]


@dataclass
class Story:
    """Messages that were sent, and those that a collector received."""

    received: list
    happened: Counter


@st.composite
def stories(draw, convention):
    """Draw losses, copies and swaps of neighbours, never two next to each other."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=20, max_size=60))
    # Numbers enough to know the convention by, before anything happens.
    sizes = [20, 7, 20, 3, 12, 9, 5, 8, *sizes]
    first = draw(st.sampled_from([0, 500, 900, MODULO - 200, 123_456]))
    messages = counted(sizes, first, convention)
    received, happened = list(messages[:12]), Counter()
    left = iter(messages[12:])
    for message in left:
        event = draw(st.sampled_from(["", "", "", "lost", "twice", "swap"]))
        following = list(itertools.islice(left, 3))
        if len(following) < 3:
            received += [message, *following]
            break
        if event == "lost":
            happened["lost"] += 1 if convention == "messages" else message.records
        elif event == "twice":
            received += [message, message]
        elif event == "swap":
            received += [following.pop(0), message]
        else:
            received.append(message)
        happened[event] += event in ("twice", "swap")
        received += following
    return Story(received, happened)


@pytest.mark.parametrize("convention", ["records", "own", "v9"])
@given(data=st.data())
def test_what_happened_is_what_is_said(convention, data):
    version = V9_VERSION if convention == "v9" else IPFIX_VERSION
    story = data.draw(stories("messages" if convention == "v9" else convention))
    stream = SequenceTracker(version)
    found = Counter(verdict_codes(stream, story.received))
    assert stream.lost == story.happened["lost"]
    assert found["duplicate"] == stream.duplicates == story.happened["twice"]
    assert found["reordered"] == stream.reordered == story.happened["swap"]
    assert found["restart"] == 0
    assert found["convention"] == (1 if convention == "own" else 0)


numbers = st.integers(0, MODULO - 1) | st.integers(0, 50) | st.integers(MODULO - 50, MODULO - 1)
records = st.none() | st.integers(0, 40)


@given(
    st.sampled_from([IPFIX_VERSION, V9_VERSION]),
    st.lists(st.tuples(numbers, records, records, st.integers(0, 3)), max_size=40),
)
def test_any_numbers_at_all(version, messages):
    stream = SequenceTracker(version)
    shared = None
    for number, one, other, exported in messages:
        data = None if one is None or other is None else min(one, other)
        message = Counts(number, None if data is None else one, data, exported)
        verdict = stream.track(message, shared)
        assert verdict is None or verdict.got == number
        assert stream.lost >= 0
        shared = message


def test_memory_of_a_stream_is_bounded():
    stream = SequenceTracker(IPFIX_VERSION)
    for n in range(0, 50_000, 10):
        stream.track(Counts(n, 1, 1, n))
    assert len(stream._seen) <= 128
    assert len(stream._gaps) <= 128


# -- in a session


def read(session, *messages):
    for packet in messages:
        session.collector.read(KEY, bytes(packet))
    return dict(session.diagnostics.counts)


def data(number, records, template=FLOW, exported=1000):
    rows = [(n,) for n in range(records)]
    header = IPFIX(sequenceNumber=number, exportTime=exported)
    return header / DataSet(template=template, records=rows)


def test_data_sets_without_a_template_make_no_gap():
    session = IPFIXSession()
    other = FLOW.with_id(999)
    announced = IPFIX(exportTime=1000, sets=[FLOW])
    found = read(session, announced, data(0, 5), data(5, 7, other), data(12, 5), data(17, 1))
    assert found == {"missing-template": 1}
    (domain,) = session.collector.domains
    assert domain.sequence.lost_text == "unknown"
    assert "unknown" in str(session.stats)


def test_restarts_of_an_exporter_that_counts_the_same_numbers_anew():
    session = IPFIXSession()
    messages = [IPFIX(exportTime=1000, sets=[FLOW]), *(data(5 * n, 5) for n in range(10))]
    read(session, *messages)
    for each in messages:
        each.exportTime = 2000
    assert read(session, *messages) == {"sequence-restart": 1}


def test_netflow_v9_restarts():
    session = IPFIXSession()
    rows = [(n,) for n in range(3)]

    def export(number, uptime, seconds):
        header = NetFlowV9(sequenceNumber=number, sysUptime=uptime, unixSecs=seconds)
        return header / DataSet(template=FLOW, records=rows)

    found = read(session, export(50_000, 10_000_000, 1000), export(50_001, 10_001_000, 1001))
    assert found == {"missing-template": 2}
    found = read(session, export(0, 5_000, 1100), export(1, 6_000, 1101))
    assert found["sequence-restart"] == found["exporter-restart"] == 1
    assert "sequence-gap" not in found


@pytest.mark.parametrize("path", sorted(PCAPS.glob("*.pcap")), ids=lambda path: path.stem)
def test_no_gap_in_a_capture_that_has_none(path):
    session = IPFIXSession()
    for _ in iter_records(path, session=session):
        pass
    found = {code for code in session.diagnostics.counts if "sequence" in code}
    assert found <= {"sequence-convention"}
    for domain in session.collector.domains:
        assert domain.sequence.lost_text == "0"
        assert domain.sequence.reordered == domain.sequence.duplicates == 0

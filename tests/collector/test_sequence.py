# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of sequence numbers: gaps, duplicates, late messages, restarts and conventions."""

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
    """Return messages with numbers of records, numbered by a convention; ten a second."""
    found, position = [], first
    for n, size in enumerate(sizes):
        records, data = size if isinstance(size, tuple) else (size, size)
        step = {"data": data, "own-data": data, "messages": 1}.get(convention, records)
        number = position + (step if convention.startswith("own") else 0)
        found.append(Counts(number % MODULO, records, data, 1000 + n // seconds))
        position += step
    return found


def verdicts(tracker, messages):
    return [verdict for each in messages if (verdict := tracker.track(each)) is not None]


def verdict_codes(tracker, messages):
    return [each.code.removeprefix("sequence-") for each in verdicts(tracker, messages)]


SIZES = [20, 20, 7, 20, 20, 20, 3, 20, 20, 12, 20, 20] * 3


@pytest.mark.parametrize("first", [0, 1, 995, MODULO - 50, MODULO - 1])
@pytest.mark.parametrize("version", [IPFIX_VERSION, V9_VERSION])
def test_consecutive_numbers(version, first):
    convention = "messages" if version == V9_VERSION else "records"
    tracker = SequenceTracker(version)
    assert verdicts(tracker, counted(SIZES, first, convention)) == []
    assert (tracker.lost, tracker.reordered, tracker.duplicates, tracker.restarts) == (0, 0, 0, 0)
    assert tracker.lost_text == "0"


@pytest.mark.parametrize("first", [0, 900, MODULO - 100])
def test_a_gap(first):
    tracker = SequenceTracker(IPFIX_VERSION)
    messages = counted(SIZES, first)
    (gap,) = verdicts(tracker, messages[:5] + messages[7:])
    assert (gap.code, gap.lost) == ("sequence-gap", 23)
    assert gap.expected == messages[5].number
    assert gap.got == messages[7].number
    assert tracker.lost == 23


def test_a_gap_of_export_packets():
    tracker = SequenceTracker(V9_VERSION)
    messages = counted(SIZES, 5, "messages")
    (gap,) = verdicts(tracker, messages[:5] + messages[7:])
    assert (gap.lost, tracker.lost, tracker.lost_text) == (2, 2, "2")


@pytest.mark.parametrize("version", [IPFIX_VERSION, V9_VERSION])
@pytest.mark.parametrize("first", [0, 1, 900, 940, 990, MODULO - 60])
@pytest.mark.parametrize("at", range(8))
def test_two_messages_in_reverse_order(version, first, at):
    """Numbers near 0, 1000 and 2^32 are not special."""
    messages = counted(SIZES, first, "messages" if version == V9_VERSION else "records")
    messages[at], messages[at + 1] = messages[at + 1], messages[at]
    tracker = SequenceTracker(version)
    expected = ["reordered"] if at == 0 else ["gap", "reordered"]
    assert verdict_codes(tracker, messages) == expected
    assert (tracker.lost, tracker.reordered, tracker.restarts) == (0, 1, 0)


@pytest.mark.parametrize("late", [1, 2, 5, 20])
def test_a_message_that_is_very_late(late):
    messages = counted(SIZES, 990)
    messages.insert(3 + late, messages.pop(3))
    tracker = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(tracker, messages) == ["gap", "reordered"]
    assert tracker.lost == 0


def test_some_of_the_missing_messages_are_late():
    messages = counted(SIZES)
    tracker = SequenceTracker(IPFIX_VERSION)
    order = [*messages[:3], messages[7], messages[5], messages[4], *messages[8:]]
    assert verdict_codes(tracker, order) == ["gap", "reordered", "reordered"]
    assert tracker.lost == messages[3].records + messages[6].records == 23
    # The same again: now they are duplicates.
    assert verdict_codes(tracker, [messages[5], messages[4]]) == ["duplicate"] * 2
    assert tracker.lost == 23


@pytest.mark.parametrize("version", [IPFIX_VERSION, V9_VERSION])
@pytest.mark.parametrize("behind", [0, 1, 5])
@pytest.mark.parametrize("first", [0, 985, MODULO - 60])
def test_a_duplicate(version, behind, first):
    messages = counted(SIZES, first, "messages" if version == V9_VERSION else "records")
    messages.insert(4 + behind, messages[3])
    tracker = SequenceTracker(version)
    assert verdict_codes(tracker, messages) == ["duplicate"]
    assert (tracker.lost, tracker.duplicates) == (0, 1)


def test_every_message_is_duplicated():
    messages = [each for each in counted(SIZES) for _ in range(2)]
    tracker = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(tracker, messages) == ["duplicate"] * len(SIZES)
    assert tracker.convention == "records"


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
    """The new numbers begin at 0 or above it, or repeat recent ones."""
    convention = "messages" if version == V9_VERSION else "records"
    before = counted(SIZES, first, convention)[:after]
    then = [
        each._replace(export_time=each.export_time + 60)
        for each in counted(SIZES, again, convention)
    ]
    tracker = SequenceTracker(version)
    assert verdict_codes(tracker, before + then) == ["restart"]
    assert (tracker.restarts, tracker.lost) == (1, 0)


def test_a_restart_without_an_export_time():
    tracker = SequenceTracker(IPFIX_VERSION)
    bare = [each._replace(export_time=0) for each in counted(SIZES, 100_000)]
    assert verdict_codes(
        tracker, bare + [each._replace(export_time=0) for each in counted(SIZES)]
    ) == ["restart"]


def test_a_restart_with_any_number_within_a_second():
    """The second message that is behind and fills no gap shows that it was a restart."""
    tracker = SequenceTracker(IPFIX_VERSION)
    before = counted(SIZES, 3_000_000_000, seconds=1000)
    then = counted(SIZES, 2_000_000_000, seconds=1000)
    assert verdict_codes(tracker, before + then) == ["reordered", "restart"]


# Messages that cannot be counted


def test_a_message_that_cannot_be_counted_is_no_gap():
    messages = counted(SIZES)
    messages[4] = messages[4]._replace(records=None, data_records=None)
    tracker = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(tracker, messages) == []
    assert tracker.unknown
    assert tracker.lost_text == "unknown"
    del messages[20]
    tracker = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(tracker, messages) == ["gap"]
    assert tracker.lost_text == "20 or more"


def test_duplicates_and_late_messages_that_cannot_be_counted():
    blind = [each._replace(records=None, data_records=None) for each in counted(SIZES)]
    tracker = SequenceTracker(IPFIX_VERSION)
    order = [*blind[:5], blind[4], blind[6], blind[5], *blind[7:]]
    assert verdict_codes(tracker, order) == ["duplicate", "reordered"]
    assert tracker.lost_text == "unknown"
    # The template arrived between the message and its duplicate.
    messages = counted(SIZES)
    tracker = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(tracker, [*messages[:3], blind[3], messages[3], *messages[4:]]) == [
        "duplicate"
    ]


def test_netflow_v9_counts_messages_without_templates():
    blind = [
        each._replace(records=None, data_records=None) for each in counted(SIZES, 0, "messages")
    ]
    tracker = SequenceTracker(V9_VERSION)
    assert verdict_codes(tracker, blind[:3] + blind[5:]) == ["gap"]
    assert tracker.lost_text == "2"


# Conventions


@pytest.mark.parametrize("convention", ["own", "messages", "data", "own-data"])
@pytest.mark.parametrize("first", [0, 777, MODULO - 30])
def test_a_convention_is_noted_once(convention, first):
    sizes = [(9, 8), *[(each, each) for each in SIZES[1:]]]
    sizes[12] = (5, 0)
    tracker = SequenceTracker(IPFIX_VERSION)
    found = verdicts(tracker, counted(sizes, first, convention))
    assert {each.code for each in found} == {"sequence-convention"}
    # "own" is tried first, and fits until the first message with options.
    assert len(found) <= (2 if "data" in convention else 1)
    assert found[-1].convention == CONVENTIONS[convention]
    assert tracker.lost == 0


@pytest.mark.parametrize("convention", ["own", "messages"])
def test_gaps_in_a_convention(convention):
    messages = counted(SIZES, 0, convention)
    tracker = SequenceTracker(IPFIX_VERSION)
    found = verdicts(tracker, messages[:10] + messages[12:20] + [messages[21], messages[20]])
    assert [each.code for each in found] == [
        "sequence-convention",
        *["sequence-gap"] * 2,
        "sequence-reordered",
    ]
    lost = 2 if convention == "messages" else messages[10].records + messages[11].records
    assert tracker.lost == lost


def test_domains_that_share_a_number():
    """The number continues that of the last message of any domain, as in Open vSwitch."""
    trackers = [SequenceTracker(IPFIX_VERSION), SequenceTracker(IPFIX_VERSION)]
    number, shared, found = 0, None, []
    for n, size in enumerate([3, 5, 2, 2, 7, 1, 4, 4, 2, 9, 9, 1]):
        message = Counts(number, size, size, 1000)
        verdict = trackers[n % 3 % 2].track(message, shared)
        found += [verdict] if verdict else []
        shared, number = message, number + size
    assert {each.code for each in found} == {"sequence-convention"}
    assert len(found) <= 2
    assert all(each.lost == 0 for each in trackers)


def test_a_gap_that_fits_a_convention_is_noted_with_the_next_message():
    # 20 + 10 lost: as if the message's own 30 were included.
    messages = counted([20, 20, 20, 10, 30, 20, 15, 20, 30, 20])
    del messages[3]
    tracker = SequenceTracker(IPFIX_VERSION)
    assert verdict_codes(tracker, messages)[-1] == "gap"
    assert tracker.lost == 10
    assert tracker.convention == "records"
    # Later, one message that fits is not enough.
    messages = counted([*SIZES, 20, 10, 30, 20])
    del messages[len(SIZES) + 1]
    assert verdict_codes(SequenceTracker(IPFIX_VERSION), messages) == ["gap"]


@dataclass
class Story:
    """Messages that were lost, duplicated and swapped, and those that a collector received."""

    received: list
    happened: Counter


@st.composite
def stories(draw, convention):
    """Draw losses, duplicates and swaps of neighbours, none of them adjacent."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=20, max_size=60))
    # Enough messages first to recognise the convention.
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
def test_verdicts_match_the_events(convention, data):
    version = V9_VERSION if convention == "v9" else IPFIX_VERSION
    story = data.draw(stories("messages" if convention == "v9" else convention))
    tracker = SequenceTracker(version)
    found = Counter(verdict_codes(tracker, story.received))
    assert tracker.lost == story.happened["lost"]
    assert found["duplicate"] == tracker.duplicates == story.happened["twice"]
    assert found["reordered"] == tracker.reordered == story.happened["swap"]
    assert found["restart"] == 0
    assert found["convention"] == (1 if convention == "own" else 0)


numbers = st.integers(0, MODULO - 1) | st.integers(0, 50) | st.integers(MODULO - 50, MODULO - 1)
records = st.none() | st.integers(0, 40)


@given(
    st.sampled_from([IPFIX_VERSION, V9_VERSION]),
    st.lists(st.tuples(numbers, records, records, st.integers(0, 3)), max_size=40),
)
def test_any_numbers(version, messages):
    tracker = SequenceTracker(version)
    shared = None
    for number, one, other, exported in messages:
        data = None if one is None or other is None else min(one, other)
        message = Counts(number, None if data is None else one, data, exported)
        verdict = tracker.track(message, shared)
        assert verdict is None or verdict.got == number
        assert tracker.lost >= 0
        shared = message


def test_memory_of_a_tracker_is_limited():
    tracker = SequenceTracker(IPFIX_VERSION)
    for n in range(0, 50_000, 10):
        tracker.track(Counts(n, 1, 1, n))
    assert len(tracker._seen) <= 128
    assert len(tracker._gaps) <= 128


# In a session


def read(session, *messages):
    for packet in messages:
        session.collector.read(KEY, bytes(packet))
    return dict(session.diagnostics.counts)


def data(number, records, template=FLOW, exported=1000):
    rows = [(n,) for n in range(records)]
    header = IPFIX(sequenceNumber=number, exportTime=exported)
    return header / DataSet(template=template, records=rows)


def test_data_sets_without_a_template_are_no_gap():
    session = IPFIXSession()
    other = FLOW.with_id(999)
    announced = IPFIX(exportTime=1000, sets=[FLOW])
    found = read(session, announced, data(0, 5), data(5, 7, other), data(12, 5), data(17, 1))
    assert found == {"missing-template": 1}
    (domain,) = session.collector.domains
    assert domain.sequence.lost_text == "unknown"
    assert "unknown" in str(session.stats)


def test_a_restart_that_repeats_the_same_numbers():
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
def test_captures_without_a_gap(path):
    session = IPFIXSession()
    for _ in iter_records(path, session=session):
        pass
    found = {code for code in session.diagnostics.counts if "sequence" in code}
    assert found <= {"sequence-convention"}
    for domain in session.collector.domains:
        assert domain.sequence.lost_text == "0"
        assert domain.sequence.reordered == domain.sequence.duplicates == 0

# SPDX-License-Identifier: GPL-2.0-or-later
"""Plain messages on the fast path: records and state equal those of the general path."""

import io
import struct
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector.budget import NAMED_FIELDS
from scapy_ipfix.reading.capture import CaptureFile
from scapy_ipfix.reading.fastpath import FastPathReader
from scapy_ipfix.reading.reader import read_capture, read_sets
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.template import Template
from tests.builders import EXPORTED, raw_message, raw_pcap, raw_set, raw_template_set
from tests.strategies import broken

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount[4]")
OTHER = Template(256, "sourceIPv4Address", "octetDeltaCount")
NAMED = Template(257, "octetDeltaCount", "interfaceName")
OPTIONS = Template(258, "exportingProcessId", "exportedMessageTotalCount", scope=1)
LISTS = Template(259, "octetDeltaCount[1]", "basicList[5]")
TEMPLATES = (FLOW, OTHER, NAMED, OPTIONS, LISTS)


def data(template, records, padding=0):
    """Return a Data Set of records of zeros."""
    if template is LISTS:
        return raw_set(template.id, b"\0\xff\0\1\0\1" * records)
    return raw_set(template.id, bytes(template.length * records + padding))


def message(*sets, number=0, domain=7, exported=EXPORTED):
    return raw_message(*sets, domain=domain, sequence=number, exported=exported)


def frame(payload, sport=40000, dport=4739, trailer=b"", fragment=0x4000):
    """Return a datagram in Ethernet and IPv4, without checksums."""
    udp = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload
    addresses = b"\xc0\0\2\x09\xc6\x33\x64\x09"
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, fragment, 64, 17, 0) + addresses
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + udp + trailer


def observed(sets):
    """Return what a reader of Data Sets sees of them."""
    return [
        (each.body, each.set_id, each.index, each.template, each.domain.key, each.metadata_number)
        for each in sets
    ]


def state(session):
    """Return the state of a session."""
    domains = [
        (
            *(domain.key, asdict(domain.stats), domain.sequence, domain.shared),
            {number: asdict(each) for number, each in domain.templates.states.items()},
        )
        for domain in session.collector.domains
    ]
    return session.packets, domains, list(session.diagnostics), session.diagnostics.counts


def both(source, **options):
    """Read a capture on both paths, compare, and return the number of Data Sets."""
    short, long = IPFIXSession(**options), IPFIXSession(**options)
    found = observed(read_sets(CaptureFile(source()), short))
    messages = read_capture(CaptureFile(source()), long)
    assert found == observed(each for message in messages for each in message.ready)
    assert state(short) == state(long)
    return len(found)


def both_of(frames, **options):
    return both(lambda: io.BytesIO(raw_pcap(frames)), **options)


@pytest.fixture
def fast_frames(monkeypatch):
    """Return a function that counts the frames on the fast path."""
    taken = []
    read = FastPathReader.read

    def counted(self, *arguments):
        found = read(self, *arguments)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(FastPathReader, "read", counted)
    return lambda: sum(taken)


def test_own_captures(root, fast_frames):
    for path in sorted(root.glob("pcaps/*.pcap*")):
        both(lambda path=path: path)
    assert fast_frames() >= 20


def test_shared_captures(captures):
    assert sum(both(lambda path=path: path) for path in sorted(captures.glob("*.pcap"))) > 100


# Frames of the fast path, and others

FIRST = frame(message(raw_template_set(FLOW), data(FLOW, 1)))
NEXT = message(data(FLOW, 3), number=1)


def test_a_plain_message(fast_frames):
    assert both_of([FIRST, frame(NEXT), frame(message(data(FLOW, 2), number=4))]) == 3
    assert fast_frames() == 2


def test_a_frame_with_a_trailer(fast_frames):
    assert both_of([FIRST, frame(NEXT, trailer=b"\1\2\3\4")]) == 2
    assert fast_frames() == 1


def test_padding(fast_frames):
    assert both_of([FIRST, frame(message(data(FLOW, 3, padding=7), number=1))]) == 2
    assert fast_frames() == 1


@pytest.mark.parametrize(
    "second",
    [
        frame(NEXT)[:-1],
        frame(NEXT + b"\0"),
        frame(NEXT, fragment=0x2000),
        frame(NEXT, fragment=0x0001),
        frame(NEXT, sport=40001),
        frame(message(data(FLOW, 1), data(FLOW, 1), number=1)),
        frame(message(data(FLOW, 1), number=1, domain=8)),
        frame(message(data(FLOW, 1, padding=2)[:-1] + b"\1", number=1)),
        frame(message(data(FLOW, 0), number=1)),
        frame(message(data(FLOW, 0, padding=7), number=1)),
        frame(message(data(NAMED, 1), number=1)),
        frame(message(raw_template_set(FLOW), number=1)),
        frame(message(struct.pack("!HHH", 255, 6, 0), number=1)),
        frame(b"\0\x09" + NEXT[2:]),
        frame(NEXT)[:14] + b"\x46" + frame(NEXT)[15:],
        frame(NEXT)[:23] + b"\x06" + frame(NEXT)[24:],
        frame(NEXT)[:12] + b"\x86\xdd" + frame(NEXT)[14:],
        frame(b""),
    ],
)
def test_frames_that_are_not_plain(fast_frames, second):
    both_of([FIRST, second])
    assert fast_frames() == 0


@pytest.mark.parametrize("template", [NAMED, OPTIONS, LISTS])
def test_templates_that_are_not_plain(fast_frames, template):
    first = frame(message(raw_template_set(template)))
    rest = data(template, 2) if template is not NAMED else data(template, 1)
    assert both_of([first, frame(message(rest))]) == 1
    assert template.plain_length == 0
    assert fast_frames() == 0


def test_another_link_type(fast_frames):
    frames = [FIRST, frame(NEXT)]
    both(lambda: io.BytesIO(raw_pcap(frames, link_type=228)))
    assert fast_frames() == 0


def test_ports(fast_frames):
    first = message(raw_template_set(FLOW), data(FLOW, 1))
    strange = [frame(first, dport=777), frame(NEXT, dport=777)]
    assert both_of(strange, any_port=True) == 2
    assert fast_frames() == 1
    assert both_of(strange, any_port=False) == 0
    tunnel = [frame(first, dport=4789), frame(NEXT, dport=4789)]
    both_of(tunnel)
    assert fast_frames() == 1


def test_sessions_that_read_every_record(fast_frames):
    frames = [FIRST, frame(NEXT)]
    assert both_of(frames, template_timeout=100.0) == 2
    assert both_of(frames, check_values=True) == 2
    assert fast_frames() == 0


def test_scope_of_exporter(fast_frames):
    frames = [FIRST, frame(NEXT, sport=40001), frame(message(data(FLOW, 1), number=4), sport=40001)]
    assert both_of(frames, scope="exporter") == 3
    assert both_of(frames) == 1
    assert fast_frames() == 1


# Everything together


@st.composite
def sets(draw):
    """Draw a Set or two, of templates and of data."""
    template = draw(st.sampled_from(TEMPLATES))
    if draw(st.integers(0, 3)) == 0:
        return raw_template_set(template)
    return data(template, draw(st.integers(0, 4)), draw(st.sampled_from([0, 0, 0, 1, 9])))


@st.composite
def captured(draw):
    """Draw frames of two exporters with two domains each, most of them in sequence."""
    numbers = {}
    frames = []
    for _ in range(draw(st.integers(1, 12))):
        sport = draw(st.sampled_from([40000, 40000, 40001]))
        domain = draw(st.sampled_from([7, 7, 7, 8]))
        number = numbers.get((sport, domain), 0)
        if draw(st.integers(0, 5)) == 0:
            number = draw(st.integers(0, 2**32 - 1))
        parts = draw(st.lists(sets(), min_size=1, max_size=draw(st.sampled_from([1, 1, 1, 3]))))
        payload = message(*parts, number=number, domain=domain)
        numbers[sport, domain] = (number + draw(st.integers(0, 4))) % 2**32
        whole = frame(payload, sport)
        if draw(st.integers(0, 4)) == 0:
            whole = draw(broken(whole, keep=12))
        frames.append(whole)
    return [FIRST, *frames]


@given(captured())
def test_both_paths_are_equal(frames):
    both_of(frames)
    both_of(frames, scope="exporter")


def test_learned_names_apply_from_the_first_message(tmp_path):
    """Also if many templates have names to learn: a message gives its own templates names."""
    count, wide = 60, 300
    specifiers = b"".join(struct.pack("!HHI", 0x8001 + each, 1, 99999) for each in range(wide))
    layouts = [struct.pack("!HH", 300 + each, wide) + specifiers for each in range(count)]
    kinds = struct.pack("!HHH8H", 256, 4, 2, 346, 4, 303, 2, 339, 1, 341, 0xFFFF)
    row = struct.pack("!IHBB", 99999, 1, 1, 3) + b"one"
    messages = [message(struct.pack("!HH", 2, 4 + len(each)) + each) for each in layouts]
    messages.append(message(struct.pack("!HH", 3, 4 + len(kinds)) + kinds))
    messages.append(message(struct.pack("!HH", 256, 4 + len(row)) + row))
    body = bytes(wide)
    rows = [struct.pack("!HH", 300 + each, 4 + wide) + body for each in range(count)]
    messages += [message(each) for each in rows + rows]
    assert count * wide > NAMED_FIELDS.most
    path = tmp_path / "learned.pcap"
    path.write_bytes(raw_pcap([frame(each) for each in messages]))
    sets = [each for each in read_sets(CaptureFile(path), IPFIXSession()) if each.set_id >= 300]
    assert len(sets) == 2 * count
    assert [each.template.names[0] for each in sets] == ["one"] * 2 * count

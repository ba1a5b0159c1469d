# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of framing: the offsets of messages, Sets and Template Records."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.wire.framing import (
    Specifier,
    find_flaw,
    find_message_end,
    walk_sets,
    walk_templates,
)
from tests.builders import codes, raw_message, raw_set, raw_v9_message

# Messages


@pytest.mark.parametrize(
    ("length", "stop", "code"),
    [
        (16, 16, []),
        (20, 20, []),
        (19, 19, []),
        (21, 20, ["message-truncated"]),
        (65535, 20, ["message-truncated"]),
        (15, 20, ["message-length"]),
        (0, 20, ["message-length"]),
    ],
)
def test_where_a_message_ends(length, stop, code):
    octets = struct.pack("!HH12x4x", 10, length)
    found, defect = find_message_end(octets)
    assert (found, codes([defect] if defect else [])) == (stop, code)


# Sets


def test_sets_one_after_the_other():
    octets = b"head" + raw_set(2, b"abcd") + raw_set(256) + raw_set(3, b"x")
    spans, defects, stop = walk_sets(octets, 4, len(octets))
    assert [tuple(span) for span in spans] == [(2, 4, 12), (256, 12, 16), (3, 16, 21)]
    assert not defects
    assert stop == len(octets)


def test_set_beyond_the_end_is_cut_there():
    octets = struct.pack("!HH", 256, 100) + b"abc"
    spans, defects, stop = walk_sets(octets, 0, len(octets))
    assert [tuple(span) for span in spans] == [(256, 0, 7)]
    assert codes(defects) == ["set-truncated"]
    assert "length 100, 7 octets are there" in defects[0].text
    assert stop == 7


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_set_shorter_than_its_header_ends_the_walk(length):
    octets = raw_set(256, b"abcd") + struct.pack("!HH", 300, length) + b"rest"
    spans, defects, stop = walk_sets(octets, 0, len(octets))
    assert [span.set_id for span in spans] == [256]
    assert codes(defects) == ["set-length"]
    assert stop == 8


@pytest.mark.parametrize("zeros", range(12))
def test_zero_octets_after_the_last_set_are_no_set(zeros):
    octets = raw_set(256, b"abcd") + bytes(zeros)
    spans, defects, stop = walk_sets(octets, 0, len(octets))
    assert len(spans) == 1
    assert codes(defects) == ([] if not zeros else ["sets-trailing" if zeros < 4 else "set-zero"])
    assert all(f"{zeros} octets" in each.text for each in defects)
    assert stop == 8


def test_nonzero_octets_after_the_last_set():
    octets = raw_set(256, b"abcd") + b"\xde\xad"
    _, (defect,), _ = walk_sets(octets, 0, len(octets))
    assert defect.text == "2 octets follow the last Set: de ad"


@given(st.binary(max_size=200), st.integers(0, 20))
def test_sets_of_any_octets(octets, start):
    start = min(start, len(octets))
    spans, defects, stop = walk_sets(octets, start, len(octets))
    assert start <= stop <= len(octets)
    position = start
    for span in spans:
        assert span.start == position
        assert span.stop - span.start >= 4
        position = span.stop
    assert position == stop
    assert stop == len(octets) or defects


# Templates


def test_ipfix_template_records():
    body = struct.pack("!HHHHHHI", 256, 2, 8, 4, 0x8000 | 77, 65535, 9)
    body += struct.pack("!HH", 257, 0)
    spans, defects, stop = walk_templates(body, options=False, version=10)
    assert not defects
    assert stop == len(body)
    assert [(each.template_id, each.specifiers) for each in spans] == [
        (256, (Specifier(0, 8, 4), Specifier(9, 77, 65535))),
        (257, ()),
    ]
    assert [body[each.start : each.stop] for each in spans] == [body[:16], body[16:]]


def test_ipfix_options_template_records():
    body = struct.pack("!HHHHHHH", 256, 2, 1, 149, 4, 41, 8) + struct.pack("!HH", 257, 0)
    spans, defects, stop = walk_templates(body, options=True, version=10)
    assert not defects
    assert stop == len(body)
    assert [(each.template_id, each.scope_count, len(each.specifiers)) for each in spans] == [
        (256, 1, 2),
        (257, 0, 0),
    ]


def test_the_enterprise_bit_before_number_zero():
    body = struct.pack("!HHHHI", 256, 1, 0x8000 | 5, 4, 0)
    (span,), defects, _ = walk_templates(body, options=False, version=10)
    assert span.enterprise_zero == 5
    assert span.specifiers == (Specifier(0, 5, 4),)
    assert not defects  # a session reports it with the template


def test_v9_field_types_have_no_enterprise_bit():
    body = struct.pack("!HHHHHH", 256, 2, 0x8005, 4, 0xFFFF, 65535)
    (span,), defects, stop = walk_templates(body, options=False, version=9)
    assert span.specifiers == (Specifier(0, 0x8005, 4), Specifier(0, 0xFFFF, 65535))
    assert not defects
    assert stop == len(body)


def test_v9_options_template_records_have_lengths_in_octets():
    body = struct.pack("!HHHHHHHHH", 256, 4, 8, 1, 4, 41, 8, 42, 8)
    (span,), defects, stop = walk_templates(body, options=True, version=9)
    assert (span.scope_count, span.specifiers) == (
        1,
        (Specifier(0, 1, 4), Specifier(0, 41, 8), Specifier(0, 42, 8)),
    )
    assert not defects
    assert stop == len(body)


def test_v9_options_lengths_that_are_no_multiples_of_4():
    body = struct.pack("!HHH", 256, 6, 4) + bytes(range(1, 11))
    (span,), defects, stop = walk_templates(body, options=True, version=9)
    assert codes(defects) == ["options-length"]
    assert span.scope_count == 1
    assert stop == len(body)


@pytest.mark.parametrize(("version", "options"), [(9, False), (9, True), (10, False), (10, True)])
@pytest.mark.parametrize("zeros", range(9))
def test_padding_of_template_sets(version, options, zeros):
    body = struct.pack("!HHHH", 256, 1, 8, 4)
    if options:
        head = (256, 1, 1) if version == 10 else (256, 4, 0)
        body = struct.pack("!HHHHH", *head, 8, 4)
    spans, defects, stop = walk_templates(body + bytes(zeros), options=options, version=version)
    assert len(spans) == 1
    assert not defects
    assert stop == len(body)


@pytest.mark.parametrize(("version", "options"), [(9, False), (9, True), (10, False), (10, True)])
def test_a_template_cut_anywhere(version, options):
    head = struct.pack("!HH", 256, 2)
    if options:
        head = struct.pack("!HHH", 256, *((2, 1) if version == 10 else (4, 4)))
    whole = head + struct.pack("!HHHH", 8, 4, 12, 4)
    before = whole.replace(struct.pack("!H", 256), struct.pack("!H", 400), 1)
    for cut in range(len(whole)):
        body = before + whole[:cut]
        spans, defects, stop = walk_templates(body, options=options, version=version)
        assert [each.template_id for each in spans] == [400]
        assert stop == len(before)
        if cut >= (6 if options and version == 9 else 4):
            assert codes(defects) == ["template-truncated"]


@given(st.binary(max_size=120), st.sampled_from([9, 10]), st.booleans())
def test_templates_of_any_octets(body, version, options):
    spans, _, stop = walk_templates(body, options=options, version=version)
    position = 0
    for span in spans:
        assert span.start == position
        position = span.stop
    assert position == stop <= len(body)


def test_a_template_of_16000_fields():
    body = struct.pack("!HH", 256, 16000) + struct.pack("!HH", 1, 1) * 16000
    for version in (9, 10):
        (span,), defects, stop = walk_templates(body, options=False, version=version)
        assert len(span.specifiers) == 16000
        assert not defects
        assert stop == len(body)


# Recognition on any port


@pytest.mark.parametrize(
    "octets",
    [
        raw_message(raw_set(256, b"abcd")),
        raw_message(raw_set(2, b"abcd"), raw_set(3, b"abcd"), raw_set(65535)),
        raw_v9_message(raw_set(0, b"abcd")),
        raw_v9_message(raw_set(1, b"abcd"), raw_set(256, b"ab")),
        raw_message(raw_set(256, b"abcd")) + bytes(1),
        raw_message(raw_set(256, b"abcd"), bytes(2)),
        raw_message(raw_set(256, b"abcd"), bytes(7)) + bytes(9),
        raw_v9_message(raw_set(256, b"abcd")) + bytes(2),
        raw_v9_message(raw_set(256, b"abcd")) + bytes(40),
    ],
)
def test_octets_recognised_as_export_messages(octets):
    assert find_flaw(octets) == ""


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0",
        b"\0\x09",
        b"\0\x0a",
        raw_message(),
        raw_message()[:15],
        raw_message(raw_set(256, b"abcd")) + b"\1",
        raw_message(raw_set(256, b"abcd"), b"\0\1"),
        raw_message(raw_set(256, b"abcd"), b"\1\0\0\0"),
        raw_message(raw_set(1, b"abcd")),
        raw_message(raw_set(4, b"abcd")),
        raw_message(b"\0\7 is what this other protocol has here"),
        raw_message(raw_set(256, b"abcd"))[:-1],
        b"\0\x05" + bytes(46),
        raw_v9_message(),
        raw_v9_message(raw_set(256, b"abcd")) + b"\0\1",
        raw_v9_message(raw_set(256, b"abcd")) + b"\0\0\0\1",
        raw_v9_message(raw_set(256, b"abcd"))[:-1],
        raw_v9_message(raw_set(2, b"abcd")),
        raw_v9_message(raw_set(255, b"abcd")),
        b"\0\x09" + bytes(30),
        b"\0\x0a" + b"hello, this is no message at all",
    ],
)
def test_octets_not_recognised_as_export_messages(octets):
    assert find_flaw(octets)

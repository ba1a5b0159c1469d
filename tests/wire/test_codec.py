# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the codec of the records of one layout."""

import ipaddress
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.wire.codec import WIDE, RecordCodec, field_offsets, record_codec
from scapy_ipfix.wire.field import prefixed
from scapy_ipfix.wire.template import Template
from tests.strategies import filled, templates

FLOW = Template(
    256, "sourceIPv4Address", "octetDeltaCount[4]", "interfaceName[v]", "flowStartSeconds"
)
FIXED = Template(257, "sourceIPv4Address", "octetDeltaCount[3]", "protocolIdentifier")


# Property: build and dissect are inverse


@given(st.sampled_from([9, 10]).flatmap(filled))
def test_encoded_rows_decode_to_the_same(case):
    template, rows = case.template, case.rows
    octets = template.encode_rows(rows)
    body = b"".join(octets)
    codec = template.codec
    assert codec.rows(body) == rows
    assert codec.dicts(body) == [dict(zip(template.names, row)) for row in rows]
    assert codec.count_records(body) == (len(rows), len(body))
    assert [body[start:stop] for start, stop in codec.record_spans(body)[0]] == octets
    assert [template.encode(row) for row in rows] == octets
    assert [template.encode(row) for row in codec.dicts(body)] == octets


@given(st.sampled_from([9, 10]).flatmap(filled))
def test_field_spans_are_where_the_values_are(case):
    template, rows = case.template, case.rows
    body = b"".join(template.encode_rows(rows))
    found = list(template.codec.field_spans(body))
    assert len(found) == len(rows)
    for spans, row in zip(found, rows):
        for field, (start, stop), value in zip(template.fields, spans, row, strict=True):
            octets = body[start:stop]
            assert field.is_variable or len(octets) == field.length
            if field.is_variable or field.length:
                body_of_one = prefixed(octets) if field.is_variable else octets
                assert record_codec((field,)).values(body_of_one) == [value]


@pytest.mark.parametrize("length, prefix", [(254, 1), (255, 3), (300, 3)])
def test_field_spans_follow_length_octets(length, prefix):
    template = Template(256, "applicationName", "protocolIdentifier")
    body = template.encode(("a" * length, 6)) + template.encode(("b", 17)) + b"\0"
    second = prefix + length + 1
    assert list(template.codec.field_spans(body)) == [
        [(prefix, prefix + length), (prefix + length, prefix + length + 1)],
        [(second + 1, second + 2), (second + 2, second + 3)],
    ]


@given(templates(), st.binary(max_size=300))
def test_field_spans_of_any_octets(template, body):
    spans = template.codec.record_spans(body)[0]
    for (start, stop), fields in zip(spans, template.codec.field_spans(body), strict=True):
        offsets = [start, *(offset for pair in fields for offset in pair), stop]
        assert offsets == sorted(offsets)
        assert offsets[-1] == offsets[-2]


@given(templates(), st.binary(max_size=300))
def test_any_octets_are_rows_and_a_rest(template, body):
    codec = template.codec
    spans, stop = codec.record_spans(body)
    rows = codec.rows(body)
    assert len(rows) == len(spans) == len(codec.dicts(body)) == codec.count_records(body)[0]
    assert codec.count_records(body)[1] == stop == (spans[-1][1] if spans else 0)
    assert all(before[1] == after[0] for before, after in zip(spans, spans[1:]))
    if not codec.is_fixed:
        return
    assert len(body) - stop < codec.minimum


@given(st.sampled_from([9, 10]).flatmap(filled), st.data())
def test_some_fields_in_any_order(case, data):
    template = case.template
    wanted = tuple(data.draw(st.lists(st.integers(0, len(template.fields) - 1), max_size=5)))
    body = b"".join(template.encode_rows(case.rows))
    codec = record_codec(template.fields, wanted)
    if wanted:
        assert codec.rows(body) == [tuple(row[i] for i in wanted) for row in case.rows]
    for position, name in enumerate(template.names):
        lone = record_codec(template.fields, (position,))
        values = [row[position] for row in case.rows]
        assert lone.values(body) == values
        assert lone.dicts(body) == [{name: value} for value in values]


@given(templates(), st.binary(max_size=300), st.data())
def test_one_field_of_any_octets(template, body, data):
    position = data.draw(st.integers(0, len(template.fields) - 1))
    lone = record_codec(template.fields, (position,))
    assert lone.values(body) == [row[position] for row in template.codec.rows(body)]


@given(filled(min_size=1), st.data())
def test_truncated_record_is_not_decoded(case, data):
    body = b"".join(case.template.encode_rows(case.rows))
    *_, last = case.template.encode_rows(case.rows)
    cut = data.draw(st.integers(1, len(last)))
    codec = case.template.codec
    assert codec.rows(body[: len(body) - cut])[: len(case.rows) - 1] == case.rows[:-1]
    records, stop = codec.count_records(body[: len(body) - cut])
    # with variable lengths, the rest may be a shorter record
    assert records == len(case.rows) - 1 or not codec.is_fixed
    assert stop <= len(body) - cut


# Variable length (RFC 7011 section 7)


@pytest.mark.parametrize(
    ("length", "prefix"),
    [(0, "00"), (1, "01"), (254, "fe"), (255, "ff00ff"), (256, "ff0100"), (65535, "ffffff")],
)
def test_both_forms_of_variable_length(length, prefix):
    octets = bytes(length)
    assert prefixed(octets) == bytes.fromhex(prefix) + octets
    template = Template(256, "interfaceName[v]", "protocolIdentifier")
    body = prefixed(octets) + b"\x11"
    assert template.encode((octets.decode(), 17)) == body
    assert template.codec.rows(body) == [(octets.decode(), 17)]


@pytest.mark.parametrize("length", [0, 5, 254])
def test_the_long_form_for_few_octets_is_read_as_well(length):
    template = Template(256, "interfaceName[v]", "protocolIdentifier")
    body = b"\xff" + length.to_bytes(2, "big") + b"a" * length + b"\x11"
    assert template.codec.rows(body) == [("a" * length, 17)]
    assert template.codec.record_spans(body) == ([(0, len(body))], len(body))


@pytest.mark.parametrize("body", ["ff", "ff00", "ff0001", "05616161", "0361616111ff01"])
def test_variable_length_beyond_the_set(body):
    codec = Template(256, "interfaceName[v]", "protocolIdentifier").codec
    body = bytes.fromhex(body)
    rows = codec.rows(body)
    assert len(rows) == len(codec.record_spans(body)[0]) == body.count(b"\x11")


def test_octets_too_many_for_any_prefix():
    template = Template(256, "interfaceName[v]")
    with pytest.raises(ValueError, match="65536 octets, a variable-length field holds 65535"):
        template.encode(("a" * 65536,))


def test_numbers_of_variable_length_are_written_in_their_natural_length():
    template = Template(256, "octetDeltaCount[v]", "sourceIPv4Address[v]")
    octets = template.encode((5, "192.0.2.1"))
    assert octets == b"\x08" + (5).to_bytes(8, "big") + b"\x04\xc0\x00\x02\x01"
    assert template.codec.rows(octets) == [(5, "192.0.2.1")]
    assert template.codec.rows(b"\x02\x01\x00\x04\xc0\x00\x02\x01") == [(256, "192.0.2.1")]


@pytest.mark.parametrize("kind", ["octetDeltaCount[v]", "sourceIPv4Address[v]", "absoluteError[v]"])
def test_numbers_of_invalid_variable_length_encode_again(kind):
    template = Template(256, kind)
    for length in (0, 3, 9, 20):
        body = prefixed(b"\x80" * length)
        ((value,),) = template.codec.rows(body)
        octets = template.encode((value,))
        assert octets[1:] == body[1:] or template.codec.rows(octets) == [(value,)]


# Fields of no octets


def test_fields_of_no_octets():
    template = Template(256, "octetDeltaCount[0]", "protocolIdentifier", "interfaceName[0]")
    assert template.codec.rows(b"\x06\x11") == [(None, 6, ""), (None, 17, "")]
    assert template.encode((None, 6, "")) == b"\x06"
    assert template.encode({"protocolIdentifier": 6}) == b"\x06"
    with pytest.raises(ValueError, match="octetDeltaCount: 5 .*0 octets"):
        template.encode((5, 6, ""))


def test_records_of_no_octets_are_never_counted():
    codec = Template(256, "octetDeltaCount[0]").codec
    assert codec.record_spans(bytes(1000)) == ([], 0)
    assert codec.rows(bytes(1000)) == codec.dicts(bytes(1000)) == []
    assert codec.count_records(bytes(1000)) == (0, 0)
    assert Template(256).codec.rows(b"abc") == []


# Values of users


def test_values_in_every_form():
    when = datetime(2024, 1, 1, tzinfo=timezone.utc)
    expected = bytes.fromhex("c0000201 00000005 04") + b"eth0" + bytes.fromhex("65920080")
    for row in (
        ("192.0.2.1", 5, "eth0", 1704067200),
        (ipaddress.ip_address("192.0.2.1"), "5", b"eth0", when),
        (b"\xc0\0\2\1", "0x5", bytearray(b"eth0"), "2024-01-01T00:00:00Z"),
        (0xC0000201, True + 4, "eth0", 1704067200.9),
    ):
        assert FLOW.encode(row) == expected
        assert FLOW.encode_rows([row, row]) == [expected, expected]


def test_names_of_values():
    template = Template(256, "protocolIdentifier", "tcpControlBits", "protocolIdentifier[3]")
    octets = template.encode(("tcp", "SA", "UDP"))
    assert octets == bytes.fromhex("06 0012 000011")
    assert template.encode_rows([("tcp", "SA", "UDP")] * 2) == [octets, octets]
    with pytest.raises(
        ValueError, match="'tpc' is no value of protocolIdentifier; similar names.*tcp"
    ):
        template.encode(("tpc", 0, 0))


def test_python_values():
    body = FLOW.encode(("192.0.2.1", 5, "eth0", 1704067200))
    (row,) = record_codec(FLOW.fields, None, "python").rows(body)
    assert row == (
        ipaddress.ip_address("192.0.2.1"),
        5,
        "eth0",
        datetime(2024, 1, 1, tzinfo=timezone.utc),
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("192.0.2", 1, 1), "template 257, field sourceIPv4Address: '192.0.2' does not fit"),
        (("1.1.1.1", 1 << 24, 1), "field octetDeltaCount: 16777216 .*0 to 16777215"),
        (("1.1.1.1", 1, 256), "field protocolIdentifier: 256 .*0 to 255"),
        (("1.1.1.1", 1, -1), "field protocolIdentifier: -1 .*0 to 255"),
        (("1.1.1.1", 1.5, 1), "field octetDeltaCount: 1.5 .*give an integer"),
        (("1.1.1.1", 1, None), "field protocolIdentifier: None"),
        (("1.1.1.1", 1), "template 257.*2 values for 3 fields"),
        (("1.1.1.1", 1, 2, 3), "template 257.*4 values for 3 fields"),
        ((), "template 257.*0 values for 3 fields"),
    ],
)
def test_values_that_do_not_fit(row, message):
    with pytest.raises(ValueError, match=message):
        FIXED.encode(row)
    with pytest.raises(ValueError, match=message):
        FIXED.encode_rows([("1.1.1.1", 1, 1), row])
    with pytest.raises(ValueError, match="template 257"):
        FIXED.encode_rows([row])


@pytest.mark.parametrize(
    "row", [("192.0.2", 1, "", 1), ("1.1.1.1", 1 << 32, "", 1), ("1.1.1.1", 1, 5, 1)]
)
def test_values_that_do_not_fit_variable_layouts(row):
    with pytest.raises(ValueError, match="template 256, field"):
        FLOW.encode(row)
    with pytest.raises(ValueError, match="template 256, field"):
        FLOW.encode_rows([row])


def test_names_that_a_template_does_not_have():
    record = {"sourceIPv4Address": "1.1.1.1", "octetDeltaCount": 1, "protocolIdentifier": 1}
    octets = FIXED.encode(record)
    assert FIXED.encode({"IPV4_SRC_ADDR": "1.1.1.1", "IN_BYTES": 1, "PROTOCOL": 1}) == octets
    for name in ("nosuch", "destinationIPv4Address", ""):
        with pytest.raises(ValueError, match=f"template 257 has no field '{name}'; it has source"):
            FIXED.encode({**record, name: 1})
        with pytest.raises(ValueError, match=f"no field '{name}'"):
            FIXED.encode({"sourceIPv4Address": "1.1.1.1", "octetDeltaCount": 1, name: 1})


def test_one_struct_for_fixed_layouts():
    codec = FIXED.codec
    assert codec.is_fixed
    assert codec.minimum == 8
    assert RecordCodec(FLOW.fields).minimum == 4 + 4 + 1 + 4
    assert record_codec(FIXED.fields, None) is FIXED.codec is FIXED.with_id(300).codec


@pytest.mark.parametrize(
    ("empty", "octets", "records"), [(1, 0, 0), (2, 1, 3), (3, 1, 0), (4, 3, 1), (5, 3, 0)]
)
def test_too_many_fields_of_no_octets(empty, octets, records):
    """The limit is one for each octet, and one more: with ten, a message has 600,000 values."""
    fields = ["octetDeltaCount[0]"] * empty + ["protocolIdentifier"] * octets
    codec = Template(256, *fields).codec
    assert codec.count_records(b"\6\7\x08")[0] == records
    assert len(codec.rows(b"\6\7\x08")) == len(codec.dicts(b"\6\7\x08")) == records


@pytest.mark.parametrize(
    "fields",
    [
        ["interfaceName"],
        ["protocolIdentifier", "vlanId", "interfaceName"],
        ["interfaceName", "vlanId"],
        ["vlanId", "interfaceName", "interfaceDescription"],
    ],
)
def test_records_of_variable_length_cut_off_anywhere(fields):
    template = Template(256, *fields)
    rows = [
        tuple(text if field.is_variable else 7 for field in template.fields)
        for text in ("", "eth0", "x" * 254, "x" * 255, "x" * 700, "")
    ]
    octets = [template.encode(row) for row in rows]
    octets[2] = octets[2].replace(b"\xfe", b"\xff\0\xfe")  # the longer form of the length
    body = b"".join(octets)
    ends = [sum(map(len, octets[: each + 1])) for each in range(len(octets))]
    assert list(template.codec.record_ends(body)) == ends
    for stop in range(len(body) + 1):
        whole = sum(end <= stop for end in ends)
        assert template.codec.count_records(body[:stop])[0] == whole
        assert template.codec.rows(body[:stop]) == rows[:whole]
        assert len(template.codec.dicts(body[:stop])) == whole


@pytest.mark.parametrize(
    ("field", "octets", "value"),
    [
        ("interfaceName[1]", b"\xff", "\\xff"),
        ("flowStartNanoseconds[1]", b"\x80", "2036-02-07T06:28:16.000000029Z"),
        ("flowStartNanoseconds[v]", b"\0", "''"),
    ],
)
def test_values_of_an_octet_are_made_once(field, octets, value):
    """A message may hold 65,000 of them."""
    rows = Template(256, field).projection(None, "json").rows(octets * 3)
    assert rows[0][0] == value
    assert rows[0][0] is rows[1][0] is rows[2][0]


def test_no_octets_beside_a_variable_length():
    codec = Template(256, "interfaceName", *["octetDeltaCount[0]"] * 10).codec
    assert codec.rows(bytes(8)) == codec.dicts(bytes(8)) == []
    assert codec.record_spans(bytes(8)) == ([], 0)


def test_wide_layouts_are_not_kept_for_others():
    wide = Template(256, *["octetDeltaCount"] * (WIDE + 1))
    assert wide.codec is wide.codec
    assert wide.codec is not wide.with_id(257).codec
    narrow = Template(256, *["octetDeltaCount"] * WIDE)
    assert narrow.codec is narrow.with_id(257).codec


def test_addresses_are_remembered_once_and_not_by_every_layout():
    layouts = [Template(256, "sourceIPv4Address", f"vlanId[{each}]") for each in (1, 2)]
    first, second = (each.projection(None, "python")._decoders[0] for each in layouts)
    assert first.__self__ is second.__self__
    octets = bytes((192, 0, 2, 1, 7, 7))
    rows = [each.projection(None, "python").rows(octets) for each in layouts]
    address = ipaddress.ip_address("192.0.2.1")
    assert rows == [[(address, 7)], [(address, 0x0707)]]


def test_field_offsets():
    template = Template(300, "sourceIPv4Address", "octetDeltaCount[4]", "protocolIdentifier")
    assert field_offsets(template.fields) == (0, 4, 8, 9)
    assert field_offsets(()) == (0,)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Abstract data types: RFC 7011 6.1, reduced-size encoding 6.2, and unsigned256."""

import ipaddress
import math
import pickle
import struct
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.model.datatypes import DATA_TYPES, VARIABLE, data_type
from tests.strategies import PLAIN_TYPES, lengths, values

UTC = timezone.utc
INTEGERS = [kind for kind in PLAIN_TYPES if kind.is_integer and not kind.is_time]
TIMES = [kind for kind in PLAIN_TYPES if kind.is_time]


def named(kind):
    return getattr(kind, "name", str(kind))


def test_all_types_of_the_registry():
    assert [kind.number for kind in DATA_TYPES.values()] == list(range(24))
    for kind in DATA_TYPES.values():
        assert data_type(kind.name) is data_type(kind.number) is kind
        assert pickle.loads(pickle.dumps(kind)) is kind


@pytest.mark.parametrize("key", ["unsigned24", "", 24, 255])
def test_unknown_type(key):
    with pytest.raises(ValueError, match="no data type"):
        data_type(key)


@given(st.sampled_from(PLAIN_TYPES), st.data())
def test_decode_is_the_inverse_of_encode(kind, data):
    length = data.draw(lengths(kind))
    value = data.draw(values(kind, length))
    octets = kind.encode(value, length)
    if length == VARIABLE:
        assert kind.decode(octets) == value
        return
    codec = kind.codec(length)
    (item,) = struct.unpack("!" + codec.format, octets)
    assert len(octets) == length
    assert (item if codec.decode is None else codec.decode(item)) == value


@given(st.sampled_from(PLAIN_TYPES), st.integers(0, 40), st.data())
def test_any_octets_decode_and_encode_again(kind, length, data):
    octets = data.draw(st.binary(min_size=length, max_size=length))
    codec = kind.codec(length)
    (item,) = struct.unpack("!" + codec.format, octets)
    value = item if codec.decode is None else codec.decode(item)
    if not (isinstance(value, float) and math.isnan(value)):
        assert struct.pack("!" + codec.format, codec.encode(value)) == octets
    assert isinstance(kind.to_text(value), str)
    kind.to_python(value)
    kind.violation(value)
    kind.decode(octets)


# Integers


@pytest.mark.parametrize("kind", INTEGERS, ids=named)
def test_integers_in_every_permitted_length(kind):
    signed = kind.name.startswith("signed")
    for length in range(1, kind.length + 1):
        assert kind.permits(length)
        bits = 8 * length
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        for value in (low, high, 0, 1):
            octets = kind.encode(value, length)
            assert octets == value.to_bytes(length, "big", signed=signed)
            assert kind.decode(octets) == value
        for value in (low - 1, high + 1):
            with pytest.raises(ValueError, match=rf"{value} does not fit {kind}.*{low} to {high}"):
                kind.encode(value, length)
    assert not kind.permits(0)
    assert not kind.permits(kind.length + 1)


def test_reduced_size_keeps_the_sign():
    assert data_type("signed64").encode(-2, 3) == b"\xff\xff\xfe"
    assert data_type("signed64").decode(b"\xff\xff\xfe") == -2


@pytest.mark.parametrize("value", [1.0, "x", "", None, b"\1", [1], datetime(2020, 1, 1)])
def test_values_that_are_no_integer(value):
    with pytest.raises(ValueError, match="does not fit unsigned32"):
        data_type("unsigned32").encode(value)


@pytest.mark.parametrize(("text", "value"), [("17", 17), ("0x11", 17), (" 17 ", 17), ("-0", 0)])
def test_integers_from_text(text, value):
    assert data_type("unsigned8").encode(text) == bytes((value,))


def test_integers_in_lengths_that_are_not_permitted():
    assert data_type("unsigned8").codec(4).decode is None  # struct unpacks it
    assert data_type("unsigned8").codec(3).decode(b"\1\2\3") == 0x010203
    assert data_type("unsigned8").codec(9).decode is None  # octets
    assert data_type("unsigned8").encode(b"\1\2", 9) == b"\1\2" + bytes(7)
    with pytest.raises(ValueError, match="give bytes"):
        data_type("unsigned8").encode(7, 9)


# Floats


def test_floats():
    assert data_type("float32").encode(1.5) == struct.pack("!f", 1.5)
    assert data_type("float64").encode(1.5) == struct.pack("!d", 1.5)
    assert data_type("float64").encode(1.5, 4) == struct.pack("!f", 1.5)
    assert data_type("float64").permits(4)
    assert not data_type("float64").permits(5)
    assert not data_type("float32").permits(8)
    assert data_type("float64").decode(struct.pack("!f", 0.25)) == 0.25


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_floats_that_are_not_finite(value):
    for length in (4, 8):
        assert data_type("float64").decode(data_type("float64").encode(value, length)) == value
    nan = data_type("float32").decode(data_type("float32").encode(math.nan))
    assert math.isnan(nan)


@pytest.mark.parametrize(("value", "length"), [(1e39, 4), (True, 8), ("x", 8), (None, 4)])
def test_values_that_are_no_float(value, length):
    with pytest.raises(ValueError, match="does not fit float64"):
        data_type("float64").encode(value, length)


# Booleans


def test_booleans():
    kind = data_type("boolean")
    assert kind.encode(True) == b"\1"
    assert kind.encode(False) == b"\2"
    assert kind.decode(b"\1") is True
    assert kind.decode(b"\2") is False
    assert kind.encode("true") == b"\1"
    assert kind.encode("False") == b"\2"


@pytest.mark.parametrize("octet", [0, 3, 255])
def test_other_octets_of_a_boolean_stay_integers(octet):
    kind = data_type("boolean")
    value = kind.decode(bytes((octet,)))
    assert value == octet
    assert not isinstance(value, bool)
    assert kind.encode(value) == bytes((octet,))
    assert str(octet) in kind.violation(value)
    assert kind.violation(True) is None


@pytest.mark.parametrize("value", ["yes", 256, -1, None, 1.0])
def test_values_that_are_no_boolean(value):
    with pytest.raises(ValueError, match="does not fit boolean"):
        data_type("boolean").encode(value)


# Addresses


@pytest.mark.parametrize(
    ("name", "text", "octets"),
    [
        ("ipv4Address", "192.0.2.1", bytes((192, 0, 2, 1))),
        ("ipv6Address", "2001:db8::1", bytes.fromhex("20010db8" + "0" * 23 + "1")),
        ("macAddress", "02:00:5e:10:00:01", bytes.fromhex("02005e100001")),
    ],
)
def test_addresses(name, text, octets):
    kind = data_type(name)
    assert kind.encode(text) == kind.encode(octets) == octets
    assert kind.decode(octets) == text
    if name != "macAddress":
        address = ipaddress.ip_address(text)
        assert kind.encode(address) == kind.encode(int(address)) == octets
        assert kind.to_python(text) == address


@pytest.mark.parametrize("text", ["02-00-5E-10-00-01", "2:0:5e:10:0:1"])
def test_notations_of_mac_addresses(text):
    assert data_type("macAddress").encode(text) == bytes.fromhex("02005e100001")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ipv4Address", "192.0.2"),
        ("ipv4Address", "192.0.2.256"),
        ("ipv4Address", "::1"),
        ("ipv4Address", 1 << 32),
        ("ipv4Address", -1),
        ("ipv4Address", b"abc"),
        ("ipv4Address", None),
        ("ipv6Address", "192.0.2.1"),
        ("ipv6Address", 1 << 128),
        ("ipv6Address", "1::2::3"),
        ("macAddress", "02:00:5e:10:00"),
        ("macAddress", "02:00:5e:10:00:0g"),
        ("macAddress", "02:00:5e:10:00:100"),
        ("macAddress", 5),
    ],
)
def test_values_that_are_no_address(name, value):
    with pytest.raises(ValueError, match=f"does not fit {name}"):
        data_type(name).encode(value)


@pytest.mark.parametrize("name", ["ipv4Address", "ipv6Address", "macAddress"])
def test_an_address_of_another_length_is_octets(name):
    kind = data_type(name)
    assert kind.codec(5).decode is None
    assert kind.encode(b"\1\2\3\4\5", 5) == b"\1\2\3\4\5"
    assert not kind.permits(5)


# Strings and octets


def test_strings():
    kind = data_type("string")
    assert kind.encode("Zürich") == "Zürich".encode()
    assert kind.decode("Zürich".encode()) == "Zürich"
    assert kind.codec(8).decode(b"eth0\0\0\0\0") == "eth0"
    assert kind.encode("eth0", 8) == b"eth0\0\0\0\0"
    assert kind.decode(b"eth0\0\0") == "eth0\0\0"  # variable length: no padding
    assert kind.encode(b"\xff\xfe", 4) == b"\xff\xfe\0\0"


def test_a_string_that_is_not_utf8_is_bytes():
    kind = data_type("string")
    assert kind.decode(b"Z\xfcrich") == b"Z\xfcrich"
    assert kind.encode(b"Z\xfcrich") == b"Z\xfcrich"
    assert kind.violation(b"Z\xfcrich") == "string is not UTF-8"
    assert kind.violation("Zürich") is None


def test_control_characters_are_not_printed():
    assert "\x1b" not in data_type("string").to_text("\x1b[2J")


@pytest.mark.parametrize("value", ["toolong", "Züri", b"12345"])
def test_a_string_longer_than_its_field(value):
    with pytest.raises(ValueError, match="octets, the field 4"):
        data_type("string").encode(value, 4)


@pytest.mark.parametrize("value", [5, None, ["a"], 1.0])
def test_values_that_are_no_string(value):
    with pytest.raises(ValueError, match="string|give bytes"):
        data_type("string").encode(value)


def test_octets():
    kind = data_type("octetArray")
    for value in (b"\0\1", bytearray(b"\0\1"), memoryview(b"\0\1")):
        assert kind.encode(value) == b"\0\1"
    assert kind.encode("ab") == b"ab"
    assert kind.decode(b"\0\1") == b"\0\1"
    assert kind.to_text(b"\0\1") == "0001"
    with pytest.raises(ValueError, match="octets, the field 2"):
        kind.encode(b"abc", 2)


# Times

WHEN = datetime(2024, 2, 29, 12, 34, 56, 789012, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "octets", "text"),
    [
        ("dateTimeSeconds", "65e079f0", "2024-02-29T12:34:56Z"),
        ("dateTimeMilliseconds", "0000018df4dc5495", "2024-02-29T12:34:56.789Z"),
        ("dateTimeMicroseconds", "e98af870c9fcb800", "2024-02-29T12:34:56.789012Z"),
        ("dateTimeNanoseconds", "e98af870c9fcb0c1", "2024-02-29T12:34:56.789012000Z"),
    ],
)
def test_times(name, octets, text):
    kind = data_type(name)
    decimals = {"dateTimeSeconds": 10**6, "dateTimeMilliseconds": 1000}.get(name, 1)
    when = WHEN.replace(microsecond=WHEN.microsecond // decimals * decimals)
    assert kind.encode(WHEN).hex() == octets
    value = kind.decode(bytes.fromhex(octets))
    assert isinstance(value, int)
    assert kind.to_text(value) == text
    assert kind.to_python(value) == when
    assert kind.encode(text).hex() == octets
    assert kind.encode(value).hex() == octets
    assert kind.encode(WHEN.replace(tzinfo=None)).hex() == octets
    assert kind.encode(WHEN.astimezone(timezone(timedelta(hours=5)))).hex() == octets


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-29 12:34:56 UTC",
        "2024-02-29T12:34:56.0Z",
        "2024-02-29T14:34:56+02:00",
        "2024-02-29T14:34:56.000000000000+02:00",
        " 2024-02-29T12:34:56 ",
    ],
)
def test_notations_of_times(text):
    assert data_type("dateTimeSeconds").encode(text).hex() == "65e079f0"


def test_unix_time_as_a_float():
    assert data_type("dateTimeMilliseconds").encode(1.5) == (1500).to_bytes(8, "big")


@given(st.integers(0, 999_999_999), st.sampled_from(["9", "6"]))
def test_round_trip_of_the_fraction_of_an_ntp_time(nanoseconds, decimals):
    name = {"9": "dateTimeNanoseconds", "6": "dateTimeMicroseconds"}[decimals]
    text = f"2024-02-29T12:34:56.{nanoseconds:09d}"[: 20 + int(decimals)] + "Z"
    kind = data_type(name)
    assert kind.to_text(kind.decode(kind.encode(text))) == text


@given(st.datetimes(datetime(1968, 1, 20, 3, 14, 8), datetime(2104, 2, 26, 9, 42, 23)))
def test_ntp_times_of_both_eras(when):
    when = when.replace(tzinfo=UTC)
    for name in ("dateTimeMicroseconds", "dateTimeNanoseconds"):
        kind = data_type(name)
        octets = kind.encode(when)
        assert kind.to_python(kind.decode(octets)) == when
        seconds = int((when - datetime(1900, 1, 1, tzinfo=UTC)).total_seconds()) % (1 << 32)
        assert abs(int.from_bytes(octets[:4], "big") - seconds) <= 1
    # RFC 7011 6.1.9: the low 11 bits of the fraction are zero
    assert int.from_bytes(data_type("dateTimeMicroseconds").encode(when), "big") % 2048 == 0


@pytest.mark.parametrize("kind", TIMES, ids=named)
@pytest.mark.parametrize(
    "value",
    [
        "yesterday",
        "2024-13-01",
        "2024-01-01T00:00:00.Z",
        "",
        None,
        math.nan,
        math.inf,
        1e300,
        -1,
        1 << 64,
        datetime(1960, 1, 1),
        b"\0\0\0\0\0\0\0\0",
    ],
    ids=repr,
)
def test_values_that_are_no_time(kind, value):
    with pytest.raises(ValueError, match=f"does not fit {kind}"):
        kind.encode(value)


@pytest.mark.parametrize(
    ("name", "when"),
    [
        ("dateTimeSeconds", datetime(2106, 2, 7, 6, 28, 16)),
        ("dateTimeMicroseconds", datetime(2104, 2, 26, 9, 42, 24)),
        ("dateTimeNanoseconds", datetime(2150, 1, 1)),
        ("dateTimeNanoseconds", datetime(1968, 1, 20, 3, 14, 7)),
    ],
)
def test_times_out_of_range(name, when):
    with pytest.raises(ValueError, match=f"does not fit {name}"):
        data_type(name).encode(when)


@pytest.mark.parametrize("kind", TIMES, ids=named)
def test_every_integer_formats_as_a_time(kind):
    for value in (0, 1, (1 << 8 * kind.length) - 1, 1 << 8 * kind.length - 1):
        assert isinstance(kind.to_text(value), str)
        kind.to_python(value)


# Fields of 0 octets and of variable length


@pytest.mark.parametrize("kind", PLAIN_TYPES, ids=named)
def test_fields_of_0_octets(kind):
    nothing = kind.codec(0)
    assert struct.calcsize("!" + nothing.format) == 0
    value = nothing.decode(b"")
    assert value == (None if kind.length else kind.zero)
    for empty in (value, kind.zero, None):
        assert nothing.encode(empty) == b""
    with pytest.raises(ValueError, match="the field has 0 octets"):
        nothing.encode(7)


@pytest.mark.parametrize("kind", PLAIN_TYPES, ids=named)
def test_variable_lengths_that_are_not_permitted_stay_octets(kind):
    for length in range(40):
        octets = bytes((0x85,)) * length
        value = kind.decode(octets)
        if not kind.permits(length):
            assert value == octets


def test_zero_values_encode():
    for kind in PLAIN_TYPES:
        for length in (VARIABLE, 0, 1, 2, 3, 4, 5, 6, 8, 9, 16, 32, 33):
            octets = kind.encode(kind.zero, length)
            assert len(octets) == (kind.length if length == VARIABLE else length)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Arrays from the octets of many records: every data type in every length."""

import ipaddress
import struct

import pytest

from scapy_ipfix.model.datatypes import DATA_TYPES, VARIABLE, data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.reading import arrays
from scapy_ipfix.reading.arrays import address_text, fixed_arrays, is_address, variable_array
from scapy_ipfix.wire.field import TemplateField

np = pytest.importorskip("numpy")


def field(kind, length, name="x"):
    return TemplateField(InformationElement(name, 1, 0, data_type(kind)), length, name)


def array(kind, *items):
    """Return the array of a field of that type from the octets of each record."""
    items = [bytes.fromhex(item) if isinstance(item, str) else item for item in items]
    fields = (field("octetArray", 3, "a"), field(kind, len(items[0])), field("unsigned8", 1, "b"))
    octets = bytearray(b"".join(b"\xaa\xbb\xcc" + item + b"\xdd" for item in items))
    return fixed_arrays(np, fields, {"x"}, octets, len(items))["x"]


@pytest.mark.parametrize(
    ("kind", "length", "dtype"),
    [
        ("unsigned8", 1, "u1"),
        ("unsigned16", 1, "u2"),
        ("unsigned16", 2, "u2"),
        *(("unsigned32", length, "u4") for length in (1, 2, 3, 4)),
        *(("unsigned64", length, "u8") for length in range(1, 9)),
        ("signed8", 1, "i1"),
        ("signed16", 2, "i2"),
        *(("signed32", length, "i4") for length in (1, 2, 3, 4)),
        *(("signed64", length, "i8") for length in range(1, 9)),
        # longer than the type allows (RFC 7011 6.2): the array is as wide as the field
        ("unsigned8", 2, "u2"),
        ("unsigned32", 5, "u8"),
        ("signed16", 3, "i4"),
    ],
)
def test_integers(kind, length, dtype):
    signed = kind.startswith("signed")
    items = [bytes(length), bytes(length - 1) + b"\x07", b"\x80" * length, b"\xff" * length]
    found = array(kind, *items)
    assert found.dtype == np.dtype(dtype)
    assert found.dtype.isnative
    assert found.tolist() == [int.from_bytes(item, "big", signed=signed) for item in items]


def test_integer_too_long_is_octets():
    found = array("unsigned64", "00" * 8 + "01")
    assert found.dtype == np.dtype("V9")
    assert found.tolist() == [bytes(8) + b"\x01"]


def test_unsigned256():
    found = array("unsigned256", "01" + "00" * 31, "ff" * 32)
    assert found.tolist() == [1 << 248, (1 << 256) - 1]
    assert array("unsigned256", "0102").tolist() == [258]


@pytest.mark.parametrize(
    ("kind", "form", "dtype"),
    [
        ("float32", "f", "f4"),
        ("float64", "d", "f8"),
        ("float64", "f", "f8"),
        ("float32", "d", "f8"),
    ],
)
def test_floats(kind, form, dtype):
    found = array(kind, struct.pack(f"!{form}", 1.5), struct.pack(f"!{form}", float("-inf")))
    assert found.dtype == np.dtype(dtype)
    assert found.tolist() == [1.5, float("-inf")]


def test_float_in_another_length_is_octets():
    assert array("float64", "0102").tolist() == [b"\x01\x02"]


def test_booleans():
    found = array("boolean", "01", "02", "01")
    assert found.dtype == np.dtype(bool)
    assert found.tolist() == [True, False, True]


def test_booleans_with_other_values_are_octets():
    found = array("boolean", "01", "02", "03", "00")
    assert found.dtype == np.dtype("u1")
    assert found.tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(
    ("kind", "item", "unit", "text"),
    [
        ("dateTimeSeconds", "65920080", "ms", "2024-01-01T00:00:00"),
        ("dateTimeSeconds", "ffffffff", "ms", "2106-02-07T06:28:15"),
        ("dateTimeMilliseconds", "0000018cc251f47b", "ms", "2024-01-01T00:00:00.123"),
        ("dateTimeMicroseconds", "e93c7f0080000000", "us", "2024-01-01T00:00:00.5"),
        ("dateTimeNanoseconds", "e93c7f0000000005", "ns", "2024-01-01T00:00:00.000000001"),
        # the next NTP era, from 2036
        ("dateTimeNanoseconds", "0000000000000004", "ns", "2036-02-07T06:28:16"),
        ("dateTimeMicroseconds", "7fffffffffffffff", "us", "2104-02-26T09:42:23.999999"),
        ("dateTimeNanoseconds", "8000000000000000", "ns", "1968-01-20T03:14:08"),
        # a length that the type does not allow: the same number in fewer octets
        ("dateTimeSeconds", "0000000065920080", "ms", "2024-01-01T00:00:00"),
        ("dateTimeMilliseconds", "018cc251f47b", "ms", "2024-01-01T00:00:00.123"),
    ],
)
def test_times(kind, item, unit, text):
    found = array(kind, item, item)
    assert found.dtype == np.dtype(f"M8[{unit}]")
    assert found[1] == np.datetime64(text)


def test_times_beyond_63_bits_are_not_a_time():
    largest = (1 << 63) - 1
    found = array(
        "dateTimeMilliseconds", struct.pack("!Q", largest), struct.pack("!Q", largest + 1)
    )
    assert found.view("i8")[0] == largest
    assert np.isnat(found).tolist() == [False, True]
    found = array("dateTimeSeconds", *(struct.pack("!Q", largest // 1000 + i) for i in (0, 1)))
    assert found.view("i8")[0] == largest // 1000 * 1000
    assert np.isnat(found).tolist() == [False, True]


def test_addresses():
    assert array("ipv4Address", "c0000201").dtype == np.dtype("u4")
    assert array("ipv4Address", "c0000201")[0] == int(ipaddress.IPv4Address("192.0.2.1"))
    assert array("ipv6Address", "20010db8" + "00" * 12).dtype == np.dtype("V16")
    assert array("macAddress", "02005e100001").dtype == np.dtype("V6")
    assert array("ipv4Address", "c00002").tolist() == [b"\xc0\x00\x02"]
    assert array("ipv6Address", "c0000201").tolist() == [b"\xc0\x00\x02\x01"]


def test_octets_keep_their_zeros():
    found = array("octetArray", "00010000", "00000000")
    assert found.dtype == np.dtype("V4")
    assert found.tolist() == [b"\0\1\0\0", bytes(4)]
    assert array("basicList", "ff000000").tolist() == [b"\xff\0\0\0"]


def test_strings():
    found = array("string", b"eth0\0\0", b"\xffth0\0\0", b"\0\0\0\0\0\0", b"w\xc3\xbcrm\0")
    assert found.dtype == np.dtype(object)
    assert found.tolist() == ["eth0", b"\xffth0", "", "würm"]


@pytest.mark.parametrize("kind", DATA_TYPES)
def test_fields_of_no_octets(kind):
    found = fixed_arrays(
        np, (field(kind, 0), field("unsigned8", 1, "b")), {"x"}, bytearray(b"12"), 2
    )
    nothing = {"string": "", "octetArray": b"", "basicList": b""}
    nothing |= dict.fromkeys(("subTemplateList", "subTemplateMultiList"), b"")
    assert found["x"].tolist() == [nothing.get(kind)] * 2


def test_values_of_variable_length():
    items = [b"a\0", b"\xff", b"", b"a\0"]
    assert variable_array(np, field("string", VARIABLE), items).tolist() == [
        "a\0",
        b"\xff",
        "",
        "a\0",
    ]
    assert variable_array(np, field("octetArray", VARIABLE), items).tolist() == items
    found = variable_array(np, field("unsigned32", VARIABLE), [b"\1", b"\1\0", b""])
    assert found.tolist() == [1, 256, b""]


@pytest.mark.parametrize("kind", DATA_TYPES)
def test_arrays_own_their_memory(kind):
    # Arrays are writable, and do not change with the octets that they were made from.
    for length in range(1, 41):
        octets = bytearray(length * 2)
        found = fixed_arrays(np, (field(kind, length),), {"x"}, octets, 2)["x"]
        before = found.tolist()
        octets[:] = b"\x01" * len(octets)
        assert found.tolist() == before
        assert found.flags.writeable
        assert len(found) == 2


@pytest.mark.parametrize("block", [1, 7, 40, 10_000])
def test_rows_are_converted_in_blocks(monkeypatch, block):
    monkeypatch.setattr(arrays, "_BLOCK", block)
    fields = field("unsigned32", 4, "a"), field("unsigned32", 3, "b"), field("string", 2, "c")
    octets = bytearray(b"".join(struct.pack("!IHB2s", i, 0, i, b"ab") for i in range(11)))
    found = fixed_arrays(np, fields, ("a", "b", "c"), octets, 11)
    assert found["a"].tolist() == found["b"].tolist() == list(range(11))
    assert found["c"].tolist() == ["ab"] * 11


def test_no_rows():
    assert fixed_arrays(np, (field("unsigned64", 5),), {"x"}, bytearray(), 0)["x"].tolist() == []


# Text of addresses


def test_text_of_addresses():
    found = address_text(array("ipv4Address", "c0000201", "00000000", "c0000201"))
    assert found.dtype == np.dtype(object)
    assert found.tolist() == ["192.0.2.1", "0.0.0.0", "192.0.2.1"]
    assert address_text(array("ipv6Address", "20010db8" + "00" * 12)).tolist() == ["2001:db8::"]
    assert address_text(array("macAddress", "02005e100001")).tolist() == ["02:00:5e:10:00:01"]


def test_text_of_one_address():
    assert address_text(array("ipv4Address", "c0000201")[0]) == "192.0.2.1"
    assert address_text(array("ipv6Address", "00" * 15 + "01")[0]) == "::1"


def test_text_of_any_shape():
    grid = np.arange(4, dtype="u4").reshape(2, 2)
    assert address_text(grid.T).tolist() == [["0.0.0.0", "0.0.0.2"], ["0.0.0.1", "0.0.0.3"]]
    assert address_text(grid[:, 1]).tolist() == ["0.0.0.1", "0.0.0.3"]
    assert address_text(grid[:0]).tolist() == []


@pytest.mark.parametrize("dtype", ["u8", "i4", "f4", "V5", "S6", "O", "M8[ms]"])
def test_text_of_an_array_that_is_not_addresses(dtype):
    with pytest.raises(ValueError, match=r"address_text takes uint32 \(IPv4\), V16"):
        address_text(np.zeros(2, dtype))


def test_is_address():
    assert is_address(field("ipv4Address", 4))
    assert is_address(field("macAddress", 6))
    assert not is_address(field("ipv4Address", 16))
    assert not is_address(field("ipv6Address", VARIABLE))
    assert not is_address(field("unsigned32", 4))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Octets of many records to numpy arrays, a field at a time.

What comes of a field depends on its data type, not on how many octets an exporter spends on
it (RFC 7011 6.2): a counter is ``uint64`` though it came in four. Octets in a length that the
type cannot be read in are left as they are (``V``).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, NamedTuple

from scapy_ipfix.codec import TemplateField
from scapy_ipfix.datatypes import data_type
from scapy_ipfix.extras import extra

#: Types that are addresses, by the kind and size of the array items that hold one.
_ADDRESSES = {("u", 4): "ipv4Address", ("V", 16): "ipv6Address", ("V", 6): "macAddress"}
_ADDRESS_LENGTHS = {name: size for (_, size), name in _ADDRESSES.items()}
_FLOATS = ("float32", "float64")
#: Milliseconds in what the wire counts.
_MILLISECONDS = {"dateTimeSeconds": 1000, "dateTimeMilliseconds": 1}
#: What is left of a second in NTP time: unit, and how many of these a second has.
_NTP_UNITS = {"dateTimeMicroseconds": ("us", 1_000_000), "dateTimeNanoseconds": ("ns", 10**9)}
_LARGEST = (1 << 63) - 1


def numpy(purpose: str) -> Any:
    """The module numpy; raises MissingPackage, with what it is needed for."""
    return extra("numpy", purpose, "columns")


def is_address(field: TemplateField) -> bool:
    """Whether the array of a field is one that :func:`address_text` takes."""
    return _ADDRESS_LENGTHS.get(field.data_type.name) == field.length


def address_text(addresses: Any) -> Any:
    """Addresses as text: IPv4 from ``uint32``, IPv6 from ``V16``, MAC from ``V6``.

    Gives an object array of ``str``, or one ``str`` for one address. Raises ValueError for an
    array of anything else, MissingPackage.
    """
    np = numpy("address_text")
    array = np.asarray(addresses)
    size = array.dtype.itemsize
    name = _ADDRESSES.get((array.dtype.kind, size))
    if name is None:
        raise ValueError(
            f"address_text takes uint32 (IPv4), V16 (IPv6) or V6 (MAC), not {array.dtype}"
        )
    if name == "ipv4Address":
        array = array.astype(">u4")
    decode = data_type(name).codec(size).decode
    assert decode is not None
    octets = np.ascontiguousarray(array).reshape(-1).view(f"V{size}").tolist()
    return objects(np, map(decode, octets), len(octets)).reshape(array.shape)[()]


def objects(np: Any, values: Iterable[Any], count: int) -> Any:
    """An array of ``count`` Python objects."""
    array = np.empty(count, object)
    array[:] = list(values)
    return array


def variable_array(np: Any, field: TemplateField, items: Sequence[bytes]) -> Any:
    """The values of a variable-length field from the octets of each: Python objects."""
    return objects(np, _decoded(field.data_type.decode, items), len(items))


def fixed_arrays(
    np: Any, fields: Sequence[TemplateField], names: Container[str], octets: bytearray, count: int
) -> dict[str, Any]:
    """The fields of these names, from the octets of ``count`` rows of fixed-length ``fields``."""
    size = sum(field.length for field in fields)
    arrays = {}
    start = 0
    for field in fields:
        if field.name in names:
            if field.length:
                arrays[field.name] = _array(field, _Items(np, octets, start, size, count))
            else:
                nothing = field.data_type.decode(b"") if field.data_type.length == 0 else None
                arrays[field.name] = objects(np, [nothing] * count, count)
        start += field.length
    return arrays


class _Items(NamedTuple):
    """One field in every row: where the first begins, and how far it is to the next."""

    np: Any
    octets: bytearray
    start: int
    step: int
    records: int

    def take(self, form: str) -> Any:
        """A view of them as items of a numpy type."""
        return self.np.ndarray(self.records, form, self.octets, self.start, (self.step,))


def _array(field: TemplateField, items: _Items) -> Any:
    kind, length = field.data_type, field.length
    if kind.is_time and length <= 8:
        ticks = _integers(items, length, 8, signed=False)
        unit = _NTP_UNITS.get(kind.name)
        if unit is None:
            return _unix_times(items.np, ticks, _MILLISECONDS[kind.name])
        return _ntp_times(items.np, ticks, *unit)
    if kind.is_integer and length <= 8 and kind.length <= 8:
        width = max(kind.length, 1 << (length - 1).bit_length())
        return _integers(items, length, width, signed=kind.name.startswith("signed"))
    if kind.name in _FLOATS and length in (4, 8):
        return items.take(f">f{length}").astype(f"f{max(kind.length, length)}")
    if kind.name == "boolean" and length == 1:
        return _truths(items.take("u1"))
    if kind.name == "ipv4Address" and length == 4:
        return items.take(">u4").astype("u4")
    octets = items.take(f"V{length}")
    if kind.is_integer and length <= kind.length:
        return objects(items.np, _decoded(kind.decode, octets.tolist()), items.records)
    if kind.name == "string":
        decode = kind.codec(length).decode
        assert decode is not None
        return objects(items.np, _decoded(decode, octets.tolist()), items.records)
    return octets.copy()


def _decoded(decode: Callable[[Any], Any], items: Sequence[bytes]) -> list[Any]:
    """Each item decoded; equal ones once, since what is no number seldom differs much."""
    values = {item: decode(item) for item in set(items)}
    return [values[item] for item in items]


def _integers(items: _Items, length: int, width: int, *, signed: bool) -> Any:
    """Integers of ``length`` octets in ``width``."""
    np = items.np
    sign = "i" if signed else "u"
    if length in (1, 2, 4, 8):
        return items.take(f">{sign}{length}").astype(f"{sign}{width}")
    octets = np.ascontiguousarray(items.take(f"V{length}")).view("u1").reshape(-1, length)
    wide = np.zeros((items.records, width), "u1")
    if signed:
        wide[octets[:, 0] >= 128] = 255
    wide[:, width - length :] = octets
    return wide.view(f">{sign}{width}")[:, 0].astype(f"{sign}{width}")


def _unix_times(np: Any, ticks: Any, milliseconds: int) -> Any:
    """Times from what is counted since 1970; NaT for those that 63 bits cannot hold."""
    times = (ticks * np.uint64(milliseconds)).view("M8[ms]")
    times[ticks > np.uint64(_LARGEST // milliseconds)] = "NaT"
    return times


def _ntp_times(np: Any, ticks: Any, unit: str, second: int) -> Any:
    """Times from NTP timestamps: of two eras the one that ``datatypes`` takes them for."""
    seconds = ticks >> np.uint64(32)
    seconds += (seconds < np.uint64(1 << 31)).astype("u8") << np.uint64(32)
    fraction = (ticks & np.uint64(0xFFFFFFFF)) * np.uint64(second) >> np.uint64(32)
    begin = np.datetime64("1900-01-01", "s")
    return begin + seconds.view("m8[s]") + fraction.view(f"m8[{unit}]")


def _truths(octets: Any) -> Any:
    """RFC 7011 6.1.5: 1 is true, 2 is false. With anything else among them, the octets."""
    true = octets == 1
    return true if bool((true | (octets == 2)).all()) else octets.copy()

# SPDX-License-Identifier: GPL-2.0-or-later
"""Conversion of the octets of many records to numpy arrays, a field at a time.

The type of an array depends on the data type of the field, not on its length on the wire
(RFC 7011 6.2): a counter is ``uint64`` also if it is encoded in four octets. A field of a
length that its type does not allow stays octets (``V``).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any

from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.times import NTPTime
from scapy_ipfix.reading.extras import extra
from scapy_ipfix.wire.codec import field_offsets
from scapy_ipfix.wire.field import TemplateField

#: Data types of addresses, by kind and size of the array items.
_ADDRESSES = {("u", 4): "ipv4Address", ("V", 16): "ipv6Address", ("V", 6): "macAddress"}
_ADDRESS_LENGTHS = {name: size for (_, size), name in _ADDRESSES.items()}
_FLOATS = ("float32", "float64")
#: Milliseconds per unit of a time.
_MILLISECONDS = {"dateTimeSeconds": 1000, "dateTimeMilliseconds": 1}
#: Resolution of times in NTP format: numpy's unit, and units per second.
_NTP_UNITS = {"dateTimeMicroseconds": ("us", 1_000_000), "dateTimeNanoseconds": ("ns", 10**9)}
_LARGEST = (1 << 63) - 1
#: Octets of records that are converted at a time.
_BLOCK = 1 << 18


def numpy(purpose: str) -> Any:
    """Return the module numpy; raises MissingPackage with ``purpose``."""
    return extra("numpy", purpose, "columns")


def is_address(field: TemplateField) -> bool:
    """Return True if :func:`address_text` accepts the array of a field."""
    return _ADDRESS_LENGTHS.get(field.data_type.name) == field.length


def address_text(addresses: Any) -> Any:
    """Return addresses as text: IPv4 from ``uint32``, IPv6 from ``V16``, MAC from ``V6``.

    ``addresses`` is an array, which gives an object array of ``str``, or one item, which gives
    one ``str``. Raises ValueError for items of another type, MissingPackage without numpy.
    """
    np = numpy("address_text")
    array = np.asarray(addresses)
    size = array.dtype.itemsize
    name = _ADDRESSES.get((array.dtype.kind, size))
    if name is None:
        raise ValueError(
            f"address_text takes uint32 (IPv4), V16 (IPv6) or V6 (MAC), not {array.dtype}"
        )
    decode = data_type(name).codec(size).decode
    assert decode is not None
    items = array.reshape(-1).tolist()
    return objects(np, map(decode, items), len(items)).reshape(array.shape)[()]


def objects(np: Any, values: Iterable[Any], count: int) -> Any:
    """Return an array of ``count`` Python objects."""
    array = np.empty(count, object)
    array[:] = list(values)
    return array


def variable_array(np: Any, field: TemplateField, items: Sequence[bytes]) -> Any:
    """Return the values of a variable-length field as Python objects."""
    return objects(np, _decoded(field.data_type.decode, items), len(items))


def fixed_arrays(
    np: Any, fields: Sequence[TemplateField], names: Container[str], octets: bytearray, count: int
) -> dict[str, Any]:
    """Return arrays of the named fields from ``count`` records of fixed-length ``fields``."""
    *offsets, size = field_offsets(fields)
    selected = [(each, start) for each, start in zip(fields, offsets) if each.name in names]
    items = {}
    copies = []
    for field, start in selected:
        wire, own = _forms(field)
        items[field.name] = np.empty(count, own)
        if field.length:
            copies.append((items[field.name], np.ndarray(count, wire, octets, start, (size,))))
    # All fields of a block before the next block, so that its rows stay in the CPU cache.
    step = max(_BLOCK // max(size, 1), 1)
    for row in range(0, count, step):
        rows = slice(row, row + step)
        for own, wire in copies:
            own[rows] = wire[rows]
    return {field.name: _values(np, field, items[field.name]) for field, _ in selected}


def _forms(field: TemplateField) -> tuple[str, str]:
    """Return the numpy types of a field's items on the wire and in the array."""
    kind, length = field.data_type, field.length
    if length in (1, 2, 4, 8):
        if _is_number(field):
            sign = "i" if kind.name.startswith("signed") else "u"
            return f">{sign}{length}", f"{sign}{_width(field)}"
        if kind.name in _FLOATS and length >= 4:
            return f">f{length}", f"f{max(length, kind.length)}"
        if kind.name == "ipv4Address" and length == 4:
            return ">u4", "u4"
        if kind.name == "boolean" and length == 1:
            return "u1", "u1"
    return f"V{length}", f"V{length}"


def _is_number(field: TemplateField) -> bool:
    """Return True for integers and times for which numpy has a type."""
    return field.data_type.is_integer and 1 <= field.length <= 8 and field.data_type.length <= 8


def _width(field: TemplateField) -> int:
    """Return the octets of such an integer in an array."""
    if field.data_type.is_time:
        return 8
    return max(field.data_type.length, 1 << (field.length - 1).bit_length())


def _values(np: Any, field: TemplateField, items: Any) -> Any:
    """Return the values of copied items."""
    kind = field.data_type
    if not field.length:
        return objects(
            np, [kind.decode(b"") if kind.length == 0 else None] * len(items), len(items)
        )
    if _is_number(field):
        if items.dtype.kind == "V":
            items = _widened(np, items, _width(field), kind.name.startswith("signed"))
        if kind.name in _MILLISECONDS:
            return _unix_times(np, items, _MILLISECONDS[kind.name])
        if isinstance(kind, NTPTime):
            return _ntp_times(np, kind, items)
        return items
    if kind.name == "boolean" and field.length == 1:
        return _booleans(items)
    if kind.is_integer and field.length <= kind.length:
        return objects(np, _decoded(kind.decode, items.tolist()), len(items))
    if kind.name == "string":
        decode = kind.codec(field.length).decode
        assert decode is not None
        return objects(np, _decoded(decode, items.tolist()), len(items))
    return items


def _widened(np: Any, items: Any, width: int, signed: bool) -> Any:
    """Return integers of 3, 5, 6 or 7 octets in ``width`` octets."""
    length = items.dtype.itemsize
    octets = items.view("u1").reshape(-1, length)
    wide = np.zeros((len(items), width), "u1")
    if signed:
        wide[octets[:, 0] >= 128] = 255
    wide[:, width - length :] = octets
    sign = "i" if signed else "u"
    return wide.view(f">{sign}{width}")[:, 0].astype(f"{sign}{width}")


def _decoded(decode: Callable[[Any], Any], items: Sequence[bytes]) -> list[Any]:
    """Return each item decoded, equal ones once: strings and octets repeat."""
    values = {item: decode(item) for item in set(items)}
    return [values[item] for item in items]


def _unix_times(np: Any, ticks: Any, milliseconds: int) -> Any:
    """Return times from units since 1970; NaT for those beyond 63 bits."""
    beyond = ticks > np.uint64(_LARGEST // milliseconds)
    if milliseconds != 1:
        ticks *= np.uint64(milliseconds)
    times = ticks.view("M8[ms]")
    times[beyond] = "NaT"
    return times


def _ntp_times(np: Any, kind: NTPTime, ticks: Any) -> Any:
    """Return times from NTP timestamps, of the epoch and era of their type; NaT for 0."""
    unit, second = _NTP_UNITS[kind.name]
    seconds = ticks >> np.uint64(32)
    if kind.epoch == 1900:
        seconds += (seconds < np.uint64(1 << 31)).astype("u8") << np.uint64(32)
    fraction = (ticks & np.uint64(0xFFFFFFFF)) * np.uint64(second) >> np.uint64(32)
    begin = np.datetime64(f"{kind.epoch}-01-01", "s")
    times = begin + seconds.view("m8[s]") + fraction.view(f"m8[{unit}]")
    times[ticks == 0] = "NaT"
    return times


def _booleans(octets: Any) -> Any:
    """Return booleans (RFC 7011 6.1.5: 1 true, 2 false); the octets if any has another value."""
    true = octets == 1
    return true if bool((true | (octets == 2)).all()) else octets

# SPDX-License-Identifier: GPL-2.0-or-later
"""Scapy Fields of messages, Sets and records.

:class:`ElementField` and its subclasses, one for each abstract data type (RFC 7011 6.1), leave
encoding to :mod:`scapy_ipfix.model.datatypes`. :class:`LazyListField` holds Sets, records and
lists.
"""

from __future__ import annotations

import struct
import time
from datetime import datetime
from typing import Any

from scapy.fields import Field, FlagValue, IntField, PacketListField, RawVal, ShortField
from scapy.packet import Packet
from scapy.volatile import (
    RandBin,
    RandChoice,
    RandFloat,
    RandIP,
    RandIP6,
    RandMAC,
    RandNum,
    RandString,
    VolatileValue,
)

from scapy_ipfix.layers.lazy import LazyPacketList, PacketTable, build_packets, raw
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.wire.display import value_text
from scapy_ipfix.wire.field import TemplateField, prefixed
from scapy_ipfix.wire.layout import STRUCTURED
from scapy_ipfix.wire.structured import ListContext, encode_list, referenced_templates
from scapy_ipfix.wire.template import Template

#: Octets and characters of the longest value that show() prints whole; the wire has 64 KiB.
SHOWN = 200
_seconds = data_type("dateTimeSeconds")
#: The packet class of each kind of list. :mod:`scapy_ipfix.layers.structured` fills it: lists
#: hold records, which have the fields of this module.
LIST_PACKETS: dict[str, Any] = {}


class UTCField(IntField):
    """Seconds since 1970, shown as UTC; None is the time of building. Takes ISO text too."""

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        if isinstance(x, (str, float, datetime)):
            return int.from_bytes(_seconds.encode(x), "big")
        return x

    def i2m(self, pkt: Packet | None, x: Any) -> int:
        return int(time.time()) & 0xFFFFFFFF if x is None else x

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        return _seconds.to_text(x) if isinstance(x, int) else str(x)


class LengthField(ShortField):
    """Length or count that the packet computes when None."""

    def i2m(self, pkt: Packet | None, x: Any) -> int:
        return 0 if x is None else x


class ElementField(Field[Any, Any]):
    """Field of a Data Record: an Information Element of a given length."""

    __slots__ = ["field"]

    def __init__(self, name: str, field: TemplateField) -> None:
        self.field = field
        super().__init__(name, None, "B")
        self.default = field.zero
        self.sz = 0 if field.is_variable else field.length

    def __get__(self, record: Packet | None, owner: type[Packet] | None = None) -> Any:
        """Return the value in a record, or of the class the Field itself."""
        if record is None:
            return self
        try:
            return record.fields[self.name]
        except KeyError:
            return record.getfieldval(self.name)

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        """Return a value as the record holds it. Raises ValueError with the limit if it is out."""
        if x is None or isinstance(x, (VolatileValue, RawVal)):
            return x
        if isinstance(x, FlagValue):
            x = int(x)
        try:
            return self.field.normalise(x)
        except ValueError as problem:
            raise self._value_error(pkt, problem) from None

    def _value_error(self, pkt: Packet | None, problem: ValueError) -> ValueError:
        """Return an error that names the template and the field of a value."""
        template = getattr(pkt, "template", None)
        where = f"template {template.id}, " if template is not None else ""
        return ValueError(f"{where}field {self.name}: {problem}")

    def i2h(self, pkt: Packet | None, x: Any) -> Any:
        return x

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        if x is None:
            return "None"
        named = value_text(self.field, x)
        if named is not None:
            return named
        return self._text(x)

    def _text(self, x: Any) -> str:
        if isinstance(x, (RawVal, VolatileValue)):
            return repr(x)
        if isinstance(x, bytes):
            return repr(x) if len(x) <= SHOWN else f"{x[:SHOWN]!r}... ({len(x)} octets)"
        return self.field.data_type.to_text(x)

    def addfield(self, pkt: Packet, s: bytes, val: Any) -> bytes:
        if isinstance(val, RawVal):
            return s + bytes(val)
        field = self.field
        item = field.encode(field.zero if val is None else val)
        if field.is_variable:
            return s + prefixed(item)
        return s + struct.pack("!" + field.data_type.codec(field.length).format, item)

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, Any]:
        length, start = self.field.length, 0
        if self.field.is_variable:
            length, start = s[0], 1
            if length == 255:
                length, start = int.from_bytes(s[1:3], "big"), 3
            return s[start + length :], self.field.data_type.decode(s[start : start + length])
        codec = self.field.data_type.codec(length)
        (item,) = struct.unpack("!" + codec.format, s[:length])
        return s[length:], item if codec.decode is None else codec.decode(item)

    def randval(self) -> Any:
        return RandBin(self._random_length())

    @property
    def _typed_length(self) -> int:
        """The octets of a value: the natural length of the type in a variable-length field."""
        return self.field.data_type.length if self.field.is_variable else self.field.length

    def _random_length(self) -> Any:
        return RandNum(0, 300) if self.field.is_variable else self.field.length


class OctetArrayField(ElementField):
    """octetArray, and elements of unknown type: bytes."""


class IntegerField(ElementField):
    """unsigned8 to unsigned256 and signed8 to signed64, in any number of octets."""

    def randval(self) -> Any:
        length = self._typed_length
        if not 0 < length <= max(8, self.field.data_type.length):
            return super().randval()
        bits = 8 * length
        if self.field.data_type.name.startswith("signed"):
            return RandNum(-(1 << bits - 1), (1 << bits - 1) - 1)
        return RandNum(0, (1 << bits) - 1)


class FlagsElementField(IntegerField):
    """Integer with named bits, a FlagValue as of Scapy's FlagsField."""

    __slots__ = ["_labels"]

    def __init__(self, name: str, field: TemplateField) -> None:
        self._labels: Any = None
        super().__init__(name, field)

    def __get__(self, record: Packet | None, owner: type[Packet] | None = None) -> Any:
        value = super().__get__(record, owner)
        if not isinstance(value, int):
            return value
        if self._labels is None:
            self._labels = self._named_bits()
        return FlagValue(value, self._labels)

    def _named_bits(self) -> str | list[str]:
        """Return the names for FlagValue: text if each is a letter, else a list."""
        values = self.field.element.values
        names = values.names if values is not None else {}
        bits = range(8 * self._typed_length)
        if all(len(name) == 1 for name in names.values()):
            return "".join(names.get(bit, "?") for bit in bits)
        return [names.get(bit, str(bit)) for bit in bits]


class FloatField(ElementField):
    """float32 and float64."""

    def randval(self) -> Any:
        return RandFloat(-1e9, 1e9) if self._typed_length in (4, 8) else super().randval()


class BooleanField(ElementField):
    """boolean: True and False, or the octet where it is neither 1 nor 2."""

    def randval(self) -> Any:
        return RandChoice(True, False) if self._typed_length == 1 else super().randval()


class MACAddressField(ElementField):
    """macAddress: text such as 02:00:5e:10:00:01."""

    def randval(self) -> Any:
        return RandMAC() if self._typed_length == 6 else super().randval()


class StringField(ElementField):
    """string: str, or bytes where they are not UTF-8."""

    def randval(self) -> Any:
        return RandString(self._random_length())


class DateTimeField(IntegerField):
    """Times: the integer on the wire, shown as UTC. Takes ``datetime`` and ISO text too."""


class IPv4AddressField(ElementField):
    """ipv4Address: text."""

    def randval(self) -> Any:
        return RandIP() if self._typed_length == 4 else super().randval()


class IPv6AddressField(ElementField):
    """ipv6Address: text."""

    def randval(self) -> Any:
        return RandIP6() if self._typed_length == 16 else super().randval()


class StructuredField(ElementField):
    """basicList, subTemplateList and subTemplateMultiList (RFC 6313): a packet in a record.

    Takes a list packet, octets, or a value for :func:`~scapy_ipfix.wire.structured.encode_list`.
    """

    holds_packets = 1

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        if x is None or isinstance(x, (VolatileValue, RawVal, Packet)):
            return x
        known = {each.id: each for each in referenced_templates(x)}
        try:
            octets = encode_list(self.field.data_type.name, x)
        except ValueError as problem:
            raise self._value_error(pkt, problem) from None
        return self.list_packet(octets, ListContext(known.get), pkt)

    def list_packet(self, octets: bytes, context: ListContext, parent: Packet | None) -> Any:
        """Return the packet of a list; empty octets, and those nested too deep, stay octets."""
        inner = context.nested()
        if not octets or inner is None:
            return octets
        packet = LIST_PACKETS[self.field.data_type.name](octets, context=inner)
        packet.add_parent(parent)
        return packet

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        return repr(x)

    def addfield(self, pkt: Packet, s: bytes, val: Any) -> bytes:
        return super().addfield(pkt, s, bytes(val) if isinstance(val, Packet) else val)

    def randval(self) -> Any:
        return None


_FIELD_CLASSES: dict[str, type[ElementField]] = {
    "float32": FloatField,
    "float64": FloatField,
    "boolean": BooleanField,
    "macAddress": MACAddressField,
    "string": StringField,
    "ipv4Address": IPv4AddressField,
    "ipv6Address": IPv6AddressField,
}


def element_field(name: str, field: TemplateField) -> ElementField:
    """Return the Scapy Field for a field of a template, named ``name``."""
    kind = field.data_type
    if kind.name in STRUCTURED:
        return StructuredField(name, field)
    if kind.is_time:
        return DateTimeField(name, field)
    if kind.is_integer:
        values = field.element.values
        if values is not None and values.kind == "flags":
            return FlagsElementField(name, field)
        return IntegerField(name, field)
    return _FIELD_CLASSES.get(kind.name, OctetArrayField)(name, field)


class TemplateReferenceField(Field[Any, Any]):
    """Template of a Data Set; not on the wire."""

    def __init__(self, name: str) -> None:
        super().__init__(name, None, "B")
        self.sz = 0

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        if x is None or isinstance(x, Template):
            return x
        raise ValueError(f"{self.name}: {x!r} is not a Template")

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        return "None (unknown)" if x is None else str(x)

    def addfield(self, pkt: Packet, s: bytes, val: Any) -> bytes:
        return s

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, Any]:
        return s, None

    def randval(self) -> Any:
        return None


class LazyListField(PacketListField):
    """List of packets, made from octets on first access.

    The owner's class dissects it to a :class:`LazyPacketList`. It is a PacketListField, as
    fuzz(), show() and getlayer() expect.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, [], Packet)

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        if isinstance(x, LazyPacketList):
            return x
        items = list(x) if isinstance(x, (list, tuple)) else [x]
        packets = self.to_packets(pkt, items)
        if not isinstance(packets, LazyPacketList):
            for each in packets:
                if isinstance(each, Packet):
                    each.add_parent(pkt)
        return packets

    def to_packets(self, pkt: Packet | None, items: list[Any]) -> Any:
        """Return the packets of a user's list; octets become Raw.

        Raises ValueError for an item that cannot become a packet.
        """
        packets = PacketTable()
        for item in items:
            if isinstance(item, (bytes, bytearray)):
                item = raw(bytes(item))
            elif not isinstance(item, Packet):
                raise ValueError(f"{self.name}: {item!r} is neither a packet nor bytes")
            packets.append(item)
        return packets

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        if isinstance(x, LazyPacketList):
            x.load(pkt)
        return repr(list(x or ()))

    def addfield(self, pkt: Packet, s: bytes, val: Any) -> bytes:
        if getattr(val, "octets", None) is None and val:
            # Items appended to the list since then may be no packets.
            val = [
                packet
                for each in val
                for packet in (
                    (each,) if isinstance(each, Packet) else self.to_packets(pkt, [each])
                )
            ]
        return s + build_packets(val)

    def do_copy(self, x: Any) -> Any:
        if isinstance(x, LazyPacketList):
            return x.fresh()
        return PacketTable(each.copy() if isinstance(each, Packet) else each for each in x or ())

    def i2len(self, pkt: Packet, x: Any) -> int:
        return len(build_packets(x))


class OctetsField(Field[bytes, bytes]):
    """Octets up to the end: padding, or undecoded octets."""

    def __init__(self, name: str, default: bytes | None = b"") -> None:
        super().__init__(name, default, "B")

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        return x.encode() if isinstance(x, str) else x

    def addfield(self, pkt: Packet, s: bytes, val: bytes | None) -> bytes:
        return s + bytes(val or b"")

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, bytes]:
        return b"", s

    def i2len(self, pkt: Packet, x: Any) -> int:
        return len(x or b"")

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        if not x:
            return "''"
        if x.count(0) == len(x):
            return f"{len(x)} zero octets"
        text = x[:SHOWN].hex(" ")
        return text if len(x) <= SHOWN else f"{text} ... ({len(x)} octets)"

    def randval(self) -> Any:
        return None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that keep their octets and decode when they are looked at.

Most messages of a capture are never looked into. A :class:`LazyPacketList` stands in a
packet's ``fields`` as any list does and makes its packets at the first look; a
:class:`LazyPacket` is a Scapy Packet whose ``bytes()`` come from the octets as long as nobody
looked, and from what is in the list afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, SupportsIndex

from scapy.base_classes import Gen
from scapy.config import conf
from scapy.packet import Packet
from scapy.volatile import VolatileValue

from scapy_ipfix.wire.diagnostics import Defect

#: Makes the packets of a list: called with the packet that owns the list, if that is known.
Loader = Callable[[Packet | None], list[Packet]]


class LazyPacketList(list[Packet]):
    """A list of packets that come to be when the list is first read.

    ``octets`` are what the packets dissect from and build to; ``count`` how many there will
    be, None if that is not known yet.
    """

    def __init__(self, loader: Loader, octets: bytes, count: int | None = None) -> None:
        super().__init__()
        self._loader: Loader | None = loader
        self._count = count
        self._octets: bytes | None = octets

    @property
    def octets(self) -> bytes | None:
        """The octets, as long as nobody has looked (and perhaps changed) what they say."""
        return self._octets

    def load(self, owner: Packet | None = None) -> None:
        """Makes the packets, with ``owner`` as their parent."""
        loader = self._loader
        if loader is None:
            return
        self._loader = None
        self._octets = None
        super().extend(loader(owner))

    def fresh(self) -> LazyPacketList | list[Packet]:
        """A copy; of what nobody has looked at, without looking."""
        if self._loader is not None and self._octets is not None:
            return LazyPacketList(self._loader, self._octets, self._count)
        return [each.copy() if isinstance(each, Packet) else each for each in self]

    def __len__(self) -> int:
        if self._loader is not None:
            if self._count is not None:
                return self._count
            self.load()
        return super().__len__()

    def __bool__(self) -> bool:
        return len(self) > 0

    def __iter__(self) -> Iterator[Packet]:
        self.load()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Packet]:
        self.load()
        return super().__reversed__()

    def __contains__(self, item: object) -> bool:
        self.load()
        return super().__contains__(item)

    def __getitem__(self, index: Any) -> Any:
        self.load()
        return super().__getitem__(index)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.load()
        super().__setitem__(index, value)

    def __delitem__(self, index: Any) -> None:
        self.load()
        super().__delitem__(index)

    def __eq__(self, other: object) -> bool:
        self.load()
        if isinstance(other, LazyPacketList):
            other.load()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> list[Packet]:
        self.load()
        return list(super().__iter__()) + list(other)

    def __radd__(self, other: list[Packet]) -> list[Packet]:
        return list(other) + list(self)

    def __iadd__(self, other: Iterable[Packet]) -> LazyPacketList:  # type: ignore[override,misc]
        self.extend(other)
        return self

    def __mul__(self, times: SupportsIndex) -> list[Packet]:
        return list(self) * times

    __rmul__ = __mul__

    def __repr__(self) -> str:
        self.load()
        return super().__repr__()

    def append(self, item: Packet) -> None:
        self.load()
        super().append(item)

    def extend(self, items: Iterable[Packet]) -> None:
        self.load()
        super().extend(items)

    def insert(self, index: SupportsIndex, item: Packet) -> None:
        self.load()
        super().insert(index, item)

    def pop(self, index: SupportsIndex = -1) -> Packet:
        self.load()
        return super().pop(index)

    def remove(self, item: Packet) -> None:
        self.load()
        super().remove(item)

    def clear(self) -> None:
        self.load()
        super().clear()

    def reverse(self) -> None:
        self.load()
        super().reverse()

    def sort(self, **options: Any) -> None:
        self.load()
        super().sort(**options)

    def index(self, *arguments: Any) -> int:
        self.load()
        return super().index(*arguments)

    def count(self, item: object) -> int:  # type: ignore[override]
        self.load()
        return super().count(item)  # type: ignore[arg-type]

    def copy(self) -> list[Packet]:
        self.load()
        return super().copy()

    def __reduce__(self) -> tuple[Any, ...]:  # type: ignore[override]
        return list, (list(self),)


class DirectPacket(Packet):
    """A Packet that builds itself, and not a copy that only random values need.

    The copy costs more than the building, and recurses once a field.
    """

    explicit: int

    def do_build(self) -> bytes:
        explicit = self.explicit
        if not explicit and not self._is_volatile():
            self.explicit = 1
        try:
            return super().do_build()
        finally:
            self.explicit = explicit

    def _is_volatile(self) -> bool:
        return any(
            isinstance(value, (VolatileValue, Gen))
            # Several values of a field that has one stand for as many packets.
            or (type(value) is list and not self.get_field(name).islist)
            for values in (self.fields, self.default_fields, self.overloaded_fields)
            for name, value in values.items()
        )


class LazyPacket(DirectPacket):
    """A Packet with list fields that may be lazy, and with a note of its own defects."""

    __slots__ = ["_noted"]
    fields: dict[str, Any]
    raw_packet_cache: bytes | None
    # so that pkt[DataSet] finds a DataFlowSet and pkt[Record] a record of any template
    match_subclass = True

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._noted: list[Defect] = []
        super().__init__(*arguments, **keywords)

    @property
    def defects(self) -> list[Defect]:
        """What is wrong with these octets, as far as they say themselves."""
        return self._noted

    def do_dissect(self, s: bytes) -> bytes:
        """As Packet's, but without a copy of every list to compare with later."""
        original = s
        for field in self.fields_desc:
            s, value = field.getfield(self, s)
            if not (field.isconditional and value is None):
                self.fields[field.name] = value
        self.raw_packet_cache = original[: len(original) - len(s)]
        self.raw_packet_cache_fields = None
        self.explicit = 1
        return s

    def getfieldval(self, attr: str) -> Any:
        value = super().getfieldval(attr)
        if type(value) is LazyPacketList:
            value.load(self)
        return value

    def getfield_and_val(self, attr: str) -> tuple[Any, Any]:
        found = super().getfield_and_val(attr)
        if type(found[1]) is LazyPacketList:
            found[1].load(self)
        return found

    def self_build(self) -> bytes:
        """The octets as they were as long as nobody has looked into the lists."""
        if self.raw_packet_cache is not None:
            for value in self.fields.values():
                if isinstance(value, list) and getattr(value, "octets", None) is None:
                    break
            else:
                return self.raw_packet_cache
        cached, self.raw_packet_cache = self.raw_packet_cache, None
        try:
            octets = b""
            for field in self.fields_desc:
                # not getfieldval: a list that nobody has looked at builds from its octets
                value = self.fields.get(field.name, self.default_fields.get(field.name))
                if field.name in self.overloaded_fields and field.name not in self.fields:
                    value = self.overloaded_fields[field.name]
                octets = field.addfield(self, octets, value)
        finally:
            if cached is not None and cached == octets:
                self.raw_packet_cache = cached
        return octets

    def copy(self) -> Any:
        clone = super().copy()
        clone._noted = list(self._noted)
        return clone

    def __reduce__(self) -> tuple[Any, ...]:
        """Octets, and what they are read with: neither a session nor what it knows besides."""
        *_, state = super().__reduce__()
        if isinstance(state, dict):
            state.pop("extra_slots", None)
        return _unpickle, (self.__class__, self.build(), self._read_with()), state

    def _read_with(self) -> Any:
        """What else it takes to read these octets once more; :meth:`_read_again` takes it."""
        return None

    def _read_again(self, known: Any) -> None:
        """Reads the octets with what :meth:`_read_with` gave."""


def _unpickle(cls: type[LazyPacket], octets: bytes, known: Any) -> LazyPacket:
    packet = cls(octets)
    packet._read_again(known)
    return packet


def build_packets(packets: Any) -> bytes:
    """The octets of a list of packets (or of bytes), without looking into a lazy one."""
    octets = getattr(packets, "octets", None)
    if octets is not None:
        return octets
    return b"".join(bytes(each) for each in packets or ())


def raw(octets: bytes, parent: Packet | None = None) -> Packet:
    """Octets that nothing can be made of."""
    packet = conf.raw_layer(octets)
    if parent is not None:
        packet.add_parent(parent)
    return packet

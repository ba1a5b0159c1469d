# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that keep their octets and decode them on first access.

Most messages of a capture are never accessed. A :class:`LazyPacketList` in a packet's ``fields``
makes its packets on first access. A :class:`LazyPacket` is a Scapy Packet which builds from its
octets until then, and from the packets in its lists afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, SupportsIndex

from scapy.base_classes import Gen
from scapy.config import conf
from scapy.packet import Packet
from scapy.volatile import VolatileValue

from scapy_ipfix.text import cut, html_table, printable
from scapy_ipfix.wire.diagnostics import Defect

#: Makes the packets of a list for its owner, the packet that has the list in a field.
Loader = Callable[[Packet | None], list[Packet]]
#: The most rows and columns of a list of packets in a notebook.
HTML_ROWS, HTML_COLUMNS = 100, 40


class PacketTable(list[Packet]):
    """List of packets that a notebook shows as tables."""

    def _repr_html_(self) -> str:
        """Return HTML tables of the first packets, a table for each run of equal columns."""
        lines = [_table_line(packet) for packet in self[:HTML_ROWS]]
        tables = [
            html_table(columns, (cells for _, cells in group))
            for columns, group in groupby(lines, itemgetter(0))
        ]
        if len(self) > len(lines):
            tables.append(f"<p>{len(self) - len(lines)} more</p>")
        return "".join(tables)


def _table_line(packet: Any) -> tuple[list[str], list[str]]:
    """Return the columns and cells of a packet; of octets and other layers, a summary."""
    if isinstance(packet, DirectPacket):
        columns, cells = packet.table_line()
    else:
        columns, cells = (
            ["summary"],
            [packet.summary() if isinstance(packet, Packet) else repr(packet)],
        )
    texts = [[cut(printable(text)) for text in line[:HTML_COLUMNS]] for line in (columns, cells)]
    if len(columns) > HTML_COLUMNS:
        texts[0].append(f"{len(columns) - HTML_COLUMNS} more")
        texts[1].append("…")
    return texts[0], texts[1]


class LazyPacketList(PacketTable):
    """List of packets that are made on first access.

    ``octets`` are those that the packets dissect and build; ``count`` is the number of packets,
    None if it is not known before they are made.
    """

    def __init__(self, loader: Loader, octets: bytes, count: int | None = None) -> None:
        super().__init__()
        self._loader: Loader | None = loader
        self._count = count
        self._octets: bytes | None = octets

    @property
    def octets(self) -> bytes | None:
        """The octets of the packets, None once the packets, which may change, are made."""
        return self._octets

    def load(self, owner: Packet | None = None) -> None:
        """Make the packets, with ``owner`` as their parent."""
        loader = self._loader
        if loader is None:
            return
        self._loader = None
        self._octets = None
        super().extend(loader(owner))

    def fresh(self) -> PacketTable:
        """Return a copy of the list and its packets, lazy if none was made yet."""
        if self._loader is not None and self._octets is not None:
            return LazyPacketList(self._loader, self._octets, self._count)
        return PacketTable(each.copy() if isinstance(each, Packet) else each for each in self)

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
        return PacketTable, (list(self),)


class DirectPacket(Packet):
    """Packet that builds without the copy which only random values need.

    The copy takes longer than building, and recurses once for each field.
    """

    explicit: int

    def table_line(self) -> tuple[list[str], list[str]]:
        """Return the columns and cells that show the packet in a table."""
        return ["summary"], [self.summary()]

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
            # Scapy makes a packet for each value in a list, unless the field is a list.
            or (type(value) is list and not self.get_field(name).islist)
            for values in (self.fields, self.default_fields, self.overloaded_fields)
            for name, value in values.items()
        )


class LazyPacket(DirectPacket):
    """Packet with list fields that may be lazy, and with its own defects."""

    __slots__ = ["_noted"]
    fields: dict[str, Any]
    raw_packet_cache: bytes | None
    # pkt[DataSet] finds a DataFlowSet, pkt[Record] a record of any template.
    match_subclass = True

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self._noted: list[Defect] = []
        super().__init__(*arguments, **keywords)

    @property
    def defects(self) -> list[Defect]:
        """The defects of these octets that show without the rest of the message."""
        return self._noted

    def do_dissect(self, s: bytes) -> bytes:
        """Dissect like Packet, without a copy of every list for later comparison."""
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
        """Return the octets as dissected, or build them once a list was accessed."""
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
                # Not getfieldval, which makes the packets of a lazy list.
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
        """Pickle the octets and what decodes them, without the session."""
        *_, state = super().__reduce__()
        if isinstance(state, dict):
            state.pop("extra_slots", None)
        return _unpickle, (self.__class__, self.build(), self._decoding_state()), state

    def _decoding_state(self) -> Any:
        """Return what else decodes these octets, for :meth:`_restore_decoding`."""
        return None

    def _restore_decoding(self, known: Any) -> None:
        """Decode the octets with the result of :meth:`_decoding_state`."""


def _unpickle(cls: type[LazyPacket], octets: bytes, known: Any) -> LazyPacket:
    packet = cls(octets)
    packet._restore_decoding(known)
    return packet


def build_packets(packets: Any) -> bytes:
    """Return the octets of a list of packets or bytes, without making those of a lazy list."""
    octets = getattr(packets, "octets", None)
    if octets is not None:
        return octets
    return b"".join(bytes(each) for each in packets or ())


def raw(octets: bytes, parent: Packet | None = None) -> Packet:
    """Return a Raw packet of octets that cannot be decoded."""
    packet = conf.raw_layer(octets)
    if parent is not None:
        packet.add_parent(parent)
    return packet

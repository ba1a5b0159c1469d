# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages and Data Sets as a collector read them, without packets.

A :class:`CollectedMessage` has a :class:`CollectedSet` for each Data Set: its offsets, and its
template as soon as that is known.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Any, Protocol
from weakref import ReferenceType, ref

from scapy_ipfix.collector.contextview import ContextView
from scapy_ipfix.collector.metadata import DomainKey, Metadata
from scapy_ipfix.collector.sequence import Counts
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.structured import ListContext, with_decoded_lists
from scapy_ipfix.wire.template import Template


class Knowing(Protocol):
    """Who keeps what options records said."""

    @property
    def metadata(self) -> Metadata: ...


class Origin(Protocol):
    """The observation domain that something was read of."""

    @property
    def transport(self) -> TransportKey: ...
    @property
    def version(self) -> int: ...
    @property
    def id(self) -> int: ...
    @property
    def key(self) -> DomainKey: ...
    @property
    def keeper(self) -> Knowing: ...
    def list_context(self) -> ListContext: ...
    def note(self, code: str, set_index: int | None = None, **numbers: Any) -> None: ...


class Waiting(Protocol):
    """A Data Set packet that wants its template as soon as it is known."""

    def bind(
        self,
        template: Template,
        lists: ListContext | None = None,
        context: RecordContext | None = None,
    ) -> Any: ...


class CollectedSet:
    """A Data Set of a message: where it is, and its template as soon as that is known."""

    __slots__ = (
        *("_asking", "_learned_from", "domain", "kept_lists", "index", "known", "octets"),
        *("set_id", "start", "stop", "template"),
    )

    def __init__(
        self,
        domain: Origin,
        index: int,
        set_id: int,
        octets: bytes,
        start: int,
        stop: int,
        template: Template | None,
    ) -> None:
        self.domain = domain
        self.index = index
        self.set_id = set_id
        self.octets = octets
        self.start = start
        self.stop = stop
        self.template = template
        #: The number of the latest fact of metadata when the set came.
        self.known = domain.keeper.metadata.now
        #: The packets that asked for the template in vain; whoever drops one need not wait.
        self._asking: list[ReferenceType[Waiting]] | None = None
        #: What lists in the records are read with, if there are any.
        self.kept_lists: ListContext | None = None
        self._learned_from: list[dict[str, Any]] | None = None

    @property
    def body(self) -> bytes:
        """The octets of the records, and of what follows them."""
        return self.octets[self.start + 4 : self.stop]

    def answer(self) -> None:
        """Gives the template, which came, to the packets that asked for it before."""
        for reference in self._asking or ():
            packet = reference()
            if packet is not None and self.template is not None:
                packet.bind(self.template, self.lists, self.view)
        self._asking = None

    def ask(self, packet: Waiting) -> None:
        """Remembers a packet that wants the template as soon as it is known."""
        self._asking = [each for each in self._asking or () if each() is not None]
        self._asking.append(ref(packet))

    @property
    def lists(self) -> ListContext:
        """What lists in the records are read with: all that the domain knew then."""
        return (self.kept_lists or ListContext()).without_parts()

    @property
    def view(self) -> ContextView:
        """What was known of the exporter when the set came."""
        return ContextView(self.domain.keeper.metadata, self.domain.key, self.known)

    def keep_lists(self) -> None:
        """Lists are to be read with the templates of now, whenever someone looks."""
        self.kept_lists = self.domain.list_context()

    def options(self) -> list[dict[str, Any]]:
        """The records as dicts, without lists, for the collector to learn from.

        Whoever asks for :meth:`records` next gets the same: who reads options does so twice.
        """
        self._learned_from = self.records(lists=False)
        return self._learned_from

    def clear(self) -> None:
        """Forgets what :meth:`options` gave: nobody asked while the message was at hand."""
        self._learned_from = None

    def records(
        self,
        names: tuple[str, ...] | None = None,
        values: str = "scapy",
        resolve: bool = False,
        lists: bool = True,
    ) -> list[Any]:
        """The records as dicts; as tuples in the order of ``names`` where these are given.

        ``values`` is the domain of values; ``resolve`` adds to the dicts what metadata says;
        without ``lists``, structured data stays octets.
        None at all while the template is unknown, or if it lacks one of ``names``.
        """
        template = self.template
        codec = template.projection(names, values) if template is not None else None
        if codec is None:
            return []
        learned = None
        if self._learned_from is not None and names is None and values == "scapy":
            learned, self._learned_from = self._learned_from, None
        read = codec.dicts if names is None else codec.rows
        records: list[Any] = learned or read(self.octets[self.start + 4 : self.stop])
        if codec.structured and (lists or values == "json"):
            context = self.kept_lists if lists and self.kept_lists else _NO_LISTS
            records = with_decoded_lists(records, codec, context, values)
        if resolve and names is None and template is not None:
            self.view.resolve_many(template, records)
        return records


_index = attrgetter("index")
#: Reads no list: the first one is too deep.
_NO_LISTS = ListContext(limit=0)


class CollectedMessage:
    """What a collector made of a message.

    ``sets`` are its Data Sets in order. ``ready`` are those that can be decoded now, ones of
    earlier messages included whose template came with this one.
    """

    __slots__ = (
        *("data_records", "domain", "exported", "octets", "ready", "records", "sequence"),
        *("sets", "templates", "version", "waiting"),
    )

    def __init__(
        self, version: int, domain: Origin, exported: int, sequence: int, octets: bytes
    ) -> None:
        self.version = version
        self.domain = domain
        self.exported = exported
        self.sequence = sequence
        #: The whole message, as it came.
        self.octets = octets
        self.sets: list[CollectedSet] = []
        self.ready: list[CollectedSet] = []
        #: Records in the message, those that are no options, and Template Records.
        self.records = 0
        self.data_records = 0
        self.templates = 0
        #: Its Data Sets that have no template yet, by identity.
        self.waiting: set[int] = set()

    @property
    def counts(self) -> Counts:
        """The message as sequence numbers count it."""
        if self.waiting:
            return Counts(self.sequence, None, None, self.exported)
        return Counts(self.sequence, self.records, self.data_records, self.exported)

    def _at(self, index: int) -> CollectedSet | None:
        position = bisect_left(self.sets, index, key=_index)
        if position < len(self.sets) and self.sets[position].index == index:
            return self.sets[position]
        return None

    def template(self, index: int) -> Template | None:
        """The template of the set at that index of the message, None while unknown."""
        read = self._at(index)
        return read.template if read is not None else None

    def lists(self, index: int) -> ListContext:
        """What lists in the records of the set at that index are read with."""
        read = self._at(index)
        return read.lists if read is not None else ListContext()

    def record_context(self, index: int) -> RecordContext:
        """Return the facts of options data in force for the records of a Data Set."""
        read = self._at(index)
        return read.view if read is not None else RecordContext()

    def attach(self, index: int, data_set: Waiting) -> None:
        """Register the packet of a Data Set, to be bound when its template arrives."""
        read = self._at(index)
        if read is not None and read.template is None:
            read.ask(data_set)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages from encoded records: Sets, padding, sequence numbers and template refresh.

A :class:`Draft` is one message being filled. A :class:`Packer` numbers the messages of one
Transport Session and keeps its templates: those that are announced, and the time of the next
refresh. Neither encodes rows nor sends messages.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from scapy_ipfix.layers.context import NO_CONTEXT, UnboundSet
from scapy_ipfix.layers.messages import MESSAGE_CLASSES, Message
from scapy_ipfix.layers.sets import SET_CLASSES, TemplateSet
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.wire.framing import (
    IPFIX_HEADER,
    IPFIX_VERSION,
    MINIMUM_DATA_SET,
    SET_HEADER,
    TEMPLATE_SETS,
    V9_HEADER,
    V9_VERSION,
)
from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template

#: A time: seconds since 1970, ISO 8601 text, or a datetime (naive is UTC).
Time = float | str | datetime

#: The greatest message length in octets (RFC 7011 3.1).
_LONGEST = 65535
#: Octets of the shortest Template Record; padding must be shorter (RFC 7011 3.3.1). 0 is no
#: padding, for IPFIX: python-ipfix, for one, reads padding of a Template Set as a template.
_SHORTEST_TEMPLATE = {IPFIX_VERSION: 0, V9_VERSION: 4}
_WITHDRAWAL = struct.Struct("!HH")
_milliseconds = data_type("dateTimeMilliseconds")


def to_seconds(value: Time) -> float:
    """Return a time as seconds since 1970.

    Raises ValueError for text that is no time, and for a time that does not fit 32 bits.
    """
    if isinstance(value, (str, datetime)):
        value = int.from_bytes(_milliseconds.encode(value), "big") / 1000
    if not 0 <= value < 1 << 32:
        raise ValueError(f"time {value!r} is not in 0..{(1 << 32) - 1} seconds since 1970")
    return float(value)


@dataclass(frozen=True, slots=True)
class Settings:
    """Checked arguments of an :class:`.Exporter`, which documents them.

    Raises ValueError for a value out of range.
    """

    domain: int
    version: int
    mtu: int | None
    overhead: int
    template_refresh: float | None
    template_refresh_messages: int | None
    padding: int
    sequence: int

    def __post_init__(self) -> None:
        if self.version not in MESSAGE_CLASSES:
            raise ValueError(f"version is 9 or 10, not {self.version!r}")
        for name in ("domain", "sequence"):
            number = getattr(self, name)
            if not isinstance(number, int) or not 0 <= number < 1 << 32:
                raise ValueError(f"{name} {number!r} is not in 0..{(1 << 32) - 1}")
        if self.padding not in (1, 2, 4, 8):
            raise ValueError(f"padding {self.padding!r} is not 1 (none), 2, 4 or 8 octets")
        for name in ("template_refresh", "template_refresh_messages"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} {limit!r} is not above 0 (None for never)")
        if self.overhead < 0 or self.longest < self.header + SET_HEADER.size + self.padding:
            raise ValueError(
                f"mtu {self.mtu}, overhead {self.overhead}: {self.longest} octets are too few "
                "for a message"
            )

    @property
    def header(self) -> int:
        """Length of a message header in octets."""
        return (IPFIX_HEADER if self.version == IPFIX_VERSION else V9_HEADER).size

    @property
    def longest(self) -> int:
        """Greatest length of a message in octets."""
        return _LONGEST if self.mtu is None else min(self.mtu - self.overhead, _LONGEST)


@dataclass(frozen=True, slots=True)
class Announcement:
    """Template, the id of the Set that announces it, and its Template Record.

    ``shortest`` is the length of the shortest Template Record in octets, 0 for no padding.
    """

    template: Template
    set_id: int
    record: bytes
    shortest: int


class PackedMessage(NamedTuple):
    """Octets of a message, and the template of each Set, None for a Template Set."""

    octets: bytes
    templates: tuple[Template | None, ...]


class _Context:
    """:class:`~scapy_ipfix.layers.context.MessageContext` of an exported message."""

    __slots__ = ("_lists", "_templates")

    def __init__(self, templates: tuple[Template | None, ...], lists: ListContext) -> None:
        self._templates = templates
        self._lists = lists

    def template(self, index: int) -> Template | None:
        return self._templates[index] if index < len(self._templates) else None

    def lists(self, index: int) -> ListContext:
        return self._lists

    def padding(self, index: int) -> int:
        return 0

    def record_context(self, index: int) -> RecordContext:
        return NO_CONTEXT

    def attach(self, index: int, data_set: UnboundSet) -> None:
        """Ignore the packet: every template is known."""


class Draft:
    """Message that is being filled; its last Set is open for more records.

    ``header`` is the length of the message header in octets, ``limit`` the greatest length
    of the message. Sets are padded to multiples of ``align`` octets. ``refresh`` marks a
    message that repeats templates.
    """

    __slots__ = (
        *("announced", "data_records", "records", "refresh", "templates"),
        *("_align", "_limit", "_minimum", "_open", "_open_size", "_set_id", "_sets", "_size"),
    )

    def __init__(self, header: int, limit: int, align: int, refresh: bool = False) -> None:
        self.refresh = refresh
        #: Ids of the templates that it announces.
        self.announced: set[int] = set()
        #: Template of each Set, None for a Set of templates.
        self.templates: list[Template | None] = []
        #: Number of records, Template Records included, and of Data Records alone.
        self.records = self.data_records = 0
        self._limit = limit
        self._align = align
        self._sets: list[bytes] = []
        self._size = header
        self._set_id = -1
        self._open: list[bytes] = []
        self._open_size = 0
        self._minimum = 0

    def room(self, set_id: int) -> int:
        """Return the octets of records that a Set of this id can still hold, padding excluded."""
        size, used = self._size, SET_HEADER.size
        if set_id == self._set_id:
            used += self._open_size
        elif self._open:
            size += SET_HEADER.size + self._open_size + self._padding()
        free = self._limit - size
        return free - free % self._align - used

    def has_room(self, announcement: Announcement, data: int = 0) -> bool:
        """Return whether a Template Record fits, and a Data Set of ``data`` octets after it."""
        needed = len(announcement.record)
        if data:
            needed += self._align + SET_HEADER.size + data
        return self.room(announcement.set_id) >= needed

    def announce(self, announcement: Announcement) -> None:
        """Add a Template Record."""
        self.add(announcement.set_id, announcement.record, None, announcement.shortest)
        self.announced.add(announcement.template.id)

    def add(
        self,
        set_id: int,
        octets: bytes,
        template: Template | None,
        minimum: int,
        records: int = 1,
    ) -> None:
        """Add records: Data Records of ``template``, or Template Records.

        ``minimum`` is the length of the shortest record of the Set in octets; padding is
        shorter.
        """
        if set_id != self._set_id:
            self._close_set()
            self._set_id = set_id
            self._minimum = minimum
            self.templates.append(template)
        self._open.append(octets)
        self._open_size += len(octets)
        self.records += records
        if template is not None:
            self.data_records += records

    def close(self) -> bytes:
        """Close the last Set and return the octets of all Sets."""
        self._close_set()
        return b"".join(self._sets)

    def _close_set(self) -> None:
        if self._open:
            padding = self._padding()
            length = SET_HEADER.size + self._open_size + padding
            self._sets += (SET_HEADER.pack(self._set_id, length), *self._open, bytes(padding))
            self._size += length
            self._open = []
            self._open_size = 0

    def _padding(self) -> int:
        """Return the octets of padding, fewer than a record (RFC 7011 3.3.1)."""
        size, align = SET_HEADER.size + self._open_size, self._align
        while -size % align >= self._minimum and align > 1:
            align //= 2
        return -size % align


class Packer:
    """Maker of the messages of one Transport Session; :class:`.Exporter` has the arguments."""

    def __init__(
        self, settings: Settings, boot_time: Time | None, clock: Callable[[], float]
    ) -> None:
        self.domain = settings.domain
        self.version = settings.version
        #: Sequence number of the next message.
        self.sequence = settings.sequence
        #: Every template in use, announced or not yet, by id.
        self.templates: dict[int, Announcement] = {}
        #: Ids of announced templates.
        self.announced: set[int] = set()
        self._settings = settings
        self._limits = settings.header, settings.longest, settings.padding
        #: Greatest length of a record in octets.
        self.room = self.draft().room(MINIMUM_DATA_SET)
        self._refreshed_at = 0.0
        self._since_refresh = 0
        self._boot_time = None if boot_time is None else to_seconds(boot_time)
        self._clock = clock
        self._lists = ListContext(self._template, version=settings.version)

    def restart(self, renumber: bool) -> None:
        """Begin a new Transport Session, in which no template is announced (RFC 7011 8)."""
        self.announced.clear()
        if renumber:
            self.sequence = self._settings.sequence

    # -- templates

    def use(self, template: Template) -> Announcement:
        """Return the announcement of a template, which is in use from now on.

        Raises ValueError for a template that cannot be exported, or whose id is in use for
        another one.
        """
        known = self.templates.get(template.id)
        if known is None:
            known = self.templates[template.id] = self._announcement(template)
        elif known.template is not template and known.template != template:
            raise ValueError(
                f"template {template.id} is in use for ({known.template}): "
                "withdraw() or forget() that first"
            )
        return known

    def forget(self, template_id: int) -> None:
        """Free an id; do nothing for an id that is not in use."""
        self.templates.pop(template_id, None)
        self.announced.discard(template_id)

    def _announcement(self, template: Template) -> Announcement:
        name = f"template {template.id}"
        if template.id < MINIMUM_DATA_SET:
            raise ValueError(f"{name}: ids begin at {MINIMUM_DATA_SET}")
        if not template.length:
            raise ValueError(f"{name}: its records have no octets; give it a field of length 1")
        if self.version == V9_VERSION and template.is_variable:
            fields = ", ".join(field.name for field in template.fields if field.is_variable)
            raise ValueError(
                f"{name}: {fields}: no length given, and NetFlow v9 has no fields of variable "
                "length (RFC 3954 5.2); write a length, as in name[16]"
            )
        set_id = TEMPLATE_SETS[self.version][template.is_options]
        set_class = SET_CLASSES[self.version, set_id]
        assert issubclass(set_class, TemplateSet)
        record = bytes(set_class.record_class.from_template(template))
        announcement = Announcement(template, set_id, record, _SHORTEST_TEMPLATE[self.version])
        size = len(record)
        if size > self.room:
            raise self.too_long(f"{name}: its Template Record", size)
        return announcement

    def too_long(self, record: str, size: int) -> ValueError:
        """Return the error for a record that does not fit a message of its own."""
        return ValueError(
            f"{record} takes {size} octets, a message of mtu {self._settings.mtu} has "
            f"{self.room} for it"
        )

    # -- messages

    def draft(self, refresh: bool = False) -> Draft:
        """Return an empty message."""
        header, longest, padding = self._limits
        return Draft(header, longest, padding, refresh)

    def begin(
        self, template: Template, when: float | None
    ) -> Generator[PackedMessage, None, Draft]:
        """Return a message for data of ``template``, with the templates to announce in it.

        Yield the messages before it that are full of templates. ``when`` is the export time
        in seconds since 1970, None for now.
        """
        self.use(template)
        refresh = self._is_refresh_due(when)
        draft = self.draft(refresh)
        if refresh or len(self.announced) < len(self.templates):
            for known in list(self.templates.values()):
                if refresh or known.template.id not in self.announced:
                    if not draft.has_room(known):
                        yield self.finish(draft, when)
                        draft = self.draft(refresh)
                    draft.announce(known)
        return draft

    def _is_refresh_due(self, when: float | None) -> bool:
        if not self.announced:
            return False
        messages = self._settings.template_refresh_messages
        if messages is not None and self._since_refresh >= messages:
            return True
        seconds = self._settings.template_refresh
        return seconds is not None and self._time(when) - self._refreshed_at >= seconds

    def announcements(
        self, known: Iterable[Announcement], when: float | None, refresh: bool = False
    ) -> list[PackedMessage]:
        """Return messages with these templates and nothing else."""
        made: list[PackedMessage] = []
        draft = self.draft(refresh)
        for each in known:
            if not draft.has_room(each):
                made.append(self.finish(draft, when))
                draft = self.draft(refresh)
            draft.announce(each)
        return [*made, self.finish(draft, when)] if draft.records else made

    def withdrawals(
        self, ids: Iterable[tuple[int, int]], when: float | None
    ) -> list[PackedMessage]:
        """Return messages that withdraw templates, each a (Set id, template id) (RFC 7011 8.1)."""
        made: list[PackedMessage] = []
        draft = self.draft()
        for set_id, template_id in ids:
            if draft.room(set_id) < _WITHDRAWAL.size:
                made.append(self.finish(draft, when))
                draft = self.draft()
            draft.add(set_id, _WITHDRAWAL.pack(template_id, 0), None, 0)
        return [*made, self.finish(draft, when)] if draft.records else made

    def finish(self, draft: Draft, when: float | None) -> PackedMessage:
        """Return the message with its sequence number, and mark its templates as announced."""
        now = self._time(when)
        body = draft.close()
        if draft.refresh or not self.announced:
            self._refreshed_at = now
            self._since_refresh = 0
        self._since_refresh += 1
        self.announced |= draft.announced
        exported = int(now) & 0xFFFFFFFF
        if self.version == IPFIX_VERSION:
            length = IPFIX_HEADER.size + len(body)
            header = IPFIX_HEADER.pack(IPFIX_VERSION, length, exported, self.sequence, self.domain)
            step = draft.data_records
        else:
            if self._boot_time is None:
                self._boot_time = now
            uptime = int((now - self._boot_time) * 1000) & 0xFFFFFFFF
            header = V9_HEADER.pack(
                *(V9_VERSION, draft.records, uptime, exported, self.sequence, self.domain)
            )
            step = 1
        self.sequence = (self.sequence + step) & 0xFFFFFFFF
        return PackedMessage(header + body, tuple(draft.templates))

    def packet(self, packed: PackedMessage) -> Message:
        """Return the message as a packet that has the templates of its Data Sets."""
        message = MESSAGE_CLASSES[self.version](packed.octets)
        message.context = _Context(packed.templates, self._lists)
        return message

    def _template(self, template_id: int) -> Template | None:
        known = self.templates.get(template_id)
        return None if known is None else known.template

    def _time(self, when: float | None) -> float:
        return self._clock() if when is None else when

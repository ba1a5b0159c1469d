# SPDX-License-Identifier: GPL-2.0-or-later
"""Encoded records to the octets of messages, and what a collector has been told so far.

A :class:`Draft` is one message being filled. A :class:`Packer` numbers messages and knows the
templates of one transport session: which were announced, and when to announce them again.
What a row is, and what a socket is, neither knows.
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
from scapy_ipfix.wire.resolver import RecordContext
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template

#: A time: seconds since 1970, ISO 8601 text, or a datetime (naive is UTC).
Time = float | str | datetime

_LONGEST = 65535
#: The shortest Template Record: padding must be shorter (RFC 7011 3.3.1). Only the FlowSets
#: of NetFlow v9 get some; python-ipfix, for one, takes padding of a Template Set for a template.
_SHORTEST_TEMPLATE = {IPFIX_VERSION: 0, V9_VERSION: 4}
_WITHDRAWAL = struct.Struct("!HH")
_milliseconds = data_type("dateTimeMilliseconds")


def seconds(value: Time) -> float:
    """A time as seconds since 1970. Raises ValueError for what is none, or not in 32 bits."""
    if isinstance(value, (str, datetime)):
        value = int.from_bytes(_milliseconds.encode(value), "big") / 1000
    if not 0 <= value < 1 << 32:
        raise ValueError(f"time {value!r} is not in 0..{(1 << 32) - 1} seconds since 1970")
    return float(value)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A template, the id of the Set that announces it, and its Template Record.

    ``shortest`` is that of any Template Record, 0 where the Set is not to be padded.
    """

    template: Template
    set_id: int
    record: bytes
    shortest: int


class Packed(NamedTuple):
    """A message: its octets, and of each of its Sets the template, None for a Template Set."""

    octets: bytes
    templates: tuple[Template | None, ...]


class _Context:
    """A :class:`~scapy_ipfix.layers.context.MessageContext` of a message that was made here."""

    __slots__ = ("_lists", "_templates")

    def __init__(self, templates: tuple[Template | None, ...], lists: ListContext) -> None:
        self._templates = templates
        self._lists = lists

    def template(self, index: int) -> Template | None:
        return self._templates[index] if index < len(self._templates) else None

    def lists(self, index: int) -> ListContext:
        return self._lists

    def record_context(self, index: int) -> RecordContext:
        return NO_CONTEXT

    def attach(self, index: int, data_set: UnboundSet) -> None:
        """Ignore the packet: every template is known."""


class Draft:
    """A message that is being filled: Sets, the last of them open for more records.

    ``header`` is the message header's length, ``limit`` the message's, in octets; Sets are
    padded to multiples of ``align``. ``refresh`` says that it repeats templates.
    """

    __slots__ = (
        *("announced", "data_records", "records", "refresh", "templates"),
        *("_align", "_limit", "_minimum", "_open", "_open_size", "_set_id", "_sets", "_size"),
    )

    def __init__(self, header: int, limit: int, align: int, refresh: bool = False) -> None:
        self.refresh = refresh
        #: Ids of templates that are in it.
        self.announced: set[int] = set()
        #: Of each Set the template, None for a Set of templates.
        self.templates: list[Template | None] = []
        #: Records so far, templates included, and Data Records alone.
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
        """Octets of records that a Set of that id can still take, its padding left free."""
        size, taken = self._size, SET_HEADER.size
        if set_id == self._set_id:
            taken += self._open_size
        elif self._open:
            size += SET_HEADER.size + self._open_size + self._padding()
        free = self._limit - size
        return free - free % self._align - taken

    def takes(self, announcement: Announcement, data: int = 0) -> bool:
        """Whether there is room for a Template Record and, if asked, so many octets of data."""
        wanted = len(announcement.record)
        if data:
            wanted += self._align + SET_HEADER.size + data
        return self.room(announcement.set_id) >= wanted

    def announce(self, announcement: Announcement) -> None:
        """Puts a Template Record in."""
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
        """Puts records in: Data Records of ``template``, or Template Records.

        No record that such a Set could hold is shorter than ``minimum`` octets; padding is.
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
        """All Sets."""
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
        """Octets to the next boundary, a nearer one where they could be taken for a record."""
        size, align = SET_HEADER.size + self._open_size, self._align
        while -size % align >= self._minimum and align > 1:
            align //= 2
        return -size % align


class Packer:
    """Makes the messages of one transport session; see :class:`.Exporter` for arguments."""

    def __init__(
        self,
        domain: int,
        version: int,
        mtu: int | None,
        overhead: int,
        template_refresh: float | None,
        template_refresh_messages: int | None,
        padding: int,
        sequence: int,
        boot_time: Time | None,
        clock: Callable[[], float],
    ) -> None:
        if version not in MESSAGE_CLASSES:
            raise ValueError(f"version is 9 or 10, not {version!r}")
        for name, number in (("domain", domain), ("sequence", sequence)):
            if not isinstance(number, int) or not 0 <= number < 1 << 32:
                raise ValueError(f"{name} {number!r} is not in 0..{(1 << 32) - 1}")
        if padding not in (1, 2, 4, 8):
            raise ValueError(f"padding {padding!r} is not 1 (none), 2, 4 or 8 octets")
        for name, limit in (
            ("template_refresh", template_refresh),
            ("template_refresh_messages", template_refresh_messages),
        ):
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} {limit!r} is not above 0 (None for never)")
        header = (IPFIX_HEADER if version == IPFIX_VERSION else V9_HEADER).size
        longest = _LONGEST if mtu is None else min(mtu - overhead, _LONGEST)
        if overhead < 0 or longest < header + SET_HEADER.size + padding:
            raise ValueError(
                f"mtu {mtu}, overhead {overhead}: {longest} octets are too few for a message"
            )
        self.domain = domain
        self.version = version
        self.mtu = mtu
        #: The number of the next message.
        self.sequence = sequence
        #: Every template in use, announced or not yet.
        self.templates: dict[int, Announcement] = {}
        #: Ids of templates that the collector has been told.
        self.announced: set[int] = set()
        self._limits = header, longest, padding
        #: Octets that one record may have.
        self.room = self.draft().room(MINIMUM_DATA_SET)
        self._refresh_seconds = template_refresh
        self._refresh_messages = template_refresh_messages
        self._refreshed_at = 0.0
        self._since_refresh = 0
        self._first_sequence = sequence
        self._boot_time = None if boot_time is None else seconds(boot_time)
        self._clock = clock
        self._lists = ListContext(self._template, version=version)

    def restart(self, renumber: bool) -> None:
        """A new transport session: its collector has heard of nothing yet (RFC 7011 8)."""
        self.announced.clear()
        if renumber:
            self.sequence = self._first_sequence

    # -- templates

    def learn(self, template: Template) -> Announcement:
        """What there is to say of a template, which is in use from now on.

        Raises ValueError for a template that cannot be exported, or whose id is in use.
        """
        known = self.templates.get(template.id)
        if known is None:
            known = self.templates[template.id] = self._checked(template)
        elif known.template is not template and known.template != template:
            raise ValueError(
                f"template {template.id} is in use for ({known.template}): "
                "withdraw() or forget() that first"
            )
        return known

    def forget(self, template_id: int) -> None:
        """Frees an id; one that is not in use is free already."""
        self.templates.pop(template_id, None)
        self.announced.discard(template_id)

    def _checked(self, template: Template) -> Announcement:
        name = f"template {template.id}"
        if template.id < MINIMUM_DATA_SET:
            raise ValueError(f"{name}: ids begin at {MINIMUM_DATA_SET}")
        if not template.length:
            raise ValueError(f"{name}: its records have no octets")
        if self.version == V9_VERSION and template.is_variable:
            fields = ", ".join(field.name for field in template.fields if field.is_variable)
            raise ValueError(
                f"{name}: {fields}: no length given, and NetFlow v9 has no fields of variable "
                "length (RFC 3954 5.2)"
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

    def too_long(self, what: str, size: int) -> ValueError:
        """The error for a record that does not fit into a message of its own."""
        return ValueError(
            f"{what} takes {size} octets, a message of mtu {self.mtu} has {self.room} for it"
        )

    # -- messages

    def draft(self, refresh: bool = False) -> Draft:
        """An empty message."""
        header, longest, padding = self._limits
        return Draft(header, longest, padding, refresh)

    def begin(self, template: Template, when: float | None) -> Generator[Packed, None, Draft]:
        """A message that may hold data of ``template``: what is to be announced is in it.

        Yields the messages that are full of templates before that. ``when`` is the export
        time (seconds since 1970), None for now.
        """
        self.learn(template)
        refresh = self._is_refresh_due(when)
        draft = self.draft(refresh)
        if refresh or len(self.announced) < len(self.templates):
            for known in list(self.templates.values()):
                if refresh or known.template.id not in self.announced:
                    if not draft.takes(known):
                        yield self.finish(draft, when)
                        draft = self.draft(refresh)
                    draft.announce(known)
        return draft

    def _is_refresh_due(self, when: float | None) -> bool:
        if not self.announced:
            return False
        if self._refresh_messages is not None and self._since_refresh >= self._refresh_messages:
            return True
        if self._refresh_seconds is None:
            return False
        return self._time(when) - self._refreshed_at >= self._refresh_seconds

    def announcements(
        self, known: Iterable[Announcement], when: float | None, refresh: bool = False
    ) -> list[Packed]:
        """Messages with these templates and nothing else."""
        made: list[Packed] = []
        draft = self.draft(refresh)
        for each in known:
            if not draft.takes(each):
                made.append(self.finish(draft, when))
                draft = self.draft(refresh)
            draft.announce(each)
        return [*made, self.finish(draft, when)] if draft.records else made

    def withdrawals(self, ids: Iterable[tuple[int, int]], when: float | None) -> list[Packed]:
        """Messages that withdraw templates: (Set id, template id) of each (RFC 7011 8.1)."""
        made: list[Packed] = []
        draft = self.draft()
        for set_id, template_id in ids:
            if draft.room(set_id) < _WITHDRAWAL.size:
                made.append(self.finish(draft, when))
                draft = self.draft()
            draft.add(set_id, _WITHDRAWAL.pack(template_id, 0), None, 0)
        return [*made, self.finish(draft, when)] if draft.records else made

    def finish(self, draft: Draft, when: float | None) -> Packed:
        """The message, with its number; its templates are announced from now on."""
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
        return Packed(header + body, tuple(draft.templates))

    def packet(self, packed: Packed) -> Message:
        """The message as a packet that knows its templates, wherever they were announced."""
        message = MESSAGE_CLASSES[self.version](packed.octets)
        message.context = _Context(packed.templates, self._lists)
        return message

    def _template(self, template_id: int) -> Template | None:
        known = self.templates.get(template_id)
        return None if known is None else known.template

    def _time(self, when: float | None) -> float:
        return self._clock() if when is None else when

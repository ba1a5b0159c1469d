# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages of a capture, sent once more: as they were, or as if it happened now.

A :class:`Rewriter` changes what a message says of time, order and domain, and nothing else.
:func:`replay` reads a source, waits as its exporters did, and gives each exporter a transport
session of its own, so that no templates and sequence numbers mix that did not before.
"""

from __future__ import annotations

import os
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

from scapy_ipfix.collector.collected import DataRead, MessageRead
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.exporting.sending import Address, Pace, Sender
from scapy_ipfix.reading.capture import CaptureFile
from scapy_ipfix.reading.reader import read_capture
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.codec import STRUCTURED, WIDE, RecordCodec, record_codec
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.framing import IPFIX_HEADER, IPFIX_VERSION, V9_HEADER, walk_sets
from scapy_ipfix.wire.structured import ListContext, list_parts
from scapy_ipfix.wire.template import Template, kept_by_template

#: Transport sessions that are open at a time; the one that was quiet for longest closes.
MAX_SENDERS = 256
#: An export time may be so many seconds off before the shift of its exporter changes.
_DRIFT = 1
_LAYOUTS, _WIDE_LAYOUTS = 1024, 8
#: Domains whose shift and numbers are known, and exporters that are counted.
DOMAINS = 65_536
#: Octets before the records of a block in a subTemplateMultiList (RFC 6313 4.5.3).
_BLOCK_HEADER = 4

_WORD = struct.Struct("!I")
#: Where the header has the export time, the sequence number and the domain, by version.
_HEADERS = {10: (4, 8, 12), 9: (8, 12, 16)}
#: Of each type of time: how it is packed, and a second in its unit.
_UNITS = {
    "dateTimeSeconds": (struct.Struct("!I"), 1),
    "dateTimeMilliseconds": (struct.Struct("!Q"), 1000),
    "dateTimeMicroseconds": (struct.Struct("!Q"), 1 << 32),
    "dateTimeNanoseconds": (struct.Struct("!Q"), 1 << 32),
}
_Unit = tuple[struct.Struct, int]


class _Times:
    """Where the records of one layout have times (the dateTime types, RFC 7011 6.1.7-10)."""

    def __init__(self, fields: tuple[TemplateField, ...]) -> None:
        self._fields = fields
        self._codec: RecordCodec = record_codec(fields, None)
        self._fixed: list[tuple[int, _Unit]] = []
        # Lists may have some: only reading them tells.
        has_lists = any(each.data_type.name in STRUCTURED for each in fields)
        self._is_plain = self._codec.is_fixed and not has_lists
        self.any = has_lists
        offset = 0
        for each in fields:
            unit = _unit(each)
            if unit is not None:
                self._fixed.append((offset, unit))
                self.any = True
            offset += each.length

    def shift(self, octets: bytearray, start: int, stop: int, by: int, lists: ListContext) -> None:
        """Moves the times of the records between two offsets by so many seconds.

        A time of 0 is none, and stays; so does one that would not fit.
        """
        for position, (packer, second) in self.positions(octets, start, stop, lists):
            (value,) = packer.unpack_from(octets, position)
            moved = value + by * second
            if second == 1 << 32:
                moved &= (1 << 64) - 1  # NTP's seconds begin again in 2036
            if value and 0 <= moved < 1 << (8 * packer.size):
                packer.pack_into(octets, position, moved)

    def positions(
        self, octets: bytearray, start: int, stop: int, lists: ListContext
    ) -> Iterator[tuple[int, _Unit]]:
        """Each time in those records, in lists as well: its offset and its unit."""
        spans, _ = self._codec.spans(bytes(octets[start:stop]))
        if self._is_plain:
            for record, _ in spans:
                for offset, unit in self._fixed:
                    yield start + record + offset, unit
            return
        for record, _ in spans:
            position = start + record
            for each in self._fields:
                length = each.length
                if each.is_variable:
                    length = octets[position]
                    position += 1
                    if length == 255:
                        length = int.from_bytes(octets[position : position + 2], "big")
                        position += 2
                elif (found := _unit(each)) is not None:
                    yield position, found
                if each.data_type.name in STRUCTURED:
                    kind = each.data_type.name
                    yield from _in_list(kind, octets, position, position + length, lists)
                position += length


def _in_list(
    kind: str, octets: bytearray, start: int, stop: int, lists: ListContext
) -> Iterator[tuple[int, _Unit]]:
    """The times in a list (RFC 6313); none in one that cannot be read."""
    inner = lists.deeper()
    if inner is None or start == stop:
        return
    parts, defect = list_parts(kind, bytes(octets[start:stop]), inner)
    if defect is not None:
        return
    # From the end, as the last part ends there, and between two there is a block's header.
    for codec, body in reversed(parts):
        start = stop - len(body)
        times = _times(codec.fields)
        if times.any:
            yield from times.positions(octets, start, stop, inner)
        stop = start - _BLOCK_HEADER


def _unit(each: TemplateField) -> _Unit | None:
    unit = _UNITS.get(each.data_type.name)
    return unit if unit is not None and each.length == unit[0].size else None


def _times(fields: tuple[TemplateField, ...]) -> _Times:
    """Where the times are; equal layouts share that, but a thousand wide ones are gigabytes."""
    return _shared_times(fields) if len(fields) <= WIDE else _wide_times(fields)


_shared_times = lru_cache(_LAYOUTS)(_Times)
_wide_times = lru_cache(_WIDE_LAYOUTS)(_Times)


@kept_by_template
def _times_of(template: Template) -> _Times:
    return _times(template.fields)


class Rewriter:
    """Changes messages on their way: times to now, numbers from 0, another domain.

    ``retime`` moves the export time to now, and the times in the records by as much: how
    long ago a flow was stays the same. All messages of a domain move by the same whole
    seconds as long as that puts them within a second of now. NetFlow v9's times since boot
    count from the header and move with it. Times in lists (RFC 6313) move too, unless a list
    cannot be read, as one of an unknown template. ``renumber`` counts Data Records (IPFIX)
    or messages (v9) from 0, for each transport session and domain. ``domain`` is the
    observation domain, or source id, of all messages. ``clock`` gives seconds since 1970.

    Raises ValueError for a domain that is not in 32 bits.
    """

    def __init__(
        self,
        *,
        retime: bool = False,
        renumber: bool = False,
        domain: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if domain is not None and not 0 <= domain < 1 << 32:
            raise ValueError(f"domain {domain!r} is not in 0..{(1 << 32) - 1}")
        self.retime = retime
        self.renumber = renumber
        self.domain = domain
        #: Data Sets that came before their template: nobody knows where their times are.
        self.unread = 0
        self._clock = clock
        # By domain; those that were quiet for longest go when there are too many.
        self._shifts: OrderedDict[object, int] = OrderedDict()
        self._sequences: OrderedDict[object, int] = OrderedDict()

    def rewrite(self, read: MessageRead) -> bytes:
        """The octets of a message that was just read, changed as asked."""
        if not self.retime and not self.renumber and self.domain is None:
            return read.octets
        octets = bytearray(read.octets)
        time_at, sequence_at, domain_at = _HEADERS[read.version]
        if self.domain is not None:
            _WORD.pack_into(octets, domain_at, self.domain)
        if self.renumber or self.retime:
            known = [each for each in read.sets if each.template is not None]
            self.unread += len(read.sets) - len(known)
            if self.retime:
                shift = self._shift(read)
                _WORD.pack_into(octets, time_at, read.exported + shift & 0xFFFFFFFF)
                self._move_times(octets, read, known, shift)
            if self.renumber:
                _WORD.pack_into(octets, sequence_at, self._number(read, known))
        return bytes(octets)

    def _shift(self, read: MessageRead) -> int:
        """Seconds from the message's time to now, the same as before while that will do."""
        now = int(self._clock())
        key = read.domain.key
        shift = self._shifts.get(key)
        if shift is None or abs(read.exported + shift - now) > _DRIFT:
            shift = now - read.exported
        _put(self._shifts, key, shift)
        return shift

    def _move_times(
        self, octets: bytearray, read: MessageRead, known: list[DataRead], shift: int
    ) -> None:
        spans = None
        for each in known:
            assert each.template is not None
            times = _times_of(each.template)
            if not times.any:
                continue
            start, stop = each.start, each.stop
            if each.octets is not read.octets:
                # It waited for a template that came later in the message, and has its own.
                if spans is None:
                    header = IPFIX_HEADER if read.version == IPFIX_VERSION else V9_HEADER
                    spans, _, _ = walk_sets(read.octets, header.size, len(read.octets))
                _, start, stop = spans[each.index]
            times.shift(octets, start + 4, stop, shift, each.lists)

    def _number(self, read: MessageRead, known: list[DataRead]) -> int:
        domain = read.domain
        key = domain.transport, read.version, domain.id if self.domain is None else self.domain
        number = self._sequences.get(key, 0)
        step = 1
        if read.version == IPFIX_VERSION:
            step = sum(each.template.codec.count(each.body)[0] for each in known if each.template)
        _put(self._sequences, key, number + step & 0xFFFFFFFF)
        return number


def _put(table: OrderedDict[object, int], key: object, number: int) -> None:
    table[key] = number
    table.move_to_end(key)
    if len(table) > DOMAINS:
        table.popitem(last=False)


@dataclass(slots=True)
class Replayed:
    """What a replay has sent so far. ``unread`` are Data Sets as in :class:`Rewriter`.

    ``exporters`` are all that sent it, or the first :data:`DOMAINS` of them.
    """

    messages: int = 0
    octets: int = 0
    loops: int = 0
    refused: int = 0
    unread: int = 0
    seconds: float = 0.0
    exporters: set[TransportKey] = field(default_factory=set)

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds if self.seconds > 0 else 0.0


class _Senders:
    """A transport session for each one in the capture."""

    def __init__(self, to: Address, proto: str) -> None:
        self._to = to
        self._proto = proto
        self._open: OrderedDict[TransportKey, Sender] = OrderedDict()
        self._refused = 0

    def get(self, key: TransportKey) -> Sender:
        sender = self._open.get(key)
        if sender is None:
            if len(self._open) >= MAX_SENDERS:
                self._close(self._open.popitem(last=False)[1])
            sender = self._open[key] = Sender(self._to, self._proto)
        self._open.move_to_end(key)
        return sender

    @property
    def refused(self) -> int:
        return self._refused + sum(each.refused for each in self._open.values())

    def _close(self, sender: Sender) -> None:
        self._refused += sender.refused
        sender.close()

    def close(self) -> None:
        while self._open:
            self._close(self._open.popitem()[1])


def replay(
    source: str | os.PathLike[str] | BinaryIO,
    to: Address,
    proto: str = "udp",
    *,
    rate: float | None = None,
    jitter: float = 0.0,
    loop: int | None = 1,
    retime: bool = False,
    renumber: bool = False,
    domain: int | None = None,
    progress: Callable[[Replayed, CaptureFile], None] | None = None,
    totals: Replayed | None = None,
) -> Replayed:
    """Sends the messages of a capture or an IPFIX File to the collector at ``to``.

    ``source`` is a path, or a binary stream: pcap, pcapng, IPFIX File, gzip of each. The
    pace is that of the capture (in an IPFIX File: of export times) unless ``rate`` is given,
    in messages a second, or 0 for as fast as they go. ``jitter`` is the share (0.0 to 1.0)
    by which gaps vary. ``loop`` says how often, None without end. ``retime``, ``renumber``
    and ``domain`` are :class:`Rewriter`'s. Each transport session of the capture gets one of
    its own, from a port of its own.

    ``progress`` is called after each message. ``totals``, which is also what comes back, is
    kept up to date, so that it is right after an interruption too.

    Raises ValueError for arguments that cannot be, for a stream to be sent more than once,
    CaptureError for what is no capture, and what sending raises, OSError above all.
    """
    totals = totals or Replayed()
    if loop is not None and loop < 1:
        raise ValueError(f"loop {loop!r} is not a number of times above 0 (None: without end)")
    is_path = isinstance(source, (str, os.PathLike))
    if loop != 1 and not is_path:
        raise ValueError("a stream can be read once, it cannot be sent in a loop")
    rewriter = Rewriter(retime=retime, renumber=renumber, domain=domain)
    pace = Pace(rate or None, jitter)
    senders = _Senders(to, proto)
    started = time.monotonic()
    try:
        while loop is None or totals.loops < loop:
            before = totals.messages
            capture = CaptureFile(source)
            session = IPFIXSession()
            last: float | None = None
            for read in read_capture(capture, session):
                # Messages of an IPFIX File have no time but their own.
                now = session.collector.time or float(read.exported)
                gap = 0.0 if last is None else now - last
                pace.wait(gap if rate is None else None)
                last = now
                octets = rewriter.rewrite(read)
                key = read.domain.transport
                senders.get(key).send(octets)
                totals.messages += 1
                totals.octets += len(octets)
                if len(totals.exporters) < DOMAINS:
                    totals.exporters.add(key)
                totals.seconds = time.monotonic() - started
                if progress is not None:
                    progress(totals, capture)
            totals.loops += 1
            if totals.messages == before:
                break  # nothing to send, however often
    finally:
        totals.refused = senders.refused
        totals.unread = rewriter.unread
        totals.seconds = time.monotonic() - started
        senders.close()
    return totals

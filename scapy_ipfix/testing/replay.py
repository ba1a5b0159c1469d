# SPDX-License-Identifier: GPL-2.0-or-later
"""Replay of a capture to a collector, unchanged or with current times.

A :class:`Rewriter` changes times, sequence numbers and domain of a message, and nothing else.
:func:`replay` reads a source, keeps the pace of its exporters, and gives each Transport
Session of the capture one of its own, so that templates and sequence numbers stay apart.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import BinaryIO

from scapy_ipfix.collector.collected import CollectedMessage, CollectedSet
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.exporting.sending import Address, Pace, Sender
from scapy_ipfix.reading.capture import CaptureFile
from scapy_ipfix.reading.reader import read_capture
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.codec import WIDE, RecordCodec, field_offsets, record_codec
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.framing import (
    IPFIX_HEADER,
    IPFIX_VERSION,
    SET_HEADER,
    V9_HEADER,
    V9_VERSION,
    walk_sets,
)
from scapy_ipfix.wire.layout import STRUCTURED
from scapy_ipfix.wire.structured import ListContext, list_parts
from scapy_ipfix.wire.template import Template, cached_per_template

#: Greatest number of open Transport Sessions; the least recently used one is closed.
MAX_SENDERS = 256
#: Greatest difference from the current time, in seconds, with which a shift stays in use.
_DRIFT = 1
#: Layouts whose time fields are cached; a thousand wide ones would take gigabytes.
_LAYOUTS, _WIDE_LAYOUTS = 1024, 8
#: Greatest number of domains with a shift and a sequence number, and of counted exporters.
DOMAINS = 65_536

_WORD = struct.Struct("!I")
#: Offsets of export time, sequence number and domain in the message header, by version.
_HEADER_OFFSETS = {IPFIX_VERSION: (4, 8, 12), V9_VERSION: (8, 12, 16)}
#: Format of each time type, and a second in its unit (RFC 7011 6.1.7 to 6.1.10).
_UNITS = {
    "dateTimeSeconds": (struct.Struct("!I"), 1),
    "dateTimeMilliseconds": (struct.Struct("!Q"), 1000),
    "dateTimeMicroseconds": (struct.Struct("!Q"), 1 << 32),
    "dateTimeNanoseconds": (struct.Struct("!Q"), 1 << 32),
}
_Unit = tuple[struct.Struct, int]


class _TimeFields:
    """Time fields of one layout (RFC 7011 6.1.7 to 6.1.10), and lists that may hold some."""

    def __init__(self, fields: tuple[TemplateField, ...]) -> None:
        self.codec: RecordCodec = record_codec(fields)
        #: Position in the layout and unit of each time, position and type of each list.
        self._times: list[tuple[int, _Unit]] = []
        self._lists: list[tuple[int, str]] = []
        for position, each in enumerate(fields):
            unit = _UNITS.get(each.data_type.name)
            if unit is not None and each.length == unit[0].size:
                self._times.append((position, unit))
            elif each.data_type.name in STRUCTURED:
                self._lists.append((position, each.data_type.name))
        #: True if there is a time field or a list.
        self.any = bool(self._times or self._lists)
        #: Offset and unit of each time if these are the same in every record, else None.
        self._fixed: list[tuple[int, _Unit]] | None = None
        if self.codec.is_fixed and not self._lists:
            offsets = field_offsets(fields)
            self._fixed = [(offsets[position], unit) for position, unit in self._times]

    def find(self, body: bytes, base: int, lists: ListContext) -> Iterator[tuple[int, _Unit]]:
        """Yield offset and unit of each time in the records of a Set, lists included.

        ``base`` is added to the offsets in ``body``.
        """
        if self._fixed is not None:
            for record, _ in self.codec.record_spans(body)[0]:
                for offset, unit in self._fixed:
                    yield base + record + offset, unit
            return
        for spans in self.codec.field_spans(body):
            for position, unit in self._times:
                yield base + spans[position][0], unit
            for position, kind in self._lists:
                start, stop = spans[position]
                yield from _find_in_list(kind, body[start:stop], base + start, lists)


def _find_in_list(
    kind: str, octets: bytes, base: int, lists: ListContext
) -> Iterator[tuple[int, _Unit]]:
    """Yield offset and unit of each time in a list (RFC 6313); none if it is malformed."""
    inner = lists.nested()
    if inner is None or not octets:
        return
    parts, defect = list_parts(kind, octets, inner)
    if defect is not None:
        return
    for codec, body, start in parts:
        times = _time_fields(codec.fields)
        if times.any:
            yield from times.find(body, base + start, inner)


def _time_fields(fields: tuple[TemplateField, ...]) -> _TimeFields:
    """Return the time fields of a layout; few wide layouts are cached, as they are large."""
    return _shared_times(fields) if len(fields) <= WIDE else _wide_times(fields)


_shared_times = lru_cache(_LAYOUTS)(_TimeFields)
_wide_times = lru_cache(_WIDE_LAYOUTS)(_TimeFields)


@cached_per_template
def _template_times(template: Template) -> _TimeFields:
    return _time_fields(template.fields)


def _move(octets: bytearray, position: int, unit: _Unit, seconds: int) -> None:
    """Move a time; one of 0 stays, which is none, and so does one that would not fit."""
    packer, second = unit
    (value,) = packer.unpack_from(octets, position)
    moved = value + seconds * second
    if second == 1 << 32:
        moved &= (1 << 64) - 1  # NTP seconds wrap in 2036
    if value and 0 <= moved < 1 << (8 * packer.size):
        packer.pack_into(octets, position, moved)


class Rewriter:
    """Rewrites times, sequence numbers and domain of messages.

    ``retime`` sets the export time to the current time, and moves the times in the records by
    the same number of seconds, so that the age of a flow stays the same. All messages of a
    domain move by the same whole seconds as long as the result is within a second of the
    current time. The times of NetFlow v9 that count from the start of the exporter depend on
    the header and need no change. Times in lists (RFC 6313) move too, except in a list that
    cannot be decoded. ``renumber`` counts Data Records (IPFIX) or messages (NetFlow v9) from
    0, for each Transport Session and domain. ``domain`` is the Observation Domain id, or
    source id, of all messages. ``clock`` returns seconds since 1970.

    Raises ValueError for a domain that does not fit 32 bits.
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
        #: Data Sets without a template so far: the offsets of their times are unknown.
        self.undecoded = 0
        self._clock = clock
        # Shifts by domain, in the order of use; beyond DOMAINS the least recently used is dropped.
        self._shifts: OrderedDict[object, int] = OrderedDict()
        self._sequences: OrderedDict[object, int] = OrderedDict()

    def rewrite(self, read: CollectedMessage) -> bytes:
        """Return the octets of a message that was just read, with the changes."""
        if not self.retime and not self.renumber and self.domain is None:
            return read.octets
        octets = bytearray(read.octets)
        time_at, sequence_at, domain_at = _HEADER_OFFSETS[read.version]
        if self.domain is not None:
            _WORD.pack_into(octets, domain_at, self.domain)
        if self.renumber or self.retime:
            known = [each for each in read.sets if each.template is not None]
            self.undecoded += len(read.sets) - len(known)
            if self.retime:
                shift = self._shift(read)
                _WORD.pack_into(octets, time_at, read.export_time + shift & 0xFFFFFFFF)
                self._move_times(octets, read, known, shift)
            if self.renumber:
                _WORD.pack_into(octets, sequence_at, self._number(read, known))
        return bytes(octets)

    def _shift(self, read: CollectedMessage) -> int:
        """Return the seconds to move times by: those of the message before if still right."""
        now = int(self._clock())
        key = read.domain.key
        shift = self._shifts.get(key)
        if shift is None or abs(read.export_time + shift - now) > _DRIFT:
            shift = now - read.export_time
        _put(self._shifts, key, shift)
        return shift

    def _move_times(
        self, octets: bytearray, read: CollectedMessage, known: list[CollectedSet], shift: int
    ) -> None:
        spans = None
        for each in known:
            assert each.template is not None
            times = _template_times(each.template)
            if not times.any:
                continue
            start, stop = each.start, each.stop
            if each.octets is not read.octets:
                # A pending Data Set has its own copy of the octets; find it in the message.
                if spans is None:
                    header = IPFIX_HEADER if read.version == IPFIX_VERSION else V9_HEADER
                    spans, _, _ = walk_sets(read.octets, header.size, len(read.octets))
                _, start, stop = spans[each.index]
            start += SET_HEADER.size
            for position, unit in times.find(bytes(octets[start:stop]), start, each.lists):
                _move(octets, position, unit, shift)

    def _number(self, read: CollectedMessage, known: list[CollectedSet]) -> int:
        domain = read.domain
        key = domain.transport, read.version, domain.id if self.domain is None else self.domain
        number = self._sequences.get(key, 0)
        step = 1
        if read.version == IPFIX_VERSION:
            step = sum(
                each.template.codec.count_records(each.body)[0] for each in known if each.template
            )
        _put(self._sequences, key, number + step & 0xFFFFFFFF)
        return number


def _put(table: OrderedDict[object, int], key: object, number: int) -> None:
    table[key] = number
    table.move_to_end(key)
    if len(table) > DOMAINS:
        table.popitem(last=False)


@dataclass(slots=True)
class ReplayTotals:
    """Totals of a replay so far.

    ``undecoded`` are Data Sets as in :class:`Rewriter`; ``exporters`` the Transport Sessions
    of the capture, at most :data:`DOMAINS` of them.
    """

    messages: int = 0
    octets: int = 0
    loops: int = 0
    refused: int = 0
    undecoded: int = 0
    seconds: float = 0.0
    exporters: set[TransportKey] = field(default_factory=set)

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds if self.seconds > 0 else 0.0

    def add(self, octets: bytes, exporter: TransportKey, seconds: float) -> None:
        """Count a message that was sent ``seconds`` after the begin of the replay."""
        self.messages += 1
        self.octets += len(octets)
        self.seconds = seconds
        if len(self.exporters) < DOMAINS:
            self.exporters.add(exporter)

    def finish(self, refused: int, undecoded: int, seconds: float) -> None:
        """Store the totals that are known at the end of the replay."""
        self.refused, self.undecoded, self.seconds = refused, undecoded, seconds


class _Senders:
    """Senders to one collector, one for each Transport Session of the capture."""

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
    progress: Callable[[ReplayTotals, CaptureFile], None] | None = None,
    totals: ReplayTotals | None = None,
) -> ReplayTotals:
    """Send the messages of a capture or an IPFIX File to the collector at ``to``.

    ``source`` is the path of a pcap, pcapng or IPFIX File, gzip or not, or a binary stream of
    one. The pace is that of the capture, or of the export times in an IPFIX File, unless
    ``rate`` is given in messages per second, 0 for no limit. ``jitter`` is the share (0.0 to
    1.0) by which gaps vary. ``loop`` is the number of rounds, None for no end. ``retime``,
    ``renumber`` and ``domain`` are those of :class:`Rewriter`. Each Transport Session of the
    capture gets one of its own, from its own port.

    ``progress`` is called after each message. ``totals`` is updated all the time, also before
    an interruption, and returned.

    Raises ValueError for arguments out of range and for a stream with ``loop``, CaptureError
    for a source that is no capture, OSError and ValueError as :class:`.Sender` does.
    """
    totals = totals or ReplayTotals()
    _check_loop(loop, source)
    rewriter = Rewriter(retime=retime, renumber=renumber, domain=domain)
    pace = Pace(rate or None, jitter)
    started = time.monotonic()
    with contextlib.closing(_Senders(to, proto)) as senders:
        try:
            while loop is None or totals.loops < loop:
                capture, before = CaptureFile(source), totals.messages
                for read in _due_messages(capture, pace, rate is None):
                    octets, key = rewriter.rewrite(read), read.domain.transport
                    senders.get(key).send(octets)
                    totals.add(octets, key, time.monotonic() - started)
                    if progress is not None:
                        progress(totals, capture)
                totals.loops += 1
                if totals.messages == before:
                    break  # no round has a message
        finally:
            totals.finish(senders.refused, rewriter.undecoded, time.monotonic() - started)
    return totals


def _check_loop(loop: int | None, source: object) -> None:
    if loop is not None and loop < 1:
        raise ValueError(f"loop {loop!r} is not a number of rounds above 0 (None: no end)")
    if loop != 1 and not isinstance(source, (str, os.PathLike)):
        raise ValueError("a stream can be read once, not in a loop; give the path of a file")


def _due_messages(capture: CaptureFile, pace: Pace, keeps_gaps: bool) -> Iterator[CollectedMessage]:
    """Yield each message when it is due; ``keeps_gaps`` is the pace of the capture."""
    session = IPFIXSession()
    last: float | None = None
    for read in read_capture(capture, session):
        # Messages of an IPFIX File have no capture time.
        now = read.time or float(read.export_time)
        gap = 0.0 if last is None else now - last
        pace.wait(gap if keeps_gaps else None)
        last = now
        yield read

# SPDX-License-Identifier: GPL-2.0-or-later
"""Observation Domains (RFC 7011 2): templates, sequence numbers and counters of each.

A :class:`Domain` belongs to one Transport Session. NetFlow v9 has a sourceId in its place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from scapy_ipfix.collector.metadata import DomainKey, Metadata
from scapy_ipfix.collector.sequence import (
    Counts,
    SequenceTracker,
    SharedSequence,
    StreamTrackers,
)
from scapy_ipfix.collector.templatestore import TemplateStore
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.wire.diagnostics import Defect, Diagnostics


@dataclass(slots=True)
class DomainStats:
    """Counters of one Observation Domain. Times are export times, seconds since 1970."""

    messages: int = 0
    octets: int = 0
    records: int = 0
    templates: int = 0
    undecoded_sets: int = 0
    first_export: int | None = None
    last_export: int | None = None
    #: NetFlow v9: milliseconds since the exporter booted, in its last message.
    uptime: int | None = None
    #: NetFlow v9: milliseconds since 1970 at which it booted, by its last message, and the
    #: least uptime since then.
    booted: int | None = None
    least_uptime: int = 1 << 32


@dataclass(slots=True, eq=False)
class Domain:
    """Observation Domain of one Transport Session."""

    transport: TransportKey
    version: int
    id: int
    templates: TemplateStore
    streams: StreamTrackers
    shared: SharedSequence
    metadata: Metadata
    diagnostics: Diagnostics
    stats: DomainStats = field(default_factory=DomainStats)
    #: True if the Transport Session ended and no message has arrived since.
    ended: bool = False
    #: The exporter in diagnostics.
    exporter: str = field(init=False)
    #: The sequence numbers, in SCTP those of stream 0.
    sequence: SequenceTracker = field(init=False)

    def __post_init__(self) -> None:
        self.sequence = SequenceTracker(self.version)
        self.exporter = str(self.transport)

    @property
    def key(self) -> DomainKey:
        return self.transport, self.version, self.id

    def note(self, code: str, packet: int, set_index: int | None = None, **numbers: Any) -> None:
        """Record a diagnostic at a packet, which is counted from 1."""
        self.note_defects(((code, numbers),), packet, set_index)

    def note_defects(
        self, defects: Iterable[Defect | tuple[str, Any]], packet: int, set_index: int | None = None
    ) -> None:
        """Record what is wrong in a packet."""
        self.diagnostics.add_all(defects, packet, self.exporter, self.id, set_index, self.version)

    def count_message(
        self, counts: Counts, octets: int, records: int, packet: int, stream: int = 0
    ) -> None:
        """Count a message that was read, and follow its sequence number.

        All that either path of reading keeps of a message. ``octets`` and ``records`` are its
        size, ``stream`` is that of SCTP.
        """
        stats, shared = self.stats, self.shared
        stats.messages += 1
        stats.octets += octets
        stats.records += records
        stats.last_export = counts.export_time
        tracker = self.streams.get(stream) if stream else self.sequence
        verdict = tracker.track(counts, shared.last if shared.domains > 1 else None)
        shared.last = counts
        if verdict is not None:
            numbers = verdict._asdict()
            self.note(numbers.pop("code"), packet, **numbers)

    def end(self) -> None:
        """End the Transport Session: templates go, counters stay (RFC 7011 8.1)."""
        self.ended = True
        self.templates.clear()
        self.sequence.last = None
        self.streams.end()

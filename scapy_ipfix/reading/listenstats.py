# SPDX-License-Identifier: GPL-2.0-or-later
"""Counters of a listener: what it received, and what was lost where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from scapy_ipfix.reading.streamreceiver import StreamReceiver
from scapy_ipfix.reading.tables import LowerBound, StatsRow
from scapy_ipfix.reading.udpreceiver import UDPReceiver
from scapy_ipfix.text import counted

Receiver: TypeAlias = UDPReceiver | StreamReceiver


@dataclass(frozen=True, slots=True)
class ListenStats:
    """Counters of a listener: what was received, and what was lost where.

    ``messages`` were received, with ``octets``; ``ignored`` of them are neither IPFIX nor
    NetFlow v9. ``records`` were in them. ``dropped`` datagrams were lost in the system, whose
    receive buffers were full; ``lost_records`` are missing by the sequence numbers of IPFIX,
    ``lost_messages`` by those of NetFlow v9 (RFC 3954 5.1), dropped ones included.
    ``buffer_requested`` and ``buffer_granted`` are octets of the smallest receive buffer.
    ``waiting`` octets were received and are not decoded yet. ``connections`` are open,
    ``refused`` ones were more than the limit.
    """

    messages: int
    octets: int
    records: int
    ignored: int
    dropped: int
    lost_records: int
    lost_messages: int
    buffer_requested: int
    buffer_granted: int
    waiting: int
    connections: int
    refused: int

    def __str__(self) -> str:
        parts = [counted(self.messages, "message"), counted(self.records, "record")]
        if self.ignored:
            parts.append(f"{counted(self.ignored, 'message')} of another protocol")
        parts.append(counted(self.dropped, "datagram") + " dropped by the system")
        if self.dropped and self.buffer_granted < self.buffer_requested:
            parts[-1] += (
                f" (receive buffer of {self.buffer_granted} octets, {self.buffer_requested} "
                "requested; raise net.core.rmem_max)"
            )
        parts.append(f"lost by sequence numbers: {self.lost_records} records")
        if self.lost_messages:
            parts[-1] += f" and {self.lost_messages} NetFlow v9 packets"
        if self.refused:
            parts.append(f"{counted(self.refused, 'connection')} refused")
        return ", ".join(parts)


def listen_stats(
    receivers: Sequence[Receiver], rows: Sequence[StatsRow], ignored: int, waiting: int
) -> ListenStats:
    """Return the counters of receivers and of the Observation Domains that they received."""
    buffers = [each for each in receivers if isinstance(each, UDPReceiver)]
    streams = [each for each in receivers if isinstance(each, StreamReceiver)]
    return ListenStats(
        messages=sum(each.messages for each in receivers),
        octets=sum(each.octets for each in receivers),
        records=sum(row.records for row in rows),
        ignored=ignored,
        dropped=sum(each.dropped for each in receivers),
        lost_records=_total([row.lost for row in rows if row.version != "v9"]),
        lost_messages=_total([row.lost for row in rows if row.version == "v9"]),
        buffer_requested=min((each.buffer_requested for each in buffers), default=0),
        buffer_granted=min((each.buffer_granted for each in buffers), default=0),
        waiting=waiting,
        connections=sum(each.connections for each in streams),
        refused=sum(each.refused for each in streams),
    )


def _total(numbers: Sequence[int]) -> int:
    total = sum(numbers)
    return LowerBound(total) if any(isinstance(each, LowerBound) for each in numbers) else total

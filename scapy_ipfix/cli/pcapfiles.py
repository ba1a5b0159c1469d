# SPDX-License-Identifier: GPL-2.0-or-later
"""Writer of received messages to pcap files that rotate by size and time."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path

from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.exporting.pcap import MAX_MESSAGE, PcapWriter

#: Ends of datagrams for sources that have no addresses.
_UNKNOWN = "0.0.0.0"
#: Octets of the headers of a message in a pcap: its own, Ethernet, IPv6, UDP.
_HEADERS = 16 + 14 + 40 + 8


class PcapFiles:
    """Writer of messages as UDP datagrams of their exporters, also those of connections.

    With ``max_size`` (octets) or ``max_seconds`` (by the messages' times) a file is followed
    by another, and ``path`` gets the time of its first message before the suffix:
    ``flows-20261128T092307.123456Z.pcap``. ``skipped`` counts messages that a datagram cannot hold.
    Raises OSError.
    """

    def __init__(
        self, path: str, max_size: int | None = None, max_seconds: float | None = None
    ) -> None:
        self.skipped = 0
        self._path = Path(path)
        self._max_size = max_size
        self._max_seconds = max_seconds
        self._is_rotating = max_size is not None or max_seconds is not None
        self._began = 0.0
        # Without rotation the file is made at once, so that an error shows at once.
        self._file = None if self._is_rotating else PcapWriter(path)
        if self._is_rotating and not os.access(self._path.parent, os.W_OK):
            raise OSError(f"{self._path.parent}: no directory to write to")

    def write(self, transport: TransportKey, time: float, octets: bytes) -> None:
        """Write a message that arrived at ``time``, in seconds since 1970."""
        if len(octets) > MAX_MESSAGE:
            self.skipped += 1
            return
        if self._file is None or self._is_full(time, len(octets)):
            self.close()
            self._file = PcapWriter(self._next_path(time))
            self._began = time
        source = transport.source or _UNKNOWN, transport.source_port or 0
        to = transport.destination or _UNKNOWN, transport.destination_port or 0
        self._file.write(time, octets, source, to)

    def _is_full(self, time: float, size: int) -> bool:
        if self._file is None or not self._file.messages:
            return False
        if self._max_size is not None and self._file.size + _HEADERS + size > self._max_size:
            return True
        return self._max_seconds is not None and time - self._began >= self._max_seconds

    def _next_path(self, time: float) -> Path:
        began = datetime.fromtimestamp(time, timezone.utc)
        stem = f"{self._path.stem}-{began:%Y%m%dT%H%M%S.%fZ}"
        path = self._path.with_name(f"{stem}{self._path.suffix}")
        number = 2
        while path.exists():
            path = self._path.with_name(f"{stem}-{number}{self._path.suffix}")
            number += 1
        return path

    def flush(self) -> None:
        """Write what is buffered to the file."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the present file."""
        if self._file is not None:
            self._file.close()

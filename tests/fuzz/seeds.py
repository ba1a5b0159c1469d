# SPDX-License-Identifier: GPL-2.0-or-later
"""Stories that mutants are made from: captures and the torture catalogue.

The captures in ``../shared`` may be absent; a number makes another mutant then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from unittest.mock import patch

from scapy_ipfix import torture
from scapy_ipfix.collector.collected import CollectedMessage
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.reading.capture import CaptureFile, plain_udp

from .shape import HEADER, Shape, number

ROOT = Path(__file__).parents[2]
CAPTURES = ROOT / "pcaps", ROOT.parent / "shared" / "captures"
EXPORT_TIME = 1_700_000_000
#: Bounds of stories and of the Data Sets in them.
_MESSAGES = 4
_RECORDS = 2
#: Octets of a whole story, for fast tests and for long runs.
SHORT, LONG = 640, 6000

Story = tuple[bytes, ...]


@cache
def stories(octets: int) -> tuple[Story, ...]:
    """Return all stories of at most ``octets`` octets, in a fixed order."""
    found: dict[Story, None] = {}
    for messages in _all():
        taken, size = [], 0
        for each in messages[:_MESSAGES]:
            size += len(each)
            if size <= octets:
                taken.append(each)
        found[tuple(taken)] = None
    found.pop((), None)
    return tuple(found)


def _all() -> Iterator[Sequence[bytes]]:
    for folder in CAPTURES:
        for path in sorted(folder.glob("*.pcap")):
            messages = list(_messages(path))
            for start in range(0, min(len(messages), 4 * _MESSAGES), _MESSAGES):
                yield messages[start : start + _MESSAGES]
    with patch("time.time", lambda: EXPORT_TIME):  # some cases contain the current time
        cases = [list(case.messages) for case in torture(export_time=EXPORT_TIME)]
    for messages in cases:
        yield messages[:: len(messages) // _MESSAGES or 1]


def _messages(path: Path) -> Iterator[bytes]:
    """Yield the export messages of a capture over UDP, with few records in each."""
    collector = Collector()
    known: set[bytes] = set()
    with CaptureFile(path) as capture:
        for frame in capture.frames():
            found = plain_udp(frame)
            if found is None or number(found[1]) not in HEADER:
                continue
            read = collector.read(TransportKey("udp", found[0].hex()), found[1])
            short = None if read is None else _shortened(read)
            if short is not None and short not in known:
                known.add(short)
                yield short


def _shortened(read: CollectedMessage) -> bytes:
    """Return a message with few records in each Data Set, and no more Data Sets than templates."""
    shape = Shape.of(read.octets)
    for data in read.sets:
        if data.template is None or data.index >= len(shape.sets):
            continue
        spans, _ = data.template.codec.record_spans(bytes(shape.sets[data.index][4:]))
        if len(spans) > _RECORDS:
            del shape.sets[data.index][4 + spans[_RECORDS - 1][1] :]
    shape.mend()
    return bytes(shape)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Invariants that hold for any octets; :func:`check` tests them on messages of one exporter.

* No operation on the packets and the session raises.
* ``bytes()`` of a packet, and of a copy, are the octets received, before and after its records
  are read.
* The fast reader and the layers give the same records and the same diagnostics.
* Records are inside of their Set, one after the other.
* Octets that are not read have a diagnostic.
* A stream gives the same messages wherever it is cut; each of its octets is in a message, or
  counted as skipped, lost or pending.
* Time is linear in the octets.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from random import Random
from typing import Any

from scapy.config import conf
from scapy.fields import RawVal
from scapy.layers.inet import UDP
from scapy.layers.sctp import SCTPChunkData
from scapy.packet import Packet

from scapy_ipfix import IPFIXSession, Record, Template, dissect, iter_records
from scapy_ipfix.collector.collected import CollectedMessage, CollectedSet
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.layers.messages import MESSAGE_CLASSES, Message
from scapy_ipfix.reading.capture import CaptureFile
from scapy_ipfix.reading.reader import read_sets
from scapy_ipfix.wire.stream import MessageStream

from .mutation import Mutant
from .shape import HEADER, Shape, number
from .worstcase import seconds, yardstick
from .wrapping import DATAGRAM, OTHER_PORT, chunks, packets, pcap, segments, udp

#: CPU time for reading, in times of the yardstick: for each message, and for each octet. Four
#: times what the worst messages take; test_worst.py is strict.
READ_FIXED, READ_OCTET = 1.5, 9e-4
#: The same for all checks of a mutant; Scapy takes most of it, to show fields.
ALL_FIXED, ALL_OCTET = 150.0, 0.3
_MEASURED = 3
#: Seconds of the yardstick when this module was imported, to find out cheaply what to measure.
_YARDSTICK = min(seconds(yardstick) for _ in range(_MEASURED))
_OF_SCAPY = frozenset({1, 5, 6, 7, 8})


class Broken(AssertionError):
    """Violation of the invariant ``what``."""

    def __init__(self, what: str, *details: object) -> None:
        super().__init__(": ".join([what, *(f"{each}"[:2000] for each in details)]))
        self.what = what


def _same(what: str, got: object, expected: object, *details: object) -> None:
    if got != expected:
        raise Broken(what, f"{got!r:.600} is not {expected!r:.600}", *details)


def check(mutant: Mutant, thorough: bool = False) -> None:
    """Check all invariants on a mutant; raise :class:`Broken`, or the error of the package.

    Showing, copying and evaluating a packet are slow, and done for one message of the mutant;
    ``thorough`` does them for all.
    """
    before = conf.debug_dissector
    # Scapy's own layers of these versions raise on truncated octets, and become Raw.
    conf.debug_dissector = not any(number(each) in _OF_SCAPY for each in mutant.messages)
    carry = CARRIERS[mutant.carrier]

    def run() -> None:
        carry(mutant.messages, Random(mutant.number), thorough)

    try:
        allowed = _allowed(mutant.messages, ALL_FIXED, ALL_OCTET)
        if seconds(run) > allowed * _YARDSTICK:
            _measure_again(run, allowed)
    finally:
        conf.debug_dissector = before


def _allowed(messages: Sequence[bytes], fixed: float, octet: float) -> float:
    return fixed * len(messages) + octet * sum(map(len, messages))


def _measure_again(run: Callable[[], object], allowed: float) -> None:
    """Raise Broken if ``run`` takes longer than ``allowed`` yardsticks, measured next to it."""
    best = float("inf")
    for _ in range(_MEASURED):
        best = min(best, seconds(run) / seconds(yardstick))
        if best <= allowed:
            return
    raise Broken("time", f"{best:.1f} times the yardstick, {allowed:.1f} are allowed")


# -- UDP


def _over_udp(
    messages: Sequence[bytes], rng: Random, thorough: bool, *, port: int = 4739, six: bool = False
) -> None:
    messages = [each[:DATAGRAM] for each in messages]
    frames = [udp(each, port, six=six) for each in messages]
    session = IPFIXSession(check_values=rng.random() < 0.3)
    made = packets(frames)
    for packet, frame, octets in zip(made, frames, messages):
        _same("bytes at first", bytes(packet), frame)
        noted = _noted(session)
        _same("the packet itself", session.process(packet) is packet, True)
        message = packet[UDP].payload
        if isinstance(message, Message) and isinstance(message.context, CollectedMessage):
            check_octets(message.context, _noted(session) > noted)
        elif len(octets) > 1 and number(octets) in HEADER and port == 4739:
            _same("a header that is cut off is noted", _noted(session) > noted, True)
    records = [values for packet in made for values in layer_records(packet)]
    for packet, frame in zip(made, frames):
        _same("bytes after its records were read", bytes(packet), frame)
    _look(made, rng, thorough)
    fast = IPFIXSession()
    capture = pcap(frames)
    found: list[dict[str, Any]] = []
    took = seconds(lambda: found.extend(iter_records(capture, session=fast)))
    allowed = _allowed(messages, READ_FIXED, READ_OCTET)
    if took > allowed * _YARDSTICK:
        _measure_again(lambda: list(iter_records(pcap(frames))), allowed)
    _agree(found, records, frames)
    _same_state(fast, session)
    if thorough or rng.random() < 0.1:
        _look_at_session(session)
    if thorough or rng.random() < 0.3:
        _alone(messages, rng)


def _same_state(one: IPFIXSession, other: IPFIXSession) -> None:
    """Check that two sessions have the same state at the end of the messages."""
    other._reader.note_incomplete("packets")
    if not other.collector.check_values:
        _same("diagnostics", one.diagnostics.counts, other.diagnostics.counts)
    _same("domains", _known(one), _known(other))
    _same("metadata", len(one.collector.metadata), len(other.collector.metadata))


def _known(session: IPFIXSession) -> dict[Any, Any]:
    return {
        domain.key: (domain.stats, dict(domain.templates), domain.sequence.lost)
        for domain in session.collector.domains
    }


def _agree(
    fast: list[dict[str, Any]], layers: list[dict[str, Any]], frames: Sequence[bytes]
) -> None:
    """Check for the same records in any order: pending ones are later in the fast reader."""
    if fast == layers:
        return
    one, other = sorted(map(repr, fast)), sorted(map(repr, layers))
    if one != other:
        # Lists wait for their template too: the layers are read after all messages.
        reads = list(read_sets(CaptureFile(pcap(frames)), IPFIXSession()))
        late = [record for read in reads for record in read.records()]
        one = sorted(map(repr, late))
    _same("number of records", len(one), len(other))
    for mine, theirs in zip(one, other):
        _same("records", mine, theirs)


def layer_records(packet: Packet) -> Iterator[dict[str, Any]]:
    """Yield the values of all records of a packet's messages."""
    for message in messages_of(packet):
        for record in message.records:
            if isinstance(record, Record):
                yield record.values()


def messages_of(packet: Packet) -> Iterator[Message]:
    """Yield the messages of a packet, also those in SCTP chunks."""
    layer = packet
    while layer:
        if isinstance(layer, Message):
            yield layer
        elif isinstance(layer, SCTPChunkData):
            data = layer.fields.get("data")
            if isinstance(data, Message):
                yield from messages_of(data)
        layer = layer.payload


def _noted(session: IPFIXSession) -> int:
    return sum(session.diagnostics.counts.values())


def _look(made: Sequence[Packet], rng: Random, thorough: bool) -> None:
    """Check that an interactive look at packets leaves them unchanged."""
    for packet in made:
        packet.summary()
        if thorough:
            _look_at(packet, rng)
    messages = [message for packet in made for message in messages_of(packet)]
    if messages and not thorough:
        messages = [rng.choice(messages)]
    for message in messages:
        said = message.summary()
        _look_at(message, rng)
        for record in message.records[:2]:
            if isinstance(record, Record):
                record.values("json"), record.values("python"), record.sampling_rate
        command = message.command()
        if thorough or rng.random() < 0.1:
            for defect in message.all_defects:
                str(defect)
            _same("what command says", bytes(_typed(command)), bytes(message), command)
        _same("what summary says of Sets once made", said, message.summary())


def _look_at(packet: Packet, rng: Random) -> None:
    octets = bytes(packet)
    packet.show(dump=True)
    _same("bytes after show", bytes(packet), octets)
    _same("bytes of a copy", bytes(packet.copy()), octets)
    if rng.random() < 0.02:
        packet.show2(dump=True)
        _same("bytes of a pickled one", bytes(pickle.loads(pickle.dumps(packet))), octets)


def _look_at_session(session: IPFIXSession) -> None:
    for each in session.diagnostics:
        str(each)
    repr(session), str(session.templates), str(session.stats), str(session.metadata)


def _typed(command: str) -> Packet:
    """Return the packet of a command; octets from the wire are literals in it."""
    if not _WORDS:
        _WORDS.update({each.__name__: each for each in conf.layers})
        _WORDS.update({"RawVal": RawVal, "Template": Template, "__builtins__": {}})
    typed: Packet = eval(command, _WORDS)
    return typed


_WORDS: dict[str, Any] = {}


def _alone(messages: Sequence[bytes], rng: Random) -> None:
    """Read messages without a session, as octets and as packets."""
    made = []
    for octets in messages:
        cls = MESSAGE_CLASSES.get(number(octets))
        if cls is not None:
            message = cls(octets)
            message.records, message.all_defects
            _same("bytes of a message", bytes(message), octets)
            made.append(cls(octets))
    which = rng.randrange(3)
    if which == 0:
        for message in dissect(made):
            _same("bytes after dissect", bytes(message), bytes(message.original))
            message.records
    elif which == 1:
        for values in ("json", "python"):
            for _ in iter_records(list(messages), values=values, resolve=True):
                pass
    else:
        list(iter_records(made))


def check_octets(read: CollectedMessage, noted: bool) -> None:
    """Check the places of records, and that unread octets have a diagnostic."""
    shape = Shape.of(read.octets)
    stop = len(read.octets) - len(shape.rest)
    unread = shape.rest.count(0) != len(shape.rest)
    at = len(shape.header)
    for index, each in enumerate(shape.sets):
        set_id = number(each)
        if set_id >= 256:
            data = read._at(index)
            if data is None:
                raise Broken("a Data Set that nobody read", index)
            unread |= check_records(data, bytes(each))
        elif set_id not in ((0, 1) if read.version == 9 else (2, 3)):
            unread |= len(each) > 4
        at += len(each)
    _same("sets and what follows", at, stop)
    if unread and not noted:
        raise Broken("octets that nobody read or noted", read.octets.hex())


def check_records(data: CollectedSet, octets: bytes) -> bool:
    """Check the places of a Data Set's records; return True if octets are left over."""
    if data.template is None:
        return len(octets) > 4
    body = octets[4:]
    _same("octets of a set", data.body, body)
    codec = data.template.codec
    spans, stop = codec.record_spans(body)
    last = 0
    for begin, end in spans:
        if not last == begin < end <= len(body):
            raise Broken("records overlap or leave the set", spans, len(body))
        last = end
    _same("the end of the last record", stop, last)
    _same("count", codec.count_records(body), (len(spans), stop))
    rest = body[last:]
    return rest.count(0) != len(rest) or 0 < codec.minimum <= len(rest)


def read_all(messages: Sequence[bytes]) -> int:
    """Read messages without packets; return the number of records."""
    collector, key, records = Collector(), TransportKey("message"), 0
    for octets in messages:
        read = collector.read(key, octets)
        for each in read.ready if read is not None else ():
            records += len(each.records())
    return records


# -- streams


def _over_tcp(messages: Sequence[bytes], rng: Random, thorough: bool) -> None:
    stream = b"".join(messages)
    whole = MessageStream()
    expected = whole.feed(stream)
    found = _over_stream(segments(messages, rng), rng, thorough)
    _same("messages of a stream", [_own(each) for each in found], expected)
    octets = sum(map(len, expected)) + whole.skipped + whole.waiting
    _same("octets of a stream", octets, len(stream))


def _over_sctp(messages: Sequence[bytes], rng: Random, thorough: bool) -> None:
    _over_stream(chunks(messages, rng), rng, thorough)


def _over_stream(frames: Sequence[bytes], rng: Random, thorough: bool) -> list[Message]:
    """Read the packets of a stream; return the messages found in them."""
    session, fast = IPFIXSession(), IPFIXSession()
    made = packets(frames)
    for packet, frame in zip(made, frames):
        _same("bytes at first", bytes(packet), frame)
        session.process(packet)
    found = [message for packet in made for message in messages_of(packet)]
    for message in found:
        read = message.context
        if isinstance(read, CollectedMessage):
            _same("what was read", read.octets, _own(message))
            check_octets(read, _noted(session) > 0)
    records = [values for packet in made for values in layer_records(packet)]
    _look(made, rng, thorough)
    _agree(list(iter_records(pcap(frames), session=fast)), records, frames)
    _same_state(fast, session)
    return found


def _own(message: Message) -> bytes:
    """Return the octets of a message without those after it."""
    return bytes(message.raw_packet_cache or b"")


CARRIERS: dict[str, Callable[[Sequence[bytes], Random, bool], None]] = {
    "udp": _over_udp,
    "udp6": partial(_over_udp, six=True),
    "other-port": partial(_over_udp, port=OTHER_PORT),
    "tcp": _over_tcp,
    "sctp": _over_sctp,
}

# SPDX-License-Identifier: GPL-2.0-or-later
"""What has to hold for any octets: :func:`check` says so of the messages of one exporter.

* Nothing raises, whatever is asked of the packets and of the session.
* ``bytes()`` of a packet are the octets that came, before and after its records were read, and
  so are those of a copy.
* The fast reader and the layers give the same records, and note the same diagnostics.
* Records are inside of their Set, one behind the other.
* What was not read has a diagnostic.
* A stream gives the same messages however it is cut; octets of it are in a message, or said to
  be skipped, lost or waiting.
* Time goes with the octets.
"""

from __future__ import annotations

import pickle
import time
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
from .wrapping import DATAGRAM, OTHER_PORT, chunks, packets, pcap, segments, udp

#: CPU seconds that reading may take: so many a message, and so many an octet. Four times what
#: the worst takes, for a machine with other things to do; test_time.py is strict.
READ_FIXED, READ_OCTET = 0.01, 6e-6
#: The same for all that is asked of a mutant; showing a field is Scapy's and takes its time.
ALL_FIXED, ALL_OCTET = 1.0, 0.002
_MEASURED = 3
_OF_SCAPY = frozenset({1, 5, 6, 7, 8})


class Broken(AssertionError):
    """An invariant that does not hold: ``what`` says which."""

    def __init__(self, what: str, *details: object) -> None:
        super().__init__(": ".join([what, *(f"{each}"[:2000] for each in details)]))
        self.what = what


def _same(what: str, got: object, expected: object, *details: object) -> None:
    if got != expected:
        raise Broken(what, f"{got!r:.600} is not {expected!r:.600}", *details)


def check(mutant: Mutant, thorough: bool = False) -> None:
    """Holds a mutant against everything above. Raises what is wrong, :class:`Broken` or not.

    What costs most, to show, copy and type a packet, is asked of one message of the mutant;
    ``thorough`` asks it of all.
    """
    before = conf.debug_dissector
    # Scapy's own layers of these versions fail on what is cut off, and it makes Raw of them.
    conf.debug_dissector = not any(number(each) in _OF_SCAPY for each in mutant.messages)
    started = time.process_time()
    carry = CARRIERS[mutant.carrier]
    try:
        carry(mutant.messages, Random(mutant.number), thorough)
        allowed = _allowed(mutant.messages, ALL_FIXED, ALL_OCTET)
        if time.process_time() - started > allowed:
            _timed(lambda: carry(mutant.messages, Random(mutant.number), thorough), allowed)
    finally:
        conf.debug_dissector = before


def _allowed(messages: Sequence[bytes], fixed: float, octet: float) -> float:
    return fixed * len(messages) + octet * sum(map(len, messages))


def _timed(run: Callable[[], object], allowed: float) -> None:
    """Measures again what took too long: somebody else may have had the machine."""
    best = float("inf")
    for _ in range(_MEASURED):
        started = time.process_time()
        run()
        best = min(best, time.process_time() - started)
        if best <= allowed:
            return
    raise Broken("time", f"{best:.3f} s of CPU, {allowed:.3f} s would do")


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
    started = time.process_time()
    found = list(iter_records(capture, session=fast))
    allowed = _allowed(messages, READ_FIXED, READ_OCTET)
    if time.process_time() - started > allowed:
        _timed(lambda: list(iter_records(pcap(frames))), allowed)
    _agree(found, records, frames)
    _same_state(fast, session)
    if thorough or rng.random() < 0.1:
        _look_at_session(session)
    if thorough or rng.random() < 0.3:
        _alone(messages, rng)


def _same_state(one: IPFIXSession, other: IPFIXSession) -> None:
    """Two sessions know the same of the same exporters, when there is no more to come."""
    other._reader.note_incomplete("packets")
    if not other.collector.check_values:
        _same("diagnostics", one.diagnostics.counts, other.diagnostics.counts)
    _same("domains", _known(one), _known(other))
    _same("metadata", len(one.collector.metadata), len(other.collector.metadata))


def _known(session: IPFIXSession) -> dict[Any, Any]:
    return {
        domain.key: (domain.stats, domain.templates, domain.sequence.lost)
        for domain in session.collector.domains
    }


def _agree(
    fast: list[dict[str, Any]], layers: list[dict[str, Any]], frames: Sequence[bytes]
) -> None:
    """The same records in any order: those that waited come late, in a packet they do not."""
    if fast == layers:
        return
    one, other = sorted(map(repr, fast)), sorted(map(repr, layers))
    if one != other:
        # A list waits for its template as well: the layers are looked at when all have come.
        reads = list(read_sets(CaptureFile(pcap(frames)), IPFIXSession()))
        late = [record for read in reads for record in read.records()]
        one = sorted(map(repr, late))
    _same("number of records", len(one), len(other))
    for mine, theirs in zip(one, other):
        _same("records", mine, theirs)


def layer_records(packet: Packet) -> Iterator[dict[str, Any]]:
    """The values of all records of a packet's messages."""
    for message in messages_of(packet):
        for record in message.records:
            if isinstance(record, Record):
                yield record.values()


def messages_of(packet: Packet) -> Iterator[Message]:
    """The messages of a packet, those in SCTP chunks as well."""
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
    """What a person asks of packets, which stay what they were."""
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
    """The packet that typing a command gives. What is from the wire in it are literals."""
    if not _WORDS:
        _WORDS.update({each.__name__: each for each in conf.layers})
        _WORDS.update({"RawVal": RawVal, "Template": Template, "__builtins__": {}})
    typed: Packet = eval(command, _WORDS)
    return typed


_WORDS: dict[str, Any] = {}


def _alone(messages: Sequence[bytes], rng: Random) -> None:
    """The layers without a session, and messages as octets and as packets."""
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
    """Whether records are where they should be, and what was not read was noted."""
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
    """Whether a Data Set holds its records; gives whether octets of it are left over."""
    if data.template is None:
        return len(octets) > 4
    body = octets[4:]
    _same("octets of a set", data.body, body)
    codec = data.template.codec
    spans, stop = codec.spans(body)
    last = 0
    for begin, end in spans:
        if not last == begin < end <= len(body):
            raise Broken("records overlap or leave the set", spans, len(body))
        last = end
    _same("the end of the last record", stop, last)
    _same("count", codec.count(body), (len(spans), stop))
    rest = body[last:]
    return rest.count(0) != len(rest) or 0 < codec.minimum <= len(rest)


def read_all(messages: Sequence[bytes]) -> int:
    """Reads messages without packets; gives how many records there were."""
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
    """Reads packets of a stream; gives the messages that came to be in them."""
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
    """The octets of a message without what follows it."""
    return bytes(message.raw_packet_cache or b"")


CARRIERS: dict[str, Callable[[Sequence[bytes], Random, bool], None]] = {
    "udp": _over_udp,
    "udp6": partial(_over_udp, six=True),
    "other-port": partial(_over_udp, port=OTHER_PORT),
    "tcp": _over_tcp,
    "sctp": _over_sctp,
}

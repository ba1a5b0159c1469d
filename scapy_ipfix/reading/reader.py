# SPDX-License-Identifier: GPL-2.0-or-later
"""Records and packets out of a source: a capture, an IPFIX File, packets, messages.

:func:`iter_records` is the fast way and builds no Packet; :func:`dissect` is the Scapy way
for packets at hand. Both put every message to the same session, and give the same records.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

from scapy.config import conf
from scapy.layers import l2, vxlan  # noqa: F401  (registers link types, and VXLAN)
from scapy.packet import Packet
from scapy.plist import PacketList

from scapy_ipfix.collector.collected import DataRead, MessageRead
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.layers.ports import PORTS
from scapy_ipfix.model.datatypes import VALUE_DOMAINS
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.reading.capture import ETHERNET, CaptureFile, Frame, is_capture_path, plain_udp
from scapy_ipfix.reading.fastpath import PlainReader
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.framing import is_export
from scapy_ipfix.wire.stream import FlowStream, MessageStream, read_messages
from scapy_ipfix.wire.template import V9_SCOPES

_KINDS = {"all": None, "data": False, "options": True}
_REPEATED = re.compile(r"(.+)(_[0-9]+)")
_SCOPES = frozenset(each.name for each in V9_SCOPES.values())
#: Destination ports behind which Scapy's layers may find another packet: L2TP, GTP-U, LISP,
#: VXLAN (three), GENEVE, TZSP.
_TUNNELS = frozenset(
    port.to_bytes(2, "big") for port in (1701, 2152, 4341, 4789, 4790, 8472, 6081, 37008)
)
#: Kinds of file that have no packets, but messages end to end.
_MESSAGE_FILES = frozenset(("ipfix", "v9"))
#: The octets that a message begins with.
_VERSIONS = frozenset((b"\x00\x09", b"\x00\x0a"))
#: Endpoints whose transport session is remembered between messages.
_REMEMBERED = 65536


@overload
def iter_records(
    source: Any,
    fields: None = None,
    kind: str = "all",
    values: str = "scapy",
    *,
    resolve: bool = False,
    lists: bool = True,
    session: IPFIXSession | None = None,
) -> Iterator[dict[str, Any]]: ...
@overload
def iter_records(
    source: Any,
    fields: Sequence[str],
    kind: str = "all",
    values: str = "scapy",
    *,
    resolve: bool = False,
    lists: bool = True,
    session: IPFIXSession | None = None,
) -> Iterator[tuple[Any, ...]]: ...
def iter_records(
    source: Any,
    fields: Sequence[str] | None = None,
    kind: str = "all",
    values: str = "scapy",
    *,
    resolve: bool = False,
    lists: bool = True,
    session: IPFIXSession | None = None,
) -> Iterator[Any]:
    """The Data Records of a source, each a dict keyed by element name.

    ``source`` is a path or an open binary file (pcap, pcapng, IPFIX Messages or NetFlow v9
    packets end to end, each with gzip or without), packets, or messages as packets or bytes.
    ``fields`` (element names, NetFlow v9 names too) gives tuples in that order, of the records
    that have them all.
    ``kind`` is "all", "data" or "options". ``values`` "scapy" is as Record fields have them,
    "python" gives ``ipaddress`` and aware ``datetime``, "json" what JSON can have: times as
    ISO text, octets in hexadecimal. ``resolve`` adds what options records said of sampling,
    interfaces, VRFs and applications (``sampling_rate``, ``ingress_interface_name``, ...) to
    the dicts, and does not go with ``fields``. ``lists=False`` leaves structured data (RFC
    6313) as octets, which takes less time. ``session`` keeps what is learned, for a look at
    its diagnostics afterwards or to go on with the next file.

    Records whose template comes late come when it does. Raises ValueError for an unknown
    ``kind``, ``values`` or element, or ``fields`` beside ``resolve``, CaptureError (a
    ValueError) for a file that is no capture, OSError.
    """
    options = options_wanted(kind)
    if values not in VALUE_DOMAINS:
        raise ValueError(f"values is one of {', '.join(VALUE_DOMAINS)}, not {values!r}")
    session = session or IPFIXSession()
    if resolve and fields is not None:
        raise ValueError("resolve adds to dicts, and with fields records are tuples: give one")
    names = None if fields is None else field_names(fields, session.collector.model)
    return _records(iter_sets(source, session), names, options, values, resolve, lists)


def options_wanted(kind: str) -> bool | None:
    """What ``Template.is_options`` is for records of a kind; None: either. Raises ValueError."""
    if kind not in _KINDS:
        raise ValueError(f"kind is 'all', 'data' or 'options', not {kind!r}")
    return _KINDS[kind]


def _records(
    sets: Iterable[DataRead],
    names: tuple[str, ...] | None,
    options: bool | None,
    values: str,
    resolve: bool,
    lists: bool,
) -> Iterator[Any]:
    for read in sets:
        template = read.template
        assert template is not None
        if options is not None and template.is_options is not options:
            continue
        yield from read.records(names, values, resolve, lists)


def iter_sets(source: Any, session: IPFIXSession) -> Iterator[DataRead]:
    """The Data Sets of a source that can be decoded, each with its template.

    One that waits for its template comes when that does. ``source`` is as in
    :func:`iter_records`.
    """
    # opened here and not at the first next(), so that a missing file is an error at once
    if is_capture_path(source):
        return read_sets(CaptureFile(source), session)
    messages = iter_messages(source, session)
    return (read for message in messages for read in message.ready)


def iter_messages(source: Any, session: IPFIXSession) -> Iterator[MessageRead]:
    """The messages of a source as the session read them; see :func:`iter_records`.

    A path is opened before the first message is asked for, so that a missing file is an
    error at once.
    """
    if is_capture_path(source):
        return read_capture(CaptureFile(source), session)
    if isinstance(source, (Packet, bytes, bytearray)):
        source = [source]
    return _from_items(iter(source), session)


def _from_items(items: Iterable[Any], session: IPFIXSession) -> Iterator[MessageRead]:
    loose = TransportKey("message")
    for item in items:
        if isinstance(item, (bytes, bytearray)):
            session.packets += 1
            read = session.collector.read(loose, bytes(item), packet=session.packets)
            if read is not None:
                yield read
        elif isinstance(item, Packet):
            yield from session.take(item)
        else:
            raise ValueError(f"{type(item).__name__} is no packet and no octets: {item!r:.60}")


def read_capture(capture: CaptureFile, session: IPFIXSession) -> Iterator[MessageRead]:
    """The messages of an open capture as the session read them; closes it at the end."""
    with capture:
        if capture.kind in _MESSAGE_FILES:
            yield from _from_messages(capture, session)
        else:
            frames = _Frames(session)
            for frame in capture.frames():
                yield from frames.read(frame)
        if capture.cut is not None:
            session.note_cut(capture.name, capture.cut)
        session.note_waiting(capture.name)


def _from_messages(capture: CaptureFile, session: IPFIXSession) -> Iterator[MessageRead]:
    cutter = FlowStream() if capture.kind == "v9" else MessageStream()
    key = TransportKey("file", capture.name)
    skipped = 0
    for octets in read_messages(capture.stream, cutter):
        session.packets += 1
        if cutter.skipped > skipped:
            session.note_skipped(key, cutter.skipped - skipped)
            skipped = cutter.skipped
        read = session.collector.read(key, octets, packet=session.packets)
        if read is not None:
            yield read
    if cutter.skipped > skipped:
        session.note_skipped(key, cutter.skipped - skipped)


def read_sets(capture: CaptureFile, session: IPFIXSession) -> Iterator[DataRead]:
    """The Data Sets of an open capture that can be decoded; closes it at the end.

    They are those of the messages that :func:`read_capture` gives, in less time.
    """
    if capture.kind in _MESSAGE_FILES:
        yield from (read for message in read_capture(capture, session) for read in message.ready)
        return
    frames = _Frames(session)
    read_plain = PlainReader(session.collector, frames.transports).read
    with capture:
        for time, link_type, octets, start, stop in capture.spans():
            if link_type == ETHERNET:
                read = read_plain(octets, start, stop, time, session.packets + 1)
                if read is not None:
                    session.packets += 1
                    yield read
                    continue
            for message in frames.read(Frame(time, link_type, octets[start:stop])):
                yield from message.ready
        if capture.cut is not None:
            session.note_cut(capture.name, capture.cut)
        session.note_waiting(capture.name)


class _Frames:
    """Reads frames into a session.

    ``transports`` are the transport sessions whose plain messages count, by endpoints as
    :func:`plain_udp` gives them.
    """

    def __init__(self, session: IPFIXSession) -> None:
        self.transports: dict[bytes, TransportKey] = {}
        self._session = session
        self._any_port = session.any_port
        self._known: dict[bytes, tuple[TransportKey, bool]] = {}

    def read(self, frame: Frame) -> Sequence[MessageRead]:
        """The messages in a frame."""
        session = self._session
        found = plain_udp(frame)
        if found is None or found[0][-2:] in _TUNNELS:
            return session.take(_packet(frame))
        session.packets += 1
        ends, payload = found
        if payload[:2] not in _VERSIONS:
            return ()
        transport, bound = self._known.get(ends) or self._new(ends)
        if bound or (self._any_port and is_export(payload)):
            read = session.collector.read(transport, payload, frame.time, session.packets)
            if read is not None:
                return (read,)
        return ()

    def _new(self, ends: bytes) -> tuple[TransportKey, bool]:
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
            self.transports.clear()
        transport, bound = self._known[ends] = _transport(ends)
        if bound or self._any_port:
            self.transports[ends] = transport
        return transport, bound


def _transport(ends: bytes) -> tuple[TransportKey, bool]:
    family = socket.AF_INET if len(ends) == 12 else socket.AF_INET6
    size = (len(ends) - 4) // 2
    sport, dport = struct.unpack_from("!HH", ends, 2 * size)
    key = TransportKey(
        "udp",
        socket.inet_ntop(family, ends[:size]),
        sport,
        socket.inet_ntop(family, ends[size : 2 * size]),
        dport,
    )
    return key, sport in PORTS["udp"] or dport in PORTS["udp"]


def _packet(frame: Frame) -> Packet:
    """The frame as Scapy's layers see it; of an unknown link type, or unreadable, Raw."""
    layer = conf.l2types.num2layer.get(frame.link_type, conf.raw_layer)
    try:
        packet: Packet = layer(frame.octets)
    except Exception:  # any layer of Scapy's may fail on what a stranger captured
        packet = conf.raw_layer(frame.octets)
    packet.time = frame.time
    return packet


def dissect(packets: Iterable[Packet], session: IPFIXSession | None = None) -> PacketList:
    """Packets at hand with their Data Sets resolved, as ``sniff(session=...)`` gives them.

    Fragments are put together. ``session`` keeps what is learned, for the next call.
    """
    session = session or IPFIXSession()
    processed = [session.process(each) for each in packets]
    return PacketList([each for each in processed if each is not None], name="Dissected")


def field_names(fields: Sequence[str], model: InformationModel = elements) -> tuple[str, ...]:
    """The names that records have for what a person asks for; raises ValueError."""
    if isinstance(fields, str):
        raise ValueError(f"fields is a list of names, not the text {fields!r}")
    names = []
    for name in fields:
        repeated = _REPEATED.fullmatch(name)
        known = _known_name(name, model)
        if known is not None:
            names.append(known)
        elif repeated and (known := _known_name(repeated[1], model)) is not None:
            names.append(known + repeated[2])
        else:
            model[name]  # raises, with the names that come close
    return tuple(names)


def _known_name(name: str, model: InformationModel) -> str | None:
    """The name of an element or a NetFlow v9 scope in records, None if there is none."""
    element = model.get(name)
    if element is not None:
        return element.name
    # In a record, a name that several enterprises have is whichever's the template says.
    return name if name in _SCOPES or model.named(name) else None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Records and packets from a source: a capture, an IPFIX File, packets, messages.

:func:`iter_records` is the fast way and builds no Packet; :func:`dissect` is the Scapy way
for packets at hand. Both give every message to a session, so their records are equal.
"""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias, cast, overload

from scapy.config import conf
from scapy.layers import l2, vxlan  # noqa: F401  (registers link types, and VXLAN)
from scapy.packet import Packet
from scapy.plist import PacketList

from scapy_ipfix.collector.collected import CollectedMessage, CollectedSet
from scapy_ipfix.collector.transportkey import FILE, TransportKey
from scapy_ipfix.layers.bindings import PORTS
from scapy_ipfix.model.datatypes import VALUE_DOMAINS
from scapy_ipfix.model.element import FieldSpec, InformationElement
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.reading.capture import (
    ETHERNET,
    CaptureFile,
    FileSource,
    Frame,
    is_file_source,
    plain_udp,
)
from scapy_ipfix.reading.duplicates import DuplicateFilter, is_loopback
from scapy_ipfix.reading.fastpath import FastPathReader
from scapy_ipfix.reading.filters import Filter
from scapy_ipfix.reading.packetreader import VERSIONS, PacketReader
from scapy_ipfix.reading.recordfilter import RecordFilter
from scapy_ipfix.reading.selection import CONTEXT, ReadRecords, dict_reader, kind_of, tuple_reader
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.otherprotocols import FIRST_OCTETS
from scapy_ipfix.wire.resolvedvalues import RESOLVED_VALUES
from scapy_ipfix.wire.stream import FlowStream, MessageStream, read_messages
from scapy_ipfix.wire.v9scopes import V9_SCOPES

#: A source of records: a path or a file open in binary mode, with pcap, pcapng, or with IPFIX
#: Messages or NetFlow v9 packets end to end, each compressed with gzip or not; a packet, or
#: the octets of one message; an iterable of packets and octets of messages.
Source: TypeAlias = FileSource | Packet | bytes | Iterable[Packet | bytes]
#: Kinds of records: Options Data Records, others, or both.
Kind = Literal["all", "data", "options"]
#: Domains of values, see :func:`iter_records`.
Values = Literal["scapy", "python", "json"]

_IS_OPTIONS = {"all": None, "data": False, "options": True}
_REPEATED = re.compile(r"(.+)(_[0-9]+)")
_SCOPE_NAMES = frozenset(each.name for each in V9_SCOPES.values())
#: Destination ports behind which Scapy's layers may find another packet: L2TP, GTP-U, LISP,
#: VXLAN (three), GENEVE, TZSP.
_TUNNELS = frozenset(
    port.to_bytes(2, "big") for port in (1701, 2152, 4341, 4789, 4790, 8472, 6081, 37008)
)
#: Kinds of capture with messages end to end instead of packets.
_MESSAGE_FILES = frozenset(("ipfix", "v9"))
#: Upper limit for the endpoints whose transport session is cached.
_CACHED = 65536


@overload
def iter_records(
    source: Source,
    fields: None = None,
    kind: Kind = "all",
    values: Values = "scapy",
    *,
    resolve: bool = False,
    context: bool = False,
    lists: bool = True,
    where: str | Filter | None = None,
    session: IPFIXSession | None = None,
) -> Iterator[dict[str, Any]]: ...
@overload
def iter_records(
    source: Source,
    fields: Sequence[str],
    kind: Kind = "all",
    values: Values = "scapy",
    *,
    resolve: bool = False,
    context: bool = False,
    lists: bool = True,
    where: str | Filter | None = None,
    session: IPFIXSession | None = None,
) -> Iterator[tuple[Any, ...]]: ...
def iter_records(
    source: Source,
    fields: Sequence[str] | None = None,
    kind: Literal["all", "data", "options"] = "all",
    values: Literal["scapy", "python", "json"] = "scapy",
    *,
    resolve: bool = False,
    context: bool = False,
    lists: bool = True,
    where: str | Filter | None = None,
    session: IPFIXSession | None = None,
) -> Iterator[Any]:
    """Yield the Data Records of a source, each as a dict keyed by element name.

    ``source``
        a path or a file open in binary mode: pcap, pcapng, or IPFIX Messages or NetFlow v9
        packets end to end, each compressed with gzip or not. Or a packet, or the octets of one
        message, or an iterable of these.
    ``fields``
        names of elements (NetFlow v9's too), resolved values, context: each record is a tuple
        of these, in this order. Records without all of the elements are left out.
    ``kind``
        "data" leaves out the records of Options Templates (RFC 7011 3.4.2), "options" all others.
    ``values``
        "scapy": as in the fields of a Record: addresses as text, times as integers.
        "python": ``ipaddress`` objects and ``datetime`` in UTC. "json": times as ISO text,
        octets in hexadecimal.
    ``resolve``
        adds resolved values to the dicts: ``flow_start``, ``source_address``,
        ``sampling_rate`` and so on, see :mod:`~scapy_ipfix.wire.resolvedvalues`.
    ``context``
        adds the origin of each record to the dict: ``_exporter``, ``_packet`` and so on, see
        :mod:`~scapy_ipfix.reading.selection`.
    ``lists``
        False leaves structured data (RFC 6313) as octets, which takes less time.
    ``where``
        a filter expression, ``"dst port 443 and octets > 1e6"``: only the records that it
        selects, see :mod:`~scapy_ipfix.reading.filters`.
    ``session``
        keeps templates for the next call, and the diagnostics of this one.

    Records that arrive before their template follow when it arrives. Raises OSError, and
    ValueError for an unknown ``kind``, ``values`` or element, for ``fields`` with ``resolve``
    or ``context``, for a mistake in ``where`` (FilterError), or for a file that is not a
    capture (CaptureError).
    """
    session = session or IPFIXSession()
    read_records = record_reader(session, fields, kind, values, resolve, context, lists, where)
    return _records(iter_sets(source, session), read_records)


def _records(sets: Iterable[CollectedSet], read_records: ReadRecords) -> Iterator[Any]:
    for read in sets:
        yield from read_records(read)


def record_reader(
    session: IPFIXSession,
    fields: Sequence[str] | None = None,
    kind: str = "all",
    values: str = "scapy",
    resolve: bool = False,
    context: bool = False,
    lists: bool = True,
    where: str | Filter | None = None,
) -> ReadRecords:
    """Return the function that reads the records of a Data Set.

    The arguments are those of :func:`iter_records`; ``where`` is a filter. Raises ValueError.
    """
    read_records = _form_reader(session, fields, values, resolve, context, lists)
    if where is not None:
        record_filter = RecordFilter(where, session._reader.files, session.collector.model)
        read_records = record_filter.reader(read_records)
    is_options = parse_kind(kind)
    if is_options is None:
        return read_records
    return lambda read: read_records(read) if _is_of_kind(read, is_options) else []


def _is_of_kind(read: CollectedSet, is_options: bool) -> bool:
    return read.template is not None and read.template.is_options is is_options


def _form_reader(
    session: IPFIXSession,
    fields: Sequence[str] | None,
    values: str,
    resolve: bool,
    context: bool,
    lists: bool,
) -> ReadRecords:
    """Return the function that reads records as dicts or tuples. Raises ValueError."""
    if values not in VALUE_DOMAINS:
        raise ValueError(f"values is one of {', '.join(VALUE_DOMAINS)}, not {values!r}")
    files = session._reader.files
    if fields is None:
        return dict_reader(values, resolve, context, lists, files)
    if resolve or context:
        raise ValueError(
            f"{'resolve' if resolve else 'context'} adds to dicts, fields makes tuples: "
            "put names such as 'sampling_rate' or '_export_time' in fields"
        )
    return tuple_reader(field_names(fields, session.collector.model), values, lists, files)


def parse_kind(kind: str) -> bool | None:
    """Return ``Template.is_options`` of a kind of records, None for both. Raises ValueError."""
    if kind not in _IS_OPTIONS:
        raise ValueError(f"kind is 'all', 'data' or 'options', not {kind!r}")
    return _IS_OPTIONS[kind]


def iter_sets(source: Source, session: IPFIXSession) -> Iterator[CollectedSet]:
    """Yield the Data Sets of a source, each once its template is known.

    A file is opened by the call itself, so that a missing one raises OSError at once.
    """
    if is_file_source(source):
        return read_sets(CaptureFile(source), session)
    messages = iter_messages(source, session)
    return (read for message in messages for read in message.ready)


def iter_messages(source: Source, session: IPFIXSession) -> Iterator[CollectedMessage]:
    """Yield the messages of a source as the session collected them.

    A file is opened by the call itself, so that a missing one raises OSError at once.
    """
    if is_file_source(source):
        return read_capture(CaptureFile(source), session)
    if isinstance(source, (Packet, bytes, bytearray)):
        source = [source]
    return _from_items(iter(cast(Iterable[object], source)), session)


def _from_items(items: Iterable[object], session: IPFIXSession) -> Iterator[CollectedMessage]:
    reader = session._reader
    reader.files.begin(None, reader.count)
    bare = TransportKey("message")
    for item in items:
        if isinstance(item, (bytes, bytearray)):
            reader.count += 1
            read = session.collector.read(bare, bytes(item), packet=reader.count)
            if read is not None:
                yield read
        elif isinstance(item, Packet):
            if not reader.leaves_out(item):
                yield from reader.read(item)
        else:
            raise ValueError(
                f"{type(item).__name__} is not a packet and not octets: {item!r:.60}; "
                "read several files one after the other, with the same session"
            )
    reader.note_missing()


def read_capture(capture: CaptureFile, session: IPFIXSession) -> Iterator[CollectedMessage]:
    """Yield the messages of an open capture as the session collected them; close it then."""
    reader = session._reader
    reader.files.begin(capture.name, reader.count)
    with capture:
        if capture.kind in _MESSAGE_FILES:
            yield from _from_messages(capture, session)
        else:
            frames = _FrameReader(reader)
            for frame in capture.frames():
                yield from frames.read(frame)
        _note_end(capture, reader)


def _note_end(capture: CaptureFile, reader: PacketReader) -> None:
    """Record a truncated capture, and what is incomplete at its end."""
    if capture.cut is not None:
        reader.note("capture-cut", name=capture.name, why=capture.cut)
    reader.note_incomplete(capture.name)


def _from_messages(capture: CaptureFile, session: IPFIXSession) -> Iterator[CollectedMessage]:
    reader = session._reader
    splitter = FlowStream() if capture.kind == "v9" else MessageStream()
    key = TransportKey(FILE, capture.name)
    skipped = 0
    for octets in read_messages(capture.stream, splitter):
        reader.count += 1
        if splitter.skipped > skipped:
            reader.note("stream-resync", str(key), octets=splitter.skipped - skipped)
            skipped = splitter.skipped
        read = session.collector.read(key, octets, packet=reader.count)
        if read is not None:
            yield read
    if splitter.skipped > skipped:
        reader.note("stream-resync", str(key), octets=splitter.skipped - skipped)


def read_sets(capture: CaptureFile, session: IPFIXSession) -> Iterator[CollectedSet]:
    """Yield the Data Sets of an open capture, each once its template is known; close it then.

    These are the Data Sets of :func:`read_capture`, in less time.
    """
    if capture.kind in _MESSAGE_FILES:
        yield from (read for message in read_capture(capture, session) for read in message.ready)
        return
    reader = session._reader
    reader.files.begin(capture.name, reader.count)
    frames = _FrameReader(reader)
    read_fast = FastPathReader(session.collector, frames.transports).read
    with capture:
        for time, link_type, octets, start, stop in capture.spans():
            if link_type == ETHERNET:
                read = read_fast(octets, start, stop, reader.count + 1)
                if read is not None:
                    reader.count += 1
                    yield read
                    continue
            for message in frames.read(Frame(time, link_type, octets[start:stop])):
                yield from message.ready
        _note_end(capture, reader)


class _FrameReader:
    """Reader of captured frames: directly where a frame is plain UDP, else through Scapy.

    ``transports`` are the transport sessions that carry messages, by endpoints as
    :func:`plain_udp` returns them.
    """

    def __init__(self, reader: PacketReader) -> None:
        self.transports: dict[bytes, TransportKey] = {}
        self._reader = reader
        self._collector = reader.collector
        self._any_port = reader.any_port
        self._cached: dict[bytes, tuple[TransportKey, bool]] = {}
        #: Filter of the second copies on the loopback interface, until that shows packets once.
        self._copies = DuplicateFilter() if reader.deduplicate else None
        self._is_doubtful = False

    def read(self, frame: Frame) -> Sequence[CollectedMessage]:
        """Return the messages in a frame."""
        reader = self._reader
        if self._copies is not None and self._leaves_out(frame, self._copies):
            return ()
        found = plain_udp(frame)
        if found is None or found[0][-2:] in _TUNNELS:
            return reader.read(_dissect_frame(frame))
        reader.count += 1
        endpoints, payload = found
        if payload[:2] not in VERSIONS:
            self._note_unread(endpoints, payload)
            return ()
        transport, bound = self._cached.get(endpoints) or self._new(endpoints)
        if bound or (self._any_port and reader.recognises(transport, payload)):
            read = self._collector.read(transport, payload, frame.time, reader.count)
            if read is not None:
                return (read,)
        return ()

    def _note_unread(self, endpoints: bytes, payload: bytes) -> None:
        """Record a payload of another version, for the few ports and first octets that may be."""
        ports = PORTS["udp"]
        is_bound = (endpoints[-2] << 8 | endpoints[-1]) in ports
        is_bound = is_bound or (endpoints[-4] << 8 | endpoints[-3]) in ports
        if payload and (is_bound or payload[:2] in FIRST_OCTETS):
            self._reader.note_unread(_transport(endpoints)[0], payload, is_bound)

    def _leaves_out(self, frame: Frame, copies: DuplicateFilter) -> bool:
        """Return True for the second copy of a packet, which is counted.

        The fast path sees no copies: it reads no packets of a loopback interface unless that
        shows them once.
        """
        self._is_doubtful = is_loopback(frame.link_type, frame.octets)
        if not self._is_doubtful:
            return False
        if copies.is_copy(frame.link_type, frame.octets, frame.time):
            self._reader.count += 1
            self._reader.note_duplicate()
            return True
        if copies.shows_once:
            self._copies, self._is_doubtful = None, False
            for endpoints, (transport, bound) in self._cached.items():
                if bound or self._any_port:
                    self.transports[endpoints] = transport
        return False

    def _new(self, endpoints: bytes) -> tuple[TransportKey, bool]:
        if len(self._cached) >= _CACHED:
            self._cached.clear()
            self.transports.clear()
        transport, bound = self._cached[endpoints] = _transport(endpoints)
        if (bound or self._any_port) and not self._is_doubtful:
            self.transports[endpoints] = transport
        return transport, bound


def _transport(endpoints: bytes) -> tuple[TransportKey, bool]:
    """Return the transport session of endpoints, and True if one of its ports is bound."""
    family = socket.AF_INET if len(endpoints) == 12 else socket.AF_INET6
    size = (len(endpoints) - 4) // 2
    sport, dport = struct.unpack_from("!HH", endpoints, 2 * size)
    key = TransportKey(
        "udp",
        socket.inet_ntop(family, endpoints[:size]),
        sport,
        socket.inet_ntop(family, endpoints[size : 2 * size]),
        dport,
    )
    return key, sport in PORTS["udp"] or dport in PORTS["udp"]


def _dissect_frame(frame: Frame) -> Packet:
    """Return the frame dissected by Scapy; Raw for an unknown link type, or on any error."""
    layer = conf.l2types.num2layer.get(frame.link_type, conf.raw_layer)
    try:
        packet: Packet = layer(frame.octets)
    except Exception:  # any of Scapy's layers may fail on malformed octets
        packet = conf.raw_layer(frame.octets)
    packet.time = frame.time
    return packet


def dissect(packets: Iterable[Packet], session: IPFIXSession | None = None) -> PacketList:
    """Return packets with their Data Sets resolved, as ``sniff(session=...)`` does.

    Fragments are reassembled. ``session`` keeps templates for the next call. Raises TypeError
    for a path or octets.
    """
    if isinstance(packets, (str, bytes, os.PathLike)):
        raise TypeError(
            "dissect takes packets; for a file write sniff(offline=path, "
            "session=IPFIXSession()) or iter_records(path)"
        )
    session = session or IPFIXSession()
    processed = [session.process(each) for each in packets]
    session._reader.note_missing()
    return PacketList([each for each in processed if each is not None], name="Dissected")


def field_names(fields: Sequence[str], model: InformationModel = elements) -> tuple[str, ...]:
    """Return the names in records for the names that a user gave.

    Names of resolved values and of context stay as they are. Raises ValueError for an unknown
    name, with those that come close.
    """
    if isinstance(fields, str):
        raise ValueError(f"fields is a list of names, write [{fields!r}]")
    names = []
    for field in fields:
        name = _field_name(field, model)
        if kind_of(name) is not None:
            names.append(name)
            continue
        repeated = _REPEATED.fullmatch(name)
        known = _record_name(name, model)
        if known is not None:
            names.append(known)
        elif repeated and (known := _record_name(repeated[1], model)) is not None:
            names.append(known + repeated[2])
        else:
            close = get_close_matches(name, (*RESOLVED_VALUES, *CONTEXT))
            if close and "_" in name:
                raise ValueError(f"no value {name!r}; did you mean {', '.join(close)}?")
            model[name]  # raises ValueError
    return tuple(names)


def _field_name(field: Any, model: InformationModel) -> str:
    """Return the name of a field given as a name, an element, a spec or (pen, id)."""
    if isinstance(field, str):
        return field
    if isinstance(field, (FieldSpec, TemplateField)):
        return field.element.name
    if isinstance(field, InformationElement):
        return field.name
    if isinstance(field, tuple) and len(field) == 2:
        return model.element(*field).name
    raise TypeError(f"{field!r:.60} is not a field; give the name of an element")


def _record_name(name: str, model: InformationModel) -> str | None:
    """Return the name in records of an element or a NetFlow v9 scope, None if unknown."""
    element = model.get(name)
    if element is not None:
        return element.name
    # Elements of several enterprises may share a name; the template says which one it is.
    return name if name in _SCOPE_NAMES or model.candidates(name) else None

# SPDX-License-Identifier: GPL-2.0-or-later
"""The contestants: one function a competitor and task, each doing the same work.

Every function takes a :class:`Job` and returns an :class:`Entry`: what is timed, and an
untimed check that it read every record and read it right. Libraries are imported inside the
functions, as each function runs in a process that must have nothing else loaded: Scapy's
own NetFlow layer, for one, and ours want the same ports.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import ipaddress
import itertools
import json
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import workloads
from .workloads import DOMAIN, FLOW, FOUR, STRUCTURED, Files, Layout, Row, Workload

Sums = dict[str, int]


class NotAvailable(Exception):
    """The contestant does not offer this, or not yet."""


class NotInstalled(Exception):
    """The contestant is not on this machine."""


class Wrong(Exception):
    """The contestant read something other than what was written."""


@dataclass(frozen=True)
class Job:
    """Input of a contestant: a workload and its files."""

    workload: Workload
    messages: int
    files: Files


@dataclass(frozen=True)
class Entry:
    """Task of a contestant: ``run`` is timed and returns the number of records.

    ``check`` returns the sums of some elements over all records, or raises :class:`Wrong`.
    """

    run: Callable[[], int]
    check: Callable[[], Sums]


Contestant = Callable[[Job], Entry]
CONTESTANTS: dict[str, Contestant] = {}


def contestant(name: str) -> Callable[[Contestant], Contestant]:
    """Enter a function under a name, by which ``rows.py`` calls it."""

    def enter(function: Contestant) -> Contestant:
        CONTESTANTS[name] = function
        return function

    return enter


def load(module: str) -> Any:
    """Import a module of a package that may not be installed.

    One that is installed and cannot be imported is broken, which is something else.
    """
    package = module.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise NotInstalled(f"{package} is not installed")
    return importlib.import_module(module)


def ours(name: str) -> Any:
    """Return the public object of that name in scapy_ipfix, of any version."""
    try:
        return getattr(load("scapy_ipfix"), name)
    except AttributeError:
        raise NotAvailable(f"scapy_ipfix.{name} does not exist yet") from None


# -- checks ------------------------------------------------------------------------------


def as_number(name: str, value: Any) -> int:
    """Convert a value of any contestant to the number that the workload sums."""
    if isinstance(value, datetime):
        # python-ipfix and numpy give naive times, in UTC.
        moment = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return round(moment.timestamp() * 1000)
    if isinstance(value, str) and re.fullmatch(r"\d+\.\d+\.\d+\.\d+", value):
        return int(ipaddress.IPv4Address(value))
    if isinstance(value, Mapping):
        return sum(as_number(inner, one) for inner, one in value.items())
    if isinstance(value, (list, tuple)):
        return sum(as_number(name, one) for one in value)
    return workloads.number(name, value)


def summed(job: Job, records: Iterable[Any], get: Callable[[Any, str], Any]) -> Sums:
    """Sum the workload's checked elements over ``records``."""
    sums = dict.fromkeys(("records", *job.workload.checked), 0)
    for record in records:
        sums["records"] += 1
        for name in job.workload.checked:
            sums[name] += as_number(name, get(record, name))
    return sums


def by_name(record: Mapping[str, Any], name: str) -> Any:
    return record[name]


def renamed(names: Mapping[str, str]) -> Callable[[Mapping[str, Any], str], Any]:
    """Return :func:`by_name` for a contestant with names of its own."""
    return lambda record, name: record[names[name]]


def counted(records: Iterable[Any]) -> int:
    """Go through all records and do nothing with them: the loop that every reader is given."""
    count = 0
    for _ in records:
        count += 1
    return count


def reader(
    job: Job,
    records: Callable[[], Iterable[Any]],
    get: Callable[[Any, str], Any] = by_name,
) -> Entry:
    """Return the entry of a contestant that is an iterator of records."""
    return Entry(lambda: counted(records()), lambda: summed(job, records(), get))


def four(record: Any, name: str) -> Any:
    """Return one of the four elements from a tuple, as :func:`by_name` does."""
    # An element that was not asked for has no place in the tuple: nothing to sum up.
    return record[FOUR.index(name)] if name in FOUR else 0


def four_entry(job: Job, records: Callable[[], Iterable[Any]]) -> Entry:
    """Return the entry of an iterator of tuples; only the sums of these are checked."""

    def check() -> Sums:
        sums = summed(job, records(), four)
        return sums | {n: job.files.sums[n] for n in job.workload.checked if n not in FOUR}

    return Entry(lambda: counted(records()), check)


def data_octets(stream: bytes) -> Iterator[bytes]:
    """Yield the contents of the Data Sets of a stream of IPFIX messages."""
    offset = 0
    while offset < len(stream):
        (length,) = struct.unpack_from("!H", stream, offset + 2)
        for _, content in workloads.data_sets(stream[offset : offset + length]):
            yield content
        offset += length


# -- rows to craft from ------------------------------------------------------------------


def crafted(job: Job) -> list[list[Row]]:
    """Return the rows of each Data Set as integers."""
    return [rows for groups in workloads.sets_of(job.workload, job.messages) for _, rows in groups]


def text_row(layout: Layout, row: Row) -> Row:
    """Convert a row to the Scapy domain: addresses as text, times as integers."""
    return tuple(
        str(ipaddress.IPv4Address(value)) if element.kind == "ipv4" else value
        for element, value in zip(layout.elements, row, strict=True)
    )


def object_row(layout: Layout, row: Row, zone: timezone | None) -> Row:
    """Convert a row to Python objects: ``ipaddress`` and ``datetime``."""

    def convert(kind: str, value: Any) -> Any:
        if kind == "ipv4":
            return ipaddress.IPv4Address(value)
        if kind == "millis":
            moment = datetime.fromtimestamp(value // 1000, timezone.utc)
            return moment.replace(microsecond=value % 1000 * 1000, tzinfo=zone)
        return value

    return tuple(convert(e.kind, v) for e, v in zip(layout.elements, row, strict=True))


def crafting(job: Job, build: Callable[[Any], bytes], material: list[Any]) -> Entry:
    """Return the entry of a contestant that encodes Data Sets, one by one."""
    expected = [workloads.data_set(FLOW, rows) for rows in crafted(job)]

    def run() -> int:
        for one in material:
            build(one)
        return job.files.records

    def check() -> Sums:
        for one, octets in zip(material, expected, strict=True):
            if build(one) != octets:
                raise Wrong(f"wrong octets: {build(one)[:32].hex()}..., not {octets[:32].hex()}...")
        return {"records": job.files.records, **job.files.sums}

    return Entry(run, check)


def exporting(job: Job, export: Callable[[], bytes]) -> Entry:
    """Return the entry of a contestant that makes a stream of messages."""

    def run() -> int:
        export()
        return job.files.records

    def check() -> Sums:
        expected = b"".join(workloads.data_set(FLOW, rows)[4:] for rows in crafted(job))
        if b"".join(data_octets(export())) != expected:
            raise Wrong("the exported records are not those that were given")
        return {"records": job.files.records, **job.files.sums}

    return Entry(run, check)


# -- the limit ---------------------------------------------------------------------------


Unpacker = Callable[[bytes], Iterator[Row]]


def _unpackers(job: Job) -> list[tuple[Unpacker, tuple[str, ...], bytes]]:
    if not job.workload.fixed:
        raise NotAvailable("no limit: records of variable length")
    layouts = {layout.template_id: layout for layout in job.workload.layouts}
    structs = {key: struct.Struct(layout.format()) for key, layout in layouts.items()}
    sets: list[tuple[Unpacker, tuple[str, ...], bytes]] = []
    for message in workloads.payloads(job.files.pcap):
        for set_id, content in workloads.data_sets(message):
            size = structs[set_id].size
            content = content[: len(content) // size * size]
            sets.append((structs[set_id].iter_unpack, layouts[set_id].names, content))
    return sets


@contestant("limit: iter_unpack + dict(zip())")
def limit_dicts(job: Job) -> Entry:
    sets = _unpackers(job)

    def records() -> Iterator[dict[str, Any]]:
        for unpack, names, content in sets:
            for values in unpack(content):
                yield dict(zip(names, values))

    def run() -> int:
        # The loop itself, not a generator around it: this is the limit.
        count = 0
        for unpack, names, content in sets:
            for values in unpack(content):
                dict(zip(names, values))
                count += 1
        return count

    return Entry(run, lambda: summed(job, records(), by_name))


@contestant("limit: iter_unpack, four elements")
def limit_tuples(job: Job) -> Entry:
    layout = job.workload.layouts[0]
    code = "!" + "".join(
        workloads.code(element) if element.name in FOUR else f"{element.length}x"
        for element in layout.elements
    )
    unpack = struct.Struct(code).iter_unpack
    sets = [content for _, _, content in _unpackers(job)]

    def run() -> int:
        count = 0
        for content in sets:
            for _ in unpack(content):
                count += 1
        return count

    def records() -> Iterator[Row]:
        return itertools.chain.from_iterable(map(unpack, sets))

    return Entry(run, four_entry(job, records).check)


# -- ours --------------------------------------------------------------------------------


@contestant("iter_records")
def ours_dicts(job: Job) -> Entry:
    iter_records = ours("iter_records")
    lists = {e.name for one in job.workload.layouts for e in one.elements if e.kind == "list"}
    for name in lists:
        if isinstance(next(iter(iter_records(job.files.pcap)))[name], bytes):
            raise NotAvailable(f"{name} is not dissected yet")
    return reader(job, lambda: iter_records(job.files.pcap))


@contestant("iter_records, values='python'")
def ours_python(job: Job) -> Entry:
    iter_records = ours("iter_records")
    return reader(job, lambda: iter_records(job.files.pcap, values="python"))


@contestant("iter_records, lists=False")
def ours_without_lists(job: Job) -> Entry:
    iter_records = ours("iter_records")
    return reader(job, lambda: iter_records(job.files.pcap, lists=False))


@contestant("iter_records, four fields")
def ours_tuples(job: Job) -> Entry:
    iter_records = ours("iter_records")
    return four_entry(job, lambda: iter_records(job.files.pcap, fields=list(FOUR)))


@contestant("read_columns")
def ours_columns(job: Job) -> Entry:
    load("numpy")
    read_columns = ours("read_columns")

    def columns() -> dict[str, Any]:
        # One table for each template layout; workload (a) has one.
        (layout,) = read_columns(job.files.pcap).values()
        return layout  # type: ignore[no-any-return]

    def check() -> Sums:
        found = columns()
        counts = {len(found[name]) for name in FLOW.names}
        if len(counts) != 1:
            raise Wrong(f"columns of different lengths: {counts}")
        sums = {n: as_number(n, found[n].tolist()) for n in job.workload.checked}
        return {"records": counts.pop(), **sums}

    return Entry(lambda: len(columns()["octetDeltaCount"]), check)


def _scapy() -> Any:
    """Scapy, quiet, with the layers that a frame goes through before it is ours."""
    load("scapy.layers.l2")
    load("scapy.layers.inet")
    load("scapy.config").conf.verb = 0
    return load("scapy.sendrecv")


def _our_sniff() -> Callable[..., Any]:
    """Scapy's sniff with our session."""
    scapy, session = _scapy(), ours("IPFIXSession")
    return lambda **options: scapy.sniff(session=session, **options)


def _packets(job: Job, sniff: Callable[..., Any], store: bool = True) -> Callable[[], int]:
    """Sniff a file and leave the packets alone; the records in it, if every packet came."""

    def run() -> int:
        seen = 0

        def see(packet: Any) -> None:
            nonlocal seen
            seen += 1

        if store:
            seen = len(sniff(offline=job.files.pcap))
        else:
            sniff(offline=job.files.pcap, store=False, prn=see)
        return job.files.records if seen == job.files.packets else -1

    return run


@contestant("sniff, payload left Raw")
def scapy_raw(job: Job) -> Entry:
    # All of Scapy's layers, as ``from scapy.all import *`` loads them: each that is bound to
    # UDP is asked for every datagram, and counts in the time of this short row.
    raw = load("scapy.all").Raw
    sniff = _scapy().sniff

    def check() -> Sums:
        if not all(raw in packet for packet in sniff(offline=job.files.pcap)):
            raise Wrong("some payload is not Raw")
        return {"records": job.files.records, **job.files.sums}

    return Entry(_packets(job, sniff), check)


def _our_records(packets: Iterable[Any]) -> Iterator[Any]:
    for packet in packets:
        message = packet.lastlayer()
        for one in message.sets:
            yield from getattr(one, "records", ())


@contestant("sniff, IPFIXSession")
def ours_sniff(job: Job) -> Entry:
    load("scapy.all")
    sniff = _our_sniff()
    return Entry(
        _packets(job, sniff),
        lambda: summed(job, _our_records(sniff(offline=job.files.pcap)), getattr),
    )


@contestant("sniff, IPFIXSession, store=False")
def ours_sniff_unstored(job: Job) -> Entry:
    sniff = _our_sniff()
    return Entry(_packets(job, sniff, store=False), dict)


def _read_all(job: Job, sniff: Callable[..., Any], records: Callable[..., Iterable[Any]]) -> int:
    """Sniff; of every record, a Packet, read every field by its name."""
    count = 0
    names: dict[type, list[str]] = {}

    def read(packet: Any) -> None:
        nonlocal count
        for record in records((packet,)):
            cls = type(record)
            if cls not in names:
                names[cls] = [one.name for one in record.fields_desc]
            for name in names[cls]:
                getattr(record, name)
            count += 1

    sniff(offline=job.files.pcap, store=False, prn=read)
    return count


@contestant("sniff, IPFIXSession, every field read")
def ours_sniff_read(job: Job) -> Entry:
    sniff = _our_sniff()
    return Entry(
        lambda: _read_all(job, sniff, _our_records),
        lambda: summed(job, _our_records(sniff(offline=job.files.pcap)), getattr),
    )


@contestant("DataSet")
def ours_craft(job: Job) -> Entry:
    data_set, template = ours("DataSet"), ours("Template")(256, *FLOW.spec())
    rows = [
        [dict(zip(FLOW.names, text_row(FLOW, row), strict=True)) for row in one]
        for one in crafted(job)
    ]
    return crafting(job, lambda one: bytes(data_set(template=template, records=one)), rows)


def _our_export(job: Job, rows: list[Row]) -> Entry:
    exporter, template = ours("Exporter"), ours("Template")(256, *FLOW.spec())

    def export() -> bytes:
        messages = exporter(domain=DOMAIN, mtu=1400).export(template, rows)
        return b"".join(map(bytes, messages))

    return exporting(job, export)


@contestant("Exporter")
def ours_export(job: Job) -> Entry:
    return _our_export(job, [text_row(FLOW, row) for rows in crafted(job) for row in rows])


@contestant("Exporter, Python objects")
def ours_export_objects(job: Job) -> Entry:
    rows = [object_row(FLOW, row, timezone.utc) for rows in crafted(job) for row in rows]
    return _our_export(job, rows)


# -- python-ipfix ------------------------------------------------------------------------


def _python_ipfix() -> Any:
    load("ipfix.ie").use_iana_default()
    return load("ipfix")


@contestant("python-ipfix namedict")
def python_ipfix_dicts(job: Job) -> Entry:
    _python_ipfix()
    module = load("ipfix.v9pdu" if job.workload.version == 9 else "ipfix.reader")

    def records() -> Iterator[dict[str, Any]]:
        with open(job.files.stream, "rb") as stream:
            yield from module.from_stream(stream).namedict_iterator()

    # Straight to the iterator in the timed loop: no generator of ours around it.
    def run() -> int:
        with open(job.files.stream, "rb") as stream:
            return counted(module.from_stream(stream).namedict_iterator())

    # Lists are of no type that it knows, so it gives their octets under a name of its own.
    numbers = {e.name: e.number for e in STRUCTURED.elements if e.kind == "list"}
    names = {n: f"_ipfix_0_{numbers[n]}" if n in numbers else n for n in job.workload.checked}
    return Entry(run, lambda: summed(job, records(), renamed(names)))


@contestant("python-ipfix tuples")
def python_ipfix_tuples(job: Job) -> Entry:
    _python_ipfix()
    module = load("ipfix.reader")
    elements = load("ipfix.ie").spec_list(FOUR)

    def records() -> Iterator[Row]:
        with open(job.files.stream, "rb") as stream:
            yield from module.from_stream(stream).tuple_iterator(elements)

    def run() -> int:
        with open(job.files.stream, "rb") as stream:
            return counted(module.from_stream(stream).tuple_iterator(elements))

    return Entry(run, four_entry(job, records).check)


@contestant("python-ipfix export_tuple")
def python_ipfix_export(job: Job) -> Entry:
    _python_ipfix()
    writer_module = load("ipfix.writer")
    template = load("ipfix.template").for_specs(256, *FLOW.spec())
    rows = [object_row(FLOW, row, None) for rows in crafted(job) for row in rows]

    def export() -> bytes:
        stream = io.BytesIO()
        # The octets of a message in an mtu of 1400, after the headers of IPv6 and UDP.
        writer = writer_module.to_stream(stream, mtu=1352)
        writer.set_domain(DOMAIN)
        writer.add_template(template)
        writer.set_export_template(256)
        for row in rows:
            writer.export_tuple(row)
        writer.flush()
        return stream.getvalue()

    return exporting(job, export)


# -- netflume and netflow ----------------------------------------------------------------

_NETFLUME = {
    "sourceIPv4Address": "src_addr",
    "sourceTransportPort": "src_port",
    "destinationTransportPort": "dst_port",
    "octetDeltaCount": "octets",
    "packetDeltaCount": "packets",
    "flowStartMilliseconds": "flow_start_ms",
    "flowEndMilliseconds": "flow_end_ms",
    "interfaceName": "if_name",
}


@contestant("netflume")
def netflume(job: Job) -> Entry:
    decoder = load("netflume").Decoder
    data = workloads.payloads(job.files.pcap)

    def records() -> Iterator[dict[str, Any]]:
        decode = decoder().decode
        for payload in data:
            yield from decode(payload, "192.0.2.10").flows

    def run() -> int:
        decode = decoder().decode
        count = 0
        for payload in data:
            for _ in decode(payload, "192.0.2.10").flows:
                count += 1
        return count

    def check() -> Sums:
        # Elements in no table of netflume are integers or hexadecimal text.
        known = [name for name in job.workload.checked if name in _NETFLUME]
        sums = dict.fromkeys(("records", *known), 0)
        for record in records():
            sums["records"] += 1
            for name in known:
                sums[name] += as_number(name, record[_NETFLUME[name]])
        return job.files.sums | sums

    return Entry(run, check)


_V9_NAMES = {
    "sourceIPv4Address": "IPV4_SRC_ADDR",
    "destinationTransportPort": "L4_DST_PORT",
    "octetDeltaCount": "IN_BYTES",
    "flowStartMilliseconds": "NF_F_FLOW_CREATE_TIME_MSEC",
}


@contestant("netflow")
def netflow(job: Job) -> Entry:
    module = load("netflow")
    data = workloads.payloads(job.files.pcap)
    names = _V9_NAMES if job.workload.version == 9 else {n: n for n in job.workload.checked}

    def records() -> Iterator[dict[str, Any]]:
        templates: dict[str, Any] = {"netflow": {}, "ipfix": {}}
        for payload in data:
            for flow in module.parse_packet(payload, templates).flows:
                yield flow.data

    return reader(job, records, renamed(names))


# -- Scapy's own layer -------------------------------------------------------------------

_SCAPY_NAMES = {
    "sourceIPv4Address": "IPV4_SRC_ADDR",
    "destinationIPv4Address": "IPV4_DST_ADDR",
    "ipNextHopIPv4Address": "IPV4_NEXT_HOP",
    "sourceTransportPort": "L4_SRC_PORT",
    "destinationTransportPort": "L4_DST_PORT",
    "octetDeltaCount": "IN_BYTES",
    "packetDeltaCount": "IN_PKTS",
    "flowStartMilliseconds": "flowStartMilliseconds",
    "flowEndMilliseconds": "flowEndMilliseconds",
    "ingressInterface": "INPUT_SNMP",
    "egressInterface": "OUTPUT_SNMP",
    "bgpSourceAsNumber": "SRC_AS",
    "protocolIdentifier": "PROTOCOL",
    "ipClassOfService": "TOS",
    "tcpControlBits": "TCP_FLAGS",
    "flowDirection": "DIRECTION",
}


def _scapy_sniff() -> Callable[..., Any]:
    """Scapy's sniff with its own session, and the port that Scapy 2.8 leaves unbound, bound."""
    scapy, layers = _scapy(), load("scapy.layers.netflow")
    udp = load("scapy.layers.inet").UDP
    load("scapy.packet").bind_layers(udp, layers.NetflowHeader, dport=4739)
    return lambda **options: scapy.sniff(session=layers.NetflowSession, **options)


def _scapy_records(packets: Iterable[Any]) -> Iterator[Any]:
    layer = load("scapy.layers.netflow").NetflowDataflowsetV9
    for packet in packets:
        current = packet.getlayer(layer)
        while current is not None:
            yield from current.records
            current = current.payload.getlayer(layer)


def _scapy_get(record: Any, name: str) -> Any:
    try:
        return record.fields[_SCAPY_NAMES[name]]
    except KeyError:
        raise Wrong(f"records come without {name}") from None


@contestant("Scapy NetflowSession")
def scapy_session(job: Job) -> Entry:
    sniff = _scapy_sniff()

    def run() -> int:
        count = 0

        def take(packet: Any) -> None:
            nonlocal count
            for record in _scapy_records((packet,)):
                # The dict of its values: what a reader of dicts is asked for.
                _ = record.fields
                count += 1

        sniff(offline=job.files.pcap, store=False, prn=take)
        return count

    return Entry(
        run,
        lambda: summed(job, _scapy_records(sniff(offline=job.files.pcap)), _scapy_get),
    )


@contestant("Scapy NetflowSession, every field read")
def scapy_session_read(job: Job) -> Entry:
    sniff = _scapy_sniff()
    return Entry(
        lambda: _read_all(job, sniff, _scapy_records),
        lambda: summed(job, _scapy_records(sniff(offline=job.files.pcap)), _scapy_get),
    )


@contestant("Scapy NetflowDataflowsetV9")
def scapy_craft(job: Job) -> Entry:
    layers = load("scapy.layers.netflow")
    fields = [
        layers.NetflowTemplateFieldV9(fieldType=e.number, fieldLength=e.length)
        for e in FLOW.elements
    ]
    template = layers.NetflowTemplateV9(templateID=256, template_fields=fields)
    record = layers.GetNetflowRecordV9(layers.NetflowFlowsetV9(templates=[template]))
    names = [_SCAPY_NAMES[name] for name in FLOW.names]
    rows = [
        [dict(zip(names, text_row(FLOW, row), strict=True)) for row in one] for one in crafted(job)
    ]

    def build(one: list[dict[str, Any]]) -> bytes:
        records = [record(**row) for row in one]
        return bytes(layers.NetflowDataflowsetV9(templateID=256, records=records))

    return crafting(job, build, rows)


# -- whole commands ----------------------------------------------------------------------


def _command(job: Job, command: list[str], check: Callable[[bytes], Sums]) -> Entry:
    """Return the entry of a command, with its start and end and without its output."""

    def run() -> int:
        subprocess.run(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=600
        )
        return job.files.records

    def checked() -> Sums:
        done = subprocess.run(command, capture_output=True, check=False, timeout=600)
        if done.returncode:
            raise Wrong(done.stderr.decode(errors="replace").strip().splitlines()[-1])
        return job.files.sums | check(done.stdout)

    # The output of a command for a million records does not fit in memory.
    small = job.files.records <= 20_000
    return Entry(run, checked if small else dict)


@contestant("scapy-ipfix --json")
def ours_command(job: Job) -> Entry:
    package = load("scapy_ipfix")
    if not any((Path(place) / "__main__.py").exists() for place in package.__path__):
        raise NotAvailable("python -m scapy_ipfix does not exist yet")

    def check(output: bytes) -> Sums:
        records = [json.loads(line) for line in output.splitlines()]
        records = [one for one in records if "octetDeltaCount" in one]
        octets = sum(one["octetDeltaCount"] for one in records)
        return {"records": len(records), "octetDeltaCount": octets}

    return _command(job, [sys.executable, "-m", "scapy_ipfix", job.files.pcap, "--json"], check)


@contestant("tshark -T ek")
def tshark(job: Job) -> Entry:
    path = shutil.which("tshark")
    if path is None:
        raise NotInstalled("tshark is not installed")

    def check(output: bytes) -> Sums:
        octets: list[int] = []
        for line in output.splitlines():
            found = json.loads(line).get("layers", {}).get("cflow", {}).get("cflow_cflow_octets")
            octets += map(int, found if isinstance(found, list) else [found] if found else [])
        return {"records": len(octets), "octetDeltaCount": sum(octets)}

    return _command(job, [path, "-n", "-r", job.files.pcap, "-T", "ek"], check)

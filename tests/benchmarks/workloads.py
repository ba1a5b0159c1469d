# SPDX-License-Identifier: GPL-2.0-or-later
"""The workloads: deterministic flow exports, as pcap files and as raw message streams.

Written with nothing but ``struct``, so that no contestant generates what it then reads.
Messages are drawn in blocks with a seed of their own, so the first *n* messages of a
workload are the same whatever its length: a slow contestant is given fewer messages and
still meets the same ones.
"""

from __future__ import annotations

import ipaddress
import itertools
import json
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VARIABLE = 65535

#: Data messages drawn with one seed.
BLOCK = 50

#: Data messages after which the templates are sent again, as over UDP they must be.
REFRESH = 500

#: Template Records of one message stay below this, so that it fits an Ethernet frame.
TEMPLATE_OCTETS = 1300

EXPORT_TIME = 1_704_067_200  # 2024-01-01T00:00:00Z
DOMAIN = 7

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Element:
    """An Information Element as a template carries it: its IANA name and wire length."""

    name: str
    number: int
    length: int
    kind: str = "uint"


@dataclass(frozen=True)
class Layout:
    """A Template: its id and its elements, in wire order."""

    template_id: int
    elements: tuple[Element, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(element.name for element in self.elements)

    @property
    def fixed(self) -> bool:
        return all(element.length != VARIABLE for element in self.elements)

    def format(self) -> str:
        """Return the struct format of a record, for a template of fixed-length elements."""
        return "!" + "".join(code(element) for element in self.elements)

    def spec(self) -> tuple[str, ...]:
        """Return the elements as IESpecs: ``octetDeltaCount[4]``."""
        return tuple(
            f"{e.name}[{'v' if e.length == VARIABLE else e.length}]" for e in self.elements
        )


def code(element: Element) -> str:
    integer = {1: "B", 2: "H", 4: "I", 8: "Q"}
    if element.kind in ("uint", "ipv4", "millis"):
        return integer[element.length]
    return f"{element.length}s"


@dataclass(frozen=True)
class Workload:
    """Records to export, and their division into messages."""

    key: str
    title: str
    layouts: tuple[Layout, ...]
    checked: tuple[str, ...]
    version: int = 10
    sets: int = 1
    records: int = 20
    random_addresses: bool = False
    inner: tuple[Layout, ...] = field(default=())

    @property
    def port(self) -> int:
        return 2055 if self.version == 9 else 4739

    @property
    def fixed(self) -> bool:
        return all(layout.fixed for layout in self.layouts)


@dataclass(frozen=True)
class Files:
    """A workload on disk, and what is in it: enough to tell that a contestant read it all."""

    pcap: str
    stream: str
    packets: int
    records: int
    sums: dict[str, int]


# -- values ------------------------------------------------------------------------------

_HOSTS = 4000
_PORTS = (443, 80, 53, 22, 123, 25, 993, 8080, 3389, 5060)
_PORT_WEIGHTS = (55, 15, 12, 3, 3, 2, 3, 4, 1, 2)
_APPLICATIONS = ("https", "http", "dns", "ssh", "ntp", "quic", "bittorrent", "ms-teams")
_INTERFACES = tuple(f"GigabitEthernet{slot}/0/{port}" for slot in range(2) for port in range(12))
_USERS = tuple(f"{name}@example.org" for name in ("alice", "bob", "carol", "dave", "erin", "fé"))


class _Draw:
    """The columns of ``count`` records; correlated ones are drawn once and shared."""

    def __init__(self, rng: random.Random, count: int, now: int, random_addresses: bool) -> None:
        self.rng = rng
        self.count = count
        self.random_addresses = random_addresses
        self.start = [now * 1000 - rng.randrange(1_000, 60_000) for _ in range(count)]
        self.protocol = rng.choices((6, 17, 1), (75, 23, 2), k=count)
        # Few and large, many and small; capped, so that octets fit a reduced-size counter.
        self.packets = [min(int(rng.paretovariate(0.9)), 1_000_000) for _ in range(count)]

    def hosts(self) -> list[int]:
        # A few thousand hosts of Zipf-like popularity, as on a real link, so that a reader
        # that remembers addresses meets a fair test; or none twice, so that it meets a hard one.
        if self.random_addresses:
            return [self.rng.getrandbits(32) for _ in range(self.count)]
        return self.rng.choices(_POPULATION, cum_weights=_POPULARITY, k=self.count)

    def hosts6(self) -> list[bytes]:
        prefix = bytes.fromhex("20010db800000000")
        return [prefix + host.to_bytes(8, "big") for host in self.hosts()]

    def macs(self) -> list[bytes]:
        return [b"\x02\x00" + host.to_bytes(4, "big") for host in self.hosts()]

    def any_of(self, values: Sequence[Any]) -> list[Any]:
        return self.rng.choices(values, k=self.count)


def _popularity() -> tuple[list[int], list[float]]:
    rng = random.Random("hosts")
    hosts = [rng.getrandbits(24) | 0x0A000000 for _ in range(_HOSTS)]
    return hosts, list(itertools.accumulate(1 / rank for rank in range(1, _HOSTS + 1)))


_POPULATION, _POPULARITY = _popularity()

_COLUMNS: dict[str, Callable[[_Draw], list[Any]]] = {
    "sourceIPv4Address": _Draw.hosts,
    "destinationIPv4Address": _Draw.hosts,
    "ipNextHopIPv4Address": lambda d: d.any_of(range(0x0AFE0001, 0x0AFE0011)),
    "sourceIPv6Address": _Draw.hosts6,
    "destinationIPv6Address": _Draw.hosts6,
    "sourceMacAddress": _Draw.macs,
    "destinationMacAddress": _Draw.macs,
    "sourceTransportPort": lambda d: d.any_of(range(32768, 61000)),
    "destinationTransportPort": lambda d: d.rng.choices(_PORTS, _PORT_WEIGHTS, k=d.count),
    "octetDeltaCount": lambda d: [p * d.rng.randrange(64, 1500) for p in d.packets],
    "packetDeltaCount": lambda d: d.packets,
    "flowStartMilliseconds": lambda d: d.start,
    "flowEndMilliseconds": lambda d: [start + d.rng.randrange(1000) for start in d.start],
    "ingressInterface": lambda d: d.any_of(range(1, 49)),
    "egressInterface": lambda d: d.any_of(range(1, 49)),
    "bgpSourceAsNumber": lambda d: d.any_of(range(64496, 64512)),
    "bgpDestinationAsNumber": lambda d: d.any_of(range(64496, 64512)),
    "protocolIdentifier": lambda d: d.protocol,
    "ipClassOfService": lambda d: d.rng.choices((0, 0x28, 0xB8), (90, 7, 3), k=d.count),
    "tcpControlBits": lambda d: [
        d.rng.choice((0x1B, 0x1F, 0x02, 0x12)) if p == 6 else 0 for p in d.protocol
    ],
    "flowDirection": lambda d: d.any_of((0, 1)),
    "flowEndReason": lambda d: d.any_of((1, 2, 3)),
    "minimumTTL": lambda d: d.any_of((52, 58, 64)),
    "maximumTTL": lambda d: d.any_of((64, 128, 255)),
    "vlanId": lambda d: d.any_of((10, 20, 30, 4000)),
    "postVlanId": lambda d: d.any_of((10, 20, 30, 4000)),
    "applicationName": lambda d: d.any_of(_APPLICATIONS),
    "interfaceName": lambda d: d.any_of(_INTERFACES),
    "userName": lambda d: d.any_of(_USERS),
    "basicList": lambda d: [_basic_list(d.rng) for _ in range(d.count)],
    "subTemplateList": lambda d: [_sub_template_list(d.rng) for _ in range(d.count)],
    "subTemplateMultiList": lambda d: [_multi_list(d.rng) for _ in range(d.count)],
}


# -- structured data (RFC 6313) ----------------------------------------------------------

_ALL_OF = 3


def _basic_list(rng: random.Random) -> bytes:
    values = [rng.choice((10, 20, 30, 4000)) for _ in range(rng.randrange(1, 5))]
    return struct.pack(f"!BHH{len(values)}H", _ALL_OF, 58, 2, *values)


def _inner_records(rng: random.Random, layout: Layout) -> bytes:
    count = rng.randrange(1, 4)
    draw = _Draw(rng, count, EXPORT_TIME, random_addresses=False)
    columns = [_COLUMNS[name](draw) for name in layout.names]
    pack = struct.Struct(layout.format()).pack
    return b"".join(pack(*row) for row in zip(*columns, strict=True))


def _sub_template_list(rng: random.Random) -> bytes:
    layout = INNER[0]
    return struct.pack("!BH", _ALL_OF, layout.template_id) + _inner_records(rng, layout)


def _multi_list(rng: random.Random) -> bytes:
    parts = [struct.pack("!B", _ALL_OF)]
    for layout in INNER:
        records = _inner_records(rng, layout)
        parts += struct.pack("!HH", layout.template_id, 4 + len(records)), records
    return b"".join(parts)


def list_total(name: str, octets: bytes) -> int:
    """Sum all numbers in the octets of a list of this module."""
    if name == "basicList":
        return sum(struct.unpack(f"!{(len(octets) - 5) // 2}H", octets[5:]))
    if name == "subTemplateList":
        return _records_total(INNER[0], octets[3:])
    total, offset = 0, 1
    for layout in INNER:
        _, length = struct.unpack_from("!HH", octets, offset)
        total += _records_total(layout, octets[offset + 4 : offset + length])
        offset += length
    return total


def _records_total(layout: Layout, octets: bytes) -> int:
    return sum(map(sum, struct.iter_unpack(layout.format(), octets)))


# -- templates ---------------------------------------------------------------------------

_ELEMENTS = {
    element.name: element
    for element in (
        Element("octetDeltaCount", 1, 8),
        Element("packetDeltaCount", 2, 8),
        Element("protocolIdentifier", 4, 1),
        Element("ipClassOfService", 5, 1),
        # One octet, as exporters sent it for years: Scapy's own layer reads no other length.
        Element("tcpControlBits", 6, 1),
        Element("sourceTransportPort", 7, 2),
        Element("sourceIPv4Address", 8, 4, "ipv4"),
        Element("ingressInterface", 10, 4),
        Element("destinationTransportPort", 11, 2),
        Element("destinationIPv4Address", 12, 4, "ipv4"),
        Element("egressInterface", 14, 4),
        Element("ipNextHopIPv4Address", 15, 4, "ipv4"),
        Element("bgpSourceAsNumber", 16, 4),
        Element("bgpDestinationAsNumber", 17, 4),
        Element("sourceIPv6Address", 27, 16, "ipv6"),
        Element("destinationIPv6Address", 28, 16, "ipv6"),
        Element("minimumTTL", 52, 1),
        Element("maximumTTL", 53, 1),
        Element("sourceMacAddress", 56, 6, "mac"),
        Element("vlanId", 58, 2),
        Element("postVlanId", 59, 2),
        Element("flowDirection", 61, 1),
        Element("destinationMacAddress", 80, 6, "mac"),
        Element("interfaceName", 82, VARIABLE, "string"),
        Element("applicationName", 96, VARIABLE, "string"),
        Element("flowEndReason", 136, 1),
        Element("flowStartMilliseconds", 152, 8, "millis"),
        Element("flowEndMilliseconds", 153, 8, "millis"),
        Element("basicList", 291, VARIABLE, "list"),
        Element("subTemplateList", 292, VARIABLE, "list"),
        Element("subTemplateMultiList", 293, VARIABLE, "list"),
        Element("userName", 371, VARIABLE, "string"),
    )
}


def _layout(template_id: int, *specs: str) -> Layout:
    elements = []
    for spec in specs:
        name, _, length = spec.partition("[")
        known = _ELEMENTS[name]
        wire = int(length[:-1]) if length else known.length
        elements.append(Element(name, known.number, wire, known.kind))
    return Layout(template_id, tuple(elements))


#: 16 elements in 64 octets, each of a length that every contestant can read.
FLOW = _layout(
    256,
    "sourceIPv4Address",
    "destinationIPv4Address",
    "ipNextHopIPv4Address",
    "sourceTransportPort",
    "destinationTransportPort",
    "octetDeltaCount",
    "packetDeltaCount",
    "flowStartMilliseconds",
    "flowEndMilliseconds",
    "ingressInterface",
    "egressInterface",
    "bgpSourceAsNumber",
    "protocolIdentifier",
    "ipClassOfService",
    "tcpControlBits",
    "flowDirection",
)

#: The four elements that are asked for where only some are.
FOUR = ("sourceIPv4Address", "destinationIPv4Address", "octetDeltaCount", "packetDeltaCount")

STRINGS = _layout(
    257,
    "sourceIPv4Address",
    "destinationIPv4Address",
    "sourceTransportPort",
    "destinationTransportPort",
    "octetDeltaCount[4]",
    "packetDeltaCount[4]",
    "ingressInterface[2]",
    "egressInterface[2]",
    "protocolIdentifier",
    "applicationName",
    "interfaceName",
    "userName",
    "flowStartMilliseconds",
    "flowEndMilliseconds",
)

INNER = (
    _layout(300, "sourceTransportPort", "destinationTransportPort", "octetDeltaCount"),
    _layout(301, "sourceIPv4Address", "packetDeltaCount[4]", "protocolIdentifier"),
)

STRUCTURED = _layout(
    258,
    "sourceIPv4Address",
    "destinationIPv4Address",
    "octetDeltaCount",
    "packetDeltaCount",
    "basicList",
    "subTemplateList",
    "subTemplateMultiList",
)


def _many() -> tuple[Layout, ...]:
    """50 templates of 8 to 13 elements: IPv4 and IPv6 ones, with and without MACs and times."""
    rng = random.Random("templates")
    optional = (
        "destinationTransportPort",
        "packetDeltaCount",
        "protocolIdentifier",
        "ipClassOfService",
        "tcpControlBits",
        "ingressInterface",
        "egressInterface",
        "vlanId",
        "postVlanId",
        "flowDirection",
        "flowEndReason",
        "minimumTTL",
        "maximumTTL",
        "bgpSourceAsNumber",
        "bgpDestinationAsNumber",
        "flowStartMilliseconds",
        "flowEndMilliseconds",
        "sourceMacAddress",
        "destinationMacAddress",
    )
    layouts = []
    for template_id in range(400, 450):
        family = rng.choices(("IPv4", "IPv6"), (3, 2))[0]
        names = [f"source{family}Address", f"destination{family}Address"]
        names += ["sourceTransportPort", "octetDeltaCount"]
        names += rng.sample(optional, rng.randrange(4, 10))
        rng.shuffle(names)
        layouts.append(_layout(template_id, *names))
    return tuple(layouts)


_FLOW_CHECKED = (
    "sourceIPv4Address",
    "destinationTransportPort",
    "octetDeltaCount",
    "flowEndMilliseconds",
)

WORKLOADS = {
    workload.key: workload
    for workload in (
        Workload("a", "20 records of 16 elements, 64 octets", (FLOW,), _FLOW_CHECKED),
        Workload(
            "a-random",
            "(a) with no address twice",
            (FLOW,),
            _FLOW_CHECKED,
            random_addresses=True,
        ),
        Workload(
            "b",
            "(a) as NetFlow v9",
            (FLOW,),
            # PyPI's netflow has no name for element 153 in v9, so the start is checked.
            (*_FLOW_CHECKED[:3], "flowStartMilliseconds"),
            version=9,
        ),
        Workload(
            "c",
            "strings of variable length, reduced-size counters",
            (STRINGS,),
            (*_FLOW_CHECKED, "applicationName", "interfaceName", "userName"),
            records=14,
        ),
        Workload(
            "d",
            "50 templates interleaved",
            _many(),
            ("sourceTransportPort", "octetDeltaCount"),
            sets=4,
            records=4,
        ),
        Workload(
            "e",
            "basicList, subTemplateList, subTemplateMultiList",
            (STRUCTURED,),
            ("octetDeltaCount", "basicList", "subTemplateList", "subTemplateMultiList"),
            records=8,
            inner=INNER,
        ),
    )
}


# -- records, sets, messages -------------------------------------------------------------


def number(name: str, value: Any) -> int:
    """Convert a value to a number for sums: text by its length, lists by their contents."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return list_total(name, value)
    return int(value)


def _encoder(layout: Layout) -> Callable[[Row], bytes]:
    if layout.fixed:
        pack = struct.Struct(layout.format()).pack
        return lambda row: pack(*row)

    def encode(row: Row) -> bytes:
        parts = []
        for element, value in zip(layout.elements, row, strict=True):
            if element.length == VARIABLE:
                octets = value.encode() if isinstance(value, str) else value
                short = len(octets) < 255
                parts.append(
                    bytes([len(octets)]) if short else struct.pack("!BH", 255, len(octets))
                )
                parts.append(octets)
            else:
                parts.append(struct.pack("!" + code(element), value))
        return b"".join(parts)

    return encode


def _template_messages(workload: Workload) -> Iterator[tuple[int, bytes]]:
    """Yield the bodies of the messages with the templates, each with its record count."""
    set_id = 0 if workload.version == 9 else 2
    pending: list[bytes] = []
    for layout in (*workload.inner, *workload.layouts):
        record = struct.pack("!HH", layout.template_id, len(layout.elements))
        record += b"".join(struct.pack("!HH", e.number, e.length) for e in layout.elements)
        if sum(map(len, pending)) + len(record) > TEMPLATE_OCTETS:
            yield len(pending), _set(set_id, b"".join(pending))
            pending = []
        pending.append(record)
    yield len(pending), _set(set_id, b"".join(pending))


def _set(set_id: int, content: bytes, align: int = 1) -> bytes:
    content += bytes(-len(content) % align)
    return struct.pack("!HH", set_id, 4 + len(content)) + content


def sets_of(workload: Workload, messages: int) -> Iterator[list[tuple[Layout, list[Row]]]]:
    """For each of the first data messages, its Data Sets: a template and its rows.

    Addresses are integers here, times milliseconds since 1970, lists their octets.
    """
    for first in range(0, messages, BLOCK):
        rng = random.Random(f"{workload.key[0]}/{workload.random_addresses}/{first}")
        total = BLOCK * workload.sets
        chosen = rng.choices(workload.layouts, k=total)
        rows: dict[int, Iterator[Row]] = {}
        for layout in workload.layouts:
            count = workload.records * sum(1 for one in chosen if one is layout)
            draw = _Draw(rng, count, EXPORT_TIME + first // 10, workload.random_addresses)
            columns = [_COLUMNS[name](draw) for name in layout.names]
            rows[layout.template_id] = iter(list(zip(*columns, strict=True)))
        for index in range(min(BLOCK, messages - first)):
            group = chosen[index * workload.sets : (index + 1) * workload.sets]
            yield [
                (layout, list(itertools.islice(rows[layout.template_id], workload.records)))
                for layout in group
            ]


def data_set(layout: Layout, rows: list[Row], align: int = 1) -> bytes:
    """One Data Set, padded to a multiple of ``align`` octets."""
    encode = _encoder(layout)
    return _set(layout.template_id, b"".join(map(encode, rows)), align)


def _messages(workload: Workload, messages: int, sums: dict[str, int]) -> Iterator[bytes]:
    """Yield the complete messages, and add to ``sums``."""
    encoders = {layout.template_id: _encoder(layout) for layout in workload.layouts}
    columns = {
        layout.template_id: [(n, layout.names.index(n)) for n in workload.checked]
        for layout in workload.layouts
    }
    v9 = workload.version == 9
    align = 4 if v9 else 1
    records = packets = 0

    def header(count: int, body: bytes, index: int) -> bytes:
        time = EXPORT_TIME + index // 10
        if v9:
            return struct.pack("!HHIIII", 9, count, 1_000_000 + index, time, packets, DOMAIN) + body
        return struct.pack("!HHIII", 10, 16 + len(body), time, records, DOMAIN) + body

    for index, groups in enumerate(sets_of(workload, messages)):
        if index % REFRESH == 0:
            for count, body in _template_messages(workload):
                yield header(count, body, index)
                packets += 1
        body = b""
        count = 0
        for layout, rows in groups:
            encode = encoders[layout.template_id]
            body += _set(layout.template_id, b"".join(map(encode, rows)), align)
            count += len(rows)
            for name, column in columns[layout.template_id]:
                sums[name] += sum(number(name, row[column]) for row in rows)
        yield header(count, body, index)
        packets += 1
        records += count
        sums["records"] = records


# -- files -------------------------------------------------------------------------------

_EXPORTER = ipaddress.IPv4Address("192.0.2.10").packed
_COLLECTOR = ipaddress.IPv4Address("198.51.100.20").packed
_ETHERNET = bytes.fromhex("020000000014 02000000000a 0800")


def _frame(payload: bytes, port: int, identification: int) -> bytes:
    """Ethernet, IPv4 and UDP around a payload, with a right IPv4 checksum."""
    udp = struct.pack("!HHHH", 40000, port, 8 + len(payload), 0)
    length = 20 + len(udp) + len(payload)
    fields = struct.pack("!BBHHHBBH", 0x45, 0, length, identification & 0xFFFF, 0x4000, 64, 17, 0)
    total = sum(struct.unpack("!10H", fields + _EXPORTER + _COLLECTOR))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    ip = fields[:10] + struct.pack("!H", ~total & 0xFFFF) + _EXPORTER + _COLLECTOR
    return _ETHERNET + ip + udp + payload


def write(workload: Workload, messages: int, directory: Path) -> Files:
    """Write the first ``messages`` data messages; what is there already is not written again."""
    stem = directory / f"{workload.key}-{messages}"
    note = stem.with_suffix(".json")
    if note.exists():
        return Files(**json.loads(note.read_text()))
    sums = dict.fromkeys(("records", *workload.checked), 0)
    packets = 0
    pcap, stream = stem.with_suffix(".pcap"), stem.with_suffix(".ipfix")
    with pcap.open("wb") as capture, stream.open("wb") as raw:
        capture.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for message in _messages(workload, messages, sums):
            frame = _frame(message, workload.port, packets)
            seconds, micros = divmod(packets * 2_000, 1_000_000)
            size = len(frame)
            capture.write(struct.pack("<IIII", EXPORT_TIME + seconds, micros, size, size) + frame)
            raw.write(message)
            packets += 1
    files = Files(str(pcap), str(stream), packets, sums.pop("records"), sums)
    note.write_text(json.dumps(asdict(files)))
    return files


def payloads(pcap: str) -> list[bytes]:
    """Return the UDP payloads of a pcap file of :func:`write`."""
    data = Path(pcap).read_bytes()
    found = []
    offset = 24
    while offset < len(data):
        (size,) = struct.unpack_from("<I", data, offset + 8)
        offset += 16
        found.append(data[offset + 42 : offset + size])
        offset += size
    return found


def data_sets(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield id and content of the Data Sets of a message."""
    (version,) = struct.unpack_from("!H", message)
    offset = 20 if version == 9 else 16
    while offset < len(message):
        set_id, length = struct.unpack_from("!HH", message, offset)
        if set_id >= 256:
            yield set_id, message[offset + 4 : offset + length]
        offset += length

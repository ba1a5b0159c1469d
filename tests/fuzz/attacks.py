# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m tests.fuzz.attacks``: memory of a session under floods of a million messages.

Each attack runs in a process of its own, against a session with the default limits. Memory
levels off when a limit is reached: then the last two columns of memory agree.
"""

from __future__ import annotations

import argparse
import gc
import io
import multiprocessing
import os
import random
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from scapy.config import conf
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from scapy_ipfix import IPFIX, IPFIXSession, iter_records
from scapy_ipfix.collector.transportkey import TransportKey

from ..builders import raw_message, raw_options, raw_set, raw_template
from .harness import quiet
from .wrapping import IPFIX_PORT, TIME, ipv4, ipv6, tcp, udp

#: Parts of all messages after which memory is measured.
STAGES = (0.01, 0.1, 0.25, 0.5, 1.0)
#: Growth of memory in the second half, in megabytes, that counts as level.
LEVEL = 2.0
_EXPORTED = int(TIME)
_PEN = 64_999

#: Function that feeds the message of a number to a session.
Feed = Callable[[IPFIXSession, int], None]


@dataclass(frozen=True, slots=True)
class Attack:
    """Flood of a session; ``share`` is its part of the number of messages, small for slow ones."""

    name: str
    what: str
    feed: Feed
    share: float = 1.0


_UDP = TransportKey("udp", "192.0.2.1", 40000, "192.0.2.2", IPFIX_PORT)
_TCP = _UDP._replace(protocol="tcp")
_FLOW = raw_set(2, raw_template(256, (8, 4), (12, 4), (1, 4)))
_ROW = raw_set(256, bytes(12))


def read(session: IPFIXSession, number: int, octets: bytes, key: TransportKey = _UDP) -> None:
    """Read a message without a packet, and its records."""
    found = session.collector.read(key, octets, TIME, number)
    for each in found.ready if found is not None else ():
        each.records()


def process(session: IPFIXSession, frame: bytes) -> Packet | None:
    packet = Ether(frame)
    packet.time = TIME
    return session.process(packet)


def _layout(number: int) -> tuple[tuple[int, int], ...]:
    """Return fields that are different for each number."""
    return tuple((1 + (number >> 15 * i & 0x7FFF) % 32767, 1 + i) for i in range(3))


# -- templates


def new_layouts(session: IPFIXSession, number: int) -> None:
    sets = raw_set(2, raw_template(256, *_layout(number), pen=_PEN)), raw_set(256, bytes(12))
    read(session, number, raw_message(*sets))


def new_layouts_looked_at(session: IPFIXSession, number: int) -> None:
    sets = raw_set(2, raw_template(256, *_layout(number), pen=_PEN)), raw_set(256, bytes(12))
    packet = process(session, udp(raw_message(*sets)))
    assert packet is not None
    packet[IPFIX].records[0].show(dump=True)


def new_template_ids(session: IPFIXSession, number: int) -> None:
    domain, offset = divmod(number, 65280)
    set_id = 256 + offset
    sets = raw_set(2, raw_template(set_id, *_layout(number), pen=_PEN)), raw_set(set_id, bytes(12))
    read(session, number, raw_message(*sets, domain=domain))


_WIDE = b"".join(struct.pack("!HH", 1 + i % 400, 1) for i in range(16_000))


def wide_templates(session: IPFIXSession, number: int) -> None:
    set_id = 256 + number % 65280
    head = struct.pack("!HH", set_id, 16_000) + struct.pack("!HH", 500 + number % 30000, 1)
    octets = raw_message(raw_set(2, head + _WIDE[4:]), domain=number // 65280)
    session.collector.read(_UDP, octets, TIME, number)


def wide_unknown(session: IPFIXSession, number: int) -> None:
    """Send unknown elements, each of which gets a name, and a record, which needs a codec."""
    set_id = 256 + number % 65280
    fields = [(1 + (number + each) % 32767, 1) for each in range(12_000)]
    head = struct.pack("!HH", set_id, len(fields))
    body = head + b"".join(struct.pack("!HH", *field) for field in fields)
    read(session, number, raw_message(raw_set(2, body), raw_set(set_id, bytes(12_000))))


def wide_records(session: IPFIXSession, number: int) -> None:
    fields = [(1 + (number + each) % 400, 1) for each in range(7000)]
    sets = raw_set(2, raw_template(256, *fields)), raw_set(256, bytes(7000))
    packet = process(session, udp(raw_message(*sets)))
    assert packet is not None
    assert packet[IPFIX].records[0].fields


def withdrawals(session: IPFIXSession, number: int) -> None:
    set_id = 256 + number % 65280
    gone = raw_set(2, struct.pack("!HH", set_id, 0))
    everything = raw_set(2, struct.pack("!HH", 2, 0))
    sets = raw_set(2, raw_template(set_id, *_layout(number), pen=_PEN)), gone, everything
    read(session, number, raw_message(*sets), _TCP)


def never_defined(session: IPFIXSession, number: int) -> None:
    set_id = 256 + number % 65280
    read(session, number, raw_message(raw_set(set_id, bytes(400)), domain=number % 1000))


# -- exporters


def new_domains(session: IPFIXSession, number: int) -> None:
    read(session, number, raw_message(_FLOW, _ROW, domain=number))


def new_ports(session: IPFIXSession, number: int) -> None:
    key = _UDP._replace(source_port=number & 0xFFFF)
    read(session, number, raw_message(_FLOW, _ROW), key)


def new_addresses(session: IPFIXSession, number: int) -> None:
    key = _UDP._replace(source=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
    read(session, number, raw_message(_FLOW, _ROW), key)


class _Flood(io.RawIOBase):
    """Endless capture of frames that are made when they are read."""

    def __init__(self) -> None:
        self.frame = b""
        self._buffer = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        octets, self._buffer = self._buffer, b""
        if octets:
            return octets
        length = len(self.frame)
        return struct.pack("<IIII", _EXPORTED, 0, length, length) + self.frame

    read = read1


_floods: dict[int, tuple[_Flood, Iterator[Any]]] = {}


def in_a_capture(session: IPFIXSession, number: int) -> None:
    """Feed the fast reader, which caches endpoints as octets."""
    if id(session) not in _floods:
        _floods.clear()
        flood = _Flood()
        _floods[id(session)] = flood, iter_records(flood, session=session)
    flood, records = _floods[id(session)]
    flood.frame = udp(raw_message(_FLOW, _ROW), source_port=number % 65535 + 1)[:26] + (
        number.to_bytes(4, "big")
        + udp(raw_message(_FLOW, _ROW), source_port=number % 65535 + 1)[30:]
    )
    next(records)


def in_packets(session: IPFIXSession, number: int) -> None:
    frame = udp(raw_message(_FLOW, _ROW), source_port=number % 65535 + 1)
    process(session, frame[:26] + number.to_bytes(4, "big") + frame[30:])


# -- incomplete streams and datagrams


def _ends(number: int) -> tuple[int, int]:
    """Return a source address and port for each number."""
    return number >> 14, 1024 + (number & 0x3FFF)


def unfinished_streams(session: IPFIXSession, number: int) -> None:
    address, port = _ends(number)
    data = raw_message(_FLOW, _ROW, raw_set(256, bytes(1200)))[:-1]
    frame = tcp(1, data, source_port=port)
    process(session, frame[:26] + (0x0A000000 + address).to_bytes(4, "big") + frame[30:])


def streams_with_gaps(session: IPFIXSession, number: int) -> None:
    address, port = _ends(number // 8)
    frame = tcp(1 + 3000 * (number % 8), raw_message(_FLOW, bytes(1200)), source_port=port)
    process(session, frame[:26] + (0x0A000000 + address).to_bytes(4, "big") + frame[30:])


def fragments(session: IPFIXSession, number: int) -> None:
    data = bytes(1024)
    if number % 2:
        more = struct.pack("!BBHI", 17, 0, (number % 60) << 3 | 1, number)
        process(session, ipv6(44, more + data))
        return
    frame = bytearray(ipv4(17, data, 0x0A000000 + (number >> 16)))
    frame[18:22] = struct.pack("!HH", number & 0xFFFF, 0x2000 | number % 60)
    process(session, bytes(frame))


def pieces_of_sctp(session: IPFIXSession, number: int) -> None:
    address, port = _ends(number // 16)
    data = bytes(1000)
    chunk = struct.pack("!BBHIHHI", 0, 0, 16 + len(data), 2 * number, number & 0xFFFF, 0, 0)
    packet = struct.pack("!HHII", port, IPFIX_PORT, 1, 0) + chunk + data
    process(session, ipv4(132, packet, 0x0A000000 + address))


def streams_of_sctp(session: IPFIXSession, number: int) -> None:
    """Send each user message of one association on its own stream, out of order."""
    data = raw_message(_FLOW, _ROW)
    head = struct.pack("!BBHIHHI", 0, 3, 16 + len(data), number, number & 0xFFFF, number >> 16, 0)
    process(session, ipv4(132, struct.pack("!HHII", 40000, IPFIX_PORT, 1, 0) + head + data))


def streams_of_domains(session: IPFIXSession, number: int) -> None:
    """Send each message on a new SCTP stream, a hundred in each Observation Domain."""
    octets = raw_message(_FLOW, _ROW, domain=number // 100)
    key = _UDP._replace(protocol="sctp")
    session.collector.read(key, octets, TIME, number, stream=1 + number % 100)


# -- options data


_TYPES = raw_set(3, raw_options(257, 2, (346, 4), (303, 2), (339, 1), (341, 65535)))


def new_elements(session: IPFIXSession, number: int) -> None:
    name = f"element{number}".encode()
    row = struct.pack("!IHB", _PEN + number // 32000, 1 + number % 32000, 3)
    row += bytes((len(name),)) + name
    read(session, number, raw_message(_TYPES, raw_set(257, row)))


def new_elements_of_many(session: IPFIXSession, number: int) -> None:
    """Describe a hundred elements by each exporter."""
    name = f"element{number}".encode()
    row = struct.pack("!IHB", _PEN, 1 + number % 32000, 3) + bytes((len(name),)) + name
    key = _UDP._replace(source=f"10.1.{number // 25600 % 256}.{number // 100 % 256}")
    read(session, number, raw_message(_TYPES, raw_set(257, row)), key)


_NAMELESS = raw_set(2, raw_template(256, *((1000 + each, 1) for each in range(512))))


def names_of_many(session: IPFIXSession, number: int) -> None:
    """Describe an element by a new exporter, which uses 512 unknown ones."""
    name = f"element{number}".encode()
    row = struct.pack("!IHB", _PEN, 1 + number % 32000, 3) + bytes((len(name),)) + name
    key = _UDP._replace(source=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}")
    read(session, number, raw_message(_TYPES, raw_set(257, row), _NAMELESS), key)


_INTERFACES = raw_set(3, raw_options(258, 1, (10, 4), (82, 65535)))


def new_interfaces(session: IPFIXSession, number: int) -> None:
    name = f"eth{number}".encode()
    row = number.to_bytes(4, "big") + bytes((len(name),)) + name
    read(session, number, raw_message(_INTERFACES, raw_set(258, row)))


def new_names(session: IPFIXSession, number: int) -> None:
    """Give one interface another name in every message."""
    name = f"eth{number}".encode()
    row = bytes(4) + bytes((len(name),)) + name
    read(session, number, raw_message(_INTERFACES, raw_set(258, row)))


def new_interfaces_of_many(session: IPFIXSession, number: int) -> None:
    row = (1).to_bytes(4, "big") + b"\4eth0"
    octets = raw_message(_INTERFACES, raw_set(258, row), domain=number)
    read(session, number, octets)


_PAIRS = raw_set(2, raw_template(260, (10, 4), (14, 4)))


def names_looked_up(session: IPFIXSession, number: int) -> None:
    """Resolve the names of 600 interfaces that were not resolved before."""
    if number == 0:
        new_interfaces(session, 1)
    rows = struct.pack("!600I", *range(600 * number, 600 * number + 600))
    found = session.collector.read(_UDP, raw_message(_PAIRS, raw_set(260, rows)), TIME, number)
    for each in found.ready if found is not None else ():
        each.records(resolve=True)


# -- hosts


def new_hosts(session: IPFIXSession, number: int) -> None:
    """Send thousands of layouts, and new addresses in each record."""
    set_id = 256 + number % 1000
    fields = (
        (8, 4),
        (12, 4),
        (27, 16),
        (56, 6),
        (1 + number % 400, 1),
        (1 + number % 1000 // 400, 2),
    )
    rows = random.Random(number).randbytes(33 * 10)
    found = session.collector.read(
        _UDP,
        raw_message(raw_set(2, raw_template(set_id, *fields)), raw_set(set_id, rows)),
        TIME,
        number,
    )
    for each in found.ready if found is not None else ():
        each.records(values="python")


# -- lists and others


_LISTS = raw_set(2, raw_template(259, (291, 65535)))


def new_lists(session: IPFIXSession, number: int) -> None:
    """Send a basicList of another element and length in every message."""
    head = struct.pack("!BHHI", 3, 0x8000 | 1 + number % 32767, 1 + number // 32767 % 200, _PEN)
    body = head + bytes(1 + number // 32767 % 200)
    row = b"\xff" + len(body).to_bytes(2, "big") + body
    read(session, number, raw_message(_LISTS, raw_set(259, row)))


def new_defects(session: IPFIXSession, number: int) -> None:
    rng = random.Random(number)
    sets = (
        raw_set(4 + number % 250, rng.randbytes(6)),
        raw_set(2, raw_template(number & 0xFF, (1, 9))),
        raw_set(2, struct.pack("!HH", 256 + number % 60000, 999)),
        raw_set(3, raw_options(300, 9, (1, 4))),
        _FLOW,
        raw_set(256, rng.randbytes(15)),
        struct.pack("!HH", 256, number & 3) + rng.randbytes(4),
    )
    octets = raw_message(*sets, sequence=rng.getrandbits(32), exported=rng.getrandbits(32))
    read(session, number, octets + rng.randbytes(number % 5))


def long_padding(session: IPFIXSession, number: int) -> None:
    """Send a Set of nonzero padding alone."""
    rest = (number % 250 + 1).to_bytes(1, "big") * 60_000
    read(
        session,
        number,
        raw_message(raw_set(2, raw_template(256, (210, 65_000))), raw_set(256, rest)),
    )


_V9_TEMPLATE = struct.pack("!HHHH", 0, 16, 256, 2) + struct.pack("!HHHH", 8, 4, 1, 4)


def restarts_of_v9(session: IPFIXSession, number: int) -> None:
    rng = random.Random(number)
    header = struct.pack("!HHIII", 9, 1, rng.getrandbits(32), _EXPORTED, rng.getrandbits(32))
    read(session, number, header + (number % 9).to_bytes(4, "big") + _V9_TEMPLATE)


ATTACKS = {
    each.name: each
    for each in (
        Attack("layouts", "a new template layout in every message", new_layouts),
        Attack("layouts-shown", "the same, each record shown", new_layouts_looked_at, 0.02),
        Attack("template-ids", "a new template id in every message", new_template_ids),
        Attack("wide-templates", "templates of 16,000 fields", wide_templates, 0.001),
        Attack("wide-unknown", "12,000 elements nobody knows, and a record", wide_unknown, 0.001),
        Attack("wide-records", "records of 7,000 fields, looked at", wide_records, 0.001),
        Attack("domains", "a new observation domain in every message", new_domains),
        Attack("ports", "a new source port in every message", new_ports),
        Attack("addresses", "a new source address in every message", new_addresses),
        Attack("capture", "a new source address and port, out of a capture", in_a_capture),
        Attack("packets", "the same, as packets", in_packets, 0.25),
        Attack("no-template", "data for templates that never come", never_defined),
        Attack("tcp-cut", "TCP streams that stop in mid-message", unfinished_streams, 0.3),
        Attack("tcp-gaps", "TCP streams with gaps in them", streams_with_gaps, 0.3),
        Attack("fragments", "IP fragments that never complete", fragments, 0.5),
        Attack("sctp-pieces", "SCTP chunks that never complete", pieces_of_sctp, 0.25),
        Attack("sctp-streams", "a new SCTP stream in every message", streams_of_sctp, 0.25),
        Attack("streams-of-domains", "the same, of ever new domains", streams_of_domains),
        Attack("elements", "a new element in every message (RFC 5610)", new_elements),
        Attack("elements-of-many", "the same, of ten thousand exporters", new_elements_of_many),
        Attack("names-of-many", "an element of a new exporter, 512 nameless", names_of_many, 0.2),
        Attack("interfaces", "options for a new interface in every message", new_interfaces),
        Attack("names", "a new name for an interface in every message", new_names),
        Attack("interfaces-of-many", "the same, in a new domain each", new_interfaces_of_many),
        Attack("names-looked-up", "records of 600 new interfaces, resolved", names_looked_up, 0.1),
        Attack("withdrawals", "a template, withdrawn and all withdrawn", withdrawals),
        Attack("hosts", "new hosts in every record, as Python's addresses", new_hosts),
        Attack("lists", "a basicList of a new element in every message", new_lists),
        Attack("defects", "diagnostics of every kind, never the same", new_defects),
        Attack("padding", "60,000 octets of padding in every message", long_padding, 0.05),
        Attack("restarts", "NetFlow v9 that always starts again", restarts_of_v9),
    )
}


# -- measuring


def resident() -> float:
    """Return the resident memory of this process in megabytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def registries() -> dict[str, int]:
    """Return the sizes of Scapy's registries of Packet classes."""
    caches = (getattr(Packet, each) for each in dir(Packet) if each.startswith("class_"))
    return {
        "layers": len(conf.layers),
        "classes": _subclasses(Packet),
        "caches": sum(len(each) for each in caches if isinstance(each, dict)),
    }


def _subclasses(cls: type) -> int:
    return sum(1 + _subclasses(each) for each in cls.__subclasses__())


def kept(session: IPFIXSession) -> dict[str, int]:
    """Return the sizes of all state of a session."""
    collector, streams = session.collector, session._reader.streams
    domains = list(collector.domains)
    return {
        "domains": len(domains),
        "templates": sum(len(each.templates) for each in domains),
        "counted templates": len(collector.quota),
        "states": sum(len(each.templates.states) for each in domains),
        "ids": sum(len(kind) for each in domains for kind in each.templates.ids),
        "pending sets": len(collector.pending),
        "pending ids": sum(map(len, collector.pending.domains.values())),
        "pending octets": collector.pending.octets,
        "shared": len(collector.domains.shared),
        "parsed": len(collector.parser),
        "keys": len(session._reader._keys),
        "fragments": session._reader.fragments.octets,
        "tcp": len(streams._tcp._streams),
        "tcp octets": streams._tcp._total,
        "tcp closed": len(streams._closed),
        "sctp": len(streams._sctp._streams),
        "sctp octets": streams._sctp._total,
        "sctp sequences": sum(len(each.streams.trackers) for each in domains),
        "sessions": len(collector.learned_types._sessions),
        "elements": collector.learned_types._learned,
        "facts": len(collector.metadata),
        "noted": len(collector.learned_types._noted),
        "answers": _resolver_entries(collector.metadata.last_resolver),
        "diagnostics": len(session.diagnostics),
        "codes": len(session.diagnostics.counts),
    }


def _resolver_entries(used: Any) -> int:
    """Return the size of the largest cache of the resolver of the latest Set."""
    if used is None:
        return 0
    *_, resolver = used
    caches = [
        *resolver._rates.values(),
        *(each[0] for each in [*resolver.interfaces, *resolver.vrfs] if each),
    ]
    caches += [resolver._applications, resolver._by_key, resolver._rates_by_key]
    return max(map(len, caches))


@dataclass(frozen=True, slots=True)
class Measured:
    """Memory in megabytes and sizes of Scapy's registries at each stage of an attack."""

    name: str
    messages: int
    before: float
    memory: tuple[float, ...]
    registries: tuple[dict[str, int], ...]
    kept: dict[str, int]
    seconds: float

    @property
    def is_level(self) -> bool:
        return self.memory[-1] - self.memory[-2] <= LEVEL


def measure(name: str, messages: int) -> Measured:
    """Run an attack in this process."""
    attack = ATTACKS[name]
    messages = max(100, round(messages * attack.share))
    stages = [max(1, round(messages * each)) for each in STAGES]
    memory, sizes = [], []
    with quiet():
        session = IPFIXSession()
        before = resident()
        started = time.process_time()
        fed = 0
        for stage in stages:
            for number in range(fed, stage):
                attack.feed(session, number)
            fed = stage
            gc.collect()
            memory.append(resident())
            sizes.append(registries())
        seconds = time.process_time() - started
    return Measured(
        name, messages, before, tuple(memory), tuple(sizes), kept(session), round(seconds, 1)
    )


def _measure(name: str, messages: int, answers: Any) -> None:
    answers.put(measure(name, messages))


def measured_apart(name: str, messages: int) -> Measured | None:
    """Run an attack in a process of its own; return None if that dies."""
    context = multiprocessing.get_context("spawn")
    answers = context.SimpleQueue()
    process = context.Process(target=_measure, args=(name, messages, answers))
    process.start()
    process.join()
    return answers.get() if not answers.empty() else None


_HEADINGS = (
    *("attack", "messages", "before", *(f"{stage:.0%}" for stage in STAGES), "levels off"),
    *("layers", "classes", "caches", "us each"),
)


def row(found: Measured) -> tuple[str, ...]:
    """Return a line of the table."""
    first, last = found.registries[0], found.registries[-1]
    changes = (
        str(last[each]) if first[each] == last[each] else f"{first[each]} to {last[each]}"
        for each in first
    )
    return (
        *(ATTACKS[found.name].what, f"{found.messages:,}", f"{found.before:.0f}"),
        *(f"{each:.1f}" for each in found.memory),
        "yes" if found.is_level else "NO",
        *changes,
        f"{found.seconds / found.messages * 1e6:.0f}",
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.attacks", description=__doc__)
    parser.add_argument("attacks", nargs="*", metavar="ATTACK", help=", ".join(ATTACKS))
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--markdown", action="store_true", help="a table in Markdown")
    parser.add_argument(
        "--kept", action="store_true", help="print the sizes of the session's state at the end"
    )
    chosen = parser.parse_args(arguments)
    unknown = [each for each in chosen.attacks if each not in ATTACKS]
    if unknown:
        parser.error(f"no attack {unknown[0]!r}; there are {', '.join(ATTACKS)}")
    line = partial(_line, markdown=chosen.markdown)
    print(line(_HEADINGS))
    if chosen.markdown:
        print(line(["---"] * len(_HEADINGS)))
    is_level = True
    for name in chosen.attacks or ATTACKS:
        found = measured_apart(name, chosen.messages)
        if found is None:
            print(f"{name}: the process died", flush=True)
        else:
            print(line(row(found)), flush=True)
            if chosen.kept:
                print(", ".join(f"{count} {what}" for what, count in found.kept.items() if count))
        is_level &= found is not None and found.is_level
    return 0 if is_level else 1


def _line(cells: Any, markdown: bool) -> str:
    if markdown:
        return f"| {' | '.join(cells)} |"
    first, *others = cells
    return f"{first:48}" + "".join(f"{each:>12}" for each in others)


if __name__ == "__main__":
    sys.exit(main())

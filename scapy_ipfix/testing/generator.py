# SPDX-License-Identifier: GPL-2.0-or-later
"""Plausible flows for load tests, without a capture: :func:`traffic`.

Clients talk to servers that offer services: requests and answers, few popular hosts and many
quiet ones, most flows short and some enormous. The same arguments give the same flows for
ever, on every platform and Python: of :class:`random.Random` only ``random()`` is used, the
one method whose sequence Python promises to keep, and of arithmetic only what IEEE 754
rounds exactly (no logarithm, no power).

:func:`traffic_messages` makes messages of flows, as an exporter does that has them all;
:func:`departures` says which flows share a message when they leave one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache, lru_cache
from itertools import accumulate, groupby
from operator import itemgetter
from random import Random
from typing import Any, NamedTuple

from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.wire.template import Template

#: When flows begin to end unless told otherwise: 2026-01-01T00:00:00Z, a Thursday.
DEFAULT_START = 1_767_225_600
#: What conversations are, by transport protocol, unless told otherwise.
DEFAULT_MIX: Mapping[str, float] = {"tcp": 0.62, "udp": 0.34, "icmp": 0.04}
RATES = ("constant", "diurnal")
#: Addresses for servers end there: 198.18.0.0/15 has room for a sixteenth of these hosts.
MAX_HOSTS = 2_000_000

#: How busy an access network is at each full hour (UTC), in hundredths of its busiest.
_BUSY = (
    *(42, 30, 22, 17, 15, 16, 22, 34, 48, 57, 62, 65),
    *(68, 67, 66, 68, 72, 79, 87, 95, 100, 97, 82, 60),
)
#: What happens in each hour when the rate goes straight from one full hour to the next.
_HOURLY = tuple(now + then for now, then in zip(_BUSY, _BUSY[1:] + _BUSY[:1]))
_HOUR = 3_600_000
_DAY = 24 * _HOUR
#: Within a slot of a day the rate is even.
_SLOT = 300_000
#: A metering process reports flows that last longer piece by piece (RFC 5102 5.11.3).
_ACTIVE_TIMEOUT = 1_800_000
_IDLE, _ACTIVE, _ENDED = 1, 2, 3  # flowEndReason
_PROTOCOLS = ("tcp", "udp", "icmp")
#: Of so many conversations one has no answer: a scan, a host that is gone.
_UNANSWERED = 0.04
#: Of so many answered TCP conversations the end was seen, and in so many it was a reset.
_CLOSED, _RESET = 0.92, 0.08
_SYN, _TALK, _FIN, _RST = 0x02, 0x1A, 0x01, 0x04  # tcpControlBits; _TALK is SYN, PSH, ACK
_SYN_RETRIES = 4
#: icmpTypeCode and protocolIdentifier of echo request and reply, over IPv4 and over IPv6.
_ECHO = (((0x0800, 1), (0x0000, 1)), ((0x8000, 58), (0x8100, 58)))
_UPLINK = 1
#: Addresses whose text is remembered.
_REMEMBERED = 65536
#: Flows are exported when so many have ended, or the first of them so long ago.
_BATCH, _BATCH_MILLISECONDS = 1000, 1000
#: Messages of a batch follow each other so fast: 10 microseconds.
_MESSAGE_GAP = 0.00001
_milliseconds = data_type("dateTimeMilliseconds")


class Flow(NamedTuple):
    """A Flow Record: ``row`` has values in the order of ``template``'s fields."""

    template: Template
    row: tuple[Any, ...]

    @property
    def end(self) -> int:
        """When the flow ended, in milliseconds since 1970: an exporter has it from then."""
        end: int = self.row[self.template.names.index("flowEndMilliseconds")]
        return end

    @property
    def record(self) -> dict[str, Any]:
        """The flow as a dict keyed by element name."""
        return dict(zip(self.template.names, self.row))


class Service(NamedTuple):
    """What servers offer and how a conversation with them looks.

    ``share`` is its part of all conversations of its ``protocol``. ``packets`` is the least
    number that a client sends, ``most`` the greatest; a number in between has a heavy tail.
    ``replies`` are packets of the server's for one of the client's. The octets of packets
    (layer 3, as the elements count them) lie between two bounds in each direction, ``gap``
    is the time between two packets in milliseconds.
    """

    name: str
    protocol: str
    port: int
    share: int
    packets: int
    most: int
    replies: float
    request: tuple[int, int]
    response: tuple[int, int]
    gap: int
    type_of_service: int = 0


SERVICES = (
    Service("https", "tcp", 443, 62, 6, 4_000_000, 1.4, (60, 240), (300, 1500), 25),
    Service("http", "tcp", 80, 14, 5, 1_000_000, 1.4, (60, 300), (200, 1500), 25),
    Service("imaps", "tcp", 993, 7, 8, 40_000, 1.1, (60, 160), (80, 900), 400),
    Service("smtp", "tcp", 25, 5, 9, 60_000, 0.8, (80, 1400), (52, 120), 60),
    Service("ssh", "tcp", 22, 5, 12, 500_000, 1.0, (60, 200), (60, 600), 300, 0x10),
    Service("backup", "tcp", 873, 3, 40, 6_000_000, 0.5, (600, 1500), (52, 60), 2),
    Service("postgresql", "tcp", 5432, 4, 6, 200_000, 1.0, (70, 400), (90, 1400), 8),
    Service("domain", "udp", 53, 55, 1, 3, 1.0, (56, 90), (80, 512), 20),
    Service("quic", "udp", 443, 25, 8, 3_000_000, 1.6, (60, 400), (400, 1350), 15),
    Service("ntp", "udp", 123, 8, 1, 4, 1.0, (76, 76), (76, 76), 1000),
    Service("syslog", "udp", 514, 5, 1, 500, 0.0, (90, 480), (0, 0), 200),
    Service("snmp", "udp", 161, 4, 1, 60, 1.0, (70, 120), (90, 700), 10),
    Service("rtp", "udp", 5004, 3, 300, 200_000, 1.0, (200, 200), (200, 200), 20, 0xB8),
    Service("echo", "icmp", 0, 100, 1, 3_600, 1.0, (84, 84), (84, 84), 1000),
)

_TAIL = (
    *("ipClassOfService", "ingressInterface", "egressInterface"),
    *("packetDeltaCount", "octetDeltaCount"),
    *("flowStartMilliseconds", "flowEndMilliseconds", "flowEndReason"),
)
_REVERSE = ("biflowDirection", "reversePacketDeltaCount", "reverseOctetDeltaCount")
_PORTS = ("sourceTransportPort", "destinationTransportPort", "protocolIdentifier", "tcpControlBits")


def traffic_templates(biflow: bool = False) -> tuple[Template, ...]:
    """The templates of :func:`traffic`: IPv4, IPv6, and ICMP over each of them.

    Their ids are 256 to 259, those of biflows (RFC 5103) 260 to 263.
    """
    return _templates(bool(biflow))


@cache
def _templates(biflow: bool) -> tuple[Template, ...]:
    made = []
    for number, (address, icmp) in enumerate(
        (("IPv4Address", ""), ("IPv6Address", ""), ("IPv4Address", "IPv4"), ("IPv6Address", "IPv6"))
    ):
        fields = [f"source{address}", f"destination{address}"]
        fields += [f"icmpTypeCode{icmp}", "protocolIdentifier"] if icmp else _PORTS
        fields += _TAIL
        if biflow:
            fields += _REVERSE if icmp else (*_REVERSE, "reverseTcpControlBits")
        made.append(Template(256 + 4 * biflow + number, *fields))
    return tuple(made)


def traffic(
    seed: int = 1,
    hosts: int = 1000,
    flows: int = 10_000,
    *,
    start: float | str | datetime = DEFAULT_START,
    duration: float = 3600.0,
    rate: str = "constant",
    ipv6: float = 0.2,
    biflow: bool = False,
    mix: Mapping[str, float] | None = None,
) -> Iterator[Flow]:
    """``flows`` Flow Records of ``hosts`` hosts, in the order in which the flows end.

    They end between ``start`` (seconds since 1970, datetime, ISO text) and ``duration``
    seconds later; ``rate`` is "constant" or "diurnal", with the day of an access network in
    UTC. ``ipv6`` is the part of conversations over IPv6, from 0 to 1; ``mix`` how much of
    them is "tcp", "udp" and "icmp", in any unit. A conversation gives a flow a direction, or
    one biflow (RFC 5103). A sixteenth of the hosts are servers.

    Memory does not grow with any argument. Raises ValueError for an argument out of bounds.
    """
    if seed < 0:
        raise ValueError(f"seed {seed} is negative")
    if not 2 <= hosts <= MAX_HOSTS:
        raise ValueError(f"hosts {hosts} is not in 2..{MAX_HOSTS}")
    if flows < 0:
        raise ValueError(f"flows {flows} is negative")
    if not 0.001 <= duration <= 1e9:
        raise ValueError(f"duration {duration} is not in 0.001..1e9 seconds")
    if rate not in RATES:
        raise ValueError(f"rate is {' or '.join(map(repr, RATES))}, not {rate!r}")
    if not 0 <= ipv6 <= 1:
        raise ValueError(f"ipv6 {ipv6} is not in 0..1")
    random = Random(seed).random
    first, span = _begin(start), int(duration * 1000)
    ends = _ends(random, flows, first, span, rate == "diurnal")
    return _conversations(
        random, ends, hosts, ipv6, biflow, _table(DEFAULT_MIX if mix is None else mix)
    )


def _begin(start: float | str | datetime) -> int:
    """Milliseconds since 1970. Flows begin before they end: the first days are left out."""
    if isinstance(start, (str, datetime)):
        try:
            milliseconds = int.from_bytes(_milliseconds.encode(start), "big")
        except ValueError:
            raise ValueError(f"start {start!r} is not a time (ISO 8601)") from None
    elif math.isfinite(start):
        milliseconds = int(start * 1000)
    else:
        raise ValueError(f"start {start} is not a time")
    if not _DAY <= milliseconds < 1 << 45:
        raise ValueError(f"start {start} is not a time from 1970-01-02 to the year 3084")
    return milliseconds


def _table(mix: Mapping[str, float]) -> tuple[Service, ...]:
    """A service for each of about a thousand equally probable draws."""
    for protocol, part in mix.items():
        if protocol not in _PROTOCOLS:
            raise ValueError(f"mix: {protocol!r} is none of {', '.join(_PROTOCOLS)}")
        if not 0 <= part < math.inf:
            raise ValueError(f"mix: {protocol} is {part}, not a part of anything")
    total = sum(mix.values())
    if not total:
        raise ValueError("mix: all of it is zero")
    parts = [each.share * mix.get(each.protocol, 0) / (100 * total) for each in SERVICES]
    table: list[Service] = []
    for service, reached in zip(SERVICES, accumulate(parts)):
        table += [service] * (round(1024 * reached) - len(table))
    return tuple(table)


def _ends(
    random: Callable[[], float], flows: int, start: int, span: int, diurnal: bool
) -> Iterator[int]:
    """When flows end, in milliseconds since 1970, in order: exactly ``flows`` of them.

    Each has its place in an even grid and moves within it by chance.
    """
    slots = [(start, start + span)]
    total = span
    if diurnal:
        total = _busyness(start + span) - _busyness(start)
    done = 0
    for begin, stop in _slots(start, span) if diurnal else slots:
        reached = _busyness(stop) - _busyness(start) if diurnal else span
        count = flows * reached // total - done
        done += count
        width = (stop - begin) / count if count else 0.0
        for i in range(count):
            yield begin + int((i + random()) * width)


def _slots(start: int, span: int) -> Iterator[tuple[int, int]]:
    for begin in range(start, start + span, _SLOT):
        yield begin, min(begin + _SLOT, start + span)


def _busyness(time: int) -> int:
    """All that happened since 1970, in a unit of no interest: the integral of the day's rate.

    Integers, so that it is exact.
    """
    days, rest = divmod(time, _DAY)
    hour, rest = divmod(rest, _HOUR)
    now, then = _BUSY[hour], _BUSY[(hour + 1) % 24]
    whole = (days * sum(_HOURLY) + sum(_HOURLY[:hour])) * _HOUR * _HOUR
    return whole + 2 * _HOUR * now * rest + (then - now) * rest * rest


def _conversations(
    random: Callable[[], float],
    ends: Iterator[int],
    hosts: int,
    ipv6: float,
    biflow: bool,
    table: tuple[Service, ...],
) -> Iterator[Flow]:
    """The flows themselves: one long loop, since it is what a load test waits for."""
    templates = traffic_templates(biflow)
    servers = max(1, hosts // 16)
    clients = hosts - servers
    draws = len(table)
    # services live on different servers, as far as there are so many
    homes = {each.name: i * servers // len(SERVICES) for i, each in enumerate(SERVICES)}
    sqrt, make = math.sqrt, tuple.__new__
    for end in ends:
        service = table[int(random() * draws)]
        name, protocol, port, _, least, most, replies, request, response, gap, tos = service
        is_ipv6 = random() < ipv6
        # squares and cubes of chance: the first hosts are the popular ones
        chance = random()
        client = int(clients * chance * chance)
        chance = random()
        server = (homes[name] + int(servers * chance * chance * chance)) % servers
        ours, theirs = _client(client, is_ipv6), _server(server, is_ipv6)

        answered = replies > 0 and random() >= _UNANSWERED
        # A Pareto distribution of shape 8/7: its mean is finite, its variance is not. Raising
        # to the power of 1/8 is three square roots here, which are exact on every machine.
        chance = 1.0 - random()
        packets = min(int(least * sqrt(sqrt(sqrt(chance))) / chance), most)
        low, high = request
        if protocol == "tcp" and not answered:
            packets, high = min(packets // least, _SYN_RETRIES), low
        octets = packets * (low + int(random() * (high - low + 1)))
        lasted, reason = int((packets - 1) * gap * (0.25 + random())), _IDLE
        if lasted >= _ACTIVE_TIMEOUT:
            lasted, reason = _ACTIVE_TIMEOUT, _ACTIVE
        flags = 0
        if protocol == "tcp":
            flags = _SYN
            if answered:
                flags = _TALK
                chance = random()
                if reason == _IDLE and chance < _CLOSED:
                    reason = _ENDED
                    flags |= _RST if chance < _RESET else _FIN
        start = end - lasted

        back_packets = back_octets = 0
        if answered:
            back_packets = int(packets * replies * (0.6 + 0.8 * random())) or 1
            if protocol == "icmp":
                back_packets = packets
            low, high = response
            back_octets = back_packets * (low + int(random() * (high - low + 1)))
        interface = 2 + (client & 3)
        volume = (tos, interface, _UPLINK, packets, octets, start, end, reason)
        if protocol == "icmp":
            template = templates[2 + is_ipv6]
            forward: tuple[int, ...]
            backward: tuple[int, ...]
            forward, backward = _ECHO[is_ipv6]
            reverse: tuple[int, ...] = (1, back_packets, back_octets)
        else:
            template = templates[is_ipv6]
            number = 6 if protocol == "tcp" else 17
            ephemeral = 32768 + int(random() * 28232)
            forward = (ephemeral, port, number, flags)
            backward = (port, ephemeral, number, flags)
            reverse = (1, back_packets, back_octets, flags if answered else 0)
        if biflow:
            yield make(Flow, (template, (ours, theirs, *forward, *volume, *reverse)))
            continue
        yield make(Flow, (template, (ours, theirs, *forward, *volume)))
        if answered:
            if next(ends, None) is None:
                return
            start = min(start + 1 + int(random() * 40), end)
            volume = (tos, _UPLINK, interface, back_packets, back_octets, start, end, reason)
            yield make(Flow, (template, (theirs, ours, *backward, *volume)))


@lru_cache(_REMEMBERED)
def _client(number: int, is_ipv6: bool) -> str:
    """10.0.0.0/8 (RFC 1918) or 2001:db8::/32 (RFC 3849), as ``inet_ntop`` writes it."""
    if is_ipv6:
        return f"2001:db8:{(number >> 8) + 1:x}::{(number & 255) + 1:x}"
    number += 1
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


@lru_cache(_REMEMBERED)
def _server(number: int, is_ipv6: bool) -> str:
    """198.18.0.0/15 (RFC 2544) or 2001:2::/48 (RFC 5180), as ``inet_ntop`` writes it."""
    if is_ipv6:
        return f"2001:2:0:{(number >> 8) + 1:x}::{(number & 255) + 1:x}"
    number += 1
    return f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def traffic_messages(
    flows: Iterable[Flow], exporter: Exporter, *, live: bool = False
) -> Iterator[tuple[float, bytes]]:
    """Messages of ``flows``, each with the time when it is sent, in seconds since 1970.

    ``flows`` are in the order of their ends. They are exported about a second after that,
    sooner when there are many, those of one template together. Export times are by the
    flows, so that the same flows give the same messages; ``live`` goes by the exporter's
    clock instead.

    Raises ValueError for a flow that the exporter cannot export, as biflows in NetFlow v9.
    """
    now = 0.0
    for batch in _batches(flows):
        now = max(batch[-1].end / 1000, now)
        batch.sort(key=_template_id)
        for template, group in groupby(batch, key=itemgetter(0)):
            rows = [row for _, row in group]
            when = None if live else now
            for octets in exporter.export_bytes(template, rows, export_time=when):
                yield now, octets
                now += _MESSAGE_GAP


def _template_id(flow: Flow) -> int:
    return flow.template.id


def _batches(flows: Iterable[Flow]) -> Iterator[list[Flow]]:
    """Flows that are exported together."""
    batch: list[Flow] = []
    flush = 0
    for flow in flows:
        if not batch:
            flush = flow.end + _BATCH_MILLISECONDS
        elif len(batch) >= _BATCH or flow.end >= flush:
            yield batch
            batch = []
            flush = flow.end + _BATCH_MILLISECONDS
        batch.append(flow)
    if batch:
        yield batch


def departures(
    flows: Iterable[Flow], room: int
) -> Iterator[tuple[float, Template, list[tuple[Any, ...]]]]:
    """When flows leave that are exported in their time, in seconds since 1970, and which.

    Flows of a template leave together once they fill ``room`` octets, or a second after the
    first of them ended. ``flows`` are in the order of their ends.
    """
    waiting: dict[int, list[Flow]] = {}
    due = math.inf
    last = 0
    for flow in flows:
        last = flow.end
        if last >= due:
            # The first ones first: a group's first flow says when the group leaves.
            for group in sorted(waiting.values(), key=_first_end):
                if (left := _first_end(group) + _BATCH_MILLISECONDS) <= last:
                    del waiting[_template_id(group[0])]
                    yield left / 1000, group[0].template, [row for _, row in group]
            due = min(map(_first_end, waiting.values()), default=math.inf) + _BATCH_MILLISECONDS
        group = waiting.setdefault(flow.template.id, [])
        group.append(flow)
        due = min(due, last + _BATCH_MILLISECONDS)
        if (len(group) + 1) * flow.template.length > room:
            del waiting[flow.template.id]
            yield last / 1000, flow.template, [row for _, row in group]
    for group in waiting.values():
        yield last / 1000, group[0].template, [row for _, row in group]


def _first_end(group: list[Flow]) -> int:
    return group[0].end

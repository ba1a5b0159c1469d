# SPDX-License-Identifier: GPL-2.0-or-later
"""Generator of plausible flows for load tests: :func:`traffic`.

Clients send requests to servers that offer services. A few hosts are popular, most flows are
short and some are enormous. Equal arguments give equal flows, on every platform and in every
Python version: the only method of :class:`random.Random` in use is ``random()``, whose
sequence Python guarantees, and the only operations are those that IEEE 754 rounds exactly (no
logarithm, no power).

:func:`traffic_messages` makes messages of all flows at once; :func:`departures` groups the
flows that share a message when each is exported as it ends.
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

#: Default time from which flows end: 2026-01-01T00:00:00Z, a Thursday.
DEFAULT_START = 1_767_225_600
#: Default shares of transport protocols in all conversations.
DEFAULT_MIX: Mapping[str, float] = {"tcp": 0.62, "udp": 0.34, "icmp": 0.04}
RATES = ("constant", "diurnal")
#: Greatest number of hosts: 198.18.0.0/15 has addresses for a sixteenth of them, the servers.
MAX_HOSTS = 2_000_000

#: Rate of an access network at each full hour (UTC), in percent of the greatest.
_BUSY = (
    *(42, 30, 22, 17, 15, 16, 22, 34, 48, 57, 62, 65),
    *(68, 67, 66, 68, 72, 79, 87, 95, 100, 97, 82, 60),
)
#: Twice the mean rate of each hour: the rate is linear between two full hours.
_HOURLY = tuple(now + then for now, then in zip(_BUSY, _BUSY[1:] + _BUSY[:1]))
_HOUR = 3_600_000
_DAY = 24 * _HOUR
#: Milliseconds of a slot of the day, in which the rate is constant.
_SLOT = 300_000
#: Milliseconds after which a Metering Process exports a flow that goes on (RFC 5102 5.11.3).
_ACTIVE_TIMEOUT = 1_800_000
_IDLE, _ACTIVE, _ENDED = 1, 2, 3  # flowEndReason
_TCP = 6
#: Protocol numbers; 0 for ICMP, which differs between IPv4 and IPv6.
_NUMBERS = {"tcp": _TCP, "udp": 17, "icmp": 0}
#: Share of conversations without a response: scans, and hosts that are down.
_UNANSWERED = 0.04
#: Shares of answered TCP conversations with an observed end, and with a reset.
_CLOSED, _RESET = 0.92, 0.08
_SYN, _TALK, _FIN, _RST = 0x02, 0x1A, 0x01, 0x04  # tcpControlBits; _TALK is SYN, PSH, ACK
_SYN_RETRIES = 4
#: icmpTypeCode and protocolIdentifier of echo request and reply, over IPv4 and over IPv6.
_ECHO = (((0x0800, 1), (0x0000, 1)), ((0x8000, 58), (0x8100, 58)))
_UPLINK = 1
#: Addresses whose text is kept.
_CACHED_ADDRESSES = 65536
#: Flows are exported when this number has ended, or when the first of them is this old.
_BATCH, _BATCH_MILLISECONDS = 1000, 1000
#: Seconds between two messages of a batch.
_MESSAGE_GAP = 0.00001
_milliseconds = data_type("dateTimeMilliseconds")


class Flow(NamedTuple):
    """Flow Record: ``row`` has values in the order of the fields of ``template``."""

    template: Template
    row: tuple[Any, ...]

    @property
    def end(self) -> int:
        """End of the flow in milliseconds since 1970; it can be exported from then on."""
        end: int = self.row[self.template.names.index("flowEndMilliseconds")]
        return end

    @property
    def record(self) -> dict[str, Any]:
        """Flow as a dict keyed by element name."""
        return dict(zip(self.template.names, self.row))


class Service(NamedTuple):
    """Service of a server, with the properties of its conversations.

    ``share`` is its part of all conversations of its ``protocol``. The client sends at least
    ``packets`` and at most ``most`` packets, with a heavy tail; the server sends ``replies``
    packets for each of them. ``request`` and ``response`` are the least and greatest length
    of a packet (layer 3, in octets) in each direction, ``gap`` is the time between two packets
    in milliseconds.
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
    """Return the templates of :func:`traffic`: IPv4, IPv6, and ICMP over each of them.

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
    """Return an iterator of ``flows`` Flow Records of ``hosts`` hosts, in the order of their ends.

    They end between ``start`` (seconds since 1970, datetime, ISO 8601 text) and ``duration``
    seconds later; ``rate`` is "constant" or "diurnal", the day of an access network in UTC.
    ``ipv6`` is the share of conversations over IPv6, from 0 to 1; ``mix`` has the proportions
    of "tcp", "udp" and "icmp" in any unit. A conversation is a flow in each direction, or one
    biflow (RFC 5103). A sixteenth of the hosts are servers.

    Memory does not grow with any argument. Raises ValueError for an argument out of range.
    """
    if seed < 0:
        raise ValueError(f"seed {seed} is negative; give 0 or more")
    if not 2 <= hosts <= MAX_HOSTS:
        raise ValueError(f"hosts {hosts} is not in 2..{MAX_HOSTS}")
    if flows < 0:
        raise ValueError(f"flows {flows} is negative; give 0 or more")
    if not 0.001 <= duration <= 1e9:
        raise ValueError(f"duration {duration} is not in 0.001..1e9 seconds")
    if rate not in RATES:
        raise ValueError(f"rate is {' or '.join(map(repr, RATES))}, not {rate!r}")
    if not 0 <= ipv6 <= 1:
        raise ValueError(f"ipv6 {ipv6} is not in 0..1")
    random = Random(seed).random
    first, span = _milliseconds_of(start), int(duration * 1000)
    ends = _ends(random, flows, first, span, rate == "diurnal")
    servers = max(1, hosts // 16)
    table = _profiles(_services(DEFAULT_MIX if mix is None else mix), servers)
    return _flows(random, ends, table, (hosts - servers, servers), ipv6, biflow)


def _milliseconds_of(start: float | str | datetime) -> int:
    """Return a time in milliseconds since 1970, at least a day: flows begin before they end."""
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


def _services(mix: Mapping[str, float]) -> list[Service]:
    """Return about a thousand services, each as often as its share in ``mix`` demands."""
    for protocol, part in mix.items():
        if protocol not in _NUMBERS:
            raise ValueError(f"mix: {protocol!r} is none of {', '.join(_NUMBERS)}")
        if not 0 <= part < math.inf:
            raise ValueError(f"mix: {protocol} is {part}; give a number of 0 or more")
    total = sum(mix.values())
    if not total:
        raise ValueError("mix: all of it is zero; give one protocol a number above 0")
    parts = [each.share * mix.get(each.protocol, 0) / (100 * total) for each in SERVICES]
    table: list[Service] = []
    for service, reached in zip(SERVICES, accumulate(parts)):
        table += [service] * (round(1024 * reached) - len(table))
    return table


def _ends(
    random: Callable[[], float], flows: int, start: int, span: int, diurnal: bool
) -> Iterator[int]:
    """Yield the ends of ``flows`` flows in order, in milliseconds since 1970.

    Each has a cell of an even grid, and its place within the cell by chance.
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
    """Return the integral of the diurnal rate since 1970, an exact integer in any unit."""
    days, rest = divmod(time, _DAY)
    hour, rest = divmod(rest, _HOUR)
    now, then = _BUSY[hour], _BUSY[(hour + 1) % 24]
    whole = (days * sum(_HOURLY) + sum(_HOURLY[:hour])) * _HOUR * _HOUR
    return whole + 2 * _HOUR * now * rest + (then - now) * rest * rest


class _Profile(NamedTuple):
    """Properties of a :class:`Service` in the form that :func:`_flows` needs.

    ``number`` is the protocol number, 0 for ICMP; ``home`` the first server of the service.
    A packet has ``low`` octets, and up to ``spread - 1`` more.
    """

    number: int
    port: int
    home: int
    type_of_service: int
    request: tuple[int, int, int, int, int]  # least and most packets, low, spread, gap
    response: tuple[float, int, int]  # replies per packet, low, spread


def _profiles(services: list[Service], servers: int) -> tuple[_Profile, ...]:
    profiles = {}
    for position, each in enumerate(SERVICES):
        profiles[each.name] = _Profile(
            _NUMBERS[each.protocol],
            each.port,
            # Services are on different servers as far as there are enough.
            position * servers // len(SERVICES),
            each.type_of_service,
            (each.packets, each.most, *_spread(each.request), each.gap),
            (each.replies, *_spread(each.response)),
        )
    return tuple(profiles[each.name] for each in services)


def _spread(bounds: tuple[int, int]) -> tuple[int, int]:
    low, high = bounds
    return low, high - low + 1


def _flows(
    random: Callable[[], float],
    ends: Iterator[int],
    table: tuple[_Profile, ...],
    hosts: tuple[int, int],
    ipv6: float,
    biflow: bool,
) -> Iterator[Flow]:
    """Yield the flows of conversations that end at ``ends``; ``hosts`` are clients and servers."""
    templates = traffic_templates(biflow)
    (clients, servers), draws, make = hosts, len(table), tuple.__new__
    for end in ends:
        number, port, home, tos, request, response = table[int(random() * draws)]
        is_ipv6 = random() < ipv6
        # Squares and cubes of chance make the first hosts the popular ones.
        chance = random()
        client = int(clients * chance * chance)
        chance = random()
        server = (home + int(servers * chance * chance * chance)) % servers
        ours, theirs = _client(client, is_ipv6), _server(server, is_ipv6)

        answered = response[0] > 0 and random() >= _UNANSWERED
        packets, octets, lasted, reason, flags = _request(random, number, request, answered)
        start = end - lasted
        back = _response(random, number, response, packets) if answered else (0, 0)
        interface = 2 + (client & 3)
        volume = (tos, interface, _UPLINK, packets, octets, start, end, reason)
        forward: tuple[int, ...]
        backward: tuple[int, ...]
        if number:
            template = templates[is_ipv6]
            ephemeral = 32768 + int(random() * 28232)
            forward = (ephemeral, port, number, flags)
            backward = (port, ephemeral, number, flags)
        else:
            template = templates[2 + is_ipv6]
            forward, backward = _ECHO[is_ipv6]
        if biflow:
            reverse: tuple[int, ...] = (1, *back)
            if number:
                reverse += (flags if answered else 0,)
            yield make(Flow, (template, (ours, theirs, *forward, *volume, *reverse)))
            continue
        yield make(Flow, (template, (ours, theirs, *forward, *volume)))
        if answered:
            if next(ends, None) is None:
                return
            start = min(start + 1 + int(random() * 40), end)
            volume = (tos, _UPLINK, interface, *back, start, end, reason)
            yield make(Flow, (template, (theirs, ours, *backward, *volume)))


def _request(
    random: Callable[[], float],
    number: int,
    request: tuple[int, int, int, int, int],
    answered: bool,
    sqrt: Callable[[float], float] = math.sqrt,
) -> tuple[int, int, int, int, int]:
    """Return packets, octets, milliseconds, flowEndReason and tcpControlBits of a request."""
    least, most, low, spread, gap = request
    # A Pareto distribution of shape 8/7: its mean is finite, its variance is not. The power of
    # 1/8 is three square roots, which are exact on every machine.
    chance = 1.0 - random()
    packets = min(int(least * sqrt(sqrt(sqrt(chance))) / chance), most)
    if number == _TCP and not answered:
        packets, spread = min(packets // least, _SYN_RETRIES), 1
    octets = packets * (low + int(random() * spread))
    lasted, reason = int((packets - 1) * gap * (0.25 + random())), _IDLE
    if lasted >= _ACTIVE_TIMEOUT:
        lasted, reason = _ACTIVE_TIMEOUT, _ACTIVE
    if number != _TCP:
        return packets, octets, lasted, reason, 0
    if not answered:
        return packets, octets, lasted, reason, _SYN
    flags = _TALK
    chance = random()
    if reason == _IDLE and chance < _CLOSED:
        reason = _ENDED
        flags |= _RST if chance < _RESET else _FIN
    return packets, octets, lasted, reason, flags


def _response(
    random: Callable[[], float], number: int, response: tuple[float, int, int], packets: int
) -> tuple[int, int]:
    """Return packets and octets of the response to a request of ``packets`` packets."""
    replies, low, spread = response
    count = int(packets * replies * (0.6 + 0.8 * random())) or 1
    if not number:
        count = packets
    return count, count * (low + int(random() * spread))


@lru_cache(_CACHED_ADDRESSES)
def _client(number: int, is_ipv6: bool) -> str:
    """Return an address of 10.0.0.0/8 (RFC 1918) or 2001:db8::/32 (RFC 3849) as text."""
    if is_ipv6:
        return f"2001:db8:{(number >> 8) + 1:x}::{(number & 255) + 1:x}"
    number += 1
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


@lru_cache(_CACHED_ADDRESSES)
def _server(number: int, is_ipv6: bool) -> str:
    """Return an address of 198.18.0.0/15 (RFC 2544) or 2001:2::/48 (RFC 5180) as text."""
    if is_ipv6:
        return f"2001:2:0:{(number >> 8) + 1:x}::{(number & 255) + 1:x}"
    number += 1
    return f"198.{18 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def traffic_messages(
    flows: Iterable[Flow], exporter: Exporter, *, live: bool = False
) -> Iterator[tuple[float, bytes]]:
    """Yield messages of ``flows``, each with its time of sending in seconds since 1970.

    ``flows`` are in the order of their ends. They are exported about a second after the end,
    or sooner when there are many, grouped by template. Export times follow from the flows, so
    that equal flows give equal messages; with ``live`` they are those of the exporter's clock.

    Raises ValueError for a flow that cannot be exported, such as a biflow in NetFlow v9.
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
    """Yield lists of flows that are exported together."""
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
    """Yield time in seconds since 1970, template and rows of flows to export together.

    Flows of a template are exported once they fill ``room`` octets, or a second after the end
    of the first of them. ``flows`` are in the order of their ends.
    """
    waiting: dict[int, list[Flow]] = {}
    due = math.inf
    last = 0
    for flow in flows:
        last = flow.end
        if last >= due:
            # In the order of first ends: the first flow of a group determines its time.
            for group in sorted(waiting.values(), key=_first_end):
                if (when := _first_end(group) + _BATCH_MILLISECONDS) <= last:
                    del waiting[_template_id(group[0])]
                    yield when / 1000, group[0].template, [row for _, row in group]
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

# SPDX-License-Identifier: GPL-2.0-or-later
"""Rewriter of messages, and replay of captures to a collector."""

import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from scapy_ipfix.collector.collected import CollectedMessage
from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.layers.messages import IPFIX, make_message
from scapy_ipfix.reading.capture import CaptureError
from scapy_ipfix.reading.ipfixfile import write_ipfix
from scapy_ipfix.reading.reader import iter_messages, iter_records
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.testing import replay as replay_module
from scapy_ipfix.testing.replay import ReplayTotals, Rewriter, replay
from scapy_ipfix.wire.template import Template
from tests.exporting.test_sending import UDPCollector
from tests.strategies import Filled, filled

THEN = 1_700_000_000
NOW = 1_800_000_000
FLOW = Template(256, "sourceIPv4Address", "flowEndMilliseconds", "octetDeltaCount")
ROWS = [("192.0.2.1", (THEN - 5) * 1000 + 250, number) for number in range(20)]
TIMED = (
    "dateTimeSeconds",
    "dateTimeMilliseconds",
    "dateTimeMicroseconds",
    "dateTimeNanoseconds",
)
#: A second in the unit of each type.
SECOND = dict(zip(TIMED, (1, 1000, 1 << 32, 1 << 32)))


def read(messages: Any) -> Iterator[CollectedMessage]:
    return iter_messages([bytes(each) for each in messages], IPFIXSession())


def made(version: int = 10, **arguments: Any) -> list[Any]:
    exporter = Exporter(7, version=version, mtu=200, **arguments)
    return list(exporter.export(FLOW, ROWS, export_time=THEN))


def rewritten(messages: Any, **changes: Any) -> tuple[list[bytes], Rewriter]:
    rewriter = Rewriter(clock=lambda: NOW + 0.75, **changes)
    return [rewriter.rewrite(each) for each in read(messages)], rewriter


# -- rewriter


def test_no_change_by_default() -> None:
    octets, _ = rewritten(made())
    assert octets == [bytes(each) for each in made()]


@pytest.mark.parametrize("version", [9, 10])
def test_times_move_to_now(version: int) -> None:
    octets, _ = rewritten(made(version), retime=True)
    for changed, original in zip(map(make_message, octets), made(version), strict=True):
        assert changed is not None
        name = "exportTime" if version == 10 else "unixSecs"
        assert changed.getfieldval(name) == NOW
        changed.setfieldval(name, THEN)
        assert changed.fields.keys() == original.fields.keys()
        assert changed.sequenceNumber == original.sequenceNumber
    records = list(iter_records(octets))
    assert [each["octetDeltaCount"] for each in records] == list(range(20))
    assert {each["flowEndMilliseconds"] for each in records} == {(NOW - 5) * 1000 + 250}


def test_every_kind_of_time_moves() -> None:
    template = Template(
        *(300, "flowStartSeconds", "interfaceName", "flowStartMilliseconds"),
        *("flowStartMicroseconds", "flowStartNanoseconds", "flowStartSysUpTime"),
    )
    when = "2023-11-14T22:13:20.123456Z"
    rows = [(when, name, when, when, when, 77) for name in ("eth0", "", "x" * 300)]
    exporter = Exporter()
    octets, _ = rewritten(exporter.export(template, rows, export_time=THEN), retime=True)
    (plain,) = Exporter().export(template, rows, export_time=THEN)
    for record, original in zip(iter_records(octets), iter_records([bytes(plain)]), strict=True):
        for field in template.fields:
            moved = record[field.name]
            if field.data_type.name in SECOND:
                moved -= SECOND[field.data_type.name] * (NOW - THEN)
            assert moved == original[field.name]
    moved = next(iter_records(octets))["flowStartMicroseconds"]
    assert template.fields[3].data_type.to_text(moved) == "2027-01-15T08:00:00.123456Z"


def test_times_of_0_and_times_that_do_not_fit_stay() -> None:
    template = Template(
        300, "flowStartSeconds", "flowEndSeconds", "flowEndMilliseconds[4]", "flowStartNanoseconds"
    )
    row = (0, (1 << 32) - 5, 0x01020304, 0)
    octets, _ = rewritten(Exporter().export(template, [row], export_time=THEN), retime=True)
    (record,) = iter_records(octets)
    assert tuple(record.values()) == row


def test_times_in_options_records_move() -> None:
    template = Template(300, "meteringProcessId", "systemInitTimeMilliseconds", scope=1)
    octets, _ = rewritten(
        Exporter().export_options(template, [(1, THEN * 1000)], export_time=THEN), retime=True
    )
    assert next(iter_records(octets))["systemInitTimeMilliseconds"] == NOW * 1000


def test_times_in_lists_move() -> None:
    """Times move in each kind of list, in nested lists, and next to variable lengths."""
    inner = Template(300, "flowStartSeconds", "octetDeltaCount[4]")
    named = Template(301, "interfaceName", "flowEndMilliseconds", "basicList")
    lists = "basicList", "subTemplateList", "subTemplateMultiList"
    outer = Template(302, *lists, "flowStartMicroseconds")
    plain = Template(303, "octetDeltaCount", "subTemplateList")
    exporter = Exporter(mtu=None, template_refresh=None)
    announced = exporter.announce(inner, named, outer, plain)

    def row(seconds: int) -> tuple[Any, ...]:
        times = ("flowEndSeconds", [seconds, 0, seconds + 1])
        names = [("eth0", seconds * 1000 + 5, times), ("x" * 300, 0, ("octetDeltaCount", [7]))]
        records = [(seconds, 10), (seconds + 2, 11)]
        blocks = [(inner, records), (named, names), (inner, [])]
        when = (seconds + 2_208_988_800) << 32  # since 1900, as NTP counts
        return times, (named, names), blocks, when

    def messages(seconds: int) -> list[bytes]:
        exported = exporter.export(outer, [row(seconds), row(seconds)], export_time=seconds)
        deeper = exporter.export(plain, [(1, (outer, [row(seconds)]))], export_time=seconds)
        return [bytes(each)[16:] for each in (*exported, *deeper)]

    data = messages(THEN)
    whole = [bytes(each) for each in announced]
    whole += [bytes(IPFIX(exportTime=THEN, length=16 + len(each))) + each for each in data]
    octets, rewriter = rewritten(whole, retime=True)
    assert [each[16:] for each in octets[1:]] == messages(NOW)
    assert rewriter.undecoded == 0


def test_times_in_lists_that_cannot_be_read_stay() -> None:
    """The template is unknown, the list is cut off, or the nesting is too deep."""
    inner = Template(300, "flowStartSeconds")
    outer = Template(301, "subTemplateList", "flowEndSeconds")
    record = THEN.to_bytes(4, "big")
    lists = [b"\x03\x01\x90" + record, b"\x03\x01\x2c" + record + b"\0", b"\x03\x01"]
    nested = b"\x03\x01\x2c" + record
    for _ in range(10):
        length = b"\xff" + len(nested).to_bytes(2, "big")
        nested = b"\x03\x01\x2d" + length + nested + bytes(4)
    exporter = Exporter(mtu=None)
    rows = [(each, THEN) for each in (*lists, nested, b"")]
    made = [*exporter.announce(inner), *exporter.export(outer, rows, export_time=THEN)]
    octets, _ = rewritten(made, retime=True)
    before = list(iter_records([bytes(each) for each in made]))
    after = list(iter_records(octets))
    assert [each["subTemplateList"] for each in after] == [
        each["subTemplateList"] for each in before
    ]
    assert {each["flowEndSeconds"] for each in after} == {NOW}


@given(filled(min_size=1))
def test_only_times_change_in_any_records(case: Filled) -> None:
    template = case.template
    messages = list(Exporter(mtu=None).export(template, case.rows, export_time=THEN))
    octets, _ = rewritten(messages, retime=True)
    assert [len(each) for each in octets] == [len(bytes(each)) for each in messages]
    times = {
        field.name
        for field in template.fields
        if field.data_type.name in TIMED and field.length == field.data_type.length
    }
    before = [each for message in messages for each in iter_records([bytes(message)])]
    for changed, original in zip(iter_records(octets), before, strict=True):
        for name in template.names:
            if name not in times:
                assert repr(changed[name]) == repr(original[name])
            elif name in times and original[name]:
                field = template.fields[template.names.index(name)]
                second = SECOND[field.data_type.name]
                limit = 1 << (8 * field.length)
                moved = original[name] + (NOW - THEN) * second
                wraps = second == 1 << 32
                expected = moved % limit if wraps else moved if moved < limit else original[name]
                assert changed[name] == expected


def test_shift_of_a_domain_stays_while_it_is_right() -> None:
    now = [NOW + 0.9]
    rewriter = Rewriter(retime=True, clock=lambda: now[0])
    times = []
    for exported, passed in ((0, 0.9), (1, 1.1), (2, 3.05), (3, 3.0), (60, 4.0), (61, 5.0)):
        now[0] = NOW + passed
        message = IPFIX(exportTime=THEN + exported)
        (each,) = read([message])
        times.append(IPFIX(rewriter.rewrite(each)).exportTime - NOW)
    # the same shift for four messages, then a new one for the gap of a minute
    assert times == [0, 1, 2, 3, 4, 5]


def test_renumber() -> None:
    octets, rewriter = rewritten(made(sequence=4_000_000_000), renumber=True)
    assert [IPFIX(each).sequenceNumber for each in octets] == [
        each.sequenceNumber for each in made()
    ]
    assert rewriter.undecoded == 0
    octets, _ = rewritten(made(9, sequence=77), renumber=True)
    assert [int.from_bytes(each[12:16], "big") for each in octets] == list(range(len(octets)))


def test_another_domain() -> None:
    octets, _ = rewritten([*made(), *made(9)], domain=99)
    assert {IPFIX(each).observationDomainId for each in octets if each[1] == 10} == {99}
    assert {int.from_bytes(each[16:20], "big") for each in octets if each[1] == 9} == {99}
    for bad in (-1, 1 << 32):
        with pytest.raises(ValueError, match=f"domain {bad} is not in"):
            Rewriter(domain=bad)


def test_renumber_of_domains_that_become_one() -> None:
    one = list(Exporter(1).export(FLOW, ROWS[:3]))
    other = list(Exporter(2).export(FLOW.with_id(257), ROWS[:5]))
    apart, _ = rewritten([*one, *other, *one], renumber=True)
    assert [IPFIX(each).sequenceNumber for each in apart] == [0, 0, 3]
    together, _ = rewritten([*one, *other, *one], renumber=True, domain=5)
    assert [IPFIX(each).sequenceNumber for each in together] == [0, 3, 8]


def test_data_before_its_template() -> None:
    first, *others = made()
    octets, rewriter = rewritten([*others, first], retime=True, renumber=True)
    assert rewriter.undecoded == len(others)
    assert {IPFIX(each).exportTime for each in octets} == {NOW}
    assert octets[0][16:] == bytes(others[0])[16:]
    # a template in the same message is found
    late = bytes(first)
    template, data = late[16:36], late[36:]
    turned = late[:16] + data + template
    (changed,), rewriter = rewritten([turned], retime=True, renumber=True)
    assert rewriter.undecoded == 0
    assert {each["flowEndMilliseconds"] for each in iter_records([changed])} == {
        (NOW - 5) * 1000 + 250
    }


def test_message_is_walked_once_for_all_pending_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    walked: list[int] = []
    walk = replay_module.walk_sets
    monkeypatch.setattr(
        replay_module, "walk_sets", lambda *each: walked.append(len(each[0])) or walk(*each)
    )
    (first, *_) = made()
    template, data = bytes(first)[16:36], bytes(first)[36:]
    sets = data * 500 + template
    message = bytes(first)[:2] + (16 + len(sets)).to_bytes(2, "big") + bytes(first)[4:16] + sets
    (changed,), rewriter = rewritten([message], retime=True)
    assert rewriter.undecoded == 0
    assert len(walked) == 1
    assert {each["flowEndMilliseconds"] for each in iter_records([changed])} == {
        (NOW - 5) * 1000 + 250
    }


def test_number_of_kept_domains_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_module, "DOMAINS", 3)
    session = IPFIXSession()
    rewriter = Rewriter(retime=True, renumber=True, clock=lambda: NOW)
    numbers = []
    for domain in (0, 1, 2, 0, 3, 0, 1):
        (first, *_) = Exporter(domain).export(FLOW, ROWS[:2], export_time=THEN)
        (message,) = iter_messages([bytes(first)], session)
        numbers.append(IPFIX(rewriter.rewrite(message)).sequenceNumber)
        assert max(len(rewriter._shifts), len(rewriter._sequences)) <= 3
    assert numbers == [0, 0, 0, 2, 0, 4, 0]


def test_few_wide_layouts_are_cached() -> None:
    """The cache of a thousand wide layouts would take gigabytes."""
    wide = Template(300, *["octetDeltaCount[1]"] * 300, "flowEndSeconds")
    (message,) = Exporter(7, mtu=9000).export(wide, [(1,) * 300 + (THEN,)], export_time=THEN)
    before = replay_module._shared_times.cache_info()
    for _ in range(2):
        (changed,), _ = rewritten([message], retime=True)
        (record,) = iter_records([changed])
        assert record["flowEndSeconds"] == NOW
    assert replay_module._shared_times.cache_info() == before
    assert replay_module._wide_times.cache_info().maxsize == 8


@pytest.mark.parametrize("changes", [{"retime": True}, {"renumber": True}, {"domain": 5}])
def test_rewritten_captures_have_the_same_records(root: Path, changes: dict[str, Any]) -> None:
    for path in sorted((root / "pcaps").glob("*.pcap")):
        before = list(iter_messages(path, IPFIXSession()))
        rewriter = Rewriter(clock=lambda: NOW, **changes)
        after = [rewriter.rewrite(each) for each in before]
        assert [len(each) for each in after] == [len(each.octets) for each in before]
        records = list(iter_records(path))
        session = IPFIXSession()
        changed = list(iter_records(after, session=session))
        if "renumber" in changes:
            # softflowd itself does not number messages as RFC 7011 demands
            assert not [code for code in session.diagnostics.counts if "sequence" in code]
        assert len(changed) == len(records)
        for new, old in zip(changed, records):
            different = {name for name in old if new[name] != old[name]}
            if "retime" not in changes:
                assert not different
            assert all("seconds" in name.casefold() for name in different)
            if "flowStartMilliseconds" in different:
                ages = [
                    each["flowEndMilliseconds"] - each["flowStartMilliseconds"]
                    for each in (new, old)
                ]
                assert ages[0] == ages[1]


# -- replay


def capture(path: Path, gap: float = 0.02) -> list[bytes]:
    """Write messages of two exporters by turns to a pcap, and return their octets."""
    one = list(Exporter(1, mtu=200).export(FLOW, ROWS, export_time=THEN))
    other = list(Exporter(1, mtu=200).export(FLOW, ROWS, export_time=THEN))
    packets = []
    for number, (a, b) in enumerate(zip(one, other)):
        for source, message in (("192.0.2.1", a), ("192.0.2.2", b)):
            packet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            packet = packet / IP(src=source, dst="192.0.2.9") / UDP(sport=999, dport=4739) / message
            packet.time = THEN + number * gap
            packets.append(packet)
    wrpcap(str(path), packets)
    return [bytes(each[IPFIX]) for each in packets]


@pytest.fixture
def udp() -> Iterator[UDPCollector]:
    collector = UDPCollector()
    with collector.socket:
        yield collector


def test_capture_is_sent_unchanged(tmp_path: Path, udp: UDPCollector) -> None:
    octets = capture(tmp_path / "x.pcap")
    totals = replay(tmp_path / "x.pcap", udp.to)
    got, sources = udp.take(len(octets))
    assert got == octets
    # each exporter has its own Transport Session
    assert sources[0::2] == [sources[0]] * (len(octets) // 2)
    assert sources[1::2] == [sources[1]] * (len(octets) // 2)
    assert sources[0] != sources[1]
    assert (totals.messages, totals.octets) == (len(octets), sum(map(len, octets)))
    assert (len(totals.exporters), totals.loops, totals.refused, totals.undecoded) == (2, 1, 0, 0)
    assert totals.rate > 0


def test_pace(tmp_path: Path, udp: UDPCollector, monkeypatch: pytest.MonkeyPatch) -> None:
    gaps: list[float | None] = []
    rates: list[float | None] = []

    class Noted(replay_module.Pace):
        def __init__(self, rate: float | None, jitter: float) -> None:
            rates.append(rate)
            super().__init__(rate, jitter)

        def wait(self, gap: float | None = None) -> None:
            gaps.append(gap)

    monkeypatch.setattr(replay_module, "Pace", Noted)
    octets = capture(tmp_path / "x.pcap", gap=30.0)
    replay(tmp_path / "x.pcap", udp.to)
    udp.take(len(octets))
    assert gaps == pytest.approx([0.0, 0.0, *[30.0, 0.0] * (len(octets) // 2 - 1)])
    # an IPFIX File has export times
    exporter = Exporter()
    made = [
        each
        for when in (0, 10, 12)
        for each in exporter.export(FLOW, ROWS[:1], export_time=THEN + when)
    ]
    write_ipfix(tmp_path / "x.ipfix", made)
    gaps.clear()
    replay(tmp_path / "x.ipfix", udp.to)
    assert gaps == [0.0, 10.0, 2.0]
    gaps.clear()
    rates.clear()
    replay(tmp_path / "x.ipfix", udp.to, rate=0)
    replay(tmp_path / "x.ipfix", udp.to, rate=500)
    assert gaps == [None] * 6
    assert rates == [None, 500]


def test_loops(tmp_path: Path, udp: UDPCollector) -> None:
    octets = capture(tmp_path / "x.pcap")
    seen: list[int] = []
    totals = replay(
        tmp_path / "x.pcap",
        udp.to,
        rate=0,
        loop=3,
        renumber=True,
        retime=True,
        progress=lambda totals, capture: seen.append(totals.messages),
    )
    got, sources = udp.take(3 * len(octets))
    assert totals.loops == 3
    assert seen == list(range(1, 3 * len(octets) + 1))
    assert len(set(sources)) == 2
    mine = [IPFIX(each) for each, source in zip(got, sources) if source == sources[0]]
    each_time = len(mine) // 3
    numbers = [message.sequenceNumber for message in mine]
    # sequence numbers continue in the next round
    assert numbers[each_time] == 20
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == len(numbers)


def test_endless_loop_is_interrupted(tmp_path: Path, udp: UDPCollector) -> None:
    octets = capture(tmp_path / "x.pcap")
    totals = ReplayTotals()

    def interrupt(totals: ReplayTotals, capture: Any) -> None:
        if totals.messages > 2 * len(octets):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(tmp_path / "x.pcap", udp.to, rate=0, loop=None, progress=interrupt, totals=totals)
    assert totals.messages == 2 * len(octets) + 1
    assert totals.loops == 2


def test_many_exporters_share_a_bounded_number_of_sockets(
    tmp_path: Path, udp: UDPCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_module, "MAX_SENDERS", 1)
    octets = capture(tmp_path / "x.pcap")
    totals = replay(tmp_path / "x.pcap", udp.to, rate=0)
    got, _ = udp.take(len(octets))
    assert got == octets
    assert len(totals.exporters) == 2


def test_streams_and_nothing_to_send(tmp_path: Path, udp: UDPCollector) -> None:
    octets = capture(tmp_path / "x.pcap")
    totals = replay(io.BytesIO((tmp_path / "x.pcap").read_bytes()), udp.to, rate=0)
    assert totals.messages == len(octets)
    with pytest.raises(ValueError, match="a stream can be read once"):
        replay(io.BytesIO(b""), udp.to, loop=2)
    wrpcap(str(tmp_path / "empty.pcap"), [Ether() / IP() / UDP(dport=53)])
    assert replay(tmp_path / "empty.pcap", udp.to, loop=None).messages == 0


def test_invalid_arguments(tmp_path: Path, root: Path) -> None:
    to = ("127.0.0.1", 4739)
    with pytest.raises(FileNotFoundError):
        replay(tmp_path / "none", to)
    (tmp_path / "x").write_bytes(b"hello")
    with pytest.raises(CaptureError):
        replay(tmp_path / "x", to)
    with pytest.raises(ValueError, match="loop 0"):
        replay(tmp_path / "x", to, loop=0)
    with pytest.raises(ValueError, match="rate -1"):
        replay(tmp_path / "x", to, rate=-1)
    listening = socket.socket()
    with listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with pytest.raises(ValueError, match="v9 does not go over TCP"):
            replay(root / "pcaps" / "softflowd_v9.pcap", listening.getsockname(), "tcp")


def test_over_tcp(root: Path) -> None:
    path = root / "pcaps" / "softflowd_ipfix.pcap"
    listening = socket.socket()
    with listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(10)
        # all messages fit into the buffers of loopback
        totals = replay(path, listening.getsockname(), "tcp", rate=0)
        connection, _ = listening.accept()
        got = b""
        with connection:
            connection.settimeout(10)
            while octets := connection.recv(65536):
                got += octets
    assert len(got) == totals.octets
    assert got == b"".join(each.octets for each in iter_messages(path, IPFIXSession()))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Reassembly of IP fragments: any order, repeated, overlapping, too long, too many."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, IPOption_RR, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Padding, Raw

from scapy_ipfix.reading import reassembly
from scapy_ipfix.reading.reassembly import Fragments

LIMIT = 1 << 20
DATA = bytes(range(256)) * 12
#: With addresses given, Scapy does not ask the network for them.
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def frames(size=1000, **fields):
    """Return the fragments of a datagram as captured, and the datagram."""
    whole = IP(src="192.0.2.1", dst="192.0.2.2", id=7, **fields) / UDP(sport=1, dport=2) / DATA
    return [Ether(bytes(ETHER / each)) for each in fragment(whole, fragsize=size)], bytes(whole)


def add_all(fragments, packets):
    return [fragments.add_ipv4(each, each[IP]) for each in packets]


@given(st.permutations(range(4)))
def test_fragments_in_any_order(order):
    pieces, whole = frames()
    assert len(pieces) == 4
    fragments = Fragments(LIMIT)
    results = add_all(fragments, [pieces[i] for i in order])
    assert results[:-1] == [None] * 3
    assert bytes(results[-1][IP]) == whole
    assert fragments.octets == fragments.dropped == 0
    assert results[-1][UDP].dport == 2
    assert results[-1].time == pieces[order[-1]].time


@given(st.integers(1, 70), st.data())
def test_fragments_of_any_size(count, data):
    whole = data.draw(st.binary(min_size=count, max_size=400))
    cuts = sorted(data.draw(st.sets(st.integers(0, (len(whole) - 1) // 8), max_size=20)) | {0})
    edges = [8 * cut for cut in cuts] + [len(whole)]
    pieces = [(start, whole[start:stop]) for start, stop in itertools.pairwise(edges)]
    fragments = Fragments(LIMIT)
    for start, piece in data.draw(st.permutations(pieces))[:-1]:
        assert fragments.add("key", start, piece, start + len(piece) < len(whole)) is None
        # a repetition changes nothing
        assert fragments.add("key", start, piece, start + len(piece) < len(whole)) is None
    found = [fragments.add("key", s, p, s + len(p) < len(whole)) for s, p in pieces]
    assert whole in found
    assert fragments.dropped == 0


def test_fragments_that_overlap():
    fragments = Fragments(LIMIT)
    assert fragments.add("key", 0, b"aaaaaaaaAAAA", True) is None
    assert fragments.add("key", 8, b"bbbbbbbb", False) == b"aaaaaaaaAAAAbbbb"
    assert fragments.add("key", 0, b"short", True) is None
    assert fragments.add("key", 0, b"shortest", True) is None
    assert fragments.add("key", 8, b"end", False) == b"shortestend"
    assert fragments.octets == 0


def test_fragments_behind_the_last_one():
    fragments = Fragments(LIMIT)
    assert fragments.add("key", 16, b"x" * 8, True) is None
    assert fragments.add("key", 8, b"end", False) is None
    assert fragments.add("key", 0, b"a" * 8, True) == b"a" * 8 + b"end"
    assert fragments.octets == 0


def test_a_gap_is_not_filled_by_octets_elsewhere():
    fragments = Fragments(LIMIT)
    assert fragments.add("key", 0, b"a" * 16, True) is None
    assert fragments.add("key", 8, b"b" * 8, True) is None
    assert fragments.add("key", 24, b"end", False) is None
    assert fragments.add("key", 16, b"c" * 8, True) == b"a" * 16 + b"c" * 8 + b"end"


def reassembled(pieces):
    """Reassemble (offset, data, more) slowly, as a reference for :class:`Fragments`."""
    longest, size = {}, None
    for offset, data, more in pieces:
        longest[offset] = max(longest.get(offset, b""), data, key=len)
        size = size if more else offset + len(data)
    octets = b""
    for offset, data in sorted(longest.items()):
        if offset > len(octets):
            break
        octets += data[len(octets) - offset :]
    return None if size is None or len(octets) < size else octets[:size]


piece = st.tuples(
    st.sampled_from(range(0, 80, 8)), st.binary(max_size=30), st.sampled_from([True] * 5 + [False])
)


@given(st.lists(piece, max_size=30))
def test_any_fragments(pieces):
    fragments = Fragments(LIMIT)
    before = []
    for each in pieces:
        before.append(each)
        expected = reassembled(before)
        assert fragments.add("key", *each) == expected
        if expected is not None:
            before = []
            assert fragments.octets == 0


@pytest.mark.parametrize("backwards", [False, True])
def test_fragments_are_joined_once(backwards, monkeypatch):
    """A thousand overlapping fragments, all many times, and at last the missing one."""
    calls = []

    def counted(pieces):
        calls.append(len(pieces))
        return sorted(pieces)

    monkeypatch.setattr(reassembly, "sorted", counted, raising=False)
    fragments = Fragments(LIMIT)
    offsets = sorted(range(8, 8000, 8), reverse=backwards)
    assert fragments.add("key", 8000, b"end", False) is None
    for _ in range(3):
        for offset in offsets:
            assert fragments.add("key", offset, bytes(16), True) is None
    assert calls == []
    assert fragments.add("key", 0, b"a" * 8, True) == b"a" * 8 + bytes(7995)
    assert calls == [len(offsets) + 2]


def test_datagrams_do_not_mix():
    first, whole = frames()
    fragments = Fragments(LIMIT)
    for other in (
        {"src": "192.0.2.9"},
        {"dst": "192.0.2.9"},
        {"id": 8},
        {"proto": 6},
    ):
        others = [each.copy() for each in first]
        for each in others:
            for name, value in other.items():
                setattr(each[IP], name, value)
            del each[IP].chksum
        others = [Ether(bytes(each)) for each in others]
        assert add_all(fragments, [first[0], others[1], others[2], others[3]]) == [None] * 4
    *_, done = add_all(fragments, first[1:])
    assert bytes(done[IP]) == whole


def test_layers_below_stay():
    pieces, whole = frames()
    pieces = [Ether(bytes(ETHER / Dot1Q(vlan=7) / each[IP])) for each in pieces]
    pieces[-1].time = 1234.5
    *_, done = add_all(Fragments(LIMIT), pieces)
    assert done.src == "02:00:00:00:00:01"
    assert done[Dot1Q].vlan == 7
    assert bytes(done[IP]) == whole
    assert done.time == done[IP].time == 1234.5
    assert done[IP].underlayer is done[Dot1Q]


def test_an_ethernet_trailer_is_no_part_of_a_fragment():
    pieces, whole = frames()
    pieces = [Ether(bytes(each) + b"\xde\xad\xbe\xef") for each in pieces]
    *_, done = add_all(Fragments(LIMIT), pieces)
    assert bytes(done[IP]) == whole
    assert Padding not in done


@pytest.mark.parametrize(
    "options", [[], [IPOption_RR(length=11, pointer=4, routers=["0.0.0.0"] * 2)]]
)
def test_options_stay(options):
    pieces, whole = frames(options=options)
    *_, done = add_all(Fragments(LIMIT), pieces)
    assert bytes(done[UDP]) == whole[-len(DATA) - 8 :]
    assert done[IP].frag == 0
    assert not done[IP].flags.MF
    checked = IP(bytes(done[IP]))
    del checked.chksum
    assert IP(bytes(checked)).chksum == done[IP].chksum


def test_crafted_packets():
    whole = IP(src="192.0.2.1", dst="192.0.2.2", id=7) / UDP(sport=1, dport=2) / DATA
    pieces = fragment(whole, fragsize=1000)
    *rest, done = add_all(Fragments(LIMIT), pieces)
    assert rest == [None] * 3
    assert bytes(done) == bytes(whole)
    assert DATA in bytes(done[Raw])


@pytest.mark.parametrize("ihl", [5, 15])
def test_datagrams_too_long_for_ip(ihl):
    fragments = Fragments(LIMIT)
    options = bytes(4 * (ihl - 5))

    def piece(offset, size, more, options=b""):
        header = IP(id=7, frag=offset, flags="MF" if more else 0, ihl=5 + len(options) // 4)
        header.len = 20 + len(options) + size
        return IP(bytes(header)[:20] + options + bytes(size))

    assert add_all(fragments, [piece(0, 65512, True), piece(8189, 100, False)]) == [None] * 2
    assert fragments.dropped == 100
    # 65515 octets, the most after a header of 20 octets
    result = add_all(fragments, [piece(8189, 3, False)])[0]
    assert len(result) == 65535
    # the fragment that completes the datagram has the longer header
    results = add_all(fragments, [piece(8189, 3, False), piece(0, 65472, True)])
    assert results == [None] * 2
    (result,) = add_all(fragments, [piece(8184, 40, True, options)])
    assert (result is None) is (ihl == 15)


@given(st.binary(min_size=20, max_size=60), st.integers(0, 400))
def test_any_octets_that_are_a_fragment(octets, limit):
    packet = IP(octets)
    if IP not in packet:
        return
    fragments = Fragments(limit)
    middle, last = packet.copy(), packet.copy()
    middle.flags, middle.frag = "MF", 1
    last.flags, last.frag = 0, 0
    for each in (packet, middle, last):
        fragments.add_ipv4(each, each)
        assert 0 <= sum(each.octets for each in fragments) <= fragments.octets <= limit
        assert fragments.dropped <= 3 * len(octets)


def test_memory_is_bounded():
    for size in (0, 8, 1000):
        fragments = Fragments(100_000)
        for key in range(2000):
            fragments.add(key, 8, bytes(size), True)
            assert fragments.octets <= 100_000
        assert fragments.dropped % (size or 1) == 0
        assert bool(fragments.dropped) is bool(size)
        assert fragments.add(1999, 0, bytes(8), True) is None
        assert fragments.add(1999, 8 + size, b"end", False) == bytes(8 + size) + b"end"
    many = Fragments(100_000)
    for offset in range(0, 60_000, 8):
        many.add("one", offset + 8, bytes(8), True)
        assert many.octets <= 100_000
    assert many.dropped > 0


def test_ipv6():
    whole = (
        IPv6(src="2001:db8::1", dst="2001:db8::2")
        / IPv6ExtHdrFragment(id=7)
        / UDP(sport=1, dport=2)
        / DATA
    )
    pieces = [Ether(bytes(ETHER / each)) for each in fragment6(whole, 1000)]
    fragments = Fragments(LIMIT)
    *rest, done = [fragments.add_ipv6(each, each[IPv6ExtHdrFragment]) for each in pieces]
    assert rest == [None] * (len(pieces) - 1)
    assert done[UDP].dport == 2
    assert bytes(done[UDP].payload) == DATA
    assert IPv6ExtHdrFragment not in done
    assert fragments.octets == 0


def test_fragments_that_do_not_arrive_in_time():
    fragments = Fragments(LIMIT)
    (first, *rest), _ = frames()
    for packet, time in zip([first, *rest[:-1]], (100.0, 120.0, 159.0)):
        packet.time = time
        assert fragments.add_ipv4(packet, packet[IP]) is None
    rest[-1].time = 219.5
    assert fragments.add_ipv4(rest[-1], rest[-1][IP]) is None
    (expired,) = fragments.expired
    assert (expired.key.id, expired.octets) == (7, 3000)
    assert [each.time for each in fragments] == [219.5]


def test_identification_used_again():
    """Fragments of two datagrams are not mixed once the first one expired."""
    fragments = Fragments(LIMIT)
    pieces, whole = frames()
    pieces[-1].time = 1.0
    assert fragments.add_ipv4(pieces[-1], pieces[-1][IP]) is None
    for piece in pieces:
        piece.time = 1000.0
    assert bytes(add_all(fragments, pieces)[-1][IP]) == whole
    assert len(fragments.expired) == 1
    assert fragments.octets == 0

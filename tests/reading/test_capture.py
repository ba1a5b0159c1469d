# SPDX-License-Identifier: GPL-2.0-or-later
"""Capture files: pcap, pcapng, gzip, truncated and damaged; datagrams in their frames."""

from __future__ import annotations

import gzip
import io
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.all import (
    ARP,
    ICMP,
    IP,
    TCP,
    UDP,
    Dot1Q,
    Ether,
    IPOption_RR,
    IPv6,
    IPv6ExtHdrHopByHop,
    Packet,
    Raw,
)

from scapy_ipfix.reading.capture import CaptureError, CaptureFile, Frame, is_file_source, plain_udp

#: (order, magic, fractions of a second): the four kinds of pcap.
PCAP_KINDS = [
    ("<", 0xA1B2C3D4, 1_000_000),
    (">", 0xA1B2C3D4, 1_000_000),
    ("<", 0xA1B23C4D, 1_000_000_000),
    (">", 0xA1B23C4D, 1_000_000_000),
]
FRAMES = [b"first frame", b"", b"x" * 1000]


def pcap(
    frames: list[bytes],
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    link_type: int = 1,
    fraction: int = 250_000,
) -> bytes:
    octets = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for second, frame in enumerate(frames, 1_700_000_000):
        octets += struct.pack(order + "IIII", second, fraction, len(frame), len(frame)) + frame
    return octets


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def interface(
    link_type: int = 1, longest: int = 0, options: bytes = b"", order: str = "<"
) -> bytes:
    return block(1, struct.pack(order + "HHI", link_type, 0, longest) + options, order)


def enhanced(frame: bytes, ticks: int = 0, number: int = 0, order: str = "<") -> bytes:
    size = len(frame)
    header = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, size, size)
    padding = bytes(-size % 4)
    return block(6, header + frame + padding + option(1, b"a comment", order), order)


def simple(frame: bytes, size: int | None = None) -> bytes:
    return block(3, struct.pack("<I", len(frame) if size is None else size) + frame)


def obsolete(frame: bytes, ticks: int = 0, number: int = 0) -> bytes:
    header = struct.pack("<HHIIII", number, 7, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), 0)
    return block(2, header + frame)


def opened(octets: bytes) -> CaptureFile:
    return CaptureFile(io.BytesIO(octets))


def read(octets: bytes) -> tuple[list[Frame], str | None]:
    """Return the frames of a capture, and the reason why reading ended early."""
    capture = opened(octets)
    return list(capture.frames()), capture.cut


# -- pcap


@pytest.mark.parametrize(("order", "magic", "resolution"), PCAP_KINDS)
def test_pcap(order: str, magic: int, resolution: int) -> None:
    octets = pcap(FRAMES, order, magic, 113, resolution // 4)
    assert opened(octets).kind == "pcap"
    frames, cut = read(octets)
    assert cut is None
    assert [each.octets for each in frames] == FRAMES
    assert [each.time for each in frames] == [1_700_000_000.25 + i for i in range(3)]
    assert {each.link_type for each in frames} == {113}


def test_link_type_without_the_bits_for_a_frame_checksum() -> None:
    (frame, *_), _ = read(pcap(FRAMES, link_type=0x24000001))
    assert frame.link_type == 0x04000001


def test_frame_longer_than_65535_octets() -> None:
    # a UDP datagram of 65507 octets on the loopback interface, which is not fragmented
    long = bytes(range(256)) * 256 + b"13 octets end"
    for octets in (pcap([long]), section() + interface() + enhanced(long)):
        frames, cut = read(octets)
        assert [each.octets for each in frames] == [long]
        assert cut is None


@pytest.mark.parametrize(
    ("size", "count", "why"),
    [
        (4, 0, "file header cut off"),
        (23, 0, "file header cut off"),
        (24, 0, None),
        (25, 0, "packet header cut off"),
        (39, 0, "packet header cut off"),
        (45, 1, "packet cut off"),
        (51, 1, None),
    ],
)
def test_pcap_cut_off(size: int, count: int, why: str | None) -> None:
    frames, cut = read(pcap(FRAMES)[:size])
    assert len(frames) == count
    assert cut == why


def test_pcap_with_a_packet_of_impossible_length() -> None:
    octets = pcap(FRAMES) + struct.pack("<IIII", 0, 0, 0xFFFFFFFF, 0) + b"more"
    frames, cut = read(octets)
    assert len(frames) == 3
    assert cut == "packet length 4294967295 is more than 262144"


# -- pcapng


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng(order: str) -> None:
    octets = section(order) + interface(113, order=order)
    for second, frame in enumerate(FRAMES, 1_700_000_000):
        octets += enhanced(frame, second * 1_000_000 + 250_000, order=order)
    assert opened(octets).kind == "pcapng"
    frames, cut = read(octets)
    assert cut is None
    assert frames == [Frame(1_700_000_000.25 + i, 113, octets) for i, octets in enumerate(FRAMES)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "ticks", "seconds"),
    [
        (b"\x06", 1_500_000, 1.5),
        (b"\x09", 1_500_000_000, 1.5),
        (b"\x00", 1_700_000_000, 1_700_000_000),
        (b"\x8a", 1536, 1.5),  # 2**-10 of a second
    ],
)
def test_pcapng_times(order: str, resolution: bytes, ticks: int, seconds: float) -> None:
    offset = (-100).to_bytes(8, "little" if order == "<" else "big", signed=True)
    options = (
        option(2, b"eth0", order)
        + option(9, resolution, order)
        + option(14, offset, order)
        + option(0, b"", order)
    )
    octets = section(order) + interface(options=options, order=order)
    (frame,), _ = read(octets + enhanced(b"x", ticks, order=order))
    assert frame.time == seconds - 100


def test_pcapng_packets_of_three_kinds() -> None:
    octets = section() + interface(1, longest=5) + interface(101)
    octets += simple(b"simple") + obsolete(b"obsolete", 2_000_000, 1) + enhanced(b"x", 0, 1)
    frames, cut = read(octets)
    assert cut is None
    # a simple block belongs to the first interface, ends at its snapshot length, has no time
    assert frames == [Frame(0, 1, b"simpl"), Frame(2, 101, b"obsolete"), Frame(0, 101, b"x")]


def test_pcapng_simple_packets_without_a_snapshot_length() -> None:
    frames, _ = read(section() + interface() + simple(b"whole frame", 11))
    assert [each.octets for each in frames] == [b"whole frame"]


def test_pcapng_sections_have_interfaces_of_their_own() -> None:
    # concatenated files, "cat a.pcapng b.pcapng"
    first = section("<") + interface(1) + enhanced(b"one")
    second = section(">") + interface(113, order=">") + enhanced(b"two", order=">")
    frames, cut = read(first + second)
    assert cut is None
    assert [(each.link_type, each.octets) for each in frames] == [(1, b"one"), (113, b"two")]


def test_pcapng_other_blocks_are_skipped() -> None:
    secrets = block(10, struct.pack("<II", 0x544C534B, 4) + b"keys")
    octets = section() + block(0xBAD, b"custom") + interface() + secrets + enhanced(b"x")
    frames, cut = read(octets + block(5, bytes(12)))
    assert [each.octets for each in frames] == [b"x"]
    assert cut is None


def test_pcapng_packet_without_an_interface() -> None:
    octets = section() + enhanced(b"early") + interface() + enhanced(b"x", 0, 7) + enhanced(b"y")
    frames, _ = read(octets + block(6, b"short"))
    assert [each.octets for each in frames] == [b"y"]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (b"\x06", "block header cut off"),
        (b"\x06\0\0\0\x0c\0\0", "block header cut off"),
        (enhanced(b"frame")[:-1], "block cut off"),
        (struct.pack("<II", 6, 11), "block length 11 is not valid"),
        (struct.pack("<II", 6, 0xFFFFFFFC), "block length 4294967292 is not valid"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0junk", "section header without byte-order magic"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0", "section header without byte-order magic"),
    ],
)
def test_pcapng_damaged(more: bytes, why: str) -> None:
    frames, cut = read(section() + interface() + enhanced(b"good") + more)
    assert frames[0].octets == b"good"
    assert cut == why


def test_pcapng_truncated_last_frame() -> None:
    octets = section() + interface() + enhanced(b"a frame that is cut off")
    frames, _ = read(octets[: octets.index(b"that")])
    assert [each.octets for each in frames] == [b"a frame "]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_capture_raises(data: st.DataObject) -> None:
    octets = bytearray(
        data.draw(
            st.sampled_from(
                [
                    pcap(FRAMES),
                    section() + interface(options=option(9, b"\x09")) + enhanced(b"frame") * 3,
                    gzip.compress(pcap(FRAMES), mtime=0),
                ]
            )
        )
    )
    for _ in range(data.draw(st.integers(0, 4))):
        octets[data.draw(st.integers(4, len(octets) - 1))] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(4, len(octets)))
    try:
        capture = opened(bytes(octets[:size]))
    except CaptureError:
        assert octets[:2] == b"\x1f\x8b"  # a gzip file may hold anything
        return
    assert sum(len(each.octets) for each in capture.frames()) <= len(octets) + sum(map(len, FRAMES))


# -- gzip


def test_gzip() -> None:
    for octets in (pcap(FRAMES), section() + interface() + enhanced(FRAMES[0])):
        assert read(gzip.compress(octets)) == read(octets)
        assert opened(gzip.compress(octets)).kind == opened(octets).kind


def test_gzip_in_several_members() -> None:
    octets = pcap(FRAMES)
    members = [gzip.compress(octets[at : at + 50]) for at in range(0, len(octets), 50)]
    assert read(b"".join(members)) == read(octets)


def test_gzip_truncated() -> None:
    octets = pcap([random.Random(i).randbytes(50) for i in range(200)])
    packed = gzip.compress(octets)
    whole, _ = read(octets)
    for size in range(500, len(packed), 97):
        frames, cut = read(packed[:size])
        assert frames[:-1] == whole[: max(len(frames) - 1, 0)]
        assert cut is not None
        assert cut.startswith("broken gzip file")
    assert len(read(packed[:-1])[0]) == 200


def test_gzip_with_trailing_octets() -> None:
    frames, cut = read(gzip.compress(pcap(FRAMES)) + b"not gzip")
    assert len(frames) == 3
    assert cut is not None
    assert cut.startswith("broken gzip file")


def test_gzip_without_readable_content() -> None:
    packed = gzip.compress(pcap(FRAMES))
    with pytest.raises(CaptureError, match="broken gzip file"):
        opened(packed[:8])
    with pytest.raises(CaptureError, match="empty file"):
        opened(gzip.compress(b""))
    with pytest.raises(CaptureError, match="begins with 6e 6f 70 65"):
        opened(gzip.compress(b"nope"))


# -- files


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", "empty file"),
        (b"\x1f", "begins with 1f"),
        (b"GIF89a", "not a capture"),
        (b"\x00\x08\x00\x01", "begins with 00 08 00 01"),
    ],
)
def test_no_capture(octets: bytes, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(octets)
    with pytest.raises(CaptureError, match=text) as caught:
        CaptureFile(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert isinstance(caught.value, ValueError)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        CaptureFile(tmp_path / "none")


def test_file_opened_as_text(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(FRAMES))
    for source in (path.open(), io.StringIO("text")):
        with source, pytest.raises(CaptureError, match="binary mode"):
            CaptureFile(source)  # type: ignore[arg-type]


def test_only_a_file_opened_here_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(FRAMES))
    with CaptureFile(path) as capture:
        assert len(list(capture.frames())) == 3
        assert capture.size == path.stat().st_size == capture.position
    assert capture.stream.closed
    packed = io.BytesIO(gzip.compress(pcap(FRAMES)))
    for source in (io.BytesIO(pcap(FRAMES)), packed, path.open("rb"), path.open("rb", 0)):
        with source:
            with CaptureFile(source) as capture:  # type: ignore[arg-type]
                assert len(list(capture.frames())) == 3
            del capture
            assert not source.closed
            source.seek(0)
            with CaptureFile(source) as capture:  # type: ignore[arg-type]
                assert len(list(capture.frames())) == 3


class Trickle(io.RawIOBase):
    """Pipe in which octets arrive in parts; reading beyond them blocks for ever."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = list(parts)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        assert self._parts, "asked for more than what has come"
        part = self._parts.pop(0)
        buffer[: len(part)] = part
        return len(part)


@pytest.mark.parametrize("wrap", [lambda raw: raw, io.BufferedReader])
def test_live_capture_yields_a_frame_once_it_is_complete(
    wrap: Callable[[io.RawIOBase], io.RawIOBase],
) -> None:
    octets = pcap(FRAMES)
    source = wrap(Trickle(octets[:24], octets[24:45], octets[45:51]))
    frames = CaptureFile(source).frames()  # type: ignore[arg-type]
    assert next(frames).octets == FRAMES[0]
    octets = section() + interface() + enhanced(b"frame")
    source = wrap(Trickle(octets[:28], octets[28:60], octets[60:]))
    assert next(CaptureFile(source).frames()).octets == b"frame"  # type: ignore[arg-type]


def test_size_and_position_of_a_stream_without_them() -> None:
    capture = CaptureFile(Trickle(pcap(FRAMES)))  # type: ignore[arg-type]
    assert (capture.size, capture.position) == (0, 0)


def test_file_sources() -> None:
    assert is_file_source("x.pcap")
    assert is_file_source(Path("x.pcap"))
    assert is_file_source(io.BytesIO())
    for other in (b"octets", [], Raw(b"x"), None, 7):
        assert not is_file_source(other)


# -- datagrams


# with addresses given, or Scapy asks the network for them
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = ETHER / IP(src="192.0.2.1", dst="198.51.100.2")
V6 = ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2")
DATAGRAM = UDP(sport=1000, dport=4739) / Raw(b"payload of the datagram")


def frame(packet: Packet | bytes, link_type: int = 1) -> Frame:
    return Frame(0.0, link_type, bytes(packet))


@pytest.mark.parametrize("trailer", [b"", b"\0" * 12])
@pytest.mark.parametrize("network", [V4, V6])
def test_plain_udp(network: Packet, trailer: bytes) -> None:
    found = plain_udp(frame(bytes(network / DATAGRAM) + trailer))
    assert found is not None
    ends, payload = found
    assert payload == b"payload of the datagram"
    assert ends[-4:] == struct.pack("!HH", 1000, 4739)
    size = {12: 4, 36: 16}[len(ends)]
    source, destination = ends[:size], ends[size : 2 * size]
    octets = bytes(network)
    assert octets.endswith(source + destination)


def test_empty_datagram() -> None:
    found = plain_udp(frame(bytes(V4 / UDP(sport=1, dport=2)) + bytes(30)))
    assert found == (bytes([192, 0, 2, 1, 198, 51, 100, 2, 0, 1, 0, 2]), b"")


@pytest.mark.parametrize(
    "packet",
    [
        ETHER / Dot1Q(vlan=1) / IP() / DATAGRAM,
        ETHER / IP(options=[IPOption_RR()]) / DATAGRAM,
        ETHER / IP(frag=1) / DATAGRAM,
        ETHER / IP(flags="MF") / DATAGRAM,
        ETHER / IP(version=6) / DATAGRAM,
        ETHER / IP(ihl=6) / DATAGRAM,
        ETHER / IP(len=40) / DATAGRAM,
        ETHER / IP(len=60) / DATAGRAM,
        ETHER / IP() / UDP(len=7) / Raw(b"payload"),
        ETHER / IP() / UDP(len=60000) / Raw(b"payload"),
        ETHER / IP() / TCP() / Raw(b"payload"),
        ETHER / IP() / ICMP() / Raw(b"payload of the message, long enough"),
        ETHER / IPv6() / IPv6ExtHdrHopByHop() / DATAGRAM,
        ETHER / IPv6(version=4) / DATAGRAM,
        ETHER / IPv6(plen=0) / DATAGRAM,
        ETHER / IPv6() / TCP() / Raw(b"payload"),
        ETHER / ARP() / Raw(b"payload of the message, long enough"),
        IP() / DATAGRAM,
    ],
    ids=lambda packet: packet.summary()[:60],
)
def test_frames_left_to_scapy(packet: Packet) -> None:
    assert plain_udp(frame(packet)) is None


def test_frames_left_to_scapy_by_link_type_or_length() -> None:
    octets = bytes(V4 / DATAGRAM)
    assert plain_udp(frame(octets, 113)) is None
    for size in range(len(octets)):
        assert plain_udp(frame(octets[:size])) is None
    octets = bytes(V6 / DATAGRAM)
    for size in range(len(octets)):
        assert plain_udp(frame(octets[:size])) is None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([V4, V6]), st.lists(st.tuples(st.integers(12, 70), st.integers(0, 255))))
def test_plain_udp_equals_scapy(network: Packet, changes: list[tuple[int, int]]) -> None:
    octets = bytearray(bytes(network / DATAGRAM) + bytes(8))
    for position, value in changes:
        octets[position % len(octets)] = value
    found = plain_udp(frame(bytes(octets)))
    if found is None:
        return
    packet = Ether(bytes(octets))
    layer = packet.getlayer(UDP)
    assert layer is not None
    ip = packet.getlayer(IP) or packet.getlayer(IPv6)
    ends, payload = found
    assert bytes(layer)[8 : layer.len] == payload
    addresses = ip.original[12:20] if isinstance(ip, IP) else ip.original[8:40]
    assert ends == addresses + bytes(layer)[:4]


def test_pcapng_interfaces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scapy_ipfix.reading.capture._INTERFACES", 3)
    good = section() + interface() * 3 + enhanced(FRAMES[0])
    frames, cut = read(good + section() + interface() * 3)
    assert (len(frames), cut) == (1, None)
    frames, cut = read(good + interface() + enhanced(FRAMES[0]))
    assert (len(frames), cut) == (1, "more than 3 interfaces")


class _Trickle(io.BytesIO):
    """File that returns an octet at a time, as a pipe may."""

    def read1(self, size: int | None = -1) -> bytes:
        return self.read(1)


@pytest.mark.parametrize("packed", [False, True])
def test_file_read_octet_by_octet(packed: bool) -> None:
    octets = pcap(FRAMES)
    if packed:
        octets = gzip.compress(octets[:1]) + gzip.compress(octets[1:3]) + gzip.compress(octets[3:])
    capture = CaptureFile(_Trickle(octets))
    assert (capture.kind, len(list(capture.frames()))) == ("pcap", 3)


def test_files_shorter_than_their_magic_number() -> None:
    assert CaptureFile(_Trickle(b"\0\x0a")).kind == "ipfix"
    with pytest.raises(CaptureError, match="begins with d4 c3"):
        CaptureFile(_Trickle(b"\xd4\xc3"))

# SPDX-License-Identifier: GPL-2.0-or-later
"""Writer of pcap files."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap

from scapy_ipfix.exporting.pcap import MAX_MESSAGE, Endpoint, write_pcap

V4 = ("192.0.2.1", 40000), ("198.51.100.2", 4739)
V6 = ("2001:db8::1", 40000), ("2001:db8:ffff::2", 2055)


@settings(max_examples=30, deadline=None)
@given(payload=st.binary(max_size=300), ends=st.sampled_from((V4, V6)))
def test_frames_equal_those_of_scapy(
    tmp_path_factory: pytest.TempPathFactory, payload: bytes, ends: tuple[Endpoint, Endpoint]
) -> None:
    path = tmp_path_factory.mktemp("pcap") / "x.pcap"
    assert write_pcap(path, [(1.5, payload)] * 3, *ends) == (3, 3 * len(payload))
    (source, sport), (to, dport) = ends
    for number, packet in enumerate(rdpcap(str(path))):
        assert float(packet.time) == 1.5
        network = IPv6(src=source, dst=to) if ":" in source else IP(src=source, dst=to, id=number)
        wanted = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / network
        assert bytes(packet) == bytes(wanted / UDP(sport=sport, dport=dport) / payload)


@pytest.mark.parametrize("ends", [V4, V6])
def test_a_checksum_of_zero_is_sent_as_ones(
    tmp_path: Path, ends: tuple[Endpoint, Endpoint]
) -> None:
    # The second message is the word that makes the sum of all words zero.
    path = tmp_path / "x.pcap"
    write_pcap(path, [(0, b"\0\0")], *ends)
    missing = rdpcap(str(path))[0][UDP].chksum
    write_pcap(path, [(0, missing.to_bytes(2, "big"))], *ends)
    assert rdpcap(str(path))[0][UDP].chksum == 0xFFFF


def test_times_are_to_the_microsecond(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    times = [0.0, 1767225600.880001, 4294967295.999999]
    write_pcap(path, [(when, b"x") for when in times])
    assert [round(float(packet.time), 6) for packet in rdpcap(str(path))] == times


def test_the_longest_message(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    write_pcap(path, [(0, bytes(MAX_MESSAGE))])
    assert rdpcap(str(path))[0][IP].len == 65535
    with pytest.raises(ValueError, match="message 1: 65508 octets, a datagram holds 65507"):
        write_pcap(path, [(0, b""), (0, bytes(MAX_MESSAGE + 1))])


@pytest.mark.parametrize(
    ("source", "to", "text"),
    [
        (("192.0.2.1", 1), ("2001:db8::1", 1), "not of one IP version"),
        (("192.0.2", 1), ("192.0.2.1", 1), "'192.0.2' does not appear"),
        (("192.0.2.1", 65536), ("192.0.2.1", 1), "port 65536 is not in"),
        (("192.0.2.1", 1), ("192.0.2.1", -1), "port -1 is not in"),
    ],
)
def test_invalid_endpoints(tmp_path: Path, source: Endpoint, to: Endpoint, text: str) -> None:
    with pytest.raises(ValueError) as raised:
        write_pcap(tmp_path / "x.pcap", [], source, to)
    assert text in str(raised.value)


@pytest.mark.parametrize("when", [-1.0, 2.0**32])
def test_invalid_times(tmp_path: Path, when: float) -> None:
    with pytest.raises(ValueError, match=f"message 0: time {when} is not in 0..4294967295"):
        write_pcap(tmp_path / "x.pcap", [(when, b"")])

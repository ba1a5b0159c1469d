# SPDX-License-Identifier: GPL-2.0-or-later
"""Bindings of ports, in any order of imports."""

import subprocess
import sys

import pytest
from scapy.config import conf
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.layers.netflow import (
    NetflowHeader,
    NetflowHeaderV1,
    NetflowHeaderV5,
    NetflowRecordV5,
)
from scapy.packet import Raw

from scapy_ipfix import IPFIX, NetFlowV9, Template, bind_port
from scapy_ipfix.layers.bindings import PORTS

pytestmark = pytest.mark.usefixtures("debug_dissector")

T = Template(300, "octetDeltaCount")
MESSAGES = {IPFIX: bytes(IPFIX(sets=[T])), NetFlowV9: bytes(NetFlowV9(sets=[T]))}
V5 = bytes(NetflowHeader(version=5) / NetflowHeaderV5(count=1) / NetflowRecordV5())
V1 = bytes(NetflowHeader(version=1) / NetflowHeaderV1())
#: Complete addresses, for which Scapy does not query the network.
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
UDP_PORTS = [4739, 2055, 2056, 9995, 9996, 9025, 9026]


def udp(octets, **ports):
    return Ether(bytes(ETHER / IP() / UDP(**{"sport": 1, "dport": 1, **ports}) / Raw(octets)))


@pytest.fixture(autouse=True)
def _bindings_stay_as_they_were():
    before = UDP.payload_guess[:], TCP.payload_guess[:], {k: set(v) for k, v in PORTS.items()}
    yield
    UDP.payload_guess, TCP.payload_guess = before[0], before[1]
    for proto, ports in before[2].items():
        PORTS[proto].clear()
        PORTS[proto].update(ports)


@pytest.mark.parametrize("port", UDP_PORTS)
@pytest.mark.parametrize("direction", ["sport", "dport"])
@pytest.mark.parametrize("cls", [IPFIX, NetFlowV9])
def test_udp_ports(port, direction, cls):
    packet = udp(MESSAGES[cls], **{direction: port})
    assert type(packet[UDP].payload) is cls
    assert bytes(packet[cls]) == MESSAGES[cls]


@pytest.mark.parametrize("port", UDP_PORTS)
@pytest.mark.parametrize("direction", ["sport", "dport"])
def test_other_versions_stay_with_the_layers_of_scapy(port, direction):
    packet = udp(V5, **{direction: port})
    assert type(packet[UDP].payload) is NetflowHeader
    assert NetflowRecordV5 in packet
    assert NetflowHeaderV1 in udp(V1, **{direction: port})
    assert NetflowHeader in udp(b"\0\7" + bytes(50), **{direction: port})


@pytest.mark.parametrize(
    "octets", [b"\0", b"\5", b"\x09", b"\x0a", b"\1\2\3", b"\0\x0b" + bytes(30), b"\0\0" * 20]
)
def test_octets_of_no_known_version_are_raw(octets):
    packet = udp(octets, dport=2055)
    assert type(packet[UDP].payload) is Raw
    assert packet[Raw].load == octets


def test_a_broken_message_on_its_port_is_a_message():
    for octets in (b"\0\x0a", b"\0\x09\0", b"\0\x0a\xff\xff" + b"\xff" * 30):
        packet = udp(octets, dport=4739)
        assert isinstance(packet[UDP].payload, (IPFIX, NetFlowV9))
        assert bytes(packet[UDP].payload) == octets
        assert bytes(packet)[42:] == octets


def test_sflow_is_untouched():
    guesses = {
        tuple(fields.items()): cls.__name__
        for fields, cls in UDP.payload_guess
        if 6343 in fields.values()
    }
    program = (
        "import scapy.all\n"
        "from scapy.layers.inet import UDP\n"
        "print({tuple(f.items()): c.__name__ for f, c in UDP.payload_guess "
        "if 6343 in f.values()})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert str(guesses) == done.stdout.strip()
    assert IPFIX not in udp(MESSAGES[IPFIX], dport=6343)


def test_tcp():
    packet = Ether(bytes(ETHER / IP() / TCP(dport=4739) / Raw(MESSAGES[IPFIX])))
    assert type(packet[TCP].payload) is IPFIX
    packet = Ether(bytes(ETHER / IP() / TCP(sport=4739, dport=1) / Raw(MESSAGES[IPFIX])))
    assert type(packet[TCP].payload) is IPFIX


def test_ports_of_crafted_packets():
    assert (IP() / UDP() / IPFIX())[UDP].dport == 4739
    assert (IP() / TCP() / IPFIX())[TCP].dport == 4739
    assert (IP() / UDP() / NetFlowV9())[UDP].dport == 2055
    assert (IP() / UDP(dport=9) / IPFIX())[UDP].dport == 9
    assert IPFIX in IP(bytes(IP() / UDP() / IPFIX()))
    assert NetFlowV9 in IP(bytes(IP() / UDP() / NetFlowV9()))
    assert (IP() / UDP() / NetflowHeader())[UDP].dport == 2055


def test_bind_port():
    assert IPFIX not in udp(MESSAGES[IPFIX], dport=5555)
    bind_port(5555)
    assert IPFIX in udp(MESSAGES[IPFIX], dport=5555)
    assert NetFlowV9 in udp(MESSAGES[NetFlowV9], sport=5555)
    assert NetflowHeader in udp(V5, dport=5555)
    size = len(UDP.payload_guess)
    bind_port(5555)
    bind_port(4739)
    assert len(UDP.payload_guess) == size
    bind_port(5556, "tcp")
    assert IPFIX in Ether(bytes(ETHER / IP() / TCP(dport=5556) / Raw(MESSAGES[IPFIX])))
    bind_port(5557, "sctp")
    assert 5557 in PORTS["sctp"]


@pytest.mark.parametrize("port", [0, -1, 65536, "4739", None, 4739.0])
def test_bind_port_rejects_other_ports(port):
    with pytest.raises(ValueError, match=r"not in 1..65535"):
        bind_port(port)


def test_bind_port_rejects_other_protocols():
    with pytest.raises(ValueError, match="'udp', 'tcp', 'sctp', not 'dccp'"):
        bind_port(4739, "dccp")


CHECK = """
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw
from scapy_ipfix import IPFIX, NetFlowV9
from scapy.layers.netflow import NetflowHeader
for port in (4739, 2055, 2056, 9995, 9996, 9025, 9026):
    for ports in ({"dport": port, "sport": 1}, {"sport": port, "dport": 1}):
        for octets, cls in (
            (bytes(IPFIX()), IPFIX), (bytes(NetFlowV9()), NetFlowV9),
            (b"\\0\\5" + bytes(70), NetflowHeader), (b"\\0\\7" + bytes(70), NetflowHeader),
        ):
            packet = UDP(bytes(UDP(**ports) / Raw(octets)))
            assert type(packet.payload) is cls, (ports, packet)
print("right")
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import scapy_ipfix; import scapy.layers.netflow",
        "import scapy.layers.netflow; import scapy_ipfix",
        "import scapy_ipfix; from scapy.all import *; load_layer('netflow')",
        "import scapy_ipfix; import scapy.layers.all",
    ],
)
def test_bindings_do_not_depend_on_the_order_of_imports(imports):
    done = subprocess.run(
        [sys.executable, "-c", imports + CHECK], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "right\n"


def test_the_dispatcher_is_not_listed_as_a_layer():
    assert "_FlowExport" not in {each.__name__ for each in conf.layers}

# SPDX-License-Identifier: GPL-2.0-or-later
"""Conventions of Scapy's layers: loading, showing, crafting, sniffing."""

import importlib.metadata
import io
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.all import (
    IP,
    TCP,
    UDP,
    AsyncSniffer,
    Ether,
    Raw,
    conf,
    fuzz,
    hexdump,
    ls,
    rdpcap,
    sniff,
    wrpcap,
)

import scapy_ipfix
from scapy_ipfix import (
    IPFIX,
    BasicList,
    DataFlowSet,
    DataSet,
    FieldSpecifier,
    IPFIXSession,
    NetFlowV9,
    Record,
    SubTemplateList,
    Template,
    TemplateFlowSet,
    TemplateSet,
    dissect,
)
from tests.strategies import broken

ROOT = Path(__file__).parents[2]
PCAPS = ROOT / "pcaps"
FLOW = Template(256, "sourceIPv4Address", "protocolIdentifier", "octetDeltaCount[4]")
ROWS = [("192.0.2.1", 6, 1500), ("192.0.2.2", 17, 60)]
MESSAGE = IPFIX(exportTime=1, sets=[TemplateSet(templates=[FLOW])])
MESSAGE /= DataSet(template=FLOW, records=ROWS)
WHOLE = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
WHOLE /= IP(src="192.0.2.9", dst="192.0.2.10") / UDP(sport=40000) / MESSAGE


def python(program: str) -> str:
    """Return the output of a program in another process, where warnings are errors."""
    result = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.stderr == ""
    assert result.returncode == 0
    return result.stdout


# -- loading


@pytest.fixture
def installed() -> None:
    """Scapy loads extensions by the metadata of an installed distribution."""
    try:
        distribution = importlib.metadata.distribution("scapy-ipfix")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("scapy-ipfix is not installed as a distribution")
    if not distribution.read_text("top_level.txt"):
        pytest.skip("the installed distribution says no top_level.txt")


def test_as_an_extension_of_scapy(installed: None) -> None:
    printed = python(
        "from scapy.all import *\n"
        "import logging; logging.getLogger('scapy.ipfix').setLevel('ERROR')\n"
        "conf.exts.load('scapy-ipfix')\n"
        "assert 'IPFIX' not in globals()\n"
        "load_layer('ipfix')\n"
        "print(IPFIX().version, NetFlowV9().version, IPFIXSession())\n"
        "s = IPFIXSession()\n"
        "sniff(offline='pcaps/softflowd_ipfix_ipv6.pcap', session=s, quiet=True)\n"
        "print(len(s.templates))\n"
        "print(conf.exts)\n"
    )
    first, templates, _, extension = printed.splitlines()
    assert first.startswith("10 9 <IPFIXSession: 0 packets")
    assert templates == "5"
    assert extension.split() == ["scapy-ipfix", scapy_ipfix.__version__, "scapy.layers.ipfix"]


def test_as_an_extension_beside_the_package(installed: None) -> None:
    """Load the extension either way to the same classes."""
    printed = python(
        "from scapy.all import *\n"
        "import scapy_ipfix\n"
        "conf.exts.load('scapy-ipfix')\n"
        "load_layer('ipfix')\n"
        "print(IPFIX is scapy_ipfix.IPFIX, IPFIXSession is scapy_ipfix.IPFIXSession)\n"
    )
    assert printed == "True True\n"


def test_a_star_import_hides_no_name_of_scapy() -> None:
    # Scapy reexports names of other modules, such as typing.Set; those do not count.
    printed = python(
        "from scapy.all import *\n"
        "before = dict(globals())\n"
        "from scapy_ipfix import *\n"
        "changed = [name for name in before if globals()[name] is not before[name]]\n"
        "mine = [name for name in changed\n"
        "        if str(getattr(before[name], '__module__', '')).startswith('scapy')]\n"
        "print(mine)\n"
        "print(bytes(UDP() / IPFIX())[:4].hex())\n"
    )
    assert printed == "[]\n12831283\n"


def test_all_public_names_exist() -> None:
    for name in scapy_ipfix.__all__:
        assert getattr(scapy_ipfix, name) is not None
        assert getattr(scapy_ipfix, name).__doc__


@pytest.mark.parametrize("cls", [IPFIX, NetFlowV9, DataSet, TemplateSet, BasicList, Record])
def test_layers_are_known_to_scapy(cls: type) -> None:
    assert cls in conf.layers


# -- showing


@pytest.mark.parametrize(
    "cls",
    [
        *(IPFIX, NetFlowV9, DataSet, DataFlowSet, TemplateSet, TemplateFlowSet, FieldSpecifier),
        *(BasicList, SubTemplateList),
    ],
)
def test_ls(cls: type) -> None:
    text = io.StringIO()
    with redirect_stdout(text):
        ls(cls)
        ls(cls())
    for field in cls.fields_desc:
        assert field.name in text.getvalue()


def test_showing_a_packet() -> None:
    (packet,) = dissect([Ether(bytes(WHOLE))])
    text = io.StringIO()
    with redirect_stdout(text):
        packet.show()
        packet.show2()
        hexdump(packet)
        print(packet.summary(), repr(packet), str(packet.command()), packet.json())
    assert "sourceIPv4Address= 192.0.2.1" in text.getvalue()
    assert "protocolIdentifier= tcp" in text.getvalue()
    assert packet.sprintf("%IP.src% %IPFIX.exportTime%") == "192.0.2.9 1970-01-01T00:00:01Z"
    assert packet.haslayer(DataSet)
    assert DataSet in packet
    assert packet[DataSet].records[1].octetDeltaCount == 60
    assert packet.getlayer(DataSet, setId=256) is packet[DataSet]
    assert packet.getlayer(Record, 2).sourceIPv4Address == "192.0.2.2"
    assert packet.getlayer(DataSet, 2) is None
    assert packet.layers() == [Ether, IP, UDP, IPFIX]
    assert bytes(packet) == bytes(WHOLE)


def test_packet_lists() -> None:
    session = IPFIXSession()
    packets = sniff(offline=str(PCAPS / "softflowd_ipfix_ipv6.pcap"), session=session, quiet=True)
    text = io.StringIO()
    with redirect_stdout(text):
        packets.summary()
        packets.nsummary()
        packets.show()
    assert "IPFIX" in text.getvalue()
    assert len(packets[IPFIX]) == 2
    assert len(packets.filter(lambda each: DataSet in each)) == 2
    records = [record for each in packets for record in each[IPFIX].records]
    assert len(records) == 37


# -- crafting


def test_crafted_packets_find_their_port() -> None:
    assert (UDP() / IPFIX()).dport == 4739
    assert (TCP() / IPFIX()).dport == 4739
    assert (UDP() / NetFlowV9()).dport == 2055
    again = IP(bytes(IP() / UDP() / MESSAGE))
    assert isinstance(again.payload.payload, IPFIX)


def test_copies_are_independent() -> None:
    packet = Ether(bytes(WHOLE))
    copy = packet.copy()
    copy[IPFIX].sets[1].records[0].octetDeltaCount = 7
    assert packet[DataSet].records[0].octetDeltaCount == 1500
    assert bytes(packet) == bytes(WHOLE)
    assert bytes(copy) != bytes(WHOLE)
    assert packet == Ether(bytes(WHOLE))
    assert copy != packet


def test_commands_recreate_the_packet() -> None:
    packet = dissect([Ether(bytes(WHOLE))])[0]
    assert bytes(eval(packet[IPFIX].command(), vars(scapy_ipfix))) == bytes(packet[IPFIX])


def test_several_values_are_several_packets() -> None:
    packets = list(IPFIX(exportTime=1, sequenceNumber=[1, 2, 5, 6, 7]) / DataSet(template=FLOW))
    assert [each.sequenceNumber for each in packets] == [1, 2, 5, 6, 7]
    assert [len(bytes(each)) for each in packets] == [20] * 5


@pytest.mark.parametrize(
    "packet",
    [
        IPFIX(),
        NetFlowV9(),
        IPFIX(sets=[TemplateSet(templates=[FLOW]), DataSet(template=FLOW, records=[Record(FLOW)])]),
        NetFlowV9(sets=[TemplateFlowSet(templates=[FLOW])]),
        DataSet(template=FLOW, records=[Record(FLOW), Record(FLOW)]),
        TemplateSet(templates=[FLOW]),
        BasicList(element="octetDeltaCount", values=[1]),
    ],
    ids=lambda packet: packet.__class__.__name__,
)
def test_fuzz(packet) -> None:
    for _ in range(5):
        octets = bytes(fuzz(packet.copy()))
        assert octets
        assert bytes(packet.__class__(octets)) == octets


# -- reading and sniffing


def test_written_and_read(tmp_path: Path) -> None:
    path = str(tmp_path / "x.pcap")
    wrpcap(path, [WHOLE, WHOLE])
    packets = rdpcap(path)
    assert [bytes(each) for each in packets] == [bytes(WHOLE)] * 2
    assert [len(each[IPFIX].records) for each in dissect(packets)] == [2, 2]


def test_sniffing_from_packets_and_files() -> None:
    seen = []
    sniff(
        offline=[Ether(bytes(WHOLE))] * 3,
        session=IPFIXSession,
        prn=lambda each: seen.append(len(each[DataSet].records)),
        store=False,
        quiet=True,
    )
    assert seen == [2, 2, 2]
    sniffer = AsyncSniffer(
        offline=str(PCAPS / "softflowd_ipfix_ipv6.pcap"),
        session=IPFIXSession(),
        lfilter=lambda each: IPFIX in each,
        quiet=True,
    )
    sniffer.start()
    sniffer.join(20)
    assert sum(len(each[IPFIX].records) for each in sniffer.results) == 37


@given(st.data())
def test_no_exception_is_hidden_behind_raw(data) -> None:
    """Scapy makes Raw of a layer that raises, unless it is told not to."""
    payload = data.draw(broken(bytes(MESSAGE), keep=2))
    octets = bytes(WHOLE[IP].copy())[:28] + payload
    octets = octets[:2] + len(octets).to_bytes(2, "big") + octets[4:]
    before = conf.debug_dissector
    conf.debug_dissector = True
    try:
        packet = IPFIXSession().process(IP(octets))
        assert packet.show(dump=True)
        assert packet.summary()
        assert bytes(packet) == octets
    finally:
        conf.debug_dissector = before
    assert IPFIX in packet or Raw in packet

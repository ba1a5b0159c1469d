# SPDX-License-Identifier: GPL-2.0-or-later
"""ipfixDump (of libfixbuf, which yaf and SiLK are built on) reads what is crafted here.

It takes IPFIX from a file or from its standard input, and nothing from the network: here a
TCP connection is its standard input, as inetd does it. Debian has no other program of
libfixbuf's that collects. test_files_interop.py has plain IPFIX Files both ways; this is
about lists, reverse and enterprise elements, templates that come and go on a connection.
"""

import re
import shutil
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterable
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any

import pytest
from scapy.all import AsyncSniffer, conf

from scapy_ipfix import IPFIX, IPFIXSession, Template, traffic
from scapy_ipfix.cli.generate import main as generate
from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.layers.messages import Message
from scapy_ipfix.reading.ipfixfile import write_ipfix

from .collectors import DEADLINE, within_deadline

pytestmark = pytest.mark.skipif(
    shutil.which("ipfixDump") is None, reason="ipfixDump is not installed (libfixbuf-tools)"
)

#: A field as it is printed, and the head of a list in one.
_FIELD = re.compile(r"\((?:\d+/)?\d+\)(?: \(S\))? +(\w+) : ?(?:\(len: \d+\) ?)?(.*)")
_ITEM = re.compile(r"\d+ +: (?:\(len: \d+\) )?(.*)")
PORTS = Template(300, "sourceTransportPort", "octetDeltaCount[4]")
NAMED = Template(301, "interfaceName", "packetDeltaCount[2]")


def dumped(path: Path, *options: str) -> str:
    """All that ipfixDump prints of a file. It has nothing to complain about."""
    done = subprocess.run(
        ["ipfixDump", "-i", str(path), "--hexdump=100", *options],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert done.stderr.strip() == ""
    return done.stdout


def fields(text: str) -> list[tuple[str, str]]:
    """Return name and value of the fields of all records; items of a basicList have no name.

    A list is a field without a value, followed by its contents.
    """
    found = []
    for line in text.splitlines():
        if field := _FIELD.fullmatch(line.strip()):
            name, value = field[1], field[2]
            if name.endswith("IPv6Address"):
                value = str(IPv6Address(value))  # it writes 2001:0db8::0001
            found.append((name, value))
        elif item := _ITEM.fullmatch(line.strip()):
            found.append(("", item[1]))
    return found


def written(path: Path, messages: Iterable[Message]) -> Path:
    write_ipfix(path, messages)
    return path


def test_lists(tmp_path: Path) -> None:
    """Each kind of list (RFC 6313), empty ones, and lists in lists."""
    lists = "basicList", "subTemplateList", "subTemplateMultiList"
    outer = Template(302, "sourceIPv4Address", *lists)
    deeper = Template(303, "protocolIdentifier", "subTemplateList")
    exporter = Exporter(7, mtu=None)
    messages = exporter.announce(PORTS, NAMED, outer, deeper)
    full = (
        *("192.0.2.1", ("octetDeltaCount", [1, 2, 1 << 40])),
        (PORTS, [(10, 20), (11, 21)]),
        [(PORTS, [(12, 22)]), (NAMED, [("eth0", 5), ("x" * 300, 6)])],
    )
    empty = ("192.0.2.2", ("interfaceName", ["a", "bc"]), (NAMED, []), [])
    messages += exporter.export(outer, [full, empty])
    messages += exporter.export(deeper, [(6, (outer, [full]))])
    text = dumped(written(tmp_path / "lists.ipfix", messages))
    in_full = [
        *(("sourceIPv4Address", "192.0.2.1"), ("basicList", "")),
        *(("", "1"), ("", "2"), ("", str(1 << 40)), ("subTemplateList", "")),
        *(("sourceTransportPort", "10"), ("octetDeltaCount", "20")),
        *(("sourceTransportPort", "11"), ("octetDeltaCount", "21")),
        *(("subTemplateMultiList", ""), ("sourceTransportPort", "12"), ("octetDeltaCount", "22")),
        *(("interfaceName", "eth0"), ("packetDeltaCount", "5")),
        *(("interfaceName", "x" * 300), ("packetDeltaCount", "6")),
    ]
    in_empty = [
        *(("sourceIPv4Address", "192.0.2.2"), ("basicList", ""), ("", "a"), ("", "bc")),
        *(("subTemplateList", ""), ("subTemplateMultiList", "")),
    ]
    nested = [("protocolIdentifier", "6"), ("subTemplateList", ""), *in_full]
    assert fields(text) == [*in_full, *in_empty, *nested]


def test_reverse_and_enterprise_elements_of_any_length(tmp_path: Path) -> None:
    """Reduced sizes, reverse elements (RFC 5103), what libfixbuf has never heard of."""
    flow = Template(
        *(256, "sourceIPv6Address", "octetDeltaCount[3]", "reverseOctetDeltaCount[5]"),
        *("(35632/57)[2]", "(32473/33)[v]", "octetDeltaCount", "flowStartMilliseconds"),
    )
    rows = [
        ("2001:db8::1", 0xABCDEF, (1 << 40) - 1, b"\1\2", b"abc", 1 << 62, 1_700_000_000_123),
        ("2001:db8::2", 0, 0, b"\0\0", b"", 0, 0),
    ]
    text = dumped(written(tmp_path / "x.ipfix", Exporter(7, mtu=None).export(flow, rows)))
    alien = "_alienInformationElement"
    assert fields(text)[:7] == [
        *(("sourceIPv6Address", "2001:db8::1"), ("octetDeltaCount", str(0xABCDEF))),
        *(("reverseOctetDeltaCount", str((1 << 40) - 1)), (alien, str(0x0201))),
        *((alien, "0x616263"), ("octetDeltaCount", str(1 << 62))),
        ("flowStartMilliseconds", "2023-11-14 22:13:20.123"),
    ]
    assert [value for _, value in fields(text)[7:13]] == ["2001:db8::2", "0", "0", "0", "", "0"]


def test_an_element_that_the_file_explains(tmp_path: Path) -> None:
    """Options that say what an enterprise element is called, and is (RFC 5610)."""
    names = (
        *("privateEnterpriseNumber", "informationElementId", "informationElementDataType"),
        *("informationElementSemantics", "informationElementUnits", "paddingOctets[2]"),
        *("informationElementRangeBegin", "informationElementRangeEnd"),
        *("informationElementName", "informationElementDescription"),
    )
    element = (32473, 33, "unsigned32", "quantity", 0, bytes(2), 0, 0, "howManyTimes", "")
    exporter = Exporter(7, mtu=None)
    messages = [
        *exporter.export_options(Template(300, *names, scope=2), [element]),
        *exporter.export(Template(301, "protocolIdentifier", "(32473/33)[4]"), [(6, bytes(4))]),
    ]
    text = dumped(written(tmp_path / "x.ipfix", messages), "--rfc5610")
    assert fields(text)[-2:] == [("protocolIdentifier", "6"), ("howManyTimes", "0")]


def test_flows_of_the_generator(tmp_path: Path) -> None:
    """2,000 biflows of four templates: sums, and flows by source."""
    path = tmp_path / "x.ipfix"
    assert generate(["--ipfix", str(path), "--flows", "2000", "--seed", "3", "--biflow"]) == 0
    sums: Counter[str] = Counter()
    for name, value in fields(dumped(path)):
        if name.endswith("DeltaCount"):
            sums[name] += int(value)
        elif name.startswith("source") and name.endswith("Address"):
            sums[value] += 1
    wanted: Counter[str] = Counter()
    for flow in traffic(seed=3, flows=2000, duration=2.0, biflow=True):
        for name, value in flow.record.items():
            if name.endswith("DeltaCount"):
                wanted[name] += value
            elif name.startswith("source") and name.endswith("Address"):
                wanted[value] += 1
    assert sums == wanted


# -- a connection


def to_ipfixdump(server: socket.socket, printed: list[str]) -> None:
    """Accept a connection and run ipfixDump on it."""
    connection, _ = server.accept()
    with connection:
        done = subprocess.run(
            ["ipfixDump"], stdin=connection, capture_output=True, text=True, timeout=DEADLINE
        )
    printed += [done.stdout, done.stderr]


def over_tcp(messages: Iterable[Message], server: socket.socket) -> tuple[str, str]:
    """Send messages over a connection; return the output and the errors of ipfixDump."""
    printed: list[str] = []
    thread = threading.Thread(target=to_ipfixdump, args=(server, printed), daemon=True)
    thread.start()
    with Exporter(7) as exporter:
        exporter.send_messages(messages, to=server.getsockname()[:2], proto="tcp")
    thread.join(DEADLINE)
    assert len(printed) == 2
    return printed[0], printed[1].strip()


def on_a_connection() -> tuple[list[Message], list[tuple[str, str]]]:
    """Return messages that only a connection may carry, and their fields."""
    exporter = Exporter(7, mtu=None)
    meter = Template(304, "exportingProcessId", "ingressInterface", "interfaceName", scope=2)
    messages = list(
        exporter.export_mixed(
            pair
            for number in range(3000)
            for pair in ((PORTS, (number, 2 * number)), (NAMED, (f"eth{number}", number)))
        )
    )
    messages += exporter.export_options(meter, [(1, 2, "uplink")])
    messages += exporter.withdraw(PORTS)
    # the id is free for another
    messages += exporter.export(Template(300, "destinationIPv6Address"), [("2001:db8::9",)])
    wanted = [
        field
        for number in range(3000)
        for field in (
            *(("sourceTransportPort", str(number)), ("octetDeltaCount", str(2 * number))),
            *(("interfaceName", f"eth{number}"), ("packetDeltaCount", str(number))),
        )
    ]
    wanted += [("exportingProcessId", "1"), ("ingressInterface", "2"), ("interfaceName", "uplink")]
    return messages, [*wanted, ("destinationIPv6Address", "2001:db8::9")]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_over_tcp(host: str) -> None:
    """Messages of up to 65,535 octets, a withdrawal, an id that stands for something else."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"no {host} here")
    messages, wanted = on_a_connection()
    with server:
        server.settimeout(DEADLINE)
        text, complaints = over_tcp(messages, server)
    assert complaints == ""
    assert fields(text) == wanted
    assert f"*** File Stats: {len(messages)} Messages, 6002 Data Records" in text
    assert max(len(bytes(each)) for each in messages) > 60_000


def test_a_session_sniffs_what_ipfixdump_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same connection, seen from outside by an IPFIXSession."""
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except (AttributeError, PermissionError):
        pytest.skip("no right to sniff (CAP_NET_RAW), or not Linux")
    # Scapy's buffer has room for two of these segments, and the loopback shows each twice.
    monkeypatch.setattr(conf, "bufsize", 1 << 22)
    messages, wanted = on_a_connection()
    session, begun = IPFIXSession(), threading.Event()
    seen: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)
        # The loopback has segments that are longer than Scapy reads, if they may be.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        sniffer = AsyncSniffer(
            iface="lo",
            filter=f"tcp port {server.getsockname()[1]}",
            session=session,
            prn=lambda packet: seen.extend(
                layer for layer in packet.iterpayloads() if isinstance(layer, IPFIX)
            ),
            started_callback=begun.set,
            store=False,
        )
        sniffer.start()
        assert begun.wait(DEADLINE)
        try:
            text, _ = over_tcp(messages, server)
            assert within_deadline(lambda: len(seen) >= len(messages)), f"{session}"
        finally:
            sniffer.stop()
    assert fields(text) == wanted
    records = [record.values() for message in seen for record in message.records]
    sniffed = [(name, str(value)) for record in records for name, value in record.items()]
    assert sniffed == wanted
    assert [each.sequenceNumber for each in seen] == [each.sequenceNumber for each in messages]

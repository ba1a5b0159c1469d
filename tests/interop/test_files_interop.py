# SPDX-License-Identifier: GPL-2.0-or-later
"""IPFIX Files between this package, python-ipfix and libfixbuf, each way."""

import ctypes
import importlib.util
import re
import shutil
import subprocess
from datetime import datetime, timezone
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import pytest

from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.reading.ipfixfile import read_ipfix, write_ipfix
from scapy_ipfix.reading.reader import iter_messages, iter_records
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.template import Template

from . import fixbuf

FIELDS = (
    "sourceIPv4Address",
    "destinationIPv4Address",
    "sourceIPv6Address",
    "sourceTransportPort",
    "destinationTransportPort",
    "octetDeltaCount[4]",
    "packetDeltaCount",
    "flowStartMilliseconds",
    "flowEndSeconds",
    "protocolIdentifier",
    "sourceMacAddress",
    "interfaceName",
)
FLOW = Template(256, *FIELDS)
METER = Template(257, "meteringProcessId", "exportedFlowRecordTotalCount", scope=1)
WHEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def row(number: int) -> dict[str, Any]:
    """Return a record in native Python values."""
    values = (
        IPv4Address(0xC0000201 + number),
        IPv4Address("198.51.100.2"),
        IPv6Address(f"2001:db8::{number + 1:x}"),
        *(1024 + number, 443, 4_000_000_000 + number, 1 << 40 | number),
        WHEN.replace(microsecond=number * 1000),
        WHEN,
        *(6, f"02:00:00:00:00:{number:02x}", f"eth{number}" if number % 2 else "x" * 300),
    )
    return dict(zip(FLOW.names, values, strict=True))


ROWS = [row(number) for number in range(40)]


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    """A file of ours: two kinds of records, several messages, padding."""
    path = tmp_path / "ours.ipfix"
    exporter = Exporter(domain=7, mtu=1400)
    messages = list(exporter.export(FLOW, ROWS, export_time=WHEN))
    messages += exporter.export_options(METER, [(1, 1000), (2, 2000)], export_time=WHEN)
    assert write_ipfix(path, messages) > 3
    return path


# -- python-ipfix


@pytest.fixture
def python_ipfix() -> Any:
    if importlib.util.find_spec("ipfix") is None:
        pytest.skip("python-ipfix is not installed")
    ie = pytest.importorskip("ipfix.ie")
    ie.use_iana_default()
    return ie


def theirs(value: Any) -> Any:
    """Convert a value to python-ipfix's: naive times in UTC, MAC addresses as octets."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return value


def octets_of_macs(record: dict[str, Any]) -> dict[str, Any]:
    mac = record.get("sourceMacAddress")
    if not isinstance(mac, str):
        return record
    return record | {"sourceMacAddress": bytes.fromhex(mac.replace(":", ""))}


# python-ipfix asks the time in a way that newer Pythons deprecate.
@pytest.mark.filterwarnings("ignore::DeprecationWarning:ipfix")
def test_python_ipfix_reads_ours(python_ipfix: Any, ours: Path) -> None:
    reader = pytest.importorskip("ipfix.reader")
    with ours.open("rb") as stream:
        found = list(reader.from_stream(stream).namedict_iterator())
    expected = [
        octets_of_macs({name: theirs(value) for name, value in each.items()}) for each in ROWS
    ]
    flows = [each for each in found if "octetDeltaCount" in each]
    assert [{**each, "sourceMacAddress": bytes(each["sourceMacAddress"])} for each in flows] == (
        expected
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ipfix")
def test_python_ipfix_writes_for_us(python_ipfix: Any, tmp_path: Path) -> None:
    writer_module = pytest.importorskip("ipfix.writer")
    template = pytest.importorskip("ipfix.template").for_specs(256, *FIELDS)
    path = tmp_path / "theirs.ipfix"
    with path.open("wb") as stream:
        writer = writer_module.to_stream(stream, mtu=1400)
        writer.set_domain(7)
        writer.add_template(template)
        writer.set_export_template(256)
        for each in ROWS:
            values = octets_of_macs({name: theirs(value) for name, value in each.items()})
            writer.export_namedict(values)
        writer.flush()
    session = IPFIXSession()
    messages = read_ipfix(path, session=session)
    assert len(messages) > 1
    assert {each.observationDomainId for each in messages} == {7}
    assert [record.values("python") for each in messages for record in each.records] == ROWS
    assert not session.diagnostics.counts


# -- libfixbuf


@pytest.fixture
def library() -> ctypes.CDLL:
    loaded = fixbuf.load()
    if loaded is None:
        pytest.skip("libfixbuf is not installed")
    return loaded


def dumped(path: Path, strict: bool = True) -> str:
    if shutil.which("ipfixDump") is None:
        pytest.skip("ipfixDump is not installed (Debian: libfixbuf-tools)")
    done = subprocess.run(
        ["ipfixDump", "-i", str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    # softflowd counts in its own way
    complaints = [each for each in done.stderr.splitlines() if each.strip()]
    assert not [each for each in complaints if strict or "out of sequence" not in each]
    return done.stdout


def column(text: str, name: str) -> list[str]:
    """All values of an element in what ipfixDump prints."""
    return re.findall(rf"\s{name} : (.*)", text)


def test_libfixbuf_reads_ours(ours: Path) -> None:
    text = dumped(ours)
    messages = len(read_ipfix(ours))
    assert f"*** File Stats: {messages} Messages, 42 Data Records, 2 Template Records ***" in text
    assert column(text, "sourceIPv4Address") == [str(each["sourceIPv4Address"]) for each in ROWS]
    assert column(text, "octetDeltaCount") == [str(each["octetDeltaCount"]) for each in ROWS]
    assert column(text, "packetDeltaCount") == [str(each["packetDeltaCount"]) for each in ROWS]
    assert column(text, "sourceMacAddress") == [each["sourceMacAddress"] for each in ROWS]
    assert [each[:23] for each in column(text, "flowStartMilliseconds")] == [
        f"2024-01-02 03:04:05.{number:03d}" for number in range(40)
    ]
    assert column(text, "interfaceName") == [
        f"(len: {len(each['interfaceName'])}) {each['interfaceName']}" for each in ROWS
    ]
    assert column(text, "exportedFlowRecordTotalCount") == ["1000", "2000"]
    numbers = re.findall(r"sequence number: (\d+)", text)
    assert numbers == [str(each.sequenceNumber) for each in read_ipfix(ours)]


@pytest.mark.parametrize("version", [9, 10])
def test_libfixbuf_reads_what_was_captured(root: Path, tmp_path: Path, version: int) -> None:
    """Messages of real exporters, put into a file."""
    captures = sorted((root / "pcaps").glob("softflowd_*.pcap"))
    written = 0
    for capture in captures:
        messages = [
            each.octets
            for each in iter_messages(capture, IPFIXSession())
            if each.version == version
        ]
        path = tmp_path / f"{capture.stem}.ipfix"
        if version == 9:
            # NetFlow v9 has no files
            if messages:
                with pytest.raises(ValueError, match="NetFlow v9"):
                    write_ipfix(path, messages)
                written += 1
            continue
        if messages:
            write_ipfix(path, messages)
            records = len(list(iter_records(path)))
            assert f" {records} Data Records," in dumped(path, strict=False)
            written += 1
    assert written


class FlowStructure(ctypes.Structure):
    """Integers in the machine's order; libfixbuf turns them."""

    _fields_ = [
        ("sourceIPv4Address", ctypes.c_uint32),
        ("destinationIPv4Address", ctypes.c_uint32),
        ("octetDeltaCount", ctypes.c_uint64),
        ("flowStartMilliseconds", ctypes.c_uint64),
        ("interfaceName", fixbuf.Variable),
        ("sourceTransportPort", ctypes.c_uint16),
        ("destinationTransportPort", ctypes.c_uint16),
        ("ingressInterface", ctypes.c_uint32),
    ]


def test_libfixbuf_writes_for_us(library: ctypes.CDLL, tmp_path: Path) -> None:
    path = tmp_path / "theirs.ipfix"
    names = [f"eth{number}" if number % 3 else "y" * 300 for number in range(3000)]
    fields = [
        ("sourceIPv4Address", 4),
        ("destinationIPv4Address", 4),
        ("octetDeltaCount", 8),
        ("flowStartMilliseconds", 8),
        ("interfaceName", 65535),
        ("sourceTransportPort", 2),
        ("destinationTransportPort", 2),
        ("ingressInterface", 4),
    ]
    records = [
        FlowStructure(
            *(0xC0000201, 0xC6336402, number, 1_700_000_000_000 + number),
            fixbuf.Variable(len(name), name.encode()),
            *(1024, 443, number),
        )
        for number, name in enumerate(names)
    ]
    fixbuf.write(library, path, 77, fields, records)
    session = IPFIXSession()
    messages = read_ipfix(path, session=session)
    assert len(messages) > 1  # more than 64 KiB
    assert {each.observationDomainId for each in messages} == {77}
    assert not session.diagnostics.counts
    found = [record for each in messages for record in each.records]
    assert [each.interfaceName for each in found] == names
    assert [each.octetDeltaCount for each in found] == list(range(3000))
    assert found[5].values() == {
        "sourceIPv4Address": "192.0.2.1",
        "destinationIPv4Address": "198.51.100.2",
        "octetDeltaCount": 5,
        "flowStartMilliseconds": 1_700_000_000_005,
        "interfaceName": "eth5",
        "sourceTransportPort": 1024,
        "destinationTransportPort": 443,
        "ingressInterface": 5,
    }
    # and back: what we write of it, libfixbuf reads as the same
    again = tmp_path / "again.ipfix"
    assert write_ipfix(again, messages) == len(messages)
    assert again.read_bytes() == path.read_bytes()


class MeterStructure(ctypes.Structure):
    _fields_ = [("meteringProcessId", ctypes.c_uint32), ("padding", ctypes.c_uint32),
                ("exportedFlowRecordTotalCount", ctypes.c_uint64)]  # fmt: skip


def test_libfixbuf_writes_options_for_us(library: ctypes.CDLL, tmp_path: Path) -> None:
    path = tmp_path / "theirs.ipfix"
    fields = [("meteringProcessId", 4), ("paddingOctets", 4), ("exportedFlowRecordTotalCount", 8)]
    records = [MeterStructure(number, 0, 1000 + number) for number in range(3)]
    fixbuf.write(library, path, 7, fields, records, scope=1)
    found = [record for message in read_ipfix(path) for record in message.records]
    assert [each.exportedFlowRecordTotalCount for each in found] == [1000, 1001, 1002]
    assert found[0].template.scope_count == 1


def test_what_yaf_sent(captures: Path, tmp_path: Path) -> None:
    """yaf's messages, which libfixbuf made, as a file that it reads again."""
    path = tmp_path / "yaf.ipfix"
    messages = [each.octets for each in iter_messages(captures / "ipfix_yaf.pcap", IPFIXSession())]
    write_ipfix(path, messages)
    records = list(iter_records(path))
    assert records
    assert f" {len(records)} Data Records," in dumped(path, strict=False)

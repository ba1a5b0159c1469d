# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of an Exporter in tshark: every record, and consistent sequence numbers."""

import subprocess
from pathlib import Path

import pytest

from scapy_ipfix.exporting.exporter import Exporter
from scapy_ipfix.exporting.pcap import write_pcap
from scapy_ipfix.wire.template import Template
from tests.interop import tshark

pytestmark = pytest.mark.skipif(tshark.TSHARK is None, reason="tshark is not installed")

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount[4]", "protocolIdentifier")
OTHER = Template(257, "sourceIPv6Address", "interfaceName[7]", "sourceMacAddress")
NAMED = Template(258, "interfaceName", "octetDeltaCount")
METER = {
    10: Template(259, "meteringProcessId", "exportedMessageTotalCount", scope=1),
    9: Template(259, "scopeSystem[4]", "exportedMessageTotalCount", scope=1),
}


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize("padding", [1, 4])
def test_tshark_reads_every_record(tmp_path: Path, version: int, padding: int) -> None:
    exporter = Exporter(
        7, version=version, mtu=300, padding=padding, template_refresh_messages=5, boot_time=1000
    )
    pairs: list[tuple[Template, tuple[object, ...]]] = []
    for number in range(60):
        pairs.append((FLOW, ("192.0.2.1", number, 6)))
        if number % 3 == 0:
            pairs.append((OTHER, ("2001:db8::1", "eth0", "02:00:00:00:00:01")))
        if number % 5 == 0 and version == 10:
            pairs.append((NAMED, (f"interface {number}", number)))
        if number % 20 == 0:
            pairs.append((METER[version], (1, number)))
    messages = [bytes(each) for each in exporter.export_mixed(pairs, export_time=2000)]
    path = tmp_path / "x.pcap"
    port = 4739 if version == 10 else 2055
    write_pcap(path, ((2000.0, each) for each in messages), to=("192.0.2.2", port))
    read = tshark.read(path)
    assert len(read) == len(messages)
    records = [
        (each.set_id, b"".join(field.octets for field in record))
        for message in read
        for each in message.sets.values()
        for record in each.records
    ]
    assert [set_id for set_id, _ in records] == [template.id for template, _ in pairs]
    for (template, row), (_, octets) in zip(pairs, records, strict=True):
        # tshark leaves out the octet that says how long a value is
        assert octets == template.encode(row)[template.is_variable :]
    done = subprocess.run(
        [str(tshark.TSHARK), "-r", str(path), "-Y", "cflow", "-V"],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "xpected" not in done.stdout  # sequence number
    assert "alformed" not in done.stdout

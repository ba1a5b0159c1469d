# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults seen in the field: restarts, conventions of counting, ports, padding, mixed protocols."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Packet
from scapy.utils import wrpcap

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    IPFIXSession,
    NetFlowV9,
    Template,
    TemplateFlowSet,
    TemplateSet,
    dissect,
    iter_records,
    read_columns,
)

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount[4]")
TURNED = Template(256, "octetDeltaCount[4]", "sourceIPv4Address")
ROW = ("192.0.2.1", 9)
SECONDS = 1_700_000_000
CASES = Path(__file__).parents[3] / "shared" / "cases"
Sets = Sequence[Any]


def v9(sets: Sets, sequence: int, uptime: int = 1000, count: int | None = None) -> NetFlowV9:
    return NetFlowV9(
        sets=list(sets), sequenceNumber=sequence, sysUptime=uptime, unixSecs=SECONDS, count=count
    )


def data(template: Template, *rows: Any, padding: bytes = b"") -> DataFlowSet:
    return DataFlowSet(template=template, records=list(rows), padding=padding)


def announce(template: Template) -> TemplateFlowSet:
    return TemplateFlowSet(templates=[template])


def captured(messages: Sequence[Packet], ports: Sequence[int] = ()) -> list[Packet]:
    """Return packets of one exporter, from these ports in turn."""
    packets = []
    for at, message in enumerate(messages):
        headers = IP(src="192.0.2.9", dst="192.0.2.8")
        headers /= UDP(sport=ports[at] if ports else 40000, dport=2055)
        packets.append(headers / message)
    return packets


def received(packets: Sequence[Packet]) -> list[Packet]:
    """Return packets as they arrive: dissected, at the time of their export."""
    found = [type(each)(bytes(each)) for each in packets]
    for each in found:
        each.time = SECONDS
    return found


def routes(packets: Sequence[Packet], path: Path, **arguments: Any) -> list[dict[str, Any]]:
    """Return the records, which must be the same by every route."""
    wrpcap(str(path), list(packets))
    octets = received(packets)
    records = list(iter_records(str(path), session=IPFIXSession(**arguments)))
    assert list(iter_records(octets, session=IPFIXSession(**arguments))) == records
    shown = [
        record.values()
        for packet in dissect(octets, IPFIXSession(**arguments))
        for each in packet.lastlayer().sets
        if isinstance(each, DataSet)
        for record in each.records
    ]
    assert sorted(map(str, shown)) == sorted(map(str, records))
    return records


def findings(packets: Sequence[Packet], **arguments: Any) -> tuple[IPFIXSession, dict[str, int]]:
    session = IPFIXSession(**arguments)
    dissect(received(packets), session)
    return session, dict(session.diagnostics.counts)


def test_data_sets_wait_for_their_template_after_a_restart(tmp_path: Path) -> None:
    packets = captured(
        [
            v9([announce(FLOW), data(FLOW, ROW)], 500, 100_000),
            v9([data(TURNED, (7, "192.0.2.1"))], 0, 100),
            v9([announce(TURNED)], 1, 200),
        ]
    )
    first, second = routes(packets, tmp_path / "x.pcap")
    assert first == {"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 9}
    assert second == {"octetDeltaCount": 7, "sourceIPv4Address": "192.0.2.1"}


def test_templates_stay_where_only_the_sequence_was_reset(tmp_path: Path) -> None:
    packets = captured(
        [
            v9([announce(FLOW), data(FLOW, ROW)], 500, 100_000),
            v9([data(FLOW, ROW)], 0, 100_500),
        ]
    )
    assert len(routes(packets, tmp_path / "x.pcap")) == 2


def test_a_restart_to_a_number_seen_before() -> None:
    message = [announce(FLOW), data(FLOW, ROW)]
    numbers = [(0, 1000), (2, 3000), (1, 2000), (3, 4000), (0, 100)]
    session, counts = findings(captured([v9(message, *each) for each in numbers]))
    assert counts["sequence-restart"] == counts["exporter-restart"] == 1
    assert counts["sequence-reordered"] == 1
    assert "sequence-duplicate" not in counts
    assert session.stats[0].lost == 0


def test_a_message_that_is_late_is_no_restart() -> None:
    message = [announce(FLOW), data(FLOW, ROW)]
    packets = captured([v9(message, 0, 200_000), v9(message, 2, 400_000), v9(message, 1, 300_000)])
    for packet, seconds in zip(packets, (0, 200, 100)):
        packet[NetFlowV9].unixSecs = SECONDS + seconds
    _, counts = findings(packets)
    assert counts == {"sequence-gap": 1, "sequence-reordered": 1}


def test_an_exporter_that_counts_templates() -> None:
    sets = [TemplateSet(templates=[FLOW]), DataSet(template=FLOW, records=[ROW] * 3)]
    messages = [IPFIX(sets=sets, sequenceNumber=4 * at, exportTime=SECONDS) for at in range(5)]
    session, counts = findings(captured(messages))
    assert counts == {"sequence-convention": 1}
    assert session.stats[0].lost == 0


@pytest.mark.parametrize("start", [0, (1 << 32) - 7])
def test_a_v9_exporter_that_counts_flows(start: int) -> None:
    sets = [announce(FLOW), data(FLOW, *[ROW] * 3)]
    messages = [v9(sets, (start + 3 * at) % (1 << 32)) for at in range(5)]
    session, counts = findings(captured(messages))
    assert counts == {"sequence-convention": 1}
    assert session.stats[0].lost == 0


def test_losses_of_a_v9_exporter_that_counts_messages() -> None:
    sets = [announce(FLOW), data(FLOW, ROW, ROW)]
    numbers = [0, 1, 2, 5, 6, 9, 10]
    session, counts = findings(captured([v9(sets, number) for number in numbers]))
    assert counts == {"sequence-gap": 2}
    assert session.stats[0].lost == 4


def test_a_count_that_begins_again_in_the_only_domain() -> None:
    template, records = TemplateSet(templates=[FLOW]), [ROW] * 6
    session, counts = findings(
        captured(
            [
                IPFIX(
                    sets=[template, DataSet(template=FLOW, records=records[1:])],
                    sequenceNumber=0,
                    exportTime=SECONDS,
                ),
                IPFIX(sequenceNumber=5, exportTime=SECONDS),
                *(
                    IPFIX(
                        sets=[DataSet(template=FLOW, records=records)],
                        sequenceNumber=number,
                        exportTime=SECONDS,
                    )
                    for number in (0, 6, 12)
                ),
            ]
        )
    )
    assert counts["sequence-restart"] == 1
    assert "sequence-convention" not in counts
    assert session.stats[0].lost == 0


def test_a_template_from_another_port(tmp_path: Path) -> None:
    sets = TemplateSet(templates=[FLOW]), DataSet(template=FLOW, records=[ROW])
    messages = [IPFIX(sets=[each], sequenceNumber=0, exportTime=SECONDS) for each in sets]
    packets = captured([*messages, messages[1]], [1000, 1001, 1001])
    session, counts = findings(packets)
    assert counts["template-other-port"] == 1
    found = next(each for each in session.diagnostics if each.code == "template-other-port")
    assert found.text.startswith("192.0.2.9 defined template 256 from port 1000; ")
    assert "--scope exporter" in found.text
    assert len(routes(packets, tmp_path / "x.pcap", scope="exporter")) == 2


@pytest.mark.parametrize("padding", [8, 12, 400])
def test_long_padding_by_the_count_in_the_header(tmp_path: Path, padding: int) -> None:
    sets = [announce(FLOW), data(FLOW, ROW, ROW, padding=bytes(padding))]
    packets = captured([v9(sets, 0, count=3)])
    assert len(routes(packets, tmp_path / "x.pcap")) == 2
    _, counts = findings(packets)
    assert counts == {}
    (packet,) = dissect(received(packets))
    assert packet[DataFlowSet].padding == bytes(padding)
    assert bytes(packet) == bytes(packets[0])
    pytest.importorskip("numpy")
    (columns,) = read_columns(str(tmp_path / "x.pcap")).values()
    assert len(columns["octetDeltaCount"]) == 2


def test_records_that_the_count_in_the_header_leaves_out(tmp_path: Path) -> None:
    """They are records: padding is zero."""
    packets = captured([v9([announce(FLOW), data(FLOW, ROW, ROW, ROW)], 0, count=2)])
    assert len(routes(packets, tmp_path / "x.pcap")) == 3
    _, counts = findings(packets)
    assert counts == {"count-disagrees": 1}


def test_template_sets_of_the_other_protocol(tmp_path: Path) -> None:
    in_ipfix = IPFIX(
        sets=[announce(FLOW), DataSet(template=FLOW, records=[ROW])], exportTime=SECONDS
    )
    in_v9 = v9([TemplateSet(templates=[FLOW]), data(FLOW, ROW)], 0)
    for message, protocol in ((in_ipfix, "NetFlow v9"), (in_v9, "IPFIX")):
        packets = captured([message])
        session, counts = findings(packets)
        assert counts["set-other-protocol"] == counts["missing-template"] == 1
        assert f"is that of templates in {protocol}" in session.diagnostics[0].text
        assert len(routes(packets, tmp_path / "x.pcap", lenient=True)) == 1
        assert routes(packets, tmp_path / "x.pcap") == []


@pytest.mark.parametrize(
    ("case", "records", "codes"),
    [
        ("k-old-template-after-restart", 2, {"exporter-restart", "sequence-restart"}),
        ("l-restart-to-a-number-seen", 5, {"sequence-restart", "sequence-reordered"}),
        ("m-ipfix-counts-templates", 15, {"sequence-convention"}),
        ("m2-v9-counts-flows", 15, {"sequence-convention"}),
        ("m3-restarted-one-domain", 17, {"sequence-restart"}),
        ("n-template-from-another-port", 0, {"template-other-port"}),
        ("q-v9-long-padding", 2, set()),
        ("r-v9-sets-in-ipfix", 0, {"set-other-protocol"}),
    ],
)
def test_cases(case: str, records: int, codes: set[str]) -> None:
    path = CASES / f"{case}.pcap"
    if not path.is_file():
        pytest.skip("no ../shared/cases beside the repository")
    session = IPFIXSession()
    assert len(list(iter_records(str(path), session=session))) == records
    counts = session.diagnostics.counts
    assert codes <= counts.keys()
    assert all(counts[code] == 1 for code in codes)
    if not codes:
        assert not counts

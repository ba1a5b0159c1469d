# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of resolved values in every route: packets, dicts, tuples, columns."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.l2 import Ether
from scapy.sendrecv import sniff
from scapy.utils import rdpcap

from scapy_ipfix import (
    DataSet,
    IPFIXSession,
    NetFlowV9,
    Template,
    dissect,
    elements,
    iter_records,
    read_columns,
    to_pandas,
)
from scapy_ipfix.layers.messages import Message
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.reading.derivedcolumns import derived_array
from scapy_ipfix.reading.parquet import ParquetWriter
from scapy_ipfix.reading.reader import iter_sets
from scapy_ipfix.reading.selection import CONTEXT
from tests.builders import EXPORTED, data_set, message, raw_pcap, template_sets
from tests.flowcases import CASES, EXPORT_TIME, FlowCase, times

by_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture
def capture(case: FlowCase, tmp_path: Path) -> Path:
    """Return a capture of the messages of a case."""
    path = tmp_path / "case.pcap"
    path.write_bytes(raw_pcap(case.frames()))
    return path


def text(value: Any) -> Any:
    """Return a resolved value as in the domains "scapy" and "json"."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.total_seconds() if isinstance(value, timedelta) else value


@by_case
def test_properties_of_packets(case: FlowCase, capture: Path) -> None:
    sniffed = sniff(offline=str(capture), session=IPFIXSession(), quiet=True)
    dissected = dissect(rdpcap(str(capture)))
    for packets in (sniffed, dissected):
        records = [record for pkt in packets for record in pkt.getlayer(Message).records]
        data = [each for each in records if not each.template.is_options]
        for record, expected in zip(data, case.expected, strict=True):
            assert {name: getattr(record, name) for name in expected} == expected
            assert {name: getattr(record.copy(), name) for name in expected} == expected


@by_case
def test_dicts(case: FlowCase, capture: Path) -> None:
    for source in (capture, [bytes(each) for each in case.messages], case.packets()):
        found = list(iter_records(source, kind="data", values="python", resolve=True))
        for record, expected in zip(found, case.expected, strict=True):
            assert record.items() >= expected.items()
        for values in ("scapy", "json"):
            found = list(iter_records(source, kind="data", values=values, resolve=True))
            for record, expected in zip(found, case.expected, strict=True):
                assert {name: record[name] for name in expected} == {
                    name: text(value) for name, value in expected.items()
                }


def test_options_have_no_resolved_values() -> None:
    case = CASES["uptime_of_ipfix"]
    (record,) = iter_records(case.packets(), kind="options", resolve=True)
    assert set(record) == {"meteringProcessId", "systemInitTimeMilliseconds"}
    session = IPFIXSession()
    (packet,) = dissect(case.packets(), session)
    options = packet.getlayer(DataSet).records[0]
    assert options.flow_start is options.source_address is None


def test_packets_without_a_session_have_the_times_of_their_header() -> None:
    case = CASES["uptime_of_v9"]
    (record,) = NetFlowV9(bytes(case.messages[0])).records
    assert record.flow_start == EXPORT_TIME - timedelta(seconds=10)
    record.parent.parent.unixSecs = EXPORTED + 1
    assert record.flow_start == EXPORT_TIME - timedelta(seconds=9)
    alone = type(record)(record.template, flowStartSysUpTime=5)
    assert alone.flow_start is alone.flow_end is alone.flow_duration is None


def test_a_record_that_waits_for_its_template_has_the_header_of_its_own_message() -> None:
    template = Template(256, "flowStartSysUpTime", "flowEndSysUpTime")
    first = message(
        data_set(template, [(90_000, 95_000)], 9), version=9, unixSecs=EXPORTED, sysUptime=100_000
    )
    later = message(
        *template_sets(template, version=9),
        version=9,
        unixSecs=EXPORTED + 60,
        sysUptime=160_000,
        sequence=1,
    )
    (record,) = iter_records([first, later], values="python", resolve=True)
    assert record.items() >= times(10, 5).items()


def test_addresses_of_both_families() -> None:
    four = Template(256, "sourceIPv4Address", "sourceTransportPort", "octetDeltaCount")
    six = Template(257, "sourceIPv6Address", "sourceTransportPort", "octetTotalCount")
    octets = message(
        *template_sets(four, six),
        data_set(four, [("192.0.2.1", 53, 10)]),
        data_set(six, [("2001:db8::1", 53, 20)]),
    )
    names = "source_address", "source_port", "octets"
    found = [tuple(each[name] for name in names) for each in iter_records(octets, resolve=True)]
    assert found == [("192.0.2.1", 53, 10), ("2001:db8::1", 53, 20)]


# Fields, columns


@by_case
def test_tuples(case: FlowCase, capture: Path) -> None:
    names = tuple(case.expected[0])
    fields = ["sourceIPv4Address", *names]
    for values in ("scapy", "python", "json"):
        found = list(iter_records(capture, fields, values=values))
        address = {"scapy": str, "json": str, "python": ipaddress.ip_address}[values]
        expected = [
            (
                address(f"192.0.2.{number}"),
                *(each[name] if values == "python" else text(each[name]) for name in names),
            )
            for number, each in enumerate(case.expected, 1)
        ]
        assert found == expected


@by_case
def test_columns(case: FlowCase, capture: Path) -> None:
    pytest.importorskip("numpy")
    names = list(case.expected[0])
    (columns,) = read_columns(capture, [*names, "sourceIPv4Address"]).values()
    assert list(columns) == [*names, "sourceIPv4Address"]
    for name in names:
        found = columns[name].tolist()
        if name in ("flow_start", "flow_end"):
            assert columns[name].dtype == "M8[us]"
            found = [each.replace(tzinfo=timezone.utc) for each in found]
        elif name == "flow_duration":
            found = [timedelta(seconds=each) for each in found]
        assert found == [each[name] for each in case.expected]


@by_case
def test_data_frame(case: FlowCase, capture: Path) -> None:
    pandas = pytest.importorskip("pandas")
    names = list(case.expected[0])
    frame = to_pandas(capture, ["source_address", *names])
    assert frame["source_address"].tolist() == [f"192.0.2.{n + 1}" for n in range(len(frame))]
    for name in names:
        expected = [each[name] for each in case.expected]
        if name == "flow_duration":
            expected = [each.total_seconds() for each in expected]
        assert frame[name].tolist() == expected
    if "flow_start" in names:
        assert isinstance(frame["flow_start"].dtype, pandas.DatetimeTZDtype)


@by_case
def test_parquet(case: FlowCase, capture: Path, tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    parquet = pytest.importorskip("pyarrow.parquet")
    names = tuple(case.expected[0])
    session = IPFIXSession()
    templates = [read.template for read in iter_sets(capture, IPFIXSession())]
    fields = (*names, "source_address", "destination_port", "_packet")
    with ParquetWriter(tmp_path / "x.parquet", templates, fields) as writer:
        for read in iter_sets(capture, session):
            writer.write(read, read.template)
        writer.finish()
    rows = parquet.read_table(tmp_path / "x.parquet").to_pylist()
    for number, (row, expected) in enumerate(zip(rows, case.expected, strict=True), 1):
        assert {name: row[name] for name in names} == {
            name: value.total_seconds() if isinstance(value, timedelta) else value
            for name, value in expected.items()
        }
        assert row["source_address"] == f"192.0.2.{number}"
        assert row["destination_port"] is None
        assert row["_exporter"] == "192.0.2.9"


def test_a_resolved_value_that_a_layout_does_not_have_is_none() -> None:
    template = Template(256, "sourceIPv4Address", "octetDeltaCount")
    octets = bytes(message(*template_sets(template), data_set(template, [("192.0.2.1", 5)] * 2)))
    fields = ["octets", "flow_start", "ingress_interface_name", "octetDeltaCount", "octets"]
    assert list(iter_records(octets, fields)) == [(5, None, None, 5, 5)] * 2
    assert list(iter_records(octets, ["source_port"])) == [(None,)] * 2
    assert list(iter_records(octets, ["source_port", "ingressInterface"])) == []
    pytest.importorskip("numpy")
    (columns,) = read_columns(octets, fields[:4]).values()
    assert columns["octets"].tolist() == columns["octetDeltaCount"].tolist() == [5, 5]
    assert columns["octets"].dtype == columns["octetDeltaCount"].dtype
    assert columns["ingress_interface_name"].tolist() == [None, None]
    (columns,) = read_columns(octets, ["source_port", "flow_start", "flow_duration"]).values()
    assert columns["source_port"].tolist() == [None, None]
    assert str(columns["flow_start"][0]) == "NaT"
    assert str(columns["flow_duration"][0]) == "nan"


def test_fields_of_options() -> None:
    case = CASES["samplers_in_options"]
    packets = case.packets()
    assert list(iter_records(packets, ["samplerId"], "options")) == [(1,), (2,)]
    assert list(iter_records(packets, ["samplerId", "sampling_rate"])) == [(1, 100), (2, 500)]
    assert list(iter_records(packets, ["samplerId", "_template"])) == [
        *((1, 257), (2, 257), (1, 256), (2, 256))
    ]
    pytest.importorskip("numpy")
    assert [each.id for each in read_columns(packets, ["sampling_rate"])] == [256]


def test_data_frame_of_both_families() -> None:
    pandas = pytest.importorskip("pandas")
    four = Template(256, "sourceIPv4Address", "sourceTransportPort", "octetDeltaCount")
    six = Template(257, "sourceIPv6Address", "octetTotalCount")
    octets = message(
        *template_sets(four, six),
        data_set(four, [("192.0.2.1", 53, 10), ("192.0.2.1", 53, 11)]),
        data_set(six, [("2001:db8::1", 20)]),
    )
    frame = to_pandas(octets, ["source_address", "source_port", "octets"])
    assert frame.groupby("source_address")["octets"].sum().to_dict() == {
        "192.0.2.1": 21,
        "2001:db8::1": 20,
    }
    assert frame["source_port"].tolist() == [53, 53, pandas.NA]


def test_numbers_wider_than_their_column() -> None:
    np = pytest.importorskip("numpy")
    for name, values, expected in (
        ("protocol", [6, 255], "u1"),
        ("protocol", [6, 256], "O"),
        ("source_port", [6, None], "O"),
        ("octets", [(1 << 64) - 1], "u8"),
        ("octets", [1 << 64], "O"),
    ):
        array = derived_array(np, name, values)
        assert array.dtype == expected
        assert array.tolist() == values


# Context


def test_context(tmp_path: Path) -> None:
    case = CASES["samplers_in_options"]
    paths = [tmp_path / "a.pcap", tmp_path / "b.pcap"]
    session = IPFIXSession()
    for path in paths:
        path.write_bytes(raw_pcap([b"other traffic" * 8, *case.frames()]))
        for values, time in (("python", EXPORT_TIME), ("json", text(EXPORT_TIME))):
            found = list(iter_records(path, values=values, context=True, session=session))
            expected = {
                "_exporter": "192.0.2.9",
                "_domain": 0,
                "_version": 9,
                "_export_time": time,
                "_file": str(path),
            }
            for record, template, packet in zip(
                found, (257, 257, 256, 256), (2, 2, 3, 3), strict=True
            ):
                origin = expected | {"_template": template, "_packet": packet}
                assert list(record)[:7] == list(CONTEXT)
                assert {name: record[name] for name in CONTEXT} == origin
                assert "samplerId" in record
    names = list(CONTEXT)
    (row, *_) = iter_records(paths[0], names, "data", "python")
    assert row == ("192.0.2.9", 0, 256, 9, EXPORT_TIME, 3, str(paths[0]))


def test_context_of_packets_and_octets() -> None:
    case = CASES["samplers_in_options"]
    packets = [Ether(), *case.packets()]
    session = IPFIXSession()
    for source in (packets, packets, [b"??", *(bytes(each) for each in case.messages)]):
        found = list(iter_records(source, ["_packet", "_file"], "data", session=session))
        assert found == [(3, None)] * 2


def test_context_of_a_record_whose_template_arrived_later() -> None:
    template = Template(256, "octetDeltaCount")
    sent = [
        message(data_set(template, [(5,)]), exportTime=7),
        message(*template_sets(template), exportTime=9),
    ]
    found = list(iter_records(sent, ["_packet", "_export_time"]))
    assert found == [(1, "1970-01-01T00:00:07.000000Z")]


def test_columns_with_context(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    path = tmp_path / "a.pcap"
    path.write_bytes(raw_pcap(CASES["uptime_of_v9"].frames()))
    (columns,) = read_columns(path, ["octets", "_packet"], context=True).values()
    assert list(columns) == [*CONTEXT, "octets"]
    assert columns["_export_time"].tolist() == [EXPORT_TIME.replace(tzinfo=None)]
    assert columns["_packet"].dtype == np.dtype("u8")
    assert columns["_file"].tolist() == [str(path)]
    pytest.importorskip("pandas")
    assert list(to_pandas(path, ["octets"], context=True).columns) == [*CONTEXT, "octets"]
    assert list(to_pandas([], ["octets"], context=True).columns) == [*CONTEXT, "octets"]


def test_an_element_named_as_a_context_value() -> None:
    model = elements.copy()
    model.add(InformationElement("_exporter", 1, 99999, data_type("unsigned8")))
    template = Template(300, "_exporter", "octetDeltaCount[1]", model=model)
    octets = bytes(message(*template_sets(template), data_set(template, [(5, 6)])))
    session = IPFIXSession(model=model)
    (record,) = iter_records(octets, context=True, session=session)
    assert record["_exporter"] == "message"
    assert list(iter_records(octets, ["_exporter"], session=session)) == [("message",)]


def test_names_are_checked() -> None:
    with pytest.raises(ValueError, match="did you mean flow_start"):
        iter_records([], ["flow_strat"])
    for option in ("resolve", "context"):
        with pytest.raises(ValueError, match=f"{option} adds to dicts"):
            iter_records([], ["octets"], **{option: True})

# SPDX-License-Identifier: GPL-2.0-or-later
"""Parquet files: their content, and what becomes of a file that is not finished."""

import io
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.cli import main as cli
from scapy_ipfix.reading import parquet
from scapy_ipfix.reading.reader import iter_records, iter_sets
from scapy_ipfix.reading.selection import ORIGIN
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.template import Template
from tests.builders import raw_message, raw_set, raw_template_set
from tests.strategies import filled

pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount[4]", "flowStartMilliseconds")
NAMED = Template(257, "octetDeltaCount", "interfaceName", "sourceIPv4Address")
OPTIONS = Template(258, "exportingProcessId", "exportedMessageTotalCount", scope=1)
FLOWS = [("192.0.2.1", 1500, 1704067200123), ("192.0.2.2", 40, 0)]
NAMES = [(7, "eth0", "192.0.2.3"), (8, b"\xffth1", "192.0.2.4")]


def data(*parts, domain=7):
    """Return a message with templates, and (template, records or octets of records)."""
    sets = []
    for part in parts:
        if isinstance(part, Template):
            sets.append(raw_template_set(part))
        else:
            template, body = part
            if not isinstance(body, bytes):
                body = b"".join(template.encode_rows(body))
            sets.append(raw_set(template.id, body))
    return raw_message(*sets, domain=domain, exported=0)


@pytest.fixture
def convert(tmp_path, capsys):
    """Run the command on messages and return the table that it wrote."""

    def run(*messages, options=()):
        source, out = tmp_path / "x.ipfix", tmp_path / "x.parquet"
        source.write_bytes(b"".join(messages))
        assert cli.main(["--parquet", str(out), str(source), *options]) == 0
        assert capsys.readouterr().out == ""
        return pq.read_table(out)

    return run


def test_two_layouts_are_one_table(convert):
    table = convert(data(FLOW, NAMED, OPTIONS, (FLOW, FLOWS), (NAMED, NAMES), (OPTIONS, [(1, 2)])))
    assert dict(zip(table.schema.names, table.schema.types)) == {
        "_exporter": pa.string(),
        "_domain": pa.uint32(),
        "_template": pa.uint16(),
        "sourceIPv4Address": pa.string(),
        "octetDeltaCount": pa.uint64(),
        "flowStartMilliseconds": pa.timestamp("ms", "UTC"),
        "interfaceName": pa.string(),
        "exportingProcessId": pa.uint32(),
        "exportedMessageTotalCount": pa.uint64(),
    }
    found = table.to_pydict()
    assert len(found["_exporter"]) == 5
    assert all(each.endswith("x.ipfix") for each in found["_exporter"])
    assert found["_domain"] == [7] * 5
    assert found["_template"] == [256, 256, 257, 257, 258]
    assert found["sourceIPv4Address"] == [*(f"192.0.2.{i}" for i in (1, 2, 3, 4)), None]
    assert found["octetDeltaCount"] == [1500, 40, 7, 8, None]
    when = datetime(2024, 1, 1, 0, 0, 0, 123000, tzinfo=timezone.utc)
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert found["flowStartMilliseconds"] == [when, epoch, None, None, None]
    assert found["interfaceName"] == [None, None, "eth0", "\\xffth1", None]
    assert found["exportedMessageTotalCount"] == [None, None, None, None, 2]


def test_fields(convert):
    octets = data(FLOW, NAMED, OPTIONS, (FLOW, FLOWS), (NAMED, NAMES), (OPTIONS, [(1, 2)]))
    table = convert(octets, options=("--fields", "octetDeltaCount,IPV4_SRC_ADDR"))
    assert table.schema.names == [*ORIGIN, "octetDeltaCount", "sourceIPv4Address"]
    assert table["octetDeltaCount"].to_pylist() == [1500, 40, 7, 8]
    table = convert(octets, options=("--fields", "interfaceName,octetDeltaCount"))
    assert table["octetDeltaCount"].to_pylist() == [7, 8]


def test_fields_of_no_record(convert):
    table = convert(data(FLOW, (FLOW, FLOWS)), options=("--fields", "sourceIPv6Address"))
    assert table.schema.names == [*ORIGIN, "sourceIPv6Address"]
    assert table.num_rows == 0


@pytest.mark.parametrize(("kind", "rows"), [("all", 3), ("data", 2), ("options", 1)])
def test_kind(convert, kind, rows):
    octets = data(FLOW, OPTIONS, (FLOW, FLOWS), (OPTIONS, [(1, 2)]))
    table = convert(octets, options=("--kind", kind))
    assert table.num_rows == rows
    assert ("exportingProcessId" in table.schema.names) == (kind != "data")
    assert ("octetDeltaCount" in table.schema.names) == (kind != "options")


def test_no_records(convert):
    table = convert(data(FLOW))
    assert table.schema.names == list(ORIGIN)
    assert table.num_rows == 0


def test_every_type(convert):
    template = Template(
        300,
        "flowStartSeconds",
        "flowStartMicroseconds",
        "flowStartNanoseconds",
        "sourceMacAddress",
        "sourceIPv6Address",
        "dataRecordsReliability",
        "samplingProbability",
        "ipHeaderPacketSection[2]",
        "mibObjectValueInteger[3]",
        "applicationName[0]",
        "octetDeltaCount[0]",
        "packetDeltaCount[v]",
        "basicList",
        "sourceIPv4Address[2]",
    )
    row = (1, 1 << 63, 1 << 63, "02:00:5e:10:00:01", "2001:db8::1", True, 0.5, b"\0\1", -3)
    body = template.encode((*row, "", None, 9, b"", b"\xc0\0"))
    body = body.replace(b"\x00\xc0\x00", b"\x05\xff\x00\x07\x00\x01\xc0\x00")  # a basicList
    table = convert(data(template, (template, body)))
    types = dict(zip(table.schema.names, table.schema.types))
    assert [types[f"flowStart{each}conds"] for each in ("Se", "Microse", "Nanose")] == [
        pa.timestamp(unit, "UTC") for unit in ("ms", "us", "ns")
    ]
    assert types["mibObjectValueInteger"] == pa.int32()
    assert types["dataRecordsReliability"] == pa.bool_()
    assert types["sourceIPv4Address"] == pa.binary()
    (found,) = table.drop_columns([*ORIGIN, "flowStartNanoseconds"]).to_pylist()
    assert found == {
        "flowStartSeconds": datetime(1970, 1, 1, 0, 0, 1, tzinfo=timezone.utc),
        "flowStartMicroseconds": datetime(1968, 1, 20, 3, 14, 8, tzinfo=timezone.utc),
        "sourceMacAddress": "02:00:5e:10:00:01",
        "sourceIPv6Address": "2001:db8::1",
        "dataRecordsReliability": True,
        "samplingProbability": 0.5,
        "ipHeaderPacketSection": b"\0\1",
        "mibObjectValueInteger": -3,
        "applicationName": "",
        "octetDeltaCount": None,
        "packetDeltaCount": "9",
        "basicList": b"\xff\x00\x07\x00\x01",
        "sourceIPv4Address": b"\xc0\x00",
    }


def test_booleans_that_are_neither_are_null(convert):
    template = Template(300, "dataRecordsReliability")
    table = convert(data(template, (template, b"\1\2\3\0")))
    assert table["dataRecordsReliability"].to_pylist() == [True, False, None, None]


def test_other_types_elsewhere(convert):
    usual = Template(300, "sourceTransportPort", "octetDeltaCount", "flowStartSeconds")
    wider = Template(301, "sourceTransportPort[4]", "octetDeltaCount[9]", "flowStartSeconds[0]")
    octets = data(usual, wider, (usual, [(443, 5, 1)]), (wider, b"\0\1\0\0" + bytes(8) + b"\7"))
    table = convert(octets)
    assert table["sourceTransportPort"].to_pylist() == [443, 65536]
    assert table["octetDeltaCount"].to_pylist() == ["5", "000000000000000007"]
    assert table["flowStartSeconds"].to_pylist()[1] is None
    assert table.schema.field("sourceTransportPort").type == pa.uint32()
    assert table.schema.field("flowStartSeconds").type == pa.timestamp("ms", "UTC")


@given(st.lists(filled(min_size=1), min_size=1, max_size=3))
def test_any_records_make_a_file(tmp_path_factory, cases):
    out = tmp_path_factory.mktemp("any") / "x.parquet"
    octets = [
        data(each.template, (each.template, each.rows), domain=domain)
        for domain, each in enumerate(cases)
    ]
    with parquet.ParquetWriter(out, [each.template for each in cases]) as written:
        for read in iter_sets(octets, IPFIXSession()):
            written.write(read, read.template)
        written.finish()
    table = pq.read_table(out)
    assert table.num_rows == written.records == sum(len(each.rows) for each in cases)
    assert set(table.schema.names) == {
        *ORIGIN,
        *(name for each in cases for name in each.template.names),
    }


def test_captures(root, tmp_path):
    out = tmp_path / "x.parquet"
    paths = [str(root / "pcaps" / name) for name in ("softflowd_v9.pcap", "pmacctd_ipfix.pcap")]
    assert cli.main(["--parquet", str(out), *paths]) == 0
    found = pq.read_table(out)
    expected = [each for path in paths for each in iter_records(path)]
    assert found.num_rows == len(expected)
    assert sum(found["octetDeltaCount"].drop_null().to_pylist()) == sum(
        each.get("octetDeltaCount") or 0 for each in expected
    )
    assert set(found["_exporter"].to_pylist()) == {"127.0.0.1"}


def test_captures_of_others(captures, tmp_path, capsys):
    for path in sorted(captures.glob("*.pcap")):
        out = tmp_path / f"{path.stem}.parquet"
        assert cli.main(["--parquet", str(out), str(path)]) == 0
        assert pq.read_metadata(out).num_rows == len(list(iter_records(path)))


def test_standard_input_is_read_twice(monkeypatch, root, tmp_path):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    octets = (root / "pcaps" / "softflowd_v9.pcap").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(octets)))
    out = tmp_path / "x.parquet"
    assert cli.main(["--parquet", str(out), "-"]) == 0
    assert pq.read_metadata(out).num_rows == len(list(iter_records(io.BytesIO(octets))))


# Memory


@pytest.mark.parametrize(
    ("records", "octets", "fields", "groups"),
    [
        (4, 1 << 20, 99, [4, 4, 2]),
        (1000, 60, 99, [3, 3, 3, 1]),
        (1000, 1 << 20, 4, [1] * 10),
    ],
)
def test_row_groups(monkeypatch, tmp_path, records, octets, fields, groups):
    monkeypatch.setattr(parquet, "_GROUP_FIELDS", fields)
    monkeypatch.setattr(parquet, "_GROUP_RECORDS", records)
    monkeypatch.setattr(parquet, "_GROUP_OCTETS", octets)
    messages = [data(FLOW)] + [data((FLOW, [(f"192.0.2.{i}", i, i)])) for i in range(10)]
    out = tmp_path / "x.parquet"
    with parquet.ParquetWriter(out, [FLOW]) as written:
        for read in iter_sets(messages, IPFIXSession()):
            written.write(read, read.template)
            assert written._buffers.records < records
            assert written._buffers.octets < octets
        written.finish()
    metadata = pq.read_metadata(out)
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == groups
    assert pq.read_table(out)["octetDeltaCount"].to_pylist() == list(range(10))


def test_layouts_share_a_row_group(convert):
    # not fifty small row groups for fifty layouts
    templates = [Template(256 + i, *["octetDeltaCount"] * (i + 1)) for i in range(50)]
    octets = [data(each, (each, [[i] * (i + 1)])) for i, each in enumerate(templates)]
    table = convert(*octets)
    assert table["octetDeltaCount"].to_pylist() == list(range(50))
    assert table["octetDeltaCount_50"].to_pylist() == [None] * 49 + [49]


# The file


def test_a_file_is_overwritten(convert, tmp_path):
    (tmp_path / "x.parquet").write_text("something else" * 10_000)
    assert convert(data(FLOW, (FLOW, FLOWS))).num_rows == 2


def test_the_capture_is_not_overwritten(tmp_path, capsys):
    source, link = tmp_path / "x.ipfix", tmp_path / "x.link"
    source.write_bytes(octets := data(FLOW, (FLOW, FLOWS)))
    link.symlink_to(source)
    with pytest.raises(SystemExit) as ended:
        cli.main(["--parquet", str(link), str(source)])
    assert ended.value.code == 2
    assert "would overwrite the input" in capsys.readouterr().err
    assert source.read_bytes() == octets


def test_unreadable_source_keeps_the_file(root, tmp_path, capsys):
    out, bad = tmp_path / "x.parquet", tmp_path / "bad.pcap"
    out.write_text("of yesterday")
    bad.write_text("no capture")
    good = root / "pcaps" / "softflowd_v9.pcap"
    assert cli.main(["--parquet", str(out), str(good), str(bad)]) == 2
    assert "not a capture" in capsys.readouterr().err
    assert out.read_text() == "of yesterday"


def test_error_while_writing_removes_the_file(tmp_path):
    def interrupted(written):
        with written:
            for read in iter_sets(data(FLOW, (FLOW, FLOWS)), IPFIXSession()):
                written.write(read, read.template)
            raise RuntimeError("in between")

    out = tmp_path / "x.parquet"
    with pytest.raises(RuntimeError, match="in between"):
        interrupted(parquet.ParquetWriter(out, [FLOW]))
    assert not out.exists()


def test_a_directory_that_is_not_there(root, tmp_path, capsys):
    out = tmp_path / "nowhere" / "x.parquet"
    assert cli.main(["--parquet", str(out), str(root / "pcaps" / "softflowd_v9.pcap")]) == 2
    assert capsys.readouterr().err == f"scapy-ipfix: {out}: No such file or directory\n"


def test_a_full_disk(root, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    assert cli.main(["--parquet", "/dev/full", str(root / "pcaps" / "softflowd_v9.pcap")]) == 2
    assert "No space left on device" in capsys.readouterr().err


def test_a_template_that_was_not_announced(tmp_path):
    # a capture that grows while it is read, after the columns are fixed
    other = Template(256, "octetDeltaCount[9]", "interfaceName", "sourceIPv4Address")
    out = tmp_path / "x.parquet"
    rows = [(bytes(9), "eth0", "192.0.2.9")]
    with parquet.ParquetWriter(out, [FLOW]) as written:
        for read in iter_sets(data(other, (other, rows)), IPFIXSession()):
            written.write(read, read.template)
        written.finish()
    (found,) = pq.read_table(out).to_pylist()
    assert found == {
        "_exporter": "message",
        "_domain": 7,
        "_template": 256,
        "sourceIPv4Address": "192.0.2.9",
        "octetDeltaCount": None,
        "flowStartMilliseconds": None,
    }


def test_only_one_form(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--parquet", "x.parquet", "--json", "y.pcap"])
    assert "not allowed with argument" in capsys.readouterr().err

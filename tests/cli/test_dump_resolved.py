# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of resolved values, context and names in the output of the command."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scapy_ipfix import Template, elements
from scapy_ipfix.cli import main as cli
from tests.builders import data_set, message, raw_pcap, template_sets
from tests.flowcases import CASES, FlowCase

by_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
ORIGIN = ["_exporter", "_domain", "_template"]
CONTEXT = ["_version", "_export_time", "_packet", "_file"]


@pytest.fixture
def capture(case: FlowCase, tmp_path: Path) -> str:
    """Return the path of a capture of the messages of a case."""
    path = tmp_path / "case.pcap"
    path.write_bytes(raw_pcap(case.frames()))
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the command prints."""
    assert cli.main([*arguments]) == 0
    return capsys.readouterr().out


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def plain(value: Any) -> Any:
    """Return a resolved value as JSON has it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return value.total_seconds() if isinstance(value, timedelta) else value


@by_case
def test_fields(case: FlowCase, capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    names = list(case.expected[0])
    fields = ["sourceIPv4Address", *names]
    expected = [
        [f"192.0.2.{number}", *(plain(each[name]) for name in names)]
        for number, each in enumerate(case.expected, 1)
    ]
    arguments = "--fields", ",".join(fields), capture
    found = objects(run(capsys, "--json", *arguments))
    assert [list(each) for each in found] == [[*ORIGIN, *fields]] * len(expected)
    assert [list(each.values())[3:] for each in found] == expected
    header, *rows = csv.reader(io.StringIO(run(capsys, "--csv", *arguments)))
    assert header == [*ORIGIN, *fields]
    assert [row[3:] for row in rows] == [[str(value) for value in row] for row in expected]
    assert {row[0] for row in rows} == {"192.0.2.9"}
    _, header_line, *lines = run(capsys, *arguments).splitlines()
    assert header_line.split() == ["#", *fields]
    assert [line.split()[1:] for line in lines] == [[str(v) for v in row] for row in expected]


@by_case
def test_resolve(case: FlowCase, capture: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = objects(run(capsys, "--json", "--resolve", "--kind", "data", capture))
    for number, (record, expected) in enumerate(zip(found, case.expected, strict=True), 1):
        assert {name: record[name] for name in expected} == {
            name: plain(value) for name, value in expected.items()
        }
        assert record["sourceIPv4Address"] == record["source_address"] == f"192.0.2.{number}"
    rows = csv.DictReader(io.StringIO(run(capsys, "--csv", "--resolve", "--kind", "data", capture)))
    for row, record in zip(rows, found, strict=True):
        names = [name for name, value in record.items() if value is not None]
        assert {name: row[name] for name in names if name[0] != "_"} == {
            name: str(record[name]) for name in names if name[0] != "_"
        }
    table = run(capsys, "--resolve", "--kind", "data", capture)
    assert str(plain(next(iter(case.expected[0].values())))) in table


@by_case
def test_parquet(
    case: FlowCase, capture: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("numpy")
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "x.parquet"
    names = list(case.expected[0])
    for arguments in (["--resolve", "--context", "--kind", "data"], ["--fields", ",".join(names)]):
        run(capsys, "--parquet", str(out), *arguments, capture)
        rows = parquet.read_table(out).to_pylist()
        found = [{name: plain(row[name]) for name in names} for row in rows]
        assert found == [
            {name: plain(value) for name, value in each.items()} for each in case.expected
        ]
    run(capsys, "--parquet", str(out), "--context", "--kind", "options", capture)
    assert parquet.read_schema(out).names[:7] == [*ORIGIN, *CONTEXT]


def test_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES["uptime_of_v9"]
    paths = [str(tmp_path / name) for name in ("a.pcap", "b.pcap")]
    for path in paths:
        Path(path).write_bytes(raw_pcap([b"other traffic" * 9, *case.frames()]))
    expected = [9, "2023-11-14T22:13:20.000000Z", 2]
    found = objects(run(capsys, "--json", "--context", *paths))
    assert [list(each)[:7] for each in found] == [[*ORIGIN, *CONTEXT]] * 2
    assert [[each[name] for name in CONTEXT] for each in found] == [
        [*expected, path] for path in paths
    ]
    header, *rows = csv.reader(io.StringIO(run(capsys, "--csv", "--context", *paths)))
    assert header[:8] == [*ORIGIN, *CONTEXT, "sourceIPv4Address"]
    assert [row[3:7] for row in rows] == [[*map(str, expected), path] for path in paths]
    # Values selected by name, with the columns that each record has.
    arguments = "--fields", "_packet,_template,octets,_packet", paths[0]
    assert run(capsys, "--json", *arguments) == (
        '{"_exporter": "192.0.2.9", "_domain": 0, "_template": 256, "_packet": 2, "octets": null}\n'
    )
    assert run(capsys, "--csv", "--fields", "_template", paths[0]) == (
        "_exporter,_domain,_template\n192.0.2.9,0,256\n"
    )
    assert run(capsys, "--json", "--fields", "_template", paths[0]) == (
        '{"_exporter": "192.0.2.9", "_domain": 0, "_template": 256}\n'
    )
    table = run(capsys, "--context", "--fields", "_packet", paths[0]).splitlines()
    assert table[1].split() == ["#", *CONTEXT]


def test_fields_and_resolve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(raw_pcap(CASES["samplers_in_options"].frames()))
    arguments = "--fields", "octets,samplerId", "--resolve", str(path)
    names = ["octets", "samplerId", "sampling_rate", "source_address"]
    for record in objects(run(capsys, "--json", *arguments)):
        assert list(record) == [*ORIGIN, *names]
    header, *rows = csv.reader(io.StringIO(run(capsys, "--csv", *arguments)))
    assert header == [*ORIGIN, *names]
    assert [row[3:] for row in rows] == [
        ["", "1", "", ""],
        ["", "2", "", ""],
        ["10", "1", "100", "192.0.2.1"],
        ["10", "2", "500", "192.0.2.2"],
    ]


def test_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = Template(256, "protocolIdentifier", "tcpControlBits[1]", "octetDeltaCount[1]")
    path = tmp_path / "a.ipfix"
    rows = [(6, 0x12, 5), (255, 0, 6)]
    path.write_bytes(bytes(message(*template_sets(template), data_set(template, rows))))
    fields = "protocolIdentifier,protocol,tcpControlBits,octets"
    first, second = objects(run(capsys, "--json", "--names", "--fields", fields, str(path)))
    assert list(first.values())[3:] == ["tcp", "tcp", "SA", 5]
    protocols = elements["protocolIdentifier"].values
    assert protocols is not None
    assert list(second.values())[3:5] == [protocols.text(255) or 255] * 2
    (record, _) = objects(run(capsys, "--json", "--names", str(path)))
    assert list(record.values())[3:] == ["tcp", "SA", 5]
    with pytest.raises(SystemExit) as exit_status:
        cli.main(["--names", str(path)])
    assert exit_status.value.code == 2
    assert "--names is for --json" in capsys.readouterr().err

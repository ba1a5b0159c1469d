# SPDX-License-Identifier: GPL-2.0-or-later
"""The command: what it prints, what it says of bad input, and its exit status."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from scapy_ipfix import IPFIX, DataSet, Template, TemplateSet
from scapy_ipfix.cli import main

ROOT = Path(__file__).parent.parent
PCAPS = ROOT / "pcaps"
COMMAND = [sys.executable, "-m", "scapy_ipfix"]
NAMES = Template(256, "interfaceName", "octetDeltaCount[4]")


def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [*COMMAND, *arguments], cwd=ROOT, capture_output=True, timeout=60, **options
    )


def a_file(tmp_path: Path, *names: object) -> str:
    message = IPFIX(
        sets=[
            TemplateSet(templates=[NAMES]),
            DataSet(template=NAMES, records=[(name, 5) for name in names]),
        ]
    )
    path = tmp_path / "messages.ipfix"
    path.write_bytes(bytes(message))
    return str(path)


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PCAPS / "softflowd_v9.pcap"), "--kind", "options"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "127.0.0.1:35177  NetFlow v9  domain 0  options template 256  1 record",
        "#  scopeInterface  samplingInterval  samplingAlgorithm  interfaceName",
        "1  7               1                 deterministic      veth-a",
    ]


def test_tables_break_into_blocks_of_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PCAPS / "softflowd_v9.pcap"), "--width", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert sum("sourceIPv4Address" in line for line in lines) == sum(
        "sourceTransportPort" in line for line in lines if "Port" in line
    ) or any("protocolIdentifier" in line for line in lines)


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PCAPS / "softflowd_ipfix.pcap"), "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(records) == 523
    assert {"_exporter", "_domain", "_template"} <= set(records[0])
    assert records[0]["systemInitTimeMilliseconds"].endswith("Z")


def test_csv_has_a_column_for_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PCAPS / "softflowd_v9.pcap"), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 81
    assert rows[0]["interfaceName"] == "veth-a"
    assert {row["sourceIPv4Address"] for row in rows} >= {"198.51.100.1", ""}


def test_fields_and_stats_and_templates(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(PCAPS / "softflowd_v9.pcap")
    assert main([path, "--json", "--fields", "IPV4_SRC_ADDR,octetDeltaCount"]) == 0
    first = json.loads(capsys.readouterr().out.splitlines()[0])
    assert (first["sourceIPv4Address"], first["octetDeltaCount"]) == ("198.51.100.1", 60)
    assert main([path, "--stats"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["exporter", "domain", "version", "messages"]
    assert row.split()[:7] == ["127.0.0.1:35177", "0", "v9", "4", "4412", "5", "81"]
    assert main([path, "--templates"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_an_unknown_field_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(PCAPS / "softflowd_v9.pcap"), "--fields", "sourceIPv4Adress"])
    assert stop.value.code == 2
    assert "sourceIPv4Address" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["-"], [], ["-", "--json"], ["-", "--csv"]])
def test_standard_input(arguments: list[str]) -> None:
    with open(PCAPS / "softflowd_ipfix.pcap.gz", "rb") as file:
        result = run(*arguments, stdin=file)
    assert result.returncode == 0
    assert result.stdout.count(b"\n") > 500


@pytest.mark.parametrize(
    ("name", "why"),
    [("pyproject.toml", "not a capture"), ("nosuch", "No such file"), ("tests", "directory")],
)
@pytest.mark.parametrize("command", [[], ["check"]])
def test_what_is_no_capture(name: str, why: str, command: list[str]) -> None:
    result = run(*command, name)
    assert result.returncode == 2
    (line,) = result.stderr.decode().splitlines()
    assert name in line
    assert why in line


def test_a_broken_pipe_is_silent() -> None:
    command = f"{sys.executable} -m scapy_ipfix pcaps/softflowd_ipfix.pcap --json | head -1"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, timeout=60
    )
    assert result.stderr == b""
    assert result.stdout.count(b"\n") == 1


def test_progress_only_on_a_terminal(tmp_path: Path) -> None:
    one = (PCAPS / "softflowd_ipfix.pcap").read_bytes()
    path = tmp_path / "long.pcap"
    path.write_bytes(one[:24] + one[24:] * 900)  # some seconds of reading
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, str(path), "--stats"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    try:
        while octets := os.read(ours, 4096):
            shown += octets
    except OSError:
        pass  # the terminal's other end is closed
    assert process.wait(60) == 0
    assert b"%" in shown
    quiet = run(str(path), "--stats")
    assert b"%" not in quiet.stderr


def test_nothing_from_the_wire_reaches_the_terminal_raw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = ("a\x1b[31mb\x07\nc", b"\x1b]0;x\x07\xff", "x" * 60_000, 'quote"comma,')
    for form in ([], ["--csv"], ["--json"]):
        assert main([a_file(tmp_path, *evil), *form]) == 0
        out = capsys.readouterr().out
        assert "\x1b" not in out
        assert "\x07" not in out
        if not form:
            assert "x" * 1000 not in out
        elif form == ["--json"]:
            records = [json.loads(line) for line in out.splitlines()]
            assert [each["interfaceName"] for each in records][::2] == [evil[0], evil[2]]
        else:
            assert len(list(csv.reader(io.StringIO(out)))) == 1 + len(evil)


def test_check_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean = str(PCAPS / "pmacctd_ipfix.pcap")
    assert main(["check", clean]) == 0
    assert "143 records: 0 errors, 0 warnings" in capsys.readouterr().out
    assert main(["check", str(PCAPS / "softflowd_v9.pcap")]) == 0
    out = capsys.readouterr().out
    assert "RFC 3954 5.1" in out
    assert "header counts 18 records, the FlowSets hold 24" in out
    bad = tmp_path / "bad.ipfix"
    bad.write_bytes(bytes(IPFIX(sets=[DataSet(setId=300, length=3, records=[b"abc"])])))
    assert main(["check", str(bad), "--json"]) == 1
    findings = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["code"] for each in findings} == {"set-length"}
    assert findings[0]["severity"] == "error"
    assert findings[0]["first_packet"] == 1

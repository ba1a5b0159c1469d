# SPDX-License-Identifier: GPL-2.0-or-later
"""Entry point of the command: dispatch, closed pipes, interruption and help."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scapy_ipfix import IPFIX, DataSet
from scapy_ipfix.cli.main import COMMANDS, main
from scapy_ipfix.version import __version__

ROOT = Path(__file__).parents[2]
PCAPS = ROOT / "pcaps"
COMMAND = [sys.executable, "-m", "scapy_ipfix"]


def test_broken_pipe_is_silent() -> None:
    command = f"{sys.executable} -m scapy_ipfix pcaps/softflowd_ipfix.pcap --json | head -1"
    result = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, timeout=60
    )
    assert result.stderr == b""
    assert result.stdout.count(b"\n") == 1


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


@pytest.mark.parametrize("form", ["--json", "--csv", "--kind=all", "--templates"])
def test_closed_pipe(form: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = subprocess.run(
        [*COMMAND, "pcaps/softflowd_ipfix.pcap", form],
        cwd=ROOT,
        stdout=write_end,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(write_end)
    assert result.returncode == 0
    assert result.stderr == b""


def test_check_into_a_closed_pipe() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    result = subprocess.run(
        [*COMMAND, "check", "pcaps/softflowd_ipfix.pcap"],
        cwd=ROOT,
        stdout=write_end,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(write_end)
    assert result.stderr == b""


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scapy_ipfix.cli.dump.read_sets", stop)
    assert main([str(PCAPS / "softflowd_v9.pcap")]) == 130


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"scapy-ipfix {__version__}\n"


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["elements", "update"]])
def test_help_explains_every_option(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: {' '.join(['scapy-ipfix', *command])} ")
    usage, _, explained = text.partition("\n\n")
    for option in re.findall(r"--[a-z0-9-]+", usage):
        # the option, its argument if any, and then an explanation, on this line or the next
        assert re.search(rf"^  .*{option}\b[^\n]*?(  |\n {{20,}})\S", explained, re.MULTILINE), (
            option
        )


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "check, elements, generate, listen, send, torture" in " ".join(
        capsys.readouterr().out.split()
    )

# SPDX-License-Identifier: GPL-2.0-or-later
"""Options for the session, in both commands that have them."""

import json
from pathlib import Path

import pytest
from scapy.all import IP, UDP, Ether, wrpcap

from scapy_ipfix import IPFIX, DataSet, Template, TemplateSet
from scapy_ipfix.cli.main import main

FLOW = Template(256, (66666, 7), "octetDeltaCount[4]")
ANNOUNCED = IPFIX(exportTime=1, sets=[TemplateSet(templates=[FLOW])])
DATA = IPFIX(exportTime=1, sets=[DataSet(template=FLOW, records=[(b"ab", 5)])])
MISSING = "missing-template"


def capture(path: Path, *messages: IPFIX, dport: int = 4739, sports=(40000,)) -> str:
    ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    frames = []
    for number, message in enumerate(messages):
        udp = UDP(sport=sports[number % len(sports)], dport=dport)
        frame = Ether(bytes(ether / IP(src="192.0.2.1", dst="192.0.2.2") / udp / message))
        frame.time = 1
        frames.append(frame)
    wrpcap(str(path), frames)
    return str(path)


def records(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict]:
    assert main(["--json", *arguments]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def check_codes(capsys: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    assert main(["check", "--json", *arguments]) in (0, 1, 3)
    return {json.loads(line)["code"] for line in capsys.readouterr().out.splitlines()}


@pytest.fixture
def specs(tmp_path):
    path = tmp_path / "own.iespec"
    path.write_text("ownName(66666/7)<string>  # with a comment\n")
    return str(path)


def test_elements(tmp_path, capsys, specs):
    file = capture(tmp_path / "a.pcap", ANNOUNCED, DATA)
    (record,) = records(capsys, file)
    assert record["_ipfix_66666_7"] == "6162"
    (record,) = records(capsys, file, "--elements", specs)
    assert record["ownName"] == "ab"
    (record,) = records(capsys, file, "--elements", specs, "--fields", "ownName")
    assert record["ownName"] == "ab"
    # The element is not defined in the next call.
    with pytest.raises(SystemExit):
        main([file, "--fields", "ownName"])
    assert "no Information Element 'ownName'" in capsys.readouterr().err


def test_elements_in_check(tmp_path, capsys, specs):
    bad = IPFIX(exportTime=1, sets=[DataSet(template=FLOW, records=[(b"\xff", 5)])])
    file = capture(tmp_path / "a.pcap", ANNOUNCED, bad)
    assert "value" not in check_codes(capsys, file)
    assert "value" in check_codes(capsys, file, "--elements", specs)


@pytest.mark.parametrize("command", [[], ["check"]])
def test_invalid_file_of_elements(command, tmp_path, capsys):
    path = tmp_path / "bad.iespec"
    path.write_text("fine(66666/1)<string>\nwrong((\n")
    file = capture(tmp_path / "a.pcap", ANNOUNCED)
    with pytest.raises(SystemExit) as ended:
        main([*command, file, "--elements", str(path)])
    assert ended.value.code == 2
    assert f"{path}:2: IESpec 'wrong((': " in capsys.readouterr().err


def test_scope(tmp_path, capsys):
    file = capture(tmp_path / "a.pcap", ANNOUNCED, DATA, sports=(40000, 40001))
    assert records(capsys, file) == []
    assert MISSING in check_codes(capsys, file)
    assert len(records(capsys, file, "--scope", "exporter")) == 1
    assert MISSING not in check_codes(capsys, file, "--scope", "exporter")


def test_bound_ports(tmp_path, capsys):
    file = capture(tmp_path / "a.pcap", ANNOUNCED, DATA, dport=5555)
    assert len(records(capsys, file)) == 1
    assert records(capsys, file, "--bound-ports") == []
    broken = capture(tmp_path / "b.pcap", DATA, dport=5555)
    assert MISSING in check_codes(capsys, broken)
    assert check_codes(capsys, broken, "--bound-ports") == set()


@pytest.mark.parametrize("command", ["--json", "check"])
def test_state(command, tmp_path, capsys):
    first = capture(tmp_path / "a.pcap", ANNOUNCED)
    second = capture(tmp_path / "b.pcap", DATA)
    state = str(tmp_path / "state.json")
    assert main([command, first, "--state", state]) == 0
    capsys.readouterr()
    assert len(records(capsys, second, "--state", state)) == 1
    assert MISSING not in check_codes(capsys, second, "--state", state)
    assert MISSING in check_codes(capsys, second)


@pytest.mark.parametrize("command", [[], ["check"]])
def test_invalid_state(command, tmp_path, capsys):
    path = tmp_path / "state.json"
    path.write_text("{}")
    file = capture(tmp_path / "a.pcap", ANNOUNCED)
    try:
        status = main([*command, file, "--state", str(path)])
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert str(path) in capsys.readouterr().err

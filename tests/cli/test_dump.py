# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix FILE...``: output forms, selection, messages and exit status."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from scapy.all import IP, UDP, Ether, wrpcap

from scapy_ipfix import IPFIX, DataSet, OptionsTemplateSet, Template, TemplateSet
from scapy_ipfix.cli.main import main
from tests.test_text import is_harmless

ROOT = Path(__file__).parents[2]
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


def read_terminal(terminal: int) -> bytes:
    """Return the octets that a terminal shows until its other end is closed; close this end."""
    shown = b""
    with os.fdopen(terminal, "rb", buffering=0) as ours, contextlib.suppress(OSError):
        while octets := ours.read(4096):
            shown += octets
    return shown


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


def test_unknown_field(capsys: pytest.CaptureFixture[str]) -> None:
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
def test_unreadable_files(name: str, why: str, command: list[str]) -> None:
    result = run(*command, name)
    assert result.returncode == 2
    (line,) = result.stderr.decode().splitlines()
    assert name in line
    assert why in line


def test_progress_only_on_a_terminal() -> None:
    arguments = ["-c", _NO_INTERVAL, "pcaps/softflowd_ipfix.pcap", "--json"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    shown = read_terminal(ours)
    assert process.wait(60) == 0
    assert b"\rpcaps/softflowd_ipfix.pcap: " in shown
    assert re.search(rb": [0-9]+ %, [0-9]+ records\x1b\[K", shown)
    quiet = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, timeout=60, check=True
    )
    assert b"%" not in quiet.stderr


#: The command with an update of the progress line for each Set of any file.
_NO_INTERVAL = (
    "import sys; from scapy_ipfix.cli import dump; "
    "dump.PROGRESS_SECONDS = dump._LONG_FILE = 0; sys.exit(dump.main(sys.argv[1:]))"
)


def test_control_characters_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


# -- terminals and pipes


def on_a_terminal(*arguments: str, columns: int = 80) -> tuple[int, str]:
    """Run the command on a terminal; return its exit status and output."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
    environment = {key: each for key, each in os.environ.items() if key != "COLUMNS"}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = read_terminal(ours)
    return process.wait(60), shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [60, 200])
def test_a_table_fits_the_terminal(columns: int) -> None:
    status, shown = on_a_terminal("pcaps/softflowd_v9.pcap", columns=columns)
    assert status == 0
    *lines, last = shown.splitlines()
    assert last == "scapy-ipfix: 1 problem found; run 'scapy-ipfix check FILE' for details"
    lines = [line for line in lines if not line.startswith("127.0.0.1:")]
    assert columns // 2 < max(map(len, lines)) <= columns
    wide = run("pcaps/softflowd_v9.pcap").stdout.decode().splitlines()
    assert max(map(len, wide)) > 200


def test_no_file_on_a_terminal() -> None:
    status, shown = on_a_terminal()
    assert status == 2
    assert shown.startswith("usage: scapy-ipfix")


def test_a_short_file_shows_no_progress() -> None:
    _, shown = on_a_terminal("pcaps/softflowd_ipfix.pcap", "--stats")
    assert "%" not in shown
    assert "\x1b" not in shown


# -- selection


def test_several_files_are_read_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    one, other = str(PCAPS / "softflowd_v9.pcap"), str(PCAPS / "pmacctd_ipfix_usec.pcap")
    lines = []
    for files in ([one], [other], [one, other], [other, one]):
        assert main([*files, "--json"]) == 0
        lines.append(capsys.readouterr().out)
    assert lines[2] == lines[0] + lines[1]
    assert lines[3] == lines[1] + lines[0]


@pytest.mark.parametrize(("kind", "count"), [("all", 81), ("data", 80), ("options", 1)])
@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_kinds(kind: str, count: int, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PCAPS / "softflowd_v9.pcap"), form, "--kind", kind]) == 0
    assert capsys.readouterr().out.count("\n") == count + (form == "--csv")


@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_fields_without_a_record(form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    path = str(PCAPS / "softflowd_v9.pcap")
    assert main([path, "--fields", "wlanSSID", *form]) == 0
    out = capsys.readouterr().out
    assert out == ("_exporter,_domain,_template,wlanSSID\n" if form == ["--csv"] else "")


def test_order_of_fields(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(PCAPS / "softflowd_v9.pcap")
    assert main([path, "--fields", "octetDeltaCount,IPV4_SRC_ADDR", "--csv"]) == 0
    header, first, *_ = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header[3:] == ["octetDeltaCount", "sourceIPv4Address"]
    assert first[3:] == ["60", "198.51.100.1"]


@pytest.mark.parametrize("width", ["1", "0", "-5", "40"])
def test_any_width(width: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(PCAPS / "softflowd_v9.pcap"), f"--width={width}"]) == 0
    assert "198.51.100.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--json", "--csv"], ["--width", "wide"], ["--kind", "some"], ["--nosuch"]]
)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(PCAPS / "softflowd_v9.pcap"), *arguments])
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("scapy-ipfix: ")
    assert line.endswith("; see 'scapy-ipfix --help'")


def test_records_before_an_unreadable_file_are_printed(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no capture")
    result = run("pcaps/pmacctd_ipfix_usec.pcap", str(path), "--json")
    assert result.returncode == 2
    assert result.stdout.count(b"\n") == 36
    (line,) = result.stderr.splitlines()
    assert b"not a capture" in line


def test_truncated_capture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes((PCAPS / "softflowd_ipfix.pcap").read_bytes()[:20_000])
    assert main([str(path), "--json", "--diagnostics"]) == 0
    out, err = capsys.readouterr()
    assert out.count("\n") > 300
    assert "cut off" in err


# -- text of exporters

EVIL = 'e\x1b[2J\x07\x7f\x9b31m\u202e\n\r\t,"x'
LISTS = Template(257, "basicList", "subTemplateMultiList")
TYPES = Template(
    258,
    *("privateEnterpriseNumber", "informationElementId", "informationElementDataType"),
    *("informationElementName", "informationElementDescription"),
    scope=2,
)
INTERFACES = Template(259, "ingressInterface", "interfaceName", "interfaceDescription", scope=1)
LEARNED = Template(260, "_ipfix_4242_7[4]", "_ipfix_4242_8[4]", "interfaceName[2]")


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    """File with control characters in every kind of text that an exporter can send."""
    templates = [NAMES, LISTS, TYPES, INTERFACES, LEARNED]
    one = (("interfaceName", [EVIL, EVIL.encode() + b"\xff"]), [(NAMES, [(EVIL, 3)])])
    described = [(4242, 7, 3, EVIL, EVIL), (4242, 8, 3, "ok", EVIL), (4242, 8, 3, "o\x1bk", EVIL)]
    sets = [
        TemplateSet(templates=templates[:2]),
        OptionsTemplateSet(templates=templates[2:4]),
        TemplateSet(templates=templates[4:]),
        DataSet(template=NAMES, records=[(EVIL, 1), (EVIL.encode() + b"\xff", 2)]),
        DataSet(template=LISTS, records=[one]),
        DataSet(template=TYPES, records=[*described, (0, 1, 3, "octet\x1bDelta", "")]),
        DataSet(template=INTERFACES, records=[(1, EVIL, EVIL)]),
        DataSet(template=LEARNED, records=[(bytes(4), bytes(4), b"\x1b\xff")]),
    ]
    path = tmp_path / "hostile\x1b[31m.ipfix"
    path.write_bytes(bytes(IPFIX(sets=sets)))
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["--csv"], ["--json"], ["--diagnostics"], ["--width", "30"]),
        *(["--fields", "interfaceName"], ["--csv", "--kind", "options"]),
        *(["check"], ["check", "--json"]),
    ],
)
def test_text_of_exporters_is_escaped(
    arguments: list[str], hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, options = (arguments[:1], arguments[1:]) if "check" in arguments else ([], arguments)
    assert main([*command, hostile, *options]) == 0
    out, err = capsys.readouterr()
    assert out
    for text in (out, err):
        assert is_harmless(text.replace("\n", "")), ascii(text)
    if "--json" in arguments:
        assert all(isinstance(json.loads(line), dict) for line in out.splitlines())
    if "--csv" in arguments:
        assert len(list(csv.reader(io.StringIO(out)))) == out.count("\n")


@pytest.mark.parametrize("arguments", [["--templates"], ["--stats"]])
def test_text_of_exporters_is_escaped_in_templates_and_stats(
    arguments: list[str], hostile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain.ipfix"
    os.rename(hostile, plain)
    assert main([str(plain), *arguments]) == 0
    out, err = capsys.readouterr()
    assert is_harmless((out + err).replace("\n", ""))


# -- reasons for no output


NOTHING = {
    "no message": ([], "scapy-ipfix: no message of IPFIX or NetFlow v9 in 1 packet\n"),
    "no message there": (
        ["--bound-ports"],
        "no message of IPFIX or NetFlow v9 in 1 packet on a bound port; leave out --bound-ports",
    ),
    "fields": (["--fields", "vlanId,mplsTopLabelType"], "has all of vlanId,mplsTopLabelType; run"),
    "kind": (["--kind", "options"], "no record of kind options; leave out --kind"),
}


@pytest.mark.parametrize("case", NOTHING)
@pytest.mark.parametrize("form", ["--json", "--csv", "--width=80"])
def test_no_output_has_a_reason(case, form, tmp_path, capsys) -> None:
    arguments, why = NOTHING[case]
    if case.startswith("no message"):
        path = str(tmp_path / "none.pcap")
        frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        ip = IP(src="192.0.2.1", dst="192.0.2.2")
        wrpcap(path, [frame / ip / UDP() / b"no message"])
    else:
        path = a_file(tmp_path, "eth0")
    assert main([form, path, *arguments]) == 0
    assert why in capsys.readouterr().err


def test_templates_without_records(tmp_path, capsys) -> None:
    path = tmp_path / "messages.ipfix"
    path.write_bytes(bytes(IPFIX(sets=[TemplateSet(templates=[NAMES])])))
    assert main([str(path)]) == 0
    assert (
        "1 message, no record that can be decoded; run with --templates" in capsys.readouterr().err
    )


@pytest.mark.parametrize("form", ["--width=80", "--json", "--csv"])
def test_live_input_is_printed_at_once(form) -> None:
    """Records are not kept for a table while ``tcpdump -U -w -`` has written no more."""
    message = IPFIX(sets=[TemplateSet(templates=[NAMES])])
    data = bytes(IPFIX(sets=[DataSet(template=NAMES, records=[("eth0", 5)])]))
    arguments = [*COMMAND, form, "--fields", "interfaceName"]
    with subprocess.Popen(
        arguments,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(bytes(message) + data)
        process.stdin.flush()
        if form == "--csv":
            process.stdin.close()  # the columns are known only at the end
        printed = b""
        while b"eth0" not in printed:
            line = process.stdout.readline()
            assert line
            printed += line
        if form != "--csv":
            assert process.poll() is None
            process.stdin.close()
        process.stdout.read()


@pytest.mark.parametrize("most", [(20, 1 << 18), (1024, 40)])
def test_too_many_fields_for_one_table(
    most: tuple[int, int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scapy_ipfix.cli.dump._COLUMNS", most[0])
    monkeypatch.setattr("scapy_ipfix.cli.dump._FIELDS", most[1])
    path = str(PCAPS / "softflowd_v9.pcap")
    assert main([path, "--csv"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "too many fields for one table" in err
    assert "choose some with --fields" in err
    assert main([path, "--csv", "--fields", "sourceIPv4Address"]) == 0

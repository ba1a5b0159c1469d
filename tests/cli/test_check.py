# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix check``: findings, output forms and exit status."""

import io
import json
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from scapy_ipfix import IPFIX, DataSet, Template, TemplateSet
from scapy_ipfix.cli import check as cli_check
from scapy_ipfix.cli.check import Report, as_json
from scapy_ipfix.cli.main import main
from scapy_ipfix.wire.catalogue import CATALOGUE, ERROR
from scapy_ipfix.wire.diagnostics import Defect, Diagnostic
from tests.builders import raw_message, raw_pcap, raw_set
from tests.test_text import is_harmless

PCAPS = Path(__file__).parents[2] / "pcaps"
FLOW = Template(256, "interfaceName", "octetDeltaCount[4]")


def ipfix_file(path: Path, *messages: IPFIX) -> str:
    path.write_bytes(b"".join(map(bytes, messages)))
    return str(path)


def message(number: int = 0, *rows: tuple, domain: int = 0, **fields) -> IPFIX:
    header = IPFIX(sequenceNumber=number, observationDomainId=domain, exportTime=1, **fields)
    if rows:
        header /= DataSet(template=FLOW, records=list(rows))
    return header


@pytest.fixture
def broken(tmp_path):
    """File with a finding of each severity, in two domains."""
    return ipfix_file(
        tmp_path / "broken.ipfix",
        IPFIX(exportTime=1, sets=[TemplateSet(templates=[FLOW])]),
        message(0, ("a", 1), (b"\xff\x1b[31m", 2)),
        message(2, (b"\xfe", 3)),
        message(9, ("b", 4)),
        IPFIX(exportTime=1, observationDomainId=7, sets=[TemplateSet(templates=[FLOW])]),
        IPFIX(exportTime=1, observationDomainId=7, sets=[b"\1\0\0\x03abcd"]),
        IPFIX(exportTime=1, observationDomainId=7, sets=[DataSet(template=FLOW)]),
    )


def test_a_clean_capture(capsys):
    assert main(["check", str(PCAPS / "pmacctd_ipfix.pcap")]) == 0
    out, err = capsys.readouterr()
    assert out == "27 messages, 143 records: 0 errors, 0 warnings, 0 notes\n"
    assert err == ""


def test_findings(broken, capsys):
    assert main(["check", broken]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert is_harmless(out.replace("\n", ""))
    first, second, summary = (block.splitlines() for block in out.split("\n\n"))
    assert first[0] == f"{broken}, domain 0"
    assert [line.split()[:5] for line in first[1:]] == [
        ["warning", "2", "x", "packet", "2"],
        ["warning", "1", "x", "packet", "4"],
    ]
    assert "RFC 7011 6.1" in first[1]
    assert first[1].endswith("Set 256: interfaceName: string is not UTF-8")
    assert first[2].endswith("sequence number 9, expected 3: 6 lost")
    assert second[0] == f"{broken}, domain 7"
    assert [line.split()[0] for line in second[1:]] == ["error", "note"]
    assert "RFC 7011 3.3.2" in second[1]
    assert "packet 6" in second[1]
    assert summary == ["7 messages, 4 records: 1 error, 3 warnings, 1 note"]
    # The texts are aligned.
    assert len({line.index(text) for line, text in ((first[1], "Set 256"), (first[2], "sequence"))})


def test_findings_as_json(broken, capsys):
    assert main(["check", "--json", broken]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    assert out.isascii()
    found = [json.loads(line) for line in out.splitlines()]
    assert [each["code"] for each in found] == [
        *("value", "sequence-gap", "set-length", "set-empty"),
    ]
    assert found[0] == {
        "file": broken,
        "exporter": broken,
        "domain": 0,
        "severity": "warning",
        "code": "value",
        "count": 2,
        "first_packet": 2,
        "section": "RFC 7011 6.1",
        "text": "Set 256: interfaceName: string is not UTF-8",
    }


@pytest.mark.parametrize(
    ("severity", "codes"),
    [
        ("note", ["value", "sequence-gap", "set-length", "set-empty"]),
        ("warning", ["value", "sequence-gap", "set-length"]),
        ("error", ["set-length"]),
    ],
)
def test_least_severity(broken, capsys, severity, codes):
    assert main(["check", "--json", "--severity", severity, broken]) == 1
    found = [json.loads(line)["code"] for line in capsys.readouterr().out.splitlines()]
    assert found == codes


def test_exit_status_0_after_warnings(tmp_path, capsys):
    path = ipfix_file(tmp_path / "a", message(0, (b"\xff", 1)))
    assert main(["check", path]) == 0
    assert "missing-template" not in capsys.readouterr().out
    late = ipfix_file(tmp_path / "b", message(0, ("a", 1)), message(1, sets=[FLOW]))
    assert main(["check", "--json", late]) == 0
    (found,) = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (found["code"], found["severity"]) == ("missing-template", "warning")


def test_summary_counts_all_severities(broken, capsys):
    assert main(["check", "--severity", "error", broken]) == 1
    out = capsys.readouterr().out
    assert "string is not UTF-8" not in out
    assert out.endswith("1 error, 3 warnings, 1 note\n")


def test_several_files_and_standard_input(broken, capsys, monkeypatch):
    clean = str(PCAPS / "pmacctd_ipfix.pcap")
    assert main(["check", clean, broken]) == 1
    assert "34 messages" in capsys.readouterr().out

    class Stdin:
        buffer = io.BytesIO(Path(clean).read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert main(["check", "-"]) == 0
    assert capsys.readouterr().out.startswith("27 messages")


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (None, "No such file"),
        (b"", "empty file"),
        (b"GET / HTTP/1.1\r\n", "not a capture (pcap, pcapng, IPFIX or NetFlow v9 messages)"),
        (b"\x1f\x8b\x08\x00broken", "broken gzip"),
    ],
)
def test_unreadable_files(tmp_path, capsys, octets, why):
    path = tmp_path / "what\x1b[31m"
    if octets is not None:
        path.write_bytes(octets)
    assert main(["check", str(PCAPS / "softflowd_v9.pcap"), str(path)]) == 2
    out, err = capsys.readouterr()
    (line,) = err.splitlines()
    assert line.startswith("scapy-ipfix check: ")
    assert why in line
    assert "what" in line
    assert is_harmless(line)
    assert out == ""


def test_truncated_capture(tmp_path, capsys):
    octets = (PCAPS / "softflowd_v9.pcap").read_bytes()
    path = tmp_path / "cut.pcap"
    path.write_bytes(octets[:-100])
    main(["check", "--json", str(path)])
    found = {json.loads(line)["code"] for line in capsys.readouterr().out.splitlines()}
    assert "capture-cut" in found


def test_file_is_required(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["check"])
    assert stop.value.code == 2
    assert "FILE" in capsys.readouterr().err


# -- the report


def diagnostic(code: str, packet: int, exporter: str = "a", domain: int | None = 1, **numbers):
    return Diagnostic(Defect.make(code, **numbers), packet, exporter, domain)


def test_findings_are_grouped_by_code_and_exporter():
    report = Report()
    for packet in range(5, 0, -1):
        report.add(diagnostic("sequence-gap", packet, got=packet, expected=0, lost=packet))
        report.add(diagnostic("set-truncated", packet, "b", set_id=2, length=9, available=8))
    report.add(diagnostic("message-trailing", 1, domain=2, octets=4))
    assert [(f.first.exporter, f.first.domain, f.first.code, f.count) for f in report.findings] == [
        ("a", 1, "sequence-gap", 5),
        ("a", 2, "message-trailing", 1),
        ("b", 1, "set-truncated", 5),
    ]
    assert as_json(report.findings[0])["first_packet"] == 5
    assert report.has_errors


def test_different_texts_are_different_findings():
    report = Report()
    for n in range(1000):
        report.add(diagnostic("value", n, set_id=n // 100, name="x", flaw="wrong"))
    assert [each.count for each in report.findings] == [100] * 10
    hostile = Report()
    for n in range(5000):
        hostile.add(diagnostic("value", n, set_id=n, name="x", flaw="wrong"))
    assert len(hostile.findings) <= 201
    assert sum(each.count for each in hostile.findings) == 5000


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_has_a_text(code):
    numbers = dict.fromkeys(
        (
            *("length", "available", "octets", "count", "records", "exported", "seconds"),
            *("set_id", "padding", "record", "template_id", "fields", "scope", "options"),
            *("datagrams", "port", "buffer"),
            *("name", "type", "id", "old", "new", "flaw", "limit", "got", "expected", "lost"),
            *("convention", "before", "uptime", "why", "pen", "what", "allowed"),
            *("kind", "protocol", "source", "port", "shown", "destination", "version"),
        ),
        123456,
    )
    report = Report()
    for _ in range(2):
        report.add(diagnostic(code, 123_456_789, **numbers))
    (finding,) = report.findings
    assert report.has_errors == (CATALOGUE[code].severity == ERROR)
    found = as_json(finding)
    assert json.loads(json.dumps(found)) == found
    assert found["section"]
    assert "{" not in str(found["text"])


def test_long_numbers_are_separated(capsys):
    """The count and the packet number are longer than their columns."""
    report = Report()
    for _ in range(100_000):
        report.add(diagnostic("sequence-gap", 123_456_789, got=1, expected=0, lost=1))
    cli_check._print_findings(report.findings)
    line = capsys.readouterr().out.splitlines()[1]
    assert line.split()[:8] == [
        *("warning", "100000", "x", "packet", "123456789", "RFC", "7011", "3.1"),
    ]


def test_many_exporters_are_counted_together(monkeypatch):
    monkeypatch.setattr(cli_check, "_FINDINGS", 5)
    report = Report()
    for number in range(20):
        report.add(diagnostic("set-reserved", number, exporter=f"host {number}", set_id=9))
        report.add(diagnostic("set-empty", number, exporter=f"host {number}", set_id=256))
    report.add(diagnostic("set-reserved", 99, exporter="host 1", set_id=9))
    others = [each for each in report.findings if each.first.exporter == "other exporters"]
    assert {(each.first.code, each.first.domain, each.count) for each in others} == {
        ("set-reserved", None, 17),
        ("set-empty", None, 18),
    }
    assert len(report.findings) == 7
    assert sum(each.count for each in report.findings) == 41


NETFLOW5 = b"\0\5\0\1" + bytes(68)
NOT_READ = "1 datagram of NetFlow v5, read by scapy.layers.netflow"


def udp_pcap(path: Path, *payloads: bytes) -> str:
    frames = [
        Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        / IP(src="192.0.2.9", dst="192.0.2.8")
        / UDP(sport=40000, dport=9991)
        / Raw(payload)
        for payload in payloads
    ]
    path.write_bytes(raw_pcap(map(bytes, frames)))
    return str(path)


def test_capture_without_a_message(tmp_path, capsys):
    path = udp_pcap(tmp_path / "x.pcap", NETFLOW5, b"text")
    assert main(["check", path]) == 3
    out, err = capsys.readouterr()
    assert err == (
        f"scapy-ipfix check: {path}: no message of IPFIX or NetFlow v9 in 2 packets; {NOT_READ}\n"
    )
    assert "NetFlow v5, read by scapy.layers.netflow" in out
    assert out.endswith("\n\n0 messages, 0 records: 0 errors, 1 warning, 0 notes\n")
    assert main(["check", "--bound-ports", path]) == 3
    assert "in 2 packets on a bound port; leave out --bound-ports" in capsys.readouterr().err


def test_capture_without_a_message_among_others(broken, tmp_path, capsys):
    empty = udp_pcap(tmp_path / "x.pcap", b"text")
    clean = str(PCAPS / "pmacctd_ipfix.pcap")
    assert main(["check", clean, empty]) == 3
    assert "x.pcap: no message of IPFIX or NetFlow v9 in 1 packet\n" in capsys.readouterr().err
    assert main(["check", empty, broken]) == 1  # an error has precedence
    assert main(["check", str(tmp_path / "none"), empty]) == 2


def test_records_of_another_protocol(tmp_path, capsys):
    path = udp_pcap(tmp_path / "x.pcap", NETFLOW5)
    for arguments in ([], ["--json"], ["--stats"], ["--templates"]):
        assert main([*arguments, path]) == 0
        assert f"in 1 packet; {NOT_READ}\n" in capsys.readouterr().err


def test_findings_name_their_file(tmp_path, capsys):
    """Packets are numbered within their file, and equal findings of two files stay apart."""
    octets = [raw_message(raw_set(256, b"abcd")), raw_message(raw_set(9))]
    first = udp_pcap(tmp_path / "1.pcap", *octets)
    second = udp_pcap(tmp_path / "2.pcap", *octets[:1], octets[0], octets[1])
    assert main(["check", "--json", first, second]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    reserved = [each for each in found if each["code"] == "set-reserved"]
    assert [(each["file"], each["first_packet"]) for each in reserved] == [(first, 2), (second, 3)]
    main(["check", first, second])
    out = capsys.readouterr().out
    for name in first, second:
        assert f"{name}: 192.0.2.9:40000, domain 1\n" in out


def test_an_ipfix_file_is_named_once(broken, capsys):
    main(["check", broken, broken])
    out = capsys.readouterr().out.splitlines()
    assert out.count(f"{broken}, domain 0") == out.count(f"{broken}, domain 7") == 2
    assert main(["check", "--json", broken]) == 1
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["file"] for each in found} == {broken}


def test_a_file_without_packets(broken, tmp_path, capsys):
    """A finding about the second file does not name the first."""
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(raw_pcap([])[:10])
    main(["check", "--json", broken, str(cut)])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [
        (each["file"], each["first_packet"]) for each in found if each["code"] == "capture-cut"
    ] == [(str(cut), 0)]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        *(("d-trailing-zeros-port-9991", 0), ("d2-known-session-trailing-rubbish", 0)),
        *(("e-netflow5", 3), ("f-snaplen-96", 0), ("g-cut-record", 1), ("h-lost-fragment", 3)),
        *(("i-v9-flowset-of-length-zero", 0), ("i2-seconds-of-length-zero", 0)),
    ],
)
def test_cases(name, status, capsys):
    path = PCAPS.parents[1] / "shared" / "cases" / f"{name}.pcap"
    if not path.exists():
        pytest.skip("no ../shared/cases beside the repository")
    assert main(["check", "--json", str(path)]) == status
    (finding,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert finding["file"] == str(path)

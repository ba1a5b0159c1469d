# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix check``: report problems in captures by exporter, with RFC sections."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scapy_ipfix.cli.arguments import Parser
from scapy_ipfix.cli.sessionoptions import (
    add_session_options,
    make_model,
    make_session,
    reason_for_no_message,
)
from scapy_ipfix.cli.terminal import print_error, reason
from scapy_ipfix.reading.capture import CaptureError, CaptureFile
from scapy_ipfix.reading.reader import read_capture
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.text import counted, printable
from scapy_ipfix.wire.catalogue import ERROR, NOTE, WARNING
from scapy_ipfix.wire.diagnostics import Diagnostic

#: Codes whose texts differ by template or Set: each text is a finding of its own.
_BY_TEXT = frozenset(
    {
        *(
            "field-length",
            "field-longer",
            "template-empty",
            "template-id",
            "template-redefined",
            "template-scope",
        ),
        *("template-redefined-reliable", "template-zero-length", "enterprise-zero", "value"),
        *("set-reserved", "list-malformed", "element-conflict", "sets-many"),
    }
)
#: Texts of one code, exporter and domain that are findings of their own.
_TEXTS = 200
#: Findings that are kept; beyond that, those of all further exporters are counted by code.
_FINDINGS = 10_000
_OTHERS = "other exporters"
#: Least widths of the columns before the text.
_WIDTHS = (8, 7, 13, 17)
_ORDER = {ERROR: 0, WARNING: 1, NOTE: 2}


#: Exit status for a capture without a message.
_NO_MESSAGE = 3


@dataclass(slots=True)
class Finding:
    """Equal diagnostics of one file, exporter and domain: the first one, and their number.

    The first one has the number of its packet in the file.
    """

    first: Diagnostic
    count: int = 0
    file: str = ""
    #: Position of the file among those that are read.
    position: int = 0

    @property
    def where(self) -> str:
        """The file, exporter and domain."""
        exporter, domain = self.first.exporter, self.first.domain
        # The exporter of an IPFIX File is the file.
        names = [each for each in (self.file, exporter) if each]
        where = ": ".join(dict.fromkeys(names)) or "capture"
        return where if domain is None else f"{where}, domain {domain}"


class Report:
    """Findings by file, exporter, domain and code, from the diagnostics of a session."""

    def __init__(self) -> None:
        self._findings: dict[tuple[int, str, int | None, str, str], Finding] = {}
        #: Number of findings by file, exporter, domain and code.
        self._kinds: Counter[tuple[int, str, int | None, str]] = Counter()
        self._file, self._position, self._before = "", 0, 0

    def begin_file(self, name: str, packets: int) -> None:
        """Begin a file, before which the session counted ``packets``."""
        self._file, self._before = name, packets
        self._position += 1

    def add(self, diagnostic: Diagnostic) -> None:
        """Count a diagnostic with those equal to it."""
        file, position = self._file, self._position
        kind = position, diagnostic.exporter, diagnostic.domain, diagnostic.code
        text = ""
        if diagnostic.code in _BY_TEXT and self._kinds[kind] < _TEXTS:
            text = diagnostic.text
        key = (*kind, text)
        finding = self._findings.get(key)
        if finding is None and len(self._findings) >= _FINDINGS:
            key = position, _OTHERS, None, diagnostic.code, ""
            diagnostic = diagnostic._replace(exporter=_OTHERS, domain=None)
            finding = self._findings.get(key)
        if finding is None:
            first = diagnostic._replace(packet=diagnostic.packet - self._before)
            finding = self._findings[key] = Finding(first, 0, file, position)
            self._kinds[key[:4]] += 1
        finding.count += 1

    @property
    def findings(self) -> list[Finding]:
        """All findings, by file, exporter and domain, errors first."""
        return sorted(
            self._findings.values(),
            key=lambda each: (
                each.position,
                each.first.exporter,
                each.first.domain or 0,
                _ORDER[each.first.severity],
                each.first.packet,
            ),
        )

    @property
    def has_errors(self) -> bool:
        """Return whether a finding has severity error."""
        return any(each.first.severity == ERROR for each in self._findings.values())


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit status.

    0: no finding of severity error; 1: at least one; 2: a file cannot be read; 3: no finding
    of severity error, and a capture without a message.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        model = make_model(options)
        session = make_session(options, model, check_values=True)
    except (OSError, ValueError) as problem:
        parser.fail(reason(problem))
    report = Report()
    session.diagnostics.observers.append(report.add)
    is_missing = False
    for name in options.files:
        try:
            capture = CaptureFile(sys.stdin.buffer if name == "-" else name)
            report.begin_file(capture.name, session.packets)
            why = _read(capture, session, options.bound_ports)
        except (CaptureError, OSError) as problem:
            print_error(parser.prog, reason(problem))
            return 2
        if why:
            print_error(parser.prog, f"{capture.name}: {why}")
            is_missing = True
    if options.state:
        session.save(options.state)
    least = _ORDER[options.severity]
    findings = [each for each in report.findings if _ORDER[each.first.severity] <= least]
    if options.json:
        for each in findings:
            print(json.dumps(as_json(each)))
    else:
        _print_findings(findings)
        print(_summary(report, session))
    return 1 if report.has_errors else _NO_MESSAGE if is_missing else 0


def _read(capture: CaptureFile, session: IPFIXSession, is_bound: bool) -> str:
    """Read a capture; return the reason if it has no message, else ""."""
    packets, others = session.packets, Counter(session.other_protocols)
    messages = sum(1 for _ in read_capture(capture, session))
    if messages:
        return ""
    found = dict(Counter(session.other_protocols) - others)
    return reason_for_no_message(session.packets - packets, found, is_bound)


def _parser() -> Parser:
    parser = Parser(
        prog="scapy-ipfix check",
        description="Report problems in captures of IPFIX and NetFlow v9, by exporter. Exit "
        "status: 0 no problem of severity error, 1 at least one, 2 a file cannot be read, 3 a "
        "capture has no message.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="capture or IPFIX File; - is standard input"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per finding")
    parser.add_argument(
        "--severity",
        choices=(NOTE, WARNING, ERROR),
        default=NOTE,
        help="least severity to print (default: note, which prints all)",
    )
    add_session_options(parser)
    return parser


def as_json(finding: Finding) -> dict[str, object]:
    """Return a finding as a JSON object."""
    first = finding.first
    return {
        "file": finding.file,
        "exporter": first.exporter,
        "domain": first.domain,
        "severity": first.severity,
        "code": first.code,
        "count": finding.count,
        "first_packet": first.packet,
        "section": first.section,
        "text": first.text,
    }


def _print_findings(findings: list[Finding]) -> None:
    heading: tuple[int, str] | None = None
    for each in findings:
        first = each.first
        place = each.position, each.where
        if place != heading:
            if heading is not None:
                print()
            print(printable(each.where))
            heading = place
        cells = (first.severity, f"{each.count} x", f"packet {first.packet}", first.section)
        columns = [f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS)]
        print("  " + " ".join((*columns, printable(first.text))))
    if findings:
        print()


def _summary(report: Report, session: IPFIXSession) -> str:
    stats = [each.stats for each in session.collector.domains]
    messages = counted(sum(each.messages for each in stats), "message")
    records = counted(sum(each.records for each in stats), "record")
    counts = dict.fromkeys((ERROR, WARNING, NOTE), 0)
    for each in report.findings:
        counts[each.first.severity] += each.count
    severities = ", ".join(counted(count, severity) for severity, count in counts.items())
    return f"{messages}, {records}: {severities}"

# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix check``: what is wrong in a capture, by exporter, with RFC sections.

The exit status is for a pipeline: 0 nothing of severity error, 1 there is, 2 unreadable.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from scapy_ipfix.cli.sessionoptions import add_session_options, make_model, make_session
from scapy_ipfix.reading.capture import CaptureError, CaptureFile
from scapy_ipfix.reading.reader import read_capture
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.text import counted, printable
from scapy_ipfix.wire.diagnostics import CATALOGUE, ERROR, NOTE, WARNING, Diagnostic

#: Kinds of finding that differ by template or set: each sentence is a finding of its own.
_BY_SENTENCE = frozenset(
    {
        *("field-length", "template-empty", "template-id", "template-redefined", "template-scope"),
        *("template-redefined-reliable", "template-zero-length", "enterprise-zero", "value"),
        *("set-reserved", "list-malformed", "element-conflict", "sets-many"),
    }
)
#: Sentences of one kind and exporter that are kept apart.
_SENTENCES = 200
#: Findings that are kept apart; what more exporters do wrong is counted together, by its kind.
_FINDINGS = 10_000
_OTHERS = "other exporters"
#: Of the columns before the sentence, at the least.
_WIDTHS = (8, 7, 13, 17)
_ORDER = {ERROR: 0, WARNING: 1, NOTE: 2}


@dataclass(slots=True)
class Finding:
    """One kind of thing that an exporter does wrong: how often, and where first."""

    first: Diagnostic
    count: int = 0


class Report:
    """Findings by exporter and domain; takes every diagnostic as it is noted."""

    def __init__(self) -> None:
        self._findings: dict[tuple[str, int | None, str, str], Finding] = {}
        self._kinds: dict[tuple[str, int | None, str], int] = {}

    def take(self, diagnostic: Diagnostic) -> None:
        """Counts a diagnostic with those like it."""
        kind = diagnostic.exporter, diagnostic.domain, diagnostic.code
        sentence = ""
        if diagnostic.code in _BY_SENTENCE and self._kinds.get(kind, 0) < _SENTENCES:
            sentence = diagnostic.text
        key = (*kind, sentence)
        finding = self._findings.get(key)
        if finding is None and len(self._findings) >= _FINDINGS:
            key = _OTHERS, None, diagnostic.code, ""
            diagnostic = diagnostic._replace(exporter=_OTHERS, domain=None)
            finding = self._findings.get(key)
        if finding is None:
            finding = self._findings[key] = Finding(diagnostic)
            self._kinds[key[:3]] = self._kinds.get(key[:3], 0) + 1
        finding.count += 1

    @property
    def findings(self) -> list[Finding]:
        """All findings: by exporter, the gravest first."""
        return sorted(
            self._findings.values(),
            key=lambda each: (
                each.first.exporter,
                each.first.domain or 0,
                _ORDER[each.first.severity],
                each.first.packet,
            ),
        )

    @property
    def has_errors(self) -> bool:
        return any(each.first.severity == ERROR for each in self._findings.values())


def main(arguments: Sequence[str]) -> int:
    """Runs the command; gives its exit status."""
    parser = argparse.ArgumentParser(
        prog="scapy-ipfix check",
        description="Say what is wrong in captures of IPFIX and NetFlow v9, by exporter. "
        "Exit status: 0 nothing of severity error, 1 something, 2 a file cannot be read.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a capture, - is standard input")
    parser.add_argument("--json", action="store_true", help="one JSON object a finding")
    parser.add_argument(
        "--severity",
        choices=(NOTE, WARNING, ERROR),
        default=NOTE,
        help="leave out what is less grave",
    )
    add_session_options(parser)
    options = parser.parse_args(arguments)
    try:
        model = make_model(options)
        session = make_session(options, model, check_values=True)
    except (OSError, ValueError) as problem:
        parser.error(printable(str(problem)))
    report = Report()
    session.diagnostics.observers.append(report.take)
    for name in options.files:
        try:
            capture = CaptureFile(sys.stdin.buffer if name == "-" else name)
            for _ in read_capture(capture, session):
                pass
        except CaptureError as problem:
            print(f"scapy-ipfix check: {printable(str(problem))}", file=sys.stderr)
            return 2
        except OSError as problem:
            why = problem.strerror or problem
            print(f"scapy-ipfix check: {printable(name)}: {why}", file=sys.stderr)
            return 2
    if options.state:
        session.save(options.state)
    wanted = _ORDER[options.severity]
    findings = [each for each in report.findings if _ORDER[each.first.severity] <= wanted]
    if options.json:
        for each in findings:
            print(json.dumps(as_json(each)))
    else:
        _print(findings, report, session)
    return 1 if report.has_errors else 0


def as_json(finding: Finding) -> dict[str, object]:
    """A finding as a JSON object."""
    first = finding.first
    return {
        "exporter": first.exporter,
        "domain": first.domain,
        "severity": first.severity,
        "code": first.code,
        "count": finding.count,
        "first_packet": first.packet,
        "section": CATALOGUE[first.code].section,
        "text": first.text,
    }


def _print(findings: list[Finding], report: Report, session: IPFIXSession) -> None:
    heading = None
    for each in findings:
        first = each.first
        where = first.exporter or "capture"
        if first.domain is not None:
            where += f", domain {first.domain}"
        if where != heading:
            if heading is not None:
                print()
            print(printable(where))
            heading = where
        cells = (first.severity, f"{each.count} x", f"packet {first.packet}", first.section)
        columns = [f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS)]
        print("  " + " ".join((*columns, printable(first.text))))
    if findings:
        print()
    domains = list(session.collector.domains)
    messages = sum(each.stats.messages for each in domains)
    counts = {
        severity: sum(each.count for each in report.findings if each.first.severity == severity)
        for severity in (ERROR, WARNING, NOTE)
    }
    print(
        f"{counted(messages, 'message')}, "
        f"{counted(sum(each.stats.records for each in domains), 'record')}: "
        + ", ".join(counted(count, severity) for severity, count in counts.items())
    )

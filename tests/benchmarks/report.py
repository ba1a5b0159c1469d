# SPDX-License-Identifier: GPL-2.0-or-later
"""The table, printed: as text, as Markdown, or as JSON."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from .measure import Figure
from .rows import Kind, Row, Side

_PACKAGES = ("scapy", "scapy-ipfix", "ipfix", "netflume", "netflow", "numpy")


@dataclass(frozen=True)
class Line:
    """One comparison: a line of the table."""

    row: str
    what: str
    workload: str
    contestant: str
    rival: str
    kind: str
    unit: str
    ours: float | None
    theirs: float | None
    ratio: float | None
    bar: float | None
    verdict: str
    note: str


def compare(row: Row, side: Side, ours: Figure, theirs: Figure, judged: bool) -> Line:
    """Set our figure beside a rival's. Without ``judged`` a bar is printed but not applied."""
    ratio = None
    if ours.status == theirs.status == "done":
        ratio = {
            Kind.SPEED: lambda: ours.rate / theirs.rate,
            Kind.TIME: lambda: theirs.rate / ours.rate,
            Kind.GROWTH: lambda: ours.seconds / theirs.seconds,
            Kind.MEMORY: lambda: ours.peak / theirs.peak,
        }[row.kind]()
    return Line(
        row.key,
        row.what,
        row.workload,
        ours.contestant,
        theirs.contestant,
        row.kind.value,
        {Kind.GROWTH: "s", Kind.MEMORY: "MiB"}.get(row.kind, "records/s"),
        _value(row, ours),
        _value(row, theirs),
        ratio,
        side.bar,
        _verdict(row, side, ratio, ours, theirs, judged),
        _note(row, side, ours, theirs),
    )


def _value(row: Row, figure: Figure) -> float | None:
    if figure.status != "done":
        return None
    if row.kind is Kind.GROWTH:
        return figure.seconds
    if row.kind is Kind.MEMORY:
        return figure.peak / 2**20
    return figure.rate


def _verdict(
    row: Row, side: Side, ratio: float | None, ours: Figure, theirs: Figure, judged: bool
) -> str:
    if ratio is None:
        return f"ours {ours.status}" if ours.status != "done" else theirs.status
    if side.bar is None:
        return "reported"
    if not judged:
        return "not judged"
    met = ratio <= side.bar if row.kind.at_most else ratio >= side.bar
    return "met" if met else "missed"


def _note(row: Row, side: Side, ours: Figure, theirs: Figure) -> str:
    if ours.reason or theirs.reason:
        reasons = {ours.reason: "ours", theirs.reason: "theirs"}
        return "; ".join(f"{whose}: {reason}" for reason, whose in reasons.items() if reason)
    notes = [side.note] if side.note else []
    if row.kind in (Kind.SPEED, Kind.TIME) and ours.messages != theirs.messages:
        notes.append(f"on {ours.messages:,} messages, theirs on {theirs.messages:,}")
    return "; ".join(notes)


# -- machine -----------------------------------------------------------------------------


def machine() -> dict[str, str]:
    """Return the machine and the versions of the figures."""
    facts = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for package in _PACKAGES:
        try:
            facts[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            facts[package] = "not installed"
    if facts["scapy-ipfix"] == "not installed":
        facts["scapy-ipfix"] = "from the source tree"
    facts["tshark"] = _tshark()
    return facts


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _tshark() -> str:
    path = shutil.which("tshark")
    if path is None:
        return "not installed"
    output = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    words = output.stdout.split()
    return words[2] if len(words) > 2 else "unknown"


# -- the table ---------------------------------------------------------------------------

HEADER = ("row", "what", "ours", "theirs", "", "ratio", "bar", "")


def cells(line: Line) -> tuple[str, ...]:
    """Return the cells of a line of the table."""
    sign = ">=" if line.kind == Kind.SPEED.value else "<="
    verdict = f"{line.verdict} ({line.note})" if line.note else line.verdict
    rival = "once the messages" if line.unit in ("s", "MiB") else line.rival
    return (
        line.row,
        line.what,
        _amount(line.ours, line.unit),
        _amount(line.theirs, line.unit),
        rival,
        "-" if line.ratio is None else f"{line.ratio:.2f}x",
        "-" if line.bar is None else f"{sign} {line.bar:g}x",
        verdict,
    )


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "records/s":
        # Three digits: the rest is noise.
        step = 10 ** max(len(str(int(value))) - 3, 0)
        return f"{round(value / step) * step:,}/s"
    return f"{value:.1f} {unit}" if unit == "MiB" else f"{value:.3g} {unit}"


def text(lines: Sequence[Line], facts: dict[str, str]) -> str:
    """Format the table for a terminal; repeated cells of a row are empty."""
    table: list[tuple[str, ...]] = [HEADER]
    before = ""
    for line in lines:
        row = cells(line)
        table.append(row if line.row != before else ("", "", *row[2:]))
        before = line.row
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADER) - 1)]
    right = {2, 3, 5, 6}
    out = [_facts(facts), ""]
    for row in table:
        padded = [
            word.rjust(width) if i in right else word.ljust(width)
            for i, (word, width) in enumerate(zip(row, widths, strict=False))
        ]
        out.append("  ".join([*padded, row[-1]]).rstrip())
    return "\n".join(out)


def markdown(lines: Sequence[Line], facts: dict[str, str]) -> str:
    """Format the table as Markdown."""
    out = [_facts(facts), ""]
    header = ("what", "ours", "theirs", "rival", "ratio", "bar", "verdict")
    out.append("| " + " | ".join(header) + " |")
    out.append("|---|--:|--:|---|--:|--:|---|")
    before = ""
    for line in lines:
        row = cells(line)[1:]
        shown = row if line.row != before else ("", *row[1:])
        out.append("| " + " | ".join(word.replace("|", "\\|") for word in shown) + " |")
        before = line.row
    return "\n".join(out)


def _facts(facts: dict[str, str]) -> str:
    return (
        ", ".join(
            value if name in ("date", "cpu", "system", "Python") else f"{name} {value}"
            for name, value in facts.items()
        )
        .replace("cores ", "", 1)
        .replace(f", {facts['cores']}, ", f" x {facts['cores']}, ", 1)
    )


def as_json(lines: Sequence[Line], facts: dict[str, str], messages: int) -> dict[str, object]:
    """Return the table as an object for JSON."""
    return {"machine": facts, "messages": messages, "rows": [asdict(line) for line in lines]}

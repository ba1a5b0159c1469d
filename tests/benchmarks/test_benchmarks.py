# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmark runs at a small scale; no test asserts a time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import workloads
from tests.benchmarks.rows import ROWS
from tests.benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """Return the output of ``python -m tests.benchmarks --scale small --json``."""
    command = [sys.executable, "-m", "tests.benchmarks", "--scale", "small", "--repeat", "1"]
    done = subprocess.run(
        [*command, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


@pytest.mark.slow
def test_every_row_is_there(report: dict[str, Any]) -> None:
    assert {line["row"] for line in report["rows"]} == {row.key for row in ROWS}


@pytest.mark.slow
def test_available_rows_have_a_ratio(report: dict[str, Any]) -> None:
    without = {"not installed", "not available", "failed"}
    for line in report["rows"]:
        if line["verdict"] in without or line["verdict"].startswith("ours"):
            assert line["ratio"] is None
            assert line["note"]
        else:
            assert line["ratio"] > 0, line


@pytest.mark.slow
def test_machine_is_named(report: dict[str, Any]) -> None:
    assert {"date", "cpu", "cores", "Python", "scapy", "scapy-ipfix"} <= report["machine"].keys()


@pytest.mark.parametrize("key", WORKLOADS)
def test_workload_is_the_same_whatever_its_length(key: str, tmp_path: Path) -> None:
    few = workloads.write(WORKLOADS[key], 20, tmp_path)
    many = workloads.write(WORKLOADS[key], 120, tmp_path)
    start = Path(few.stream).read_bytes()
    assert Path(many.stream).read_bytes().startswith(start)
    assert b"".join(workloads.payloads(few.pcap)) == start
    assert len(workloads.payloads(many.pcap)) == many.packets
    assert all(len(message) <= 1472 for message in workloads.payloads(many.pcap))


def test_workload_a_is_what_the_bars_are_set_for() -> None:
    (layout,) = WORKLOADS["a"].layouts
    assert len(layout.elements) == 16
    assert sum(element.length for element in layout.elements) == 64
    assert WORKLOADS["a"].records == 20

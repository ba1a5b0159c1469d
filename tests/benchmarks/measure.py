# SPDX-License-Identifier: GPL-2.0-or-later
"""Measuring: contestants in processes of their own, taking turns, best time counts.

Machines are noisy and the noise comes in waves, so no figure is compared with one from
another run: the contestants of a row all wait, set up, and are run in turn, one at a time,
several times over. The best time of each is the one least disturbed. A short run finds a
quiet moment more easily than a long one, so the shares in ``rows.py`` make the runs of a
row about equally long.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import workloads
from .rows import Row, Side
from .workloads import WORKLOADS, Files

#: Seconds that a contestant is given to set up, or for one run, before it is given up.
PATIENCE = 300

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Figure:
    """Result of one contestant, or the reason why there is none."""

    contestant: str
    status: str
    reason: str = ""
    messages: int = 0
    records: int = 0
    seconds: float = 0.0
    peak: int = 0

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


class Worker:
    """A contestant in a process of its own."""

    def __init__(self, side: Side, workload: str, messages: int, files: Files, log: Any) -> None:
        self.side = side
        self.messages = messages
        self.files = files
        self.seconds: list[float] = []
        self.peak = 0
        self.failure: dict[str, Any] | None = None
        request = {
            "contestant": side.contestant,
            "workload": workload,
            "messages": messages,
            "files": asdict(files),
            "check": side.checked,
            "runs": side.runs,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.worker", json.dumps(request)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        alarm = threading.Timer(PATIENCE, self.process.kill)
        alarm.start()
        line = self.process.stdout.readline()
        alarm.cancel()
        if not line:
            return {"status": "failed", "reason": f"ended, or took more than {PATIENCE} s"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def wait(self) -> None:
        """Wait until it is set up and checked."""
        answer = self._answer()
        if answer["status"] != "ready":
            self.failure = answer

    def run(self) -> None:
        """Run it once more, if nothing has gone wrong so far."""
        if self.failure or len(self.seconds) >= self.side.repeat:
            return
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.failure = {"status": "failed", "reason": "ended unexpectedly"}
            return
        answer = self._answer()
        if answer["status"] != "done":
            self.failure = answer
            return
        self.seconds.append(answer["seconds"])
        self.peak = max(self.peak, answer["peak"])

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if self.failure:
            self.process.kill()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def figure(self) -> Figure:
        """Return the best of the runs."""
        if self.failure:
            return Figure(self.side.contestant, self.failure["status"], self.failure["reason"])
        return Figure(
            self.side.contestant,
            "done",
            messages=self.messages,
            records=self.files.records,
            seconds=min(self.seconds),
            peak=self.peak,
        )


class Bench:
    """The scale that rows are measured at, and a directory for the workload files."""

    def __init__(self, messages: int, repeat: int, place: Path, log: Any = None) -> None:
        self.messages = messages
        self.repeat = repeat
        self.place = place
        self.log = log

    def _worker(self, row: Row, side: Side) -> Worker:
        messages = max(int(self.messages * side.share), 20)
        files = workloads.write(WORKLOADS[row.workload], messages, self.place)
        return Worker(side, row.workload, messages, files, self.log)

    def measure(self, row: Row) -> list[Figure]:
        """Measure a row: this package first, then each rival, in the order of the row."""
        workers = [self._worker(row, side) for side in (row.ours, *row.rivals)]
        try:
            for worker in workers:
                worker.wait()
            for _ in range(self.repeat):
                for worker in workers:
                    worker.run()
            return [worker.figure() for worker in workers]
        finally:
            for worker in workers:
                worker.close()

# SPDX-License-Identifier: GPL-2.0-or-later
"""The process that runs one contestant: ``python -m tests.benchmarks.worker JOB``.

It is told on standard input what to do, a word a line, and answers with a JSON object a
line: first that it is ready (and has been checked), then, for each ``run``, how long that
took. What a library prints goes to standard error instead, so that it cannot be taken for
an answer.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
import warnings
from typing import Any

from .contestants import CONTESTANTS, Entry, Job, NotAvailable, NotInstalled, Wrong
from .workloads import WORKLOADS, Files


def peak_memory() -> int:
    """Return the peak memory of this process in octets."""
    # Not ru_maxrss where it can be helped: it survives exec, so it starts with what the
    # parent had; VmHWM belongs to this program's own memory map.
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource  # not on every system, and needed only where there is no /proc

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def timed(entry: Entry, expected: int, runs: int) -> dict[str, Any]:
    """Run a number of times, one straight after the other; the time of one, on average.

    The garbage collector stays on, as it is in use, but starts with no debts.
    """
    gc.collect()
    start = time.perf_counter()
    counts = {entry.run() for _ in range(runs)}
    seconds = (time.perf_counter() - start) / runs
    if counts != {expected}:
        raise Wrong(f"{min(counts)} records of {expected}")
    return {"status": "done", "seconds": seconds, "peak": peak_memory()}


def check(entry: Entry, job: Job) -> None:
    """See that the contestant reads what was written, before it is timed."""
    expected = {"records": job.files.records, **job.files.sums}
    found = entry.check()
    for name, value in found.items():
        if value != expected[name]:
            what = "records" if name == "records" else f"sum of {name}"
            raise Wrong(f"{what}: {value} instead of {expected[name]}")


def serve(request: dict[str, Any], answers: Any) -> None:
    """Set up the contestant, then run it as often as asked."""

    def answer(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        job = Job(WORKLOADS[request["workload"]], request["messages"], Files(**request["files"]))
        entry = CONTESTANTS[request["contestant"]](job)
        if request["check"]:
            check(entry, job)
        answer({"status": "ready"})
        for line in sys.stdin:
            if line.strip() != "run":
                break
            answer(timed(entry, job.files.records, request["runs"]))
    except NotAvailable as reason:
        answer({"status": "not available", "reason": str(reason)})
    except NotInstalled as reason:
        answer({"status": "not installed", "reason": str(reason)})
    except Wrong as reason:
        answer({"status": "failed", "reason": str(reason)})
    except Exception as error:
        # A contestant may fail in any way it likes; that is a result, not an accident.
        traceback.print_exc()
        answer(
            {"status": "failed", "reason": f"{type(error).__name__}: {error}".rstrip(": ")[:200]}
        )


def main() -> None:
    """Keep standard output for the answers, and send everything else to standard error."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(json.loads(sys.argv[1]), answers)


if __name__ == "__main__":
    main()

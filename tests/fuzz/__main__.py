# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m tests.fuzz``: checks of mutants for some minutes; exit status 1 if one fails."""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import random
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

from .harness import Failure, minimised, quiet, run
from .mutation import mutant
from .seeds import LONG, SHORT, stories

#: Seconds between lines of progress.
_EVERY = 30
#: Failures of one kind that are reduced and shown; more are counted.
_SHOWN = 3


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1, help="duration (default 1)")
    parser.add_argument("--seed", type=int, help="the number of the first mutant")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default 1)")
    parser.add_argument("--out", type=Path, help="folder for reduced mutants")
    parser.add_argument("--replay", type=int, metavar="SEED", help="repeat this mutant only")
    parser.add_argument("--short", action="store_true", help="short stories, as in the tests")
    options = parser.parse_args(arguments)
    with quiet():
        return _run(options)


def _run(options: Any) -> int:
    octets = SHORT if options.short else LONG
    if options.replay is not None:
        return _replay(options.replay, octets, options.out)
    seed = random.randrange(1 << 40) if options.seed is None else options.seed
    print(f"{len(stories(octets))} stories, seed {seed}, {options.jobs} jobs", flush=True)
    return _long(seed, octets, options)


def _replay(number: int, octets: int, out: Path | None) -> int:
    one = mutant(number, octets)
    failure = run(one)
    if failure is None:
        print(f"mutant {number}, {one.carrier}: nothing is wrong\n{one.hex}")
        return 0
    failure = minimised(failure)
    print(failure)
    if out is not None:
        print(failure.write(out))
    return 1


def _long(seed: int, octets: int, options: Any) -> int:
    until = time.monotonic() + 60 * options.minutes
    found: Any = multiprocessing.Queue()
    jobs = [
        multiprocessing.Process(
            target=_work, args=(seed + each, options.jobs, octets, until, found), daemon=True
        )
        for each in range(options.jobs)
    ]
    for job in jobs:
        job.start()
    started, said = time.monotonic(), time.monotonic()
    mutants, kinds = 0, dict[str, int]()
    running = len(jobs)
    while running:
        try:
            what = found.get(timeout=5)
        except queue.Empty:
            if not any(job.is_alive() for job in jobs):
                kinds["a job died"] = 1  # a crash of Python itself
                break
            continue
        if what is None:
            running -= 1
        elif isinstance(what, int):
            mutants += what
        else:
            kinds[what.kind] = kinds.get(what.kind, 0) + 1
            _show(what, kinds[what.kind], options.out)
        now = time.monotonic()
        if now - said >= _EVERY or not running:
            said, rate = now, mutants / (now - started)
            failures = sum(kinds.values())
            print(
                f"{(now - started) / 60:.1f} min: {mutants} mutants, {rate:.0f} a second, "
                f"{failures} failures of {len(kinds)} kinds",
                flush=True,
            )
    for kind, times in sorted(kinds.items(), key=lambda each: -each[1]):
        print(f"{times} times: {kind}")
    return 1 if kinds else 0


def _show(failure: Failure, times: int, out: Path | None) -> None:
    if times > _SHOWN:
        return
    if out is not None:
        print(failure.write(out))
    print(failure, flush=True)


def _work(first: int, step: int, octets: int, until: float, found: Any) -> None:
    """Check every ``step``-th mutant until the time is up; put results into the queue."""
    seen: dict[str, int] = {}
    done = 0
    for number in count(first, step):
        if time.monotonic() >= until:
            break
        failure = run(mutant(number, octets))
        done += 1
        if failure is not None:
            seen[failure.kind] = seen.get(failure.kind, 0) + 1
            if seen[failure.kind] <= _SHOWN:
                failure = minimised(failure)
            found.put(failure)
        if done == 100:
            found.put(done)
            done = 0
    found.put(done)
    found.put(None)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-2.0-or-later
"""Runner of mutants, and reduction of those that fail."""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .invariants import Broken, check
from .mutation import Mutant, mutant
from .seeds import LONG
from .shape import Shape

#: Attempts to reduce a failing mutant.
_ATTEMPTS = 400


@dataclass(frozen=True, slots=True)
class Failure:
    """Mutant that fails; equal faults have the same ``kind``."""

    mutant: Mutant
    kind: str
    text: str

    def __str__(self) -> str:
        found = self.mutant
        size = sum(map(len, found.messages))
        return (
            f"mutant {found.number}, {found.carrier}, {len(found.messages)} messages, {size} octets"
            f"\n{self.kind}\n{self.text.rstrip()}\n{found.hex}"
        )

    def write(self, folder: Path) -> Path:
        """Write the failure to a file of a folder, which is made if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.mutant.number}.txt"
        path.write_text(f"{self}\n")
        return path


def run(one: Mutant, thorough: bool = True) -> Failure | None:
    """Check one mutant; return its failure, or None."""
    try:
        check(one, thorough)
    except Broken as problem:
        return Failure(one, f"Broken: {problem.what}", str(problem))
    except Exception as problem:  # any error is a failure
        last = traceback.extract_tb(problem.__traceback__)[-1]
        kind = f"{type(problem).__name__} in {Path(last.filename).name}, {last.name}"
        return Failure(one, kind, "".join(traceback.format_exception(problem)[-6:]))
    return None


def minimised(failure: Failure, thorough: bool = True) -> Failure:
    """Return the same failure with fewer messages, Sets and octets."""
    attempts = 0
    smaller = True
    while smaller and attempts < _ATTEMPTS:
        smaller = False
        for candidate in _smaller(failure.mutant.messages):
            attempts += 1
            found = run(replace(failure.mutant, messages=candidate), thorough)
            if found is not None and found.kind == failure.kind:
                failure, smaller = found, True
                break
            if attempts >= _ATTEMPTS:
                break
    return failure


def _smaller(messages: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """Yield the messages without a message, a Set, or the second half of a Set."""
    for at, octets in enumerate(messages):
        if len(messages) > 1:
            yield messages[:at] + messages[at + 1 :]
        for index in range(len(Shape.of(octets).sets)):
            for mend in (True, False):
                shape = Shape.of(octets)
                del shape.sets[index]
                if mend:
                    shape.mend()
                yield (*messages[:at], bytes(shape), *messages[at + 1 :])
        for index, each in enumerate(Shape.of(octets).sets):
            if len(each) > 8:
                shape = Shape.of(octets)
                del shape.sets[index][4 + (len(each) - 4) // 2 :]
                shape.mend()
                yield (*messages[:at], bytes(shape), *messages[at + 1 :])
        rest = Shape.of(octets).rest
        if rest:
            yield (*messages[:at], octets[: len(octets) - len(rest)], *messages[at + 1 :])
            yield (
                *messages[:at],
                octets[: len(octets) - (len(rest) + 1) // 2],
                *messages[at + 1 :],
            )


def run_numbers(
    numbers: range, octets: int = LONG, thorough: bool = True
) -> Iterator[tuple[int, Failure | None]]:
    """Check the mutants of these numbers; yield each number with its failure or None."""
    for number in numbers:
        yield number, run(mutant(number, octets), thorough)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the logs, and make the garbage collector run less often."""
    logs = [logging.getLogger(name) for name in ("scapy.ipfix", "scapy.runtime", "scapy.loading")]
    levels = [each.level for each in logs]
    thresholds = gc.get_threshold()
    for each in logs:
        each.setLevel(logging.CRITICAL + 1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        for each, level in zip(logs, levels):
            each.setLevel(level)

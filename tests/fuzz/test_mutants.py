# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants, the same ones in every run: a sample, and 20,000 among the slow tests."""

from collections.abc import Iterator

import pytest

from .harness import Failure, quiet, run_numbers
from .seeds import SHORT

MUTANTS = 20_000
#: In parts, so that one failure does not hide others.
_PART = 2_000


PARTS = [
    pytest.param(first, marks=[pytest.mark.slow] if first else [])
    for first in range(0, MUTANTS, _PART)
]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet():
        yield


@pytest.mark.parametrize("first", PARTS)
def test_mutants(first: int) -> None:
    """``python -m tests.fuzz --short --replay NUMBER`` repeats the mutant of a failure."""
    found: list[Failure] = []
    for _, failure in run_numbers(range(first, first + _PART), SHORT, thorough=False):
        if failure is not None:
            found.append(failure)
            if len(found) == 3:
                break
    assert not found, "\n\n".join(map(str, found))

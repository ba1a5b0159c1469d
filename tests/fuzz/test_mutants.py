# SPDX-License-Identifier: GPL-2.0-or-later
"""Twenty thousand mutants, always the same ones; ``python -m tests.fuzz`` takes others."""

from collections.abc import Iterator

import pytest

from .harness import Failure, quiet, run_numbers
from .seeds import SHORT

MUTANTS = 20_000
#: In parts, so that one that fails says early and the others go on.
_PART = 2_000


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with quiet():
        yield


@pytest.mark.parametrize("first", range(0, MUTANTS, _PART))
def test_mutants(first: int) -> None:
    """Seen with ``python -m tests.fuzz --short --replay`` and the number that it names."""
    found: list[Failure] = []
    for _, failure in run_numbers(range(first, first + _PART), SHORT, thorough=False):
        if failure is not None:
            found.append(failure)
            if len(found) == 3:
                break
    assert not found, "\n\n".join(map(str, found))

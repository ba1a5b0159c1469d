# SPDX-License-Identifier: GPL-2.0-or-later
"""All messages that take the most time to read; ``python -m tests.fuzz.worst`` measures them."""

from __future__ import annotations

import gc

from . import worst_after, worst_messages
from .harness import quiet
from .worstcase import WORST, seconds, yardstick

__all__ = ["WORST", "worst_after", "worst_messages"]


#: Measurements of each message.
_RUNS = 5


def main() -> None:
    """Print the CPU time of each message, the best of five, the slowest first.

    The ratio to the yardstick stands beside it, because machines change their speed.
    """
    taken = {}
    with quiet():
        for worst in WORST:
            runs, beside = [], []
            for _ in range(_RUNS):
                _, read = worst.reader()
                gc.collect()  # objects of earlier cases are not counted here
                runs.append(seconds(read) * 1000)
                beside.append(seconds(yardstick) * 1000)
            taken[worst] = min(runs), min(runs) / min(beside)
    for worst, (milliseconds, times) in sorted(taken.items(), key=lambda each: -each[1][0]):
        name = worst.name.replace("_", " ")
        name += ", values checked" if worst.check_values else ""
        name += ", metadata looked up" if worst.resolve else ""
        print(f"{milliseconds:6.0f} ms  {times:5.1f} x  {name}")


if __name__ == "__main__":
    main()

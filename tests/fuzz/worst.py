# SPDX-License-Identifier: GPL-2.0-or-later
"""All messages that ask most of whoever reads them.

``python -m tests.fuzz.worst`` prints how long each of them takes here.
"""

from __future__ import annotations

import gc

from . import worst_after, worst_messages
from .harness import quiet
from .worstcase import WORST, seconds

__all__ = ["WORST", "worst_after", "worst_messages"]


#: How often each is measured.
_RUNS = 5


def _yardstick() -> list[dict[str, int]]:
    """A dict for each of 65,000 octets: what Python takes for that, here and now."""
    return [{"value": each} for each in bytes(65_000)]


def main() -> None:
    """Milliseconds of CPU for each message, the best of five, the slowest first.

    Beside each how often the yardstick's time that is: machines change their speed.
    """
    taken = {}
    with quiet():
        for worst in WORST:
            runs, beside = [], []
            for _ in range(_RUNS):
                _, read = worst.reader()
                gc.collect()  # what is left of other cases is not this one's
                runs.append(seconds(read) * 1000)
                beside.append(seconds(_yardstick) * 1000)
            taken[worst] = min(runs), min(runs) / min(beside)
    for worst, (milliseconds, times) in sorted(taken.items(), key=lambda each: -each[1][0]):
        name = worst.name.replace("_", " ")
        name += ", values checked" if worst.check_values else ""
        name += ", metadata looked up" if worst.resolve else ""
        print(f"{milliseconds:6.0f} ms  {times:5.1f} x  {name}")


if __name__ == "__main__":
    main()

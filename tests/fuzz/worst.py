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


def main() -> None:
    """Milliseconds of CPU for each message, the best of five, the slowest first."""
    taken = {}
    with quiet():
        for worst in WORST:
            runs = []
            for _ in range(5):
                _, read = worst.reader()
                gc.collect()  # what is left of other cases is not this one's
                runs.append(seconds(read) * 1000)
            taken[worst] = min(runs)
    for worst, milliseconds in sorted(taken.items(), key=lambda each: -each[1]):
        checked = ", values checked" if worst.check_values else ""
        print(f"{milliseconds:6.0f} ms  {worst.name.replace('_', ' ')}{checked}")


if __name__ == "__main__":
    main()

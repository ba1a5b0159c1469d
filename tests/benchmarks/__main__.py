# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m tests.benchmarks``: measure, and print the table."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .measure import Bench
from .report import Line, as_json, compare, machine, markdown, text
from .rows import ROWS

#: Messages, and how often each contestant is run at most.
SCALES = {"small": (40, 1), "full": (5000, 10)}


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Measure scapy-ipfix beside other readers and writers of IPFIX. Every figure "
        "is a ratio from one run; contestants that are not installed are left out, and said so.",
    )
    parser.add_argument(
        "--scale",
        choices=SCALES,
        default="full",
        help="full: 5,000 messages, some minutes; small: 40, to see that it runs (bars are not "
        "judged). Default: full",
    )
    parser.add_argument("--messages", type=int, metavar="N", help="messages of workload (a)")
    parser.add_argument("--repeat", type=int, metavar="N", help="runs of each, best counts")
    parser.add_argument(
        "--only", action="append", metavar="ROW", choices=[row.key for row in ROWS], help="one row"
    )
    parser.add_argument("--list", action="store_true", help="the rows, and end")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.add_argument("--verbose", action="store_true", help="show what contestants complain of")
    options = parser.parse_args()
    messages, repeat = SCALES[options.scale]
    options.messages = options.messages or messages
    options.repeat = options.repeat or repeat
    return options


def main() -> int:
    """Measure the rows asked for. 1 if we failed at the work, whatever the speed."""
    options = arguments()
    if options.list:
        for row in ROWS:
            print(f"{row.key:14} {row.what}")
        return 0
    # A bar is set for the messages it is set for: starting up would outweigh a few.
    judged = options.messages >= SCALES["full"][0]
    lines: list[Line] = []
    log = None if options.verbose else subprocess.DEVNULL
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="scapy-ipfix-benchmark-") as place:
        bench = Bench(options.messages, options.repeat, Path(place), log)
        for row in ROWS:
            if options.only and row.key not in options.only:
                continue
            print(f"{time.monotonic() - started:5.0f} s  {row.what} ...", file=sys.stderr)
            ours, *theirs = bench.measure(row)
            for side, figure in zip(row.rivals, theirs, strict=True):
                lines.append(compare(row, side, ours, figure, judged))
    facts = machine()
    if options.json:
        print(json.dumps(as_json(lines, facts, options.messages), indent=1))
    else:
        print((markdown if options.markdown else text)(lines, facts))
    return 1 if any(line.verdict == "ours failed" for line in lines) else 0


if __name__ == "__main__":
    raise SystemExit(main())

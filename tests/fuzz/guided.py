# SPDX-License-Identifier: GPL-2.0-or-later
"""``python -m tests.fuzz.guided``: the same checks on inputs led by coverage.

Needs atheris (``pip install atheris``) on Linux or macOS. The arguments are those of libFuzzer,
such as ``-max_total_time=600`` or a folder for its corpus.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

from .harness import quiet, run
from .mutation import Mutant
from .seeds import SHORT, stories

#: Separator of the messages of an input.
_BETWEEN = b"\xde\xad\xbe\xef"
_CARRIERS = ("udp", "tcp", "sctp", "other-port")


def one_input(octets: bytes) -> None:
    """Check an input: a carrier and messages. Raises AssertionError."""
    if octets:
        carrier = _CARRIERS[octets[0] % len(_CARRIERS)]
        messages = tuple(each[:65000] for each in octets[1:].split(_BETWEEN)[:4])
        failure = run(Mutant(0, carrier, messages))
        assert failure is None, str(failure)


def corpus() -> list[bytes]:
    """Return the stories as inputs."""
    return [bytes(1) + _BETWEEN.join(story) for story in stories(SHORT)]


def main() -> int:
    try:
        atheris = import_module("atheris")
    except ImportError:
        print("atheris is not there: pip install atheris", file=sys.stderr)
        return 2
    modules = [each for name, each in sys.modules.items() if name.startswith("scapy_ipfix")]
    for module in modules:
        for each in list(vars(module).values()):
            if callable(each) and getattr(each, "__module__", "") == module.__name__:
                _instrument(atheris, each)
    with quiet():
        for each in corpus():
            one_input(each)
        atheris.Setup(sys.argv, one_input)
        atheris.Fuzz()
    return 0


def _instrument(atheris: ModuleType, what: object) -> None:
    """Instrument a function, or those of a class, for coverage."""
    functions = [what, *vars(what).values()] if isinstance(what, type) else [what]
    for each in functions:
        if hasattr(each, "__code__"):
            atheris.instrument_func(each)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: GPL-2.0-or-later
"""How many packets stand for one that was sampled, from what options or flow records say.

NetFlow's elements say it as well as PSAMP's (RFC 5477 8.2). What a layout has is found once;
nothing raises on what is in a record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeGuard

#: The elements that a rate is read of, and what says that there is none.
RATE_ELEMENTS = frozenset(
    {
        *("samplingInterval", "samplingAlgorithm", "samplerRandomInterval"),
        *("samplingPacketInterval", "samplingPacketSpace"),
        *("samplingTimeInterval", "samplingTimeSpace"),
        *("samplingSize", "samplingPopulation", "samplingProbability"),
    }
)
#: Finds a rate in values by IANA's names; None: they do not say.
RateRule = Callable[[Mapping[str, Any]], "float | None"]


def sampling_rate(said: Mapping[str, Any]) -> float | None:
    """How many packets there were for each that was sampled; None: this does not say.

    ``said`` has values by IANA's names. NetFlow's intervals are 1 in N; PSAMP's are so many
    packets (or microseconds) of so many, n of N, or a probability (RFC 5477 8.2). A
    samplingPacketInterval without a samplingPacketSpace is 1 in N, as in the elements that
    IANA has it replace. An int where it is whole.
    """
    return rate_by(rate_rules(said), said)


def rate_by(rules: Iterable[RateRule], said: Mapping[str, Any]) -> float | None:
    """As :func:`sampling_rate`, by the rules that there are for the names in ``said``."""
    for rule in rules:
        rate = rule(said)
        if rate is not None:
            return rate
    return None


def rate_rules(names: Collection[str]) -> tuple[RateRule, ...]:
    """What finds the rate where there are these of IANA's elements; the first that does counts."""
    found = [rule for needs, rule in _RATE_RULES if needs.issubset(names)]
    if "samplingPacketInterval" in names and "samplingPacketSpace" not in names:
        found.insert(0, _interval("samplingPacketInterval"))
    return tuple(found)


def _interval(name: str) -> RateRule:
    def one_in(said: Mapping[str, Any]) -> float | None:
        interval = said.get(name)
        return int(interval) if _positive(interval) else None

    return one_in


def _spaced(taken: str, skipped: str) -> RateRule:
    def some_of(said: Mapping[str, Any]) -> float | None:
        interval, space = said.get(taken), said.get(skipped)
        if _positive(interval) and isinstance(space, int) and space >= 0:
            return _whole(interval + space, interval)
        return None

    return some_of


def _population(said: Mapping[str, Any]) -> float | None:
    size, population = said.get("samplingSize"), said.get("samplingPopulation")
    if _positive(size) and _positive(population) and population >= size:
        return _whole(population, size)
    return None


def _probability(said: Mapping[str, Any]) -> float | None:
    probability = said.get("samplingProbability")
    if isinstance(probability, float) and 0 < probability <= 1:
        rate = 1 / probability
        # float32's 0.1 is not quite a tenth
        if math.isfinite(rate):
            return round(rate) if math.isclose(rate, round(rate), rel_tol=1e-6) else rate
    return None


_SPACED = (
    ("samplingPacketInterval", "samplingPacketSpace"),
    ("samplingTimeInterval", "samplingTimeSpace"),
)
_RATE_RULES: list[tuple[frozenset[str], RateRule]] = [
    *((frozenset(names), _spaced(*names)) for names in _SPACED),
    (frozenset({"samplingSize", "samplingPopulation"}), _population),
    *((frozenset({n}), _interval(n)) for n in ("samplerRandomInterval", "samplingInterval")),
    (frozenset({"samplingProbability"}), _probability),
]


def unsampled(said: Mapping[str, Any]) -> bool:
    """Whether NetFlow's elements say that there is no sampling: algorithm 0, no interval."""
    return said.get("samplingAlgorithm") == 0 and not said.get("samplingInterval")


def _positive(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and number > 0


def _whole(population: int, size: int) -> float:
    whole, rest = divmod(population, size)
    return population / size if rest else whole

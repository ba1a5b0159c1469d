# SPDX-License-Identifier: GPL-2.0-or-later
"""Sampling rates from the elements of NetFlow and PSAMP (RFC 5477 section 8.2).

A rate is the number of packets observed for each packet that was metered. The rules that apply
to a layout are selected once (:func:`rate_rules`); no value of a record raises an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeGuard

#: The elements that a rate is computed from, and those that rule out sampling.
RATE_ELEMENTS = frozenset(
    {
        *("samplingInterval", "samplingAlgorithm", "samplerRandomInterval"),
        *("samplingPacketInterval", "samplingPacketSpace"),
        *("samplingTimeInterval", "samplingTimeSpace"),
        *("samplingSize", "samplingPopulation", "samplingProbability"),
    }
)
#: Computes the rate from values keyed by IANA name; None where they do not determine it.
RateRule = Callable[[Mapping[str, Any]], "float | None"]


def sampling_rate(values: Mapping[str, Any]) -> float | None:
    """Return the packets observed for each one sampled; None where values do not determine it.

    ``values`` are keyed by IANA name. NetFlow's intervals are 1 in N; PSAMP's are a number of
    packets (or microseconds) and the space to the next ones, n of N, or a probability
    (RFC 5477 8.2). A samplingPacketInterval without a samplingPacketSpace is 1 in N, as in the
    elements that IANA has it replace. The rate is an int where it is a whole number.
    """
    return rate_by(rate_rules(values), values)


def rate_by(rules: Iterable[RateRule], values: Mapping[str, Any]) -> float | None:
    """Return the rate that the first applicable rule computes, see :func:`sampling_rate`."""
    for rule in rules:
        rate = rule(values)
        if rate is not None:
            return rate
    return None


def rate_rules(names: Collection[str]) -> tuple[RateRule, ...]:
    """Return the rules that apply where these of IANA's elements are present, in precedence."""
    found = [rule for needs, rule in _RATE_RULES if needs.issubset(names)]
    if "samplingPacketInterval" in names and "samplingPacketSpace" not in names:
        found.insert(0, _interval("samplingPacketInterval"))
    return tuple(found)


def _interval(name: str) -> RateRule:
    def one_in(values: Mapping[str, Any]) -> float | None:
        interval = values.get(name)
        return int(interval) if _positive(interval) else None

    return one_in


def _spaced(interval_name: str, space_name: str) -> RateRule:
    def some_of(values: Mapping[str, Any]) -> float | None:
        interval, space = values.get(interval_name), values.get(space_name)
        if _positive(interval) and isinstance(space, int) and space >= 0:
            return _whole(interval + space, interval)
        return None

    return some_of


def _population(values: Mapping[str, Any]) -> float | None:
    size, population = values.get("samplingSize"), values.get("samplingPopulation")
    if _positive(size) and _positive(population) and population >= size:
        return _whole(population, size)
    return None


def _probability(values: Mapping[str, Any]) -> float | None:
    probability = values.get("samplingProbability")
    if isinstance(probability, float) and 0 < probability <= 1:
        rate = 1 / probability
        # A float32 of 0.1 is not exactly a tenth.
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


def is_unsampled(values: Mapping[str, Any]) -> bool:
    """Return whether NetFlow's elements rule out sampling: algorithm 0 and no interval."""
    return values.get("samplingAlgorithm") == 0 and not values.get("samplingInterval")


def _positive(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and number > 0


def _whole(population: int, size: int) -> float:
    whole, rest = divmod(population, size)
    return population / size if rest else whole

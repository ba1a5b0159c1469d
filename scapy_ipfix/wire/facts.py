# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts that Options Data Records state of an exporter: their kinds and their values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

#: The kinds of facts.
SAMPLING, SEQUENCE, INTERFACE = "sampling", "selection sequence", "interface"
VRF, APPLICATION, DOMAIN, COUNTERS = "VRF", "application", "domain", "counters"
#: systemInitTimeMilliseconds of the exporter.
INIT_TIME = "time of initialization"
#: Scopes of sampling facts that are a sampler or a selector.
SAMPLERS = frozenset(("samplerId", "selectorId"))
#: The key of the sampling of everything that an observation domain meters.
SYSTEM: tuple[str, Any] = ("system", 0)

#: Characters kept of a text: the longest standard one is ifDescr, 255 characters (RFC 2863).
MAX_TEXT = 255
#: Octets of the longest applicationId.
MAX_APPLICATION_ID = 255

#: The highest rate of a selection sequence: octet counters have no more values.
_MAX_RATE = 1 << 64

#: Looks up the value of a fact by its kind and key; None for an unknown fact.
FindFact = Callable[[str, Any], Any]


class FactFinder(Protocol):
    """Lookup of facts, one at a time or many."""

    def __call__(self, kind: str, key: Any, /) -> Any:
        """Return the value of a fact, None for an unknown one."""

    def find_many(self, kind: str, keys: Sequence[Any], /) -> dict[Any, Any]:
        """Return the values of the known facts among ``keys``."""

    def only_sampler_rate(self) -> float | None:
        """Return the rate of the samplers and selectors; None if they have several."""


class Sampling(NamedTuple):
    """Packet sampling: ``rate`` packets were observed for each one metered; None: unknown."""

    rate: float | None = None
    algorithm: str | None = None
    name: str | None = None


class Interface(NamedTuple):
    """Names of an interface: ifName, and ifDescr or ifAlias; None: unknown."""

    name: str | None = None
    description: str | None = None


class Application(NamedTuple):
    """Names of an application (RFC 6759); None: unknown."""

    name: str | None = None
    description: str | None = None
    category: str | None = None


def fact_text(value: object) -> str | None:
    """Return a string field's value as text, without padding NULs, at most MAX_TEXT long.

    None for a value that is no text.
    """
    if isinstance(value, bytes):
        value = value[: 4 * MAX_TEXT].decode("utf-8", "backslashreplace")
    if not isinstance(value, str):
        return None
    # A message may hold 40,000 names, few of which contain NULs.
    return value.partition("\0")[0][:MAX_TEXT] if "\0" in value else value[:MAX_TEXT]


def application_octets(value: object) -> bytes | None:
    """Return an applicationId (octets, hexadecimal text or a number) as octets.

    A number takes four octets unless it needs more (RFC 6759 section 4: one octet of
    engine, three of selector). None for a value that is no applicationId.
    """
    if isinstance(value, bytes):
        return value if 0 < len(value) <= MAX_APPLICATION_ID else None
    if isinstance(value, str):
        try:
            value = bytes.fromhex(value)
        except ValueError:
            return None
    if isinstance(value, int) and value >= 0:
        value = value.to_bytes(max(4, (value.bit_length() + 7) // 8), "big")
    return value if isinstance(value, bytes) and 0 < len(value) <= MAX_APPLICATION_ID else None


# -- lookups


def default_rate(find: FactFinder, template_id: int, has_sampler: bool) -> float | None:
    """Return the rate of records without a narrower one: of their template, or of everything.

    Records that do not have a sampler or a selector (``has_sampler``) are of the only one.
    """
    rate = find_rate(find, "templateId", template_id)
    if rate is None:
        rate = find_rate(find, *SYSTEM)
    return find.only_sampler_rate() if rate is None and not has_sampler else rate


def find_rate(find: FindFact, scope: str, number: object) -> float | None:
    """Return the rate of a sampler, a selector, an interface and so on; None: unknown."""
    found: Sampling | None = None
    if isinstance(number, int):
        found = find(SAMPLING, (scope, number))
    return None if found is None else found.rate


def find_sequence_rate(find: FindFact, rates: Mapping[int, Any], sequence: object) -> float | None:
    """Return the rate of a selection sequence, the product of its selectors' (RFC 5476 6.5.1)."""
    selectors = find(SEQUENCE, sequence) if isinstance(sequence, int) else None
    factors = [*map(rates.__getitem__, selectors or ())]
    if not factors or not all(factors):
        return None
    try:
        product = math.prod(factors)
    except OverflowError:  # an integer beyond the range of floats, times a float
        return None
    return product if product <= _MAX_RATE else None


def find_vrf_name(find: FindFact, part: tuple[Any, Any]) -> str | None:
    """Return the name of a VRF, from the record itself or by the number in it."""
    name, number = part
    return fact_text(name) or (find(VRF, number) or None if isinstance(number, int) else None)


def find_application_name(find: FindFact, part: tuple[Any, Any]) -> str | None:
    """Return the name of an application, from the record itself or by the applicationId in it."""
    name, number = part
    if own := fact_text(name):
        return own
    octets = application_octets(number) if number else None
    found: Application | None = find(APPLICATION, octets) if octets else None
    return found.name or None if found is not None else None

# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts that Options Data Records state of an exporter: their kinds and their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

#: The kinds of facts.
SAMPLING, SEQUENCE, INTERFACE = "sampling", "selection sequence", "interface"
VRF, APPLICATION, DOMAIN, COUNTERS = "VRF", "application", "domain", "counters"
#: The key of the sampling of everything that an observation domain meters.
SYSTEM: tuple[str, Any] = ("system", 0)

#: Characters kept of a text: the longest standard one is ifDescr, 255 characters (RFC 2863).
MAX_TEXT = 255
#: Octets of the longest applicationId.
MAX_APPLICATION_ID = 255

#: Looks up the value of a fact by its kind and key; None for an unknown fact.
FindFact = Callable[[str, Any], Any]


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

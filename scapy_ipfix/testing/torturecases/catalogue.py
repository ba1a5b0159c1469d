# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture catalogue: legal and illegal messages that collectors get wrong.

    for case in torture():
        print(case)
        for octets in case.messages:
            socket.send(octets)

Send a :func:`canary` before each case and after the last: a plain flow with its own source
address. The canaries that are missing in the output of the collector show after which case it
failed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import IPv4Address

from scapy_ipfix.layers.messages import IPFIX, Message, NetFlowV9
from scapy_ipfix.layers.sets import DataFlowSet, DataSet, TemplateFlowSet, TemplateSet
from scapy_ipfix.testing.torturecases.case import RECIPES, Case
from scapy_ipfix.wire.template import Template

__all__ = ["Case", "canary", "canary_address", "torture"]

#: Observation Domains of each case; the first is a multiple of this number.
DOMAINS = 16
#: Observation Domain of canaries.
CANARY_DOMAIN = 1
#: Source addresses of canaries are 198.19.0.1 and the following (RFC 2544), this many.
_FIRST_CANARY = int(IPv4Address("198.19.0.1"))
MAX_CANARIES = 65534

_CANARY_TEMPLATE = Template(
    *(256, "sourceIPv4Address", "destinationIPv4Address"),
    *("sourceTransportPort", "destinationTransportPort", "protocolIdentifier"),
    *("packetDeltaCount", "octetDeltaCount", "flowStartMilliseconds", "flowEndMilliseconds"),
)


def torture(
    name: str = "*", legal: bool | None = None, *, export_time: int | None = None
) -> Iterator[Case]:
    """Yield the cases whose name matches the pattern ``name``, legal ones first.

    ``name`` may have ``*`` and ``?``. ``legal`` True or False selects legal or illegal cases.
    Each case has new packets and Observation Domains of its own, so that no case changes the
    templates of another. ``export_time`` is that of the messages in seconds since 1970,
    except for cases that test it; None is now.
    """
    if export_time is None:
        export_time = int(time.time())
    numbered = enumerate(sorted(RECIPES, key=lambda each: not each.legal), 1)
    for number, recipe in numbered:
        if fnmatchcase(recipe.name, name) and legal in (None, recipe.legal):
            yield recipe.case(number * DOMAINS, export_time)


def canary_address(number: int) -> str:
    """Return the source address of canary ``number``. Raises ValueError outside 0..65533."""
    if not 0 <= number < MAX_CANARIES:
        raise ValueError(f"canary {number} is not in 0..{MAX_CANARIES - 1}")
    return str(IPv4Address(_FIRST_CANARY + number))


def canary(number: int, export_time: int | None = None, version: int = 10) -> Message:
    """Return a message with a template and one flow from the address of canary ``number``.

    ``version`` is 10 for IPFIX or 9. Raises ValueError for another version, and for a number
    outside 0..65533.
    """
    if export_time is None:
        export_time = int(time.time())
    milliseconds = export_time * 1000
    row = (
        *(canary_address(number), "192.0.2.1", 40000, 4739, 17, 10, 1000),
        *(milliseconds - 2000, milliseconds - 1000),
    )
    message: Message
    if version == 10:
        message = IPFIX(
            exportTime=export_time, observationDomainId=CANARY_DOMAIN, sequenceNumber=number
        )
        message.sets = [
            TemplateSet(templates=[_CANARY_TEMPLATE]),
            DataSet(template=_CANARY_TEMPLATE, records=[row]),
        ]
    elif version == 9:
        message = NetFlowV9(unixSecs=export_time, sourceId=CANARY_DOMAIN, sequenceNumber=number)
        message.sets = [
            TemplateFlowSet(templates=[_CANARY_TEMPLATE]),
            DataFlowSet(template=_CANARY_TEMPLATE, records=[row]),
        ]
    else:
        raise ValueError(f"version is 9 or 10, not {version!r}")
    return message

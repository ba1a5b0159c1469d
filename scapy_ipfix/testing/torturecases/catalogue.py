# SPDX-License-Identifier: GPL-2.0-or-later
"""The torture catalogue: messages that collectors get wrong, legal ones and illegal ones.

    for case in torture():
        print(case)
        for octets in case.messages:
            socket.send(octets)

Whoever tests a collector sends a :func:`canary` before each case and after the last: a plain
flow of a source address that is nowhere else. Canaries that do not come out of the collector
tell which case it did not survive.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import IPv4Address

from scapy_ipfix.layers.messages import IPFIX, Message, NetFlowV9
from scapy_ipfix.layers.sets import DataFlowSet, DataSet, TemplateFlowSet, TemplateSet

# imported for what they put into RECIPES
from scapy_ipfix.testing.torturecases.case import RECIPES, Case
from scapy_ipfix.wire.template import Template

__all__ = ["Case", "canary", "canary_address", "torture"]

#: Each case may use that many observation domains; the first is a multiple of it.
DOMAINS = 16
#: The observation domain of canaries.
CANARY_DOMAIN = 1
#: Canaries come from 198.19.0.1 and following addresses (RFC 2544), as many as there are.
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
    """The cases whose name matches the pattern ``name``, with fresh packets; legal ones first.

    ``legal`` True or False gives only these. Cases are in observation domains of their own,
    so that none spoils the templates of another. ``export_time`` (seconds since 1970) is
    when messages say they were sent, unless that is the point of the case; None for now.
    """
    if export_time is None:
        export_time = int(time.time())
    numbered = enumerate(sorted(RECIPES, key=lambda each: not each.legal), 1)
    for number, recipe in numbered:
        if fnmatchcase(recipe.name, name) and legal in (None, recipe.legal):
            yield recipe.case(number * DOMAINS, export_time)


def canary_address(number: int) -> str:
    """The source address of a canary, counted from 0. Raises ValueError above 65533."""
    if not 0 <= number < MAX_CANARIES:
        raise ValueError(f"canary {number} is not in 0..{MAX_CANARIES - 1}")
    return str(IPv4Address(_FIRST_CANARY + number))


def canary(number: int, export_time: int | None = None, version: int = 10) -> Message:
    """A message with a template and a flow, from an address that says which canary it is.

    ``version`` is 10 or 9. Raises ValueError for another, and for a number above 65533.
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

# SPDX-License-Identifier: GPL-2.0-or-later
"""Search by words: the elements that a person means by ``src_ip`` or ``bytes``.

A word matches names that contain it or a synonym from other tools. Common elements of flow
records come first, then the rest of IANA's, then those of enterprises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from scapy_ipfix.model.element import InformationElement, close_matches

#: Elements that most flow records have, in the order in which they are found.
COMMON = (
    *("octetDeltaCount", "packetDeltaCount", "octetTotalCount", "packetTotalCount"),
    *("sourceIPv4Address", "destinationIPv4Address", "sourceIPv6Address"),
    *("destinationIPv6Address", "sourceTransportPort", "destinationTransportPort"),
    *("protocolIdentifier", "tcpControlBits", "ipClassOfService", "flowStartMilliseconds"),
    *("flowEndMilliseconds", "flowStartSeconds", "flowEndSeconds", "flowStartSysUpTime"),
    *("flowEndSysUpTime", "ingressInterface", "egressInterface", "bgpSourceAsNumber"),
    *("bgpDestinationAsNumber", "ipNextHopIPv4Address", "ipNextHopIPv6Address"),
    *("sourceMacAddress", "destinationMacAddress", "vlanId", "applicationId"),
    *("applicationName", "flowDirection", "samplingInterval", "interfaceName"),
)
_RANKS = {name: rank for rank, name in enumerate(COMMON)}
#: Words of other tools: each stands for any of the parts of names after it.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "src": ("source", "src"),
    "dst": ("destination", "dst"),
    "dest": ("destination", "dest"),
    "ip": ("ipv4address", "ipv6address", "ip"),
    "ipaddress": ("ipv4address", "ipv6address"),
    "addr": ("address", "addr"),
    "port": ("transportport", "port"),
    "bytes": ("octet", "byte"),
    "byte": ("octet", "byte"),
    "octets": ("octet",),
    "packets": ("packet",),
    "pkts": ("packet", "pkts"),
    "pkt": ("packet", "pkt"),
    "proto": ("protocol", "proto"),
    "flags": ("controlbits", "flags"),
    "tos": ("classofservice", "tos"),
    "dscp": ("diffservcodepoint", "dscp"),
    "as": ("asnumber", "as"),
    "asn": ("asnumber", "asn"),
    "mac": ("macaddress", "mac"),
    "if": ("interface",),
    "input": ("ingress", "input"),
    "output": ("egress", "output"),
    "in": ("ingress", "in"),
    "out": ("egress", "out"),
    "vlan": ("vlan",),
    "app": ("application", "app"),
    "nexthop": ("nexthop",),
    "time": ("start", "end", "time"),
    "begin": ("start", "begin"),
    "last": ("end", "last"),
}
_WORD = re.compile(r"[A-Za-z]+|[0-9]+")
_GLUED = re.compile(r"(src|dst|dest)(?=[a-z])")


def split_words(text: str) -> list[str]:
    """Split a query into words: ``src_ip``, ``srcaddr`` and ``source ip`` into two."""
    words = []
    for word in _WORD.findall(text.casefold()):
        glued = _GLUED.match(word)
        words += [glued[1], word[glued.end() :]] if glued else [word]
    return words


def has_words(name: str, words: Iterable[str]) -> bool:
    """Return True if a name has each of the words, or a synonym of it."""
    folded = name.casefold()
    return all(any(part in folded for part in _SYNONYMS.get(word, (word,))) for word in words)


def rank(name: str, pen: int, is_deprecated: bool) -> tuple[int, bool, bool]:
    """Return the sort key of an element: common ones first, IANA's next, deprecated last."""
    common = _RANKS.get(name, len(_RANKS)) if pen == 0 else len(_RANKS)
    return common, pen != 0, is_deprecated


def find_elements(
    text: str,
    elements: Iterable[InformationElement],
    enterprises: Mapping[int, str],
    aliases: Callable[[InformationElement], Iterable[str]],
) -> list[InformationElement]:
    """Return the elements with ``text`` in name, alias, number or enterprise, by rank."""
    wanted, words = text.casefold(), split_words(text)

    def is_found(element: InformationElement) -> bool:
        return (
            wanted in element.name.casefold()
            or bool(words and has_words(element.name, words))
            or wanted in str(element.id)
            or wanted in enterprises.get(element.pen, "").casefold()
            or any(wanted in alias.casefold() for alias in aliases(element))
        )

    def key(element: InformationElement) -> tuple[object, ...]:
        is_deprecated = element.status == "deprecated"
        return *rank(element.name, element.pen, is_deprecated), element.pen, element.id

    return sorted(filter(is_found, elements), key=key)


def similar_names(name: str, preferred: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return up to three names for an unknown one: similar in spelling, or by its words."""
    words, known = split_words(name), list(names)
    by_words = [each for each in preferred if has_words(each, words)]
    by_words.sort(key=lambda each: (rank(each, 0, False), len(each)))
    found = (*close_matches(name, known, 0.85), *by_words, *close_matches(name, known))
    return list(dict.fromkeys(found))[:3]

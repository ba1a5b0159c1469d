# SPDX-License-Identifier: GPL-2.0-or-later
"""Framing: offsets of messages, Sets and Template Records (RFC 7011 3, RFC 3954 5).

Layers and sessions share these functions, so that they agree on the contents of a message.
None raises on octets from the wire.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from typing import NamedTuple

from scapy_ipfix.wire.diagnostics import Defect, shown_octets

IPFIX_VERSION = 10
V9_VERSION = 9
#: Names of the protocols by version.
PROTOCOLS = {IPFIX_VERSION: "IPFIX", V9_VERSION: "NetFlow v9"}
IPFIX_HEADER = struct.Struct("!HHIII")
V9_HEADER = struct.Struct("!HHIIII")
SET_HEADER = struct.Struct("!HH")

#: Set ids (RFC 7011 3.3.2) and FlowSet ids (RFC 3954 5.2, 6.1).
TEMPLATE_SET, OPTIONS_TEMPLATE_SET = 2, 3
TEMPLATE_FLOWSET, OPTIONS_TEMPLATE_FLOWSET = 0, 1
MINIMUM_DATA_SET = 256

_PAIR = struct.Struct("!HH")
_pair = _PAIR.unpack_from
_triple = struct.Struct("!HHH").unpack_from

#: Constructor of named tuples, one call less: a message may have 16,000 of them.
_new = tuple.__new__
#: Octets of the shortest Template Record: a withdrawal (RFC 7011 8.1).
SHORTEST_TEMPLATE = _PAIR.size

#: Set ids by version: (templates, options templates).
TEMPLATE_SETS = {
    IPFIX_VERSION: (TEMPLATE_SET, OPTIONS_TEMPLATE_SET),
    V9_VERSION: (TEMPLATE_FLOWSET, OPTIONS_TEMPLATE_FLOWSET),
}


class SetSpan(NamedTuple):
    """Set between two offsets, its header included."""

    set_id: int
    start: int
    stop: int


class Specifier(NamedTuple):
    """Field Specifier (RFC 7011 3.2); ``pen`` is 0 for IANA's and for NetFlow v9 types."""

    pen: int
    id: int
    length: int


class TemplateSpan(NamedTuple):
    """Template Record between two offsets; without specifiers, a withdrawal (IPFIX)."""

    template_id: int
    scope_count: int
    specifiers: tuple[Specifier, ...]
    start: int
    stop: int
    #: The element whose enterprise bit is set beside enterprise number 0 (RFC 7011 3.2).
    enterprise_zero: int | None = None


def find_message_end(octets: bytes, start: int = 0) -> tuple[int, Defect | None]:
    """Return the end of the IPFIX Message at ``start``, within the octets available."""
    length = int.from_bytes(octets[start + 2 : start + 4], "big")
    available = len(octets) - start
    if length < IPFIX_HEADER.size:
        return len(octets), Defect.make("message-length", length=length)
    if length > available:
        return len(octets), Defect.make("message-truncated", length=length, available=available)
    return start + length, None


def without_cut(defects: Iterable[Defect], missing: int) -> list[Defect]:
    """Return the defects of a message that ``missing`` octets at its end do not explain."""
    if not missing:
        return list(defects)
    found = []
    for defect in defects:
        if defect.code in ("message-truncated", "set-truncated"):
            numbers = dict(defect.numbers)
            if numbers["length"] - numbers["available"] <= missing:
                continue
        elif defect.code in ("header-truncated", "sets-trailing"):
            continue
        found.append(defect)
    return found


def walk_sets(octets: bytes, start: int, stop: int) -> tuple[list[SetSpan], list[Defect], int]:
    """Return the Sets between two offsets, their defects, and the end of the last Set.

    A Set that runs past ``stop`` ends there. Octets after the last Set are a defect: they are
    fewer than 4, or have a length below 4.
    """
    spans: list[SetSpan] = []
    defects: list[Defect] = []
    unpack = SET_HEADER.unpack_from
    while stop - start >= 4:
        set_id, length = unpack(octets, start)
        end = start + length
        if length < 4:
            break
        if end > stop:
            defects.append(
                Defect.make("set-truncated", set_id=set_id, length=length, available=stop - start)
            )
            end = stop
        spans.append(_new(SetSpan, (set_id, start, end)))
        start = end
    if start < stop:
        defects.append(_trailing_defect(octets[start:stop]))
    return spans, defects, start


def _trailing_defect(rest: bytes) -> Defect:
    """Return the defect of the octets after the last Set of a message."""
    if len(rest) < SET_HEADER.size:
        return Defect.make("sets-trailing", octets=len(rest), shown=shown_octets(rest))
    set_id, length = _pair(rest)
    if rest.count(0) == len(rest):
        return Defect.make("set-zero", octets=len(rest))
    return Defect.make("set-length", set_id=set_id, length=length)


def walk_templates(
    body: bytes, *, options: bool, version: int
) -> tuple[list[TemplateSpan], list[Defect], int]:
    """Return the Template Records in the body of a Set, defects, and the end of the last one.

    ``body`` is the Set without its header, ``options`` is True for Options Templates. Octets
    after the last record are padding or a truncated record.
    """
    if version == V9_VERSION:
        return _walk_v9_options(body) if options else _walk_v9(body)
    return _walk_ipfix(body, options)


def _walk_ipfix(body: bytes, options: bool) -> tuple[list[TemplateSpan], list[Defect], int]:
    spans: list[TemplateSpan] = []
    # A Template Set consists of units of two octets; positions count these.
    words = _words(body)
    position, end, zeros = 0, len(words), _zeros(body)
    while end - position >= 2:
        start = position
        template_id, count = words[position], words[position + 1]
        if template_id == 0 and 2 * position >= zeros:
            break  # padding of the length of a withdrawal
        position += 2
        scope = 0
        if options and count and position < end:
            scope = words[position]
            position += 1
        specifiers: list[Specifier] = []
        enterprise_zero = None
        for _ in range(count):
            if end - position < 2:
                break
            element_id, length = words[position], words[position + 1]
            pen = 0
            if element_id & 0x8000:
                if end - position < 4:
                    break
                element_id &= 0x7FFF
                pen = words[position + 2] << 16 | words[position + 3]
                position += 2
                if pen == 0:
                    enterprise_zero = element_id
            position += 2
            specifiers.append(_new(Specifier, (pen, element_id, length)))
        if len(specifiers) < count:
            defect = Defect.make("template-truncated", template_id=template_id, fields=count)
            return spans, [defect], 2 * start
        offsets = 2 * start, 2 * position
        span = template_id, scope, tuple(specifiers), *offsets, enterprise_zero
        spans.append(_new(TemplateSpan, span))
    return spans, [], 2 * position


def _zeros(octets: bytes) -> int:
    """Return the offset of the trailing zeros."""
    return len(octets.rstrip(b"\0"))


def _words(octets: bytes) -> array[int]:
    """Return the 16-bit numbers in network byte order, without an odd octet at the end."""
    words = array("H", octets[: len(octets) & ~1])
    if sys.byteorder == "little":
        words.byteswap()
    return words


def _walk_v9(body: bytes) -> tuple[list[TemplateSpan], list[Defect], int]:
    spans: list[TemplateSpan] = []
    position, end, zeros = 0, len(body), _zeros(body)
    while end - position >= 4:
        template_id, count = _pair(body, position)
        if template_id == 0 and position >= zeros:
            break
        stop = position + 4 + 4 * count
        if stop > end:
            defect = Defect.make("template-truncated", template_id=template_id, fields=count)
            return spans, [defect], position
        specifiers = _v9_specifiers(body[position + 4 : stop]) if count else ()
        spans.append(_new(TemplateSpan, (template_id, 0, specifiers, position, stop, None)))
        position = stop
    return spans, [], position


def _walk_v9_options(body: bytes) -> tuple[list[TemplateSpan], list[Defect], int]:
    spans: list[TemplateSpan] = []
    defects: list[Defect] = []
    position, end, zeros = 0, len(body), _zeros(body)
    while end - position >= 6:
        template_id, scope, options = _triple(body, position)
        if template_id == 0 and position >= zeros:
            break
        if scope % 4 or options % 4:
            defects.append(
                Defect.make("options-length", template_id=template_id, scope=scope, options=options)
            )
        middle = position + 6 + scope
        stop = middle + options
        if stop > end:
            count = scope // 4 + options // 4
            defects.append(Defect.make("template-truncated", template_id=template_id, fields=count))
            return spans, defects, position
        scopes = _v9_specifiers(body[position + 6 : middle]) if scope else ()
        fields = _v9_specifiers(body[middle:stop]) if options else ()
        span = template_id, len(scopes), scopes + fields, position, stop, None
        spans.append(_new(TemplateSpan, span))
        position = stop
    return spans, defects, position


def _v9_specifiers(octets: bytes) -> tuple[Specifier, ...]:
    whole = octets[: len(octets) & ~3]
    return tuple([_new(Specifier, (0, *each)) for each in _PAIR.iter_unpack(whole)])


def find_flaw(octets: bytes, size: int = 0) -> str:
    """Return why a UDP payload on a port without a binding is no export message, "" if it is.

    Its Sets have defined ids, and only zeros follow them. ``size`` is the number of octets in
    the datagram, of which a capture may have fewer.
    """
    version = int.from_bytes(octets[:2], "big")
    size = max(size, len(octets))
    if version == IPFIX_VERSION:
        start, stop = IPFIX_HEADER.size, int.from_bytes(octets[2:4], "big")
    elif version == V9_VERSION:
        start, stop = V9_HEADER.size, size
    else:
        return f"its version is {version}"
    if not start <= stop <= size:
        return f"its header says {stop} octets, the datagram has {size}"
    first, template_sets = start, TEMPLATE_SETS[version]
    while min(stop, len(octets)) - start >= SET_HEADER.size:
        set_id, length = _pair(octets, start)
        if length < SET_HEADER.size:
            break
        if set_id < MINIMUM_DATA_SET and set_id not in template_sets:
            return f"Set id {set_id} is reserved"
        start += length
    if start == first:
        return "it has no Set"
    if start > stop:
        return "its last Set is longer than the message"
    rest = octets[start:]
    if rest.count(0) != len(rest):
        return f"{len(rest)} octets that are not zero follow its last Set"
    return ""

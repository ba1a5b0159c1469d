# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things begin and end in a message: the one place that walks octets.

Messages are walked into Sets and Template Sets into Template Records, by offsets, without
making anything of them. Layers and sessions both read through these functions, so that they
cannot disagree about what a message holds. Nothing here raises on what it reads.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from scapy_ipfix.diagnostics import Defect

IPFIX_VERSION = 10
V9_VERSION = 9
IPFIX_HEADER = struct.Struct("!HHIII")
V9_HEADER = struct.Struct("!HHIIII")
SET_HEADER = struct.Struct("!HH")

#: Set ids (RFC 7011 3.3.2) and FlowSet ids (RFC 3954 5.2, 6.1).
TEMPLATE_SET, OPTIONS_TEMPLATE_SET = 2, 3
TEMPLATE_FLOWSET, OPTIONS_TEMPLATE_FLOWSET = 0, 1
MINIMUM_DATA_SET = 256

_PAIR = struct.Struct("!HH")
_PEN = struct.Struct("!I")
_TRIPLE = struct.Struct("!HHH")

#: Octets of the shortest Template Record: a withdrawal (RFC 7011 8.1).
SHORTEST_TEMPLATE = _PAIR.size

#: Set ids by version: (templates, options templates).
TEMPLATE_SETS = {
    IPFIX_VERSION: (TEMPLATE_SET, OPTIONS_TEMPLATE_SET),
    V9_VERSION: (TEMPLATE_FLOWSET, OPTIONS_TEMPLATE_FLOWSET),
}


class SetSpan(NamedTuple):
    """A Set between two offsets, its header included."""

    set_id: int
    start: int
    stop: int


class Specifier(NamedTuple):
    """A Field Specifier (RFC 7011 3.2): ``pen`` 0 for IANA's and for NetFlow v9 types."""

    pen: int
    id: int
    length: int


class TemplateSpan(NamedTuple):
    """A Template Record between two offsets; no specifiers means a withdrawal (IPFIX)."""

    template_id: int
    scope_count: int
    specifiers: tuple[Specifier, ...]
    start: int
    stop: int
    #: Whether the enterprise bit stood before number 0, which RFC 7011 does not allow.
    enterprise_zero: int | None = None


def message_stop(octets: bytes, start: int = 0) -> tuple[int, Defect | None]:
    """Where the IPFIX Message that begins at ``start`` ends, whatever its header says."""
    length = int.from_bytes(octets[start + 2 : start + 4], "big")
    available = len(octets) - start
    if length < IPFIX_HEADER.size:
        return len(octets), Defect.of("message-length", length=length)
    if length > available:
        return len(octets), Defect.of("message-truncated", length=length, available=available)
    return start + length, None


def walk_sets(octets: bytes, start: int, stop: int) -> tuple[list[SetSpan], list[Defect], int]:
    """The Sets between two offsets, what is wrong with them, and where the walk ended.

    A Set that runs past ``stop`` ends there. What begins at the last offset is no Set: fewer
    than 4 octets, or a length that leads nowhere.
    """
    spans: list[SetSpan] = []
    defects: list[Defect] = []
    unpack = SET_HEADER.unpack_from
    while stop - start >= 4:
        set_id, length = unpack(octets, start)
        end = start + length
        if length < 4:
            if octets.count(0, start, stop) != stop - start:
                defects.append(Defect.of("set-length", set_id=set_id, length=length))
            break
        if end > stop:
            defects.append(
                Defect.of("set-truncated", set_id=set_id, length=length, available=stop - start)
            )
            end = stop
        spans.append(SetSpan(set_id, start, end))
        start = end
    return spans, defects, start


def walk_templates(
    body: bytes, *, options: bool, version: int
) -> tuple[list[TemplateSpan], list[Defect], int]:
    """The Template Records in the body of a Set, what is wrong, and where the walk ended.

    ``body`` is the Set without its header; ``options`` says which kind of Set it is. What
    begins at the last offset is padding, or a record that the Set cuts off.
    """
    if version == V9_VERSION:
        return _walk_v9_options(body) if options else _walk_v9(body)
    return _walk_ipfix(body, options)


def _walk_ipfix(body: bytes, options: bool) -> tuple[list[TemplateSpan], list[Defect], int]:
    spans: list[TemplateSpan] = []
    defects: list[Defect] = []
    position, end = 0, len(body)
    while end - position >= 4:
        start = position
        template_id, count = _PAIR.unpack_from(body, position)
        if template_id == 0 and body.count(0, position) == end - position:
            break  # padding that is as long as a withdrawal
        position += 4
        scope = 0
        if options and count:
            if end - position < 2:
                defects.append(
                    Defect.of("template-truncated", template_id=template_id, fields=count)
                )
                return spans, defects, start
            scope = int.from_bytes(body[position : position + 2], "big")
            position += 2
        specifiers: list[Specifier] = []
        enterprise_zero = None
        for _ in range(count):
            if end - position < 4:
                break
            element_id, length = _PAIR.unpack_from(body, position)
            pen = 0
            if element_id & 0x8000:
                if end - position < 8:
                    break
                element_id &= 0x7FFF
                (pen,) = _PEN.unpack_from(body, position + 4)
                position += 4
                if pen == 0:
                    enterprise_zero = element_id
            position += 4
            specifiers.append(Specifier(pen, element_id, length))
        if len(specifiers) < count:
            defects.append(Defect.of("template-truncated", template_id=template_id, fields=count))
            return spans, defects, start
        spans.append(
            TemplateSpan(template_id, scope, tuple(specifiers), start, position, enterprise_zero)
        )
    return spans, defects, position


def _walk_v9(body: bytes) -> tuple[list[TemplateSpan], list[Defect], int]:
    spans: list[TemplateSpan] = []
    position, end = 0, len(body)
    while end - position >= 4:
        template_id, count = _PAIR.unpack_from(body, position)
        if template_id == 0 and body.count(0, position) == end - position:
            break
        stop = position + 4 + 4 * count
        if stop > end:
            defect = Defect.of("template-truncated", template_id=template_id, fields=count)
            return spans, [defect], position
        specifiers = _v9_specifiers(body[position + 4 : stop])
        spans.append(TemplateSpan(template_id, 0, specifiers, position, stop))
        position = stop
    return spans, [], position


def _walk_v9_options(body: bytes) -> tuple[list[TemplateSpan], list[Defect], int]:
    spans: list[TemplateSpan] = []
    defects: list[Defect] = []
    position, end = 0, len(body)
    while end - position >= 6:
        template_id, scope, options = _TRIPLE.unpack_from(body, position)
        if template_id == 0 and body.count(0, position) == end - position:
            break
        if scope % 4 or options % 4:
            defects.append(
                Defect.of("options-length", template_id=template_id, scope=scope, options=options)
            )
        middle = position + 6 + scope
        stop = middle + options
        if stop > end:
            count = scope // 4 + options // 4
            defects.append(Defect.of("template-truncated", template_id=template_id, fields=count))
            return spans, defects, position
        scopes = _v9_specifiers(body[position + 6 : middle])
        fields = _v9_specifiers(body[middle:stop])
        spans.append(TemplateSpan(template_id, len(scopes), scopes + fields, position, stop))
        position = stop
    return spans, defects, position


def _v9_specifiers(octets: bytes) -> tuple[Specifier, ...]:
    whole = len(octets) & ~3
    return tuple(Specifier(0, kind, length) for kind, length in _PAIR.iter_unpack(octets[:whole]))


def is_export(octets: bytes) -> bool:
    """Whether a UDP payload is unmistakably an export message, whatever port it came from.

    Its Sets must add up to the last octet and have ids that there are; IPFIX gives its length
    besides, which must be the payload's.
    """
    version = int.from_bytes(octets[:2], "big")
    if version == IPFIX_VERSION and octets[2:4] == len(octets).to_bytes(2, "big"):
        start = IPFIX_HEADER.size
    elif version == V9_VERSION:
        start = V9_HEADER.size
    else:
        return False
    template_sets = TEMPLATE_SETS[version]
    spans, defects, stop = walk_sets(octets, start, len(octets))
    return (
        bool(spans)
        and not defects
        and stop == len(octets)
        and all(span.set_id >= MINIMUM_DATA_SET or span.set_id in template_sets for span in spans)
    )

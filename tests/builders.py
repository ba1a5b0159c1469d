# SPDX-License-Identifier: GPL-2.0-or-later
"""Builders of messages that the tests of several packages use.

Functions named ``raw_*`` make octets without the package under test, invalid ones too. The
others make layers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    NetFlowV9,
    OptionsTemplateFlowSet,
    OptionsTemplateSet,
    Template,
    TemplateFlowSet,
    TemplateSet,
)

#: Export time of raw messages, seconds since 1970.
EXPORTED = 1_700_000_000

# -- octets


def raw_message(
    *sets: bytes, domain: int = 1, sequence: int = 0, exported: int = EXPORTED
) -> bytes:
    """Return an IPFIX Message of Sets (RFC 7011 3.1)."""
    body = b"".join(sets)
    return struct.pack("!HHIII", 10, 16 + len(body), exported, sequence, domain) + body


def raw_v9_message(
    *sets: bytes, source: int = 1, sequence: int = 0, exported: int = 0, count: int = 0
) -> bytes:
    """Return a NetFlow v9 packet of FlowSets (RFC 3954 5.1)."""
    return struct.pack("!HHIIII", 9, count, 0, exported, sequence, source) + b"".join(sets)


def raw_set(set_id: int, body: bytes = b"", length: int | None = None) -> bytes:
    """Return a Set or FlowSet; ``length`` is the one in its header, None for the right one."""
    return struct.pack("!HH", set_id, 4 + len(body) if length is None else length) + body


def raw_template(template_id: int, *fields: tuple[int, int], pen: int = 0) -> bytes:
    """Return a Template Record of pairs of element and length; ``pen`` is of all elements."""
    octets = struct.pack("!HH", template_id, len(fields))
    for element, length in fields:
        octets += struct.pack("!HH", element | (0x8000 if pen else 0), length)
        octets += pen.to_bytes(4, "big") if pen else b""
    return octets


def raw_options(template_id: int, scope: int, *fields: tuple[int, int]) -> bytes:
    """Return an Options Template Record of IPFIX with ``scope`` scope fields."""
    octets = struct.pack("!HHH", template_id, len(fields), scope)
    return octets + b"".join(struct.pack("!HH", *each) for each in fields)


def raw_template_set(template: Template) -> bytes:
    """Return the Set of IPFIX that defines a template."""
    octets = struct.pack("!HH", template.id, len(template.fields))
    if template.is_options:
        octets += struct.pack("!H", template.scope_count)
    for field in template.fields:
        element = field.element
        octets += struct.pack("!HH", element.id | (0x8000 if element.pen else 0), field.length)
        octets += struct.pack("!I", element.pen) if element.pen else b""
    return raw_set(3 if template.is_options else 2, octets)


def raw_pcap(frames: Iterable[bytes], link_type: int = 1) -> bytes:
    """Return a pcap of frames, a second apart; Scapy's writer chooses its own link type."""
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, link_type)
    for second, frame in enumerate(frames, EXPORTED):
        octets += struct.pack("<IIII", second, 0, len(frame), len(frame)) + frame
    return octets


# -- layers


def template_sets(*templates: Template, version: int = 10) -> list[Any]:
    """Return a Template Set or Options Template Set for each template."""
    if version == 9:
        kinds = TemplateFlowSet, OptionsTemplateFlowSet
    else:
        kinds = TemplateSet, OptionsTemplateSet
    return [kinds[each.is_options](templates=[each]) for each in templates]


def data_set(template: Template, rows: Iterable[Any], version: int = 10) -> Any:
    """Return a Data Set of records."""
    return (DataFlowSet if version == 9 else DataSet)(template=template, records=list(rows))


def message(
    *sets: Any, version: int = 10, domain: int = 0, sequence: int = 0, **header: Any
) -> Any:
    """Return a message of Sets, exported at 0 unless ``header`` has the time."""
    number = {"sequenceNumber": sequence, "sets": list(sets)}
    if version == 9:
        return NetFlowV9(**{"unixSecs": 0, "sourceId": domain, **number, **header})
    return IPFIX(**{"exportTime": 0, "observationDomainId": domain, **number, **header})


def message_octets(*sets: Any, **arguments: Any) -> bytes:
    """Return the octets of :func:`message`."""
    return bytes(message(*sets, **arguments))


# -- results


def codes(found: Iterable[Any]) -> list[str]:
    """Return the codes of defects or diagnostics."""
    return [each.code for each in found]


def codes_without_sequence(state: Any) -> list[str]:
    """Return the codes of a session or collector, for messages that are not numbered."""
    return [each for each in codes(state.diagnostics) if not each.startswith("sequence")]

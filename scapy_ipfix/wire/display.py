# SPDX-License-Identifier: GPL-2.0-or-later
"""Text of values: names of enumerations and flags, and elements that pack several numbers.

The latter are MPLS label stack entries (RFC 3032), application ids (RFC 6759), and ICMP type
and code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from scapy_ipfix.model.applicationid import application_text
from scapy_ipfix.model.model import elements
from scapy_ipfix.text import printable
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template, cached_per_template


def value_text(field: TemplateField, value: Any) -> str | None:
    """Return the text of a value, None if that of its data type suffices."""
    values = field.element.values
    if values is not None and isinstance(value, int):
        name = values.text(value)
        if name:
            return name
    packed = _PACKED.get(field.element.name)
    return packed(value) if packed is not None else None


def _label(value: Any) -> str | None:
    """Format label, traffic class (formerly EXP) and the bottom of the stack."""
    if not isinstance(value, bytes) or len(value) not in (3, 4):
        return None
    entry = int.from_bytes(value[:3], "big")
    text = f"label={entry >> 4} exp={entry >> 1 & 7} bottom={entry & 1}"
    return text if len(value) == 3 else f"{text} ttl={value[3]}"


def _application(value: Any) -> str | None:
    """Format the name of the engine, then the selector."""
    if isinstance(value, int):
        value = value.to_bytes(4, "big")  # some exporters define it as unsigned32
    if not isinstance(value, bytes) or len(value) < 2:
        return None
    engines = elements.element(0, 101).values
    engine = engines.text(value[0]) if engines is not None else None
    number, _, selector = application_text(value).partition(":")
    return f"{engine or number}:{selector}"


def _type_and_code(value: Any) -> str | None:
    return f"type {value >> 8} code {value & 255}" if isinstance(value, int) else None


_PACKED: dict[str, Callable[[Any], str | None]] = {
    "mplsTopLabelStackSection": _label,
    "mplsLabelStackSection": _label,
    **{f"mplsLabelStackSection{i}": _label for i in range(2, 11)},
    "applicationId": _application,
    "icmpTypeCodeIPv4": _type_and_code,
    "icmpTypeCodeIPv6": _type_and_code,
    "ethernetType": lambda value: f"0x{value:04x}" if isinstance(value, int) else None,
}


def _octets(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


@cached_per_template
def field_texts(template: Template) -> tuple[Callable[[Any], str], ...]:
    """Return for each field of a template the function that formats its values."""
    return tuple(_formatter(field) for field in template.fields)


def _formatter(field: TemplateField) -> Callable[[Any], str]:
    kind = field.data_type
    plain = str if kind.name == "string" else kind.to_text

    def text(value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, list):
            return printable(json.dumps(value, default=_octets))
        named = value_text(field, value)
        if named is not None:
            return printable(named)
        if isinstance(value, bytes):
            if kind.name != "string":
                return value.hex()
            value = value.decode("utf-8", "replace")
        return printable(plain(value))

    return text

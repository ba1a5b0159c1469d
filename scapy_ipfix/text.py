# SPDX-License-Identifier: GPL-2.0-or-later
"""Values as text for a terminal, a table or a CSV file, whatever came off the wire.

A string from the wire may hold control characters, terminal escapes or 64 KiB. None of that
may reach the terminal or break a line.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from scapy_ipfix.formats import value_text
from scapy_ipfix.templatefield import TemplateField
from scapy_ipfix.templates import Template, kept_by_template

#: Longest cell of a table.
CELL = 48


def printable(text: str) -> str:
    """``text`` with everything that is not printable escaped as Python would write it."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def counted(number: int, what: str) -> str:
    """``1 record``, ``2 records``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def cut(text: str, width: int = CELL) -> str:
    """``text`` in at most ``width`` characters."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _octets(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


@kept_by_template
def field_texts(template: Template) -> tuple[Callable[[Any], str], ...]:
    """For each field of a template, what makes text of its value in the Scapy domain."""
    return tuple(_texter(field) for field in template.fields)


def _texter(field: TemplateField) -> Callable[[Any], str]:
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

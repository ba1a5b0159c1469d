# SPDX-License-Identifier: GPL-2.0-or-later
"""Table of Information Elements, for what a search gives at a prompt."""

from __future__ import annotations

from scapy_ipfix.model.iespec import InformationElement
from scapy_ipfix.text import table


class ElementTable(list[InformationElement]):
    """A list of elements that prints as a table."""

    def __repr__(self) -> str:
        rows = [
            (each.name, str(each.id), str(each.pen), each.type.name, each.semantics, each.units)
            for each in self
        ]
        return table(("name", "id", "pen", "type", "semantics", "units"), rows)

    __str__ = __repr__

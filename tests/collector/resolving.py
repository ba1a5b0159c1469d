# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolved values of records by the facts of a view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scapy_ipfix.collector.contextview import ContextView
from scapy_ipfix.wire.resolvedvalues import ResolvedColumns, add_resolved, resolved_names
from scapy_ipfix.wire.template import Template


def resolve_one(view: ContextView, template: Template, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resolved values of a record."""
    resolved = dict(values)
    resolve_many(view, template, [resolved])
    return {name: resolved[name] for name in resolved_names(template)}


def resolve_many(view: ContextView, template: Template, records: Sequence[dict[str, Any]]) -> None:
    """Add the resolved values of many records to each of them."""

    def column(name: str) -> list[Any]:
        return [record.get(name) for record in records]

    columns = ResolvedColumns(view, template, len(records), column, view.header)
    add_resolved(columns, records, "scapy")

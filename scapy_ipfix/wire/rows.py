# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows that a user gives for the Data Records of a template: dicts and tuples, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scapy_ipfix.wire.template import Template


def arrange_rows(
    template: Template,
    rows: Iterable[Any],
    fields: Sequence[str] | None = None,
    *,
    defaults: bool = False,
    ignore_extra: bool = False,
) -> Iterator[Any]:
    """Yield rows in the order of a template.

    ``fields`` are the names of the values in rows that are tuples. ``defaults`` and
    ``ignore_extra`` are as in :meth:`Template.row`. Octets and packets pass. Raises ValueError
    that has the number of the row, from 0.
    """
    if isinstance(fields, str):
        raise ValueError(f"fields is a list of names, write [{fields!r}]")
    for number, row in enumerate(rows):
        if isinstance(row, (bytes, bytearray)) or not isinstance(row, (Mapping, Sequence)):
            yield row
            continue
        if fields is not None and not isinstance(row, Mapping):
            if len(row) != len(fields):
                raise ValueError(f"row {number}: {len(row)} values for {len(fields)} fields")
            row = dict(zip(fields, row))
        try:
            yield template.row(row, defaults=defaults, ignore_extra=ignore_extra)
        except ValueError as problem:
            raise ValueError(f"row {number}: {problem}") from None

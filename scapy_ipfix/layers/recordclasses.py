# SPDX-License-Identifier: GPL-2.0-or-later
"""Packet classes for Data Records: one for each record layout, a bounded number of them.

Making a Packet class takes as long as reading thousands of records, so equal layouts share one
and the most recent ones are cached. Scapy remembers the fields of every Packet class for ever;
these classes hold their field tables themselves, so that evicted ones free their memory.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable
from functools import lru_cache
from keyword import kwlist
from typing import Any, Generic, TypeVar

from scapy.packet import Packet

from scapy_ipfix.layers.fields import element_field
from scapy_ipfix.wire.codec import WIDE
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template

#: Record classes in the cache.
CLASS_CACHE = 512
#: The same for layouts of more than WIDE fields: one of 16,000 fields takes 13 MB.
WIDE_CLASSES = 8
#: A class is part of a reference cycle, so an evicted one lives until Python collects garbage.
#: Collection is forced after this many new classes, where every _FIELDS fields count as one more.
_MAX_UNCOLLECTED, _FIELDS = 4 * CLASS_CACHE, 64

#: Arguments of Packet.__init__ that are no attributes of the packet.
PACKET_ARGUMENTS = frozenset({"post_transform", "stop_dissection_after"})
_NO_IDENTIFIER = re.compile(r"\W", re.ASCII)

PacketT = TypeVar("PacketT", bound=Packet)


class RecordClasses(Generic[PacketT]):
    """Cache of subclasses of ``base``, by record layout."""

    def __init__(self, base: type[PacketT]) -> None:
        self._base = base
        self._reserved = (
            PACKET_ARGUMENTS | base.__all_slots__ | {*kwlist, "_internal", "_underlayer"}
        )
        self._uncollected = 0.0
        self._by_layout = lru_cache(CLASS_CACHE)(self._make)
        # The key is the template, whose hash is cached, unlike that of thousands of fields.
        self._wide = lru_cache(WIDE_CLASSES)(
            lambda template: self._make(template.fields, template.scope_count)
        )

    def get(self, template: Template) -> type[PacketT]:
        """Return the class for records of a template."""
        if len(template.fields) > WIDE:
            return self._wide(template)
        return self._by_layout(template.fields, template.scope_count)

    def _make(self, layout: tuple[TemplateField, ...], scope_count: int) -> type[PacketT]:
        self._collect_evicted(len(layout))
        attributes = self._attribute_names(layout)
        fields = [element_field(name, field) for name, field in zip(attributes, layout)]
        title = "Data Record"
        if scope_count:
            scope = ", ".join(field.name for field in layout[:scope_count])
            title = f"Options Data Record, scope {scope}"
        # Scapy keeps every class whose name begins without an underscore in conf.layers for
        # ever, and compares each field of a new class with all others; so name and fields are
        # set afterwards.
        cls: Any = type(self._base)(
            "_Record",
            (self._base,),
            {
                "__module__": self._base.__module__,
                "name": title,
                "_layout": layout,
                "_defaults": {field.name: field.default for field in fields},
                "_fieldtype": {field.name: field for field in fields},
                "_codec": Template.from_fields(256, layout).codec,
                "_blanks": None,
                "_packetfields": [field for field in fields if field.holds_packets],
                "_attributes": attributes,
            },
        )
        cls.__name__ = cls.__qualname__ = self._base.__name__
        cls.fields_desc = fields
        # Fields are descriptors, so that reading one avoids Packet.__getattr__.
        for field in fields:
            setattr(cls, field.name, field)
        return cls  # type: ignore[no-any-return]

    def _collect_evicted(self, fields: int) -> None:
        """Count a new class of ``fields`` fields; free evicted ones when there are too many."""
        self._uncollected += 1 + fields / _FIELDS
        if self._uncollected >= _MAX_UNCOLLECTED and gc.isenabled():
            self._uncollected = 0.0
            gc.collect()

    def _attribute_names(self, layout: Iterable[TemplateField]) -> tuple[str, ...]:
        """Return the names of fields as distinct Python identifiers.

        A name that Packet uses itself, or that an earlier field has, is followed by ``_``, the
        third of one name by ``__``. The fourth is ``name_4``: thousands may have one name.
        """
        names: dict[str, None] = {}
        tried: dict[str, int] = {}
        for field in layout:
            base = _NO_IDENTIFIER.sub("_", field.name)
            number = tried.get(base, 0)
            while True:
                name = base + ("_" * number if number < 3 else f"_{number + 1}")
                number += 1
                if not (name in names or name in self._reserved or hasattr(self._base, name)):
                    break
            tried[base] = number
            names[name] = None
        return tuple(names)

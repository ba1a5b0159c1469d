# SPDX-License-Identifier: GPL-2.0-or-later
"""Template Records of a Set as templates; the results for equal octets are cached.

Exporters repeat their templates over UDP: equal octets give the same Template objects again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from scapy_ipfix.collector.learnedtypes import LearnedTypes
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.model.model import InformationModel
from scapy_ipfix.wire.diagnostics import Defect, shown_octets
from scapy_ipfix.wire.framing import (
    IPFIX_VERSION,
    SHORTEST_TEMPLATE,
    TEMPLATE_SETS,
    TemplateSpan,
    walk_templates,
)
from scapy_ipfix.wire.template import Template

#: Octets of the longest Set that is cached, and the number of cached Sets.
_CACHED_SET = 4096
_CACHED_SETS = 1024
#: Octets of all cached Sets: templates of unknown elements take a hundred times as many.
_CACHED_OCTETS = 1 << 18


class ParsedTemplate(NamedTuple):
    """Template Record, its template and what is wrong with it.

    The template is None for a withdrawal, and for a record that makes none.
    """

    span: TemplateSpan
    template: Template | None
    defects: list[Defect]


class TemplateParser:
    """Parser of Template Sets and Options Template Sets (RFC 7011 3.4, RFC 3954 5.2)."""

    def __init__(self) -> None:
        self._cache: dict[tuple[Any, ...], list[ParsedTemplate]] = {}
        self._cached_octets = 0

    def __len__(self) -> int:
        """Return the number of cached Sets."""
        return len(self._cache)

    def parse(
        self,
        body: bytes,
        options: bool,
        version: int,
        learned_types: LearnedTypes,
        transport: TransportKey,
        most: int,
    ) -> tuple[list[ParsedTemplate], Sequence[Defect]]:
        """Return the Template Records in the body of a Set, and what is wrong with the Set.

        Elements have the names that ``transport`` taught ``learned_types``. Of records that
        are no withdrawals, those beyond ``most`` have no template.
        """
        key = version, options, learned_types.version(transport), body
        known = self._cache.get(key)
        if known is not None and len(known) <= most:
            return known, ()
        spans, defects, stop = walk_templates(body, options=options, version=version)
        model = learned_types.model(transport)
        parsed = []
        for span in spans:
            if not span.specifiers and version == IPFIX_VERSION:
                parsed.append(ParsedTemplate(span, None, []))
                continue
            most -= 1
            if most >= 0:
                parsed.append(_parse_record(span, version, model, options))
            else:
                parsed.append(ParsedTemplate(span, None, []))
        if stop < len(body) and not defects:
            defects = _padding_defects(body[stop:], TEMPLATE_SETS[version][options])
        if not defects and most >= 0 and len(body) <= _CACHED_SET:
            self._keep(key, parsed, len(body))
        return parsed, defects

    def _keep(self, key: tuple[Any, ...], parsed: list[ParsedTemplate], octets: int) -> None:
        self._cached_octets += octets
        if len(self._cache) >= _CACHED_SETS or self._cached_octets > _CACHED_OCTETS:
            self._cache.clear()
            self._cached_octets = octets
        self._cache[key] = parsed


def _padding_defects(padding: bytes, set_id: int) -> list[Defect]:
    size = len(padding)
    if padding.count(0) != size:
        return [Defect.make("padding-nonzero", set_id=set_id, octets=shown_octets(padding))]
    if size >= SHORTEST_TEMPLATE:
        record = SHORTEST_TEMPLATE
        return [Defect.make("padding-long", set_id=set_id, padding=size, record=record)]
    return []


def _parse_record(
    span: TemplateSpan, version: int, model: InformationModel, options: bool
) -> ParsedTemplate:
    id = span.template_id
    if not span.specifiers:
        return ParsedTemplate(span, None, Template.from_fields(id, ()).defects())
    template = Template.from_wire(span, version, model, options)
    defects = template.defects(version)
    if options and version == IPFIX_VERSION:
        scope, fields = span.scope_count, len(span.specifiers)
        if not 0 < scope <= fields:
            numbers = {"template_id": id, "scope": scope, "fields": fields}
            defects.append(Defect.make("template-scope", **numbers))
    if span.enterprise_zero is not None:
        defects.append(Defect.make("enterprise-zero", template_id=id, id=span.enterprise_zero))
    return ParsedTemplate(span, template, defects)

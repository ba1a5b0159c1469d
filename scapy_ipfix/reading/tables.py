# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables of a session: its templates, and its counters by Observation Domain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.text import Table
from scapy_ipfix.wire.framing import V9_VERSION
from scapy_ipfix.wire.template import Template

_SECONDS = data_type("dateTimeSeconds")
#: Templates that the text of an error lists.
_LISTED = 8


class TemplateRow(NamedTuple):
    """Template in force: one row of :attr:`IPFIXSession.templates`."""

    exporter: str
    domain: int
    id: int
    version: str
    kind: str
    refreshes: int
    template: Template

    @property
    def fields(self) -> str:
        """The fields of the template as IESpecs."""
        return ", ".join(map(str, self.template.fields))


class LowerBound(int):
    """Number of lost records that may be too low: some message could not be counted."""

    def __str__(self) -> str:
        return f"{int(self)} or more" if self else "unknown"

    def __repr__(self) -> str:
        return f"LowerBound({int(self)})"


class StatsRow(NamedTuple):
    """Counters of an Observation Domain: one row of :attr:`IPFIXSession.stats`.

    ``lost`` is a :class:`LowerBound` where Data Sets could not be counted, as their template
    is unknown. ``first_export`` and ``last_export`` are ISO text in UTC.
    """

    exporter: str
    domain: int
    version: str
    messages: int
    octets: int
    templates: int
    records: int
    undecoded_sets: int
    lost: int
    reordered: int
    first_export: str
    last_export: str


def template_table(domains: Iterable[Domain]) -> Table[TemplateRow]:
    """Return the templates in force in Observation Domains."""
    rows = (
        TemplateRow(
            str(domain.transport),
            domain.id,
            template.id,
            _version(domain),
            "options" if template.is_options else "data",
            domain.templates.states[template.id].refreshes,
            template,
        )
        for domain in domains
        for _, template in sorted(domain.templates.items())
    )
    return Table((*TemplateRow._fields[:-1], "fields"), rows)


def stats_table(domains: Iterable[Domain]) -> Table[StatsRow]:
    """Return the counters of Observation Domains."""
    return Table(StatsRow._fields, map(_stats_row, domains))


def _stats_row(domain: Domain) -> StatsRow:
    stats, sequence = domain.stats, domain.sequence
    return StatsRow(
        str(domain.transport),
        domain.id,
        _version(domain),
        stats.messages,
        stats.octets,
        stats.templates,
        stats.records,
        stats.undecoded_sets,
        LowerBound(sequence.lost) if sequence.unknown else sequence.lost,
        sequence.reordered,
        _utc(stats.first_export),
        _utc(stats.last_export),
    )


def _version(domain: Domain) -> str:
    return "v9" if domain.version == V9_VERSION else "IPFIX"


def _utc(seconds: int | None) -> str:
    return "" if seconds is None else _SECONDS.to_text(seconds)


def find_template(
    domains: Iterable[Domain], template_id: int, domain: int | None, exporter: str | None
) -> Template:
    """Return the one template in force with an id, in Observation Domains that match.

    ``exporter`` is as in the tables, or its address alone. Raises LookupError if there is no
    such template, ValueError if several match that are not equal.
    """
    found: list[tuple[Domain, Template]] = []
    known: list[str] = []
    for each in domains:
        known += [f"{number} ({_place(each)})" for number in sorted(each.templates)]
        if (
            template_id in each.templates
            and domain in (None, each.id)
            and exporter in (None, str(each.transport), each.transport.source)
        ):
            found.append((each, each.templates[template_id]))
    if not found:
        wanted = [f"template {template_id}"]
        wanted += [] if domain is None else [f"in domain {domain}"]
        wanted += [] if exporter is None else [f"of exporter {exporter}"]
        raise LookupError(f"no {' '.join(wanted)}; there are: {_some(known) or 'no templates'}")
    templates = {template for _, template in found}
    if len(templates) > 1:
        places = _some([_place(each) for each, _ in found])
        raise ValueError(
            f"{len(templates)} templates have id {template_id}, give domain= or exporter=: {places}"
        )
    return templates.pop()


def _place(domain: Domain) -> str:
    return f"exporter {domain.transport}, domain {domain.id}"


def _some(items: list[str]) -> str:
    rest = len(items) - _LISTED
    return "; ".join(items[:_LISTED]) + (f"; and {rest} more" if rest > 0 else "")

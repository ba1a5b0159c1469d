# SPDX-License-Identifier: GPL-2.0-or-later
"""What an observation domain keeps of each of its templates, and what it counts."""

from __future__ import annotations

from dataclasses import dataclass

from scapy_ipfix.wire.template import Template


@dataclass(slots=True)
class TemplateState:
    """A template as one domain has it: how often it came, and when last (capture time)."""

    template: Template
    refreshes: int = 0
    seen: float = 0.0
    #: Which lesson of the exporter it has the names of (:meth:`LearnedTypes.version`).
    version: int = 0


@dataclass(slots=True)
class DomainStats:
    """What one observation domain has sent. Times are export times, seconds since 1970."""

    messages: int = 0
    octets: int = 0
    records: int = 0
    templates: int = 0
    undecoded_sets: int = 0
    first_export: int | None = None
    last_export: int | None = None
    #: NetFlow v9: milliseconds since the exporter booted, as its last message had it.
    uptime: int | None = None

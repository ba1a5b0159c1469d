# SPDX-License-Identifier: GPL-2.0-or-later
"""Findings on the wire: what was wrong, where, and a bounded list of them.

A layer sees octets only and notes a :class:`Defect`. A session knows their origin and makes a
:class:`Diagnostic` of it. Each code has an entry in :data:`~scapy_ipfix.wire.catalogue.CATALOGUE`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from typing import Any, NamedTuple, overload

from scapy_ipfix.wire.catalogue import CATALOGUE, ERROR, NOTE, WARNING

log = logging.getLogger("scapy.ipfix")
_LEVELS = {NOTE: logging.INFO, WARNING: logging.WARNING, ERROR: logging.ERROR}
#: Findings of a code that are logged; the session counts the others.
LOGGED_PER_CODE = 10
#: Octets that a finding shows: a message may end in 65,000 of padding.
_SHOWN = 64
_IPFIX = 10


def shown_octets(octets: bytes) -> str:
    """Return octets in hexadecimal for the text of a finding, the first ones of many."""
    text = octets[:_SHOWN].hex(" ")
    return text if len(octets) <= _SHOWN else f"{text} ... ({len(octets)} octets)"


class Defect(NamedTuple):
    """Finding of a layer in its own octets: a code, the numbers of the case, the protocol version.

    The same octets may be wrong in IPFIX and in NetFlow v9, so that the version is set by the
    message: :func:`cite_version`.
    """

    code: str
    numbers: tuple[tuple[str, Any], ...] = ()
    version: int = _IPFIX

    @classmethod
    def make(cls, code: str, **numbers: Any) -> Defect:
        """Return a defect with the numbers that the text of its code names."""
        return cls(code, tuple(numbers.items()))

    @property
    def severity(self) -> str:
        return CATALOGUE[self.code].severity

    @property
    def section(self) -> str:
        """RFC section of the protocol, such as ``RFC 7011 3.3.2``."""
        return CATALOGUE[self.code].section(self.version)

    @property
    def text(self) -> str:
        """Sentence that states the fact."""
        return CATALOGUE[self.code].text.format(**dict(self.numbers))

    def __str__(self) -> str:
        return f"{self.severity}: {self.text} [{self.section}]"


def cite_version(defects: Iterable[Defect], version: int) -> list[Defect]:
    """Return defects of a message of a protocol version, which cite the RFC of that protocol."""
    return [Defect(defect.code, defect.numbers, version) for defect in defects]


class Diagnostic(NamedTuple):
    """Defect and its place: packet (from 1), exporter, domain, Set (from 0)."""

    defect: Defect
    packet: int = 0
    exporter: str = ""
    domain: int | None = None
    set_index: int | None = None

    @property
    def code(self) -> str:
        return self.defect.code

    @property
    def severity(self) -> str:
        return self.defect.severity

    @property
    def section(self) -> str:
        """RFC section of the protocol in which the finding was made."""
        return self.defect.section

    @property
    def text(self) -> str:
        return self.defect.text

    def __str__(self) -> str:
        where = f"packet {self.packet}"
        if self.exporter:
            where += f", {self.exporter}"
        if self.domain is not None:
            where += f", domain {self.domain}"
        if self.set_index is not None:
            where += f", Set {self.set_index}"
        return f"{self.severity}: {where}: {self.text} [{self.section}]"


#: Numbers of a finding by name.
_Numbers = dict[str, Any] | tuple[tuple[str, Any], ...]
#: Parts of a diagnostic: code, numbers, version, packet, exporter, domain, Set.
_Parts = tuple[str, _Numbers, int, int, str, "int | None", "int | None"]


class Diagnostics:
    """Bounded list of :class:`Diagnostic`; ``counts`` has all of them, by code."""

    def __init__(self, limit: int = 10_000) -> None:
        self.limit = limit
        self.counts: Counter[str] = Counter()
        #: Functions that are called with each diagnostic, also beyond the limit.
        self.observers: list[Callable[[Diagnostic], None]] = []
        #: Arguments of :meth:`add`: a message may have 16,000 findings, and few are read.
        self._kept: list[_Parts] = []

    def note(self, diagnostic: Diagnostic) -> None:
        """Count a diagnostic, keep it within the limit, and log the first few of its code."""
        (code, numbers, version), packet, exporter, domain, set_index = diagnostic
        self.add(code, numbers, packet, exporter, domain, set_index, version)

    def add(
        self,
        code: str,
        numbers: _Numbers,
        packet: int = 0,
        exporter: str = "",
        domain: int | None = None,
        set_index: int | None = None,
        version: int = _IPFIX,
    ) -> None:
        """Note a diagnostic from its parts. A dict of ``numbers`` is not copied."""
        self.add_all(((code, numbers),), packet, exporter, domain, set_index, version)

    def add_all(
        self,
        defects: Iterable[Defect | tuple[str, _Numbers]],
        packet: int = 0,
        exporter: str = "",
        domain: int | None = None,
        set_index: int | None = None,
        version: int = _IPFIX,
    ) -> None:
        """Note all defects of one place, of which a Set may have 16,000.

        ``defects`` are Defects, or codes with numbers; ``version`` is that of their message.
        """
        counts, kept = self.counts, self._kept
        for defect in defects:
            code = defect[0]
            count = counts[code] = counts[code] + 1
            parts = code, defect[1], version, packet, exporter, domain, set_index
            if len(kept) < self.limit:
                kept.append(parts)
            if count <= LOGGED_PER_CODE or self.observers:
                self._publish(parts)

    def _publish(self, parts: _Parts) -> None:
        """Give a diagnostic to the observers, and to the log if it is among the first few."""
        diagnostic = _diagnostic(*parts)
        for observer in self.observers:
            observer(diagnostic)
        code = diagnostic.code
        if self.counts[code] <= LOGGED_PER_CODE:
            # The log has its own severity.
            text = str(diagnostic).partition(": ")[2]
            log.log(_LEVELS[CATALOGUE[code].severity], "%s", text)

    @property
    def dropped(self) -> int:
        """Diagnostics that were counted and not kept."""
        return sum(self.counts.values()) - len(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Diagnostic]:
        return starmap(_diagnostic, self._kept)

    @overload
    def __getitem__(self, index: int) -> Diagnostic: ...
    @overload
    def __getitem__(self, index: slice) -> list[Diagnostic]: ...
    def __getitem__(self, index: int | slice) -> Diagnostic | list[Diagnostic]:
        if isinstance(index, slice):
            return list(starmap(_diagnostic, self._kept[index]))
        return _diagnostic(*self._kept[index])

    def __repr__(self) -> str:
        if not self.counts:
            return "<Diagnostics: none>"
        lines = [str(each) for each in self]
        if self.dropped:
            lines.append(f"... and {self.dropped} more")
        return "\n".join(lines)


def _diagnostic(code: str, numbers: _Numbers, version: int, *where: Any) -> Diagnostic:
    pairs = tuple(numbers.items()) if isinstance(numbers, dict) else numbers
    return Diagnostic(Defect(code, pairs, version), *where)

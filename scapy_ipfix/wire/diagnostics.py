# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be wrong on the wire: the catalogue, and how a finding is written down.

A layer sees octets only and notes a :class:`Defect`. A session knows where they came from and
makes a :class:`Diagnostic` of it. Every code is in :data:`CATALOGUE`, with its severity, the
RFC section that it goes by and its sentence.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from typing import Any, NamedTuple, overload

NOTE, WARNING, ERROR = "note", "warning", "error"
log = logging.getLogger("scapy.ipfix")
_LEVELS = {NOTE: logging.INFO, WARNING: logging.WARNING, ERROR: logging.ERROR}
#: How often each code goes to the log before only the session counts it.
LOGGED_PER_CODE = 10


#: Octets that a finding shows: a message may end in 65,000 of padding.
_SHOWN = 64


class Entry(NamedTuple):
    """A line of the catalogue; ``text`` is filled in with the numbers of the case."""

    severity: str
    section: str
    text: str


CATALOGUE: dict[str, Entry] = {
    # messages
    "message-truncated": Entry(
        ERROR, "RFC 7011 3.1", "message says {length} octets, {available} are there"
    ),
    "message-length": Entry(
        ERROR, "RFC 7011 3.1", "message length {length} is less than its header"
    ),
    "message-trailing": Entry(
        WARNING, "RFC 7011 3.1", "{octets} octets follow the end of the message"
    ),
    "header-truncated": Entry(
        ERROR, "RFC 7011 3.1", "{available} octets are too few for a message header"
    ),
    "count-disagrees": Entry(
        WARNING, "RFC 3954 5.1", "header counts {count} records, the FlowSets hold {records}"
    ),
    "export-time": Entry(
        WARNING, "RFC 7011 3.1", "export time {exported} is {seconds} s away from the capture's"
    ),
    # sets
    "set-length": Entry(
        ERROR, "RFC 7011 3.3.2", "set {set_id} has length {length}, less than its own header"
    ),
    "set-truncated": Entry(
        ERROR, "RFC 7011 3.3.2", "set {set_id} says {length} octets, {available} are there"
    ),
    "set-reserved": Entry(WARNING, "RFC 7011 3.3.2", "set id {set_id} is reserved"),
    "set-empty": Entry(NOTE, "RFC 7011 3.3.1", "set {set_id} holds no record"),
    "padding-nonzero": Entry(
        WARNING, "RFC 7011 3.3.1", "padding of set {set_id} is not zero: {octets}"
    ),
    "padding-long": Entry(
        WARNING,
        "RFC 7011 3.3.1",
        "padding of set {set_id} is {padding} octets, as long as a record ({record})",
    ),
    # templates
    "template-id": Entry(ERROR, "RFC 7011 3.4.1", "template id {template_id} is below 256"),
    "template-truncated": Entry(
        ERROR,
        "RFC 7011 3.4.1",
        "template {template_id} says {fields} fields, its set ends before them",
    ),
    "template-empty": Entry(ERROR, "RFC 3954 5.2", "template {template_id} has no fields"),
    "template-scope": Entry(
        ERROR,
        "RFC 7011 3.4.2.1",
        "options template {template_id} has scope field count {scope} of {fields} fields",
    ),
    "options-length": Entry(
        ERROR,
        "RFC 3954 6.1",
        "options template {template_id} has lengths {scope} and {options}, not multiples of 4",
    ),
    "template-zero-length": Entry(
        ERROR,
        "RFC 7011 3.4.1",
        "records of template {template_id} have no octets, or too few for so many fields",
    ),
    "field-length": Entry(
        WARNING, "RFC 7011 6.2", "template {template_id}: {name} in {length} octets, {type} forbids"
    ),
    "enterprise-zero": Entry(
        ERROR,
        "RFC 7011 3.2",
        "template {template_id}: element {id} has the enterprise bit and number 0",
    ),
    "missing-template": Entry(
        WARNING, "RFC 7011 8", "template {template_id} is unknown, {octets} octets wait for it"
    ),
    "template-redefined": Entry(
        NOTE, "RFC 7011 8.1", "template {template_id} changed from {old} to {new} fields"
    ),
    "template-redefined-reliable": Entry(
        ERROR,
        "RFC 7011 8.1",
        "template {template_id} changed from {old} to {new} fields without a withdrawal",
    ),
    "template-withdrawn": Entry(NOTE, "RFC 7011 8.1", "template {template_id} withdrawn"),
    "withdrawal-unknown": Entry(
        WARNING, "RFC 7011 8.1", "withdrawal of template {template_id}, which is unknown"
    ),
    "withdrawal-udp": Entry(
        WARNING, "RFC 7011 8.4", "withdrawal of template {template_id} over UDP"
    ),
    "template-expired": Entry(
        WARNING, "RFC 7011 8.4", "template {template_id} was not refreshed for {seconds} s"
    ),
    # records
    "record-truncated": Entry(
        ERROR,
        "RFC 7011 7",
        "set {set_id}: record {record} runs past the end, {octets} octets are left undecoded",
    ),
    "value": Entry(WARNING, "RFC 7011 6.1", "set {set_id}: {name}: {flaw}"),
    "list-malformed": Entry(ERROR, "RFC 6313 4.5", "{name}: {flaw}"),
    "list-too-deep": Entry(ERROR, "RFC 6313 11", "{name}: lists nested deeper than {limit}"),
    # sequence
    "sequence-gap": Entry(
        WARNING, "RFC 7011 3.1", "sequence number {got}, expected {expected}: {lost} lost"
    ),
    "sequence-reordered": Entry(
        NOTE, "RFC 7011 3.1", "sequence number {got}, expected {expected}: late message"
    ),
    "sequence-duplicate": Entry(NOTE, "RFC 7011 3.1", "sequence number {got} came before"),
    "sequence-restart": Entry(
        WARNING, "RFC 7011 3.1", "sequence number {got}, expected {expected}: exporter restarted"
    ),
    "sequence-convention": Entry(
        WARNING, "RFC 7011 3.1", "sequence number {got}, expected {expected}: counts {convention}"
    ),
    "exporter-restart": Entry(
        WARNING, "RFC 3954 5.1", "sysUptime fell from {before} to {uptime} ms: exporter restarted"
    ),
    # streams
    "stream-resync": Entry(
        ERROR, "RFC 7011 10.4", "{octets} octets of the stream skipped to the next message header"
    ),
    "stream-gap": Entry(ERROR, "RFC 7011 10.4", "{octets} octets of the stream were not captured"),
    "fragments-dropped": Entry(
        WARNING, "RFC 791 3.2", "{octets} octets of incomplete IP fragments dropped"
    ),
    "fragments-waiting": Entry(
        NOTE,
        "RFC 791 3.2",
        "{octets} octets of IP fragments still wait for others at the end of {name}",
    ),
    "stream-waiting": Entry(
        NOTE,
        "RFC 7011 10.4",
        "{octets} octets of the stream still wait for others at the end of {name}",
    ),
    "capture-cut": Entry(WARNING, "-", "{name}: {why}"),
    # learned elements
    "element-conflict": Entry(
        WARNING, "RFC 5610 4", "element {pen}/{id} says it is {name}, but {why}"
    ),
    "element-information": Entry(
        WARNING, "RFC 5610 3", "what is said of element {pen}/{id} is wrong: {flaw}"
    ),
    "elements-limit": Entry(
        WARNING, "RFC 5610 4", "an exporter described {limit} elements: no more are learned"
    ),
    "elements-many": Entry(
        WARNING,
        "RFC 5610 4",
        "a message describes more than {limit} elements: the rest are not learned from it",
    ),
    # limits
    "templates-many": Entry(
        WARNING,
        "RFC 7011 11.4",
        "a message defines more than {limit} templates: the rest are not taken from it",
    ),
    "values-many": Entry(
        WARNING,
        "RFC 7011 11.4",
        "a message has {limit} wrong values and more: the rest of it is not checked",
    ),
    "sets-many": Entry(
        WARNING, "RFC 7011 11.4", "{what} no more than {limit} Sets of a message, and it has more"
    ),
    "facts-many": Entry(
        WARNING,
        "RFC 7011 11.4",
        "a message states more than {limit} facts of the exporter: the rest are not taken from it",
    ),
    "limit": Entry(WARNING, "RFC 7011 11.4", "more than {limit} {what}: the oldest are dropped"),
}


def shown_octets(octets: bytes) -> str:
    """Octets in hexadecimal, for what a finding says of them: the first ones of many."""
    text = octets[:_SHOWN].hex(" ")
    return text if len(octets) <= _SHOWN else f"{text} ... ({len(octets)} octets)"


class Defect(NamedTuple):
    """What a layer sees wrong in its own octets: a code and the numbers of the case."""

    code: str
    numbers: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def make(cls, code: str, **numbers: Any) -> Defect:
        return cls(code, tuple(numbers.items()))

    @property
    def severity(self) -> str:
        return CATALOGUE[self.code].severity

    @property
    def section(self) -> str:
        """The RFC section, such as ``RFC 7011 3.3.2``."""
        return CATALOGUE[self.code].section

    @property
    def text(self) -> str:
        return CATALOGUE[self.code].text.format(**dict(self.numbers))

    def __str__(self) -> str:
        return f"{self.severity}: {self.text} [{self.section}]"


class Diagnostic(NamedTuple):
    """A defect and where it was: packet (from 1), exporter, domain, set (from 0)."""

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
            where += f", set {self.set_index}"
        return f"{self.severity}: {where}: {self.text} [{self.section}]"


#: The numbers of a case by name, as a layer or a session has them at hand.
_Numbers = dict[str, Any] | tuple[tuple[str, Any], ...]
#: What a diagnostic is made of: code, numbers, packet, exporter, domain, set.
_Parts = tuple[str, _Numbers, int, str, "int | None", "int | None"]


class Diagnostics:
    """A bounded list of :class:`Diagnostic`; ``counts`` goes on counting, by code."""

    def __init__(self, limit: int = 10_000) -> None:
        self.limit = limit
        self.counts: Counter[str] = Counter()
        #: Called with each diagnostic, those that are not kept as well.
        self.observers: list[Callable[[Diagnostic], None]] = []
        #: What :meth:`add` was given: a message may be wrong 16,000 times, and most of that
        #: nobody looks at.
        self._kept: list[_Parts] = []

    def note(self, diagnostic: Diagnostic) -> None:
        """Keeps one (while there is room), counts it, and logs the first few of its code."""
        (code, numbers), packet, exporter, domain, set_index = diagnostic
        self.add(code, numbers, packet, exporter, domain, set_index)

    def add(
        self,
        code: str,
        numbers: _Numbers,
        packet: int = 0,
        exporter: str = "",
        domain: int | None = None,
        set_index: int | None = None,
    ) -> None:
        """As :meth:`note`, of the parts of a diagnostic. A dict of ``numbers`` is not copied."""
        self.add_all(((code, numbers),), packet, exporter, domain, set_index)

    def add_all(
        self,
        defects: Iterable[tuple[str, _Numbers]],
        packet: int = 0,
        exporter: str = "",
        domain: int | None = None,
        set_index: int | None = None,
    ) -> None:
        """As :meth:`add`, of defects that were in one place; a Set may have 16,000."""
        counts, kept = self.counts, self._kept
        for code, numbers in defects:
            count = counts[code] = counts[code] + 1
            parts = code, numbers, packet, exporter, domain, set_index
            if len(kept) < self.limit:
                kept.append(parts)
            if count <= LOGGED_PER_CODE or self.observers:
                self._tell(parts)

    def _tell(self, parts: _Parts) -> None:
        """Tells the observers of a diagnostic, and the log of the first few of its code."""
        diagnostic = _diagnostic(*parts)
        for observer in self.observers:
            observer(diagnostic)
        code = diagnostic.code
        if self.counts[code] <= LOGGED_PER_CODE:
            # The log says the severity itself.
            text = str(diagnostic).partition(": ")[2]
            log.log(_LEVELS[CATALOGUE[code].severity], "%s", text)

    @property
    def dropped(self) -> int:
        """How many were counted and not kept."""
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


def _diagnostic(code: str, numbers: _Numbers, *where: Any) -> Diagnostic:
    pairs = tuple(numbers.items()) if isinstance(numbers, dict) else numbers
    return Diagnostic(Defect(code, pairs), *where)

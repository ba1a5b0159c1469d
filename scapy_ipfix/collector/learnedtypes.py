# SPDX-License-Identifier: GPL-2.0-or-later
"""Information Elements that exporters describe in Options Data Records (RFC 5610).

:func:`element_from_options` makes an element from one such record. :class:`LearnedTypes` keeps
the elements of each exporter apart, in an information model of its own: a copy of the
collector's, so that its descriptions change nothing for others. :func:`with_learned_names`
gives a template the names that were learned after it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, TypeGuard

from scapy_ipfix.model.datatypes import DataType, data_type, octetArray
from scapy_ipfix.model.element import (
    MAX_ID,
    MAX_PEN,
    InformationElement,
    ValueNames,
    placeholder_name,
)
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.model.reverse import REVERSE_PEN
from scapy_ipfix.wire.diagnostics import Defect
from scapy_ipfix.wire.template import Template, cached_per_template, name_fields

#: Characters of the longest name that is learned. IANA's longest has 45.
MAX_NAME = 255
#: Elements that a collector learns from all exporters together.
LEARNED_IN_ALL = 65536
#: Defects that were noted, and are not noted again with every refresh.
_NOTED = 4096

_PEN, _ID = "privateEnterpriseNumber", "informationElementId"
_NAME, _TYPE = "informationElementName", "informationElementDataType"
_RANGE = "informationElementRangeBegin", "informationElementRangeEnd"


@cached_per_template
def is_type_information(template: Template) -> bool:
    """Return True if records of a template describe Information Elements (RFC 5610).

    The fields decide, not the scope: Ixia's exporter has the enterprise number alone as scope.
    An element's number alone is not enough: other options have it as scope as well.
    """
    if not template.is_options:
        return False
    names = {element.name for element, _, _, _ in template.fields if not element.pen}
    return _ID in names and (_TYPE in names or _NAME in names)


def element_from_options(
    values: Mapping[str, Any],
) -> tuple[InformationElement | None, list[Defect]]:
    """Return the element that an Options Data Record describes, and the record's defects.

    ``values`` are in the Scapy domain, keyed by element name: informationElementId, at least
    one of informationElementName and informationElementDataType, and optional ones. Without
    privateEnterpriseNumber the element is IANA's; the enterprise bit in a number is ignored
    (IANA on privateEnterpriseNumber). Invalid values count as missing: an element without a
    valid name has the placeholder name, one without a valid type is an octetArray. The element
    is None if neither is valid. Raises nothing.
    """
    pen = values.get(_PEN, 0)
    id = values.get(_ID)
    if not _fits(pen, MAX_PEN) or not _fits(id, 0xFFFF):
        return None, [_flaw(pen, id, "a number is missing or out of range")]
    id &= MAX_ID
    if pen == REVERSE_PEN:
        return None, [_flaw(pen, id, "reverse elements follow from those they reverse")]
    defects = []
    type, flaw = _read_type(values)
    if flaw:
        defects.append(_flaw(pen, id, flaw))
    range, flaw = _read_range(values, type)
    if flaw:
        defects.append(_flaw(pen, id, flaw))
    name = _text(values.get(_NAME))
    if len(name) > MAX_NAME:
        defects.append(_flaw(pen, id, f"its name has {len(name)} characters"))
        name = ""
    facts: dict[str, Any] = {
        "type": type,
        "semantics": _word("informationElementSemantics", values),
        "units": _word("informationElementUnits", values),
        "range": range,
    }
    if name:
        try:
            return InformationElement(name, id, pen, **facts), defects
        except ValueError as problem:
            defects.append(_flaw(pen, id, str(problem)))
    if type is octetArray:
        return None, defects
    return InformationElement(placeholder_name(pen, id), id, pen, **facts), defects


def _flaw(pen: object, id: object, flaw: str) -> Defect:
    return Defect.make("element-information", pen=_short(pen), id=_short(id), flaw=flaw)


def _short(number: object) -> str:
    return str(number) if isinstance(number, int) else "?"


def _fits(number: object, limit: int) -> TypeGuard[int]:
    return isinstance(number, int) and 0 <= number <= limit


def _text(value: object) -> str:
    """Return a name as text; octets that are not UTF-8 become an invalid name."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return value.rstrip("\0") if isinstance(value, str) else ""


def _word(name: str, values: Mapping[str, Any]) -> str:
    """Return IANA's word for the number in a field of semantics or units, "" for none."""
    number = values.get(name)
    if number is None:
        return ""
    names = _value_names(name)
    word = names.text(number) if names is not None and isinstance(number, int) else None
    return "" if word is None or word == "none" else word


@cache
def _value_names(name: str) -> ValueNames | None:
    return elements[name].values


def _read_type(values: Mapping[str, Any]) -> tuple[DataType, str]:
    number = values.get(_TYPE)
    if not isinstance(number, int):
        return octetArray, ""
    try:
        return data_type(number), ""
    except ValueError:
        return octetArray, f"there is no data type {number}"


def _read_range(values: Mapping[str, Any], type: DataType) -> tuple[tuple[int, int] | None, str]:
    low, high = (values.get(name) for name in _RANGE)
    if not isinstance(low, int) or not isinstance(high, int):
        return None, ""
    if not type.is_integer or type.is_time or low == high == 0:
        return None, ""  # exporters that know no range send zeros
    if type.name.startswith("signed"):
        low, high = (end - (1 << 64) if end >> 63 else end for end in (low, high))
    return ((low, high), "") if low <= high else (None, f"its range is {low} to {high}")


class LearnedElements(NamedTuple):
    """New elements that a Set of records described, and defects to be noted."""

    learned: tuple[InformationElement, ...] = ()
    defects: tuple[Defect, ...] = ()


@dataclass(slots=True)
class _Session:
    """Information model of one Transport Session, and the elements learned in it."""

    model: InformationModel
    version: int = 0
    elements: list[InformationElement] = dataclass_field(default_factory=list)

    @property
    def learned(self) -> int:
        return len(self.elements)


class LearnedTypes:
    """Information models of a collector's Transport Sessions, with learned elements.

    ``model`` is that of all sessions without any; a session is any hashable key. Each session
    may describe :data:`~scapy_ipfix.model.model.LEARNED` elements, all together ``limit``:
    beyond that, the elements of the session that described none for the longest time are
    dropped.
    """

    def __init__(self, model: InformationModel, limit: int = LEARNED_IN_ALL) -> None:
        self.base = model
        self.limit = limit
        self._sessions: OrderedDict[Hashable, _Session] = OrderedDict()
        self._learned = 0
        self._versions = 0
        self._noted: dict[tuple[Hashable, Defect], None] = {}

    def model(self, session: Hashable) -> InformationModel:
        """Return the present model of a session; the next records may replace it."""
        own = self._sessions.get(session)
        return self.base if own is None else own.model

    def version(self, session: Hashable) -> int:
        """Return a number that changes when a session's model does, for the keys of caches.

        No two sessions have the same one, except 0 for all that have learned nothing.
        """
        own = self._sessions.get(session)
        return 0 if own is None else own.version

    def learn(self, session: Hashable, records: Iterable[Mapping[str, Any]]) -> LearnedElements:
        """Learn from Options Data Records of :func:`is_type_information` templates.

        ``records`` are as for :func:`element_from_options`. An element whose number is known
        stays as it is; a description that differs is noted. An element whose name belongs to
        another one is learned without the name. Each defect is noted once for a session.
        Raises nothing.
        """
        learned: list[InformationElement] = []
        defects: list[Defect] = []
        for values in records:
            element, flaws = element_from_options(values)
            defects += flaws
            if element is None:
                continue
            known = self.model(session).known(element.pen, element.id)
            if known is not None:
                if not _agree(known, element):
                    defects.append(
                        _conflict(element, f"it is known as {known.name} of type {known.type}")
                    )
                continue
            added, defect = self._add(session, element)
            learned += [added] if added is not None else []
            defects += [defect] if defect is not None else []
        if learned:
            self._versions += 1
            self._sessions[session].version = self._versions
            defects += self._drop_oldest()
        return LearnedElements(tuple(learned), tuple(self._new(session, defects)))

    def learned(self) -> Iterator[tuple[Hashable, list[InformationElement]]]:
        """Yield the sessions with learned elements, and these."""
        for session, own in self._sessions.items():
            yield session, list(own.elements)

    def restore(self, session: Hashable, learned: Iterable[InformationElement]) -> None:
        """Learn saved elements, as :meth:`learned` yielded them."""
        for element in learned:
            self._add(session, element)
        if session in self._sessions:
            self._versions += 1
            self._sessions[session].version = self._versions
            self._drop_oldest()

    def copy(self, session: Hashable, other: Hashable) -> None:
        """Learn in a session the elements that another one described."""
        if other in self._sessions:
            self.restore(session, list(self._sessions[other].elements))

    def _add(
        self, session: Hashable, element: InformationElement
    ) -> tuple[InformationElement | None, Defect | None]:
        """Learn an element with an unknown number.

        Return it as it was learned, or None beyond the limit, and a defect.
        """
        own = self._sessions.get(session)
        if own is None:
            own = self._sessions[session] = _Session(self.base.copy())
        self._sessions.move_to_end(session)
        defect = None
        if not own.model.learn(element):
            defect = _conflict(element, "that name is taken")
            # Either the name is taken or there is no room: without the name it is the latter.
            element = InformationElement(
                placeholder_name(element.pen, element.id),
                element.id,
                element.pen,
                element.type,
                element.semantics,
                element.units,
                element.range,
            )
            if not own.model.learn(element):
                return None, Defect.make("elements-limit", limit=own.learned)
        own.elements.append(element)
        self._learned += 1
        return element, defect

    def _drop_oldest(self) -> list[Defect]:
        """Drop sessions beyond the limit, except the last; note that there were some."""
        dropped = False
        while self._learned > self.limit and len(self._sessions) > 1:
            _, own = self._sessions.popitem(last=False)
            self._learned -= own.learned
            dropped = True
        return [Defect.make("limit", what="learned elements", limit=self.limit)] if dropped else []

    def _new(self, session: Hashable, defects: Iterable[Defect]) -> list[Defect]:
        """Return the defects that were not noted for this session before."""
        new = []
        for defect in defects:
            if (session, defect) not in self._noted:
                if len(self._noted) >= _NOTED:
                    self._noted.clear()
                self._noted[session, defect] = None
                new.append(defect)
        return new


def _agree(known: InformationElement, element: InformationElement) -> bool:
    """Return True if a description agrees with the known element; case does not matter."""
    nameless = not (element.is_known and known.is_known)
    same_name = nameless or known.name.casefold() == element.name.casefold()
    return same_name and (element.type is octetArray or known.type is element.type)


def _conflict(element: InformationElement, why: str) -> Defect:
    claim = f"{element.name} of type {element.type}"
    return Defect.make("element-conflict", pen=element.pen, id=element.id, name=claim, why=why)


def with_learned_names(
    template: Template, model: InformationModel, learned: int | None = None
) -> Template:
    """Return the template with names and types from ``model`` for its unknown elements.

    It is the same object if nothing changes. Known elements stay, NetFlow v9's scopes included.
    ``learned`` is the number of elements that the model had learned at an earlier time: names
    are those of that time, and elements that were unknown then have placeholders.
    """
    pairs = []
    changes = False
    for element, length, _, is_scope in template.fields:
        found = element
        if learned is not None and not is_scope and element.id <= MAX_ID:
            known = model.known_at(element.pen, element.id, learned)
            if known is None and element.is_known:
                found = InformationElement.placeholder(element.pen, element.id)
            elif known is not None and not element.is_known:
                found = known
        elif not element.is_known:
            found = model.element(element.pen, element.id)
        if found is not element and found != element:
            changes = True
        pairs.append((found, length))
    if not changes:
        return template
    fields = name_fields(pairs, template.scope_count)
    return Template.from_fields(template.id, fields, template.scope_count, template.is_options)


_is_known = attrgetter("element.is_known")


def is_named(template: Template) -> bool:
    """Return True if all elements of a template are known."""
    return all(map(_is_known, template.fields))

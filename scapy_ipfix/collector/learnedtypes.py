# SPDX-License-Identifier: GPL-2.0-or-later
"""Types from the wire: elements that an exporter describes in Options Data Records (RFC 5610).

:func:`element_from_options` makes an element of what one such record says. :class:`LearnedTypes`
keeps what was learned apart by exporter: every one that taught something has an information
model of its own, a copy of the collector's, so that what it claims changes nobody else's.
:func:`with_learned_names` gives a template the names that were learned since.
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

#: The longest name that is learned. IANA's longest has 45 characters.
MAX_NAME = 255
#: How many elements a collector learns from all exporters together.
LEARNED_IN_ALL = 65536
#: Conflicts and flaws that are remembered, so as to be told once and not with every refresh.
_NOTED = 4096

_PEN, _ID = "privateEnterpriseNumber", "informationElementId"
_NAME, _TYPE = "informationElementName", "informationElementDataType"
_RANGE = "informationElementRangeBegin", "informationElementRangeEnd"


@cached_per_template
def is_type_information(template: Template) -> bool:
    """Whether records of a template describe Information Elements (RFC 5610).

    By its fields, not its scope: Ixia's exporter has the enterprise number alone for scope.
    That there is an element's number does not do: other options have that for scope as well.
    """
    if not template.is_options:
        return False
    names = {element.name for element, _, _, _ in template.fields if not element.pen}
    return _ID in names and (_TYPE in names or _NAME in names)


def element_from_options(
    values: Mapping[str, Any],
) -> tuple[InformationElement | None, list[Defect]]:
    """The element that an Options Data Record describes, and what is wrong with the record.

    ``values`` are in the Scapy domain, keyed by element name; privateEnterpriseNumber,
    informationElementId and at least one of informationElementName and
    informationElementDataType say something, the others may be missing. Without an
    enterprise number the element is IANA's; the enterprise bit in a number is ignored (IANA
    on privateEnterpriseNumber). What is said wrongly counts as not said: an element without a
    good name has its placeholder's, one without a good type is an octetArray. None where
    nothing is left. Raises nothing.
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
    """A name as text; one that is not UTF-8 comes out as something that is no name."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    return value.rstrip("\0") if isinstance(value, str) else ""


def _word(name: str, values: Mapping[str, Any]) -> str:
    """IANA's word for the number in a field of semantics or units; empty for none."""
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
        return None, ""  # zeros are what exporters send that know no range
    if type.name.startswith("signed"):
        low, high = (end - (1 << 64) if end >> 63 else end for end in (low, high))
    return ((low, high), "") if low <= high else (None, f"its range is {low} to {high}")


class LearnedElements(NamedTuple):
    """What a Set of records taught: elements that are new, and what to note."""

    learned: tuple[InformationElement, ...] = ()
    defects: tuple[Defect, ...] = ()


@dataclass(slots=True)
class _Session:
    """What one exporter taught."""

    model: InformationModel
    version: int = 0
    taken: list[InformationElement] = dataclass_field(default_factory=list)

    @property
    def learned(self) -> int:
        return len(self.taken)


class LearnedTypes:
    """The information models of a collector's transport sessions.

    ``model`` is that of every session that taught nothing; a session is named by anything
    hashable. Of each, at most :data:`~scapy_ipfix.model.model.LEARNED` elements are taken, of
    all together ``limit``: then the session goes that taught nothing for longest, and starts
    anew from ``model``.
    """

    def __init__(self, model: InformationModel, limit: int = LEARNED_IN_ALL) -> None:
        self.base = model
        self.limit = limit
        self._sessions: OrderedDict[Hashable, _Session] = OrderedDict()
        self._learned = 0
        self._versions = 0
        self._noted: dict[tuple[Hashable, Defect], None] = {}

    def model(self, session: Hashable) -> InformationModel:
        """The model that names the elements of a session. Not for keeping: it may change."""
        own = self._sessions.get(session)
        return self.base if own is None else own.model

    def version(self, session: Hashable) -> int:
        """A number that changes with every lesson and is no other session's; 0: none yet.

        What is remembered of parsing by the session's model goes by this number.
        """
        own = self._sessions.get(session)
        return 0 if own is None else own.version

    def learn(self, session: Hashable, records: Iterable[Mapping[str, Any]]) -> LearnedElements:
        """Learns from Options Data Records of :func:`is_type_information` templates.

        ``records`` are as for :func:`element_from_options`. An element whose number is known
        stays as it is, whoever defined it: that it is described again is nothing to note,
        that it is described otherwise is. A name that is somebody else's is not given to
        it, its type is. A thing is noted once for a session. Raises nothing.
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
            taken, defect = self._take(session, element)
            learned += [taken] if taken is not None else []
            defects += [defect] if defect is not None else []
        if learned:
            self._versions += 1
            self._sessions[session].version = self._versions
            defects += self._bound()
        return LearnedElements(tuple(learned), tuple(self._new(session, defects)))

    def learned(self) -> Iterator[tuple[Hashable, list[InformationElement]]]:
        """The elements that each session taught."""
        for session, own in self._sessions.items():
            yield session, list(own.taken)

    def restore(self, session: Hashable, learned: Iterable[InformationElement]) -> None:
        """Takes elements that were saved, as :meth:`learned` gave them."""
        for element in learned:
            self._take(session, element)
        if session in self._sessions:
            self._versions += 1
            self._sessions[session].version = self._versions
            self._bound()

    def _take(
        self, session: Hashable, element: InformationElement
    ) -> tuple[InformationElement | None, Defect | None]:
        """Teaches the session's model an element of an unknown number."""
        own = self._sessions.get(session)
        if own is None:
            own = self._sessions[session] = _Session(self.base.copy())
        self._sessions.move_to_end(session)
        defect = None
        if not own.model.learn(element):
            defect = _conflict(element, "that name is taken")
            # The name is somebody's, or there is no room: that shows without the name.
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
        own.taken.append(element)
        self._learned += 1
        return element, defect

    def _bound(self) -> list[Defect]:
        dropped = False
        while self._learned > self.limit and len(self._sessions) > 1:
            _, own = self._sessions.popitem(last=False)
            self._learned -= own.learned
            dropped = True
        return [Defect.make("limit", what="learned elements", limit=self.limit)] if dropped else []

    def _new(self, session: Hashable, defects: Iterable[Defect]) -> list[Defect]:
        """Those of the defects that this session was not told before."""
        new = []
        for defect in defects:
            if (session, defect) not in self._noted:
                if len(self._noted) >= _NOTED:
                    self._noted.clear()
                self._noted[session, defect] = None
                new.append(defect)
        return new


def _agree(known: InformationElement, element: InformationElement) -> bool:
    """Whether a description says of a known element what is known; case does not matter."""
    nameless = not (element.is_known and known.is_known)
    same_name = nameless or known.name.casefold() == element.name.casefold()
    return same_name and (element.type is octetArray or known.type is element.type)


def _conflict(element: InformationElement, why: str) -> Defect:
    claim = f"{element.name} of type {element.type}"
    return Defect.make("element-conflict", pen=element.pen, id=element.id, name=claim, why=why)


def with_learned_names(
    template: Template, model: InformationModel, learned: int | None = None
) -> Template:
    """The template with the names and types that ``model`` has by now for unknown elements.

    The same object when nothing changes. What is known keeps the element it has, NetFlow
    v9's scopes included. With ``learned``, names are those that the model gave when it had
    learned so many elements: others have none then, though the template may have it by now.
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
    """Whether there is nothing to learn of the elements of a template."""
    return all(map(_is_known, template.fields))

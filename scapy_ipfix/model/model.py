# SPDX-License-Identifier: GPL-2.0-or-later
"""Information model: the lookup of Information Elements by name, number or IESpec.

``elements`` is the default model of the registries that ship with the package, IANA's and
those of enterprises; :meth:`InformationModel.copy` makes an independent one of it::

    elements["sourceIPv4Address"]           # by IANA's name
    elements["IPV4_SRC_ADDR"]               # by its name in NetFlow v9
    elements[8], elements[9, 12235]         # by number, by enterprise and number
    elements["reverseOctetDeltaCount"]      # reverse elements of RFC 5103, made on demand
    elements.add(InformationElement("myCount", 1, 99999, data_type("unsigned32")))
    elements.load("more.iespec")
    elements.search("interface")            # prints as a table

``scapy-ipfix elements`` searches at a shell prompt and updates IANA's registry.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from scapy_ipfix.model.datatypes import DataType, data_type, octetArray
from scapy_ipfix.model.element import (
    MAX_ID,
    FieldSpec,
    InformationElement,
    UnknownElement,
    parse_placeholder,
    placeholder_name,
)
from scapy_ipfix.model.iespec import IESpec, is_iespec, parse_iespec
from scapy_ipfix.model.registry import SHIPPED, Registry
from scapy_ipfix.model.registryfiles import line_error, read_elements
from scapy_ipfix.model.reverse import (
    forward_names,
    forward_number,
    reverse_number,
    reversed_element,
)
from scapy_ipfix.model.search import find_elements, similar_names
from scapy_ipfix.model.times import NTPTime, at_unix_epoch
from scapy_ipfix.text import Table

#: The limit of elements that :meth:`InformationModel.learn` adds, since exporters send them.
LEARNED = 4096


class EnterpriseRow(NamedTuple):
    """Enterprise and the number of its elements: one row of the table of a model."""

    pen: int | None
    enterprise: str
    elements: int


class InformationModel:
    """Information Elements by name, number or IESpec.

    A model has the elements of a :class:`Registry`, which is immutable and shared, and those
    added to it. A model without a registry is empty.
    """

    def __init__(self, registry: Registry | None = None) -> None:
        self._registry = registry or Registry(None)
        self._own: dict[tuple[int, int], InformationElement] = {}
        self._own_names: dict[str, InformationElement] = {}
        #: For each element learned, by number, its position in the order of learning, from 1.
        self._learned: dict[tuple[int, int], int] = {}
        #: The reverses of added elements, by number.
        self._reverses: dict[tuple[int, int], InformationElement] = {}

    @classmethod
    def default(cls) -> InformationModel:
        """Return a new model of the registries that ship with the package."""
        return cls(SHIPPED)

    def copy(self) -> InformationModel:
        """Return an independent copy, which shares the registry."""
        twin = InformationModel(self._registry)
        twin._own = self._own.copy()
        twin._own_names = self._own_names.copy()
        twin._learned = self._learned.copy()
        twin._reverses = self._reverses.copy()
        return twin

    def with_ntp_epoch(self, year: int) -> InformationModel:
        """Return a model for exporters whose NTP timestamps count seconds from a year.

        1900 (RFC 7011 6.1.9) returns this model; 1970 a copy whose elements of type
        dateTimeMicroseconds and dateTimeNanoseconds count from 1970. Raises ValueError for
        another year.
        """
        if year == 1900:
            return self
        if year != 1970:
            raise ValueError(f"the epoch of NTP timestamps is 1900 or 1970, not {year!r}")
        twin = self.copy()
        for element in self:
            if isinstance(element.type, NTPTime):
                named = self.get(element.name) == element
                other = dataclasses.replace(element, type=at_unix_epoch(element.type))
                twin._store(other, named)
        return twin

    # Lookup by number

    def element(self, pen: int, id: int) -> InformationElement:
        """Return the element of an enterprise (0: IANA) and number.

        An unknown one is a placeholder: an octetArray named ``_ipfix_<pen>_<id>``. Raises
        ValueError for numbers out of range, which no Template on the wire has.
        """
        if self._own and (own := self._own_element(pen, id)):
            return own
        return self._registry.element(pen, id)

    def element_at(self, pen: int, id: int, learned: int) -> InformationElement:
        """Return :meth:`element` as of the time when :attr:`learned` had that value."""
        if self._learned_after(pen, id, learned):
            return InformationElement.placeholder(pen, id)
        return self.element(pen, id)

    def known_at(self, pen: int, id: int, learned: int) -> InformationElement | None:
        """Return :meth:`known` as of the time when :attr:`learned` had that value."""
        if learned < len(self._learned) and self._learned_after(pen, id, learned):
            return None
        return self.known(pen, id)

    def type_at(self, pen: int, id: int, learned: int | None) -> DataType:
        """Return the type of :meth:`element_at` without making a placeholder."""
        if self._own:
            if learned is not None and self._learned_after(pen, id, learned):
                return octetArray
            own = self._own_element(pen, id)
            if own is not None:
                return own.type
        return self._registry.type(pen, id)

    def _learned_after(self, pen: int, id: int, learned: int) -> bool:
        """Return True if an element, or the one it reverses, was learned later."""
        if learned >= len(self._learned):
            return False
        position = self._learned.get((pen, id))
        if position is None and (pen, id) not in self._own:
            forward = forward_number(pen, id, self._registry.reverse_bit(pen))
            position = self._learned.get(forward) if forward else None
        return position is not None and position > learned

    def known(self, pen: int, id: int) -> InformationElement | None:
        """Return the element of an enterprise (0: IANA) and number, None if it is unknown."""
        own = self._own_element(pen, id) if self._own else None
        return own or self._registry.known(pen, id)

    def _own_element(self, pen: int, id: int) -> InformationElement | None:
        """Return the added element of a number, or its reverse if it is in no registry."""
        number = pen, id
        own = self._own.get(number)
        if own is None and number in self._reverses and id not in self._registry.elements(pen):
            own = self._reverses[number]
        return own

    def v9_element(self, field_type: int) -> InformationElement:
        """Return the element of a NetFlow v9 field type, or a placeholder.

        RFC 3954 has no enterprise numbers: enterprises use field types of their own, and
        some below 32768 differ from IANA's element of that number.
        """
        own = self._own_v9_element(field_type) if self._own else None
        return own or self._registry.v9_element(field_type)

    def _own_v9_element(self, field_type: int) -> InformationElement | None:
        registry = self._registry
        own = self._own.get((0, field_type))
        if own is None and field_type not in registry.v9_elements:
            for base, pen in registry.v9_bases:
                if own is None and base <= field_type:
                    own = self.known(pen, field_type - base)
        return own

    def v9_type(self, element: InformationElement) -> int:
        """Return the NetFlow v9 field type of an element.

        Raises ValueError for an element of an enterprise without field types.
        """
        field_type = self._registry.v9_type(element)
        if field_type is None:
            raise ValueError(f"{element} has no NetFlow v9 field type")
        return field_type

    def reverse(self, element: InformationElement) -> InformationElement | None:
        """Return the reverse element (RFC 5103), or None if there is none."""
        bit = self._registry.reverse_bit(element.pen)
        number = reverse_number(element.pen, element.id, bit) if element.is_known else None
        return self.element(*number) if number else None

    # Lookup by name or any other key

    def __getitem__(
        self, key: str | int | tuple[int, int] | InformationElement
    ) -> InformationElement:
        """Return the element that ``key`` stands for.

        ``key`` is a name of IANA, of NetFlow v9 (in any case), of an enterprise, or
        ``_ipfix_<pen>_<id>``; an IESpec; a (pen, id), or the id of an IANA element; or an
        element, which is returned. Raises :class:`UnknownElement`; ValueError for a name
        that several enterprises use, or an IESpec that contradicts the model.
        """
        if isinstance(key, str) and is_iespec(key):
            return self.spec(key, define=False).element
        found = self._lookup(key)
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(
                f"{key!r} is the name of several Information Elements, give one of "
                + ", ".join(f"{each.name}({each.pen}/{each.id})" for each in found)
            )
        raise UnknownElement(key, self._close_matches(key) if isinstance(key, str) else ())

    def get(
        self, key: object, default: InformationElement | None = None
    ) -> InformationElement | None:
        """Return the element that ``key`` stands for, ``default`` where ``[key]`` raises."""
        if isinstance(key, str) and is_iespec(key):
            try:
                return self.spec(key, define=False).element
            except ValueError:
                return default
        found = self._lookup(key)
        return found[0] if len(found) == 1 else default

    def __contains__(self, key: object) -> bool:
        return self.get(key) is not None

    def spec(self, text: str, define: bool = True) -> FieldSpec:
        """Return the element and the wire length that an IESpec stands for.

        The text may leave out parts that the model knows. An IESpec with the number and type
        of an unknown element defines it; with ``define=False`` the element is returned but
        not added to the model. Raises ValueError for text that is not an IESpec, is
        incomplete, or contradicts the model.
        """
        parts = parse_iespec(text)
        if parts.id is None:
            element = self[parts.name]
        else:
            element = self.known(parts.pen or 0, parts.id) or self._define(parts, define)
        if (parts.type and parts.type != element.type.name) or (
            parts.name not in ("", element.name) and self.get(parts.name) != element
        ):
            raise ValueError(f"IESpec {text!r} contradicts {element} in this model")
        return FieldSpec(element, element.length if parts.size is None else parts.size)

    def _define(self, parts: IESpec, define: bool) -> InformationElement:
        """Return the unknown element that an IESpec with a number describes."""
        pen, id = parts.pen or 0, parts.id or 0
        name = parts.name or placeholder_name(pen, id)
        if not parts.type:
            if name != placeholder_name(pen, id):
                raise ValueError(f"IESpec '{parts}': unknown element, add a <type> to define it")
            return self.element(pen, id)
        element = InformationElement(name, id, pen, data_type(parts.type))
        if define:
            self.add(element)
        else:
            self._check(element)
        return element

    def _lookup(self, key: object) -> list[InformationElement]:
        """Return every element that ``key`` may stand for."""
        match key:
            case str():
                return self.candidates(key)
            case InformationElement():
                return [key]
            case int():
                known = self.known(0, key)
            case (int(pen), int(id)):
                known = self.known(pen, id)
            case _:
                known = None
        return [known] if known is not None else []

    def candidates(self, name: str) -> list[InformationElement]:
        """Return every element that a name may stand for; several enterprises may use it."""
        preferred = self._preferred(name)
        if preferred is not None:
            return [preferred]
        field_type = self._registry.alias_types.get(name.lower())
        if field_type is not None:
            return [self.v9_element(field_type)]
        number = parse_placeholder(name)
        if number is not None:
            return [self.element(*number)]
        vendors = self._registry.vendor_numbers
        found = [self.element(*number) for number in vendors.get(name, ())]
        for forward in forward_names(name):
            reverses = [self.reverse(self.element(*number)) for number in vendors.get(forward, ())]
            found += [each for each in reverses if each and each.name == name]
        # Without duplicates: an enterprise may have registered its reverse elements.
        return list(dict.fromkeys(found))

    def _preferred(self, name: str) -> InformationElement | None:
        """Return the element whose claim to a name is first: added, IANA's, NetFlow v9's."""
        own, iana = self._own_names, self._registry.ids(0)
        if name in own:
            return own[name]
        if name in iana:
            return self.element(0, iana[name])
        for forward_name in forward_names(name):
            forward = own.get(forward_name)
            if forward is None and forward_name in iana:
                forward = self.element(0, iana[forward_name])
            reverse = self.reverse(forward) if forward is not None else None
            if reverse is not None and reverse.name == name:
                return reverse
        id = self._registry.v9_ids.get(name)
        return self._registry.v9_elements[id] if id is not None else None

    def _close_matches(self, name: str) -> list[str]:
        registry = self._registry
        aliases = (alias for aliases in registry.aliases.values() for alias in aliases)
        preferred = (*self._own_names, *registry.ids(0))
        names = (*preferred, *registry.v9_ids, *aliases, *registry.vendor_numbers)
        return similar_names(name, preferred, names)

    # All elements

    def __iter__(self) -> Iterator[InformationElement]:
        """Iterate by enterprise and number, without reverse elements made on demand."""
        return iter(sorted(self._all().values(), key=_by_number))

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[tuple[int, int], InformationElement]:
        registry = self._registry
        known = {
            (pen, id): element
            for pen in registry.files
            for id, element in registry.elements(pen).items()
        }
        known |= {(0, id): each for id, each in registry.v9_elements.items() if id > MAX_ID}
        return known | self._own

    @property
    def enterprises(self) -> Mapping[int, str]:
        """Names of the enterprises with known elements, by enterprise number."""
        return self._registry.enterprise_names

    def search(self, text: str) -> Table[InformationElement]:
        """Return a table of the elements with ``text`` in name, number or enterprise.

        NetFlow v9 names count too, case does not. Words of other tools find what they mean:
        ``src_ip``, ``bytes``. Common elements come first, then the others by enterprise (IANA
        is 0) and number.
        """
        only_v9 = [each for id, each in self._registry.v9_elements.items() if id <= MAX_ID]
        found = find_elements(text, (*self, *only_v9), self.enterprises, self.v9_names)
        return Table(("name", "id", "pen", "type", "semantics", "units"), found)

    def v9_names(self, element: InformationElement) -> tuple[str, ...]:
        """Return Cisco's names for an element as a NetFlow v9 field type, as ``IN_BYTES``."""
        field_type = self._registry.v9_type(element)
        if field_type is None or self.v9_element(field_type) != element:
            return ()
        return tuple(self._registry.aliases.get(field_type, ()))

    def __repr__(self) -> str:
        registry = self._registry
        vendors = [pen for pen in registry.files if pen]
        parts = [
            f"{len(registry.elements(0))} IANA elements",
            f"{sum(len(registry.elements(pen)) for pen in vendors)} of {len(vendors)} enterprises",
        ]
        if self._own:
            parts.append(f"{len(self._own)} added")
        return f"<{type(self).__name__}: {', '.join(parts)}>"

    def __str__(self) -> str:
        """Return a table of the enterprises and how many elements each has."""
        counts = Counter(each.pen for each in self if each.id <= MAX_ID)
        names = self.enterprises
        rows = [EnterpriseRow(pen, names.get(pen, ""), count) for pen, count in counts.items()]
        rows.append(EnterpriseRow(None, "NetFlow v9 alone", len(self._registry.v9_elements)))
        return str(Table(EnterpriseRow._fields, rows))

    # Additions

    def add(self, element: InformationElement, replace: bool = False) -> None:
        """Add an element to this model.

        A known element may be added with other semantics, units, range or value names.
        Raises ValueError for another name or type of a known (pen, id), and for a known name
        at another (pen, id), unless ``replace`` is True. A name in use by other enterprises
        alone stands for the added element from then on.
        """
        if not replace:
            self._check(element)
        self._store(element)

    def learn(self, element: InformationElement) -> bool:
        """Add an element that an exporter described (RFC 5610); return True if it was added.

        An exporter cannot replace an element of the same (pen, id), nor use a name in use,
        nor add more than :data:`LEARNED` elements.
        """
        if (
            len(self._learned) >= LEARNED
            or self.known(element.pen, element.id) is not None
            or (element.is_known and self.candidates(element.name))
        ):
            return False
        self._learned[self._store(element)] = len(self._learned) + 1
        return True

    @property
    def learned(self) -> int:
        """Number of elements that :meth:`learn` added."""
        return len(self._learned)

    def load(self, path: str | os.PathLike[str], pen: int | None = None) -> int:
        """Add the elements of a file; return their number.

        The file has IESpecs, one on each line (``#`` begins a comment), or is IANA's XML,
        IANA's CSV or this project's CSV. ``pen`` is the enterprise of XML and CSV, by default
        the number in a name as ``9_cisco.csv``, else 0. A name that is in use, as
        enterprises often use IANA's, keeps its element. Raises OSError, and ValueError
        (``file:line: message``) without adding any.
        """
        staged = self.copy()
        count = 0
        for line, item in read_elements(Path(path), pen):
            try:
                if isinstance(item, str):
                    staged.spec(item)
                else:
                    known = staged.known(item.pen, item.id)
                    if known is not None and item.values is None:
                        # No other format than this project's CSV has names of values.
                        item = dataclasses.replace(item, values=known.values)
                    staged._check_number(item)
                    staged._store(item, named=staged._owner(item) is None)
            except ValueError as error:
                raise line_error(Path(path), line, error) from None
            count += 1
        self._own, self._own_names = staged._own, staged._own_names
        self._reverses = staged._reverses
        return count

    def _store(self, element: InformationElement, named: bool = True) -> tuple[int, int]:
        """Store an element; return its number."""
        number = (element.pen, element.id)
        previous = self._own.get(number)
        if previous is not None and self._own_names.get(previous.name) is previous:
            del self._own_names[previous.name]
        self._own[number] = element
        if named:
            self._own_names[element.name] = element
        reverse = reverse_number(*number, self._registry.reverse_bit(element.pen))
        if reverse:
            self._reverses[reverse] = reversed_element(element, *reverse)
        return number

    def _check(self, element: InformationElement) -> None:
        """Raise ValueError if ``element`` contradicts the model."""
        self._check_number(element)
        owner = self._owner(element)
        if owner is not None:
            raise ValueError(f"{element} has the name of {owner}; give another, or replace=True")

    def _check_number(self, element: InformationElement) -> None:
        known = self.known(element.pen, element.id)
        if known is None or not known.is_known:
            return
        if (known.name, known.type) != (element.name, element.type):
            raise ValueError(f"{element} contradicts {known} in this model")

    def _owner(self, element: InformationElement) -> InformationElement | None:
        """Return the element of another number that has this one's name."""
        owner = self._preferred(element.name)
        if owner is None:
            owner = self.get((element.pen, self._registry.ids(element.pen).get(element.name)))
        if owner is None or (owner.pen, owner.id) == (element.pen, element.id):
            return None
        return owner


def _by_number(element: InformationElement) -> tuple[int, int]:
    return element.pen, element.id


#: The default model.
elements = InformationModel.default()

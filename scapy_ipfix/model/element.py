# SPDX-License-Identifier: GPL-2.0-or-later
"""Information Elements and the names of their values (RFC 7012 section 2.1).

:mod:`~scapy_ipfix.model.model` looks elements up by name or number.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from scapy_ipfix.model.datatypes import VARIABLE, DataType, octetArray
from scapy_ipfix.model.iespec import IESpec

#: The highest element number beside an enterprise number: 15 bits (RFC 7011 section 3.2).
MAX_ID = 0x7FFF
#: The highest NetFlow v9 field type: 16 bits (RFC 3954 section 5.2).
MAX_V9_TYPE = 0xFFFF
#: The highest enterprise number: 32 bits (RFC 7011 section 3.2).
MAX_PEN = 0xFFFFFFFF
#: The prefix of the names of placeholders, elements that no model knows.
PLACEHOLDER_PREFIX = "_ipfix_"
#: RFC 7012 section 2.1; older registries also have "obsolete".
STATUSES = frozenset({"current", "deprecated", "obsolete"})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLACEHOLDER = re.compile(r"_ipfix_([0-9]{1,10})_([0-9]{1,5})")
_NUMBER = re.compile(r"0x[0-9a-f]{1,64}|0|[1-9][0-9]{0,77}")


def close_matches(name: str, names: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """Return up to three of ``names`` that are similar to ``name``, for an error message.

    ``cutoff`` is the least similarity, from 0.0 to 1.0.
    """
    folded = {each.casefold(): each for each in names}
    close = difflib.get_close_matches(name.casefold(), folded, 3, cutoff)
    return [folded[each] for each in close]


class UnknownElement(ValueError, KeyError):
    """No element has that name or number; ``matches`` are similar names."""

    def __init__(self, key: object, matches: Iterable[str] = ()) -> None:
        super().__init__(key, tuple(matches))
        self.key = key
        self.matches = tuple(matches)

    def __str__(self) -> str:
        hint = f"; similar names: {', '.join(self.matches)}" if self.matches else ""
        return f"no Information Element {self.key!r}{hint}"


class ValueNames:
    """Names of the values of an element. Immutable.

    ``kind`` is "enum", where ``names`` maps a value to its name, or "flags", where it maps a
    bit to its name; bit 0 is the least significant. Names given as the path of a CSV file
    (``value,name``) are read on first use; a missing file has no names.
    """

    __slots__ = ("_names", "_numbers", "kind", "source")

    def __init__(self, kind: str, names: Mapping[int, str] | Path) -> None:
        if kind not in ("enum", "flags"):
            raise ValueError(f"kind of value names is 'enum' or 'flags', not {kind!r}")
        self.kind = kind
        self.source = names if isinstance(names, Path) else None
        self._names = None if isinstance(names, Path) else MappingProxyType(dict(names))
        self._numbers: dict[str, int] | None = None

    @property
    def names(self) -> Mapping[int, str]:
        """Names by value, or by bit. Raises ValueError for a malformed file."""
        if self._names is None:
            assert self.source is not None
            self._names = MappingProxyType(_read_names(self.source))
        return self._names

    @property
    def reference(self) -> str:
        """Kind and file as in the ``values`` column of a CSV file: ``enum:natEvent``."""
        return f"{self.kind}:{self.source.stem if self.source else ''}"

    def text(self, value: int) -> str | None:
        """Return the name of ``value``, or None if it has none.

        Flags are joined as in Scapy, least significant first: ``SA`` if each name is a
        single letter, else ``SYN+ACK``. Bits without a name follow as one number.
        """
        if self.kind == "enum":
            return self.names.get(value)
        set_bits = [bit for bit in sorted(self.names) if value >> bit & 1]
        rest = value - sum(1 << bit for bit in set_bits)
        text = self._separator.join(self.names[bit] for bit in set_bits)
        return "+".join(filter(None, (text, hex(rest) if rest else "")))

    def parse(self, text: str) -> int | None:
        """Return the value with the name ``text``, in any case, or None if there is none.

        Flags are read as :meth:`text` formats them; numbers among them may be hexadecimal.
        """
        if self._numbers is None:
            # In descending order: a name that several values share stands for the least.
            self._numbers = {
                name.casefold(): value for value, name in sorted(self.names.items(), reverse=True)
            }
        if self.kind == "enum":
            return self._numbers.get(text.casefold())
        value = 0
        for part in filter(None, text.casefold().split("+")):
            if _NUMBER.fullmatch(part):
                value |= int(part, 0)
                continue
            for name in (part,) if self._separator else part:
                bit = self._numbers.get(name)
                if bit is None:
                    return None
                value |= 1 << bit
        return value

    @property
    def _separator(self) -> str:
        return "" if all(len(name) == 1 for name in self.names.values()) else "+"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ValueNames):
            return NotImplemented
        if self.source or other.source:
            return (self.kind, self.source) == (other.kind, other.source)
        return (self.kind, self._names) == (other.kind, other._names)

    def __hash__(self) -> int:
        return hash((self.kind, self.source))

    def __reduce__(self) -> tuple[object, ...]:
        return ValueNames, (self.kind, self.source or dict(self.names))

    def __repr__(self) -> str:
        return f"<ValueNames {self.reference if self.source else dict(self.names)}>"


def _read_names(path: Path) -> dict[int, str]:
    if not path.exists():
        return {}
    names: dict[int, str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows, None)
        for row in rows:
            try:
                value, name = row
                names[int(value)] = name
            except ValueError:
                raise ValueError(
                    f"{path}:{rows.line_num}: {row} is not a number and a name"
                ) from None
    return names


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InformationElement:
    """Information Element (RFC 7012 section 2.1) of IANA (``pen`` 0) or an enterprise.

    ``id`` is the element's number without the enterprise bit; ``type`` its abstract data
    type; ``semantics`` and ``units`` are IANA's terms or empty; ``range`` is the least and
    the greatest value if the registry limits them; ``values`` are the names of values. An
    element of ``pen`` 0 and a number above 32767 is a NetFlow v9 field type.

    Raises ValueError for a name, number, type, status or range that no element can have.
    """

    name: str
    id: int
    pen: int = 0
    type: DataType = octetArray
    semantics: str = ""
    units: str = ""
    range: tuple[int, int] | None = None
    status: str = "current"
    values: ValueNames | None = None
    #: False for a placeholder: an element that no model knows.
    is_known: bool = field(init=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name {self.name!r} of element {self.pen}/{self.id}: "
                "give a letter, then letters, digits and _.-"
            )
        is_placeholder = self.name[:1] == "_" and self.name == placeholder_name(self.pen, self.id)
        object.__setattr__(self, "is_known", not is_placeholder)
        _check_number(self.name, "pen", self.pen, MAX_PEN)
        _check_number(self.name, "id", self.id, MAX_ID if self.pen else MAX_V9_TYPE)
        if self.name.startswith(PLACEHOLDER_PREFIX) and self.is_known:
            raise ValueError(
                f"name {self.name!r} of element {self.pen}/{self.id}: the prefix "
                f"{PLACEHOLDER_PREFIX} is reserved for placeholders, this element's is "
                f"{placeholder_name(self.pen, self.id)}"
            )
        if not isinstance(self.type, DataType):
            raise ValueError(f"type {self.type!r} of {self.name}: give a DataType")
        if self.status not in STATUSES:
            raise ValueError(
                f"status {self.status!r} of {self.name}: not one of {', '.join(sorted(STATUSES))}"
            )
        if self.range is not None and self.range[0] > self.range[1]:
            low, high = self.range
            raise ValueError(f"range {low}-{high} of {self.name}: the low end is above the high")

    @classmethod
    def placeholder(cls, pen: int, id: int) -> InformationElement:
        """Return the octetArray that stands for an element that no model knows.

        Raises ValueError for numbers out of range.
        """
        name = f"{PLACEHOLDER_PREFIX}{pen}_{id}"
        limit = MAX_ID if pen else MAX_V9_TYPE
        if type(pen) is type(id) is int and 0 <= pen <= MAX_PEN and 0 <= id <= limit:
            return _octet_array(name, pen, id, False)
        return cls(name, id, pen)

    @classmethod
    def v9_scope(cls, kind: int) -> InformationElement:
        """Return the octetArray for a NetFlow v9 scope field type that RFC 3954 6.1 lacks.

        It counts as known, since no exporter can name it. Raises ValueError for a number
        out of range.
        """
        name = f"_scope_{kind}"
        if type(kind) is int and 0 <= kind <= MAX_V9_TYPE:
            return _octet_array(name, 0, kind, True)
        return cls(name, kind)

    @property
    def length(self) -> int:
        """The type's natural length in octets; :data:`VARIABLE` for a type that has none."""
        return self.type.length or VARIABLE

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, InformationElement):
            return NotImplemented
        return self.id == other.id and self._properties() == other._properties()

    def __hash__(self) -> int:
        # Unique within one model and fast: templates hash many elements.
        return self.pen << 16 | self.id

    def _properties(self) -> tuple[object, ...]:
        return (
            *(self.name, self.id, self.pen, self.type, self.semantics, self.units),
            *(self.range, self.status, self.values),
        )

    def __str__(self) -> str:
        return str(IESpec(self.name, self.pen, self.id, self.type.name, self.length))

    def __repr__(self) -> str:
        status = self.status if self.status != "current" else ""
        parts = filter(None, (str(self), self.semantics, self.units, status))
        return f"<InformationElement {' '.join(parts)}>"


# Setters of the slots: the class is frozen, and object.__setattr__ is slower.
_set_name, _set_id, _set_pen, _set_type, *_set_more = (
    getattr(InformationElement, each.name).__set__ for each in fields(InformationElement)
)
_set_semantics, _set_units, _set_range, _set_status, _set_values, _set_is_known = _set_more


def _octet_array(name: str, pen: int, id: int, is_known: bool) -> InformationElement:
    """Return an octetArray without checks: a message may have 16,000 unknown elements."""
    self = InformationElement.__new__(InformationElement)
    _set_name(self, name)
    _set_id(self, id)
    _set_pen(self, pen)
    _set_type(self, octetArray)
    _set_semantics(self, "")
    _set_units(self, "")
    _set_range(self, None)
    _set_status(self, "current")
    _set_values(self, None)
    _set_is_known(self, is_known)
    return self


def _check_number(name: str, attribute: str, value: int, limit: int) -> None:
    if not isinstance(value, int) or not 0 <= value <= limit:
        raise ValueError(f"{attribute} {value!r} of element {name}: give 0 to {limit}")


def placeholder_name(pen: int, id: int) -> str:
    """Return the name of the placeholder for a number: ``_ipfix_9_12235``."""
    return f"{PLACEHOLDER_PREFIX}{pen}_{id}"


def parse_placeholder(name: str) -> tuple[int, int] | None:
    """Return the (pen, id) in a :func:`placeholder_name`, or None for any other name."""
    match = _PLACEHOLDER.fullmatch(name)
    if not match:
        return None
    pen, id = int(match[1]), int(match[2])
    if pen > MAX_PEN or id > (MAX_ID if pen else MAX_V9_TYPE):
        return None
    return (pen, id) if placeholder_name(pen, id) == name else None


class FieldSpec(NamedTuple):
    """Element and its length on the wire: one field of a Template.

    ``length`` is in octets, :data:`VARIABLE` (65535) for a variable-length field. The
    Template checks that the type permits the length.
    """

    element: InformationElement
    length: int

    def __str__(self) -> str:
        element = self.element
        return str(IESpec(element.name, element.pen, element.id, element.type.name, self.length))

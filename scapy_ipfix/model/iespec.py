# SPDX-License-Identifier: GPL-2.0-or-later
"""An Information Element, the names of its values, and its text form, the IESpec.

RFC 7012 section 2.1 says what an element has; RFC 7013 writes one down as
``name(enterprise/number)<type>[size]``: an *IESpec*, ``octetDeltaCount(1)<unsigned64>[8]``.
:func:`parse_iespec` and :meth:`IESpec.__str__` read and write that text. What an element's
name or number alone stands for is known to :mod:`scapy_ipfix.model.model`.
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

from scapy_ipfix.model.datatypes import DATA_TYPES, VARIABLE, DataType, octetArray

#: The highest element number beside an enterprise number: 15 bits (RFC 7011 section 3.2).
MAX_ID = 0x7FFF
#: The highest NetFlow v9 field type: 16 bits (RFC 3954 section 5.2).
MAX_V9_TYPE = 0xFFFF
#: The highest enterprise number: 32 bits (RFC 7011 section 3.2).
MAX_PEN = 0xFFFFFFFF
#: How the name of an element that no model knows begins.
PLACEHOLDER_PREFIX = "_ipfix_"
#: RFC 7012 section 2.1; registries older than that also have "obsolete".
STATUSES = frozenset({"current", "deprecated", "obsolete"})

_DATA_TYPES = frozenset(DATA_TYPES.values())
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_PLACEHOLDER = re.compile(r"_ipfix_([0-9]{1,10})_([0-9]{1,5})")
_NUMBER = re.compile(r"0x[0-9a-f]{1,64}|0|[1-9][0-9]{0,77}")
_IESPEC = re.compile(
    r"(?P<name>[^\s()<>\[\]{}]*)"
    r"(?:\((?:(?P<pen>[0-9]{1,10})/)?(?P<id>[0-9]{1,5})\))?"
    r"(?:<(?P<type>\w+)>)?"
    r"(?:\[(?P<size>v|[0-9]{1,5})\])?"
)


def close_matches(name: str, names: Iterable[str]) -> list[str]:
    """Up to three of ``names`` that someone who wrote ``name`` may have meant."""
    folded = {each.casefold(): each for each in names}
    return [folded[each] for each in difflib.get_close_matches(name.casefold(), folded, 3)]


class UnknownElement(ValueError, KeyError):
    """No element of that name or number; ``matches`` are names that come close."""

    def __init__(self, key: object, matches: Iterable[str] = ()) -> None:
        super().__init__(key, tuple(matches))
        self.key = key
        self.matches = tuple(matches)

    def __str__(self) -> str:
        hint = f"; close are {', '.join(self.matches)}" if self.matches else ""
        return f"no Information Element {self.key!r}{hint}"


class ValueNames:
    """What the values of an element are called. Immutable.

    ``kind`` is "enum", where ``names`` has a name for a value, or "flags", where it has one
    for a bit, counted from 0, the least significant. Names given as a path to a CSV file
    (``value,name``) are read when first asked for; a file that is not there has no names.
    """

    __slots__ = ("_names", "_numbers", "kind", "source")

    def __init__(self, kind: str, names: Mapping[int, str] | Path) -> None:
        if kind not in ("enum", "flags"):
            raise ValueError(f"value names are of kind 'enum' or 'flags', not {kind!r}")
        self.kind = kind
        self.source = names if isinstance(names, Path) else None
        self._names = None if isinstance(names, Path) else MappingProxyType(dict(names))
        self._numbers: dict[str, int] | None = None

    @property
    def names(self) -> Mapping[int, str]:
        """Value (or bit) to name. Raises ValueError when the file has what is no name."""
        if self._names is None:
            assert self.source is not None
            self._names = MappingProxyType(_read_names(self.source))
        return self._names

    @property
    def reference(self) -> str:
        """Kind and file as the ``values`` column of a CSV has them: ``enum:natEvent``."""
        return f"{self.kind}:{self.source.stem if self.source else ''}"

    def text(self, value: int) -> str | None:
        """The name of ``value``, None when it has none.

        Flags are joined as Scapy does it, least significant first: ``SA`` where each name is
        a single letter, else ``SYN+ACK``. Bits without a name follow as one number.
        """
        if self.kind == "enum":
            return self.names.get(value)
        set_bits = [bit for bit in sorted(self.names) if value >> bit & 1]
        rest = value - sum(1 << bit for bit in set_bits)
        text = self._separator.join(self.names[bit] for bit in set_bits)
        return "+".join(filter(None, (text, hex(rest) if rest else "")))

    def parse(self, text: str) -> int | None:
        """The value called ``text``, in any case; None when none is.

        Flags are read as :meth:`text` writes them; numbers among them may be as in 0x200.
        """
        if self._numbers is None:
            # Backwards, so that of values that share a name the least has it.
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
                raise ValueError(f"{path}:{rows.line_num}: {row} is not a number, a name") from None
    return names


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InformationElement:
    """One Information Element (RFC 7012 section 2.1), of IANA (``pen`` 0) or an enterprise.

    ``id`` is the element's number without the enterprise bit; ``type`` its abstract data
    type; ``semantics`` and ``units`` are IANA's words or empty; ``range`` the least and the
    greatest value where the registry limits them; ``values`` the names of values. An element
    of ``pen`` 0 may have a number above 32767: such are NetFlow v9 field types only.

    Raises ValueError when made of what cannot be an element.
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
    #: False for the nameless stand-in of an element that no model knows.
    is_known: bool = field(init=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"name {self.name!r} of element {self.pen}/{self.id}: "
                "not a letter, then letters, digits and _.-"
            )
        nameless = self.name[:1] == "_" and self.name == placeholder_name(self.pen, self.id)
        object.__setattr__(self, "is_known", not nameless)
        _check_number(self.name, "pen", self.pen, MAX_PEN)
        _check_number(self.name, "id", self.id, MAX_ID if self.pen else MAX_V9_TYPE)
        if self.name.startswith(PLACEHOLDER_PREFIX) and self.is_known:
            raise ValueError(
                f"name {self.name!r} of element {self.pen}/{self.id}: names that begin with "
                f"{PLACEHOLDER_PREFIX} are for elements without one, this one's would be "
                f"{placeholder_name(self.pen, self.id)}"
            )
        if self.type not in _DATA_TYPES:
            raise ValueError(f"type {self.type!r} of {self.name}: not a DataType")
        if self.status not in STATUSES:
            raise ValueError(
                f"status {self.status!r} of {self.name}: not one of {', '.join(sorted(STATUSES))}"
            )
        if self.range is not None and self.range[0] > self.range[1]:
            low, high = self.range
            raise ValueError(f"range {low}-{high} of {self.name}: the low end is above the high")

    @classmethod
    def nameless(cls, pen: int, id: int) -> InformationElement:
        """The stand-in of an element that no model knows, an octetArray.

        Raises ValueError for numbers out of range.
        """
        name = f"{PLACEHOLDER_PREFIX}{pen}_{id}"
        limit = MAX_ID if pen else MAX_V9_TYPE
        if type(pen) is type(id) is int and 0 <= pen <= MAX_PEN and 0 <= id <= limit:
            return _octets(name, pen, id, False)
        return cls(name, id, pen)

    @classmethod
    def v9_scope(cls, kind: int) -> InformationElement:
        """The stand-in of a NetFlow v9 scope field type that RFC 3954 6.1 does not have.

        It has a name: nobody can give it another. Raises ValueError for a number out of range.
        """
        name = f"_scope_{kind}"
        if type(kind) is int and 0 <= kind <= MAX_V9_TYPE:
            return _octets(name, 0, kind, True)
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
        return self.id == other.id and self._facts() == other._facts()

    def __hash__(self) -> int:
        # Enough to tell the elements of one model apart, and quick: templates hash many.
        return self.pen << 16 | self.id

    def _facts(self) -> tuple[object, ...]:
        return (
            *(self.name, self.id, self.pen, self.type, self.semantics, self.units),
            *(self.range, self.status, self.values),
        )

    def __str__(self) -> str:
        return str(IESpec(self.name, self.pen, self.id, self.type.name, self.length))

    def __repr__(self) -> str:
        return f"<InformationElement {' '.join(filter(None, (str(self), *self._words())))}>"

    def _words(self) -> tuple[str, ...]:
        return self.semantics, self.units, self.status if self.status != "current" else ""


#: What ``object.__setattr__`` comes down to, for a class that forbids to set anything.
_put_name, _put_id, _put_pen, _put_type, *_put_more = (
    getattr(InformationElement, each.name).__set__ for each in fields(InformationElement)
)
_put_semantics, _put_units, _put_range, _put_status, _put_values, _put_is_known = _put_more


def _octets(name: str, pen: int, id: int, is_known: bool) -> InformationElement:
    """An octetArray of which nothing else is known, unchecked: a message may name 16,000."""
    self = InformationElement.__new__(InformationElement)
    _put_name(self, name)
    _put_id(self, id)
    _put_pen(self, pen)
    _put_type(self, octetArray)
    _put_semantics(self, "")
    _put_units(self, "")
    _put_range(self, None)
    _put_status(self, "current")
    _put_values(self, None)
    _put_is_known(self, is_known)
    return self


def _check_number(name: str, what: str, value: int, limit: int) -> None:
    if not isinstance(value, int) or not 0 <= value <= limit:
        raise ValueError(f"{what} {value!r} of element {name}: not 0 to {limit}")


def placeholder_name(pen: int, id: int) -> str:
    """What an element without a name is called: ``_ipfix_9_12235``."""
    return f"{PLACEHOLDER_PREFIX}{pen}_{id}"


def parse_placeholder(name: str) -> tuple[int, int] | None:
    """The (pen, id) in a :func:`placeholder_name`, None when ``name`` is not one."""
    match = _PLACEHOLDER.fullmatch(name)
    if not match:
        return None
    pen, id = int(match[1]), int(match[2])
    if pen > MAX_PEN or id > (MAX_ID if pen else MAX_V9_TYPE):
        return None
    return (pen, id) if placeholder_name(pen, id) == name else None


class FieldSpec(NamedTuple):
    """An element and the length it has on the wire: one field of a Template.

    ``length`` is in octets, :data:`VARIABLE` (65535) for a variable-length field. Whether
    the element's type may have that length is for the Template to say.
    """

    element: InformationElement
    length: int

    def __str__(self) -> str:
        element = self.element
        return str(IESpec(element.name, element.pen, element.id, element.type.name, self.length))


class IESpec(NamedTuple):
    """The parts of an IESpec (RFC 7013); what the text leaves out is empty or None.

    ``size`` is in octets, :data:`VARIABLE` for ``[v]``.
    """

    name: str = ""
    pen: int | None = None
    id: int | None = None
    type: str = ""
    size: int | None = None

    def __str__(self) -> str:
        number = "" if self.id is None else f"({f'{self.pen}/' if self.pen else ''}{self.id})"
        type_name = f"<{self.type}>" if self.type else ""
        size = "" if self.size is None else f"[{'v' if self.size == VARIABLE else self.size}]"
        return self.name + number + type_name + size


def is_iespec(text: str) -> bool:
    """Whether ``text`` has more than a name in it."""
    return "(" in text or "<" in text or "[" in text


def parse_iespec(text: str) -> IESpec:
    """Take the text of a whole or partial IESpec apart.

    ``octetDeltaCount``, ``(2)``, ``(9/12235)``, ``octetDeltaCount[4]``, ``wlanSSID[v]`` and
    ``foo(99999/1)<unsigned32>`` are all good; a size of 65535 is ``v``. Raises ValueError
    that says where the text stops being an IESpec, or that it names nothing.
    """
    stripped = text.strip()
    match = _IESPEC.match(stripped)
    assert match is not None  # every part is optional
    if match.end() < len(stripped):
        raise ValueError(
            f"IESpec {stripped!r}: unexpected {stripped[match.end() :]!r} "
            f"at position {match.end()}, the form is name(pen/number)<type>[size]"
        )
    if not match["name"] and not match["id"]:
        raise ValueError(f"IESpec {stripped!r}: neither a name nor a number")
    size = match["size"]
    if size is not None and size != "v" and int(size) > VARIABLE:
        raise ValueError(f"IESpec {stripped!r}: size {size} is above {VARIABLE}")
    return IESpec(
        match["name"],
        int(match["pen"]) if match["pen"] else None,
        int(match["id"]) if match["id"] else None,
        match["type"] or "",
        None if size is None else VARIABLE if size == "v" else int(size),
    )

# SPDX-License-Identifier: GPL-2.0-or-later
"""Directories of CSV files with elements, above all the one that ships with the package."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from scapy_ipfix.model.datatypes import DataType, octetArray
from scapy_ipfix.model.iespec import MAX_ID, MAX_V9_TYPE, InformationElement
from scapy_ipfix.model.registryfiles import (
    COLUMNS,
    DATA,
    Row,
    at,
    csv_rows,
    enums_beside,
    make_element,
    read_text,
)
from scapy_ipfix.model.reverse import REVERSE_PEN, forward_number, reversed_element

#: How many elements that nobody knows keep their stand-in: as many as a message can name. More
#: are made again when asked for.
PLACEHOLDERS = 16_384


class Enterprise(NamedTuple):
    """Who owns an enterprise number, and what is peculiar about how its elements travel.

    ``reverse_bit`` in an element's number makes it the reverse of the element without it
    (RFC 5103 section 6.2); 0 when the enterprise has no such bit. ``v9_base`` + id is the
    NetFlow v9 field type of its elements; None when they have none.
    """

    pen: int
    name: str
    reverse_bit: int = 0
    v9_base: int | None = None


class ElementFile(Mapping[int, InformationElement]):
    """The elements of one of our CSV files by number, each made when first asked for.

    ``ids`` has their numbers by name. Raises ValueError (``file:line: what``) for what is
    not such a file, and when an element is asked for whose row has none.
    """

    def __init__(self, path: Path, pen: int) -> None:
        self.path = path
        self.pen = pen
        self.ids: dict[str, int] = {}
        self._rows: dict[int, tuple[int, list[str]]] = {}
        self._made: dict[int, InformationElement] = {}
        self._enums = enums_beside(path)
        for line, cells in csv_rows(path, read_text(path), COLUMNS):
            if not cells[0].isdecimal():
                raise at(path, line, f"id {cells[0]!r} is not a decimal number")
            id = int(cells[0])
            if id in self._rows:
                raise at(path, line, f"id {id} is also in line {self._rows[id][0]}")
            self._rows[id] = (line, cells)
            self.ids.setdefault(cells[1], id)

    def __getitem__(self, id: int) -> InformationElement:
        return self._made.get(id) or self._make(id)

    def _make(self, id: int) -> InformationElement:
        line, cells = self._rows[id]
        made = make_element(self.path, line, Row(*cells), self.pen, self._enums)
        self._made[id] = made
        return made

    def get(self, id: int, default: Any = None) -> Any:
        """As a dict has it: what is not there costs no exception, and a message asks for 16,000."""
        if id not in self._rows:
            return default
        return self._made.get(id) or self._make(id)

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


class Registry:
    """The elements in a directory of CSV files, each file read when first asked for.

    ``<pen>_<slug>.csv`` has the elements of an enterprise, of IANA where the number is 0;
    ``netflow9.csv`` the NetFlow v9 field types that are not the IANA element of the same
    number; ``netflow9_aliases.csv`` Cisco's names for field types; ``enterprises.csv`` the
    enterprises; ``enums/`` the names of values. Each may be missing. Never changes once read.

    Whatever is asked for may raise ValueError (``file:line: what``) when its file is bad.
    """

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self._elements: dict[int, ElementFile] = {}
        # What was looked up already, for all models of this registry: every exporter that
        # describes elements has one. Also which of it are placeholders, and NetFlow v9 types.
        self._found: dict[tuple[int, int], InformationElement] = {}
        self._placeholders: deque[tuple[int, int]] = deque()
        self._v9_found: dict[int, InformationElement] = {}
        self._types: dict[tuple[int, int], DataType] = {}

    def __getstate__(self) -> dict[str, Any]:
        """A copy, or what is pickled, looks up anew."""
        nothing: dict[str, Any] = {
            "_found": {},
            "_placeholders": deque(),
            "_v9_found": {},
            "_types": {},
        }
        return self.__dict__ | nothing

    def element(self, pen: int, id: int) -> InformationElement:
        """The element of that number, or the stand-in of one that nobody knows.

        Raises ValueError for numbers out of range.
        """
        # Not by an exception: a message may name 16,000 elements that nobody looked up before.
        return self._found.get((pen, id)) or self._find(pen, id)

    def _find(self, pen: int, id: int) -> InformationElement:
        element = self.known(pen, id)
        if element is None:
            return self._placeholder(pen, id)
        self._found[pen, id] = element
        return element

    def _placeholder(self, pen: int, id: int) -> InformationElement:
        """A new stand-in, kept among the latest ones."""
        element = self._found[pen, id] = InformationElement.nameless(pen, id)
        self._placeholders.append((pen, id))
        if len(self._placeholders) > PLACEHOLDERS:
            self._found.pop(self._placeholders.popleft(), None)
        return element

    def type(self, pen: int, id: int) -> DataType:
        """The type of :meth:`element`: a message may ask for 13,000, which need no stand-ins."""
        type = self._types.get((pen, id))
        if type is None:
            known = self.known(pen, id)
            type = octetArray if known is None else known.type
            if len(self._types) >= PLACEHOLDERS:
                self._types.clear()
            self._types[pen, id] = type
        return type

    def known(self, pen: int, id: int) -> InformationElement | None:
        """The element of that number, one that it reverses included; None if nobody knows it."""
        file = self._elements.get(pen) or self._file(pen)
        element: InformationElement | None = None if file is None else file.get(id)
        if element is not None:
            return element
        if not pen:
            return self.v9_elements.get(id) if id > MAX_ID else None
        number = forward_number(pen, id, self.reverse_bit(pen))
        forward = self.known(*number) if number else None
        if forward is None:
            return None
        made = self._found.get((pen, id))
        if made is None:
            made = self._found[pen, id] = reversed_element(forward, pen, id)
        return made

    def v9_element(self, field_type: int) -> InformationElement:
        """What a NetFlow v9 field type stands for, or the stand-in of what nobody knows."""
        found = self._v9_found.get(field_type)
        if found is not None:
            return found
        element = self.v9_elements.get(field_type)
        if element is None:
            for base, pen in self.v9_bases:
                if element is None and base <= field_type:
                    element = self.known(pen, field_type - base)
        # What else is known of IANA's number, and NetFlow v9 has nothing else for.
        element = element or self.elements(0).get(field_type)
        if element is None:
            return self._found.get((0, field_type)) or self._placeholder(0, field_type)
        self._v9_found[field_type] = element
        return element

    @cached_property
    def files(self) -> dict[int, Path]:
        """The CSV file of each enterprise number, in the order of the numbers."""
        paths = sorted(self.directory.glob("[0-9]*_*.csv")) if self.directory else []
        return dict(sorted((int(path.name.partition("_")[0]), path) for path in paths))

    def elements(self, pen: int) -> Mapping[int, InformationElement]:
        """An enterprise's elements by number; none for an enterprise without a file."""
        file = self._elements.get(pen)
        if file is None:
            file = self._file(pen)
        return {} if file is None else file

    def ids(self, pen: int) -> Mapping[str, int]:
        """The numbers of an enterprise's elements by name."""
        file = self._file(pen)
        return file.ids if file else {}

    @cached_property
    def vendor_numbers(self) -> dict[str, list[tuple[int, int]]]:
        """The (pen, id) by name of all elements but IANA's: often one, sometimes several."""
        numbers: dict[str, list[tuple[int, int]]] = {}
        for pen in filter(None, self.files):
            for name, id in self.ids(pen).items():
                numbers.setdefault(name, []).append((pen, id))
        return numbers

    @cached_property
    def enterprises(self) -> dict[int, Enterprise]:
        """What is known of each enterprise, by number."""
        known = (
            Enterprise(
                int(pen),
                name,
                int(reverse_bit) if reverse_bit else 0,
                int(v9_base) if v9_base else None,
            )
            for pen, name, reverse_bit, v9_base in self._rows("enterprises.csv", Enterprise._fields)
        )
        return {each.pen: each for each in known}

    @cached_property
    def enterprise_names(self) -> Mapping[int, str]:
        """What the enterprises are called: the slug of the file's name for want of a better."""
        names = {0: "IANA", REVERSE_PEN: "IANA, reverse"}
        for pen, path in self.files.items():
            names.setdefault(pen, path.stem.partition("_")[2])
        names |= {each.pen: each.name for each in self.enterprises.values()}
        return MappingProxyType(dict(sorted(names.items())))

    def reverse_bit(self, pen: int) -> int:
        """What an enterprise sets in the numbers of reverse elements, 0 when it does not."""
        enterprise = self.enterprises.get(pen)
        return enterprise.reverse_bit if enterprise else 0

    def v9_type(self, element: InformationElement) -> int | None:
        """The NetFlow v9 field type of an element, None for one that has none."""
        if not element.pen:
            return element.id
        enterprise = self.enterprises.get(element.pen)
        if enterprise is None or enterprise.v9_base is None:
            return None
        field_type = enterprise.v9_base + element.id
        return field_type if field_type <= MAX_V9_TYPE else None

    @cached_property
    def v9_bases(self) -> tuple[tuple[int, int], ...]:
        """(v9_base, pen) of the enterprises whose elements travel in NetFlow v9."""
        known = self.enterprises.values()
        return tuple((each.v9_base, each.pen) for each in known if each.v9_base is not None)

    @cached_property
    def v9_elements(self) -> Mapping[int, InformationElement]:
        """NetFlow v9 field types that are not the IANA element of the same number."""
        return self._v9_file or {}

    @cached_property
    def v9_ids(self) -> Mapping[str, int]:
        """The numbers of these field types by name."""
        return self._v9_file.ids if self._v9_file else {}

    @cached_property
    def _v9_file(self) -> ElementFile | None:
        path = self._path("netflow9.csv")
        return ElementFile(path, 0) if path else None

    @cached_property
    def aliases(self) -> dict[int, list[str]]:
        """Cisco's names of a NetFlow v9 field type, as ``IN_BYTES``."""
        known: dict[int, list[str]] = {}
        for id, alias in self._rows("netflow9_aliases.csv", ("id", "alias")):
            known.setdefault(int(id), []).append(alias)
        return known

    @cached_property
    def alias_types(self) -> dict[str, int]:
        """The NetFlow v9 field type of an alias, which is in lower case here."""
        types: dict[str, int] = {}
        for id, aliases in self.aliases.items():
            for alias in aliases:
                types.setdefault(alias.lower(), id)
        return types

    def _file(self, pen: int) -> ElementFile | None:
        file = self._elements.get(pen)
        # An enterprise without a file is not remembered: a peer may name any number of them.
        if file is None and pen in self.files:
            file = self._elements[pen] = ElementFile(self.files[pen], pen)
        return file

    def _path(self, name: str) -> Path | None:
        path = self.directory / name if self.directory else None
        return path if path and path.exists() else None

    def _rows(self, name: str, columns: tuple[str, ...]) -> Iterator[list[str]]:
        """The rows of a file whose cells are names, or numbers, or empty."""
        path = self._path(name)
        if path is None:
            return
        for line, cells in csv_rows(path, read_text(path), columns):
            for cell, column in zip(cells, columns, strict=True):
                if column not in ("name", "alias") and cell and not cell.isdecimal():
                    raise at(path, line, f"{column} {cell!r} is not a decimal number")
            yield cells


#: What ships with the package.
SHIPPED = Registry(DATA)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Registry of elements in a directory of CSV files; the package ships with one."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from scapy_ipfix.model.datatypes import DataType, octetArray
from scapy_ipfix.model.element import MAX_ID, MAX_V9_TYPE, InformationElement
from scapy_ipfix.model.registryfiles import (
    COLUMNS,
    DATA,
    Row,
    csv_rows,
    enums_directory,
    line_error,
    make_element,
    read_text,
)
from scapy_ipfix.model.reverse import REVERSE_PEN, forward_number, reversed_element

#: Placeholders kept, as many as the elements of a message. Others are made again when needed.
PLACEHOLDERS = 16_384


class Enterprise(NamedTuple):
    """Owner of an enterprise number, and the conventions for its elements.

    ``reverse_bit`` in an element's number marks the reverse of the element without it (RFC
    5103 section 6.2), 0 if there is no such bit. ``v9_base`` + id is the NetFlow v9 field
    type of an element, None if its elements have none.
    """

    pen: int
    name: str
    reverse_bit: int = 0
    v9_base: int | None = None


class ElementFile(Mapping[int, InformationElement]):
    """Elements of a CSV file by number, each made on first lookup.

    ``ids`` are their numbers by name. Raises ValueError (``file:line: message``) for a
    malformed file, and on lookup for a malformed row.
    """

    def __init__(self, path: Path, pen: int) -> None:
        self.path = path
        self.pen = pen
        self.ids: dict[str, int] = {}
        self._rows: dict[int, tuple[int, list[str]]] = {}
        self._made: dict[int, InformationElement] = {}
        self._enums = enums_directory(path)
        for line, cells in csv_rows(path, read_text(path), COLUMNS):
            if not cells[0].isdecimal():
                raise line_error(path, line, f"id {cells[0]!r} is not a decimal number")
            id = int(cells[0])
            if id in self._rows:
                raise line_error(path, line, f"id {id} is also in line {self._rows[id][0]}")
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
        """Return the element or ``default``, without the cost of an exception."""
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
    """Elements in a directory of CSV files, each file read on first use. Immutable.

    ``<pen>_<slug>.csv`` has the elements of an enterprise, ``0_<slug>.csv`` IANA's;
    ``netflow9.csv`` the NetFlow v9 field types that are not the IANA element of the same
    number; ``netflow9_aliases.csv`` Cisco's names for field types; ``enterprises.csv`` the
    enterprises; ``enums/`` the names of values. Each may be missing.

    Every method raises ValueError (``file:line: message``) if its file is malformed.
    """

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self._elements: dict[int, ElementFile] = {}
        # Caches of lookups. Models share them: each exporter that describes elements has one.
        self._found: dict[tuple[int, int], InformationElement] = {}
        self._placeholders: deque[tuple[int, int]] = deque()
        self._v9_found: dict[int, InformationElement] = {}
        self._types: dict[tuple[int, int], DataType] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without caches, for copies and pickles."""
        caches: dict[str, Any] = {
            "_found": {},
            "_placeholders": deque(),
            "_v9_found": {},
            "_types": {},
        }
        return self.__dict__ | caches

    def element(self, pen: int, id: int) -> InformationElement:
        """Return the element of a number, or a placeholder.

        Raises ValueError for numbers out of range.
        """
        # No exception as in a dict's lookup: a message may have 16,000 new elements.
        return self._found.get((pen, id)) or self._find(pen, id)

    def _find(self, pen: int, id: int) -> InformationElement:
        element = self.known(pen, id)
        if element is None:
            return self._placeholder(pen, id)
        self._found[pen, id] = element
        return element

    def _placeholder(self, pen: int, id: int) -> InformationElement:
        """Return a new placeholder, kept among the latest ones."""
        element = self._found[pen, id] = InformationElement.placeholder(pen, id)
        self._placeholders.append((pen, id))
        if len(self._placeholders) > PLACEHOLDERS:
            self._found.pop(self._placeholders.popleft(), None)
        return element

    def type(self, pen: int, id: int) -> DataType:
        """Return the type of :meth:`element`, without making a placeholder."""
        type = self._types.get((pen, id))
        if type is None:
            known = self.known(pen, id)
            type = octetArray if known is None else known.type
            if len(self._types) >= PLACEHOLDERS:
                self._types.clear()
            self._types[pen, id] = type
        return type

    def known(self, pen: int, id: int) -> InformationElement | None:
        """Return the element or reverse element of a number, None if it is unknown."""
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
        """Return the element of a NetFlow v9 field type, or a placeholder."""
        found = self._v9_found.get(field_type)
        if found is not None:
            return found
        element = self.v9_elements.get(field_type)
        if element is None:
            for base, pen in self.v9_bases:
                if element is None and base <= field_type:
                    element = self.known(pen, field_type - base)
        # NetFlow v9 and IANA share the numbers that neither of the above has taken.
        element = element or self.elements(0).get(field_type)
        if element is None:
            return self._found.get((0, field_type)) or self._placeholder(0, field_type)
        self._v9_found[field_type] = element
        return element

    @cached_property
    def files(self) -> dict[int, Path]:
        """The CSV file of each enterprise number, in ascending order."""
        paths = sorted(self.directory.glob("[0-9]*_*.csv")) if self.directory else []
        return dict(sorted((int(path.name.partition("_")[0]), path) for path in paths))

    def elements(self, pen: int) -> Mapping[int, InformationElement]:
        """Return an enterprise's elements by number; none if it has no file."""
        file = self._elements.get(pen)
        if file is None:
            file = self._file(pen)
        return {} if file is None else file

    def ids(self, pen: int) -> Mapping[str, int]:
        """Return the numbers of an enterprise's elements by name."""
        file = self._file(pen)
        return file.ids if file else {}

    @cached_property
    def vendor_numbers(self) -> dict[str, list[tuple[int, int]]]:
        """The (pen, id) of enterprises' elements by name; several may share a name."""
        numbers: dict[str, list[tuple[int, int]]] = {}
        for pen in filter(None, self.files):
            for name, id in self.ids(pen).items():
                numbers.setdefault(name, []).append((pen, id))
        return numbers

    @cached_property
    def enterprises(self) -> dict[int, Enterprise]:
        """Enterprises by number."""
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
        """Names of enterprises by number; the slug of the file if there is no other."""
        names = {0: "IANA", REVERSE_PEN: "IANA, reverse"}
        for pen, path in self.files.items():
            names.setdefault(pen, path.stem.partition("_")[2])
        names |= {each.pen: each.name for each in self.enterprises.values()}
        return MappingProxyType(dict(sorted(names.items())))

    def reverse_bit(self, pen: int) -> int:
        """Return the bit that marks an enterprise's reverse elements, 0 if there is none."""
        enterprise = self.enterprises.get(pen)
        return enterprise.reverse_bit if enterprise else 0

    def v9_type(self, element: InformationElement) -> int | None:
        """Return the NetFlow v9 field type of an element, None if it has none."""
        if not element.pen:
            return element.id
        enterprise = self.enterprises.get(element.pen)
        if enterprise is None or enterprise.v9_base is None:
            return None
        field_type = enterprise.v9_base + element.id
        return field_type if field_type <= MAX_V9_TYPE else None

    @cached_property
    def v9_bases(self) -> tuple[tuple[int, int], ...]:
        """The (v9_base, pen) of enterprises whose elements have NetFlow v9 field types."""
        known = self.enterprises.values()
        return tuple((each.v9_base, each.pen) for each in known if each.v9_base is not None)

    @cached_property
    def v9_elements(self) -> Mapping[int, InformationElement]:
        """NetFlow v9 field types that are not the IANA element of the same number."""
        return self._v9_file or {}

    @cached_property
    def v9_ids(self) -> Mapping[str, int]:
        """Numbers of :attr:`v9_elements` by name."""
        return self._v9_file.ids if self._v9_file else {}

    @cached_property
    def _v9_file(self) -> ElementFile | None:
        path = self._path("netflow9.csv")
        return ElementFile(path, 0) if path else None

    @cached_property
    def aliases(self) -> dict[int, list[str]]:
        """Cisco's names of NetFlow v9 field types, as ``IN_BYTES``, by number."""
        known: dict[int, list[str]] = {}
        for id, alias in self._rows("netflow9_aliases.csv", ("id", "alias")):
            known.setdefault(int(id), []).append(alias)
        return known

    @cached_property
    def alias_types(self) -> dict[str, int]:
        """NetFlow v9 field types by alias in lower case."""
        types: dict[str, int] = {}
        for id, aliases in self.aliases.items():
            for alias in aliases:
                types.setdefault(alias.lower(), id)
        return types

    def _file(self, pen: int) -> ElementFile | None:
        file = self._elements.get(pen)
        # Enterprises without a file are not cached: an exporter may send any number of them.
        if file is None and pen in self.files:
            file = self._elements[pen] = ElementFile(self.files[pen], pen)
        return file

    def _path(self, name: str) -> Path | None:
        path = self.directory / name if self.directory else None
        return path if path and path.exists() else None

    def _rows(self, name: str, columns: tuple[str, ...]) -> Iterator[list[str]]:
        """Read the rows of a file whose cells are names, or numbers, or empty."""
        path = self._path(name)
        if path is None:
            return
        for line, cells in csv_rows(path, read_text(path), columns):
            for cell, column in zip(cells, columns, strict=True):
                if column not in ("name", "alias") and cell and not cell.isdecimal():
                    raise line_error(path, line, f"{column} {cell!r} is not a decimal number")
            yield cells


#: The registry that ships with the package.
SHIPPED = Registry(DATA)

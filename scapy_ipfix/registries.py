# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of Information Elements: readers, a writer, and the directory that ships with us.

Four kinds of file are read: IANA's registry as XML, IANA's CSV export of it, this project's
own CSV (:data:`COLUMNS`) and lines of IESpecs. Errors are ValueErrors ``file:line: what``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from xml.etree import ElementTree

from scapy_ipfix.datatypes import data_type
from scapy_ipfix.iespec import InformationElement, ValueNames

#: Where the registries that ship with the package are.
DATA = Path(__file__).parent / "data"

#: Lines of a file, and the element (or the text of an IESpec) on each.
Elements = Iterator[tuple[int, InformationElement]]
ElementsOrSpecs = Iterator[tuple[int, InformationElement]] | Iterator[tuple[int, str]]

_PEN_IN_NAME = re.compile(r"([0-9]{1,10})_")
_RANGE = re.compile(r"(-?\w+)-(-?\w+)")


class Row(NamedTuple):
    """An element as a row of this project's CSV files: all text, empty what is not known."""

    id: str
    name: str
    type: str
    semantics: str = ""
    units: str = ""
    range: str = ""
    status: str = ""
    values: str = ""

    @classmethod
    def of(cls, element: InformationElement) -> Row:
        """The row that :meth:`element` reads as ``element``."""
        return cls(
            str(element.id),
            element.name,
            element.type.name,
            element.semantics,
            element.units,
            "{}-{}".format(*element.range) if element.range else "",
            element.status,
            element.values.reference if element.values else "",
        )

    def element(self, pen: int, enums: Path = DATA / "enums") -> InformationElement:
        """The element of ``pen`` in this row; ``enums`` is where the files of value names are.

        Raises ValueError for what is no element.
        """
        return InformationElement(
            self.name,
            number(self.id, "id"),
            pen,
            data_type(self.type),
            self.semantics,
            self.units,
            _range(self.range) if self.range else None,
            self.status or "current",
            _value_names(self.values, enums) if self.values else None,
        )


#: The columns of this project's CSV files.
COLUMNS = Row._fields
_IANA_COLUMNS = (
    *("ElementID", "Name", "Abstract Data Type", "Data Type Semantics"),
    *("Units", "Range", "Status"),
)
_IANA_TAGS = ("elementId", "name", "dataType", "dataTypeSemantics", "units", "range", "status")


def read_elements(path: Path, pen: int | None = None) -> ElementsOrSpecs:
    """Every element of a file with its line; of a file of IESpecs the text of each.

    What kind of file it is follows from how it begins. ``pen`` is whose elements those of a
    CSV or XML file are; when None, the number that the file's name begins with, as in
    ``9_cisco.csv``, or else IANA's 0. Raises ValueError (``file:line: what``) and OSError.
    """
    text = read_text(path)
    if pen is None:
        named = _PEN_IN_NAME.match(path.name)
        pen = int(named[1]) if named else 0
    start = text.lstrip()[:100].lower()
    if start.startswith("<"):
        return read_xml(path, text, pen)
    if start.startswith("elementid,"):
        return read_iana_csv(path, text, pen)
    if start.startswith(",".join(COLUMNS[:3])):
        return read_csv(path, text, pen)
    return read_iespecs(text)


def read_iespecs(text: str) -> Iterator[tuple[int, str]]:
    """IESpecs, one a line; what follows a ``#`` is a comment."""
    for line, content in enumerate(text.splitlines(), 1):
        spec = content.partition("#")[0].strip()
        if spec:
            yield line, spec


def read_csv(path: Path, text: str, pen: int) -> Elements:
    """This project's CSV; value names are in ``enums`` beside the file, else in ours."""
    enums = enums_beside(path)
    for line, cells in csv_rows(path, text, COLUMNS):
        yield line, _element(path, line, Row(*cells), pen, enums)


def read_iana_csv(path: Path, text: str, pen: int = 0) -> Elements:
    """IANA's CSV export. Rows that register no element ("Reserved", ranges) are left out."""
    for line, cells in csv_rows(path, text, _IANA_COLUMNS):
        row = Row(*(cell.strip() for cell in cells))
        if row.type:
            yield line, _element(path, line, row, pen)


def read_xml(path: Path, text: str, pen: int = 0) -> Elements:
    """IANA's XML, or an enterprise's in the same form.

    Records that register no element are left out. An ``enterpriseId`` in a record, as CERT
    has it, says whose it is.
    """
    for record in _records(path, text):
        row = Row(*(_text(record, tag) for tag in _IANA_TAGS))
        if row.id and row.type:
            # ElementTree forgets where a record was: look for its number.
            line = text.count("\n", 0, max(0, text.find(f"<elementId>{row.id}<"))) + 1
            owner = _text(record, "enterpriseId")
            yield line, _element(path, line, row, int(owner) if owner.isdecimal() else pen)


def read_protocols(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Number and name of the protocols in IANA's protocol-numbers.xml.

    Names are as in ``/etc/protocols``: small letters, and no spaces. Some numbers are for
    "any" protocol of a kind and have a description for a name.
    """
    for record in _records(path, text):
        value, name = _text(record, "value"), _text(record, "name")
        description = _text(record, "description")
        if not name and description.lower().startswith("any "):
            name = description
        if value.isdecimal() and name and name != "Reserved":
            name = name.lower().removesuffix("(deprecated)").strip()
            yield int(value), re.sub(r"[^a-z0-9.+]+", "-", name)


def write_csv(rows: Iterable[Row]) -> str:
    """Rows as the text of this project's CSV, in the order given."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return file.getvalue()


def read_text(path: Path) -> str:
    """A file's text. Raises ValueError (``file:line: what``) for what is not UTF-8."""
    octets = path.read_bytes()
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise at(path, line, f"not UTF-8: {error.reason}") from None


def csv_rows(path: Path, text: str, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """The cells of ``columns`` in each row below the header, with the row's first line.

    Raises ValueError (``file:line: what``) for a missing column or a row of another width.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = next(reader, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise at(path, line, f"no column {', '.join(missing)}")
        indexes = [header.index(column) for column in columns]
        in_order = header == list(columns)
        line = reader.line_num + 1
        for row in reader:
            if row:
                if len(row) != len(header):
                    raise at(path, line, f"{len(row)} cells below {len(header)} columns")
                yield line, row if in_order else [row[index] for index in indexes]
            line = reader.line_num + 1
    except csv.Error as error:
        raise at(path, line, f"not CSV: {error}") from None


def enums_beside(path: Path) -> Path:
    """Where the value names are that a CSV file refers to: beside it, else ours."""
    enums = path.parent / "enums"
    return enums if enums.is_dir() else DATA / "enums"


def at(path: Path, line: int, what: object) -> ValueError:
    """The error to raise about a line of a file."""
    return ValueError(f"{path}:{line}: {what}")


def number(text: str, what: str) -> int:
    """A decimal number of at most ten digits. Raises ValueError, naming ``what`` it was."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise ValueError(f"{what} {text!r} is not a decimal number")
    return int(text)


def _records(path: Path, text: str) -> Iterator[ElementTree.Element]:
    try:
        return ElementTree.fromstring(text.encode()).iterfind(".//{*}record")
    except ElementTree.ParseError as error:
        raise at(path, error.position[0], f"not well-formed XML: {error}") from None


def _text(record: ElementTree.Element, tag: str) -> str:
    return (record.findtext("{*}" + tag) or "").strip()


def _element(
    path: Path, line: int, row: Row, pen: int, enums: Path = DATA / "enums"
) -> InformationElement:
    try:
        return row.element(pen, enums)
    except ValueError as error:
        raise at(path, line, error) from None


def _range(text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    try:
        low, high = match.groups() if match else ("", "")
        return int(low, 0), int(high, 0)
    except ValueError:
        raise ValueError(f"range {text!r} is not two numbers as in 0-255") from None


@cache
def _value_names(reference: str, enums: Path) -> ValueNames:
    kind, _, name = reference.partition(":")
    if kind not in ("enum", "flags") or not name:
        raise ValueError(f"values {reference!r} is neither enum:FILE nor flags:FILE")
    return ValueNames(kind, enums / f"{name}.csv")


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
        made = self._made.get(id)
        if made is None:
            line, cells = self._rows[id]
            made = _element(self.path, line, Row(*cells), self.pen, self._enums)
            self._made[id] = made
        return made

    def __contains__(self, id: object) -> bool:
        return id in self._rows

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


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

    @cached_property
    def files(self) -> dict[int, Path]:
        """The CSV file of each enterprise number, in the order of the numbers."""
        paths = sorted(self.directory.glob("[0-9]*_*.csv")) if self.directory else []
        return dict(sorted((int(path.name.partition("_")[0]), path) for path in paths))

    def elements(self, pen: int) -> Mapping[int, InformationElement]:
        """An enterprise's elements by number; none for an enterprise without a file."""
        return self._file(pen) or {}

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
        names = {0: "IANA", 29305: "IANA, reverse"}
        for pen, path in self.files.items():
            names.setdefault(pen, path.stem.partition("_")[2])
        names |= {each.pen: each.name for each in self.enterprises.values()}
        return MappingProxyType(dict(sorted(names.items())))

    def reverse_bit(self, pen: int) -> int:
        """What an enterprise sets in the numbers of reverse elements, 0 when it does not."""
        enterprise = self.enterprises.get(pen)
        return enterprise.reverse_bit if enterprise else 0

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

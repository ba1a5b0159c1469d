# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of Information Elements: readers of four kinds, and a writer.

Read are IANA's registry as XML, IANA's CSV export of it, this project's own CSV
(:data:`COLUMNS`) and lines of IESpecs. Errors are ValueErrors ``file:line: what``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.iespec import InformationElement, ValueNames

#: Where the registries that ship with the package are.
DATA = Path(__file__).parents[1] / "data"

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
        yield line, make_element(path, line, Row(*cells), pen, enums)


def read_iana_csv(path: Path, text: str, pen: int = 0) -> Elements:
    """IANA's CSV export. Rows that register no element ("Reserved", ranges) are left out."""
    for line, cells in csv_rows(path, text, _IANA_COLUMNS):
        row = Row(*(cell.strip() for cell in cells))
        if row.type:
            yield line, make_element(path, line, row, pen)


def read_xml(path: Path, text: str, pen: int = 0) -> Elements:
    """IANA's XML, or an enterprise's in the same form.

    Records that register no element are left out, a file without any is refused. An
    ``enterpriseId`` in a record, as CERT has it, says whose it is.
    """
    found = False
    for record in _records(path, text):
        row = Row(*(_text(record, tag) for tag in _IANA_TAGS))
        if row.id and row.type:
            # ElementTree forgets where a record was: look for its number.
            line = text.count("\n", 0, max(0, text.find(f"<elementId>{row.id}<"))) + 1
            owner = _text(record, "enterpriseId")
            found = True
            yield line, make_element(path, line, row, int(owner) if owner.isdecimal() else pen)
    if not found:
        raise at(path, 1, "no Information Elements in the form of IANA's ipfix.xml")


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


def make_element(
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

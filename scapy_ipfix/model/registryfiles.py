# SPDX-License-Identifier: GPL-2.0-or-later
"""Files of Information Elements: readers of four formats, and a writer.

The formats are IANA's registry as XML and as CSV, this project's own CSV (:data:`COLUMNS`)
and lines of IESpecs. Errors are ValueErrors ``file:line: message``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement, ValueNames

#: The directory of the registries that ship with the package.
DATA = Path(__file__).parents[1] / "data"

#: Elements (or the texts of IESpecs), each with its line in a file.
Elements = Iterator[tuple[int, InformationElement]]
ElementsOrSpecs = Iterator[tuple[int, InformationElement]] | Iterator[tuple[int, str]]

_PEN_IN_NAME = re.compile(r"([0-9]{1,10})_")
_RANGE = re.compile(r"(-?\w+)-(-?\w+)")


class Row(NamedTuple):
    """Element as a row of this project's CSV files: text, empty where unknown."""

    id: str
    name: str
    type: str
    semantics: str = ""
    units: str = ""
    range: str = ""
    status: str = ""
    values: str = ""

    @classmethod
    def from_element(cls, element: InformationElement) -> Row:
        """Return the row of which :meth:`element` makes ``element``."""
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
        """Return the element of ``pen`` in this row.

        ``enums`` is the directory with the files of value names. Raises ValueError for a row
        that is no element.
        """
        return InformationElement(
            self.name,
            parse_number(self.id, "id"),
            pen,
            data_type(self.type),
            self.semantics,
            self.units,
            _parse_range(self.range) if self.range else None,
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
    """Read the elements of a file, each with its line; from IESpecs, their texts.

    The format follows from the beginning of the file. ``pen`` is the enterprise of a CSV or
    XML file; by default the number at the beginning of its name, as in ``9_cisco.csv``, or
    0. Raises ValueError (``file:line: message``) and OSError.
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
    """Read IESpecs, one on each line; ``#`` begins a comment."""
    for line, content in enumerate(text.splitlines(), 1):
        spec = content.partition("#")[0].strip()
        if spec:
            yield line, spec


def read_csv(path: Path, text: str, pen: int) -> Elements:
    """Read this project's CSV; ``enums`` beside the file, or ours, has the value names."""
    enums = enums_directory(path)
    for line, cells in csv_rows(path, text, COLUMNS):
        yield line, make_element(path, line, Row(*cells), pen, enums)


def read_iana_csv(path: Path, text: str, pen: int = 0) -> Elements:
    """Read IANA's CSV; rows without an element ("Reserved", ranges) are skipped."""
    for line, cells in csv_rows(path, text, _IANA_COLUMNS):
        row = Row(*(cell.strip() for cell in cells))
        if row.type:
            yield line, make_element(path, line, row, pen)


def read_xml(path: Path, text: str, pen: int = 0) -> Elements:
    """Read IANA's XML, or an enterprise's in the same format.

    Records without an element are skipped. ``enterpriseId`` in a record, as in CERT's file,
    is its enterprise. Raises ValueError for a file without elements.
    """
    found = False
    for line, texts in _records(path, text):
        row = Row(*(texts.get(tag, "") for tag in _IANA_TAGS))
        if row.id and row.type:
            owner = texts.get("enterpriseId", "")
            found = True
            yield line, make_element(path, line, row, int(owner) if owner.isdecimal() else pen)
    if not found:
        raise line_error(path, 1, "no Information Elements in the form of IANA's ipfix.xml")


def read_protocols(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Read number and name of each protocol in IANA's protocol-numbers.xml.

    Names are as in ``/etc/protocols``: lower case, no spaces. Numbers for "any" protocol of
    a kind have no name but a description.
    """
    for _, texts in _records(path, text):
        value, name = texts.get("value", ""), texts.get("name", "")
        description = texts.get("description", "")
        if not name and description.lower().startswith("any "):
            name = description
        if value.isdecimal() and name and name != "Reserved":
            name = name.lower().removesuffix("(deprecated)").strip()
            yield int(value), re.sub(r"[^a-z0-9.+]+", "-", name)


def write_csv(rows: Iterable[Row]) -> str:
    """Return rows as the text of this project's CSV, in the order given."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    return file.getvalue()


def read_text(path: Path) -> str:
    """Read a text file. Raises ValueError (``file:line: message``) if it is not UTF-8."""
    octets = path.read_bytes()
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise line_error(path, line, f"not UTF-8: {error.reason}") from None


def csv_rows(path: Path, text: str, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Read the cells of ``columns`` in each row below the header, with the row's first line.

    Raises ValueError (``file:line: message``) for a missing column or a row of another width.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = next(reader, [])
        missing = [column for column in columns if column not in header]
        if missing:
            raise line_error(path, line, f"no column {', '.join(missing)}")
        indexes = [header.index(column) for column in columns]
        in_order = header == list(columns)
        line = reader.line_num + 1
        for row in reader:
            if row:
                if len(row) != len(header):
                    raise line_error(path, line, f"{len(row)} cells below {len(header)} columns")
                yield line, row if in_order else [row[index] for index in indexes]
            line = reader.line_num + 1
    except csv.Error as error:
        raise line_error(path, line, f"not CSV: {error}") from None


def enums_directory(path: Path) -> Path:
    """Return the directory of a CSV file's value names: ``enums`` beside it, or ours."""
    enums = path.parent / "enums"
    return enums if enums.is_dir() else DATA / "enums"


def line_error(path: Path, line: int, message: object) -> ValueError:
    """Return the error to raise for a line of a file."""
    return ValueError(f"{path}:{line}: {message}")


def parse_number(text: str, name: str) -> int:
    """Parse a decimal number of at most ten digits. Raises ValueError that names it."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):
        raise ValueError(f"{name} {text!r} is not a decimal number")
    return int(text)


def _records(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Return the line of each record in XML, and the text of its children by tag.

    The line is that of the number, the text of a child ends at the first element in it.
    """
    lines: list[int] = []
    records: list[dict[str, str]] = []
    tags: list[str] = []
    child = ""

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal child
        tag, child = name.rpartition(" ")[2], ""
        if tag == "record":
            lines.append(parser.CurrentLineNumber)
            records.append({})
        elif tags[-1:] == ["record"] and tag not in records[-1]:
            child, records[-1][tag] = tag, ""
            if tag == "elementId":
                lines[-1] = parser.CurrentLineNumber
        tags.append(tag)

    def end(name: str) -> None:
        nonlocal child
        child = ""
        tags.pop()

    def characters(data: str) -> None:
        if child:
            records[-1][child] += data

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise line_error(path, error.lineno, f"not well-formed XML: {error}") from None
    stripped = ({tag: each.strip() for tag, each in record.items()} for record in records)
    return zip(lines, stripped, strict=True)


def make_element(
    path: Path, line: int, row: Row, pen: int, enums: Path = DATA / "enums"
) -> InformationElement:
    """Return the element of a row. Raises ValueError (``file:line: message``)."""
    try:
        return row.element(pen, enums)
    except ValueError as error:
        raise line_error(path, line, error) from None


def _parse_range(text: str) -> tuple[int, int]:
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

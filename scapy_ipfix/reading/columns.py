# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as columns: numpy arrays by field, and a pandas DataFrame.

The octets of records of one template layout are laid end to end and each field is read from
all of them at once, which takes a tenth of the time that a dict a record does. The result is
in memory as a whole; :mod:`scapy_ipfix.reading.parquet` writes one that need not be.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

from scapy_ipfix.collector.collected import DataRead, Origin
from scapy_ipfix.model.datatypes import VARIABLE
from scapy_ipfix.model.iespec import InformationElement
from scapy_ipfix.reading.arrays import (
    address_text,
    fixed_arrays,
    is_address,
    numpy,
    objects,
    variable_array,
)
from scapy_ipfix.reading.extras import extra
from scapy_ipfix.reading.reader import field_names, iter_sets, parse_kind
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.codec import RecordCodec
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["address_text", "read_columns", "to_pandas"]

#: Columns that say where a record is from; no Information Element that we know has their names.
CONTEXT = ("_exporter", "_domain", "_template")
#: Columns of one DataFrame that come of themselves: each has a cell for every record.
COLUMNS = 1024
_OCTETS = InformationElement("octets", 0)


def read_columns(
    source: Any,
    fields: Sequence[str] | None = None,
    kind: str = "all",
    *,
    context: bool = False,
    session: IPFIXSession | None = None,
) -> dict[Template, dict[str, NDArray[Any]]]:
    """The Data Records of a source as numpy arrays: by template layout, then by field.

    ``source``, ``fields``, ``kind`` and ``session`` are as in
    :func:`~scapy_ipfix.reading.reader.iter_records`: with ``fields``, only these columns, of the
    layouts that have them all. ``context`` adds the columns ``_exporter`` (str), ``_domain``
    and ``_template``. Templates with the same fields in the same lengths are one layout,
    whoever sent them under which id; the key is the first of them. Records are in order of
    arrival.

    =========================  ==========================================================
    integers                   as wide as their type, in the machine's octet order
    dateTimeSeconds, -Milli-   ``datetime64[ms]``, UTC; ``NaT`` beyond its end
    dateTimeMicro-, -Nano-     ``datetime64[us]``, ``datetime64[ns]``, UTC
    ipv4Address                ``uint32``; :func:`address_text` makes text of these
    ipv6Address, macAddress    ``V16``, ``V6``, the same
    boolean                    ``bool``; ``uint8`` where an octet is neither 1 nor 2
    octetArray, lists          ``V`` and the length
    string, unsigned256        objects: ``str`` (``bytes`` if not UTF-8), ``int``
    =========================  ==========================================================

    A field of variable length, or of none, is an object array of values as iter_records
    gives them; lists are octets all the same. What a type forbids to be so long is ``V``.

    For one array over all layouts: ``numpy.concatenate([each["octetDeltaCount"] for each in
    read_columns(path, ["octetDeltaCount"]).values()])``.

    Raises what iter_records does, and MissingPackage (an ImportError) without numpy.
    """
    np = numpy("read_columns")
    gathered = _gather(source, fields, kind, session)
    return {layout.template: layout.arrays(np, context=context) for layout in gathered.take()}


def to_pandas(
    source: Any,
    fields: Sequence[str] | None = None,
    kind: str = "all",
    *,
    session: IPFIXSession | None = None,
) -> Any:
    """The Data Records of a source as one pandas DataFrame: a column for each field of any.

    Arguments are those of :func:`read_columns`. ``_exporter``, ``_domain`` and ``_template``
    come first. Records of one layout stand together, in order of arrival; a field that a
    record has not is missing there. Integers and booleans are of pandas' nullable types
    (``UInt64``), times are aware (UTC), addresses and strings text, octets ``bytes``.

    Raises what read_columns does, ValueError where that would be more than :data:`COLUMNS`
    columns, and MissingPackage (an ImportError) without pandas.
    """
    pandas = extra("pandas", "to_pandas", "pandas")
    np = numpy("to_pandas")
    gathered = _gather(source, fields, kind, session)
    if fields is None and len(gathered.found()) > COLUMNS:
        raise ValueError(f"too many columns for one table, more than {COLUMNS}: give fields")
    frames = [
        pandas.DataFrame(
            {
                name: _series(pandas, array, layout.fields.get(name))
                for name, array in layout.arrays(np, context=True).items()
            }
        )
        for layout in gathered.take()
    ]
    if not frames:
        return pandas.DataFrame(columns=[*CONTEXT, *(gathered.names or ())])
    return pandas.concat(frames, ignore_index=True)


def _series(pandas: Any, array: Any, template_field: TemplateField | None) -> Any:
    """A column of a DataFrame, of a type that can say that a value is missing."""
    if template_field is not None and is_address(template_field):
        return pandas.array(address_text(array), dtype="string")
    kind = array.dtype.kind
    if kind == "M":
        return pandas.Series(array).dt.tz_localize("UTC")
    if kind in "iub":
        return pandas.array(array)
    if kind == "V":
        return pandas.Series(array.tolist(), dtype=object)
    if kind == "O" and all(type(value) is str for value in array):
        return pandas.array(array, dtype="string")
    return pandas.Series(array)


def _gather(
    source: Any, fields: Sequence[str] | None, kind: str, session: IPFIXSession | None
) -> Gathered:
    session = session or IPFIXSession()
    options = parse_kind(kind)
    names = None if fields is None else field_names(fields, session.collector.model)
    gathered = Gathered(names)
    for read in iter_sets(source, session):
        template = read.template
        assert template is not None
        if options is None or template.is_options is options:
            gathered.add(read, template)
    return gathered


@dataclass(slots=True)
class _Stretch:
    """Where a number of records in a row are from."""

    domain: Origin
    template_id: int
    records: int = 0


@dataclass(slots=True)
class _Run:
    """Fixed-length fields beside each other, and their octets in all records so far."""

    fields: tuple[TemplateField, ...]
    octets: bytearray = field(default_factory=bytearray)

    @property
    def length(self) -> int:
        return sum(each.length for each in self.fields)

    def extend(self, items: Iterable[bytes]) -> None:
        self.octets += b"".join(items)

    def arrays(self, np: Any, names: Container[str], count: int) -> dict[str, Any]:
        return fixed_arrays(np, self.fields, names, self.octets, count)


@dataclass(slots=True)
class _Varying:
    """A variable-length field, and its octets in each record so far."""

    fields: tuple[TemplateField]
    items: list[bytes] = field(default_factory=list)
    length = VARIABLE

    def extend(self, items: Iterable[bytes]) -> None:
        self.items.extend(items)

    def arrays(self, np: Any, names: Container[str], count: int) -> dict[str, Any]:
        return {self.fields[0].name: variable_array(np, self.fields[0], self.items)}


class Layout:
    """The records of one template layout, as octets that become arrays when asked for.

    ``names`` are the fields that are wanted, in the order in which they are.
    """

    def __init__(self, template: Template, names: tuple[str, ...] | None) -> None:
        self.template = template
        self.names = template.names if names is None else names
        wanted_names = frozenset(self.names)
        # An element that a peer named like a column of CONTEXT gives way to that.
        self.fields = {
            each.name: each
            for each in template.fields
            if each.name in wanted_names and each.name not in CONTEXT
        }
        self._stretches: list[_Stretch] = []
        self._stretch: _Stretch | None = None
        pieces = list(_pieces(template.fields))
        wanted = [
            i
            for i, piece in enumerate(pieces)
            if any(each.name in self.fields for each in piece.fields)
        ]
        self._pieces = [pieces[i] for i in wanted]
        self._size = template.length
        #: Where records of one length go as they are; others are walked first.
        self._whole: bytearray | None = None
        if len(pieces) == 1 and isinstance(pieces[0], _Run):
            self._whole = pieces[0].octets
        # To this codec, a run is one field of octets: only the walk is left to do.
        self._codec = RecordCodec(
            tuple(TemplateField(_OCTETS, piece.length, "") for piece in pieces), tuple(wanted)
        )

    @property
    def records(self) -> int:
        return sum(each.records for each in self._stretches)

    def add(self, read: DataRead) -> int:
        """Takes the records of a Data Set; gives how many there are."""
        start, stop, whole = read.start + 4, read.stop, self._whole
        if not self._size:
            return 0  # a template whose records are not read
        if whole is not None:
            records, rest = divmod(stop - start, self._size)
            whole += read.octets[start : stop - rest]
        else:
            rows = self._codec.rows(read.octets[start:stop])
            records = len(rows)
            for piece, items in zip(self._pieces, zip(*rows)):
                piece.extend(items)
        stretch = self._stretch
        if (
            stretch is None
            or stretch.domain is not read.domain
            or stretch.template_id != read.set_id
        ):
            stretch = self._stretch = _Stretch(read.domain, read.set_id)
            self._stretches.append(stretch)
        stretch.records += records
        return records

    def arrays(self, np: Any, *, context: bool) -> dict[str, Any]:
        """The wanted fields as arrays, behind the columns of :data:`CONTEXT` if asked for."""
        found: dict[str, Any] = {}
        for piece in self._pieces:
            found |= piece.arrays(np, self.fields, self.records)
        before = self._origin_arrays(np) if context else {}
        return before | {name: found[name] for name in self.names if name in self.fields}

    def _origin_arrays(self, np: Any) -> dict[str, Any]:
        counts = [each.records for each in self._stretches]
        exporters = [str(each.domain.transport) for each in self._stretches]
        columns = (
            objects(np, exporters, len(exporters)),
            np.array([each.domain.id for each in self._stretches], "u4"),
            np.array([each.template_id for each in self._stretches], "u2"),
        )
        return {name: np.repeat(column, counts) for name, column in zip(CONTEXT, columns)}


class Gathered:
    """Records by template layout. ``records`` and ``octets`` are about how many are held.

    ``fields`` is how many the layouts have together: of a thousand there may be a record each.
    """

    def __init__(self, names: tuple[str, ...] | None) -> None:
        self.names = names
        self.records = 0
        self.octets = 0
        self.fields = 0
        self._template: Template | None = None
        self._layout: Layout | None = None
        self._by_template: dict[Template, Layout | None] = {}
        self._by_fields: dict[tuple[TemplateField, ...], Layout] = {}

    def add(self, read: DataRead, template: Template) -> None:
        """Takes the records of a Data Set, if they have the fields that are wanted."""
        if template is not self._template:  # most sets are like the one before
            if template not in self._by_template:
                self._by_template[template] = self._layout_of(template)
                self.fields += 1 + len(template.fields)
            self._template, self._layout = template, self._by_template[template]
        layout = self._layout
        if layout is not None:
            self.octets += read.stop - read.start
            self.records += layout.add(read)

    def _layout_of(self, template: Template) -> Layout | None:
        if not frozenset(self.names or ()).issubset(template.names):
            return None
        if not 0 < template.length < VARIABLE:
            return None  # of these there are no records: none has no octets, or fits into a set
        layout = self._by_fields.get(template.fields)
        if layout is None:
            layout = self._by_fields[template.fields] = Layout(template, self.names)
        return layout

    def found(self) -> set[str]:
        """The fields that any of the records have."""
        layouts = [each for each in self._by_fields.values() if each.records]
        return {name for each in layouts for name in each.fields}

    def take(self) -> Iterator[Layout]:
        """The layouts that have records, in order of appearance; forgets each when it is given."""
        self._template = None
        self._by_template.clear()
        layouts, self._by_fields = self._by_fields, {}
        self.records = self.octets = self.fields = 0
        for fields in list(layouts):
            layout = layouts.pop(fields)
            if layout.records:
                yield layout


def _pieces(fields: tuple[TemplateField, ...]) -> Iterator[_Run | _Varying]:
    """Fixed-length fields in runs, each of the others by itself."""
    for is_variable, group in groupby(fields, key=lambda each: each.is_variable):
        if is_variable:
            yield from (_Varying((each,)) for each in group)
        else:
            yield _Run(tuple(group))

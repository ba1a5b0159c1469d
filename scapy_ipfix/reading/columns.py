# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as columns: numpy arrays by field, and a pandas DataFrame.

The records of one template layout are concatenated, and each field is decoded from all of
them at once, in a tenth of the time that dicts take. The result is in memory as a whole;
:mod:`scapy_ipfix.reading.parquet` writes a file in pieces.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.model.datatypes import VARIABLE
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.reading.arrays import (
    address_text,
    fixed_arrays,
    is_address,
    numpy,
    objects,
    variable_array,
)
from scapy_ipfix.reading.derivedcolumns import DerivedColumns
from scapy_ipfix.reading.extras import extra
from scapy_ipfix.reading.reader import Kind, Source, field_names, iter_sets, parse_kind
from scapy_ipfix.reading.selection import (
    CONTEXT,
    MESSAGE_CONTEXT,
    NUMBERS,
    ORIGIN,
    FieldSelection,
    exporter_text,
    kind_of,
)
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.wire.codec import RecordCodec
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["address_text", "read_columns", "to_pandas"]

#: Columns of a DataFrame without ``fields``, at most: each has a cell for every record.
COLUMNS = 1024
_OCTETS = InformationElement("octets", 0)


def read_columns(
    source: Source,
    fields: Sequence[str] | None = None,
    kind: Literal["all", "data", "options"] = "all",
    *,
    context: bool = False,
    session: IPFIXSession | None = None,
) -> dict[Template, dict[str, NDArray[Any]]]:
    """Return the Data Records of a source as numpy arrays: by template layout, then by field.

    ``source``, ``fields``, ``kind`` and ``session`` are as in :func:`iter_records`: with
    ``fields``, only these columns, of the layouts that have them all. ``context`` adds the
    columns ``_exporter``, ``_domain``, ``_template``, ``_version``, ``_export_time``,
    ``_packet`` and ``_file``. Templates with the same fields in the same lengths are one layout,
    also of several exporters and ids; the first of them is the key. Records are in order of
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

    Resolved values and context may be among the fields: times are ``datetime64[us]``,
    ``flow_duration`` and ``sampling_rate`` ``float64`` (NaN: unknown); ports, ``protocol``,
    ``octets``, ``packets`` are integers, objects where one is unknown; addresses and names are
    objects, ``str`` or None.

    A field of variable length, or of length 0, is an object array of values as iter_records
    yields them, except that lists are octets. A field of a length that its type does not allow
    is ``V``.

    For one array over all layouts: ``numpy.concatenate([each["octetDeltaCount"] for each in
    read_columns(path, ["octetDeltaCount"]).values()])``.

    Raises the errors of iter_records, and MissingPackage (an ImportError) without numpy.
    """
    np = numpy("read_columns")
    gathered = _gather(source, fields, kind, session, context)
    return {layout.template: layout.arrays(np, origin=context) for layout in gathered.drain()}


def to_pandas(
    source: Source,
    fields: Sequence[str] | None = None,
    kind: Literal["all", "data", "options"] = "all",
    *,
    context: bool = False,
    session: IPFIXSession | None = None,
) -> Any:
    """Return the Data Records of a source as one pandas DataFrame, a column for each field.

    Arguments are those of :func:`read_columns`. The first columns are ``_exporter``,
    ``_domain`` and ``_template``, with ``context`` all of the context. Records are grouped by
    layout, each in order of arrival; a field that a record does not have is missing (NA).
    Integers and booleans have pandas' nullable types (``UInt64``), times are UTC, addresses and
    strings text, octets ``bytes``.

    Raises the errors of read_columns, ValueError for more than 1024 columns without
    ``fields``, and MissingPackage (an ImportError) without pandas.
    """
    pandas = extra("pandas", "to_pandas", "pandas")
    np = numpy("to_pandas")
    gathered = _gather(source, fields, kind, session, context)
    if fields is None and len(gathered.field_names()) > COLUMNS:
        raise ValueError(
            f"more than {COLUMNS} columns for one DataFrame: "
            "give fields, or use read_columns(), which has a table for each layout"
        )
    frames = [
        pandas.DataFrame(
            {
                name: _series(pandas, name, array, layout.fields.get(name))
                for name, array in layout.arrays(np, origin=True).items()
            }
        )
        for layout in gathered.drain()
    ]
    if not frames:
        origin = CONTEXT if context else ORIGIN
        return pandas.DataFrame(columns=[*dict.fromkeys((*origin, *(gathered.names or ())))])
    return pandas.concat(frames, ignore_index=True)


def _series(pandas: Any, name: str, array: Any, template_field: TemplateField | None) -> Any:
    """Return a column of a DataFrame, in a type that has a missing value (NA)."""
    if template_field is not None and is_address(template_field):
        return pandas.array(address_text(array), dtype="string")
    kind = array.dtype.kind
    if kind == "M":
        return pandas.Series(array).dt.tz_localize("UTC")
    if kind in "iub":
        return pandas.array(array)
    if kind == "V":
        return pandas.Series(array.tolist(), dtype=object)
    if kind == "O" and template_field is None and kind_of(name) in NUMBERS:
        return pandas.array(array, dtype="UInt64")
    if kind == "O" and all(type(value) is str for value in array if value is not None):
        return pandas.array(array, dtype="string")
    return pandas.Series(array)


def _gather(
    source: Source,
    fields: Sequence[str] | None,
    kind: Kind,
    session: IPFIXSession | None,
    context: bool,
) -> LayoutBuffers:
    """Read a source into buffers by layout. Raises ValueError, OSError."""
    session = session or IPFIXSession()
    is_options = parse_kind(kind)
    names = None if fields is None else field_names(fields, session.collector.model)
    added = MESSAGE_CONTEXT if context else ()
    gathered = LayoutBuffers(names, session._reader.files, added)
    for read in iter_sets(source, session):
        template = read.template
        assert template is not None
        if is_options is None or template.is_options is is_options:
            gathered.add(read, template)
    return gathered


@dataclass(slots=True)
class _OriginRun:
    """Origin of consecutive records, and their number."""

    domain: Domain
    template_id: int
    records: int = 0


@dataclass(slots=True)
class _FixedRun:
    """Consecutive fixed-length fields, and their octets in all records so far."""

    fields: tuple[TemplateField, ...]
    octets: bytearray = field(default_factory=bytearray)

    @property
    def length(self) -> int:
        """Octets of these fields in a record."""
        return sum(each.length for each in self.fields)

    def extend(self, items: Iterable[bytes]) -> None:
        self.octets += b"".join(items)

    def arrays(self, np: Any, names: Container[str], count: int) -> dict[str, Any]:
        return fixed_arrays(np, self.fields, names, self.octets, count)


@dataclass(slots=True)
class _VariableField:
    """Variable-length field, and its octets in each record so far."""

    fields: tuple[TemplateField]
    items: list[bytes] = field(default_factory=list)
    length = VARIABLE

    def extend(self, items: Iterable[bytes]) -> None:
        self.items.extend(items)

    def arrays(self, np: Any, names: Container[str], count: int) -> dict[str, Any]:
        return {self.fields[0].name: variable_array(np, self.fields[0], self.items)}


class Layout:
    """Records of one template layout, as octets from which arrays are made.

    ``names`` are the selected values in the order of the columns, None for all fields;
    ``added`` are resolved and context values to be gathered besides these.
    """

    def __init__(
        self,
        template: Template,
        names: tuple[str, ...] | None,
        files: SourceFiles,
        added: tuple[str, ...] = (),
    ) -> None:
        self.template = template
        self.names = template.names if names is None else names
        self._added = added
        if names is None:
            # A learned element may have the name of a column of CONTEXT, which takes precedence.
            selected = frozenset(template.names).difference(CONTEXT)
        else:
            selected = frozenset(FieldSelection.make(names).fields)
        self.fields = {each.name: each for each in template.fields if each.name in selected}
        derived = FieldSelection.make((*(names or ()), *added))
        self._derived = DerivedColumns(derived, files)
        self._origins: list[_OriginRun] = []
        self._origin: _OriginRun | None = None
        parts = list(_parts(template.fields))
        kept = [
            index
            for index, part in enumerate(parts)
            if any(each.name in self.fields for each in part.fields)
        ]
        self._parts = [parts[i] for i in kept]
        self._size = template.length
        #: Buffer of records of one length, which are copied as they are; None for others.
        self._whole: bytearray | None = None
        if len(parts) == 1 and isinstance(parts[0], _FixedRun):
            self._whole = parts[0].octets
        # For this codec, a run is one field of octets, so that it decodes no values.
        self._codec = RecordCodec(
            tuple(TemplateField(_OCTETS, each.length, "") for each in parts), tuple(kept)
        )

    @property
    def records(self) -> int:
        """Number of records so far."""
        return sum(each.records for each in self._origins)

    def add(self, read: CollectedSet) -> int:
        """Add the records of a Data Set and return their number."""
        start, stop, whole = read.start + 4, read.stop, self._whole
        if not self._parts:
            records, _ = read.template.codec.count_records(read.body) if read.template else (0, 0)
        elif whole is not None:
            records, rest = divmod(stop - start, self._size)
            whole += read.octets[start : stop - rest]
        else:
            rows = self._codec.rows(read.octets[start:stop])
            records = len(rows)
            for part, items in zip(self._parts, zip(*rows)):
                part.extend(items)
        origin = self._origin
        if origin is None or origin.domain is not read.domain or origin.template_id != read.set_id:
            origin = self._origin = _OriginRun(read.domain, read.set_id)
            self._origins.append(origin)
        origin.records += records
        if read.template is not None:
            self._derived.add(read, read.template, records)
        return records

    def arrays(self, np: Any, *, origin: bool) -> dict[str, Any]:
        """Return the selected values as arrays, after those of the origin and the context."""
        arrays: dict[str, Any] = {}
        for part in self._parts:
            arrays |= part.arrays(np, self.fields, self.records)
        before = self._origin_arrays(np) if origin else {}
        arrays |= self._derived.arrays(np)
        context = [name for name in self._added if name in CONTEXT]
        names = dict.fromkeys((*context, *self.names, *self._added))
        return before | {name: arrays[name] for name in names if name in arrays}

    def _origin_arrays(self, np: Any) -> dict[str, Any]:
        counts = [each.records for each in self._origins]
        exporters = [exporter_text(each.domain) for each in self._origins]
        columns = (
            objects(np, exporters, len(exporters)),
            np.array([each.domain.id for each in self._origins], "u4"),
            np.array([each.template_id for each in self._origins], "u2"),
        )
        return {name: np.repeat(column, counts) for name, column in zip(ORIGIN, columns)}


class LayoutBuffers:
    """Records by template layout; ``names`` are the selected values, None for all fields.

    ``files`` are those of the records' packets. ``added`` are resolved and context values to be
    gathered besides the names.

    ``records``, ``octets`` and ``fields`` measure what is held: records, octets of their Data
    Sets, and fields of all layouts, of which thousands may have a single record each.
    """

    def __init__(
        self,
        names: tuple[str, ...] | None,
        files: SourceFiles,
        added: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self._selection = FieldSelection.make(names or ())
        self._files = files
        self._added = added
        self.records = 0
        self.octets = 0
        self.fields = 0
        self._template: Template | None = None
        self._layout: Layout | None = None
        self._by_template: dict[Template, Layout | None] = {}
        self._by_fields: dict[tuple[TemplateField, ...], Layout] = {}

    def add(self, read: CollectedSet, template: Template) -> None:
        """Add the records of a Data Set, if they have all selected fields."""
        if template is not self._template:  # most Data Sets have the template of the last one
            if template not in self._by_template:
                self._by_template[template] = self._layout_of(template)
                self.fields += 1 + len(template.fields)
            self._template, self._layout = template, self._by_template[template]
        layout = self._layout
        if layout is not None:
            self.octets += read.stop - read.start
            self.records += layout.add(read)

    def _layout_of(self, template: Template) -> Layout | None:
        if not self._selection.permits(template):
            return None
        if not 0 < template.length < VARIABLE:
            return None  # records of no octets, or longer than a Data Set: there are none
        layout = self._by_fields.get(template.fields)
        if layout is None:
            layout = self._by_fields[template.fields] = Layout(
                template, self.names, self._files, self._added
            )
        return layout

    def field_names(self) -> set[str]:
        """Return the names of all fields of the records."""
        layouts = [each for each in self._by_fields.values() if each.records]
        return {name for each in layouts for name in each.fields}

    def drain(self) -> Iterator[Layout]:
        """Yield the layouts that have records in order of appearance, and release each."""
        self._template = None
        self._by_template.clear()
        layouts, self._by_fields = self._by_fields, {}
        self.records = self.octets = self.fields = 0
        for fields in list(layouts):
            layout = layouts.pop(fields)
            if layout.records:
                yield layout


def _parts(fields: tuple[TemplateField, ...]) -> Iterator[_FixedRun | _VariableField]:
    """Yield fixed-length fields in runs, each variable-length field alone."""
    for is_variable, group in groupby(fields, key=lambda each: each.is_variable):
        if is_variable:
            yield from (_VariableField((each,)) for each in group)
        else:
            yield _FixedRun(tuple(group))

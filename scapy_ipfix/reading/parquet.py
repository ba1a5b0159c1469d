# SPDX-License-Identifier: GPL-2.0-or-later
"""Data Records as one Parquet file, written in row groups of bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from scapy_ipfix.collector.collected import CollectedSet
from scapy_ipfix.reading.arrays import address_text, fixed_arrays, is_address
from scapy_ipfix.reading.columns import Layout, LayoutBuffers
from scapy_ipfix.reading.derivedcolumns import INTEGERS
from scapy_ipfix.reading.extras import extra
from scapy_ipfix.reading.selection import CONTEXT, ORIGIN, FieldSelection, kind_of
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.layout import STRUCTURED
from scapy_ipfix.wire.template import Template

#: Records, or octets of them, after which a row group is written.
_GROUP_RECORDS = 1 << 17
_GROUP_OCTETS = 1 << 26
#: Fields of layouts likewise: each takes a thousand octets, however few its records are.
_GROUP_FIELDS = 1 << 16


def require_pyarrow() -> None:
    """Raise MissingPackage if pyarrow or numpy is not installed."""
    _require("numpy")
    _require("pyarrow")


def _require(package: str) -> Any:
    return extra(package, "--parquet", "parquet")


class ParquetWriter:
    """Writer of a Parquet file of Data Records, a column for each field of any template.

    ``templates`` are those of all records to be written, since columns cannot be added later:
    fields of other templates without a column are left out. ``fields`` selects columns, and
    the records that have them all; resolved values and context may be among them. The first
    columns are ``_exporter``, ``_domain`` and ``_template``. ``added`` are resolved and context
    values that become columns besides, for which ``files`` has the packets. Each row group
    has its records grouped by layout, in order of arrival.

    Integers are as wide as their type, times are UTC timestamps, addresses are text, octets
    are binary; a field with several types in several templates gets the widest, or text. A
    boolean other than true and false is null. Strings that are not UTF-8 have the invalid
    octets escaped.

    A file at ``path`` is overwritten. The writer is a context manager that removes the file
    unless :meth:`finish` was called. Raises OSError, MissingPackage.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        templates: Iterable[Template],
        fields: tuple[str, ...] | None = None,
        *,
        added: tuple[str, ...] = (),
        files: SourceFiles | None = None,
    ) -> None:
        self.records = 0
        self._np = _require("numpy")
        self._pa = _require("pyarrow")
        self._added = added
        self._schema = self._columns(templates, fields)
        self._buffers = LayoutBuffers(fields, files or SourceFiles(), added)
        self._path = Path(path)
        self._out = self._path.open("wb")
        self._writer = _require("pyarrow.parquet").ParquetWriter(self._out, self._schema)
        self._finished = False

    def write(self, read: CollectedSet, template: Template) -> None:
        """Write the records of a Data Set, at the latest with :meth:`finish`."""
        buffers = self._buffers
        before = buffers.records
        buffers.add(read, template)
        self.records += buffers.records - before
        if (
            buffers.records >= _GROUP_RECORDS
            or buffers.octets >= _GROUP_OCTETS
            or buffers.fields >= _GROUP_FIELDS
        ):
            self._flush()

    def finish(self) -> None:
        """Write the records that are buffered, and the end of the file."""
        self._flush()
        self._writer.close()
        self._out.close()
        self._finished = True

    def __enter__(self) -> ParquetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._finished:
            # Keep pyarrow from writing the end of the file, also when its writer is deleted:
            # a partial file would look complete.
            self._writer.is_open = False
            try:
                self._out.close()  # may raise OSError, as of a full disk
            finally:
                if self._path.is_file():
                    self._path.unlink()

    def _flush(self) -> None:
        tables = [self._table(layout) for layout in self._buffers.drain()]
        if tables:
            table = self._pa.concat_tables(tables)
            self._writer.write_table(table, row_group_size=table.num_rows)

    def _columns(self, templates: Iterable[Template], names: tuple[str, ...] | None) -> Any:
        """Return the schema: names and types of the columns."""
        pa = self._pa
        context = [name for name in self._added if name in CONTEXT]
        columns = {name: self._derived_type(name) for name in (*ORIGIN, *context)}
        for name in names or ():
            columns[name] = pa.null() if kind_of(name) is None else self._derived_type(name)
        selection = FieldSelection.make(names or ())
        selected = None if names is None else selection.fields
        for template in templates:
            if not selection.permits(template):
                continue
            for field in template.fields:
                if field.name not in CONTEXT if selected is None else field.name in selected:
                    own = self._type(field)
                    columns[field.name] = _union(pa, columns.get(field.name, own), own)
        columns |= {name: self._derived_type(name) for name in self._added}
        return pa.schema(list(columns.items()))

    def _derived_type(self, name: str) -> Any:
        """Return the type of a column of a resolved or context value."""
        pa, kind = self._pa, kind_of(name)
        if kind == "time":
            return pa.timestamp("us", "UTC")
        if kind in ("duration", "rate"):
            return pa.float64()
        integer = INTEGERS.get(name)
        return pa.string() if integer is None else pa.from_numpy_dtype(self._np.dtype(integer))

    def _type(self, field: TemplateField) -> Any:
        """Return the type of a column that has this field alone."""
        pa = self._pa
        if is_address(field):
            return pa.string()
        if field.data_type.name == "octetArray" or field.data_type.name in STRUCTURED:
            return pa.binary()
        if field.is_variable or field.data_type.name == "string":
            return pa.string()
        if field.length == 0:
            return pa.null()
        none = fixed_arrays(self._np, (field,), (field.name,), bytearray(), 0)[field.name]
        kind = none.dtype.kind
        if kind == "M":
            return pa.timestamp(self._np.datetime_data(none.dtype)[0], "UTC")
        if kind in "OV":
            return pa.string() if kind == "O" else pa.binary()
        return pa.from_numpy_dtype(none.dtype)

    def _table(self, layout: Layout) -> Any:
        pa = self._pa
        arrays = layout.arrays(self._np, origin=True)
        columns = [
            self._column(layout.fields.get(name), arrays[name], kind)
            if name in arrays
            else pa.nulls(layout.records, kind)
            for name, kind in zip(self._schema.names, self._schema.types)
        ]
        return pa.Table.from_arrays(columns, schema=self._schema)

    def _column(self, field: TemplateField | None, array: Any, kind: Any) -> Any:
        """Return the values of a field, None for another value, in the type of the column."""
        pa = self._pa
        if field is None:
            return self._derived_values(array, kind)
        own = self._type(field)
        if _union(pa, kind, own) != kind:
            return pa.nulls(len(array), kind)
        values = self._values(field, array, own)
        if own == kind:
            return values
        if pa.types.is_binary(own):
            return pa.array([value.hex() for value in values.to_pylist()], kind)
        return values.cast(kind)

    def _derived_values(self, array: Any, kind: Any) -> Any:
        """Return resolved or context values; an integer that does not fit is null."""
        pa = self._pa
        if pa.types.is_timestamp(kind):
            return pa.array(array).cast(kind)
        if pa.types.is_integer(kind) and array.dtype.kind == "O":
            limit = 1 << kind.bit_width
            array = [None if value is None or value >= limit else value for value in array.tolist()]
        return pa.array(array, kind, from_pandas=True)

    def _values(self, field: TemplateField, array: Any, own: Any) -> Any:
        """Return the values of a field in the type that :meth:`_type` returns."""
        pa = self._pa
        if is_address(field):
            return pa.array(address_text(array), own)
        if pa.types.is_boolean(own) and array.dtype.kind != "b":
            return pa.array(array == 1, own, mask=(array != 1) & (array != 2))
        if pa.types.is_timestamp(own):
            return pa.array(array).cast(own)
        if array.dtype.kind not in "OV":
            return pa.array(array, own)
        values = array.tolist()
        if pa.types.is_string(own):
            values = [_text(field, value) for value in values]
        return pa.array(values, own)


def _text(field: TemplateField, value: Any) -> str | None:
    """Return a value of an object array as text."""
    if value is None or type(value) is str:
        return value
    if field.data_type.name == "string":
        return str(field.data_type.to_json(value))
    return field.data_type.to_text(value)


def _union(pa: Any, one: Any, other: Any) -> Any:
    """Return a type for values of both types: the wider one, or text."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    for has_kind in (
        pa.types.is_unsigned_integer,
        pa.types.is_signed_integer,
        pa.types.is_floating,
    ):
        if has_kind(one) and has_kind(other):
            return max(one, other, key=lambda each: each.bit_width)
    return pa.string()

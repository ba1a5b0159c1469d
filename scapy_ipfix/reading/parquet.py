# SPDX-License-Identifier: GPL-2.0-or-later
"""Data Records as one Parquet file, in as much memory as one row group takes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from scapy_ipfix.collector.collected import DataRead
from scapy_ipfix.reading.arrays import address_text, fixed_arrays, is_address
from scapy_ipfix.reading.columns import CONTEXT, Gathered, Layout
from scapy_ipfix.reading.extras import extra
from scapy_ipfix.wire.codec import STRUCTURED
from scapy_ipfix.wire.field import TemplateField
from scapy_ipfix.wire.template import Template

#: A row group is written when that many records, or octets of them, are held.
_GROUP_RECORDS = 1 << 17
_GROUP_OCTETS = 1 << 26
#: Fields of layouts, each of which takes a thousand octets whatever there is of its records.
_GROUP_FIELDS = 1 << 16


def need_pyarrow() -> None:
    """Raises MissingPackage, with how to get it, where pyarrow is not installed."""
    _need("numpy")
    _need("pyarrow")


def _need(package: str) -> Any:
    return extra(package, "--parquet", "parquet")


class Parquet:
    """A Parquet file of the records of some templates: a column for each field of any.

    ``templates`` are all that there will be, since columns cannot be added later: fields of
    another that have none are left out. ``fields`` are the only columns then, of the records
    that have them all. ``_exporter``, ``_domain`` and ``_template`` come first. Records stand
    in order of arrival, but for those of other layouts in the same row group.

    Integers are as wide as their type, times are UTC timestamps, addresses are text, octets
    are binary; where a field has another type in another template, wider or text. A boolean
    that is neither is null. Strings that are not UTF-8 have their other octets escaped.

    A file at ``path`` is overwritten. Used as a context manager; left without
    :meth:`finish`, the file is removed. Raises OSError, MissingPackage.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        templates: Iterable[Template],
        fields: tuple[str, ...] | None = None,
    ) -> None:
        self.records = 0
        self._np = _need("numpy")
        self._pa = _need("pyarrow")
        self._schema = self._columns(templates, fields)
        self._held = Gathered(fields)
        self._path = Path(path)
        self._out = self._path.open("wb")
        self._writer = _need("pyarrow.parquet").ParquetWriter(self._out, self._schema)
        self._finished = False

    def write(self, read: DataRead, template: Template) -> None:
        """Takes the records of a Data Set."""
        held = self._held
        before = held.records
        held.add(read, template)
        self.records += held.records - before
        if (
            held.records >= _GROUP_RECORDS
            or held.octets >= _GROUP_OCTETS
            or held.fields >= _GROUP_FIELDS
        ):
            self._flush()

    def finish(self) -> None:
        """Writes what is held back, and the end of the file."""
        self._flush()
        self._writer.close()
        self._out.close()
        self._finished = True

    def __enter__(self) -> Parquet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._finished:
            # No end is written, now or when the writer is deleted: it would seem whole.
            self._writer.is_open = False
            try:
                self._out.close()  # which may find that there is no room for what it holds
            finally:
                if self._path.is_file():
                    self._path.unlink()

    def _flush(self) -> None:
        tables = [self._table(layout) for layout in self._held.take()]
        if tables:
            table = self._pa.concat_tables(tables)
            self._writer.write_table(table, row_group_size=table.num_rows)

    def _columns(self, templates: Iterable[Template], names: tuple[str, ...] | None) -> Any:
        """The schema: what each column is called and holds."""
        pa = self._pa
        columns = dict(zip(CONTEXT, (pa.string(), pa.uint32(), pa.uint16())))
        if names is not None:
            columns |= dict.fromkeys(names, pa.null())
        for template in templates:
            if names is not None and not set(names).issubset(template.names):
                continue
            for field in template.fields:
                if field.name not in CONTEXT and (names is None or field.name in names):
                    own = self._type(field)
                    columns[field.name] = _union(pa, columns.get(field.name, own), own)
        return pa.schema(list(columns.items()))

    def _type(self, field: TemplateField) -> Any:
        """What a column holds that is of this field alone."""
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
        arrays = layout.arrays(self._np, context=True)
        columns = [
            self._column(layout.fields.get(name), arrays[name], kind)
            if name in arrays
            else pa.nulls(layout.records, kind)
            for name, kind in zip(self._schema.names, self._schema.types)
        ]
        return pa.Table.from_arrays(columns, schema=self._schema)

    def _column(self, field: TemplateField | None, array: Any, kind: Any) -> Any:
        """The values of a field, None for those of :data:`CONTEXT`, in the type of the column."""
        pa = self._pa
        if field is None:
            return pa.array(array, kind)
        own = self._type(field)
        if _union(pa, kind, own) != kind:
            return pa.nulls(len(array), kind)
        values = self._values(field, array, own)
        if own == kind:
            return values
        if pa.types.is_binary(own):
            return pa.array([value.hex() for value in values.to_pylist()], kind)
        return values.cast(kind)

    def _values(self, field: TemplateField, array: Any, own: Any) -> Any:
        """The values of a field in the type that :meth:`_type` says."""
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
    if value is None or type(value) is str:
        return value
    if field.data_type.name == "string":
        return str(field.data_type.to_json(value))
    return field.data_type.to_text(value)


def _union(pa: Any, one: Any, other: Any) -> Any:
    """A type for values of both: the wider one, or text."""
    if one == other or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    for alike in (
        pa.types.is_unsigned_integer,
        pa.types.is_signed_integer,
        pa.types.is_floating,
    ):
        if alike(one) and alike(other):
            return max(one, other, key=lambda each: each.bit_width)
    return pa.string()

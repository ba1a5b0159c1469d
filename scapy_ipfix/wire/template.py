# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates: the layout of the records in a Set (RFC 7011 3.4.1, RFC 3954 5.2).

A :class:`Template` is an immutable value: an id, its fields in order, the number of scope
fields. Its :class:`~scapy_ipfix.wire.codec.RecordCodec` reads and writes Data Records (RFC 7011
3.4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, wraps
from operator import itemgetter
from typing import Any, TypeVar

from scapy_ipfix.model.datatypes import VARIABLE
from scapy_ipfix.model.element import FieldSpec, InformationElement
from scapy_ipfix.model.model import InformationModel, elements
from scapy_ipfix.model.times import NTPTime, at_unix_epoch
from scapy_ipfix.wire.codec import RecordCodec, record_codec
from scapy_ipfix.wire.diagnostics import Defect, shown_octets
from scapy_ipfix.wire.field import (
    TemplateField,
    allowed_lengths,
    is_invalid_length,
    minimum_length,
)
from scapy_ipfix.wire.framing import IPFIX_VERSION, MINIMUM_DATA_SET, V9_VERSION, TemplateSpan
from scapy_ipfix.wire.structured import encode_list
from scapy_ipfix.wire.v9scopes import V9_SCOPES, scope_length, v9_scope, v9_scope_named

#: Scope field types of Options Templates (RFC 3954 6.1). They are no Information Elements; as
#: Mark of a field without a value in a row.
_MISSING = object()
_make, _new = object.__new__, tuple.__new__
#: The limit of findings about one template, which may have 16,000 invalid fields.
_FINDINGS = 100
#: Types of records that are rows already.
_ROW_TYPES = {tuple, list}


class Template:
    """Template (RFC 7011 3.4.1) or, with a scope, Options Template (3.4.2).

    ``fields`` are element names (NetFlow v9 names too), IESpecs such as
    ``octetDeltaCount[4]`` or ``interfaceName[v]``, elements, ``elements.spec(...)``,
    (enterprise number, element id), or TemplateFields. Elements
    without a natural length (octetArray, string, lists) are of variable length unless a
    length is given. The first ``scope`` fields are scope fields; among these,
    ``scopeSystem``, ``scopeInterface`` and so on are NetFlow v9's scope types.

    Raises ValueError for an id outside 0..65535, an unknown name, more scope than fields;
    TypeError for what is no id or no field.
    Equality and hash are by id, fields and scope.
    """

    __slots__ = ("__dict__", "fields", "id", "is_options", "length", "scope_count")
    id: int
    fields: tuple[TemplateField, ...]
    scope_count: int
    #: True for an Options Template; some exporters send them without a scope.
    is_options: bool
    #: Octets of a record, or of the shortest if lengths vary; 0: records are not decoded.
    length: int

    def __init__(
        self,
        id: int,
        *fields: str | InformationElement | FieldSpec | TemplateField | tuple[int, int],
        scope: int = 0,
        model: InformationModel = elements,
    ) -> None:
        if not isinstance(id, int):
            raise TypeError(
                f"the first argument is the template id, not {id!r:.60}; write "
                "Template(256, 'sourceIPv4Address')"
            )
        if not 0 <= id <= 65535:
            raise ValueError(f"template id {id} is not in 0..65535")
        if not 0 <= scope <= max(len(fields), 0):
            raise ValueError(f"template {id}: scope {scope} of {len(fields)} fields")
        pairs = []
        for position, field in enumerate(fields):
            try:
                pairs.append(_resolve(field, position < scope, model))
            except (ValueError, TypeError) as problem:
                kind = TypeError if isinstance(problem, TypeError) else ValueError
                raise kind(f"template {id}, field {position + 1}: {problem}") from None
        self._set(id, name_fields(pairs, scope), scope)

    def _set(
        self, id: int, fields: tuple[TemplateField, ...], scope: int, options: bool = False
    ) -> None:
        _set_id(self, id)
        _set_fields(self, fields)
        _set_scope_count(self, scope)
        _set_is_options(self, options or scope > 0)
        _set_length(self, minimum_length(fields))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Template is immutable; make another")

    @classmethod
    def from_fields(
        cls, id: int, fields: tuple[TemplateField, ...], scope: int = 0, options: bool = False
    ) -> Template:
        """Return a template of fields that have names already. Never raises."""
        self: Template = _make(cls)
        self._set(id, fields, scope, options)
        return self

    @classmethod
    def from_wire(
        cls,
        span: TemplateSpan,
        version: int,
        model: InformationModel = elements,
        options: bool = False,
    ) -> Template:
        """Return the template that a Template Record defines. Never raises.

        In NetFlow v9 (``version`` 9) element ids are field types, and scope fields have types
        of their own (RFC 3954 6.1).
        """
        id, scope, specifiers, _, _, _ = span
        scope = min(scope, len(specifiers))
        if version == V9_VERSION:
            named = [
                (v9_scope(kind) if i < scope else model.v9_element(kind), length)
                for i, (_, kind, length) in enumerate(specifiers)
            ]
            return cls.from_fields(id, name_fields(named, scope), scope, options)
        find = model.element
        fields = [
            _new(TemplateField, ((element := find(pen, number)), length, element.name, False))
            for pen, number, length in specifiers
        ]
        if scope:
            fields[:scope] = [field._replace(is_scope=True) for field in fields[:scope]]
        return cls.from_fields(id, _distinct(fields), scope, options)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields in records."""
        return self.codec.names

    @cached_property
    def codec(self) -> RecordCodec:
        """Codec of complete records; templates of equal layout share one."""
        return record_codec(self.fields, None)

    def projection(
        self, names: tuple[str, ...] | None, values: str = "scapy"
    ) -> RecordCodec | None:
        """Return the codec of some fields, in this order, None if one is missing.

        ``names`` None stands for all fields; ``values`` is the domain of the values.
        """
        if names is None and values == "scapy":
            return self.codec
        known = self.__dict__.setdefault("projections", {})
        key = names, values
        if key not in known:
            wanted = None
            if names is not None:
                positions = {name: index for index, name in enumerate(self.names)}
                wanted = tuple(positions.get(name, -1) for name in names)
            is_missing = wanted is not None and -1 in wanted
            known[key] = None if is_missing else record_codec(self.fields, wanted, values)
        return known[key]  # type: ignore[no-any-return]

    @cached_property
    def plain_length(self) -> int:
        """Octets of a data record of fixed length without lists, 0 for any other."""
        codec = self.codec
        is_plain = codec.is_fixed and not codec.structured and not self.is_options
        return codec.minimum if is_plain else 0

    @property
    def is_variable(self) -> bool:
        return not self.codec.is_fixed

    def with_unix_epoch(self) -> Template:
        """Return the template with NTP timestamps that count seconds from 1970, not 1900."""
        fields = tuple(
            field._replace(element=replace(field.element, type=at_unix_epoch(field.element.type)))
            if isinstance(field.element.type, NTPTime)
            else field
            for field in self.fields
        )
        return Template.from_fields(self.id, fields, self.scope_count, self.is_options)

    def with_id(self, id: int) -> Template:
        """Return a template of the same layout with another id."""
        return Template.from_fields(id, self.fields, self.scope_count, self.is_options)

    def defects(self, version: int = IPFIX_VERSION) -> list[Defect]:
        """Return the violations of RFC 7011, or in ``version`` 9 of RFC 3954, 100 at most."""
        found = []
        if self.id < MINIMUM_DATA_SET:
            found.append(Defect.make("template-id", template_id=self.id))
        if not self.fields:
            found.append(Defect.make("template-empty", template_id=self.id))
        elif self.length == 0:
            found.append(Defect.make("template-zero-length", template_id=self.id))
        template_id = "template_id", self.id
        for element, length, name, _ in self.fields:
            type = element.type
            if (
                length != type.length
                and (length or self.length)  # else template-zero-length covers it
                and is_invalid_length(type, length)
                and V9_SCOPES.get(element.id) is not element  # RFC 3954 6.1 gives no lengths
            ):
                size = "65535 (variable)" if length == VARIABLE else length
                numbers = (
                    template_id,
                    ("name", name),
                    ("length", size),
                    ("type", type.name),
                    ("allowed", allowed_lengths(type)),
                )
                is_longer = version == V9_VERSION and type.is_integer and length > type.length
                code = "field-longer" if is_longer else "field-length"
                found.append(_new(Defect, (code, numbers, version)))
                if len(found) >= _FINDINGS:
                    break
        return found

    def trailing_defects(self, rest: bytes, records: int) -> list[Defect]:
        """Return the defects of the octets that follow ``records`` records in a Set."""
        octets = len(rest)
        if not octets:
            return [] if records else [Defect.make("set-empty", set_id=self.id)]
        if 0 < self.length <= octets:
            return [
                Defect.make("record-truncated", set_id=self.id, record=records + 1, octets=octets)
            ]
        if rest.count(0) != octets:
            return [Defect.make("padding-nonzero", set_id=self.id, octets=shown_octets(rest))]
        return []

    def row(
        self,
        record: Mapping[str, Any] | Sequence[Any],
        *,
        defaults: bool = False,
        ignore_extra: bool = False,
    ) -> Sequence[Any]:
        """Return the values of a dict or a tuple in this template's order.

        A dict may use any name that the model knows for an element. ``defaults`` gives missing
        fields the zero of their type, ``ignore_extra`` leaves out names that the template does
        not have. Raises ValueError for either without that.
        """
        if type(record) is tuple or not isinstance(record, Mapping):
            return record
        if ignore_extra or len(record) == len(self.names):
            try:
                return self._pick(record)
            except KeyError:
                pass
        given = dict(record)
        values = [given.pop(field.name, _MISSING) for field in self.fields]
        for name, value in given.items():
            try:
                values[self._position(name)] = value
            except ValueError:
                if not ignore_extra:
                    raise
        missing = [at for at, value in enumerate(values) if value is _MISSING]
        needed = [at for at in missing if self.fields[at].length]
        if needed and not defaults:
            names = ", ".join(self.names[at] for at in needed[:5])
            raise ValueError(
                f"template {self.id}: the row has no {names}; give a value, or defaults=True "
                "for the zero of its type"
            )
        for at in missing:
            values[at] = self.fields[at].zero
        return values

    @cached_property
    def _pick(self) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
        names = self.names
        if len(names) == 1:
            return lambda record: (record[names[0]],)
        return itemgetter(*names) if names else lambda record: ()

    def _position(self, name: str) -> int:
        element = elements.get(name)
        for position, field in enumerate(self.fields):
            if field.element == element:
                return position
        raise ValueError(
            f"template {self.id} has no field {name!r}; it has {', '.join(self.names)}; "
            "leave it out, or give ignore_extra=True"
        )

    def encode(self, record: Mapping[str, Any] | Sequence[Any]) -> bytes:
        """Encode a Data Record from a dict or a tuple of values.

        Raises ValueError that names template, field, value and limit.
        """
        try:
            row = self.row(record)
            return self.codec.encode(self._with_lists(row) if self.codec.structured else row)
        except ValueError as problem:
            raise self._with_id(problem) from None

    def encode_rows(self, records: Iterable[Mapping[str, Any] | Sequence[Any]]) -> list[bytes]:
        """Encode Data Records from dicts or tuples of values; raises as :meth:`encode`."""
        rows = list(records)
        try:
            if not set(map(type, rows)) <= _ROW_TYPES:
                rows = [self.row(record) for record in rows]
            if self.codec.structured:
                rows = [self._with_lists(row) for row in rows]  # type: ignore[arg-type]
            return self.codec.encode_rows(rows)  # type: ignore[arg-type]
        except ValueError as problem:
            raise self._with_id(problem) from None

    def _with_lists(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return the row with lists as octets, which the codec expects."""
        values = list(row)
        for position, name, kind in self.codec.structured:
            if position < len(values):
                try:
                    values[position] = encode_list(kind, values[position])
                except ValueError as problem:
                    raise ValueError(f"field {name}: {problem}") from None
        return values

    def _with_id(self, problem: ValueError) -> ValueError:
        text = str(problem)
        return (
            problem if text.startswith("template ") else ValueError(f"template {self.id}, {text}")
        )

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Template)
            and (self.id, self.scope_count, self.is_options, self.fields)
            == (other.id, other.scope_count, other.is_options, other.fields)
        )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.id, self.fields, self.scope_count))

    def __repr__(self) -> str:
        """Return the Python expression of the template."""
        arguments = [str(self.id)]
        for field in self.fields:
            spec = self._spec(field)
            arguments.append(repr(spec))
        if self.scope_count:
            arguments.append(f"scope={self.scope_count}")
        return f"Template({', '.join(arguments)})"

    @staticmethod
    def _spec(field: TemplateField) -> str:
        element = field.element
        known = v9_scope(element.id) if field.is_scope else elements.get(element.name)
        if element in (known, elements.get(element.name)):
            name = element.name
        else:
            name = f"{element.name}({element.pen}/{element.id})<{element.type}>"
        if field.length == (element.type.length or VARIABLE):
            return name
        return f"{name}[{'v' if field.is_variable else field.length}]"

    def __str__(self) -> str:
        kind = "options " if self.is_options else ""
        size = f"{self.length}{' or more' if self.is_variable else ''} octets"
        return f"{kind}{self.id}: {', '.join(map(str, self.fields))} ({size})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Template.from_fields, (self.id, self.fields, self.scope_count, self.is_options)

    def command(self, json: bool = False) -> str:
        """Return :meth:`__repr__`, as Packet.command() does; in JSON, :meth:`__str__`."""
        return str(self) if json else repr(self)


# Setters of the slots: the class is immutable.
_set_id = Template.id.__set__  # type: ignore[attr-defined]
_set_fields = Template.fields.__set__  # type: ignore[attr-defined]
_set_scope_count = Template.scope_count.__set__  # type: ignore[attr-defined]
_set_is_options = Template.is_options.__set__  # type: ignore[attr-defined]
_set_length = Template.length.__set__  # type: ignore[attr-defined]

_Made = TypeVar("_Made")


def cached_per_template(make: Callable[[Template], _Made]) -> Callable[[Template], _Made]:
    """Decorate a function of a template, so that the template caches its result.

    A cache beside the templates would keep them alive, with up to 16,000 fields each;
    sessions bound the templates that they keep.
    """
    name = f"{make.__module__}.{make.__qualname__}"

    @wraps(make)
    def cached(template: Template) -> _Made:
        known: dict[str, _Made] = template.__dict__
        try:
            return known[name]
        except KeyError:
            made = known[name] = make(template)
            return made

    return cached


def _resolve(
    field: str | InformationElement | FieldSpec | TemplateField | tuple[int, int],
    is_scope: bool,
    model: InformationModel,
) -> tuple[InformationElement, int]:
    if isinstance(field, TemplateField):
        return field.element, field.length
    length = None
    if isinstance(field, str):
        bare, bracket, size = field.partition("[")
        scope = v9_scope_named(bare) if is_scope else None
        if scope is not None:
            element = scope
            length = scope_length(size) if bracket else None
        else:
            element, length = model.spec(field, define=False)
    elif isinstance(field, FieldSpec):
        element, length = field
    elif isinstance(field, tuple):
        element = _by_number(field, model)
    elif isinstance(field, InformationElement):
        element = field
    else:
        raise TypeError(_no_field(field))
    if length is None:
        length = element.type.length or VARIABLE
    if not 0 <= length <= VARIABLE:
        raise ValueError(f"{element.name}: length {length} is not in 0..65535")
    return element, length


def _by_number(field: tuple[Any, ...], model: InformationModel) -> InformationElement:
    if len(field) != 2 or not all(isinstance(number, int) for number in field):
        raise TypeError(f"{field!r} is not a field; write (enterprise number, element id)")
    return model.element(*field)


def _no_field(field: object) -> str:
    if isinstance(field, (list, tuple)):
        return "give the fields one by one, not in a list: Template(256, *fields)"
    if isinstance(field, int):
        return f"{field} is not a field; write its name, or (0, {field}) for one of IANA's"
    return f"{field!r:.60} is not a field; give the name of an element"


def name_fields(
    pairs: Iterable[tuple[InformationElement, int]], scope: int = 0
) -> tuple[TemplateField, ...]:
    """Return fields with distinct names: RFC 7011 8 permits an element twice."""
    fields = [
        # TemplateField(...) with one call less: a message may have 16,000.
        _new(TemplateField, (element, length, element.name, position < scope))
        for position, (element, length) in enumerate(pairs)
    ]
    return _distinct(fields)


def _distinct(fields: list[TemplateField]) -> tuple[TemplateField, ...]:
    """Return the fields, numbered if several have the same name."""
    if len(fields) > 1 and len({field[2] for field in fields}) < len(fields):
        fields = _numbered(fields)
    return tuple(fields)


def _numbered(fields: list[TemplateField]) -> list[TemplateField]:
    """Append ``_2`` and so on to repeated names."""
    used: dict[str, int] = {}
    numbered = []
    for element, length, own, is_scope in fields:
        name = own
        seen = used.get(own, 0) + 1
        if seen > 1:
            while (name := f"{own}_{seen}") in used:
                seen += 1
            used[name] = 1
        used[own] = seen
        numbered.append(_new(TemplateField, (element, length, name, is_scope)))
    return numbered

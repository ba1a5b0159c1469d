# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts that apply to Data Records: sampling rate, names of interfaces, VRFs and applications.

:data:`KEYED_VALUES` is the table of these values. A :class:`RecordResolver` computes them for the
records of one template, from the records' own fields and from facts of options data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple

from scapy_ipfix.model.datatype import Cache
from scapy_ipfix.model.sampling import is_unsampled, rate_by
from scapy_ipfix.wire.contextfields import (
    DIRECTIONS,
    NO_NAMES,
    ContextFields,
    context_fields,
    name_of_number,
)
from scapy_ipfix.wire.facts import (
    INTERFACE,
    MAX_APPLICATION_ID,
    MAX_TEXT,
    SAMPLING,
    SEQUENCE,
    FactFinder,
    Interface,
    default_rate,
    find_application_name,
    find_rate,
    find_sequence_rate,
    find_vrf_name,
)
from scapy_ipfix.wire.template import Template, cached_per_template

#: Values of context fields, see :class:`~scapy_ipfix.wire.contextfields.ContextFields`.
Key = tuple[Any, ...]
#: The values of one position in the keys of many records.
Column = Sequence[Any]
#: A name and a description.
Names = tuple["str | None", "str | None"]

#: Keys whose resolved values are remembered for a template, and numbers whose facts are, by
#: kind: as many as a message can name.
_KEYS, _NUMBERS = 4096, 32_768
#: Records of a Set from which on their facts are looked up by column. With 32,000 records of as
#: many interfaces, named and sampled, this takes 26 to 33 ms, record by record 85 ms; with two
#: interfaces in each record 45 ms instead of 125 ms.
_MANY = 256
#: Characters and octets kept of long values in a key: text is cut there, and a longer
#: applicationId is none.
_SIGNIFICANT: dict[type, int] = {str: 2 * MAX_APPLICATION_ID + 2, bytes: 4 * MAX_TEXT}


class RecordResolver:
    """Resolved values of the records of one template.

    Facts, and the values of equal keys, are looked up once: a message may hold 13,000 Sets, or
    60,000 records each with another key.
    """

    def __init__(self, template: Template, find: FactFinder) -> None:
        self.template = template
        self._find = find
        self.fields = fields = context_fields(template)
        self._names = fields.names
        self._values = _keyed_values(template)
        self._by_key: dict[Key, dict[str, Any]] = {}
        # Caches of functions that do not hold this object, which else would wait for Python's
        # garbage collection: there may be a resolver for every Set.
        self._rates: dict[str, Cache] = {
            kind: Cache(partial(find_rate, find, kind), _NUMBERS)
            for kind in dict.fromkeys(["selectorId", *(kind for kind, _ in fields.sampled[0])])
        }
        by_selector = partial(find_sequence_rate, find, self._rates["selectorId"])
        self._rates[SEQUENCE] = Cache(by_selector, _NUMBERS)
        self._sampled = [
            [(position, self._rates[kind]) for kind, position in sampled]
            for sampled in fields.sampled
        ]
        self._rates_by_key: dict[Key, float | None] = {}
        # Remembered text may be 512 characters.
        size = _KEYS if fields.has_long_values else _NUMBERS
        # One cache for both sides: most interfaces are ingress and egress, of other records.
        names = {each[0]: Cache(partial(each[0], find), size) for each in fields.interfaces if each}
        self.interfaces: list[Any] = [
            each and (names[each[0]], each[1]) for each in fields.interfaces
        ]
        self._interfaces_by_number: Any = names.get(name_of_number)
        vrfs = Cache(partial(find_vrf_name, find), size)
        self.vrfs: list[Any] = [pick and (vrfs, pick) for pick in fields.vrfs]
        self._applications = Cache(partial(find_application_name, find), size)
        #: The rate where no narrower scope has one.
        self._default_rate = default_rate(find, template.id, fields.has_sampler)
        #: The interface that the whole metering process observes.
        self.metered: Interface | None = find(INTERFACE, None)

    def key(self, values: Mapping[str, Any]) -> Key:
        """Return the key of a record: the values of its context fields."""
        key = tuple(map(values.get, self._names))
        if self.fields.has_long_values:  # they may be 65,000 octets, and keys are remembered
            key = tuple(map(_significant, key))
        return key

    def resolve_columns(self, columns: Sequence[Column]) -> dict[str, Iterable[Any]]:
        """Return each value of many records, whose keys are given as columns."""
        if self.fields.has_long_values:
            columns = [[*map(_significant, column)] for column in columns]
        keys = [*zip(*columns)]
        if len(keys) < _MANY:
            rows = [*map(self._resolve_key, keys)]
            return {name: [row[name] for row in rows] for name, _, _ in self._values}
        return {name: resolve(self, keys, columns) for name, _, resolve in self._values}

    def _resolve_key(self, key: Key) -> dict[str, Any]:
        """Return the values of records with a key, which is remembered."""
        # Most records of a Set came through the same few interfaces.
        resolved = self._by_key.get(key)
        if resolved is None:
            if len(self._by_key) >= _KEYS:
                self._by_key.clear()
            resolved = self._by_key[key] = {}
            for name, resolve_one, _ in self._values:
                resolved[name] = resolve_one(self, key)
        return resolved

    # -- sampling

    def sampling_rate(self, key: Key) -> float | None:
        """Return the sampling rate, see ``RecordContext.sampling_rate``."""
        fields = self.fields
        own: dict[str, Any] | None = None
        rate: float | None
        if fields.rates:
            own = {element: key[position] for element, position in fields.rates}
            rate = rate_by(fields.rate_rules, own)
            if rate is not None:
                return rate
        for position, rates in self._sampled[key[fields.direction] in (1, "egress")]:
            rate = rates[key[position]]
            if rate is not None:
                return rate
        rate = self._default_rate
        return 1 if rate is None and own and is_unsampled(own) else rate

    def sampling_rates(
        self, keys: Sequence[Key], columns: Sequence[Column]
    ) -> Iterable[float | None]:
        """Return the sampling rates of many records."""
        if self.fields.rates or self.fields.direction >= 0:
            return self._rates_by_record(keys, columns)
        return self._rates_by_column(columns)

    def _rates_by_record(
        self, keys: Sequence[Key], columns: Sequence[Column]
    ) -> Iterable[float | None]:
        """Return rates that depend on several fields: one computation for each distinct key."""
        for position, rates in self._sampled[0]:
            self._expect_rates(rates, columns[position])
        known = self._rates_by_key
        if len(known) >= _KEYS:
            known.clear()
        known.update({key: self.sampling_rate(key) for key in set(keys) if key not in known})
        return map(known.__getitem__, keys)

    def _rates_by_column(self, columns: Sequence[Column]) -> Iterable[float | None]:
        """Return rates of records without a rate of their own or a direction."""
        found: list[float | None] = [None] * len(columns[0])
        for position, rates in self._sampled[0]:
            self._expect_rates(rates, columns[position])
            here = map(rates.__getitem__, columns[position])
            found = [each if rate is None else rate for rate, each in zip(found, here)]
            if None not in found:
                return found
        return [self._default_rate if rate is None else rate for rate in found]

    def _expect_rates(self, rates: Cache, column: Column) -> None:
        """Look up the rates of a column of interfaces, all at once."""
        if rates is not self._rates.get("interface"):
            return
        if numbers := _unknown_numbers(column, rates):
            found = self._find.find_many(SAMPLING, [*zip(repeat("interface"), numbers)])
            rates.preload(numbers, None)
            rates.update({number: sampling.rate for (_, number), sampling in found.items()})

    # -- interfaces

    def interface(self, key: Key, side: int) -> Names:
        """Return the name and the description of the interface of a side."""
        interface = self.interfaces[side]
        if interface is None:
            return NO_NAMES
        cache, pick = interface
        names: Names = cache[pick(key)]
        name, description = names if self.metered is None else self.or_metered(key, names)
        return name or None, description or None

    def interface_names(
        self, keys: Sequence[Key], columns: Sequence[Column], side: int
    ) -> Iterable[str | None]:
        """Return the names of the interfaces of a side of many records."""
        cache, pick = self.interfaces[side]
        if cache is self._interfaces_by_number:
            self._expect_names(cache, pick(columns))
        found: Iterable[Names] = map(cache.__getitem__, map(pick, keys))
        if self.metered is not None:
            found = map(self.or_metered, keys, found)
        return [name or description or None for name, description in found]

    def _expect_names(self, names: Cache, column: Column) -> None:
        """Look up the names of a column of interfaces, all at once."""
        if numbers := _unknown_numbers(column, names):
            names.preload(numbers, NO_NAMES)
            names.update(self._find.find_many(INTERFACE, numbers))

    def or_metered(self, key: Key, names: Names) -> Names:
        """Return names completed from the interface that the metering process observes.

        Its options may name it without a number. It is the record's where both interfaces of
        the record are the same.
        """
        ingress, egress = self.fields.both_interfaces(key)
        if self.metered is None or ingress is None or ingress != egress:
            return names
        name, description = names
        return name or self.metered.name, description or self.metered.description

    # -- VRFs, applications

    def vrf_name(self, key: Key, side: int) -> str | None:
        """Return the name of the VRF of a side."""
        if self.vrfs[side] is None:
            return None
        cache, pick = self.vrfs[side]
        return cache[pick(key)]  # type: ignore[no-any-return]

    def vrf_names(self, keys: Sequence[Key], side: int) -> Iterable[str | None]:
        """Return the names of the VRFs of a side, of many records that have one."""
        cache, pick = self.vrfs[side]
        return map(cache.__getitem__, map(pick, keys))

    def application_name(self, key: Key) -> str | None:
        """Return the name of the application."""
        pick = self.fields.application
        return None if pick is None else self._applications[pick(key)]

    def application_names(self, keys: Sequence[Key]) -> Iterable[str | None]:
        """Return the names of the applications of many records that have one."""
        pick = self.fields.application
        assert pick is not None
        return map(self._applications.__getitem__, map(pick, keys))


# -- the table of keyed values


class KeyedValue(NamedTuple):
    """Value that facts are looked up for: its name, the layouts that have it, its computation.

    ``is_in`` tells from the context fields of a layout whether its records have the value.
    ``resolve_one`` takes the key of a record, ``resolve_many`` the keys of many records and
    the same as columns.
    """

    name: str
    is_in: Callable[[ContextFields], bool]
    resolve_one: Callable[[RecordResolver, Key], Any]
    resolve_many: Callable[[RecordResolver, Sequence[Key], Sequence[Column]], Iterable[Any]]


# Functions of either side, as these take half the time of a partial with the side.


def _interface_value(side: int) -> KeyedValue:
    def name(resolver: RecordResolver, key: Key) -> str | None:
        cache, pick = resolver.interfaces[side]
        name, description = cache[pick(key)]
        if resolver.metered is not None and not name:
            name, description = resolver.or_metered(key, (name, description))
        return name or description or None

    return KeyedValue(
        f"{DIRECTIONS[side]}_interface_name",
        lambda fields: fields.identified[side],
        name,
        lambda resolver, keys, columns: resolver.interface_names(keys, columns, side),
    )


def _vrf_value(side: int) -> KeyedValue:
    def name(resolver: RecordResolver, key: Key) -> str | None:
        cache, pick = resolver.vrfs[side]
        return cache[pick(key)]  # type: ignore[no-any-return]

    return KeyedValue(
        f"{DIRECTIONS[side]}_vrf_name",
        lambda fields: fields.vrfs[side] is not None,
        name,
        lambda resolver, keys, columns: resolver.vrf_names(keys, side),
    )


#: All values that facts are looked up for, in the order in which they are added.
KEYED_VALUES = (
    KeyedValue(
        "sampling_rate",
        lambda fields: True,
        RecordResolver.sampling_rate,
        RecordResolver.sampling_rates,
    ),
    *map(_interface_value, (0, 1)),
    *map(_vrf_value, (0, 1)),
    KeyedValue(
        "application_name",
        lambda fields: fields.application is not None,
        RecordResolver.application_name,
        lambda resolver, keys, columns: resolver.application_names(keys),
    ),
)


@cached_per_template
def _keyed_values(template: Template) -> tuple[tuple[str, Any, Any], ...]:
    """Return the name and both computations of each value that records of a template have."""
    fields = context_fields(template)
    # Plain tuples, which are unpacked faster than named ones.
    return tuple(
        [
            (value.name, value.resolve_one, value.resolve_many)
            for value in KEYED_VALUES
            if value.is_in(fields)
        ]
    )


# -- keys


def _significant(value: Any) -> Any:
    """Return the significant part of a value of a key."""
    limit = _SIGNIFICANT.get(type(value))
    return value if limit is None else value[:limit]


def _unknown_numbers(column: Column, known: Mapping[Any, Any]) -> list[int]:
    """Return the numbers in a column that are not known: few, after the first Sets."""
    # Not difference(), which goes through all that are known.
    return [each for each in set(column) if each not in known and type(each) is int]

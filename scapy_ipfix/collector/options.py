# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts of Options Data Records: sampling, names and counters of an exporter, by scope.

:func:`options_reader` determines once for a layout which facts its records state: packet
sampling, names of interfaces, VRFs, applications and observation domains, counters of the
metering and exporting processes. NetFlow v9's elements count as well as PSAMP's, and as
exporters do not agree on what is scope, fields count in any position. No value of a record
raises an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

from scapy_ipfix.model.element import InformationElement, ValueNames
from scapy_ipfix.model.model import elements
from scapy_ipfix.model.sampling import RATE_ELEMENTS, RateRule, is_unsampled, rate_by, rate_rules
from scapy_ipfix.wire.facts import (
    APPLICATION,
    COUNTERS,
    DOMAIN,
    INIT_TIME,
    INTERFACE,
    SAMPLING,
    SEQUENCE,
    SYSTEM,
    VRF,
    Application,
    Interface,
    Sampling,
    application_octets,
    fact_text,
)
from scapy_ipfix.wire.template import Template, cached_per_template

#: Counters kept of a record, and selectors of a sequence.
MAX_ITEMS = 64

_SAMPLER_NAMES = ("samplerName", "selectorName")
_ALGORITHMS = ("selectorAlgorithm", "samplerMode", "samplingAlgorithm")
#: Scopes of sampling, the narrowest first, and their names in keys of facts.
_SAMPLING_SCOPES = {
    "samplerId": "samplerId",
    "selectorId": "selectorId",
    "scopeInterface": "interface",
    "ingressInterface": "interface",
    "egressInterface": "interface",
    "observationPointId": "observationPointId",
    "scopeLineCard": "lineCardId",
    "lineCardId": "lineCardId",
    "scopeTemplate": "templateId",
    "templateId": "templateId",
}
#: Scopes that comprise the whole exporter, or all that it meters in an observation domain.
_WHOLE = frozenset(
    {
        *("scopeSystem", "meteringProcessId", "exportingProcessId", "observationDomainId"),
        *("exporterIPv4Address", "exporterIPv6Address"),
    }
)
_INTERFACES = (
    *("ingressInterface", "egressInterface", "scopeInterface"),
    *("ingressPhysicalInterface", "egressPhysicalInterface"),
)
_INTERFACE_TEXTS = ("interfaceName", "interfaceDescription")
_APPLICATION_TEXTS = ("applicationName", "applicationDescription", "applicationCategoryName")
_VRFS = ("ingressVRFID", "egressVRFID")
#: Counters that make a record one of statistics (RFC 7011 4.1 to 4.3, RFC 5476 6.5.3).
_STATISTICS = frozenset(
    {
        *("exportedOctetTotalCount", "exportedMessageTotalCount", "exportedFlowRecordTotalCount"),
        *("observedFlowTotalCount", "ignoredPacketTotalCount", "ignoredOctetTotalCount"),
        *("ignoredDataRecordTotalCount", "notSentFlowTotalCount", "notSentPacketTotalCount"),
        *("notSentOctetTotalCount", "selectorIdTotalPktsObserved", "selectorIdTotalPktsSelected"),
        *("selectorIDTotalFlowsObserved", "selectorIDTotalFlowsSelected"),
    }
)
_COUNTER_SEMANTICS = frozenset({"totalCounter", "deltaCounter", "snmpCounter"})
#: Elements that identify the process or part of the exporter that counters belong to.
_COUNTER_OWNERS = (
    *("exportingProcessId", "meteringProcessId", "scopeSystem", "observationDomainId"),
    *("selectorId", "samplerId", "observationPointId", "lineCardId", "scopeLineCard"),
    *("scopeInterface", "ingressInterface", "egressInterface", "scopeCache"),
    *("scopeTemplate", "templateId"),
)
#: Elements that facts are read from, apart from counters and unknown scopes.
_FACT_ELEMENTS = RATE_ELEMENTS.union(
    *(_SAMPLER_NAMES, _ALGORITHMS, _SAMPLING_SCOPES, _INTERFACES, _INTERFACE_TEXTS, _VRFS),
    *(_COUNTER_OWNERS, _APPLICATION_TEXTS, ("VRFname", "applicationId", "selectionSequenceId")),
    ("observationDomainId", "observationDomainName", "systemInitTimeMilliseconds"),
)
_new = tuple.__new__


class OptionsFact(NamedTuple):
    """Fact that an Options Data Record states: its kind, its key among these, its value.

    ``key`` is a (scope, number) for sampling, ``SYSTEM`` for the whole domain; a number for
    interfaces (None: the one that the metering process observes), VRFs and sequences; octets
    for applications; None for a domain; the (scope, number) pairs of counters. ``domain`` is
    the observation domain that the fact is about where the record names one.
    """

    kind: str
    key: Any
    value: Any
    domain: int | None = None


@cached_per_template
def options_reader(template: Template) -> OptionsReader | None:
    """Return the reader of an options template's records; None where they state no facts."""
    if not template.is_options:
        return None
    fields = _standard_fields(template)
    readers = tuple([reader for needs, reader in _FACT_READERS if _has_all(fields, needs)])
    if not readers:
        return None
    elements = {name: field for name, field in fields.items() if name in _FACT_ELEMENTS}
    unknown_scope = _unknown_scope(template)
    selectors = _all_fields(template, "selectorId")
    counters = _counters(template)
    names = dict.fromkeys((*elements.values(), *selectors, *counters))
    if unknown_scope is not None:
        names[unknown_scope] = None
    if not names:  # an element with the name of a counter, which an exporter defined otherwise
        return None
    keyed_alike = {name: name for _, _, name, _ in template.fields if name in _FACT_ELEMENTS}
    return OptionsReader(
        itemgetter(*names),
        tuple(elements.items()),
        elements == keyed_alike,
        readers,
        sampling_scope=next((name for name in _SAMPLING_SCOPES if name in elements), None),
        sampler_names=_present(_SAMPLER_NAMES, elements),
        algorithms=_present(_ALGORITHMS, elements),
        rate_rules=rate_rules(elements),
        unknown_scope=unknown_scope,
        is_of_metering_process=_is_of_metering_process(template),
        selectors=selectors,
        counters=counters,
        counter_owners=_present(_COUNTER_OWNERS, elements),
        application_texts=tuple(
            [name if name in elements else None for name in _APPLICATION_TEXTS]
        ),
    )


@dataclass(frozen=True, slots=True)
class OptionsReader:
    """Reader of the Options Data Records of one layout.

    ``significant`` selects the values that facts are read from: records with the same ones
    state the same facts. ``elements`` are IANA names and the records' names of the fields of
    these, ``keyed_alike`` is true where these names are the same for all of them.
    ``unknown_scope`` is a scope field that sets a record apart from all others. The other
    attributes are the IANA names of elements by purpose, as far as the layout has them.
    """

    significant: Callable[[Mapping[str, Any]], Any]
    elements: tuple[tuple[str, str], ...]
    keyed_alike: bool
    fact_readers: tuple[_FactReader, ...]
    sampling_scope: str | None
    sampler_names: tuple[str, ...]
    algorithms: tuple[str, ...]
    rate_rules: tuple[RateRule, ...]
    unknown_scope: str | None
    is_of_metering_process: bool
    selectors: tuple[str, ...]
    counters: tuple[str, ...]
    counter_owners: tuple[str, ...]
    application_texts: tuple[str | None, ...]

    def read(self, values: Mapping[str, Any]) -> list[OptionsFact]:
        """Return the facts of a record: values in the Scapy domain, keyed by field name."""
        by_element = values
        if not self.keyed_alike:
            by_element = {name: values.get(field) for name, field in self.elements}
        facts = []
        for read_fact in self.fact_readers:
            fact = read_fact(self, by_element, values)
            if fact is not None:
                facts.append(fact)
        domain = by_element.get("observationDomainId")
        if isinstance(domain, int) and domain:
            facts = [_new(OptionsFact, (*fact[:3], domain)) for fact in facts]
        return facts


#: Reads a fact of a layout, from values keyed by IANA name and from those keyed by field name.
_FactReader = Callable[[OptionsReader, Mapping[str, Any], Mapping[str, Any]], "OptionsFact | None"]


# -- layouts


def _standard_fields(template: Template) -> dict[str, str]:
    """Return the first field of each of IANA's elements, by IANA name."""
    fields: dict[str, str] = {}
    for element, length, name, _ in template.fields:
        # A string without octets cannot state a name.
        if not element.pen and (length or element.type.name != "string"):
            fields.setdefault(element.name, name)
    return fields


def _has_all(fields: Mapping[str, str], groups: Iterable[frozenset[str]]) -> bool:
    """Return whether fields include an element of each group."""
    # Not all() of a generator: a message may define 3,000 layouts.
    return not [names for names in groups if names.isdisjoint(fields)]


def _present(names: Iterable[str], elements: Mapping[str, str]) -> tuple[str, ...]:
    return tuple([name for name in names if name in elements])


def _all_fields(template: Template, element: str) -> tuple[str, ...]:
    """Return the names of the first fields of an element, in their order."""
    same = (each.name for each in template.fields if each.element.name == element)
    return tuple(same)[:MAX_ITEMS]


def _counters(template: Template) -> tuple[str, ...]:
    return tuple(
        each.name
        for each in template.fields
        if each.element.semantics in _COUNTER_SEMANTICS and each.data_type.is_integer
    )[:MAX_ITEMS]


def _unknown_scope(template: Template) -> str | None:
    """Return the first scope field that limits records to something no other record refers to."""
    scope = template.fields[: template.scope_count]
    return next((each.name for each in scope if _is_unknown_scope(each.element)), None)


def _is_unknown_scope(element: InformationElement) -> bool:
    name = element.name
    if name in _WHOLE or name in _SAMPLING_SCOPES:
        return False
    return name.startswith(("scope", "_scope_")) or element.semantics == "identifier"


def _is_of_metering_process(template: Template) -> bool:
    """Return whether a metering process is in the scope of a template's records."""
    return "meteringProcessId" in [each.name for each in template.fields[: template.scope_count]]


# -- readers of facts


def _read_sampling(
    reader: OptionsReader, by_element: Mapping[str, Any], values: Mapping[str, Any]
) -> OptionsFact | None:
    key = _sampling_key(reader, by_element, values)
    rate = rate_by(reader.rate_rules, by_element)
    if rate is None and is_unsampled(by_element):
        rate = 1
    name = fact_text(by_element.get(reader.sampler_names[0])) if reader.sampler_names else None
    if key is None or (rate is None and name is None):
        return None
    sampling = _new(Sampling, (rate, _algorithm(reader, by_element), name))
    return _new(OptionsFact, (SAMPLING, key, sampling, None))


def _sampling_key(
    reader: OptionsReader, by_element: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[str, Any] | None:
    """Return the scope and the number that sampling is limited to; None for unreadable ones."""
    if reader.sampling_scope is not None:
        number = by_element.get(reader.sampling_scope)
        scope = _SAMPLING_SCOPES[reader.sampling_scope]
    elif reader.unknown_scope is not None:
        number = values.get(reader.unknown_scope)
        scope = reader.unknown_scope
    else:
        return SYSTEM
    return (scope, number) if isinstance(number, int) else None


def _algorithm(reader: OptionsReader, by_element: Mapping[str, Any]) -> str | None:
    for name in reader.algorithms:
        number = by_element.get(name)
        if isinstance(number, int):
            names = _value_names(name)
            if names is not None:
                return names.text(number) or str(number)
    return None


@cache
def _value_names(name: str) -> ValueNames | None:
    return elements[name].values


def _read_sequence(
    reader: OptionsReader, by_element: Mapping[str, Any], values: Mapping[str, Any]
) -> OptionsFact | None:
    """Read a Selection Sequence Report Interpretation (RFC 5476 6.5.1): a list of selectors."""
    number = by_element["selectionSequenceId"]
    selectors = tuple(values.get(name) for name in reader.selectors)
    if not isinstance(number, int) or not all(isinstance(each, int) for each in selectors):
        return None
    return OptionsFact(SEQUENCE, number, selectors)


def _read_interface(
    reader: OptionsReader, by_element: Mapping[str, Any], values: Mapping[str, Any]
) -> OptionsFact | None:
    index = _first(by_element, _INTERFACES)
    # softflowd's IPFIX has no number for the interface that its metering process observes.
    if not isinstance(index, int) and (index is not None or not reader.is_of_metering_process):
        return None
    texts = [fact_text(by_element.get(name)) for name in _INTERFACE_TEXTS]
    return _new(OptionsFact, (INTERFACE, index, _new(Interface, texts), None))


def _read_vrf(
    reader: OptionsReader, by_element: Mapping[str, Any], values: Mapping[str, Any]
) -> OptionsFact | None:
    number = _first(by_element, _VRFS)
    name = fact_text(by_element["VRFname"])
    if not isinstance(number, int) or name is None:
        return None
    return _new(OptionsFact, (VRF, number, name, None))


def _read_application(
    reader: OptionsReader, by_element: Mapping[str, Any], values: Mapping[str, Any]
) -> OptionsFact | None:
    octets = application_octets(by_element["applicationId"])
    if octets is None:
        return None
    texts = [name and fact_text(by_element.get(name)) for name in reader.application_texts]
    return _new(OptionsFact, (APPLICATION, octets, _new(Application, texts), None))


def _read_domain(
    reader: OptionsReader, by_element: Mapping[str, Any], values: Mapping[str, Any]
) -> OptionsFact | None:
    name = fact_text(by_element["observationDomainName"])
    return None if name is None else _new(OptionsFact, (DOMAIN, None, name, None))


def _read_init_time(
    reader: OptionsReader, by_element: Mapping[str, Any], values: Mapping[str, Any]
) -> OptionsFact | None:
    """Read when the whole exporter started; parts of it may have started later."""
    if reader.sampling_scope is not None or reader.unknown_scope is not None:
        return None
    time = by_element["systemInitTimeMilliseconds"]
    return _new(OptionsFact, (INIT_TIME, None, time, None)) if time else None


def _read_counters(
    reader: OptionsReader, by_element: Mapping[str, Any], values: Mapping[str, Any]
) -> OptionsFact | None:
    counters = {
        name: count for name in reader.counters if isinstance(count := values.get(name), int)
    }
    owner = tuple(
        [
            (name, number)
            for name in reader.counter_owners
            if isinstance(number := by_element.get(name), int)
        ]
    )
    return _new(OptionsFact, (COUNTERS, owner, counters, None)) if counters else None


def _first(by_element: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """Return the value of the first of these elements that the record has."""
    for name in names:
        if name in by_element:
            return by_element[name]
    return None


#: Readers of facts with groups of elements; a layout needs an element of each group.
_FACT_READERS: list[tuple[list[frozenset[str]], _FactReader]] = [
    ([*map(frozenset, groups)], reader)
    for groups, reader in (
        ([RATE_ELEMENTS.union(_SAMPLER_NAMES)], _read_sampling),
        ([["selectionSequenceId"], ["selectorId"]], _read_sequence),
        ([[*_INTERFACES, "meteringProcessId"], _INTERFACE_TEXTS], _read_interface),
        ([_VRFS, ["VRFname"]], _read_vrf),
        ([["applicationId"], _APPLICATION_TEXTS], _read_application),
        ([["observationDomainName"]], _read_domain),
        ([["systemInitTimeMilliseconds"]], _read_init_time),
        ([_STATISTICS], _read_counters),
    )
]

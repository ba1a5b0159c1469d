# SPDX-License-Identifier: GPL-2.0-or-later
"""What an Options Data Record says of its exporter, by scope: one record to statements.

:func:`statements_of` finds out, once for a layout, what its records can say: how packets are
sampled, what interfaces, VRFs, applications and observation domains are called, what the
metering and exporting processes counted. NetFlow v9's elements say it as well as PSAMP's, and
as exporters do not agree on what is scope, fields count wherever they are. Nothing raises on
what is in a record.
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
from scapy_ipfix.wire.template import Template, kept_by_template

#: Counters kept of a record, and selectors of a sequence.
MAX_ITEMS = 64

_SAMPLER_NAMES = ("samplerName", "selectorName")
_ALGORITHMS = ("selectorAlgorithm", "samplerMode", "samplingAlgorithm")
#: What sampling can be limited to, the narrowest first, and what records call the same.
_SAMPLED = {
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
#: Scopes that are all of the exporter, or of what it meters in an observation domain.
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
#: Whose counters they are.
_COUNTED_BY = (
    *("exportingProcessId", "meteringProcessId", "scopeSystem", "observationDomainId"),
    *("selectorId", "samplerId", "observationPointId", "lineCardId", "scopeLineCard"),
    *("scopeInterface", "ingressInterface", "egressInterface", "scopeCache"),
    *("scopeTemplate", "templateId"),
)
#: All elements that a record is read by, beside counters and scopes that set it apart.
_HEEDED = RATE_ELEMENTS.union(
    *(_SAMPLER_NAMES, _ALGORITHMS, _SAMPLED, _INTERFACES, _INTERFACE_TEXTS, _VRFS, _COUNTED_BY),
    *(_APPLICATION_TEXTS, ("VRFname", "applicationId", "selectionSequenceId")),
    ("observationDomainId", "observationDomainName"),
)
_new = tuple.__new__


class Statement(NamedTuple):
    """Something said: what of, of which one, and what.

    ``key`` is a (scope, number) for sampling, ``SYSTEM`` for all of the domain; a number for
    interfaces (None: the one that the metering process watches), VRFs and sequences; octets
    for applications; None for a domain; the (scope, number) pairs of counters. ``domain`` is
    the observation domain that it is about where the record names one.
    """

    what: str
    key: Any
    value: Any
    domain: int | None = None


@kept_by_template
def statements_of(template: Template) -> Statements | None:
    """How to read the records of an options template; None where they say none of this."""
    if not template.is_options:
        return None
    fields: dict[str, str] = {}
    for element, length, name, _ in template.fields:
        # A name in no octets is none that a record could say.
        if not element.pen and (length or element.type.name != "string"):
            fields.setdefault(element.name, name)
    readers = tuple([reader for needs, reader in _READERS if _has_all(fields, needs)])
    if not readers:
        return None
    scope = template.fields[: template.scope_count]
    foreign = next((each.name for each in scope if _is_foreign(each.element)), None)
    selectors = _all(template, "selectorId")
    counters = tuple(
        each.name
        for each in template.fields
        if each.element.semantics in _COUNTER_SEMANTICS and each.data_type.is_integer
    )[:MAX_ITEMS]
    heeded = {name: own for name, own in fields.items() if name in _HEEDED}
    names = dict.fromkeys((*heeded.values(), *selectors, *counters))
    if foreign is not None:
        names[foreign] = None
    if not names:  # a counter by its name that an exporter defined as something else
        return None
    alike = {name: name for _, _, name, _ in template.fields if name in _HEEDED}
    return Statements(
        itemgetter(*names),
        tuple(heeded.items()),
        heeded == alike,
        readers,
        sampled=next((name for name in _SAMPLED if name in heeded), None),
        samplers=tuple(name for name in _SAMPLER_NAMES if name in heeded),
        algorithms=tuple(name for name in _ALGORITHMS if name in heeded),
        rates=rate_rules(heeded),
        foreign=foreign,
        watched=any(each.name == "meteringProcessId" for each in scope),
        selectors=selectors,
        counters=counters,
        owners=tuple(name for name in _COUNTED_BY if name in heeded),
        described=tuple(name if name in heeded else None for name in _APPLICATION_TEXTS),
    )


@dataclass(frozen=True, slots=True)
class Statements:
    """How the records of one layout are read.

    ``heed`` picks the values that say anything: records that have the same ones say the same.
    ``fields`` are names of IANA's elements and what records call them, ``alike`` says
    whether records call all of these as IANA does, ``foreign`` is a scope field that sets the
    record apart from all others, ``watched`` says whether a metering process is in scope. The
    others are those of IANA's names that there are, by what they are read for.
    """

    heed: Callable[[Mapping[str, Any]], Any]
    fields: tuple[tuple[str, str], ...]
    alike: bool
    readers: tuple[_Reader, ...]
    sampled: str | None
    samplers: tuple[str, ...]
    algorithms: tuple[str, ...]
    rates: tuple[RateRule, ...]
    foreign: str | None
    watched: bool
    selectors: tuple[str, ...]
    counters: tuple[str, ...]
    owners: tuple[str, ...]
    described: tuple[str | None, ...]

    def read(self, values: Mapping[str, Any]) -> list[Statement]:
        """What a record says. ``values`` are in the Scapy domain, keyed by field name."""
        said = values if self.alike else {name: values.get(field) for name, field in self.fields}
        found = []
        for reader in self.readers:
            statement = reader(self, said, values)
            if statement is not None:
                found.append(statement)
        domain = said.get("observationDomainId")
        if isinstance(domain, int) and domain:
            found = [_new(Statement, (*each[:3], domain)) for each in found]
        return found


#: Reads a statement: of a layout, from values by IANA's names and by those of fields.
_Reader = Callable[[Statements, Mapping[str, Any], Mapping[str, Any]], "Statement | None"]


def _has_all(fields: Mapping[str, str], needs: Iterable[frozenset[str]]) -> bool:
    """Whether there is one of each group."""
    # Not all() of a generator: a message may define 3,000 layouts.
    return not [names for names in needs if names.isdisjoint(fields)]


def _all(template: Template, name: str) -> tuple[str, ...]:
    """What records call the fields of one of IANA's elements, in order."""
    same = (each.name for each in template.fields if each.element.name == name)
    return tuple(same)[:MAX_ITEMS]


def _is_foreign(element: InformationElement) -> bool:
    """Whether a scope field limits a record to what no other record can be found to be of."""
    name = element.name
    if name in _WHOLE or name in _SAMPLED:
        return False
    return name.startswith(("scope", "_scope_")) or element.semantics == "identifier"


# -- readers


def _read_sampling(
    layout: Statements, said: Mapping[str, Any], values: Mapping[str, Any]
) -> Statement | None:
    key = _sampled(layout, said, values)
    rate = rate_by(layout.rates, said)
    if rate is None and is_unsampled(said):
        rate = 1
    name = fact_text(said.get(layout.samplers[0])) if layout.samplers else None
    if key is None or (rate is None and name is None):
        return None
    sampling = _new(Sampling, (rate, _algorithm(layout, said), name))
    return _new(Statement, (SAMPLING, key, sampling, None))


def _sampled(
    layout: Statements, said: Mapping[str, Any], values: Mapping[str, Any]
) -> tuple[str, Any] | None:
    """What a record limits its sampling to, None where that cannot be read."""
    if layout.sampled is not None:
        number = said.get(layout.sampled)
        return (_SAMPLED[layout.sampled], number) if isinstance(number, int) else None
    if layout.foreign is None:
        return SYSTEM
    number = values.get(layout.foreign)
    return (layout.foreign, number) if isinstance(number, int) else None


def _algorithm(layout: Statements, said: Mapping[str, Any]) -> str | None:
    for name in layout.algorithms:
        number = said.get(name)
        if isinstance(number, int):
            names = _value_names(name)
            if names is not None:
                return names.text(number) or str(number)
    return None


@cache
def _value_names(name: str) -> ValueNames | None:
    return elements[name].values


def _read_sequence(
    layout: Statements, said: Mapping[str, Any], values: Mapping[str, Any]
) -> Statement | None:
    """A Selection Sequence Report Interpretation (RFC 5476 6.5.1): selectors in a row."""
    number = said["selectionSequenceId"]
    selectors = tuple(values.get(name) for name in layout.selectors)
    if not isinstance(number, int) or not all(isinstance(each, int) for each in selectors):
        return None
    return Statement(SEQUENCE, number, selectors)


def _read_interface(
    layout: Statements, said: Mapping[str, Any], values: Mapping[str, Any]
) -> Statement | None:
    index = _first(said, _INTERFACES)
    # softflowd's IPFIX has no number for the interface that its metering process watches.
    if not isinstance(index, int) and (index is not None or not layout.watched):
        return None
    name, description = _INTERFACE_TEXTS
    called = _new(Interface, (fact_text(said.get(name)), fact_text(said.get(description))))
    return _new(Statement, (INTERFACE, index, called, None))


def _read_vrf(
    layout: Statements, said: Mapping[str, Any], values: Mapping[str, Any]
) -> Statement | None:
    number = _first(said, _VRFS)
    name = fact_text(said["VRFname"])
    if not isinstance(number, int) or name is None:
        return None
    return _new(Statement, (VRF, number, name, None))


def _read_application(
    layout: Statements, said: Mapping[str, Any], values: Mapping[str, Any]
) -> Statement | None:
    octets = application_octets(said["applicationId"])
    if octets is None:
        return None
    called = _new(Application, [each and fact_text(said.get(each)) for each in layout.described])
    return _new(Statement, (APPLICATION, octets, called, None))


def _read_domain(
    layout: Statements, said: Mapping[str, Any], values: Mapping[str, Any]
) -> Statement | None:
    name = fact_text(said["observationDomainName"])
    return None if name is None else _new(Statement, (DOMAIN, None, name, None))


def _read_counters(
    layout: Statements, said: Mapping[str, Any], values: Mapping[str, Any]
) -> Statement | None:
    counters = {
        name: count for name in layout.counters if isinstance(count := values.get(name), int)
    }
    owner = tuple(
        [(name, number) for name in layout.owners if isinstance(number := said.get(name), int)]
    )
    return _new(Statement, (COUNTERS, owner, counters, None)) if counters else None


#: What has to be there, one of each group, and who reads it then.
_READERS: list[tuple[list[frozenset[str]], _Reader]] = [
    ([*map(frozenset, groups)], reader)
    for groups, reader in (
        ([RATE_ELEMENTS.union(_SAMPLER_NAMES)], _read_sampling),
        ([["selectionSequenceId"], ["selectorId"]], _read_sequence),
        ([[*_INTERFACES, "meteringProcessId"], _INTERFACE_TEXTS], _read_interface),
        ([_VRFS, ["VRFname"]], _read_vrf),
        ([["applicationId"], _APPLICATION_TEXTS], _read_application),
        ([["observationDomainName"]], _read_domain),
        ([_STATISTICS], _read_counters),
    )
]


def _first(said: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first of these that the record has."""
    for name in names:
        if name in said:
            return said[name]
    return None

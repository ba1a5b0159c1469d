# SPDX-License-Identifier: GPL-2.0-or-later
"""What a session knows, kept in a file: templates, learned elements, metadata (JSON).

A capture that ``tcpdump -G`` cut into files is read file by file with it. The file says its
format's version; what it holds is facts, and nothing in it is run.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.domainstate import TemplateState
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.wire.facts import (
    APPLICATION,
    COUNTERS,
    DOMAIN,
    INTERFACE,
    SAMPLING,
    SEQUENCE,
    VRF,
    Application,
    Interface,
    Sampling,
)
from scapy_ipfix.wire.framing import Specifier, TemplateSpan
from scapy_ipfix.wire.template import Template

FORMAT = "scapy-ipfix state"
VERSION = 1


class StateError(ValueError):
    """A file that is no state of a session; the text says which and why."""


def dump_state(collector: Collector) -> dict[str, Any]:
    """The state as what JSON can have."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "scope": collector.scope,
        "elements": [
            {"transport": list(transport), "elements": [_element(each) for each in learned]}
            for transport, learned in collector.learned_types.learned()
            if isinstance(transport, TransportKey)
        ],
        "domains": [_domain(domain) for domain in collector.domains],
        "metadata": [
            [[list(key[0]), key[1], key[2]], what, _plain(which), _plain(fact.value), fact.since]
            for key in collector.metadata.domains
            for what, which, fact in collector.metadata.facts(key)
        ],
    }


def save_state(collector: Collector, path: str | os.PathLike[str]) -> None:
    """Writes the state; a file that was there stays whole until the new one is. OSError."""
    part = f"{os.fspath(path)}.part"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(dump_state(collector), file, indent=1)
        file.write("\n")
    os.replace(part, path)


def load_state(collector: Collector, path: str | os.PathLike[str]) -> None:
    """Takes in what :func:`save_state` wrote.

    Raises OSError, and :class:`StateError` for a file that is none of ours.
    """
    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise ValueError("no state of a session")
        if state.get("version") != VERSION:
            raise ValueError(f"state of version {state.get('version')!r}, this reads {VERSION}")
        restore_state(collector, state)
    except (
        *(ValueError, TypeError, KeyError, IndexError, AttributeError),
        *(OverflowError, RecursionError),
    ) as problem:
        raise StateError(f"{name}: {_reason(problem)}") from None


def _reason(problem: Exception) -> str:
    return str(problem) if isinstance(problem, ValueError) else f"damaged ({problem!r})"


def restore_state(collector: Collector, state: dict[str, Any]) -> None:
    """Takes in what :func:`dump_state` gave. Raises what a damaged state makes it raise."""
    for taught in state["elements"]:
        transport = TransportKey(*taught["transport"])
        collector.learned_types.restore(transport, _elements(taught["elements"]))
    for each in state["domains"]:
        transport = TransportKey(*each["transport"])
        domain = collector.domain(transport, int(each["version"]), int(each["id"]))
        for template in each["templates"]:
            domain.restore(_template_state(template, domain))
    for (transport, version, id), what, which, value, since in state["metadata"]:
        key = TransportKey(*transport), int(version), int(id)
        fact = _fact(what, _value(which), _value(value))
        collector.metadata.restore(key, *fact, _time(since))


def _domain(domain: Domain) -> dict[str, Any]:
    return {
        "transport": list(domain.transport),
        "version": domain.version,
        "id": domain.id,
        "templates": [
            {
                "id": template.id,
                "scope": template.scope_count,
                "options": template.is_options,
                "fields": [
                    [field.element.pen, field.element.id, field.length] for field in template.fields
                ],
                "refreshes": state.refreshes,
                "seen": state.seen,
            }
            for template, state in ((each.template, each) for each in domain.states.values())
        ],
    }


def _template_state(saved: dict[str, Any], domain: Domain) -> TemplateState:
    specifiers = tuple(
        Specifier(*(_number(each, 1 << 32) for each in field)) for field in saved["fields"]
    )
    id, scope = _number(saved["id"], 1 << 16), _number(saved["scope"], 1 << 16)
    span = TemplateSpan(id, scope, specifiers, 0, 0)
    # Elements of NetFlow v9 with a number of an enterprise came in as types of their own.
    if domain.version == 9:
        pairs = [(each.pen, each.id) for each in specifiers]
        types = [
            id if i < scope or not pen else domain.model.v9_type(domain.model.element(pen, id))
            for i, (pen, id) in enumerate(pairs)
        ]
        specifiers = tuple(Specifier(0, kind, each.length) for kind, each in zip(types, specifiers))
        span = span._replace(specifiers=specifiers)
    template = Template.from_wire(span, domain.version, domain.model, bool(saved["options"]))
    return TemplateState(template, int(saved["refreshes"]), _time(saved["seen"]))


def _time(value: Any) -> float:
    time = float(value)
    if not math.isfinite(time):
        raise ValueError(f"{value!r} is no time")
    return time


def _number(value: Any, limit: int) -> int:
    if type(value) is not int or not 0 <= value < limit:
        raise ValueError(f"{value!r} is no number below {limit}")
    return value


def _element(element: InformationElement) -> dict[str, Any]:
    return {
        "pen": element.pen,
        "id": element.id,
        "name": element.name,
        "type": element.type.name,
        "semantics": element.semantics,
        "units": element.units,
        "range": list(element.range) if element.range else None,
    }


def _elements(saved: list[dict[str, Any]]) -> Iterator[InformationElement]:
    for each in saved:
        limits = each["range"]
        yield InformationElement(
            str(each["name"]),
            _number(each["id"], 1 << 16),
            _number(each["pen"], 1 << 32),
            data_type(str(each["type"])),
            str(each["semantics"]),
            str(each["units"]),
            (int(limits[0]), int(limits[1])) if limits else None,
        )


#: What facts of metadata are made of, beside numbers and text.
_KINDS = {kind.__name__: kind for kind in (Sampling, Interface, Application)}


def _is_number(value: Any) -> bool:
    return type(value) is int


def _is_rate(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are(value: Any, kind: type, *checks: Callable[[Any], bool]) -> bool:
    """Whether a value is of a kind, and each of its parts None or what it is checked for."""
    if not isinstance(value, kind) or not isinstance(value, tuple):
        return False
    return all(each is None or check(each) for check, each in zip(checks, value, strict=True))


def _is_pair(value: Any) -> bool:
    """Whether a value is a name and a number."""
    return type(value) is tuple and [*map(type, value)] == [str, int]


def _is_row(value: Any, check: Callable[[Any], bool]) -> bool:
    return type(value) is tuple and all(map(check, value))


#: Of what there are facts: what says of which one, and what is said.
_FACTS: dict[str, tuple[Callable[[Any], bool], Callable[[Any], bool]]] = {
    SAMPLING: (_is_pair, lambda value: _are(value, Sampling, _is_rate, _is_text, _is_text)),
    SEQUENCE: (_is_number, lambda value: _is_row(value, _is_number)),
    INTERFACE: (
        lambda which: which is None or _is_number(which),
        lambda value: _are(value, Interface, _is_text, _is_text),
    ),
    VRF: (_is_number, _is_text),
    APPLICATION: (
        lambda which: isinstance(which, bytes) and bool(which),
        lambda value: _are(value, Application, _is_text, _is_text, _is_text),
    ),
    DOMAIN: (lambda which: which is None, _is_text),
    COUNTERS: (
        lambda which: _is_row(which, _is_pair),
        lambda value: type(value) is dict and all(map(_is_pair, value.items())),
    ),
}


def _fact(what: Any, which: Any, value: Any) -> tuple[str, Any, Any]:
    """A fact that was saved. Raises ValueError for what is none."""
    if what not in _FACTS:
        raise ValueError(f"there are no facts of {what!r}")
    is_key, is_value = _FACTS[what]
    if not is_key(which) or not is_value(value):
        raise ValueError(f"{value!r} of {which!r} is nothing that is said of {what}")
    return what, which, value


def _plain(value: Any) -> Any:
    """A key or value of metadata as JSON has it: what JSON has not is an object of one entry."""
    if isinstance(value, bytes):
        return {"octets": value.hex()}
    if isinstance(value, tuple):
        kind = type(value).__name__ if type(value).__name__ in _KINDS else "tuple"
        return {kind: [_plain(each) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[_plain(key), _plain(each)] for key, each in value.items()]}
    return value


def _value(plain: Any) -> Any:
    """What :func:`_plain` made of, again. Raises ValueError for anything else."""
    if not isinstance(plain, dict):
        if plain is None or isinstance(plain, (str, int, float)):
            return plain
        raise ValueError(f"{plain!r} is no value of metadata")
    ((kind, inner),) = plain.items()
    if kind == "octets":
        return bytes.fromhex(inner)
    if kind == "dict":
        return {_value(key): _value(each) for key, each in inner}
    values = [_value(each) for each in inner]
    if kind == "tuple":
        return tuple(values)
    if kind in _KINDS:
        return _KINDS[kind](*values)
    raise ValueError(f"{kind!r} is no kind of value")

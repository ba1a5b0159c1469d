# SPDX-License-Identifier: GPL-2.0-or-later
"""State of a session in a file (JSON): templates, learned elements, metadata.

It serves to read a capture that ``tcpdump -G`` split into files, one after the other. The file
contains the version of its format and data alone, nothing that is executed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from typing import Any

from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.templatestore import TemplateState
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.wire.facts import (
    APPLICATION,
    COUNTERS,
    DOMAIN,
    INIT_TIME,
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
    """Error of a file that cannot be read as state; its text has the path and the reason."""


def dump_state(collector: Collector) -> dict[str, Any]:
    """Return the state as values that JSON can represent."""
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
            [[list(domain[0]), *domain[1:]], kind, _to_json(key), _to_json(fact.value), fact.since]
            for domain in collector.metadata.domains
            for kind, key, fact in collector.metadata.facts(domain)
        ],
    }


def save_state(collector: Collector, path: str | os.PathLike[str]) -> None:
    """Write the state to a file, which is replaced only when the new one is complete.

    Raises OSError.
    """
    part = f"{os.fspath(path)}.part"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(dump_state(collector), file, indent=1)
        file.write("\n")
    os.replace(part, path)


def load_state(collector: Collector, path: str | os.PathLike[str]) -> None:
    """Restore the state that :func:`save_state` wrote.

    Raises OSError, and :class:`StateError` for any other or a damaged file.
    """
    name = os.fspath(path)
    try:
        with open(path, encoding="utf-8") as file:
            state = json.load(file)
    except (ValueError, RecursionError) as error:
        raise StateError(f"{name} is not a scapy-ipfix state file: {error}") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise StateError(f"{name} is not a scapy-ipfix state file")
    if state.get("version") != VERSION:
        raise StateError(
            f"{name} is a state file of version {state.get('version')!r}; "
            f"this scapy-ipfix reads version {VERSION}"
        )
    try:
        restore_state(collector, state)
    except (
        *(ValueError, TypeError, KeyError, IndexError, AttributeError),
        *(OverflowError, RecursionError),
    ) as error:
        reason = str(error) if isinstance(error, ValueError) else repr(error)
        raise StateError(f"{name} is a damaged state file: {reason}") from None


def restore_state(collector: Collector, state: dict[str, Any]) -> None:
    """Restore the state that :func:`dump_state` returned.

    A damaged one raises ValueError, TypeError, LookupError, AttributeError, OverflowError or
    RecursionError.
    """
    for learned in state["elements"]:
        transport = TransportKey(*learned["transport"])
        collector.learned_types.restore(transport, _elements(learned["elements"]))
    for each in state["domains"]:
        transport = TransportKey(*each["transport"])
        domain = collector.domain(transport, int(each["version"]), int(each["id"]))
        for template in each["templates"]:
            limits = domain.templates.restore(_template_state(template, domain))
            collector.diagnostics.add_all(limits)
    for (transport, version, id), kind, key, value, since in state["metadata"]:
        about = TransportKey(*transport), int(version), int(id)
        fact = _fact(kind, _from_json(key), _from_json(value))
        collector.metadata.restore(about, *fact, _time(since))


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
            for template, state in (
                (each.template, each) for each in domain.templates.states.values()
            )
        ],
    }


def _template_state(saved: dict[str, Any], domain: Domain) -> TemplateState:
    specifiers = tuple(
        Specifier(*(_number(each, 1 << 32) for each in field)) for field in saved["fields"]
    )
    model = domain.templates.model
    id, scope = _number(saved["id"], 1 << 16), _number(saved["scope"], 1 << 16)
    span = TemplateSpan(id, scope, specifiers, 0, 0)
    # An enterprise's element has a field type of its own in NetFlow v9.
    if domain.version == 9:
        pairs = [(each.pen, each.id) for each in specifiers]
        types = [
            id if i < scope or not pen else model.v9_type(model.element(pen, id))
            for i, (pen, id) in enumerate(pairs)
        ]
        specifiers = tuple(Specifier(0, kind, each.length) for kind, each in zip(types, specifiers))
        span = span._replace(specifiers=specifiers)
    template = Template.from_wire(span, domain.version, model, bool(saved["options"]))
    return TemplateState(template, int(saved["refreshes"]), _time(saved["seen"]))


def _time(value: Any) -> float:
    time = float(value)
    if not math.isfinite(time):
        raise ValueError(f"{value!r} is not a time")
    return time


def _number(value: Any, limit: int) -> int:
    if type(value) is not int or not 0 <= value < limit:
        raise ValueError(f"{value!r} is not an integer from 0 to {limit - 1}")
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


#: Types of the values of facts, beside numbers and text.
_TYPES = {type.__name__: type for type in (Sampling, Interface, Application)}


def _is_number(value: Any) -> bool:
    return type(value) is int


def _is_rate(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_record(value: Any, type: type, *checks: Callable[[Any], bool]) -> bool:
    """Return whether a value is a named tuple whose parts are None or pass their checks."""
    if not isinstance(value, type) or not isinstance(value, tuple):
        return False
    return all(each is None or check(each) for check, each in zip(checks, value, strict=True))


def _is_pair(value: Any) -> bool:
    """Return whether a value is a name and a number."""
    return type(value) is tuple and [*map(type, value)] == [str, int]


def _is_tuple_of(value: Any, check: Callable[[Any], bool]) -> bool:
    return type(value) is tuple and all(map(check, value))


#: Checks of the key and the value of facts, by their kind.
_CHECKS: dict[str, tuple[Callable[[Any], bool], Callable[[Any], bool]]] = {
    SAMPLING: (_is_pair, lambda value: _is_record(value, Sampling, _is_rate, _is_text, _is_text)),
    SEQUENCE: (_is_number, lambda value: _is_tuple_of(value, _is_number)),
    INTERFACE: (
        lambda key: key is None or _is_number(key),
        lambda value: _is_record(value, Interface, _is_text, _is_text),
    ),
    VRF: (_is_number, _is_text),
    APPLICATION: (
        lambda key: isinstance(key, bytes) and bool(key),
        lambda value: _is_record(value, Application, _is_text, _is_text, _is_text),
    ),
    DOMAIN: (lambda key: key is None, _is_text),
    INIT_TIME: (lambda key: key is None, _is_number),
    COUNTERS: (
        lambda key: _is_tuple_of(key, _is_pair),
        lambda value: type(value) is dict and all(map(_is_pair, value.items())),
    ),
}


def _fact(kind: Any, key: Any, value: Any) -> tuple[str, Any, Any]:
    """Return a saved fact. Raises ValueError for an invalid one."""
    if kind not in _CHECKS:
        raise ValueError(f"{kind!r} is not a kind of facts")
    is_key, is_value = _CHECKS[kind]
    if not is_key(key):
        raise ValueError(f"{key!r} is not a key of {kind} facts")
    if not is_value(value):
        raise ValueError(f"{value!r} is not a value of {kind} facts")
    return kind, key, value


def _to_json(value: Any) -> Any:
    """Return a key or value of a fact for JSON: tuples and the like as objects of one entry."""
    if isinstance(value, bytes):
        return {"octets": value.hex()}
    if isinstance(value, tuple):
        name = type(value).__name__
        return {name if name in _TYPES else "tuple": [_to_json(each) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[_to_json(key), _to_json(each)] for key, each in value.items()]}
    return value


def _from_json(saved: Any) -> Any:
    """Return the value that :func:`_to_json` saved. Raises ValueError for any other."""
    if not isinstance(saved, dict):
        if saved is None or isinstance(saved, (str, int, float)):
            return saved
        raise ValueError(f"{saved!r} is not part of a fact")
    ((name, inner),) = saved.items()
    if name == "octets":
        return bytes.fromhex(inner)
    if name == "dict":
        return {_from_json(key): _from_json(each) for key, each in inner}
    values = [_from_json(each) for each in inner]
    if name == "tuple":
        return tuple(values)
    if name in _TYPES:
        return _TYPES[name](*values)
    raise ValueError(f"{name!r} is not a type of values of facts")

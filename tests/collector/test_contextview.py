# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the values that facts resolve records to: sampling rates and names."""

import copy
import pickle
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.collector.contextview import ContextView
from scapy_ipfix.collector.metadata import Finder, Metadata
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.wire.facts import Application, Interface, Sampling
from scapy_ipfix.wire.resolver import _MANY
from scapy_ipfix.wire.template import Template
from tests.collector.resolving import resolve_many, resolve_one

HERE = ("exporter", 10, 7)


def options(scope: int, *fields: str) -> Template:
    return Template(400, *fields, scope=scope)


SAMPLER = options(1, "samplerId", "samplingInterval")
SELECTOR = options(1, "selectorId", "samplingPacketInterval", "samplingPacketSpace")
SEQUENCE = options(1, "selectionSequenceId", "selectorId", "selectorId")
BY_INTERFACE = options(1, "scopeInterface", "samplingInterval")
BY_TEMPLATE = options(1, "templateId", "samplingInterval")
BY_LINE_CARD = options(1, "lineCardId", "samplingInterval")
SYSTEM = options(1, "scopeSystem", "samplingInterval")
INTERFACE = options(1, "ingressInterface", "interfaceName", "interfaceDescription")
WATCHED = options(1, "meteringProcessId", "interfaceName")
VRF = options(1, "ingressVRFID", "VRFname")
APPLICATION = options(1, "applicationId", "applicationName", "applicationDescription")


def stated(*facts: tuple[Template, tuple[Any, ...]], domain: Any = HERE) -> ContextView:
    """Return a view of the facts of rows of options."""
    metadata = Metadata()
    for template, row in facts:
        metadata.learn(domain, template, [dict(zip(template.names, row))])
    return ContextView(metadata, HERE, metadata.now)


def layout_of(*fields: str, id: int = 300) -> tuple[Template, Any]:
    """Return a template, and a function that makes a record of a row."""
    template = Template(id, *fields)
    return template, lambda *row: dict(zip(template.names, row))


# Sampling


def test_precedence_of_sampler_interface_and_system() -> None:
    view = stated((SAMPLER, (1, 10)), (BY_INTERFACE, (5, 20)), (SYSTEM, (0, 30)))
    template, record = layout_of("samplerId", "ingressInterface", "egressInterface")
    assert view.sampling_rate(template, record(1, 5, 5)) == 10
    assert view.sampling_rate(template, record(2, 5, 6)) == 20
    assert view.sampling_rate(template, record(2, 6, 5)) == 20
    assert view.sampling_rate(template, record(2, 6, 6)) == 30
    assert view.sampling_rate(template, record(None, b"?", None)) == 30


def test_unknown_rates() -> None:
    template, record = layout_of("samplerId", "ingressInterface")
    assert stated().sampling_rate(template, record(1, 2)) is None
    assert stated((SAMPLER, (1, 10))).sampling_rate(template, record(2, 2)) is None


def test_the_only_sampler_is_that_of_records_without_one() -> None:
    layout, record = layout_of("octetDeltaCount", "ingressInterface")
    for facts, expected in (
        ([(SAMPLER, (1, 10))], 10),
        ([(SAMPLER, (1, 10)), (SAMPLER, (2, 10)), (SELECTOR, (7, 1, 9))], 10),
        ([(SAMPLER, (1, 10)), (SAMPLER, (2, 20))], None),
        ([(SAMPLER, (1, 10)), (SAMPLER, (1, 20))], 20),
        ([(SAMPLER, (1, 10)), (BY_INTERFACE, (5, 30))], 10),
        ([(SAMPLER, (1, 10)), (SYSTEM, (0, 30))], 30),
        ([(BY_INTERFACE, (5, 30))], None),
        ([(SAMPLER, (number, 10)) for number in range(16)], 10),
        ([(SAMPLER, (number, 10)) for number in range(17)], None),
    ):
        view = stated(*facts)
        assert view.sampling_rate(*without_sampler()) == expected
        assert resolve_one(view, *without_sampler())["sampling_rate"] == expected
        assert view.sampling_rate(layout, record(1, 6)) == expected
    assert stated((SAMPLER, (1, 10)), domain=(*HERE[:2], 8)).sampling_rate(layout, {}) is None
    view = stated((SAMPLER, (1, 10)), domain=(*HERE[:2], 0))
    assert view.sampling_rate(layout, record(1, 6)) == 10


def test_the_only_sampler_after_others_were_dropped() -> None:
    metadata = Metadata(limit=2)
    for number in range(20):
        row = {"samplerId": number, "samplingInterval": number + 1}
        metadata.learn(HERE, SAMPLER, [row])
        if number == 2:
            metadata.learn(HERE, SYSTEM, [{"scopeSystem": 0, "samplingInterval": 30}])
    view = ContextView(metadata, HERE, metadata.now)
    assert view.sampling_rate(*without_sampler()) is None
    assert len(metadata) == 2


def without_sampler() -> tuple[Template, dict[str, Any]]:
    template, record = layout_of("octetDeltaCount")
    return template, record(1)


def test_the_interface_where_a_record_was_metered() -> None:
    view = stated((BY_INTERFACE, (5, 20)), (BY_INTERFACE, (6, 40)))
    template, record = layout_of("ingressInterface", "egressInterface", "flowDirection")
    assert view.sampling_rate(template, record(5, 6, 0)) == 20
    assert view.sampling_rate(template, record(5, 6, 1)) == 40
    assert view.sampling_rate(template, record(5, 7, 1)) == 20


def test_rates_in_the_record() -> None:
    view = stated((SAMPLER, (1, 10)), (SYSTEM, (0, 30)))
    template, record = layout_of("samplerId", "samplingInterval", "samplingAlgorithm")
    assert view.sampling_rate(template, record(1, 100, 2)) == 100
    assert view.sampling_rate(template, record(1, 0, 2)) == 10
    # H3C fills both with zeros: no sampling, unless options state a rate
    assert view.sampling_rate(template, record(9, 0, 0)) == 30
    assert stated().sampling_rate(template, record(9, 0, 0)) == 1
    assert stated().sampling_rate(template, record(9, 0, 1)) is None


def test_rates_of_a_selection_sequence_multiply() -> None:
    one, two = (SELECTOR, (1, 1, 9)), (SELECTOR, (2, 2, 3))
    template, record = layout_of("selectionSequenceId")
    assert stated((SEQUENCE, (4, 1, 2)), one, two).sampling_rate(template, record(4)) == 25
    assert stated((SEQUENCE, (4, 1, 2)), one).sampling_rate(template, record(4)) is None
    assert stated(one, two).sampling_rate(template, record(4)) is None
    template, record = layout_of("selectorId")
    assert stated(one, two).sampling_rate(template, record(2)) == 2.5


def test_by_template_and_line_card() -> None:
    view = stated((BY_TEMPLATE, (301, 20)), (BY_LINE_CARD, (2, 40)), (SYSTEM, (0, 5)))
    for id, card, rate in ((300, 2, 40), (301, 2, 40), (301, 3, 20), (300, 3, 5)):
        template, record = layout_of("lineCardId", id=id)
        assert view.sampling_rate(template, record(card)) == rate


def test_domain_0_is_the_whole_exporter() -> None:
    facts = (SYSTEM, (0, 30)), (INTERFACE, (1, "Gi1", "")), (VRF, (2, "red"))
    template, record = layout_of("ingressInterface", "ingressVRFID")
    view = stated(*facts, domain=("exporter", 10, 0))
    assert view.sampling_rate(template, record(1, 2)) == 30
    assert view.interface_name(template, record(1, 2)) == "Gi1"
    assert view.vrf_name(template, record(1, 2)) == "red"
    # in NetFlow v9, a sourceId of 0 is like any other
    metadata = Metadata()
    for options_template, row in facts:
        values = dict(zip(options_template.names, row))
        metadata.learn(("exporter", 9, 0), options_template, [values])
    view = ContextView(metadata, ("exporter", 9, 7), metadata.now)
    assert view.sampling_rate(template, record(1, 2)) is None
    assert view.interface(1) is None
    assert ContextView(metadata, ("exporter", 9, 0), metadata.now).interface(1) == Interface(
        "Gi1", ""
    )


# Names


def test_interface_names() -> None:
    view = stated((INTERFACE, (1, "Gi1", "lake")), (INTERFACE, (2, "", "only this")))
    template, record = layout_of("ingressInterface", "egressInterface")
    assert view.interface_name(template, record(1, 2)) == "Gi1"
    assert view.interface_name(template, record(1, 2), "egress") == "only this"
    assert view.interface_description(template, record(1, 2)) == "lake"
    assert view.interface_description(template, record(2, 1)) == "only this"
    assert view.interface_name(template, record(3, 1)) is None
    assert view.interface_name(template, record(None, 1)) is None


def test_physical_interfaces() -> None:
    view = stated((INTERFACE, (1, "Gi1", "")))
    template, record = layout_of("ingressPhysicalInterface", "ingressInterface")
    assert view.interface_name(template, record(1, 100)) is None
    assert view.interface_name(template, record(100, 1)) == "Gi1"
    assert view.interface_name(template, record(1, 1)) == "Gi1"
    assert view.interface_name(template, record(1, 0)) == "Gi1"


def test_the_interface_that_a_metering_process_observes() -> None:
    view = stated((WATCHED, (1, "veth-a")))
    template, record = layout_of("ingressInterface", "egressInterface")
    assert view.interface_name(template, record(7, 7)) == "veth-a"
    assert view.interface_name(template, record(7, 7), "egress") == "veth-a"
    assert view.interface_name(template, record(7, 8)) is None
    assert view.interface_name(template, record(None, None)) is None


@pytest.mark.parametrize(
    ("fields", "row", "names"),
    [
        # Open vSwitch
        (
            ("ingressInterface", "interfaceName", "egressInterface", "interfaceName"),
            (1, "in", 2, "out"),
            ("in", "out"),
        ),
        (
            ("egressInterface", "interfaceName", "ingressInterface", "interfaceName"),
            (1, "out", 2, "in"),
            ("in", "out"),
        ),
        (
            ("ingressInterface", "egressInterface", "interfaceName", "interfaceName"),
            (1, 2, "in", "out"),
            ("in", "out"),
        ),
        (("interfaceName", "interfaceName"), ("in", "out"), ("in", "out")),
        (("egressInterface", "interfaceName"), (1, "out"), (None, "out")),
        (("interfaceName", "egressInterface"), ("out", 1), (None, "out")),
        (("ingressInterface", "egressInterface", "interfaceName"), (1, 2, "out"), (None, "out")),
        (("interfaceName",), ("in",), ("in", None)),
        (("ingressInterface", "interfaceName"), (9, ""), ("of options", None)),
    ],
)
def test_names_in_the_record(
    fields: tuple[str, ...], row: tuple[Any, ...], names: tuple[Any, ...]
) -> None:
    view = stated((INTERFACE, (9, "of options", "")))
    template, record = layout_of(*fields)
    found = tuple(view.interface_name(template, record(*row), side) for side in SIDES)
    assert found == names


SIDES = ("ingress", "egress")


def test_vrf_names() -> None:
    view = stated((VRF, (1, "red")), (VRF, (2, "")))
    template, record = layout_of("ingressVRFID", "egressVRFID")
    assert view.vrf_name(template, record(1, 2)) == "red"
    assert view.vrf_name(template, record(1, 2), "egress") is None
    assert view.vrf_name(template, record(3, 1), "egress") == "red"
    template, record = layout_of("VRFname")
    assert view.vrf_name(template, record("\0")) is None
    assert view.vrf_name(template, record("blue")) == "blue"


def test_application_names() -> None:
    view = stated(
        (APPLICATION, (b"\x03\0\0\x35", "dns", "")), (APPLICATION, (b"\x03\x35", "x", ""))
    )
    template, record = layout_of("applicationId")
    assert view.application_name(template, record(b"\x03\0\0\x35")) == "dns"
    assert view.application_name(template, record(b"\x03\x35")) == "x"
    assert view.application_name(template, record(b"\x03\0\x35")) is None
    assert view.application_name(template, record("03000035")) == "dns"  # octets in JSON
    assert view.application_name(template, record(b"")) is None
    template, record = layout_of("applicationId", "applicationName")
    assert view.application_name(template, record(b"\x03\0\0\x35", "mine")) == "mine"
    assert view.application_name(template, record(b"\x03\0\0\x35", "")) == "dns"


def test_an_unknown_direction_is_an_error() -> None:
    template, record = layout_of("ingressInterface")
    with pytest.raises(ValueError, match="'ingress' or 'egress', not 'in'"):
        stated().interface_name(template, record(1), "in")
    with pytest.raises(ValueError, match="'ingress' or 'egress', not ''"):
        stated().vrf_name(template, record(1), "")


def test_elements_of_an_enterprise_do_not_count() -> None:
    fake = InformationElement("ingressInterface", 1, 99999, data_type("unsigned32"))
    template = Template(300, fake, "ingressInterface")
    view = stated((INTERFACE, (1, "Gi1", "")))
    assert template.names == ("ingressInterface", "ingressInterface_2")
    values = {"ingressInterface": 9, "ingressInterface_2": 1}
    assert view.interface_name(template, values) == "Gi1"


# Lookup by number


def test_by_number() -> None:
    view = stated(
        (INTERFACE, (1, "Gi1", "lake")),
        (VRF, (2, "red")),
        (APPLICATION, (b"\x03\0\0\x35", "dns", "names")),
        (SAMPLER, (4, 10)),
        (SYSTEM, (0, 20)),
    )
    assert view.interface(1) == Interface("Gi1", "lake")
    assert view.interface(2) is None
    assert view.vrf(2) == "red"
    assert view.application(0x03000035) == Application("dns", "names", None)
    assert view.application(b"\x03\0\0\x35") == view.application("03000035")
    assert view.application("?") is None
    assert view.sampling("samplerId", 4) == Sampling(10, None, None)
    assert view.sampling() == Sampling(20, None, None)
    assert view.domain_name is None
    assert view.counters == {}


# Many records


def test_resolve_one() -> None:
    view = stated((INTERFACE, (1, "Gi1", "")), (VRF, (2, "red")), (SYSTEM, (0, 20)))
    template, record = layout_of(
        "ingressInterface", "egressVRFID", "applicationId", "octetDeltaCount"
    )
    resolve = partial(resolve_one, view, template)
    expected = {
        "sampling_rate": 20,
        "ingress_interface_name": "Gi1",
        "egress_vrf_name": "red",
        "application_name": None,
    }
    for octets in range(10):
        assert resolve(record(1, 2, b"\1", octets)) == expected | {"octets": octets}
    unnamed = expected | {"ingress_interface_name": None, "octets": 1}
    assert resolve(record(2, 2, b"\1", 1)) == unnamed
    assert resolve_one(view, layout_of("octetDeltaCount")[0], {"octetDeltaCount": 1}) == {
        "sampling_rate": 20,
        "octets": 1,
    }
    assert resolve_one(view, SYSTEM, {"scopeSystem": 0, "samplingInterval": 20}) == {}


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the list of lookups of facts."""
    lookups: list[Any] = []
    find = Finder.__call__

    def counted(finder: Finder, kind: str, key: Any) -> Any:
        lookups.append((kind, key))
        return find(finder, kind, key)

    monkeypatch.setattr(Finder, "__call__", counted)
    return lookups


def test_a_fact_is_looked_up_once_for_many_records(found: list[Any]) -> None:
    sequence = options(1, "selectionSequenceId", *["selectorId"] * 64)
    view = stated(
        *((sequence, (number, *range(64))) for number in range(20)),
        *((SELECTOR, (number, 1, 0 if number else 9)) for number in range(64)),
    )
    fields = "selectionSequenceId", "ingressInterface", "egressInterface", "ingressVRFID"
    template, record = layout_of(*fields, "applicationId", "octetDeltaCount")
    resolve = partial(resolve_one, view, template)
    for number in range(20):
        for index in range(20):
            resolved = resolve(record(number, index, 19 - index, index, b"\3", number))
            assert resolved["sampling_rate"] == 10
    assert len(set(found)) == len(found)
    assert 20 + 64 < len(found) < 2 * (20 + 64 + 20 + 20 + 10)


def test_a_fact_is_looked_up_once_for_many_sets(found: list[Any]) -> None:
    view = stated((BY_INTERFACE, (5, 20)), (INTERFACE, (5, "Gi5", "")))
    template, record = layout_of("ingressInterface", "egressInterface")
    expected = resolve_one(view, template, record(5, 6))
    assert expected["ingress_interface_name"] == "Gi5"
    before = len(found)
    assert before
    for _ in range(10):
        again = ContextView(view.metadata, ("exporter", 10, 7), view.number)
        assert resolve_one(again, template, record(5, 6)) == expected
        assert again.sampling_rate(template, record(5, 6)) == 20
    assert len(found) == before


def test_other_facts_other_templates_other_domains() -> None:
    view = stated((INTERFACE, (1, "Gi1", "")))
    template, record = layout_of("ingressInterface")
    twin = template.with_id(301)
    first = ContextView(view.metadata, HERE, view.number)
    view.metadata.learn(HERE, INTERFACE, [dict(zip(INTERFACE.names, (1, "Gi1/1", "")))])
    view.metadata.learn(HERE, BY_TEMPLATE, [dict(zip(BY_TEMPLATE.names, (301, 9)))])
    later = ContextView(view.metadata, HERE, view.metadata.now)
    for _ in range(2):
        for each, layout, expected in (
            (first, template, ("Gi1", None)),
            (later, template, ("Gi1/1", None)),
            (later, twin, ("Gi1/1", 9)),
            (ContextView(view.metadata, ("exporter", 10, 8), later.number), twin, (None, None)),
        ):
            resolved = resolve_one(each, layout, record(1))
            assert (resolved["ingress_interface_name"], resolved["sampling_rate"]) == expected


def test_caches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scapy_ipfix.wire.resolver._KEYS", 10)
    monkeypatch.setattr("scapy_ipfix.wire.resolver._NUMBERS", 10)
    view = stated((INTERFACE, (99, "Gi99", "")))
    template, record = layout_of("ingressInterface")
    resolve = partial(resolve_one, view, template)
    for index in range(100):
        assert resolve(record(index))["ingress_interface_name"] == ("Gi99" if index == 99 else None)
    resolver = view.resolver(template)
    assert len(resolver._by_key) <= 10
    assert len(resolver.interfaces[0][0]) <= 10


def test_a_view_with_a_resolver_can_be_copied() -> None:
    view = stated((INTERFACE, (1, "Gi1", "")))
    template, record = layout_of("ingressInterface")
    expected = resolve_one(view, template, record(1))
    for twin in (pickle.loads(pickle.dumps(view)), copy.deepcopy(view)):
        assert twin.metadata is not view.metadata
        assert resolve_one(twin, template, record(1)) == expected
        twin.metadata.learn(HERE, INTERFACE, [dict(zip(INTERFACE.names, (1, "x", "")))])
        assert resolve_one(view, template, record(1)) == expected


def test_rates_of_a_sequence_beyond_all_floats() -> None:
    """The product of the rates of 64 selectors, one of them a float, is no float."""
    sequence = options(1, "selectionSequenceId", *["selectorId"] * 64)
    rates = [(SELECTOR, (number, 1, (1 << 32) - 1)) for number in range(63)]
    template, record = layout_of("selectionSequenceId")
    view = stated((sequence, (1, *range(64))), *rates, (SELECTOR, (63, 2, 3)))
    assert view.sampling_rate(template, record(1)) is None
    assert resolve_one(view, template, record(1)) == {"sampling_rate": None}
    view = stated((sequence, (1, *range(64))), *rates, (SELECTOR, (63, 1, 3)))
    assert view.sampling_rate(template, record(1)) is None


def test_resolve_one_equals_the_methods() -> None:
    view = stated((SAMPLER, (1, 10)), (BY_INTERFACE, (5, 20)), (INTERFACE, (5, "Gi5", "")))
    fields = ("samplerId", "ingressInterface", "egressInterface", "flowDirection")
    template, record = layout_of(*fields, "samplingInterval")
    resolve = partial(resolve_one, view, template)
    for sampler in (0, 1):
        for ingress in (5, 6):
            for direction in (0, 1):
                for own in (0, 3):
                    values = record(sampler, ingress, 5, direction, own)
                    assert resolve(values) == {
                        "sampling_rate": view.sampling_rate(template, values),
                        "ingress_interface_name": view.interface_name(template, values),
                        "egress_interface_name": view.interface_name(template, values, "egress"),
                    }


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20),
    st.lists(st.tuples(*[st.one_of(st.integers(0, 9), st.sampled_from([None, b"??"]))] * 4)),
    st.sampled_from(
        [
            ("ingressInterface", "egressInterface", "octetDeltaCount", "egressVRFID"),
            ("ingressInterface", "egressInterface", "flowDirection", "samplingInterval"),
            ("ingressInterface", "ingressPhysicalInterface", "egressInterface", "samplerId"),
            ("egressInterface", "applicationId", "ingressVRFID", "egressVRFID"),
            ("interfaceName[v]", "egressInterface", "applicationName[v]", "applicationId"),
        ]
    ),
    st.sets(st.sampled_from([BY_INTERFACE, SAMPLER, VRF, SYSTEM, WATCHED, APPLICATION])),
)
def test_resolve_many_equals_resolve_one(
    facts: list[tuple[int, int]],
    rows: list[tuple[Any, Any, Any, Any]],
    fields: tuple[str, ...],
    stating: set[Template],
) -> None:
    domains = (HERE, (*HERE[:2], 0))
    metadata = Metadata()
    views = []
    for at, (number, mark) in enumerate(facts):
        for each in (INTERFACE, *stating):
            texts = any(name.endswith(("Name", "name")) for name in each.names)
            key: Any = number.to_bytes(4, "big") if each is APPLICATION else number
            row = dict(zip(each.names, (key, (f"Gi{mark}" if mark else "") if texts else mark, "")))
            metadata.learn(domains[at % 2], each, [row])
        views.append(ContextView(metadata, HERE, metadata.now))
    layout, record = layout_of(*fields)
    for view in views:
        records = [record(*row) for row in rows]
        metadata.last_resolver = None
        expected = [each | resolve_one(view, layout, each) for each in records]
        metadata.last_resolver = None
        many = [dict(each) for each in records * (1 + _MANY // max(1, len(records)))]
        resolve_many(view, layout, many)
        assert many[: len(records)] == expected
        assert many == expected * (len(many) // max(1, len(expected)))
        then = [resolved_by_methods(view, layout, each) for each in records]
        metadata.last_resolver = None
        assert then == [resolved_by_methods(view, layout, each) for each in records]


def resolved_by_methods(view: ContextView, layout: Template, values: dict[str, Any]) -> list[Any]:
    """Return the values of a record by each of the methods."""
    by_side = view.interface_name, view.interface_description, view.vrf_name
    return [
        view.sampling_rate(layout, values),
        view.application_name(layout, values),
        *(method(layout, values, side) for method in by_side for side in ("ingress", "egress")),
    ]


def test_keys_hold_the_beginning_of_long_values() -> None:
    """A record may hold names of 65,000 octets, of which 255 characters are significant."""
    view = stated((INTERFACE, (99, "Gi99", "")))
    template, record = layout_of("interfaceName", "ingressInterface[v]", "applicationId[v]")
    resolve = partial(resolve_one, view, template)
    long = "\U0001f300" * 60_000
    for name, index, application in ((long, 99, b"\1"), ("a", b"\7" * 60_000, b"\2" * 60_000)):
        resolved = resolve(record(name, index, application))
        assert resolved["ingress_interface_name"] == name[:255]
        assert resolved["application_name"] is None
    held = [each for key in view.resolver(template)._by_key for each in key if each is not None]
    assert max(len(each) for each in held if not isinstance(each, int)) <= 1020

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the names that templates get from elements described later (RFC 5610)."""

import gc
import struct
from collections.abc import Callable

import pytest

from scapy_ipfix import IPFIX, IPFIXSession, iter_records
from scapy_ipfix.collector.budget import DESCRIPTIONS, NAMED_FIELDS
from scapy_ipfix.collector.collector import Collector
from scapy_ipfix.collector.domain import Domain
from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template
from tests.builders import raw_message, raw_options, raw_set, raw_template

_PEN = 99999
_UDP = TransportKey("udp", "192.0.2.1", 4739, "192.0.2.2", 4739)


def template(template_id: int, *elements: int) -> bytes:
    """Return a Template Set of one template with unknown elements of one octet."""
    return raw_set(2, raw_template(template_id, *((each, 1) for each in elements), pen=_PEN))


def description(id: int, name: str) -> bytes:
    """Return a Set of type information after a Set with its template."""
    kinds = raw_options(256, 2, (346, 4), (303, 2), (339, 1), (341, 0xFFFF))
    row = struct.pack("!IHBB", _PEN, id, 1, len(name)) + name.encode()
    return raw_set(3, kinds) + raw_set(256, row)


#: A subTemplateList of template 300, with one record of an octet 7.
_LIST = raw_set(2, struct.pack("!HHHH", 301, 1, 292, 0xFFFF)) + raw_set(301, b"\4\3\x01\x2c\7")


#: A template of a subTemplateList.
_LISTS_OF_ANY = raw_set(2, struct.pack("!HHHH", 290, 1, 292, 0xFFFF))


@pytest.fixture
def collector() -> Collector:
    return Collector()


def domains(collector: Collector) -> list[Domain]:
    return list(collector.domains)


def names(collector: Collector, *sets: bytes, domain: int = 1) -> list[list[str]]:
    """Return the field names of all records of a message, without type information."""
    read = collector.read(_UDP, raw_message(*sets, domain=domain))
    assert read is not None
    return [list(record) for each in read.ready if each.set_id != 256 for record in each.records()]


def test_a_name_in_the_same_message(collector: Collector) -> None:
    sets = template(300, 1), raw_set(300, b"\7"), description(1, "mine"), raw_set(300, b"\7")
    assert names(collector, *sets) == [["_ipfix_99999_1"], ["mine"]]


def test_names_one_by_one(collector: Collector) -> None:
    names(collector, template(300, 1, 2, 1))
    for id, name, found in (
        (2, "two", ["_ipfix_99999_1", "two", "_ipfix_99999_1_2"]),
        (1, "one", ["one", "two", "one_2"]),
    ):
        assert names(collector, description(id, name), raw_set(300, b"\1\2\3")) == [found]


def test_all_domains_of_the_transport_session_get_the_name(collector: Collector) -> None:
    other = _UDP._replace(source_port=4740)
    for domain in (1, 2):
        collector.read(_UDP, raw_message(template(300, 1), domain=domain))
    collector.read(other, raw_message(template(300, 1)))
    collector.read(_UDP, raw_message(description(1, "mine")))
    named = sorted(
        (str(each.transport), each.id, *each.templates[300].names) for each in domains(collector)
    )
    assert named == [
        ("192.0.2.1:4739", 1, "mine"),
        ("192.0.2.1:4739", 2, "mine"),
        ("192.0.2.1:4740", 1, "_ipfix_99999_1"),
    ]


def test_a_set_without_a_record_does_not_rename(collector: Collector) -> None:
    names(collector, template(300, 1, 2), description(1, "one"))
    (domain,) = domains(collector)
    assert names(collector, raw_set(300, b"\0")) == []
    assert 300 not in domain.templates.named
    assert domain.templates.states[300].template.names == ("_ipfix_99999_1", "_ipfix_99999_2")
    assert domain.stats.undecoded_sets == 0
    assert "missing-template" not in collector.diagnostics.counts
    names(collector, raw_set(300, b"\0\0"))
    assert domain.templates.states[300].template.names == ("one", "_ipfix_99999_2")


@pytest.mark.parametrize(
    "look",
    [
        lambda session: str(session.templates),
        lambda session: str([each.templates for each in session.collector.domains]),
    ],
)
def test_tables_of_templates_have_the_name(look: Callable[[IPFIXSession], str]) -> None:
    session = IPFIXSession()
    session.collector.read(_UDP, raw_message(template(300, 1), description(1, "mine")))
    assert "mine" in look(session)


def test_a_refresh_after_a_description(collector: Collector) -> None:
    names(collector, template(300, 1, 2), description(1, "mine"), template(300, 1, 2))
    (domain,) = domains(collector)
    assert domain.templates.states[300].refreshes == 1
    assert not collector.diagnostics.counts


def test_a_template_is_redefined_before_it_is_renamed(collector: Collector) -> None:
    names(collector, template(300, 1, 2), description(1, "one"), template(300, 2))
    assert collector.diagnostics.counts == {"template-redefined": 1}
    assert names(collector, description(2, "two"), raw_set(300, b"\2")) == [["two"]]


def test_a_template_is_removed_before_it_is_renamed(collector: Collector) -> None:
    names(collector, template(300, 1), description(1, "one"))
    (domain,) = domains(collector)
    domain.templates.remove(300)
    assert list(domain.templates) == [256]
    assert domain.templates.get(300) is None
    assert [list(kind) for kind in domain.templates.ids] == [[], [256]]
    assert 300 not in domain.templates.named
    assert names(collector, raw_set(300, b"\1")) == []


def test_templates_of_lists(collector: Collector) -> None:
    """Lists that arrived before the description have placeholders, whenever they are read."""
    early = collector.read(_UDP, raw_message(template(300, 1), _LIST))
    late = collector.read(_UDP, raw_message(description(1, "mine"), _LIST))
    assert early is not None
    assert late is not None
    for _ in range(2):
        (record,) = late.ready[-1].records()
        assert record == {"subTemplateList": [{"mine": 7}]}
        (record,) = early.ready[-1].records()
        assert record == {"subTemplateList": [{"_ipfix_99999_1": b"\7"}]}


@pytest.mark.parametrize("before", [True, False])
def test_lists_between_two_descriptions(before: bool) -> None:
    """They have the names of that time, however late they are read."""
    lists = raw_set(2, struct.pack("!HHHH", 301, 1, 292, 0xFFFF))
    lists += raw_set(301, b"\5\3\x01\x2c\7\7")
    messages = [
        raw_message(template(300, 1, 2), *[lists] * before),
        raw_message(description(1, "one")),
        raw_message(lists),
        raw_message(description(2, "two")),
        raw_message(lists, description(3, "three"), lists),
    ]
    fast = [list(each["subTemplateList"][0]) for each in iter_records(messages) if len(each) == 1]
    assert fast == [
        *[["_ipfix_99999_1", "_ipfix_99999_2"]] * before,
        ["one", "_ipfix_99999_2"],
        ["one", "two"],
        ["one", "two"],
    ]
    collector = Collector()
    reads = [collector.read(_UDP, each) for each in messages]
    for _ in range(2):
        late = [
            list(record["subTemplateList"][0])
            for read in reversed(reads)
            if read is not None
            for each in read.ready
            if each.set_id == 301
            for record in each.records()
        ]
        assert late == [*fast[-2:], *fast[-3::-1]]


def test_basic_lists_between_two_descriptions() -> None:
    """Their types are those of that time, in packets too; no template has the elements."""
    kinds = raw_set(3, raw_options(256, 2, (346, 4), (303, 2), (339, 1)))
    values = b"".join(
        bytes((12,)) + struct.pack("!BHHI", 3, 0x8000 | id, 1, _PEN) + b"\6\7\x08"
        for id in (1, 2, 1 | 0x4000)
    )
    layout = raw_set(2, struct.pack("!HHHH", 301, 3, *(291, 0xFFFF)) + b"\1\x23\xff\xff" * 2)
    lists = raw_set(301, values)
    first, second = (raw_set(256, struct.pack("!IHB", _PEN, id, 1)) for id in (1, 2))
    messages = [raw_message(each) for each in (kinds + layout + lists, first, lists, second, lists)]
    octets, numbers = [b"\6", b"\7", b"\x08"], [6, 7, 8]
    expected = [[octets, octets, octets], [numbers, octets, octets], [numbers, numbers, octets]]
    fast = [list(each.values()) for each in iter_records(messages) if len(each) == 3]
    assert [row for row in fast if isinstance(row[0], list)] == expected
    session = IPFIXSession()
    packets = [session.process(IPFIX(each)) for each in messages]
    collector = Collector()
    reads = [collector.read(_UDP, each) for each in messages]
    late = [
        [record for each in read.ready if each.set_id == 301 for record in each.records()]
        for read in reversed(reads)
        if read is not None
    ]
    assert [list(record.values()) for records in late for record in records] == expected[::-1]
    shown = [
        [each.values for each in record.fields.values()]
        for packet in reversed(packets)
        if packet is not None
        for record in packet.records
        if "basicList" in record.fields
    ]
    assert shown == expected[::-1]


_TCP = _UDP._replace(protocol="tcp")


def test_a_template_that_is_withdrawn_before_it_is_renamed() -> None:
    """Earlier lists have the names that were known when they arrived."""
    collector = Collector()
    collector.read(_TCP, raw_message(template(300, 1), _LIST))
    collector.read(_TCP, raw_message(description(1, "mine")))
    read = collector.read(_TCP, raw_message(_LIST))
    assert read is not None
    collector.read(_TCP, raw_message(raw_set(2, struct.pack("!HH", 300, 0))))
    assert read.ready[-1].records() == [{"subTemplateList": [{"mine": 7}]}]


def test_the_reverse_of_an_element_gets_a_name_with_it() -> None:
    """CERT sets a bit in the element number, IANA has an enterprise number (RFC 5103)."""
    for pen, reverse in ((6871, (6871, 9001 | 0x4000)), (0, (29305, 9001))):
        collector = Collector()
        kinds = raw_set(3, raw_options(256, 2, (346, 4), (303, 2), (339, 1), (341, 0xFFFF)))
        layout = raw_set(2, raw_template(300, (reverse[1], 1), pen=reverse[0]))
        collector.read(_TCP, raw_message(kinds, layout))
        collector.read(
            _TCP, raw_message(raw_set(256, struct.pack("!IHBB", pen, 9001, 1, 3) + b"fwd"))
        )
        read = collector.read(_TCP, raw_message(layout, raw_set(300, b"\7")))
        assert read is not None
        assert read.ready[-1].records() == [{"reverseFwd": 7}]
        assert "template-redefined-reliable" not in collector.diagnostics.counts


def test_a_template_after_one_that_a_description_waited_for() -> None:
    """The description is read between the two templates, though they are in one Set."""
    collector = Collector()
    kinds = raw_options(256, 2, (346, 4), (303, 2), (339, 1), (341, 0xFFFF))
    other = struct.pack("!HHHHHHHI", 305, 2, 1, 149, 4, 0x8001, 1, _PEN)
    taught = raw_set(256, struct.pack("!IHBB", _PEN, 1, 1, 4) + b"mine")
    for sets in ((taught, raw_set(3, kinds + other)), (raw_set(3, kinds + other),)):
        read = collector.read(_TCP, raw_message(*sets, raw_set(305, b"\0\0\0\1\7")))
        assert read is not None
        assert read.ready[-1].records() == [{"observationDomainId": 1, "mine": 7}]
    assert "template-redefined-reliable" not in collector.diagnostics.counts


def test_list_contexts_are_dropped_with_their_records() -> None:
    """A context has codecs, and the elements of an exporter that may have been dropped."""

    def contexts() -> int:
        gc.collect()
        return sum(type(each) is ListContext for each in gc.get_objects())

    before = contexts()
    collector = Collector(check_values=True)
    read = collector.read(_UDP, raw_message(template(300, 1), _LIST))
    assert read is not None
    assert read.ready[-1].records()
    assert contexts() > before
    del read
    assert contexts() == before


def test_checked_lists() -> None:
    """Lists are decoded with their message, after each description in it."""
    collector = Collector(check_values=True)
    sets = template(300, 1, 2), description(1, "one"), _LIST, description(2, "two"), _LIST
    assert names(collector, *sets)
    (domain,) = domains(collector)
    assert domain.templates[300].names == ("one", "two")


def test_dropped_domains_drop_their_templates() -> None:
    session = IPFIXSession()
    for domain in range(1, 5000):
        session.collector.read(_UDP, raw_message(template(300, 1), domain=domain))
    kept = domains(session.collector)
    assert len(kept) == session.collector.limits.domains
    assert sum(
        len(each.templates.states) + len(each.templates.ids[False]) for each in kept
    ) == 2 * len(kept)
    session.collector.read(_UDP, raw_message(description(1, "mine"), domain=4999))
    assert all(each.templates[300].names == ("mine",) for each in domains(session.collector))


def test_named_fields_of_a_message(collector: Collector) -> None:
    """With descriptions between Sets, a wide template is renamed for each up to the limit."""
    fields = 1000
    wide = template(300, *range(1, fields + 1))
    record = raw_set(300, bytes(fields))
    turns = NAMED_FIELDS.most // fields + 10
    descriptions = [description(1 + each, f"n{each}") for each in range(turns)]
    collector.read(_UDP, raw_message(wide))
    found = names(collector, *(each + record for each in descriptions))
    known = [sum(not name.startswith("_") for name in each) for each in found]
    named = -(-NAMED_FIELDS.most // fields)
    assert known == [*range(1, named + 1), *[named] * (turns - named)]
    assert sum(not each.startswith("_") for each in names(collector, record)[0]) == turns
    texts = [each.text for each in collector.diagnostics if each.code == "names-many"]
    assert texts == ["a message names more than 8192 template fields; the rest are named later"]


def test_lists_use_the_limit_of_their_message(collector: Collector) -> None:
    """Each message has a limit of its own, whenever its lists are read."""
    layouts = [template(300 + each, *range(1, 1001)) for each in range(40)]
    for each in layouts:
        collector.read(_UDP, raw_message(each))
    collector.read(_UDP, raw_message(description(1, "one"), _LISTS_OF_ANY))
    rows = b"".join(
        b"\xff" + struct.pack("!HBH", 1003, 3, 300 + each) + bytes(1000) for each in range(40)
    )
    first = []
    for _ in range(6):
        read = collector.read(_UDP, raw_message(raw_set(290, rows)))
        assert read is not None
        records = read.ready[0].records()
        first.append([next(iter(record["subTemplateList"][0])) for record in records])
    most = -(-NAMED_FIELDS.most // 1000)
    named = [min(40, (1 + each) * most) for each in range(6)]
    assert [each.count("one") for each in first] == named
    assert [each.count("_ipfix_99999_1") for each in first] == [40 - each for each in named]
    assert 0 < named[0] < named[-1] == 40


def test_each_message_has_a_limit_of_its_own() -> None:
    """A later description does not change the names of earlier lists, in any number."""
    wide = [template(300 + each, *range(1, 301)) for each in range(2)]
    rows = b"".join(
        b"\xff" + struct.pack("!HBH", 303, 3, 300 + each) + bytes(300) for each in range(2)
    )
    collector = Collector()
    collector.read(_UDP, raw_message(*wide, description(1, "one"), _LISTS_OF_ANY))
    reads = [collector.read(_UDP, raw_message(raw_set(290, rows))) for _ in range(60)]
    collector.read(_UDP, raw_message(description(2, "two")))
    assert len(reads) * 600 > 2 * NAMED_FIELDS.most
    for read in reads:
        assert read is not None
        for record in read.ready[0].records():
            (inner,) = record["subTemplateList"]
            assert list(inner)[:3] == ["one", "_ipfix_99999_2", "_ipfix_99999_3"]


def test_wide_templates_are_not_renamed_for_lists_without_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collector = Collector(check_values=True)
    for each in range(20):
        collector.read(_UDP, raw_message(template(300 + each, *range(1, 1001))))
    collector.read(_UDP, raw_message(description(1, "one"), _LISTS_OF_ANY))
    (domain,) = domains(collector)
    named: list[Template] = []
    monkeypatch.setattr(
        "scapy_ipfix.collector.templatestore.with_learned_names",
        lambda each, *then: named.append(each) or each,
    )
    rows = b"".join(b"\7\3" + struct.pack("!H", 300 + each) + bytes(4) for each in range(20))
    read = collector.read(_UDP, raw_message(raw_set(290, rows)))
    assert read is not None
    lists = [record["subTemplateList"] for record in read.ready[0].records()]
    assert lists == [rows[at + 1 : at + 8] for at in range(0, len(rows), 8)]
    assert named == []
    assert not any(
        "codec" in vars(domain.templates.states[300 + each].template) for each in range(20)
    )


def test_iter_records() -> None:
    stream = (
        raw_message(template(300, 1)),
        raw_message(description(1, "mine")),
        raw_message(raw_set(300, b"\7")),
    )
    assert list(iter_records(stream))[-1] == {"mine": 7}


def test_descriptions_of_a_message(collector: Collector) -> None:
    """The first 1,024 are learned, the others when they are described again."""
    rows = b"".join(
        struct.pack("!IHB", _PEN, 1 + each, 1) + b"\0" for each in range(DESCRIPTIONS.most + 1)
    )
    last = struct.pack("!IHB", _PEN, 1 + DESCRIPTIONS.most, 1) + b"\4last"
    kinds = description(30_000, "first")
    collector.read(_UDP, raw_message(kinds, raw_set(256, rows), raw_set(256, last)))
    assert [each.text for each in collector.diagnostics if each.code == "elements-many"] == [
        "a message describes more than 1024 elements; the rest are not learned"
    ]
    assert len(dict(collector.learned_types.learned())[_UDP]) == DESCRIPTIONS.most
    collector.read(_UDP, raw_message(raw_set(256, last)))
    assert dict(collector.learned_types.learned())[_UDP][-1].name == "last"

# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists in records (RFC 6313) as packets, octets and values; generated ones and single cases."""

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.packet import Packet, Raw

from scapy_ipfix import (
    IPFIX,
    BasicList,
    DataSet,
    IPFIXSession,
    Record,
    SubTemplateBlock,
    SubTemplateList,
    SubTemplateMultiList,
    Template,
    TemplateSet,
    dissect,
    iter_records,
)
from scapy_ipfix.testing.torturecases.case import (
    basic_list,
    sub_template_list,
    sub_template_multi_list,
)
from scapy_ipfix.wire.field import prefixed
from scapy_ipfix.wire.structured import SEMANTICS, ListContext, encode_list
from tests.strategies import broken
from tests.wire.test_structured import Made, lists, nest

FLOW = Template(257, "octetDeltaCount[4]", "interfaceName")
ROW = (1500, "eth0")
READ = {"octetDeltaCount": 1500, "interfaceName": "eth0"}
KINDS = (BasicList, SubTemplateList, SubTemplateMultiList)


def announced(*templates: Template, **fields: Any) -> IPFIX:
    return IPFIX(exportTime=1, sets=[TemplateSet(templates=list(templates))], **fields)


def message(holder: Template, *rows: Any, also: tuple[Template, ...] = ()) -> bytes:
    """Return a message with templates and with records that have lists."""
    return bytes(announced(*also, holder) / DataSet(template=holder, records=list(rows)))


def look(packet: Packet) -> str:
    """Access every part of a packet."""
    text: str = packet.show(dump=True)
    packet.summary()
    repr(packet)
    return text


def the_list(packet: IPFIX) -> Any:
    """Return the first field of the first record."""
    record = packet.records[0]
    return record[record.template.names[0]]


# -- generated lists


def held(made: Made, *, options: bool = False) -> Template:
    fields = ["octetDeltaCount[1]", made.kind, "interfaceName"]
    return Template(5000, *fields, scope=1 if options else 0)


@given(lists(), st.booleans())
def test_dissected_lists_equal_crafted_ones(made, options):
    holder = held(made, options=options)
    row = {"octetDeltaCount": 7, made.kind: made.given, "interfaceName": "x"}
    octets = message(holder, row, tuple(row.values()), also=tuple(made.templates.values()))
    expected = [{**row, made.kind: made.read}] * 2
    assert list(iter_records([octets])) == expected
    (packet,) = dissect([IPFIX(octets)])
    assert bytes(packet) == octets
    assert [record.values() for record in packet.records] == expected
    assert look(packet)
    assert bytes(packet) == octets
    assert packet.defects == packet.records[0].parent.defects == []
    copy = packet.copy()
    assert bytes(copy) == octets
    assert look(copy)
    assert bytes(copy) == octets
    assert [record.values() for record in copy.records] == expected
    record = Record(holder, **{each: row[each] for each in holder.names})
    assert record.values() == expected[0]
    assert bytes(record) == holder.encode(row)
    assert bytes(eval(record.command())) == bytes(record)
    assert bytes(pickle.loads(pickle.dumps(record))) == bytes(record)


@given(lists())
def test_every_part_builds_from_its_fields(made):
    """Build without cached octets."""
    octets = message(held(made), (1, made.given, ""), also=tuple(made.templates.values()))
    (packet,) = dissect([IPFIX(octets)])
    look(packet)

    def forget(part: Packet) -> None:
        if isinstance(part, (*KINDS, SubTemplateBlock, Record, DataSet, IPFIX)):
            part.raw_packet_cache = None
            for value in part.fields.values():
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, Packet):
                        forget(each)

    forget(packet)
    assert bytes(packet) == octets


@given(st.data())
def test_broken_lists_keep_their_octets(data):
    made = data.draw(lists())
    inner = data.draw(broken(encode_list(made.kind, made.given)))[:60_000]
    holder = Template(5000, made.kind, "octetDeltaCount[1]")
    body = prefixed(inner) + b"\x05"
    octets = bytes(announced(*made.templates.values(), holder))
    octets += b"\x13\x88" + (len(body) + 4).to_bytes(2, "big") + body
    octets = octets[:2] + len(octets).to_bytes(2, "big") + octets[4:]
    session = IPFIXSession(check_values=True)
    packet = session.process(IPFIX(octets))
    assert bytes(packet) == octets
    assert look(packet)
    assert bytes(packet) == octets
    assert bytes(packet.copy()) == octets
    assert look(packet.copy())
    (record,) = packet.records
    (read,) = iter_records([octets])
    assert repr(record.values()) == repr(read)  # NaN equals nothing, not even itself
    assert record.values("json") == next(iter_records([octets], values="json"))
    assert record.octetDeltaCount == 5


@given(st.sampled_from(KINDS), st.binary(min_size=1, max_size=80))
def test_any_octets_are_a_list_packet(cls, octets):
    packet = cls(octets, context=ListContext({0: FLOW, 256: FLOW, 1: FLOW}.get))
    assert bytes(packet) == octets
    assert look(packet)
    assert bytes(packet) == octets
    assert bytes(packet.copy()) == octets
    assert bytes(pickle.loads(pickle.dumps(packet))) == octets
    assert [each.text for each in packet.defects] == [each.text for each in packet.copy().defects]


# -- basicList


def test_a_basic_list():
    packet = BasicList(element="octetDeltaCount[4]", values=[1, 2], semantic="allOf")
    assert bytes(packet) == basic_list(1, 4, b"\0\0\0\1", b"\0\0\0\2", semantic=3)
    again = BasicList(bytes(packet))
    assert (again.values, again.semantic, again.fieldLength) == ([1, 2], 3, 4)
    text = again.show(dump=True)
    for shown in ("semantic  = allOf", "1 (octetDeltaCount)", "values    = [1, 2]"):
        assert shown in text
    assert again.summary() == "basicList of octetDeltaCount"
    assert bytes(eval(packet.command())) == bytes(packet)


@pytest.mark.parametrize(("number", "name"), SEMANTICS.items())
def test_lists_show_their_semantic(number, name):
    octets = message(
        Template(300, "basicList"), [{"element": "octetDeltaCount", "values": [], "semantic": name}]
    )
    (packet,) = dissect([IPFIX(octets)])
    assert the_list(packet).semantic == number
    assert f"= {name}\n" in packet.show(dump=True)


def test_values_in_a_list_are_shown_as_in_a_record():
    packet = BasicList(basic_list(4, 1, b"\x06", b"\x11", b"\xfd"))
    assert "[tcp, udp, exp253]" in packet.show(dump=True)
    hostile = BasicList(basic_list(82, 65535, b"\x05\x1b[2J\n"))
    assert "\x1b" not in hostile.show(dump=True)


def test_changing_values():
    octets = basic_list(1, 2, b"\0\1", b"\0\2", semantic=4)
    packet = BasicList(octets)
    packet.values.append(3)
    assert bytes(packet) == octets + b"\0\3"
    packet.values[0] = 9
    packet.semantic = "noneOf"
    assert bytes(packet) == basic_list(1, 2, b"\0\x09", b"\0\2", b"\0\3", semantic=0)
    packet.values = [70_000]
    with pytest.raises(ValueError, match="70000"):
        bytes(packet)
    enterprise = BasicList(b"\x03\x80\x01\x00\x01\0\0\0\0\x05")
    enterprise.values = [6]
    assert bytes(enterprise) == b"\x03\x80\x01\x00\x01\0\0\0\0\x06"


def test_a_wrong_semantic():
    with pytest.raises(ValueError, match="'all': give one of noneOf"):
        BasicList(element="octetDeltaCount", values=[], semantic="all")


def test_a_change_within_a_record_changes_the_message():
    holder = Template(300, "basicList", "octetDeltaCount[1]")
    (packet,) = dissect([IPFIX(message(holder, (("octetDeltaCount[1]", [1, 2]), 7)))])
    packet.records[0].basicList.values[1] = 9
    packet.length = packet.sets[1].length = None
    assert bytes(packet) == message(holder, (("octetDeltaCount[1]", [1, 9]), 7))
    packet.records[0].basicList.values.append(10)
    assert bytes(packet) == message(holder, (("octetDeltaCount[1]", [1, 9, 10]), 7))
    packet.records[0].basicList = ("interfaceName", ["new"])
    assert bytes(packet) == message(holder, (("interfaceName", ["new"]), 7))


def test_lists_of_lists_as_packets():
    inner = [BasicList(element="octetDeltaCount[1]", values=[n]) for n in (1, 2)]
    packet = BasicList(element="basicList", lists=inner)
    assert bytes(packet) == encode_list("basicList", ("basicList", list(map(bytes, inner))))
    again = BasicList(bytes(packet))
    assert [each.values for each in again.lists] == [[1], [2]]
    again.lists[1].values[0] = 5
    assert BasicList(bytes(again)).lists[1].values == [5]
    again.lists.append(BasicList(element="octetDeltaCount[1]", values=[]))
    assert len(BasicList(bytes(again)).lists) == 3
    holder = Template(300, "basicList")
    assert Record(holder, basicList=packet).values() == {"basicList": [[1], [2]]}
    assert Record(holder, basicList=bytes(packet)).values() == {"basicList": [[1], [2]]}


@pytest.mark.parametrize("kind", [291, 292, 293])
def test_empty_octets_in_a_list_of_lists(kind):
    octets = basic_list(kind, 65535, b"\0", b"\x02\x03\0", b"\0")
    packet = BasicList(octets)
    assert len(packet.lists) == 3
    assert bytes(packet) == octets
    assert look(packet)
    assert bytes(packet.copy()) == octets


def test_lengths_of_the_wire_are_kept_until_changed():
    """Keep a length below 255 that takes three octets (RFC 7011 7)."""
    octets = basic_list(82, 65535, b"\xff\x00\x04eth0", b"\x01x")
    packet = BasicList(octets)
    assert packet.values == ["eth0", "x"]
    assert bytes(packet) == bytes(packet.copy()) == octets
    holder = Template(300, "basicList")
    body = b"\xff" + len(octets).to_bytes(2, "big") + octets
    record = Record(holder, body)
    assert look(record)
    assert bytes(record) == bytes(record.copy()) == body
    record.basicList.values[1] = "y"
    assert bytes(record) == prefixed(basic_list(82, 65535, b"\x04eth0", b"\x01y"))


def test_nan_values():
    octets = basic_list(311, 4, b"\x7f\xc0\x00\x01", b"\xff\xc0\x00\x00")
    packet = BasicList(octets)
    assert packet.values[0] != packet.values[0]
    assert bytes(packet) == bytes(packet.copy()) == octets


# -- lists of records


def test_a_sub_template_list():
    packet = SubTemplateList(
        template=FLOW, records=[ROW, {"octetDeltaCount": 2, "interfaceName": ""}], semantic=4
    )
    octets = sub_template_list(257, b"\0\0\x05\xdc\x04eth0", b"\0\0\0\2\0", semantic=4)
    assert bytes(packet) == octets
    assert bytes(eval(packet.command())) == octets
    assert packet.summary() == "subTemplateList of template 257"
    again = SubTemplateList(octets, context=ListContext({257: FLOW}.get, depth=1))
    assert again.records[0].values() == READ
    again.records[1].octetDeltaCount = 3
    assert bytes(again) == octets[:-2] + b"\3\0"
    again.records.append(ROW)
    assert bytes(again) == octets[:-2] + b"\3\0" + b"\0\0\x05\xdc\x04eth0"
    del again.records[:]
    assert bytes(again) == octets[:3]
    assert bytes(SubTemplateList(template=FLOW, templateId=999)) == b"\xff\x03\xe7"


def test_a_sub_template_multi_list():
    other = Template(258, "octetDeltaCount[1]")
    blocks = [
        SubTemplateBlock(template=FLOW, records=[ROW]),
        SubTemplateBlock(template=other, records=[(1,), (2,)]),
    ]
    packet = SubTemplateMultiList(blocks=blocks, semantic="exactlyOneOf")
    octets = sub_template_multi_list((257, b"\0\0\x05\xdc\x04eth0"), (258, b"\1\2"), semantic=1)
    assert bytes(packet) == octets
    assert bytes(eval(packet.command())) == octets
    context = ListContext({257: FLOW, 258: other}.get, depth=1)
    again = SubTemplateMultiList(octets, context=context)
    assert [each.templateId for each in again.blocks] == [257, 258]
    assert [each.length for each in again.blocks] == [13, 6]
    assert again.blocks[1].records[1].octetDeltaCount == 2
    again.blocks[1].records[1].octetDeltaCount = 9
    assert bytes(again) == octets[:-1] + b"\x09"
    assert again.show(dump=True).count("subTemplateMultiList block") == 2
    lie = SubTemplateBlock(template=other, templateId=7, length=99, records=[(1,)])
    assert bytes(lie) == b"\0\x07\0\x63\x01"


def test_records_of_lists_are_reached_from_the_message():
    holder = Template(300, "subTemplateList")
    (packet,) = dissect([IPFIX(message(holder, [(FLOW, [ROW, ROW])], also=(FLOW,)))])
    inner = packet[SubTemplateList].records
    assert [record.values() for record in inner] == [READ] * 2
    assert inner[0].parent is packet[SubTemplateList]
    assert packet[SubTemplateList].parent is packet.records[0]
    assert inner[0]["octetDeltaCount"] == 1500


# -- templates that arrive late or change


@pytest.mark.parametrize("look_first", [False, True])
@pytest.mark.parametrize("kind", ["subTemplateList", "subTemplateMultiList", "basicList"])
def test_a_list_whose_template_arrives_later(kind, look_first):
    holder = Template(300, kind)
    given_: Any = {
        "subTemplateList": (FLOW, [ROW]),
        "subTemplateMultiList": [(FLOW, [ROW])],
        "basicList": ("subTemplateList", [(FLOW, [ROW])]),
    }[kind]
    octets = message(holder, [given_])
    session = IPFIXSession()
    packet = session.process(IPFIX(octets))
    unread = encode_list(kind, given_)
    if look_first:
        assert look(packet)
        assert packet.records[0].values() == (
            {kind: [unread[6:]]} if kind == "basicList" else {kind: unread}
        )
        assert bytes(packet) == octets
    session.process(announced(FLOW))
    expected: list[Any] = [[READ]] if kind == "basicList" else [READ]
    assert packet.records[0].values() == {kind: expected}
    assert "octetDeltaCount= 1500" in packet.show(dump=True)
    assert bytes(packet) == octets
    assert bytes(packet.copy()) == octets


def test_a_list_keeps_the_template_in_force_when_it_arrived():
    holder = Template(300, "subTemplateList")
    session = IPFIXSession()
    first = session.process(IPFIX(message(holder, [(FLOW, [ROW])], also=(FLOW,))))
    other = Template(257, "octetDeltaCount[1]", "octetDeltaCount[2]")
    session.process(announced(other))
    second = session.process(IPFIX(message(holder, [(other, [(1, 2)])])))
    session.process(announced(FLOW.with_id(258)))
    assert first.records[0].values() == {"subTemplateList": [READ]}
    names = {"octetDeltaCount": 1, "octetDeltaCount_2": 2}
    assert second.records[0].values() == {"subTemplateList": [names]}


def test_templates_of_another_domain_are_not_used():
    holder = Template(300, "subTemplateList")
    session = IPFIXSession()
    session.process(announced(FLOW, observationDomainId=1))
    packet = session.process(IPFIX(message(holder, [(FLOW, [ROW])])))
    assert isinstance(packet.records[0].values()["subTemplateList"], bytes)


def test_lists_in_options_records():
    holder = Template(300, "selectorId", "basicList", "subTemplateList", scope=1)
    row = (5, ("interfaceName", ["a", "b"]), (FLOW, [ROW]))
    octets = bytes(
        IPFIX(exportTime=1, sets=[FLOW, holder]) / DataSet(template=holder, records=[row])
    )
    (packet,) = dissect([IPFIX(octets)])
    (record,) = packet.records
    assert record.template.is_options
    assert record.scope == {"selectorId": 5}
    expected = {"selectorId": 5, "basicList": ["a", "b"], "subTemplateList": [READ]}
    assert record.values() == expected
    assert list(iter_records([octets], kind="options")) == [expected]
    assert bytes(packet) == octets


def test_only_some_fields():
    holder = Template(300, "octetDeltaCount", "basicList", "subTemplateList")
    octets = message(holder, (1, ("interfaceName", ["a"]), (FLOW, [ROW])), also=(FLOW,))
    rows = list(iter_records([octets], fields=["subTemplateList", "octetDeltaCount"]))
    assert rows == [([READ], 1)]
    rows = list(iter_records([octets], fields=["basicList"]))
    assert rows == [(["a"],)]


def test_two_lists_of_the_same_element():
    holder = Template(300, "basicList", "basicList")
    octets = message(holder, (("interfaceName", ["a"]), ("octetDeltaCount", [1])))
    (record,) = dissect([IPFIX(octets)])[0].records
    assert record.values() == {"basicList": ["a"], "basicList_2": [1]}
    assert record.basicList_2.values == [1]


# -- depth, and long lists


@pytest.mark.parametrize("depth", [7, 8, 9, 500])
def test_nested_packets_are_bounded(depth):
    octets = message(Template(300, "basicList"), [nest(depth)])
    (packet,) = dissect([IPFIX(octets)])
    assert look(packet)
    assert bytes(packet) == octets
    assert bytes(packet.copy()) == octets
    levels, layer = 1, the_list(packet)
    while "lists" in layer.fields:
        (layer,) = layer.lists
        levels += isinstance(layer, BasicList)
    assert levels == min(depth + 1, 8)
    assert isinstance(layer, Raw if depth > 7 else BasicList)
    assert packet.records[0].values() == next(iter_records([octets]))


def test_a_template_that_contains_itself():
    tree = Template(258, "octetDeltaCount[1]", "subTemplateList")
    given_: Any = (tree, [])
    for n in range(12):
        given_ = (tree, [(n, given_)])
    octets = message(tree, (99, given_))
    (packet,) = dissect([IPFIX(octets)])
    assert look(packet)
    assert bytes(packet) == octets
    assert packet.records[0].values() == next(iter_records([octets]))


def test_65000_empty_elements_as_a_packet():
    octets = message(Template(300, "basicList"), [basic_list(82, 65535, bytes(65_000))])
    (packet,) = dissect([IPFIX(octets)])
    assert the_list(packet).values == [""] * 65_000
    assert bytes(packet) == octets
    assert bytes(packet.copy()) == octets


def test_elements_of_no_octets():
    for octets in (basic_list(1, 0), basic_list(1, 0, b"more")):
        packet = BasicList(octets)
        assert packet.values == []
        assert bytes(packet) == octets
        assert bool(packet.defects) == octets.endswith(b"more")
    empty = Template(258, "octetDeltaCount[0]")
    listed = SubTemplateList(
        sub_template_list(258, b"more"), context=ListContext({258: empty}.get, depth=1)
    )
    assert list(listed.records) == []
    assert listed.undecoded == b"more"


# -- captures of exporters


def test_yaf_nests_the_mac_addresses_of_a_flow(captures):
    records = list(iter_records(captures / "ipfix_yaf.pcap"))
    (inner, *_) = (r["subTemplateMultiList"] for r in records if r.get("subTemplateMultiList"))
    assert inner[0]["sourceMacAddress"] == "00:0c:29:70:86:09"
    assert inner[0]["destinationMacAddress"] == "00:0c:29:8d:af:c3"
    assert inner[0].keys() == {"sourceMacAddress", "destinationMacAddress"}


def test_lists_of_a_capture_are_whole(captures):
    session = IPFIXSession(check_values=True)
    found = list(iter_records(captures / "ipfix_yaf.pcap", session=session))
    assert sum(isinstance(each.get("subTemplateMultiList"), list) for each in found) == 2
    wrong = {"list-malformed", "list-too-deep", "missing-template"}
    assert not wrong & set(session.diagnostics.counts)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Structured data (RFC 6313): lists in records, crafted, dissected, nested, broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import scapy_ipfix
from scapy_ipfix import (
    IPFIX,
    BasicList,
    DataSet,
    IPFIXSession,
    OptionsTemplateSet,
    Record,
    SubTemplateBlock,
    SubTemplateList,
    SubTemplateMultiList,
    Template,
    TemplateSet,
    dissect,
    iter_records,
)
from scapy_ipfix.wire.structured import (
    DEPTH_LIMIT,
    SEMANTICS,
    ListContext,
    decode_list,
    encode_list,
)

INNER = Template(300, "sourceIPv4Address", "octetDeltaCount[4]")
NESTED = Template(301, "interfaceName", "basicList")
OUTER = Template(256, "flowId[4]", "basicList", "subTemplateList", "subTemplateMultiList")
ROW: dict[str, Any] = {
    "flowId": 1,
    "basicList": ("octetDeltaCount[3]", [1, 2, 3]),
    "subTemplateList": {
        "template": INNER,
        "semantic": "allOf",
        "records": [{"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 5}],
    },
    "subTemplateMultiList": [
        (INNER, [("192.0.2.2", 2)]),
        (NESTED, [("eth0", ("protocolIdentifier", ["tcp", 17]))]),
    ],
}
VALUES = {
    "flowId": 1,
    "basicList": [1, 2, 3],
    "subTemplateList": [{"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 5}],
    "subTemplateMultiList": [
        {"sourceIPv4Address": "192.0.2.2", "octetDeltaCount": 2},
        {"interfaceName": "eth0", "basicList": [6, 17]},
    ],
}
SHARED = Path(__file__).parents[3] / "shared" / "captures"


def message(*templates: Template) -> IPFIX:
    sets = [TemplateSet(templates=[each]) for each in templates]
    return IPFIX(sets=[*sets, DataSet(template=OUTER, records=[ROW])])


def test_crafted_from_lists_and_dicts() -> None:
    octets = bytes(message(OUTER, INNER, NESTED))
    assert list(iter_records([octets])) == [VALUES]
    packet = IPFIX(octets)
    assert packet.records[0].values() == VALUES
    assert bytes(packet) == octets
    assert bytes(eval(packet.command(), vars(scapy_ipfix).copy())) == octets
    shown = packet.show(dump=True)
    assert "semantic  = allOf" in shown
    assert "values    = [tcp, udp]" in shown
    assert bytes(packet) == octets


def test_lists_are_packets_in_records() -> None:
    packet = IPFIX(bytes(message(OUTER, INNER, NESTED)))
    record = packet[Record]
    assert isinstance(record.basicList, BasicList)
    assert record.basicList.values == [1, 2, 3]
    assert packet[SubTemplateList].records[0].sourceIPv4Address == "192.0.2.1"
    assert [each.templateId for each in packet[SubTemplateMultiList].blocks] == [300, 301]


def test_a_change_in_a_list_changes_the_octets() -> None:
    octets = bytes(message(OUTER, INNER, NESTED))
    packet = IPFIX(octets)
    packet[Record].basicList.values.append(4)
    del packet.length, packet.sets[-1].length
    assert next(iter_records([bytes(packet)]))["basicList"] == [1, 2, 3, 4]


def test_crafted_from_packets() -> None:
    row = {
        "flowId": 1,
        "basicList": BasicList(element="octetDeltaCount[3]", values=[1, 2, 3]),
        "subTemplateList": SubTemplateList(
            template=INNER, semantic="allOf", records=[("192.0.2.1", 5)]
        ),
        "subTemplateMultiList": SubTemplateMultiList(
            blocks=[
                SubTemplateBlock(template=INNER, records=[("192.0.2.2", 2)]),
                SubTemplateBlock(
                    template=NESTED, records=[("eth0", ("protocolIdentifier", [6, 17]))]
                ),
            ]
        ),
    }
    assert bytes(DataSet(template=OUTER, records=[row])) == bytes(
        DataSet(template=OUTER, records=[ROW])
    )


def test_octets_are_kept_until_their_template_arrives() -> None:
    session = IPFIXSession()
    (packet,) = dissect([IPFIX(bytes(message(OUTER)))], session=session)
    octets = bytes(packet)
    assert packet[SubTemplateList].records == []
    assert packet[SubTemplateList].undecoded == b"\xc0\0\2\1\0\0\0\5"
    dissect([IPFIX(bytes(IPFIX(sets=[TemplateSet(templates=[INNER, NESTED])])))], session=session)
    assert packet[SubTemplateList].records[0].octetDeltaCount == 5
    assert packet[Record].values() == VALUES
    assert bytes(packet) == octets


def test_a_changed_template_does_not_change_earlier_lists() -> None:
    session = IPFIXSession()
    (packet,) = dissect([IPFIX(bytes(message(OUTER, INNER, NESTED)))], session=session)
    other = Template(300, "destinationIPv4Address", "packetDeltaCount[4]")
    dissect([IPFIX(bytes(IPFIX(sets=[TemplateSet(templates=[other])])))], session=session)
    assert packet[SubTemplateList].records[0].values() == VALUES["subTemplateList"][0]


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ("octetDeltaCount[4]", []),
        ("interfaceName", []),
        ("interfaceName", ["", "a", "b" * 300]),
        ("interfaceName[4]", ["ab", "abcd"]),
        ("sourceIPv6Address", ["2001:db8::1"]),
        ("foo(4242/7)<unsigned32>", [1, 2]),
        ("dataRecordsReliability", [True, False]),
        ("flowStartMilliseconds", [0, 1 << 40]),
    ],
)
def test_elements_of_lists(spec: str, values: list[Any]) -> None:
    octets = encode_list("basicList", (spec, values))
    got = decode_list("basicList", octets, ListContext())
    if spec.startswith("foo"):
        values = [value.to_bytes(4, "big") for value in values]  # no model knows it
    assert got == values
    assert bytes(BasicList(octets)) == octets


def test_lists_in_options_records() -> None:
    options = Template(400, "meteringProcessId", "basicList", scope=1)
    octets = bytes(
        IPFIX(
            sets=[
                OptionsTemplateSet(templates=[options]),
                DataSet(template=options, records=[(1, ("selectorId", [4, 5]))]),
            ]
        )
    )
    assert next(iter_records([octets], kind="options"))["basicList"] == [4, 5]


@pytest.mark.parametrize("semantic", [*SEMANTICS, *SEMANTICS.values()])
def test_semantics(semantic: int | str) -> None:
    octets = encode_list(
        "basicList", {"element": "octetDeltaCount", "values": [1], "semantic": semantic}
    )
    shown = BasicList(octets).show(dump=True)
    name = SEMANTICS[semantic] if isinstance(semantic, int) else semantic
    assert f"semantic  = {name}" in shown


def nested(depth: int) -> bytes:
    octets = encode_list("basicList", ("octetDeltaCount", [7]))
    for _ in range(depth):
        octets = encode_list("basicList", ("basicList", [octets]))
    return octets


def test_depth_is_bounded() -> None:
    value: Any = decode_list("basicList", nested(DEPTH_LIMIT - 1), ListContext())
    for _ in range(DEPTH_LIMIT):
        (value,) = value
    assert value == 7
    value = decode_list("basicList", nested(500), ListContext())
    while isinstance(value, list):
        (value,) = value
    assert isinstance(value, bytes)
    template = Template(256, "basicList")
    octets = bytes(DataSet(template=template, records=[(nested(500),)]))
    record = DataSet(octets).bind(template).records[0]
    assert record.show(dump=True)
    assert bytes(record) == octets[4:]


def test_a_list_that_names_its_own_template() -> None:
    template = Template(256, "subTemplateList")
    octets = b"\3\1\0"
    for _ in range(60):
        octets = b"\3\1\0" + bytes((len(octets),)) + octets
    whole = bytes(
        IPFIX(
            sets=[
                TemplateSet(templates=[template]),
                DataSet(template=template, records=[(octets,)]),
            ]
        )
    )
    (record,) = iter_records([whole])
    depth = 0
    value = record["subTemplateList"]
    while isinstance(value, list) and value:
        depth, value = depth + 1, value[0]["subTemplateList"]
    assert depth <= DEPTH_LIMIT
    assert IPFIX(whole).show(dump=True)


def test_65000_empty_values() -> None:
    octets = encode_list("basicList", ("interfaceName", [""] * 65_000))
    assert decode_list("basicList", octets, ListContext()) == [""] * 65_000
    assert len(BasicList(octets).values) == 65_000
    none = bytes.fromhex("03 0052 0000") + b"x"
    assert BasicList(none).undecoded == b"x"


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["basicList", "subTemplateList", "subTemplateMultiList"]), st.binary())
def test_any_octets(kind: str, octets: bytes) -> None:
    template = Template(256, "flowId[1]", kind)
    whole = bytes(
        IPFIX(
            sets=[
                TemplateSet(templates=[template, INNER, NESTED]),
                DataSet(template=template, records=[(1, octets)]),
            ]
        )
    )
    packet = IPFIX(whole)
    assert packet.show(dump=True)
    assert bytes(packet) == whole
    assert [each.values() for each in packet.records] == list(iter_records([whole]))


_leaf = st.lists(st.integers(0, 2**24 - 1), max_size=4).map(lambda v: ("octetDeltaCount[3]", v))
_lists = st.recursive(
    _leaf, lambda inner: st.lists(inner, max_size=3).map(lambda v: ("basicList", v)), max_leaves=8
)


def _plain(value: Any) -> Any:
    return [_plain(each) if isinstance(each, tuple) else each for each in value[1]]


def _depth(value: Any) -> int:
    return 1 + max((_depth(each) for each in value[1] if isinstance(each, tuple)), default=0)


@settings(max_examples=100, deadline=None)
@given(_lists.filter(lambda value: _depth(value) <= DEPTH_LIMIT))
def test_dissected_nested_lists_equal_crafted_ones(value: Any) -> None:
    octets = encode_list("basicList", value)
    assert decode_list("basicList", octets, ListContext()) == _plain(value)
    assert bytes(BasicList(octets)) == octets


@pytest.mark.parametrize(
    "value", [5, "text", ("octetDeltaCount", [1 << 64]), ("nosuch", [1]), {"semantic": "any"}]
)
def test_wrong_values_are_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="template 256, field basicList"):
        DataSet(template=Template(256, "basicList"), records=[(value,)])


@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/captures")
def test_yaf_and_ixia() -> None:
    (first, *_) = [
        record
        for record in iter_records(SHARED / "ipfix_yaf.pcap")
        if "subTemplateMultiList" in record
    ]
    assert isinstance(first["subTemplateMultiList"], (list, bytes))
    session = IPFIXSession()
    for name in ("ipfix_yaf.pcap", "ipfix_ixia.pcap"):
        for record in iter_records(SHARED / name, session=session):
            assert record


def test_a_copy_of_lists_that_are_too_deep() -> None:
    """Keep octets of lists nested too deep, in copies too, with the lengths on the wire."""
    octets = bytes.fromhex("03 0004 0001 06")
    for _ in range(9):
        octets = bytes.fromhex("03 0123 ffff ff") + len(octets).to_bytes(2, "big") + octets
    deep = BasicList(octets)
    deep.show(dump=True)
    assert bytes(deep.copy()) == octets
    changed = deep.copy()
    while isinstance(changed, BasicList):
        changed = changed.lists[0]
    changed.load = b""
    assert bytes(deep) == octets

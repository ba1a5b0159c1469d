# SPDX-License-Identifier: GPL-2.0-or-later
"""`Exporter`: messages, sequence numbers, times, templates and errors."""

import ipaddress
import itertools
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.packet import Padding

from scapy_ipfix.exporting.exporter import OVERHEAD, Exporter
from scapy_ipfix.layers.messages import IPFIX, Message, NetFlowV9
from scapy_ipfix.layers.sets import DataSet, TemplateSet
from scapy_ipfix.reading.reader import iter_messages, iter_records
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.wire.field import prefixed
from scapy_ipfix.wire.template import Template
from tests.strategies import Filled, filled, templates

FLOW = Template(256, "sourceIPv4Address", "destinationIPv4Address", "octetDeltaCount[4]")
NAMED = Template(257, "ingressInterface", "interfaceName")
METER = Template(258, "meteringProcessId", "exportedMessageTotalCount", scope=1)
ROW = ("192.0.2.1", "192.0.2.2", 1500)


def flows(count: int) -> list[tuple[str, str, int]]:
    return [("192.0.2.1", "198.51.100.2", number) for number in range(count)]


def templates_in(message: Message) -> list[int]:
    return [
        record.templateId
        for each in message.sets
        if isinstance(each, TemplateSet)
        for record in each.templates
    ]


def data_records(message: Message) -> int:
    return sum(len(each.records) for each in message.sets if isinstance(each, DataSet))


def records_in(messages: list[Message]) -> list[dict[str, Any]]:
    """Return the records that a collector decodes."""
    return list(iter_records([bytes(each) for each in messages]))


# -- messages


def test_room_for_the_records_of_a_message() -> None:
    exporter = Exporter(mtu=600)
    exporter.announce(FLOW)
    fit = exporter.room // FLOW.length
    assert [data_records(each) for each in exporter.export(FLOW, flows(2 * fit))] == [fit, fit]
    assert [data_records(each) for each in exporter.export(FLOW, flows(fit + 1))] == [fit, 1]


def test_octets_of_a_message() -> None:
    exporter = Exporter(domain=7, sequence=5)
    (message,) = exporter.export(FLOW, [ROW, ROW], export_time=1_700_000_000)
    assert bytes(message) == bytes.fromhex(
        "000a 0040 6553f100 00000005 00000007"
        "0002 0014 0100 0003 0008 0004 000c 0004 0001 0004"
        "0100 001c c0000201 c0000202 000005dc c0000201 c0000202 000005dc"
    )
    assert exporter.sequence == 7


def test_octets_of_a_v9_message() -> None:
    exporter = Exporter(domain=7, version=9, sequence=5, boot_time=1_699_999_990.5)
    (message,) = exporter.export(FLOW, [ROW, ROW], export_time=1_700_000_000)
    assert bytes(message) == bytes.fromhex(
        "0009 0003 0000251c 6553f100 00000005 00000007"
        "0000 0014 0100 0003 0008 0004 000c 0004 0001 0004"
        "0100 001c c0000201 c0000202 000005dc c0000201 c0000202 000005dc"
    )
    assert exporter.sequence == 6


def test_messages_are_packets_that_show_their_records(capsys: pytest.CaptureFixture[str]) -> None:
    messages = list(Exporter(domain=7, mtu=120).export(FLOW, flows(5)))
    assert all(type(each) is IPFIX for each in messages)
    # the template is in the first one only
    assert templates_in(messages[-1]) == []
    assert messages[-1].sets[0].records[-1].octetDeltaCount == 4
    messages[-1].show()
    assert "sourceIPv4Address= 192.0.2.1" in capsys.readouterr().out
    carried = IP() / UDP() / messages[-1]
    assert carried[IPFIX].sets[0].records[-1].octetDeltaCount == 4


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize("mtu", [108, 120, 576, 1400])
@pytest.mark.parametrize("padding", [1, 4, 8])
def test_messages_are_full_within_the_limit(version: int, mtu: int, padding: int) -> None:
    odd = Template(300, "octetDeltaCount", "protocolIdentifier", "ingressInterface[2]")
    exporter = Exporter(version=version, mtu=mtu, padding=padding)
    messages = list(exporter.export(odd, ((number, 6, 1) for number in range(500))))
    assert [each["octetDeltaCount"] for each in records_in(messages)] == list(range(500))
    for message in messages:
        assert len(bytes(message)) <= mtu - OVERHEAD
    for message in messages[:-1]:
        # one more record would exceed the limit, padding included
        assert len(bytes(message)) > mtu - OVERHEAD - odd.length - padding
    assert len(messages) == len({bytes(each) for each in messages})


def test_overhead_and_no_mtu() -> None:
    whole = [len(bytes(each)) for each in Exporter(mtu=1400, overhead=0).export(FLOW, flows(300))]
    assert 1400 - FLOW.length < whole[0] <= 1400
    longest = max(len(bytes(each)) for each in Exporter(mtu=None).export(FLOW, flows(6000)))
    assert 65535 - FLOW.length - 4 < longest <= 65535


@given(
    st.sampled_from([9, 10]).flatmap(
        lambda version: st.tuples(st.just(version), filled(version, min_size=1))
    ),
    st.sampled_from([1, 2, 4, 8]),
    st.integers(1, 9),
)
def test_any_rows_can_be_exported_and_read(
    given_: tuple[int, Filled], padding: int, times: int
) -> None:
    version, (case) = given_
    template, rows = case.template, case.rows * times
    if version == 9 and template.is_variable:
        with pytest.raises(ValueError, match=f"template {template.id}: .*variable length"):
            Exporter(version=9).export(template, rows)
        return
    mtu = 1400
    exporter = Exporter(domain=3, version=version, mtu=mtu, padding=padding)
    messages = list(exporter.export(template, rows))
    encoded = [template.encode(row) for row in rows]
    body = b"".join(
        bytes(record) for each in messages for data in each.sets if isinstance(data, DataSet)
        for record in data.records
    )  # fmt: skip
    assert body == b"".join(encoded)
    session = IPFIXSession()
    assert len(list(iter_records([bytes(each) for each in messages], session=session))) == len(rows)
    assert not set(session.diagnostics.counts) - {"field-length", "value"}
    for message in messages:
        assert len(bytes(message)) <= mtu - OVERHEAD
        assert not message.getlayer(Padding)


@given(st.data())
def test_encode_rows_equals_encode(data: st.DataObject) -> None:
    case = data.draw(filled(min_size=1))
    rows = case.rows
    if case.template.length:
        assert case.template.encode_rows(rows) == [case.template.encode(row) for row in rows]
    by_name = [dict(zip(case.template.names, row)) for row in rows]
    assert case.template.encode_rows(by_name) == case.template.encode_rows(rows)


def test_rows_of_python_objects_names_and_records() -> None:
    template = Template(
        *(300, "sourceIPv4Address", "flowStartMilliseconds", "protocolIdentifier"),
        *("tcpControlBits", "interfaceName", "octetDeltaCount[3]"),
    )
    when = datetime(2024, 1, 2, 3, 4, 5, 678000, timezone.utc)
    rows: list[Any] = [
        (ipaddress.IPv4Address("192.0.2.1"), when, "udp", "SA", "eth0", 70000),
        ["192.0.2.1", "2024-01-02T03:04:05.678Z", 17, 0x12, b"eth0", 70000],
        {
            "IPV4_SRC_ADDR": 0xC0000201,
            "flowStartMilliseconds": 1704164645678,
            "protocolIdentifier": 17,
            "tcpControlBits": 0x12,
            "interfaceName": "eth0",
            "octetDeltaCount": 70000,
        },
    ]
    (message,) = Exporter().export(template, rows)
    first = message.records[0]
    assert [bytes(each) for each in message.records] == [bytes(first)] * 3
    assert first.flowStartMilliseconds == 1704164645678
    (again,) = Exporter().export(template, [first, *rows[:1]])
    assert [bytes(each) for each in again.records] == [bytes(first)] * 2
    turned = Template(301, *reversed(template.fields))
    (message,) = Exporter(defaults=True).export(turned, [first, {"tcpControlBits": 1}])
    assert message.records[0].values() == first.values()
    assert message.records[1].sourceIPv4Address == "0.0.0.0"
    assert message.records[1].tcpControlBits == 1


def test_padding_is_shorter_than_a_record() -> None:
    tiny = Template(300, "protocolIdentifier")
    messages = list(Exporter(padding=8, mtu=102).export(tiny, [(6,)] * 21))
    assert sum(map(data_records, messages)) == 21
    assert [each["protocolIdentifier"] for each in records_in(messages)] == [6] * 21


def test_padding_of_templates() -> None:
    """IPFIX Template Sets have none, as python-ipfix cannot read it; v9 FlowSets have it."""
    assert bytes(Exporter().announce(METER)[0])[16:] == bytes.fromhex(
        "0003 0012 0102 0002 0001 008f 0004 0029 0008"
    )
    system = Template(258, "scopeSystem[4]", "exportedMessageTotalCount", scope=1)
    for padding, end in ((4, "0000"), (8, "0000"), (1, "")):
        octets = bytes(Exporter(version=9, padding=padding).announce(system)[0])[20:]
        assert octets == bytes.fromhex(
            f"0001 {0x12 + len(end) // 2:04x} 0102 0004 0004 0001 0004 0029 0008 {end}"
        )


# -- sequence numbers


def test_ipfix_counts_data_records_v9_counts_messages() -> None:
    before = 0
    exporter = Exporter(mtu=200)
    for message in exporter.export(FLOW, flows(40)):
        assert message.sequenceNumber == before
        before += data_records(message)
    assert before == exporter.sequence == 40
    v9 = list(Exporter(version=9, mtu=200).export(FLOW, flows(40)))
    assert all(type(each) is NetFlowV9 for each in v9)
    assert [each.sequenceNumber for each in v9] == list(range(len(v9)))
    assert [each.count for each in v9] == [each.record_count() for each in v9]
    assert v9[0].count == 1 + data_records(v9[0])


@pytest.mark.parametrize("version", [9, 10])
def test_sequence_numbers_wrap_to_0(version: int) -> None:
    exporter = Exporter(version=version, mtu=200, sequence=(1 << 32) - 1)
    numbers = [each.sequenceNumber for each in exporter.export(FLOW, flows(40))]
    first_step = (
        1 if version == 9 else data_records(next(Exporter(mtu=200).export(FLOW, flows(40))))
    )
    assert numbers[:2] == [(1 << 32) - 1, first_step - 1]


def test_options_records_count() -> None:
    exporter = Exporter()
    (message,) = exporter.export_options(
        METER, [{"meteringProcessId": 1, "exportedMessageTotalCount": 2}] * 3
    )
    assert exporter.sequence == 3
    assert message.sets[1].records[0].template.scope_count == 1
    with pytest.raises(ValueError, match="template 256 has no scope"):
        exporter.export_options(FLOW, [])


# -- times


@pytest.mark.parametrize(
    "when",
    [
        *(1_700_000_000, 1_700_000_000.9),
        *("2023-11-14T22:13:20Z", datetime(2023, 11, 14, 22, 13, 20)),
    ],
)
def test_export_time_given(when: Any) -> None:
    assert {each.exportTime for each in Exporter().export(FLOW, flows(200), export_time=when)} == {
        1_700_000_000
    }


def test_export_time_is_the_time_of_making_the_message() -> None:
    clock = itertools.count(1_700_000_000, 0.25).__next__
    exporter = Exporter(version=9, mtu=200, clock=clock, template_refresh=None)
    messages = list(exporter.export(FLOW, flows(40)))
    count = len(messages)
    assert count > 4
    assert [each.unixSecs for each in messages] == [1_700_000_000 + n // 4 for n in range(count)]
    assert [each.sysUptime for each in messages] == [250 * n for n in range(count)]


@pytest.mark.parametrize("when", [-1, 1 << 32, float("nan"), "yesterday", "1969-12-31T00:00:00"])
def test_invalid_times(when: Any) -> None:
    with pytest.raises(ValueError):
        Exporter().export(FLOW, flows(1), export_time=when)
    with pytest.raises(ValueError):
        Exporter(version=9, boot_time=when)


# -- templates


def test_templates_are_repeated_by_messages() -> None:
    exporter = Exporter(mtu=120, template_refresh=None, template_refresh_messages=3)
    messages = list(exporter.export(FLOW, flows(40)))
    with_templates = [number for number, each in enumerate(messages) if templates_in(each)]
    assert with_templates == list(range(0, len(messages), 3))
    assert [each["octetDeltaCount"] for each in records_in(messages)] == list(range(40))


def test_templates_are_repeated_by_time() -> None:
    now = [1000.0]
    exporter = Exporter(
        mtu=120, template_refresh=60, template_refresh_messages=None, clock=lambda: now[0]
    )
    seen = []
    for _ in exporter.export(FLOW, flows(2)):
        pass
    for message in exporter.export(FLOW, flows(60)):
        seen.append((now[0], bool(templates_in(message))))
        now[0] += 25
    assert len(seen) > 9
    assert [when for when, is_refresh in seen if is_refresh] == [
        1000.0 + 75 * (n + 1) for n in range(len(seen) // 3) if 75 * (n + 1) < 25 * len(seen)
    ]


def test_no_refresh() -> None:
    exporter = Exporter(mtu=120, template_refresh=None, template_refresh_messages=None)
    messages = list(exporter.export(FLOW, flows(3000)))
    assert [bool(templates_in(each)) for each in messages].count(True) == 1


def test_refresh_repeats_every_template() -> None:
    exporter = Exporter(mtu=576, template_refresh_messages=4)
    made: list[Message] = []
    for template, rows in ((FLOW, [ROW]), (NAMED, [(1, "eth0")]), (METER, [(1, 2)])):
        made += exporter.export(template, rows)
    assert [templates_in(each) for each in made] == [[256], [257], [258]]
    made += exporter.export(NAMED, [(2, "eth1")])
    made += exporter.export(NAMED, [(3, "eth2")])
    assert templates_in(made[3]) == []
    assert sorted(templates_in(made[4])) == [256, 257, 258]
    assert exporter.templates == (FLOW, NAMED, METER)


def test_more_templates_than_a_message_holds() -> None:
    exporter = Exporter(mtu=200, template_refresh_messages=50)
    many = [Template(1000 + n, *FLOW.fields) for n in range(30)]
    announced = exporter.announce(*many)
    assert len(announced) > 3
    assert [each for message in announced for each in templates_in(message)] == [
        each.id for each in many
    ]
    refreshed = list(exporter.export(many[0], flows(600)))
    assert all(len(bytes(each)) <= 200 - OVERHEAD for each in announced + refreshed)
    again = [each for message in refreshed for each in templates_in(message)]
    assert again[:30] == [each.id for each in many]
    assert sum(map(data_records, refreshed)) == 600


def test_templates_that_fill_a_message() -> None:
    fixed = Template(300, "octetDeltaCount", "applicationDescription[60]")
    varying = Template(301, "octetDeltaCount", "applicationDescription")
    for template in (fixed, varying):
        exporter = Exporter(mtu=150, template_refresh_messages=1)
        rows = [(number, "x" * 60) for number in range(7)]
        made = list(exporter.export(template, rows))
        assert [len(templates_in(each)) for each in made] == [1, 0] * 7
        assert [each["octetDeltaCount"] for each in records_in(made)] == list(range(7))
        assert all(len(bytes(each)) <= 150 - OVERHEAD for each in made)


def test_lists_of_records_find_their_template() -> None:
    """A subTemplateList (RFC 6313) may refer to a template that no Set of the message has."""
    outer = Template(300, "ingressInterface", "subTemplateList")
    exporter = Exporter()
    exporter.announce(FLOW)
    inner = FLOW.encode(ROW)
    (message,) = exporter.export(outer, [(1, b"\xff" + FLOW.id.to_bytes(2, "big") + inner)])
    (found,) = message.records[0].subTemplateList.records
    assert found.octetDeltaCount == 1500


def test_two_templates_interleaved() -> None:
    exporter = Exporter(mtu=120)
    one = exporter.export(FLOW, flows(9))
    other = exporter.export(NAMED, [(number, "eth0") for number in range(9)])
    messages = [each for pair in itertools.zip_longest(one, other) for each in pair if each]
    sequence = 0
    for message in messages:
        assert message.sequenceNumber == sequence
        sequence += data_records(message)
    found = records_in(messages)
    assert [each["octetDeltaCount"] for each in found if "octetDeltaCount" in each] == [*range(9)]
    assert [each["ingressInterface"] for each in found if "ingressInterface" in each] == [*range(9)]


def test_rows_of_several_templates_in_a_message() -> None:
    pairs = [(FLOW, ROW), (FLOW, ROW), (NAMED, (1, "eth0")), (FLOW, ROW), (METER, (1, 2))]
    (message,) = Exporter().export_mixed(pairs)
    # a template is announced before its first record, in the same message
    kinds = [(each.setId, len(each.getfieldval("records" if each.setId > 255 else "templates")))
             for each in message.sets]  # fmt: skip
    assert kinds == [(2, 1), (256, 2), (2, 1), (257, 1), (256, 1), (3, 1), (258, 1)]
    assert len(records_in([message])) == 5


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just(FLOW), st.just(ROW)),
            st.tuples(st.just(NAMED), st.tuples(st.just(1), st.text("xy", max_size=60))),
            st.tuples(st.just(METER), st.just((1, 2))),
        ),
        max_size=40,
    ),
    st.sampled_from([140, 200, 576]),
    st.sampled_from([1, 4]),
)
def test_mixed_rows_keep_their_order(pairs: list[Any], mtu: int, padding: int) -> None:
    exporter = Exporter(mtu=mtu, padding=padding, template_refresh_messages=3)
    messages = list(exporter.export_mixed(iter(pairs)))
    assert [tuple(each.values()) for each in records_in(messages)] == [row for _, row in pairs]
    sequence = 0
    for message in messages:
        assert len(bytes(message)) <= mtu - OVERHEAD
        assert message.sequenceNumber == sequence
        sequence += data_records(message)
        assert message.all_defects == []


@pytest.mark.parametrize("template", [FLOW, NAMED, METER])
def test_no_rows_announce_the_template_once(template: Template) -> None:
    exporter = Exporter()
    (message,) = exporter.export(template, [])
    assert templates_in(message) == [template.id]
    assert list(exporter.export(template, [])) == []
    (again,) = exporter.announce()
    assert templates_in(again) == [template.id]
    assert Exporter().announce() == []


# -- withdrawal


def test_withdrawal() -> None:
    exporter = Exporter(domain=7)
    session = IPFIXSession()

    def taken(messages: list[Message]) -> list[int]:
        list(iter_messages([bytes(each) for each in messages], session))
        return sorted(int(str(each[2])) for each in session.templates)

    made = [*exporter.export(FLOW, [ROW]), *exporter.export(NAMED, []), *exporter.announce(METER)]
    assert taken(made) == [256, 257, 258]
    (message,) = exporter.withdraw(FLOW, METER)
    assert bytes(message)[16:] == bytes.fromhex("0002 0008 0100 0000 0003 0008 0102 0000")
    assert message.sequenceNumber == 1
    assert taken([message]) == [257]
    # the id is free for another layout
    other = Template(256, "octetDeltaCount")
    assert taken(list(exporter.export(other, [(1,)]))) == [256, 257]
    (everything,) = exporter.withdraw()
    assert bytes(everything)[16:] == bytes.fromhex("0002 0008 0002 0000")
    assert taken([everything]) == []
    assert exporter.templates == ()


def test_many_withdrawals() -> None:
    exporter = Exporter(mtu=120)
    many = [Template(1000 + n, *FLOW.fields) for n in range(40)]
    exporter.announce(*many)
    messages = exporter.withdraw(*many)
    assert len(messages) > 1
    assert [each for message in messages for each in templates_in(message)] == [
        each.id for each in many
    ]
    assert all(len(bytes(each)) <= 120 - OVERHEAD for each in messages)


def test_withdrawal_of_templates_not_announced() -> None:
    exporter = Exporter()
    assert exporter.withdraw() == []
    with pytest.raises(ValueError, match="template 256 was not announced"):
        exporter.withdraw(FLOW)
    exporter.announce(FLOW)
    with pytest.raises(ValueError, match="template 256 was not announced"):
        exporter.withdraw(Template(256, "octetDeltaCount"))
    with pytest.raises(ValueError, match="v9 has no template withdrawals"):
        Exporter(version=9).withdraw(FLOW)


def test_forget_frees_an_id() -> None:
    exporter = Exporter(version=9)
    other = Template(256, "octetDeltaCount")
    list(exporter.export(FLOW, [ROW]))
    with pytest.raises(ValueError, match=r"template 256 is in use for .*sourceIPv4Address"):
        exporter.export(other, [(1,)])
    exporter.forget(FLOW)
    (message,) = exporter.export(other, [(1,)])
    assert templates_in(message) == [256]
    exporter.forget(NAMED)


# -- invalid templates and rows


@pytest.mark.parametrize(
    ("template", "version", "why"),
    [
        (Template(255, "octetDeltaCount"), 10, "template 255: ids begin at 256"),
        (Template(300), 10, "template 300: its records have no octets"),
        (Template(300, "octetDeltaCount[0]"), 10, "template 300: its records have no octets"),
        (Template(300, "interfaceName"), 9, "template 300: interfaceName: no length given"),
        (Template(300, "(29305/1)<unsigned64>[8]"), 9, "template 300: "),
        (
            Template(300, "octetDeltaCount", "applicationName[2000]"),
            10,
            "template 300: a record takes 2008 octets, a message of mtu 1400 has 1332 for it",
        ),
        (
            Template(300, *["octetDeltaCount"] * 400),
            10,
            "template 300: its Template Record takes 1604 octets, a message of mtu 1400 has 1332",
        ),
    ],
)
def test_templates_that_cannot_be_exported(template: Template, version: int, why: str) -> None:
    exporter = Exporter(version=version)
    with pytest.raises(ValueError, match="^" + why.replace("(", r"\(")):
        exporter.export(template, [])
    assert exporter.sequence == 0


def test_error_names_the_row() -> None:
    exporter = Exporter(mtu=120)
    rows: list[Any] = [*flows(4), ("192.0.2.1", "192.0.2.2", 1 << 32), *flows(3)]
    messages = exporter.export(FLOW, rows)
    first = next(messages)
    made: list[Message] = []
    with pytest.raises(ValueError, match=r"row 4: template 256, field octetDeltaCount: 4294967296"):
        made.extend(messages)
    # rows that are not exported are not counted
    assert exporter.sequence < 4
    assert exporter.sequence == sum(map(data_records, (first, *made)))


@pytest.mark.parametrize("template", [FLOW, NAMED])
@pytest.mark.parametrize("row", [(1,), 5, None, {"sourceTransportPort": 1}])
def test_invalid_rows(template: Template, row: Any) -> None:
    with pytest.raises(ValueError, match=r"^row 0: "):
        list(Exporter().export(template, [row]))


@pytest.mark.parametrize("rows", [{"octetDeltaCount": 1}, "rows", b"rows"])
def test_one_row_instead_of_a_list(rows: Any) -> None:
    with pytest.raises(ValueError, match="rows are a list or an iterator"):
        Exporter().export(FLOW, rows)


def test_a_long_row_of_variable_length() -> None:
    exporter = Exporter(mtu=200)
    room = 200 - OVERHEAD - 16 - 4
    longest = "x" * (room - 5)
    messages = list(exporter.export(NAMED, [(1, "a"), (2, longest), (3, "b")]))
    assert [each["interfaceName"] for each in records_in(messages)] == ["a", longest, "b"]
    assert len(prefixed(longest.encode())) + 4 == room
    with pytest.raises(
        ValueError, match=rf"row 1: template 257: a record takes {room + 1} octets.* has {room} "
    ):
        list(exporter.export(NAMED, [(1, "a"), (2, longest + "x")]))


# -- endless rows


def test_rows_may_be_endless() -> None:
    taken = 0

    def rows() -> Iterator[tuple[str, str, int]]:
        nonlocal taken
        for taken in itertools.count(1):
            yield ("192.0.2.1", "192.0.2.2", taken)

    sent = 0
    for message in itertools.islice(Exporter().export(FLOW, rows()), 50):
        sent += data_records(message)
        # no row is read before its message is made
        assert taken == sent
    pairs = ((FLOW, row) for row in rows())
    sent = 0
    for message in itertools.islice(Exporter().export_mixed(pairs), 50):
        sent += data_records(message)
        assert taken == sent + 1  # the last one did not fit


def test_export_bytes_are_the_octets_of_export() -> None:
    octets = list(Exporter(mtu=200).export_bytes(FLOW, flows(40), export_time=1))
    messages = list(Exporter(mtu=200).export(FLOW, flows(40), export_time=1))
    assert octets == [bytes(each) for each in messages]


def test_packets() -> None:
    headers = IP(src="198.51.100.7", dst="192.0.2.9") / UDP(sport=4000)
    packets = Exporter(mtu=200).packets(FLOW, flows(20), headers)
    assert len(packets) > 1
    assert {each[IP].src for each in packets} == {"198.51.100.7"}
    assert {each[UDP].dport for each in packets} == {4739}
    assert all(len(bytes(each)) <= 200 for each in packets)
    assert len(list(iter_records(packets))) == 20


# -- arguments


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"version": 5}, "version is 9 or 10"),
        ({"domain": 1 << 32}, "domain 4294967296"),
        ({"domain": -1}, "domain -1"),
        ({"sequence": -1}, "sequence -1"),
        ({"mtu": 60}, "mtu 60, overhead 48: 12 octets are too few"),
        ({"overhead": -1}, "overhead -1"),
        ({"padding": 3}, "padding 3"),
        ({"template_refresh": 0}, "template_refresh 0 is not above 0"),
        ({"template_refresh_messages": -1}, "template_refresh_messages -1"),
    ],
)
def test_invalid_arguments(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Exporter(**arguments)


@given(templates())
def test_every_template_can_be_announced(template: Template) -> None:
    if not template.length:
        return
    if template.id < 256:
        return
    (message,) = Exporter(mtu=None).announce(template)
    assert templates_in(message) == [template.id]


def test_repr() -> None:
    exporter = Exporter(domain=7)
    list(exporter.export(FLOW, [ROW]))
    assert repr(exporter) == "<Exporter: IPFIX, domain 7, sequence 1, 1 templates announced>"
    assert (exporter.domain, exporter.version) == (7, 10)

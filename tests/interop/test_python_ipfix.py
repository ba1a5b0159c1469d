# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages between this package and python-ipfix, each way, values compared.

What python-ipfix 0.9.7 cannot, and is not asked for here:

* integers of 3, 5, 6 or 7 octets, and numbers of variable length ("No RLE for <unsigned64>[3]");
* a template whose first field is of variable length: it reads no field and does not come
  forward;
* padding in a Set of templates, which it reads as a template ("bad template ID 0");
* a template withdrawn (RFC 7011 8.1): it becomes one without fields;
* times as RFC 7011 6.1.9 and 6.1.10 have them: it counts their seconds from 1970 instead of
  1900, see :data:`NTP`;
* NULs at the end of a string of fixed length, which it takes for characters;
* structured data (RFC 6313): lists are octets to it;
* the Options Templates of NetFlow v9, whose lengths it reads as numbers of fields.
"""

import importlib
import io
import warnings
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv6Address
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import (
    IPFIX,
    BasicList,
    DataFlowSet,
    DataSet,
    InformationModel,
    IPFIXSession,
    NetFlowV9,
    OptionsTemplateSet,
    Template,
    TemplateFlowSet,
    TemplateSet,
    elements,
    iter_records,
)
from scapy_ipfix.exporting.exporter import Exporter

# It asks for the time in ways that newer Pythons deprecate.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

#: The error of python-ipfix's times of microseconds and nanoseconds.
NTP = timedelta(seconds=2208988800)
WHEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
PEN = 35566
#: An element of each data type that python-ipfix knows, as an IESpec, and a value.
VALUES: dict[str, Any] = {
    "octetArray": b"\x00\xff\x7f",
    "unsigned8": 200,
    "unsigned16": 60_000,
    "unsigned32": 4_000_000_000,
    "unsigned64": 1 << 63,
    "signed8": -100,
    "signed16": -30_000,
    "signed32": -2_000_000_000,
    "signed64": -(1 << 62),
    "float32": 0.5,
    "float64": 1 / 3,
    "boolean": True,
    "macAddress": "02:00:5e:10:00:01",
    "string": "Grüezi",
    "dateTimeSeconds": WHEN,
    "dateTimeMilliseconds": WHEN.replace(microsecond=123_000),
    "dateTimeMicroseconds": WHEN.replace(microsecond=123_456),
    "dateTimeNanoseconds": WHEN.replace(microsecond=654_321),
    "ipv4Address": IPv4Address("192.0.2.1"),
    "ipv6Address": IPv6Address("2001:db8::1"),
}
SPECS = {
    kind: f"{kind}Of35566({PEN}/{number})<{kind}>" for number, kind in enumerate(VALUES, start=1)
}
NAMES = {kind: spec.partition("(")[0] for kind, spec in SPECS.items()}


@pytest.fixture(scope="module")
def ipfix() -> Any:
    """The modules of python-ipfix, with our elements known to them."""
    found = {}
    with warnings.catch_warnings():
        # Its regular expressions have escapes that Python 3.12 warns of.
        warnings.simplefilter("ignore")
        try:
            for name in ("ie", "message", "reader", "template", "v9pdu"):
                found[name] = importlib.import_module(f"ipfix.{name}")
        except ImportError:
            pytest.skip("python-ipfix is not installed")
    found["ie"].use_iana_default()
    found["ie"].use_5103_default()
    for spec in SPECS.values():
        found["ie"].for_spec(spec)
    return SimpleNamespace(**found)


@pytest.fixture(scope="module")
def model() -> InformationModel:
    """Our model, with the same elements."""
    made = InformationModel.default()
    for spec in SPECS.values():
        made.spec(spec)
    return made


def as_theirs(kind: str, value: Any) -> Any:
    """Convert a native Python value to python-ipfix's."""
    if kind == "macAddress":
        return bytes.fromhex(value.replace(":", ""))
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def as_ours(kind: str, value: Any) -> Any:
    """Convert a value of python-ipfix to native Python."""
    if kind == "macAddress":
        return bytes(value).hex(":")
    if isinstance(value, datetime):
        value = value.replace(tzinfo=timezone.utc)
        if kind in ("dateTimeMicroseconds", "dateTimeNanoseconds"):
            # Its seconds and fraction are a float: microseconds come out one off.
            value = round_to_milliseconds(value - NTP)
    return bytes(value) if isinstance(value, memoryview) else value


def round_to_milliseconds(when: datetime) -> datetime:
    when += timedelta(microseconds=500)
    return when.replace(microsecond=when.microsecond // 1000 * 1000)


def they_read(ipfix: Any, *messages: Any) -> list[dict[str, Any]]:
    stream = io.BytesIO(b"".join(map(bytes, messages)))
    return list(ipfix.reader.from_stream(stream).namedict_iterator())


def they_write(ipfix: Any, *sets: tuple[Any, list[dict[str, Any]]], domain: int = 7) -> bytes:
    """Write a message with python-ipfix: templates first, then records of each."""
    buffer = ipfix.message.MessageBuffer()
    buffer.begin_export(domain)
    for template, _ in sets:
        buffer.add_template(template)
    for template, records in sets:
        buffer.export_ensure_set(template.tid)
        for record in records:
            buffer.export_namedict(record)
    octets: bytes = buffer.to_bytes()
    return octets


def we_read(octets: bytes, model: InformationModel = elements) -> list[dict[str, Any]]:
    session = IPFIXSession(model=model, check_values=True)
    records = list(iter_records([octets], values="python", session=session))
    assert dict(session.diagnostics.counts) == {}
    return records


# -- data types


@pytest.mark.parametrize("kind", VALUES)
def test_they_read_each_data_type(ipfix, kind):
    template = Template(300, "protocolIdentifier", SPECS[kind])
    octets = IPFIX(sets=[template]) / DataSet(template=template, records=[(6, VALUES[kind])])
    (found,) = they_read(ipfix, octets)
    assert found.keys() == {"protocolIdentifier", NAMES[kind]}
    expected = VALUES[kind]
    if kind in ("dateTimeMicroseconds", "dateTimeNanoseconds"):
        expected = round_to_milliseconds(expected)
    assert as_ours(kind, found[NAMES[kind]]) == expected


@pytest.mark.parametrize("kind", VALUES)
def test_we_read_each_data_type(ipfix, model, kind):
    template = ipfix.template.for_specs(300, "protocolIdentifier", SPECS[kind])
    record = {"protocolIdentifier": 6, NAMES[kind]: as_theirs(kind, VALUES[kind])}
    (found,) = we_read(they_write(ipfix, (template, [record])), model)
    value = found[NAMES[kind]]
    expected = VALUES[kind]
    if kind in ("dateTimeMicroseconds", "dateTimeNanoseconds"):
        # 2024 from 1970 on is 1954 from 1900 on, which for NTP is in the era after 2036.
        value, expected = round_to_milliseconds(value), round_to_milliseconds(expected)
        assert (value - expected) % timedelta(seconds=1 << 32) == -NTP % timedelta(seconds=1 << 32)
    else:
        assert value == expected
    assert isinstance(value, type(expected))


@pytest.mark.parametrize(
    ("kind", "length", "values"),
    [
        ("unsigned64", 1, [0, 255]),
        ("unsigned64", 2, [0, 65535]),
        ("unsigned64", 4, [0, (1 << 32) - 1]),
        ("unsigned32", 1, [0, 255]),
        ("unsigned32", 2, [0, 65535]),
        ("unsigned16", 1, [0, 255]),
        ("signed64", 1, [-128, 127]),
        ("signed64", 2, [-32768, 32767]),
        ("signed64", 4, [-(1 << 31), (1 << 31) - 1]),
        ("signed32", 2, [-32768, 32767]),
        ("signed16", 1, [-128, 127]),
        ("float64", 4, [0.5, -2.0]),
        ("octetArray", 5, [b"\0\1\2\3\4"]),
        ("string", 5, ["abcde"]),
    ],
)
def test_lengths_that_are_not_natural(ipfix, model, kind, length, values):
    spec = f"{SPECS[kind]}[{length}]"
    template = Template(300, "protocolIdentifier", spec)
    message = IPFIX(sets=[template])
    message /= DataSet(template=template, records=[(6, value) for value in values])
    assert [as_ours(kind, each[NAMES[kind]]) for each in they_read(ipfix, message)] == values
    theirs = ipfix.template.for_specs(300, "protocolIdentifier", spec)
    records = [{"protocolIdentifier": 6, NAMES[kind]: value} for value in values]
    octets = they_write(ipfix, (theirs, records))
    assert [each[NAMES[kind]] for each in we_read(octets, model)] == values
    assert octets[16:] == bytes(message)[16:]


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 30_000])
def test_variable_lengths(ipfix, size):
    names = (
        "protocolIdentifier",
        "interfaceName",
        "mplsTopLabelStackSection[v]",
        "octetDeltaCount",
    )
    row = (6, "x" * size, b"\xff" * (size % 300), 1 << 40)
    template = Template(300, *names)
    message = IPFIX(sets=[template]) / DataSet(template=template, records=[row, row])
    record = dict(zip(template.names, row))
    assert [
        {name: as_ours("", value) for name, value in each.items()}
        for each in they_read(ipfix, message)
    ] == [record] * 2
    specs = [name.replace("[v]", "[65535]") for name in names]
    theirs = ipfix.template.for_specs(300, *specs)
    octets = they_write(ipfix, (theirs, [record, record]))
    assert we_read(octets) == [record] * 2
    assert octets[16:] == bytes(message)[16:]


# -- whatever records there are

_seconds = st.integers(0, (1 << 31) - 1)
NATIVE: dict[str, st.SearchStrategy[Any]] = {
    "octetArray": st.binary(max_size=300),
    **{
        f"{sign}{bits}": st.integers(-(1 << bits - 1), (1 << bits - 1) - 1)
        if sign == "signed"
        else st.integers(0, (1 << bits) - 1)
        for sign in ("signed", "unsigned")
        for bits in (8, 16, 32, 64)
    },
    "float32": st.floats(width=32, allow_nan=False),
    "float64": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "macAddress": st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":")),
    "string": st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    "dateTimeSeconds": _seconds.map(lambda n: datetime.fromtimestamp(n, timezone.utc)),
    "ipv4Address": st.ip_addresses(v=4),
    "ipv6Address": st.ip_addresses(v=6),
}


@given(st.data())
def test_any_records(ipfix, model, data):
    kinds = data.draw(st.lists(st.sampled_from(sorted(NATIVE)), unique=True, max_size=8))
    kinds = ["unsigned8", *(kind for kind in kinds if kind != "unsigned8")]
    rows = data.draw(st.lists(st.tuples(*(NATIVE[kind] for kind in kinds)), max_size=4))
    expected = [dict(zip((NAMES[kind] for kind in kinds), row)) for row in rows]
    template = Template(data.draw(st.integers(256, 65535)), *(SPECS[kind] for kind in kinds))
    message = IPFIX(exportTime=1, sequenceNumber=0, observationDomainId=7, sets=[template])
    if rows:
        message /= DataSet(template=template, records=rows)
    found = they_read(ipfix, message)
    by_name = {NAMES[kind]: kind for kind in kinds}
    assert [
        {name: as_ours(by_name[name], value) for name, value in each.items()} for each in found
    ] == expected
    theirs = ipfix.template.for_specs(template.id, *(SPECS[kind] for kind in kinds))
    records = [
        {name: as_theirs(by_name[name], value) for name, value in each.items()} for each in expected
    ]
    if rows:
        octets = they_write(ipfix, (theirs, records))
        assert we_read(octets, model) == expected
        assert octets[16:] == bytes(message)[16:]


# -- templates


def test_enterprises_and_reverse_elements(ipfix):
    names = ("octetDeltaCount", "reverseOctetDeltaCount", "_ipfix_99999_5[4]")
    template = Template(300, *names)
    message = IPFIX(sets=[template])
    message /= DataSet(template=template, records=[(1, 2, b"\1\2\3\4")])
    (found,) = they_read(ipfix, message)
    expected = {"octetDeltaCount": 1, "reverseOctetDeltaCount": 2, "_ipfix_99999_5": b"\1\2\3\4"}
    assert found == expected
    theirs = ipfix.template.for_specs(
        300, "octetDeltaCount", "reverseOctetDeltaCount(29305/1)<unsigned64>[8]", "(99999/5)[4]"
    )
    assert we_read(they_write(ipfix, (theirs, [expected]))) == [expected]


def test_options(ipfix):
    names = ("meteringProcessId", "exportedFlowRecordTotalCount", "interfaceName")
    template = Template(301, *names, scope=1)
    row = (5, 1000, "eth0")
    message = IPFIX(sets=[OptionsTemplateSet(templates=[template])])
    message /= DataSet(template=template, records=[row])
    assert they_read(ipfix, message) == [dict(zip(names, row))]
    theirs = ipfix.template.for_specs(301, *names)
    theirs.scopecount = 1
    octets = they_write(ipfix, (theirs, [dict(zip(names, row))]))
    session = IPFIXSession()
    (packet,) = [session.process(IPFIX(octets))]
    (record,) = packet.records
    assert record.template.is_options
    assert record.scope == {"meteringProcessId": 5}
    assert record.values() == dict(zip(names, row))
    assert octets[16:] == bytes(message)[16:]


def test_several_templates_and_sets_in_a_message(ipfix):
    one = Template(300, "octetDeltaCount", "interfaceName")
    other = Template(301, "sourceIPv4Address")
    sets = [
        TemplateSet(templates=[one, other]),
        DataSet(template=one, records=[(1, "a"), (2, "b")]),
        DataSet(template=other, records=[("192.0.2.1",)], padding=b"\0\0"),
        DataSet(template=one, records=[(3, "c")]),
    ]
    found = they_read(ipfix, IPFIX(sets=sets))
    assert [tuple(each.values()) for each in found] == [
        *((1, "a"), (2, "b"), (IPv4Address("192.0.2.1"),), (3, "c")),
    ]
    theirs = [
        ipfix.template.for_specs(300, "octetDeltaCount", "interfaceName"),
        ipfix.template.for_specs(301, "sourceIPv4Address"),
    ]
    records: list[list[dict[str, Any]]] = [
        [{"octetDeltaCount": 1, "interfaceName": "a"}],
        [{"sourceIPv4Address": IPv4Address("192.0.2.1")}],
    ]
    octets = they_write(ipfix, *zip(theirs, records))
    assert we_read(octets) == [*records[0], *records[1]]


def test_domains_have_templates_of_their_own(ipfix):
    one, other = Template(300, "octetDeltaCount[4]"), Template(300, "sourceIPv4Address")
    messages = [
        IPFIX(observationDomainId=1, sets=[one]),
        IPFIX(observationDomainId=2, sets=[other]),
        IPFIX(observationDomainId=1) / DataSet(template=one, records=[(5,)]),
        IPFIX(observationDomainId=2) / DataSet(template=other, records=[("0.0.0.5",)]),
    ]
    expected = [{"octetDeltaCount": 5}, {"sourceIPv4Address": IPv4Address("0.0.0.5")}]
    assert they_read(ipfix, *messages) == expected
    assert list(iter_records([bytes(each) for each in messages], values="python")) == expected


def test_a_template_that_changes(ipfix):
    one, other = Template(300, "octetDeltaCount[4]"), Template(300, "sourceIPv4Address")
    messages = [
        IPFIX(sets=[one, DataSet(template=one, records=[(5,)])]),
        IPFIX(sets=[other, DataSet(template=other, records=[("0.0.0.5",)])]),
    ]
    assert they_read(ipfix, *messages) == [
        {"octetDeltaCount": 5},
        {"sourceIPv4Address": IPv4Address("0.0.0.5")},
    ]


def test_many_messages_of_an_exporter(ipfix):
    template = Template(300, "octetDeltaCount", "interfaceName", "flowStartMilliseconds")
    rows = [(n, f"eth{n}", WHEN + timedelta(milliseconds=n)) for n in range(500)]
    messages = list(Exporter(domain=7, mtu=500).export(template, rows, export_time=WHEN))
    assert len(messages) > 20
    found = they_read(ipfix, *messages)
    assert [each["octetDeltaCount"] for each in found] == list(range(500))
    assert [each["flowStartMilliseconds"] for each in found] == [
        when.replace(tzinfo=None) for _, _, when in rows
    ]


def test_what_they_count_is_what_we_count(ipfix):
    """Sequence numbers of theirs count Data Records, as RFC 7011 3.1 has it."""
    template = ipfix.template.for_specs(300, "octetDeltaCount")
    buffer = ipfix.message.MessageBuffer()
    # It does not count what it writes, only what it reads: the numbers are given to it.
    octets, sequence = [], 0
    buffer.begin_export(7)
    buffer.add_template(template)
    for records in (3, 5, 2):
        buffer.sequence = sequence
        buffer.export_ensure_set(300)
        for number in range(records):
            buffer.export_namedict({"octetDeltaCount": number})
        octets.append(buffer.to_bytes())
        buffer.begin_export(7)
        sequence += records
    session = IPFIXSession()
    assert len(list(iter_records(octets, session=session))) == 10
    assert dict(session.diagnostics.counts) == {}


def test_lists_are_octets_to_them(ipfix):
    """A list is octets in python-ipfix, and its octets are a list here."""
    template = Template(300, "octetDeltaCount", "basicList")
    given = ("interfaceName", ["eth0", "lo"])
    message = IPFIX(sets=[template]) / DataSet(template=template, records=[(5, given)])
    (found,) = they_read(ipfix, message)
    octets = bytes(found["_ipfix_0_291"])
    assert BasicList(octets).values == ["eth0", "lo"]
    theirs = ipfix.template.for_specs(300, "octetDeltaCount", "(0/291)[65535]")
    written = they_write(ipfix, (theirs, [{"octetDeltaCount": 5, "_ipfix_0_291": octets}]))
    assert we_read(written) == [{"octetDeltaCount": 5, "basicList": ["eth0", "lo"]}]
    assert written[16:] == bytes(message)[16:]


# -- NetFlow v9, which it reads only


def test_they_read_netflow_v9(ipfix):
    template = Template(300, "IPV4_SRC_ADDR", "IN_BYTES[4]", "PROTOCOL", "L4_SRC_PORT")
    rows = [("192.0.2.1", 1500, 6, 80), ("192.0.2.2", 60, 17, 53), ("192.0.2.3", 1, 1, 0)]
    messages = [
        NetFlowV9(sets=[TemplateFlowSet(templates=[template])], sourceId=7),
        NetFlowV9(sets=[DataFlowSet(template=template, records=rows)], sourceId=7),
    ]
    stream = io.BytesIO(b"".join(map(bytes, messages)))
    found = list(ipfix.v9pdu.from_stream(stream).namedict_iterator())
    assert [tuple(each.values()) for each in found] == [
        (IPv4Address(address), octets, protocol, port) for address, octets, protocol, port in rows
    ]
    assert list(found[0]) == list(template.names)

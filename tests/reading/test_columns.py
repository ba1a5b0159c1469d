# SPDX-License-Identifier: GPL-2.0-or-later
"""Records as columns: the values of iter_records, field by field."""

import io
import ipaddress
import struct
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.layers.messages import IPFIX
from scapy_ipfix.layers.sets import (
    DataSet,
    Set,
    TemplateSet,
)
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.model import elements
from scapy_ipfix.reading.columns import (
    COLUMNS,
    LayoutBuffers,
    address_text,
    read_columns,
    to_pandas,
)
from scapy_ipfix.reading.reader import iter_records, iter_sets
from scapy_ipfix.reading.selection import ORIGIN
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.reading.sourcefiles import SourceFiles
from scapy_ipfix.wire.template import Template
from tests import builders
from tests.builders import data_set, template_sets
from tests.strategies import filled

np = pytest.importorskip("numpy")

FLOW = Template(256, "sourceIPv4Address", "destinationIPv4Address", "octetDeltaCount[4]")
NAMED = Template(257, "octetDeltaCount", "interfaceName", "sourceIPv4Address", "applicationName")
OPTIONS = Template(258, "exportingProcessId", "exportedMessageTotalCount", scope=1)
FLOWS = [("192.0.2.1", "198.51.100.1", 1500), ("192.0.2.2", "198.51.100.1", 40)]
NAMES = [(7, "eth0", "192.0.2.3", "dns"), (8, "", "192.0.2.4", "x" * 300)]


def message(*parts, domain=7, version=10):
    """Return a message with templates, and (template, records) as Data Sets, in this order."""
    sets = []
    for part in parts:
        if isinstance(part, Template):
            sets += template_sets(part, version=version)
        else:
            sets.append(data_set(*part, version=version))
    return bytes(builders.message(*sets, domain=domain, version=version))


def tolists(columns):
    return {name: array.tolist() for name, array in columns.items()}


def ipv4(*texts):
    return [int(ipaddress.IPv4Address(text)) for text in texts]


# Compared with iter_records


def differs(field, item, value):
    """Return True if an item of an array differs from a value of the Scapy domain."""
    kind, name = field.data_type, field.data_type.name
    if field.is_variable or not field.length or name in ("string", "unsigned256"):
        item = item.tobytes() if isinstance(item, np.void) else item
        return type(item) is not type(value) or item != value
    if isinstance(value, bytes):
        return item.tobytes() != value
    if name in ("ipv4Address", "ipv6Address", "macAddress"):
        return address_text(item) != value
    if name in ("dateTimeMicroseconds", "dateTimeNanoseconds"):
        if not value:
            return not np.isnat(item)
        return item != np.datetime64(kind.to_text(value).rstrip("Z"))
    if kind.is_time:
        milliseconds = value * (1000 if name == "dateTimeSeconds" else 1)
        return not np.isnat(item) if milliseconds >> 63 else item.astype("i8") != milliseconds
    if name == "boolean" and isinstance(item, np.uint8):
        return {1: True, 2: False}.get(int(item), item) != value
    return item != value


def check(columns, source):
    """Compare columns with the records of the same Data Sets."""
    rows = {}
    for read in iter_sets(source, IPFIXSession()):
        codec = read.template.codec
        found = codec.rows(read.body)
        if found:
            rows.setdefault(read.template.fields, []).extend(found)
    assert [template.fields for template in columns] == list(rows)
    for template, arrays in columns.items():
        assert list(arrays) == list(template.names)
        for position, field in enumerate(template.fields):
            values = [row[position] for row in rows[template.fields]]
            items = arrays[field.name]
            assert len(items) == len(values)
            wrong = [pair for pair in zip(items, values) if differs(field, *pair)]
            assert not wrong, f"{field}: {wrong[0]}"
    return sum(map(len, rows.values()))


@given(st.sampled_from([9, 10]).flatmap(lambda v: st.tuples(st.just(v), filled(v))))
def test_columns_equal_records(case):
    version, (template, rows) = case[0], (case[1].template, case[1].rows)
    octets = message(template, (template, rows), version=version)
    assert check(read_columns(octets), octets) == len(list(iter_records(octets)))


@given(filled(min_size=1), st.data())
def test_selected_columns_equal_all_columns(case, data):
    template, rows = case.template, case.rows
    octets = message(template, (template, rows))
    (everything,) = read_columns(octets).values()
    wanted = data.draw(st.lists(st.sampled_from(template.names), min_size=1, unique=True))
    session = IPFIXSession()
    (some,) = read_columns(octets, fields=wanted, session=session).values()
    assert tolists(some).keys() == dict.fromkeys(wanted).keys()
    assert repr(tolists(some)) == repr({name: everything[name].tolist() for name in wanted})


def test_own_captures(root):
    paths = sorted(root.glob("pcaps/*.pcap*"))
    assert sum(check(read_columns(path), path) for path in paths) > 1000


def test_shared_captures(captures):
    paths = sorted(captures.glob("*.pcap"))
    assert sum(check(read_columns(path), path) for path in paths) > 100


# Functions


def test_path(root):
    path = root / "pcaps" / "softflowd_v9.pcap"
    found = read_columns(path, ["octetDeltaCount"], kind="data")
    totals = [int(columns["octetDeltaCount"].sum()) for columns in found.values()]
    assert len(totals) > 1
    records = iter_records(path, ["octetDeltaCount"], kind="data")
    assert sum(totals) == sum(octets for (octets,) in records) > 0


def test_sources():
    octets = message(FLOW, (FLOW, FLOWS))
    expected = {FLOW: {"octetDeltaCount": [1500, 40]}}
    for source in (octets, [octets], iter([octets]), IPFIX(octets), io.BytesIO(octets)):
        found = read_columns(source, ["octetDeltaCount"])
        assert {template: tolists(columns) for template, columns in found.items()} == expected


def test_nothing_to_read(tmp_path):
    assert read_columns([]) == {}
    assert read_columns(message(FLOW)) == {}
    with pytest.raises(OSError, match="nowhere"):
        read_columns(tmp_path / "nowhere.pcap")


def test_layouts_in_order_of_appearance():
    found = read_columns([message(NAMED, FLOW, (FLOW, FLOWS)), message((NAMED, NAMES))])
    # octets of messages belong to one transport session
    assert list(found) == [FLOW, NAMED]
    assert tolists(found[NAMED]) == {
        "octetDeltaCount": [7, 8],
        "interfaceName": ["eth0", ""],
        "sourceIPv4Address": ipv4("192.0.2.3", "192.0.2.4"),
        "applicationName": ["dns", "x" * 300],
    }


def test_equal_layouts_share_columns():
    again = FLOW.with_id(999)
    octets = [message(FLOW, again, (again, FLOWS[:1]), (FLOW, FLOWS)), message((again, FLOWS[1:]))]
    found = read_columns(octets, context=True)
    assert list(found) == [again]
    assert tolists(found[again]) == {
        "_exporter": ["message"] * 4,
        "_domain": [7] * 4,
        "_template": [999, 256, 256, 999],
        "_version": [10] * 4,
        "_export_time": [datetime(1970, 1, 1)] * 4,
        "_packet": [1, 1, 1, 2],
        "_file": [None] * 4,
        "sourceIPv4Address": ipv4("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"),
        "destinationIPv4Address": ipv4(*["198.51.100.1"] * 4),
        "octetDeltaCount": [1500, 1500, 40, 40],
    }
    assert found[again]["_domain"].dtype == np.dtype("u4")
    assert found[again]["_template"].dtype == np.dtype("u2")


def test_other_lengths_are_another_layout():
    wide = Template(300, "sourceIPv4Address", "destinationIPv4Address", "octetDeltaCount")
    found = read_columns(message(FLOW, wide, (FLOW, FLOWS), (wide, FLOWS)))
    assert [columns["octetDeltaCount"].tolist() for columns in found.values()] == [[1500, 40]] * 2
    assert {columns["octetDeltaCount"].dtype for columns in found.values()} == {np.dtype("u8")}


def test_context_of_domains():
    found = read_columns(
        [message(FLOW, (FLOW, FLOWS), domain=1), message(FLOW, (FLOW, FLOWS[:1]), domain=2)],
        context=True,
    )
    assert found[FLOW]["_domain"].tolist() == [1, 1, 2]


def test_context_of_exporters(root):
    found = read_columns(root / "pcaps" / "softflowd_ipfix.pcap", context=True)
    exporters = {each for columns in found.values() for each in columns["_exporter"]}
    session = IPFIXSession()
    list(iter_records(root / "pcaps" / "softflowd_ipfix.pcap", session=session))
    assert exporters == {domain.transport.source for domain in session.collector.domains}


def test_fields():
    octets = message(FLOW, NAMED, (FLOW, FLOWS), (NAMED, NAMES))
    found = read_columns(octets, ["octetDeltaCount", "sourceIPv4Address"])
    assert [(template, list(columns)) for template, columns in found.items()] == [
        (FLOW, ["octetDeltaCount", "sourceIPv4Address"]),
        (NAMED, ["octetDeltaCount", "sourceIPv4Address"]),
    ]
    assert list(read_columns(octets, ["octetDeltaCount", "interfaceName"])) == [NAMED]
    assert read_columns(octets, ["sourceIPv6Address"]) == {}
    joined = np.concatenate([each["octetDeltaCount"] for each in found.values()])
    assert joined.tolist() == [1500, 40, 7, 8]


def test_fields_by_their_name_in_netflow_v9():
    (columns,) = read_columns(message(FLOW, (FLOW, FLOWS)), ["IPV4_SRC_ADDR"]).values()
    assert tolists(columns) == {"sourceIPv4Address": ipv4("192.0.2.1", "192.0.2.2")}


def test_no_fields():
    assert read_columns(message(FLOW, (FLOW, FLOWS)), []) == {FLOW: {}}
    assert read_columns(message(NAMED, (NAMED, NAMES)), []) == {NAMED: {}}


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"fields": ["octetDeltaCoumt"]}, "octetDeltaCoumt"),
        ({"fields": "octetDeltaCount"}, "fields is a list of names"),
        ({"kind": "flows"}, "kind is 'all', 'data' or 'options', not 'flows'"),
    ],
)
@pytest.mark.parametrize("function", [read_columns, to_pandas])
def test_mistakes(function, arguments, problem):
    if function is to_pandas:
        pytest.importorskip("pandas")
    with pytest.raises(ValueError, match=problem):
        function([], **arguments)


def test_kinds():
    octets = message(FLOW, OPTIONS, (FLOW, FLOWS), (OPTIONS, [(1, 100)]))
    assert list(read_columns(octets)) == [FLOW, OPTIONS]
    assert list(read_columns(octets, kind="data")) == [FLOW]
    assert list(read_columns(octets, kind="options")) == [OPTIONS]


def test_late_template():
    octets = [message((FLOW, FLOWS[:1])), message(FLOW, (FLOW, FLOWS[1:]))]
    (columns,) = read_columns(octets).values()
    # in the order in which they can be decoded, as by iter_records
    expected = [octets for (octets,) in iter_records(octets, ["octetDeltaCount"])]
    assert columns["octetDeltaCount"].tolist() == expected
    assert sorted(expected) == [40, 1500]


def test_session_of_the_caller():
    session = IPFIXSession()
    read_columns(message((FLOW, FLOWS)), session=session)
    assert session.diagnostics.counts["missing-template"] == 1
    (columns,) = read_columns(message(FLOW), session=session).values()
    assert len(columns["octetDeltaCount"]) == 2


@pytest.mark.parametrize("template", [FLOW, NAMED])
@pytest.mark.parametrize("rest", [b"\0", b"\0\0\0", b"\xff\xff\xff"])
def test_padding_and_records_cut_off(template, rest):
    rows = FLOWS if template is FLOW else NAMES
    body = b"".join(template.encode_rows(rows)) + rest
    body_cut = body + template.encode(rows[0])[:-1]
    announcement = message(template)
    for octets in (body, body_cut):
        octets = struct.pack("!HH", template.id, 4 + len(octets)) + octets
        data = struct.pack("!HHIII", 10, 16 + len(octets), 0, 0, 7) + octets
        source = [announcement, data]
        assert check(read_columns(source), source) >= 2


def test_templates_without_records():
    empty = Template(300, "interfaceName[0]", "octetDeltaCount[0]")
    huge = Template(301, "interfaceName[40000]", "applicationName[25535]", "userName")
    huger = Template(302, "interfaceName[40000]", "applicationName[30000]")
    data = b"".join(struct.pack("!HH", each.id, 12) + bytes(8) for each in (empty, huge, huger))
    data = struct.pack("!HHIII", 10, 16 + len(data), 0, 0, 7) + data
    assert read_columns([message(empty, huge, huger), data]) == {}


def test_an_element_twice():
    twice = Template(300, "tcpControlBits", "interfaceName", "tcpControlBits[1]")
    (columns,) = read_columns(message(twice, (twice, [(2, "a", 18), (3, "b", 19)]))).values()
    assert tolists(columns) == {
        "tcpControlBits": [2, 3],
        "interfaceName": ["a", "b"],
        "tcpControlBits_2": [18, 19],
    }


def test_lists_are_octets(root):
    template = Template(300, "octetDeltaCount[1]", "basicList")
    body = bytes.fromhex("05 05 ff00070001 06 05 0300070001")
    data = struct.pack("!HHIII", 10, 20 + len(body), 0, 0, 7)
    data += struct.pack("!HH", 300, 4 + len(body)) + body
    (columns,) = read_columns([message(template), data]).values()
    assert tolists(columns) == {
        "octetDeltaCount": [5, 6],
        "basicList": [bytes.fromhex("ff00070001"), bytes.fromhex("0300070001")],
    }


def test_a_field_named_as_a_context_column():
    model = elements.copy()
    model.add(InformationElement("_domain", 1, 99999, data_type("unsigned8")))
    template = Template(300, "_domain", "octetDeltaCount[1]", model=model)
    octets = message(template, (template, [(5, 6)]))
    (columns,) = read_columns(octets, context=True, session=IPFIXSession(model=model)).values()
    assert tolists(columns) == {
        "_exporter": ["message"],
        "_domain": [7],
        "_template": [300],
        "_version": [10],
        "_export_time": [datetime(1970, 1, 1)],
        "_packet": [1],
        "_file": [None],
        "octetDeltaCount": [6],
    }


# DataFrames


def test_data_frame_of_two_layouts():
    pandas = pytest.importorskip("pandas")
    frame = to_pandas(message(FLOW, NAMED, (FLOW, FLOWS), (NAMED, NAMES)))
    assert list(frame.columns) == [
        *ORIGIN,
        *FLOW.names,
        "interfaceName",
        "applicationName",
    ]
    assert frame["sourceIPv4Address"].tolist() == [f"192.0.2.{i}" for i in (1, 2, 3, 4)]
    assert frame["octetDeltaCount"].tolist() == [1500, 40, 7, 8]
    assert frame["octetDeltaCount"].dtype == "UInt64"
    assert frame["_template"].tolist() == [256, 256, 257, 257]
    assert frame["_exporter"].tolist() == ["message"] * 4
    assert frame["interfaceName"].isna().tolist() == [True, True, False, False]
    assert frame["interfaceName"][2] == "eth0"
    assert frame["destinationIPv4Address"].isna().tolist() == [False, False, True, True]
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert frame.groupby("destinationIPv4Address")["octetDeltaCount"].sum().tolist() == [1540]
    assert isinstance(frame, pandas.DataFrame)


def test_data_frame_counters_keep_every_digit():
    pytest.importorskip("pandas")
    octets = Template(300, "octetDeltaCount")
    source = message(octets, OPTIONS, (octets, [((1 << 64) - 1,)]), (OPTIONS, [(1, 2)]))
    frame = to_pandas(source)
    # pandas turns integers with missing values into floats, which would round them
    assert int(frame["octetDeltaCount"][0]) == (1 << 64) - 1
    assert frame["octetDeltaCount"].isna().tolist() == [False, True]


def test_data_frame_of_every_type():
    pandas = pytest.importorskip("pandas")
    template = Template(
        300,
        "flowStartMilliseconds",
        "flowStartNanoseconds",
        "sourceMacAddress",
        "sourceIPv6Address",
        "dataRecordsReliability",
        "samplingProbability",
        "ipHeaderPacketSection[3]",
        "interfaceName[4]",
        "mibObjectValueInteger",
    )
    row = (
        1704067200123,
        1 << 63,
        "02:00:5e:10:00:01",
        "2001:db8::1",
        True,
        0.5,
        b"\0\1\0",
        "e0",
        -3,
    )
    frame = to_pandas(message(template, OPTIONS, (template, [row]), (OPTIONS, [(1, 2)])))
    first = frame.iloc[0]
    assert first["flowStartMilliseconds"] == pandas.Timestamp("2024-01-01T00:00:00.123Z")
    assert first["flowStartNanoseconds"] == pandas.Timestamp("1968-01-20T03:14:08Z")
    assert first["sourceMacAddress"] == "02:00:5e:10:00:01"
    assert first["sourceIPv6Address"] == "2001:db8::1"
    assert first["dataRecordsReliability"] is np.True_ or first["dataRecordsReliability"] is True
    assert frame["dataRecordsReliability"].dtype == "boolean"
    assert first["samplingProbability"] == 0.5
    assert first["ipHeaderPacketSection"] == b"\0\1\0"
    assert first["interfaceName"] == "e0"
    assert first["mibObjectValueInteger"] == -3
    assert frame[list(template.names)].iloc[1].isna().all()


def test_data_frame_of_some_fields():
    pytest.importorskip("pandas")
    octets = message(FLOW, NAMED, OPTIONS, (FLOW, FLOWS), (NAMED, NAMES), (OPTIONS, [(1, 2)]))
    frame = to_pandas(octets, ["sourceIPv4Address", "octetDeltaCount"])
    assert list(frame.columns) == [*ORIGIN, "sourceIPv4Address", "octetDeltaCount"]
    assert len(frame) == 4
    assert len(to_pandas(octets, kind="options")) == 1


def test_empty_data_frame():
    pytest.importorskip("pandas")
    assert list(to_pandas([]).columns) == list(ORIGIN)
    assert list(to_pandas([], ["octetDeltaCount"]).columns) == [*ORIGIN, "octetDeltaCount"]


@given(st.lists(filled(min_size=1), min_size=1, max_size=3))
def test_any_records_make_a_data_frame(cases):
    pytest.importorskip("pandas")
    octets = [
        message(each.template, (each.template, each.rows), domain=domain)
        for domain, each in enumerate(cases)
    ]
    frame = to_pandas(octets)
    assert len(frame) == sum(len(each.rows) for each in cases)
    assert set(frame.columns) == {*ORIGIN, *(n for each in cases for n in each.template.names)}


@pytest.mark.parametrize(
    "fields", [["octetDeltaCount[0]"], ["octetDeltaCount[0]"] * 50 + ["vlanId"]]
)
def test_template_without_octets(fields):
    """Templates of length 0, or with thousands of fields of length 0."""
    template = Template(300, *fields)
    message = IPFIX(sets=[TemplateSet(templates=[template]), Set(setId=300, data=bytes(8))])
    assert len(read_columns(bytes(message), list(template.names[:1]))) == 0


def test_buffers_count_fields_of_layouts() -> None:
    """A thousand layouts may have a record each."""
    held = LayoutBuffers(None, SourceFiles())
    wide = Template(256, *["octetDeltaCount[1]"] * 200)
    for number in range(50):
        known = wide.with_id(256 + number)
        data = DataSet(template=known, records=[bytes(200)])
        octets = [bytes(IPFIX(sets=[known])), bytes(IPFIX(sets=[data]))]
        for read in iter_sets(octets, IPFIXSession()):
            assert read.template is not None
            held.add(read, read.template)
    assert held.records == 50
    assert held.fields == 50 * 201
    list(held.drain())
    assert (held.records, held.octets, held.fields) == (0, 0, 0)


def test_too_many_columns_need_fields():
    """An exporter may define any number of fields, each a column with a cell per record."""
    pytest.importorskip("pandas")
    half = COLUMNS // 2 + 1
    wide = [
        Template(300 + at, *(f"_ipfix_64999_{at * half + each}[1]" for each in range(half)))
        for at in range(2)
    ]
    parts = [(each, [(b"\0",) * half]) for each in wide]
    assert len(to_pandas([message(wide[0], parts[0])]).columns) == half + len(ORIGIN)
    both = [message(*wide, *parts)]
    with pytest.raises(ValueError, match="more than 1024 columns for one DataFrame: give fields"):
        to_pandas(both)
    assert len(to_pandas(both, ["_ipfix_64999_1"])) == 1
    whole = Template(302, *(f"_ipfix_64999_{each}[1]" for each in range(COLUMNS + 1)))
    asked = to_pandas([message(whole, (whole, [(b"\0",) * (COLUMNS + 1)]))], whole.names)
    assert asked.shape == (1, COLUMNS + 1 + len(ORIGIN))

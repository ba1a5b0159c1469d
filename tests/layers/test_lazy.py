# SPDX-License-Identifier: GPL-2.0-or-later
"""Lists that make their packets on first access, and packets that build from octets until then."""

import copy
import pickle
import re

import pytest
from scapy.config import conf
from scapy.packet import Packet, Raw

from scapy_ipfix import IPFIX, DataSet, Template, TemplateSet
from scapy_ipfix.layers import lazy
from scapy_ipfix.layers.lazy import HTML_COLUMNS, HTML_ROWS, LazyPacketList, build_packets

T = Template(256, "sourceIPv4Address", "octetDeltaCount")
ROWS = [("192.0.2.1", 5), ("192.0.2.2", 6)]
MESSAGE = bytes(
    IPFIX(
        exportTime=1,
        sets=[TemplateSet(templates=[T]), DataSet(template=T, records=ROWS)],
    )
)


class Loader:
    """Loader of two packets that records its calls."""

    def __init__(self):
        self.calls = []

    def __call__(self, owner):
        self.calls.append(owner)
        return [Raw(b"a"), Raw(b"b")]


def fresh(count=2):
    loader = Loader()
    return loader, LazyPacketList(loader, b"ab", count)


LOOKS = {
    "iter": lambda each: [bytes(one) for one in each],
    "index": lambda each: each[0],
    "slice": lambda each: each[1:],
    "contains": lambda each: Raw(b"a") in each,
    "reversed": lambda each: list(reversed(each)),
    "equal": lambda each: each == [Raw(b"a")],
    "equal from the left": lambda each: [Raw(b"a")] == each,
    "unequal": lambda each: each != [],
    "add": lambda each: each + [Raw(b"c")],
    "radd": lambda each: [Raw(b"c")] + each,
    "iadd": lambda each: each.__iadd__([Raw(b"c")]),
    "mul": lambda each: each * 2,
    "repr": repr,
    "sorted": lambda each: sorted(each, key=bytes),
    "list": list,
    "tuple": tuple,
    "star": lambda each: [*each],
    "append": lambda each: each.append(Raw(b"c")),
    "extend": lambda each: each.extend([Raw(b"c")]),
    "insert": lambda each: each.insert(0, Raw(b"c")),
    "pop": lambda each: each.pop(),
    "remove": lambda each: each.remove(Raw(b"a")),
    "clear": lambda each: each.clear(),
    "reverse": lambda each: each.reverse(),
    "sort": lambda each: each.sort(key=bytes),
    "index of": lambda each: each.index(Raw(b"b")),
    "count": lambda each: each.count(Raw(b"b")),
    "copy": lambda each: each.copy(),
    "set item": lambda each: each.__setitem__(0, Raw(b"c")),
    "delete item": lambda each: each.__delitem__(0),
    "extend another": lambda each: [].extend(each),
    "assign slice": lambda each: [1, 2, 3].__setitem__(slice(0, 1), each),
    "copy module": copy.copy,
    "pickle": pickle.dumps,
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_every_access_makes_the_packets_once(look):
    loader, lazily = fresh()
    look(lazily)
    assert len(loader.calls) == 1
    assert lazily.octets is None
    list(lazily)
    assert len(loader.calls) == 1


def test_accesses_that_make_no_packets():
    loader, lazily = fresh()
    assert len(lazily) == 2
    assert lazily
    assert lazily.octets == build_packets(lazily) == b"ab"
    assert not loader.calls


def test_accesses_return_the_same_as_a_list():
    packets = [Raw(b"a"), Raw(b"b")]
    assert fresh()[1] == packets
    assert packets == fresh()[1]
    assert fresh()[1][1] == packets[1]
    assert fresh()[1][:] == packets
    assert [Raw(b"c")] + fresh()[1] == [Raw(b"c"), *packets]
    assert fresh()[1] + [Raw(b"c")] == [*packets, Raw(b"c")]
    assert fresh()[1] * 2 == 2 * fresh()[1] == packets * 2
    assert fresh()[1].pop(0) == packets[0]
    assert pickle.loads(pickle.dumps(fresh()[1])) == packets
    lazily = fresh()[1]
    lazily += [Raw(b"c")]
    assert lazily == [*packets, Raw(b"c")]


def test_an_unknown_length():
    loader, lazily = fresh(count=None)
    assert len(lazily) == 2
    assert len(loader.calls) == 1


def test_copies_of_lazy_lists_are_lazy():
    loader, lazily = fresh()
    other = lazily.fresh()
    assert isinstance(other, LazyPacketList)
    assert not loader.calls
    assert list(other) == list(lazily)
    assert len(loader.calls) == 2
    assert lazily.fresh() == list(lazily)
    assert lazily.fresh()[0] is not lazily[0]


@pytest.fixture
def class_names(monkeypatch):
    """Return a list of the classes of packets made from now on."""
    counted = []
    original = Packet.__init__

    def count(self, *arguments, **keywords):
        counted.append(type(self).__name__)
        original(self, *arguments, **keywords)

    monkeypatch.setattr(Packet, "__init__", count)
    return counted


def test_an_untouched_message_makes_no_sets(class_names):
    message = IPFIX(MESSAGE)
    assert class_names == ["IPFIX"]
    assert bytes(message) == MESSAGE
    assert message.observationDomainId == 0
    assert class_names == ["IPFIX"]


def test_a_copy_of_a_message_makes_no_sets(class_names):
    message = IPFIX(MESSAGE).copy()
    assert bytes(message) == MESSAGE
    assert set(class_names) == {"IPFIX"}
    del class_names[:]
    assert len(message.sets) == 2
    assert "DataSet" in class_names


def test_a_changed_header_makes_no_sets(class_names):
    message = IPFIX(MESSAGE)
    message.observationDomainId = 7
    assert bytes(message) == MESSAGE[:12] + b"\0\0\0\7" + MESSAGE[16:]
    assert class_names == ["IPFIX"]


def test_an_untouched_set_makes_no_records(monkeypatch):
    monkeypatch.setattr("scapy_ipfix.layers.recordlists.read_records", None)
    message = IPFIX(MESSAGE)
    data = message.sets[1]
    assert len(data.fields["records"]) == 2
    assert "2 records" in message.summary()
    assert bytes(message) == MESSAGE


def test_rows_are_encoded_without_a_packet_for_each(monkeypatch):
    monkeypatch.setattr("scapy_ipfix.layers.recordlists.read_records", None)
    data = DataSet(template=T, records=ROWS * 100)
    assert len(bytes(data)) == 4 + 200 * 12
    assert len(bytes(IPFIX(sets=[data]))) == 20 + 200 * 12


def test_sets_know_their_message_and_records_their_set():
    message = IPFIX(MESSAGE)
    data = message.sets[1]
    assert data.parent is message
    assert data.records[0].parent is data
    assert message.sets[0].templates[0].parent is message.sets[0]
    other = message.copy()
    assert other.sets[1] is not data


def test_copies_are_independent():
    message = IPFIX(MESSAGE)
    for looked in (False, True):
        if looked:
            message.show(dump=True)
        other = message.copy()
        other.sets[1].records[0].octetDeltaCount = 9
        assert bytes(message) == MESSAGE
        assert bytes(other) == MESSAGE.replace(bytes((0, 5)), bytes((0, 9)))


def test_copies_have_defects_of_their_own():
    octets = MESSAGE[:2] + (len(MESSAGE) + 4).to_bytes(2, "big") + MESSAGE[4:] + b"\1\0\0\3"
    message = IPFIX(octets)
    other = message.copy()
    assert [each.code for each in other.defects] == ["set-length"]
    assert [each.code for each in message.defects] == ["set-length"]
    assert [each.code for each in other.copy().defects] == ["set-length"]


def test_accessing_everything_does_not_change_the_octets():
    message = IPFIX(MESSAGE)
    message.show(dump=True)
    message.show2(dump=True)
    message.command()
    repr(message)
    for record in message.records:
        record.values()
    assert bytes(message) == MESSAGE
    assert message.sets[1].raw_packet_cache == MESSAGE[-28:]


def test_changes_at_every_depth_are_built():
    message = IPFIX(MESSAGE)
    message.sets[1].records[1].octetDeltaCount = 7
    assert bytes(message) == MESSAGE[:-1] + b"\7"
    message = IPFIX(MESSAGE)
    message.sets[0].templates[0].fieldSpecifiers[1].fieldLength = 4
    assert bytes(message) == MESSAGE.replace(b"\0\1\0\x08", b"\0\1\0\4")
    message = IPFIX(MESSAGE)
    message.sets[1].records.pop()
    assert bytes(message) == MESSAGE[:-12]  # Scapy keeps dissected lengths.
    del message.length, message.sets[1].length
    assert bytes(message)[2:4] == (len(MESSAGE) - 12).to_bytes(2, "big")
    assert bytes(message)[-16:-12] == b"\1\0\0\x10"


def test_raw_octets():
    assert lazy.raw(b"abc") == conf.raw_layer(b"abc")
    assert lazy.raw(b"abc", message := IPFIX()).parent is message


# Notebooks


def cells(html, tag="td"):
    return re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)


def test_lists_of_records_are_tables_in_a_notebook():
    template = Template(256, "octetDeltaCount[4]", "interfaceName", "protocolIdentifier")
    hostile = "<script>\x1b[2J\n&" + "x" * 60_000
    data = DataSet(template=template, records=[(5, hostile, 6), (6, "eth0", 17)])
    data = DataSet(bytes(data)).bind(template)
    html = data.records._repr_html_()
    assert cells(html, "th") == ["octetDeltaCount", "interfaceName", "protocolIdentifier"]
    number, text, protocol, *others = cells(html)
    assert (number, protocol) == ("5", "tcp")
    assert text.startswith("&lt;script&gt;\\x1b[2J\\n&amp;xxx")
    assert len(text) < 100
    assert others == ["6", "eth0", "udp"]
    message = IPFIX(sets=[data])
    for records in (message.records, data.copy().records, pickle.loads(pickle.dumps(data.records))):
        assert records._repr_html_() == html


def test_tables_of_records_are_bounded():
    template = Template(256, *["octetDeltaCount[1]"] * 300)
    data = DataSet(template=template, records=[bytes(300)] * (HTML_ROWS + 7))
    html = data.records._repr_html_()
    assert html.count("<tr>") == HTML_ROWS + 1
    assert html.endswith("<p>7 more</p>")
    assert len(cells(html, "th")) == HTML_COLUMNS + 1
    assert cells(html, "th")[-1] == f"{300 - HTML_COLUMNS} more"


def test_tables_of_different_packets():
    flow, other = Template(256, "octetDeltaCount[4]"), Template(257, "basicList", "ipTTL")
    sets = [
        DataSet(template=flow, records=[(5,), (6,)]),
        DataSet(template=other, records=[(("octetDeltaCount[4]", [1]), 64)]),
        b"octets",
    ]
    message = IPFIX(sets=sets)
    html = message.records._repr_html_()
    assert html.count("<table>") == 2
    assert cells(html) == ["5", "6", "basicList of octetDeltaCount", "64"]
    assert cells(message.sets._repr_html_()) == [
        *("Data Set None: 2 records", "Data Set None: 1 record", "Raw"),
    ]
    assert LazyPacketList(lambda owner: [], b"")._repr_html_() == ""

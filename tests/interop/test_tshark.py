# SPDX-License-Identifier: GPL-2.0-or-later
"""Every capture as this package and as tshark read it: records, fields, octets, values, names.

What the two read differently is listed in :data:`DIFFERENCES`, each with the reason in
:data:`REASONS`; a difference that is not in the list fails, and so does one that is gone.
"""

from __future__ import annotations

import ipaddress
import math
import random
import re
from collections import Counter
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from scapy.all import IP, UDP, Ether, Packet, rdpcap, wrpcap

from scapy_ipfix import (
    IPFIX,
    DataFlowSet,
    DataSet,
    IPFIXSession,
    NetFlowV9,
    Template,
    TemplateFlowSet,
    TemplateSet,
    elements,
    iter_records,
)
from scapy_ipfix.collector.collected import CollectedMessage, CollectedSet
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.model.reverse import REVERSE_PEN
from scapy_ipfix.reading.reader import iter_messages
from scapy_ipfix.wire.field import TemplateField, is_invalid_length
from tests.interop import tshark

ROOT = Path(__file__).resolve().parents[2]
PCAPS = ROOT / "pcaps"
SHARED = ROOT.parent / "shared" / "captures"
#: The version that the differences were seen with. Others may differ in fewer places.
KNOWN_VERSION = "4.0.17"

pytestmark = pytest.mark.skipif(tshark.TSHARK is None, reason="tshark is not installed")

#: Reasons for the differences from tshark.
REASONS = {
    "end position": "tshark puts the end of a flow that stands before its start somewhere behind "
    "the record; the octets that it shows are the same",
    "start length": "tshark gives the start of a flow without an end 4 octets, and shows all 8",
    "split": "tshark shows the parts of the value apart: engine and selector, type and code",
    "message ended": "the template gives an IPv4 address 2 octets: tshark ends the message "
    "there; we note field-length, keep the octets and read on",
    "set not read": "tshark takes the header's count for one of FlowSets, RFC 3954 5.1 counts "
    "records; in netflow9_h3c.pcap it has ended the message before",
    "timeval": "pmacct sends a struct timeval of 16 octets where RFC 7011 6.1.9 has 8: tshark "
    "takes octets of it for a time in 1970, we note field-length and keep the octets",
    "NUL": "tshark ends a string at the first NUL; what is on the wire stays with us",
    "number": "tshark takes for a number what the enterprise's registry calls a time",
    "date": "tshark takes milliseconds since the system came up for a date in 1970",
    "boolean": "tshark takes 2 for true, RFC 7011 6.1.5 for false",
    "half a time": "tshark reads 4 of the 8 octets",
}

_ICMP = ("split", "icmpTypeCodeIPv6")
_APPLICATION = ("split", "applicationId")
_START = ("start length", "flowStartMilliseconds")
_END = ("end position", "flowEndMilliseconds")
_END_UPTIME = ("end position", "flowEndSysUpTime")
_H3C = {
    ("message ended", name): 1
    for name in (
        *("ipv4RouterSc", "samplingAlgorithm", "_ipfix_0_0", "samplingInterval"),
        *("dstTrafficIndex", "srcTrafficIndex"),
    )
}
_NETSCALER_STRINGS = (
    *("aaaUsername", "httpContentType", "httpDomainName", "httpReqAuthorization"),
    *("httpReqCookie", "httpReqHost", "httpReqMethod", "httpReqReferer", "httpReqUrl"),
    *("httpReqUserAgent", "httpReqVia", "httpReqXForwardedFor"),
)
#: Numbers of different fields by capture, then by reason and element.
DIFFERENCES: dict[str, dict[tuple[str, str], int]] = {
    "ipfix.pcap": {("date", "flowStartSysUpTime"): 2},
    "ipfix_netscaler.pcap": {
        ("number", "httpResForwFB"): 2,
        ("number", "httpResForwLB"): 2,
        **{("NUL", name): 2 for name in _NETSCALER_STRINGS},
    },
    "ipfix_nokia_bras.pcap": {_START: 1},
    "netflow9_cisco_1941K9.pcap": {_APPLICATION: 29},
    "netflow9_cisco_asa_1.pcap": {_START: 14},
    "netflow9_cisco_asa_2.pcap": {_START: 19},
    "netflow9_cisco_asr1001x.pcap": {_APPLICATION: 25},
    "netflow9_cisco_asr9k.pcap": {_END_UPTIME: 21},
    "netflow9_cisco_nbar.pcap": {_APPLICATION: 20},
    "netflow9_cisco_wlc.pcap": {_APPLICATION: 19},
    "netflow9_fortigate_fortios_542_appid.pcap": {_APPLICATION: 17},
    "netflow9_h3c.pcap": {**_H3C, ("set not read", "3281"): 15},
    "netflow9_h3c_netstream_varstring.pcap": {**_H3C, ("message ended", "VRFname"): 1},
    "netflow9_invalid01.pcap": {
        ("set not read", "256"): 1,
        ("set not read", "1024"): 1,
        ("set not read", "2048"): 1,
    },
    "netflow9_nprobe.pcap": {("date", "flowStartSysUpTime"): 1, _END_UPTIME: 1},
    "netflow9_nprobe_dpi.pcap": {
        _APPLICATION: 1,
        ("NUL", "applicationName"): 1,
        ("NUL", "l7ProtoName"): 1,
    },
    "netflow9_paloalto_81.pcap": {_END_UPTIME: 1},
    "netflow9_paloalto_panos.pcap": {_END_UPTIME: 8},
    "netflow9_softflowd.pcap": {_END_UPTIME: 7},
    "netflow9_streamcore.pcap": {_END_UPTIME: 4},
    "netflow9_ubnt_edgerouter.pcap": {_END_UPTIME: 16},
    "netflow9_valid01.pcap": {_END_UPTIME: 7},
    "pmacctd_ipfix.pcap": {_END: 139},
    "pmacctd_ipfix_label.pcap": {_END: 43},
    "pmacctd_ipfix_usec.pcap": {
        ("timeval", "flowStartMicroseconds"): 35,
        ("end position", "flowEndMicroseconds"): 35,
    },
    "pmacctd_v9.pcap": {_END: 139},
    "softflowd_ipfix.pcap": {_ICMP: 3},
    "softflowd_ipfix.pcap.gz": {_ICMP: 3},
    "softflowd_ipfix_bidirectional.pcap": {_ICMP: 3, ("split", "reverseIcmpTypeCodeIPv6"): 3},
    "softflowd_ipfix_ether.pcap": {_ICMP: 2},
    "softflowd_ipfix_fragmented.pcap": {_ICMP: 3},
    "softflowd_ipfix_ipv6.pcap": {_ICMP: 2},
    "softflowd_ipfix_micro.pcap": {_ICMP: 1},
    "softflowd_ipfix_nano.pcap": {_ICMP: 2},
    "softflowd_ipfix_sctp.pcap": {_ICMP: 2},
    "softflowd_ipfix_tcp.pcap": {_ICMP: 3},
    "softflowd_v9.pcap": {_ICMP: 2},
    "softflowd_v9.pcapng": {_ICMP: 2},
}


def captures() -> list[Path]:
    found = sorted(PCAPS.glob("*.pcap*")) + sorted(SHARED.glob("*.pcap"))
    return [path for path in found if not path.name.startswith("netflow5")]


# -- putting the two next to each other


class Comparison:
    """Comparison with tshark; ``found`` counts differences by reason and element.

    ``octets`` counts fields at the same offset, ``values`` those with the same value in
    tshark, ``names`` are its names of elements.
    """

    def __init__(self, ours: list[CollectedMessage], theirs: list[tshark.Message]) -> None:
        self.found: Counter[tuple[str, str]] = Counter()
        self.octets = 0
        self.values = 0
        self.names: set[tuple[str, str]] = set()
        assert [each.version for each in ours] == [each.version for each in theirs]
        for message, other in zip(ours, theirs, strict=True):
            self._message(message, other)

    def _message(self, message: CollectedMessage, other: tshark.Message) -> None:
        for index in other.sets.keys() - {read.index for read in message.sets}:
            assert not other.sets[index].records
        for read in message.sets:
            theirs = other.sets.get(read.index)
            if read.template is None:
                assert theirs is not None
                assert not theirs.records
                continue
            spans, _ = read.template.codec.record_spans(read.body)
            if theirs is None:
                self.found["set not read", str(read.set_id)] += len(spans)
                continue
            assert theirs.set_id == read.set_id
            if read.octets is message.octets:  # else it waited for its template
                assert theirs.position == read.start
            assert len(theirs.records) == len(spans), f"records of set {read.index}"
            rows = read.records(read.template.names, "python")
            for span, row, record in zip(spans, rows, theirs.records, strict=True):
                self._record(read, span, row, record, message.export_time)

    def _record(
        self,
        read: CollectedSet,
        span: tuple[int, int],
        row: tuple[Any, ...],
        theirs: tuple[tshark.Field, ...],
        exported: int,
    ) -> None:
        assert read.template is not None
        left = {each.span: each for each in theirs}
        assert len(left) == len(theirs)
        elsewhere: list[tuple[TemplateField, int, bytes]] = []
        fields = octets_of(read.template, read.body[slice(*span)])
        for (field, position, octets), value in zip(fields, row, strict=True):
            if not octets:
                continue
            position += 4 + span[0]
            other = left.pop((position, len(octets)), None)
            if other is None:
                elsewhere.append((field, position, octets))
                continue
            assert other.octets == octets, f"{field.name}: {octets.hex()}, {other.octets.hex()}"
            self.octets += 1
            self._name(field.element, other)
            self._value(field, value, other, exported)
        for field, position, octets in elsewhere:
            self.found[self._why(field, position, octets, left), field.element.name] += 1
        assert not left, "tshark has more fields"

    def _why(
        self,
        field: TemplateField,
        position: int,
        octets: bytes,
        left: dict[tuple[int, int], tshark.Field],
    ) -> str:
        """In which of the known ways tshark shows a field elsewhere; takes it out of left."""
        stop = position + len(octets)
        parts = sorted(at for at in left if position <= at[0] < stop)
        if b"".join(left[at].octets for at in parts) == octets:
            for at in parts:
                del left[at]
            return "split"
        for at, each in left.items():
            if each.name in ("cflow.timeend", "cflow.abstimeend") and each.octets == octets:
                del left[at]
                return "end position"
            if each.name == "cflow.abstimestart" and at == (position, 4):
                del left[at]
                assert time_of(each.show) == field.data_type.to_python(
                    field.data_type.decode(octets)
                )
                return "start length"
        return "message ended"

    def _name(self, element: InformationElement, other: tshark.Field) -> None:
        if element.pen == REVERSE_PEN:
            assert "Reverse" in other.label
            element = elements.element(0, element.id)
        self.names.add((other.name, element.name))

    def _value(self, field: TemplateField, value: Any, other: tshark.Field, exported: int) -> None:
        said = says(other, exported, field)
        if said is None:
            return
        if said == value or (isinstance(said, float) and math.isclose(said, value, rel_tol=1e-5)):
            self.values += 1
            return
        kind = field.data_type
        why = "differs"
        if kind.name == "boolean":
            why = "boolean" if said is True and value is False else "differs"
        elif kind.name == "string":
            raw = value.encode() if isinstance(value, str) else value
            why = "NUL" if raw.startswith(said.encode() + b"\0") else "differs"
        elif kind.is_time and isinstance(said, int):
            why = "number"
        elif isinstance(said, datetime) and said.year == 1970:
            why = "half a time" if kind.is_time else "date"
            why = "timeval" if is_invalid_length(field.data_type, field.length) else why
        self.found[why, field.element.name] += 1


def octets_of(template: Template, record: bytes) -> list[tuple[TemplateField, int, bytes]]:
    """Return the fields of a record with the offsets and the octets of their values."""
    found = []
    position = 0
    for field in template.fields:
        length = field.length
        if length == 65535:
            length = record[position]
            position += 1
            if length == 255:
                length = int.from_bytes(record[position : position + 2], "big")
                position += 2
        found.append((field, position, record[position : position + length]))
        position += length
    assert position == len(record)
    return found


_DATE = re.compile(r"(\w{3} +\d+, \d{4} \d\d:\d\d:\d\d)\.(\d{6})\d{3} UTC")
_SECONDS = re.compile(r"\d+\.\d{9}")
_INTEGER = re.compile(r"-?\d+|0x[\da-f]+")


def says(other: tshark.Field, exported: int, field: TemplateField) -> Any:
    """Convert tshark's text to the Python value of a record, None for undecoded octets."""
    show, kind = other.show, field.data_type
    if other.name in tshark.UNNAMED or (
        show == other.octets.hex(":") and kind.name != "macAddress"
    ):
        return None
    if kind.name in ("ipv4Address", "ipv6Address"):
        return ipaddress.ip_address(show)
    if kind.name.startswith("float"):
        return float(show)
    if kind.name == "boolean":
        return {"0": False, "1": True}[show]
    if _DATE.fullmatch(show):
        when = time_of(show)
        if "Delta" not in field.element.name:
            return when
        # microseconds before the message was sent, of which tshark makes a time
        return round((datetime.fromtimestamp(exported, timezone.utc) - when).total_seconds() * 1e6)
    if _SECONDS.fullmatch(show):
        micro = "Microseconds" in field.element.name  # else it is milliseconds
        return int(Decimal(show) * (1_000_000 if micro else 1000))
    if (kind.is_integer or kind.is_time) and _INTEGER.fullmatch(show):
        return int(show, 0)
    return show


def time_of(show: str) -> datetime:
    """``Nov 22, 2026 00:59:04.681000000 UTC``; what is finer than microseconds is cut off."""
    found = _DATE.fullmatch(show)
    assert found is not None, show
    when = datetime.strptime(found[1], "%b %d, %Y %H:%M:%S")
    return when.replace(microsecond=int(found[2]), tzinfo=timezone.utc)


def compare(path: Path, *options: str) -> Comparison:
    ours = list(iter_messages(path, IPFIXSession()))
    return Comparison(ours, tshark.read(path, *options))


def check(comparison: Comparison, wanted: dict[tuple[str, str], int]) -> None:
    assert {why for why, _ in wanted} <= REASONS.keys()
    found = dict(comparison.found)
    if tshark.version() == KNOWN_VERSION:
        assert found == wanted
    else:
        assert found.items() <= wanted.items()
    strange = {
        pair
        for pair in comparison.names
        if pair[0] not in tshark.UNNAMED and not tshark.same_name(*pair)
    }
    assert not strange


# -- captures


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tshark.Message]]:
    """Messages of tshark in each of the shared captures.

    The captures are merged into one file, each with a source address of its own: tshark
    takes longer to start than to read them.
    """
    paths = [path for path in captures() if path.parent == SHARED]
    merged = tmp_path_factory.mktemp("tshark") / "shared.pcap"
    owners = [path.name for path in paths for _ in rdpcap(str(path))]
    wrpcap(str(merged), [packet for path in paths for packet in rdpcap(str(path))])
    found: dict[str, list[tshark.Message]] = {path.name: [] for path in paths}
    for message in tshark.read(merged) if paths else []:
        found[owners[message.frame - 1]].append(message)
    return found


@pytest.mark.parametrize("path", captures(), ids=lambda path: path.name)
def test_capture(path: Path, shared: dict[str, list[tshark.Message]]) -> None:
    theirs = shared[path.name] if path.parent == SHARED else tshark.read(path)
    ours = list(iter_messages(path, IPFIXSession()))
    check(Comparison(ours, theirs), DIFFERENCES.get(path.name, {}))


def test_shared_captures_are_there() -> None:
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED} is not there: its captures are not compared")
    assert DIFFERENCES.keys() <= {path.name for path in captures()}


# -- messages of our own


ENDS = (
    Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    / IP(src="192.0.2.1", dst="198.51.100.2")
    / UDP(sport=4739, dport=4739)
)
EXPORTED = 1_700_000_000
#: tshark reads on in these: frames, and the parts of an application's id.
_DISSECTED = {"dataLinkFrameSection", "applicationId"}
#: tshark reads as many octets of these as they have by nature, whatever the template says.
_RIGID = re.compile("SysUpTime|Delta(Micro|Milli)seconds|Duration|icmpTypeCode")


def plausible_value(field: TemplateField, rng: random.Random) -> Any:
    kind = field.data_type
    if kind.name == "string":
        size = rng.randint(0, 300) if field.is_variable else field.length // 2
        return "".join(rng.choice("abcXYZ 019_<&>é") for _ in range(size))
    if field.is_variable:
        return rng.randbytes(rng.choice([1, 5, 254, 255, 256]))
    if kind.name == "boolean":
        return rng.random() < 0.5
    if kind.name.startswith("float"):
        return rng.uniform(-1000, 1000)
    if kind.name == "dateTimeMilliseconds":
        return rng.randint(10**12, 2 * 10**12)
    if kind.is_time:  # seconds within the first era
        return rng.randint(0xD0000000, 0xFFFFFFFF) << 8 * (field.length - 4)
    return kind.decode(rng.randbytes(field.length))


def export_of_all_elements(version: int, reduced: bool, rng: random.Random) -> list[Packet]:
    """Return messages with one or three records of every IANA element, 40 in a template."""
    known = [elements.element(0, number) for number in range(1, 519)]
    wanted = [
        each
        for each in known
        if each.is_known
        and each.type.name not in ("basicList", "subTemplateList", "subTemplateMultiList")
        and each.name not in _DISSECTED
        and (version == 10 or elements.v9_element(each.id) is each)
    ]
    assert len(wanted) > 400
    packets = []
    for start in range(0, len(wanted), 40):
        fields = []
        for each in wanted[start : start + 40]:
            length = each.type.length or (65535 if version == 10 else rng.choice([1, 4, 16, 255]))
            if reduced and each.type.is_integer and not _RIGID.search(each.name):
                length = rng.randint(1, length) if not each.type.is_time else length
            fields.append(TemplateField(each, length, each.name))
        template = Template(256 + start, *fields)
        rows = [[plausible_value(field, rng) for field in template.fields] for _ in range(3)]
        if version == 10:
            message = IPFIX(exportTime=EXPORTED) / TemplateSet(templates=[template])
            message /= DataSet(template=template, records=[tuple(row) for row in rows])
        else:
            message = NetFlowV9(unixSecs=EXPORTED) / TemplateFlowSet(templates=[template])
            message /= DataFlowSet(template=template, records=[tuple(row) for row in rows])
        packets.append(ENDS / message)
    return packets


@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("version", [9, 10])
def test_all_elements(version: int, reduced: bool, tmp_path: Path) -> None:
    path = tmp_path / "all.pcap"
    wrpcap(str(path), export_of_all_elements(version, reduced, random.Random(7011)))
    comparison = compare(path)
    # every False of every boolean, of which there are three or four
    booleans = {at: times for at, times in comparison.found.items() if at[0] == "boolean"}
    assert {elements[name].type.name for _, name in booleans} == {"boolean"}
    wanted = {
        ("half a time", "minFlowStartMilliseconds"): 3,
        ("end position", "flowEndSysUpTime"): 3,
        ("split", "icmpTypeCodeIPv6"): 3,
        **booleans,
    }
    check(comparison, wanted)
    assert comparison.octets > 1000
    assert comparison.values > 800


TEMPLATE = Template(256, "sourceIPv4Address", "octetDeltaCount", "interfaceName")
ROWS = [(f"192.0.2.{number}", 1000 + number, "eth" + "0" * number) for number in range(3)]


def exported(*sets: Any) -> Packet:
    return ENDS / IPFIX(exportTime=EXPORTED, sets=list(sets))


def announced(template: Template = TEMPLATE) -> TemplateSet:
    return TemplateSet(templates=[template])


def data() -> DataSet:
    return DataSet(template=TEMPLATE, records=ROWS)


@pytest.mark.parametrize(
    ("packets", "once", "twice"),
    [
        ([exported(data()), exported(announced()), exported(data())], [0, 0, 3], [3, 0, 3]),
        ([exported(data(), announced(), data())], [3], [6]),
    ],
    ids=["a message before", "in the same message"],
)
def test_data_before_its_template(
    packets: list[Packet], once: list[int], twice: list[int], tmp_path: Path
) -> None:
    """tshark loses data that comes before its template, unless it reads the file twice."""
    path = tmp_path / "late.pcap"
    wrpcap(str(path), packets)
    assert [each.records for each in tshark.read(path)] == once
    assert [each.records for each in tshark.read(path, "-2")] == twice
    comparison = compare(path, "-2")
    check(comparison, {})
    assert comparison.values == sum(twice) * len(TEMPLATE.fields)


def test_template_that_changes(tmp_path: Path) -> None:
    """tshark keeps the first template of an id; RFC 7011 8.4 has the newest hold over UDP."""
    path = tmp_path / "changed.pcap"
    other = Template(256, "octetDeltaCount", "sourceIPv4Address")
    changed = DataSet(template=other, records=[(5, "192.0.2.9")])
    wrpcap(str(path), [exported(announced(), data()), exported(announced(other), changed)])
    assert list(iter_records(path))[-1] == {"octetDeltaCount": 5, "sourceIPv4Address": "192.0.2.9"}
    _, last = tshark.read(path)
    if tshark.version() == KNOWN_VERSION:
        assert [each.show for each in last.sets[1].records[0]][:1] == ["0.0.0.0"]


def test_lengths_of_variable_fields(tmp_path: Path) -> None:
    """One octet of length, three, three where one would do, and nothing at all."""
    path = tmp_path / "lengths.pcap"
    template = Template(256, "octetDeltaCount", "interfaceName", "octetTotalCount")
    texts = ["", "x", "x" * 254, "x" * 255, "x" * 1000]
    body = b"".join(template.encode((number, text, 7)) for number, text in enumerate(texts))
    body += (9).to_bytes(8, "big") + b"\xff\x00\x04long" + (7).to_bytes(8, "big")
    packets = [exported(announced(template)), exported(DataSet(setId=256, undecoded=body))]
    wrpcap(str(path), packets)
    comparison = compare(path)
    check(comparison, {})
    assert comparison.octets == comparison.values == 6 * 3 - 1
    assert [each["interfaceName"] for each in iter_records(path)] == [*texts, "long"]

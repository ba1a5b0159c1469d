# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables in ``scapy_ipfix/data``: format, bounds and sources.

What needs the public registries (``../shared/registry``) or real captures
(``../shared/captures``) is skipped where those are not; so is what needs PyYAML.
"""

from __future__ import annotations

import csv
import importlib.util
import keyword
import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "scapy_ipfix" / "data"
SHARED = ROOT.parent / "shared"
REGISTRY = SHARED / "registry"
CAPTURES = SHARED / "captures"

COLUMNS = ["id", "name", "type", "semantics", "units", "range", "status", "values"]
TYPES = {
    *("octetArray", "string", "boolean", "macAddress", "ipv4Address", "ipv6Address"),
    *(f"unsigned{size}" for size in (8, 16, 32, 64, 256)),
    *(f"signed{size}" for size in (8, 16, 32, 64)),
    *("float32", "float64", "basicList", "subTemplateList", "subTemplateMultiList"),
    *("dateTimeSeconds", "dateTimeMilliseconds", "dateTimeMicroseconds", "dateTimeNanoseconds"),
}
#: Value names that no element refers to: they are of the protocols' own fields.
FIELD_ENUMS = {"scopeFieldType", "structuredDataTypesSemantics"}

#: IANA's elements that share the value names of another.
SHARED_NAMES = {
    "egressInterfaceType": "enum:interfaceType",
    "exportTransportProtocol": "enum:protocolIdentifier",
    "ingressInterfaceType": "enum:interfaceType",
    "ipv6ExtensionHeaderType": "enum:protocolIdentifier",
    "nextHeaderIPv6": "enum:protocolIdentifier",
    "postIpClassOfService": "enum:ipClassOfService",
    "postIpDiffServCodePoint": "enum:ipDiffServCodePoint",
    "postIpPrecedence": "enum:ipPrecedence",
    "tcpOptionsFull": "flags:tcpOptions",
}

ELEMENT_FILES = sorted(DATA.glob("[0-9]*_*.csv"))
TABLES = [*ELEMENT_FILES, DATA / "netflow9.csv"]
ENUM_FILES = sorted((DATA / "enums").glob("*.csv"))

#: Disagreements of the sources and decisions by hand: element, column, the value decided on and
#: the reason; below these the value of each source. ``merge_vendors.py --disagreements`` prints
#: them.
DISAGREEMENTS = """
v9/16386 name: etaInitialDataPacketOld, IANA's style
    libfds=ETAInitialDataPacketOld
v9/16387 name: etaSequenceOfPktLengthsAndTimesOld, IANA's style
    libfds=ETASequenceofPktLengthsandTimesOld
v9/24628 name: natContextId, tshark's field name
    tshark=NAT_LOG_FIELD_IDX_CONTEXT_ID
v9/24629 name: natContextName, tshark's field name
    tshark=NAT_LOG_FIELD_IDX_CONTEXT_NAME
v9/24630 name: natAssignTime, tshark's field name
    tshark=NAT_LOG_FIELD_IDX_ASSIGN_TS_SEC
v9/24631 name: natUnassignTime, tshark's field name
    tshark=NAT_LOG_FIELD_IDX_UNASSIGN_TS_SEC
v9/24632 name: natIntAddr, tshark's field name
    tshark=NAT_LOG_FIELD_IDX_IPV4_INT_ADDR
v9/24633 name: natExtAddr, tshark's field name
    tshark=NAT_LOG_FIELD_IDX_IPV4_EXT_ADDR
v9/24634 name: natExtPortFirst, tshark's field name
    tshark=NAT_LOG_FIELD_IDX_EXT_PORT_FIRST
v9/24635 name: natExtPortLast, tshark's field name
    tshark=NAT_LOG_FIELD_IDX_EXT_PORT_LAST
v9/33002 name: fwExtEvent, two of three, and as Cisco has it
    libfds=firewallEventExtended, tshark=FW_EXT_EVENT, logstash=fw_ext_event
v9/40000 name: aaaUsername, userName is IANA's 371
    libfds=userName, tshark=AAA_USERNAME, logstash=username
9/4315 name: tcpWindowSizeMin, the vendor's documents, by libfds
    libfds=tcpWindowSizeMin, tshark=TRANSPORT_TCP_WINDOWS_SIZE_MIN
9/4316 name: tcpWindowSizeMax, the vendor's documents, by libfds
    libfds=tcpWindowSizeMax, tshark=TRANSPORT_TCP_WINDOWS_SIZE_MAX
9/4317 name: tcpWindowSizeMean, as tcpWindowSizeMin
    tshark=TRANSPORT_TCP_WINDOWS_SIZE_MEAN
9/4318 name: tcpMaximumSegmentSize, the vendor's documents, by libfds
    libfds=tcpMaximumSegmentSize, tshark=TRANSPORT_TCP_MAXIMUM_SEGMENT_SIZE
9/12240 name: clientTransportPort, the vendor's documents, by libfds
    libfds=clientTransportPort, logstash=ciscoClientL4Port
9/12241 name: serverTransportPort, the vendor's documents, by libfds
    libfds=serverTransportPort, logstash=ciscoServerL4Port
9/12244 type: string, more specific
    libfds=string, logstash=string, tshark=octetArray
637/91 name: aluInsideServiceId, the vendor's documents, by NetGauze
    netgauze=aluInsideServiceId, logstash=natInsideSvcid
637/91 units: -, a service's number has no unit
    netgauze=octets
637/92 name: aluOutsideServiceId, the vendor's documents, by NetGauze
    netgauze=aluOutsideServiceId, logstash=natOutsideSvcid
637/93 name: aluNatSubString, the vendor's documents, by NetGauze
    netgauze=aluNatSubString, logstash=natSubString
2636/137 type: unsigned32, tshark takes it apart in two or four octets
    nothing
3054/143 name: ixiaDstRegionName, as ixiaSrcRegionName; tshark's field agrees
    logstash=ixiaDstRegionNode
3054/194 type: ipv6Address, its name says so
    logstash=ipv4Address, tshark=ipv6Address
5951/136 type: dateTimeMilliseconds, more specific
    libfds=dateTimeMilliseconds, logstash=unsigned64, tshark=unsigned64
5951/153 type: dateTimeMicroseconds, more specific
    libfds=dateTimeMicroseconds, logstash=unsigned64, tshark=unsigned64
5951/156 type: dateTimeMicroseconds, more specific
    libfds=dateTimeMicroseconds, logstash=unsigned64, tshark=unsigned64
5951/157 type: dateTimeMicroseconds, more specific
    libfds=dateTimeMicroseconds, logstash=unsigned64, tshark=unsigned64
5951/158 type: dateTimeMicroseconds, more specific
    libfds=dateTimeMicroseconds, logstash=unsigned64, tshark=unsigned64
5951/159 type: dateTimeMicroseconds, more specific
    libfds=dateTimeMicroseconds, logstash=unsigned64, tshark=unsigned64
5951/160 type: dateTimeMicroseconds, more specific
    libfds=dateTimeMicroseconds, logstash=unsigned64, tshark=unsigned64
5951/169 type: dateTimeMicroseconds, more specific
    libfds=dateTimeMicroseconds, logstash=unsigned64, tshark=unsigned64
5951/170 type: dateTimeMicroseconds, more specific
    libfds=dateTimeMicroseconds, logstash=unsigned64, tshark=unsigned64
5951/209 type: dateTimeSeconds, more specific
    libfds=dateTimeSeconds, logstash=unsigned32, tshark=unsigned64
5951/223 type: dateTimeSeconds, more specific
    libfds=dateTimeSeconds, logstash=unsigned32, tshark=dateTimeSeconds
5951/224 type: dateTimeSeconds, more specific
    libfds=dateTimeSeconds, logstash=unsigned32, tshark=dateTimeSeconds
5951/239 type: dateTimeSeconds, more specific
    libfds=dateTimeSeconds, logstash=unsigned32, tshark=dateTimeSeconds
5951/241 type: dateTimeSeconds, more specific
    libfds=dateTimeSeconds, logstash=unsigned32, tshark=unsigned64
5951/242 type: dateTimeSeconds, more specific
    libfds=dateTimeSeconds, logstash=unsigned32, tshark=unsigned64
5951/254 type: dateTimeSeconds, more specific
    libfds=dateTimeSeconds, logstash=unsigned32, tshark=dateTimeSeconds
5951/255 type: dateTimeSeconds, more specific
    libfds=dateTimeSeconds, logstash=unsigned32, tshark=dateTimeSeconds
6871/12 status: obsolete, CERT's own registry
    fixbuf=obsolete, libfds=deprecated
6871/13 status: obsolete, CERT's own registry
    fixbuf=obsolete, libfds=deprecated
6871/14 type: unsigned16, CERT's own registry
    fixbuf=unsigned16, libfds=unsigned16, logstash=unsigned8
6871/15 type: unsigned16, CERT's own registry
    fixbuf=unsigned16, libfds=unsigned16, logstash=unsigned8
6871/16 status: obsolete, CERT's own registry
    fixbuf=obsolete, libfds=deprecated
6871/17 status: obsolete, CERT's own registry
    fixbuf=obsolete, libfds=deprecated
6871/18 type: octetArray, CERT's own registry
    fixbuf=octetArray, libfds=octetArray, logstash=string
6871/19 status: obsolete, CERT's own registry
    fixbuf=obsolete, libfds=deprecated
6871/20 status: obsolete, CERT's own registry
    fixbuf=obsolete, libfds=deprecated
6871/29 status: obsolete, CERT's own registry
    fixbuf=obsolete, libfds=deprecated
6871/38 type: octetArray, CERT's own registry
    fixbuf=octetArray, libfds=octetArray, logstash=string
6871/39 type: octetArray, CERT's own registry
    fixbuf=octetArray, libfds=octetArray, logstash=string
6871/185 type: unsigned32, CERT's own registry
    fixbuf=unsigned32, libfds=unsigned32, logstash=string
6871/190 type: octetArray, CERT's own registry
    fixbuf=octetArray, libfds=octetArray, logstash=string
6871/191 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/192 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/193 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/194 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/195 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/196 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/197 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/198 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/200 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/201 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/202 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/203 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/204 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/205 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/206 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/207 status: current, CERT's own registry
    fixbuf=current, libfds=deprecated
6871/219 type: string, CERT's own registry
    fixbuf=string, libfds=string, logstash=unsigned16
6871/223 name: mysqlUsername, CERT's own registry
    fixbuf=mysqlUsername, libfds=mysqlUsername, logstash=tcpUrgTotalCount
6871/223 type: string, CERT's own registry
    fixbuf=string, libfds=string, logstash=unsigned32
6871/244 type: octetArray, CERT's own registry
    fixbuf=octetArray, libfds=octetArray, logstash=string
6871/245 type: unsigned8, CERT's own registry
    fixbuf=unsigned8, libfds=unsigned8, logstash=string
6871/246 type: octetArray, CERT's own registry
    fixbuf=octetArray, libfds=octetArray, logstash=string
6871/249 type: octetArray, CERT's own registry
    fixbuf=octetArray, libfds=octetArray, logstash=string
6871/250 type: unsigned16, CERT's own registry
    fixbuf=unsigned16, libfds=unsigned16, logstash=string
6871/288 name: sslRecordVersion, CERT's own registry
    fixbuf=sslRecordVersion, libfds=sslRecordVersion, logstash=reverseRtpPayloadType
6871/288 type: unsigned16, CERT's own registry
    fixbuf=unsigned16, libfds=unsigned16, logstash=unsigned8
6871/295 type: octetArray, CERT's own registry
    fixbuf=octetArray, libfds=octetArray, logstash=string
6871/508 type: unsigned16, CERT's own registry
    fixbuf=unsigned16, libfds=unsigned16, logstash=unsigned8
10704/1 type: dateTimeSeconds, more specific
    tshark=dateTimeSeconds, logstash=unsigned32
12326/1 type: dateTimeSeconds, more specific
    tshark=dateTimeSeconds, logstash=unsigned32
13745/118 type: ipv6Address, its name says so
    nothing
13745/119 type: ipv6Address, its name says so
    nothing
13745/130 type: ipv4Address, as client_ip_v4
    nothing
13745/131 type: ipv4Address, as server_ip_v4
    nothing
26866/101 name: sslCertificateIssuerCommonName, tshark says more than logstash
    tshark=SslCertificateIssuerCommonName, logstash=ssl_common_name
26866/105 name: sslCertificateValidNotBefore, tshark says more than logstash
    tshark=SslCertificateValidNotBefore, logstash=ssl_validity_not_before
26866/106 name: sslCertificateValidNotAfter, tshark says more than logstash
    tshark=SslCertificateValidNotAfter, logstash=ssl_validity_not_after
26866/107 name: sslCertificateSerialNumber, tshark says more than logstash
    tshark=SslCertificateSerialNumber, logstash=ssl_serial_number
26866/107 type: octetArray, octets for tshark, as the algorithms beside it
    tshark=octetArray, logstash=string
26866/112 name: sslServerNameIndication, tshark says more than logstash
    tshark=SslServerNameIndication, logstash=ssl_server_name
26866/2548 name: sslServerNameRaw2548, 2539 has this name
    all=sslServerNameRaw
35632/85 name: dstToSrcMaxThroughput, tshark's field says dst_to_src
    tshark=SRC_TO_SRC_MAX_THROUGHPUT
35632/86 name: dstToSrcMinThroughput, tshark's field says dst_to_src
    tshark=SRC_TO_SRC_MIN_THROUGHPUT
35632/87 name: dstToSrcAvgThroughput, tshark's field says dst_to_src
    tshark=SRC_TO_SRC_AVG_THROUGHPUT
35632/118 name: l7Proto, tshark says more than logstash
    tshark=L7_PROTO, logstash=nprobe_proto
35632/119 name: l7ProtoName, tshark says more than logstash
    tshark=L7_PROTO_NAME, logstash=nprobe_proto_name
35632/274 type: unsigned32, as the three TEIDs beside it
    tshark=string
35632/284 type: ipv4Address, its title says IP address
    tshark=unsigned32
"""


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file; each has as many cells as the header."""
    with path.open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file, strict=True))
    for row in read:
        assert not {None} & {*row, *row.values()}, f"{path.name}: {row}"
    return read


def table(name: str) -> dict[int, dict[str, str]]:
    """Return the elements of a file by number."""
    return {int(row["id"]): row for row in rows(DATA / name)}


def pen(path: Path) -> int:
    """Return the enterprise number of a file."""
    return int(path.name.partition("_")[0])


def v9_names() -> dict[int, str]:
    """Return every NetFlow v9 field type with a name: IANA's, v9's own, and by v9_base."""
    names = {}
    for enterprise in rows(DATA / "enterprises.csv"):
        if enterprise["v9_base"]:
            (path,) = DATA.glob(f"{enterprise['pen']}_*.csv")
            for id, row in table(path.name).items():
                names[int(enterprise["v9_base"]) + id] = row["name"]
    for file in ("0_iana.csv", "netflow9.csv"):
        names |= {id: row["name"] for id, row in table(file).items()}
    return names


# ---- Format ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(DATA.rglob("*.csv")), ids=lambda path: path.stem)
def test_file_is_plain(path: Path) -> None:
    octets = path.read_bytes()
    octets.decode("ascii")
    assert b"\r" not in octets
    assert octets.endswith(b"\n")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_elements(path: Path) -> None:
    assert path.read_text().partition("\n")[0] == ",".join(COLUMNS)
    read = rows(path)
    ids = [int(row["id"]) for row in read]
    assert ids == sorted(set(ids))
    assert min(ids) >= 0
    assert max(ids) <= (0xFFFF if path.name == "netflow9.csv" else 0x7FFF)
    names = [row["name"].casefold() for row in read]
    assert len(set(names)) == len(names)
    for row in read:
        assert row["name"].isidentifier()
        assert not keyword.iskeyword(row["name"])
        assert not row["name"].startswith("_")
        assert row["type"] in TYPES
        assert row["status"] in ("", "current", "deprecated", "obsolete")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_terms_are_ianas(path: Path) -> None:
    semantics, units = (
        {row["name"] for row in rows(DATA / "enums" / f"informationElement{which}.csv")}
        for which in ("Semantics", "Units")
    )
    for row in rows(path):
        assert row["semantics"] in {"", *semantics}, row
        assert row["units"] in {"", *units}, row
        if row["range"]:
            low, _, high = row["range"].partition("-")
            assert int(low, 0) <= int(high, 0), row


def references() -> Iterator[tuple[str, str, str]]:
    """Return element, kind and file of each reference to names of values."""
    for path in TABLES:
        for row in rows(path):
            if row["values"]:
                kind, _, file = row["values"].partition(":")
                yield row["name"], kind, file


def test_value_names_exist_and_are_used() -> None:
    kinds: dict[str, str] = {}
    for element, kind, file in references():
        assert kind in ("enum", "flags"), element
        assert kinds.setdefault(file, kind) == kind, f"{file} is both enum and flags"
    assert set(kinds) | FIELD_ENUMS == {path.stem for path in ENUM_FILES}


def test_value_names_of_ianas_elements() -> None:
    """An element refers to the file of its name, or to another element's."""
    own = {path.stem for path in ENUM_FILES}
    for row in table("0_iana.csv").values():
        if row["name"] in own:
            assert row["values"].partition(":")[2] == row["name"]
        else:
            assert row["values"] == SHARED_NAMES.get(row["name"], ""), row["name"]


@pytest.mark.parametrize("path", ENUM_FILES, ids=lambda path: path.stem)
def test_enum(path: Path) -> None:
    read = rows(path)
    values = [int(row["value"]) for row in read]
    assert values == sorted(set(values))
    assert values[0] >= 0
    names = [row["name"] for row in read]
    assert all(name and name == name.strip() for name in names)
    # Names are parsed in any case.
    assert len({name.casefold() for name in names}) == len(names)
    if ("flags", path.stem) in {(kind, file) for _, kind, file in references()}:
        assert max(values) < 256
        assert not any("+" in name or name[0].isdigit() for name in names)


def test_flags_of_single_letters_are_scapys() -> None:
    names = {int(row["value"]): row["name"] for row in rows(DATA / "enums/tcpControlBits.csv")}
    assert "".join(names[bit] for bit in range(9)) == "FSRPAUECN"


# ---- Bounds --------------------------------------------------------------------------------


def test_enterprises() -> None:
    enterprises = {int(row["pen"]): row for row in rows(DATA / "enterprises.csv")}
    assert list(enterprises) == [pen(path) for path in sorted(ELEMENT_FILES, key=pen)]
    assert {
        *(9, 637, 2011, 3054, 5951, 6871, 6876, 8057, 10704, 13745, 15397, 16982, 26866),
        *(32622, 33610, 35632, 39499, 41916, 47729),
    } <= set(enterprises)
    assert {
        pen: (row["reverse_bit"], row["v9_base"])
        for pen, row in enterprises.items()
        if row["reverse_bit"] or row["v9_base"]
    } == {6871: ("16384", ""), 35632: ("", "57472")}
    assert not [id for id in table("6871_cert.csv") if id & 0x4000]


def test_number_of_elements() -> None:
    assert len(ELEMENT_FILES) >= 20
    assert sum(len(rows(path)) for path in ELEMENT_FILES) >= 2000


def test_netflow9_beside_iana() -> None:
    """Numbers and names are distinct, since a v9 record mixes both."""
    iana, v9 = table("0_iana.csv"), table("netflow9.csv")
    assert not iana.keys() & v9.keys()
    names = [row["name"].casefold() for each in (iana, v9) for row in each.values()]
    assert len(set(names)) == len(names)
    ntop = {57472 + id for id in table("35632_ntop.csv")}
    assert not ntop & v9.keys()


def test_aliases() -> None:
    read = [(int(row["id"]), row["alias"]) for row in rows(DATA / "netflow9_aliases.csv")]
    assert read == sorted(read)
    folded = [alias.casefold() for _, alias in read]
    assert len(set(folded)) == len(folded)
    names = v9_names()
    assert {id for id, _ in read} <= names.keys()
    elements = {
        row["name"].casefold()
        for name in ("0_iana.csv", "netflow9.csv")
        for row in rows(DATA / name)
    }
    assert not elements & set(folded)
    types = {alias: id for id, alias in read}
    for alias, type in {
        "IN_BYTES": 1,
        "IPV4_SRC_ADDR": 8,
        "BGP_IPV4_NEXT_HOP": 18,
        "MPLS_LABEL_10": 79,
        "NF_F_XLATE_SRC_ADDR_IPV4": 225,
        "NF_F_USERNAME": 40000,
        "L7_PROTO": 57590,
    }.items():
        assert types[alias] == type


def test_cisco_in_netflow9() -> None:
    """Cisco's element N is field type 32768 + N."""
    v9 = table("netflow9.csv")
    for id, row in table("9_cisco.csv").items():
        assert v9[0x8000 + id]["name"] == row["name"]
        assert v9[0x8000 + id]["type"] == row["type"]


# ---- Sources -------------------------------------------------------------------------------


def test_disagreements_were_decided() -> None:
    files = {str(pen(path)): table(path.name) for path in ELEMENT_FILES}
    files["v9"] = table("netflow9.csv")
    lines = DISAGREEMENTS.strip().splitlines()
    for what, said in zip(lines[::2], lines[1::2], strict=True):
        key, _, rest = what.partition(": ")
        element, column = key.split(" ")
        decided, why = rest.split(", ", 1)
        whose, _, id = element.partition("/")
        expected = "" if decided in ("-", "current") else decided
        assert files[whose][int(id)][column] == expected, what
        assert why
        assert said.startswith("    ")


@pytest.fixture(scope="module")
def merge_vendors() -> ModuleType:
    """Program that makes the tables; it needs the registries and PyYAML."""
    pytest.importorskip("yaml")
    if not REGISTRY.is_dir():
        pytest.skip("no ../shared/registry")
    path = Path(__file__).parents[1] / "tools" / "merge_vendors.py"
    spec = importlib.util.spec_from_file_location("merge_vendors", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_tables_match_the_sources(merge_vendors: ModuleType) -> None:
    files, disagreements = merge_vendors.make_files(REGISTRY)
    for name, text in files.items():
        assert (DATA / name).read_text() == text, name
    assert "\n".join(map(str, disagreements)) == DISAGREEMENTS.strip()
    enums = {name[6:-4] for name in files if name.startswith("enums/")}
    assert {path.stem for path in ENUM_FILES} == enums | merge_vendors.BY_HAND


def test_every_name_of_a_source_is_present(merge_vendors: ModuleType) -> None:
    files = {pen(path): table(path.name) for path in ELEMENT_FILES}
    files[merge_vendors.NETFLOW9] = table("netflow9.csv")
    for fact in merge_vendors.read_facts(REGISTRY):
        assert files[fact.pen][fact.id]["name"], fact


def test_names_of_captured_netflow9_fields() -> None:
    if not CAPTURES.is_dir():
        pytest.skip("no ../shared/captures")
    types = {
        type
        for path in CAPTURES.glob("netflow9_*.pcap")
        for datagram in datagrams(path.read_bytes())
        for type in v9_field_types(datagram)
    }
    assert len(types) > 100
    # logstash skips these: padding (H3C) and a field of FortiOS.
    assert types - v9_names().keys() <= {0, 65}


def datagrams(pcap: bytes) -> Iterator[bytes]:
    """Yield the UDP payloads of a classic pcap of Ethernet and IPv4."""
    order = "<" if pcap[:4] == b"\xd4\xc3\xb2\xa1" else ">"
    offset = 24
    while offset < len(pcap):
        length = struct.unpack_from(order + "I", pcap, offset + 8)[0]
        frame = pcap[offset + 16 : offset + 16 + length]
        offset += 16 + length
        while frame[12:14] == b"\x81\x00":
            frame = frame[:12] + frame[16:]
        if frame[12:14] == b"\x08\x00":
            yield frame[14 + (frame[14] & 15) * 4 + 8 :]


def v9_field_types(message: bytes) -> Iterator[int]:
    """Yield the field types in the Templates of a NetFlow v9 message (RFC 3954 5.2, 6.1)."""
    offset = 20
    while message[:2] == b"\x00\x09" and offset + 4 <= len(message):
        set_id, length = struct.unpack_from("!HH", message, offset)
        words = [word for (word,) in struct.iter_unpack("!H", _even(message, offset, length))]
        offset += max(length, 4)
        while set_id < 2 and len(words) > 2 and words[0]:
            head, scopes = (2, 0) if set_id == 0 else (3, words[1] // 4)
            fields = words[1] if set_id == 0 else words[2] // 4
            yield from words[head + 2 * scopes : head + 2 * (scopes + fields) : 2]
            words = words[head + 2 * (scopes + fields) :]


def _even(message: bytes, offset: int, length: int) -> bytes:
    body = message[offset + 4 : offset + length]
    return body[: len(body) // 2 * 2]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Merge vendors' elements and names of values from public projects into CSV tables.

    python tests/tools/merge_vendors.py ../shared/registry

writes to ``scapy_ipfix/data``: ``<pen>_<vendor>.csv``, ``enterprises.csv``, ``netflow9.csv``,
``netflow9_aliases.csv`` and those of ``enums/*.csv`` that a registry has. It takes facts
only (numbers, names, types, semantics, units, value names); the same sources give the same
files. ``--check`` writes nothing and lists the files that differ; ``--disagreements`` prints
the disagreements between sources and the decisions, as ``tests/model/test_data.py`` has them.

Every source is read as :class:`Fact`\\ s. All facts about one number become one element:

* the name is that of the first source in :data:`RANK` with a name; tshark's titles
  (``HTTP Request URL``) count only if no source has a name;
* the type is that of the enterprise's own registry, else the most specific (an address, a
  time or a list before text before octets), else the wider (RFC 7011 section 6.2 permits a
  field shorter than its type, not a longer one), else that of the first in rank;
* semantics, units, range and status are those of the first in rank that has any;
* :data:`DECISIONS` takes precedence over all of these.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import keyword
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

PACKAGE_DATA = Path(__file__).parents[2] / "scapy_ipfix" / "data"

#: The number in place of an enterprise number for NetFlow v9 field types.
NETFLOW9 = -1

#: Sources, the most trusted first. fixbuf is CERT's own registry, NetGauze and libfds copy
#: the vendors' documents, tshark and logstash collect the fields of their users' captures.
RANK = ("fixbuf", "netgauze", "libfds", "exporter", "tshark", "logstash", "title", "more")


class Enterprise(NamedTuple):
    """Enterprise: the end of its file's name, and its name.

    ``reverse_bit`` is set in the numbers of its reverse elements (RFC 5103 section 6.2);
    ``v9_base`` + number is the NetFlow v9 field type of its elements.
    """

    slug: str
    name: str
    reverse_bit: int | None = None
    v9_base: int | None = None


ENTERPRISES = {
    9: Enterprise("cisco", "Cisco"),
    637: Enterprise("nokia", "Nokia"),
    2011: Enterprise("huawei", "Huawei"),
    2636: Enterprise("juniper", "Juniper"),
    3054: Enterprise("ixia", "Ixia"),
    5951: Enterprise("netscaler", "NetScaler"),
    6871: Enterprise("cert", "CERT", reverse_bit=0x4000),
    6876: Enterprise("vmware", "VMware"),
    8057: Enterprise("cesnet", "CESNET"),
    9789: Enterprise("astaro", "Astaro"),
    10704: Enterprise("barracuda", "Barracuda"),
    12326: Enterprise("barracuda", "Barracuda (12326)"),
    13745: Enterprise("plixer", "Plixer"),
    15397: Enterprise("procera", "Procera"),
    16982: Enterprise("muni", "Masaryk University"),
    21373: Enterprise("netfilter", "Netfilter"),
    26866: Enterprise("gigamon", "Gigamon"),
    32622: Enterprise("cace", "CACE"),
    33610: Enterprise("fastip", "FastIP"),
    35632: Enterprise("ntop", "ntop", v9_base=57472),
    39499: Enterprise("flowmon", "Flowmon"),
    41916: Enterprise("viptela", "Viptela"),
    43874: Enterprise("pmacct", "pmacct"),
    47729: Enterprise("niagara", "Niagara Networks"),
    56506: Enterprise("antrea", "Antrea"),
}

#: Enterprise numbers of a source that are skipped, with the reason.
LEFT_OUT = {
    0: "IANA's own elements come from IANA",
    29305: "reverse elements (RFC 5103) follow from IANA's",
}

#: Decisions by hand: (enterprise or NETFLOW9, id, column): (value, reason).
DECISIONS: dict[tuple[int, int, str], tuple[str, str]] = {
    (637, 91, "units"): ("", "a service's number has no unit"),
    (2636, 137, "type"): ("unsigned32", "tshark takes it apart in two or four octets"),
    (9, 4317, "name"): ("tcpWindowSizeMean", "as tcpWindowSizeMin"),
    (3054, 143, "name"): ("ixiaDstRegionName", "as ixiaSrcRegionName; tshark's field agrees"),
    (3054, 194, "type"): ("ipv6Address", "its name says so"),
    (13745, 118, "type"): ("ipv6Address", "its name says so"),
    (13745, 119, "type"): ("ipv6Address", "its name says so"),
    (13745, 130, "type"): ("ipv4Address", "as client_ip_v4"),
    (13745, 131, "type"): ("ipv4Address", "as server_ip_v4"),
    (26866, 107, "type"): ("octetArray", "octets for tshark, as the algorithms beside it"),
    (35632, 85, "name"): ("dstToSrcMaxThroughput", "tshark's field says dst_to_src"),
    (35632, 86, "name"): ("dstToSrcMinThroughput", "tshark's field says dst_to_src"),
    (35632, 87, "name"): ("dstToSrcAvgThroughput", "tshark's field says dst_to_src"),
    (35632, 274, "type"): ("unsigned32", "as the three TEIDs beside it"),
    (35632, 284, "type"): ("ipv4Address", "its title says IP address"),
    (NETFLOW9, 16386, "name"): ("etaInitialDataPacketOld", "IANA's style"),
    (NETFLOW9, 16387, "name"): ("etaSequenceOfPktLengthsAndTimesOld", "IANA's style"),
    (NETFLOW9, 24628, "name"): ("natContextId", "tshark's field name"),
    (NETFLOW9, 24629, "name"): ("natContextName", "tshark's field name"),
    (NETFLOW9, 24630, "name"): ("natAssignTime", "tshark's field name"),
    (NETFLOW9, 24631, "name"): ("natUnassignTime", "tshark's field name"),
    (NETFLOW9, 24632, "name"): ("natIntAddr", "tshark's field name"),
    (NETFLOW9, 24633, "name"): ("natExtAddr", "tshark's field name"),
    (NETFLOW9, 24634, "name"): ("natExtPortFirst", "tshark's field name"),
    (NETFLOW9, 24635, "name"): ("natExtPortLast", "tshark's field name"),
    (NETFLOW9, 33002, "name"): ("fwExtEvent", "two of three, and as Cisco has it"),
    (NETFLOW9, 40000, "name"): ("aaaUsername", "userName is IANA's 371"),
}

#: Vendors' prefixes that logstash puts before names (and misspells).
LOGSTASH_PREFIXES = {
    9: re.compile("cisc?o"),
    5951: re.compile("netscaler?(?!Unknown)"),
    6876: re.compile("vmware"),
}

#: Value names of vendors' elements, by name.
VALUES = {
    9: {
        "servicesWaasSegment": "enum:ciscoServicesWaasSegment",
        "servicesWaasPassThroughReason": "enum:ciscoServicesWaasPassThroughReason",
    },
    3054: {
        "ixiaDnsSectionType": "enum:ixiaDnsSectionType",
        "ixiaDnsMsgQrFlag": "enum:ixiaDnsMsgQrFlag",
    },
    6871: {
        "initialTCPFlags": "flags:tcpControlBits",
        "unionTCPFlags": "flags:tcpControlBits",
        "obsoleteReverseInitialTCPFlags": "flags:tcpControlBits",
        "obsoleteReverseUnionTCPFlags": "flags:tcpControlBits",
    },
    6876: {
        "tunnelType": "enum:tunnelType",
        "tunnelProtocolIdentifier": "enum:protocolIdentifier",
        "tenantProtocol": "enum:protocolIdentifier",
        "flowDirection": "enum:flowDirection",
    },
    10704: {"logOp": "enum:barracudaLogOp", "trafficType": "enum:barracudaTrafficType"},
    15397: {
        "proceraIncomingDscp": "enum:ipDiffServCodePoint",
        "proceraOutgoingDscp": "enum:ipDiffServCodePoint",
    },
    16982: {
        "tunnelProtocol": "enum:protocolIdentifier",
        "tunnelTCPFlags": "flags:tcpControlBits",
    },
    33610: {"tcpFlags": "flags:tcpControlBits"},
    35632: {"untunneledProtocol": "enum:protocolIdentifier"},
    NETFLOW9: {"fwExtEvent": "enum:fwExtEvent", "fwEvent": "enum:firewallEvent"},
}
VALUES[12326] = VALUES.get(10704, {})


class Fact(NamedTuple):
    """Element as one source has it; a property that the source lacks is empty."""

    source: str
    pen: int
    id: int
    name: str
    type: str = ""
    semantics: str = ""
    units: str = ""
    range: str = ""
    status: str = ""


#: Elements that only the exporters' own sources have: Open vSwitch in
#: ofproto/ipfix-enterprise-entities.def, pmacct in src/nfprobe_plugin/netflow9.c.
EXPORTERS = (
    Fact("exporter", 6876, 891, "tunnelType", "unsigned8", "identifier"),
    Fact("exporter", 6876, 892, "tunnelKey", "octetArray"),
    Fact("exporter", 6876, 893, "tunnelSourceIPv4Address", "ipv4Address"),
    Fact("exporter", 6876, 894, "tunnelDestinationIPv4Address", "ipv4Address"),
    Fact("exporter", 6876, 895, "tunnelProtocolIdentifier", "unsigned8", "identifier"),
    Fact("exporter", 6876, 896, "tunnelSourceTransportPort", "unsigned16", "identifier"),
    Fact("exporter", 6876, 897, "tunnelDestinationTransportPort", "unsigned16", "identifier"),
    Fact("exporter", 43874, 1, "tag", "unsigned64", "identifier"),
    Fact("exporter", 43874, 2, "tag2", "unsigned64", "identifier"),
    Fact("exporter", 43874, 3, "label", "string"),
)


class Disagreement(NamedTuple):
    """Column of an element on which sources differ, or that was decided by hand."""

    pen: int
    id: int
    column: str
    decided: str
    values: tuple[str, ...]
    reason: str

    def __str__(self) -> str:
        pen = "v9" if self.pen == NETFLOW9 else str(self.pen)
        values = ", ".join(self.values) or "nothing"
        decided = self.decided or "-"
        return f"{pen}/{self.id} {self.column}: {decided}, {self.reason}\n    {values}"


COLUMNS = ("id", "name", "type", "semantics", "units", "range", "status", "values")
Row = dict[str, str]
Rows = dict[int, Row]


# ---- Sources ------------------------------------------------------------------


def read_libfds(path: Path) -> Iterator[Fact]:
    """Read a file of libfds: one enterprise, or NetFlow v9 under one of two unused numbers."""
    root = ElementTree.parse(path).getroot()
    pen = int(root.findtext("scope/pen", ""))
    # 2^32-2 has the field types below 32768 as they are, 2^32-1 those above it less 32768.
    base = {0xFFFFFFFE: 0, 0xFFFFFFFF: 0x8000}.get(pen)
    for element in root.iterfind("element"):
        texts = {child.tag: (child.text or "").strip() for child in element}
        yield Fact(
            "libfds",
            pen if base is None else NETFLOW9,
            int(texts["id"]) + (base or 0),
            texts["name"],
            texts["dataType"].replace("ipv6address", "ipv6Address"),
            texts.get("dataSemantics", ""),
            texts.get("units", "").removeprefix("none"),
            status=texts.get("status", ""),
        )


def read_iana_form(path: Path, source: str, pen: int) -> Iterator[Fact]:
    """Read a registry in the format of IANA's, as CERT and NetGauze publish."""
    for record in ElementTree.parse(path).getroot().iterfind(".//{*}record"):
        texts = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in record}
        if texts.get("dataType"):
            yield Fact(
                source,
                pen,
                int(texts["elementId"]),
                texts["name"],
                texts["dataType"],
                texts.get("dataTypeSemantics", ""),
                texts.get("units", ""),
                texts.get("range", ""),
                texts.get("status", ""),
            )


LOGSTASH_TYPES: dict[str | int, str] = {
    **{f":uint{size}": f"unsigned{size}" for size in (8, 16, 32, 64)},
    **{f":int{size}": f"signed{size}" for size in (8, 16, 32, 64)},
    ":uint15": "unsigned16",  # an error in the source
    ":uint24": "unsigned32",
    **{size: f"unsigned{8 * size}" for size in (1, 2, 4, 8)},
    ":float": "float32",
    ":double": "float64",
    ":string": "string",
    ":octetarray": "octetArray",
    ":acl_id_asa": "octetArray",
    ":ip4_addr": "ipv4Address",
    ":ip6_addr": "ipv6Address",
    ":mac_addr": "macAddress",
}


def read_logstash(path: Path) -> Iterator[Fact]:
    """Read logstash's IPFIX elements: by enterprise and number, a type and a name."""
    for pen, elements in _load_yaml(path).items():
        for id, entry in elements.items():
            if len(entry) == 2:  # not [:skip]
                yield _logstash_fact(pen, id, *entry)


def read_logstash_v9(path: Path) -> Iterator[Fact]:
    """Read logstash's NetFlow v9 field types: by number, a type and a name."""
    v9_base = ENTERPRISES[35632].v9_base
    assert v9_base is not None
    for type, entry in _load_yaml(path).items():
        if len(entry) == 2:
            ntop = type > v9_base
            yield _logstash_fact(
                35632 if ntop else NETFLOW9, type - v9_base if ntop else type, *entry
            )


MORE_TYPES = {
    # An unsigned integer in the length that it has on the wire.
    "uint": "unsigned64",
    "ip": "ipv4Address",
    "mac": "macAddress",
    "hex": "octetArray",
    "proto": "unsigned8",
}


def read_more(path: Path, known: set[tuple[int, int]]) -> Iterator[Fact]:
    """Read the elements of other programs that no other source has.

    ``known`` are the enterprises and numbers of the other sources.
    """
    for pen, id, name, type, *_ in itertools.islice(_read_tsv(path), 1, None):
        if pen == "12326":
            continue  # see SAME_ELEMENTS
        number = (NETFLOW9 if pen == "v9" else int(pen), int(id))
        if number not in known and not type.startswith("(IANA"):
            name = re.sub("[^0-9A-Za-z]+(.)", lambda match: match[1].upper(), name)
            yield Fact("more", *number, name, MORE_TYPES.get(type, type))


#: Enterprises whose elements have the numbers and names of another's.
SAME_ELEMENTS = {12326: (10704, range(1, 13))}


def _logstash_fact(pen: int, id: int, type: str | int, name: str) -> Fact:
    return Fact("logstash", pen, id, name.strip(" :"), LOGSTASH_TYPES.get(type, ""))


def _load_yaml(path: Path) -> dict[int, Any]:
    try:
        import yaml  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise SystemExit("merge_vendors.py reads logstash's YAML: pip install pyyaml") from None
    loaded: dict[int, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


class TsharkField(NamedTuple):
    """Field of tshark's dissector: its title, its filter name and its type."""

    title: str
    filter: str
    type: str
    description: str


TSHARK_TYPES = {
    **{f"FT_UINT{size}": f"unsigned{size}" for size in (8, 16, 32, 64)},
    "FT_STRING": "string",
    "FT_FLOAT": "float32",
    "FT_IPv4": "ipv4Address",
    "FT_IPv6": "ipv6Address",
    "FT_ETHER": "macAddress",
    "FT_ABSOLUTE_TIME": "dateTimeSeconds",  # each of them in four octets
    "FT_RELATIVE_TIME": "unsigned32",
    "FT_BYTES": "octetArray",
    "FT_GUID": "octetArray",
    "FT_NONE": "subTemplateList",  # Ixia's lists: the only such fields that are no headings
}

#: tshark's table of an enterprise's field types: the enterprise, and how its fields begin.
TSHARK_VENDORS = {
    "cflow.template_barracuda_field_type": (10704, "cflow.pie.barracuda."),
    "cflow.template_cisco_field_type": (9, "cflow.pie.cisco."),
    "cflow.template_fastip_field_type": (33610, "cflow.pie.fastip."),
    "cflow.template_gigamon_field_type": (26866, "cflow.pie.gigamon."),
    "cflow.template_ixia_field_type": (3054, "cflow.pie.ixia."),
    "cflow.template_juniper_resiliency_type": (2636, "cflow.pie.juniper."),
    "cflow.template_netscaler_field_type": (5951, "cflow.pie.netscaler."),
    "cflow.template_niagara_networks_field_type": (47729, "cflow.pie.niagaranetworks."),
    "cflow.template_ntop_field_type": (35632, "cflow.pie.ntop."),
    "cflow.template_plixer_field_type": (13745, "cflow.pie.plixer."),
}
#: Enterprises whose table has titles; in the second set, the fields have the same order.
TSHARK_TITLES = {9, 3054, 5951}
TSHARK_IN_ORDER = {3054, 5951}
#: Field types whose field tshark spells in another way.
TSHARK_MISSPELT = {
    "SRC_TO_SRC_MAX_THROUGHPUT": "dst_to_src_max_throughput",
    "SRC_TO_SRC_MIN_THROUGHPUT": "dst_to_src_min_throughput",
    "SRC_TO_SRC_AVG_THROUGHPUT": "dst_to_src_avg_throughput",
    "UPSTREAM_TUNNEL_ID": "tunnel_id",
    "DOWNSTREAM_TUNNEL_ID": "downstram_tunnel_id",
    "SIP_INVITE_OK_TIME": "sip_ok_time",
    "SRC_PROC_PID": "src_proc_id",
    "MYSQL_SRV_VERSION": "mysql_server_version",
    "ORACLE_RSP_CODE": "oracle_resp_code",
    "ORACLE_RSP_STRING": "oracle_resp_string",
    "GTPV1_REQ_MSG_TYPE": "gtpv1_req_msg_typ",
    "GTPV1_RAT_TYPE": "gtpv1_rai_type",
    "RADIUS_ACCT_IN_OCTETS": "radius_acct_in_octects",
    "RADIUS_ACCT_OUT_OCTETS": "radius_acct_out_octects",
    "GTPV2_END_USER_MSISDN": "gtpv2_and_user_msisdn",
    "NUM_PKTS_TTL_224_255": "num_pkts_ttl_224_225",
    "DHCP_CLIENT_NAME": "dhcp_clien_name",
    "GTPV2_S5_S8_GTPC_TEID": "gptv2_s5_s8_gtpc_teid",
    "METER_OS_DISTRIBUTION_NAME": "meter_os_distribution",
}

#: Types of the NetFlow v9 fields that tshark names: the extract in the registry
#: has its fields of enterprises only. 37013's form is not known, so it is a number.
TSHARK_V9_TYPES = {
    24628: "unsigned32",
    24629: "string",
    24630: "dateTimeSeconds",
    24631: "dateTimeSeconds",
    24632: "ipv4Address",
    24633: "ipv4Address",
    24634: "unsigned16",
    24635: "unsigned16",
    33000: "octetArray",
    33001: "octetArray",
    33002: "unsigned16",
    34000: "unsigned16",
    34001: "unsigned16",
    34002: "string",
    34003: "string",
    **dict.fromkeys((37000, 37003, 37004, 37006, 37007, 37009, 37014, 37016, 37017), "unsigned32"),
    **dict.fromkeys((37019, 37021, 37022, 37023, 37024, 37025), "unsigned32"),
    **dict.fromkeys((37083, 37084, 37085), "unsigned32"),
    **dict.fromkeys((37011, 37012, 37041), "unsigned8"),
    **dict.fromkeys((37013, 37071, 37074), "unsigned64"),
    37086: "unsigned16",
    40000: "string",
    40001: "ipv4Address",
    40002: "ipv4Address",
    40003: "unsigned16",
    40004: "unsigned16",
    40005: "unsigned8",
}
TSHARK_V9_UNITS = dict.fromkeys((37016, 37023, 37024, 37025), "microseconds")

#: In NetFlow v9 an element of Cisco's has the field type 32768 + id: all of libfds's
#: netflowExtra are so, and tshark's 37019, 37022, 37025 and 37041. This is the range of field
#: types that tshark names and that are elements of Cisco's by this rule.
CISCO_V9_BASE = 0x8000
CISCO_V9_RANGE = range(37000, 37100)
#: FastIP's too are in tshark's table, with a base of their own.
FASTIP_V9_BASE = 33610


class Tshark:
    """Tables of tshark: named values by field, and the fields of vendors' elements."""

    def __init__(self, directory: Path) -> None:
        self.values: dict[str, dict[int, str]] = {}
        for _, field, value, name, *_ in _read_tsv(directory / "tshark_values.tsv"):
            self.values.setdefault(field, {})[int(value, 0)] = name
        self.fields = [
            TsharkField(title, filter, type, rest[-1])
            for title, filter, type, *rest in _read_tsv(directory / "tshark_pie_fields.tsv")
        ]

    def facts(self) -> Iterator[Fact]:
        """Read the elements of enterprises."""
        for table, (pen, prefix) in TSHARK_VENDORS.items():
            named = self.values[table]
            fields = [each for each in self.fields if _vendor(each).startswith(prefix)]
            if pen in TSHARK_IN_ORDER:
                matched = dict(zip(named, fields, strict=True))
            else:
                by_key = {key: each for each in fields for key in _keys(each, prefix)}
                matched = {
                    id: by_key[key]
                    for id, text in named.items()
                    if (key := _fold(TSHARK_MISSPELT.get(text, text))) in by_key
                }
            for id, text in named.items():
                field = matched.get(id)
                name = text
                if field and pen == 3054:
                    # Some titles are sentences; the filter name serves then.
                    filter = _vendor(field).removeprefix(prefix)
                    name = "ixia " + (filter if re.search("[A-Z]", filter) else text)
                yield Fact(
                    "title" if pen in TSHARK_TITLES else "tshark",
                    pen,
                    id,
                    name,
                    TSHARK_TYPES[field.type] if field else "",
                    units=_units(field, text) if field else "",
                )
        # CACE's have no table. Their fields are in the order of the numbers, which begin at 0;
        # a text has two fields, its length and itself.
        cace: dict[str, str] = {}
        for field in self.fields:
            named_in = re.search(r"\((cace\w+)\)", field.description)
            if named_in:
                cace[named_in[1]] = TSHARK_TYPES[field.type]
        for id, (name, type) in enumerate(cace.items()):
            yield Fact("tshark", 32622, id, name, type)

    def v9_facts(self, iana: Iterable[int]) -> Iterator[Fact]:
        """Read the NetFlow v9 field types that IANA does not have."""
        ntop = {57472 + id for id in self.values["cflow.template_ntop_field_type"]}
        for type, name in self.values["cflow.template_field_type"].items():
            if type not in ntop and type not in iana:
                cisco = type in CISCO_V9_RANGE
                yield Fact(
                    "tshark",
                    9 if cisco else NETFLOW9,
                    type - CISCO_V9_BASE if cisco else type,
                    name,
                    TSHARK_V9_TYPES.get(type, ""),
                    units=TSHARK_V9_UNITS.get(type, ""),
                )


def _vendor(field: TsharkField) -> str:
    """Return the filter name, corrected to begin with its vendor's prefix."""
    name = field.filter.replace("cflow.pie.ciso.", "cflow.pie.cisco.")
    name = name.replace("cflow.pie.plixer_", "cflow.pie.plixer.")
    return name.replace("cflow.pie.server_nw", "cflow.pie.ntop.server_nw")


def _keys(field: TsharkField, prefix: str) -> tuple[str, str]:
    return _fold(field.title), _fold(_vendor(field).removeprefix(prefix))


def _units(field: TsharkField, text: str) -> str:
    if field.type == "FT_RELATIVE_TIME":
        return "seconds"
    if re.search(r"\((us|usec)\)|_USEC$", f"{field.title} {field.description} {text}"):
        return "microseconds"
    if re.search(r"\((ms|msec)\)|_MS$", f"{field.title} {field.description} {text}"):
        return "milliseconds"
    return ""


def _read_tsv(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield line.split("\t")


def read_facts(registry: Path) -> list[Fact]:
    """Read the facts of all sources about vendors' elements and NetFlow v9 field types."""
    vendors = registry / "vendors"
    iana = iana_names(registry)
    tshark = Tshark(vendors)
    facts = [
        *read_iana_form(vendors / "libfixbuf_cert.xml", "fixbuf", 6871),
        *read_iana_form(vendors / "netgauze_huawei.xml", "netgauze", 2011),
        *read_iana_form(vendors / "netgauze_nokia.xml", "netgauze", 637),
        *read_iana_form(vendors / "netgauze_vmware.xml", "netgauze", 6876),
        *(fact for path in sorted(vendors.glob("libfds_*.xml")) for fact in read_libfds(path)),
        *EXPORTERS,
        *tshark.facts(),
        *tshark.v9_facts(iana),
        *read_logstash(vendors / "logstash_ipfix.yaml"),
        *read_logstash_v9(vendors / "logstash_netflow9.yaml"),
    ]
    facts += read_more(registry / "more.tsv", {(fact.pen, fact.id) for fact in facts})
    facts = [fact for fact in facts if fact.pen not in SAME_ELEMENTS]
    for pen, (other, ids) in SAME_ELEMENTS.items():
        facts += [fact._replace(pen=pen) for fact in facts if fact.pen == other and fact.id in ids]
    return [
        fact
        for fact in facts
        if fact.pen not in LEFT_OUT
        # 416 and 419 have no name in IANA's registry: duplicates of 352 and 353.
        and not (fact.pen == NETFLOW9 and (fact.id in iana or fact.id in (416, 419)))
        # Reverse elements follow from the others by the bit.
        and not (fact.pen == 6871 and fact.id & 0x4000)
    ]


def iana_names(registry: Path) -> dict[int, str]:
    """Return the names of IANA's elements by number."""
    facts = _registry(registry / "iana" / "ipfix.xml", "ipfix-information-elements")
    return {
        int(texts["elementId"]): texts["name"].strip()
        for texts in facts
        if texts.get("dataType") and texts["elementId"].isdecimal()
    }


# ---- Names ---------------------------------------------------------------------------------


def _fold(name: str) -> str:
    """Return a name without case and punctuation, for comparison."""
    return "".join(each for each in name.casefold() if each.isalnum())


def identifier(name: str) -> str:
    """Return a name in IANA's style: ``HTTP_RET_CODE`` is httpRetCode, ``FW Rule`` is fwRule.

    One word stays as its vendor writes it, but for ``Timestamp``, which is timestamp. What
    is in parentheses, as units in titles are, goes.
    """
    words: list[str] = re.findall(r"[A-Za-z0-9]+", name.partition("(")[0])
    if len(words) == 1 and not words[0].isupper():
        word = words[0]
        return word[0].lower() + word[1:] if re.match(r"[A-Z][a-z]", word) else word
    text = ""
    for word in words:
        if word.casefold() in ("ipv4", "ipv6"):
            word = f"IPv{word[3]}"
        elif word.isupper():
            word = word.capitalize()
        if not text:
            text = word.lower() if word.startswith("IPv") else word[0].lower() + word[1:]
        else:
            # 5_32 must not become 532.
            joint = "_" if text[-1].isdigit() and word[0].isdigit() else ""
            text += joint + word[0].upper() + word[1:]
    return text


def clean_name(fact: Fact) -> str:
    """Return the name in a fact without the prefix that its source adds."""
    name = fact.name
    if fact.source == "logstash" and (prefix := LOGSTASH_PREFIXES.get(fact.pen)):
        name = prefix.sub("", name, count=1)
        name = name[0].lower() + name[1:] if name != fact.name else name
    return identifier(name)


# ---- Merging -------------------------------------------------------------------------------


def _breadth(type: str) -> tuple[int, int]:
    """Return the rank of a type by specificity and by width."""
    if type == "octetArray":
        return 0, 0
    if type == "string":
        return 1, 0
    number = re.fullmatch(r"(?:un)?signed(\d+)", type)
    return (1, int(number[1])) if number else (2, 0)


def _choose_type(texts: list[tuple[Fact, str]]) -> tuple[str, str]:
    fact, type = texts[0]
    if fact.source == "fixbuf":
        return type, WHY["fixbuf"]
    best = max(texts, key=lambda each: _breadth(each[1]))[1]
    if _breadth(best)[0] > min(_breadth(each)[0] for _, each in texts):
        return best, "more specific"
    return best, "wider: a field may be shorter than its type"


WHY = {
    "fixbuf": "CERT's own registry",
    "netgauze": "the vendor's documents, by NetGauze",
    "libfds": "the vendor's documents, by libfds",
    "tshark": "tshark says more than logstash",
}


def merge(facts: Iterable[Fact]) -> tuple[dict[int, Rows], list[Disagreement]]:
    """Merge facts into a row for each element; return rows and disagreements."""
    facts_of: dict[tuple[int, int], list[Fact]] = {}
    for fact in sorted(facts, key=lambda fact: (fact.pen, fact.id, RANK.index(fact.source))):
        facts_of.setdefault((fact.pen, fact.id), []).append(fact)
    tables: dict[int, Rows] = {}
    disagreements: list[Disagreement] = []
    for (pen, id), texts in facts_of.items():
        row = tables.setdefault(pen, {}).setdefault(id, dict.fromkeys(COLUMNS, ""))
        row["id"] = str(id)
        for column in COLUMNS[1:-1]:
            row[column], differ = _decide(column, texts)
            disagreements += differ
        row["type"] = row["type"] or "octetArray"
        row["status"] = row["status"].removeprefix("current")
    for pen, rows in tables.items():
        disagreements += _tell_apart(pen, rows)
        for row in rows.values():
            row["values"] = VALUES.get(pen, {}).get(row["name"], "")
    return tables, sorted(disagreements)


def _decide(column: str, facts: list[Fact]) -> tuple[str, list[Disagreement]]:
    """Return the value of a column, and the disagreement about it or None."""
    speak = [fact for fact in facts if getattr(fact, column)]
    if column == "name":
        speak = [fact for fact in speak if fact.source != "title"] or speak
        texts = [(fact, clean_name(fact)) for fact in speak]
        different = {_fold(name) for _, name in texts}
    else:
        texts = [(fact, getattr(fact, column)) for fact in speak]
        different = {value for _, value in texts}
    pen, id = facts[0].pen, facts[0].id
    by_hand = DECISIONS.get((pen, id, column))
    value, why = "", ""
    if by_hand:
        value, why = by_hand
    elif column == "type" and texts:
        value, why = _choose_type(texts)
    elif texts:
        value, why = texts[0][1], WHY.get(texts[0][0].source, "")
    if not by_hand and len(different) < 2:
        return value, []
    literal = (f"{fact.source}={getattr(fact, column)}" for fact in speak)
    unique = dict.fromkeys(each.replace("title=", "tshark=") for each in literal)
    return value, [Disagreement(pen, id, column, value, tuple(unique), why)]


def _tell_apart(pen: int, rows: Rows) -> Iterator[Disagreement]:
    """Append the number to each name that an enterprise has twice, except the first."""
    first: dict[str, int] = {}
    for id, row in sorted(rows.items()):
        other = first.setdefault(row["name"].casefold(), id)
        if other != id:
            name = row["name"]
            row["name"] = f"{name}{id}"
            why = f"{other} has this name"
            yield Disagreement(pen, id, "name", row["name"], (f"all={name}",), why)


def netflow9(tables: Mapping[int, Rows], types: Mapping[int, str]) -> Rows:
    """Return the NetFlow v9 field types that are not IANA's: their own, Cisco's and FastIP's.

    ``types`` are those that tshark names.
    """
    rows = dict(tables[NETFLOW9])
    for pen, base in ((9, CISCO_V9_BASE), (33610, FASTIP_V9_BASE)):
        for id, row in tables[pen].items():
            if pen == 9 or base + id in types:
                rows[base + id] = {**row, "id": str(base + id)}
    return rows


# ---- NetFlow v9's names --------------------------------------------------------------------

#: RFC 3954 section 8, and Cisco's later lists: a number, the names of it and of the numbers
#: that follow; "+" joins names of one number.
CISCO_NAMES = """
1 IN_BYTES IN_PKTS FLOWS PROTOCOL TOS+SRC_TOS TCP_FLAGS L4_SRC_PORT IPV4_SRC_ADDR
9 SRC_MASK+IPV4_SRC_MASK INPUT_SNMP L4_DST_PORT IPV4_DST_ADDR DST_MASK+IPV4_DST_MASK
14 OUTPUT_SNMP IPV4_NEXT_HOP SRC_AS DST_AS BGP_IPV4_NEXT_HOP MUL_DST_PKTS MUL_DST_BYTES
21 LAST_SWITCHED FIRST_SWITCHED OUT_BYTES OUT_PKTS MIN_PKT_LNGTH MAX_PKT_LNGTH
27 IPV6_SRC_ADDR IPV6_DST_ADDR IPV6_SRC_MASK IPV6_DST_MASK IPV6_FLOW_LABEL ICMP_TYPE
33 MUL_IGMP_TYPE SAMPLING_INTERVAL SAMPLING_ALGORITHM FLOW_ACTIVE_TIMEOUT
37 FLOW_INACTIVE_TIMEOUT ENGINE_TYPE ENGINE_ID TOTAL_BYTES_EXP TOTAL_PKTS_EXP TOTAL_FLOWS_EXP
44 IPV4_SRC_PREFIX IPV4_DST_PREFIX MPLS_TOP_LABEL_TYPE MPLS_TOP_LABEL_IP_ADDR
48 FLOW_SAMPLER_ID FLOW_SAMPLER_MODE FLOW_SAMPLER_RANDOM_INTERVAL FLOW_CLASS MIN_TTL MAX_TTL
54 IPV4_IDENT DST_TOS SRC_MAC+IN_SRC_MAC DST_MAC+OUT_DST_MAC SRC_VLAN DST_VLAN
60 IP_PROTOCOL_VERSION DIRECTION IPV6_NEXT_HOP BGP_IPV6_NEXT_HOP+BPG_IPV6_NEXT_HOP
64 IPV6_OPTION_HEADERS
70 MPLS_LABEL_1 MPLS_LABEL_2 MPLS_LABEL_3 MPLS_LABEL_4 MPLS_LABEL_5 MPLS_LABEL_6
76 MPLS_LABEL_7 MPLS_LABEL_8 MPLS_LABEL_9 MPLS_LABEL_10 IN_DST_MAC OUT_SRC_MAC
82 IF_NAME IF_DESC SAMPLER_NAME IN_PERMANENT_BYTES IN_PERMANENT_PKTS
88 FRAGMENT_OFFSET FORWARDING_STATUS MPLS_PAL_RD MPLS_PREFIX_LEN
92 SRC_TRAFFIC_INDEX DST_TRAFFIC_INDEX APPLICATION_DESCRIPTION
95 APPLICATION_TAG+APPLICATION_ID APPLICATION_NAME
99 REPLICATION_FACTOR
102 LAYER2_PACKET_SECTION_OFFSET LAYER2_PACKET_SECTION_SIZE LAYER2_PACKET_SECTION_DATA
234 INGRESS_VRFID EGRESS_VRFID
"""
#: Cisco's guide to NetFlow of the ASA.
ASA_NAMES = """
4 NF_F_PROTOCOL 7 NF_F_SRC_PORT 8 NF_F_SRC_ADDR_IPV4 10 NF_F_SRC_INTF_ID 11 NF_F_DST_PORT
12 NF_F_DST_ADDR_IPV4 14 NF_F_DST_INTF_ID 27 NF_F_SRC_ADDR_IPV6 28 NF_F_DST_ADDR_IPV6
85 NF_F_FLOW_BYTES 148 NF_F_CONN_ID 152 NF_F_FLOW_CREATE_TIME_MSEC 176 NF_F_ICMP_TYPE
177 NF_F_ICMP_CODE 178 NF_F_ICMP_TYPE_IPV6 179 NF_F_ICMP_CODE_IPV6
225 NF_F_XLATE_SRC_ADDR_IPV4 226 NF_F_XLATE_DST_ADDR_IPV4 227 NF_F_XLATE_SRC_PORT
228 NF_F_XLATE_DST_PORT 231 NF_F_FWD_FLOW_DELTA_BYTES 232 NF_F_REV_FLOW_DELTA_BYTES
233 NF_F_FW_EVENT 281 NF_F_XLATE_SRC_ADDR_IPV6 282 NF_F_XLATE_DST_ADDR_IPV6
323 NF_F_EVENT_TIME_MSEC 33000 NF_F_INGRESS_ACL_ID 33001 NF_F_EGRESS_ACL_ID
33002 NF_F_FW_EXT_EVENT 40000 NF_F_USERNAME 40000 NF_F_USERNAME_MAX
"""


#: Names that IANA's registry had for elements before: number, name.
FORMER_NAMES = """
278 connectionCountNew 279 connectionSumDuration
"""


def aliases(registry: Path, names: Iterable[str]) -> list[tuple[int, str]]:
    """Return the names of NetFlow v9 field types: Cisco's, tshark's, logstash's, the first wins.

    None is also, but for case, one of ``names``, which are those of elements.
    """
    taken = {name.casefold() for name in names}
    known: dict[str, int] = {}
    for type, alias in _aliases(registry):
        if alias.casefold() not in taken:
            known.setdefault(alias, type)
    return sorted((type, alias) for alias, type in known.items())


def _aliases(registry: Path) -> Iterator[tuple[int, str]]:
    for line in CISCO_NAMES.strip().splitlines():
        first, *groups = line.split()
        for type, group in enumerate(groups, int(first)):
            for alias in group.split("+"):
                yield type, alias
    for names in (ASA_NAMES, FORMER_NAMES):
        words = names.split()
        yield from zip(map(int, words[::2]), words[1::2], strict=True)
    tshark = Tshark(registry / "vendors").values["cflow.template_field_type"]
    for type, name in tshark.items():
        alias = name.replace(" ", "_")
        if re.fullmatch("[A-Z0-9_]+", alias):
            yield type, alias
    logstash = _load_yaml(registry / "vendors" / "logstash_netflow9.yaml")
    for type, (_, *name) in logstash.items():
        if name and re.fullmatch("[a-z0-9_]+", name[0].strip(":")):
            yield type, name[0].strip(":").upper()


# ---- Names of values -----------------------------------------------------------------------

#: Enumerations that a sub-registry of IANA's has: the file, and the registry's id in it.
IANA_ENUMS = {
    "anonymizationTechnique": ("ipfix", "ipfix-anonymization-technique"),
    "biflowDirection": ("ipfix", "ipfix-biflow-direction"),
    "classificationEngineId": ("ipfix", "classification-engine-ids"),
    "firewallEvent": ("ipfix", "ipfix-firewall-event"),
    "flowDirection": ("flow_direction", "ipfix-flow-direction"),
    "flowEndReason": ("ipfix", "ipfix-flow-end-reason"),
    "flowSelectorAlgorithm": ("ipfix", "ipfix-flowselectoralgorithm"),
    "informationElementDataType": ("ipfix", "ipfix-information-element-data-types"),
    "informationElementSemantics": ("ipfix", "ipfix-information-element-semantics"),
    "informationElementUnits": ("ipfix", "ipfix-information-element-units"),
    "mibCaptureTimeSemantics": ("ipfix", "ipfix-mib-capture-time-semantics"),
    "mplsTopLabelType": ("ipfix", "ipfix-mpls-label-type"),
    "natEvent": ("ipfix", "ipfix-nat-event-type"),
    "natOriginatingAddressRealm": ("ipfix", "ipfix-nat-originating-address-realm"),
    "natQuotaExceededEvent": ("ipfix", "ipfix-nat-quota-exceeded-event"),
    "natThresholdEvent": ("ipfix", "ipfix-nat-threshold-event"),
    "natType": ("ipfix", "ipfix-nat-type"),
    "observationPointType": ("ipfix", "ipfix-observation-point-type"),
    "selectorAlgorithm": ("psamp_parameters", "psamp-parameters-1"),
    "srhIPv6ActiveSegmentType": ("ipfix", "ipfix-ipv6-srh-segment-type"),
    "srhSegmentIPv6EndpointBehavior": ("segment_routing", "srv6-endpoint-behaviors"),
    "structuredDataTypesSemantics": ("ipfix", "ipfix-structured-data-types-semantics"),
    "valueDistributionMethod": ("ipfix", "ipfix-value-distribution-method"),
}

#: Enumerations that tshark has.
TSHARK_ENUMS = {
    "barracudaLogOp": "cflow.pie.barracuda.logop",
    "barracudaTrafficType": "cflow.pie.barracuda.traffictype",
    "ciscoServicesWaasPassThroughReason": "cflow.pie.cisco.services_waas_passthrough-reason",
    "ciscoServicesWaasSegment": "cflow.pie.cisco.services_waas_segment",
    "engineType": "cflow.engine_type",
    "fwExtEvent": "cflow.fw_ext_event",
    "ixiaDnsMsgQrFlag": "cflow.pie.ixia.dns-hdr-qr",
    "ixiaDnsSectionType": "cflow.pie.ixia.dns-section-type",
    "scopeFieldType": "cflow.scope_field_type",
}

#: Names by hand, where the registry has a sentence or an error.
VALUE_DECISIONS = {
    ("classificationEngineId", 21): "Qosmos ixEngine",
    ("classificationEngineId", 22): "ntop nDPI",
    ("classificationEngineId", 23): "ipoque PACE2",
    ("classificationEngineId", 24): "ipoque vPACE",
    ("dataLinkFrameType", 0): "IEEE802.3",
    ("dataLinkFrameType", 1): "IEEE802.11",
    ("natOriginatingAddressRealm", 2): "Public",  # IANA has Private twice
    ("srhSegmentIPv6EndpointBehavior", 32767): "SID of RFC 8754",
}

#: Files in enums without a source: they are written by hand and not changed.
BY_HAND = frozenset(
    {
        "anonymizationFlags",
        "bgpValidityState",
        "ethernetType",
        "exportProtocolVersion",
        "fragmentFlags",
        "gtpuFlags",
        "gtpuMsgType",
        "gtpuPduType",
        "icmpTypeCodeIPv4",
        "icmpTypeCodeIPv6",
        "icmpTypeIPv4",
        "icmpTypeIPv6",
        "igmpType",
        "interfaceType",
        "ipClassOfService",
        "ipDiffServCodePoint",
        "ipPrecedence",
        "ipVersion",
        "ipv4Options",
        "ipv6ExtensionHeaders",
        "isMulticast",
        "pseudoWireType",
        "samplerMode",
        "samplingAlgorithm",
        "srhFlagsIPv6",
        "tcpControlBits",
        "tcpOptions",
        "tunnelType",
        "udpSafeOptions",
        "udpUnsafeOptions",
    }
)


def enums(registry: Path) -> dict[str, dict[int, str]]:
    """Return the names of values by file."""
    iana = registry / "iana"
    known = {
        file: _values(_registry(iana / f"{xml}.xml", id)) for file, (xml, id) in IANA_ENUMS.items()
    }
    tshark = Tshark(registry / "vendors").values
    known |= {file: dict(tshark[field]) for file, field in TSHARK_ENUMS.items()}
    known["forwardingStatus"] = _forwarding_status(iana / "ipfix.xml")
    known["protocolIdentifier"] = _protocols(iana / "protocol_numbers.xml")
    known["ipv6ExtensionHeadersFull"] = {
        int(texts["value"]): texts["label"] or f"EXP{texts['number']}"
        for texts in _registry(iana / "ipfix.xml", "ipfix-ipv6extensionheaders-bits")
        if texts["value"].isdecimal()
    }
    # Each value is a bit of its own, to be ORed: here bits are counted.
    known["dataLinkFrameType"] = {
        value.bit_length() - 1: name
        for value, name in _values(
            _registry(iana / "ipfix.xml", "ipfix-data-link-frame-type")
        ).items()
    }
    for (file, value), name in VALUE_DECISIONS.items():
        known[file][value] = name
    return known


def _registry(path: Path, id: str) -> Iterator[dict[str, str]]:
    """Yield the records of one registry or sub-registry in a file of IANA's."""
    for registry in ElementTree.parse(path).getroot().iter():
        if registry.get("id") == id and registry.tag.endswith("}registry"):
            for record in registry.iterfind("{*}record"):
                yield {
                    child.tag.rpartition("}")[2]: " ".join("".join(child.itertext()).split())
                    for child in record
                }


def _values(records: Iterable[dict[str, str]]) -> dict[int, str]:
    """Return the assigned names by value, each without its explanation."""
    names = {}
    for texts in records:
        value = texts.get("value") or texts["id"]
        name = (texts.get("name") or texts.get("description", "")).partition(":")[0]
        name = re.sub(r" \((?:Historic|invalid)\)", "", name).rstrip(".")
        if re.fullmatch(r"\d+|0x[0-9A-Fa-f]+", value) and name not in (
            *("Reserved", "Unassigned", "unassigned", "Invalid", ""),
        ):
            names[int(value, 0)] = name
    return names


def _forwarding_status(path: Path) -> dict[int, str]:
    """Return the names of octets with a status in two bits and a reason in the others."""
    names = {0: "Unknown"}
    for status, bits in (("Forwarded", "01"), ("Dropped", "10"), ("Consumed", "11")):
        for value, reason in _values(_registry(path, f"forwarding-status-{bits}b")).items():
            names[value] = status if reason == "Unknown" else f"{status}: {reason}"
    return names


def _protocols(path: Path) -> dict[int, str]:
    """Return the names of protocol numbers in lower case, as in /etc/protocols and Scapy."""
    names = {}
    for texts in _registry(path, "protocol-numbers-1"):
        name = texts.get("name") or texts["description"]
        if not texts["value"].isdecimal() or name == "Reserved":
            continue
        if name.startswith("Use for experimentation"):
            name = f"exp{texts['value']}"
        name = name.replace(" (deprecated)", "").casefold()
        names[int(texts["value"])] = re.sub(r"[^a-z0-9.+-]", "-", name)
    return names


# ---- Files ---------------------------------------------------------------------------------


def make_files(registry: Path) -> tuple[dict[str, str], list[Disagreement]]:
    """Return the text of every file by its path below ``data``, and the disagreements."""
    tables, disagreements = merge(read_facts(registry))
    v9 = netflow9(tables, Tshark(registry / "vendors").values["cflow.template_field_type"])
    files = {}
    for pen, enterprise in ENTERPRISES.items():
        files[f"{pen}_{enterprise.slug}.csv"] = _rows_text(tables.pop(pen))
    del tables[NETFLOW9]
    if tables:
        raise SystemExit(f"no file for the enterprises {sorted(tables)}: see ENTERPRISES")
    files["netflow9.csv"] = _rows_text(v9)
    names = [*iana_names(registry).values(), *(row["name"] for row in v9.values())]
    if len({name.casefold() for name in names}) < len(names):
        twice = sorted(name for name in names if sum(name == each for each in names) > 1)
        raise SystemExit(f"names of both IANA's and v9's elements: {twice}")
    files["netflow9_aliases.csv"] = _csv_text(("id", "alias"), aliases(registry, names))
    files["enterprises.csv"] = _csv_text(
        ("pen", "name", "reverse_bit", "v9_base"),
        [(0, "IANA", None, None), *((pen, *each[1:]) for pen, each in ENTERPRISES.items())],
    )
    for file, values in enums(registry).items():
        files[f"enums/{file}.csv"] = _csv_text(("value", "name"), sorted(values.items()))
    return files, disagreements


def _rows_text(rows: Rows) -> str:
    for row in rows.values():
        if not row["name"].isidentifier() or keyword.iskeyword(row["name"]):
            raise SystemExit(f"element {row['id']}: {row['name']!r} is no name for an attribute")
    return _csv_text(COLUMNS, (row.values() for _, row in sorted(rows.items())))


def _csv_text(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 1 if ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("registry", type=Path, help="directory that contains iana and vendors")
    parser.add_argument("--output", type=Path, default=PACKAGE_DATA, help="directory to write to")
    parser.add_argument("--check", action="store_true", help="only list the files that differ")
    parser.add_argument("--disagreements", action="store_true", help="only print the disagreements")
    options = parser.parse_args(arguments)
    files, disagreements = make_files(options.registry)
    if options.disagreements:
        print(*disagreements, sep="\n")
        return 0
    differ = 0
    for path in sorted(options.output.glob("enums/*.csv")):
        if f"enums/{path.name}" not in files and path.stem not in BY_HAND:
            differ += 1
            print(f"enums/{path.name} is neither made here nor by hand")
    for name, text in files.items():
        path = options.output / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            differ += 1
            print(name)
            if not options.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(files)} files, {differ} {'differ' if options.check else 'written'}")
    return int(options.check and differ > 0)


if __name__ == "__main__":
    sys.exit(main())

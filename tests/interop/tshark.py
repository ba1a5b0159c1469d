# SPDX-License-Identifier: GPL-2.0-or-later
"""Reader of tshark's output: messages, Sets, records, and every field with its octets.

tshark's PDML has the offset, the length and the value of each field. :func:`read` returns
these in the terms of this package, so that tests can compare the two.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

TSHARK = shutil.which("tshark")
#: Ports of the captures, and room for templates of Open vSwitch (tshark's limit is 60 fields).
_OPTIONS = (
    *("-d", "udp.port==2055,cflow", "-d", "udp.port==4739,cflow", "-d", "tcp.port==4739,cflow"),
    *("-o", "cflow.max_template_fields:1000"),
    *("-Y", "cflow", "-J", "cflow", "-T", "pdml"),
)
_SET = re.compile(r"(?:Flow)?Set (\d+) \[id=(\d+)\]")
_FLOW = re.compile(r"Flow \d+")  # "Flow 1 (unknown)" where it knows not all fields

#: tshark's names of fields and IANA's of the elements that they stand for, where these are not
#: the same words: cflow.srcaddr is sourceIPv4Address.
_ALIASES = """
abstimeend flowEndDeltaMicroseconds flowEndMicroseconds flowEndMilliseconds flowEndNanoseconds
    flowEndSeconds,
abstimestart flowStartDeltaMicroseconds flowStartMicroseconds flowStartMilliseconds
flowStartNanoseconds flowStartSeconds flowStartSysUpTime, appl_desc applicationDescription,
appl_name applicationName, bgpnexthop bgpNextHopIPv4Address, bgpnexthopv6 bgpNextHopIPv6Address,
collector_addr collectorIPv4Address, collector_addr_v6 collectorIPv6Address,
collector_port collectorTransportPort, delta_octets_squared octetDeltaSumOfSquares,
direction flowDirection, drop_octets droppedOctetDeltaCount, drop_packets droppedPacketDeltaCount,
drop_total_octets droppedOctetTotalCount, drop_total_packets droppedPacketTotalCount,
dstaddr destinationIPv4Address, dstaddrv6 destinationIPv6Address, dstas bgpDestinationAsNumber,
dstmac destinationMacAddress, dstmask destinationIPv4PrefixLength,
dstmaskv6 destinationIPv6PrefixLength, dstnetv6 destinationIPv6Prefix,
dstport destinationTransportPort tcpDestinationPort udpDestinationPort,
dstprefix destinationIPv4Prefix, exporter_addr exporterIPv4Address,
exporter_addr_v6 exporterIPv6Address, exporter_port exporterTransportPort,
exporter_protocol exportTransportProtocol, firewall_event fwEvent, flow_class classId,
flow_exporter exportingProcessId, flow_inactive_timeout flowIdleTimeout,
flows deltaFlowCount observedFlowTotalCount, flowsexp exportedFlowRecordTotalCount,
frag_ident fragmentIdentification, icmp_ipv4_code icmpCodeIPv4, icmp_ipv4_type icmpTypeIPv4,
icmp_ipv6_code icmpCodeIPv6, icmp_ipv6_type icmpTypeIPv6, if_descr interfaceDescription,
if_name interfaceName, ignore_octets ignoredOctetTotalCount,
ignore_packets ignoredPacketTotalCount, inputint ingressInterface, ip_dscp ipDiffServCodePoint,
ip_fragment_flags fragmentFlags, ip_header_words ipv4IHL, ipv4_total_length totalLengthIPv4,
ipv6_exthdr ipv6ExtensionHeaders, ipv6_next_hdr nextHeaderIPv6,
ipv6_payload_length payloadLengthIPv6, ipv6flowlabel flowLabelIPv6,
length_max maximumIpTotalLength, length_min minimumIpTotalLength, mib_mobile_imsi mobileIMSI,
mib_mobile_msisdn mobileMSISDN, mib_object_octetstring mibObjectValueOctetString,
mp_id meteringProcessId, mpls_label_depth mplsLabelStackDepth,
mpls_label_length mplsLabelStackLength, mpls_vpn_rd mplsVpnRouteDistinguisher,
muloctets postMCastOctetDeltaCount, mulpackets postMCastPacketDeltaCount,
nexthop ipNextHopIPv4Address, nexthopv6 ipNextHopIPv6Address, notsent_flows notSentFlowTotalCount,
notsent_octets notSentOctetTotalCount, notsent_packets notSentPacketTotalCount,
octets octetDeltaCount, octetsexp exportedOctetTotalCount, od_id observationDomainId,
option_map ipv4Options, outputint egressInterface, packets packetDeltaCount,
packetsexp exportedMessageTotalCount, padding paddingOctets, peer_dstas bgpNextAdjacentAsNumber,
peer_srcas bgpPrevAdjacentAsNumber, permanent_octets octetTotalCount,
permanent_packets packetTotalCount, pie.ixia.browser-id ixiaBrowserId,
pie.ixia.browser-name ixiaBrowserName, pie.ixia.dest-as-name ixiaDstAsName,
pie.ixia.destination-ip-latitude ixiaDstLatitude,
pie.ixia.destination-ip-longitude ixiaDstLongitude, pie.ixia.l7-application-id ixiaL7AppId,
pie.ixia.l7-application-name ixiaL7AppName, pie.ixia.os-device-id ixiaDeviceId,
pie.ixia.os-device-name ixiaDeviceName, pie.ixia.reverse-octet-delta-count ixiaRevOctetDeltaCount,
pie.ixia.reverse-packet-delta-count ixiaRevPacketDeltaCount,
pie.ixia.source-ip-latitude ixiaSrcLatitude, pie.ixia.source-ip-longitude ixiaSrcLongitude,
pie.ixia.src-as-name ixiaSrcAsName, pie.ixia.threat-ipv4 ixiaThreatIPv4,
pie.ixia.transact-latency-us ixiaLatency, post_dstmac postDestinationMacAddress,
post_key flowKeyIndicator, post_naptdestination_transport_port xlateDstPort,
post_naptsource_transport_port xlateSrcPort, post_natdestination_ipv4_address xlateDstAddrIPv4,
post_natsource_ipv4_address xlateSrcAddrIPv4, post_octets postOctetDeltaCount,
post_packets postPacketDeltaCount, post_srcmac postSourceMacAddress, post_tos postIpClassOfService,
post_total_muloctets postMCastOctetTotalCount, post_total_mulpackets postMCastPacketTotalCount,
post_total_octets postOctetTotalCount, post_total_packets postPacketTotalCount,
protocol protocolIdentifier, scope_linecard lineCardId, section_header ipHeaderPacketSection,
section_payload ipPayloadPacketSection, srcaddr sourceIPv4Address, srcaddrv6 sourceIPv6Address,
srcas bgpSourceAsNumber, srcmac sourceMacAddress, srcmask sourceIPv4PrefixLength,
srcmaskv6 sourceIPv6PrefixLength, srcnetv6 sourceIPv6Prefix,
srcport sourceTransportPort tcpSourcePort udpSourcePort, srcprefix sourceIPv4Prefix,
sys_init_time systemInitTimeMilliseconds, tcp_ack_num tcpAcknowledgementNumber,
tcp_option_map tcpOptions, tcp_seq_num tcpSequenceNumber, tcp_urg_ptr tcpUrgentPointer,
tcp_windows_size tcpWindowSize, tcpflags tcpControlBits,
timedelta flowDurationMicroseconds flowDurationMilliseconds, timeend flowEndSysUpTime,
timestart flowStartSysUpTime, toplabeladdr mplsTopLabelIPv4Address,
toplabeladdr_v6 mplsTopLabelIPv6Address, toplabeltype mplsTopLabelType, tos ipClassOfService,
total_octets_squared octetTotalSumOfSquares, total_tcp_ack tcpAckTotalCount,
total_tcp_fin tcpFinTotalCount, total_tcp_psh tcpPshTotalCount, total_tcp_rst tcpRstTotalCount,
total_tcp_syn tcpSynTotalCount, total_tcp_urg tcpUrgTotalCount, ttl_max maximumTTL,
ttl_min minimumTTL, udp_length udpMessageLength
"""
ALIASES = {
    f"cflow.{names[0]}": frozenset(names[1:])
    for names in (entry.split() for entry in _ALIASES.split(","))
}
#: The names of unknown fields in tshark.
UNNAMED = frozenset({"", "cflow.enterprise_private_entry", "cflow.unknown_field_type"})


@dataclass(frozen=True)
class Field:
    """A field of a record. ``position`` is in octets from where the Set begins."""

    name: str  # cflow.srcaddr
    label: str  # SrcAddr: 192.0.2.1
    show: str  # 192.0.2.1
    position: int
    octets: bytes

    @property
    def span(self) -> tuple[int, int]:
        """Position and number of octets."""
        return self.position, len(self.octets)


@dataclass(frozen=True)
class Set:
    """A Set: ``position`` is in octets from where the message begins."""

    set_id: int
    position: int
    records: tuple[tuple[Field, ...], ...]


@dataclass(frozen=True)
class Message:
    """An export message. ``sets`` are by index, as far as tshark read them."""

    frame: int
    version: int
    sets: dict[int, Set] = field(default_factory=dict)

    @property
    def records(self) -> int:
        return sum(len(each.records) for each in self.sets.values())


def same_name(theirs: str, ours: str) -> bool:
    """Return True if tshark's name of a field stands for an element."""
    words = theirs.split(".")[-1].replace("_", "").replace("-", "")
    return words == ours.lower() or ours in ALIASES.get(theirs, ())


@cache
def version() -> str:
    """Such as ``4.0.17``."""
    assert TSHARK is not None
    done = subprocess.run([TSHARK, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\d+\.\d+\.\d+", done.stdout)
    assert found is not None, done.stdout
    return found[0]


def read(path: Path, *options: str) -> list[Message]:
    """Read the IPFIX and NetFlow v9 messages of a capture with tshark."""
    assert TSHARK is not None
    done = subprocess.run(
        [TSHARK, "-r", str(path), *_OPTIONS, *options],
        capture_output=True,
        timeout=120,
        check=True,
    )
    messages = []
    for packet in ElementTree.fromstring(done.stdout):
        number = packet.find("proto[@name='geninfo']/field[@name='num']")
        assert number is not None
        for tree in packet.findall("proto[@name='cflow']"):
            message = _message(int(number.get("show", "")), tree)
            if message is not None:
                messages.append(message)
    return messages


def _message(frame: int, tree: ElementTree.Element) -> Message | None:
    version = tree.find("field[@name='cflow.version']")
    if version is None or version.get("show") not in ("9", "10"):
        return None
    message = Message(frame, int(version.get("show", "")))
    start = _number(tree, "pos")
    for each in tree.findall("field"):
        titled = _SET.match(each.get("show", ""))
        if titled:
            position = _number(each, "pos")
            records = tuple(
                tuple(_fields(flow, position))
                for flow in each.findall("field")
                if _FLOW.match(flow.get("show", ""))
            )
            message.sets[int(titled[1]) - 1] = Set(int(titled[2]), position - start, records)
    return message


def _fields(flow: ElementTree.Element, start: int) -> list[Field]:
    """Return the fields of a record that have octets, without the flags below them."""
    found = []
    for each in flow.findall("field"):
        # start and end of a flow stand below their difference, which is no field
        parts = each.findall("field") if each.get("name") == "cflow.timedelta" else []
        found += [
            Field(
                name=part.get("name", ""),
                label=part.get("showname", ""),
                show=part.get("show", ""),
                position=_number(part, "pos") - start,
                octets=bytes.fromhex(part.get("value", "")),
            )
            for part in parts or [each]
            if _number(part, "size")
        ]
    return found


def _number(element: ElementTree.Element, name: str) -> int:
    return int(element.get(name, ""))

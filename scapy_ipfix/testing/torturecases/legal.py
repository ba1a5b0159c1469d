# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture cases: unusual and legal IPFIX, which a collector has to read."""

from __future__ import annotations

from scapy.fields import RawVal

from scapy_ipfix.layers.messages import IPFIX
from scapy_ipfix.layers.sets import DataSet, OptionsTemplateSet, TemplateSet
from scapy_ipfix.layers.templates import TemplateRecord
from scapy_ipfix.testing.torturecases.case import FLOW, NAMED, OPTIONS, ROW, Packets, legal
from scapy_ipfix.wire.template import Template

# -- messages


@legal("RFC 7011 3", "accept the message")
def message_without_sets() -> Packets:
    """A message consists of its header alone, with no Set."""
    return [IPFIX()]


@legal("RFC 7011 10", "read the whole message", transport="tcp")
def message_of_65535_octets() -> Packets:
    """A message has the greatest length that its header can hold."""
    pad = Template(300, "paddingOctets[65503]")
    return [IPFIX() / TemplateSet(templates=[pad]) / DataSet(template=pad, records=[(b"",)])]


@legal("RFC 7011 10", "read the whole message, reassembled from its fragments", transport="udp")
def message_of_65507_octets() -> Packets:
    """A message of 5455 records has the greatest length of a UDP datagram over IPv4."""
    rows = DataSet(template=FLOW, records=[ROW] * 5455, padding=b"\0" * 7)
    return [IPFIX() / TemplateSet(templates=[FLOW]) / rows]


@legal("RFC 7011 3.3", "read all Sets without recursion")
def two_thousand_sets() -> Packets:
    """A message has two thousand Data Sets of one record each."""
    message = IPFIX() / TemplateSet(templates=[FLOW])
    message.sets = [*message.sets, *(DataSet(template=FLOW, records=[ROW]) for _ in range(2000))]
    return [message]


@legal("RFC 7011 3.1", "report no gap: the number counts records modulo 2^32")
def sequence_wraps() -> Packets:
    """The sequence number wraps from 4294967295 to 0 within a message."""
    return [
        IPFIX(sequenceNumber=0xFFFFFFFE)
        / TemplateSet(templates=[FLOW])
        / DataSet(template=FLOW, records=[ROW] * 3),
        IPFIX(sequenceNumber=1) / DataSet(template=FLOW, records=[ROW]),
    ]


@legal("RFC 7011 3.1", "report no gap: templates are not counted")
def templates_do_not_count() -> Packets:
    """Three messages with templates alone have the sequence number of the data after them."""
    refresh = [IPFIX(sequenceNumber=5) / TemplateSet(templates=[FLOW]) for _ in range(3)]
    return [*refresh, IPFIX(sequenceNumber=5) / DataSet(template=FLOW, records=[ROW])]


@legal("RFC 7011 5.2", "read an unsigned number, valid until 2106", "export-time")
def export_time_past_2038() -> Packets:
    """The export time is 2040-01-01, which sets its highest bit."""
    return [IPFIX(exportTime="2040-01-01") / TemplateSet(templates=[FLOW])]


@legal("RFC 7011 3.1", "keep the templates of each domain apart")
def same_id_in_two_domains() -> Packets:
    """Two Observation Domains use template id 256 for different templates."""
    other = Template(256, "octetDeltaCount", "packetDeltaCount")
    return [
        IPFIX(observationDomainId=0) / TemplateSet(templates=[FLOW]),
        IPFIX(observationDomainId=1) / TemplateSet(templates=[other]),
        IPFIX(observationDomainId=0) / DataSet(template=FLOW, records=[ROW]),
        IPFIX(observationDomainId=1) / DataSet(template=other, records=[(1500, 1)]),
    ]


# -- sets and padding


@legal("RFC 7011 3.3.1", "read both records and ignore the padding")
def padding_of_one_octet() -> Packets:
    """A Data Set ends in one octet of padding, which aligns nothing."""
    rows = DataSet(template=FLOW, records=[ROW, ROW], padding=b"\0")
    return [IPFIX() / TemplateSet(templates=[FLOW]) / rows]


@legal("RFC 7011 3.3.1", "read one record, not two")
def padding_almost_a_record() -> Packets:
    """The padding is one octet shorter than a record, the longest that is allowed."""
    rows = DataSet(template=FLOW, records=[ROW], padding=b"\0" * 11)
    return [IPFIX() / TemplateSet(templates=[FLOW]) / rows]


@legal("RFC 7011 9", "accept padding after Template Records")
def padding_after_templates() -> Packets:
    """A Template Set ends in three octets of padding."""
    return [
        IPFIX()
        / TemplateSet(templates=[FLOW], padding=b"\0\0\0")
        / DataSet(template=FLOW, records=[ROW])
    ]


@legal("RFC 7011 3.3.1", "read the record without the paddingOctets")
def padding_as_an_element() -> Packets:
    """A template aligns its fields with the element paddingOctets, twice."""
    pad = "paddingOctets[3]"
    aligned = Template(300, "protocolIdentifier", pad, "ipClassOfService", pad)
    rows = DataSet(template=aligned, records=[(6, b"", 0, b"")])
    return [IPFIX() / TemplateSet(templates=[aligned]) / rows]


@legal("RFC 7011 3.3.1", "read four records")
def records_of_one_octet() -> Packets:
    """Records are one octet long, so that a Set of four of them cannot have padding."""
    tiny = Template(300, "protocolIdentifier")
    rows = DataSet(template=tiny, records=[(0,), (6,), (17,), (0,)])
    return [IPFIX() / TemplateSet(templates=[tiny]) / rows]


@legal("RFC 7011 3.4", "decode each Data Set with its template")
def templates_and_data_interleaved() -> Packets:
    """One message holds a template, its data, another template and its data."""
    return [
        IPFIX()
        / TemplateSet(templates=[FLOW])
        / DataSet(template=FLOW, records=[ROW])
        / TemplateSet(templates=[NAMED])
        / DataSet(template=NAMED, records=[("lab", 1500)])
        / DataSet(template=FLOW, records=[ROW])
    ]


@legal("RFC 7011 8", "decode the data once the template is known, or drop it", "missing-template")
def data_before_template_in_a_message() -> Packets:
    """A message has a Data Set before the Template Set that defines its template."""
    return [IPFIX() / DataSet(template=FLOW, records=[ROW]) / TemplateSet(templates=[FLOW])]


@legal("RFC 7011 8", "decode the data once the template is known, or drop it", "missing-template")
def data_before_template() -> Packets:
    """A Data Set arrives a message before its template, as after a restart of the collector."""
    return [
        IPFIX() / DataSet(template=FLOW, records=[ROW]),
        IPFIX(sequenceNumber=1) / TemplateSet(templates=[FLOW]),
        IPFIX(sequenceNumber=1) / DataSet(template=FLOW, records=[ROW]),
    ]


# -- templates


@legal("RFC 7011 3.4.1", "store all templates")
def two_hundred_templates_in_a_set() -> Packets:
    """One Template Set defines two hundred templates."""
    many = [FLOW.with_id(1000 + number) for number in range(200)]
    return [IPFIX() / TemplateSet(templates=many) / DataSet(template=many[199], records=[ROW])]


@legal("RFC 7011 3.4.1", "assume nothing about the order of ids")
def template_ids_out_of_order() -> Packets:
    """Templates have the ids 65535, 256 and 40000, in that order."""
    three = [FLOW.with_id(number) for number in (65535, 256, 40000)]
    return [IPFIX() / TemplateSet(templates=three) / DataSet(template=three[0], records=[ROW])]


@legal("RFC 7011 8", "return both values")
def same_element_twice() -> Packets:
    """A template has tcpControlBits twice, as some Cisco exporters send it."""
    twice = Template(300, "tcpControlBits", "tcpControlBits")
    rows = DataSet(template=twice, records=[(0x02, 0x12)])
    return [IPFIX() / TemplateSet(templates=[twice]) / rows]


@legal("RFC 7011 8", "return all values")
def same_element_three_hundred_times() -> Packets:
    """A template has three hundred fields of one element."""
    wide = Template(300, *["octetDeltaCount[1]"] * 300)
    rows = DataSet(template=wide, records=[tuple(i & 255 for i in range(300))])
    return [IPFIX() / TemplateSet(templates=[wide]) / rows]


@legal("RFC 7011 8.4", "keep the template and log nothing", transport="udp")
def template_refreshed() -> Packets:
    """The same template is sent again, as refreshes over UDP do."""
    first = IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW])
    again = IPFIX(sequenceNumber=1) / TemplateSet(templates=[FLOW])
    return [first, again / DataSet(template=FLOW, records=[ROW])]


@legal("RFC 7011 8.4", "replace the template", "template-redefined", transport="udp")
def template_redefined_over_udp() -> Packets:
    """Template 256 is redefined, which over UDP needs no withdrawal."""
    other = Template(256, "octetDeltaCount", "packetDeltaCount")
    return [
        IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW]),
        IPFIX(sequenceNumber=1)
        / TemplateSet(templates=[other])
        / DataSet(template=other, records=[(1500, 1)]),
    ]


@legal(
    "RFC 7011 8.1",
    "remove the template, then store the new one",
    "template-withdrawn",
    transport="tcp",
)
def withdrawal_then_reuse() -> Packets:
    """A template is withdrawn and its id used for another one in the same message."""
    other = Template(256, "octetDeltaCount", "packetDeltaCount")
    return [
        IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW]),
        IPFIX(sequenceNumber=1)
        / TemplateSet(templates=[TemplateRecord(templateId=256)])
        / TemplateSet(templates=[other])
        / DataSet(template=other, records=[(1500, 1)]),
    ]


@legal(
    "RFC 7011 8.1",
    "remove all templates, and decode no data for them",
    "template-withdrawn",
    "missing-template",
    transport="tcp",
)
def withdrawal_of_all_templates() -> Packets:
    """A withdrawal of id 2 removes all templates, but no Options Template."""
    return [
        IPFIX()
        / TemplateSet(templates=[FLOW, NAMED])
        / OptionsTemplateSet(templates=[OPTIONS])
        / TemplateSet(templates=[TemplateRecord(templateId=2)])
        / DataSet(template=OPTIONS, records=[(1, 2, "eth0")])
        / DataSet(template=FLOW, records=[ROW])
    ]


@legal("RFC 7011 3.2", "return the octets of the element, or omit it")
def enterprise_4294967295() -> Packets:
    """A template has an element of the highest enterprise number."""
    last = Template(300, "(4294967295/1)[4]", "octetDeltaCount[4]")
    rows = DataSet(template=last, records=[(b"\0\0\0\1", 1500)])
    return [IPFIX() / TemplateSet(templates=[last]) / rows]


@legal("RFC 7011 9", "return the octets of the element, or omit it")
def unknown_elements() -> Packets:
    """A template has unknown elements: 32767 of IANA and one of an enterprise."""
    new = Template(300, "(32767)[7]", "octetDeltaCount[4]", "(64999/32767)[v]")
    rows = DataSet(template=new, records=[(b"seven..", 1500, b"any number")])
    return [IPFIX() / TemplateSet(templates=[new]) / rows]


# -- options


@legal("RFC 7011 3.4.2.1", "distinguish the two scope fields from the others")
def options_of_two_scopes() -> Packets:
    """An Options Template has two scope fields."""
    rows = DataSet(template=OPTIONS, records=[(1, 2, "eth0")])
    return [IPFIX() / OptionsTemplateSet(templates=[OPTIONS]) / rows]


@legal("RFC 7011 3.4.2.2", "read the record")
def options_of_nothing_but_scope() -> Packets:
    """All fields of an Options Template are scope fields."""
    scope = Template(300, "exportingProcessId", "ingressInterface", scope=2)
    rows = DataSet(template=scope, records=[(1, 2)])
    return [IPFIX() / OptionsTemplateSet(templates=[scope]) / rows]


@legal("RFC 5610 3", "use the type from the record, or return octets")
def options_that_define_an_element() -> Packets:
    """An options record defines name and type of an element, and data uses the element."""
    about = Template(
        *(300, "privateEnterpriseNumber", "informationElementId"),
        *("informationElementDataType", "informationElementName"),
        scope=2,
    )
    told = Template(301, "(64998/77)[4]", "octetDeltaCount[4]")
    return [
        IPFIX()
        / OptionsTemplateSet(templates=[about])
        / DataSet(template=about, records=[(64998, 77, 3, "tortureDepth")]),
        IPFIX(sequenceNumber=1)
        / TemplateSet(templates=[told])
        / DataSet(template=told, records=[(b"\0\0\0\x07", 1500)]),
    ]


# -- values


@legal("RFC 7011 7", "read a string of 3 octets")
def long_form_of_a_short_length() -> Packets:
    """A string of 3 octets has its length in the long form, 255 and two more octets."""
    rows = DataSet(template=NAMED, records=[(RawVal(b"\xff\x00\x03lab"), 1500)])
    return [IPFIX() / TemplateSet(templates=[NAMED]) / rows]


@legal("RFC 7011 7", "read strings of 254, 255 and 256 octets")
def lengths_around_255() -> Packets:
    """Strings have the greatest length of the short form and the least of the long form."""
    rows = [("a" * 254, 1), ("b" * 255, 2), ("c" * 256, 3)]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@legal("RFC 7011 7", "read an empty string")
def string_of_no_octets() -> Packets:
    """A string of variable length is empty, in the short and in the long form."""
    rows = DataSet(template=NAMED, records=[("", 1), (RawVal(b"\xff\0\0"), 2)])
    return [IPFIX() / TemplateSet(templates=[NAMED]) / rows]


@legal("RFC 7011 6.2", "read 1500 from 3 octets")
def integer_of_three_octets() -> Packets:
    """An unsigned64 is encoded in 3 octets."""
    three = Template(300, "octetDeltaCount[3]", "packetDeltaCount[3]")
    rows = DataSet(template=three, records=[(1500, 1)])
    return [IPFIX() / TemplateSet(templates=[three]) / rows]


@legal("RFC 7011 6.2", "read eight times the same number")
def integers_of_one_to_eight_octets() -> Packets:
    """One record has an unsigned64 encoded in every length from 1 to 8 octets."""
    every = Template(300, *(f"octetDeltaCount[{length}]" for length in range(1, 9)))
    rows = DataSet(template=every, records=[(200,) * 8])
    return [IPFIX() / TemplateSet(templates=[every]) / rows]


@legal("RFC 7011 6.2", "extend the sign: the number is -2")
def negative_integer_of_three_octets() -> Packets:
    """A signed32 with value -2 is encoded in 3 octets."""
    signed = Template(300, "mibObjectValueInteger[3]")
    return [IPFIX() / TemplateSet(templates=[signed]) / DataSet(template=signed, records=[(-2,)])]


@legal("RFC 7011 6.2", "read 0.125")
def float64_of_four_octets() -> Packets:
    """A float64 is encoded as a float32."""
    half = Template(300, "samplingProbability[4]")
    return [IPFIX() / TemplateSet(templates=[half]) / DataSet(template=half, records=[(0.125,)])]


@legal("RFC 7011 6.1.9", "read a time of 2040, in the NTP era that begins in 2036")
def ntp_times_past_2036() -> Packets:
    """Microseconds and nanoseconds have NTP seconds of the era that begins in 2036."""
    late = Template(300, "flowStartMicroseconds", "flowEndNanoseconds")
    rows = DataSet(template=late, records=[("2040-01-01", "2040-01-01T00:00:01Z")])
    return [IPFIX() / TemplateSet(templates=[late]) / rows]


@legal("RFC 7011 6.1.6", "escape the text for terminals, logs, SQL and HTML")
def string_of_control_characters() -> Packets:
    """Strings hold an escape sequence, a newline, NUL, quotes, markup and 4-octet characters."""
    texts = ("\x1b[2J\n\r\0", "'; DROP TABLE flows; --", "<script>", "\U0001f408 \u202e")
    rows = [(text, 1) for text in texts]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@legal("RFC 7011 6.1.6", "read 'lab'")
def string_of_fixed_length() -> Packets:
    """A string has a fixed length of 16 octets, and another one of 0."""
    fixed = Template(300, "wlanSSID[16]", "interfaceName[0]", "octetDeltaCount[4]")
    rows = DataSet(template=fixed, records=[("lab", "", 1500)])
    return [IPFIX() / TemplateSet(templates=[fixed]) / rows]


@legal("RFC 5103 5.1", "read both directions")
def biflow() -> Packets:
    """A record holds both directions of a flow, with reverse elements of enterprise 29305."""
    both = Template(300, *FLOW.fields, "reverseOctetDeltaCount[4]", "biflowDirection")
    return [
        IPFIX() / TemplateSet(templates=[both]) / DataSet(template=both, records=[(*ROW, 9, 1)])
    ]

# SPDX-License-Identifier: GPL-2.0-or-later
"""The torture catalogue: IPFIX that is rare and legal. A collector has to read all of it."""

from __future__ import annotations

from scapy.fields import RawVal

from scapy_ipfix.layers.messages import IPFIX
from scapy_ipfix.layers.sets import DataSet, OptionsTemplateSet, TemplateSet
from scapy_ipfix.layers.templates import TemplateRecord
from scapy_ipfix.testing.torturecases.case import FLOW, NAMED, OPTIONS, ROW, Packets, legal
from scapy_ipfix.wire.template import Template

# -- messages


@legal("RFC 7011 3", "take it, it keeps the session alive")
def message_without_sets() -> Packets:
    """A message of a header and nothing else: zero or more Sets follow it."""
    return [IPFIX()]


@legal("RFC 7011 10", "read all of it: messages have up to 65535 octets", transport="tcp")
def message_of_65535_octets() -> Packets:
    """The longest message that the length field can say."""
    pad = Template(300, "paddingOctets[65503]")
    return [IPFIX() / TemplateSet(templates=[pad]) / DataSet(template=pad, records=[(b"",)])]


@legal("RFC 7011 10", "read all of it, however many fragments it came in", transport="udp")
def message_of_65507_octets() -> Packets:
    """The longest message that fits a UDP datagram over IPv4: 5455 records."""
    rows = DataSet(template=FLOW, records=[ROW] * 5455, padding=b"\0" * 7)
    return [IPFIX() / TemplateSet(templates=[FLOW]) / rows]


@legal("RFC 7011 3.3", "read them all, without a stack that grows with them")
def two_thousand_sets() -> Packets:
    """A message of two thousand Data Sets, a record each."""
    message = IPFIX() / TemplateSet(templates=[FLOW])
    message.sets = [*message.sets, *(DataSet(template=FLOW, records=[ROW]) for _ in range(2000))]
    return [message]


@legal("RFC 7011 3.1", "see no gap: the number counts records modulo 2^32")
def sequence_wraps() -> Packets:
    """Sequence numbers go from 4294967295 to 0 in the middle of a message."""
    return [
        IPFIX(sequenceNumber=0xFFFFFFFE)
        / TemplateSet(templates=[FLOW])
        / DataSet(template=FLOW, records=[ROW] * 3),
        IPFIX(sequenceNumber=1) / DataSet(template=FLOW, records=[ROW]),
    ]


@legal("RFC 7011 3.1", "see no gap: templates are not counted")
def templates_do_not_count() -> Packets:
    """Three messages with templates only have the sequence number of the data after them."""
    refresh = [IPFIX(sequenceNumber=5) / TemplateSet(templates=[FLOW]) for _ in range(3)]
    return [*refresh, IPFIX(sequenceNumber=5) / DataSet(template=FLOW, records=[ROW])]


@legal("RFC 7011 5.2", "read it as unsigned, which ends in 2106", "export-time")
def export_time_past_2038() -> Packets:
    """The export time has its top bit set: 2040-01-01."""
    return [IPFIX(exportTime="2040-01-01") / TemplateSet(templates=[FLOW])]


@legal("RFC 7011 3.1", "keep the domains apart")
def same_id_in_two_domains() -> Packets:
    """Two observation domains use template id 256, each for a template of its own."""
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
    """The padding is one octet shorter than a record, the longest that there can be."""
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


@legal("RFC 7011 3.3.1", "read the records, drop the paddingOctets")
def padding_as_an_element() -> Packets:
    """Records are aligned with the element paddingOctets, twice in a template."""
    pad = "paddingOctets[3]"
    aligned = Template(300, "protocolIdentifier", pad, "ipClassOfService", pad)
    rows = DataSet(template=aligned, records=[(6, b"", 0, b"")])
    return [IPFIX() / TemplateSet(templates=[aligned]) / rows]


@legal("RFC 7011 3.3.1", "read four records; padding is impossible here")
def records_of_one_octet() -> Packets:
    """Records are one octet long, so that a set of four cannot have padding."""
    tiny = Template(300, "protocolIdentifier")
    rows = DataSet(template=tiny, records=[(0,), (6,), (17,), (0,)])
    return [IPFIX() / TemplateSet(templates=[tiny]) / rows]


@legal("RFC 7011 3.4", "read each Data Set with the template before it")
def templates_and_data_interleaved() -> Packets:
    """Template, data, template, data in one message."""
    return [
        IPFIX()
        / TemplateSet(templates=[FLOW])
        / DataSet(template=FLOW, records=[ROW])
        / TemplateSet(templates=[NAMED])
        / DataSet(template=NAMED, records=[("lab", 1500)])
        / DataSet(template=FLOW, records=[ROW])
    ]


@legal("RFC 7011 8", "keep the data and read it, or drop it and go on", "missing-template")
def data_before_template_in_a_message() -> Packets:
    """A message has a Data Set first and the Template Set that it needs after it."""
    return [IPFIX() / DataSet(template=FLOW, records=[ROW]) / TemplateSet(templates=[FLOW])]


@legal("RFC 7011 8", "keep the data and read it, or drop it and go on", "missing-template")
def data_before_template() -> Packets:
    """Data comes in a message before its template's, as after a restart of the collector."""
    return [
        IPFIX() / DataSet(template=FLOW, records=[ROW]),
        IPFIX(sequenceNumber=1) / TemplateSet(templates=[FLOW]),
        IPFIX(sequenceNumber=1) / DataSet(template=FLOW, records=[ROW]),
    ]


# -- templates


@legal("RFC 7011 3.4.1", "store them all")
def two_hundred_templates_in_a_set() -> Packets:
    """One Template Set defines two hundred templates."""
    many = [FLOW.with_id(1000 + number) for number in range(200)]
    return [IPFIX() / TemplateSet(templates=many) / DataSet(template=many[199], records=[ROW])]


@legal("RFC 7011 3.4.1", "assume nothing about the order of ids")
def template_ids_out_of_order() -> Packets:
    """Template ids 65535, 256 and 40000, in that order."""
    three = [FLOW.with_id(number) for number in (65535, 256, 40000)]
    return [IPFIX() / TemplateSet(templates=three) / DataSet(template=three[0], records=[ROW])]


@legal("RFC 7011 8", "give both values")
def same_element_twice() -> Packets:
    """A template has tcpControlBits twice, as Cisco sends it."""
    twice = Template(300, "tcpControlBits", "tcpControlBits")
    rows = DataSet(template=twice, records=[(0x02, 0x12)])
    return [IPFIX() / TemplateSet(templates=[twice]) / rows]


@legal("RFC 7011 8", "give all values")
def same_element_three_hundred_times() -> Packets:
    """A template has three hundred fields of one element."""
    wide = Template(300, *["octetDeltaCount[1]"] * 300)
    rows = DataSet(template=wide, records=[tuple(i & 255 for i in range(300))])
    return [IPFIX() / TemplateSet(templates=[wide]) / rows]


@legal("RFC 7011 8.4", "take it as the same template, and log nothing", transport="udp")
def template_refreshed() -> Packets:
    """The same template again, as templates are refreshed over UDP."""
    first = IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW])
    again = IPFIX(sequenceNumber=1) / TemplateSet(templates=[FLOW])
    return [first, again / DataSet(template=FLOW, records=[ROW])]


@legal("RFC 7011 8.4", "replace the template", "template-redefined", transport="udp")
def template_redefined_over_udp() -> Packets:
    """Template 256 is defined anew, which over UDP needs no withdrawal."""
    other = Template(256, "octetDeltaCount", "packetDeltaCount")
    return [
        IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW]),
        IPFIX(sequenceNumber=1)
        / TemplateSet(templates=[other])
        / DataSet(template=other, records=[(1500, 1)]),
    ]


@legal(
    "RFC 7011 8.1",
    "forget the template, then take the new one",
    "template-withdrawn",
    transport="tcp",
)
def withdrawal_then_reuse() -> Packets:
    """A template is withdrawn and its id used for another one, in one message."""
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
    "forget all templates, and the data after that as well",
    "template-withdrawn",
    "missing-template",
    transport="tcp",
)
def withdrawal_of_all_templates() -> Packets:
    """A withdrawal of template id 2 takes back every template, options templates excepted."""
    return [
        IPFIX()
        / TemplateSet(templates=[FLOW, NAMED])
        / OptionsTemplateSet(templates=[OPTIONS])
        / TemplateSet(templates=[TemplateRecord(templateId=2)])
        / DataSet(template=OPTIONS, records=[(1, 2, "eth0")])
        / DataSet(template=FLOW, records=[ROW])
    ]


@legal("RFC 7011 3.2", "note the element and give its octets, or leave it out")
def enterprise_4294967295() -> Packets:
    """An element of the highest enterprise number."""
    last = Template(300, "(4294967295/1)[4]", "octetDeltaCount[4]")
    rows = DataSet(template=last, records=[(b"\0\0\0\1", 1500)])
    return [IPFIX() / TemplateSet(templates=[last]) / rows]


@legal("RFC 7011 9", "note the element and give its octets, or leave it out")
def unknown_elements() -> Packets:
    """Elements that nobody has defined: IANA's 32767 in 7 octets, an enterprise's in any."""
    new = Template(300, "(32767)[7]", "octetDeltaCount[4]", "(64999/32767)[v]")
    rows = DataSet(template=new, records=[(b"seven..", 1500, b"any number")])
    return [IPFIX() / TemplateSet(templates=[new]) / rows]


# -- options


@legal("RFC 7011 3.4.2.1", "tell the two scope fields from the rest")
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


@legal("RFC 5610 3", "take the type from the wire, or go on without")
def options_that_define_an_element() -> Packets:
    """An options record says name and type of an element, then data uses it."""
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
    """A string of 3 octets gives its length in 3 octets, 255 first."""
    rows = DataSet(template=NAMED, records=[(RawVal(b"\xff\x00\x03lab"), 1500)])
    return [IPFIX() / TemplateSet(templates=[NAMED]) / rows]


@legal("RFC 7011 7", "read strings of 254, 255 and 256 octets")
def lengths_around_255() -> Packets:
    """Strings whose length is the last of the short form and the first of the long one."""
    rows = [("a" * 254, 1), ("b" * 255, 2), ("c" * 256, 3)]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@legal("RFC 7011 7", "read an empty string")
def string_of_no_octets() -> Packets:
    """A string of variable length is empty, in the short and in the long form."""
    rows = DataSet(template=NAMED, records=[("", 1), (RawVal(b"\xff\0\0"), 2)])
    return [IPFIX() / TemplateSet(templates=[NAMED]) / rows]


@legal("RFC 7011 6.2", "read 1500 from 3 octets")
def integer_of_three_octets() -> Packets:
    """An unsigned64 travels in 3 octets."""
    three = Template(300, "octetDeltaCount[3]", "packetDeltaCount[3]")
    rows = DataSet(template=three, records=[(1500, 1)])
    return [IPFIX() / TemplateSet(templates=[three]) / rows]


@legal("RFC 7011 6.2", "read eight times the same number")
def integers_of_one_to_eight_octets() -> Packets:
    """An unsigned64 travels in every length from 1 to 8 octets, in one record."""
    every = Template(300, *(f"octetDeltaCount[{length}]" for length in range(1, 9)))
    rows = DataSet(template=every, records=[(200,) * 8])
    return [IPFIX() / TemplateSet(templates=[every]) / rows]


@legal("RFC 7011 6.2", "extend the sign: the number is -2")
def negative_integer_of_three_octets() -> Packets:
    """A signed32 of -2 travels in 3 octets."""
    signed = Template(300, "mibObjectValueInteger[3]")
    return [IPFIX() / TemplateSet(templates=[signed]) / DataSet(template=signed, records=[(-2,)])]


@legal("RFC 7011 6.2", "read 0.125")
def float64_of_four_octets() -> Packets:
    """A float64 travels as a float32."""
    half = Template(300, "samplingProbability[4]")
    return [IPFIX() / TemplateSet(templates=[half]) / DataSet(template=half, records=[(0.125,)])]


@legal("RFC 7011 6.1.9", "read a time of 2040, in the NTP era that begins in 2036")
def ntp_times_past_2036() -> Packets:
    """Microseconds and nanoseconds count NTP seconds that have begun at 0 again."""
    late = Template(300, "flowStartMicroseconds", "flowEndNanoseconds")
    rows = DataSet(template=late, records=[("2040-01-01", "2040-01-01T00:00:01Z")])
    return [IPFIX() / TemplateSet(templates=[late]) / rows]


@legal("RFC 7011 6.1.6", "keep the octets out of terminals, logs, SQL and HTML")
def string_of_control_characters() -> Packets:
    """Strings hold an escape sequence, a newline, a NUL, quotes, and letters of 4 octets."""
    texts = ("\x1b[2J\n\r\0", "'; DROP TABLE flows; --", "<script>", "\U0001f408 \u202e")
    rows = [(text, 1) for text in texts]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@legal("RFC 7011 6.1.6", "read 'lab'")
def string_of_fixed_length() -> Packets:
    """A string in a field of 16 octets, and one in a field of none."""
    fixed = Template(300, "wlanSSID[16]", "interfaceName[0]", "octetDeltaCount[4]")
    rows = DataSet(template=fixed, records=[("lab", "", 1500)])
    return [IPFIX() / TemplateSet(templates=[fixed]) / rows]


@legal("RFC 5103 5.1", "read both directions")
def biflow() -> Packets:
    """A record with the other direction in it: elements of enterprise 29305."""
    both = Template(300, *FLOW.fields, "reverseOctetDeltaCount[4]", "biflowDirection")
    return [
        IPFIX() / TemplateSet(templates=[both]) / DataSet(template=both, records=[(*ROW, 9, 1)])
    ]

# SPDX-License-Identifier: GPL-2.0-or-later
"""The torture catalogue: IPFIX messages, sets and templates that are wrong.

What a collector makes of a malformed message is discard it and log it (RFC 7011 9.1); that
it survives it, and reads what comes after, goes without saying.
"""

from __future__ import annotations

from scapy_ipfix.layers.messages import IPFIX
from scapy_ipfix.layers.sets import DataSet, OptionsTemplateSet, Set, TemplateSet
from scapy_ipfix.layers.templates import FieldSpecifier, OptionsTemplateRecord, TemplateRecord
from scapy_ipfix.testing.torturecases.case import FLOW, NAMED, OPTIONS, ROW, Packets, illegal
from scapy_ipfix.wire.template import Template

_DISCARD = "discard the message and log it"
_REST = "discard the message, or the rest of it, and log it"
_REFUSE = "refuse the template and log it"


def _reference() -> IPFIX:
    """A message with a bit of everything, 110 octets or so, to cut and to lie about."""
    message: IPFIX = (
        IPFIX()
        / TemplateSet(templates=[FLOW, NAMED])
        / OptionsTemplateSet(templates=[OPTIONS])
        / DataSet(template=FLOW, records=[ROW, ROW])
        / DataSet(template=NAMED, records=[("lab", 1500)])
    )
    return message


# -- messages


@illegal(
    *("RFC 7011 3.1", _DISCARD, "header-truncated", "message-truncated", "set-truncated"),
    *("template-truncated", "record-truncated", "padding-nonzero", "set-empty"),
    "sequence-duplicate",
)
def truncated_at_every_octet() -> Packets:
    """A message of five sets, cut after 2 octets, after 3, and so on up to its last but one."""
    octets = bytes(_reference())
    return [octets[:stop] for stop in range(2, len(octets))]


@illegal("RFC 7011 3.1", _DISCARD, "message-length")
def message_length_zero() -> Packets:
    """The header says 0 octets: a reader that goes on from there stands still."""
    return [IPFIX(length=0) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", _DISCARD, "message-length")
def message_length_fifteen() -> Packets:
    """The header says 15 octets, one less than it has itself."""
    return [IPFIX(length=15) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", "read no set", "message-trailing")
def message_length_of_the_header() -> Packets:
    """The header says 16 octets, a Template Set follows."""
    return [IPFIX(length=16) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", _DISCARD, "message-trailing", "set-truncated", "padding-nonzero")
def message_length_too_short() -> Packets:
    """The header says one octet less than there is, so that the last record ends beyond it."""
    message = IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW])
    message.length = len(bytes(message)) - 1
    return [message]


@illegal("RFC 7011 3.1", _DISCARD, "message-truncated")
def message_length_too_long() -> Packets:
    """The header says one octet more than there is."""
    message = IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW])
    message.length = len(bytes(message)) + 1
    return [message]


@illegal("RFC 7011 3.1", _DISCARD, "message-truncated")
def message_length_65535() -> Packets:
    """The header of a short message says 65535 octets."""
    return [IPFIX(length=65535) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", "read the first message, or none", "message-trailing", transport="udp")
def two_messages_in_a_datagram() -> Packets:
    """A datagram holds two messages, which only a stream may do."""
    first = IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW])
    return [first / (IPFIX(sequenceNumber=1) / DataSet(template=FLOW, records=[ROW]))]


@illegal("RFC 7011 3.1", _DISCARD)
def version_eleven() -> Packets:
    """The version is 11, which there is not."""
    return [IPFIX(version=11) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", _DISCARD)
def version_zero() -> Packets:
    """The version is 0, the rest of the message is in order."""
    return [IPFIX(version=0) / TemplateSet(templates=[FLOW])]


# -- sets


@illegal("RFC 7011 3.3.2", _REST, "set-length")
def set_length_zero() -> Packets:
    """A set says 0 octets: a reader that goes on from there stands still."""
    return [IPFIX() / DataSet(template=FLOW, length=0, records=[ROW])]


@illegal("RFC 7011 3.3.2", _REST, "set-length")
def set_length_three() -> Packets:
    """A set says 3 octets, one less than its header."""
    return [IPFIX() / DataSet(template=FLOW, length=3, records=[ROW])]


@illegal("RFC 7011 3.3.1", "skip the set: one record is the least", "set-empty")
def set_without_records() -> Packets:
    """A Data Set is its header and nothing else."""
    return [IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW)]


@illegal("RFC 7011 3.3.2", _REST, "set-length", "padding-nonzero")
def set_length_too_short() -> Packets:
    """A set says one octet less than it has: the next header is read from its last octet on."""
    short = DataSet(template=FLOW, length=15, records=[ROW])
    after = DataSet(template=FLOW, records=[ROW])
    return [IPFIX() / TemplateSet(templates=[FLOW]) / short / after]


@illegal("RFC 7011 3.3.2", _REST, "set-truncated", "padding-nonzero", "set-reserved")
def set_length_too_long() -> Packets:
    """A set says one octet more than it has: it swallows the first of the next set's header."""
    long = DataSet(template=FLOW, length=17, records=[ROW])
    after = DataSet(template=FLOW, records=[ROW])
    return [IPFIX() / TemplateSet(templates=[FLOW]) / long / after]


@illegal("RFC 7011 3.3.2", _REST, "set-truncated")
def set_length_beyond_the_message() -> Packets:
    """The last set of a message says 65535 octets."""
    rows = DataSet(template=FLOW, length=65535, records=[ROW])
    return [IPFIX() / TemplateSet(templates=[FLOW]) / rows]


@illegal("RFC 7011 3.3.2", _REST, "set-truncated", "template-truncated")
def template_set_length_beyond_the_message() -> Packets:
    """A Template Set says one octet more than the message has, a template fills it."""
    lying = TemplateRecord(fieldCount=4, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(length=21, templates=[lying])]


@illegal("RFC 7011 3.3.2", _REST, "padding-nonzero")
def set_header_cut() -> Packets:
    """A message ends in three octets of a set header."""
    return [bytes(IPFIX(length=39) / TemplateSet(templates=[FLOW])) + b"\x01\x00\x00"]


@illegal("RFC 7011 3.3.2", "skip the sets, read the data after them", "set-reserved")
def set_ids_reserved() -> Packets:
    """Sets with the ids 0, 1, 4 and 255, which are reserved, among good ones."""
    message = IPFIX() / TemplateSet(templates=[FLOW])
    for number in (0, 1, 4, 255):
        message /= Set(setId=number, data=bytes(4))
    return [message / DataSet(template=FLOW, records=[ROW])]


@illegal("RFC 7011 3.3.1", "read the record and log the padding", "padding-nonzero")
def padding_not_zero() -> Packets:
    """The padding of a Data Set is not zero: a channel out."""
    rows = DataSet(template=FLOW, records=[ROW], padding=b"key")
    return [IPFIX() / TemplateSet(templates=[FLOW]) / rows]


@illegal("RFC 7011 3.3.1", "store the template, withdraw nothing", "padding-long")
def padding_as_long_as_a_withdrawal() -> Packets:
    """A Template Set ends in four zero octets, which look like a withdrawal of template 0."""
    return [IPFIX() / TemplateSet(templates=[FLOW], padding=bytes(4))]


# -- templates


def _specifiers() -> list[FieldSpecifier]:
    """Fresh Field Specifiers of FLOW, for records that lie about them."""
    return list(TemplateRecord.from_template(FLOW).fieldSpecifiers)


@illegal("RFC 7011 3.4.1", _REFUSE, "template-id", "set-reserved")
def template_ids_below_256() -> Packets:
    """Templates with the ids 255 and 5, and data for the first."""
    low = [FLOW.with_id(255), FLOW.with_id(5)]
    return [IPFIX() / TemplateSet(templates=low) / DataSet(template=low[0], records=[ROW])]


@illegal("RFC 7011 3.4.1", _REFUSE, "template-truncated")
def field_count_too_high() -> Packets:
    """A template says one field more than its set has."""
    lying = TemplateRecord(fieldCount=4, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(templates=[lying])]


@illegal("RFC 7011 3.4.1", _REFUSE, "template-truncated")
def field_count_65535() -> Packets:
    """A template of three fields says 65535: a reader that allocates them first does so."""
    lying = TemplateRecord(fieldCount=65535, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(templates=[lying])]


@illegal("RFC 7011 3.4.1", _REST, "template-truncated")
def field_count_too_low() -> Packets:
    """A template says one field less than it has: the last reads as a template with id 1."""
    lying = TemplateRecord(fieldCount=2, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(templates=[lying])]


@illegal(*("RFC 7011 8.1", _REST, "withdrawal-unknown", "template-truncated"), transport="tcp")
def field_count_zero() -> Packets:
    """A template says that it has no fields, which makes it a withdrawal; the fields follow."""
    lying = TemplateRecord(fieldCount=0, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(templates=[lying])]


@illegal("RFC 7011 3.4.1", _REST, "padding-nonzero")
def template_cut_in_its_header() -> Packets:
    """A Template Set ends in a template id, and a field count that is half there."""
    return [IPFIX() / TemplateSet(templates=[FLOW, b"\x01\x01\x00"])]


@illegal("RFC 7011 3.2", _REFUSE, "enterprise-zero")
def enterprise_bit_and_number_zero() -> Packets:
    """A Field Specifier has the enterprise bit and enterprise number 0, which is IANA's."""
    field = FieldSpecifier(enterpriseBit=1, informationElementId=1, fieldLength=4)
    return [IPFIX() / TemplateSet(templates=[TemplateRecord(fieldSpecifiers=[field])])]


@illegal("RFC 7011 3.2", _REFUSE, "template-truncated")
def enterprise_number_missing() -> Packets:
    """The last Field Specifier has the enterprise bit, the set ends before its number."""
    field = FieldSpecifier(informationElementId=1, fieldLength=4, enterpriseNumber=29305)
    cut = b"\x01\x00\x00\x01" + bytes(field)[:4]
    return [IPFIX() / TemplateSet(templates=[cut])]


@illegal("RFC 7011 3.2", "note an element that does not exist")
def element_zero() -> Packets:
    """A template has IANA's element 0, which is reserved."""
    zero = Template(300, "(0)[4]", "octetDeltaCount[4]")
    rows = DataSet(template=zero, records=[(b"none", 1500)])
    return [IPFIX() / TemplateSet(templates=[zero]) / rows]


@illegal(
    "RFC 7011 3.4.1",
    "refuse the template, and read no endless records",
    "set-empty",
    "template-zero-length",
    "padding-nonzero",
)
def records_of_no_octets() -> Packets:
    """All fields of a template have length 0: any set has as many records as one likes."""
    nothing = Template(300, "octetDeltaCount[0]", "wlanSSID[0]")
    full = DataSet(template=nothing, padding=b"\0\0\0\1")
    return [
        IPFIX() / TemplateSet(templates=[nothing]) / DataSet(template=nothing),
        IPFIX() / full,
    ]


@illegal("RFC 7011 6.2", "refuse the template, or give octets", "field-length")
def lengths_that_a_type_forbids() -> Packets:
    """Addresses, times, MAC, boolean and float in fields that are too short or too long."""
    wrong = Template(
        *(300, "sourceIPv4Address[3]", "destinationIPv4Address[5]", "sourceIPv6Address[4]"),
        *("flowStartMilliseconds[4]", "flowStartSeconds[8]", "flowStartNanoseconds[3]"),
        *("sourceMacAddress[8]", "dataRecordsReliability[2]", "samplingProbability[5]"),
    )
    rows = DataSet(template=wrong, records=[bytes(range(1, 1 + wrong.length))])
    return [IPFIX() / TemplateSet(templates=[wrong]) / rows]


@illegal("RFC 7011 6.2", "refuse the template, or read the number", "field-length")
def integers_longer_than_their_type() -> Packets:
    """Numbers of 8, 16 and 32 bits travel in 2, 4 and 8 octets, one of 64 in 200."""
    wide = Template(
        *(300, "protocolIdentifier[2]", "sourceTransportPort[4]", "ingressInterface[8]"),
        "octetDeltaCount[200]",
    )
    rows = DataSet(template=wide, records=[bytes(range(wide.length))])
    return [IPFIX() / TemplateSet(templates=[wide]) / rows]


@illegal("RFC 7011 7", "refuse the template, or give octets", "field-length")
def integers_of_variable_length() -> Packets:
    """A number and an address have the length 65535, which is for strings, octets, lists."""
    loose = Template(300, "octetDeltaCount[v]", "sourceIPv4Address[v]")
    rows = DataSet(template=loose, records=[b"\x02\x05\xdc\x04\xc0\x00\x02\x01"])
    return [IPFIX() / TemplateSet(templates=[loose]) / rows]


@illegal("RFC 7011 3.4.1", "reserve no memory for it", "padding-nonzero")
def records_longer_than_any_message() -> Packets:
    """A template whose records have 65534 octets a field, ten fields, and a bit of data."""
    huge = Template(300, *["paddingOctets[65534]"] * 10)
    return [IPFIX() / TemplateSet(templates=[huge]) / DataSet(template=huge, padding=b"bit")]


@illegal("RFC 7011 3.4.2.1", _REFUSE, "template-scope")
def scope_count_zero() -> Packets:
    """An Options Template has no scope field, which the scope count must not say."""
    record = OptionsTemplateRecord.from_template(OPTIONS)
    record.scopeFieldCount = 0
    return [IPFIX() / OptionsTemplateSet(templates=[record])]


@illegal("RFC 7011 3.4.2.2", _REFUSE, "template-scope")
def scope_count_too_high() -> Packets:
    """An Options Template of three fields says that four of them are scope."""
    record = OptionsTemplateRecord.from_template(OPTIONS)
    record.scopeFieldCount = 4
    return [IPFIX() / OptionsTemplateSet(templates=[record])]


@illegal("RFC 7011 3.4.2.2", _REST, "template-truncated")
def options_template_without_scope_count() -> Packets:
    """An Options Template Set holds a record of a Template Set's form."""
    return [IPFIX() / OptionsTemplateSet(templates=[bytes(TemplateRecord.from_template(FLOW))])]


@illegal("RFC 7011 8", "keep the last of them, or none", "template-redefined", transport="udp")
def two_templates_of_one_id() -> Packets:
    """A Template Set defines template 256 twice, and each time otherwise."""
    other = Template(256, "octetDeltaCount[4]")
    rows = DataSet(template=other, records=[(1500,)] * 3)
    return [IPFIX() / TemplateSet(templates=[FLOW, other]) / rows]


@illegal(
    "RFC 7011 8.1",
    "log it: data of this id has no sure meaning from now on",
    "template-redefined-reliable",
    transport="tcp",
)
def template_redefined_over_tcp() -> Packets:
    """Template 256 is defined anew without a withdrawal, over a reliable transport."""
    other = Template(256, "octetDeltaCount", "packetDeltaCount")
    return [
        IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW]),
        IPFIX(sequenceNumber=1)
        / TemplateSet(templates=[other])
        / DataSet(template=other, records=[(1500, 1)]),
    ]


@illegal(
    "RFC 7011 8.4",
    "ignore the withdrawal: the data after it is read",
    "withdrawal-udp",
    transport="udp",
)
def withdrawal_over_udp() -> Packets:
    """A template is withdrawn over UDP, where withdrawals must not be sent."""
    return [
        IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW]),
        IPFIX(sequenceNumber=1)
        / TemplateSet(templates=[TemplateRecord(templateId=256)])
        / DataSet(template=FLOW, records=[ROW]),
    ]


@illegal("RFC 7011 8.1", "ignore it and log it", "withdrawal-unknown", transport="tcp")
def withdrawal_of_an_unknown_template() -> Packets:
    """A template is withdrawn that was never defined."""
    return [IPFIX() / TemplateSet(templates=[TemplateRecord(templateId=9999)])]


@illegal(
    "RFC 7011 8.1", "forget the template", "template-withdrawn", "missing-template", transport="tcp"
)
def data_after_withdrawal() -> Packets:
    """Data goes on after its template was withdrawn."""
    return [
        IPFIX()
        / TemplateSet(templates=[FLOW])
        / TemplateSet(templates=[TemplateRecord(templateId=256)])
        / DataSet(template=FLOW, records=[ROW])
    ]


@illegal("RFC 7011 8", "read none of it: the templates are another domain's", "missing-template")
def data_of_another_domain() -> Packets:
    """A template is defined in one observation domain, the data comes in the next."""
    return [
        IPFIX(observationDomainId=0) / TemplateSet(templates=[FLOW]),
        IPFIX(observationDomainId=1) / DataSet(template=FLOW, records=[ROW]),
    ]


@illegal("RFC 7011 8", "bound what waits for templates", "missing-template")
def data_without_template() -> Packets:
    """Five hundred Data Sets for templates that never come."""
    message = IPFIX()
    message.sets = [DataSet(setId=1000 + number, records=[bytes(40)]) for number in range(500)]
    return [message]

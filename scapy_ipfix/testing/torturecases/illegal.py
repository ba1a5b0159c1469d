# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture cases: malformed IPFIX messages, Sets and templates.

A collector discards a malformed message and logs it (RFC 7011 9.1). It must survive every case
and read the messages after it.
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
    """Return a message with a Set of each kind, of about 110 octets."""
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
    *("template-truncated", "padding-nonzero", "sets-trailing"),
    "sequence-duplicate",
)
def truncated_at_every_octet() -> Packets:
    """A message of five Sets is cut off after 2 octets, after 3, and so on to its last but one."""
    octets = bytes(_reference())
    return [octets[:stop] for stop in range(2, len(octets))]


@illegal("RFC 7011 3.1", _DISCARD, "message-length")
def message_length_zero() -> Packets:
    """The message header has length 0; a reader that skips that many octets makes no progress."""
    return [IPFIX(length=0) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", _DISCARD, "message-length")
def message_length_fifteen() -> Packets:
    """The message header has length 15, one octet less than the header itself."""
    return [IPFIX(length=15) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", "read no Set, and log it", "message-trailing")
def message_length_of_the_header() -> Packets:
    """The message header has length 16, and a Template Set follows."""
    return [IPFIX(length=16) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", _DISCARD, "message-trailing", "set-truncated")
def message_length_too_short() -> Packets:
    """The message header has a length one octet too low, which cuts off the last record."""
    message = IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW])
    message.length = len(bytes(message)) - 1
    return [message]


@illegal("RFC 7011 3.1", _DISCARD, "message-truncated")
def message_length_too_long() -> Packets:
    """The message header has a length one octet too high."""
    message = IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW])
    message.length = len(bytes(message)) + 1
    return [message]


@illegal("RFC 7011 3.1", _DISCARD, "message-truncated")
def message_length_65535() -> Packets:
    """The header of a short message has length 65535."""
    return [IPFIX(length=65535) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", "read the first message, or none", "message-trailing", transport="udp")
def two_messages_in_a_datagram() -> Packets:
    """A datagram holds two messages, which only a stream may do."""
    first = IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW])
    return [first / (IPFIX(sequenceNumber=1) / DataSet(template=FLOW, records=[ROW]))]


@illegal("RFC 7011 3.1", _DISCARD, "version-unknown")
def version_eleven() -> Packets:
    """The message header has version 11, which is not defined."""
    return [IPFIX(version=11) / TemplateSet(templates=[FLOW])]


@illegal("RFC 7011 3.1", _DISCARD, "version-unknown")
def version_zero() -> Packets:
    """The message header has version 0, and the rest of the message is valid."""
    return [IPFIX(version=0) / TemplateSet(templates=[FLOW])]


# -- sets


@illegal("RFC 7011 3.3.2", _REST, "set-length")
def set_length_zero() -> Packets:
    """A Set has length 0; a reader that skips that many octets makes no progress."""
    return [IPFIX() / DataSet(template=FLOW, length=0, records=[ROW])]


@illegal("RFC 7011 3.3.2", _REST, "set-length")
def set_length_three() -> Packets:
    """A Set has length 3, one octet less than its header."""
    return [IPFIX() / DataSet(template=FLOW, length=3, records=[ROW])]


@illegal("RFC 7011 3.3.1", "skip the Set: one record is the minimum", "set-empty")
def set_without_records() -> Packets:
    """A Data Set has a header and no record."""
    return [IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW)]


@illegal("RFC 7011 3.3.2", _REST, "set-length", "padding-nonzero")
def set_length_too_short() -> Packets:
    """A Set has a length one octet too low; the next Set header starts at its last octet."""
    short = DataSet(template=FLOW, length=15, records=[ROW])
    after = DataSet(template=FLOW, records=[ROW])
    return [IPFIX() / TemplateSet(templates=[FLOW]) / short / after]


@illegal("RFC 7011 3.3.2", _REST, "set-truncated", "padding-nonzero", "set-other-protocol")
def set_length_too_long() -> Packets:
    """A Set has a length one octet too high and includes the first octet of the next Set header."""
    long = DataSet(template=FLOW, length=17, records=[ROW])
    after = DataSet(template=FLOW, records=[ROW])
    return [IPFIX() / TemplateSet(templates=[FLOW]) / long / after]


@illegal("RFC 7011 3.3.2", _REST, "set-truncated")
def set_length_beyond_the_message() -> Packets:
    """The last Set of a message has length 65535."""
    rows = DataSet(template=FLOW, length=65535, records=[ROW])
    return [IPFIX() / TemplateSet(templates=[FLOW]) / rows]


@illegal("RFC 7011 3.3.2", _REST, "set-truncated", "template-truncated")
def template_set_length_beyond_the_message() -> Packets:
    """A Template Set is one octet longer than the message, and its template needs that octet."""
    lying = TemplateRecord(fieldCount=4, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(length=21, templates=[lying])]


@illegal("RFC 7011 3.3.2", _REST, "sets-trailing")
def set_header_cut() -> Packets:
    """A message ends after three octets of a Set header."""
    return [bytes(IPFIX(length=39) / TemplateSet(templates=[FLOW])) + b"\x01\x00\x00"]


@illegal(
    *("RFC 7011 3.3.2", "skip these Sets and read the data after them"),
    *("set-reserved", "set-other-protocol"),
)
def set_ids_reserved() -> Packets:
    """Sets have the reserved ids 4 and 255, and those of NetFlow v9 templates, 0 and 1."""
    message = IPFIX() / TemplateSet(templates=[FLOW])
    for number in (0, 1, 4, 255):
        message /= Set(setId=number, data=bytes(4))
    return [message / DataSet(template=FLOW, records=[ROW])]


@illegal("RFC 7011 3.3.1", "read the record and log the padding", "padding-nonzero")
def padding_not_zero() -> Packets:
    """The padding of a Data Set is not zero and can carry hidden data."""
    rows = DataSet(template=FLOW, records=[ROW], padding=b"key")
    return [IPFIX() / TemplateSet(templates=[FLOW]) / rows]


@illegal("RFC 7011 3.3.1", "store the template and withdraw nothing", "padding-long")
def padding_as_long_as_a_withdrawal() -> Packets:
    """A Template Set ends in four zero octets, which look like a withdrawal of template 0."""
    return [IPFIX() / TemplateSet(templates=[FLOW], padding=bytes(4))]


# -- templates


def _specifiers() -> list[FieldSpecifier]:
    """Return fresh Field Specifiers of FLOW, for records with wrong counts."""
    return list(TemplateRecord.from_template(FLOW).fieldSpecifiers)


@illegal("RFC 7011 3.4.1", _REFUSE, "template-id", "set-reserved")
def template_ids_below_256() -> Packets:
    """Templates have the ids 255 and 5, and a Data Set refers to the first."""
    low = [FLOW.with_id(255), FLOW.with_id(5)]
    return [IPFIX() / TemplateSet(templates=low) / DataSet(template=low[0], records=[ROW])]


@illegal("RFC 7011 3.4.1", _REFUSE, "template-truncated")
def field_count_too_high() -> Packets:
    """A Template Record has a field count one higher than its Set has fields."""
    lying = TemplateRecord(fieldCount=4, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(templates=[lying])]


@illegal("RFC 7011 3.4.1", _REFUSE, "template-truncated")
def field_count_65535() -> Packets:
    """A Template Record of three fields has field count 65535, a trap for allocation."""
    lying = TemplateRecord(fieldCount=65535, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(templates=[lying])]


@illegal("RFC 7011 3.4.1", _REST, "template-truncated")
def field_count_too_low() -> Packets:
    """A Template Record has a field count one too low; its last field reads as template 1."""
    lying = TemplateRecord(fieldCount=2, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(templates=[lying])]


@illegal(*("RFC 7011 8.1", _REST, "withdrawal-unknown", "template-truncated"), transport="tcp")
def field_count_zero() -> Packets:
    """A Template Record has field count 0, which makes it a withdrawal, and its fields follow."""
    lying = TemplateRecord(fieldCount=0, fieldSpecifiers=_specifiers())
    return [IPFIX() / TemplateSet(templates=[lying])]


@illegal("RFC 7011 3.4.1", _REST, "padding-nonzero")
def template_cut_in_its_header() -> Packets:
    """A Template Set ends after a template id and half of a field count."""
    return [IPFIX() / TemplateSet(templates=[FLOW, b"\x01\x01\x00"])]


@illegal("RFC 7011 3.2", _REFUSE, "enterprise-zero")
def enterprise_bit_and_number_zero() -> Packets:
    """A Field Specifier has the enterprise bit and enterprise number 0, which is IANA's."""
    field = FieldSpecifier(enterpriseBit=1, informationElementId=1, fieldLength=4)
    return [IPFIX() / TemplateSet(templates=[TemplateRecord(fieldSpecifiers=[field])])]


@illegal("RFC 7011 3.2", _REFUSE, "template-truncated")
def enterprise_number_missing() -> Packets:
    """The last Field Specifier has the enterprise bit, and the Set ends before the number."""
    field = FieldSpecifier(informationElementId=1, fieldLength=4, enterpriseNumber=29305)
    cut = b"\x01\x00\x00\x01" + bytes(field)[:4]
    return [IPFIX() / TemplateSet(templates=[cut])]


@illegal("RFC 7011 3.2", "return the octets of the element, or omit it")
def element_zero() -> Packets:
    """A template has Information Element 0 of IANA, which is reserved."""
    zero = Template(300, "(0)[4]", "octetDeltaCount[4]")
    rows = DataSet(template=zero, records=[(b"none", 1500)])
    return [IPFIX() / TemplateSet(templates=[zero]) / rows]


@illegal(
    "RFC 7011 3.4.1",
    "refuse the template and read no records of it",
    "set-empty",
    "template-zero-length",
    "padding-nonzero",
)
def records_of_no_octets() -> Packets:
    """All fields of a template have length 0; a Set could hold any number of its records."""
    nothing = Template(300, "octetDeltaCount[0]", "wlanSSID[0]")
    full = DataSet(template=nothing, padding=b"\0\0\0\1")
    return [
        IPFIX() / TemplateSet(templates=[nothing]) / DataSet(template=nothing),
        IPFIX() / full,
    ]


@illegal("RFC 7011 6.2", "refuse the template, or return octets", "field-length")
def lengths_that_a_type_forbids() -> Packets:
    """Addresses, times, a boolean and a float have lengths that their types forbid."""
    wrong = Template(
        *(300, "sourceIPv4Address[3]", "destinationIPv4Address[5]", "sourceIPv6Address[4]"),
        *("flowStartMilliseconds[4]", "flowStartSeconds[8]", "flowStartNanoseconds[3]"),
        *("sourceMacAddress[8]", "dataRecordsReliability[2]", "samplingProbability[5]"),
    )
    rows = DataSet(template=wrong, records=[bytes(range(1, 1 + wrong.length))])
    return [IPFIX() / TemplateSet(templates=[wrong]) / rows]


@illegal("RFC 7011 6.2", "refuse the template, or read the number", "field-length")
def integers_longer_than_their_type() -> Packets:
    """Integers of 8, 16 and 32 bits have 2, 4 and 8 octets, and one of 64 bits has 200."""
    wide = Template(
        *(300, "protocolIdentifier[2]", "sourceTransportPort[4]", "ingressInterface[8]"),
        "octetDeltaCount[200]",
    )
    rows = DataSet(template=wide, records=[bytes(range(wide.length))])
    return [IPFIX() / TemplateSet(templates=[wide]) / rows]


@illegal("RFC 7011 7", "refuse the template, or return octets", "field-length")
def integers_of_variable_length() -> Packets:
    """An integer and an address have length 65535, which is for strings, octetArrays and lists."""
    loose = Template(300, "octetDeltaCount[v]", "sourceIPv4Address[v]")
    rows = DataSet(template=loose, records=[b"\x02\x05\xdc\x04\xc0\x00\x02\x01"])
    return [IPFIX() / TemplateSet(templates=[loose]) / rows]


@illegal("RFC 7011 3.4.1", "allocate no memory for a record", "padding-nonzero")
def records_longer_than_any_message() -> Packets:
    """A template has ten fields of 65534 octets each, and a Data Set of three octets follows."""
    huge = Template(300, *["paddingOctets[65534]"] * 10)
    return [IPFIX() / TemplateSet(templates=[huge]) / DataSet(template=huge, padding=b"bit")]


@illegal("RFC 7011 3.4.2.1", _REFUSE, "template-scope")
def scope_count_zero() -> Packets:
    """An Options Template Record has scope field count 0, which is forbidden."""
    record = OptionsTemplateRecord.from_template(OPTIONS)
    record.scopeFieldCount = 0
    return [IPFIX() / OptionsTemplateSet(templates=[record])]


@illegal("RFC 7011 3.4.2.2", _REFUSE, "template-scope")
def scope_count_too_high() -> Packets:
    """An Options Template Record of three fields has scope field count 4."""
    record = OptionsTemplateRecord.from_template(OPTIONS)
    record.scopeFieldCount = 4
    return [IPFIX() / OptionsTemplateSet(templates=[record])]


@illegal("RFC 7011 3.4.2.2", _REST, "template-truncated")
def options_template_without_scope_count() -> Packets:
    """An Options Template Set holds a Template Record without a scope field count."""
    return [IPFIX() / OptionsTemplateSet(templates=[bytes(TemplateRecord.from_template(FLOW))])]


@illegal("RFC 7011 8", "keep the last one, or none", "template-redefined", transport="udp")
def two_templates_of_one_id() -> Packets:
    """A Template Set defines template 256 twice with different fields."""
    other = Template(256, "octetDeltaCount[4]")
    rows = DataSet(template=other, records=[(1500,)] * 3)
    return [IPFIX() / TemplateSet(templates=[FLOW, other]) / rows]


@illegal(
    "RFC 7011 8.1",
    "log it: the meaning of data with this id is uncertain",
    "template-redefined-reliable",
    transport="tcp",
)
def template_redefined_over_tcp() -> Packets:
    """Template 256 is redefined without a withdrawal over a reliable transport."""
    other = Template(256, "octetDeltaCount", "packetDeltaCount")
    return [
        IPFIX() / TemplateSet(templates=[FLOW]) / DataSet(template=FLOW, records=[ROW]),
        IPFIX(sequenceNumber=1)
        / TemplateSet(templates=[other])
        / DataSet(template=other, records=[(1500, 1)]),
    ]


@illegal(
    "RFC 7011 8.4",
    "ignore the withdrawal and read the data after it",
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
    "RFC 7011 8.1",
    "remove the template, and decode no data for it",
    "template-withdrawn",
    "missing-template",
    transport="tcp",
)
def data_after_withdrawal() -> Packets:
    """A Data Set follows the withdrawal of its template."""
    return [
        IPFIX()
        / TemplateSet(templates=[FLOW])
        / TemplateSet(templates=[TemplateRecord(templateId=256)])
        / DataSet(template=FLOW, records=[ROW])
    ]


@illegal("RFC 7011 8", "decode no data: the templates belong to another domain", "missing-template")
def data_of_another_domain() -> Packets:
    """A template is defined in one Observation Domain, and its data is sent in another."""
    return [
        IPFIX(observationDomainId=0) / TemplateSet(templates=[FLOW]),
        IPFIX(observationDomainId=1) / DataSet(template=FLOW, records=[ROW]),
    ]


@illegal("RFC 7011 8", "limit the data that waits for templates", "missing-template")
def data_without_template() -> Packets:
    """Five hundred Data Sets refer to templates that are never defined."""
    message = IPFIX()
    message.sets = [DataSet(setId=1000 + number, records=[bytes(40)]) for number in range(500)]
    return [message]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture cases: NetFlow v9 (RFC 3954), unusual and malformed."""

from __future__ import annotations

from functools import partial

from scapy_ipfix.layers.messages import NetFlowV9
from scapy_ipfix.layers.sets import (
    DataFlowSet,
    OptionsTemplateFlowSet,
    Set,
    TemplateFlowSet,
)
from scapy_ipfix.layers.templates import FlowSetOptionsTemplateRecord, FlowSetTemplateRecord
from scapy_ipfix.testing.torturecases import case as torturecase
from scapy_ipfix.testing.torturecases.case import ROW, Packets
from scapy_ipfix.wire.template import Template

# NetFlow v9 packets have no length: they need datagrams.
legal = partial(torturecase.legal, transport="udp")
illegal = partial(torturecase.illegal, transport="udp")

FLOW = Template(256, "IPV4_SRC_ADDR", "IPV4_DST_ADDR", "IN_BYTES[4]")
SAMPLING = Template(257, "scopeSystem[4]", "SAMPLING_INTERVAL", "SAMPLING_ALGORITHM", scope=1)


@legal("RFC 3954 5.3", "read two records and skip the padding")
def v9_padding_to_32_bits() -> Packets:
    """Two records of 7 octets are padded to a multiple of 4."""
    odd = Template(256, "IPV4_SRC_ADDR", "L4_SRC_PORT", "PROTOCOL")
    rows = DataFlowSet(template=odd, records=[("192.0.2.1", 53, 17)] * 2)
    return [NetFlowV9() / TemplateFlowSet(templates=[odd]) / rows]


@legal("RFC 3954 5.3", "read the record: padding is a SHOULD")
def v9_without_padding() -> Packets:
    """A FlowSet of 11 octets is followed by another one without padding."""
    odd = Template(256, "IPV4_SRC_ADDR", "L4_SRC_PORT", "PROTOCOL")
    message = NetFlowV9() / TemplateFlowSet(templates=[odd])
    for _ in range(2):
        message /= DataFlowSet(template=odd, records=[("192.0.2.1", 53, 17)], padding=b"")
    return [message]


@legal("RFC 3954 6.1", "read the options of the scope System")
def v9_options_of_scope_system() -> Packets:
    """An Options Template reports sampling with scope System in 4 octets."""
    sampling = Template(257, "scopeSystem[4]", "SAMPLING_INTERVAL", "SAMPLING_ALGORITHM", scope=1)
    rows = DataFlowSet(template=sampling, records=[(0, 100, 2)])
    return [NetFlowV9() / OptionsTemplateFlowSet(templates=[sampling]) / rows]


@legal("RFC 3954 6.1", "read the options of both scopes")
def v9_options_of_two_scopes() -> Packets:
    """An Options Template has the scope fields Interface, and System with length 0."""
    named = Template(258, "scopeInterface", "scopeSystem[0]", "IF_NAME[8]", scope=2)
    rows = DataFlowSet(template=named, records=[(1, 0, "eth0")])
    return [NetFlowV9() / OptionsTemplateFlowSet(templates=[named]) / rows]


@legal("RFC 3954 5.2", "return the octets of unknown types, or omit them")
def v9_field_types_of_vendors() -> Packets:
    """A template has field types above 32767, which no enterprise number explains."""
    vendor = Template(259, "(45000)[4]", "(65535)[6]", "IN_BYTES[4]")
    rows = DataFlowSet(template=vendor, records=[(b"four", b"sixsix", 1500)])
    return [NetFlowV9() / TemplateFlowSet(templates=[vendor]) / rows]


@legal("RFC 3954 5.1", "report no gap: the number counts packets modulo 2^32")
def v9_sequence_wraps() -> Packets:
    """The sequence number wraps from 4294967295 to 0, and several records count as one packet."""
    rows = DataFlowSet(template=FLOW, records=[ROW] * 3)
    return [
        NetFlowV9(sequenceNumber=0xFFFFFFFF) / TemplateFlowSet(templates=[FLOW]) / rows,
        NetFlowV9(sequenceNumber=0) / rows,
    ]


@legal("RFC 3954 9", "decode the data once the template is known, or drop it", "missing-template")
def v9_data_before_template() -> Packets:
    """Data arrives a packet before its template."""
    return [
        NetFlowV9() / DataFlowSet(template=FLOW, records=[ROW]),
        NetFlowV9(sequenceNumber=1) / TemplateFlowSet(templates=[FLOW]),
    ]


# -- malformed


@illegal("RFC 3954 5.1", "read the FlowSets and log it", "count-disagrees")
def v9_count_too_high() -> Packets:
    """The header has count 1000, and the packet has two records."""
    rows = DataFlowSet(template=FLOW, records=[ROW])
    return [NetFlowV9(count=1000) / TemplateFlowSet(templates=[FLOW]) / rows]


@illegal("RFC 3954 5.1", "read the FlowSets and log it", "count-disagrees")
def v9_count_zero() -> Packets:
    """The header has count 0, and the packet has two records."""
    rows = DataFlowSet(template=FLOW, records=[ROW])
    return [NetFlowV9(count=0) / TemplateFlowSet(templates=[FLOW]) / rows]


@illegal(
    *("RFC 3954 5", "discard the packet and log it", "header-truncated", "set-truncated"),
    *("template-truncated", "padding-nonzero", "sets-trailing", "count-disagrees"),
    "sequence-duplicate",
)
def v9_truncated_at_every_octet() -> Packets:
    """A packet with templates, options and data is cut off after 2 octets, after 3, and so on."""
    octets = bytes(
        NetFlowV9()
        / TemplateFlowSet(templates=[FLOW])
        / OptionsTemplateFlowSet(templates=[SAMPLING])
        / DataFlowSet(template=FLOW, records=[ROW, ROW])
    )
    return [octets[:stop] for stop in range(2, len(octets))]


@illegal("RFC 3954 5.3", "discard the packet, or the rest of it", "set-length", "count-disagrees")
def v9_flowset_length_zero() -> Packets:
    """A FlowSet has length 0; a reader that skips that many octets makes no progress."""
    rows = DataFlowSet(template=FLOW, length=0, records=[ROW])
    return [NetFlowV9() / TemplateFlowSet(templates=[FLOW]) / rows]


@illegal("RFC 3954 5.3", "read the records that are there, or discard the packet", "set-truncated")
def v9_flowset_length_beyond_the_packet() -> Packets:
    """A FlowSet has length 65535, and the packet header has no length to compare."""
    rows = DataFlowSet(template=FLOW, length=65535, records=[ROW])
    return [NetFlowV9() / TemplateFlowSet(templates=[FLOW]) / rows]


@illegal(
    *("RFC 3954 5.2", "skip these FlowSets and read the data after them"),
    *("set-reserved", "set-other-protocol"),
)
def v9_flowset_ids_reserved() -> Packets:
    """FlowSets have the reserved ids 2 and 255; 2 is the id of templates in IPFIX."""
    message = NetFlowV9(count=2) / TemplateFlowSet(templates=[FLOW])
    for number in (2, 255):
        message /= Set(setId=number, data=bytes(4))
    return [message / DataFlowSet(template=FLOW, records=[ROW])]


@illegal("RFC 3954 5.2", "refuse the template and log it", "template-truncated")
def v9_field_count_too_high() -> Packets:
    """A Template Record of three fields has field count 65535."""
    fields = FlowSetTemplateRecord.from_template(FLOW).fieldSpecifiers
    lying = FlowSetTemplateRecord(fieldCount=65535, fieldSpecifiers=fields)
    return [NetFlowV9(count=0) / TemplateFlowSet(templates=[lying])]


@illegal("RFC 3954 5.2", "refuse the template: v9 has no withdrawals", "template-empty")
def v9_template_of_no_fields() -> Packets:
    """A Template Record has no fields, which would be a withdrawal in IPFIX."""
    return [NetFlowV9() / TemplateFlowSet(templates=[FlowSetTemplateRecord(templateId=256)])]


@illegal(
    *("RFC 3954 5.2", "refuse the template and read no records of it"),
    *("template-zero-length", "set-empty"),
)
def v9_records_of_no_octets() -> Packets:
    """All fields of a template have length 0."""
    nothing = Template(256, "IN_BYTES[0]", "IN_PKTS[0]")
    rows = DataFlowSet(template=nothing)
    return [NetFlowV9() / TemplateFlowSet(templates=[nothing]) / rows]


@illegal("RFC 3954 6.1", "refuse the template and log it", "template-truncated")
def v9_options_lengths_beyond_the_flowset() -> Packets:
    """An Options Template Record has a scope length greater than its FlowSet."""
    lying = FlowSetOptionsTemplateRecord.from_template(SAMPLING)
    lying.optionScopeLength = 400
    return [NetFlowV9(count=0) / OptionsTemplateFlowSet(templates=[lying])]


@illegal("RFC 3954 6.1", "refuse the template and log it", "options-length")
def v9_options_lengths_odd() -> Packets:
    """An Options Template Record has lengths 5 and 7, and each field needs 4 octets."""
    lying = FlowSetOptionsTemplateRecord.from_template(SAMPLING)
    lying.optionScopeLength, lying.optionLength = 5, 7
    return [NetFlowV9() / OptionsTemplateFlowSet(templates=[lying])]


@illegal(
    "RFC 3954 6.1",
    "read 3 fields, or refuse the template",
    "options-length",
    "template-empty",
    "template-truncated",
)
def v9_options_counts_instead_of_lengths() -> Packets:
    """An Options Template Record has field counts in place of lengths, as in IPFIX."""
    lying = FlowSetOptionsTemplateRecord.from_template(SAMPLING)
    lying.optionScopeLength, lying.optionLength = 1, 3
    return [NetFlowV9(count=1) / OptionsTemplateFlowSet(templates=[lying])]


@illegal("RFC 3954 5.3", "read the record and log it", "padding-nonzero")
def v9_padding_not_zero() -> Packets:
    """The padding of a FlowSet is not zero."""
    rows = DataFlowSet(template=FLOW, records=[ROW], padding=b"key!")
    return [NetFlowV9() / TemplateFlowSet(templates=[FLOW]) / rows]


@illegal("RFC 3954 5.1", "log the loss of four packets", "sequence-gap")
def v9_sequence_gap() -> Packets:
    """Packets have the sequence numbers 10 and 15."""
    rows = DataFlowSet(template=FLOW, records=[ROW])
    return [
        NetFlowV9(sequenceNumber=10) / TemplateFlowSet(templates=[FLOW]) / rows,
        NetFlowV9(sequenceNumber=15) / DataFlowSet(template=FLOW, records=[ROW]),
    ]

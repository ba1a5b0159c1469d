# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture cases: malformed IPFIX records, invalid values and sequence numbers."""

from __future__ import annotations

import math

from scapy.fields import RawVal

from scapy_ipfix.layers.messages import IPFIX
from scapy_ipfix.layers.sets import DataSet, TemplateSet
from scapy_ipfix.testing.torturecases.case import FLOW, NAMED, ROW, Packets, illegal
from scapy_ipfix.wire.template import Template

# -- records


@illegal("RFC 7011 3.3.1", "read one record, log the rest", "padding-nonzero")
def record_cut() -> Packets:
    """A Data Set ends 3 octets into its second record."""
    rows = DataSet(template=FLOW, records=[ROW], padding=b"\xc0\0\2")
    return [IPFIX() / TemplateSet(templates=[FLOW]) / rows]


@illegal("RFC 7011 7", "read one record, log the rest", "record-truncated")
def string_beyond_the_set() -> Packets:
    """A string of variable length has length 200, and its Set ends 8 octets later."""
    rows = [("lab", 1500), (RawVal(b"\xc8lab"), 1500)]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@illegal("RFC 7011 7", "read one record, log the rest", "record-truncated")
def string_beyond_the_message() -> Packets:
    """A string has length 65535 in the long form, more than any message can hold."""
    rows = [("lab", 1500), (RawVal(b"\xff\xff\xfflab"), 1500)]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@illegal("RFC 7011 7", "read one record, log the rest", "record-truncated")
def string_into_the_next_set() -> Packets:
    """A Data Set ends after the string of its last record, and the number is missing."""
    rows = DataSet(template=NAMED, records=[("lab", 1500), b"\x07another"])
    after = DataSet(template=FLOW, records=[ROW])
    return [IPFIX() / TemplateSet(templates=[FLOW, NAMED]) / rows / after]


@illegal("RFC 7011 7", "read no record", "padding-nonzero")
def long_form_without_a_length() -> Packets:
    """A Set ends after the octet 255 that announces a length of two octets."""
    rows = DataSet(template=NAMED, records=[b"\xff", b"\0"])
    return [IPFIX() / TemplateSet(templates=[NAMED]) / rows]


# -- values


@illegal("RFC 7011 6.1.5", "return the octet or omit it, and log it", "value")
def boolean_three() -> Packets:
    """Booleans have the values 0, 3 and 255; only 1 and 2 are defined."""
    truth = Template(300, "dataRecordsReliability")
    rows = DataSet(template=truth, records=[(0,), (3,), (255,)])
    return [IPFIX() / TemplateSet(templates=[truth]) / rows]


@illegal("RFC 7011 6.1.6", "discard the message or return the octets, and log it", "value")
def string_not_utf8() -> Packets:
    """Strings hold Latin-1, half a character, an overlong slash and half of a UTF-16 pair."""
    texts = (b"caf\xe9", b"\xe2\x82", b"..\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80")
    rows = [(text, 1) for text in texts]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@illegal("RFC 7012 3.1.10", "exclude the values from sums and from JSON numbers", "value")
def float_not_a_number() -> Packets:
    """Probabilities are not a number, infinite, and 2."""
    likely = Template(300, "samplingProbability")
    rows = DataSet(template=likely, records=[(math.nan,), (math.inf,), (2.0,)])
    return [IPFIX() / TemplateSet(templates=[likely]) / rows]


@illegal("RFC 7012 5", "return the number without a name")
def value_without_a_meaning() -> Packets:
    """A flow has end reason 99, an end before its start, and IP version 7."""
    odd = Template(300, "flowEndReason", "flowStartSeconds", "flowEndSeconds", "ipVersion")
    rows = DataSet(template=odd, records=[(99, 2000, 1000, 7)])
    return [IPFIX() / TemplateSet(templates=[odd]) / rows]


@illegal("RFC 7011 6.1.8", "return the number: no date can hold it")
def time_beyond_any_calendar() -> Packets:
    """Times in milliseconds are 2^64 - 1 and 2^63, half a billion years after 1970."""
    late = Template(300, "flowStartMilliseconds", "flowEndMilliseconds")
    rows = DataSet(template=late, records=[(2**64 - 1, 2**63)])
    return [IPFIX() / TemplateSet(templates=[late]) / rows]


# -- sequence numbers


def _counted(*numbers: int) -> Packets:
    """Return a message with a template, then messages of one record with these sequence numbers."""
    yield IPFIX(sequenceNumber=numbers[0]) / TemplateSet(templates=[FLOW])
    for number in numbers:
        yield IPFIX(sequenceNumber=number) / DataSet(template=FLOW, records=[ROW])


@illegal("RFC 7011 3.1", "log the loss of seven records", "sequence-gap")
def sequence_gap() -> Packets:
    """The sequence number rises by 8 after one record, so that seven records are lost."""
    return _counted(100, 101, 109, 110)


@illegal("RFC 7011 3.1", "log it, and count no record twice", "sequence-duplicate")
def message_twice() -> Packets:
    """A message arrives twice, as networks may duplicate it."""
    return _counted(100, 101, 101, 102)


@illegal(
    "RFC 7011 3.1",
    "log it, and report no loss in the end",
    "sequence-gap",
    "sequence-reordered",
)
def messages_out_of_order() -> Packets:
    """Two messages arrive in the wrong order, as networks may reorder them."""
    return _counted(100, 102, 101, 103)


@illegal("RFC 7011 3.1", "log a restart, not the loss of billions of records", "sequence-restart")
def sequence_starts_again() -> Packets:
    """The sequence number falls from a million to 0 without a new Transport Session."""
    return _counted(1_000_000, 1_000_001, 0, 1, 2)

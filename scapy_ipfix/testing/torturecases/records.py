# SPDX-License-Identifier: GPL-2.0-or-later
"""The torture catalogue: IPFIX records, values and sequence numbers that are wrong."""

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
    """A string of variable length says 200 octets, its set has 8."""
    rows = [("lab", 1500), (RawVal(b"\xc8lab"), 1500)]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@illegal("RFC 7011 7", "read one record, log the rest", "record-truncated")
def string_beyond_the_message() -> Packets:
    """A string says 65535 octets in the long form, which no message has room for."""
    rows = [("lab", 1500), (RawVal(b"\xff\xff\xfflab"), 1500)]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@illegal("RFC 7011 7", "read one record, log the rest", "record-truncated")
def string_into_the_next_set() -> Packets:
    """A string ends where its set does, the number after it is in the next set."""
    rows = DataSet(template=NAMED, records=[("lab", 1500), b"\x07another"])
    after = DataSet(template=FLOW, records=[ROW])
    return [IPFIX() / TemplateSet(templates=[FLOW, NAMED]) / rows / after]


@illegal("RFC 7011 7", "read no record", "padding-nonzero")
def long_form_without_a_length() -> Packets:
    """A set ends behind the 255 that announces a length of two octets."""
    rows = DataSet(template=NAMED, records=[b"\xff", b"\0"])
    return [IPFIX() / TemplateSet(templates=[NAMED]) / rows]


# -- values


@illegal("RFC 7011 6.1.5", "give the octet, or leave it out, and log it", "value")
def boolean_three() -> Packets:
    """Booleans are 1 and 2 on the wire; these are 0, 3 and 255."""
    truth = Template(300, "dataRecordsReliability")
    rows = DataSet(template=truth, records=[(0,), (3,), (255,)])
    return [IPFIX() / TemplateSet(templates=[truth]) / rows]


@illegal("RFC 7011 6.1.6", "ignore the message and log it, or give the octets", "value")
def string_not_utf8() -> Packets:
    """Strings hold Latin-1, half a character, an overlong slash, half of a UTF-16 pair."""
    texts = (b"caf\xe9", b"\xe2\x82", b"..\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80")
    rows = [(text, 1) for text in texts]
    return [IPFIX() / TemplateSet(templates=[NAMED]) / DataSet(template=NAMED, records=rows)]


@illegal("RFC 7012 3.1.10", "keep it out of sums, and out of JSON, which has no word", "value")
def float_not_a_number() -> Packets:
    """A probability is not a number; another is infinite, a third 2."""
    likely = Template(300, "samplingProbability")
    rows = DataSet(template=likely, records=[(math.nan,), (math.inf,), (2.0,)])
    return [IPFIX() / TemplateSet(templates=[likely]) / rows]


@illegal("RFC 7012 5", "give the number, there is no name for it")
def value_without_a_meaning() -> Packets:
    """A flow end reason of 99, a flow that ends before it begins, a version of 7."""
    odd = Template(300, "flowEndReason", "flowStartSeconds", "flowEndSeconds", "ipVersion")
    rows = DataSet(template=odd, records=[(99, 2000, 1000, 7)])
    return [IPFIX() / TemplateSet(templates=[odd]) / rows]


@illegal("RFC 7011 6.1.8", "give the number, no date has room for it")
def time_beyond_any_calendar() -> Packets:
    """Milliseconds since 1970 of 2^64 - 1: half a billion years."""
    late = Template(300, "flowStartMilliseconds", "flowEndMilliseconds")
    rows = DataSet(template=late, records=[(2**64 - 1, 2**63)])
    return [IPFIX() / TemplateSet(templates=[late]) / rows]


# -- sequence numbers


def _counted(*numbers: int) -> Packets:
    """Messages of one record each with these sequence numbers, a template before them."""
    yield IPFIX(sequenceNumber=numbers[0]) / TemplateSet(templates=[FLOW])
    for number in numbers:
        yield IPFIX(sequenceNumber=number) / DataSet(template=FLOW, records=[ROW])


@illegal("RFC 7011 3.1", "log the loss of seven records", "sequence-gap")
def sequence_gap() -> Packets:
    """The sequence number goes up by 8 after a record: seven are lost."""
    return _counted(100, 101, 109, 110)


@illegal(
    "RFC 7011 3.1", "log it, count no record twice if that can be helped", "sequence-duplicate"
)
def message_twice() -> Packets:
    """A message comes twice, as networks do it."""
    return _counted(100, 101, 101, 102)


@illegal(
    "RFC 7011 3.1",
    "log it, and see in the end that nothing is lost",
    "sequence-gap",
    "sequence-reordered",
)
def messages_out_of_order() -> Packets:
    """Two messages come in the wrong order, as networks do it."""
    return _counted(100, 102, 101, 103)


@illegal("RFC 7011 3.1", "log a restart, no loss of billions", "sequence-restart")
def sequence_starts_again() -> Packets:
    """The sequence number goes from a million back to 0, without a new session."""
    return _counted(1_000_000, 1_000_001, 0, 1, 2)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture cases: structured data (RFC 6313), legal and malformed."""

from __future__ import annotations

from scapy_ipfix.layers.messages import IPFIX
from scapy_ipfix.layers.sets import DataSet, TemplateSet
from scapy_ipfix.testing.torturecases.case import (
    FLOW,
    NAMED,
    Packets,
    basic_list,
    illegal,
    legal,
    sub_template_list,
    sub_template_multi_list,
)
from scapy_ipfix.wire.template import Template

LISTS = Template(300, "basicList", "subTemplateList", "subTemplateMultiList")
#: A basicList of interfaceName, an element of variable length.
_NAMES = basic_list(82, 65535, b"\x04eth0", b"\xff\x00\x04eth1")
_PAIR = bytes((192, 0, 2, 1, 192, 0, 2, 2)) + (1500).to_bytes(4, "big")


@legal("RFC 6313 4.5", "read three lists")
def lists_of_each_kind() -> Packets:
    """One record holds a basicList, a subTemplateList and a subTemplateMultiList."""
    multi = sub_template_multi_list((256, _PAIR), (257, b"\x03lab" + bytes(4)), (256, _PAIR * 2))
    rows = DataSet(template=LISTS, records=[(_NAMES, sub_template_list(256, _PAIR), multi)])
    return [IPFIX() / TemplateSet(templates=[FLOW, NAMED, LISTS]) / rows]


@legal("RFC 6313 4.5", "read three empty lists")
def lists_of_nothing() -> Packets:
    """Lists are empty, with the semantics noneOf and undefined, one with an empty block."""
    multi = sub_template_multi_list((256, b""), semantic=255)
    empty = (basic_list(8, 4, semantic=0), sub_template_list(256, semantic=255), multi)
    rows = DataSet(template=LISTS, records=[empty])
    return [IPFIX() / TemplateSet(templates=[FLOW, LISTS]) / rows]


@legal("RFC 6313 4.5.1", "read a list of two numbers")
def basic_list_of_an_enterprise() -> Packets:
    """A basicList holds an element of an enterprise in reduced-size encoding."""
    octets = basic_list(1, 2, b"\0\1", b"\0\2", pen=29305)
    rows = DataSet(template=LISTS, records=[(octets, sub_template_list(256), b"\x03")])
    return [IPFIX() / TemplateSet(templates=[FLOW, LISTS]) / rows]


@legal("RFC 6313 5.2", "read four nested lists")
def lists_nested_four_deep() -> Packets:
    """A basicList holds basicLists of basicLists of basicLists of names."""
    nested = _NAMES
    for _ in range(3):
        nested = basic_list(291, 65535, b"\xff" + len(nested).to_bytes(2, "big") + nested)
    rows = DataSet(template=LISTS, records=[(nested, sub_template_list(256), b"\x03")])
    return [IPFIX() / TemplateSet(templates=[FLOW, LISTS]) / rows]


@legal("RFC 6313 4.5.2", "read the nested lists")
def sub_template_list_of_lists() -> Packets:
    """A subTemplateList has records with a basicList, and a third list mixes both."""
    inner = Template(301, "basicList", "octetDeltaCount[4]")
    record = bytes((len(_NAMES),)) + _NAMES + bytes(4)
    multi = sub_template_multi_list((301, record), (256, _PAIR))
    row = (_NAMES, sub_template_list(301, record, record), multi)
    rows = DataSet(template=LISTS, records=[row])
    return [IPFIX() / TemplateSet(templates=[FLOW, inner, LISTS]) / rows]


def _tree(depth: int) -> bytes:
    """Return a subTemplateList of template 302 that is nested in itself ``depth`` times."""
    nested = sub_template_list(302)
    for _ in range(depth):
        nested = sub_template_list(302, b"\xff" + len(nested).to_bytes(2, "big") + nested)
    return nested


@legal("RFC 6313 5.2", "read three nested lists")
def sub_template_list_of_its_own_template() -> Packets:
    """A subTemplateList refers to the template that contains it, three levels deep."""
    holder = Template(302, "subTemplateList")
    rows = DataSet(template=holder, records=[(_tree(2),)])
    return [IPFIX() / TemplateSet(templates=[holder]) / rows]


# -- malformed


def _with(element: str, *lists: bytes) -> Packets:
    """Return a message with a record for each of these lists; template 256 is defined."""
    holder = Template(302, element)
    rows = DataSet(template=holder, records=[(octets,) for octets in lists])
    return [IPFIX() / TemplateSet(templates=[FLOW, holder]) / rows]


@illegal("RFC 6313 4.5.1", "return the octets and log it", "list-malformed")
def basic_list_cut_at_every_octet() -> Packets:
    """A basicList of an element of an enterprise is cut off after every octet of its header."""
    octets = basic_list(1, 2, pen=29305)
    return _with("basicList", *(octets[:stop] for stop in range(9)))


@illegal("RFC 6313 4.5.1", "return the octets and log it", "list-malformed")
def basic_list_cut_in_an_element() -> Packets:
    """The last value of a basicList has 3 of its 4 octets."""
    return _with("basicList", basic_list(8, 4, b"\xc0\0\2\1", b"\xc0\0\2"))


@illegal("RFC 6313 4.5.1", "return the octets as no list, and log it", "list-malformed")
def basic_list_of_elements_of_no_octets() -> Packets:
    """The values of a basicList have length 0; it could hold any number of them."""
    return _with("basicList", basic_list(8, 0, b"\xc0\0\2\1"))


@illegal("RFC 6313 4.5.1", "return the octets and log it", "list-malformed")
def basic_list_element_beyond_the_list() -> Packets:
    """A value of variable length has length 200, and the list ends 4 octets later."""
    return _with("basicList", basic_list(82, 65535, b"\xc8eth0"))


@illegal("RFC 6313 5.2", "stop at a limited depth and use bounded memory", "list-too-deep")
def lists_nested_thousands_deep() -> Packets:
    """A basicList is nested four thousand levels deep, which overflows a recursive reader."""
    nested = basic_list(82, 65535, b"\x04eth0")
    for _ in range(4000):
        nested = basic_list(291, 65535, b"\xff" + len(nested).to_bytes(2, "big") + nested)
    return _with("basicList", nested)


@illegal("RFC 6313 5.2", "stop at a limited depth and use bounded memory", "list-too-deep")
def sub_template_lists_nested_thousands_deep() -> Packets:
    """A subTemplateList refers to the template that contains it, two thousand levels deep."""
    return _with("subTemplateList", _tree(2000))


@illegal("RFC 6313 4.5.2", "return the octets and log it", "missing-template")
def sub_template_list_of_an_unknown_template() -> Packets:
    """A subTemplateList refers to a template that was never defined."""
    return _with("subTemplateList", sub_template_list(9999, bytes(12)))


@illegal("RFC 6313 4.5.2", "return the octets and log it", "list-malformed")
def sub_template_list_of_template_two() -> Packets:
    """A subTemplateList refers to template 2, which is the id of Template Sets."""
    return _with("subTemplateList", sub_template_list(2, bytes(12)))


@illegal("RFC 6313 4.5.2", "return the octets and log it", "list-malformed")
def sub_template_list_cut() -> Packets:
    """A subTemplateList is cut off within its header, and within a record."""
    return _with("subTemplateList", b"\x03\x01", sub_template_list(256, _PAIR[:11]))


@illegal("RFC 6313 4.5.3", "return the octets, make progress, and log it", "list-malformed")
def sub_template_multi_list_of_length_zero() -> Packets:
    """A block of a subTemplateMultiList has length 0, less than its own header."""
    return _with("subTemplateMultiList", b"\x03\x01\x00\x00\x00" + _PAIR)


@illegal("RFC 6313 4.5.3", "return the octets and log it", "list-malformed")
def sub_template_multi_list_beyond_the_list() -> Packets:
    """A block of a subTemplateMultiList has length 65535."""
    return _with("subTemplateMultiList", b"\x03\x01\x00\xff\xff" + _PAIR)


@illegal("RFC 6313 4.5.3", "return the octets and log it", "list-malformed")
def sub_template_multi_list_cut() -> Packets:
    """A subTemplateMultiList is cut off within the header of its second block."""
    octets = sub_template_multi_list((256, _PAIR)) + b"\x01\x00\x00"
    return _with("subTemplateMultiList", octets)

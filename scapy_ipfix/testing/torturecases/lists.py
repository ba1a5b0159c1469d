# SPDX-License-Identifier: GPL-2.0-or-later
"""The torture catalogue: lists in records (RFC 6313), legal ones and wrong ones."""

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
#: interfaceName, an element of variable length, in a list.
_NAMES = basic_list(82, 65535, b"\x04eth0", b"\xff\x00\x04eth1")
_PAIR = bytes((192, 0, 2, 1, 192, 0, 2, 2)) + (1500).to_bytes(4, "big")


@legal("RFC 6313 4.5", "read three lists")
def lists_of_each_kind() -> Packets:
    """A basicList, a subTemplateList and a subTemplateMultiList in one record."""
    multi = sub_template_multi_list((256, _PAIR), (257, b"\x03lab" + bytes(4)), (256, _PAIR * 2))
    rows = DataSet(template=LISTS, records=[(_NAMES, sub_template_list(256, _PAIR), multi)])
    return [IPFIX() / TemplateSet(templates=[FLOW, NAMED, LISTS]) / rows]


@legal("RFC 6313 4.5", "read three lists of nothing")
def lists_of_nothing() -> Packets:
    """Lists without elements: semantic noneOf, undefined, and a part without records."""
    multi = sub_template_multi_list((256, b""), semantic=255)
    empty = (basic_list(8, 4, semantic=0), sub_template_list(256, semantic=255), multi)
    rows = DataSet(template=LISTS, records=[empty])
    return [IPFIX() / TemplateSet(templates=[FLOW, LISTS]) / rows]


@legal("RFC 6313 4.5.1", "read a list of two numbers")
def basic_list_of_an_enterprise() -> Packets:
    """A basicList of an enterprise's element of reduced size."""
    octets = basic_list(1, 2, b"\0\1", b"\0\2", pen=29305)
    rows = DataSet(template=LISTS, records=[(octets, sub_template_list(256), b"\x03")])
    return [IPFIX() / TemplateSet(templates=[FLOW, LISTS]) / rows]


@legal("RFC 6313 4.6", "read a list in a list in a list in a list")
def lists_nested_four_deep() -> Packets:
    """A basicList of basicLists of basicLists of names."""
    nested = _NAMES
    for _ in range(3):
        nested = basic_list(291, 65535, b"\xff" + len(nested).to_bytes(2, "big") + nested)
    rows = DataSet(template=LISTS, records=[(nested, sub_template_list(256), b"\x03")])
    return [IPFIX() / TemplateSet(templates=[FLOW, LISTS]) / rows]


@legal("RFC 6313 4.5.2", "read the list in the list")
def sub_template_list_of_lists() -> Packets:
    """A subTemplateList whose records have a basicList, and a mixture of both in a third."""
    inner = Template(301, "basicList", "octetDeltaCount[4]")
    record = bytes((len(_NAMES),)) + _NAMES + bytes(4)
    multi = sub_template_multi_list((301, record), (256, _PAIR))
    row = (_NAMES, sub_template_list(301, record, record), multi)
    rows = DataSet(template=LISTS, records=[row])
    return [IPFIX() / TemplateSet(templates=[FLOW, inner, LISTS]) / rows]


def _tree(depth: int) -> bytes:
    """A subTemplateList of template 302, which is a subTemplateList, and so on."""
    nested = sub_template_list(302)
    for _ in range(depth):
        nested = sub_template_list(302, b"\xff" + len(nested).to_bytes(2, "big") + nested)
    return nested


@legal("RFC 6313 4.6", "read a list in a list in a list")
def sub_template_list_of_its_own_template() -> Packets:
    """A subTemplateList refers to the template that it is in, as trees do: three deep."""
    holder = Template(302, "subTemplateList")
    rows = DataSet(template=holder, records=[(_tree(2),)])
    return [IPFIX() / TemplateSet(templates=[holder]) / rows]


# -- wrong ones


def _with(element: str, *lists: bytes) -> Packets:
    """A message with a record of each of these lists, whose template may be 256."""
    holder = Template(302, element)
    rows = DataSet(template=holder, records=[(octets,) for octets in lists])
    return [IPFIX() / TemplateSet(templates=[FLOW, holder]) / rows]


@illegal("RFC 6313 4.5.1", "give the octets and log it", "list-malformed")
def basic_list_cut_at_every_octet() -> Packets:
    """A basicList of an enterprise's element is cut within its header, at every octet."""
    octets = basic_list(1, 2, pen=29305)
    return _with("basicList", *(octets[:stop] for stop in range(9)))


@illegal("RFC 6313 4.5.1", "give the octets and log it", "list-malformed")
def basic_list_cut_in_an_element() -> Packets:
    """The last element of a basicList has 3 of its 4 octets."""
    return _with("basicList", basic_list(8, 4, b"\xc0\0\2\1", b"\xc0\0\2"))


@illegal("RFC 6313 4.5.1", "give the octets, count no elements", "list-malformed")
def basic_list_of_elements_of_no_octets() -> Packets:
    """The elements of a basicList have length 0: it has as many as one likes."""
    return _with("basicList", basic_list(8, 0, b"\xc0\0\2\1"))


@illegal("RFC 6313 4.5.1", "give the octets and log it", "list-malformed")
def basic_list_element_beyond_the_list() -> Packets:
    """An element of variable length says 200 octets, the list ends after 4 of them."""
    return _with("basicList", basic_list(82, 65535, b"\xc8eth0"))


@illegal("RFC 6313 11", "stop at some depth, with memory to spare", "list-too-deep")
def lists_nested_thousands_deep() -> Packets:
    """A basicList in a basicList, four thousand deep: recursion ends badly."""
    nested = basic_list(82, 65535, b"\x04eth0")
    for _ in range(4000):
        nested = basic_list(291, 65535, b"\xff" + len(nested).to_bytes(2, "big") + nested)
    return _with("basicList", nested)


@illegal("RFC 6313 11", "stop at some depth, with memory to spare", "list-too-deep")
def sub_template_lists_nested_thousands_deep() -> Packets:
    """A subTemplateList refers to the template that it is in, two thousand times over."""
    return _with("subTemplateList", _tree(2000))


@illegal("RFC 6313 4.5.2", "give the octets and log it", "missing-template")
def sub_template_list_of_an_unknown_template() -> Packets:
    """A subTemplateList refers to a template that was never defined."""
    return _with("subTemplateList", sub_template_list(9999, bytes(12)))


@illegal("RFC 6313 4.5.2", "give the octets and log it", "list-malformed")
def sub_template_list_of_template_two() -> Packets:
    """A subTemplateList refers to template 2, which is the id of Template Sets."""
    return _with("subTemplateList", sub_template_list(2, bytes(12)))


@illegal("RFC 6313 4.5.2", "give the octets and log it", "list-malformed")
def sub_template_list_cut() -> Packets:
    """A subTemplateList ends within its header, and within a record."""
    return _with("subTemplateList", b"\x03\x01", sub_template_list(256, _PAIR[:11]))


@illegal("RFC 6313 4.5.3", "give the octets, stand still nowhere", "list-malformed")
def sub_template_multi_list_of_length_zero() -> Packets:
    """A part of a subTemplateMultiList says 0 octets, less than its own header."""
    return _with("subTemplateMultiList", b"\x03\x01\x00\x00\x00" + _PAIR)


@illegal("RFC 6313 4.5.3", "give the octets and log it", "list-malformed")
def sub_template_multi_list_beyond_the_list() -> Packets:
    """A part of a subTemplateMultiList says 65535 octets."""
    return _with("subTemplateMultiList", b"\x03\x01\x00\xff\xff" + _PAIR)


@illegal("RFC 6313 4.5.3", "give the octets and log it", "list-malformed")
def sub_template_multi_list_cut() -> Packets:
    """A subTemplateMultiList ends within the header of its second part."""
    octets = sub_template_multi_list((256, _PAIR)) + b"\x01\x00\x00"
    return _with("subTemplateMultiList", octets)

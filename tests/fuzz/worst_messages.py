# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages of up to 64 KiB that take the most time to read.

Importing the module adds them to :data:`~tests.fuzz.worstcase.WORST`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from ..builders import raw_message, raw_options, raw_set, raw_template, raw_v9_message
from .worstcase import BODY, ROOM, V9_BODY, numbered, prefixed, worst_case

# -- Sets


@worst_case("missing-template", "set-empty")
def sixteen_thousand_empty_sets() -> tuple[bytes, ...]:
    half = ROOM // 8
    known = raw_message(raw_set(2, raw_template(256, (4, 1))))
    return known, raw_message(b"\1\0\0\4" * half + b"\1\1\0\4" * half)


@worst_case()
def sixteen_thousand_empty_template_sets() -> tuple[bytes, ...]:
    return (raw_message(b"\0\2\0\4" * (ROOM // 4)),)


@worst_case("set-reserved")
def sixteen_thousand_reserved_sets() -> tuple[bytes, ...]:
    return (raw_message(b"\0\x63\0\4" * (ROOM // 4)),)


@worst_case()
def sixteen_thousand_sets_that_waited() -> tuple[bytes, ...]:
    return raw_message(b"\1\0\0\5\7" * (ROOM // 5)), raw_message(
        raw_set(2, raw_template(256, (4, 1)))
    )


@worst_case("padding-nonzero")
def sets_of_padding() -> tuple[bytes, ...]:
    known = raw_message(raw_set(2, raw_template(256, (4, 1), (1, 8))))
    return known, raw_message(raw_set(256, b"\7") * (ROOM // 5))


# -- templates


@worst_case()
def a_template_of_sixteen_thousand_fields() -> tuple[bytes, ...]:
    fields = [(1 + each % 400, 4) for each in range(BODY // 4 - 1)]
    return (raw_message(raw_set(2, raw_template(256, *fields))),)


@worst_case()
def a_template_of_one_element_throughout() -> tuple[bytes, ...]:
    return (raw_message(raw_set(2, raw_template(256, *[(1, 4)] * (BODY // 4 - 1)))),)


@worst_case()
def a_record_of_sixteen_thousand_fields() -> tuple[bytes, ...]:
    fields = [(1 + each % 400, 4) for each in range(BODY // 4 - 1)]
    return raw_message(raw_set(2, raw_template(256, *fields))), raw_message(
        raw_set(256, bytes(BODY))
    )


@worst_case()
def records_of_sixteen_thousand_strings() -> tuple[bytes, ...]:
    fields = [(82, 65535)] * (BODY // 4 - 1)
    return raw_message(raw_set(2, raw_template(256, *fields))), raw_message(
        raw_set(256, bytes(BODY))
    )


@worst_case()
def eight_thousand_templates() -> tuple[bytes, ...]:
    body = numbered(BODY // 8, lambda each: raw_template(256 + each, (4, 1)))
    return (raw_message(raw_set(2, body)),)


@worst_case("template-redefined")
def eight_thousand_redefinitions() -> tuple[bytes, ...]:
    body = numbered(BODY // 8, lambda each: raw_template(256, (4 + each % 2, 1)))
    return (raw_message(raw_set(2, body)),)


@worst_case("template-scope")
def six_thousand_options_templates() -> tuple[bytes, ...]:
    body = numbered(BODY // 10, lambda each: raw_options(256 + each, each % 3, (10, 4)))
    return (raw_message(raw_set(3, body)),)


@worst_case("withdrawal-udp")
def sixteen_thousand_withdrawals() -> tuple[bytes, ...]:
    body = numbered(BODY // 4, lambda each: struct.pack("!HH", 256 + each, 0))
    return (raw_message(raw_set(2, body)),)


@worst_case("withdrawal-unknown", "template-withdrawn", protocol="tcp")
def sixteen_thousand_withdrawals_over_tcp() -> tuple[bytes, ...]:
    known = numbered(BODY // 8, lambda each: raw_template(256 + each, (4, 1)))
    gone = numbered(BODY // 4, lambda each: struct.pack("!HH", 256 + each, 0))
    return raw_message(raw_set(2, known)), raw_message(raw_set(2, gone))


@worst_case("template-withdrawn", protocol="tcp")
def withdrawals_of_everything() -> tuple[bytes, ...]:
    known = numbered(BODY // 8, lambda each: raw_template(256 + each, (4, 1)))
    return raw_message(raw_set(2, known)), raw_message(raw_set(2, b"\0\2\0\0" * (BODY // 4)))


@worst_case("withdrawal-udp")
def sixteen_thousand_withdrawals_of_no_template() -> tuple[bytes, ...]:
    """Send zeros, which would be padding without the last octet."""
    return (raw_message(raw_set(2, bytes(BODY - 3) + b"\1\0\0")),)


@worst_case("template-empty", "template-id")
def sixteen_thousand_templates_without_fields() -> tuple[bytes, ...]:
    body = numbered(V9_BODY // 4, lambda each: struct.pack("!HH", each, 0))
    return (raw_v9_message(raw_set(0, body)),)


@worst_case("template-empty", "template-id")
def ten_thousand_options_templates_without_fields() -> tuple[bytes, ...]:
    body = numbered(V9_BODY // 6, lambda each: struct.pack("!HHH", each, 0, 0))
    return (raw_v9_message(raw_set(1, body)),)


@worst_case("field-length")
def a_template_of_sixteen_thousand_forbidden_lengths() -> tuple[bytes, ...]:
    fields = [(1 + each % 14, 33) for each in range(BODY // 4 - 1)]
    return (raw_message(raw_set(2, raw_template(256, *fields))),)


@worst_case()
def a_template_of_eight_thousand_unknown_elements() -> tuple[bytes, ...]:
    fields = [(1 + each, 1) for each in range((BODY - 4) // 8)]
    return (raw_message(raw_set(2, raw_template(256, *fields, pen=64999))),)


@worst_case("template-truncated")
def a_template_that_says_sixty_five_thousand_fields() -> tuple[bytes, ...]:
    return (raw_message(raw_set(2, b"\1\0\xff\xff" + b"\0\4\0\1" * (BODY // 4 - 1))),)


# -- records


@worst_case()
def sixty_five_thousand_records() -> tuple[bytes, ...]:
    return raw_message(raw_set(2, raw_template(256, (4, 1)))), raw_message(
        raw_set(256, b"\6" * BODY)
    )


@worst_case()
def sixty_five_thousand_strings_of_nothing() -> tuple[bytes, ...]:
    return raw_message(raw_set(2, raw_template(256, (82, 65535)))), raw_message(
        raw_set(256, bytes(BODY))
    )


@worst_case("value", check_values=True)
def sixty_five_thousand_wrong_booleans() -> tuple[bytes, ...]:
    return raw_message(raw_set(2, raw_template(256, (276, 1)))), raw_message(
        raw_set(256, b"\7" * BODY)
    )


@worst_case("value", check_values=True)
def strings_that_are_not_utf_8() -> tuple[bytes, ...]:
    known = raw_message(raw_set(2, raw_template(256, (82, 65535), (83, 2))))
    return known, raw_message(raw_set(256, b"\2\xc3\x28\xff\xfe" * (BODY // 5)))


@worst_case("template-zero-length")
def sixteen_thousand_fields_of_no_octets_beside_one() -> tuple[bytes, ...]:
    fields = [(1 + each % 400, 0) for each in range(BODY // 4 - 2)]
    known = raw_message(raw_set(2, raw_template(256, *fields, (4, 1))))
    return known, raw_message(raw_set(256, b"\6" * BODY))


@worst_case("template-zero-length")
def records_of_no_octets() -> tuple[bytes, ...]:
    body = raw_set(2, raw_template(256, (4, 0))) + raw_set(256, bytes(ROOM - 16))
    return (raw_message(body),)


@worst_case("set-empty")
def fourteen_thousand_sets_of_a_string_of_nothing_or_less() -> tuple[bytes, ...]:
    known = raw_message(raw_set(2, raw_template(256, (82, 65535))))
    return known, raw_message(raw_set(256, b"\0") * (ROOM // 10) + raw_set(256, b"") * (ROOM // 8))


@worst_case()
def six_thousand_interfaces() -> tuple[bytes, ...]:
    known = raw_message(raw_set(3, raw_options(256, 1, (10, 4), (82, 65535))))
    rows = numbered(BODY // 10, lambda each: each.to_bytes(4, "big") + b"\5eth%02d" % (each % 100))
    return known, raw_message(raw_set(256, rows))


@worst_case()
def one_interface_in_six_thousand_sets() -> tuple[bytes, ...]:
    known = raw_message(raw_set(3, raw_options(256, 1, (10, 4), (82, 65535))))
    return known, raw_message(
        *(raw_set(256, each.to_bytes(4, "big") + b"\1a") for each in range(ROOM // 10))
    )


@worst_case()
def three_thousand_elements() -> tuple[bytes, ...]:
    """Describe elements of eight thousand templates, whose fields get these names."""
    known = numbered(BODY // 12, lambda each: raw_template(300 + each, (1 + each, 1), pen=64999))
    types = raw_set(3, raw_options(256, 2, (346, 4), (303, 2), (339, 1), (341, 65535)))
    head = struct.pack("!I", 64999)
    rows = numbered(
        BODY // 14, lambda each: head + struct.pack("!HB", 1 + each, 1) + b"\6e%05d" % each
    )
    return raw_message(raw_set(2, known)), raw_message(types), raw_message(raw_set(256, rows))


TYPES = raw_set(3, raw_options(257, 2, (346, 4), (303, 2), (339, 1)))


def type_of(id: int) -> bytes:
    return raw_set(257, struct.pack("!IHB", 64999, id, 1))


@worst_case()
def elements_one_by_one_in_four_thousand_domains() -> tuple[bytes, ...]:
    unknown = raw_set(2, raw_template(256, *((1 + each, 1) for each in range(16)), pen=64999))
    domains = [raw_message(TYPES, unknown, domain=each) for each in range(1, 4096)]
    return (
        *domains,
        raw_message(TYPES),
        raw_message(numbered(ROOM // 11, lambda each: type_of(1 + each))),
    )


@worst_case()
def elements_one_by_one_of_a_template_of_eight_thousand_fields() -> tuple[bytes, ...]:
    """Rename a field with each description, with Sets without records in between."""
    fields = [(1 + each, 1) for each in range((BODY - 4) // 8)]
    known = raw_message(raw_set(2, raw_template(256, *fields, pen=64999))), raw_message(TYPES)
    empty = raw_set(256, b"")
    return *known, raw_message(numbered(ROOM // 15, lambda each: type_of(1 + each) + empty))


@worst_case(check_values=True)
def lists_of_a_template_that_gets_name_after_name() -> tuple[bytes, ...]:
    fields = [(1 + each, 1) for each in range(2000)]
    known = raw_message(raw_set(2, raw_template(256, *fields, pen=64999))), raw_message(TYPES)
    lists = raw_message(raw_set(2, raw_template(258, (292, 65535))))
    empty = raw_set(258, b"\3\3\1\0")
    return *known, lists, raw_message(numbered(ROOM // 19, lambda each: type_of(1 + each) + empty))


# -- layouts, each used


def _layouts(each: Callable[[int], bytes], record: bytes) -> tuple[bytes, ...]:
    """Fill a message with templates and a Set of one record for each."""
    count = (ROOM - 4) // (len(each(0)) + 4 + len(record))
    sets = (raw_set(256 + at, record) for at in range(count))
    return (raw_message(raw_set(2, numbered(count, each)), *sets),)


@worst_case()
def five_thousand_layouts_each_used() -> tuple[bytes, ...]:
    return _layouts(lambda each: raw_template(256 + each, (1 + each, 1)), b"\1")


@worst_case(check_values=True)
def five_thousand_layouts_each_used_and_checked() -> tuple[bytes, ...]:
    return _layouts(lambda each: raw_template(256 + each, (1 + each, 1)), b"\1")


@worst_case(check_values=True)
def five_thousand_layouts_of_variable_length() -> tuple[bytes, ...]:
    return _layouts(lambda each: raw_template(256 + each, (1 + each, 65535)), b"\0")


@worst_case("list-malformed", check_values=True)
def five_thousand_layouts_of_lists() -> tuple[bytes, ...]:
    return _layouts(lambda each: raw_template(256 + each, (291, 65535)), b"\0")


@worst_case()
def three_thousand_layouts_of_options() -> tuple[bytes, ...]:
    count = ROOM // 20 - 1
    known = numbered(count, lambda each: raw_options(256 + each, 1, (10, 1), (1 + each, 65535)))
    return (
        raw_message(raw_set(3, known), *(raw_set(256 + each, b"\1\0") for each in range(count))),
    )


@worst_case(check_values=True)
def a_layout_of_eight_thousand_fields_and_a_record() -> tuple[bytes, ...]:
    count = ROOM // 5 - 10
    known = raw_template(256, *((1 + each % 400, 1) for each in range(count)))
    return (raw_message(raw_set(2, known), raw_set(256, bytes(count))),)


# -- wrong values


def _wrong_booleans(fields: int) -> tuple[bytes, ...]:
    known = raw_message(raw_set(2, raw_template(256, *[(276, 1)] * fields)))
    return known, raw_message(raw_set(256, b"\7" * fields) * (ROOM // (fields + 4)))


@worst_case("value", check_values=True)
def thirteen_thousand_sets_of_a_wrong_boolean() -> tuple[bytes, ...]:
    return _wrong_booleans(1)


@worst_case("value", check_values=True)
def six_hundred_sets_of_a_hundred_wrong_booleans() -> tuple[bytes, ...]:
    return _wrong_booleans(100)


@worst_case("value", check_values=True)
def six_sets_of_ten_thousand_wrong_booleans() -> tuple[bytes, ...]:
    return _wrong_booleans(10_000)


@worst_case(values="json")
def octets_that_are_no_strings() -> tuple[bytes, ...]:
    return raw_message(raw_set(2, raw_template(256, (82, 1)))), raw_message(
        raw_set(256, b"\xff" * BODY)
    )


@worst_case(values="python")
def times_of_an_octet() -> tuple[bytes, ...]:
    return raw_message(raw_set(2, raw_template(256, (156, 1)))), raw_message(
        raw_set(256, b"\7" * BODY)
    )


# -- NetFlow v9


def _v9_template(count: int) -> bytes:
    fields = (struct.pack("!HH", 20_000 + each, 1) for each in range(count))
    return struct.pack("!HH", 256, count) + b"".join(fields)


@worst_case()
def sixteen_thousand_unknown_field_types() -> tuple[bytes, ...]:
    return (raw_v9_message(raw_set(0, _v9_template(V9_BODY // 4 - 1))),)


@worst_case()
def sixteen_thousand_unknown_field_types_again() -> tuple[bytes, ...]:
    once = raw_v9_message(raw_set(0, _v9_template(V9_BODY // 4 - 1)))
    return once, once


@worst_case()
def sixteen_thousand_unknown_scopes() -> tuple[bytes, ...]:
    count = (V9_BODY - 6) // 4
    scopes = numbered(count, lambda each: struct.pack("!HH", 9 + each, 1))
    return (raw_v9_message(raw_set(1, struct.pack("!HHH", 256, 4 * count, 0) + scopes)),)


# -- lists


_LISTS = raw_set(2, raw_template(259, (291, 65535)) + raw_template(256, (4, 1)))


def _basic(element: int, length: int, values: bytes) -> bytes:
    return struct.pack("!BHH", 3, element, length) + values


def nested(depth: int) -> bytes:
    """Return nested basicLists; the innermost holds numbers."""
    octets = _basic(4, 1, b"\6\x11")
    for _ in range(depth):
        octets = _basic(291, 65535, prefixed(octets))
    return octets


def nested_records(depth: int) -> bytes:
    """Return nested subTemplateLists of template 260."""
    octets = b"\3\1\4"
    for _ in range(depth):
        octets = b"\3\1\4" + prefixed(octets)
    return octets


@worst_case("list-too-deep", check_values=True)
def basic_lists_nested_eight_thousand_deep() -> tuple[bytes, ...]:
    return raw_message(_LISTS), raw_message(raw_set(259, prefixed(nested((BODY - 10) // 8))))


@worst_case("list-too-deep", check_values=True)
def a_template_list_that_names_its_own_template() -> tuple[bytes, ...]:
    known = raw_message(raw_set(2, raw_template(260, (292, 65535))))
    return known, raw_message(raw_set(260, prefixed(nested_records((BODY - 6) // 6))))


@worst_case()
def a_basic_list_of_empty_strings() -> tuple[bytes, ...]:
    return raw_message(_LISTS), raw_message(
        raw_set(259, prefixed(_basic(82, 65535, bytes(BODY - 8))))
    )


@worst_case()
def a_basic_list_of_numbers() -> tuple[bytes, ...]:
    return raw_message(_LISTS), raw_message(raw_set(259, prefixed(_basic(4, 1, bytes(BODY - 8)))))


@worst_case()
def a_basic_list_of_empty_lists() -> tuple[bytes, ...]:
    return raw_message(_LISTS), raw_message(
        raw_set(259, prefixed(_basic(291, 65535, bytes(BODY - 8))))
    )


@worst_case(check_values=True)
def ten_thousand_basic_lists_each_of_another_element() -> tuple[bytes, ...]:
    rows = numbered(BODY // 6, lambda each: b"\5" + _basic(1 + each % 32000, each // 32000, b""))
    return raw_message(_LISTS), raw_message(raw_set(259, rows))


@worst_case(check_values=True)
def nine_thousand_values_each_in_a_basic_list_of_another_element() -> tuple[bytes, ...]:
    rows = numbered(BODY // 7, lambda each: b"\6" + _basic(1 + each, 1, b"\7"))
    return raw_message(_LISTS), raw_message(raw_set(259, rows))


@worst_case("missing-template", check_values=True)
def sixteen_thousand_lists_of_records() -> tuple[bytes, ...]:
    known = raw_message(raw_set(2, raw_template(256, (292, 65535)) + raw_template(257, (4, 1))))
    return known, raw_message(
        raw_set(256, b"\3\3\1\1" * (BODY // 4 - 3)), raw_set(256, b"\4\3\1\7\0")
    )


@worst_case("list-malformed", check_values=True)
def sixty_five_thousand_lists_of_nothing() -> tuple[bytes, ...]:
    return raw_message(_LISTS), raw_message(raw_set(259, bytes(BODY)))


@worst_case("list-malformed", check_values=True)
def a_basic_list_of_values_of_no_octets() -> tuple[bytes, ...]:
    return raw_message(_LISTS), raw_message(raw_set(259, prefixed(_basic(4, 0, bytes(BODY - 8)))))


@worst_case()
def ten_thousand_basic_lists() -> tuple[bytes, ...]:
    rows = numbered(BODY // 7, lambda each: b"\6" + _basic(1 + each % 400, 1, b"\7"))
    return raw_message(_LISTS), raw_message(raw_set(259, rows))


@worst_case()
def a_multi_list_of_sixteen_thousand_blocks() -> tuple[bytes, ...]:
    known = raw_message(_LISTS, raw_set(2, raw_template(261, (293, 65535))))
    return known, raw_message(raw_set(261, prefixed(b"\3" + b"\1\0\0\4" * ((BODY - 4) // 4))))


@worst_case("template-redefined")
def lists_whose_templates_change() -> tuple[bytes, ...]:
    """Change templates after each list, which keeps a version of them."""
    known = numbered(BODY // 8, lambda each: raw_template(300 + each, (4, 1)))
    changes = numbered(
        (ROOM - 30) // 17,
        lambda each: raw_set(2, raw_template(256, (4 + each % 2, 1))) + raw_set(259, b"\0"),
    )
    return raw_message(raw_set(2, known)), raw_message(_LISTS), raw_message(changes)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages that take long because of earlier messages: names, withdrawals, facts.

Importing the module adds them to :data:`~tests.fuzz.worstcase.WORST`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from scapy_ipfix.collector.budget import LEARNED_SETS, STATED_FACTS, TEMPLATES
from scapy_ipfix.wire.resolver import _MANY

from ..builders import raw_message, raw_options, raw_set, raw_template
from .worst_messages import TYPES, type_of
from .worstcase import BODY, ROOM, numbered, worst_case

#: Enterprise without known elements.
_PEN = 64999
_WITHDRAWN = b"\0\2\0\0"
#: Number of wide templates and of their fields: a quarter of the fields that a collector keeps.
_COUNT, _WIDE = 256, 1016
_WIDE_FIELDS = raw_template(0, *((1 + each, 1) for each in range(_WIDE)), pen=_PEN)[2:]


def _messages(kind: int, each: Callable[[int], bytes], ids: Iterable[int]) -> list[bytes]:
    """Return the fewest messages that hold these templates."""
    ids = list(ids)
    room = BODY // len(each(0))
    return [
        raw_message(raw_set(kind, b"".join(map(each, ids[at : at + room]))))
        for at in range(0, len(ids), room)
    ]


def _one(id: int) -> bytes:
    return raw_template(id, (4, 1))


def _wide(id: int) -> bytes:
    return id.to_bytes(2, "big") + _WIDE_FIELDS


def _wide_templates() -> list[bytes]:
    return _messages(2, _wide, range(256, 256 + _COUNT))


# -- withdrawals


@worst_case("template-withdrawn", protocol="tcp")
def withdrawals_of_everything_of_the_other_kind() -> tuple[bytes, ...]:
    known = _messages(3, lambda id: raw_options(id, 0, (1, 1)), range(256, 65_000))
    return *known, raw_message(raw_set(2, _WITHDRAWN * (BODY // 4)))


@worst_case("template-withdrawn", protocol="tcp")
def withdrawals_while_most_templates_have_no_names() -> tuple[bytes, ...]:
    unknown = _messages(2, lambda id: raw_template(id, (1, 1), pen=_PEN), range(256, 49_000))
    known = _messages(2, _one, range(49_000, 65_000))
    withdrawals = [struct.pack("!HH", id, 0) for id in range(256, 256 + 2 * (BODY // 4))]
    gone = [
        raw_message(raw_set(2, b"".join(half)))
        for half in (withdrawals[: BODY // 4], withdrawals[BODY // 4 :])
    ]
    return *unknown, *known, raw_message(TYPES, type_of(1)), *gone


@worst_case("template-withdrawn", protocol="tcp")
def a_withdrawal_of_wide_templates() -> tuple[bytes, ...]:
    return *_wide_templates(), raw_message(raw_set(2, _WITHDRAWN))


@worst_case("template-redefined", "templates-many")
def redefinitions_of_wide_templates() -> tuple[bytes, ...]:
    """Redefine templates that also wait for names."""
    fields = raw_template(0, *((1 + each, 1) for each in range(32)), pen=_PEN)[2:]
    wide = _messages(2, lambda id: id.to_bytes(2, "big") + fields, range(256, 8256))
    narrow = numbered(8000, lambda each: _one(256 + each))
    return *wide, raw_message(TYPES, type_of(1)), raw_message(raw_set(2, narrow))


# -- names (RFC 5610)


@worst_case()
def a_thousand_lessons_for_wide_templates() -> tuple[bytes, ...]:
    lessons = numbered(_WIDE, lambda each: type_of(1 + each))
    return *_wide_templates(), raw_message(TYPES), raw_message(lessons)


def _lists(*before: bytes) -> tuple[bytes, ...]:
    known = raw_message(raw_set(2, raw_template(5000, (291, 65535))))
    return *_wide_templates(), raw_message(TYPES), *before, known, raw_message(raw_set(5000, b"\0"))


@worst_case()
def the_first_list_after_a_lesson() -> tuple[bytes, ...]:
    return _lists(raw_message(type_of(1)))


@worst_case()
def a_second_lesson_where_lists_are() -> tuple[bytes, ...]:
    return *_lists(), raw_message(type_of(1)), raw_message(type_of(2))


@worst_case("set-empty")
def empty_sets_of_wide_templates() -> tuple[bytes, ...]:
    return *_wide_templates(), raw_message(*(raw_set(256 + each, b"") for each in range(_COUNT)))


@worst_case(check_values=True)
def lists_of_wide_templates_that_wait_for_names() -> tuple[bytes, ...]:
    """Send lists without records."""
    known = raw_message(TYPES, raw_set(2, raw_template(5000, (292, 65535))))
    lists = numbered(_COUNT, lambda each: b"\x08\3" + struct.pack("!H", 256 + each) + bytes(5))
    return *_wide_templates(), known, raw_message(type_of(1)), raw_message(raw_set(5000, lists))


def _by_turns(fields: int) -> tuple[bytes, ...]:
    """Return element descriptions and records of these elements in turn."""
    layout = [(1 + each, each % 2) for each in range(fields)]
    known = raw_message(raw_set(2, raw_template(256, *layout, pen=_PEN))), raw_message(TYPES)
    record = raw_set(256, bytes(fields // 2))
    turns = ROOM // (len(record) + len(type_of(1)))
    return *known, raw_message(numbered(turns, lambda each: type_of(1 + each % fields) + record))


@worst_case()
def lessons_and_records_by_turns() -> tuple[bytes, ...]:
    return _by_turns(240)


@worst_case()
def lessons_and_wide_records_by_turns() -> tuple[bytes, ...]:
    return _by_turns(1000)


# -- lists with superseded templates


@worst_case("template-redefined")
def redefinitions_where_the_past_is_full() -> tuple[bytes, ...]:
    lists = raw_message(raw_set(2, raw_template(300, (291, 65535))), raw_set(300, b"\0"))
    changes = numbered(BODY // 8, lambda each: raw_template(256, (4 + each % 2, 1)))
    change = raw_message(raw_set(2, changes))
    return lists, *[change] * 6


# -- facts


def _facts(*fields: tuple[int, int], scope: int = 1) -> bytes:
    return raw_message(raw_set(3, raw_options(256, scope, *fields)))


@worst_case()
def a_fact_that_changes_with_every_octet() -> tuple[bytes, ...]:
    """Change a fact more often than versions of it are kept."""
    change = raw_message(raw_set(256, b"\1\2" * (BODY // 2)))
    return _facts((34, 1), scope=0), change, change, change


@worst_case()
def sampling_of_twenty_thousand_interfaces() -> tuple[bytes, ...]:
    rows = numbered(BODY // 3, lambda each: each.to_bytes(3, "big"))
    return _facts((302, 1), (305, 1), (306, 1)), raw_message(raw_set(256, rows))


@worst_case()
def twenty_thousand_applications() -> tuple[bytes, ...]:
    rows = numbered(BODY // 3, lambda each: each.to_bytes(2, "big") + b"\0")
    return _facts((95, 2), (96, 65535)), raw_message(raw_set(256, rows))


@worst_case()
def seven_thousand_of_everything() -> tuple[bytes, ...]:
    known = _facts(
        *((10, 1), (82, 65535), (83, 65535), (305, 1), (306, 1), (302, 1)),
        *((234, 1), (236, 65535), (95, 1), (96, 65535)),
    )
    rows = numbered(
        BODY // 10,
        lambda each: bytes((each % 256, 0, 0, each // 256, 1, *[each % 256] * 2, 0, each % 256, 0)),
    )
    return known, raw_message(raw_set(256, rows))


@worst_case()
def a_counter_beside_two_hundred_others() -> tuple[bytes, ...]:
    wide = numbered(
        4, lambda each: raw_options(256 + each, 0, *[((40, 41, 42, 163)[each], 1)] * 63)
    )
    one = raw_options(260, 0, (164, 1))
    counted = (raw_set(256 + each, bytes(63)) for each in range(4))
    rows = raw_set(260, b"\1\2" * (BODY // 2))
    return raw_message(raw_set(3, wide + one)), raw_message(*counted), raw_message(rows)


@worst_case()
def eight_thousand_vrfs_in_sets() -> tuple[bytes, ...]:
    rows = (raw_set(256, bytes((each % 256, 1)) + b"a") for each in range(ROOM // 7))
    return _facts((234, 1), (236, 65535)), raw_message(*rows)


@worst_case(resolve=True)
def records_that_interfaces_are_looked_up_for() -> tuple[bytes, ...]:
    names = numbered(BODY // 6, lambda each: each.to_bytes(4, "big") + b"\1a")
    known = raw_set(3, raw_options(256, 1, (10, 4), (82, 65535))), raw_set(2, _pairs())
    rows = numbered(
        BODY // 4, lambda each: struct.pack("!HH", each % 6000, (each + each // 6000) % 6000)
    )
    return raw_message(*known), raw_message(raw_set(256, names)), raw_message(raw_set(257, rows))


def _pairs() -> bytes:
    return raw_template(257, (10, 2), (14, 2))


@worst_case(resolve=True)
def records_each_of_two_other_interfaces() -> tuple[bytes, ...]:
    known = raw_set(3, raw_options(256, 1, (10, 4), (82, 65535))), raw_set(2, _pairs())
    names = [each.to_bytes(4, "big") + b"\1a" for each in range(65536)]
    stated = [
        raw_message(raw_set(256, b"".join(names[at : at + STATED_FACTS.most])))
        for at in range(0, len(names), STATED_FACTS.most)
    ]
    rows = numbered(BODY // 4, lambda each: struct.pack("!HH", 2 * each, 2 * each + 1))
    return raw_message(*known), *stated, raw_message(raw_set(257, rows))


@worst_case(resolve=True)
def records_each_of_two_other_interfaces_that_are_sampled() -> tuple[bytes, ...]:
    rows = numbered(BODY // 4, lambda each: struct.pack("!HH", 2 * each, 2 * each + 1))
    return *_named_and_sampled(), raw_message(raw_set(2, _pairs())), raw_message(raw_set(257, rows))


@worst_case(resolve=True)
def records_each_of_two_other_interfaces_one_of_which_metered() -> tuple[bytes, ...]:
    rows = numbered(BODY // 5, lambda each: struct.pack("!HHB", 2 * each, 2 * each + 1, each % 2))
    directed = raw_set(2, raw_template(257, (10, 2), (14, 2), (61, 1)))
    return *_named_and_sampled(), raw_message(directed), raw_message(raw_set(257, rows))


@worst_case(resolve=True)
def records_that_ask_for_everything() -> tuple[bytes, ...]:
    """Use other interfaces, VRFs and applications in each record."""
    options_sets = (
        raw_set(3, raw_options(256, 1, (10, 4), (82, 65535))),
        raw_set(3, raw_options(258, 1, (234, 4), (236, 65535))),
        raw_set(3, raw_options(259, 1, (95, 4), (96, 65535))),
    )
    names = [each.to_bytes(4, "big") + b"\1a" for each in range(256)]
    stated = [raw_set(each, b"".join(names)) for each in (256, 258, 259)]
    asking = raw_set(2, raw_template(257, (10, 1), (14, 1), (234, 1), (235, 1), (236, 1), (95, 1)))
    rows = numbered(BODY // 6, lambda each: (each * 2654435761 % (1 << 48)).to_bytes(6, "big"))
    return raw_message(*options_sets, *stated), raw_message(asking), raw_message(raw_set(257, rows))


@worst_case(resolve=True)
def sets_of_interfaces_that_are_sampled() -> tuple[bytes, ...]:
    """Repeat Sets of as many records as are resolved together."""
    sets = BODY // (4 * _MANY + 4)
    rows = [
        b"".join([struct.pack("!HH", each, each + sets * _MANY) for each in some])
        for some in (range(at, at + _MANY) for at in range(0, sets * _MANY, _MANY))
    ]
    asking = raw_message(*[raw_set(257, each) for each in rows])
    return *_named_and_sampled(), raw_message(raw_set(2, _pairs())), asking, asking


def _named_and_sampled() -> tuple[bytes, ...]:
    """Return messages with the name and the rate of each of 32,000 interfaces."""
    named, sampled = (
        raw_options(256, 1, (10, 4), (82, 65535)),
        raw_options(258, 1, (10, 4), (305, 4)),
    )
    numbers = [each.to_bytes(4, "big") for each in range(BODY // 2)]
    stated = [raw_message(raw_set(3, named + sampled))]
    for at in range(0, len(numbers), STATED_FACTS.most):
        some = numbers[at : at + STATED_FACTS.most]
        stated.append(raw_message(raw_set(256, b"".join([each + b"\1a" for each in some]))))
        stated.append(raw_message(raw_set(258, b"".join([2 * each for each in some]))))
    return tuple(stated)


@worst_case(resolve=True)
def records_that_sequences_are_looked_up_for() -> tuple[bytes, ...]:
    """Use sequences of 64 selectors each."""
    sequences = raw_options(256, 1, (301, 1), *[(302, 1)] * 64)
    selectors = raw_options(257, 1, (302, 1), (305, 1), (306, 1))
    known = raw_message(
        raw_set(3, sequences + selectors), raw_set(2, raw_template(258, (301, 1), (1, 1)))
    )
    rates = numbered(256, lambda each: bytes((each, 1, 1 + each % 7)))
    rows = numbered(256, lambda each: bytes((each, *((each + more) % 256 for more in range(64)))))
    asked = numbered(BODY // 2, lambda each: each.to_bytes(2, "big"))
    return (
        known,
        raw_message(raw_set(257, rates), raw_set(256, rows)),
        raw_message(raw_set(258, asked)),
    )


@worst_case("templates-many", "facts-many", "sets-many", "value", check_values=True, resolve=True)
def as_much_of_everything_as_is_taken() -> tuple[bytes, ...]:
    """Combine layouts that are used once, facts and wrong values in single Sets, and lists."""
    vrfs = raw_set(3, raw_options(60_000, 1, (234, 1), (236, 65535)))
    known = raw_message(
        vrfs, raw_set(2, raw_template(60_001, (291, 65535)) + raw_template(60_002, (276, 1)))
    )
    some = TEMPLATES.most + 1
    layouts = numbered(some, lambda each: raw_template(256 + each, (1 + each, 65535)))
    used = numbered(some, lambda each: raw_set(256 + each, b"\0"))
    # The limit of Sets of options, with more facts in the last one than are kept.
    facts = numbered(
        LEARNED_SETS.most - 1, lambda each: raw_set(60_000, bytes((each % 256, 1)) + b"a")
    )
    rows = numbered(STATED_FACTS.most, lambda each: bytes((each % 256, 2, each // 256 + 65, 98)))
    facts += raw_set(60_000, rows) + raw_set(60_000, b"\1\1a")
    wrong = raw_set(60_002, b"\7") * 100
    sets = raw_set(2, layouts) + wrong + used + facts
    lists = numbered(
        (ROOM - len(sets) - 4) // 7, lambda each: b"\6" + struct.pack("!BHHB", 3, 1 + each, 1, 7)
    )
    return known, raw_message(raw_set(60_001, lists), sets)

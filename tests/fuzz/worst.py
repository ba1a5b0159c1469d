# SPDX-License-Identifier: GPL-2.0-or-later
"""The messages that ask most of whoever reads them: 64 KiB, or what a template makes of them.

``python -m tests.fuzz.worst`` prints how long each of them takes here.
"""

from __future__ import annotations

import gc
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from scapy_ipfix.collector import Collector
from scapy_ipfix.transportkey import TransportKey

from .attacks import message, options, set_of, template
from .harness import quiet

#: Octets that a message has for its Sets, and a Set for its records.
ROOM = 65535 - 16
BODY = ROOM - 4
#: The same in NetFlow v9, whose header has four octets more.
V9_BODY = BODY - 4


@dataclass(frozen=True, slots=True)
class Worst:
    """Messages, the last of which is the worst; ``codes`` are of diagnostics that they get."""

    name: str
    make: Callable[[], tuple[bytes, ...]]
    codes: frozenset[str] = field(default_factory=frozenset)
    check_values: bool = False
    protocol: str = "udp"

    def reader(self) -> Callable[[], Collector]:
        """What reads the worst message, and its records; the others are read by now."""
        *others, last = self.make()
        key = TransportKey(self.protocol, "192.0.2.1", 1, "192.0.2.2", 2)
        collector = Collector(check_values=self.check_values)
        for octets in others:
            collector.read(key, octets)

        def read() -> Collector:
            found = collector.read(key, last)
            assert found is not None
            for each in found.ready:
                each.records()
            return collector

        return read


def seconds(run: Callable[[], object]) -> float:
    """Of CPU, for one call."""
    started = time.process_time()
    run()
    return time.process_time() - started


WORST: list[Worst] = []


def _worst(
    *codes: str, check_values: bool = False, protocol: str = "udp"
) -> Callable[[Callable[[], tuple[bytes, ...]]], Callable[[], tuple[bytes, ...]]]:
    def take(make: Callable[[], tuple[bytes, ...]]) -> Callable[[], tuple[bytes, ...]]:
        WORST.append(Worst(make.__name__, make, frozenset(codes), check_values, protocol))
        return make

    return take


def v9_message(*sets: bytes) -> bytes:
    """A NetFlow v9 message of FlowSets, as octets."""
    return struct.pack("!HHIIII", 9, 0, 0, 1, 0, 1) + b"".join(sets)


def prefixed(octets: bytes) -> bytes:
    return b"\xff" + len(octets).to_bytes(2, "big") + octets


def numbered(count: int, octets: Callable[[int], bytes]) -> bytes:
    return b"".join(map(octets, range(count)))


# -- Sets


@_worst("missing-template", "set-empty")
def sixteen_thousand_empty_sets() -> tuple[bytes, ...]:
    half = ROOM // 8
    known = message(set_of(2, template(256, (4, 1))))
    return known, message(b"\1\0\0\4" * half + b"\1\1\0\4" * half)


@_worst()
def sixteen_thousand_empty_template_sets() -> tuple[bytes, ...]:
    return (message(b"\0\2\0\4" * (ROOM // 4)),)


@_worst("set-reserved")
def sixteen_thousand_reserved_sets() -> tuple[bytes, ...]:
    return (message(b"\0\x63\0\4" * (ROOM // 4)),)


@_worst()
def sixteen_thousand_sets_that_waited() -> tuple[bytes, ...]:
    return message(b"\1\0\0\5\7" * (ROOM // 5)), message(set_of(2, template(256, (4, 1))))


@_worst("padding-nonzero")
def sets_of_padding() -> tuple[bytes, ...]:
    known = message(set_of(2, template(256, (4, 1), (1, 8))))
    return known, message(set_of(256, b"\7") * (ROOM // 5))


# -- templates


@_worst()
def a_template_of_sixteen_thousand_fields() -> tuple[bytes, ...]:
    fields = [(1 + each % 400, 4) for each in range(BODY // 4 - 1)]
    return (message(set_of(2, template(256, *fields))),)


@_worst()
def a_template_of_one_element_throughout() -> tuple[bytes, ...]:
    return (message(set_of(2, template(256, *[(1, 4)] * (BODY // 4 - 1)))),)


@_worst()
def a_record_of_sixteen_thousand_fields() -> tuple[bytes, ...]:
    fields = [(1 + each % 400, 4) for each in range(BODY // 4 - 1)]
    return message(set_of(2, template(256, *fields))), message(set_of(256, bytes(BODY)))


@_worst()
def records_of_sixteen_thousand_strings() -> tuple[bytes, ...]:
    fields = [(82, 65535)] * (BODY // 4 - 1)
    return message(set_of(2, template(256, *fields))), message(set_of(256, bytes(BODY)))


@_worst()
def eight_thousand_templates() -> tuple[bytes, ...]:
    body = numbered(BODY // 8, lambda each: template(256 + each, (4, 1)))
    return (message(set_of(2, body)),)


@_worst("template-redefined")
def eight_thousand_redefinitions() -> tuple[bytes, ...]:
    body = numbered(BODY // 8, lambda each: template(256, (4 + each % 2, 1)))
    return (message(set_of(2, body)),)


@_worst("template-scope")
def six_thousand_options_templates() -> tuple[bytes, ...]:
    body = numbered(BODY // 10, lambda each: options(256 + each, each % 3, (10, 4)))
    return (message(set_of(3, body)),)


@_worst("withdrawal-udp")
def sixteen_thousand_withdrawals() -> tuple[bytes, ...]:
    body = numbered(BODY // 4, lambda each: struct.pack("!HH", 256 + each, 0))
    return (message(set_of(2, body)),)


@_worst("withdrawal-unknown", "template-withdrawn", protocol="tcp")
def sixteen_thousand_withdrawals_over_tcp() -> tuple[bytes, ...]:
    known = numbered(BODY // 8, lambda each: template(256 + each, (4, 1)))
    gone = numbered(BODY // 4, lambda each: struct.pack("!HH", 256 + each, 0))
    return message(set_of(2, known)), message(set_of(2, gone))


@_worst("template-withdrawn", protocol="tcp")
def withdrawals_of_everything() -> tuple[bytes, ...]:
    known = numbered(BODY // 8, lambda each: template(256 + each, (4, 1)))
    return message(set_of(2, known)), message(set_of(2, b"\0\2\0\0" * (BODY // 4)))


@_worst("withdrawal-udp")
def sixteen_thousand_withdrawals_of_no_template() -> tuple[bytes, ...]:
    """All zeros, which would be padding, were it not for the last octet."""
    return (message(set_of(2, bytes(BODY - 3) + b"\1\0\0")),)


@_worst("template-empty", "template-id")
def sixteen_thousand_templates_without_fields() -> tuple[bytes, ...]:
    body = numbered(V9_BODY // 4, lambda each: struct.pack("!HH", each, 0))
    return (v9_message(set_of(0, body)),)


@_worst("template-empty", "template-id")
def ten_thousand_options_templates_without_fields() -> tuple[bytes, ...]:
    body = numbered(V9_BODY // 6, lambda each: struct.pack("!HHH", each, 0, 0))
    return (v9_message(set_of(1, body)),)


@_worst("field-length")
def a_template_of_sixteen_thousand_forbidden_lengths() -> tuple[bytes, ...]:
    fields = [(1 + each % 14, 33) for each in range(BODY // 4 - 1)]
    return (message(set_of(2, template(256, *fields))),)


@_worst()
def a_template_of_eight_thousand_unknown_elements() -> tuple[bytes, ...]:
    fields = [(1 + each, 1) for each in range((BODY - 4) // 8)]
    return (message(set_of(2, template(256, *fields, pen=64999))),)


@_worst("template-truncated")
def a_template_that_says_sixty_five_thousand_fields() -> tuple[bytes, ...]:
    return (message(set_of(2, b"\1\0\xff\xff" + b"\0\4\0\1" * (BODY // 4 - 1))),)


# -- records


@_worst()
def sixty_five_thousand_records() -> tuple[bytes, ...]:
    return message(set_of(2, template(256, (4, 1)))), message(set_of(256, b"\6" * BODY))


@_worst()
def sixty_five_thousand_strings_of_nothing() -> tuple[bytes, ...]:
    return message(set_of(2, template(256, (82, 65535)))), message(set_of(256, bytes(BODY)))


@_worst("value", check_values=True)
def sixty_five_thousand_wrong_booleans() -> tuple[bytes, ...]:
    return message(set_of(2, template(256, (276, 1)))), message(set_of(256, b"\7" * BODY))


@_worst("value", check_values=True)
def strings_that_are_not_utf_8() -> tuple[bytes, ...]:
    known = message(set_of(2, template(256, (82, 65535), (83, 2))))
    return known, message(set_of(256, b"\2\xc3\x28\xff\xfe" * (BODY // 5)))


@_worst("template-zero-length")
def sixteen_thousand_fields_of_no_octets_beside_one() -> tuple[bytes, ...]:
    fields = [(1 + each % 400, 0) for each in range(BODY // 4 - 2)]
    known = message(set_of(2, template(256, *fields, (4, 1))))
    return known, message(set_of(256, b"\6" * BODY))


@_worst("template-zero-length")
def records_of_no_octets() -> tuple[bytes, ...]:
    body = set_of(2, template(256, (4, 0))) + set_of(256, bytes(ROOM - 16))
    return (message(body),)


@_worst("set-empty")
def fourteen_thousand_sets_of_a_string_of_nothing_or_less() -> tuple[bytes, ...]:
    known = message(set_of(2, template(256, (82, 65535))))
    return known, message(set_of(256, b"\0") * (ROOM // 10) + set_of(256, b"") * (ROOM // 8))


@_worst()
def six_thousand_interfaces() -> tuple[bytes, ...]:
    known = message(set_of(3, options(256, 1, (10, 4), (82, 65535))))
    rows = numbered(BODY // 10, lambda each: each.to_bytes(4, "big") + b"\5eth%02d" % (each % 100))
    return known, message(set_of(256, rows))


@_worst()
def one_interface_in_six_thousand_sets() -> tuple[bytes, ...]:
    known = message(set_of(3, options(256, 1, (10, 4), (82, 65535))))
    return known, message(
        *(set_of(256, each.to_bytes(4, "big") + b"\1a") for each in range(ROOM // 10))
    )


@_worst()
def three_thousand_elements() -> tuple[bytes, ...]:
    """They are those of eight thousand templates, which get to know their names."""
    known = numbered(BODY // 12, lambda each: template(300 + each, (1 + each, 1), pen=64999))
    types = set_of(3, options(256, 2, (346, 4), (303, 2), (339, 1), (341, 65535)))
    head = struct.pack("!I", 64999)
    rows = numbered(
        BODY // 14, lambda each: head + struct.pack("!HB", 1 + each, 1) + b"\6e%05d" % each
    )
    return message(set_of(2, known)), message(types), message(set_of(256, rows))


_TYPES = set_of(3, options(257, 2, (346, 4), (303, 2), (339, 1)))


def _type(id: int) -> bytes:
    return set_of(257, struct.pack("!IHB", 64999, id, 1))


@_worst()
def elements_one_by_one_in_four_thousand_domains() -> tuple[bytes, ...]:
    unknown = set_of(2, template(256, *((1 + each, 1) for each in range(16)), pen=64999))
    domains = [message(_TYPES, unknown, domain=each) for each in range(1, 4096)]
    return *domains, message(_TYPES), message(numbered(ROOM // 11, lambda each: _type(1 + each)))


@_worst()
def elements_one_by_one_of_a_template_of_eight_thousand_fields() -> tuple[bytes, ...]:
    """It gets another name with each of them, and Sets between that hold no record."""
    fields = [(1 + each, 1) for each in range((BODY - 4) // 8)]
    known = message(set_of(2, template(256, *fields, pen=64999))), message(_TYPES)
    empty = set_of(256, b"")
    return *known, message(numbered(ROOM // 15, lambda each: _type(1 + each) + empty))


@_worst(check_values=True)
def lists_of_a_template_that_gets_name_after_name() -> tuple[bytes, ...]:
    fields = [(1 + each, 1) for each in range(2000)]
    known = message(set_of(2, template(256, *fields, pen=64999))), message(_TYPES)
    lists = message(set_of(2, template(258, (292, 65535))))
    empty = set_of(258, b"\3\3\1\0")
    return *known, lists, message(numbered(ROOM // 19, lambda each: _type(1 + each) + empty))


# -- lists


_LISTS = set_of(2, template(259, (291, 65535)) + template(256, (4, 1)))


def _basic(element: int, length: int, values: bytes) -> bytes:
    return struct.pack("!BHH", 3, element, length) + values


def nested(depth: int) -> bytes:
    """A basicList in a basicList, and so on; the innermost is of numbers."""
    octets = _basic(4, 1, b"\6\x11")
    for _ in range(depth):
        octets = _basic(291, 65535, prefixed(octets))
    return octets


def nested_records(depth: int) -> bytes:
    """A subTemplateList (template 260) of records that hold one, and so on."""
    octets = b"\3\1\4"
    for _ in range(depth):
        octets = b"\3\1\4" + prefixed(octets)
    return octets


@_worst("list-too-deep", check_values=True)
def basic_lists_nested_eight_thousand_deep() -> tuple[bytes, ...]:
    return message(_LISTS), message(set_of(259, prefixed(nested((BODY - 10) // 8))))


@_worst("list-too-deep", check_values=True)
def a_template_list_that_names_its_own_template() -> tuple[bytes, ...]:
    known = message(set_of(2, template(260, (292, 65535))))
    return known, message(set_of(260, prefixed(nested_records((BODY - 6) // 6))))


@_worst()
def a_basic_list_of_empty_strings() -> tuple[bytes, ...]:
    return message(_LISTS), message(set_of(259, prefixed(_basic(82, 65535, bytes(BODY - 8)))))


@_worst()
def a_basic_list_of_numbers() -> tuple[bytes, ...]:
    return message(_LISTS), message(set_of(259, prefixed(_basic(4, 1, bytes(BODY - 8)))))


@_worst()
def a_basic_list_of_empty_lists() -> tuple[bytes, ...]:
    return message(_LISTS), message(set_of(259, prefixed(_basic(291, 65535, bytes(BODY - 8)))))


@_worst("list-malformed", check_values=True)
def a_basic_list_of_values_of_no_octets() -> tuple[bytes, ...]:
    return message(_LISTS), message(set_of(259, prefixed(_basic(4, 0, bytes(BODY - 8)))))


@_worst()
def ten_thousand_basic_lists() -> tuple[bytes, ...]:
    rows = numbered(BODY // 7, lambda each: b"\6" + _basic(1 + each % 400, 1, b"\7"))
    return message(_LISTS), message(set_of(259, rows))


@_worst()
def a_multi_list_of_sixteen_thousand_blocks() -> tuple[bytes, ...]:
    known = message(_LISTS, set_of(2, template(261, (293, 65535))))
    return known, message(set_of(261, prefixed(b"\3" + b"\1\0\0\4" * ((BODY - 4) // 4))))


@_worst("template-redefined")
def lists_whose_templates_change() -> tuple[bytes, ...]:
    """Each change makes another past that a list is to be read with."""
    known = numbered(BODY // 8, lambda each: template(300 + each, (4, 1)))
    changes = numbered(
        (ROOM - 30) // 17,
        lambda each: set_of(2, template(256, (4 + each % 2, 1))) + set_of(259, b"\0"),
    )
    return message(set_of(2, known)), message(_LISTS), message(changes)


def main() -> None:
    """Milliseconds of CPU for each message, the best of five, the slowest first."""
    taken = {}
    with quiet():
        for worst in WORST:
            runs = []
            for _ in range(5):
                read = worst.reader()
                gc.collect()  # what is left of other cases is not this one's
                runs.append(seconds(read) * 1000)
            taken[worst] = min(runs)
    for worst, milliseconds in sorted(taken.items(), key=lambda each: -each[1]):
        checked = ", values checked" if worst.check_values else ""
        print(f"{milliseconds:6.0f} ms  {worst.name.replace('_', ' ')}{checked}")


if __name__ == "__main__":
    main()

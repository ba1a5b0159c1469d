# SPDX-License-Identifier: GPL-2.0-or-later
"""Mutants: stories with faults, the same for the same number.

The changes follow the structure of a message, and most mutants get correct lengths
afterwards; otherwise reading would end at the header.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .seeds import LONG, Story, stories
from .shape import HEADER, LONGEST, TEMPLATE_IDS, Shape

#: Values of two octets that are likely to be mistaken for others.
_NUMBERS = (
    *(0, 1, 2, 3, 4, 5, 7, 8, 16, 20, 255, 256, 257, 258, 260, 300, 999, 32767, 32768),
    *(65531, 65532, 65534, 65535),
)
_OCTETS = (0, 1, 2, 3, 4, 127, 128, 254, 255)
#: Elements with a decoder of their own: lists, strings, booleans, times, addresses, floats,
#: 256 bits, octets, padding, options.
_ELEMENTS = (
    *(291, 292, 293, 82, 83, 276, 152, 154, 156, 150, 27, 8, 56, 311, 320, 313, 210, 4, 6),
    *(10, 14, 94, 95, 96, 143, 145, 149, 302, 303, 305, 309, 339, 340, 341, 344, 346, 468),
)
_LENGTHS = (0, 1, 2, 3, 4, 6, 8, 16, 32, 255, 1000, 65534, 65535)


@dataclass(frozen=True, slots=True)
class Mutant:
    """Messages in order, their carrier, and the number that they are made from."""

    number: int
    carrier: str
    messages: tuple[bytes, ...]

    @property
    def hex(self) -> str:
        return "\n".join(each.hex() for each in self.messages)


def mutant(number: int, octets: int = LONG) -> Mutant:
    """Return the mutant of a number, made from a story of at most ``octets`` octets."""
    rng = random.Random(number)
    known = stories(octets)
    # Mostly the shortest of three: few octets are enough to show a fault.
    three = [rng.choice(known) for _ in range(3)]
    story = three[0] if rng.random() < 0.3 else min(three, key=lambda each: sum(map(len, each)))
    messages = mutated(story, rng, known)
    carrier = rng.choices(("udp", "udp6", "other-port", "tcp", "sctp"), (50, 8, 10, 16, 16))[0]
    return Mutant(number, carrier, tuple(messages))


def mutated(story: Story, rng: random.Random, known: Sequence[Story]) -> list[bytes]:
    """Return a story with one to five changes."""
    messages = list(story)
    for _ in range(rng.choice((1, 1, 2, 2, 3, 5))):
        if rng.random() < 0.15:
            rng.choice(_STORY_CHANGES)(messages, rng, known)
            continue
        at = rng.randrange(len(messages))
        shape = Shape.of(messages[at])
        if shape.sets and rng.random() < 0.75:
            rng.choice(_SHAPE_CHANGES)(shape, rng, known)
            if rng.random() < 0.75:
                shape.mend()
            octets = bytearray(bytes(shape))
        else:
            octets = bytearray(messages[at])
            rng.choice(_OCTET_CHANGES)(octets, rng, known)
            if rng.random() < 0.25 and octets[:2] == b"\0\x0a" and len(octets) >= HEADER[10]:
                octets[2:4] = (len(octets) & 0xFFFF).to_bytes(2, "big")
        messages[at] = bytes(octets[:LONGEST])
    return messages


# -- changes of the story


def _reorder(messages: list[bytes], rng: random.Random, known: Sequence[Story]) -> None:
    rng.shuffle(messages)


def _repeat(messages: list[bytes], rng: random.Random, known: Sequence[Story]) -> None:
    messages.insert(rng.randrange(len(messages) + 1), rng.choice(messages))


def _leave_out(messages: list[bytes], rng: random.Random, known: Sequence[Story]) -> None:
    if len(messages) > 1:
        del messages[rng.randrange(len(messages))]


def _stranger(messages: list[bytes], rng: random.Random, known: Sequence[Story]) -> None:
    """Insert a message of another story into this domain."""
    other = bytearray(rng.choice(rng.choice(known)))
    mine = messages[0]
    if len(other) >= 16 and len(mine) >= 16 and other[1] in HEADER and mine[1] in HEADER:
        theirs, ours = HEADER[other[1]], HEADER[mine[1]]
        other[theirs - 4 : theirs] = mine[ours - 4 : ours]
    messages.insert(rng.randrange(len(messages) + 1), bytes(other))


_Change = Callable[[list[bytes], random.Random, Sequence[Story]], None]
_STORY_CHANGES: tuple[_Change, ...] = (_reorder, _repeat, _leave_out, _stranger)


# -- changes of Sets


def _a_set(shape: Shape, rng: random.Random) -> bytearray:
    return rng.choice(shape.sets)


def _a_number(rng: random.Random) -> bytes:
    return (rng.choice(_NUMBERS) if rng.random() < 0.8 else rng.randrange(65536)).to_bytes(2, "big")


def _templates(shape: Shape) -> list[bytearray]:
    ids = TEMPLATE_IDS.get(shape.version, ())
    return [each for each in shape.sets if int.from_bytes(each[:2], "big") in ids]


def _data(shape: Shape) -> list[bytearray]:
    return [each for each in shape.sets if each[0] and len(each) > 4]


def _message_length(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    shape.header[2:4] = _a_number(rng)


def _header_number(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    """Change export time, sequence number or domain; in NetFlow v9 also uptime."""
    at = rng.randrange(4, len(shape.header), 4)
    shape.header[at : at + 4] = rng.choice(
        (bytes(4), b"\xff" * 4, b"\0\0\0\1", rng.randbytes(4), b"\x7f\xff\xff\xff")
    )


def _other_version(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    """Put the header of the other protocol before the Sets."""
    header = shape.header
    if shape.version == 10:
        shape.header = bytearray(b"\0\x09\0\x05" + bytes(4) + header[4:])
    else:
        shape.header = bytearray(b"\0\x0a\0\0" + header[8:])
    ids = TEMPLATE_IDS[shape.version]
    for each in shape.sets:
        set_id = int.from_bytes(each[:2], "big")
        if set_id < 4:
            each[:2] = ids[set_id & 1].to_bytes(2, "big")
    shape.mend()


def _set_id(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    others = [bytes(each[4:6]) for each in _templates(shape) if len(each) >= 6]
    _a_set(shape, rng)[:2] = rng.choice([*others, _a_number(rng)])


def _set_length(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    _a_set(shape, rng)[2:4] = _a_number(rng)


def _template_number(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    """Change template id, field count, scope field count, or a number after them."""
    found = _templates(shape)
    if found:
        each = rng.choice(found)
        if len(each) >= 10:
            at = rng.choice((4, 6, 6, 8, rng.randrange(4, len(each) - 1, 2)))
            each[at : at + 2] = _a_number(rng)


def _specifier(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    """Change an element or its length."""
    found = _templates(shape)
    if found:
        each = rng.choice(found)
        options = each[1] & 1 == 1
        first = 8 + (0 if not options else 6 if shape.version == 9 else 2)
        if len(each) >= first + 4:
            at = rng.randrange(first, len(each) - 3, 4)
            if rng.random() < 0.6:
                element = rng.choice(_ELEMENTS)
                if rng.random() < 0.1:
                    element |= 0x8000
                each[at : at + 2] = element.to_bytes(2, "big")
            if rng.random() < 0.6:
                each[at + 2 : at + 4] = rng.choice(_LENGTHS).to_bytes(2, "big")


def _one_more_field(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    found = [each for each in _templates(shape) if len(each) >= 12 and not each[1] & 1]
    if found:
        each = rng.choice(found)
        each[6:8] = (int.from_bytes(each[6:8], "big") + 1 & 0xFFFF).to_bytes(2, "big")
        length = rng.choice((65535, 65535, *_LENGTHS))
        each[8:8] = rng.choice(_ELEMENTS).to_bytes(2, "big") + length.to_bytes(2, "big")


def _swap_kinds(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    """Turn templates into data, or data into templates."""
    one, other = _a_set(shape, rng), _a_set(shape, rng)
    one[:2], other[:2] = other[:2], one[:2]


def _shuffle_sets(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    rng.shuffle(shape.sets)


def _repeat_set(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    for _ in range(rng.choice((1, 1, 3))):
        at = rng.randrange(len(shape.sets) + 1)
        shape.sets.insert(at, bytearray(_a_set(shape, rng)))


def _leave_out_set(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    del shape.sets[rng.randrange(len(shape.sets))]


def _strange_set(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    """Insert a Set of another story."""
    other = Shape.of(rng.choice(rng.choice(known)))
    if other.sets:
        shape.sets.insert(rng.randrange(len(shape.sets) + 1), bytearray(rng.choice(other.sets)))


def _empty_sets(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    header = rng.choice((bytes(_a_set(shape, rng)[:2]), _a_number(rng))) + b"\0\4"
    shape.sets += [bytearray(header) for _ in range(rng.choice((1, 10, 40)))]


def _withdrawal(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    found = _templates(shape)
    which = bytes(found[0][4:6]) if found and rng.random() < 0.7 else _a_number(rng)
    kind = TEMPLATE_IDS.get(shape.version, (2, 3))[rng.randrange(2)]
    shape.sets.append(bytearray(kind.to_bytes(2, "big") + b"\0\x08" + which.ljust(2) + b"\0\0"))


def _value_length(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    """Insert lengths of variable-length values into a Data Set."""
    found = _data(shape)
    if found:
        each = rng.choice(found)
        at = rng.randrange(4, len(each))
        prefix = rng.choice((b"\0", b"\1", b"\xfe", b"\xff", b"\xff\0\0", b"\xff\xff\xff"))
        if rng.random() < 0.5:
            each[at:at] = prefix
        else:
            each[at : at + len(prefix)] = prefix


def _list_header(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    """Insert the beginning of a list (RFC 6313) into a Data Set."""
    found = _data(shape)
    if not found:
        return
    each = rng.choice(found)
    ids = [bytes(one[:2]) for one in found] + [b"\1\0", b"\0\2"]
    element, length = rng.choice(_ELEMENTS), rng.choice(_LENGTHS)
    head = rng.choice(
        (
            bytes((rng.choice((0, 3, 255)),))
            + element.to_bytes(2, "big")
            + length.to_bytes(2, "big"),
            b"\3" + rng.choice(ids),
            b"\4" + rng.choice(ids) + _a_number(rng),
        )
    )
    inside = rng.choice((b"", rng.randbytes(rng.randrange(24)), bytes(each[4:40])))
    size = len(head + inside)
    prefix = bytes((size,)) if size < 255 else b"\xff" + size.to_bytes(2, "big")
    at = rng.randrange(4, len(each))
    each[at : at + rng.choice((0, size))] = prefix + head + inside


def _cut_set(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    each = _a_set(shape, rng)
    del each[rng.randrange(min(4, len(each)), len(each) + 1) :]


def _pad_set(shape: Shape, rng: random.Random, known: Sequence[Story]) -> None:
    filler = rng.choice((bytes(1), bytes(3), bytes(7), b"\1", b"\xff\xff\xff"))
    _a_set(shape, rng).extend(filler)


_ShapeChange = Callable[[Shape, random.Random, Sequence[Story]], None]
_SHAPE_CHANGES: tuple[_ShapeChange, ...] = (
    *(_message_length, _header_number, _other_version, _set_id, _set_length, _template_number),
    *(_template_number, _specifier, _specifier, _specifier, _one_more_field, _one_more_field),
    *(_swap_kinds, _shuffle_sets, _repeat_set, _leave_out_set, _strange_set, _empty_sets),
    *(_withdrawal, _value_length, _list_header, _list_header, _cut_set, _pad_set),
)


# -- changes of octets


def _flip(octets: bytearray, rng: random.Random, known: Sequence[Story]) -> None:
    for _ in range(rng.choice((1, 1, 2, 8))):
        if octets:
            at = rng.randrange(len(octets))
            octets[at] = rng.choice((*_OCTETS, octets[at] ^ 1 << rng.randrange(8)))


def _put_number(octets: bytearray, rng: random.Random, known: Sequence[Story]) -> None:
    at = rng.randrange(len(octets) // 2 + 1) * 2
    octets[at : at + 2] = _a_number(rng)


def _truncate(octets: bytearray, rng: random.Random, known: Sequence[Story]) -> None:
    del octets[rng.randrange(len(octets) + 1) :]


def _cut_out(octets: bytearray, rng: random.Random, known: Sequence[Story]) -> None:
    start, stop = _range(octets, rng)
    del octets[start:stop]


def _double(octets: bytearray, rng: random.Random, known: Sequence[Story]) -> None:
    start, stop = _range(octets, rng)
    octets[start:start] = octets[start:stop]


def _splice(octets: bytearray, rng: random.Random, known: Sequence[Story]) -> None:
    other = rng.choice(rng.choice(known))
    octets[rng.randrange(len(octets) + 1) :] = other[rng.randrange(len(other) + 1) :]


def _fill(octets: bytearray, rng: random.Random, known: Sequence[Story]) -> None:
    start, stop = _range(octets, rng)
    octets[start:stop] = rng.choice((b"\0", b"\xff", b"\1", b"a")) * (stop - start)


def _range(octets: bytearray, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(octets) + 1)
    return start, min(len(octets), start + rng.choice((1, 2, 4, 8, 40, 400)))


_OctetChange = Callable[[bytearray, random.Random, Sequence[Story]], None]
_OCTET_CHANGES: tuple[_OctetChange, ...] = (
    *(_flip, _flip, _put_number, _truncate, _cut_out, _double, _splice, _fill),
)

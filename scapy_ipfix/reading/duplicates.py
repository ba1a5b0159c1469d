# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that a loopback interface shows twice.

Linux shows a packet of ``lo`` once as sent and once as received, unless the capturing program
leaves out one of the two, as libpcap does.
"""

from __future__ import annotations

from collections import OrderedDict

#: Packets among which a copy is looked for, and the seconds within which it follows.
_WINDOW = 256
_SECONDS = 1.0
#: Packets without a copy, after which a capture is taken for one that shows packets once.
_TRIAL = 6
#: Ethernet addresses of the loopback interface.
_ADDRESSES = bytes(12)
#: Type of the loopback interface in a header of Linux cooked capture: ARPHRD_LOOPBACK.
_LOOPBACK = (772).to_bytes(2, "big")
#: Offset and value of the octets that tell the loopback interface, and offset of IP, by link type.
_LINKS = {1: (0, _ADDRESSES, 14), 113: (2, _LOOPBACK, 16), 276: (8, _LOOPBACK, 20)}


def is_loopback(link_type: int, octets: bytes) -> bool:
    """Return True if a frame was captured on the loopback interface of Linux."""
    link = _LINKS.get(link_type)
    return link is not None and octets.startswith(link[1], link[0])


class DuplicateFilter:
    """Filter of the second copies of packets; ``count`` is their number.

    Two equal packets are one packet and its copy, four are two packets.
    """

    def __init__(self) -> None:
        self.count = 0
        #: Times of packets without a copy so far, by hash: a packet may have 65,535 octets.
        self._single: OrderedDict[int, float] = OrderedDict()
        self._tried = 0

    @property
    def shows_once(self) -> bool:
        """True once many packets were seen, and no copy."""
        return not self.count and self._tried >= _TRIAL

    def is_copy(self, link_type: int, octets: bytes, time: float) -> bool:
        """Return True for the second copy of a packet, captured at a time in seconds."""
        self._tried += 1
        key = hash(octets[_LINKS[link_type][2] if link_type in _LINKS else 0 :])
        first = self._single.pop(key, None)
        if first is not None and abs(time - first) <= _SECONDS:
            self.count += 1
            return True
        self._single[key] = time
        if len(self._single) > _WINDOW:
            self._single.popitem(last=False)
        return False

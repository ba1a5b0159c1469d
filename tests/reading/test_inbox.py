# SPDX-License-Identifier: GPL-2.0-or-later
"""Queue between receiving threads and the decoding one."""

import threading

from scapy_ipfix.collector.transportkey import TransportKey
from scapy_ipfix.reading.inbox import Arrival, ConnectionEvent, Inbox

KEY = TransportKey("udp", "192.0.2.1", 1, "192.0.2.2", 4739)


def test_batches_come_in_order() -> None:
    inbox = Inbox()
    first, second = [Arrival(KEY, b"a", 1.0)], [ConnectionEvent(KEY, is_end=True)]
    assert inbox.is_empty
    inbox.put(first)
    inbox.put(second)
    assert not inbox.is_empty
    assert [inbox.get(), inbox.get(), inbox.get(), inbox.get(0.01)] == [first, second, (), ()]


def test_there_is_room_below_the_limit() -> None:
    inbox = Inbox(1000)
    inbox.put([Arrival(KEY, bytes(700), 1.0)])
    assert inbox.wait_for_room(0.01)
    inbox.put([Arrival(KEY, bytes(700), 1.0)])
    assert inbox.waiting >= 1400
    assert not inbox.wait_for_room(0.01)
    inbox.get()
    assert inbox.wait_for_room(0.01)
    inbox.get()
    assert inbox.waiting == 0


def test_room_wakes_a_receiver() -> None:
    inbox = Inbox(10)
    inbox.put([Arrival(KEY, b"x", 1.0)])
    had_room: list[bool] = []
    thread = threading.Thread(target=lambda: had_room.append(inbox.wait_for_room(30)))
    thread.start()
    inbox.get()
    thread.join(30)
    assert had_room == [True]


def test_the_octets_of_many_threads_are_counted() -> None:
    inbox = Inbox()

    def fill() -> None:
        for _ in range(2000):
            inbox.put([Arrival(KEY, b"abc", 1.0)])

    threads = [threading.Thread(target=fill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(1 for _ in iter(inbox.get, ())) == 8000
    assert inbox.waiting == 0


def test_a_batch_is_announced() -> None:
    inbox = Inbox()
    announced: list[bool] = []
    inbox.notify = lambda: announced.append(inbox.is_empty)
    inbox.put([Arrival(KEY, b"a", 1.0)])
    assert announced == [False]

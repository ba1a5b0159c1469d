# SPDX-License-Identifier: GPL-2.0-or-later
"""Records, messages and packets as exporters send them, received on sockets, without root.

Threads receive (:mod:`~scapy_ipfix.reading.udpreceiver`,
:mod:`~scapy_ipfix.reading.streamreceiver`), and the thread that iterates decodes. No Packet is
built unless packets or messages are iterated.
"""

from __future__ import annotations

import contextlib
import importlib
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Literal

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.sctp import SCTP, SCTPChunkData
from scapy.packet import Packet

from scapy_ipfix.collector.collected import CollectedMessage
from scapy_ipfix.layers.bindings import IPFIX_PORT
from scapy_ipfix.layers.messages import Message, make_message
from scapy_ipfix.reading.filters import Filter
from scapy_ipfix.reading.inbox import WAKE, Arrival, ConnectionEvent, Inbox, Item
from scapy_ipfix.reading.listeningsockets import PROTOCOLS, RECEIVE_BUFFER, bind_socket
from scapy_ipfix.reading.listenstats import ListenStats, Receiver, listen_stats
from scapy_ipfix.reading.packetreader import VERSIONS, bind_context
from scapy_ipfix.reading.reader import Kind, Values, record_reader
from scapy_ipfix.reading.session import IPFIXSession
from scapy_ipfix.reading.streamreceiver import MAX_CONNECTIONS, StreamReceiver
from scapy_ipfix.reading.udpreceiver import UDPReceiver

#: Seconds between two checks of the system's counts of dropped datagrams.
_DROP_CHECK = 1.0

#: Function of a message and its arrival that returns what is iterated.
_Reader = Callable[[Arrival, CollectedMessage], Iterable[Any]]


class Listener:
    """Collector on sockets: an iterator over records, see :func:`listen`."""

    def __init__(
        self,
        port: int | Sequence[int] = IPFIX_PORT,
        host: str = "::",
        proto: str = "udp",
        *,
        tls: ssl.SSLContext | None = None,
        fields: Sequence[str] | None = None,
        kind: str = "all",
        values: str = "scapy",
        resolve: bool = False,
        context: bool = False,
        lists: bool = True,
        where: str | Filter | None = None,
        session: IPFIXSession | None = None,
        timeout: float | None = None,
        count: int | None = None,
        receive_buffer: int = RECEIVE_BUFFER,
        max_connections: int = MAX_CONNECTIONS,
        reuse_port: bool = False,
    ) -> None:
        ports = _check_arguments(port, proto, tls, count)
        #: Templates, tables and diagnostics of the exporters.
        self.session = session or IPFIXSession()
        self._read = record_reader(
            self.session, fields, kind, values, resolve, context, lists, where
        )
        self._count = count
        self._end = None if timeout is None else time.monotonic() + timeout
        self._inbox = Inbox()
        #: The rest of the present batch, also for the next iterator where one ends early.
        self._pending: Iterator[Item] = iter(())
        self._is_closed = False
        self._ignored = 0
        self._drops_known: dict[int, int] = {}
        self._next_drop_check = 0.0
        self._receivers: list[Receiver] = []
        try:
            for each in ports:
                opened = bind_socket(host, each, proto, reuse_port=reuse_port)
                self._receivers.append(
                    UDPReceiver(opened, self._inbox, receive_buffer)
                    if proto == "udp"
                    else StreamReceiver(opened, self._inbox, proto, tls, max_connections)
                )
        except BaseException:
            self.close()
            raise
        self._records = self._iterate(self._read_records)

    # -- iteration

    def __iter__(self) -> Iterator[Any]:
        return self._records

    def __next__(self) -> Any:
        return next(self._records)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterate_async(self._read_records)

    def messages(self) -> Iterator[Message]:
        """Yield the messages as IPFIX and NetFlowV9 layers, with Data Sets resolved."""
        return self._iterate(_read_message)

    def packets(self) -> Iterator[Packet]:
        """Yield the messages as packets, IP/UDP/IPFIX, with addresses, ports and times.

        Addresses and ports are those of the datagram or connection, other fields of these
        headers are Scapy's defaults.
        """
        return self._iterate(_read_packet)

    def poll(self) -> Iterator[tuple[Arrival, CollectedMessage]] | None:
        """Return the messages that have arrived, as the session collects them.

        Waits up to 0.1 s for the first one; returns None after the end.
        """
        if self._is_drained():
            return None
        self._pending = iter(self._inbox.get(self._wait_seconds()))
        return self._collect()

    def _read_records(self, arrival: Arrival, message: CollectedMessage) -> Iterable[Any]:
        if len(message.ready) == 1:
            return self._read(message.ready[0])
        return [record for read in message.ready for record in self._read(read)]

    def _iterate(self, read: _Reader) -> Iterator[Any]:
        items = self._unlimited(read)
        if self._count is None:
            return items
        return self._limited(items)

    def _limited(self, items: Iterator[Any]) -> Iterator[Any]:
        yield from islice(items, self._count)
        self.close()

    def _unlimited(self, read: _Reader) -> Iterator[Any]:
        has_next = True
        while has_next:
            yield from self._read_batch(read)
            has_next = self._next_batch()

    def _read_batch(self, read: _Reader) -> Iterator[Any]:
        for arrival, message in self._collect():
            yield from read(arrival, message)

    async def _iterate_async(self, read: _Reader) -> AsyncIterator[Any]:
        # Importing asyncio takes a while, and only this function needs it.
        asyncio: Any = importlib.import_module("asyncio")
        loop, has_arrived = asyncio.get_running_loop(), asyncio.Event()

        def notify() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(has_arrived.set)

        self._inbox.notify = notify
        rest = self._count
        try:
            while rest != 0:
                for item in islice(self._read_batch(read), rest):
                    rest = rest and rest - 1
                    yield item
                if rest != 0 and not await self._next_batch_async(asyncio, has_arrived):
                    break
        finally:
            self._inbox.notify = None
        self.close()

    async def _next_batch_async(self, asyncio: Any, has_arrived: Any) -> bool:
        """Wait for messages; return False after the end."""
        while not self._is_drained():
            has_arrived.clear()
            batch = self._inbox.get()
            if batch:
                self._pending = iter(batch)
                await asyncio.sleep(0)  # other tasks have their turn
                return True
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(has_arrived.wait(), self._wait_seconds())
        return False

    # -- messages

    def _next_batch(self) -> bool:
        """Wait for messages; return False after the end. Ctrl-C while waiting is the end."""
        while True:
            try:
                while not self._is_drained():
                    batch = self._inbox.get(self._wait_seconds())
                    if batch:
                        self._pending = iter(batch)
                        return True
                return False
            except KeyboardInterrupt:
                if self._is_closed:
                    raise
                self.close()

    def _wait_seconds(self) -> float:
        if self._end is None:
            return WAKE
        return min(max(self._end - time.monotonic(), 0.0), WAKE)

    def _is_drained(self) -> bool:
        """Return True if the listener is closed and all messages are read; check the time."""
        now = time.monotonic()
        if self._end is not None and now >= self._end:
            self.close()
        if now >= self._next_drop_check:
            self._next_drop_check = now + _DROP_CHECK
            self._note_drops()
        return self._is_closed and self._inbox.is_empty

    def _collect(self) -> Iterator[tuple[Arrival, CollectedMessage]]:
        """Yield the messages of the present batch as the session collects them."""
        session = self.session
        reader, read = session._reader, session.collector.read
        for item in self._pending:
            if isinstance(item, ConnectionEvent):
                self._handle_event(item)
                continue
            transport, octets, received, stream = item
            if octets[:2] not in VERSIONS:
                self._ignored += 1
                continue
            with session._lock:
                reader.count += 1
                message = read(transport, octets, received, reader.count, stream)
            if message is not None:
                yield item, message

    def _handle_event(self, event: ConnectionEvent) -> None:
        session, exporter = self.session, str(event.transport)
        with session._lock:
            if event.skipped:
                session._reader.note("stream-resync", exporter, octets=event.skipped)
            if event.problem:
                session._reader.note("connection-broken", exporter, why=event.problem)
            if event.is_end:
                session.collector.end(event.transport)

    def _note_drops(self) -> None:
        """Record datagrams that the system dropped since the last call."""
        for index, receiver in enumerate(self._receivers):
            dropped = receiver.dropped
            new = dropped - self._drops_known.get(index, 0)
            if new > 0:
                self._drops_known[index] = dropped
                with self.session._lock:
                    self.session._reader.note(
                        "datagrams-dropped",
                        datagrams=new,
                        port=receiver.port,
                        buffer=receiver.buffer_granted,
                    )

    # -- state

    @property
    def ports(self) -> list[int]:
        """The ports, as the system chose them where 0 was given."""
        return [receiver.port for receiver in self._receivers]

    @property
    def places(self) -> list[str]:
        """The sockets in words, such as "udp port 4739"."""
        return [f"{each.protocol} port {each.port}" for each in self._receivers]

    @property
    def is_open(self) -> bool:
        """False once the listener is closed; records received before may still follow."""
        return not self._is_closed

    @property
    def stats(self) -> ListenStats:
        """The counters, at any time and in any thread."""
        return listen_stats(self._receivers, self.session.stats, self._ignored, self._inbox.waiting)

    def stop(self) -> None:
        """Let the iteration close the listener soon; for signal handlers."""
        self._end = 0.0

    def close(self) -> None:
        """Close the sockets; iteration ends after what has arrived. May be called anywhere."""
        if not self._is_closed:
            for receiver in self._receivers:
                receiver.stop()
            for receiver in self._receivers:
                receiver.close()
            self._is_closed = True
            self._note_drops()

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<Listener at {', '.join(self.places)}, {state}: {self.stats}>"


# One function: its docstring describes each argument.
def listen(
    port: int | Sequence[int] = IPFIX_PORT,
    host: str = "::",
    proto: Literal["udp", "tcp", "sctp"] = "udp",
    *,
    tls: ssl.SSLContext | None = None,
    fields: Sequence[str] | None = None,
    kind: Kind = "all",
    values: Values = "scapy",
    resolve: bool = False,
    context: bool = False,
    lists: bool = True,
    where: str | Filter | None = None,
    session: IPFIXSession | None = None,
    timeout: float | None = None,
    count: int | None = None,
    receive_buffer: int = RECEIVE_BUFFER,
    max_connections: int = MAX_CONNECTIONS,
    reuse_port: bool = False,
) -> Listener:
    """Receive export messages on sockets, and return an iterator over their records.

        for record in listen(4739): ...

    ``port``
        a port or several; 0 is one that the system chooses, see ``ports``.
    ``host``
        an address of this machine; "::" is all of them, IPv4 and IPv6.
    ``proto``
        "udp", "tcp" or "sctp" (RFC 7011 10). Each peer is a Transport Session of its own.
    ``tls``
        context of a TLS server over TCP (RFC 7011 11.1), ``SSLContext(PROTOCOL_TLS_SERVER)``;
        ``verify_mode=CERT_REQUIRED`` requires certificates of exporters. DTLS over UDP is not
        supported, as Python has none.
    ``fields``, ``kind``, ``values``, ``resolve``, ``context``, ``lists``, ``session``
        as in :func:`iter_records`.
    ``where``
        a filter expression, such as "dst port 443 and octets > 1e6".
    ``timeout``, ``count``
        close after so many seconds, or so many records (messages, packets).
    ``receive_buffer``
        octets of the system's receive buffer to request for each UDP socket; ``stats`` has
        those granted. Linux grants up to net.core.rmem_max, and any size to root.
    ``max_connections``
        connections at a time; further ones are refused.
    ``reuse_port``
        lets several processes share the port, among which the system divides the exporters.

    The result is also an asynchronous iterator (``async for``) and a context manager;
    ``messages()`` and ``packets()`` iterate over Scapy's packets instead. ``session`` has the
    templates and diagnostics, ``stats`` the counters and losses, in any thread. ``close()``
    and Ctrl-C while it waits close the sockets; iteration ends after what has arrived.

    Raises OSError for an address that cannot be bound, ValueError and TypeError for wrong
    arguments, FilterError for a wrong filter.
    """
    return Listener(
        port,
        host,
        proto,
        tls=tls,
        fields=fields,
        kind=kind,
        values=values,
        resolve=resolve,
        context=context,
        lists=lists,
        where=where,
        session=session,
        timeout=timeout,
        count=count,
        receive_buffer=receive_buffer,
        max_connections=max_connections,
        reuse_port=reuse_port,
    )


def _check_arguments(
    port: int | Sequence[int], proto: str, tls: ssl.SSLContext | None, count: int | None
) -> list[int]:
    """Return the ports. Raises ValueError and TypeError for wrong arguments."""
    _check_protocol(proto, tls)
    if count is not None and count < 0:
        raise ValueError(f"count {count} is negative; leave it out for no limit")
    ports = [port] if isinstance(port, int) else list(port)
    for each in ports:
        if not isinstance(each, int) or not 0 <= each <= 65535:
            raise ValueError(f"port {each!r} is not in 0..65535")
    if not ports:
        raise ValueError("port is a number or several, not an empty list")
    return ports


def _check_protocol(proto: str, tls: ssl.SSLContext | None) -> None:
    if proto not in PROTOCOLS:
        raise ValueError(f"proto is {', '.join(map(repr, PROTOCOLS))}, not {proto!r}")
    if tls is None:
        return
    if not isinstance(tls, ssl.SSLContext):
        raise TypeError(f"tls is an ssl.SSLContext, not {type(tls).__name__}")
    if proto != "tcp":
        raise ValueError(f"tls goes with proto='tcp'; DTLS over {proto} is not supported")
    if tls.protocol == ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError("tls is a client's context; make an SSLContext(PROTOCOL_TLS_SERVER)")


def _read_message(arrival: Arrival, message: CollectedMessage) -> Iterable[Message]:
    layer = make_message(arrival.octets)
    if layer is None:
        return ()
    layer.time = arrival.time
    bind_context(layer, message)
    return (layer,)


def _read_packet(arrival: Arrival, message: CollectedMessage) -> Iterable[Packet]:
    """Return a message under headers with the addresses and ports of its arrival."""
    transport = arrival.transport
    ports = {"sport": transport.source_port, "dport": transport.destination_port}
    network = (IPv6 if ":" in transport.source else IP)(
        src=transport.source, dst=transport.destination
    )
    for layer in _read_message(arrival, message):
        if transport.protocol == "sctp":
            chunk = SCTPChunkData(stream_id=arrival.stream, data=layer, beginning=1, ending=1)
            packet = network / SCTP(**ports) / chunk
        else:
            packet = network / (TCP if transport.protocol == "tcp" else UDP)(**ports) / layer
        packet.time = arrival.time
        yield packet

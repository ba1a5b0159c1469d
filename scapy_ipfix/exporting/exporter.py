# SPDX-License-Identifier: GPL-2.0-or-later
"""`Exporter`: rows to messages, and to a collector (RFC 7011's Exporting Process).

Rows are encoded here, :mod:`scapy_ipfix.exporting.packing` fills messages with them and
numbers these, :mod:`scapy_ipfix.exporting.sending` takes them to where they go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

from scapy.packet import Packet
from scapy.plist import PacketList

from scapy_ipfix.exporting.packing import Draft, Packed, Packer, Time, seconds
from scapy_ipfix.exporting.sending import (
    Address,
    ForgedSender,
    MessageSender,
    Pace,
    Sender,
    Sent,
    deliver,
)
from scapy_ipfix.layers.messages import Message
from scapy_ipfix.layers.records import Record
from scapy_ipfix.wire.framing import IPFIX_VERSION, V9_VERSION
from scapy_ipfix.wire.template import Template

#: A row: values by name, values in the template's order, or a Record.
Row = Mapping[str, Any] | Sequence[Any] | Record

#: Octets of an IPv6 and a UDP header: what of the MTU is not the message's.
OVERHEAD = 48
#: What templateRefreshTimeout is unless configured (RFC 6728 4.4.2).
REFRESH_SECONDS = 600.0
REFRESH_MESSAGES = 1000


class Exporter:
    """Makes messages of rows: full, in sequence, with their templates.

    ``domain`` is the observation domain (NetFlow v9: the source id), ``version`` 10 for
    IPFIX or 9. ``mtu`` is the longest IP datagram, in octets: a message leaves ``overhead``
    of it to the IP and UDP headers (48 is IPv6's, 28 IPv4's; 0 makes ``mtu`` the limit of
    the message itself). ``mtu=None`` is for files and streams, where a message may have
    65,535 octets.

    Templates come before their data, and all of them again once ``template_refresh`` seconds
    (of export time) or ``template_refresh_messages`` messages have passed, as UDP needs (RFC
    7011 8.4); None switches either off. Data Sets, and all FlowSets of v9, are padded with
    zeros to multiples of ``padding`` octets, 1, 2, 4 or 8, unless that could be taken for a
    record (3.3.1).

    Sequence numbers start at ``sequence``; they count Data Records in IPFIX (3.1), messages
    in v9 (RFC 3954 5.1). ``clock`` gives the export time (seconds since 1970) where none is
    given. v9's sysUptime counts from ``boot_time``, from the first message when None.

    An exporter is one transport session: all its messages are for one collector. Raises
    ValueError for arguments that cannot be.
    """

    def __init__(
        self,
        domain: int = 0,
        *,
        version: int = IPFIX_VERSION,
        mtu: int | None = 1400,
        overhead: int = OVERHEAD,
        template_refresh: float | None = REFRESH_SECONDS,
        template_refresh_messages: int | None = REFRESH_MESSAGES,
        padding: int = 4,
        sequence: int = 0,
        boot_time: Time | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._packer = Packer(
            domain,
            version,
            mtu,
            overhead,
            template_refresh,
            template_refresh_messages,
            padding,
            sequence,
            boot_time,
            clock,
        )
        self._sender: MessageSender | None = None
        self._sender_key: object = None

    @property
    def domain(self) -> int:
        """The observation domain, or v9's source id."""
        return self._packer.domain

    @property
    def version(self) -> int:
        """10 or 9."""
        return self._packer.version

    @property
    def sequence(self) -> int:
        """The sequence number of the next message."""
        return self._packer.sequence

    @property
    def room(self) -> int:
        """Octets that the records in a message may have, one Set of them and nothing else."""
        return self._packer.room

    @property
    def templates(self) -> tuple[Template, ...]:
        """The templates in use, in the order in which they came."""
        return tuple(each.template for each in self._packer.templates.values())

    # -- rows to messages

    def export(
        self, template: Template, rows: Iterable[Row], *, export_time: Time | None = None
    ) -> Iterator[Message]:
        """Messages that hold ``rows``: dicts, tuples in the template's order, or Records.

        A message is made when it is asked for, of the rows that it takes, so ``rows`` may be
        endless. ``export_time`` is now, for each, when None. No rows announce the template.
        The messages are packets that show their records.

        Raises ValueError: now for a template that cannot be exported, or whose id stands for
        another; when a message is made for a row that does not fit, with its number (from
        0). Rows of earlier messages are out by then, none of this message are.
        """
        return map(self._packer.packet, self._export(template, rows, export_time))

    def export_bytes(
        self, template: Template, rows: Iterable[Row], *, export_time: Time | None = None
    ) -> Iterator[bytes]:
        """As :meth:`export`, the octets of each message."""
        return (octets for octets, _ in self._export(template, rows, export_time))

    def export_options(
        self, template: Template, rows: Iterable[Row], *, export_time: Time | None = None
    ) -> Iterator[Message]:
        """As :meth:`export`, for rows of an Options Template (RFC 7011 3.4.2).

        Raises ValueError for a template without scope fields, too.
        """
        if not template.scope_count:
            raise ValueError(f"template {template.id} has no scope fields: give it scope=1")
        return self.export(template, rows, export_time=export_time)

    def export_mixed(
        self, pairs: Iterable[tuple[Template, Row]], *, export_time: Time | None = None
    ) -> Iterator[Message]:
        """Messages that hold rows of several templates, in the order given.

        ``pairs`` are (template, row). Rows of one template that follow each other share a
        Set. Raises as :meth:`export` does, for a template when its first row comes.
        """
        return map(self._packer.packet, self._mixed(pairs, _given(export_time)))

    def announce(self, *templates: Template, export_time: Time | None = None) -> list[Message]:
        """Messages that announce these templates, new or known; all known ones if none.

        Raises ValueError as :meth:`export` does.
        """
        packer = self._packer
        known = [packer.learn(each) for each in templates] or list(packer.templates.values())
        made = packer.announcements(known, _given(export_time), refresh=not templates)
        return [packer.packet(each) for each in made]

    def withdraw(self, *templates: Template, export_time: Time | None = None) -> list[Message]:
        """Messages that withdraw these templates, or all of each kind if none (RFC 7011 8.1).

        Their ids are free from then on. A withdrawal is not for UDP (8.4): there,
        :meth:`forget` a template. Raises ValueError for a template that was not announced,
        and in NetFlow v9, which has no withdrawals.
        """
        packer = self._packer
        if packer.version == V9_VERSION:
            raise ValueError("NetFlow v9 has no template withdrawals; forget() frees an id")
        for each in templates:
            known = packer.templates.get(each.id)
            if each.id not in packer.announced or known is None or known.template != each:
                raise ValueError(f"template {each.id} was not announced, nothing to withdraw")
        gone = [packer.templates[each.id] for each in templates or self.templates]
        # A Set's own id in place of a template's stands for all of that kind.
        ids = {(each.set_id, each.template.id if templates else each.set_id) for each in gone}
        made = packer.withdrawals(sorted(ids), _given(export_time))
        for known in gone:
            packer.forget(known.template.id)
        return [packer.packet(each) for each in made]

    def forget(self, template: Template) -> None:
        """Frees a template's id, without a word to the collector."""
        self._packer.forget(template.id)

    def packets(
        self,
        template: Template,
        rows: Iterable[Row],
        headers: Packet,
        *,
        export_time: Time | None = None,
    ) -> PacketList:
        """Packets for Scapy's ``send``: each message under ``headers``, ``IP(...)/UDP(...)``.

        All at once, as ``send`` loses the first packet of a generator. Raises as
        :meth:`export` does.
        """
        made = [headers / each for each in self.export(template, rows, export_time=export_time)]
        return PacketList(made, name="Exported")

    def _export(
        self, template: Template, rows: Iterable[Row], export_time: Time | None
    ) -> Iterator[Packed]:
        if isinstance(rows, (Mapping, Packet, str, bytes)):
            raise ValueError(f"rows are a list or an iterator of rows, not {rows!r}")
        when = _given(export_time)
        packer = self._packer
        packer.learn(template)
        if template.length > packer.room:
            raise packer.too_long(f"template {template.id}: a record", template.length)
        if template.is_variable:
            made = self._mixed(((template, row) for row in rows), when)
        else:
            made = self._uniform(template, iter(rows), when)
        return self._announced(template, made, when)

    def _announced(
        self, template: Template, made: Iterator[Packed], when: float | None
    ) -> Iterator[Packed]:
        """The same messages, or one with the template where there was no row."""
        yield from made
        if template.id not in self._packer.announced:
            yield from self._packer.announcements([self._packer.learn(template)], when)

    def _uniform(
        self, template: Template, rows: Iterator[Row], when: float | None
    ) -> Iterator[Packed]:
        """Messages of rows that are all as long: how many fit is known beforehand."""
        packer, size = self._packer, template.length
        done = 0
        for row in rows:
            draft = yield from packer.begin(template, when)
            fit = draft.room(template.id) // size
            if not fit:
                yield packer.finish(draft, when)
                draft = packer.draft()
                fit = draft.room(template.id) // size
            octets = _encoded(template, [row, *islice(rows, fit - 1)], done)
            done += len(octets)
            draft.add(template.id, b"".join(octets), template, size, len(octets))
            yield packer.finish(draft, when)

    def _mixed(self, pairs: Iterable[tuple[Template, Row]], when: float | None) -> Iterator[Packed]:
        """Messages of rows of any length and template, filled one by one."""
        packer = self._packer
        draft: Draft | None = None
        for number, (template, row) in enumerate(pairs):
            known = packer.learn(template)
            id = template.id
            octets = _encoded_row(template, row, number)
            size = len(octets)
            if size > packer.room:
                raise packer.too_long(f"row {number}: template {id}: a record", size)
            if draft is not None and id not in packer.announced and id not in draft.announced:
                if draft.takes(known, size):
                    draft.announce(known)
                else:
                    yield packer.finish(draft, when)
                    draft = None
            if draft is not None and draft.room(id) < size:
                yield packer.finish(draft, when)
                draft = None
            if draft is None:
                draft = yield from packer.begin(template, when)
                if draft.room(id) < size:
                    yield packer.finish(draft, when)
                    draft = packer.draft()
            draft.add(id, octets, template, template.length)
        if draft is not None:
            yield packer.finish(draft, when)

    # -- sending

    def send(
        self,
        template: Template,
        rows: Iterable[Row],
        to: Address | Packet,
        proto: str = "udp",
        *,
        rate: float | None = None,
        jitter: float = 0.0,
        source: Address | None = None,
        export_time: Time | None = None,
    ) -> Sent:
        """Exports ``rows`` to the collector at ``to``, a (host, port); gives the totals.

        ``proto`` is "udp", "tcp" or "sctp". ``rate`` is messages a second, ``jitter`` the
        share (0.0 to 1.0) by which gaps vary, ``source`` the local (address, port) to send
        from. ``to`` may also be the headers to send under, ``IP(src="198.51.100.7",
        dst="127.0.0.1")/UDP(dport=4739)``: through Scapy's ``send``, as root, from any
        source address.

        The connection stays open for the next call to the same collector. To another, a new
        transport session begins: templates are sent, sequence numbers start, once more.
        :meth:`close` ends it. Raises ValueError as :meth:`export` does, OSError.
        """
        messages = self.export_bytes(template, rows, export_time=export_time)
        return self._send(messages, to, proto, source, Pace(rate, jitter), renumber=True)

    def send_messages(
        self,
        messages: Iterable[Message | bytes],
        to: Address | Packet,
        proto: str = "udp",
        *,
        rate: float | None = None,
        jitter: float = 0.0,
        source: Address | None = None,
    ) -> Sent:
        """Sends what other methods make: :meth:`export_mixed`, :meth:`withdraw` and so on.

        As :meth:`send` otherwise.
        """
        return self._send(messages, to, proto, source, Pace(rate, jitter), renumber=False)

    def _send(
        self,
        messages: Iterable[Message | bytes],
        to: Address | Packet,
        proto: str,
        source: Address | None,
        pace: Pace,
        renumber: bool,
    ) -> Sent:
        sender = self._connected(to, proto, source, renumber)
        try:
            return deliver(messages, sender, pace)
        except OSError:
            self.close()  # what the collector has got is anyone's guess
            raise

    def _connected(
        self, to: Address | Packet, proto: str, source: Address | None, renumber: bool
    ) -> MessageSender:
        key = (bytes(to) if isinstance(to, Packet) else to, proto, source)
        if self._sender is not None and key == self._sender_key:
            return self._sender
        self.close()
        if isinstance(to, Packet):
            self._sender = ForgedSender(to)
        else:
            self._sender = Sender(to, proto, source=source)
        # Messages that were made before the first connection have their numbers already.
        self._packer.restart(renumber or self._sender_key is not None)
        self._sender_key = key
        return self._sender

    def close(self) -> None:
        """Closes the connection that :meth:`send` opened, if there is one."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None

    def __enter__(self) -> Exporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        kind = "NetFlow v9" if self.version == V9_VERSION else "IPFIX"
        return (
            f"<Exporter: {kind}, domain {self.domain}, sequence {self.sequence}, "
            f"{len(self._packer.announced)} templates announced>"
        )


def _given(value: Time | None) -> float | None:
    return None if value is None else seconds(value)


def _encoded(template: Template, rows: Sequence[Row], first: int) -> list[bytes]:
    """The octets of each row; ``first`` is the number of the first one, for an error."""
    if any(issubclass(kind, Record) for kind in set(map(type, rows))):
        rows = [row.values() if isinstance(row, Record) else row for row in rows]
    try:
        return template.encode_rows(rows)
    except (ValueError, TypeError):
        # Once more, one by one, to say which.
        return [_encoded_row(template, row, number) for number, row in enumerate(rows, first)]


def _encoded_row(template: Template, row: Row, number: int) -> bytes:
    try:
        return template.encode(row.values() if isinstance(row, Record) else row)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"row {number}: {problem}") from None

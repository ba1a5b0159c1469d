# SPDX-License-Identifier: GPL-2.0-or-later
"""`Exporter`: rows to messages, and to a collector (Exporting Process of RFC 7011).

Rows are encoded here, :mod:`scapy_ipfix.exporting.packing` makes messages of them, and
:mod:`scapy_ipfix.exporting.sending` sends these.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from types import TracebackType
from typing import Any

from scapy.packet import Packet
from scapy.plist import PacketList

from scapy_ipfix.exporting.packing import (
    Draft,
    PackedMessage,
    Packer,
    Settings,
    Time,
    to_seconds,
)
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
from scapy_ipfix.wire.rows import arrange_rows
from scapy_ipfix.wire.template import Template

#: A row: values by name, values in the template's order, or a Record.
Row = Mapping[str, Any] | Sequence[Any] | Record

#: Octets of an IPv6 and a UDP header.
OVERHEAD = 48
#: Default time between refreshes of templates, in seconds (RFC 6728 4.4.2), and in messages.
REFRESH_SECONDS = 600.0
REFRESH_MESSAGES = 1000


class Exporter:
    """Exporting Process: makes full messages of rows, in sequence, with their templates.

    ``domain`` is the Observation Domain id (NetFlow v9: the source id), ``version`` 10 for
    IPFIX or 9. ``mtu`` is the longest IP datagram in octets. ``overhead`` octets of it are for
    the IP and UDP headers: 48 for IPv6, 28 for IPv4, 0 to make ``mtu`` the limit of the
    message itself. ``mtu=None``, for files and streams, allows 65,535 octets per message.

    A template is announced before its data. All templates are announced again once
    ``template_refresh`` seconds of export time or ``template_refresh_messages`` messages have
    passed, as UDP needs (RFC 7011 8.4); None switches either off. Data Sets, and all FlowSets
    of NetFlow v9, are padded with zeros to multiples of ``padding`` octets (1, 2, 4 or 8), but
    with fewer octets than a record has (3.3.1).

    Sequence numbers start at ``sequence``; they count Data Records in IPFIX (3.1) and messages
    in NetFlow v9 (RFC 3954 5.1). ``clock`` returns the export time in seconds since 1970
    where none is given. sysUptime of NetFlow v9 counts from ``boot_time``, or from the first
    message if that is None.

    Rows must have each field of their template and no other: ``defaults`` gives missing ones
    the zero of their type, ``ignore_extra`` leaves others out. ``ntp_epoch`` 1970 writes
    dateTimeMicroseconds and dateTimeNanoseconds with seconds since 1970, for collectors that
    expect them so.

    An exporter is one Transport Session: all its messages are for one collector. Raises
    ValueError for arguments out of range.
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
        ntp_epoch: int = 1900,
        defaults: bool = False,
        ignore_extra: bool = False,
    ) -> None:
        if ntp_epoch not in (1900, 1970):
            raise ValueError(f"ntp_epoch is 1900 or 1970, not {ntp_epoch!r}")
        self._unix_epoch = ntp_epoch == 1970
        self._defaults = defaults
        self._ignore_extra = ignore_extra
        settings = Settings(
            domain,
            version,
            mtu,
            overhead,
            template_refresh,
            template_refresh_messages,
            padding,
            sequence,
        )
        self._packer = Packer(settings, boot_time, clock)
        self._sender: MessageSender | None = None
        self._sender_key: object = None

    @property
    def domain(self) -> int:
        """Observation Domain id, or source id of NetFlow v9."""
        return self._packer.domain

    @property
    def version(self) -> int:
        """10 for IPFIX, 9 for NetFlow v9."""
        return self._packer.version

    @property
    def sequence(self) -> int:
        """Sequence number of the next message."""
        return self._packer.sequence

    @property
    def room(self) -> int:
        """Octets for the records of a message that has one Data Set and no templates."""
        return self._packer.room

    @property
    def templates(self) -> tuple[Template, ...]:
        """Templates in use, in the order of their first use."""
        return tuple(each.template for each in self._packer.templates.values())

    # -- rows to messages

    def export(
        self,
        template: Template,
        rows: Iterable[Row],
        *,
        export_time: Time | None = None,
        fields: Sequence[str] | None = None,
    ) -> Iterator[Message]:
        """Return an iterator of messages that hold ``rows`` of ``template``.

        A row is a dict by field name, a sequence in the template's order, or a Record. Each
        message is made when the iterator reaches it, from as many rows as it holds, so
        ``rows`` may be endless. ``export_time`` is a number of seconds since 1970, ISO 8601
        text or a datetime; None is the time when each message is made. Without rows, one
        message announces the template if it is new. The messages are packets that show their
        records. ``fields`` names the values of tuples that are in another order.

        Raises ValueError at once for a template that cannot be exported, or whose id is in
        use for another one; and from the iterator for a row that does not fit its template,
        with the row's number from 0. Earlier messages are complete then, and no row of the
        failed one is exported.
        """
        return map(self._packer.packet, self._export(template, rows, export_time, fields))

    def export_bytes(
        self,
        template: Template,
        rows: Iterable[Row],
        *,
        export_time: Time | None = None,
        fields: Sequence[str] | None = None,
    ) -> Iterator[bytes]:
        """Return an iterator of the octets of messages; otherwise as :meth:`export`."""
        return (octets for octets, _ in self._export(template, rows, export_time, fields))

    def export_options(
        self, template: Template, rows: Iterable[Row], *, export_time: Time | None = None
    ) -> Iterator[Message]:
        """Return messages with rows of an Options Template (RFC 7011 3.4.2), as :meth:`export`.

        Raises ValueError for a template without scope fields, too.
        """
        if not template.scope_count:
            raise ValueError(f"template {template.id} has no scope fields: give it scope=1")
        return self.export(template, rows, export_time=export_time)

    def export_mixed(
        self, pairs: Iterable[tuple[Template, Row]], *, export_time: Time | None = None
    ) -> Iterator[Message]:
        """Return messages that hold rows of several templates, in the order given.

        ``pairs`` are (template, row). Successive rows of one template share a Set. Raises
        ValueError as :meth:`export` does, always from the iterator.
        """
        if self._unix_epoch:
            pairs = ((self._adapt(template), row) for template, row in pairs)
        if self._defaults or self._ignore_extra:
            pairs = (
                (template, row)
                for template, each in pairs
                for row in self._arranged(template, (each,), None)
            )
        return map(self._packer.packet, self._mixed(pairs, _optional_seconds(export_time)))

    def announce(self, *templates: Template, export_time: Time | None = None) -> list[Message]:
        """Return messages that announce these templates, or all templates in use if none is given.

        Raises ValueError as :meth:`export` does.
        """
        packer = self._packer
        templates = tuple(map(self._adapt, templates))
        known = [packer.use(each) for each in templates] or list(packer.templates.values())
        made = packer.announcements(known, _optional_seconds(export_time), refresh=not templates)
        return [packer.packet(each) for each in made]

    def withdraw(self, *templates: Template, export_time: Time | None = None) -> list[Message]:
        """Return messages that withdraw these templates, or all if none is given (RFC 7011 8.1).

        Their ids are free from then on. Withdrawals must not be sent over UDP (8.4);
        :meth:`forget` a template there. Raises ValueError for a template that is not
        announced, and in NetFlow v9, which has no withdrawals.
        """
        packer = self._packer
        templates = tuple(map(self._adapt, templates))
        if packer.version == V9_VERSION:
            raise ValueError("NetFlow v9 has no template withdrawals; free an id with forget()")
        for each in templates:
            known = packer.templates.get(each.id)
            if each.id not in packer.announced or known is None or known.template != each:
                raise ValueError(f"template {each.id} was not announced, nothing to withdraw")
        withdrawn = [packer.templates[each.id] for each in templates or self.templates]
        # The id of the Set in place of a template's withdraws all templates of that kind.
        ids = {(each.set_id, each.template.id if templates else each.set_id) for each in withdrawn}
        made = packer.withdrawals(sorted(ids), _optional_seconds(export_time))
        for known in withdrawn:
            packer.forget(known.template.id)
        return [packer.packet(each) for each in made]

    def forget(self, template: Template) -> None:
        """Free a template's id, without a message to the collector."""
        self._packer.forget(template.id)

    def packets(
        self,
        template: Template,
        rows: Iterable[Row],
        headers: Packet,
        *,
        export_time: Time | None = None,
    ) -> PacketList:
        """Return packets for Scapy's ``send``: each message under ``headers``, ``IP()/UDP()``.

        They are a list because ``send`` loses the first packet of a generator. Raises
        ValueError as :meth:`export` does.
        """
        made = [headers / each for each in self.export(template, rows, export_time=export_time)]
        return PacketList(made, name="Exported")

    def _arranged(
        self, template: Template, rows: Iterable[Row], fields: Sequence[str] | None
    ) -> Iterable[Row]:
        """Return rows in the order of their template, where they may be otherwise."""
        if fields is None and not self._defaults and not self._ignore_extra:
            return rows
        plain = (row.values() if isinstance(row, Record) else row for row in rows)
        return arrange_rows(
            template, plain, fields, defaults=self._defaults, ignore_extra=self._ignore_extra
        )

    def _export(
        self,
        template: Template,
        rows: Iterable[Row],
        export_time: Time | None,
        fields: Sequence[str] | None = None,
    ) -> Iterator[PackedMessage]:
        if not isinstance(template, Template):
            raise TypeError(
                f"the first argument is a Template, not {type(template).__name__}; write "
                "export(template, rows)"
            )
        if isinstance(rows, (Mapping, Packet, str, bytes)):
            raise ValueError(f"rows are a list or an iterator of rows, not {rows!r}; write [row]")
        when = _optional_seconds(export_time)
        packer, template = self._packer, self._adapt(template)
        rows = self._arranged(template, rows, fields)
        packer.use(template)
        if template.length > packer.room:
            raise packer.too_long(f"template {template.id}: a record", template.length)
        if template.is_variable:
            made = self._mixed(((template, row) for row in rows), when)
        else:
            made = self._uniform(template, iter(rows), when)
        return self._announced(template, made, when)

    def _adapt(self, template: Template) -> Template:
        """Return a template whose NTP timestamps have the epoch of this exporter."""
        return template.with_unix_epoch() if self._unix_epoch else template

    def _announced(
        self, template: Template, made: Iterator[PackedMessage], when: float | None
    ) -> Iterator[PackedMessage]:
        """Yield the messages, and one with the template if there was no row."""
        yield from made
        if template.id not in self._packer.announced:
            yield from self._packer.announcements([self._packer.use(template)], when)

    def _uniform(
        self, template: Template, rows: Iterator[Row], when: float | None
    ) -> Iterator[PackedMessage]:
        """Yield messages of rows of one length, with as many rows as fit in each."""
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

    def _mixed(
        self, pairs: Iterable[tuple[Template, Row]], when: float | None
    ) -> Iterator[PackedMessage]:
        """Yield messages of rows of any length and template, filled row by row."""
        packer = self._packer
        draft: Draft | None = None
        for number, (template, row) in enumerate(pairs):
            known = packer.use(template)
            id = template.id
            octets = _encoded_row(template, row, number)
            size = len(octets)
            if size > packer.room:
                raise packer.too_long(f"row {number}: template {id}: a record", size)
            if draft is not None and id not in packer.announced and id not in draft.announced:
                if draft.has_room(known, size):
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
        """Export ``rows`` to the collector at ``to``, a (host, port), and return the totals.

        ``proto`` is "udp", "tcp" or "sctp". ``rate`` is in messages per second, ``jitter`` the
        share (0.0 to 1.0) by which gaps vary, ``source`` the local (address, port) to send
        from. ``to`` may also be the headers to send under, ``IP(src="198.51.100.7",
        dst="127.0.0.1")/UDP(dport=4739)``; these go through Scapy's ``send``, which needs
        root, with any source address.

        The connection stays open for the next call with the same collector. Another one
        begins a new Transport Session: templates are announced again and sequence numbers
        start again. :meth:`close` ends it. Raises ValueError as :meth:`export` does, and
        OSError.
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
        """Send the messages of :meth:`export_mixed`, :meth:`withdraw` and other methods.

        Otherwise as :meth:`send`.
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
            self.close()  # it is unknown which messages the collector has received
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
        # Messages made before the first connection keep their sequence numbers.
        self._packer.restart(renumber or self._sender_key is not None)
        self._sender_key = key
        return self._sender

    def close(self) -> None:
        """Close the connection that :meth:`send` opened, if any."""
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


def _optional_seconds(value: Time | None) -> float | None:
    return None if value is None else to_seconds(value)


def _encoded(template: Template, rows: Sequence[Row], first: int) -> list[bytes]:
    """Return the octets of each row; ``first`` is the number of the first row, for errors."""
    if any(issubclass(kind, Record) for kind in set(map(type, rows))):
        rows = [row.values() if isinstance(row, Record) else row for row in rows]
    try:
        return template.encode_rows(rows)
    except (ValueError, TypeError):
        # Encode them one by one to find the row at fault.
        return [_encoded_row(template, row, number) for number, row in enumerate(rows, first)]


def _encoded_row(template: Template, row: Row, number: int) -> bytes:
    try:
        return template.encode(row.values() if isinstance(row, Record) else row)
    except (ValueError, TypeError) as problem:
        raise ValueError(f"row {number}: {problem}") from None

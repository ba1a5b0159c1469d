# SPDX-License-Identifier: GPL-2.0-or-later
"""Resolved values of a Data Record packet as properties, such as ``record.flow_start``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Protocol

from scapy_ipfix.layers.context import NO_CONTEXT
from scapy_ipfix.wire.flowtimes import MessageHeader
from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.resolvedvalues import resolve_one
from scapy_ipfix.wire.template import Template


class _Record(Protocol):
    """Members of a record that the properties need."""

    @property
    def template(self) -> Template: ...
    @property
    def parent(self) -> Any: ...
    def values(self) -> Mapping[str, Any]: ...


class ResolvedProperties:
    """Properties of a Data Record: from its own fields, its message, and facts of options data.

    Each is None where it is unknown; Options Data Records have none.
    """

    __slots__ = ()

    @property
    def flow_start(self: _Record) -> datetime | None:
        """The time at which the flow began (UTC): stated, or from uptime, offset or duration."""
        return _resolved(self, "flow_start")  # type: ignore[no-any-return]

    @property
    def flow_end(self: _Record) -> datetime | None:
        """The time at which the flow ended (UTC), see :attr:`flow_start`."""
        return _resolved(self, "flow_end")  # type: ignore[no-any-return]

    @property
    def flow_duration(self: _Record) -> timedelta | None:
        """The duration of the flow: stated, or from its start to its end."""
        return _resolved(self, "flow_duration")  # type: ignore[no-any-return]

    @property
    def source_address(self: _Record) -> str | None:
        """The source address, IPv4 or IPv6; else the one after translation (NAT)."""
        return _text(_resolved(self, "source_address"))

    @property
    def destination_address(self: _Record) -> str | None:
        """The destination address, see :attr:`source_address`."""
        return _text(_resolved(self, "destination_address"))

    @property
    def source_port(self: _Record) -> int | None:
        """The source port of any transport protocol."""
        return _resolved(self, "source_port")  # type: ignore[no-any-return]

    @property
    def destination_port(self: _Record) -> int | None:
        """The destination port of any transport protocol."""
        return _resolved(self, "destination_port")  # type: ignore[no-any-return]

    @property
    def protocol(self: _Record) -> int | None:
        """The number of the transport protocol."""
        return _resolved(self, "protocol")  # type: ignore[no-any-return]

    @property
    def octets(self: _Record) -> int | None:
        """The octets of the flow: a delta count, else a total."""
        return _resolved(self, "octets")  # type: ignore[no-any-return]

    @property
    def packets(self: _Record) -> int | None:
        """The packets of the flow: a delta count, else a total."""
        return _resolved(self, "packets")  # type: ignore[no-any-return]

    @property
    def sampling_rate(self: _Record) -> float | None:
        """The packets observed for each one that the record counts."""
        return _context(self).sampling_rate(self.template, self.values())

    @property
    def application_name(self: _Record) -> str | None:
        """The name of the record's application (RFC 6759)."""
        return _context(self).application_name(self.template, self.values())

    @property
    def ingress_interface_name(self: _Record) -> str | None:
        """The name of the ingress interface, else its description."""
        return _context(self).interface_name(self.template, self.values())

    @property
    def egress_interface_name(self: _Record) -> str | None:
        """The name of the egress interface, else its description."""
        return _context(self).interface_name(self.template, self.values(), "egress")

    @property
    def ingress_vrf_name(self: _Record) -> str | None:
        """The name of the ingress VRF."""
        return _context(self).vrf_name(self.template, self.values())

    @property
    def egress_vrf_name(self: _Record) -> str | None:
        """The name of the egress VRF."""
        return _context(self).vrf_name(self.template, self.values(), "egress")

    def interface_name(self: _Record, direction: str = "ingress") -> str | None:
        """Return the name of the record's "ingress" or "egress" interface; None: unknown.

        Raises ValueError for another direction.
        """
        return _context(self).interface_name(self.template, self.values(), direction)

    def interface_description(self: _Record, direction: str = "ingress") -> str | None:
        """Return the description of an interface, see :meth:`interface_name`."""
        return _context(self).interface_description(self.template, self.values(), direction)

    def vrf_name(self: _Record, direction: str = "ingress") -> str | None:
        """Return the name of the record's "ingress" or "egress" VRF; None: unknown."""
        return _context(self).vrf_name(self.template, self.values(), direction)


def _resolved(record: _Record, name: str) -> Any:
    context = _context(record)
    header = context.header or _header(record)
    return resolve_one(context, record.template, record.values(), name, header)


def _context(record: _Record) -> RecordContext:
    """Return the context of the Data Set that holds the record."""
    context: RecordContext = getattr(record.parent, "record_context", NO_CONTEXT)
    return context


def _header(record: _Record) -> MessageHeader | None:
    """Return the header of the message packet that holds the record, which no session read."""
    message = getattr(record.parent, "parent", None)
    header: MessageHeader | None = getattr(message, "message_header", None)
    return header


def _text(address: IPv4Address | IPv6Address | None) -> str | None:
    return None if address is None else str(address)

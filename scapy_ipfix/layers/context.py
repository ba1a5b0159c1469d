# SPDX-License-Identifier: GPL-2.0-or-later
"""State of a Collecting Process that packets need, as protocols; layers keep none themselves.

A session sets :attr:`Message.context <scapy_ipfix.layers.messages.Message>`; a message without
a session knows the templates that it defines itself.
"""

from __future__ import annotations

from typing import Any, Protocol

from scapy_ipfix.wire.recordcontext import RecordContext
from scapy_ipfix.wire.structured import ListContext
from scapy_ipfix.wire.template import Template

#: The context of records without a session: they resolve what their own fields hold.
NO_CONTEXT = RecordContext()


class UnboundSet(Protocol):
    """A Data Set packet that is bound to its template once this is known."""

    def bind(
        self,
        template: Template,
        lists: ListContext | None = None,
        context: RecordContext | None = None,
        padding: int = 0,
    ) -> Any:
        """Decode the Data Set's octets with a template."""


class MessageContext(Protocol):
    """Context of one message: templates, lists and facts for each of its Data Sets.

    ``index`` is the position of a Set in the message, from 0.
    """

    def template(self, index: int) -> Template | None:
        """Return the template of a Data Set, None while it is unknown."""

    def lists(self, index: int) -> ListContext:
        """Return the context for decoding lists in a Data Set's records (RFC 6313)."""

    def padding(self, index: int) -> int:
        """Return the octets at the end of a Data Set that are padding as long as records."""

    def record_context(self, index: int) -> RecordContext:
        """Return the facts of options data in force for a Data Set's records."""

    def attach(self, index: int, data_set: UnboundSet) -> None:
        """Register the packet of a Data Set, to be bound when its template arrives."""

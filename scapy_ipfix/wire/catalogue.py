# SPDX-License-Identifier: GPL-2.0-or-later
"""Catalogue of diagnostics: severity, RFC section and sentence of everything that can be wrong.

An entry has a reference for IPFIX, one for NetFlow v9, or both: a finding cites the RFC of the
protocol in which it was made.
"""

from __future__ import annotations

from typing import NamedTuple

NOTE, WARNING, ERROR = "note", "warning", "error"

_V9 = 9


class Entry(NamedTuple):
    """Entry of the catalogue; ``text`` is a format string for the numbers of a finding."""

    severity: str
    #: RFC section for IPFIX, "" where only NetFlow v9 has such a rule.
    ipfix: str
    text: str
    #: RFC section for NetFlow v9, "" where it is that of IPFIX.
    v9: str = ""

    def section(self, version: int) -> str:
        """Return the RFC section for a protocol version, such as ``RFC 7011 3.3.2``."""
        if version == _V9:
            return self.v9 or self.ipfix
        return self.ipfix or self.v9


_HEADER = ("RFC 7011 3.1", "RFC 3954 5.1")
_SET = ("RFC 7011 3.3.2", "RFC 3954 5.3")
_PADDING = ("RFC 7011 3.3.1", "RFC 3954 5.3")
_TEMPLATE = ("RFC 7011 3.4.1", "RFC 3954 5.2")
_OPTIONS = ("RFC 7011 3.4.2.1", "RFC 3954 6.1")
_MANAGEMENT = ("RFC 7011 8", "RFC 3954 9")
_REDEFINITION = ("RFC 7011 8.1", "RFC 3954 7")
_LIMIT = ("RFC 7011 11.4", "RFC 3954 10.3")


def _entry(severity: str, sections: tuple[str, str], text: str) -> Entry:
    return Entry(severity, sections[0], text, sections[1])


CATALOGUE: dict[str, Entry] = {
    # messages
    "message-truncated": _entry(
        ERROR, _HEADER, "the message has length {length}, {available} octets are there"
    ),
    "message-length": _entry(
        ERROR, _HEADER, "the message length {length} is shorter than the message header"
    ),
    "message-trailing": _entry(WARNING, _HEADER, "{octets} octets follow the end of the message"),
    "packet-cut": _entry(
        NOTE,
        _HEADER,
        "the capture has only a part of the packet: {octets} octets are missing",
    ),
    "packet-duplicate": _entry(
        NOTE,
        _HEADER,
        "the capture of the loopback interface shows packets twice; second copies are not read",
    ),
    "not-recognised": _entry(
        NOTE,
        _HEADER,
        "{octets} octets to port {port} begin like {protocol} and are not read: {flaw}; "
        "bind_port({port}) reads them",
    ),
    "other-protocol": _entry(
        WARNING, _HEADER, "{octets} octets are {protocol}; only IPFIX and NetFlow v9 are read here"
    ),
    "version-unknown": _entry(
        WARNING,
        _HEADER,
        "{octets} octets have version {version}, neither that of IPFIX, 10, nor of NetFlow v9",
    ),
    "header-truncated": _entry(
        ERROR, _HEADER, "{available} octets are too few for a message header"
    ),
    "count-disagrees": _entry(
        WARNING,
        ("", "RFC 3954 5.1"),
        "the header counts {count} records, the FlowSets hold {records}",
    ),
    "export-time": _entry(
        WARNING,
        _HEADER,
        "the export time {exported} differs from the capture time by {seconds} s; "
        "check the exporter's clock",
    ),
    # sets
    "set-length": _entry(
        ERROR, _SET, "Set {set_id} has length {length}, shorter than a Set header"
    ),
    "set-zero": _entry(
        WARNING,
        _SET,
        "a Set of id 0 has length 0: {octets} octets of zeros follow the last Set",
    ),
    "sets-trailing": _entry(WARNING, _SET, "{octets} octets follow the last Set: {shown}"),
    "set-truncated": _entry(
        ERROR, _SET, "Set {set_id} has length {length}, {available} octets are there"
    ),
    "set-reserved": _entry(
        WARNING, ("RFC 7011 3.3.2", "RFC 3954 5.2"), "Set id {set_id} is reserved"
    ),
    "set-other-protocol": _entry(
        WARNING,
        ("RFC 7011 3.3.2", "RFC 3954 5.2"),
        "Set id {set_id} is that of {kind} in {protocol}; read them with --lenient",
    ),
    "set-empty": _entry(NOTE, _PADDING, "Set {set_id} holds no record"),
    "padding-nonzero": _entry(
        WARNING, _PADDING, "the padding of Set {set_id} is not zero: {octets}"
    ),
    "padding-long": _entry(
        WARNING,
        _PADDING,
        "the padding of Set {set_id} has {padding} octets; a record takes {record}",
    ),
    # templates
    "template-id": _entry(
        ERROR, _TEMPLATE, "template id {template_id} is reserved; ids begin at 256"
    ),
    "template-truncated": _entry(
        ERROR, _TEMPLATE, "template {template_id} has {fields} fields, its Set ends before them"
    ),
    "template-empty": _entry(ERROR, _TEMPLATE, "template {template_id} has no fields"),
    "template-scope": _entry(
        ERROR,
        _OPTIONS,
        "Options Template {template_id} has a scope field count of {scope} and {fields} fields",
    ),
    "options-length": _entry(
        ERROR,
        ("", "RFC 3954 6.1"),
        "Options Template {template_id} has lengths {scope} and {options}; "
        "both must be multiples of 4",
    ),
    "template-zero-length": _entry(
        ERROR,
        _TEMPLATE,
        "records of template {template_id} have no octets, or too few for so many fields; "
        "they are not read",
    ),
    "field-length": _entry(
        WARNING,
        ("RFC 7011 6.2", "RFC 3954 8"),
        "template {template_id}: {name} has length {length}; {type} allows {allowed}",
    ),
    "field-longer": _entry(
        NOTE,
        ("", "RFC 3954 8"),
        "template {template_id}: {name} has length {length}; {type} takes {allowed}",
    ),
    "enterprise-zero": _entry(
        ERROR,
        ("RFC 7011 3.2", ""),
        "template {template_id}: element {id} has the enterprise bit and enterprise number 0",
    ),
    "missing-template": _entry(
        WARNING,
        _MANAGEMENT,
        "template {template_id} is not defined yet; {octets} octets are kept until it arrives",
    ),
    "template-other-port": _entry(
        WARNING,
        _MANAGEMENT,
        "{source} defined template {template_id} from port {port}; share templates across "
        "its ports with --scope exporter",
    ),
    "template-redefined": _entry(
        NOTE, _REDEFINITION, "template {template_id} changed from {old} to {new} fields"
    ),
    "template-redefined-reliable": _entry(
        ERROR,
        _REDEFINITION,
        "template {template_id} changed from {old} to {new} fields without a withdrawal",
    ),
    "template-withdrawn": _entry(NOTE, _REDEFINITION, "template {template_id} was withdrawn"),
    "withdrawal-unknown": _entry(
        WARNING, _REDEFINITION, "withdrawal of template {template_id}, which is not defined"
    ),
    "withdrawal-udp": _entry(
        WARNING,
        ("RFC 7011 8.4", ""),
        "withdrawal of template {template_id} over UDP; it is ignored",
    ),
    "template-expired": _entry(
        WARNING,
        ("RFC 7011 8.4", "RFC 3954 9"),
        "template {template_id} expired: it was not refreshed for {seconds} s",
    ),
    # records
    "record-truncated": _entry(
        ERROR,
        ("RFC 7011 9.1", "RFC 3954 5.3"),
        "Set {set_id}: record {record} runs past the end; {octets} octets are not decoded",
    ),
    "value": _entry(WARNING, ("RFC 7011 6.1", "RFC 3954 8"), "Set {set_id}: {name}: {flaw}"),
    "list-malformed": _entry(ERROR, ("RFC 6313 4.5", ""), "{name}: {flaw}"),
    "list-too-deep": _entry(
        ERROR, ("RFC 6313 5.2", ""), "{name}: lists are nested deeper than {limit}"
    ),
    # sequence
    "sequence-gap": _entry(
        WARNING, _HEADER, "sequence number {got}, expected {expected}: {lost} lost"
    ),
    "sequence-reordered": _entry(
        NOTE, _HEADER, "sequence number {got}, expected {expected}: the message is late"
    ),
    "sequence-duplicate": _entry(
        NOTE, _HEADER, "sequence number {got} was received before: the message is a duplicate"
    ),
    "sequence-restart": _entry(
        WARNING, _HEADER, "sequence number {got}, expected {expected}: the exporter restarted"
    ),
    "sequence-convention": _entry(
        WARNING,
        _HEADER,
        "sequence number {got}, expected {expected}: the exporter counts {convention}",
    ),
    "exporter-restart": _entry(
        WARNING,
        ("", "RFC 3954 5.1"),
        "sysUptime fell from {before} to {uptime} ms: the exporter restarted",
    ),
    # streams
    "stream-resync": _entry(
        ERROR,
        ("RFC 7011 9.1", ""),
        "{octets} octets of the stream were skipped to the next message header",
    ),
    "stream-gap": _entry(
        ERROR, ("RFC 7011 10.4", ""), "{octets} octets of the stream are not in the capture"
    ),
    "fragments-dropped": _entry(
        WARNING, ("RFC 791 3.2", ""), "{octets} octets of incomplete IP fragments were dropped"
    ),
    "fragment-missing": _entry(
        WARNING,
        ("RFC 791 3.2", ""),
        "a fragment of IP datagram {id} to {destination} is missing: {octets} octets arrived",
    ),
    "stream-waiting": _entry(
        NOTE,
        ("RFC 7011 10.4", ""),
        "{octets} octets of the stream are an incomplete message at the end of {name}",
    ),
    "datagrams-dropped": _entry(
        ERROR,
        ("RFC 7011 10.3", ""),
        "the system dropped {datagrams} datagrams to port {port}: its receive buffer of "
        "{buffer} octets was full",
    ),
    "connection-broken": _entry(
        WARNING, ("RFC 7011 10.4", ""), "the connection ended out of order: {why}"
    ),
    "capture-cut": _entry(WARNING, ("-", ""), "{name}: {why}"),
    # learned elements
    "element-conflict": _entry(
        WARNING, ("RFC 5610 4", ""), "element {pen}/{id} is described as {name}, but {why}"
    ),
    "element-information": _entry(
        WARNING, ("RFC 5610 3", ""), "the description of element {pen}/{id} is wrong: {flaw}"
    ),
    "elements-limit": _entry(
        WARNING,
        ("RFC 5610 4", ""),
        "an exporter described {limit} elements; further ones are not learned",
    ),
    "elements-many": _entry(
        WARNING,
        ("RFC 5610 4", ""),
        "a message describes more than {limit} elements; the rest are not learned",
    ),
    "names-many": _entry(
        NOTE,
        ("RFC 5610 4", ""),
        "a message names more than {limit} template fields; the rest are named later",
    ),
    # limits
    "templates-many": _entry(
        WARNING, _LIMIT, "a message defines more than {limit} templates; the rest are ignored"
    ),
    "values-many": _entry(
        WARNING, _LIMIT, "a message has {limit} wrong values or more; the rest is not checked"
    ),
    "sets-many": _entry(
        WARNING, _LIMIT, "{what} at most {limit} Sets of a message; this message has more"
    ),
    "facts-many": _entry(
        WARNING,
        _LIMIT,
        "a message states more than {limit} facts in options; the rest are ignored",
    ),
    "limit": _entry(WARNING, _LIMIT, "more than {limit} {what}: the oldest are dropped"),
}

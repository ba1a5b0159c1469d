# SPDX-License-Identifier: GPL-2.0-or-later
"""Templates, Transport Sessions and builders of Sets that the tests of the collector share."""

import struct

from scapy_ipfix import (
    DataSet,
    Set,
    Template,
    TemplateSet,
)
from scapy_ipfix.collector.transportkey import TransportKey
from tests.builders import message_octets

T = Template(300, "sourceIPv4Address", "octetDeltaCount[4]")
OTHER = Template(300, "destinationIPv4Address")
OPTIONS = Template(301, "meteringProcessId", "exportedMessageTotalCount", scope=1)
ROWS = [("192.0.2.1", 5), ("192.0.2.2", 6)]
UDP_A = TransportKey("udp", "192.0.2.1", 1000, "192.0.2.9", 4739)
UDP_B = TransportKey("udp", "192.0.2.1", 1001, "192.0.2.9", 4739)
UDP_C = TransportKey("udp", "192.0.2.2", 1000, "192.0.2.9", 4739)
TCP_A = UDP_A._replace(protocol="tcp")


def v9(*sets, source=0, **header):
    """Return the octets of a NetFlow v9 packet."""
    return message_octets(*sets, version=9, domain=source, **header)


def announce(*templates, cls=TemplateSet):
    """Return a Set that defines templates."""
    return cls(templates=list(templates))


def data(template=T, rows=ROWS, cls=DataSet):
    """Return a Data Set of records."""
    return cls(template=template, records=rows)


def withdraw(id, cls=TemplateSet):
    """Return a Set that withdraws a template."""
    return cls(templates=[Template(id)])


def records(message):
    """Return the records of all Sets that a message made ready."""
    return [record for read in message.ready for record in read.records()]


def templates(collector):
    """Return the templates of a collector, by Transport Session, version, domain and id."""
    return {
        (domain.transport, domain.version, domain.id, id): template
        for domain in collector.domains
        for id, template in domain.templates.items()
    }


def many(count, first=256, field="sourceIPv4Address"):
    """Return templates of one field with consecutive ids."""
    return [Template(id, field) for id in range(first, first + count)]


def spec(*fields, scope=None, id=300):
    """Return a Template Set of (element, length, octets), an options one with ``scope``."""
    body = struct.pack("!HH", id, len(fields))
    if scope is not None:
        body += struct.pack("!H", scope)
    body += b"".join(struct.pack("!HH", *field[:2]) + field[2] for field in fields)
    return Set(setId=2 if scope is None else 3, data=body)

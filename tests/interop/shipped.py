# SPDX-License-Identifier: GPL-2.0-or-later
"""Records that the netflow layer of Scapy reads from captures, for comparison.

    python -m tests.interop.shipped FILE...

prints a JSON object: for each file its exception, or its records, each a list of the octets
of its fields in hexadecimal. It is a process of its own, since that layer and this package
bind the same ports.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from scapy.layers.inet import UDP
from scapy.layers.netflow import (
    NetflowDataflowsetV9,
    NetflowHeader,
    NetflowRecordV9,
    netflowv9_defragment,
)
from scapy.packet import Packet, bind_layers
from scapy.utils import rdpcap


def records(packet: Packet) -> Iterator[list[str]]:
    """Yield the records of a packet; an options record includes its scope."""
    while NetflowDataflowsetV9 in packet:
        packet = packet[NetflowDataflowsetV9]
        # Instances of the class itself are octets that were not decoded.
        found = [
            fields(each)
            for each in packet.records
            if isinstance(each, NetflowRecordV9) and type(each) is not NetflowRecordV9
        ]
        if packet.name.endswith("OPTIONS"):
            found = [[octets for each in found for octets in each]] if found else []
        yield from found
        packet = packet.payload


def fields(record: Packet) -> list[str]:
    """Return the octets of each field of a record."""
    return [
        field.addfield(record, b"", record.getfieldval(field.name)).hex()
        for field in record.fields_desc
    ]


def read(path: str) -> dict[str, Any]:
    """Read a file; return its exception, or an empty text, and its records."""
    packets = rdpcap(path)
    try:
        netflowv9_defragment(packets, verb=0)
    except Exception as problem:  # whatever it is, it is what this is about
        return {"raised": f"{type(problem).__name__}: {problem}", "records": []}
    return {"raised": "", "records": [each for packet in packets for each in records(packet)]}


def main() -> None:
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # IPFIX's port, which Scapy 2.8 leaves unbound.
    bind_layers(UDP, NetflowHeader, dport=4739)
    print(json.dumps({path: read(path) for path in sys.argv[1:]}))


if __name__ == "__main__":
    main()

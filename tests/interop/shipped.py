# SPDX-License-Identifier: GPL-2.0-or-later
"""What the netflow layer that ships with Scapy makes of captures, for the README's figures.

    python -m tests.interop.shipped FILE...

prints a JSON object: for each file what it raised, or its records, each a list of the octets
of its fields in hexadecimal. A process of its own, since that layer and this package want the
same ports.
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
    """The records of a packet; the scope and the rest of an options record are one."""
    while NetflowDataflowsetV9 in packet:
        packet = packet[NetflowDataflowsetV9]
        # What is left of the class itself was not made records of.
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
    """The octets that each field of a record was read from."""
    return [
        field.addfield(record, b"", record.getfieldval(field.name)).hex()
        for field in record.fields_desc
    ]


def read(path: str) -> dict[str, Any]:
    """What a file raised, empty for nothing, and its records."""
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

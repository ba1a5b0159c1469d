# SPDX-License-Identifier: GPL-2.0-or-later
"""Messages whose records state times, samplers and addresses in the ways of exporters."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, NamedTuple

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from scapy_ipfix import Template
from tests.builders import EXPORTED, data_set, message, template_sets

#: The export time of all messages.
EXPORT_TIME = datetime.fromtimestamp(EXPORTED, timezone.utc)


class FlowCase(NamedTuple):
    """Messages of one exporter, and the resolved values of their data records."""

    messages: list[Any]
    expected: list[dict[str, Any]]

    def packets(self) -> list[Packet]:
        """Return the messages in UDP datagrams of 192.0.2.9."""
        return [
            Ether(src="02:00:00:00:00:09", dst="02:00:00:00:00:01")
            / IP(src="192.0.2.9", dst="192.0.2.10", id=0)
            / UDP(sport=40000, dport=2055 if each.version == 9 else 4739)
            / each
            for each in self.messages
        ]

    def frames(self) -> list[bytes]:
        """Return the octets of :meth:`packets`."""
        return [*map(bytes, self.packets())]


def times(start: float, end: float) -> dict[str, Any]:
    """Return the resolved times for a start and an end, in seconds before the export time."""
    return {
        "flow_start": EXPORT_TIME - timedelta(seconds=start),
        "flow_end": EXPORT_TIME - timedelta(seconds=end),
        "flow_duration": timedelta(seconds=start - end),
    }


def _v9(*sets: Any, uptime: int, sequence: int = 0) -> Any:
    header = {"unixSecs": EXPORTED, "sysUptime": uptime, "sequence": sequence}
    return message(*sets, version=9, **header)


def _ipfix(*sets: Any, **header: Any) -> Any:
    return message(*sets, exportTime=EXPORTED, **header)


def _uptimes(version: int, *row: Any) -> list[Any]:
    template = Template(256, "sourceIPv4Address", "flowStartSysUpTime", "flowEndSysUpTime")
    sets = template_sets(template, version=version)
    return [*sets, data_set(template, [("192.0.2.1", *row)], version)]


def uptime_of_v9() -> FlowCase:
    """NetFlow v9: 10 and 5 seconds before the uptime in the header."""
    sets = _uptimes(9, 90_000, 95_000)
    return FlowCase([_v9(*sets, uptime=100_000)], [times(10, 5)])


def uptime_began_anew() -> FlowCase:
    """NetFlow v9: the uptime began anew between the start and the end of the flow."""
    sets = _uptimes(9, 0xFFFFFF00, 500)
    return FlowCase([_v9(*sets, uptime=1000)], [times(1.256, 0.5)])


def uptime_of_ipfix() -> FlowCase:
    """IPFIX: the time of initialization is in options data."""
    options = Template(257, "meteringProcessId", "systemInitTimeMilliseconds", scope=1)
    stated = data_set(options, [(1, (EXPORTED - 100) * 1000)])
    sets = _uptimes(10, 90_000, 95_000)
    return FlowCase([_ipfix(*template_sets(options), stated, *sets)], [times(10, 5)])


def offsets_of_ipfix() -> FlowCase:
    """IPFIX: microseconds before the export time."""
    template = Template(
        256, "sourceIPv4Address", "flowStartDeltaMicroseconds", "flowEndDeltaMicroseconds"
    )
    sets = [*template_sets(template), data_set(template, [("192.0.2.1", 5_000_000, 250_000)])]
    return FlowCase([_ipfix(*sets)], [times(5, 0.25)])


def samplers_in_options() -> FlowCase:
    """NetFlow v9: two samplers, in a message of their own."""
    options = Template(
        257, "scopeSystem[4]", "samplerId[4]", "samplerMode", "samplerRandomInterval", scope=1
    )
    data = Template(256, "sourceIPv4Address", "samplerId[4]", "octetDeltaCount[4]")
    stated = data_set(options, [(0, 1, 2, 100), (0, 2, 2, 500)], 9)
    flows = data_set(data, [("192.0.2.1", 1, 10), ("192.0.2.2", 2, 10)], 9)
    return FlowCase(
        [
            _v9(*template_sets(options, version=9), stated, uptime=100_000),
            _v9(*template_sets(data, version=9), flows, uptime=100_000, sequence=1),
        ],
        [{"sampling_rate": 100}, {"sampling_rate": 500}],
    )


def sampler_without_key() -> FlowCase:
    """NetFlow v9: the only sampler, which records do not name."""
    options = Template(257, "scopeSystem[4]", "samplerId[4]", "samplerRandomInterval", scope=1)
    data = Template(256, "sourceIPv4Address")
    return FlowCase(
        [
            _v9(
                *template_sets(options, version=9),
                data_set(options, [(0, 1, 100)], 9),
                uptime=100_000,
            ),
            _v9(
                *template_sets(data, version=9),
                data_set(data, [("192.0.2.1",)], 9),
                uptime=100_000,
                sequence=1,
            ),
        ],
        [{"sampling_rate": 100}],
    )


#: All cases by name.
CASES: dict[str, FlowCase] = {
    make.__name__: make()
    for make in (
        *(uptime_of_v9, uptime_began_anew, uptime_of_ipfix, offsets_of_ipfix),
        *(samplers_in_options, sampler_without_key),
    )
}

# SPDX-License-Identifier: GPL-2.0-or-later
"""Torture catalogue: its cases, their diagnostics and their records."""

import logging
import math
import re
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Packet, Raw

from scapy_ipfix import IPFIX, IPFIXSession, iter_records
from scapy_ipfix.exporting.pcap import MAX_MESSAGE, write_pcap
from scapy_ipfix.layers.messages import make_message
from scapy_ipfix.testing.torturecases.case import RECIPES, illegal, legal
from scapy_ipfix.testing.torturecases.catalogue import (
    MAX_CANARIES,
    Case,
    canary,
    canary_address,
    torture,
)
from scapy_ipfix.wire.catalogue import CATALOGUE, ERROR

TIME = 1_800_000_000
CASES = {case.name: case for case in torture(export_time=TIME)}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("scapy.ipfix"), "level", logging.CRITICAL)


def datagram(octets: bytes) -> Packet:
    """Return a message as a sniffed packet, without the limit of 65535 octets of IP."""
    return _sniffed(UDP(sport=40000, dport=4739), octets)


def _sniffed(transport: Packet, octets: bytes) -> Packet:
    packet = IP(src="192.0.2.9", dst="192.0.2.10") / transport
    packet /= make_message(octets) or Raw(octets)
    packet.time = TIME
    return packet


def packets(case: Case) -> list[Packet]:
    """Return the messages of a case in datagrams, or in TCP segments."""
    if case.transport != "tcp":
        return [datagram(octets) for octets in case.messages]
    segments = []
    sequence = 1
    for octets in case.messages:
        segments.append(_sniffed(TCP(sport=40000, dport=4739, flags="PA", seq=sequence), octets))
        sequence += len(octets)
    return segments


# -- the catalogue


def test_number_of_cases() -> None:
    assert len(CASES) == len(RECIPES) >= 60
    assert sum(case.legal for case in CASES.values()) >= 30
    assert sum(not case.legal for case in CASES.values()) >= 30
    assert any(octets[:2] == b"\0\x09" for case in CASES.values() for octets in case.messages)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_case_is_described(case: Case) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", case.name)
    assert re.fullmatch(r"RFC (7011|7012|3954|5103|5610|6313) [0-9]+(\.[0-9]+)*", case.section)
    assert case.description.endswith(".")
    assert len(case.description) > 20
    assert case.expected
    assert case.packets
    assert case.transport in ("any", "udp", "tcp")
    assert set(case.diagnostics) <= CATALOGUE.keys()
    assert len(set(case.diagnostics)) == len(case.diagnostics)
    assert case.name in str(case)


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.legal], ids=lambda c: c.name
)
def test_legal_cases_have_no_error(case: Case) -> None:
    assert not [code for code in case.diagnostics if CATALOGUE[code].severity == ERROR]


def test_packets_are_new() -> None:
    first, second = (next(torture("padding-of-one-octet", export_time=TIME)) for _ in range(2))
    assert first.messages == second.messages
    assert first.packets[0] is not second.packets[0]
    first.packets[0].sequenceNumber = 7
    assert first.messages != second.messages
    assert next(torture("padding-of-one-octet", export_time=TIME)).messages == second.messages


def test_filter() -> None:
    assert [case.name for case in torture("set-length-*")] == [
        name for name in CASES if name.startswith("set-length-")
    ]
    legal_ones = [case.name for case in torture(legal=True)]
    illegal_ones = [case.name for case in torture(legal=False)]
    assert legal_ones + illegal_ones == list(CASES)
    assert all(CASES[name].legal for name in legal_ones)
    assert not any(CASES[name].legal for name in illegal_ones)
    assert list(torture("no-such-case")) == []


def test_each_case_has_its_own_domains() -> None:
    owners: dict[int, str] = {}
    for case in CASES.values():
        for packet in case.packets:
            if not isinstance(packet, Raw):
                domain = (
                    packet.observationDomainId if isinstance(packet, IPFIX) else packet.sourceId
                )
                assert owners.setdefault(domain, case.name) == case.name
                assert domain >= 16


def test_export_time() -> None:
    case = next(torture("padding-of-one-octet", export_time=1234))
    assert case.packets[0].exportTime == 1234
    assert int.from_bytes(case.messages[0][4:8], "big") == 1234
    late = next(torture("export-time-past-2038", export_time=1234))
    assert late.packets[0].exportTime == 2208988800
    cut = next(torture("truncated-at-every-octet", export_time=1234))
    assert cut.messages[-1][4:8] == (1234).to_bytes(4, "big")


def test_unknown_code_of_a_diagnostic() -> None:
    with pytest.raises(ValueError, match="'no-such-code' is no code"):
        illegal("RFC 7011 3.1", "nothing", "no-such-code")
    with pytest.raises(ValueError, match="'nor-such'"):
        legal("RFC 7011 3.1", "nothing", "set-empty", "nor-such")


# -- our session


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_session_notes_the_diagnostics_of_the_case(case: Case) -> None:
    session = IPFIXSession(check_values=True)
    processed = [session.process(packet) for packet in packets(case)]
    for octets, packet in zip(case.messages, processed, strict=True):
        assert packet is not None
        summary = packet.summary()
        assert packet.show(dump=True)
        message = packet.payload.payload
        assert bytes(message) == octets
        assert packet.summary() == summary
    assert set(session.diagnostics.counts) == set(case.diagnostics)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_iter_records_equals_the_records_of_packets(case: Case, tmp_path: Path) -> None:
    session = IPFIXSession()
    shown = [
        record.values()
        for packet in [session.process(packet) for packet in packets(case)]
        if packet is not None and hasattr(packet.payload.payload, "records")
        for record in packet.payload.payload.records
    ]
    fast = list(iter_records(packets(case)))
    assert sorted(map(repr, fast)) == sorted(map(repr, shown))
    if case.transport != "tcp" and max(map(len, case.messages)) <= MAX_MESSAGE:
        write_pcap(tmp_path / "case.pcap", ((TIME, octets) for octets in case.messages))
        assert repr(list(iter_records(tmp_path / "case.pcap"))) == repr(fast)


def test_one_session_reads_all_cases_and_every_canary() -> None:
    session = IPFIXSession()
    found = []
    for number, case in enumerate(CASES.values()):
        session.process(datagram(bytes(canary(number, TIME))))
        for packet in packets(case):
            processed = session.process(packet)
            assert processed is not None
            assert processed.show(dump=True)
        packet = session.process(datagram(bytes(canary(number + len(CASES), TIME, version=9))))
        assert packet is not None
        found += [record.sourceIPv4Address for record in packet.payload.payload.records]
    assert found == [canary_address(number + len(CASES)) for number in range(len(CASES))]


PAIR = {"sourceIPv4Address": "192.0.2.1", "destinationIPv4Address": "192.0.2.2"}
FLOW = {**PAIR, "octetDeltaCount": 1500}
LAB = {"wlanSSID": "lab", "octetDeltaCount": 1500}
VALUES: dict[str, list[dict[str, Any]]] = {
    "message-without-sets": [],
    "sequence-wraps": [FLOW] * 4,
    "same-id-in-two-domains": [FLOW, {"octetDeltaCount": 1500, "packetDeltaCount": 1}],
    "padding-of-one-octet": [FLOW, FLOW],
    "padding-almost-a-record": [FLOW],
    "padding-after-templates": [FLOW],
    "records-of-one-octet": [{"protocolIdentifier": n} for n in (0, 6, 17, 0)],
    "templates-and-data-interleaved": [FLOW, LAB, FLOW],
    "data-before-template-in-a-message": [FLOW],
    "data-before-template": [FLOW, FLOW],
    "two-hundred-templates-in-a-set": [FLOW],
    "template-ids-out-of-order": [FLOW],
    "same-element-twice": [{"tcpControlBits": 0x02, "tcpControlBits_2": 0x12}],
    "template-refreshed": [FLOW, FLOW],
    "template-redefined-over-udp": [FLOW, {"octetDeltaCount": 1500, "packetDeltaCount": 1}],
    "withdrawal-then-reuse": [FLOW, {"octetDeltaCount": 1500, "packetDeltaCount": 1}],
    "options-of-two-scopes": [
        {"exportingProcessId": 1, "ingressInterface": 2, "interfaceName": "eth0"}
    ],
    "long-form-of-a-short-length": [LAB],
    "lengths-around-255": [
        {"wlanSSID": letter * (254 + i), "octetDeltaCount": 1 + i} for i, letter in enumerate("abc")
    ],
    "string-of-no-octets": [{"wlanSSID": "", "octetDeltaCount": n} for n in (1, 2)],
    "integer-of-three-octets": [{"octetDeltaCount": 1500, "packetDeltaCount": 1}],
    "negative-integer-of-three-octets": [{"mibObjectValueInteger": -2}],
    "float64-of-four-octets": [{"samplingProbability": 0.125}],
    "string-of-fixed-length": [{"wlanSSID": "lab", "interfaceName": "", "octetDeltaCount": 1500}],
    "biflow": [{**FLOW, "reverseOctetDeltaCount": 9, "biflowDirection": 1}],
    "v9-padding-to-32-bits": [
        {"sourceIPv4Address": "192.0.2.1", "sourceTransportPort": 53, "protocolIdentifier": 17}
    ]
    * 2,
    "v9-sequence-wraps": [FLOW] * 6,
    "v9-data-before-template": [FLOW],
    # illegal cases with records that can be read
    "message-length-of-the-header": [],
    "set-ids-reserved": [FLOW],
    "padding-not-zero": [FLOW],
    "padding-as-long-as-a-withdrawal": [],
    "record-cut": [FLOW],
    "string-beyond-the-set": [LAB],
    "string-into-the-next-set": [LAB, FLOW],
    "boolean-three": [{"dataRecordsReliability": n} for n in (0, 3, 255)],
    "v9-flowset-ids-reserved": [FLOW],
    "v9-flowset-length-beyond-the-packet": [FLOW],
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name: str) -> None:
    assert list(iter_records(packets(CASES[name]))) == VALUES[name]


def test_more_values() -> None:
    def records(name: str) -> list[dict[str, Any]]:
        return list(iter_records(packets(CASES[name])))

    assert len(records("message-of-65507-octets")) == 5455
    assert len(records("two-thousand-sets")) == 2000
    assert len(records("message-of-65535-octets")[0]["paddingOctets"]) == 65503
    assert len(records("same-element-three-hundred-times")[0]) == 300
    assert set(records("integers-of-one-to-eight-octets")[0].values()) == {200}
    probability = records("float-not-a-number")[0]["samplingProbability"]
    assert math.isnan(probability)
    assert records("string-not-utf8")[0]["wlanSSID"] == b"caf\xe9"
    assert records("lists-of-each-kind")


def test_lengths_of_the_longest() -> None:
    assert [len(each) for each in CASES["message-of-65535-octets"].messages] == [65535]
    assert [len(each) for each in CASES["message-of-65507-octets"].messages] == [65507]


def test_truncation_is_at_every_octet() -> None:
    messages = CASES["truncated-at-every-octet"].messages
    assert [len(each) for each in messages] == list(range(2, 2 + len(messages)))
    whole = messages[-1]
    assert len(whole) == int.from_bytes(whole[2:4], "big") - 1
    assert all(whole.startswith(each) for each in messages[20:])


# -- canaries


@pytest.mark.parametrize("version", [9, 10])
def test_canaries_have_different_addresses(version: int) -> None:
    session = IPFIXSession()
    octets = [bytes(canary(number, TIME, version)) for number in range(300)]
    read = list(iter_records([datagram(each) for each in octets], session=session))
    addresses = [record["sourceIPv4Address"] for record in read]
    assert addresses == [canary_address(number) for number in range(300)]
    assert len(set(addresses)) == 300
    assert addresses[0] == "198.19.0.1"
    assert addresses[-1] == "198.19.1.44"
    assert not session.diagnostics.counts


def test_invalid_canaries() -> None:
    assert canary_address(MAX_CANARIES - 1) == "198.19.255.254"
    with pytest.raises(ValueError, match=r"canary 65534 is not in 0\.\.65533"):
        canary_address(MAX_CANARIES)
    with pytest.raises(ValueError, match="canary -1"):
        canary(-1)
    with pytest.raises(ValueError, match="version is 9 or 10, not 5"):
        canary(0, version=5)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Mistakes of users: each error says what to write instead; each form of a field is taken."""

import socket
from pathlib import Path
from typing import Any

import pytest

from scapy_ipfix import (
    IPFIX,
    DataSet,
    Exporter,
    IPFIXSession,
    Template,
    TemplateSet,
    dissect,
    elements,
    iter_records,
    write_ipfix,
)
from scapy_ipfix.cli.main import main

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount[4]", "interfaceName")
ROW = ("192.0.2.1", 5, "eth0")
OCTETS = next(Exporter().export_bytes(FLOW, [ROW]))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Template(256, 8), r"write its name, or \(0, 8\)"),
        (lambda: Template(256, ["sourceIPv4Address"]), r"Template\(256, \*fields\)"),
        (lambda: Template(256, ("a", "b")), "enterprise number, element id"),
        (lambda: Template(256, None), "give the name of an element"),
        (lambda: Template("sourceIPv4Address"), r"write Template\(256, 'sourceIPv4Address'\)"),
        (lambda: TemplateSet(FLOW), r"write TemplateSet\(templates=\[template\]\)"),
        (lambda: DataSet(FLOW), r"write DataSet\(template=template, records"),
        (lambda: dissect("x.pcap"), r"sniff\(offline=path"),
        (lambda: dissect(b"octets"), "takes packets"),
        (lambda: write_ipfix("x", {"octetDeltaCount": 1}), r"export\(template, rows\)"),
        (lambda: list(Exporter().export([ROW], FLOW)), r"export\(template, rows\)"),
        (lambda: iter_records(OCTETS, fields=[None]), "give the name of an element"),
    ],
)
def test_wrong_types(make: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        make()


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (("192.0.2.1", 5.5, "eth0"), "octetDeltaCount: 5.5 .*give an integer"),
        (("2001:db8::1", 5, "eth0"), "sourceIPv4Address: .*192.0.2.1"),
        (("192.0.2.1", 5, 7), "interfaceName: 7 .*give str"),
    ],
)
def test_wrong_values(row: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        DataSet(template=FLOW, records=[row])


def test_rows_in_place_of_messages(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="message 0: write_ipfix takes messages, not dict"):
        write_ipfix(tmp_path / "x.ipfix", [{"octetDeltaCount": 1}])


@pytest.mark.parametrize(
    "field",
    [
        "octetDeltaCount",
        "IN_BYTES",
        "in_bytes",
        elements["octetDeltaCount"],
        elements.spec("octetDeltaCount[4]"),
        FLOW.fields[1],
        (0, 1),
    ],
)
def test_forms_of_a_field(field: Any) -> None:
    assert Template(256, field).names == ("octetDeltaCount",)
    assert list(iter_records(OCTETS, fields=[field])) == [(5,)]


def test_the_length_in_a_spec() -> None:
    assert Template(256, elements.spec("packetDeltaCount[4]")).length == 4


def test_a_port_in_use_names_the_source() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken, Exporter() as exporter:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot send from 127.0.0.1 port {port}"):
            exporter.send(FLOW, [ROW], ("127.0.0.1", 9), source=("127.0.0.1", port))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a scapy-ipfix state file"):
        IPFIXSession.load(Path(__file__))
    with pytest.raises(IsADirectoryError):
        iter_records(tmp_path)


@pytest.mark.parametrize(
    ("typed", "suggested"), [("chekc", "check"), ("genrate", "generate"), ("element", "elements")]
)
def test_a_mistyped_command(typed: str, suggested: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([typed]) == 2
    assert f"did you mean 'scapy-ipfix {suggested}'?" in capsys.readouterr().err
    assert main(["no-such-file.pcap"]) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_a_message_is_still_made_of_octets() -> None:
    assert bytes(TemplateSet(bytes(TemplateSet(templates=[FLOW])))) == bytes(
        TemplateSet(templates=[FLOW])
    )
    assert IPFIX(OCTETS).sets[1].setId == 256

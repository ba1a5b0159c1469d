# SPDX-License-Identifier: GPL-2.0-or-later
"""Types of arguments, and the one-line error of the parser."""

import argparse

import pytest

from scapy_ipfix.cli.arguments import Parser, endpoint, natural, positive


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1:2055", ("192.0.2.1", 2055)),
        ("192.0.2.1", ("192.0.2.1", 4739)),
        ("collector.example:9995", ("collector.example", 9995)),
        ("[2001:db8::1]:2055", ("2001:db8::1", 2055)),
        ("[2001:db8::1]", ("2001:db8::1", 4739)),
        ("2001:db8::1", ("2001:db8::1", 4739)),
        ("::1", ("::1", 4739)),
    ],
)
def test_endpoint(text: str, expected: tuple[str, int]) -> None:
    assert endpoint(text) == expected


@pytest.mark.parametrize(
    "text", ["", ":2055", "host:", "host:0", "host:65536", "host:http", "[::1", "[::1]2055", "[]:1"]
)
def test_invalid_endpoints(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        endpoint(text)


def test_numbers() -> None:
    assert positive("0.5") == 0.5
    assert natural("12") == 12


@pytest.mark.parametrize("text", ["0", "-1", "", "x", "nan", "inf"])
def test_invalid_numbers(text: str) -> None:
    for read in (positive, natural):
        with pytest.raises(argparse.ArgumentTypeError):
            read(text)


def test_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    parser = Parser(prog="scapy-ipfix x")
    parser.add_argument("--to", type=endpoint)
    with pytest.raises(SystemExit) as raised:
        parser.parse_args(["--to", "host:0"])
    assert raised.value.code == 2
    assert capsys.readouterr().err == (
        "scapy-ipfix x: argument --to: port '0' is not in 1..65535; see 'scapy-ipfix x --help'\n"
    )

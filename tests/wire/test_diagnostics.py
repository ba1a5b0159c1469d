# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of the catalogue, and of the list of diagnostics."""

import logging
import pickle
import re
import string

import pytest

from scapy_ipfix.wire.catalogue import CATALOGUE, ERROR, NOTE, WARNING
from scapy_ipfix.wire.diagnostics import (
    LOGGED_PER_CODE,
    Defect,
    Diagnostic,
    Diagnostics,
    cite_version,
    shown_octets,
)


def parts(text):
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("code", CATALOGUE)
def test_the_catalogue(code):
    entry = CATALOGUE[code]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
    assert entry.severity in (NOTE, WARNING, ERROR)
    for version in (9, 10):
        assert re.fullmatch(r"RFC \d+( \d+(\.\d+)*)?|-", entry.section(version))
    assert entry.v9.startswith("RFC 3954 ") or not entry.v9
    defect = Defect.make(code, **dict.fromkeys(parts(entry.text), 7))
    assert "{" not in defect.text
    assert str(defect) == f"{entry.severity}: {defect.text} [{entry.section(10)}]"
    assert (defect.severity, defect.section) == (entry.severity, entry.section(10))


def test_every_code_in_use_is_in_the_catalogue(root):
    named = set()
    for path in (root / "scapy_ipfix").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        named |= set(re.findall(r"""Defect\.make\(\s*"([a-z0-9-]+)\"""", text))
        named |= set(re.findall(r"""note\(\s*"([a-z0-9-]+)\"""", text))
    assert len(named) > 20
    assert named <= CATALOGUE.keys()


def test_defects_are_values():
    defect = Defect.make("set-reserved", set_id=77)
    assert defect == Defect.make("set-reserved", set_id=77)
    assert defect != Defect.make("set-reserved", set_id=78)
    assert len({defect, Defect.make("set-reserved", set_id=77)}) == 1
    assert pickle.loads(pickle.dumps(defect)) == defect
    assert defect.text == "Set id 77 is reserved"


def test_diagnostics_say_where():
    defect = Defect.make("set-reserved", set_id=77)
    assert str(Diagnostic(defect, 3)).startswith("warning: packet 3: Set id 77")
    full = Diagnostic(defect, 3, "192.0.2.1:4739", 7, 0)
    assert str(full) == (
        "warning: packet 3, 192.0.2.1:4739, domain 7, Set 0: Set id 77 is reserved [RFC 7011 3.3.2]"
    )
    assert (full.code, full.severity) == ("set-reserved", WARNING)
    assert (full.section, full.text) == (defect.section, defect.text)
    assert pickle.loads(pickle.dumps(full)) == full


def test_a_bounded_list():
    kept = Diagnostics(limit=3)
    assert repr(kept) == "<Diagnostics: none>"
    assert not kept
    for number in range(5):
        kept.note(Diagnostic(Defect.make("set-reserved", set_id=number), number))
    kept.note(Diagnostic(Defect.make("set-empty", set_id=300)))
    assert len(kept) == 3
    assert [each.packet for each in kept] == [0, 1, 2]
    assert kept[0].packet == 0
    assert [each.packet for each in kept[1:]] == [1, 2]
    assert kept.counts == {"set-reserved": 5, "set-empty": 1}
    assert kept.dropped == 3
    assert repr(kept).splitlines()[-1] == "... and 3 more"
    assert len(repr(kept).splitlines()) == 4


def test_the_log_gets_the_first_of_each_code(caplog):
    caplog.set_level(logging.DEBUG, "scapy.ipfix")
    kept = Diagnostics(limit=2)
    for number in range(LOGGED_PER_CODE + 10):
        kept.note(Diagnostic(Defect.make("set-reserved", set_id=number), number))
    kept.note(Diagnostic(Defect.make("set-length", set_id=1, length=2)))
    kept.note(Diagnostic(Defect.make("set-empty", set_id=300)))
    assert [record.levelname for record in caplog.records] == (
        ["WARNING"] * LOGGED_PER_CODE + ["ERROR", "INFO"]
    )
    assert "Set id 0 is reserved" in caplog.text


def test_octets_of_a_finding_are_cut() -> None:
    assert shown_octets(b"\1\xff") == "01 ff"
    assert shown_octets(bytes(64)) == " ".join(["00"] * 64)
    assert shown_octets(b"\7" * 60_000) == " ".join(["07"] * 64) + " ... (60000 octets)"


def test_findings_cite_the_rfc_of_their_protocol():
    defect = Defect.make("padding-nonzero", set_id=256, octets="01")
    (in_v9,) = cite_version([defect], 9)
    assert (defect.section, in_v9.section) == ("RFC 7011 3.3.1", "RFC 3954 5.3")
    assert in_v9.text == defect.text
    kept = Diagnostics()
    kept.note(Diagnostic(in_v9, 1))
    kept.add_all([defect, ("set-reserved", {"set_id": 2})], 2, version=9)
    kept.add_all([defect], 3)
    assert [each.section for each in kept] == [
        *("RFC 3954 5.3", "RFC 3954 5.3", "RFC 3954 5.2", "RFC 7011 3.3.1")
    ]


@pytest.mark.parametrize(
    "code, ipfix, v9",
    [
        ("message-truncated", "RFC 7011 3.1", "RFC 3954 5.1"),
        ("set-reserved", "RFC 7011 3.3.2", "RFC 3954 5.2"),
        ("padding-nonzero", "RFC 7011 3.3.1", "RFC 3954 5.3"),
        ("template-scope", "RFC 7011 3.4.2.1", "RFC 3954 6.1"),
        ("template-redefined", "RFC 7011 8.1", "RFC 3954 7"),
        ("template-expired", "RFC 7011 8.4", "RFC 3954 9"),
        ("missing-template", "RFC 7011 8", "RFC 3954 9"),
        ("record-truncated", "RFC 7011 9.1", "RFC 3954 5.3"),
        ("list-too-deep", "RFC 6313 5.2", "RFC 6313 5.2"),
        ("count-disagrees", "RFC 3954 5.1", "RFC 3954 5.1"),
    ],
)
def test_sections(code, ipfix, v9):
    assert CATALOGUE[code].section(10) == ipfix
    assert CATALOGUE[code].section(9) == v9

# SPDX-License-Identifier: GPL-2.0-or-later
"""Tests of positions of packets in the files of a session."""

import pytest

from scapy_ipfix.reading import sourcefiles
from scapy_ipfix.reading.sourcefiles import SourceFiles


def test_positions() -> None:
    files = SourceFiles()
    assert files.locate(3) == (None, 3)
    files.begin("a", 2)
    files.begin("empty", 5)
    files.begin("b", 5)
    files.begin(None, 7)
    found = [files.locate(number) for number in range(1, 9)]
    assert found == [
        *((None, 1), (None, 2), ("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)),
        (None, 1),
    ]


def test_the_number_of_files_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sourcefiles, "MAX_FILES", 4)
    files = SourceFiles()
    for number in range(100):
        files.begin(str(number), number)
        assert len(files._names) <= 4
    assert files.locate(100) == ("99", 1)
    assert files.locate(99) == ("98", 1)

# SPDX-License-Identifier: GPL-2.0-or-later
"""The README is true: its commands and its Python are run here, and their output compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(README)


def commands() -> list[tuple[str, str]]:
    """Each command of ours, and the output block that follows its block, if one does."""
    found = []
    for i, (kind, text) in enumerate(BLOCKS):
        if kind != "sh":
            continue
        output = BLOCKS[i + 1][1] if i + 1 < len(BLOCKS) and BLOCKS[i + 1][0] == "" else ""
        found += [(line, output) for line in text.splitlines() if line.startswith("scapy-ipfix ")]
    return found


def test_the_first_two_blocks_are_the_main_job_and_the_tests() -> None:
    first, second = [text for kind, text in BLOCKS if kind == "sh"][:2]
    assert "venv" in first
    assert "scapy-ipfix pcaps/" in first
    assert "pytest" in second


@pytest.mark.parametrize(("command", "output"), commands())
def test_commands_print_what_is_shown(command: str, output: str) -> None:
    assert output, f"no output is shown for {command}"
    arguments = command.split()[1:]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-m", "scapy_ipfix", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        timeout=60,
        encoding="utf-8",
    )
    shown = output.splitlines()
    got = result.stdout.splitlines()
    if "..." in shown:
        before = shown[: shown.index("...")]
        assert got[: len(before)] == before
    else:
        assert got == shown


def test_python_blocks_run_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    for kind, text in BLOCKS:
        if kind == "python" and "read_columns" not in text:
            exec(compile(text, "README.md", "exec"), names)
    assert "Data Record" in capsys.readouterr().out
    exec("print(s.diagnostics); print(s.metadata)", names)
    out = capsys.readouterr().out
    for line in out.splitlines():
        assert line in README


def test_columns() -> None:
    pytest.importorskip("numpy")
    (block,) = [text for kind, text in BLOCKS if kind == "python" and "read_columns" in text]
    program = f"from scapy_ipfix import *\n{block}"
    subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )

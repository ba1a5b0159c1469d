# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors where numpy, pandas or pyarrow are missing; nothing else needs these."""

import subprocess
import sys

import pytest

from scapy_ipfix.cli import main as cli
from scapy_ipfix.reading.columns import address_text, read_columns, to_pandas
from scapy_ipfix.reading.extras import MissingPackage, extra

PACKAGES = ("numpy", "pandas", "pyarrow", "pyarrow.parquet")


@pytest.fixture
def bare(monkeypatch):
    """Hide these packages from imports."""
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: read_columns([]), 'read_columns needs numpy: pip install "scapy-ipfix[columns]"'),
        (lambda: address_text([]), 'address_text needs numpy: pip install "scapy-ipfix[columns]"'),
        (lambda: to_pandas([]), 'to_pandas needs pandas: pip install "scapy-ipfix[pandas]"'),
    ],
)
def test_missing_package(bare, call, text):
    with pytest.raises(MissingPackage) as raised:
        call()
    assert str(raised.value) == text
    assert isinstance(raised.value, ImportError)


def test_missing_pyarrow(monkeypatch, root, tmp_path, capsys):
    pytest.importorskip("numpy")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    out = tmp_path / "x.parquet"
    assert cli.main(["--parquet", str(out), str(root / "pcaps" / "softflowd_v9.pcap")]) == 2
    said = capsys.readouterr()
    assert said.err == 'scapy-ipfix: --parquet needs pyarrow: pip install "scapy-ipfix[parquet]"\n'
    assert said.out == ""
    assert not out.exists()


def test_parquet_without_any(bare, root, tmp_path, capsys):
    out = tmp_path / "x.parquet"
    assert cli.main(["--parquet", str(out), str(root / "pcaps" / "softflowd_v9.pcap")]) == 2
    expected = 'scapy-ipfix: --parquet needs numpy: pip install "scapy-ipfix[parquet]"\n'
    assert capsys.readouterr().err == expected


def test_installed_but_broken(monkeypatch, tmp_path):
    (tmp_path / "broken_extra.py").write_text("import no_such_module_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module_at_all") as raised:
        extra("broken_extra", "this test", "test")
    assert not isinstance(raised.value, MissingPackage)


def test_not_imported_with_this_package():
    code = (
        "import sys, scapy_ipfix\n"
        "import scapy_ipfix.reading.columns, scapy_ipfix.reading.parquet, scapy_ipfix.cli.main\n"
        f"print([each for each in {PACKAGES} if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

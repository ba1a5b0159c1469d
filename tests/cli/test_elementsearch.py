# SPDX-License-Identifier: GPL-2.0-or-later
"""``scapy-ipfix elements``: search, show and update."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scapy_ipfix.cli.elementsearch import main
from scapy_ipfix.model.registryfiles import DATA

ROOT = Path(__file__).parents[2]
IANA_XML = ROOT.parent / "shared" / "registry" / "iana" / "ipfix.xml"
PROTOCOLS_XML = IANA_XML.with_name("protocol_numbers.xml")
XML = """<registry xmlns="http://www.iana.org/assignments">
<record><name>one</name><dataType>{type}</dataType><elementId>1</elementId></record>
<record><name>two</name><dataType>unsigned8</dataType>
<dataTypeSemantics>flags</dataTypeSemantics><elementId>2</elementId></record>
</registry>"""


@pytest.mark.skipif(not IANA_XML.exists(), reason="no copy of IANA's registry")
def test_update_from_the_same_registry_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "0_iana.csv"
    shutil.copy(DATA / "0_iana.csv", output)
    assert main(["update", str(IANA_XML), "--output", str(output)]) == 0
    assert output.read_bytes() == (DATA / "0_iana.csv").read_bytes()
    assert capsys.readouterr().out == f"{output}: 502 elements, 0 changes\n"


@pytest.mark.skipif(not PROTOCOLS_XML.exists(), reason="no copy of IANA's registry")
def test_update_from_the_same_protocols_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "enums").mkdir()
    (tmp_path / "ipfix.xml").write_text(XML.format(type="string"))
    arguments = ["update", str(tmp_path / "ipfix.xml"), "--output", str(tmp_path / "out.csv")]
    ours = DATA / "enums" / "protocolIdentifier.csv"
    copied = Path(shutil.copy(ours, tmp_path / "enums"))
    assert main([*arguments, "--protocol-numbers", str(PROTOCOLS_XML)]) == 0
    assert copied.read_bytes() == ours.read_bytes()
    assert "+ protocol" not in capsys.readouterr().out


def test_new_protocols(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "enums").mkdir()
    names = tmp_path / "enums" / "protocolIdentifier.csv"
    names.write_text("value,name\n0,hop\n")
    (tmp_path / "ipfix.xml").write_text(XML.format(type="string"))
    (tmp_path / "protocols.xml").write_text(
        """<registry xmlns="http://www.iana.org/assignments">
        <record><value>0</value><name>HOPOPT</name></record>
        <record><value>13</value><name>ARGUS (deprecated)</name></record>
        <record><value>61</value><description>any host internal protocol</description></record>
        <record><value>107</value><name>A/N</name></record>
        <record><value>148-252</value><description>Unassigned</description></record>
        <record><value>255</value><name>Reserved</name></record></registry>"""
    )
    arguments = ["update", str(tmp_path / "ipfix.xml"), "--output", str(tmp_path / "out.csv")]
    assert main([*arguments, "--protocol-numbers", str(tmp_path / "protocols.xml")]) == 0
    assert names.read_text().splitlines() == [
        "value,name",
        "0,hop",
        "13,argus",
        "61,any-host-internal-protocol",
        "107,a-n",
    ]
    assert "+ protocol 107 a-n" in capsys.readouterr().out


def test_update_prints_the_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    xml, output = tmp_path / "ipfix.xml", tmp_path / "out.csv"
    (tmp_path / "enums").mkdir()
    (tmp_path / "enums" / "two.csv").write_text("value,name\n0,x\n")
    xml.write_text(XML.format(type="string"))
    assert main(["update", str(xml), "--output", str(output)]) == 0
    assert output.read_text().splitlines()[1:] == [
        "1,one,string,,,,current,",
        "2,two,unsigned8,flags,,,current,flags:two",
    ]
    assert capsys.readouterr().out.splitlines() == [
        "+ one(1)<string>",
        "+ two(2)<unsigned8>",
        f"{output}: 2 elements, 2 changes",
    ]
    # Value names of this package are kept; elements that the registry dropped are not.
    output.write_text(
        output.read_text().replace("current,\n", "current,enum:mine\n")
        + ("7,seven,string,,,,current,\n")
    )
    xml.write_text(XML.format(type="unsigned8"))
    assert main(["update", str(xml), "--output", str(output)]) == 0
    assert "1,one,unsigned8,,,,current,enum:mine\n" in output.read_text()
    assert capsys.readouterr().out.splitlines() == [
        "~ one(1): type 'string' -> 'unsigned8'",
        "- seven(7)<string>",
        f"{output}: 2 elements, 2 changes",
    ]


@pytest.mark.parametrize(
    ("xml", "complaint"),
    [
        ("<a/>", ":1: no Information Elements"),
        (XML.format(type="string").replace("Id>2", "Id>1"), ":4: two(1)<unsigned8>[1] has"),
        (XML.format(type="blob"), ":2: no data type 'blob'"),
    ],
)
def test_failed_update_leaves_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], xml: str, complaint: str
) -> None:
    path, output = tmp_path / "ipfix.xml", tmp_path / "out.csv"
    path.write_text(xml)
    assert main(["update", str(path), "--output", str(output)]) == 1
    assert not output.exists()
    assert complaint in capsys.readouterr().err


def test_search(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "octetDeltaCount"]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header.split() == ["name", "id", "pen", "type", "semantics", "units"]
    assert first.split() == ["octetDeltaCount", "1", "0", "unsigned64", "deltaCounter", "octets"]


@pytest.mark.parametrize("key", ["octetDeltaCount", "1", "0/1", "(1)", "_ipfix_0_1"])
def test_show(capsys: pytest.CaptureFixture[str], key: str) -> None:
    assert main(["show", key]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "IESpec      octetDeltaCount(1)<unsigned64>[8]"
    assert "units       octets" in lines


def test_show_unknown_element(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "octetDeltaCont"]) == 1
    assert "'octetDeltaCont'; similar names: octetDeltaCount" in capsys.readouterr().err


def test_run_as_a_module_without_a_warning() -> None:
    command = [sys.executable, "-W", "error", "-m", "scapy_ipfix", "elements", "show", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.startswith("IESpec      protocolIdentifier(4)<unsigned8>[1]")


def test_closed_pipe() -> None:
    command = [sys.executable, "-m", "scapy_ipfix", "elements", "search", "a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0

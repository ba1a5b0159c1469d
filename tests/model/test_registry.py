# SPDX-License-Identifier: GPL-2.0-or-later
"""Directories of CSV files with elements, and the one that ships."""

import csv
from pathlib import Path

import pytest

from scapy_ipfix.model.model import InformationModel
from scapy_ipfix.model.registry import SHIPPED, ElementFile, Enterprise, Registry
from scapy_ipfix.model.registryfiles import COLUMNS, DATA

HEADER = ",".join(COLUMNS)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


class TestRegistry:
    def test_empty_directory(self, tmp_path: Path) -> None:
        for registry in (Registry(None), Registry(tmp_path)):
            assert dict(registry.files) == {}
            assert dict(registry.elements(0)) == {}
            assert dict(registry.v9_elements) == {}
            assert registry.aliases == registry.alias_types == registry.vendor_numbers == {}
            assert registry.reverse_bit(6871) == 0
            assert registry.v9_bases == ()

    def test_enterprises(self, tmp_path: Path) -> None:
        written(
            tmp_path / "enterprises.csv",
            "pen,name,reverse_bit,v9_base\n6871,CERT,16384,\n35632,ntop,,57472\n",
        )
        written(tmp_path / "9_cisco.csv", f"{HEADER}\n")
        registry = Registry(tmp_path)
        assert registry.enterprises[6871] == Enterprise(6871, "CERT", 0x4000, None)
        assert registry.v9_bases == ((57472, 35632),)
        assert registry.enterprise_names[9] == "cisco"
        assert list(registry.enterprise_names) == [0, 9, 6871, 29305, 35632]

    def test_bad_enterprises(self, tmp_path: Path) -> None:
        written(tmp_path / "enterprises.csv", "pen,name,reverse_bit,v9_base\n9,Cisco,0x4,\n")
        with pytest.raises(ValueError, match=r"enterprises\.csv:2: reverse_bit '0x4'"):
            _ = Registry(tmp_path).enterprises

    def test_files_are_read_on_first_use(self, tmp_path: Path) -> None:
        written(tmp_path / "9_cisco.csv", f"{HEADER}\n1,foo,string,,,,,\n")
        written(tmp_path / "10_bad.csv", "not ours\n")
        registry = Registry(tmp_path)
        assert registry.elements(9)[1].name == "foo"
        assert registry.elements(9) is registry.elements(9)
        with pytest.raises(ValueError, match=r"10_bad\.csv:1: no column id"):
            registry.elements(10)

    def test_a_number_twice(self, tmp_path: Path) -> None:
        path = written(tmp_path / "9_x.csv", f"{HEADER}\n1,a,string,,,,,\n1,b,string,,,,,\n")
        with pytest.raises(ValueError, match=r"9_x\.csv:3: id 1 is also in line 2"):
            ElementFile(path, 9)

    def test_element_file(self, tmp_path: Path) -> None:
        path = written(tmp_path / "9_x.csv", f"{HEADER}\n1,a,string,,,,,\n2,b,blob,,,,,\n")
        file = ElementFile(path, 9)
        assert (list(file), len(file), dict(file.ids)) == ([1, 2], 2, {"a": 1, "b": 2})
        assert 1 in file
        assert 3 not in file
        assert file.get(3) is None
        assert file[1] is file[1]
        with pytest.raises(ValueError, match=r"9_x\.csv:3: no data type 'blob'"):
            file[2]


FILES = sorted(DATA.glob("[0-9]*_*.csv")) + list(DATA.glob("netflow9.csv"))


class TestShipped:
    """Files in ``scapy_ipfix/data``."""

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
    def test_elements(self, path: Path) -> None:
        pen = int(path.name.partition("_")[0]) if path.name[0].isdigit() else 0
        octets = path.read_bytes()
        assert b"\r" not in octets
        assert octets.splitlines()[0].decode() == HEADER
        file = ElementFile(path, pen)
        assert len(file) > 0
        assert list(file) == sorted(file)
        for element in file.values():
            assert element.is_known
            values = element.values
            if values is not None:
                assert values.source is not None
                assert values.source.exists(), f"{element} refers to {values.reference}"
                assert values.names
                bits = 8 * element.length
                assert values.kind == "enum" or min(values.names) < bits, str(element)

    @pytest.mark.parametrize("path", sorted(DATA.glob("enums/*.csv")), ids=lambda path: path.stem)
    def test_value_names(self, path: Path) -> None:
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert header == ["value", "name"]
        values = [int(value) for value, _ in rows]
        assert values == sorted(set(values))
        assert all(name.strip() == name and name for _, name in rows)

    def test_every_enterprise_has_a_name(self) -> None:
        if not (DATA / "enterprises.csv").exists():
            pytest.skip("no enterprises yet")
        assert SHIPPED.files.keys() - {0} <= SHIPPED.enterprises.keys()

    def test_aliases_have_elements(self) -> None:
        model = InformationModel.default()
        for id, aliases in SHIPPED.aliases.items():
            assert model.v9_element(id).is_known, aliases

    def test_iana(self) -> None:
        iana = SHIPPED.elements(0)
        assert len(iana) == 502
        spots = {
            1: ("octetDeltaCount", "unsigned64", "deltaCounter", "octets"),
            8: ("sourceIPv4Address", "ipv4Address", "default", ""),
            27: ("sourceIPv6Address", "ipv6Address", "default", ""),
            152: ("flowStartMilliseconds", "dateTimeMilliseconds", "default", "milliseconds"),
            210: ("paddingOctets", "octetArray", "default", ""),
            291: ("basicList", "basicList", "list", ""),
            292: ("subTemplateList", "subTemplateList", "list", ""),
            293: ("subTemplateMultiList", "subTemplateMultiList", "list", ""),
            434: ("mibObjectValueInteger", "signed32", "quantity", ""),
        }
        for id, facts in spots.items():
            each = iana[id]
            assert (each.name, each.type.name, each.semantics, each.units) == facts
        assert iana[195].range == (0, 63)
        assert iana[31].range == (0, 0xFFFFF)
        assert iana[34].status == "deprecated"
        assert 416 not in iana  # deprecated before it had a type

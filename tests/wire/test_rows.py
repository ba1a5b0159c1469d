# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows with missing fields, fields too many, or values in another order."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from scapy_ipfix import DataFlowSet, DataSet, Exporter, Template
from scapy_ipfix.wire.rows import arrange_rows

FLOW = Template(256, "sourceIPv4Address", "protocolIdentifier", "octetDeltaCount[4]")
WHOLE = {"sourceIPv4Address": "192.0.2.1", "protocolIdentifier": 6, "octetDeltaCount": 5}
OCTETS = bytes.fromhex("c0000201 06 00000005")


def crafted(layer: type[DataSet]) -> Callable[..., bytes]:
    """Return a function that crafts a Set of rows."""

    def craft(rows: Iterable[Any], **options: Any) -> bytes:
        return bytes(layer(template=FLOW, records=list(rows), padding=b"", **options))

    return craft


def exported(method: str, version: int) -> Callable[..., bytes]:
    """Return a function that exports rows."""

    def export(rows: Iterable[Any], fields: Any = None, **options: Any) -> bytes:
        exporter = Exporter(version=version, padding=1, **options)
        if method == "export_mixed":
            if fields is not None:
                rows = arrange_rows(FLOW, rows, fields)
            return b"".join(map(bytes, exporter.export_mixed((FLOW, row) for row in rows)))
        return b"".join(map(bytes, getattr(exporter, method)(FLOW, rows, fields=fields)))

    return export


WAYS = {
    "DataSet": crafted(DataSet),
    "DataFlowSet": crafted(DataFlowSet),
    **{
        f"{method} {version}": exported(method, version)
        for method in ("export", "export_bytes", "export_mixed")
        for version in (9, 10)
    },
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def encode(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_complete_row(encode: Any) -> None:
    assert OCTETS in encode([WHOLE])


@pytest.mark.parametrize("missing", WHOLE)
def test_a_missing_field(encode: Any, missing: str) -> None:
    row = {name: value for name, value in WHOLE.items() if name != missing}
    with pytest.raises(
        ValueError, match=f"template 256: the row has no {missing}; .*defaults=True"
    ):
        encode([row])
    with pytest.raises(ValueError, match="has no"):
        encode([row], ignore_extra=True)
    assert OCTETS not in encode([row], defaults=True)


def test_zeros_for_missing_fields(encode: Any) -> None:
    assert bytes.fromhex("c0000201 00 00000000") in encode(
        [{"sourceIPv4Address": "192.0.2.1"}], defaults=True
    )
    assert bytes(9) in encode([{}], defaults=True)


def test_an_extra_field(encode: Any) -> None:
    row = WHOLE | {"vlanId": 7}
    with pytest.raises(ValueError, match="template 256 has no field 'vlanId'.*ignore_extra=True"):
        encode([row])
    with pytest.raises(ValueError, match="ignore_extra=True"):
        encode([row], defaults=True)
    assert encode([row], ignore_extra=True)[-9:] == OCTETS
    other = {"IPV4_SRC_ADDR": "192.0.2.1", "PROTOCOL": 6, "IN_BYTES": 5, "nosuch": 1}
    assert encode([other], ignore_extra=True)[-9:] == OCTETS
    assert encode([{"nosuch": 1}], ignore_extra=True, defaults=True)[-9:] == bytes(9)


def test_values_in_another_order(encode: Any) -> None:
    names = ["octetDeltaCount", "IPV4_SRC_ADDR", "protocolIdentifier"]
    assert encode([(5, "192.0.2.1", 6), WHOLE], fields=names)[-18:] == OCTETS * 2
    with pytest.raises(ValueError, match="row 1: 2 values for 3 fields"):
        encode([(5, "192.0.2.1", 6), (5, 6)], fields=names)
    with pytest.raises(ValueError, match="row 0: .*has no protocolIdentifier"):
        encode([(5, "192.0.2.1")], fields=names[:2])
    with pytest.raises(ValueError, match=r"write \['octetDeltaCount'\]"):
        encode([(5,)], fields="octetDeltaCount")


def test_the_number_of_the_row() -> None:
    exporter = Exporter(defaults=True)
    with pytest.raises(ValueError, match="row 2: template 256"):
        list(exporter.export(FLOW, [WHOLE, {}, {"nosuch": 1}]))


def test_fields_of_no_octets_need_no_value() -> None:
    template = Template(256, "octetDeltaCount[0]", "protocolIdentifier")
    assert template.row({"protocolIdentifier": 6}) == [None, 6]

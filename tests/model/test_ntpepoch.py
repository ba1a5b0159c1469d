# SPDX-License-Identifier: GPL-2.0-or-later
"""NTP timestamps: the unknown time, and exporters that count from 1970."""

import copy
import pickle
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix import Exporter, InformationModel, IPFIXSession, Template, elements, iter_records
from scapy_ipfix.cli.main import main
from scapy_ipfix.model.datatypes import data_type
from scapy_ipfix.model.times import at_unix_epoch

MICRO, NANO = data_type("dateTimeMicroseconds"), data_type("dateTimeNanoseconds")
WHEN = datetime(2023, 11, 14, 22, 13, 20, 456789, tzinfo=timezone.utc)
FLOW = Template(256, "flowStartMicroseconds", "flowEndNanoseconds", "octetDeltaCount[4]")
CASES = Path(__file__).parents[3] / "shared" / "cases"


@pytest.mark.parametrize("kind", [MICRO, NANO, at_unix_epoch(MICRO)])
def test_zero_is_an_unknown_time(kind):
    assert kind.to_python(0) is None
    assert kind.to_json(0) is None
    assert kind.to_text(0) == ""
    assert kind.decode(bytes(8)) == 0
    assert kind.encode(0) == bytes(8)
    assert kind.to_python(1) is not None


def test_zero_in_every_route():
    np = pytest.importorskip("numpy")
    from scapy_ipfix import read_columns

    (message,) = Exporter().export_bytes(FLOW, [(0, 0, 5)])
    for values, start in (("scapy", 0), ("python", None), ("json", None)):
        (record,) = iter_records(message, values=values)
        assert record["flowStartMicroseconds"] == record["flowEndNanoseconds"] == start
    (columns,) = read_columns(message).values()
    assert np.isnat(columns["flowStartMicroseconds"]).all()
    assert np.isnat(columns["flowEndNanoseconds"]).all()


@pytest.mark.parametrize("kind", [MICRO, NANO])
def test_the_other_epoch(kind):
    other = at_unix_epoch(kind)
    assert other is at_unix_epoch(kind) is copy.deepcopy(other) is pickle.loads(pickle.dumps(other))
    assert data_type(kind.name) is kind
    assert other.to_python(int.from_bytes(other.encode(WHEN), "big")) == WHEN
    assert other.encode("1970-01-01T00:00:00.5Z") == bytes.fromhex("0000000080000000")
    with pytest.raises(ValueError, match="1970-01-01T00:00:00Z to 2106"):
        other.encode("1969-12-31T23:59:59Z")
    with pytest.raises(ValueError, match="1968-01-20T03:14:08Z to 2104"):
        kind.encode("1960-01-01T00:00:00Z")


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(timezone.utc)))
def test_there_and_back(when):
    kind = at_unix_epoch(MICRO)
    assert kind.to_python(int.from_bytes(kind.encode(when), "big")) == when


def test_a_model_of_the_other_epoch():
    model = elements.with_ntp_epoch(1970)
    assert elements.with_ntp_epoch(1900) is elements
    assert model["flowStartMicroseconds"].type is at_unix_epoch(MICRO)
    assert model["reverseFlowStartMicroseconds"].type is at_unix_epoch(MICRO)
    assert elements["flowStartMicroseconds"].type is MICRO
    assert model["octetDeltaCount"] is elements["octetDeltaCount"]
    assert len(model) == len(elements)
    with pytest.raises(ValueError, match="1900 or 1970"):
        InformationModel.default().with_ntp_epoch(1980)


def test_export_and_read():
    np = pytest.importorskip("numpy")
    from scapy_ipfix import read_columns

    row = {"flowStartMicroseconds": WHEN, "flowEndNanoseconds": WHEN, "octetDeltaCount": 5}
    exporter = Exporter(ntp_epoch=1970)
    octets = b"".join(exporter.export_bytes(FLOW, [row]))
    assert int(WHEN.timestamp()).to_bytes(4, "big") in octets
    assert list(exporter.announce(FLOW))
    assert list(Exporter(ntp_epoch=1970).export_mixed([(FLOW, row)]))
    (record,) = iter_records(octets, values="python", session=IPFIXSession(ntp_epoch=1970))
    assert record == row
    (record,) = iter_records(octets, values="json", session=IPFIXSession(ntp_epoch=1970))
    assert record["flowStartMicroseconds"] == "2023-11-14T22:13:20.456789Z"
    (columns,) = read_columns(octets, session=IPFIXSession(ntp_epoch=1970)).values()
    assert columns["flowStartMicroseconds"][0] == np.datetime64("2023-11-14T22:13:20.456789")
    with pytest.raises(ValueError, match="1900 or 1970"):
        Exporter(ntp_epoch=2000)


@pytest.mark.parametrize("name", ["j-ntp-zero.pcap", "j2-microseconds-since-1970.pcap"])
def test_cases(name, capsys):
    if not CASES.is_dir():
        pytest.skip("no ../shared/cases beside the repository")
    epoch = ["--ntp-epoch", "1970"] if "1970" in name else []
    assert main([str(CASES / name), "--json", *epoch]) == 0
    printed = capsys.readouterr().out
    assert ('"flowStartMicroseconds": null' in printed) is (not epoch)
    assert ("2023-11-14T22:13:20.456789Z" in printed) is bool(epoch)

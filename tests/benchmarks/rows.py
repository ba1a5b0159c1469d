# SPDX-License-Identifier: GPL-2.0-or-later
"""The table, declared: what is measured, against whom, and the bars."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """Meaning of the ratio of a row, and the required side of its bar."""

    SPEED = "times as fast"  # records a second, ours to theirs: at least the bar
    TIME = "times the time"  # seconds a record, ours to theirs: at most the bar
    GROWTH = "times the time for ten times the messages"  # at most the bar
    MEMORY = "times the peak memory for ten times the messages"  # at most the bar

    @property
    def at_most(self) -> bool:
        return self is not Kind.SPEED


@dataclass(frozen=True)
class Side:
    """A contestant in a row.

    ``share`` is the part of the workload's messages it is given: less than 1 for the slow,
    whose rate is by the record all the same, and 10 to see what ten times the messages do.
    It gets ``repeat`` turns at most, each of ``runs`` runs one straight after the other.
    ``note`` says where the work is not quite the same.
    """

    contestant: str
    bar: float | None = None
    share: float = 1
    checked: bool = True
    repeat: int = 1000
    runs: int = 1
    note: str = ""


@dataclass(frozen=True)
class Row:
    """Some work, who does it, and who it is compared with."""

    key: str
    what: str
    workload: str
    ours: Side
    rivals: tuple[Side, ...]
    kind: Kind = Kind.SPEED


SESSION = "Scapy NetflowSession"


def _readers(
    python_ipfix: float | None = None,
    netflume: float | None = None,
    session: float | None = None,
    limit: float | None = None,
    note: str = "",
) -> tuple[Side, ...]:
    """Return rows of the readers of records as dicts, with bars for their workloads."""
    return (
        Side("python-ipfix namedict", bar=python_ipfix, share=0.2, note=note),
        Side("netflume", bar=netflume, share=0.2, note=note),
        Side("netflow", share=0.05),
        Side(SESSION, bar=session, share=0.02),
        Side("limit: iter_unpack + dict(zip())", bar=limit),
    )


def _reported(key: str, what: str) -> Row:
    """Return the row of a workload with one bar: not slower than python-ipfix."""
    what = f"iter_records(path): {what}"
    return Row(key, what, key, Side("iter_records", share=0.2), _readers(1))


def _growth(key: str, what: str, contestant: str, share: float) -> Row:
    # Ten times the messages against once, ten times over: both sides are ours.
    many = Side(contestant, share=10 * share, checked=False, repeat=6)
    once = Side(contestant, bar=11, share=share, checked=False, repeat=6, runs=10)
    return Row(key, what, "a", many, (once,), Kind.GROWTH)


def _memory(key: str, what: str, contestant: str) -> Row:
    many = Side(contestant, share=10, checked=False, repeat=1)
    once = Side(contestant, bar=1.05, checked=False, repeat=1)
    return Row(key, what, "a", many, (once,), Kind.MEMORY)


def _command(key: str, what: str, share: float, bar: float, repeat: int) -> Row:
    ours = Side("scapy-ipfix --json", share=share, repeat=repeat)
    theirs = Side("tshark -T ek", bar=bar, share=share, repeat=repeat)
    return Row(key, what, "a", ours, (theirs,))


ROWS = (
    Row(
        "dicts",
        "iter_records(path) to dicts",
        "a",
        Side("iter_records"),
        _readers(2, 3, 20, 0.6),
    ),
    Row("dicts-random", "the same, no address twice", "a-random", Side("iter_records"), _readers()),
    Row(
        "dicts-python",
        "iter_records(path, values='python'): ipaddress, datetime",
        "a",
        Side("iter_records, values='python'", share=0.2),
        (Side("python-ipfix namedict", share=0.2),),
    ),
    Row(
        "tuples",
        "iter_records(path, fields=[4 elements]) to tuples",
        "a",
        Side("iter_records, four fields"),
        (
            Side("python-ipfix tuples", bar=2, share=0.2),
            Side("limit: iter_unpack, four elements"),
        ),
    ),
    Row(
        "sniff",
        "sniff(offline=path, session=IPFIXSession), records untouched",
        "a",
        Side("sniff, IPFIXSession", share=0.2),
        (Side("sniff, payload left Raw", bar=1.3, share=0.2),),
        Kind.TIME,
    ),
    Row(
        "sniff-read",
        "the same, every record a Packet, every field read",
        "a",
        Side("sniff, IPFIXSession, every field read", share=0.05),
        (Side("Scapy NetflowSession, every field read", bar=2, share=0.02),),
    ),
    Row(
        "craft",
        "DataSet(template=t, records=rows), dicts to bytes",
        "a",
        Side("DataSet", share=0.2),
        (Side("Scapy NetflowDataflowsetV9", bar=10, share=0.02),),
    ),
    Row(
        "export",
        "Exporter(domain=7).export(t, rows), tuples to bytes",
        "a",
        Side("Exporter", share=0.2),
        (Side("python-ipfix export_tuple", bar=1, share=0.2),),
    ),
    Row(
        "export-python",
        "the same, from ipaddress and datetime objects",
        "a",
        Side("Exporter, Python objects", share=0.2),
        (Side("python-ipfix export_tuple", share=0.2),),
    ),
    Row(
        "columns",
        "read_columns(path) to numpy arrays",
        "a",
        Side("read_columns"),
        (Side("python-ipfix namedict", bar=20, share=0.2),),
    ),
    _command("json", "scapy-ipfix --json, whole command", share=1, bar=1, repeat=3),
    _command("json-10x", "the same, ten times the records", share=10, bar=2, repeat=1),
    _reported("b", "(a) as NetFlow v9"),
    _reported("c", "variable-length strings, reduced-size counters"),
    _reported("d", "50 templates interleaved"),
    Row(
        "e",
        "iter_records(path, lists=False): structured data, left as octets",
        "e",
        Side("iter_records, lists=False", share=0.2),
        _readers(1),
    ),
    Row(
        "e-read",
        "iter_records(path): structured data, read as lists and dicts",
        "e",
        Side("iter_records", share=0.2),
        _readers(note="theirs leaves the lists as octets"),
    ),
    Row(
        "e-tuples",
        "iter_records(path, fields=[4 elements]): structured data, the lists passed over",
        "e",
        Side("iter_records, four fields", share=0.2),
        (Side("python-ipfix tuples", bar=1, share=0.2),),
    ),
    _growth("growth", "iter_records(path), ten times the messages", "iter_records", 0.2),
    _growth(
        "growth-sniff",
        "sniff(store=False), ten times the messages",
        "sniff, IPFIXSession, store=False",
        0.06,
    ),
    _memory("memory", "peak memory of iter_records(path), ten times the messages", "iter_records"),
    _memory(
        "memory-sniff",
        "peak memory of sniff(store=False), ten times the messages",
        "sniff, IPFIXSession, store=False",
    ),
)

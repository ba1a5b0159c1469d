# SPDX-License-Identifier: GPL-2.0-or-later
"""Packet classes of record layouts: shared, bounded, and not kept by Scapy."""

import gc
import itertools
from weakref import ref

import pytest
from scapy.config import conf
from scapy.packet import Packet, fuzz

from scapy_ipfix import DataSet, Record, Template
from scapy_ipfix.layers import recordclasses
from scapy_ipfix.layers.recordclasses import CLASS_CACHE, WIDE_CLASSES
from scapy_ipfix.layers.records import _classes, record_class
from scapy_ipfix.model.element import InformationElement
from scapy_ipfix.wire.codec import WIDE

FLOW = Template(256, "sourceIPv4Address", "octetDeltaCount[4]", "interfaceName")


def test_layouts_share_their_class():
    assert record_class(FLOW) is record_class(FLOW.with_id(999))
    assert record_class(FLOW) is not record_class(Template(256, "octetDeltaCount"))
    assert type(Record(FLOW)) is record_class(FLOW)
    assert type(Record(FLOW)).__name__ == "Record"
    assert issubclass(type(Record(FLOW)), Record)


def test_scapy_does_not_keep_the_classes():
    kept = {
        name: len(value)
        for name, value in vars(Packet).items()
        if name.startswith("class_") and isinstance(value, dict)
    }
    assert kept
    layers = len(conf.layers)
    for id in range(1, 200):
        template = Template(256, (77777, id), "octetDeltaCount")
        (record,) = DataSet(template=template, records=[(b"x", 5)]).records
        record.show(dump=True)
        bytes(record.copy())
        fuzz(Record(template)).show(dump=True)
    assert len(conf.layers) == layers
    for name, size in kept.items():
        assert len(getattr(Packet, name)) == size, name


def test_classes_are_bounded():
    def alive():
        gc.collect()
        return sum(issubclass(each, Record) for each in gc.get_objects() if isinstance(each, type))

    for id in range(1, CLASS_CACHE + 100):
        record_class(Template(256, (88888, id)))
    first = alive()
    for id in range(1, 200):
        record_class(Template(256, (88889, id)))
    assert alive() <= first


def test_few_classes_of_wide_layouts_are_kept():
    """Each takes megabytes."""
    wide = [Template(256 + at, *[(99999, at + 1)] * (WIDE + 1)) for at in range(WIDE_CLASSES + 3)]
    gc.collect()
    before = len(Record.__subclasses__())
    classes = [record_class(each) for each in wide]
    assert record_class(wide[-1]) is classes[-1]
    assert len(set(classes)) == len(wide)
    del classes
    gc.collect()
    assert len(Record.__subclasses__()) <= before + WIDE_CLASSES
    assert len(record_class(wide[0]).fields_desc) == WIDE + 1


@pytest.fixture
def rarely_collected(monkeypatch):
    """Have the cache force garbage collection after 100 classes, Python never."""
    monkeypatch.setattr(recordclasses, "_MAX_UNCOLLECTED", 100)
    thresholds = gc.get_threshold()
    gc.collect()
    gc.set_threshold(1_000_000)
    yield
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("rarely_collected")
def test_garbage_collection_counts_fields_of_wide_classes():
    for at in range(100):
        record_class(Template(256, *[(99998, at + 1)] * (4 * WIDE)))
    left = len([each for each in Record.__subclasses__() if len(each.fields_desc) == 4 * WIDE])
    assert left <= WIDE_CLASSES + 100 // (4 * WIDE // 64) + 1


@pytest.mark.usefixtures("rarely_collected")
def test_evicted_classes_are_freed_without_python_collecting_garbage():
    for id in range(1, CLASS_CACHE + 400):
        record_class(Template(256, (77777, id), (77777, id + 1)))
    classes = len(Record.__subclasses__())
    assert classes <= CLASS_CACHE + 100 + 10


def test_garbage_collection_stays_disabled(monkeypatch):
    monkeypatch.setattr(recordclasses, "_MAX_UNCOLLECTED", 1)
    gc.disable()
    try:
        before = gc.get_stats()[2]["collections"]
        record_class(Template(256, (77776, 1), (77776, 2)))
        assert gc.get_stats()[2]["collections"] == before
    finally:
        gc.enable()
    record_class(Template(256, (77776, 1), (77776, 3)))
    assert gc.get_stats()[2]["collections"] > before


def test_the_class_of_a_wide_layout_is_evicted():
    template = Template(256, *["octetDeltaCount[1]"] * 300)
    classes = record_class(template)
    assert record_class(template) is classes
    assert record_class(template.with_id(257)) is not classes
    assert Record(template, bytes(300)).octetDeltaCount_300 == 0
    classes = ref(classes)
    del template
    for at in range(WIDE_CLASSES):
        record_class(Template(256, *["packetDeltaCount[1]"] * (301 + at)))
    gc.collect()
    assert classes() is None


# Names


def attributes(*names):
    chosen = [InformationElement(name, i, 99999) for i, name in enumerate(names, 1)]
    return record_class(Template(256, *chosen))._attributes


def test_names_that_become_the_same_identifier():
    same = ("a.b.c", "a.b-c", "a-b.c", "a-b-c", "a_b_c")
    assert attributes(*same) == ("a_b_c", "a_b_c_", "a_b_c__", "a_b_c_4", "a_b_c_5")
    # A name of another field is passed over.
    assert attributes("a_b_c_4", *same)[1:] == ("a_b_c", "a_b_c_", "a_b_c__", "a_b_c_5", "a_b_c_6")
    assert attributes(*same, "a_b_c_4", "a_b_c_") == (
        *("a_b_c", "a_b_c_", "a_b_c__", "a_b_c_4", "a_b_c_5"),
        *("a_b_c_4_", "a_b_c___"),
    )


def test_thousands_of_names_that_become_the_same_identifier(monkeypatch):
    tries = 0

    class Reserved(frozenset):
        def __contains__(self, name):
            nonlocal tries
            tries += 1
            return super().__contains__(name)

    monkeypatch.setattr(_classes, "_reserved", Reserved(_classes._reserved))
    names = ["a" + "".join(each) for each in itertools.product("_.-", repeat=6)]
    found = attributes(*names)
    assert len(set(found)) == len(names) == 729
    assert tries < 3 * len(names)
    assert max(map(len, found)) < 16

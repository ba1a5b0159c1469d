# SPDX-License-Identifier: GPL-2.0-or-later
"""Information model: lookups by name and number, reverse elements, additions."""

import copy
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.model.datatypes import DATA_TYPES, VARIABLE, data_type
from scapy_ipfix.model.element import FieldSpec, InformationElement, UnknownElement
from scapy_ipfix.model.model import LEARNED, InformationModel, elements
from scapy_ipfix.model.registry import PLACEHOLDERS, SHIPPED, Registry
from scapy_ipfix.model.registryfiles import COLUMNS
from scapy_ipfix.model.reverse import REVERSE_PEN
from scapy_ipfix.wire.v9scopes import v9_scope

HEADER = ",".join(COLUMNS)
FILES = {
    "0_iana.csv": """
1,octetDeltaCount,unsigned64,deltaCounter,octets,,current,
2,packetDeltaCount,unsigned64,deltaCounter,packets,,current,
4,protocolIdentifier,unsigned8,identifier,,,current,enum:protocol
6,tcpControlBits,unsigned16,flags,,,current,
8,sourceIPv4Address,ipv4Address,default,,,current,
82,interfaceName,string,,,,current,
148,flowId,unsigned64,identifier,,,current,
""",
    "9_cisco.csv": """
12235,connectionId,unsigned32,,,,,
12236,applicationName,string,,,,,
""",
    "6871_cert.csv": """
14,initialTCPFlags,unsigned16,flags,,,,
18,applicationName,octetArray,,,,,
36,silkAppLabel,unsigned16,,,,,
16420,reverseSilkAppLabel,unsigned16,,,,,
""",
    "35632_ntop.csv": """
80,fragments,unsigned32,,,,,
""",
    "netflow9.csv": """
34,samplingRate,unsigned32,,,,,
33000,ingressAcl,octetArray,,,,,
""",
}
OTHERS = {
    "enterprises.csv": (
        "pen,name,reverse_bit,v9_base\n9,Cisco Systems,,\n6871,CERT,16384,\n35632,ntop,,57472\n"
    ),
    "netflow9_aliases.csv": (
        "id,alias\n1,IN_BYTES\n4,PROTOCOL\n34,SAMPLING_INTERVAL\n57552,FRAGMENTS\n1,BYTES\n"
    ),
    "enums/protocol.csv": "value,name\n6,tcp\n17,udp\n",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    (path / "enums").mkdir()
    for name, rows in FILES.items():
        (path / name).write_text(HEADER + rows)
    for name, text in OTHERS.items():
        (path / name).write_text(text)
    return path


@pytest.fixture
def model(directory: Path) -> InformationModel:
    return InformationModel(Registry(directory))


def named(name: str, id: int, pen: int, type: str = "unsigned32") -> InformationElement:
    return InformationElement(name, id, pen, data_type(type))


class TestByNumber:
    def test_known(self, model: InformationModel) -> None:
        assert model.element(0, 1).name == "octetDeltaCount"
        assert model.element(9, 12235) == named("connectionId", 12235, 9)
        assert model.element(9, 12235) is model.element(9, 12235)

    @given(st.integers(0, 0xFFFFFFFF), st.integers(0, 0x7FFF))
    def test_nothing_on_the_wire_raises(self, pen: int, id: int) -> None:
        element = elements.element(pen, id)
        assert (element.pen, element.id) == (pen, id)

    @given(st.integers(0, 0xFFFF))
    def test_nothing_on_the_v9_wire_raises(self, field_type: int) -> None:
        element = elements.v9_element(field_type)
        assert elements.v9_type(element) == field_type

    def test_unknown(self, model: InformationModel) -> None:
        element = model.element(9, 1)
        assert element == InformationElement("_ipfix_9_1", 1, 9)
        assert not element.is_known
        assert model.element(9, 1) is element
        assert (9, 1) not in model

    def test_out_of_range(self, model: InformationModel) -> None:
        for pen, id in ((0, 65536), (9, 32768), (1 << 32, 1), (0, -1)):
            with pytest.raises(ValueError, match="give 0 to"):
                model.element(pen, id)
        with pytest.raises(ValueError, match="give 0 to"):
            model.v9_element(65536)

    def test_unknown_field_types(
        self, model: InformationModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Placeholders skip the checks and a second lookup, since a message may have 16,000."""
        made = InformationElement("_ipfix_0_50000", 50000)
        assert (made.is_known, made.length) == (False, 65535)
        looked: list[int] = []
        known, check = InformationModel.known, InformationElement.__post_init__
        monkeypatch.setattr(
            InformationModel, "known", lambda *key: looked.append(key[2]) or known(*key)
        )
        monkeypatch.setattr(
            InformationElement, "__post_init__", lambda self: looked.append(-1) or check(self)
        )
        assert model.v9_element(50000) == made
        assert model.v9_element(50000) is model.element(0, 50000)
        assert looked == []
        assert v9_scope(1000) == v9_scope(1000)
        assert looked == []
        assert v9_scope(1000) == InformationElement("_scope_1000", 1000)
        assert v9_scope(1000).is_known
        with pytest.raises(ValueError, match="id 65536 of element _scope_65536: give 0 to 65535"):
            v9_scope(65536)

    def test_placeholders_are_bounded(self, model: InformationModel) -> None:
        known = model.element(0, 1)
        for pen in range(100_000, 100_000 + 3 * PLACEHOLDERS):
            model.element(pen, 1)
        registry = model._registry
        assert len(registry._placeholders) == PLACEHOLDERS
        assert registry._found.keys() - set(registry._placeholders) == {(0, 1)}
        assert model.element(0, 1) is known
        assert len(registry._elements) <= 1

    def test_models_of_a_registry_share_its_cache(self, model: InformationModel) -> None:
        """Each exporter that describes an element has a model, and may send 16,000 numbers."""
        twins = [model.copy() for _ in range(10)]
        for number, twin in enumerate(twins):
            twin.learn(named(f"own{number}", 1 + number, 77))
        for twin in twins:
            for id in range(1000, 1100):
                assert twin.element(5, id) is model.element(5, id)
                assert twin.v9_element(id) is model.v9_element(id)
        assert pickle.loads(pickle.dumps(model._registry))._found == {}
        held = [len(each) for each in vars(twins[0]).values() if isinstance(each, dict)]
        assert max(held) == 1

    def test_an_enterprise_without_a_file(self, model: InformationModel) -> None:
        assert not model.element(424242, 7).is_known


class TestNetFlow9:
    def test_iana(self, model: InformationModel) -> None:
        assert model.v9_element(8) is model.element(0, 8)

    def test_field_type_that_differs_from_iana(self, model: InformationModel) -> None:
        assert model.v9_element(34).name == "samplingRate"
        assert not model.element(0, 34).is_known
        assert model["samplingRate"] is model.v9_element(34)

    def test_above_15_bits(self, model: InformationModel) -> None:
        assert model.v9_element(33000).name == "ingressAcl"
        assert model["ingressAcl"] is model[33000] is model.element(0, 33000)

    def test_an_enterprise_with_field_types(self, model: InformationModel) -> None:
        fragments = model.v9_element(57472 + 80)
        assert fragments is model.element(35632, 80) or fragments == model.element(35632, 80)
        assert model.v9_type(fragments) == 57552
        assert model["FRAGMENTS"] == fragments

    def test_unknown(self, model: InformationModel) -> None:
        assert model.v9_element(40000).name == "_ipfix_0_40000"
        assert model.v9_element(57472 + 81).name == "_ipfix_0_57553"
        assert model.v9_element(100).name == "_ipfix_0_100"

    def test_no_field_type(self, model: InformationModel) -> None:
        assert model.v9_type(model[33000]) == 33000
        with pytest.raises(ValueError, match=r"connectionId\(9/12235\)<unsigned32>\[4\] has no"):
            model.v9_type(model[9, 12235])
        with pytest.raises(ValueError, match="no NetFlow v9 field type"):
            model.v9_type(named("far", 0x7FFF, 35632))

    def test_own(self, model: InformationModel) -> None:
        assert not model.v9_element(40000).is_known
        model.add(named("mine", 40000, 0))
        assert model.v9_element(40000).name == "mine"


class TestByName:
    @pytest.mark.parametrize(
        "key",
        ["octetDeltaCount", "IN_BYTES", "in_bytes", "BYTES", "_ipfix_0_1", 1, (0, 1), "(1)"],
    )
    def test_every_kind_of_key(
        self, model: InformationModel, key: str | int | tuple[int, int]
    ) -> None:
        assert model[key].id == 1
        assert key in model

    def test_an_element_as_the_key(self, model: InformationModel) -> None:
        element = named("unheardOf", 1, 99999)
        assert model[element] is element

    def test_alias_of_a_field_type_that_differs_from_iana(self, model: InformationModel) -> None:
        assert model["SAMPLING_INTERVAL"].name == "samplingRate"

    def test_an_enterprise(self, model: InformationModel) -> None:
        assert model["connectionId"].pen == 9

    def test_a_placeholder(self, model: InformationModel) -> None:
        assert model["_ipfix_9_1"].name == "_ipfix_9_1"
        assert model["_ipfix_9_12235"].name == "connectionId"

    def test_several_enterprises(self, model: InformationModel) -> None:
        with pytest.raises(
            ValueError, match=r"applicationName\(9/12236\), applicationName\(6871/18\)"
        ):
            model["applicationName"]
        assert model.get("applicationName") is None
        assert "applicationName" not in model

    def test_unknown_name_suggests_similar_ones(self, model: InformationModel) -> None:
        with pytest.raises(UnknownElement) as caught:
            model["octetdeltacont"]
        assert caught.value.key == "octetdeltacont"
        assert caught.value.matches[0] == "octetDeltaCount"
        assert "'octetdeltacont'; similar names: octetDeltaCount" in str(caught.value)
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, KeyError)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)

    @pytest.mark.parametrize("key", ["", "nope", 3, (9, 1), (1, 2, 3), None, 1.5, "a b", "nope[4]"])
    def test_missing(self, model: InformationModel, key: object) -> None:
        assert key not in model
        assert model.get(key) is None
        default = model.element(0, 1)
        assert model.get(key, default) is default
        with pytest.raises(ValueError, match=r"nope|3|9|None|1\.5|IESpec|''|a b"):
            model[key]  # type: ignore[index]

    def test_lookup_defines_nothing(self, model: InformationModel) -> None:
        assert model["foo(99999/1)<unsigned32>"] == named("foo", 1, 99999)
        assert (99999, 1) not in model


class TestReverse:
    def test_iana(self, model: InformationModel) -> None:
        reverse = model["reverseOctetDeltaCount"]
        assert (reverse.pen, reverse.id) == (REVERSE_PEN, 1)
        assert reverse is model.element(REVERSE_PEN, 1)
        forward = model["octetDeltaCount"]
        assert reverse.type is forward.type
        assert (reverse.semantics, reverse.units) == (forward.semantics, forward.units)
        assert model.reverse(forward) is reverse
        assert model.element(REVERSE_PEN, 4).values == model.element(0, 4).values is not None

    def test_not_reversible(self, model: InformationModel) -> None:
        assert not model.element(REVERSE_PEN, 148).is_known
        assert "reverseFlowId" not in model
        assert model.reverse(model["flowId"]) is None

    def test_unknown(self, model: InformationModel) -> None:
        assert not model.element(REVERSE_PEN, 600).is_known
        assert model.reverse(model.element(0, 600)) is None
        assert not model.element(6871, 0x4001).is_known

    def test_an_enterprise_with_a_bit(self, model: InformationModel) -> None:
        reverse = model.element(6871, 0x400E)
        assert reverse.name == "reverseInitialTCPFlags"
        assert model["reverseInitialTCPFlags"] is reverse
        assert model.reverse(model["initialTCPFlags"]) is reverse
        assert model.reverse(reverse) is None

    def test_an_enterprise_that_registered_it(self, model: InformationModel) -> None:
        assert model["reverseSilkAppLabel"] is model.element(6871, 36 | 0x4000)

    def test_an_enterprise_without(self, model: InformationModel) -> None:
        assert model.reverse(model["connectionId"]) is None
        assert "reverseConnectionId" not in model

    def test_added(self, model: InformationModel) -> None:
        model.add(named("newCount", 600, 0))
        assert model.element(REVERSE_PEN, 600).name == "reverseNewCount"
        assert model["reverseNewCount"].type is data_type("unsigned32")

    def test_a_name_is_not_enough(self, model: InformationModel) -> None:
        assert "reverse" not in model
        assert "reverseoctetDeltaCount" not in model
        model.add(named("reverser", 1, 99999))
        assert model["reverser"].pen == 99999


class TestSpec:
    @pytest.mark.parametrize(
        ("text", "id", "length"),
        [
            ("octetDeltaCount", 1, 8),
            ("(1)", 1, 8),
            ("(0/1)", 1, 8),
            ("octetDeltaCount[4]", 1, 4),
            ("octetDeltaCount(1)", 1, 8),
            ("octetDeltaCount<unsigned64>", 1, 8),
            ("octetDeltaCount(1)<unsigned64>[2]", 1, 2),
            ("IN_BYTES[4]", 1, 4),
            ("IN_BYTES(1)", 1, 8),
            ("_ipfix_0_1(1)", 1, 8),
            ("interfaceName", 82, VARIABLE),
            ("interfaceName[v]", 82, VARIABLE),
            ("interfaceName[65535]", 82, VARIABLE),
            ("interfaceName[32]", 82, 32),
        ],
    )
    def test_known(self, model: InformationModel, text: str, id: int, length: int) -> None:
        assert model.spec(text) == FieldSpec(model[id], length)

    def test_element_and_length(self, model: InformationModel) -> None:
        element, length = model.spec("(9/12235)[2]")
        assert (element.name, length) == ("connectionId", 2)

    def test_defines(self, model: InformationModel) -> None:
        element, length = model.spec("foo(99999/1)<unsigned32>[2]")
        assert (element, length) == (named("foo", 1, 99999), 2)
        assert model["foo"] is model.element(99999, 1) is element
        assert model.spec("foo(99999/1)<unsigned32>").element is element

    def test_without_defining(self, model: InformationModel) -> None:
        element, _ = model.spec("foo(99999/1)<unsigned32>", define=False)
        assert element == named("foo", 1, 99999)
        assert "foo" not in model

    def test_placeholder(self, model: InformationModel) -> None:
        assert model.spec("(9/1)") == FieldSpec(model.element(9, 1), VARIABLE)
        assert model.spec("(9/1)[3]").length == 3
        assert (9, 1) not in model
        element, _ = model.spec("(9/1)<unsigned32>")
        assert element == named("_ipfix_9_1", 1, 9)
        assert model.element(9, 1) is element
        # An exporter may add a name later, but not another type.
        with pytest.raises(ValueError, match="contradicts"):
            model.spec("(9/1)<unsigned8>")
        model.add(named("one", 1, 9))
        assert model["one"] is model["_ipfix_9_1"]

    @pytest.mark.parametrize("define", [True, False])
    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("foo(1)", r"contradicts octetDeltaCount\(1\)<unsigned64>\[8\]"),
            ("packetDeltaCount(1)", "contradicts octetDeltaCount"),
            ("octetDeltaCount<unsigned32>", "contradicts octetDeltaCount"),
            ("octetDeltaCount(9/1)<unsigned64>", "has the name of octetDeltaCount"),
            ("reverseOctetDeltaCount(9/1)<unsigned64>", "has the name of reverseOctetDeltaCount"),
            ("connectionId(9/1)<unsigned32>", "has the name of connectionId"),
            ("foo(99999/1)", "add a <type>"),
            ("foo(99999/1)<unsigned31>", "no data type 'unsigned31'"),
            ("foo(99999/40000)<string>", "id 40000 of element foo"),
            ("foo", "no Information Element 'foo'"),
            ("octetDeltaCount[", r"unexpected '\['"),
        ],
    )
    def test_errors(self, model: InformationModel, text: str, complaint: str, define: bool) -> None:
        with pytest.raises(ValueError, match=complaint):
            model.spec(text, define)
        assert len(model) == len(InformationModel(model._registry))

    def test_round_trip_of_known_elements(self, model: InformationModel) -> None:
        for element in model:
            assert model.spec(str(element)) == FieldSpec(element, element.length)

    @given(
        st.integers(1, 0xFFFFFFFF),
        st.integers(0, 0x7FFF),
        st.from_regex(r"[a-z][A-Za-z0-9_.-]{0,30}", fullmatch=True),
        st.sampled_from(sorted(DATA_TYPES)),
    )
    def test_round_trip_of_defined_elements(self, pen: int, id: int, name: str, type: str) -> None:
        element = named(name, id, pen, type)
        model = InformationModel()
        assert model.spec(str(element)).element == element
        assert model[name] == model[pen, id] == element


class TestAdd:
    def test_found_at_once(self, model: InformationModel) -> None:
        assert not model.element(9, 1).is_known
        model.add(named("one", 1, 9))
        assert model.element(9, 1) is model["one"] is model[9, 1]

    @pytest.mark.parametrize(
        "element",
        [
            named("another", 1, 0, "unsigned64"),
            named("octetDeltaCount", 1, 0, "unsigned32"),
            named("octetDeltaCount", 3, 0, "unsigned64"),
            named("octetDeltaCount", 3, 9, "unsigned64"),
            named("reverseOctetDeltaCount", 3, 9, "unsigned64"),
            named("other", 1, REVERSE_PEN, "unsigned64"),
            named("another", 12235, 9),
            named("connectionId", 1, 9),
            named("samplingRate", 1, 9),
            named("mine", 2, 99999),
            named("mine2", 1, 99999),
        ],
        ids=str,
    )
    def test_conflicts(self, model: InformationModel, element: InformationElement) -> None:
        model.add(named("mine", 1, 99999))
        with pytest.raises(ValueError, match=r"contradicts|has the name of"):
            model.add(element)

    def test_the_same_again(self, model: InformationModel) -> None:
        mine = named("mine", 1, 99999)
        model.add(mine)
        model.add(named("mine", 1, 99999))
        detailed = InformationElement("mine", 1, 99999, data_type("unsigned32"), units="octets")
        model.add(detailed)
        assert model["mine"].units == "octets"
        assert len([each for each in model if each.pen == 99999]) == 1

    def test_replace(self, model: InformationModel) -> None:
        model.add(named("octets", 1, 0, "unsigned32"), replace=True)
        assert model.element(0, 1).name == "octets"
        assert model["octets"] == model[1]
        model.add(named("bytes", 1, 0, "unsigned32"), replace=True)
        assert "octets" not in model
        assert model["bytes"] == model[1]

    def test_a_name_of_other_enterprises_is_free(self, model: InformationModel) -> None:
        model.add(named("connectionId", 1, 99999))
        assert model["connectionId"].pen == 99999

    def test_copies_go_their_own_way(self, model: InformationModel) -> None:
        model.add(named("before", 1, 99999))
        twin = model.copy()
        twin.add(named("twin", 2, 99999))
        model.add(named("model", 3, 99999))
        assert "before" in twin
        assert "twin" not in model
        assert "model" not in twin
        assert not model.element(99999, 2).is_known
        assert twin.element(0, 1) is model.element(0, 1)

    def test_the_default_is_not_touched_by_a_copy(self) -> None:
        elements.copy().add(named("mine", 1, 99999))
        assert "mine" not in elements
        assert InformationModel.default()["octetDeltaCount"] is elements["octetDeltaCount"]


class TestLearn:
    def test_new(self, model: InformationModel) -> None:
        assert model.learn(named("mine", 1, 99999))
        assert model["mine"].pen == 99999

    @pytest.mark.parametrize(
        "element",
        [
            named("other", 1, 0),
            named("octetDeltaCount", 1, 99999),
            named("connectionId", 1, 99999),
            named("applicationName", 1, 99999),
            named("IN_BYTES", 1, 99999),
            named("reverseOctetDeltaCount", 1, 99999),
            named("other", 12235, 9),
            named("other", 1, REVERSE_PEN),
        ],
        ids=str,
    )
    def test_known_elements_are_kept(
        self, model: InformationModel, element: InformationElement
    ) -> None:
        before = list(model)
        assert not model.learn(element)
        assert list(model) == before

    def test_once(self, model: InformationModel) -> None:
        assert model.learn(named("mine", 1, 99999))
        assert not model.learn(named("mine", 1, 99999))
        assert not model.learn(named("mine", 2, 99999))

    def test_bounded(self, model: InformationModel, monkeypatch: pytest.MonkeyPatch) -> None:
        assert LEARNED >= 1000
        monkeypatch.setitem(InformationModel.learn.__globals__, "LEARNED", 3)
        done = [model.learn(named(f"e{id}", id, 99999)) for id in range(5)]
        assert done == [True, True, True, False, False]
        assert not model.copy().learn(named("x", 9, 99999))

    def test_known_at(self, model: InformationModel) -> None:
        for learned, id in enumerate((9001, 9002)):
            assert model.learned == learned
            assert model.learn(named(f"e{id}", id, 6871))  # CERT's reverse bit is 0x4000
        for learned, expected in enumerate(
            [
                ["_ipfix_6871_9001", "_ipfix_6871_25385", "_ipfix_6871_9002"],
                ["e9001", "reverseE9001", "_ipfix_6871_9002"],
                ["e9001", "reverseE9001", "e9002"],
            ]
        ):
            numbers = 9001, 9001 | 0x4000, 9002
            then = [model.copy().element_at(6871, id, learned) for id in numbers]
            assert [each.name for each in then] == expected
            types = [model.copy().type_at(6871, id, learned) for id in numbers]
            assert types == [each.type for each in then]
            assert model.element_at(0, 1, learned) is model["octetDeltaCount"]
            assert model.type_at(0, 1, learned) is model["octetDeltaCount"].type

    def test_reverse_that_was_learned_by_itself_known_at(self, model: InformationModel) -> None:
        reverse = 6871, 9001 | 0x4000
        assert model.learn(named("backwards", reverse[1], 6871))
        assert model.learn(named("forwards", 9001, 6871))
        assert model.element_at(*reverse, 0).name == "_ipfix_6871_25385"
        assert model.element_at(*reverse, 1).name == "backwards"
        assert model.element_at(*reverse, 2).name == "backwards"


class TestLoad:
    def test_iespecs(self, model: InformationModel, tmp_path: Path) -> None:
        path = tmp_path / "mine.iespec"
        path.write_text("# mine\nfoo(99999/1)<string>[65535]\nbar(99999/2)<unsigned8>[1]\n(1)\n")
        assert model.load(path) == 3
        assert model["foo"].type is data_type("string")
        assert model["bar"].id == 2

    def test_own_csv(self, model: InformationModel, tmp_path: Path) -> None:
        path = tmp_path / "99999_mine.csv"
        path.write_text(f"{HEADER}\n1,foo,string,,,,,\n")
        assert model.load(str(path)) == 1
        assert model["foo"].pen == 99999
        other = InformationModel()
        assert other.load(path, pen=7) == 1
        assert other["foo"].pen == 7

    def test_xml(self, model: InformationModel, tmp_path: Path) -> None:
        path = tmp_path / "ipfix.xml"
        path.write_text(
            '<registry xmlns="http://www.iana.org/assignments"><record><name>newCount</name>'
            "<dataType>unsigned64</dataType><elementId>600</elementId></record></registry>"
        )
        assert model.load(path) == 1
        assert model[600].name == "newCount"

    def test_value_names_are_kept_by_a_registry_without(
        self, model: InformationModel, tmp_path: Path
    ) -> None:
        path = tmp_path / "iana.csv"
        path.write_text(
            "ElementID,Name,Abstract Data Type,Data Type Semantics,Status,Units,Range\n"
            "4,protocolIdentifier,unsigned8,identifier,deprecated,,\n"
        )
        assert model.load(path) == 1
        assert model[4].status == "deprecated"
        assert model[4].values is not None
        assert model[4].values.text(6) == "tcp"

    def test_names_in_use_keep_their_element(self, model: InformationModel, tmp_path: Path) -> None:
        path = tmp_path / "99999_mine.csv"
        path.write_text(
            f"{HEADER}\n1,octetDeltaCount,string,,,,,\n2,a,string,,,,,\n3,a,string,,,,,\n"
        )
        assert model.load(path) == 3
        assert model["octetDeltaCount"].pen == 0
        assert model[99999, 1].name == "octetDeltaCount"
        assert model["a"].id == 2
        model.add(named("b", 3, 99999), replace=True)
        assert model["a"].id == 2

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("<registry/>", ":1: no Information Elements"),
            ("new(99999/9)<string>\nfoo[\n", ":2: IESpec 'foo['"),
            ("new(99999/9)<string>\n\nfoo(1)\n", ":3: IESpec 'foo(1)' contradicts"),
            (f"{HEADER}\n9,new,string,,,,,\n1,x,string,,,,,\n", ":3: x(1)<string>[v] contradicts"),
        ],
    )
    def test_all_or_nothing(
        self, model: InformationModel, tmp_path: Path, text: str, complaint: str
    ) -> None:
        path = tmp_path / "mine"
        path.write_text(text)
        with pytest.raises(ValueError) as caught:
            model.load(path)
        assert str(caught.value).startswith(f"{path}{complaint}")
        assert "new" not in model


class TestAll:
    def test_sorted_and_counted(self, model: InformationModel) -> None:
        model.add(named("mine", 1, 5))
        numbers = [(each.pen, each.id) for each in model]
        assert numbers == sorted(set(numbers))
        assert len(model) == len(numbers) == 7 + 1 + 1 + 2 + 4 + 1
        assert (0, 33000) in numbers
        assert (5, 1) in numbers

    def test_search(self, model: InformationModel) -> None:
        def found(text: str) -> list[str]:
            return [each.name for each in model.search(text)]

        assert found("DELTA") == ["octetDeltaCount", "packetDeltaCount"]
        assert found("in_byt") == ["octetDeltaCount"]
        assert found("1223") == ["connectionId", "applicationName"]
        assert found("cisco sys") == ["connectionId", "applicationName"]
        assert found("samplingR") == ["samplingRate"]
        assert found("sampling_i") == ["samplingRate"]
        assert found("none such") == []

    def test_search_prints_as_a_table(self, model: InformationModel) -> None:
        assert repr(model.search("delta")).splitlines() == [
            "name              id  pen  type        semantics     units",
            "octetDeltaCount   1   0    unsigned64  deltaCounter  octets",
            "packetDeltaCount  2   0    unsigned64  deltaCounter  packets",
        ]
        assert repr(model.search("none such")) == "name  id  pen  type  semantics  units"

    def test_prints_as_a_table(self, model: InformationModel) -> None:
        lines = str(model).splitlines()
        assert lines[0].split() == ["pen", "enterprise", "elements"]
        assert lines[1].split() == ["0", "IANA", "7"]
        assert lines[-1].split() == ["NetFlow", "v9", "alone", "2"]

    def test_repr_is_one_line(self, model: InformationModel) -> None:
        others = sum(1 for each in model if each.pen)
        assert repr(model).startswith(f"<InformationModel: 7 IANA elements, {others} of ")
        assert repr(model).endswith(" enterprises>")
        copy = model.copy()
        copy.add(InformationElement("mine", 1, 99999))
        assert repr(copy) == f"{repr(model)[:-1]}, 1 added>"

    def test_search_in_a_notebook(self, model: InformationModel) -> None:
        html = model.search("octetDeltaCount")._repr_html_()
        assert html.count("<tr>") == 1 + len(model.search("octetDeltaCount"))
        assert "<td>octetDeltaCount</td>" in html

    def test_enterprises(self, model: InformationModel) -> None:
        assert model.enterprises[9] == "Cisco Systems"
        assert model.enterprises[0] == "IANA"

    def test_v9_names(self, model: InformationModel) -> None:
        assert model.v9_names(model[1]) == ("IN_BYTES", "BYTES")
        assert model.v9_names(model["samplingRate"]) == ("SAMPLING_INTERVAL",)
        assert model.v9_names(model["fragments"]) == ("FRAGMENTS",)
        assert model.v9_names(model["connectionId"]) == ()
        assert model.v9_names(model[2]) == ()

    def test_an_empty_model(self) -> None:
        model = InformationModel()
        assert list(model) == []
        assert not model.element(0, 1).is_known
        model.add(named("mine", 1, 99999))
        assert [str(each) for each in model] == ["mine(99999/1)<unsigned32>[4]"]


class TestDefault:
    """Default model of the package."""

    def test_iana_only_reads_iana(self) -> None:
        registry = Registry(SHIPPED.directory)
        model = InformationModel(registry)
        assert model["sourceIPv4Address"] is model.element(0, 8)
        assert list(registry._elements) == [0]

    def test_every_element_by_name(self) -> None:
        for element in SHIPPED.elements(0).values():
            assert elements[element.name] is elements.element(0, element.id)

    def test_every_element_makes_its_spec(self) -> None:
        model = InformationModel.default()
        for element in elements:
            if elements.get(element.name) == element:
                assert model.spec(str(element), define=False).element == element

    def test_copies_and_pickles_of_elements(self) -> None:
        element = elements["tcpControlBits"]
        assert copy.deepcopy(element) == element
        assert pickle.loads(pickle.dumps(element)) == element

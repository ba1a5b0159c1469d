# SPDX-License-Identifier: GPL-2.0-or-later
"""IESpecs: parsing and formatting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scapy_ipfix.model.datatypes import DATA_TYPES, VARIABLE
from scapy_ipfix.model.iespec import IESpec, is_iespec, parse_iespec

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,30}", fullmatch=True)
sizes = st.none() | st.integers(0, VARIABLE)
types = st.sampled_from(["", *DATA_TYPES])


@st.composite
def iespecs(draw: st.DrawFn) -> IESpec:
    name = draw(st.just("") | names)
    id = draw(st.integers(0, 0xFFFF) if not name else st.none() | st.integers(0, 0xFFFF))
    pen = draw(st.none() | st.integers(1, 0xFFFFFFFF)) if id is not None else None
    return IESpec(name, pen, id, draw(types), draw(sizes))


class TestIESpec:
    @given(iespecs())
    def test_round_trip(self, spec: IESpec) -> None:
        assert parse_iespec(str(spec)) == spec

    @pytest.mark.parametrize(
        ("text", "parts"),
        [
            ("octetDeltaCount", IESpec("octetDeltaCount")),
            ("(2)", IESpec(id=2)),
            ("(9/12235)", IESpec(pen=9, id=12235)),
            ("(0/1)", IESpec(pen=0, id=1)),
            ("octetDeltaCount[4]", IESpec("octetDeltaCount", size=4)),
            ("wlanSSID[v]", IESpec("wlanSSID", size=VARIABLE)),
            ("wlanSSID[65535]", IESpec("wlanSSID", size=VARIABLE)),
            ("  foo(99999/1)<unsigned32>\n", IESpec("foo", 99999, 1, "unsigned32")),
            ("a(1)<string>[0]", IESpec("a", None, 1, "string", 0)),
        ],
    )
    def test_partial(self, text: str, parts: IESpec) -> None:
        assert parse_iespec(text) == parts

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("octetDeltaCount[x]", r"unexpected '\[x\]' at position 15"),
            ("octetDeltaCount(1", r"unexpected '\(1' at position 15"),
            ("octetDeltaCount(-1)", "position 15"),
            ("octetDeltaCount[4]<unsigned64>", "unexpected '<unsigned64>' at position 18"),
            ("octet DeltaCount", "unexpected ' DeltaCount' at position 5"),
            ("foo(1/2/3)", "position 3"),
            ("foo(\u0661)", "position 3"),
            ("foo[65536]", "size 65536 is above 65535"),
            ("foo(123456)", "position 3"),
            ("", "neither a name nor a number"),
            ("[4]", "neither a name nor a number"),
            ("<string>", "neither a name nor a number"),
        ],
    )
    def test_malformed(self, text: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            parse_iespec(text)

    @given(st.text(max_size=40))
    def test_any_text_parses_or_raises(self, text: str) -> None:
        try:
            spec = parse_iespec(text)
        except ValueError:
            return
        assert parse_iespec(str(spec)) == spec._replace(pen=spec.pen or None)

    def test_variable_is_v(self) -> None:
        assert str(IESpec("a", 9, 1, "string", VARIABLE)) == "a(9/1)<string>[v]"

    def test_is_iespec(self) -> None:
        assert not is_iespec("octetDeltaCount")
        assert all(is_iespec(text) for text in ("(1)", "a[4]", "a<string>"))

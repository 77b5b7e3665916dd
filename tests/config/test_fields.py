"""Records that explain and check their fields, and TOML."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkef_fast.config import toml
from pkef_fast.config.fields import Fields, field, plain
from pkef_fast.config.space import Choice, Range
from pkef_fast.errors import InputError


@dataclass(frozen=True)
class Some(Fields):
    count: int = field(3, "How many.", low=1, high=9)
    share: float = field(0.5, "Which part.", low=0)
    kind: str = field("a", "Which one.", choices=("a", "bee"))
    name: str = field("x", "Its name.")
    sizes: tuple[int, ...] = field((1, 2), "Sizes.", low=0)
    weights: tuple[float, ...] = field((), "Weights.")
    yes: bool = field(False, "Whether.")


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("count", " 7 ", 7),
        ("count", 7.0, 7),
        ("count", "6/2", 3),
        ("share", "1/3", 1 / 3),
        ("share", "1e-300", 1e-300),
        ("share", 2, 2.0),
        ("kind", " bee ", "bee"),
        ("name", 5, "5"),
        ("sizes", "4, 0,1", (4, 0, 1)),
        ("sizes", "4,", (4,)),
        ("sizes", "", ()),
        ("sizes", 4, (4,)),
        ("sizes", [4.0, 1], (4, 1)),
        ("weights", "1/3,2", (1 / 3, 2.0)),
        ("yes", "YES", True),
        ("yes", "0", False),
        ("yes", True, True),
    ],
)
def test_values_as_they_are_typed(name, typed, value):
    found = getattr(Some().replaced(**{name: typed}), name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "typed", "sentence"),
    [
        ("cuont", 1, "'cuont' is unknown; did you mean 'count'"),
        ("count", 0, "'count' cannot be 0; wanted at least 1"),
        ("count", "10", "'count' cannot be 10; wanted at most 9"),
        ("count", 1.5, "'count' cannot be 1.5; wanted a whole number"),
        ("count", "7/2", "'count' cannot be '7/2'; wanted a whole number"),
        ("count", "inf", "wanted a whole number|wanted a finite number"),
        ("count", None, "'count' cannot be None; wanted a whole number"),
        ("count", True, "'count' cannot be True; wanted a number"),
        ("share", "nan", "'share' cannot be nan; wanted a finite number"),
        ("share", [1], r"'share' cannot be \[1\]; wanted a number"),
        ("kind", "be", "'kind' cannot be 'be'; did you mean 'bee'"),
        ("sizes", "1,-1", "'sizes' cannot be -1; wanted at least 0"),
        ("sizes", "1,x", "'sizes' cannot be 'x'; wanted a whole number"),
        ("weights", [float("inf")], "'weights' cannot be inf; wanted a finite number"),
        ("yes", "perhaps", "'yes' cannot be 'perhaps'; wanted true or false"),
        ("yes", 2, "'yes' cannot be 2; wanted true or false"),
    ],
)
def test_what_a_field_cannot_be(name, typed, sentence):
    with pytest.raises(InputError, match=sentence):
        Some().replaced(**{name: typed})


def test_a_record_that_was_made_by_hand_is_checked():
    assert Some().checked(()) == Some()
    with pytest.raises(InputError, match="'count' cannot be 0"):
        Some(count=0).checked(())


def test_values_are_shown_as_they_are_typed():
    for value in ((), (1, 2), 0.5, "a"):
        assert plain(value) == {(): "none", (1, 2): "1,2", 0.5: "0.5", "a": "a"}[value]


@given(
    st.builds(
        Some,
        count=st.integers(1, 9),
        share=st.floats(0, allow_infinity=False),
        kind=st.sampled_from(["a", "bee"]),
        name=st.text(st.characters(codec="utf-8")).map(str.strip),
        sizes=st.lists(st.integers(0, 2**62)).map(tuple),
        weights=st.lists(st.floats(allow_nan=False, allow_infinity=False)).map(tuple),
        yes=st.booleans(),
    )
)
def test_toml_reads_back_what_it_wrote(tmp_path_factory, config):
    path = tmp_path_factory.getbasetemp() / "config.toml"
    path.write_text(toml.dump(config, {"data": {"a": 1, "none": None}}), encoding="utf-8")
    fields, tables = toml.load(path)
    assert Some().replaced(**fields) == config
    assert tables == {"data": {"a": 1}}


def test_toml_says_what_each_field_means():
    text = toml.dump(Some())
    for line in ("# How many.\ncount = 3", "# Which one. [a | bee]\nkind = ", "sizes = [1, 2]"):
        assert line in text


def test_files_that_are_no_toml(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read: .*; wanted a TOML file"):
        toml.load(tmp_path / "none.toml")
    path = tmp_path / "a.toml"
    for content in (b"a = ", b"\xff", b"a = 1\na = 2"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not TOML"):
            toml.load(path)


def test_spaces():
    rest = Range("b", 0, 1, rest_of="a")
    assert rest.bounds({"a": 0.25}) == (0, 0.75)
    assert rest.bounds({"a": 2}) == (0, 0)
    assert Range("b", 1, 2).bounds({"a": 5}) == (1, 2)
    assert str(rest) == "b 0 … 1 − a"
    assert str(Range("lr", 1e-4, 0.1, log=True)) == "lr 0.0001 … 0.1 (log)"
    assert str(Choice("kind", ("a", 2))) == "kind a | 2"


def test_fractions_are_exact():
    assert Some().replaced(share="4/6").share == float(Fraction(4, 6))

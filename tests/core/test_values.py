"""Values behave as frozen, keyword-only dataclasses do."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, is_dataclass, replace
from functools import cached_property

import pytest

from gitrelease.core.values import frozen


@frozen
class Box:
    """One with every kind of field."""

    name: str
    size: int = 1
    parts: list[str] = field(default_factory=list)
    secret: str = field(default="", repr=False)
    note: str = field(default="", compare=False)

    @cached_property
    def label(self) -> str:
        """Is worked out once."""
        return f"{self.name} {self.size}"


@frozen
class Crate(Box):
    """One that has more."""

    lid: bool = True


@frozen
class Key:
    """One that can be looked up."""

    one: str
    other: tuple[int, ...] = ()


@frozen
class Nothing:
    """One without fields."""


@dataclass(frozen=True, kw_only=True)
class Plain:
    """What `Key` would be otherwise."""

    one: str
    other: tuple[int, ...] = ()


def test_values_are_made_from_their_fields() -> None:
    box = Box(name="a", parts=["p"])
    assert (box.name, box.size, box.parts, box.secret) == ("a", 1, ["p"], "")
    assert Box(name="a").parts is not Box(name="a").parts
    assert Crate(name="c", lid=False).lid is False
    assert repr(Crate(name="c")) == "Crate(name='c', size=1, parts=[], note='', lid=True)"


@pytest.mark.parametrize("given", [{}, {"size": 2}, {"name": "a", "other": 1}])
def test_a_field_that_is_missing_or_unknown_is_named(given: dict[str, object]) -> None:
    wrong = "has no 'other'" if "other" in given else "needs 'name'"
    with pytest.raises(TypeError, match=f"^Box {wrong}$"):
        Box(**given)  # type: ignore[arg-type]


def test_what_a_class_says_of_itself_would_not_count_and_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^Bad has its own __repr__, which would not count$"):

        @frozen
        class Bad:
            def __repr__(self) -> str:
                return "***"


def test_only_names_are_taken() -> None:
    with pytest.raises(TypeError):
        Key("a")  # type: ignore[call-arg]


def test_values_are_equal_when_their_fields_are() -> None:
    assert Box(name="a", note="x") == Box(name="a", note="y")
    assert Box(name="a") != Box(name="a", secret="x")
    assert Box(name="a") != Crate(name="a")
    assert Key(one="a") != Plain(one="a")  # type: ignore[comparison-overlap]
    assert Nothing() == Nothing()
    assert {Key(one="a", other=(1,)): 1}[Key(one="a", other=(1,))] == 1
    assert len({Key(one="a"), Key(one="a"), Key(one="b"), Nothing(), Nothing()}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(Box(name="a"))


def test_values_never_change() -> None:
    key = Key(one="a")
    with pytest.raises(FrozenInstanceError, match=r"Key\.one does not change"):
        key.one = "b"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del key.one
    box = Box(name="a")
    assert box.label is box.label


def test_what_dataclasses_offers_takes_them() -> None:
    assert all(is_dataclass(kind) for kind in (Box, Key, Nothing))
    assert [one.name for one in fields(Key)] == [one.name for one in fields(Plain)]
    assert replace(Key(one="a"), other=(2,)) == Key(one="a", other=(2,))
    assert repr(Key(one="a")) == repr(Plain(one="a")).replace("Plain", "Key")
    assert copy.deepcopy(Box(name="a", parts=["p"])) == Box(name="a", parts=["p"])
    assert pickle.loads(pickle.dumps(Key(one="a"))) == Key(one="a")  # noqa: S301

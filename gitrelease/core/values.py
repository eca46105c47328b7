"""Values: frozen, keyword-only dataclasses that take next to no time to define.

`dataclasses` writes and compiles the methods of each class anew whenever a program starts, and a command defines more
than a hundred of them: that was a third of what it took to begin. These share their methods. `replace`, `fields` and
what else `dataclasses` has for an instance take them for its own.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform

Made = TypeVar("Made")

_OURS = frozenset({"__post_init__", "__eq__", "__repr__"})
"""What a class cannot have of its own here."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def frozen(cls: type[Made]) -> type[Made]:
    """Make a class one of values: they never change, and are equal when their fields are."""
    if own := cls.__dict__.keys() & _OURS:
        raise TypeError(f"{cls.__name__} has its own {min(own)}, which would not count")
    of = fields(dataclass(init=False, repr=False, eq=False, kw_only=True)(cls))  # type: ignore[arg-type]
    names = frozenset(one.name for one in of)
    defaults = {one.name: one.default for one in of if one.default is not MISSING}
    factories = {one.name: one.default_factory for one in of if one.default_factory is not MISSING}
    shown = [one.name for one in of if one.repr]
    compared = [one.name for one in of if one.compare]
    key: Callable[[object], object] = attrgetter(*compared) if compared else lambda self: ()  # noqa: ARG005

    def init(self: object, **given: object) -> None:
        if given.keys() != names:
            given = {**defaults, **given}
            for name in factories.keys() - given.keys():
                given[name] = factories[name]()
            if wrong := sorted(given.keys() - names):
                raise TypeError(f"{cls.__name__} has no {wrong[0]!r}")
            if missing := sorted(names - given.keys()):
                raise TypeError(f"{cls.__name__} needs {missing[0]!r}")
        self.__dict__.update(given)

    def equal(self: object, other: object) -> bool:
        return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: object) -> int:
        return hash(key(self))

    def text(self: object) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def refuse(self: object, name: str, *_: Any) -> NoReturn:
        raise FrozenInstanceError(f"{type(self).__name__}.{name} does not change")

    methods = {"init": init, "eq": equal, "hash": hashed, "repr": text, "setattr": refuse, "delattr": refuse}
    for name, method in methods.items():
        setattr(cls, f"__{name}__", method)
    return cls


def expect_many() -> None:
    """Have Python look for garbage seldom: values refer to each other in one direction, so that among a hundred
    thousand there is next to none, and looking for it takes a tenth of the time.
    """
    gc.set_threshold(100_000, 50, 100)

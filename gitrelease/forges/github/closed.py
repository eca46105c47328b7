"""The packages that people closed on GitHub: found among the pull requests that changed last, as far as one looks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from itertools import islice

from gitrelease.core.names import HEADS, PackageName, RefName, package_of
from gitrelease.forges.github.asking import Asking
from gitrelease.forges.github.client import Value
from gitrelease.forges.github.values import at, text

_ALL_KNOWN = 50
"""After so many closed packages in a row about which all is known, older ones are not looked at."""
_MOST_GONE = 10
"""So many closed packages without a branch are named at a time: each is asked about, and some may be none at all."""
_OTHERS = 200
"""After so many closed pull requests that are no packages of ours, older ones are not looked at."""


class ClosedPulls:
    """Looks for packages whose pull request was closed; remembers that there was none beside those with branches."""

    def __init__(self, asking: Asking, main: Callable[[], str]) -> None:
        """Prepare; nothing is asked yet.

        Args:
            asking: puts the questions.
            main: gives the name of the main branch.
        """
        self._asking = asking
        self._main = main
        self._none_gone: frozenset[PackageName] | None = None
        """The packages that had branches when no other was found that was closed; while those do, none is."""

    def packages(
        self, heads: Set[PackageName], is_over: Callable[[PackageName], bool]
    ) -> Sequence[PackageName]:
        """Name the packages with a branch and no open pull request, and those of closed ones without a branch.

        Args:
            heads: the packages that have a branch.
            is_over: says of a package that it is settled, and nothing about it is new.
        """
        if not heads and self._none_gone == heads:
            return []
        open_, closed = self._asking.open_and_closed()
        is_open = {package_at(node) for node in open_}
        found = [name for name in sorted(heads) if name not in is_open]
        if self._none_gone == heads:
            return found
        gone = list(islice(dict.fromkeys(self._gone(closed, heads, is_over)), _MOST_GONE))
        self._none_gone = frozenset(heads) if not gone else None
        return [*found, *gone]

    def _gone(
        self,
        closed: Iterable[Value],
        heads: Collection[PackageName],
        is_over: Callable[[PackageName], bool],
    ) -> Iterator[PackageName]:
        main = self._main()
        known = others = 0
        for node in closed:
            name = package_at(node)
            if name is None or text(node, "baseRefName") != main:
                others += 1  # anybody can open and close those of a fork
            elif name in heads or is_over(name):
                known += 1
            else:
                known = 0
                yield name
            if known == _ALL_KNOWN or others == _OTHERS:
                return


def package_at(node: Value) -> PackageName | None:
    """Say of which package a pull request may be the review; one from a fork is of none."""
    ref = RefName(HEADS + text(node, "headRefName"))
    return package_of(ref) if at(node, "isCrossRepository") is False else None

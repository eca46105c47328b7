"""What a push does to the refs of a server: which kind of ref it is, and what may happen to that kind at all.

The rules that look at what a ref is to hold are in `accepting.py` (what people submit, bundle and say) and in
`guarding.py` (the main branch and production).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from enum import Enum, StrEnum

from gitrelease.core.finding import Finding, Severity
from gitrelease.core.names import (
    ARCHIVE,
    DEPLOY,
    HEADS,
    LEDGER,
    PACKAGE,
    RELEASE_TAGS,
    REVIEW,
    SUBMIT,
    MemberId,
    RefName,
    branch,
    fold,
)
from gitrelease.core.people import Actor
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Workspace

BRANCH_BYTES = 240


class RefKind(StrEnum):
    """What a ref is for, which decides by which rule it may move."""

    MAIN = "main"
    TASK = "task"
    PACKAGE = "package"
    REVIEW = "review"
    ARCHIVE = "archive"
    LEDGER = "ledger"
    DEPLOY = "deploy"
    TAG = "tag"
    FREE = "free"
    """A branch that gitrelease has no use for; people work on it as they like."""
    FOREIGN = "foreign"
    """No branch, and no release tag."""


class Step(Enum):
    """What a push does to a ref."""

    CREATES = "creates"
    MOVES = "moves"
    DELETES = "deletes"


@frozen
class Move:
    """One ref of a push: what it holds, and what it is to hold; None is nothing."""

    ref: RefName
    old: str | None
    new: str | None

    @property
    def step(self) -> Step:
        """Say what the push does to the ref."""
        if self.old is None:
            return Step.CREATES
        return Step.DELETES if self.new is None else Step.MOVES

    @property
    def name(self) -> str:
        """The ref as people write it."""
        return self.ref.removeprefix(HEADS).removeprefix("refs/")


def kind_of(ref: RefName, main: str | None) -> RefKind:
    """Say what a ref is for.

    Args:
        ref: the full ref.
        main: the name of the main branch; None before there is a ledger, when no branch is it yet.
    """
    prefixes = {
        SUBMIT: RefKind.TASK,
        PACKAGE: RefKind.PACKAGE,
        REVIEW: RefKind.REVIEW,
        DEPLOY: RefKind.DEPLOY,
        RELEASE_TAGS: RefKind.TAG,
    }
    exact = {LEDGER: RefKind.LEDGER, ARCHIVE: RefKind.ARCHIVE}
    if main is not None:
        exact[branch(main)] = RefKind.MAIN
    if ref in exact:
        return exact[ref]
    for prefix, kind in prefixes.items():
        if ref.startswith(prefix):
            return kind
    return RefKind.FREE if ref.startswith(HEADS) else RefKind.FOREIGN


def finding(
    move: Move, code: str, message: str, hint: str | None = None, *, severity: Severity = Severity.ERROR
) -> Finding:
    """Say what is wrong with one ref of a push."""
    return Finding(code=code, severity=severity, file=move.name, message=message, hint=hint)


# What may happen to a ref at all, whatever it holds.

_NEVER_DELETED = {
    RefKind.MAIN: "the main branch is never deleted",
    RefKind.ARCHIVE: "the archive keeps what was settled, and is never deleted",
    RefKind.LEDGER: "the ledger is never deleted",
    RefKind.DEPLOY: "what production holds is never deleted by a push",
    RefKind.TAG: "a release tag is never deleted",
}
_NEVER_MOVED = {
    RefKind.TASK: ("a submitted version is never moved", "`gitrelease submit` again makes the next version"),
    RefKind.TAG: ("a release tag is never moved", None),
}


def shape_findings(kind: RefKind, move: Move) -> list[Finding]:
    """Find what no content could make right: a ref of this kind is not to be moved, or not deleted."""
    if kind is RefKind.FOREIGN:
        what = "sync makes the tags of releases" if move.ref.startswith("refs/tags/") else "push a branch"
        message = "this server holds branches and release tags, and nothing else"
        return [finding(move, "foreign-ref", message, what)]
    if move.step is Step.DELETES and kind in _NEVER_DELETED:
        return [finding(move, "deleted", _NEVER_DELETED[kind])]
    if move.step is Step.MOVES and kind in _NEVER_MOVED:
        message, hint = _NEVER_MOVED[kind]
        return [finding(move, "moved", message, hint)]
    return []


def does_not_grow(move: Move) -> Finding:
    """Say that a branch which only grows was rewound, replaced, or moved past too much at once."""
    held = "nothing" if move.old is None else f"{move.old:.7}"
    hint = "git fetch, and begin again from what the server holds; it is never overwritten"
    return finding(move, "rewound", f"it does not grow from {held}, which the server holds", hint)


def unbelieved(move: Move, actor: Actor, what: str) -> Finding:
    """Say that it cannot be told who made something."""
    hint = "sign with the key that workspace.yaml has of you: git config gpg.format ssh, then git commit -S"
    return finding(move, "author", f"{what} {actor.doubt or 'has no author'}", hint)


def not_allowed(move: Move, who: MemberId, action: Action, workspace: Workspace) -> Finding:
    """Say that somebody's roles do not allow what they did."""
    able = ", ".join(workspace.who_may(action)[:5])
    return finding(move, "not-allowed", f"{who} may not {action}", f"ask {able}" if able else None)


# People.


@frozen
class Pusher:
    """Who pushes, as far as a push certificate tells."""

    member: MemberId | None = None
    doubt: str | None = None
    """What is wrong with the certificate, in words that end a sentence; None with one that holds, or none."""
    is_signed: bool = False


def pusher_findings(move: Move, pusher: Pusher, by: Iterable[Actor]) -> list[Finding]:
    """Compare who pushes with who is named in what is new; asked where names are not signed by themselves."""
    if pusher.member is None:
        return []
    others = dict.fromkeys(actor.member for actor in by if actor.member not in {None, pusher.member})
    return [
        finding(
            move, "other-person", f"it names {other}, and {pusher.member} pushes it", "push what is yours"
        )
        for other in others
    ]


# Names of other branches.


_RESERVED = frozenset({"submit", "package", "review", "deploy", "archive", "production", "head"})
_REFS = "refs"
"""Below this a branch is called as another ref is in full: git then finds two, and pushes to neither."""


def branch_fault(name: str, main: str | None) -> str | None:
    """Say why a branch may not be called so: a shell or a terminal would obey it, or it poses as one of ours."""
    if len(name.encode(errors="surrogatepass")) > BRANCH_BYTES:
        return f"its name is longer than {BRANCH_BYTES} bytes"
    for part in name.split("/"):
        if not part or part.startswith("-") or not all(one.isalnum() or one in "_.-+@=,#" for one in part):
            return "its name has characters other than letters, digits and _ . - + @ = , #"
    if unicodedata.normalize("NFC", name) != name:
        return "its name is not in Unicode's composed form (NFC)"
    folded, own = fold(name), fold(main) if main else None
    first = folded.partition("/")[0]
    if first == _REFS:
        return "git could take its name for that of another ref"
    if first in _RESERVED:
        return f"names that begin with {first} are gitrelease's own"
    if own is not None and (
        folded == own or f"{folded}/".startswith(f"{own}/") or own.startswith(f"{folded}/")
    ):
        return f"its name could be taken for that of the main branch, {main}"
    return None

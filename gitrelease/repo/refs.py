"""Refs under the names of the shared repository, wherever a clone keeps them, moved by compare-and-swap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock

from gitrelease.core.names import ARCHIVE, HEADS, LEDGER, RELEASE_TAGS, REVIEW, CommitId, RefName
from gitrelease.errors import GitReleaseError, NotFound, Refused
from gitrelease.repo.history import History
from gitrelease.repo.run import Config, Ran
from gitrelease.repo.values import (
    BadObject,
    CloneHeld,
    GitFailed,
    PushDeclined,
    PushHeld,
    PushRejected,
    RefMove,
    RemoteRefusedCredentials,
    Unreachable,
    full_id,
    plain,
)

NOTHING = "0" * 40

_REMOTE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# Only the exit code is decided by these: whether people look at their credentials or at their network.
_CREDENTIALS = re.compile(
    r"authentication failed|could not read (username|password)|permission denied|terminal prompts disabled"
    r"|returned error: 40[13]|invalid (username|credentials)|host key verification failed|access denied",
    re.IGNORECASE,
)
_ARCHIVED = re.compile(r"archived so it is read-only", re.IGNORECASE)
# What the server says stands behind "remote: ".
_DAMAGED = re.compile(r"^fatal: bad object (refs/(?:gitrelease|remotes)/\S+)$", re.MULTILINE)
_BROKEN_OFF = re.compile(r"^fatal: the remote end hung up unexpectedly|Operation too slow", re.MULTILINE)
_LOCK = re.compile(r"Unable to create '[^']*?((?:refs/[^']*|packed-refs|HEAD)\.lock)': File exists")
# The same of this clone: what the server says stands behind "remote: ".
_LOCKED_HERE = re.compile(r"^(?!remote:).*Unable to create '([^']*\.lock)': File exists", re.MULTILINE)
# What git's own servers answer when another push got in between, after they had named the old values.
LOST = re.compile(
    r"cannot lock ref|failed to (update|lock)|incorrect old value|already exists|stale info|fetch first"
    r"|reference (already|broken)|atomic transaction failed",
    re.IGNORECASE,
)


class Refs(History):
    """The refs that everyone shares: `refs/heads/*` and `refs/tags/release/*` of the shared repository.

    A clone keeps the branches in `refs/remotes/<remote>/`; a bare repository used in place is the shared
    repository itself. Both answer alike.
    """

    remote: str
    is_direct: bool
    """Whether this is the shared repository itself, and moving a ref moves it for everyone."""
    _held: Mapping[str, str] | None
    """What this repository held when its refs were last listed, and what they were moved to since; None: list
    them anew.
    """
    _knows_remote: bool
    """Whether git's configuration was found to name the remote."""
    _holding: Lock
    """Taken by whoever changes `_held`; a target may push from a thread of its own."""

    # Reading.

    def refs(self, prefix: str = HEADS) -> dict[RefName, str]:
        """List the shared branches whose names begin like this and what they hold, as of the last fetch.

        With a prefix in `refs/tags/release/` it lists release tags.
        """
        kept = RELEASE_TAGS if prefix.startswith(RELEASE_TAGS) else self._here(HEADS)
        shared = {self._shared(name): id_ for name, id_ in self._local_refs(kept).items()}
        return {ref: id_ for ref, id_ in shared.items() if ref.startswith(prefix)}

    def tip(self, ref: RefName) -> CommitId | None:
        """Give the commit of a shared branch, as of the last fetch."""
        id_ = self._local_refs(self._here(ref)).get(self._here(ref))
        return None if id_ is None else CommitId(id_)

    def has_tag(self, tag: RefName) -> bool:
        """Say whether there is such a release tag, as of the last fetch."""
        return bool(self._local_refs(tag))

    def _here(self, ref: str) -> str:
        """Say where this repository keeps a shared ref, or a group of them."""
        if ref.startswith(RELEASE_TAGS) or (self.is_direct and ref.startswith(HEADS)):
            return ref
        if not ref.startswith(HEADS):
            raise ValueError(f"{ref!r} is neither a branch nor a release tag")
        return f"refs/remotes/{self.remote}/{ref.removeprefix(HEADS)}"

    def _shared(self, name: str) -> RefName:
        here = self._here(HEADS)
        return RefName(HEADS + name.removeprefix(here) if name.startswith(here) else name)

    def _seen(self, ref: str) -> str:
        """Say where it is kept what a growing branch held when it was last found to have grown."""
        return f"refs/gitrelease/{self.remote}/{ref.removeprefix('refs/')}"

    def _local_refs(self, *patterns: str) -> dict[str, str]:
        """List refs by exact name or, with a slash at the end, by folder. Symbolic ones are left out."""
        if all(pattern.startswith(self._kept_refs()) for pattern in patterns):
            with self._holding:
                if self._held is None:
                    self._held = self._listed(self._kept_refs())
                held = self._held
        else:
            held = self._listed(patterns)
        exact = {pattern for pattern in patterns if not pattern.endswith("/")}
        below = tuple(pattern for pattern in patterns if pattern.endswith("/"))
        if not below:
            return {name: held[name] for name in exact if name in held}
        return {name: id_ for name, id_ in held.items() if name in exact or name.startswith(below)}

    def _kept_refs(self) -> tuple[str, ...]:
        """Say which refs are listed at once, since nearly every command asks for them all, and more than once."""
        return (self._here(HEADS), self._seen(""))

    def relist(self) -> None:
        """Have refs listed anew when they are asked for next: others may have moved them in this repository."""
        with self._holding:
            self._held = None

    def _moved(self, moves: Iterable[RefMove]) -> None:
        """Know where refs were just moved to, without listing them all again."""
        kept = self._kept_refs()
        with self._holding:
            if self._held is None:
                return
            held = dict(self._held)
            for move in moves:
                if not move.ref.startswith(kept):
                    continue
                if move.new is None:
                    held.pop(move.ref, None)
                else:
                    held[move.ref] = move.new
            self._held = held

    def _listed(self, patterns: Iterable[str]) -> dict[str, str]:
        out = self.run("for-each-ref", "--format=%(objectname) %(refname) %(symref)", "--", *patterns).out
        # Only LF ends a line of git: a name may hold what Python's `splitlines` takes for the end of one.
        lines = (line.split(" ") for line in out.decode(errors="surrogateescape").split("\n") if line)
        return {name: id_ for id_, name, symbolic in lines if not symbolic}

    # Remembering.

    def remembered(self) -> dict[str, CommitId]:
        """Give the commits that this clone found to be good, by name; nobody else can move them.

        Among them is what every growing branch held when it was last found to have grown. In the shared
        repository itself nothing is remembered: others can push there.
        """
        if self.is_direct:
            return {}
        top = self._seen("")
        held = self._local_refs(top)
        return {name.removeprefix(top): CommitId(id_) for name, id_ in held.items() if self.exists(id_)}

    def known_good(self, what: str) -> CommitId | None:
        """Give one commit that this clone remembers as good, without listing refs."""
        found = None if self.is_direct else self.resolve(self._seen(what))
        return None if found is None else CommitId(found)

    def remember(self, what: str, commit: CommitId) -> None:
        """Remember a commit as good, so that what led to it need not be looked at again."""
        if self.is_direct:
            return
        ref = RefName(self._seen(what))
        held = self._local_refs(ref).get(ref)
        if held == commit:
            return
        try:
            self._transact([RefMove(ref=ref, new=commit, expected=held)])
        except GitFailed:
            # Somebody else is remembering, or this clone cannot be written; then it is looked at again.
            return

    # Moving.

    def push(self, moves: Sequence[RefMove]) -> None:
        """Move shared refs, all of them or none, each from exactly the value expected.

        A move that has been made already is made: a push whose answer was lost can be repeated.

        Raises:
            PushRejected: a ref was somewhere else; gather again and decide again.
            PushDeclined: the shared repository does not want it.
        """
        if not moves:
            return
        for move in moves:
            _check_move(move)
            self._check_rewind(move)
        if self.is_direct:
            self._push_here(moves)
        else:
            self._push_there(moves)

    def _check_rewind(self, move: RefMove) -> None:
        """Refuse to take anything away from a branch that only grows, whoever asks."""
        ends = move.new is None and move.ref.startswith(REVIEW)
        if move.expected is None or not grows(move.ref) or ends:
            return
        if move.new is None or not self.is_ancestor(CommitId(move.expected), CommitId(move.new)):
            raise Refused(
                f"{plain(move.ref)} only grows: it cannot go from {move.expected:.7} to what lacks it"
            )

    def _push_here(self, moves: Sequence[RefMove]) -> None:
        self.relist()
        held = self._local_refs(*(move.ref for move in moves))
        open_ = [move for move in moves if held.get(move.ref) != move.new]
        # Those already made are still verified, together with the rest.
        done = [RefMove(ref=move.ref, new=move.new, expected=move.new) for move in moves if move not in open_]
        try:
            self._transact([*open_, *done])
        except GitFailed as problem:
            if lost := _elsewhere(open_, self._local_refs(*(move.ref for move in open_))):
                raise PushRejected(lost) from problem
            if LOST.search(problem.message):
                raise _held(open_, problem.message) from problem
            raise

    def _push_there(self, moves: Sequence[RefMove]) -> None:
        self._check_remote()
        leases = [f"--force-with-lease={move.ref}:{move.expected or ''}" for move in moves]
        ran = self.run(
            "push", "--quiet", "--porcelain", "--atomic", "--no-verify", "--no-follow-tags",
            "--recurse-submodules=no", "--no-force-if-includes", *leases, "--end-of-options", self.remote,
            *(f"{move.new or ''}:{move.ref}" for move in moves),
            config=Config.USER, in_worktree=True, accept=range(256),
        )  # fmt: skip
        if ran.exit != 0:
            self._judge_failure(moves, ran)
        self._follow(moves)

    def _judge_failure(self, moves: Sequence[RefMove], ran: Ran) -> None:
        """Find out from the refs themselves why a push failed, or that it did not."""
        held = self._ask_remote([move.ref for move in moves])
        if all(held.get(move.ref) == move.new for move in moves):
            return
        if lost := _elsewhere(moves, held):
            raise PushRejected(lost)
        said = plain(ran.out.decode(errors="replace"))
        reasons = [line for line in said.splitlines() if line.startswith("!")]
        if any(LOST.search(reason) for reason in reasons):
            raise _held(moves, ran.err)
        if not reasons and _CREDENTIALS.search(ran.err):
            raise self._no_answer(ran)
        if not reasons and _BROKEN_OFF.search(ran.err):
            raise Unreachable(
                f"the connection to the remote {self.remote} broke off in mid-push: {ran.err}",
                hint="run the command again: it goes on from whatever arrived",
            )
        raise PushDeclined("\n".join([ran.err, *(reasons or [said])]))

    def _follow(self, moves: Sequence[RefMove]) -> None:
        """Note what was just pushed, as git would where the remote is configured for it."""
        here = [(RefName(self._here(move.ref)), move.new) for move in moves]
        held = self._listed([ref for ref, _ in here])  # git has noted some of it by now
        known = [RefMove(ref=ref, new=new, expected=held.get(ref)) for ref, new in here]
        noted = [move for move in known if move.new != move.expected]
        self._moved(known)
        try:
            self._transact(noted)
        except GitFailed:
            # The push is done; what is noted here is repeated by the next fetch.
            return

    def _ask_remote(self, refs: Iterable[RefName]) -> dict[str, str]:
        ran = self.run(
            "ls-remote", "--quiet", "--refs", "--end-of-options", self.remote, *refs,
            config=Config.USER, in_worktree=True, accept=range(256),
        )  # fmt: skip
        if ran.exit != 0:
            raise self._no_answer(ran)
        lines = (line.split("\t", 1) for line in ran.out.decode(errors="surrogateescape").split("\n") if line)
        # ls-remote also finds what only ends in the name.
        return {name: id_ for id_, name in lines if name in set(refs)}

    def _transact(self, moves: Sequence[RefMove]) -> None:
        """Move refs of this repository, all or none."""
        if not moves:
            return
        steps = [
            f"update {move.ref}\0{move.new}\0{move.expected or NOTHING}\0"
            if move.new is not None
            else f"delete {move.ref}\0{move.expected or ''}\0"
            if move.expected is not None
            else f"verify {move.ref}\0{NOTHING}\0"
            for move in moves
        ]
        # One process sees all of it or, when it is killed, none: without `commit` nothing is moved.
        stdin = "".join(["start\0", *steps, "prepare\0", "commit\0"])
        try:
            self.run(
                "update-ref", "--no-deref", "--stdin", "-z", stdin=stdin.encode(errors="surrogateescape")
            )
        except GitFailed:
            self.relist()
            raise
        self._moved(moves)

    def move_local(self, moves: Sequence[RefMove]) -> None:
        """Move branches of this clone itself, all or none; nobody else sees them.

        The caller sees to it that none of them is checked out.

        Raises:
            PushRejected: one of them was somewhere else.
        """
        for move in moves:
            _check_move(move)
        try:
            self._transact(moves)
        except GitFailed as problem:
            held = self._local_refs(*(move.ref for move in moves))
            if lost := _elsewhere(moves, held):
                raise PushRejected(lost) from problem
            raise

    # The remote.

    @property
    def has_remote(self) -> bool:
        """Whether this clone knows the shared repository at all."""
        if not self._knows_remote:
            key = f"remote.{self.remote}.url"
            ran = self.run("config", "--get-all", key, config=Config.USER, accept=(0, 1))
            self._knows_remote = bool(ran.out)
        return self._knows_remote

    def remote_url(self) -> str | None:
        """Give the address of the shared repository as git would use it; None where there is none."""
        if self.is_direct or not self.has_remote:
            return None
        ran = self.run(
            "ls-remote", "--get-url", "--end-of-options", self.remote, config=Config.USER, accept=range(256)
        )
        return ran.out.decode(errors="surrogateescape").rstrip("\n") if ran.exit == 0 else None

    def default_branch(self) -> RefName | None:
        """Name the branch that the shared repository hands out; `None` while it holds nothing."""
        self._check_remote()
        ran = self.run(
            "ls-remote", "--quiet", "--symref", "--end-of-options", self.remote, "HEAD",
            config=Config.USER, in_worktree=True, accept=range(256),
        )  # fmt: skip
        if ran.exit != 0:
            raise self._no_answer(ran)
        for line in ran.out.decode(errors="surrogateescape").split("\n"):
            target, _, name = line.partition("\t")
            if name == "HEAD" and target.startswith(f"ref: {HEADS}"):
                return RefName(target.removeprefix("ref: "))
        return None

    def _check_remote(self) -> None:
        if not self.has_remote:
            raise NotFound(
                f"this clone has no remote called {self.remote}",
                hint=f"add it with git remote add {self.remote} URL, or name another one with --remote",
            )

    def _no_answer(self, ran: Ran) -> GitReleaseError:
        if _ARCHIVED.search(ran.err):
            return PushDeclined(ran.err, hint="who owns it can unarchive it")
        if _CREDENTIALS.search(ran.err):
            return RemoteRefusedCredentials(
                f"the remote {self.remote} did not let us in: {ran.err}",
                hint="check your key or token with git ls-remote",
            )
        if found := _DAMAGED.search(ran.err):
            return BadObject(
                f"this clone is damaged: {plain(found[1])} names nothing that is here",
                hint="delete that file in .git, as after a power failure: it only notes what was seen last",
            )
        if found := _LOCKED_HERE.search(ran.err):
            return CloneHeld(
                f"another git is at work in this clone, or died there and left its lock: {plain(found[1])}",
                hint="run the command again; if it stays so, delete that file",
            )
        return Unreachable(
            f"the remote {self.remote} did not answer: {ran.err}", hint="check the network and git remote -v"
        )


def remote_name(text: str) -> str:
    """Parse the name of a remote; it becomes part of refs and of configuration keys."""
    if not _REMOTE_NAME.fullmatch(text) or ".." in text or text.endswith((".", ".lock")):
        raise NotFound(f"{plain(text)!r} is not the name of a remote", hint="git remote lists them")
    return text


def grows(ref: str, main: RefName | None = None) -> bool:
    """Say whether a branch only ever grows."""
    return ref in {main, ARCHIVE, LEDGER} or ref.startswith(REVIEW)


def _check_move(move: RefMove) -> None:
    for id_ in (move.new, move.expected):
        if id_ is not None:
            full_id(id_)
    if not move.ref.startswith((HEADS, RELEASE_TAGS)) or re.search(
        r"[\x00-\x20:^~?*\[\\\x7f]|\.\.", move.ref
    ):
        raise ValueError(f"{move.ref!r} is not a branch or a release tag")
    if move.new is None and move.expected is None:
        raise ValueError(f"{move.ref!r} is to move from nothing to nothing")


def _held(moves: Iterable[RefMove], said: str) -> PushHeld:
    """Say what holds refs that cannot be moved now; a lock that stays was left by a git that died."""
    lock = _LOCK.search(plain(said))
    return PushHeld(
        {move.ref: "is being moved by somebody else" for move in moves},
        lock=None if lock is None else lock[1],
    )


def _elsewhere(moves: Iterable[RefMove], held: Mapping[str, str]) -> dict[RefName, str]:
    """Say which refs are neither where they were expected nor where they should go."""
    lost = {}
    for move in moves:
        found = held.get(move.ref)
        if found not in {move.expected, move.new}:
            lost[move.ref] = "is gone" if found is None else f"is at {found:.7}"
    return lost

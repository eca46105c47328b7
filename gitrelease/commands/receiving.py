"""`gitrelease check --pre-receive`: may this push move the refs of the server? Asked by its hook.

The hook reads the refs that a push wants to move, and everything about them is judged before any is moved. One
that is refused refuses them all. People are known by the commits that they sign, where the workspace asks for
signatures. A signed push (push certificate) tells who pushes, which a commit cannot: it has to hold where it is
given; where commits are not signed, what it brings has to be the pusher's; and with `gitrelease.signedPush
required` in the server's configuration nobody pushes without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from gitrelease.core.finding import Finding, has_errors
from gitrelease.core.guarding import judge
from gitrelease.core.moves import Move, Pusher, RefKind, finding, pusher_findings, shape_findings
from gitrelease.core.names import RELEASE_TAGS, BlobId, MemberId, RefName
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Signatures
from gitrelease.errors import GitReleaseError, Refused, UsageError
from gitrelease.pen import Pen
from gitrelease.reading.broken import MALFORMED
from gitrelease.reading.ledger import ROOT_KEY, known_root
from gitrelease.reading.pushes import ReceivedPush, refs_moved
from gitrelease.reading.receiving import gather_facts, people_in
from gitrelease.repo import Repo, SignatureStatus

SIGNED_KEY = "gitrelease.signedPush"
OTHERS_KEY = "gitrelease.otherFiles"

MOST_MOVES = 1000
"""So many refs may one push move."""
NOTHING = "0" * 40


@frozen
class RefJudged:
    """One ref of a push, and what is wrong with it."""

    name: str
    findings: tuple[Finding, ...]


@frozen
class Received:
    """What was found about a push."""

    refs: tuple[RefJudged, ...]
    """Every ref that something is to be said about."""
    count: int
    """How many refs it moves."""

    @property
    def is_accepted(self) -> bool:
        """Whether the refs may move, all of them."""
        return not any(has_errors(one.findings) for one in self.refs)


def receive(repo: Repo, pen: Pen, lines: bytes, certificate: Mapping[str, str]) -> Received:
    """Judge a push; nothing is moved here.

    Args:
        repo: the server's repository, opened so that it sees what was pushed.
        pen: who the server is; nothing is written in its name.
        lines: what git hands a pre-receive hook: old value, new value and name of each ref.
        certificate: the variables in which git says whether the push was signed.

    Raises:
        Refused: this is no server, or the push is larger than is looked at.
    """
    if not repo.is_direct:
        raise Refused(
            "this is a clone, not a server",
            hint="`gitrelease check --ref BRANCH` checks a branch from a clone",
        )
    moves = parse_moves(lines)
    push = ReceivedPush(
        repo=repo,
        pen=pen,
        moves=moves,
        before={**repo.refs(), **repo.refs(RELEASE_TAGS)},
        pinned=known_root(repo),
        others_are_free=repo.config(OTHERS_KEY) == "true",
    )
    _pin(push)
    pusher = _pusher(push, certificate)
    judged = [RefJudged(name="the push", findings=tuple(_signed_push_findings(push, pusher)))]
    judged += [
        RefJudged(name=move.name, findings=tuple(_judge(push, move, pusher))) for move in moves.values()
    ]
    return Received(refs=tuple(one for one in judged if one.findings), count=len(moves))


def parse_moves(lines: bytes) -> dict[RefName, Move]:
    """Read what git hands a hook.

    Raises:
        UsageError: this is not what git hands a hook.
        Refused: it is more than is looked at.
    """
    moves = []
    for line in lines.decode(errors="surrogateescape").removesuffix("\n").split("\n"):
        old, _, rest = line.partition(" ")
        new, _, ref = rest.partition(" ")
        if len(old) != 40 or len(new) != 40 or not ref.startswith("refs/"):
            raise UsageError(
                "`gitrelease check --pre-receive` reads from its standard input what git hands a hook",
                hint="`gitrelease init --server DIR.git` installs the hook that calls it",
            )
        moves.append(
            Move(
                ref=RefName(ref),
                old=None if old == NOTHING else old,
                new=None if new == NOTHING else new,
            )
        )
    if not moves:
        raise UsageError("nothing was pushed", hint="git hands the hook what is pushed on its standard input")
    if len(moves) > MOST_MOVES:
        raise Refused(
            f"the push moves {len(moves)} refs, and {MOST_MOVES} are the most", hint="push them in parts"
        )
    return refs_moved(moves)


def _pin(push: ReceivedPush) -> None:
    """Remember the trust root that this server took with an earlier push: it is a fact by now."""
    root = push.root
    if push.pinned is None and root is not None:
        with suppress(GitReleaseError):  # somebody else is at it, or this user may not; the next push does it
            push.repo.set_config(ROOT_KEY, root)


def _judge(push: ReceivedPush, move: Move, pusher: Pusher) -> Sequence[Finding]:
    """Find everything that is wrong with one ref; whatever cannot be read is a refusal of it."""
    try:
        kind = push.kind(move)
        if found := shape_findings(kind, move):
            return found
        held = push.before.get(move.ref)
        if held != move.old:
            now = "is gone" if held is None else f"is at {held:.7}"
            message = f"it {now} by now: somebody was first"
            return [finding(move, "race-lost", message, "git fetch, and begin again")]
        # Before there is a ledger there is nothing to judge by, but for the ledger that is to begin.
        is_guarded = kind is not RefKind.FREE
        workspace = push.approved.workspace if is_guarded and push.ledger is not None else None
        if is_guarded and workspace is None and kind is not RefKind.LEDGER:
            hint = "`gitrelease init` begins one"
            return [finding(move, "no-ledger", "there is no ledger here yet to judge it by", hint)]
        facts = gather_facts(push, move)
        found = list(judge(move, facts, workspace))
        if workspace is not None and workspace.review.signatures is Signatures.OFF:
            found += pusher_findings(move, pusher, people_in(facts))
    except GitReleaseError as wrong:
        several: Sequence[Finding] = getattr(wrong, "findings", ())
        return several or [finding(move, wrong.code, wrong.message, wrong.hint)]
    except MALFORMED as wrong:
        return [finding(move, "malformed", f"it cannot be read: {wrong!r}")]
    return found


# Signed pushes.


def _pusher(push: ReceivedPush, certificate: Mapping[str, str]) -> Pusher:
    """Say who pushes. git only tells that there is a certificate, and whether it was made for this push."""
    id_ = certificate.get("GIT_PUSH_CERT", "")
    if not id_:
        return Pusher()
    if certificate.get("GIT_PUSH_CERT_NONCE_STATUS") not in {"OK", "SLOP"}:
        return Pusher(doubt="was not signed for this push", is_signed=True)
    try:
        if push.ledger is None:
            return Pusher(is_signed=True)  # nobody is known here yet
        workspace = push.approved.workspace
    except GitReleaseError:
        return Pusher(is_signed=True)  # every ref is refused for the same reason
    signature = push.repo.signed_text(BlobId(id_), workspace.allowed_signers)
    match signature.status:
        case SignatureStatus.GOOD if signature.principal and workspace.member(signature.principal):
            return Pusher(member=MemberId(signature.principal), is_signed=True)
        case SignatureStatus.UNKNOWN_KEY:
            return Pusher(doubt="is signed with a key that no member has", is_signed=True)
    return Pusher(doubt="has a signature that does not hold", is_signed=True)


def _signed_push_findings(push: ReceivedPush, pusher: Pusher) -> list[Finding]:
    """Refuse a certificate that does not hold, and a push without one where this server asks for it."""
    if pusher.doubt is not None:
        message = f"the signed push {pusher.doubt}"
        hint = "sign with the key that workspace.yaml has of you, or push without --signed"
        return [Finding(code="push-certificate", file="the push", message=message, hint=hint)]
    if not pusher.is_signed and push.repo.config(SIGNED_KEY) == "required" and push.root is not None:
        hint = "git config push.gpgSign if-asked; git config gpg.format ssh; git config user.signingKey KEY"
        message = "this server takes signed pushes only"
        return [Finding(code="push-unsigned", file="the push", message=message, hint=hint)]
    return []


def certificate_in(environ: Mapping[str, str]) -> dict[str, str]:
    """Pick what git tells a hook about a signed push."""
    return {name: value for name, value in environ.items() if name.startswith("GIT_PUSH_CERT")}

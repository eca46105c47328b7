"""`gitrelease init`: make a repository into a release repository, and write its trust root.

What the main branch holds then is taken over, not reviewed. The ledger's first receipt says so, and
everything after it is judged by it (design 4, "Beginning").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from gitrelease.archiving import read_archive
from gitrelease.commands import until_first
from gitrelease.commands.beginning import (
    Beginning,
    CannotBegin,
    add_editor_files,
    by_item,
    check,
    gather,
    number,
    records,
)
from gitrelease.commands.first_workspace import first_workspace, workspace_name
from gitrelease.commands.importing import Exports, read_exports
from gitrelease.commands.pull import take_over
from gitrelease.commands.starting import Start, find_start, main_branch, open_folder, share_at, share_through
from gitrelease.commands.workflows import add_workflows, write_lacking
from gitrelease.core.finding import Finding
from gitrelease.core.ledger import Event, ForgeKind, Founding, Receipt, receipt_document
from gitrelease.core.names import (
    GUARDED,
    LEDGER,
    WORKSPACE_PATH,
    CommitId,
    Kind,
    MemberId,
    branch,
)
from gitrelease.core.values import frozen
from gitrelease.core.workspace import Action, Role, Signatures, Workspace, authorize, parse_workspace
from gitrelease.errors import CredentialsError, GitReleaseError
from gitrelease.forges import Home
from gitrelease.messages import message_of
from gitrelease.pen import Pen
from gitrelease.reading.ledger import ROOT_KEY, find_root, known_root, read_ledger, receipt_of
from gitrelease.reading.sources import git_hash
from gitrelease.reading.trees import read_document
from gitrelease.repo import EMPTY_TREE, InTheWay, RefMove, Repo, plain


@frozen
class InitRequest:
    """What somebody asked to make a release repository of."""

    folder: Path
    import_file: Path | None = None
    """Jobs and scripts of an export that are taken over as well."""
    name: str | None = None
    """What the workspace is called; else it is called like the folder."""
    remote: str = "origin"
    push: bool = True
    """Whether the shared repository is given the beginning at once."""
    server: Path | None = None
    """A bare repository on this machine that becomes the remote."""
    github: str | None = None
    """The address of a repository on GitHub that becomes the remote; the workflows are written as well."""
    plain_git: bool = False
    """Whether packages are reviewed on plain git, wherever the remote is."""
    signing_key: Path | None = None
    prompt: bool = False


@frozen
class InitResult:
    """What a release repository began with."""

    folder: Path
    workspace: Workspace
    root: CommitId
    """The trust root: runners need it as GITRELEASE_ROOT."""
    forge: ForgeKind
    """Where packages are reviewed."""
    pushed: bool
    """Whether this run shared it."""
    taken_over: int
    """How many jobs and scripts were there already."""
    is_old: bool = False
    """Whether there was a shared ledger already, so that nothing was made."""
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    """Warnings about what was taken over."""


def init(
    request: InitRequest,
    *,
    environ: Mapping[str, str],
    now: Callable[[], datetime],
    home_of: Callable[[str | None], Home | None] = lambda url: None,  # noqa: ARG005
) -> InitResult:
    """Make a repository into a release repository; run again, it finishes what was cut short.

    Args:
        request: what was asked.
        environ: the environment.
        now: the clock.
        home_of: finds the forge that an address of git leads to; None is plain git.
    """
    exports = Exports() if request.import_file is None else read_exports(request.import_file)
    with ExitStack() as stack:
        home, default = None if request.github is None else home_of(request.github), None
        if home is not None:
            stack.callback(home.close)
            default = home.check()  # before anything is written
        repo = stack.enter_context(
            open_folder(
                request.folder,
                remote=request.remote,
                environ=environ,
                signing_key=request.signing_key,
                prompt=request.prompt,
            )
        )
        if request.server is not None:
            share_through(repo, request.server, environ)
        if home is not None:
            share_at(repo, home)
        elif not request.plain_git and (home := home_of(repo.remote_url())) is not None:
            stack.callback(home.close)
        return until_first(lambda: _init(repo, request, exports, now, home, default))


def _init(
    repo: Repo,
    request: InitRequest,
    exports: Exports,
    now: Callable[[], datetime],
    home: Home | None,
    default: str | None,
) -> InitResult:
    main = main_branch(repo)
    if repo.has_remote:
        repo.fetch(main=branch(main))
        if LEDGER in repo.refs():
            return _already(repo, request)
    start = find_start(repo, main)
    if default and start.shared is None and default != main:
        # Of the branches that are pushed first, a forge would choose one itself, perhaps the ledger.
        raise CannotBegin(
            f"your branch is {main}, and the main branch is to be called {default} there",
            hint=f"git branch -m {plain(default)}, or change the default branch in the settings of the repository",
        )
    beginning = gather(repo, start.base, exports)
    workspace, is_new = _workspace(repo, request, beginning, home)
    workflows = [] if request.github is None else add_workflows(repo, start.main, start.base, beginning)
    number(beginning)
    check(beginning, workspace)
    who = _who(repo, workspace)
    written = records(beginning)
    add_editor_files(repo, start.base, beginning)
    pen = Pen(identity=repo.identity(), signs=workspace.review.signatures is Signatures.REQUIRED, now=now)

    taken = _first_commit(repo, pen, start, beginning, written)
    forge = ForgeKind.LOCAL if home is None else home.kind
    root = _root(repo, pen, start, workspace, who, taken, forge)
    notes = [*exports.notes, *beginning.notes, *_advice(workspace, is_new=is_new, home=home)]
    # A workspace of one admin locks everybody out of changing it, so a generated one is shared only after
    # somebody has looked at it: until then a second init takes what it was edited to.
    shares = repo.has_remote and request.push and not is_new
    if shares:
        repo.push(
            [
                RefMove(ref=branch(main), new=taken, expected=start.shared),
                RefMove(ref=LEDGER, new=root, expected=None),
            ]
        )
        notes += _bring_here(repo, start, beginning, taken)
        if start.local_ledger is not None and start.local_root is not None:
            repo.move_local([RefMove(ref=LEDGER, new=None, expected=start.local_ledger)])
    else:
        _keep_here(repo, start, beginning, taken, root)
        notes.append(_unshared(repo))
    notes += workflows
    _remember(repo, root)
    return InitResult(
        folder=repo.worktree or request.folder,
        workspace=workspace,
        root=root,
        forge=forge,
        pushed=shares,
        taken_over=sum(item.kind is not Kind.WORKSPACE for item in by_item(beginning.items)),
        notes=tuple(notes),
        findings=tuple(beginning.findings),
    )


def _workspace(
    repo: Repo, request: InitRequest, beginning: Beginning, home: Home | None
) -> tuple[Workspace, bool]:
    """Read the workspace that is there, or write the first one."""
    data = beginning.items.get(WORKSPACE_PATH)
    is_new = data is None
    if data is None:
        data = first_workspace(
            name=request.name or workspace_name(request.folder.absolute().name),
            id_=uuid4().hex,
            identity=repo.identity(),
            key=repo.public_key(),
            on_github=home is not None,
            account=None if home is None else _account(home, beginning),
        )
        beginning.items[WORKSPACE_PATH] = data
    workspace = read_document(data, file=WORKSPACE_PATH, kind="workspace", parser=parse_workspace)
    return workspace, is_new


def _account(home: Home, beginning: Beginning) -> int | None:
    """Ask whose account it is; without a token everything else can begin."""
    try:
        return home.account()
    except CredentialsError as refused:
        beginning.notes.append(f"the number of your account on GitHub is not known: {refused.message}")
        return None


def _who(repo: Repo, workspace: Workspace) -> MemberId:
    """Taking over is for admins: it puts into production's ledger what nobody reviewed."""
    identity = repo.identity()
    member = workspace.member_with_email(identity.email)
    if member is None:
        raise CannotBegin(
            f"you are {identity.email}, and {WORKSPACE_PATH} has no member with that address",
            hint="add yourself to members with the role admin, or set user.email",
        )
    authorize(member.id, Action.APPROVE_WORKSPACE, workspace)
    return member.id


def _first_commit(
    repo: Repo, pen: Pen, start: Start, beginning: Beginning, records: Mapping[str, bytes]
) -> CommitId:
    """Write what the main branch is to hold, as one commit; if it holds that already, that is it."""
    wanted = {**beginning.items, **records, **beginning.extras}
    held = {path: entry.id for path, entry in beginning.held.items()}
    new = {path: data for path, data in wanted.items() if git_hash(data) != held.get(path)}
    gone = dict.fromkeys(path for path in held if path not in wanted)
    before = None if start.base is None else repo.tree_of(start.base)
    tree = repo.write_tree(before, {**gone, **new})
    if start.base is not None and tree == before:
        return start.base
    message = "Begin a release repository\n\nWhat is here now is taken over, not reviewed.\n"
    return pen.commit(repo, tree=tree, parents=() if start.base is None else (start.base,), message=message)


def _root(
    repo: Repo,
    pen: Pen,
    start: Start,
    workspace: Workspace,
    who: MemberId,
    taken: CommitId,
    forge: ForgeKind,
) -> CommitId:
    """Write the trust root, or give the one that an earlier run wrote for the same."""
    receipt = Receipt(
        event=Event.ROOT,
        runner=who,
        founding=Founding(workspace=workspace.id, main=start.main, taken_over=taken, forge=forge),
    )
    if start.local_root is not None and receipt_of(repo.commit(start.local_root)) == receipt:
        return start.local_root
    guarded = repo.diff(EMPTY_TREE, taken, GUARDED)
    blobs = {change.path: change.after.blob for change in guarded if change.after}
    tree = repo.write_tree(None, blobs)
    message = message_of(receipt.subject, receipt_document(receipt))
    return pen.commit(repo, tree=tree, parents=(), message=message)


# Afterwards.


def _bring_here(repo: Repo, start: Start, beginning: Beginning, taken: CommitId) -> list[str]:
    """Bring the working tree along if it is on the main branch and nothing is in the way; else say so."""
    if repo.head_branch() != branch(start.main):
        return [
            f"{start.main} is not checked out, so your files were left alone;"
            f" git switch {start.main}, then gitrelease pull"
        ]
    try:
        _take(repo, beginning, taken)
    except InTheWay as wrong:
        return [f"your files were left alone, as {wrong.message}; then run gitrelease pull"]
    return []


def _take(repo: Repo, beginning: Beginning, taken: CommitId) -> None:
    for path, (was, new) in beginning.rewritten.items():
        if path not in beginning.held and repo.read_working(path) == was:
            repo.write_working(path, new)
    head = repo.resolve("HEAD")
    if head is None or not repo.is_ancestor(taken, head):
        take_over(repo, head, taken)


def _keep_here(repo: Repo, start: Start, beginning: Beginning, taken: CommitId, root: CommitId) -> None:
    """Begin in this clone alone: the main branch first, so that a ledger never names what is not there."""
    main = branch(start.main)
    if repo.head_branch() == main:
        _take(repo, beginning, taken)
    elif (held := repo.resolve(main)) != taken:
        repo.move_local([RefMove(ref=main, new=taken, expected=held)])
    if start.local_ledger != root:
        if start.local_ledger is not None and start.local_root is None:
            raise CannotBegin(
                "this clone has a branch `production` that is no ledger",
                hint="give it another name: git branch -m production NAME",
            )
        repo.move_local([RefMove(ref=LEDGER, new=root, expected=start.local_ledger)])


def _already(repo: Repo, request: InitRequest) -> InitResult:
    """Say what the shared ledger began with, and remember its root in this clone."""
    refs = repo.refs()
    try:
        ledger = read_ledger(repo, refs, root=known_root(repo), archive=read_archive(repo, refs))
    except GitReleaseError:
        if _is_ledger(repo, CommitId(refs[LEDGER])):
            raise
        raise CannotBegin(
            f"the remote {repo.remote} has a branch `production` that is no ledger",
            hint="give that branch another name; gitrelease keeps its ledger there",
        ) from None
    if request.github is not None and ledger.forge is not ForgeKind.GITHUB:
        raise CannotBegin(
            "the packages of this repository are reviewed on plain git, as its trust root says",
            hint="leave out --github; where packages are reviewed never changes",
        )
    notes = [f"there is a ledger already, so nothing was made; its trust root is {ledger.root}"]
    if request.github is not None:
        notes += write_lacking(repo, ledger.main)
    if request.import_file is not None:
        notes.append("nothing was imported; run gitrelease import")
    taken = ledger.founding.taken_over
    head = repo.resolve("HEAD")
    if head is None or not repo.is_ancestor(taken, head):
        # An earlier run was cut short after it had pushed, or this clone is older than the ledger.
        start = Start(main=ledger.main, base=None, shared=None, local_root=None, local_ledger=None)
        notes += _bring_here(repo, start, Beginning(held={}, items={}), taken)
    _remember(repo, ledger.root)
    records = repo.list_tree(ledger.root, "items", recursive=True)
    return InitResult(
        folder=repo.worktree or request.folder,
        workspace=ledger.workspace,
        root=ledger.root,
        forge=ledger.forge,
        pushed=False,
        taken_over=sum(not entry.path.startswith(f"items/{Kind.WORKSPACE}/") for entry in records),
        is_old=True,
        notes=tuple(notes),
    )


def _is_ledger(repo: Repo, tip: CommitId) -> bool:
    try:
        return receipt_of(repo.commit(find_root(repo, tip))).event is Event.ROOT
    except GitReleaseError:
        return False


def _remember(repo: Repo, root: CommitId) -> None:
    if repo.config(ROOT_KEY) != root:
        repo.set_config(ROOT_KEY, root)


def _unshared(repo: Repo) -> str:
    if repo.has_remote:
        return "nothing was pushed yet; `gitrelease init` again shares it"
    return (
        f"there is no remote {repo.remote}, so nothing was pushed; git remote add {repo.remote} URL, then"
        " `gitrelease init` again shares it"
    )


def _advice(workspace: Workspace, *, is_new: bool, home: Home | None) -> Sequence[str]:
    """Say what a beginner would find out too late."""
    notes = []
    if is_new:
        notes.append(f"{WORKSPACE_PATH} was written; you are its only member")
    if home is not None:
        notes.append(f"packages are reviewed as pull requests of {home.name} on GitHub")
        nobody = [
            one.id
            for one in workspace.members
            if one.github is None and one.roles - {Role.RUNNER, Role.VIEWER}
        ]
        if nobody:
            notes.append(
                f"without the number of an account on GitHub ({WORKSPACE_PATH}, members, github) these are nobody"
                f" there: {', '.join(nobody)}"
            )
    if workspace.review.signatures is Signatures.OFF and home is not None:
        notes.append("signatures are off: nobody can tell whether a runner wrote what the ledger says")
    elif workspace.review.signatures is Signatures.OFF:
        notes.append(
            "signatures are off: reviews protect against mistakes, not against forged names"
            + ("; with an SSH key in user.signingKey they would be required" if is_new else "")
        )
    if len(workspace.who_may(Action.APPROVE_WORKSPACE)) < 2:
        notes.append(
            f"there is one admin only: nobody can approve their changes of {WORKSPACE_PATH}, so add another"
            " admin before you share it"
        )
    return notes

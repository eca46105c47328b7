"""`gitrelease init --server`: make a bare repository that defends itself, or make one that is there do so.

Its hooks call gitrelease for every push, so that a push which does not follow the rules is refused before
anything is moved. The hooks, and the settings that go with them, are all there is to it: there is no program
that runs. Run again, it writes its own hooks anew and leaves everything else as it is.
"""

from __future__ import annotations

import os
import shlex
import site
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from secrets import token_hex
from tempfile import NamedTemporaryFile
from time import monotonic, sleep

import gitrelease
from gitrelease.archiving import read_archive
from gitrelease.core.names import HEADS, LEDGER, WORKSPACE_PATH, CommitId, branch
from gitrelease.core.values import frozen
from gitrelease.errors import GitReleaseError, Refused
from gitrelease.reading.ledger import ROOT_KEY, known_root, read_ledger
from gitrelease.repo import Repo, plain

HOOKS_KEY = "core.hooksPath"
_HOOKS = "hooks"
"""Below the repository, so that a repository that is moved keeps its hooks."""
_MARK = "# gitrelease: this hook is written by `gitrelease init --server`, which writes it anew each time."

WAKE = "gitrelease/wake"
"""The file that a push touches when sync has something to do, below the server's repository."""

_SETTINGS = {
    "receive.fsckObjects": "true",
    "receive.denyDeletes": "false",  # sync takes away what is settled; the hook keeps the rest
    "receive.certNonceSlop": "300",  # over HTTP a push comes in several requests
    # Whatever was pushed stays, also what no ref names any more.
    "core.logAllRefUpdates": "always",
    "gc.pruneExpire": "never",
    "gc.reflogExpire": "never",
    "gc.reflogExpireUnreachable": "never",
}


class NotAServer(Refused):
    """A folder cannot be made into a server. Nothing was changed."""

    code = "not-a-server"


@frozen
class ServerMade:
    """A server, as it is now."""

    folder: Path
    is_new: bool
    """Whether the repository was made by this run."""
    root: CommitId | None
    """The trust root of the ledger it has, the only one it takes."""
    notes: tuple[str, ...] = ()


def make_server(folder: Path, *, environ: Mapping[str, str]) -> ServerMade:
    """Make a bare repository with hooks that call gitrelease, or give the one that is there its hooks."""
    where = folder.absolute()
    is_new = not where.exists() or (where.is_dir() and not any(where.iterdir()))
    scripts = {name: script.format(**_program()) for name, script in _SCRIPTS.items()}
    with _open(where, environ, is_new=is_new) as repo:
        hooks = repo.git_dir / _HOOKS
        _refuse_others(repo, hooks)
        root = _root_of(repo)
        notes = []
        if repo.config("receive.denyDeletes") == "true":
            notes.append(
                "receive.denyDeletes was true: sync takes branches away that are settled, so it is off"
            )
        for key, value in _SETTINGS.items():
            if repo.config(key) != value:
                repo.set_config(key, value)
        if repo.config("receive.certNonceSeed") is None:
            repo.set_config("receive.certNonceSeed", token_hex(32))
        ours = repo.git_dir / "gitrelease"
        if not ours.exists():
            ours.mkdir()
            # Whoever may push writes to it, as to the objects (core.sharedRepository).
            ours.chmod(stat.S_IMODE((repo.git_dir / "objects").stat().st_mode))
        _allowed_signers(repo)
        if root is not None and repo.config(ROOT_KEY) is None:
            repo.set_config(ROOT_KEY, root)
        hooks.mkdir(exist_ok=True)
        # The one that refuses comes first: a run that is cut short leaves more refused, never less.
        for name, script in scripts.items():
            _write(hooks / name, script)
        if repo.config(HOOKS_KEY) != _HOOKS:
            repo.set_config(HOOKS_KEY, _HOOKS)
        return ServerMade(folder=where, is_new=is_new, root=root, notes=tuple(notes))


def hand_out(folder: Path, main: str, *, environ: Mapping[str, str]) -> None:
    """Let clones of a server check out its main branch, unless it hands out another one that is there."""
    with Repo.discover(folder.absolute(), remote="origin", environ=environ) as repo:
        head = repo.head_branch()
        if head != branch(main) and (head is None or repo.tip(head) is None):
            repo.hand_out(branch(main))


def is_working_folder(folder: Path) -> bool:
    """Say whether a folder is one that somebody works in, so that `init` is meant for it as well."""
    in_clone = any((above / ".git").exists() for above in (folder, *folder.parents))
    return in_clone or any((folder / name).exists() for name in (WORKSPACE_PATH, "jobs", "scripts"))


def check_outside(server: Path, folder: Path) -> None:
    """Refuse a server among the working files: every clone would then seem to hold another repository."""
    if server.resolve().is_relative_to(folder.resolve()):
        raise NotAServer(
            f"{plain(str(server))} lies in the working folder {plain(str(folder))}",
            hint="name a folder outside it, for instance ../shop.git",
        )


def _open(where: Path, environ: Mapping[str, str], *, is_new: bool) -> Repo:
    if is_new:
        return Repo.init_bare(where, remote="origin", environ=environ)
    if not where.is_dir() or not (where / "HEAD").is_file() or not (where / "objects").is_dir():
        raise NotAServer(
            f"{plain(str(where))} is there, and is no bare repository",
            hint="name a folder that is not there yet",
        )
    repo = Repo.discover(where, remote="origin", environ=environ)
    if repo.is_direct and repo.git_dir.resolve() == where.resolve():
        return repo
    repo.close()
    raise NotAServer(
        f"{plain(str(where))} is no bare repository", hint="a server has no working files: git clone --bare"
    )


def _refuse_others(repo: Repo, hooks: Path) -> None:
    """Refuse to take the place of hooks that somebody else wrote."""
    used = repo.config(HOOKS_KEY)
    if used is not None and (repo.git_dir / used).resolve() != hooks.resolve():
        raise NotAServer(
            f"{HOOKS_KEY} of {plain(str(repo.git_dir))} is {plain(used)!r}, so git runs no hooks of ours",
            hint=f"move your hooks to {plain(str(hooks))}, each as NAME.local, and unset {HOOKS_KEY}",
        )
    for name in _SCRIPTS:
        path = hooks / name
        if path.is_symlink() or (path.exists() and _MARK not in path.read_text(errors="replace")):
            raise NotAServer(
                f"{plain(str(path))} is somebody else's",
                hint=f"rename it to {name}.local: the hook of gitrelease runs it as well, after its own",
            )


def _root_of(repo: Repo) -> CommitId | None:
    """Find the trust root of a ledger that is there; one that cannot be believed is not taken over."""
    refs = repo.refs()
    if LEDGER not in refs:
        return None
    try:
        ledger = read_ledger(repo, refs, root=known_root(repo), archive=read_archive(repo, refs))
    except GitReleaseError as wrong:
        raise NotAServer(
            f"its branch {LEDGER.removeprefix(HEADS)} is no ledger to go on from: {wrong.message}",
            hint=wrong.hint or "give that branch another name; gitrelease keeps its ledger there",
        ) from wrong
    return ledger.root


def _allowed_signers(repo: Repo) -> None:
    """Give git a list of signers to look into, or it complains to whoever signs; who signed we find out ourselves."""
    key = "gpg.ssh.allowedSignersFile"
    nobody = repo.git_dir / "gitrelease" / "no-signers"
    nobody.touch()
    known = repo.config(key)
    if known is None or known.endswith(f"/gitrelease/{nobody.name}"):
        repo.set_config(key, str(nobody))


# Waking sync.


def woken(repo: Repo) -> int:
    """Say when sync was last given something to do, as a number that only means that another is another time.

    It is known on the machine of the server only; elsewhere the answer is always the same.
    """
    file = _wake_file(repo)
    try:
        return 0 if file is None else file.stat().st_mtime_ns
    except OSError:
        return 0


def wait_for_push(repo: Repo, seen: int, seconds: float) -> bool:
    """Wait so long, or until a push gave sync something to do since `seen`; say whether one did."""
    end = monotonic() + seconds
    while woken(repo) == seen:
        left = end - monotonic()
        if left <= 0:
            return False
        sleep(min(0.2, left))
    return True


def _wake_file(repo: Repo) -> Path | None:
    if repo.is_direct:
        return repo.common_dir / WAKE
    url = repo.config(f"remote.{repo.remote}.url") or ""
    if not url or "://" in url.removeprefix("file://"):
        return None
    server = (repo.worktree or repo.git_dir) / url.removeprefix("file://")
    return server / WAKE if (server / WAKE).parent.is_dir() else None


# The hooks.


def _program() -> dict[str, str]:
    """Say how a hook starts gitrelease: by the Python that runs now, from where it is now."""
    package = Path(gitrelease.__file__).resolve().parent.parent
    python = Path(sys.executable)
    for path in (package, python):
        if "\n" in str(path):
            raise NotAServer(f"a hook cannot name {str(path)!r}, which has a line end in it")
    known = {Path(place).resolve() for place in (*site.getsitepackages(), site.getusersitepackages())}
    return {
        "mark": _MARK,
        "python": shlex.quote(str(python)),
        "package": shlex.quote(str(package)),
        "path": "" if package in known else shlex.quote(str(package)),
        "wake": WAKE,
    }


def _write(path: Path, script: str) -> None:
    """Put a hook in its place all at once, so that no push ever finds half of one."""
    with NamedTemporaryFile(
        "w", dir=path.parent, prefix=".gitrelease-", delete=False, encoding="utf-8"
    ) as file:
        file.write(script)
    Path(file.name).chmod(0o755)
    os.replace(file.name, path)  # noqa: PTH105 - one word for what happens: it replaces


_PRE_RECEIVE = """\
#!/bin/sh
{mark}
# It asks gitrelease whether a push may move the refs. Your own hook goes beside it, as pre-receive.local.
python={python}
package={package}
if [ ! -x "$python" ] || [ ! -f "$package/gitrelease/__main__.py" ]; then
  echo "error: this server cannot check what is pushed, so it takes nothing: gitrelease is gone from it" >&2
  echo "hint: its administrator installs gitrelease, and runs: gitrelease init --server $(pwd)" >&2
  exit 1
fi
moves=$(cat) || exit 1
unset PYTHONHOME
PYTHONPATH={path}
export PYTHONPATH
printf '%s\\n' "$moves" | "$python" -P -m gitrelease check --pre-receive || exit 1
if [ -x "$0.local" ]; then
  printf '%s\\n' "$moves" | "$0.local" || exit 1
fi
exit 0
"""

_REFERENCE_TRANSACTION = """\
#!/bin/sh
{mark}
# What was submitted or said goes only together with the archive that keeps it, in one transaction: a push that
# is not atomic could do the one and fail at the other. Your own hook goes beside it, as NAME.local.
moves=$(cat)
if [ "$1" = prepared ]; then
  nothing=0000000000000000000000000000000000000000
  case "$moves
" in
  *" refs/heads/archive
"*) ;;
  *)
    while read -r old new ref; do
      case "$new $ref" in
      "$nothing refs/heads/submit/"*|"$nothing refs/heads/package/"*|"$nothing refs/heads/review/"*) ;;
      *) continue ;;
      esac
      if [ "$old" = "$nothing" ]; then old=$(git rev-parse -q --verify "$ref") || continue; fi
      if ! git merge-base --is-ancestor "$old" refs/heads/archive 2>/dev/null; then
        echo "error: $ref is in no archive, so it stays" >&2
        echo "hint: push with --atomic; on the server itself: git -c core.hooksPath=/dev/null ..." >&2
        exit 1
      fi
    done <<END
$moves
END
    ;;
  esac
fi
if [ -x "$0.local" ]; then
  printf '%s\\n' "$moves" | "$0.local" "$@" || exit 1
fi
exit 0
"""

_POST_RECEIVE = """\
#!/bin/sh
{mark}
# It wakes sync: whoever watches {wake} looks at once, and the command that git config gitrelease.onReceive
# names is started beside the push, which waits for neither. Your own hook goes beside it, as post-receive.local.
moves=$(cat)
nothing=0000000000000000000000000000000000000000
wake=
while read -r old new ref; do
  case "$new $ref" in
  "$nothing "*) ;;
  *" refs/heads/submit/"*|*" refs/heads/package/"*|*" refs/heads/deploy/"*) ;;
  *" refs/heads/production"|*" refs/heads/archive"|*" refs/tags/"*) ;;
  *) wake=1 ;;
  esac
done <<END
$moves
END
if [ -n "$wake" ]; then
  # Users who share the repository cannot write what another one made, and can replace it.
  echo "$$ $(date)" > {wake}.$$ && mv -f {wake}.$$ {wake}
  command=$(git config gitrelease.onReceive)
  if [ -n "$command" ]; then
    log=gitrelease/on-receive.log
    if ! (: >> "$log") 2>/dev/null; then log=gitrelease/on-receive.$(id -u).log; fi
    if ! (: >> "$log") 2>/dev/null; then log=/dev/null; fi
    if [ -f "$log" ] && [ "$(wc -c < "$log")" -gt 1000000 ]; then mv -f "$log" "$log.old"; fi
    (
      unset $(git rev-parse --local-env-vars) GIT_QUARANTINE_PATH
      nohup sh -c "$command" >> "$log" 2>&1 < /dev/null &
    )
  fi
fi
if [ -x "$0.local" ]; then
  printf '%s\\n' "$moves" | "$0.local"
fi
exit 0
"""

_SCRIPTS = {
    "pre-receive": _PRE_RECEIVE,
    "reference-transaction": _REFERENCE_TRANSACTION,
    "post-receive": _POST_RECEIVE,
}

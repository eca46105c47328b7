"""The one door to git keeps its promises, on real repositories."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gitrelease.core.names import RELEASE_TAGS, BlobId, CommitId, RefName, TreeId
from gitrelease.errors import Exit, GitReleaseError, NotFound, RaceLost, Refused
from gitrelease.repo import (
    EMPTY_TREE,
    BadObject,
    CloneHeld,
    Conflicts,
    Entry,
    GitFailed,
    GitUnusable,
    HistoryRewritten,
    Identity,
    InTheWay,
    NotAPlainFile,
    NotARepository,
    NotOnFirstParents,
    PathRefused,
    PushDeclined,
    PushRejected,
    RefMove,
    RemoteRefusedCredentials,
    Repo,
    Signature,
    SignatureStatus,
    SigningRefused,
    Tag,
    TooLarge,
    Unreachable,
    plain,
)
from gitrelease.repo.fetching import MANY_REFS
from gitrelease.repo.lines import Lines
from gitrelease.repo.run import Config, environment
from tests.kit.git import NOON, Bench, Clone

ANN = Identity(name="ann", email="ann@example.org")
MAIN = RefName("refs/heads/main")
LEDGER = RefName("refs/heads/production")
RLO = "\u202e"


@pytest.fixture
def server(bench: Bench) -> Clone:
    """The shared repository."""
    return bench.server()


@pytest.fixture
def ann(bench: Bench, server: Clone) -> Clone:
    """Ann's clone, with one commit on main that is shared."""
    clone = bench.clone(server, "ann")
    clone.commit({"jobs/a.job.yaml": "a\n", "README.md": "hello\n"}, "first")
    clone.push("main")
    return clone


@pytest.fixture
def repo(ann: Clone) -> Iterator[Repo]:
    """Ann's clone through our door."""
    with opened(ann) as repo:
        repo.fetch(main=MAIN)
        yield repo


def opened(
    clone: Clone, environ: Mapping[str, str] | None = None, *, signing_key: Path | None = None
) -> Repo:
    return Repo.discover(
        clone.path, remote="origin", environ={**clone.environ, **(environ or {})}, signing_key=signing_key
    )


def head(clone: Clone, name: str = "HEAD") -> CommitId:
    return CommitId(clone.tip(name))


def write(
    repo: Repo, *parents: CommitId, files: dict[str, str] | None = None, message: str = "m"
) -> CommitId:
    """Commit files on top of the first parent."""
    base = repo.tree_of(parents[0]) if parents else None
    edits: dict[str, BlobId | None] = {
        path: repo.write_blob(text.encode()) for path, text in (files or {}).items()
    }
    tree = repo.write_tree(base, edits)
    return repo.write_commit(tree=tree, parents=parents, message=message, author=ANN, when=NOON, sign=False)


def tags_of(repo: Repo) -> Mapping[RefName, Tag]:
    return repo.read_tags(repo.refs(RELEASE_TAGS))


def everything(repo: Repo) -> Mapping[RefName, str]:
    return {**repo.refs(), **repo.refs(RELEASE_TAGS)}


def create(ref: str, new: str) -> RefMove:
    return RefMove(ref=RefName(ref), new=new, expected=None)


# Discovery.


def test_a_clone_is_found_from_any_folder_of_it(ann: Clone) -> None:
    with Repo.discover(ann.path / "jobs", remote="origin", environ=ann.environ) as repo:
        assert repo.worktree == ann.path
        assert repo.git_dir == ann.path / ".git"
        assert repo.common_dir == ann.path / ".git"
        assert not repo.is_direct


def test_a_bare_repository_is_the_shared_one_itself(server: Clone) -> None:
    with opened(server) as repo:
        assert repo.is_direct
        assert repo.worktree is None
        assert repo.git_dir == server.path


def test_a_linked_working_tree_shares_objects_and_refs(ann: Clone, bench: Bench) -> None:
    ann.git("worktree", "add", "--quiet", str(bench.folder / "second"), "-b", "other")
    with Repo.discover(bench.folder / "second", remote="origin", environ=ann.environ) as repo:
        assert repo.worktree == bench.folder / "second"
        assert repo.common_dir == ann.path / ".git"
        assert repo.head_branch() == "refs/heads/other"
        assert repo.tip(MAIN) == head(ann)


def test_outside_a_repository_is_a_sentence(tmp_path: Path, bench: Bench) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotARepository, match="is not in a git repository") as caught:
        Repo.discover(tmp_path / "empty", remote="origin", environ=bench.environ)
    assert caught.value.hint is not None
    with pytest.raises(NotARepository):
        Repo.discover(tmp_path / "missing", remote="origin", environ=bench.environ)


def test_p29_a_shallow_clone_is_refused(ann: Clone, bench: Bench, server: Clone) -> None:
    ann.commit({"x": "x"})
    ann.push("main")
    Clone(path=bench.folder, environ=bench.environ, clock=bench.clock).git(
        "clone", "--quiet", "--depth=1", f"file://{server.path}", "shallow"
    )
    with pytest.raises(NotARepository, match="shallow") as caught:
        Repo.discover(bench.folder / "shallow", remote="origin", environ=bench.environ)
    assert "unshallow" in (caught.value.hint or "")


def test_p29_a_partial_clone_is_refused(ann: Clone, bench: Bench, server: Clone) -> None:
    ann.commit({"x": "x"})
    ann.push("main")
    server.git("config", "uploadpack.allowFilter", "true")
    bare = ("--bare", "--filter=tree:0", f"file://{server.path}", "partial")
    Clone(path=bench.folder, environ=bench.environ, clock=bench.clock).git("clone", "--quiet", *bare)
    with pytest.raises(NotARepository, match="partial") as caught:
        Repo.discover(bench.folder / "partial", remote="origin", environ=bench.environ)
    assert "without --filter" in (caught.value.hint or "")


def test_objects_named_by_sha256_are_refused(bench: Bench) -> None:
    (bench.folder / "long").mkdir()
    long = Clone(path=bench.folder / "long", environ=bench.environ, clock=bench.clock)
    long.git("init", "--quiet", "--object-format=sha256")
    with pytest.raises(NotARepository, match="sha256"):
        opened(long)


def test_without_git_on_the_path_is_a_sentence(ann: Clone, tmp_path: Path) -> None:
    with pytest.raises(GitUnusable, match="not installed"):
        opened(ann, {"PATH": str(tmp_path)})


def test_an_old_git_is_refused(ann: Clone, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    fake = tmp_path / "old" / "git"
    fake.write_text("#!/bin/sh\necho git version 2.37.1\n", encoding="utf-8")
    fake.chmod(0o755)
    with pytest.raises(GitUnusable, match=r"git version 2\.37\.1' is too old"):
        opened(ann, {"PATH": f"{tmp_path / 'old'}:{ann.environ['PATH']}"})


@pytest.mark.parametrize("name", ["-x", "--upload-pack=touch", "a/b", "", "a..b", "../x", "o\nx"])
def test_the_name_of_a_remote_is_no_option(ann: Clone, name: str) -> None:
    with pytest.raises(NotFound, match="not the name of a remote"):
        Repo.discover(ann.path, remote=name, environ=ann.environ)


def test_a_remote_that_is_not_configured_is_named(ann: Clone) -> None:
    with Repo.discover(ann.path, remote="upstream", environ=ann.environ) as repo:
        assert repo.refs() == {}
        acts: list[Callable[[], None]] = [
            lambda: repo.fetch(main=MAIN),
            lambda: repo.push([create("refs/heads/x", head(ann))]),
        ]
        for act in acts:
            with pytest.raises(NotFound, match="no remote called upstream"):
                act()


def test_repositories_are_made_with_main(bench: Bench) -> None:
    with Repo.init_repository(bench.folder / "new", remote="origin", environ=bench.environ) as repo:
        assert repo.head_branch() == MAIN
        assert not (repo.git_dir / "hooks").exists()
        repo.set_config("gitrelease.server", "-x --y=\nz")
        assert repo.config("gitrelease.server") == "-x --y=\nz"
        assert repo.config("gitrelease.other") is None
    with Repo.init_bare(bench.folder / "-bare.git", remote="origin", environ=bench.environ) as repo:
        assert repo.is_direct


# The environment and the configuration.


def test_the_environment_of_a_caller_points_nowhere_else(ann: Clone, bench: Bench, repo: Repo) -> None:
    elsewhere = bench.folder / "elsewhere"
    leak = {
        "GIT_DIR": str(elsewhere),
        "GIT_WORK_TREE": str(elsewhere),
        "GIT_INDEX_FILE": str(elsewhere / "index"),
        "GIT_OBJECT_DIRECTORY": str(elsewhere / "objects"),
        "GIT_COMMON_DIR": str(elsewhere),
        "GIT_NAMESPACE": "ns",
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_TRACE": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_LITERAL_PATHSPECS": "0",
        "GIT_CEILING_DIRECTORIES": "/",
    }
    sealed = environment({**ann.environ, **leak}, Config.SEALED)
    assert not set(leak) - {"GIT_LITERAL_PATHSPECS"} & set(sealed)
    assert sealed["GIT_LITERAL_PATHSPECS"] == "1"
    assert sealed["LC_ALL"] == "C"
    leak.pop("GIT_CONFIG_COUNT")
    with opened(ann, leak) as other:
        assert other.refs() == repo.refs()
        assert other.git_dir == repo.git_dir
        assert other.changed_paths(head(ann), ["jobs"]) == set()


def test_credentials_come_through_where_the_network_is(ann: Clone) -> None:
    given = {
        "GIT_SSH_COMMAND": "ssh -i key",
        "GIT_CONFIG_COUNT": "0",
        "SSH_AUTH_SOCK": "/sock",
        "GIT_ASKPASS": "ask",
    }
    user = environment({**ann.environ, **given}, Config.USER)
    assert given.items() <= user.items()
    assert user["GIT_CONFIG_GLOBAL"] == ann.environ["GIT_CONFIG_GLOBAL"]
    assert user["GIT_TERMINAL_PROMPT"] == "0"
    assert not {"GIT_SSH_COMMAND", "GIT_CONFIG_COUNT", "GIT_ASKPASS"} & set(environment(given, Config.SEALED))


def test_p40_a_hostile_configuration_starts_no_program(ann: Clone, bench: Bench) -> None:
    witness = bench.folder / "witness"
    evil = bench.folder / "evil"
    evil.write_text(f"#!/bin/sh\necho \"$0 $@\" >> '{witness}'\nexit 1\n", encoding="utf-8")
    evil.chmod(0o755)
    hooks = bench.folder / "hooks"
    hooks.mkdir()
    for hook in ("reference-transaction", "pre-push", "post-merge", "post-checkout", "post-index-change"):
        shutil.copy(evil, hooks / hook)
        (ann.path / ".git" / "hooks").mkdir(exist_ok=True)
        shutil.copy(evil, ann.path / ".git" / "hooks" / hook)
    for key in (
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "merge.evil.driver",
        "gpg.program",
        "gpg.ssh.program",
        "gpg.x509.program",
        "core.alternateRefsCommand",
        "sequence.editor",
        "log.showSignature",
    ):
        ann.git("config", key, str(evil) if key != "log.showSignature" else "true")
    ann.git("config", "core.hooksPath", str(hooks))
    (ann.path / ".git/info").mkdir()
    (ann.path / ".git/info/attributes").write_text("* diff=evil merge=evil\n", encoding="utf-8")
    first = head(ann)
    with opened(ann) as repo:
        repo.fetch(main=MAIN)
        ours = write(repo, first, files={"jobs/a.job.yaml": "b\n"})
        theirs = write(repo, first, files={"jobs/a.job.yaml": "c\n"})
        repo.diff(first, ours)
        repo.first_parents(ours, since=None)
        assert isinstance(repo.merge_trees(ours, theirs), Conflicts)
        repo.signatures([ours, theirs], "")
        repo.push([create("refs/heads/submit/job/a/v1", ours)])
        repo.write_working("jobs/a.job.yaml", b"other\n")
        assert repo.changed_paths(first, ["jobs"]) == {"jobs/a.job.yaml"}
        repo.write_working("jobs/a.job.yaml", b"b\n")
        repo.take(ours, {"jobs/a.job.yaml": repo.write_blob(b"b\n")})
    assert not witness.exists(), witness.read_text(encoding="utf-8")


def test_replaced_and_grafted_history_is_not_believed(ann: Clone) -> None:
    first = head(ann)
    second = CommitId(ann.commit({"x": "2"}, "second"))
    third = CommitId(ann.commit({"x": "3"}, "third"))
    ann.git("replace", second, first)
    (ann.path / ".git/info").mkdir()
    (ann.path / ".git/info/grafts").write_text(f"{third}\n", encoding="utf-8")
    with opened(ann) as repo:
        assert repo.commit(second).message == "second\n"
        assert [commit.id for commit in repo.history(third)] == [third, second, first]
        assert [commit.id for commit, _ in repo.first_parents(third, since=first)] == [second, third]
        assert repo.is_ancestor(first, third)


def test_no_locale_and_no_quoting_changes_what_is_read(ann: Clone) -> None:
    ann.git("config", "core.quotePath", "true")
    commit = head(ann)
    for locale in ("C", "de_DE.UTF-8", "tr_TR.ISO-8859-9"):
        with opened(ann, {"LC_ALL": locale, "LANG": locale}) as repo:
            changed = write(repo, commit, files={"jobs/ärger 订单.job.yaml": "x"})
            assert [change.path for change in repo.diff(commit, changed)] == ["jobs/ärger 订单.job.yaml"]
            assert "jobs/ärger 订单.job.yaml" in repo.entries(changed, ["jobs/ärger 订单.job.yaml"])


# Objects.


def test_a_commit_is_read_as_it_was_written(repo: Repo, ann: Clone) -> None:
    parent = head(ann)
    message = "Ümläut 订单\n\nItem: job/a\n"
    id_ = repo.write_commit(
        tree=repo.tree_of(parent), parents=[parent], message=message, author=ANN, when=NOON, sign=False
    )
    commit = repo.commit(id_)
    assert commit.parents == (parent,)
    assert commit.tree == ann.git("rev-parse", f"{parent}^{{tree}}")
    assert commit.author == commit.committer == ANN
    assert commit.authored_at == commit.committed_at == NOON
    assert commit.authored_at.tzinfo is UTC
    assert commit.message == message
    assert not commit.is_signed
    assert (
        ann.git("log", "-1", "--format=%an %ae %at %B", id_).strip()
        == f"ann ann@example.org 1795176000 {message}".strip()
    )
    assert ann.git("fsck", "--strict", "--no-dangling") == ""


def test_the_same_commit_is_made_twice(repo: Repo, ann: Clone) -> None:
    ann.git("config", "commit.gpgSign", "true")
    ann.git("config", "i18n.commitEncoding", "latin1")
    assert write(repo, head(ann), message="ä") == write(repo, head(ann), message="ä")
    assert not repo.commit(write(repo, head(ann), message="ä")).is_signed


def test_an_identity_cannot_add_headers(repo: Repo, ann: Clone) -> None:
    for name, email in [
        ("a\nb", "x@y"),
        ("a<b", "x@y"),
        ("", "x@y"),
        ("a", "x>y"),
        ("a", " "),
        ("\udcff", "x@y"),
    ]:
        with pytest.raises(GitFailed, match="cannot stand in a commit"):
            repo.write_commit(
                tree=EMPTY_TREE,
                parents=[],
                message="",
                author=Identity(name=name, email=email),
                when=NOON,
                sign=False,
            )
    with pytest.raises(Refused, match="NUL"):
        write(repo, message="a\0b")


@pytest.mark.parametrize(
    ("line", "name", "email"),
    [
        ("A <a@x> 1 +0000", "A", "a@x"),
        ("<a@x> 1 +0000", "", "a@x"),
        ("A <a@x> <b@y> 1 +0000", "A <a@x> <b@y> 1 +0000", ""),
        ("A <<a@x> 1 +0000", "A <<a@x> 1 +0000", ""),
        ("A a@x 1 +0000", "A a@x 1 +0000", ""),
        ("", "", ""),
    ],
)
def test_an_author_that_can_be_read_in_two_ways_has_no_address(
    repo: Repo, ann: Clone, line: str, name: str, email: str
) -> None:
    tree = repo.tree_of(head(ann))
    id_ = CommitId(ann.raw_commit(f"tree {tree}\nauthor {line}\ncommitter B <b@y> 99999999999 +0000\n\nm"))
    commit = repo.commit(id_)
    assert commit.author == Identity(name=name, email=email)
    assert commit.committer == Identity(name="B", email="b@y")


def test_strange_commits_are_read_or_refused(repo: Repo, ann: Clone) -> None:
    tree = repo.tree_of(head(ann))
    base = f"tree {tree}\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n"
    far = repo.commit(CommitId(ann.raw_commit(base.replace(" 1 ", " 999999999999 ") + "\nm")))
    assert far.authored_at == datetime.fromtimestamp(0, UTC)
    other = repo.commit(CommitId(ann.raw_commit(base.encode() + b"encoding nonsense\n\n\xff\n")))
    assert other.message == "\ufffd\n"
    tagged = base + "mergetag object x\n author E <evil@x> 1 +0000\n gpgsig x\n\nm"
    merge = repo.commit(CommitId(ann.raw_commit(tagged)))
    assert merge.author.email == "a@x"
    assert not merge.is_signed
    with pytest.raises(BadObject, match="malformed"):
        repo.commit(CommitId(ann.raw_commit("author A <a@x> 1 +0000\n\nm")))
    with pytest.raises(BadObject, match="malformed"):
        repo.commit(CommitId(ann.raw_commit("tree --output=x\n\nm")))


def test_only_full_ids_are_taken(repo: Repo) -> None:
    for id_ in ("main", "--output=x", "HEAD", "a" * 39, "A" * 40, "a" * 40 + "\n"):
        for act in (repo.commit, repo.history, repo.tree_of):
            with pytest.raises(ValueError, match="not a full object id"):
                act(CommitId(id_))


def test_what_is_missing_or_of_another_kind_is_said(repo: Repo, ann: Clone) -> None:
    missing = CommitId("1" * 40)
    assert not repo.exists(missing)
    with pytest.raises(BadObject, match="missing"):
        repo.commit(missing)
    with pytest.raises(BadObject, match="is a commit, not a file"):
        repo.blob(BlobId(head(ann)))
    blob = repo.write_blob(b"x")
    with pytest.raises(BadObject, match="is a blob, not a commit"):
        repo.commit(CommitId(blob))
    with pytest.raises(BadObject, match="is a blob, not a commit or a tree"):
        repo.tree_entry(blob, "x")
    # The answers that came with the refusals do not answer the next question.
    assert repo.blob(blob) == b"x"


def test_a_damaged_object_is_said_and_reading_goes_on(repo: Repo, ann: Clone) -> None:
    bad = repo.write_blob(b"to be damaged")
    path = ann.path / ".git/objects" / bad[:2] / bad[2:]
    path.chmod(0o644)
    path.write_bytes(b"nonsense")
    with pytest.raises(GitReleaseError):
        repo.blob(bad)
    assert repo.commit(head(ann)).message == "first\n"


def test_files_are_read_whole_or_refused_for_their_size(repo: Repo) -> None:
    for data in (b"", b"\n", b"\0" * 10, b"x" * 300_000, b"missing\n"):
        id_ = repo.write_blob(data)
        assert repo.blob(id_) == data
        assert repo.blob(id_, limit=len(data)) == data
    with pytest.raises(TooLarge, match="has 300000 bytes, more than the 299999 that are read"):
        repo.blob(repo.write_blob(b"x" * 300_000), limit=299_999)
    large = write(repo, files={"jobs/large": "xx", "jobs/small": "x"})
    for read in (
        lambda: repo.content(large, "jobs/large", limit=1),
        lambda: repo.contents(large, ["jobs/small", "jobs/large"], limit=1),
    ):
        with pytest.raises(
            TooLarge, match="'jobs/large' has 2 bytes, more than the 1 that are read"
        ) as refused:
            read()
        assert refused.value.path == "jobs/large"


def test_threads_get_their_own_answers(repo: Repo) -> None:
    datas = [os.urandom(index * 37) for index in range(200)]
    ids = repo.write_blobs(datas)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(repo.blob, ids)) == datas


def test_what_others_write_meanwhile_is_found(repo: Repo, ann: Clone) -> None:
    later = "2" * 40
    assert not repo.exists(later)
    id_ = CommitId(ann.commit({"later": "x"}))
    assert repo.commit(id_).message == "change\n"
    ann.git("gc", "--quiet", "--prune=now")
    assert repo.content(id_, "later") == b"x"


def test_a_closed_repository_opens_again(repo: Repo, ann: Clone) -> None:
    repo.close()
    repo.close()
    assert repo.commit(head(ann)).message == "first\n"


def test_many_files_are_read_with_one_process(repo: Repo) -> None:
    contents = [b"same", b"same", *(b"%d" % n * 1000 for n in range(500))]
    datas = dict(zip(repo.write_blobs(contents), contents, strict=True))
    assert repo.blobs([*datas, *datas]) == datas
    assert repo.blobs([]) == {}


# What somebody typed.


@pytest.mark.parametrize(
    "text",
    ["main", "HEAD", "origin/main", "refs/heads/main", "HEAD~0", "main^{}", "v1", "HEAD@{0}"],
)
def test_a_revision_is_found(repo: Repo, ann: Clone, text: str) -> None:
    ann.git("tag", "-a", "v1", "-m", "tag")
    assert repo.resolve(text) == head(ann)
    assert repo.resolve(head(ann)[:10]) == head(ann)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-x",
        "--output=/tmp/x",
        "nothing",
        "main\nHEAD",
        "main\0",
        "HEAD:README.md",
        "HEAD^{tree}",
        "HEAD..main",
        "\udcff",
        "1" * 40,
        "1" * 40 + " commit 5",
        "@{u",
        "a b c",
    ],
)
def test_p16_what_is_no_revision_is_nothing(repo: Repo, ann: Clone, text: str) -> None:
    assert repo.resolve(text) is None
    assert repo.resolve("HEAD") == head(ann)


def test_p16_refs_that_look_like_options_are_only_names(repo: Repo, ann: Clone, server: Clone) -> None:
    id_ = head(ann)
    names = ["--output=x", "-x", "$(id)", "a`id`b", f"{RLO}gpj", "订单", "a;id", "--upload-pack=x"]
    server.git("fetch", "--quiet", str(ann.path), "main")
    for name in names:
        server.git("update-ref", f"refs/heads/{name}", id_)
        server.git("update-ref", f"refs/tags/release/{name}", id_)
    repo.fetch(main=MAIN)
    for name in names:
        assert repo.refs()[RefName(f"refs/heads/{name}")] == id_
        assert repo.tip(RefName(f"refs/heads/{name}")) == id_
        assert tags_of(repo)[RefName(f"refs/tags/release/{name}")].target == id_
    assert repo.resolve("refs/remotes/origin/--output=x") == id_
    moves = [RefMove(ref=RefName(f"refs/heads/{name}"), new=None, expected=id_) for name in names]
    repo.push(moves)
    assert set(repo.refs("refs/heads/")) == {MAIN}
    assert not list(ann.path.glob("x"))


# Trees.


def test_entries_of_any_mode_come_out_and_only_plain_files_are_read(repo: Repo, ann: Clone) -> None:
    blob, tree = repo.write_blob(b"data"), repo.tree_of(head(ann))
    hostile = [
        ("100755", blob, b".git"),
        ("100644", blob, b"a\nb"),
        ("120000", blob, b"link"),
        ("160000", "1" * 40, b"module"),
        ("100664", blob, b"old"),
        ("100644", blob, b"plain"),
        ("040000", tree, b"sub"),
        ("100644", blob, b"\xff"),
    ]
    id_ = ann.raw_tree(hostile)
    listed = repo.list_tree(id_)
    assert [(entry.mode, entry.id, os.fsencode(entry.path)) for entry in listed] == [
        ("100644" if name == b"old" else mode, held, name) for mode, held, name in hostile
    ]
    assert [entry.path for entry in repo.list_tree(id_, recursive=True) if entry.path.startswith("sub")] == [
        "sub/README.md",
        "sub/jobs/a.job.yaml",
    ]
    assert [entry.kind for entry in listed if entry.path in {"link", "module", "sub"}] == [
        "blob",
        "commit",
        "tree",
    ]
    assert repo.content(id_, "plain") == b"data"
    assert repo.content(id_, "a\nb") == b"data"
    assert repo.content(id_, "nothing") is None
    assert repo.content(id_, "plain/below") is None
    assert repo.content(id_, "module/below") is None
    for path, what in [
        ("link", "a symbolic link"),
        ("module", "a submodule"),
        ("sub", "a folder"),
        (".git", "100755"),
    ]:
        with pytest.raises(NotAPlainFile, match=what):
            repo.content(id_, path)
    assert repo.contents(id_, ["plain", "sub/README.md", "none"]) == {
        "plain": b"data",
        "sub/README.md": b"hello\n",
    }


def test_folders_are_listed(repo: Repo, ann: Clone) -> None:
    commit = head(ann)
    assert [entry.path for entry in repo.list_tree(commit)] == ["README.md", "jobs"]
    assert [entry.path for entry in repo.list_tree(commit, "jobs")] == ["jobs/a.job.yaml"]
    assert [entry.path for entry in repo.list_tree(commit, "jobs", recursive=True)] == ["jobs/a.job.yaml"]
    assert repo.list_tree(commit, "none") == []
    assert repo.list_tree(commit, "README.md") == []
    assert repo.list_tree(EMPTY_TREE, recursive=True) == []
    assert set(repo.entries(commit, ["jobs", "jobs/a.job.yaml", "x", "jobs/x"])) == {
        "jobs",
        "jobs/a.job.yaml",
    }


def test_a_malformed_tree_is_refused(repo: Repo, ann: Clone) -> None:
    for data in (b"100644 a\0short", b"nonsense", b"100644 a"):
        id_ = ann.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=data)
        with pytest.raises(BadObject, match="malformed"):
            repo.list_tree(id_)


def test_a_tree_is_what_git_would_write(repo: Repo, ann: Clone) -> None:
    base = repo.tree_of(head(ann))
    edits: dict[str, BlobId | None] = {
        "jobs/a.job.yaml": None,
        "jobs/sales/b.job.yaml": repo.write_blob(b"b"),
        "jobs-old": repo.write_blob(b"sorts between jobs and jobs/"),
        "jobs.x": repo.write_blob(b"and so does this"),
        "items/job/订单.yaml": repo.write_blob(b"r"),
        "not/there": None,
    }
    made = repo.write_tree(base, edits)
    ann.git("rm", "-q", "jobs/a.job.yaml")
    ann.write(
        {
            "jobs/sales/b.job.yaml": "b",
            "jobs-old": "sorts between jobs and jobs/",
            "jobs.x": "and so does this",
            "items/job/订单.yaml": "r",
        }
    )
    ann.git("add", "--all")
    assert made == ann.git("write-tree")
    assert ann.git("fsck", "--strict", "--no-dangling") == ""
    assert repo.write_tree(made, {}) == made
    assert repo.write_tree(made, {"jobs.x": edits["jobs.x"]}) == made


def test_folders_that_become_empty_disappear(repo: Repo) -> None:
    blob = repo.write_blob(b"x")
    made = repo.write_tree(None, {"a/b/c/d": blob, "e": blob})
    assert [entry.path for entry in repo.list_tree(repo.write_tree(made, {"a/b/c/d": None}))] == ["e"]
    empty = repo.write_tree(made, {"a/b/c/d": None, "e": None})
    assert empty == EMPTY_TREE
    assert repo.write_tree(None, {}) == EMPTY_TREE
    assert repo.exists(EMPTY_TREE)


def test_files_and_folders_do_not_replace_each_other(repo: Repo) -> None:
    blob = repo.write_blob(b"x")
    base = repo.write_tree(None, {"file": blob, "folder/a": blob, "folder/b": blob})
    for edits in (
        {"file/below": blob},
        {"folder": blob},
        {"folder": None},
        {"new": blob, "new/below": blob},
        {"folder": blob, "folder/a": None},
    ):
        with pytest.raises(PathRefused):
            repo.write_tree(base, edits)
    moved = repo.write_tree(base, {"file": None, "file/below": blob})
    assert [entry.path for entry in repo.list_tree(moved, recursive=True)] == [
        "file/below",
        "folder/a",
        "folder/b",
    ]
    assert repo.write_tree(base, {"file/below": None}) == base


def test_a_folder_that_no_git_writes_is_told_as_one(repo: Repo, ann: Clone) -> None:
    blob = repo.write_blob(b"x")
    base = TreeId(ann.raw_tree([("100644", blob, b"sales/orders")]))
    with pytest.raises(BadObject, match="not as git writes one: it contains full pathnames") as caught:
        repo.write_tree(base, {"other": blob})
    assert "push the branch as it was before" in (caught.value.hint or "")


@pytest.mark.parametrize("depth", [0, 1])
def test_a_folder_without_any_file_is_in_nobodys_way(repo: Repo, ann: Clone, depth: int) -> None:
    """git writes none, and no difference tells of one; who makes it by hand would keep a file from its place."""
    void = ann.git("hash-object", "-w", "-t", "tree", "/dev/null")
    for _ in range(depth):
        void = ann.raw_tree([("40000", void, b"below")])
    blob = repo.write_blob(b"x")
    base = TreeId(ann.raw_tree([("40000", void, b"a"), ("100644", blob, b"b")]))
    assert (repo.content(base, "a"), repo.contents(base, ["a"]), repo.tree_entry(base, "a")) == (
        None,
        {},
        None,
    )
    assert repo.write_tree(base, {"a": blob}) == repo.write_tree(None, {"a": blob, "b": blob})
    ours = repo.write_commit(tree=base, parents=[head(ann)], message="", author=ANN, when=NOON, sign=False)
    theirs = write(repo, head(ann), files={"a": "x"})
    assert isinstance(repo.merge_trees(ours, theirs), str)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "a/../b",
        "./a",
        ".git/config",
        "a/.GIT/x",
        ".git.",
        "git~1",
        ".g\u200cit",
        "a\nb",
        "a\0b",
        "\udcff",
        ".git::$INDEX_ALLOCATION",
        "a\\.git\\b",
    ],
)
def test_p17_paths_that_could_escape_are_not_written(repo: Repo, path: str) -> None:
    with pytest.raises(PathRefused):
        repo.write_tree(None, {path: repo.write_blob(b"x")})


def test_what_is_beside_an_edit_stays_as_it_is(repo: Repo, ann: Clone) -> None:
    blob = repo.write_blob(b"x")
    beside = [
        ("120000", blob, b"link"),
        ("160000", "1" * 40, b"module"),
        ("100755", blob, b"run"),
        ("100644", blob, b"\xff"),
    ]
    base = TreeId(ann.raw_tree(beside))
    made = repo.write_tree(base, {"a": blob})
    listed = [(entry.mode, entry.id, os.fsencode(entry.path)) for entry in repo.list_tree(made)]
    assert listed == [("100644", blob, b"a"), *beside]


def test_a_tree_names_only_what_is_there(repo: Repo) -> None:
    with pytest.raises(GitFailed, match="unpack-objects"):
        repo.write_tree(None, {"a": BlobId("1" * 40)})


def test_the_bits_of_a_shared_repository_are_kept(bench: Bench) -> None:
    shared = bench.server("shared.git")
    shared.git("config", "core.sharedRepository", "0660")
    with opened(shared) as repo:
        id_ = repo.write_blob(b"x")
    mode = (shared.path / "objects" / id_[:2]).stat().st_mode
    assert mode & stat.S_IWGRP


def test_ten_thousand_files_are_quick(repo: Repo) -> None:
    blob = repo.write_blob(b"x")
    began = time.monotonic()
    base = repo.write_tree(None, {f"jobs/d{n % 100}/job_{n}.job.yaml": blob for n in range(10_000)})
    made = repo.write_tree(base, {"jobs/d7/job_7.job.yaml": repo.write_blob(b"y"), "jobs/new": blob})
    assert len(repo.list_tree(made, recursive=True)) == 10_001
    assert [change.path for change in repo.diff(base, made)] == ["jobs/d7/job_7.job.yaml", "jobs/new"]
    assert len(repo.entries(made, [f"jobs/d{n % 100}/job_{n}.job.yaml" for n in range(10_000)])) == 10_000
    assert time.monotonic() - began < 10


# Differences and history.


def test_a_difference_names_what_goes_and_what_comes(repo: Repo, ann: Clone) -> None:
    before = head(ann)
    ann.git("mv", "jobs/a.job.yaml", "jobs/b.job.yaml")
    after = CommitId(ann.commit({"README.md": "hello, world\n", "new\nline": "x"}))
    changes = {change.path: change for change in repo.diff(before, after)}
    assert list(changes) == ["README.md", "jobs/a.job.yaml", "jobs/b.job.yaml", "new\nline"]
    gone, came = changes["jobs/a.job.yaml"], changes["jobs/b.job.yaml"]
    assert gone.after is None
    assert came.before is None
    assert gone.before is not None
    assert came.after is not None
    assert gone.before.id == came.after.id
    assert repo.diff(before, before) == []
    assert [change.path for change in repo.diff(before, after, ["README.md"])] == ["README.md"]
    assert repo.diff(before, after, ["jobs/*"]) == []
    assert len(repo.diff(EMPTY_TREE, after)) == 3
    assert len(repo.diff(after, EMPTY_TREE)) == 3
    assert repo.diff(before, EMPTY_TREE, ["README.md"])[0].after is None


def test_a_change_of_mode_alone_is_a_difference(repo: Repo, ann: Clone) -> None:
    before = head(ann)
    ann.git("update-index", "--chmod=+x", "README.md")
    ann.git("commit", "-qm", "mode")
    (change,) = repo.diff(before, head(ann))
    assert (change.before, change.after) == (
        Entry(path="README.md", mode="100644", id=ann.tip("HEAD:README.md")),
        Entry(path="README.md", mode="100755", id=ann.tip("HEAD:README.md")),
    )


def test_submodules_and_links_are_differences_like_others(repo: Repo, ann: Clone) -> None:
    ann.git("config", "diff.ignoreSubmodules", "all")
    blob = repo.write_blob(b"x")
    before = ann.raw_tree([("160000", "1" * 40, b"module"), ("100644", blob, b"was")])
    after = ann.raw_tree([("160000", "2" * 40, b"module"), ("120000", blob, b"was")])
    changes = repo.diff(before, after)
    assert [(change.path, change.after and change.after.mode) for change in changes] == [
        ("module", "160000"),
        ("was", "120000"),
    ]


def test_first_parents_tell_what_each_step_changed(repo: Repo, ann: Clone) -> None:
    first = head(ann)
    ann.git("checkout", "-q", "-b", "side")
    ann.commit({"jobs/side.job.yaml": "s"}, "side")
    ann.git("checkout", "-q", "main")
    second = CommitId(ann.commit({"README.md": "changed"}, "second"))
    ann.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    merge = head(ann)
    empty = CommitId(ann.commit({}, "empty"))

    steps = repo.first_parents(empty, since=None)
    assert [(commit.id, [change.path for change in changes]) for commit, changes in steps] == [
        (first, ["README.md", "jobs/a.job.yaml"]),
        (second, ["README.md"]),
        (merge, ["jobs/side.job.yaml"]),
        (empty, []),
    ]
    assert [commit.id for commit, _ in repo.first_parents(empty, since=second)] == [merge, empty]
    assert [commit.id for commit, _ in repo.first_parents(empty, since=first, paths=["jobs"])] == [merge]
    assert [commit.id for commit, _ in repo.first_parents(empty, since=None, paths=["README.md"])] == [
        first,
        second,
    ]
    assert repo.first_parents(empty, since=empty) == []
    assert [commit.id for commit in repo.history(empty)] == [empty, merge, second, first]
    assert [commit.message for commit in repo.history(empty, limit=2)] == ["empty\n", "merge\n"]

    side = head(ann, "side")
    for tip, since in [(empty, side), (second, empty), (second, side)]:
        with pytest.raises(NotOnFirstParents):
            repo.first_parents(tip, since=since)


def test_what_is_told_of_a_line_of_trees_is_what_they_hold(repo: Repo, ann: Clone) -> None:
    """Files, folders in their place and back again, folders in folders, branches of a line; also what nothing is at."""
    one, two = repo.write_blob(b"1"), repo.write_blob(b"2")
    contents: list[dict[str, BlobId]] = [
        {"jobs/a": one, "jobs/b/c": one, "top": one},
        {"jobs/a": two, "jobs/b/c": one, "top": one},
        {"jobs/a/x": one, "jobs/b": two, "top": one, "new/deep/er": one},
        {"jobs/a": two, "jobs/b/c": one, "jobs/b/d/e": two, "top": one, "new": two},
        {"top": two},
        {"jobs/a": two, "jobs/b/c": one, "top": one},
        {"jobs/b/c": two, "top": one},
    ]
    trees: list[str] = [repo.write_tree(None, dict(content)) for content in contents]
    twice = ann.raw_tree([("100644", one, b"top"), ("100644", two, b"top")])
    program = ann.raw_tree([("100755", one, b"top")])
    lines = [
        [EMPTY_TREE, *trees, program],
        [trees[2], trees[6], trees[1]],
        [trees[6], trees[4]],
        [trees[4], twice],
    ]
    paths = {
        "jobs",
        "none",
        "jobs/none",
        "new/deep",
        "jobs/b/d",
        *(path for content in contents for path in content),
    }
    told, read = opened(ann), opened(ann)
    with told, read:
        told.compare_ahead([], lines)
        told.compare_ahead([], [[trees[4], trees[3]], [program, trees[0]]])
        for tree in (*trees, program, twice, EMPTY_TREE):
            assert told.entries(tree, paths) == read.entries(tree, paths)
            for folder in ("jobs", "jobs/b", "new", "new/deep", "none", "top"):
                listed = [sorted(str(one) for one in of.list_tree(tree, folder)) for of in (told, read)]
                assert listed[0] == listed[1]


def test_p10_order_comes_from_parents_not_from_clocks(repo: Repo, ann: Clone) -> None:
    tree = repo.tree_of(head(ann))
    chain = [head(ann)]
    for step in range(5):
        chain.append(
            repo.write_commit(
                tree=tree,
                parents=[chain[-1]],
                message=f"{step}",
                author=ANN,
                sign=False,
                when=datetime(2000 - step, 1, 1, tzinfo=UTC),
            )
        )
    assert [commit.id for commit in repo.history(chain[-1])] == chain[::-1]
    assert [commit.id for commit, _ in repo.first_parents(chain[-1], since=chain[0])] == chain[1:]


def test_what_lay_around_for_long_and_is_written_again_is_as_new_to_git(repo: Repo, ann: Clone) -> None:
    def written() -> list[Path]:
        blob = repo.write_blob(b"left by a command that lost a race\n")
        tree = repo.write_tree(None, {"folder/file": blob})
        return [ann.path / ".git/objects" / id_[:2] / id_[2:] for id_ in (blob, tree)]

    for path in written():
        os.utime(path, (1, 1))
    assert [path.stat().st_mtime > 1 for path in written()] == [True, True]


def test_ancestors(repo: Repo, ann: Clone) -> None:
    first = head(ann)
    one, two = write(repo, first, message="one"), write(repo, first, message="two")
    alone = write(repo, files={"x": "y"})
    assert repo.is_ancestor(first, one)
    assert repo.is_ancestor(one, one)
    assert not repo.is_ancestor(one, two)
    assert not repo.is_ancestor(one, first)
    assert repo.merge_base(one, two) == first
    assert repo.merge_base(one, alone) is None
    assert repo.outside([first, one, two, alone], one) == {two, alone}
    assert repo.outside([], one) == set()
    joined = write(repo, two, one, files={"j": "j"})
    assert {commit.id for commit in repo.beyond(joined, [first])} == {one, two, joined}
    assert repo.beyond(joined, [first])[-1].id == joined
    assert repo.beyond(joined, [joined]) == []
    assert [commit.id for commit in repo.beyond(alone, [])] == [alone]


def test_trees_are_merged_or_the_paths_in_conflict_named(repo: Repo, ann: Clone) -> None:
    first = head(ann)
    ours = write(repo, first, files={"jobs/a.job.yaml": "ours\n", "same": "x"})
    theirs = write(repo, first, files={"jobs/b.job.yaml": "theirs\n", "same": "x"})
    merged = repo.merge_trees(ours, theirs)
    assert merged == repo.tree_of(write(repo, ours, files={"jobs/b.job.yaml": "theirs\n"}))
    again = write(repo, first, files={"jobs/a.job.yaml": "theirs\n", "other": "x"})
    assert repo.merge_trees(ours, again) == Conflicts(paths=("jobs/a.job.yaml",))
    assert repo.merge_trees(ours, first) == repo.tree_of(ours)
    assert repo.merge_trees(first, ours) == repo.tree_of(ours)
    alone = write(repo, files={"alone": "x"})
    merged = repo.merge_trees(first, alone)
    assert merged == repo.tree_of(write(repo, first, files={"alone": "x"}))


def test_a_merge_does_not_mix_lines(repo: Repo, ann: Clone) -> None:
    text = "".join(f"line {n}\n" for n in range(50))
    base = write(repo, head(ann), files={"long": text})
    ours, theirs = (
        write(repo, base, files={"long": "start\n" + text}),
        write(repo, base, files={"long": text + "end\n"}),
    )
    assert repo.merge_trees(ours, theirs) == Conflicts(paths=("long",))


def test_files_and_folders_do_not_replace_each_other_in_a_merge(repo: Repo, ann: Clone) -> None:
    base = write(repo, head(ann), files={"was": "file"})
    below, file = write(repo, base, files={"new/below": "x"}), write(repo, base, files={"new": "x"})
    assert repo.merge_trees(below, file) == Conflicts(paths=("new",))
    assert repo.merge_trees(file, below) == Conflicts(paths=("new/below",))
    tree = repo.write_tree(repo.tree_of(base), {"was": None, "was/below": repo.write_blob(b"x")})
    moved = repo.write_commit(tree=tree, parents=[base], message="", author=ANN, when=NOON, sign=False)
    other = write(repo, base, message="other")
    assert repo.merge_trees(other, moved) == tree


def test_a_merge_guesses_no_renames(repo: Repo, ann: Clone) -> None:
    base = write(repo, head(ann), files={"jobs/long": "text\n"})
    blob = repo.tree_entry(base, "jobs/long")
    assert blob is not None
    tree = repo.write_tree(repo.tree_of(base), {"jobs/long": None, "moved/long": blob.blob})
    moved = repo.write_commit(tree=tree, parents=[base], message="", author=ANN, when=NOON, sign=False)
    changed = write(repo, base, files={"jobs/long": "other\n"})
    assert repo.merge_trees(moved, changed) == Conflicts(paths=("jobs/long",))
    added = write(repo, base, files={"jobs/new": "x\n"})
    assert repo.merge_trees(moved, added) == repo.tree_of(write(repo, moved, files={"jobs/new": "x\n"}))


def test_modes_are_what_git_takes_them_for(repo: Repo, ann: Clone) -> None:
    """No difference tells one from the other, so nobody would find what keeps a file from being read or written."""
    blob = repo.write_blob(b"x")
    below = ann.raw_tree([("100664", blob, b"file"), ("100775", blob, b"run")])
    padded = b"040000 folder\0" + bytes.fromhex(below)
    base = TreeId(ann.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=padded))
    assert repo.content(base, "folder/file") == b"x"
    assert [entry.mode for entry in repo.list_tree(base, "folder")] == ["100644", "100755"]
    made = repo.write_tree(base, {"folder/other": blob})
    assert ann.git("ls-tree", "-r", "--name-only", made).split() == [
        "folder/file",
        "folder/other",
        "folder/run",
    ]


def test_only_plain_files_are_brought_in_by_a_merge(repo: Repo, ann: Clone) -> None:
    blob = repo.write_blob(b"x")
    tree = TreeId(ann.raw_tree([("120000", blob, b"link")]))
    link = repo.write_commit(tree=tree, parents=[], message="", author=ANN, when=NOON, sign=False)
    with pytest.raises(NotAPlainFile, match="'link' is a symbolic link"):
        repo.merge_trees(head(ann), link)
    assert isinstance(repo.merge_trees(link, head(ann)), str)


@pytest.mark.parametrize("where", ["working tree", "info", "tree"])
def test_attributes_choose_no_way_to_merge(repo: Repo, ann: Clone, where: str) -> None:
    attributes = "* merge=union\njobs/** merge=evil\n"
    ann.git("config", "merge.evil.driver", "cp %B %A")
    files = {".gitattributes": attributes} if where == "tree" else {}
    first = write(repo, head(ann), files={"f": "base\n", **files})
    if where == "working tree":
        ann.write({".gitattributes": attributes})
    ours = write(repo, first, files={"f": "ours\n", "jobs/a.job.yaml": "ours\n"})
    theirs = write(repo, first, files={"f": "theirs\n", "jobs/a.job.yaml": "theirs\n"})
    if where == "info":
        (ann.path / ".git/info").mkdir(exist_ok=True)
        (ann.path / ".git/info/attributes").write_text(attributes, encoding="utf-8")
    assert repo.merge_trees(ours, theirs) == Conflicts(paths=("f", "jobs/a.job.yaml"))


# Refs and fetching.


def test_refs_have_the_names_of_the_shared_repository(repo: Repo, ann: Clone, server: Clone) -> None:
    id_ = head(ann)
    ann.git("branch", "only-mine")
    ann.git("remote", "set-head", "origin", "main")
    server.git("tag", "v1", "main")
    server.git("tag", "-a", "-m", "Released\n\nwith a body", "release/p1", "main")
    server.git("branch", "submit/job/a/v1", "main")
    repo.fetch(main=MAIN)
    expected = {
        MAIN: id_,
        "refs/heads/submit/job/a/v1": id_,
        "refs/tags/release/p1": server.tip("release/p1"),
    }
    assert everything(repo) == expected
    with opened(server) as direct:
        assert everything(direct) == expected
        assert direct.tip(MAIN) == id_
        assert tags_of(direct) == tags_of(repo)
    assert set(repo.refs("refs/heads/submit/")) == {"refs/heads/submit/job/a/v1"}
    assert repo.tip(RefName("refs/heads/submit")) is None
    assert repo.tip(RefName("refs/heads/only-mine")) is None
    tag = tags_of(repo)[RefName("refs/tags/release/p1")]
    assert tag.target == id_
    assert tag.message == "Released\n\nwith a body\n"


def test_fetch_forgets_what_is_gone_and_leaves_the_user_alone(repo: Repo, ann: Clone, server: Clone) -> None:
    server.git("branch", "package/p1", "main")
    server.git("tag", "release/p1", "main")
    repo.fetch(main=MAIN)
    server.git("branch", "-D", "package/p1")
    server.git("branch", "package/p1/now-a-folder", "main")
    server.git("tag", "-d", "release/p1")
    ann.git("tag", "mine")
    ann.git("config", "remote.origin.fetch", "+refs/heads/main:refs/heads/evil")
    repo.fetch(main=MAIN)
    assert set(repo.refs()) == {MAIN, "refs/heads/package/p1/now-a-folder"}
    assert repo.refs(RELEASE_TAGS) == {}
    assert "refs/tags/mine" in ann.refs()
    assert "refs/heads/evil" not in ann.refs()
    assert not (ann.path / ".git/FETCH_HEAD").exists()
    assert ann.git("status", "--porcelain") == ""


@pytest.mark.parametrize("configured", ["--tags", "--no-tags"])
def test_release_tags_are_as_they_are_there_whatever_the_clone_is_configured_to(
    repo: Repo, ann: Clone, server: Clone, configured: str
) -> None:
    first = head(ann)
    ann.git("config", "remote.origin.tagOpt", configured)
    ann.git("tag", "release/p1", "main")
    ann.git("tag", "theirs", "main")
    second = ann.commit({"x": "2"}, "second")
    ann.push(f"{second}:{MAIN}")
    server.git("tag", "release/p1", second)
    server.git("tag", "theirs", second)
    server.git("tag", "other", first)
    repo.fetch(main=MAIN)
    assert repo.refs(RELEASE_TAGS) == {"refs/tags/release/p1": second}
    assert ann.git("rev-parse", "theirs") == first
    assert "refs/tags/other" not in ann.refs()


def test_a_branch_called_head_moves_nothing_else(repo: Repo, ann: Clone, server: Clone, bench: Bench) -> None:
    ann.git("remote", "set-head", "origin", "main")
    bob = bench.clone(server, "bob")
    bob.git("checkout", "-q", "-b", "x", "origin/main")
    bob.push(f"{bob.commit({'x': 'x'})}:refs/heads/HEAD")
    repo.fetch(main=MAIN)
    assert repo.refs() == {MAIN: head(ann)}


def test_where_there_are_many_tags_git_is_asked_first_and_tells_the_same(
    ann: Clone, server: Clone, bench: Bench
) -> None:
    first = head(ann)
    packed = ann.path / ".git/packed-refs"
    many = "".join(f"{first} refs/tags/many/{number:030d}\n" for number in range(MANY_REFS // 80))
    packed.write_text("# pack-refs with: peeled fully-peeled sorted \n" + many)
    server.git("branch", "package/p1", "main")
    server.git("update-ref", "refs/heads/HEAD", "main")
    with opened(ann) as repo:
        repo.fetch(main=MAIN)
        both = {MAIN: first, "refs/heads/package/p1": first}
        assert repo.refs() == both
        server.git("tag", "release/p1", "main")
        repo.fetch(main=MAIN)
        assert (repo.refs(), repo.refs(RELEASE_TAGS)) == (both, {})  # nothing moved, so nothing was brought
        repo.fetch(main=MAIN, tags=True)
        assert (repo.refs(), set(repo.refs(RELEASE_TAGS))) == (both, {"refs/tags/release/p1"})
        server.git("tag", "-d", "release/p1")
        server.git("branch", "-D", "package/p1")
        repo.fetch(main=MAIN)
        assert (repo.refs(), repo.refs(RELEASE_TAGS)) == ({MAIN: first}, {})
        second = ann.commit({"x": "2"}, "second")
        ann.push(f"{second}:{MAIN}")
        ann.git("fetch", "-q")  # somebody else brought it here
        repo.fetch(main=MAIN)
        server.git("update-ref", MAIN, first)
        ann.git("fetch", "-q")
        with pytest.raises(HistoryRewritten):
            repo.fetch(main=MAIN)
        assert repo.tip(MAIN) == second
        ann.git("remote", "set-url", "origin", str(bench.folder / "gone.git"))
        with pytest.raises(Unreachable, match="did not answer"):
            repo.fetch(main=MAIN)


def test_trees_that_come_again_lead_in_no_circle() -> None:
    lines = Lines()
    for before, after in (("X", "Y"), ("Y", "Z"), ("Y", "W"), ("W", "X"), ("X", "V")):
        lines.follow(before, after, ())
    assert [lines.tell(tree, "never")[0] for tree in "XYZWV"] == ["X"] * 5
    assert lines.tell_below("X", "", lambda _: True) == ("X", {})


@pytest.mark.parametrize("branch", ["main", "production", "archive", "review/p1"])
def test_p11_a_rewritten_history_is_noticed_and_the_old_one_kept(
    ann: Clone, server: Clone, branch: str
) -> None:
    first = head(ann)
    second = ann.commit({"x": "2"}, "second")
    other = ann.git("commit-tree", "-p", first, "-m", "other", f"{first}^{{tree}}")
    ref = RefName(f"refs/heads/{branch}")
    ann.push(f"{second}:{ref}", force=True)
    with opened(ann) as repo:
        repo.fetch(main=MAIN)
        for new in (first, other):
            ann.git("push", "-q", "-f", str(server.path), f"{new}:{ref}")
            with pytest.raises(HistoryRewritten, match="history was rewritten") as caught:
                repo.fetch(main=MAIN)
            assert (caught.value.ref, caught.value.old, caught.value.new) == (ref, second, new)
            assert repo.tip(ref) == second
            # It is noticed each time, and also when git itself fetched it here.
            ann.git("fetch", "-q")
            assert ann.tip(f"refs/remotes/origin/{branch}") == new
            with pytest.raises(HistoryRewritten):
                repo.fetch(main=MAIN)
            assert repo.tip(ref) == second
        third = write(repo, CommitId(second), message="third")
        ann.git("push", "-q", "-f", str(server.path), f"{third}:{ref}")
        repo.fetch(main=MAIN)
        assert repo.tip(ref) == third


def test_a_growing_branch_does_not_vanish_but_a_review_may(repo: Repo, ann: Clone, server: Clone) -> None:
    id_ = head(ann)
    for branch in ("production", "review/p1"):
        server.git("branch", branch, "main")
    repo.fetch(main=MAIN)
    server.git("branch", "-D", "review/p1")
    repo.fetch(main=MAIN)
    assert set(repo.refs()) == {MAIN, LEDGER}
    server.git("branch", "-D", "production")
    with pytest.raises(HistoryRewritten, match="is gone"):
        repo.fetch(main=MAIN)
    assert repo.tip(LEDGER) == id_
    server.git("update-ref", "refs/heads/review/p1", id_)
    server.git("update-ref", LEDGER, id_)
    repo.fetch(main=MAIN)
    assert RefName("refs/heads/review/p1") in repo.refs()


def test_other_branches_may_be_rewound(repo: Repo, ann: Clone, server: Clone) -> None:
    second = ann.commit({"x": "2"})
    ann.push(f"{second}:refs/heads/package/p1")
    repo.fetch(main=MAIN)
    ann.git("push", "-q", "-f", str(server.path), "HEAD~1:refs/heads/package/p1")
    repo.fetch(main=MAIN)
    assert repo.tip(RefName("refs/heads/package/p1")) == head(ann, "HEAD~1")


def test_the_main_branch_may_have_another_name(repo: Repo, ann: Clone, server: Clone) -> None:
    trunk = RefName("refs/heads/trunk")
    second = ann.commit({"x": "2"})
    ann.push(f"{second}:{trunk}")
    repo.fetch(main=trunk)
    ann.git("push", "-q", "-f", str(server.path), f"HEAD~1:{trunk}")
    with pytest.raises(HistoryRewritten):
        repo.fetch(main=trunk)


def test_a_remote_that_is_not_there_is_unreachable(ann: Clone, bench: Bench) -> None:
    ann.git("remote", "set-url", "origin", str(bench.folder / "gone.git"))
    with opened(ann) as repo:
        acts: list[Callable[[], None]] = [
            lambda: repo.fetch(main=MAIN),
            lambda: repo.push([create("refs/heads/x", head(ann))]),
        ]
        for act in acts:
            with pytest.raises(Unreachable, match="did not answer") as caught:
                act()
            assert caught.value.exit is Exit.REFUSED


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(ann: Clone) -> None:
    """Two minutes, unless somebody says otherwise: git itself has no limit at all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the system accepts, and nobody answers
        ann.git("remote", "set-url", "origin", f"http://127.0.0.1:{silent.getsockname()[1]}/release.git")
        briefly = {"GIT_HTTP_LOW_SPEED_TIME": "1"}
        with opened(ann, briefly) as repo, pytest.raises(Unreachable, match="last 1 seconds"):
            repo.fetch(main=MAIN)


def test_a_note_that_a_power_failure_emptied_is_named(ann: Clone, server: Clone, bench: Bench) -> None:
    note = ann.path / ".git/refs/gitrelease/origin/announced"
    with opened(ann) as repo:
        repo.fetch(main=MAIN)
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text("")
        other = bench.clone(server, "bob")
        other.commit({"x": "y"}, "x")
        other.push("HEAD:refs/heads/other")
        with pytest.raises(BadObject, match="refs/gitrelease/origin/announced names nothing"):
            repo.fetch(main=MAIN)
        note.unlink()
        repo.fetch(main=MAIN)


def test_a_remote_that_wants_credentials_has_its_own_exit_code(ann: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def refuse() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(65536)
                    peer.sendall(
                        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n"
                        b"Content-Length: 0\r\nConnection: close\r\n\r\n"
                    )

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        ann.git("remote", "set-url", "origin", f"http://user:hunter2@127.0.0.1:{port}/x.git")
        with (
            opened(ann, {"NO_PROXY": "127.0.0.1"}) as repo,
            pytest.raises(RemoteRefusedCredentials) as caught,
        ):
            repo.fetch(main=MAIN)
        assert caught.value.exit is Exit.CREDENTIALS
        assert "hunter2" not in caught.value.message
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def test_a_remote_cannot_be_a_program(ann: Clone, bench: Bench) -> None:
    witness = bench.folder / "witness"
    ann.git("remote", "set-url", "origin", f"ext::touch {witness}")
    ann.git("config", "protocol.ext.allow", "always")
    with opened(ann) as repo, pytest.raises(Unreachable):
        repo.fetch(main=MAIN)
    assert not witness.exists()


def test_a_relative_remote_is_found_from_any_folder(ann: Clone, server: Clone) -> None:
    ann.git("remote", "set-url", "origin", f"../{server.path.name}")
    with Repo.discover(ann.path / "jobs", remote="origin", environ=ann.environ) as repo:
        repo.fetch(main=MAIN)
        repo.push([create("refs/heads/submit/job/a/v1", head(ann))])
        assert repo.tip(RefName("refs/heads/submit/job/a/v1")) == head(ann)


# Moving refs.


@pytest.fixture(params=["clone", "in place"])
def mover(request: pytest.FixtureRequest, ann: Clone, server: Clone) -> Iterator[Repo]:
    """What moves refs: a clone by pushing, or the bare repository in place."""
    with opened(ann if request.param == "clone" else server) as repo:
        repo.fetch(main=MAIN)
        yield repo


def test_refs_are_created_moved_and_deleted(mover: Repo, server: Clone) -> None:
    task, tag_ref = RefName("refs/heads/submit/job/a/v1"), RefName("refs/tags/release/p1")
    main = mover.tip(MAIN)
    assert main is not None
    second = write(mover, main, message="second")
    tag = mover.write_tag(tag_ref, second, "Released p1", ANN, NOON)
    mover.push([create(task, main), create(tag_ref, tag), RefMove(ref=MAIN, new=second, expected=main)])
    assert server.refs() == {MAIN: second, task: main, tag_ref: tag} == everything(mover)
    assert tags_of(mover)[tag_ref].tagger == ANN
    assert tags_of(mover)[tag_ref].tagged_at == NOON
    assert tags_of(mover)[tag_ref].message == "Released p1\n"
    mover.push([RefMove(ref=task, new=None, expected=main), RefMove(ref=tag_ref, new=None, expected=tag)])
    assert server.refs() == {MAIN: second} == everything(mover)
    mover.push([])


def test_p26_a_ref_moves_only_from_where_it_was_expected(mover: Repo, server: Clone) -> None:
    main = mover.tip(MAIN)
    assert main is not None
    second, third = write(mover, main, message="second"), write(mover, main, message="third")
    task = RefName("refs/heads/submit/job/a/v1")
    mover.push([create(task, main)])
    held = server.refs()
    for move in (
        create(task, second),
        RefMove(ref=task, new=third, expected=second),
        RefMove(ref=task, new=None, expected=second),
        RefMove(ref=RefName("refs/heads/none"), new=second, expected=main),
    ):
        with pytest.raises(PushRejected) as caught:
            mover.push([move])
        assert set(caught.value.rejected) == {move.ref}
        assert isinstance(caught.value, RaceLost)
        assert server.refs() == held


def test_one_move_that_fails_stops_all(mover: Repo, server: Clone) -> None:
    main = mover.tip(MAIN)
    assert main is not None
    second = write(mover, main, message="second")
    taken, free, gone = (RefName(f"refs/heads/submit/job/{name}/v1") for name in "abc")
    mover.push([create(taken, main), create(gone, main)])
    held = server.refs()
    with pytest.raises(PushRejected) as caught:
        mover.push(
            [
                create(free, second),
                RefMove(ref=gone, new=None, expected=main),
                create(taken, second),
                RefMove(ref=MAIN, new=second, expected=main),
            ]
        )
    assert caught.value.rejected == {taken: f"is at {main:.7}"}
    assert server.refs() == held == mover.refs()


def test_a_lock_that_was_left_is_named(mover: Repo, server: Clone) -> None:
    main = mover.tip(MAIN)
    assert main is not None
    (server.path / "refs/heads/main.lock").touch()
    with pytest.raises(RaceLost, match=r"or its lock was left: refs/heads/main\.lock") as caught:
        mover.push([RefMove(ref=MAIN, new=write(mover, main, message="second"), expected=main)])
    assert (
        caught.value.hint
        == "run the command again; if it stays so, delete that file in the shared repository"
    )
    assert server.refs() == {MAIN: main}


def test_a_lock_on_the_head_of_the_server_is_named(mover: Repo, server: Clone) -> None:
    # git takes it to move the branch that HEAD names.
    main = mover.tip(MAIN)
    assert main is not None
    (server.path / "HEAD.lock").touch()
    with pytest.raises(RaceLost, match=r"or its lock was left: HEAD\.lock"):
        mover.push([RefMove(ref=MAIN, new=write(mover, main, message="second"), expected=main)])
    assert server.refs() == {MAIN: main}


def test_a_lock_of_this_clone_is_not_taken_for_a_remote_that_is_silent(
    ann: Clone, server: Clone, bench: Bench
) -> None:
    with opened(ann) as repo:
        repo.fetch(main=MAIN)
        other = bench.clone(server, "bob")
        other.commit({"x": "y"}, "x")
        other.push(f"HEAD:{MAIN}")
        lock = ann.path / ".git/refs/remotes/origin/main.lock"
        lock.touch()
        with pytest.raises(CloneHeld, match=r"in this clone.*refs/remotes/origin/main\.lock") as caught:
            repo.fetch(main=MAIN)
        assert caught.value.hint == "run the command again; if it stays so, delete that file"
        lock.unlink()
        repo.fetch(main=MAIN)


def test_a_server_that_dies_in_mid_push_did_not_decline_it(ann: Clone, server: Clone) -> None:
    hook = server.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o755)
    with (
        opened(ann) as repo,
        pytest.raises(Unreachable, match="broke off in mid-push") as caught,
    ):
        repo.push([create("refs/heads/x", head(ann))])
    assert caught.value.hint == "run the command again: it goes on from whatever arrived"


def test_a_push_whose_answer_was_lost_can_be_repeated(mover: Repo, server: Clone) -> None:
    main = mover.tip(MAIN)
    assert main is not None
    task, old = RefName("refs/heads/submit/job/a/v1"), RefName("refs/heads/submit/job/a/v0")
    mover.push([create(old, main)])
    moves = [create(task, main), RefMove(ref=old, new=None, expected=main)]
    mover.push(moves)
    mover.push(moves)
    assert server.refs() == {MAIN: main, task: main}


def test_nothing_is_taken_from_a_branch_that_grows(mover: Repo) -> None:
    main = mover.tip(MAIN)
    assert main is not None
    second, other = write(mover, main, message="second"), write(mover, files={"x": "x"})
    mover.push([create(LEDGER, second), create("refs/heads/review/p1", second)])
    for new in (None, other, main):
        with pytest.raises(Refused, match="only grows"):
            mover.push([RefMove(ref=LEDGER, new=new, expected=second)])
    mover.push([RefMove(ref=RefName("refs/heads/review/p1"), new=None, expected=second)])


def test_only_shared_refs_and_full_ids_are_moved(mover: Repo) -> None:
    main = mover.tip(MAIN)
    assert main is not None
    for ref in (
        "HEAD",
        "refs/notes/x",
        "main",
        "refs/heads/a b",
        "refs/heads/a:b",
        "refs/heads/*",
        "refs/tags/v1",
    ):
        with pytest.raises(ValueError, match="not a branch or a release tag"):
            mover.push([create(ref, main)])
    with pytest.raises(ValueError, match="not a full object id"):
        mover.push([create("refs/heads/x", "main")])
    with pytest.raises(ValueError, match="from nothing to nothing"):
        mover.push([RefMove(ref=RefName("refs/heads/x"), new=None, expected=None)])


def test_p26_of_many_who_push_at_once_exactly_one_wins(bench: Bench, server: Clone, ann: Clone) -> None:
    base = head(ann)
    bob = bench.clone(server, "bob")
    bob.git("fetch", "-q")
    task = RefName("refs/heads/submit/job/a/v1")
    with opened(ann) as one, opened(bob) as two, opened(server) as place:
        for round_ in range(8):
            repos = (one, two, place)
            commits = [write(repo, base, message=f"{round_} {index}") for index, repo in enumerate(repos)]
            gate = threading.Barrier(len(repos))

            def attempt(repo: Repo, commit: CommitId, gate: threading.Barrier = gate) -> bool:
                gate.wait()
                try:
                    repo.push([create(task, commit)])
                except PushRejected:
                    return False
                return True

            with ThreadPoolExecutor(3) as pool:
                won = list(pool.map(attempt, repos, commits))
            assert won.count(True) == 1, won
            assert server.tip(task) == commits[won.index(True)]
            server.git("update-ref", "-d", task)


def test_the_hooks_of_the_shared_repository_run_and_their_no_is_shown(
    repo: Repo, ann: Clone, server: Clone, bench: Bench
) -> None:
    seen = bench.folder / "seen"
    bench.hook(
        server,
        "pre-receive",
        f"cat > '{seen}'; env | grep -E '^GIT_(LITERAL|ATTR|CONFIG_PARAM)' >> '{seen}'\n"
        f"git config core.fsmonitor >> '{seen}'\n"
        f"printf 'no, \\033[31mnot \\342\\200\\256you\\n' >&2; exit 1",
    )
    held = server.refs()
    with pytest.raises(PushDeclined) as caught:
        repo.push([create("refs/heads/submit/job/a/v1", head(ann)), create("refs/heads/other", head(ann))])
    assert "no, \\x1b[31mnot you" in caught.value.said
    assert not isinstance(caught.value, RaceLost)
    assert server.refs() == held
    lines = seen.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2, "the hook saw both refs, and nothing of our settings"
    assert repo.tip(RefName("refs/heads/other")) is None
    bench.hook(server, "pre-receive", "exit 0")
    repo.push([create("refs/heads/other", head(ann))])


def test_an_update_hook_that_refuses_one_ref_stops_all(
    repo: Repo, ann: Clone, server: Clone, bench: Bench
) -> None:
    bench.hook(server, "update", 'case "$1" in *other) echo "other is closed" >&2; exit 1;; esac')
    with pytest.raises(PushDeclined) as caught:
        repo.push([create("refs/heads/fine", head(ann)), create("refs/heads/other", head(ann))])
    # What the server said, without what git puts around it.
    assert caught.value.said == "other is closed\nerror: hook declined to update refs/heads/other"
    assert caught.value.hint == "ask whoever runs the server; this push changed nothing"
    assert set(server.refs()) == {MAIN}


def test_a_hook_that_refuses_without_a_word_is_named_all_the_same(
    repo: Repo, ann: Clone, server: Clone, bench: Bench
) -> None:
    bench.hook(server, "pre-receive", "exit 1")
    with pytest.raises(PushDeclined, match="pre-receive hook declined"):
        repo.push([create("refs/heads/other", head(ann))])


def test_a_pushing_user_setting_adds_no_ref(repo: Repo, ann: Clone, server: Clone) -> None:
    for key, value in [
        ("push.followTags", "true"),
        ("push.default", "matching"),
        ("remote.origin.push", "refs/heads/*"),
        ("push.useForceIfIncludes", "true"),
        ("push.recurseSubmodules", "on-demand"),
    ]:
        ann.git("config", key, value)
    ann.git("tag", "-a", "-m", "mine", "mine")
    ann.git("branch", "mine")
    repo.push([create("refs/heads/x", head(ann))])
    assert set(server.refs()) == {MAIN, "refs/heads/x"}


def test_what_is_pushed_is_known_here_also_without_a_configured_refspec(ann: Clone) -> None:
    ann.git("config", "--unset-all", "remote.origin.fetch")
    with opened(ann) as repo:
        ref = RefName("refs/heads/x")
        repo.push([create(ref, head(ann))])
        assert repo.tip(ref) == head(ann)
        repo.push([RefMove(ref=ref, new=None, expected=head(ann))])
        assert repo.tip(ref) is None


def test_a_hook_of_the_server_sees_the_push_only_in_quarantine(
    ann: Clone, server: Clone, bench: Bench
) -> None:
    script = bench.folder / "hook.py"
    script.write_text(
        "import os, sys\n"
        "from pathlib import Path\n"
        "from gitrelease.repo import Repo\n"
        "old, new, ref = sys.stdin.read().split()\n"
        "for quarantine in (True, False):\n"
        "    seen = Repo.discover(Path.cwd(), remote='origin', environ=os.environ, quarantine=quarantine)\n"
        "    with seen as repo:\n"
        "        print(quarantine, repo.exists(new), repo.is_direct, file=sys.stderr)\n"
        "        if quarantine:\n"
        "            print([change.path for change in repo.diff(old, new)], file=sys.stderr)\n"
        "sys.exit(1)\n",
        encoding="utf-8",
    )
    root = Path(__file__).parent.parent
    path = os.pathsep.join([str(root), *sys.path])
    bench.hook(server, "pre-receive", f"PYTHONPATH='{path}' exec '{sys.executable}' '{script}'")
    with opened(ann) as repo:
        repo.fetch(main=MAIN)
        new = write(repo, head(ann), files={"new": "x"})
        with pytest.raises(PushDeclined) as caught:
            repo.push([RefMove(ref=MAIN, new=new, expected=head(ann))])
    assert "True True True" in caught.value.said
    assert "['new']" in caught.value.said
    assert "False False True" in caught.value.said


# Identity and signatures.


def test_who_the_user_is_comes_from_git(repo: Repo, ann: Clone, bench: Bench) -> None:
    assert repo.identity() == ANN
    with opened(ann, {"GIT_AUTHOR_NAME": "Other", "GIT_AUTHOR_EMAIL": "o@x"}) as other:
        assert other.identity() == Identity(name="Other", email="o@x")
    ann.git("config", "--unset", "user.email")
    with pytest.raises(Refused, match="does not know who you are") as caught:
        repo.identity()
    assert "user.email" in (caught.value.hint or "")


def test_p40_signatures_are_judged_by_ssh_keygen_and_the_list_alone(bench: Bench, ann: Clone) -> None:
    key, other = bench.keys("ann"), bench.keys("other")
    ann.git("config", "user.signingKey", str(key.path))
    tree = ann.tip("HEAD^{tree}")
    with opened(ann) as repo, opened(ann, signing_key=other.path) as stranger:

        def signed(by: Repo, message: str) -> CommitId:
            return by.write_commit(
                tree=TreeId(tree), parents=[head(ann)], message=message, author=ANN, when=NOON, sign=True
            )

        good, unknown = signed(repo, "good"), signed(stranger, "unknown")
        unsigned = write(repo, head(ann), message="unsigned")
        raw = ann.git("cat-file", "commit", good) + "\n"
        tampered = CommitId(ann.raw_commit(raw.replace("good", "evil")))
        header = raw[raw.index("gpgsig") : raw.index("\n\n") + 1]
        doubled = CommitId(ann.raw_commit(raw.replace(header, header + header)))
        twin = CommitId(
            ann.raw_commit(raw.replace(header, header + header.replace("gpgsig", "gpgsig-sha256")))
        )
        pgp = CommitId(ann.raw_commit(raw.replace("SSH SIGNATURE", "PGP SIGNATURE")))
        assert repo.commit(good).is_signed
        allowed = key.allowed("ann@example.org")
        ids = [good, unknown, unsigned, tampered, doubled, twin, pgp, good]
        assert {id_: found.status.value for id_, found in repo.signatures(ids, allowed).items()} == {
            good: "good",
            unknown: "unknown-key",
            unsigned: "none",
            tampered: "bad",
            doubled: "bad",
            twin: "bad",
            pgp: "bad",
        }
        found = repo.signatures([good], allowed)[good]
        assert found.principal == "ann@example.org"
        assert found.fingerprint is not None
        assert found.fingerprint.startswith("SHA256:")
        assert repo.signatures([unknown], allowed)[unknown].principal is None
        assert repo.signatures([], allowed) == {}
        assert repo.signatures([unsigned], "") == {unsigned: Signature(status=SignatureStatus.NONE)}
        assert repo.signatures([good], "")[good].status is SignatureStatus.UNKNOWN_KEY

        # Nobody's configuration has a say.
        yes = bench.folder / "yes"
        yes.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
        yes.chmod(0o755)
        mine = bench.folder / "mine"
        mine.write_text(other.allowed("ann@example.org"), encoding="utf-8")
        for setting, value in [
            ("gpg.format", "openpgp"),
            ("gpg.ssh.program", str(yes)),
            ("gpg.ssh.allowedSignersFile", str(mine)),
            ("gpg.minTrustLevel", "ultimate"),
            ("gpg.ssh.revocationFile", str(key.path) + ".pub"),
            ("log.showSignature", "true"),
            ("log.decorate", "full"),
            ("format.pretty", "raw"),
        ]:
            ann.git("config", setting, value)
        judged = repo.signatures([good, unknown, tampered], allowed)
        assert [signature.status.value for signature in judged.values()] == ["good", "unknown-key", "bad"]


def test_a_format_that_only_the_user_defines_stops_no_reading(bench: Bench, ann: Clone) -> None:
    key = bench.keys("ann")
    ann.git("config", "format.pretty", "mine")
    with opened(ann, signing_key=key.path) as repo:
        id_ = repo.write_commit(tree=EMPTY_TREE, parents=[], message="m", author=ANN, when=NOON, sign=True)
        assert repo.signatures([id_], key.allowed("ann@example.org"))[id_].status.value == "good"


def test_a_key_is_trusted_for_commits_only_while_the_list_says_so(bench: Bench, ann: Clone) -> None:
    key = bench.keys("ann")
    with opened(ann, signing_key=key.path) as repo:
        id_ = repo.write_commit(tree=EMPTY_TREE, parents=[], message="m", author=ANN, when=NOON, sign=True)
        for options, status in [
            ('namespaces="git"', "good"),
            ('namespaces="file"', "bad"),
            ('namespaces="git",valid-before="20260101"', "unknown-key"),
            ('namespaces="git",valid-before="20270101"', "good"),
        ]:
            found = repo.signatures([id_], f"ann@example.org {options} {key.public}\n")
            assert found[id_].status.value == status, options


def test_signing_is_refused_in_a_sentence(bench: Bench, ann: Clone, tmp_path: Path) -> None:
    def sign(repo: Repo) -> CommitId:
        return repo.write_commit(tree=EMPTY_TREE, parents=[], message="m", author=ANN, when=NOON, sign=True)

    with opened(ann) as repo, pytest.raises(SigningRefused, match="no key to sign with") as caught:
        sign(repo)
    assert caught.value.exit is Exit.CREDENTIALS
    with (
        opened(ann, signing_key=tmp_path / "none") as repo,
        pytest.raises(SigningRefused, match="is not there"),
    ):
        sign(repo)
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("not a key\n", encoding="utf-8")
    with opened(ann, signing_key=nonsense) as repo, pytest.raises(SigningRefused, match="could not sign"):
        sign(repo)
    bare = tmp_path / "bin"
    bare.mkdir()
    git = shutil.which("git")
    assert git is not None
    (bare / "git").symlink_to(git)
    with opened(ann, {"PATH": str(bare)}, signing_key=nonsense) as repo:
        with pytest.raises(SigningRefused, match="ssh-keygen is not installed"):
            sign(repo)
        assert repo.signatures([head(ann)], "")[head(ann)].status is SignatureStatus.NONE


# Working files.


def test_only_files_that_may_differ_are_named(repo: Repo, ann: Clone) -> None:
    commit = head(ann)
    ann.commit({"jobs/b.job.yaml": "b", "scripts/s.sql": "s", ".gitignore": "*.swp\n"})
    commit = head(ann)
    assert repo.changed_paths(commit, ["jobs", "scripts", "workspace.yaml"]) == set()
    ann.write(
        {
            "jobs/a.job.yaml": "changed",
            "jobs/b.job.yaml": None,
            "jobs/new\nline": "x",
            "jobs/x.swp": "x",
            "README.md": "x",
            "scripts/t.sql": "t",
            "jobs/deep/er/c.job.yaml": "x",
        }
    )
    ann.git("add", "scripts/t.sql")
    before = (ann.path / ".git/index").read_bytes()
    assert repo.changed_paths(commit, ["jobs"]) == {
        "jobs/a.job.yaml",
        "jobs/b.job.yaml",
        "jobs/new\nline",
        "jobs/deep/er/c.job.yaml",
    }
    assert repo.changed_paths(commit, ["scripts", "README.md"]) == {"scripts/t.sql", "README.md"}
    assert repo.changed_paths(commit, ["j*"]) == set()
    assert (ann.path / ".git/index").read_bytes() == before
    assert repo.ignored_paths(["jobs", "scripts"]) == {"jobs/x.swp"}
    everywhere = ["jobs", "scripts", "README.md"]
    unkept = repo.unkept(repo.lying(["jobs", "scripts"]), repo.kept_paths(), everywhere)
    assert sorted(unkept) == ["jobs/deep/er/c.job.yaml", "jobs/new\nline", "jobs/x.swp"]
    named = repo.kept_changes(commit, everywhere) | repo.other_paths(unkept)
    assert named == repo.changed_paths(commit, everywhere)
    assert repo.ignored_paths(unkept) == {"jobs/x.swp"}
    assert repo.ignored_paths([]) == set()
    with pytest.raises(ValueError, match="no folder"):
        repo.changed_paths(commit, [])


def test_where_git_need_not_look_again_is_not_much(repo: Repo, ann: Clone) -> None:
    folders = ["jobs", "scripts"]
    assert repo.unkept(repo.lying(folders), repo.kept_paths(), folders) == []
    assert repo.kept_changes(head(ann), folders) | repo.other_paths([]) == set()
    ann.write({f"jobs/n{number}.job.yaml": "x" for number in range(70)})
    assert (
        repo.unkept(repo.lying(folders), repo.kept_paths(), folders) == folders
    )  # too many to be named one by one
    ann.git("clean", "-fdq")
    ann.git("init", "--quiet", "jobs/own")
    ann.write({"jobs/own/a.job.yaml": "x"})
    assert (
        repo.unkept(repo.lying(folders), repo.kept_paths(), folders) == folders
    )  # git does not look into a repository of its own


def test_much_is_read_at_once(repo: Repo, ann: Clone) -> None:
    texts = {f"jobs/n{number}.job.yaml": f"text {number}\n" for number in range(5)} | {
        "jobs/empty.job.yaml": ""
    }
    ann.commit(texts)
    tip = head(ann)
    read = {entry.path: data.decode() for entry, data in repo.read_below(tip, "jobs")}
    assert texts.items() <= read.items()
    assert list(repo.read_below(tip, "nowhere")) == []
    entries = repo.list_tree(tip, "jobs")
    with pytest.raises(TooLarge, match="more than the 2"):
        list(repo.read_all(entries, limit=2))
    gone = Entry(path="jobs/gone", mode="100644", id="1" * 40)
    with pytest.raises(BadObject, match="missing"):
        list(repo.read_all([gone]))


def test_headings_are_first_parents_and_first_lines(repo: Repo, ann: Clone) -> None:
    first = head(ann)
    ann.git("commit", "--quiet", "--allow-empty", "-m", "Second\n\nMore")
    second = head(ann)
    told = list(repo.headings(second))
    assert [one.id for one in told] == [commit.id for commit in repo.history(second)]
    assert (told[0].id, told[0].parent, told[0].subject) == (second, first, "Second")
    assert told[-1].parent is None
    assert next(iter(repo.headings(second))).id == second  # whoever wants no more leaves


def test_what_is_no_file_is_named_and_links_are_not_followed(repo: Repo, ann: Clone, bench: Bench) -> None:
    (ann.path / "jobs/deep").mkdir()
    os.mkfifo(ann.path / "jobs/deep/pipe")
    (ann.path / "jobs/link").symlink_to(bench.folder)
    (ann.path / "linked").symlink_to(ann.path / "jobs")
    found = repo.lying(["jobs", "linked", "nowhere"])
    assert sorted(found.no_files) == ["jobs/deep", "jobs/deep/pipe"]
    assert found.files == {"jobs": frozenset({"a.job.yaml", "link"}), "jobs/deep": frozenset()}
    assert found.files_called("link") == ["jobs/link"]


def test_working_files_are_read_without_following_links(repo: Repo, ann: Clone, bench: Bench) -> None:
    secret = bench.folder / "secret"
    secret.write_text("secret", encoding="utf-8")
    (ann.path / "jobs/link").symlink_to(secret)
    (ann.path / "folder").symlink_to(bench.folder)
    os.mkfifo(ann.path / "jobs/pipe")
    assert repo.read_working("jobs/a.job.yaml") == b"a\n"
    assert repo.read_working("jobs/none") is None
    assert repo.read_working("none/none") is None
    for path in (
        "jobs/link",
        "folder/secret",
        "jobs/pipe",
        "jobs",
        "jobs/a.job.yaml/below",
        "../secret",
        ".git/config",
    ):
        with pytest.raises(PathRefused):
            repo.read_working(path)
    with pytest.raises(TooLarge):
        repo.read_working("jobs/a.job.yaml", limit=1)


def test_working_files_are_written_at_once(repo: Repo, ann: Clone, bench: Bench) -> None:
    file = ann.path / "jobs/a.job.yaml"
    file.chmod(0o640)
    repo.write_working("jobs/a.job.yaml", b"new\n")
    assert file.read_bytes() == b"new\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    repo.write_working("jobs/new/deep.yaml", b"x")
    assert (ann.path / "jobs/new/deep.yaml").read_bytes() == b"x"
    outside = bench.folder / "outside"
    outside.mkdir()
    (outside / "f").write_text("kept", encoding="utf-8")
    (ann.path / "link").symlink_to(outside)
    (ann.path / "jobs/file-link").symlink_to(outside / "f")
    for path in ("link/f", "jobs/file-link", "jobs", "../outside/f", ".git/hooks/x", "jobs/a.job.yaml/x"):
        with pytest.raises(PathRefused):
            repo.write_working(path, b"evil")
    assert (outside / "f").read_text(encoding="utf-8") == "kept"
    assert not list(ann.path.rglob("*.tmp"))
    repo.remove_working("jobs/new/deep.yaml")
    repo.remove_working("jobs/new/deep.yaml")
    assert not (ann.path / "jobs/new/deep.yaml").exists()
    with pytest.raises(PathRefused):
        repo.remove_working("link/f")


def test_a_bare_repository_has_no_working_files(server: Clone) -> None:
    with opened(server) as repo, pytest.raises(NotFound, match="bare"):
        repo.read_working("x")


def test_the_branch_that_is_checked_out(repo: Repo, ann: Clone) -> None:
    assert repo.head_branch() == MAIN
    ann.git("checkout", "-q", "--detach")
    assert repo.head_branch() is None


def test_pull_moves_forward_and_leaves_alone_what_is_the_same(repo: Repo, ann: Clone) -> None:
    blob = repo.write_blob(b"new\n")
    new = write(
        repo, head(ann), files={"jobs/a.job.yaml": "new\n", "jobs/b.job.yaml": "new\n", "other": "x\n"}
    )
    ann.write(
        {"jobs/a.job.yaml": "new\n", "jobs/b.job.yaml": "new\n", "README.md": "my own change\n", "mine": "x"}
    )
    inode = (ann.path / "jobs/a.job.yaml").stat().st_ino
    repo.take(new, {"jobs/a.job.yaml": blob, "jobs/b.job.yaml": blob})
    assert ann.tip("main") == new
    assert ann.git("status", "--porcelain") == " M README.md\n?? mine"
    assert (ann.path / "other").read_text(encoding="utf-8") == "x\n"
    assert (ann.path / "jobs/a.job.yaml").stat().st_ino == inode
    repo.take(new, {})


@pytest.mark.parametrize("how", ["changed", "untracked", "ignored", "staged"])
def test_pull_overwrites_nothing(repo: Repo, ann: Clone, how: str) -> None:
    ann.commit({".gitignore": "ignored\n"})
    old = head(ann)
    path = {"changed": "README.md", "staged": "README.md"}.get(how, how)
    new = write(repo, old, files={path: "theirs\n", "jobs/a.job.yaml": "new\n", "other": "x\n"})
    ann.write({path: "mine\n", "jobs/a.job.yaml": "new\n"})
    if how == "staged":
        ann.git("add", path)
    before = ann.git("status", "--porcelain", "--ignored")
    with pytest.raises(InTheWay, match=path):
        repo.take(new, {"jobs/a.job.yaml": repo.write_blob(b"new\n")})
    assert head(ann) == old
    assert (ann.path / path).read_text(encoding="utf-8") == "mine\n"
    assert not (ann.path / "other").exists()
    assert ann.git("status", "--porcelain", "--ignored") == before


def test_pull_stays_where_the_branch_went_its_own_way(repo: Repo, ann: Clone) -> None:
    base = head(ann)
    ann.commit({"x": "mine"})
    with pytest.raises(InTheWay, match="commits that"):
        repo.take(write(repo, base, message="theirs"), {})
    ann.git("checkout", "-q", "--detach")
    with pytest.raises(InTheWay, match="no branch"):
        repo.take(base, {})


# What is shown.


def test_p20_text_of_others_is_fit_for_a_terminal() -> None:
    assert plain("a\x1b[31mb\r\nc\x07\td") == "a\\x1b[31mb\nc\\x07\td"
    assert plain(f"x{RLO}y\u200bz\u2066") == "xyz"
    assert (
        plain("fatal: unable to access 'https://me:token@host/x.git/'")
        == "fatal: unable to access 'https://host/x.git/'"
    )


def test_git_is_started_in_one_place_and_never_through_gitpython() -> None:
    folder = Path(__file__).parent.parent / "gitrelease"
    sources = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in folder.rglob("*.py")
    }
    assert {
        name for name, text in sources.items() if re.search(r"^\s*(import|from) git\b", text, re.MULTILINE)
    } == {"repo/library.py"}
    assert not [name for name, text in sources.items() if re.search(r"\.git\.\w+\(", text)]
    assert [name for name, text in sources.items() if name.startswith("repo/") and "Popen(" in text] == [
        "repo/run.py"
    ]


def test_no_process_is_left_behind(ann: Clone) -> None:
    with opened(ann) as repo:
        repo.commit(head(ann))
    listed = subprocess.run(
        ["ps", "-o", "args=", "--ppid", str(os.getpid())], capture_output=True, check=False
    )
    assert b"cat-file" not in listed.stdout


# Many at once, and what is kept meanwhile.


def test_a_tree_is_as_git_writes_it(repo: Repo, ann: Clone) -> None:
    """Whatever comes, goes or turns from a file into a folder, the order is git's, and so is the id."""
    blob = repo.write_blob(b"x")
    names = ["a", "a-b", "a.b", "a0", "b/c", "é", "職", "Z", "z.x/y", "z-", "z0"]
    made = repo.write_tree(None, dict.fromkeys(names, blob))
    steps: list[dict[str, BlobId | None]] = [
        {"a": None, "a/b": blob},
        {"z.x/y": None},
        {"z.x": blob},
        {"a/b": None},
        {"a": blob, "0": blob},
        {"b/c": blob},
        {"m": blob, "é": None},
    ]
    for edits in [{}, *steps]:
        made = repo.write_tree(made, edits)
        listed = ann.git("ls-tree", made)
        again = subprocess.run(
            ["git", "mktree"],
            input=listed,
            cwd=ann.path,
            env=ann.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        assert again.stdout.strip() == made
    ann.git("fsck", "--strict", "--no-dangling")


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1", ".g\u200cit", ".gitmodules\u200c/x/.git"])
def test_no_new_name_poses_as_the_folder_of_git(repo: Repo, name: str) -> None:
    """Beside old names that are in order."""
    blob = repo.write_blob(b"x")
    made = repo.write_tree(None, {"a/b": blob})
    with pytest.raises(PathRefused):
        repo.write_tree(made, {f"a/{name}": blob})


def test_many_differences_at_once_are_what_each_is(repo: Repo, ann: Clone) -> None:
    """Whether they were looked for before or not; what is not here shows where it is asked for."""
    commits = [
        CommitId(ann.commit({f"jobs/{n}": str(n), "x": None if n % 2 else "x"}, str(n))) for n in range(4)
    ]
    pairs = [(one, other) for one in (EMPTY_TREE, *commits) for other in commits]
    alone = {pair: tuple(repo.diff(*pair)) for pair in pairs}
    below = {pair: repo.diff(*pair, ["jobs"]) for pair in pairs}
    assert repo.diffs(pairs) == alone
    nowhere = ("1" * 40, commits[0])
    repo.compare_ahead([*pairs, nowhere])
    assert {pair: tuple(repo.diff(*pair)) for pair in pairs} == alone
    assert {pair: repo.diff(*pair, ["jobs"]) for pair in pairs} == below
    assert repo.diffs(pairs) == alone
    with pytest.raises(BadObject):
        repo.diff(*nowhere)


def test_what_is_read_ahead_is_what_is_there(repo: Repo, ann: Clone) -> None:
    """Objects of other kinds, and ids of nothing, are no reason to fail before they are asked for."""
    head_ = CommitId(ann.commit({"a": "1", "b": "22"}, "more"))
    entries = {entry.path: entry for entry in repo.list_tree(head_)}
    repo.read_ahead(
        [head_, repo.tree_of(head_), "1" * 40, *(entry.id for entry in entries.values() if entry.is_file)]
    )
    repo.walk_ahead([(head_, "jobs/a.job.yaml"), (head_, "no/such/path")])
    assert repo.is_kept(head_)
    assert repo.blobs([entries["a"].blob, entries["b"].blob]) == {
        entries["a"].blob: b"1",
        entries["b"].blob: b"22",
    }
    with pytest.raises(TooLarge):
        repo.files({"b": entries["b"].blob}, limit=1)
    with pytest.raises(BadObject):
        repo.blobs([BlobId("1" * 40)])
    with pytest.raises(BadObject):
        repo.blobs([BlobId(head_)])


def test_short_walks_end_where_those_of_git_do(repo: Repo, ann: Clone) -> None:
    """Lines, sides and merges: what lies beyond a commit and outside of a branch is what git says."""
    base = ann.commit({"a": "0"}, "base")
    one = ann.commit({"a": "1"}, "one")
    two = ann.commit({"a": "2"}, "two")
    tree = ann.git("rev-parse", f"{two}^{{tree}}").strip()

    def made(*parents: str) -> str:
        over = [word for parent in parents for word in ("-p", parent)]
        return ann.git("commit-tree", tree, *over, "-m", " ".join(parents)).strip()

    side, log = made(base), made(two)
    log2 = made(log, two)
    merge, root = made(two, side), made()
    everything = [base, one, two, side, log, log2, merge, root, made(log2, root)]
    for tip in everything:
        for end in everything:
            told = ann.git("rev-list", "--topo-order", "--reverse", tip, f"^{end}").split()
            assert [commit.id for commit in repo.beyond(CommitId(tip), [CommitId(end)])] == told
            inside = set(ann.git("rev-list", tip).split())
            assert repo.outside([CommitId(end)], CommitId(tip)) == {end} - inside

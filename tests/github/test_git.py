"""Git against the server: real git, real HTTP, right and wrong tokens, and what the rules do not let in."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.github.conftest import AT, Desk
from tests.github.faults import Drop, When, html
from tests.github.state import Protection, Role, Ruleset, TokenKind


@dataclass(frozen=True)
class Clone:
    """A clone of the desk, by somebody with a token."""

    path: Path
    token: str

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run git here."""
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.path.parent), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_ASKPASS": "true",
            "GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@example.org",
            "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@example.org",
        }  # fmt: skip
        return subprocess.run(
            ["git", *args], cwd=self.path, env=env, capture_output=True, check=False, text=True
        )

    def git(self, *args: str) -> str:
        """Run git here, successfully."""
        ran = self.run(*args)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def commit(self, name: str = "x.txt", text: str = "x\n", message: str = "change") -> str:
        """Commit a file on what is checked out."""
        (self.path / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)
        return self.git("rev-parse", "HEAD")


def clone(desk: Desk, folder: Path, token: str) -> Clone:
    """Clone the desk, which works with any token that may read."""
    folder.mkdir()
    made = Clone(folder, token)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("remote", "add", "origin", desk.hub.server.git_url(desk.repo, token))
    made.git("fetch", "--quiet", "origin")
    made.git("checkout", "--quiet", "-B", "main", "origin/main")
    return made


@pytest.fixture
def ann(desk: Desk, tmp_path: Path) -> Clone:
    """A clone of somebody who may write."""
    return clone(desk, tmp_path / "ann", desk.hub.person("ann", desk.repo))


def moves(desk: Desk) -> list[tuple[str, str, str]]:
    """List what the server saw: kind, branch, who."""
    rows = desk.client("ann").get(f"{AT}/activity", direction="asc").body
    return [(it["activity_type"], it["ref"].removeprefix("refs/heads/"), it["actor"]["login"]) for it in rows]


def test_pushes_are_recorded_by_what_they_did(desk: Desk, ann: Clone) -> None:
    """Made, moved, moved back, deleted: by the token's owner, whoever the commit says it is by."""
    one = ann.commit()
    ann.git("push", "--quiet", "origin", "HEAD:package/x")
    two = ann.commit(text="y\n")
    ann.git("push", "--quiet", "origin", "HEAD:package/x")
    ann.git("push", "--quiet", "--force", "origin", f"{one}:package/x")
    ann.git("push", "--quiet", "origin", ":package/x")
    assert moves(desk)[1:] == [
        ("branch_creation", "package/x", "ann"),
        ("push", "package/x", "ann"),
        ("force_push", "package/x", "ann"),
        ("branch_deletion", "package/x", "ann"),
    ]
    last = desk.client("ann").get(f"{AT}/activity", activity_type="force_push").body[0]
    assert (last["before"], last["after"]) == (two, one)


def test_a_large_push_comes_in_chunks(desk: Desk, ann: Clone) -> None:
    """Git packs what is long into chunks."""
    ann.git("config", "http.postBuffer", "1024")
    (ann.path / "big.bin").write_bytes(os.urandom(300_000))
    head = ann.commit()
    ann.git("push", "--quiet", "origin", "HEAD:big")
    assert desk.hub.server.state.bare(desk.repo).tip("big") == head


def test_the_newer_protocol_is_spoken(desk: Desk, ann: Clone) -> None:
    """Refs are asked for by their beginning."""
    ran = ann.run("-c", "protocol.version=2", "-c", "core.askPass=", "ls-remote", "origin", "refs/heads/main")
    assert ran.stdout.split() == [desk.first, "refs/heads/main"]


def test_many_branches_in_one_push_all_or_none(desk: Desk, ann: Clone) -> None:
    """An atomic push with one wrong part moves nothing."""
    one = ann.commit()
    ran = ann.run(
        "push", "--atomic", "origin", f"{one}:refs/heads/a", f"{one}:refs/heads/b", f"{one}:refs/pull/9/head"
    )
    assert ran.returncode != 0
    assert moves(desk) == [("branch_creation", "main", "ann")]
    ann.git("push", "--quiet", "--atomic", "origin", f"{one}:refs/heads/a", f"{one}:refs/heads/b")
    assert [it[1] for it in moves(desk)] == ["main", "a", "b"]


def test_an_expected_value_is_kept(desk: Desk, ann: Clone) -> None:
    """A lease that does not hold moves nothing."""
    one = ann.commit()
    wrong = f"--force-with-lease=refs/heads/main:{one}"
    assert ann.run("push", wrong, "origin", f"{one}:main").returncode != 0
    right = f"--force-with-lease=refs/heads/main:{desk.first}"
    ann.git("push", "--quiet", right, "origin", f"{one}:main")


def test_heads_of_pull_requests_can_be_fetched_but_not_pushed(desk: Desk, ann: Clone) -> None:
    """`refs/pull/` belongs to the server."""
    pull = desk.proposal()
    ann.git("fetch", "--quiet", "origin", "refs/pull/1/head")
    assert ann.git("rev-parse", "FETCH_HEAD") == pull.head_sha
    ran = ann.run("push", "origin", "HEAD:refs/pull/1/head")
    assert (ran.returncode, "deny updating a hidden ref" in ran.stderr) == (1, True)


def test_wrong_rights(desk: Desk, ann: Clone, tmp_path: Path) -> None:
    """No token, a wrong one, one of a reader, one that may not, one for another repository."""
    ann.commit()
    other = desk.hub.repo("acme", "other")

    def tried(token: str, *args: str) -> str:
        url = desk.hub.server.git_url(desk.repo, token)
        ran = ann.run(*(args or ("push", url, "HEAD:x")), *((url,) if args else ()))
        assert ran.returncode != 0
        return ran.stderr

    assert "Authentication failed" in tried("ghp_wrong")
    assert "Invalid username or token" in tried("ghp_wrong")
    assert "not found" in tried(desk.hub.person("eve"), "ls-remote")
    reader = desk.hub.person("rea", desk.repo, Role.READ)
    assert "Permission to acme/desk.git denied to rea." in tried(reader)
    weak = desk.hub.token("ann", TokenKind.FINE, desk.repo, contents="read")
    assert "Permission to acme/desk.git denied to ann." in tried(weak)
    strong = desk.hub.token("ann", TokenKind.FINE, other, contents="write")
    assert "not found" in tried(strong)
    assert desk.hub.server.state.bare(desk.repo).tip("x") is None
    bot = desk.hub.actions_token(desk.repo, contents="write")
    ann.git("push", "--quiet", desk.hub.server.git_url(desk.repo, bot), "HEAD:x")
    assert moves(desk)[-1] == ("branch_creation", "x", "github-actions[bot]")


def test_a_revoked_token_is_out(desk: Desk, ann: Clone) -> None:
    """From one request to the next."""
    ann.git("fetch", "--quiet")
    desk.hub.server.state.revoke(ann.token)
    assert ann.run("fetch").returncode != 0


def test_protected_branches_are_refused_with_githubs_words(desk: Desk, ann: Clone) -> None:
    """The other branches of the same push go through."""
    desk.change(protections={"main": Protection(approvals=1)})
    one = ann.commit()
    ran = ann.run("push", "origin", f"{one}:main", f"{one}:refs/heads/other")
    assert ran.returncode == 1
    assert "error: GH006: Protected branch update failed for refs/heads/main." in ran.stderr
    assert "error: - Changes must be made through a pull request." in ran.stderr
    bare = desk.hub.server.state.bare(desk.repo)
    assert (bare.tip("main"), bare.tip("other")) == (desk.first, one)
    desk.change(protections={"other": Protection()})
    force = ann.run("push", "--force", "origin", ":other")
    assert "error: - Cannot delete this branch" in force.stderr


def test_rulesets_let_only_those_on_the_list_move_a_ref(desk: Desk, ann: Clone) -> None:
    """A deploy key may move the ledger, a person may not; tags stay where they are."""
    only = ({"type": "creation"}, {"type": "update", "parameters": {"update_allows_fetch_and_merge": False}})
    key = {"actor_id": None, "actor_type": "DeployKey"}
    ledger = Ruleset(id=7, name="ledger", include=("refs/heads/production/**",), rules=only, bypass=(key,))
    tags = Ruleset(
        id=8, name="tags", target="tag", include=("refs/tags/release/**",),
        rules=({"type": "deletion"}, only[1]),
    )  # fmt: skip
    desk.change(rulesets=(ledger, tags))
    one = ann.commit()
    ran = ann.run("push", "origin", "HEAD:production/main")
    assert "error: GH013: Repository rule violations found for refs/heads/production/main." in ran.stderr
    assert "- Cannot create ref due to creations being restricted." in ran.stderr
    by_key = desk.hub.server.git_url(desk.repo, desk.hub.deploy_key("ann", desk.repo))
    ann.git("push", "--quiet", by_key, "HEAD:production/main")
    ann.git("push", "--quiet", "origin", f"{one}:refs/tags/release/a/b")
    assert ann.run("push", "--force", "origin", f"{desk.first}:refs/tags/release/a/b").returncode == 1
    assert ann.run("push", "origin", ":refs/tags/release/a/b").returncode == 1


def test_pushes_can_be_lost_before_and_after(desk: Desk, ann: Clone) -> None:
    """What was lost before had no effect; what was lost after had, and nobody was told."""
    bare = desk.hub.server.state.bare(desk.repo)
    ann.commit()
    desk.hub.server.faults.add("git/push", Drop(midway=True))
    assert ann.run("push", "origin", "HEAD:x").returncode != 0
    assert bare.tip("x") is None
    desk.hub.server.faults.add("git/push", html(502), when=When.AFTER)
    assert ann.run("push", "origin", "HEAD:x").returncode != 0
    assert bare.tip("x") is not None
    assert desk.hub.server.count("git/push") == 2


def test_a_renamed_repository_is_found_by_its_old_name(desk: Desk, ann: Clone) -> None:
    """Git follows, for reading and for writing."""
    desk.hub.rename(desk.repo, "office")
    ann.git("fetch", "--quiet", "origin")
    head = ann.commit()
    ann.git("push", "--quiet", "origin", "HEAD:x")
    assert desk.hub.server.state.bare(desk.repo).tip("x") == head

"""`init`: a folder or a repository becomes a release repository, once, whatever is killed on the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitrelease.commands.beginning import CannotBegin
from gitrelease.commands.check import check_working
from gitrelease.commands.first_workspace import member_id, workspace_name
from gitrelease.commands.importing import ExportUnreadable
from gitrelease.commands.init import InitRequest, InitResult, init
from gitrelease.commands.pull import pull
from gitrelease.commands.refusals import CheckFailed
from gitrelease.core.ledger import Event, Founding
from gitrelease.core.names import GUARDED, CommitId, ItemKey, ItemName, Kind, MemberId, record_path
from gitrelease.core.workspace import NotAllowed, Role, Signatures
from gitrelease.errors import Refused
from gitrelease.reading.ledger import receipt_of
from gitrelease.reading.situation import gather
from gitrelease.repo import HistoryRewritten, Identity, Repo
from tests.kit.git import Bench, Clone
from tests.kit.shop import FIRST_ITEMS, Person, Shop, job_yaml, script_yaml, workspace_yaml

FILES = {path: text.replace("version: 1\n", "") for path, text in FIRST_ITEMS.items()}
"""The first items, as somebody has them who never heard of versions."""


def begin(bench: Bench, folder: Path, **more: object) -> InitResult:
    """Run init as a person would in that folder."""
    request = InitRequest(folder=folder, **more)  # type: ignore[arg-type]
    return init(request, environ=bench.environ, now=bench.clock)


def alone(bench: Bench, name: str = "adm-1", *, signing: bool = False) -> Clone:
    """Give somebody an identity and a folder that is not there yet."""
    lines = f"[user]\n\tname = {name}\n\temail = {name}@example.org\n"
    if signing:
        lines += f"\tsigningKey = {bench.keys(name).path}\n[gpg]\n\tformat = ssh\n"
    (bench.home / "gitconfig").write_text(lines, encoding="utf-8")
    return Clone(path=bench.folder / "shop", environ=bench.environ, clock=bench.clock)


def guarded_differs(clone: Clone, one: str, other: str) -> str:
    return clone.git("diff", "--name-only", one, other, "--", *GUARDED)


def test_an_empty_folder(bench: Bench) -> None:
    clone = alone(bench, signing=True)
    made = begin(bench, clone.path)

    assert (made.pushed, made.taken_over, made.is_old) == (False, 0, False)
    assert made.workspace.name == "shop"
    assert made.workspace.review.signatures is Signatures.REQUIRED
    (member,) = made.workspace.members
    assert (member.id, member.emails, member.roles) == (
        "adm-1",
        ("adm-1@example.org",),
        frozenset({Role.ADMIN, Role.RUNNER}),
    )
    assert member.keys[0].startswith(bench.keys("adm-1").public)
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert clone.refs() == {"refs/heads/main": clone.tip(), "refs/heads/production": made.root}
    assert clone.git("ls-files").splitlines() == [
        ".gitattributes",
        ".gitrelease/schemas/job.schema.json",
        ".gitrelease/schemas/manifest.schema.json",
        ".gitrelease/schemas/record.schema.json",
        ".gitrelease/schemas/script.schema.json",
        ".gitrelease/schemas/workspace.schema.json",
        ".vscode/settings.json",
        record_path(ItemKey(kind=Kind.WORKSPACE, name=ItemName("workspace"))),
        "workspace.yaml",
    ]
    assert clone.git("config", "gitrelease.root") == made.root
    assert "git remote add origin URL" in made.notes[-1]


def test_the_root_is_a_commit_without_parents_that_holds_the_guarded_files(bench: Bench) -> None:
    clone = alone(bench)
    made = begin(bench, clone.path)
    with Repo.discover(clone.path, remote="origin", environ=bench.environ) as repo:
        commit = repo.commit(made.root)
        receipt = receipt_of(commit)
    assert commit.parents == ()
    assert (receipt.event, receipt.runner) == (Event.ROOT, "adm-1")
    assert receipt.founding == Founding(
        workspace=made.workspace.id, main="main", taken_over=CommitId(clone.tip())
    )
    assert guarded_differs(clone, "main", "production") == ""
    assert clone.git("ls-tree", "--name-only", "production").splitlines() == ["items", "workspace.yaml"]


def test_without_a_key_signatures_are_off_and_that_is_said(bench: Bench) -> None:
    made = begin(bench, alone(bench).path)
    assert made.workspace.review.signatures is Signatures.OFF
    assert any(note.startswith("signatures are off") for note in made.notes)
    assert any(note.startswith("there is one admin only") for note in made.notes)


def test_nobody_in_particular_cannot_begin(bench: Bench) -> None:
    with pytest.raises(Refused, match="git does not know who you are"):
        begin(bench, bench.folder / "shop")


def test_what_was_begun_alone_is_shared_by_a_second_run(bench: Bench) -> None:
    clone = alone(bench)
    first = begin(bench, clone.path)
    assert begin(bench, clone.path).root == first.root  # nothing new, nothing written twice
    server = bench.server()
    clone.git("remote", "add", "origin", str(server.path))
    second = begin(bench, clone.path)
    assert (second.root, second.pushed) == (first.root, True)
    assert server.refs() == {"refs/heads/main": clone.tip(), "refs/heads/production": first.root}
    assert "refs/heads/production" not in clone.refs()  # it is the server's now
    assert clone.git("status", "--porcelain") == ""


def test_until_it_is_shared_the_workspace_may_still_be_edited(bench: Bench) -> None:
    clone = alone(bench)
    first = begin(bench, clone.path)
    text = (clone.path / "workspace.yaml").read_text(encoding="utf-8")
    member = "  - {id: adm-2, emails: [adm-2@example.org], roles: [admin]}\n"
    edited = text.replace("\n# When a package", f"\n{member}# When a package", 1)
    clone.write({"workspace.yaml": edited})
    server = bench.server()
    clone.git("remote", "add", "origin", str(server.path))
    second = begin(bench, clone.path)
    assert second.root != first.root
    assert second.workspace.id == first.workspace.id
    assert [member.id for member in second.workspace.members] == ["adm-1", "adm-2"]
    assert clone.git("status", "--porcelain") == ""
    assert guarded_differs(server, "main", "production") == ""
    assert clone.git("config", "gitrelease.root") == second.root


def test_nothing_is_pushed_when_that_is_asked_for(bench: Bench) -> None:
    server = bench.server()
    clone = bench.clone(server, "adm-1")
    made = begin(bench, clone.path, push=False)
    assert server.refs() == {}
    assert made.notes[-1] == "nothing was pushed yet; `gitrelease init` again shares it"
    assert begin(bench, clone.path).pushed


def test_a_clone_of_an_empty_server(bench: Bench) -> None:
    server = bench.server()
    clone = bench.clone(server, "adm-1", signing=True)
    first = begin(bench, clone.path, name="trade")
    # A generated workspace is shared only after somebody has looked at it.
    assert (first.pushed, server.refs()) == (False, {})
    made = begin(bench, clone.path, name="trade")
    assert made.pushed
    assert made.workspace.name == "trade"
    assert server.refs() == {"refs/heads/main": clone.tip(), "refs/heads/production": made.root}
    assert clone.refs()["refs/heads/main"] == server.refs()["refs/heads/main"]
    assert clone.git("status", "--porcelain") == ""
    verified = clone.git(
        "-c", f"gpg.ssh.allowedSignersFile={_signers(bench)}", "log", "-1", "--format=%G?", made.root
    )
    assert verified == "G"


def _signers(bench: Bench) -> Path:
    path = bench.folder / "signers"
    path.write_text(bench.keys("adm-1").allowed("adm-1"), encoding="utf-8")
    return path


def existing(bench: Bench, files: dict[str, str], *, main: str = "main") -> tuple[Clone, Clone]:
    """Make a server that holds files on its main branch, and a clone of it."""
    server = bench.server()
    server.git("symbolic-ref", "HEAD", f"refs/heads/{main}")
    clone = bench.clone(server, "adm-1")
    clone.git("symbolic-ref", "HEAD", f"refs/heads/{main}")
    clone.commit({"README.md": "ours\n", **files}, "before gitrelease")
    clone.push()
    return server, clone


def test_an_existing_repository_is_taken_over(bench: Bench) -> None:
    workspace = workspace_yaml(bench, signatures="off").replace("version: 1\n", "")
    server, clone = existing(bench, {**FILES, "workspace.yaml": workspace})
    before = clone.tip()
    made = begin(bench, clone.path)

    assert (made.pushed, made.taken_over) == (True, 2)
    assert made.notes[0] == (
        "`version: 1` was added to jobs/sales/orders.job.yaml, scripts/sales/clean.script.yaml,"
        " workspace.yaml"
    )
    assert sorted(server.refs()) == ["refs/heads/main", "refs/heads/production"]
    assert clone.git("rev-list", "--parents", "-1", "HEAD").split() == [
        server.refs()["refs/heads/main"],
        before,
    ]
    assert clone.git("status", "--porcelain") == ""
    assert (clone.path / "README.md").read_text(encoding="utf-8") == "ours\n"
    assert (clone.path / "jobs/sales/orders.job.yaml").read_text(encoding="utf-8") == FIRST_ITEMS[
        "jobs/sales/orders.job.yaml"
    ]
    assert guarded_differs(server, "main", "production") == ""


def test_what_was_taken_over_can_be_released_at_once(bench: Bench) -> None:
    _, clone = existing(bench, {**FILES, "workspace.yaml": workspace_yaml(bench, signatures="off")})
    made = begin(bench, clone.path)
    shop = Shop(
        bench=bench,
        server=Clone(path=bench.folder / "server.git", environ=bench.environ, clock=bench.clock),
        root=made.root,
        signing=False,
    )
    try:
        person = shop.person("dev-1")
        now = gather(person.repo, person.desk.forge, root=made.root)
        assert (now.unapproved, now.merged, now.ledger.founding.workspace) == ((), (), made.workspace.id)
        package = shop.released(
            {"jobs/sales/orders.job.yaml": job_yaml("orders", script="clean", note="twice")}, "orders"
        )
        assert f"refs/tags/release/{package}" in shop.refs()
    finally:
        shop.close()


def test_another_name_of_the_main_branch_stands_in_the_root(bench: Bench) -> None:
    server, clone = existing(bench, {"workspace.yaml": workspace_yaml(bench, signatures="off")}, main="trunk")
    made = begin(bench, clone.path)
    assert sorted(server.refs()) == ["refs/heads/production", "refs/heads/trunk"]
    assert '"main": "trunk"' in server.git("log", "-1", "--format=%B", made.root)


def test_a_plain_clone_learns_the_name_of_the_main_branch_from_the_root(bench: Bench) -> None:
    server, clone = existing(
        bench, {**FILES, "workspace.yaml": workspace_yaml(bench, signatures="off")}, main="trunk"
    )
    made = begin(bench, clone.path)
    shop = Shop(bench=bench, server=server, root=made.root, signing=False)
    try:
        author = shop.person("dev-1")
        author.clone.git("checkout", "--quiet", "trunk")
        before = server.git("rev-parse", "trunk").strip()
        package = shop.released(
            {"jobs/sales/orders.job.yaml": job_yaml("orders", script="clean", note="twice")}, "orders"
        )
        assert f"refs/tags/release/{package}" in shop.refs()
        assert server.git("rev-parse", "trunk").strip() != before
        assert pull(author.desk).after == server.git("rev-parse", "trunk").strip()
        # A rewritten main branch is noticed under that name too.
        server.git("update-ref", "refs/heads/trunk", before)
        with pytest.raises(HistoryRewritten, match="trunk"):
            author.desk.fetch()
    finally:
        shop.close()


def test_a_second_run_says_what_there_is_and_a_new_clone_learns_the_root(bench: Bench) -> None:
    server, clone = existing(bench, {**FILES, "workspace.yaml": workspace_yaml(bench, signatures="off")})
    made = begin(bench, clone.path)
    refs = server.refs()
    again = begin(bench, clone.path)
    other = bench.clone(server, "dev-1")
    other.git("checkout", "--quiet", "main")
    there = begin(bench, other.path)
    for result in (again, there):
        assert (result.root, result.is_old, result.pushed, result.taken_over) == (made.root, True, False, 2)
        assert result.notes == (
            f"there is a ledger already, so nothing was made; its trust root is {made.root}",
        )
    assert other.git("config", "gitrelease.root") == made.root
    assert server.refs() == refs


def test_a_run_that_died_after_the_push_is_finished(bench: Bench) -> None:
    server, clone = existing(bench, {**FILES, "workspace.yaml": workspace_yaml(bench, signatures="off")})
    before = clone.tip()
    made = begin(bench, clone.path)
    clone.git("reset", "--quiet", "--hard", before)
    clone.git("config", "--unset", "gitrelease.root")
    assert begin(bench, clone.path).root == made.root
    assert clone.tip() == server.refs()["refs/heads/main"]
    assert clone.git("status", "--porcelain") == ""


def test_a_run_that_died_before_the_ledger_is_finished(bench: Bench) -> None:
    clone = alone(bench)
    first = begin(bench, clone.path)
    tip = clone.tip()
    clone.git("update-ref", "-d", "refs/heads/production")
    second = begin(bench, clone.path)
    assert (clone.tip(), second.workspace) == (tip, first.workspace)
    assert clone.refs()["refs/heads/production"] == second.root


def test_working_changes_stay_and_pull_is_named(bench: Bench) -> None:
    server, clone = existing(bench, {**FILES, "workspace.yaml": workspace_yaml(bench, signatures="off")})
    before = clone.tip()
    mine = FILES["jobs/sales/orders.job.yaml"] + "# mine\n"
    clone.write({"jobs/sales/orders.job.yaml": mine})
    made = begin(bench, clone.path)
    assert made.pushed
    assert made.notes[-1].endswith("then run gitrelease pull")
    assert clone.tip() == before
    assert (clone.path / "jobs/sales/orders.job.yaml").read_text(encoding="utf-8") == mine
    assert "# mine" not in server.git("show", "production:jobs/sales/orders.job.yaml")


def test_a_branch_of_ones_own_stays_checked_out(bench: Bench) -> None:
    server, clone = existing(bench, {"workspace.yaml": workspace_yaml(bench, signatures="off")})
    clone.git("switch", "--quiet", "-c", "mine")
    made = begin(bench, clone.path)
    assert made.pushed
    assert clone.git("symbolic-ref", "HEAD") == "refs/heads/mine"
    assert any("git switch main" in note for note in made.notes)
    assert "refs/heads/mine" not in server.refs()


def test_everything_that_is_wrong_is_said_and_nothing_is_written(bench: Bench) -> None:
    server, clone = existing(
        bench,
        {
            "workspace.yaml": workspace_yaml(bench, signatures="off"),
            "jobs/a.job.yaml": job_yaml("b", script="nowhere"),
            "jobs/notes.txt": "stray\n",
            "scripts/x.script.yaml": script_yaml("x"),
        },
    )
    refs = server.refs()
    with pytest.raises(CheckFailed) as caught:
        begin(bench, clone.path)
    assert {(one.file, one.code) for one in caught.value.findings} >= {
        ("jobs/a.job.yaml", "name"),
        ("jobs/notes.txt", "stray-file"),
        ("scripts/x.script.yaml", "content-missing"),
    }
    assert server.refs() == refs
    assert clone.git("config", "--get", "gitrelease.root", check=False) == ""


def test_a_link_is_no_item(bench: Bench) -> None:
    _, clone = existing(bench, {"workspace.yaml": workspace_yaml(bench, signatures="off")})
    (clone.path / "jobs").mkdir()
    (clone.path / "jobs/a.job.yaml").symlink_to("../workspace.yaml")
    clone.commit({})
    clone.push()
    with pytest.raises(CheckFailed) as caught:
        begin(bench, clone.path)
    assert [one.code for one in caught.value.findings] == ["not-a-plain-file"]


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("packages/aa/x.yaml", "apiVersion: gitrelease/v1\nkind: Package\n", "there was a ledger once"),
        ("packages/web/index.js", "export {}\n", "gitrelease keeps files of its own in items/ and packages/"),
        ("items/list.txt", "a\n", "gitrelease keeps files of its own in items/ and packages/"),
    ],
)
def test_what_lies_where_gitrelease_writes_is_refused(
    bench: Bench, path: str, text: str, message: str
) -> None:
    _, clone = existing(bench, {path: text})
    with pytest.raises(CannotBegin, match=message):
        begin(bench, clone.path)


def test_a_branch_production_that_is_no_ledger_is_refused(bench: Bench) -> None:
    server, clone = existing(bench, {})
    clone.push("HEAD:refs/heads/production")
    with pytest.raises(CannotBegin, match="no ledger"):
        begin(bench, clone.path)
    assert len(server.refs()) == 2


def test_commits_that_were_not_pushed_are_not_pushed_by_us(bench: Bench) -> None:
    server, clone = existing(bench, {})
    refs = server.refs()
    clone.commit({"more.txt": "x"})
    with pytest.raises(CannotBegin, match="does not have"):
        begin(bench, clone.path)
    assert server.refs() == refs


@pytest.mark.parametrize(("who", "kind"), [("dev-1", NotAllowed), ("stranger", CannotBegin)])
def test_only_an_admin_takes_over(bench: Bench, who: str, kind: type[Exception]) -> None:
    server, clone = existing(bench, {"workspace.yaml": workspace_yaml(bench, signatures="off")})
    clone.git("config", "user.email", f"{who}@example.org")
    refs = server.refs()
    with pytest.raises(kind):
        begin(bench, clone.path)
    assert server.refs() == refs


def test_files_that_lie_in_a_new_folder_are_taken_over(bench: Bench) -> None:
    clone = alone(bench)
    clone.path.mkdir()
    clone.write(
        {
            **FILES,
            "workspace.yaml": workspace_yaml(bench, signatures="off"),
            "notes.txt": "mine\n",
            ".gitattributes": "* -text",
        }
    )
    made = begin(bench, clone.path)
    assert made.taken_over == 2
    assert [member.id for member in made.workspace.members][:2] == ["adm-1", "adm-2"]
    assert clone.git("status", "--porcelain") == "?? notes.txt"
    assert (clone.path / ".gitattributes").read_text(encoding="utf-8").splitlines()[:2] == [
        "* -text",
        "items/** text eol=lf",
    ]


def test_an_export_is_imported_at_the_beginning(bench: Bench) -> None:
    server, clone = existing(bench, {**FILES, "workspace.yaml": workspace_yaml(bench, signatures="off")})
    export = bench.folder / "export"
    export.mkdir()
    for name in ("orders", "new"):
        job = {"name": name, "directory": "/b", "processType": "BATCH", "schedule": {"type": "EXECUTE_ONCE"}}
        body = {**job, "nodes": [{"name": "a", "type": "Dummy"}], "version": "7"}
        (export / f"{name}.job").write_text(json.dumps(body), encoding="utf-8")
    made = begin(bench, clone.path, import_file=export)
    assert made.taken_over == 3
    assert "job/orders is there already, so it was not imported" in made.notes
    assert (clone.path / "jobs/b/new.job.yaml").read_text(encoding="utf-8").splitlines()[:4] == [
        "apiVersion: gitrelease/v1",
        "kind: Job",
        "name: new",
        "version: 1",
    ]
    assert "jobs/b/new.job.yaml" in server.git("ls-tree", "-r", "--name-only", "production")
    assert clone.git("status", "--porcelain") == ""


def test_a_bad_export_makes_no_repository(bench: Bench) -> None:
    clone = alone(bench)
    (bench.folder / "bad.job").write_text("{", encoding="utf-8")
    with pytest.raises(ExportUnreadable):
        begin(bench, clone.path, import_file=bench.folder / "bad.job")
    assert not clone.path.exists()


def test_places_where_nothing_can_begin(bench: Bench) -> None:
    server, clone = existing(bench, {"jobs/a.job.yaml": job_yaml("a")})
    with pytest.raises(CannotBegin, match="is a bare repository"):
        begin(bench, server.path)
    with pytest.raises(CannotBegin, match="is not the top"):
        begin(bench, clone.path / "jobs")
    with pytest.raises(CannotBegin, match="is not a folder"):
        begin(bench, clone.path / "README.md")


def test_two_at_once_make_one_beginning(bench: Bench) -> None:
    server, clone = existing(bench, {"workspace.yaml": workspace_yaml(bench, signatures="off")})
    other = bench.clone(server, "adm-2")
    other.git("checkout", "--quiet", "main")
    first = begin(bench, clone.path)
    second = begin(bench, other.path)
    assert (second.root, second.is_old) == (first.root, True)


def test_the_files_that_were_written_pass_the_check(bench: Bench) -> None:
    _, clone = existing(bench, {**FILES, "workspace.yaml": workspace_yaml(bench, signatures="off")})
    made = begin(bench, clone.path)
    person = Person(id="adm-1", clone=clone, bench=bench, root=CommitId(made.root))
    with person.repo:
        result = check_working(person.desk, ["workspace", "orders", "clean"])
    assert [one for one in result.findings if one.severity == "error"] == []
    assert result.checked == 3


@pytest.mark.parametrize(
    ("email", "id_"),
    [
        ("ada@example.org", "ada"),
        ("a+b c@x", "a-b-c"),
        ("-_.@x", "admin"),
        ("é@x", "admin"),
    ],
)
def test_names_for_the_first_member(email: str, id_: str) -> None:
    assert member_id(Identity(name="x", email=email)) == MemberId(id_)


@pytest.mark.parametrize(
    ("folder", "name"), [("shop", "shop"), ("my shop!", "my-shop"), ("订单", "workspace")]
)
def test_names_for_the_workspace(folder: str, name: str) -> None:
    assert workspace_name(folder) == name

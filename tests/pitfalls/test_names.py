"""What things are called in git: refs that look like commands and options, paths that are no plain files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gitrelease.commands.check import check_ref
from gitrelease.commands.rollback import RollbackRequest, rollback
from gitrelease.commands.server import make_server
from gitrelease.commands.verify import verify
from gitrelease.core.finding import has_errors
from gitrelease.core.names import NameRefused
from gitrelease.errors import Exit, GitReleaseError
from tests.kit.git import Clone
from tests.kit.shop import Shop, job_yaml
from tests.kit.targets import tree
from tests.pitfalls.steps import fetched, job, nothing_moves, orders, typed

# P15 and P16.

HOSTILE = (
    "$(touch${IFS}WITNESS)", "`touch${IFS}WITNESS`", "a;touch${IFS}WITNESS", "a|touch${IFS}WITNESS",
    "a&&touch${IFS}WITNESS", "\"';touch${IFS}WITNESS;'\"", "${{github.token}}", "-x", "--output=WITNESS",
    "--upload-pack=touch${IFS}WITNESS", "\u202egpj", "<!--x-->", "%0Aset-output",
)  # fmt: skip
"""Names that git takes for branches, and that a shell, a workflow or an option parser would obey."""


def give_hostile(shop: Shop, places: Sequence[str]) -> Path:
    """Give the server a ref of every hostile name in some places; give the file that must never be there."""
    witness = shop.bench.folder / "witness"
    names = [name.replace("WITNESS", str(witness)) for name in HOSTILE]
    main = shop.server.tip("main")
    creates = (f"create refs/{place}{name}\0{main}\0" for place in places for name in names)
    shop.server.git("update-ref", "-z", "--stdin", stdin="".join(creates))
    return witness


def test_p15_a_ref_name_is_never_a_command(shop: Shop) -> None:
    """Shell, expression and option syntax in branch and tag names is carried along, shown, and never obeyed."""
    witness = give_hostile(
        shop, ["heads/submit/job/", "heads/package/", "heads/review/", "heads/", "tags/release/"]
    )
    assert len([ref for ref in shop.refs() if "touch" in ref or "witness" in ref]) > 20
    name = shop.released(orders("new"), "orders")
    viewer = shop.person("view-1")
    assert verify(viewer.desk).checked.packages == 1
    for words in (("status",), ("task", "list"), ("package", "view", name)):
        ran = typed(viewer, *words)
        assert (ran.returncode in {Exit.DONE, Exit.REFUSED}, "Traceback" in ran.stderr) == (True, False), (
            ran.stderr
        )
        assert "\u202e" not in ran.stdout + ran.stderr
    assert not witness.exists()


def test_p15_the_hooks_of_a_server_obey_no_ref_name(shop: Shop) -> None:
    """A server that defends itself hands names to its hooks; each is refused as a name, and run by nothing."""
    make_server(shop.server.path, environ=shop.bench.environ)
    shop.server.git("config", "gitrelease.onReceive", "true")
    clone = shop.person("dev-1").clone
    witness = shop.bench.folder / "witness"
    command = f"touch${{IFS}}{witness}"
    before = shop.refs()
    hostile = (f"submit/job/$({command})/v1", f"package/`{command}`", f"$({command})", f"a;{command}")
    for name in (*hostile, "feature/plain"):
        clone.git("push", "--quiet", "origin", f"origin/main:refs/heads/{name}", check=False)
    assert shop.refs().keys() - before.keys() == {"refs/heads/feature/plain"}
    assert not witness.exists()


@pytest.mark.parametrize(
    "name",
    [
        "$(id)",
        "a`id`b",
        "a;id",
        "a|b",
        "a&&b",
        "a${IFS}b",
        "a'b",
        'a"b',
        "-x",
        "--output=z",
        "a b",
        "a\nb",
        "../x",
        "${{x}}",
    ],
)
def test_p15_names_of_ours_are_made_of_harmless_characters(common: Shop, name: str) -> None:
    """What becomes part of a branch name is refused at once unless no shell and no workflow could misread it."""
    named(common, name)


def named(shop: Shop, name: str) -> None:
    """See that no package gets a name."""
    person = shop.person("dev-1")
    person.write(job("named"))
    person.submit("named")
    with nothing_moves(shop), pytest.raises(NameRefused, match="the package name"):
        person.release("named", name=name, dry_run=True)


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "--", "--output=z"), ("compare", "--", "-x", "--output=z"), ("check", "--ref=--output=z"),
        ("submit", "--ref=--output=z", "orders"), ("package", "view", "--", "--output=z"),
        ("--remote=--upload-pack=touch z", "status"), ("version", "diff", "orders", "--", "--output=z"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_p16_a_ref_name_that_looks_like_an_option_is_only_a_name(
    common: Shop, words: tuple[str, ...]
) -> None:
    """Refs that begin with a dash exist; whoever names one gets it looked up, and git gets no option."""
    for ref in ("refs/tags/release/--output=z", "refs/tags/release/-x", "refs/heads/--output=z"):
        common.server.git("update-ref", ref, "refs/heads/main")
    viewer = common.person("view-1")
    with nothing_moves(common):
        ran = typed(viewer, *words)
    assert (ran.returncode in {Exit.REFUSED, Exit.USAGE}, "Traceback" in ran.stderr) == (True, False), ran
    assert not list(viewer.clone.path.rglob("z"))


# P17.

EMPTY = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
"""The blob of an empty file."""

INSTEAD = {"symlink": "120000", "executable": "100755", "submodule": "160000"}
"""What stands where the job should."""
BESIDE = {
    "parent folder": [b".."],
    "git's own folder": [b".git"],
    "git in capitals": [b".GIT"],
    "git on Windows": [b"git~1"],
    "a way out": [b"x/../../../evil"],
    "other case": [b"ODD.job.yaml"],
    "decomposed": ["\u00e9.job.yaml".encode(), "e\u0301.job.yaml".encode()],
    "device": [b"con.job.yaml"],
    "control characters": [b"a\x1b[31m\n.job.yaml"],
    "the same name": [b"odd.job.yaml"],
}
"""What stands beside the job."""

Entry = tuple[str, str, bytes]


def odd_entries(odd: str, blob: str, commit: str) -> list[Entry]:
    """Give the entries of a folder that holds the job `odd` and something that should not be there."""
    if odd in INSTEAD:
        return [(INSTEAD[odd], commit if odd == "submodule" else blob, b"odd.job.yaml")]
    return [*(("100644", EMPTY, name) for name in BESIDE[odd]), ("100644", blob, b"odd.job.yaml")]


def commit_tree(clone: Clone, folder: str, entries: Sequence[Entry]) -> str:
    """Make a signed commit on the main branch where `jobs/<folder>` is a tree as no git would write it."""
    clone.git("fetch", "--quiet", "origin")
    made = clone.raw_tree(sorted(entries, key=lambda entry: entry[2]))
    jobs = [
        line
        for line in clone.git("ls-tree", "origin/main:jobs").splitlines()
        if not line.endswith(f"\t{folder}")
    ]
    within = clone.git("mktree", stdin="\n".join([*jobs, f"040000 tree {made}\t{folder}"]) + "\n")
    top = [line for line in clone.git("ls-tree", "origin/main").splitlines() if not line.endswith("\tjobs")]
    whole = clone.git("mktree", stdin="\n".join([*top, f"040000 tree {within}\tjobs"]) + "\n")
    return clone.git("commit-tree", "-S", "-p", "origin/main", "-m", "odd", whole)


@pytest.mark.parametrize("odd", [*INSTEAD, *BESIDE])
def test_p17_a_task_of_anything_but_plain_files_is_none(common: Shop, odd: str) -> None:
    """Links, submodules, paths that escape and names that a file system mixes up never get past a push."""
    author, other = common.person("dev-1"), common.person("dev-2")
    text = "/etc/passwd" if odd == "symlink" else job_yaml("odd", version=1)
    blob = author.clone.git("hash-object", "-w", "--stdin", stdin=text)
    author.clone.git("hash-object", "-w", "--stdin", stdin="")
    made = commit_tree(author.clone, "odd", odd_entries(odd, blob, author.clone.tip("origin/main")))
    ref = "refs/heads/submit/job/odd/v1"
    author.clone.push(f"{made}:{ref}")
    try:
        other.desk.fetch()
        assert has_errors(check_ref(other.desk, ref).findings)
        for task in ("odd", "job/odd/v1"):
            with nothing_moves(common), pytest.raises(GitReleaseError):
                other.release(task)
    finally:
        for name in common.refs():
            if "odd" in name:
                common.server.git("update-ref", "-d", name)


def test_p17_what_is_odd_on_main_never_reaches_production(shop: Shop) -> None:
    """Production takes nothing from trees as they are: only plain files that a manifest names, by their ids."""
    author, runner, viewer = (shop.person(who) for who in ("dev-1", "sync", "view-1"))
    blob = author.clone.git("hash-object", "-w", "--stdin", stdin=job_yaml("odd", version=1))
    author.clone.git("hash-object", "-w", "--stdin", stdin="")
    commit = author.clone.tip("origin/main")
    made = {entry[2]: entry for odd in (*INSTEAD, *BESIDE) for entry in odd_entries(odd, blob, commit)}
    author.clone.push(f"{commit_tree(author.clone, 'odd', list(made.values()))}:main")
    before = {branch: tree(shop, branch) for branch in ("production", "deploy/main")}
    result = runner.sync()
    assert (len(result.unapproved), result.exit) == (len(made), Exit.REFUSED)
    assert {branch: tree(shop, branch) for branch in before} == before
    assert not verify(fetched(viewer)).ok
    for branch in before:
        modes = {line.split()[0] for line in shop.server.git("ls-tree", "-r", branch).splitlines()}
        assert modes == {"100644"}


@pytest.mark.parametrize(
    "name", ["\udcff", "\ue000", "가나", "\ua000"], ids=["no text", "private use", "Hangul", "Yi"]
)
def test_p17_a_name_of_other_characters_than_are_allowed_is_refused(common: Shop, name: str) -> None:
    """Letters, digits and CJK ideographs: what nobody can see or spell apart is no name of a package."""
    named(common, f"x{name}")


@pytest.mark.parametrize("word", [("status",), ("release", "--all"), ("submit", "job/bytes")], ids=" ".join)
def test_p17_a_file_name_that_is_no_text_stops_nobody(common: Shop, word: tuple[str, ...]) -> None:
    """One pushed branch with a name in another encoding must not end everybody's commands in a traceback."""
    clone = common.person("dev-1").clone
    blob = clone.git("hash-object", "-w", "--stdin", stdin=job_yaml("bytes", version=1))
    entries = [("100644", blob, b"bytes.job.yaml"), ("100644", blob, b"\xff.job.yaml")]
    ref = "refs/heads/submit/job/bytes/v1"
    clone.push(f"{commit_tree(clone, 'bytes', entries)}:{ref}")
    other = common.person("dev-2")
    other.write({"jobs/bytes/bytes.job.yaml": job_yaml("bytes")})
    ran = typed(other, *word)
    common.server.git("update-ref", "-d", ref)
    for name in common.refs():
        if name.startswith(("refs/heads/submit/job/bytes/", "refs/heads/package/bytes")):
            common.server.git("update-ref", "-d", name)
    assert (ran.returncode != Exit.DEFECT, "Traceback" in ran.stderr) == (True, False), ran.stderr


def test_p17_a_file_name_that_is_no_text_can_be_put_back(shop: Shop) -> None:
    """What was pushed past everybody goes again, whatever it is called, or is named in the refusal."""
    clone = shop.person("dev-1").clone
    blob = clone.git("hash-object", "-w", "--stdin", stdin="x")
    clone.push(f"{commit_tree(clone, 'odd', [('100644', blob, bytes([0xFF]) + b'.job.yaml')])}:main")
    person = shop.person("dev-2")
    try:
        made = rollback(person.desk, RollbackRequest(unapproved=True)).manifest.name
    except GitReleaseError as refusal:
        assert "jobs/odd/" in refusal.message
    else:
        shop.person("dep-1").approve(made)
        assert shop.person("sync").sync().exit is Exit.DONE

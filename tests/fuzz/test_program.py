"""Hostile bytes in a real server: whoever looks is refused with the place, or shown what is sound; nothing moves.

In CI each kind of place gets a few inputs, and all of those together that cannot hide one another. With
`GITRELEASE_FUZZ_EXAMPLES` every input of the corpus is put there, one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import pytest

from gitrelease.core.archive import number_path, outcome_path
from gitrelease.core.ledger import held_path, standing_path, summary_path
from gitrelease.core.names import item_key, manifest_path, package_name, record_path
from tests.fuzz.place import OPEN, TURNED_DOWN, WHO, Place
from tests.fuzz.seeds import ASKED, Seed, seeds
from tests.kit.shop import job_yaml


def some(kind: str, *names: str) -> list[object]:
    """Choose the inputs of a kind that are put into the server one at a time."""
    chosen = [seed for seed in seeds(kind) if ASKED or seed.name in names]
    assert len(chosen) >= len(names)
    return [pytest.param(seed, id=seed.name) for seed in chosen]


NOWHERE = "0" * 39
"""How the ids of objects begin that are in the good examples, and nowhere else."""


def short(id_: str) -> str:
    return id_[:7]


# Branches of tasks.


def test_tasks_with_any_content(place: Place) -> None:
    """Every job, script and workspace of the corpus, each on a branch that is named as a task is."""
    with place.attacked() as eyes:
        paths = {
            "job": ("job", "jobs/x/{}.job.yaml"),
            "script": ("script", "scripts/x/{}.script.yaml"),
            "workspace": ("workspace", "workspace.yaml"),
        }
        names = {}
        for kind, (item, path) in paths.items():
            for n, seed in enumerate(seeds(kind)):
                if not ASKED and n % 8 != 0:
                    continue
                name = f"{item}{n}" if kind != "workspace" else "workspace"
                ref = f"submit/{item}/{name}/v{1 if kind != 'workspace' else n + 2}"
                made = place.onto("main", {path.format(name): seed.data}, b"by hand\n")
                place.move({f"refs/heads/{ref}": made})
                names[ref] = path.format(name)
        eyes.look_around(("task", "list"), ("package", "list"), named=["submit/"])
        every = 1 if ASKED else 5
        for ref, path in list(names.items())[::every]:
            seen = eyes.look("view-1", "check", "--ref", ref)
            assert path in seen.out + seen.err or seen.code == 0
            if ASKED:
                eyes.look("view-1", "task", "view", ref.removeprefix("submit/"))


def test_tasks_with_any_message(place: Place) -> None:
    """Trailers, values and control characters in the messages of tasks, by people called anything."""
    messages = [
        b"", b"\n", b"\x1b[2J\x1b]0;owned\x07", "\u202egpj\u2066".encode(), b"\xff\xfe", b"x" * 100_000, b"x\r\ny\rz",
        b"why\n\nItem: job/other\nVersion: 9\nChange: delete\n", b"why\n\nVersion: 99999999999999999999999\n",
        b"why\n\nVersion: -1\n", b"why\n\nChange: \x1b[2J\n", b"why\n\nItem: ../../x\n",
        b"why\n\nSupersedes: " + b"f" * 40,
        b"why\n\nSupersedes: HEAD\n", b"why\n\nTakes-over: " + b"0" * 40 + b"\n", b"why\n\n" + b"Version: 1\n" * 5000,
        *(seed.data for seed in seeds("settlement")[:3]),
    ]  # fmt: skip
    makers = [
        b"\x1b[2J <x\x1b[0m@y> 1 +0000", "\u202e <\u202e@x> 1 +0000".encode(), b"<> 1 +0000", b"nobody", b"",
        b"a <b> 253402300799 +0000", b"a <b> 999999999999 +0000", b"a <b> 0 +9999", b"a <b> 99999999999999999 +0000",
        b"a <b> -1 +0000", b"\xff\xfe <\xff> 1 +0000", b"a <b <c> d> 1 +0000",
        b"dev-1 <dev-1@example.org> 253402300799 -1200",
    ]  # fmt: skip
    with place.attacked() as eyes:
        main = place.server.tip("main")
        n = 0
        for message, who in [*((m, WHO) for m in messages), *((b"why\n", who) for who in makers)]:
            n += 1
            tree = place.tree(main, {f"jobs/x/m{n}.job.yaml": job_yaml(f"m{n}", version=1).encode()})
            place.move({f"refs/heads/submit/job/m{n}/v1": place.commit(tree, [main], message, who=who)})
        eyes.look_around(("task", "list"), ("task", "view", "job/m1/v1"), named=["submit/"])
        for odd in range(1, n + 1, 1 if ASKED else 12):
            eyes.look("view-1", "check", "--ref", f"submit/job/m{odd}/v1", "--json")


# Branches of packages, and what is said of them.


def test_packages_with_any_manifest(place: Place) -> None:
    """Every manifest of the corpus on a branch of its own, under the name that the branch has."""
    with place.attacked() as eyes:
        kept = seeds("manifest")
        for n, seed in enumerate(kept):
            name = package_name(f"m{n}")
            if not ASKED and n % 3 != 0:
                continue
            data = seed.data.replace(b"orders_20261122160000", name.encode())
            made = place.onto("main", {manifest_path(name): data}, b"by hand\n")
            place.move({f"refs/heads/package/{name}": made})
        eyes.look_around(("package", "list"), named=["package/"])
        for n in range(0, len(kept), 1 if ASKED else 9):
            seen = eyes.look("view-1", "check", "--ref", f"package/m{n}")
            assert seen.code != 0
            assert f"m{n}" in seen.out + seen.err
            eyes.look("view-1", "package", "view", f"m{n}")


def test_a_review_log_of_anything(place: Place) -> None:
    """Every opinion of the corpus, one after the other in the log of one package."""
    with place.attacked() as eyes:
        head = place.server.tip(f"package/{OPEN}")
        tree = place.server.tip(f"package/{OPEN}^{{tree}}")
        tip = place.server.tip(f"review/{OPEN}")
        for seed in seeds("opinion"):
            tip = place.commit(tree, [tip, head], seed.data)
        place.move({f"refs/heads/review/{OPEN}": tip})
        eyes.look_around(
            ("package", "view", OPEN),
            ("package", "view", OPEN, "--json"),
            ("check", "--ref", f"package/{OPEN}"),
            named=[OPEN],
        )


def real_opinion(place: Place, **other: object) -> bytes:
    """Write an opinion on the open package as its log has one, but for some values."""
    message = place.server.git("log", "-1", "--format=%B", f"review/{OPEN}")
    value = json.loads(message[message.rindex("\n\n{") :])
    value |= {"previous": place.server.tip(f"review/{OPEN}")} | other
    return f"approve {OPEN}\n\n{json.dumps(value)}\n".encode()


@pytest.mark.parametrize("said", ["\ud800", "\x1b[2J\u202e\x00" * 9000], ids=["half a character", "much"])
def test_an_opinion_in_any_words_stops_no_release(place: Place, said: str) -> None:
    """Whoever can push can add an opinion to a log. What it says is shown, or not; the release goes on."""
    with place.attacked() as eyes:
        head, tip = place.server.tip(f"package/{OPEN}"), place.server.tip(f"review/{OPEN}")
        tree = place.server.tip(f"package/{OPEN}^{{tree}}")
        place.move(
            {f"refs/heads/review/{OPEN}": place.commit(tree, [tip, head], real_opinion(place, message=said))}
        )
        eyes.look("view-1", "package", "view", OPEN)
        for who, words in (("dep-1", ("package", "merge", OPEN)), ("sync", ("sync",))):
            seen = eyes.look(who, *words, moves=True)
            assert seen.code == 0, seen.err
        assert "successful" in eyes.look("view-1", "package", "view", OPEN).out


# The ledger and the archive.

RECEIPTS = some("receipt", "no-value", "half-a-character-in-note", "main-nul", "event-root", "recorded-deep")


@pytest.mark.parametrize("seed", RECEIPTS)
def test_a_ledger_that_goes_on_with_anything(place: Place, seed: Seed) -> None:
    """Each receipt of the corpus as the tip of the ledger, on top of what was there."""
    with place.attacked() as eyes:
        made = place.onto("production", {}, seed.data)
        place.move({"refs/heads/production": made})
        eyes.look_around(("verify",), named=["ledger", "production", short(made), NOWHERE])


SETTLEMENTS = some("settlement", "good-message", "no-value", "task-lock")


@pytest.mark.parametrize("seed", SETTLEMENTS)
def test_an_archive_that_goes_on_with_anything(place: Place, seed: Seed) -> None:
    """Each settlement of the corpus as the tip of the archive, on top of what was there."""
    with place.attacked() as eyes:
        made = place.onto("archive", {}, seed.data)
        place.move({"refs/heads/archive": made})
        eyes.look_around(
            ("verify",), ("task", "list", "--state", "released"), named=["archive", short(made), NOWHERE]
        )


def into_archive(place: Place, files: Mapping[str, bytes | None]) -> None:
    """Put files into the archive, under a settlement as there are others."""
    message = place.server.git("log", "-1", "--format=%B", "archive").encode()
    place.move({"refs/heads/archive": place.onto("archive", files, message + b"\n")})


SUMMARIES = some(
    "summary", "null", "time-without-offset", "time-end-utc", "person-number", "purpose-unknown", "url-object"
)


@pytest.mark.parametrize("seed", SUMMARIES)
def test_an_archive_that_holds_any_outcome(place: Place, seed: Seed) -> None:
    """Each summary of the corpus where the archive keeps what became of a package."""
    data = seed.data.replace(b"orders_20261122160000", TURNED_DOWN.encode())
    path = outcome_path(package_name(TURNED_DOWN))
    with place.attacked() as eyes:
        into_archive(place, {path: data})
        lists = (("package", "list", *more) for more in ((), ("--json",), ("--sort", "applicant")))
        eyes.look_around(*lists, ("package", "view", TURNED_DOWN), named=["archive", TURNED_DOWN])


NUMBERS = some("number", "5000-digits", "billion", "only-number")


@pytest.mark.parametrize("seed", NUMBERS)
def test_an_archive_that_holds_any_number(place: Place, seed: Seed) -> None:
    """Each number of the corpus where the archive keeps the highest number of an item."""
    path = number_path(item_key("job/orders"))
    task = place.onto("main", {"jobs/sales/orders.job.yaml": b"x: 1\n"}, b"by hand\n")
    with place.attacked() as eyes:
        into_archive(place, {path: seed.data})
        place.move({"refs/heads/submit/job/orders/v2": task})
        dry = ("submit", "orders", "--ref", task, "--dry-run")
        eyes.look_around(
            dry, ("task", "list", "--state", "revoked"), named=[path, "archive", task[:7], "orders"]
        )


def into_holdings(place: Place, files: Mapping[str, bytes | None]) -> None:
    """Put files into the holdings, and let the next receipt name them."""
    message = place.server.git("log", "-1", "--format=%B", "production")
    value = json.loads(message[message.rindex("\n\n{") :])
    holdings = place.commit(place.tree(value["holdings"], files), [value["holdings"]], b"holdings\n")
    text = message.replace(value["holdings"], holdings).encode()
    tip = place.server.tip("production")
    place.move(
        {
            "refs/heads/production": place.commit(
                f"{place.server.tip('production^{tree}')}", [tip, holdings], text
            )
        }
    )


def held() -> Iterator[object]:
    """Choose what the holdings are made to hold."""
    yield from some("holding", "version-text", "deployed-list")
    yield from some("standing", "state-list")
    yield from some("summary", "time-date-only", "error-object")


@pytest.mark.parametrize("seed", list(held()))
def test_a_ledger_that_holds_anything(place: Place, seed: Seed) -> None:
    """Each value of the corpus where the ledger keeps what a target was last given, or what became of a package."""
    name = package_name("released")
    path, data = {
        "holding": (held_path("main", item_key("job/orders")), seed.data),
        "standing": (standing_path("main"), seed.data),
        "summary": (summary_path(name), seed.data.replace(b"orders_20261122160000", name.encode())),
    }[seed.kind]
    with place.attacked() as eyes:
        into_holdings(place, {path: data})
        listed = (("package", "list"), ("package", "view", name))
        eyes.look_around(*listed, ("verify",), named=["ledger", "production", path])


# The main branch.


def guarded() -> Iterator[object]:
    """Choose what is pushed to the main branch past everything."""
    yield from some("workspace", "good-small", "no-members")
    yield from some("record", "package-odd", "files-only-a-subjob", "files-stray")
    yield from some("manifest", "item-device")
    yield from some("job", "escape-in-key")


@pytest.mark.parametrize("seed", list(guarded()))
def test_a_main_branch_that_holds_anything(place: Place, seed: Seed) -> None:
    """Each document of the corpus on the main branch, where nobody approved it."""
    path = {
        "workspace": "workspace.yaml",
        "record": record_path(item_key("job/orders")),
        "manifest": manifest_path(package_name("orders_20261122160000")),
        "job": "jobs/sales/orders.job.yaml",
    }[seed.kind]
    with place.attacked() as eyes:
        made = place.onto("main", {path: seed.data}, b"by hand\n")
        place.move({"refs/heads/main": made})
        file = "jobs/sales/orders.job.yaml"
        place.move({"refs/heads/submit/job/orders/v2": place.onto("main", {file: b"x: 1\n"}, b"by hand\n")})
        more = (("compare", "released"), ("task", "list"), ("version", "list", "orders"))
        eyes.look_around(
            *more,
            ("check", "--ref", "submit/job/orders/v2"),
            ("verify",),
            named=[path, "main", "orders", short(made)],
        )


# Refs and tags.


def test_refs_called_anything(place: Place) -> None:
    """Every name of the corpus that git allows, wherever a ref means something."""
    texts = {seed.data.decode(errors="surrogateescape") for seed in seeds("name")}
    if not ASKED:
        texts = set(sorted(texts)[::14])
    texts |= {
        "nel\u0085a",
        "line\u2028b",
        "-x",
        "--output=z",
        "a\u202egpj",
        "$(id)",
        "a;b",
        "a|b",
        "a${IFS}b",
        "a'b",
        'a"b',
        "x" * 200,
        "\u009b31m",
    }
    with place.attacked() as eyes:
        made = [
            ref
            for text in sorted(texts)
            for folder in ("submit/", "submit/job/", "submit/job/x/v", "package/", "review/", "deploy/", "")
            if place.legal(ref := f"refs/heads/{folder}{text}")
        ]
        made += [ref for text in sorted(texts) if place.legal(ref := f"refs/tags/release/{text}")]
        assert len(made) > 80
        eyes.look_around(("package", "view", "-x"), ("compare", "released"), named=["/", "package", "-x"])
        for ref in made[:: 1 if ASKED else 60]:
            eyes.look("view-1", "check", "--ref", ref)


def test_tags_that_say_anything(place: Place) -> None:
    """A tag is a label: what is in it, and what it stands for, decides nothing and breaks nothing."""
    main = place.server.tip("main")
    tree, blob = place.server.tip("main^{tree}"), place.blob(b"x")

    def tag(target: str, kind: str, message: bytes, tagger: bytes) -> str:
        head = f"object {target}\ntype {kind}\ntag x\n".encode()
        words = ("hash-object", "-t", "tag", "-w", "--literally", "--stdin")
        return place.server.git(*words, stdin=head + b"tagger " + tagger + b"\n\n" + message)

    inner = tag(main, "commit", b"inner\n", WHO)
    made = [
        tree, blob, inner, tag(inner, "tag", b"outer\n", WHO), tag(tree, "tree", b"", WHO), tag(blob, "blob", b"", WHO),
        tag(main, "commit", b"\x1b[2J\xff" + "\u202e".encode(), b"\x1b]0;x\x07 <x> 253402300799 +0000"),
        tag(main, "commit", b"x" * 100_000, b""), tag(main, "commit", seeds("receipt")[0].data, WHO),
    ]  # fmt: skip
    with place.attacked() as eyes:
        place.move({f"refs/tags/release/odd{n}": id_ for n, id_ in enumerate(made)})
        place.move({"refs/tags/release/released": made[6], f"refs/tags/release/{TURNED_DOWN}": made[1]})
        eyes.look_around(
            ("compare", "odd0"),
            ("compare", "odd6", "odd8"),
            ("version", "list", "orders"),
            named=["tag", "release", "odd"],
        )


def test_other_branches_that_are_no_commits(place: Place) -> None:
    """Branches that stand for commits of a shape that nobody makes: without parents, with many, with odd trees."""
    main, tree = place.server.tip("main"), place.server.tip("main^{tree}")
    blob = place.blob(b"x: 1\n")
    odd: Sequence[tuple[str, str, bytes]] = [("100644", blob, b"jobs"), ("100644", blob, b"workspace.yaml")]
    odd_names = [
        ("120000", blob, b"a.job.yaml"), ("100755", blob, b"b\x1b[2J.job.yaml"),
        ("100644", blob, "c\u202e.job.yaml".encode()),
        ("160000", main, b"d.job.yaml"), ("100644", blob, b"e\xff.job.yaml"), ("100644", blob, b"f.job.yaml"),
    ]  # fmt: skip
    inner = place.server.raw_tree(odd_names)
    trees = [place.server.raw_tree(odd), place.server.raw_tree([("40000", inner, b"jobs")]), tree]
    with place.attacked() as eyes:
        n = 0
        for made in trees:
            for parents in ([], [main], [main] * 30):
                n += 1
                id_ = place.commit(made, parents, b"odd\n")
                place.move({f"refs/heads/{ref}": id_ for ref in (f"submit/job/odd{n}/v1", f"package/odd{n}")})
                place.move({f"refs/heads/review/odd{n}": id_, f"refs/heads/deploy/odd{n}": id_})
        eyes.look_around(named=["odd"])
        for one in range(1, n + 1, 1 if ASKED else 4):
            for ref in (f"submit/job/odd{one}/v1", f"package/odd{one}"):
                seen = eyes.look("view-1", "check", "--ref", ref)
                assert seen.code != 0
                assert f"odd{one}" in seen.out + seen.err

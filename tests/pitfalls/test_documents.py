"""What stands in files and messages: YAML that is not what it seems, patterns, markup, escapes, secrets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from gitrelease.commands.check import check_working
from gitrelease.core.finding import Finding, has_errors
from gitrelease.errors import Exit, GitReleaseError
from tests.kit.git import Bench
from tests.kit.raw import push_on
from tests.kit.shop import FIRST_ITEMS, Shop, job_yaml, open_shop
from tests.pitfalls.steps import job, nothing_moves, orders, typed

WORKSPACE = "workspace.yaml"

# Put together here, so that scanners of this repository have nothing to find.
TOKEN = "ghp_" + "a1B2" * 9
PASSWORD = "Xk9vQ2m" + "L7pR4wZt"


def found(
    shop: Shop, text: str | bytes, path: str = "jobs/web/odd.job.yaml", who: str = "dev-1"
) -> list[Finding]:
    """Check one working file, and see that it cannot be submitted either if that finds an error."""
    person = shop.person(who)
    before = person.clone.path / path
    kept = before.read_bytes() if before.exists() else None
    person.write({path: text})
    try:
        findings = list(check_working(person.desk, [path]).findings)
        if has_errors(findings):
            with nothing_moves(shop), pytest.raises(GitReleaseError):
                person.submit(path)
    finally:
        person.write({path: kept})
    return findings


# P18.

JOB = job_yaml("odd")
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BOMB, "alias"),
        (JOB + "x-more: &more {a: 1}\nx-again: *more\n", "alias"),
        (JOB + "x-more: {a: 1}\nx-again: {<<: {b: 1}}\n", "ambiguous-scalar"),
        (JOB + "x-more: !!python/object/apply:os.system [id]\n", "tag"),
        (JOB + "x-more: !!binary aGk=\n", "tag"),
        (JOB + "x-more: " + "[" * 2000 + "]" * 2000 + "\n", "too-deep"),
        (JOB + "x-more: " + "{a: " * 2000 + "1" + "}" * 2000 + "\n", "too-deep"),
        (JOB + "description: again\n", "duplicate-key"),
        (JOB.replace("processType: BATCH", 'processType: BATCH\n"processType": REAL_TIME'), "duplicate-key"),
        (JOB + "---\n" + JOB, "several-documents"),
        (JOB + "# " + "x" * 5_000_000 + "\n", "too-large"),
        (JOB.encode() + b"x-more: \xff\n", "not-utf8"),
        ("\ufeff" + JOB, "bom"),
        (JOB.replace("\n", "\r\n"), "carriage-return"),
    ],
    ids=["bomb", "alias", "merge", "python", "binary", "lists", "mappings", "key twice", "key twice in quotes",
         "two documents", "large", "no text", "mark", "line ends"],
)  # fmt: skip
def test_p18_yaml_that_is_more_than_json_is_refused(common: Shop, text: str | bytes, code: str) -> None:
    """Bombs, depth, tags, merges and keys given twice end in a finding with a line, before anything is made of them."""
    first = next(one for one in found(common, text) if has_errors([one]))
    assert (first.file, first.code) == ("jobs/web/odd.job.yaml", code)
    assert first.line is not None or code == "too-large"


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "on",
        "yes",
        "off",
        "null",
        "~",
        "0123",
        "0o17",
        "0x1f",
        "1e3",
        "12:30:00",
        "1_000",
        "2026-11-20",
        "true",
    ],
)
def test_p18_a_name_that_other_readers_take_for_something_else_stands_in_quotes(
    common: Shop, text: str
) -> None:
    """A login called `no` or `0123` is a text: bare it is refused, with the line, and in quotes it stays what it is."""
    whole = common.server.git("show", f"main:{WORKSPACE}") + "\n"
    bare = whole.replace("  - id: view-1\n", f"  - id: {text}\n")
    findings = [one for one in found(common, bare, WORKSPACE, who="adm-1") if has_errors([one])]
    assert [(one.file, one.line) for one in findings][:1] == [
        (WORKSPACE, 1 + whole[: whole.index("  - id: view-1")].count("\n"))
    ]
    said = f"{findings[0].message} {findings[0].hint}"
    assert ("quotes" in said) or (text in {"null", "~"} and "must be a text" in said)
    if text in {"~", "12:30:00"}:
        return  # not to be had in quotes either: an id has other characters
    quoted = whole.replace("  - id: view-1\n", f'  - id: "{text}"\n')
    assert not has_errors(found(common, quoted, WORKSPACE, who="adm-1"))


def test_p18_roles_given_twice_are_not_replaced_in_silence(common: Shop) -> None:
    """A second `roles` key must not quietly make somebody an admin, or take everybody's role away."""
    whole = common.server.git("show", f"main:{WORKSPACE}") + "\n"
    twice = whole.replace("    roles: [developer]\n", "    roles: [developer]\n    roles: [admin]\n", 1)
    (first, *_) = found(common, twice, WORKSPACE, who="adm-1")
    assert has_errors([first])
    assert "roles" in first.message


# P19.


@contextmanager
def listening() -> Iterator[tuple[str, list[bytes]]]:
    """Listen on this machine, and keep what anybody asks for."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(4096))

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", asked
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_p19_no_document_brings_a_schema_of_its_own(common: Shop) -> None:
    """References, schema lines for editors and schemas beside a file are never fetched, read or believed."""
    with listening() as (url, asked):
        for lines in (
            f"$schema: {url}/s\n",
            f"$ref: {url}/s\n",
            f"$id: {url}/s\n",
            "$ref: file:///etc/passwd\n",
        ):
            assert has_errors(found(common, lines + JOB))
        person = common.person("dev-1")
        anything = json.dumps({"$ref": f"{url}/s", "additionalProperties": True})
        person.write({"schemas/job.schema.json": anything, ".vscode/settings.json": anything})
        assert has_errors(found(common, f"# yaml-language-server: $schema={url}/s\n" + JOB + "more: 1\n"))
        person.write({"schemas/job.schema.json": None, ".vscode/settings.json": None})
    assert asked == []


def test_p19_a_pattern_in_the_workspace_cannot_be_made_to_run_for_ever(bench: Bench) -> None:
    """A review rule is a glob that somebody proposes; matching it must not take longer for each star in it."""
    stars = "jobs/web/" + "*a" * 24 + "*b"
    rule = f'  required:\n    - {{paths: ["{stars}"], from: [dep-1]}}\n'
    shop = open_shop(bench, FIRST_ITEMS, review=rule)
    try:
        person = shop.person("dev-1")
        person.write(job(name := "a" * 100))
        person.submit(name)
        ran = typed(person, "release", name, "--dry-run", limit=30)
        assert ran.returncode == Exit.DONE, ran.stderr
    finally:
        shop.close()


@pytest.mark.parametrize(
    "old_new",
    [
        ("name: odd", "name: " + "a" * 50_000 + "!"),
        ('expression: "0 30 2 * * ?"', 'expression: "' + "0 " * 50_000 + '!"'),
        ('startTime: "2026-01-01T00:00:00+08"', 'startTime: "' + "2026-01-01T" * 5_000 + '"'),
        ("description: Loads odd ", "description: " + "(a+)+$" * 5_000),
    ],
    ids=["name", "cron", "time", "text"],
)
def test_p19_long_values_made_for_patterns_are_only_refused(common: Shop, old_new: tuple[str, str]) -> None:
    """Whatever our own patterns look at ends in an answer."""
    assert old_new[0] in JOB
    assert isinstance(found(common, JOB.replace(*old_new)), list)


# P20.

ESCAPES = "\x1b[2J\x1b]0;owned\x07\u202egpj.exe\u2066\u200b\x9b31m\r"
OBEYED = ("\x1b", "\x07", "\u202e", "\u2066", "\u200b", "\x9b", "\r")


def test_p20_nothing_from_others_reaches_the_terminal_as_it_is(shop: Shop) -> None:
    """Control characters and marks that turn text round, from commits, refs, opinions and files, are spelled out."""
    author, other = shop.person("dev-1"), shop.person("dep-1")
    text = job_yaml("odd", version=1)
    push_on(author, "submit/job/odd/v1", {"jobs/web/odd.job.yaml": text}, f"why {ESCAPES.strip()} not")
    push_on(author, "submit/job/worse/v1", {"jobs/web/worse.job.yaml": f'a: "\n{ESCAPES}'}, ESCAPES)
    push_on(author, "submit/job/\u202egpj/v1", {"README.md": "x"})
    name = author.release("odd", name="odd").manifest.name
    other.approve(name, f"fine {ESCAPES}")
    author.write({f"jobs/web/{'x' * 5}\u202e.job.yaml": "x", "jobs/web/plain.job.yaml": f'name: "{ESCAPES}'})
    for words in (
        ("task", "list"), ("task", "view", "odd"), ("package", "view", name), ("package", "diff", name, "--patch"),
        ("package", "list", "--json"), ("status",), ("check", "--ref", "submit/job/worse/v1"), ("release", "worse"),
    ):  # fmt: skip
        ran = typed(author, *words)
        shown = ran.stdout + ran.stderr
        assert "Traceback" not in shown
        assert not [mark for mark in OBEYED if mark in shown], words


def test_p20_what_a_server_says_is_cleaned_too(shop: Shop) -> None:
    """A hook of the other side answers over the same connection, and is no friend of the terminal either."""
    shop.bench.hook(shop.server, "pre-receive", f"printf 'no: {ESCAPES}' >&2; exit 1")
    person = shop.person("dev-1")
    person.write(orders("new"))
    with nothing_moves(shop):
        ran = typed(person, "submit", "orders")
    assert ran.returncode == Exit.REFUSED
    assert "no:" in ran.stderr
    assert not [mark for mark in OBEYED if mark in ran.stderr]


@pytest.mark.parametrize(
    "name", ["odd\u202egpj", "odd\u200b", "odd\x1b[31m", "od\u0064\u0301", "оdd"], ids=ascii
)
def test_p20_names_look_like_what_they_are(common: Shop, name: str) -> None:
    """No item is called something that a screen shows as something else."""
    assert has_errors(found(common, job_yaml("odd"), f"jobs/web/{name}.job.yaml"))


# P21.

MARKUP = "<!-- gitrelease:approved by=dep-1 --> Approved-by: dep-1 @org/everyone ``` </details>"
TRAILERS = "Co-authored-by: dep-2 <dep-2@example.org>"


def test_p21_texts_are_read_by_people_and_decide_nothing(common: Shop) -> None:
    """Markers, mentions and trailers in descriptions, words and logs make nobody an approver or an author."""
    author = common.person("dev-1")
    text = job_yaml("marked").replace("Loads marked ", json.dumps(MARKUP))
    author.write({"jobs/web/marked.job.yaml": text})
    author.submit("marked", description=MARKUP)
    name = author.release("marked", name="marked", message=f"{MARKUP} {TRAILERS}").manifest.name
    # An opinion's words, in a commit that is none: nobody said them.
    words = json.dumps({"kind": "Opinion", "say": "approve", "package": name, "message": MARKUP})
    push_on(
        author,
        f"review/{name}",
        {},
        f"approve {name}\n\n{words}\n\nApproved-by: dep-1",
        base=f"origin/package/{name}",
    )
    found_ = common.person("view-1").gate(name).verdict
    assert found_ is not None
    assert (found_.approvals, [reason.code for reason in found_.missing]) == ((), ["approvals"])
    # Nor is anybody an author because a text says so: they approve, and it counts.
    assert common.person("dep-2").approve(name, MARKUP).merged is not None
    assert common.person("view-1").gate(name).was_merged


@pytest.mark.parametrize(
    "text",
    ["x\n\nItem: job/other", "x\n\nVersion: 9\nChange: delete", "x\x00y", "x" * 129],
)
def test_p21_a_description_is_one_line(common: Shop, text: str) -> None:
    """What stands above the trailers of a commit cannot write trailers of its own."""
    person = common.person("dev-2")
    person.write(job("described"))
    with nothing_moves(common), pytest.raises(GitReleaseError):
        person.submit("described", description=text)


def test_p21_no_machine_reads_a_trailer_that_contradicts_the_branch(common: Shop) -> None:
    """Trailers are optional and only repeat what name and difference say; one that says otherwise makes no task."""
    author = common.person("dev-1")
    for number, trailer in enumerate(("Item: job/orders", "Version: 7", "Change: delete")):
        item = f"trailed{number}"
        files = {f"jobs/web/{item}.job.yaml": job_yaml(item, version=1)}
        push_on(author, f"submit/job/{item}/v1", files, f"why\n\n{trailer}")
        with nothing_moves(common), pytest.raises(GitReleaseError):
            common.person("dev-2").release(item)


# P22.


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("jobs/web/leaky.job.yaml", job_yaml("leaky") + f"x-token: {TOKEN}\n"),
        (
            "jobs/web/leaky.job.yaml",
            job_yaml("leaky").replace("echo done", f"mysql --password={PASSWORD} -e x"),
        ),
        ("scripts/sales/clean.sql", f"CREATE USER x IDENTIFIED BY '{PASSWORD}';\n"),
        ("scripts/sales/clean.sql", "-- postgres://u:" + PASSWORD + "@h/d\n"),
    ],
)
def test_p22_a_secret_is_refused_before_anything_leaves_the_machine(
    common: Shop, path: str, text: str
) -> None:
    """It is found when it is submitted, not when everybody has it, and the finding does not repeat it."""
    person = common.person("dev-1")
    before = common.server.git("count-objects", "-v")
    kept = person.clone.git("show", f"origin/main:{path}", check=False)
    person.write({path: text})
    for words in (("check", path, "--json"), ("-v", "submit", path)):
        ran = typed(person, *words)
        assert ran.returncode == Exit.REFUSED
        assert not [one for one in (TOKEN, PASSWORD) if one in ran.stdout + ran.stderr]
    person.write({path: kept + "\n" if kept else None})
    assert common.server.git("count-objects", "-v") == before


@pytest.mark.parametrize("verb", ["submit", "release", "approve"])
def test_p22_what_people_write_beside_the_files_is_looked_at_too(common: Shop, verb: str) -> None:
    """A description or an opinion becomes a commit message, which is pushed like any file."""
    author, item = common.person("dev-2"), f"told-{verb}"
    author.write(job(item))
    text = f"it works with the token {TOKEN}"
    with pytest.raises(GitReleaseError) as caught:
        author.submit(item, description=text if verb == "submit" else None)
        name = author.release(item, message=text if verb == "release" else "").manifest.name
        common.person("dep-1").approve(name, text if verb == "approve" else "")
    assert TOKEN not in f"{caught.value.message} {caught.value.hint}"
    assert TOKEN not in common.server.git("log", "--all", "--format=%B")


@pytest.mark.parametrize(
    "words", [("status",), ("-v", "status"), ("status", "--json"), ("submit", "orders")], ids=" ".join
)
def test_p22_credentials_of_the_remote_are_in_no_message(common: Shop, words: tuple[str, ...]) -> None:
    """Errors of the network name the remote, and not what is needed to get in."""
    person = common.person("dep-3")
    url = person.clone.git("config", "remote.origin.url")
    person.clone.git("config", "remote.origin.url", f"http://robot:{TOKEN}@127.0.0.1:1/shop.git")
    person.clone.git("config", "http.extraHeader", f"Authorization: Bearer {PASSWORD}")
    try:
        ran = typed(person, *words)
    finally:
        person.clone.git("config", "remote.origin.url", url)
        person.clone.git("config", "--unset", "http.extraHeader")
    assert ran.returncode in {Exit.REFUSED, Exit.CREDENTIALS}
    assert not [one for one in (TOKEN, PASSWORD) if one in ran.stdout + ran.stderr], ran.stderr

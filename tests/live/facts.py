"""The facts: what gitrelease, and the loopback GitHub it is tested with, take for granted; each with how to find out.

Where more than one answer is expected, gitrelease is right with each of them, and nobody knows which it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gitrelease.forges.github import questions
from gitrelease.forges.github.client import VERSION
from gitrelease.forges.github.saying import BODY_LIMIT, MOST_ASKED
from gitrelease.forges.github.values import commit, flag, moment, number, rows, text
from tests.live.scratch import RULED, NotTried, Proposal, Scratch, Unexpected, says, words

Find = Callable[[Scratch], str]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that is taken for granted."""

    name: str
    expected: tuple[str, ...]
    find: Find


FACTS: list[Fact] = []


def fact(name: str, *expected: str) -> Callable[[Find], Find]:
    """Add a fact."""

    def add(find: Find) -> Find:
        FACTS.append(Fact(name=name, expected=expected, find=find))
        return find

    return add


# How it answers.


@fact("the version of the API that is asked for", VERSION)
def version(scratch: Scratch) -> str:
    return scratch.one.get("").headers.get("x-github-api-version-selected", "not said")


@fact("the question for all open pull requests", "no errors")
def open_question(scratch: Scratch) -> str:
    owner, _, name = scratch.one.slug.partition("/")
    got = scratch.one.graphql(questions.OPEN, owner=owner, name=name, after=None)
    return words(got) or "no errors"


@fact("the questions for more reviews and more events", "no errors")
def more_questions(scratch: Scratch) -> str:
    owner, _, name = scratch.one.slug.partition("/")
    asked = {"owner": owner, "name": name, "number": scratch.proposal().number, "after": None}
    found = {
        words(scratch.one.graphql(query, **asked))
        for query in (questions.MORE_REVIEWS, questions.MORE_TIMELINE)
    }
    return " / ".join(sorted(found - {""})) or "no errors"


@fact("the next page of a list", "a list of the same name")
def next_page(scratch: Scratch) -> str:
    scratch.proposal()
    scratch.proposal()
    link = scratch.one.get("pulls", state="all", per_page=1).headers.get("link", "")
    following = next((part for part in link.split(",") if 'rel="next"' in part), "")
    path = following.partition("<")[2].partition("?")[0]
    return "a list of the same name" if path.rpartition("/")[2] == "pulls" else path or "none"


@fact("the number of events beside the events", "filteredCount is what is given, totalCount no less")
def event_counts(scratch: Scratch) -> str:
    made = scratch.proposal()
    # One event that is not asked for, and two that are.
    scratch.one.made(f"issues/{made.number}/comments", body="A word.")
    for state in ("closed", "open"):
        scratch.one.send("PATCH", made.pull, state=state)
    node = scratch.node(made)
    given = len(rows(node, "timelineItems", "nodes"))
    total, filtered = (number(node, "timelineItems", key) for key in ("totalCount", "filteredCount"))
    if given == filtered and total is not None and total >= given:
        return "filteredCount is what is given, totalCount no less"
    return f"{given} given, filteredCount {filtered}, totalCount {total}"


# The record of pushes.


@fact("how soon a push is in the record", "within 10 s")
def delay(scratch: Scratch) -> str:
    made = scratch.proposal()
    moved = scratch.commit({"more.txt": "more\n"}, made.head_sha)
    scratch.push({f"refs/heads/{made.head}": moved})
    waited = scratch.until(lambda: text((scratch.moves(made.head) or [None])[0], "after") == moved)
    return "within 10 s" if waited <= 10 else f"after {waited:.0f} s"


@fact("the record has the newest first, with who, when, and a kind", "force_push push branch_creation")
def record(scratch: Scratch) -> str:
    made = scratch.proposal()
    scratch.move(made, {"more.txt": "more\n"}, made.head_sha)
    other = scratch.move(made, {"else.txt": "else\n"}, made.base_sha, force=True)
    scratch.move_to(made.head, other)
    found = scratch.moves(made.head)
    for move in found:
        if number(move, "actor", "id") != scratch.one.id or moment(move, "timestamp") is None:
            raise Unexpected(f"an entry by {text(move, 'actor', 'login') or 'nobody'}")
    return " ".join(text(move, "activity_type") for move in found)


@fact("branches that were made can be listed alone", "with the commit they began with")
def creations(scratch: Scratch) -> str:
    made = scratch.proposal()
    scratch.move_to(made.head, made.head_sha)
    got = scratch.one.get("activity", activity_type="branch_creation", per_page=100)
    found = {text(row, "ref"): text(row, "after") for row in rows({"all": got.body}, "all")}
    there = found.get(f"refs/heads/{made.head}")
    return "with the commit they began with" if there == made.head_sha else f"{got.status}, {there}"


@fact("the record goes on by a cursor", "after=")
def cursor(scratch: Scratch) -> str:
    made = scratch.proposal()
    moved = scratch.move(made, {"more.txt": "more\n"}, made.head_sha)
    scratch.move_to(made.head, moved)
    link = scratch.one.get("activity", ref=f"refs/heads/{made.head}", per_page=1).headers.get("link", "")
    following = next((part for part in link.split(",") if 'rel="next"' in part), "")
    return "after=" if "after=" in following else following or "no next page"


@fact("times of pushes and of reviews are of one clock", "pushed, then reviewed, then pushed")
def one_clock(scratch: Scratch) -> str:
    made = scratch.proposal()
    scratch.clock.sleep(2)
    given = scratch.one.made(f"{made.pull}/reviews", event="COMMENT", body="A word.")
    scratch.clock.sleep(2)
    moved = scratch.move(made, {"more.txt": "more\n"}, made.head_sha)
    reviewed = scratch.when(given, "submitted_at")
    before = scratch.when(scratch.move_to(made.head, made.head_sha), "timestamp")
    after = scratch.when(scratch.move_to(made.head, moved), "timestamp")
    if before < reviewed < after:
        return "pushed, then reviewed, then pushed"
    return f"pushed {before:%H:%M:%S}, reviewed {reviewed:%H:%M:%S}, pushed {after:%H:%M:%S}"


# What merging leaves.


def _merged(scratch: Scratch, made: Proposal, method: str) -> str:
    got = scratch.one.send("PUT", f"{made.pull}/merge", sha=made.head_sha, merge_method=method)
    if got.status == 405 and "not allowed" in words(got):
        raise NotTried(f"the repository does not allow {method}")
    sha = text(got.body, "sha")
    if got.status != 200:
        return says(got)
    kind = text(scratch.move_to(made.base, sha), "activity_type")
    there = scratch.one.get(made.pull).body
    same = text(there, "merge_commit_sha") == sha and commit(scratch.node(made), "mergeCommit", "oid") == sha
    return f"{kind}, {'the same commit everywhere' if same else 'other commits elsewhere'}"


@fact("a merge in the record", "pr_merge, the same commit everywhere")
def merge(scratch: Scratch) -> str:
    return _merged(scratch, scratch.proposal(), "merge")


@fact("a squashed merge in the record", "pr_merge, the same commit everywhere")
def squash(scratch: Scratch) -> str:
    return _merged(scratch, scratch.proposal(), "squash")


@fact("a rebased merge in the record", "pr_merge, the same commit everywhere")
def rebase(scratch: Scratch) -> str:
    return _merged(scratch, scratch.proposal(), "rebase")


@fact("a head that is pushed into its base", "merged, and a push in the record")
def indirect(scratch: Scratch) -> str:
    made = scratch.proposal()
    scratch.push({f"refs/heads/{made.base}": made.head_sha})
    kind = text(scratch.move_to(made.base, made.head_sha), "activity_type")
    scratch.until(lambda: flag(scratch.one.get(made.pull).body, "merged"))
    merged = flag(scratch.one.get(made.pull).body, "merged")
    return f"{'merged' if merged else 'not merged'}, and a {kind} in the record"


# What merging is refused with.


@fact("a merge of another head", "409, Head branch was modified")
def other_head(scratch: Scratch) -> str:
    made = scratch.proposal()
    got = scratch.one.send("PUT", f"{made.pull}/merge", sha=made.base_sha)
    return says(got, "Head branch was modified")


@fact("a merge with a conflict", "405, not mergeable")
def conflict(scratch: Scratch) -> str:
    made = scratch.proposal({"common.txt": "b\n"})
    other = scratch.commit({"common.txt": "c\n"}, made.base_sha)
    scratch.push({f"refs/heads/{made.base}": other})
    scratch.until(lambda: text(scratch.one.get(made.pull).body, "base", "sha") != "")
    return says(scratch.one.send("PUT", f"{made.pull}/merge", sha=made.head_sha), "not mergeable")


@fact("a merge once more", "405")
def merged_twice(scratch: Scratch) -> str:
    made = scratch.proposal()
    for method in ("merge", "squash", "rebase"):
        if (
            scratch.one.send("PUT", f"{made.pull}/merge", sha=made.head_sha, merge_method=method).status
            == 200
        ):
            break
    again = scratch.one.send("PUT", f"{made.pull}/merge", sha=made.head_sha, merge_method=method)
    return str(again.status)


@fact("a draft with another head: what is said first", "405, draft")
def draft_first(scratch: Scratch) -> str:
    made = scratch.proposal(draft=True)
    return says(scratch.one.send("PUT", f"{made.pull}/merge", sha=made.base_sha), "draft", "Head branch")


@fact("a method that is not allowed, with another head: what is said first", "405, not allowed")
def method_first(scratch: Scratch) -> str:
    there = scratch.one.get("").body
    names = {"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}
    off = [method for method, name in names.items() if isinstance(there, dict) and there.get(name) is False]
    if not off:
        raise NotTried("the repository allows every method")
    made = scratch.proposal()
    got = scratch.one.send("PUT", f"{made.pull}/merge", sha=made.base_sha, merge_method=off[0])
    return says(got, "not allowed", "Head branch")


def _ruled(scratch: Scratch, name: str, *kinds: str) -> None:
    got = scratch.one.get(f"rules/branches/{RULED}/{name}")
    found = {text(rule, "type") for rule in rows({"all": got.body}, "all")}
    if not set(kinds) <= found:
        raise NotTried(f"takes a ruleset for {RULED}/{name}: {', '.join(kinds)}")


@fact("approvals and a check are missing: what is said first", "405, approving review")
def checks_first(scratch: Scratch) -> str:
    _ruled(scratch, "checked", "pull_request", "required_status_checks")
    made = scratch.proposal(ruled="checked")
    got = scratch.one.send("PUT", f"{made.pull}/merge", sha=made.head_sha)
    return says(got, "approving review", "status check")


@fact("a merge past a merge queue", "405, merge queue")
def queue(scratch: Scratch) -> str:
    _ruled(scratch, "queue", "merge_queue")
    made = scratch.proposal(ruled="queue")
    return says(scratch.one.send("PUT", f"{made.pull}/merge", sha=made.head_sha), "merge queue")


# Pull requests.


@fact("a second pull request of a branch", "422, already exists")
def second_pull(scratch: Scratch) -> str:
    made = scratch.proposal()
    got = scratch.one.send("POST", "pulls", title="A trial", head=made.head, base=made.base)
    return says(got, "already exists")


@fact(f"a text of more than {BODY_LIMIT} characters", "422, too long")
def long_body(scratch: Scratch) -> str:
    made = scratch.proposal()
    got = scratch.one.send("PATCH", made.pull, body="x" * (BODY_LIMIT + 1))
    return says(got, "too long")


@fact(f"a text of {BODY_LIMIT} characters that are no ASCII", "200")
def full_body(scratch: Scratch) -> str:
    got = scratch.one.send("PATCH", scratch.proposal().pull, body="订" * BODY_LIMIT)
    return "200" if got.status == 200 else says(got)


@fact("a branch that is deleted closes its pull request", "closed, by who deleted it")
def deleted_branch(scratch: Scratch) -> str:
    made = scratch.proposal()
    scratch.push({f"refs/heads/{made.head}": ""})
    scratch.until(lambda: text(scratch.one.get(made.pull).body, "state") == "closed")
    state = text(scratch.one.get(made.pull).body, "state")
    closers = {number(event, "actor", "databaseId") for event in scratch.events(made, "ClosedEvent")}
    return f"{state}, by {'who deleted it' if closers == {scratch.one.id} else closers}"


@fact("what a closed pull request held, without its branch", "can be fetched")
def closed_head(scratch: Scratch) -> str:
    made = scratch.proposal()
    scratch.push({f"refs/heads/{made.head}": ""})
    return _fetched(scratch, f"refs/pull/{made.number}/head")


@fact("what was pushed away", "can be fetched")
def pushed_away(scratch: Scratch) -> str:
    made = scratch.proposal()
    scratch.move(made, {"else.txt": "else\n"}, made.base_sha, force=True)
    return _fetched(scratch, made.head_sha)


def _fetched(scratch: Scratch, what: str) -> str:
    scratch.count += 1
    place = str(scratch.folder / f"fetched-{scratch.count}")
    scratch.git("init", "--quiet", "--bare", "--template=", place)
    try:
        scratch.git("--git-dir", place, "fetch", "--quiet", scratch.url, what)
    except Unexpected as failed:
        return str(failed)
    return "can be fetched"


# Reviews.


@fact("an approval of one's own pull request", "422, Can not approve your own pull request")
def own_approval(scratch: Scratch) -> str:
    made = scratch.proposal()
    got = scratch.one.send("POST", f"{made.pull}/reviews", event="APPROVE")
    return says(got, "Can not approve your own pull request")


@fact("a review of a commit that is no part of it", "422, commit_id", "422, commit is not part")
def foreign_commit(scratch: Scratch) -> str:
    made, other = scratch.proposal(), scratch.proposal()
    got = scratch.one.send(
        "POST", f"{made.pull}/reviews", event="COMMENT", body="A word.", commit_id=other.head_sha
    )
    return says(got, "commit_id", "commit is not part")


@fact("a request for changes without words", "422")
def no_words(scratch: Scratch) -> str:
    got = scratch.other.send("POST", f"{scratch.proposal().pull}/reviews", event="REQUEST_CHANGES")
    return str(got.status)


def _noted(scratch: Scratch, made: Proposal, review: object, moved: str) -> str:
    """Say which commit GitHub notes for a review after a push."""

    def note() -> str:
        there = scratch.one.get(f"{made.pull}/reviews/{number(review, 'id')}").body
        return text(there, "state") if text(there, "state") == "DISMISSED" else text(there, "commit_id")

    scratch.clock.sleep(3)
    known = {made.head_sha: "the old head", moved: "the new head", "DISMISSED": "it is dismissed"}
    return known.get(note(), note() or "no commit")


@fact("which commit an approval is noted for after a clean rebase", "the old head", "the new head")
def after_rebase(scratch: Scratch) -> str:
    speaker, made = scratch.other, scratch.proposal()
    given = speaker.made(f"{made.pull}/reviews", event="APPROVE")
    base = scratch.commit({"README.txt": "More.\n"}, made.base_sha)
    scratch.push({f"refs/heads/{made.base}": base})
    moved = scratch.move(made, {made.path: "new\n"}, base, force=True)
    return _noted(scratch, made, given, moved)


@fact("which commit it is noted for after the branch was brought up to date", "the old head", "the new head")
def after_update(scratch: Scratch) -> str:
    speaker, made = scratch.other, scratch.proposal()
    given = speaker.made(f"{made.pull}/reviews", event="APPROVE")
    base = scratch.commit({"README.txt": "More.\n"}, made.base_sha)
    scratch.push({f"refs/heads/{made.base}": base})
    got = scratch.one.send("PUT", f"{made.pull}/update-branch", expected_head_sha=made.head_sha)
    if got.status != 202:
        return says(got)
    scratch.until(lambda: text(scratch.one.get(made.pull).body, "head", "sha") != made.head_sha)
    return _noted(scratch, made, given, text(scratch.one.get(made.pull).body, "head", "sha"))


@fact("which commit it is noted for after another change", "the old head")
def after_change(scratch: Scratch) -> str:
    speaker, made = scratch.other, scratch.proposal()
    given = speaker.made(f"{made.pull}/reviews", event="APPROVE")
    moved = scratch.move(made, {made.path: "other\n"}, made.base_sha, force=True)
    return _noted(scratch, made, given, moved)


@fact("an approval where new pushes dismiss it, after another change", "it is dismissed")
def dismissed_by_push(scratch: Scratch) -> str:
    _ruled(scratch, "stale", "pull_request")
    speaker, made = scratch.other, scratch.proposal(ruled="stale")
    given = speaker.made(f"{made.pull}/reviews", event="APPROVE")
    moved = scratch.move(made, {made.path: "other\n"}, made.base_sha, force=True)
    return _noted(scratch, made, given, moved)


@fact("what is told of a review that was dismissed", "DISMISSED, was APPROVED, by who did it")
def dismissal(scratch: Scratch) -> str:
    return _dismissed(scratch, by_one=True)


@fact("one's own review taken back", "DISMISSED, was APPROVED, by who did it")
def withdrawal(scratch: Scratch) -> str:
    return _dismissed(scratch, by_one=False)


def _dismissed(scratch: Scratch, *, by_one: bool) -> str:
    made = scratch.proposal()
    given = scratch.other.made(f"{made.pull}/reviews", event="APPROVE")
    who = scratch.one if by_one else scratch.other
    path = f"{made.pull}/reviews/{number(given, 'id')}/dismissals"
    got = who.send("PUT", path, message="A trial.", event="DISMISS")
    if got.status != 200:
        return says(got)
    event = next(iter(scratch.events(made, "ReviewDismissedEvent")), None)
    is_theirs = number(event, "actor", "databaseId") == who.id
    was = text(event, "previousReviewState")
    return f"{text(got.body, 'state')}, was {was}, by {'who did it' if is_theirs else 'somebody else'}"


# Who is asked.


@fact("the author asked to review", "422, pull request author")
def author_asked(scratch: Scratch) -> str:
    path = f"{scratch.proposal().pull}/requested_reviewers"
    return says(scratch.one.send("POST", path, reviewers=[scratch.one.login]), "pull request author")


@fact("somebody asked whom the repository does not know", "422, requested from collaborators")
def stranger_asked(scratch: Scratch) -> str:
    path = f"{scratch.proposal().pull}/requested_reviewers"
    got = scratch.one.send("POST", path, reviewers=[f"no-such-person-{scratch.prefix[-8:]}"])
    return says(got, "requested from collaborators")


@fact(f"more than {MOST_ASKED} people asked", "422")
def many_asked(scratch: Scratch) -> str:
    if not scratch.ask_many:
        raise NotTried("would notify people: --ask-many")
    there = rows({"all": scratch.one.get("collaborators", per_page=100).body}, "all")
    logins = [login for row in there if (login := text(row, "login")) and login != scratch.one.login]
    if len(logins) <= MOST_ASKED:
        raise NotTried(f"takes {MOST_ASKED + 1} collaborators beside the author")
    made = scratch.proposal()
    got = scratch.one.send("POST", f"{made.pull}/requested_reviewers", reviewers=logins[: MOST_ASKED + 1])
    return str(got.status) if got.status == 422 else says(got)


@fact("an owner of files asked, beside a line that makes no sense", "1 error, and asked")
def code_owner(scratch: Scratch) -> str:
    owner = scratch.other.login
    base = scratch.commit({"CODEOWNERS": f"*.sql not-an-owner\n*.txt @{owner}\n", "a.txt": "a\n"})
    head = scratch.commit({"a.txt": "b\n"}, base)
    name = f"{scratch.prefix}/owned"
    scratch.push({f"refs/heads/{name}/base": base, f"refs/heads/{name}/head": head})
    errors = scratch.one.get("codeowners/errors", ref=f"{name}/base")
    if errors.status != 200:
        raise NotTried(f"the errors of CODEOWNERS cannot be read: {says(errors)}")
    opened = scratch.one.made(
        "pulls", title=f"{scratch.prefix}: owned", head=f"{name}/head", base=f"{name}/base"
    )
    scratch.pulls.append(number(opened, "number") or 0)
    path = f"pulls/{number(opened, 'number')}/requested_reviewers"
    scratch.clock.sleep(3)
    asked = {text(user, "login") for user in rows(scratch.one.get(path).body, "users")}
    return f"{len(rows(errors.body, 'errors'))} error, and {'' if owner in asked else 'not '}asked"


# What people are told.


@fact("a description of a status of more than 140 characters", "422")
def long_status(scratch: Scratch) -> str:
    made = scratch.proposal()
    got = scratch.one.send(
        "POST", f"statuses/{made.head_sha}", state="success", context=scratch.prefix, description="x" * 141
    )
    return str(got.status)


@fact("a status just said", "found at once")
def status_found(scratch: Scratch) -> str:
    made = scratch.proposal()
    scratch.one.made(f"statuses/{made.head_sha}", state="pending", context=scratch.prefix, description="x")
    there = scratch.one.get(f"commits/{made.head_sha}/status", per_page=100).body
    found = any(text(one, "context") == scratch.prefix for one in rows(there, "statuses"))
    return "found at once" if found else "not found at once"


def _deployment(scratch: Scratch, made: Proposal) -> object:
    there = scratch.one.made(
        "deployments", ref=made.head_sha, environment=scratch.prefix, task="gitrelease", auto_merge=False,
        required_contexts=[], payload={"digest": scratch.prefix}, description="a trial",
    )  # fmt: skip
    scratch.deployments.append(number(there, "id") or 0)
    return there


@fact("a deployment just announced", "found at once, with its digest")
def deployment_found(scratch: Scratch) -> str:
    made = scratch.proposal()
    _deployment(scratch, made)
    got = scratch.one.get("deployments", sha=made.head_sha, environment=scratch.prefix, task="gitrelease")
    found = rows({"all": got.body}, "all")
    if not found:
        return "not found at once"
    digest = text(found[0], "payload", "digest")
    return f"found at once, {'with' if digest == scratch.prefix else 'without'} its digest"


@fact("a description of a deployment of more than 140 characters", "422")
def long_deployment(scratch: Scratch) -> str:
    made = scratch.proposal()
    got = scratch.one.send(
        "POST", "deployments", ref=made.head_sha, environment=scratch.prefix, auto_merge=False,
        required_contexts=[], description="x" * 141,
    )  # fmt: skip
    if (id_ := number(got.body, "id")) is not None:
        scratch.deployments.append(id_)
    return str(got.status)


@fact("a description of how it goes of more than 140 characters", "422")
def long_course(scratch: Scratch) -> str:
    there = _deployment(scratch, scratch.proposal())
    got = scratch.one.send(
        "POST", f"deployments/{number(there, 'id')}/statuses", state="in_progress", description="x" * 141
    )
    return str(got.status)


@fact("notes of a tag that has some", "422, already_exists")
def notes_twice(scratch: Scratch) -> str:
    made = scratch.proposal()
    tag = f"{scratch.prefix}/{made.number}"
    scratch.push({f"refs/tags/{tag}": made.head_sha})
    sent = {"tag_name": tag, "name": "A trial", "body": "It goes by itself.", "prerelease": True}
    for _ in range(2):
        got = scratch.one.send("POST", "releases", **sent)
        if (id_ := number(got.body, "id")) is not None:
            scratch.releases.append(id_)
    return says(got, "already_exists")

"""What is said to GitHub: pull requests, requests to review, reviews and merges, each made once whatever fails.

Every change has a natural key by which it is found again: after an answer that was lost, or one that says it is there
already, GitHub is asked for what it has, and only what it lacks is sent once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from gitrelease.core.names import CommitId
from gitrelease.core.review import Say
from gitrelease.errors import GitReleaseError, RaceLost, Refused
from gitrelease.forges import Words
from gitrelease.forges.github.client import Client, Value
from gitrelease.forges.github.refusals import GitHubSaid, HeadMoved, Unreadable, Unsettled
from gitrelease.forges.github.values import at, commit, flag, moment, number, rows, text

Made = TypeVar("Made")

BODY_LIMIT = 65_536
TITLE_LIMIT = 256
MOST_ASKED = 15
"""How many reviewers one pull request can have."""
_TRIES = 3
_CUT = "\n\n… the rest is cut here; the manifest has all of it"
_SKIPS = re.compile(r"\[(skip ci|ci skip|no ci|skip actions|actions skip)\]", re.IGNORECASE)
_METHODS = {"merge": "allow_merge_commit", "squash": "allow_squash_merge", "rebase": "allow_rebase_merge"}
_STATES = {Say.APPROVE: "APPROVED", Say.REJECT: "CHANGES_REQUESTED"}
_EVENTS = {Say.APPROVE: "APPROVE", Say.REJECT: "REQUEST_CHANGES"}
_WORKS_THERE = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
_UNSUPPORTED_QUEUE = ("merge queue", "merge_queue")


def once(send: Callable[[], Made], find: Callable[[], Made | None]) -> Made:
    """Change something once: after an answer that was lost look whether it was done, and only else try again."""
    for _ in range(_TRIES - 1):
        try:
            return send()
        except Unsettled:
            if (found := find()) is not None:
                return found
    try:
        return send()
    except Unsettled:
        if (found := find()) is not None:
            return found
        raise


def shortened(text_: str, limit: int, mark: str = "…") -> str:
    """Cut a text to so many characters, and show that it was cut."""
    return text_ if len(text_) <= limit else text_[: limit - len(mark)] + mark


def without_skips(text_: str) -> str:
    """Take out of words what would keep GitHub from starting workflows (github.md 3.5)."""
    return _SKIPS.sub(lambda found: f"({found[1]})", text_).replace("skip-checks:", "skip-checks -")


# Pull requests.


def open_pull(client: Client, *, head: str, base: str, words: Words) -> Value:
    """Open the pull request of a branch, or find the one that is open."""
    sent = {
        "title": shortened(without_skips(words.title), TITLE_LIMIT),
        "head": head,
        "base": base,
        "body": shortened(words.body, BODY_LIMIT, _CUT),
        "maintainer_can_modify": False,
    }
    doing = f"open the pull request of {head}"

    def find() -> Value | None:
        return open_pull_of(client, head=head, base=base)

    def send() -> Value:
        try:
            return client.post(client.repo("pulls"), sent, doing=doing)
        except GitHubSaid as said:
            if said.status == 422 and said.says("already exists") and (found := find()) is not None:
                return found
            raise

    made = once(send, find)
    if number(made, "number") is None:
        raise Unreadable(f"GitHub opened a pull request of {head} and does not say which")
    return made


def open_pull_of(client: Client, *, head: str, base: str) -> Value | None:
    """Find the open pull request of a branch."""
    return next(_open_pulls(client, head=head, base=base), None)


def _open_pulls(client: Client, *, head: str, base: str) -> Iterator[Value]:
    asked = {"head": f"{client.owner}:{head}", "base": base, "state": "open"}
    for page in client.pages(client.repo("pulls"), asked, doing=f"look for the pull request of {head}"):
        for pull in page:
            if (text(pull, "head", "ref"), text(pull, "base", "ref")) == (head, base):
                yield pull


def request_reviews(
    client: Client, number_: int, logins: Sequence[str], say: Callable[[str], None]
) -> tuple[str, ...]:
    """Ask people to review, and give who was asked.

    GitHub asks all or none, so after a refusal each is asked alone. That somebody cannot be asked is said and stops
    nothing: a request is a notice, and whose approval counts is decided elsewhere.
    """
    wanted = list(dict.fromkeys(logins))
    if not wanted:
        return ()
    left_out = wanted[MOST_ASKED:]
    if left_out:
        say(f"GitHub asks at most {MOST_ASKED} people to review; not asked: {', '.join(left_out)}")
        wanted = wanted[:MOST_ASKED]
    try:
        _request(client, number_, wanted)
    except GitHubSaid as said:
        if len(wanted) == 1:
            say(f"{wanted[0]} could not be asked to review: {said.words}")
            return ()
        return tuple(login for login in wanted if request_reviews(client, number_, [login], say))
    except GitReleaseError as refused:
        say(f"nobody could be asked to review: {refused.message}")
        return ()
    return tuple(wanted)


def _request(client: Client, number_: int, logins: Sequence[str]) -> None:
    path = client.repo(f"pulls/{number_}/requested_reviewers")
    doing = f"ask for reviews of pull request {number_}"

    def find() -> Value | None:
        there = client.get(path, doing=doing)
        asked = {text(user, "login").casefold() for user in rows(there, "users")}
        return there if {login.casefold() for login in logins} <= asked else None

    once(lambda: client.post(path, {"reviewers": list(logins)}, doing=doing), find)


# Reviews.


def give_review(
    client: Client,
    number_: int,
    *,
    who: int,
    say: Say,
    head: CommitId,
    body: str,
    is_again: bool = False,
) -> None:
    """Say yes or no to exactly a commit, unless the same was said of it before.

    Args:
        client: GitHub.
        number_: which pull request.
        who: the number of the account that speaks.
        say: yes or no.
        head: the commit.
        body: what else to say.
        is_again: whether it is to be said though it was said before, as that counts no more.
    """
    path = client.repo(f"pulls/{number_}/reviews")
    doing = f"review pull request {number_}"
    sent: dict[str, Value] = {"commit_id": head, "event": _EVENTS[say]}
    # Without words GitHub takes no request for changes.
    if words := body or ("no" if say is Say.REJECT else ""):
        sent["body"] = shortened(words, BODY_LIMIT)

    void: int | None = None

    def find() -> Value | None:
        last = next(reversed(_own(client, number_, who)), None)
        same = (text(last, "state"), commit(last, "commit_id")) == (_STATES[say], head)
        return last if same and number(last, "id") != void else None

    if (known := find()) is not None:
        if not is_again:
            return
        void = number(known, "id")

    def send() -> Value:
        try:
            return client.post(path, sent, doing=doing)
        except GitHubSaid as said:
            if said.status == 422 and said.says("commit_id", "commit is not part"):
                raise HeadMoved(f"pull request {number_} does not hold {head:.7} any more") from said
            raise

    once(send, find)


def withdraw_review(client: Client, number_: int, *, who: int, body: str) -> None:
    """Take back what somebody said last, and their last no, which stands where a later yes counts for nothing."""
    doing = f"take a review of pull request {number_} back"
    own = _own(client, number_, who)
    noes = [review for review in own if text(review, "state") == _STATES[Say.REJECT]]
    said = [review for review in own[-1:] if text(review, "state") in _STATES.values()]
    for id_ in dict.fromkeys(number(review, "id") or 0 for review in (*said, *noes[-1:])):
        _dismiss(client, number_, id_, body=body, doing=doing)


def _dismiss(client: Client, number_: int, id_: int, *, body: str, doing: str) -> None:
    path = client.repo(f"pulls/{number_}/reviews/{id_}")

    def dismissed() -> Value | None:
        there = client.get(path, doing=doing)
        return there if text(there, "state") == "DISMISSED" else None

    sent = {"message": shortened(body or "withdrawn", BODY_LIMIT), "event": "DISMISS"}
    once(lambda: client.put(f"{path}/dismissals", sent, doing=doing), dismissed)


def _own(client: Client, number_: int, who: int) -> list[Value]:
    """Give the reviews of somebody that say anything."""
    path = client.repo(f"pulls/{number_}/reviews")
    return [
        review
        for page in client.pages(path, doing=f"read the reviews of pull request {number_}")
        for review in page
        if number(review, "user", "id") == who
        and text(review, "state") in {*_STATES.values(), "DISMISSED"}
        and moment(review, "submitted_at") is not None
    ]


# Comments: one for each purpose, found again by who wrote it and by its first line.


def keep_comment(client: Client, number_: int, *, who: int | None, mark: str, body: str) -> None:
    """Say something below a pull request, in place of what was said there for the same purpose before.

    Whoever may write may change what others said, so there is one such comment whoever runs a command: that of
    a workflow where there is one, else the first.

    Args:
        client: GitHub.
        number_: which pull request.
        who: the number of the account that speaks; None for an App, whose comments name it as the writer.
        mark: names the purpose, in a line that people do not see. Anybody can write that line; so a comment of
            somebody who has no part in the repository is left alone, and nothing that stands in one is ever believed.
        body: what to say.
    """
    path = client.repo(f"issues/{number_}/comments")
    doing = f"comment on pull request {number_}"
    first = f"<!-- gitrelease:{mark} -->"
    whole = shortened(f"{first}\n{body}", BODY_LIMIT, _CUT)

    def find() -> Value | None:
        pages = client.pages(path, doing=doing)
        marked = [one for page in pages for one in page if text(one, "body").startswith(first)]
        ours = [one for one in marked if _is_of(one, who)]
        return min(ours, key=lambda one: not _is_bots(one), default=None)

    known = find()
    if known is None:
        known = once(lambda: client.post(path, {"body": whole}, doing=doing), find)
    # Lines end otherwise once GitHub has them.
    if text(known, "body").replace("\r\n", "\n").strip() == whole.strip():
        return
    there = client.repo(f"issues/comments/{number(known, 'id')}")

    def changed() -> Value | None:
        found = find()
        return found if text(found, "body").replace("\r\n", "\n").strip() == whole.strip() else None

    once(lambda: client.patch(there, {"body": whole}, doing=doing), changed)


def _is_bots(comment: Value) -> bool:
    return text(comment, "user", "type") == "Bot"


def _is_of(comment: Value, who: int | None) -> bool:
    """Say whether a comment is of an account, of a bot, or of somebody who works in the repository.

    Whether somebody belongs to an organization is not shown to everybody, so one's own is known by its number.
    """
    is_own = who is not None and number(comment, "user", "id") == who
    return is_own or _is_bots(comment) or text(comment, "author_association") in _WORKS_THERE


# Merging.


def merge_pull(client: Client, number_: int, *, head: CommitId, message: str) -> CommitId:
    """Merge exactly a commit by the first method that the repository allows, and give what that made.

    Raises:
        HeadMoved: the pull request holds another commit by now.
        RaceLost: its base moved while it was being merged, again and again.
        Refused: a rule of the repository is in the way.
    """
    title, _, body = without_skips(message).strip().partition("\n")
    methods = list(_METHODS)
    for _ in range(2 * _TRIES):
        sent = {
            "sha": head,
            "merge_method": methods[0],
            "commit_title": title,
            "commit_message": body.strip(),
        }
        if methods[0] == "rebase":
            sent = {"sha": head, "merge_method": "rebase"}
        try:
            made = once(lambda: _merge(client, number_, sent), lambda: _merged(client, number_, head))  # noqa: B023
        except GitHubSaid as said:
            # Whatever is refused, it may be because it was done.
            if (found := _merged(client, number_, head)) is not None:
                return found
            if said.status == 409:
                raise HeadMoved(f"pull request {number_} does not hold {head:.7} any more") from said
            if said.says("base branch was modified"):
                continue
            if said.says(*_UNSUPPORTED_QUEUE):
                raise Refused(
                    f"pull request {number_} can only be merged by a merge queue, which gitrelease does not use:"
                    f" {said.words}",
                    hint="take the rule for a merge queue off the main branch",
                    code="merge-queue",
                ) from said
            if said.says("not allowed on this repository") and (rest := _allowed(client, methods)):
                methods = rest
                continue
            raise Refused(
                f"GitHub does not merge pull request {number_}: {said.words}",
                hint="its page on GitHub shows which rules are in the way",
                code="not-mergeable",
            ) from said
        return made
    raise RaceLost(f"the base of pull request {number_} moves all the time", hint="run the command again")


def _merge(client: Client, number_: int, sent: Mapping[str, Value]) -> CommitId:
    made = client.put(
        client.repo(f"pulls/{number_}/merge"), dict(sent), doing=f"merge pull request {number_}"
    )
    found = commit(made, "sha")
    if found is None or not flag(made, "merged"):
        raise Unsettled(f"GitHub does not say what merging pull request {number_} made")
    return found


def _merged(client: Client, number_: int, head: CommitId) -> CommitId | None:
    """Give what merging a pull request made, if it was merged at exactly a commit."""
    there = client.get(client.repo(f"pulls/{number_}"), doing=f"read pull request {number_}")
    if not flag(there, "merged") or commit(there, "head", "sha") != head:
        return None
    return commit(there, "merge_commit_sha")


def _allowed(client: Client, methods: Sequence[str]) -> list[str]:
    """List the ways to merge that come after the first of some and that the repository allows."""
    there = client.get(f"/repos/{client.slug}", doing="read how the repository lets people merge")
    return [method for method in methods[1:] if at(there, _METHODS[method]) is not False]

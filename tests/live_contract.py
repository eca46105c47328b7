"""Compare what is taken for granted about GitHub with a real one; for whoever has a scratch repository there.

    GITHUB_TOKEN=… python -m tests.live_contract OWNER/REPO [--second-token-env NAME]

Nothing is written before the name of the repository was typed once more. Everything that is made has a name that
begins with `gitrelease-live-`, and is taken away in the end; closed pull requests stay, as GitHub keeps them.
Neither pytest nor CI runs this.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gitrelease.forges.github.values import text
from gitrelease.repo import plain
from tests.live.facts import FACTS, Fact
from tests.live.scratch import RULED, Clock, NotTried, Scratch, Speaker, Unexpected, account_of

UNTRIED = (
    "for how long GitHub keeps the record of pushes",
    "whether a member of a team is asked in the place of the team",
    "which requests count as making content, and whether the parts of one mutation count",
    "what is answered to a POST after the repository was renamed",
    "whether the token of a workflow may read the record of pushes and the rules of a branch",
)
"""What takes months, an organization, or another's rights."""

WARNING = """\
This tries {facts} things in {slug} as {who}: it pushes branches and tags that begin with {prefix}, opens
one or two pull requests for each and closes them, and makes deployments to an environment of that name. Whoever
watches the repository is notified. In the end all that can be deleted is deleted; pull requests and statuses of
commits stay, and so does a release where the token may not delete it.

More is tried where rulesets are active for these branches: {rules}/checked (pull request with one approval, and a
required status check), {rules}/queue (merge queue), {rules}/stale (pull request, stale approvals dismissed).
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fact, and what was found."""

    fact: Fact
    found: str
    is_tried: bool = True

    @property
    def same(self) -> str:
        """Whether it is as expected."""
        return ("yes" if self.found in self.fact.expected else "NO") if self.is_tried else "not tried"


def tried(fact: Fact, scratch: Scratch) -> Row:
    """Try one fact."""
    try:
        return Row(fact=fact, found=fact.find(scratch))
    except NotTried as reason:
        return Row(fact=fact, found=str(reason), is_tried=False)
    except Unexpected as failed:
        return Row(fact=fact, found=str(failed))


def table(rows: Sequence[Row]) -> str:
    """Write what was found, one fact in a paragraph: what is expected and found does not fit beside each other."""
    lines = []
    for row in rows:
        lines += [
            f"{row.same:<9}  {row.fact.name}",
            f"{'':<9}  expected  {', or '.join(row.fact.expected)}",
            f"{'':<9}  found     {plain(row.found)}",
        ]
    lines += [f"{'not tried':<9}  {name}" for name in UNTRIED]
    return "\n".join(lines)


def main(
    words: Sequence[str] | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    ask: Callable[[str], str] = input,
    say: Callable[[str], object] = print,
    clock: Clock | None = None,
) -> int:
    """Try everything; 0 when all is as expected, 1 when something is not, 2 when nothing was tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.live_contract", description=__doc__.split("\n")[0])
    parser.add_argument("slug", metavar="OWNER/REPO", help="a scratch repository with at least one commit")
    parser.add_argument("--token-env", default="GITHUB_TOKEN", metavar="NAME")
    parser.add_argument("--second-token-env", metavar="NAME", help="the token of another who may write")
    parser.add_argument(
        "--ask-many", action="store_true", help="ask 16 collaborators for a review, if there are"
    )
    parser.add_argument("--only", default="", metavar="WORDS", help="try only facts that have these words")
    asked = parser.parse_args(words)
    clock = clock or Clock()
    facts = [fact for fact in FACTS if asked.only in fact.name]
    try:
        one = speaker(asked.slug, asked.token_env, environ, clock)
        two = None
        if asked.second_token_env is not None:
            two = speaker(asked.slug, asked.second_token_env, environ, clock)
        check_place(one, two)
    except Unexpected as refused:
        say(f"error: {refused}")
        return 2
    with tempfile.TemporaryDirectory(prefix="gitrelease-live-") as folder:
        scratch = Scratch(one=one, two=two, folder=Path(folder), clock=clock, ask_many=asked.ask_many)
        who = one.login if two is None else f"{one.login} and {two.login}"
        say(WARNING.format(facts=len(facts), slug=one.slug, who=who, prefix=scratch.prefix, rules=RULED))
        try:
            answer = ask(f"Type {one.slug} to go on: ")
        except EOFError:  # there is nobody to ask
            answer = ""
        if answer.strip() != one.slug:
            say("Nothing was written.")
            return 2
        rows: list[Row] = []
        try:
            for fact in facts:
                rows.append(tried(fact, scratch))
                say(f"{len(rows)}/{len(facts)} {rows[-1].same}: {fact.name}")
        finally:
            say("cleaning up")
            for left in scratch.clean_up():
                say(f"stays: {plain(left)}")
    say("")
    say(table(rows))
    return 1 if any(row.same == "NO" for row in rows) else 0


def speaker(slug: str, name: str, environ: Mapping[str, str], clock: Clock) -> Speaker:
    """Let the account speak whose token is in a variable."""
    api = environ.get("GITHUB_API_URL") or "https://api.github.com"
    found = Speaker(api=api.rstrip("/"), slug=slug, token=environ.get(name, ""), clock=clock)
    if not found.token:
        raise Unexpected(f"{name} is not set")
    account_of(found)
    return found


def check_place(one: Speaker, two: Speaker | None) -> None:
    """Refuse two tokens of one account, and a repository that would not be what it was."""
    if two is not None and two.id == one.id:
        raise Unexpected("both tokens are of one account")
    default = text(one.get("").body, "default_branch")
    if one.get(f"branches/{default}").status != 200:
        raise Unexpected(f"{one.slug} is empty, and a first branch cannot be deleted again")


if __name__ == "__main__":
    sys.exit(main())

"""What a forge shows of a package on its way: how its approval stands, and what became of it in production.

Text of others stands in code, as in all Markdown here (`render/markdown.py`), and nothing is read back from any of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gitrelease.core.review import Verdict
from gitrelease.core.status import Stance, Status, Summary
from gitrelease.forges import Announcement, Course, Standing, State, StatusWords
from gitrelease.render.markdown import block, code, limited, table
from gitrelease.render.tasks import versions_text
from gitrelease.render.text import clean, count

if TYPE_CHECKING:
    from gitrelease.core.ledger import Evidence
    from gitrelease.reading.judging import Judged

CHECK = "gitrelease/check"
APPROVAL = "gitrelease/approval"

_CLOSED = {Status.REJECTED, Status.REVOKED}
_STANDS = {
    Status.PENDING_REVIEW: "waits for approval.",
    Status.APPROVED: "is approved, and not merged yet.",
    Status.CHANGES_REQUESTED: "is not approved: changes are asked for.",
    Status.MERGED: "is merged; what sync makes of it in production is shown as a deployment.",
    Status.REJECTED: "was rejected; its tasks await release again.",
    Status.REVOKED: "was taken back; its tasks await release again.",
}


def standing(judged: Judged, status: Status, *, url: str | None = None) -> Standing:
    """Write how a package stands: two statuses, and what is still missing for its approval.

    Args:
        judged: the package with its verdict.
        status: where it stands.
        url: where the verdict was found, as far as somebody can look there.
    """
    wrong = (*judged.package.faults, *judged.package.obstacles)
    check = StatusWords(
        context=CHECK,
        state=State.FAILURE if wrong else State.SUCCESS,
        description=clean(wrong[0].message) if wrong else "it holds what its plan says, and can be applied",
        url=url,
    )
    return Standing(
        statuses=(check, _approval(judged.verdict, status, url)),
        comment=limited(_comment(judged.verdict, status)),
    )


def _approval(verdict: Verdict, status: Status, url: str | None) -> StatusWords:
    if status in _CLOSED:
        state, said = State.FAILURE, str(status)
    elif verdict.is_approved:
        state, said = State.SUCCESS, f"approved by {', '.join(_approvers(verdict))}"
    elif verdict.reasons:
        state, said = State.FAILURE, verdict.reasons[0].message
    else:
        state, said = State.PENDING, f"missing: {'; '.join(reason.message for reason in verdict.missing)}"
    return StatusWords(context=APPROVAL, state=state, description=clean(said), url=url)


def _approvers(verdict: Verdict) -> list[str]:
    return list(dict.fromkeys(str(opinion.actor.member) for opinion in verdict.approvals))


def _comment(verdict: Verdict, status: Status) -> Iterator[str]:
    yield f"**{code(verdict.package)} {_stands(verdict, status)}**\n\n"
    if status not in _CLOSED:
        yield from (f"- missing: {code(reason.message)}\n" for reason in verdict.missing)
        yield from (f"- against it: {code(reason.message)}\n" for reason in verdict.reasons)
    yield from (f"- approved by {code(who)}\n" for who in _approvers(verdict))
    for one in verdict.uncounted:
        why = f": {code(one.why)}" if one.why else ""
        yield f"- what {code(one.opinion.actor.person)} said does not count{why}\n"
    yield "\nThis is kept up to date by gitrelease; nothing is decided by what stands here.\n"


def _stands(verdict: Verdict, status: Status) -> str:
    if status is Status.MERGED and not verdict.is_approved:
        return "is merged and not approved: sync does not apply it."
    if status is Status.PENDING_REVIEW and verdict.reasons:
        return "cannot be approved as it is."
    return _STANDS.get(status, f"is {status}.")


# After a release.


def announcement(summary: Summary, evidence: Evidence, *, url: str | None = None) -> Announcement:
    """Write what became of a package in production; `url` is where it can be read what sync did."""
    is_good = summary.status is Status.SUCCESSFUL
    return Announcement(
        package=summary.name,
        commit=evidence.main_after,
        manifest=evidence.manifest,
        course=Course.SUCCESS if is_good else Course.FAILURE,
        description=_outcome(summary),
        title=f"Release {summary.name}",
        notes=limited(_notes(summary)),
        url=url,
    )


def _outcome(summary: Summary) -> str:
    if summary.status is Status.REFUSED:
        return clean(f"refused: {'; '.join(summary.reasons)}")
    if summary.status is Status.SUCCESSFUL:
        return f"{count(len(summary.items), 'item')} released"
    bad = [one for one in summary.items if not one.release.is_fine]
    return (
        f"{len(bad)} of {count(len(summary.items), 'item')} not released: {clean(bad[0].item) if bad else ''}"
    )


def _notes(summary: Summary) -> Iterator[str]:
    if summary.description:
        yield block(summary.description) + "\n"
    rows = (
        (
            code(one.item),
            str(one.change),
            versions_text(one.previous_version, one.version),
            str(one.release),
            code(one.error) if one.error else "",
        )
        for one in summary.items
    )
    yield table(("item", "change", "version", "release", ""), rows) + "\n"
    said_yes = [code(view.person) for view in summary.approvals if view.verdict is Stance.APPROVED]
    yield f"Put up for review by {code(summary.applicant)}, approved by {', '.join(said_yes)}.\n"
    if summary.url:
        yield f"\nThe review: {summary.url}\n"

"""Whose approvals are worth a question: only of those that would count it is asked whether they may still write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gitrelease.core.names import BlobId
from gitrelease.core.people import Account
from gitrelease.core.pull_request import PullRequest
from gitrelease.core.review import Opinion, Review, Say
from gitrelease.core.workspace import Action, Workspace


def with_doubts(
    pull: PullRequest,
    review: Review,
    workspace: Workspace,
    *,
    held: BlobId | None,
    standing: Callable[[Account], str | None],
) -> PullRequest:
    """Note on approvals that their authors may not write any more, where that is so (github.md 3.1).

    GitHub lets anybody who can read approve, and the role that stands beside a review is no permission.

    Args:
        pull: what was recorded.
        review: what that amounts to.
        workspace: says whose approvals count at all.
        held: the manifest that the head holds.
        standing: asks why somebody's word has no weight.
    """
    last = {opinion.actor.member: opinion for opinion in review.opinions if opinion.say is not Say.ASK}
    counting = {
        opinion.id
        for who, opinion in last.items()
        if who is not None and workspace.may(who, Action.APPROVE) and _would_count(opinion, held)
    }
    doubts = {
        remark.by.id: doubt
        for remark in pull.remarks
        if f"github:{remark.id}" in counting and (doubt := standing(remark.by))
    }
    if not doubts:
        return pull
    # What is doubted is nobody's word: an earlier yes of the same account would come to be its last.
    remarks = (
        replace(remark, by=replace(remark.by, doubt=doubts[remark.by.id]))
        if remark.say is Say.APPROVE and remark.by.id in doubts
        else remark
        for remark in pull.remarks
    )
    return replace(pull, remarks=tuple(remarks))


def _would_count(opinion: Opinion, held: BlobId | None) -> bool:
    is_yes = opinion.say is Say.APPROVE and opinion.dismissed_by is None and opinion.actor.doubt is None
    return is_yes and held is not None and opinion.manifest == held

"""The same values as JSON (design 9): camelCase, times as RFC 3339 in UTC, null for what is not known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from gitrelease.core.compare import Comparison, comparison_document
from gitrelease.core.finding import Finding, has_errors
from gitrelease.core.ledger import ItemResult
from gitrelease.core.names import ItemKey
from gitrelease.core.package import manifest_document
from gitrelease.core.review import Verdict
from gitrelease.core.status import person_document, summary_document, time_text
from gitrelease.core.task import TaskStanding
from gitrelease.errors import GitReleaseError
from gitrelease.render.text import is_obeyed

if TYPE_CHECKING:
    from gitrelease.commands.check import CheckResult
    from gitrelease.commands.importing import ImportResult
    from gitrelease.commands.init import InitResult
    from gitrelease.commands.merge import MergeResult
    from gitrelease.commands.pull import Pulled
    from gitrelease.commands.receiving import Received
    from gitrelease.commands.release import Released
    from gitrelease.commands.review import Said
    from gitrelease.commands.revoke import Revoked
    from gitrelease.commands.server import ServerMade
    from gitrelease.commands.status import StatusResult
    from gitrelease.commands.submit import SubmitResult
    from gitrelease.commands.sync import PackageSync, SyncResult
    from gitrelease.commands.verify import VerifyResult
    from gitrelease.commands.version import Restored, VersionInfo
    from gitrelease.commands.views import Listed
    from gitrelease.commands.workspace import Location, ReviewersResult, RuleLine, WorkspaceView

Value = Mapping[str, object]
Shown = TypeVar("Shown")


def dumped(value: object) -> str:
    """Write JSON for machines that people can read; safe on a terminal, and the same value when read back."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # JSON lets these stand as they are, and a terminal obeys or hides them; escaped they mean the same.
    obeyed = {ord(one): json.dumps(one)[1:-1] for one in set(text) if is_obeyed(one) and one != "\n"}
    return (text.translate(obeyed) if obeyed else text) + "\n"


def time(at: datetime | None) -> str | None:
    """Write a time as RFC 3339 in UTC, whatever its offset."""
    if at is None:
        return None
    return time_text(at.astimezone(UTC) if at.tzinfo else at)


def error(problem: GitReleaseError) -> Value:
    """Write an error, with everything a check found where that is the reason."""
    document: dict[str, object] = {"code": problem.code, "message": problem.message, "hint": problem.hint}
    found: Sequence[Finding] = getattr(problem, "findings", ())
    if found:
        document["findings"] = [finding(one) for one in found]
    return {"error": document}


def page(found: Listed[Shown], document: Callable[[Shown], Value]) -> Value:
    """Write one page of a list."""
    return {
        "items": [document(one) for one in found.items],
        "total": found.total,
        "limit": found.limit,
        "offset": found.offset,
    }


def _key(item: ItemKey) -> dict[str, object]:
    return {"kind": item.kind, "name": item.name}


# Checking, submitting, tasks.


def finding(found: Finding) -> Value:
    """Write one finding."""
    return {
        "code": found.code,
        "severity": found.severity,
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "key": found.key,
        "message": found.message,
        "hint": found.hint,
    }


def checked(result: CheckResult) -> Value:
    """Write what a check found."""
    return {
        "ok": not has_errors(result.findings),
        "checked": result.checked,
        "findings": [finding(one) for one in result.findings],
    }


def received(result: Received) -> Value:
    """Write what was found about a push."""
    found = [{"ref": one.name, **finding(each)} for one in result.refs for each in one.findings]
    return {"ok": result.is_accepted, "findings": found}


def submitted(result: SubmitResult) -> Value:
    """Write what a submit did."""
    return {
        "dryRun": result.is_dry_run,
        "items": [
            {
                **_key(one.item),
                "change": one.change,
                "task": None if one.task is None else str(one.task),
                "version": None if one.task is None else one.task.version,
                "commit": one.commit,
                "supersedes": [str(task) for task in one.supersedes],
                "note": one.note or None,
            }
            for one in result.items
        ],
        "findings": [finding(one) for one in result.findings],
    }


def task(one: TaskStanding) -> Value:
    """Write one task."""
    return {
        "id": str(one.task.id),
        **_key(one.task.item),
        "version": one.task.id.version,
        "previousVersion": one.task.previous_version,
        "change": one.task.change,
        "description": one.task.description,
        "submitter": person_document(one.task.submitter.person),
        "submittedAt": time(one.task.submitted_at),
        "state": one.state,
        "stale": one.is_stale,
        "package": one.package,
        "commit": one.task.commit,
    }


def revoked(result: Revoked) -> Value:
    """Write which tasks were taken back."""
    return {
        "revoked": [str(one) for one in result.tasks],
        "superseded": [str(one) for one in result.with_them],
        "revokedBefore": [str(one) for one in result.before],
    }


# Packages.

package = summary_document


def released(result: Released) -> Value:
    """Write the package that a release made: its manifest, and who was asked."""
    return {
        "name": result.manifest.name,
        "head": result.head,
        "dryRun": result.is_dry_run,
        "existed": result.is_old,
        "reviewers": list(result.asked),
        "execute": result.manifest.execute,
        "manifest": manifest_document(result.manifest),
        "findings": [finding(one) for one in result.findings],
    }


def _verdict(verdict: Verdict | None) -> dict[str, object]:
    return {
        "approved": None if verdict is None else verdict.is_approved,
        "head": None if verdict is None else verdict.head,
        "reasons": [] if verdict is None else [reason.message for reason in verdict.reasons],
        "missing": [] if verdict is None else [reason.message for reason in verdict.missing],
    }


def merged(result: MergeResult) -> Value:
    """Write the verdict on a package, and the merge if there is one."""
    return {
        "package": result.package,
        **_verdict(result.verdict),
        "merge": result.merge,
        "mergedBefore": result.was_merged,
    }


def said(result: Said) -> Value:
    """Write what somebody said of a package."""
    return {
        "package": result.package,
        "head": result.head,
        "said": result.say,
        "by": result.by,
        "saidBefore": result.was_said,
        "asked": list(result.asked),
        "verdict": None if result.merged is None else merged(result.merged),
    }


# Differences and versions.


def comparison(shown: Comparison) -> Value:
    """Write what is different."""
    return comparison_document(shown)


def version(one: VersionInfo) -> Value:
    """Write one version of an item."""
    return {
        **_key(one.item),
        "version": one.number,
        "where": one.where,
        "change": one.change,
        "submitter": person_document(one.submitter),
        "submittedAt": time(one.submitted_at),
        "description": one.description,
        "package": one.package,
        "commit": one.commit,
    }


def versions(found: Sequence[VersionInfo]) -> Value:
    """Write every version of an item, as a list that is always whole."""
    return {"items": [version(one) for one in found], "total": len(found), "limit": len(found), "offset": 0}


def restored(result: Restored) -> Value:
    """Write what a restore did to the working files."""
    return {
        "version": version(result.version),
        "written": list(result.written),
        "removed": list(result.removed),
    }


# Production.


def synced(result: SyncResult) -> Value:
    """Write what a sync did."""
    return {
        "dryRun": result.is_dry_run,
        "packages": [_package_sync(one) for one in result.packages],
        "other": [
            {
                "work": one.work,
                "status": one.status,
                "results": [_result(each) for each in one.results],
                "note": one.note or None,
            }
            for one in result.other
        ],
        "waiting": [_package_sync(one) for one in result.waiting],
        "unapproved": list(result.unapproved),
        "drifted": [{"target": target, **_key(item)} for target, item in result.drifted],
        "behind": [{"target": target, **_key(item)} for target, item in result.behind],
        "notes": list(result.notes),
        "foreign": [{"target": target, "path": path} for target, path in result.foreign],
        "unreachable": [{"target": target, "why": why} for target, why in result.unreachable],
    }


def _package_sync(one: PackageSync) -> Value:
    return {
        "name": one.name,
        "status": one.status,
        "results": [_result(each) for each in one.results],
        "reasons": list(one.reasons),
        "note": one.note or None,
    }


def _result(one: ItemResult) -> Value:
    return {
        **_key(one.item),
        "version": one.version,
        "target": one.target,
        "release": {"status": one.outcome.status, "error": one.outcome.error},
    }


def status(result: StatusResult) -> Value:
    """Write what is not submitted, and how production stands."""
    return {
        "targets": [
            {
                "name": one.name,
                "outstanding": [str(item) for item in one.outstanding],
                "drifted": [str(item) for item in one.drifted],
                "unapproved": list(one.unapproved),
                "foreign": list(one.foreign),
                "unreachable": one.unreachable,
            }
            for one in result.targets
        ],
        "unsubmitted": [str(item) for item in result.unsubmitted],
        "strays": list(result.strays),
        "packages": [
            {"name": name, "status": where, "approved": name not in result.not_approved}
            for name, where in result.packages
        ],
        "syncing": result.syncing,
        "findings": [finding(one) for one in result.findings],
    }


def verified(result: VerifyResult) -> Value:
    """Write whether the whole chain of releases holds."""
    return {
        "ok": result.ok,
        "checked": {
            "receipts": result.checked.receipts,
            "packages": result.checked.packages,
            "items": result.checked.items,
            "signatures": result.checked.signatures,
        },
        "takenOver": [str(item) for item in result.taken_over],
        "broken": [{"promise": one.promise, "ref": one.ref, "why": one.why} for one in result.broken],
        "root": result.root,
        "rootKnown": result.is_root_known,
        "since": result.since,
        "unchecked": [
            {"package": one.package, "merge": one.merge, "why": one.why} for one in result.unchecked
        ],
    }


# Beginnings, and the clone.


def begun(result: InitResult) -> Value:
    """Write the release repository that was made."""
    return {
        "folder": str(result.folder),
        "workspace": {"name": result.workspace.name, "id": result.workspace.id},
        "root": result.root,
        "forge": result.forge,
        "pushed": result.pushed,
        "existed": result.is_old,
        "takenOver": result.taken_over,
        "notes": list(result.notes),
        "findings": [finding(one) for one in result.findings],
    }


def begun_with_server(both: tuple[ServerMade | None, InitResult]) -> Value:
    """Write the release repository that was made, and the server that was made for it, if one was."""
    made, result = both
    return begun(result) if made is None else {**begun(result), "server": server(made)}


def server(result: ServerMade) -> Value:
    """Write the server that was made."""
    return {
        "folder": str(result.folder),
        "existed": not result.is_new,
        "root": result.root,
        "notes": list(result.notes),
    }


def imported(result: ImportResult) -> Value:
    """Write what an import wrote."""
    return {
        "written": [str(item) for item in result.written],
        "skipped": [str(item) for item in result.skipped],
        "paths": list(result.paths),
        "notes": list(result.notes),
        "findings": [finding(one) for one in result.findings],
    }


def pulled(result: Pulled) -> Value:
    """Write how the clone was brought up to date."""
    return {
        "before": result.before,
        "after": result.after,
        "dropped": list(result.dropped),
        "kept": list(result.kept),
        "notes": list(result.notes),
    }


def workspace(result: WorkspaceView) -> Value:
    """Write the effective workspace, and where each part of it is written."""
    shown = result.workspace
    return {
        "name": shown.name,
        "id": shown.id,
        "version": shown.version,
        "members": [
            {
                "id": one.id,
                "team": one.is_team,
                "roles": sorted(one.roles),
                "signs": None if one.is_team else one.can_sign,
                **_place(one.place),
            }
            for one in result.members
        ],
        "review": {
            "approvals": shown.review.approvals,
            "rollbackApprovals": shown.review.rollback_approvals,
            "signatures": shown.review.signatures,
            "autoMerge": shown.review.auto_merge,
            "execute": shown.review.execute,
            "required": [_rule(one) for one in result.rules],
        },
        "targets": [{"name": one.name, "type": one.type} for one in shown.targets],
        "commands": list(result.commands),
    }


def reviewers(result: ReviewersResult) -> Value:
    """Write who may review, and what to do to change it."""
    return {
        "reviewers": [
            {
                "id": one.id,
                "team": one.is_team,
                "roles": sorted(one.roles),
                "mayApproveWorkspace": one.may_approve_workspace,
                "requiredFor": [path for rule in one.rules for path in rule.paths],
                **_place(one.place),
            }
            for one in result.reviewers
        ],
        "approvals": result.approvals,
        "rollbackApprovals": result.rollback_approvals,
        "required": [_rule(one) for one in result.rules],
        "change": {"members": _place(result.members), "review": _place(result.review)},
        "commands": list(result.commands),
    }


def _place(place: Location) -> dict[str, object]:
    return {"file": place.file, "line": place.line}


def _rule(one: RuleLine) -> dict[str, object]:
    return {
        "paths": list(one.rule.paths),
        "from": list(one.rule.people),
        "approvals": one.rule.approvals,
        **_place(one.place),
    }

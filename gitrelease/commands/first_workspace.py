"""The `workspace.yaml` that `gitrelease init` writes, with words for whoever opens it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gitrelease.core.item import API_VERSION
from gitrelease.core.workspace import Role, Signatures
from gitrelease.documents import dump
from gitrelease.repo import Identity

_HEAD = """\
The workspace: who people are, what they may do, who has to say yes, and where production is.

It is changed as everything else is: edit it, then
  gitrelease submit workspace.yaml
  gitrelease release workspace
and another admin approves. Until then the workspace stays what it was.
"""

_MEMBERS = """\
People, one entry each. They are recognised by the e-mail address of their commits and, where signatures
are required, by the SSH keys they sign with (the one line of ~/.ssh/id_ed25519.pub).

admin      everything, and approves changes of this file
developer  submits and releases
deployer   reviews and releases
operator   runs jobs by hand
viewer     looks
runner     brings production in line (gitrelease sync); give it to a machine with a key of its own

Nobody can approve what they made themselves: add at least one more admin before work begins.
  - {id: adm-2, emails: [adm-2@example.org], keys: ["ssh-ed25519 AAAA..."], roles: [admin]}
"""

_REVIEW = """\
When a package is approved. A rule under required names people who must be among those who approve:
  required:
    - {paths: ["jobs/sales/**"], from: [adm-2], approvals: 1}
"""

_UNSIGNED = """\
signatures is off: names are claims, and reviews protect against mistakes, not against forged names.
Once everybody has a key under members, write: signatures: required
"""

_PRODUCTION = """\
Where production is. Names of development on the left become names of production on the right:
  connections: {mrs_hive_dev: mrs_hive}
"""


_ACCOUNTS = """
On GitHub people are recognised by the number of their account, which stays when they change its name:
  github: 101    (gh api users/NAME --jq .id)
"""


def first_workspace(
    *,
    name: str,
    id_: str,
    identity: Identity,
    key: str | None,
    on_github: bool = False,
    account: int | None = None,
) -> bytes:
    """Write a workspace with one member, who is admin and runner until there are others."""
    member: dict[str, object] = {"id": member_id(identity), "emails": [identity.email]}
    if account is not None:
        member["github"] = account
    if key is not None:
        member["keys"] = [key]
    member["roles"] = [Role.ADMIN, Role.RUNNER]
    signatures = Signatures.OFF if key is None else Signatures.REQUIRED
    target = {
        "name": "main",
        "type": "git",
        "mappings": {"connections": {}, "queues": {}, "databases": {}},
    }
    return b"\n".join(
        [
            _section(
                _HEAD,
                {"apiVersion": API_VERSION, "kind": "Workspace", "name": name, "id": id_, "version": 1},
            ),
            _section(_MEMBERS + (_ACCOUNTS if on_github else ""), {"members": [member]}),
            _section(
                _REVIEW + ("" if key is not None else "\n" + _UNSIGNED),
                {
                    "review": {
                        "approvals": 1,
                        "rollbackApprovals": 1,
                        "signatures": signatures,
                        "autoMerge": True,
                        "execute": False,
                        "required": [],
                    }
                },
            ),
            _section(_PRODUCTION, {"production": {"targets": [target]}}),
        ]
    )


def workspace_name(text: str) -> str:
    """Make a name for a workspace of the name of a folder."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-")[:32] or "workspace"


def member_id(identity: Identity) -> str:
    """Make an id for a member of the part of their address that people call them by."""
    local = re.sub(r"[^A-Za-z0-9_.-]+", "-", identity.email.partition("@")[0])
    return local.lstrip("_.-")[:64] or "admin"


def _section(words: str, value: Mapping[str, object]) -> bytes:
    comment = "".join(f"# {line}".rstrip() + "\n" for line in words.splitlines())
    return comment.encode() + dump(value)

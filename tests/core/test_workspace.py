"""The workspace: roles and what they allow, rules by path, and what would make it ambiguous."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gitrelease.core.fields import Malformed
from gitrelease.core.finding import Severity, key_text
from gitrelease.core.names import MemberId
from gitrelease.core.patterns import path_matches
from gitrelease.core.workspace import (
    Action,
    Member,
    NotAllowed,
    ReviewPolicy,
    Role,
    Rule,
    Signatures,
    TargetSettings,
    Team,
    Workspace,
    authorize,
    parse_workspace,
)
from gitrelease.core.workspace_problems import workspace_problems

ADMINS = (Role.ADMIN, Role.DAYU_ADMINISTRATOR, Role.TENANT_ADMINISTRATOR)


def member(who: str, *roles: Role, **more: Any) -> Member:
    return replace(
        Member(
            id=MemberId(who),
            emails=(f"{who}@example.org",),
            keys=(f"ssh-ed25519 {who}",),
            roles=frozenset(roles),
        ),
        **more,
    )


def workspace(*members: Member, teams: tuple[Team, ...] = (), **policy: Any) -> Workspace:
    return Workspace(
        name="shop",
        id="6f0c",
        version=1,
        members=members
        or (member("adm", Role.ADMIN), member("dev", Role.DEVELOPER), member("dep", Role.DEPLOYER)),
        teams=teams,
        review=replace(ReviewPolicy(), **policy),
    )


EVERYONE = workspace(*(member(role.value, role) for role in Role))


def found(made: Workspace) -> list[tuple[str, str, str]]:
    return [(one.code, key_text(one.key), one.message) for one in workspace_problems(made)]


TABLE = {
    Action.LOOK: set(Role),
    Action.SUBMIT: {*ADMINS, Role.DEVELOPER},
    Action.RELEASE: {*ADMINS, Role.DEVELOPER, Role.DEPLOYER},
    Action.ROLL_BACK: {*ADMINS, Role.DEVELOPER, Role.DEPLOYER},
    Action.MERGE: {*ADMINS, Role.DEVELOPER, Role.DEPLOYER},
    Action.APPROVE: {*ADMINS, Role.DEPLOYER},
    Action.APPROVE_WORKSPACE: set(ADMINS),
    Action.REVOKE_OWN: {*ADMINS, Role.DEVELOPER, Role.DEPLOYER},
    Action.REVOKE_ANY: {*ADMINS, Role.DEPLOYER},
    Action.SYNC: {Role.RUNNER},
}


def test_who_may_do_something_in_the_order_of_the_file() -> None:
    for action, roles in TABLE.items():
        assert EVERYONE.who_may(action) == tuple(role.value for role in Role if role in roles)


def test_somebody_with_two_roles_may_do_what_either_allows() -> None:
    both = workspace(member("both", Role.VIEWER, Role.DEVELOPER, Role.RUNNER))
    who = MemberId("both")
    assert {action for action in Action if both.may(who, action)} == {
        Action.LOOK,
        Action.SUBMIT,
        Action.RELEASE,
        Action.ROLL_BACK,
        Action.MERGE,
        Action.REVOKE_OWN,
        Action.SYNC,
    }


def test_somebody_without_a_role_may_only_look() -> None:
    none = workspace(member("none"))
    for action in set(Action) - {Action.LOOK}:
        with pytest.raises(NotAllowed):
            authorize(MemberId("none"), action, none)
    authorize(MemberId("none"), Action.LOOK, none)
    authorize(None, Action.LOOK, none)


def test_a_refusal_says_who_could() -> None:
    with pytest.raises(NotAllowed) as refused:
        authorize(MemberId("dev"), Action.APPROVE, workspace())
    assert (refused.value.message, refused.value.hint) == (
        "dev may not approve or reject packages: that takes one of the roles admin, dayu-administrator, "
        "deployer, tenant-administrator",
        "ask adm, dep",
    )


@pytest.mark.parametrize(("who", "said"), [(None, "you are"), (MemberId("nobody"), "nobody is")])
def test_a_stranger_is_told_so(who: MemberId | None, said: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        authorize(who, Action.SUBMIT, workspace())
    assert refused.value.message == f"{said} no member of the workspace shop, so may not submit"


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("jobs/sales/**", "jobs/sales/orders.job.yaml", True),
        ("jobs/sales/**", "jobs/sales/daily/orders.job.yaml", True),
        ("jobs/sales/**", "jobs/salesx/orders.job.yaml", False),
        ("jobs/sales/**", "jobs/sales", False),
        ("jobs/*/x.job.yaml", "jobs/a/x.job.yaml", True),
        ("jobs/*/x.job.yaml", "jobs/a/b/x.job.yaml", False),
        ("jobs/*", "jobs/a/b", False),
        ("**/x.job.yaml", "x.job.yaml", True),
        ("**/x.job.yaml", "jobs/a/x.job.yaml", True),
        ("**/x.job.yaml", "jobs/a/yx.job.yaml", False),
        ("jobs/?.job.yaml", "jobs/a.job.yaml", True),
        ("jobs/?.job.yaml", "jobs/ab.job.yaml", False),
        ("jobs/?.job.yaml", "jobs//.job.yaml", False),
        ("jobs/a.job.yaml", "jobs/aXjob.yaml", False),
        ("jobs/[ab].job.yaml", "jobs/a.job.yaml", False),
        ("workspace.yaml", "workspace.yaml", True),
        ("workspace.yaml", "sub/workspace.yaml", False),
        ("**", "jobs/a.job.yaml", True),
    ],
)
def test_path_patterns(pattern: str, path: str, matches: bool) -> None:
    assert path_matches(pattern, path) is matches


def test_the_rules_that_paths_call_for() -> None:
    sales = Rule(paths=("jobs/sales/**", "scripts/sales/**"), people=("dep",))
    web = Rule(paths=("jobs/web/**",), people=("adm",))
    made = workspace(required=(sales, web))
    assert made.rules_for(["jobs/sales/a.job.yaml"]) == (sales,)
    assert made.rules_for(["scripts/sales/a.sql", "jobs/web/b.job.yaml"]) == (sales, web)
    assert made.rules_for(["jobs/other/a.job.yaml"]) == ()
    assert made.rules_for([]) == ()


def test_members_are_found_by_address_whatever_its_case() -> None:
    made = workspace()
    assert made.member_with_email("DEV@Example.org") == made.member("dev")
    assert made.member_with_email("dev@example.com") is None
    assert made.member("Dev") is None


def test_the_keys_of_members_as_git_wants_them() -> None:
    two = member("two", Role.ADMIN, keys=("ssh-ed25519 AAA", "ssh-ed25519 BBB"))
    assert workspace(two, member("none", keys=())).allowed_signers == (
        'two namespaces="git" ssh-ed25519 AAA\ntwo namespaces="git" ssh-ed25519 BBB\n'
    )


def test_what_a_document_leaves_out_is_on_the_safe_side() -> None:
    assert parse_workspace({"name": "shop", "id": "6f0c"}) == Workspace(
        name="shop",
        id="6f0c",
        version=1,
        members=(),
        review=ReviewPolicy(
            approvals=1,
            rollback_approvals=1,
            signatures=Signatures.REQUIRED,
            auto_merge=True,
            execute=False,
            required=(),
        ),
    )


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"members": [{"roles": ["admin"]}]}, "members[0]: has no 'id'"),
        ({"members": [{"id": "dev", "roles": ["king"]}]}, "members[0].roles[0]: is 'king', which is none of"),
        ({"review": {"approvals": "2"}}, "review.approvals: is a text, not a whole number"),
        ({"review": {"autoMerge": "no"}}, "review.autoMerge: is a text, neither true nor false"),
        ({"review": {"required": [{"paths": ["jobs/**"]}]}}, "review.required[0]: has no 'from'"),
        ({"production": {"targets": {}}}, "production.targets: is a mapping, not a list"),
    ],
)
def test_what_has_not_the_shape_of_a_workspace_is_refused_with_its_key(
    more: dict[str, Any], where: str
) -> None:
    with pytest.raises(Malformed) as refused:
        parse_workspace({"name": "shop", "id": "6f0c", **more})
    assert refused.value.message.startswith(where)


def test_a_document_is_read_whole() -> None:
    document = {
        "name": "shop",
        "id": "6f0c",
        "version": 7,
        "members": [
            {
                "id": "dev",
                "emails": ["dev@example.org"],
                "github": 101,
                "keys": ["k"],
                "roles": ["developer"],
            },
            {"team": "@org/leads", "roles": ["deployer"]},
        ],
        "review": {
            "approvals": 2,
            "rollbackApprovals": 3,
            "signatures": "off",
            "autoMerge": False,
            "execute": True,
            "required": [{"paths": ["jobs/**"], "from": ["dev", "@org/leads"], "approvals": 2}],
        },
        "production": {
            "lease": 30,
            "targets": [
                {
                    "name": "main",
                    "type": "git",
                    "mappings": {"databases": {"ods_dev": "ods"}},
                    "settings": {"a": 1},
                }
            ],
        },
    }
    assert parse_workspace(document) == Workspace(
        name="shop",
        id="6f0c",
        version=7,
        members=(
            Member(
                id=MemberId("dev"),
                emails=("dev@example.org",),
                github=101,
                keys=("k",),
                roles=frozenset({Role.DEVELOPER}),
            ),
        ),
        teams=(Team(name="@org/leads", roles=frozenset({Role.DEPLOYER})),),
        review=ReviewPolicy(
            approvals=2,
            rollback_approvals=3,
            signatures=Signatures.OFF,
            auto_merge=False,
            execute=True,
            required=(Rule(paths=("jobs/**",), people=("dev", "@org/leads"), approvals=2),),
        ),
        targets=(TargetSettings(name="main", type="git", databases={"ods_dev": "ods"}, settings={"a": 1}),),
        lease=30.0,
    )


def test_a_workspace_in_order() -> None:
    assert found(workspace()) == []


@pytest.mark.parametrize(
    ("what", "more"),
    [
        ("id", {"id": MemberId("ADM")}),
        ("emails", {"emails": ("Adm@EXAMPLE.org",)}),
        ("keys", {"keys": ("ssh-ed25519 adm with another comment",)}),
        ("github", {"github": 7}),
    ],
)
def test_what_two_members_may_not_share(what: str, more: dict[str, Any]) -> None:
    other = member("other", Role.DEPLOYER, place=1, **more)
    made = workspace(member("adm", Role.ADMIN, github=7), other)
    assert found(made) == [
        ("member-ambiguous", f"members[1].{what}", f"{other.id} has the same {what} as adm")
    ]


def test_a_team_that_comes_first_moves_the_places_of_members() -> None:
    members = [
        {"team": "@org/leads", "roles": ["admin"]},
        {"id": "adm", "roles": ["admin"], "github": 7},
        {"id": "dep", "roles": ["deployer"], "github": 7},
    ]
    made = parse_workspace({"name": "shop", "id": "6f0c", "version": 1, "members": members})
    assert ("member-ambiguous", "members[2].github", "dep has the same github as adm") in found(made)


def test_nobody_is_called_as_people_are_who_are_here_through_a_team_only() -> None:
    made = workspace(member("github-7", Role.ADMIN))
    assert ("member-id", "members[0].id") in [(code, key) for code, key, _ in found(made)]


def test_a_workspace_that_nobody_could_release_in() -> None:
    assert found(workspace(member("dev", Role.DEVELOPER))) == [
        ("too-few-reviewers", "review.approvals", "1 approvals are asked for, and 0 members may approve"),
        ("no-admin", "members", "nobody could approve a later change of the workspace"),
    ]
    assert found(workspace(rollback_approvals=3)) == [
        ("too-few-reviewers", "review.approvals", "3 approvals are asked for, and 2 members may approve")
    ]


def test_a_team_counts_for_nobody_until_a_forge_says_who_is_in_it() -> None:
    leads = (Team(name="@org/leads", roles=frozenset({Role.ADMIN})),)
    said = "nobody can tell who is in the team @org/leads, so it counts for nobody"
    assert found(workspace(member("dev", Role.DEVELOPER), teams=leads)) == [
        ("team-unresolved", "members", said),
        ("too-few-reviewers", "review.approvals", "1 approvals are asked for, and 0 members may approve"),
        ("no-admin", "members", "nobody could approve a later change of the workspace"),
    ]
    ruled = workspace(teams=leads, required=(Rule(paths=("jobs/**",), people=("@org/leads",)),))
    assert found(ruled) == [
        (
            "rule-cannot-be-met",
            "review.required[0]",
            "the rule asks for 1 approvals; 0 of its people may approve",
        ),
        ("team-unresolved", "members", said),
        ("team-unresolved", "review.required[0].from", said),
    ]
    # Somebody else may meet the rule, so the team is only warned of.
    both = workspace(teams=leads, required=(Rule(paths=("jobs/**",), people=("@org/leads", "dep")),))
    assert {one.severity for one in workspace_problems(both)} == {Severity.WARNING}


def test_where_a_forge_knows_the_teams_they_may_do_what_their_roles_allow() -> None:
    def said(role: Role, **more: Any) -> list[str]:
        team = Team(name="@org/leads", roles=frozenset({role}))
        made = workspace(member("dev", Role.DEVELOPER), teams=(team,), **more)
        return [problem.code for problem in workspace_problems(made, knows_teams=True)]

    ruled = {"required": (Rule(paths=("jobs/**",), people=("@org/leads",)),)}
    assert said(Role.ADMIN, **ruled) == []
    assert said(Role.DEPLOYER, **ruled) == ["no-admin"]
    assert said(Role.DEVELOPER, **ruled) == ["rule-cannot-be-met", "too-few-reviewers", "no-admin"]


def test_rules_name_people_who_exist_and_may_approve() -> None:
    def rule(*people: str, approvals: int = 1) -> Workspace:
        return workspace(required=(Rule(paths=("jobs/**",), people=people, approvals=approvals),))

    assert found(rule("dep", "adm", approvals=2)) == []
    assert found(rule("dep", "depp")) == [
        (
            "unknown-reviewer",
            "review.required[0].from",
            "'depp' is neither a member nor a team of this workspace",
        )
    ]
    assert found(rule("dep", "dev", approvals=2)) == [
        (
            "rule-cannot-be-met",
            "review.required[0]",
            "the rule asks for 2 approvals; 1 of its people may approve",
        )
    ]


def test_target_names_are_unique() -> None:
    targets = (TargetSettings(name="main", type="git"), TargetSettings(name="Main", type="git"))
    assert found(replace(workspace(), targets=targets)) == [
        ("target-twice", "production.targets[1].name", "two targets are called 'Main'")
    ]


def test_two_targets_are_two_places() -> None:
    def at(name: str, path: str, type_: str = "directory") -> TargetSettings:
        return TargetSettings(name=name, type=type_, settings={"path": path})

    apart = (at("one", "/srv/one"), at("two", "/srv/two"), at("three", "/srv/one", "other"))
    assert found(replace(workspace(), targets=apart)) == []
    twice = (at("one", "/srv/jobs"), at("two", "/srv//x/../jobs/"))
    assert found(replace(workspace(), targets=twice)) == [
        (
            "target-same-place",
            "production.targets[1].settings",
            "two is the same place as one: each would undo what the other is given",
        )
    ]


def test_a_member_without_a_key_is_warned_of_where_signatures_count() -> None:
    members = (
        member("adm", Role.ADMIN),
        member("dev", Role.DEVELOPER, keys=()),
        member("eye", Role.VIEWER, keys=()),
    )
    assert [(one.code, one.severity, one.message) for one in workspace_problems(workspace(*members))] == [
        (
            "no-key",
            Severity.WARNING,
            "dev has no key, and signatures are required: nothing they do will count",
        )
    ]
    assert found(workspace(*members, signatures=Signatures.OFF)) == []

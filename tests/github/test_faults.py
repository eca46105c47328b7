"""What can go wrong on demand: lost before or after the effect, somebody else in between, and rights that end."""

from __future__ import annotations

import http.client

import pytest

from tests.github.conftest import AT, Desk
from tests.github.faults import Asked, Drop, Run, When, html, moved_to, said, secondary

MERGE = f"{AT}/pulls/1/merge"


@pytest.mark.parametrize(("when", "merged"), [(When.BEFORE, False), (When.AFTER, True)])
def test_an_answer_is_lost(desk: Desk, when: When, merged: bool) -> None:
    """After the effect the client cannot know; before, there was none."""
    desk.proposal()
    ann = desk.client("ann")
    fault = desk.hub.server.faults.add("pulls/merge", said(502, "Server Error"), when=when)
    assert ann.put(MERGE).status == 502
    assert ann.get(f"{AT}/pulls/1").body["merged"] is merged
    assert fault.hits == 1
    assert ann.put(MERGE).status == (405 if merged else 200)


@pytest.mark.parametrize("midway", [False, True])
@pytest.mark.parametrize(("when", "merged"), [(When.BEFORE, False), (When.AFTER, True)])
def test_a_connection_is_lost(desk: Desk, when: When, merged: bool, midway: bool) -> None:
    """Without any answer, or in the middle of one."""
    desk.proposal()
    ann = desk.client("ann")
    desk.hub.server.faults.add("pulls/merge", Drop(midway=midway), when=when)
    with pytest.raises((http.client.HTTPException, OSError)):
        ann.put(MERGE)
    assert ann.get(f"{AT}/pulls/1").body["merged"] is merged
    assert [it.status for it in desk.hub.server.requests if it.operation == "pulls/merge"] == [0]


def test_somebody_else_is_faster(desk: Desk) -> None:
    """What happens between two requests of a client is a callback."""
    pull = desk.proposal()
    ann = desk.client("ann")

    def race() -> None:
        desk.hub.push(desk.repo, "bob", "package/one", {"one.txt": "bob's\n"})

    desk.hub.server.faults.add("pulls/merge", Run(race))
    assert ann.put(MERGE, sha=pull.head_sha).status == 409


def test_a_token_ends_in_the_middle(desk: Desk) -> None:
    """From the third request on."""
    ann = desk.client("ann")

    def by_ann(asked: Asked) -> bool:
        return asked.token == ann.token

    desk.hub.server.faults.add(by_ann, Run(lambda: desk.hub.server.state.revoke(ann.token)), skip=2)
    assert [ann.get("/user").status for _ in range(4)] == [200, 200, 401, 401]


def test_faults_hit_as_often_as_told(desk: Desk) -> None:
    """Some are let through first; by path as well as by operation."""
    ann = desk.client("ann")
    desk.hub.server.faults.add("GET /us*", html(), skip=1, times=2)
    got = [ann.get("/user") for _ in range(4)]
    assert [it.status for it in got] == [200, 502, 502, 200]
    assert got[1].body.startswith("<html>")


def test_too_much_at_once(desk: Desk) -> None:
    """The wait is told, or it is not."""
    ann = desk.client("ann")
    desk.hub.server.faults.add("users/get-authenticated", secondary(retry_after=60))
    desk.hub.server.faults.add("users/get-authenticated", secondary(429))
    told, untold = ann.get("/user"), ann.get("/user")
    assert (told.status, told.headers["retry-after"]) == (403, "60")
    assert (untold.status, "retry-after" in untold.headers) == (429, False)
    assert "secondary rate limit" in untold.body["message"]


def test_it_lives_elsewhere(desk: Desk) -> None:
    """A redirect on demand, to anywhere."""
    ann = desk.client("ann")
    desk.hub.server.faults.add("pulls/create", moved_to(f"{desk.hub.url}/repositories/1/pulls", 307))
    got = ann.post(f"{AT}/pulls", head="x", base="main", title="T")
    assert (got.status, got.headers["location"]) == (307, f"{desk.hub.url}/repositories/1/pulls")


def test_all_can_be_well_again(desk: Desk) -> None:
    """Whatever was still to come."""
    desk.hub.server.faults.add("*", html(), times=99)
    ann = desk.client("ann")
    assert ann.get("/user").status == 502
    desk.hub.server.faults.clear()
    assert ann.get("/user").status == 200

"""`gitrelease package list`: each package once, wherever it is, chosen and sorted alike."""

from __future__ import annotations

import json

import pytest

from gitrelease.archiving import Kept, write_summary
from gitrelease.commands.views import Listed, PackageFilter, Paging, list_packages, view_package
from gitrelease.core.names import PackageName
from gitrelease.core.status import PACKAGE_SORTS, Status, Summary
from gitrelease.errors import UsageError
from gitrelease.messages import MessageRefused
from tests.kit.shop import Shop

SQL = "scripts/sales/clean.sql"


@pytest.fixture
def packages(shop: Shop) -> dict[str, PackageName]:
    """One package that is released, one that was revoked, one in review."""
    dev, made = shop.person("dev-1"), {}
    for name in ("first", "second", "third"):
        dev.write({SQL: f"SELECT '{name}';\n"})
        dev.submit("script/clean")
        made[name] = dev.release(everything=True, name=name).manifest.name
        if name == "first":
            shop.person("dep-1").approve(made[name])
            shop.person("sync").sync()
        if name == "second":
            dev.revoke(made[name])
    return made


def listed(shop: Shop, paging: Paging | None = None, **wanted: object) -> Listed[Summary]:
    return list_packages(
        shop.person("dev-1").desk,
        PackageFilter(**wanted),  # type: ignore[arg-type]
        paging or Paging(),
    )


def names(found: Listed[Summary]) -> list[str]:
    return [one.name.partition("_")[0] for one in found.items]


def test_each_is_there_once_and_shown_as_it_is_viewed(shop: Shop, packages: dict[str, PackageName]) -> None:
    found = listed(shop)
    assert names(found) == ["third", "second", "first"]
    desk = shop.person("dev-1").desk
    assert list(found.items) == [view_package(desk, packages[name]) for name in names(found)]


def test_filters_choose_among_settled_and_open_ones(shop: Shop, packages: dict[str, PackageName]) -> None:
    assert len(packages) == 3
    assert names(listed(shop, status=Status.SUCCESSFUL)) == ["first"]
    assert names(listed(shop, status=Status.REVOKED)) == ["second"]
    assert names(listed(shop, applicant="DEV-1@example.org", name="secnd")) == ["second"]
    assert names(listed(shop, released_by="dep-1")) == ["first"]
    assert names(listed(shop, reviewer="dep-1")) == ["third", "second", "first"]
    assert names(listed(shop, applicant="dep-1")) == []


def test_every_column_sorts_both_ways(shop: Shop, packages: dict[str, PackageName]) -> None:
    assert len(packages) == 3
    for column in PACKAGE_SORTS:
        there = [one.name for one in listed(shop, Paging(sort=column)).items]
        assert len(there) == 3
        assert len(listed(shop, Paging(sort=f"-{column}")).items) == 3
    assert names(listed(shop, Paging(sort="name"))) == ["first", "second", "third"]
    page = listed(shop, Paging(sort="-name", limit=1, offset=1))
    assert (names(page), page.total) == (["second"], 3)
    with pytest.raises(UsageError, match="no column"):
        listed(shop, Paging(sort="colour"))


def test_a_summary_looks_the_same_before_it_is_read(shop: Shop, packages: dict[str, PackageName]) -> None:
    for shown in (view_package(shop.person("dev-1").desk, name) for name in packages.values()):
        kept = Kept(data=write_summary(shown), of="it")
        assert kept.read() == shown
        for column in PACKAGE_SORTS.values():
            assert kept.seen(column) == column(shown)
        assert kept.seen(lambda one: list(one.reviewers)) == list(shown.reviewers)
        assert kept.seen(lambda one: one.released_by) == shown.released_by


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"no", json.dumps({"status": 1}).encode(), b"\xff"])
def test_what_is_no_summary_is_refused(data: bytes) -> None:
    with pytest.raises(MessageRefused, match="of it"):
        Kept(data=data, of="the word of it").seen(lambda one: one.applied_at)

"""`gitrelease compare`: which items differ between two releases, and that counting alone says the same."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from gitrelease.commands.compare import compare
from gitrelease.core.compare import ItemComparison
from gitrelease.core.names import ItemKey, PackageName, item_key, package_name
from gitrelease.errors import NotFound
from gitrelease.repo import Unreachable
from tests.kit.shop import Shop, job_yaml

ORDERS, CLEAN = item_key("job/orders"), item_key("script/clean")
JOB, SQL = "jobs/sales/orders.job.yaml", "scripts/sales/clean.sql"
FIRST = job_yaml("orders", script="clean")


def release(shop: Shop, name: str, files: dict[str, str | bytes | None], *items: str) -> PackageName:
    """Bring a change all the way to production."""
    dev = shop.person("dev-1")
    dev.write(files)
    for item in items:
        dev.submit(item, delete=all(content is None for content in files.values()))
    made = dev.release(everything=True, name=name)
    shop.person("dep-1").approve(made.manifest.name)
    shop.person("sync").sync()
    return made.manifest.name


def without_text(items: tuple[ItemComparison, ...]) -> dict[ItemKey, ItemComparison]:
    """What is left of a comparison when nobody asks for more than counts."""
    return {one.item: replace(one, differences=(), patch=replace(one.patch, text="")) for one in items}


def test_counting_says_what_comparing_says(shop: Shop) -> None:
    releases = [
        release(shop, "words", {JOB: FIRST.replace("Loads orders ", "Loads all orders")}, "job/orders"),
        release(
            shop,
            "layout",
            {JOB: FIRST.replace("Loads orders ", "Loads all orders") + "# said\n"},
            "job/orders",
        ),
        release(shop, "query", {SQL: "SELECT 2;\nSELECT 3;\n"}, "script/clean"),
        release(
            shop, "another", {"jobs/sales/bills.job.yaml": job_yaml("bills", script="clean")}, "job/bills"
        ),
        release(shop, "moved", {JOB: None, "jobs/late/orders.job.yaml": FIRST}, "job/orders"),
        release(shop, "gone", {"jobs/sales/bills.job.yaml": None}, "job/bills"),
    ]
    desk = shop.person("dev-1").desk
    for before, after in [*combinations(releases, 2), *((None, one) for one in releases)]:
        whole = compare(desk, before=before, after=after)
        counts = compare(desk, before=before, after=after, only_counts=True)
        assert (counts.before, counts.after) == (whole.before, whole.after)
        assert [one.item for one in counts.items] == [one.item for one in whole.items]
        assert without_text(counts.items) == without_text(whole.items)


def test_releases_are_found_however_long_ago(shop: Shop) -> None:
    names = [
        release(shop, f"change_{number}", {SQL: f"SELECT {number};\n"}, "script/clean")
        for number in (5, 6, 7)
    ]
    desk = shop.person("dev-1").desk
    alone = compare(desk, before=None, after=names[1])
    assert alone.before == names[0]
    (one,) = alone.items
    assert (one.item, one.from_version, one.to_version) == (CLEAN, 2, 3)
    assert compare(desk, before=None, after=names[0]).before is None
    (both,) = compare(desk, before=names[0], after=names[2]).items
    assert "-SELECT 5;\n+SELECT 7;\n" in both.patch.text
    (back,) = compare(desk, before=names[2], after=names[0]).items
    assert (back.from_version, back.to_version) == (4, 2)
    with pytest.raises(NotFound, match="there is no release"):
        compare(desk, before=None, after=package_name("never_20260101000000"))


def test_what_this_clone_knows_to_be_released_is_compared_without_the_server(shop: Shop) -> None:
    one = release(shop, "one", {SQL: "SELECT 5;\n"}, "script/clean")
    other = release(shop, "other", {SQL: "SELECT 6;\n"}, "script/clean")
    dev = shop.person("dev-1")
    known = compare(dev.desk, before=one, after=other)  # its clone has not seen the other one yet
    dev.clone.git("remote", "set-url", "origin", "/nowhere")
    assert compare(dev.desk, before=one, after=other) == known
    with pytest.raises(Unreachable):
        compare(dev.desk, before=None, after=package_name("third"))

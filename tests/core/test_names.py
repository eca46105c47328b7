"""Names, paths and refs: what may be called how, and where it lies."""

from __future__ import annotations

import pytest

from gitrelease.core.names import (
    WORKSPACE_ITEM,
    Directory,
    ItemKey,
    ItemName,
    Kind,
    NameRefused,
    PackageName,
    Place,
    RefName,
    TaskId,
    directory,
    fold,
    is_guarded,
    item_key,
    item_name,
    main_file,
    manifest_path,
    package_at,
    package_name,
    package_ref,
    place_of,
    record_path,
    release_tag,
    review_ref,
    task_id,
    task_of,
    task_ref,
)

ORDERS = ItemKey(kind=Kind.JOB, name=ItemName("orders"))

GOOD = [
    "orders",
    "dws_orders_daily",
    "a",
    "0",
    "_",
    "Orders-2026.v1",
    "a.b.c",
    "locked",
    "x.locks",
    "console",
    "订单",
    "日报_orders",
    "\U00020000",
    "a" * 128,
    "订" * 66,
    "com10",
]

BAD = {
    "": "is empty",
    "-orders": "starts with '-' or '.'",
    ".orders": "starts with '-' or '.'",
    "orders.": "ends in '.' or '.lock'",
    "orders.lock": "ends in '.' or '.lock'",
    "orders.LOCK": "ends in '.' or '.lock'",
    "or..ders": "has '..' in it",
    "a" * 129: "is longer than 128 characters",
    "订" * 67: "is longer than 200 bytes of UTF-8",
    "a/b": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "a b": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "a\n": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "a\x00": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "$(id)": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "a\u202eb": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "a\u200bb": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "café": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "ａ": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "٣": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "かな": "has characters other than letters, digits, '_', '-', '.' and CJK ideographs",
    "\uf900": "is not in Unicode's composed form (NFC)",
    "con": "is the name of a device on Windows, where a clone of it could not be checked out",
    "Nul.orders": "is the name of a device on Windows, where a clone of it could not be checked out",
    "COM1": "is the name of a device on Windows, where a clone of it could not be checked out",
}


@pytest.mark.parametrize("name", GOOD)
def test_names_that_are_allowed(name: str) -> None:
    assert item_name(name) == name


@pytest.mark.parametrize(("name", "why"), BAD.items())
def test_names_that_are_refused_with_the_rule_they_break(name: str, why: str) -> None:
    with pytest.raises(NameRefused) as refused:
        item_name(name)
    assert refused.value.message == f"the name {name!r} {why}"


def test_a_package_name_may_have_220_bytes_and_no_more() -> None:
    assert package_name("a" * 220) == "a" * 220
    assert package_name("订" * 73) == "订" * 73
    for name in ("a" * 221, "订" * 74):
        with pytest.raises(NameRefused, match="longer than 220 bytes"):
            package_name(name)


@pytest.mark.parametrize("name", ["", "-x", ".x", "x.", "x.lock", "a..b", "a/b", "a b", "nul"])
def test_a_package_name_follows_the_rules_of_names(name: str) -> None:
    with pytest.raises(NameRefused, match="the package name"):
        package_name(name)


@pytest.mark.parametrize(
    ("one", "other"), [("Orders", "oRDERS"), ("STRASSE", "straße"), ("e\u0301", "É"), ("ﬁ", "FI")]
)
def test_folding_maps_what_file_systems_mix_up_onto_one_text(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_folding_keeps_apart_what_differs() -> None:
    assert len({fold(name) for name in ("orders", "orders_", "order", "订单", "订")}) == 5


@pytest.mark.parametrize(
    "text", ["/", "/sales", "/sales/daily", "/a_b/c-d", "/销售/日报", "/" + "a" * 64, "/a" * 10]
)
def test_directories_that_are_allowed(text: str) -> None:
    assert directory(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sales",
        "//",
        "/sales/",
        "/sales//daily",
        "/a.b",
        "/..",
        "/a b",
        "/" + "a" * 65,
        "/a" * 11,
        "/con",
        "/x.lock",
        "/\uf900",
    ],
)
def test_directories_that_are_refused(text: str) -> None:
    with pytest.raises(NameRefused):
        directory(text)


def test_refs_of_tasks_and_packages() -> None:
    task = TaskId(item=ORDERS, version=3)
    assert (str(task), task_ref(task)) == ("job/orders/v3", "refs/heads/submit/job/orders/v3")
    assert task_of(RefName("refs/heads/submit/job/orders/v3")) == task
    assert task_id("script/清洗/v12") == TaskId(item=item_key("script/清洗"), version=12)
    name = PackageName("orders_20261120")
    assert [package_ref(name), review_ref(name), release_tag(name)] == [
        "refs/heads/package/orders_20261120",
        "refs/heads/review/orders_20261120",
        "refs/tags/release/orders_20261120",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "job/orders",
        "job/orders/3",
        "job/orders/v0",
        "job/orders/v03",
        "job/orders/v-1",
        "job/orders/v1234567890",
        "job/orders/v٣",
        "job/orders/v3\n",
        "Job/orders/v3",
        "table/orders/v3",
        "job/or/ders/v3",
        "job//v3",
        "job/-x/v3",
        "v3",
        "",
    ],
)
def test_what_is_no_task(text: str) -> None:
    with pytest.raises(NameRefused):
        task_id(text)


def test_paths_of_manifests_and_records_are_spread_by_the_folded_name() -> None:
    assert manifest_path(PackageName("Orders")) == "packages/1c/Orders.yaml"
    assert manifest_path(PackageName("orders")) == "packages/1c/orders.yaml"
    assert record_path(ORDERS) == "items/job/1c/orders.yaml"
    assert record_path(item_key("job/Orders")) == record_path(ORDERS)
    assert record_path(item_key("script/orders")) == "items/script/1c/orders.yaml"


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("packages/1c/Orders.yaml", "Orders"),
        ("packages/1d/Orders.yaml", None),
        ("packages/1c/Orders.yml", None),
        ("packages/1c/Orders", None),
        ("packages/1c/x/Orders.yaml", None),
        ("items/1c/Orders.yaml", None),
        ("packages/1c/no package.yaml", None),
        ("packages/1c/.yaml", None),
    ],
)
def test_a_manifest_is_known_by_its_path(path: str, package: str | None) -> None:
    assert package_at(path) == package


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("workspace.yaml", Place(item=WORKSPACE_ITEM, directory=Directory("/"), is_document=True)),
        ("jobs/orders.job.yaml", Place(item=ORDERS, directory=Directory("/"), is_document=True)),
        (
            "jobs/sales/daily/orders.job.yaml",
            Place(item=ORDERS, directory=Directory("/sales/daily"), is_document=True),
        ),
        (
            "jobs/sales/orders.subjobs/part.job.yaml",
            Place(item=ORDERS, directory=Directory("/sales"), is_document=False),
        ),
        (
            "jobs/orders.subjobs/part.job.yaml",
            Place(item=ORDERS, directory=Directory("/"), is_document=False),
        ),
        (
            "scripts/a.b.script.yaml",
            Place(item=item_key("script/a.b"), directory=Directory("/"), is_document=True),
        ),
        ("scripts/x/a.sql", Place(item=item_key("script/a"), directory=Directory("/x"), is_document=False)),
        ("scripts/x/a.py", Place(item=item_key("script/a"), directory=Directory("/x"), is_document=False)),
        ("scripts/x/a.sh", Place(item=item_key("script/a"), directory=Directory("/x"), is_document=False)),
    ],
)
def test_which_item_a_path_belongs_to(path: str, place: Place) -> None:
    assert place_of(path) == place


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "workspace.yml",
        "sub/workspace.yaml",
        "items/job/aa/orders.yaml",
        "jobs/README.md",
        "jobs/orders.yaml",
        "jobs/orders.job.yml",
        "jobs/.job.yaml",
        "jobs/.gitkeep",
        "jobs/sales/orders.subjobs/readme.txt",
        "jobs/orders.subjobs/deep/part.job.yaml",
        "jobs/orders.subjobs/more.subjobs/part.job.yaml",
        "jobs/bad dir/orders.job.yaml",
        "jobs//orders.job.yaml",
        "jobs/../orders.job.yaml",
        "scripts/a.txt",
        "scripts/a.SQL",
        "scripts/-a.sql",
        "jobs",
    ],
)
def test_stray_paths_belong_to_no_item(path: str) -> None:
    with pytest.raises(NameRefused):
        place_of(path)


def test_what_only_packages_may_change() -> None:
    guarded = ["workspace.yaml", "jobs/x", "scripts/x", "packages/x", "items/x"]
    free = ["README.md", "sub/workspace.yaml", "jobsx/y", "docs/jobs/x", ".github/workflows/x.yml"]
    assert [path for path in [*guarded, *free] if is_guarded(path)] == guarded


def test_where_an_item_lies() -> None:
    assert [
        main_file(ORDERS, Directory("/")),
        main_file(ORDERS, Directory("/sales")),
        main_file(item_key("script/a"), Directory("/x")),
        main_file(WORKSPACE_ITEM, Directory("/")),
    ] == ["jobs/orders.job.yaml", "jobs/sales/orders.job.yaml", "scripts/x/a.script.yaml", "workspace.yaml"]

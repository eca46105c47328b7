"""Search finds what people mean, puts the closest first, and stays silent on nonsense."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitrelease.core.search import rank

NAMES = [
    "clean-orders",
    "clickstream_sessions",
    "customer_segments_weekly",
    "dws_orders_daily",
    "dws_orders_hourly",
    "dws_revenue_daily",
    "ods_customers_daily",
    "ods_products_daily",
    "orders",
    "orders_archive",
    "page_views_live",
    "refresh-order-summary",
    "订单_日报",
    "每日订单汇总",
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        # letters left out, in every word
        ("ordrs dly", ["dws_orders_daily"]),
        ("dly ordrs", ["dws_orders_daily"]),
        ("rvn", ["dws_revenue_daily"]),
        # letters swapped, wrong, doubled, missing at the start
        ("custmoers", ["ods_customers_daily", "customer_segments_weekly"]),
        ("clickstraem", ["clickstream_sessions"]),
        ("revemue", ["dws_revenue_daily"]),
        ("weeekly", ["customer_segments_weekly"]),
        ("evenue", ["dws_revenue_daily"]),
        # exactly, and with any separator
        ("page_views", ["page_views_live"]),
        ("page-views", ["page_views_live"]),
        ("pageviews", ["page_views_live"]),
        ("ordres_daily", ["dws_orders_daily"]),
        ("REFRESH Summary", ["refresh-order-summary"]),
        # ideographs, which have no spaces between words
        ("日报", ["订单_日报"]),
        ("订汇", ["每日订单汇总"]),
        ("订单", ["订单_日报", "每日订单汇总"]),
        # the name, its beginning, a part of it, a part's beginning, a mistake
        (
            "orders",
            [
                "orders",
                "orders_archive",
                "clean-orders",
                "dws_orders_daily",
                "dws_orders_hourly",
                "refresh-order-summary",
            ],
        ),
    ],
)
def test_finds_what_is_meant(query: str, found: list[str]) -> None:
    assert rank(query, NAMES) == found


@pytest.mark.parametrize(
    "query",
    ["xyzzy", "qqqq", "asdf", "orders nonsense", "hourly weekly", "monthly", "日志", "d1", "*", "[", "^\\"],
)
def test_nonsense_matches_nothing(query: str) -> None:
    assert rank(query, NAMES) == []


@pytest.mark.parametrize("query", ["", "   ", " _ - "])
def test_an_empty_query_keeps_everything_in_order(query: str) -> None:
    assert rank(query, reversed(NAMES)) == NAMES[::-1]


def test_the_order_does_not_depend_on_the_order_given() -> None:
    assert rank("da", NAMES[::-1]) == rank("da", NAMES) == rank("da", NAMES[5:] + NAMES[:5])


def test_letters_too_far_apart_are_no_match() -> None:
    assert rank("ox", ["o_very_long_name_with_an_x"]) == []


def test_a_long_repetitive_name_takes_no_longer_than_another() -> None:
    """A pattern that went back and forth would never come to an end here."""
    assert rank("a" * 60 + "bbb", ["a" * 128] * 200) == []


NAME = st.text("abcdors_-.订单", min_size=1, max_size=30).filter(lambda name: name.strip("_-."))


@given(st.lists(NAME, min_size=1, max_size=8), st.data())
def test_every_part_of_a_name_finds_it(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    start = data.draw(st.integers(0, len(name) - 1))
    part = name[start : data.draw(st.integers(start + 1, len(name)))]
    assert name in rank(part, names)


@given(st.text(max_size=20), st.lists(st.text(max_size=20), max_size=6))
def test_any_query_gives_some_of_the_names(query: str, names: list[str]) -> None:
    found = rank(query, names)
    assert not Counter(found) - Counter(names)

"""``GET /interaction-summary``: totals per offer, creative, channel or customer with the documented rates."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fixtures.api import Caller, CallerFactory

PATH: Final = "/interaction-summary"


def events(outcome: str, count: int, **fields: Any) -> list[Mapping[str, Any]]:
    return [{"customerId": "ann", "outcome": outcome, "offerId": "o1", **fields} for _ in range(count)]


def read(caller: Caller, **parameters: Any) -> Any:
    return caller.read(PATH, params=parameters)


def test_the_documented_counts_and_rates_come_out(caller: Caller):
    # The documented example by a tenth; rates are per hundred impressions, rounded to two places.
    caller.record(*events("impression", 125), *events("click", 9), *events("dismiss", 5), *events("convert", 3))
    caller.record(*events("accept", 1), *events("conversion", 1), *events("deferred", 2), *events("recommendation", 4))
    answer = read(caller)
    assert {name: answer[name] for name in ("groupBy", "days", "total", "limit", "offset")} == {
        "groupBy": "offer",
        "days": 30,
        "total": 1,
        "limit": 100,
        "offset": 0,
    }
    assert answer["summary"] == [
        {
            "id": "o1",
            "name": None,
            "impression": 125,
            "click": 9,
            "dismiss": 5,
            "accept": 1,
            "convert": 4,
            "total": 144,
            "ctr": 7.2,
            "cvr": 3.2,
            "positive": 14,
            "negative": 5,
            "neutral": 2,
        }
    ]


def test_without_impressions_rates_are_zero(caller: Caller):
    caller.record(*events("click", 2))
    (row,) = read(caller)["summary"]
    assert (row["ctr"], row["cvr"]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("group_by", "ids"),
    [
        ("offer", ["o2", "o1", None]),
        ("action", ["o2", "o1", None]),
        ("creative", [None, "c1"]),
        ("treatment", [None, "c1"]),
        ("channel", ["web", None]),
        ("customer", ["ann", "bob"]),
    ],
)
def test_groups_by_either_name_come_with_the_largest_total_first(caller: Caller, group_by: str, ids: list[str | None]):
    caller.record(
        *events("click", 2, creativeId="c1", channelId="web"),
        *events("click", 3, offerId="o2", channelId="web"),
        *events("click", 1, offerId=None, customerId="bob"),
    )
    answer = read(caller, groupBy=group_by)
    assert [row["id"] for row in answer["summary"]] == ids
    assert (answer["groupBy"], answer["total"]) == (group_by, len(ids))


def test_rows_carry_what_the_catalogue_knows_of_them(caller: Caller):
    caller.record(*events("click", 1, creativeId="c1", channelId="web"))
    caller.add_entities(
        category=("cards", "active", {"name": "Cards"}),
        sub_category=("gold", "active", {"name": "Gold"}),
        channel=("web", "active", {"name": "Web", "channelType": "web"}),
        offer=("o1", "paused", {"name": "Card", "categoryId": "cards", "subCategoryId": "gold", "priority": 70}),
        creative=(
            "c1",
            "active",
            {"name": "Hero", "offerId": "o1", "channelId": "web", "templateType": "banner", "weight": 40.0},
        ),
    )
    wait_until(lambda: read(caller)["summary"][0]["name"], "the catalogue's change is seen")
    about = {group: read(caller, groupBy=group)["summary"][0] for group in ("offer", "creative", "channel")}
    expected = {
        "offer": {"name": "Card", "issue": "Cards", "group": "Gold", "status": "paused", "priority": 70},
        "creative": {
            "name": "Hero",
            "offerName": "Card",
            "channelName": "Web",
            "channelType": "web",
            "templateType": "banner",
            "weight": 40.0,
            "status": "active",
        },
        "channel": {"name": "Web", "channelType": "web", "treatmentCount": 1},
    }
    for group, fields in expected.items():
        assert {name: about[group].get(name) for name in fields} == fields


def test_today_is_the_first_of_the_days_by_the_tenants_calendar(new_caller: CallerFactory):
    caller = new_caller(time_zone="Pacific/Auckland")
    now = datetime.fromtimestamp(time.time(), UTC)
    ages = (0, 1, 2, 29, 30, 31)
    caller.record(
        *(
            {"customerId": f"c{age}", "outcome": "click", "timestamp": (now - timedelta(days=age)).isoformat()}
            for age in ages
        )
    )
    for days, expected in ((1, (0,)), (2, (0, 1)), (30, (0, 1, 2, 29)), (366, ages)):
        rows = read(caller, groupBy="customer", days=days)["summary"]
        assert {row["id"] for row in rows} == {f"c{age}" for age in expected}, days


def test_groups_come_page_by_page_and_total_counts_them_all(caller: Caller):
    for number in range(5):
        caller.record(*events("click", number + 1, offerId=f"o{number}"))
    pages = [read(caller, limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [[row["id"] for row in page["summary"]] for page in pages] == [["o4", "o3"], ["o2", "o1"], ["o0"], []]
    assert [page["total"] for page in pages] == [5, 5, 5, 5]


def test_limit_is_100_unless_given_and_brought_into_1_to_500(caller: Caller):
    for given, used in ((None, 100), (0, 1), (9_999, 500), (7, 7)):
        assert read(caller, **({} if given is None else {"limit": given}))["limit"] == used


def test_a_group_that_is_none_is_400(caller: Caller):
    answer = caller.get(PATH, params={"groupBy": "planet"})
    assert [fault["field"] for fault in answer.json()["details"]] == ["groupBy"]

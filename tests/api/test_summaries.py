"""``GET /interaction-summaries`` as documented: parameters, order, clamp, fields and errors, and what goes beyond."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest

from api.summaries.controller import CURSORS
from rapport.domain.api_keys import Role
from rapport.storage.summaries import SummaryKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fixtures.api import Caller, CallerFactory

PATH: Final = "/interaction-summaries"
CARD: Final = {"offerId": "off_premium_card", "creativeId": "crv_email_a", "channelId": "ch_email"}


def event(timestamp: str, outcome: str = "click", **fields: Any) -> Mapping[str, Any]:
    return {"customerId": "cust_42", "outcome": outcome, "timestamp": timestamp, **CARD, **fields}


def read(caller: Caller, **parameters: Any) -> Any:
    return caller.read(PATH, params={"customerId": "cust_42", **parameters})


def keys(answer: Any) -> list[tuple[str, str]]:
    return [(row["periodType"], row["periodKey"]) for row in answer["data"]]


def test_the_documented_row_comes_out_field_by_field(caller: Caller):
    shown = [event(f"2026-04-30T14:2{minute}:00Z", "impression") for minute in range(3)]
    caller.record(*shown, event("2026-04-30T14:22:01.123Z", direction="outbound"))
    answer = read(caller, periodType="daily", offerId="off_premium_card")
    documented = {
        "periodType": "daily",
        "periodKey": "2026-04-30",
        "customerId": "cust_42",
        "offerId": "off_premium_card",
        "creativeId": "crv_email_a",
        "channelId": "ch_email",
        "impressions": 3,
        "positive": 1,
        "negative": 0,
        "neutral": 0,
        "converts": 0,
        "totalValue": 0,
        "lastContactAt": "2026-04-30T14:22:01.123Z",
        "lastOutcomeKey": "click",
        "direction": "outbound",
    }
    assert answer == {"data": [{**documented, "scope": "offer"}], "total": 1, "nextCursor": None}


def test_outcomes_are_counted_by_the_classification_of_their_type(caller: Caller):
    outcomes = ["impression", "not_presented", "click", "accept", "dismiss", "deferred", "convert"]
    caller.record(*(event(f"2026-04-30T10:0{n}:00Z", outcome) for n, outcome in enumerate(outcomes)))
    (row,) = read(caller, periodType="alltime", offerId=CARD["offerId"])["data"]
    counts = {name: row[name] for name in ("impressions", "positive", "negative", "neutral", "converts")}
    assert counts == {"impressions": 2, "positive": 3, "negative": 1, "neutral": 1, "converts": 1}


def test_total_value_adds_up_conversion_values_of_positive_outcomes_only(caller: Caller):
    caller.record(
        event("2026-04-30T10:00:00Z", "convert", conversionValue=10.25),
        event("2026-04-30T10:01:00Z", "accept", conversionValue=0.5),
        event("2026-04-30T10:02:00Z", "dismiss", conversionValue=1_000),
    )
    (row,) = read(caller, periodType="alltime", offerId=CARD["offerId"])["data"]
    assert row["totalValue"] == 10.75


def test_the_last_contact_is_the_latest_by_event_time_whatever_arrives_last(caller: Caller):
    caller.record(event("2026-04-30T12:00:00Z", "dismiss"), event("2026-04-30T09:00:00Z", "impression"), partition=0)
    caller.record(event("2026-04-30T11:00:00Z", "convert"), partition=1)
    (row,) = read(caller, periodType="daily", offerId=CARD["offerId"])["data"]
    assert (row["lastContactAt"], row["lastOutcomeKey"], row["direction"]) == (
        "2026-04-30T12:00:00.000Z",
        "dismiss",
        "inbound",
    )
    assert (row["impressions"], row["negative"], row["converts"]) == (1, 1, 1)


def test_aggregate_by_channel_rows_have_no_offer_and_add_its_offers_up(caller: Caller):
    caller.record(
        event("2026-04-30T10:00:00Z"),
        event("2026-04-30T11:00:00Z", offerId="off_loan", creativeId=None),
        event("2026-04-30T12:00:00Z", offerId=None, creativeId=None, channelId=None),
    )
    rows = read(caller, periodType="alltime")["data"]
    names = [(row["scope"], row["offerId"], row["creativeId"], row["channelId"], row["positive"]) for row in rows]
    assert names == [
        ("channel", None, None, None, 1),
        ("offer", None, None, None, 1),
        ("channel", None, None, "ch_email", 2),
        ("offer", "off_loan", None, "ch_email", 1),
        ("offer", *CARD.values(), 1),
    ]


def test_rows_are_ordered_by_period_type_ascending_then_period_key_descending(caller: Caller):
    caller.record(*(event(f"2026-{day}T10:00:00Z") for day in ("03-01", "04-30", "05-02")))
    assert keys(read(caller, offerId=CARD["offerId"])) == [
        ("alltime", "alltime"),
        ("daily", "2026-05-02"),
        ("daily", "2026-04-30"),
        ("daily", "2026-03-01"),
        ("monthly", "2026-05"),
        ("monthly", "2026-04"),
        ("monthly", "2026-03"),
        ("weekly", "2026-W18"),
        ("weekly", "2026-W09"),
    ]


def test_periods_begin_at_midnight_of_the_tenants_time_zone(new_caller: CallerFactory):
    caller = new_caller(time_zone="Pacific/Auckland")
    caller.record(event("2026-04-30T12:30:00Z"))
    assert keys(read(caller, offerId=CARD["offerId"])) == [
        ("alltime", "alltime"),
        ("daily", "2026-05-01"),
        ("monthly", "2026-05"),
        ("weekly", "2026-W18"),
    ]


def test_every_combination_of_filters_picks_its_rows_of_the_whole(caller: Caller):
    offers = product(("o1", "o2", None), ("c1", None), ("email", "web"))
    caller.record(
        *(
            event(f"2026-04-{27 + n % 4}T10:00:00Z", offerId=offer, creativeId=creative, channelId=channel)
            for n, (offer, creative, channel) in enumerate(offers)
        )
    )
    everything = read(caller, limit=200)["data"]
    assert len(everything) > 50
    choices = {
        "periodType": (None, "daily", "alltime"),
        "offerId": (None, "o1"),
        "creativeId": (None, "c1"),
        "channelId": (None, "web"),
    }
    for values in product(*choices.values()):
        wanted = {name: value for name, value in zip(choices, values, strict=True) if value is not None}
        expected = [row for row in everything if all(row[name] == value for name, value in wanted.items())]
        assert read(caller, limit=200, **wanted)["data"] == expected, wanted


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"from": "2026-04-30"}, ["2026-05-04", "2026-04-30", "2026-05", "2026-04", "2026-W19", "2026-W18"]),
        ({"to": "2026-04-30"}, ["2026-04-30", "2026-04-01", "2026-04", "2026-W18", "2026-W14"]),
        ({"from": "2026-04-05", "to": "2026-05-03"}, ["2026-04-30", "2026-05", "2026-04", "2026-W18", "2026-W14"]),
        ({"from": "2026-05-04", "to": "2026-05-04"}, ["2026-05-04", "2026-05", "2026-W19"]),
        ({"from": "2026-06-01"}, []),
    ],
)
def test_from_and_to_pick_alltime_and_the_periods_that_touch_the_range(
    caller: Caller, bounds: Mapping[str, str], expected: list[str]
):
    # W14 ends on 04-05, W18 lasts from 04-27 to 05-03, W19 begins on 05-04.
    caller.record(*(event(f"2026-{day}T10:00:00Z") for day in ("04-01", "04-30", "05-04")))
    found = keys(read(caller, offerId=CARD["offerId"], **bounds))
    assert found == [("alltime", "alltime"), *((_type_of(key), key) for key in expected)]


def _type_of(key: str) -> str:
    return "weekly" if "W" in key else "daily" if len(key) == 10 else "monthly"


def test_limit_is_50_unless_given_and_brought_into_1_to_200(caller: Caller):
    caller.record(*(event("2026-04-30T10:00:00Z", offerId=f"o{n}") for n in range(210)))
    for parameters, rows in (({}, 50), ({"limit": 0}, 1), ({"limit": -5}, 1), ({"limit": 999}, 200), ({"limit": 7}, 7)):
        answer = read(caller, periodType="daily", **parameters)
        assert (len(answer["data"]), answer["total"]) == (rows, rows), parameters
        assert answer["nextCursor"]


def test_total_is_the_number_of_rows_returned_and_total_count_comes_when_asked(caller: Caller):
    caller.record(*(event("2026-04-30T10:00:00Z", offerId=f"o{n}") for n in range(5)))
    first = read(caller, periodType="daily", limit=4, totalCount="true")
    assert (first["total"], first["totalCount"]) == (4, 6)
    second = read(caller, periodType="daily", limit=4, totalCount="true", cursor=first["nextCursor"])
    assert (second["total"], second["totalCount"], second["nextCursor"]) == (2, 6, None)
    assert "totalCount" not in read(caller, periodType="daily", limit=4)


def test_total_count_holds_also_on_a_page_after_the_last_row(caller: Caller):
    caller.record(event("2026-04-30T10:00:00Z"))
    first = read(caller, limit=1, totalCount="true")
    beyond = read(caller, cursor=CURSORS.write(SummaryKey("z")), totalCount="true")
    assert (beyond["data"], beyond["totalCount"]) == ([], first["totalCount"])


def test_a_customer_nobody_has_heard_of_has_no_rows(caller: Caller):
    assert read(caller) == {"data": [], "total": 0, "nextCursor": None}


@pytest.mark.parametrize("parameters", [{}, {"periodType": "daily"}])
def test_without_customer_id_it_is_400_customer_id_is_required(caller: Caller, parameters: Mapping[str, str]):
    answer = caller.get(PATH, params=parameters)
    assert answer.status_code == 400
    body = answer.json()
    assert (body["title"], body["detail"]) == ("Bad Request", "customerId is required")
    assert body["error"] == {"code": "VALIDATION_ERROR", "message": "customerId is required", "status": 400}


def test_every_parameter_that_is_wrong_is_named(caller: Caller):
    wrong = {"periodType": "hourly", "from": "30.4.2026", "to": "2026-02-30", "cursor": "abc"}
    answer = caller.get(PATH, params={"customerId": "c", **wrong})
    assert answer.status_code == 400
    assert {fault["field"] for fault in answer.json()["details"]} == set(wrong)


@pytest.mark.parametrize(
    "cursor", ["WyJhIl0", "bnVsbA", "!!!", "ü", "WzEsMiwzLDQsNSw2XQ", "WyJcdWQ4MDAiLCIiLCIiLCIiLCIiLCIiXQ"]
)
def test_a_cursor_that_is_none_is_400(caller: Caller, cursor: str):
    answer = caller.get(PATH, params={"customerId": "c", "cursor": cursor})
    assert [fault["field"] for fault in answer.json()["details"]] == ["cursor"]


@pytest.mark.parametrize(
    "customer_id", ["Jürgen", "a'b\\c\"d", "tab\there", "line\nbreak", "{x:String}", "%27", "\0", "🐢"]
)
def test_any_text_can_be_a_customer_id(caller: Caller, customer_id: str):
    caller.record(event("2026-04-30T10:00:00Z", customerId=customer_id))
    found = read(caller, customerId=customer_id, periodType="alltime")
    assert {row["customerId"] for row in found["data"]} == {customer_id}


@pytest.mark.parametrize("role", list(Role))
def test_viewers_and_those_above_may_read(caller: Caller, role: Role):
    assert caller.get(PATH, params={"customerId": "c"}, role=role).status_code == 200

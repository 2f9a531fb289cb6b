"""``GET /interaction-history`` as documented: parameters, aliases, order, fields, pages, errors; and beyond."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest

from rapport.domain.api_keys import Role
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fixtures.api import Caller

PATH: Final = "/interaction-history"
CARD: Final = {"offerId": "off_abc123", "creativeId": "cr_001", "channelId": "ch_email"}


def event(timestamp: str = "2026-03-15T14:30:00.000Z", **fields: Any) -> Mapping[str, Any]:
    return {"customerId": "CUST001", "outcome": "click", "timestamp": timestamp, **CARD, **fields}


def read(caller: Caller, **parameters: Any) -> Any:
    return caller.read(PATH, params=parameters)


def times(answer: Any) -> list[str]:
    return [row["timestamp"][11:19] for row in answer["data"]]


def test_the_documented_row_comes_out_field_by_field(caller: Caller):
    free = {"context": {"page": "home"}, "metadata": {"note": "ok"}, "outcomeDetails": {"seconds": 3}}
    caller.record(event(direction="outbound", idempotencyKey="mail-42-click", **free))
    caller.add_entities(
        offer=("off_abc123", "active", {"name": "Platinum Card Upgrade"}),
        creative=("cr_001", "active", {"name": "Email Hero Variant A", "channelId": "ch_email"}),
        channel=("ch_email", "active", {"name": "Email"}),
    )
    (row,) = read(caller, customerId="CUST001")["data"]
    assert len(row.pop("id")) == 38
    documented = {
        "tenantId": caller.tenant_id,
        "customerId": "CUST001",
        "offerId": "off_abc123",
        "creativeId": "cr_001",
        "channelId": "ch_email",
        "interactionType": "click",
        "outcomeTypeKey": "click",
        "direction": "outbound",
        "timestamp": "2026-03-15T14:30:00.000Z",
        "context": {"page": "home"},
        "response": {"note": "ok"},
        "outcome": {"seconds": 3},
        "offer": {"id": "off_abc123", "name": "Platinum Card Upgrade", "status": "active"},
        "creative": {
            "id": "cr_001",
            "name": "Email Hero Variant A",
            "channel": {"id": "ch_email", "name": "Email"},
        },
    }
    beyond = {
        "placementId": None,
        "conversionValue": None,
        "recommendationId": None,
        "rank": None,
        "idempotencyKey": "mail-42-click",
    }
    assert row == documented | beyond


def test_offer_and_creative_are_null_while_the_catalogue_does_not_know_them(caller: Caller):
    caller.record(event())
    (row,) = read(caller)["data"]
    assert (row["offerId"], row["offer"], row["creativeId"], row["creative"]) == ("off_abc123", None, "cr_001", None)
    caller.add_entities(
        offer=("off_abc123", "paused", {"name": "Platinum Card"}),
        creative=("cr_001", "active", {"name": "Email Hero", "channelId": "nobody-knows"}),
    )
    wait_until(lambda: read(caller)["data"][0]["creative"], "the catalogue's change is seen")
    (row,) = read(caller)["data"]
    assert row["creative"] == {"id": "cr_001", "name": "Email Hero", "channel": None}
    assert row["offer"] == {"id": "off_abc123", "name": "Platinum Card", "status": "paused"}


def test_what_an_event_does_not_name_is_null_and_its_free_fields_are_empty_objects(caller: Caller):
    caller.record({"customerId": "CUST001", "outcome": "impression", "timestamp": 1_773_585_000_000})
    (row,) = read(caller)["data"]
    names = ("offerId", "creativeId", "channelId", "placementId", "conversionValue", "recommendationId", "rank")
    assert {row[name] for name in (*names, "offer", "creative")} == {None}
    assert (row["context"], row["response"], row["outcome"]) == ({}, {}, {})
    assert row["direction"] == "outbound"


def test_values_beyond_the_documented_ones_come_out_as_they_went_in(caller: Caller):
    given = {"placementId": "hero", "conversionValue": 99.95, "recommendationId": "rec_1", "rank": 2}
    caller.record(event(outcome="convert", **given))
    (row,) = read(caller)["data"]
    assert {name: row[name] for name in given} == given


def test_the_newest_comes_first_by_event_time_whatever_arrives_last(caller: Caller):
    caller.record(*(event(f"2026-03-15T{hour}:00:00Z") for hour in ("10", "12", "08")), partition=0)
    caller.record(*(event(f"2026-03-15T{hour}:00:00Z", customerId="other") for hour in ("11", "09")), partition=1)
    assert times(read(caller)) == ["12:00:00", "11:00:00", "10:00:00", "09:00:00", "08:00:00"]
    assert times(read(caller, customerId="CUST001")) == ["12:00:00", "10:00:00", "08:00:00"]


def test_the_pagination_object_says_where_a_page_stands(caller: Caller):
    caller.record(*(event(f"2026-03-15T10:00:0{n}Z") for n in range(5)))
    first = read(caller, limit=3)
    last_shown = first["data"][-1]["id"]
    assert first["pagination"] == {"total": 5, "limit": 3, "hasMore": True, "nextCursor": last_shown}
    second = read(caller, limit=3, cursor=last_shown)
    assert second["pagination"] == {"total": 5, "limit": 3, "hasMore": False, "nextCursor": None}
    assert times(first) + times(second) == [f"10:00:0{n}" for n in (4, 3, 2, 1, 0)]


def test_limit_is_25_unless_given_and_brought_into_1_to_200(caller: Caller):
    caller.record(*(event(f"2026-03-15T10:{n // 60:02}:{n % 60:02}Z") for n in range(210)))
    for parameters, rows in (({}, 25), ({"limit": 0}, 1), ({"limit": -7}, 1), ({"limit": 999}, 200), ({"limit": 7}, 7)):
        answer = read(caller, **parameters)
        assert (len(answer["data"]), answer["pagination"]["limit"]) == (rows, rows), parameters
        assert (answer["pagination"]["total"], answer["pagination"]["hasMore"]) == (210, True)


def test_every_combination_of_filters_picks_its_rows_of_the_whole_and_counts_them(caller: Caller):
    whats = product(("ann", "bob"), ("o1", None), ("c1", "c2"), ("email", "web"), ("click", "impression"))
    caller.record(
        *(
            event(
                f"2026-03-15T10:00:{n:02}Z",
                customerId=customer,
                outcome=outcome,
                offerId=offer,
                creativeId=creative,
                channelId=channel,
            )
            for n, (customer, offer, creative, channel, outcome) in enumerate(whats)
        )
    )
    everything = read(caller, limit=200)["data"]
    assert len(everything) == 32
    choices = {"customerId": "ann", "offerId": "o1", "creativeId": "c1", "channelId": "email", "type": "click"}
    fields = {"type": "interactionType"}
    for chosen in product((False, True), repeat=len(choices)):
        wanted = {name: value for is_chosen, (name, value) in zip(chosen, choices.items(), strict=True) if is_chosen}
        expected = [
            row for row in everything if all(row[fields.get(name, name)] == value for name, value in wanted.items())
        ]
        answer = read(caller, limit=200, **wanted)
        assert answer["data"] == expected, wanted
        assert answer["pagination"]["total"] == len(expected) == 32 >> len(wanted)


@pytest.mark.parametrize(("alias", "name"), [("actionId", "offerId"), ("treatmentId", "creativeId")])
def test_older_names_of_filters_mean_the_same(caller: Caller, alias: str, name: str):
    caller.record(event(), event("2026-03-15T15:00:00Z", **{name: "another"}))
    answer = read(caller, **{alias: CARD[name]})
    assert answer == read(caller, **{name: CARD[name]}) == read(caller, **{name: CARD[name], alias: CARD[name]})
    assert answer["pagination"]["total"] == 1
    contradiction = caller.get(PATH, params={name: "one", alias: "two"})
    assert contradiction.status_code == 400
    assert [fault["field"] for fault in contradiction.json()["details"]] == [alias]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"from": "2026-03-15T10:00:01Z"}, ["10:00:02", "10:00:01"]),
        ({"to": "2026-03-15T10:00:01Z"}, ["10:00:00"]),
        ({"from": "2026-03-15T11:00:01+01:00", "to": "2026-03-15T10:00:02"}, ["10:00:01"]),
        ({"from": "1773568801000", "to": "1773568802000"}, ["10:00:01"]),
        ({"from": "2026-03-16"}, []),
    ],
)
def test_from_is_inclusive_and_to_exclusive(caller: Caller, bounds: Mapping[str, str], expected: list[str]):
    caller.record(*(event(f"2026-03-15T10:00:0{n}Z") for n in range(3)))
    for narrower in ({}, {"customerId": "CUST001"}, {"offerId": CARD["offerId"]}):
        answer = read(caller, **bounds, **narrower)
        assert times(answer) == expected
        assert answer["pagination"]["total"] == len(expected)


def test_direction_filters_what_came_in_and_what_went_out(caller: Caller):
    caller.record(event(), event("2026-03-15T15:00:00Z", outcome="impression"))
    assert [row["outcomeTypeKey"] for row in read(caller, direction="outbound")["data"]] == ["impression"]
    assert [row["outcomeTypeKey"] for row in read(caller, direction="inbound")["data"]] == ["click"]


def test_every_parameter_that_is_wrong_is_named(caller: Caller):
    wrong = {"direction": "sideways", "from": "yesterday", "to": "99999999999999", "cursor": "ih_xyz'"}
    answer = caller.get(PATH, params=wrong)
    assert answer.status_code == 400
    assert {fault["field"] for fault in answer.json()["details"]} == set(wrong)


def test_nobody_has_happened_yet(caller: Caller):
    empty = {"data": [], "pagination": {"total": 0, "limit": 25, "hasMore": False, "nextCursor": None}}
    assert read(caller) == empty
    assert read(caller, customerId="nobody", type="no such outcome") == empty


@pytest.mark.parametrize("role", list(Role))
def test_viewers_and_those_above_may_read(caller: Caller, role: Role):
    assert caller.get(PATH, role=role).status_code == 200

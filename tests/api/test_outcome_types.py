from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.api_keys import Role
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

ROUTE = "/outcome-types"
RENEWED = {"key": "renewed", "classification": "positive", "isConversion": True}


def respond(caller: Caller, outcome: str) -> int:
    body = {
        "customerId": "ann",
        "creativeId": "c",
        "channelId": "web",
        "outcome": outcome,
        "idempotencyKey": uuid.uuid4().hex,
        "conversionValue": 10,
    }
    return caller.post("/respond", body).status_code


def counts(caller: Caller) -> dict[str, Any]:
    rows = caller.read("/interaction-summaries?customerId=ann&periodType=alltime")["data"]
    return next(row for row in rows if row["scope"] == "offer")


def test_every_tenant_begins_with_the_documented_ones(caller: Caller):
    listed = caller.read(ROUTE)
    assert [one["key"] for one in listed] == [one.key for one in DEFAULT_OUTCOME_TYPES]
    assert {one["isSystem"] for one in listed} == {True}
    assert {one["status"] for one in listed} == {"active"}
    impression = listed[0]
    assert (impression["classification"], impression["category"]) == ("neutral", "impression")
    assert {"id", "tenantId", "name", "description", "ordinal", "version", "deletedAt", "createdAt", "updatedAt"} < set(
        impression
    )


def test_a_new_one_counts_at_once(caller: Caller):
    assert respond(caller, "renewed") == 400
    made = caller.post(ROUTE, RENEWED)
    assert made.status_code == 201
    assert (made.json()["name"], made.json()["version"], made.json()["isSystem"]) == ("Renewed", 1, False)
    assert respond(caller, "renewed") == 201
    assert (counts(caller)["converts"], counts(caller)["positive"], counts(caller)["totalValue"]) == (1, 1, 10.0)
    assert caller.read(f"{ROUTE}/renewed") == made.json()
    assert caller.read(ROUTE)[-1] == made.json()


def test_a_refund_takes_back_what_its_type_allows_and_totals_follow_exactly(caller: Caller):
    """matomo#11615: an order could not be taken back."""
    refund = {"key": "refund", "classification": "negative", "allowsNegativeValue": True}
    assert caller.post(ROUTE, refund).json()["allowsNegativeValue"] is True
    (sold, returned) = (
        {"customerId": "ann", "outcome": name, "offerId": "o", "channelId": "web"} for name in ("convert", "refund")
    )
    keys = (f"k-{number}" for number in range(100))
    respond_to = {"creativeId": "c", "channelId": "web", "offerId": "o", "customerId": "ann"}
    values = [19.99, 0.1, 0.2]
    for value in values:
        body = {**respond_to, "outcome": "convert", "conversionValue": value, "idempotencyKey": next(keys)}
        assert caller.post("/respond", body).status_code == 201
        body = {**respond_to, "outcome": "refund", "conversionValue": -value, "idempotencyKey": next(keys)}
        assert caller.post("/respond", body).status_code == 201
    assert (counts(caller)["totalValue"], counts(caller)["converts"], counts(caller)["negative"]) == (0, 3, 3)
    bulk = [{**sold, "conversionValue": 5}, {**returned, "conversionValue": -7.25}, {**sold, "conversionValue": -1}]
    done = caller.post("/interactions", [{**event, "idempotencyKey": next(keys)} for event in bulk])
    assert done.status_code == 207
    assert [(fault["index"], fault["field"]) for fault in done.json()["errors"]] == [(2, "conversionValue")]
    body = {**respond_to, "outcome": "convert", "conversionValue": -1, "idempotencyKey": next(keys)}
    refused = caller.post("/respond", body)
    assert (refused.status_code, refused.json()["details"][0]["field"]) == (400, "conversionValue")
    caller.record({**sold, "conversionValue": -1}, {**returned, "conversionValue": -0.75})
    rows = caller.read("/interaction-summaries?customerId=ann&periodType=alltime")["data"]
    assert sum(row["totalValue"] for row in rows if row["scope"] == "offer") == -3
    assert [row["totalValue"] for row in rows if row["scope"] == "channel"] == [-3]
    letters = caller.store.client.query(
        "SELECT code FROM dead_letters WHERE tenant_id = {tenant:String}", {"tenant": caller.tenant_id}
    ).result_rows
    assert letters == [("invalid_value",)]
    worth = caller.read("/customers/ann/clv")
    assert (worth["rfmMonetary"], worth["predictedRevenue"]) == (-3, 0)


def test_a_change_of_meaning_applies_later_and_to_later_events_only(caller: Caller):
    caller.post(ROUTE, RENEWED)
    assert respond(caller, "renewed") == 201
    changed = caller.ask("PUT", f"{ROUTE}/renewed", json={"classification": "negative", "isConversion": False})
    assert changed.status_code == 200
    body = changed.json()
    assert (body["version"], body["classification"]) == (2, "negative")
    assert body["effectiveAt"] > body["updatedAt"]
    assert "from effectiveAt on" in body["applies"]
    assert respond(caller, "renewed") == 201  # before it is effective
    row = counts(caller)
    assert (row["positive"], row["negative"], row["converts"]) == (2, 0, 2)

    def is_counted_the_new_way() -> bool:
        respond(caller, "renewed")
        return counts(caller)["negative"] > 0

    wait_until(is_counted_the_new_way, "the change is effective", seconds=30)
    row = counts(caller)
    assert row["positive"] == row["converts"] >= 2


def test_a_deleted_one_is_listed_only_if_asked_for_and_can_be_made_again(caller: Caller):
    caller.post(ROUTE, RENEWED)
    assert caller.ask("DELETE", f"{ROUTE}/renewed").status_code == 204
    assert "renewed" not in [one["key"] for one in caller.read(ROUTE)]
    (deleted,) = [one for one in caller.read(f"{ROUTE}?includeDeleted=true") if one["key"] == "renewed"]
    assert (deleted["status"], deleted["version"]) == ("deleted", 2)
    assert deleted["deletedAt"]
    assert caller.ask("DELETE", f"{ROUTE}/renewed").status_code == 404
    again = caller.post(ROUTE, {**RENEWED, "classification": "neutral"})
    assert (again.status_code, again.json()["version"], again.json()["status"]) == (201, 3, "active")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_those_that_every_tenant_has_cannot_be_changed(caller: Caller, method: str):
    body = {"json": {"name": "Klick"}} if method == "PUT" else {}
    assert caller.ask(method, f"{ROUTE}/click", **body).status_code == 403
    assert caller.ask(method, f"{ROUTE}/nothing", **body).status_code == 404


def test_a_key_is_given_once(caller: Caller):
    assert caller.post(ROUTE, RENEWED).status_code == 201
    assert caller.post(ROUTE, RENEWED).status_code == 409
    assert caller.post(ROUTE, {**RENEWED, "key": "click"}).status_code == 409


def test_a_change_of_an_old_version_is_refused(caller: Caller):
    caller.post(ROUTE, RENEWED)
    assert caller.ask("PUT", f"{ROUTE}/renewed", json={"name": "Again", "rowVersion": 1}).status_code == 200
    assert caller.ask("PUT", f"{ROUTE}/renewed", json={"name": "Once more", "version": 1}).status_code == 409


def test_all_faults_are_named(caller: Caller):
    refused = caller.post(ROUTE, {"key": "a b", "classification": "nice", "category": "recommendation", "x": 1})
    assert refused.status_code == 400
    assert {fault["field"] for fault in refused.json()["details"]} == {"key", "classification", "category", "x"}


def test_only_admins_change_them_and_viewers_read(caller: Caller):
    assert caller.get(ROUTE, role=Role.VIEWER).status_code == 200
    assert caller.post(ROUTE, RENEWED, role=Role.EDITOR).status_code == 403
    assert caller.ask("DELETE", f"{ROUTE}/click", role=Role.EDITOR).status_code == 403

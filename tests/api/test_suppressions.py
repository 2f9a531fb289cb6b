"""Suppressions from the response that causes them to the recommendation that keeps to them."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from api.http.times import iso
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.inventory import Category
from rapport.domain.catalogue.suppression import SuppressionRule
from rapport.domain.periods import DAY_MS
from tests.api.decision_catalogue import api_with_clock, offer, offers_of, recommend, stock

if TYPE_CHECKING:
    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory

OFFERS = (*offer("loan", priority=90), *offer("card", priority=50), *offer("fund", priority=10, category_id="funds"))
FUNDS = Category(id="funds", name="Funds")


def respond(caller: Caller, outcome: str, at_ms: int | None = None, **fields: Any) -> None:
    told = {"customerId": "ann", "creativeId": "loan-web", "outcome": outcome, "idempotencyKey": uuid.uuid4().hex}
    when = {} if at_ms is None else {"timestamp": iso(at_ms)}
    answer = caller.post("/respond", {**told, **when, **fields})
    assert answer.status_code == 201, answer.text


def suppressions(caller: Caller, customer: str = "ann") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = caller.read(f"/customers/{customer}/suppressions", role=Role.VIEWER)["data"]
    return found


def test_a_dismissed_offer_stays_away_for_seven_days(api_world: World, new_caller: CallerFactory):
    caller = new_caller()
    stock(caller, FUNDS, *OFFERS)
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        dismissed_ms = time.time_ns() // 1_000_000 - DAY_MS
        respond(here, "dismiss", dismissed_ms)
        clock.at_ms = dismissed_ms + 7 * DAY_MS - 1
        (found,) = suppressions(here)
        body = recommend(here, debug=True)
        assert offers_of(body) == ["card", "fund"]
        (removal,) = body["traceSummary"]["removals"]
        assert (removal["offerId"], removal["stage"], removal["by"]) == ("loan", "contact_policy", found["ruleId"])
        assert found.pop("id").startswith("sup_")
        assert found == {
            "scope": "offer",
            "scopeId": "loan",
            "offerName": "Loan",
            "policyType": "outcome_based",
            "ruleId": "default-dismiss",
            "reason": "Cooldown 168h after dismiss",
            "triggerCount": 1,
            "expiresAt": iso(dismissed_ms + 7 * DAY_MS),
            "endedBy": None,
            "createdAt": iso(dismissed_ms),
            "isActive": True,
        }
        clock.at_ms += 1
        assert offers_of(recommend(here)) == ["loan", "card", "fund"]
        assert [one["isActive"] for one in suppressions(here)] == [False]


def test_an_outcome_dated_ahead_suppresses_from_when_it_was_received(api_world: World, new_caller: CallerFactory):
    caller = new_caller()
    stock(caller, FUNDS, *OFFERS)
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        received_ms = time.time_ns() // 1_000_000
        respond(here, "dismiss", received_ms + DAY_MS * 20 // 24)
        clock.at_ms = received_ms + 7 * DAY_MS - 1
        assert [one["isActive"] for one in suppressions(here)] == [True]
        assert offers_of(recommend(here)) == ["card", "fund"]
        clock.at_ms += DAY_MS // 24
        assert [one["isActive"] for one in suppressions(here)] == [False]
        assert offers_of(recommend(here)) == ["loan", "card", "fund"]


def test_a_later_grant_ends_what_an_unsubscribing_began_and_an_earlier_one_does_not(caller: Caller):
    """mautic#5313"""
    stock(caller, FUNDS, *OFFERS)
    now_ms = time.time_ns() // 1_000_000
    consents = [{"purpose": "marketing", "status": "granted", "statedAt": iso(now_ms - 2 * DAY_MS)}]
    assert caller.ask("PUT", "/customers/ann/consents", json={"consents": consents}).status_code == 200
    respond(caller, "unsubscribe", now_ms - DAY_MS)
    assert [one["isActive"] for one in suppressions(caller)] == [True]
    assert offers_of(recommend(caller)) == []
    assert caller.ask(
        "PUT", "/customers/ann/consents", json={"consents": [{"purpose": "marketing", "status": "granted"}]}
    ).is_success
    (ended,) = suppressions(caller)
    assert (ended["isActive"], ended["endedBy"]) == (False, "consent to marketing")
    assert offers_of(recommend(caller)) == ["loan", "card", "fund"]
    respond(caller, "unsubscribe")
    assert [one["isActive"] for one in suppressions(caller)] == [True, False]
    assert offers_of(recommend(caller)) == []


def test_an_operator_lifts_a_suppression_and_the_audit_log_says_why(caller: Caller):
    stock(caller, FUNDS, *OFFERS)
    respond(caller, "dismiss")
    respond(caller, "dismiss", creativeId="card-web")
    ids = {one["scopeId"]: one["id"] for one in suppressions(caller)}
    assert offers_of(recommend(caller)) == ["fund"]
    path = f"/customers/ann/suppressions/{ids['loan']}/lift"
    assert caller.post(path, {"reason": "by mistake"}, role=Role.VIEWER).status_code == 403
    assert caller.post(path, {}).json()["details"][0]["field"] == "reason"
    assert caller.post(path.replace("sup_", "sup_0"), {"reason": "x"}).status_code == 404
    lifted = caller.post(path, {"reason": "by mistake"}).json()
    assert (lifted["isActive"], lifted["endedBy"]) == (False, "lifted by an operator")
    assert caller.post(path, {"reason": "again"}).json()["expiresAt"] == lifted["expiresAt"]
    assert offers_of(recommend(caller)) == ["loan", "fund"]
    (entry,) = caller.get("/audit-logs?entityType=suppression", role=Role.ADMIN).json()["logs"]
    assert (entry["action"], entry["entityId"]) == ("lift", lifted["id"])
    assert "by mistake" in str(entry)
    assert "ann" not in str(entry)
    respond(caller, "dismiss")
    assert [one["isActive"] for one in suppressions(caller)] == [True, True, False]
    assert offers_of(recommend(caller)) == ["fund"]


@pytest.mark.parametrize(("outcome", "days", "left"), [("convert", 14, ["card", "fund"]), ("unsubscribe", 90, [])])
def test_the_defaults_hold_as_long_as_documented(
    api_world: World, new_caller: CallerFactory, outcome: str, days: int, left: list[str]
):
    caller = new_caller()
    stock(caller, FUNDS, *OFFERS)
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        then_ms = time.time_ns() // 1_000_000 - DAY_MS
        respond(here, outcome, then_ms)
        clock.at_ms = then_ms + days * DAY_MS - 1
        assert [one["isActive"] for one in suppressions(here)] == [True]
        assert offers_of(recommend(here)) == left
        assert offers_of(recommend(here, "bob")) == ["loan", "card", "fund"]
        clock.at_ms += 1
        assert offers_of(recommend(here)) == ["loan", "card", "fund"]


def test_repetitions_prolong_a_suppression_under_one_id(caller: Caller):
    stock(caller, *OFFERS[:2])
    now_ms = time.time_ns() // 1_000_000
    respond(caller, "dismiss", now_ms - 5 * DAY_MS)
    (before,) = suppressions(caller)
    respond(caller, "dismiss", now_ms - DAY_MS)
    (after,) = suppressions(caller)
    assert (before["id"], before["createdAt"]) == (after["id"], after["createdAt"])
    assert (before["triggerCount"], after["triggerCount"]) == (1, 2)
    assert after["expiresAt"] == iso(now_ms + 6 * DAY_MS)


def test_a_tenants_own_rules_take_the_place_of_the_defaults(caller: Caller, new_caller: CallerFactory):
    stock(
        caller,
        FUNDS,
        *OFFERS,
        SuppressionRule(id="tired", name="Tired", outcomes=("not_interested",), scope="category", days=30),
    )
    respond(caller, "dismiss")
    assert suppressions(caller) == []
    respond(caller, "not_interested")
    (found,) = suppressions(caller)
    assert (found["scope"], found["scopeId"], found["offerName"]) == ("category", "cards", None)
    assert offers_of(recommend(caller)) == ["fund"]
    assert suppressions(new_caller()) == []


def test_every_fault_of_a_rule_is_named(caller: Caller):
    body = {"id": "s", "name": "S", "outcomes": [], "days": 0, "scope": "channel"}
    answer = caller.post("/suppression-rules", body)
    assert [fault["field"] for fault in answer.json()["details"]] == ["days", "outcomes", "scope"]


def test_eligibility_names_the_suppression(caller: Caller):
    stock(caller, *OFFERS[:2])
    respond(caller, "dismiss")
    caller.read("/customers/ann/suppressions")
    (explained,) = caller.get("/customers/ann/eligibility").json()["offers"]
    assert not explained["eligible"]
    assert [one["policyId"] for one in explained["blockedPolicies"]] == ["default-dismiss"]

"""Decisions for customers of a small bank, from request to trace."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rapport.domain.decisions.facts import CustomerFacts, ReservedImpression, TenantFacts
from rapport.domain.decisions.trace import Stage
from tests.domain.decisions.bank import bank, decided, flow, offers_of, reasons_of
from tests.domain.decisions.small_catalogue import DAY_MS, HOUR_MS, NOW_MS, Subject

LOAN_ON_WEB = Subject("loan", "loan-web", "web")
CARD_ON_WEB = Subject("card", "card-web", "web")
RICH_BANK = bank(
    qualification_rule=[
        {
            "id": "adults",
            "ruleType": "attribute_condition",
            "config": {"attribute": "age", "operator": "gte", "value": 18},
            "scope": "category",
            "scopeId": "credit",
        },
        {
            "id": "savers",
            "ruleType": "segment_required",
            "config": {"requiredSegments": ["savers"]},
            "scope": "offer",
            "scopeId": "save",
            "stage": "match",
            "multiplier": 0.5,
        },
    ],
    contact_policy=[
        {
            "id": "thrice",
            "name": "Three a day",
            "ruleType": "frequency_cap",
            "config": {"maxPerDay": 3},
            "scope": "offer",
            "scopeId": "*",
        }
    ],
)


def test_the_base_flow_ranks_all_offers_by_priority_and_diversity():
    decision = decided(bank())
    assert [(i.rank, i.offer_id, i.creative_id, i.score, i.propensity) for i in decision.items] == [
        (1, "loan", "loan-web", 0.9, 1.0),
        (2, "save", "save-web", 0.6, 1.0),
        (3, "card", "card-web", 0.7, 1.0),
        (4, "fund", "fund-web", 0.4, 1.0),
    ]
    first = decision.items[0]
    assert (first.category_name, first.channel_type, first.placement_id) == ("Credit", "web", None)
    assert (decision.flow_key, decision.flow_version, decision.control_group) == ("base", 1, False)


def test_every_removed_offer_has_a_reason():
    facts = CustomerFacts(
        attributes={"age": 40},
        reservations=[ReservedImpression(LOAN_ON_WEB, NOW_MS - HOUR_MS * hour) for hour in (1, 2, 3)],
    )
    decision = decided(RICH_BANK, facts, limit=2)
    assert [(item.offer_id, item.score) for item in decision.items] == [("card", 0.7), ("fund", 0.4)]
    assert reasons_of(decision) == {
        "loan": "contact_policy thrice: cap reached: 3/3 impressions in calendar day (tenant) at offer *",
        "save": "rank rank: ranked behind the first 2",
    }
    assert decision.trace.removals[0].by_name == "Three a day"
    assert decision.trace.removals[0].detail == {
        "period": "calendar day (tenant)",
        "max": 3,
        "actual": 3,
        "counts": "impressions",
    }
    assert msgspec.to_builtins(decision.funnel) == {
        "candidateCount": 4,
        "afterQualification": 4,
        "afterContactPolicy": 3,
        "finalCount": 2,
    }
    save = next(one for one in decision.trace.scores if one.offer_id == "save")
    assert save.score == 0.3
    assert decision.trace.stages[4] == Stage(stage="contact_policy", node="contact_policy", candidates=4, passed=3)


def test_a_failed_qualification_rule_is_the_reason():
    decision = decided(RICH_BANK, CustomerFacts(attributes={"age": 17}, segments=frozenset({"savers"})))
    assert offers_of(decision) == ["save", "fund"]
    assert reasons_of(decision)["loan"] == "qualify adults: age is 17, wanted is gte 18"
    assert decision.funnel.after_qualification == 2


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        ({"excluded_offers": frozenset({"loan"})}, ["card", "save", "fund"]),
        ({"excluded_creatives": frozenset({"loan-web"})}, ["card", "save", "fund"]),
        ({"limit": 1}, ["loan"]),
        ({"channel_type": "email", "channel_id": None}, ["loan", "card", "save", "fund"]),
        ({"channel_type": "sms", "channel_id": None}, []),
    ],
)
def test_exclusions_and_limits_of_a_request_apply(request_: dict[str, Any], shown: list[str]):
    catalogue = bank(decision_flow=[flow({"type": "rank", "config": {"method": "top_score"}})])
    assert offers_of(decided(catalogue, key="f", **request_)) == shown


def test_a_schedule_includes_its_start_and_excludes_its_end():
    schedule = {"startAt": "2026-03-18T12:30:00Z", "endAt": "2026-03-18T12:31:00Z"}
    catalogue = bank(offer=[{"id": "loan", "schedule": schedule}])
    assert "loan" not in offers_of(decided(catalogue, now_ms=NOW_MS - 1))
    assert "loan" in offers_of(decided(catalogue, now_ms=NOW_MS))
    assert "loan" in offers_of(decided(catalogue, now_ms=NOW_MS + 59_999))
    assert reasons_of(decided(catalogue, now_ms=NOW_MS + 60_000))["loan"].endswith(
        "its schedule ended at " + schedule["endAt"]
    )


@pytest.mark.parametrize("flows", [[], [flow()]])
@pytest.mark.parametrize(
    ("withheld", "channel_type", "missing"),
    [
        ({"marketing"}, "web", "marketing"),
        ({"marketing", "email"}, "email", "marketing"),
        ({"email"}, "email", "email"),
        ({"email", "sms", "third_party"}, "web", None),
    ],
)
def test_consent_applies_in_every_flow(
    flows: list[dict[str, Any]], withheld: set[str], channel_type: str, missing: str | None
):
    key = "f" if flows else None
    asked = {"channel_type": channel_type, "channel_id": None}
    decision = decided(bank(decision_flow=flows), CustomerFacts(withheld=frozenset(withheld)), key=key, **asked)
    if missing is None:
        assert decision.items
        return
    assert decision.items == []
    removed = {(one.by, one.reason) for one in decision.trace.removals if one.stage == "contact_policy"}
    assert removed == {("consent", f"the customer has not consented to {missing}")}
    assert decision.funnel.after_contact_policy == 0


def test_an_offers_own_caps_and_budget_apply_without_any_policy():
    catalogue = bank(
        offer=[{"id": "loan", "frequencyCaps": {"weekly": 2}}, {"id": "card", "budget": {"maxTotal": 10}}],
    )
    seen = CustomerFacts(reservations=[ReservedImpression(LOAN_ON_WEB, NOW_MS - day * DAY_MS) for day in (1, 2)])
    decision = decided(catalogue, seen, TenantFacts(shown={"card": 10}))
    assert offers_of(decision) == ["save", "fund"]
    assert reasons_of(decision) == {
        "loan": "contact_policy loan: the offer's own cap is reached: 2/2 a week",
        "card": "contact_policy card: the offer's budget is used up: maxTotal 10 of 10",
    }


MANDATORY = {"id": "fund", "categoryId": "deposits", "priority": 1, "mandatory": True}


def test_a_mandatory_offer_goes_first_until_that_expires():
    catalogue = bank(offer=[{**MANDATORY, "mandatoryExpiresAt": "2026-03-18T12:30:00Z"}])
    assert offers_of(decided(catalogue, now_ms=NOW_MS - 1))[0] == "fund"
    assert offers_of(decided(catalogue, now_ms=NOW_MS))[0] == "loan"


@pytest.mark.parametrize(
    ("rule_type", "config", "shown"),
    [
        ("cooldown", {"cooldownHours": 2}, True),
        ("cooldown", {"cooldownHours": 2, "bypassable": False}, False),
        ("frequency_cap", {"maxPerDay": 1}, False),
        ("cross_channel_cap", {"maxPerDay": 1}, False),
        ("customer_total_cap", {"maxPerDay": 1}, True),
        ("segment_exclusion", {"excludeSegments": ["vip"]}, True),
        ("time_window", {"startHour": 1, "endHour": 2}, True),
    ],
)
def test_a_mandatory_offer_skips_bypassable_policies_only(rule_type: str, config: dict[str, Any], *, shown: bool):
    policy = {"id": "p", "ruleType": rule_type, "config": config, "scope": "global"}
    seen = CustomerFacts(
        segments=frozenset({"vip"}),
        last_contact_ms={CARD_ON_WEB: NOW_MS - HOUR_MS},
        reservations=[ReservedImpression(CARD_ON_WEB, NOW_MS - HOUR_MS)],
    )
    assert offers_of(decided(bank(offer=[MANDATORY], contact_policy=[policy]), seen)) == (["fund"] if shown else [])


def test_an_override_skips_all_policies_but_not_the_offers_own_cap():
    policies = [
        {"id": "never", "ruleType": "time_window", "config": {"startHour": 1, "endHour": 2}, "scope": "global"},
        {"id": "still", "ruleType": "allow_override", "config": {}, "scope": "offer", "scopeId": "card", "priority": 1},
    ]
    assert offers_of(decided(bank(contact_policy=policies))) == ["card"]
    capped = bank(contact_policy=policies, offer=[{"id": "card", "frequencyCaps": {"daily": 1}}])
    seen = CustomerFacts(reservations=[ReservedImpression(CARD_ON_WEB, NOW_MS)])
    assert offers_of(decided(capped, seen)) == []


def test_the_blocking_policy_with_the_highest_priority_is_named():
    policies = [
        {"id": id_, "ruleType": "time_window", "config": {"startHour": 1, "endHour": 2}, "scope": scope, **more}
        for id_, scope, more in (
            ("low", "global", {"priority": 10}),
            ("high", "offer", {"scopeId": "loan", "priority": 90}),
            ("middle", "category", {"scopeId": "credit"}),
        )
    ]
    by = {one.offer_id: one.by for one in decided(bank(contact_policy=policies)).trace.removals}
    assert by == {"loan": "high", "card": "middle", "save": "low", "fund": "low"}


def test_a_rule_under_several_scopes_is_applied_once():
    rule = {
        "id": "r",
        "ruleType": "segment_required",
        "config": {"requiredSegments": ["nobody"]},
        "stage": "match",
        "multiplier": 0.5,
        "scopes": [{"scope": "global"}, {"scope": "offer", "scopeId": "loan"}, {"scope": "segment", "scopeId": "vip"}],
    }
    decision = decided(bank(qualification_rule=[rule]), segments=frozenset({"vip"}))
    assert {one.offer_id: one.score for one in decision.trace.scores}["loan"] == 0.45


@pytest.mark.parametrize(("segments", "scores"), [([], 0.9), (["a"], 0.45), (["b"], 0.45), (["a", "b"], 0.45)])
def test_a_rule_for_segments_is_applied_to_their_members_once(segments: list[str], scores: float):
    rule = {
        "id": "r",
        "ruleType": "segment_required",
        "config": {"requiredSegments": ["nobody"]},
        "stage": "match",
        "multiplier": 0.5,
        "scopes": [{"scope": "segment", "scopeId": "a"}, {"scope": "segment", "scopeId": "b"}],
    }
    decision = decided(bank(qualification_rule=[rule]), segments=frozenset(segments))
    assert {one.offer_id: one.score for one in decision.trace.scores}["loan"] == scores


def test_a_decision_shows_only_one_offer_of_an_exclusive_group():
    group = {"id": "g", "ruleType": "mutual_exclusion", "config": {"offerGroup": ["loan", "card"]}, "scope": "global"}
    decision = decided(bank(contact_policy=[group]))
    assert offers_of(decision) == ["loan", "save", "fund"]
    assert reasons_of(decision)["card"] == "contact_policy g: another offer of the group was shown: a moment ago"

"""Consent, caps and rules apply even in flows that leave their nodes out, and explanations agree with decisions."""

from __future__ import annotations

from typing import Any

import pytest

from rapport.application.decisions.decide import DecisionTask
from rapport.application.decisions.explain import explain_offers
from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.catalogue import Catalogue
from rapport.domain.decisions.explain import Explanation
from rapport.domain.decisions.facts import CustomerFacts, Subject, TenantFacts
from rapport.domain.decisions.windows import Window, WindowKind, WindowUnit
from rapport.domain.outcomes import DEFAULT_OUTCOME_TYPES, group_versions
from rapport.domain.tenants import Tenant
from tests.domain.decisions.bank import CREATIVES, bank, decided, flow, offers_of, reasons_of
from tests.domain.decisions.small_catalogue import NOW_MS, shown

TENANT = Tenant("acme", "Acme", "UTC", group_versions(DEFAULT_OUTCOME_TYPES))
TOP = {"type": "rank", "config": {"method": "top_score"}}
SAVERS = {"id": "savers", "ruleType": "segment_required", "config": {"requiredSegments": ["saver"]}}
HOURS = {"id": "hours", "ruleType": "time_window", "config": {"endHour": 1}, "scope": "offer", "scopeId": "loan"}


def bare_flow(**fields: Any) -> dict[str, Any]:
    """Make the shortest possible flow: inventory, score and response."""
    nodes = [{"id": kind, "type": kind} for kind in ("inventory", "score", "response")]
    return {"id": "f", "key": "f", "published": nodes, "publishedVersion": 1, **fields}


def explained(catalogue: Catalogue, customer: CustomerFacts, **request: Any) -> dict[str, Explanation]:
    """Explain each offer for the request of a decision."""
    asked = Request(customer_id="ann", **{"channel_id": "web", **request})
    chosen = catalogue.choose_flow("f", None, None)
    assert chosen is not None, catalogue.problems
    task = DecisionTask(tenant=TENANT, catalogue=catalogue, flow=chosen, request=asked)
    explanations = explain_offers(task, customer, TenantFacts(), catalogue.offers.values(), now_ms=NOW_MS, seed=7)
    return {explanation.offer.id: explanation for explanation in explanations}


def test_required_nodes_run_in_a_flow_that_leaves_them_out():
    catalogue = bank(
        qualification_rule=[{**SAVERS, "scope": "category", "scopeId": "deposits"}],
        contact_policy=[HOURS],
        creative=[{"id": "card-web", "offerId": "card", "channelId": "web", "status": "paused"}],
        decision_flow=[bare_flow()],
    )
    decision = decided(catalogue, key="f")
    assert offers_of(decision) == []
    assert {offer: reason.split()[0] for offer, reason in reasons_of(decision).items()} == {
        "loan": "contact_policy",
        "card": "match_creatives",
        "save": "qualify",
        "fund": "qualify",
    }


@pytest.mark.parametrize(
    ("skip", "left"),
    [
        (["match_creatives"], ["card"]),
        (["qualify"], ["save", "fund"]),
        (["contact_policy"], ["loan"]),
        (["match_creatives", "qualify", "contact_policy"], ["loan", "card", "save", "fund"]),
    ],
)
def test_a_flow_can_skip_required_nodes_explicitly(skip: list[str], left: list[str]):
    catalogue = bank(
        qualification_rule=[{**SAVERS, "scope": "category", "scopeId": "deposits"}],
        contact_policy=[HOURS],
        creative=[{"id": "card-web", "offerId": "card", "channelId": "web", "status": "paused"}],
        decision_flow=[bare_flow(skip=skip)],
    )
    assert offers_of(decided(catalogue, key="f")) == left
    found = explained(catalogue, CustomerFacts())
    assert sorted(one for one, said in found.items() if said.is_eligible) == sorted(left)


def test_without_rules_and_creatives_a_flow_without_required_nodes_passes_all():
    fields = {"creative": [{**one, "status": "paused"} for one in CREATIVES], "decision_flow": [bare_flow()]}
    assert len(offers_of(decided(bank(**fields), key="f"))) == 4


@pytest.mark.parametrize("skip", [[], ["match_creatives"], ["match_creatives", "qualify", "contact_policy"]])
def test_consent_is_required_for_the_channel_of_the_request(skip: list[str]):
    """Consent applies whatever a flow skips; a candidate without a creative is shown on the requested channel."""
    catalogue = bank(decision_flow=[bare_flow(skip=skip)])
    customer = CustomerFacts(withheld=frozenset({"email"}))
    assert offers_of(decided(catalogue, customer, key="f", channel_id="mail")) == []
    assert offers_of(decided(catalogue, customer, key="f", channel_id=None, channel_type="email")) == []
    assert len(offers_of(decided(catalogue, customer, key="f", channel_id="web"))) == 4


def test_a_contact_on_an_unknown_channel_needs_consent_for_all_channels():
    catalogue = bank(decision_flow=[bare_flow(skip=["match_creatives"])])
    customer = CustomerFacts(withheld=frozenset({"sms"}))
    decision = decided(catalogue, customer, key="f", channel_id=None)
    assert offers_of(decision) == []
    assert "the customer has not consented to sms" in reasons_of(decision)["loan"]


def test_a_channel_stored_without_a_type_needs_consent_for_all_channels():
    catalogue = bank(channel=[{"id": "web"}], decision_flow=[flow(TOP)])
    assert offers_of(decided(catalogue, CustomerFacts(withheld=frozenset({"push"})), key="f")) == []
    assert len(offers_of(decided(catalogue, key="f"))) == 4


def test_caps_of_creatives_apply_in_a_flow_without_match_creatives():
    cap = {"id": "cap", "ruleType": "frequency_cap", "config": {"maxPerDay": 1}, "scope": "creative", "scopeId": "*"}
    seen = shown(Window(WindowKind.CALENDAR, WindowUnit.DAY), Subject("loan", "loan-web", "web"))
    catalogue = bank(contact_policy=[cap], decision_flow=[bare_flow()])
    assert "loan" not in offers_of(decided(catalogue, seen, key="f"))
    assert not explained(catalogue, seen)["loan"].is_eligible


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [{"type": "qualify", "config": {"mode": "explicit", "ids": []}}, {"type": "contact_policy"}],
        [{"type": "contact_policy", "config": {"mode": "explicit", "ids": ["other"]}}],
        [{"type": "filter", "config": {"conditions": [{"field": "offer.priority", "operator": "lt", "value": 80}]}}],
        [{"type": "call_flow", "config": {"flowKey": "gone"}}],
        [{"type": "score", "config": {"floor": 0.6}}],
        [{"type": "compute", "config": {"fields": [{"name": "price", "formula": "attributes.nothing + 1"}]}}],
    ],
)
def test_explanations_agree_with_decisions(nodes: list[dict[str, Any]]):
    """An offer is eligible if and only if a decision without a limit shows it; else there is a reason."""
    fund = {"id": "fund-web", "offerId": "fund", "channelId": "web", "content": {"headline": "{price}"}}
    catalogue = bank(
        offer=[{"id": "old", "schedule": {"endAt": "2020-01-01"}}, {"id": "bare"}, {"id": "draft", "status": "draft"}],
        creative=[fund],
        qualification_rule=[{**SAVERS, "scope": "offer", "scopeId": "save"}],
        contact_policy=[HOURS],
        decision_flow=[flow(*nodes, *([] if any(one["type"] == "score" for one in nodes) else [TOP]))],
    )
    left = set(offers_of(decided(catalogue, key="f", limit=50)))
    found = explained(catalogue, CustomerFacts(), limit=50)
    assert {one for one, said in found.items() if said.is_eligible} == left
    assert all(bool(said.reasons) is not said.is_eligible for said in found.values()), found


def test_a_rule_that_the_flow_does_not_apply_is_skipped():
    node = {"type": "contact_policy", "config": {"mode": "explicit", "ids": ["other"]}}
    found = explained(bank(contact_policy=[HOURS], decision_flow=[flow(node, TOP)]), CustomerFacts())["loan"]
    (ruling,) = [one for one in found.policies if one.id == "hours"]
    assert (ruling.status, ruling.reason, found.is_eligible) == ("skipped", "flow f does not apply it", True)


@pytest.mark.parametrize(("claimed", "named"), [("vip", []), ("savers", ["savers"]), ("Savers", ["Savers"])])
def test_a_request_cannot_claim_a_segment_of_the_catalogue(claimed: str, named: list[str]):
    """Filters decide who is in a segment of the catalogue; other segments are the caller's own."""
    saver = {"id": "savers", "name": "Savers", "filters": [{"field": "customer.balance", "operator": "gt", "value": 0}]}
    rule = {"id": "r", "ruleType": "segment_required", "config": {"requiredSegments": [claimed]}}
    catalogue = bank(segment=[saver], qualification_rule=[rule], decision_flow=[flow(TOP)])
    decision = decided(catalogue, key="f", segments=frozenset({claimed}))
    assert bool(decision.items) is not bool(named)
    assert [problem.split()[3] for problem in decision.trace.problems] == named
    member = CustomerFacts(segments=frozenset({claimed}))
    assert decided(catalogue, member, key="f", segments=frozenset({claimed})).items

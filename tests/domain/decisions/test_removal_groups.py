"""Summary of removals: reasons for offers that are not shown, and for empty decisions."""

from __future__ import annotations

from typing import Any

import pytest

from rapport.domain.decisions.facts import CustomerFacts
from rapport.domain.decisions.removal_groups import find_empty_reason, group_removals, list_fault_warnings
from tests.domain.decisions.bank import bank, decided, flow

TOP = {"type": "rank", "config": {"method": "top_score"}}
NOBODY = {"id": "nobody", "ruleType": "segment_required", "config": {"requiredSegments": ["nobody"]}}
NIGHT = {"id": "night", "ruleType": "time_window", "config": {"endHour": 1}, "scope": "global"}
NEVER = {"type": "filter", "config": {"conditions": [{"field": "offer.priority", "operator": "gt", "value": 100}]}}
PRICE = [
    {"id": f"{name}-web", "offerId": name, "channelId": "web", "content": {"x": "{price}"}} for name in ("loan", "card")
]


@pytest.mark.parametrize(
    ("parts", "nodes", "reason"),
    [
        ({"qualification_rule": [NOBODY]}, [], "qualify"),
        ({"contact_policy": [NIGHT]}, [], "contact_policy"),
        ({}, [NEVER], "filter"),
        ({}, [{"type": "call_flow", "config": {"flowKey": "gone"}}], "call_flow"),
        ({}, [{"type": "score", "config": {"floor": 1}}], "score"),
        (
            {
                "creative": [
                    {"id": f"{one}-web", "offerId": one, "channelId": "gone"}
                    for one in ("loan", "card", "save", "fund")
                ]
            },
            [],
            "match_creatives",
        ),
        ({"offer": [{"id": one, "status": "paused"} for one in ("loan", "card", "save", "fund")]}, [], "no_offers"),
    ],
)
def test_an_empty_decision_names_the_stage_that_removed_the_last_offer(
    parts: dict[str, Any], nodes: list[Any], reason: str
):
    rank = [] if any(one["type"] == "score" for one in nodes) else [TOP]
    decision = decided(bank(**parts, decision_flow=[flow(*nodes, *rank)]), key="f")
    assert find_empty_reason(decision) == reason
    assert sum(one.offers for one in group_removals(decision)) == (0 if reason == "no_offers" else 4)


def test_missing_consent_is_a_separate_reason():
    assert find_empty_reason(decided(bank(), CustomerFacts(withheld=frozenset({"marketing"})))) == "consent"
    assert find_empty_reason(decided(bank())) is None


def test_removals_are_grouped_and_faults_of_the_configuration_are_warned_of():
    rule = {**NOBODY, "scope": "offer", "scopeId": "save"}
    decision = decided(bank(creative=PRICE, qualification_rule=[rule], decision_flow=[flow(TOP)]), key="f")
    assert [item.offer_id for item in decision.items] == ["fund"]
    found = [(one.stage, one.by, one.offers, one.is_fault) for one in group_removals(decision)]
    assert found == [("qualify", "nobody", 1, False), ("render", "card-web", 1, True), ("render", "loan-web", 1, True)]
    assert list(list_fault_warnings(group_removals(decision))) == [
        f"offer {name} cannot be shown: render, {name}-web: its content has no value for price"
        for name in ("card", "loan")
    ]


def test_an_offer_shown_with_another_creative_is_not_reported():
    second = {"id": "loan-b", "offerId": "loan", "channelId": "web"}
    decision = decided(bank(creative=[second], decision_flow=[flow(TOP)]), key="f")
    assert any(one.stage == "creative" for one in decision.trace.removals)
    assert group_removals(decision) == []


def test_a_removal_by_an_unreadable_rule_is_a_fault():
    broken = {"id": "broken", "ruleType": "segment_required", "config": {"required": 1}}
    assert all(one.is_fault for one in group_removals(decided(bank(qualification_rule=[broken]))))

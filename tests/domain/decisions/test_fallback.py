from __future__ import annotations

from typing import Any

import pytest

from rapport.domain.decisions.facts import CustomerFacts, ReservedImpression, TenantFacts
from rapport.domain.experiments.assignment import HOLDOUT, is_held_out
from tests.domain.decisions.bank import bank, decided, flow, offers_of
from tests.domain.decisions.small_catalogue import NOW_MS, Subject

EVERYBODY = TenantFacts(tenant_id="t", holdout_percent=100)
SCORECARD = {
    "id": "m",
    "key": "m",
    "modelType": "scorecard",
    "config": {
        "baseScore": 0,
        "normalization": "linear",
        "rules": [{"id": "r", "field": "offer.id", "operator": "eq", "value": "fund", "points": 90}],
    },
}
SCORE = {"type": "score", "config": {"method": "propensity", "modelKey": "m"}}
HALF = [
    {
        "id": "half",
        "ruleType": "segment_required",
        "config": {"requiredSegments": ["x"]},
        "stage": "match",
        "scope": "offer",
        "scopeId": "loan",
    }
]
CAP = [{"id": "cap", "ruleType": "frequency_cap", "config": {"maxPerDay": 1}, "scope": "offer", "scopeId": "*"}]
BEST_FIRST = {"type": "rank", "config": {"method": "top_score"}}
GATES = ({"type": "qualify"}, {"type": "contact_policy"})


def test_a_model_scores():
    decision = decided(bank(model=[SCORECARD], decision_flow=[flow(SCORE, BEST_FIRST)]), key="f")
    assert (offers_of(decision)[0], decision.items[0].score) == ("fund", 0.9)
    assert (decision.degraded_scoring, decision.control_group) == (False, False)


def test_the_holdout_gets_the_fallback_within_rules_and_policies():
    catalogue = bank(
        model=[SCORECARD],
        qualification_rule=HALF,
        contact_policy=CAP,
        creative=[{"id": "card-web", "offerId": "card", "channelId": "web", "weight": 50}],
        decision_flow=[flow(*GATES, SCORE)],
    )
    seen = CustomerFacts(reservations=[ReservedImpression(Subject("save", "save-web", "web"), NOW_MS)])
    decision = decided(catalogue, seen, EVERYBODY, key="f")
    assert [(item.offer_id, item.score) for item in decision.items] == [("loan", 0.9), ("fund", 0.4), ("card", 0.35)]
    assert decision.control_group


def test_the_size_of_the_holdout_is_the_tenants_percentage():
    tenant = TenantFacts(tenant_id="t", holdout_percent=20)
    customers = [f"c{number}" for number in range(300)]
    controls = {one for one in customers if decided(bank(), tenant=tenant, customer_id=one).control_group}
    assert controls == {one for one in customers if is_held_out("t", one, 20)}
    assert 30 < len(controls) < 90


def experiment(holdout: int) -> list[dict[str, Any]]:
    return [
        {
            "id": "e",
            "key": "champions",
            "championModelId": "m",
            "trafficSplit": {"championPct": 100},
            "holdoutPercent": holdout,
        }
    ]


@pytest.mark.parametrize(("holdout", "variant", "first"), [(0, "__champion__", "fund"), (100, HOLDOUT, "loan")])
def test_an_experiments_arms_are_recorded_and_its_holdout_gets_the_fallback(holdout: int, variant: str, first: str):
    score = {
        "type": "score",
        "config": {"method": "propensity", "championChallenger": {"experimentId": "e"}},
    }
    catalogue = bank(model=[SCORECARD], experiment=experiment(holdout), decision_flow=[flow(score, BEST_FIRST)])
    decision = decided(catalogue, key="f")
    assert [(one.experiment_key, one.variant) for one in decision.experiments] == [("champions", variant)]
    assert (offers_of(decision)[0], decision.control_group) == (first, holdout == 100)


BROKEN = {**SCORECARD, "config": {"typo": 1}}


@pytest.mark.parametrize(
    ("models", "open_circuits"),
    [([BROKEN], frozenset[str]()), ([], frozenset[str]()), ([SCORECARD], frozenset({"m"}))],
)
def test_a_model_that_cannot_be_called_is_left_out(models: list[dict[str, Any]], open_circuits: frozenset[str]):
    decision = decided(bank(model=models, decision_flow=[flow(SCORE)]), key="f", open_circuits=open_circuits)
    assert (decision.degraded_scoring, decision.failed_models) == (True, ["m"])
    assert {item.score for item in decision.items} == {0.5}
    assert decision.trace.problems

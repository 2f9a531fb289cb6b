from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rapport.domain.catalogue_checks.entity_checks import find_entity_faults
from rapport.domain.catalogue_checks.kinds import KINDS

KNOWN = {
    "category": {"credit"},
    "sub_category": {"personal"},
    "channel": {"web"},
    "placement": {"hero"},
    "offer": {"loan", "card"},
    "model": {"a", "b"},
    "metric": {"visits"},
    "ranking_profile": {"p"},
    "experiment": set[str](),
    "decision_flow": {"main"},
    "segment": {"vip"},
}
CAP = {"ruleType": "frequency_cap", "config": {"maxPerDay": 3}, "scope": "offer", "scopeId": "loan"}
SEGMENT = {"ruleType": "segment_required", "config": {"requiredSegments": ["vip"]}}
FLOW: list[dict[str, Any]] = [
    {"id": "i", "type": "inventory"},
    {"id": "s", "type": "score"},
    {"id": "r", "type": "response"},
]


def faults(kind: str, **fields: Any) -> list[str]:
    entity = msgspec.convert({"id": "e", "name": "e", **fields}, KINDS[kind])
    return [f"{fault.field}: {fault.message}" for fault in find_entity_faults(kind, entity, KNOWN)]


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("contact_policy", CAP),
        ("contact_policy", {**CAP, "scopeId": "*"}),
        ("qualification_rule", SEGMENT),
        ("offer", {"categoryId": "credit", "schedule": {"startAt": "2026-01-01"}}),
        ("creative", {"offerId": "loan", "channelId": "web", "placementId": "hero"}),
        (
            "experiment",
            {"key": "e", "championModelId": "a", "challengers": [{"modelId": "b", "trafficPct": 20}]},
        ),
        ("decision_flow", {"key": "f"}),
        ("decision_flow", {"key": "f", "draft": FLOW}),
        ("channel", {"channelType": "web"}),
    ],
)
def test_a_valid_entity_has_no_faults(kind: str, fields: dict[str, Any]):
    assert faults(kind, **fields) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"scopeId": None}, "scopeId: scope offer needs the id of what it applies to, or * for each for itself"),
        ({"scopes": [{"scope": "global"}, {"scope": "category"}]}, "scopes[1].scopeId: scope category needs the id"),
        ({"scopeId": "lone"}, "scopeId: there is no offer 'lone'"),
        ({"scopes": [{"scope": "subcategory", "scopeId": "x"}]}, "scopes[0].scopeId: there is no sub-category 'x'"),
        ({"config": {}}, "config: a cap needs a maximum: one of maxPerDay,"),
        ({"config": {"maxPerDay": 3, "windowDays": 1}}, "config.maxContacts: is required with windowDays"),
        ({"config": {"maxPerDay": 0, "typo": 1}}, "config.typo: is not known; known are"),
        ({"config": {"maxPerDay": 0}}, "config.maxPerDay: Expected `int` >= 1"),
        ({"ruleType": "metric_condition", "config": {"metric": "x", "value": 1}}, "config.metric: there is no metric"),
        (
            {"ruleType": "allow_override", "config": {"conditions": [{"field": "a", "operator": "in", "value": 1}]}},
            "config: in needs a list of values, not 1",
        ),
    ],
)
def test_a_faulty_policy_is_reported(changes: dict[str, Any], fault: str):
    assert any(one.startswith(fault) for one in faults("contact_policy", **{**CAP, **changes}))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"scope": "category"}, "scopeId: scope category needs"),
        ({"config": {"requiredSegments": ["x"]}}, "config.requiredSegments[0]: there is no segment 'x'"),
        ({"ruleType": "recency_check"}, "config.maxDays: is required"),
        (
            {"ruleType": "attribute_condition", "config": {"attribute": "metric.x", "value": 1}},
            "config.attribute: there is no metric 'x'",
        ),
        (
            {"ruleType": "attribute_condition", "config": {"attribute": "a", "operator": "regex", "value": "("}},
            "config: '(' is no pattern",
        ),
    ],
)
def test_a_rule_that_cannot_be_evaluated_is_reported(changes: dict[str, Any], fault: str):
    assert any(one.startswith(fault) for one in faults("qualification_rule", **{**SEGMENT, **changes}))


@pytest.mark.parametrize(
    ("kind", "fields", "fault"),
    [
        ("offer", {"categoryId": "x"}, "categoryId: there is no category 'x'"),
        ("offer", {"schedule": {"endAt": "tomorrow"}}, "schedule.endAt: 'tomorrow' is not ISO 8601"),
        ("offer", {"frequencyCaps": {"daily": 5, "weekly": 3}}, "frequencyCaps.daily: 5 is more than weekly allows"),
        ("creative", {"offerId": "loan", "channelId": "x"}, "channelId: there is no channel 'x'"),
        (
            "creative",
            {"offerId": "loan", "channelId": "web", "personalization": [{"variable": "a"}, {"variable": "a"}]},
            "personalization[1].variable: a occurs twice",
        ),
        ("category", {"customFields": [{"key": "a"}, {"key": "a"}]}, "customFields[1].key: a occurs twice"),
        ("category", {"customFields": [{"key": "a", "type": "computed"}]}, "customFields[0].formula: a computed"),
        (
            "category",
            {"customFields": [{"key": "a", "type": "computed", "formula": "1 +"}]},
            "customFields[0].formula: line 1, column 4:",
        ),
        ("model", {"key": "m", "modelType": "scorecard", "config": {"typo": 1}}, "config.typo: is not known"),
        ("category", {"customFields": [{"key": "a", "type": "select"}]}, "customFields[0].options: a field of type"),
        (
            "experiment",
            {"key": "e", "championModelId": "a", "challengers": [{"modelId": "a", "trafficPct": 30}]},
            "trafficSplit.championPct: the shares of champion and challengers add up to 110, not to 100",
        ),
        (
            "experiment",
            {"key": "e", "championModelId": "a", "challengers": [{"modelId": "a", "trafficPct": 20}]},
            "challengers[0].modelId: a takes part twice",
        ),
        ("metric", {"key": "m", "aggregateFunction": "avg"}, "sourceField: avg needs conversion_value"),
        ("metric", {"key": "m", "filterConditions": {"sql": ["1"]}}, "filterConditions.sql: is not known"),
    ],
)
def test_faults_of_other_entities_are_reported(kind: str, fields: dict[str, Any], fault: str):
    assert any(one.startswith(fault) for one in faults(kind, **fields))


@pytest.mark.parametrize(
    ("draft", "fault"),
    [
        (FLOW[:2], "draft: a flow has exactly one response node, this one has 0"),
        ([FLOW[1], FLOW[0], FLOW[2]], "draft.s: a flow begins with an inventory node"),
        ([FLOW[0], {"id": "s", "type": "score", "config": {"modelKey": "x"}}, FLOW[2]], "draft.s.modelKey: there is"),
        ([*FLOW[:2], {"id": "c", "type": "call_flow", "config": {"flowKey": "x"}}, FLOW[2]], "draft.c: there is no"),
        (
            [
                *FLOW[:2],
                {"id": "c", "type": "compute", "config": {"fields": [{"name": "rate", "formula": "min("}]}},
                FLOW[2],
            ],
            "draft.c: rate: line 1, column",
        ),
        (
            [FLOW[0], {"id": "s", "type": "score", "config": {"method": "formula", "expression": "2 *"}}, FLOW[2]],
            "draft.s: expression: line 1, column",
        ),
        (
            [
                FLOW[0],
                {
                    "id": "if",
                    "type": "conditional",
                    "config": {
                        "conditions": [{"field": "metric.x", "operator": "gt", "value": 1}],
                        "then": [{"id": "q", "type": "qualify", "config": {"mode": "explicit", "ids": ["r"]}}],
                    },
                },
                *FLOW[1:],
            ],
            "draft.if.conditions[0].field: there is no metric 'x'",
        ),
        (
            [FLOW[0], {"id": "s", "type": "score", "config": {"formula": {"propensityWeight": 1}}}, FLOW[2]],
            "draft.s: the weights of the formula add up to 1.6, not to 1",
        ),
        (
            [
                FLOW[0],
                {
                    "id": "s",
                    "type": "score",
                    "config": {"championChallenger": {"champion": {"modelKey": "a", "weight": 80}}},
                },
                FLOW[2],
            ],
            "draft.s: the weights of champion and challengers add up to 80, not to 100",
        ),
    ],
)
def test_a_draft_that_cannot_run_is_reported(draft: list[dict[str, Any]], fault: str):
    assert any(one.startswith(fault) for one in faults("decision_flow", key="f", draft=draft))

"""Linter of eligibility: required nodes that are left out or skipped, and values that requests decide."""

from __future__ import annotations

from typing import Any

import pytest

from rapport.domain.catalogue_checks.lint import lint_catalogue
from tests.domain.catalogue_checks.catalogue_parts import END, Fields, catalogue, flow, policy

WEB = [{"id": "web", "name": "Web", "channelType": "web"}]
LOAN = [{"id": "loan", "name": "Loan", "customFields": {"apr": 4}}]
SHOWN = [{"id": "c1", "name": "C", "offerId": "loan", "channelId": "web"}]
SOUND: dict[str, list[Fields]] = {"channel": WEB, "offer": LOAN, "creative": SHOWN}
MATCH = {"id": "match", "type": "match_creatives"}
GATES = [MATCH, {"id": "qualify", "type": "qualify"}, {"id": "contact_policy", "type": "contact_policy"}]
ADULT = {"attribute": "customer.age", "operator": "gte", "value": 18}


def said(**parts: list[Fields]) -> list[tuple[str, str, str]]:
    return [(one.code, one.id, one.field) for one in lint_catalogue(catalogue({**SOUND, **parts}))]


def rule(**fields: Any) -> Fields:
    return {"id": "r", "name": "R", "ruleType": "attribute_condition", "config": ADULT, "scope": "global", **fields}


def test_flows_that_leave_out_or_skip_required_nodes():
    parts = {"contact_policy": [policy()], "qualification_rule": [rule()]}
    left_out = [("gate_left_out", "f", "published")] * 3
    assert said(**parts, decision_flow=[flow(isDefault=True)]) == left_out
    skipping = flow(isDefault=True, skip=["match_creatives", "qualify", "contact_policy"])
    assert said(**parts, decision_flow=[skipping]) == [("gate_skipped", "f", "skip")] * 3
    assert said(**parts, decision_flow=[flow(*GATES, isDefault=True)]) == []
    assert said(decision_flow=[flow(MATCH, isDefault=True)]) == []


def test_a_required_node_in_a_called_flow_is_not_left_out():
    called = flow(*GATES, id="g", key="g", name="G", isDefault=True)
    calling = flow({"id": "call", "type": "call_flow", "config": {"flowKey": "g"}})
    assert said(contact_policy=[policy()], decision_flow=[called, calling]) == []


def test_a_policy_node_before_match_creatives():
    assert said(decision_flow=[flow(GATES[1], MATCH, isDefault=True)]) == [("gate_too_early", "f", "published")]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"channel": [{"id": "web", "name": "Web"}]}, ("channel_without_type", "web", "channelType")),
        (
            {"channel": [*WEB, {"id": "app", "name": "App", "channelType": "in_app"}]},
            ("channel_without_creatives", "app", ""),
        ),
        (
            {"experiment": [{"id": "e", "name": "E", "key": "e", "championModelId": "m"}]},
            ("experiment_never_asked", "e", ""),
        ),
        ({"segment": [{"id": "s", "name": "S"}]}, ("segment_without_filters", "s", "filters")),
        (
            {"qualification_rule": [rule(ruleType="segment_required", config={"requiredSegments": ["vip"]})]},
            ("segment_unknown", "r", "config.requiredSegments"),
        ),
        ({"contact_policy": [policy(scope="segment", scopeId="vip")]}, ("segment_unknown", "p", "scopeId")),
        (
            {"qualification_rule": [rule(config={**ADULT, "onMissing": "pass"})]},
            ("missing_value_passes", "r", "config.onMissing"),
        ),
        (
            {"qualification_rule": [rule(config={**ADULT, "attribute": "attributes.age"})]},
            ("request_decides", "r", "config.attribute"),
        ),
        (
            {
                "contact_policy": [
                    policy(ruleType="allow_override", config={"conditions": [{"field": "attributes.now"}]})
                ]
            },
            ("request_decides", "p", "config.conditions[0].field"),
        ),
    ],
)
def test_entities_that_do_nothing_or_not_what_they_seem_to_do(
    parts: dict[str, list[Fields]], expected: tuple[str, str, str]
):
    assert said(**parts) == [expected]


def test_rules_about_attributes_that_no_schema_has_or_that_requests_set():
    def schema(**field: Any) -> list[Fields]:
        return [{"id": "s", "name": "S", "key": "s", "fields": [{"dataType": "number", **field}]}]

    rules = [rule()]
    assert said(qualification_rule=rules, customer_schema=schema(name="age")) == []
    assert said(qualification_rule=rules, customer_schema=schema(name="income")) == [
        ("attribute_unknown", "r", "config.attribute")
    ]
    assert said(qualification_rule=rules, customer_schema=schema(name="age", source="either")) == [
        ("request_decides", "r", "config.attribute")
    ]


@pytest.mark.parametrize(
    ("headline", "formula", "missing"),
    [
        ("{apr} %", "", ""),
        ("{rate} %", "apr * 2", ""),
        ("{rate} %", "apr - metric.visits", ""),
        ("{rate} %", "apr - metric.average", "metric.average"),
        ("{rate} %", "apr - customer.bonus", "customer.bonus"),
        ("{rate} %", "apr - coalesce(customer.bonus, 0)", ""),
        ("{rate} %", "customer.bonus == null ? apr : apr - customer.bonus", ""),
        ("{rate} %", "if(metric.visits > 3, apr)", "null"),
        ("{rate} %", "base * 2", "attributes.rate"),
        ("{tier}", "", "tier"),
        ("{who}", "", ""),
        ("{source}", "", "customer.name"),
    ],
)
def test_a_placeholder_that_can_lack_a_value(headline: str, formula: str, missing: str):
    fields = [{"name": "base", "formula": "attributes.rate"}, {"name": "rate", "formula": formula}]
    compute = {"id": "compute", "type": "compute", "config": {"fields": fields if formula else []}}
    published = [{"id": "inventory", "type": "inventory"}, MATCH, END[0], compute, END[1]]
    personalization = [{"variable": "who", "fallback": "you"}, {"variable": "source", "source": "customer.name"}]
    found = lint_catalogue(
        catalogue(
            {
                **SOUND,
                "creative": [{**SHOWN[0], "content": {"headline": headline}, "personalization": personalization}],
                "metric": [
                    {"id": "visits", "name": "Visits", "key": "visits"},
                    {"id": "average", "name": "Average", "key": "average", "aggregateFunction": "avg"},
                ],
                "decision_flow": [{**flow(isDefault=True), "published": published}],
            }
        )
    )
    assert [(one.code, one.field) for one in found] == (
        [("placeholder_may_be_null", "content.headline")] if missing else []
    )
    assert not missing or f"nothing guarantees {missing};" in found[0].message

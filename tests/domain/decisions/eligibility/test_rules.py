from __future__ import annotations

from typing import Any

import pytest

from rapport.domain.decisions.facts import CustomerFacts
from tests.domain.decisions.small_catalogue import context, qualifies


@pytest.mark.parametrize(
    ("required", "passes"), [([], True), (["vip"], True), (["vip", "young"], True), (["vip", "rich"], False)]
)
def test_all_required_segments_are_needed(required: list[str], *, passes: bool):
    run = context(CustomerFacts(segments=frozenset({"vip"})), segments=frozenset({"young"}))
    assert qualifies("segment_required", {"requiredSegments": required}, run) is passes


@pytest.mark.parametrize(
    ("operator", "value", "passes"),
    [
        ("eq", 40, True),
        ("eq", 40.0, True),
        ("eq", "40", False),
        ("neq", 41, True),
        ("gt", 40, False),
        ("gte", 40, True),
        ("lt", 41, True),
        ("lte", 39, False),
        ("in", [39, 40], True),
        ("not_in", [39, 40], False),
        ("is_null", None, False),
        ("is_not_null", None, True),
        ("exists", None, True),
        ("not_exists", None, False),
    ],
)
def test_an_attribute_is_compared(operator: str, value: Any, *, passes: bool):
    run = context(CustomerFacts(attributes={"age": 40}))
    config = {"attribute": "age", "operator": operator, "value": value}
    assert qualifies("attribute_condition", config, run) is passes


@pytest.mark.parametrize(
    ("operator", "value", "passes"),
    [
        ("contains", "erl", True),
        ("starts_with", "Ber", True),
        ("regex", "^B.r", True),
        ("regex", "x", False),
        ("gt", "Aachen", True),
    ],
)
def test_texts_are_compared(operator: str, value: str, *, passes: bool):
    run = context(attributes={"home": {"city": "Berlin"}})
    config = {"attribute": "attributes.home.city", "operator": operator, "value": value}
    assert qualifies("attribute_condition", config, run) is passes


ADULT = {"attribute": "age", "operator": "gte", "value": 18}


@pytest.mark.parametrize(
    ("rule_type", "config"),
    [
        ("attribute_condition", ADULT),
        ("attribute_condition", {**ADULT, "operator": "neq"}),
        ("propensity_threshold", {"minScore": 0.4}),
        ("recency_check", {"attribute": "last_login", "maxDays": 10}),
        ("metric_condition", {"metric": "visits", "value": 5}),
        ("offer_attribute", {"attribute": "nothing", "value": 5}),
    ],
)
def test_a_missing_value_is_not_eligible_unless_the_rule_says_so(rule_type: str, config: dict[str, Any]):
    assert not qualifies(rule_type, config, context())
    assert not qualifies(rule_type, {**config, "onMissing": "fail"}, context())
    assert qualifies(rule_type, {**config, "onMissing": "pass"}, context())


@pytest.mark.parametrize("stage", ["fit", "match"])
def test_a_missing_attribute_passes_at_other_stages(stage: str):
    assert qualifies("attribute_condition", ADULT, context(), stage=stage)
    assert not qualifies("attribute_condition", {**ADULT, "onMissing": "fail"}, context(), stage=stage)
    assert qualifies("propensity_threshold", {"minScore": 0.4}, context(), stage=stage)
    assert not qualifies("recency_check", {"attribute": "last_login", "maxDays": 10}, context(), stage=stage)


def test_presence_of_a_value_can_be_a_condition():
    assert not qualifies("attribute_condition", {"attribute": "age", "operator": "exists"}, context())
    assert qualifies("attribute_condition", {"attribute": "age", "operator": "not_exists"}, context())


@pytest.mark.parametrize(("given", "passes"), [(None, False), (0.3, False), (0.4, True)])
def test_a_propensity_must_reach_its_minimum(given: float | None, *, passes: bool):
    run = context(propensities={} if given is None else {"loan": given})
    assert qualifies("propensity_threshold", {"minScore": 0.4}, run) is passes


@pytest.mark.parametrize(
    ("seen", "passes"),
    [
        ("2026-03-17", True),
        ("2026-03-08T12:30:00Z", True),
        ("2026-03-08T12:29:00Z", False),
        (None, False),
        ("?", False),
    ],
)
def test_a_date_must_be_recent(seen: str | None, *, passes: bool):
    run = context(CustomerFacts(attributes={"last_login": seen} if seen else {}))
    assert qualifies("recency_check", {"attribute": "last_login", "maxDays": 10}, run) is passes


@pytest.mark.parametrize(("value", "passes"), [(None, False), (4.0, False), (5.0, True)])
def test_a_metric_must_fulfil_its_condition(value: float | None, *, passes: bool):
    run = context(CustomerFacts(metrics={} if value is None else {"visits": value}))
    assert qualifies("metric_condition", {"metric": "visits", "value": 5}, run) is passes


@pytest.mark.parametrize(
    ("attribute", "operator", "value", "passes"),
    [("base_rate", "lt", 5, True), ("priority", "gte", 80, False), ("offer.categoryId", "eq", "credit", True)],
)
def test_a_field_of_the_offer_is_compared(attribute: str, operator: str, value: Any, *, passes: bool):
    config = {"attribute": attribute, "operator": operator, "value": value}
    assert qualifies("offer_attribute", config, context()) is passes


@pytest.mark.parametrize(("scope", "scope_id"), [("offer", "card"), ("channel", "mail"), ("category", "deposits")])
def test_a_rule_gives_no_verdict_outside_its_scope(scope: str, scope_id: str):
    run = context()
    config = {"requiredSegments": ["nobody"]}
    assert qualifies("segment_required", config, run, scope=scope, scope_id=scope_id)
    assert not qualifies("segment_required", config, run)

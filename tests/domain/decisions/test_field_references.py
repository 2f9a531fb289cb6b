"""Decisions that run on the event loop are short, whatever the request; larger ones run in threads."""

from __future__ import annotations

import msgspec
import pytest

from rapport.domain.catalogue.inventory import Creative, Offer
from rapport.domain.catalogue.strategy import DecisionFlow, QualificationRule
from rapport.domain.catalogue.values import Status
from rapport.domain.decisions.field_references import is_light

RULE = QualificationRule(id="r", name="R", rule_type="attribute_condition", config={"attribute": "age"})


def make_offers(count: int) -> list[Offer]:
    return [Offer(id=f"o{number}", name="O", category_id="c") for number in range(count)]


def test_some_hundred_offers_with_few_rules_are_light():
    assert is_light(256, {"offer": make_offers(256), "qualification_rule": [RULE] * 20})
    assert not is_light(257, {"offer": make_offers(257)})


@pytest.mark.parametrize(
    ("offers", "values", "light"), [(10, 100_000, True), (200, 100_000, False), (200, 1_000, True)]
)
def test_rules_weigh_as_often_as_there_are_offers(offers: int, values: int, light: bool):  # noqa: FBT001
    long = QualificationRule(id="r", name="R", rule_type="attribute_condition", config={"value": "x" * values})
    assert is_light(offers, {"offer": make_offers(offers), "qualification_rule": [long]}) is light


def test_creatives_weigh_once():
    large = Creative(id="c", name="C", offer_id="o0", channel_id="web", content={"html": "x" * 200_000})
    assert is_light(256, {"offer": make_offers(200), "creative": [large]})
    assert not is_light(1, {"offer": make_offers(1), "creative": [large] * 2})


def test_patterns_and_many_formulas_are_never_light_and_archived_rules_do_not_count():
    pattern = QualificationRule(id="r", name="R", rule_type="attribute_condition", config={"operator": "regex"})
    draft = [{"type": "compute", "config": {"formula": "1"}}] * 20
    flow = DecisionFlow(id="f", key="f", name="F", draft=draft)
    assert not is_light(1, {"qualification_rule": [pattern]})
    gone = msgspec.structs.replace(pattern, status=Status.ARCHIVED)
    assert is_light(1, {"qualification_rule": [gone]})
    assert is_light(10, {"decision_flow": [flow]})
    assert not is_light(20, {"decision_flow": [flow]})

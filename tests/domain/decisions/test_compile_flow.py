from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from rapport.domain.decisions.candidates import Candidate, Context
from rapport.domain.decisions.facts import CustomerFacts
from tests.domain.decisions.bank import bank, decided, flow, offers_of, reasons_of

TOP = {"type": "rank", "config": {"method": "top_score"}}
CREDIT = {"field": "offer.categoryId", "value": "credit"}


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({}, ["loan", "card", "save", "fund"]),
        ({"scope": "category", "categoryIds": ["deposits"]}, ["save", "fund"]),
        ({"scope": "subcategory", "subCategoryIds": ["x"]}, []),
        ({"scope": "explicit", "offerIds": ["fund"]}, ["fund"]),
        ({"scope": "category", "categoryIds": ["deposits"], "offerIds": ["loan"]}, ["loan", "save", "fund"]),
        ({"includeStatuses": ["draft"]}, []),
    ],
)
def test_an_inventory_contains_the_offers_in_scope(config: dict[str, Any], shown: list[str]):
    fields = flow(TOP)
    fields["published"][0]["config"] = config
    assert offers_of(decided(bank(decision_flow=[fields]), key="f")) == shown


@pytest.mark.parametrize(
    ("config", "creatives"),
    [
        ({}, {"loan-hero", "card-web", "save-web", "fund-web"}),
        ({"placementMatchMode": "exact"}, {"loan-hero"}),
        ({"placementMatchMode": "exact", "requireCreative": False}, {"loan-hero", ""}),
        ({"placementMatchMode": "none"}, {"loan-hero", "loan-side", "card-web", "save-web", "fund-web"}),
    ],
)
def test_creatives_are_matched_to_placements(config: dict[str, Any], creatives: set[str]):
    own = [
        {"id": "loan-web", "offerId": "loan", "channelId": "web", "status": "paused"},
        {"id": "loan-hero", "offerId": "loan", "channelId": "web", "placementId": "p-hero"},
        {"id": "loan-side", "offerId": "loan", "channelId": "web", "placementId": "p-side"},
    ]
    fields = flow(TOP)
    fields["published"][1]["config"] = config
    decision = decided(bank(creative=own, decision_flow=[fields]), key="f", placement_id="p-hero")
    assert {one.creative_id for one in decision.trace.scores} == creatives


@pytest.mark.parametrize(
    ("conditions", "combinator", "shown"),
    [
        ([CREDIT], "AND", ["loan", "card"]),
        ([CREDIT, {"field": "offer.priority", "operator": "lt", "value": 80}], "AND", ["card"]),
        ([CREDIT, {"field": "offer.priority", "operator": "lt", "value": 50}], "OR", ["loan", "card", "fund"]),
        ([{"field": "customer.city", "value": "Bonn"}], "AND", []),
    ],
)
def test_a_filter_keeps_offers_that_fulfil_its_conditions(conditions: list[Any], combinator: str, shown: list[str]):
    node = {"type": "filter", "config": {"conditions": conditions, "combinator": combinator}}
    decision = decided(bank(decision_flow=[flow(node, TOP)]), key="f")
    assert offers_of(decision) == shown
    assert all(one.stage == "filter" and one.by == "filter-2" for one in decision.trace.removals)


POLICIES = [
    {"id": "no-loan", "ruleType": "time_window", "config": {"endHour": 1}, "scope": "offer", "scopeId": "loan"},
    {"id": "no-card", "ruleType": "time_window", "config": {"endHour": 1}, "scope": "offer", "scopeId": "card"},
]


def test_a_node_may_apply_some_policies_only():
    node = {"type": "contact_policy", "config": {"mode": "explicit", "ids": ["no-card"]}}
    assert offers_of(decided(bank(contact_policy=POLICIES, decision_flow=[flow(node, TOP)]), key="f")) == [
        "loan",
        "save",
        "fund",
    ]


@pytest.mark.parametrize(("segments", "shown"), [(["vip"], ["loan", "card"]), ([], ["card", "save", "fund"])])
def test_a_conditional_runs_one_of_its_branches(segments: list[str], shown: list[str]):
    node = {
        "type": "conditional",
        "config": {
            "conditions": [{"field": "segments", "operator": "contains", "value": "vip"}],
            "then": [{"id": "only", "type": "filter", "config": {"conditions": [CREDIT]}}],
            "otherwise": [{"id": "some", "type": "contact_policy", "config": {"mode": "explicit", "ids": ["no-loan"]}}],
        },
    }
    catalogue = bank(contact_policy=POLICIES, decision_flow=[flow(node, TOP, skip=["contact_policy"])])
    decision = decided(catalogue, CustomerFacts(segments=frozenset(segments)), key="f")
    assert offers_of(decision) == shown
    assert [stage.node for stage in decision.trace.stages if stage.node in ("only", "some")] == [
        "only" if segments else "some"
    ]


CALL = {"type": "call_flow", "config": {"flowKey": "gates"}}


def test_a_called_flow_runs_its_nodes_of_the_same_phase():
    gates = flow(
        {"type": "contact_policy"}, {"type": "set_properties", "config": {"properties": {"a": 1}}}, key="gates"
    )
    catalogue = bank(contact_policy=POLICIES, decision_flow=[flow(CALL, TOP), gates])
    decision = decided(catalogue, key="f")
    assert offers_of(decision) == ["save", "fund"]
    assert decision.items[0].properties == {}
    assert len(decision.trace.removals) == 2


def test_a_call_of_a_flow_that_cannot_run_blocks_everything():
    decision = decided(bank(decision_flow=[flow(CALL, TOP)]), key="f")
    assert reasons_of(decision)["loan"] == "call_flow call_flow-2: flow gates is not active"
    assert decision.trace.problems == ["node call_flow-2: flow gates is not active"]


def test_flows_that_call_each_other_endlessly_are_stopped():
    loop = bank(
        decision_flow=[flow(CALL, key="f"), flow({"type": "call_flow", "config": {"flowKey": "f"}}, key="gates")]
    )
    decision = decided(loop, key="f")
    assert decision.items == []
    assert "is called too deep" in decision.trace.problems[0]


def test_values_are_computed_from_the_offer_the_customer_and_the_request():
    compute = {
        "type": "compute",
        "config": {"fields": [{"name": "rate", "formula": "base_rate - customer.bonus - attributes.discount"}]},
    }
    properties = {"type": "set_properties", "config": {"properties": {"tone": "warm"}}}
    catalogue = bank(
        category=[{"id": "credit", "customFields": [{"key": "base_rate", "defaultValue": 5}]}],
        offer=[{"id": "card", "categoryId": "credit", "customFields": {"base_rate": 9}}],
        decision_flow=[flow(compute, properties, TOP)],
    )
    decision = decided(catalogue, CustomerFacts(attributes={"bonus": 0.5}), key="f", attributes={"discount": 1})
    rates = {item.offer_id: item.personalization["rate"] for item in decision.items}
    assert rates == {"loan": 3.5, "card": 7.5, "save": None, "fund": None}
    assert decision.items[0].properties == {"tone": "warm"}


def test_computed_fields_of_categories_come_first_in_every_flow():
    catalogue = bank(
        category=[
            {"id": "credit", "customFields": [{"key": "twice", "type": "computed", "formula": "offer.priority * 2"}]}
        ],
        sub_category=[
            {
                "id": "credit",
                "categoryId": "credit",
                "customFields": [{"key": "more", "type": "computed", "formula": "twice + 1"}],
            }
        ],
        offer=[{"id": "loan", "categoryId": "credit", "subCategoryId": "credit", "priority": 90}],
    )
    items = {item.offer_id: item.personalization for item in decided(catalogue).items}
    assert items == {"loan": {"twice": 180, "more": 181}, "card": {"twice": 140}, "save": {}, "fund": {}}


def test_the_next_offer_replaces_one_whose_content_lacks_a_value():
    creative = {"id": "loan-web", "offerId": "loan", "channelId": "web", "content": {"headline": "Dear {{first_name}}"}}
    catalogue = bank(creative=[creative], decision_flow=[flow(TOP)])
    decision = decided(catalogue, key="f", limit=2)
    assert offers_of(decision) == ["card", "save"]
    assert reasons_of(decision)["loan"] == "render loan-web: its content has no value for first_name"
    known = decided(catalogue, CustomerFacts(attributes={"first_name": "Ann"}), key="f", limit=2)
    assert offers_of(known) == ["loan", "card"]
    assert known.items[0].content == {"headline": "Dear Ann"}


def drop_loan(candidates: Sequence[Candidate], _context: Context) -> list[Candidate]:
    return [candidate for candidate in candidates if candidate.offer.id != "loan"]


def double_fund(candidates: Sequence[Candidate], _context: Context) -> Sequence[Candidate]:
    for candidate in candidates:
        if candidate.offer.id == "fund":
            candidate.score = 1.0
    return candidates


def break_down(candidates: Sequence[Candidate], _context: Context) -> Sequence[Candidate]:
    candidates[0].properties["half"] = "done"
    raise ZeroDivisionError("oh")


def test_an_extension_acts_on_candidates():
    decision = decided(bank({"pre_score": drop_loan, "score_override": double_fund}))
    assert offers_of(decision) == ["fund", "card", "save"]
    assert reasons_of(decision)["loan"] == "extension_point pre_score: removed by the extension at pre_score"


def test_an_extension_that_fails_is_left_out():
    decision = decided(bank({"pre_score": break_down}))
    assert offers_of(decision) == offers_of(decided(bank()))
    assert decision.items[0].properties == {}
    assert decision.trace.problems == ["the extension at pre_score failed and was left out: ZeroDivisionError: oh"]


def raise_priority(candidates: Sequence[Candidate], context: Context) -> Sequence[Candidate]:
    for candidate in candidates:
        if context.request.customer_id == "bob":
            candidate.offer = msgspec.structs.replace(candidate.offer, priority=80)
    return candidates


@pytest.mark.parametrize("customers", [["ann", "bob", "ann"], ["bob", "ann", "bob"]])
def test_an_offer_that_an_extension_changes_is_changed_in_its_decision_alone(customers: list[str]):
    rule = {
        "id": "top",
        "ruleType": "offer_attribute",
        "config": {"attribute": "priority", "operator": "gte", "value": 75},
    }
    nodes = {"type": "extension_point", "config": {"point": "pre_score"}}, {"type": "qualify"}
    catalogue = bank({"pre_score": raise_priority}, qualification_rule=[rule], decision_flow=[flow(*nodes)])
    shown = {"ann": {"loan"}, "bob": {"loan", "card", "save", "fund"}}
    for customer_id in customers:
        assert set(offers_of(decided(catalogue, key="f", customer_id=customer_id))) == shown[customer_id]


def test_a_flow_without_a_rank_node_ranks_by_score():
    fields = flow()
    fields["published"] = [node for node in fields["published"] if node["type"] != "rank"]
    assert offers_of(decided(bank(decision_flow=[fields]), key="f")) == ["loan", "card", "save", "fund"]

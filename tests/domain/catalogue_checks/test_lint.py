from __future__ import annotations

from typing import Any

import pytest

from rapport.domain.catalogue_checks.lint import lint_catalogue
from tests.domain.catalogue_checks.catalogue_parts import Fields, catalogue, flow, policy

WEB = {"channel": [{"id": "web", "name": "Web", "channelType": "web"}]}
LOAN = {"offer": [{"id": "loan", "name": "Loan", "categoryId": "credit", "customFields": {"apr": 4}}]}
SHOWN = {"creative": [{"id": "c1", "name": "C", "offerId": "loan", "channelId": "web"}]}
SOUND: dict[str, list[Fields]] = {**WEB, **LOAN, **SHOWN, "category": [{"id": "credit", "name": "Credit"}]}


def warnings(**parts: list[Fields]) -> list[tuple[str, str, str]]:
    """Lint the sound catalogue with changed parts; warnings that test_lint_eligibility.py covers are left out."""
    found = lint_catalogue(catalogue({**SOUND, **parts}))
    return [(one.code, one.id, one.field) for one in found if not one.code.startswith("gate_")]


def filtering(*conditions: tuple[str, str, Any], combinator: str = "AND") -> Fields:
    listed = [{"field": field, "operator": operator, "value": value} for field, operator, value in conditions]
    return {"id": "filter", "type": "filter", "config": {"conditions": listed, "combinator": combinator}}


def test_a_sound_catalogue_gets_no_warning():
    sound_flow = flow(
        {"id": "match", "type": "match_creatives"},
        filtering(("offer.apr", "lt", 5), ("customer.age", "gt", 17), ("customer.age", "lt", 99)),
        isDefault=True,
    )
    sound_policies = [policy(), policy(id="q", name="Q", scope="category", scopeId="credit")]
    assert warnings(decision_flow=[sound_flow], contact_policy=sound_policies) == []
    assert lint_catalogue({}) == []


LOOKS_AHEAD = {"attribute": "a", "operator": "regex", "value": "(?=a)"}


def test_a_stored_pattern_of_a_former_dialect_is_reported():
    rule = {"id": "r", "name": "R", "ruleType": "attribute_condition", "scope": "global", "config": LOOKS_AHEAD}
    found = lint_catalogue(
        catalogue(
            {
                "qualification_rule": [rule, {**rule, "id": "off", "name": "Off", "status": "draft"}],
                "decision_flow": [flow(filtering(("customer.a", "regex", "(?=a)")))],
            }
        )
    )
    unread = {one.id: one for one in found if one.code == "cannot_be_read"}
    assert set(unread) == {"r", "f"}
    assert unread["r"].message.startswith("no customer fulfils it: '(?=a)' is no pattern of RE2")
    assert (unread["f"].kind, unread["f"].field) == ("decision_flow", "published.filter")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"scope": "offer"}, ("scope_without_id", "scopeId")),
        ({"scopes": [{"scope": "global"}, {"scope": "channel"}]}, ("scope_without_id", "scopes[1].scopeId")),
        ({"scope": "offer", "scopeId": "gone"}, ("scope_matches_nothing", "scopeId")),
        ({"scope": "category", "scopeId": "empty"}, ("scope_matches_nothing", "scopeId")),
        ({"scopes": [{"scope": "placement", "scopeId": "*"}]}, ("scope_matches_nothing", "scopes")),
        ({"config": {"maxPerDay": 5, "maxPerWeek": 3}}, ("contradictory_caps", "config.maxPerDay")),
        ({"config": {"maxPerMonth": 9, "maxTotal": 3}}, ("contradictory_caps", "config.maxPerMonth")),
    ],
)
def test_policies_that_do_nothing_or_contradict_themselves(fields: Fields, expected: tuple[str, str]):
    assert warnings(contact_policy=[policy(**fields)]) == [(expected[0], "p", expected[1])]


def test_a_policy_with_one_matching_scope_gets_no_warning():
    scopes = [{"scope": "offer", "scopeId": "gone"}, {"scope": "offer", "scopeId": "loan"}]
    assert warnings(contact_policy=[policy(scopes=scopes)]) == []


def test_a_rule_whose_scope_matches_nothing():
    rule = {
        "id": "r",
        "name": "R",
        "ruleType": "segment_required",
        "config": {"requiredSegments": ["a"]},
        "scope": "creative",
        "scopeId": "gone",
    }
    segment = {"id": "a", "name": "A", "filters": [{"field": "customer.age", "value": 1}]}
    assert warnings(qualification_rule=[rule], segment=[segment]) == [("scope_matches_nothing", "r", "scopeId")]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"channelId": "gone"}, "channelId"),
        ({"channelId": "fax"}, "channelId"),
        ({"offerId": "gone"}, "offerId"),
        ({"placementId": "gone"}, "placementId"),
        ({"placementId": "header"}, "placementId"),
    ],
)
def test_creatives_that_are_never_shown(fields: Fields, field: str):
    broken = {"id": "c2", "name": "C2", "offerId": "loan", "channelId": "web", **fields}
    found = warnings(
        channel=[*WEB["channel"], {"id": "fax", "name": "Fax", "status": "paused"}],
        placement=[{"id": "header", "key": "header", "name": "Header", "channelId": "fax"}],
        creative=[*SHOWN["creative"], broken],
    )
    assert found == [("creative_never_shown", "c2", field)]


def test_offers_without_a_creative_and_offers_that_no_flow_returns():
    card = {"id": "card", "name": "Card", "categoryId": "cards"}
    bare = warnings(offer=[*LOAN["offer"], card])
    assert bare == [("offer_without_creative", "card", "")]
    only_credit = flow(isDefault=True)
    only_credit["published"][0]["config"] = {"scope": "category", "categoryIds": ["credit"]}
    found = warnings(offer=[*LOAN["offer"], card], decision_flow=[only_credit])
    assert found == [("offer_never_returned", "card", ""), ("offer_without_creative", "card", "")]


def test_an_offer_with_a_contradictory_schedule_or_budget_is_reported():
    loan = {
        **LOAN["offer"][0],
        "schedule": {"startAt": "2026-03-01T00:00:00Z", "endAt": "2026-02-01T00:00:00Z"},
        "budget": {"maxPerDay": 9, "maxTotal": 3},
    }
    assert warnings(offer=[loan]) == [
        ("contradictory_caps", "loan", "budget.maxPerDay"),
        ("offer_never_returned", "loan", "schedule.endAt"),
    ]


@pytest.mark.parametrize(
    ("inventory", "nodes", "at"),
    [
        ({"scope": "category"}, [], "inventory"),
        ({"scope": "explicit", "offerIds": ["gone"]}, [], "inventory"),
        ({"includeStatuses": ["paused"]}, [], "inventory"),
        ({}, [filtering(("offer.status", "eq", "paused"))], "filter"),
        ({}, [filtering(("offer.apr", "gt", 5))], "filter"),
        ({}, [filtering(("offer.schedule.startAt", "is_not_null", None), combinator="OR")], "filter"),
        ({}, [filtering(("customer.age", "gte", 9), ("customer.age", "lt", 9))], "filter"),
        ({}, [filtering(("customer.tier", "eq", "gold"), ("customer.tier", "in", ["silver"]))], "filter"),
        ({}, [filtering(("customer.tier", "is_null", None), ("customer.tier", "eq", "gold"))], "filter"),
    ],
)
def test_flows_that_can_never_return_anything(inventory: Fields, nodes: list[Fields], at: str):
    dead = flow(*nodes)
    dead["published"][0]["config"] = inventory
    assert warnings(decision_flow=[dead]) == [("flow_returns_nothing", "f", f"published.{at}")]


def test_a_flow_that_requires_creatives_returns_nothing_without_any():
    found = warnings(creative=[], decision_flow=[flow({"id": "match", "type": "match_creatives"})])
    assert ("flow_returns_nothing", "f", "published.match") in found


@pytest.mark.parametrize(
    "conditions",
    [
        [("customer.age", "gt", 9), ("customer.age", "lt", 99)],
        [("customer.age", "gte", 9), ("customer.age", "lte", 9)],
        [("customer.age", "gt", 9), ("attributes.age", "lt", 9)],
        [("customer.age", "gt", "x"), ("customer.age", "lt", 9)],
        [("customer.tier", "neq", "gold"), ("customer.tier", "neq", "silver")],
    ],
)
def test_conditions_that_can_be_fulfilled_get_no_warning(conditions: list[tuple[str, str, Any]]):
    assert warnings(decision_flow=[flow(filtering(*conditions))]) == []


def test_flows_that_no_request_can_run_and_nodes_that_do_nothing():
    idle = flow({"id": "rules", "type": "qualify", "config": {"mode": "explicit"}})
    assert warnings(decision_flow=[idle]) == [("node_does_nothing", "f", "published.rules")]
    assert warnings(decision_flow=[{"id": "g", "key": "g", "name": "G"}]) == [("flow_not_published", "g", "")]


def test_the_second_of_two_flows_for_the_same_requests_is_reported():
    route = {"channelId": "web", "placementId": None}
    flows = [flow(id=key, key=key, name=key, routes=[route], isDefault=True) for key in ("b", "a")]
    assert warnings(decision_flow=flows) == [("flow_shadowed", "b", "isDefault"), ("flow_shadowed", "b", "routes[0]")]


def test_repeated_names_are_reported_unless_the_parents_differ():
    twin = {**LOAN["offer"][0], "id": "loan2", "name": "LOAN"}
    other = {"id": "c2", "name": "c", "offerId": "loan2", "channelId": "web"}
    assert warnings(offer=[*LOAN["offer"], twin], creative=[*SHOWN["creative"], other]) == [
        ("duplicate_name", "loan2", "name")
    ]
    third = {**other, "id": "c3", "offerId": "loan"}
    assert warnings(creative=[*SHOWN["creative"], third]) == [("duplicate_name", "c3", "name")]
    archived = {**twin, "status": "archived"}
    assert warnings(offer=[*LOAN["offer"], archived]) == []


def test_paused_entities_are_ignored():
    paused = {"status": "paused"}
    assert (
        warnings(
            contact_policy=[policy(scope="offer", **paused)],
            creative=[*SHOWN["creative"], {"id": "c2", "name": "C2", "offerId": "x", "channelId": "y", **paused}],
            decision_flow=[{**flow(), "publishedVersion": 0, **paused}],
        )
        == []
    )

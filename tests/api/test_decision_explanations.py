from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.catalogue.inventory import FrequencyCaps, Schedule
from rapport.domain.catalogue.strategy import ContactPolicy, DecisionFlow, Node, QualificationRule
from rapport.domain.catalogue.values import ScopeKind
from tests.api.decision_catalogue import cap, offer, offers_of, recommend, stock

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

VIPS = QualificationRule(
    id="vips",
    name="Vips only",
    rule_type="segment_required",
    config={"requiredSegments": ["vip"]},
    scope=ScopeKind.OFFER,
    scope_id="gold",
)
PASS = ContactPolicy(
    id="pass",
    name="Pass",
    rule_type="allow_override",
    scope=ScopeKind.OFFER,
    scope_id="loan",
    config={"conditions": [{"field": "segments", "operator": "contains", "value": "vip"}]},
)


def by_offer(body: dict[str, Any]) -> dict[str, Any]:
    return {one["offerId"]: one for one in body["offers"]}


def standings(rulings: list[dict[str, Any]], name: str) -> dict[str, str]:
    return {one[name]: one["status"] for one in rulings}


def test_eligibility_judges_every_offer_by_every_rule_and_policy(caller: Caller):
    ended = Schedule(end_at="2020-01-01")
    stock(caller, *offer("loan", priority=90), *offer("gold"), *offer("old", schedule=ended), VIPS, cap(1), PASS)
    recommend(caller)
    body = caller.read("/customers/ann/eligibility")
    assert body["summary"] == {
        "totalOffers": 3,
        "eligibleCount": 0,
        "ineligibleCount": 3,
        "failedQualification": 1,
        "blockedByContactPolicy": 1,
        "blockedBySchedule": 1,
        "noCreatives": 0,
    }
    offers = by_offer(body)
    assert offers["loan"]["primaryReason"].startswith("Failed: Daily cap: cap reached: 1/1")
    assert [one["policyId"] for one in offers["loan"]["blockedPolicies"]] == ["cap"]
    assert offers["gold"]["failedRules"][0]["ruleName"] == "Vips only"
    assert standings(offers["loan"]["allRuleResults"], "ruleId") == {"vips": "skipped"}
    assert offers["old"]["scheduleReason"] == "its schedule ended at 2020-01-01"
    fresh = by_offer(caller.read("/customers/bob/eligibility"))
    assert (fresh["loan"]["eligible"], fresh["loan"]["rank"], fresh["loan"]["score"]) == (True, 1, 0.9)


def test_why_not_tells_every_reason_now_and_at_a_past_decision(caller: Caller):
    stock(caller, *offer("loan"), *offer("gold"), VIPS, cap(1), PASS)
    first = recommend(caller, segments=["vip"])
    assert offers_of(first) == ["gold", "loan"] or offers_of(first) == ["loan", "gold"]
    now = caller.read("/customers/ann/why-not/gold")
    assert (now["verdict"], len(now["objections"]), now["decision"]) == ("blocked", 2, None)
    assert standings(now["qualification"], "ruleId") == {"vips": "blocked"}
    assert standings(now["contactPolicy"], "policyId")["cap"] == "blocked"
    then = caller.read(f"/customers/ann/why-not/gold?recommendationId={first['recommendationId']}")
    assert (then["verdict"], then["objections"], then["decision"]["shown"]) == ("eligible", [], True)
    second = recommend(caller, segments=["vip"])
    assert offers_of(second) == ["loan"]
    blocked = caller.read(f"/customers/ann/why-not/gold?recommendationId={second['recommendationId']}")
    assert [one["by"] for one in blocked["decision"]["removals"]] == ["cap"]
    past = caller.read(f"/customers/ann/why-not/loan?recommendationId={second['recommendationId']}")
    assert (past["verdict"], standings(past["contactPolicy"], "policyId")["cap"]) == ("eligible", "skipped")
    assert "Pass lets the offer past it" in past["contactPolicy"][-1]["reason"] + past["contactPolicy"][-2]["reason"]


@pytest.mark.parametrize(
    "path", ["ann/why-not/nothing", "ann/eligibility?recommendationId=nope", "bob/eligibility?recommendationId={}"]
)
def test_what_does_not_exist_cannot_be_explained(caller: Caller, path: str):
    stock(caller, *offer("loan"))
    done = recommend(caller)["recommendationId"]
    caller.read("/decision-traces")
    assert caller.get(f"/customers/{path.format(done)}").status_code == 404


def test_a_dry_run_answers_like_recommend_and_leaves_nothing_behind(caller: Caller):
    stock(caller, *offer("loan"), cap(1))
    for _ in range(3):
        tried = caller.post("/simulate", {"customerId": "ann"}).json()
        assert (offers_of(tried), tried["offers"], tried["decisions"][0]["interactionId"]) == (
            ["loan"],
            tried["decisions"],
            None,
        )
    assert tried["traceSummary"]["totalCandidates"] == 1
    assert offers_of(recommend(caller)) == ["loan"]
    assert caller.read("/decision-traces")["total"] == 1
    assert offers_of(caller.post("/simulate", {"customerId": "ann"}).json()) == []


def test_a_dry_run_over_customers_adds_up(caller: Caller):
    stock(caller, *offer("loan", "app", priority=90), *offer("gold"), VIPS, cap(1))
    for customer in ("ann", "bob"):
        recommend(caller, customer)
    caller.read("/interaction-history")
    found = caller.post("/simulate", {"customerIds": ["ann", "cleo", "dan", "dan"]}).json()
    assert (found["sampleSize"], found["reachableCustomers"], found["offersDelivered"]) == (3, 2, 2)
    assert found["topOffers"] == [{"offerId": "loan", "count": 2, "firstCount": 2}]
    assert (found["averageScore"], found["removed"]) == (pytest.approx(0.9), {"vips": 3, "cap": 1})
    assert caller.post("/simulate", {"sampleSize": 50}).json()["sampleSize"] == 2


def test_a_draft_can_be_tried_before_it_is_published(caller: Caller):
    nodes = [
        Node(id="inventory", type="inventory", config={"scope": "explicit", "offerIds": ["gold"]}),
        Node(id="score", type="score"),
        Node(id="response", type="response"),
    ]
    flow = DecisionFlow(id="f1", name="Gold", key="gold-only", draft=nodes)
    stock(caller, *offer("loan"), *offer("gold"), flow)
    asked = {"customerId": "ann", "decisionFlowKey": "gold-only"}
    assert caller.post("/simulate", asked).status_code == 404
    assert offers_of(caller.post("/simulate", {**asked, "draft": True}).json()) == ["gold"]
    assert caller.post("/simulate", {"customerId": "ann", "customerIds": ["bob"]}).status_code == 400


def test_why_not_begins_with_the_reason_for_which_a_decision_left_the_offer_out(caller: Caller):
    """Explaining evaluates what deciding does, in the same order, and goes on behind the first rule that blocks."""
    kinds = ("inventory", "contact_policy", "qualify", "score", "response")
    nodes = [Node(id=kind, type=kind) for kind in kinds]
    flow = DecisionFlow(id="f1", name="F", key="f", draft=nodes, published=nodes, published_version=1, is_default=True)
    stock(caller, *offer("gold", frequency_caps=FrequencyCaps(daily=1)), *offer("loan"), VIPS, cap(1), flow)
    assert offers_of(recommend(caller, segments=["vip"])) == ["gold", "loan"]
    caller.read("/interaction-history")
    decision_id = recommend(caller)["recommendationId"]
    for query in ("", f"?recommendationId={decision_id}"):
        gold = caller.read(f"/customers/ann/why-not/gold{query}")
        assert [reason.split(":")[0] for reason in gold["objections"]] == [
            "The offer's own caps and budget",
            "Daily cap",
            "Vips only",
        ]
        (loan,) = caller.read(f"/customers/ann/why-not/loan{query}")["objections"]
        assert loan.startswith("Daily cap: cap reached: 1/1")
    trace = caller.read(f"/decision-traces/{decision_id}")
    removed = {one["offerId"]: one["reason"] for one in trace["contactPolicyResults"]}
    assert gold["objections"][0].endswith(removed["gold"])
    assert loan.endswith(removed["loan"])
    assert trace["qualificationResults"] == []

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.catalogue.inventory import Budget
from rapport.domain.catalogue.strategy import DecisionFlow, Model, Node, QualificationRule
from tests.api.decision_catalogue import cap, offer, offers_of, recommend, stock

if TYPE_CHECKING:
    from tests.fixtures.api import Caller, CallerFactory


def bandit_flow(**score: Any) -> DecisionFlow:
    nodes = [
        Node(id="inventory", type="inventory"),
        Node(id="match", type="match_creatives"),
        Node(id="qualify", type="qualify"),
        Node(id="policies", type="contact_policy"),
        Node(id="score", type="score", config=score or {"method": "propensity", "modelKey": "bandit"}),
        Node(id="rank", type="rank", config={"method": "top_score", "maxCandidates": 3}),
        Node(id="response", type="response"),
    ]
    return DecisionFlow(id="f1", name="Bandit", key="bandit", published=nodes, published_version=1, is_default=True)


def replayed(caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    answer = caller.ask("POST", f"/decisions/{body['recommendationId']}/replay", headers=waiting(caller))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def waiting(caller: Caller) -> dict[str, str]:
    return {"X-Min-Position": caller.position, "X-Max-Wait-Ms": "20000"}


def test_every_decision_is_made_again_as_it_was(caller: Caller):
    young = QualificationRule(
        id="young",
        name="Young",
        rule_type="attribute_condition",
        config={"attribute": "customer.age", "operator": "lt", "value": 30},
        stage="match",
    )
    offers = [one for name in ("loan", "card", "save", "gold") for one in offer(name, priority=len(name) * 10)]
    stock(caller, *offers, *offer("tiny", "app", budget=Budget(max_per_day=3)), cap(2), young, bandit_flow())
    rows = [Model(id="m1", name="Bandit", key="bandit", model_type="thompson_bandit")]
    stock(caller, *rows)
    bodies = [
        recommend(caller, customer, attributes={"age": age, "timeZone": "Asia/Tokyo"}, context={"x": [1.5, None]})
        for age in (20, 40)
        for customer in ("ann", "bob", "ann", "ann")
    ]
    bodies.append(recommend(caller, "cleo", placements=[{"placement": "hero", "limit": 2}, {"placement": "hero"}]))
    bodies.append(recommend(caller, "cleo", placement="nowhere"))
    assert len({tuple(offers_of(body)) for body in bodies}) > 2
    stock(caller, *offer("loan", priority=99), cap(50))  # what is true now does not matter
    for body in bodies:
        found = replayed(caller, body)
        assert (found["identical"], found["differences"]) == (True, [])
        assert [item["offerId"] for item in found["decisions"]] == offers_of(body)


def test_a_trace_says_who_removed_what_and_what_was_shown(caller: Caller):
    stock(caller, *offer("loan", priority=80), *offer("card", priority=20), cap(1))
    first = recommend(caller)
    second = recommend(caller, excludeOffers=["card"])
    trace = caller.read(f"/decision-traces/{second['recommendationId']}")
    assert (trace["customerId"], trace["result"], trace["finalCount"]) == ("ann", {"count": 0, "topOffer": None}, 0)
    assert [(one["by"], one["offerId"]) for one in trace["contactPolicyResults"]] == [("cap", "loan")]
    assert [one["reason"] for one in trace["otherRemovals"]] == ["excluded by the request"]
    stages = [one["stage"] for one in trace["pipeline"]]
    assert (trace["isReplayable"], stages[:2]) == (True, ["inventory", "match_creatives"])
    shown = caller.read(f"/decision-traces/{first['recommendationId']}")
    assert [one["offerId"] for one in shown["selectedOffers"]] == ["loan", "card"]
    assert shown["result"] == {"count": 2, "topOffer": {"offerId": "loan", "score": 0.8}}


def test_traces_are_listed_newest_first_by_customer_and_time(caller: Caller):
    stock(caller, *offer("loan"))
    ids = [recommend(caller, customer)["recommendationId"] for customer in ("ann", "bob", "ann")]
    page = caller.read("/decision-traces")
    assert [one["id"] for one in page["traces"]] == ids[::-1]
    assert (page["total"], page["limit"], page["offset"]) == (3, 50, 0)
    of_ann = caller.read("/decision-traces?customerId=ann&limit=1&offset=1")
    assert ([one["id"] for one in of_ann["traces"]], of_ann["total"]) == ([ids[0]], 2)
    middle = caller.read(f"/decision-traces?requestId={ids[1]}")["traces"][0]
    assert caller.read(f"/decision-traces?to={middle['createdAt']}")["total"] <= 1
    assert caller.read(f"/decision-traces?from={middle['createdAt']}")["total"] >= 2


@pytest.mark.parametrize("path", ["/decision-traces/nope", "/decision-traces/0199a1b2-c3d4-7f1e-8d3c-4b000000002a"])
def test_an_unknown_decision_is_404(caller: Caller, path: str):
    assert caller.get(path).status_code == 404
    assert caller.post(f"/decisions/{path.rpartition('/')[2]}/replay").status_code == 404


def test_a_decision_names_what_decided_and_a_replay_what_is_another_today(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    stock(caller, *offer("loan"))
    made = recommend(caller)["recommendationId"]
    software = caller.read(f"/decision-traces/{made}")["software"]
    assert software == {"rapport": version("rapport"), "python": platform.python_version()}
    assert caller.post(f"/decisions/{made}/replay").json()["softwareDifferences"] == []
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    replayed = caller.post(f"/decisions/{made}/replay").json()
    changed = {"path": "python", "recorded": software["python"], "replayed": "3.99.0"}
    assert (replayed["identical"], replayed["softwareDifferences"]) == (True, [changed])


def test_a_decision_of_another_producer_is_listed_nowhere_and_not_replayed(caller: Caller):
    caller.record({"type": "decision.made.v1", "customerId": "ann", "recommendationId": "r1", "decision": {"x": 1}})
    refused = caller.post("/decisions/r1/replay", headers=waiting(caller))
    assert (refused.status_code, refused.json()["code"]) == (409, "NOT_REPLAYABLE")
    assert caller.read("/decision-traces")["traces"] == []


def test_tenants_do_not_see_each_others_decisions(caller: Caller, new_caller: CallerFactory):
    stock(caller, *offer("loan"))
    body = recommend(caller)
    caller.read("/decision-traces")
    stranger = new_caller()
    assert stranger.get(f"/decision-traces/{body['recommendationId']}").status_code == 404

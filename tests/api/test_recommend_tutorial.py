"""The integration tutorial, step by step: its requests, its headers, its fields and its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rapport.domain.catalogue.inventory import PersonalizationVariable
from rapport.domain.catalogue.strategy import DecisionFlow, Node
from tests.api.decision_catalogue import offer, offers_of, stock

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

NODES = [
    Node(id="inventory", type="inventory"),
    Node(id="match", type="match_creatives"),
    Node(id="enrich", type="enrich"),
    Node(id="qualify", type="qualify"),
    Node(id="policies", type="contact_policy"),
    Node(id="score", type="score"),
    Node(id="rank", type="rank", config={"method": "top_score", "maxCandidates": 5}),
    Node(
        id="compute",
        type="compute",
        config={
            "fields": [
                {"name": "personalized_rate", "formula": "base_rate - attributes.loyalty_score * 0.01"},
                {
                    "name": "greeting",
                    "formula": "attributes.tier == 'gold' ? 'Dear friend' : 'Hello'",
                    "outputType": "text",
                },
            ]
        },
    ),
    Node(id="response", type="response"),
]


def open_shop(caller: Caller) -> None:
    rate = [PersonalizationVariable(variable="personalized_rate", fallback="our best rate")]
    creative = {"content": {"headline": "{{greeting}}: {{personalized_rate}} %"}, "personalization": rate}
    flow = DecisionFlow(id="f", name="Main", key="main", published=NODES, published_version=1, is_default=True)
    stock(
        caller,
        *offer("card", priority=90, custom_fields={"base_rate": 19.5, "annual_fee": 0}, creative=creative),
        *offer("loan", priority=70, custom_fields={"base_rate": 7.5}, creative=creative),
        *offer("push", "app", priority=95),
        flow,
    )


def ask(caller: Caller, **changes: Any) -> Any:
    """Send the request of the tutorial, with both of its headers."""
    body = {
        "customerId": "CUST001",
        "decisionFlowKey": "main",
        "limit": 3,
        "channel": "web",
        "placement": "hero",
        "attributes": {"tier": "gold", "device": "mobile", "loyalty_score": 50},
        "debug": True,
        **changes,
    }
    return caller.post("/recommend", body, headers={"x-tenant-id": caller.tenant_id})


def test_the_tutorial(caller: Caller):
    open_shop(caller)
    body = ask(caller).json()
    assert offers_of(body) == ["card", "loan"]
    first = body["decisions"][0]
    assert first["personalization"] == {"personalized_rate": 19, "greeting": "Dear friend"}
    assert first["content"]["headline"] == "Dear friend: 19 %"
    assert body["decisions"][0]["score"] >= body["decisions"][1]["score"]
    assert body["meta"]["funnel"] == {
        "candidateCount": 2,
        "afterQualification": 2,
        "afterContactPolicy": 2,
        "finalCount": 2,
    }
    response = {
        "customerId": "CUST001",
        "creativeId": first["creativeId"],
        "channelId": first["channelId"],
        "outcome": "click",
        "idempotencyKey": "click-1",
        "recommendationId": body["recommendationId"],
        "metadata": {"page": "home"},
    }
    assert caller.post("/respond", response).status_code == 201
    again = caller.post("/respond", response)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    trace = caller.read(f"/decision-traces/{body['recommendationId']}")
    assert [stage["stage"] for stage in trace["pipeline"]][:2] == ["inventory", "match_creatives"]
    kinds = [row["interactionType"] for row in caller.read("/interaction-history?customerId=CUST001")["data"]]
    assert sorted(kinds) == ["click", "recommendation", "recommendation"]


def test_the_errors_of_the_tutorial(caller: Caller):
    open_shop(caller)
    assert ask(caller, limit="many").json()["error"]["code"] == "VALIDATION_ERROR"
    assert ask(caller, decisionFlowKey="nope").json()["error"] == {
        "code": "NOT_FOUND",
        "message": "There is no active, published decision flow 'nope'.",
        "status": 404,
    }
    stranger = caller.post("/recommend", {"customerId": "CUST001"}, headers={"X-API-Key": "krn_wrong"})
    assert (stranger.status_code, stranger.json()["code"]) == (401, "UNAUTHORIZED")

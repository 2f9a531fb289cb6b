from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from litestar.testing import TestClient

from api.app import create_app
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.inventory import PersonalizationVariable
from rapport.domain.catalogue.strategy import DecisionFlow, Node
from tests.api.decision_catalogue import offer, offers_of, recommend, stock
from tests.fixtures.api import FromAddress, api_settings
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.fixtures.api import Caller, CallerFactory


def test_what_is_recommended_is_in_the_history_under_the_ids_it_was_answered_with(caller: Caller):
    stock(caller, *offer("loan", priority=90), *offer("card", priority=50))
    body = recommend(caller, context={"pageUrl": "/home"})
    assert offers_of(body) == ["loan", "card"]
    rows = caller.read("/interaction-history?customerId=ann")["data"]
    assert {row["id"]: (row["offerId"], row["creativeId"], row["channelId"], row["rank"]) for row in rows} == {
        item["interactionId"]: (item["offerId"], item["creativeId"], item["channelId"], item["rank"])
        for item in body["decisions"]
    }
    assert {(row["interactionType"], row["recommendationId"], str(row["context"])) for row in rows} == {
        ("recommendation", body["recommendationId"], "{'pageUrl': '/home'}")
    }
    assert caller.read("/interaction-summaries?customerId=ann")["data"] == []


def test_on_a_channel_with_implicit_tracking_recommending_is_showing(caller: Caller):
    stock(caller, *offer("loan", "app"))
    body = recommend(caller)
    kinds = [row["interactionType"] for row in caller.read("/interaction-history?customerId=ann")["data"]]
    assert sorted(kinds) == ["impression", "recommendation"]
    (summary, *_) = caller.read("/interaction-summaries?customerId=ann&periodType=alltime&offerId=loan")["data"]
    assert (summary["impressions"], summary["creativeId"]) == (1, "loan-app")
    assert body["decisions"][0]["channel"]["impressionTracking"] == "implicit"


def test_a_decision_says_what_it_offers_and_how(caller: Caller):
    variables = [PersonalizationVariable(variable="name", source="attributes.name", fallback="you")]
    creative = {"content": {"headline": "{{name}}, take it"}, "personalization": variables}
    stock(caller, *offer("loan", priority=80, custom_fields={"rate": 4.5}, tags=["new"], creative=creative))
    (item,) = recommend(caller, attributes={"name": "Ann"})["decisions"]
    assert item["content"] == {"headline": "Ann, take it"}
    assert item["score"] == pytest.approx(0.8)
    assert item["offer"] == {
        "id": "loan",
        "name": "Loan",
        "categoryId": "cards",
        "categoryName": "Cards",
        "subCategoryId": None,
        "priority": 80,
        "tags": ["new"],
        "customFields": {"rate": 4.5},
    }
    assert (item["creative"]["id"], item["channel"]["channelType"]) == ("loan-web", "web")


def test_a_response_by_recommendation_and_rank_works_at_once(caller: Caller):
    stock(caller, *offer("loan", priority=90), *offer("card", priority=50))
    body = recommend(caller)
    done = caller.post(
        "/respond",
        {
            "customerId": "ann",
            "recommendationId": body["recommendationId"],
            "rank": 2,
            "outcome": "click",
            "idempotencyKey": "k",
        },
    )
    assert done.status_code == 201, done.text
    assert (done.json()["offerId"], done.json()["creativeId"], done.json()["channelId"]) == ("card", "card-web", "web")


def test_nothing_to_offer_is_an_answer(caller: Caller):
    body = recommend(caller, debug=True)
    assert (body["count"], body["meta"]["funnel"]["candidateCount"]) == (0, 0)
    assert caller.read(f"/decision-traces/{body['recommendationId']}")["result"]["count"] == 0


def test_a_request_with_unknown_names_gets_nothing_and_a_warning(caller: Caller):
    stock(caller, *offer("loan"))
    body = recommend(caller, placement="nowhere", channelId="smoke")
    assert (body["count"], len(body["meta"]["warnings"])) == (0, 2)


def test_an_unknown_flow_is_404(caller: Caller):
    assert caller.post("/recommend", {"customerId": "ann", "decisionFlowKey": "nope"}).status_code == 404


def test_older_names_are_understood(caller: Caller):
    stock(caller, *offer("loan"), *offer("card"), *offer("save"))
    body = recommend(caller, blueprintKey="base", maxOffers=2, trace=True)
    assert (body["count"], "funnel" in body["meta"], body["meta"]["decisionFlowKey"]) == (2, True, "base")
    assert body["traceSummary"]["totalCandidates"] == 3
    assert "traceSummary" not in recommend(caller)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"channel": "web"}, {"loan"}),
        ({"channel": "App"}, {"card"}),
        ({"channelId": "app"}, {"card"}),
        ({"placement": "hero"}, {"loan"}),
        ({"excludeOffers": ["loan"]}, {"card"}),
        ({}, {"loan", "card"}),
    ],
)
def test_requests_choose_where_and_what(caller: Caller, wanted: dict[str, object], found: set[str]):
    stock(caller, *offer("loan", creative={"placement_id": "hero-1"}), *offer("card", "app"))
    flow = {} if "placement" not in wanted else {"channelId": "web"}
    offers = [item["offerId"] for item in recommend(caller, **flow, **wanted)["decisions"] if item["creativeId"]]
    assert set(offers) == found


def test_placements_are_filled_together(caller: Caller):
    stock(caller, *offer("loan", priority=90), *offer("card", priority=50))
    wanted = [{"placement": "hero"}, {"placement": "hero-1", "limit": 2}]
    separate = recommend(caller, placements=wanted)
    assert offers_of(separate) == ["loan", "loan", "card"]
    assert [one["count"] for one in separate["placementResults"]] == [1, 2]
    assert offers_of(recommend(caller, placements=wanted, deduplicate=True)) == ["loan", "card"]


def test_a_flow_that_allocates_optimally_deduplicates_without_being_asked(caller: Caller):
    stock(caller, *offer("loan", priority=90), *offer("card", priority=50), _flow("spread", ("group", "optimal")))
    wanted = {"placements": [{"placement": "hero"}, {"placement": "hero-1"}], "decisionFlowKey": "spread"}
    assert sorted(offers_of(recommend(caller, **wanted))) == ["card", "loan"]
    refused = recommend(caller, **wanted, deduplicate=False)
    assert offers_of(refused) == ["loan", "loan"]
    assert any("allocates optimally" in warning for warning in refused["meta"]["warnings"])


def test_fairness_knows_what_was_shown_without_any_budget(caller: Caller):
    fair = _flow("fair", ("optimize", {"weights": {"fairness": 1.0, "emphasis": 0.01}}))
    stock(caller, *offer("loan", priority=90), *offer("card", priority=50), fair)
    caller.record(*({"customerId": f"c{n}", "offerId": "loan", "outcome": "impression"} for n in range(3)))
    caller.read("/interaction-summaries?customerId=c2")
    assert offers_of(recommend(caller, "bob", decisionFlowKey="fair")) == ["card", "loan"]


def _flow(key: str, node: tuple[str, Any]) -> DecisionFlow:
    """A published flow with one node more than it needs."""
    kind, config = node
    types = ["inventory", "match_creatives", "score"]
    extra = [{"id": kind, "type": kind, "config": config if isinstance(config, dict) else {"method": config}}]
    nodes = [{"id": one, "type": one} for one in types]
    before, after = (extra, []) if kind == "optimize" else ([], extra)
    nodes = [*nodes, *before, {"id": "rank", "type": "rank"}, *after, {"id": "response", "type": "response"}]
    return DecisionFlow(id=key, key=key, name=key, published=msgspec.convert(nodes, list[Node]), published_version=1)


def test_anonymous_customers_stay_the_same_by_their_session(caller: Caller):
    stock(caller, *offer("loan"))
    sessions = [recommend(caller, "anonymous", sessionId=name) for name in ("s1", "s1", "s2")]
    ids = [body["customerId"] for body in sessions]
    assert ids[0] == ids[1] != ids[2]
    assert all(name.startswith("anon_") for name in ids)
    assert [body["meta"]["warnings"] for body in sessions] == [[], [], []]


def test_an_address_identifies_anonymous_visitors_only_behind_a_trusted_proxy(caller: Caller):
    """plausible#1166: behind a proxy, all visitors with one browser were one, and shared their caps."""
    stock(caller, *offer("loan"))
    key = caller.keys[Role.EDITOR]
    app = FromAddress(create_app(api_settings(caller.world, RAPPORT_API_TRUSTED_PROXIES="10.0.0.0/8, 2001:db8::/32")))

    def find_id(peer: str | None, *forwarded: str, agent: str = "Firefox") -> tuple[str, bool]:
        app.address = peer
        headers = [("X-API-Key", key), ("User-Agent", agent), *(("X-Forwarded-For", line) for line in forwarded)]
        body = client.post("/api/v1/recommend", json={}, headers=headers).json()
        return body["customerId"], any("sessionId" in warning for warning in body["meta"]["warnings"])

    with TestClient(app, raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200, "Kafka answers")
        ann, _ = find_id("10.0.0.7", "203.0.113.9")
        same = [
            find_id("10.0.0.8", "203.0.113.9, 10.2.2.2"),
            find_id("::ffff:10.0.0.8", "198.51.100.1, 203.0.113.9:4711"),
            find_id("2001:db8::1", "198.51.100.1", "203.0.113.9"),
        ]
        assert same == [(ann, False)] * 3
        others = [
            find_id("10.0.0.7", "203.0.113.9", agent="Safari"),
            find_id("10.0.0.7", "203.0.113.10"),
            find_id("10.0.0.7", "203.0.113.9, 198.51.100.1"),
        ]
        assert [is_warned for _, is_warned in others] == [False] * 3
        unknown = [
            find_id("203.0.113.9"),
            find_id("203.0.113.9"),
            find_id("203.0.113.7", "203.0.113.9"),
            find_id("10.0.0.7"),
            find_id("10.0.0.7", "unknown"),
            find_id("10.0.0.7", "203.0.113.9, nonsense"),
            find_id(None, "203.0.113.9"),
        ]
        assert [is_warned for _, is_warned in unknown] == [True] * 7
        assert len({ann, *(name for name, _ in others + unknown)}) == 11


def test_without_trusted_proxies_no_visitor_is_taken_for_another(caller: Caller):
    stock(caller, *offer("loan"))
    assert len({recommend(caller, "anonymous")["customerId"] for _ in range(3)}) == 3


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"limit": 0, "nothing": 1}, ["limit", "nothing"]),
        ({"limit": 51}, ["limit"]),
        ({"context": {"x": "y" * 9_000}}, ["context"]),
        ({"attributes": {"propensityScores": {"loan": 2}}}, ["attributes.propensityScores"]),
        ({"sessionId": "a b"}, ["sessionId"]),
    ],
)
def test_every_fault_of_a_request_is_named(caller: Caller, body: dict[str, object], fields: list[str]):
    answer = caller.post("/recommend", {"customerId": "ann", **body})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["details"]] == fields


def test_viewers_do_not_recommend(caller: Caller):
    assert caller.post("/recommend", {"customerId": "ann"}, role=Role.VIEWER).status_code == 403


def test_customers_who_are_held_out_are_told_apart(new_caller: CallerFactory):
    caller = new_caller(holdout_percent=50.0)
    stock(caller, *offer("loan"))
    held = {recommend(caller, f"c{number}")["controlGroup"] for number in range(20)}
    assert held == {True, False}


def test_a_tenant_gets_no_more_recommendations_than_its_quota(new_caller: CallerFactory):
    caller = new_caller(decision_quota=2)
    for _ in range(2):
        recommend(caller)
    refused = caller.post("/recommend", {"customerId": "ann"})
    assert (refused.status_code, refused.json()["code"]) == (429, "PLAYGROUND_QUOTA_EXCEEDED")

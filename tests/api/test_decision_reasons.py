"""Recommend, why-not, eligibility and dry runs say the same, whatever a flow leaves out, and why nothing is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.api_keys import Role
from rapport.domain.catalogue.inventory import Channel
from rapport.domain.catalogue.values import Status
from tests.api.decision_catalogue import cap, offer, offers_of, recommend, stock
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

EMAIL = Channel(id="email", name="Mail", channel_type="email")
BARE = [{"id": kind, "type": kind} for kind in ("inventory", "score", "response")]


def publish(caller: Caller, nodes: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """Publish a default flow; the answer."""
    body = {"id": "f", "key": "f", "name": "F", "isDefault": True, "draft": nodes, **fields}
    assert caller.post("/decision-flows", body).status_code == 201
    done = caller.post("/decision-flows/publish", {"key": "f"})
    assert done.status_code == 200, done.text
    published: dict[str, Any] = done.json()
    return published


def verdicts(caller: Caller, customer: str = "ann", query: str = "") -> dict[str, bool]:
    """Return the verdict of eligibility on each offer; why-not must give the same."""
    found = caller.read(f"/customers/{customer}/eligibility{query}")["offers"]
    for one in found:
        why = caller.read(f"/customers/{customer}/why-not/{one['offerId']}{query}")
        assert (why["verdict"] == "eligible") is one["eligible"] is not bool(why["objections"])
    return {one["offerId"]: one["eligible"] for one in found}


def test_a_flow_of_three_nodes_shows_nothing_that_is_not_consented_to_or_capped(caller: Caller):
    stock(caller, EMAIL, *offer("loan", "email"), *offer("card"), cap(1))
    warnings = publish(caller, BARE)["warnings"]
    assert [one["code"] for one in warnings] == ["gate_left_out", "gate_left_out"]
    assert offers_of(recommend(caller)) == ["card", "loan"]
    caller.read("/interaction-history")
    again = recommend(caller)
    assert (offers_of(again), again["meta"]["emptyReason"]) == ([], "contact_policy")
    assert [(one["by"], one["offers"]) for one in again["meta"]["notShown"]] == [("cap", 2)]
    assert verdicts(caller) == {"card": False, "loan": False}
    revoked = {"consents": [{"purpose": "email", "status": "revoked"}]}
    assert caller.ask("PUT", "/customers/bob/consents", json=revoked).status_code < 300
    refused = recommend(caller, "bob", channel="email")
    assert (offers_of(refused), refused["meta"]["emptyReason"]) == ([], "consent")
    assert verdicts(caller, "bob", "?channel=email") == {"card": False, "loan": False}
    assert verdicts(caller, "bob", "?channel=web") == {"card": True, "loan": False}


def test_only_an_admin_lets_a_flow_skip_rules_and_policies(caller: Caller):
    stock(caller, *offer("card"), cap(1))
    body = {"key": "f", "name": "F", "draft": BARE, "isDefault": True}
    assert caller.post("/decision-flows", {**body, "skip": ["contact_policy"]}, role=Role.EDITOR).status_code == 403
    assert caller.post("/decision-flows", {**body, "skip": ["match_creatives"]}, role=Role.EDITOR).status_code == 201
    assert caller.post("/decision-flows", {**body, "key": "g", "skip": ["rank"]}).status_code == 400
    path = f"/decision-flows/{caller.get('/decision-flows').json()['data'][0]['id']}"
    assert caller.ask("PATCH", path, json={"skip": ["contact_policy"]}).status_code == 200
    assert caller.post("/decision-flows/publish", {"key": "f"}).json()["warnings"][-1]["code"] == "gate_skipped"
    wait_until(lambda: recommend(caller)["meta"]["decisionFlowKey"] == "f", "the flow is picked up")
    for _ in range(3):
        assert offers_of(recommend(caller)) == ["card"]
    assert verdicts(caller) == {"card": True}


@pytest.mark.parametrize("body", [{"name": "email"}, {"name": "sms", "channelType": None}])
def test_a_channel_needs_a_type(caller: Caller, body: dict[str, Any]):
    refused = caller.post("/channels", body)
    assert refused.status_code == 400
    assert [one["field"] for one in refused.json()["details"]] == ["channelType"]


def test_content_without_a_value_is_said_everywhere(caller: Caller):
    creative = {"content": {"headline": "{price_tag}"}}
    stock(caller, *offer("card", creative=creative), *offer("loan", status=Status.PAUSED))
    body = recommend(caller)
    assert (body["count"], body["meta"]["emptyReason"]) == (0, "render")
    (lost,) = body["meta"]["notShown"]
    assert (lost["stage"], lost["by"], lost["example"], lost["isFault"]) == ("render", "card-web", "card", True)
    assert "its content has no value for price_tag" in body["meta"]["warnings"][0]
    assert verdicts(caller) == {"card": False}
    assert "render: its content has no value" in caller.read("/customers/ann/why-not/card")["objections"][0]
    lint = caller.get("/catalog/lint").json()["warnings"]
    assert [one["id"] for one in lint if one["code"] == "placeholder_may_be_null"] == ["card-web"]
    tried = caller.post("/simulate", {"customerIds": ["ann", "bob"]}).json()
    assert (tried["reachableCustomers"], tried["emptyReasons"]) == (0, {"render": 2})
    metrics = caller.client.get("/metrics").text
    assert 'rapport_offers_lost_total{stage="render"}' in metrics
    assert 'rapport_decisions_empty_total{reason="render"}' in metrics


def test_a_request_that_names_what_does_not_exist_says_so(caller: Caller):
    stock(caller, *offer("card"))
    body = recommend(caller, channel="fax")
    assert (body["meta"]["emptyReason"], body["meta"]["notShown"], len(body["meta"]["warnings"])) == ("request", [], 1)
    assert verdicts(caller, query="?channel=fax") == {"card": False}

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.api_keys import Role
from rapport.storage.catalogue import load_catalogue

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

NODES = [
    {"id": "inventory", "type": "inventory", "config": {}},
    {"id": "score", "type": "score", "config": {"method": "priority_weighted"}},
    {"id": "response", "type": "response", "config": {}},
]

CONDITIONS = [{"field": "customer.tier", "operator": "eq", "value": "gold"}]


@pytest.fixture
def flow(caller: Caller) -> dict[str, Any]:
    answer = caller.post("/decision-flows", {"id": "f1", "key": "home", "name": "Home", "draft": NODES})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_draft_is_worked_on_until_it_is_published(caller: Caller, flow: dict[str, Any]):
    assert (flow["publishedVersion"], flow["published"]) == (0, [])
    published = caller.post("/decision-flows/publish", {"key": "home"})
    assert published.status_code == 200, published.text
    assert published.json()["published"] == NODES
    assert (published.json()["publishedVersion"], published.json()["version"]) == (1, 2)
    shorter = {"draftConfig": {"version": 2, "nodes": NODES[:1]}}
    drafted = caller.ask("PATCH", "/decision-flows/f1", json=shorter).json()
    assert (drafted["draft"], drafted["published"]) == (NODES[:1], NODES)
    assert drafted["draftConfig"] == {"version": 2, "nodes": NODES[:1]}
    replaced = caller.ask("PUT", "/decision-flows/f1", json={"name": "Home", "draft": NODES}).json()
    assert (replaced["key"], replaced["publishedVersion"]) == ("home", 1), "replacing does not unpublish"
    got = caller.get("/decision-flows/f1").json()
    assert got["publishedVersions"] == [{"version": 1, "publishedAt": published.json()["updatedAt"], "notes": ""}]
    again = caller.post("/decision-flows/publish", {"id": "f1"}).json()
    assert (again["publishedVersion"], again["version"]) == (1, replaced["version"]), "nothing new to publish"


def test_what_is_published_cannot_be_written_past_publishing(caller: Caller, flow: dict[str, Any]):
    sent = {**flow, "published": NODES, "publishedVersion": 9, "publishedVersions": [], "autoAssembly": True}
    kept = caller.ask("PUT", "/decision-flows/f1", json=sent).json()
    assert (kept["published"], kept["publishedVersion"]) == ([], 0)


@pytest.mark.usefixtures("flow")
def test_publishing_names_every_node_that_is_wrong(caller: Caller):
    broken = [
        {"id": "inventory", "type": "inventory", "config": {"offerIds": ["gone"]}},
        {"id": "score", "type": "score", "config": {"method": "guess"}},
        {"id": "what", "type": "unheard_of"},
    ]
    assert caller.ask("PATCH", "/decision-flows/f1", json={"draft": broken}).status_code == 200
    refused = caller.post("/decision-flows/publish", {"key": "home"})
    assert refused.status_code == 400
    fields = {fault["field"] for fault in refused.json()["details"]}
    assert {"draft.inventory.offerIds[0]", "draft.score", "draft.what"} <= fields
    assert caller.get("/decision-flows/f1").json()["publishedVersion"] == 0
    caller.ask("PATCH", "/decision-flows/f1", json={"draft": []})
    assert [one["field"] for one in caller.post("/decision-flows/publish", {"id": "f1"}).json()["details"]] == ["draft"]


def test_a_draft_is_no_larger_than_what_can_be_published(caller: Caller):
    def draft(inside: int) -> dict[str, Any]:
        inner = [{"id": f"n{n}", "type": "qualify"} for n in range(inside)]
        first = {"id": "if", "type": "conditional", "config": {"conditions": CONDITIONS, "then": inner}}
        return {"name": f"F{inside}", "draft": [NODES[0], first, *NODES[1:]]}

    assert caller.post("/decision-flows", draft(96)).status_code == 201
    for many in (97, 9_000):
        refused = caller.post("/decision-flows", draft(many))
        assert (refused.status_code, refused.json()["details"][0]["field"]) == (400, "draft"), refused.text
        assert "more than 100 nodes" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"key": "gone"}, 404),
        ({"id": "gone"}, 404),
        ({}, 400),
        ({"id": "f1", "key": "home"}, 400),
        ({"id": "f1", "version": 7}, 409),
    ],
)
def test_publishing_names_one_flow(caller: Caller, flow: dict[str, Any], body: dict[str, Any], status: int):
    assert flow["id"] == "f1"
    assert caller.post("/decision-flows/publish", body).status_code == status


def test_the_base_flow_is_made_once(caller: Caller):
    assert caller.post("/decision-flows/ensure-base", role=Role.VIEWER).status_code == 403
    made = caller.post("/decision-flows/ensure-base", role=Role.EDITOR)
    assert (made.status_code, made.json()["created"]) == (201, True)
    again = caller.post("/decision-flows/ensure-base")
    assert (again.status_code, again.json()) == (200, {"flowId": made.json()["flowId"], "created": False})
    (base,) = load_catalogue(caller.store, caller.tenant_id).entities["decision_flow"]
    assert caller.get("/decision-flows", params={"key": "base"}).json()["data"][0]["id"] == base.id
    assert caller.get(f"/decision-flows/{base.id}").json()["isDefault"] is True

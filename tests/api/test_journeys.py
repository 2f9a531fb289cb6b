"""Journeys on the API: definitions in every form, customers who enter and leave, trying out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from api.http.times import iso
from rapport.domain.api_keys import Role
from tests.api.decision_catalogue import offer, stock
from tests.api.journey_calls import STEPS, define, enrollments
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

DRAWN: Final = {
    "nodes": [
        {"id": "begin", "type": "trigger", "position": {"x": 0, "y": 0}},
        {"id": "note", "type": "update", "data": {"label": "Note it", "attributes": {"stage": "welcomed"}}},
        {"id": "pause", "type": "wait", "duration": 2, "unit": "days"},
        {
            "id": "fork",
            "type": "branch",
            "data": {"conditions": [{"label": "rich", "expression": "customer.income > 9"}]},
        },
        {"id": "gold", "type": "update", "config": {"attributes": {"tier": "gold"}}},
    ],
    "edges": [
        {"source": "begin", "target": "pause"},
        {"source": "pause", "target": "fork"},
        {"source": "fork", "target": "gold", "label": "rich"},
        {"source": "fork", "target": "note", "label": "default"},
    ],
}


def sent(caller: Caller) -> list[dict[str, Any]]:
    return list(caller.read("/interaction-history", params={"customerId": "ann", "type": "impression"})["data"])


def test_a_customer_enters_is_moved_on_by_the_stream_and_is_taken_out(caller: Caller):
    stock(caller, *offer("loan"))
    define(caller)
    entered = caller.post("/journeys/jrn/enrollments", {"customerId": "ann", "entry": {"source": "shop"}})
    assert entered.status_code == 201, entered.text
    wait_until(lambda: enrollments(caller)[0]["currentStep"] == "pause", "the worker moves her on", seconds=60)
    (found,) = enrollments(caller, status="active", customerId="ann")
    assert (found["results"]["best"][0]["offerId"], found["entry"]) == ("loan", {"source": "shop"})
    again = caller.post("/journeys/jrn/enrollments", {"customerId": "ann"})
    assert (again.status_code, again.json()["id"]) == (200, found["id"])

    wait_until(lambda: sent(caller), "what was sent is recorded", seconds=60)
    (contact,) = sent(caller)
    assert (contact["offerId"], contact["creativeId"], contact["direction"]) == ("loan", "loan-web", "outbound")
    one = f"/journeys/jrn/enrollments/{found['id']}"
    left = caller.post(f"{one}/exit", {"reason": "asked to"})
    assert (left.status_code, left.json()["status"], left.json()["reason"]) == (200, "exited", "asked to")
    assert caller.post(f"{one}/exit", {}).status_code == 409
    (mine,) = caller.read("/customers/ann/journeys")["data"]
    assert (mine["journeyName"], mine["status"], mine["currentStep"]) == ("Welcome", "exited", "pause")
    assert mine["completedAt"] == left.json()["completedAt"]


def test_what_a_journey_decided_can_be_explained_replayed_and_answered(caller: Caller):
    stock(caller, *offer("loan"), *offer("card", priority=1))
    choosing = {**STEPS[0], "config": {"storeResultAs": "best", "maxOffers": 2}}
    define(caller, definition={"steps": [choosing, *STEPS[1:]]})
    entered = caller.post("/journeys/jrn/enrollments", {"customerId": "ann"})
    assert entered.status_code == 201, entered.text

    def traces() -> list[dict[str, Any]]:
        return list(caller.read("/decision-traces", params={"customerId": "ann"})["traces"])

    wait_until(lambda: sent(caller) and traces(), "what was decided and sent is recorded", seconds=60)
    (trace,), (contact,) = traces(), sent(caller)
    name = trace["recommendationId"]
    assert (contact["recommendationId"], contact["rank"]) == (name, 1)
    full = caller.read(f"/decision-traces/{name}")
    assert full["request"]["context"]["journey"]["enrollmentId"] == entered.json()["id"]
    replayed = caller.post(f"/decisions/{name}/replay")
    assert (replayed.status_code, replayed.json()["identical"]) == (200, True), replayed.text
    answer = {"customerId": "ann", "recommendationId": name, "rank": 2, "outcome": "click", "idempotencyKey": "it"}
    answered = caller.post("/respond", answer)
    assert answered.status_code == 201, answered.text
    clicked = caller.read("/interaction-history", params={"customerId": "ann", "type": "click"})["data"]
    assert [one["offerId"] for one in clicked] == ["card"]


def test_customers_enter_by_events(caller: Caller):
    entry = {"outcomes": ["convert"], "expression": "entry.value >= 10"}
    define(caller, definition={"steps": STEPS[2:]}, entryCondition=entry)
    now = iso(int(time.time() * 1000))
    events = [
        {"customerId": name, "outcome": "convert", "conversionValue": value, "timestamp": now}
        for name, value in (("ann", 10), ("bob", 9), ("ann", 99))
    ]
    caller.record(*events)
    wait_until(lambda: enrollments(caller), "ann has entered", seconds=60)
    (ann,) = enrollments(caller)
    assert (ann["customerId"], ann["entry"]) == ("ann", {"outcome": "convert", "value": 10.0, "timestamp": now})


def test_a_journey_is_tried_out_without_effects(caller: Caller):
    stock(caller, *offer("loan"))
    define(caller, status="draft")
    tried = caller.post("/journeys/jrn/test", {"customerId": "ann"}, role=Role.VIEWER)
    assert tried.status_code == 200, tried.text
    body = tried.json()
    assert [(one["stepId"], one["afterSeconds"]) for one in body["steps"]] == [
        ("choose", 0),
        ("send", 0),
        ("pause", 0),
        ("note", 2 * 86_400),
    ]
    assert body["steps"][0]["effect"]["chosen"][0]["offerId"] == "loan"
    assert body["steps"][1]["effect"]["creativeId"] == "loan-web"
    assert body["steps"][3]["effect"] == {"attributes": {"stage": "welcomed"}}
    assert (body["status"], body["durationSeconds"]) == ("completed", 2 * 86_400)
    given = {"decisions": {"best": []}}
    assert caller.post("/journeys/jrn/test", given).json()["steps"][1]["effect"] is None
    assert enrollments(caller) == []
    assert caller.read("/interaction-history", params={"customerId": "ann"})["data"] == []
    assert caller.post("/journeys/jrn/enrollments", {"customerId": "ann"}).status_code == 409


def test_a_definition_may_be_drawn_as_nodes_and_edges(caller: Caller):
    made = define(caller, definition=DRAWN)
    steps = {one["id"]: one for one in made["definition"]["steps"]}
    assert made["definition"]["start"] == "pause"
    assert steps["pause"]["config"] == {"duration": 2, "unit": "days"}
    assert steps["fork"]["config"]["defaultStepId"] == "note"
    for income, last in ((10, "gold"), (9, "note")):
        tried = caller.post("/journeys/jrn/test", {"attributes": {"income": income}}).json()
        assert [one["stepId"] for one in tried["steps"] if not one["stepId"].endswith("-end")] == [
            "pause",
            "fork",
            last,
        ]


def test_every_flaw_of_a_journey_is_named(caller: Caller):
    steps = [
        {"id": "a", "type": "send", "config": {"creativeId": "gone"}},
        {"id": "b", "type": "wait", "config": {"duration": 0}},
        {"id": "c", "type": "decide", "config": {"flowKey": "gone"}},
    ]
    answer = caller.post("/journeys", {"name": "Flawed", "definition": {"steps": steps}})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["details"]] == [
        "definition.steps[0].config.creativeId",
        "definition.steps[1].config.duration",
        "definition.steps[2].config.flowKey",
    ]
    assert caller.post("/journeys", {"name": "Long", "definition": {}, "maxDurationDays": 366}).status_code == 400


def test_what_is_not_there_is_404_and_viewers_change_nothing(caller: Caller):
    define(caller)
    for path in ("/journeys/gone/enrollments", "/journeys/gone/test", "/journeys/jrn/enrollments/enr_x/exit"):
        assert caller.post(path, {"customerId": "ann"} if "exit" not in path else {}).status_code == 404, path
    assert caller.post("/journeys/jrn/enrollments", {"customerId": "ann"}, role=Role.VIEWER).status_code == 403
    assert caller.get("/journeys/jrn/enrollments", params={"status": "lost"}).status_code == 400
    assert caller.read("/customers/nobody/journeys") == {"customerId": "nobody", "data": []}

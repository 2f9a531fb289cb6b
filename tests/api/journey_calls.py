"""Requests about journeys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

STEPS: Final[list[dict[str, Any]]] = [
    {"id": "choose", "type": "decide", "config": {"storeResultAs": "best"}},
    {"id": "send", "type": "send", "config": {"fromResult": "best"}},
    {"id": "pause", "type": "wait", "config": {"duration": 2, "unit": "days"}},
    {"id": "note", "type": "update", "config": {"attributes": {"stage": "welcomed"}}},
]


def define(caller: Caller, **fields: Any) -> dict[str, Any]:
    body = {"id": "jrn", "name": "Welcome", "definition": {"steps": STEPS}, **fields}
    answer = caller.post("/journeys", body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def enrollments(caller: Caller, **parameters: Any) -> list[dict[str, Any]]:
    page = caller.read("/journeys/jrn/enrollments", params=parameters)
    assert page["pagination"]["total"] >= len(page["data"])
    return list(page["data"])

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.api_keys import Role

if TYPE_CHECKING:
    import httpx

    from tests.fixtures.api import Caller

ROUTE = "/interactions"
NDJSON = {"Content-Type": "application/x-ndjson"}


def event(**changes: Any) -> dict[str, Any]:
    """An event with a key of its own."""
    return {"customerId": "ann", "outcome": "click", "idempotencyKey": uuid.uuid4().hex, **changes}


def post_lines(caller: Caller, lines: list[bytes], **options: Any) -> httpx.Response:
    return caller.post(ROUTE, content=b"\n".join(lines), headers=NDJSON, **options)


def count(caller: Caller, customer_id: str = "ann") -> int:
    return caller.read(f"/interaction-history?customerId={customer_id}&limit=1")["pagination"]["total"]


def test_an_array_is_recorded_each_customer_in_order(caller: Caller):
    events = [event(customerId=f"c{number % 7}", metadata={"n": number}) for number in range(70)]
    done = caller.post(ROUTE, events)
    assert done.status_code == 201
    assert done.json() == {"accepted": 70, "rejected": 0, "position": done.headers["x-position"], "errors": []}
    for customer in range(7):
        rows = caller.read(f"/interaction-history?customerId=c{customer}")["data"]
        assert [row["response"]["n"] for row in reversed(rows)] == list(range(customer, 70, 7))


def test_there_is_one_message_a_partition(caller: Caller):
    done = caller.post(ROUTE, [event(customerId=f"c{number}") for number in range(500)]).json()
    again = caller.post(ROUTE, [event(customerId=f"c{number}") for number in range(500)]).json()
    first, second = (dict(part.split(":") for part in one["position"].split(",")) for one in (done, again))
    assert {partition: int(second[partition]) - int(first[partition]) for partition in first} == dict.fromkeys(first, 1)


def test_lines_are_recorded_and_those_that_cannot_be_are_named_by_their_place(caller: Caller):
    lines = [
        json.dumps(event()).encode(),
        b"",
        b"nonsense",
        json.dumps(event(outcome="clicked")).encode(),
        json.dumps(event(tenantId="another")).encode(),
        json.dumps(event(timestamp="1900-01-01")).encode(),
        json.dumps({"customerId": "ann", "outcome": "click"}).encode(),
        b'{"customerId": "\xff"}',
        b"[]",
        json.dumps({**event(), "type": "decision.made.v1", "recommendationId": "r"}).encode(),
        json.dumps(event(tenantId=caller.tenant_id)).encode(),
    ]
    done = post_lines(caller, lines)
    assert done.status_code == 207
    body = done.json()
    assert (body["accepted"], body["rejected"]) == (2, 8)
    faults = [(fault["index"], fault["field"]) for fault in body["errors"]]
    fields = ["body", "outcome", "tenantId", "timestamp", "body", "body", "body", "type"]
    assert faults == list(enumerate(fields, start=1))
    assert count(caller) == 2


def test_nothing_is_recorded_if_it_must_be_all_or_nothing(caller: Caller):
    refused = caller.post(f"{ROUTE}?atomic=true", [event(), event(outcome="clicked")])
    assert refused.status_code == 400
    assert [fault["index"] for fault in refused.json()["details"]] == [1]
    assert caller.post(f"{ROUTE}?atomic=true", [event()]).status_code == 201
    assert count(caller) == 1


def test_if_nothing_can_be_used_it_is_400(caller: Caller):
    refused = caller.post(ROUTE, [{"customerId": "ann"}])
    assert refused.status_code == 400
    assert refused.json()["details"][0]["index"] == 0


def test_sent_again_it_counts_once(caller: Caller):
    events = [event() for _ in range(5)]
    caller.post(ROUTE, events)
    caller.post(ROUTE, events)
    assert count(caller) == 5


def test_an_event_in_another_notation_counts_once_and_other_values_are_a_dead_letter(caller: Caller):
    sent = event(timestamp="2026-03-15T14:30:00Z", metadata={"a": 1, "b": [1.0, {"c": None}]}, conversionValue=5)
    again = {"metadata": {"b": [1, {"c": None}], "a": 1.0}, "conversionValue": 5.0, **sent, "timestamp": 1773585000000}
    again["metadata"] = {"b": [1, {"c": None}], "a": 1.0}
    other = {**again, "metadata": {"b": [2, {"c": None}], "a": 1.0}}
    for body in (sent, again, other):
        assert caller.post(ROUTE, body).status_code == 201
    assert count(caller) == 1
    letters = caller.store.client.query(
        "SELECT code FROM dead_letters WHERE tenant_id = {tenant:String}", {"tenant": caller.tenant_id}
    ).result_rows
    assert letters == [("idempotency_conflict",)]


def test_a_single_object_and_older_names_are_accepted(caller: Caller):
    body = event(treatmentId="cr_1", actionId="off_1")
    body["interactionType"] = body.pop("outcome")
    assert caller.post(ROUTE, body).status_code == 201
    (row,) = caller.read("/interaction-history?customerId=ann")["data"]
    assert (row["creativeId"], row["offerId"], row["outcomeTypeKey"]) == ("cr_1", "off_1", "click")


@pytest.mark.parametrize("body", [b"", b"[]", b"[1", b"7", b'"text"', b"[" * 5_000, b'[{"a":' * 2_000])
def test_a_body_without_events_is_400(caller: Caller, body: bytes):
    refused = caller.post(ROUTE, content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code == 400


def test_too_many_events_are_413_and_none_is_recorded(caller: Caller):
    lines = [json.dumps(event()).encode() for _ in range(10_001)]
    assert post_lines(caller, lines).status_code == 413
    assert caller.post(ROUTE, content=b"[" + b",".join(lines) + b"]").status_code == 413
    assert caller.post(ROUTE, [event(customerId="bob")]).status_code == 201
    assert (count(caller), count(caller, "bob")) == (0, 1)


def test_ten_thousand_events_are_accepted(caller: Caller):
    done = post_lines(caller, [json.dumps(event(customerId=f"c{number}")).encode() for number in range(10_000)])
    assert (done.status_code, done.json()["accepted"]) == (201, 10_000)
    assert caller.read("/interaction-history?limit=1")["pagination"]["total"] == 10_000


def test_more_bytes_than_allowed_are_413(caller: Caller):
    assert caller.post(ROUTE, content=b" " * 10_485_761, headers=NDJSON).status_code == 413


def test_large_events_go_into_several_messages(caller: Caller):
    events = [event(metadata={"text": "x" * 200_000, "n": number}) for number in range(12)]
    assert caller.post(ROUTE, events).status_code == 201
    rows = caller.read("/interaction-history?customerId=ann")["data"]
    assert [row["response"]["n"] for row in reversed(rows)] == list(range(12))


def test_other_media_types_are_415(caller: Caller):
    assert caller.post(ROUTE, content=b"<a/>", headers={"Content-Type": "application/xml"}).status_code == 415


def test_a_viewer_may_not_write(caller: Caller):
    assert caller.post(ROUTE, [event()], role=Role.VIEWER).status_code == 403

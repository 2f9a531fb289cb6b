from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.api_keys import Role
from tests.fixtures.api import running_api

if TYPE_CHECKING:
    from tests.fixtures.api import Caller, CallerFactory
    from tests.fixtures.redis_server import RedisServer


def answer(**changes: Any) -> dict[str, Any]:
    """Build the response of the tutorial, with a key of its own; None leaves a field out."""
    fields = {
        "customerId": "CUST001",
        "creativeId": "cr_001",
        "channelId": "ch_email",
        "outcome": "click",
        "idempotencyKey": uuid.uuid4().hex,
        **changes,
    }
    return {name: value for name, value in fields.items() if value is not None}


def history(caller: Caller, **filters: str) -> list[dict[str, Any]]:
    query = "&".join(f"{name}={value}" for name, value in {"customerId": "CUST001", **filters}.items())
    return caller.read(f"/interaction-history?{query}")["data"]


def test_a_response_is_in_history_and_summaries_under_its_acknowledged_id(caller: Caller):
    done = caller.post("/respond", answer(offerId="off_1", placementId="hero", conversionValue=12.5))
    assert done.status_code == 201
    body = done.json()
    assert body["duplicate"] is False
    assert body["position"] == done.headers["x-position"]
    (row,) = history(caller)
    assert row["id"] == body["interactionId"]
    assert row["timestamp"] == body["timestamp"]
    assert (row["offerId"], row["creativeId"], row["channelId"], row["placementId"]) == (
        "off_1",
        "cr_001",
        "ch_email",
        "hero",
    )
    assert (row["direction"], row["conversionValue"]) == (body["direction"], 12.5) == ("inbound", 12.5)
    summaries = caller.read("/interaction-summaries?customerId=CUST001&periodType=alltime")["data"]
    assert {(row["scope"], row["positive"], row["totalValue"]) for row in summaries} == {
        ("offer", 1, 12.5),
        ("channel", 1, 12.5),
    }


def test_the_same_key_again_is_answered_with_the_first_result_and_counts_once(caller: Caller):
    body = answer()
    first = caller.post("/respond", body)
    again = caller.post("/respond", body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == {**first.json(), "duplicate": True}
    assert len(history(caller)) == 1


def test_the_key_may_come_as_a_header(caller: Caller):
    body = answer(idempotencyKey=None)
    headers = {"Idempotency-Key": "k-1"}
    first = caller.post("/respond", body, headers=headers)
    again = caller.post("/respond", {**body, "idempotencyKey": "k-1"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    (row,) = history(caller)
    assert row["idempotencyKey"] == "k-1"


def test_a_key_in_the_header_is_the_bodys_key_in_whatever_script(caller: Caller):
    body = answer(idempotencyKey=None)
    first = caller.post("/respond", {**body, "idempotencyKey": "köln-大-1"})
    again = caller.post("/respond", body, headers={b"Idempotency-Key": "köln-大-1".encode()})
    both = caller.post(
        "/respond", {**body, "idempotencyKey": "köln-大-1"}, headers={b"Idempotency-Key": "köln-大-1".encode()}
    )
    assert [done.status_code for done in (first, again, both)] == [201, 200, 200]
    longest = caller.post("/respond", body, headers={b"Idempotency-Key": ("大" * 256).encode()})
    longer = caller.post("/respond", body, headers={b"Idempotency-Key": ("大" * 257).encode()})
    assert (longest.status_code, longer.status_code) == (201, 400)


def test_a_retry_that_serialises_anew_is_a_repetition_here_and_at_another_process(caller: Caller):
    first = answer(timestamp="2026-03-15T14:30:00Z", conversionValue=1.0, metadata={"a": 1, "b": {"c": 1.0, "d": "é"}})
    again = {name: first[name] for name in reversed(first)} | {
        "timestamp": "2026-03-15T15:30:00.000+01:00",
        "conversionValue": 1,
        "metadata": {"b": {"d": "é", "c": 1}, "a": 1.0},
        "context": None,
    }
    other = {**again, "metadata": {"b": {"d": "é", "c": 2}, "a": 1.0}}
    assert caller.post("/respond", first).status_code == 201
    assert len(history(caller)) == 1
    with running_api(caller.world) as process:
        for api in (caller, caller.at(process)):
            assert [api.post("/respond", body).status_code for body in (again, other)] == [200, 409]


@pytest.mark.parametrize(
    ("changes", "headers", "field"),
    [
        ({"idempotencyKey": None}, {}, "idempotencyKey"),
        ({"idempotencyKey": "a"}, {"Idempotency-Key": "b"}, "Idempotency-Key"),
    ],
)
def test_without_one_key_it_is_refused(caller: Caller, changes: dict[str, Any], headers: dict[str, str], field: str):
    refused = caller.post("/respond", answer(**changes), headers=headers)
    assert refused.status_code == 400
    assert [fault["field"] for fault in refused.json()["details"]] == [field]


def test_the_same_key_for_another_response_is_a_conflict(caller: Caller):
    body = answer()
    assert caller.post("/respond", body).status_code == 201
    refused = caller.post("/respond", {**body, "outcome": "dismiss"})
    assert (refused.status_code, refused.json()["code"]) == (409, "IDEMPOTENCY_CONFLICT")
    assert [row["outcomeTypeKey"] for row in history(caller)] == ["click"]


def test_the_same_key_of_another_customer_is_another_response(caller: Caller):
    body = answer()
    assert caller.post("/respond", body).status_code == 201
    assert caller.post("/respond", {**body, "customerId": "CUST002"}).status_code == 201


def test_what_another_process_recorded_is_found_in_the_tables(caller: Caller):
    body = answer(metadata={"page": {"n": [1, 2.5, None]}}, context={"device": "phone"})
    first = caller.post("/respond", body).json()
    assert len(history(caller)) == 1
    key = {"X-API-Key": caller.keys[Role.EDITOR]}
    with running_api(caller.world) as other:
        again = other.post("/api/v1/respond", json=body, headers=key)
        assert again.status_code == 200
        assert again.json() == {**first, "duplicate": True}
        refused = other.post("/api/v1/respond", json={**body, "outcome": "accept"}, headers=key)
        assert refused.json()["code"] == "IDEMPOTENCY_CONFLICT"


def test_simultaneous_repetitions_are_written_once(caller: Caller):
    body = answer()
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(
                lambda _: caller.client.post(
                    "/api/v1/respond", json=body, headers={"X-API-Key": caller.keys[Role.EDITOR]}
                ),
                range(8),
            )
        )
    assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
    assert len({one.json()["interactionId"] for one in answers}) == 1
    caller.require_position(answers[0].headers["x-position"])
    assert len(history(caller)) == 1


def test_an_unknown_outcome_is_refused_with_the_valid_ones(caller: Caller):
    refused = caller.post("/respond", answer(outcome="clicked"))
    (fault,) = refused.json()["details"]
    assert (refused.status_code, fault["field"]) == (400, "outcome")
    assert "click, complaint, conversion, convert" in fault["message"]
    assert "recommendation" not in fault["message"]


def test_all_faults_of_a_response_are_named_at_once(caller: Caller):
    refused = caller.post(
        "/respond",
        {"outcome": 7, "rank": 0, "conversionValue": 1e10, "direction": "up", "context": [], "creativeId": "c"},
    )
    assert refused.status_code == 400
    assert {fault["field"] for fault in refused.json()["details"]} == {
        "customerId",
        "outcome",
        "rank",
        "conversionValue",
        "direction",
        "context",
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"creativeId": None, "channelId": None}, "creativeId"),
        ({"creativeId": None, "recommendationId": "r"}, "rank"),
        ({"rank": 1}, "recommendationId"),
        ({"channelId": None}, "channelId"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "1900-01-01T00:00:00Z"}, "timestamp"),
        ({"metadata": {"x": "y" * 300_000}}, "body"),
    ],
)
def test_what_cannot_be_recorded_is_named(caller: Caller, changes: dict[str, Any], field: str):
    refused = caller.post("/respond", answer(**changes))
    assert refused.status_code == 400
    assert [fault["field"] for fault in refused.json()["details"]] == [field]


def test_older_names_and_unknown_fields_are_accepted(caller: Caller):
    body = answer(
        creativeId=None, outcome=None, treatmentId="cr_9", interactionType="dismiss", actionId="off_9", page=3
    )
    done = caller.post("/respond", body)
    assert done.status_code == 201
    (row,) = history(caller)
    assert (row["creativeId"], row["offerId"], row["outcomeTypeKey"]) == ("cr_9", "off_9", "dismiss")
    assert row["response"] == {"page": 3}


def test_impressions_go_out_and_answers_come_in_unless_it_is_said(caller: Caller):
    directions = [
        caller.post("/respond", answer(outcome=outcome, direction=given)).json()["direction"]
        for outcome, given in (("impression", None), ("click", None), ("click", "outbound"))
    ]
    assert directions == ["outbound", "inbound", "outbound"]
    assert [row["direction"] for row in reversed(history(caller))] == directions


def test_what_the_catalogue_does_not_know_is_recorded_with_warnings(caller: Caller):
    done = caller.post("/respond", answer(offerId="off_9"))
    assert [one["code"] for one in done.json()["warnings"]] == [
        "OFFER_NOT_FOUND",
        "CREATIVE_NOT_FOUND",
        "CHANNEL_NOT_FOUND",
    ]
    assert len(history(caller)) == 1


def test_a_strict_tenant_has_it_refused(new_caller: CallerFactory):
    refused = new_caller(is_catalogue_strict=True).post("/respond", answer())
    assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND")
    assert "creative 'cr_001'" in refused.json()["detail"]


def test_an_unknown_recommendation_is_kept_for_later(caller: Caller):
    done = caller.post("/respond", answer(creativeId=None, channelId=None, recommendationId="rec-1", rank=2))
    assert done.status_code == 201
    assert [one["code"] for one in done.json()["warnings"]] == ["RECOMMENDATION_NOT_FOUND"]
    (row,) = history(caller)
    assert (row["recommendationId"], row["rank"]) == ("rec-1", 2)


def test_an_interaction_says_what_the_response_is_about(caller: Caller):
    shown = caller.post("/respond", answer(outcome="impression", offerId="off_1")).json()
    assert len(history(caller)) == 1
    done = caller.post("/respond", answer(creativeId=None, channelId=None, interactionId=shown["interactionId"])).json()
    assert (done["offerId"], done["creativeId"], done["channelId"]) == ("off_1", "cr_001", "ch_email")


def test_an_interaction_of_another_customer_is_not_found(caller: Caller):
    shown = caller.post("/respond", answer(outcome="impression", offerId="off_1")).json()
    assert len(history(caller)) == 1
    done = caller.post(
        "/respond", answer(customerId="CUST002", creativeId=None, channelId=None, interactionId=shown["interactionId"])
    ).json()
    assert done["offerId"] is None
    assert [one["code"] for one in done["warnings"]] == ["INTERACTION_NOT_FOUND"]


def test_a_viewer_may_not_respond(caller: Caller):
    assert caller.post("/respond", answer(), role=Role.VIEWER).status_code == 403


def test_processes_with_shared_state_answer_a_repetition_before_it_is_applied(
    caller: Caller, redis_server: RedisServer
):
    body = answer()
    key = {"X-API-Key": caller.keys[Role.EDITOR]}
    with (
        running_api(caller.world, RAPPORT_STATE_URL=redis_server.url) as one,
        running_api(caller.world, RAPPORT_STATE_URL=redis_server.url) as other,
        ThreadPoolExecutor(8) as threads,
    ):
        answers = list(
            threads.map(
                lambda number: (one, other)[number % 2].post("/api/v1/respond", json=body, headers=key), range(8)
            )
        )
        assert sorted(one.status_code for one in answers) == [200] * 7 + [201]
        assert len({one.json()["interactionId"] for one in answers}) == 1
        refused = other.post("/api/v1/respond", json={**body, "outcome": "accept"}, headers=key)
        assert refused.json()["code"] == "IDEMPOTENCY_CONFLICT"
    caller.require_position(answers[0].headers["x-position"])
    assert len(history(caller)) == 1

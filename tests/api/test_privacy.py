"""Erasing customers and answering their requests, through the API and with a worker that counts meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from rapport.domain.api_keys import Role
from rapport.domain.privacy import hash_customer
from rapport.storage import dsar_exports
from rapport.storage.audit import AuditFilter, read_audit
from rapport.storage.dsar import DsarRequest, list_requests, write_request
from rapport.storage.erasure import count_remains
from rapport.storage.personal_data import ErasureScope
from tests.api.decision_catalogue import offer, stock
from tests.api.privacy_calls import read_request
from tests.fixtures.api import running_api
from tests.fixtures.deadlines import wait_until
from tests.fixtures.interactions import event, write

if TYPE_CHECKING:
    import pytest

    from rapport.storage.client import Store
    from rapport.storage.personal_data import Location
    from tests.fixtures.api import Caller, CallerFactory

FOREVER_MS = 4_102_444_800_000
NOW = 1_773_585_000_000


def happen(caller: Caller, *customers: str) -> None:
    """Have customers see and click something, and have their data in other tables."""
    for customer in customers:
        seen = {"customerId": customer, "offerId": "loan", "channelId": "web"}
        caller.record({**seen, "outcome": "impression", "context": {"who": customer}}, {**seen, "outcome": "click"})
        assert caller.ask("PUT", f"/customers/{customer}", json={"attributes": {"age": 41}}).status_code < 300
    for customer in customers:
        assert len(caller.read("/interaction-history", params={"customerId": customer})["data"]) == 2


def erase(caller: Caller, customer: str) -> dict[str, Any]:
    answer = caller.post("/gdpr/erasure", {"customerId": customer})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_erasure_says_what_it_deleted_and_leaves_nothing(caller: Caller):
    happen(caller, "ann", "bob")
    body = erase(caller, "ann")
    assert body.keys() == {
        "success", "customerId", "receiptId", "deletedCounts", "totalDeleted", "nothingFound", "verified", "erasedAt",
        "completedAt",
    }  # fmt: skip
    assert (body["success"], body["verified"], body["customerId"]) == (True, True, "ann")
    counts = body["deletedCounts"]
    assert (counts["interactionHistory"], counts["interactionSummary"], counts["dynamicSchemaRows"]) == (2, 4, 1)
    assert (counts["eventClaims"], counts["suppression"], counts["attributionResult"]) == (2, 0, 0)
    assert body["totalDeleted"] == sum(counts.values())
    assert count_remains(caller.store, ErasureScope(caller.tenant_id, ("ann",), FOREVER_MS)) == {}
    assert caller.read("/interaction-history", params={"customerId": "ann"})["data"] == []
    assert len(caller.read("/interaction-history", params={"customerId": "bob"})["data"]) == 2


def test_a_receipt_and_an_audit_entry_name_nobody(caller: Caller, new_caller: CallerFactory):
    body = erase(caller, "customer-of-the-receipt")
    receipt = caller.get(f"/gdpr/erasure/{body['receiptId']}")
    assert receipt.json()["customerHashes"] == [hash_customer(caller.tenant_id, "customer-of-the-receipt")]
    assert receipt.json()["deletedCounts"] == body["deletedCounts"]
    (entry,), _ = read_audit(caller.store, caller.tenant_id, AuditFilter(action="erase"))
    assert entry.entity_id == body["receiptId"]
    assert "customer-of-the-receipt" not in receipt.text + json.dumps(msgspec.to_builtins(entry))
    assert new_caller().get(f"/gdpr/erasure/{body['receiptId']}").status_code == 404


def test_an_erased_customer_counts_anew_even_with_a_key_another_process_has_cached(caller: Caller):
    seen = {"customerId": "ann", "offerId": "loan", "creativeId": "banner", "channelId": "web"}
    click = {**seen, "outcome": "click", "idempotencyKey": "key-1"}
    with running_api(caller.world) as client:
        other = caller.at(client)
        assert other.post("/respond", click).status_code == 201
        assert other.post("/respond", click).status_code == 200
        caller.record({**seen, "outcome": "click"})
        assert len(other.read("/interaction-history", params={"customerId": "ann"})["data"]) == 2
        erase(caller, "ann")
        assert other.post("/respond", click).status_code == 201
        rows = other.read("/interaction-summaries", params={"customerId": "ann", "periodType": "alltime"})["data"]
    assert {row["positive"] for row in rows} == {1}


def test_an_export_holds_every_row_of_the_customer_and_a_deletion_keeps_no_name(caller: Caller):
    happen(caller, "ann", "bob")
    exported = read_request(caller, requestType="export", subjectId="ann", subjectType="customer_id")
    assert exported["status"] == "completed"
    assert set(exported["result"]) >= {"interactions", "interaction_summaries", "customers", "event_claims"}
    assert all(row["customer_id"] == "ann" for rows in exported["result"].values() for row in rows)
    deleted = read_request(caller, requestType="delete", subjectId="ann", subjectType="customer_id")
    assert deleted["result"]["verified"] is True
    assert deleted["subjectId"] == f"sha256:{hash_customer(caller.tenant_id, 'ann')}"
    listed = caller.get("/dsar").json()
    assert [one["id"] for one in listed["requests"]] == [deleted["id"]]  # the export was about the same person
    assert listed["count"] == 1
    states = caller.store.client.query(
        "SELECT count() FROM dsar_requests WHERE tenant_id = {t:String} AND subject_id = 'ann'",
        parameters={"t": caller.tenant_id},
    ).result_rows
    assert states == [(0,)]


def test_an_export_is_whole_however_large_and_comes_in_pages(caller: Caller, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rapport.storage.dsar_exports.PAGE_ROWS", 70)
    write(caller.store, [event(NOW + number, tenant=caller.tenant_id) for number in range(1_234)])
    write(caller.store, [event(NOW, tenant=caller.tenant_id, customer="bob")])
    exported = read_request(caller, requestType="export", subjectId="ann", subjectType="customer_id")
    events = exported["result"]["interactions"]
    assert len({row["id"] for row in events}) == len(events) == 1_234
    assert {row["customer_id"] for row in events} == {"ann"}
    assert exported["id"].startswith("dsar-")
    assert exported["completedAt"]


def test_an_export_that_lacks_rows_is_not_complete_says_so_and_is_tried_again(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    write(caller.store, [event(NOW, tenant=caller.tenant_id)])
    copy_all = dsar_exports._copy

    def copy_less(store: Store, place: Location, *rest: Any) -> int:
        return copy_all(store, place, *rest) + (place.table == "interaction_log")

    with monkeypatch.context() as patched:
        patched.setattr(dsar_exports, "_copy", copy_less)
        asked = {"requestType": "export", "subjectId": "ann", "subjectType": "customer_id"}
        path = f"/dsar/{caller.post('/dsar', asked).json()['requestId']}"
        wait_until(lambda: caller.get(path).json()["result"], "an attempt has failed", seconds=60)
        unfinished = caller.get(path).json()
        assert "only 1 of 2 rows of interactions" in unfinished["result"]["reason"]
        assert unfinished["status"] in ("queued", "processing")
    wait_until(lambda: caller.get(path).json()["status"] == "completed", "it is whole", seconds=90)
    assert len(caller.get(path).json()["result"]["interactions"]) == 1


def test_requests_are_listed_by_status_and_type_and_are_the_tenants_own(caller: Caller, new_caller: CallerFactory):
    read_request(caller, requestType="export", subjectId="ann@example.org", subjectType="email")
    for query, count in (("", 1), ("?status=completed", 1), ("?status=failed", 0), ("?requestType=delete", 0)):
        assert caller.get(f"/dsar{query}").json()["count"] == count
    assert new_caller().get("/dsar").json() == {"requests": [], "count": 0}


def test_a_request_whose_process_died_is_taken_up_by_another(caller: Caller):
    lost = DsarRequest(
        tenant_id=caller.tenant_id,
        request_id="dsar-lost",
        request_type="export",
        subject_id="ann",
        subject_type="customer_id",
        requested_by="tests",
        requested_at_ms=1_773_585_000_000,
        status="processing",
        attempts=1,
        taken_at_ms=1_773_585_000_000,
        revision=2,
    )
    write_request(caller.store, lost)
    wait_until(
        lambda: list_requests(caller.store, caller.tenant_id)[0].status == "completed", "it is taken up", seconds=60
    )


def test_more_than_ten_requests_a_minute_are_refused(caller: Caller):
    statuses = [caller.post("/dsar", {"requestType": "export", "subjectId": ""}).status_code for _ in range(11)]
    assert statuses == [400] * 10 + [429]


def test_only_admins_erase_and_every_fault_is_named(caller: Caller):
    for role in (Role.VIEWER, Role.EDITOR):
        assert caller.post("/gdpr/erasure", {"customerId": "ann"}, role=role).status_code == 403
    answer = caller.post("/dsar", {"requestType": "copy", "subjectType": "phone"})
    assert answer.status_code == 400
    assert {fault["field"] for fault in answer.json()["details"]} == {"requestType", "subjectType", "subjectId"}


def test_how_long_data_is_kept_is_said_per_class_and_audited(caller: Caller, new_caller: CallerFactory):
    listed = caller.get("/admin/retention-configs").json()
    assert {(one["retentionDays"], one["legalHold"], one["updatedAt"]) for one in listed} == {(None, False, None)}
    body = {"dataClass": "interactions", "retentionDays": 365, "legalHold": True}
    changed = caller.ask("PUT", "/admin/retention-configs", json=body).json()
    assert changed.pop("updatedAt")
    assert changed == {"id": "interactions", **body}
    assert {one["retentionDays"] for one in caller.get("/admin/retention-configs").json()} == {365, None}
    assert {one["retentionDays"] for one in new_caller().get("/admin/retention-configs").json()} == {None}
    (entry,), _ = read_audit(caller.store, caller.tenant_id, AuditFilter(entity_type="retention_config"))
    assert entry.entity_id == "interactions"
    for wrong in ({**body, "retentionDays": 0}, {**body, "dataClass": "audit"}, {}):
        assert caller.ask("PUT", "/admin/retention-configs", json=wrong).status_code == 400


UPPER, LOWER = "Max.Muster@Example.com", "max.muster@example.com"


def profile(caller: Caller, **fields: Any) -> None:
    headers = {"X-API-Key": caller.keys[Role.ADMIN]}
    made = caller.client.post("/new/v2.0/profiles", json={"profile": fields}, headers=headers)
    assert made.status_code == 201, made.text


def test_whoever_prevents_collection_does_so_by_the_address_in_any_case(caller: Caller):
    """plunk#403: one address was two contacts, and the objection of one was not heard for the other."""
    stock(caller, *offer("loan"))
    profile(caller, email=UPPER, prevent_data_collection=True)

    def details() -> list[Any]:
        caller.record({"customerId": LOWER, "outcome": "click", "metadata": {"secret": 1}})
        rows = caller.read("/interaction-history", params={"customerId": LOWER})["data"]
        return [row["response"] for row in rows][:1]

    wait_until(lambda: details() in ([None], [{}]), "the worker knows", seconds=30)
    body = caller.post("/recommend", {"customerId": LOWER}).json()
    assert body["count"] == 0
    for customer in (LOWER, UPPER):
        answer = caller.read(f"/customers/{customer}/why-not/loan")
        assert "prevents data collection" in json.dumps(answer)
        resolved = caller.post("/identity", {"action": "resolve", "identifier": {"type": "email", "value": customer}})
        assert (resolved.status_code, resolved.json()["canonicalId"]) == (200, customer)
    linked = [{"type": "email", "value": "Eve@Example.com"}]
    caller.post("/identity", {"action": "link", "canonicalId": "eve", "identifiers": linked})
    resolved = caller.post(
        "/identity", {"action": "resolve", "identifier": {"type": "email", "value": "eve@EXAMPLE.com"}}
    )
    assert resolved.json()["canonicalId"] == "eve"


def test_a_deletion_by_an_address_finds_every_spelling_and_says_if_it_found_nothing(caller: Caller):
    profile(caller, email=UPPER)
    caller.record(
        {"customerId": UPPER, "outcome": "click"}, {"customerId": "MAX.muster@example.com", "outcome": "click"}
    )
    assert caller.ask("PUT", f"/customers/{LOWER}", json={"attributes": {"age": 41}}).status_code < 300
    caller.read("/interaction-history", params={"customerId": UPPER})
    exported = read_request(caller, requestType="export", subjectType="email", subjectId=LOWER)
    assert {row["customer_id"] for row in exported["result"]["interactions"]} == {UPPER, "MAX.muster@example.com"}
    done = read_request(caller, requestType="delete", subjectType="email", subjectId="max.MUSTER@example.com")
    assert (done["status"], done["nothingFound"]) == ("completed", False)
    counts = done["result"]["deletedCounts"]
    assert (counts["interactionHistory"], counts["dynamicSchemaRows"], counts["contactProfiles"]) == (2, 1, 1)
    spellings = (UPPER, LOWER, "MAX.muster@example.com")
    assert count_remains(caller.store, ErasureScope(caller.tenant_id, spellings, FOREVER_MS, only_old=False)) == {}
    for request_type in ("delete", "export"):
        nothing = read_request(caller, requestType=request_type, subjectType="email", subjectId="nobody@example.com")
        assert (nothing["status"], nothing["nothingFound"]) == ("completed", True)
    assert erase(caller, "nobody-at-all")["nothingFound"] is True

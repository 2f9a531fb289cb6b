from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rapport.domain.api_keys import Role

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

CHANNEL = {"id": "ch", "name": "Email", "channelType": "web"}


def test_every_change_is_in_the_log_with_who_what_and_how(caller: Caller):
    made = caller.post("/channels", CHANNEL, role=Role.EDITOR)
    caller.ask("PATCH", "/channels/ch", json={"channelType": "email"})
    caller.ask("DELETE", "/channels/ch")
    caller.post("/channels", CHANNEL)
    page = caller.get("/audit-logs").json()
    assert (page["total"], page["page"], page["limit"]) == (4, 1, 50)
    assert [(row["id"], row["action"], row["entityVersion"]) for row in page["logs"]] == [
        (4, "restore", 4),
        (3, "soft_delete", 3),
        (2, "update", 2),
        (1, "create", 1),
    ]
    update, create = page["logs"][2:]
    assert update["changes"] == {"channelType": {"from": "web", "to": "email"}}
    assert (update["before"], update["after"]) == (CHANNEL, {**CHANNEL, "channelType": "email"})
    assert (create["entityType"], create["entityId"], create["entityName"]) == ("channel", "ch", "Email")
    assert create["requestId"] == made.headers["x-trace-id"]
    assert create["userId"].startswith("key key_")
    assert create["userId"] != update["userId"]
    assert update["prevHash"] == create["integrityHash"]
    assert caller.get("/audit-logs/verify").json() == {
        "valid": True,
        "checked": 4,
        "firstBroken": None,
        "reason": None,
        "intact": True,
        "head": f"4:{caller.get('/audit-logs').json()['logs'][0]['integrityHash']}",
    }


def test_tampering_is_found(caller: Caller):
    for name in ("a", "b", "c"):
        caller.post("/channels", {"name": name, "channelType": "web"})
    caller.store.execute(
        f"ALTER TABLE audit_entry_log UPDATE after = '{{}}' WHERE tenant_id = '{caller.tenant_id}' AND seq = 2 "
        "SETTINGS mutations_sync = 2"
    )
    verdict = caller.get("/audit-logs/verify").json()
    assert (verdict["valid"], verdict["firstBroken"], verdict["reason"]) == (False, 2, "hash_mismatch")


def test_an_anchor_that_was_kept_shows_what_is_cut_off_or_written_anew(caller: Caller):
    for name in ("a", "b", "c"):
        caller.post("/outcome-types", {"key": name, "classification": "positive"})
    head = caller.get("/audit-logs/verify").json()["head"]
    caller.post("/outcome-types", {"key": "d", "classification": "positive"})
    assert caller.get("/audit-logs/verify", params={"anchor": head}).json()["valid"]
    of_tenant = f"tenant_id = '{caller.tenant_id}' AND seq >= 2"
    caller.store.execute(f"ALTER TABLE audit_entry_log DELETE WHERE {of_tenant} SETTINGS mutations_sync = 2")
    assert caller.get("/audit-logs/verify").json()["valid"]  # in itself
    verdict = caller.get("/audit-logs/verify", params={"anchor": head}).json()
    assert (verdict["valid"], verdict["firstBroken"], verdict["reason"]) == (False, 2, "anchor_missing")
    for name in ("e", "f", "g"):
        caller.post("/outcome-types", {"key": name, "classification": "positive"})
    verdict = caller.get("/audit-logs/verify", params={"anchor": head}).json()
    assert (verdict["valid"], verdict["firstBroken"], verdict["reason"]) == (False, 3, "anchor_mismatch")
    refused = caller.get("/audit-logs/verify", params={"anchor": "3"})
    assert [fault["field"] for fault in refused.json()["details"]] == ["anchor"]


def test_the_log_is_filtered_and_paged(caller: Caller):
    for name in ("a", "b", "c"):
        caller.post("/channels", {"id": name, "name": name, "channelType": "web"})
    caller.post("/categories", {"name": "Cards"})
    pages: list[list[str]] = []
    cursor = None
    while cursor is not None or not pages:
        params = {"entityType": "channel", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = caller.get("/audit-logs", params=params).json()
        assert page["total"] == page["pagination"]["total"] == 3
        pages.append([row["entityId"] for row in page["logs"]])
        cursor = page["pagination"]["nextCursor"]
    assert pages == [["c", "b"], ["a"]]
    numbered = caller.get("/audit-logs", params={"entityType": "channel", "limit": 2, "page": 2}).json()
    assert ([row["entityId"] for row in numbered["logs"]], numbered["total"]) == (["a"], 3)
    assert caller.get("/audit-logs", params={"page": 9}).json()["total"] == 4
    assert caller.get("/audit-logs", params={"action": "update"}).json()["logs"] == []
    assert caller.get("/audit-logs", params={"entityId": "b", "from": "2020-01-01"}).json()["total"] == 1
    assert caller.get("/audit-logs", params={"to": "2020-01-01"}).json()["total"] == 0
    refused = caller.get("/audit-logs", params={"from": "x", "cursor": "y"}).json()
    assert [fault["field"] for fault in refused["details"]] == ["from", "cursor"]


@pytest.mark.parametrize("path", ["/audit-logs", "/audit-logs/verify"])
def test_the_log_is_for_admins_and_nobody_writes_it(caller: Caller, path: str):
    assert caller.get(path, role=Role.EDITOR).status_code == 403
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert caller.ask(method, path).status_code == 405

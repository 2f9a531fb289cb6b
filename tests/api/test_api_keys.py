"""API keys: made, listed and revoked by admins; shown once; with a role, scopes and an end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from api.app import create_app
from api.auth.key_cache import KeyCache
from api.http.metrics import ApiMetrics
from api.http.route_options import PUBLIC
from api.runtime.versions import Versions
from rapport.domain.api_keys import SCOPES, Role, hash_key
from rapport.storage.api_keys import create_key, list_keys, revoke_key
from rapport.storage.database import Database
from tests.fixtures.api import PEPPER, api_settings, running_api
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory

READ: Final = "/interaction-history"


def made(caller: Caller, **fields: Any) -> Mapping[str, Any]:
    answer = caller.post("/api-keys", fields)
    assert answer.status_code == 201, answer.text
    body: Mapping[str, Any] = answer.json()
    return body


def listed(caller: Caller) -> list[Mapping[str, Any]]:
    answer = caller.get("/api-keys").json()
    assert answer["total"] == len(answer["data"])
    keys: list[Mapping[str, Any]] = answer["data"]
    return keys


def read_with(caller: Caller, key: str, path: str = READ) -> httpx.Response:
    return caller.get(path, headers={"X-API-Key": key})


def test_a_key_is_shown_once_and_opens_the_api(caller: Caller):
    key = made(caller, name="shop", role="viewer")
    assert set(key) == {"id", "name", "key", "prefix", "role", "scopes", "expiresAt", "createdAt", "warning"}
    assert key["prefix"] == key["key"][:12]
    assert key["key"].startswith("krn_")
    assert key["key"] not in caller.get("/api-keys").text
    assert read_with(caller, key["key"]).status_code == 200
    assert read_with(caller, key["key"], "/api-keys").status_code == 403


def test_a_key_without_fields_is_a_viewers_named_by_the_time(caller: Caller):
    key = made(caller)
    assert (key["role"], key["scopes"], key["expiresAt"]) == ("viewer", [], None)
    assert key["name"].startswith("key-")


def test_the_database_knows_a_keys_hash_under_the_pepper_only(caller: Caller):
    key = made(caller)
    rows = caller.store.client.query(
        "SELECT * FROM api_keys FINAL WHERE key_id = %(id)s", {"id": key["id"]}
    ).result_rows
    assert key["key"] not in str(rows)
    assert hash_key(key["key"], PEPPER) in str(rows)


def test_another_pepper_knows_no_key(api_world: World, caller: Caller):
    with running_api(api_world, RAPPORT_API_KEY_PEPPER="another-pepper-of-the-tests") as client:
        assert caller.at(client).get(READ).status_code == 401


def test_without_a_pepper_nobody_is_let_in(api_world: World, caller: Caller):
    with running_api(api_world, RAPPORT_API_KEY_PEPPER="") as client:
        assert caller.at(client).get(READ).status_code == 401


def test_the_list_says_what_keys_there_are_but_not_the_keys(caller: Caller):
    key = made(caller, name="shop", scopes=["history"])
    (found,) = [one for one in listed(caller) if one["id"] == key["id"]]
    assert set(found) == {"id", "name", "prefix", "role", "scopes", "expiresAt", "lastUsedAt", "createdAt"}
    shown = {name: value for name, value in key.items() if name not in {"key", "warning"}}
    assert found == {**shown, "lastUsedAt": None}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EDITOR])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_only_admins_see_make_and_revoke_keys(caller: Caller, role: Role, method: str):
    answer = caller.ask(method, "/api-keys", role=role, params={"id": "key_1"}, json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


def test_every_fault_of_a_body_is_named(caller: Caller):
    answer = caller.post("/api-keys", {"nam": "x", "role": "owner", "scopes": 3})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["details"]] == ["nam", "role", "scopes"]


@pytest.mark.parametrize("scopes", [["elsewhere"], [""], ["history", "History"], [1], "history", ["s" * 65]])
def test_scopes_are_areas_of_the_api(caller: Caller, scopes: Any):
    answer = caller.post("/api-keys", {"scopes": scopes})
    assert [fault["field"] for fault in answer.json()["details"]] == ["scopes"]
    assert made(caller, scopes=list(SCOPES))["id"]


def test_every_route_with_a_key_belongs_to_an_area_that_a_key_can_be_limited_to(caller: Caller):
    app: Any = create_app(api_settings(caller.world))
    while not hasattr(app, "routes"):
        app = app._app
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", ())]
    closed = [one for one in handlers if not one.opt.get(PUBLIC) and "OPTIONS" not in one.http_methods]
    areas = {one.opt.get("scope") for one in closed}
    assert areas == set(SCOPES)


def test_a_key_with_scopes_opens_only_what_belongs_to_them(caller: Caller):
    key = made(caller, scopes=["history", "traces"])["key"]
    assert read_with(caller, key).status_code == 200
    answer = read_with(caller, key, "/interaction-summaries?customerId=c")
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert "history, traces" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("fields", "excess"),
    [
        ({"role": "admin", "expiresAt": "2099-01-01T00:00:00Z"}, ["scopes"]),
        ({"scopes": [], "expiresAt": "2099-01-01T00:00:00Z"}, ["scopes"]),
        ({"scopes": ["api-keys", "history", "respond"], "expiresAt": "2099-01-01T00:00:00Z"}, ["scopes"]),
        ({"scopes": ["api-keys"]}, ["expiresAt"]),
        ({"scopes": ["api-keys"], "expiresAt": "2099-01-01T00:00:01Z"}, ["expiresAt"]),
        ({}, ["scopes", "expiresAt"]),
    ],
)
def test_no_key_makes_one_that_may_do_more(caller: Caller, fields: Mapping[str, Any], excess: list[str]):
    limits = {"role": "admin", "scopes": ["api-keys", "history"], "expiresAt": "2099-01-01T00:00:00Z"}
    headers = {"X-API-Key": made(caller, **limits)["key"]}
    count = len(listed(caller))
    answer = caller.post("/api-keys", fields, headers=headers)
    assert (answer.status_code, [fault["field"] for fault in answer.json()["details"]]) == (403, excess)
    assert len(listed(caller)) == count
    assert caller.post("/api-keys", {**limits, "scopes": ["history"]}, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "expires_at",
    [
        "9999-12-31T23:59:59-05:00",
        "9999-12-31T23:59:59Z",
        "2100-01-01T00:00:00.001Z",
        "0001-01-01T00:00:00+14:00",
        "2300-01-01",
        "12026-03-15T00:00:00Z",
    ],
)
def test_a_key_expires_before_2100_or_never(caller: Caller, expires_at: str):
    answer = caller.post("/api-keys", {"expiresAt": expires_at})
    assert (answer.status_code, [fault["field"] for fault in answer.json()["details"]]) == (400, ["expiresAt"])
    assert "2100-01-01" in answer.json()["detail"]


def test_a_key_that_was_stored_with_any_expiry_hides_no_other(caller: Caller):
    now_ms = int(time.time() * 1000)
    for expires_at_ms in (253_402_318_799_999, -62_135_596_800_001, 1 << 52):
        create_key(caller.store, caller.tenant_id, Role.VIEWER, PEPPER, now_ms, name="odd", expires_at_ms=expires_at_ms)
    odd = [one for one in listed(caller) if one["name"] == "odd"]
    assert len(odd) == 3
    for one in odd:
        assert caller.ask("DELETE", "/api-keys", params={"id": one["id"]}).status_code == 204
    assert "odd" not in {one["name"] for one in listed(caller)}


@pytest.mark.parametrize("expires_at", ["2020-01-01T00:00:00Z", "tomorrow", "", "9999999999999"])
def test_a_key_cannot_expire_in_the_past_or_never_understood(caller: Caller, expires_at: str):
    answer = caller.post("/api-keys", {"expiresAt": expires_at})
    assert [fault["field"] for fault in answer.json()["details"]] == ["expiresAt"]


def test_a_key_is_refused_from_its_expiry_on(caller: Caller):
    soon = datetime.now(UTC) + timedelta(seconds=5)
    key = made(caller, expiresAt=soon.isoformat())
    assert read_with(caller, key["key"]).status_code == 200
    wait_until(lambda: read_with(caller, key["key"]).status_code == 401, "the key has expired")
    assert datetime.now(UTC) >= soon
    assert key["id"] in {one["id"] for one in listed(caller)}  # expired keys are listed, revoked ones are not


def test_a_revoked_key_is_gone_from_the_list_and_cannot_be_revoked_again(caller: Caller):
    key = made(caller)
    assert caller.ask("DELETE", "/api-keys", params={"id": key["id"], "reason": "lost"}).status_code == 204
    assert key["id"] not in {one["id"] for one in listed(caller)}
    assert caller.ask("DELETE", "/api-keys", params={"id": key["id"]}).status_code == 404
    assert read_with(caller, key["key"]).status_code == 401


def test_the_audit_log_names_who_made_and_revoked_a_key_and_never_the_key(caller: Caller):
    key = made(caller, name="shop", role="editor", scopes=["history"])
    caller.ask("DELETE", "/api-keys", params={"id": key["id"], "reason": "lost"})
    answer = caller.get("/audit-logs", params={"entityType": "api_key"})
    revoked, created = answer.json()["logs"]
    assert (created["action"], revoked["action"]) == ("create", "revoke")
    assert {(one["entityId"], one["entityName"]) for one in (created, revoked)} == {(key["id"], "shop")}
    assert created["after"] == {"name": "shop", "role": "editor", "scopes": ["history"], "expiresAtMs": None}
    assert revoked["changes"]["revokedReason"]["to"] == "lost"
    admin = next(one["id"] for one in listed(caller) if one["role"] == "admin")
    assert {created["userId"], revoked["userId"]} == {f"key {admin}"}
    assert key["prefix"] not in answer.text
    assert hash_key(key["key"], PEPPER) not in answer.text
    assert caller.get("/audit-logs/verify").json()["valid"]


def test_an_id_is_needed_to_revoke_a_key(caller: Caller):
    answer = caller.ask("DELETE", "/api-keys")
    assert [fault["field"] for fault in answer.json()["details"]] == ["id"]


def test_a_running_api_notices_a_revocation_by_another_process(api_world: World, caller: Caller):
    with running_api(api_world, RAPPORT_API_KEY_CACHE_S="0.5") as client:
        here = caller.at(client)
        key = made(caller)
        assert read_with(here, key["key"]).status_code == 200
        caller.ask("DELETE", "/api-keys", params={"id": key["id"]})
        wait_until(lambda: read_with(here, key["key"]).status_code == 401, "the revocation is noticed")


def test_use_is_noted_and_shown(api_world: World, new_caller: CallerFactory):
    caller = new_caller()
    began = datetime.now(UTC) - timedelta(milliseconds=1)
    with running_api(api_world) as client:  # it writes uses every ten seconds, and when it stops
        assert caller.at(client).get(READ, role=Role.VIEWER).status_code == 200
    used = {one["role"]: one["lastUsedAt"] for one in listed(caller)}
    assert used["admin"] is None
    assert began <= datetime.fromisoformat(used["viewer"]) <= datetime.now(UTC)


@dataclass(slots=True)
class Clock:
    now: float

    def __call__(self) -> float:
        return self.now


def test_what_was_looked_up_is_trusted_for_less_than_15_seconds(api_world: World, caller: Caller):
    settings = api_settings(api_world)
    assert settings.api.key_cache_s <= 15
    clock = Clock(time.time())
    store = caller.store
    key, stored = create_key(store, caller.tenant_id, Role.VIEWER, PEPPER, 0)

    async def check() -> None:
        database = Database(settings.clickhouse, ApiMetrics().time_query)
        keyring = KeyCache(database, settings.api, Versions(None), clock=clock)
        assert await keyring.recognise(key)
        assert revoke_key(store, caller.tenant_id, stored.key_id, 1)
        clock.now += settings.api.key_cache_s - 0.1
        assert await keyring.recognise(key)
        clock.now += 0.1
        assert await keyring.recognise(key) is None
        database.close()

    asyncio.run(check())
    assert stored.key_id not in {one.key_id for one in list_keys(store, caller.tenant_id)}


def test_many_requests_with_a_key_look_it_up_once(api_world: World, caller: Caller):
    settings = api_settings(api_world)
    metrics = ApiMetrics()

    async def ask() -> None:
        database = Database(settings.clickhouse, metrics.time_query)
        keyring = KeyCache(database, settings.api, Versions(None))
        keys = await asyncio.gather(*(keyring.recognise(caller.keys[Role.VIEWER]) for _ in range(50)))
        assert {key and key.tenant_id for key in keys} == {caller.tenant_id}
        database.close()

    asyncio.run(ask())
    assert 'rapport_query_seconds_count{query="api_keys/by_hash"} 1.0' in metrics.render().decode()

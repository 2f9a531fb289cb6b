"""Contact profiles: the documented bodies and answers, permissions, and the life of a profile."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from api.http.metrics import ApiMetrics
from rapport.application.contact_profiles.expiry import GRACE_MS, remove_expired
from rapport.domain.api_keys import Role
from rapport.domain.periods import DAY_MS
from rapport.storage.contact_profiles import read_profiles
from rapport.storage.database import Database
from tests.api.contact_profile_calls import MOUNTS, ROUTE, SEED, ask, made
from tests.api.decision_catalogue import api_with_clock, offer, offers_of, recommend, stock
from tests.fixtures.api import api_settings

if TYPE_CHECKING:
    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory

NOBODY: Final = "0" * 24


def shown(caller: Caller, profile_id: str) -> dict[str, Any]:
    answer = ask(caller, "GET", f"{ROUTE}/{profile_id}")
    assert answer.status_code == 200, answer.text
    entity: dict[str, Any] = answer.json()
    return entity


def listed(caller: Caller, **params: Any) -> list[str]:
    answer = ask(caller, "GET", ROUTE, params=params)
    assert answer.status_code == 200, answer.text
    return [one["_id"] for one in answer.json()["data"]]


@pytest.mark.parametrize("mount", MOUNTS)
def test_the_documented_request_gets_the_documented_answer(caller: Caller, mount: str):
    before = int(time.time())
    answer = ask(caller, "POST", mount, json=SEED)
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    body = answer.json()
    assert {name: body[name] for name in ("profile", "active", "contactIds")} == {
        name: SEED[name] for name in ("profile", "active", "contactIds")
    }
    assert list(body) == [
        *("profile", "active", "contactIds"),
        *("_id", "createdAt", "lastChanged", "createdBy", "lastChangedBy"),
    ]
    for name in ("_id", "createdBy", "lastChangedBy"):
        assert re.fullmatch("[a-z0-9]{24}", body[name])
    assert before <= body["createdAt"] == body["lastChanged"] <= time.time()
    assert answer.headers["location"] == f"{mount}/{body['_id']}"
    for other in MOUNTS:
        assert ask(caller, "GET", f"{other}/{body['_id']}").json() == body


def test_there_are_no_such_routes_below_api_v1(caller: Caller):
    assert caller.get("/profiles").status_code == 404


def test_the_author_is_the_key_whoever_asks_again(caller: Caller):
    entity = made(caller)
    assert made(caller)["createdBy"] == entity["createdBy"]
    path = f"{ROUTE}/{entity['_id']}"
    assert ask(caller, "PATCH", path, role=Role.EDITOR, json={"active": True}).status_code == 204
    changed = shown(caller, entity["_id"])
    assert changed["createdBy"] == entity["createdBy"] != changed["lastChangedBy"]


def test_a_patch_merges_the_fields_and_replaces_the_rest(caller: Caller):
    entity = made(
        caller,
        profile={"firstname": "Max", "lastname": "M", "privacy_policy": {"a": 1, "b": {"c": 2}}},
        contactIds=["a"],
    )
    path = f"{ROUTE}/{entity['_id']}"
    change = {"profile": {"lastname": None, "own": [1], "privacy_policy": {"b": {"c": None, "d": 3}}}}
    answer = ask(caller, "PATCH", path, json=change)
    assert (answer.status_code, answer.content) == (204, b"")
    expected = {"firstname": "Max", "own": [1], "privacy_policy": {"a": 1, "b": {"d": 3}}}
    after = shown(caller, entity["_id"])
    assert (after["profile"], after["contactIds"], after["active"]) == (expected, ["a"], True)
    change = {"contactIds": ["b", "c", "b"], "active": False}
    answer = ask(caller, "PATCH", path, json=change, headers={"Prefer": "return=representation"})
    assert (answer.status_code, answer.headers["preference-applied"]) == (200, "return=representation")
    assert answer.json() == shown(caller, entity["_id"])
    assert answer.json() | {"contactIds": ["b", "c"], "active": False, "profile": expected} == answer.json()


def test_a_deleted_profile_is_gone_with_all_its_versions(caller: Caller):
    profile_id = made(caller, profile={"firstname": "Max"})["_id"]
    ask(caller, "PATCH", f"{ROUTE}/{profile_id}", json={"profile": {"lastname": "M"}})
    answer = ask(caller, "DELETE", f"{ROUTE}/{profile_id}")
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("GET", "PATCH", "DELETE"):
        assert ask(caller, method, f"{ROUTE}/{profile_id}", json={}).status_code == 404
    assert listed(caller, active="all") == []
    sql = "SELECT count(), sum(ended = 'deleted') FROM contact_profile_versions WHERE profile_id = {id:String}"
    assert caller.store.client.query(sql, parameters={"id": profile_id}).result_rows == [(1, 1)]


def test_a_merge_takes_contact_ids_memories_and_objections_and_ends_the_source(caller: Caller):
    memory, other = ({"id": str(n), "timestamp": "2024-09-23T08:37:00Z", "text": "x"} for n in range(2))
    person = {"firstname": "Eve", "memories": [memory, other], "prevent_data_collection": True, "accepted_gdpr": False}
    source = made(caller, profile=person, contactIds=["b", "a"])
    target = made(caller, profile={"firstname": "Max", "memories": [memory]}, contactIds=["a", "c"])
    path = f"{ROUTE}/{target['_id']}/merge"
    answer = ask(caller, "POST", path, json={"sourceId": source["_id"]})
    assert answer.status_code == 200
    assert answer.json() == shown(caller, target["_id"])
    assert answer.json()["contactIds"] == ["a", "c", "b"]
    assert answer.json()["profile"] == {**person, "firstname": "Max"}
    assert ask(caller, "GET", f"{ROUTE}/{source['_id']}").status_code == 404
    assert ask(caller, "POST", path, json={"sourceId": source["_id"]}).status_code == 404
    assert ask(caller, "POST", path, json={"sourceId": target["_id"]}).status_code == 400
    assert listed(caller) == [target["_id"]]


def test_lists_hide_inactive_profiles_filter_and_page(caller: Caller):
    ids = [made(caller, contactIds=["a", f"c{n}"], profile={"email": f"M{n}@x.org"})["_id"] for n in range(5)]
    hidden = made(caller, active=False, contactIds=["a"], projectId=SEED["projectId"])["_id"]
    assert set(listed(caller)) == set(ids)
    assert listed(caller, active="false") == [hidden]
    assert set(listed(caller, active="all", contactId="a")) == {*ids, hidden}
    assert listed(caller, contactId="c3") == [ids[3]]
    assert listed(caller, email="m2@X.org") == [ids[2]]
    assert listed(caller, active="all", projectId=SEED["projectId"]) == [hidden]
    found, path = [], f"{ROUTE}?limit=2&contactId=a"
    while path:
        answer = ask(caller, "GET", path)
        page = answer.json()
        assert (page["pagination"]["total"], page["pagination"]["limit"]) == (5, 2)
        found += [one["_id"] for one in page["data"]]
        link = answer.headers.get("link")
        path = link and re.fullmatch('<(.+)>; rel="next"', link)[1]
        assert page["pagination"]["hasMore"] == bool(path)
    assert found == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["profile"]),
        (
            {"profile": 3, "nope": 1, "contactIds": [""], "projectId": "x"},
            ["contactIds", "nope", "profile", "projectId"],
        ),
        ({"profile": SEED["profile"], "projectId": f"{SEED['projectId']}\n"}, ["projectId"]),
        ({"profile": {"firstname": 1, "tasks": "x", "accepted_gdpr": None}}, ["accepted_gdpr", "tasks", "firstname"]),
        ({"profile": {"memories": [{"id": "1", "text": "x"}], "age": 2**53, "deep": {"n": -(2.0**53)}}}, None),
        ({"profile": {"own": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}}, ["own"]),
        ({"profile": {"": 1}}, ["profile"]),
        ({"profile": {}, "contactIds": [f"c{n}" for n in range(1_001)]}, ["contactIds"]),
    ],
)
def test_every_fault_of_a_body_is_named(caller: Caller, body: dict[str, Any], fields: list[str] | None):
    answer = ask(caller, "POST", ROUTE, json=body)
    assert answer.status_code == 400
    named = [fault["field"].removeprefix("profile.") for fault in answer.json()["details"]]
    assert named == (["memories", "age", "deep"] if fields is None else fields)


def test_numbers_reach_up_to_2_to_the_53_minus_1(caller: Caller):
    person = {"most": 2**53 - 1, "least": -(2**53 - 1), "half": 0.5}
    assert made(caller, profile=person)["profile"] == person


@pytest.mark.parametrize("media_type", ["application/xml", "text/xml", "text/csv", "application/hal+json"])
def test_bodies_are_json(caller: Caller, media_type: str):
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><profile>&a;</profile>'
    for method, path in (("POST", ROUTE), ("PATCH", f"{ROUTE}/{NOBODY}"), ("POST", f"{ROUTE}/{NOBODY}/merge")):
        answer = ask(caller, method, path, content=bomb, headers={"Content-Type": media_type})
        assert answer.status_code == 415


def test_the_schema_is_that_of_every_project(caller: Caller):
    answer = ask(caller, "GET", f"{ROUTE}/schema/{SEED['projectId']}")
    assert list(answer.json()) == ["profile", "active", "contactIds"]
    assert set(SEED["profile"]) == set(answer.json()["profile"]["properties"])
    assert ask(caller, "GET", f"{ROUTE}/schema/x").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "", Role.VIEWER),
        ("GET", "/{}", Role.VIEWER),
        ("GET", f"/schema/{NOBODY}", Role.VIEWER),
        ("POST", "", Role.EDITOR),
        ("PATCH", "/{}", Role.EDITOR),
        ("POST", "/{}/merge", Role.EDITOR),
        ("DELETE", "/{}", Role.EDITOR),
    ],
)
def test_viewers_read_and_editors_write(caller: Caller, method: str, path: str, role: Role):
    target = ROUTE + path.format(made(caller)["_id"])
    body = {"sourceId": made(caller)["_id"]} if path.endswith("merge") else {"profile": {}} if method == "POST" else {}
    for one in Role:
        status = ask(caller, method, target, role=one, json=body).status_code
        assert (status == 403) == (not one.includes(role))
        if status < 300:
            break
    caller_without_key = caller.client.request(method, target, json=body)
    assert caller_without_key.status_code == 401


def test_the_key_may_come_as_a_parameter_here_and_only_here(caller: Caller, capsys: pytest.CaptureFixture[str]):
    key = caller.keys[Role.VIEWER]
    client = caller.client
    assert client.get(ROUTE, params={"api_key": key}).status_code == 200
    assert client.get(ROUTE, headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert client.get(ROUTE, params={"api_key": key}, headers={"X-API-Key": key}).status_code == 200
    assert client.get(ROUTE, params={"api_key": "krn_" + "x" * 40}).status_code == 401
    other = {"X-API-Key": caller.keys[Role.ADMIN]}
    assert client.get(ROUTE, params={"api_key": key}, headers=other).status_code == 401
    assert client.get(ROUTE, params={"api_key": [key, caller.keys[Role.ADMIN]]}).status_code == 401
    assert client.get("/api/v1/interaction-history", params={"api_key": key}).status_code == 401
    failed = client.get(f"{ROUTE}/{NOBODY}", params={"api_key": key})
    assert key not in failed.text
    page = client.get(ROUTE, params={"api_key": key}, headers={"Accept": "application/hal+json"})
    assert key not in page.text
    written = capsys.readouterr()
    assert key not in written.out + written.err


def test_nobody_sees_or_changes_the_profiles_of_another_tenant(new_caller: CallerFactory):
    caller, other = new_caller(), new_caller()
    entity = made(other, profile={"firstname": "Max"}, contactIds=["a"])
    mine = made(caller)["_id"]
    path = f"{ROUTE}/{entity['_id']}"
    for method in ("GET", "PATCH", "DELETE"):
        assert ask(caller, method, path, json={}).status_code == 404
    assert ask(caller, "POST", f"{path}/merge", json={"sourceId": mine}).status_code == 404
    assert ask(caller, "POST", f"{ROUTE}/{mine}/merge", json={"sourceId": entity["_id"]}).status_code == 404
    assert listed(caller, active="all", contactId="a") == []
    assert listed(caller, active="all", cursor="z" * 24) == [mine]
    assert shown(other, entity["_id"]) == entity


def test_what_nobody_reads_or_changes_for_30_days_is_gone_at_once(api_world: World, caller: Caller):
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        began_ms = clock.at_ms = 1_800_000_000_000
        read, changed, left, filtered = (made(here, contactIds=[f"c{n}"])["_id"] for n in range(4))
        clock.at_ms = began_ms + 30 * DAY_MS
        shown(here, read)
        assert ask(here, "PATCH", f"{ROUTE}/{changed}", json={}).status_code == 204
        assert listed(here, contactId="c3") == [filtered]
        clock.at_ms += 1
        for method in ("GET", "PATCH", "DELETE"):
            assert ask(here, method, f"{ROUTE}/{left}", json={}).status_code == 404
        assert shown(here, read)["_id"] == read
        assert shown(here, filtered)["_id"] == filtered
        assert shown(here, changed)["lastChanged"] == (began_ms + 30 * DAY_MS) // 1000
    with api_with_clock(api_world) as (client, again):  # what was read has been noted
        again.at_ms = clock.at_ms + 1
        assert sorted(listed(caller.at(client))) == sorted([read, changed, filtered])
    with api_with_clock(api_world, RAPPORT_API_PROFILE_RETENTION_DAYS="0") as (client, again):
        again.at_ms = began_ms + 10_000 * DAY_MS
        assert shown(caller.at(client), left)["createdAt"] == 1_800_000_000


def test_expired_profiles_are_removed_when_every_process_has_noted_its_reads(api_world: World, caller: Caller):
    now_ms = 0
    settings = api_settings(api_world)

    async def check() -> None:
        nonlocal now_ms
        database = Database(settings.clickhouse, ApiMetrics().time_query)
        profile_id = made(caller, profile={"firstname": "Max"})["_id"]
        (found,) = read_profiles(caller.store, caller.tenant_id, [profile_id])
        now_ms = found.touched_at_ms + 30 * DAY_MS + GRACE_MS
        assert await remove_expired(database, lambda: now_ms, 0) == 0
        await remove_expired(database, lambda: now_ms, 30)
        (left,) = read_profiles(caller.store, caller.tenant_id, [profile_id])
        assert left == found
        now_ms += 1
        assert await remove_expired(database, lambda: now_ms, 30) >= 1
        (gone,) = read_profiles(caller.store, caller.tenant_id, [profile_id])
        assert (gone.profile.ended, gone.profile.fields) == ("expired", {})
        database.close()

    asyncio.run(check())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"profile": {"prevent_data_collection": True}}, "prevents data collection"),
        ({"profile": {"accepted_gdpr": False}}, "GDPR terms are not accepted"),
        ({"active": False}, "is not active"),
    ],
)
def test_nothing_is_recommended_to_whom_a_profile_objects(caller: Caller, body: dict[str, Any], reason: str):
    stock(caller, *offer("gold"))
    profile_id = made(caller, contactIds=["max"], **body)["_id"]
    refused = recommend(caller, "max", debug=True)
    assert offers_of(refused) == []
    (removal,) = refused["traceSummary"]["removals"]
    assert reason in removal["reason"]
    assert offers_of(recommend(caller, "eve")) == ["gold"]
    kinder = {"active": True, "profile": {"prevent_data_collection": False, "accepted_gdpr": True}}
    assert ask(caller, "PATCH", f"{ROUTE}/{profile_id}", json=kinder).status_code == 204
    assert offers_of(recommend(caller, "max")) == ["gold"]

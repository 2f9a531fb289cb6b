from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from api.catalogue.resources import RESOURCES
from rapport.domain.api_keys import Role

if TYPE_CHECKING:
    from tests.fixtures.api import Caller

PATHS = {resource.kind: resource.path for resource in RESOURCES}
RESOURCES_BY_KIND = {resource.kind: resource for resource in RESOURCES}
ALL_KINDS = pytest.mark.parametrize("kind", list(PATHS))
NEEDS = {
    "placement": [("channel", {"id": "ch_web", "name": "Web", "channelType": "web"})],
    "sub_category": [("category", RESOURCES_BY_KIND["category"].fields)],
    "offer": [("category", RESOURCES_BY_KIND["category"].fields)],
    "creative": [
        ("category", RESOURCES_BY_KIND["category"].fields),
        ("offer", RESOURCES_BY_KIND["offer"].fields),
        ("channel", RESOURCES_BY_KIND["channel"].fields),
    ],
    "decision_flow": [("channel", {"id": "ch_web", "name": "Web", "channelType": "web"})],
    "experiment": [
        ("model", RESOURCES_BY_KIND["model"].fields),
        ("model", {**RESOURCES_BY_KIND["model"].fields, "id": "mod_b", "key": "b", "name": "B"}),
    ],
}


UNTOUCHED = {"segment": {"status": "draft"}}
"""What keeps the refreshes of active segments out of a test that compares versions."""


def made(caller: Caller, kind: str, fields: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Make an entity and return it."""
    answer = caller.post(PATHS[kind], {**(RESOURCES_BY_KIND[kind].fields if fields is None else fields), **changes})
    assert answer.status_code == 201, answer.text
    return answer.json()


def prepare(caller: Caller, kind: str) -> None:
    """Make what the example of a kind refers to."""
    for needed, fields in NEEDS.get(kind, ()):
        made(caller, needed, fields)


def keeps(entity: Any, given: Any) -> bool:
    """Whether an entity has all that was given; it may have defaults beside."""
    if isinstance(given, dict):
        return all(name in entity and keeps(entity[name], value) for name, value in given.items())
    if isinstance(given, list):
        return len(entity) == len(given) and all(map(keeps, entity, given))
    return entity == given


def read_faults(answer: Any, status: int = 400) -> list[str]:
    assert answer.status_code == status, answer.text
    return [fault["field"] for fault in answer.json()["details"]]


@ALL_KINDS
def test_an_entity_is_made_read_replaced_changed_listed_and_deleted(caller: Caller, kind: str):
    prepare(caller, kind)
    path, example = PATHS[kind], RESOURCES_BY_KIND[kind].fields
    entity = made(caller, kind, **UNTOUCHED.get(kind, {}))
    assert keeps(entity, example | UNTOUCHED.get(kind, {}))
    assert (entity["version"], entity["tenantId"], entity["deletedAt"]) == (1, caller.tenant_id, None)
    one = f"{path}/{entity['id']}"
    got = caller.get(one, role=Role.VIEWER)
    assert got.json() == (entity | {"publishedVersions": []} if kind == "decision_flow" else entity)
    assert got.headers["etag"] == '"1"'
    assert caller.ask("PUT", one, json=entity).json() == entity, "what is sent back as it is changes nothing"
    replaced = caller.ask("PUT", one, json={**entity, "name": "Another"}).json()
    assert (replaced["name"], replaced["version"]) == ("Another", 2)
    changed = caller.ask("PATCH", one, json={"description": "Said", "status": "paused"}).json()
    expected = {**replaced, "description": "Said", "status": "paused", "version": 3, "updatedAt": changed["updatedAt"]}
    assert changed == (expected | {"rowVersion": 3} if kind == "decision_flow" else expected)
    assert [row["id"] for row in caller.get(path, params={"status": "paused"}).json()["data"]] == [entity["id"]]
    assert caller.get(path, params={"q": "aNoth", "status": "draft"}).json()["data"] == []
    assert caller.ask("DELETE", one).status_code == 204
    assert caller.get(one).status_code == 404
    assert entity["id"] not in [row["id"] for row in caller.get(path).json()["data"]]
    deleted = caller.get(path, params={"includeDeleted": True, "name": "Another"}).json()["data"]
    assert [row["deletedAt"] is not None for row in deleted] == [True]
    versions = caller.get(f"{one}/versions").json()["data"]
    assert [(row["version"], row["name"]) for row in versions] == [
        (4, "Another"),
        (3, "Another"),
        (2, "Another"),
        (1, entity["name"]),
    ]


@ALL_KINDS
def test_viewers_read_and_policies_and_rules_are_for_admins(caller: Caller, kind: str):
    path, example = PATHS[kind], RESOURCES_BY_KIND[kind].fields
    prepare(caller, kind)
    assert caller.post(path, example, role=Role.VIEWER).status_code == 403
    expected = 403 if kind in ("contact_policy", "suppression_rule", "qualification_rule") else 201
    assert caller.post(path, example, role=Role.EDITOR).status_code == expected


def test_every_fault_of_an_entity_is_named(caller: Caller):
    assert read_faults(caller.post("/offers", {"priority": 101, "nme": "x", "schedule": 3})) == [
        "name",
        "nme",
        "priority",
        "schedule",
    ]
    assert read_faults(
        caller.post("/creatives", {"name": "x", "offerId": "none", "channelId": "none", "placementId": "none"})
    ) == ["offerId", "channelId", "placementId"]
    assert read_faults(caller.post("/contact-policies", {"name": "x", "ruleType": "cooldown", "scope": "offer"})) == [
        "scopeId",
        "config.cooldownHours",
    ]
    assert read_faults(caller.post("/offers", [1])) == ["body"]


def test_keys_and_names_that_tell_apart_are_unique(caller: Caller):
    made(caller, "ranking_profile")
    twin = {**RESOURCES_BY_KIND["ranking_profile"].fields, "id": "rp_other"}
    assert read_faults(caller.post("/ranking-profiles", twin)) == ["key", "name"]
    assert caller.post("/ranking-profiles", {**twin, "id": "rp_margin"}).status_code == 409
    del twin["key"]
    assert made(caller, "ranking_profile", {**twin, "name": "Margin, first!"})["key"] == "margin-first-2"


def test_a_change_of_an_older_version_is_refused_with_the_newest(caller: Caller):
    made(caller, "channel")
    assert caller.ask("PATCH", "/channels/ch_email", json={"description": "a", "version": 1}).status_code == 200
    for change in (
        {"json": {"description": "b", "version": 1}},
        {"json": {"description": "b", "rowVersion": 1}},
        {"json": {"description": "b"}, "headers": {"If-Match": '"1"'}},
    ):
        answer = caller.ask("PATCH", "/channels/ch_email", **change)
        assert read_faults(answer, 409) == ["version"]
        assert (answer.json()["code"], answer.headers["etag"]) == ("CONFLICT", '"2"')
    assert caller.ask("DELETE", "/channels/ch_email", headers={"If-Match": '"1"'}).status_code == 409
    assert caller.ask("DELETE", "/channels/ch_email", headers={"If-Match": 'W/"2"'}).status_code == 204
    assert read_faults(caller.ask("PATCH", "/channels/x", json={}, headers={"If-Match": "new"})) == ["If-Match"]
    assert read_faults(caller.ask("PATCH", "/channels/x", json={"version": "1"})) == ["version"]


def test_of_two_changes_of_one_version_at_once_exactly_one_is_refused(caller: Caller):
    made(caller, "channel")
    for version in range(1, 6):
        together = threading.Barrier(2)

        def change(text: str, version: int = version, together: threading.Barrier = together) -> int:
            together.wait()
            answer = caller.ask("PATCH", "/channels/ch_email", json={"description": text, "version": version})
            return answer.status_code

        with ThreadPoolExecutor(2) as threads:
            statuses = list(threads.map(change, (f"a{version}", f"b{version}")))
        assert sorted(statuses) == [200, 409]
    assert caller.get("/channels/ch_email").json()["version"] == 6


def test_a_merge_patch_reaches_into_objects_and_null_takes_back_to_the_default(caller: Caller):
    prepare(caller, "offer")
    made(caller, "offer")
    patch = {"frequencyCaps": {"daily": None, "monthly": 9}, "priority": None, "customFields": {"fee": 3}}
    changed = caller.ask("PATCH", "/offers/off_abc123", json=patch).json()
    assert changed["frequencyCaps"] == {"daily": None, "weekly": 3, "monthly": 9}
    assert changed["priority"] == 50
    assert changed["customFields"] == {"apr": 12.9, "fee": 3}
    assert read_faults(caller.ask("PATCH", "/offers/off_abc123", json={"name": None, "id": "other"})) == ["id"]
    assert read_faults(caller.ask("PATCH", "/offers/off_abc123", json={"name": None, "tags": "x"})) == ["name", "tags"]


@pytest.mark.parametrize(
    ("kind", "older", "newer"),
    [
        ("placement", {"status": "inactive"}, {"status": "paused"}),
        ("category", {"customFields": [{"name": "apr"}]}, {"customFields.key": "apr"}),
        ("offer", {"frequencyCaps": {"perCustomer": {"daily": 2}}}, {"frequencyCaps.daily": 2}),
        ("creative", {"offerId": None, "actionId": "off_abc123"}, {"offerId": "off_abc123"}),
        ("creative", {"personalization": [{"key": "name"}]}, {"personalization.variable": "name"}),
        ("qualification_rule", {"stage": "suitability"}, {"stage": "match", "decisioningStage": "match"}),
        ("experiment", {"status": "completed"}, {"status": "archived"}),
        (
            "contact_policy",
            {"scopes": [{"id": "x", "contactPolicyId": "y", "scope": "channel", "scopeId": "*"}]},
            {"scopes.scopeId": "*"},
        ),
    ],
)
def test_older_names_and_forms_are_understood(caller: Caller, kind: str, older: dict[str, Any], newer: dict[str, Any]):
    prepare(caller, kind)
    fields = {**RESOURCES_BY_KIND[kind].fields, **older}
    entity = made(caller, kind, {name: value for name, value in fields.items() if value is not None})
    for path, value in newer.items():
        found: Any = entity
        for name in path.split("."):
            found = (found[0] if isinstance(found, list) else found)[name]
        assert found == value


def test_pages_hold_every_entity_once_in_the_documented_order(caller: Caller):
    for number, priority in enumerate([10, 90, 50, 90, 70]):
        made(caller, "contact_policy", id=f"cp{number}", name=f"P{number}", priority=priority)
    seen: list[str] = []
    cursor = None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = caller.get("/contact-policies", params=params).json()
        assert page["pagination"]["total"] == 5
        seen += [row["id"] for row in page["data"]]
        cursor = page["pagination"]["nextCursor"]
        assert page["pagination"]["hasMore"] is bool(cursor)
        if cursor is None:
            break
    assert seen == ["cp3", "cp1", "cp4", "cp2", "cp0"]
    assert read_faults(caller.get("/contact-policies", params={"cursor": "x"})) == ["cursor"]
    assert read_faults(caller.get("/contact-policies", params={"status": "x"})) == ["status"]


@pytest.mark.parametrize(
    ("path", "params", "found"),
    [
        ("/creatives", {"offerId": "off_abc123"}, 1),
        ("/creatives", {"actionId": "off_abc123", "channelId": "other"}, 0),
        ("/offers", {"categoryId": "cat_cards", "tag": "upgrade"}, 1),
        ("/offers", {"tag": "up"}, 0),
        ("/channels", {"channelType": "email"}, 1),
    ],
)
def test_lists_are_filtered_by_what_belongs_to_their_kind(
    caller: Caller, path: str, params: dict[str, str], found: int
):
    prepare(caller, "creative")
    made(caller, "creative")
    assert len(caller.get(path, params=params).json()["data"]) == found


def test_creatives_end_with_their_offer(caller: Caller):
    prepare(caller, "creative")
    made(caller, "creative")
    assert caller.ask("DELETE", "/offers/off_abc123").status_code == 204
    assert caller.get("/creatives/cr_001").status_code == 404
    made(caller, "offer")
    assert caller.get("/offers/off_abc123").json()["version"] == 3


def test_an_offer_becomes_mandatory_by_an_admin_for_a_reason_and_for_a_time(caller: Caller):
    prepare(caller, "offer")
    made(caller, "offer")
    mandate = {"mandatory": True, "mandatoryReason": "law", "mandatoryExpiresAt": "2099-01-01T00:00:00Z"}
    path = "/offers/off_abc123"
    assert caller.ask("PATCH", path, json=mandate, role=Role.EDITOR).status_code == 403
    assert read_faults(caller.ask("PATCH", path, json={"mandatory": True})) == ["mandatoryReason", "mandatoryExpiresAt"]
    late = {**mandate, "mandatoryExpiresAt": "2020-01-01T00:00:00Z"}
    assert read_faults(caller.ask("PATCH", path, json=late)) == ["mandatoryExpiresAt"]
    assert caller.ask("PATCH", path, json=mandate).status_code == 200
    assert caller.ask("PATCH", path, json={"priority": 1}, role=Role.EDITOR).status_code == 200


def test_other_tenants_entities_do_not_exist(caller: Caller, new_caller: Any):
    made(caller, "channel")
    other = new_caller()
    assert other.get("/channels").json()["pagination"]["total"] == 0
    for method in ("GET", "PATCH", "PUT", "DELETE"):
        options = {"json": {"name": "x"}} if method in ("PATCH", "PUT") else {}
        assert other.ask(method, "/channels/ch_email", **options).status_code == 404

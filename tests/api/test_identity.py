"""Identity: identifiers, and customers who are one person in every read."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pytest

from rapport.domain.api_keys import Role
from rapport.domain.profiles.contact import ContactProfile
from rapport.domain.profiles.identity import MergeStatement
from rapport.storage.audit import AuditFilter, read_audit
from rapport.storage.catalogue_changes import Author
from rapport.storage.contact_profiles import append_profile
from rapport.storage.erasure import count_remains
from rapport.storage.identity import Identifier, append_links, append_statement
from rapport.storage.personal_data import ErasureScope
from tests.api.decision_catalogue import cap, offer, offers_of, recommend, stock

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from tests.fixtures.api import Caller, CallerFactory

CUSTOMERS: Final = ("ann", "bob", "cid", "dot")
COUNTS: Final = ("impressions", "positive", "negative", "neutral", "converts", "totalValue")
FOREVER_MS: Final = 4_102_444_800_000


def act(caller: Caller, action: str, **fields: Any) -> httpx.Response:
    return caller.post("/identity", {"action": action, **fields}, role=Role.EDITOR)


def merge(caller: Caller, source: str, target: str, action: str = "merge") -> None:
    answer = act(caller, action, sourceId=source, targetId=target)
    assert (answer.status_code, answer.json()["success"]) == (200, True)


def canonical(caller: Caller, kind: str, value: str) -> str:
    answer = act(caller, "resolve", identifier={"type": kind, "value": value})
    assert answer.status_code == 200, answer.text
    found: str = answer.json()["canonicalId"]
    return found


def cluster(caller: Caller, customer: str) -> tuple[str, list[tuple[str, str, float]]]:
    body = caller.read("/identity", params={"customerId": customer}, role=Role.VIEWER)
    assert body["customerId"] == customer
    named = body["cluster"]["identifiers"]
    return body["cluster"]["canonicalId"], [(one["type"], one["value"], one["confidence"]) for one in named]


def happen(caller: Caller, seed: int) -> None:
    """Have random things happen to several customers."""
    rng = random.Random(seed)
    events = [
        {
            "customerId": rng.choice(CUSTOMERS),
            "offerId": rng.choice(["loan", "card"]),
            "channelId": "web",
            "outcome": rng.choice(["impression", "click", "dismiss", "deferred", "convert"]),
            "conversionValue": rng.randrange(40) / 4,
            "timestamp": f"2026-0{rng.randrange(1, 5)}-1{rng.randrange(9)}T10:00:00Z",
        }
        for _ in range(120)
    ]
    caller.record(*events)


def read(caller: Caller, customer: str) -> dict[str, Any]:
    """All numbers that are read of a customer."""
    who = {"customerId": customer, "limit": 200}
    rows = caller.read("/interaction-summaries", params=who)["data"]
    assert {row["customerId"] for row in rows} <= {customer}
    history = caller.read("/interaction-history", params=who)
    ids = [one["id"] for one in history["data"]]
    assert ids == sorted(set(ids), reverse=True)
    profile = caller.read(f"/customers/{customer}/unified-profile", params={"format": "structured"})
    value = caller.ask("POST", f"/customers/{customer}/clv").json()
    totals = profile["interactions"]["totals"]
    keys = ("periodType", "periodKey", "scope", "offerId", "creativeId", "channelId")
    return {
        "summaries": Counter({(tuple(row[k] for k in keys), name): row[name] for row in rows for name in COUNTS}),
        "history": Counter(ids),
        "total": Counter({"total": history["pagination"]["total"]}),
        "totals": Counter({name: totals[name] for name in COUNTS}),
        "metrics": Counter(profile["metrics"]),
        "clv": Counter({"frequency": value["rfmFrequency"], "monetary": value["rfmMonetary"]}),
    }


def added_up(parts: list[Mapping[str, Any]]) -> dict[str, Any]:
    sums = {name: Counter[Any]() for name in parts[0]}
    for part in parts:
        for name, counts in part.items():
            sums[name].update(counts)
    return sums


@pytest.mark.parametrize("seed", [1, 2])
def test_a_merged_customers_numbers_are_exactly_the_sum_and_unmerging_restores_them(caller: Caller, seed: int):
    rng = random.Random(seed)
    metric = {"key": "visits", "name": "Visits", "aggregateFunction": "count", "sourceField": "*"}
    assert caller.post("/behavioral-metrics", metric).status_code == 201
    happen(caller, seed)
    before = {customer: read(caller, customer) for customer in CUSTOMERS}
    people = {customer: {customer} for customer in CUSTOMERS}
    done: list[tuple[str, str]] = []
    while len(done) < 3:
        source, target = rng.sample(CUSTOMERS, 2)
        if source in people[target]:
            answer = act(caller, "merge", sourceId=source, targetId=target)
            assert answer.status_code == 409
            continue
        merge(caller, source, target)
        done.append((source, target))
        person = people[source] | people[target]
        people |= dict.fromkeys(person, person)
        for customer in sorted(person):
            assert read(caller, customer) == added_up([before[one] for one in sorted(person)])
    for source, target in rng.sample(done, 3):
        merge(caller, source, target, "unmerge")
    assert {customer: read(caller, customer) for customer in CUSTOMERS} == before


def test_identifiers_are_linked_resolved_and_listed_with_what_contact_profiles_say(caller: Caller):
    profile = {"contactIds": ["crm-7"], "profile": {"email": "ann@example.com"}}
    headers = {"X-API-Key": caller.keys[Role.ADMIN]}
    made = caller.client.post("/new/v2.0/profiles", json=profile, headers=headers)
    assert made.status_code == 201, made.text
    linked = [{"type": "phone", "value": "+49 1"}, {"type": "device", "value": "d-1"}]
    assert act(caller, "link", canonicalId="ann", identifiers=linked, confidence=0.75).json() == {"success": True}
    merge(caller, "ann", "crm-7")
    assert {canonical(caller, "email", "ann@example.com"), canonical(caller, "contact_id", "crm-7")} == {"crm-7"}
    assert {canonical(caller, "phone", "+49 1"), canonical(caller, "customer_id", "ann")} == {"crm-7"}
    assert canonical(caller, "customer_id", "nobody") == "nobody"
    named = [
        ("customer_id", "crm-7", 1.0),
        ("customer_id", "ann", 1.0),
        ("device", "d-1", 0.75),
        ("phone", "+49 1", 0.75),
        ("email", "ann@example.com", 1.0),
        ("contact_id", "crm-7", 1.0),
    ]
    assert cluster(caller, "ann") == cluster(caller, "crm-7") == ("crm-7", named)
    sections = caller.read("/customers/ann/unified-profile", params={"sections": "identities"})["sections"]
    assert [tuple(one.values()) for one in sections[0]["data"]] == [one for one in named if one[1] != "ann"]
    entries, _ = read_audit(caller.store, caller.tenant_id, AuditFilter(entity_type="identity"))
    assert sorted(entry.action for entry in entries) == ["link", "merge"]
    assert not any("ann" in entry.after or "crm-7" in entry.after for entry in entries)


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"action": "resolve"}, 400, {"identifier"}),
        ({"action": "link"}, 400, {"canonicalId", "identifiers"}),
        ({"action": "merge"}, 400, {"sourceId", "targetId"}),
        ({"action": "unmerge"}, 400, {"sourceId"}),
        ({"action": "split"}, 400, {"action"}),
        (
            {"action": "link", "canonicalId": "ann", "identifiers": [{"type": "customer_id", "value": "bob"}]},
            400,
            {"identifiers[0].type"},
        ),
        ({"action": "resolve", "identifier": {"type": "phone", "value": "1"}}, 404, set()),
        ({"action": "unmerge", "sourceId": "ann"}, 404, set()),
        ({"action": "merge", "sourceId": "ann", "targetId": "ann"}, 409, set()),
    ],
)
def test_what_cannot_be_done_says_why(caller: Caller, fields: dict[str, Any], status: int, named: set[str]):
    answer = caller.post("/identity", fields)
    assert (answer.status_code, {one["field"] for one in answer.json()["details"]}) == (status, named)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/identity", {"action": "merge", "sourceId": "undefined", "targetId": "ann"}, "sourceId"),
        ("POST", "/identity", {"action": "merge", "sourceId": "ann", "targetId": "[object Object]"}, "targetId"),
        (
            "POST",
            "/identity",
            {"action": "link", "canonicalId": "ann", "identifiers": [{"type": "device", "value": "0"}]},
            "identifiers[0].value",
        ),
        (
            "POST",
            "/identity",
            {"action": "link", "canonicalId": "null", "identifiers": [{"type": "device", "value": "d1"}]},
            "canonicalId",
        ),
        (
            "POST",
            "/respond",
            {"customerId": "NaN", "creativeId": "c", "channelId": "web", "outcome": "click"},
            "customerId",
        ),
        ("POST", "/interactions", [{"customerId": "anonymous", "outcome": "click", "idempotencyKey": "k"}], "body"),
        ("PUT", "/customers/undefined", {"attributes": {"tier": "gold"}}, "customerId"),
        ("POST", "/customers", [{"customerId": "none", "tier": "gold"}], "customerId"),
        ("PUT", "/customers/null/consents", {"consents": [{"purpose": "email", "status": "granted"}]}, "customerId"),
        ("POST", "/consents", [{"customerId": "-", "purpose": "email", "status": "granted"}], "customerId"),
        (
            "POST",
            "/new/v2.0/profiles",
            {"profile": {"firstname": "Ann"}, "contactIds": ["ann", "undefined"]},
            "contactIds[1]",
        ),
        ("POST", "/new/v2.0/profiles", {"profile": {"email": "null"}}, "profile.email"),
    ],
)
def test_an_id_that_names_nobody_links_nobody(caller: Caller, method: str, path: str, body: Any, field: str):
    """PostHog#5527: everybody whose id was undefined was one person."""
    if path == "/respond":
        body = {**body, "idempotencyKey": "k"}
    root = "" if path.startswith("/new/") else "/api/v1"
    headers = {"X-API-Key": caller.keys[Role.ADMIN]}
    answer = caller.client.request(method, root + path, json=body, headers=headers)
    assert answer.status_code == 400, answer.text
    (fault,) = answer.json()["details"]
    assert fault["field"] == field
    assert "names nobody" in fault["message"]


def test_a_placeholder_id_makes_an_event_a_dead_letter_and_a_request_anonymous(caller: Caller):
    stock(caller, *offer("loan"))
    caller.record({"customerId": "undefined", "outcome": "click"}, {"customerId": "ann", "outcome": "click"})
    assert caller.read("/interaction-history?customerId=ann")["pagination"]["total"] == 1
    letters = "SELECT code, detail FROM dead_letters WHERE tenant_id = {tenant:String}"
    ((code, detail),) = caller.store.client.query(letters, {"tenant": caller.tenant_id}).result_rows
    assert (code, "customerId is 'undefined'" in detail) == ("invalid_field", True)
    bodies = [recommend(caller, "undefined") for _ in range(2)]
    assert len({body["customerId"] for body in bodies}) == 2
    assert all("names nobody" in body["meta"]["warnings"][0] for body in bodies)


def test_placeholder_ids_link_no_customers_and_erasing_one_erases_no_customer(caller: Caller):
    for who in ("ann", "bob"):
        merge = MergeStatement(f"m-{who}", who, "undefined")
        append_statement(caller.store, caller.tenant_id, merge, Author("tests"))
        caller.record({"customerId": who, "outcome": "click"})
    phone = [Identifier("phone", "+49 1", 1.0)]
    append_links(caller.store, caller.tenant_id, "undefined", phone, Author("tests"))
    at = {"created_at_ms": 1, "changed_at_ms": 2**40, "created_by": "tests", "changed_by": "tests"}
    profile = ContactProfile(id="a" * 24, fields={"email": "ann@example.com"}, contact_ids=("undefined", "ann"), **at)
    append_profile(caller.store, caller.tenant_id, profile)
    assert cluster(caller, "ann")[0] == "ann"
    assert canonical(caller, "email", "ann@example.com") == "ann"
    assert act(caller, "resolve", identifier={"type": "phone", "value": "+49 1"}).status_code == 404
    erased = caller.post("/gdpr/erasure", {"customerId": "undefined"})
    assert (erased.status_code, erased.json()["verified"]) == (200, True)
    for who in ("ann", "bob"):
        assert caller.read(f"/interaction-history?customerId={who}")["pagination"]["total"] == 1
    assert canonical(caller, "email", "ann@example.com") == "ann"


def test_viewers_read_and_do_not_merge(caller: Caller):
    body = {"action": "merge", "sourceId": "ann", "targetId": "bob"}
    assert caller.post("/identity", body, role=Role.VIEWER).status_code == 403
    assert cluster(caller, "ann") == ("ann", [("customer_id", "ann", 1.0)])
    assert caller.get("/identity").status_code == 400


@pytest.mark.parametrize("channel", ["web", "app"])
def test_a_cap_of_three_counts_contacts_and_reservations_of_all_ids(caller: Caller, channel: str):
    stock(caller, *offer("loan", channel), cap(3))
    seen = {"offerId": "loan", "creativeId": f"loan-{channel}", "channelId": channel, "outcome": "impression"}
    caller.record({"customerId": "ann", **seen})
    caller.read("/interaction-summaries", params={"customerId": "ann"})
    merge(caller, "bob", "ann")
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda who: recommend(caller, who), ["ann", "bob"] * 4))
    assert sum(offers_of(body) == ["loan"] for body in bodies) == 2
    for customer in ("ann", "bob"):  # also once the stream has written what was shown
        caller.read("/interaction-summaries", params={"customerId": customer})
        assert offers_of(recommend(caller, customer)) == []


def test_suppressions_and_objections_of_one_id_hold_for_merged_ids_until_unmerged(caller: Caller):
    stock(caller, *offer("loan"), *offer("card"))
    caller.record({"customerId": "ann", "offerId": "loan", "channelId": "web", "outcome": "dismiss"})
    merge(caller, "ann", "bob")
    assert [one["scopeId"] for one in caller.read("/customers/bob/suppressions")["data"]] == ["loan"]
    assert offers_of(recommend(caller, "bob")) == ["card"]
    said = {"consents": [{"purpose": "marketing", "status": "revoked"}]}
    assert caller.ask("PUT", "/customers/ann/consents", json=said).status_code == 200
    assert offers_of(recommend(caller, "bob")) == []
    merge(caller, "ann", "bob", "unmerge")
    assert sorted(offers_of(recommend(caller, "bob"))) == ["card", "loan"]
    assert caller.read("/customers/bob/suppressions")["data"] == []


def test_erasing_one_id_leaves_nothing_of_the_person(caller: Caller):
    for customer in ("ann", "bob", "eve"):
        caller.record({"customerId": customer, "offerId": "loan", "outcome": "click"})
        caller.read("/interaction-history", params={"customerId": customer})
    act(caller, "link", canonicalId="bob", identifiers=[{"type": "phone", "value": "+49 1"}])
    act(caller, "link", canonicalId="eve", identifiers=[{"type": "phone", "value": "+49 2"}])
    merge(caller, "ann", "bob")
    merge(caller, "bob", "cid")
    answer = caller.post("/gdpr/erasure", {"customerId": "ann"})
    assert (answer.status_code, answer.json()["verified"]) == (200, True)
    assert count_remains(caller.store, ErasureScope(caller.tenant_id, ("ann", "bob", "cid"), FOREVER_MS)) == {}
    assert act(caller, "resolve", identifier={"type": "phone", "value": "+49 1"}).status_code == 404
    assert canonical(caller, "phone", "+49 2") == "eve"
    assert caller.read("/interaction-history", params={"customerId": "bob"})["data"] == []
    assert len(caller.read("/interaction-history", params={"customerId": "eve"})["data"]) == 1


def test_merges_of_one_tenant_are_none_of_anothers(new_caller: CallerFactory):
    one, other = new_caller(), new_caller()
    for caller in (one, other):
        happen(caller, 3)
    before = read(other, "ann")
    merge(one, "ann", "bob")
    act(one, "link", canonicalId="ann", identifiers=[{"type": "phone", "value": "1"}])
    assert read(other, "ann") == before
    assert cluster(other, "ann") == ("ann", [("customer_id", "ann", 1.0)])
    assert act(other, "resolve", identifier={"type": "phone", "value": "1"}).status_code == 404
    assert act(other, "unmerge", sourceId="ann").status_code == 404

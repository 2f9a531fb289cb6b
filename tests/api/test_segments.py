"""Segments on the API: members, refreshing, overlaps, and what decisions make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.http.times import iso
from rapport.domain.api_keys import Role
from rapport.domain.catalogue.strategy import ContactPolicy, QualificationRule
from rapport.domain.catalogue.values import ScopeKind
from rapport.storage.segments import list_memberships
from tests.api.decision_catalogue import api_with_clock, offer, offers_of, recommend, stock
from tests.api.segment_calls import define, keep, members, tier
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.faults.world import World
    from tests.fixtures.api import Caller

NOW = 1_772_000_000_000


def test_a_segment_is_refreshed_on_demand_counted_and_listed(caller: Caller):
    keep(caller, ann={"tier": "gold"}, bob={"tier": "gold"}, cid={"tier": "silver"})
    define(caller, "gold", tier("gold"), status="draft")
    assert caller.read("/segments/gold/members")["pagination"]["total"] is None
    refreshed = caller.post("/segments/gold?action=refresh")
    assert refreshed.status_code == 200, refreshed.text
    assert refreshed.json() | {"lastRefreshedAt": ""} == {
        "id": "gold",
        "name": "Gold",
        "version": 1,
        "customerCount": 2,
        "lastRefreshedAt": "",
    }
    assert caller.post("/segments/gold/refresh", role=Role.EDITOR).json()["customerCount"] == 2
    assert caller.post("/segments/gold/refresh", role=Role.VIEWER).status_code == 403
    (listed,) = caller.read("/segments")["data"]
    assert listed["customerCount"] == 2
    assert listed["lastRefreshedAt"] >= refreshed.json()["lastRefreshedAt"]
    first = caller.read("/segments/gold/members", params={"limit": 1})
    assert [one["customerId"] for one in first["data"]] == ["ann"]
    assert members(caller, "gold", cursor=first["pagination"]["nextCursor"]).keys() == {"bob"}


def test_who_stays_in_a_segment_keeps_the_time(api_world: World, caller: Caller):
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        define(here, "gold", tier("gold"), status="draft")
        for minute, kept in enumerate([["ann", "bob"], ["ann"], ["ann", "bob"]]):
            clock.at_ms = NOW + minute * 60_000
            keep(here, **{name: {"tier": "gold" if name in kept else "silver"} for name in ("ann", "bob")})
            here.post("/segments/gold/refresh")
        assert members(here, "gold") == {"ann": iso(NOW), "bob": iso(NOW + 120_000)}
    assert list_memberships(caller.store, caller.tenant_id, ["ann"]) == []
    caller.ask("PATCH", "/segments/gold", json={"status": "active"})
    (membership,) = list_memberships(caller.store, caller.tenant_id, ["ann"])
    assert (membership.segment_id, membership.segment_name, membership.member_since_ms) == ("gold", "Gold", NOW)


def test_active_segments_are_refreshed_beside_the_requests_and_others_are_not(caller: Caller):
    keep(caller, ann={"tier": "gold"})
    define(caller, "idle", tier("gold"), status="draft")
    define(caller, "gold", tier("gold"))
    wait_until(lambda: members(caller, "gold"), "the segment is refreshed", seconds=60)
    assert members(caller, "idle") == {}
    caller.ask("PATCH", "/segments/gold", json={"filters": [tier("silver")]})
    wait_until(lambda: not members(caller, "gold"), "the changed segment is refreshed", seconds=60)


def test_the_overlap_of_segments_is_reported(caller: Caller):
    keep(caller, **{f"c{n}": {"n": n} for n in range(10)})
    define(caller, "low", {"field": "customer.n", "operator": "lt", "value": 6})
    define(caller, "high", {"field": "customer.n", "operator": "gte", "value": 4})
    for one in ("low", "high"):
        caller.post(f"/segments/{one}/refresh")
    answer = caller.post("/segments/overlap", {"segmentIds": ["low", "high"]})
    assert answer.json() == {
        "segments": [{"id": "low", "name": "Low", "size": 6}, {"id": "high", "name": "High", "size": 6}],
        "overlaps": [{"segments": ["low", "high"], "count": 2, "percent": 33.33}],
        "totalUniqueCustomers": 10,
        "overlapWarnings": ["Low and High share 33.33 % of the smaller of the two"],
    }
    for ids in (["low"], ["low", "low"], ["low", "gone"]):
        faults = caller.post("/segments/overlap", {"segmentIds": ids}).json()["details"]
        assert {fault["field"] for fault in faults} == {"segmentIds"}


def test_every_flaw_of_a_segment_is_named(caller: Caller):
    filters = [
        {"field": "customer."},
        {"field": "summary.weekly.likes"},
        {"field": "metric.nothing", "operator": "gte", "value": 1},
        {"field": "customer.age", "operator": "in", "value": 3},
        {"field": "customer.age", "operator": "eq", "value": {"x": 1}},
        {"field": "customer.age", "operator": "contains", "value": ""},
    ]
    answer = caller.post("/segments", {"name": "Flawed", "filters": filters})
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["details"]] == [
        *(f"filters[{number}].field" for number in range(3)),
        *(f"filters[{number}].value" for number in range(3, 6)),
    ]


def test_members_of_a_segment_of_another_tenant_are_not_there(caller: Caller):
    for path in ("/segments/gold/members", "/segments/gold/refresh"):
        assert caller.ask("POST" if "refresh" in path else "GET", path).status_code == 404


def test_decisions_know_the_active_segments_of_a_customer_by_id_and_by_name(caller: Caller):
    keep(caller, ann={"tier": "gold"}, bob={"tier": "silver"})
    define(caller, "seg_gold", tier("gold"))
    caller.post("/segments/seg_gold/refresh")
    rule = {"rule_type": "segment_required", "scope": ScopeKind.OFFER}
    stock(
        caller,
        *(one for name in ("card", "loan", "fund") for one in offer(name)),
        QualificationRule(id="q1", name="Q1", scope_id="card", config={"requiredSegments": ["seg_gold"]}, **rule),
        QualificationRule(id="q2", name="Q2", scope_id="loan", config={"requiredSegments": ["Seg_Gold"]}, **rule),
        ContactPolicy(
            id="p1",
            name="P1",
            rule_type="segment_exclusion",
            scope=ScopeKind.OFFER,
            scope_id="fund",
            config={"excludeSegments": ["seg_gold"]},
        ),
    )
    both = {"card", "loan"}
    wait_until(lambda: set(offers_of(recommend(caller, "ann", limit=9))) == both, "the catalogue is known")
    assert set(offers_of(recommend(caller, "bob", limit=9))) == {"fund"}
    caller.ask("PATCH", "/segments/seg_gold", json={"status": "paused"})
    wait_until(lambda: set(offers_of(recommend(caller, "ann", limit=9))) == {"fund"}, "the pause is known")

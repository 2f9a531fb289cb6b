"""Enrolments in the database: of several writers of a version the first counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from rapport.domain.journeys.enrolment import EnrolmentStatus
from rapport.domain.journeys.progress import enrol, leave
from rapport.domain.privacy import hash_customer
from rapport.storage.journeys import (
    OffsetRange,
    TenantEnrolment,
    append_enrolments,
    count_active,
    find_due,
    list_customer_enrolments,
    list_enrolments,
    load_enrolments,
    read_entry_events,
    read_journey_progress,
    write_journey_progress,
)
from rapport.storage.tombstones import write_tombstones
from tests.domain.journeys.plans import DAY, NOW, plan
from tests.fixtures.interactions import event, write

if TYPE_CHECKING:
    from rapport.storage.client import Store

READY: Final = plan({"id": "pause", "type": "wait", "config": {"duration": 1}})


def enrolled(name: str = "e1", customer: str = "ann", tenant: str = "acme", **changes: Any) -> TenantEnrolment:
    return TenantEnrolment(tenant, replace(enrol(READY, name, customer, {}, NOW), **changes))


def test_of_several_attempts_at_a_version_one_counts_and_all_are_told(store: Store):
    assert append_enrolments(store, [enrolled()]) == {"e1"}
    attempts = [enrolled(version=2, step=f"s{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda one: append_enrolments(store, [one]), attempts))
    assert sorted(map(len, won)) == [0] * 7 + [1]
    (stands,) = load_enrolments(store, [attempts[0].key])
    assert stands == attempts[won.index({"e1"})]
    assert append_enrolments(store, [enrolled(version=2, step="late")]) == set()
    assert load_enrolments(store, [attempts[0].key]) == [stands]


def test_an_erasure_during_a_step_removes_earlier_enrolments(store: Store):
    append_enrolments(store, [enrolled(), enrolled("e2", "bob")])
    before = {"erased_at_ms": NOW + 5, "receipt_id": "r1"}
    write_tombstones(store, "acme", [hash_customer("acme", "ann")], **before)
    write_tombstones(store, "other", [hash_customer("other", "bob")], **before)
    later = enrolled("e3", "ann", enrolled_at_ms=NOW + 6)
    assert append_enrolments(store, [enrolled(version=2), enrolled("e2", "bob", version=2), later]) == {"e2", "e3"}
    assert load_enrolments(store, [enrolled().key]) == []
    assert [one.enrolment.version for one in load_enrolments(store, [enrolled("e2", "bob").key])] == [2]
    assert load_enrolments(store, [later.key]) == [later]


def test_due_enrolments_are_active_past_their_time_and_not_paused(store: Store):
    states = [
        enrolled("now", due_at_ms=NOW),
        enrolled("before", due_at_ms=NOW - DAY),
        enrolled("later", due_at_ms=NOW + 1),
        enrolled("moved", due_at_ms=NOW),
        enrolled("over", status=EnrolmentStatus.COMPLETED),
        enrolled("held", journey_id="paused"),
        enrolled("theirs", tenant="other"),
    ]
    append_enrolments(store, states)
    append_enrolments(store, [enrolled("moved", version=2, due_at_ms=NOW + DAY)])
    found = find_due(store, ["acme"], [("acme", "paused"), ("other", "jrn")], NOW, 10)
    assert [key[-1] for key in found] == ["before", "now"]
    assert found[0] == ("acme", "ann", "jrn", "before")
    assert [key[-1] for key in find_due(store, ["acme"], [], NOW, 1)] == ["before"]


def test_enrolments_are_counted_and_listed_of_one_journey_and_of_one_customer(store: Store):
    over = leave(enrolled("e2", "bob").enrolment, NOW + 5, "asked to")
    append_enrolments(
        store,
        [
            enrolled("e1"),
            TenantEnrolment("acme", over),
            enrolled("e3", enrolled_at_ms=NOW + 9),
            enrolled("e4", tenant="x"),
        ],
    )
    keys = [enrolled("any").key, enrolled("any", "bob").key, enrolled("any", "cid").key]
    assert count_active(store, keys) == {("acme", "ann", "jrn"): 2, ("acme", "bob", "jrn"): 0}
    page, total = list_enrolments(store, "acme", "jrn", limit=2)
    assert ([one.id for one in page], total) == (["e3", "e1"], 3)
    assert list_enrolments(store, "acme", "jrn", limit=9, status="exited") == ([over], 1)
    assert list_enrolments(store, "acme", "jrn", limit=9, offset=2, customer_id="ann") == ([], 0)
    (mine,) = list_customer_enrolments(store, "acme", ["bob"])
    assert (mine.journey_name, mine.status, mine.current_step) == ("jrn", "exited", "pause")
    assert (mine.enrolled_at_ms, mine.completed_at_ms) == (NOW, NOW + 5)


def test_events_of_a_range_of_a_log_are_found(store: Store):
    rows = [event(NOW + number, customer=f"c{number}", source="log", offset=number, item=0) for number in range(6)]
    rows += [event(NOW, source="other", offset=2, item=0), event(NOW, source="log", offset=2, item=1, tenant="x")]
    rows += [event(NOW, source="log", offset=2, item=2, outcome="dismiss", conversion_value=2.5)]
    write(store, rows)
    found = read_entry_events(store, [OffsetRange("log", 1, 5)], ["acme"], ["click", "dismiss"], NOW)
    assert [one.customer_id for one in found] == ["c1", "c2", "ann", "c3", "c4"]
    assert found[2].fields == {"outcome": "dismiss", "value": 2.5, "timestamp": "2026-02-25T06:13:20.000Z"}
    assert read_entry_events(store, [OffsetRange("log", 1, 5)], ["acme"], ["dismiss"], NOW + 1) == []


def test_progress_never_goes_back(store: Store):
    write_journey_progress(store, {"log": 7, "other": 1})
    write_journey_progress(store, {"log": 5})
    assert read_journey_progress(store, ["log", "other", "none"]) == {"log": 7, "other": 1}

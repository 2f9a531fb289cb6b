"""Background jobs continue after any error, and every process shows their state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rapport.domain.api_keys import Role
from rapport.storage.segments import refresh_segment
from tests.api.segment_calls import define, keep, members, tier
from tests.fixtures.api import running_api
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    import pytest

    from tests.faults.world import World
    from tests.fixtures.api import Caller

WORK = [
    "api.segments.refresh.load_due_tenants",
    "api.runtime.watermark.read_progress",
    "api.runtime.watermark.open_log",
    "api.runtime.event_producer.make_producer",
    "api.auth.key_cache.note_uses",
    "api.privacy.erasure_follower.read_tombstones",
    "api.privacy.dsar.list_open_requests",
    "api.contact_profiles.service.note_reads",
]
"""What the jobs of an API process call first."""


def read_jobs(caller: Caller) -> dict[str, dict[str, Any]]:
    answer = caller.get("/jobs")
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["data"]}


def test_every_job_survives_an_unexpected_error_and_says_so(
    api_world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    def broken(*_args: Any, **_options: Any) -> Any:
        raise OverflowError("int too large to convert to float")

    with monkeypatch.context() as patched:
        for name in WORK:
            patched.setattr(name, broken)
        with running_api(api_world) as client:
            here = caller.at(client)
            frequent = {"kafka", "log-end", "segments", "forgetting", "data-requests"}
            wait_until(
                lambda: frequent <= {name for name, job in read_jobs(here).items() if job["lastError"]},
                "the jobs have failed",
                seconds=90,
            )
            failed = read_jobs(here)
            assert {failed[name]["lastError"] for name in frequent} == {"OverflowError"}
            assert {failed[name]["status"] for name in frequent} == {"failing"}
            patched.undo()
            keep(here, ann={"tier": "gold"})
            define(here, "gold", tier("gold"))
            wait_until(lambda: members(here, "gold"), "the segment is refreshed", seconds=90)
            recovered = {"segments", "kafka", "log-end"}
            wait_until(
                lambda: {read_jobs(here)[name]["status"] for name in recovered} == {"ok"}, "they say so", seconds=60
            )
            event = {"customerId": "ann", "outcome": "click", "idempotencyKey": "k"}
            assert here.post("/interactions", event).status_code == 201
            shown = client.get("/metrics").text
            assert 'rapport_job_failures_total{job="segments"}' in shown
            assert 'rapport_job_last_success_timestamp_seconds{job="segments"}' in shown


def test_jobs_are_for_admins(caller: Caller):
    assert caller.get("/jobs", role=Role.EDITOR).status_code == 403
    assert {"segments", "data-requests", "retention"} <= read_jobs(caller).keys()


def test_a_tenant_whose_segments_fail_keeps_no_other_from_its_own(
    caller: Caller, new_caller: Any, monkeypatch: pytest.MonkeyPatch
):
    other = new_caller()
    for one in (caller, other):
        keep(one, ann={"tier": "gold"})
    done: list[str] = []

    def refresh(store: Any, tenancy: Any, segment: Any, *rest: Any) -> Any:
        if tenancy.tenant_id == caller.tenant_id:
            done.append(segment.id)
            raise OverflowError
        return refresh_segment(store, tenancy, segment, *rest)

    monkeypatch.setattr("api.segments.refresh.refresh_segment", refresh)
    for number in range(5):
        define(caller, f"s{number}", tier("gold"))
    define(other, "gold", tier("gold"))
    wait_until(lambda: members(other, "gold"), "the other's segment is refreshed", seconds=60)
    wait_until(lambda: read_jobs(other)["segments"]["lastError"] == "OverflowError", "it is told", seconds=60)
    assert len(done) == len(set(done)), "a segment that failed is left alone for a while"

"""Background jobs continue after any error, and the API shows their state whichever process runs them."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from api.http.times import iso
from rapport.application.background_jobs import SCHEDULES
from rapport.application.segments.refresh import FIRST_RETRY_S
from rapport.domain.api_keys import Role
from rapport.jobs import JobState
from rapport.storage.jobs import LeaseState
from rapport.storage.segments import refresh_segment
from tests.api.segment_calls import define, keep, members, tier
from tests.fixtures.api import running_api
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    import pytest

    from jobs.metrics import JobProcessMetrics
    from tests.faults.world import World
    from tests.fixtures.api import Caller

WORK = [
    "rapport.application.segments.refresh.load_changed_tenants",
    "rapport.application.privacy.data_requests.list_open_requests",
    "api.runtime.watermark.read_progress",
    "api.runtime.watermark.open_log",
    "api.runtime.event_producer.make_producer",
    "api.auth.key_cache.note_uses",
    "api.privacy.erasure_follower.read_tombstones",
    "api.contact_profiles.service.note_reads",
]
"""Functions that the jobs of an API process, and those that work for all, call first."""


OWN = ("kafka", "log-end", "shared-state", "progress", "key-uses", "forgetting", "profile-reads")
"""Jobs that keep the memory of the API process."""


def read_jobs(caller: Caller) -> dict[str, dict[str, Any]]:
    answer = caller.get("/jobs")
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["data"]}


def test_every_job_survives_an_unexpected_error_and_says_so(
    api_world: World, api_jobs: JobProcessMetrics, caller: Caller, monkeypatch: pytest.MonkeyPatch
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
                lambda: frequent <= {name for name, job in read_jobs(here).items() if job["status"] == "failing"},
                "the jobs have failed",
                seconds=90,
            )
            failed = read_jobs(here)
            assert {failed[name]["lastError"] for name in frequent} == {"OverflowError"}
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
            for shown, name in ((client.get("/metrics").text, "kafka"), (api_jobs.render().decode(), "segments")):
                assert f'rapport_job_failures_total{{job="{name}"}}' in shown
                assert f'rapport_job_last_success_timestamp_seconds{{job="{name}"}}' in shown


def test_jobs_are_for_admins(caller: Caller):
    assert caller.get("/jobs", role=Role.EDITOR).status_code == 403
    shown = {name: job["process"] for name, job in read_jobs(caller).items()}
    assert shown == {**dict.fromkeys(SCHEDULES, "jobs"), **dict.fromkeys(OWN, "api")}


def test_the_holder_of_the_lease_and_the_times_of_each_job_are_shown(caller: Caller):
    wait_until(lambda: read_jobs(caller)["segments"]["lastSuccessAt"], "a pass has ended", seconds=30)
    body = caller.get("/jobs").json()
    assert body["lease"]["holder"] == body["lease"]["lastHolder"]
    assert body["lease"]["holder"].split(":")[1] == str(os.getpid())
    assert body["lease"]["renewedAt"] >= iso(round(time.time() * 1000) - 60_000)
    jobs = {one["name"]: one for one in body["data"]}
    assert jobs["segments"]["lastDurationSeconds"] is not None
    assert jobs["retention"]["dueAt"] > jobs["segments"]["lastSuccessAt"]
    assert {jobs[name]["status"] for name in SCHEDULES} <= {"ok", "waiting", "failing"}
    assert caller.client.get("/health/ready").json()["jobs"] is True


def test_without_a_process_for_them_jobs_are_late_and_the_api_is_ready_all_the_same(
    api_world: World, caller: Caller, monkeypatch: pytest.MonkeyPatch
):
    now_s = time.time()
    ran = JobState(name="segments", every_s=5.0, started_at=now_s - 99, succeeded_at=now_s - 98, due_at=now_s - 93)
    daily = JobState(name="sweep", every_s=86_400.0, started_at=now_s - 9, succeeded_at=now_s - 8, due_at=now_s + 9_999)
    gone = LeaseState(
        term=3, holder="h:1:a", expires_in_ms=-80_000, silent_ms=95_000, is_released=False, earlier_expires_in_ms=0
    )
    for module in ("api.jobs.service", "api.health.readiness"):
        monkeypatch.setattr(f"{module}.read_lease", lambda _store: gone)
    monkeypatch.setattr("api.jobs.service.read_job_states", lambda _store: {"segments": ran, "sweep": daily})
    with running_api(api_world) as client:
        body = caller.at(client).get("/jobs").json()
        assert (body["lease"]["holder"], body["lease"]["lastHolder"]) == (None, "h:1:a")
        assert body["lease"]["renewedAt"] >= iso(round((now_s - 95) * 1000))
        status = {one["name"]: one["status"] for one in body["data"] if one["process"] == "jobs"}
        assert status == {**dict.fromkeys(SCHEDULES, "late"), "sweep": "ok"}
        wait_until(lambda: client.get("/health/ready").status_code == 200, "the API is ready", seconds=30)
        assert client.get("/health/ready").json()["jobs"] is False
        monkeypatch.setattr("api.jobs.service.read_lease", lambda _store: None)
        assert caller.at(client).get("/jobs").json()["lease"] is None


def test_a_tenant_whose_segments_fail_keeps_no_other_from_its_own(
    caller: Caller, new_caller: Any, monkeypatch: pytest.MonkeyPatch
):
    other = new_caller()
    for one in (caller, other):
        keep(one, ann={"tier": "gold"})
    attempts: defaultdict[str, list[float]] = defaultdict(list)

    def refresh(store: Any, tenancy: Any, segment: Any, *rest: Any) -> Any:
        if tenancy.tenant_id == caller.tenant_id:
            attempts[segment.id].append(time.monotonic())
            raise OverflowError
        return refresh_segment(store, tenancy, segment, *rest)

    monkeypatch.setattr("rapport.application.segments.refresh.refresh_segment", refresh)
    for number in range(5):
        define(caller, f"s{number}", tier("gold"))
    define(other, "gold", tier("gold"))
    wait_until(lambda: members(other, "gold"), "the other's segment is refreshed", seconds=60)
    wait_until(lambda: read_jobs(other)["segments"]["lastError"] == "OverflowError", "it is told", seconds=60)
    pauses_s = [later - earlier for times in attempts.values() for earlier, later in pairwise(times)]
    assert all(pause_s >= FIRST_RETRY_S for pause_s in pauses_s), "a segment that failed is left alone for a while"

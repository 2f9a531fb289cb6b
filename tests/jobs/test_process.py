"""One ``rapport jobs`` works and the others wait: killed, suspended, stopped and started at once."""

from __future__ import annotations

import signal
import time
import uuid
from typing import TYPE_CHECKING, Any

from rapport.application.background_jobs import SCHEDULES
from rapport.jobs import JobState
from rapport.storage.dsar import DsarRequest, list_requests, write_request
from rapport.storage.jobs import read_job_states, read_lease, write_job_states
from rapport.storage.tenants import create_tenant
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from rapport.storage.client import Store
    from tests.fixtures.jobs import JobProcess

    NewProcess = Callable[..., JobProcess]

LEASE_S = 3.0
LEASE = {"RAPPORT_JOBS_LEASE_S": str(LEASE_S)}
SLACK_S = 8.0
"""A busy machine; the next holder also looks only now and then."""


def hand_in(store: Store) -> str:
    """Hand a request in, as the API does."""
    request = DsarRequest(
        tenant_id="acme",
        request_id=f"dsar-{uuid.uuid4().hex}",
        request_type="export",
        subject_id="ann",
        subject_type="customer_id",
        requested_by="tests",
        requested_at_ms=time.time_ns() // 1_000_000,
    )
    write_request(store, request)
    return request.request_id


def is_done(store: Store, request_id: str) -> bool:
    (request,) = list_requests(store, "acme", request_id=request_id)
    return request.status == "completed"


def work(store: Store, process: JobProcess) -> None:
    """Check that requests are worked on, each once, by a process."""
    request_id = hand_in(store)
    wait_until(lambda: is_done(store, request_id), "the request is worked on", seconds=60)

    def count() -> int:
        return sum(request_id in line and '"status": "completed"' in line for line in process.log.splitlines())

    wait_until(count, "this process has done it", seconds=30)
    assert count() == 1, process.log


def read_holder(store: Store) -> Any:
    found = read_lease(store)
    return found.holder if found and found.is_held else None


def started(process: JobProcess) -> JobProcess:
    process.start()
    return process


def wait_holding(process: JobProcess, seconds: float = 30.0) -> float:
    """Wait until a process holds the lease, and return how long it took."""
    began_at = time.monotonic()
    wait_until(lambda: process.look().get("holdsLease"), "it holds the lease", seconds=seconds)
    return time.monotonic() - began_at


def test_when_the_holder_is_killed_another_takes_over_within_the_lease_and_goes_on(
    store: Store, new_process: NewProcess
):
    create_tenant(store, "acme")
    first = started(new_process(**LEASE))
    wait_holding(first)
    second = started(new_process(**LEASE))
    work(store, first)
    wait_until(lambda: read_job_states(store).keys() == set(SCHEDULES), "all states are written")
    before = read_job_states(store)
    assert not second.look()["holdsLease"]
    assert second.look()["jobs"] == []
    first.kill()
    request_id = hand_in(store)
    took_s = wait_holding(second)
    assert took_s <= LEASE_S + SLACK_S
    wait_until(lambda: is_done(store, request_id), "the request is worked on", seconds=60)
    assert read_holder(store) == second.look()["holder"]
    after = {state["name"]: state for state in second.look()["jobs"]}
    for name in ("sweep", "retention"):  # daily work is not done again because a process died
        assert abs(after[name]["due_at"] - before[name].due_at) < 1
    first = started(new_process(**LEASE))
    assert not first.look()["holdsLease"]


def test_a_suspended_holder_that_wakes_up_does_nothing_beside_the_next_one(store: Store, new_process: NewProcess):
    create_tenant(store, "acme")
    first = started(new_process(**LEASE))
    wait_holding(first)
    name = first.look()["holder"]
    second = started(new_process(**LEASE))
    first.send(signal.SIGSTOP)
    assert wait_holding(second) <= LEASE_S + SLACK_S
    work(store, second)
    first.send(signal.SIGCONT)
    for _ in range(3):
        work(store, second)
    wait_until(lambda: "the lease of the jobs is lost" in first.log, "it notices", seconds=30)
    assert first.look()["holder"] == name
    assert not first.look()["holdsLease"]
    assert read_holder(store) == second.look()["holder"]
    second.send(signal.SIGSTOP)
    assert wait_holding(first) <= LEASE_S + SLACK_S  # it waits like any other, and takes over again
    work(store, first)
    second.send(signal.SIGCONT)


def test_of_two_that_start_at_once_one_runs_the_jobs_and_at_its_stop_the_other_follows_at_once(
    store: Store, new_process: NewProcess
):
    create_tenant(store, "acme")
    pair = [new_process(RAPPORT_JOBS_LEASE_S="60") for _ in range(2)]
    for process in pair:
        process.start()
    wait_until(lambda: any(process.look()["holdsLease"] for process in pair), "one holds the lease", seconds=30)
    (first,) = (process for process in pair if process.look()["holdsLease"])
    (second,) = (process for process in pair if process is not first)
    work(store, first)
    first.stop()
    assert wait_holding(second, seconds=40) < 30  # far below the time of the lease
    work(store, second)
    assert "the process of the jobs stopped" in first.log
    assert all(state.failures == 0 for state in read_job_states(store).values())


def test_metrics_name_the_holder_and_tell_of_each_job_when_it_ran_and_when_it_is_due(
    store: Store, new_process: NewProcess
):
    create_tenant(store, "acme")
    process = started(new_process(**LEASE))
    wait_holding(process)
    work(store, process)
    success = 'rapport_job_last_success_timestamp_seconds{job="data-requests"}'
    wait_until(lambda: success in process.metrics(), "a pass has ended", seconds=30)
    shown = process.metrics()
    assert "rapport_jobs_lease_held 1.0" in shown
    for name in SCHEDULES:
        assert f'rapport_job_due_timestamp_seconds{{job="{name}"}}' in shown
    assert 'rapport_job_last_duration_seconds{job="data-requests"}' in shown
    other = started(new_process(**LEASE))
    assert "rapport_jobs_lease_held 0.0" in other.metrics()


def test_a_pass_whose_process_died_is_done_again_and_shown_as_interrupted(store: Store, new_process: NewProcess):
    write_job_states(store, [JobState(name="segments", every_s=5.0, started_at=time.time())], 0, 1)
    process = started(new_process(**LEASE))
    wait_until(
        lambda: (
            (state := read_job_states(store).get("segments")) and state.error == "Interrupted" and state.succeeded_at
        ),
        "it is done again",
        seconds=30,
    )
    assert read_job_states(store)["segments"].failures == 0
    assert process.look()["ready"]

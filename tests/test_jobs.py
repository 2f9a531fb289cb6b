"""Background jobs survive and report whatever their passes raise; backoff and turns are fair."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from rapport.fairness import Backoff, take_turns
from rapport.jobs import (
    INTERRUPTED,
    Job,
    JobMetrics,
    Jobs,
    JobState,
    PartialFailureError,
    cancel_all,
    report_success,
    run_for_each,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Passes:
    """Work whose passes raise what they are told to, and then succeed."""

    def __init__(self, *raised: BaseException) -> None:
        self.raised = list(raised)
        self.count = 0
        self.succeeded = asyncio.Event()

    async def __call__(self) -> None:
        self.count += 1
        if self.raised:
            raise self.raised.pop(0)
        self.succeeded.set()


async def run(*jobs: Job, until: Callable[[Jobs], Awaitable[object]]) -> tuple[Jobs, CollectorRegistry]:
    registry = CollectorRegistry()
    made = Jobs(jobs, JobMetrics(registry))
    running = asyncio.create_task(made.run())
    await asyncio.wait_for(until(made), 30)
    await cancel_all([running], again_after_s=5)
    return made, registry


@pytest.mark.parametrize(
    "error", [OverflowError("int too large"), RecursionError(), KeyError("x"), asyncio.CancelledError(), TimeoutError()]
)
def test_a_job_continues_after_any_error_and_reports_it(error: BaseException):
    async def check() -> None:
        work, beside = Passes(error, error), Passes()
        jobs, registry = await run(
            Job(name="broken", work=work, every_s=60, retry_s=0.001),
            Job(name="beside", work=beside, every_s=0.001),
            until=lambda _jobs: work.succeeded.wait(),
        )
        state, other = jobs.states
        assert (work.count, state.failures, state.error) == (3, 0, type(error).__name__)
        assert state.succeeded_at is not None
        assert state.failed_at is not None
        assert state.due_at is not None
        assert state.due_at - state.succeeded_at > 50
        assert (other.failures, other.error) == (0, None)
        assert registry.get_sample_value("rapport_job_failures_total", {"job": "broken"}) == 2
        assert registry.get_sample_value("rapport_job_due_timestamp_seconds", {"job": "broken"}) == state.due_at
        assert state.duration_s is not None
        assert registry.get_sample_value("rapport_job_last_duration_seconds", {"job": "broken"}) == state.duration_s
        seen = registry.get_sample_value("rapport_job_last_success_timestamp_seconds", {"job": "broken"})
        assert seen == state.succeeded_at

    asyncio.run(check())


def test_a_job_goes_on_where_an_earlier_process_stopped():
    async def check() -> None:
        now_s = 1_000_000.0
        first, late, daily, interrupted = (Passes() for _ in range(4))
        made = Jobs(
            [
                Job(name="first", work=first, every_s=60, first_after_s=600),
                Job(name="late", work=late, every_s=60, first_after_s=600),
                Job(name="daily", work=daily, every_s=86_400),
                Job(name="interrupted", work=interrupted, every_s=60, retry_s=0.001),
            ],
            JobMetrics(CollectorRegistry()),
            lambda: now_s,
            {
                "late": JobState(name="late", every_s=0, started_at=1.0, succeeded_at=2.0, due_at=now_s - 5),
                "daily": JobState(name="daily", every_s=0, started_at=1.0, succeeded_at=2.0, due_at=now_s + 40_000),
                "interrupted": JobState(name="interrupted", every_s=0, started_at=now_s - 5, failures=2),
                "gone": JobState(name="gone", every_s=0),
            },
        )
        running = asyncio.create_task(made.run())
        await asyncio.wait_for(asyncio.gather(late.succeeded.wait(), interrupted.succeeded.wait()), 30)
        states = {state.name: state for state in made.states}
        assert states.keys() == {"first", "late", "daily", "interrupted"}
        assert (first.count, late.count, daily.count, interrupted.count) == (0, 1, 0, 1)
        assert states["daily"].due_at == now_s + 40_000
        assert states["late"].every_s == 60
        assert (states["interrupted"].error, states["interrupted"].failures) == (INTERRUPTED, 0)
        await cancel_all([running], again_after_s=5)

    asyncio.run(check())


def test_a_pass_that_is_cancelled_with_its_process_is_due_at_once_and_has_not_failed():
    async def check() -> None:
        started = asyncio.Event()

        async def hang() -> None:
            started.set()
            await asyncio.Event().wait()

        jobs, _ = await run(Job(name="j", work=hang, every_s=60), until=lambda _jobs: started.wait())
        (state,) = jobs.states
        assert (state.failures, state.error) == (0, None)
        assert state.started_at is not None
        assert state.due_at is not None
        assert state.due_at >= state.started_at

    asyncio.run(check())


def test_a_pass_that_goes_on_is_no_failure_once_it_works():
    async def check() -> None:
        connected, fails = asyncio.Event(), [OSError(), OSError()]

        async def connect_and_stay() -> None:
            if fails:
                raise fails.pop()
            report_success()
            connected.set()
            await asyncio.Event().wait()

        async def wait(jobs: Jobs) -> None:
            await connected.wait()
            (state,) = jobs.states
            assert (state.failures, state.error) == (0, "OSError")
            assert state.succeeded_at is not None

        await run(Job(name="connection", work=connect_and_stay, every_s=60, retry_s=0.001), until=wait)

    report_success()  # of no job
    asyncio.run(check())


def test_a_failing_job_backs_off_up_to_a_limit(monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []

    async def check() -> None:
        work = Passes(*(ValueError() for _ in range(6)))
        sleep, loop = asyncio.sleep, asyncio.get_running_loop()

        async def note(seconds: float) -> None:
            is_ours = asyncio.get_running_loop() is loop  # another test's server may run in a thread
            if is_ours:
                pauses.append(round(seconds))
            await sleep(0 if is_ours else seconds)

        monkeypatch.setattr("rapport.jobs.asyncio.sleep", note)
        monkeypatch.setattr("rapport.jobs.SPREAD", 0.0)
        job = Job(name="j", work=work, every_s=60, retry_s=2, longest_retry_s=20)
        await run(job, until=lambda _jobs: work.succeeded.wait())

    asyncio.run(check())
    assert pauses[:8] == [0, 2, 4, 8, 16, 20, 20, 60]


def test_a_failing_item_neither_stops_the_others_nor_delays_the_job():
    seen: list[str] = []

    async def work(tenant_id: str) -> None:
        if tenant_id == "bad":
            raise OverflowError
        seen.append(tenant_id)

    async def check() -> None:
        rounds = asyncio.Semaphore(0)

        async def look() -> None:
            rounds.release()
            await run_for_each(["bad", "good", "fine"], work)

        async def twice(_jobs: Jobs) -> None:
            for _ in range(3):
                await rounds.acquire()

        jobs, _ = await run(Job(name="j", work=look, every_s=0.001, retry_s=1e9), until=twice)
        (state,) = jobs.states
        assert (state.error, state.failures >= 2) == ("OverflowError", True)

    asyncio.run(check())
    assert seen[:4] == ["good", "fine"] * 2
    with pytest.raises(PartialFailureError, match="OverflowError"):
        asyncio.run(run_for_each(["bad"], work))


def test_a_cancelled_job_runs_its_last_work_even_if_a_pass_hangs():
    async def check() -> None:
        started, last = asyncio.Event(), Passes()

        async def hang() -> None:
            started.set()
            await asyncio.Event().wait()

        await run(Job(name="j", work=hang, every_s=1, at_end=last), until=lambda _jobs: started.wait())
        assert last.count == 1

    asyncio.run(check())


def test_a_task_that_loses_its_first_cancellation_is_cancelled_again():
    async def deaf() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    async def failing() -> None:
        raise ValueError

    async def check() -> None:
        tasks = [asyncio.create_task(deaf()), asyncio.create_task(failing())]
        await asyncio.sleep(0)
        await cancel_all(tasks, again_after_s=0.01)
        assert all(task.done() for task in tasks)

    asyncio.run(check())


def test_tenants_take_turns_however_many_items_one_of_them_has():
    items = [("big", number) for number in range(1_000)] + [("small", 0), ("small", 1), ("other", 0)]
    ordered = list(take_turns(items, lambda item: item[0]))
    assert sorted(ordered) == sorted(items)
    assert ordered[:5] == [("big", 0), ("small", 0), ("other", 0), ("big", 1), ("small", 1)]
    assert [number for tenant, number in ordered if tenant == "big"] == list(range(1_000))


def test_backoff_grows_with_each_failure_and_ends_with_a_success():
    now_s = 0.0
    backoff = Backoff[str](first_s=10, longest_s=35, clock=lambda: now_s)
    pauses = []
    for _ in range(4):
        backoff.note_failure("a")
        began_s = now_s
        while not backoff.is_due("a"):
            now_s += 1
        pauses.append(now_s - began_s)
    assert (pauses, backoff.is_due("b")) == ([10, 20, 35, 35], True)
    backoff.note_failure("a")
    backoff.note_success("a")
    assert backoff.is_due("a")

"""Background jobs: periodic work that survives failures and reports its state.

A job is one pass of work that is repeated. Whatever a pass raises is logged, counted and shown; the next
one comes later the more passes in a row have failed. Each pass should process all tenants as far as it can and raise at
its end the errors of those that failed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog
from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

T = TypeVar("T")

log = structlog.get_logger(__name__)
SPREAD: Final = 0.1
"""Random part by which a pause is longer or shorter, so that processes do not run in step."""
INTERRUPTED: Final = "Interrupted"
"""Error of a pass whose process died in it."""
LATE_S: Final = 60.0
"""A job that was due so long ago and has not begun is late, even if a process should run it."""
STOP_S: Final = 12.0
"""Longest time that a job may take to clean up after it was cancelled."""
_report: ContextVar[Callable[[], None]] = ContextVar("_report")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Definition of a job.

    Attributes:
        name: Name in logs, metrics and lists.
        work: One pass. A pass that goes on for long calls :func:`report_success` whenever it works.
        every_s: From the end of one pass to the next.
        first_after_s: From the start of the process to the first pass.
        retry_s: The pause after a pass that failed; it doubles with each further one in a row.
        longest_retry_s: Longest such pause.
        at_end: Called once more after the last pass.
    """

    name: str
    work: Callable[[], Awaitable[object]]
    every_s: float
    first_after_s: float = 0.0
    retry_s: float = 1.0
    longest_retry_s: float = 30.0
    at_end: Callable[[], Awaitable[object]] | None = None


@dataclass(slots=True, kw_only=True)
class JobState:
    """State of a job; times in Unix seconds.

    Attributes:
        started_at: Start of the latest pass.
        duration_s: Duration of the latest pass that has ended, in seconds.
        succeeded_at: End of the latest pass that succeeded.
        failed_at: End of the latest pass that failed.
        error: Type of its error; the logs have the text, which may name what no caller should see.
        failures: Failed passes since the last success.
        due_at: Start of the next pass; None while one runs.
    """

    name: str
    every_s: float
    started_at: float | None = None
    duration_s: float | None = None
    succeeded_at: float | None = None
    failed_at: float | None = None
    error: str | None = None
    failures: int = 0
    due_at: float | None = None


def find_status(state: JobState, now_s: float, *, is_run: bool) -> str:
    """Find the status of a job: ok, failing, waiting for its first pass, or late.

    Late comes first, since nobody may be there to fail.

    Args:
        state: The state, as stored.
        now_s: Unix seconds.
        is_run: Whether a process runs the job.
    """
    overdue_s = None if state.due_at is None else now_s - state.due_at
    if (not is_run and (overdue_s is None or overdue_s > 0)) or (overdue_s or 0.0) > LATE_S:
        return "late"
    if state.failures:
        return "failing"
    return "waiting" if state.succeeded_at is None else "ok"


class PartialFailureError(Exception):
    """A pass processed everything, and some of it failed: that is shown, and the next pass is not delayed.

    Attributes:
        errors: Errors of the failed parts.
    """

    def __init__(self, errors: Sequence[Exception]) -> None:
        super().__init__("; ".join(f"{type(error).__name__}: {error}"[:300] for error in errors[:5]))
        self.errors = errors


class JobMetrics:
    """Prometheus metrics of jobs; several processes of one machine are combined."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter("rapport_job_failures", "Passes that failed", ["job"], registry=registry)
        self.succeeded_at = _make_gauge("rapport_job_last_success_timestamp_seconds", "The latest success", registry)
        self.due_at = _make_gauge("rapport_job_due_timestamp_seconds", "When the next pass is due", registry)
        self.duration_s = _make_gauge("rapport_job_last_duration_seconds", "Duration of the latest pass", registry)


def _make_gauge(name: str, meaning: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(name, meaning, ["job"], registry=registry, multiprocess_mode="max")


class Jobs:
    """Runs jobs concurrently.

    Args:
        jobs: Jobs with different names.
        metrics: Metrics that count the passes.
        clock: Returns Unix seconds.
        earlier: States in which an earlier process left jobs, by name. A job goes on when it is due by its state; a
            pass that had not ended has failed.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        metrics: JobMetrics,
        clock: Callable[[], float] = time.time,
        earlier: Mapping[str, JobState] = MappingProxyType({}),
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._metrics = metrics
        self._clock = clock
        self._states = {
            job.name: replace(
                earlier.get(job.name) or JobState(name=job.name, every_s=job.every_s), every_s=job.every_s
            )
            for job in self._jobs.values()
        }

    @property
    def states(self) -> Sequence[JobState]:
        """State of each job."""
        return list(self._states.values())

    async def run(self) -> None:
        """Run until cancelled, and then clean up."""
        tasks = [asyncio.create_task(self._repeat(job), name=job.name) for job in self._jobs.values()]
        try:
            await asyncio.Event().wait()
        finally:
            await cancel_all(tasks, again_after_s=STOP_S)

    async def _repeat(self, job: Job) -> None:
        _report.set(lambda: self._succeed(job))  # of this task alone
        pause_s = self._find_first_pause(job)
        try:
            while True:
                await self._pause(job, pause_s)
                pause_s = _spread(await self._run_pass(job))
        finally:
            if job.at_end is not None:
                await asyncio.shield(self._finish(job, job.at_end))

    def _find_first_pause(self, job: Job) -> float:
        state = self._states[job.name]
        if state.due_at is not None:
            return min(max(state.due_at - self._clock(), 0.0), _spread(max(job.every_s, job.longest_retry_s)))
        if state.started_at is None:
            return _spread(job.first_after_s)
        pause_s = _spread(self._fail(job, INTERRUPTED))
        log.warning("the process of a job died in a pass; it is done again", job=job.name, in_s=pause_s)
        return pause_s

    async def _pause(self, job: Job, pause_s: float) -> None:
        due_at = self._clock() + pause_s
        self._states[job.name].due_at = due_at
        self._metrics.due_at.labels(job.name).set(due_at)
        await asyncio.sleep(pause_s)

    async def _run_pass(self, job: Job) -> float:
        """Run one pass and return the pause after it."""
        state = self._states[job.name]
        state.started_at, state.due_at = self._clock(), None
        try:
            await job.work()
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                state.due_at = self._clock()  # whoever goes on begins with it
                raise
            pause_s = self._fail(job, _list_types(error))
            if isinstance(error, PartialFailureError):
                pause_s = job.every_s
            is_new = state.failures == 1  # one traceback is enough
            shown = {"exc_info": _find_cause(error)} if is_new else {"error": str(error)[:500]}
            log.warning("a job failed; it is done again", job=job.name, in_s=pause_s, failures=state.failures, **shown)
            return pause_s
        finally:
            state.duration_s = self._clock() - state.started_at
            self._metrics.duration_s.labels(job.name).set(state.duration_s)
        self._succeed(job)
        return job.every_s

    def _fail(self, job: Job, error: str) -> float:
        """Note that a pass has failed, and return the pause before the next one."""
        state = self._states[job.name]
        state.failures += 1
        state.failed_at, state.error = self._clock(), error
        self._metrics.failures.labels(job.name).inc()
        return min(job.retry_s * 2.0 ** min(state.failures - 1, 30), job.longest_retry_s)

    def _succeed(self, job: Job) -> None:
        state = self._states[job.name]
        state.failures, state.succeeded_at = 0, self._clock()
        self._metrics.succeeded_at.labels(job.name).set(state.succeeded_at)

    async def _finish(self, job: Job, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Exception as error:
            log.warning("a job could not be ended as it should", job=job.name, exc_info=error)


def _spread(pause_s: float) -> float:
    return pause_s * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - no secret


def report_success() -> None:
    """Report that the pass that runs works, though it has not ended; no-op outside of a job."""
    if report := _report.get(None):
        report()


async def run_for_each(items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
    """Process items one after the other; a failing item does not keep the others from being processed.

    Raises:
        PartialFailureError: With the errors of the items that failed.
    """
    if errors := await try_each(items, work):
        raise PartialFailureError(errors)


async def try_each(items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> list[Exception]:
    """Process items like :func:`run_for_each`, and return the errors."""
    errors: list[Exception] = []
    for item in items:
        try:
            await work(item)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next item must not wait for it
            errors.append(error)
    return errors


def _list_types(error: BaseException) -> str:
    """List the types of an error's parts."""
    errors: Sequence[BaseException] = error.errors if isinstance(error, PartialFailureError) else [error]
    return ", ".join(sorted({type(part).__name__ for part in errors}))


def _find_cause(error: BaseException) -> BaseException:
    return error.errors[0] if isinstance(error, PartialFailureError) else error


def _is_cancelled() -> bool:
    """Say whether this task is cancelled, and not only the one it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def cancel_all(tasks: Iterable[asyncio.Task[Any]], *, again_after_s: float) -> None:
    """Cancel tasks, again and again until they have ended, and drop their errors.

    Before Python 3.12 ``asyncio.wait_for``, which Kafka's client is full of, may lose a cancellation.

    Args:
        tasks: Tasks to cancel.
        again_after_s: Time for a task's cleanup before it is cancelled once more.
    """
    all_tasks = set(tasks)
    pending = all_tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again_after_s)
    for task in all_tasks:
        if not task.cancelled():
            task.exception()

"""Throughput: a worker against a full topic, from its first assignment to the last acknowledged write."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from benchmarks.workers import SYSTEMS, BenchmarkError, QueryTime, start_worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.stack import SqlClient, Stack
    from benchmarks.workers import Worker
    from benchmarks.workloads import SystemName, Workload

POLL_SECONDS: Final = 0.04
LONGEST_SECONDS: Final = 240.0
STALL_SECONDS: Final = 45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Throughput of one system with one workload.

    Attributes:
        events: Number of events the rate is computed from.
        seconds: From its first assignment (for the textbook app: its first message) to the last acknowledged write.
        start_seconds: From the process's start until then: imports, joining the group. Not part of the rate.
        peak_rss_mb: The most memory the process held.
        is_exact: Whether the summaries hold exactly the events; None where the system promises nothing.
        query_times: Cost of each kind of ClickHouse call; calls overlap.
    """

    workload: str
    system: SystemName
    events: int
    seconds: float
    start_seconds: float
    peak_rss_mb: float
    is_exact: bool | None
    query_times: Mapping[str, QueryTime] = field(default_factory=dict)

    @property
    def events_per_s(self) -> float:
        """The rate."""
        return self.events / self.seconds


def measure_throughput(
    stack: Stack, workload: Workload, system: SystemName, *, profile: Path | None = None
) -> Throughput:
    """Let one worker of a system work on a workload's topic, in a database and group of its own.

    Raises:
        BenchmarkError: It died, took too long or counted wrongly.
        RuntimeError: It did not start.
    """
    database = f"bench_{system}_{secrets.token_hex(4)}"
    with (
        stack.fresh_database(workload.name, database) as settings,
        contextlib.closing(stack.sql(database)) as sql,
    ):
        started_at = time.perf_counter()
        _create_table(sql, system)
        with start_worker(system, settings, stack.work_dir, profile=profile) as worker:
            consuming_at = time.perf_counter()
            events, done_at, peak_mb = _wait_done(worker, sql, workload)
            times = worker.query_times() if system == "rapport" else {}
            check = worker.system.is_exact
        is_exact = check(sql, workload) if check else None
    if is_exact is False:
        raise BenchmarkError(f"{workload.name}: {system} did not count every event exactly once")
    return Throughput(
        workload=workload.name,
        system=system,
        events=events,
        seconds=done_at - consuming_at,
        start_seconds=consuming_at - started_at,
        peak_rss_mb=peak_mb,
        is_exact=is_exact,
        query_times=times,
    )


def _create_table(sql: SqlClient, system: SystemName) -> None:
    if statement := SYSTEMS[system].create_table:
        sql.ask(statement)


def _wait_done(worker: Worker, sql: SqlClient, workload: Workload) -> tuple[int, float, float]:
    """Wait until the worker is done; return the number of events, the time, and the peak memory."""
    wanted = workload.textbook_events if worker.system.name in ("textbook", "quix") else workload.events
    started_at = moved_at = time.perf_counter()
    before = 0
    peak_mb = 0.0
    while True:
        peak_mb = max(peak_mb, worker.peak_memory_mb())
        done = worker.system.events_done(sql, workload)
        now = time.perf_counter()
        if done >= wanted:
            return done, now, max(peak_mb, worker.peak_memory_mb())
        if done > before:
            before, moved_at = done, now
        if now > started_at + LONGEST_SECONDS or now > moved_at + STALL_SECONDS:
            raise BenchmarkError(
                f"{workload.name}: {worker.system.name} did {done} of {wanted} events in {now - started_at:.0f} s, "
                f"none in the last {now - moved_at:.0f} s:\n{worker.tail()}"
            )
        time.sleep(POLL_SECONDS)

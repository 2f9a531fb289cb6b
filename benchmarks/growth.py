"""Benchmark of growth: `python -m benchmarks.growth --broker embedded|kafka [--quick]`. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import secrets
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from benchmarks.api_process import PEPPER, run_api
from benchmarks.catalogues import make_catalogue, store_catalogue
from benchmarks.load import encode_request, measure_at_rate
from benchmarks.stack import exit_on_sigterm, fill_topic, run_stack
from benchmarks.throughput import measure_throughput
from benchmarks.workers import SYSTEMS, BenchmarkError, start_worker
from benchmarks.workloads import TENANT, Skew, SystemName, Workload, make_events, make_messages, name_customer
from rapport.domain.api_keys import Role
from rapport.storage.api_keys import create_key
from rapport.storage.client import connect
from rapport.storage.tenants import change_tenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.stack import SqlClient, Stack
    from benchmarks.workers import Worker
    from rapport.settings import Settings

BUILD_DIR: Final = Path(__file__).parents[1] / "build"
POINTS: Final = (1_000_000, 2_000_000, 5_000_000, 10_000_000, 20_000_000)
QUICK_POINTS: Final = (1_000_000, 2_000_000, 3_000_000)
SAMPLE_EVENTS: Final = 300_000
"""The last events before each point; a worker finds them all in the log, and its rate is the point's."""
CUSTOMERS: Final = 5_000_000
PER_MESSAGE: Final = 100
TEXTBOOK_EVENTS: Final = 40_000
OFFERS: Final = 10
READS_PER_S: Final = 100.0
KNOWN_CUSTOMERS: Final = 20_000
STALL_SECONDS: Final = 90.0
QUIET_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.04
SKEWS: Final[tuple[Skew, ...]] = ("uniform", "skewed")
MEASURED: Final[tuple[SystemName, ...]] = ("rapport", "bare", "textbook")
_BATCH_READS: Final = ("stream/claim_progress", "stream/recent_claims", "stream/claims")
_DISK: Final = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthPoint:
    """One system with so many events stored.

    Attributes:
        events: How many are stored.
        customers: Of so many customers the events are drawn.
        events_per_s: Rate of the last of them.
        batch_read_ms: What a batch reads from ClickHouse before it writes: mean time of its calls, which overlap.
        disk_bytes_per_event: Everything in the database, over the events.
    """

    events: int
    customers: int
    skew: Skew
    system: SystemName
    events_per_s: float
    batch_read_ms: float | None = None
    summaries_p99_ms: float | None = None
    history_p99_ms: float | None = None
    recommend_p99_ms: float | None = None
    disk_bytes_per_event: float | None = None
    peak_rss_mb: float = 0.0


class GrowingSystem:
    """A system whose topic and database grow.

    Attributes:
        peak_mb: Most memory that one of its workers has held.
    """

    def __init__(
        self, stack: Stack, system: SystemName, workload: Workload, settings: Settings, sql: SqlClient
    ) -> None:
        self._stack = stack
        self._system = system
        self._workload = workload
        self._messages = make_messages(workload)
        self._settings = settings
        self._sql = sql
        self.peak_mb = 0.0

    @contextlib.contextmanager
    def growing(self, events: int) -> Iterator[tuple[Worker, float]]:
        """Append events to the topic and let a worker store them; yield it, and its rate once it runs, events a second.

        Raises:
            BenchmarkError: It died, or got stuck.
        """
        stored = self._count_stored()
        asyncio.run(fill_topic(self._settings.kafka, itertools.islice(self._messages, events // PER_MESSAGE)))
        with start_worker(self._system, self._settings, self._stack.work_dir) as worker:
            self._wait_until(worker, lambda: self._count_stored() > stored)
            first, began = self._count_stored(), time.perf_counter()
            self._wait_until(worker, lambda: self._count_stored() >= stored + events)
            yield worker, (stored + events - first) / (time.perf_counter() - began)
            self._drain(worker)

    def _count_stored(self) -> int:
        return SYSTEMS[self._system].events_done(self._sql, self._workload)

    def _drain(self, worker: Worker) -> None:
        """Wait until nothing is stored any more: decisions that were measured are messages too."""
        before, quiet_since = -1, time.perf_counter()

        def is_quiet() -> bool:
            nonlocal before, quiet_since
            if (stored := self._count_stored()) != before:
                before, quiet_since = stored, time.perf_counter()
            return time.perf_counter() - quiet_since > QUIET_SECONDS

        self._wait_until(worker, is_quiet)
        self.peak_mb = max(self.peak_mb, worker.peak_memory_mb())

    def _wait_until(self, worker: Worker, is_done: Callable[[], bool]) -> None:
        before, moved_at = -1, time.perf_counter()
        while not is_done():
            worker.peak_memory_mb()  # raises once it has died
            now = time.perf_counter()
            if (stored := self._count_stored()) > before:
                before, moved_at = stored, now
            if now > moved_at + STALL_SECONDS:
                raise BenchmarkError(f"{self._system} is stuck at {stored:,} events:\n{worker.tail()}")
            time.sleep(POLL_SECONDS)


def measure_growth(
    stack: Stack, system: SystemName, skew: Skew, points: Sequence[int], read_seconds: float
) -> Iterator[GrowthPoint]:
    """Let a system store events up to each point, and measure there; merges run as they do.

    Raises:
        BenchmarkError: A worker died or got stuck.
    """
    workload = _make_workload(skew, points[-1])
    customers = [name_customer(n) for n, _ in itertools.islice(make_events(workload), KNOWN_CUSTOMERS)]
    with _growing_database(stack, system, skew) as (settings, sql):
        growing = GrowingSystem(stack, system, workload, settings, sql)
        key = _prepare(settings) if system == "rapport" else ""
        for before, point in itertools.pairwise([0, *points]):
            with growing.growing(point - before - SAMPLE_EVENTS):
                pass
            with growing.growing(SAMPLE_EVENTS) as (worker, events_per_s):
                batch_ms = _read_batch_ms(worker) if key else None
                reads = _measure_reads(stack, settings, key, customers, read_seconds) if key else {}
            yield GrowthPoint(
                events=point,
                customers=CUSTOMERS,
                skew=skew,
                system=system,
                events_per_s=events_per_s,
                batch_read_ms=batch_ms,
                disk_bytes_per_event=sql.number(_DISK) / point,
                peak_rss_mb=growing.peak_mb,
                **reads,
            )


def measure_textbook(stack: Stack, skew: Skew) -> GrowthPoint:
    """Measure the textbook app with its first events: it would take hours for a million."""
    workload = _make_workload(skew, TEXTBOOK_EVENTS)
    asyncio.run(fill_topic(stack.settings(workload.name, "default").kafka, make_messages(workload)))
    result = measure_throughput(stack, workload, "textbook")
    return GrowthPoint(
        events=result.events,
        customers=CUSTOMERS,
        skew=skew,
        system="textbook",
        events_per_s=result.events_per_s,
        peak_rss_mb=result.peak_rss_mb,
    )


def _make_workload(skew: Skew, events: int) -> Workload:
    return Workload(
        name=f"growth-{skew}-{secrets.token_hex(4)}",
        skew=skew,
        events_per_message=PER_MESSAGE,
        events=events,
        textbook_events=TEXTBOOK_EVENTS,
        customers=CUSTOMERS,
    )


@contextlib.contextmanager
def _growing_database(stack: Stack, system: SystemName, skew: Skew) -> Iterator[tuple[Settings, SqlClient]]:
    name = f"growth_{system}_{skew}_{secrets.token_hex(4)}"
    with stack.fresh_database(name, name) as settings, contextlib.closing(stack.sql(name)) as sql:
        if statement := SYSTEMS[system].create_table:
            sql.ask(statement)
        yield settings, sql


def _prepare(settings: Settings) -> str:
    """Store what decisions need, and return a key for the API."""
    with contextlib.closing(connect(settings.clickhouse)) as store:
        change_tenant(store, TENANT, requests_per_minute=10_000_000)
        store_catalogue(store, TENANT, make_catalogue(OFFERS))
        return create_key(store, TENANT, Role.ADMIN, PEPPER, 1)[0]


def _read_batch_ms(worker: Worker) -> float:
    times = worker.query_times()
    return sum(times[name].seconds * 1000 / max(times[name].calls, 1) for name in _BATCH_READS if name in times)


def _measure_reads(
    stack: Stack, settings: Settings, key: str, customers: Sequence[str], seconds: float
) -> dict[str, float]:
    """Read customers as often as they have events: a hot one often."""
    rng, headers = random.Random(1), {"X-API-Key": key}

    def read(path: str) -> bytes:
        return encode_request("GET", path + rng.choice(customers), headers)

    def recommend() -> bytes:
        body = {"customerId": rng.choice(customers), "channelId": "web", "limit": 3}
        return encode_request("POST", "/api/v1/recommend", headers, json.dumps(body).encode())

    reads: dict[str, Callable[[], bytes]] = {
        "summaries_p99_ms": lambda: read("/api/v1/interaction-summaries?customerId="),
        "history_p99_ms": lambda: read("/api/v1/interaction-history?customerId="),
        "recommend_p99_ms": recommend,
    }
    measured: dict[str, float] = {}
    with run_api(settings, stack.work_dir) as port:
        for name, make in reads.items():
            load = measure_at_rate(port, make, READS_PER_S, seconds)
            if load.errors:
                raise BenchmarkError(f"{name}: {load.outcome}")
            measured[name] = load.percentile_ms(0.99)
    return measured


def print_points(console: Console, points: Sequence[GrowthPoint]) -> None:
    """Print the table."""
    table = Table(title="Growth: worker, API, ClickHouse and broker on one machine", title_justify="left")
    for name in ("skew", "system"):
        table.add_column(name)
    columns = ("events", "events/s", "batch read ms", "summaries p99", "history p99", "recommend p99", "B/event", "MB")
    for name in columns:
        table.add_column(name, justify="right")
    for one in points:
        figures = (
            one.events_per_s,
            one.batch_read_ms,
            one.summaries_p99_ms,
            one.history_p99_ms,
            one.recommend_p99_ms,
            one.disk_bytes_per_event,
            one.peak_rss_mb,
        )
        shown = ("" if figure is None else f"{figure:,.0f}" for figure in figures)
        table.add_row(one.skew, one.system, f"{one.events:,}", *shown)
    console.print(table)


def write_json(path: Path, points: Sequence[GrowthPoint]) -> None:
    """Write the points as a list of objects."""
    entries: list[dict[str, Any]] = [
        {name: round(value, 1) if isinstance(value, float) else value for name, value in asdict(point).items()}
        for point in points
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=2) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 if something could not be measured."""
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--broker", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument("--quick", action="store_true", help="only to three million events")
    parser.add_argument("--events", type=int, default=POINTS[-1], help="the last point (default: 20 million)")
    parser.add_argument("--skew", action="append", choices=SKEWS, default=[], help="only this; may be repeated")
    parser.add_argument("--system", action="append", choices=MEASURED, default=[], help="only this; may be repeated")
    parser.add_argument("--before", type=Path, help="an earlier JSON file, drawn beside")
    parser.add_argument("--output", type=Path, default=BUILD_DIR / "bench-growth.json", help="the JSON file")
    given = parser.parse_args(arguments)
    exit_on_sigterm()
    console = Console(width=128) if not sys.stdout.isatty() else Console()
    points = [point for point in (QUICK_POINTS if given.quick else POINTS) if point <= given.events]
    results: list[GrowthPoint] = []
    has_failed = False
    for skew, system in itertools.product(given.skew or SKEWS, given.system or MEASURED):
        with run_stack(given.broker) as stack:  # each its own: what is in the broker's memory is not the system's
            try:
                for point in _measure(stack, system, skew, points, 5.0 if given.quick else 15.0):
                    results.append(point)
                    console.print(f"  {skew}, {system}, {point.events:,} events: {point.events_per_s:,.0f} events/s")
                    write_json(given.output, results)
            except (BenchmarkError, RuntimeError) as error:
                has_failed = True
                console.print(f"  {skew}, {system} failed: {error}", style="red", markup=False)
    print_points(console, results)
    plot = given.output.with_suffix(".svg")
    _draw(plot, results, json.loads(given.before.read_text("utf-8")) if given.before else [])
    console.print(f"wrote {given.output} and {plot}")
    return 1 if has_failed else 0


def _measure(
    stack: Stack, system: SystemName, skew: Skew, points: Sequence[int], read_seconds: float
) -> Iterator[GrowthPoint]:
    if system == "textbook":
        yield measure_textbook(stack, skew)
    else:
        yield from measure_growth(stack, system, skew, points, read_seconds)


def _draw(path: Path, points: Sequence[GrowthPoint], before: Sequence[dict[str, Any]]) -> None:
    from benchmarks.growth_plot import draw_growth  # noqa: PLC0415 - it imports a whole plotting library

    draw_growth(path, [asdict(point) for point in points], before)


if __name__ == "__main__":
    sys.exit(main())

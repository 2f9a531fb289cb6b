"""Visible latency: from the moment an event is sent until every reader of ClickHouse can see its effect."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.api_process import PEPPER, run_api
from benchmarks.data_lag import LagReader, compute_excess, running_beside
from benchmarks.workers import BenchmarkError, start_worker
from benchmarks.workloads import (
    CUSTOMERS,
    OUTCOME_WEIGHTS,
    OUTCOMES,
    PARTITIONS,
    TENANT,
    VISIBLE,
    format_event,
    name_customer,
)
from rapport.domain.api_keys import Role
from rapport.domain.events import make_message_key
from rapport.kafka.clients import make_producer
from rapport.kafka.topics import create_topics
from rapport.storage.api_keys import create_key
from rapport.storage.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from aiokafka.structs import RecordMetadata

    from benchmarks.stack import SqlClient, Stack
    from rapport.settings import KafkaSettings, Settings

RATE_PER_S: Final = 5_000
WARM_UP_SECONDS: Final = 3.0
TICK_SECONDS: Final = 0.01
POLL_SECONDS: Final = 0.015
SETTLE_SECONDS: Final = 60.0
_REACHED: Final = "SELECT partition, max(next_offset) FROM stream_progress GROUP BY partition"


@dataclass(frozen=True, slots=True)
class SentEvent:
    """One event: its position in the log, and the times at which it was given to the producer and acknowledged."""

    partition: int
    offset: int
    sent_at: float
    acknowledged_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Visibility:
    """Latencies from sending events to their visibility.

    Attributes:
        rate_per_s: Events a second that were really sent.
        poll_ms: Mean time between two reads of the recorded progress: the resolution.
    """

    events: int
    rate_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    poll_ms: float
    peak_rss_mb: float


class Watcher:
    """Recorder of the times at which the recorded progress advanced, in a thread of its own."""

    def __init__(self, sql: SqlClient) -> None:
        self._sql = sql
        self._offsets: list[list[int]] = [[] for _ in range(PARTITIONS)]
        self._seen_at: list[list[float]] = [[] for _ in range(PARTITIONS)]
        self._looks = 0
        self._seconds = 0.0
        self._longest_s = 0.0

    @property
    def longest_ms(self) -> float:
        """Longest time between two reads of the progress."""
        return self._longest_s * 1000

    @property
    def poll_ms(self) -> float:
        """Mean time between two reads of the progress."""
        return self._seconds * 1000 / max(self._looks, 1)

    def has_reached(self, partition: int, offset: int) -> bool:
        """Return whether the progress has passed an event."""
        return bool(self._offsets[partition]) and self._offsets[partition][-1] > offset

    def seen_at(self, event: SentEvent) -> float:
        """Return when the progress was first seen past an event; it must have been."""
        return self._seen_at[event.partition][bisect_left(self._offsets[event.partition], event.offset + 1)]

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch until the block ends."""
        with running_beside(self._watch):
            yield

    def _watch(self, stopping: threading.Event) -> None:
        started_at = before = time.perf_counter()
        while not stopping.wait(POLL_SECONDS):
            rows = self._sql.ask(_REACHED)
            now = time.perf_counter()
            self._longest_s, before = max(self._longest_s, now - before), now
            for partition, reached in rows:
                offsets, seen_at = self._offsets[int(partition)], self._seen_at[int(partition)]
                if not offsets or int(reached) > offsets[-1]:
                    offsets.append(int(reached))
                    seen_at.append(now)
            self._looks += 1
            self._seconds = now - started_at


@dataclass(frozen=True, slots=True, kw_only=True)
class LagExcess:
    """By how much ``X-Data-Lag-Ms`` lies above the true age of what reads show.

    Attributes:
        least_ms: Below zero if a read called itself younger than it was.
        resolution_ms: Longest time between two looks at what is visible: so much the truth is overestimated at most.
    """

    reads: int
    p50_ms: float
    p95_ms: float
    max_ms: float
    least_ms: float
    resolution_ms: float


def measure_visibility(stack: Stack, *, seconds: float, profile: Path | None = None) -> Visibility:
    """Send at a fixed rate to a running worker and measure how soon the recorded progress passes each event.

    Raises:
        BenchmarkError: The worker died or fell behind for good.
    """
    with (
        _fresh_stream(stack) as (settings, sql),
        start_worker("rapport", settings, stack.work_dir, profile=profile) as worker,
    ):
        watcher = Watcher(sql)
        with watcher.watching():
            sent = asyncio.run(_send_and_settle(settings.kafka, watcher, seconds))
        peak_mb = worker.peak_memory_mb()
    since = _end_warm_up(sent)
    measured = [event for event in sent if event.sent_at >= since]
    latencies = sorted((watcher.seen_at(event) - event.sent_at) * 1000 for event in measured)
    span = max(event.sent_at for event in measured) - min(event.sent_at for event in measured)
    return Visibility(
        events=len(measured),
        rate_per_s=len(measured) / span,
        p50_ms=compute_quantile(latencies, 0.50),
        p95_ms=compute_quantile(latencies, 0.95),
        p99_ms=compute_quantile(latencies, 0.99),
        max_ms=latencies[-1],
        poll_ms=watcher.poll_ms,
        peak_rss_mb=peak_mb,
    )


def measure_lag_excess(stack: Stack, *, seconds: float) -> LagExcess:
    """Send at the same rate to a running worker with an API beside it, and compare what reads say with the truth.

    Raises:
        BenchmarkError: The worker or the API died, or fell behind for good.
    """
    with _fresh_stream(stack) as (settings, sql):
        with contextlib.closing(connect(settings.clickhouse)) as store:
            key, _ = create_key(store, TENANT, Role.ADMIN, PEPPER, 1)
        with start_worker("rapport", settings, stack.work_dir), run_api(settings, stack.work_dir) as port:
            watcher, reader = Watcher(sql), LagReader(port, key)
            with watcher.watching(), reader.reading():
                sent = asyncio.run(_send_and_settle(settings.kafka, watcher, seconds))
    pairs = sorted((event.acknowledged_at, watcher.seen_at(event)) for event in sent)
    logged_at, seen_at = zip(*pairs, strict=True)
    excess = compute_excess(reader.stated, logged_at, seen_at, since=_end_warm_up(sent))
    if not excess:
        raise BenchmarkError("no read was answered while events were sent")
    return LagExcess(
        reads=len(excess),
        p50_ms=compute_quantile(excess, 0.50),
        p95_ms=compute_quantile(excess, 0.95),
        max_ms=excess[-1],
        least_ms=excess[0],
        resolution_ms=watcher.longest_ms,
    )


@contextlib.contextmanager
def _fresh_stream(stack: Stack) -> Iterator[tuple[Settings, SqlClient]]:
    """Make a database and a topic, and a connection for looks at the progress."""
    database = f"bench_visible_{secrets.token_hex(4)}"
    with (
        stack.fresh_database(f"{VISIBLE}-{secrets.token_hex(4)}", database) as settings,
        contextlib.closing(stack.sql(database)) as sql,
    ):
        asyncio.run(create_topics(settings.kafka))
        yield settings, sql


def _end_warm_up(sent: Sequence[SentEvent]) -> float:
    return min(event.sent_at for event in sent) + WARM_UP_SECONDS


def compute_quantile(ascending: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies (nearest rank)."""
    return ascending[min(int(len(ascending) * share), len(ascending) - 1)]


async def _send_and_settle(kafka: KafkaSettings, watcher: Watcher, seconds: float) -> list[SentEvent]:
    sent = await _send(kafka, WARM_UP_SECONDS + seconds)
    last = {p: max((e.offset for e in sent if e.partition == p), default=-1) for p in range(PARTITIONS)}
    deadline = time.perf_counter() + SETTLE_SECONDS
    while not all(watcher.has_reached(partition, offset) for partition, offset in last.items() if offset >= 0):
        if time.perf_counter() > deadline:
            raise BenchmarkError(f"events were still not visible {SETTLE_SECONDS:.0f} s after the last was sent")
        await asyncio.sleep(0.05)
    return sent


async def _send(kafka: KafkaSettings, seconds: float) -> list[SentEvent]:
    """Send RATE_PER_S events a second, evenly; a late tick sends what it owes."""
    events = _events()
    pending: list[tuple[float, asyncio.Future[RecordMetadata]]] = []
    acknowledged_at: dict[asyncio.Future[RecordMetadata], float] = {}

    def note(future: asyncio.Future[RecordMetadata]) -> None:
        acknowledged_at[future] = time.perf_counter()

    async with make_producer(kafka) as sender:
        started_at = time.perf_counter()
        while (elapsed := time.perf_counter() - started_at) < seconds:
            while len(pending) < elapsed * RATE_PER_S:
                partition, key, make = next(events)
                now_ms = int(time.time() * 1000)
                future = await sender.send(kafka.topic, make(now_ms), key=key, partition=partition, timestamp_ms=now_ms)
                future.add_done_callback(note)
                pending.append((time.perf_counter(), future))
            await asyncio.sleep(TICK_SECONDS)
        metadata = await asyncio.gather(*(future for _, future in pending))
    return [
        SentEvent(m.partition, m.offset, at, acknowledged_at[future])
        for (at, future), m in zip(pending, metadata, strict=True)
    ]


def _events() -> Iterator[tuple[int, bytes, Callable[[int], bytes]]]:
    rng = random.Random(secrets.randbits(64))
    while True:
        customer = rng.randrange(CUSTOMERS)
        outcome = rng.choices(OUTCOMES, OUTCOME_WEIGHTS)[0]

        def make(now_ms: int, customer: int = customer, outcome: str = outcome) -> bytes:
            return format_event(rng, customer, outcome, now_ms).encode()

        yield customer % PARTITIONS, make_message_key(TENANT, name_customer(customer)), make

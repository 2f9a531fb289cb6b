"""Prometheus metrics: those of the stream, one set per process, and the timer of queries that all processes have."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from rapport.jobs import JobMetrics

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


BatchPart = Literal["decode", "claims", "decide", "fold", "dead_letters", "history", "summaries", "states", "progress"]
"""Parts of a batch: claims are written and read, history, summaries and progress are written."""


class StreamMetrics:
    """Metrics of a stream worker."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.lag = Gauge(
            "rapport_stream_lag_messages",
            "Messages in the log that are not applied yet",
            ["topic", "partition"],
            registry=self.registry,
        )
        self.events = Counter("rapport_stream_events", "Events accepted", registry=self.registry)
        self.duplicates = Counter("rapport_stream_duplicates", "Repeated events left out", registry=self.registry)
        self.dead_letters = Counter(
            "rapport_stream_dead_letters", "Messages that could not be used", ["code"], registry=self.registry
        )
        self.batch_seconds = Histogram(
            "rapport_stream_batch_seconds", "From fetch to acknowledgement", registry=self.registry, buckets=_SECONDS
        )
        self.batch_events = Histogram(
            "rapport_stream_batch_events",
            "Events in a batch",
            registry=self.registry,
            buckets=(1, 10, 100, 1_000, 10_000, 100_000),
        )
        self.part_seconds = Counter(
            "rapport_stream_part_seconds", "Time that batches took, by part", ["part"], registry=self.registry
        )
        self.summary_rows = Counter(
            "rapport_stream_summary_rows",
            "Summary rows written; divided by events, rows per event",
            registry=self.registry,
        )
        self.doubtful_keys = Counter(
            "rapport_stream_doubtful_keys",
            "Events whose key was looked up in ClickHouse; divided by events, their share",
            registry=self.registry,
        )
        self.claim_filter_bytes = Gauge(
            "rapport_stream_claim_filter_bytes",
            "Memory of the keys of claims; 0 if there are too many of them",
            registry=self.registry,
        )
        self.states_offered = Counter(
            "rapport_stream_states_offered", "Customer states that were offered a batch", registry=self.registry
        )
        self.states_missed = Counter(
            "rapport_stream_states_missed",
            "Batches that could not be offered to the customer states",
            registry=self.registry,
        )
        self.retries = Counter("rapport_stream_retries", "Batches tried again", registry=self.registry)
        self.holes = Counter(
            "rapport_stream_holes", "Times the log was read again because messages were missing", registry=self.registry
        )
        self.lost = Counter(
            "rapport_stream_lost_messages", "Messages retention deleted before they were read", registry=self.registry
        )
        self.refused = Gauge(
            "rapport_stream_refused_partitions", "Assigned partitions that are not processed", registry=self.registry
        )
        self.erased = Counter(
            "rapport_stream_erased",
            "Events, decisions and dead letters of erased customers left out",
            registry=self.registry,
        )
        self.repaired = Counter(
            "rapport_stream_repaired_customers", "Customers recomputed from history", registry=self.registry
        )
        self.jobs = JobMetrics(self.registry)
        self.time_query = make_query_timer(self.registry)

    @contextmanager
    def time_part(self, part: BatchPart) -> Iterator[None]:
        """Add the time of a part of a batch, whether it succeeds or fails."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.part_seconds.labels(part).inc(time.perf_counter() - started)

    def render(self) -> bytes:
        """Render the metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def make_query_timer(
    registry: CollectorRegistry, buckets: Sequence[float] = _SECONDS
) -> Callable[[str], AbstractContextManager[None]]:
    """Make a context manager that measures one ClickHouse call by the name of its query.

    It fits :data:`rapport.storage.client.QueryTimer`.
    """
    seconds = Histogram("rapport_query_seconds", "ClickHouse calls", ["query"], registry=registry, buckets=buckets)

    @contextmanager
    def time_query(name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds.labels(name).observe(time.perf_counter() - started)

    return time_query

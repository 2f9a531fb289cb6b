"""Prometheus metrics of the process that runs the background jobs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from rapport.jobs import JobMetrics
from rapport.metrics import make_query_timer


class JobProcessMetrics:
    """Metrics of one process; those of the jobs are there while it holds the lease."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.jobs = JobMetrics(self.registry)
        self.lease_held = Gauge(
            "rapport_jobs_lease_held", "1 if this process runs the jobs, 0 if it waits", registry=self.registry
        )
        self.time_query = make_query_timer(self.registry)

    def render(self) -> bytes:
        """Render the metrics in Prometheus' text format."""
        return generate_latest(self.registry)

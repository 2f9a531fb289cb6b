"""Prometheus metrics of the API. One set per process; several processes of one machine are added up when scraped."""

from __future__ import annotations

import os
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from rapport.jobs import JobMetrics
from rapport.metrics import make_query_timer

_SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ApiMetrics:
    """Metrics of the API."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "rapport_api_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "rapport_api_request_seconds",
            "From the first byte to the last",
            ["method", "route"],
            registry=self.registry,
            buckets=_SECONDS,
        )
        self.loaded = Histogram(
            "rapport_api_loader_requests",
            "Requests that one query answered",
            ["loader"],
            registry=self.registry,
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
        )
        self.accepted = Counter("rapport_api_events", "Events acknowledged by Kafka", ["route"], registry=self.registry)
        self.decision_seconds = Histogram(
            "rapport_api_decision_seconds", "Stages of decisions", ["stage"], registry=self.registry, buckets=_SECONDS
        )
        self.facts_from = Counter(
            "rapport_api_decision_facts",
            "Decisions by where the facts of the customer came from",
            ["source"],
            registry=self.registry,
        )
        self.offers_lost = Counter(
            "rapport_offers_lost",
            "Offers that recommendations did not show, by the stage that took them",
            ["stage"],
            registry=self.registry,
        )
        self.decisions_empty = Counter(
            "rapport_decisions_empty", "Recommendations that showed nothing", ["reason"], registry=self.registry
        )
        self.lag_ms = Gauge(
            "rapport_api_data_lag_ms", "How old reads may be", registry=self.registry, multiprocess_mode="mostrecent"
        )
        self.state_up = Gauge(
            "rapport_api_state_up",
            "Whether Valkey answers; 0 where there is none",
            registry=self.registry,
            multiprocess_mode="min",
        )
        self.jobs = JobMetrics(self.registry)
        self.time_query = make_query_timer(self.registry, _SECONDS)

    def render(self) -> bytes:
        """Write the metrics in Prometheus' text format; of all processes, where they share a directory."""
        if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            return generate_latest(self.registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        return generate_latest(together)

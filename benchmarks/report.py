"""Report of the results: a table for people, a list for machines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.table import Table

from benchmarks.workloads import LAG, VISIBLE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from benchmarks.latency import LagExcess, Visibility
    from benchmarks.throughput import Throughput


def print_throughput(console: Console, results: Sequence[Throughput], title: str) -> None:
    """Print the rates, with those of the peers in relation to ours."""
    table = Table(title=title, title_justify="left")
    table.add_column("workload")
    table.add_column("system")
    for name in ("events", "events/s", "rapport is", "peak MB", "seconds", "start s"):
        table.add_column(name, justify="right")
    table.add_column("exact")
    ours = {r.workload: r.events_per_s for r in results if r.system == "rapport"}
    for result in results:
        ratio = ours.get(result.workload, 0) / result.events_per_s
        table.add_row(
            result.workload,
            result.system,
            f"{result.events:,}",
            f"{result.events_per_s:,.0f}",
            "" if result.system == "rapport" or not ratio else f"{ratio:.2g} x",
            f"{result.peak_rss_mb:,.0f}",
            f"{result.seconds:.1f}",
            f"{result.start_seconds:.1f}",
            {True: "yes", False: "NO", None: "-"}[result.is_exact],
        )
    console.print(table)


def print_visibility(console: Console, seen: Visibility) -> None:
    """Print the latencies."""
    table = Table(title=f"{VISIBLE}: from sent to visible, {seen.rate_per_s:,.0f} events/s", title_justify="left")
    for name in ("p50 ms", "p95 ms", "p99 ms", "max ms", "resolution ms", "peak MB"):
        table.add_column(name, justify="right")
    values = (seen.p50_ms, seen.p95_ms, seen.p99_ms, seen.max_ms, seen.poll_ms, seen.peak_rss_mb)
    table.add_row(*(f"{value:,.0f}" for value in values))
    console.print(table)


def print_lag_excess(console: Console, lag: LagExcess) -> None:
    """Print how far the stated lag lies above the truth."""
    table = Table(title=f"{LAG}: X-Data-Lag-Ms above the true age, {lag.reads:,} reads", title_justify="left")
    for name in ("p50 ms", "p95 ms", "max ms", "least ms", "resolution ms"):
        table.add_column(name, justify="right")
    values = (lag.p50_ms, lag.p95_ms, lag.max_ms, lag.least_ms, lag.resolution_ms)
    table.add_row(*(f"{value:,.0f}" for value in values))
    console.print(table)


def print_query_times(console: Console, result: Throughput) -> None:
    """Print the cost of a rapport worker's ClickHouse calls."""
    table = Table(title=f"{result.workload}: ClickHouse calls of the worker in {result.seconds:.1f} s")
    table.add_column("query")
    for name in ("calls", "seconds", "ms a call", "µs an event"):
        table.add_column(name, justify="right")
    for name, cost in sorted(result.query_times.items(), key=lambda item: -item[1].seconds):
        per_event_us = cost.seconds * 1e6 / result.events
        per_call_ms = cost.seconds * 1e3 / max(cost.calls, 1)
        table.add_row(name, str(cost.calls), f"{cost.seconds:.2f}", f"{per_call_ms:.0f}", f"{per_event_us:.1f}")
    console.print(table)


def write_json(
    path: Path, results: Sequence[Throughput], seen: Visibility | None, lag: LagExcess | None, broker: str
) -> None:
    """Write the results as a list of objects."""
    entries: list[dict[str, Any]] = [
        {
            "workload": r.workload,
            "system": r.system,
            "events_per_s": round(r.events_per_s),
            "peak_rss_mb": round(r.peak_rss_mb),
            "events": r.events,
            "seconds": round(r.seconds, 2),
            "start_seconds": round(r.start_seconds, 2),
            "is_exact": r.is_exact,
            "broker": broker,
        }
        for r in results
    ]
    if seen is not None:
        entries.append(
            {
                "workload": VISIBLE,
                "system": "rapport",
                "p50_ms": round(seen.p50_ms),
                "p95_ms": round(seen.p95_ms),
                "p99_ms": round(seen.p99_ms),
                "max_ms": round(seen.max_ms),
                "rate_per_s": round(seen.rate_per_s),
                "resolution_ms": round(seen.poll_ms, 1),
                "peak_rss_mb": round(seen.peak_rss_mb),
                "broker": broker,
            }
        )
    if lag is not None:
        entries.append(
            {
                "workload": LAG,
                "system": "rapport",
                "reads": lag.reads,
                "p50_ms": round(lag.p50_ms),
                "p95_ms": round(lag.p95_ms),
                "max_ms": round(lag.max_ms),
                "least_ms": round(lag.least_ms),
                "resolution_ms": round(lag.resolution_ms, 1),
                "broker": broker,
            }
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=2) + "\n", "utf-8")

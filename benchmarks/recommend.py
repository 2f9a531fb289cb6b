"""The benchmark of Recommend: `python -m benchmarks.recommend [--broker kafka] [--quick]`. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import random
import re
import signal
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from rich.console import Console
from rich.table import Table

from benchmarks.api_process import load_database, run_api
from benchmarks.catalogues import group_by_kind, make_catalogue, store_catalogue
from benchmarks.load import LoadResult, encode_request, measure_at_rate, measure_saturation
from benchmarks.stack import run_stack
from benchmarks.workers import BenchmarkError, start_worker
from benchmarks.workloads import TENANT, Workload, name_customer
from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.compile import compile_catalogue
from rapport.domain.decisions.engine import decide
from rapport.domain.decisions.facts import Counts, CustomerFacts, Subject, TenantFacts
from rapport.domain.decisions.windows import WindowUnit
from rapport.garbage import collect_rarely
from rapport.storage.client import connect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.load import MakeRequest

BUILD_DIR: Final = Path(__file__).parents[1] / "build"
SIZES: Final = (10, 100, 1_000)
RATE: Final = 100
SATURATION: Final = "saturation"
CUSTOMERS: Final = 100_000
EVENTS: Final = 500_000
PURE_RUNS: Final = 300
_STAGE: Final = re.compile(r'^rapport_api_decision_seconds_(sum|count)\{stage="(\w+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendResult:
    """One measurement of the API.

    Attributes:
        offers: In the catalogue.
        rate: Requests a second, or ``saturation``.
        stages_ms: Mean time of each stage of a decision.
    """

    offers: int
    rate: str
    load: LoadResult
    stages_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowResult:
    """One measurement of the flow alone, in this process."""

    offers: int
    median_ms: float
    p95_ms: float


def make_requests(key: str, rng: random.Random) -> MakeRequest:
    """Make a function that returns recommendations for random customers."""
    headers = {"X-API-Key": key}

    def make() -> bytes:
        body = {
            "customerId": name_customer(rng.randrange(CUSTOMERS)),
            "channelId": "web",
            "limit": 3,
            "segments": ["known"],
            "attributes": {"age": 40, "lastLogin": "2026-01-01", "name": "Ann"},
        }
        return encode_request("POST", "/api/v1/recommend", headers, json.dumps(body).encode())

    return make


def measure(port: int, key: str, offers: int, rate: str, seconds: float) -> RecommendResult:
    """Measure one rate."""
    before = _read_stages(port)
    make = make_requests(key, random.Random(f"{offers} {rate} {time.time()}"))
    load = (
        measure_saturation(port, make, seconds)
        if rate == SATURATION
        else measure_at_rate(port, make, float(rate), seconds)
    )
    after = _read_stages(port)
    stages: dict[str, float] = {}
    for stage, (total, count) in after.items():
        was_total, was_count = before.get(stage, (0.0, 0.0))
        if count > was_count:
            stages[stage] = (total - was_total) / (count - was_count) * 1000
    return RecommendResult(offers=offers, rate=rate, load=load, stages_ms=stages)


def _read_stages(port: int) -> dict[str, tuple[float, float]]:
    """Read seconds and decisions per stage so far from the API's metrics."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    found: dict[str, dict[str, float]] = {}
    for kind, stage, value in _STAGE.findall(text):
        found.setdefault(stage, {})[kind] = float(value)
    return {stage: (values["sum"], values["count"]) for stage, values in found.items()}


def measure_pure(offers: int) -> FlowResult:
    """Run the flow alone, for a customer who was contacted about thirty offers, about one of them lately.

    So most offers pass every stage up to the ranking; only offers shown in the decision itself make a cap stop the
    rest.

    Raises:
        BenchmarkError: Nothing was shown: then something else was measured.
    """
    catalogue = compile_catalogue("bench", group_by_kind(make_catalogue(offers)))
    rng, now_ms = random.Random(1), 1_773_837_000_000
    numbers = rng.sample(range(offers), min(offers, 30))
    subjects = [Subject(f"offer-{n:02d}", f"creative-{n:02d}-0", "web") for n in numbers]
    shown = dict.fromkeys(subjects, Counts(impressions=1))
    lately = {subjects[0]: Counts(impressions=1)}
    customer = CustomerFacts(
        segments=frozenset(["known"]),
        metrics={"clicks_30d": 5.0},
        counts={window: shown if window.unit is WindowUnit.ALL else lately for window in catalogue.needs.windows},
        last_contact_ms={subject: now_ms - rng.randint(3_600_001, 10**9) for subject in subjects},
    )
    request = Request(
        customer_id="ann",
        channel_id="web",
        limit=3,
        segments=frozenset(["known"]),
        attributes={"age": 40, "lastLogin": "2026-01-01", "name": "Ann"},
    )
    flow = catalogue.choose_flow(None, None, None)
    if flow is None:
        raise RuntimeError("there is no flow")
    tenant, times = TenantFacts(tenant_id=TENANT), list[float]()
    collect_rarely()  # as the API does
    for seed in range(PURE_RUNS):
        started = time.perf_counter()
        decision = decide(catalogue, flow, request, customer, tenant, now_ms=now_ms, seed=seed)
        times.append((time.perf_counter() - started) * 1000)
        if not decision.items:
            raise BenchmarkError(f"nothing of {offers} offers was shown")
    ascending = sorted(times)
    return FlowResult(offers=offers, median_ms=statistics.median(times), p95_ms=ascending[int(len(ascending) * 0.95)])


def print_results(console: Console, results: Sequence[RecommendResult], pure: Sequence[FlowResult]) -> None:
    """Print the tables."""
    table = Table(title="Recommend: API, ClickHouse, broker, worker and load generator on one machine")
    names = (
        "offers",
        "rate",
        "decisions/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "offered",
        "lost",
        "errors",
        "facts",
        "decide",
        "write ms",
    )
    for name in names:
        table.add_column(name, justify="right")
    for one in results:
        times = (f"{one.load.percentile_ms(share):,.1f}" for share in (0.5, 0.95, 0.99))
        stages = (f"{one.stages_ms.get(stage, float('nan')):.1f}" for stage in ("facts", "decide", "write"))
        rate = f"{one.load.requests_per_s:,.0f}"
        table.add_row(
            f"{one.offers:,}",
            one.rate,
            rate,
            *times,
            f"{one.load.offered:,}",
            f"{one.load.lost:,}",
            str(one.load.errors),
            *stages,
        )
    console.print(table)
    alone = Table(title="The flow alone")
    for name in ("offers", "median ms", "p95 ms"):
        alone.add_column(name, justify="right")
    for each in pure:
        alone.add_row(f"{each.offers:,}", f"{each.median_ms:.2f}", f"{each.p95_ms:.2f}")
    console.print(alone)


def write_json(path: Path, results: Sequence[RecommendResult], pure: Sequence[FlowResult]) -> None:
    """Write the results as a list of objects."""
    entries: list[dict[str, Any]] = [
        {
            "offers": one.offers,
            "rate": one.rate if one.rate == SATURATION else int(one.rate),
            "decisions_per_s": round(one.load.requests_per_s, 1),
            "p50_ms": round(one.load.percentile_ms(0.5), 2),
            "p95_ms": round(one.load.percentile_ms(0.95), 2),
            "p99_ms": round(one.load.percentile_ms(0.99), 2),
            "offered": one.load.offered,
            "lost": one.load.lost,
            "errors": one.load.errors,
            "stages_ms": {stage: round(value, 2) for stage, value in one.stages_ms.items()},
        }
        for one in results
    ]
    entries += [
        {"offers": each.offers, "rate": "pure", "p50_ms": round(each.median_ms, 3), "p95_ms": round(each.p95_ms, 3)}
        for each in pure
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=2) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 if an answer was wrong. A rate that was not reached is a figure."""
    parser = argparse.ArgumentParser(prog="benchmarks.recommend", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--broker", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument("--quick", action="store_true", help="a tenth of the events and of the time: a smoke test")
    parser.add_argument("--offers", type=int, action="append", default=[], help="only this size; may be repeated")
    parser.add_argument("--seconds", type=float, help="how long each measurement takes (default: 15; quick: 3)")
    parser.add_argument("--output", type=Path, default=BUILD_DIR / "bench-recommend.json", help="the JSON file")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _exit)  # so that the processes are stopped and the data removed
    console = Console(width=110) if not sys.stdout.isatty() else Console()
    sizes = given.offers or SIZES
    pure = [measure_pure(size) for size in sizes]  # before anything else runs
    results: list[RecommendResult] = []
    workload = Workload(
        name="recommend-load",
        skew="uniform",
        events_per_message=100,
        events=EVENTS // (10 if given.quick else 1),
        textbook_events=0,
        customers=CUSTOMERS,
    )
    seconds = given.seconds or (3.0 if given.quick else 15.0)
    with (
        run_stack(given.broker) as stack,
        asyncio.Runner() as runner,
        load_database(stack, workload, runner) as (settings, key),
        start_worker("rapport", settings, stack.work_dir),
    ):
        console.print(f"{workload.events:,} events of {CUSTOMERS:,} customers are applied")
        for size in sizes:
            with contextlib.closing(connect(settings.clickhouse)) as store:
                store_catalogue(store, TENANT, make_catalogue(size))
            with run_api(settings, stack.work_dir) as port:
                for rate in (f"{RATE}", SATURATION):
                    results.append(measure(port, key, size, rate, seconds))
                    last = results[-1].load
                    console.print(f"  {size} offers, {rate}: {last.outcome}")
    print_results(console, results, pure)
    write_json(given.output, results, pure)
    console.print(f"wrote {given.output}")
    return 1 if any(one.load.errors for one in results) else 0


def _exit(_signal: int, _frame: object) -> NoReturn:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())

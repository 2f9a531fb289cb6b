"""The benchmark of Recommend: `python -m benchmarks.recommend [--broker kafka] [--quick]`. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import itertools
import json
import random
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.api_process import load_database, run_api
from benchmarks.bare_api import ANSWER
from benchmarks.catalogues import group_by_kind, make_catalogue, store_catalogue
from benchmarks.load import LoadResult, encode_request, measure_at_rate, measure_saturation
from benchmarks.stack import exit_on_sigterm, make_environment, run_stack
from benchmarks.workers import BenchmarkError, start_worker
from benchmarks.workloads import TENANT, Workload
from rapport.domain.decisions.candidates import Request
from rapport.domain.decisions.compile import compile_catalogue
from rapport.domain.decisions.engine import decide
from rapport.domain.decisions.facts import Counts, CustomerFacts, Subject, TenantFacts
from rapport.domain.decisions.windows import WindowUnit
from rapport.garbage import collect_rarely
from rapport.settings import Secret
from rapport.storage.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.load import MakeRequest
    from rapport.settings import Settings

BUILD_DIR: Final = Path(__file__).parents[1] / "build"
SIZES: Final = (10, 100, 1_000)
RATES: Final = (100, 300)
System = Literal["rapport", "bare"]
StateKind = Literal["warm", "cold", "off"]
STATES: Final[Sequence[StateKind]] = ("warm", "cold", "off")
PROCESSES: Final = (1, 2)
QUICK_SIZES: Final = (10, 1_000)
QUICK_STATES: Final[Sequence[StateKind]] = ("warm", "off")
STATE_ATTEMPTS: Final = 20
SATURATION: Final = "saturation"
CUSTOMERS: Final = 100_000
EVENTS: Final = 500_000
ANSWER_FILE: Final = "answer.json"
PURE_RUNS: Final = 300
_STAGE: Final = re.compile(r'^rapport_api_decision_seconds_(sum|count)\{stage="(\w+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendResult:
    """One measurement of the API.

    Attributes:
        offers: In the catalogue.
        state: Whether the customer states are there (warm), are empty at first (cold), or not used (off).
        system: The product, or :mod:`benchmarks.bare_api`, the limit of its parts.
        processes: Of the API.
        rate: Requests a second, or ``saturation``.
        stages_ms: Mean time of each stage of a decision.
    """

    offers: int
    state: StateKind
    processes: int
    rate: str
    load: LoadResult
    system: System = "rapport"
    stages_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowResult:
    """One measurement of the flow alone, in this process."""

    offers: int
    median_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Setup of a measurement.

    Attributes:
        key: API key.
        customers: Customers about whom decisions are made; all have events.
    """

    key: str
    customers: Sequence[str]
    offers: int
    state: StateKind
    processes: int


def make_requests(setup: Setup, rng: random.Random) -> MakeRequest:
    """Make a function that returns recommendations for random customers."""
    key = setup.key
    headers = {"X-API-Key": key}

    def make() -> bytes:
        body = {
            "customerId": rng.choice(setup.customers),
            "channelId": "web",
            "limit": 3,
            "segments": ["known"],
            "attributes": {"age": 40, "lastLogin": "2026-01-01", "name": "Ann"},
        }
        return encode_request("POST", "/api/v1/recommend", headers, json.dumps(body).encode())

    return make


def measure(port: int, setup: Setup, rate: str, seconds: float) -> RecommendResult:
    """Measure one rate."""
    before = _read_stages(port)
    make = make_requests(setup, random.Random(f"{setup.offers} {rate} {time.time()}"))
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
    return RecommendResult(
        offers=setup.offers, state=setup.state, processes=setup.processes, rate=rate, load=load, stages_ms=stages
    )


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


def run_setup(
    settings: Settings, work_dir: Path, setup: Setup, rates: Sequence[str], seconds: float
) -> Iterator[RecommendResult]:
    """Measure an API with customer states as the setup says, at each rate."""
    if setup.state == "off":
        settings = msgspec.structs.replace(settings, state_url=Secret(""))
    else:
        _change_states(settings, "drop")
        if setup.state == "warm":
            _change_states(settings, "warm")
    with run_api(settings, work_dir, RAPPORT_API_WORKERS=str(setup.processes)) as port:
        _save_answer(port, setup, work_dir / ANSWER_FILE)
        for rate in rates:
            yield measure(port, setup, rate, seconds)


def run_bare(
    settings: Settings, work_dir: Path, setup: Setup, rates: Sequence[str], seconds: float
) -> Iterator[RecommendResult]:
    """Measure the limit of the parts at each rate, with the answer that the product has given before."""
    variables = {"RAPPORT_API_WORKERS": str(setup.processes), ANSWER: str(work_dir / ANSWER_FILE)}
    with run_api(settings, work_dir, ["benchmarks.bare_api"], **variables) as port:
        for rate in rates:
            yield replace(measure(port, setup, rate, seconds), system="bare")


def _save_answer(port: int, setup: Setup, path: Path) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        body = json.dumps({"customerId": setup.customers[0], "channelId": "web", "limit": 3})
        headers = {"X-API-Key": setup.key, "Content-Type": "application/json"}
        connection.request("POST", "/api/v1/recommend", body, headers)
        path.write_bytes(connection.getresponse().read())


def _change_states(settings: Settings, command: str) -> None:
    """Run a command of `rapport state` until the workers cover the stream again, which takes them a moment.

    Raises:
        BenchmarkError: It does not work.
    """
    days = ["--days", "3650"] if command == "warm" else []
    argv, env = [sys.executable, "-m", "rapport", "state", command, *days], make_environment(settings)
    for _ in range(STATE_ATTEMPTS):
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return
        time.sleep(1.0)
    raise BenchmarkError(f"rapport state {command}: {done.stderr}")


def print_results(console: Console, results: Sequence[RecommendResult], pure: Sequence[FlowResult]) -> None:
    """Print the tables."""
    table = Table(title="Recommend: API, ClickHouse, broker, worker and load generator on one machine")
    names = (
        "system",
        "offers",
        "state",
        "processes",
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
            one.system,
            f"{one.offers:,}",
            one.state if one.system == "rapport" else "",
            str(one.processes),
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
            "system": one.system,
            "offers": one.offers,
            "state": one.state if one.system == "rapport" else None,
            "processes": one.processes,
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
    parser.add_argument("--state", choices=STATES, action="append", default=[], help="only this; may be repeated")
    parser.add_argument("--processes", type=int, action="append", default=[], help="of the API (default: 1 and 2)")
    parser.add_argument("--seconds", type=float, help="how long each measurement takes (default: 15; quick: 3)")
    parser.add_argument("--output", type=Path, default=BUILD_DIR / "bench-recommend.json", help="the JSON file")
    given = parser.parse_args(arguments)
    exit_on_sigterm()
    console = Console(width=130) if not sys.stdout.isatty() else Console()
    sizes = given.offers or (QUICK_SIZES if given.quick else SIZES)
    states = given.state or (QUICK_STATES if given.quick else STATES)
    processes_measured = given.processes or ((1,) if given.quick else PROCESSES)
    rates = [str(rate) for rate in ((RATES[0],) if given.quick else RATES)] + [SATURATION]
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
        with contextlib.closing(stack.sql(settings.clickhouse.database)) as sql:
            customers = [name for (name,) in sql.ask("SELECT DISTINCT customer_id FROM interaction_summary_state")]
        for size in sizes:
            with contextlib.closing(connect(settings.clickhouse)) as store:
                store_catalogue(store, TENANT, make_catalogue(size))
            for state, processes in itertools.product(states, processes_measured):
                setup = Setup(key=key, customers=customers, offers=size, state=state, processes=processes)
                runs = [run_setup(settings, stack.work_dir, setup, rates, seconds)]
                if (size, state) == (sizes[0], states[0]):
                    runs.append(run_bare(settings, stack.work_dir, setup, rates, seconds))
                for one in itertools.chain(*runs):
                    results.append(one)
                    name = f"{one.system}, {size} offers, {state}, {processes} processes, {one.rate}"
                    console.print(f"  {name}: {one.load.outcome}")
    print_results(console, results, pure)
    write_json(given.output, results, pure)
    console.print(f"wrote {given.output}")
    return 1 if any(one.load.errors for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())

"""The API's benchmark: `python -m benchmarks.api --broker embedded|kafka [--quick]`. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from benchmarks.api_process import load_database, run_api
from benchmarks.load import LoadResult, encode_request, measure_at_rate, measure_saturation
from benchmarks.stack import exit_on_sigterm, run_stack
from benchmarks.workers import start_worker
from benchmarks.workloads import CUSTOMERS, Workload, name_customer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.load import MakeRequest

BUILD_DIR: Final = Path(__file__).parents[1] / "build"
EVENTS: Final = 1_000_000
RATES: Final = (100.0, 300.0)
SATURATION: Final = "saturation"
CONFIGURATIONS: Final = ((True, True), (True, False), (False, False))
"""Whether reads share queries, and whether a worker runs beside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResult:
    """One measurement.

    Attributes:
        rate: Requests a second, or ``saturation``.
        loader: Whether reads that arrive together share one query.
        worker: Whether a worker applies what is recorded, on the same cores.
    """

    route: str
    rate: str
    loader: bool
    worker: bool
    load: LoadResult


def _make_read(path: str) -> Callable[[str, random.Random], MakeRequest]:
    def make(key: str, rng: random.Random) -> MakeRequest:
        headers = {"X-API-Key": key}
        return lambda: encode_request("GET", path + name_customer(rng.randrange(CUSTOMERS)), headers)

    return make


def _make_response(key: str, rng: random.Random) -> MakeRequest:
    headers = {"X-API-Key": key}

    def make() -> bytes:
        offer = rng.randrange(20)
        body = {
            "customerId": name_customer(rng.randrange(CUSTOMERS)),
            "creativeId": f"creative-{offer:02d}-0",
            "channelId": "web",
            "offerId": f"offer-{offer:02d}",
            "outcome": "click",
            "idempotencyKey": uuid.UUID(int=rng.getrandbits(128)).hex,
        }
        return encode_request("POST", "/api/v1/respond", headers, json.dumps(body).encode())

    return make


ROUTES: Final[Mapping[str, Callable[[str, random.Random], MakeRequest]]] = {
    "interaction-summaries": _make_read("/api/v1/interaction-summaries?customerId="),
    "interaction-history": _make_read("/api/v1/interaction-history?customerId="),
    "respond": _make_response,
}


def measure(port: int, key: str, route: str, rate: str, seconds: float) -> LoadResult:
    """Measure one route at one rate."""
    make = ROUTES[route](key, random.Random(f"{route} {rate} {time.time()}"))
    if rate == SATURATION:
        return measure_saturation(port, make, seconds)
    return measure_at_rate(port, make, float(rate), seconds)


def print_results(console: Console, results: Sequence[ApiResult]) -> None:
    """Print the table."""
    table = Table(title="API, ClickHouse, broker and load generator on one machine", title_justify="left")
    table.add_column("route", no_wrap=True, min_width=max(len(one.route) for one in results))
    for name in ("loader", "worker"):
        table.add_column(name)
    for name in ("rate", "requests/s", "p50 ms", "p95 ms", "p99 ms", "offered", "lost", "errors", "under way"):
        table.add_column(name, justify="right")
    for one in results:
        times = (f"{one.load.percentile_ms(share):,.1f}" for share in (0.5, 0.95, 0.99))
        table.add_row(
            one.route,
            "on" if one.loader else "off",
            "beside" if one.worker else "",
            one.rate,
            f"{one.load.requests_per_s:,.0f}",
            *times,
            f"{one.load.offered:,}",
            f"{one.load.lost:,}",
            str(one.load.errors),
            str(one.load.under_way or ""),
        )
    console.print(table)


def write_json(path: Path, results: Sequence[ApiResult]) -> None:
    """Write the results as a list of objects."""
    entries = [
        {
            "route": one.route,
            "rate": one.rate if one.rate == SATURATION else int(one.rate),
            "loader": one.loader,
            "worker": one.worker,
            "requests_per_s": round(one.load.requests_per_s, 1),
            "p50_ms": round(one.load.percentile_ms(0.5), 2),
            "p95_ms": round(one.load.percentile_ms(0.95), 2),
            "p99_ms": round(one.load.percentile_ms(0.99), 2),
            "offered": one.load.offered,
            "lost": one.load.lost,
            "errors": one.load.errors,
            "under_way": one.load.under_way,
        }
        for one in results
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(entries, indent=2) + "\n", "utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 if an answer was wrong. A rate that was not reached is a figure."""
    parser = argparse.ArgumentParser(prog="benchmarks.api", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--broker", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument("--quick", action="store_true", help="fewer events, less time, one configuration: a smoke test")
    parser.add_argument("--route", action="append", choices=list(ROUTES), default=[], help="only this; may be repeated")
    parser.add_argument("--seconds", type=float, help="how long each measurement takes (default: 15; quick: 3)")
    parser.add_argument("--output", type=Path, default=BUILD_DIR / "bench-api.json", help="the JSON file")
    given = parser.parse_args(arguments)
    exit_on_sigterm()
    console = Console(width=128) if not sys.stdout.isatty() else Console()
    results: list[ApiResult] = []
    workload = Workload(
        name="api-load",
        skew="uniform",
        events_per_message=100,
        events=EVENTS // (10 if given.quick else 1),
        textbook_events=0,
    )
    seconds = given.seconds or (3.0 if given.quick else 15.0)
    with (
        run_stack(given.broker) as stack,
        asyncio.Runner() as runner,
        load_database(stack, workload, runner) as (settings, key),
    ):
        console.print(f"{workload.events:,} events are applied")
        for loader, worker in CONFIGURATIONS[: 1 if given.quick else None]:
            with (
                start_worker("rapport", settings, stack.work_dir) if worker else contextlib.nullcontext(),
                run_api(settings, stack.work_dir, RAPPORT_API_LOADER=str(loader).lower()) as port,
            ):
                for route in given.route or ROUTES:
                    for rate in (*(f"{rate:g}" for rate in RATES), SATURATION):
                        load = measure(port, key, route, rate, seconds)
                        results.append(ApiResult(route=route, rate=rate, loader=loader, worker=worker, load=load))
                        console.print(f"  {route} {rate}: {load.outcome}")
    print_results(console, results)
    write_json(given.output, results)
    console.print(f"wrote {given.output}")
    return 1 if any(one.load.errors for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())

"""The stream's benchmark: `python -m benchmarks.stream --broker embedded|kafka [--quick]`. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from benchmarks.latency import LagExcess, Visibility, measure_lag_excess, measure_visibility
from benchmarks.report import print_lag_excess, print_query_times, print_throughput, print_visibility, write_json
from benchmarks.stack import exit_on_sigterm, fill_topic, run_stack
from benchmarks.throughput import Throughput, measure_throughput
from benchmarks.workers import BenchmarkError
from benchmarks.workloads import KAFKA_ONLY, LAG, SYSTEMS, VISIBLE, Workload, list_workloads, make_messages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.stack import Stack
    from benchmarks.workloads import SystemName
    from tests.fixtures.kafka import BrokerKind

BUILD_DIR: Final = Path(__file__).parents[1] / "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of the benchmark.

    Attributes:
        workloads: Names; empty for all.
        systems: Names; empty for all.
        has_profile: Whether to sample the rapport worker; its rates are then lower.
        output: Path of the JSON; None for the usual one, which a filtered run does not overwrite.
    """

    broker: BrokerKind
    quick: bool
    workloads: Sequence[str]
    systems: Sequence[SystemName]
    has_profile: bool
    output: Path | None

    def has(self, workload: str, system: SystemName) -> bool:
        """Return whether a combination is to run."""
        return workload in (self.workloads or [workload]) and system in (self.systems or [system])

    def profile_path(self, workload: str) -> Path | None:
        """Return the path of a workload's profile; None without profiling."""
        return BUILD_DIR / f"profile-{workload}.txt" if self.has_profile else None


class BenchmarkRun:
    """One run of the benchmark. A failed measurement is shown and left out; the rest goes on.

    Attributes:
        results: The rates so far.
        seen: The latencies, once measured.
        lag: How right the stated lag is, once measured.
        has_failed: Whether a measurement failed.
    """

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console
        self.results: list[Throughput] = []
        self.seen: Visibility | None = None
        self.lag: LagExcess | None = None
        self.has_failed = False

    def measure_all(self, stack: Stack) -> None:
        """Run the measurements that the options select."""
        for workload in list_workloads(quick=self._options.quick):
            systems = [
                system
                for system in workload.systems
                if self._options.has(workload.name, system) and (stack.kind == "kafka" or system not in KAFKA_ONLY)
            ]
            if not systems:
                continue
            started_at = time.perf_counter()
            asyncio.run(fill_topic(stack.settings(workload.name, "default").kafka, make_messages(workload)))
            seconds = time.perf_counter() - started_at
            self._console.print(f"{workload.name}: {workload.messages:,} messages, filled in {seconds:.0f} s")
            for system in systems:
                with self._catch_failure():
                    self._measure_throughput(stack, workload, system)
        seconds = 10.0 if self._options.quick else 30.0
        if self._options.has(LAG, "rapport"):
            self._console.print(f"{LAG} …")
            with self._catch_failure():
                self.lag = measure_lag_excess(stack, seconds=seconds)
        if self._options.has(VISIBLE, "rapport"):
            self._console.print(f"{VISIBLE} …")
            with self._catch_failure():
                self.seen = measure_visibility(stack, seconds=seconds, profile=self._options.profile_path(VISIBLE))

    def _measure_throughput(self, stack: Stack, workload: Workload, system: SystemName) -> None:
        profile = self._options.profile_path(workload.name)
        result = measure_throughput(stack, workload, system, profile=profile)
        self._console.print(f"  {system}: {result.events_per_s:,.0f} events/s, {result.peak_rss_mb:,.0f} MB")
        if profile is not None and system == "rapport":
            print_query_times(self._console, result)
            self._console.print(f"  profile in {profile}")
        self.results.append(result)

    @contextlib.contextmanager
    def _catch_failure(self) -> Iterator[None]:
        try:
            yield
        except (BenchmarkError, RuntimeError) as error:
            self.has_failed = True
            self._console.print(f"  failed: {error}", style="red", markup=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 if something could not be measured."""
    options = _parse(arguments)
    exit_on_sigterm()
    console = Console(width=110) if not sys.stdout.isatty() else Console()
    started_at = time.perf_counter()
    run = BenchmarkRun(options, console)
    with run_stack(options.broker) as stack:
        run.measure_all(stack)
    if run.results:
        print_throughput(console, run.results, f"One worker, broker {options.broker}")
    if run.seen is not None:
        print_visibility(console, run.seen)
    if run.lag is not None:
        print_lag_excess(console, run.lag)
    output = options.output or (None if options.workloads or options.systems else BUILD_DIR / "bench-stream.json")
    if output is not None:
        write_json(output, run.results, run.seen, run.lag, options.broker)
        console.print(f"wrote {output}")
    console.print(f"took {time.perf_counter() - started_at:.0f} s")
    return 1 if run.has_failed else 0


def _parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="benchmarks.stream", description=(__doc__ or "").partition("\n")[0])
    names = [*(workload.name for workload in list_workloads(quick=False)), LAG, VISIBLE]
    parser.add_argument("--broker", choices=("embedded", "kafka"), default="embedded")
    parser.add_argument("--quick", action="store_true", help="a tenth of the events: a smoke test, not a measurement")
    parser.add_argument("--workload", action="append", choices=names, default=[], help="only this; may be repeated")
    parser.add_argument("--system", action="append", choices=SYSTEMS, default=[], help="only this; may be repeated")
    parser.add_argument("--profile", action="store_true", help="sample the rapport worker, show its ClickHouse calls")
    parser.add_argument("--output", type=Path, help="the JSON file (default: build/bench-stream.json)")
    given = parser.parse_args(arguments)
    return Options(
        broker=given.broker,
        quick=given.quick,
        workloads=given.workload,
        systems=given.system,
        has_profile=given.profile,
        output=given.output,
    )


if __name__ == "__main__":
    sys.exit(main())

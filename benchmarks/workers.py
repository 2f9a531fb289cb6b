"""The measured worker processes: how each system is started, its progress, its peak memory."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from benchmarks import bare, quix, textbook
from benchmarks.peers import CONSUMING, ROWS_PER_EVENT, make_table_statement
from benchmarks.stack import make_environment
from rapport.embedded.supervisor.ports import LOOPBACK, find_free_port
from tests.fixtures.processes import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.stack import SqlClient
    from benchmarks.workloads import SystemName, Workload
    from rapport.settings import Settings

START_SECONDS: Final = 60.0
_ROOT: Final = Path(__file__).parents[1]
_PROGRESS: Final = "SELECT sum(reached) FROM (SELECT max(next_offset) AS reached FROM stream_progress GROUP BY source)"
_CONTACTS: Final = """
SELECT sum(impressions + positive + negative + neutral) FROM interaction_summary_state FINAL
WHERE period_type = 'alltime'
"""
_METRIC: Final = re.compile(r'^rapport_query_seconds_(sum|count)\{query="([^"]+)"\} (\S+)$', re.MULTILINE)


class BenchmarkError(RuntimeError):
    """A system did not do the measured work: it died, got stuck or counted wrongly."""


@dataclass(frozen=True, slots=True)
class System:
    """A system under measurement.

    Attributes:
        argv: Its worker's command line.
        create_table: The table it writes to, where our migrations don't make it.
        events_done: Returns how many events of a workload are in ClickHouse and acknowledged.
        is_exact: Compares the summaries with the number of events; None where the system promises nothing.
    """

    name: SystemName
    argv: tuple[str, ...]
    create_table: str | None
    events_done: Callable[[SqlClient, Workload], int]
    is_exact: Callable[[SqlClient, Workload], bool] | None = None


SYSTEMS: Final[dict[SystemName, System]] = {
    "rapport": System(
        "rapport",
        (sys.executable, "-m", "rapport", "worker"),
        None,
        lambda sql, workload: sql.number(_PROGRESS) * workload.events_per_message,
        lambda sql, workload: sql.number(_CONTACTS) == workload.events,
    ),
    "textbook": System(
        "textbook",
        (sys.executable, "-m", "benchmarks.textbook"),
        make_table_statement(textbook.TABLE),
        lambda sql, _workload: sql.number(f"SELECT count() FROM {textbook.TABLE}") // ROWS_PER_EVENT,  # noqa: S608
    ),
    "quix": System(
        "quix",
        (sys.executable, "-m", "benchmarks.quix"),
        make_table_statement(quix.TABLE),
        lambda sql, _workload: sql.number(f"SELECT count() FROM {quix.TABLE}") // ROWS_PER_EVENT,  # noqa: S608
    ),
    "bare": System(
        "bare",
        (sys.executable, "-m", "benchmarks.bare"),
        bare.CREATE_TABLE,
        lambda sql, _workload: sql.number(f"SELECT count() FROM {bare.TABLE}"),  # noqa: S608
    ),
}


@dataclass(frozen=True, slots=True)
class QueryTime:
    """Cost of one kind of ClickHouse call for a worker.

    Attributes:
        calls: Number of calls.
        seconds: Time of all calls together; calls overlap.
    """

    calls: int
    seconds: float


class Worker:
    """A running worker process.

    Attributes:
        log_path: Its output.
        port: The port of a rapport worker's metrics and health.
    """

    def __init__(self, system: System, log_path: Path) -> None:
        self.system = system
        self.log_path = log_path
        self.port = find_free_port()
        self._server = ServerProcess(f"the {system.name} worker", log_path)

    @property
    def pid(self) -> int | None:
        """The process id, or None when it does not run."""
        return self._server.pid

    def start(self, settings: Settings, profile: Path | None) -> None:
        """Start the process and wait until it consumes.

        Raises:
            RuntimeError: It died or never began.
        """
        argv = self.system.argv
        if profile is not None and self.system.name == "rapport":
            argv = (sys.executable, "-m", "benchmarks.profiler", str(profile), "worker")
        more = {"TMPDIR": str(self.log_path.parent), "PYTHONUNBUFFERED": "1"}  # Faust leaves directories behind
        env = make_environment(settings, RAPPORT_WORKER_PORT=str(self.port), **more)
        self._server.start(argv, self._is_consuming, env=env, cwd=_ROOT, seconds=START_SECONDS)

    def stop(self) -> None:
        """Stop the process in an orderly way, or at last with SIGKILL; harmless when it does not run."""
        self._server.stop()

    def kill(self) -> None:
        """Kill the process; harmless when it does not run."""
        self._server.kill()

    def peak_memory_mb(self) -> float:
        """Return its peak memory: the kernel's mark where there is one, else the current memory.

        Raises:
            BenchmarkError: It does not run any more.
        """
        pid = self.pid
        if pid is None:
            raise BenchmarkError(f"the {self.system.name} worker died:\n{self.tail()}")
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
            if found := re.search(r"VmHWM:\s+(\d+) kB", status):
                return int(found.group(1)) / 1024
        return float(psutil.Process(pid).memory_info().rss) / 2**20

    def query_times(self) -> dict[str, QueryTime]:
        """Read the cost of each kind of ClickHouse call from a rapport worker's metrics."""
        with contextlib.closing(http.client.HTTPConnection(LOOPBACK, self.port, timeout=10)) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        values: dict[str, dict[str, float]] = {}
        for kind, name, value in _METRIC.findall(text):
            values.setdefault(name, {})[kind] = float(value)
        return {name: QueryTime(int(found["count"]), found["sum"]) for name, found in values.items()}

    def tail(self) -> str:
        """Return the end of its output."""
        return os.linesep.join(self.log_path.read_text("utf-8", "replace").splitlines()[-20:])

    async def _is_consuming(self) -> bool:
        if self.system.name != "rapport":
            log = self.log_path.read_text("utf-8", "replace")
            return any(line in (bare.CONSUMING, CONSUMING) for line in log.splitlines())
        with contextlib.closing(http.client.HTTPConnection(LOOPBACK, self.port, timeout=5)) as connection:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK


@contextlib.contextmanager
def start_worker(
    system: SystemName, settings: Settings, work_dir: Path, *, profile: Path | None = None
) -> Iterator[Worker]:
    """Start a worker, wait until it consumes, and stop it afterwards: orderly after success, at once after an error."""
    worker = Worker(SYSTEMS[system], work_dir / f"{settings.clickhouse.database}.log")
    try:
        worker.start(settings, profile)
        yield worker
        if system == "rapport":
            worker.stop()
    finally:
        worker.kill()

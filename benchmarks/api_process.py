"""The measured API: a database with events in it, and the API's process as users run it."""

from __future__ import annotations

import contextlib
import http.client
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.stack import fill_topic, make_environment
from benchmarks.workers import BenchmarkError, start_worker
from benchmarks.workloads import TENANT, make_messages
from rapport.domain.api_keys import Role
from rapport.embedded.supervisor.ports import LOOPBACK, find_free_port
from rapport.storage.api_keys import create_key
from rapport.storage.client import connect
from rapport.storage.tenants import change_tenant
from tests.fixtures.processes import ServerProcess

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

    from benchmarks.stack import SqlClient, Stack
    from benchmarks.workloads import Workload
    from rapport.settings import Settings

PEPPER: Final = "the-pepper-of-the-benchmarks"
LOAD_SECONDS: Final = 300.0
SETTLE_SECONDS: Final = 60.0
QUIET_SECONDS: Final = 2.0
START_SECONDS: Final = 60.0
_ROOT: Final = Path(__file__).parents[1]
_MERGES: Final = "SELECT count() FROM system.merges"
_PROGRESS: Final = "SELECT sum(reached) FROM (SELECT max(next_offset) AS reached FROM stream_progress GROUP BY source)"


@contextlib.contextmanager
def load_database(stack: Stack, workload: Workload, runner: asyncio.Runner) -> Iterator[tuple[Settings, str]]:
    """Yield a database to which a worker, now stopped, has applied a workload, and an API key for it.

    Raises:
        BenchmarkError: The worker does not finish.
    """
    runner.run(fill_topic(stack.settings(workload.name, "default").kafka, make_messages(workload)))
    with stack.fresh_database(workload.name, "api") as settings:
        with contextlib.closing(connect(settings.clickhouse)) as store:
            change_tenant(store, TENANT, requests_per_minute=10_000_000)
            key, _ = create_key(store, TENANT, Role.ADMIN, PEPPER, 1)
        with start_worker("rapport", settings, stack.work_dir), contextlib.closing(stack.sql("api")) as sql:
            deadline = time.monotonic() + LOAD_SECONDS
            while sql.number(_PROGRESS) < workload.messages:
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"the events were not applied within {LOAD_SECONDS:.0f} s")
                time.sleep(0.2)
            _settle(sql)
        yield settings, key


def _settle(sql: SqlClient) -> None:
    """Wait until the merges of the loaded rows are over: they are no part of the measurement."""
    deadline = time.monotonic() + SETTLE_SECONDS
    quiet_since = time.monotonic()
    while (now := time.monotonic()) < deadline and now - quiet_since < QUIET_SECONDS:
        if sql.number(_MERGES):
            quiet_since = now
        time.sleep(0.1)


@contextlib.contextmanager
def run_api(
    settings: Settings, work_dir: Path, command: Sequence[str] = ("rapport", "api"), **more: str
) -> Iterator[int]:
    """Run the API, or another module that serves as it does, and yield its port. `more` adds to its environment."""
    port = find_free_port()
    env = make_environment(
        settings, RAPPORT_API_PORT=str(port), RAPPORT_API_KEY_PEPPER=PEPPER, RAPPORT_LOG_LEVEL="warning", **more
    )
    server = ServerProcess("the API", work_dir / "api.log")

    async def is_ready() -> bool:
        with contextlib.closing(http.client.HTTPConnection(LOOPBACK, port, timeout=5)) as connection:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK

    server.start([sys.executable, "-P", "-m", *command], is_ready, env=env, cwd=_ROOT, seconds=START_SECONDS)
    try:
        yield port
    finally:
        server.stop()

"""The measured API: a database with events behind it, and itself as users run it."""

from __future__ import annotations

import contextlib
import http.client
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.stack import environment_of, fill_topic
from benchmarks.workers import BenchmarkError, running_worker
from benchmarks.workloads import TENANT
from rapport.domain.api_keys import Role
from rapport.embedded.supervisor.ports import LOOPBACK, find_free_port
from rapport.storage.api_keys import create_key
from rapport.storage.client import connect
from rapport.storage.tenants import change_tenant
from tests.fixtures.processes import ServerProcess

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from benchmarks.stack import Sql, Stack
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
def loaded_database(stack: Stack, workload: Workload, runner: asyncio.Runner) -> Iterator[tuple[Settings, str]]:
    """A database in which a worker has applied a workload and is stopped again; and an API key for it.

    Raises:
        BenchmarkError: The worker does not get through.
    """
    runner.run(fill_topic(stack.settings(workload.name, "default").kafka, workload))
    with stack.fresh_database(workload.name, "api") as settings:
        with contextlib.closing(connect(settings.clickhouse)) as store:
            change_tenant(store, TENANT, requests_per_minute=10_000_000)
            key, _ = create_key(store, TENANT, Role.ADMIN, PEPPER, 1)
        with running_worker("rapport", settings, stack.work_dir), contextlib.closing(stack.sql("api")) as sql:
            deadline = time.monotonic() + LOAD_SECONDS
            while sql.number(_PROGRESS) < workload.messages:
                if time.monotonic() > deadline:
                    raise BenchmarkError(f"the events were not applied within {LOAD_SECONDS:.0f} s")
                time.sleep(0.2)
            _settle(sql)
        yield settings, key


def _settle(sql: Sql) -> None:
    """Wait until the merges of what was just loaded are over: they are no part of what is measured."""
    deadline = time.monotonic() + SETTLE_SECONDS
    quiet_since = time.monotonic()
    while (now := time.monotonic()) < deadline and now - quiet_since < QUIET_SECONDS:
        if sql.number(_MERGES):
            quiet_since = now
        time.sleep(0.1)


@contextlib.contextmanager
def running_api(settings: Settings, work_dir: Path, **more: str) -> Iterator[int]:
    """Run the API with one process; yields its port. `more` adds to its environment."""
    port = find_free_port()
    env = environment_of(
        settings, RAPPORT_API_PORT=str(port), RAPPORT_API_KEY_PEPPER=PEPPER, RAPPORT_LOG_LEVEL="warning", **more
    )
    server = ServerProcess("the API", work_dir / "api.log")

    async def is_ready() -> bool:
        with contextlib.closing(http.client.HTTPConnection(LOOPBACK, port, timeout=5)) as connection:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK

    server.start([sys.executable, "-P", "-m", "rapport", "api"], is_ready, env=env, cwd=_ROOT, seconds=START_SECONDS)
    try:
        yield port
    finally:
        server.stop()

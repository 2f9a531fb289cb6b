"""The local stack: broker, ClickHouse with the schema, workers, API. What differs from production is in here only."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rapport.embedded.broker import EmbeddedBroker
from rapport.embedded.children import Child, Restart
from rapport.embedded.errors import StackError
from rapport.embedded.lock import DataDirLock
from rapport.embedded.ports import LOOPBACK, PortClaim, free_ports
from rapport.settings import from_env
from rapport.storage.errors import TransientStorageError
from rapport.storage.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rapport.settings import ClickHouseSettings, Settings

ANSWER_TIMEOUT_S: Final = 5.0
CLICKHOUSE_DIR: Final = "clickhouse"
LOG_DIR: Final = "logs"
PEPPER: Final = "RAPPORT_API_KEY_PEPPER"
PEPPER_FILE: Final = "api-key-pepper"
_KEPT_VARIABLES: Final = frozenset({"KAFKA_PARTITIONS", "KAFKA_TOPIC", "KAFKA_DEAD_LETTER_TOPIC", "KAFKA_GROUP_ID"})
_PATIENCE: Final = Restart(limit=20)
"""More than the default: people kill these processes to see what happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPorts:
    """Where the stack listens, on loopback. Worker number ``i`` (from 0) takes ``worker + i``."""

    kafka: int = 9092
    clickhouse: int = 8123
    worker: int = 9180
    api: int = 3000


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlan:
    """One local stack.

    Attributes:
        data_dir: Holds ClickHouse's data, the logs and the lock.
        ports: Where it listens.
        workers: How many.
        environment: The variables that its processes, and commands that talk to it, need.
        settings: What these variables mean.
    """

    data_dir: Path
    ports: StackPorts
    workers: int
    environment: Mapping[str, str]
    settings: Settings

    @property
    def metrics_urls(self) -> list[str]:
        """Where the workers serve their metrics."""
        return [f"http://{LOOPBACK}:{self.ports.worker + index}/metrics" for index in range(self.workers)]

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        return f"http://{LOOPBACK}:{self.ports.api}"

    @property
    def connection(self) -> dict[str, str]:
        """The variables that another command needs to talk to this stack."""
        return {name: self.environment[name] for name in (*_connection_of(self.ports), PEPPER)}


def plan_stack(
    data_dir: Path, ports: StackPorts, workers: int, environ: Mapping[str, str], *, trusted_tenant: str = ""
) -> StackPlan:
    """Plan a stack.

    Args:
        data_dir: Its directory.
        ports: Its ports.
        workers: How many workers.
        environ: The environment to build on. How it reaches Kafka and ClickHouse is left out: this stack has its own.
        trusted_tenant: The tenant that requests from this machine may name instead of sending a key.

    Raises:
        StackError: More workers than partitions.
        SettingsError: Other settings in the environment are wrong.
    """
    inherited = {
        name: value
        for name, value in environ.items()
        if name in _KEPT_VARIABLES or not name.startswith(("KAFKA_", "CLICKHOUSE_"))
    }
    environment = inherited | _connection_of(ports) | {"RAPPORT_API_TRUSTED_TENANT": trusted_tenant}
    environment.setdefault(PEPPER, _own_pepper(data_dir))
    settings = from_env(environment)
    partitions = settings.kafka.partitions
    if workers > partitions:
        raise StackError(
            f"{workers} workers need at least as many partitions, and topic {settings.kafka.topic} has {partitions}: "
            "set KAFKA_PARTITIONS, or start fewer with --workers."
        )
    return StackPlan(
        data_dir=data_dir.resolve(), ports=ports, workers=workers, environment=environment, settings=settings
    )


def free_stack_ports(workers: int) -> StackPorts:
    """Choose ports that nothing uses now.

    Raises:
        PortInUseError: There are none.
    """
    while True:
        kafka, clickhouse, api, worker = free_ports(4)
        if not {kafka, clickhouse, api} & set(range(worker, worker + workers)):
            return StackPorts(kafka=kafka, clickhouse=clickhouse, worker=worker, api=api)


def plan_children(plan: StackPlan) -> list[Child]:
    """List the processes in the order in which they start."""
    broker = EmbeddedBroker(plan.ports.kafka).child(option="--kafka-port")
    return [broker, _clickhouse(plan), *(_worker(plan, index) for index in range(plan.workers)), _api(plan)]


def wipe(data_dir: Path) -> None:
    """Remove the data and the logs of an earlier stack, and nothing else that may be in the directory.

    Raises:
        DataDirInUseError: One still runs there. Nothing is removed.
    """
    lock = DataDirLock(data_dir)
    lock.acquire()
    try:
        for name in (CLICKHOUSE_DIR, LOG_DIR):
            if (data_dir / name).exists():
                shutil.rmtree(data_dir / name)
    finally:
        lock.release()


def _connection_of(ports: StackPorts) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP": f"{LOOPBACK}:{ports.kafka}",
        "KAFKA_IDEMPOTENT_PRODUCER": "false",
        "CLICKHOUSE_URL": f"http://{LOOPBACK}:{ports.clickhouse}",
    }


def _clickhouse(plan: StackPlan) -> Child:
    data_dir = plan.data_dir / CLICKHOUSE_DIR
    port = plan.ports.clickhouse
    return Child(
        name="clickhouse",
        argv=[
            *(sys.executable, "-P", "-m", "rapport.embedded.endpoint"),
            *("--data-dir", str(data_dir), "--port", str(port)),
        ],
        env=plan.environment,
        is_ready=_SchemaCheck(plan.settings.clickhouse).is_ready,
        ready_within_seconds=60.0,
        stop_within_seconds=15.0,
        on_death=_PATIENCE,
        ports=(PortClaim(port, "ClickHouse", "--clickhouse-port"),),
    )


def _worker(plan: StackPlan, index: int) -> Child:
    port = plan.ports.worker + index
    return Child(
        name="worker" if plan.workers == 1 else f"worker-{index + 1}",
        argv=[sys.executable, "-P", "-m", "rapport", "worker"],
        env={**plan.environment, "RAPPORT_WORKER_HOST": LOOPBACK, "RAPPORT_WORKER_PORT": str(port)},
        is_ready=lambda: _answers(f"http://{LOOPBACK}:{port}/health/ready"),
        ready_within_seconds=60.0,
        stop_within_seconds=25.0,
        on_death=_PATIENCE,
        ports=(PortClaim(port, "a worker's metrics", "--worker-port"),),
    )


def _api(plan: StackPlan) -> Child:
    port = plan.ports.api
    return Child(
        name="api",
        argv=[sys.executable, "-P", "-m", "rapport", "api"],
        env={**plan.environment, "RAPPORT_API_HOST": LOOPBACK, "RAPPORT_API_PORT": str(port)},
        is_ready=lambda: _answers(f"http://{LOOPBACK}:{port}/health/ready"),
        ready_within_seconds=60.0,
        stop_within_seconds=25.0,
        on_death=_PATIENCE,
        ports=(PortClaim(port, "the API", "--api-port"),),
    )


def _own_pepper(data_dir: Path) -> str:
    """The pepper of a stack's own keys, made once: they are in its database and outlive a restart."""
    path = data_dir / PEPPER_FILE
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{PEPPER_FILE}.draft")
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(32), encoding="ascii")
        draft.replace(path)
    return path.read_text("ascii")


class _SchemaCheck:
    """ClickHouse is ready for the others once it answers and, the first time, has the newest schema."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._is_current = False

    async def is_ready(self) -> bool:
        """Say whether it is.

        Raises:
            StorageError: The schema cannot be brought up to date.
        """
        if not await _answers(f"{self._settings.url}/ping"):
            return False
        if not self._is_current:
            try:
                await asyncio.to_thread(migrate, self._settings)
            except TransientStorageError:
                return False
            self._is_current = True
        return True


async def _answers(url: str) -> bool:
    """Ask for a page of our own; an answer that is not 200 raises HTTPError, which is an OSError: not ready."""

    def ask() -> bool:
        with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310 - our own http URL
            return bool(answer.status == 200)

    return await asyncio.to_thread(ask)

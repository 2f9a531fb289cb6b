"""The local stack: broker, Valkey, ClickHouse, schema, workers, API and jobs; production differs here alone."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import shutil
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rapport.embedded.broker import EmbeddedBroker
from rapport.embedded.supervisor.children import Child, RestartPolicy
from rapport.embedded.supervisor.errors import StackError
from rapport.embedded.supervisor.files import write_secret
from rapport.embedded.supervisor.lock import DataDirLock
from rapport.embedded.supervisor.ports import LOOPBACK, PortClaim, find_free_ports
from rapport.embedded.valkey import EmbeddedValkey
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
USER: Final = "CLICKHOUSE_USER"
PEPPER: Final = "RAPPORT_API_KEY_PEPPER"
PEPPER_FILE: Final = "api-key-pepper"
PASSWORD: Final = "CLICKHOUSE_PASSWORD"  # noqa: S105 - a name
PASSWORD_FILE: Final = "clickhouse-password"  # noqa: S105 - a name
STATE_URL: Final = "RAPPORT_STATE_URL"
API_WORKERS: Final = "RAPPORT_API_WORKERS"
MAX_API_WORKERS: Final = 2
"""API processes, where the environment does not say how many: two, or one on a machine with one core."""
STATE_PASSWORD_FILE: Final = "valkey-password"  # noqa: S105 - a name
_KEPT_VARIABLES: Final = frozenset({"KAFKA_PARTITIONS", "KAFKA_TOPIC", "KAFKA_DEAD_LETTER_TOPIC", "KAFKA_GROUP_ID"})
_ENDPOINT_VARIABLES: Final = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "LD_LIBRARY_PATH"})
"""Variables that ClickHouse's process inherits: no secret of the others, in case a query reads its environment."""
_RESTART_POLICY: Final = RestartPolicy(limit=20)
"""More than the default: people kill these processes to see what happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPorts:
    """Ports of the stack on loopback. Worker number ``i`` (from 0) takes ``worker + i``."""

    kafka: int = 9092
    clickhouse: int = 8123
    worker: int = 9180
    api: int = 3000
    jobs: int = 9170
    state: int = 9160


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlan:
    """Plan of one local stack.

    Attributes:
        data_dir: Holds ClickHouse's data, the logs and the lock.
        ports: Its ports.
        workers: Number of workers.
        environment: The variables that its processes, and commands that talk to it, need.
        settings: The settings that these variables give.
    """

    data_dir: Path
    ports: StackPorts
    workers: int
    environment: Mapping[str, str]
    settings: Settings

    @property
    def metrics_urls(self) -> list[str]:
        """URLs of the workers' metrics."""
        return [f"http://{LOOPBACK}:{self.ports.worker + index}/metrics" for index in range(self.workers)]

    @property
    def api_url(self) -> str:
        """URL of the API."""
        return f"http://{LOOPBACK}:{self.ports.api}"

    @property
    def jobs_url(self) -> str:
        """URL of the metrics of the background jobs."""
        return f"http://{LOOPBACK}:{self.ports.jobs}/metrics"

    @property
    def connection(self) -> dict[str, str]:
        """Variables that another command needs to talk to this stack."""
        names = (*_select_connection(self.ports), USER, PASSWORD, PEPPER, STATE_URL)
        return {name: self.environment[name] for name in names}

    def write_env_file(self, path: Path, more: Mapping[str, str] | None = None) -> None:
        """Write the variables a shell needs to talk to this stack, and the given ones, for the owner's eyes only."""
        variables = {**(more or {}), **self.connection}
        write_secret(path, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))


def plan_stack(
    data_dir: Path, ports: StackPorts, workers: int, environ: Mapping[str, str], *, trusted_tenant: str = ""
) -> StackPlan:
    """Plan a stack.

    Args:
        data_dir: Its directory.
        ports: Its ports.
        workers: Number of workers.
        environ: The environment to build on. Its Kafka and ClickHouse connections are left out: this stack has its own.
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
    environment = inherited | _select_connection(ports) | {"RAPPORT_API_TRUSTED_TENANT": trusted_tenant}
    environment |= {USER: "default", PASSWORD: _load_secret(data_dir / PASSWORD_FILE)}
    environment.setdefault(API_WORKERS, str(min(os.cpu_count() or 1, MAX_API_WORKERS)))
    environment.setdefault(PEPPER, _load_secret(data_dir / PEPPER_FILE))
    environment[STATE_URL] = _make_valkey(data_dir, ports).url
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


def find_free_stack_ports(workers: int) -> StackPorts:
    """Choose ports that nothing uses now.

    Raises:
        PortInUseError: There are none.
    """
    while True:
        kafka, clickhouse, api, jobs, state, worker = find_free_ports(6)
        if not {kafka, clickhouse, api, jobs, state} & set(range(worker, worker + workers)):
            return StackPorts(kafka=kafka, clickhouse=clickhouse, worker=worker, api=api, jobs=jobs, state=state)


def plan_children(plan: StackPlan) -> list[Child]:
    """List the processes in the order in which they start."""
    broker = EmbeddedBroker(plan.ports.kafka).child(option="--kafka-port")
    workers = (_worker(plan, index) for index in range(plan.workers))
    valkey = _make_valkey(plan.data_dir, plan.ports).child(_RESTART_POLICY, "--state-port")
    return [broker, valkey, _clickhouse(plan), *workers, _api(plan), _jobs(plan)]


def wipe(data_dir: Path) -> None:
    """Remove the data and the logs of an earlier stack, and nothing else that may be in the directory.

    Raises:
        DataDirInUseError: A stack still runs there. Nothing is removed.
    """
    lock = DataDirLock(data_dir)
    lock.acquire()
    try:
        for name in (CLICKHOUSE_DIR, LOG_DIR):
            if (data_dir / name).exists():
                shutil.rmtree(data_dir / name)
    finally:
        lock.release()


def _select_connection(ports: StackPorts) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP": f"{LOOPBACK}:{ports.kafka}",
        "KAFKA_IDEMPOTENT_PRODUCER": "false",
        "CLICKHOUSE_URL": f"http://{LOOPBACK}:{ports.clickhouse}",
    }


def _make_valkey(data_dir: Path, ports: StackPorts) -> EmbeddedValkey:
    return EmbeddedValkey(ports.state, _load_secret(data_dir / STATE_PASSWORD_FILE), data_dir)


def _clickhouse(plan: StackPlan) -> Child:
    data_dir = plan.data_dir / CLICKHOUSE_DIR
    port = plan.ports.clickhouse
    return Child(
        name="clickhouse",
        argv=[
            *(sys.executable, "-P", "-m", "rapport.embedded.clickhouse.endpoint"),
            *("--data-dir", str(data_dir), "--port", str(port)),
            *("--password-file", str(plan.data_dir / PASSWORD_FILE)),
        ],
        env={name: value for name, value in plan.environment.items() if name in _ENDPOINT_VARIABLES},
        is_ready=_SchemaCheck(plan.settings.clickhouse).is_ready,
        ready_within_seconds=60.0,
        stop_within_seconds=15.0,
        on_death=_RESTART_POLICY,
        ports=(PortClaim(port, "ClickHouse", "--clickhouse-port"),),
    )


def _worker(plan: StackPlan, index: int) -> Child:
    name = "worker" if plan.workers == 1 else f"worker-{index + 1}"
    return _process(plan, "worker", PortClaim(plan.ports.worker + index, "a worker's metrics", "--worker-port"), name)


def _api(plan: StackPlan) -> Child:
    return _process(plan, "api", PortClaim(plan.ports.api, "the API", "--api-port"), "api")


def _jobs(plan: StackPlan) -> Child:
    return _process(plan, "jobs", PortClaim(plan.ports.jobs, "the jobs' metrics", "--jobs-port"), "jobs")


def _process(plan: StackPlan, command: str, claim: PortClaim, name: str) -> Child:
    """Describe a process of a ``rapport`` command, which serves its health on the claimed port."""
    variables = f"RAPPORT_{command.upper()}"
    return Child(
        name=name,
        argv=[sys.executable, "-P", "-m", "rapport", command],
        env={**plan.environment, f"{variables}_HOST": LOOPBACK, f"{variables}_PORT": str(claim.number)},
        is_ready=lambda: _is_answering(f"http://{LOOPBACK}:{claim.number}/health/ready"),
        ready_within_seconds=60.0,
        stop_within_seconds=25.0,
        on_death=_RESTART_POLICY,
        ports=(claim,),
    )


def _load_secret(path: Path) -> str:
    """Read a secret of the stack, made at the first call; its database and its users' shells outlive a restart."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_secret(path, secrets.token_hex(32))
    return path.read_text("utf-8")


class _SchemaCheck:
    """Readiness check of ClickHouse: it answers and, the first time, has been migrated to the newest schema."""

    def __init__(self, settings: ClickHouseSettings) -> None:
        self._settings = settings
        self._is_current = False

    async def is_ready(self) -> bool:
        """Return whether other processes can use it; migrate the schema at the first call.

        Raises:
            StorageError: The schema cannot be brought up to date.
        """
        if not await _is_answering(f"{self._settings.url}/ping"):
            return False
        if not self._is_current:
            try:
                await asyncio.to_thread(migrate, self._settings)
            except TransientStorageError:
                return False
            self._is_current = True
        return True


async def _is_answering(url: str) -> bool:
    """Request one of our own pages; another status than 200 raises HTTPError, which is an OSError: not ready."""

    def ask() -> bool:
        with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S) as answer:  # noqa: S310 - our own http URL
            return bool(answer.status == 200)

    return await asyncio.to_thread(ask)

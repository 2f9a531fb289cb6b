"""The stack under attack: broker, ClickHouse, worker, API and jobs in processes of their own, with two tenants."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
import uuid
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final

import httpx

from rapport.domain.api_keys import Role
from rapport.domain.catalogue.inventory import Category, Channel, Creative, Offer
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.embedded.supervisor.ports import LOOPBACK, find_free_port
from rapport.storage.api_keys import create_key
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue
from rapport.storage.tenants import change_tenant
from tests.faults.world import ROOT, World
from tests.fixtures.api import PEPPER
from tests.fixtures.broker import choose_server
from tests.fixtures.clickhouse import EndpointProcess
from tests.fixtures.deadlines import wait_until
from tests.fixtures.jobs import JobProcess
from tests.fixtures.processes import ServerProcess, is_serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rapport.domain.catalogue.values import Entity
    from tests.faults.world import Worker

NEIGHBOUR: Final = "neighbour"
ATTACKER: Final = "attacker"
OPEN_FILES: Final = 8_192
"""Enough for thousands of connections at both ends."""
_ENTITIES: Final[tuple[Entity, ...]] = (
    Channel(id="web", name="Web", channel_type="web"),
    Category(id="cards", name="Cards"),
    Offer(id="gold", name="Gold", category_id="cards", priority=90),
    Offer(id="blue", name="Blue", category_id="cards", priority=10),
    Creative(id="gold-web", name="Gold", offer_id="gold", channel_id="web", content={"headline": "Take gold"}),
    Creative(id="blue-web", name="Blue", offer_id="blue", channel_id="web", content={"headline": "Take blue"}),
)


class AttackedStack:
    """A running stack.

    Attributes:
        world: Its topic, database and workers.
        url: URL of its API.
        keys: An admin's key by tenant.
        faults_survived: Number of its processes that have been killed and came back.
    """

    def __init__(self, world: World, endpoint: EndpointProcess, api: ServerProcess) -> None:
        self.world = world
        self.endpoint = endpoint
        self.api = api
        self.api_port = find_free_port()
        self.url = f"http://{LOOPBACK}:{self.api_port}"
        self.keys: dict[str, str] = {}
        self.viewer = ""
        self.faults_survived = 0

    @property
    def worker(self) -> Worker:
        """The running worker."""
        return self.world.workers[-1]

    def client(self, tenant_id: str, *, timeout_s: float = 30.0) -> httpx.Client:
        """Make a client with an admin's key of a tenant."""
        headers = {"X-API-Key": self.keys[tenant_id]}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s)

    def open(self) -> None:
        """Create tenants, keys and catalogues, and start the worker and the API."""
        self.world.open((NEIGHBOUR, ATTACKER))
        store, now_ms = self.world.store, time.time_ns() // 1_000_000
        kind_of = {kind: name for name, kind in KINDS.items()}
        for tenant_id in (NEIGHBOUR, ATTACKER):
            change_tenant(store, tenant_id, requests_per_minute=10_000_000)
            self.keys[tenant_id] = create_key(store, tenant_id, Role.ADMIN, PEPPER, now_ms)[0]
            changes = [EntityChange(kind_of[type(entity)], entity) for entity in _ENTITIES]
            change_catalogue(store, tenant_id, Author("tests"), lambda _before, changes=changes: changes)
        self.viewer = create_key(store, ATTACKER, Role.VIEWER, PEPPER, now_ms)[0]
        self.start_worker()
        self.start_api()

    def start_worker(self) -> None:
        """Start a worker and wait until it is ready."""
        worker = self.world.start_worker()
        wait_until(lambda: is_serving(f"http://{LOOPBACK}:{worker.port}"), "the worker is ready", seconds=90)

    def start_api(self) -> None:
        """Start the API and wait until it is ready."""
        env = {**self.world.env, "RAPPORT_API_KEY_PEPPER": PEPPER, "RAPPORT_API_PORT": str(self.api_port)}
        argv = [sys.executable, "-P", "-m", "rapport", "api"]
        self.api.start(argv, lambda: asyncio.to_thread(is_serving, self.url), env=env, cwd=ROOT, seconds=90)

    def is_ready(self) -> bool:
        """Return whether the API serves."""
        return is_serving(self.url)


@contextmanager
def running_stack(work_dir: Path) -> Iterator[AttackedStack]:
    """Run a stack in a directory."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, hard), hard))
    with ExitStack() as ended:
        endpoint = EndpointProcess(work_dir / "clickhouse")
        endpoint.start()
        ended.callback(endpoint.stop)
        broker = choose_server()(work_dir / "broker")
        broker.start()
        ended.callback(broker.stop)
        world = World(broker.bootstrap, endpoint.url, f"a{uuid.uuid4().hex[:10]}", work_dir)
        world.env |= {"RAPPORT_WORKER_BATCH_MAX_EVENTS": "20000", "RAPPORT_WORKER_REFRESH_S": "0.5"}
        api = ServerProcess("api", work_dir / "api.log")
        stack = AttackedStack(world, endpoint, api)
        stack.open()
        ended.callback(world.close)
        ended.callback(api.stop)
        jobs = JobProcess(world.env, work_dir)
        ended.callback(jobs.stop)
        jobs.start()
        yield stack

"""One server with a password, a socket, sentinels and a cluster: what processes share works with each of them."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import pytest
import redis
from redis.exceptions import RedisError

from api.recommend.reservation_store_redis import RedisReservationStore
from api.runtime.idempotency_redis import Claim, RedisClaims
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.decisions.reservations import Reservation
from rapport.domain.tenant_versions import VERSION_KINDS
from rapport.embedded.supervisor.ports import LOOPBACK, find_free_port
from rapport.settings import Secret
from rapport.state.change_announcer import make_change_announcer
from rapport.state.customer_erasure import remove_shared_state
from rapport.state.recent_decisions import SharedDecisions
from rapport.state.request_windows import SharedWindows
from rapport.state.reservations import make_reservations_key
from rapport.state.shared_state import SharedState, connect_shared_state
from rapport.state_url import parse_state_url
from rapport.storage.recorded_events import EventKey
from tests.fixtures.deadlines import until, wait_until
from tests.fixtures.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD: Final = "p@ss:/?#%"  # noqa: S105 - of a server of this test
ENCODED: Final = "p%40ss%3A%2F%3F%23%25"
CUSTOMERS: Final = [CustomerKey("acme", f"customer-{number}") for number in range(12)]
"""Enough for each node of a cluster to have some."""


def connect(url: str) -> SharedState:
    shared = connect_shared_state(Secret(url))
    assert shared is not None
    return shared


@contextmanager
def running(*servers: RedisServer) -> Iterator[None]:
    with ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.kill)
        yield


@contextmanager
def run_single(work_dir: Path) -> Iterator[str]:
    server = RedisServer(work_dir, password=PASSWORD)
    with running(server):
        yield f"valkey://:{ENCODED}@{LOOPBACK}:{server.port}/3"


@contextmanager
def run_socket(work_dir: Path) -> Iterator[str]:
    path = work_dir / "valkey.sock"
    with running(RedisServer(work_dir, "--unixsocket", str(path), "--unixsocketperm", "700", password=PASSWORD)):
        yield f"unix://:{ENCODED}@{path}?db=2"


@contextmanager
def run_replicas(work_dir: Path, *, patience_ms: int) -> Iterator[tuple[str, RedisServer]]:
    """A server with a replica, and a sentinel that makes this one the server when the other is gone."""
    login = ["--masterauth", PASSWORD]
    first = RedisServer(work_dir, *login, password=PASSWORD)
    second = RedisServer(work_dir, *login, "--replicaof", f"{LOOPBACK} {first.port}", password=PASSWORD)
    config = work_dir / "sentinel.conf"
    config.write_text(
        f'sentinel monitor main {LOOPBACK} {first.port} 1\nsentinel auth-pass main "{PASSWORD}"\n'
        f"sentinel down-after-milliseconds main {patience_ms}\nsentinel failover-timeout main 3000\n",
        "utf-8",
    )
    sentinel = RedisServer(work_dir, "--sentinel", config=config)
    with running(first, second, sentinel):
        with sentinel.connect() as client:
            wait_until(lambda: client.execute_command("SENTINEL", "REPLICAS", "main"), "the sentinel knows the replica")
        yield f"redis+sentinel://:{ENCODED}@{LOOPBACK}:1,{LOOPBACK}:{sentinel.port}/main", first


@contextmanager
def run_sentinel(work_dir: Path) -> Iterator[str]:
    with run_replicas(work_dir, patience_ms=60_000) as (url, _):
        yield url


@contextmanager
def run_cluster(work_dir: Path) -> Iterator[str]:
    """Three nodes; the clients know one of them."""
    nodes, buses = [], [find_free_port() for _ in range(3)]
    for bus in buses:
        options = ["--cluster-enabled", "yes", "--cluster-config-file", f"nodes-{bus}.conf"]
        nodes.append(RedisServer(work_dir, *options, "--cluster-port", str(bus), password=PASSWORD))
    bounds = [0, 5_461, 10_923, 16_384]
    with running(*nodes), ExitStack() as stack:
        clients = [stack.enter_context(node.connect()) for node in nodes]
        for client, first, end in zip(clients, bounds, bounds[1:], strict=False):
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            clients[0].execute_command("CLUSTER", "MEET", LOOPBACK, node.port, bus)
        wait_until(
            lambda: all("cluster_state:ok" in str(client.execute_command("CLUSTER", "INFO")) for client in clients),
            "the nodes are one cluster",
        )
        yield f"redis+cluster://:{ENCODED}@{LOOPBACK}:{nodes[1].port}"


TOPOLOGIES: Final = [run_single, run_socket, run_sentinel, run_cluster]


@pytest.fixture(params=TOPOLOGIES, ids=lambda run: run.__name__.removeprefix("run_"))
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with request.param(tmp_path) as url:
        yield url


def test_what_processes_share_works(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rapport.state.shared_state.TIMEOUT_S", 10.0)  # a busy machine is not a server that is away
    asyncio.run(_use(url))


async def _use(url: str) -> None:
    one, another = connect(url), connect(url)
    assert await one.ask(one.redis.ping)
    await asyncio.gather(*(_use_of_customer(one, another, key) for key in CUSTOMERS))
    limits = [("all", 3), ("GET /x", 2)]
    counts = [await SharedWindows(shared).count("acme", limits) for shared in (one, another, one)]
    assert [[(window.is_allowed, window.remaining) for window in count.windows] for count in counts] == [
        [(True, 2), (True, 1)],
        [(True, 1), (True, 0)],
        [(True, 0), (False, 0)],
    ]
    assert all(0 < window.reset_s <= 60 for count in counts for window in count.windows)
    announcer = make_change_announcer(Secret(url))
    assert announcer is not None
    raised = [await asyncio.to_thread(announcer.raise_version, "acme", "keys") for _ in range(3)]
    assert 0 < raised[0] < raised[1] < raised[2]
    assert (await SharedWindows(one).count("acme", limits)).versions == [
        raised[2] if kind == "keys" else 0 for kind in VERSION_KINDS
    ]
    announcer.close()
    await one.close()
    await another.close()


async def _use_of_customer(one: SharedState, another: SharedState, key: CustomerKey) -> None:
    decisions = SharedDecisions(one)
    for name in ("r-1", "r-2"):
        await decisions.add(key, f"{key.customer_id}/{name}", name.encode())
    assert await SharedDecisions(another).find(key.tenant_id, f"{key.customer_id}/r-2") == b"r-2"
    mine, other = (RedisReservationStore(shared, 60_000) for shared in (one, another))
    async with mine.customer(key) as session:
        await session.exchange(Reservation("r-1", 0, 60_000, (), "", -1, key.customer_id), [])
    assert [one.recommendation_id for one in await other.peek(key)] == ["r-1"]
    event = EventKey(key.tenant_id, key.customer_id, "key")
    claim = await RedisClaims(one, 5.0).claim(event)
    assert isinstance(claim, Claim)
    async with claim:
        claim.fulfil(b"{}")
    assert await RedisClaims(another, 5.0).claim(event) == b"{}"
    await remove_shared_state(one, key)
    assert await SharedDecisions(another).find(key.tenant_id, f"{key.customer_id}/r-2") is None
    assert await another.redis.exists(make_reservations_key(key)) == 0
    assert isinstance(await RedisClaims(another, 5.0).claim(event), Claim)


def test_when_a_server_is_gone_its_replica_takes_over(tmp_path: Path):
    with run_replicas(tmp_path, patience_ms=1_000) as (url, first):
        asyncio.run(_lose(url, first))


def test_when_a_replica_takes_over_though_the_server_lives_all_find_it(tmp_path: Path):
    """The former server goes on answering, and refuses what changes anything."""
    with run_replicas(tmp_path, patience_ms=60_000) as (url, _):
        asyncio.run(_hand_over(url))


async def _hand_over(url: str) -> None:
    shared, announcer = connect(url), make_change_announcer(Secret(url))
    assert announcer is not None
    await shared.ask(lambda: shared.redis.set("before", 1))
    assert announcer.raise_version("acme", "keys")
    ((host, port),) = parse_state_url(url).hosts[1:]
    with redis.Redis(host, port) as sentinel:

        async def begins() -> bool:
            with suppress(redis.ResponseError):  # the replica is not ready yet
                return bool(await asyncio.to_thread(sentinel.execute_command, "SENTINEL", "FAILOVER", "main"))
            return False

        await until(begins, "the sentinel hands over", seconds=30)

    async def is_writable() -> bool:
        with suppress(RedisError):
            await shared.ask(lambda: shared.redis.set("after", 1))
            roles = await shared.redis.execute_command("ROLE")
            return bool(roles[0] == b"master" and await shared.redis.get("before") == b"1")
        return False

    async def announces() -> bool:
        return await asyncio.to_thread(announcer.raise_version, "acme", "keys") > 0

    await asyncio.sleep(1.0)
    await until(is_writable, "the replica answers", seconds=30)
    await until(announces, "changes are announced there", seconds=30)
    announcer.close()
    await shared.close()


async def _lose(url: str, first: RedisServer) -> None:
    shared = connect(url)
    await shared.ask(lambda: shared.redis.set("before", 1))
    first.kill()
    with pytest.raises(RedisError):
        await shared.ask(lambda: shared.redis.set("during", 1))

    async def is_back() -> bool:
        with suppress(RedisError):
            await shared.ask(shared.redis.ping)
        return not shared.is_away

    await until(is_back, "the replica answers", seconds=30)
    await shared.ask(lambda: shared.redis.set("after", 1))
    await shared.close()


async def ping_once(shared: SharedState) -> None:
    try:
        await shared.ask(shared.redis.ping)
    finally:
        await shared.close()


def test_a_wrong_password_is_a_state_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with run_single(tmp_path) as url:
        shared = connect(url.replace(ENCODED, "another-secret"))
        with pytest.raises(RedisError):
            asyncio.run(ping_once(shared))
    assert shared.is_away
    assert "another-secret" not in "".join(capsys.readouterr())

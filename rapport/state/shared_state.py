"""Valkey, or Redis, with the state that processes share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import redis
import redis.asyncio
import structlog
from redis.crc import key_slot
from redis.exceptions import RedisError

from rapport.state.coalescing_client import CoalescingRedis
from rapport.state_url import parse_state_url

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from rapport.settings import Secret
    from rapport.state_url import StateUrl

log = structlog.get_logger(__name__)
T = TypeVar("T")
TIMEOUT_S: Final = 0.5
"""A request waits no longer than that for it; what then happens, each user of it says."""
RETRY_AFTER_S: Final = 1.0
"""For how long it is left alone after it has not answered."""


class UnavailableError(RedisError):
    """The server did not answer a moment ago, and is not called again yet."""


class SharedState:
    """A Valkey or Redis behind one circuit breaker: when one call fails, none waits for it for a second.

    After it one request probes the server; the others go on without it until that request succeeds.

    Args:
        client: Connects when first used. A cluster's client has the same commands.
        url: Where it is.

    Attributes:
        failures: Calls that the server has not answered.
    """

    def __init__(self, client: redis.asyncio.Redis, url: StateUrl) -> None:
        self.redis = client
        self.url = url
        self.failures = 0
        self._away_until: float | None = None

    @property
    def is_cluster(self) -> bool:
        """Whether keys lie on several servers."""
        return self.url.mode == "cluster"

    @property
    def is_away(self) -> bool:
        """Whether the last call was not answered."""
        return self._away_until is not None

    async def ask(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Call the server.

        Raises:
            RedisError: It does not answer, or has not a moment ago.
        """
        if self._away_until is not None:
            if time.monotonic() < self._away_until:
                raise UnavailableError("it has not answered a moment ago")
            self._away_until = time.monotonic() + RETRY_AFTER_S  # the others wait for what this request finds
        try:
            answer = await ask()
        except (RedisError, OSError) as error:
            self.failures += 1
            self._away_until = time.monotonic() + RETRY_AFTER_S
            log.warning("the shared state does not answer; this process goes on by itself", error=str(error))
            raise error if isinstance(error, RedisError) else UnavailableError(str(error)) from error
        self._away_until = None
        return answer

    def group_by_node(self, names: Sequence[str]) -> list[Sequence[str]]:
        """Group keys so that one call may name those of a group: on a cluster, by slot."""
        if not self.is_cluster:
            return [names]
        slots: dict[int, list[str]] = {}
        for name in names:
            slots.setdefault(key_slot(name.encode()), []).append(name)
        return list(slots.values())

    async def read_info(self) -> list[dict[str, Any]]:
        """Read what the servers say of themselves.

        Raises:
            RedisError: They do not answer.
        """
        client: Any = self.redis
        if not self.is_cluster:
            return [await self.ask(client.info)]
        nodes = await self.ask(lambda: client.info(target_nodes=client.PRIMARIES))
        return list(nodes.values())

    async def close(self) -> None:
        """Close all connections, those to sentinels included."""
        client: Any = self.redis
        await client.aclose()
        if self.is_cluster:  # after an error it has closed nothing: it wants to look for the nodes anew
            await client.nodes_manager.aclose()
            await client.nodes_manager.aclose("startup_nodes")
        if self.url.mode == "sentinel":
            await client.connection_pool.sentinel_manager.aclose()


def connect_shared_state(url: Secret) -> SharedState | None:
    """Make a client that connects when first used; None where each process keeps its own state.

    Raises:
        ValueError: The URL has none of the forms of :func:`rapport.state_url.parse_state_url`.
    """
    if not url.reveal():
        log.warning("RAPPORT_STATE_URL is not set: every process keeps its own limits, reservations and decisions")
        return None
    place = parse_state_url(url.reveal())
    return SharedState(_connect(place, redis.asyncio), place)


def connect_for_threads(url: Secret) -> redis.Redis | None:
    """Make a client for threads that connects when first used; None where there is no shared state.

    Raises:
        ValueError: As :func:`connect_shared_state`.
    """
    client: redis.Redis | None = _connect(parse_state_url(url.reveal()), redis) if url.reveal() else None
    return client


def close_for_threads(client: Any) -> None:  # noqa: ANN401 - redis.Redis, or a cluster's, which share no types
    """Close all connections of a client for threads."""
    client.close()
    if isinstance(client, redis.cluster.RedisCluster):  # it keeps the connections to its nodes
        nodes: Any = client
        for node in nodes.get_nodes():
            if node.redis_connection is not None:
                node.redis_connection.connection_pool.disconnect()


def _connect(url: StateUrl, library: Any) -> Any:  # noqa: ANN401 - redis and redis.asyncio, which share no types
    is_async = library is redis.asyncio
    options: dict[str, Any] = {
        "username": url.username or None,
        "password": url.password or None,
        "socket_connect_timeout": TIMEOUT_S,
    }
    if url.is_encrypted:
        options["ssl"] = True
    if url.mode == "cluster":
        nodes = [library.cluster.ClusterNode(host, port) for host, port in url.hosts]
        # By default every fifth slot that has moved closes all connections, those in use by others included.
        return library.cluster.RedisCluster(
            startup_nodes=nodes, reinitialize_steps=0, socket_timeout=TIMEOUT_S, **options
        )
    options |= {
        "db": url.database,
        "socket_timeout": None if is_async else TIMEOUT_S,  # see CoalescingRedis
        "retry": None,  # the library's own would wait for seconds; the circuit breaker decides
    }
    make_client = CoalescingRedis if is_async else library.Redis
    if url.mode == "sentinel":
        kept = {**options, "db": 0, "socket_timeout": TIMEOUT_S, "username": None}
        kept["password"] = url.sentinel_password or None
        sentinels = library.sentinel.Sentinel(list(url.hosts), sentinel_kwargs=kept, **options)
        client = sentinels.master_for(url.service, redis_class=make_client)
    elif url.socket:
        options.pop("ssl", None)
        client = make_client(unix_socket_path=url.socket, **options)
    else:
        ((host, port),) = url.hosts
        client = make_client(host=host, port=port, **options)
    if is_async:
        client.answer_s = TIMEOUT_S
    return client


def name_of_tenant(tenant_id: str) -> str:
    """Name a tenant in keys. Braces keep its keys on one node."""
    return f"{{{quote(tenant_id, safe='')}}}"


def name_of_customer(tenant_id: str, customer_id: str) -> str:
    """Name a customer in keys: ``a`` with ``b:c`` is not ``a:b`` with ``c``. Braces keep its keys on one node."""
    return f"{{{quote(tenant_id, safe='')}:{customer_id}}}"

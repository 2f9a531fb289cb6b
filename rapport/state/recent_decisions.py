"""Recent decisions in Redis: each process finds what another has just decided, before the stream has written it.

Each lapses after a minute: the tables have it by then. A sorted set of a customer's recommendations, by time, tells an
erasure what to remove, and bounds how many there are.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

from redis.exceptions import RedisError

from rapport.state.shared_state import name_of_customer

if TYPE_CHECKING:
    from rapport.domain.customers.customer import CustomerKey
    from rapport.state.shared_state import SharedState

KEPT_MS: Final = 60_000
MAX_KEPT: Final = 100
"""Decisions of one customer; with more in a minute, the others are found once the stream has written them."""


class SharedDecisions:
    """Recent decisions of all processes, as bytes. While Redis is away there are none."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared

    async def add(self, key: CustomerKey, recommendation_id: str, value: bytes) -> None:
        """Add the decision of a recommendation."""
        redis, index = self._shared.redis, make_index_key(key)

        async def add() -> None:
            now_ms = time.time_ns() // 1_000_000
            async with redis.pipeline(transaction=False) as pipeline:
                pipeline.zremrangebyscore(index, 0, now_ms - KEPT_MS)
                pipeline.zcard(index)
                _, kept = await pipeline.execute()
                if kept >= MAX_KEPT:
                    return
                pipeline.zadd(index, {recommendation_id: now_ms})
                pipeline.pexpire(index, KEPT_MS)
                pipeline.set(make_decision_key(key.tenant_id, recommendation_id), value, px=KEPT_MS)
                await pipeline.execute()

        try:
            await self._shared.ask(add)
        except RedisError:
            return

    async def find(self, tenant_id: str, recommendation_id: str) -> bytes | None:
        """Return the decision of a recommendation; None if there is none."""
        name = make_decision_key(tenant_id, recommendation_id)
        try:
            return cast("bytes | None", await self._shared.ask(lambda: self._shared.redis.get(name)))
        except RedisError:
            return None


def make_index_key(key: CustomerKey) -> str:
    """Return the key of the index of a customer's recent recommendations."""
    return f"rapport:decisions:{name_of_customer(key.tenant_id, key.customer_id)}"


def make_decision_key(tenant_id: str, recommendation_id: str) -> str:
    """Return the key of the decision of a recommendation."""
    return f"rapport:decision:{quote(tenant_id, safe='')}:{recommendation_id}"

"""Recent decisions in Redis: each process finds what another has just decided, before the stream has written it.

A customer's decisions are one hash, so that an erasure removes them with one key; a second key leads from the id of a
recommendation to its customer. Both lapse after a minute: the tables have them by then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast
from urllib.parse import quote

from redis.exceptions import RedisError

from rapport.domain.customers.customer import CustomerKey
from rapport.state.shared_state import name_of_customer

if TYPE_CHECKING:
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
        redis, decisions = self._shared.redis, make_decisions_key(key)

        async def add() -> None:
            if await redis.hlen(decisions) >= MAX_KEPT:
                return
            async with redis.pipeline(transaction=False) as pipeline:
                pipeline.hset(decisions, recommendation_id, value)
                pipeline.pexpire(decisions, KEPT_MS)
                pipeline.set(_make_customer_key(key.tenant_id, recommendation_id), key.customer_id, px=KEPT_MS)
                await pipeline.execute()

        try:
            await self._shared.ask(add)
        except RedisError:
            return

    async def find(self, tenant_id: str, recommendation_id: str) -> bytes | None:
        """Return the decision of a recommendation; None if there is none."""
        redis = self._shared.redis

        async def find() -> bytes | None:
            customer_id = await redis.get(_make_customer_key(tenant_id, recommendation_id))
            if customer_id is None:
                return None
            decisions = make_decisions_key(CustomerKey(tenant_id, cast("bytes", customer_id).decode()))
            return cast("bytes | None", await redis.hget(decisions, recommendation_id))

        try:
            return await self._shared.ask(find)
        except RedisError:
            return None


def make_decisions_key(key: CustomerKey) -> str:
    """Return the key of a customer's recent decisions."""
    return f"rapport:decisions:{name_of_customer(key.tenant_id, key.customer_id)}"


def _make_customer_key(tenant_id: str, recommendation_id: str) -> str:
    return f"rapport:recommendation:{quote(tenant_id, safe='')}:{recommendation_id}"

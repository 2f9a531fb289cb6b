"""Removal of all that processes share about a customer, for erasure."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, cast

from redis.exceptions import RedisError

from rapport.state.recent_decisions import make_decision_key, make_index_key
from rapport.state.reservations import make_reservations_key
from rapport.state.written_events import KEPT_S, make_erasure_key

if TYPE_CHECKING:
    from rapport.domain.customers.customer import CustomerKey
    from rapport.state.shared_state import SharedState


async def remove_shared_state(shared: SharedState | None, key: CustomerKey) -> None:
    """Remove all state of a customer; while Redis is away, it lapses by itself.

    Args:
        shared: None where each process keeps its own, and removes it by itself.
        key: The customer.
    """
    if shared is None:
        return
    redis, index = shared.redis, make_index_key(key)

    async def remove() -> None:
        recommendations = cast("list[bytes]", await redis.zrange(index, 0, -1))
        decisions = [make_decision_key(key.tenant_id, one.decode()) for one in recommendations]
        await redis.delete(make_reservations_key(key), index, *decisions)
        await redis.set(make_erasure_key(*key), secrets.token_hex(8), ex=KEPT_S)

    try:
        await shared.ask(remove)
    except RedisError:
        return

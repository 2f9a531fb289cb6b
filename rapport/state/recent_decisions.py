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


# KEYS: index; decision, where it is on the same server. ARGV: recommendation, time in milliseconds, milliseconds it is
# kept, most that are kept, decision. 0 if there are as many already.
_NOTE: Final = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, ARGV[2] - ARGV[3])
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if KEYS[2] then redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[3]) end
return 1
"""


class SharedDecisions:
    """Recent decisions of all processes, as bytes. While Redis is away there are none."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared
        self._note = shared.redis.register_script(_NOTE)

    async def add(self, key: CustomerKey, recommendation_id: str, value: bytes) -> None:
        """Add the decision of a recommendation."""
        redis, now_ms = self._shared.redis, time.time_ns() // 1_000_000
        index = make_index_key(key)
        name = make_decision_key(key.tenant_id, recommendation_id)  # of its own: it is found without the customer

        async def add() -> None:
            noted: list[str | int] = [recommendation_id, now_ms, KEPT_MS, MAX_KEPT]
            if not self._shared.is_cluster:
                await self._note(keys=[index, name], args=[*noted, value])
            elif await self._note(keys=[index], args=noted):
                await redis.set(name, value, px=KEPT_MS)

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

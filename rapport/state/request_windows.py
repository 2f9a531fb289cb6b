"""Sliding windows of requests that all processes count together, in Redis, and the versions that each request sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rapport.domain.tenant_versions import VERSION_KINDS
from rapport.state.shared_state import name_of_tenant
from rapport.state.versions import make_versions_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rapport.state.shared_state import SharedState

SPAN_S: Final = 60

# KEYS: windows, versions. ARGV: the windows' length in microseconds, the limit of each, the kinds of versions. A window
# is a list of the times of its requests, newest first, by the server's clock. The answer has the versions and, for each
# window up to the first that is full: whether the request is allowed, how many more are, and the microseconds until the
# oldest one has left.
_COUNT: Final = """
local time = redis.call('TIME')
local now, span, answers = time[1] * 1000000 + time[2], tonumber(ARGV[1]), {}
for i = 1, #KEYS - 1 do
    local key = KEYS[i]
    local limit = tonumber(ARGV[i + 1])
    local oldest = tonumber(redis.call('LINDEX', key, -1))
    while oldest and oldest <= now - span do
        redis.call('RPOP', key)
        oldest = tonumber(redis.call('LINDEX', key, -1))
    end
    local count = redis.call('LLEN', key)
    local is_allowed = count < limit
    if is_allowed then
        redis.call('LPUSH', key, string.format('%.0f', now))
        redis.call('PEXPIRE', key, span / 1000)
        count = count + 1
    end
    answers[i] = {is_allowed and 1 or 0, math.max(limit - count, 0), (oldest or now) + span - now}
    if not is_allowed then break end
end
return {answers, redis.call('HMGET', KEYS[#KEYS], unpack(ARGV, #KEYS + 1))}
"""


class WindowCount(NamedTuple):
    """Count of a window after a request.

    Attributes:
        is_allowed: Whether the request had room, and counts.
        remaining: Requests that the window has room for now.
        reset_s: Seconds until the oldest request leaves the window.
    """

    is_allowed: bool
    remaining: int
    reset_s: float


class RequestCount(NamedTuple):
    """Count of a request.

    Attributes:
        windows: Counts of its windows, up to the first that is full.
        versions: Versions of the tenant in the order of the kinds; 0 for one that never changed.
    """

    windows: Sequence[WindowCount]
    versions: Sequence[int]


class SharedWindows:
    """Windows of a minute of all processes."""

    def __init__(self, shared: SharedState) -> None:
        self._shared = shared

    async def count(self, tenant_id: str, limits: Sequence[tuple[str, int]]) -> RequestCount:
        """Count a request in windows of a tenant, up to the first that is full.

        Args:
            tenant_id: Whose requests they are.
            limits: Names of windows, and how many requests fit in each.

        Raises:
            RedisError: It does not answer.
        """
        names = [f"rapport:requests:{name_of_tenant(tenant_id)}:{name}" for name, _ in limits]
        names.append(make_versions_key(tenant_id))
        values = [SPAN_S * 1_000_000, *(limit for _, limit in limits), *VERSION_KINDS]
        # One call for everything: each costs the process more than it costs Redis.
        answer: Any = await self._shared.ask(lambda: self._shared.redis.eval(_COUNT, len(names), *names, *values))
        windows, versions = answer
        return RequestCount(
            [WindowCount(bool(allowed), remaining, left / 1e6) for allowed, remaining, left in windows],
            [int(version or 0) for version in versions],
        )

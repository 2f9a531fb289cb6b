"""Rate limits of tenants: a sliding window of a minute over all keys, and narrower ones for single routes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import MemoryStorage
from limits.storage.memory import Entry
from limits.strategies import MovingWindowRateLimiter as OwnRateLimiter
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from redis.exceptions import RedisError

from api.http.errors import ApiError
from api.http.route_options import PUBLIC
from rapport.settings import SettingsError

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from api.runtime.tenant_cache import TenantCache
    from rapport.settings import ApiSettings
    from rapport.state.shared_state import SharedState

ROUTE_LIMITS: Final[Mapping[str, int]] = {"POST /api/v1/dsar": 10}
"""Requests a minute on single routes, unless the settings say otherwise."""
_Window = tuple[RateLimitItemPerMinute, tuple[str, ...]]
"""How many requests, of whom."""


class RateLimit(ASGIMiddleware):
    """Answers 429 to a tenant over its limit; headers of every answer tell the requests that remain.

    With Redis or Valkey all processes count together; when it does not answer, each counts by itself meanwhile.
    """

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = PUBLIC

    def __init__(self, settings: ApiSettings, tenants: TenantCache, shared: SharedState | None) -> None:
        self._tenants = tenants
        self._state = shared
        # The library's asynchronous one copies a tenant's whole window at every request.
        self._own = OwnRateLimiter(OwnWindows())
        self._shared = (
            None
            if shared is None
            else MovingWindowRateLimiter(
                RedisStorage(
                    f"async+{settings.shared_state}",
                    implementation="redispy",
                    connection_pool=shared.redis.connection_pool,  # type: ignore[arg-type] # handed on to redis-py
                )
            )
        )
        self._routes = {**ROUTE_LIMITS, **parse_route_limits(settings.route_limits)}

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Count one request.

        Raises:
            ApiError: 429, with ``Retry-After`` and the limit.
        """
        tenant_id = scope["user"].tenant_id
        tenant = await self._tenants.get(tenant_id)
        name = quote(tenant_id, safe="")  # the library joins names with slashes
        windows: list[_Window] = [(RateLimitItemPerMinute(tenant.settings.requests_per_minute), (name,))]
        route = f"{scope.get('method')} {scope.get('path_template')}"
        if route in self._routes:
            windows.append((RateLimitItemPerMinute(self._routes[route]), (name, route)))
        headers: dict[str, str] = {}
        for item, names in windows:
            is_allowed, reset_at, remaining = await self._hit(item, names)
            left_s = max(math.ceil(reset_at - time.time()), 1)
            if not headers or remaining < int(headers["X-RateLimit-Remaining"]):
                headers = {
                    "X-RateLimit-Limit": str(item.amount),
                    "X-RateLimit-Remaining": str(max(remaining, 0)),
                    "X-RateLimit-Reset": str(left_s),
                }
            if not is_allowed:
                what = f"{route} may be asked" if len(names) > 1 else "This tenant may ask"
                raise ApiError(
                    429,
                    f"{what} {item.amount:,} times a minute, with all its keys together; try again in {left_s} s.",
                    headers={**headers, "Retry-After": str(left_s)},
                )

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await next_app(scope, receive, send_counted)

    async def _hit(self, item: RateLimitItemPerMinute, names: tuple[str, ...]) -> tuple[bool, float, int]:
        """Count a request in one window: whether it is allowed, when the window has room again, and how much now."""
        limiter = self._shared
        if self._state is not None and limiter is not None:
            with suppress(RedisError):  # this process counts by itself meanwhile
                return await self._state.ask(lambda: _hit(limiter, item, names))
        is_allowed = self._own.hit(item, *names)
        stats = self._own.get_window_stats(item, *names)
        return is_allowed, stats.reset_time, stats.remaining


class OwnWindows(MemoryStorage):
    """Moving windows of this process; each request drops expired entries of its own window.

    The library's own way is a new thread every 10 ms that copies the windows, under locks that requests wait for.
    """

    _swept_at = 0.0

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a request, unless the window is full; the newest is the first."""
        begins_at = time.time() - expiry
        if self._swept_at < begins_at:
            self._swept_at = begins_at + expiry
            self.events = {of: window for of, window in self.events.items() if window and window[0].atime >= begins_at}
        window = self.events.setdefault(key, [])
        while window and window[-1].atime < begins_at:
            window.pop()
        if len(window) + amount > limit:
            return False
        window[:0] = [Entry(expiry)] * amount
        return True


async def _hit(
    limiter: MovingWindowRateLimiter, item: RateLimitItemPerMinute, names: tuple[str, ...]
) -> tuple[bool, float, int]:
    is_allowed = await limiter.hit(item, *names)
    stats = await limiter.get_window_stats(item, *names)
    return is_allowed, stats.reset_time, stats.remaining


def parse_route_limits(text: str) -> Mapping[str, int]:
    """Parse ``METHOD /path=requests a minute; …``.

    Raises:
        SettingsError: Naming the faulty part.
    """
    limits: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        route, _, amount = part.rpartition("=")
        method, _, path = route.strip().partition(" ")
        if not (method.isupper() and path.startswith("/") and amount.strip().isdigit() and int(amount) > 0):
            raise SettingsError(
                f"RAPPORT_API_ROUTE_LIMITS: {part!r} is not METHOD /path=requests, as in POST /api/v1/respond=600"
            )
        limits[f"{method} {path.strip()}"] = int(amount)
    return limits

"""Rate limits of tenants: a sliding window of a minute over all keys, and narrower ones for single routes."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.storage.memory import Entry
from limits.strategies import MovingWindowRateLimiter
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from redis.exceptions import RedisError

from api.http.errors import ApiError
from api.http.route_options import PUBLIC
from rapport.settings import SettingsError
from rapport.state.request_windows import SharedWindows, WindowCount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

    from api.runtime.tenant_cache import TenantCache
    from api.runtime.versions import Versions
    from rapport.settings import ApiSettings
    from rapport.state.shared_state import SharedState

ROUTE_LIMITS: Final[Mapping[str, int]] = {"POST /api/v1/dsar": 10}
"""Requests a minute on single routes, unless the settings say otherwise."""
_TENANT: Final = "all"
"""Name of the window that counts all requests of a tenant."""


class RateLimit(ASGIMiddleware):
    """Answers 429 to a tenant over its limit; headers of every answer tell the requests that remain.

    With Redis or Valkey all processes count together; when it does not answer, each counts by itself meanwhile. The
    call that counts a request also tells which versions of its tenant's configuration it must see.
    """

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = PUBLIC

    def __init__(
        self, settings: ApiSettings, tenants: TenantCache, versions: Versions, shared: SharedState | None
    ) -> None:
        self._tenants = tenants
        self._versions = versions
        # The library's asynchronous one copies a tenant's whole window at every request.
        self._own = MovingWindowRateLimiter(OwnWindows())
        self._shared = None if shared is None else SharedWindows(shared)
        self._routes = {**ROUTE_LIMITS, **parse_route_limits(settings.route_limits)}

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Count one request.

        Raises:
            ApiError: 429, with ``Retry-After`` and the limit.
        """
        tenant_id = scope["user"].tenant_id
        tenant = await self._tenants.get(tenant_id)
        limits = [(_TENANT, tenant.settings.requests_per_minute)]
        route = f"{scope.get('method')} {scope.get('path_template')}"
        if route in self._routes:
            limits.append((route, self._routes[route]))
        headers: dict[str, str] = {}
        for (name, limit), window in zip(limits, await self._count(tenant_id, limits), strict=False):
            left_s = max(math.ceil(window.reset_s), 1)
            if not headers or window.remaining < int(headers["X-RateLimit-Remaining"]):
                headers = {
                    "X-RateLimit-Limit": str(limit),
                    "X-RateLimit-Remaining": str(window.remaining),
                    "X-RateLimit-Reset": str(left_s),
                }
            if not window.is_allowed:
                what = "This tenant may ask" if name == _TENANT else f"{route} may be asked"
                raise ApiError(
                    429,
                    f"{what} {limit:,} times a minute, with all its keys together; try again in {left_s} s.",
                    headers={**headers, "Retry-After": str(left_s)},
                )

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await next_app(scope, receive, send_counted)

    async def _count(self, tenant_id: str, limits: Sequence[tuple[str, int]]) -> Sequence[WindowCount]:
        """Count a request in the windows of a tenant, up to the first that is full."""
        if self._shared is not None:
            with suppress(RedisError):  # this process counts by itself meanwhile
                count = await self._shared.count(tenant_id, limits)
                self._versions.observe(tenant_id, count.versions)
                return count.windows
        counts: list[WindowCount] = []
        for name, limit in limits:
            counts.append(self._count_alone(tenant_id, name, limit))
            if not counts[-1].is_allowed:
                break
        return counts

    def _count_alone(self, tenant_id: str, name: str, limit: int) -> WindowCount:
        item, names = RateLimitItemPerMinute(limit), (quote(tenant_id, safe=""), name)  # joined with slashes
        is_allowed = self._own.hit(item, *names)
        window = self._own.get_window_stats(item, *names)
        return WindowCount(is_allowed, max(window.remaining, 0), window.reset_time - time.time())


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

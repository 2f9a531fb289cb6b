"""Admission of bodies: a time limit for each, and a budget of bytes for all of them together."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from litestar.enums import ScopeType

from api.http.errors import ApiError

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, ReceiveMessage, Scope, Send

    from rapport.settings import ApiSettings

SMALL_BYTES: Final = 64 * 1024
"""Bodies up to this size have a quarter of the budget for themselves, so that large ones never keep them out."""
RETRY_AFTER_S: Final = 1


class Admission:
    """An ASGI application whose requests' bodies are bounded in time, and in bytes of all of them together.

    Bytes count from when they arrive until their request is answered. Nobody's do who has no key: such a request is
    answered before its body is read.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._body_s = settings.body_s
        self._small = _Budget(settings.body_budget_bytes // 4)
        self._large = _Budget(settings.body_budget_bytes - self._small.max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or pass the server's own events on."""
        if scope["type"] != ScopeType.HTTP or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, self._body_s, self._small, self._large)
        try:
            await self._app(scope, body.receive, send)
        finally:
            body.release()


class _Budget:
    """Budget of bytes for all tenants; each gets at most half, so that another finds room."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._held = 0
        self._held_by: defaultdict[str, int] = defaultdict(int)

    def has_room(self, tenant_id: str, size: int) -> bool:
        """Say whether so many more bytes fit."""
        return self._held + size <= self.max_bytes and self._held_by[tenant_id] + size <= self.max_bytes // 2

    def change(self, tenant_id: str, size: int) -> None:
        """Add bytes to those in use, or subtract them."""
        self._held += size
        self._held_by[tenant_id] += size
        if not self._held_by[tenant_id]:
            del self._held_by[tenant_id]


class _Body:
    """The body of one request, as the application receives it."""

    def __init__(self, scope: Scope, receive: Receive, body_s: float, small: _Budget, large: _Budget) -> None:
        self._scope = scope
        self._receive = receive
        self._until = time.monotonic() + body_s
        self._body_s = body_s
        self._small = small
        self._large = large
        self._tenant_id = ""
        self._size = 0
        self._is_begun = False
        self._is_complete = False

    async def receive(self) -> ReceiveMessage:
        """Receive the next piece.

        Raises:
            ApiError: 408, the body takes too long; 503, there is no room for it now.
        """
        if self._is_complete:
            return await self._receive()
        if not self._is_begun:
            self._is_begun = True
            self._tenant_id = getattr(self._scope.get("user"), "tenant_id", "")
            self._check(_announced(self._scope))
        try:
            async with asyncio.timeout(max(self._until - time.monotonic(), 0)):
                message = await self._receive()
        except TimeoutError:
            raise ApiError(408, f"The body did not arrive within {self._body_s:g} seconds.") from None
        if message["type"] == "http.request":
            self._is_complete = not message.get("more_body")
            self._hold(len(message["body"]))
        return message

    def release(self) -> None:
        """Count it no more: the request is answered."""
        self._budget_for(self._size).change(self._tenant_id, -self._size)
        self._size = 0

    def _hold(self, more: int) -> None:
        self._check(self._size + more)
        self._budget_for(self._size).change(self._tenant_id, -self._size)
        self._size += more
        self._budget_for(self._size).change(self._tenant_id, self._size)

    def _check(self, size: int) -> None:
        before, after = self._budget_for(self._size), self._budget_for(size)
        if not after.has_room(self._tenant_id, size - self._size if before is after else size):
            raise ApiError(
                503,
                "There is no room for this body now: too many large ones are on their way; try again shortly.",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )

    def _budget_for(self, size: int) -> _Budget:
        return self._small if size <= SMALL_BYTES else self._large


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])


def _announced(scope: Scope) -> int:
    """Return how large the body says it is; 0 if it does not say so, or nonsense."""
    text = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(text) if text.isdigit() and len(text) <= 12 else 0

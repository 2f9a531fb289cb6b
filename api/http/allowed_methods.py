"""Methods of a path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.routes import HTTPRoute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar.types import ASGIApp, Message, Receive, Scope, Send


def name_methods(methods: Iterable[str]) -> str:
    """Write the header ``Allow``: whatever answers GET answers HEAD."""
    names = set(methods)
    return ", ".join(sorted(names | {"HEAD"} if "GET" in names else names))


class AllowedMethods(ASGIMiddleware):
    """Names all methods of a path in the answer to OPTIONS; the framework names those registered first."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve one request."""
        if scope.get("method") != "OPTIONS":
            await next_app(scope, receive, send)
            return
        routes = [route for route in scope["litestar_app"].routes if isinstance(route, HTTPRoute)]
        allowed = {name for route in routes if route.path_format == scope["path_template"] for name in route.methods}

        async def send_complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                others = [pair for pair in message["headers"] if pair[0].lower() != b"allow"]
                message["headers"] = [*others, (b"allow", name_methods(allowed).encode())]
            await send(message)

        await next_app(scope, receive, send_complete)

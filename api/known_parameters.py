"""Refuses query parameters that a route does not take: a filter that is passed over in silence gives a wrong answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.openapi.spec import Parameter, SecurityScheme

from api.errors import Fault, invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.openapi.spec import OpenAPI, Operation
    from litestar.types import ASGIApp, Receive, Scope, Send

_Names = frozenset[str]


class KnownParameters(ASGIMiddleware):
    """Holds requests against the OpenAPI document; what it does not describe may be asked with any parameters."""

    scopes = (ScopeType.HTTP,)

    def __init__(self) -> None:
        self._taken: Mapping[tuple[str, str], _Names] | None = None

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve one request.

        Raises:
            ApiError: 400; it names a parameter that the route does not take.
        """
        if scope["query_string"]:
            if self._taken is None:  # the first time, the document has to be put together
                document = await asyncio.to_thread(lambda: scope["litestar_app"].openapi_schema)
                self._taken = parameters_of(document)
            taken = self._taken.get((str(scope.get("method")), scope["path_template"]))
            if taken is not None:
                _check(scope["query_string"], taken)
        await next_app(scope, receive, send)


def parameters_of(document: OpenAPI) -> dict[tuple[str, str], _Names]:
    """The names of the query parameters of each operation, by method and path; keys that are sent so are among them."""
    schemes = document.components.security_schemes or {}
    keys = {
        name: scheme.name
        for name, scheme in schemes.items()
        if isinstance(scheme, SecurityScheme) and scheme.security_scheme_in == "query" and scheme.name
    }
    return {
        (method.upper(), path): _names_of(operation, keys)
        for path, item in (document.paths or {}).items()
        for method in ("get", "post", "put", "patch", "delete")
        if (operation := getattr(item, method)) is not None
    }


def _names_of(operation: Operation, keys: Mapping[str, str]) -> _Names:
    asked = {one.name for one in operation.parameters or () if isinstance(one, Parameter) and one.param_in == "query"}
    return frozenset(asked | {keys[name] for one in operation.security or () for name in one if name in keys})


def _check(query: bytes, taken: _Names) -> None:
    given = dict.fromkeys(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    hint = f"this route takes {', '.join(sorted(taken))}" if taken else "this route takes no parameters"
    faults = [Fault(field=name, message=f"is not known; {hint}") for name in given if name not in taken]
    if faults:
        raise invalid(*faults)

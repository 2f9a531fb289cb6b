"""Refuses query parameters that a route does not take, and empty ones.

A filter that is passed over in silence gives a wrong answer: ``customerId=`` would be everybody's history.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from litestar.openapi.spec import Parameter, SecurityScheme

from api.http.errors import invalid
from rapport.domain.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from litestar import Litestar, Request
    from litestar.openapi.spec import OpenAPI, Operation

_Names = frozenset[str]
_Taken = dict[tuple[str, str], _Names]


class ParameterCheck:
    """Checks query parameters by the OpenAPI document; routes that it does not describe take any.

    The framework calls it before each request, after authentication.
    """

    def __init__(self) -> None:
        self._taken: _Taken | None = None
        self._reading = asyncio.Lock()

    async def __call__(self, request: Request[Any, Any, Any]) -> None:
        """Check one request.

        Raises:
            ApiError: 400; it names the parameters that the route does not take, and those without a value.
        """
        if request.query_params:
            taken = (await self._read(request.app)).get((request.method, request.scope["path_template"]))
            if taken is not None:
                _check(request.query_params.multi_items(), taken)

    async def _read(self, app: Litestar) -> _Taken:
        if self._taken is None:
            async with self._reading:  # putting the document together takes long: once is enough
                if self._taken is None:
                    self._taken = list_parameters(await asyncio.to_thread(lambda: app.openapi_schema))
        return self._taken


def list_parameters(document: OpenAPI) -> _Taken:
    """List the query parameters of each operation, by method and path; API keys that are sent so are among them."""
    schemes = document.components.security_schemes or {}
    keys = {
        name: scheme.name
        for name, scheme in schemes.items()
        if isinstance(scheme, SecurityScheme) and scheme.security_scheme_in == "query" and scheme.name
    }
    return {
        (method.upper(), path): _list_names(operation, keys)
        for path, item in (document.paths or {}).items()
        for method in ("get", "post", "put", "patch", "delete")
        if (operation := getattr(item, method)) is not None
    }


def _list_names(operation: Operation, keys: Mapping[str, str]) -> _Names:
    asked = {one.name for one in operation.parameters or () if isinstance(one, Parameter) and one.param_in == "query"}
    return frozenset(asked | {keys[name] for one in operation.security or () for name in one if name in keys})


def _check(given: Iterable[tuple[str, str]], taken: _Names) -> None:
    hint = f"this route takes {', '.join(sorted(taken))}" if taken else "this route takes no parameters"
    faults = {
        name: f"is not known; {hint}" if name not in taken else "must not be empty; leave it out if it says nothing"
        for name, value in given
        if name not in taken or not value
    }
    if faults:
        raise invalid(*(Fault(field=name, message=message) for name, message in faults.items()))

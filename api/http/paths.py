"""Paths by segments: what a caller encodes stays in its segment, so that ``ACME%2F4711`` is one id.

Servers hand a path over decoded, and the framework cuts it at its slashes. So the path is cut here, as it was sent, and
routed encoded; handlers get their parameters decoded, once.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware

from api.http.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from litestar.types import ASGIApp, Receive, Scope, Send

_EMPTY: Final = "%"
"""Stands for an empty segment: no text is encoded like that, and the framework would leave the segment out."""
MAX_ID: Final = 1_024
"""Characters of an id in a path. No id is that long; answers that name it stay short."""
_NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def route_by_segments(scope: Scope) -> None:
    """Have a request routed by the segments of its encoded path, each in its one canonical form."""
    segments = _read_raw_path(scope).decode("latin-1").lstrip("/").removesuffix("/").split("/")
    scope["path"] = "/" + "/".join(_canonical(one) or _EMPTY for one in segments) if segments != [""] else "/"


class PathParameters(ASGIMiddleware):
    """Decodes the parameters of a path that was routed encoded, and refuses ambiguous ones."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve one request.

        Raises:
            ApiError: 400 for what is no encoded UTF-8, 404 where an id is empty, too long or followed by a slash.
        """
        if encoded := scope["path_params"]:
            _check_escapes(_read_raw_path(scope))
            _check_slashes(_read_raw_path(scope), scope["path_template"], encoded)
            scope["path_params"] = {name: unquote(value) for name, value in encoded.items()}
            _check_lengths(scope["path_params"])
        await next_app(scope, receive, send)


def _read_raw_path(scope: Scope) -> bytes:
    """Return the path as it was sent; some servers append the query."""
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    return raw.partition(b"?")[0]


def _canonical(segment: str) -> str:
    # Bytes that are no UTF-8 pass here, because nobody can answer yet; _check_escapes refuses them.
    return quote(unquote(segment, errors="surrogateescape"), safe="", errors="surrogateescape")


def _check_escapes(raw: bytes) -> None:
    try:
        unquote(raw.decode("ascii"), errors="strict")
        is_encoded = not _NO_ESCAPE.search(raw)
    except UnicodeDecodeError:
        is_encoded = False
    if not is_encoded:
        raise ApiError(400, "The path is not percent-encoded UTF-8; a percent sign in an id is written %25.")


def _check_slashes(raw: bytes, template: str, encoded: Mapping[str, Any]) -> None:
    if _EMPTY in encoded.values() or (raw.endswith(b"/") and template.endswith("}")):
        raise ApiError(404, "There is nothing at an empty id; a slash in an id is written %2F.")


def _check_lengths(parameters: Mapping[str, str]) -> None:
    longest = max(map(len, parameters.values()))
    if longest > MAX_ID:
        raise ApiError(404, f"There is nothing by an id of {longest:,} characters; {MAX_ID:,} are the most.")

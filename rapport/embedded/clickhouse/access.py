"""Access to the endpoint: for programs on this machine that know the stack's password, and for no page in a browser.

A web page reaches loopback too: by a form or an image, which carry their origin, or by a name of its own that resolves
to this machine (DNS rebinding), which stands in `Host`. There is no CORS and no challenge, so that no browser asks its
user for the password or remembers it.
"""

from __future__ import annotations

import binascii
import hmac
import ipaddress
from base64 import b64decode
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from rapport.embedded.clickhouse.engine_errors import EngineError, refuse
from rapport.embedded.clickhouse.http_responses import make_error_response

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler, Middleware

USER: Final = "default"
_HEALTH: Final = frozenset({"/ping", "/replicas_status"})
_OWN_SITES: Final = frozenset({"none", "same-origin"})


def is_loopback(host: str) -> bool:
    """Return whether a name or an address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Access:
    """Check of a request's origin and credentials.

    Args:
        password: The password of the user ``default``; not empty.
    """

    def __init__(self, password: str) -> None:
        if not password:
            raise ValueError("the password is empty")
        self._password = password.encode()

    def check(self, request: web.BaseRequest) -> None:
        """Check a request; return if it is allowed.

        Raises:
            EngineError: 497 for a page in a browser, 194 without credentials, 516 for wrong ones.
        """
        _check_origin(request)
        if request.path in _HEALTH:
            return
        user, password = _read_credentials(request)
        if user is None and password is None:
            raise refuse(194, "The local ClickHouse asks for a password: user default, and CLICKHOUSE_PASSWORD")
        is_right = hmac.compare_digest((password or "").encode(errors="surrogateescape"), self._password)
        if not is_right or user not in (USER, None):
            raise refuse(516, "Authentication failed: user or password is wrong")

    def middleware(self, version: str) -> Middleware:
        """Return the check as a middleware of aiohttp."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                self.check(request)
            except EngineError as error:
                return make_error_response(error, version, "")
            return await handler(request)

        return check


def _check_origin(request: web.BaseRequest) -> None:
    headers = request.headers
    hosts = headers.getall("Host", [])
    if len(hosts) != 1 or not is_loopback(_parse_name(hosts[0])):
        raise refuse(497, "The header Host must name this machine: 127.0.0.1, [::1] or localhost")
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES:
        raise refuse(497, "Pages in a browser may not use the local ClickHouse")


def _parse_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _read_credentials(request: web.BaseRequest) -> tuple[str | None, str | None]:
    """Return user and password as ClickHouse takes them: Basic, two headers, or two parameters."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise refuse(516, "Authentication failed: the header Authorization cannot be read") from None
        return user, password
    headers = request.headers
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User"), headers.get("X-ClickHouse-Key")
    given = parse_qs(request.raw_path.partition("?")[2], errors="surrogateescape")
    return given.get("user", [None])[-1], given.get("password", [None])[-1]

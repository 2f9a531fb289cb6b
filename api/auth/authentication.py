"""Authentication by API key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware

from api.auth.principal import Principal
from api.http.client_address import is_forwarded, is_loopback
from api.http.errors import ApiError
from api.http.route_options import KEY_IN_QUERY, PUBLIC
from rapport.domain.api_keys import Role

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

    from api.auth.key_cache import KeyCache
    from rapport.domain.api_keys import ApiKey
    from rapport.settings import ApiSettings

_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="rapport"'}


class Authentication(ASGIMiddleware):
    """Puts a :class:`Principal` into ``scope["user"]``, or answers 401 or 403."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = PUBLIC

    def __init__(self, keyring: KeyCache, settings: ApiSettings) -> None:
        self._keyring = keyring
        self._trusted_tenant = settings.trusted_tenant

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Authenticate one request.

        Raises:
            ApiError: 401 without a valid key, 403 where ``X-Tenant-Id`` names another tenant than the key's.
        """
        scope["user"] = await self._identify(ASGIConnection(scope, receive, send))
        await next_app(scope, receive, send)

    async def _identify(self, request: ASGIConnection[Any, Any, Any, Any]) -> Principal:
        in_query = _keys_in_query(request) if request.route_handler.opt.get(KEY_IN_QUERY) else ()
        key = find_key(request.headers.get("x-api-key", ""), request.headers.get("authorization", ""), *in_query)
        named = request.headers.get("x-tenant-id", "").strip()
        if not key:
            return self._trust(request, named)
        found = _require_valid(await self._keyring.recognise(key))
        if named and named != found.tenant_id:
            raise ApiError(403, "X-Tenant-Id names another tenant than the API key's; leave it out.")
        return Principal(
            tenant_id=found.tenant_id,
            role=found.role,
            key_id=found.key_id,
            key_prefix=found.prefix,
            scopes=frozenset(found.scopes),
            expires_at_ms=found.expires_at_ms,
            key_hash=found.key_hash,
        )

    def _trust(self, request: ASGIConnection[Any, Any, Any, Any], named: str) -> Principal:
        """Accept the trusted tenant's name from clients on this machine (the development switch)."""
        is_near = request.client is not None and is_loopback(request.client.host)
        if self._trusted_tenant and named == self._trusted_tenant and is_near and _is_named_local(request):
            return Principal(tenant_id=named, role=Role.ADMIN)
        hint = " X-Tenant-Id alone does not let anybody in." if named else ""
        raise ApiError(401, f"Send an API key as X-API-Key or as Authorization: Bearer.{hint}", headers=_CHALLENGE)


class Revalidation(ASGIMiddleware):
    """Looks at the key of a request again, after its count has told the newest version of its tenant's keys.

    So a key that another process has revoked is refused at once.
    """

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = PUBLIC

    def __init__(self, keyring: KeyCache) -> None:
        self._keyring = keyring

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Check one request.

        Raises:
            ApiError: 401; the key has been revoked.
        """
        if key_hash := scope["user"].key_hash:
            _require_valid(await self._keyring.find(key_hash))
        await next_app(scope, receive, send)


def _require_valid(key: ApiKey | None) -> ApiKey:
    if key is None:
        raise ApiError(401, "The API key is not valid: unknown, expired or revoked.", headers=_CHALLENGE)
    return key


def find_key(x_api_key: str, authorization: str, *in_query: str) -> str:
    """Return the key of a request; empty if there is none.

    Raises:
        ApiError: 401; it comes with different ones.
    """
    scheme, _, token = authorization.strip().partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    keys = dict.fromkeys(key for key in (x_api_key.strip(), bearer, *in_query) if key)
    if len(keys) > 1:
        places = "X-API-Key, Authorization and api_key" if in_query else "X-API-Key and Authorization"
        raise ApiError(401, f"{places} name different keys; send one of them.", headers=_CHALLENGE)
    return next(iter(keys), "")


def _keys_in_query(request: ASGIConnection[Any, Any, Any, Any]) -> list[str]:
    return [key.strip() for key in request.query_params.getall("api_key", [])]


def _is_named_local(request: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Return whether the request names this machine as its host; a page from elsewhere that resolves to it does not.

    Nothing may have forwarded the request either.
    """
    host = request.headers.get("host", "")
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return is_loopback(name.strip("[]")) and "origin" not in request.headers and not is_forwarded(request.headers)

"""Tenant, role and scopes of a request, and guards that check them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.http.errors import ApiError
from api.http.trace_id import current_trace_id
from rapport.domain.api_keys import Role
from rapport.storage.catalogue_changes import Author

if TYPE_CHECKING:
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler
    from litestar.types import Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """The tenant, and the key, that a request is made with.

    Attributes:
        tenant_id: Every query is bound to it.
        key_id: The key's id; empty under the development switch.
        key_prefix: How the key begins, for logs.
        scopes: Where the key may be used; empty for everywhere.
        expires_at_ms: Until when; None for ever.
        key_hash: By which the key is found again; empty under the development switch.
    """

    tenant_id: str
    role: Role
    key_id: str = ""
    key_prefix: str = ""
    scopes: frozenset[str] = frozenset()
    expires_at_ms: int | None = None
    key_hash: str = ""


def author_of(principal: Principal) -> Author:
    """Return the author of a change, as versions and the audit log name it."""
    return Author(f"key {principal.key_id}" if principal.key_id else "development switch", current_trace_id())


def requires(role: Role) -> Guard:
    """Make a guard that allows a role and those above it, and keys with scopes only on routes of these scopes.

    The scope of a route is in its ``opt`` under ``scope``.
    """

    # Asynchronous, though it waits for nothing: Litestar runs any other guard in a thread.
    async def check(connection: ASGIConnection[Any, Principal, Any, Any], handler: BaseRouteHandler) -> None:
        principal = connection.user
        if not principal.role.includes(role):
            raise ApiError(403, f"This needs a key with role {role} or above; this one is {principal.role}.")
        scope = handler.opt.get("scope")
        if principal.scopes and scope not in principal.scopes:
            limits = ", ".join(sorted(principal.scopes))
            raise ApiError(403, f"This key is limited to {limits}; this route belongs to {scope or 'no scope'}.")

    return check

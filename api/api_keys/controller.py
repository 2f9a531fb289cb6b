"""``/api/v1/api-keys``: the keys of the caller's tenant."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Final

from litestar import Controller, Request, delete, get, post
from litestar.params import FromQuery, QueryParameter, RequestBody

from api.api_keys.schemas import CreatedKey, KeyList, KeyView, NewKey
from api.api_keys.service import ApiKeyService
from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.errors import ApiError, invalid
from api.http.openapi_responses import answers
from api.http.times import iso, iso_or_none, parse_time
from rapport.domain.api_keys import ApiKey, Role, find_expiry_fault, find_scope_fault
from rapport.domain.faults import Fault

_KEY: Final[Mapping[str, object]] = {
    "id": "key_2f6c1b1e0d9a4c77",
    "name": "web shop",
    "prefix": "krn_a1b2c3d4",
    "role": "editor",
    "scopes": [],
    "expiresAt": None,
    "createdAt": "2026-03-15T14:30:00.000Z",
}


class ApiKeyController(Controller):
    """Keys are made, listed and revoked by admins. They are stored as HMAC-SHA256; the key itself is shown once."""

    path = "/api-keys"
    tags = ["API keys"]
    guards = [requires(Role.ADMIN)]
    opt = {"scope": "api-keys"}

    @get(
        summary="List the keys that are valid or have expired",
        responses=answers(200, KeyList, {"data": [{**_KEY, "lastUsedAt": None}], "total": 1}),
    )
    async def list_keys(self, request: Request[Principal, Any, Any], api_keys: Injected[ApiKeyService]) -> KeyList:
        """List keys, except revoked ones. `lastUsedAt` is exact to some ten seconds."""
        found = await api_keys.list_all(request.user.tenant_id)
        return KeyList(data=[_view(key) for key in found], total=len(found))

    @post(
        dto=JsonBody[NewKey],
        return_dto=None,
        summary="Make a key",
        responses=answers(
            201,
            CreatedKey,
            {**_KEY, "key": "krn_a1b2c3d4…", "warning": CreatedKey.__struct_defaults__[0]},
            400,
            413,
            415,
        ),
    )
    async def create_key(
        self, request: Request[Principal, Any, Any], api_keys: Injected[ApiKeyService], data: RequestBody[NewKey]
    ) -> CreatedKey:
        """Make a key; the answer holds it. It is not stored: a key that is lost is replaced by a new one.

        No key makes one that may do more than itself: with scopes of its own or an end, the new one needs them too.
        """
        now_ms = time.time_ns() // 1_000_000
        expires_at_ms = _check(data, request.user, now_ms)
        key, stored = await api_keys.create(request.user, data, now_ms, expires_at_ms)
        return CreatedKey(
            id=stored.key_id,
            name=stored.name,
            key=key,
            prefix=stored.prefix,
            role=stored.role,
            scopes=stored.scopes,
            expires_at=iso_or_none(stored.expires_at_ms),
            created_at=iso(stored.created_at_ms),
        )

    @delete(summary="Revoke a key", responses=answers(204, None, None, 404))
    async def revoke_key(
        self,
        request: Request[Principal, Any, Any],
        api_keys: Injected[ApiKeyService],
        key_id: Annotated[str, QueryParameter(name="id", description="The key's `id`, as listed.")],
        reason: FromQuery[str] = "",
    ) -> None:
        """Revoke a key. Every process refuses it within 15 seconds."""
        now_ms = time.time_ns() // 1_000_000
        if not await api_keys.revoke(request.user, key_id, now_ms, reason):
            raise ApiError(404, f"There is no key {key_id!r}.")


def _check(new: NewKey, maker: Principal, now_ms: int) -> int | None:
    """Check a key that is to be made, and that its maker may do all that it may; the expiry in epoch milliseconds.

    Raises:
        ApiError: 400 with every fault; 403 where it would have no limit that its maker has.
    """
    expires_at_ms = None if new.expires_at is None else parse_time(new.expires_at) or 0
    faults = {"scopes": find_scope_fault(new.scopes), "expiresAt": find_expiry_fault(expires_at_ms, now_ms)}
    if any(faults.values()):
        raise invalid(*(Fault(field=name, message=message) for name, message in faults.items() if message))
    excess: list[Fault] = []
    if maker.scopes and not (new.scopes and maker.scopes.issuperset(new.scopes)):
        limits = ", ".join(sorted(maker.scopes))
        excess.append(Fault(field="scopes", message=f"must be among those of the key that makes it: {limits}"))
    if maker.expires_at_ms is not None and (expires_at_ms is None or expires_at_ms > maker.expires_at_ms):
        ends_at = iso(maker.expires_at_ms)
        excess.append(Fault(field="expiresAt", message=f"must not be after that of the key that makes it: {ends_at}"))
    if not maker.role.includes(new.role):
        excess.append(Fault(field="role", message=f"must not be above that of the key that makes it: {maker.role}"))
    if excess:
        detail = "; ".join(f"{fault.field} {fault.message}" for fault in excess)
        raise ApiError(403, f"No key makes one that may do more: {detail}.", details=excess)
    return expires_at_ms


def _view(key: ApiKey) -> KeyView:
    return KeyView(
        id=key.key_id,
        name=key.name,
        prefix=key.prefix,
        role=key.role,
        scopes=key.scopes,
        expires_at=iso_or_none(key.expires_at_ms),
        last_used_at=iso_or_none(key.last_used_at_ms),
        created_at=iso(key.created_at_ms),
    )

"""``/api/v1/outcome-types``: outcome types and their meaning for the counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from litestar import Controller, Request, delete, get, post, put
from litestar.params import FromPath, QueryParameter, RequestBody

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import JsonBody
from api.http.errors import ApiError
from api.http.openapi_responses import answers
from api.outcome_types.schemas import APPLIES, ChangedOutcomeType, NewOutcomeType, OutcomeTypeView, build_view
from api.outcome_types.service import OutcomeTypeService, find
from rapport.domain.api_keys import Role
from rapport.domain.outcomes import OutcomeCategory, derive_name
from rapport.storage.outcome_types import OutcomeRecord

_EXAMPLE: Final[Mapping[str, object]] = {
    "id": "renewed",
    "tenantId": "t_001",
    "key": "renewed",
    "name": "Renewed",
    "description": "The customer renewed the contract.",
    "classification": "positive",
    "category": "response",
    "isConversion": True,
    "allowsNegativeValue": False,
    "isSystem": False,
    "ordinal": 18,
    "status": "active",
    "version": 1,
    "effectiveAt": "2026-03-15T14:30:00.000Z",
    "applies": APPLIES,
    "createdAt": "2026-03-15T14:30:00.000Z",
    "updatedAt": "2026-03-15T14:30:00.000Z",
    "deletedAt": None,
}


class OutcomeTypeController(Controller):
    """Every tenant begins with the documented ones; admins add their own. The stream knows of them within seconds."""

    path = "/outcome-types"
    tags = ["Configuration"]
    guards = [requires(Role.VIEWER)]
    opt = {"scope": "outcome-types"}

    @get(summary="List outcome types", responses=answers(200, list[OutcomeTypeView], [_EXAMPLE]))
    async def list_types(
        self,
        request: Request[Principal, Any, Any],
        outcome_types: Injected[OutcomeTypeService],
        *,
        include_deleted: Annotated[
            bool, QueryParameter(name="includeDeleted", description="Whether those that were deleted are listed too.")
        ] = False,
    ) -> list[OutcomeTypeView]:
        """List outcome types in the order of `ordinal`."""
        tenant_id = request.user.tenant_id
        known = await outcome_types.list_all(tenant_id)
        return [build_view(tenant_id, one) for one in known if one.is_active or include_deleted]

    @get("/{key:str}", summary="Get an outcome type", responses=answers(200, OutcomeTypeView, _EXAMPLE, 404))
    async def get_type(
        self, request: Request[Principal, Any, Any], outcome_types: Injected[OutcomeTypeService], key: FromPath[str]
    ) -> OutcomeTypeView:
        """Get an outcome type by its key, also if it was deleted."""
        return build_view(request.user.tenant_id, find(await outcome_types.list_all(request.user.tenant_id), key))

    @post(
        dto=JsonBody[NewOutcomeType],
        return_dto=None,
        guards=[requires(Role.ADMIN)],
        summary="Make an outcome type",
        responses=answers(201, OutcomeTypeView, _EXAMPLE, 400, 409, 413, 415),
    )
    async def create_type(
        self,
        request: Request[Principal, Any, Any],
        outcome_types: Injected[OutcomeTypeService],
        data: RequestBody[NewOutcomeType],
    ) -> OutcomeTypeView:
        """Make an outcome type, which counts from now on. One that was deleted can be made again."""
        tenant_id = request.user.tenant_id
        known = await outcome_types.list_all(tenant_id)
        before = next((one for one in known if one.key == data.key), None)
        if before is not None and before.is_active:
            raise ApiError(409, f"There is an outcome type {data.key!r} already; change it with PUT.")
        record = OutcomeRecord(
            key=data.key,
            name=data.name or derive_name(data.key),
            description=data.description,
            classification=data.classification,
            category=OutcomeCategory(data.category),
            is_conversion=data.is_conversion,
            allows_negative_value=data.allows_negative_value,
            ordinal=_place(known, before) if data.ordinal is None else data.ordinal,
        )
        return await outcome_types.save(request.user, before, record)

    @put(
        "/{key:str}",
        dto=JsonBody[ChangedOutcomeType],
        return_dto=None,
        guards=[requires(Role.ADMIN)],
        summary="Change an outcome type",
        responses=answers(200, OutcomeTypeView, {**_EXAMPLE, "version": 2}, 400, 404, 409, 413, 415),
    )
    async def change_type(
        self,
        request: Request[Principal, Any, Any],
        outcome_types: Injected[OutcomeTypeService],
        key: FromPath[str],
        data: RequestBody[ChangedOutcomeType],
    ) -> OutcomeTypeView:
        """Change an outcome type for events from `effectiveAt` on, ten seconds from now; nothing is counted anew."""
        before = _changeable(await outcome_types.list_all(request.user.tenant_id), key)
        if data.version not in (None, before.version):
            raise ApiError(409, f"Version {data.version} is not the newest any more; that is {before.version}.")
        changes = {
            name: value
            for name, value in msgspec.structs.asdict(data).items()
            if value is not None and name not in ("version", "category")
        }
        if data.category is not None:
            changes["category"] = OutcomeCategory(data.category)
        return await outcome_types.save(request.user, before, msgspec.structs.replace(before, **changes))

    @delete(
        "/{key:str}",
        guards=[requires(Role.ADMIN)],
        summary="Delete an outcome type",
        responses=answers(204, None, None, 404, 409),
    )
    async def delete_type(
        self, request: Request[Principal, Any, Any], outcome_types: Injected[OutcomeTypeService], key: FromPath[str]
    ) -> None:
        """Delete an outcome type: events with it are refused from ten seconds on; counts stay."""
        before = _changeable(await outcome_types.list_all(request.user.tenant_id), key)
        await outcome_types.save(request.user, before, msgspec.structs.replace(before, is_active=False))


def _place(known: list[OutcomeRecord], before: OutcomeRecord | None) -> int:
    return before.ordinal if before else max((one.ordinal for one in known), default=-1) + 1


def _changeable(known: list[OutcomeRecord], key: str) -> OutcomeRecord:
    record = find(known, key)
    if not record.is_active:
        raise ApiError(404, f"The outcome type {key!r} was deleted.")
    if record.is_system:
        raise ApiError(403, f"{key!r} is one of the outcome types that every tenant has; it cannot be changed.")
    return record

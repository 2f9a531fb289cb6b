"""``/api/v1/admin/retention-configs``: retention of data by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import msgspec
from litestar import Controller, Request, get, put
from litestar.params import RequestBody

from api.auth.principal import Principal, requires
from api.http.areas import Injected
from api.http.bodies import Body, JsonBody
from api.http.openapi_responses import answers
from api.http.times import iso_or_none
from api.privacy.retention_service import RetentionService
from rapport.domain.api_keys import Role
from rapport.domain.retention import DataClass
from rapport.storage.retention import RetentionConfig

MAX_DAYS: Final = 36_500
_EXAMPLE: Final[Mapping[str, object]] = {
    "id": "interactions",
    "dataClass": "interactions",
    "retentionDays": 365,
    "legalHold": False,
    "updatedAt": "2026-03-15T14:30:00.000Z",
}
_Asking = Request[Principal, Any, Any]


class RetentionBody(Body, frozen=True, kw_only=True):
    """New retention of one class of data.

    Attributes:
        retention_days: Null keeps it until its customer is erased.
        legal_hold: While true nothing of it is deleted for its age.
    """

    EXAMPLE: ClassVar[Mapping[str, Any]] = {"dataClass": "interactions", "retentionDays": 365, "legalHold": False}

    data_class: DataClass
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=MAX_DAYS)] | None = None
    legal_hold: bool = False


class RetentionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Retention of one class of data.

    Attributes:
        id: The class again.
        retention_days: Null: it is kept without limit.
        updated_at: Null: it was never configured.
    """

    id: str
    data_class: DataClass
    retention_days: int | None
    legal_hold: bool
    updated_at: str | None


class RetentionController(Controller):
    """Data that is older than its tenant keeps it is deleted once a day."""

    path = "/admin/retention-configs"
    tags = ["Privacy"]
    guards = [requires(Role.ADMIN)]
    opt = {"scope": "privacy"}

    @get(summary="List how long data is kept", responses=answers(200, list[RetentionView], [_EXAMPLE]))
    async def list_configs(self, request: _Asking, retention: Injected[RetentionService]) -> Sequence[RetentionView]:
        """List every class of data. The audit log is kept: it is a chain, of which no link can go."""
        return [_build_view(one) for one in await retention.list_configs(request.user.tenant_id)]

    @put(
        dto=JsonBody[RetentionBody],
        return_dto=None,
        summary="Say how long one class of data is kept",
        responses=answers(200, RetentionView, _EXAMPLE, 413, 415),
    )
    async def change_config(
        self, request: _Asking, retention: Injected[RetentionService], data: RequestBody[RetentionBody]
    ) -> RetentionView:
        """Change a retention with the next daily run. Summaries outlive the interactions they are made of."""
        tenant_id, actor = request.user.tenant_id, request.user.key_id or "trusted"
        config = RetentionConfig(
            data_class=data.data_class,
            retention_days=data.retention_days or 0,
            legal_hold=data.legal_hold,
            changed_by=actor,
        )
        return _build_view(await retention.change(tenant_id, actor, config))


def _build_view(config: RetentionConfig) -> RetentionView:
    return RetentionView(
        id=config.data_class.value,
        data_class=config.data_class,
        retention_days=config.retention_days or None,
        legal_hold=config.legal_hold,
        updated_at=iso_or_none(config.updated_at_ms or None),
    )

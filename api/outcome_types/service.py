"""Reads and writes outcome types, and notes every change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api.auth.principal import author_of
from api.http.errors import ApiError
from api.outcome_types.schemas import OutcomeTypeView, build_view
from rapport.storage.outcome_types import OutcomeRecord, list_outcome_types, save_outcome_types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.auth.principal import Principal
    from api.http.times import Clock
    from api.runtime.tenant_cache import TenantCache
    from rapport.storage.database import Database


class OutcomeTypeService:
    """Outcome types of every tenant."""

    def __init__(self, database: Database, tenants: TenantCache, clock: Clock) -> None:
        self._database = database
        self._tenants = tenants
        self._clock = clock

    async def list_all(self, tenant_id: str) -> list[OutcomeRecord]:
        """Every outcome type, also those that were deleted."""
        return await self._database.call(list_outcome_types, tenant_id)

    async def save(self, principal: Principal, before: OutcomeRecord | None, record: OutcomeRecord) -> OutcomeTypeView:
        """Write the version that follows another, if there is one.

        Raises:
            ApiError: 409; it was changed at the same time.
        """
        tenant_id = principal.tenant_id
        (stored,) = await self._database.call(
            save_outcome_types, tenant_id, [(before, record)], author_of(principal), self._clock()
        )
        if stored is None:
            raise ApiError(
                409, f"The outcome type {record.key!r} was changed by another request at the same time; read it again."
            )
        await self._tenants.refresh()
        return build_view(tenant_id, stored)


def find(known: Sequence[OutcomeRecord], key: str) -> OutcomeRecord:
    """Find an outcome type by its key.

    Raises:
        ApiError: 404; there is none.
    """
    for record in known:
        if record.key == key:
            return record
    raise ApiError(404, f"There is no outcome type {key!r}.")

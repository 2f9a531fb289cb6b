"""Reads and writes outcome types, and notes every change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from api.errors import ApiError
from api.outcome_types.schemas import OutcomeTypeView, view_of
from api.tracing import current_trace_id
from rapport.domain.audit import AuditDraft, canonical_json
from rapport.storage.audit import append_audit
from rapport.storage.outcome_types import OutcomeRecord, list_outcome_types, write_outcome_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.auth.principal import Principal
    from api.services import Services


async def list_all(services: Services, tenant_id: str) -> list[OutcomeRecord]:
    """Every outcome type, also those that were deleted."""
    return await services.database.call(list_outcome_types, tenant_id)


def find(known: Sequence[OutcomeRecord], key: str) -> OutcomeRecord:
    """One of them.

    Raises:
        ApiError: 404.
    """
    for record in known:
        if record.key == key:
            return record
    raise ApiError(404, f"There is no outcome type {key!r}.")


async def save(
    services: Services, principal: Principal, before: OutcomeRecord | None, record: OutcomeRecord, action: str
) -> OutcomeTypeView:
    """Write a version.

    Raises:
        ApiError: 409; somebody else has changed it at the same time.
    """
    tenant_id = principal.tenant_id
    stored = await services.database.call(write_outcome_type, tenant_id, record)
    if stored is None:
        raise ApiError(409, f"The outcome type {record.key!r} is being changed by somebody else; read it again.")
    draft = AuditDraft(
        at_ms=services.clock(),
        actor=principal.key_id or "trusted",
        action=action,
        entity_type="outcome_type",
        entity_id=record.key,
        entity_name=record.name,
        entity_version=record.version,
        before="" if before is None else canonical_json(msgspec.to_builtins(before)),
        after=canonical_json(msgspec.to_builtins(stored)) if stored.is_active else "",
        request_id=current_trace_id(),
    )
    await services.database.call(append_audit, tenant_id, [draft])
    await services.tenants.refresh()
    return view_of(tenant_id, stored)

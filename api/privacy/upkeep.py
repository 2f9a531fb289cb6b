"""Once a day: what was written late of erased customers, and what is too old, is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from rapport.jobs import run_for_each
from rapport.storage.erasure import sweep
from rapport.storage.retention import apply_retention, list_tenants_with_retention

if TYPE_CHECKING:
    from api.services import Services

log = structlog.get_logger(__name__)


async def sweep_erased(services: Services) -> None:
    """Delete what was written late of erased customers. Several processes may do it at once.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    late = await services.database.call(sweep)
    log.info("what was written late of erased customers is deleted", rows=sum(late.values()))


async def delete_old(services: Services) -> None:
    """Delete what each tenant does not keep any more. Several processes may do it at once.

    Raises:
        StorageError: ClickHouse does not answer.
        PartialFailureError: For some tenants it could not be done.
    """

    async def delete_of(tenant_id: str) -> None:
        deleted = await services.database.call(apply_retention, tenant_id, services.clock())
        log.info("what is too old is deleted", tenant_id=tenant_id, rows=sum(deleted.values()))

    await run_for_each(await services.database.call(list_tenants_with_retention), delete_of)

"""Deletes data that is older than its tenant keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from rapport.jobs import run_for_each
from rapport.storage.retention import apply_retention, list_tenants_with_retention

if TYPE_CHECKING:
    from collections.abc import Callable

    from rapport.storage.database import Database

log = structlog.get_logger(__name__)


async def delete_expired(database: Database, clock: Callable[[], int]) -> None:
    """Delete the expired data of every tenant that has set a retention.

    Raises:
        StorageError: ClickHouse does not answer.
        PartialFailureError: For some tenants it could not be done.
    """

    async def delete_for(tenant_id: str) -> None:
        deleted = await database.call(apply_retention, tenant_id, clock())
        log.info("what is too old is deleted", tenant_id=tenant_id, rows=sum(deleted.values()))

    await run_for_each(await database.call(list_tenants_with_retention), delete_for)

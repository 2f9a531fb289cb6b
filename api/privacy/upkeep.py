"""Once a day: what was written late of erased customers, and what is too old, is deleted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from rapport.storage.erasure import sweep
from rapport.storage.errors import StorageError
from rapport.storage.retention import apply_retention

if TYPE_CHECKING:
    from api.services import Services

log = structlog.get_logger(__name__)
FIRST_AFTER_S: Final = 600.0
"""Not at once: a process that starts has other things to do."""
EVERY_S: Final = 86_400.0


async def keep_clean(services: Services) -> None:
    """Do it again and again, until cancelled. Several processes may do it at once."""
    await asyncio.sleep(FIRST_AFTER_S)
    while True:
        try:
            late = await services.database.call(sweep)
            old = await services.database.call(apply_retention, services.clock())
            log.info("daily deletions", late_rows=sum(late.values()), old_rows=sum(old.values()))
        except StorageError as error:
            log.warning("daily deletions failed; they are tried again tomorrow", error=str(error)[:200])
        await asyncio.sleep(EVERY_S)

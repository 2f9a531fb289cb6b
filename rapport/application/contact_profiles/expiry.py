"""Removes contact profiles that nobody reads or changes any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from rapport.domain.periods import DAY_MS
from rapport.domain.profiles.contact import hash_author
from rapport.storage.contact_profiles import expire_profiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from rapport.storage.database import Database

log = structlog.get_logger(__name__)
GRACE_MS: Final = 60_000
"""A profile has expired for so long before it is removed: by then every API process has noted the reads it answered."""


async def remove_expired(database: Database, clock: Callable[[], int], retention_days: float) -> int:
    """Remove the profiles of every tenant that expired a while ago, and return how many.

    Args:
        database: The database.
        clock: Returns epoch milliseconds.
        retention_days: Profiles that are not read or changed for so long expire; 0 for never.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    if not retention_days:
        return 0
    now_ms = clock()
    count = await database.call(
        expire_profiles,
        untouched_since_ms=now_ms - int(retention_days * DAY_MS) - GRACE_MS,
        now_ms=now_ms,
        author=hash_author("expiry"),
    )
    if count:
        log.info("expired contact profiles are removed", count=count)
    return count

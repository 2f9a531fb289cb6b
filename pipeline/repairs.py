"""Repairs of the worker's own sources, between two batches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from rapport.storage.repairs import list_pending_repairs, repair

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rapport.domain.blocks import LogPosition
    from rapport.metrics import StreamMetrics
    from rapport.storage.client import Store

log = structlog.get_logger(__name__)


async def repair_own_sources(store: Store, owned: Mapping[str, LogPosition], metrics: StreamMetrics) -> int:
    """Run the pending repairs of some sources. The caller must not commit meanwhile.

    Args:
        store: The database.
        owned: The recorded progress of the sources this worker owns.
        metrics: Counts repaired customers.

    Returns:
        How many customers were recomputed, one per source.

    Raises:
        StorageError: ClickHouse does not answer, or refuses. Some customers may have been recomputed.
    """
    if not owned:
        return 0
    done = 0
    for repair_id, source, customers in await asyncio.to_thread(list_pending_repairs, store, owned):
        await asyncio.to_thread(repair, store, repair_id, {source: owned[source]})
        done += customers
        metrics.repaired.inc(customers)
        log.info("summaries recomputed from history", repair_id=repair_id, source=source, customers=customers)
    return done

"""The applier: a batch is prepared while the one before is committed, and no event in between is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from pipeline.applier import Applier
from pipeline.batch import Batch, FetchedRecord, Partition
from pipeline.commit import CommitResult, Committer
from pipeline.faults import make_kill_hook
from pipeline.positions import Positions
from pipeline.prepare import PreparedBatch, Preparer
from pipeline.privacy import PrivacyFilter
from pipeline.tenant_cache import TenantCache
from rapport.domain.blocks import begin_blocks
from rapport.kafka.sources import name_source
from rapport.metrics import StreamMetrics
from rapport.settings import Settings
from rapport.storage.tenants import create_tenant, load_tenants
from tests.fixtures.events import CLICK, to_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rapport.storage.client import Store
    from rapport.storage.stream import DeadLetter

PARTITION = Partition("interactions", 0)
PATIENCE_S = 20


class RebalancedCommitter(Committer):
    """Committer during which the group rebalances at the second message, as when a worker joins or leaves."""

    applier: Applier

    async def commit(self, prepared: PreparedBatch) -> CommitResult:
        if prepared.starts[PARTITION].next_offset == 1:
            self.applier.begin_assignment()
        return await super().commit(prepared)


def test_a_rebalance_in_the_middle_of_a_commit_costs_no_count(store: Store):
    create_tenant(store, "acme")
    claims = count(1)
    both_are_prepared = threading.Event()

    @contextmanager
    def prepare_twice_before_writing(name: str) -> Iterator[None]:
        if name == "insert/interaction_summary_state":
            assert both_are_prepared.wait(PATIENCE_S)
        yield
        if name == "stream/recent_claims" and next(claims) == 2:
            both_are_prepared.set()

    asyncio.run(_apply_two_clicks(replace(store, timer=prepare_twice_before_writing)))
    sql = "SELECT sum(positive) FROM interaction_summaries WHERE scope = 'offer' GROUP BY period_type"
    assert store.client.query(sql).result_rows == [(2,)] * 4


async def _apply_two_clicks(store: Store) -> None:
    settings, metrics, on_step = Settings(), StreamMetrics(), make_kill_hook("")
    positions = Positions(store, settings.kafka, "cluster", metrics)
    positions.sources[PARTITION] = name_source("cluster", *PARTITION, 0)
    positions.owned[PARTITION] = begin_blocks(0)
    tenant_cache = TenantCache(lambda: load_tenants(store), refresh_s=3_600)
    privacy = PrivacyFilter(lambda _since_ms: (), dict, metrics, refresh_s=3_600)
    errors: list[BaseException] = []

    async def never_rewind(starts: Mapping[Partition, int]) -> None:
        errors.append(AssertionError(f"no reason to read again from {starts}"))

    async def drop(letters: Sequence[DeadLetter]) -> None:
        assert not letters

    committer = RebalancedCommitter(settings, store, positions, privacy, metrics, on_step, drop)
    preparer = Preparer(settings, store, positions, tenant_cache, privacy, metrics, on_step)
    applier = Applier(store, positions, metrics, preparer, committer, lambda _batch: False, never_rewind)
    committer.applier = applier
    now_ms = time.time_ns() // 1_000_000
    for offset in range(2):
        batch = Batch(generation=1)
        click = to_json({**CLICK, "idempotencyKey": f"k{offset}", "timestamp": now_ms})
        batch.take({PARTITION: [FetchedRecord(offset, now_ms, None, click)]})
        await applier.apply(batch, errors.append)
    await applier.settle()
    await asyncio.sleep(0)
    if errors:
        raise errors[0]

"""A log and a worker's batches on it, on a real database."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import TYPE_CHECKING, Any

from pipeline.applier import Applier
from pipeline.batch import Batch, FetchedRecord, Partition
from pipeline.commit import Committer
from pipeline.positions import Positions
from pipeline.prepare import Preparer
from pipeline.privacy import PrivacyFilter
from pipeline.tenant_cache import TenantCache
from rapport.domain.blocks import begin_blocks
from rapport.kafka.sources import name_source
from rapport.metrics import StreamMetrics
from rapport.settings import Settings, WorkerSettings
from rapport.storage.stream import read_positions
from rapport.storage.tenants import load_tenants
from tests.fixtures.events import CLICK, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipeline.faults import Step
    from rapport.storage.client import Store
    from rapport.storage.stream import DeadLetter

numbers = itertools.count()
NOW_MS = time.time_ns() // 1_000_000


class Stream:
    """A log of its own, and a worker's batches on it, on a real database."""

    def __init__(
        self,
        store: Store,
        on_step: Callable[[Step], None] = lambda _step: None,
        number: int = -1,
        block_events: int = WorkerSettings().block_events,
    ) -> None:
        self.store = store
        self.number = next(numbers) if number < 0 else number
        self.partition = Partition("interactions", self.number)
        self.letters: list[DeadLetter] = []
        self.log: list[bytes] = []
        self.received_ms: dict[int, int] = {}
        configured = Settings(worker=WorkerSettings(block_events=block_events))
        metrics = StreamMetrics()
        self.positions = Positions(store, configured.kafka, "cluster", metrics)
        self.positions.sources[self.partition] = name_source("cluster", *self.partition, 0)
        self.positions.owned[self.partition] = begin_blocks(0)
        tenant_cache = TenantCache(lambda: load_tenants(store), refresh_s=3_600)
        privacy = PrivacyFilter(lambda _since_ms: (), dict, metrics, refresh_s=3_600)
        shared = (configured, store, self.positions)
        self.applier = Applier(
            store,
            self.positions,
            metrics,
            Preparer(*shared, tenant_cache, privacy, metrics, on_step),
            Committer(*shared, privacy, metrics, on_step, self._send),
            lambda _batch: False,
            self._rewind,
            on_step=on_step,
        )

    def take_over(self) -> None:
        """Go on from the recorded progress, as after a rebalance."""
        name = self.positions.sources[self.partition].name
        recorded = read_positions(self.store, [name]).get(name)
        self.positions.owned[self.partition] = recorded.position if recorded else begin_blocks(0)
        self.applier.begin_assignment()

    def click(self, customer: str, **fields: Any) -> None:
        """Append a click that counts."""
        key = f"{self.number}-{len(self.log)}"
        self.log.append(to_json({**CLICK, "customerId": f"{customer}-{self.number}", "idempotencyKey": key, **fields}))

    def apply_all(self, batch_size: int = 1_000, until: int | None = None) -> None:
        """Apply the log as a worker does: from the recorded progress on, until its end or an offset."""
        asyncio.run(asyncio.wait_for(self.apply(batch_size, len(self.log) if until is None else until), 120))

    async def apply(self, batch_size: int, until: int) -> None:
        """Apply the log from the recorded progress on, until an offset."""
        errors: list[BaseException] = []
        while (start := self.positions.next_offset[self.partition]) < until:
            values = self.log[start : min(start + batch_size, until)]
            batch = Batch(generation=1)
            records = [
                FetchedRecord(start + n, self.received_ms.get(start + n, NOW_MS), b"k", value)
                for n, value in enumerate(values)
            ]
            batch.take({self.partition: records})
            await self.applier.apply(batch, errors.append)
            await self.applier.settle()
            await asyncio.sleep(0)
            if errors:
                raise errors[0]

    def clicks(self) -> dict[str, int]:
        """Read the counts of the summaries, by customer."""
        sql = (
            "SELECT customer_id, sum(positive) FROM interaction_summaries "
            "WHERE scope = 'offer' AND period_type = 'alltime' AND endsWith(customer_id, {end:String}) GROUP BY 1"
        )
        rows = self.store.client.query(sql, parameters={"end": f"-{self.number}"}).result_rows
        return {customer.split("-")[0]: count for customer, count in rows}

    async def _rewind(self, starts: Mapping[Partition, int]) -> None:
        assert starts == {self.partition: self.positions.next_offset[self.partition]}

    async def _send(self, letters: Sequence[DeadLetter]) -> None:
        self.letters += letters

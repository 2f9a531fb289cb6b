"""Sends the events of a request to Kafka: as few messages as there are partitions, if they are not too large."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from api.http.times import now_ms
from api.ingest.event_parser import EventParser
from api.ingest.schemas import IngestResult
from api.runtime.bulk_reader import BulkReader
from api.runtime.positions import format_position
from api.runtime.time_slice import TimeSlice
from rapport.domain.events import encode_event, make_message_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from api.http.metrics import ApiMetrics
    from api.runtime.event_producer import EventProducer
    from api.runtime.tenant_cache import TenantCache
    from rapport.domain.events import InteractionRecorded
    from rapport.domain.faults import Fault

MAX_MESSAGE_BYTES: Final = 512 * 1024
"""From this size on another message is begun; with the largest event it stays below Kafka's usual limit of 1 MB."""


class IngestService:
    """Many interactions at once.

    Args:
        max_body_bytes: Of a body with many events.
    """

    def __init__(self, tenants: TenantCache, producer: EventProducer, metrics: ApiMetrics, max_body_bytes: int) -> None:
        self._tenants = tenants
        self._producer = producer
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    async def read(
        self, tenant_id: str, content_type: str, chunks: AsyncIterator[bytes]
    ) -> BulkReader[InteractionRecorded]:
        """Read and check the events of a body: one JSON object a line, or an array.

        Raises:
            ApiError: 400 for what is neither, 413 for too much, 415 for another media type.
        """
        reader = BulkReader("events", EventParser(await self._tenants.get(tenant_id), now_ms()).parse)
        await reader.read(tenant_id, content_type, chunks, self._max_body_bytes)
        return reader

    async def ingest(self, events: Sequence[InteractionRecorded], faults: Sequence[Fault]) -> IngestResult:
        """Send events, each customer's in their order.

        Raises:
            ApiError: 503 if Kafka does not take them all. Sending the request again is safe: what was taken counts
                once.
        """
        messages: dict[int, list[list[bytes]]] = {}
        sizes: dict[int, int] = {}
        time_slice = TimeSlice()
        for event in events:
            if time_slice.is_over:
                await time_slice.yield_loop()
            partition = self._producer.choose_partition(make_message_key(event.tenant_id, event.customer_id))
            text = encode_event(event)
            if partition not in messages or sizes[partition] > MAX_MESSAGE_BYTES:
                messages.setdefault(partition, []).append([])
                sizes[partition] = 0
            messages[partition][-1].append(text)
            sizes[partition] += len(text)
        offsets = await asyncio.gather(*(self._send(partition, parts) for partition, parts in messages.items()))
        self._metrics.accepted.labels("/api/v1/interactions").inc(len(events))
        last: Mapping[int, int] = dict(zip(messages, offsets, strict=True))
        return IngestResult(
            accepted=len(events),
            rejected=len({fault.index for fault in faults}),
            position=format_position(last),
            errors=faults,
        )

    async def _send(self, partition: int, messages: Sequence[Sequence[bytes]]) -> int:
        """Send a partition's messages one after the other; the last offset."""
        offset = -1
        for texts in messages:
            written = await self._producer.send(partition, None, b"[%b]" % b",".join(texts))
            offset = written.offset
        return offset

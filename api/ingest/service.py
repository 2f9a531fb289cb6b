"""Sends the events of a request to Kafka: as few messages as there are partitions, if they are not too large."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from api.ingest.schemas import Ingested
from api.runtime.event_loop import Turns
from api.runtime.positions import format_position
from rapport.domain.events import encode_event, make_message_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from api.http.errors import Fault
    from api.services import Services
    from rapport.domain.events import InteractionRecorded

MAX_MESSAGE_BYTES: Final = 512 * 1024
"""From this size on another message is begun; with the largest event it stays below Kafka's usual limit of 1 MB."""


async def ingest(services: Services, events: Sequence[InteractionRecorded], faults: Sequence[Fault]) -> Ingested:
    """Send events, each customer's in their order.

    Raises:
        ApiError: 503 if Kafka does not take them all. Sending the request again is safe: what was taken counts once.
    """
    messages: dict[int, list[list[bytes]]] = {}
    sizes: dict[int, int] = {}
    turns = Turns()
    for event in events:
        if turns.is_over:
            await turns.give()
        partition = services.gateway.partition_of(make_message_key(event.tenant_id, event.customer_id))
        text = encode_event(event)
        if partition not in messages or sizes[partition] > MAX_MESSAGE_BYTES:
            messages.setdefault(partition, []).append([])
            sizes[partition] = 0
        messages[partition][-1].append(text)
        sizes[partition] += len(text)
    offsets = await asyncio.gather(*(_send(services, partition, parts) for partition, parts in messages.items()))
    services.metrics.accepted.labels("/api/v1/interactions").inc(len(events))
    last: Mapping[int, int] = dict(zip(messages, offsets, strict=True))
    return Ingested(
        accepted=len(events),
        rejected=len({fault.index for fault in faults}),
        position=format_position(last),
        errors=faults,
    )


async def _send(services: Services, partition: int, messages: Sequence[Sequence[bytes]]) -> int:
    """Send a partition's messages one after the other; the last offset."""
    offset = -1
    for texts in messages:
        written = await services.gateway.send(partition, None, b"[%b]" % b",".join(texts))
        offset = written.offset
    return offset

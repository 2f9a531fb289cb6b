"""Lower bound: consume, decode, insert raw rows. No duplicates checked, no summaries, no exactness.

No worker in this language on this broker and this ClickHouse can beat it: aiokafka, msgspec, one Arrow insert a batch
into a plain MergeTree table, then a commit. Run as `python -m benchmarks.bare` with the worker's environment.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
import polars as pl
from aiokafka import AIOKafkaConsumer

from rapport.settings import from_env
from rapport.storage.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rapport.settings import KafkaSettings
    from rapport.storage.client import Store

TABLE: Final = "bench_bare"
CREATE_TABLE: Final = f"""
CREATE TABLE {TABLE}
(
    tenant_id LowCardinality(String),
    customer_id String,
    outcome LowCardinality(String),
    idempotency_key String,
    offer_id String,
    creative_id String,
    channel_id String,
    occurred_at String,
    conversion_value Float64
)
ENGINE = MergeTree ORDER BY (tenant_id, customer_id)
"""
CONSUMING: Final = "partitions assigned"
BATCH_EVENTS: Final = 50_000
BATCH_SECONDS: Final = 0.1


class RawEvent(msgspec.Struct, rename="camel", gc=False):
    """The fields that become columns."""

    tenant_id: str
    customer_id: str
    outcome: str
    idempotency_key: str
    offer_id: str
    creative_id: str
    channel_id: str
    timestamp: str
    conversion_value: float = 0.0


_decode_one = msgspec.json.Decoder(RawEvent).decode
_decode_many = msgspec.json.Decoder(list[RawEvent]).decode


def decode(values: Iterable[bytes]) -> list[RawEvent]:
    """Decode messages that hold an object or an array each."""
    events: list[RawEvent] = []
    for value in values:
        if value[:1] == b"[":
            events += _decode_many(value)
        else:
            events.append(_decode_one(value))
    return events


def build_frame(events: Sequence[RawEvent]) -> pl.DataFrame:
    """Build a frame of events."""
    names = [field for field in RawEvent.__struct_fields__ if field != "timestamp"]
    columns: dict[str, list[Any]] = {name: [getattr(event, name) for event in events] for name in names}
    return pl.DataFrame({**columns, "occurred_at": [event.timestamp for event in events]})


async def run(kafka: KafkaSettings, store: Store) -> None:
    """Consume until killed."""
    consumer = AIOKafkaConsumer(
        kafka.topic,
        bootstrap_servers=kafka.bootstrap,
        group_id=kafka.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        session_timeout_ms=int(kafka.session_timeout_s * 1000),
        rebalance_timeout_ms=int(kafka.rebalance_timeout_s * 1000),
    )
    async with consumer:
        while not consumer.assignment():  # noqa: ASYNC110 - aiokafka has no event for it
            await asyncio.sleep(0.005)
        print(CONSUMING, flush=True)
        while True:
            values = await _collect(consumer)
            if values:
                await asyncio.to_thread(_write, store, values)
                await consumer.commit()


async def _collect(consumer: AIOKafkaConsumer) -> list[bytes]:
    values: list[bytes] = []
    events = 0
    deadline = time.monotonic() + BATCH_SECONDS
    while events < BATCH_EVENTS and (wait := deadline - time.monotonic()) > 0:
        fetched = await consumer.getmany(timeout_ms=max(int(wait * 1000), 1), max_records=BATCH_EVENTS)
        for records in fetched.values():
            values += [record.value for record in records if record.value]
            events += sum(record.value.count(b'"idempotencyKey"') for record in records if record.value)
    return values


def _write(store: Store, values: list[bytes]) -> None:
    store.insert(TABLE, build_frame(decode(values)))


def main() -> None:
    """Run with the settings of the environment."""
    settings = from_env(os.environ)
    store = connect(settings.clickhouse)
    asyncio.run(run(settings.kafka, store))


if __name__ == "__main__":
    main()

"""The peer: the same job the way Faust's user guide teaches it. Run as `python -m benchmarks.textbook`.

One agent, event by event; a windowed table of counts for the day, the week and the month, a plain one for all time,
kept in memory with a changelog topic each; rows to ClickHouse in batches of 1,000 or a second.

It is fast enough for many, and not exact. The agent acknowledges an event when it takes the next, before its rows are
in ClickHouse: a crash loses up to a second of them. Events that were counted but not yet committed are counted again
after a restart, on top of the restored changelog. A repeated event counts twice. The windows are fixed lengths of the
broker's time from 1970 on: weeks begin on Thursday, a month is 30 days, no time zones. A start reads the changelogs
back, and memory grows with the customers.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import faust
import polars as pl
from aiokafka.admin import NewTopic

from benchmarks.peers import ALLTIME, CONSUMING, ROWS_PER_EVENT, WINDOWS
from rapport.kafka.clients import make_admin_client
from rapport.settings import from_env
from rapport.storage.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterable

    from faust.types import StreamT, TopicT

    from rapport.settings import KafkaSettings
    from rapport.storage.client import Store

TABLE: Final = "bench_textbook"
SINK_EVENTS: Final = 1_000
SINK_SECONDS: Final = 1.0


class Interaction(faust.Record, serializer="json"):
    """The fields of an event that the agent reads."""

    tenantId: str  # noqa: N815 - the contract's names
    customerId: str  # noqa: N815
    outcome: str
    offerId: str  # noqa: N815
    creativeId: str  # noqa: N815
    channelId: str  # noqa: N815
    timestamp: str

    @property
    def key(self) -> str:
        """Key of the counts."""
        subject = (self.tenantId, self.customerId, self.offerId, self.creativeId, self.channelId, self.outcome)
        return ":".join(subject)


class Sink:
    """Buffer of rows for ClickHouse."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows: list[tuple[Any, ...]] = []
        self._written_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether the buffer is full or old enough to be written."""
        is_old = time.monotonic() - self._written_at >= SINK_SECONDS
        return len(self._rows) >= SINK_EVENTS * ROWS_PER_EVENT or (is_old and bool(self._rows))

    def add(self, period_type: str, event: Interaction, contacts: int) -> None:
        """Add a row."""
        ids = (event.tenantId, event.customerId, event.offerId, event.creativeId, event.channelId)
        self._rows.append((period_type, *ids, event.outcome, contacts, event.timestamp))

    async def write(self) -> None:
        """Insert the buffered rows."""
        rows, self._rows, self._written_at = self._rows, [], time.monotonic()
        columns = ("period_type", "tenant_id", "customer_id", "offer_id", "creative_id", "channel_id", "outcome")
        schema = [*columns, "contacts", "occurred_at"]
        frame = pl.DataFrame(rows, schema=schema, orient="row", schema_overrides={"contacts": pl.UInt64})
        await asyncio.to_thread(self._store.insert, TABLE, frame)


async def create_changelogs(kafka: KafkaSettings) -> None:
    """Create the tables' topics before the app starts.

    Faust would do so itself, while it joins; on Apache Kafka its assignor may then still see a topic without
    partitions, and gives up for good.
    """
    admin = make_admin_client(kafka)
    await admin.start()
    try:
        names = [f"{kafka.group_id}-{table}-changelog" for table in (*WINDOWS, ALLTIME)]
        compact = {"cleanup.policy": "compact"}
        await admin.create_topics(
            [NewTopic(name, kafka.partitions, kafka.replication_factor, topic_configs=compact) for name in names]
        )
    finally:
        await admin.close()


def create_app(kafka: KafkaSettings, store: Store) -> faust.App:
    """Build the application."""
    app = faust.App(
        kafka.group_id,
        broker=f"kafka://{kafka.bootstrap}",
        broker_session_timeout=kafka.session_timeout_s,
        broker_heartbeat_interval=kafka.session_timeout_s / 4,
        broker_rebalance_timeout=kafka.rebalance_timeout_s,
        consumer_auto_offset_reset="earliest",
        topic_partitions=kafka.partitions,
        topic_replication_factor=kafka.replication_factor,
        store="memory://",
        datadir=Path(tempfile.gettempdir()) / f"rapport-{kafka.group_id}",
        web_enabled=False,
        autodiscover=False,
    )
    _declare_agent(app, app.topic(kafka.topic, value_serializer="json", key_serializer="raw"), Sink(store))
    return app


def _declare_agent(app: faust.App, source: TopicT, sink: Sink) -> None:
    tables = {name: app.Table(name, default=int).tumbling(size, expires=size * 2) for name, size in WINDOWS.items()}
    alltime = app.Table(ALLTIME, default=int)

    @app.agent(source)
    async def count_interactions(stream: StreamT[Any]) -> None:
        has_begun = False
        async for value in stream:
            if not has_begun:
                has_begun = True
                print(CONSUMING, flush=True)
            for event in _list_interactions(value):
                key = event.key
                for name, table in tables.items():
                    table[key] += 1
                    sink.add(name, event, table[key].current())
                alltime[key] += 1
                sink.add(ALLTIME, event, alltime[key])
                if sink.is_due:
                    await sink.write()

    @app.timer(SINK_SECONDS)  # type: ignore[untyped-decorator]
    async def write_the_rest() -> None:
        if sink.is_due:
            await sink.write()


def _list_interactions(value: dict[str, Any] | list[dict[str, Any]]) -> Iterable[Interaction]:
    for fields in value if isinstance(value, list) else (value,):
        yield Interaction.from_data(fields)


def main() -> None:
    """Run with the settings of the environment."""
    settings = from_env(os.environ)
    asyncio.run(create_changelogs(settings.kafka))
    app = create_app(settings.kafka, connect(settings.clickhouse))
    faust.Worker(app, loglevel="error", redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()

"""The other peer: the same job as the documentation of Quix Streams teaches it. Run as `python -m benchmarks.quix`.

Events are grouped by what is counted, which goes through a topic of its own; three tumbling windows count the day, the
week and the month, a stateful function counts all time, all in RocksDB with a changelog topic each; sinks write rows
to ClickHouse with each checkpoint, every second.

It counts at least once: what was counted but not committed is counted again after a crash, and rows are written again.
A repeated event counts twice. The windows are fixed lengths of the broker's time from 1970 on, without time zones.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from benchmarks.peers import ALLTIME, CONSUMING, WINDOWS
from rapport.settings import from_env
from rapport.storage.client import connect

if TYPE_CHECKING:
    from quixstreams import State

    from rapport.settings import ClickHouseSettings, KafkaSettings
    from rapport.storage.client import Store

TABLE: Final = "bench_quix"
CHECKPOINT_SECONDS: Final = 1.0
SUBJECT: Final = ("tenantId", "customerId", "offerId", "creativeId", "channelId", "outcome")
COLUMNS: Final = ("tenant_id", "customer_id", "offer_id", "creative_id", "channel_id", "outcome")


class CountSink(BatchingSink):
    """Writes the counts of one period.

    Args:
        period_type: Kind of the period.
        store: The database.
    """

    def __init__(self, period_type: str, store: Store) -> None:
        super().__init__()
        self._period_type = period_type
        self._store = store

    def write(self, batch: SinkBatch) -> None:
        """Insert the counts of a checkpoint and partition."""
        rows = [(self._period_type, *_as_text(item.key).split(":"), item.value["value"]) for item in batch]
        schema = ["period_type", *COLUMNS, "contacts"]
        frame = pl.DataFrame(rows, schema=schema, orient="row", schema_overrides={"contacts": pl.UInt64})
        self._store.insert(TABLE, frame)


def create_app(kafka: KafkaSettings, clickhouse: ClickHouseSettings) -> Application:
    """Build the application."""
    app = Application(
        broker_address=kafka.bootstrap,
        consumer_group=kafka.group_id,
        auto_offset_reset="earliest",
        commit_interval=CHECKPOINT_SECONDS,
        state_dir=Path(tempfile.gettempdir()) / f"rapport-{kafka.group_id}",
        loglevel="ERROR",
    )
    begin = _announce_first_message()
    events = app.dataframe(app.topic(kafka.topic, value_deserializer="json", key_deserializer="bytes"))
    each = events.apply(begin).apply(lambda value: value if isinstance(value, list) else [value], expand=True)
    grouped = each.group_by(_name_subject, name="subject")
    for period_type, length in WINDOWS.items():
        counts = grouped.tumbling_window(length, name=period_type).count().current()
        counts.sink(CountSink(period_type, connect(clickhouse)))
    grouped.apply(_count_all, stateful=True).sink(CountSink(ALLTIME, connect(clickhouse)))
    return app


def _announce_first_message() -> Any:  # noqa: ANN401 - a function as the library calls it
    has_begun = False

    def begin(value: Any) -> Any:  # noqa: ANN401 - a message
        nonlocal has_begun
        if not has_begun:
            has_begun = True
            print(CONSUMING, flush=True)
        return value

    return begin


def _name_subject(event: dict[str, Any]) -> str:
    return ":".join(event[name] for name in SUBJECT)


def _count_all(_event: dict[str, Any], state: State) -> dict[str, int]:
    counted = state.get("contacts", 0) + 1
    state.set("contacts", counted)
    return {"value": counted}


def _as_text(key: bytes | str) -> str:
    return key if isinstance(key, str) else key.decode()


def main() -> None:
    """Run with the settings of the environment."""
    settings = from_env(os.environ)
    create_app(settings.kafka, settings.clickhouse).run()


if __name__ == "__main__":
    main()

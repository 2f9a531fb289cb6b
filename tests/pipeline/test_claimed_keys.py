"""The law of claimed keys, with several workers on the real engine: no key that others have claimed is passed over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline import claimed_keys
from pipeline.claimed_keys import ClaimedKeys
from rapport.domain.blocks import begin_blocks
from rapport.metrics import StreamMetrics
from rapport.settings import WorkerSettings
from rapport.storage.stream import Progress, read_claims, write_claims, write_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rapport.storage.client import Store

SOURCES = ("cluster/interactions/0", "cluster/interactions/1", "cluster/interactions/2")
TABLES = ("event_claims", "recent_claims", "stream_progress")
EMPTY = pl.DataFrame(schema={"source": pl.String, "offset": pl.UInt64, "key_hash": pl.UInt64})


def spread(number: int) -> int:
    """Spread small numbers over all hashes."""
    return number * 0x9E37_79B9_7F4A_7C15 % 2**64


def make_events(source: str, keys: Sequence[int], first_offset: int = 0) -> pl.DataFrame:
    """Make events with these keys, one per message. Keys are hashes: the filter expects them to be spread evenly."""
    offsets = range(first_offset, first_offset + len(keys))
    return pl.DataFrame({"source": source, "offset": offsets, "key_hash": keys}, schema=EMPTY.schema).with_columns(
        tenant_id=pl.lit("acme"),
        customer_id=pl.lit("ann"),
        item=pl.lit(0, pl.UInt32),
        payload_hash=pl.lit(1, pl.UInt64),
        received_at_ms=pl.lit(1_773_585_000_000, pl.Int64),
    )


def record(store: Store, source: str, next_offset: int) -> None:
    """Record the progress of a source."""
    progress = Progress(
        source=source,
        cluster_id="cluster",
        topic="interactions",
        partition=0,
        position=begin_blocks(next_offset),
        last_occurred_at_ms=0,
        last_received_at_ms=0,
        batch_messages=1,
        batch_events=1,
        worker="host:1",
    )
    write_progress(store, [progress])


def clear(store: Store) -> None:
    for table in TABLES:
        store.client.command(f"TRUNCATE TABLE {table}")


@dataclass
class Worker:
    """A worker, as far as it claims keys."""

    store: Store
    memory_mb: int = 256
    metrics: StreamMetrics = field(default_factory=StreamMetrics)
    keys: ClaimedKeys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = ClaimedKeys(WorkerSettings(claim_memory_mb=self.memory_mb), self.store, self.metrics)

    def claim(self, events: pl.DataFrame) -> pl.DataFrame:
        self.keys.load()
        write_claims(self.store, events)
        return self.keys.select_doubtful(events)


def find_claimed(events: pl.DataFrame, claims: pl.DataFrame) -> set[int]:
    """Return the keys of events that others have claimed, as the exact query of claims defines them."""
    first_offset = events["offset"].min()
    own = claims.filter(pl.col("offset") >= first_offset).join(events, on=["source", "key_hash"], how="semi")
    others = claims.join(own, on=["source", "offset"], how="anti")
    return set(events["key_hash"]) & set(others["key_hash"])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["claim", "claim", "record", "repeat", "restart"]),
        st.integers(0, 2),
        st.integers(0, 2),
        st.lists(st.integers(1, 12).map(spread), min_size=1, max_size=3),
    ),
    min_size=4,
    max_size=20,
)


@given(steps=STEPS)
@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_no_key_that_others_have_claimed_is_passed_over(
    store: Store, steps: list[tuple[str, int, int, list[int]]]
) -> None:
    clear(store)
    workers = [Worker(store) for _ in SOURCES]
    logs: dict[str, list[int]] = {source: [] for source in SOURCES}
    claims = EMPTY
    for kind, number, place, keys in steps:
        source, log = SOURCES[place], logs[SOURCES[place]]
        if kind == "restart":
            workers[number] = Worker(store)
        elif kind == "record":
            record(store, source, len(log))
        else:
            first = len(log) if kind == "claim" else max(0, len(log) - len(keys))
            if kind == "claim":
                log += keys
            events = make_events(source, log[first:], first)
            if not events.is_empty():
                claims = pl.concat([claims, events.select(EMPTY.columns)]).unique()
                doubtful = workers[number].claim(events)
                assert find_claimed(events, claims) <= set(doubtful["key_hash"])


def test_hardly_any_new_key_is_doubtful(store: Store):
    worker = Worker(store)
    worker.claim(make_events(SOURCES[0], [*map(spread, range(10_000))]))
    doubtful = worker.claim(make_events(SOURCES[0], [*map(spread, range(20_000, 25_000)), spread(7)], 10_000))
    assert spread(7) in doubtful["key_hash"]
    assert doubtful.height < 100
    assert worker.metrics.doubtful_keys._value.get() == doubtful.height


def test_a_worker_that_has_not_read_for_long_reads_all_claims_again(store: Store, monkeypatch: pytest.MonkeyPatch):
    idle = Worker(store)
    idle.claim(make_events(SOURCES[0], [1]))
    Worker(store).claim(make_events(SOURCES[1], [2, 3]))
    store.client.command("TRUNCATE TABLE recent_claims")
    monkeypatch.setattr(claimed_keys, "LOAD_AGAIN_MS", 0)
    assert set(idle.claim(make_events(SOURCES[0], [3], 1))["key_hash"]) == {3}


def test_a_worker_behind_the_progress_reads_all_claims_again(store: Store):
    behind = Worker(store)
    record(store, SOURCES[0], 9)
    behind.claim(make_events(SOURCES[0], [1]))
    Worker(store).claim(make_events(SOURCES[0], [2], 3))
    assert set(behind.claim(make_events(SOURCES[0], [2], 1))["key_hash"]) == {2}


def test_an_error_of_the_database_loses_no_claim(store: Store, monkeypatch: pytest.MonkeyPatch):
    worker, other = Worker(store), Worker(store)
    worker.claim(make_events(SOURCES[0], [1]))
    other.claim(make_events(SOURCES[1], [2]))
    record(store, SOURCES[1], 1)

    def fail(*_: object) -> pl.DataFrame:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(claimed_keys, "read_recent_claims", fail)
        with pytest.raises(ConnectionError):
            worker.claim(make_events(SOURCES[0], [3], 1))
    assert set(worker.claim(make_events(SOURCES[0], [2], 1))["key_hash"]) == {2}


@pytest.mark.parametrize("is_large_before", [False, True])
def test_with_too_many_keys_all_are_doubtful(store: Store, *, is_large_before: bool):
    worker = Worker(store, memory_mb=0 if is_large_before else 2)
    worker.claim(make_events(SOURCES[0], [1]))
    if not is_large_before:
        assert worker.metrics.claim_filter_bytes._value.get() == 2_000_000
        worker.claim(make_events(SOURCES[0], [*map(spread, range(1_100_000))], 1))
    fresh = make_events(SOURCES[0], [2**60], 2_000_000)
    assert worker.claim(fresh).height == 1
    assert worker.metrics.claim_filter_bytes._value.get() == 0


def test_claims_of_all_days_are_loaded_in_portions(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(claimed_keys, "CHUNK_KEYS", 3)
    keys = [1, 2**62, 2**63, 2**63 + 1, 2**64 - 1, 5, 6]
    for days, key in enumerate(keys):
        write_claims(store, make_events(SOURCES[0], [key], days))
        store.client.command(
            f"INSERT INTO event_claims SELECT * REPLACE (key_hash + 7 AS key_hash, stored_at - INTERVAL {days} DAY AS "
            f"stored_at) FROM event_claims WHERE key_hash = {key}"
        )
    worker = Worker(store)
    worker.claim(make_events(SOURCES[1], [77]))
    asked = [*keys, *(key + 7 for key in keys if key < 2**64 - 7)]
    assert set(worker.claim(make_events(SOURCES[1], asked, 1))["key_hash"]) == set(asked)


def test_a_key_that_only_the_filter_knows_is_new(store: Store):
    """A view may show its row before the claims themselves; and filters say yes to keys that nobody has claimed."""
    worker = Worker(store)
    worker.claim(make_events(SOURCES[0], [spread(1)]))
    theirs = f"SELECT * REPLACE ('{SOURCES[1]}' AS source) FROM recent_claims"
    store.client.command(f"INSERT INTO recent_claims {theirs}")
    doubtful = worker.claim(make_events(SOURCES[0], [spread(1)], 1))
    assert doubtful.height == 1
    store.client.command("TRUNCATE TABLE event_claims")
    assert read_claims(store, doubtful, {SOURCES[0]: 1}).is_empty()


def test_claims_whose_row_a_crash_has_cost_are_known_when_their_batch_is_claimed_again(store: Store):
    """ClickHouse writes a table and its views one after the other: a crash in between costs the view's rows."""
    worker, crashed = Worker(store), Worker(store)
    worker.claim(make_events(SOURCES[0], [spread(1)]))
    theirs = make_events(SOURCES[1], [spread(2)])
    write_claims(store, theirs)
    store.client.command(f"ALTER TABLE recent_claims DELETE WHERE source = '{SOURCES[1]}' SETTINGS mutations_sync = 1")
    assert crashed.claim(theirs).height == 1
    assert worker.claim(make_events(SOURCES[0], [spread(2)], 1)).height == 1


def test_rows_of_hours_ago_are_dropped_with_their_hour(store: Store):
    older = "SELECT * REPLACE (stored_at - INTERVAL 3 HOUR AS stored_at) FROM recent_claims"
    Worker(store).claim(make_events(SOURCES[0], [spread(1)]))
    store.client.command(f"INSERT INTO recent_claims {older}")
    store.client.command("OPTIMIZE TABLE recent_claims FINAL")
    assert store.client.query("SELECT count() FROM recent_claims").result_rows == [(1,)]

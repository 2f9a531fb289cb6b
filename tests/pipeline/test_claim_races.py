from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from pipeline.applier import Applier
from pipeline.batch import Batch, FetchedRecord, Partition
from pipeline.commit import Committer
from pipeline.faults import make_kill_hook
from pipeline.positions import Positions
from pipeline.prepare import Preparer
from pipeline.privacy import PrivacyFilter
from pipeline.tenant_cache import TenantCache
from rapport.domain.blocks import begin_blocks
from rapport.domain.periods import DAY_MS
from rapport.kafka.sources import name_source
from rapport.metrics import StreamMetrics
from rapport.settings import Settings
from rapport.storage.errors import TransientStorageError
from rapport.storage.stream import read_progress
from rapport.storage.tenants import create_tenant, load_tenants
from tests.fixtures.events import CLICK, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rapport.storage.client import Store
    from rapport.storage.stream import DeadLetter

LOWER, HIGHER = Partition("interactions", 0), Partition("interactions", 1)


class WorkerDeath(BaseException):  # no error that a message causes, but the end of the process
    """Raised where a killed process would end."""


@dataclass(frozen=True, slots=True)
class World:
    """A database, and the times at which the messages of the logs were received."""

    store: Store
    now_ms: int

    def counted(self) -> list[str]:
        """List the sources whose event is in the history."""
        return [row[0] for row in self.store.client.query("SELECT source FROM interaction_log FINAL").result_rows]

    def contacts(self) -> int:
        """Count the events in the summaries."""
        sql = "SELECT sum(positive) FROM interaction_summaries WHERE scope = 'offer' AND period_type = 'alltime'"
        return int(self.store.client.query(sql).result_rows[0][0])

    def let_time_pass(self, *, minutes: int) -> None:
        """Make the claims older."""
        older = f"SELECT * REPLACE (stored_at - INTERVAL {minutes} MINUTE AS stored_at) FROM event_claims FINAL"
        for statement in (
            f"CREATE TABLE older ENGINE = Memory AS {older}",
            "TRUNCATE TABLE event_claims",
            "INSERT INTO event_claims SELECT * FROM older",
            "DROP TABLE older",
        ):
            self.store.client.command(statement)


@pytest.fixture
def world(store: Store) -> World:
    create_tenant(store, "acme")
    return World(store, time.time_ns() // 1_000_000)


class Worker:
    """A stream worker that applies the first message of its partition, on the real engine.

    Args:
        world: The database.
        partition: Its partition; the message is a click with the same idempotency key in each.
        at: Called once, before or after the query or insert of that name.
    """

    def __init__(
        self, world: World, partition: Partition, at: tuple[str, Callable[[], object]] = ("", lambda: None)
    ) -> None:
        self._world = world
        self._partition = partition
        self._interruptions = dict([at])
        self.source = name_source("cluster", *partition, 0)

    def apply(self, *, days_ago: int = 0) -> Mapping[Partition, int]:
        """Read and apply the message once; return the offset it rewinds to."""
        batch = Batch(generation=1)
        received_at_ms = self._world.now_ms - days_ago * DAY_MS
        batch.take({self._partition: [FetchedRecord(0, received_at_ms, None, to_json(CLICK))]})
        return asyncio.run(self._apply(batch))

    async def _apply(self, batch: Batch) -> Mapping[Partition, int]:
        store = replace(self._world.store, timer=self._interrupted)
        settings, metrics, on_step = Settings(), StreamMetrics(), make_kill_hook("")
        positions = Positions(store, settings.kafka, "cluster", metrics)
        positions.sources[self._partition] = self.source
        positions.owned[self._partition] = begin_blocks(0)
        tenant_cache = TenantCache(lambda: load_tenants(store), refresh_s=3_600)
        privacy = PrivacyFilter(lambda _since_ms: (), dict, metrics, refresh_s=3_600)
        rewound: dict[Partition, int] = {}
        errors: list[BaseException] = []

        async def rewind(starts: Mapping[Partition, int]) -> None:
            rewound.update(starts)

        async def drop(letters: Sequence[DeadLetter]) -> None:
            assert not letters

        applier = Applier(
            store,
            positions,
            metrics,
            Preparer(settings, store, positions, tenant_cache, privacy, metrics, on_step),
            Committer(settings, store, positions, privacy, metrics, on_step, drop),
            is_stale=lambda _batch: False,
            rewind=rewind,
        )
        await applier.apply(batch, errors.append)
        await applier.settle()
        await asyncio.sleep(0)  # the task's end is reported in a moment
        if errors:
            raise errors[0]
        return rewound

    @contextmanager
    def _interrupted(self, name: str) -> Iterator[None]:
        self._interruptions.pop(f"before {name}", lambda: None)()
        yield
        self._interruptions.pop(f"after {name}", lambda: None)()


def test_two_workers_one_after_the_other_count_a_key_once(world: World):
    for partition in (HIGHER, LOWER):
        Worker(world, partition).apply()
    assert (world.counted(), world.contacts()) == (["cluster/interactions/1"], 1)


@pytest.mark.parametrize(
    "days_ago",
    [
        6,
        9,
    ],
)
def test_a_log_that_is_read_late_counts_a_key_once(world: World, days_ago: int):
    for partition in (HIGHER, LOWER):
        Worker(world, partition).apply(days_ago=days_ago)
    assert len(world.counted()) == 1


def test_a_worker_that_applies_its_batch_again_changes_nothing(world: World):
    for partition in (HIGHER, LOWER, HIGHER, LOWER):
        Worker(world, partition).apply()
    assert (len(world.counted()), world.contacts()) == (1, 1)
    sources = ["cluster/interactions/0", "cluster/interactions/1"]
    assert read_progress(world.store, sources) == dict.fromkeys(sources, 1)


@pytest.mark.parametrize("step", ["stream/recent_claims", "insert/interaction_log", "insert/interaction_summary_state"])
def test_a_lower_worker_waits_while_the_higher_one_decides(world: World, step: str):
    rewound: list[Mapping[Partition, int]] = []
    lower = Worker(world, LOWER)
    Worker(world, HIGHER, at=(f"before {step}", lambda: rewound.append(lower.apply()))).apply()
    is_decided = step == "insert/interaction_summary_state"
    assert rewound == [{} if is_decided else {LOWER: 0}]
    assert lower.apply() == {}
    assert (len(world.counted()), world.contacts()) == (1, 1)


def test_a_higher_worker_loses_to_a_lower_one_in_the_middle_of_its_batch(world: World):
    higher = Worker(world, HIGHER)
    lower = Worker(world, LOWER, at=("before stream/recent_claims", higher.apply))
    assert lower.apply() == {}
    assert (world.counted(), world.contacts()) == ([lower.source.name], 1)


def test_a_higher_worker_that_loses_between_two_reads_leaves_the_key_to_the_lower(world: World):
    higher = Worker(world, HIGHER)
    lower = Worker(world, LOWER, at=("after stream/claims", higher.apply))
    with pytest.raises(WorkerDeath):
        Worker(world, HIGHER, at=("after insert/event_claims", _crash)).apply()
    if lower.apply():
        lower.apply()
    assert (world.counted(), world.contacts()) == ([lower.source.name], 1)


def test_a_slow_worker_is_waited_for(world: World):
    with pytest.raises(WorkerDeath):
        Worker(world, HIGHER, at=("after insert/event_claims", _crash)).apply()
    world.let_time_pass(minutes=10)
    lower = Worker(world, LOWER)
    Worker(world, HIGHER, at=("before insert/interaction_log", lower.apply)).apply()
    lower.apply()
    assert (len(world.counted()), world.contacts()) == (1, 1)


def test_a_worker_after_a_long_outage_reads_the_claims_again(world: World):
    def be_away() -> None:
        world.let_time_pass(minutes=10)
        Worker(world, LOWER).apply()
        raise TransientStorageError("ClickHouse was away for this worker")

    Worker(world, HIGHER, at=("before insert/interaction_log", be_away)).apply()
    assert (len(world.counted()), world.contacts()) == (1, 1)


def test_a_dead_worker_is_waited_for_until_the_claim_timeout(world: World):
    with pytest.raises(WorkerDeath):
        Worker(world, HIGHER, at=("after insert/event_claims", _crash)).apply()
    lower = Worker(world, LOWER)
    assert lower.apply() == {LOWER: 0}
    world.let_time_pass(minutes=10)
    assert lower.apply() == {}
    Worker(world, HIGHER).apply()
    assert (world.counted(), world.contacts()) == ([lower.source.name], 1)


def _crash() -> None:
    raise WorkerDeath

"""Blocks of a log under an upgrade and under compactions while workers die: no event is counted twice or not at all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rapport.storage.client import connect
from rapport.storage.compaction import compact_crowded, delete_emptied
from tests.faults.events import make_events

if TYPE_CHECKING:
    import random

    from rapport.storage.client import Store
    from tests.faults.world import World

AS_BEFORE_BLOCKS = """
INSERT INTO interaction_summary_state
(
    tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source, block, applied_offset,
    impressions, positive, negative, neutral, converts, total_value, last_contact_at, last_outcome, last_direction
)
SELECT
    tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source, 0,
    max(s.applied_offset), sum(s.impressions), sum(s.positive), sum(s.negative), sum(s.neutral), sum(s.converts),
    sum(s.total_value), max(s.last_contact_at), argMax(s.last_outcome, (s.last_contact_at, s.block)),
    argMax(s.last_direction, (s.last_contact_at, s.block))
FROM interaction_summary_state AS s FINAL
GROUP BY tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source
"""


def put_back(store: Store) -> None:
    """Make the tables as they were before there were blocks."""
    store.execute(AS_BEFORE_BLOCKS)
    store.execute("ALTER TABLE interaction_summary_state DELETE WHERE block > 0 SETTINGS mutations_sync = 2")
    store.execute("ALTER TABLE stream_progress UPDATE block = 0, block_from = 0 WHERE 1 SETTINGS mutations_sync = 2")


def test_counts_go_on_from_tables_without_blocks_that_a_crash_has_left_half_written(world: World, rng: random.Random):
    world.produce(make_events(rng, 400))
    worker = world.start_worker()
    world.wait_applied()
    assert worker.stop() == 0
    world.produce(make_events(rng, 200))
    world.start_worker(RAPPORT_WORKER_FAIL_AT="summaries").wait_dead()
    assert world.applied() != world.produced
    put_back(world.store)
    assert world.sql("SELECT max(block) FROM interaction_summary_state FINAL").item() == 0
    world.start_worker()
    world.wait_applied()
    world.verify()
    world.produce(make_events(rng, 400))
    world.wait_applied()
    world.verify()
    assert world.sql("SELECT max(block) FROM interaction_summary_state FINAL").item() > 1


def test_compactions_beside_workers_that_die_change_no_count(world: World, rng: random.Random):
    ended = threading.Event()
    compacted: list[int] = []

    def compact_all_the_time() -> None:
        store = connect(world.settings.clickhouse)
        while not ended.wait(0.2):
            compacted.append(compact_crowded(store, crowded_rows=1))
        store.close()

    threads = [threading.Thread(target=compact_all_the_time) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            world.produce(make_events(rng, 300))
            worker = world.start_worker()
            world.wait_applied()
            world.produce(make_events(rng, 60))
            worker.kill()
        world.start_worker()
        world.wait_applied()
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert sum(compacted) > 0
    world.verify()
    assert compact_crowded(world.store, crowded_rows=1) >= 0
    world.verify()
    assert delete_emptied(world.store, empty_s=-1) > 0
    world.verify()

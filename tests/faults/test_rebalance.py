"""Rebalances: partitions that move between workers, and zombie workers, change no total."""

from __future__ import annotations

import random
import signal

import pytest

from tests.faults.events import make_events
from tests.faults.world import World
from tests.fixtures.deadlines import wait_until


@pytest.mark.slow
def test_workers_joining_and_leaving_change_no_total(world: World, rng: random.Random) -> None:
    first = world.start_worker()
    world.produce(make_events(rng, 800))
    second = world.start_worker()

    def both_are_busy() -> bool:
        world.produce(make_events(rng, 60))
        return len(_busy_workers(world)) == 2

    wait_until(both_are_busy, "both workers apply batches", seconds=60)
    first.kill()
    world.produce(make_events(rng, 800))
    third = world.start_worker()
    world.produce(make_events(rng, 800))
    world.wait_applied()
    assert second.stop() == 0
    world.produce(make_events(rng, 800))
    world.wait_applied()
    assert third.exit_code is None
    third.stop()
    world.produce(make_events(rng, 7))
    fourth = world.start_worker()
    fifth = world.start_worker()  # nothing follows that would tell of a fetch lost in the rebalance
    world.wait_applied()
    world.verify()
    assert (fourth.exit_code, fifth.exit_code) == (None, None)


@pytest.mark.slow
def test_a_zombie_worker_without_its_partitions_changes_no_total(world: World, rng: random.Random) -> None:
    zombie = world.start_worker()
    world.produce(make_events(rng, 2_000))
    wait_until(lambda: sum(world.applied().values()) > 0, "the first worker applies", seconds=60)
    zombie.send(signal.SIGSTOP)
    world.start_worker()
    world.produce(make_events(rng, 600))
    world.wait_applied()
    zombie.send(signal.SIGCONT)
    world.produce(make_events(rng, 600))
    world.wait_applied()
    world.verify()


def _busy_workers(world: World) -> set[str]:
    return {row["worker"] for row in world.store.rows("status/sources")}

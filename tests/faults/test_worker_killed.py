"""Killed workers: at any point, the next worker makes the totals exact."""

from __future__ import annotations

import random
import signal

import pytest

from pipeline.faults import Step
from tests.faults.events import make_events
from tests.faults.world import World
from tests.fixtures.deadlines import wait_until


def test_a_crash_between_history_and_summaries_changes_no_total(world: World, rng: random.Random) -> None:
    world.produce(make_events(rng, 900))
    assert world.start_worker(RAPPORT_WORKER_FAIL_AT=f"{Step.INTERACTIONS}:3").wait_dead() == -signal.SIGKILL
    assert world.start_worker(RAPPORT_WORKER_FAIL_AT=f"{Step.SUMMARIES}:2").wait_dead() == -signal.SIGKILL
    world.start_worker()
    world.wait_applied()
    world.verify()


@pytest.mark.slow
@pytest.mark.parametrize("step", [step for step in Step if step is not Step.SET_ASIDE])  # no message causes an error
def test_a_crash_after_a_step_changes_no_total(world: World, rng: random.Random, step: Step) -> None:
    world.produce_raw([(b"poison", b"not json", 0)])
    world.produce(make_events(rng, 400))
    world.produce_raw([(b"poison", b"not json", 1)])
    assert world.start_worker(RAPPORT_WORKER_FAIL_AT=f"{step}:{rng.randrange(1, 3)}").wait_dead() == -signal.SIGKILL
    world.start_worker()
    world.wait_applied()
    world.verify()
    assert list(world.dead_letters().values()) == ["bad_json", "bad_json"]


@pytest.mark.slow
def test_crashes_at_random_moments_change_no_total(world: World, rng: random.Random) -> None:
    for _ in range(6):
        world.produce(make_events(rng, 1_200))
        before = sum(world.applied().values())
        worker = world.start_worker()
        enough = rng.randrange(1, 1_000)
        wait_until(lambda: sum(world.applied().values()) >= before + enough, world.tails(), seconds=60)  # noqa: B023
        worker.kill()
    world.start_worker()
    world.wait_applied()
    world.verify()


def test_a_graceful_stop_loses_nothing(world: World, rng: random.Random) -> None:
    world.produce(make_events(rng, 1_500))
    worker = world.start_worker()
    wait_until(lambda: sum(world.applied().values()) > 0, "something is applied", seconds=60)
    assert worker.stop() == 0
    world.start_worker()
    world.wait_applied()
    world.verify()

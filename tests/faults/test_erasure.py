"""Erasures under faults: workers and replays of the log bring no erased event back."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING

import pytest

from pipeline.faults import Step
from rapport.domain.privacy import hash_customer
from rapport.storage.erasure import WORKERS_KNOW_AFTER_S, Erasure, begin_erasure, count_remains, finish_erasure, sweep
from rapport.storage.personal_data import ErasureScope
from rapport.storage.tombstones import write_tombstones
from tests.faults.events import encode, make_events
from tests.faults.oracle import Oracle
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.faults.world import World

GONE = "customer-7"


def start_erasure(world: World) -> Erasure:
    """Write the tombstone; everything produced so far lies before it."""
    erasing = Erasure(ErasureScope("acme", (GONE,), time.time_ns() // 1_000_000), "receipt", "tests")
    begin_erasure(world.store, erasing)
    return erasing


def complete_erasure(world: World, erasing: Erasure) -> None:
    """Complete the erasure, and remove the customer from the oracle."""
    known_at = time.monotonic() + WORKERS_KNOW_AFTER_S
    wait_until(lambda: time.monotonic() > known_at, "every worker knows")
    assert finish_erasure(world.store, erasing).is_verified
    remove_from_oracle(world.oracle)


def remove_from_oracle(oracle: Oracle) -> None:
    oracle.history = {identity for identity in oracle.history if identity[1] != GONE}
    for key in [key for key in oracle.rows if key[1] == GONE]:
        del oracle.rows[key]


def produce_poison(world: World) -> None:
    """Produce dead letters that name the customer, one of them not in JSON."""
    broken = {"tenantId": "acme", "customerId": GONE, "outcome": "no such outcome", "idempotencyKey": "k"}
    world.produce_raw([(GONE.encode(), encode(broken), 0), (f"acme:{GONE}".encode(), b"\xff", 1)])


def traces(world: World) -> dict[str, int]:
    return count_remains(world.store, ErasureScope("acme", (GONE,), 4_102_444_800_000))


def test_a_full_replay_after_an_erasure_leaves_nothing_and_changes_no_other_total(
    world: World, rng: random.Random
) -> None:
    world.produce(make_events(rng, 600))
    produce_poison(world)
    worker = world.start_worker()
    world.wait_applied()
    assert traces(world).keys() >= {"interactions", "event_claims", "dead_letters"}
    complete_erasure(world, start_erasure(world))
    assert traces(world) == {}
    world.verify()
    worker.stop()
    (row,) = world.store.rows("privacy/erasures", {"since_ms": 0})
    world.store.execute(f"DROP DATABASE {world.name} SYNC")
    world.store.close()
    world.open()
    erased = {"erased_at_ms": row["erased_at_ms"], "receipt_id": "receipt"}
    write_tombstones(world.store, "acme", [hash_customer("acme", GONE)], **erased)
    world.start_worker()
    world.wait_applied()
    assert traces(world) == {}
    world.verify()


@pytest.mark.parametrize(
    "step",
    [
        Step.INTERACTIONS,
        pytest.param(Step.CLAIMED, marks=pytest.mark.slow),
        pytest.param(Step.SUMMARIES, marks=pytest.mark.slow),
    ],
)
def test_a_worker_killed_in_the_middle_of_an_erasure_leaves_nothing(
    world: World, rng: random.Random, step: Step
) -> None:
    world.produce(make_events(rng, 600))
    dead = world.start_worker(RAPPORT_WORKER_FAIL_AT=f"{step}:2")
    dead.wait_dead()
    erasing = start_erasure(world)
    world.produce(after := make_events(rng, 200))
    world.start_worker()
    complete_erasure(world, erasing)
    for event in after:
        if event["customerId"] == GONE:
            world.oracle.add(event)
    world.wait_applied()
    world.verify()
    assert count_remains(world.store, erasing.erased) == {}


@pytest.mark.slow
def test_a_worker_suspended_during_an_erasure_writes_nothing_erased(world: World, rng: random.Random) -> None:
    worker = world.start_worker()
    for _ in range(3):
        world.produce(make_events(rng, 900))
        enough = sum(world.applied().values()) + rng.randrange(1, 600)
        wait_until(lambda: sum(world.applied().values()) >= enough, world.tails(), seconds=60)  # noqa: B023
        worker.send(signal.SIGSTOP)
        erasing = start_erasure(world)
        complete_erasure(world, erasing)
        worker.send(signal.SIGCONT)
        world.wait_applied()
        sweep(world.store)
        assert count_remains(world.store, erasing.erased) == {}
        world.verify()


def test_events_received_after_the_erasure_count(world: World, rng: random.Random) -> None:
    world.produce(make_events(rng, 400, customers=8))
    world.start_worker()
    world.wait_applied()
    erasing = start_erasure(world)
    later = [make_events(rng, 60, customers=8) for _ in range(5)]
    for events in later:
        world.produce(events)
    complete_erasure(world, erasing)
    for events in [*later, again := make_events(rng, 100, customers=8)]:
        if events is again:
            world.produce(events)
        for event in events:
            if event["customerId"] == GONE:
                world.oracle.add(event)
    world.wait_applied()
    world.verify()
    assert count_remains(world.store, erasing.erased) == {}

"""Customer states under faults: `rapport state verify` finds no drift, and decisions never use what is out of date."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis

from pipeline.faults import Step
from rapport.application.decisions.maintain_states import read_stream_coverage
from rapport.embedded.supervisor.ports import find_free_port
from rapport.state.customer_states import CustomerStates, StreamCoverage
from rapport.state.shared_state import connect_shared_state
from tests.faults.events import START_MS, make_events
from tests.faults.world import ROOT, World
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fixtures.kafka import BrokerServer
    from tests.fixtures.redis_server import RedisServer

DAYS = str(int((time.time() * 1000 - START_MS) / 86_400_000) + 10)


@pytest.fixture
def world(broker: BrokerServer, clickhouse_url: str, tmp_path: Path, redis_server: RedisServer) -> Iterator[World]:
    """A stream with customer states."""
    made = World(broker.bootstrap, clickhouse_url, f"states{uuid.uuid4().hex[:8]}", tmp_path)
    made.env |= {"RAPPORT_STATE_URL": redis_server.url}
    made.open()
    try:
        yield made
    finally:
        made.close()


def rapport(world: World, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the world."""
    argv = [sys.executable, "-m", "rapport", *arguments]
    return subprocess.run(argv, env=world.env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


def read_coverage(world: World) -> StreamCoverage:
    """Read how far the states are covered, next to the progress."""

    async def read() -> StreamCoverage:
        shared = connect_shared_state(world.settings.state_url)
        assert shared is not None
        try:
            return await read_stream_coverage(world.store, CustomerStates(shared), world.settings.kafka)
        finally:
            await shared.close()

    return asyncio.run(read())


def is_usable(world: World) -> bool:
    """Whether decisions use states."""
    return read_coverage(world).is_usable


def warm(world: World) -> int:
    """Load all states, once they may be used; return how many."""
    wait_until(lambda: is_usable(world), "the states are covered", seconds=30)
    done = rapport(world, "state", "warm", "--days", DAYS)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[0].replace(",", ""))


def verify(world: World) -> int:
    """Check that there is no drift; return how many states were compared."""
    wait_until(lambda: is_usable(world), "the states are covered", seconds=30)
    done = rapport(world, "state", "verify")
    assert "drift 0" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    return int(done.stdout.split()[0].replace(",", ""))


def test_states_follow_the_stream_through_a_crash_after_each_step(world: World, rng: random.Random):
    world.produce(make_events(rng, 300))
    world.start_worker()
    world.wait_applied()
    assert warm(world) > 0
    for step in (Step.INTERACTIONS, Step.SUMMARIES, Step.STATES, Step.PROGRESS):
        world.workers[-1].kill()
        world.produce(make_events(rng, 200))
        assert world.start_worker(RAPPORT_WORKER_FAIL_AT=f"{step}:1").wait_dead() == -signal.SIGKILL
        world.start_worker()
        world.wait_applied()
        assert verify(world) > 0
    world.verify()


def test_a_worker_without_the_states_ends_what_was_known(world: World, rng: random.Random):
    world.produce(make_events(rng, 200))
    world.start_worker()
    world.wait_applied()
    assert warm(world) > 0
    before = read_coverage(world).name_namespace("acme")
    world.workers[-1].kill()
    world.start_worker(RAPPORT_STATE_URL="")
    world.produce(make_events(rng, 200))
    world.wait_applied()
    assert not is_usable(world)
    done = rapport(world, "state", "warm")
    assert done.returncode == 1
    assert "is a worker running, with the same Valkey?" in done.stderr
    world.workers[-1].kill()
    world.start_worker()
    wait_until(lambda: is_usable(world), "the states are covered again", seconds=60)
    assert read_coverage(world).name_namespace("acme") != before
    assert verify(world) == 0
    assert warm(world) > 0
    assert verify(world) > 0


def test_a_worker_that_cannot_reach_them_goes_on_and_says_so(world: World, rng: random.Random):
    worker = world.start_worker(RAPPORT_STATE_URL=f"redis://127.0.0.1:{find_free_port()}")
    world.produce(make_events(rng, 200))
    world.wait_applied()
    assert "could not be offered to the customer states" in worker.output
    assert not is_usable(world)
    world.verify()


@pytest.mark.parametrize("way", ["kill", "flush", "hang"])
def test_states_that_are_lost_cost_loads_and_nothing_else(
    world: World, redis_server: RedisServer, rng: random.Random, way: str
):
    world.produce(make_events(rng, 200))
    world.start_worker()
    world.wait_applied()
    assert warm(world) > 0
    if way == "kill":
        redis_server.kill()
    elif way == "hang":
        redis_server.hang()
    else:
        redis_server.flush()
    world.produce(make_events(rng, 200))
    world.wait_applied()
    if way == "kill":
        redis_server.start()
    elif way == "hang":
        redis_server.go_on()
    verify(world)
    assert warm(world) > 0
    assert verify(world) > 0
    world.verify()


def test_a_suspended_worker_offers_nothing_that_is_out_of_date(world: World, rng: random.Random):
    world.produce(make_events(rng, 300))
    worker = world.start_worker()
    world.wait_applied()
    assert warm(world) > 0
    for _ in range(3):
        worker.send(signal.SIGSTOP)
        world.produce(make_events(rng, 200))
        time.sleep(1.5)
        other = world.start_worker()
        wait_until(lambda: sum(world.applied().values()) > 0, "it is applied", seconds=60)
        worker.send(signal.SIGCONT)
        world.wait_applied()
        verify(world)
        other.kill()
    world.wait_applied()
    assert verify(world) > 0


def test_a_repair_is_in_the_states(world: World, rng: random.Random):
    world.produce(make_events(rng, 200))
    world.start_worker(RAPPORT_WORKER_REFRESH_S="0.3")
    world.wait_applied()
    assert warm(world) > 0
    world.store.execute(
        "INSERT INTO interaction_summary_state (tenant_id, customer_id, period_type, period_key, offer_id, creative_id,"
        " channel_id, source, block, applied_offset, impressions, positive, negative, neutral, converts, total_value,"
        " last_contact_at, last_outcome, last_direction)"
        " SELECT tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id, source,"
        " block, applied_offset, impressions + 1, positive, negative, neutral, converts, total_value, last_contact_at,"
        " last_outcome, last_direction FROM interaction_summary_state FINAL"
    )
    assert rapport(world, "state", "verify").returncode == 1  # the rows were changed behind our back
    assert rapport(world, "reconcile", "--repair").returncode == 0
    verify(world)
    assert warm(world) > 0
    assert verify(world) > 0


@pytest.mark.slow
def test_a_customer_with_300_000_events_has_a_small_state_that_is_exact(world: World, rng: random.Random):
    world.env["RAPPORT_WORKER_BATCH_MAX_EVENTS"] = "20000"
    world.produce_arrays(make_hot_events(rng, 300_000), 2_000)
    world.start_worker()
    world.wait_applied(seconds=300)
    assert warm(world) == 1
    assert verify(world) == 1
    for _ in range(4):  # in portions: a state that a batch has too much for is forgotten
        world.produce_arrays(make_hot_events(rng, 250), 125)
        world.wait_applied()
    assert verify(world) == 1
    with redis.Redis.from_url(world.settings.state_url.reveal()) as client:
        (name,) = client.keys(f"*{HOT}*")
        assert client.memory_usage(name) < 300_000
    world.verify()


HOT = "customer-hot"


def make_hot_events(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Make events of one customer at times that may repeat."""
    return [
        {
            "tenantId": "acme",
            "customerId": HOT,
            "outcome": rng.choice(("impression", "click", "convert")),
            "idempotencyKey": f"{rng.getrandbits(64):016x}",
            "timestamp": START_MS + rng.randrange(90 * 86_400_000),
            "offerId": rng.choice(("offer-a", "offer-b")),
            "channelId": "web",
            "conversionValue": rng.randrange(1, 1_000) / 100,
        }
        for _ in range(count)
    ]

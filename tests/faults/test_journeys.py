"""Journeys under faults: a worker killed at any point loses no customer and repeats no step."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from rapport.domain.catalogue.inventory import Category, Channel, Creative, Offer
from rapport.domain.journeys.definition import Journey
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue
from rapport.storage.customers import find_customer
from tests.faults.events import make_events
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from rapport.domain.catalogue.values import Entity
    from tests.faults.world import World

CUSTOMERS: Final = [f"traveller-{number}" for number in range(12)]
PAUSE: Final = {"duration": 1 / 60, "unit": "minutes"}
STEPS: Final[list[dict[str, Any]]] = [
    {"id": "hello", "type": "send", "config": {"creativeId": "cr_hello"}},
    {"id": "pause", "type": "wait", "config": PAUSE},
    {"id": "choose", "type": "decide", "config": {"storeResultAs": "picked"}},
    {"id": "count", "type": "update", "config": {"expressions": {"n": "coalesce(customer.n, 0) + 1"}}},
    {"id": "rest", "type": "wait", "config": PAUSE},
    {"id": "offer", "type": "send", "config": {"fromResult": "picked"}},
]


def configure(world: World) -> None:
    entities: list[tuple[str, Entity]] = [
        ("category", Category(id="cards", name="Cards")),
        ("channel", Channel(id="web", name="Web", channel_type="web")),
        ("offer", Offer(id="card", name="Card", category_id="cards")),
        ("creative", Creative(id="cr_hello", name="Hello", offer_id="card", channel_id="web")),
    ]
    journey = {
        "id": "jrn",
        "name": "Welcome",
        "definition": {"steps": STEPS},
        "entryCondition": {"outcomes": ["convert"], "expression": 'entry.offerId == "welcome"'},
    }
    entities.append(("journey", msgspec.convert(journey, Journey)))
    changes = [EntityChange(kind, entity) for kind, entity in entities]
    change_catalogue(world.store, "acme", Author("tests"), lambda _before: changes)


def entries() -> list[dict[str, Any]]:
    now_ms = time.time_ns() // 1_000_000
    same = {"tenantId": "acme", "outcome": "convert", "offerId": "welcome", "timestamp": now_ms}
    return [{**same, "customerId": name, "idempotencyKey": f"entry-of-{name}"} for name in CUSTOMERS]


def steps_done(world: World) -> int:
    return int(world.sql("SELECT count() FROM journey_enrolment_versions")[0, 0])


def completed(world: World) -> int:
    return int(world.sql("SELECT countIf(status = 'completed') FROM journey_enrolments")[0, 0])


def test_a_worker_killed_between_journey_steps_skips_and_repeats_none(world: World, rng: random.Random) -> None:
    configure(world)
    entering = entries()
    world.produce([*entering, *make_events(rng, 200)])
    for _ in range(3):
        worker = world.start_worker(RAPPORT_WORKER_JOURNEYS_S="0.05", RAPPORT_WORKER_REFRESH_S="0.2")
        before, more = steps_done(world), rng.randrange(1, 20)
        wait_until(
            lambda: steps_done(world) >= before + more or completed(world) == len(CUSTOMERS),  # noqa: B023
            world.tails(),
            seconds=90,
        )
        worker.kill()
    world.produce(entering)  # sent again: the same keys
    for _ in range(2):
        world.start_worker(RAPPORT_WORKER_JOURNEYS_S="0.05", RAPPORT_WORKER_REFRESH_S="0.2")
    wait_until(lambda: completed(world) == len(CUSTOMERS), "everybody has come to the end", seconds=120)
    sent = """
        SELECT count(), uniqExact(idempotency_key)
        FROM interactions WHERE startsWith(idempotency_key, 'journey:')
    """
    wait_until(lambda: world.sql(sent)[0, 1] == 2 * len(CUSTOMERS), "what was sent is recorded", seconds=60)
    assert world.sql(sent).row(0) == (2 * len(CUSTOMERS), 2 * len(CUSTOMERS))
    assert world.sql("SELECT count(), uniqExact(customer_id) FROM journey_enrolments").row(0) == (12, 12)
    # The contact names the decision that the journey kept. A worker that died in between may have left another one.
    linked = """
        SELECT count(), countIf(e.state LIKE concat('%', h.recommendation_id, '%')), uniqExact(h.recommendation_id)
        FROM interactions AS h
        INNER JOIN decisions AS d FINAL ON d.customer_id = h.customer_id AND d.recommendation_id = h.recommendation_id
        INNER JOIN journey_enrolments AS e ON e.customer_id = h.customer_id
        WHERE endsWith(h.idempotency_key, ':offer') AND h.rank = 1
    """
    wait_until(lambda: world.sql(linked)[0, 0] == len(CUSTOMERS), "what was decided is recorded", seconds=60)
    assert world.sql(linked).row(0) == (len(CUSTOMERS),) * 3
    assert world.dead_letters() == {}
    for name in CUSTOMERS:
        customer = find_customer(world.store, "acme", name)
        assert customer is not None
        assert customer.attributes == {"n": 1}

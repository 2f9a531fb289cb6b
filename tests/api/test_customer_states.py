"""Decisions from customer states: the same as from the tables, and as fresh."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from rapport.domain.catalogue.strategy import MetricDefinition
from tests.api.decision_catalogue import await_stream, cap, offer, offers_of, recommend, stock
from tests.fixtures.api import running_api
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from starlette.testclient import TestClient

    from tests.faults.world import World
    from tests.fixtures.api import Caller

CUSTOMERS = ("ann", "bob@x.org")
MOST = 50
SEEN = {"outcome": "impression", "channelId": "web"}


def count_facts(caller: Caller) -> dict[str, float]:
    """Decisions so far by where their facts came from."""
    lines = caller.client.get("/metrics").text.splitlines()
    rows = [line.rpartition(" ") for line in lines if line.startswith("rapport_api_decision_facts_total{")]
    return {name.split('"')[1]: float(value) for name, _, value in rows}


def find_source(caller: Caller, customer: str = "ann", **fields: Any) -> tuple[str, dict[str, Any]]:
    """Recommend; return where the facts came from, and the answer."""
    before = count_facts(caller)
    body = recommend(caller, customer, **fields)
    after = count_facts(caller)
    (source,) = [name for name, value in after.items() if value > before.get(name, 0.0)]
    return source, body


@pytest.fixture(scope="module")
def own_client(api_world: World) -> Iterator[TestClient[Any]]:
    """An API whose metrics no other test changes."""
    with running_api(api_world) as client:
        yield client


@pytest.fixture
def shop(caller: Caller, own_client: TestClient[Any]) -> Caller:
    """A tenant whose offers may be shown so many times a day each that reservations of a test do not matter."""
    own = caller.at(own_client)
    stock(own, *offer("loan"), *offer("card"), cap(MOST))
    await_stream(own)
    return own


def await_state(caller: Caller, customer: str = "ann") -> None:
    """Wait until the customer's state is stored."""
    wait_until(lambda: find_source(caller, customer)[0] == "state", "the state is stored", seconds=20)


def test_the_second_decision_about_a_customer_reads_no_table(shop: Caller):
    assert find_source(shop)[0] == "loaded state"
    await_state(shop)


def test_an_event_is_in_the_state_as_soon_as_it_is_applied(shop: Caller):
    await_state(shop)
    for name in ("loan", "card"):
        assert name in offers_of(find_source(shop)[1])
        shop.record(*[{"customerId": "ann", "offerId": name, **SEEN}] * MOST)
        shop.read("/interaction-summaries?customerId=ann")
        source, body = find_source(shop)
        assert source == "state"
        assert name not in offers_of(body)


def test_a_change_of_the_customer_holds_with_the_answer(shop: Caller):
    await_state(shop)
    put = shop.ask("PUT", "/customers/ann/consents", json={"consents": [{"purpose": "marketing", "status": "revoked"}]})
    assert put.status_code == 200, put.text
    assert find_source(shop)[0] == "loaded state"
    wait_until(lambda: find_source(shop)[0] == "state", "it is stored again")
    changed = shop.ask("PUT", "/customers/ann", json={"attributes": {"age": 40}})
    assert changed.status_code in (200, 201), changed.text
    assert find_source(shop)[0] == "loaded state"


def test_what_another_process_has_changed_holds_at_once(shop: Caller, api_world: World):
    revoked = {"consents": [{"purpose": "marketing", "status": "revoked"}]}
    with running_api(api_world) as client:
        other = shop.at(client)
        await_stream(other)
        await_state(shop)
        await_state(other)
        assert shop.ask("PUT", "/customers/ann/consents", json=revoked).status_code == 200
        assert find_source(other)[0] == "loaded state"
        await_state(shop)
        shop.record(*[{"customerId": "ann", "offerId": "loan", **SEEN}] * MOST)
        shop.read("/interaction-summaries?customerId=ann")
        assert "loan" not in offers_of(recommend(other))
        assert shop.post("/gdpr/erasure", {"customerId": "ann"}).status_code == 200
        for each in (other, shop):
            source, body = find_source(each)
            assert source != "state" or each is shop  # the other's decision may have stored it again
            assert "loan" in offers_of(body)


def test_a_customer_with_very_many_events_has_exact_decisions(shop: Caller):
    for start in range(0, 360, 120):
        shop.record(*[{"customerId": "ann", "offerId": "card", **SEEN} for _ in range(start, start + 120)])
    shop.read("/interaction-summaries?customerId=ann")
    for _ in range(3):
        assert offers_of(recommend(shop)) in (["loan"], [])


def change_at_random(caller: Caller, rng: random.Random) -> None:
    """Do one thing that decisions depend on."""
    customer = rng.choice(CUSTOMERS)

    def attributes() -> None:
        body = {"attributes": {"age": rng.randrange(100), "timeZone": rng.choice(("UTC", "Asia/Tokyo"))}}
        assert caller.ask("PUT", f"/customers/{customer}", json=body).status_code in (200, 201)

    def consents() -> None:
        one = {"purpose": rng.choice(("marketing", "email")), "status": rng.choice(("granted", "revoked"))}
        assert caller.ask("PUT", f"/customers/{customer}/consents", json={"consents": [one]}).status_code == 200

    def events() -> None:
        outcome = rng.choice(("impression", "click", "dismiss", "convert"))
        listed = [
            {"customerId": customer, "offerId": rng.choice(("loan", "card")), "channelId": "web", "outcome": outcome}
            for _ in range(rng.randrange(1, 4))
        ]
        caller.record(*listed, partition=rng.randrange(3))
        caller.read(f"/interaction-summaries?customerId={customer}")

    def catalogue() -> None:
        days = rng.choice((1, 30, None))
        metric = MetricDefinition(id="m", key="seen", name="Seen", aggregate_function="count", window_days=days)
        stock(caller, cap(rng.randrange(1, 4), config={"period": rng.choice(("day", "week"))}), metric)

    def identity() -> None:
        for action in ("merge", "unmerge"):  # the first, unless it is in force
            answer = caller.post("/identity", {"action": action, "sourceId": CUSTOMERS[0], "targetId": CUSTOMERS[1]})
            if answer.status_code == 200:
                return

    def erasure() -> None:
        assert caller.post("/gdpr/erasure", {"customerId": customer}).status_code == 200

    steps: list[Callable[[], None]] = [attributes, consents, *[events] * 4, catalogue, identity]
    rng.choice(steps if rng.random() < 0.93 else [erasure])()


def explain(caller: Caller, customer: str) -> Any:
    """Explain what may be shown to a customer, and what would be, without what differs between requests."""
    eligibility = caller.read(f"/customers/{customer}/eligibility")
    for name in ("evaluatedAt", "meta", "traceId", "decidedAt"):
        eligibility.pop(name, None)
    answer = caller.post("/simulate", {"customerId": customer, "limit": 3})
    assert answer.status_code == 200, answer.text
    decided = answer.json()
    return eligibility, decided["decisions"], decided["meta"]["notShown"], decided["meta"]["emptyReason"]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_states_and_tables_say_the_same(shop: Caller, api_world: World, seed: int):
    rng = random.Random(seed)
    with running_api(api_world, RAPPORT_STATE_URL="") as without:
        tables = shop.at(without)
        await_stream(tables)
        for _ in range(14):
            change_at_random(shop, rng)
            for customer in CUSTOMERS:
                # Each API learns of a new catalogue in its own time, so they may differ for a moment.
                wait_until(
                    lambda: explain(shop, customer) == explain(tables, customer),  # noqa: B023 - called at once
                    "states and tables say the same",
                    seconds=15,
                )

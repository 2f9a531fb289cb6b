"""Caps under simultaneous requests, across processes, across midnight, and when nobody reports what was shown."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from api.http.times import iso, now_ms
from rapport.domain.catalogue.inventory import Budget, Creative, FrequencyCaps
from rapport.domain.catalogue.strategy import ContactPolicy
from rapport.domain.catalogue.values import ScopeKind
from rapport.domain.periods import DAY_MS
from rapport.embedded.supervisor.ports import find_free_port
from tests.api.decision_catalogue import api_with_clock, await_stream, cap, offer, offers_of, recommend, stock
from tests.fixtures.api import running_api
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory
    from tests.fixtures.redis_server import RedisServer

MINUTE_MS = 60_000
TOKYO = "Asia/Tokyo"


def at(text: str, zone: str = TOKYO) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def noon_of_yesterday() -> int:
    """A time that is past, with its whole day around it."""
    return (now_ms() // DAY_MS - 1) * DAY_MS + DAY_MS // 2


def together(callers: list[Caller], times: int, **fields: Any) -> list[dict[str, Any]]:
    """The answers to simultaneous requests for one customer, spread over several APIs."""
    with ThreadPoolExecutor(times) as pool:
        asked = [pool.submit(recommend, callers[number % len(callers)], **fields) for number in range(times)]
        return [one.result() for one in asked]


def shown(bodies: list[dict[str, Any]]) -> int:
    return sum(offers_of(body).count("loan") for body in bodies)


def report(caller: Caller, body: dict[str, Any], **fields: Any) -> None:
    """Somebody saw the first of what was recommended."""
    told = {"customerId": body["customerId"], "recommendationId": body["recommendationId"], "rank": 1, **fields}
    answer = caller.post("/respond", {**told, "outcome": "impression", "idempotencyKey": body["recommendationId"]})
    assert answer.status_code == 201, answer.text


def catch_up(caller: Caller) -> int:
    """Wait for the stream; the impressions of the loan that the tables then know."""
    rows = caller.read("/interaction-summaries?customerId=ann&periodType=alltime&offerId=loan")["data"]
    return sum(row["impressions"] for row in rows)


@pytest.mark.parametrize("channel", ["web", "app"])
def test_ten_simultaneous_requests_with_a_cap_of_three_show_three(caller: Caller, channel: str):
    stock(caller, *offer("loan", channel), *offer("card", channel, priority=1), cap(3))
    bodies = together([caller], 10)
    assert shown(bodies) == 3
    assert shown([recommend(caller)]) == 0
    assert catch_up(caller) == (3 if channel == "app" else 0)
    assert shown([recommend(caller)]) == 0
    letters = "SELECT count() FROM dead_letters WHERE tenant_id = {tenant:String}"
    assert caller.store.client.query(letters, {"tenant": caller.tenant_id}).result_rows == [(0,)]


def test_the_trace_names_the_policy_that_took_the_offer_out(caller: Caller):
    stock(caller, *offer("loan"), cap(1))
    recommend(caller)
    (removal,) = recommend(caller, debug=True)["traceSummary"]["removals"]
    assert (removal["offerId"], removal["by"], removal["stage"]) == ("loan", "cap", "contact_policy")
    assert removal["detail"]["actual"] == 1


def test_an_offers_own_cap_is_kept_as_well(caller: Caller):
    stock(caller, *offer("loan", frequency_caps=FrequencyCaps(daily=2)))
    assert shown(together([caller], 5)) == 2


def test_an_exposure_counts_once_however_far_the_stream_is(caller: Caller):
    stock(caller, *offer("loan", "app"), cap(5))
    for expected in range(1, 5):
        recommend(caller)
        assert catch_up(caller) == expected
    assert shown([recommend(caller), recommend(caller)]) == 1


def test_a_reported_impression_takes_the_place_of_its_reservation(caller: Caller):
    stock(caller, *offer("loan"), cap(3))
    first = recommend(caller)
    report(caller, first)
    assert catch_up(caller) == 1
    assert shown([recommend(caller) for _ in range(4)]) == 2


def decides_from_state(caller: Caller) -> bool:
    """Decide without effect; whether such decisions use the customer's state."""
    assert caller.post("/simulate", {"customerId": "ann"}).status_code == 200
    return 'rapport_api_decision_facts_total{source="state"}' in caller.client.get("/metrics").text


@pytest.mark.parametrize("has_states", [False, True], ids=["tables", "states"])
@pytest.mark.parametrize("channel", ["web", "app"])
def test_processes_that_share_their_state_keep_caps_together(
    api_world: World,
    new_caller: CallerFactory,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    channel: str,
    *,
    has_states: bool,
):
    monkeypatch.setattr("api.recommend.reservation_store_redis.WAIT_S", 60.0)  # a busy machine is not too much
    caller = new_caller()
    stock(caller, *offer("loan", channel), cap(3))
    variables = {} if has_states else {"RAPPORT_STATE_URL": redis_server.url}  # the worker's Valkey, or another one
    with running_api(api_world, **variables) as one, running_api(api_world, **variables) as two:
        callers = [caller.at(one), caller.at(two)]
        for each in callers:
            await_stream(each)
            if has_states:
                wait_until(lambda: decides_from_state(each), "the state is there", seconds=30)  # noqa: B023 - at once
        bodies = together(callers, 10)
        assert shown(bodies) == 3
        report(callers[0], next(body for body in bodies if body["count"]))
        catch_up(callers[0])
        assert shown([recommend(each) for each in callers]) == 0


def test_without_its_shared_state_a_process_goes_on_by_itself(api_world: World, new_caller: CallerFactory):
    caller = new_caller()
    stock(caller, *offer("loan"), cap(3))
    with running_api(api_world, RAPPORT_STATE_URL=f"redis://127.0.0.1:{find_free_port()}") as client:
        here = caller.at(client)
        await_stream(here)
        assert shown(together([here], 6)) == 3


def test_a_reservation_lapses_if_no_impression_follows_and_only_then(api_world: World, new_caller: CallerFactory):
    caller = new_caller()
    stock(caller, *offer("loan"), cap(2))
    with api_with_clock(api_world, RAPPORT_API_RESERVATION_S="900") as (client, clock):
        here = caller.at(client)
        await_stream(here)
        clock.at_ms = noon_of_yesterday()
        seen, unseen = recommend(here), recommend(here)
        assert (shown([seen, unseen]), shown([recommend(here)])) == (2, 0)
        report(here, seen, timestamp=iso(clock()))
        assert catch_up(here) == 1
        clock.at_ms += 14 * MINUTE_MS
        assert shown([recommend(here)]) == 0
        clock.at_ms += 2 * MINUTE_MS
        assert shown([recommend(here), recommend(here)]) == 1


@pytest.mark.parametrize("channel", ["web", "app"])
def test_on_the_next_day_of_the_tenants_zone_an_offer_is_back(
    api_world: World, new_caller: CallerFactory, channel: str
):
    caller = new_caller(time_zone=TOKYO)
    stock(caller, *offer("loan", channel), cap(3))
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        await_stream(here)
        clock.at_ms = at("2026-03-01T09:00")
        bodies = [recommend(here) for _ in range(3)]
        if channel == "web":
            here.record(
                *(
                    {
                        "customerId": "ann",
                        "outcome": "impression",
                        "offerId": "loan",
                        "timestamp": clock.at_ms,
                        "recommendationId": body["recommendationId"],
                        "rank": 1,
                    }
                    for body in bodies
                )
            )
        assert (shown(bodies), catch_up(here)) == (3, 3)
        clock.at_ms = at("2026-03-01T23:59")
        assert shown([recommend(here)]) == 0
        clock.at_ms = at("2026-03-02T00:00")
        assert shown([recommend(here)]) == 1


def test_what_may_still_be_shown_counts_on_the_new_day_too(api_world: World, new_caller: CallerFactory):
    caller = new_caller(time_zone=TOKYO)
    stock(caller, *offer("loan"), cap(1))
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        await_stream(here)
        clock.at_ms = at("2026-03-01T23:55")
        assert shown([recommend(here)]) == 1
        clock.at_ms = at("2026-03-02T00:05")
        assert shown([recommend(here)]) == 0
        clock.at_ms = at("2026-03-02T00:11")
        wait_until(lambda: shown([recommend(here)]) == 1, "the reservation lapses")


def test_a_budget_over_all_customers_is_kept_to_within_seconds(caller: Caller):
    stock(caller, *offer("loan", "app", budget=Budget(max_per_day=2)))
    assert shown([recommend(caller, name) for name in ("ann", "bob")]) == 2
    caller.read("/interaction-history")
    wait_until(lambda: shown([recommend(caller, "cleo")]) == 0, "the budget is known to be used up")


@pytest.mark.parametrize(
    "config",
    [
        {"maxPerDay": 2},
        {"maxPerDay": 2, "timeZone": "customer"},
        {"maxPerDay": 2, "window": "rolling"},
        {"maxPerWeek": 2},
        {"maxContacts": 2, "windowHours": 1},
    ],
    ids=str,
)
def test_a_clock_that_is_ahead_switches_no_cap_off(caller: Caller, config: dict[str, Any]):
    """PostHog#533: what is dated ahead counts when it was received."""
    policy = cap(2)
    stock(caller, *offer("loan"), msgspec.structs.replace(policy, config=config))
    attributes = {"timeZone": TOKYO}
    for _ in range(2):
        body = recommend(caller, attributes=attributes)
        assert shown([body]) == 1
        report(caller, body, timestamp=iso(now_ms() + 20 * 60 * MINUTE_MS))
        catch_up(caller)
    assert shown([recommend(caller, attributes=attributes)]) == 0


def test_a_clock_that_is_ahead_prolongs_no_cooldown(api_world: World, new_caller: CallerFactory):
    caller = new_caller()
    stock(caller, *offer("loan"), msgspec.structs.replace(cap(1), rule_type="cooldown", config={"cooldownHours": 2}))
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        received_ms = now_ms()
        told = {"customerId": "ann", "offerId": "loan", "outcome": "impression"}
        here.record(
            {**told, "timestamp": iso(received_ms + 20 * 60 * MINUTE_MS)},
            {**told, "timestamp": iso(received_ms - 60 * MINUTE_MS)},
        )
        assert catch_up(here) == 2
        clock.at_ms = received_ms + 119 * MINUTE_MS
        assert shown([recommend(here)]) == 0
        clock.at_ms = received_ms + 125 * MINUTE_MS
        assert shown([recommend(here)]) == 1


class Model:
    """Reference model of a cap of three a day, computed from every exposure without tables, streams or reservations."""

    def __init__(self) -> None:
        self.seen_ms: list[int] = []
        self.open: dict[str, int] = {}

    def allows(self, now_ms: int) -> bool:
        midnight = at(f"{datetime.fromtimestamp(now_ms / 1000, ZoneInfo(TOKYO)):%Y-%m-%d}")
        self.open = {name: made for name, made in self.open.items() if now_ms < made + 15 * MINUTE_MS}
        return sum(seen >= midnight for seen in self.seen_ms) + len(self.open) < 3


@pytest.mark.parametrize("seed", range(2))
def test_caps_are_kept_under_any_interleaving(api_world: World, new_caller: CallerFactory, seed: int):
    """Requests on channels of both kinds, reported impressions, a stream that lags, time that passes, midnights."""
    rng, caller, model = random.Random(seed), new_caller(time_zone=TOKYO), Model()
    rest: dict[str, Any] = {"id": "both", "name": "Cap", "rule_type": "customer_total_cap"}
    stock(
        caller,
        *offer("loan"),
        Creative(id="loan-app", name="loan", offer_id="loan", channel_id="app"),
        ContactPolicy(**rest, scope=ScopeKind.GLOBAL, config={"maxPerDay": 3}),
    )
    with api_with_clock(api_world) as (client, clock):
        here = caller.at(client)
        await_stream(here)
        clock.at_ms = at("2026-03-01T18:00")
        for _ in range(40):
            passed_ms = rng.choice([0, 5_000, 61_000, 16 * MINUTE_MS, 60 * MINUTE_MS])
            clock.at_ms += passed_ms
            if rng.random() < 0.2 or passed_ms > MINUTE_MS * 15:  # so much time does not pass without the stream
                here.read("/interaction-history?customerId=ann")
            pending = sorted(name for name, made in model.open.items() if clock.at_ms < made + 14 * MINUTE_MS)
            if rng.random() < 0.3 and pending:
                name = rng.choice(pending)
                told = {"customerId": "ann", "recommendationId": name, "rank": 1, "idempotencyKey": name}
                seen = {**told, "outcome": "impression", "timestamp": iso(clock.at_ms)}
                assert here.post("/respond", seen).status_code == 201
                del model.open[name]
                model.seen_ms.append(clock.at_ms)
            channel = rng.choice(["web", "app"])
            before = clock.at_ms
            body = recommend(here, channelId=channel)
            assert bool(body["count"]) == model.allows(before), (channel, before, model.seen_ms, model.open)
            if body["count"] and channel == "web":
                model.open[body["recommendationId"]] = before
            elif body["count"]:
                model.seen_ms.append(before)

"""Rate limits: a sliding minute that all keys of a tenant share, limits of single routes, and Redis."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from api.auth.rate_limit import OwnWindows, parse_route_limits
from rapport.domain.api_keys import Role
from rapport.settings import SettingsError
from rapport.storage.tenants import change_tenant
from tests.fixtures.api import running_api
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    import httpx

    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory
    from tests.fixtures.redis_server import RedisServer

READ: Final = "/interaction-history"


def ask(caller: Caller, **options: Any) -> httpx.Response:
    return caller.get(READ, **options)


def said(answer: httpx.Response) -> tuple[int, int]:
    """The limit and what is left of it."""
    return int(answer.headers["x-ratelimit-limit"]), int(answer.headers["x-ratelimit-remaining"])


def test_a_tenant_may_ask_1000_times_a_minute_and_every_answer_says_what_is_left(caller: Caller):
    answers = [ask(caller), caller.get("/interaction-summaries"), ask(caller)]
    assert [said(answer) for answer in answers] == [(1_000, 999), (1_000, 998), (1_000, 997)]
    assert all(1 <= int(answer.headers["x-ratelimit-reset"]) <= 60 for answer in answers)


def test_all_keys_of_a_tenant_share_its_limit_and_other_tenants_have_their_own(new_caller: CallerFactory):
    caller, other = new_caller(requests_per_minute=3), new_caller(requests_per_minute=3)
    assert [ask(caller, role=role).status_code for role in Role] == [200, 200, 200]
    assert [ask(caller, role=role).status_code for role in Role] == [429, 429, 429]
    assert said(ask(other)) == (3, 2)


def test_who_asks_too_often_gets_429_and_is_told_when_to_come_back(new_caller: CallerFactory):
    caller = new_caller(requests_per_minute=1)
    ask(caller)
    answer = ask(caller)
    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
    assert said(answer) == (1, 0)
    assert 1 <= int(answer.headers["retry-after"]) == int(answer.headers["x-ratelimit-reset"]) <= 60


def test_the_limit_of_a_tenant_can_be_changed_while_the_api_runs(new_caller: CallerFactory):
    caller = new_caller(requests_per_minute=500)
    assert said(ask(caller)) == (500, 499)
    change_tenant(caller.store, caller.tenant_id, requests_per_minute=700)
    wait_until(lambda: said(ask(caller))[0] == 700, "the new limit holds")


@dataclass(slots=True)
class Clock:
    now: float = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time by which requests are counted."""
    clock = Clock()
    for module in ("limits.storage.memory.time", "api.auth.rate_limit.time"):
        monkeypatch.setattr(module, SimpleNamespace(time=clock.time))
    return clock


def test_the_window_slides(api_world: World, new_caller: CallerFactory, clock: Clock):
    #     0 s: ##      40 s: ##      50 s: refused      61 s: ##, the first two have left
    with running_api(api_world, RAPPORT_STATE_URL="") as client:  # Valkey has a clock of its own
        caller = new_caller(requests_per_minute=4).at(client)
        begin = clock.now
        assert [said(ask(caller))[1] for _ in range(2)] == [3, 2]
        clock.now = begin + 40
        assert [said(ask(caller))[1] for _ in range(2)] == [1, 0]
        clock.now = begin + 50
        refused = [ask(caller) for _ in range(3)]  # these do not count
        assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(429, "10")}
        clock.now = begin + 61
        assert [ask(caller).status_code for _ in range(3)] == [200, 200, 429]
        assert ask(caller).headers["retry-after"] == "39"


def test_single_routes_can_have_limits_below_the_tenants(api_world: World, new_caller: CallerFactory):
    limits = "GET /api/v1/interaction-history=2; DELETE /api/v1/api-keys=1"
    with running_api(api_world, RAPPORT_API_ROUTE_LIMITS=limits) as client:
        caller = new_caller().at(client)
        assert [said(ask(caller)) for _ in range(2)] == [(2, 1), (2, 0)]
        refused = ask(caller)
        assert (refused.status_code, said(refused)) == (429, (2, 0))
        assert "GET /api/v1/interaction-history" in refused.json()["detail"]
        assert said(caller.get("/api-keys")) == (1_000, 996)
        assert [caller.ask("DELETE", "/api-keys?id=none").status_code for _ in range(2)] == [404, 429]
        assert said(ask(new_caller().at(client))) == (2, 1)


@pytest.mark.parametrize("text", ["/x=1", "GET /x", "GET /x=0", "GET /x=many", "get /x=1", "GET x=1", "GET /x=1; ="])
def test_limits_of_routes_that_cannot_be_understood_are_refused(text: str):
    with pytest.raises(SettingsError, match="METHOD /path=requests"):
        parse_route_limits(text)


def test_what_needs_no_key_is_not_counted(new_caller: CallerFactory):
    caller = new_caller(requests_per_minute=2)
    for path in ("/health/live", "/metrics", "/docs/openapi.json"):
        answer = caller.client.get(path, headers={"X-API-Key": caller.keys[Role.ADMIN]})
        assert (answer.status_code, "x-ratelimit-limit" in answer.headers) == (200, False)
    assert caller.client.get(f"/api/v1{READ}", headers={"X-API-Key": "krn_wrong"}).status_code == 401
    assert said(ask(caller)) == (2, 1)


def test_with_redis_processes_count_together_and_without_it_each_by_itself(
    api_world: World, new_caller: CallerFactory, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rapport.state.shared_state.TIMEOUT_S", 10.0)  # a busy machine is not a server that is away
    with (
        running_api(api_world, RAPPORT_STATE_URL=redis_server.url) as one,
        running_api(api_world, RAPPORT_STATE_URL=redis_server.url) as another,
    ):
        caller = new_caller(requests_per_minute=3)
        here, there = caller.at(one), caller.at(another)
        assert [said(ask(at))[1] for at in (here, there, here)] == [2, 1, 0]
        assert [ask(at).status_code for at in (here, there)] == [429, 429]
        redis_server.kill()
        assert [said(ask(at))[1] for at in (here, there, here, there)] == [2, 2, 1, 1]
        redis_server.start()
        patient = new_caller()
        here, there = patient.at(one), patient.at(another)
        wait_until(lambda: said(ask(here))[1] == said(ask(there))[1] + 1, "they count together again")


def test_windows_of_this_process_move_and_vanish_when_nobody_asks_any_more(monkeypatch: pytest.MonkeyPatch):
    now = 1_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    windows = OwnWindows()

    def ask(key: str) -> bool:
        return windows.acquire_entry(key, limit=2, expiry=60)

    assert [ask("ann"), ask("bob")] == [True, True]
    now += 30
    assert [ask("ann"), ask("ann")] == [True, False]
    assert windows.get_moving_window("ann", 2, 60) == (1_000_000.0, 2)
    now += 31
    assert [ask("ann"), ask("ann")] == [True, False], "only the first request has left the window"
    now += 61
    assert ask("cat")
    assert set(windows.events) == {"cat"}

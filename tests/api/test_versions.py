"""Changes that one process has answered are seen by every process at once: no cache of another one hides them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from api.runtime.versions import Versions
from rapport.domain.tenant_versions import VERSION_KINDS
from tests.api.decision_catalogue import offer, offers_of, recommend, stock
from tests.fixtures.api import running_api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World
    from tests.fixtures.api import Caller, CallerFactory
    from tests.fixtures.redis_server import RedisServer

FOR_EVER: Final = 1_000.0


@pytest.fixture
def caller(new_caller: CallerFactory) -> Caller:
    """A tenant with an offer, and with limits that these tests do not meet."""
    caller = new_caller(requests_per_minute=100_000)
    stock(caller, *offer("loan"))
    return caller


@pytest.fixture
def lasting_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have caches keep what they hold until they are told of a change."""
    for name in (
        "catalogue_cache.FRESH_S",
        "catalogue_cache.STALE_S",
        "identity_cache.FRESH_S",
        "identity_cache.STALE_S",
    ):
        monkeypatch.setattr(f"api.runtime.{name}", FOR_EVER)
    monkeypatch.setattr("rapport.state.shared_state.TIMEOUT_S", 10.0)  # a busy machine is not a server that is away


@contextmanager
def two_processes(world: World, caller: Caller, server: RedisServer) -> Iterator[tuple[Caller, Caller]]:
    variables = {"RAPPORT_STATE_URL": server.url, "RAPPORT_API_KEY_CACHE_S": "15"}
    with running_api(world, **variables) as one, running_api(world, **variables) as another:
        yield caller.at(one), caller.at(another)


def change_offer(caller: Caller, name: str) -> None:
    answer = caller.ask("PATCH", "/offers/loan", json={"name": name})
    assert answer.status_code == 200, answer.text


def read_offer(caller: Caller) -> str:
    (item,) = recommend(caller)["decisions"]
    return str(item["offerName"])


@pytest.mark.usefixtures("lasting_caches")
def test_a_change_of_the_catalogue_is_in_the_next_decision_of_every_process(
    api_world: World, caller: Caller, redis_server: RedisServer
):
    with two_processes(api_world, caller, redis_server) as processes:
        assert [offers_of(recommend(process)) for process in processes] == [["loan"], ["loan"]]
        for number in range(6):
            change_offer(processes[number % 2], f"Loan {number}")
            assert [read_offer(process) for process in processes] == [f"Loan {number}"] * 2


@pytest.mark.usefixtures("lasting_caches")
def test_a_revoked_key_is_refused_by_every_process(api_world: World, caller: Caller, redis_server: RedisServer):
    with two_processes(api_world, caller, redis_server) as (one, another):
        made = one.post("/api-keys", {"name": "short-lived", "role": "viewer"}).json()
        headers = {"X-API-Key": made["key"]}
        assert [process.get("/offers", headers=headers).status_code for process in (one, another)] == [200, 200]
        assert one.ask("DELETE", f"/api-keys?id={made['id']}").status_code in {200, 204}
        assert [process.get("/offers", headers=headers).status_code for process in (another, one)] == [401, 401]


@pytest.mark.usefixtures("lasting_caches")
def test_a_merge_holds_at_every_process(api_world: World, caller: Caller, redis_server: RedisServer):
    def find_canonical(process: Caller) -> str:
        resolve = {"action": "resolve", "identifier": {"type": "customer_id", "value": "ann"}}
        return str(process.post("/identity", resolve).json()["canonicalId"])

    with two_processes(api_world, caller, redis_server) as (one, another):
        assert [find_canonical(process) for process in (another, one)] == ["ann", "ann"]
        for action, canonical in (("merge", "bob"), ("unmerge", "ann")):
            answer = one.post("/identity", {"action": action, "sourceId": "ann", "targetId": "bob"})
            assert answer.status_code == 200, answer.text
            assert [find_canonical(process) for process in (another, one)] == [canonical, canonical]


@pytest.mark.usefixtures("lasting_caches")
def test_while_the_shared_state_is_away_a_process_sees_its_own_changes(
    api_world: World, caller: Caller, redis_server: RedisServer
):
    with two_processes(api_world, caller, redis_server) as (one, another):
        change_offer(one, "Before")
        redis_server.kill()
        change_offer(one, "During")
        assert read_offer(one) == "During"
        change_offer(another, "Still")
        assert read_offer(another) == "Still"


def test_versions_never_shrink_whatever_order_answers_come_in():
    versions = Versions(None)
    versions.observe("acme", [5, 0, 0])
    versions.observe("acme", [3, 0, 7])
    versions.observe("globex", [9, 9, 9])
    assert [versions.of("acme", kind) for kind in VERSION_KINDS] == [5, 0, 7]

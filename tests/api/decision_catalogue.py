"""A catalogue for tests of decisions, and a clock that tests set."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from litestar.testing import TestClient

from api.app import create_app
from rapport.domain.catalogue.inventory import Category, Channel, Creative, Offer, Placement
from rapport.domain.catalogue.strategy import ContactPolicy
from rapport.domain.catalogue.values import Entity, ScopeKind
from rapport.domain.catalogue_checks.kinds import KINDS
from rapport.storage.catalogue_changes import Author, EntityChange, change_catalogue
from tests.fixtures.api import api_settings
from tests.fixtures.deadlines import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.world import World
    from tests.fixtures.api import Caller

_KIND_OF: Final = {kind: name for name, kind in KINDS.items()}
WEB: Final = Channel(id="web", name="Web", channel_type="web")
APP: Final = Channel(id="app", name="App", channel_type="in_app", impression_tracking="implicit")
HERO: Final = Placement(id="hero-1", name="Hero", key="hero", channel_id="web")
CARDS: Final = Category(id="cards", name="Cards")


class Clock:
    """Epoch milliseconds that a test sets; until then the real ones."""

    def __init__(self) -> None:
        self.at_ms: int | None = None

    def __call__(self) -> int:
        return self.at_ms if self.at_ms is not None else time.time_ns() // 1_000_000


@contextmanager
def api_with_clock(world: World, **variables: str) -> Iterator[tuple[TestClient[Any], Clock]]:
    """An API on a world with a clock of its own."""
    clock = Clock()
    app = create_app(api_settings(world, **variables), clock=clock)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client, clock


def offer(name: str, channel: str = "web", **fields: Any) -> list[Entity]:
    """An offer with a creative on a channel."""
    about = fields.pop("creative", {})
    content = {"headline": f"Take {name}"}
    return [
        Offer(id=name, name=name.capitalize(), **{"category_id": "cards", **fields}),
        Creative(id=f"{name}-{channel}", name=name, offer_id=name, channel_id=channel, **{"content": content, **about}),
    ]


def cap(most: int, *, config: dict[str, Any] | None = None, **fields: Any) -> ContactPolicy:
    """A policy: each offer so many times a day."""
    return ContactPolicy(
        id="cap",
        name="Daily cap",
        rule_type="frequency_cap",
        scope=ScopeKind.OFFER,
        scope_id="*",
        config={"maxPerDay": most, **(config or {})},
        **fields,
    )


def stock(caller: Caller, *entities: Entity) -> None:
    """Put entities into the tenant's catalogue, with what they all need."""
    everything = {one.id: one for one in (WEB, APP, HERO, CARDS, *entities)}
    changes = [EntityChange(_KIND_OF[type(one)], one) for one in everything.values()]
    change_catalogue(caller.store, caller.tenant_id, Author("tests"), lambda _before: changes)


def await_stream(caller: Caller) -> None:
    """Wait until an API that has just started knows the logs and how far the stream is; until then nothing lapses."""

    def knows() -> bool:
        return "x-data-lag-ms" in caller.get("/interaction-summaries?customerId=ann").headers

    wait_until(knows, "it is known how far the stream is", seconds=30)


def recommend(caller: Caller, customer: str = "ann", **fields: Any) -> dict[str, Any]:
    """The answer to a request, which must be 200."""
    answer = caller.post("/recommend", {"customerId": customer, **fields})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["count"] == len(body["decisions"])
    assert [item["rank"] for item in body["decisions"]] == list(range(1, body["count"] + 1))
    return body


def offers_of(body: dict[str, Any]) -> list[str]:
    """The ids of what was recommended, the first first."""
    return [item["offerId"] for item in body["decisions"]]

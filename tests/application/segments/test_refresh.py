"""Segments are refreshed when they are due, and a pass with nothing to do asks one query for all tenants."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from rapport.application.segments.refresh import FIRST_RETRY_S, REVIEW_S, SegmentRefresher
from rapport.jobs import PartialFailureError
from rapport.storage.database import Database
from rapport.storage.segments import load_refreshes, refresh_segment
from rapport.storage.tenants import create_tenant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from rapport.storage.client import Store
    from tests.fixtures.store import MigratedDatabase

NOW_MS = 1_772_000_000_000
EVERY_S = 300.0
IDLE = ["segments/changed_tenants"]


class Bench:
    """A refresher with clocks that a test advances, and the names of the queries it asks."""

    def __init__(self, database: MigratedDatabase) -> None:
        self.store = database.store
        self.now_s = 0.0
        self.queries: list[str] = []
        self.database = Database(database.settings, self._note)
        self.refresher = SegmentRefresher(self.database, self.now_ms, every_s=EVERY_S, monotonic=lambda: self.now_s)
        self.refresher._backoff._clock = lambda: self.now_s
        self._revisions = count(1)

    def now_ms(self) -> int:
        return NOW_MS + round(self.now_s * 1000)

    @contextmanager
    def _note(self, name: str) -> Iterator[None]:
        self.queries.append(name)
        yield

    async def look(self) -> list[str]:
        """Do a pass and return the names of its queries."""
        self.queries.clear()
        await self.refresher.refresh_due()
        return self.queries

    def define(self, tenant_id: str, segment_id: str, version: int = 1, status: str = "active") -> None:
        """Store a version of a segment."""
        body = {"id": segment_id, "name": segment_id, "status": status, "filters": [], "combinator": "AND"}
        row = {
            "tenant_id": tenant_id, "kind": "segment", "entity_id": segment_id, "name": segment_id, "status": status,
            "version": version, "revision": next(self._revisions), "change_id": "c", "changed_by": "tests",
            "body": json.dumps(body),
        }  # fmt: skip
        types = {"version": pl.UInt32, "revision": pl.UInt64}
        self.store.insert("catalogue_entity_versions", pl.DataFrame([row], schema_overrides=types))

    def times(self, tenant_id: str) -> dict[str, tuple[int, float]]:
        """Return version and time (seconds since the test's beginning) of each segment's latest refresh."""
        found = load_refreshes(self.store, tenant_id)
        return {name: (one.version, (one.refreshed_at_ms - NOW_MS) / 1000) for name, one in found.items()}


@pytest.fixture
def bench(migrated_database: MigratedDatabase, store: Store) -> Iterator[Bench]:
    for tenant_id in ("acme", "bravo", "quiet"):
        create_tenant(store, tenant_id)
    made = Bench(migrated_database)
    yield made
    made.database.close()


def run(work: Callable[[], Awaitable[object]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_a_pass_reads_only_catalogues_with_something_to_refresh(bench: Bench):
    async def check() -> None:
        bench.define("acme", "gold")
        bench.define("bravo", "silver")
        bench.define("bravo", "draft", status="draft")
        assert (await bench.look()).count("catalogue/at_revision") == 2
        assert bench.times("acme") == {"gold": (1, 0.0)}
        assert bench.times("bravo") == {"silver": (1, 0.0)}
        bench.now_s = 5
        assert await bench.look() == IDLE
        bench.define("acme", "gold", version=2)
        bench.now_s = 10
        assert (await bench.look()).count("catalogue/at_revision") == 1
        assert bench.times("acme") == {"gold": (2, 10.0)}
        bench.now_s = 15
        assert await bench.look() == IDLE
        bench.now_s = 15 + REVIEW_S
        assert await bench.look() == [*IDLE, "segments/refresh_times"]
        bench.now_s = EVERY_S + 1
        assert (await bench.look()).count("catalogue/at_revision") == 1  # bravo's; acme's is ten seconds younger
        assert bench.times("bravo") == {"silver": (1, EVERY_S + 1)}
        bench.now_s = EVERY_S + 10
        await bench.look()
        assert bench.times("acme") == {"gold": (2, EVERY_S + 10)}

    run(check)


def test_a_segment_that_fails_is_tried_again_after_its_pause_and_delays_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    attempts: list[float] = []

    def refuse(store: Any, context: Any, segment: Any, *rest: Any) -> Any:
        if segment.id == "bad":
            attempts.append(bench.now_s)
            raise OverflowError
        return refresh_segment(store, context, segment, *rest)

    async def check() -> None:
        monkeypatch.setattr("rapport.application.segments.refresh.refresh_segment", refuse)
        bench.define("acme", "bad")
        bench.define("acme", "gold")
        bench.define("bravo", "silver")
        with pytest.raises(PartialFailureError):
            await bench.look()
        assert set(bench.times("acme")) == {"gold"}
        assert set(bench.times("bravo")) == {"silver"}
        for bench.now_s in (5.0, FIRST_RETRY_S - 0.5):
            assert await bench.look() == IDLE
        bench.now_s = FIRST_RETRY_S
        with pytest.raises(PartialFailureError):
            await bench.look()
        monkeypatch.undo()
        bench.now_s = 2 * FIRST_RETRY_S
        assert await bench.look() == IDLE
        bench.now_s = 3 * FIRST_RETRY_S
        await bench.look()
        assert attempts == [0.0, FIRST_RETRY_S]
        assert bench.times("acme")["bad"] == (1, 3 * FIRST_RETRY_S)

    run(check)


def test_a_new_process_finds_all_that_is_due_and_inactive_tenants_are_left_alone(bench: Bench):
    async def check() -> None:
        bench.define("acme", "gold")
        bench.define("gone", "gold")  # of no active tenant
        await bench.look()
        await bench.look()
        assert bench.times("gone") == {}
        bench.now_s = EVERY_S - 1
        again = SegmentRefresher(bench.database, bench.now_ms, every_s=EVERY_S, monotonic=lambda: bench.now_s)
        bench.queries.clear()
        await again.refresh_due()
        assert bench.times("acme") == {"gold": (1, 0.0)}
        bench.now_s = EVERY_S
        await again.refresh_due()
        assert bench.times("acme") == {"gold": (1, EVERY_S)}

    run(check)

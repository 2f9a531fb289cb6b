"""Sections are loaded at the same time, and none can harm the others."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from api.unified_profile.section_loader import Load, ProfileQuery, load_sections
from rapport.application.profiles import isolation
from rapport.application.profiles.isolation import IsolatedSection
from rapport.application.profiles.sections import SectionContext, profile_section
from rapport.storage.errors import TransientStorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rapport.application.profiles.sections import Section
    from rapport.storage.client import Store

NOBODY = ProfileQuery(
    tenant_id="acme",
    customer_id="ann",
    customer_ids=("ann",),
    now_ms=1_773_837_000_000,
)
CONTEXT = SectionContext(
    tenant_id="acme",
    customer_id="ann",
    customer_ids=("ann",),
    store=cast("Store", None),
    now=datetime(2026, 3, 18, tzinfo=UTC),
)


class Card(msgspec.Struct):
    tier: str
    points: int = 0


def outcomes(limit_s: float = 30, **loads: Load) -> dict[str, Any]:
    """Return the value of each section, or the code of its error."""
    found = asyncio.run(load_sections(loads, NOBODY, limit_s))
    assert [one.name for one in found] == list(loads)
    return {one.name: one.error.code if one.error else one.value for one in found}


async def good(_asked: ProfileQuery) -> Sequence[int]:
    return [1]


def of(section: Section) -> Load:
    isolated = IsolatedSection(section)
    return lambda _asked: isolated.load(CONTEXT)


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """Return an event that blocks loaders until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_sections_are_loaded_at_the_same_time():
    async def both() -> dict[str, Any]:
        meeting = asyncio.Barrier(2)

        async def meet(_asked: ProfileQuery) -> str:
            await meeting.wait()
            return "met"

        return {one.name: one.value for one in await load_sections({"a": meet, "b": meet}, NOBODY, 30)}

    assert asyncio.run(both()) == {"a": "met", "b": "met"}


def test_a_failing_or_slow_section_is_reported_and_the_others_are_returned():
    async def failing(_asked: ProfileQuery) -> None:
        raise ZeroDivisionError

    async def away(_asked: ProfileQuery) -> None:
        raise TransientStorageError("connection refused")

    async def slow(_asked: ProfileQuery) -> None:
        await asyncio.get_running_loop().create_future()

    found = outcomes(0.2, first=good, failing=failing, away=away, slow=slow, last=good)
    assert found == {"first": [1], "failing": "FAILED", "away": "UNAVAILABLE", "slow": "TIMEOUT", "last": [1]}


@pytest.mark.parametrize("is_async", [False, True])
def test_a_section_of_a_package_never_runs_on_the_event_loop(*, is_async: bool):
    threads: list[threading.Thread] = []

    def load(context: SectionContext) -> list[Card]:
        threads.append(threading.current_thread())
        return [Card(tier=context.customer_id, points=3)]

    async def load_async(context: SectionContext) -> list[Card]:
        return load(context)

    section = profile_section("loyalty", schema=Card)(load_async if is_async else load)
    assert outcomes(loyalty=of(section)) == {"loyalty": [{"tier": "ann", "points": 3}]}
    assert threads != [threading.main_thread()]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_blocking_section_takes_no_longer_than_the_limit(never: threading.Event, *, is_async: bool):
    def block(_context: SectionContext) -> list[Card]:
        never.wait()
        return []

    async def block_async(context: SectionContext) -> list[Card]:
        return block(context)

    section = profile_section("slow")(block_async if is_async else block)
    assert outcomes(0.2, slow=of(section), good=good) == {"slow": "TIMEOUT", "good": [1]}


def test_a_section_that_keeps_hanging_is_not_called_until_a_call_returns(
    never: threading.Event, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(isolation, "MAX_RUNNING", 2)
    returned = threading.Semaphore(0)

    @profile_section("hanging")
    def hang(_context: SectionContext) -> list[str]:
        never.wait()
        returned.release()
        return ["back"]

    load = of(hang)
    assert [outcomes(0.05, hanging=load)["hanging"] for _ in range(3)] == ["TIMEOUT", "TIMEOUT", "BUSY"]
    never.set()
    for _ in range(2):
        assert returned.acquire(timeout=30)
    for thread in threading.enumerate():
        if thread.name == "profile-section-hanging":
            thread.join(30)
    assert outcomes(hanging=load)["hanging"] == ["back"]


@pytest.mark.parametrize(
    "data",
    [[{"tier": 3}], [{"points": 3}], {"tier": "gold"}, "gold", None, [object()], [{"tier": "gold", "points": {1}}]],
)
def test_data_that_does_not_fit_the_schema_is_not_shown(data: Any):
    section = profile_section("loyalty", schema=Card)(lambda _context: data)
    assert outcomes(loyalty=of(section), good=good) == {"loyalty": "INVALID_DATA", "good": [1]}


@pytest.mark.parametrize("fault", [ValueError("no"), KeyError("x"), SystemExit(1), KeyboardInterrupt()])
def test_any_exception_of_a_package_is_reported(fault: BaseException):
    @profile_section("broken")
    def load(_context: SectionContext) -> list[str]:
        raise fault

    assert outcomes(broken=of(load), good=good) == {"broken": "FAILED", "good": [1]}


@pytest.mark.parametrize("name", ["", "Loyalty", "a,b", "x" * 65, "1st"])
def test_a_section_has_a_valid_name(name: str):
    with pytest.raises(ValueError, match="is no name of a section"):
        profile_section(name)(lambda _context: [])

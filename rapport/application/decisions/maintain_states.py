"""Maintenance of the customer states: load those of active customers, compare them with the tables."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import TYPE_CHECKING, Final, TypeVar
from zoneinfo import ZoneInfo

from rapport.application.decisions.load_states import StateQuery, load_states
from rapport.domain.customer_states import MAX_ROWS, is_equivalent
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.periods import DAY_MS
from rapport.kafka.sources import name_source
from rapport.kafka.topics import fetch_cluster_id, fetch_partitions
from rapport.state.customer_states import StreamCoverage
from rapport.storage.customer_reads import list_active_customers
from rapport.storage.state_gaps import read_stream_view
from rapport.storage.stream import read_generation
from rapport.storage.tenants import load_tenants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from rapport.domain.customer_states import CustomerState
    from rapport.settings import KafkaSettings
    from rapport.state.customer_states import CustomerStates, StateLookup
    from rapport.storage.client import Store

T = TypeVar("T")
R = TypeVar("R")
HISTORY_MS: Final = 32 * DAY_MS
"""Age of the oldest events that are loaded of customers with too many; decisions that need older ones load anew."""
PAGE: Final = 500
"""Customers whose states are loaded together."""
CONCURRENT: Final = 16
ATTEMPTS: Final = 20
"""A state that differs is compared again: the stream may have written between the two reads."""
PAUSE_S: Final = 0.25


@dataclass(slots=True)
class Verification:
    """Result of comparing states with the tables.

    Attributes:
        compared: Number of states.
        differing: Customers whose states differ.
    """

    compared: int = 0
    differing: list[CustomerKey] = field(default_factory=list)


async def read_stream_coverage(store: Store, states: CustomerStates, kafka: KafkaSettings) -> StreamCoverage:
    """Read how far the stream is and how far the states are covered.

    Raises:
        StorageError: ClickHouse does not answer.
        KafkaError: Kafka does not.
        RedisError: Valkey does not.
    """
    cluster_id = await fetch_cluster_id(kafka)
    generation = await asyncio.to_thread(read_generation, store, cluster_id, kafka.topic)
    partitions = await fetch_partitions(kafka, kafka.topic)
    names = [name_source(cluster_id, kafka.topic, number, generation).name for number in partitions]
    view = await asyncio.to_thread(read_stream_view, store, names)
    return StreamCoverage(*view, await states.read_coverage())


async def warm_states(
    store: Store, states: CustomerStates, covered: StreamCoverage, *, since_ms: int, now_ms: int
) -> AsyncIterator[int]:
    """Load and store the states of customers who were contacted since a time; yield how many, page by page.

    Raises:
        StorageError: ClickHouse does not answer.
        RedisError: Valkey does not.
    """
    tenants = await asyncio.to_thread(load_tenants, store)
    after = ("", "")
    while page := await asyncio.to_thread(list_active_customers, store, since_ms, after, PAGE):
        after = page[-1]
        zones = {one: tenants[one[0]].time_zone for one in page if one[0] in tenants}
        queries = [StateQuery(CustomerKey(*one), zone, now_ms, now_ms - HISTORY_MS) for one, zone in zones.items()]
        yield await _warm_page(store, states, covered, queries)


async def _warm_page(
    store: Store, states: CustomerStates, covered: StreamCoverage, queries: Sequence[StateQuery]
) -> int:
    def find(query: StateQuery) -> Awaitable[StateLookup]:
        return states.find(query.key, covered.name_namespace(query.key.tenant_id), query.time_zone)

    def keep(pair: tuple[StateLookup, CustomerState]) -> Awaitable[bool]:
        lookup, state = pair
        return states.store(CustomerKey(state.tenant_id, state.customer_id), lookup, state)

    lookups = await _map(find, queries)
    missing = {query: lookup for query, lookup in zip(queries, lookups, strict=True) if lookup.mark}
    loaded = await asyncio.to_thread(load_states, store, list(missing)) if missing else []
    pairs = zip(missing.values(), loaded, strict=True)
    return sum(await _map(keep, [pair for pair in pairs if len(pair[1].rows) <= MAX_ROWS]))


async def verify_states(
    store: Store, states: CustomerStates, read_coverage: Callable[[], Awaitable[StreamCoverage]]
) -> Verification:
    """Compare all states that decisions would use with the tables.

    Args:
        store: The database.
        states: The states.
        read_coverage: Reads the coverage anew.

    Raises:
        StorageError: ClickHouse does not answer.
        RedisError: Valkey does not.
    """
    result = Verification()
    page: dict[CustomerKey, None] = {}
    async for key in states.list_keys():
        page[key] = None
        if len(page) >= PAGE:
            await _verify_page(store, states, read_coverage, list(page), result)
            page.clear()
    await _verify_page(store, states, read_coverage, list(page), result)
    return result


async def _verify_page(
    store: Store,
    states: CustomerStates,
    read_coverage: Callable[[], Awaitable[StreamCoverage]],
    keys: Sequence[CustomerKey],
    result: Verification,
) -> None:
    compared: set[CustomerKey] = set()
    for attempt in range(ATTEMPTS):
        if attempt:
            await asyncio.sleep(PAUSE_S)
        covered = await read_coverage()
        if not covered.is_usable:
            continue
        found = await _map(lambda key: states.peek(key, covered.name_namespace(key.tenant_id)), keys)  # noqa: B023
        kept = {key: state for key, state in zip(keys, found, strict=True) if state is not None}
        compared |= kept.keys()
        fresh = await asyncio.to_thread(load_states, store, [_query(state) for state in kept.values()])
        keys = [key for (key, state), other in zip(kept.items(), fresh, strict=True) if not is_equivalent(state, other)]
        if not keys:
            break
    result.compared += len(compared)
    result.differing += keys if compared else []


def _query(state: CustomerState) -> StateQuery:
    """Build the query that loads a state afresh."""
    key = CustomerKey(state.tenant_id, state.customer_id)
    midday = datetime.combine(state.today, time(12), ZoneInfo(state.time_zone))
    return StateQuery(key, state.time_zone, round(midday.timestamp() * 1000), state.events_from_ms)


async def _map(call: Callable[[T], Awaitable[R]], values: Sequence[T]) -> list[R]:
    """Call a function for several values, for some of them at the same time."""
    free = asyncio.Semaphore(CONCURRENT)

    async def run(value: T) -> R:
        async with free:
            return await call(value)

    return list(await asyncio.gather(*map(run, values)))

"""Facts of decisions from customer states: a state is loaded from the tables once, and workers keep it up to date."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from redis.exceptions import RedisError

from rapport.application.decisions.load_states import (
    build_facts,
    build_state_query,
    build_states,
    complete_facts_of_states,
    is_too_short,
    read_state_contacts,
    read_state_memberships,
    read_state_snapshots,
)
from rapport.domain.customer_states import MAX_ROWS

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from api.http.metrics import ApiMetrics
    from api.runtime.loader import Loader
    from api.runtime.watermark import Watermark
    from rapport.application.decisions.load_facts import CustomerFactsQuery, CustomerFactsResult
    from rapport.application.decisions.load_states import StateQuery
    from rapport.domain.customer_states import CustomerState
    from rapport.domain.customers.customer import CustomerKey
    from rapport.state.customer_states import CustomerStates, StateLookup
    from rapport.storage.database import Database

log = structlog.get_logger(__name__)
MAX_STORING: Final = 1_000
"""States that are being stored at the same time; more are not stored, and loaded again when they are asked for."""


async def load_states(database: Database, queries: Sequence[StateQuery]) -> list[CustomerState]:
    """Load the states of several customers, in the order of the queries.

    Raises:
        StorageError: ClickHouse does not answer.
    """
    keys = list(dict.fromkeys(query.key for query in queries))

    (rows, events), snapshots, memberships = await asyncio.gather(
        database.call(read_state_contacts, queries),
        database.call(read_state_snapshots, keys),
        database.call(read_state_memberships, keys),
    )
    return build_states(queries, rows, snapshots, memberships, events)


class StateFacts:
    """Finds the states of customers, loads those that are missing, and builds facts of them.

    Args:
        states: The states.
        loader: Loads states from the tables, for several requests at once.
        database: The database, for events that the states do not have.
        watermark: Says in which namespace states may be used.
        metrics: Counts where facts came from.
    """

    def __init__(
        self,
        states: CustomerStates,
        loader: Loader[StateQuery, CustomerState],
        database: Database,
        watermark: Watermark,
        metrics: ApiMetrics,
    ) -> None:
        self._states = states
        self._loader = loader
        self._database = database
        self._watermark = watermark
        self._metrics = metrics
        self._running: set[asyncio.Task[None]] = set()

    async def load(self, query: CustomerFactsQuery) -> CustomerFactsResult | None:
        """Load the facts of a customer; None if states may not be used, or the server does not answer.

        Raises:
            StorageError: ClickHouse does not answer.
        """
        tenant = query.context.tenant
        namespace = await self._watermark.find_namespace(tenant.tenant_id)
        if namespace is None:
            self._metrics.facts_from.labels("tables").inc()
            return None
        try:
            lookups = [await self._states.find(key, namespace, tenant.time_zone) for key in query.context.keys]
        except RedisError:
            self._metrics.facts_from.labels("tables").inc()
            return None
        pairs = zip(query.context.keys, lookups, strict=True)
        states = [await self._complete(query, key, lookup) for key, lookup in pairs]
        facts = build_facts(query, states)
        if facts is None:
            self._metrics.facts_from.labels("state and history").inc()
            for key, state in zip(query.context.keys, states, strict=True):
                if is_too_short(query, state):
                    self._begin(self._forget(key))
            return await self._database.call(complete_facts_of_states, query, states)
        is_warm = all(lookup.state is not None for lookup in lookups)
        self._metrics.facts_from.labels("state" if is_warm else "loaded state").inc()
        return facts

    async def _complete(self, query: CustomerFactsQuery, key: CustomerKey, lookup: StateLookup) -> CustomerState:
        """Return the state that was found, or load it; store it if it is new or has grown."""
        if lookup.state is not None:
            if lookup.is_due:
                self._begin_storing(key, lookup, lookup.state)
            return lookup.state
        state = await self._loader.load(build_state_query(query, key))
        if lookup.mark and len(state.rows) <= MAX_ROWS:
            self._begin_storing(key, lookup, state)
        return state

    def _begin_storing(self, key: CustomerKey, lookup: StateLookup, state: CustomerState) -> None:
        """Store a state in the background: no answer waits for what only later answers need."""
        if len(self._running) < MAX_STORING:
            self._begin(self._store(key, lookup, state))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _forget(self, key: CustomerKey) -> None:
        with suppress(RedisError):  # the next decision tries again
            await self._states.forget([key])

    async def _store(self, key: CustomerKey, lookup: StateLookup, state: CustomerState) -> None:
        try:
            await self._states.store(key, lookup, state)
        except RedisError as error:
            log.info("a customer state could not be stored", error=str(error))

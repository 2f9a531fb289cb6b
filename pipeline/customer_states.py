"""Offers what batches have written to the customer states in Valkey, before the progress is recorded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

import polars as pl
import structlog
from redis.exceptions import RedisError

from rapport.domain.customer_states import StateDelta
from rapport.domain.customers.customer import CustomerKey
from rapport.domain.metrics import StoredEvent
from rapport.domain.summaries import StoredSummary
from rapport.state.customer_states import LateOfferError

if TYPE_CHECKING:
    from pipeline.batch import AppliedRange
    from rapport.metrics import StreamMetrics
    from rapport.state.customer_states import CustomerStates

log = structlog.get_logger(__name__)
ATTEMPTS: Final = 3
_CUSTOMER: Final = ("tenant_id", "customer_id")
_ROW_COLUMNS: Final = (
    *("tenant_id", "customer_id", "period_type", "period_key", "offer_id", "creative_id", "channel_id", "source"),
    "block",
    "applied_offset",
    pl.lit(0, pl.Int64).alias("stored_at_ms"),
    *("impressions", "positive", "negative", "neutral", "converts", "total_value"),
    *("last_contact_at_ms", "last_outcome", "last_direction"),
)
"""Columns of :class:`StoredSummary`, in its order."""
_EVENT_COLUMNS: Final = (
    *("tenant_id", "customer_id", "id", "received_at_ms", "category", "occurred_at_ms", "outcome", "classification"),
    *("is_conversion", "direction", "offer_id", "creative_id", "channel_id", "conversion_value"),
    *("recommendation_id", "rank", "source", "offset"),
)
"""Columns of :class:`StoredEvent`, in its order."""


class StateWriter:
    """Offers batches to the customer states.

    While Valkey does not answer the batch goes on without it: the states are then not covered, and whoever covers the
    source next begins a new namespace.

    Args:
        states: The states; None where there are none.
        metrics: Counts what was offered, and batches that could not be.
    """

    def __init__(self, states: CustomerStates | None, metrics: StreamMetrics) -> None:
        self._states = states
        self._metrics = metrics

    async def offer(
        self,
        rows: pl.DataFrame,
        events: pl.DataFrame,
        ranges: Sequence[AppliedRange],
        check: Callable[[], Awaitable[None]],
    ) -> None:
        """Offer what a batch has written of its customers. May be repeated.

        Args:
            rows: The summary rows written.
            events: The events written.
            ranges: The offsets of the batch.
            check: Raises if a customer has been erased since the batch was decoded.
        """
        if self._states is None or not ranges:
            return
        try:
            await self._offer_in_time(self._states, rows, events, ranges, check)
            await self._cover(self._states, ranges)
        except (RedisError, LateOfferError) as error:
            self._metrics.states_missed.inc()
            log.warning("a batch could not be offered to the customer states", error=str(error))

    async def cover(self, ranges: Sequence[AppliedRange]) -> None:
        """Note how far the states are covered, while no batch does: after a start, and after a restart of Valkey."""
        if self._states is None or not ranges:
            return
        try:
            await self._cover(self._states, ranges)
        except RedisError as error:
            log.info("the customer states cannot be reached", error=str(error))

    async def _offer_in_time(
        self,
        states: CustomerStates,
        rows: pl.DataFrame,
        events: pl.DataFrame,
        ranges: Sequence[AppliedRange],
        check: Callable[[], Awaitable[None]],
    ) -> None:
        if events.is_empty():
            return
        customers = [CustomerKey(*pair) for pair in events.select(_CUSTOMER).unique().iter_rows()]
        batch = ",".join(f"{one.source}:{one.from_offset}" for one in ranges)
        for attempt in range(1, ATTEMPTS + 1):
            began_ms, present = await states.list_present(customers)
            if not present:
                return
            await check()
            try:
                await states.offer(began_ms, batch, build_deltas(present, rows, events))
            except LateOfferError:
                if attempt == ATTEMPTS:
                    raise
                continue
            self._metrics.states_offered.inc(len(present))
            return

    async def _cover(self, states: CustomerStates, ranges: Sequence[AppliedRange]) -> None:
        if await states.cover(ranges):
            log.info("customer states begin anew: some may have missed events", sources=[one.source for one in ranges])


def build_deltas(
    customers: Sequence[CustomerKey], rows: pl.DataFrame, events: pl.DataFrame
) -> dict[CustomerKey, StateDelta]:
    """Select what a batch has written of some customers."""
    wanted = pl.DataFrame(customers, schema=dict.fromkeys(_CUSTOMER, pl.String), orient="row")
    deltas = {key: StateDelta(key.customer_id, [], []) for key in customers}
    for values in _select(rows, wanted, _ROW_COLUMNS):
        row = StoredSummary._make(values)
        deltas[CustomerKey(*row.customer)].rows.append(row)
    for values in _select(events, wanted, _EVENT_COLUMNS):
        event = StoredEvent._make(values)
        deltas[CustomerKey(*event.customer)].events.append(event)
    return deltas


def _select(
    frame: pl.DataFrame, customers: pl.DataFrame, columns: Sequence[str | pl.Expr]
) -> Sequence[tuple[object, ...]]:
    return frame.join(customers, on=_CUSTOMER, how="semi").select(*columns).rows() if not frame.is_empty() else []

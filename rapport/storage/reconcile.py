"""Reconciliation: compares the summaries with the history, and has differences repaired."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import uuid4

import polars as pl

from rapport.domain.blocks import begin_blocks
from rapport.storage.repairs import list_pending_repairs, repair, request_repairs
from rapport.storage.stream import read_positions

if TYPE_CHECKING:
    from rapport.storage.client import Store

CUSTOMERS: Final = ("tenant_id", "customer_id")
SECOND_LOOK_S: Final = 1.0
MAX_DOUBLE_COUNTED: Final = 1_000
SLICE_EVENTS: Final = 250_000
"""Events that are compared at once: some seconds, and a few hundred megabytes in ClickHouse."""
_SUSPECTS_SCHEMA: Final = {"tenant_id": pl.String, "customer_id": pl.String}


class CustomerRange(NamedTuple):
    """Range of customers, by tenant and id: from one on, up to before another or to the last."""

    from_tenant: str
    from_customer: str
    until_tenant: str
    until_customer: str
    is_last: bool


EVERYBODY: Final = CustomerRange("", "", "", "", is_last=True)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Result of a comparison.

    Attributes:
        totals: Per period type: rows, contacts and total_value of the summaries.
        drift: One row per summary row that differs (columns of ``reconcile/drift.sql``).
        double_counted: Idempotency keys that the history holds twice within the horizon (at most
            :data:`MAX_DOUBLE_COUNTED`).
    """

    totals: pl.DataFrame
    drift: pl.DataFrame
    double_counted: pl.DataFrame

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return self.drift.is_empty() and self.double_counted.is_empty()

    def drift_by_period(self) -> dict[str, int]:
        """Count the differing rows of each period type."""
        counts = dict(self.drift.group_by("period_type").len().iter_rows()) if not self.drift.is_empty() else {}
        return {period: counts.get(period, 0) for period in self.totals["period_type"]} | counts


def reconcile(
    store: Store,
    *,
    slices: int | None = None,
    horizon_s: int = 7 * 86_400,
    sleep: Callable[[float], None] = time.sleep,
) -> Reconciliation:
    """Compare every summary row with the history. Safe while workers run.

    Args:
        store: The database.
        slices: Number of parts, by customer, in which to compare; more need less memory. By default one for each
            :data:`SLICE_EVENTS` events.
        horizon_s: Repetitions of an idempotency key within this many seconds are one event.
        sleep: Waits before the second comparison.
    """
    ranges = _split_customers(store, slices)
    drift = _concat([_compare(store, part, None, frame_progress(store)) for part in ranges])
    if not drift.is_empty():
        # The two tables are read at slightly different moments: rows that differ are compared once more.
        sleep(SECOND_LOOK_S)
        drift = _compare(store, EVERYBODY, drift.select(CUSTOMERS).unique(), frame_progress(store))
    totals = _concat([store.select("reconcile/totals", part._asdict()) for part in ranges])
    limits = {"horizon_s": horizon_s, "limit": MAX_DOUBLE_COUNTED}
    return Reconciliation(
        totals=totals.group_by("period_type").sum().sort("period_type"),
        drift=drift,
        double_counted=_concat(
            [store.select("reconcile/double_counted", {**part._asdict(), **limits}) for part in ranges]
        ).head(MAX_DOUBLE_COUNTED),
    )


def repair_drift(
    store: Store,
    drift: pl.DataFrame,
    *,
    wait_s: float = 15.0,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Have the customers of drifting rows recomputed from the history.

    Workers repair their own sources between two batches. Repairs that no worker has taken up after ``wait_s`` concern
    sources without a worker and are done here.

    Returns:
        True if workers did all repairs, False if some were done here.
    """
    repair_id = uuid4().hex
    request_repairs(store, repair_id, drift)
    sources = drift["source"].unique().to_list()
    deadline = monotonic() + wait_s
    while monotonic() < deadline:
        if not any(waiting == repair_id for waiting, _, _ in list_pending_repairs(store, sources)):
            return True
        sleep(0.2)
    left = [source for waiting, source, _ in list_pending_repairs(store, sources) if waiting == repair_id]
    recorded = read_positions(store, left) if left else {}
    repair(store, repair_id, {name: recorded[name].position if name in recorded else begin_blocks(0) for name in left})
    return False


def find_drift(store: Store, customers: pl.DataFrame, progress: pl.DataFrame) -> pl.DataFrame:
    """Compare the summary rows of some customers with the history.

    Args:
        store: The database.
        customers: The customers (tenant_id, customer_id).
        progress: Offset up to which the history of each source counts (source, next_offset).
    """
    return _compare(store, EVERYBODY, customers, progress)


def frame_progress(store: Store) -> pl.DataFrame:
    """Read and frame the recorded progress of all sources: source, next_offset."""
    rows = [(source, recorded.position.next_offset) for source, recorded in read_positions(store).items()]
    return pl.DataFrame(rows, schema={"source": pl.String, "next_offset": pl.UInt64}, orient="row")


def _split_customers(store: Store, slices: int | None) -> list[CustomerRange]:
    """Split all customers into ranges with about the same number of events, in the order of the tables."""
    events, customers = store.select("reconcile/customers").row(0)
    number = math.ceil(events / SLICE_EVENTS) if slices is None else slices
    sample = sorted((tenant_id, customer_id) for tenant_id, customer_id in customers)
    starts = {sample[len(sample) * at // number] for at in range(1, number)} if sample else set()
    edges = [("", ""), *sorted(starts), ("", "")]
    last = len(edges) - 2
    return [
        CustomerRange(*first, *until, is_last=at == last) for at, (first, until) in enumerate(itertools.pairwise(edges))
    ]


def _concat(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames, how="vertical_relaxed")


def _compare(store: Store, part: CustomerRange, suspects: pl.DataFrame | None, progress: pl.DataFrame) -> pl.DataFrame:
    return store.select(
        "reconcile/drift",
        {**part._asdict(), "all_customers": suspects is None},
        frames={
            "progress": progress,
            "suspects": pl.DataFrame(schema=_SUSPECTS_SCHEMA) if suspects is None else suspects,
        },
    )

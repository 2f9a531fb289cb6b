"""Reconciliation: compares the summaries with the history, and has differences repaired."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
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
_SUSPECTS_SCHEMA: Final = {"tenant_id": pl.String, "customer_id": pl.String}


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
    slices: int = 1,
    horizon_s: int = 7 * 86_400,
    sleep: Callable[[float], None] = time.sleep,
) -> Reconciliation:
    """Compare every summary row with the history. Safe while workers run.

    Args:
        store: The database.
        slices: Number of parts, by customer, in which to compare; more need less memory.
        horizon_s: Repetitions of an idempotency key within this many seconds are one event.
        sleep: Waits before the second comparison.
    """
    drift = pl.concat([_find_drift(store, slices, at, None) for at in range(slices)], how="vertical_relaxed")
    if not drift.is_empty():
        # The two tables are read at slightly different moments: rows that differ are compared once more.
        sleep(SECOND_LOOK_S)
        drift = _find_drift(store, 1, 0, drift.select(CUSTOMERS).unique())
    return Reconciliation(
        totals=store.select("reconcile/totals"),
        drift=drift,
        double_counted=store.select("reconcile/double_counted", {"horizon_s": horizon_s, "limit": MAX_DOUBLE_COUNTED}),
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
    return _compare(store, 1, 0, customers, progress)


def _find_drift(store: Store, slices: int, at: int, suspects: pl.DataFrame | None) -> pl.DataFrame:
    return _compare(store, slices, at, suspects, frame_progress(store))


def frame_progress(store: Store) -> pl.DataFrame:
    """Read and frame the recorded progress of all sources: source, next_offset."""
    rows = [(source, recorded.position.next_offset) for source, recorded in read_positions(store).items()]
    return pl.DataFrame(rows, schema={"source": pl.String, "next_offset": pl.UInt64}, orient="row")


def _compare(store: Store, slices: int, at: int, suspects: pl.DataFrame | None, progress: pl.DataFrame) -> pl.DataFrame:
    return store.select(
        "reconcile/drift",
        {"slices": slices, "slice": at, "all_customers": suspects is None},
        frames={
            "progress": progress,
            "suspects": pl.DataFrame(schema=_SUSPECTS_SCHEMA) if suspects is None else suspects,
        },
    )

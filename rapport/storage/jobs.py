"""Lease and states of the background jobs.

ClickHouse has no compare-and-set, but it orders the inserts of a table: of several attempts at one term of the lease
the one stored first counts. Ages are measured by the clock of the database, so that those of processes do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from rapport.jobs import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rapport.storage.client import Store

_MILLIS: Final = pl.Datetime("ms", "UTC")
_TIMES: Final = ("started_at", "succeeded_at", "failed_at", "due_at")
_STATE: Final[Mapping[str, Any]] = {
    "job": pl.String,
    **dict.fromkeys(_TIMES, _MILLIS),
    "duration_s": pl.Float64,
    "error": pl.String,
    "failures": pl.UInt32,
    "version": pl.UInt64,
}
_WRITES_OF_A_TERM: Final = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """The newest term of the lease.

    Attributes:
        term: Ascends by one with each holder.
        holder: The process whose attempt at the term was stored first.
        expires_in_ms: From when on others may take the lease; negative if that time is past.
        silent_ms: Age of the latest renewal, or of the attempt if there was none.
        is_released: Whether the holder has stopped.
        earlier_expires_in_ms: The longest that a holder of an earlier term may still rely on it; 0 if none does.
    """

    term: int
    holder: str
    expires_in_ms: int
    silent_ms: int
    is_released: bool
    earlier_expires_in_ms: int

    @property
    def is_held(self) -> bool:
        """Whether the holder may rely on the lease."""
        return not self.is_released and self.expires_in_ms > 0


def read_lease(store: Store) -> LeaseState | None:
    """Read the newest term; None before the first one."""
    rows = store.rows("jobs/lease")
    if not rows:
        return None
    row = rows[0]
    return LeaseState(
        term=row["term"],
        holder=row["holder"],
        expires_in_ms=row["expires_in_ms"],
        silent_ms=row["silent_ms"],
        is_released=bool(row["is_released"]),
        earlier_expires_in_ms=max(row["earlier_expires_in_ms"] or 0, 0),
    )


def claim_term(store: Store, term: int, holder: str, lease_ms: int) -> None:
    """Attempt a term. :func:`read_lease` says whose attempt counts."""
    row = {"term": term, "holder": holder, "lease_ms": lease_ms}
    store.insert("job_lease_claims", pl.DataFrame([row], schema_overrides={"term": pl.UInt64, "lease_ms": pl.UInt32}))


def renew_term(store: Store, term: int, lease_ms: int, *, is_released: bool = False) -> None:
    """Renew or release a term, by its holder."""
    row = {"term": term, "lease_ms": lease_ms, "is_released": is_released}
    store.insert("job_lease_renewals", pl.DataFrame([row], schema_overrides={"term": pl.UInt64, "lease_ms": pl.UInt32}))


def read_job_states(store: Store) -> dict[str, JobState]:
    """Read the states by the names of the jobs; ``every_s`` is not stored and 0."""
    states: dict[str, JobState] = {}
    for row in store.rows("jobs/states"):
        times = {name: None if row[f"{name}_ms"] is None else row[f"{name}_ms"] / 1000 for name in _TIMES}
        states[row["job"]] = JobState(
            name=row["job"],
            every_s=0.0,
            duration_s=row["duration_s"],
            error=row["error"],
            failures=row["failures"],
            **times,
        )
    return states


def write_job_states(store: Store, states: Iterable[JobState], term: int, number: int) -> None:
    """Write states; a write of an earlier term, or of a lower number within the term, does not count beside this one.

    Args:
        store: The database.
        states: Those that have changed.
        term: The term of the lease under which the jobs run.
        number: Ascends within the term.
    """
    rows = [
        {
            "job": state.name,
            **{name: _to_millis(getattr(state, name)) for name in _TIMES},
            "duration_s": state.duration_s,
            "error": state.error,
            "failures": state.failures,
            "version": term * _WRITES_OF_A_TERM + number,
        }
        for state in states
    ]
    if rows:
        store.insert("job_states", pl.DataFrame(rows, schema=dict(_STATE)))


def _to_millis(at_s: float | None) -> int | None:
    return None if at_s is None else round(at_s * 1000)
